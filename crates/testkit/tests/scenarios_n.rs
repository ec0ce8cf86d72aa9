//! Errors and routing: scenarios N01 to N03 and N10.

use midcall_proto::event::{CallId, Failure};
use midcall_testkit::prelude::*;

/// A confirmed call, placed by the endpoint or answered by it.
#[track_caller]
fn call(seat: &mut Seat, placed: bool) -> CallId {
    if placed { seat.placed_call() } else { seat.answered_call() }
}

/// N01: an old CSeq gets 500 and changes nothing, also on a BYE; a gap is no fault.
#[test]
fn n01_old_numbers_and_gaps() {
    covers!("DLG-13", "ER-02");
    for placed in [true, false] {
        let mut seat = Seat::new(Seed(1)).latency(ms(20));
        let call = call(&mut seat, placed);
        let cseq = seat.peer.leg().unwrap().cseq;
        seat.expect_findings(&["DLG-11"]);
        seat.peer.request("INVITE").cseq(cseq + 5).offer(&[]).send();
        let ok = seat.expect(Pick::status(200).of("INVITE"));
        seat.peer.ack(&ok).send();
        seat.settle();
        let before = seat.ua.state(call);
        for method in ["INVITE", "UPDATE", "BYE", "OPTIONS"] {
            let draft = seat.peer.request(method).cseq(cseq + 2);
            let offers = matches!(method, "INVITE" | "UPDATE");
            if offers {
                draft.offer(&tweaks(&["sendonly"])).send()
            } else {
                draft.send()
            };
            let refused = seat.expect(Pick::status(500).of(method));
            // That is no overlap: nothing will be better later.
            assert_eq!(refused.header("Retry-After"), None);
            seat.settle();
            assert_eq!(seat.ua.state(call), before);
        }
        seat.peer.legs_mut()[0].cseq = cseq + 5;
        seat.peer.request("OPTIONS").send();
        seat.expect(Pick::status(200).of("OPTIONS"));
    }
}

/// N02: the peer lacks an extension that the re-INVITE only lists as supported, and says 420: it goes out without.
#[test]
fn n02_an_extension_is_left_out() {
    covers!("ER-04");
    let mut seat = Seat::new(Seed(2)).latency(ms(20));
    let call = seat.placed_call();
    seat.ua.call(call).hold();
    let hold = seat.expect("INVITE");
    assert!(hold.has_token("Supported", "replaces"));
    seat.peer.reply(&hold, 420).header("Unsupported", "replaces").send();
    let again = seat.expect("INVITE");
    assert!(!again.has_token("Supported", "replaces") && again.has_token("Supported", "timer"));
    assert_eq!((again.cseq(), again.sdp()), (hold.cseq() + 1, hold.sdp()));
    seat.peer.reply(&again, 200).answer(&[]).send();
    seat.expect("ACK");
    seat.settle();
    assert_eq!(seat.ua.held(call), (true, false));
    assert_eq!(seat.ua.changes(call)[0].attempts, 2);
}

/// N02: a 420 that names nothing new, a 421 and a 415 that nothing can be done about: told once, the session stays.
#[test]
fn n02_what_cannot_be_mended_is_not_tried_again() {
    for (status, header, value) in
        [(420, "Unsupported", "foo"), (421, "Require", "foo"), (415, "Accept", "application/foo")]
    {
        let mut seat = Seat::new(Seed(2)).latency(ms(20));
        let call = seat.answered_call();
        let before = seat.ua.state(call);
        seat.ua.call(call).hold();
        let mut tries = 0;
        while tries < 3 {
            seat.settle();
            let Some(hold) = seat.peer.take("INVITE") else { break };
            tries += 1;
            seat.peer.reply(&hold, status).header(header, value).send();
        }
        assert!(tries <= 2, "{status}");
        assert_eq!(seat.ua.failures(call), [&Failure::Rejected { status }]);
        assert_eq!(seat.ua.state(call), before);
    }
}

/// N02 as UAS: 420 names what we lack, 415 lists what we take; the session stays.
#[test]
fn n02_what_the_endpoint_refuses() {
    covers!("ER-04", "ER-07");
    for placed in [true, false] {
        let mut seat = Seat::new(Seed(2)).latency(ms(20));
        let call = call(&mut seat, placed);
        let before = seat.ua.state(call);
        for method in ["INVITE", "UPDATE"] {
            let held = tweaks(&["sendonly"]);
            seat.peer.request(method).header("Require", "timer, foo, bar").offer(&held).send();
            let refused = seat.expect(Pick::status(420).of(method));
            assert_eq!(refused.list("Unsupported"), ["foo", "bar"]);
            seat.settle();
            let draft = seat.peer.request(method).offer(&tweaks(&["recvonly"]));
            let sdp = draft.raw().sdp().unwrap().to_owned();
            let body = format!(
                "--b\r\nContent-Type: application/foo\r\n\r\nx\r\n\
                 --b\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--b--\r\n"
            );
            draft.body("multipart/mixed;boundary=b", body).send();
            let refused = seat.expect(Pick::status(415).of(method));
            assert!(refused.list("Accept").contains(&"application/sdp"));
            seat.settle();
            assert_eq!(seat.ua.state(call), before);
        }
        assert!(seat.ua.is_up(call));
    }
}

