//! Rules of transfer that no ladder can hold.

use midcall_proto::event::{CallEvent, CallId};
use midcall_proto::rules::RuleId;
use midcall_testkit::prelude::*;
use midcall_testkit::sketch::Tweak;

/// A REFER of the peer to carol, accepted; the first NOTIFY is answered. Returns the REFER's CSeq.
#[track_caller]
fn referred(seat: &mut Seat) -> u32 {
    let carol = seat.other.uri();
    seat.peer.request("REFER").header("Refer-To", format_args!("<{carol}>")).send();
    let ok = seat.expect(Pick::status(200).of("REFER"));
    let first = seat.expect("NOTIFY");
    seat.peer.reply(&first, 200).send();
    ok.cseq()
}

fn transfers(seat: &Seat, call: CallId) -> Vec<(u16, bool)> {
    let told = seat.ua.told(call).filter_map(|event| match event {
        CallEvent::Transfer { status, done } => Some((*status, *done)),
        _ => None,
    });
    told.collect()
}

/// SUBSCRIBE makes no subscription of its own, and ends the one of a REFER: its last NOTIFY says so, and the call to the
/// target goes on.
#[test]
fn subscribe_renews_or_ends_what_refer_made() {
    covers!("RF-11", "RF-37");
    let mut seat = Seat::new(Seed(1)).latency(ms(20));
    seat.expect_findings(&["DLG-31"]);
    let call = seat.placed_call();
    let subscribe = |seat: &mut Seat, event: &str, expires: u32| {
        let draft = seat.peer.request("SUBSCRIBE").header("Event", event).header("Expires", expires);
        draft.send();
    };
    subscribe(&mut seat, "refer", 60);
    seat.expect(Pick::status(403).of("SUBSCRIBE"));
    subscribe(&mut seat, "presence", 60);
    seat.expect(Pick::status(489).of("SUBSCRIBE"));
    seat.settle();
    assert_eq!(count(&seat.wire, "NOTIFY"), 0);
    referred(&mut seat);
    let invite = seat.expect_other("INVITE");
    seat.other.reply(&invite, 180).send();
    seat.run_for(secs(5));
    while let Some(news) = seat.peer.take("NOTIFY") {
        seat.peer.reply(&news, 200).send();
    }
    seat.settle();
    subscribe(&mut seat, "refer", 120);
    assert_eq!(seat.expect(Pick::status(200).of("SUBSCRIBE")).header("Expires"), Some("120"));
    let renewed = seat.expect("NOTIFY");
    assert_eq!(renewed.header("Subscription-State"), Some("active;expires=120"));
    seat.peer.reply(&renewed, 200).send();
    seat.run_for(secs(5));
    subscribe(&mut seat, "refer", 0);
    seat.expect(Pick::status(200).of("SUBSCRIBE"));
    let last = seat.expect("NOTIFY");
    assert_eq!(last.header("Subscription-State"), Some("terminated;reason=timeout"));
    seat.peer.reply(&last, 200).send();
    seat.settle();
    seat.other.reply(&invite, 200).answer(&[]).send();
    seat.expect_other("ACK");
    seat.settle();
    assert!(seat.ua.is_up(call));
    assert_eq!(seat.other.inbox().iter().filter(|got| got.method() == "BYE").count(), 0);
}

/// Requests outside a dialog make no subscription: a NOTIFY that no REFER of ours asked for gets 481, and one for
/// a package that we never subscribe to gets 489.
#[test]
fn a_notify_that_nobody_asked_for_is_refused() {
    covers!("RF-32", "RF-36");
    let mut seat = Seat::new(Seed(3)).latency(ms(20));
    let call = seat.placed_call();
    let to = seat.ua.uri();
    let body = "SIP/2.0 200 OK\r\n";
    let stray = seat.other.outside("NOTIFY", &to).header("Event", "refer");
    stray.header("Subscription-State", "active;expires=60").body("message/sipfrag", body).send();
    seat.expect_other(481);
    for (event, status) in [("refer", 481), ("dialog", 489)] {
        let notify = seat.peer.request("NOTIFY").header("Event", event);
        notify.header("Subscription-State", "active;expires=60").body("message/sipfrag", body).send();
        seat.expect(Pick::status(status).of("NOTIFY"));
    }
    seat.settle();
    assert_eq!(transfers(&seat, call), []);
    assert_eq!(seat.ua.endpoint().calls().count(), 1);
    assert!(seat.ua.is_up(call));
}

