//! Glare, UPDATE and hold as they broke in the field: each test is named for the symptom that somebody reported.

use midcall_proto::endpoint::{Modification, Policy, Prefer};
use midcall_proto::event::{CallEvent, CallId, Ended, Failure};
use midcall_proto::rules::RuleId;
use midcall_proto::session::{Codec, Stream};
use midcall_testkit::glance::{OTHER, in_band, retry_delays};
use midcall_testkit::prelude::*;

fn seated(seed: u64, placed: bool, prefer: Prefer) -> (Seat, CallId) {
    let mut seat = Seat::with(Seed(seed), |config| config.prefer = prefer).latency(ms(20));
    let call = if placed { seat.placed_call() } else { seat.answered_call() };
    (seat, call)
}

/// The peer holds, and the endpoint's own hold crosses that; the peer never tries again.
fn crossed(placed: bool) -> (Seat, CallId) {
    let (mut seat, call) = seated(1, placed, Prefer::ReInvite);
    seat.ua.call(call).hold();
    seat.peer.request("INVITE").offer(&tweaks(&["sendonly"])).send();
    let hold = seat.expect("INVITE");
    seat.peer.reply(&hold, 491).send();
    assert_eq!(seat.expect(491).method(), "INVITE");
    (seat, call)
}

/// Two pjsua put the call on hold in the same instant and neither held it; two midcall agents both do.
#[test]
fn two_pjsua_holding_at_once_leave_neither_held() {
    covers!("GL-01", "GL-02", "RC-11", "CF-16");
    for seed in 0..20 {
        let mut pair = Pair::new(Seed(seed)).latency(ms(20));
        let call = pair.call();
        pair.a.call(call).hold();
        pair.b.call(call).hold();
        pair.settle();
        assert_eq!((pair.a.held(call), pair.b.held(call)), ((true, true), (true, true)), "seed {seed}");
        pair.a.call(call).resume();
        pair.settle();
        assert_eq!((pair.a.held(call), pair.b.held(call)), ((false, true), (true, false)), "seed {seed}");
        pair.b.call(call).resume();
        pair.settle();
        assert_eq!((pair.a.held(call), pair.b.held(call)), ((false, false), (false, false)), "seed {seed}");
    }
}

/// Our offer in flight, and the peer's re-INVITE was still answered 200: two offers open at once.
#[test]
fn a_reinvite_over_our_open_update_is_accepted() {
    covers!("RC-12");
    for placed in [true, false] {
        let (mut seat, call) = seated(1, placed, Prefer::Update);
        seat.ua.call(call).hold();
        seat.peer.request("INVITE").offer(&tweaks(&["codecs=0"])).send();
        let hold = seat.expect("UPDATE");
        assert_eq!(seat.expect(491).method(), "INVITE");
        seat.peer.reply(&hold, 200).answer(&[]).send();
        seat.settle();
        assert_eq!(seat.ua.held(call), (true, false));
    }
}

/// After a 491 the hold was never done and nobody was told.
#[test]
fn a_hold_that_met_491_is_silently_not_done() {
    covers!("GL-04");
    for placed in [true, false] {
        let (mut seat, call) = crossed(placed);
        let rule = if placed { RuleId::OwnerRetryTime } else { RuleId::OtherRetryTime };
        seat.settle_briefly();
        assert_eq!(seat.ua.waits(call), [rule]);
        let hold = seat.expect("INVITE");
        assert_eq!(direction(&hold), "sendonly");
        seat.peer.reply(&hold, 200).answer(&[]).send();
        seat.settle();
        assert_eq!(seat.ua.held(call), (true, false));
        assert_eq!(seat.ua.changes(call)[0].attempts, 2);
    }
}

/// The callee never tried again after a 491.
#[test]
fn the_callee_never_retries_after_491() {
    covers!("GL-02", "GL-03");
    let (mut seat, call) = crossed(false);
    let hold = seat.expect("INVITE");
    let delays = retry_delays(&seat.wire, "INVITE", seat.ua.address());
    assert!(matches!(delays[..], [delay] if in_band(delay, OTHER)), "{delays:?}");
    seat.peer.reply(&hold, 200).answer(&[]).send();
    seat.settle();
    assert_eq!(seat.ua.held(call), (true, false));
}

/// Two agents with the same fixed delay after a 491 collide for ever.
#[test]
fn a_constant_back_off_locks_both_sides() {
    covers!("GL-01", "GL-02");
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let mut pair = Pair::new(Seed(seed)).latency(ms(20));
        let call = pair.call();
        pair.a.call(call).hold();
        pair.b.call(call).hold();
        pair.settle();
        assert_eq!(count(&pair.wire, 491), 2, "seed {seed}: they collided again");
        seen.extend(retry_delays(&pair.wire, "INVITE", pair.a.address()));
    }
    assert!(seen.len() > 10, "{seen:?}");
}

