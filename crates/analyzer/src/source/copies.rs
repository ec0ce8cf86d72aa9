//! What several taps saw of one packet.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::time::Duration;

use foldhash::quality::RandomState;
use midcall_proto::time::Instant;

use super::{Item, Packet, Rtp};

/// Tells what another source has given already: the same bytes between the same places at the same time.
///
/// A packet that was sent three times is three packets wherever it is seen, so each copy stands for one of another source.
/// Nobody sends anything again within [`NEAR`], and no packet is longer on its way.
#[derive(Default)]
pub(super) struct Copies {
    hash: RandomState,
    messages: Table,
    media: Table,
}

impl Copies {
    /// Whether another source has given this one already.
    pub(super) fn is_copy(&mut self, source: usize, item: &Item) -> bool {
        match item {
            Item::Sip(packet) => {
                let content = content(&self.hash, packet);
                self.messages.is_copy(source, packet.at, content, [packet.from, packet.to])
            }
            Item::Rtp(packet) => {
                let Rtp { payload_type, sequence, timestamp, ssrc, .. } = packet;
                let content = self.hash.hash_one((payload_type, sequence, timestamp, ssrc));
                self.media.is_copy(source, packet.at, content, [packet.from, packet.to])
            }
            Item::Quiet(_) => false,
        }
    }

    /// How many packets were forgotten before another source could have given them.
    pub(super) const fn forgotten(&self) -> u64 {
        self.messages.forgotten + self.media.forgotten
    }
}

/// A fingerprint of a message. What ends it is not always in a log.
pub(super) fn content(hash: &RandomState, packet: &Packet) -> u64 {
    hash.hash_one(packet.payload.trim_ascii_end())
}

/// Whether these may be the same places: a log need not tell both.
pub(super) fn fits(some: [SocketAddr; 2], others: [SocketAddr; 2]) -> bool {
    let same = |one: SocketAddr, other: SocketAddr| {
        one == other || one.ip().is_unspecified() || other.ip().is_unspecified()
    };
    some.into_iter().zip(others).all(|(one, other)| same(one, other))
}

/// The packets of the last time, in two halves: the older one is forgotten at once.
#[derive(Default)]
struct Table {
    fresh: HashMap<u64, Vec<Given>, RandomState>,
    stale: HashMap<u64, Vec<Given>, RandomState>,
    since: Instant,
    forgotten: u64,
}

/// A packet that was given.
struct Given {
    at: Instant,
    ends: [SocketAddr; 2],
    /// The sources that had it.
    by: Vec<usize>,
}

impl Table {
    fn is_copy(&mut self, source: usize, at: Instant, content: u64, ends: [SocketAddr; 2]) -> bool {
        let full = self.fresh.len() >= MOST;
        if full || at.since(self.since) >= NEAR {
            if full {
                self.forgotten += self.stale.len() as u64;
            }
            self.stale = std::mem::take(&mut self.fresh);
            self.since = at;
        }
        let near = |given: &&mut Given| {
            let apart = at.since(given.at).max(given.at.since(at));
            apart < NEAR && fits(given.ends, ends) && !given.by.contains(&source)
        };
        let older = self.stale.get_mut(&content).and_then(|same| same.iter_mut().find(near));
        if let Some(given) = older.or_else(|| self.fresh.get_mut(&content)?.iter_mut().find(near)) {
            given.by.push(source);
            return true;
        }
        let same = self.fresh.entry(content).or_default();
        if same.len() < MOST_COPIES {
            same.push(Given { at, ends, by: vec![source] });
        } else {
            self.forgotten += 1;
        }
        false
    }
}

/// So close together packets of the same bytes are one packet: shorter than the first resend takes (RFC 3261 §17.1.1.2), longer
/// than any flight.
const NEAR: Duration = Duration::from_millis(400);
/// The most different packets in each half.
const MOST: usize = 1 << 16;
/// The most packets of the same bytes.
const MOST_COPIES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Place;
    use midcall_proto::flow::Transport;

    fn packet(millis: u64, from: &str, text: &str) -> Item {
        Item::Sip(Packet {
            at: Instant::from_millis(millis),
            from: from.parse().unwrap(),
            to: "192.0.2.2:5060".parse().unwrap(),
            transport: Transport::Udp,
            payload: text.as_bytes().to_vec(),
            place: Place::default(),
            cut: false,
        })
    }

    const ALICE: &str = "192.0.2.1:5060";

    #[test]
    fn what_was_sent_three_times_is_given_three_times() {
        let mut copies = Copies::default();
        // The second source lacks one, and is late.
        let told: Vec<bool> = [(0, 0), (0, 500), (1, 510), (0, 1_500), (1, 1_510), (1, 1_520)]
            .map(|(source, at)| copies.is_copy(source, &packet(at, ALICE, "INVITE")))
            .to_vec();
        assert_eq!(told, [false, false, true, false, true, false]);
        // One that only the second has, and what one source alone has twice.
        assert!(!copies.is_copy(1, &packet(2_000, ALICE, "ACK")));
        assert!(!copies.is_copy(1, &packet(2_000, ALICE, "ACK")));
    }

    #[test]
    fn what_goes_on_in_the_next_file_is_sent_again() {
        let mut copies = Copies::default();
        assert!(!copies.is_copy(0, &packet(0, ALICE, "INVITE")));
        assert!(!copies.is_copy(1, &packet(500, ALICE, "INVITE")));
    }

    #[test]
    fn another_hop_is_no_copy_and_an_unknown_end_may_be_any() {
        let mut copies = Copies::default();
        assert!(!copies.is_copy(0, &packet(0, ALICE, "BYE\r\n\r\n")));
        assert!(!copies.is_copy(1, &packet(1, "192.0.2.9:5060", "BYE\r\n\r\n")));
        assert!(copies.is_copy(1, &packet(2, "0.0.0.0:0", "BYE")));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_forgotten_counted() {
        let mut copies = Copies::default();
        for nth in 0..3 * MOST {
            copies.is_copy(0, &packet(190_000, ALICE, &nth.to_string()));
        }
        assert!(copies.messages.fresh.len() + copies.messages.stale.len() <= 2 * MOST);
        assert!(copies.forgotten() >= MOST as u64);
        let mut copies = Copies::default();
        for _ in 0..2 * MOST_COPIES {
            copies.is_copy(0, &packet(0, ALICE, "INVITE"));
        }
        assert_eq!(copies.forgotten(), MOST_COPIES as u64);
    }
}
