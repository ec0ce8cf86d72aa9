//! The messages of one call, and where its judgement stands.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use midcall_proto::flow::Transport;
use midcall_proto::observer::{Aside, Hint};
use midcall_proto::time::Instant;

use super::clock::Clock;
use super::pack::{Pack, Packed};
use crate::glance::Glance;
use crate::source::{Packet, Place};
use crate::story::Log;

/// A message as it was captured.
#[derive(Debug)]
pub(super) struct Stored {
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
}

impl Stored {
    /// Where in the trace it stands.
    pub(super) const fn place(&self) -> Place {
        Place { source: self.source, number: self.number }
    }
}

/// The messages of one call, and where its judgement stands.
#[derive(Debug)]
pub(super) struct Kept {
    /// The number of the call, in the order of beginning, from 1; 0 before it has one.
    pub(super) number: u32,
    pub(super) messages: Vec<Stored>,
    /// Those of them that were observed: the observer's number and what they say in short.
    pub(super) seen: Vec<(u32, Glance)>,
    /// What was made of those, where the call went on.
    pub(super) aside: Option<Box<Aside>>,
    /// What its dialogs went through, where that is kept.
    pub(super) log: Option<Box<Log>>,
    addresses: Vec<SocketAddr>,
    pack: Pack,
    /// Messages that were not kept, or lost their bytes.
    pub(super) dropped: u64,
    pub(super) bytes: usize,
    /// Whether there were messages that turned out to be none of it.
    skipped: bool,
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
            messages: Vec::new(),
            seen: Vec::new(),
            aside: None,
            log: logs.then(Box::default),
            addresses: Vec::new(),
            pack: Pack::default(),
            dropped: 0,
            bytes: 0,
            skipped: false,
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

    /// Who sent a message of it, and whom it was sent to.
    pub(super) fn ends(&self, message: &Stored) -> (SocketAddr, SocketAddr) {
        let address = |index: u16| self.addresses.get(usize::from(index)).copied().unwrap_or(NOWHERE);
        (address(message.from), address(message.to))
    }

    /// Whether this is its Call-ID.
    pub(super) fn is_named(&self, call_id: &str) -> bool {
        *self.call_id == *call_id.as_bytes()
    }

    /// The bytes of all its messages.
    pub(super) fn unpack(&self) -> Plain {
        let mut plain = Plain::with_room(self.bytes, self.messages.len());
        self.messages.iter().for_each(|message| plain.add(&self.pack, message));
        plain
    }

    /// Room for the bytes of the messages that were not observed; exactly as much as it takes if that are all.
    pub(super) fn room(&self) -> Plain {
        if self.seen.is_empty() {
            Plain::with_room(self.bytes, self.messages.len())
        } else {
            Plain::default()
        }
    }

