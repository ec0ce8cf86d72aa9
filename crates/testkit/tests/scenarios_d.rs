//! UPDATE: scenarios D01 to D05, and what happens where the peer cannot take one (D06 to D10).

use midcall_proto::endpoint::{Modification, Policy, Prefer, Reliable};
use midcall_proto::event::{CallEvent, Failure};
use midcall_proto::rules::RuleId;
use midcall_proto::session::{Codec, Stream};
use midcall_testkit::prelude::*;

const WITHOUT_UPDATE: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, REFER, NOTIFY, INFO";

fn video() -> Stream {
    Stream::video(40_002, [Codec::new("H264", 90_000)])
}

/// A call in which the endpoint prefers UPDATE: placed by it, or answered.
fn light(seed: u64, placed: bool) -> (Seat, midcall_proto::event::CallId) {
    let mut seat = Seat::with(Seed(seed), |config| config.prefer = Prefer::Update).latency(ms(20));
    let call = if placed { seat.placed_call() } else { seat.answered_call() };
    (seat, call)
}

/// D01: the caller changes the session while it rings, after the reliable exchange and its PRACK.
#[test]
fn d01_the_caller_updates_early() {
    covers!("UP-01", "UP-05");
    let mut seat = Seat::new(Seed(1)).latency(ms(20));
    let (call, invite) = seat.placed_early();
    seat.ua.call(call).hold();
    let update = seat.expect("UPDATE");
    assert_eq!((update.cseq(), version(&update)), (invite.cseq() + 2, version(&invite) + 1));
    assert_eq!(direction(&update), "sendonly");
    seat.peer.reply(&update, 200).answer(&[]).send();
    seat.settle();
    assert!(!seat.ua.is_up(call));
    assert_eq!(seat.ua.held(call), (true, false));
    let ack = seat.peer_accepts(&invite);
    assert_eq!((ack.cseq(), ack.sdp()), (invite.cseq(), None));
    assert!(seat.ua.is_up(call));
    assert_eq!(seat.ua.held(call), (true, false));
    let [change] = seat.ua.changes(call)[..] else { panic!("one change") };
    assert_eq!((change.method, change.attempts), (Some(Method::Update), 1));
    assert_eq!(seat.ua.peers_broke(), []);
    assert_ladder!(seat, @r"
             alice                                 bob
    1   0.000  |------ INVITE 53539 offer --------->|
    2   0.020  |< 183 INVITE 53539 reliable answer--|
    3   0.040  |------ PRACK 53540 ---------------->|
    4   0.060  |<----- 200 PRACK 53540 -------------|
    5   0.080  |--- UPDATE 53541 offer sendonly --->|
    6   0.100  |< 200 UPDATE 53541 answer recvonly--|
    7   0.120  |<----- 200 INVITE 53539 ------------|
    8   0.140  |------ ACK 53539 ------------------>|
    ");
}

/// D01 at the callee: it answers the UPDATE at once, and its 200 to the INVITE has no description.
#[test]
fn d01_the_callee_answers_an_early_update() {
    covers!("UP-01", "UP-03");
    let mut seat = Seat::new(Seed(1)).latency(ms(20));
    let (call, progress) = seat.answered_early();
    assert!(progress.has_token("Allow", "UPDATE"));
    seat.peer.request("UPDATE").offer(&tweaks(&["sendonly"])).send();
    let ok = seat.expect(Pick::status(200).of("UPDATE"));
    assert_eq!((version(&ok), direction(&ok)), (version(&progress) + 1, "recvonly"));
    let ok = seat.ua_accepts(call);
    assert_eq!(ok.sdp(), None);
    assert!(ok.has_token("Allow", "UPDATE"));
    assert!(seat.ua.is_up(call));
    assert_eq!(seat.ua.held(call), (false, true));
    assert_eq!(seat.ua.peers_broke(), []);
}

/// D02: the callee changes the session while it rings, but not before its answer was acknowledged.
#[test]
fn d02_the_callee_updates_early() {
    covers!("UP-07", "UP-22");
    let mut seat = Seat::new(Seed(2)).latency(ms(20));
    let (call, progress) = seat.progressed();
    seat.ua.call(call).hold();
    seat.settle_briefly();
    assert_eq!(seat.ua.waits(call), [RuleId::EarlyUpdateByCalleeTooSoon]);
    assert_eq!(count(&seat.wire, "UPDATE"), 0);
    seat.peer.prack(&progress).send();
    let update = seat.expect("UPDATE");
    assert_eq!(version(&update), version(&progress) + 1);
    seat.peer.reply(&update, 200).answer(&[]).send();
    seat.settle_briefly();
    let ok = seat.ua_accepts(call);
    assert_eq!(ok.sdp(), None);
    assert_eq!(seat.ua.held(call), (true, false));
    assert_eq!(seat.ua.changes(call)[0].method, Some(Method::Update));
}

/// D02 at the caller.
#[test]
fn d02_the_caller_answers_an_early_update() {
    let mut seat = Seat::new(Seed(2)).latency(ms(20));
    let (call, invite) = seat.placed_early();
    seat.peer.request("UPDATE").offer(&tweaks(&["sendonly"])).send();
    let ok = seat.expect(Pick::status(200).of("UPDATE"));
    assert_eq!((version(&ok), direction(&ok)), (version(&invite) + 1, "recvonly"));
    let ack = seat.peer_accepts(&invite);
    assert_eq!((ack.cseq(), ack.sdp()), (invite.cseq(), None));
    assert_eq!(seat.ua.held(call), (false, true));
}

/// D03: an answer in an unreliable response counts for nothing yet: the change waits for the 2xx.
#[test]
fn d03_an_unreliable_answer_opens_no_update_at_the_caller() {
    covers!("UP-05", "OA-03");
    let mut seat = Seat::new(Seed(3)).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 183).answer(&[]).send();
    seat.settle_briefly();
    seat.ua.call(call).hold();
    seat.settle();
    assert_eq!(seat.ua.waits(call), [RuleId::EarlyUpdateByCallerTooSoon]);
    seat.peer.reply(&invite, 200).answer(&[]).send();
    assert_eq!(seat.expect("ACK").cseq(), invite.cseq());
    let hold = seat.expect("INVITE");
    assert_eq!((hold.cseq(), version(&hold)), (invite.cseq() + 1, version(&invite) + 1));
    seat.peer.reply(&hold, 200).answer(&[]).send();
    seat.settle();
    assert_eq!(count(&seat.wire, "UPDATE"), 0);
    assert_eq!(seat.ua.held(call), (true, false));
}

