//! The search: day by day, then minute by minute, through the calendar of a zone.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};

use crate::error::CronError;
use crate::expression::Expression;

/// A leap day that is skipped at the turn of a century comes eight years after the last one.
const DAYS: usize = 8 * 366 + 2;
/// Beyond a meeting of date and weekday: 29 February on a given weekday is at most 40 years away.
const YEARS_OF_DAYS: usize = 5 * DAYS;

/// The first instant after `after_us` at which `expression` holds in `zone` (an IANA name); UTC
/// microseconds. See the crate's page for what the changes of clocks do.
pub fn next_instant(expression: &str, zone: &str, after_us: u64) -> Result<u64, CronError> {
    let expression = Expression::parse(expression)?;
    let zone = TimeZone::get(zone).map_err(|_| CronError::Zone { name: zone.to_owned() })?;
    let micros = i64::try_from(after_us).map_err(|_| CronError::Range)?;
    let after = Timestamp::from_microsecond(micros).map_err(|_| CronError::Range)?;
    let from = zone.to_datetime(after);
    let mut date = from.date();
    let mut start = from.time();
    for _ in 0..YEARS_OF_DAYS {
        let weekday = date.weekday().to_sunday_zero_offset();
        if expression.holds_on(date.month(), date.day(), weekday)
            && let Some(found) = on(&expression, &zone, date, start, after)
        {
            return u64::try_from(found.as_microsecond()).map_err(|_| CronError::Range);
        }
        date = date.tomorrow().map_err(|_| CronError::Range)?;
        start = Time::midnight();
    }
    Err(CronError::Never)
}

/// The first of a day's minutes, from `start` on, whose instant lies after `after`.
fn on(
    expression: &Expression,
    zone: &TimeZone,
    date: Date,
    start: Time,
    after: Timestamp,
) -> Option<Timestamp> {
    for hour in (start.hour()..24).filter(|hour| expression.hours.has(*hour)) {
        let first = if hour == start.hour() { start.minute() } else { 0 };
        for minute in (first..60).filter(|minute| expression.minutes.has(*minute)) {
            let instant = instant_of(zone, date.at(hour, minute, 0, 0));
            if instant.is_some_and(|instant| instant > after) {
                return instant;
            }
        }
    }
    None
}

/// The one instant of a minute of the calendar.
fn instant_of(zone: &TimeZone, minute: DateTime) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(minute).offset() {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
            offset.to_timestamp(minute).ok()
        }
        AmbiguousOffset::Gap { after, .. } => {
            // With the offset that comes after it, a minute of the gap lies before the gap begins: the next
            // change of clocks from there is the gap's end.
            let before = after.to_timestamp(minute).ok()?.checked_sub(1.microsecond()).ok()?;
            zone.following(before).next().map(|change| change.timestamp())
        }
    }
}

#[cfg(test)]
#[path = "instant_tests.rs"]
mod tests;
