//! Dialog and transaction base: scenarios A01 to A10.

use midcall_proto::event::{CallEvent, Ended};
use midcall_testkit::prelude::*;

/// A01: a call, and BYE by the caller.
#[test]
fn a01_the_caller_hangs_up() {
    let mut pair = Pair::new(Seed(1)).latency(ms(20));
    let call = pair.call();
    pair.a.call(call).hang_up();
    pair.settle();
    assert_eq!(pair.a.ended(call), Some(&Ended::HungUp));
    assert_eq!(pair.b.ended(call), Some(&Ended::PeerHungUp { reason: None }));
    assert_ladder!(pair, @r"
             alice                                 bob
    1   0.000  |------ INVITE 53539 offer --------->|
    2   0.020  |<----- 180 INVITE 53539 ------------|
    3   0.040  |<---- 200 INVITE 53539 answer ------|
    4   0.060  |------ ACK 53539 ------------------>|
    5   0.540  |------ BYE 53540 ------------------>|
    6   0.560  |<----- 200 BYE 53540 ---------------|
    ");
}

/// A01 mirrored: BYE by the callee.
#[test]
fn a01_the_callee_hangs_up() {
    let mut pair = Pair::new(Seed(1)).latency(ms(20));
    let call = pair.call();
    pair.b.call(call).hang_up();
    pair.settle();
    assert_eq!(pair.b.ended(call), Some(&Ended::HungUp));
    assert_ladder!(pair, @r"
             alice                                 bob
    1   0.000  |------ INVITE 53539 offer --------->|
    2   0.020  |<----- 180 INVITE 53539 ------------|
    3   0.040  |<---- 200 INVITE 53539 answer ------|
    4   0.060  |------ ACK 53539 ------------------>|
    5   0.540  |<----- BYE 1 -----------------------|
    6   0.560  |------ 200 BYE 1 ------------------>|
    ");
}

/// A02 as caller: the route set is the Record-Route of the 2xx in reverse, and stays so.
#[test]
fn a02_the_caller_follows_the_route_set() {
    covers!("DLG-07", "DLG-09", "DLG-10");
    let mut seat = Seat::new(Seed(2)).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    let ok = seat
        .peer
        .reply(&invite, 200)
        .answer(&[])
        .header("Record-Route", "<sip:10.0.0.2;lr;n=2>, <sip:10.0.0.2;lr;n=1>");
    ok.send();
    let route = ["<sip:10.0.0.2;lr;n=1>", "<sip:10.0.0.2;lr;n=2>"];
    assert_eq!(seat.expect("ACK").list("Route"), route);
    seat.peer.request("INVITE").offer(&[]).header("Record-Route", "<sip:10.0.0.2;lr;n=3>").send();
    let ok = seat.expect(200);
    seat.peer.ack(&ok).send();
    seat.settle();
    seat.ua.call(call).hang_up();
    let bye = seat.expect("BYE");
    assert_eq!((bye.list("Route"), bye.uri()), (route.into(), "sip:bob@10.0.0.2:5060"));
    seat.peer.reply(&bye, 200).send();
    seat.settle();
}

/// A02 as callee: the route set is the Record-Route of the INVITE, which its responses mirror.
#[test]
fn a02_the_callee_follows_the_route_set() {
    covers!("DLG-06", "DLG-09");
    let mut seat = Seat::new(Seed(2)).latency(ms(20));
    let (to, recorded) = (seat.ua.uri(), "<sip:10.0.0.2;lr;n=2>, <sip:10.0.0.2;lr;n=1>;x=\"y\"");
    seat.peer.invite(&to).offer(&[]).header("Record-Route", recorded).send();
    seat.settle_briefly();
    let call = seat.ua.last_call();
    seat.ua.call(call).ring();
    assert_eq!(seat.expect(180).header("Record-Route"), Some(recorded));
    seat.ua.call(call).accept();
    let ok = seat.expect(200);
    assert_eq!(ok.header("Record-Route"), Some(recorded));
    seat.peer.ack(&ok).to(seat.ua.address()).send();
    seat.settle();
    seat.ua.call(call).hold();
    let hold = seat.expect("INVITE");
    assert_eq!(hold.list("Route"), ["<sip:10.0.0.2;lr;n=2>", "<sip:10.0.0.2;lr;n=1>;x=\"y\""]);
    seat.peer.reply(&hold, 488).send();
    seat.settle();
}

/// A03: a strict router takes the Request-URI, the remote target goes last.
#[test]
fn a03_a_strict_router_gets_the_request_uri() {
    covers!("DLG-09");
    let mut seat = Seat::new(Seed(3)).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    seat.peer
        .reply(&invite, 200)
        .answer(&[])
        .header("Record-Route", "<sip:10.0.0.2;n=2>, <sip:10.0.0.2;n=1>")
        .send();
    let routed = |request: &Received| (request.uri().to_owned(), request.list("Route").join(" "));
    let expected = ("sip:10.0.0.2;n=1".to_owned(), "<sip:10.0.0.2;n=2> <sip:bob@10.0.0.2:5060>".to_owned());
    assert_eq!(routed(&seat.expect("ACK")), expected);
    seat.ua.call(call).hang_up();
    let bye = seat.expect("BYE");
    assert_eq!(routed(&bye), expected);
    seat.peer.reply(&bye, 200).send();
    seat.settle();
}

/// A04: the 2xx brings another Contact and route than the 180; the ACK follows the 2xx, CSeq goes on.
#[test]
fn a04_the_success_overrides_what_the_ringing_said() {
    covers!("DLG-08", "CF-05");
    let mut seat = Seat::new(Seed(4)).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    let ringing = seat.peer.reply(&invite, 180).header("Contact", "<sip:early@10.0.0.2:5060>");
    ringing.header("Record-Route", "<sip:10.0.0.2;lr;n=1>").send();
    seat.settle_briefly();
    let ok = seat.peer.reply(&invite, 200).answer(&[]).header("Contact", "<sip:late@10.0.0.2:5060>");
    ok.header("Record-Route", "<sip:10.0.0.2;lr;n=2>").send();
    let ack = seat.expect("ACK");
    assert_eq!((ack.uri(), ack.list("Route")), ("sip:late@10.0.0.2:5060", vec!["<sip:10.0.0.2;lr;n=2>"]));
    seat.ua.call(call).hang_up();
    let bye = seat.expect("BYE");
    assert_eq!((bye.uri(), bye.cseq()), ("sip:late@10.0.0.2:5060", invite.cseq() + 1));
    seat.peer.reply(&bye, 200).send();
    seat.settle();
}

/// A05: the ACK is lost; the 2xx comes again and is acknowledged again. One call, no BYE.
#[test]
fn a05_a_lost_ack_is_sent_again() {
    let mut pair = Pair::new(Seed(5)).latency(ms(20));
    pair.wire.drop_next(Method::Ack);
    let call = pair.call();
    assert!(pair.a.is_up(call) && pair.b.is_up(call));
    assert_eq!(incoming(&pair.b).len(), 1);
    assert_ladder!(pair, @r"
             alice                                 bob
    1   0.000  |------ INVITE 29385 offer --------->|
    2   0.020  |<----- 180 INVITE 29385 ------------|
    3   0.040  |<---- 200 INVITE 29385 answer ------|
    4   0.060  |------ ACK 29385 --~                |   lost
    5   0.540  |<---- 200 INVITE 29385 again 3 -----|
    6   0.560  |------ ACK 29385 again 4 ---------->|
    ");
}

/// A06: without any ACK the callee resends its 2xx up to 64*T1 and then ends the session with BYE.
#[test]
fn a06_no_ack_ends_in_bye() {
    covers!("TX-07", "TX-08", "DLG-26");
    let mut seat = Seat::new(Seed(6)).latency(ms(20));
    seat.expect_findings(&["TX-08"]);
    let to = seat.ua.uri();
    seat.peer.invite(&to).offer(&[]).send();
    seat.settle_briefly();
    let call = seat.ua.last_call();
    seat.ua.call(call).accept();
    let bye = seat.expect("BYE");
    seat.peer.reply(&bye, 200).send();
    seat.settle();
    assert_eq!(seat.ua.ended(call), Some(&Ended::NoAck));
    assert_ladder!(seat, @r"
              alice                                 bob
     1   0.000  |<----- INVITE 13 offer -------------|
     2   0.020  |------ 200 INVITE 13 answer ------->|
     3   0.520  |------ 200 INVITE 13 again 2 ------>|
     4   1.520  |------ 200 INVITE 13 again 2 ------>|
     5   3.520  |------ 200 INVITE 13 again 2 ------>|
     6   7.520  |------ 200 INVITE 13 again 2 ------>|
     7  11.520  |------ 200 INVITE 13 again 2 ------>|
     8  15.520  |------ 200 INVITE 13 again 2 ------>|
     9  19.520  |------ 200 INVITE 13 again 2 ------>|
    10  23.520  |------ 200 INVITE 13 again 2 ------>|
    11  27.520  |------ 200 INVITE 13 again 2 ------>|
    12  31.520  |------ 200 INVITE 13 again 2 ------>|
    13  32.020  |------ BYE 1 ---------------------->|
    14  32.040  |<----- 200 BYE 1 -------------------|
    ");
}

/// A07: the same INVITE comes again after the 2xx: no second call, no second ring.
#[test]
fn a07_a_resent_invite_makes_no_second_call() {
    covers!("TX-06", "DLG-05");
    let mut seat = Seat::new(Seed(7)).latency(ms(20));
    let to = seat.ua.uri();
    let invite = seat.peer.invite(&to).offer(&[]).send();
    seat.settle_briefly();
    let call = seat.ua.last_call();
    seat.ua.call(call).accept();
    let ok = seat.expect(200);
    seat.peer.send_bytes(seat.ua.address(), invite.bytes());
    seat.settle_briefly();
    seat.peer.ack(&ok).send();
    seat.settle();
    seat.peer.send_bytes(seat.ua.address(), invite.bytes());
    seat.settle();
    assert_eq!(incoming(&seat.ua).len(), 1);
    let tags: Vec<_> = seat.peer.inbox().iter().map(|got| got.tag("To")).collect();
    assert!(tags.iter().all(|tag| *tag == ok.tag("To")), "{tags:?}");
}

/// A08: two early dialogs, one 2xx: the other one is gone 64*T1 later.
#[test]
fn a08_a_fork_is_confirmed_by_one_branch() {
    covers!("DLG-05", "DLG-25", "CF-07", "SV-17");
    let mut seat = Seat::new(Seed(8)).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 180).tag("To", Some("branch-b")).send();
    seat.peer.reply(&invite, 183).tag("To", Some("branch-c")).send();
    seat.settle();
    let dialogs = |seat: &Seat| seat.ua.endpoint().look(call).unwrap().dialogs().count();
    assert_eq!(dialogs(&seat), 2);
    seat.peer.reply(&invite, 200).tag("To", Some("branch-c")).answer(&[]).send();
    assert_eq!(seat.expect("ACK").tag("To"), Some("branch-c"));
    seat.run_for(secs(33));
    assert_eq!(dialogs(&seat), 1);
    assert!(seat.ua.is_up(call));
}

/// A09: two branches answer: both are acknowledged, the second is ended at once.
#[test]
fn a09_the_second_answer_of_a_fork_is_ended() {
    covers!("DLG-28");
    let mut seat = Seat::new(Seed(9)).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 200).tag("To", Some("branch-b")).answer(&[]).send();
    seat.peer.reply(&invite, 200).tag("To", Some("branch-c")).answer(&[]).send();
    assert_eq!(seat.expect("ACK").tag("To"), Some("branch-b"));
    assert_eq!(seat.expect("ACK").tag("To"), Some("branch-c"));
    let bye = seat.expect("BYE");
    assert_eq!(bye.tag("To"), Some("branch-c"));
    seat.peer.reply(&bye, 200).send();
    seat.settle();
    assert!(seat.ua.is_up(call));
    assert_ladder!(seat, @r"
               alice                                 bob
      1   0.000  |------ INVITE 7865 offer ---------->|
      2   0.020  |<----- 200 INVITE 7865 answer ------|
      3   0.020  |<----- 200 INVITE 7865 answer ------|
      4   0.040  |------ ACK 7865 ------------------->|
      5   0.040  |------ ACK 7865 ------------------->|
      6   0.040  |------ BYE 7866 ------------------->|
      7   0.060  |<----- 200 BYE 7866 ----------------|
    ");
}

/// A10: the peer lost the dialog: 481 to a re-INVITE is acknowledged, a BYE follows, the call is over.
#[test]
fn a10_a_restarted_peer_ends_the_call() {
    covers!("DLG-01", "ER-01");
    let mut seat = Seat::new(Seed(10)).latency(ms(20));
    seat.expect_findings(&["DLG-01"]);
    let call = seat.placed_call();
    seat.ua.call(call).hold();
    let hold = seat.expect("INVITE");
    seat.peer.reply(&hold, 481).send();
    let bye = seat.expect("BYE");
    seat.peer.reply(&bye, 481).send();
    seat.settle();
    assert_eq!(seat.ua.ended(call), Some(&Ended::Lost { status: 481 }));
    assert!(seat.ua.told(call).any(|event| matches!(event, CallEvent::ChangeFailed { .. })));
    assert_ladder!(seat, @r"
             alice                                 bob
    1   0.000  |------ INVITE 23484 offer --------->|
    2   0.020  |<---- 200 INVITE 23484 answer ------|
    3   0.040  |------ ACK 23484 ------------------>|
    4   0.060  |--- INVITE 23485 offer sendonly --->|
    5   0.080  |<----- 481 INVITE 23485 ------------|
    6   0.100  |------ ACK 23485 ------------------>|
    7   0.100  |------ BYE 23486 ------------------>|
    8   0.120  |<----- 481 BYE 23486 ---------------|
    ");
}
