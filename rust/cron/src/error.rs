//! What is wrong with an expression or a zone, in a sentence for whoever wrote it.

use std::fmt;

/// Why there is no next instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CronError {
    /// Not five fields.
    Fields { found: usize },
    /// A part of a field that means nothing there.
    Part { field: &'static str, part: String, expected: String },
    /// A date that no year has, such as 30 February.
    Never,
    /// No zone of this name is known.
    Zone { name: String },
    /// The instant to search from is not one of the calendar's.
    Range,
}

impl std::error::Error for CronError {}

impl fmt::Display for CronError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fields { found } => {
                write!(f, "a cron expression has five fields (minute hour day month weekday), not {found}")
            }
            Self::Part { field, part, expected } => {
                write!(f, "`{part}` is no {field} of a cron expression: {expected}")
            }
            Self::Never => f.write_str("no year has a day that this cron expression means"),
            Self::Zone { name } => write!(f, "there is no time zone `{name}`"),
            Self::Range => f.write_str("the calendar ends before the next instant"),
        }
    }
}
