//! Hold, resume and what it does to media: scenarios I01 to I07 and I09.

use midcall_proto::endpoint::Modification;
use midcall_proto::event::{CallEvent, CallId, Side};
use midcall_proto::rules::RuleId;
use midcall_proto::session::Codec;
use midcall_testkit::prelude::*;
use midcall_wire::sdp::Direction;

/// Sends a re-INVITE of the peer with these tweaks, acknowledges what comes, and gives it back.
#[track_caller]
fn reinvited(seat: &mut Seat, words: &[&str]) -> Received {
    seat.peer.request("INVITE").offer(&tweaks(words)).send();
    let ok = seat.expect(Pick::status(200).of("INVITE"));
    seat.peer.ack(&ok).send();
    seat.settle();
    ok
}

/// Answers the endpoint's next re-INVITE with these tweaks and gives it back.
#[track_caller]
fn answered(seat: &mut Seat, words: &[&str]) -> Received {
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 200).answer(&tweaks(words)).send();
    seat.expect("ACK");
    seat.settle();
    invite
}

fn holds(seat: &Seat, call: CallId) -> Vec<String> {
    let told = seat.ua.told(call).filter_map(|event| match event {
        CallEvent::Held { by } => Some(format!("held by {by:?}")),
        CallEvent::Resumed { by } => Some(format!("resumed by {by:?}")),
        _ => None,
    });
    told.collect()
}

