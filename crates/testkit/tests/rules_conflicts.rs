//! Where texts contradict each other or the field departs from them: what midcall does.

use std::cmp::Ordering;

use midcall_proto::event::CallEvent;
use midcall_testkit::coverage::{Coverage, fixtures, workspace};
use midcall_testkit::prelude::*;
use midcall_testkit::sketch::Tweak;
use midcall_wire::sdp::Sdp;

fn tweak(word: &str) -> Tweak {
    Tweak::parse(word).unwrap()
}

/// The 32 seconds in which a resent 2xx may come stop no change: it goes out as soon as the first INVITE was acknowledged.
#[test]
fn the_accepted_state_stops_no_change() {
    covers!("CF-01");
    for placed in [true, false] {
        let mut seat = Seat::new(Seed(1)).latency(ms(20));
        let call = if placed { seat.placed_call() } else { seat.answered_call() };
        let asked = seat.now();
        seat.ua.call(call).hold();
        let hold = seat.expect("INVITE");
        assert!(hold.at - asked < secs(1));
        seat.peer.reply(&hold, 200).answer(&[]).send();
        seat.expect("ACK");
        // And the same for what the peer wants now.
        seat.peer.request("INVITE").offer(&[]).send();
        let ok = seat.expect(200);
        seat.peer.ack(&ok).send();
        seat.settle();
        assert!(seat.ua.is_up(call));
    }
}

/// The callee waits with its first change until the ACK of its 2xx has come.
#[test]
fn the_callee_waits_for_the_ack_with_a_change() {
    covers!("CF-02");
    let mut seat = Seat::new(Seed(2)).latency(ms(20));
    let to = seat.ua.uri();
    seat.peer.invite(&to).offer(&[]).send();
    seat.settle_briefly();
    let call = seat.ua.last_call();
    seat.ua.call(call).accept();
    let ok = seat.expect(200);
    seat.ua.call(call).hold();
    seat.run_for(secs(3));
    assert_eq!(count(&seat.wire, "INVITE"), 1);
    seat.peer.ack(&ok).send();
    let acked = seat.now();
    let hold = seat.expect("INVITE");
    assert!(hold.at - acked < secs(1));
    seat.peer.reply(&hold, 200).answer(&[]).send();
    seat.expect("ACK");
    seat.settle();
    assert_eq!(seat.ua.held(call), (true, false));
}

/// An UPDATE moves the target and the numbers, and does not make an early dialog a confirmed one.
#[test]
fn an_update_moves_the_target_and_leaves_the_dialog_early() {
    covers!("CF-03");
    let mut seat = Seat::new(Seed(3)).latency(ms(20));
    let (call, invite) = seat.placed_early();
    let moved = "<sip:elsewhere@10.0.0.2:5060>";
    seat.peer.request("UPDATE").header("Contact", moved).send();
    let ok = seat.expect(Pick::status(200).of("UPDATE"));
    let dialog = seat.ua.look(call).unwrap().dialog().unwrap().clone();
    assert!(dialog.usage.early());
    assert_eq!(&*dialog.party.theirs.target, "sip:elsewhere@10.0.0.2:5060");
    assert_eq!(dialog.party.theirs.cseq, Some(ok.cseq()));
    seat.peer.reply(&invite, 486).header("Contact", moved).send();
    seat.settle();
    assert!(!seat.ua.is_up(call));
}

/// The fixtures repeat none of the slips of the printed flows.
#[test]
fn no_fixture_repeats_a_slip_of_the_printed_flows() {
    covers!("CF-15");
    let found = Coverage::scan(&workspace()).expect("the fixtures can be read");
    let slips = ["sip:sip:", "cseq-method=", "from-tag3D", "Session-Expires: 50", "-events/"];
    for (code, ladders) in &found.ladders {
        for ladder in ladders.iter().filter(|ladder| ladder.starts_with("keeps")) {
            let path = fixtures(&workspace()).join(code).join(format!("{ladder}.ladder"));
            let text = std::fs::read_to_string(&path).expect("a listed ladder can be read");
            for slip in slips {
                assert!(!text.contains(slip), "{code}/{ladder} has {slip}");
            }
        }
    }
}

