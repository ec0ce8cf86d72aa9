//! How far a trace has come.

use std::time::Duration;

use midcall_proto::time::Instant;

/// The time of a trace, as its items tell it. A stamp far ahead may be damaged, and believing it would end every call, so
/// it counts once the next item bears it out.
///
/// While a live trace is silent, its time goes on from there by the clock of whoever listens, until a stamp tells again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    now: Instant,
    /// The last stamp, if it was far ahead.
    ahead: Option<Instant>,
    /// How long nothing came since the last stamp that counted.
    quiet: Duration,
}

impl Default for Clock {
    fn default() -> Self {
        Self { now: Instant::ZERO, ahead: None, quiet: Duration::ZERO }
    }
}

impl Clock {
    /// An item with this stamp passed.
    pub(super) fn stamp(&mut self, at: Instant) {
        if let Some(ahead) = self.ahead.filter(|ahead| *ahead <= at + LEAP) {
            (self.now, self.quiet) = (self.now.max(ahead.min(at)), Duration::ZERO);
        }
        if at > self.now + LEAP {
            self.ahead = Some(at);
            return;
        }
        self.ahead = None;
        if at + LEAP >= self.now {
            let silence = on_from(std::mem::take(&mut self.quiet));
            self.now = (self.now - silence).max(at);
        }
    }

    /// Nothing came for so long.
    pub(super) fn pass(&mut self, time: Duration) {
        if self.now == Instant::ZERO {
            // Nothing else bears out the first stamp of all.
            self.now = self.ahead.take().unwrap_or_default();
        }
        if self.now > Instant::ZERO {
            let before = on_from(self.quiet);
            self.quiet += time;
            self.now += on_from(self.quiet) - before;
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

/// By how much a silence takes the time on: what was sent in its last moments may be on its way.
const fn on_from(silence: Duration) -> Duration {
    silence.saturating_sub(ON_ITS_WAY)
}

/// What is further ahead is far.
const LEAP: Duration = Duration::from_secs(10);
/// How late a packet may come from its agent without being taken for missing.
const ON_ITS_WAY: Duration = Duration::from_secs(2);
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
    fn a_silence_goes_on_from_the_stamps_until_they_tell_again() {
        let seconds = Duration::from_secs;
        let mut clock = Clock::default();
        let mut at = |stamp: Option<u64>, silence: u64| {
            clock.pass(seconds(silence));
            stamp.into_iter().for_each(|at| clock.stamp(Instant::ZERO + seconds(at)));
            clock.now().since(Instant::ZERO).as_secs()
        };
        assert_eq!(at(Some(100), 50), 0, "nothing is known before the first");
        assert_eq!(at(None, 1), 100, "which nothing else bears out, and more may be on its way");
        assert_eq!((at(None, 1), at(None, 4), at(None, 4)), (100, 104, 108));
        assert_eq!(at(Some(103), 0), 103, "some was on its way");
        assert_eq!((at(None, 12), at(Some(20), 0), at(None, 3)), (113, 113, 116), "another clock");
        assert_eq!(at(Some(118), 0), 118);
    }

    #[test]
    fn a_pause_is_believed_once_the_trace_goes_on() {
        assert_eq!(times(&[100, 500, 501, 900, 2_000, 2_001]), [0, 100, 501, 501, 900, 2_001]);
    }
}
