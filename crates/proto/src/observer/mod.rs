//! A passive reader: it replays what a tap saw through the dialogs of both parties and says which rules were broken.
//!
//! It never speaks. For each dialog it holds two [`Dialog`](crate::dialog::Dialog)s, one for each party, fed from the same
//! messages that an endpoint's own would be; what it finds are breaches of the same rules that endpoints keep.
//!
//! Doubt lives here and nowhere else:
//! - What passed towards a party may not have reached it yet. A message is wrong for [certain](Certainty::Certain) only if it
//!   is wrong whatever had come by then; otherwise it merely [crossed](Certainty::Crossed) another.
//! - A capture may lack messages. Where signs say so (a gap in CSeq, a response to nothing, an ACK for a 2xx that nobody
//!   saw), a breach that a lost message could explain is a [gap](Certainty::CaptureGap); of a dialog whose beginning is not
//!   in the capture nothing of that kind is said before one whole offer/answer exchange.
//!
//! Copies of a message (resends, the same message at several hops, packets captured twice) count, but reach no dialog.
//! Everything that is remembered is bounded, and what falls out is counted.
//!
//! ```
//! use midcall_proto::observer::{Observer, ObserverConfig};
//! use midcall_proto::time::Instant;
//!
//! let mut observer = Observer::new(ObserverConfig::default());
//! let (alice, bob) = ("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap());
//! let invite = b"INVITE sip:bob@192.0.2.2 SIP/2.0\r\n\
//!     Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
//!     From: <sip:alice@192.0.2.1>;tag=a\r\nTo: <sip:bob@192.0.2.2>\r\n\
//!     Call-ID: c1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
//! assert_eq!(observer.observe(Instant::ZERO, alice, bob, invite), Some(1));
//! // RFC 3261 §8.1.1.8: an INVITE names a Contact.
//! assert_eq!(observer.findings()[0].to_string(), "warning caller DLG-22 at 1 (certain)");
//! ```

mod absence;
mod agree;
mod call;
mod change;
mod dialog;
mod facts;
mod finding;
mod gap;
mod held;
mod hint;
mod side;
mod signs;
mod table;
#[cfg(test)]
mod tests;
mod trace;
mod weigh;

use std::net::SocketAddr;
use std::time::Duration;

use midcall_wire::{Message, Method};

pub use agree::agrees;
pub use call::{Kind, ObservedCall, ObservedMessage, ObservedParty};
pub use change::{ChangeOutcome, ObservedChange};
pub use dialog::ObservedDialog;
pub use finding::{Certainty, Finding, Party};
pub use hint::Hint;
pub use trace::Repeat;

use self::call::Bounds;
use self::dialog::Claim;
use self::facts::Facts;
use self::held::Release;
use self::side::Patience;
use self::table::Table;
use crate::dialog::{Envelope, Lists};
use crate::time::Instant;

/// Settings of an [`Observer`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ObserverConfig {
    /// RFC 3261 T1 of the parties.
    pub t1: Duration,
    /// How long a message may be on its way from the tap to its receiver when nothing else tells.
    pub flight: Duration,
    /// How long a message waits for the one that causes it, where a capture has them in the wrong order.
    pub hold_back: Duration,
    /// The smallest step of the clock that the messages were stamped with; rules about shorter times are mute.
    pub resolution: Duration,
    /// The most calls followed at once; beyond, the one that was quiet for longest is let go.
    pub max_calls: usize,
    /// The most calls kept after their end until [`Observer::take_finished`] takes them.
    pub max_finished: usize,
    /// The most dialogs of one call.
    pub max_dialogs: usize,
    /// The most messages remembered of one call.
    pub max_messages: usize,
    /// The most findings kept.
    pub max_findings: usize,
    /// How long a call without any message is followed.
    pub idle: Duration,
}

impl Default for ObserverConfig {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            flight: Duration::from_millis(600),
            hold_back: Duration::from_millis(200),
            resolution: Duration::from_micros(1),
            max_calls: 100_000,
            max_finished: 10_000,
            max_dialogs: 8,
            max_messages: 2_000,
            max_findings: 100_000,
            idle: Duration::from_secs(12 * 3_600),
        }
    }
}