/// N03: 503 with Retry-After: the call stays, and the change goes out again not before.
#[test]
fn n03_an_overloaded_peer_is_left_alone() {
    covers!("ER-03");
    for status in [503, 500] {
        let mut seat = Seat::new(Seed(3)).latency(ms(20));
        let call = seat.placed_call();
        seat.ua.call(call).hold();
        let hold = seat.expect("INVITE");
        seat.peer.reply(&hold, status).header("Retry-After", "5 (busy)").send();
        seat.expect("ACK");
        let refused = seat.now();
        // A wish that comes in between does not open the gate.
        seat.run_for(secs(1));
        seat.ua.call(call).refresh();
        let again = seat.expect("INVITE");
        assert!(again.at >= refused + secs(5) - ms(20), "{status}");
        assert_eq!(count(&seat.wire, "UPDATE"), 0);
        seat.peer.reply(&again, 200).answer(&[]).send();
        seat.expect("ACK");
        seat.settle();
        assert_eq!(seat.ua.held(call), (true, false));
    }
}

/// N03: 503 without Retry-After acts as 500: told, the call stays.
#[test]
fn n03_a_refusal_without_a_time_is_told() {
    for status in [503, 500] {
        let mut seat = Seat::new(Seed(3)).latency(ms(20));
        let call = seat.answered_call();
        let before = seat.ua.state(call);
        seat.ua.call(call).hold();
        let hold = seat.expect("INVITE");
        seat.peer.reply(&hold, status).send();
        seat.settle();
        assert_eq!(seat.ua.failures(call), [&Failure::Rejected { status }]);
        assert_eq!(seat.ua.state(call), before);
        assert_eq!(count(&seat.wire, "BYE"), 0);
    }
}

/// N03: the network says at once that the peer cannot be reached: that counts as 503, and the call stays.
#[test]
fn n03_an_unreachable_peer_is_no_end() {
    covers!("TX-24");
    let mut seat = Seat::new(Seed(3)).latency(ms(20));
    let call = seat.placed_call();
    let address = seat.peer.address();
    seat.wire.make_unreachable(address);
    seat.ua.call(call).hold();
    seat.settle();
    assert_eq!(seat.ua.failures(call), [&Failure::Rejected { status: 503 }]);
    assert!(seat.ua.is_up(call));
    assert_eq!(count(&seat.wire, "BYE"), 0);
    // It can still be reached from there.
    seat.peer.request("INVITE").offer(&tweaks(&["sendonly"])).send();
    seat.settle_briefly();
    assert_eq!(seat.ua.held(call), (false, true));
    seat.unobserved("the answer to the peer cannot be delivered");
}

/// N10: responses to nothing that was asked: dropped, nothing sent, nothing told of the call.
#[test]
fn n10_stray_responses() {
    covers!("TX-11", "TX-19");
    for placed in [true, false] {
        let mut seat = Seat::new(Seed(10)).latency(ms(20));
        let call = call(&mut seat, placed);
        let (before, told) = (seat.ua.state(call), seat.ua.told(call).count());
        let sent = seat.packets().len();
        let leg = seat.peer.leg().unwrap().clone();
        let mut strays = 0;
        for status in [180, 200, 481, 487, 491] {
            for method in ["INVITE", "UPDATE", "BYE", "CANCEL"] {
                let text = format!(
                    "SIP/2.0 {status} Stray\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKstray{status}\r\n\
                     From: <{}>;tag={}\r\nTo: <{}>;tag={}\r\nCall-ID: {}\r\nCSeq: 2 {method}\r\n\
                     Contact: <sip:thief@10.0.0.9:5060>\r\nContent-Length: 0\r\n\r\n",
                    leg.remote,
                    leg.remote_tag.as_deref().unwrap_or_default(),
                    leg.local,
                    leg.local_tag,
                    leg.call_id,
                );
                let to = seat.ua.address();
                seat.peer.send_bytes(to, text);
                strays += 1;
            }
        }
        seat.settle();
        assert_eq!(seat.packets().len(), sent + strays);
        assert_eq!((seat.ua.state(call), seat.ua.told(call).count()), (before, told));
    }
}

/// N10: a response of another branch does not end the request that is open, though all else fits.
#[test]
fn n10_a_response_of_another_branch() {
    covers!("TX-11", "TX-19");
    let mut seat = Seat::new(Seed(10)).latency(ms(20));
    seat.unobserved("the tap goes by CSeq where a branch is none that it saw");
    let call = seat.placed_call();
    seat.ua.call(call).hold();
    let hold = seat.expect("INVITE");
    seat.peer.reply(&hold, 491).branch("z9hG4bKother").send();
    seat.settle_briefly();
    seat.peer.reply(&hold, 200).answer(&[]).send();
    seat.expect("ACK");
    seat.settle();
    assert_eq!((seat.ua.held(call), count(&seat.wire, "INVITE")), ((true, false), 2));
    assert_eq!(seat.ua.changes(call)[0].attempts, 1);
}
