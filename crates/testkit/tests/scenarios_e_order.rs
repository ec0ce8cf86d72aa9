//! Glare with a scripted peer: who waits for whom, which refusal is owed, and when to give up. Scenarios E08 to E19.

use midcall_proto::endpoint::{Invite, Modification, Prefer};
use midcall_proto::event::{CallEvent, CallId, Failure};
use midcall_proto::rules::RuleId;
use midcall_proto::session::{Codec, Stream};
use midcall_testkit::glance::{OTHER, OWNER, in_band, retry_delays};
use midcall_testkit::prelude::*;

/// A call in each seat: placed by the endpoint or answered by it.
fn seated(seed: u64, placed: bool, prefer: Prefer) -> (Seat, CallId) {
    let mut seat = Seat::with(Seed(seed), |config| config.prefer = prefer).latency(ms(20));
    let call = if placed { seat.placed_call() } else { seat.answered_call() };
    (seat, call)
}

/// How often the endpoint sent this method, resends left out.
fn asked(seat: &Seat, method: &str) -> usize {
    let requests = seat.peer.inbox().iter().filter(|got| got.is_request() && got.method() == method);
    requests.filter(|got| !got.again).count()
}

fn video() -> Stream {
    Stream::video(40_002, [Codec::new("H264", 90_000)])
}

/// E08: a peer that answers 491 for ever: four tries, then the wish fails and the call goes on.
#[test]
fn e08_a_storm_of_491_ends() {
    covers!("GL-06", "GL-07", "CF-20");
    for (placed, prefer) in
        [(true, Prefer::ReInvite), (false, Prefer::ReInvite), (true, Prefer::Update), (false, Prefer::Update)]
    {
        let method = if prefer == Prefer::Update { "UPDATE" } else { "INVITE" };
        let (mut seat, call) = seated(8, placed, prefer);
        seat.expect_findings(&["GL-06"]);
        let before = asked(&seat, method);
        let session = seat.ua.look(call).unwrap().agreed();
        seat.ua.call(call).hold();
        for _ in 0..4 {
            let hold = seat.expect(method);
            // Retry-After has no meaning on a 491: the wait is as random as ever.
            seat.peer.reply(&hold, 491).header("Retry-After", 30).send();
        }
        seat.run_for(secs(60));
        assert_eq!(asked(&seat, method) - before, 4);
        let delays = retry_delays(&seat.wire, method, seat.ua.address());
        let band = if placed { OWNER } else { OTHER };
        assert!(delays.len() == 3 && delays.iter().all(|delay| in_band(*delay, band.clone())), "{delays:?}");
        assert_eq!(seat.ua.failures(call), [&Failure::Glare { attempts: 4 }]);
        assert!(seat.ua.is_up(call));
        assert_eq!(seat.ua.look(call).unwrap().agreed(), session);
        // The next wish starts anew.
        seat.ua.call(call).hold();
        let hold = seat.expect(method);
        seat.peer.reply(&hold, 200).answer(&[]).send();
        seat.settle();
        assert_eq!(seat.ua.held(call), (true, false));
    }
}

/// E09: 500 with Retry-After 7: the next try comes after 7 s, not before.
#[test]
fn e09_a_retry_after_is_kept() {
    covers!("GL-08", "CF-22");
    for (placed, prefer) in [(true, Prefer::ReInvite), (false, Prefer::ReInvite), (true, Prefer::Update)] {
        let method = if prefer == Prefer::Update { "UPDATE" } else { "INVITE" };
        let (mut seat, call) = seated(9, placed, prefer);
        seat.ua.call(call).hold();
        let hold = seat.expect(method);
        seat.peer.reply(&hold, 500).header("Retry-After", 7).send();
        let again = seat.expect(method);
        let waited = again.at - hold.at;
        assert!((ms(7_040)..ms(7_200)).contains(&waited), "{waited:?}");
        assert_eq!(seat.ua.waits(call), [RuleId::OverlapRetryAfter]);
        seat.peer.reply(&again, 200).answer(&[]).send();
        seat.settle();
        assert_eq!(seat.ua.held(call), (true, false));
    }
}

