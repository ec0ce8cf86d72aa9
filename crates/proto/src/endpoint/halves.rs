//! Which call a dialog belongs to, by the half of its name that we made: Call-ID and our tag (RFC 3261 §12.2.2).

use std::hash::{DefaultHasher, Hash, Hasher};

use hashbrown::HashTable;

use crate::event::CallId;
use crate::room::Room;

/// The dialogs of an endpoint. Their names stand in the calls themselves: here is only a hash of each.
#[derive(Default)]
pub(super) struct Halves {
    calls: HashTable<(u32, CallId)>,
}

impl Halves {
    /// The calls that may have the dialog: those of the same hash for which `has` says so.
    pub(super) fn find(&self, call_id: &str, tag: &str, has: impl Fn(CallId) -> bool) -> Option<CallId> {
        let hash = hash(call_id, tag);
        let found = self.calls.find(spread(hash), |(other, call)| *other == hash && has(*call));
        found.map(|(_, call)| *call)
    }

    /// Remembers a dialog of a call. Forks share their half of the name.
    pub(super) fn insert(&mut self, call_id: &str, tag: &str, call: CallId) {
        let entry = (hash(call_id, tag), call);
        if self.calls.find(spread(entry.0), |known| *known == entry).is_none() {
            self.calls.insert_unique(spread(entry.0), entry, |(hash, _)| spread(*hash));
        }
    }

    /// Forgets a dialog of a call.
    pub(super) fn remove(&mut self, call_id: &str, tag: &str, call: CallId) {
        let entry = (hash(call_id, tag), call);
        if let Ok(found) = self.calls.find_entry(spread(entry.0), |known| *known == entry) {
            found.remove();
            self.give_back();
        }
    }
}

impl Room for Halves {
    fn used(&self) -> (usize, usize) {
        (self.calls.len(), self.calls.capacity())
    }

    fn keep(&mut self, room: usize) {
        self.calls.shrink_to(room, |(hash, _)| spread(*hash));
    }
}

/// The Call-ID may be the peer's choice, but the tag is ours and random, so nobody can aim for collisions.
fn hash(call_id: &str, tag: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    (call_id, tag).hash(&mut hasher);
    (hasher.finish() >> 32) as u32
}

/// The table reads both ends of a hash.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_is_found_by_its_name_until_it_is_forgotten() {
        let name = |n: u32| (format!("call-{n}"), format!("tag-{n}"));
        let mut halves = Halves::default();
        for n in 0..10_000 {
            let (call_id, tag) = name(n);
            halves.insert(&call_id, &tag, CallId(n));
            halves.insert(&call_id, &tag, CallId(n)); // a fork
        }
        let find = |halves: &Halves, n: u32| {
            let (call_id, tag) = name(n);
            halves.find(&call_id, &tag, |call| call == CallId(n))
        };
        assert!((0..10_000).all(|n| find(&halves, n) == Some(CallId(n))));
        for n in 0..9_990 {
            let (call_id, tag) = name(n);
            halves.remove(&call_id, &tag, CallId(n));
        }
        assert!((0..9_990).all(|n| find(&halves, n).is_none()));
        assert!((9_990..10_000).all(|n| find(&halves, n).is_some()));
        assert!(halves.used().1 < 200, "the room is given back");
    }

    #[test]
    fn calls_whose_names_hash_alike_are_told_apart_by_the_names() {
        let mut halves = Halves::default();
        halves.insert("call", "tag", CallId(1));
        halves.insert("call", "tag", CallId(2));
        assert_eq!(halves.find("call", "tag", |call| call == CallId(2)), Some(CallId(2)));
        halves.remove("call", "tag", CallId(2));
        assert_eq!(halves.find("call", "tag", |_| true), Some(CallId(1)));
    }
}