/// The peer's music on hold uses another number for a codec: it is taken as it says, and ours stay as they are.
#[test]
fn a_payload_number_that_moves_is_followed() {
    covers!("CF-17");
    let mut seat = Seat::new(Seed(4)).latency(ms(20));
    seat.expect_findings(&["OA-27"]);
    let call = seat.answered_call();
    assert_eq!(seat.ua.media(call), "audio <-> 10.0.0.2:41960 8 0 101");
    seat.peer.request("INVITE").offer(&[tweak("codecs=8,101:opus/48000/2,96:telephone-event/8000")]).send();
    let ok = seat.expect(200);
    assert!(ok.sdp().unwrap().contains("a=rtpmap:96 telephone-event/8000"));
    seat.peer.ack(&ok).send();
    seat.settle();
    assert_eq!(seat.ua.media(call), "audio <-> 10.0.0.2:41960 8 96");
}

/// Our hold is answered with a hold: it is taken, and lifting ours lifts the peer's.
#[test]
fn a_hold_answered_with_a_hold_can_be_resumed() {
    covers!("CF-19");
    let mut seat = Seat::new(Seed(5)).latency(ms(20));
    seat.expect_findings(&["OA-35"]);
    let call = seat.placed_call();
    seat.ua.call(call).hold();
    let hold = seat.expect("INVITE");
    seat.peer.reply(&hold, 200).answer(&[tweak("inactive")]).send();
    seat.expect("ACK");
    seat.settle();
    assert!(seat.ua.held(call).0 && seat.ua.is_up(call));
    seat.ua.call(call).resume();
    let resume = seat.expect("INVITE");
    seat.peer.reply(&resume, 200).answer(&[]).send();
    seat.expect("ACK");
    seat.settle();
    assert_eq!(seat.ua.held(call), (false, false));
    // And ours is never so: a held description is answered with what we want ourselves.
    seat.peer.request("INVITE").offer(&[tweak("sendonly")]).send();
    let ok = seat.expect(200);
    assert!(ok.sdp().unwrap().contains("a=recvonly"));
    seat.peer.ack(&ok).send();
    seat.settle();
}

/// A refused PRACK ends nothing: the call comes up when it is answered.
#[test]
fn a_refused_prack_ends_no_call() {
    covers!("CF-25");
    let mut seat = Seat::new(Seed(6)).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 183).reliable().answer(&[]).send();
    let prack = seat.expect("PRACK");
    seat.peer.reply(&prack, 488).send();
    seat.settle_briefly();
    seat.peer.reply(&invite, 200).send();
    seat.expect("ACK");
    seat.settle();
    assert!(seat.ua.is_up(call));
    assert!(seat.ua.told(call).all(|event| !matches!(event, CallEvent::Ended { .. })));
}

/// The 2xx of a re-INVITE brings Record-Route: the route set stays as the first INVITE made it.
#[test]
fn a_route_set_is_made_once() {
    covers!("CF-32");
    let mut seat = Seat::new(Seed(7)).latency(ms(20));
    let call = seat.placed_call();
    seat.ua.call(call).hold();
    let hold = seat.expect("INVITE");
    let ok = seat.peer.reply(&hold, 200).answer(&[]);
    ok.header("Record-Route", "<sip:10.0.0.3;lr>").send();
    assert_eq!(seat.expect("ACK").header("Route"), None);
    seat.settle();
    seat.ua.call(call).hang_up();
    let bye = seat.expect("BYE");
    assert_eq!(bye.header("Route"), None);
    seat.peer.reply(&bye, 200).send();
    seat.settle();
}

/// Versions of o= are numbers of any length, with zeros before them or not.
#[test]
fn a_version_may_have_any_length() {
    covers!("CF-35");
    let sdp = |digits: &str| {
        let text = format!("v=0\r\no=- 1 {digits} IN IP4 10.0.0.2\r\ns=-\r\nt=0 0\r\n");
        Sdp::parse(text.as_bytes()).unwrap()
    };
    let order = |one: &str, other: &str| sdp(one).version().unwrap().cmp(&sdp(other).version().unwrap());
    assert_eq!(order("007", "7"), Ordering::Equal);
    assert_eq!(order("18446744073709551616", "9223372036854775808"), Ordering::Greater);
    assert_eq!(order("99999999999999999999999", "100000000000000000000000"), Ordering::Less);
    let next = |digits: &str| sdp(digits).version().unwrap().plus_one().as_str().to_owned();
    assert_eq!(next("99999999999999999999"), "100000000000000000000");
    assert_eq!(next("0"), "1");
}
