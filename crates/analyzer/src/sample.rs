//! Calls for tests: ladders played by scripted parties, captured and analyzed.

use midcall_proto::time::Instant;
use midcall_testkit::ladder::{Stage, parse};
use midcall_testkit::network::Fate;

use crate::model::Call;
use crate::replay::{Analyzer, Settings};
use crate::report::stats::Stats;
use crate::source::{Item, Packet, Place};

/// What a tap sees of a ladder.
pub(crate) fn packets(ladder: &str) -> Vec<Packet> {
    let ladder = parse(ladder).expect("a ladder");
    let mut stage = Stage::new(&ladder, Vec::new());
    stage.play(None).expect("a ladder that plays");
    let unseen = stage.unseen();
    let seen = stage
        .packets()
        .iter()
        .filter(|packet| packet.fate != Fate::Unreachable && !unseen.contains(&packet.number));
    seen.zip(1..)
        .map(|(packet, number)| Packet {
            at: Instant::from_micros(BEGUN + packet.sent.as_micros()),
            from: packet.from,
            to: packet.to,
            transport: packet.transport,
            payload: packet.bytes.clone(),
            place: Place { source: 0, number },
            cut: false,
        })
        .collect()
}

/// The first call of a ladder.
pub(crate) fn call(ladder: &str) -> Call {
    calls(packets(ladder)).into_iter().next().expect("a call")
}

/// The calls of what a tap saw.
pub(crate) fn calls(packets: Vec<Packet>) -> Vec<Call> {
    analyzed(packets).0
}

/// The calls of what a tap saw, and their numbers.
pub(crate) fn analyzed(packets: Vec<Packet>) -> (Vec<Call>, Stats) {
    let mut analyzer = Analyzer::new(Settings::default());
    for packet in packets {
        analyzer.push(Item::Sip(packet));
    }
    analyzer.finish()
}

/// Some day in November 2023, in microseconds since 1970.
const BEGUN: u64 = 1_700_000_000_000_000;
