//! Tags across calls: each is random and never used twice (RFC 3261 §19.3).

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::net::{IpAddr, SocketAddr};

use super::trace::hash;

type Fixed = BuildHasherDefault<DefaultHasher>;

/// The tags of the calls before.
#[derive(Clone, Default, Debug)]
pub(super) struct Tags {
    /// Each tag with whose it is, its call and its message; by print.
    seen: HashMap<u64, (IpAddr, u64, u32), Fixed>,
    order: VecDeque<u64>,
    /// How each address makes its tags.
    makers: HashMap<IpAddr, Maker, Fixed>,
    addresses: VecDeque<IpAddr>,
}

/// How an address makes its tags, as far as its last one tells.
#[derive(Clone, Copy, Debug)]
struct Maker {
    /// A print of what stands before the number at the end.
    prefix: u64,
    number: u64,
    /// How many came one after the other, and since which message.
    run: u32,
    since: u32,
}

impl Tags {
    /// A party takes a tag in a call. Gives the earlier message that makes this wrong: with the same tag in another call of
    /// the same address, or the first of a row that counts.
    pub(super) fn taken(&mut self, tag: &str, owner: SocketAddr, call_id: &str, n: u32) -> Option<u32> {
        if tag.is_empty() {
            return None;
        }
        let (print, call) = (hash(&[tag.as_bytes()]), hash(&[call_id.as_bytes()]));
        if let Some((before, of, on)) = self.seen.get(&print).copied() {
            // Another address may pass it on from leg to leg.
            return (of != call && before == owner.ip()).then_some(on);
        }
        if self.order.len() >= MOST_TAGS
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        self.order.push_back(print);
        self.seen.insert(print, (owner.ip(), call, n));
        self.counts(tag, owner.ip(), n)
    }

    /// Whether this address only counts: told when the row has its third tag.
    fn counts(&mut self, tag: &str, owner: IpAddr, n: u32) -> Option<u32> {
        let digits = tag.bytes().rev().take_while(u8::is_ascii_digit).count().min(MOST_DIGITS);
        let (prefix, number) = tag.split_at_checked(tag.len() - digits)?;
        let (prefix, number) = (hash(&[prefix.as_bytes()]), number.parse().unwrap_or(0));
        let fresh = Maker { prefix, number, run: 1, since: n };
        let Some(maker) = self.makers.get_mut(&owner) else {
            if self.addresses.len() >= MOST_MAKERS
                && let Some(oldest) = self.addresses.pop_front()
            {
                self.makers.remove(&oldest);
            }
            self.addresses.push_back(owner);
            self.makers.insert(owner, fresh);
            return None;
        };
        let next = digits > 0 && maker.prefix == prefix && Some(number) == maker.number.checked_add(1);
        *maker = if next { Maker { number, run: maker.run.saturating_add(1), ..*maker } } else { fresh };
        (maker.run == ROW).then_some(maker.since)
    }
}

/// The most tags that are remembered.
const MOST_TAGS: usize = 16_384;
/// The most addresses that are remembered.
const MOST_MAKERS: usize = 1_024;
/// How many digits at the end of a tag are read as a number.
const MOST_DIGITS: usize = 18;
/// How many tags in a row show that somebody counts.
const ROW: u32 = 3;
