use std::fs;
use std::path::Path;

use midcall_proto::observer::Party;
use proptest::prelude::*;

use super::*;
use crate::model::{Call, Finding};
use crate::sample;

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

fn told_of(call: &Call) -> Vec<String> {
    let told = |finding: &Finding| {
        format!("{} {} {} {} {}", finding.code, finding.severity, finding.certainty, finding.by, finding.at)
    };
    call.findings.iter().map(told).collect()
}

/// Breaches that an export levels out.
const LOST: &[&str] = &[
    // The second copy went to a third place, and an export has two seats.
    "TX-32",
];

#[test]
fn every_breach_breaks_the_same_rules_when_its_export_is_played() {
    let (mut different, mut same) = (Vec::new(), 0);
    for (name, text) in ladders() {
        let call = sample::call(&text);
        let before = told_of(&call);
        let exported = match ladder(&call, None) {
            Ok(exported) => exported,
            Err(why) => {
                different.push(format!("{name}: {why}"));
                continue;
            }
        };
        let outcome = std::panic::catch_unwind(|| told_of(&sample::call(&exported)));
        match outcome {
            Ok(after) if after == before => {
                assert!(!LOST.contains(&name.as_str()), "{name} is no longer lost: strike it from the list");
                same += 1;
            }
            Ok(_) if LOST.contains(&name.as_str()) => {}
            Ok(after) => {
                different.push(format!("{name}: {before:?}\n became {after:?}\n{text}\n---\n{exported}"));
            }
            Err(_) => different.push(format!("{name} does not play\n{text}\n---\n{exported}")),
        }
    }
    assert!(
        different.is_empty(),
        "{same} are the same, {} not:\n{}",
        different.len(),
        different.join("\n=====\n")
    );
    assert!(same > 160, "only {same} ladders were found");
}

#[test]
fn a_breach_is_a_ladder_of_few_words() {
    let breaks = include_str!("../../../proto/tests/rules/UP-13/breaks.ladder");
    insta::assert_snapshot!(ladder(&sample::call(breaks), None).unwrap());
}

#[test]
fn what_words_cannot_tell_is_a_named_body_with_example_addresses() {
    let call = sample::call(
        "sdp odd
  v=0
  o=alice 1 1 IN IP4 10.0.0.1
  s=-
  c=IN IP4 10.0.0.77
  t=0 0
  m=audio 40000 RTP/SAVP 8
  a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz
  a=label:1
A -> B INVITE offer=odd
B -> A 488
A -> B ACK
expect nothing",
    );
    let told = ladder(&call, None).unwrap();
    assert!(told.contains("sdp body1\n  v=0\n") && told.contains("INVITE offer=body1"), "{told}");
    assert!(!told.contains("WVNf") && !told.contains("10.0.0.77"), "{told}");
}