/// E09 with 0 seconds, which RFC 3261 §14.2 allows: at once, and still only so often.
#[test]
fn e09_a_retry_after_of_zero_is_no_loop() {
    covers!("CF-21");
    let (mut seat, call) = seated(9, true, Prefer::ReInvite);
    seat.ua.call(call).hold();
    for _ in 0..4 {
        let hold = seat.expect("INVITE");
        seat.peer.reply(&hold, 500).header("Retry-After", 0).send();
    }
    seat.run_for(secs(60));
    assert_eq!(asked(&seat, "INVITE"), 5);
    assert_eq!(seat.ua.failures(call), [&Failure::Rejected { status: 500 }]);
    assert!(seat.ua.is_up(call));
}

/// E10: the peer's UPDATE overtakes its own reliable answer: 491, then the PRACK; the peer's retry goes through.
#[test]
fn e10_an_update_overtakes_a_reliable_answer() {
    covers!("UP-13", "RI-24");
    for placed in [true, false] {
        let (mut seat, call) = seated(10, placed, Prefer::ReInvite);
        seat.ua.call(call).hold();
        let hold = seat.expect("INVITE");
        seat.wire.hold_back(Pick::status(183));
        seat.peer.reply(&hold, 183).reliable().answer(&[]).send();
        seat.peer.request("UPDATE").offer(&tweaks(&["codecs=0"])).send();
        assert_eq!(seat.expect(491).method(), "UPDATE");
        seat.wire.release();
        let prack = seat.expect("PRACK");
        seat.peer.reply(&prack, 200).send();
        seat.peer.reply(&hold, 200).send();
        assert_eq!(seat.expect("ACK").sdp(), None);
        seat.settle();
        assert_eq!(seat.ua.held(call), (true, false));
        seat.peer.request("UPDATE").offer(&tweaks(&["codecs=0"])).send();
        let ok = seat.expect(Pick::status(200).of("UPDATE"));
        assert_eq!(direction(&ok), "sendonly");
        seat.settle();
        assert_eq!((seat.ua.held(call), seat.ua.sends_codec(call)), ((true, false), "PCMU"));
    }
}

/// E11: the peer's UPDATE overtakes its own 2xx: 491, and the ACK goes out as ever.
#[test]
fn e11_an_update_overtakes_a_success() {
    covers!("UP-13");
    for placed in [true, false] {
        let (mut seat, call) = seated(11, placed, Prefer::ReInvite);
        seat.ua.call(call).hold();
        let hold = seat.expect("INVITE");
        seat.wire.hold_back(Pick::status(200));
        seat.peer.reply(&hold, 200).answer(&[]).send();
        seat.peer.request("UPDATE").offer(&tweaks(&["codecs=0"])).send();
        assert_eq!(seat.expect(491).method(), "UPDATE");
        seat.wire.release();
        let ack = seat.expect("ACK");
        assert_eq!((ack.cseq(), ack.sdp()), (hold.cseq(), None));
        seat.settle();
        assert_eq!(seat.ua.held(call), (true, false));
        seat.peer.request("UPDATE").offer(&tweaks(&["codecs=0"])).send();
        seat.expect(Pick::status(200).of("UPDATE"));
        seat.settle();
        assert_eq!((seat.ua.held(call), seat.ua.sends_codec(call)), ((true, false), "PCMU"));
        assert_eq!(seat.ua.changes(call)[0].attempts, 1);
    }
}

/// E12: the peer's UPDATE crosses our offer in a 2xx: 491, and its ACK still brings the answer.
#[test]
fn e12_an_update_crosses_the_offer_in_a_success() {
    covers!("UP-13", "CF-12");
    for placed in [true, false] {
        let (mut seat, call) = seated(12, placed, Prefer::ReInvite);
        seat.expect_findings(&["UP-09"]);
        let invite = seat.peer.request("INVITE").send();
        seat.peer.request("UPDATE").offer(&tweaks(&["sendonly"])).send();
        let ok = seat.expect(Pick::status(200).of("INVITE"));
        assert!(ok.sdp().is_some());
        assert_eq!(seat.expect(491).method(), "UPDATE");
        seat.peer.ack(&ok).answer(&[]).send();
        seat.settle();
        assert_eq!(ok.cseq(), invite.cseq());
        assert_eq!(seat.ua.held(call), (false, false));
        assert!(seat.ua.is_up(call));
    }
}