/// 481 to a NOTIFY ends the subscription and nothing else: no NOTIFY follows, both calls go on.
#[test]
fn a_refused_notify_ends_its_subscription_only() {
    covers!("RF-31", "CF-14");
    for status in [481, 489, 405] {
        let mut seat = Seat::new(Seed(4)).latency(ms(20));
        let call = seat.placed_call();
        let carol = seat.other.uri();
        seat.peer.request("REFER").header("Refer-To", format_args!("<{carol}>")).send();
        seat.expect(Pick::status(200).of("REFER"));
        let first = seat.expect("NOTIFY");
        let refused = seat.peer.reply(&first, status);
        if status == 405 {
            refused.header("Allow", "INVITE, ACK, BYE").send()
        } else {
            refused.send()
        };
        let invite = seat.expect_other("INVITE");
        seat.other.reply(&invite, 200).answer(&[]).send();
        seat.expect_other("ACK");
        seat.run_for(secs(40));
        assert_eq!(count(&seat.wire, "NOTIFY"), 1, "{status}");
        assert!(seat.ua.is_up(call), "{status}");
        assert_eq!(seat.ua.endpoint().calls().count(), 2, "{status}");
    }
}

/// Replaces is listed where a peer looks for it, and a REFER goes within the dialog to a Contact that is no GRUU.
#[test]
fn what_a_peer_needs_for_a_transfer_is_told() {
    covers!("RF-21", "RF-35");
    let mut seat = Seat::new(Seed(5)).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    for word in ["REFER", "NOTIFY"] {
        assert!(invite.has_token("Allow", word), "{word}");
    }
    assert!(invite.has_token("Supported", "replaces"));
    assert!(!invite.address("Contact").unwrap().contains(";gr"));
    seat.peer.reply(&invite, 200).answer(&[]).send();
    seat.expect("ACK");
    seat.settle();
    referred(&mut seat);
    let to = seat.expect_other("INVITE");
    seat.other.reply(&to, 486).send();
    let last = seat.expect("NOTIFY");
    seat.peer.reply(&last, 200).send();
    seat.settle();
    let to = seat.ua.uri();
    seat.other.invite(&to).offer(&[]).send();
    seat.settle_briefly();
    let second = seat.ua.last_call();
    seat.ua.call(second).accept();
    let ok = seat.expect_other(200);
    assert!(ok.has_token("Supported", "replaces"));
    seat.other.ack(&ok).send();
    seat.settle();
    assert!(seat.ua.is_up(call));
}

/// The old call keeps its media while the transfer goes on; the new one has a description of its own, and Referred-By
/// as it came.
#[test]
fn a_transfer_leaves_the_media_of_the_old_call() {
    covers!("RF-26", "RF-27");
    let mut seat = Seat::new(Seed(6)).latency(ms(20));
    let call = seat.answered_call();
    // The old call is held by bob, which is nothing to the new one.
    seat.peer.request("INVITE").offer(&[Tweak::parse("sendonly").unwrap()]).send();
    let ok = seat.expect(200);
    seat.peer.ack(&ok).send();
    seat.settle();
    let before = seat.ua.media(call);
    let by = "\"Bob; at work\" <sip:bob@10.0.0.2:5060;x=1>;cid=\"20398823.2UWQFN309shb3@10.0.0.2\"";
    let carol = seat.other.uri();
    let draft = seat.peer.request("REFER").header("Refer-To", format_args!("<{carol}>"));
    draft.header("Referred-By", by).send();
    seat.expect(Pick::status(200).of("REFER"));
    let first = seat.expect("NOTIFY");
    seat.peer.reply(&first, 200).send();
    let invite = seat.expect_other("INVITE");
    assert_eq!(invite.header("Referred-By"), Some(by));
    let (old, new) = (ok.sdp().unwrap(), invite.sdp().unwrap());
    let version = |sdp: &str| {
        let origin = sdp.lines().find(|line| line.starts_with("o=")).unwrap();
        origin.split(' ').nth(2).unwrap().to_owned()
    };
    assert_eq!((version(old).as_str(), version(new).as_str()), ("2", "1"));
    assert!(old.contains("a=recvonly") && !new.contains("a=recvonly"));
    seat.other.reply(&invite, 200).answer(&[]).send();
    seat.expect_other("ACK");
    let last = seat.expect("NOTIFY");
    seat.peer.reply(&last, 200).send();
    seat.settle();
    assert_eq!(seat.ua.media(call), before);
    assert_eq!(count(&seat.wire, "INVITE"), 3);
}

