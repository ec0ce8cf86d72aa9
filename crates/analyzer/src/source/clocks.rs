//! How far the clocks of several taps are apart, from the packets that they both saw.
//!
//! A packet that passes two taps is stamped late by its flight at the second, one that goes the other way at the first: the
//! middle of both differences is that of the clocks.

use std::collections::HashMap;
use std::net::SocketAddr;

use foldhash::quality::RandomState;
use midcall_proto::time::Instant;

use super::Packet;
use super::copies::{content, fits};

/// A packet at the beginning of a source.
type Sight = (Instant, [SocketAddr; 2]);

/// The beginnings of several sources, to be compared.
#[derive(Default)]
pub(super) struct Clocks {
    hash: RandomState,
    sources: Vec<HashMap<u64, Vec<Sight>, RandomState>>,
}

impl Clocks {
    /// Takes the beginning of the next source.
    pub(super) fn add<'i>(&mut self, packets: impl Iterator<Item = (Instant, &'i Packet)>) {
        let mut sights: HashMap<u64, Vec<Sight>, RandomState> = HashMap::default();
        for (at, packet) in packets {
            sights.entry(content(&self.hash, packet)).or_default().push((at, [packet.from, packet.to]));
        }
        self.sources.push(sights);
    }

    /// By how many microseconds each source is fast against the one with this number, where packets tell.
    pub(super) fn fast(&self, reference: usize) -> Vec<Option<i64>> {
        let mut known: Vec<Option<i64>> = vec![None; self.sources.len()];
        if let Some(own) = known.get_mut(reference) {
            *own = Some(0);
        }
        // Each round reaches those that share packets with one that is known.
        loop {
            let found = (0..known.len()).filter(|nth| known.get(*nth) == Some(&None)).find_map(|nth| {
                let to = |(other, fast): (usize, &Option<i64>)| Some((*fast)? + self.apart(other, nth)?);
                Some((nth, known.iter().enumerate().find_map(to)?))
            });
            match found {
                Some((nth, fast)) => {
                    if let Some(own) = known.get_mut(nth) {
                        *own = Some(fast);
                    }
                }
                None => return known,
            }
        }
    }

    /// By how many microseconds the second source is fast against the first: as the most of their packets say, each taken for
    /// each that has the same bytes.
    fn apart(&self, one: usize, other: usize) -> Option<i64> {
        let (one, other) = (self.sources.get(one)?, self.sources.get(other)?);
        let mut votes: Vec<(i64, bool)> = Vec::new();
        for (content, sights) in one {
            let Some(others) = other.get(content) else { continue };
            for (here, [from, to]) in sights.iter().take(MOST_COPIES) {
                let same = others.iter().take(MOST_COPIES).filter(|(_, ends)| fits([*from, *to], *ends));
                votes
                    .extend(same.map(|(there, _)| (signed(*there).saturating_sub(signed(*here)), from < to)));
            }
        }
        votes.sort_unstable();
        let agreed = densest(&votes);
        // Resends of what another file ends with are few among what follows.
        let (here, there) = (count(one), count(other));
        if agreed.len() < FEWEST || agreed.len() * 2 < here.min(there) {
            return None;
        }
        let middle = |forth: bool| {
            let way: Vec<i64> = agreed.iter().filter(|vote| vote.1 == forth).map(|vote| vote.0).collect();
            way.get(way.len() / 2).copied()
        };
        match (middle(true), middle(false)) {
            (Some(forth), Some(back)) => Some(forth.midpoint(back)),
            // The flight is in it, and may be all of it.
            (Some(only), None) | (None, Some(only)) => Some(only).filter(|only| only.abs() > LONGEST_FLIGHT),
            (None, None) => None,
        }
    }
}

/// The most votes that differ by no more than packets on their way do.
fn densest(votes: &[(i64, bool)]) -> &[(i64, bool)] {
    let mut best: &[(i64, bool)] = &[];
    let mut begin = 0;
    for (end, (difference, _)) in votes.iter().enumerate() {
        while votes.get(begin).is_some_and(|first| difference.saturating_sub(first.0) > 2 * LONGEST_FLIGHT) {
            begin += 1;
        }
        let agreed = votes.get(begin..=end).unwrap_or_default();
        if agreed.len() > best.len() {
            best = agreed;
        }
    }
    best
}

fn count(sights: &HashMap<u64, Vec<Sight>, RandomState>) -> usize {
    sights.values().map(Vec::len).sum()
}

fn signed(at: Instant) -> i64 {
    i64::try_from(at.as_micros()).unwrap_or(i64::MAX)
}

