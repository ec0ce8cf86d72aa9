//! What has happened in a call so far, and whether that is what a script expects.
//!
//! An expectation is met by what happened since the last one of its kind was met, or since the verb that it is about: in
//! `hold; expect held; resume; expect resumed` nothing can be missed, however fast it goes.

use midcall::{CallEvent, Ended, Side, describe};

use crate::script::Expectation;

/// The story of one call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    ringing: bool,
    early: bool,
    established: bool,
    ended: Option<Ended>,
    end_expected: bool,
    /// Whether we and the peer hold now.
    held: (bool, bool),
    holds: Vec<(bool, Side)>,
    holds_met: usize,
    asked: Vec<Asked>,
    peer_changes: Seen,
    refreshes: Seen,
    moves: Seen,
    offers: Seen,
    referrals: Seen,
    replacements: Seen,
    digits: String,
    digits_met: usize,
    played: bool,
}

/// Something the script asked of the peer.
#[derive(Clone, Debug)]
struct Asked {
    text: String,
    outcome: Outcome,
    /// Whether an `expect` was about its failure.
    expected: bool,
}

/// How something that was asked went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Pending,
    Done,
    Refused(u16),
    Failed(String),
}

/// How often something happened, and how often that was noted.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    seen: usize,
    met: usize,
}

impl Seen {
    fn happened(&mut self) {
        self.seen += 1;
    }

    fn take(&mut self) -> bool {
        let news = self.seen > self.met;
        self.met = self.seen;
        news
    }
}

/// Whether an expectation is met; `None` while it may still be.
type Met = Option<Result<(), String>>;

impl Story {
    /// Notes what the library says.
    pub(crate) fn event(&mut self, event: &CallEvent) {
        match event {
            CallEvent::Progress { .. } => self.ringing = true,
            CallEvent::Session { early: true, .. } => self.early = true,
            CallEvent::Established => self.established = true,
            CallEvent::Held { by } => self.hold(*by, true),
            CallEvent::Resumed { by } => self.hold(*by, false),
            CallEvent::PeerChanged { .. } => self.peer_changes.happened(),
            CallEvent::Refreshed { .. } => self.refreshes.happened(),
            CallEvent::PeerMoved => self.moves.happened(),
            CallEvent::Offered { .. } => self.offers.happened(),
            CallEvent::Referred { .. } => self.referrals.happened(),
            CallEvent::ReplacedBy { .. } => self.replacements.happened(),
            CallEvent::Ended { why } => self.ended = Some(why.clone()),
            _ => {}
        }
    }

    fn hold(&mut self, by: Side, held: bool) {
        match by {
            Side::Us => self.held.0 = held,
            Side::Them => self.held.1 = held,
        }
        self.holds.push((held, by));
    }

    /// A digit came.
    pub(crate) fn digit(&mut self, digit: char) {
        self.digits.push(digit);
    }

    /// Our file is over.
    pub(crate) fn played(&mut self) {
        self.played = true;
    }

    /// The script asks something of the peer; the result names it.
    pub(crate) fn asks(&mut self, text: &str) -> usize {
        self.holds_met = self.holds.len();
        self.refreshes.met = self.refreshes.seen;
        self.asked.push(Asked { text: text.to_owned(), outcome: Outcome::Pending, expected: false });
        self.asked.len() - 1
    }

    /// How that went.
    pub(crate) fn answered(&mut self, nth: usize, outcome: Outcome) {
        if let Some(asked) = self.asked.get_mut(nth) {
            asked.outcome = outcome;
        }
    }

    pub(crate) fn established(&self) -> bool {
        self.established
    }

    pub(crate) fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// Whether something that was asked has no outcome yet.
    pub(crate) fn pending(&self) -> bool {
        self.asked.iter().any(|asked| asked.outcome == Outcome::Pending)
    }

    /// Whether the end of the call was expected by the script.
    pub(crate) fn end_expected(&self) -> bool {
        self.end_expected
    }

    /// The first thing that failed without being expected to.
    pub(crate) fn failure(&self) -> Option<String> {
        self.asked.iter().filter(|asked| !asked.expected).find_map(|asked| {
            let why = asked.outcome.failure()?;
            Some(format!("`{}`: {why}", asked.text))
        })
    }