/// Both phones re-INVITE right after the answer, with seconds of wrong media.
#[test]
fn both_sides_reinvite_right_after_the_answer() {
    let mut pair = Pair::new(Seed(5)).latency(ms(20));
    let call = pair.ring();
    pair.b.call(call).accept();
    pair.run_until(|pair| pair.a.is_up(call));
    pair.a.call(call).codecs([Codec::pcmu()]);
    pair.run_until(|pair| count(&pair.wire, "ACK") > 0);
    pair.b.call(call).codecs([Codec::pcmu()]);
    pair.settle();
    assert_eq!((pair.a.sends_codec(call), pair.b.sends_codec(call)), ("PCMU", "PCMU"));
    assert!(pair.now() < midcall_proto::time::Instant::ZERO + secs(10));
    assert_eq!((pair.a.changes(call).len(), pair.b.changes(call).len()), (1, 1));
}

/// After one collision every later re-INVITE was answered 491, and an UPDATE with nothing but 100.
#[test]
fn every_reinvite_gets_491_after_the_first() {
    for placed in [true, false] {
        let (mut seat, call) = crossed(placed);
        if !placed {
            // The peer owns the Call-ID and does not wait.
            seat.expect_findings(&["GL-01"]);
        }
        seat.peer.request("INVITE").offer(&tweaks(&["sendonly"])).send();
        let ok = seat.expect(Pick::status(200).of("INVITE"));
        assert_eq!(direction(&ok), "recvonly");
        seat.peer.ack(&ok).send();
        seat.settle_briefly();
        seat.peer.request("UPDATE").offer(&[]).send();
        seat.expect(Pick::status(200).of("UPDATE"));
        let hold = seat.expect("INVITE");
        seat.peer.reply(&hold, 200).answer(&[]).send();
        seat.settle();
        assert_eq!(seat.ua.held(call), (true, false));
    }
}

/// After our 491 the peer's retry got 488 for ever, because what was pending was not rolled back.
#[test]
fn the_peers_retry_after_our_491_gets_488() {
    covers!("RI-07");
    for placed in [true, false] {
        let (mut seat, call) = crossed(placed);
        if !placed {
            // The peer owns the Call-ID and does not wait.
            seat.expect_findings(&["GL-01"]);
        }
        for _ in 0..2 {
            seat.peer.request("INVITE").offer(&tweaks(&["sendonly"])).send();
            let ok = seat.expect(Pick::status(200).of("INVITE"));
            seat.peer.ack(&ok).send();
            seat.settle_briefly();
        }
        assert_eq!(seat.ua.held(call), (false, true));
        let hold = seat.expect("INVITE");
        seat.peer.reply(&hold, 200).answer(&tweaks(&["inactive"])).send();
        seat.settle();
        assert_eq!(seat.ua.held(call), (true, true));
    }
}

/// A 491 was taken for a failure of the call, which then got a BYE.
#[test]
fn a_491_is_answered_with_bye() {
    covers!("RI-14", "GL-06");
    let (mut seat, call) = seated(9, true, Prefer::ReInvite);
    seat.expect_findings(&["GL-06"]);
    seat.ua.call(call).hold();
    for _ in 0..4 {
        let hold = seat.expect("INVITE");
        seat.peer.reply(&hold, 491).send();
    }
    seat.run_for(secs(60));
    assert_eq!(count(&seat.wire, "BYE"), 0);
    assert_eq!(seat.ua.failures(call), [&Failure::Glare { attempts: 4 }]);
    seat.peer.request("INVITE").offer(&[]).send();
    let ok = seat.expect(Pick::status(200).of("INVITE"));
    seat.peer.ack(&ok).send();
    seat.settle();
    assert!(seat.ua.is_up(call));
}

/// After one 491 the second change failed for ever: provisional media was left behind.
#[test]
fn the_second_change_fails_after_one_491() {
    covers!("OA-29");
    for placed in [true, false] {
        let (mut seat, call) = crossed(placed);
        let hold = seat.expect("INVITE");
        seat.peer.reply(&hold, 200).answer(&[]).send();
        seat.settle();
        seat.ua.call(call).resume();
        let resume = seat.expect("INVITE");
        assert_eq!((version(&resume), direction(&resume)), (version(&hold) + 1, "sendrecv"));
        assert_eq!(resume.cseq(), hold.cseq() + 1);
        seat.peer.reply(&resume, 200).answer(&[]).send();
        seat.settle();
        assert_eq!(seat.ua.held(call), (false, false));
    }
}

