//! The session timer of one dialog (RFC 4028).

use std::time::Duration;

use midcall_wire::Refresher;

use super::offers::Sided;
use super::seen::{Seen, Way};
use crate::time::Instant;

/// The interval and roles as the latest 2xx to INVITE or UPDATE set them (RFC 4028 §7.2; ST-13).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Running {
    /// The session interval.
    pub interval: Duration,
    /// Who refreshes: the side whose messages go this way.
    pub refresher: Way,
    /// When the session expires if nobody refreshes.
    pub expires: Instant,
    /// The message that set it.
    pub set_by: u32,
    /// Whether another 2xx crossed that one, so that this side may have taken either for the later: what the other named counts
    /// as much.
    pub crossed: bool,
}

impl Running {
    /// When the refresher refreshes: half of the interval (RFC 4028 §10; ST-15).
    #[must_use]
    pub fn refresh_at(&self) -> Instant {
        self.start() + self.interval / 2
    }

    /// When the other side ends the session: min(32 s, a third of the interval) before expiry (RFC 4028 §10; ST-16).
    #[must_use]
    pub fn give_up_at(&self) -> Instant {
        let margin = (self.interval / 3).min(Duration::from_secs(32));
        self.start() + (self.interval - margin)
    }

    /// When the 2xx that set it passed.
    #[must_use]
    pub fn start(&self) -> Instant {
        self.expires.checked_sub(self.interval).unwrap_or(Instant::ZERO)
    }
}

/// The largest Min-SE that each side was told, and by which message.
pub type MinSeTold = Sided<Option<(u32, u32)>>;

/// The session timer of one dialog.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SessionTimer {
    /// The running timer, `None` if it is off.
    pub running: Option<Running>,
    /// The largest Min-SE seen in requests and 422 of this dialog (ST-08).
    pub min_se: Option<u32>,
    /// The largest Min-SE that each side was told in this dialog, by a request or a 422, and by which message.
    /// `None` if there was none.
    pub told: Option<Box<MinSeTold>>,
    /// The message that set the timer before the running one, if a request changed the roles between them.
    pub flipped: Option<u32>,
}

impl SessionTimer {
    /// A 2xx to INVITE or UPDATE passed: it alone sets or ends the timer. `request` is the way of its request; `chosen` is its
    /// number if it chose the refresher itself. One that was sent before the timer was set as it is knew of no roles to change.
    pub fn success(&mut self, seen: &Seen<'_>, request: Way, chosen: Option<u32>) {
        match seen.session_expires {
            Some((seconds, refresher)) => {
                let interval = Duration::from_secs(u64::from(seconds));
                // RFC 4028 §9: `uac` is the sender of this request, not of the first one.
                let refresher = match refresher {
                    Some(Refresher::Uac) => request,
                    Some(Refresher::Uas) | None => request.reversed(),
                };
                self.flipped = self
                    .running
                    .filter(|before| {
                        chosen.is_some_and(|on| on > before.set_by)
                            && before.refresher != refresher
                            && !before.crossed
                    })
                    .map(|before| before.set_by);
                self.running = Some(Running {
                    interval,
                    refresher,
                    expires: seen.at.time + interval,
                    set_by: seen.at.n,
                    crossed: false,
                });
            }
            None => self.running = None,
        }
    }

    /// The 2xx that set it crossed another one, as far as anybody can tell who only watches.
    pub(crate) fn crossed(&mut self) {
        self.flipped = None;
        if let Some(running) = &mut self.running {
            running.crossed = true;
        }
    }

    /// A request or 422 of the dialog may name a Min-SE.
    pub fn saw_min_se(&mut self, seen: &Seen<'_>) {
        if let Some(min_se) = seen.min_se {
            self.min_se = Some(self.min_se.map_or(min_se, |seen| seen.max(min_se)));
            let told = self.told.get_or_insert_default().by_mut(seen.way.reversed());
            if told.is_none_or(|(least, _)| min_se > least) {
                *told = Some((min_se, seen.at.n));
            }
        }
    }
}
