//! REFER outside the dialog of the call, tied to it by Target-Dialog (RFC 4538, RFC 7647 §4): J03 and what guards it.

use midcall_proto::event::{CallEvent, CallId};
use midcall_testkit::prelude::*;

const GRUU: &str = "<sip:bob@10.0.0.2:5060;gr=urn:uuid:1>";

/// How our transfers went so far: status, and whether that was the last word.
fn transfers(seat: &Seat, call: CallId) -> Vec<(u16, bool)> {
    let told = |event: &CallEvent| match event {
        CallEvent::Transfer { status, done } => Some((*status, *done)),
        _ => None,
    };
    seat.ua.told(call).filter_map(told).collect()
}

/// The peer's leg of the call: the first that has both tags.
fn of_the_call(seat: &Seat) -> usize {
    seat.peer.legs().iter().position(|leg| leg.remote_tag.is_some()).unwrap()
}

/// A REFER of the peer in a dialog of its own, which says that it is for the call; with the tags swapped if told so.
fn refer_beside(seat: &mut Seat, swapped: bool) {
    let leg = seat.peer.legs()[of_the_call(seat)].clone();
    let (mut ours, mut theirs) = (leg.remote_tag.clone().unwrap(), leg.local_tag.clone());
    if swapped {
        std::mem::swap(&mut ours, &mut theirs);
    }
    let (to, carol) = (seat.ua.uri(), seat.other.uri());
    let target = format!("{};local-tag={ours};remote-tag={theirs}", leg.call_id);
    let draft = seat.peer.outside("REFER", &to).header("Refer-To", format_args!("<{carol}>"));
    draft.header("Target-Dialog", target).header("Require", "tdialog").send();
}

/// J03: the transferee takes a REFER outside the dialog: its news goes there, the call goes on.
#[test]
fn j03_a_refer_beside_the_call_is_followed() {
    covers!("RF-12", "RF-13", "SEC-09");
    for placed in [true, false] {
        let mut seat = Seat::new(Seed(1)).latency(ms(20));
        let call = if placed { seat.placed_call() } else { seat.answered_call() };
        refer_beside(&mut seat, false);
        let taken = seat.expect(Pick::status(200).of("REFER"));
        assert!(taken.tag("To").is_some() && taken.header("Contact").is_some());
        let first = seat.expect("NOTIFY");
        assert_eq!((first.call_id(), first.tag("From")), (taken.call_id(), taken.tag("To")));
        assert_ne!(first.call_id(), seat.peer.legs()[of_the_call(&seat)].call_id);
        assert_eq!(first.header("Event"), Some("refer"));
        seat.peer.reply(&first, 200).send();
        let invite = seat.expect_other("INVITE");
        seat.other.reply(&invite, 200).answer(&[]).send();
        seat.expect_other("ACK");
        let last = seat.expect("NOTIFY");
        assert!(last.header("Subscription-State").unwrap().starts_with("terminated"));
        assert!(String::from_utf8_lossy(last.body()).contains("200"));
        seat.peer.reply(&last, 200).send();
        seat.settle();
        // The call itself is as it was, and its peer hangs up as transferors do.
        assert!(seat.ua.is_up(call));
        let of_the_call = of_the_call(&seat);
        seat.peer.select(of_the_call);
        seat.peer.request("BYE").send();
        seat.expect(Pick::status(200).of("BYE"));
        seat.run_for(secs(40));
        assert_eq!(seat.ua.endpoint().calls().count(), 1, "only the call with carol is left");
    }
}

/// RFC 4538 §4: tags that do not fit authorise nothing, nor does a REFER that names no call.
#[test]
fn a_refer_of_a_stranger_is_declined() {
    covers!("RF-13", "SEC-08");
    let mut seat = Seat::new(Seed(2)).latency(ms(20));
    let call = seat.placed_call();
    refer_beside(&mut seat, true);
    seat.expect(Pick::status(603).of("REFER"));
    let (to, carol) = (seat.ua.uri(), seat.other.uri());
    for target in ["", "nobody", "nobody;local-tag=x", "nobody;local-tag=x;remote-tag=y"] {
        let mut draft = seat.peer.outside("REFER", &to).header("Refer-To", format_args!("<{carol}>"));
        if !target.is_empty() {
            draft = draft.header("Target-Dialog", target);
        }
        draft.send();
        seat.expect(Pick::status(603).of("REFER"));
    }
    seat.settle();
    assert!(seat.other.inbox().is_empty() && seat.ua.is_up(call));
}