/// So many packets must have been seen by both.
const FEWEST: usize = 3;
/// So many packets of the same bytes are looked at.
const MOST_COPIES: usize = 16;
/// How long a packet may be on its way between two taps, in microseconds: half the time after which it is sent again.
const LONGEST_FLIGHT: i64 = 200_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Place;
    use midcall_proto::flow::Transport;

    /// Messages by their text: when each was seen, and whether it came from the first place.
    fn sights(seen: &[(&str, u64, bool)]) -> Vec<Packet> {
        let places: [SocketAddr; 2] = ["192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap()];
        let packet = |(text, at, forth): &(&str, u64, bool)| {
            let [from, to] = if *forth { places } else { [places[1], places[0]] };
            Packet {
                at: Instant::from_millis(*at),
                from,
                to,
                transport: Transport::Udp,
                payload: text.as_bytes().to_vec(),
                place: Place::default(),
                cut: false,
            }
        };
        seen.iter().map(packet).collect()
    }

    fn fast(sources: &[&[(&str, u64, bool)]], reference: usize) -> Vec<Option<i64>> {
        let mut clocks = Clocks::default();
        for seen in sources {
            let packets = sights(seen);
            clocks.add(packets.iter().map(|packet| (packet.at, packet)));
        }
        clocks.fast(reference)
    }

    /// Three messages one way.
    fn three(names: [&'static str; 3], at: u64) -> Vec<(&'static str, u64, bool)> {
        names.iter().zip(0..).map(|(name, nth)| (*name, at + nth * 100, true)).collect()
    }

    const CALL: [&str; 3] = ["INVITE", "ACK", "UPDATE"];

    #[test]
    fn the_flight_of_packets_both_ways_cancels_out() {
        // An hour and 30 ms, at a distance of 20 ms.
        let caller: &[_] =
            &[("INVITE", 10_000_000, true), ("200", 10_000_100, false), ("ACK", 10_000_110, true)];
        let callee: &[_] =
            &[("INVITE", 13_600_050, true), ("200", 13_600_110, false), ("ACK", 13_600_160, true)];
        assert_eq!(fast(&[caller, callee], 0), [Some(0), Some(3_600_030_000)]);
        assert_eq!(fast(&[caller, callee], 1), [Some(-3_600_030_000), Some(0)]);
    }

    #[test]
    fn one_way_tells_only_what_no_flight_explains() {
        assert_eq!(fast(&[&three(CALL, 1_000), &three(CALL, 1_100)], 0), [Some(0), None]);
        assert_eq!(fast(&[&three(CALL, 1_000), &three(CALL, 9_000)], 0), [Some(0), Some(8_000_000)]);
    }

    #[test]
    fn a_clock_is_known_through_another() {
        let (first, last) = (three(CALL, 1_000), three(["BYE", "INFO", "REFER"], 90_000));
        let between = [three(CALL, 5_000), three(["BYE", "INFO", "REFER"], 6_000)].concat();
        assert_eq!(fast(&[&first, &last, &between], 0), [Some(0), Some(88_000_000), Some(4_000_000)]);
        assert_eq!(fast(&[&first, &last], 0), [Some(0), None]);
    }

    #[test]
    fn resends_at_the_beginning_of_the_next_file_do_not_tell() {
        let (first, second) = (three(CALL, 1_000), three(CALL, 1_500));
        let rest: Vec<(&str, u64, bool)> =
            ["180", "200", "BYE", "200 BYE"].map(|name| (name, 3_000, false)).to_vec();
        let (first, second) = (
            [rest.clone(), first].concat(),
            [second, three(["a", "b", "c"], 2_000), three(["d", "e", "f"], 2_000)].concat(),
        );
        assert_eq!(fast(&[&first, &second], 0), [Some(0), None]);
    }

    #[test]
    fn what_was_sent_again_tells_by_when_it_was() {
        let again = |begins: u64| {
            [("INVITE", begins, true), ("INVITE", begins + 500, true), ("INVITE", begins + 1_500, true)]
        };
        let late = [
            ("INVITE", 9_000, true),
            ("180", 9_100, false),
            ("INVITE", 9_500, true),
            ("INVITE", 12_500, true),
        ];
        let first = [("180", 1_140, false), ("INVITE", 3_000, true)];
        let all = [&again(1_000)[..], &first].concat();
        assert_eq!(fast(&[&all, &again(9_040)], 0), [Some(0), Some(8_040_000)]);
        assert_eq!(fast(&[&all, &late], 0), [Some(0), Some(7_980_000)]);
    }
}
