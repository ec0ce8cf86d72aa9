use super::*;
use crate::model::Call;
use crate::replay::Analyzer;
use crate::report::stats::Stats;
use crate::sample;
use crate::source::{Packet, Rtp};

/// Calls of several kinds, good and bad, that overlap: one begins every 100 ms.
fn busy_minutes(calls: usize) -> Vec<Item> {
    let ladders = [
        "start call\nA -> B INVITE offer sdp:sendonly\nB -> A 200 answer sdp:sendrecv\nA -> B ACK\nwait 1s\nA -> B BYE\nB -> A 200\nexpect nothing",
        "start call\nA -> B INVITE offer sdp:sendonly\nB -> A 200 answer\nA -> B ACK\nB -> A BYE\nA -> B 200\nexpect nothing",
        "start call\nA -> B INVITE offer sdp:sendonly\nB >< A UPDATE offer\nA -> B 200 UPDATE answer\nB -> A 200 INVITE answer\nA -> B ACK\nA -> B BYE\nB -> A 200\nexpect nothing",
        "start early\nB -> A 486\nA -> B ACK\nexpect nothing",
    ];
    let kinds: Vec<Vec<Packet>> = ladders.iter().map(|ladder| sample::packets(ladder)).collect();
    let mut items = Vec::new();
    for (number, kind) in (0..calls).zip(kinds.iter().cycle()) {
        for packet in kind {
            let text = String::from_utf8(packet.payload.clone()).unwrap();
            let own = text.replacen("\r\nCall-ID: ", &format!("\r\nCall-ID: {number}-"), 1);
            let at = packet.at + std::time::Duration::from_millis(100 * number as u64);
            items.push(Item::Sip(Packet { at, payload: own.into_bytes(), ..packet.clone() }));
            items.push(Item::Rtp(Rtp {
                at,
                from: packet.from,
                to: packet.to,
                payload_type: 8,
                sequence: 1,
                timestamp: 1,
                ssrc: 1,
                place: packet.place,
            }));
        }
    }
    items.sort_by_key(Item::at);
    items
}

fn replay(items: &[Item], threads: usize) -> (Vec<Call>, Stats) {
    let mut analyzer = Analyzer::new(Settings { threads, ..Settings::default() });
    let mut calls = Vec::new();
    for item in items {
        analyzer.push(item.clone());
        calls.append(&mut analyzer.take_finished());
    }
    let (rest, stats) = analyzer.finish();
    calls.extend(rest);
    (calls, stats)
}

#[test]
fn the_report_does_not_depend_on_the_number_of_threads() {
    let items = busy_minutes(600);
    let (alone, numbers) = replay(&items, 0);
    assert_eq!(alone.len(), 600);
    assert!(alone.iter().any(|call| call.findings.iter().any(|finding| finding.code == "OA-23")));
    for threads in [1, 3] {
        let (calls, stats) = replay(&items, threads);
        for (one, other) in alone.iter().zip(&calls) {
            assert_eq!(one.number, other.number, "with {threads} threads");
            assert!(format!("{one:?}") == format!("{other:?}"), "call {} with {threads} threads", one.number);
        }
        assert_eq!(calls.len(), alone.len());
        let counts = |stats: &Stats| (stats.messages, stats.media, stats.calls, stats.findings, stats.worst);
        assert_eq!(counts(&stats), counts(&numbers));
    }
}

#[test]
fn all_messages_of_a_call_go_to_one_worker() {
    let id = |text: &str| call_id(text.as_bytes()).map(|id| String::from_utf8_lossy(id).into_owned());
    let same = Some("a@b".to_owned());
    assert_eq!(id("BYE sip:x SIP/2.0\r\nCSeq: 1 BYE\r\nCall-ID: a@b\r\n\r\n"), same);
    assert_eq!(id("BYE sip:x SIP/2.0\nContact: <sip:x>\ni : a@b \n\n"), same);
    assert_eq!(id("BYE sip:x SIP/2.0\r\nIn-Reply-To: y\r\ncall-id:\r\n a@b\r\n\r\n"), same);
    assert_eq!(id("\r\n\r\nBYE sip:x SIP/2.0\r\nCall-ID: a@b\r\n\r\n"), same);
    assert_eq!(id("BYE sip:x SIP/2.0\r\n\r\nCall-ID: a@b\r\n"), None);
    assert_eq!(id("\u{80}rtp"), None);
    assert!((0..9).all(|workers| part(b"x\ni: a@b\n\n", workers) < workers.max(1)));
}
