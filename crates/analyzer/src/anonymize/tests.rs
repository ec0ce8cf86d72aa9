use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use midcall_proto::observer::Party;
use proptest::prelude::*;

use super::*;
use crate::export;
use crate::model::Finding;
use crate::report::{html, json, mermaid, text};
use crate::sample;
use crate::source::Packet;

fn anonymous(message: &str) -> String {
    let mut anonymizer = Anonymizer::new(7);
    let raw = message.replace('\n', "\r\n");
    let _ = anonymizer.message(raw.as_bytes());
    String::from_utf8(anonymizer.message(raw.as_bytes())).unwrap().replace("\r\n", "\n")
}

#[test]
fn everything_that_names_somebody_goes_and_the_rest_stays() {
    let told = anonymous(
        "INVITE sip:+4930123456@sbc7.acme-telecom.de:5080;user=phone;transport=udp SIP/2.0
Via: SIP/2.0/UDP 10.20.30.40:5060;branch=z9hG4bK-Ab12cd-7;rport=5060;received=87.65.43.21
Via: SIP/2.0/TLS [2a02:8109::17]:5061;branch=z9hG4bKx
Max-Forwards: 70
Route: <sip:10.20.30.40;lr;ftag=Zz9912>
From: \"Erika Mustermann\" <sip:Erika.Mustermann@acme-telecom.de>;tag=9fxced76sl
t: <tel:+49-30-123456>
Call-ID: 843817637684230@10.20.30.40
CSeq: 17 INVITE
m: <sip:erika.mustermann@10.20.30.40:5060;ob>;+sip.instance=\"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>\"
Allow: INVITE, ACK, BYE
Supported: 100rel, timer
Session-Expires: 1800;refresher=uac
P-Asserted-Identity: \"Erika\" <sip:+4930999888@acme-telecom.de>
Session-ID: ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000
Authorization: Digest username=\"erika\", realm=\"acme-telecom.de\", nonce=\"84f1c1ae6cbe5ua9c8e88dfa3ecm3459\", uri=\"sip:sbc7.acme-telecom.de\", response=\"dd6b1b4f0d1f4ee5a1a3a8f7b2b7f0aa\", algorithm=MD5, qop=auth, nc=00000001
Refer-To: <sip:heinz@acme-telecom.de?Replaces=843817637684230%4010.20.30.40%3Bto-tag%3D9fxced76sl%3Bfrom-tag%3Dxyzzy99>
Referred-By: <sip:erika@acme-telecom.de>
Replaces: 843817637684230@10.20.30.40;to-tag=9fxced76sl;from-tag=xyzzy99;early-only
Reason: SIP;cause=200;text=\"picked up by Mustermann\"
User-Agent: Snom821/8.7.3.25 00:04:13:AB:CD:EF
X-Customer: Mustermann & Soehne 4711
Content-Type: application/sdp
Content-Length: 640

v=0
o=erika 2890844526 2890844527 IN IP4 10.20.30.40
s=Call of Erika
c=IN IP4 10.20.30.40
t=0 0
m=audio 49170 RTP/SAVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4
a=ice-ufrag:F7gI
a=ice-pwd:x9cml/YzichV2+XlhiMu8g
a=fingerprint:sha-256 AB:CD:EF:01:23:45:67:89
a=candidate:1 1 UDP 2130706431 10.20.30.40 49170 typ host
a=candidate:2 1 UDP 1694498815 87.65.43.21 49170 typ srflx raddr 10.20.30.40 rport 49170
a=rtcp:49171 IN IP4 10.20.30.40
a=ssrc:1234 cname:erika@laptop
a=sendonly
",
    );
    insta::assert_snapshot!(told);
}

#[test]
fn the_length_of_a_body_stays_true() {
    let message = "SIP/2.0 200 OK\nCSeq: 1 INVITE\nContent-Type: application/sdp\nContent-Length: 32\n\nv=0\nc=IN IP4 100.200.100.200\nm=x\n";
    let raw = message.replace('\n', "\r\n");
    let foreign = [&b"BYE sip:a SIP/2.0\r\nl: 3\r\n\r\n"[..], b"\xfc\r\n"].concat();
    let whole = String::from_utf8(Anonymizer::new(3).message(&foreign)).unwrap();
    assert!(whole.contains("l: 5\r\n"), "{whole}");
    let length = |raw: &str| {
        let (head, body) = raw.split_once("\r\n\r\n").unwrap();
        let told: usize = head.rsplit(' ').next().unwrap().parse().unwrap();
        (told, body.len())
    };
    let (told, real) = length(&raw);
    let fresh = String::from_utf8(Anonymizer::new(3).message(raw.as_bytes())).unwrap();
    let (fresh_told, fresh_real) = length(&fresh);
    assert_ne!(real, fresh_real, "{fresh}");
    assert_eq!(real.wrapping_sub(told), fresh_real.wrapping_sub(fresh_told), "{fresh}");
}

