//! Messages that came before their cause: a response before its request, an ACK before its 2xx. They wait a little.

use std::net::SocketAddr;

use midcall_wire::Method;

use super::call::ObservedCall;
use super::trace::Facts;
use crate::time::Instant;

/// A message that waits.
#[derive(Clone, Debug)]
pub(super) struct HeldMessage {
    pub(super) n: u32,
    pub(super) at: Instant,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) bytes: Box<[u8]>,
    request: bool,
    key: (u64, Method, u32),
}

/// The messages of one call that wait.
#[derive(Clone, Default, Debug)]
pub(super) struct Held(Vec<HeldMessage>);

impl Held {
    /// Whether this message has to wait.
    pub(super) fn holds(&self, call: &ObservedCall, facts: &Facts<'_>) -> bool {
        if self.0.len() >= MOST_HELD {
            return false;
        }
        let acks_held = facts.method == Method::Ack
            && self.0.iter().any(|held| !held.request && held.key == facts.invite_key());
        acks_held || call.trace.lacks_cause(facts)
    }

    /// Lets a message wait.
    pub(super) fn push(&mut self, facts: &Facts<'_>, bytes: &[u8]) {
        self.0.push(HeldMessage {
            n: facts.n,
            at: facts.at,
            from: facts.from,
            to: facts.to,
            bytes: bytes.into(),
            request: facts.is_request(),
            key: facts.request_key(),
        });
    }

    /// The first message whose cause has come, or that has waited long enough.
    pub(super) fn pop(
        &mut self,
        call: &ObservedCall,
        all: bool,
        expired: impl Fn(Instant) -> bool,
    ) -> Option<HeldMessage> {
        let index = self.0.iter().position(|held| {
            let ready = if held.request { call.trace.accepted(held.key) } else { call.trace.has(held.key) };
            all || ready || expired(held.at)
        })?;
        Some(self.0.remove(index))
    }

    /// When the first of them came.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.iter().map(|held| held.at).min()
    }
}

/// The most messages of one call that wait at once.
const MOST_HELD: usize = 8;
