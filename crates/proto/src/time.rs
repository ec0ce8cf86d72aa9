//! Time as the core sees it: a number of microseconds that somebody else counts.
//!
//! The core never reads a clock. Every call that can depend on time takes `now`, and a capture's
//! timestamps fit the same type, so a trace can be replayed through the machines that live calls use.

mod deadlines;

use std::fmt;
use std::num::NonZeroU64;
use std::ops::{Add, AddAssign, Sub};

pub use std::time::Duration;

pub use self::deadlines::Deadlines;

/// A point in time, in microseconds since an epoch of the caller's choice.
///
/// Arithmetic saturates: a hostile timestamp can make a timer late, never make the core panic.
///
/// An `Option` of it takes no more room than it does: a call has many moments that may come, and most do not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(NonZeroU64);

impl Instant {
    /// The epoch itself.
    pub const ZERO: Self = Self(NonZeroU64::MIN);

    /// The last instant that can be told; a timer set to it never fires.
    pub const MAX: Self = Self(NonZeroU64::MAX);

    /// The instant this many microseconds after the epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(micros))
    }

    /// The instant this many milliseconds after the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self::from_micros(millis.saturating_mul(1_000))
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> u64 {
        self.0.get() - 1
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.get().saturating_sub(earlier.0.get()))
    }

    /// This instant plus `duration`, or `None` past the end of time.
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        self.0.checked_add(u64::try_from(duration.as_micros()).ok()?).map(Self)
    }

    /// This instant minus `duration`, or `None` before the epoch.
    pub fn checked_sub(self, duration: Duration) -> Option<Self> {
        self.as_micros().checked_sub(u64::try_from(duration.as_micros()).ok()?).map(Self::from_micros)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        self.checked_add(duration).unwrap_or(Self::MAX)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        self.checked_sub(duration).unwrap_or(Self::ZERO)
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

/// The epoch.
impl Default for Instant {
    fn default() -> Self {
        Self::ZERO
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Instant").field(&self.as_micros()).finish()
    }
}

/// Seconds with microseconds, as a capture shows them.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.as_micros() / 1_000_000, self.as_micros() % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Instant::MAX + Duration::from_secs(1), Instant::MAX);
        assert_eq!(Instant::ZERO + Duration::MAX, Instant::MAX);
        assert_eq!(Instant::ZERO - Duration::from_secs(1), Instant::ZERO);
        assert_eq!(Instant::ZERO - Instant::MAX, Duration::ZERO);
        assert_eq!(Instant::from_micros(u64::MAX), Instant::MAX);
        assert_eq!(Instant::ZERO.as_micros(), 0);
        assert!(Instant::from_micros(u64::MAX - 2) < Instant::MAX);
    }

    #[test]
    fn a_difference_is_what_was_added() {
        let start = Instant::from_millis(1_500);
        assert_eq!((start + Duration::from_micros(7)) - start, Duration::from_micros(7));
        assert_eq!(start.to_string(), "1.500000");
    }
}
