//! What a diagnosis may be and what the trace proves: the same fault with and without the proof.

use std::net::SocketAddr;

use midcall_proto::rules::Severity;
use midcall_proto::time::Instant;

use crate::model::Call;
use crate::source::{Item, Packet, Place, Rtp};
use crate::{Analyzer, Settings, sample};

/// How bad this diagnosis is in a call; it must be there.
#[track_caller]
fn severity(call: &Call, code: &str) -> Severity {
    let found = call.findings.iter().find(|finding| finding.code == code);
    found.unwrap_or_else(|| panic!("{code} is not found, but {:#?}", call.findings)).severity
}

#[track_caller]
fn weighs(code: &str, ladder: &str, expected: Severity) {
    let call = sample::call(&format!("{ladder}\nexpect nothing"));
    assert_eq!(severity(&call, code), expected, "{code} in\n{ladder}");
}

#[test]
fn a_refusal_that_lists_what_it_refuses_contradicts_itself() {
    let refused =
        |allow: &str| format!("start call\nA -> B UPDATE offer sdp:sendonly\nB -> A 405 [Allow: {allow}]");
    weighs("F-CAP2", &refused("INVITE, ACK, BYE, CANCEL"), Severity::Warning);
    weighs("F-CAP2", &refused("INVITE, ACK, BYE, CANCEL, UPDATE"), Severity::Error);
}

#[test]
fn whoever_was_told_what_the_peer_lacks_does_not_ask_for_it() {
    let refused = "B -> A 420 INVITE [Unsupported: precondition]\nA -> B ACK";
    let first = format!("A -> B INVITE offer [Require: precondition]\n{refused}");
    weighs("F-CAP5", &first, Severity::Warning);
    weighs(
        "F-CAP5",
        &format!("{first}\nA -> B INVITE offer\nB -> A 200 INVITE answer\nA -> B ACK"),
        Severity::Info,
    );
    let told = format!("start call\nA -> B INVITE offer sdp:sendonly [Require: precondition]\n{refused}");
    weighs("F-CAP5", &told, Severity::Error);
}

#[test]
fn a_call_without_any_stream_to_its_end_has_lost_what_it_was_for() {
    let closed = "start call\nA -> B INVITE offer o=+1\nB -> A 200 answer sdp:port=0\nA -> B ACK";
    weighs("F-SDP14", closed, Severity::Warning);
    let end = "A -> B BYE +9s\nB -> A 200 BYE";
    weighs("F-SDP14", &format!("{closed}\n{end}"), Severity::Error);
    let back = "A -> B INVITE offer o=+1\nB -> A 200 answer\nA -> B ACK";
    weighs("F-SDP14", &format!("{closed}\n{back}\n{end}"), Severity::Warning);
}

#[test]
fn a_call_that_nobody_can_hear_to_its_end() {
    let answered = |direction: &str, then: &str| {
        format!(
            "A -> B INVITE offer\nB -> A 200 answer sdp:{direction}\nA -> B ACK\n{then}A -> B BYE +9s\nB -> A 200 BYE"
        )
    };
    weighs("F-MED1", &answered("inactive", ""), Severity::Error);
    weighs("F-MED1", &answered("recvonly", ""), Severity::Warning);
    weighs("F-MED1", &answered("sendonly", ""), Severity::Info);
    let opened = "B -> A INVITE offer sdp:sendrecv\nA -> B 200 answer\nB -> A ACK\n";
    weighs("F-MED1", &answered("inactive", opened), Severity::Info);
}

#[test]
fn a_bye_that_is_challenged_or_credentials_that_are_there() {
    let challenge =
        "401 [WWW-Authenticate: Digest realm=\"b\", nonce=\"2\", algorithm=SHA-256, qop=\"auth\"]";
    let rest = "B -> A BYE +30s\nA -> B 200 BYE";
    let asked = |more: &str| {
        format!("start call\nA -> B UPDATE offer sdp:sendonly{more}\nB -> A {challenge}\n{rest}")
    };
    weighs("F-DLG14", &asked(""), Severity::Warning);
    let known = " [Authorization: Digest username=\"alice\", realm=\"b\", nonce=\"1\", uri=\"sip:b\", response=\"00\"]";
    weighs("F-DLG14", &asked(known), Severity::Error);
    weighs("F-DLG14", &format!("start call\nA -> B BYE\nB -> A {challenge}\n{rest}"), Severity::Error);
}