/// E12 at the other side: no UPDATE with an offer goes out while our offerless re-INVITE waits for one.
#[test]
fn e12_an_offer_waits_for_the_one_we_asked_for() {
    covers!("UP-09");
    for placed in [true, false] {
        let (mut seat, call) = seated(12, placed, Prefer::Update);
        seat.ua.call(call).offerless();
        seat.ua.call(call).hold();
        let invite = seat.expect("INVITE");
        assert_eq!(invite.sdp(), None);
        seat.peer.reply(&invite, 100).send();
        seat.run_for(secs(2));
        assert_eq!(asked(&seat, "UPDATE"), 0);
        seat.peer.reply(&invite, 200).offer(&[]).send();
        let ack = seat.expect("ACK");
        assert!(ack.sdp().is_some());
        let hold = seat.expect("UPDATE");
        assert_eq!((direction(&hold), version(&hold)), ("sendonly", version(&ack) + 1));
        seat.peer.reply(&hold, 200).answer(&[]).send();
        seat.settle();
        assert_eq!(seat.ua.held(call), (true, false));
    }
}

/// E13: in a re-INVITE of the peer that waits for a person, our UPDATE waits for the PRACK; an offer in that PRACK is
/// answered.
#[test]
fn e13_an_offer_in_prack_is_answered() {
    covers!("UP-21", "PR-17");
    let (mut seat, call) = seated(13, true, Prefer::Update);
    seat.peer.request("INVITE").offer(&tweaks(&["+video"])).send();
    seat.settle_briefly();
    let mut session = seat.ua.session.clone();
    session.add_stream(video());
    seat.ua.call(call).early(session.clone());
    let progress = seat.expect(183);
    seat.ua.call(call).hold();
    seat.settle_briefly();
    assert_eq!(asked(&seat, "UPDATE"), 0);
    assert_eq!(seat.ua.waits(call), [RuleId::UpdateInsidePendingReInvite]);
    seat.peer.prack(&progress).offer(&tweaks(&["+video", "audio.codecs=0"])).send();
    let ok = seat.expect(Pick::status(200).of("PRACK"));
    assert!(ok.sdp().is_some_and(|sdp| sdp.contains(" RTP/AVP 0\r\n")), "{ok:?}");
    let hold = seat.expect("UPDATE");
    assert_eq!((version(&hold), direction(&hold)), (version(&ok) + 1, "sendonly"));
    seat.peer.reply(&hold, 200).answer(&[]).send();
    seat.settle_briefly();
    seat.ua.call(call).answer_offer(Some(session));
    let ok = seat.expect(Pick::status(200).of("INVITE"));
    assert_eq!(ok.sdp(), None);
    seat.peer.ack(&ok).send();
    seat.settle();
    assert_eq!((seat.ua.held(call), seat.ua.changes(call).len()), ((true, false), 1));
    assert!(seat.ua.agreed(call).unwrap().streams[1].is_on());
}

/// E13 at the other side: our PRACK never carries an offer, so nothing of ours can cross the peer's UPDATE.
#[test]
fn e13_our_prack_offers_nothing() {
    covers!("PR-17");
    let (mut seat, call) = seated(13, true, Prefer::Update);
    seat.ua.call(call).reinvite();
    let invite = seat.expect("INVITE");
    seat.ua.call(call).hold();
    seat.peer.reply(&invite, 183).reliable().answer(&[]).send();
    let prack = seat.expect("PRACK");
    assert_eq!(prack.sdp(), None);
    seat.peer.request("UPDATE").offer(&tweaks(&["codecs=0"])).send();
    assert_eq!(seat.expect(Pick::status(200).of("UPDATE")).sdp().map(|_| ()), Some(()));
    seat.peer.reply(&prack, 200).send();
    seat.peer.reply(&invite, 200).send();
    let hold = seat.expect("UPDATE");
    seat.peer.reply(&hold, 200).answer(&[]).send();
    seat.settle();
    assert_eq!((seat.ua.held(call), seat.ua.changes(call).len()), ((true, false), 2));
}

