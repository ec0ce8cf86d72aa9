//! The messages of one call, and where its judgement stands.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use midcall_proto::observer::{Aside, Hint};
use midcall_proto::time::Instant;

use super::clock::Clock;
use crate::glance::Glance;
use crate::source::Packet;
use crate::story::Log;

/// A message that was observed.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) packet: Packet,
    /// The observer's number.
    pub(super) n: u32,
    /// What it says in short.
    pub(super) glance: Glance,
}

/// The messages of one call, and where its judgement stands.
#[derive(Debug)]
pub(super) struct Kept {
    /// The number of the call, in the order of beginning, from 1; 0 before it has one.
    pub(super) number: u32,
    pub(super) seen: Vec<Seen>,
    /// The messages behind them, which were not observed yet.
    pending: VecDeque<Packet>,
    /// What was made of those that were, where the call went on.
    pub(super) aside: Option<Box<Aside>>,
    /// What its dialogs went through, where that is kept.
    pub(super) log: Option<Box<Log>>,
    /// Messages that were not kept, or lost their bytes.
    pub(super) dropped: u64,
    pub(super) bytes: usize,
    pub(super) call_id: Arc<[u8]>,
    /// When its last message was heard, and how far the trace was ahead of its stamp then.
    last: Instant,
    skew: Duration,
    /// Whether it may be over, and whether somebody asked for that.
    closing: bool,
    asked: bool,
    /// When what was observed is to be looked at again, by its own stamps.
    due: Instant,
    /// When it is woken.
    pub(super) wake: Instant,
    /// Whether a message came since the hand last passed.
    pub(super) touched: bool,
}

impl Kept {
    pub(super) fn new(call_id: Arc<[u8]>, logs: bool) -> Self {
        Self {
            number: 0,
            seen: Vec::new(),
            pending: VecDeque::new(),
            aside: None,
            log: logs.then(Box::default),
            dropped: 0,
            bytes: 0,
            call_id,
            last: Instant::ZERO,
            skew: Duration::ZERO,
            closing: true,
            asked: false,
            due: Instant::MAX,
            wake: Instant::MAX,
            touched: true,
        }
    }

    /// How many messages are kept of it.
    pub(super) fn messages(&self) -> usize {
        self.seen.len() + self.pending.len()
    }

    /// Whether this is its Call-ID.
    pub(super) fn is_named(&self, call_id: &str) -> bool {
        *self.call_id == *call_id.as_bytes()
    }

    /// Makes room to observe all that were not.
    pub(super) fn make_room(&mut self) {
        self.seen.reserve(self.pending.len());
    }

    /// When the next of its messages passed that was not observed.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.pending.front().map(|packet| packet.at)
    }

    /// The next of its messages that was not observed.
    pub(super) fn next(&mut self) -> Option<Packet> {
        self.pending.pop_front()
    }

    /// Takes those of its messages apart that were not observed, as those of another call with this Call-ID.
    pub(super) fn split_off(&mut self, logs: bool) -> Self {
        let pending = std::mem::take(&mut self.pending);
        let mut rest = Self::new(self.call_id.clone(), logs && !pending.is_empty());
        (rest.last, rest.skew) = (self.last, self.skew);
        (rest.closing, rest.asked) = (self.closing, self.asked);
        rest.bytes = pending.iter().map(|packet| packet.payload.len()).sum();
        rest.pending = pending;
        self.bytes -= rest.bytes;
        rest
    }

    /// Takes a message that was observed, without its bytes: there is no room for them.
    pub(super) fn push_bare(&mut self, mut seen: Seen, most: usize) {
        self.dropped += 1;
        self.log = None;
        if self.messages() < most {
            seen.packet.payload = Vec::new();
            self.seen.push(seen);
        }
    }

    /// Its messages, which were observed, lose their bytes. How many there were.
    pub(super) fn shed(&mut self) -> usize {
        self.log = None;
        for seen in self.seen.iter_mut().filter(|seen| !seen.packet.payload.is_empty()) {
            seen.packet.payload = Vec::new();
            self.dropped += 1;
        }
        std::mem::take(&mut self.bytes)
    }

    /// It is judged up to now and goes on: it is to be looked at again by then, at the latest.
    pub(super) fn goes_on(&mut self, aside: Box<Aside>, due: Instant) {
        (self.aside, self.due) = (Some(aside), due);
        self.pending.shrink_to_fit();
        (self.closing, self.asked) = (false, false);
    }

    /// A message of it passed when the trace had come as far as this.
    pub(super) fn notice(&mut self, now: Instant, packet: &Packet) {
        let heard = Clock::heard(now, packet.at);
        (self.last, self.skew) = (self.last.max(heard), heard.since(packet.at));
        self.touched = true;
        match Hint::of(&packet.payload) {
            Hint::Ends => (self.closing, self.asked) = (true, true),
            Hint::Fails => self.closing = true,
            Hint::GoesOn => self.closing = self.asked,
            Hint::Nothing => {}
        }
    }

    /// That time of the trace by its own stamps.
    pub(super) fn own(&self, time: Instant) -> Instant {
        time - self.skew
    }

    /// When there is something to do about it: to observe what came, once nothing more did for a while, or what is due by then.
    pub(super) fn due(&self, quiet: Quiet) -> Instant {
        let quiet = self.last + if self.closing { quiet.closing } else { quiet.open };
        let due = self.due + self.skew;
        if self.pending.is_empty() { due } else { quiet.min(due) }
    }

    /// Takes a message.
    pub(super) fn push(&mut self, mut packet: Packet) {
        if self.pending.len() == self.pending.capacity() {
            // There are many calls with few messages: twice the room would be mostly empty.
            self.pending.reserve_exact(6 + self.pending.len() / 2);
        }
        packet.payload.shrink_to_fit();
        self.bytes += packet.payload.len();
        self.pending.push_back(packet);
    }
}

/// How long a call is without a message before it is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quiet {
    /// One that may be over, or that nobody answered yet.
    pub(super) closing: Duration,
    /// One that goes on, as far as anybody can see from afar.
    pub(super) open: Duration,
}
