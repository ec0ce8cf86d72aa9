//! Flows: packets of one payload type from one address to another, as stretches of time.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use midcall_proto::time::Instant;

use crate::source::Rtp;

/// All flows that are remembered.
#[derive(Debug, Default)]
pub(super) struct Flows {
    index: HashMap<(SocketAddr, SocketAddr), usize>,
    list: Vec<Flow>,
    /// The flows that begin or end at an address.
    at: HashMap<SocketAddr, Vec<usize>>,
    /// The flow of the last packet, which is often that of the next.
    last: usize,
    pub(super) dropped: u64,
    swept: Instant,
}

/// RTP from one address to another.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) kinds: Vec<Stretches>,
    end: Instant,
}

/// Packets of one payload type.
#[derive(Clone, Debug)]
pub(super) struct Stretches {
    pub(super) payload_type: u8,
    list: Vec<Stretch>,
}

/// Packets without a pause between them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stretch {
    begin: Instant,
    end: Instant,
    packets: u64,
}

impl Flows {
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The flows that begin or end at an address.
    pub(super) fn at(&self, place: SocketAddr) -> impl Iterator<Item = &Flow> {
        self.at.get(&place).into_iter().flatten().filter_map(|index| self.list.get(*index))
    }

    pub(super) fn count(&mut self, packet: &Rtp) {
        let same = |flow: &Flow| flow.from == packet.from && flow.to == packet.to;
        let index = match self.list.get(self.last).filter(|flow| same(flow)) {
            Some(_) => self.last,
            None => match self.index.get(&(packet.from, packet.to)) {
                Some(index) => *index,
                None => match self.begin(packet) {
                    Some(index) => index,
                    None => {
                        self.dropped += 1;
                        return;
                    }
                },
            },
        };
        self.last = index;
        if let Some(flow) = self.list.get_mut(index) {
            flow.count(packet.payload_type, packet.at);
        }
    }

    fn begin(&mut self, packet: &Rtp) -> Option<usize> {
        if self.list.len() >= MOST && packet.at >= self.swept + FORGET_AFTER {
            self.sweep(packet.at);
        }
        if self.list.len() >= MOST {
            return None;
        }
        let index = self.list.len();
        self.list.push(Flow { from: packet.from, to: packet.to, kinds: Vec::new(), end: packet.at });
        self.enter(index, packet.from, packet.to);
        Some(index)
    }

    /// Forgets what has been silent for long; the calls of such flows have been told.
    fn sweep(&mut self, now: Instant) {
        self.swept = now;
        self.list.retain(|flow| flow.end + FORGET_AFTER > now);
        self.index.clear();
        self.at.clear();
        let flows: Vec<_> = self.list.iter().map(|flow| (flow.from, flow.to)).collect();
        for (index, (from, to)) in flows.into_iter().enumerate() {
            self.enter(index, from, to);
        }
        self.last = 0;
    }

    fn enter(&mut self, index: usize, from: SocketAddr, to: SocketAddr) {
        self.index.insert((from, to), index);
        for place in [from, to] {
            let flows = self.at.entry(place).or_default();
            if flows.len() < MOST_AT {
                flows.push(index);
            }
        }
    }
}

impl Flow {
    fn count(&mut self, payload_type: u8, at: Instant) {
        self.end = self.end.max(at);
        let known = self.kinds.iter().position(|kind| kind.payload_type == payload_type);
        let index = match known {
            Some(index) => index,
            None if self.kinds.len() < MOST_KINDS => {
                self.kinds.push(Stretches { payload_type, list: Vec::new() });
                self.kinds.len() - 1
            }
            None => return,
        };
        if let Some(kind) = self.kinds.get_mut(index) {
            kind.count(at);
        }
    }

    /// Packets of all types that passed between two times.
    pub(super) fn between(&self, begin: Instant, end: Instant) -> Passed {
        self.kinds.iter().fold(Passed::default(), |sum, kind| sum.and(kind.between(begin, end)))
    }

    /// The same of what had begun by some time and went on without a pause.
    pub(super) fn going_on(&self, since: Instant, begin: Instant, end: Instant) -> Passed {
        let ends = self.kinds.iter().flat_map(|kind| &kind.list).filter(|stretch| stretch.begin <= since);
        match ends.map(|stretch| stretch.end).max() {
            Some(last) => self.between(begin, end.min(last)),
            None => Passed::default(),
        }
    }
}

impl Stretches {
    fn count(&mut self, at: Instant) {
        let most = self.list.len() >= MOST_STRETCHES;
        match self.list.last_mut() {
            // What is too much to tell apart is taken for one stretch.
            Some(last) if at.since(last.end) < PAUSE || most => {
                last.end = last.end.max(at);
                last.packets += 1;
            }
            _ => self.list.push(Stretch { begin: at, end: at, packets: 1 }),
        }
    }

    /// Packets that passed between two times; of a stretch that reaches beyond, the part by its length.
    pub(super) fn between(&self, begin: Instant, end: Instant) -> Passed {
        let mut passed = Passed::default();
        for stretch in &self.list {
            let (from, to) = (stretch.begin.max(begin), stretch.end.min(end));
            if to < from {
                continue;
            }
            let (part, whole) = (to.since(from), stretch.end.since(stretch.begin));
            let packets = match whole.as_micros() {
                0 => stretch.packets,
                whole => {
                    let share = u128::from(stretch.packets) * part.as_micros() / whole;
                    u64::try_from(share).unwrap_or(stretch.packets)
                }
            };
            passed = passed.and(Passed { packets, time: part, first: Some(from), last: Some(to) });
        }
        passed
    }
}

/// How much passed in some time.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Passed {
    pub(super) packets: u64,
    /// For how long packets came.
    pub(super) time: Duration,
    /// When the first of them came.
    pub(super) first: Option<Instant>,
    /// When the last of them came.
    pub(super) last: Option<Instant>,
}

impl Passed {
    pub(super) fn and(self, other: Self) -> Self {
        let first = [self.first, other.first].into_iter().flatten().min();
        Self {
            packets: self.packets + other.packets,
            time: self.time.max(other.time),
            first,
            last: self.last.max(other.last),
        }
    }

    /// Whether it is more than a few stragglers.
    pub(super) fn is_a_lot(&self) -> bool {
        self.packets >= A_LOT && self.time >= Duration::from_millis(400)
    }
}

/// The most flows that are remembered.
const MOST: usize = 65_536;
/// The most flows that are looked at of one address.
const MOST_AT: usize = 64;
/// The most payload types of one flow.
const MOST_KINDS: usize = 8;
/// The most stretches of one payload type.
const MOST_STRETCHES: usize = 32;
/// A pause that ends a stretch.
const PAUSE: Duration = Duration::from_millis(500);
/// After so much silence a flow may be forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(120);
/// What counts as more than stragglers: a second of usual audio has fifty packets.
const A_LOT: u64 = 20;
