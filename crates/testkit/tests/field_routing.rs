//! Routing, ACK and CSeq, and transfers, as they broke calls in the field: each test is named for the symptom (groups D and
//! X of the failure catalogue).

use midcall_proto::event::{CallEvent, CallId, Ended};
use midcall_testkit::prelude::*;

/// A re-INVITE of the endpoint is answered; gives it back with the ACK.
#[track_caller]
fn held(seat: &mut Seat, call: CallId) -> (Received, Received) {
    seat.ua.call(call).hold();
    let hold = seat.expect("INVITE");
    seat.peer.reply(&hold, 200).answer(&[]).send();
    (hold, seat.expect("ACK"))
}

/// D1: the 200 came from a proxy; the ACK goes where its Contact says, over the wire too, not where the INVITE went.
#[test]
fn the_ack_goes_to_the_address_of_record() {
    covers!("CF-33");
    let mut seat = Seat::new(Seed(1)).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 200).answer(&[]).header("Contact", "<sip:bob@10.0.0.3:5060>").send();
    let ack = seat.expect_other("ACK");
    assert_eq!(ack.uri(), "sip:bob@10.0.0.3:5060");
    assert_ne!(ack.branch(), invite.branch());
    assert_eq!(count(&seat.wire, "ACK"), 1);
    seat.settle();
    assert!(seat.ua.is_up(call));
}

/// D2: the ACK is lost and a re-INVITE is out: the resent 200 of the first INVITE draws its own ACK still, and so does one
/// of an earlier re-INVITE.
#[test]
fn no_ack_for_a_resent_200_once_a_reinvite_is_out() {
    let mut seat = Seat::new(Seed(2)).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    let first = seat.peer.reply(&invite, 200).answer(&[]).send();
    seat.expect("ACK");
    seat.settle();
    seat.ua.call(call).hold();
    let hold = seat.expect("INVITE");
    seat.peer.send_bytes(seat.ua.address(), first.bytes());
    seat.settle_briefly();
    let second = seat.peer.reply(&hold, 200).answer(&[]).send();
    seat.expect("ACK");
    seat.settle();
    seat.ua.call(call).resume();
    let resume = seat.expect("INVITE");
    for ok in [&first, &second] {
        seat.peer.send_bytes(seat.ua.address(), ok.bytes());
    }
    seat.settle_briefly();
    let acks = |cseq: u32| {
        let of = |packet: &&midcall_testkit::network::Packet| {
            let raw = packet.raw();
            raw.method() == "ACK" && raw.cseq() == cseq
        };
        seat.packets().iter().filter(of).count()
    };
    assert_eq!((acks(invite.cseq()), acks(hold.cseq()), acks(resume.cseq())), (3, 2, 0));
    seat.peer.reply(&resume, 200).answer(&[]).send();
    seat.expect("ACK");
    seat.settle();
    assert!(seat.ua.is_up(call));
}

/// D3: the peer moved and said so by re-INVITE or UPDATE, or in its 200 to ours: everything follows, but not after a
/// refusal.
#[test]
fn requests_go_to_the_old_address_after_the_peer_moved() {
    covers!("DLG-16", "CF-04");
    for method in ["INVITE", "UPDATE"] {
        let mut seat = Seat::new(Seed(3)).latency(ms(20));
        let call = seat.placed_call();
        // Refused with 420: nothing moves (RFC 6141 §4.6).
        let refused = seat.peer.request(method).header("Contact", "<sip:no@10.0.0.3:5060>");
        refused.header("Require", "foo").offer(&[]).send();
        seat.expect(Pick::status(420).of(method));
        seat.settle();
        let moved = seat.peer.request(method).header("Contact", "<sip:cell@10.0.0.3:5060>");
        moved.offer(&[]).send();
        let ok = seat.expect(Pick::status(200).of(method));
        if method == "INVITE" {
            seat.peer.ack(&ok).send();
        }
        seat.settle();
        assert_eq!(seat.ua.told(call).filter(|event| matches!(event, CallEvent::PeerMoved)).count(), 1);
        seat.ua.call(call).hold();
        let hold = seat.expect_other("INVITE");
        assert_eq!(hold.uri(), "sip:cell@10.0.0.3:5060");
        seat.peer.select(0);
        let draft = seat.other.reply(&hold, 200).tag("To", hold.tag("To"));
        draft.answer(&[]).header("Contact", "<sip:back@10.0.0.2:5060>").send();
        assert_eq!(seat.expect("ACK").uri(), "sip:back@10.0.0.2:5060");
        seat.settle();
        seat.ua.call(call).hang_up();
        let bye = seat.expect("BYE");
        assert_eq!(bye.uri(), "sip:back@10.0.0.2:5060");
        seat.peer.reply(&bye, 200).send();
        seat.settle();
        seat.unobserved("two parties play the peer");
    }
}

