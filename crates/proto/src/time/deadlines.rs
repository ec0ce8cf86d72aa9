//! Deadlines in one heap, with lazy removal.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Instant;
use crate::room::Room;

/// Deadlines of many owners; whoever owns one decides when it is reached whether it still stands.
#[derive(Debug)]
pub struct Deadlines<K> {
    heap: BinaryHeap<Reverse<(Instant, u64, K)>>,
    set: u64,
}

impl<K: Ord + Copy> Default for Deadlines<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord + Copy> Deadlines<K> {
    /// None as yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { heap: BinaryHeap::new(), set: 0 }
    }

    /// Adds a deadline. Of two at the same instant the one set first comes first.
    pub fn set(&mut self, at: Instant, key: K) {
        self.set += 1;
        self.heap.push(Reverse((at, self.set, key)));
    }

    /// The earliest deadline.
    #[must_use]
    pub fn first(&self) -> Option<(Instant, K)> {
        self.heap.peek().map(|Reverse((at, _, key))| (*at, *key))
    }

    /// Takes the earliest deadline out.
    pub fn pop(&mut self) -> Option<(Instant, K)> {
        let first = self.heap.pop();
        self.heap.give_back();
        first.map(|Reverse((at, _, key))| (at, key))
    }

    /// Takes the earliest deadline out if it is reached by now.
    pub fn pop_due(&mut self, now: Instant) -> Option<(Instant, K)> {
        self.first().filter(|(at, _)| *at <= now).and_then(|_| self.pop())
    }

    /// Drops the deadlines nobody wants any more, once they are the most: none of so many owners wants more than a few.
    pub fn tidy(&mut self, owners: usize, wanted: impl Fn(Instant, K) -> bool) {
        if self.heap.len() > SOME * owners + FEW {
            self.heap.retain(|Reverse((at, _, key))| wanted(*at, *key));
            self.heap.give_back();
        }
    }

    /// How many there are, those that nobody wants any more included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

/// More than this many for each owner are mostly unwanted.
const SOME: usize = 8;
/// So many need no tidying.
const FEW: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_come_out_by_time_then_by_order_of_setting() {
        let mut deadlines = Deadlines::new();
        deadlines.set(Instant::from_millis(2), 'c');
        deadlines.set(Instant::from_millis(1), 'b');
        deadlines.set(Instant::from_millis(1), 'a');
        assert_eq!(deadlines.first(), Some((Instant::from_millis(1), 'b')));
        assert_eq!(deadlines.pop_due(Instant::ZERO), None);
        let order: String = std::iter::from_fn(|| deadlines.pop()).map(|(_, key)| key).collect();
        assert_eq!(order, "bac");
        assert_eq!(deadlines.len(), 0);
    }

    #[test]
    fn deadlines_that_nobody_wants_go_once_they_are_the_most() {
        let mut deadlines = Deadlines::new();
        (0..100).for_each(|at| deadlines.set(Instant::from_millis(at), at));
        deadlines.tidy(5, |_, _| false);
        assert_eq!(deadlines.len(), 100);
        deadlines.tidy(4, |at, key| at == Instant::from_millis(key) && key >= 98);
        assert_eq!(
            [deadlines.pop(), deadlines.pop()].map(|one| one.map(|(_, key)| key)),
            [Some(98), Some(99)]
        );
        assert!(deadlines.is_empty());
    }
}
