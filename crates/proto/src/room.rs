//! Room in tables that a rush of calls left behind.

use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::hash::{BuildHasher, Hash};

/// A table that can give back memory it has no use for.
pub(crate) trait Room {
    /// How many entries it has, and how many it has room for.
    fn used(&self) -> (usize, usize);

    /// Keeps room for so many.
    fn keep(&mut self, room: usize);

    /// Gives back what a rush left: room for four times as many as there are. It stays room for twice as many, so that
    /// the cost for each entry stays the same.
    fn give_back(&mut self) {
        let (used, room) = self.used();
        if room > SMALL && used < room / 4 {
            self.keep(2 * used.max(SMALL / 4));
        }
    }
}

/// So much room is never given back.
const SMALL: usize = 64;

macro_rules! tables {
    ($([$($parameter:tt)*] $Table:ty),+ $(,)?) => {$(
        impl<$($parameter)*> Room for $Table {
            fn used(&self) -> (usize, usize) {
                (self.len(), self.capacity())
            }

            fn keep(&mut self, room: usize) {
                self.shrink_to(room);
            }
        }
    )+};
}

tables!([T] Vec<T>, [T] VecDeque<T>, [T: Ord] BinaryHeap<T>, [K: Eq + Hash, V, S: BuildHasher] HashMap<K, V, S>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rush_leaves_no_room_behind_and_a_few_entries_keep_theirs() {
        let mut table: Vec<u8> = vec![0; 10_000];
        table.truncate(3_000);
        table.give_back();
        assert!(table.capacity() >= 10_000, "a third is in use");
        table.truncate(100);
        table.give_back();
        assert!((200..1_000).contains(&table.capacity()));
        table.clear();
        table.give_back();
        assert!((1..=SMALL).contains(&table.capacity()));
        let small = table.capacity();
        table.give_back();
        assert_eq!(table.capacity(), small);
    }
}
