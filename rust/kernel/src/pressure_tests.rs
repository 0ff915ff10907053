use super::*;

fn press(window: &mut Window, now_us: u64, retry_after_us: u64) {
    let (places, until_us) = window.pressed(16, now_us, retry_after_us);
    window.press(places, until_us);
}

#[test]
fn it_halves_down_to_one_and_closes() {
    let mut window = Window::default();
    let mut seen = Vec::new();
    for round in 1..=6 {
        press(&mut window, round * 100, 10);
        seen.push(window.places(16));
        assert_eq!(window.closed_until_us(), round * 100 + 10);
    }
    assert_eq!(seen, [8, 4, 2, 1, 1, 1]);
}

#[test]
fn what_failed_together_halves_once_and_waits_for_the_longest() {
    let mut window = Window::default();
    for retry_after_us in [50, 900, 10] {
        press(&mut window, 100, retry_after_us);
    }
    assert_eq!((window.places(16), window.closed_until_us()), (8, 1_000));
}

#[test]
fn a_full_round_of_successes_gives_one_place_back() {
    let mut window = Window::default();
    (0..3).for_each(|round| press(&mut window, round * 100, 10));
    assert_eq!(window.places(16), 2);
    let grown: Vec<u32> = (0..9)
        .map(|_| {
            window.succeeded(16);
            window.places(16)
        })
        .collect();
    assert_eq!(grown, [2, 3, 3, 3, 4, 4, 4, 4, 5]);
    (0..200).for_each(|_| window.succeeded(16));
    assert_eq!(window.places(16), 16);
    assert_eq!(window.places, None);
}

#[test]
fn pressure_starts_a_new_round() {
    let mut window = Window::default();
    press(&mut window, 0, 0);
    (0..7).for_each(|_| window.succeeded(16));
    press(&mut window, 10, 0);
    window.succeeded(16);
    assert_eq!(window.places(16), 4);
}

#[test]
fn a_lane_without_places_stays_without() {
    let mut window = Window::default();
    let (places, until_us) = window.pressed(0, 0, 5);
    window.press(places, until_us);
    assert_eq!(window.places(0), 0);
}