    /// Whether an expectation is met.
    pub(crate) fn meets(&mut self, what: &Expectation) -> Met {
        let met = match what {
            Expectation::Ringing => self.ringing,
            Expectation::Early => self.early,
            Expectation::Established => self.established,
            Expectation::Held => self.held_met(|_| true, self.held.0 || self.held.1),
            Expectation::PeerHeld => self.held_met(|by| by == Side::Them, self.held.1),
            Expectation::Resumed => self.resumed_met(),
            Expectation::Changed => return self.changed_met(),
            Expectation::Transferred => return self.changed_met(),
            Expectation::Refused(status) => return self.refused_met(*status),
            Expectation::PeerChanged => self.peer_changes.take(),
            Expectation::Refreshed => self.refreshes.take(),
            Expectation::Moved => self.moves.take(),
            Expectation::Offered => self.offers.take(),
            Expectation::Referred => self.referrals.take(),
            Expectation::Replaced => self.replacements.take(),
            Expectation::Digits(digits) => self.digits_met(digits),
            Expectation::Played => self.played,
            Expectation::Ended => {
                self.end_expected |= self.ended.is_some();
                self.ended.is_some()
            }
            // RTP is counted elsewhere.
            Expectation::Media | Expectation::Silence => false,
        };
        if met { Some(Ok(())) } else { self.hopeless(what).map(Err) }
    }

    /// Why an expectation can no longer be met.
    fn hopeless(&self, what: &Expectation) -> Option<String> {
        if let Some(why) = &self.ended {
            return Some(format!("the call ended first: {}", describe(why)));
        }
        let about_ours = matches!(what, Expectation::Held | Expectation::Resumed | Expectation::Refreshed);
        self.asked.last().filter(|_| about_ours)?.outcome.failure()
    }

    fn held_met(&mut self, of: impl Fn(Side) -> bool, now: bool) -> bool {
        let news = self.holds.iter().skip(self.holds_met).position(|(held, by)| *held && of(*by));
        if let Some(news) = news {
            self.holds_met += news + 1;
        }
        news.is_some() || (now && !self.pending())
    }

    fn resumed_met(&mut self) -> bool {
        let news = self.holds.iter().skip(self.holds_met).position(|(held, _)| !*held);
        if let Some(news) = news {
            self.holds_met += news + 1;
        }
        news.is_some() || (self.held == (false, false) && !self.holds.is_empty() && !self.pending())
    }

    fn changed_met(&self) -> Met {
        match self.asked.last().map(|asked| &asked.outcome) {
            None => Some(Err("nothing was asked of the other side before".to_owned())),
            Some(Outcome::Pending) => None,
            Some(Outcome::Done) => Some(Ok(())),
            Some(outcome) => outcome.failure().map(Err),
        }
    }

    /// The last thing asked was refused, or the call itself.
    fn refused_met(&mut self, wanted: Option<u16>) -> Met {
        let fits = |status: u16| wanted.is_none_or(|wanted| wanted == status);
        if let Some(Ended::Refused { status, by: Side::Them } | Ended::Unauthorized { status }) = self.ended {
            self.end_expected |= fits(status);
            return Some(if fits(status) { Ok(()) } else { Err(format!("it was refused with {status}")) });
        }
        let Some(asked) = self.asked.last_mut() else {
            return self.ended.as_ref().map(|why| Err(format!("the call ended first: {}", describe(why))));
        };
        match &asked.outcome {
            Outcome::Pending => None,
            Outcome::Refused(status) if fits(*status) => {
                asked.expected = true;
                Some(Ok(()))
            }
            Outcome::Done => Some(Err("it was accepted".to_owned())),
            other => other.failure().map(Err),
        }
    }

    fn digits_met(&mut self, digits: &str) -> bool {
        let news = self.digits.get(self.digits_met..).and_then(|news| news.find(digits));
        if let Some(at) = news {
            self.digits_met += at + digits.len();
        }
        news.is_some()
    }
}

impl Outcome {
    fn failure(&self) -> Option<String> {
        match self {
            Self::Pending | Self::Done => None,
            Self::Refused(status) => {
                Some(format!("refused with {}", crate::events::status_text(*status)).trim_end().to_owned())
            }
            Self::Failed(why) => Some(why.clone()),
        }
    }
}

impl<T> From<&Result<T, midcall::Error>> for Outcome {
    fn from(result: &Result<T, midcall::Error>) -> Self {
        match result {
            Ok(_) => Self::Done,
            Err(midcall::Error::Rejected { status }) => Self::Refused(*status),
            Err(error) => Self::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