impl ObserverConfig {
    /// How long a call is followed after its end: what was owed then is overdue by that time, and was told.
    #[must_use]
    pub fn linger(&self) -> Duration {
        self.patience().linger()
    }

    /// How long it is followed after its last message at most, for the NOTIFYs of a REFER.
    #[must_use]
    pub const fn longest_linger(&self) -> Duration {
        call::SUBSCRIBED
    }

    const fn patience(&self) -> Patience {
        Patience { t1: self.t1, flight: self.flight, resolution: self.resolution }
    }
}

/// What an observer saw and what it had to leave out.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct ObserverStats {
    /// SIP messages, copies included.
    pub messages: u64,
    /// Inputs that are no SIP.
    pub not_sip: u64,
    /// SIP messages that belong to no call: registrations, subscriptions, requests outside a dialog.
    pub outside: u64,
    /// Calls that were begun.
    pub calls: u64,
    /// Calls that were let go before their end because too many were open.
    pub calls_dropped: u64,
    /// Calls that ended and were thrown away before anybody took them.
    pub finished_dropped: u64,
    /// Findings beyond the most that are kept.
    pub findings_dropped: u64,
}

/// Calls that an observer set [aside](Observer::set_aside), at the time when that was.
#[derive(Debug)]
pub struct Aside {
    table: Table,
    now: Instant,
    last: u32,
}

/// A passive reader of SIP traffic.
#[derive(Debug)]
pub struct Observer {
    config: ObserverConfig,
    table: Table,
    findings: Vec<Finding>,
    stats: ObserverStats,
    lists: Lists,
    now: Instant,
    last: u32,
    /// Where the message observed last went.
    latest: Option<u32>,
}

impl Observer {
    /// An observer with these settings.
    #[must_use]
    pub fn new(config: ObserverConfig) -> Self {
        Self {
            table: Table::new(config.max_calls, config.max_finished),
            config,
            findings: Vec::new(),
            stats: ObserverStats::default(),
            lists: Lists::remembered(),
            now: Instant::ZERO,
            last: 0,
            latest: None,
        }
    }