/// A re-INVITE that came while the ACK was awaited was ignored.
#[test]
fn a_reinvite_before_the_ack_is_ignored() {
    covers!("RC-04");
    let mut seat = Seat::new(Seed(11)).latency(ms(20));
    seat.unobserved("the lost ACK is never sent again: the peer is done with that 2xx");
    let to = seat.ua.uri();
    seat.peer.invite(&to).offer(&[]).send();
    seat.settle_briefly();
    let call = seat.ua.last_call();
    seat.ua.call(call).accept();
    let first = seat.expect(Pick::status(200).of("INVITE"));
    seat.wire.drop_next("ACK");
    seat.peer.ack(&first).send();
    seat.peer.request("INVITE").offer(&tweaks(&["sendonly"])).send();
    let second = seat.expect(Pick::status(200).of("INVITE"));
    assert_eq!((second.cseq(), direction(&second)), (first.cseq() + 1, "recvonly"));
    seat.peer.ack(&second).send();
    seat.peer.ack(&first).send();
    seat.settle();
    assert!(seat.ua.is_up(call));
    assert_eq!(seat.ua.held(call), (false, true));
}

/// A refresh was crossed by BYE and then answered 481: the dialog was gone while its transaction ran, and the stack fell.
#[test]
fn a_refresh_crossed_by_bye_crashes() {
    covers!("RC-08", "GL-09");
    for placed in [true, false] {
        let (mut seat, call) = seated(12, placed, Prefer::ReInvite);
        seat.ua.call(call).reinvite();
        seat.peer.request("BYE").send();
        let refresh = seat.expect("INVITE");
        seat.peer.reply(&refresh, 481).send();
        assert_eq!(seat.expect(200).method(), "BYE");
        seat.expect("ACK");
        seat.settle();
        assert!(matches!(seat.ua.ended(call), Some(Ended::PeerHungUp { .. })));
        assert_eq!(count(&seat.wire, Pick::request("BYE").sent_by(seat.ua.address())), 0);
        assert_eq!(seat.ua.failures(call), [&Failure::CallEnded]);
    }
}

/// The peer sent a re-INVITE before its first INVITE was answered, and got nothing, or a second call.
#[test]
fn a_reinvite_before_the_first_answer_makes_a_mess() {
    covers!("RI-06", "CF-34");
    let mut seat = Seat::new(Seed(14)).latency(ms(20));
    seat.unobserved("the peer breaks several rules at once, which is not the point");
    let (call, _) = seat.answered_early();
    seat.peer.request("INVITE").offer(&[]).send();
    let refusal = seat.expect(500);
    let wait: u32 = refusal.header("Retry-After").unwrap().parse().unwrap();
    assert!((1..=10).contains(&wait));
    assert_eq!(incoming(&seat.ua).len(), 1);
    seat.ua_accepts(call);
    assert!(seat.ua.is_up(call));
}

/// The same from the other side: the callee asks for a change before it answered. That crosses our INVITE: 491.
#[test]
fn a_reinvite_of_the_callee_before_its_answer_makes_a_mess() {
    covers!("RI-07", "CF-34");
    let mut seat = Seat::new(Seed(14)).latency(ms(20));
    seat.unobserved("the peer breaks several rules at once, which is not the point");
    let (call, invite) = seat.placed_early();
    seat.peer.request("INVITE").offer(&[]).send();
    assert_eq!(seat.expect(491).method(), "INVITE");
    seat.peer_accepts(&invite);
    assert!(seat.ua.is_up(call));
}

/// A second re-INVITE got 491 where 500 with Retry-After is due, so the peer took it for a collision.
#[test]
fn an_overlap_is_mistaken_for_glare() {
    covers!("RI-06", "UP-14");
    for method in ["INVITE", "UPDATE"] {
        let mut seat = Seat::with(Seed(15), |config| config.new_streams = Policy::Ask).latency(ms(20));
        seat.unobserved("the peer breaks several rules at once, which is not the point");
        let call = seat.placed_call();
        seat.peer.request("INVITE").offer(&tweaks(&["+video"])).send();
        seat.settle_briefly();
        seat.peer.request(method).offer(&[]).send();
        let refusal = seat.expect(500);
        assert!(refusal.method() == method && refusal.header("Retry-After").is_some());
        seat.ua.call(call).answer_offer(None);
        let ok = seat.expect(Pick::status(200).of("INVITE"));
        seat.peer.ack(&ok).send();
        seat.settle();
        assert!(seat.ua.is_up(call));
    }
}

