//! Times as the exports write them, to and from microseconds since 1970 UTC.

/// Microseconds since 1970-01-01T00:00:00Z.
pub(crate) type Micros = i64;

const DAY: i64 = 86_400;

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// ISO 8601 in UTC: whole seconds, or with microseconds where there are any.
pub(crate) fn iso(time: Micros) -> String {
    let seconds = time.div_euclid(1_000_000);
    let micros = time.rem_euclid(1_000_000);
    let (year, month, day) = date(seconds.div_euclid(DAY));
    let of_day = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// Seconds since 1970, as ChatGPT writes them. Zero, negative and absurd values are no time.
pub(crate) fn from_seconds(seconds: f64) -> Option<Micros> {
    // 253402300800 is the year 10000; beyond it the number is not seconds.
    if !seconds.is_finite() || seconds <= 0.0 || seconds >= 253_402_300_800.0 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded above: fits with room to spare")]
    Some((seconds * 1e6).round() as i64)
}

/// An ISO 8601 date, or date and time with optional fraction and zone (none means UTC), or seconds as text.
pub(crate) fn parse(text: &str) -> Option<Micros> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return from_seconds(seconds);
    }
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u32>().ok().map(i64::from);
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    if text.get(4..5)? != "-"
        || text.get(7..8)? != "-"
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
    {
        return None;
    }
    let midnight = days(year, month, day) * DAY;
    if text.len() == 10 {
        return Some(midnight * 1_000_000);
    }
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19).unwrap_or(0));
    if hour > 24 || minute > 59 || second > 60 {
        return None;
    }
    let rest = text.get(19..).unwrap_or("");
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            (rest.get(..end)?, rest.get(end..)?)
        }
        None => ("", rest),
    };
    let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let seconds = midnight + hour * 3_600 + minute * 60 + second - zone_offset(zone)?;
    Some(seconds * 1_000_000 + digits.parse::<i64>().ok()?)
}

/// Seconds east of UTC of `Z`, `+hh:mm`, `-hhmm`, or nothing.
fn zone_offset(zone: &str) -> Option<i64> {
    let sign = match zone.chars().next() {
        None | Some('Z' | 'z') => return Some(0),
        Some('+') => 1,
        Some('-') => -1,
        Some(_) => return None,
    };
    let digits: String = zone.chars().filter(char::is_ascii_digit).collect();
    let hours: i64 = digits.get(0..2)?.parse().ok()?;
    let minutes: i64 = digits.get(2..4).unwrap_or("0").parse().ok()?;
    Some(sign * (hours * 3_600 + minutes * 60))
}

#[cfg(test)]
#[path = "time_tests.rs"]
mod tests;
