//! The messages of a call in the order in which they are played, each with what it belongs to.

use midcall_proto::observer::{Kind, Party, Repeat};
use midcall_wire::{Message as Sip, Method, Name, Via};

use super::Unexportable;
use crate::model::{Call, Message};

/// A message to be played.
#[derive(Debug)]
pub(super) struct Line<'c> {
    pub(super) message: &'c Message,
    pub(super) sip: Sip<&'c [u8]>,
    /// Who sends it: the caller or the callee.
    pub(super) by: Party,
    /// The line that this is a copy of.
    pub(super) again: Option<usize>,
    /// The line that this belongs to: of a response its request, of an ACK or PRACK the response, of a CANCEL what it ends.
    pub(super) of: Option<usize>,
}

impl Line<'_> {
    pub(super) fn is(&self, method: Method) -> bool {
        self.sip.is_request() && self.sip.method() == method
    }

    pub(super) fn status(&self) -> Option<u16> {
        self.sip.status()
    }

    pub(super) fn cseq(&self) -> u32 {
        self.sip.cseq().map_or(0, |cseq| cseq.number)
    }

    pub(super) fn senders_tag(&self) -> &str {
        self.sip.from().ok().and_then(|from| from.tag()).unwrap_or_default()
    }

    pub(super) fn receivers_tag(&self) -> &str {
        self.sip.to().ok().and_then(|to| to.tag()).unwrap_or_default()
    }

    /// The branch of its sender.
    pub(super) fn branch(&self) -> &str {
        let own = self.sip.values(Name::Via).last().and_then(|via| Via::parse(via).ok());
        own.and_then(|via| via.branch()).unwrap_or_default()
    }

    pub(super) fn description(&self) -> Option<&str> {
        self.sip.sdp().and_then(|sdp| std::str::from_utf8(sdp).ok()).filter(|sdp| !sdp.trim().is_empty())
    }

    pub(super) fn is_final_of_invite(&self) -> bool {
        self.status().is_some_and(|status| status >= 200) && self.sip.method() == Method::Invite
    }

    pub(super) fn is_reliable(&self) -> bool {
        self.sip.rseq().is_some_and(|rseq| rseq.is_ok()) && self.sip.has_option(Name::Require, "100rel")
    }
}

/// The lines of a call. What a tap saw of one message at several places, or twice at one, is one line.
pub(super) fn lines(call: &Call) -> Result<Vec<Line<'_>>, Unexportable> {
    if call.messages.is_empty() {
        return Err(Unexportable::Empty);
    }
    if call.dropped > 0 {
        return Err(Unexportable::Incomplete);
    }
    let mut lines: Vec<Line<'_>> = Vec::with_capacity(call.messages.len());
    for message in &call.messages {
        let again = match message.kind {
            Kind::First | Kind::Orphan => None,
            Kind::Again { how: Repeat::Hop | Repeat::Duplicate, .. } => continue,
            Kind::Again { of, how: Repeat::Resent | Repeat::Failover } => {
                lines.iter().position(|line| line.message.n == of)
            }
        };
        if message.cut {
            return Err(Unexportable::Cut(message.n));
        }
        let raw = message.raw.as_ref();
        let sip = Sip::parse_partial(raw).ok().or_else(|| Sip::salvage(raw));
        let sip = sip.ok_or(Unexportable::Unreadable(message.n))?;
        let by = side(call, message).ok_or(Unexportable::Stranger(message.n))?;
        let mut line = Line { message, sip, by, again, of: None };
        line.of = belongs(&lines, &line);
        if line.sip.is_response() && line.of.is_none() {
            return Err(Unexportable::Orphan(message.n));
        }
        lines.push(line);
    }
    Ok(lines)
}

/// Who sent a message: of one that fits no side, whoever is not its receiver.
fn side(call: &Call, message: &Message) -> Option<Party> {
    match message.by {
        Party::Network if message.to == call.callee.address => Some(Party::Caller),
        Party::Network if message.to == call.caller.address => Some(Party::Callee),
        Party::Network => None,
        by => Some(by),
    }
}

fn belongs(lines: &[Line<'_>], line: &Line<'_>) -> Option<usize> {
    let last = |fits: &dyn Fn(&Line<'_>) -> bool| {
        lines.iter().rposition(|earlier| earlier.again.is_none() && fits(earlier))
    };
    let (method, cseq) = (line.sip.method(), line.cseq());
    if line.sip.is_response() {
        let asked =
            |earlier: &Line<'_>| earlier.sip.is_request() && earlier.by != line.by && earlier.cseq() == cseq;
        return last(&|earlier| {
            asked(earlier) && earlier.sip.method() == method && earlier.branch() == line.branch()
        })
        .or_else(|| last(&|earlier| asked(earlier) && earlier.sip.method() == method))
        .or_else(|| last(&|earlier| asked(earlier)));
    }
    match method {
        Method::Ack => {
            let answers = |earlier: &Line<'_>| earlier.is_final_of_invite() && earlier.by != line.by;
            last(&|earlier| {
                answers(earlier) && earlier.cseq() == cseq && earlier.receivers_tag() == line.receivers_tag()
            })
            .or_else(|| last(&|earlier| answers(earlier) && earlier.cseq() == cseq))
            .or_else(|| last(&|earlier| answers(earlier)))
        }
        Method::Prack => {
            let told = line.sip.rack().and_then(Result::ok).map(|rack| rack.rseq);
            let reliable = |earlier: &Line<'_>| earlier.is_reliable() && earlier.by != line.by;
            let number = |earlier: &Line<'_>| earlier.sip.rseq().and_then(Result::ok);
            last(&|earlier| {
                reliable(earlier)
                    && number(earlier) == told
                    && earlier.receivers_tag() == line.receivers_tag()
            })
            .or_else(|| last(&|earlier| reliable(earlier)))
        }
        Method::Cancel => {
            let own = |earlier: &Line<'_>| earlier.sip.is_request() && earlier.by == line.by;
            let same = |earlier: &Line<'_>| earlier.cseq() == cseq && earlier.branch() == line.branch();
            last(&|earlier| own(earlier) && same(earlier))
                .or_else(|| last(&|earlier| own(earlier) && earlier.is(Method::Invite)))
        }
        _ => None,
    }
}