/// UPDATE stood in Allow and was answered with nothing, 404, or a 200 without an answer.
#[test]
fn update_is_listed_but_not_answered() {
    covers!("UP-03", "UP-11");
    for placed in [true, false] {
        let (mut seat, call) = seated(16, placed, Prefer::ReInvite);
        let listed = seat
            .peer
            .inbox()
            .iter()
            .filter(|got| got.method() == "INVITE" && got.status().is_none_or(|s| s == 200));
        assert!(listed.into_iter().all(|got| got.has_token("Allow", "UPDATE")));
        seat.peer.request("UPDATE").send();
        assert_eq!(seat.expect(Pick::status(200).of("UPDATE")).sdp(), None);
        let sent = seat.now();
        seat.peer.request("UPDATE").offer(&tweaks(&["inactive"])).send();
        let ok = seat.expect(Pick::status(200).of("UPDATE"));
        assert_eq!((direction(&ok), ok.at - sent), ("inactive", ms(40)));
        seat.settle();
        assert_eq!(seat.ua.held(call), (false, true));
    }
}

/// UPDATE came while it rang, before the application had said a word, and was never answered.
#[test]
fn an_early_update_is_listed_but_not_answered() {
    covers!("UP-11");
    let mut seat = Seat::new(Seed(16)).latency(ms(20));
    let to = seat.ua.uri();
    seat.peer.invite(&to).offer(&[]).send();
    seat.settle_briefly();
    let call = seat.ua.last_call();
    seat.ua.call(call).ring();
    assert!(seat.expect(180).has_token("Allow", "UPDATE"));
    seat.peer.request("UPDATE").send();
    let ok = seat.expect(Pick::status(200).of("UPDATE"));
    assert_eq!(ok.sdp(), None);
    seat.ua.call(call).refuse(486);
    seat.expect(486);
    seat.settle();
}

/// A hold was answered with the description of before, sendrecv; or with 488 because it said inactive.
#[test]
fn a_hold_is_answered_with_the_cached_description() {
    covers!("OA-23");
    for placed in [true, false] {
        for method in ["INVITE", "UPDATE"] {
            let (mut seat, call) = seated(17, placed, Prefer::ReInvite);
            for (offered, answered) in
                [("sendonly", "recvonly"), ("inactive", "inactive"), ("sendrecv", "sendrecv")]
            {
                seat.peer.request(method).offer(&tweaks(&[offered])).send();
                let ok = seat.expect(Pick::status(200).of(method));
                assert_eq!(direction(&ok), answered);
                if method == "INVITE" {
                    seat.peer.ack(&ok).send();
                }
                seat.settle();
                assert_eq!(seat.ua.held(call), (false, offered != "sendrecv"));
            }
        }
    }
}

/// The retry after a 491 carried a CSeq that had been used.
#[test]
fn the_retry_repeats_its_cseq() {
    covers!("DLG-11", "GL-04");
    for placed in [true, false] {
        let (mut seat, call) = seated(18, placed, Prefer::ReInvite);
        seat.ua.call(call).hold();
        let first = seat.expect("INVITE");
        seat.peer.reply(&first, 491).send();
        let second = seat.expect("INVITE");
        seat.peer.reply(&second, 500).header("Retry-After", 2).send();
        let third = seat.expect("INVITE");
        seat.peer.reply(&third, 200).answer(&[]).send();
        seat.settle();
        assert_eq!([second.cseq(), third.cseq()], [first.cseq() + 1, first.cseq() + 2]);
        assert!(first.branch() != second.branch() && second.branch() != third.branch());
        assert_eq!([version(&second), version(&third)], [version(&first); 2]);
        assert_eq!(seat.ua.held(call), (true, false));
    }
}

/// A gap in the peer's CSeq stalled the dialog; a number too low was dropped without a word.
#[test]
fn a_gap_in_cseq_stalls_the_dialog() {
    covers!("DLG-12");
    let (mut seat, call) = seated(19, true, Prefer::ReInvite);
    let number = seat.peer.leg().unwrap().cseq;
    seat.peer.request("UPDATE").cseq(number + 9).offer(&tweaks(&["sendonly"])).send();
    seat.expect(Pick::status(200).of("UPDATE"));
    seat.settle();
    assert_eq!(seat.ua.held(call), (false, true));
    seat.unobserved("a low number is the breach under test");
    seat.peer.request("UPDATE").cseq(number + 3).offer(&[]).send();
    assert_eq!(seat.expect(500).cseq(), number + 3);
    seat.settle();
    assert_eq!(seat.ua.held(call), (false, true));
}