#[test]
fn an_association_that_is_said_to_be_the_old_one() {
    let call = |id: &str| {
        format!(
            "A -> B INVITE offer \"sdp:a=fingerprint:sha-256 AA:AA\" sdp:a=setup:actpass{id}
B -> A 200 answer \"sdp:a=fingerprint:sha-256 BB:BB\" sdp:a=setup:active{id}
A -> B ACK
A -> B INVITE offer \"sdp:a=fingerprint:sha-256 CC:CC\" sdp:a=setup:actpass{id}
B -> A 200 answer \"sdp:a=fingerprint:sha-256 BB:BB\" sdp:a=setup:active{id}
A -> B ACK"
        )
    };
    weighs("F-MED3", &call(""), Severity::Warning);
    weighs("F-MED3", &call(" sdp:a=tls-id:one"), Severity::Error);
}

#[test]
fn a_fax_that_leaves_no_stream() {
    let fax = "sdp fax\n  v=0\n  o=alice 1000 2 IN IP4 10.0.0.1\n  s=-\n  c=IN IP4 10.0.0.1\n  t=0 0\n  m=image 41940 udptl t38\n";
    let none = "sdp none\n  v=0\n  o=bob 2000 2 IN IP4 10.0.0.2\n  s=-\n  c=IN IP4 10.0.0.2\n  t=0 0\n  m=image 0 udptl t38\n";
    weighs(
        "F-MED5",
        &format!("{fax}start call\nA -> B INVITE offer=fax\nB -> A 488\nA -> B ACK"),
        Severity::Warning,
    );
    let closed =
        format!("{fax}{none}start call\nA -> B INVITE offer=fax\nB -> A 200 answer=none\nA -> B ACK");
    weighs("F-MED5", &closed, Severity::Error);
    weighs(
        "F-MED5",
        &format!("{closed}\nA -> B INVITE offer\nB -> A 200 answer\nA -> B ACK"),
        Severity::Warning,
    );
}

/// What a tap in public sees of parties behind address translation; what goes to alice goes where `reached` says.
fn translated(ladder: &str, reached: &str) -> Vec<Packet> {
    let place = |text: &str| text.parse::<SocketAddr>().unwrap();
    let (alice, bob) = (place("10.0.0.1:5060"), place("10.0.0.2:5060"));
    let mut packets = sample::packets(&format!("{ladder}\nexpect nothing"));
    for packet in &mut packets {
        if packet.from == alice {
            (packet.from, packet.to) = (place("203.0.113.1:5060"), place("198.51.100.2:5060"));
        } else if packet.from == bob {
            (packet.from, packet.to) = (place("198.51.100.2:5060"), place(reached));
        }
    }
    packets
}

#[test]
fn a_private_contact_to_which_requests_really_go() {
    let ladder = "start call
B ~> A UPDATE offer sdp:sendonly uri=sip:alice@10.0.0.1:5060 @5s
B ~> A again 1 +0.5s
B ~> A again 1 +1s
B ~> A again 1 +2s
B ~> A again 1 +4s";
    let found = |reached: &str| severity(&sample::calls(translated(ladder, reached)).remove(0), "F-DLG6");
    assert_eq!(found("10.0.0.1:5060"), Severity::Error);
    assert_eq!(found("203.0.113.1:5060"), Severity::Warning);
}

#[test]
fn a_private_address_at_which_no_media_arrives() {
    let judged = |replies: bool| {
        let signalling = translated("start call\nA -> B BYE @12s\nB -> A 200 BYE", "203.0.113.1:5060");
        let began = signalling[0].at.as_micros();
        let mut items: Vec<Item> = signalling.into_iter().map(Item::Sip).collect();
        let (alice, bob) = ("10.0.0.1:41940".parse().unwrap(), "10.0.0.2:41960".parse().unwrap());
        for nth in 0..500_u32 {
            let at = Instant::from_micros(began + 100_000 + u64::from(nth) * 20_000);
            let mut send = |from, to| {
                let (sequence, timestamp) = (nth as u16, nth * 160);
                let place = Place::default();
                items.push(Item::Rtp(Rtp {
                    at,
                    from,
                    to,
                    payload_type: 8,
                    sequence,
                    timestamp,
                    ssrc: 7,
                    place,
                }));
            };
            send(alice, bob);
            if replies {
                send(bob, alice);
            }
        }
        items.sort_by_key(Item::at);
        let mut analyzer = Analyzer::new(Settings::default());
        items.into_iter().for_each(|item| analyzer.push(item));
        severity(&analyzer.finish().0.remove(0), "F-SDP12")
    };
    assert_eq!(judged(true), Severity::Info);
    assert_eq!(judged(false), Severity::Error);
}
