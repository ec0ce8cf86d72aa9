//! The calls that an observer follows: found by Call-ID, woken in time, bounded in number.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use super::call::ObservedCall;
use super::held::Held;
use crate::time::{Deadlines, Instant};

/// A call with what the observer needs around it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) call: ObservedCall,
    pub(super) held: Held,
    /// Whether a message came since the hand last passed.
    pub(super) touched: bool,
    wake: Instant,
}

/// The calls.
#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Option<Box<Entry>>>,
    free: Vec<u32>,
    index: HashMap<Arc<str>, u32, BuildHasherDefault<DefaultHasher>>,
    wakes: Deadlines<u32>,
    finished: VecDeque<ObservedCall>,
    most: usize,
    most_finished: usize,
    /// Where the search for a quiet call goes on.
    hand: usize,
    pub(super) dropped: u64,
    pub(super) finished_dropped: u64,
}

impl Table {
    pub(super) fn new(most: usize, most_finished: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            index: HashMap::default(),
            wakes: Deadlines::new(),
            finished: VecDeque::new(),
            most: most.max(1),
            most_finished,
            hand: 0,
            dropped: 0,
            finished_dropped: 0,
        }
    }

    pub(super) fn find(&self, call_id: &str) -> Option<u32> {
        self.index.get(call_id).copied()
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Entry> {
        self.slots.get(slot as usize)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Entry> {
        self.slots.get_mut(slot as usize)?.as_deref_mut()
    }

    pub(super) fn insert(&mut self, call: ObservedCall) -> u32 {
        if self.index.len() >= self.most {
            self.evict();
        }
        let call_id = call.call_id.clone();
        let entry = Box::new(Entry { call, held: Held::default(), touched: true, wake: Instant::MAX });
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(entry);
        }
        self.index.insert(call_id, slot);
        slot
    }

    /// Lets go a call that had no message since the hand last passed it.
    fn evict(&mut self) {
        for _ in 0..self.slots.len() * 2 {
            self.hand = (self.hand + 1) % self.slots.len().max(1);
            let Some(Some(entry)) = self.slots.get_mut(self.hand) else { continue };
            if std::mem::take(&mut entry.touched) {
                continue;
            }
            self.dropped += 1;
            self.finish(u32::try_from(self.hand).unwrap_or(u32::MAX));
            return;
        }
    }

    /// Moves a call to the finished ones.
    pub(super) fn finish(&mut self, slot: u32) {
        let Some(entry) = self.slots.get_mut(slot as usize).and_then(Option::take) else { return };
        self.index.remove(&entry.call.call_id);
        self.free.push(slot);
        if self.finished.len() >= self.most_finished {
            self.finished.pop_front();
            self.finished_dropped += 1;
        }
        if self.most_finished > 0 {
            self.finished.push_back(entry.call);
        }
    }

    /// Wakes a call at this time, unless it is woken sooner.
    pub(super) fn wake_at(&mut self, slot: u32, at: Instant) {
        if let Some(entry) = self.get_mut(slot)
            && at < entry.wake
        {
            entry.wake = at;
            self.wakes.set(at, slot);
        }
        // Calls that ended leave theirs behind.
        let slots = &self.slots;
        let wake = |slot: u32| slots.get(slot as usize)?.as_deref().map(|entry| entry.wake);
        self.wakes.tidy(slots.len(), |at, slot| wake(slot) == Some(at));
    }

    /// When a call is to be woken next, at the soonest.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.wakes.first().map(|(at, _)| at)
    }

    /// A table of its own with the calls that are known, if there are any; this one has none then and counts anew what is
    /// dropped.
    pub(super) fn set_aside(&mut self) -> Option<Self> {
        (self.dropped, self.finished_dropped) = (0, 0);
        if self.index.is_empty() && self.finished.is_empty() {
            self.wakes = Deadlines::new();
            return None;
        }
        let empty = Self::new(self.most, self.most_finished);
        Some(std::mem::replace(self, empty))
    }

    /// A call that is to be woken by now.
    pub(super) fn due(&mut self, now: Instant) -> Option<u32> {
        while let Some((at, slot)) = self.wakes.pop_due(now) {
            if let Some(entry) = self.get_mut(slot).filter(|entry| entry.wake == at) {
                entry.wake = Instant::MAX;
                return Some(slot);
            }
        }
        None
    }

    /// Every call that is followed.
    pub(super) fn slots(&self) -> Vec<u32> {
        self.in_order().into_iter().map(|(slot, _)| slot).collect()
    }

    fn in_order(&self) -> Vec<(u32, &ObservedCall)> {
        let live = self
            .slots
            .iter()
            .enumerate()
            .filter_map(|(slot, entry)| Some((u32::try_from(slot).ok()?, &entry.as_deref()?.call)));
        let mut calls: Vec<_> = live.collect();
        calls.sort_by_key(|(_, call)| call.first());
        calls
    }

    /// Every call that is known, in the order of their beginning.
    pub(super) fn calls(&self) -> Vec<&ObservedCall> {
        let mut calls: Vec<_> = self.finished.iter().collect();
        calls.extend(self.in_order().into_iter().map(|(_, call)| call));
        calls.sort_by_key(|call| call.first());
        calls
    }

    pub(super) fn finished(&self) -> impl Iterator<Item = &ObservedCall> {
        self.finished.iter().rev()
    }

    /// Takes every call that is followed, in the order of their beginning.
    pub(super) fn take_open(&mut self) -> Vec<ObservedCall> {
        self.index.clear();
        self.wakes = Deadlines::new();
        self.free.clear();
        let mut calls: Vec<_> = self.slots.drain(..).flatten().map(|entry| entry.call).collect();
        calls.sort_by_key(ObservedCall::first);
        calls
    }

    pub(super) fn take_finished(&mut self) -> Vec<ObservedCall> {
        std::mem::take(&mut self.finished).into()
    }
}