#[test]
fn addresses_that_name_nobody_stay_and_private_ones_stay_private() {
    let mut anonymizer = Anonymizer::new(1);
    for kept in ["0.0.0.0", "127.0.0.1", "255.255.255.255", "::", "::1"] {
        assert_eq!(anonymizer.value(kept), kept);
    }
    for (private, start) in
        [("10.1.2.3", "10."), ("192.168.7.8", "192.168."), ("fe80::17", "fe80::"), ("fd12::1", "fd00:")]
    {
        let fresh = anonymizer.value(private);
        assert!(fresh.starts_with(start) && fresh != private, "{fresh}");
    }
    let public = anonymizer.value("8.8.4.4");
    assert!(["192.0.2.", "198.51.100.", "203.0.113."].iter().any(|net| public.starts_with(net)), "{public}");
    assert_eq!(anonymizer.value("8.8.4.4"), public);
}

#[test]
fn numbers_keep_their_length_and_others_stay_others() {
    let mut anonymizer = Anonymizer::new(1);
    let numbers: Vec<String> =
        (1000..3000).map(|number| anonymizer.value(&format!("sip:{number}@pbx"))).collect();
    let different: std::collections::HashSet<&String> = numbers.iter().collect();
    assert_eq!(different.len(), numbers.len());
    assert!(numbers.iter().all(|uri| uri.len() == "sip:1000@pbx".len()));
    assert_eq!(anonymizer.value("+491234").len(), 7);
}

#[test]
fn sections_ports_and_statuses_in_sentences_stay() {
    let mut anonymizer = Anonymizer::new(1);
    for extension in ["3261", "5060", "200", "4711"] {
        anonymizer.value(&format!("sip:{extension}@pbx"));
    }
    let told = anonymizer.words("RFC 3261 §14: 4711 sent 200 to 127.0.0.1:5060");
    assert!(told.starts_with("RFC 3261 §14: ") && told.ends_with(" sent 200 to 127.0.0.1:5060"), "{told}");
    assert!(!told.contains("4711"));
}

#[test]
fn a_name_of_which_only_the_case_differs_stays_one() {
    let mut anonymizer = Anonymizer::new(1);
    let (small, large) = (anonymizer.value("Tag-AbCd9"), anonymizer.value("tag-abcd9"));
    assert_eq!(small.to_lowercase(), large.to_lowercase());
    assert_ne!(small, large);
}

#[test]
fn parts_of_a_body_lose_their_names_too() {
    let told = anonymous(
        "INVITE sip:b@h SIP/2.0
From: <sip:mustermann@h>;tag=1
Content-Type: multipart/mixed;boundary=b1
Content-Length: 0

--b1
Content-Type: application/sdp

v=0
o=mustermann 1 1 IN IP4 10.9.8.7
--b1
Content-Type: application/pidf+xml

<presence entity=\"pres:mustermann@acme.de\"><note>Zuhause</note></presence>
--b1--
",
    );
    for gone in ["mustermann", "10.9.8.7", "acme", "Zuhause"] {
        assert!(!told.contains(gone), "{gone} in {told}");
    }
    assert!(told.contains("Content-Type: application/sdp\n\nv=0\no="), "{told}");
}

fn ladders() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/tests/rules");
    let mut all: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(path.join("breaks.ladder")).ok()?;
            Some((path.file_name()?.to_string_lossy().into_owned(), text))
        })
        .collect();
    all.sort();
    all
}

fn told(calls: &[Call]) -> Vec<String> {
    let told = |finding: &Finding| {
        let Finding { code, severity, certainty, by, at, because, .. } = finding;
        format!("{code} {severity} {certainty} {by} {at} {because:?}")
    };
    calls.iter().flat_map(|call| call.findings.iter().map(told)).collect()
}

