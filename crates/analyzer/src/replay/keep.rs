//! The messages of live calls, kept until their call is told.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use foldhash::quality::RandomState;
use midcall_proto::flow::Transport;
use midcall_proto::observer::ObservedCall;
use midcall_proto::time::Instant;

use super::pack::{Pack, Packed};

use crate::glance::Glance;
use crate::source::{Packet, Place};
use crate::story::Log;

/// A message as it was captured.
#[derive(Debug)]
pub(super) struct Stored {
    /// The observer's number of it.
    pub(super) n: u32,
    pub(super) at: Instant,
    /// Who sent it and whom it was sent to, among the addresses of its call.
    from: u16,
    to: u16,
    pub(super) transport: Transport,
    /// Its source and its number there: a [`Place`] of its own would take more room.
    source: u16,
    number: u64,
    pub(super) cut: bool,
    raw: Packed,
    pub(super) glance: Glance,
}

impl Stored {
    /// Where in the trace it stands.
    pub(super) const fn place(&self) -> Place {
        Place { source: self.source, number: self.number }
    }
}

/// The messages of one call.
#[derive(Debug)]
pub(super) struct Kept {
    /// The number of the call, in the order of beginning, from 1.
    pub(super) number: u32,
    pub(super) messages: Vec<Stored>,
    /// What its dialogs went through, where that is kept.
    pub(super) log: Option<Box<Log>>,
    addresses: Vec<SocketAddr>,
    pack: Pack,
    /// Messages that were not kept, or lost their bytes.
    pub(super) dropped: u64,
    bytes: usize,
    /// Whether a message came since the hand last passed.
    touched: bool,
}

impl Kept {
    /// Who sent a message of it, and whom it was sent to.
    pub(super) fn ends(&self, message: &Stored) -> (SocketAddr, SocketAddr) {
        let address = |index: u16| self.addresses.get(usize::from(index)).copied().unwrap_or(NOWHERE);
        (address(message.from), address(message.to))
    }

    /// The bytes of a message of it.
    pub(super) fn raw(&self, message: &Stored) -> Vec<u8> {
        self.pack.get(message.raw)
    }

    /// The place of an address among those of the call; it has few of them.
    fn place(&mut self, address: SocketAddr) -> u16 {
        let index = self.addresses.iter().position(|known| *known == address).unwrap_or_else(|| {
            self.addresses.push(address);
            self.addresses.len() - 1
        });
        u16::try_from(index).unwrap_or(u16::MAX)
    }

    fn push(&mut self, n: u32, packet: Packet, glance: Glance) {
        let Packet { at, from, to, transport, payload, place, cut } = packet;
        let (from, to) = (self.place(from), self.place(to));
        let raw = self.pack.put(&payload).unwrap_or_else(|| {
            self.dropped += 1;
            Packed::default()
        });
        if self.messages.len() == self.messages.capacity() {
            // There are many calls with few messages: twice the room would be mostly empty.
            self.messages.reserve_exact(2 + self.messages.len() / 8);
        }
        let Place { source, number } = place;
        self.messages.push(Stored { n, at, from, to, transport, source, number, cut, raw, glance });
    }
}

/// The messages of all live calls, bounded in number and bytes.
#[derive(Debug)]
pub(super) struct Keep {
    index: HashMap<Box<str>, usize, RandomState>,
    slots: Vec<Option<Kept>>,
    free: Vec<usize>,
    begun: u32,
    /// Where in the trace the calls began that were not told of yet.
    untold: Vec<u64>,
    bytes: usize,
    most: usize,
    most_of_call: usize,
    most_messages: usize,
    /// Whether logs are kept of what dialogs go through.
    logs: bool,
    /// Where the search for a quiet call goes on.
    hand: usize,
}

impl Keep {
    pub(super) fn new(most: usize, most_of_call: usize, most_messages: usize, logs: bool) -> Self {
        Self {
            index: HashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            begun: 0,
            untold: Vec::new(),
            bytes: 0,
            most,
            most_of_call,
            most_messages,
            logs,
            hand: 0,
        }
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn calls(&self) -> usize {
        self.index.len()
    }

    /// Where in the trace calls began since the last time.
    pub(super) fn take_begun(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.untold)
    }

    /// Keeps a message of a call; `index` is its place in the trace.
    pub(super) fn store(
        &mut self,
        index: u64,
        call: &ObservedCall,
        n: u32,
        mut packet: Packet,
        glance: Glance,
    ) {
        let call_id = call.call_id();
        let slot = match self.index.get(call_id) {
            Some(slot) => *slot,
            None => {
                self.untold.push(index);
                self.begin(call_id)
            }
        };
        let Some(Some(kept)) = self.slots.get_mut(slot) else { return };
        kept.touched = true;
        if kept.messages.len() >= self.most_messages {
            kept.dropped += 1;
            return;
        }
        if let Some(log) = &mut kept.log {
            log.notice(call, n);
        }
        if kept.bytes + packet.payload.len() > self.most_of_call {
            kept.dropped += 1;
            kept.log = None;
            packet.payload = Vec::new();
        }
        kept.bytes += packet.payload.len();
        self.bytes += packet.payload.len();
        kept.push(n, packet, glance);
        while self.bytes > self.most && self.shed() {}
    }

    /// Hands over what was kept of a call.
    pub(super) fn take(&mut self, call_id: &str) -> Option<Kept> {
        let slot = self.index.remove(call_id)?;
        let kept = self.slots.get_mut(slot)?.take()?;
        self.free.push(slot);
        self.bytes -= kept.bytes;
        Some(kept)
    }

    fn begin(&mut self, call_id: &str) -> usize {
        self.begun = self.begun.saturating_add(1);
        let kept = Kept {
            number: self.begun,
            messages: Vec::new(),
            log: self.logs.then(Box::default),
            addresses: Vec::new(),
            pack: Pack::default(),
            dropped: 0,
            bytes: 0,
            touched: true,
        };
        let slot = self.free.pop().unwrap_or(self.slots.len());
        match self.slots.get_mut(slot) {
            Some(place) => *place = Some(kept),
            None => self.slots.push(Some(kept)),
        }
        self.index.insert(call_id.into(), slot);
        slot
    }

    /// A call that had no message since the hand last passed it loses the bytes of its messages. Whether there was one.
    fn shed(&mut self) -> bool {
        for _ in 0..self.slots.len() * 2 {
            self.hand = (self.hand + 1) % self.slots.len().max(1);
            let Some(Some(kept)) = self.slots.get_mut(self.hand) else { continue };
            if kept.bytes == 0 || std::mem::take(&mut kept.touched) {
                continue;
            }
            self.bytes -= kept.bytes;
            kept.bytes = 0;
            kept.pack = Pack::default();
            kept.log = None;
            for message in kept.messages.iter_mut().filter(|message| !message.raw.is_empty()) {
                message.raw = Packed::default();
                kept.dropped += 1;
            }
            return true;
        }
        false
    }
}

/// An address that nobody has.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
