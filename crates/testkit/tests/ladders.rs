//! Ladders that keep every rule, played with an endpoint in each seat in turn.

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