/// E15: a peer that waits as if it owned the Call-ID too collides again and again: each wait of ours is drawn anew.
#[test]
fn e15_repeated_collisions_use_new_delays() {
    covers!("GL-06", "CF-20");
    for placed in [true, false] {
        let (mut seat, call) = seated(15, placed, Prefer::ReInvite);
        seat.expect_findings(if placed { &["GL-06"] } else { &["GL-01", "GL-06"] });
        seat.ua.call(call).hold();
        for _ in 0..4 {
            // The peer's own re-INVITE leaves while ours is on its way.
            let ours = asked(&seat, "INVITE") + usize::from(!placed);
            let from = seat.ua.address();
            seat.run_until(|seat| {
                count(&seat.wire, Pick::request("INVITE").sent_by(from)) > ours - usize::from(!placed)
            });
            seat.peer.request("INVITE").offer(&[]).send();
            let hold = seat.expect("INVITE");
            seat.peer.reply(&hold, 491).send();
            assert_eq!(seat.expect(491).method(), "INVITE");
        }
        seat.run_for(secs(30));
        let delays = retry_delays(&seat.wire, "INVITE", seat.ua.address());
        let band = if placed { OWNER } else { OTHER };
        assert!(delays.len() == 3 && delays.iter().all(|delay| in_band(*delay, band.clone())), "{delays:?}");
        assert!(delays[0] != delays[1] && delays[1] != delays[2], "{delays:?}");
        assert_eq!(seat.ua.failures(call), [&Failure::Glare { attempts: 4 }]);
        assert!(seat.ua.is_up(call));
    }
}

/// E16: while an UPDATE of ours is open no re-INVITE goes out.
#[test]
fn e16_a_reinvite_waits_for_our_update() {
    for placed in [true, false] {
        let (mut seat, call) = seated(16, placed, Prefer::Update);
        let before = asked(&seat, "INVITE");
        seat.ua.call(call).hold();
        let update = seat.expect("UPDATE");
        seat.ua.call(call).modify(Modification::Repeat, Some(Prefer::ReInvite));
        seat.run_for(secs(3));
        assert_eq!(asked(&seat, "INVITE"), before);
        seat.peer.reply(&update, 200).answer(&[]).send();
        let again = seat.expect("INVITE");
        assert_eq!((version(&again), direction(&again)), (version(&update), "sendonly"));
        seat.peer.reply(&again, 200).answer(&[]).send();
        seat.settle();
        assert_eq!(seat.ua.held(call), (true, false));
    }
}

/// E16 at the asked side: an UPDATE is never left open, so a re-INVITE right behind it meets nothing. If the re-INVITE
/// overtakes it, the UPDATE is the one that comes too late.
#[test]
fn e16_the_peers_reinvite_comes_right_behind_its_update() {
    covers!("OA-01", "UP-11");
    for (placed, overtakes) in [(true, false), (false, false), (true, true), (false, true)] {
        let (mut seat, call) = seated(16, placed, Prefer::Update);
        seat.unobserved("the peer has two offers open at once");
        if overtakes {
            seat.wire.delay_next("UPDATE", ms(5));
        }
        let update = seat.peer.request("UPDATE").offer(&tweaks(&["sendonly"])).send();
        let invite = seat.peer.request("INVITE").offer(&tweaks(&["codecs=0"])).send();
        let ok = seat.expect(Pick::status(200).of("INVITE"));
        assert_eq!(ok.cseq(), invite.cseq());
        seat.peer.ack(&ok).send();
        let word = seat.expect(Pick::status(if overtakes { 500 } else { 200 }).of("UPDATE"));
        assert_eq!(word.cseq(), update.cseq());
        seat.settle();
        assert_eq!((seat.ua.held(call), seat.ua.sends_codec(call)), ((false, false), "PCMU"));
    }
}

