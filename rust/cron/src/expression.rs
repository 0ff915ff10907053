//! Five fields: minute, hour, day of the month, month, weekday. The grammar is that of crontab(5):
//! `*`, `a`, `a-b`, either with `/step`, and lists of those; months and weekdays also by their English
//! names; Sunday is 0 or 7. A day has to match both day fields where one of them begins with `*`, else
//! either of them.

use crate::error::CronError;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// The most days that a month has, January first.
const LONGEST: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// What a field may hold.
struct Field {
    name: &'static str,
    low: u8,
    high: u8,
    /// Names of its values, from `low` on.
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", low: 0, high: 59, names: &[] },
    Field { name: "hour", low: 0, high: 23, names: &[] },
    Field { name: "day of the month", low: 1, high: 31, names: &[] },
    Field { name: "month", low: 1, high: 12, names: &MONTHS },
    Field { name: "weekday", low: 0, high: 7, names: &WEEKDAYS },
];

/// The values of a field that hold, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Values(u64);

impl Values {
    pub(crate) fn has(self, value: i8) -> bool {
        u32::try_from(value).is_ok_and(|value| value < 64 && self.0 >> value & 1 == 1)
    }
}

/// A cron expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    pub(crate) minutes: Values,
    pub(crate) hours: Values,
    days: Values,
    months: Values,
    weekdays: Values,
    /// A day must match both day fields rather than either.
    both: bool,
}

impl Expression {
    /// Reads `text`. Fails where it is not five fields of a crontab, or means days that no year has.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let parts: Vec<&str> = text.split_ascii_whitespace().collect();
        let &[minutes, hours, days, months, weekdays] = parts.as_slice() else {
            return Err(CronError::Fields { found: parts.len() });
        };
        let [minute, hour, day, month, weekday] = &FIELDS;
        let read = Self {
            minutes: values(minute, minutes)?,
            hours: values(hour, hours)?,
            days: values(day, days)?,
            months: values(month, months)?,
            weekdays: sunday_once(values(weekday, weekdays)?),
            both: days.starts_with('*') || weekdays.starts_with('*'),
        };
        if read.ever() { Ok(read) } else { Err(CronError::Never) }
    }

    /// Whether a day is meant: `weekday` counts from Sunday, 0.
    pub(crate) fn holds_on(&self, month: i8, day: i8, weekday: i8) -> bool {
        let (by_date, by_weekday) = (self.days.has(day), self.weekdays.has(weekday));
        let day_holds = if self.both { by_date && by_weekday } else { by_date || by_weekday };
        self.months.has(month) && day_holds
    }

    fn ever(&self) -> bool {
        // Each weekday falls on each date in some year.
        let dated = (1_i8..).zip(LONGEST).any(|(month, longest)| {
            self.months.has(month) && (1..=longest.cast_signed()).any(|day| self.days.has(day))
        });
        dated || !self.both
    }
}

fn sunday_once(weekdays: Values) -> Values {
    Values((weekdays.0 | weekdays.0 >> 7 & 1) & 0x7f)
}

fn values(field: &Field, text: &str) -> Result<Values, CronError> {
    let mut bits = 0;
    for part in text.split(',') {
        bits |= part_bits(field, part).ok_or_else(|| CronError::Part {
            field: field.name,
            part: part.to_owned(),
            expected: expected(field),
        })?;
    }
    Ok(Values(bits))
}

fn part_bits(field: &Field, part: &str) -> Option<u64> {
    let (range, step) = match part.split_once('/') {
        Some((range, step)) => (range, Some(number(step).filter(|step| *step > 0)?)),
        None => (part, None),
    };
    let (low, high) = match range.split_once('-') {
        // A week that is counted in sevens ends at 6, or every day of it would come twice.
        None if range == "*" => (field.low, if field.high == 7 { 6 } else { field.high }),
        None if step.is_some() => return None,
        None => value(field, range).map(|value| (value, value))?,
        Some((low, high)) => {
            let (low, high) = (value(field, low)?, value(field, high)?);
            // `fri-sun`: at the end of a range Sunday is the seventh day.
            (low, if field.high == 7 && high == 0 && low > 0 { 7 } else { high })
        }
    };
    (low <= high).then(|| {
        (low..=high).step_by(usize::from(step.unwrap_or(1))).fold(0, |bits, value| bits | 1_u64 << value)
    })
}

fn value(field: &Field, text: &str) -> Option<u8> {
    let named = (field.low..).zip(field.names).find(|(_, name)| name.eq_ignore_ascii_case(text));
    named
        .map(|(value, _)| value)
        .or_else(|| number(text))
        .filter(|value| (field.low..=field.high).contains(value))
}

/// Digits alone: `u8` would also take a sign.
fn number(text: &str) -> Option<u8> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn expected(field: &Field) -> String {
    let names = match field.names {
        [first, .., last] => format!(" or {first} to {last}"),
        _ => String::new(),
    };
    format!(
        "write {} to {}{names}, `a-b`, `*`, a `/step` after one of these, or a list",
        field.low, field.high
    )
}

#[cfg(test)]
#[path = "expression_tests.rs"]
mod tests;