/// D03 at the callee, which answers unreliably.
#[test]
fn d03_an_unreliable_answer_opens_no_update_at_the_callee() {
    covers!("UP-07");
    let mut seat = Seat::with(Seed(3), |config| config.reliable = Reliable::Off).latency(ms(20));
    let (call, progress) = seat.progressed();
    assert_eq!(progress.header("RSeq"), None);
    seat.ua.call(call).hold();
    seat.settle();
    assert_eq!(seat.ua.waits(call), [RuleId::EarlyUpdateByCalleeTooSoon]);
    let ok = seat.ua_accepts(call);
    assert_eq!(version(&ok), version(&progress));
    let hold = seat.expect("INVITE");
    seat.peer.reply(&hold, 200).answer(&[]).send();
    seat.settle();
    assert_eq!(count(&seat.wire, "UPDATE"), 0);
    assert_eq!(seat.ua.held(call), (true, false));
}

/// D04: without an offer an UPDATE may go at once, if the 180 lists the method.
#[test]
fn d04_an_update_without_offer_needs_only_allow() {
    covers!("UP-02", "UP-10");
    for allow in [true, false] {
        let mut seat = Seat::new(Seed(4)).latency(ms(20));
        let call = seat.ua.invite(&seat.peer.uri());
        let invite = seat.expect("INVITE");
        let ringing = seat.peer.reply(&invite, 180);
        if allow {
            ringing.send()
        } else {
            ringing.without("Allow").send()
        };
        seat.settle_briefly();
        seat.ua.call(call).refresh();
        if allow {
            let update = seat.expect("UPDATE");
            assert_eq!(update.sdp(), None);
            seat.peer.reply(&update, 200).send();
            seat.settle();
            assert_eq!(seat.ua.changes(call)[0].method, Some(Method::Update));
            assert!(!seat.ua.is_up(call));
        } else {
            seat.settle();
            assert_eq!(seat.ua.waits(call), [RuleId::UpdateNotAllowed]);
            assert_eq!(count(&seat.wire, "UPDATE"), 0);
        }
        seat.peer.reply(&invite, 200).answer(&[]).send();
        seat.expect("ACK");
        if !allow {
            // The 2xx lists the method.
            let update = seat.expect("UPDATE");
            seat.peer.reply(&update, 200).send();
        }
        seat.settle();
        assert!(seat.ua.is_up(call));
    }
}

