//! Points in time as people read them.

use std::time::Duration;

use midcall_proto::time::Instant;
use midcall_wire::Date;

use crate::source::Summary;

/// A point in time as people read it; of a trace without dates only the time of day.
pub(super) fn clock(at: Instant) -> String {
    let micros = at.as_micros();
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000 / 1_000);
    let date = Date::from_unix_seconds(i64::try_from(seconds).unwrap_or_default()).to_string();
    let text = date.trim_end_matches(" GMT");
    if seconds < DATED {
        let time = text.rsplit(' ').next().unwrap_or_default();
        return format!("{time}.{rest:03}");
    }
    format!("{text}.{rest:03} UTC")
}

/// A span in seconds, to the millisecond.
pub(super) fn seconds(span: Duration) -> String {
    format!("{:.3}", span.as_secs_f64())
}

/// What was wrong with the clock of a source, if it was so by a time that can be read.
pub(super) fn put_right(source: &Summary) -> Option<String> {
    let wrong = source.clock_fast;
    let way = if wrong < 0 { "slow" } else { "fast" };
    let seconds = seconds(Duration::from_micros(wrong.unsigned_abs()));
    (wrong.abs() >= READABLE)
        .then(|| format!("its clock is {seconds} s {way} against another source, and was put right"))
}

/// A millisecond.
const READABLE: i64 = 1_000;

/// Times before this have no date: a trace that gives none begins at day one.
const DATED: u64 = 365 * 86_400;
