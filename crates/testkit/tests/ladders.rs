//! Ladders that keep every rule, played with an endpoint in each seat in turn.

use midcall_proto::covers;
use midcall_testkit::ladder::{Actor, Stage, parse};

#[track_caller]
fn plays(text: &str) {
    let text = format!("{text}\nexpect nothing\n");
    let ladder = parse(&text).unwrap_or_else(|why| panic!("{why}"));
    let mut stage = Stage::new(&ladder, Vec::new());
    stage.play(None).unwrap_or_else(|why| panic!("scripted: {why}"));
    let faults: Vec<String> = ladder
        .parties()
        .into_iter()
        .filter(|who| !ladder.skipped.iter().any(|(own, _)| own == who))
        .filter_map(|who| {
            let mut stage = Stage::new(&ladder, vec![(who, Box::new(Actor::new(&ladder, who)))]);
            let outcome = stage.play(None).err();
            let broke = stage.live(who).map(|live| live.peer_broke()).unwrap_or_default();
            let told = (!broke.is_empty()).then(|| format!("reports {broke:?}\n{}", stage.drawing()));
            outcome.or(told).map(|why| format!("{who}: {why}"))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn hold_and_resume() {
    covers!("SV-01");
    plays(
        "start call
A -> B  INVITE offer sdp:sendonly
B -> A  200 answer
A -> B  ACK
A -> B  INVITE offer
B -> A  200 answer
A -> B  ACK
B -> A  UPDATE offer sdp:sendonly
A -> B  200 answer
B -> A  BYE
A -> B  200",
    );
}

#[test]
fn reliable_early_media() {
    plays(
        "A -> B  INVITE offer
B -> A  183 reliable answer
A -> B  PRACK
B -> A  200 PRACK
B -> A  200 INVITE
A -> B  ACK",
    );
}

#[test]
fn early_update_by_the_caller() {
    plays(
        "start reliable
A -> B  UPDATE offer sdp:sendonly
B -> A  200 answer
B -> A  200 INVITE
A -> B  ACK",
    );
}

#[test]
fn an_offerless_call() {
    plays(
        "A -> B  INVITE
B -> A  200 offer
A -> B  ACK answer
B -> A  INVITE
A -> B  200 offer
B -> A  ACK answer",
    );
}

#[test]
fn a_cancelled_call() {
    plays(
        "A -> B  INVITE offer
B -> A  180
A -> B  CANCEL
B -> A  200 CANCEL
B -> A  487 INVITE
A -> B  ACK",
    );
}

#[test]
fn a_refused_change() {
    plays(
        "start call
A -> B  INVITE offer sdp:+video
B -> A  488
skip B: refuses video only where it is told to
A -> B  BYE
B -> A  200",
    );
}

#[test]
fn two_changes_cross() {
    plays(
        "start call
A -> B  INVITE offer sdp:sendonly
B >< A  INVITE offer sdp:sendonly
B -> A  491 of=1
A -> B  491 of=2
A -> B  ACK of=3
B -> A  ACK of=4",
    );
}

#[test]
fn a_blind_transfer() {
    covers!("SV-06");
    plays(
        "start call
B -> A  REFER
A -> B  200
A -> B  NOTIFY
B -> A  200
A -> C  INVITE offer
C -> A  200 answer
A -> C  ACK
A -> B  NOTIFY sipfrag=200
B -> A  200
B -> A  BYE
A -> B  200",
    );
}

#[test]
fn a_lost_ack() {
    plays(
        "A -> B  INVITE offer
B -> A  200 answer
A ~> B  ACK
B -> A  again 2
A -> B  again 3",
    );
}

#[test]
fn refresh_by_update() {
    plays(
        "config A timer=90
A -> B  INVITE offer
B -> A  200 answer [Session-Expires: 90;refresher=uac] [Require: timer]
A -> B  ACK
A -> B  UPDATE @45s [Session-Expires: 90;refresher=uac]
B -> A  200 [Session-Expires: 90;refresher=uac] [Require: timer]",
    );
}

#[test]
fn two_byes_cross() {
    plays(
        "start call
A -> B  BYE
B >< A  BYE
B -> A  200 of=1
A -> B  200 of=2",
    );
}

#[test]
fn a_bye_crosses_a_change() {
    plays(
        "start call
A -> B  INVITE offer sdp:sendonly
B >< A  BYE
A -> B  200 BYE
B -> A  481 of=1
A -> B  ACK of=4",
    );
}

#[test]
fn a_change_is_cancelled() {
    plays(
        "start call
config B new-streams=ask
A -> B  INVITE offer sdp:+video
B -> A  180
A -> B  CANCEL
B -> A  200 CANCEL
B -> A  487 INVITE
A -> B  ACK
skip B: sends no 180 for a re-INVITE",
    );
}

#[test]
fn a_bye_during_a_change() {
    plays(
        "start call
A -> B  INVITE offer sdp:+video
A -> B  BYE
B -> A  200 BYE
B -> A  487 INVITE
A -> B  ACK
skip A: withdraws its change before it hangs up",
    );
}

#[test]
fn a_lost_prack() {
    plays(
        "A -> B  INVITE offer
B -> A  183 reliable answer
A ~> B  PRACK
A -> B  again 3 +500ms
B -> A  200 PRACK
B -> A  200 INVITE
A -> B  ACK",
    );
}

#[test]
fn a_refused_reliability() {
    plays(
        "config A 100rel=required
config B 100rel=no
A -> B  INVITE offer [Require: 100rel]
B -> A  420 [Unsupported: 100rel]
A -> B  ACK
A -> B  INVITE offer
B -> A  200 answer
A -> B  ACK",
    );
}

#[test]
fn a_low_interval_is_refused() {
    plays(
        "config A timer=90
config B min-se=600
A -> B  INVITE offer [Session-Expires: 90]
B -> A  422 [Min-SE: 600]
A -> B  ACK
A -> B  INVITE offer [Session-Expires: 600] [Min-SE: 600]
B -> A  200 answer [Session-Expires: 600;refresher=uac] [Require: timer]
A -> B  ACK",
    );
}

#[test]
fn an_attended_transfer() {
    covers!("SV-08");
    plays(
        "start call
B -> C  INVITE offer
C -> B  200 answer
B -> C  ACK
B -> A  REFER [Refer-To: <{uri C}?Replaces={escaped replaces CB}>]
A -> B  200
A -> B  NOTIFY
B -> A  200
A -> C  INVITE offer [Replaces: {replaces CB}]
C -> A  200 answer
A -> C  ACK
C -> B  BYE
B -> C  200
A -> B  NOTIFY sipfrag=200
B -> A  200
B -> A  BYE
A -> B  200",
    );
}

#[test]
fn a_fork_with_two_reliable_answers() {
    plays(
        "A -> B  INVITE offer
B -> A  183 reliable answer
A -> B  PRACK
B -> A  200 PRACK
B -> A  183 tag=fork reliable answer of=1
A -> B  PRACK tag=fork
B -> A  200 PRACK
B -> A  200 INVITE tag=fork of=1
A -> B  ACK tag=fork
skip B: an endpoint does not fork",
    );
}

#[test]
fn an_old_request_and_a_gap() {
    plays(
        "start call
B -> A  INFO
A -> B  200
B -> A  INFO cseq=+5
A -> B  200
B -> A  OPTIONS cseq=-3
A -> B  500
skip B: no verb for INFO",
    );
}
