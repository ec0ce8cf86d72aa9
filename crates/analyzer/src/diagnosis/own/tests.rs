//! Each diagnosis of our own with its good twin: what is found in the bad one is not found in the good one.

mod astray;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;

use midcall_proto::observer::Party;

use super::super::table::{Shown, all};
use crate::model::{Call, Finding};
use crate::sample;
use crate::source::Packet;

struct Twins {
    code: &'static str,
    by: Party,
    bad: &'static str,
    good: &'static str,
    /// What happens to the packets of both.
    bent: fn(Vec<Packet>) -> Vec<Packet>,
}

/// Twins as they are played.
const fn twins(code: &'static str, by: Party, bad: &'static str, good: &'static str) -> Twins {
    Twins { code, by, bad, good, bent: |packets| packets }
}

fn call(ladder: &str, bent: fn(Vec<Packet>) -> Vec<Packet>) -> Call {
    let packets = sample::packets(&format!("{ladder}\nexpect nothing"));
    sample::calls(bent(packets)).into_iter().next().expect("a call")
}

fn of<'c>(call: &'c Call, code: &str) -> Vec<&'c Finding> {
    call.findings.iter().filter(|finding| finding.code == code).collect()
}

#[test]
fn every_bad_twin_is_found_and_every_good_one_is_not() {
    let mut text = String::new();
    for Twins { code, by, bad, good, bent } in TWINS.iter().chain(astray::TWINS) {
        let (bad, good) = (call(bad, *bent), call(good, *bent));
        let found = of(&bad, code);
        let all: Vec<_> = bad.findings.iter().map(|finding| finding.code).collect();
        assert!(matches!(found.as_slice(), [one] if one.by == *by), "{code}: {all:?} {found:#?}");
        assert!(of(&good, code).is_empty(), "{code}: {:#?}", of(&good, code));
        let _ = writeln!(
            text,
            "{code} {}: {}\n   {}\n   > {}",
            found[0].severity, found[0].title, found[0].means, found[0].fix
        );
    }
    insta::assert_snapshot!(text);
}

/// What the table says is found by signalling has twins here.
#[test]
fn every_diagnosis_by_signalling_has_twins() {
    let tested: BTreeSet<_> = TWINS.iter().chain(astray::TWINS).map(|twins| twins.code).collect();
    let listed: BTreeSet<_> = all().filter(|row| row.shown == Shown::Signalling).map(|row| row.id).collect();
    assert_eq!(tested, listed);
}

/// Bob is somewhere in the internet.
fn public(packets: Vec<Packet>) -> Vec<Packet> {
    moved(packets, &[("10.0.0.2:5060", "198.51.100.2:5060")])
}

/// Alice is behind a NAT.
fn translated(packets: Vec<Packet>) -> Vec<Packet> {
    moved(packets, &[("10.0.0.1:5060", "203.0.113.1:5060"), ("10.0.0.2:5060", "198.51.100.2:5060")])
}

fn moved(mut packets: Vec<Packet>, places: &[(&str, &str)]) -> Vec<Packet> {
    for (old, new) in places {
        let (old, new): (SocketAddr, SocketAddr) = (old.parse().unwrap(), new.parse().unwrap());
        for packet in &mut packets {
            for place in [&mut packet.from, &mut packet.to] {
                *place = if *place == old { new } else { *place };
            }
        }
    }
    packets
}

/// The trace begins behind the setup, if anything comes after it.
fn late(mut packets: Vec<Packet>) -> Vec<Packet> {
    if packets.len() > 3 { packets.split_off(3) } else { packets }
}

/// The line end behind the last line of an INVITE is missing where that line is a direction.
fn torn(mut packets: Vec<Packet>) -> Vec<Packet> {
    for packet in &mut packets {
        let text = String::from_utf8(packet.payload.clone()).unwrap();
        if let Some(rest) = text.strip_suffix("a=inactive\r\n") {
            let length: usize = text.split_once("\r\n\r\n").unwrap().1.len();
            let rest = format!("{rest}a=inactive");
            packet.payload = rest
                .replace(&format!("Content-Length: {length}"), &format!("Content-Length: {}", length - 2))
                .into_bytes();
        }
    }
    packets
}

