//! How far a trace has come.

use std::time::Duration;

use midcall_proto::time::Instant;

/// The time of a trace, as its items tell it. A stamp far ahead may be damaged, and believing it would end every call, so
/// it counts once the next item bears it out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    now: Instant,
    /// The last stamp, if it was far ahead.
    ahead: Option<Instant>,
}

impl Default for Clock {
    fn default() -> Self {
        Self { now: Instant::ZERO, ahead: None }
    }
}

impl Clock {
    /// An item with this stamp passed.
    pub(super) fn stamp(&mut self, at: Instant) {
        if let Some(ahead) = self.ahead.filter(|ahead| *ahead <= at + LEAP) {
            self.now = self.now.max(ahead.min(at));
        }
        if at <= self.now + LEAP {
            (self.now, self.ahead) = (self.now.max(at), None);
        } else {
            self.ahead = Some(at);
        }
    }

    /// The time at which a message with this stamp counts as heard: its own, unless the trace is far ahead of it.
    pub(super) fn heard(now: Instant, at: Instant) -> Instant {
        if at + LEAP < now { now } else { at }
    }

    pub(super) const fn now(&self) -> Instant {
        self.now
    }

    /// The trace ends here. Nothing can bear out its last stamp any more; one that is not too far ahead is believed.
    pub(super) fn end(self) -> Instant {
        let near = |ahead: &Instant| *ahead <= self.now + LONG_PAUSE || self.now == Instant::ZERO;
        self.ahead.filter(near).unwrap_or(self.now)
    }
}

/// What is further ahead is far.
const LEAP: Duration = Duration::from_secs(10);
/// The longest pause before the last item of a trace.
const LONG_PAUSE: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    fn times(stamps: &[u64]) -> Vec<u64> {
        let mut clock = Clock::default();
        let seconds = |at: &u64| {
            clock.stamp(Instant::ZERO + Duration::from_secs(*at));
            clock.now().as_micros() / 1_000_000
        };
        stamps.iter().map(seconds).collect()
    }

    #[test]
    fn one_stamp_far_ahead_is_not_believed() {
        assert_eq!(times(&[100, 101, 9_000, 102, 99, 103]), [0, 101, 101, 102, 102, 103]);
        assert_eq!(times(&[9_000, 100, 101]), [0, 0, 101]);
    }

    #[test]
    fn the_last_stamp_is_believed_unless_it_is_absurd() {
        for (last, end) in [(500, 500), (90_000, 101)] {
            let mut clock = Clock::default();
            for at in [100, 101, last] {
                clock.stamp(Instant::ZERO + Duration::from_secs(at));
            }
            assert_eq!(clock.end(), Instant::ZERO + Duration::from_secs(end));
        }
    }

    #[test]
    fn a_pause_is_believed_once_the_trace_goes_on() {
        assert_eq!(times(&[100, 500, 501, 900, 2_000, 2_001]), [0, 100, 501, 501, 900, 2_001]);
    }
}
