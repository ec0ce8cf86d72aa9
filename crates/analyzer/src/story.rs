//! The session of a call as it was agreed, moment by moment.
//!
//! After each message the dialogs of the call are looked at, and what has become another makes a moment: what is agreed,
//! held, due or transferred is the dialogs' word, not worked out here. It is noted in a [`Log`] while the call is observed,
//! or, where nobody thought of that, while its messages go through an observer of their own once more.

mod log;
mod streams;
#[cfg(test)]
mod tests;
mod turns;

use std::time::Duration;

use midcall_proto::observer::{ChangeOutcome, Kind, Observer, ObserverConfig, Party};
use midcall_wire::sdp::Sdp;
use midcall_wire::{Message as Sip, Method};

pub(crate) use self::log::Log;
use self::turns::Sessions;
use crate::model::{Call, Change, Diff, Message, Moment};
use crate::papers::Papers;

/// The moments of a call, told from its log if there is one.
pub(crate) fn of(call: &Call, papers: &Papers<'_>, log: Option<Box<(Log, Numbers)>>) -> Vec<Moment> {
    match log {
        Some(log) => word(call, papers, log.0, &log.1),
        None => tell(call, papers),
    }
}

/// The moments of a call of which there is no log.
fn tell(call: &Call, papers: &Papers<'_>) -> Vec<Moment> {
    let mut config = ObserverConfig::default();
    // The messages stand in the order of their causes already.
    config.hold_back = Duration::ZERO;
    let mut observer = Observer::new(config);
    let (mut log, mut numbers, mut last) = (Log::default(), Vec::new(), None);
    for message in originals(call) {
        let Some(n) = observer.observe(message.at, message.from, message.to, &message.raw) else { continue };
        numbers.push((n, message.n));
        if let Some(observed) = observer.call(&call.call_id) {
            log.look(observed, n);
        }
        last = Some((n, message.at));
    }
    if let Some((n, at)) = last {
        observer.finish(at);
        if let Some(observed) = observer.call(&call.call_id) {
            log.look(observed, n);
        }
    }
    word(call, papers, log, &Numbers::new(numbers))
}

/// The moments of a call of which there is a log.
fn word(call: &Call, papers: &Papers<'_>, log: Log, numbers: &Numbers) -> Vec<Moment> {
    let mut told = Told { call, papers, numbers, alone: log.alone, moments: Vec::new() };
    let mut sessions = Sessions::default();
    let mut turns = log.turns.into_iter().peekable();
    for message in originals(call) {
        told.outside_dialogs(message);
        while let Some(turn) = turns.next_if(|turn| numbers.of(turn.n).is_none_or(|n| n <= message.n)) {
            told.turn(&mut sessions, turn, message);
        }
        told.refused(message);
    }
    told.moments
}

fn originals(call: &Call) -> impl Iterator<Item = &Message> {
    call.messages.iter().filter(|message| !matches!(message.kind, Kind::Again { .. }))
}

/// The numbers of messages in a call, by the observer's.
#[derive(Clone, Debug)]
pub(crate) struct Numbers(Vec<(u32, u32)>);

impl Numbers {
    /// From pairs of both.
    pub(crate) fn new(mut numbers: Vec<(u32, u32)>) -> Self {
        numbers.sort_unstable();
        Self(numbers)
    }

    /// The number in the call.
    pub(crate) fn of(&self, n: u32) -> Option<u32> {
        let index = self.0.binary_search_by_key(&n, |(observed, _)| *observed).ok()?;
        self.0.get(index).map(|(_, own)| *own)
    }
}

/// What was told so far.
struct Told<'t, 'c> {
    call: &'t Call,
    papers: &'t Papers<'c>,
    numbers: &'t Numbers,
    /// Descriptions that stand in no message.
    alone: Vec<Sdp>,
    moments: Vec<Moment>,
}

impl Told<'_, '_> {
    /// An INVITE failed before there was a dialog, or was taken back.
    fn outside_dialogs(&mut self, message: &Message) {
        // Of most messages the start says that it is neither.
        let other: [&[u8]; 4] = [b"SIP/2.0 1", b"SIP/2.0 2", b"ACK ", b"BYE "];
        if other.iter().any(|start| message.raw.starts_with(start)) {
            return;
        }
        let Some(sip) = self.papers.get(message.n) else { return };
        let initial = sip.to().is_ok_and(|to| to.tag().is_none());
        let (caller, callee) = (&self.call.caller.name, &self.call.callee.name);
        let what = match (sip.method(), sip.status()) {
            (Method::Invite, None) if initial => format!("{caller} calls {callee}"),
            (Method::Cancel, None) => format!("{caller} gives up"),
            (Method::Invite, Some(300..)) if !self.changes_with(message.n) => {
                format!("{} refuses: {}", self.who(message.by), reason(sip))
            }
            _ => return,
        };
        self.tell(message, message.by, what);
    }

    /// A change of the session was refused: it stays as it was.
    fn refused(&mut self, message: &Message) {
        let final_one = |change: &&Change| {
            let failed = matches!(change.outcome, ChangeOutcome::Refused | ChangeOutcome::Glare);
            failed && message.by != change.by && change.messages.contains(&message.n)
        };
        let Some(change) = self.call.changes.iter().find(final_one) else { return };
        let Some(sip) = self.papers.get(message.n) else { return };
        if sip.status().is_none_or(|status| status < 300) {
            return;
        }
        let what = change.what.join(", ");
        let what = if what.is_empty() { change.method.as_str().to_owned() } else { what };
        let line = format!("{} refuses {what}: {}; the session stays", self.who(message.by), reason(sip));
        self.tell(message, message.by, line);
    }

    fn changes_with(&self, n: u32) -> bool {
        self.call.changes.iter().any(|change| change.messages.contains(&n))
    }

    /// Adds to the moment of a message, or begins it.
    fn tell(&mut self, message: &Message, by: Party, what: String) -> Option<&mut Moment> {
        let known = self.moments.iter().rposition(|moment| moment.n == message.n);
        match known.and_then(|index| self.moments.get_mut(index)) {
            Some(moment) => {
                moment.what.push_str("; ");
                moment.what.push_str(&what);
            }
            None => {
                let (at, n) = (message.at, message.n);
                self.moments.push(Moment { at, n, by, what, streams: Vec::new(), diff: Diff::default() });
            }
        }
        self.moments.iter_mut().rev().find(|moment| moment.n == message.n)
    }

    fn who(&self, party: Party) -> String {
        self.call.person(party).map_or_else(|| "the network".to_owned(), |person| person.name.clone())
    }
}

/// Status and phrase of a response.
fn reason<B: AsRef<[u8]>>(sip: &Sip<B>) -> String {
    let phrase = String::from_utf8_lossy(sip.reason_phrase());
    format!("{} {phrase}", sip.status().unwrap_or_default()).trim_end().to_owned()
}
