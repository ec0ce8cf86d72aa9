//! Messages that came before their cause: a response before its request, an ACK before its 2xx, a change before the ACK
//! that its sender sent first. They wait a little.

use std::net::SocketAddr;

use midcall_wire::Method;

use super::trace::{Facts, Transactions};
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
    /// ACKs of this sender, who has gone on: what they acknowledge is not in the trace.
    AcksOf(u64),
    /// All.
    All,
}

/// The messages of one call that wait.
#[derive(Clone, Default, Debug)]
pub(super) struct Held(Vec<HeldMessage>);

impl Held {
    /// What this message has to wait for, if it has to.
    pub(super) fn cause(&self, trace: &Transactions, facts: &Facts<'_>) -> Option<Cause> {
        if self.0.len() >= MOST_HELD {
            return None;
        }
        let response = Cause::Request(facts.invite_key());
        if facts.method == Method::Ack && self.0.iter().any(|held| held.cause == response) {
            return Some(Cause::Final(facts.invite_key()));
        }
        trace.lacking_cause(facts)
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
        let index = self.0.iter().position(|held| {
            let anyway = match (release, held.cause) {
                (Release::All, _) => true,
                (Release::Before(time), _) => held.at <= time,
                (Release::AcksOf(sender), Cause::Final((tag, ..))) => sender == tag,
                (Release::AcksOf(_), _) => false,
            };
            anyway || trace.has_come(held.cause)
        })?;
        Some(self.0.remove(index))
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
const MOST_HELD: usize = 8;
