//! Messages that came before their cause: a response before its request, an ACK before its 2xx, a change before the ACK
//! that its sender sent first. They wait a little.

use std::net::SocketAddr;

use midcall_wire::Method;

use super::facts::Facts;
use super::trace::Transactions;
use crate::time::Instant;

/// What names a request within a call: a print of its sender's tag, its method and its CSeq number.
pub(super) type RequestKey = (u64, Method, u32);

/// What a message waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cause {
    /// The request that it answers.
    Request(RequestKey),
    /// The final response to this INVITE, which it acknowledges.
    Final(RequestKey),
    /// The ACK of this INVITE, which its sender sent before.
    Ack(RequestKey),
    /// The messages that already wait.
    Others,
}

impl Cause {
    /// Whether this message is what is waited for.
    fn is(self, facts: &Facts<'_>) -> bool {
        match self {
            Self::Request(key) => facts.is_request() && facts.request_key() == key,
            Self::Final(key) => facts.status >= Some(200) && facts.request_key() == key,
            Self::Ack(key) => facts.method == Method::Ack && facts.is_request() && facts.invite_key() == key,
            Self::Others => false,
        }
    }
}

/// A message that waits.
#[derive(Clone, Debug)]
pub(super) struct HeldMessage {
    pub(super) n: u32,
    pub(super) at: Instant,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) bytes: Box<[u8]>,
    cause: Cause,
}

/// Which messages need not wait any longer, besides those whose cause has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Release {
    /// Those that came before this time.
    Before(Instant),
    /// Requests of this sender and all before them: it has gone on, so what they wait for is not in the trace.
    RequestsOf(u64),
    /// All.
    All,
}

/// The messages of one call that wait.
#[derive(Clone, Default, Debug)]
pub(super) struct Held(Vec<HeldMessage>);

impl Held {
    /// What this message has to wait for, if it has to.
    pub(super) fn cause(&self, trace: &Transactions, facts: &Facts<'_>) -> Option<Cause> {
        let response = Cause::Request(facts.invite_key());
        if facts.method == Method::Ack && self.0.iter().any(|held| held.cause == response) {
            return Some(Cause::Final(facts.invite_key()));
        }
        let awaited = self.0.iter().any(|held| held.cause.is(facts));
        let behind = (!self.0.is_empty() && !awaited).then_some(Cause::Others);
        trace.lacking_cause(facts).or(behind)
    }

    /// Lets a message wait.
    pub(super) fn push(&mut self, facts: &Facts<'_>, bytes: &[u8], cause: Cause) {
        self.0.push(HeldMessage {
            n: facts.n,
            at: facts.at,
            from: facts.from,
            to: facts.to,
            bytes: bytes.into(),
            cause,
        });
    }

    /// The first message whose cause has come or that need not wait.
    pub(super) fn pop(&mut self, trace: &Transactions, release: Release) -> Option<HeldMessage> {
        let of = |held: &HeldMessage, sender: u64| matches!(held.cause, Cause::Final((tag, ..)) | Cause::Ack((tag, ..)) if tag == sender);
        let gone_on = match release {
            Release::RequestsOf(sender) => self.0.iter().rposition(|held| of(held, sender)),
            _ => None,
        };
        let index = self.0.iter().enumerate().position(|(index, held)| {
            let anyway = match release {
                Release::All => true,
                Release::Before(time) => held.at <= time,
                Release::RequestsOf(_) => gone_on.is_some_and(|last| index <= last),
            };
            anyway || index == 0 && held.cause == Cause::Others || trace.has_come(held.cause)
        })?;
        Some(self.0.remove(index))
    }

    /// Whether no more can wait.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= MOST_HELD
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When the first of them came.
    pub(super) fn first(&self) -> Option<Instant> {
        self.0.iter().map(|held| held.at).min()
    }
}

/// The most messages of one call that wait at once.
const MOST_HELD: usize = 16;
