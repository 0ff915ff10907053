use super::*;

#[test]
fn it_gives_a_minutes_worth_and_then_as_it_fills() {
    let mut bucket = Bucket::new(60);
    for _ in 0..60 {
        assert_eq!(bucket.ready_us(1), 0);
        bucket.take(5_000_000, 1);
    }
    assert_eq!(bucket.ready_us(1), 6_000_000);
    assert_eq!(bucket.ready_us(2), 7_000_000);
    bucket.take(6_000_000, 1);
    assert_eq!(bucket.ready_us(1), 7_000_000);
    assert_eq!(bucket.ready_us(0), 0);
}

#[test]
fn it_says_the_very_microsecond() {
    for per_minute in [1, 7, 59, 60, 1_000_003, u64::from(u32::MAX)] {
        let mut bucket = Bucket::new(per_minute);
        bucket.take(11, per_minute);
        let amount = per_minute.div_ceil(3);
        let at = bucket.ready_us(amount);
        let held = |at_us: u64| u128::from(at_us - 11) * u128::from(per_minute);
        let wanted = u128::from(amount) * MINUTE_US;
        assert!(held(at) >= wanted && held(at - 1) < wanted, "{per_minute}");
    }
}

#[test]
fn never_more_than_its_rate_and_a_bucketful_over_any_time() {
    let (mut bucket, mut now_us, mut taken) = (Bucket::new(600), 0, 0_u64);
    let mut dice = crate::driven::Dice(1);
    while now_us < 600_000_000 {
        let amount = 1 + dice.roll(700);
        now_us = now_us.max(bucket.ready_us(amount));
        bucket.take(now_us, amount);
        taken += amount.min(600);
        assert!(u128::from(taken) * MINUTE_US <= u128::from(600 * (now_us + 60_000_000)));
    }
    // What it could give, it gave.
    assert!(taken >= 6_000);
}

#[test]
fn more_than_it_ever_holds_goes_when_it_is_full() {
    let mut bucket = Bucket::new(100);
    bucket.take(0, 50);
    assert_eq!(bucket.ready_us(u64::MAX), 30_000_000);
    bucket.take(30_000_000, u64::MAX);
    assert_eq!(bucket.ready_us(100), 90_000_000);
}

#[test]
fn an_estimate_is_corrected_both_ways() {
    let mut bucket = Bucket::new(100);
    bucket.take(0, 80);
    bucket.settle(0, 80, 20);
    assert_eq!(bucket.ready_us(80), 0);
    bucket.take(0, 80);
    bucket.settle(0, 80, 100);
    assert_eq!(bucket.ready_us(1), 12_600_000);
}

#[test]
fn a_new_rate_keeps_what_was_taken() {
    let mut bucket = Bucket::new(100);
    bucket.take(0, 100);
    bucket.set(0, 200);
    assert_eq!((bucket.ready_us(100), bucket.ready_us(101)), (0, 300_000));
}

#[test]
fn shares_are_in_places() {
    let bucket = Bucket::new(1_000);
    assert_eq!(bucket.share(250, 16), 4 * PLACE);
    assert_eq!(bucket.share(u64::MAX, 16), 16 * PLACE);
    assert_eq!(Bucket::new(u64::MAX).share(u64::MAX, 1 << 16), PLACE << 16);
}
