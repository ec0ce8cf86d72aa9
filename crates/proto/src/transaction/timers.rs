//! Deadlines in one heap, with lazy removal.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::room::Room;
use crate::time::Instant;

/// Deadlines of many owners; whoever owns one decides when it is reached whether it still stands.
#[derive(Debug)]
pub(crate) struct Deadlines<K> {
    heap: BinaryHeap<Reverse<(Instant, u64, K)>>,
    set: u64,
}

impl<K: Ord + Copy> Deadlines<K> {
    pub(crate) const fn new() -> Self {
        Self { heap: BinaryHeap::new(), set: 0 }
    }

    /// Adds a deadline. Of two at the same instant the one set first comes first.
    pub(crate) fn set(&mut self, at: Instant, key: K) {
        self.set += 1;
        self.heap.push(Reverse((at, self.set, key)));
    }

    /// The earliest deadline.
    pub(crate) fn first(&self) -> Option<(Instant, K)> {
        self.heap.peek().map(|Reverse((at, _, key))| (*at, *key))
    }

    /// Takes the earliest deadline out.
    pub(crate) fn pop(&mut self) -> Option<(Instant, K)> {
        let first = self.heap.pop();
        self.heap.give_back();
        first.map(|Reverse((at, _, key))| (at, key))
    }

    /// Drops the deadlines nobody wants any more.
    pub(crate) fn retain(&mut self, wanted: impl Fn(Instant, K) -> bool) {
        self.heap.retain(|Reverse((at, _, key))| wanted(*at, *key));
        self.heap.give_back();
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}

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
        let order: String = std::iter::from_fn(|| deadlines.pop()).map(|(_, key)| key).collect();
        assert_eq!(order, "bac");
        assert_eq!(deadlines.len(), 0);
    }
}
