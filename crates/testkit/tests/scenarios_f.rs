//! Races of RFC 5407: scenarios F01 to F13.

use midcall_proto::auth::Credentials;
use midcall_proto::endpoint::{Invite, Prefer};
use midcall_proto::event::{CallEvent, CallId, Ended, Side};
use midcall_testkit::prelude::*;

const CHALLENGE: &str = "Digest realm=\"gate\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"";

/// A call from the peer that rings at the endpoint, with its INVITE.
#[track_caller]
fn ringing(seat: &mut Seat) -> (CallId, midcall_testkit::raw::Raw) {
    let to = seat.ua.uri();
    let invite = seat.peer.invite(&to).offer(&[]).send();
    seat.settle_briefly();
    let call = seat.ua.last_call();
    seat.ua.call(call).ring();
    seat.expect(180);
    (call, invite)
}

/// A pair of which the caller lets the callee make the first offer, called and answered.
fn late_pair(seed: u64, prefer: Prefer) -> (Pair, CallId, CallId) {
    let mut pair = Pair::with(Seed(seed), |a, _| a.prefer = prefer).latency(ms(20));
    pair.wire.drop_next(Method::Ack);
    let to = pair.b.uri();
    let invite = Invite { late: true, ..Invite::new(&to, pair.a.session.clone()) };
    let a = pair.a.invite_with(invite);
    pair.run_until(|pair| !incoming(&pair.b).is_empty());
    let b = incoming(&pair.b)[0];
    pair.b.call(b).accept();
    pair.run_until(|pair| pair.a.is_up(a));
    (pair, a, b)
}

/// F01: the CANCEL crosses the 200: acknowledged and ended with BYE at once, whatever becomes of the CANCEL.
#[test]
fn f01_the_caller_cancels_too_late() {
    covers!("RC-02");
    for status in [200, 481] {
        let mut seat = Seat::new(Seed(1)).latency(ms(20));
        let call = seat.ua.invite(&seat.peer.uri());
        let invite = seat.expect("INVITE");
        seat.peer.reply(&invite, 180).send();
        seat.settle_briefly();
        seat.ua.call(call).hang_up();
        seat.peer.reply(&invite, 200).answer(&[]).send();
        let cancel = seat.expect("CANCEL");
        seat.peer.reply(&cancel, status).send();
        assert_eq!(seat.expect("ACK").cseq(), invite.cseq());
        let bye = seat.expect("BYE");
        seat.peer.reply(&bye, 200).send();
        seat.settle();
        assert_eq!(seat.ua.ended(call), Some(&Ended::Cancelled { by: Side::Us }));
        assert!(!seat.ua.told(call).any(|event| matches!(event, CallEvent::Established)));
        assert_eq!((count(&seat.wire, "CANCEL"), count(&seat.wire, "BYE")), (1, 1));
        assert_eq!(seat.ua.peers_broke(), []);
    }
}

/// F01 as callee: 200 to the CANCEL, the call is up until the BYE.
#[test]
fn f01_the_callee_is_cancelled_too_late() {
    covers!("RC-02", "RC-16");
    let mut seat = Seat::new(Seed(1)).latency(ms(20));
    let (call, invite) = ringing(&mut seat);
    seat.ua.call(call).accept();
    seat.peer.cancel(&invite).send();
    let ok = seat.expect(Pick::status(200).of("INVITE"));
    seat.expect(Pick::status(200).of("CANCEL"));
    assert_state!(seat.ua, call, @"up | audio <-> 10.0.0.2:41960 8 0 101 | o= 1/1 | to sip:bob@10.0.0.2:5060 | INVITE open");
    seat.peer.ack(&ok).send();
    seat.settle_briefly();
    assert!(seat.ua.is_up(call));
    seat.peer.request("BYE").send();
    seat.expect(Pick::status(200).of("BYE"));
    seat.settle();
    assert_eq!(seat.ua.ended(call), Some(&Ended::PeerHungUp { reason: None }));
    assert_eq!(count(&seat.wire, Pick::status(487)), 0);
    assert_eq!(seat.ua.peers_broke(), []);
}

