//! The session of a call as it was agreed, moment by moment.
//!
//! The messages of the call go through an observer of their own once more. After each its dialogs are looked at, and what
//! has become another makes a moment: what is agreed, held, due or transferred is the dialogs' word, not worked out here.

mod look;
mod streams;
#[cfg(test)]
mod tests;

use std::time::Duration;

use midcall_proto::observer::{ChangeOutcome, Kind, Observer, ObserverConfig, Party};
use midcall_wire::{Message as Sip, Method};

use self::look::Look;
use crate::model::{Call, Change, Message, Moment};

/// The moments of a call.
pub(crate) fn tell(call: &Call) -> Vec<Moment> {
    let mut told = Told { call, numbers: Vec::new(), moments: Vec::new() };
    let mut config = ObserverConfig::default();
    // The messages stand in the order of their causes already.
    config.hold_back = Duration::ZERO;
    let mut observer = Observer::new(config);
    let mut looks: Vec<Look> = Vec::new();
    let mut last = None;
    for message in call.messages.iter().filter(|message| !matches!(message.kind, Kind::Again { .. })) {
        let Some(_) = observer.observe(message.at, message.from, message.to, &message.raw) else { continue };
        told.numbers.push(message.n);
        told.outside_dialogs(message);
        told.look(&observer, &mut looks, message);
        told.refused(message);
        last = Some(message);
    }
    if let Some(message) = last {
        observer.finish(message.at);
        told.look(&observer, &mut looks, message);
    }
    told.moments
}

/// What was told so far.
struct Told<'c> {
    call: &'c Call,
    /// The numbers of the messages in the call, by the observer's from 1.
    numbers: Vec<u32>,
    moments: Vec<Moment>,
}

impl Told<'_> {
    /// What became another in the dialogs.
    fn look(&mut self, observer: &Observer, looks: &mut Vec<Look>, message: &Message) {
        let Some(observed) = observer.call(&self.call.call_id) else { return };
        for (index, dialog) in observed.dialogs().iter().enumerate() {
            if looks.len() <= index {
                looks.push(Look::default());
            }
            if let Some(look) = looks.get_mut(index) {
                let view = dialog.of_caller();
                look.compare(&view, message, self);
            }
        }
    }

    /// An INVITE failed before there was a dialog, or was taken back.
    fn outside_dialogs(&mut self, message: &Message) {
        let Ok(sip) = Sip::parse(message.raw.as_slice()) else { return };
        let initial = sip.to().is_ok_and(|to| to.tag().is_none());
        let (caller, callee) = (&self.call.caller.name, &self.call.callee.name);
        let what = match (sip.method(), sip.status()) {
            (Method::Invite, None) if initial => format!("{caller} calls {callee}"),
            (Method::Cancel, None) => format!("{caller} gives up"),
            (Method::Invite, Some(300..)) if !self.changes_with(message.n) => {
                format!("{} refuses: {}", self.who(message.by), reason(&sip))
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
        let Ok(sip) = Sip::parse(message.raw.as_slice()) else { return };
        if sip.status().is_none_or(|status| status < 300) {
            return;
        }
        let what = change.what.join(", ");
        let what = if what.is_empty() { change.method.as_str().to_owned() } else { what };
        let line = format!("{} refuses {what}: {}; the session stays", self.who(message.by), reason(&sip));
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
                self.moments.push(Moment { at, n, by, what, streams: Vec::new(), diff: Vec::new() });
            }
        }
        self.moments.iter_mut().rev().find(|moment| moment.n == message.n)
    }

    /// The message with this number of the observer's.
    fn message(&self, n: u32) -> Option<&Message> {
        self.call.message(*self.numbers.get(usize::try_from(n).ok()?.checked_sub(1)?)?)
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
