use super::*;

fn at(text: &str) -> u64 {
    let instant: Timestamp = text.parse().expect(text);
    u64::try_from(instant.as_microsecond()).expect(text)
}

/// The instants from `after` on, as many as are expected.
fn instants(expression: &str, zone: &str, after: &str, count: usize) -> Vec<u64> {
    let mut found = vec![at(after)];
    for _ in 0..count {
        let last = found.last().copied().unwrap_or_default();
        found.push(next_instant(expression, zone, last).expect(expression));
    }
    found.split_off(1)
}

/// Each row: expression, zone, where the search begins, and what follows.
type Row = (&'static str, &'static str, &'static str, &'static [&'static str]);

#[test]
fn plain_times() {
    let rows: &[Row] = &[
        (
            "0 9 * * *",
            "UTC",
            "2026-03-02T08:59:59.999999Z",
            &["2026-03-02T09:00:00Z", "2026-03-03T09:00:00Z"],
        ),
        ("0 9 * * *", "UTC", "2026-03-02T09:00:00Z", &["2026-03-03T09:00:00Z"]),
        ("* * * * *", "UTC", "2026-03-02T09:00:30Z", &["2026-03-02T09:01:00Z", "2026-03-02T09:02:00Z"]),
        ("0 9 * * *", "Asia/Tokyo", "2026-03-02T01:00:00Z", &["2026-03-03T00:00:00Z"]),
        ("0 0 * * *", "Asia/Kathmandu", "2026-03-02T00:00:00Z", &["2026-03-02T18:15:00Z"]),
        ("0 9 * * mon-fri", "UTC", "2026-03-06T10:00:00Z", &["2026-03-09T09:00:00Z"]),
        ("0 0 31 * *", "UTC", "2026-01-31T00:00:00Z", &["2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z"]),
        // Either the 13th or a Friday; both where one of the two begins with a star.
        ("0 0 13 * fri", "UTC", "2026-03-07T00:00:00Z", &["2026-03-13T00:00:00Z", "2026-03-20T00:00:00Z"]),
        ("0 0 13 * */5", "UTC", "2026-03-13T00:00:00Z", &["2026-09-13T00:00:00Z", "2026-11-13T00:00:00Z"]),
        ("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", &["2104-02-29T00:00:00Z"]),
        // 29 February on a Sunday, over the year 2100 that has none.
        ("0 0 29 2 */7", "UTC", "2088-03-01T00:00:00Z", &["2128-02-29T00:00:00Z"]),
        ("59 23 31 12 *", "UTC", "2026-12-31T23:59:00Z", &["2027-12-31T23:59:00Z"]),
    ];
    check(rows);
}

#[test]
fn in_spring_a_lost_time_runs_once_right_after_the_gap() {
    let rows: &[Row] = &[
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00:00Z",
            &["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
        ),
        (
            "0 3 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00:00Z",
            &["2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z"],
        ),
        // Six lost minutes and three o'clock itself are one run.
        (
            "*/10 2,3 29 3 *",
            "Europe/Berlin",
            "2026-03-29T00:00:00Z",
            &["2026-03-29T01:00:00Z", "2026-03-29T01:10:00Z"],
        ),
        (
            "30 2 * * *",
            "America/New_York",
            "2026-03-07T12:00:00Z",
            &["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"],
        ),
        // Half an hour only.
        (
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03T12:00:00Z",
            &["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"],
        ),
        ("45 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", &["2026-10-03T15:45:00Z"]),
        // Midnight itself is lost.
        (
            "0 0 * * *",
            "America/Santiago",
            "2026-09-05T12:00:00Z",
            &["2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"],
        ),
        // A whole day is lost: its run and that of the day after fall together.
        (
            "0 0 * * *",
            "Pacific/Apia",
            "2011-12-29T12:00:00Z",
            &["2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"],
        ),
    ];
    check(rows);
}

#[test]
fn in_autumn_a_time_that_comes_twice_runs_once_at_the_first() {
    let rows: &[Row] = &[
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        ),
        (
            "0 2,3 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            &["2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z"],
        ),
        // Begun in the second hour, which has no runs of its own.
        ("*/20 * * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", &["2026-10-25T02:00:00Z"]),
        (
            "30 1 * * *",
            "America/New_York",
            "2026-10-31T12:00:00Z",
            &["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"],
        ),
        (
            "45 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T12:00:00Z",
            &["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"],
        ),
        (
            "30 23 * * *",
            "America/Santiago",
            "2026-04-04T12:00:00Z",
            &["2026-04-05T02:30:00Z", "2026-04-06T03:30:00Z"],
        ),
    ];
    check(rows);
}

fn check(rows: &[Row]) {
    for (expression, zone, after, expected) in rows {
        let wanted: Vec<u64> = expected.iter().map(|text| at(text)).collect();
        let found = instants(expression, zone, after, wanted.len());
        assert_eq!(found, wanted, "{expression} in {zone} after {after}");
    }
}

#[test]
fn what_cannot_be_is_an_error() {
    assert_eq!(
        next_instant("* * * * *", "Europe/Atlantis", 0),
        Err(CronError::Zone { name: "Europe/Atlantis".to_owned() })
    );
    assert_eq!(next_instant("* * * * *", "", 0), Err(CronError::Zone { name: String::new() }));
    assert_eq!(
        next_instant("* * * * *", "../../etc/passwd", 0),
        Err(CronError::Zone { name: "../../etc/passwd".to_owned() })
    );
    assert_eq!(next_instant("* * * * *", "UTC", u64::MAX), Err(CronError::Range));
    assert_eq!(next_instant("0 0 1 1 *", "UTC", at("9999-06-01T00:00:00Z")), Err(CronError::Range));
    assert!(next_instant("0 0 * *", "UTC", 0).is_err());
}
