//! Reliable provisional responses: scenarios G01 to G08.

use midcall_proto::endpoint::Reliable;
use midcall_proto::event::{CallEvent, CallId, Ended};
use midcall_proto::session::{Codec, Stream};
use midcall_testkit::prelude::*;

/// Requests or responses of a method that came to the peer, resends left out.
fn came(seat: &Seat, method: &str) -> usize {
    seat.peer.inbox().iter().filter(|got| got.is_request() && got.method() == method && !got.again).count()
}

/// A pair in which bob has opened early media.
fn early_pair(seed: u64, before: impl FnOnce(&mut Pair)) -> (Pair, Call) {
    let mut pair = Pair::new(Seed(seed)).latency(ms(20));
    before(&mut pair);
    let call = pair.ring();
    let session = pair.b.session.clone();
    pair.b.call(call).early(session);
    pair.settle();
    (pair, call)
}

/// G01: the PRACK is lost: the 183 comes again and the PRACK goes again, the same one.
#[test]
fn g01_a_lost_prack_is_resent() {
    covers!("PR-05", "PR-10");
    let (mut pair, call) = early_pair(1, |pair| pair.wire.drop_next(Method::Prack));
    pair.b.call(call).accept();
    pair.settle();
    assert!(pair.a.is_up(call) && pair.b.is_up(call));
    assert_ladder!(pair, @r"
             alice                                 bob
    1   0.000  |------ INVITE 53539 offer --------->|
    2   0.020  |<----- 180 INVITE 53539 ------------|
    3   0.040  |< 183 INVITE 53539 reliable answer--|
    4   0.060  |------ PRACK 53540 --~              |   lost
    5   0.540  |<---- 183 INVITE 53539 again 3 -----|
    6   0.560  |------ PRACK 53540 again 4 -------->|
    7   0.580  |<----- 200 PRACK 53540 -------------|
    8   5.600  |<----- 200 INVITE 53539 ------------|
    9   5.620  |------ ACK 53539 ------------------>|
    ");
}

/// G01: the 183 is lost: it comes again and gets one PRACK.
#[test]
fn g01_a_lost_183_is_resent() {
    covers!("PR-05");
    let (mut pair, call) = early_pair(1, |pair| pair.wire.drop_next(Pick::status(183)));
    pair.b.call(call).accept();
    pair.settle();
    assert!(pair.a.is_up(call) && pair.b.is_up(call));
    assert_ladder!(pair, @r"
             alice                                 bob
    1   0.000  |------ INVITE 53539 offer --------->|
    2   0.020  |<----- 180 INVITE 53539 ------------|
    3   0.040  |~ 183 INVITE 53539 reliable answer--|   lost
    4   0.540  |<---- 183 INVITE 53539 again 3 -----|
    5   0.560  |------ PRACK 53540 ---------------->|
    6   0.580  |<----- 200 PRACK 53540 -------------|
    7   5.600  |<----- 200 INVITE 53539 ------------|
    8   5.620  |------ ACK 53539 ------------------>|
    ");
}

/// G01: a 183 that comes twice gets one PRACK.
#[test]
fn g01_a_repeated_183_gets_one_prack() {
    covers!("PR-10");
    let mut seat = Seat::new(Seed(1)).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    let progress = seat.peer.reply(&invite, 183).reliable().answer(&[]).send();
    let prack = seat.expect("PRACK");
    let rack = format!("{} {} INVITE", progress.header("RSeq").unwrap(), invite.cseq());
    assert_eq!((prack.header("RAck"), prack.cseq()), (Some(rack.as_str()), invite.cseq() + 1));
    seat.peer.send_bytes(seat.ua.address(), progress.bytes());
    seat.settle_briefly();
    assert_eq!(came(&seat, "PRACK"), 1);
    seat.peer.reply(&prack, 200).send();
    seat.settle_briefly();
    seat.peer_accepts(&invite);
    assert!(seat.ua.is_up(call));
}

/// G02: no PRACK at all: the 183 goes out seven times, doubling, and after 64*T1 the INVITE is refused with a 5xx.
#[test]
fn g02_without_prack_the_call_is_refused() {
    covers!("PR-05");
    let mut seat = Seat::new(Seed(2)).latency(ms(20));
    seat.expect_findings(&["PR-05"]);
    let (call, first) = seat.progressed();
    let refusal = seat.expect(504);
    assert_eq!(refusal.method(), "INVITE");
    let sent: Vec<_> = seat.peer.inbox().iter().filter(|got| got.status() == Some(183)).collect();
    let times: Vec<_> = sent.iter().map(|got| got.at - first.at).collect();
    assert_eq!(times, [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500].map(ms));
    assert_eq!(refusal.at - first.at, secs(32));
    seat.settle();
    assert_eq!(seat.ua.ended(call), Some(&Ended::NoPrack));
}

/// G03: a PRACK with a wrong RAck gets 481 and acknowledges nothing; the right one gets 200.
#[test]
fn g03_a_wrong_rack_gets_481() {
    covers!("PR-06");
    let mut seat = Seat::new(Seed(3)).latency(ms(20));
    seat.expect_findings(&["PR-06"]);
    let (call, progress) = seat.progressed();
    let (rseq, cseq): (u32, u32) = (progress.header("RSeq").unwrap().parse().unwrap(), progress.cseq());
    for wrong in [
        format!("{} {cseq} INVITE", rseq + 1),
        format!("{rseq} {} INVITE", cseq + 1),
        format!("{rseq} {cseq} invite"),
    ] {
        seat.peer.prack(&progress).header("RAck", &wrong).send();
        let refusal = seat.expect(Pick::status(481));
        assert_eq!(refusal.method(), "PRACK", "{wrong}");
    }
    let before = seat.peer.inbox().iter().filter(|got| got.status() == Some(183)).count();
    seat.run_for(ms(600));
    let after = seat.peer.inbox().iter().filter(|got| got.status() == Some(183)).count();
    assert!(after > before, "the 183 is still unacknowledged");
    seat.peer.prack(&progress).send();
    seat.expect(Pick::status(200).of("PRACK"));
    seat.ua_accepts(call);
    assert!(seat.ua.is_up(call));
}

/// G04: who answers before the PRACK came holds the 200 back until it did.
#[test]
fn g04_the_200_waits_for_the_prack() {
    covers!("PR-08");
    let mut seat = Seat::new(Seed(4)).latency(ms(20));
    let (call, progress) = seat.progressed();
    seat.ua.call(call).accept();
    seat.run_for(secs(3));
    assert!(seat.peer.inbox().iter().all(|got| got.status() != Some(200)));
    seat.peer.prack(&progress).send();
    let (prack, invite) = (seat.expect(200), seat.expect(200));
    assert_eq!((prack.method(), invite.method(), invite.sdp()), ("PRACK", "INVITE", None));
    seat.peer.ack(&invite).send();
    seat.settle();
    assert!(seat.ua.is_up(call));
}

/// G04 at the caller: a 200 that comes before our PRACK arrived is a breach of the peer, not the end of the call.
#[test]
fn g04_an_early_200_is_survived() {
    covers!("PR-08");
    let mut seat = Seat::new(Seed(4)).latency(ms(20));
    seat.expect_findings(&["PR-08"]);
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 183).reliable().answer(&[]).send();
    seat.peer.reply(&invite, 200).send();
    let prack = seat.expect("PRACK");
    seat.peer.reply(&prack, 200).send();
    assert_eq!(seat.expect("ACK").cseq(), invite.cseq());
    seat.settle();
    assert!(seat.ua.is_up(call));
    assert_eq!(seat.ua.held(call), (false, false));
}

/// G05: a gap in RSeq: the later one waits, each gets its PRACK in order.
#[test]
fn g05_a_gap_in_rseq_is_not_acknowledged() {
    covers!("PR-10");
    let mut seat = Seat::new(Seed(5)).latency(ms(20));
    seat.unobserved("the peer sends what it may not, to see it dropped");
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 183).reliable().answer(&[]).send();
    let prack = seat.expect("PRACK");
    seat.peer.reply(&prack, 200).send();
    let third = seat.peer.reply(&invite, 180).reliable().header("RSeq", 3).send();
    seat.settle_briefly();
    assert_eq!(came(&seat, "PRACK"), 1);
    seat.peer.reply(&invite, 180).reliable().header("RSeq", 2).send();
    let prack = seat.expect("PRACK");
    assert_eq!(prack.header("RAck").unwrap(), format!("2 {} INVITE", invite.cseq()));
    seat.peer.reply(&prack, 200).send();
    seat.settle_briefly();
    seat.peer.send_bytes(seat.ua.address(), third.bytes());
    let prack = seat.expect("PRACK");
    assert_eq!(prack.header("RAck").unwrap(), format!("3 {} INVITE", invite.cseq()));
    seat.peer.reply(&prack, 200).send();
    seat.settle_briefly();
    seat.peer_accepts(&invite);
    assert!(seat.ua.is_up(call));
}

