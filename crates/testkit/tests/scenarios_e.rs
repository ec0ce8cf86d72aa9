//! Glare between two endpoints: scenarios E01 to E07, and the windows in which each side tries again.

use std::collections::BTreeSet;

use midcall_proto::endpoint::{Modification, Prefer};
use midcall_proto::event::CallEvent;
use midcall_proto::rules::RuleId;
use midcall_proto::session::Codec;
use midcall_testkit::glance::{OTHER, OWNER, in_band, retry_delays};
use midcall_testkit::prelude::*;

/// E01: two re-INVITEs cross. Both get 491; the callee tries again within 2.0 s, the owner of the Call-ID after 2.1 to
/// 4.0 s. Over many runs each window is used from end to end, and both changes are in force in every one.
#[test]
fn e01_each_side_retries_in_its_own_window() {
    covers!("GL-01", "GL-02", "GL-03", "RC-11");
    let (mut owner, mut other) = (Vec::new(), Vec::new());
    for seed in 0..1_000 {
        let mut pair = Pair::new(Seed(seed)).latency(ms(20));
        if seed % 50 != 0 {
            pair.unobserved("the runs differ in two delays: the observer watches every fiftieth");
        }
        let call = pair.call();
        pair.a.call(call).hold();
        pair.b.call(call).codecs([Codec::pcmu()]);
        pair.settle();
        assert_eq!(count(&pair.wire, 491), 2, "seed {seed}");
        owner.extend(retry_delays(&pair.wire, "INVITE", pair.a.address()));
        other.extend(retry_delays(&pair.wire, "INVITE", pair.b.address()));
        assert_eq!((pair.a.held(call), pair.b.held(call)), ((true, false), (false, true)), "seed {seed}");
        assert_eq!((pair.a.sends_codec(call), pair.b.sends_codec(call)), ("PCMU", "PCMU"), "seed {seed}");
        let [hold] = pair.a.changes(call)[..] else { panic!("seed {seed}: one change") };
        let [codec] = pair.b.changes(call)[..] else { panic!("seed {seed}: one change") };
        assert_eq!((hold.attempts, codec.attempts), (2, 2), "seed {seed}");
    }
    assert_eq!((owner.len(), other.len()), (1_000, 1_000));
    let strays: Vec<_> = owner.iter().filter(|delay| !in_band(**delay, OWNER)).collect();
    assert!(strays.is_empty(), "the owner waited {strays:?}");
    let strays: Vec<_> = other.iter().filter(|delay| !in_band(**delay, OTHER)).collect();
    assert!(strays.is_empty(), "the other side waited {strays:?}");
    // 191 and 201 values: in 1,000 draws nearly all of them come, in each tenth of the window about a hundred.
    for (delays, band) in [(owner, OWNER), (other, OTHER)] {
        let values: BTreeSet<_> = delays.iter().collect();
        assert!(values.len() > 180, "{} values", values.len());
        let width = (band.end() - band.start()) / 10 + 1;
        let mut tenths = [0; 10];
        for delay in &delays {
            let millis = u64::try_from(delay.as_millis()).unwrap();
            tenths[usize::try_from((millis - band.start()) / width).unwrap()] += 1;
        }
        assert!(tenths.iter().all(|tenth| (60..=140).contains(tenth)), "{tenths:?}");
    }
}

