//! The judge judged: ladders, the scenarios made of them, and what a comparison finds.

use std::collections::BTreeMap;

use super::check::{Depth, check};
use super::ladder::{self, Role, lines};
use super::play::Peer;
use super::record::Seen;
use super::sip::Sip;
use super::sipp::{Place, compile};
use super::{always, scenario};

const HOLD: &str = "
start call
> INVITE sdp:sendonly o=+1
< 200 sdp:recvonly
> ACK
";

#[test]
fn every_scenario_of_the_repository_can_be_read() {
    let root = crate::root().join("interop");
    for peer in Peer::ALL {
        let all = scenario::load(&root.join(peer.name())).unwrap();
        assert!(!all.is_empty());
        for scenario in all {
            assert!(!scenario.seat.is_empty(), "{} has no seat", scenario.id);
            assert!(!scenario.rules.is_empty(), "{} names no rule", scenario.id);
        }
    }
}

#[test]
fn responses_and_acks_find_what_they_belong_to() {
    let steps = ladder::parse(HOLD, Role::Caller).unwrap();
    let found: Vec<_> = lines(&steps).iter().map(|l| (l.method.as_str(), l.about)).collect();
    let invite = ("INVITE", None);
    assert_eq!(
        found,
        [
            invite,
            ("INVITE", Some(0)),
            ("INVITE", Some(0)),
            ("ACK", Some(0)),
            invite,
            ("INVITE", Some(4)),
            ("ACK", Some(4))
        ]
    );
}

#[test]
fn a_ladder_that_makes_no_sense_says_where() {
    for bad in ["< 200", "> INVITE dance", "{\n< INVITE\n}", "pause soon", "> INVITE\n{"] {
        assert!(ladder::parse(bad, Role::Caller).is_err(), "{bad}");
    }
}

#[test]
fn the_peer_answers_with_saved_headers_and_counts_its_versions() {
    let steps = ladder::parse(HOLD, Role::Caller).unwrap();
    let place = Place {
        own: 5070,
        other: 5060,
        other_uri: "sip:midcall@127.0.0.1:5060".into(),
        media: 6000,
        hops: 0,
        mirror: false,
    };
    let xml = compile("I01", &steps, &place, &BTreeMap::new());
    assert!(xml.contains("Via: [$via0x4]\nFrom: [$from4]\nTo: [$to4]\n"), "{xml}");
    assert!(xml.contains("o=peer 7000 2 IN IP4 127.0.0.1") && xml.contains("a=recvonly"), "{xml}");
}

fn message(from_midcall: bool, first: &str, cseq: &str, branch: &str, body: &str) -> Seen {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let text = format!(
        "{first}\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK{branch}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>;tag=2\r\n\
         Call-ID: c\r\nCSeq: {cseq}\r\nMax-Forwards: 70\r\nContact: <sip:a@b>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    Seen { at: vec![1.0], from_midcall, sip: Sip::read(&text).unwrap() }
}

fn sdp(version: u32, direction: &str) -> String {
    format!(
        "v=0\r\no=a 1 {version} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na={direction}\r\n"
    )
}

fn hold(version: u32, direction: &str) -> Vec<Seen> {
    vec![
        message(true, "INVITE sip:b@b SIP/2.0", "1 INVITE", "a", &sdp(1, "sendrecv")),
        message(false, "SIP/2.0 200 OK", "1 INVITE", "a", &sdp(9, "sendrecv")),
        message(true, "ACK sip:b@b SIP/2.0", "1 ACK", "b", ""),
        message(true, "INVITE sip:b@b SIP/2.0", "2 INVITE", "c", &sdp(version, direction)),
    ]
}

const SHORT: &str = "> INVITE sdp\n< 200 sdp\n> ACK\n> INVITE sdp:sendonly o=+1";

#[test]
fn a_record_that_follows_the_ladder_passes() {
    let steps = ladder::parse(SHORT, Role::Caller).unwrap();
    let record = hold(2, "sendonly");
    assert_eq!(check(&steps, &record, Depth::Scripted).faults, [""; 0]);
    assert_eq!(always::check(&record, 0), [""; 0]);
}

#[test]
fn wrong_direction_and_version_are_found() {
    let steps = ladder::parse(SHORT, Role::Caller).unwrap();
    let faults = check(&steps, &hold(3, "inactive"), Depth::Scripted).faults;
    assert_eq!(faults.len(), 2, "{faults:?}");
    let general = always::check(&hold(3, "inactive"), 0);
    assert!(general.len() == 1 && general[0].contains("o= version 3 after 1"), "{general:?}");
}

#[test]
fn a_missing_and_a_surplus_message_are_found() {
    let steps = ladder::parse(SHORT, Role::Caller).unwrap();
    let mut record = hold(2, "sendonly");
    record.push(message(true, "BYE sip:b@b SIP/2.0", "4 BYE", "d", ""));
    let faults = check(&steps, &record, Depth::Scripted).faults;
    assert!(faults.len() == 1 && faults[0].starts_with("not in the ladder"), "{faults:?}");
    assert!(always::check(&record, 0)[0].contains("CSeq 4 after 2"));
    let faults = check(&steps, &record[..3], Depth::Scripted).faults;
    assert!(faults.len() == 1 && faults[0].contains("nothing more came"), "{faults:?}");
}