    /// The next of its messages that was not observed: when it passed, from whom to whom, and its bytes.
    pub(super) fn next<'p>(
        &self,
        plain: &'p mut Plain,
    ) -> Option<(Instant, (SocketAddr, SocketAddr), &'p [u8])> {
        let message = self.messages.get(self.seen.len())?;
        plain.add(&self.pack, message);
        Some((message.at, self.ends(message), plain.last()))
    }

    /// When the next of its messages passed that was not observed.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.messages.get(self.seen.len()).map(|message| message.at)
    }

    /// Takes those of its messages apart that were not observed, as those of another call with this Call-ID.
    pub(super) fn split_off(&mut self, logs: bool) -> Self {
        let pending = self.seen.len() < self.messages.len();
        let mut rest = Self::new(self.call_id.clone(), logs && pending);
        (rest.last, rest.skew) = (self.last, self.skew);
        (rest.closing, rest.asked) = (self.closing, self.asked);
        for message in self.messages.split_off(self.seen.len()) {
            let packet = self.packet(&message);
            self.bytes -= packet.payload.len();
            rest.push(packet);
        }
        rest
    }

    /// A message of it as it came.
    fn packet(&self, message: &Stored) -> Packet {
        let ((from, to), place) = (self.ends(message), message.place());
        let mut payload = Vec::new();
        self.pack.get(message.raw, &mut payload);
        let Stored { at, transport, cut, .. } = *message;
        Packet { at, from, to, transport, payload, place, cut }
    }

    /// Takes a message that was observed, without its bytes: there is no room for them.
    pub(super) fn push_bare(&mut self, n: u32, glance: Glance, mut packet: Packet, most: usize) {
        self.dropped += 1;
        self.log = None;
        if self.messages.len() < most {
            packet.payload = Vec::new();
            self.push(packet);
            self.seen.push((n, glance));
        }
    }

    /// That one turned out to be none of it.
    pub(super) fn skip(&mut self) {
        self.messages.remove(self.seen.len());
        self.skipped = true;
    }

    /// Gives back the room that messages took which were none of it. How many bytes of them there were.
    pub(super) fn clean_up(&mut self) -> usize {
        if !std::mem::take(&mut self.skipped) {
            return 0;
        }
        let packets: Vec<Packet> = self.messages.iter().map(|message| self.packet(message)).collect();
        let bytes = std::mem::take(&mut self.bytes);
        (self.messages, self.addresses, self.pack) = (Vec::new(), Vec::new(), Pack::default());
        packets.into_iter().for_each(|packet| self.push(packet));
        bytes - self.bytes
    }

    /// Its messages, which were observed, lose their bytes. How many there were.
    pub(super) fn shed(&mut self) -> usize {
        self.pack = Pack::default();
        self.log = None;
        for message in self.messages.iter_mut().filter(|message| !message.raw.is_empty()) {
            message.raw = Packed::default();
            self.dropped += 1;
        }
        std::mem::take(&mut self.bytes)
    }

    /// It is judged up to now and goes on: it is to be looked at again by then, at the latest.
    pub(super) fn goes_on(&mut self, aside: Box<Aside>, due: Instant) {
        (self.aside, self.due) = (Some(aside), due);
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
        let pending = self.seen.len() < self.messages.len();
        let quiet = self.last + if self.closing { quiet.closing } else { quiet.open };
        let due = self.due + self.skew;
        if pending { quiet.min(due) } else { due }
    }

    /// The place of an address among those of the call; it has few of them.
    fn place(&mut self, address: SocketAddr) -> u16 {
        let index = self.addresses.iter().position(|known| *known == address);
        let index = index.unwrap_or(self.addresses.len());
        let place = u16::try_from(index).unwrap_or(u16::MAX);
        if index == self.addresses.len() && place < u16::MAX {
            self.addresses.push(address);
        }
        place
    }

    /// Takes a message.
    pub(super) fn push(&mut self, packet: Packet) {
        let Packet { at, from, to, transport, payload, place, cut } = packet;
        let (from, to) = (self.place(from), self.place(to));
        let raw = self.pack.put(&payload).unwrap_or_else(|| {
            self.dropped += 1;
            Packed::default()
        });
        if self.messages.len() == self.messages.capacity() {
            // There are many calls with few messages: twice the room would be mostly empty.
            self.messages.reserve_exact(6 + self.messages.len() / 2);
        }
        self.bytes += payload.len();
        let Place { source, number } = place;
        self.messages.push(Stored { at, from, to, transport, source, number, cut, raw });
    }
}

/// The bytes of messages one after the other, as they came.
#[derive(Debug, Default)]
pub(super) struct Plain {
    pub(super) bytes: Vec<u8>,
    /// Where each of them ends.
    pub(super) ends: Vec<usize>,
}

impl Plain {
    fn with_room(bytes: usize, messages: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(messages) }
    }

    fn add(&mut self, pack: &Pack, message: &Stored) {
        pack.get(message.raw, &mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    fn last(&self) -> &[u8] {
        let begin = self.ends.iter().rev().nth(1).copied().unwrap_or_default();
        self.bytes.get(begin..).unwrap_or_default()
    }

    /// Forgets the last message.
    pub(super) fn pop(&mut self) {
        self.ends.pop();
        self.bytes.truncate(self.ends.last().copied().unwrap_or_default());
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

/// An address that nobody has.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