const TWINS: &[Twins] = &[
    twins(
        "F-CAP2",
        Party::Callee,
        "start call
A -> B INVITE offer sdp:sendonly
B -> A 405 [Allow: INVITE, ACK, BYE, CANCEL]",
        "start call
A -> B INVITE offer sdp:sendonly
B -> A 488",
    ),
    twins(
        "F-CAP4",
        Party::Callee,
        "start call
B -> A UPDATE offer sdp:sendonly [Allow: INVITE, ACK, BYE]
A -> B 200 answer",
        "start call
B -> A UPDATE offer sdp:sendonly
A -> B 200 answer",
    ),
    twins(
        "F-CAP5",
        Party::Caller,
        "start call
A -> B UPDATE offer sdp:sendonly [Require: foo]
B -> A 420 [Unsupported: foo]",
        "start call
A -> B UPDATE offer sdp:sendonly
B -> A 200 answer",
    ),
    twins(
        "F-GLR1",
        Party::Callee,
        "start call
A -> B INVITE offer sdp:sendonly @5s
B >< A INVITE offer sdp:inactive
A -> B 491 of=2
B -> A 491 of=1
A -> B ACK of=4
B -> A ACK of=3
B -> A INVITE offer sdp:inactive +1s
A -> B 200 INVITE answer
B -> A ACK
A -> B INVITE offer sdp:inactive +2s
B -> A 200 INVITE answer
A -> B ACK",
        "start call
A -> B INVITE offer sdp:sendonly @5s
B -> A 200 answer
A -> B ACK",
    ),
    twins(
        "F-GLR7",
        Party::Callee,
        "start call
A -> B INVITE offer sdp:sendonly @20s
B -> A 491 INVITE
A -> B ACK",
        "start call
A -> B INVITE offer sdp:sendonly @20s
B >< A INVITE offer sdp:inactive
A -> B 491 of=2
B -> A 491 of=1
A -> B ACK of=4
B -> A ACK of=3",
    ),
    twins(
        "F-GLR10",
        Party::Callee,
        "start call
A -> B INVITE offer sdp:sendonly @5s
B >< A BYE
A -> B 200 BYE
B -> A 487 INVITE of=1
A -> B ACK of=4",
        "start call
A -> B INVITE offer sdp:sendonly @5s
B -> A 200 INVITE answer
A -> B ACK
B -> A BYE
A -> B 200 BYE",
    ),
    twins(
        "F-SDP9",
        Party::Caller,
        "A -> B INVITE offer sdp:codecs=8,97
B -> A 200 answer sdp:codecs=8
A -> B ACK",
        "A -> B INVITE offer sdp:codecs=8,97:opus/48000/2
B -> A 200 answer sdp:codecs=8
A -> B ACK",
    ),
    twins(
        "F-SDP10",
        Party::Caller,
        "A -> B INVITE offer sdp:codecs=97:AMR/8000 \"sdp:a=fmtp:97 octet-align=1; mode-set=7\"
B -> A 200 answer
A -> B ACK
A -> B INVITE offer sdp:codecs=97:AMR/8000 sdp:sendonly
B -> A 200 answer
A -> B ACK",
        "A -> B INVITE offer sdp:codecs=97:AMR/8000 \"sdp:a=fmtp:97 octet-align=1; mode-set=7\"
B -> A 200 answer
A -> B ACK
A -> B INVITE offer sdp:codecs=97:AMR/8000 \"sdp:a=fmtp:97 mode-set=7;octet-align=1\" sdp:sendonly
B -> A 200 answer
A -> B ACK",
    ),
    twins(
        "F-SDP11",
        Party::Callee,
        "A -> B INVITE offer sdp:codecs=96:opus/48000/2,101:telephone-event/8000
B -> A 200 answer sdp:codecs=96:opus/48000/2,101:telephone-event/8000
A -> B ACK",
        "A -> B INVITE offer sdp:codecs=96:opus/48000/2,101:telephone-event/48000
B -> A 200 answer sdp:codecs=96:opus/48000/2,101:telephone-event/48000
A -> B ACK",
    ),
    Twins {
        code: "F-SDP12",
        by: Party::Caller,
        bad: "A -> B INVITE offer\nB -> A 200 answer\nA -> B ACK",
        good: "A -> B INVITE offer sdp:c=203.0.113.7\nB -> A 200 answer\nA -> B ACK",
        bent: public,
    },
    twins(
        "F-SDP14",
        Party::Callee,
        "start call
A -> B INVITE offer sdp:sendonly
B -> A 200 answer sdp:port=0
A -> B ACK",
        "start call
A -> B INVITE offer sdp:sendonly
B -> A 200 answer
A -> B ACK",
    ),
    Twins {
        code: "F-SDP15",
        by: Party::Caller,
        bad: "start call\nA -> B INVITE offer sdp:inactive\nB -> A 488\nA -> B ACK",
        good: "start call\nA -> B INVITE offer sdp:sendonly\nB -> A 200 answer\nA -> B ACK",
        bent: torn,
    },
    twins(
        "F-HLD3",
        Party::Callee,
        "start call
A -> B INVITE offer sdp:sendonly
B -> A 200 answer
A -> B ACK
A -> B INVITE offer
B -> A 200 answer sdp:recvonly
A -> B ACK",
        "start call
A -> B INVITE offer sdp:sendonly
B -> A 200 answer
A -> B ACK
A -> B INVITE offer
B -> A 200 answer
A -> B ACK",
    ),
    twins(
        "F-HLD4",
        Party::Callee,
        "start call
A -> B INVITE offer sdp:sendonly
B -> A 200 answer
A -> B ACK
B -> A INVITE offer sdp:inactive
A -> B 200 answer
B -> A ACK
A -> B INVITE offer
B -> A 200 answer sdp:sendonly
A -> B ACK",
        "start call
A -> B INVITE offer sdp:sendonly
B -> A 200 answer
A -> B ACK
A -> B INVITE offer
B -> A 200 answer
A -> B ACK",
    ),
    twins(
        "F-HLD5",
        Party::Caller,
        "start call
A -> B INVITE offer sdp:c=0.0.0.0
B -> A 200 answer sdp:c=10.0.0.2
A -> B ACK",
        "start call
A -> B INVITE offer sdp:sendonly
B -> A 200 answer
A -> B ACK",
    ),
    twins(
        "F-HLD6",
        Party::Caller,
        "start call
A -> B INVITE offer sdp:port=0
B -> A 200 answer sdp:port=0
A -> B ACK
A -> B INVITE offer
B -> A 200 answer
A -> B ACK",
        "start call
A -> B INVITE offer sdp:+video
B -> A 200 answer
A -> B ACK
A -> B INVITE offer sdp:-video
B -> A 200 answer
A -> B ACK",
    ),
    twins(
        "F-HLD7",
        Party::Caller,
        "config B [User-Agent: Microsoft.PSTNHub.SIPProxy v.2026]
start call
A -> B INVITE offer sdp:sendonly
B -> A 200 answer
A -> B ACK",
        "config B [User-Agent: Microsoft.PSTNHub.SIPProxy v.2026]
start call
A -> B INVITE offer sdp:inactive
B -> A 200 answer
A -> B ACK",
    ),
    twins(
        "F-HLD8",
        Party::Callee,
        "start call
A -> B INVITE offer sdp:sendonly
B -> A 200 answer
A -> B ACK
B -> A BYE +60s
A -> B 200 BYE",
        "start call
A -> B INVITE offer sdp:sendonly
B -> A 200 answer
A -> B ACK
B -> A BYE +47s
A -> B 200 BYE",
    ),
    twins(
        "F-STM10",
        Party::Callee,
        "start call\nB -> A BYE @900s\nA -> B 200 BYE",
        "start call\nB -> A BYE @917s\nA -> B 200 BYE",
    ),
    Twins {
        code: "F-DLG6",
        by: Party::Caller,
        bad: "start call
B ~> A UPDATE offer sdp:sendonly uri=sip:alice@10.0.0.1:5060 @5s
B ~> A again 1 +0.5s
B ~> A again 1 +1s
B ~> A again 1 +2s
B ~> A again 1 +4s",
        good: "start call
B -> A UPDATE offer sdp:sendonly @5s
A -> B 200 answer",
        bent: translated,
    },
    twins(
        "F-DLG12",
        Party::Caller,
        "start call
A -> B UPDATE offer sdp:sendonly cseq=+5
B -> A 200 answer",
        "start call
A -> B UPDATE offer sdp:sendonly
B -> A 200 answer",
    ),
    twins(
        "F-DLG14",
        Party::Caller,
        "start call
A -> B UPDATE offer sdp:sendonly
B -> A 401 [WWW-Authenticate: Digest realm=\"b\", nonce=\"2\", algorithm=SHA-256, qop=\"auth\"]
B -> A BYE +30s
A -> B 200 BYE",
        "start call
A -> B UPDATE offer sdp:sendonly
B -> A 401 [WWW-Authenticate: Digest realm=\"b\", nonce=\"2\", algorithm=SHA-256, qop=\"auth\"]
A -> B UPDATE offer sdp:sendonly
B -> A 200 answer
B -> A BYE +30s
A -> B 200 BYE",
    ),
    twins(
        "F-GLR9",
        Party::Caller,
        "start call
A -> B INVITE offer sdp:sendonly @5s
B >< A INVITE offer sdp:inactive
A -> B 491 of=2
B -> A 491 of=1
A -> B ACK of=4
B -> A ACK of=3
B -> A INVITE offer sdp:inactive +1s
A -> B 200 INVITE answer
B -> A ACK
A -> B BYE +20s
B -> A 200 BYE",
        "start call
A -> B INVITE offer sdp:sendonly @5s
B >< A INVITE offer sdp:inactive
A -> B 491 of=2
B -> A 491 of=1
A -> B ACK of=4
B -> A ACK of=3
B -> A INVITE offer sdp:inactive +1s
A -> B 200 INVITE answer
B -> A ACK
A -> B INVITE offer sdp:inactive +2s
B -> A 200 INVITE answer
A -> B ACK
A -> B BYE +20s
B -> A 200 BYE",
    ),
    twins(
        "F-REL7",
        Party::Callee,
        "A -> B INVITE offer \"sdp:a=curr:qos local none\" \"sdp:a=des:qos mandatory local sendrecv\" [Require: precondition]
B -> A 183 reliable answer
A -> B PRACK
B -> A 200 PRACK
B -> A 580 INVITE of=1 +20s",
        "A -> B INVITE offer \"sdp:a=curr:qos local none\" \"sdp:a=des:qos optional local sendrecv\"
B -> A 183 reliable answer
A -> B PRACK
B -> A 200 PRACK
B -> A 580 INVITE of=1 +20s",
    ),
    twins(
        "F-XFR6",
        Party::Caller,
        "start call
A -> B REFER
B -> A 200
B -> A NOTIFY
A -> B 481",
        "start call
A -> B REFER
B -> A 200
B -> A NOTIFY
A -> B 200",
    ),
    twins(
        "F-MED1",
        Party::Callee,
        "A -> B INVITE offer\nB -> A 200 answer sdp:sendonly\nA -> B ACK",
        "A -> B INVITE offer\nB -> A 200 answer\nA -> B ACK",
    ),
    twins(
        "F-MED2",
        Party::Callee,
        "A -> B INVITE offer sdp:a=ice-ufrag:aaaa sdp:a=ice-pwd:aaaaaaaaaaaaaaaaaaaaaa
B -> A 200 answer sdp:a=ice-ufrag:bbbb sdp:a=ice-pwd:bbbbbbbbbbbbbbbbbbbbbb
A -> B ACK
A -> B INVITE offer sdp:a=ice-ufrag:cccc sdp:a=ice-pwd:cccccccccccccccccccccc
B -> A 200 answer sdp:a=ice-ufrag:bbbb sdp:a=ice-pwd:bbbbbbbbbbbbbbbbbbbbbb
A -> B ACK",
        "A -> B INVITE offer sdp:a=ice-ufrag:aaaa sdp:a=ice-pwd:aaaaaaaaaaaaaaaaaaaaaa
B -> A 200 answer sdp:a=ice-ufrag:bbbb sdp:a=ice-pwd:bbbbbbbbbbbbbbbbbbbbbb
A -> B ACK
A -> B INVITE offer sdp:a=ice-ufrag:cccc sdp:a=ice-pwd:cccccccccccccccccccccc
B -> A 200 answer sdp:a=ice-ufrag:dddd sdp:a=ice-pwd:dddddddddddddddddddddd
A -> B ACK",
    ),
    twins(
        "F-MED3",
        Party::Caller,
        "A -> B INVITE offer \"sdp:a=fingerprint:sha-256 AA:AA\" sdp:a=setup:actpass
B -> A 200 answer \"sdp:a=fingerprint:sha-256 BB:BB\" sdp:a=setup:active
A -> B ACK
A -> B INVITE offer \"sdp:a=fingerprint:sha-256 CC:CC\" sdp:a=setup:actpass
B -> A 200 answer \"sdp:a=fingerprint:sha-256 BB:BB\" sdp:a=setup:active
A -> B ACK",
        "A -> B INVITE offer \"sdp:a=fingerprint:sha-256 AA:AA\" sdp:a=setup:actpass sdp:a=tls-id:one
B -> A 200 answer \"sdp:a=fingerprint:sha-256 BB:BB\" sdp:a=setup:active sdp:a=tls-id:b1
A -> B ACK
A -> B INVITE offer \"sdp:a=fingerprint:sha-256 CC:CC\" sdp:a=setup:actpass sdp:a=tls-id:two
B -> A 200 answer \"sdp:a=fingerprint:sha-256 BB:BB\" sdp:a=setup:active sdp:a=tls-id:b1
A -> B ACK",
    ),
    twins(
        "F-MED4",
        Party::Caller,
        "A -> B INVITE offer sdp:s/AVP/SAVP/ \"sdp:a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0Rm\"
B -> A 200 answer \"sdp:a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:NzB4\"
A -> B ACK
A -> B INVITE offer sdp:sendonly
B -> A 200 answer
A -> B ACK",
        "A -> B INVITE offer sdp:s/AVP/SAVP/ \"sdp:a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0Rm\"
B -> A 200 answer \"sdp:a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:NzB4\"
A -> B ACK
A -> B INVITE offer sdp:sendonly sdp:s/AVP/SAVP/ \"sdp:a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0Rm\"
B -> A 200 answer \"sdp:a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:NzB4\"
A -> B ACK",
    ),
    twins(
        "F-MED5",
        Party::Callee,
        "sdp fax
  v=0
  o=alice 1000 2 IN IP4 10.0.0.1
  s=-
  c=IN IP4 10.0.0.1
  t=0 0
  m=image 41940 udptl t38
start call
A -> B INVITE offer=fax
B -> A 488
A -> B ACK",
        "sdp fax
  v=0
  o=alice 1000 2 IN IP4 10.0.0.1
  s=-
  c=IN IP4 10.0.0.1
  t=0 0
  m=image 41940 udptl t38
sdp taken
  v=0
  o=bob 2000 2 IN IP4 10.0.0.2
  s=-
  c=IN IP4 10.0.0.2
  t=0 0
  m=image 41960 udptl t38
start call
A -> B INVITE offer=fax
B -> A 200 answer=taken
A -> B ACK",
    ),
    twins(
        "F-MED6",
        Party::Caller,
        "A -> B INVITE offer sdp:a=rtcp-mux
B -> A 200 answer sdp:a=rtcp-mux
A -> B ACK
A -> B INVITE offer sdp:sendonly
B -> A 200 answer
A -> B ACK",
        "A -> B INVITE offer sdp:a=rtcp-mux
B -> A 200 answer
A -> B ACK
A -> B INVITE offer sdp:sendonly
B -> A 200 answer
A -> B ACK",
    ),
    Twins {
        code: "F-CPT1",
        by: Party::Network,
        bad: "start call
A -> B INVITE offer sdp:sendonly
B -> A 200 answer
A -> B ACK",
        good: "A -> B INVITE offer\nB -> A 200 answer\nA -> B ACK",
        bent: late,
    },
];