    /// Takes one message that passed the tap, as a datagram or framed from a stream. Gives its number, counted from 1, or
    /// `None` if it is no SIP.
    pub fn observe(&mut self, at: Instant, from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> Option<u32> {
        let message = Message::parse_partial(bytes).ok();
        let envelope = message.as_ref().map(Envelope::read);
        self.observe_parsed(at, from, to, message.as_ref().zip(envelope.as_ref()))
    }

    /// The same for a message that was read before, with its envelope; `None` if it is no SIP.
    pub fn observe_parsed(
        &mut self,
        at: Instant,
        from: SocketAddr,
        to: SocketAddr,
        message: Option<(&Message<&[u8]>, &Envelope<'_>)>,
    ) -> Option<u32> {
        self.tick(at);
        self.latest = None;
        let Some((message, envelope)) = message else {
            self.stats.not_sip += 1;
            return None;
        };
        self.last = self.last.saturating_add(1);
        self.stats.messages += 1;
        self.sort(Facts::read(self.last, at, from, to, message, envelope), message);
        Some(self.last)
    }

    /// Lets time pass: what is long on its way has come, what never came is told.
    pub fn tick(&mut self, now: Instant) {
        self.now = self.now.max(now);
        while let Some(slot) = self.table.due(self.now) {
            self.wake(slot);
        }
    }

    /// The trace ends here: everything on its way has come, and nothing more will.
    pub fn finish(&mut self, now: Instant) {
        self.tick(now);
        for slot in self.table.slots() {
            self.release(slot, Release::All);
            let Some(entry) = self.table.get_mut(slot) else { continue };
            let claims = entry.call.on_end();
            entry.call.doubt_unseen(self.now, &self.config.patience());
            self.revise(slot);
            self.report(slot, claims);
        }
    }

    /// When a call has something to do next, at the soonest; `None` while no call is followed.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.table.next_due()
    }

    /// Sets the calls aside that are followed; `None` if there are none. Its time and the numbers of its messages begin anew.
    /// Whoever has the messages of many calls can show it one call at a time so, whenever those took place.
    pub fn set_aside(&mut self) -> Option<Aside> {
        let (now, last) = (self.now, self.last);
        (self.now, self.last, self.latest) = (Instant::ZERO, 0, None);
        self.stats = self.stats();
        let table = self.table.set_aside()?;
        Some(Aside { table, now, last })
    }

    /// Follows these calls again, instead of any that it follows now.
    pub fn take_back(&mut self, aside: Aside) {
        self.stats = self.stats();
        Aside { table: self.table, now: self.now, last: self.last } = aside;
        self.latest = None;
    }

    /// Whether a message begins a call, or is of one that began before the trace.
    #[must_use]
    pub fn begins_call(message: &Message<&[u8]>, envelope: &Envelope<'_>) -> bool {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Facts::read(0, Instant::ZERO, nowhere, nowhere, message, envelope)
            .is_some_and(|facts| facts.call_id().is_some() && begins(&facts, message))
    }

    /// From here on messages are stamped by a clock with steps as long as this, if that is coarser than known so far.
    pub fn set_resolution(&mut self, resolution: Duration) {
        self.config.resolution = self.config.resolution.max(resolution.min(NO_CLOCK));
    }

    /// Everything found so far, in the order of finding.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Every call that is still known, ended ones included, in the order of their beginning.
    pub fn calls(&self) -> impl Iterator<Item = &ObservedCall> {
        self.table.calls().into_iter()
    }

    /// The call with this Call-ID, if it is still known.
    #[must_use]
    pub fn call(&self, call_id: &str) -> Option<&ObservedCall> {
        self.table
            .find(call_id)
            .and_then(|slot| self.table.get(slot))
            .map(|entry| &entry.call)
            .or_else(|| self.table.finished().find(|call| call.call_id() == call_id))
    }

    /// The call of the message that was observed last, if that belongs to one that is still followed.
    #[must_use]
    pub fn latest(&self) -> Option<&ObservedCall> {
        self.table.get(self.latest?).map(|entry| &entry.call)
    }

    /// Hands over the calls that ended a little more than 64*T1 ago, in the order of their end. Whoever reads an endless
    /// trace takes them now and then; their findings stay in [`findings`](Self::findings).
    pub fn take_finished(&mut self) -> Vec<ObservedCall> {
        self.table.take_finished()
    }

    /// Hands over the calls that are still followed, in the order of their beginning, and forgets them.
    pub fn take_open(&mut self) -> Vec<ObservedCall> {
        self.latest = None;
        self.table.take_open()
    }

    /// What it saw and what it had to leave out.
    #[must_use]
    pub fn stats(&self) -> ObserverStats {
        ObserverStats {
            calls_dropped: self.stats.calls_dropped + self.table.dropped,
            finished_dropped: self.stats.finished_dropped + self.table.finished_dropped,
            ..self.stats
        }
    }

    const fn bounds(&self) -> Bounds {
        Bounds {
            dialogs: self.config.max_dialogs,
            messages: self.config.max_messages,
            transactions: 128,
            changes: self.config.max_messages / 4,
        }
    }

    /// Finds the call of a message, or begins one.
    fn sort(&mut self, facts: Option<Facts<'_>>, message: &Message<&[u8]>) {
        let Some((facts, call_id)) = facts.and_then(|facts| Some((facts, facts.call_id()?))) else {
            self.stats.outside += 1;
            return;
        };
        let slot = match self.table.find(call_id) {
            Some(slot) => slot,
            None if begins(&facts, message) => {
                self.stats.calls += 1;
                self.table.insert(ObservedCall::new(&facts, call_id))
            }
            None => {
                self.stats.outside += 1;
                return;
            }
        };
        self.latest = Some(slot);
        let deadline = facts.at + self.config.hold_back;
        if facts.is_request() && facts.method != Method::Ack {
            let (sender, ..) = facts.request_key();
            self.release(slot, Release::RequestsOf(sender));
        }
        if self.table.get(slot).is_some_and(|entry| entry.held.is_full()) {
            self.release(slot, Release::All);
        }
        let Some(entry) = self.table.get_mut(slot) else { return };
        entry.touched = true;
        if let Some(cause) = entry.held.cause(&entry.call.trace, &facts) {
            entry.held.push(&facts, message.bytes(), cause);
            self.table.wake_at(slot, deadline);
            return;
        }
        self.take(slot, &facts, message);
        self.release(slot, Release::Before(Instant::ZERO));
        // What passed is on its way for a while, and then someone may owe something.
        self.table.wake_at(slot, self.now.max(facts.at) + self.config.flight);
    }

    fn take(&mut self, slot: u32, facts: &Facts<'_>, message: &Message<&[u8]>) {
        let (patience, bounds) = (self.config.patience(), self.bounds());
        let Some(entry) = self.table.get_mut(slot) else { return };
        let claims = entry.call.take(facts, message, &patience, &bounds, &mut self.lists);
        self.report(slot, claims);
    }

    /// Takes what was held back and need not wait any longer.
    fn release(&mut self, slot: u32, release: Release) {
        loop {
            let Some(entry) = self.table.get_mut(slot).filter(|entry| !entry.held.is_empty()) else { return };
            let Some(held) = entry.held.pop(&entry.call.trace, release) else { return };
            let Ok(message) = Message::parse_partial(held.bytes.as_ref()) else { continue };
            let envelope = Envelope::read(&message);
            if let Some(facts) = Facts::read(held.n, held.at, held.from, held.to, &message, &envelope) {
                self.take(slot, &facts, &message);
            }
        }
    }

    /// A call has something to do by now.
    fn wake(&mut self, slot: u32) {
        self.release(slot, Release::Before(self.now - self.config.hold_back));
        let (now, patience) = (self.now, self.config.patience());
        let Some(entry) = self.table.get_mut(slot) else { return };
        let claims = entry.call.on_time(now, &patience);
        self.revise(slot);
        self.report(slot, claims);
        let Some(entry) = self.table.get_mut(slot) else { return };
        if entry.call.is_done(now, &patience, self.config.idle) {
            self.table.finish(slot);
            return;
        }
        let next = entry.call.next(&patience, self.config.idle);
        let next = entry.held.first().map_or(next, |at| next.min(at + self.config.hold_back));
        // What was due and is not settled by this is looked at again, the longer it takes the less often.
        let pause = if next > now { LOOK } else { LOOK.max(now.since(entry.call.last) / 8) };
        self.table.wake_at(slot, next.max(now + pause));
    }

    /// Findings of a call became doubtful.
    fn revise(&mut self, slot: u32) {
        let Some(entry) = self.table.get_mut(slot) else { return };
        let call_id = entry.call.call_id.clone();
        for (rule, at) in entry.call.revised() {
            let same =
                |known: &&mut Finding| known.at == at && known.rule == rule && known.call_id == call_id;
            if let Some(known) = self.findings.iter_mut().rfind(same) {
                known.doubt(Certainty::CaptureGap);
            }
        }
    }

    fn report(&mut self, slot: u32, claims: Vec<Claim>) {
        let Some(entry) = self.table.get_mut(slot).filter(|_| !claims.is_empty()) else { return };
        for claim in claims {
            let finding = Finding {
                call_id: entry.call.call_id.clone(),
                rule: claim.rule,
                severity: claim.severity,
                certainty: claim.certainty,
                by: claim.by,
                at: claim.at,
                because: claim.because,
            };
            if entry.call.findings.len() < self.config.max_messages {
                entry.call.findings.push(finding.clone());
            }
            if self.findings.len() < self.config.max_findings {
                self.findings.push(finding);
            } else {
                self.stats.findings_dropped += 1;
            }
        }
    }
}

/// The shortest pause between two looks at a call that has no message.
const LOOK: Duration = Duration::from_millis(50);
/// A clock with steps as long as this is none.
const NO_CLOCK: Duration = Duration::from_secs(86_400);

/// Whether a message begins a call, or is of one that began before the trace.
fn begins(facts: &Facts<'_>, message: &Message<&[u8]>) -> bool {
    match facts.method {
        // A REFER outside any dialog moves calls too (RFC 7647 §4).
        Method::Invite | Method::Refer => true,
        Method::Ack | Method::Prack | Method::Update | Method::Bye | Method::Info => !facts.to_tag.is_empty(),
        Method::Notify => {
            !facts.to_tag.is_empty()
                && message.event().is_some_and(|event| event.package.eq_ignore_ascii_case("refer"))
        }
        _ => false,
    }
}
