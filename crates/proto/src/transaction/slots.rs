//! A table whose keys say which tenant of a slot they mean.

use crate::room::Room;

/// Where a value lives and how many lived there before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot {
    index: u32,
    generation: u32,
}

/// Values with stable keys: insert, look up and remove in constant time; a key is never valid for a later value.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
    len: usize,
    /// The generation that no slot given back at the end has reached.
    young: u32,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slots<T> {
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new(), free: Vec::new(), len: 0, young: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn insert(&mut self, value: T) -> Slot {
        self.len += 1;
        while let Some(index) = self.free.pop() {
            // Those beyond the end were given back.
            if let Some(entry) = self.entries.get_mut(index as usize).filter(|entry| entry.value.is_none()) {
                entry.value = Some(value);
                return Slot { index, generation: entry.generation };
            }
        }
        let (index, generation) = (u32::try_from(self.entries.len()).unwrap_or(u32::MAX), self.young);
        self.entries.push(Entry { generation, value: Some(value) });
        Slot { index, generation }
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&T> {
        let entry = self.entries.get(slot.index as usize)?;
        if entry.generation == slot.generation { entry.value.as_ref() } else { None }
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        let entry = self.entries.get_mut(slot.index as usize)?;
        if entry.generation == slot.generation { entry.value.as_mut() } else { None }
    }

    pub(crate) fn remove(&mut self, slot: Slot) -> Option<T> {
        let entry = self.entries.get_mut(slot.index as usize)?;
        if entry.generation != slot.generation {
            return None;
        }
        let value = entry.value.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(slot.index);
        self.len -= 1;
        self.give_back();
        Some(value)
    }

    /// Gives memory back behind a rush: free slots at the end, and room for many more than there are.
    fn give_back(&mut self) {
        while let Some(last) = self.entries.pop_if(|entry| entry.value.is_none()) {
            self.young = self.young.max(last.generation);
        }
        let (used, room) = self.entries.used();
        self.entries.give_back();
        if self.entries.capacity() < room {
            self.free.retain(|index| (*index as usize) < used);
            self.free.give_back();
        }
    }

    /// Every value, in slot order.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().filter_map(|entry| entry.value.as_mut())
    }

    /// Every value with its key, in slot order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        self.entries.iter().zip(0u32..).filter_map(|(entry, index)| {
            let value = entry.value.as_ref()?;
            Some((Slot { index, generation: entry.generation }, value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_dies_with_its_value() {
        let mut slots = Slots::new();
        let first = slots.insert('a');
        assert_eq!(slots.remove(first), Some('a'));
        let second = slots.insert('b');
        assert_ne!(first, second);
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get(second), Some(&'b'));
        assert_eq!((slots.len(), slots.iter().count()), (1, 1));
    }

    #[test]
    fn a_rush_leaves_no_memory_behind_and_no_key_alive() {
        let mut slots = Slots::new();
        let keys: Vec<Slot> = (0..10_000).map(|n| slots.insert(n)).collect();
        for (n, key) in keys.iter().enumerate().filter(|(n, _)| *n != 5) {
            assert_eq!(slots.remove(*key), Some(n));
        }
        assert_eq!((slots.len(), slots.get(keys[5])), (1, Some(&5)));
        assert!(slots.entries.capacity() <= 64 && slots.free.capacity() <= 64);
        let again: Vec<Slot> = (0..10_000).map(|n| slots.insert(n)).collect();
        assert!(keys.iter().zip(0..).filter(|(_, n)| *n != 5).all(|(key, _)| slots.get(*key).is_none()));
        assert!(again.iter().zip(0..).all(|(key, n)| slots.get(*key) == Some(&n)));
    }
}