/// E17: while a re-INVITE of ours waits for its answer an UPDATE with an offer is held back.
#[test]
fn e17_an_update_waits_for_our_reinvite() {
    covers!("UP-09");
    for placed in [true, false] {
        let (mut seat, call) = seated(17, placed, Prefer::ReInvite);
        seat.expect_findings(&["RI-09"]);
        seat.ua.call(call).hold();
        let hold = seat.expect("INVITE");
        seat.peer.reply(&hold, 100).send();
        seat.ua.call(call).modify(Modification::Codecs(vec![Codec::pcmu()]), Some(Prefer::Update));
        seat.run_for(secs(3));
        assert_eq!(asked(&seat, "UPDATE"), 0);
        seat.peer.reply(&hold, 200).answer(&[]).send();
        let update = seat.expect("UPDATE");
        assert_eq!((version(&update), direction(&update)), (version(&hold) + 1, "sendonly"));
        seat.peer.reply(&update, 200).answer(&[]).send();
        seat.settle();
        assert_eq!((seat.ua.held(call), seat.ua.sends_codec(call)), ((true, false), "PCMU"));
    }
}

/// E17 at the asked side: the UPDATE that comes before we answered the re-INVITE gets 500 with Retry-After; so does a
/// second re-INVITE. The first one decides.
#[test]
fn e17_what_comes_before_our_answer_gets_500() {
    covers!("UP-14", "RI-06", "CF-21");
    for (placed, method) in [(true, "UPDATE"), (true, "INVITE"), (false, "UPDATE"), (false, "INVITE")] {
        let (mut seat, call) = seated(17, placed, Prefer::ReInvite);
        seat.unobserved("the peer breaks several rules at once, which is not the point");
        let first = seat.peer.request("INVITE").offer(&tweaks(&["+video"])).send();
        seat.settle_briefly();
        assert!(seat.ua.told(call).any(|event| matches!(event, CallEvent::Offered { .. })));
        let second = seat.peer.request(method).offer(&tweaks(&["sendonly"])).send();
        let refusal = seat.expect(500);
        assert_eq!((refusal.cseq(), refusal.method()), (second.cseq(), method));
        let wait: u32 = refusal.header("Retry-After").unwrap().parse().unwrap();
        assert!((1..=10).contains(&wait));
        let mut session = seat.ua.session.clone();
        session.add_stream(video());
        seat.ua.call(call).answer_offer(Some(session));
        let ok = seat.expect(Pick::status(200).of("INVITE"));
        assert_eq!(ok.cseq(), first.cseq());
        seat.peer.ack(&ok).send();
        seat.settle();
        assert_eq!(seat.ua.held(call), (false, false));
        assert!(seat.ua.agreed(call).unwrap().streams[1].is_on());
    }
}

/// E18: the peer's UPDATE overtakes the PRACK with its answer: 500 with Retry-After, the PRACK is answered.
#[test]
fn e18_an_update_overtakes_the_answer_in_prack() {
    covers!("UP-13", "CF-12");
    let mut seat = Seat::new(Seed(18)).latency(ms(20));
    let to = seat.ua.uri();
    seat.peer.invite(&to).send();
    seat.settle_briefly();
    let (call, session) = (seat.ua.last_call(), seat.ua.session.clone());
    seat.ua.call(call).early(session);
    let progress = seat.expect(183);
    seat.wire.hold_back("PRACK");
    seat.peer.prack(&progress).answer(&[]).send();
    seat.peer.request("UPDATE").offer(&tweaks(&["sendonly"])).send();
    let refusal = seat.expect(500);
    let wait: u32 = refusal.header("Retry-After").unwrap().parse().unwrap();
    assert!(refusal.method() == "UPDATE" && (1..=10).contains(&wait));
    seat.wire.release();
    // Its number is lower than the UPDATE's by now; it is still the answer that is waited for.
    assert_eq!(seat.expect(Pick::status(200).of("PRACK")).sdp(), None);
    let ok = seat.ua_accepts(call);
    assert_eq!(ok.sdp(), None);
    assert!(seat.ua.is_up(call));
    assert_eq!(seat.ua.held(call), (false, false));
}