/// I01: hold is sendonly, resume is sendrecv; each takes the next version, whichever end does it.
#[test]
fn i01_hold_and_resume() {
    covers!("OA-34", "OA-15");
    for caller in [true, false] {
        let mut pair = Pair::new(Seed(1)).latency(ms(20));
        let call = pair.call();
        let act = |pair: &mut Pair, hold: bool| {
            let agent = if caller { &mut pair.a } else { &mut pair.b };
            let mut hand = agent.call(call);
            if hold {
                hand.hold()
            } else {
                hand.resume()
            };
            pair.settle();
        };
        act(&mut pair, true);
        let (ours, theirs) = if caller { (&pair.a, &pair.b) } else { (&pair.b, &pair.a) };
        assert_eq!((ours.held(call), theirs.held(call)), ((true, false), (false, true)));
        if caller {
            assert_state!(pair.a, call, @"up | audio --> 10.0.0.2:41000 8 0 101 held | o= 2/2 | to sip:bob@10.0.0.2:5060 | idle");
            assert_state!(pair.b, call, @"up | audio <-- 10.0.0.1:40000 8 0 101 held by peer | o= 2/2 | to sip:alice@10.0.0.1:5060 | idle");
        }
        act(&mut pair, false);
        let (ours, theirs) = if caller { (&pair.a, &pair.b) } else { (&pair.b, &pair.a) };
        assert_eq!((ours.held(call), theirs.held(call)), ((false, false), (false, false)));
        if caller {
            assert_state!(pair.a, call, @"up | audio <-> 10.0.0.2:41000 8 0 101 | o= 3/3 | to sip:bob@10.0.0.2:5060 | idle");
            assert_ladder!(pair, @r"
                      alice                                 bob
             1   0.000  |------ INVITE 53539 offer --------->|
             2   0.020  |<----- 180 INVITE 53539 ------------|
             3   0.040  |<---- 200 INVITE 53539 answer ------|
             4   0.060  |------ ACK 53539 ------------------>|
             5   0.540  |--- INVITE 53540 offer sendonly --->|
             6   0.560  |< 200 INVITE 53540 answer recvonly--|
             7   0.580  |------ ACK 53540 ------------------>|
             8   1.060  |------ INVITE 53541 offer --------->|
             9   1.080  |<---- 200 INVITE 53541 answer ------|
            10   1.100  |------ ACK 53541 ------------------>|
            ");
        }
        assert_eq!((pair.a.peers_broke(), pair.b.peers_broke()), (vec![], vec![]));
    }
}

/// I02: the peer holds with inactive: answered inactive, back with sendrecv; nobody else holds.
#[test]
fn i02_the_peer_holds_with_inactive() {
    covers!("OA-24");
    for session_level in [false, true] {
        let mut seat = Seat::new(Seed(2)).latency(ms(20));
        let call = seat.answered_call();
        let words: &[&str] = if session_level {
            &["s/t=0 0/t=0 0\r\na=inactive/", "s/a=sendrecv\r\n//"]
        } else {
            &["inactive"]
        };
        let ok = reinvited(&mut seat, words);
        assert_eq!(direction(&ok), "inactive");
        assert_eq!(seat.ua.held(call), (false, true));
        let ok = reinvited(&mut seat, &[]);
        assert_eq!((direction(&ok), version(&ok)), ("sendrecv", 3));
        assert_eq!(holds(&seat, call), ["held by Them", "resumed by Them"]);
        assert_eq!(seat.ua.peers_broke(), []);
    }
}

/// I02 by the endpoint: an application that sends nothing at all holds with inactive.
#[test]
fn i02_the_endpoint_holds_with_inactive() {
    let mut seat = Seat::new(Seed(2)).latency(ms(20));
    let call = seat.placed_call();
    let mut silent = seat.ua.session.clone();
    let usual = silent.clone();
    silent.streams[0].direction = Direction::Inactive;
    seat.ua.call(call).modify(Modification::Replace(Box::new(silent)), None);
    let hold = answered(&mut seat, &[]);
    assert_eq!((direction(&hold), version(&hold)), ("inactive", 2));
    assert_state!(seat.ua, call, @"up | audio --- 10.0.0.2:41960 8 0 101 | o= 2/2 | to sip:bob@10.0.0.2:5060 | idle");
    seat.ua.call(call).modify(Modification::Replace(Box::new(usual)), None);
    let resume = answered(&mut seat, &[]);
    assert_eq!((direction(&resume), version(&resume)), ("sendrecv", 3));
    assert_state!(seat.ua, call, @"up | audio <-> 10.0.0.2:41960 8 0 101 | o= 3/3 | to sip:bob@10.0.0.2:5060 | idle");
}

/// I03: both hold, then each takes its own hold back: nobody is stuck.
#[test]
fn i03_both_hold_and_resume_one_by_one() {
    covers!("OA-34", "CF-16");
    let mut pair = Pair::new(Seed(3)).latency(ms(20));
    let call = pair.call();
    let mut states = Vec::new();
    for (caller, hold) in [(true, true), (false, true), (true, false), (false, false)] {
        let mut hand = if caller { pair.a.call(call) } else { pair.b.call(call) };
        if hold {
            hand.hold()
        } else {
            hand.resume()
        };
        pair.settle();
        states.push((pair.a.held(call), pair.b.held(call)));
    }
    let expected = [
        ((true, false), (false, true)),
        ((true, true), (true, true)),
        ((false, true), (true, false)),
        ((false, false), (false, false)),
    ];
    assert_eq!(states, expected);
    assert_ladder!(pair, @r"
              alice                                 bob
     1   0.000  |------ INVITE 21323 offer --------->|
     2   0.020  |<----- 180 INVITE 21323 ------------|
     3   0.040  |<---- 200 INVITE 21323 answer ------|
     4   0.060  |------ ACK 21323 ------------------>|
     5   0.540  |--- INVITE 21324 offer sendonly --->|
     6   0.560  |< 200 INVITE 21324 answer recvonly--|
     7   0.580  |------ ACK 21324 ------------------>|
     8   1.060  |<---- INVITE 1 offer sendonly ------|
     9   1.080  |--- 200 INVITE 1 answer inactive -->|
    10   1.100  |<----- ACK 1 -----------------------|
    11   1.580  |------ INVITE 21325 offer --------->|
    12   1.600  |< 200 INVITE 21325 answer sendonly--|
    13   1.620  |------ ACK 21325 ------------------>|
    14   2.100  |<----- INVITE 2 offer --------------|
    15   2.120  |------ 200 INVITE 2 answer -------->|
    16   2.140  |<----- ACK 2 -----------------------|
    ");
}

/// I04: an old phone holds with c=0.0.0.0: nothing is sent there, the answer has our real address, and it comes back.
#[test]
fn i04_a_hold_by_the_zero_address() {
    covers!("CF-18", "BB-08");
    let mut seat = Seat::new(Seed(4)).latency(ms(20));
    let call = seat.answered_call();
    let ok = reinvited(&mut seat, &["c=0.0.0.0"]);
    assert!(ok.sdp().is_some_and(|sdp| sdp.contains("c=IN IP4 10.0.0.1") && !sdp.contains("0.0.0.0")));
    let stream = &seat.ua.agreed(call).unwrap().streams[0];
    assert!(!stream.sends && stream.held_by_peer);
    assert_state!(seat.ua, call, @"up | audio <-- 0.0.0.0:41960 8 0 101 held by peer | o= 1/2 | to sip:bob@10.0.0.2:5060 | idle");
    reinvited(&mut seat, &[]);
    assert_state!(seat.ua, call, @"up | audio <-> 10.0.0.2:41960 8 0 101 | o= 1/3 | to sip:bob@10.0.0.2:5060 | idle");
    assert_eq!(holds(&seat, call), ["held by Them", "resumed by Them"]);
    assert_eq!(seat.ua.peers_broke(), []);
}

/// I05: held by the peer, asked for an offer: everything we want, sendrecv, not the direction that the hold left.
#[test]
fn i05_an_offer_asked_for_is_not_stuck_on_hold() {
    covers!("CF-29");
    let mut seat = Seat::new(Seed(5)).latency(ms(20));
    let call = seat.answered_call();
    reinvited(&mut seat, &["sendonly", "codecs=0"]);
    assert_eq!(seat.ua.held(call), (false, true));
    seat.peer.request("INVITE").send();
    let ok = seat.expect(Pick::status(200).of("INVITE"));
    assert_eq!(direction(&ok), "sendrecv");
    assert!(ok.sdp().is_some_and(|sdp| sdp.contains("m=audio 40000 RTP/AVP 8 0 101")));
    seat.peer.ack(&ok).answer(&[]).send();
    seat.settle();
    assert_eq!(seat.ua.held(call), (false, false));
    assert_state!(seat.ua, call, @"up | audio <-> 10.0.0.2:41960 8 0 101 | o= 3/3 | to sip:bob@10.0.0.2:5060 | idle");
}

/// I05 with a hold of our own: that one stays, it is what we want.
#[test]
fn i05_an_offer_asked_for_keeps_our_own_hold() {
    let mut seat = Seat::new(Seed(5)).latency(ms(20));
    let call = seat.answered_call();
    seat.ua.call(call).hold();
    answered(&mut seat, &[]);
    seat.peer.request("INVITE").send();
    let ok = seat.expect(Pick::status(200).of("INVITE"));
    assert_eq!(direction(&ok), "sendonly");
    seat.peer.ack(&ok).answer(&[]).send();
    seat.settle();
    assert_eq!(seat.ua.held(call), (true, false));
}

/// I06: the peer holds without a new version: the hold is done, and told as a fault.
#[test]
fn i06_a_changed_description_with_the_old_version() {
    covers!("OA-32", "CF-10");
    let mut seat = Seat::new(Seed(6)).latency(ms(20));
    seat.expect_findings(&["OA-30"]);
    let call = seat.answered_call();
    let mut words = tweaks(&["sendonly"]);
    words.push(midcall_testkit::sketch::Tweak::parse_version("same").unwrap());
    seat.peer.request("INVITE").offer(&words).send();
    let ok = seat.expect(Pick::status(200).of("INVITE"));
    assert_eq!(direction(&ok), "recvonly");
    seat.peer.ack(&ok).send();
    seat.settle();
    assert_eq!(seat.ua.held(call), (false, true));
    assert_eq!(seat.ua.peers_broke(), [RuleId::SameVersionOtherBody]);
}

/// I07: the version jumps, or the whole o= line is another one: taken as a changed description all the same.
#[test]
fn i07_jumping_versions_and_other_origins() {
    covers!("CF-08", "CF-09");
    for step in ["+5", "new", "18446744073709551615"] {
        let mut seat = Seat::new(Seed(7)).latency(ms(20));
        seat.expect_findings(if step.len() > 3 { &["OA-29", "OA-33"] } else { &["OA-29"] });
        let call = seat.placed_call();
        let mut words = tweaks(&["sendonly"]);
        words.push(midcall_testkit::sketch::Tweak::parse_version(step).unwrap());
        seat.peer.request("INVITE").offer(&words).send();
        let ok = seat.expect(Pick::status(200).of("INVITE"));
        seat.peer.ack(&ok).send();
        seat.settle();
        assert_eq!((direction(&ok), version(&ok)), ("recvonly", 2), "{step}");
        assert_eq!(seat.ua.held(call), (false, true), "{step}");
        assert!(seat.ua.is_up(call));
    }
}

/// I09: the hold is answered sendrecv, which is forbidden: the peer is taken to listen only.
#[test]
fn i09_a_hold_answered_by_sendrecv() {
    let mut seat = Seat::new(Seed(9)).latency(ms(20));
    seat.expect_findings(&["OA-23"]);
    let call = seat.placed_call();
    seat.ua.call(call).hold();
    answered(&mut seat, &["sendrecv"]);
    let stream = &seat.ua.agreed(call).unwrap().streams[0];
    assert!(stream.sends && !stream.receives);
    assert_eq!(seat.ua.held(call), (true, false));
    assert_eq!(seat.ua.peers_broke(), [RuleId::AnswerDirection]);
    assert!(seat.ua.told(call).any(|event| matches!(event, CallEvent::Held { by: Side::Us })));
    // The way back is open.
    seat.ua.call(call).resume();
    answered(&mut seat, &[]);
    assert_eq!(seat.ua.held(call), (false, false));
}

/// Hold and a codec change asked for in one go are one request, and both are in force.
#[test]
fn i01_a_hold_and_a_codec_change_go_together() {
    let mut seat = Seat::new(Seed(1)).latency(ms(20));
    let call = seat.placed_call();
    seat.ua.call(call).hold();
    seat.ua.call(call).codecs([Codec::pcmu()]);
    seat.ua.call(call).resume();
    let first = answered(&mut seat, &[]);
    assert_eq!(direction(&first), "sendonly");
    let second = answered(&mut seat, &[]);
    assert_eq!((direction(&second), version(&second)), ("sendrecv", 3));
    assert_eq!((seat.ua.sends_codec(call), seat.ua.held(call)), ("PCMU", (false, false)));
    assert_eq!(seat.ua.changes(call).len(), 3);
}
