//! How a call went, in a line: whether it was answered, and who ended it.

use midcall_proto::observer::Kind;
use midcall_wire::{Message as Sip, Method};

use super::words::{span, whom};
use crate::glance::is_beginning;
use crate::model::{Call, Message};

/// The line.
pub(super) fn course(call: &Call) -> String {
    let began = call.began();
    let since = |message: &Message| span(message.at.since(began));
    let mut facts = Facts::default();
    for message in call.messages.iter().filter(|message| !matches!(message.kind, Kind::Again { .. })) {
        if let Ok(sip) = Sip::parse_partial(message.raw.as_ref()) {
            facts.note(message, &sip);
        }
    }
    let mut parts = Vec::new();
    match (facts.invite, facts.answered, facts.refused) {
        (None, ..) if facts.begins => {}
        (None, ..) => parts.push("begun before the trace".to_owned()),
        (Some(_), Some(answered), _) => parts.push(format!("answered after {}", since(answered))),
        (Some(_), None, Some((refused, status))) => {
            parts.push(format!("refused with {status} after {}", since(refused)));
        }
        (Some(_), None, None) => parts.push("no final answer".to_owned()),
    }
    match (facts.ended, call.messages.last()) {
        (Some(bye), _) => parts.push(format!("{} hung up after {}", whom(call, bye.by), since(bye))),
        (None, Some(last)) if facts.refused.is_none() || facts.answered.is_some() => {
            parts.push(format!("last message after {}", since(last)));
        }
        _ => {}
    }
    parts.join(", ")
}

#[derive(Default)]
struct Facts<'c> {
    /// Whether it begins with a request that is in no dialog yet: with a REFER, say.
    begins: bool,
    invite: Option<u32>,
    answered: Option<&'c Message>,
    refused: Option<(&'c Message, u16)>,
    ended: Option<&'c Message>,
}

impl<'c> Facts<'c> {
    fn note(&mut self, message: &'c Message, sip: &Sip<&[u8]>) {
        let cseq = sip.cseq().map(|cseq| cseq.number).unwrap_or_default();
        self.begins |= message.n == 1 && is_beginning(sip);
        match (sip.method(), sip.status()) {
            (Method::Invite, None) if sip.to().is_ok_and(|to| to.tag().is_none()) => self.invite = Some(cseq),
            (Method::Invite, Some(200..300)) if self.invite == Some(cseq) => {
                self.answered.get_or_insert(message);
            }
            (Method::Invite, Some(status @ 300..)) if self.invite == Some(cseq) => {
                self.refused = Some((message, status));
            }
            (Method::Bye, None) => {
                self.ended.get_or_insert(message);
            }
            _ => {}
        }
    }
}