/// What a tap would have seen of calls without identities.
fn packets(calls: &[Call]) -> Vec<Packet> {
    let mut packets: Vec<Packet> = calls
        .iter()
        .flat_map(|call| &call.messages)
        .map(|message| Packet {
            at: message.at,
            from: message.from,
            to: message.to,
            transport: message.transport,
            payload: message.raw.to_vec(),
            place: message.place,
            cut: message.cut,
        })
        .collect();
    packets.sort_by_key(|packet| packet.place);
    packets
}

#[test]
fn the_analysis_finds_the_same_without_identities() {
    let mut different = Vec::new();
    for (name, ladder) in ladders() {
        let mut calls = sample::calls(sample::packets(&ladder));
        let before = told(&calls);
        let mut anonymizer = Anonymizer::new(11);
        for call in &mut calls {
            anonymizer.call(call);
        }
        let after = told(&sample::calls(packets(&calls)));
        if before != after {
            different.push(format!("{name}: {before:?} became {after:?}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// All that is said of calls.
fn said(calls: &[Call]) -> String {
    let mut out = String::new();
    for call in calls {
        let _ = writeln!(out, "{} calls {}", call.caller.name, call.callee.name);
        for Finding { code, title, means, fix, consequences, .. } in &call.findings {
            let _ = writeln!(out, "{code} {title} {means} {fix}");
            consequences.iter().for_each(|one| writeln!(out, "  {}", one.what).unwrap());
        }
        for moment in &call.story {
            let diff: Vec<_> = moment.diff.signed().collect();
            let _ = writeln!(out, "{} {:?} {diff:?}", moment.what, moment.streams);
        }
        call.messages.iter().for_each(|message| writeln!(out, "{}", message.summary).unwrap());
    }
    out
}

/// A ladder of parties with these names, who have something to say.
fn renamed(ladder: &str, names: [&str; 2], more: &str) -> Vec<Packet> {
    let mut packets = sample::packets(ladder);
    for packet in &mut packets {
        let text = String::from_utf8(std::mem::take(&mut packet.payload)).unwrap();
        let text = text.replace("sip:alice@", &format!("sip:{}@", names[0]));
        let text = text.replace("sip:bob@", &format!("sip:{}@", names[1]));
        packet.payload = text.replace("\r\nCall-ID: ", &format!("\r\n{more}Call-ID: ")).into_bytes();
    }
    packets
}

#[test]
fn short_extensions_and_names_that_are_words_are_neither_told_nor_put_into_sentences() {
    let more = "Subject: answer the call on hold, sent with none of session audio\r\nUser-Agent: phone of sendonly\r\n";
    let mut different = Vec::new();
    for (name, ladder) in ladders() {
        for names in [["100", "7"], ["bo", "a"], ["8000", "call"], ["answered", "answered"]] {
            let mut calls = sample::calls(renamed(&ladder, names, more));
            let mut anonymizer = Anonymizer::new(11);
            calls.iter_mut().for_each(|call| anonymizer.call(call));
            let (kept, anew) = (said(&calls), said(&sample::calls(packets(&calls))));
            for (kept, anew) in kept.lines().zip(anew.lines()).filter(|(kept, anew)| kept != anew) {
                different.push(format!("{name} of {names:?}: {kept}\nshould be: {anew}"));
            }
        }
    }
    assert!(
        different.is_empty(),
        "{} of them\n{}",
        different.len(),
        different[..different.len().min(6)].join("\n")
    );
}

#[test]
fn findings_that_were_left_out_stay_out_without_identities() {
    let mut call = sample::calls(sample::packets(
        "start call\nA -> B INVITE offer\nB >< A UPDATE offer\nA -> B 200 UPDATE answer\nA -> B INVITE offer\nexpect A breaks UP-13 at 3",
    ))
    .remove(0);
    assert!(call.findings.len() > 1, "{:?}", call.findings);
    call.findings.retain(|finding| finding.code == "UP-13");
    Anonymizer::new(1).call(&mut call);
    assert_eq!(call.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["UP-13"]);
    // Twice is once.
    let once = said(std::slice::from_ref(&call));
    call.work_out();
    assert_eq!(said(std::slice::from_ref(&call)), once);
}

#[test]
fn short_names_go_from_what_a_peer_says_and_its_numbers_stay() {
    let told = anonymous(
        "BYE sip:100@h SIP/2.0
From: \"Bo\" <sip:101@h>;tag=1
Reason: Q.850;cause=100;text=\"100 told Bo to hang up\"
Retry-After: 100 (ask 101)
Content-Type: application/sdp
Content-Length: 0

a=rtpmap:101 telephone-event/8000
a=rtcp:100 IN IP4 10.9.8.7
",
    );
    assert!(told.contains("cause=100;text=\"") && told.contains("Retry-After: 100 (ask "), "{told}");
    assert!(told.contains("a=rtpmap:101 telephone-event/8000\na=rtcp:100 IN IP4 10."), "{told}");
    assert!(!told.contains("\"100 ") && !told.contains(" Bo ") && !told.contains("ask 101"), "{told}");
}

/// Every report of a call.
fn reports(call: &Call) -> String {
    let mut out = html::page(std::slice::from_ref(call), &[], 0);
    out.push_str(&mermaid::document(std::slice::from_ref(call)));
    let mut bytes = Vec::new();
    text::call(call, text::Layout { width: 500, ladder: true }, &mut bytes).unwrap();
    let mut json = json::Writer::new(Vec::new()).unwrap();
    json.call(call).unwrap();
    bytes.extend(json.finish(&[], &crate::Stats::default()).unwrap());
    out.push_str(&String::from_utf8(bytes).unwrap());
    out.push_str(&export::ladder(call, None).unwrap());
    for party in [Party::Caller, Party::Callee] {
        out.push_str(&export::sipp(call, party).unwrap());
    }
    out
}

fn identity() -> impl Strategy<Value = String> {
    // No word of a report begins like this, and without these letters it holds no name that is replaced below.
    "q[d-z]{4,8}x".prop_map(|name| name)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn nobody_can_be_found_in_any_report(
        names in proptest::collection::vec(identity(), 12),
        number in "[1-9][0-9]{9,12}",
        address in (11u8..99, any::<u8>(), any::<u8>(), 1u8..255),
        seed in any::<u64>(),
    ) {
        let address = format!("{}.{}.{}.{}", address.0, address.1, address.2, address.3);
        let mut packets = sample::packets("start call
A -> B INVITE offer sdp:sendonly
B >< A UPDATE offer
A -> B 200 UPDATE answer
B -> A REFER
A -> B 202
expect A breaks UP-13 at 3");
        let swap = |text: &str| text
            .replace("alice", &names[0])
            .replace("bob", &number)
            .replace("carol", &names[1])
            .replace("10.0.0.1", &address)
            .replace("tag=", &format!("tag={}", names[2]))
            .replace("From: <", &format!("From: \"{} {}\" <", names[3], names[4]))
            .replace("branch=z9hG4bK", &format!("branch=z9hG4bK{}", names[5]))
            .replace("\r\nCall-ID: ", &format!("\r\nX-Trace: {}\r\nUser-Agent: {}phone for {}\r\nCall-ID: {}", names[6], names[7], names[0], names[8]))
            .replace("Refer-To: <", &format!("Refer-To: \"{}\" <", names[9]))
            .replace("s=-", &format!("s={}", names[10]));
        for packet in &mut packets {
            let text = String::from_utf8(packet.payload.clone()).unwrap();
            let text = swap(&text);
            packet.payload = text.into_bytes();
            for end in [&mut packet.from, &mut packet.to] {
                if end.ip().to_string() == "10.0.0.1" {
                    end.set_ip(address.parse().unwrap());
                }
            }
        }
        let mut call = sample::calls(packets).remove(0);
        prop_assert!(reports(&call).contains(&names[0]));
        Anonymizer::new(seed).call(&mut call);
        let told = reports(&call);
        for gone in names[..7].iter().chain(&names[8..11]).chain([&number, &address]) {
            prop_assert!(!told.contains(gone.as_str()), "{} is left", gone);
        }
    }

    #[test]
    fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Anonymizer::new(1).message(&bytes);
    }

    #[test]
    fn any_text_is_taken(text in "\\PC{0,80}") {
        let mut anonymizer = Anonymizer::new(1);
        let _ = anonymizer.value(&text);
        let _ = anonymizer.words(&text);
        let _ = anonymizer.sdp_line(&format!("a={text}"));
    }
}