/// E01 as it looks: the callee's change lands first, the owner's offer is made anew on top of it.
#[test]
fn e01_the_callees_change_comes_first() {
    covers!("GL-04", "RI-07");
    let mut pair = Pair::new(Seed(1)).latency(ms(20));
    let call = pair.call();
    pair.a.call(call).hold();
    pair.b.call(call).codecs([Codec::pcmu()]);
    pair.settle();
    assert_eq!(pair.a.waits(call), [RuleId::OwnerRetryTime]);
    assert_eq!(pair.b.waits(call), [RuleId::OtherRetryTime]);
    assert_state!(pair.a, call, @"up | audio --> 10.0.0.2:41000 0 101 held | o= 4/3 | to sip:bob@10.0.0.2:5060 | idle");
    assert_state!(pair.b, call, @"up | audio <-- 10.0.0.1:40000 0 101 held by peer | o= 3/4 | to sip:alice@10.0.0.1:5060 | idle");
    assert_ladder!(pair, @r"
              alice                                 bob
     1   0.000  |------ INVITE 53539 offer --------->|
     2   0.020  |<----- 180 INVITE 53539 ------------|
     3   0.040  |<---- 200 INVITE 53539 answer ------|
     4   0.060  |------ ACK 53539 ------------------>|
     5   0.540  |--- INVITE 53540 offer sendonly --->|
     6   0.540  |<----- INVITE 1 offer --------------|   crosses 5
     7   0.560  |<----- 491 INVITE 53540 ------------|
     8   0.560  |------ 491 INVITE 1 --------------->|   crosses 7
     9   0.580  |------ ACK 53540 ------------------>|
    10   0.580  |<----- ACK 1 -----------------------|   crosses 9
    11   2.460  |<----- INVITE 2 offer --------------|
    12   2.480  |------ 200 INVITE 2 answer -------->|
    13   2.500  |<----- ACK 2 -----------------------|
    14   3.740  |--- INVITE 53541 offer sendonly --->|
    15   3.760  |< 200 INVITE 53541 answer recvonly--|
    16   3.780  |------ ACK 53541 ------------------>|
    ");
}

/// E02: the window goes with the Call-ID, not with the role in a transaction: seen from both seats, against a peer that
/// crosses each change.
#[test]
fn e02_ownership_is_fixed_by_the_first_invite() {
    covers!("GL-01", "GL-02", "GL-03");
    for (placed, band) in [(true, OWNER), (false, OTHER)] {
        for seed in 0..40 {
            let mut seat = Seat::new(Seed(seed)).latency(ms(20));
            let call = if placed { seat.placed_call() } else { seat.answered_call() };
            // The peer has been the client of the transaction before: that changes nothing.
            seat.peer.request("INVITE").offer(&[]).send();
            let ok = seat.expect(Pick::status(200).of("INVITE"));
            seat.peer.ack(&ok).send();
            seat.settle();
            seat.ua.call(call).hold();
            seat.peer.request("INVITE").offer(&[]).send();
            let hold = seat.expect("INVITE");
            seat.peer.reply(&hold, 491).send();
            assert_eq!(seat.expect(491).method(), "INVITE");
            let again = seat.expect("INVITE");
            assert_eq!(version(&again), version(&hold));
            assert!(again.cseq() > hold.cseq() && again.branch() != hold.branch());
            seat.peer.reply(&again, 200).answer(&[]).send();
            seat.settle();
            let delays = retry_delays(&seat.wire, "INVITE", seat.ua.address());
            assert!(matches!(delays[..], [delay] if in_band(delay, band.clone())), "seed {seed}: {delays:?}");
            assert_eq!(seat.ua.held(call), (true, false));
        }
    }
}

/// Two agents hold each other at the same time; `a` and `b` say how.
fn cross(seed: u64, a: Prefer, b: Prefer) -> (Pair, Call) {
    let mut pair = Pair::with(Seed(seed), |alice, bob| (alice.prefer, bob.prefer) = (a, b)).latency(ms(20));
    let call = pair.call();
    pair.a.call(call).hold();
    pair.b.call(call).hold();
    pair.settle();
    (pair, call)
}

/// E03: two UPDATEs with offers cross: 491 both ways and the same windows.
#[test]
fn e03_updates_cross() {
    covers!("UP-13", "UP-16", "GL-01", "GL-02");
    for seed in 0..40 {
        let (pair, call) = cross(seed, Prefer::Update, Prefer::Update);
        assert_eq!(count(&pair.wire, Pick::status(491).of("UPDATE")), 2);
        let delays = retry_delays(&pair.wire, "UPDATE", pair.a.address());
        assert!(matches!(delays[..], [delay] if in_band(delay, OWNER)), "{delays:?}");
        let delays = retry_delays(&pair.wire, "UPDATE", pair.b.address());
        assert!(matches!(delays[..], [delay] if in_band(delay, OTHER)), "{delays:?}");
        assert_eq!((pair.a.held(call), pair.b.held(call)), ((true, true), (true, true)));
    }
}

/// E04: an UPDATE with an offer crosses a re-INVITE, either way round: 491 both ways.
#[test]
fn e04_an_update_crosses_a_reinvite() {
    covers!("RC-12", "UP-13", "GL-03");
    for (a, b) in [(Prefer::Update, Prefer::ReInvite), (Prefer::ReInvite, Prefer::Update)] {
        let (pair, call) = cross(4, a, b);
        assert_eq!(count(&pair.wire, Pick::status(491).of("UPDATE")), 1);
        assert_eq!(count(&pair.wire, Pick::status(491).of("INVITE")), 1);
        assert_eq!((pair.a.held(call), pair.b.held(call)), ((true, true), (true, true)));
        let methods = [pair.a.changes(call)[0].method, pair.b.changes(call)[0].method];
        let update = |prefer| if prefer == Prefer::Update { Method::Update } else { Method::Invite };
        assert_eq!(methods, [Some(update(a)), Some(update(b))]);
    }
}

/// E04 as it looks.
#[test]
fn e04_both_ends_are_done_in_the_end() {
    let (pair, call) = cross(4, Prefer::Update, Prefer::ReInvite);
    assert_state!(pair.a, call, @"up | audio --- 10.0.0.2:41000 8 0 101 held held by peer | o= 4/3 | to sip:bob@10.0.0.2:5060 | idle");
    assert_state!(pair.b, call, @"up | audio --- 10.0.0.1:40000 8 0 101 held held by peer | o= 3/4 | to sip:alice@10.0.0.1:5060 | idle");
    assert_ladder!(pair, @r"
              alice                                 bob
     1   0.000  |------ INVITE 35769 offer --------->|
     2   0.020  |<----- 180 INVITE 35769 ------------|
     3   0.040  |<---- 200 INVITE 35769 answer ------|
     4   0.060  |------ ACK 35769 ------------------>|
     5   0.540  |--- UPDATE 35770 offer sendonly --->|
     6   0.540  |<---- INVITE 1 offer sendonly ------|   crosses 5
     7   0.560  |<----- 491 UPDATE 35770 ------------|
     8   0.560  |------ 491 INVITE 1 --------------->|   crosses 7
     9   0.580  |<----- ACK 1 -----------------------|
    10   1.280  |<---- INVITE 2 offer sendonly ------|
    11   1.300  |--- 200 INVITE 2 answer recvonly -->|
    12   1.320  |<----- ACK 2 -----------------------|
    13   2.690  |--- UPDATE 35771 offer sendonly --->|
    14   2.710  |< 200 UPDATE 35771 answer inactive--|
    ");
}

/// E05: an UPDATE without an offer crosses a re-INVITE: nobody is in the other's way.
#[test]
fn e05_a_bodiless_update_crosses_a_reinvite() {
    covers!("RC-12", "UP-10");
    for caller_refreshes in [true, false] {
        let mut pair = Pair::with(Seed(5), |a, b| {
            (a.session_expires, b.session_expires) = (Some(600), Some(600));
        })
        .latency(ms(20));
        let call = pair.call();
        if caller_refreshes {
            pair.a.call(call).refresh();
            pair.b.call(call).hold();
        } else {
            pair.a.call(call).hold();
            pair.b.call(call).refresh();
        }
        pair.settle();
        assert_eq!((count(&pair.wire, 491), count(&pair.wire, 500)), (0, 0));
        let held = |by_us| if by_us { (true, false) } else { (false, true) };
        assert_eq!(pair.a.held(call), held(!caller_refreshes));
        assert_eq!(pair.b.held(call), held(caller_refreshes));
        for end in [&pair.a, &pair.b] {
            let interval = Some(secs(600));
            let fresh = |event: &CallEvent| matches!(event, CallEvent::Refreshed { interval: now, .. } if *now == interval);
            assert!(end.told(call).any(fresh), "the timer was not refreshed");
            let timer = end.look(call).unwrap().dialog().unwrap().timer.running.unwrap();
            assert_eq!(timer.interval, secs(600));
        }
    }
}

/// E06: an offerless re-INVITE crosses one with an offer: 491 both ways, as with two offers.
#[test]
fn e06_an_offerless_reinvite_crosses_a_reinvite() {
    covers!("RI-07", "GL-01", "GL-02");
    for caller_offers in [true, false] {
        let mut pair = Pair::new(Seed(6)).latency(ms(20));
        let call = pair.call();
        if caller_offers {
            pair.a.call(call).hold();
            pair.b.call(call).offerless();
        } else {
            pair.a.call(call).offerless();
            pair.b.call(call).hold();
        }
        pair.settle();
        assert_eq!(count(&pair.wire, 491), 2);
        assert!(retry_delays(&pair.wire, "INVITE", pair.a.address()).iter().all(|d| in_band(*d, OWNER)));
        assert!(retry_delays(&pair.wire, "INVITE", pair.b.address()).iter().all(|d| in_band(*d, OTHER)));
        let held = |by_us| if by_us { (true, false) } else { (false, true) };
        assert_eq!((pair.a.held(call), pair.b.held(call)), (held(caller_offers), held(!caller_offers)));
        assert_eq!((pair.a.changes(call).len(), pair.b.changes(call).len()), (1, 1));
    }
}

/// E07: hold crosses hold, and during the wait the user takes the call back: nothing more is sent for it.
#[test]
fn e07_a_wish_that_was_taken_back_is_not_sent() {
    covers!("GL-04", "GL-05");
    let mut pair = Pair::new(Seed(7)).latency(ms(20));
    let call = pair.call();
    pair.a.call(call).hold();
    pair.b.call(call).hold();
    pair.run_for(ms(100));
    let sent = count(&pair.wire, Pick::request("INVITE").sent_by(pair.a.address()));
    pair.a.call(call).resume();
    pair.settle();
    assert_eq!(count(&pair.wire, Pick::request("INVITE").sent_by(pair.a.address())), sent);
    assert_eq!((pair.a.held(call), pair.b.held(call)), ((false, true), (true, false)));
    let changes = pair.a.changes(call);
    assert!(matches!(changes[..], [hold, resume] if hold.method.is_none() && resume.method.is_none()));
}

/// E07 with another wish instead: what goes out is made from the session as it is then.
#[test]
fn e07_a_retry_is_made_from_the_session_of_the_moment() {
    covers!("GL-04");
    let mut pair = Pair::new(Seed(7)).latency(ms(20));
    let call = pair.call();
    pair.a.call(call).hold();
    pair.b.call(call).codecs([Codec::pcmu()]);
    pair.run_for(ms(100));
    pair.a.call(call).resume();
    pair.a
        .call(call)
        .modify(Modification::Move { stream: 0, address: [10, 0, 0, 1].into(), port: 40_500 }, None);
    pair.settle();
    let retry = pair.packets().iter().rev().map(|packet| packet.raw());
    let retry = retry.into_iter().find(|raw| raw.method() == "INVITE" && raw.is_request()).unwrap();
    let sdp = retry.sdp().unwrap();
    assert!(sdp.contains("m=audio 40500 ") && direction(&retry) == "sendrecv", "{sdp}");
    assert_eq!((pair.a.sends_codec(call), pair.a.held(call)), ("PCMU", (false, false)));
    assert_eq!(pair.b.agreed(call).unwrap().streams[0].remote, Some(("10.0.0.1".to_owned(), 40_500)));
}
