//! Transactions: one request, its resends, and its responses. RFC 3261 §17 with RFC 6026 and RFC 4320.
//!
//! [`Layer`] owns them all. Above it nobody sees a retransmission: it resends what may be lost, absorbs what
//! comes twice, acknowledges failed INVITEs and says `100` when the user of the layer takes long. What it leaves
//! to its user: the ACK of a 2xx, resending a 2xx until that ACK, and when to send CANCEL.

mod client;
mod key;
mod layer;
mod machine;
mod server;
mod slots;
#[cfg(test)]
mod tests;
mod via;

use std::collections::VecDeque;

use bytes::Bytes;
use midcall_wire::reason_phrase;

pub use client::ClientInfo;
pub use layer::Layer;
pub use machine::{
    InviteClient, InviteClientEvent, InviteServer, InviteServerEvent, RequestClient, RequestClientEvent,
    RequestServer, RequestServerEvent,
};

use crate::Msg;
use crate::flow::Flow;
use crate::time::{Deadlines, Duration, Instant};
use slots::Slot;

/// The three times all transaction timers derive from. RFC 3261 §17.1.1.1, table 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// What a round trip is believed to take.
    pub t1: Duration,
    /// The longest pause between resends of a non-INVITE request or a final response.
    pub t2: Duration,
    /// How long a message may stay in the network.
    pub t4: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) }
    }
}

impl Timers {
    /// 64*T1: timers B, F, H, J, L and M.
    pub fn give_up(&self) -> Duration {
        self.t1.saturating_mul(64)
    }

    /// Timer D: at least 32 s whatever T1 is, for the server's T1 is unknown (RFC 6026 §8.4).
    pub fn failure_kept(&self) -> Duration {
        self.give_up().max(Duration::from_secs(32))
    }

    /// When a client's timer E reaches T2: the time for a 100 to a non-INVITE (RFC 4320 §4.1), 3.5 s by default.
    pub fn until_t2(&self) -> Duration {
        let mut interval = self.t1.max(SHORTEST);
        let mut waited = Duration::ZERO;
        while interval < self.t2 {
            waited += interval;
            interval = interval.saturating_mul(2);
        }
        waited
    }

    /// The same times, none of them so short that a timer would never let go of the clock.
    fn sane(self) -> Self {
        let t1 = self.t1.max(SHORTEST);
        Self { t1, t2: self.t2.max(t1), t4: self.t4 }
    }
}

/// How many transactions a [`Layer`] holds at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests sent.
    pub clients: usize,
    /// Requests received.
    pub servers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { clients: 262_144, servers: 262_144 }
    }
}

/// A request we sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(Slot);

/// A request we received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(Slot);

/// What the layer wants done, or has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send these bytes.
    Transmit {
        /// Where to.
        flow: Flow,
        /// The message.
        bytes: Bytes,
    },
    /// No final response came in time; it counts as 408 (RFC 3261 §8.1.3.1). The transaction is gone.
    ClientTimeout(ClientId),
    /// The request could not be sent; it counts as 503 (RFC 3261 §8.1.3.1). The transaction is gone.
    ClientTransportError(ClientId),
    /// Our failure response to an INVITE was never acknowledged (timer H). [`Action::ServerGone`] follows.
    ServerTimeout(ServerId),
    /// The transaction has ended and takes no more responses.
    ServerGone(ServerId),
    /// An INVITE of ours that was answered with a 2xx: no further 2xx is waited for (timer M). The transaction is gone.
    ClientGone(ClientId),
}

impl Action {
    /// The status code a failure of ours counts as (RFC 3261 §8.1.3.1).
    pub const fn counts_as(&self) -> Option<u16> {
        match self {
            Self::ClientTimeout(_) => Some(408),
            Self::ClientTransportError(_) => Some(503),
            Self::Transmit { .. } | Self::ServerTimeout(_) | Self::ServerGone(_) | Self::ClientGone(_) => {
                None
            }
        }
    }
}