/// D4: ACK, INFO, OPTIONS and PRACK carry a Contact now and then: it is nothing to learn.
#[test]
fn a_contact_in_an_ack_is_learned() {
    covers!("DLG-16");
    let mut seat = Seat::new(Seed(4)).latency(ms(20));
    let other = "<sip:wrong@10.0.0.3:5060>";
    let to = seat.ua.uri();
    seat.peer.invite(&to).offer(&[]).send();
    seat.settle_briefly();
    let (call, session) = (seat.ua.last_call(), seat.ua.session.clone());
    seat.ua.call(call).early(session);
    let progress = seat.expect(183);
    seat.peer.prack(&progress).header("Contact", other).send();
    seat.expect(Pick::status(200).of("PRACK"));
    seat.ua.call(call).accept();
    let ok = seat.expect(Pick::status(200).of("INVITE"));
    seat.peer.ack(&ok).header("Contact", other).send();
    for method in ["INFO", "OPTIONS"] {
        seat.peer.request(method).header("Contact", other).send();
        seat.expect(Pick::status(200).of(method));
    }
    seat.settle();
    let (hold, ack) = held(&mut seat, call);
    assert_eq!((hold.uri(), ack.uri()), ("sip:bob@10.0.0.2:5060", "sip:bob@10.0.0.2:5060"));
    seat.settle();
    assert!(!seat.ua.told(call).any(|event| matches!(event, CallEvent::PeerMoved)));
}

/// D5: a proxy sends requests of its own into the dialog, so that the peer's numbers jump: no fault, and ours go on by one.
#[test]
fn numbers_jump_behind_a_pinging_proxy() {
    covers!("DLG-13");
    let mut seat = Seat::new(Seed(5)).latency(ms(20));
    let call = seat.placed_call();
    for step in [1, 4, 90] {
        let cseq = seat.peer.leg().unwrap().cseq + step;
        seat.peer.request("OPTIONS").cseq(cseq).send();
        seat.expect(Pick::status(200).of("OPTIONS"));
    }
    let (hold, ack) = held(&mut seat, call);
    assert_eq!(ack.cseq(), hold.cseq());
    seat.settle();
    seat.ua.call(call).hang_up();
    let bye = seat.expect("BYE");
    assert_eq!(bye.cseq(), hold.cseq() + 1);
    seat.peer.reply(&bye, 200).send();
    seat.settle();
}