/// G05 at the callee: a second reliable response waits for the PRACK of the first, and has the next number.
#[test]
fn g05_reliable_responses_go_one_by_one() {
    covers!("PR-04", "PR-07");
    let mut seat = Seat::with(Seed(5), |config| config.reliable = Reliable::Required).latency(ms(20));
    let (call, first) = seat.progressed();
    seat.ua.call(call).ring();
    seat.run_for(ms(300));
    assert!(seat.peer.inbox().iter().all(|got| got.status() != Some(180)));
    seat.peer.prack(&first).send();
    let second = seat.expect(180);
    let number = |got: &Received| got.header("RSeq").unwrap().parse::<u32>().unwrap();
    assert_eq!(number(&second), number(&first) + 1);
    assert!(second.has_token("Require", "100rel") && second.sdp().is_none());
    seat.peer.prack(&second).send();
    seat.expect(Pick::status(200).of("PRACK"));
    seat.expect(Pick::status(200).of("PRACK"));
    seat.ua_accepts(call);
    assert!(seat.ua.is_up(call));
}

/// G06: two branches number alike: each gets its PRACK, with its own tag and the next CSeq of its own dialog.
#[test]
fn g06_forks_with_equal_rseq_are_both_acknowledged() {
    covers!("PR-11", "DLG-27");
    let mut seat = Seat::new(Seed(6)).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    for tag in ["branch-b", "branch-c"] {
        assert!(seat.peer.select_tag(invite.call_id(), tag));
        let progress = seat.peer.reply(&invite, 183).reliable().answer(&[]).send();
        assert_eq!(progress.header("RSeq"), Some("1"));
    }
    for tag in ["branch-b", "branch-c"] {
        let prack = seat.expect("PRACK");
        assert_eq!((prack.tag("To"), prack.cseq()), (Some(tag), invite.cseq() + 1));
        assert_eq!(prack.header("RAck").unwrap(), format!("1 {} INVITE", invite.cseq()));
        seat.peer.reply(&prack, 200).send();
    }
    seat.settle_briefly();
    seat.peer_accepts(&invite);
    assert!(seat.ua.is_up(call));
}