/// baresip waits 3 s or 1 s after a 491, whatever happens; what it sends then is taken like any other.
#[test]
fn a_peer_with_fixed_delays_is_met() {
    covers!("CF-20");
    for (placed, wait) in [(true, 1), (false, 3)] {
        let (mut seat, call) = crossed(placed);
        let mut ours = None;
        let until = seat.now() + secs(wait);
        while seat.now() < until {
            seat.run_for(ms(10));
            if let Some(hold) = seat.peer.take("INVITE") {
                seat.peer.reply(&hold, 200).answer(&[]).send();
                ours = Some(hold);
            }
        }
        seat.peer.request("INVITE").offer(&tweaks(&["sendonly"])).send();
        let ok = seat.expect(Pick::status(200).of("INVITE"));
        seat.peer.ack(&ok).send();
        if ours.is_none() {
            let hold = seat.expect("INVITE");
            seat.peer.reply(&hold, 200).answer(&tweaks(&["inactive"])).send();
        }
        seat.settle();
        assert_eq!(seat.ua.held(call), (true, true));
        assert!(!seat.ua.told(call).any(|event| matches!(event, CallEvent::ChangeFailed { .. })));
    }
}

/// A stream was added while another re-INVITE ran, and the two started each other for ever.
#[test]
fn a_stream_added_during_a_reinvite_makes_a_loop() {
    covers!("RI-01");
    for placed in [true, false] {
        let (mut seat, call) = seated(13, placed, Prefer::ReInvite);
        seat.ua.call(call).hold();
        let hold = seat.expect("INVITE");
        seat.peer.reply(&hold, 100).send();
        let video = Stream::video(40_002, [Codec::new("H264", 90_000)]);
        seat.ua.call(call).modify(Modification::Add(video), None);
        seat.run_for(secs(1));
        assert!(seat.peer.take("INVITE").is_none());
        seat.peer.reply(&hold, 200).answer(&[]).send();
        let add = seat.expect("INVITE");
        assert_eq!((add.cseq(), version(&add)), (hold.cseq() + 1, version(&hold) + 1));
        seat.peer.reply(&add, 200).answer(&[]).send();
        seat.run_for(secs(60));
        assert!(seat.peer.take("INVITE").is_none());
        assert_eq!((seat.ua.held(call), seat.ua.changes(call).len()), ((true, false), 2));
        assert!(seat.ua.agreed(call).unwrap().streams[1].is_on());
    }
}

/// Hold and added video met, and the video started on the held call; now whoever asked for it hears of the hold and decides.
#[test]
fn video_starts_on_a_call_that_was_just_held() {
    covers!("GL-05");
    let mut pair = Pair::new(Seed(14)).latency(ms(20));
    let call = pair.call();
    let video = || Modification::Add(Stream::video(40_002, [Codec::new("VP8", 90_000).numbered(96)]));
    pair.a.call(call).modify(video(), None);
    pair.b.call(call).hold();
    pair.run_for(ms(50));
    pair.a.call(call).modify(video(), None);
    let codec = pair.a.call(call).codecs([Codec::pcmu()]);
    pair.settle();
    let refused = &Failure::Refused { rule: RuleId::IntentCheckedAfterGlare };
    assert_eq!(pair.a.failures(call), [refused, refused]);
    // What has nothing to do with it comes true, and the call is held without video.
    assert_eq!(pair.a.changes(call).iter().map(|change| change.ticket).collect::<Vec<_>>(), [codec]);
    assert_eq!((pair.a.held(call), pair.a.agreed(call).unwrap().streams.len()), ((false, true), 1));
    pair.run_for(secs(5));
    let again = pair.a.call(call).modify(video(), None);
    pair.settle();
    pair.b.call(call).answer_offer(None);
    pair.settle();
    assert!(pair.a.changes(call).iter().any(|change| change.ticket == again));
}

/// The same with the video of the side that comes back first: no hold is in force then, and both changes come true.
#[test]
fn video_that_comes_back_before_the_hold_is_given_up() {
    covers!("GL-05");
    let mut pair = Pair::new(Seed(15)).latency(ms(20));
    let call = pair.call();
    pair.a.call(call).hold();
    let video = Stream::video(41_002, [Codec::new("VP8", 90_000).numbered(96)]);
    pair.b.call(call).modify(Modification::Add(video), None);
    pair.run_for(secs(3));
    pair.a.call(call).answer_offer(None);
    pair.settle();
    assert_eq!((pair.a.changes(call).len(), pair.b.changes(call).len()), (1, 1));
    assert_eq!((pair.a.held(call), pair.b.held(call)), ((true, false), (false, true)));
}
