//! A packet of the simulated wire and what became of it.

use std::net::SocketAddr;

use midcall_proto::flow::Transport;
use midcall_proto::time::Instant;

use crate::raw::Raw;

/// One packet as the wire saw it, in the order of sending.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Its number, from 1.
    pub number: usize,
    /// When it was sent.
    pub sent: Instant,
    /// By whom.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// Over which transport.
    pub transport: Transport,
    /// On which connection, for a stream.
    pub connection: Option<u64>,
    /// The message.
    pub bytes: Vec<u8>,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is on its way and arrives at this time.
    Flying(Instant),
    /// It waits for [`Network::release`](super::Network::release).
    Held,
    /// It arrived at this time.
    Delivered(Instant),
    /// It never arrived.
    Lost,
    /// Nobody listens at its address; the sender was told.
    Unreachable,
}

impl Packet {
    /// The message, split into text.
    pub fn raw(&self) -> Raw {
        Raw::read(&self.bytes)
    }

    /// When it arrived, if it did.
    pub fn delivered(&self) -> Option<Instant> {
        match self.fate {
            Fate::Delivered(at) => Some(at),
            _ => None,
        }
    }

    /// Whether it was sent before `other` arrived and the other way round: neither sender knew of the other packet.
    pub fn crosses(&self, other: &Self) -> bool {
        let unknown = |earlier: &Self, later: &Self| earlier.delivered().is_none_or(|at| at > later.sent);
        self.from == other.to && self.to == other.from && unknown(self, other) && unknown(other, self)
    }
}