/// G07: the peer does not know 100rel: the INVITE goes again without asking for it.
#[test]
fn g07_a_420_drops_the_extension() {
    covers!("PR-02", "ER-04");
    let mut seat = Seat::with(Seed(7), |config| config.reliable = Reliable::Required).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    assert!(invite.has_token("Require", "100rel"));
    seat.peer.reply(&invite, 420).header("Unsupported", "100rel").send();
    let again = seat.expect("INVITE");
    assert_eq!((again.cseq(), again.call_id()), (invite.cseq() + 1, invite.call_id()));
    assert!(!again.has_token("Require", "100rel") && !again.has_token("Supported", "100rel"));
    seat.peer.reply(&again, 200).answer(&[]).send();
    assert_eq!((seat.expect("ACK").cseq(), seat.expect("ACK").cseq()), (invite.cseq(), again.cseq()));
    seat.settle();
    assert!(seat.ua.is_up(call));
}

/// G07 at the callee: one that does not do 100rel answers 420 and names it; the call without it comes up.
#[test]
fn g07_required_100rel_is_refused_where_it_is_off() {
    covers!("PR-02", "ER-04");
    let mut seat = Seat::with(Seed(7), |config| config.reliable = Reliable::Off).latency(ms(20));
    let to = seat.ua.uri();
    seat.peer.invite(&to).header("Require", "100rel").offer(&[]).send();
    assert_eq!(seat.expect(420).header("Unsupported"), Some("100rel"));
    assert_eq!(incoming(&seat.ua).len(), 0);
    seat.settle();
    let call = seat.answered_call();
    assert!(seat.ua.is_up(call));
}

