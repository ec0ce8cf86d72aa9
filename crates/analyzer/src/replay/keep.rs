//! The messages of live calls, kept until their call is told.

use std::collections::HashMap;
use std::net::SocketAddr;

use midcall_proto::flow::Transport;
use midcall_proto::time::Instant;

use crate::source::{Packet, Place};

/// A message as it was captured.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// The observer's number of it.
    pub(super) n: u32,
    pub(super) at: Instant,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) transport: Transport,
    pub(super) place: Place,
    pub(super) cut: bool,
    pub(super) raw: Vec<u8>,
}

impl Stored {
    pub(super) fn new(n: u32, packet: Packet) -> Self {
        let Packet { at, from, to, transport, payload, place, cut } = packet;
        Self { n, at, from, to, transport, place, cut, raw: payload }
    }
}

/// The messages of one call.
#[derive(Debug)]
pub(super) struct Kept {
    /// The number of the call, in the order of beginning, from 1.
    pub(super) number: u32,
    pub(super) messages: Vec<Stored>,
    /// Messages that were not kept, or lost their bytes.
    pub(super) dropped: u64,
    bytes: usize,
    /// Whether a message came since the hand last passed.
    touched: bool,
}

/// The messages of all live calls, bounded in number and bytes.
#[derive(Debug)]
pub(super) struct Keep {
    index: HashMap<Box<str>, usize>,
    slots: Vec<Option<Kept>>,
    free: Vec<usize>,
    begun: u32,
    /// Where in the trace the calls began that were not told of yet.
    untold: Vec<u64>,
    bytes: usize,
    most: usize,
    most_of_call: usize,
    most_messages: usize,
    /// Where the search for a quiet call goes on.
    hand: usize,
}

impl Keep {
    pub(super) fn new(most: usize, most_of_call: usize, most_messages: usize) -> Self {
        Self {
            index: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            begun: 0,
            untold: Vec::new(),
            bytes: 0,
            most,
            most_of_call,
            most_messages,
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
    pub(super) fn store(&mut self, index: u64, call_id: &str, mut message: Stored) {
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
        if kept.bytes + message.raw.len() > self.most_of_call {
            kept.dropped += 1;
            message.raw = Vec::new();
        }
        kept.bytes += message.raw.len();
        self.bytes += message.raw.len();
        kept.messages.push(message);
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
        let kept = Kept { number: self.begun, messages: Vec::new(), dropped: 0, bytes: 0, touched: true };
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
            for message in kept.messages.iter_mut().filter(|message| !message.raw.is_empty()) {
                message.raw = Vec::new();
                kept.dropped += 1;
            }
            return true;
        }
        false
    }
}