/// F02: the caller's BYE in the early dialog crosses the 200: answered 200, the 2xx is not resent once acknowledged.
#[test]
fn f02_an_early_bye_crosses_the_success() {
    covers!("RC-03");
    let mut seat = Seat::new(Seed(2)).latency(ms(20));
    let (call, _) = ringing(&mut seat);
    seat.ua.call(call).accept();
    seat.peer.request("BYE").send();
    let ok = seat.expect(Pick::status(200).of("INVITE"));
    seat.peer.ack(&ok).send();
    seat.expect(Pick::status(200).of("BYE"));
    seat.run_for(secs(40));
    assert_eq!(seat.ua.ended(call), Some(&Ended::PeerHungUp { reason: None }));
    assert_eq!(seat.ua.state(call), "gone");
    assert_ladder!(seat, @r"
             alice                                 bob
    1   0.000  |<----- INVITE 183 offer ------------|
    2   0.020  |------ 180 INVITE 183 ------------->|
    3   0.040  |------ 200 INVITE 183 answer ------>|
    4   0.040  |<----- BYE 184 ---------------------|   crosses 3
    5   0.060  |------ 200 BYE 184 ---------------->|
    6   0.060  |<----- ACK 183 ---------------------|   crosses 5
    ");
}

/// F02 from the other side: a caller that gives up while it rings sends CANCEL, never an early BYE.
#[test]
fn f02_the_caller_sends_no_early_bye() {
    let mut pair = Pair::new(Seed(2)).latency(ms(20));
    let call = pair.ring();
    pair.a.call(call).hang_up();
    pair.settle();
    assert_eq!(pair.a.ended(call), Some(&Ended::Cancelled { by: Side::Us }));
    assert_eq!(pair.b.ended(call), Some(&Ended::Cancelled { by: Side::Them }));
    assert_eq!((count(&pair.wire, "CANCEL"), count(&pair.wire, "BYE")), (1, 0));
}

/// F03: the ACK of an answered offer is lost and a re-INVITE follows: it is answered, a late ACK still counts.
#[test]
fn f03_a_reinvite_overtakes_the_ack() {
    covers!("RC-04");
    let mut pair = Pair::new(Seed(3)).latency(ms(20));
    let call = pair.ring();
    pair.wire.drop_next(Method::Ack);
    pair.b.call(call).accept();
    pair.run_until(|pair| pair.a.is_up(call));
    pair.a.call(call).hold();
    pair.settle();
    assert_state!(pair.a, call, @"up | audio --> 10.0.0.2:41000 8 0 101 held | o= 2/2 | to sip:bob@10.0.0.2:5060 | idle");
    assert_state!(pair.b, call, @"up | audio <-- 10.0.0.1:40000 8 0 101 held by peer | o= 2/2 | to sip:alice@10.0.0.1:5060 | idle");
    assert_eq!((pair.a.peers_broke(), pair.b.peers_broke()), (vec![], vec![]));
    assert_ladder!(pair, @r"
             alice                                 bob
    1   0.000  |------ INVITE 21323 offer --------->|
    2   0.020  |<----- 180 INVITE 21323 ------------|
    3   0.040  |<---- 200 INVITE 21323 answer ------|
    4   0.060  |------ ACK 21323 --~                |   lost
    5   0.060  |--- INVITE 21324 offer sendonly --->|
    6   0.080  |< 200 INVITE 21324 answer recvonly--|
    7   0.100  |------ ACK 21324 ------------------>|
    8   0.540  |<---- 200 INVITE 21323 again 3 -----|
    9   0.560  |------ ACK 21323 again 4 ---------->|
    ");
}

/// F04: the answer was in the lost ACK: the re-INVITE or UPDATE meets an open offer, gets 491 and is tried again.
#[test]
fn f04_a_change_overtakes_the_answer_in_the_ack() {
    covers!("RC-05", "CF-12");
    for (prefer, method) in [(Prefer::ReInvite, "INVITE"), (Prefer::Update, "UPDATE")] {
        let (mut pair, a, b) = late_pair(4, prefer);
        pair.a.call(a).hold();
        pair.settle();
        assert_eq!(count(&pair.wire, Pick::status(491).of(method)), 1);
        let [change] = pair.a.changes(a)[..] else { panic!("one change") };
        assert_eq!((change.method, change.attempts), (Some(Method::parse(method)), 2));
        assert_eq!((pair.a.held(a), pair.b.held(b)), ((true, false), (false, true)));
        assert!(pair.a.is_up(a) && pair.b.is_up(b));
        assert_eq!((pair.a.peers_broke(), pair.b.peers_broke()), (vec![], vec![]));
    }
}

/// F04 towards a peer that answers 500 with Retry-After instead of 491.
#[test]
fn f04_a_peer_may_answer_500_with_retry_after() {
    covers!("CF-12");
    let mut seat = Seat::new(Seed(4)).latency(ms(20));
    let invite = Invite { late: true, ..Invite::new(&seat.peer.uri(), seat.ua.session.clone()) };
    let call = seat.ua.invite_with(invite);
    let invite = seat.expect("INVITE");
    seat.wire.drop_next("ACK");
    let ok = seat.peer.reply(&invite, 200).offer(&[]).send();
    seat.settle_briefly();
    seat.ua.call(call).hold();
    let hold = seat.expect("INVITE");
    seat.peer.reply(&hold, 500).header("Retry-After", 3).send();
    let refused = seat.now();
    assert_eq!(seat.expect("ACK").cseq(), hold.cseq());
    seat.peer.send_bytes(seat.ua.address(), ok.bytes());
    let ack = seat.expect("ACK");
    assert_eq!((ack.cseq(), ack.sdp().is_some()), (invite.cseq(), true));
    let again = seat.expect("INVITE");
    assert!(again.at >= refused + secs(3));
    seat.peer.reply(&again, 200).answer(&[]).send();
    seat.settle();
    assert_state!(seat.ua, call, @"up | audio --> 10.0.0.2:41960 8 0 101 held | o= 2/2 | to sip:bob@10.0.0.2:5060 | idle");
    assert_eq!(seat.ua.peers_broke(), []);
}

/// F05: the ACK is lost and the caller hangs up: the resent 200 is acknowledged but revives nothing.
#[test]
fn f05_a_bye_crosses_the_resent_success() {
    covers!("RC-06");
    let mut seat = Seat::new(Seed(5)).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    seat.wire.drop_next("ACK");
    let ok = seat.peer.reply(&invite, 200).answer(&[]).send();
    seat.run_for(ms(400));
    seat.ua.call(call).hang_up();
    seat.peer.send_bytes(seat.ua.address(), ok.bytes());
    let told = seat.ua.events().len();
    let bye = seat.expect("BYE");
    seat.peer.reply(&bye, 200).send();
    let ack = seat.expect("ACK");
    assert_eq!((ack.cseq(), bye.cseq()), (invite.cseq(), invite.cseq() + 1));
    seat.settle();
    assert_eq!(seat.ua.ended(call), Some(&Ended::HungUp));
    assert_eq!(seat.ua.events().len(), told);
    assert_ladder!(seat, @r"
             alice                                 bob
    1   0.000  |------ INVITE 29385 offer --------->|
    2   0.020  |<---- 200 INVITE 29385 answer ------|
    3   0.040  |------ ACK 29385 --~                |   lost
    4   0.420  |------ BYE 29386 ------------------>|
    5   0.420  |<---- 200 INVITE 29385 again 2 -----|   crosses 4
    6   0.440  |------ ACK 29385 again 3 ---------->|
    7   0.440  |<----- 200 BYE 29386 ---------------|   crosses 6
    ");
}

/// F05 as callee: 200 to the BYE, the 2xx is not resent after it, and the answer in a late ACK starts nothing.
#[test]
fn f05_a_late_ack_after_the_bye_starts_nothing() {
    covers!("RC-06");
    let mut seat = Seat::new(Seed(5)).latency(ms(20));
    let to = seat.ua.uri();
    seat.peer.invite(&to).send();
    seat.settle_briefly();
    let call = seat.ua.last_call();
    seat.ua.call(call).accept();
    let ok = seat.expect(200);
    seat.run_for(secs(1));
    seat.peer.request("BYE").send();
    seat.expect(Pick::status(200).of("BYE"));
    seat.peer.ack(&ok).answer(&[]).send();
    let sent = count(&seat.wire, Pick::status(200).of("INVITE"));
    seat.settle();
    assert_eq!(seat.ua.ended(call), Some(&Ended::PeerHungUp { reason: None }));
    assert_eq!(seat.ua.media(call), "no session");
    assert_eq!(count(&seat.wire, Pick::status(200).of("INVITE")), sent);
}

/// F06: both hang up at once: each BYE gets its 200.
#[test]
fn f06_both_hang_up() {
    covers!("RC-07");
    let mut pair = Pair::new(Seed(6)).latency(ms(20));
    let call = pair.call();
    pair.a.call(call).hang_up();
    pair.b.call(call).hang_up();
    pair.settle();
    assert_eq!((pair.a.ended(call), pair.b.ended(call)), (Some(&Ended::HungUp), Some(&Ended::HungUp)));
    let ends = |agent: &Agent| agent.told(call).filter(|e| matches!(e, CallEvent::Ended { .. })).count();
    assert_eq!((ends(&pair.a), ends(&pair.b)), (1, 1));
    assert_ladder!(pair, @r"
             alice                                 bob
    1   0.000  |------ INVITE 46416 offer --------->|
    2   0.020  |<----- 180 INVITE 46416 ------------|
    3   0.040  |<---- 200 INVITE 46416 answer ------|
    4   0.060  |------ ACK 46416 ------------------>|
    5   0.540  |------ BYE 46417 ------------------>|
    6   0.540  |<----- BYE 1 -----------------------|   crosses 5
    7   0.560  |<----- 200 BYE 46417 ---------------|
    8   0.560  |------ 200 BYE 1 ------------------>|   crosses 7
    ");
}

/// F07: a BYE crosses a re-INVITE: 481 to the re-INVITE, 200 to the BYE, one BYE in all. Either side hangs up.
#[test]
fn f07_a_bye_crosses_a_reinvite() {
    covers!("RC-08");
    for caller_ends in [true, false] {
        let mut pair = Pair::new(Seed(7)).latency(ms(20));
        let call = pair.call();
        let (ends, holds) = if caller_ends { (&mut pair.a, &mut pair.b) } else { (&mut pair.b, &mut pair.a) };
        ends.call(call).hang_up();
        holds.call(call).hold();
        pair.settle();
        let (ends, holds) = if caller_ends { (&pair.a, &pair.b) } else { (&pair.b, &pair.a) };
        assert_eq!(ends.ended(call), Some(&Ended::HungUp));
        assert_eq!(holds.ended(call), Some(&Ended::PeerHungUp { reason: None }));
        assert_eq!(holds.failures(call).len(), 1);
        let count = |pick| count(&pair.wire, pick);
        assert_eq!((count(Pick::status(481).of("INVITE")), count("BYE".into())), (1, 1));
        assert_eq!((pair.a.peers_broke(), pair.b.peers_broke()), (vec![], vec![]));
        if caller_ends {
            assert_ladder!(pair, @r"
                     alice                                 bob
            1   0.000  |------ INVITE 51123 offer --------->|
            2   0.020  |<----- 180 INVITE 51123 ------------|
            3   0.040  |<---- 200 INVITE 51123 answer ------|
            4   0.060  |------ ACK 51123 ------------------>|
            5   0.540  |------ BYE 51124 ------------------>|
            6   0.540  |<---- INVITE 1 offer sendonly ------|   crosses 5
            7   0.560  |<----- 200 BYE 51124 ---------------|
            8   0.560  |------ 481 INVITE 1 --------------->|   crosses 7
            9   0.580  |<----- ACK 1 -----------------------|
            ");
        }
    }
}

/// F08: the 200 to a re-INVITE comes after the BYE: acknowledged with its own CSeq, nothing starts.
#[test]
fn f08_a_success_comes_after_the_bye() {
    covers!("RC-09");
    let mut seat = Seat::new(Seed(8)).latency(ms(20));
    let call = seat.placed_call();
    seat.ua.call(call).hold();
    let hold = seat.expect("INVITE");
    seat.ua.call(call).hang_up();
    let told = seat.ua.events().len();
    let ok = seat.peer.reply(&hold, 200).answer(&[]).send();
    let ack = seat.expect("ACK");
    let bye = seat.expect("BYE");
    assert_eq!((ack.cseq(), bye.cseq()), (hold.cseq(), hold.cseq() + 1));
    seat.peer.reply(&bye, 200).send();
    seat.settle();
    seat.peer.send_bytes(seat.ua.address(), ok.bytes());
    seat.settle();
    assert_eq!(count(&seat.wire, "ACK"), 3);
    assert_eq!(seat.ua.ended(call), Some(&Ended::HungUp));
    assert_eq!(seat.ua.events().len(), told);
}

/// F08 from the other side: the peer hangs up before it has seen our 200; its late ACK is taken without a word.
#[test]
fn f08_a_late_ack_for_a_reinvite() {
    covers!("RC-09");
    let mut seat = Seat::new(Seed(8)).latency(ms(20));
    let call = seat.placed_call();
    seat.peer.request("INVITE").offer(&tweaks(&["sendonly"])).send();
    seat.settle_briefly();
    seat.peer.request("BYE").send();
    let ok = seat.expect(Pick::status(200).of("INVITE"));
    seat.expect(Pick::status(200).of("BYE"));
    seat.peer.ack(&ok).send();
    seat.run_for(secs(40));
    assert_eq!(seat.ua.ended(call), Some(&Ended::PeerHungUp { reason: None }));
    // The first is the peer's own, of the call.
    assert_eq!(count(&seat.wire, Pick::status(200).of("INVITE")), 2);
    assert_eq!(seat.ua.state(call), "gone");
}

/// F09: the callee hangs up before it saw the answer in our ACK. That is against RFC 3261 §15, and survived.
#[test]
fn f09_a_callee_bye_crosses_the_ack() {
    covers!("RC-10", "CF-06");
    let mut seat = Seat::new(Seed(9)).latency(ms(20));
    seat.expect_findings(&["DLG-26"]);
    let invite = Invite { late: true, ..Invite::new(&seat.peer.uri(), seat.ua.session.clone()) };
    let call = seat.ua.invite_with(invite);
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 200).offer(&[]).send();
    seat.peer.request("BYE").send();
    assert!(seat.expect("ACK").sdp().is_some());
    seat.expect(Pick::status(200).of("BYE"));
    seat.settle();
    assert_eq!(seat.ua.ended(call), Some(&Ended::PeerHungUp { reason: None }));
    assert_eq!(count(&seat.wire, "BYE"), 1);
}

/// F09 as callee: a hang-up before the ACK is held back until the ACK is there.
#[test]
fn f09_the_callee_holds_its_bye_back() {
    covers!("RC-10", "CF-06");
    let mut seat = Seat::new(Seed(9)).latency(ms(20));
    let to = seat.ua.uri();
    seat.peer.invite(&to).send();
    seat.settle_briefly();
    let call = seat.ua.last_call();
    seat.ua.call(call).accept();
    let ok = seat.expect(200);
    seat.ua.call(call).hang_up();
    seat.run_for(secs(1));
    assert_eq!(count(&seat.wire, "BYE"), 0);
    seat.peer.ack(&ok).answer(&[]).send();
    let bye = seat.expect("BYE");
    seat.peer.reply(&bye, 200).send();
    seat.settle();
    assert_eq!(seat.ua.ended(call), Some(&Ended::HungUp));
}

/// F10: a BYE crosses a REFER: 481 to the REFER, no transfer, each side ends.
#[test]
fn f10_a_bye_crosses_a_refer() {
    covers!("RC-13");
    let mut pair = Pair::new(Seed(10)).latency(ms(20));
    let call = pair.call();
    pair.a.call(call).hang_up();
    pair.b.call(call).transfer("sip:carol@10.0.0.3:5060");
    pair.settle();
    assert_eq!(pair.a.ended(call), Some(&Ended::HungUp));
    assert_eq!(pair.b.ended(call), Some(&Ended::PeerHungUp { reason: None }));
    assert!(!pair.a.told(call).any(|event| matches!(event, CallEvent::Referred { .. })));
    let failed = |event: &CallEvent| matches!(event, CallEvent::Transfer { status: 481, done: true });
    assert!(pair.b.told(call).any(failed));
    pair.run_for(secs(40));
    assert_eq!((pair.a.state(call), pair.b.state(call)), ("gone".to_owned(), "gone".to_owned()));
    assert_ladder!(pair, @r"
             alice                                 bob
    1   0.000  |------ INVITE 23484 offer --------->|
    2   0.020  |<----- 180 INVITE 23484 ------------|
    3   0.040  |<---- 200 INVITE 23484 answer ------|
    4   0.060  |------ ACK 23484 ------------------>|
    5   0.540  |------ BYE 23485 ------------------>|
    6   0.540  |<----- REFER 1 ---------------------|   crosses 5
    7   0.560  |<----- 200 BYE 23485 ---------------|
    8   0.560  |------ 481 REFER 1 ---------------->|   crosses 7
    ");
}

/// F11: the caller gives up a fork; one branch answers all the same: acknowledged, then ended.
#[test]
fn f11_a_branch_answers_after_the_caller_gave_up() {
    covers!("RC-14", "RC-18");
    let mut seat = Seat::new(Seed(11)).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 180).tag("To", Some("branch-b")).send();
    seat.peer.reply(&invite, 180).tag("To", Some("branch-c")).send();
    seat.settle_briefly();
    seat.ua.call(call).hang_up();
    let cancel = seat.expect("CANCEL");
    seat.peer.reply(&invite, 200).tag("To", Some("branch-c")).answer(&[]).send();
    seat.peer.reply(&cancel, 200).send();
    assert_eq!(seat.expect("ACK").tag("To"), Some("branch-c"));
    let bye = seat.expect("BYE");
    assert_eq!(bye.tag("To"), Some("branch-c"));
    seat.peer.reply(&bye, 200).send();
    seat.run_for(secs(70));
    assert_eq!(seat.ua.ended(call), Some(&Ended::Cancelled { by: Side::Us }));
    assert_eq!((count(&seat.wire, "BYE"), seat.ua.state(call)), (1, "gone".to_owned()));
}

/// F11 as callee: an early BYE ends this branch: 200 to it, 487 to the INVITE.
#[test]
fn f11_an_early_bye_ends_the_branch() {
    covers!("RC-14");
    let mut seat = Seat::new(Seed(11)).latency(ms(20));
    let (call, _) = ringing(&mut seat);
    seat.peer.request("BYE").send();
    seat.expect(Pick::status(200).of("BYE"));
    seat.expect(Pick::status(487).of("INVITE"));
    seat.settle();
    assert_eq!(seat.ua.ended(call), Some(&Ended::PeerHungUp { reason: None }));
    assert!(seat.ua.call(call).attempt(|call, now| call.accept(now, None)).is_err());
}

/// F12: the re-INVITE is lost, the BYE arrives, then the resent re-INVITE: 481, and no new call.
#[test]
fn f12_a_bye_overtakes_a_reinvite() {
    covers!("RC-15");
    let mut pair = Pair::new(Seed(12)).latency(ms(20));
    let call = pair.call();
    pair.wire.drop_next(Method::Invite);
    pair.a.call(call).hold();
    pair.a.call(call).hang_up();
    pair.settle();
    assert_eq!(pair.a.ended(call), Some(&Ended::HungUp));
    assert_eq!(pair.b.ended(call), Some(&Ended::PeerHungUp { reason: None }));
    assert_eq!(incoming(&pair.b).len(), 1);
    assert_ladder!(pair, @r"
              alice                                 bob
     1   0.000  |------ INVITE 11850 offer --------->|
     2   0.020  |<----- 180 INVITE 11850 ------------|
     3   0.040  |<---- 200 INVITE 11850 answer ------|
     4   0.060  |------ ACK 11850 ------------------>|
     5   0.540  |--- INVITE 11851 offer sendonly --~ |   lost
     6   0.540  |------ BYE 11852 ------------------>|
     7   0.560  |<----- 200 BYE 11852 ---------------|
     8   1.040  |------ INVITE 11851 again 5 ------->|
     9   1.060  |<----- 500 INVITE 11851 ------------|
    10   1.080  |------ ACK 11851 ------------------>|
    ");
}

/// F13: the BYE is challenged: sent again with credentials, while the session is over already.
#[test]
fn f13_a_challenged_bye_is_sent_again() {
    covers!("RC-17");
    let credentials = Credentials::new("alice", "secret");
    let mut seat = Seat::with(Seed(13), |config| config.credentials = Some(credentials)).latency(ms(20));
    let call = seat.answered_call();
    seat.ua.call(call).hang_up();
    let bye = seat.expect("BYE");
    assert_eq!(seat.ua.ended(call), Some(&Ended::HungUp));
    seat.peer.reply(&bye, 407).header("Proxy-Authenticate", CHALLENGE).send();
    let again = seat.expect("BYE");
    assert_eq!(again.cseq(), bye.cseq() + 1);
    assert!(again.header("Proxy-Authorization").is_some_and(|value| value.contains("nonce=\"n1\"")));
    seat.peer.reply(&again, 200).send();
    seat.settle();
    assert_eq!(count(&seat.wire, "BYE"), 2);
}

/// F13 without credentials, and with ones that are refused: the session is over all the same, and nobody hammers.
#[test]
fn f13_a_bye_that_cannot_be_authorised_ends_the_session() {
    covers!("RC-17", "DLG-32");
    for (known, tries) in [(false, 1), (true, 2)] {
        let credentials = known.then(|| Credentials::new("alice", "wrong"));
        let mut seat = Seat::with(Seed(13), |config| config.credentials = credentials).latency(ms(20));
        seat.expect_findings(&["RC-17"]);
        let call = seat.placed_call();
        seat.ua.call(call).hang_up();
        for _ in 0..tries {
            let bye = seat.expect("BYE");
            seat.peer.reply(&bye, 401).header("WWW-Authenticate", CHALLENGE).send();
        }
        seat.run_for(secs(70));
        assert_eq!((count(&seat.wire, "BYE"), seat.ua.state(call)), (tries, "gone".to_owned()));
        assert_eq!(seat.ua.ended(call), Some(&Ended::HungUp));
    }
}
