use super::*;

fn refused(text: &str) -> String {
    Expression::parse(text).expect_err(text).to_string()
}

#[test]
fn fields_take_values_ranges_steps_lists_and_names() {
    for (text, same) in [
        ("0 0 * * 7", "0 0 * * 0"),
        ("0 0 * JAN,mar-May *", "0 0 * 1,3,4,5 *"),
        ("0 0 * * mon-FRI", "0 0 * * 1-5"),
        ("*/20 8-10/2 1,15 * *", "0,20,40 8,10 15,1 * *"),
        ("0 0 * * 5-7", "0 0 * * 0,5,6"),
        ("0 0 * * fri-sun", "0 0 * * 0,5,6"),
        ("  5\t4 * * *  ", "05 04 * * *"),
    ] {
        let (one, other) = (Expression::parse(text), Expression::parse(same));
        assert_eq!(one.expect(text), other.expect(same), "{text}");
    }
}

#[test]
fn a_wrong_part_is_named_with_what_may_stand_there() {
    for (text, field, part) in [
        ("60 * * * *", "minute", "60"),
        ("* 24 * * *", "hour", "24"),
        ("* * 0 * *", "day of the month", "0"),
        ("* * * 13 *", "month", "13"),
        ("* * * * 8", "weekday", "8"),
        ("* * * foo *", "month", "foo"),
        ("*/0 * * * *", "minute", "*/0"),
        ("5/10 * * * *", "minute", "5/10"),
        ("30-10 * * * *", "minute", "30-10"),
        ("1,,2 * * * *", "minute", ""),
        ("+5 * * * *", "minute", "+5"),
        ("-5 * * * *", "minute", "-5"),
        ("1-2-3 * * * *", "minute", "1-2-3"),
        ("*/1/2 * * * *", "minute", "*/1/2"),
        ("** * * * *", "minute", "**"),
        ("٣ * * * *", "minute", "٣"),
        ("256 * * * *", "minute", "256"),
        ("*/300 * * * *", "minute", "*/300"),
    ] {
        let said = refused(text);
        assert!(said.starts_with(&format!("`{part}` is no {field} of")), "{text}: {said}");
    }
    assert!(
        refused("* * * foo *")
            .ends_with("write 1 to 12 or jan to dec, `a-b`, `*`, a `/step` after one of these, or a list")
    );
}

#[test]
fn there_are_exactly_five_fields() {
    for (text, found) in [("", 0), ("* * * *", 4), ("0 0 * * * *", 6), ("@daily", 1)] {
        assert_eq!(Expression::parse(text), Err(CronError::Fields { found }), "{text}");
    }
}

#[test]
fn a_date_that_no_year_has_is_refused() {
    for text in ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 30 feb *", "0 0 30 2 */2"] {
        assert_eq!(Expression::parse(text), Err(CronError::Never), "{text}");
    }
    // With a weekday beside it either of them is enough.
    assert!(Expression::parse("0 0 30 2 1").is_ok());
    assert!(Expression::parse("0 0 29 2 *").is_ok());
}
