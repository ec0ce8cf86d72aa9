//! How a message finds its transaction: RFC 3261 §17.1.3 and §17.2.3.

use std::collections::HashMap;
use std::hash::{BuildHasher, DefaultHasher, Hasher};

use midcall_wire::{Method, Name, NameAddr, Via};
use smallvec::SmallVec;

use super::slots::Slot;
use crate::Msg;
use crate::flow::Transport;
use crate::room::Room;

/// The bytes two messages of one transaction have in common.
pub(super) type Key = SmallVec<[u8; 128]>;

/// Transactions by key.
///
/// The hash is keyed with a seed, so that nobody outside can aim for collisions, and repeats with it.
#[derive(Debug)]
pub(super) struct Index {
    map: HashMap<Box<[u8]>, Slot, Seeded>,
}

#[derive(Clone, Debug)]
struct Seeded(u64);

impl BuildHasher for Seeded {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

impl Index {
    pub(super) fn new(seed: u64) -> Self {
        Self { map: HashMap::with_hasher(Seeded(seed)) }
    }

    pub(super) fn find(&self, key: &[u8]) -> Option<Slot> {
        self.map.get(key).copied()
    }

    pub(super) fn insert(&mut self, key: Box<[u8]>, slot: Slot) {
        self.map.insert(key, slot);
    }

    /// A tag for the response to the request with that key: the same for every copy, and nobody else's.
    pub(super) fn tag(&self, key: &[u8]) -> String {
        format!("{:016x}", self.map.hasher().hash_one(key))
    }

    /// Forgets the key, unless it meanwhile means another transaction.
    pub(super) fn remove(&mut self, key: &[u8], slot: Slot) {
        if self.find(key) == Some(slot) {
            self.map.remove(key);
            self.map.give_back();
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.map.len()
    }
}

/// The key of a request we send, and of the responses to it.
///
/// Branch and CSeq method find the transaction; sent-by is in it because a response whose top Via is not ours
/// is to be dropped (RFC 3261 §18.1.2).
pub(super) fn of_client(via: &Via<'_>, branch: &str, method: &str) -> Key {
    by_branch(via, branch, method)
}

/// The key of a request we receive, as if its method were `method`.
pub(super) fn of_server(msg: &Msg, via: &Via<'_>, method: &str) -> Key {
    match modern_branch(via) {
        Some(branch) => by_branch(via, branch, method),
        None => by_headers(msg, method, msg.to().ok().and_then(|to| to.tag()).unwrap_or_default()),
    }
}

/// The keys under which the INVITE of an ACK may be found: as one sent inside a dialog, and as one that made it.
///
/// RFC 3261 §17.2.3: without the magic cookie the To tag of an ACK is that of the response, which an initial
/// INVITE did not have. Whoever finds a transaction by the second key has to compare the tag with the response.
pub(super) fn of_ack(msg: &Msg, via: &Via<'_>) -> (Key, Option<Key>) {
    let key = of_server(msg, via, "INVITE");
    let second = modern_branch(via).is_none().then(|| by_headers(msg, "INVITE", ""));
    (key, second)
}

/// The key that copies of one request have in common which came by different ways (RFC 3261 §8.2.2.2).
///
/// Only a request without a To tag can be such a copy. A CANCEL goes with its INVITE.
pub(super) fn of_copies(msg: &Msg) -> Option<Key> {
    let (from, to, cseq) = (msg.from().ok()?, msg.to().ok()?, msg.cseq().ok()?);
    if to.tag().is_some() || matches!(cseq.method, Method::Cancel | Method::Ack) {
        return None;
    }
    let mut key = Key::new();
    key.push(b'\t'); // no method starts so
    key.extend_from_slice(&cseq.number.to_be_bytes());
    for part in [cseq.name, from.tag()?, msg.call_id().ok()?] {
        key.extend_from_slice(part.as_bytes());
        key.push(0);
    }
    Some(key)
}

/// The branch, if it is one that identifies the transaction by itself (RFC 3261 §8.1.1.7).
///
/// A bare magic cookie identifies nothing (RFC 4475 §3.2.1).
pub(super) fn modern_branch<'a>(via: &Via<'a>) -> Option<&'a str> {
    let branch = via.branch()?;
    let (cookie, rest) = branch.split_at_checked(COOKIE.len())?;
    (cookie.eq_ignore_ascii_case(COOKIE) && !rest.is_empty()).then_some(branch)
}

fn by_branch(via: &Via<'_>, branch: &str, method: &str) -> Key {
    let default = Transport::parse(via.transport).map_or(5060, Transport::default_port);
    let mut key = Key::new();
    key.extend_from_slice(method.as_bytes());
    key.push(0);
    key.extend(via.host.bytes().map(|byte| byte.to_ascii_lowercase()));
    key.push(0);
    key.extend_from_slice(&via.port.unwrap_or(default).to_be_bytes());
    key.extend_from_slice(branch.as_bytes());
    key
}

/// RFC 3261 §17.2.3 for peers of RFC 2543: all that must be equal stands in the key.
fn by_headers(msg: &Msg, method: &str, to_tag: &str) -> Key {
    let from = msg.from().ok();
    let number = msg.cseq().map(|cseq| cseq.number).unwrap_or_default();
    let mut key = Key::new();
    key.push(b'\n'); // no method starts so: the two kinds of key never meet
    key.extend_from_slice(&number.to_be_bytes());
    let parts = [
        method,
        msg.request_uri().unwrap_or_default(),
        from.as_ref().and_then(NameAddr::tag).unwrap_or_default(),
        to_tag,
        msg.call_id().unwrap_or_default(),
        msg.values(Name::Via).next().unwrap_or_default(),
    ];
    for part in parts {
        key.extend_from_slice(part.as_bytes());
        key.push(0);
    }
    key
}

/// What branches start with since RFC 3261.
const COOKIE: &str = "z9hG4bK";
