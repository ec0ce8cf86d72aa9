//! Many calls at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use midcall_analyzer::model::Call;
use midcall_analyzer::source::{Item, Packet, Place};
use midcall_analyzer::{Analyzer, Details, Settings};
use midcall_proto::rng::Rng;
use midcall_proto::time::Instant;

use super::shown::{Played, fixtures};

/// Every fixture at once, each begun a little after the other: what is found in each call is what is found in it alone.
#[test]
fn calls_that_overlap_are_judged_as_if_each_were_alone() {
    let mut rng = Rng::new(1);
    let (mut all, mut alone, mut begins) = (Vec::new(), BTreeMap::new(), Instant::ZERO);
    for begin in ["breaks", "keeps"] {
        for played in fixtures(begin) {
            begins += Duration::from_micros(rng.below(3_000_000));
            let packets = own(&played, &format!("{}{begin}", played.name), begins);
            all.extend(packets.clone());
            alone.extend(judged(packets, Settings::default()));
        }
    }
    all.sort_by_key(|packet| packet.at);
    let together = judged(all, Settings::default());
    same(&alone, &together);
}

/// Where there is no room every call is judged after each of its messages; what the observer finds is the same.
#[test]
fn calls_that_are_judged_at_once_are_judged_the_same() {
    let mut settings = Settings::default();
    settings.details = Details::None;
    let packets = |played: &Played| own(played, &played.name, Instant::ZERO + Duration::from_secs(1_000));
    let judged_all = |settings| -> BTreeMap<_, _> {
        fixtures("breaks").iter().flat_map(|played| judged(packets(played), settings)).collect()
    };
    let late = judged_all(settings);
    settings.max_bytes = 1;
    same(&late, &judged_all(settings));
}

/// What is found in each call, by its name.
type Found = BTreeMap<String, BTreeSet<String>>;

#[track_caller]
fn same(one: &Found, other: &Found) {
    assert!(one.keys().eq(other.keys()));
    let mut faults = Vec::new();
    for (call, found) in one {
        let lost: Vec<_> = found.difference(&other[call]).collect();
        let more: Vec<_> = other[call].difference(found).collect();
        if !lost.is_empty() || !more.is_empty() {
            faults.push(format!("{call}: lost {lost:?}, more {more:?}\n"));
        }
    }
    assert!(faults.is_empty(), "{} of {}\n{}", faults.len(), one.len(), faults.concat());
}

/// The packets of a ladder from this time on, under names of its own.
fn own(played: &Played, name: &str, begins: Instant) -> Vec<Packet> {
    let (_, packets) = played.packets.split_last().expect("packets");
    let own = |packet: &midcall_testkit::network::Packet| {
        let text = String::from_utf8_lossy(&packet.bytes);
        let text = text.replace("Call-ID: ", &format!("Call-ID: {name}-"));
        let text = text.replace("tag=", &format!("tag={name}-"));
        let text = text.replace("z9hG4bK", &format!("z9hG4bK{name}-"));
        Packet {
            at: begins + packet.sent.since(Instant::ZERO),
            from: packet.from,
            to: packet.to,
            transport: packet.transport,
            payload: text.into_bytes(),
            place: Place::default(),
            cut: false,
        }
    };
    packets.iter().map(own).collect()
}

/// What is found in each call of these, in a trace that goes on for long.
fn judged(packets: Vec<Packet>, settings: Settings) -> Found {
    let mut analyzer = Analyzer::new(settings);
    let mut last = packets.last().cloned().expect("a packet");
    for packet in packets {
        analyzer.push(Item::Sip(packet));
    }
    last.at += Duration::from_secs(10_000);
    last.payload = b"nothing".to_vec();
    // A single stamp far ahead would not be believed.
    analyzer.push(Item::Sip(last.clone()));
    analyzer.push(Item::Sip(last));
    let (calls, _) = analyzer.finish();
    let found = |call: &Call| {
        let findings = call.findings.iter();
        findings.map(|one| format!("{} by {} at {} ({})", one.code, one.by, one.at, one.certainty)).collect()
    };
    calls.iter().map(|call| (format!("{} {}", call.call_id, call.messages.len()), found(call))).collect()
}
