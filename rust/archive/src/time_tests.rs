use super::*;

#[test]
fn times_of_all_exports_are_read() {
    let moment = parse("2025-01-14T09:30:00.000Z");
    assert_eq!(moment, Some(1_736_847_000_000_000));
    assert_eq!(parse("2025-01-14T10:30:00+01:00"), moment);
    assert_eq!(parse("2025-01-14T09:30:00"), moment, "no zone is UTC");
    assert_eq!(parse("1736847000"), moment, "seconds as text");
    assert_eq!(from_seconds(1_736_847_000.0), moment);
    assert_eq!(parse("2024-05-01"), Some(1_714_521_600_000_000));
}

#[test]
fn what_is_no_time_is_none() {
    for text in ["", "yesterday", "2024-13-01", "2024-05-01T25:00:00Z", "2024-05-01T10:00:00 BRT", "0"] {
        assert_eq!(parse(text), None, "{text}");
    }
    assert_eq!(from_seconds(0.0), None);
    assert_eq!(from_seconds(f64::NAN), None);
    assert_eq!(from_seconds(1e300), None);
}

#[test]
fn printing_reads_back() {
    for time in [0, 1, 951_782_400_000_000, 1_784_164_544_946_000, -1, 4_107_542_399_999_999] {
        assert_eq!(parse(&iso(time)), Some(time), "{}", iso(time));
    }
    assert_eq!(iso(951_782_400_000_000), "2000-02-29T00:00:00Z");
}