#[test]
fn a_call_that_begins_before_the_trace_gets_the_usual_beginning() {
    let late = sample::calls(sample::packets(CLEAN).split_off(6)).remove(0);
    let told = ladder(&late, None).unwrap();
    insta::assert_snapshot!(told, @r"
    start call
    A -> B   INVITE offer sdp:sendonly
    B -> A   200 INVITE answer
    A -> B   ACK
    B -> A   BYE
    A -> B   200 BYE
    expect nothing
    ");
    assert_eq!(told_of(&sample::call(&told)), Vec::<String>::new());
}

#[test]
fn only_the_finding_that_is_asked_for_is_expected() {
    let breaks = include_str!("../../../proto/tests/rules/UP-13/breaks.ladder");
    let call = sample::call(breaks);
    let info = call.findings.iter().find(|finding| finding.code == "UP-09").unwrap();
    let told = ladder(&call, Some(info)).unwrap();
    assert!(told.ends_with("expect   B breaks UP-09 at 2 because 1 crossed\nallow UP-13\n"), "{told}");
    let foreign = Finding { code: "F-SDP9", ..info.clone() };
    assert_eq!(ladder(&call, Some(&foreign)), Err(Unexportable::Diagnosis("F-SDP9")));
}

const CLEAN: &str = "A -> B INVITE offer
B -> A 183 reliable answer
A -> B PRACK
B -> A 200 PRACK
B -> A 200 INVITE
A -> B ACK
A -> B INVITE offer sdp:sendonly +2s
B -> A 200 answer
A -> B ACK
B -> A BYE
A -> B 200
expect nothing";

#[test]
fn what_cannot_be_played_says_why() {
    let call = sample::call(CLEAN);
    let why = |change: &dyn Fn(&mut Call)| {
        let mut call = call.clone();
        change(&mut call);
        (ladder(&call, None).unwrap_err().to_string(), sipp(&call, Party::Caller).unwrap_err().to_string())
    };
    let both = |text: &str| (text.to_owned(), text.to_owned());
    assert_eq!(why(&|call| call.messages.clear()), both("the call has no message"));
    assert_eq!(why(&|call| call.dropped = 1), both("the call had more messages than are remembered"));
    assert_eq!(why(&|call| call.messages[2].cut = true), both("the trace lacks the end of message 3"));
    assert_eq!(why(&|call| call.messages[2].raw.clear()), both("message 3 cannot be read"));
    assert_eq!(
        why(&|call| drop(call.messages.remove(2))),
        both("message 4 belongs to one that the trace lacks")
    );
    let late = sample::calls(sample::packets(CLEAN).split_off(6)).remove(0);
    assert_eq!(sipp(&late, Party::Caller), Err(Unexportable::Joined));
    assert_eq!(sipp(&call, Party::Network), Err(Unexportable::Silent));
}

#[test]
fn either_party_is_a_scenario() {
    let call = sample::call(CLEAN);
    insta::assert_snapshot!("caller", sipp(&call, Party::Caller).unwrap());
    insta::assert_snapshot!("callee", sipp(&call, Party::Callee).unwrap());
}

#[test]
fn a_scenario_names_no_address_and_nobody() {
    for (name, text) in ladders() {
        let call = sample::call(&text);
        for party in [Party::Caller, Party::Callee] {
            let Ok(scenario) = sipp(&call, party) else { continue };
            for gone in ["@10.0.0.1:", "@10.0.0.2:", "brxelxsycv6h"] {
                assert!(!scenario.contains(gone), "{name}: {gone} in {scenario}");
            }
            assert_eq!(scenario.matches("<![CDATA[").count(), scenario.matches("]]>").count(), "{name}");
        }
    }
}

#[test]
fn a_party_that_did_not_resend_does_not_in_its_scenario() {
    let resends = "A -> B INVITE offer\nB -> A 200 answer +1500ms\nA -> B ACK\nexpect nothing";
    let told = sipp(&sample::call(resends), Party::Caller).unwrap();
    assert!(!told.contains("retrans"), "{told}");
    let quick = "A -> B INVITE offer\nB -> A 200 answer\nA -> B ACK\nexpect nothing";
    assert!(sipp(&sample::call(quick), Party::Caller).unwrap().contains("retrans=\"500\""));
}

/// SIPp sends nothing else while something waits to be sent again.
#[test]
fn a_side_that_goes_on_before_the_answer_does_not_wait_for_it_in_its_scenario() {
    let met = "start call
A -> B INVITE offer sdp:sendonly @5s
B >< A INVITE offer sdp:inactive
A -> B 491 of=2
B -> A 491 of=1
A -> B ACK of=4
B -> A ACK of=3
A -> B BYE
B -> A 200
expect nothing";
    let sends = |party| {
        let scenario = sipp(&sample::call(met), party).unwrap();
        let sends =
            scenario.split("<send").skip(1).filter(|one| one.contains("\nINVITE ") || one.contains("\nBYE "));
        sends.map(|one| one.lines().next().unwrap().contains("retrans")).collect::<Vec<_>>()
    };
    // The first INVITE, the one that met another, the BYE; the callee has its answer before it goes on.
    assert_eq!(sends(Party::Caller), [true, false, true]);
    assert_eq!(sends(Party::Callee), [true]);
    let passed_by = "start call\nA -> B UPDATE offer\nA -> B BYE +10s\nB -> A 200 BYE\nexpect nothing";
    let scenario = sipp(&sample::call(passed_by), Party::Caller).unwrap();
    assert_eq!(scenario.matches("retrans").count(), 2, "{scenario}");
}

proptest! {
    /// Exports read what a trace says, and a trace says anything.
    #[test]
    fn any_damage_gives_a_text_or_a_reason(
        message in 0usize..11,
        place in any::<prop::sample::Index>(),
        with in proptest::collection::vec(any::<u8>(), 0..12),
        by in prop_oneof![Just(Party::Caller), Just(Party::Callee), Just(Party::Network)],
    ) {
        let mut call = sample::call(CLEAN);
        let damaged = &mut call.messages[message];
        let at = place.index(damaged.raw.len());
        let end = (at + with.len() / 2).min(damaged.raw.len());
        let mut raw = damaged.raw.to_vec();
        raw.splice(at..end, with);
        damaged.raw = raw.into();
        damaged.by = by;
        let _ = ladder(&call, None);
        for party in [Party::Caller, Party::Callee] {
            let _ = sipp(&call, party);
        }
        crate::Anonymizer::new(3).call(&mut call);
        let _ = crate::report::html::page(&[call], &[], 0);
    }
}
