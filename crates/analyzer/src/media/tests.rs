//! Calls with RTP beside them: each fault with its good twin.

use std::net::SocketAddr;

use midcall_proto::rules::Severity;
use midcall_proto::time::Instant;

use crate::model::{Call, Finding};
use crate::sample;
use crate::source::{Item, Place, Rtp};
use crate::{Analyzer, Anonymizer, Settings};

const ALICE: &str = "10.0.0.1:41940";
const BOB: &str = "10.0.0.2:41960";

/// Packets at the usual pace: from, to, payload type, first and last second of the trace.
type Flow = (&'static str, &'static str, u8, f64, f64);

fn analyzed(ladder: &str, flows: &[Flow]) -> Call {
    let messages = sample::packets(&format!("{ladder}\nexpect nothing"));
    let began = messages.first().expect("a message").at;
    let mut items: Vec<Item> = messages.into_iter().map(Item::Sip).collect();
    for (from, to, payload_type, begin, end) in flows {
        let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
        let (begin, end) = ((begin * 50.0) as u64, (end * 50.0) as u64);
        items.extend((begin..end).map(|index| {
            Item::Rtp(Rtp {
                at: Instant::from_micros(began.as_micros() + index * 20_000),
                from,
                to,
                payload_type: *payload_type,
                sequence: index as u16,
                timestamp: index as u32 * 160,
                ssrc: 7,
                place: Place::default(),
            })
        }));
    }
    items.sort_by_key(Item::at);
    let mut analyzer = Analyzer::new(Settings::default());
    items.into_iter().for_each(|item| analyzer.push(item));
    analyzer.finish().0.into_iter().next().expect("a call")
}

fn found(call: &Call) -> Vec<&Finding> {
    call.findings.iter().filter(|finding| finding.severity > Severity::Info).collect()
}

/// The one finding above info, with who did it and where.
#[track_caller]
fn only(call: &Call, code: &str) -> String {
    let found = found(call);
    let codes: Vec<_> = found.iter().map(|finding| (finding.code, finding.means.as_str())).collect();
    assert!(matches!(codes.as_slice(), [(own, _)] if *own == code), "{code} expected: {codes:#?}");
    nobody_is_named(call.clone());
    format!("{} at {}: {}", found[0].by, found[0].at, found[0].means)
}

/// Without identities a finding says the same of others.
#[track_caller]
fn nobody_is_named(mut call: Call) {
    let (caller, callee) = (call.caller.name.clone(), call.callee.name.clone());
    Anonymizer::new(5).call(&mut call);
    for Finding { means, fix, .. } in &call.findings {
        let text = format!("{means} {fix}");
        let gone = [caller.as_str(), callee.as_str(), "10.0.0."];
        assert!(gone.iter().all(|gone| !text.contains(gone)), "{text}");
        assert!(text.contains(&call.caller.name) || text.contains(&call.callee.name), "{text}");
    }
}

#[track_caller]
fn clean(ladder: &str, flows: &[Flow]) {
    let call = analyzed(ladder, flows);
    assert!(found(&call).is_empty(), "{:#?}", found(&call));
}

const CALL: &str = "start call\nA -> B BYE @12s\nB -> A 200 BYE";

const MOVED: &str = "start call
A -> B   INVITE offer sdp:port=43000 @5s
B -> A   200 INVITE answer
A -> B   ACK
A -> B   BYE @12s
B -> A   200 BYE";

const HELD: &str = "start call
A -> B   INVITE offer sdp:sendonly @5s
B -> A   200 INVITE answer
A -> B   ACK
A -> B   BYE @12s
B -> A   200 BYE";

const REFUSED: &str = "start call
A -> B   INVITE offer sdp:port=43000 @5s
B -> A   488 INVITE
A -> B   ACK
A -> B   BYE @12s
B -> A   200 BYE";

/// PCMA both ways for the whole call.
const BOTH: [Flow; 2] = [(ALICE, BOB, 8, 0.1, 12.0), (BOB, ALICE, 8, 0.1, 12.0)];

#[test]
fn a_call_with_media_both_ways_is_clean() {
    clean(CALL, &BOTH);
    // What is on its way at the BYE still comes.
    clean(CALL, &[(ALICE, BOB, 8, 0.1, 12.3), (BOB, ALICE, 8, 0.1, 12.5)]);
    // Other traffic is nobody's business.
    clean(CALL, &[("10.9.9.9:4000", "10.9.9.8:4000", 111, 0.0, 30.0)]);
}

#[test]
fn silence_of_one_side() {
    let call = analyzed(CALL, &[(ALICE, BOB, 8, 0.1, 12.0)]);
    insta::assert_snapshot!(only(&call, "F-MED7"));
    // Behind NAT the packets come from another port: they are there.
    clean(CALL, &[BOTH[0], ("10.0.0.2:50000", ALICE, 8, 0.1, 12.0)]);
    // A tap that sees no media at all says nothing.
    clean(CALL, &[]);
}