/// D04 at the callee: the UPDATE is answered while it rings, without a description.
#[test]
fn d04_an_early_update_without_offer_is_answered() {
    covers!("CF-28");
    let mut seat = Seat::new(Seed(4)).latency(ms(20));
    let to = seat.ua.uri();
    seat.peer.invite(&to).offer(&[]).send();
    seat.settle_briefly();
    let call = seat.ua.last_call();
    seat.ua.call(call).ring();
    seat.expect(180);
    seat.peer.request("UPDATE").send();
    let ok = seat.expect(Pick::status(200).of("UPDATE"));
    assert_eq!((ok.sdp(), ok.address("Contact")), (None, Some("sip:alice@10.0.0.1:5060")));
    seat.ua.call(call).accept();
    let ok = seat.expect(Pick::status(200).of("INVITE"));
    assert!(ok.sdp().is_some());
    seat.peer.ack(&ok).send();
    seat.settle();
    assert!(seat.ua.is_up(call));
}

/// D05: a session change by UPDATE in a confirmed call takes one request and one response, either way.
#[test]
fn d05_an_update_changes_a_confirmed_session() {
    covers!("UP-01", "UP-04");
    let mut pair = Pair::with(Seed(5), |a, b| {
        (a.prefer, b.prefer) = (Prefer::Update, Prefer::Update);
    })
    .latency(ms(20));
    let call = pair.call();
    pair.a.call(call).hold();
    pair.settle();
    assert_eq!((pair.a.held(call), pair.b.held(call)), ((true, false), (false, true)));
    pair.b.call(call).codecs([Codec::pcmu()]);
    pair.settle();
    let [change] = pair.b.changes(call)[..] else { panic!("one change") };
    assert_eq!(change.why.rule, Some(RuleId::UpdateOrReInvite));
    assert_eq!(change.method, Some(Method::Update));
    assert_eq!((pair.a.sends_codec(call), pair.b.sends_codec(call)), ("PCMU", "PCMU"));
    assert_eq!((pair.a.held(call), pair.b.held(call)), ((true, false), (false, true)));
    assert_eq!((pair.a.peers_broke(), pair.b.peers_broke()), (vec![], vec![]));
    assert_ladder!(pair, @r"
             alice                                 bob
    1   0.000  |------ INVITE 29385 offer --------->|
    2   0.020  |<----- 180 INVITE 29385 ------------|
    3   0.040  |<---- 200 INVITE 29385 answer ------|
    4   0.060  |------ ACK 29385 ------------------>|
    5   0.540  |--- UPDATE 29386 offer sendonly --->|
    6   0.560  |< 200 UPDATE 29386 answer recvonly--|
    7   0.580  |<----- UPDATE 1 offer --------------|
    8   0.600  |--- 200 UPDATE 1 answer sendonly -->|
    ");
}

/// D05 with each default: a session change goes out as re-INVITE, a refresh as UPDATE.
#[test]
fn d05_by_default_a_change_is_a_reinvite_and_a_refresh_an_update() {
    covers!("UP-04", "ST-20");
    let mut pair = Pair::new(Seed(5));
    let call = pair.call();
    pair.a.call(call).hold();
    pair.b.call(call).refresh();
    pair.settle();
    assert_eq!(pair.a.changes(call)[0].method, Some(Method::Invite));
    assert_eq!(pair.b.changes(call)[0].method, Some(Method::Update));
    assert_eq!(pair.b.changes(call)[0].why.rule, Some(RuleId::RefreshMethod));
}

/// D06: the peer must ask a person: 504 to the UPDATE brings the same change as re-INVITE.
#[test]
fn d06_a_504_turns_the_update_into_a_reinvite() {
    covers!("UP-11");
    for placed in [true, false] {
        let (mut seat, call) = light(6, placed);
        seat.ua.call(call).codecs([Codec::pcmu()]);
        let update = seat.expect("UPDATE");
        seat.peer.reply(&update, 504).send();
        let again = seat.expect("INVITE");
        assert_eq!((again.cseq(), version(&again)), (update.cseq() + 1, version(&update)));
        seat.peer.reply(&again, 200).answer(&[]).send();
        seat.settle();
        let [change] = seat.ua.changes(call)[..] else { panic!("one change") };
        assert_eq!((change.method, change.attempts), (Some(Method::Invite), 2));
        assert_eq!(seat.ua.sends_codec(call), "PCMU");
        // Other changes still go out as UPDATE.
        seat.ua.call(call).hold();
        let hold = seat.expect("UPDATE");
        seat.peer.reply(&hold, 200).answer(&[]).send();
        seat.settle();
        assert_eq!(seat.ua.held(call), (true, false));
    }
}

/// D06: a new stream may need a person, so it goes out as re-INVITE from the start.
#[test]
fn d06_a_new_stream_is_never_offered_by_update() {
    for placed in [true, false] {
        let (mut seat, call) = light(6, placed);
        seat.ua.call(call).modify(Modification::Add(video()), None);
        let add = seat.expect("INVITE");
        seat.peer.reply(&add, 200).answer(&[]).send();
        seat.settle();
        assert_eq!(count(&seat.wire, "UPDATE"), 0);
        assert!(seat.ua.agreed(call).unwrap().streams[1].is_on());
    }
}

/// D06 at the asked side: 504 at once to the UPDATE, the re-INVITE waits for the person.
#[test]
fn d06_an_update_that_needs_a_person_gets_504() {
    covers!("UP-11");
    for placed in [true, false] {
        let mut seat = Seat::with(Seed(6), |config| config.new_streams = Policy::Ask).latency(ms(20));
        let call = if placed { seat.placed_call() } else { seat.answered_call() };
        let update = seat.peer.request("UPDATE").offer(&tweaks(&["+video"])).send();
        let refusal = seat.expect(504);
        assert_eq!(refusal.cseq(), update.cseq());
        assert_eq!(seat.ua.agreed(call).unwrap().streams.len(), 1);
        seat.peer.request("INVITE").offer(&tweaks(&["+video"])).send();
        seat.settle_briefly();
        assert!(seat.ua.told(call).any(|event| matches!(event, CallEvent::Offered { .. })));
        let mut session = seat.ua.session.clone();
        session.add_stream(video());
        assert!(seat.ua.call(call).answer_offer(Some(session)));
        let ok = seat.expect(Pick::status(200).of("INVITE"));
        seat.peer.ack(&ok).send();
        seat.settle();
        assert!(seat.ua.agreed(call).unwrap().streams[1].is_on());
    }
}

/// D07: a refused UPDATE leaves the session, and the next offer follows the refused one's o= version.
#[test]
fn d07_a_refused_update_changes_nothing() {
    covers!("UP-15", "OA-31");
    for placed in [true, false] {
        let (mut seat, call) = light(7, placed);
        let before = seat.ua.agreed(call).cloned();
        seat.ua.call(call).hold();
        let update = seat.expect("UPDATE");
        seat.peer.reply(&update, 488).header("Warning", "305 10.0.0.2 \"no\"").send();
        seat.settle();
        assert_eq!(seat.ua.failures(call), [&Failure::Rejected { status: 488 }]);
        assert_eq!(seat.ua.look(call).unwrap().agreed(), before);
        assert!(seat.ua.is_up(call));
        seat.ua.call(call).codecs([Codec::pcmu()]);
        let next = seat.expect("UPDATE");
        assert_eq!((next.cseq(), version(&next)), (update.cseq() + 1, version(&update) + 1));
        assert_eq!(direction(&next), "sendrecv");
        seat.peer.reply(&next, 200).answer(&[]).send();
        seat.settle();
    }
}

/// D07 at the asked side: nothing in common is 488 with a reason, and the session stays.
#[test]
fn d07_an_unacceptable_update_gets_488() {
    covers!("UP-15", "OA-12");
    for placed in [true, false] {
        let (mut seat, call) = light(7, placed);
        let before = seat.ua.agreed(call).cloned();
        seat.peer.request("UPDATE").offer(&tweaks(&["codecs=96:XYZ/8000"])).send();
        let refusal = seat.expect(488);
        assert!(refusal.header("Warning").is_some_and(|warning| warning.starts_with("305 ")));
        seat.settle();
        assert_eq!(seat.ua.look(call).unwrap().agreed(), before);
        assert!(seat.ua.is_up(call));
    }
}

/// D08: while one UPDATE is open no second one goes out; what was asked for meanwhile goes out after it.
#[test]
fn d08_a_second_update_waits_for_the_first() {
    covers!("UP-12");
    for placed in [true, false] {
        let (mut seat, call) = light(8, placed);
        seat.ua.call(call).hold();
        let first = seat.expect("UPDATE");
        seat.ua.call(call).codecs([Codec::pcmu()]);
        seat.ua.call(call).refresh();
        seat.run_for(secs(3));
        let from = seat.ua.address();
        let all = seat.peer.inbox().iter().filter(|got| got.is_request() && got.from == from && !got.again);
        assert_eq!(all.max_by_key(|got| got.at).map(|got| got.cseq()), Some(first.cseq()));
        seat.peer.reply(&first, 200).answer(&[]).send();
        let second = seat.expect("UPDATE");
        assert_eq!((second.cseq(), version(&second)), (first.cseq() + 1, version(&first) + 1));
        assert_eq!(direction(&second), "sendonly");
        seat.peer.reply(&second, 200).answer(&[]).send();
        seat.settle();
        assert_eq!(seat.ua.changes(call).len(), 3);
        assert_eq!((seat.ua.held(call), seat.ua.sends_codec(call)), ((true, false), "PCMU"));
    }
}

/// D08 at the asked side: an UPDATE is answered before the next is looked at, so none of them overlap.
#[test]
fn d08_updates_back_to_back_are_answered_in_turn() {
    let (mut seat, call) = light(8, false);
    seat.unobserved("one tap cannot tell that the first was answered before the second came");
    let one = seat.peer.request("UPDATE").offer(&tweaks(&["sendonly"])).send();
    let two = seat.peer.request("UPDATE").offer(&[]).send();
    let (first, second) = (seat.expect(200), seat.expect(200));
    assert_eq!((first.cseq(), second.cseq()), (one.cseq(), two.cseq()));
    assert_eq!((direction(&first), direction(&second)), ("recvonly", "sendrecv"));
    assert_eq!(version(&second), version(&first) + 1);
    seat.settle();
    assert_eq!(seat.ua.held(call), (false, false));
}

/// D09: a peer that does not list UPDATE never gets one: a change goes out as re-INVITE even where UPDATE is preferred.
#[test]
fn d09_a_peer_without_update_gets_reinvites() {
    covers!("UP-02", "UP-19");
    for placed in [true, false] {
        let mut seat = Seat::with(Seed(9), |config| config.prefer = Prefer::Update).latency(ms(20));
        WITHOUT_UPDATE.clone_into(&mut seat.peer.allow);
        let call = if placed { seat.placed_call() } else { seat.answered_call() };
        seat.ua.call(call).hold();
        let hold = seat.expect("INVITE");
        seat.peer.reply(&hold, 200).answer(&[]).send();
        seat.settle();
        seat.ua.call(call).refresh();
        let refresh = seat.expect("INVITE");
        assert_eq!(version(&refresh), version(&hold));
        seat.peer.reply(&refresh, 200).answer(&[]).send();
        seat.settle();
        assert_eq!(count(&seat.wire, "UPDATE"), 0);
        let [change, refreshed] = seat.ua.changes(call)[..] else { panic!("two changes") };
        for change in [change, refreshed] {
            assert_eq!(change.method, Some(Method::Invite));
            assert_eq!(change.why.rule, Some(RuleId::UpdateNotAllowed));
            assert_eq!(change.why.text, "the peer does not take UPDATE");
        }
        assert_eq!(seat.ua.held(call), (true, false));
    }
}

/// D09 in an early dialog: there is no other method, so the wish waits and says why.
#[test]
fn d09_an_early_change_waits_if_the_peer_lacks_update() {
    covers!("UP-02", "UP-19", "RI-03");
    for placed in [true, false] {
        let mut seat = Seat::new(Seed(9)).latency(ms(20));
        WITHOUT_UPDATE.clone_into(&mut seat.peer.allow);
        let (call, first) = if placed { seat.placed_early() } else { seat.answered_early() };
        seat.ua.call(call).hold();
        seat.settle();
        assert_eq!(seat.ua.waits(call), [RuleId::UpdateNotAllowed]);
        if placed {
            seat.peer_accepts(&first);
        } else {
            seat.ua_accepts(call);
        }
        let hold = seat.expect("INVITE");
        assert_eq!(version(&hold), version(&first) + 1);
        seat.peer.reply(&hold, 200).answer(&[]).send();
        seat.settle();
        assert_eq!((count(&seat.wire, "UPDATE"), seat.ua.held(call)), (0, (true, false)));
    }
}

/// D10: a peer that lists UPDATE and refuses the method gets the same change as re-INVITE, and no UPDATE again.
#[test]
fn d10_a_405_or_501_falls_back_to_reinvite_and_is_remembered() {
    covers!("UP-19");
    for (placed, status) in [(true, 405), (true, 501), (false, 405), (false, 501)] {
        let (mut seat, call) = light(10, placed);
        seat.ua.call(call).hold();
        let update = seat.expect("UPDATE");
        seat.peer.reply(&update, status).header("Allow", WITHOUT_UPDATE).send();
        let hold = seat.expect("INVITE");
        assert_eq!((hold.cseq(), version(&hold)), (update.cseq() + 1, version(&update)));
        // It still lists UPDATE in its 2xx: the refusal weighs more.
        seat.peer.reply(&hold, 200).answer(&[]).send();
        seat.settle();
        seat.ua.call(call).resume();
        let resume = seat.expect("INVITE");
        seat.peer.reply(&resume, 200).answer(&[]).send();
        seat.settle();
        assert_eq!(count(&seat.wire, "UPDATE"), 1);
        let [held, resumed] = seat.ua.changes(call)[..] else { panic!("two changes") };
        assert_eq!((held.attempts, resumed.attempts), (2, 1));
        assert_eq!(held.why.rule, Some(RuleId::UpdateRefusedAsMethod));
        assert_eq!(resumed.why.rule, Some(RuleId::UpdateRefusedAsMethod));
        assert_eq!(seat.ua.held(call), (false, false));
        assert!(seat.ua.is_up(call));
    }
}

/// D10 in an early dialog: no fallback, the wish waits for the 2xx.
#[test]
fn d10_in_an_early_dialog_a_405_leaves_the_wish_waiting() {
    covers!("UP-19", "RI-03");
    for (placed, status) in [(true, 405), (true, 501), (false, 405), (false, 501)] {
        let mut seat = Seat::new(Seed(10)).latency(ms(20));
        let (call, first) = if placed { seat.placed_early() } else { seat.answered_early() };
        seat.ua.call(call).hold();
        let update = seat.expect("UPDATE");
        seat.peer.reply(&update, status).header("Allow", WITHOUT_UPDATE).send();
        seat.settle();
        assert_eq!(seat.ua.waits(call), [RuleId::UpdateRefusedAsMethod]);
        assert!(seat.ua.failures(call).is_empty());
        assert_eq!(seat.ua.held(call), (false, false));
        if placed {
            seat.peer_accepts(&first);
        } else {
            seat.ua_accepts(call);
        }
        let hold = seat.expect("INVITE");
        seat.peer.reply(&hold, 200).answer(&[]).send();
        seat.settle();
        assert_eq!((count(&seat.wire, "UPDATE"), seat.ua.held(call)), (1, (true, false)));
    }
}

/// D10 at the asked side: an endpoint without UPDATE neither lists nor takes it.
#[test]
fn d10_an_endpoint_without_update_says_so() {
    covers!("UP-03");
    let mut seat = Seat::with(Seed(10), |config| config.update = false).latency(ms(20));
    seat.expect_findings(&["UP-02"]);
    let call = seat.placed_call();
    seat.peer.request("UPDATE").offer(&tweaks(&["sendonly"])).send();
    let refusal = seat.expect(405);
    assert!(refusal.header("Allow").is_some() && !refusal.has_token("Allow", "UPDATE"));
    seat.settle();
    assert_eq!(seat.ua.held(call), (false, false));
    assert!(seat.ua.is_up(call));
}
