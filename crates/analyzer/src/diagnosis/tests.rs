//! Whole calls: what is told once, what under it, and that nothing in a trace can make it stumble.

use std::io::Cursor;

use midcall_proto::observer::{Kind, Party, Repeat};
use midcall_proto::rules::Severity;

use super::Reading;
use crate::analyze;
use crate::model::{Call, Finding};
use crate::sample;
use crate::source::Opener;

fn call(ladder: &str) -> Call {
    sample::call(&format!("{ladder}\nexpect nothing"))
}

/// The findings above info: code, message, consequences.
fn told(call: &Call) -> Vec<String> {
    let bad = call.findings.iter().filter(|finding| finding.severity > Severity::Info);
    bad.map(|finding| {
        let below: Vec<_> = finding
            .consequences
            .iter()
            .map(|one| {
                format!(
                    "\n  {}: {}{}",
                    one.at,
                    one.what,
                    one.code.map_or_else(String::new, |code| format!(" ({code})"))
                )
            })
            .collect();
        format!("{} {} at {}{}", finding.code, finding.by, finding.at, below.concat())
    })
    .collect()
}

#[test]
fn a_missing_ack_is_one_finding_with_the_resends_the_bye_and_what_came_after() {
    let call = call(
        "A -> B INVITE offer
B -> A 200 INVITE answer
B -> A again 2 +0.5s
B -> A again 2 +1s
B -> A again 2 +2s
B -> A again 2 +4s
B -> A BYE +25s
A -> B 481 BYE",
    );
    insta::assert_snapshot!(told(&call).join("\n"));
}

#[test]
fn the_same_mistake_again_and_again_is_one_finding_with_a_count() {
    let call = call(
        "start call
A -> B UPDATE offer sdp:sendonly [-Contact]
B -> A 200 answer
A -> B UPDATE offer [-Contact] +5s
B -> A 200 answer
A -> B UPDATE offer sdp:sendonly [-Contact] +5s
B -> A 200 answer",
    );
    insta::assert_snapshot!(told(&call).join("\n"));
    let means = &call.findings[0].means;
    assert!(means.ends_with("The same happened 2 more times (messages 6 and 8)."), "{means}");
}

#[test]
fn a_glare_is_told_once() {
    let call = call(
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
    );
    let glare: Vec<_> =
        call.findings.iter().map(|one| one.code).filter(|code| matches!(*code, "RI-01" | "F-GLR1")).collect();
    assert_eq!(glare, ["F-GLR1"]);
}

#[test]
fn an_exchange_left_open_is_told_once() {
    let call = call(
        "start call
A -> B UPDATE offer sdp:sendonly
B -> A 200 UPDATE
A -> B UPDATE offer +5s
B -> A 200 UPDATE answer",
    );
    insta::assert_snapshot!(told(&call).join("\n"));
}

#[test]
fn an_ack_that_went_astray_explains_the_resends() {
    let call = call(
        "A -> B INVITE offer
B -> A 180 [Contact: <sip:early@10.0.0.2:5060>]
B -> A 200 answer [Contact: <sip:late@10.0.0.2:5060>]
A -> B ACK uri=sip:early@10.0.0.2:5060
B -> A again 3 +0.5s
B -> A again 3 +1s
B -> A again 3 +2s",
    );
    insta::assert_snapshot!(told(&call).join("\n"));
}

/// What is left without an answer is the fault of who did not answer, and still was sent by the other side.
#[test]
fn who_is_blamed_is_not_taken_for_who_sent() {
    let said = |ladder: &str, code: &str| {
        let call = call(ladder);
        let finding = call.findings.iter().find(|finding| finding.code == code);
        finding.map_or_else(
            || panic!("{:?}", call.findings),
            |finding| (finding.by, finding.title.clone(), finding.means.clone(), finding.fix.clone()),
        )
    };
    let timer = "A -> B INVITE offer [Session-Expires: 90]
B -> A 200 answer [Session-Expires: 90;refresher=uac] [Require: timer]
A -> B ACK";
    let (by, title, means, _) = said(&format!("{timer}\nB -> A BYE @60s\nA -> B 200"), "ST-16");
    assert_eq!((by, &*title), (Party::Caller, "Hung up because nobody refreshed"));
    assert!(means.starts_with("bob hung up in the BYE at 60 s (message 4)"), "{means}");
    assert!(means.ends_with("alice had to refresh it, and no refresh came by here."), "{means}");
    let refused =
        "A -> B UPDATE [Session-Expires: 90;refresher=uac] @45s\nB -> A 405\nB -> A BYE @60s\nA -> B 200";
    let (by, title, means, _) = said(&format!("{timer}\n{refused}"), "ST-16");
    assert_eq!((by, &*title), (Party::Caller, "Hung up because the refresh was refused"));
    let end = "and its refresh in the UPDATE at 45 s (message 4) was refused with 405 (message 5).";
    assert!(means.starts_with("bob hung up") && means.ends_with(end), "{means}");

    let bye = "start call\nA -> B BYE\nA -> B again 1 +0.5s\nA -> B again 1 +1s\nA -> B again 1 +2s
A -> B again 1 +4s\nwait 60s\nC -> D OPTIONS";
    let (by, title, means, fix) = said(bye, "TX-15");
    assert_eq!((by, &*title), (Party::Callee, "BYE got no answer"));
    assert!(means.starts_with("alice sent a BYE"), "{means}");
    assert!(
        means.ends_with("sent it again 4 times until 7.6 s, and no final response came by here."),
        "{means}"
    );
    assert!(fix.starts_with("Look for the BYE at bob: "), "{fix}");

    let refer = "start call\nA -> B REFER\nB -> A 202\nB -> A NOTIFY\nA -> B 200\nwait 100s\nA -> B BYE +300s\nB -> A 200";
    let (by, _, means, _) = said(refer, "RF-08");
    assert_eq!(by, Party::Callee);
    assert!(means.starts_with("alice sent a REFER"), "{means}");
    assert!(means.contains("and bob never reported how the transfer ended: the last word"), "{means}");
}