/// D6 and D7: each request of ours takes the next number, the retry after a refusal too, and BYE the highest; ACK and
/// CANCEL take none. E9 is part of it: the ACK of the INVITE has its number, whatever was sent since.
#[test]
fn a_number_is_used_twice_or_runs_backwards() {
    let mut seat = Seat::new(Seed(6)).latency(ms(20));
    let (call, invite) = seat.placed_early();
    seat.ua.call(call).hold();
    let update = seat.expect("UPDATE");
    seat.peer.reply(&update, 200).answer(&[]).send();
    seat.settle_briefly();
    assert_eq!(seat.peer_accepts(&invite).cseq(), invite.cseq());
    seat.ua.call(call).resume();
    let resume = seat.expect("INVITE");
    seat.peer.reply(&resume, 491).send();
    assert_eq!(seat.expect("ACK").cseq(), resume.cseq());
    let again = seat.expect("INVITE");
    seat.peer.reply(&again, 180).send();
    seat.settle_briefly();
    assert!(seat.ua.call(call).cancel());
    assert_eq!(seat.expect("CANCEL").cseq(), again.cseq());
    seat.peer.reply(&again, 487).send();
    seat.expect("ACK");
    let cancel = seat.peer.inbox().iter().find(|got| got.method() == "CANCEL").cloned().unwrap();
    seat.peer.reply(&cancel, 200).send();
    seat.settle();
    seat.ua.call(call).transfer("sip:carol@10.0.0.3:5060");
    let refer = seat.expect("REFER");
    seat.peer.reply(&refer, 603).send();
    seat.settle_briefly();
    seat.ua.call(call).hang_up();
    let mut numbers: Vec<_> = seat
        .packets()
        .iter()
        .map(midcall_testkit::network::Packet::raw)
        .filter(|raw| raw.is_request() && !matches!(raw.method(), "ACK" | "CANCEL"))
        .map(|raw| (raw.cseq() - invite.cseq(), raw.method().to_owned()))
        .collect();
    numbers.dedup();
    let methods = ["INVITE", "PRACK", "UPDATE", "INVITE", "INVITE", "REFER"];
    let expected: Vec<_> = (0..).zip(methods.map(str::to_owned)).collect();
    assert_eq!(numbers[..6], expected);
    let bye = seat.expect("BYE");
    assert!(bye.cseq() > refer.cseq());
    seat.peer.reply(&bye, 200).send();
    seat.settle();
}

/// X1: the transferor hangs up right after its REFER was accepted: the transfer goes on, and is reported in the dialog that
/// has no session any more.
#[test]
fn the_transferor_hangs_up_and_the_survivor_dies() {
    covers!("RF-24");
    let mut seat = Seat::new(Seed(11)).latency(ms(20));
    let call = seat.placed_call();
    seat.peer.request("REFER").header("Refer-To", "<sip:carol@10.0.0.3:5060>").send();
    seat.expect(Pick::status(200).of("REFER"));
    seat.peer.request("BYE").send();
    seat.expect(Pick::status(200).of("BYE"));
    let first = seat.expect("NOTIFY");
    seat.peer.reply(&first, 200).send();
    let invite = seat.expect_other("INVITE");
    seat.other.reply(&invite, 180).send();
    let ringing = seat.expect("NOTIFY");
    assert_eq!(ringing.body(), b"SIP/2.0 180 Ringing\r\n");
    seat.peer.reply(&ringing, 200).send();
    seat.run_for(secs(40));
    seat.other.reply(&invite, 200).answer(&[]).send();
    seat.expect_other("ACK");
    let last = seat.expect("NOTIFY");
    assert_eq!(last.body(), b"SIP/2.0 200 OK\r\n");
    assert_eq!((last.call_id(), last.tag("To")), (first.call_id(), first.tag("To")));
    seat.peer.reply(&last, 200).send();
    seat.run_for(secs(70));
    assert_eq!(seat.ua.ended(call), Some(&Ended::PeerHungUp { reason: None }));
    let survivor = seat.ua.endpoint().calls().find(|other| *other != call).unwrap();
    assert!(seat.ua.is_up(survivor));
    assert_eq!(count(&seat.wire, "BYE"), 1);
    assert_eq!(seat.ua.state(call), "gone");
}

/// X1 from the other side: our BYE went before the outcome; the NOTIFY that comes then is taken and told.
#[test]
fn a_notify_after_our_bye_is_refused() {
    covers!("RF-24");
    let mut seat = Seat::new(Seed(11)).latency(ms(20));
    let call = seat.placed_call();
    seat.ua.call(call).transfer("sip:carol@10.0.0.3:5060");
    let refer = seat.expect("REFER");
    seat.peer.reply(&refer, 202).send();
    seat.settle_briefly();
    seat.ua.call(call).hang_up();
    let bye = seat.expect("BYE");
    seat.peer.reply(&bye, 200).send();
    seat.settle();
    for (state, line, done) in [
        ("active;expires=60", "SIP/2.0 100 Trying\r\n", false),
        ("terminated;reason=noresource", "SIP/2.0 200 OK\r\n", true),
    ] {
        seat.run_for(secs(5));
        let notify = seat.peer.request("NOTIFY").header("Event", "refer").header("Subscription-State", state);
        notify.body("message/sipfrag", line).send();
        seat.expect(Pick::status(200).of("NOTIFY"));
        let told =
            |event: &CallEvent| matches!(event, CallEvent::Transfer { done: last, .. } if *last == done);
        assert!(seat.ua.told(call).any(told));
    }
    seat.run_for(secs(70));
    assert_eq!(count(&seat.wire, "BYE"), 1);
}

