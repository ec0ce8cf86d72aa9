//! A table that forgets what has not been used for long.

use std::collections::HashMap;
use std::collections::hash_map::{Drain, Entry};
use std::hash::Hash;
use std::mem;

use foldhash::quality::RandomState;

/// A table in two halves: what is used moves to the young half, and when that is full, the old half goes.
///
/// So it never holds more than twice its capacity, and what it forgets has not been touched while as many others as its
/// capacity were.
#[derive(Debug)]
pub(super) struct Aging<K, V> {
    young: HashMap<K, V, RandomState>,
    old: HashMap<K, V, RandomState>,
    capacity: usize,
}

impl<K: Eq + Hash + Copy, V> Aging<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { young: HashMap::default(), old: HashMap::default(), capacity: capacity.max(1) }
    }

    /// What is under this key; it is young again.
    pub(super) fn touch(&mut self, key: &K) -> Option<&mut V> {
        if !self.old.is_empty() && !self.young.contains_key(key) {
            let value = self.old.remove(key)?;
            return Some(self.young.entry(*key).or_insert(value));
        }
        self.young.get_mut(key)
    }

    /// What is under this key, or a new one; it is young in any case.
    pub(super) fn touch_or_insert(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        match self.young.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(self.old.remove(&key).unwrap_or_default()),
        }
    }

    pub(super) fn is_young(&self, key: &K) -> bool {
        self.young.contains_key(key)
    }

    /// Whether the young half is full: then [`Aging::rotate`] before the next insertion.
    pub(super) fn is_full(&self) -> bool {
        self.young.len() >= self.capacity
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }

    /// Makes the young old, and gives those that were old before.
    pub(super) fn rotate(&mut self) -> HashMap<K, V, RandomState> {
        mem::replace(&mut self.old, mem::take(&mut self.young))
    }

    /// Empties it, half by half, the old one first.
    pub(super) fn drain(&mut self) -> std::iter::Chain<Drain<'_, K, V>, Drain<'_, K, V>> {
        self.old.drain().chain(self.young.drain())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let mut table = Aging::new(2);
        for key in 0..100 {
            if table.is_full() {
                table.rotate();
            }
            table.insert(key, key * 10);
            assert_eq!(table.touch(&0), Some(&mut 0), "after {key}");
        }
        assert_eq!(table.touch(&50), None);
        assert_eq!(table.remove(&99), Some(990));
        assert!(table.drain().count() <= 4);
    }
}
