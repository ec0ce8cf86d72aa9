//! Transfer: scenarios J01, J04 and J05.

use midcall_proto::endpoint::{Invite, Policy};
use midcall_proto::event::{CallEvent, CallId, Ended, Event, Side};
use midcall_testkit::prelude::*;

/// The answer in a transfer: status and whether it was the last word.
fn transfers(agent: &Agent, call: impl Handle) -> Vec<(u16, bool)> {
    let told = agent.told(call).filter_map(|event| match event {
        CallEvent::Transfer { status, done } => Some((*status, *done)),
        _ => None,
    });
    told.collect()
}

/// The newest call that an agent told of, beside this one.
fn beside(agent: &Agent, call: CallId) -> CallId {
    let told = agent.events().iter().rev().find_map(|(_, event)| match event {
        Event::Call { call: other, .. } if *other != call => Some(*other),
        _ => None,
    });
    told.unwrap()
}

/// A REFER of the peer to carol.
#[track_caller]
fn refer(seat: &mut Seat, target: &str) {
    let by = seat.peer.uri();
    let draft = seat.peer.request("REFER").header("Refer-To", target);
    draft.header("Referred-By", format_args!("<{by}>")).send();
}

/// A NOTIFY of the peer with this status about our REFER.
#[track_caller]
fn notify(seat: &mut Seat, state: &str, status: &str) {
    let draft = seat.peer.request("NOTIFY").header("Event", "refer").header("Subscription-State", state);
    draft.body("message/sipfrag", format!("SIP/2.0 {status}\r\n")).send();
    seat.expect(Pick::status(200).of("NOTIFY"));
}