#[test]
fn media_to_the_old_port_after_a_move() {
    midcall_proto::covers!("OA-40");
    let flows = [(ALICE, BOB, 8, 0.1, 12.0), (BOB, ALICE, 8, 0.1, 12.0)];
    let lost = analyzed(MOVED, &flows);
    insta::assert_snapshot!(only(&lost, "OA-40"));
    let late = analyzed(MOVED, &[flows[0], (BOB, ALICE, 8, 0.1, 9.0), (BOB, "10.0.0.1:43000", 8, 9.0, 12.0)]);
    only(&late, "OA-40");
    assert_eq!((found(&lost)[0].severity, found(&late)[0].severity), (Severity::Error, Severity::Warning));
    clean(MOVED, &[flows[0], (BOB, ALICE, 8, 0.1, 5.6), (BOB, "10.0.0.1:43000", 8, 5.1, 12.0)]);
}

#[test]
fn a_payload_number_that_nobody_listed() {
    midcall_proto::covers!("OA-41");
    let flows = [BOTH[0], (BOB, ALICE, 8, 0.1, 12.0), (BOB, ALICE, 18, 2.0, 12.0)];
    insta::assert_snapshot!(only(&analyzed(CALL, &flows), "OA-41"));
    // Comfort noise and tones are no codec changes.
    clean(CALL, &[BOTH[0], BOTH[1], (BOB, ALICE, 13, 3.0, 5.0), (ALICE, BOB, 101, 3.0, 4.0)]);
}

#[test]
fn the_own_payload_number_instead_of_the_peers() {
    midcall_proto::covers!("OA-26");
    let ladder = "A -> B INVITE offer sdp:codecs=111:opus/48000/2
B -> A   200 INVITE answer sdp:codecs=96:opus/48000/2
A -> B   ACK
A -> B   BYE @12s
B -> A   200 BYE";
    let flows = [(ALICE, BOB, 111, 0.1, 12.0), (BOB, ALICE, 111, 0.1, 12.0)];
    insta::assert_snapshot!(only(&analyzed(ladder, &flows), "OA-26"));
    clean(ladder, &[(ALICE, BOB, 96, 0.1, 12.0), flows[1]]);
}

#[test]
fn media_into_a_hold() {
    insta::assert_snapshot!(only(&analyzed(HELD, &BOTH), "F-HLD9"));
    // Music from the side that holds is as it should be.
    clean(HELD, &[BOTH[0], (BOB, ALICE, 8, 0.1, 5.4)]);
}

#[test]
fn media_after_the_own_bye() {
    let flows = [(ALICE, BOB, 8, 0.1, 18.0), BOTH[1]];
    insta::assert_snapshot!(only(&analyzed(CALL, &flows), "DLG-32"));
}

/// Phones take the same ports for every call.
#[test]
fn media_of_the_next_call_between_the_same_places() {
    clean(
        CALL,
        &[(ALICE, BOB, 8, 0.1, 12.2), BOTH[1], (ALICE, BOB, 8, 14.0, 25.0), (BOB, ALICE, 8, 14.0, 25.0)],
    );
    let refused = "A -> B INVITE offer\nB -> A 180\nB -> A 603 INVITE @2s\nA -> B ACK";
    clean(refused, &[(ALICE, BOB, 8, 4.0, 12.0), (BOB, ALICE, 8, 4.0, 12.0)]);
}

#[test]
fn media_that_follows_a_refused_change() {
    let flows = [BOTH[0], (BOB, ALICE, 8, 0.1, 5.0), (BOB, "10.0.0.1:43000", 8, 5.0, 12.0)];
    insta::assert_snapshot!(only(&analyzed(REFUSED, &flows), "RI-10"));
    clean(REFUSED, &BOTH);
}

#[test]
fn media_to_an_address_that_nobody_named() {
    let flows = [(ALICE, "203.0.113.9:4000", 8, 0.1, 12.0), BOTH[0], BOTH[1]];
    insta::assert_snapshot!(only(&analyzed(CALL, &flows), "SEC-12"));
    // What comes back from there shows where the peer really is.
    clean(CALL, &[flows[0], BOTH[0], ("203.0.113.9:4000", ALICE, 8, 0.1, 12.0)]);
}

#[test]
fn flows_are_bounded_and_the_rest_is_counted() {
    let mut media = super::Media::default();
    let packet = |index: u32, at: u64| Rtp {
        at: Instant::from_millis(at),
        from: SocketAddr::from(([10, 0, (index >> 8) as u8, index as u8], 4000 + (index >> 16) as u16)),
        to: "192.0.2.1:4000".parse().unwrap(),
        payload_type: 8,
        sequence: 0,
        timestamp: 0,
        ssrc: 0,
        place: Place::default(),
    };
    (0..70_000).for_each(|index| media.observe(&packet(index, 1)));
    assert_eq!(media.dropped(), 70_000 - 65_536);
    // Minutes later the old ones make room.
    media.observe(&packet(70_000, 300_000));
    assert_eq!(media.dropped(), 70_000 - 65_536);
}