/// G07 between: where 100rel is required, the 180 is reliable too.
#[test]
fn g07_required_100rel_makes_the_180_reliable() {
    covers!("PR-02");
    let mut seat = Seat::new(Seed(7)).latency(ms(20));
    let (to, session) = (seat.ua.uri(), seat.ua.session.clone());
    seat.peer.invite(&to).header("Require", "100rel").offer(&[]).send();
    seat.settle_briefly();
    let call = seat.ua.last_call();
    seat.ua.call(call).attempt(|call, now| call.prepare(now, session)).unwrap();
    seat.ua.call(call).ring();
    let ringing = seat.expect(180);
    assert!(ringing.has_token("Require", "100rel") && ringing.header("RSeq").is_some());
    seat.peer.prack(&ringing).send();
    seat.expect(Pick::status(200).of("PRACK"));
    seat.ua.call(call).accept();
    let ok = seat.expect(Pick::status(200).of("INVITE"));
    seat.peer.ack(&ok).send();
    seat.settle();
    assert!(seat.ua.is_up(call));
}

/// G08: a re-INVITE of ours is answered in a reliable response: PRACK, then a 200 without a description.
#[test]
fn g08_a_reinvite_is_answered_reliably() {
    covers!("RI-24", "RI-12");
    for placed in [true, false] {
        let mut seat = Seat::new(Seed(8)).latency(ms(20));
        let call = if placed { seat.placed_call() } else { seat.answered_call() };
        seat.ua.call(call).hold();
        let hold = seat.expect("INVITE");
        assert!(hold.has_token("Supported", "100rel"));
        seat.peer.reply(&hold, 183).reliable().answer(&[]).send();
        let prack = seat.expect("PRACK");
        assert_eq!((prack.cseq(), prack.sdp()), (hold.cseq() + 1, None));
        seat.peer.reply(&prack, 200).send();
        seat.settle_briefly();
        assert_eq!(seat.ua.held(call), (true, false));
        assert!(seat.ua.changes(call).is_empty());
        seat.peer.reply(&hold, 200).send();
        let ack = seat.expect("ACK");
        assert_eq!((ack.cseq(), ack.sdp()), (hold.cseq(), None));
        seat.settle();
        assert_eq!((seat.ua.held(call), seat.ua.changes(call).len()), ((true, false), 1));
    }
}

/// G08 at the asked side, where a person is asked meanwhile.
#[test]
fn g08_a_reinvite_that_waits_is_answered_reliably() {
    covers!("RI-24", "PR-08");
    for placed in [true, false] {
        let mut seat = Seat::new(Seed(8)).latency(ms(20));
        let call = if placed { seat.placed_call() } else { seat.answered_call() };
        let (reinvite, ok) = asked_reliably(&mut seat, call);
        assert_eq!((ok.cseq(), ok.sdp()), (reinvite, None));
        assert!(seat.ua.agreed(call).unwrap().streams[1].is_on());
        assert_eq!(seat.ua.told(call).filter(|event| matches!(event, CallEvent::Offered { .. })).count(), 1);
    }
}

fn asked_reliably(seat: &mut Seat, call: CallId) -> (u32, Received) {
    let reinvite = seat.peer.request("INVITE").header("Require", "100rel").offer(&tweaks(&["+video"])).send();
    seat.settle_briefly();
    let mut session = seat.ua.session.clone();
    session.add_stream(Stream::video(40_002, [Codec::new("H264", 90_000)]));
    seat.ua.call(call).early(session.clone());
    let progress = seat.expect(183);
    assert!(progress.has_token("Require", "100rel") && progress.sdp().is_some());
    seat.ua.call(call).answer_offer(Some(session));
    seat.run_for(ms(200));
    assert!(seat.peer.inbox().iter().all(|got| (got.status(), got.cseq()) != (Some(200), reinvite.cseq())));
    seat.peer.prack(&progress).send();
    seat.expect(Pick::status(200).of("PRACK"));
    let ok = seat.expect(Pick::status(200).of("INVITE"));
    seat.peer.ack(&ok).send();
    seat.settle();
    (reinvite.cseq(), ok)
}
