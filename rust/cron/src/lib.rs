//! When a cron expression next holds. Outside the kernel, which knows neither clocks nor zones: an instant
//! computed here reaches it as an argument.
//!
//! INVARIANT: to each minute of the calendar belongs one instant of its zone, and later minutes never have
//! earlier instants. A minute that a change of clocks leaves out (spring) has the first instant after the
//! gap; one that comes twice (autumn) has its first. So a job runs once for each of its minutes, and several
//! minutes lost in the same gap are one run.

mod error;
mod expression;
mod instant;

pub use error::CronError;
pub use expression::Expression;
pub use instant::next_instant;
