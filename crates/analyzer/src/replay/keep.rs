//! The messages of live calls, kept until their call is told.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::quality::RandomState;
use midcall_proto::time::{Deadlines, Instant};

use super::kept::{Kept, Quiet};
use crate::source::Packet;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes of all calls and of one.
    pub(super) bytes: usize,
    pub(super) bytes_of_call: usize,
    /// Messages of one call.
    pub(super) messages: usize,
    pub(super) calls: usize,
}

impl Limits {
    /// Whether a call may keep a message of this length.
    pub(super) fn allow(&self, kept: &Kept, length: usize) -> bool {
        kept.messages() < self.messages && kept.bytes + length <= self.bytes_of_call
    }
}

/// The messages of all live calls, bounded in number and bytes.
#[derive(Debug)]
pub(super) struct Keep {
    index: HashMap<Arc<[u8]>, u32, RandomState>,
    slots: Vec<Option<Box<Kept>>>,
    free: Vec<u32>,
    wakes: Deadlines<u32>,
    begun: u32,
    /// Where in the trace the calls began that were not told of yet.
    untold: Vec<u64>,
    bytes: usize,
    limits: Limits,
    quiet: Quiet,
    /// Whether logs are kept of what dialogs go through.
    logs: bool,
    /// Where the search for a quiet call goes on.
    hand: usize,
}

impl Keep {
    pub(super) fn new(limits: Limits, quiet: Quiet, logs: bool) -> Self {
        Self {
            index: HashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            wakes: Deadlines::new(),
            begun: 0,
            untold: Vec::new(),
            bytes: 0,
            limits,
            quiet,
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

    /// Whether there are as many calls as there may be.
    pub(super) fn is_full(&self) -> bool {
        self.index.len() >= self.limits.calls
    }

    /// Whether more bytes are kept than there may be.
    pub(super) const fn is_heavy(&self) -> bool {
        self.bytes > self.limits.bytes
    }

    /// Where in the trace calls began since the last time.
    pub(super) fn take_begun(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.untold)
    }

    /// The call with this Call-ID.
    pub(super) fn find(&self, call_id: &[u8]) -> Option<u32> {
        self.index.get(call_id).copied()
    }

    /// Every call, in the order of their numbers.
    pub(super) fn all(&self) -> Vec<u32> {
        let live = self.index.values().filter_map(|slot| Some((self.kept(*slot)?.number, *slot)));
        let mut all: Vec<(u32, u32)> = live.collect();
        all.sort_unstable();
        all.into_iter().map(|(_, slot)| slot).collect()
    }

    /// Makes room for a call with this Call-ID, whose first message stands here in the trace.
    pub(super) fn begin(&mut self, call_id: &[u8], index: u64) -> u32 {
        let call_id: Arc<[u8]> = call_id.into();
        let mut kept = Box::new(Kept::new(call_id.clone(), self.logs));
        self.number(&mut kept, index);
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(kept);
        }
        self.index.insert(call_id, slot);
        slot
    }

    /// Gives a call its number, if it has none yet.
    pub(super) fn number(&mut self, kept: &mut Kept, index: u64) {
        if kept.number == 0 {
            self.begun = self.begun.saturating_add(1);
            self.untold.push(index);
            kept.number = self.begun;
        }
    }

    /// Whether a call may keep a message of this length.
    pub(super) fn has_room(&self, slot: u32, length: usize) -> bool {
        self.kept(slot).is_some_and(|kept| self.limits.allow(kept, length))
    }

    /// Keeps a message of a call until that is observed.
    pub(super) fn store(&mut self, slot: u32, now: Instant, packet: Packet) {
        let Some(Some(kept)) = self.slots.get_mut(slot as usize) else { return };
        self.bytes += packet.payload.len();
        kept.notice(now, &packet);
        kept.push(packet);
        self.schedule(slot);
    }

    /// Lends a call out, to be [given back](Self::give_back) or [forgotten](Self::forget).
    pub(super) fn lend(&mut self, slot: u32) -> Option<Box<Kept>> {
        let mut kept = self.slots.get_mut(slot as usize)?.take()?;
        kept.wake = Instant::MAX;
        Some(kept)
    }

    /// Takes back a call that was lent, however much of it is left.
    pub(super) fn give_back(&mut self, slot: u32, kept: Box<Kept>) {
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(kept);
        }
        self.schedule(slot);
    }

    /// A message turned out to be none of a call that was lent.
    pub(super) const fn skip(&mut self, kept: &mut Kept, length: usize) {
        kept.bytes -= length;
        self.bytes -= length;
    }

    /// Nothing is left of a call that was lent but this.
    pub(super) fn forget(&mut self, slot: u32, kept: &Kept) {
        self.index.remove(&kept.call_id);
        self.free.push(slot);
        self.told(kept);
    }

    /// What was kept of a call is told, so it weighs nothing any more.
    pub(super) const fn told(&mut self, kept: &Kept) {
        self.bytes -= kept.bytes;
    }

    /// How much is kept.
    pub(super) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A call for which it is time by now, and the time.
    pub(super) fn due(&mut self, now: Instant) -> Option<(u32, Instant)> {
        while let Some((at, slot)) = self.wakes.pop_due(now) {
            let Some(Some(kept)) = self.slots.get_mut(slot as usize) else { continue };
            if kept.wake != at {
                continue;
            }
            kept.wake = Instant::MAX;
            if kept.due(self.quiet) <= at {
                return Some((slot, at));
            }
            self.schedule(slot);
        }
        None
    }

    /// When it is time for this call, if that is by then.
    pub(super) fn due_by(&self, slot: u32, then: Instant) -> Option<Instant> {
        self.kept(slot).map(|kept| kept.due(self.quiet)).filter(|due| *due <= then)
    }

    /// A call that had no message since the hand last passed it, with any bytes if those are what is wanted.
    pub(super) fn quiet(&mut self, bytes: bool) -> Option<u32> {
        for _ in 0..self.slots.len() * 2 {
            self.hand = (self.hand + 1) % self.slots.len().max(1);
            let Some(Some(kept)) = self.slots.get_mut(self.hand) else { continue };
            if (kept.bytes > 0 || !bytes) && !std::mem::take(&mut kept.touched) {
                return u32::try_from(self.hand).ok();
            }
        }
        None
    }

    /// The messages of a call, which were observed, lose their bytes.
    pub(super) fn shed(&mut self, slot: u32) {
        let Some(Some(kept)) = self.slots.get_mut(slot as usize) else { return };
        self.bytes -= kept.shed();
    }

    fn kept(&self, slot: u32) -> Option<&Kept> {
        self.slots.get(slot as usize)?.as_deref()
    }

    /// Wakes a call when there is something to do about it, or sooner.
    fn schedule(&mut self, slot: u32) {
        let Some(Some(kept)) = self.slots.get_mut(slot as usize) else { return };
        let due = kept.due(self.quiet);
        if due < kept.wake {
            kept.wake = due;
            self.wakes.set(due, slot);
        }
        // Calls that were forgotten leave theirs behind.
        let slots = &self.slots;
        let wake = |slot: u32| slots.get(slot as usize)?.as_deref().map(|kept| kept.wake);
        self.wakes.tidy(slots.len(), |at, slot| wake(slot) == Some(at));
    }
}