/// E18 at the other side: our UPDATE waits for the 2xx of the PRACK that carried our answer.
#[test]
fn e18_our_update_never_overtakes_our_prack() {
    covers!("UP-06");
    let mut seat = Seat::new(Seed(18)).latency(ms(20));
    let (to, session) = (seat.peer.uri(), seat.ua.session.clone());
    let mut invite = Invite::new(&to, session);
    invite.late = true;
    let call = seat.ua.invite_with(invite);
    let invite = seat.expect("INVITE");
    assert_eq!(invite.sdp(), None);
    seat.peer.reply(&invite, 183).reliable().offer(&[]).send();
    let prack = seat.expect("PRACK");
    assert!(prack.sdp().is_some());
    seat.ua.call(call).hold();
    seat.run_for(ms(300));
    assert_eq!(asked(&seat, "UPDATE"), 0);
    assert_eq!(seat.ua.waits(call), [RuleId::EarlyUpdateByCallerBeforePrack]);
    seat.peer.reply(&prack, 200).send();
    let update = seat.expect("UPDATE");
    assert_eq!((update.cseq(), version(&update)), (prack.cseq() + 1, version(&prack) + 1));
    seat.peer.reply(&update, 200).answer(&[]).send();
    seat.settle_briefly();
    seat.peer_accepts(&invite);
    assert_eq!(seat.ua.held(call), (true, false));
}

/// E19: two UPDATEs without offers cross, and one with and one without: all are taken.
#[test]
fn e19_updates_without_offers_never_collide() {
    covers!("UP-10", "CF-11");
    for caller_offers in [None, Some(true), Some(false)] {
        let mut pair = Pair::with(Seed(19), |a, b| (a.prefer, b.prefer) = (Prefer::Update, Prefer::Update));
        let call = pair.call();
        match caller_offers {
            Some(true) => pair.a.call(call).hold(),
            _ => pair.a.call(call).refresh(),
        };
        match caller_offers {
            Some(false) => pair.b.call(call).hold(),
            _ => pair.b.call(call).refresh(),
        };
        pair.settle();
        assert_eq!((count(&pair.wire, 491), count(&pair.wire, 500)), (0, 0));
        assert_eq!(count(&pair.wire, Pick::status(200).of("UPDATE")), 2);
        let held = (caller_offers == Some(true), caller_offers == Some(false));
        assert_eq!(pair.a.held(call), held);
    }
}

/// E19 with a peer that answers 491 to an UPDATE without an offer: tolerated, and tried again.
#[test]
fn e19_a_491_to_a_bare_update_is_retried() {
    covers!("CF-11", "UP-16");
    for (placed, band) in [(true, OWNER), (false, OTHER)] {
        let (mut seat, call) = seated(19, placed, Prefer::ReInvite);
        seat.ua.call(call).refresh();
        seat.peer.request("UPDATE").offer(&tweaks(&["codecs=0"])).send();
        let refresh = seat.expect("UPDATE");
        seat.peer.reply(&refresh, 491).send();
        seat.expect(Pick::status(200).of("UPDATE"));
        let again = seat.expect("UPDATE");
        assert_eq!(again.sdp(), None);
        seat.peer.reply(&again, 200).send();
        seat.settle();
        let delays = retry_delays(&seat.wire, "UPDATE", seat.ua.address());
        assert!(matches!(delays[..], [delay] if in_band(delay, band.clone())), "{delays:?}");
        assert_eq!(seat.ua.changes(call)[0].attempts, 2);
        assert_eq!(seat.ua.sends_codec(call), "PCMU");
    }
}