/// The status code to treat a response as: an unknown one as the x00 of its class, an unknown 1xx as 183
/// (RFC 3261 §8.1.3.2).
///
/// ```
/// use midcall_proto::transaction::counts_as;
///
/// assert_eq!([499, 699, 189, 491].map(counts_as), [400, 600, 183, 491]);
/// ```
pub fn counts_as(status: u16) -> u16 {
    let class = status / 100 * 100;
    match status {
        100 | 180..=183 | 199 => status,
        101..=198 => 183,
        // What has no phrase of its own is not known.
        _ if reason_phrase(status) == reason_phrase(class) => class,
        _ => status,
    }
}

/// What a message that came in is.
#[derive(Clone, Debug)]
pub enum Received {
    /// A retransmission, or an ACK that was for the transaction: nothing to do above.
    Absorbed,
    /// A new request. Its top Via has received and rport filled in where they are due.
    Request {
        /// To answer it with.
        id: ServerId,
        /// The request.
        msg: Msg,
        /// Where it came from.
        flow: Flow,
        /// The INVITE that a CANCEL is for; `None` for any other request.
        matches: Option<ServerId>,
    },
    /// An ACK for a 2xx, or for nothing known.
    Ack {
        /// The ACK.
        msg: Msg,
        /// Where it came from.
        flow: Flow,
    },
    /// A provisional response, the first final one, or any 2xx to an INVITE.
    Response {
        /// The request it answers.
        id: ClientId,
        /// The response.
        msg: Msg,
        /// Where it came from.
        flow: Flow,
    },
    /// A response to nothing we sent (RFC 6026 §7.2), or a message without a usable top Via: dropped and counted.
    Stray {
        /// The message.
        msg: Msg,
    },
}

/// What the layer dropped or absorbed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests not sent because too many were pending.
    pub clients_refused: u64,
    /// Requests ignored because too many were pending.
    pub servers_refused: u64,
    /// Responses that matched nothing.
    pub strays: u64,
    /// Copies of a request that had come by another way: answered with 482 (RFC 3261 §8.2.2.2).
    pub merged: u64,
    /// Messages whose top Via could not be read, and responses with more than one Via.
    pub malformed: u64,
    /// Messages that came again.
    pub repeated: u64,
    /// Messages that fit no edge of their machine, such as an ACK before any final response.
    pub unexpected: u64,
    /// Messages sent again.
    pub resent: u64,
}

/// Whose deadline it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Client(Slot),
    Server(Slot),
}

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// A, E, G: send again.
    Resend,
    /// B, D, F, H, I, J, K, L, M: the present state ends.
    End,
    /// The user of the layer has had its time: send 100.
    Trying,
}

/// What a transaction may touch beside itself.
struct Reach<'a> {
    now: Instant,
    timers: &'a Timers,
    deadlines: &'a mut Deadlines<(Owner, Timer)>,
    actions: &'a mut VecDeque<Action>,
    counters: &'a mut Counters,
}

impl Reach<'_> {
    fn transmit(&mut self, flow: Flow, bytes: Bytes) {
        self.actions.push_back(Action::Transmit { flow, bytes });
    }

    fn transmit_again(&mut self, flow: Flow, bytes: Bytes) {
        self.counters.resent += 1;
        self.transmit(flow, bytes);
    }

    /// Sets a deadline and gives back when it is.
    fn set(&mut self, owner: Owner, timer: Timer, at: Instant) -> Option<Instant> {
        self.deadlines.set(at, (owner, timer));
        Some(at)
    }

    /// How long the answer to a resent message must be remembered: zero where nothing is resent.
    fn unless_reliable(&self, flow: &Flow, kept: Duration) -> Duration {
        if flow.transport.reliable() { Duration::ZERO } else { kept }
    }
}

/// The bytes of a message, shared with it.
fn shared(msg: &Msg) -> Bytes {
    // A clone shares the buffer, so what the message spans is a part of it.
    msg.clone().into_source().slice_ref(msg.bytes())
}

/// Resending with growing pauses.
#[derive(Clone, Copy, Debug)]
struct Resend {
    at: Instant,
    interval: Duration,
}

impl Resend {
    /// The next time, `interval` after this one; never in the past, however late the caller woke up.
    fn next(self, now: Instant, interval: Duration) -> Self {
        let at = self.at + interval;
        Self { at: if at > now { at } else { now + interval }, interval }
    }
}

/// The shortest T1 that is believed.
const SHORTEST: Duration = Duration::from_millis(1);