/// Dialogs beside a call are few, and let go of when nothing is left to say in them.
#[test]
fn refers_beside_the_call_are_few_and_forgotten() {
    let mut seat = Seat::new(Seed(3)).latency(ms(20));
    seat.unobserved("the peer refers without end");
    let call = seat.placed_call();
    seat.ua.follows_refers = false;
    let mut taken = 0;
    for _ in 0..12 {
        refer_beside(&mut seat, false);
        seat.settle_briefly();
        if let Some(ok) = seat.peer.take(Pick::status(200).of("REFER")) {
            taken += 1;
            assert!(ok.tag("To").is_some());
        }
        seat.settle_briefly();
        while let Some(notify) = seat.peer.take("NOTIFY") {
            seat.peer.reply(&notify, 200).send();
        }
        seat.settle_briefly();
    }
    assert_eq!(taken, 8);
    assert_eq!(seat.ua.look(call).unwrap().dialogs().count(), 9);
    for _ in 0..12 {
        seat.run_for(secs(30));
        while let Some(notify) = seat.peer.take("NOTIFY") {
            seat.peer.reply(&notify, 200).send();
        }
    }
    assert_eq!(seat.ua.look(call).unwrap().dialogs().count(), 1);
    assert!(seat.ua.is_up(call));
}

/// A call whose peer has a GRUU for its Contact.
fn gruu_call(seat: &mut Seat) -> CallId {
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 200).answer(&[]).header("Contact", GRUU).send();
    seat.expect("ACK");
    seat.settle();
    call
}

/// RF-12: to a GRUU the REFER goes outside the dialog, and says which call it is for with the peer's tag first.
#[test]
fn a_gruu_is_referred_outside_the_dialog() {
    covers!("RF-12", "RF-13");
    for early_news in [false, true] {
        let mut seat = Seat::new(Seed(4)).latency(ms(20));
        let call = gruu_call(&mut seat);
        let leg = seat.peer.leg().unwrap().clone();
        let carol = seat.other.uri();
        seat.ua.call(call).attempt(|call, now| call.transfer(now, &carol)).unwrap();
        let refer = seat.expect("REFER");
        assert_eq!(refer.tag("To"), None);
        assert_ne!(refer.call_id(), leg.call_id);
        assert_eq!(refer.uri(), "sip:bob@10.0.0.2:5060;gr=urn:uuid:1");
        assert!(refer.has_token("Require", "tdialog"));
        let target =
            format!("{};local-tag={};remote-tag={}", leg.call_id, leg.local_tag, leg.remote_tag.unwrap());
        assert_eq!(refer.header("Target-Dialog"), Some(&*target));
        let ok = |seat: &mut Seat| {
            seat.peer.reply(&refer, 200).header("Contact", GRUU).send();
        };
        let news = |seat: &mut Seat, state: &str, fragment: &'static str| {
            let notify = seat.peer.request("NOTIFY").header("Event", "refer").header("Contact", GRUU);
            notify.header("Subscription-State", state).body("message/sipfrag", fragment).send();
        };
        if early_news {
            // The NOTIFY overtakes the 200 and makes the dialog.
            seat.wire.hold_back(Pick::status(200).of("REFER"));
        }
        ok(&mut seat);
        news(&mut seat, "active;expires=60", "SIP/2.0 100 Trying\r\n");
        seat.expect(Pick::status(200).of("NOTIFY"));
        seat.wire.release();
        seat.settle_briefly();
        assert_eq!(transfers(&seat, call), [(100, false)]);
        news(&mut seat, "terminated;reason=noresource", "SIP/2.0 200 OK\r\n");
        seat.expect(Pick::status(200).of("NOTIFY"));
        let bye = seat.expect("BYE");
        assert_eq!(bye.call_id(), leg.call_id);
        seat.peer.select(0);
        seat.peer.reply(&bye, 200).send();
        seat.settle();
        assert_eq!(transfers(&seat, call), [(100, false), (200, true)]);
        seat.run_for(secs(70));
        assert_eq!(seat.ua.endpoint().calls().count(), 0);
    }
}

/// A peer that does not want it leaves the call as it is; a challenge is answered in the same dialog.
#[test]
fn a_refused_refer_beside_the_call_ends_nothing() {
    for status in [603, 481, 420] {
        let mut seat = Seat::new(Seed(5)).latency(ms(20));
        let call = gruu_call(&mut seat);
        let carol = seat.other.uri();
        seat.ua.call(call).attempt(|call, now| call.transfer(now, &carol)).unwrap();
        let refer = seat.expect("REFER");
        seat.peer.reply(&refer, status).send();
        seat.settle();
        assert_eq!(transfers(&seat, call), [(status, true)]);
        assert!(seat.ua.is_up(call));
        seat.run_for(secs(40));
        assert_eq!(seat.ua.look(call).unwrap().dialogs().count(), 1);
    }
}