/// J01: bob holds alice and sends her to carol: alice calls carol, tells bob, and bob hangs up.
#[test]
fn j01_a_blind_transfer() {
    let mut trio = Trio::new(Seed(1)).latency(ms(20));
    trio.c.answers = true;
    let call = trio.call();
    trio.b.call(call).hold();
    trio.settle();
    let carol = trio.c.uri();
    trio.b.call(call).transfer(&carol);
    trio.settle();
    let new = beside(&trio.a, call.of(0));
    assert_eq!(trio.b.ended(call), Some(&Ended::HungUp));
    assert_eq!(trio.a.ended(call), Some(&Ended::PeerHungUp { reason: None }));
    assert_eq!(transfers(&trio.b, call).last(), Some(&(200, true)));
    assert_state!(trio.a, new, @"up | audio <-> 10.0.0.3:42000 8 0 101 | o= 1/1 | to sip:carol@10.0.0.3:5060 | idle");
    let at_carol = incoming(&trio.c)[0];
    assert_state!(trio.c, at_carol, @"up | audio <-> 10.0.0.1:40000 8 0 101 | o= 1/1 | to sip:alice@10.0.0.1:5060 | idle");
    let referred_by = trio.c.told(at_carol).find_map(|event| match event {
        CallEvent::Incoming(incoming) => incoming.referred_by.clone(),
        _ => None,
    });
    assert_eq!(referred_by.as_deref(), Some("sip:bob@10.0.0.2:5060"));
    trio.run_for(secs(40));
    assert_eq!((trio.a.state(call), trio.b.state(call)), ("gone".to_owned(), "gone".to_owned()));
    assert_ladder!(trio, @r"
              alice                                 bob                                 carol
     1   0.000  |------ INVITE 53539 offer --------->|                                    |
     2   0.020  |<---- 200 INVITE 53539 answer ------|                                    |
     3   0.040  |------ ACK 53539 ------------------>|                                    |
     4   0.520  |<---- INVITE 1 offer sendonly ------|                                    |
     5   0.540  |--- 200 INVITE 1 answer recvonly -->|                                    |
     6   0.560  |<----- ACK 1 -----------------------|                                    |
     7   1.040  |<----- REFER 2 ---------------------|                                    |
     8   1.060  |------ 200 REFER 2 ---------------->|                                    |
     9   1.060  |------ NOTIFY 53540 --------------->|                                    |
    10   1.060  |------ INVITE 42909 offer ---------------------------------------------->|
    11   1.080  |<----- 200 NOTIFY 53540 ------------|                                    |
    12   1.080  |<----- 200 INVITE 42909 answer ------------------------------------------|
    13   1.100  |------ ACK 42909 ------------------------------------------------------->|
    14   1.100  |------ NOTIFY 53541 --------------->|                                    |
    15   1.120  |<----- 200 NOTIFY 53541 ------------|                                    |
    16   1.120  |<----- BYE 3 -----------------------|                                    |
    17   1.140  |------ 200 BYE 3 ------------------>|                                    |
    ");
}

/// J01, the transferee against scripted peers: 200 at once, the call beside it, news by NOTIFY with all they need.
#[test]
fn j01_the_transferee() {
    covers!("RF-02", "RF-03", "CF-24");
    let mut seat = Seat::new(Seed(1)).latency(ms(20));
    let call = seat.placed_call();
    let old = seat.ua.state(call);
    let target = format!("<{}>", seat.other.uri());
    refer(&mut seat, &target);
    // RFC 7647 §5: never 202.
    seat.expect(Pick::status(200).of("REFER"));
    let first = seat.expect("NOTIFY");
    assert_eq!(first.body(), b"SIP/2.0 100 Trying\r\n");
    assert_eq!(first.header("Event"), Some("refer"));
    assert!(first.header("Subscription-State").is_some_and(|state| state.starts_with("active;expires=")));
    seat.peer.reply(&first, 200).send();
    let invite = seat.expect_other("INVITE");
    assert_eq!(invite.header("Referred-By"), Some("<sip:bob@10.0.0.2:5060>"));
    assert_ne!(invite.call_id(), first.call_id());
    seat.other.reply(&invite, 180).send();
    // The old call is as it was all the while.
    assert_eq!(seat.ua.state(call).split(" | ").nth(1), old.split(" | ").nth(1));
    seat.other.reply(&invite, 200).answer(&[]).send();
    seat.expect_other("ACK");
    let last = loop {
        let news = seat.expect("NOTIFY");
        seat.peer.reply(&news, 200).send();
        if news.header("Subscription-State") == Some("terminated;reason=noresource") {
            break news;
        }
    };
    assert_eq!(last.body(), b"SIP/2.0 200 OK\r\n");
    assert_eq!((first.call_id(), first.tag("To")), (last.call_id(), last.tag("To")));
    assert!(seat.ua.is_up(call));
    seat.peer.request("BYE").send();
    seat.expect(Pick::status(200).of("BYE"));
    seat.settle();
    assert!(seat.ua.is_up(beside(&seat.ua, call)) && !seat.ua.is_up(call));
    assert_eq!(seat.ua.peers_broke(), []);
}

/// J01, the transferor: an old 202 counts as 200; the last NOTIFY ends the call, not the first.
#[test]
fn j01_the_transferor() {
    covers!("RF-03", "RF-24", "CF-23");
    for status in [200, 202] {
        let mut seat = Seat::new(Seed(1)).latency(ms(20));
        let call = seat.answered_call();
        let carol = seat.other.uri();
        seat.ua.call(call).transfer(&carol);
        let refer = seat.expect("REFER");
        assert_eq!(refer.header("Refer-To"), Some("<sip:carol@10.0.0.3:5060>"));
        assert_eq!(refer.list("Contact").len(), 1);
        seat.peer.reply(&refer, status).send();
        notify(&mut seat, "active;expires=60", "100 Trying");
        seat.run_for(secs(1));
        notify(&mut seat, "active;expires=60", "180 Ringing");
        seat.settle();
        assert_eq!(count(&seat.wire, "BYE"), 0);
        seat.run_for(secs(1));
        notify(&mut seat, "terminated;reason=noresource", "200 OK");
        let bye = seat.expect("BYE");
        seat.peer.reply(&bye, 200).send();
        seat.settle();
        assert_eq!(transfers(&seat.ua, call), [(100, false), (180, false), (200, true)]);
        assert_eq!(seat.ua.ended(call), Some(&Ended::HungUp));
    }
}

/// J01 where the policy says no, and where the URI is none that can be called: 603, and the call goes on.
#[test]
fn j01_a_refer_that_is_not_granted() {
    covers!("RF-02");
    for (policy, target) in [
        (Policy::Refuse, "<sip:carol@10.0.0.3:5060>"),
        (Policy::Accept, "<http://10.0.0.3/>"),
        (Policy::Ask, "<sip:carol@10.0.0.3:5060>"),
    ] {
        let mut seat = Seat::with(Seed(1), |config| config.refer = policy).latency(ms(20));
        let call = seat.placed_call();
        refer(&mut seat, target);
        seat.settle_briefly();
        if policy == Policy::Ask {
            assert_eq!(count(&seat.wire, Pick::status(200).of("REFER")), 0);
            let cseq = seat.peer.leg().unwrap().cseq;
            seat.ua.call(call).decline_refer(cseq);
        }
        seat.expect(Pick::status(603).of("REFER"));
        seat.settle();
        assert!(seat.ua.is_up(call));
        assert_eq!((count(&seat.wire, "NOTIFY"), seat.other.inbox().len()), (0, 0));
    }
}

/// J01 where a person decides late: the REFER is answered all the same, and the decision comes by NOTIFY.
#[test]
fn j01_a_refer_that_waits_for_a_person() {
    covers!("RF-02");
    for granted in [true, false] {
        let mut seat = Seat::with(Seed(1), |config| config.refer = Policy::Ask).latency(ms(20));
        let call = seat.placed_call();
        refer(&mut seat, "<sip:carol@10.0.0.3:5060>");
        let asked = seat.now();
        let ok = seat.expect(Pick::status(200).of("REFER"));
        assert!(ok.at - asked < ms(3_500));
        let pending = seat.expect("NOTIFY");
        assert!(
            pending.header("Subscription-State").is_some_and(|state| state.starts_with("pending;expires="))
        );
        assert_eq!(pending.body(), b"SIP/2.0 100 Trying\r\n");
        seat.peer.reply(&pending, 200).send();
        seat.run_for(secs(20));
        let number = ok.cseq();
        let place = |seat: &mut Seat| {
            let session = seat.ua.session.clone();
            let placed = seat
                .ua
                .call(call)
                .attempt(|call, now| Ok(call.place_referred(now, number, Invite::new("", session))));
            placed.unwrap()
        };
        assert_eq!(place(&mut seat), None);
        if granted {
            seat.ua.call(call).accept_refer(number);
            assert!(place(&mut seat).is_some());
            let invite = seat.expect_other("INVITE");
            seat.other.reply(&invite, 200).answer(&[]).send();
            seat.expect_other("ACK");
        } else {
            seat.ua.call(call).decline_refer(number);
        }
        let last = seat.expect("NOTIFY");
        seat.peer.reply(&last, 200).send();
        seat.settle();
        let line: &[u8] = if granted { b"SIP/2.0 200 OK\r\n" } else { b"SIP/2.0 603 Decline\r\n" };
        assert_eq!(last.body(), line);
        assert_eq!(last.header("Subscription-State"), Some("terminated;reason=noresource"));
        assert_eq!(seat.other.inbox().is_empty(), !granted);
        assert!(seat.ua.is_up(call));
    }
}

/// J04: carol is busy, declines, or does not answer: bob hears it and takes the call off hold.
#[test]
fn j04_the_target_cannot_be_had() {
    covers!("RF-25");
    for status in [486, 603, 480] {
        let mut trio = Trio::new(Seed(4)).latency(ms(20));
        let call = trio.call();
        trio.b.call(call).hold();
        trio.settle();
        let carol = trio.c.uri();
        trio.b.call(call).transfer(&carol);
        trio.run_until(|trio| !incoming(&trio.c).is_empty());
        let at_carol = incoming(&trio.c)[0];
        trio.c.call(at_carol).ring();
        trio.settle();
        trio.c.call(at_carol).refuse(status);
        trio.settle();
        let tried = beside(&trio.a, call.of(0));
        assert_eq!(trio.a.ended(tried), Some(&Ended::Refused { status, by: Side::Them }));
        assert_eq!(transfers(&trio.b, call).last(), Some(&(status, true)));
        assert!(trio.a.is_up(call) && trio.b.is_up(call));
        assert_eq!((trio.a.held(call), trio.b.held(call)), ((false, false), (false, false)));
        if status == 486 {
            assert_ladder!(trio, @r"
                      alice                                 bob                                 carol
             1   0.000  |------ INVITE 35769 offer --------->|                                    |
             2   0.020  |<---- 200 INVITE 35769 answer ------|                                    |
             3   0.040  |------ ACK 35769 ------------------>|                                    |
             4   0.520  |<---- INVITE 1 offer sendonly ------|                                    |
             5   0.540  |--- 200 INVITE 1 answer recvonly -->|                                    |
             6   0.560  |<----- ACK 1 -----------------------|                                    |
             7   1.040  |<----- REFER 2 ---------------------|                                    |
             8   1.060  |------ 200 REFER 2 ---------------->|                                    |
             9   1.060  |------ NOTIFY 35770 --------------->|                                    |
            10   1.060  |------ INVITE 21451 offer ---------------------------------------------->|
            11   1.080  |<----- 200 NOTIFY 35770 ------------|                                    |
            12   1.080  |<----- 180 INVITE 21451 -------------------------------------------------|
            13   2.060  |------ NOTIFY 35771 --------------->|                                    |
            14   2.080  |<----- 200 NOTIFY 35771 ------------|                                    |
            15   7.100  |<----- 486 INVITE 21451 -------------------------------------------------|
            16   7.120  |------ ACK 21451 ------------------------------------------------------->|
            17   7.120  |------ NOTIFY 35772 --------------->|                                    |
            18   7.140  |<----- 200 NOTIFY 35772 ------------|                                    |
            19   7.140  |<----- INVITE 3 offer --------------|                                    |
            20   7.160  |------ 200 INVITE 3 answer -------->|                                    |
            21   7.180  |<----- ACK 3 -----------------------|                                    |
            ");
        }
    }
}

/// J04: carol never answers at all: the outcome is reported even so.
#[test]
fn j04_the_target_is_silent() {
    let mut seat = Seat::new(Seed(4)).latency(ms(20));
    seat.expect_findings(&["TX-01"]);
    let call = seat.placed_call();
    refer(&mut seat, "<sip:carol@10.0.0.3:5060>");
    seat.expect(Pick::status(200).of("REFER"));
    let first = seat.expect("NOTIFY");
    seat.peer.reply(&first, 200).send();
    let last = seat.expect("NOTIFY");
    assert_eq!(last.body(), b"SIP/2.0 408 Request Timeout\r\n");
    assert_eq!(last.header("Subscription-State"), Some("terminated;reason=noresource"));
    seat.peer.reply(&last, 200).send();
    seat.settle();
    assert!(seat.ua.is_up(call));
}

/// J04, the transferor: a REFER that is refused, or an outcome that is a failure, brings the call back from hold.
#[test]
fn j04_the_transferor_takes_the_call_back() {
    for by_notify in [true, false] {
        let mut seat = Seat::new(Seed(4)).latency(ms(20));
        let call = seat.placed_call();
        seat.ua.call(call).hold();
        let hold = seat.expect("INVITE");
        seat.peer.reply(&hold, 200).answer(&[]).send();
        seat.expect("ACK");
        seat.settle();
        seat.ua.call(call).transfer("sip:carol@10.0.0.3:5060");
        let refer = seat.expect("REFER");
        if by_notify {
            seat.peer.reply(&refer, 200).send();
            notify(&mut seat, "terminated;reason=noresource", "487 Request Terminated");
        } else {
            seat.peer.reply(&refer, 603).send();
        }
        let resume = seat.expect("INVITE");
        assert_eq!(direction(&resume), "sendrecv");
        seat.peer.reply(&resume, 200).answer(&[]).send();
        seat.expect("ACK");
        seat.settle();
        let status = if by_notify { 487 } else { 603 };
        assert_eq!(transfers(&seat.ua, call), [(status, true)]);
        assert_eq!(seat.ua.held(call), (false, false));
    }
}

/// J05: bob has alice and carol on hold and joins them: alice takes bob's place at carol, bob has no call left.
#[test]
fn j05_an_attended_transfer() {
    covers!("RF-16", "RF-18", "RF-23");
    let mut trio = Trio::new(Seed(5)).latency(ms(20));
    let first = trio.call();
    trio.b.call(first).hold();
    trio.settle();
    let second = trio.call_between(1, 2);
    trio.b.call(second).hold();
    trio.settle();
    trio.c.answers = true;
    let other = second.of(1);
    trio.b.call(first).transfer_to_call(other);
    trio.settle();
    trio.run_for(secs(40));
    let at_alice = beside(&trio.a, first.of(0));
    let at_carol = *incoming(&trio.c).last().unwrap();
    assert_state!(trio.a, at_alice, @"up | audio <-> 10.0.0.3:42000 8 0 101 | o= 1/1 | to sip:carol@10.0.0.3:5060 | idle");
    assert_state!(trio.c, at_carol, @"up | audio <-> 10.0.0.1:40000 8 0 101 | o= 1/1 | to sip:alice@10.0.0.1:5060 | idle");
    assert_eq!(trio.c.ended(second), Some(&Ended::Replaced));
    assert_eq!(trio.b.ended(second), Some(&Ended::PeerHungUp { reason: None }));
    assert_eq!((trio.b.state(first), trio.b.state(second)), ("gone".to_owned(), "gone".to_owned()));
    assert_eq!(trio.a.state(first), "gone");
    assert_ladder!(trio, @r"
              alice                                 bob                                 carol
     1   0.000  |------ INVITE 29385 offer --------->|                                    |
     2   0.020  |<---- 200 INVITE 29385 answer ------|                                    |
     3   0.040  |------ ACK 29385 ------------------>|                                    |
     4   0.520  |<---- INVITE 1 offer sendonly ------|                                    |
     5   0.540  |--- 200 INVITE 1 answer recvonly -->|                                    |
     6   0.560  |<----- ACK 1 -----------------------|                                    |
     7   1.040  |                                    |------ INVITE 29852 offer --------->|
     8   1.060  |                                    |<---- 200 INVITE 29852 answer ------|
     9   1.080  |                                    |------ ACK 29852 ------------------>|
    10   1.560  |                                    |--- INVITE 29853 offer sendonly --->|
    11   1.580  |                                    |< 200 INVITE 29853 answer recvonly--|
    12   1.600  |                                    |------ ACK 29853 ------------------>|
    13   2.080  |<----- REFER 2 ---------------------|                                    |
    14   2.100  |------ 200 REFER 2 ---------------->|                                    |
    15   2.100  |------ NOTIFY 29386 --------------->|                                    |
    16   2.100  |------ INVITE 3819 offer ----------------------------------------------->|
    17   2.120  |<----- 200 NOTIFY 29386 ------------|                                    |
    18   2.120  |<----- 200 INVITE 3819 answer -------------------------------------------|
    19   2.120  |                                    |<----- BYE 1 -----------------------|
    20   2.140  |------ ACK 3819 -------------------------------------------------------->|
    21   2.140  |------ NOTIFY 29387 --------------->|                                    |
    22   2.140  |                                    |------ 200 BYE 1 ------------------>|
    23   2.160  |<----- 200 NOTIFY 29387 ------------|                                    |
    24   2.160  |<----- BYE 3 -----------------------|                                    |
    25   2.180  |------ 200 BYE 3 ------------------>|                                    |
    ");
}

/// J05, the target: the INVITE that names its call with bob takes that one's place once accepted.
#[test]
fn j05_the_target() {
    covers!("RF-16", "RF-18", "RF-19");
    for accepted in [true, false] {
        let mut seat = Seat::new(Seed(5)).latency(ms(20));
        let old = seat.answered_call();
        let leg = seat.peer.leg().unwrap().clone();
        let ours = leg.remote_tag.clone().unwrap_or_default();
        // From the view of who gets it: to-tag is its own tag.
        let replaces = format!("{};to-tag={ours};from-tag={}", leg.call_id, leg.local_tag);
        let to = seat.ua.uri();
        seat.other.invite(&to).header("Replaces", replaces).offer(&[]).send();
        seat.settle_briefly();
        let new = *incoming(&seat.ua).last().unwrap();
        let named = seat
            .ua
            .told(new)
            .any(|event| matches!(event, CallEvent::Incoming(incoming) if incoming.replaces == Some(old)));
        assert!(named && seat.ua.is_up(old));
        if accepted {
            seat.ua.call(new).accept();
            let ok = seat.expect_other(200);
            seat.other.ack(&ok).send();
            let bye = seat.expect("BYE");
            seat.peer.reply(&bye, 200).send();
            seat.settle();
            assert_eq!(seat.ua.ended(old), Some(&Ended::Replaced));
            assert!(seat.ua.is_up(new));
        } else {
            seat.ua.call(new).refuse(488);
            seat.expect_other(488);
            seat.settle();
            assert!(seat.ua.is_up(old) && !seat.ua.is_up(new));
            assert_eq!(count(&seat.wire, "BYE"), 0);
        }
    }
}

/// J05, the transferor: Refer-To is the target's Contact with the dialog named from the target's view, escaped.
#[test]
fn j05_the_transferor() {
    covers!("RF-16", "RF-23");
    let mut seat = Seat::new(Seed(5)).latency(ms(20));
    let first: CallId = seat.answered_call();
    let to = seat.other.uri();
    let second = seat.ua.invite(&to);
    let invite = seat.expect_other("INVITE");
    let ok = seat.other.reply(&invite, 200).answer(&[]).header("Contact", "<sip:desk@10.0.0.3:5060>").send();
    seat.expect_other("ACK");
    seat.settle();
    seat.ua.call(first).transfer_to_call(second);
    let refer = seat.expect("REFER");
    let replaces = format!(
        "{}%3Bto-tag%3D{}%3Bfrom-tag%3D{}",
        invite.call_id().replace('@', "%40"),
        ok.tag("To").unwrap(),
        invite.tag("From").unwrap()
    );
    let expected = format!("<sip:desk@10.0.0.3:5060?Replaces={replaces}>");
    assert_eq!(refer.header("Refer-To"), Some(expected.as_str()));
    seat.peer.reply(&refer, 603).send();
    seat.settle();
    assert!(seat.ua.is_up(first) && seat.ua.is_up(second));
}