/// A peer that knows no REFER: the transfer has failed at once, and the call comes off hold.
#[test]
fn a_refused_refer_gives_the_call_back() {
    covers!("RF-28", "RF-25");
    for status in [405, 501, 603] {
        let mut seat = Seat::new(Seed(7)).latency(ms(20));
        let call = seat.placed_call();
        seat.ua.call(call).hold();
        let hold = seat.expect("INVITE");
        seat.peer.reply(&hold, 200).answer(&[]).send();
        seat.expect("ACK");
        seat.settle();
        let carol = seat.other.uri();
        seat.ua.call(call).transfer(&carol);
        let refer = seat.expect("REFER");
        let refused = seat.peer.reply(&refer, status);
        if status == 405 {
            refused.header("Allow", "INVITE, ACK, BYE").send()
        } else {
            refused.send()
        };
        let resume = seat.expect("INVITE");
        assert!(!resume.sdp().unwrap_or_default().contains("a=sendonly"));
        seat.peer.reply(&resume, 200).answer(&[]).send();
        seat.expect("ACK");
        seat.settle();
        assert_eq!(transfers(&seat, call), [(status, true)]);
        assert!(seat.ua.is_up(call));
    }
}

/// While the target only rings there is nothing to replace: the attended transfer is not sent, and can be once it answers.
#[test]
fn an_attended_transfer_waits_for_the_target() {
    covers!("RF-29");
    let mut seat = Seat::new(Seed(8)).latency(ms(20));
    let call = seat.placed_call();
    let other = seat.ua.invite(&seat.other.uri());
    let invite = seat.expect_other("INVITE");
    seat.other.reply(&invite, 180).send();
    seat.settle_briefly();
    let asked = seat.ua.call(call).attempt(|call, now| call.transfer_to_call(now, other));
    assert_eq!(asked.map_err(|refused| refused.rule), Err(RuleId::ReplacesTags));
    seat.settle();
    assert_eq!((count(&seat.wire, "REFER"), count(&seat.wire, "CANCEL")), (0, 0));
    seat.other.reply(&invite, 200).answer(&[]).send();
    seat.expect_other("ACK");
    seat.ua.call(call).attempt(|call, now| call.transfer_to_call(now, other)).unwrap();
    let refer = seat.expect("REFER");
    assert!(refer.header("Refer-To").unwrap().contains("Replaces="));
    seat.peer.reply(&refer, 603).send();
    seat.settle();
}

/// A call that began as sips is not referred to sip in silence.
#[test]
fn sips_is_not_lost_by_a_transfer() {
    covers!("RF-33");
    let mut seat = Seat::new(Seed(9)).latency(ms(20));
    seat.unobserved("the call is named sips without a secure transport");
    let to = seat.ua.uri();
    let secure = to.replacen("sip:", "sips:", 1);
    let contact = "<sips:bob@10.0.0.2:5060>";
    seat.peer.invite(&to).uri(&secure).header("Contact", contact).offer(&[]).send();
    seat.settle_briefly();
    let call = seat.ua.last_call();
    seat.ua.call(call).accept();
    let ok = seat.expect(200);
    seat.peer.ack(&ok).send();
    seat.settle();
    let carol = seat.other.uri();
    seat.peer.request("REFER").header("Refer-To", format_args!("<{carol}>")).send();
    seat.expect(Pick::status(603).of("REFER"));
    seat.settle();
    assert!(seat.other.inbox().is_empty() && seat.ua.is_up(call));
}

/// An early dialog is replaced only at the side that sent its INVITE.
#[test]
fn a_ringing_call_is_not_taken_from_the_called_side() {
    covers!("RF-38");
    let mut seat = Seat::new(Seed(10)).latency(ms(20));
    let to = seat.ua.uri();
    seat.peer.invite(&to).offer(&[]).send();
    seat.settle_briefly();
    let call = seat.ua.last_call();
    seat.ua.call(call).ring();
    let ringing = seat.expect(180);
    let leg = seat.peer.leg().unwrap().clone();
    let ours = ringing.tag("To").unwrap().to_owned();
    let replaces = format!("{};to-tag={ours};from-tag={}", leg.call_id, leg.local_tag);
    seat.other.invite(&to).header("Replaces", replaces).offer(&[]).send();
    seat.expect_other(481);
    seat.settle();
    assert_eq!(incoming(&seat.ua), [call]);
    seat.ua.call(call).accept();
    let ok = seat.expect(Pick::status(200).of("INVITE"));
    seat.peer.ack(&ok).send();
    seat.settle();
    assert!(seat.ua.is_up(call));
}