/// X2: an INVITE that replaces our call does not stay beside it: one call is left, and its number is told.
#[test]
fn replaces_starts_a_second_call() {
    covers!("RF-18");
    for early_only in [false, true] {
        let mut seat = Seat::new(Seed(12)).latency(ms(20));
        let old = seat.placed_call();
        let leg = seat.peer.leg().unwrap().clone();
        let ours = leg.remote_tag.clone().unwrap_or_default();
        let flag = if early_only { ";early-only" } else { "" };
        let replaces = format!("{};to-tag={ours};from-tag={}{flag}", leg.call_id, leg.local_tag);
        let to = seat.ua.uri();
        seat.other.invite(&to).header("Replaces", replaces).offer(&[]).send();
        seat.settle_briefly();
        if early_only {
            // The call is up: it may not be taken (RFC 3891 §3).
            seat.expect_other(486);
            seat.settle();
            assert!(incoming(&seat.ua).is_empty() && seat.ua.is_up(old));
            continue;
        }
        let [new] = incoming(&seat.ua)[..] else { panic!("one call") };
        seat.ua.call(new).accept();
        let ok = seat.expect_other(200);
        seat.other.ack(&ok).send();
        let bye = seat.expect("BYE");
        seat.peer.reply(&bye, 200).send();
        seat.run_for(secs(70));
        let replaced = |event: &CallEvent| matches!(event, CallEvent::ReplacedBy { call } if *call == new);
        assert!(seat.ua.told(old).any(replaced));
        assert_eq!(seat.ua.endpoint().calls().collect::<Vec<_>>(), [new]);
    }
}

/// X3: Replaces that names nothing gets 481, a malformed one 400, one of a call that just ended 603; nothing rings.
#[test]
fn replaces_to_nothing_is_answered_wrongly_or_not_at_all() {
    covers!("RF-16", "RF-17");
    let mut seat = Seat::new(Seed(13)).latency(ms(20));
    let call = seat.placed_call();
    let leg = seat.peer.leg().unwrap().clone();
    let (id, ours, theirs) = (leg.call_id.clone(), leg.remote_tag.clone().unwrap(), leg.local_tag.clone());
    let right = format!("{id};to-tag={ours};from-tag={theirs}");
    let rows = [
        (format!("nobody@nowhere;to-tag={ours};from-tag={theirs}"), 481),
        // Tags the wrong way round: that is another dialog.
        (format!("{id};to-tag={theirs};from-tag={ours}"), 481),
        (format!("{id};to-tag={ours}"), 400),
        (format!("{right}, {right}"), 400),
    ];
    let to = seat.ua.uri();
    for (replaces, status) in rows {
        seat.other.invite(&to).header("Replaces", &replaces).offer(&[]).send();
        let refused = seat.expect_other(Pick::status(status).of("INVITE"));
        assert!(refused.tag("To").is_some(), "{replaces}");
        seat.settle();
        assert!(seat.ua.is_up(call) && incoming(&seat.ua).is_empty(), "{replaces}");
    }
    let joined = seat.other.invite(&to).header("Replaces", &right).header("Join", &right);
    joined.offer(&[]).send();
    seat.expect_other(400);
    seat.ua.call(call).hang_up();
    let bye = seat.expect("BYE");
    seat.peer.reply(&bye, 200).send();
    seat.settle();
    seat.other.invite(&to).header("Replaces", &right).offer(&[]).send();
    seat.expect_other(603);
    seat.settle();
    assert!(incoming(&seat.ua).is_empty());
}