/// Who never got a response cannot acknowledge it, and who then ends the call has waited long enough.
#[test]
fn a_response_to_the_wrong_place_explains_the_missing_ack_and_the_bye() {
    let mut packets = sample::packets(
        "A -> B INVITE offer
B ~> A 200 INVITE answer
B ~> A again 2 +0.5s
B ~> A again 2 +1s
B ~> A again 2 +2s
B ~> A again 2 +4s
B -> A BYE +8s
A -> B 200 BYE
wait 40s
C -> D OPTIONS
expect nothing",
    );
    for packet in packets.iter_mut().filter(|packet| packet.payload.starts_with(b"SIP/2.0 200 OK\r\n")) {
        if String::from_utf8_lossy(&packet.payload).contains(" INVITE\r\n") {
            packet.to = ([10, 0, 0, 99], 5060).into();
        }
    }
    let calls = sample::calls(packets);
    insta::assert_snapshot!(told(&calls[0]).join("\n"));
}

/// Copies without times are copies all the same, and that the callee waited for long before its BYE may well be.
#[test]
fn a_missing_ack_in_a_paste_without_times_is_not_blamed_on_the_bye() {
    let resent = "B -> A again 2 +1s\n".repeat(10);
    let packets = sample::packets(&format!(
        "A -> B INVITE offer\nB -> A 200 INVITE answer\n{resent}B -> A BYE +25s\nA -> B 200 BYE\nexpect nothing"
    ));
    let paste: Vec<u8> = packets.into_iter().flat_map(|packet| packet.payload).collect();
    let mut source = Opener::default().read("a paste", Cursor::new(paste)).unwrap();
    let analysis = analyze(&mut *source).unwrap();
    let call = &analysis.calls[0];
    assert!(call.findings.iter().all(|finding| finding.code != "DLG-26"), "{:?}", call.findings);
    let resent = |kind: &Kind| matches!(kind, Kind::Again { how: Repeat::Resent, .. });
    assert_eq!(call.messages.iter().filter(|message| resent(&message.kind)).count(), 10);
    let missing = call.findings.iter().find(|finding| finding.code == "TX-08").expect("TX-08");
    assert!(missing.means.contains("sent it again 10 times, and no ACK"), "{}", missing.means);
}

/// A number that was used before is below none: its sender alone is to blame.
#[test]
fn the_same_cseq_number_again_is_told_once() {
    let call = call("start call\nA -> B UPDATE offer\nB -> A 200\nA -> B UPDATE offer cseq=+0\nB -> A 200");
    let codes: Vec<_> = call.findings.iter().map(|finding| finding.code).collect();
    assert!(codes.contains(&"DLG-11") && !codes.contains(&"DLG-12"), "{codes:?}");
}

#[test]
fn a_finding_names_the_product_that_has_to_change() {
    let call = call(
        "config B [User-Agent: FooPhone 1.2]
start call
A -> B INVITE offer sdp:sendonly
B -> A 200 INVITE answer sdp:sendrecv
A -> B ACK",
    );
    let finding = call.findings.iter().find(|finding| finding.code == "OA-23").expect("a finding");
    assert_eq!(finding.by, Party::Callee);
    assert!(finding.fix.starts_with("bob (FooPhone 1.2): answer"), "{}", finding.fix);
}

/// Whatever a message says, it is told without stumbling, and what cannot be read is left out.
#[test]
fn torn_and_twisted_messages_are_told_as_far_as_they_can_be_read() {
    let mut seed = 7_u64;
    let mut chance = move |most: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % most.max(1)
    };
    let ladders = [
        "start call\nA -> B INVITE offer sdp:sendonly\nB -> A 200 answer sdp:sendrecv\nA -> B ACK",
        "start call\nA -> B UPDATE offer\nA -> B UPDATE offer\nB -> A 200 UPDATE of=2\nA -> B BYE\nB -> A 481",
        "start call\nA -> B REFER\nB -> A 200\nB -> A NOTIFY [-Subscription-State]\nA -> B 200",
    ];
    let mut findings = 0;
    for ladder in ladders {
        let whole = call(ladder);
        for _ in 0..400 {
            let mut call = whole.clone();
            for message in &mut call.messages {
                let mut raw = message.raw.to_vec();
                match chance(4) {
                    0 => raw.truncate(chance(raw.len())),
                    1 if !raw.is_empty() => {
                        let at = chance(raw.len());
                        raw[at] = u8::try_from(chance(256)).unwrap();
                    }
                    2 => raw.clear(),
                    _ => {}
                }
                message.raw = raw.into();
            }
            // Findings may name what is not there any more.
            for finding in &mut call.findings {
                finding.at = u32::try_from(chance(12)).unwrap();
                finding.means = raw_means(finding);
            }
            let reading = Reading::new(&call);
            let found = super::find(&reading, &super::deals(&reading));
            call.findings.extend(found);
            super::tell(&mut call);
            findings += call.findings.len();
            assert!(
                call.findings.iter().all(|finding| !finding.title.is_empty() && !finding.means.is_empty())
            );
        }
    }
    assert!(findings > 1_000, "{findings}");
}

/// As the observer's findings come.
fn raw_means(finding: &Finding) -> String {
    midcall_proto::rules::Rule::by_code(finding.code)
        .map_or_else(|| finding.means.clone(), |rule| rule.means.to_owned())
}
