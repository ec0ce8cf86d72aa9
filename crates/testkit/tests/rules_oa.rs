//! Offer/answer rules that no ladder can show: what an endpoint does by itself, and what it leaves alone.

use midcall_proto::event::{CallEvent, Ended};
use midcall_proto::rules::RuleId;
use midcall_testkit::prelude::*;
use midcall_testkit::sketch::Tweak;

fn tweaks(words: &[&str]) -> Vec<Tweak> {
    words.iter().map(|word| Tweak::parse(word).unwrap()).collect()
}

/// A peer that answers each exchange with the next offer is answered every time, and gets no offer back by itself.
#[test]
fn an_answer_is_followed_by_no_offer() {
    covers!("OA-14");
    let mut seat = Seat::new(Seed(14)).latency(ms(20));
    let call = seat.placed_call();
    seat.ua.call(call).hold();
    let hold = seat.expect("INVITE");
    seat.peer.reply(&hold, 200).answer(&[]).send();
    seat.expect("ACK");
    for direction in ["sendrecv", "recvonly", "sendrecv", "recvonly", "sendrecv"] {
        seat.peer.request("INVITE").offer(&tweaks(&[direction])).send();
        let ok = seat.expect(200);
        assert!(ok.sdp().is_some_and(|sdp| sdp.contains("a=sendonly")), "our own hold stands");
        seat.peer.ack(&ok).send();
        seat.settle_briefly();
    }
    seat.run_for(secs(60));
    let own = seat.peer.inbox().iter().filter(|got| got.status().is_none() && got.sdp().is_some());
    assert_eq!(own.count(), 2, "the first INVITE and the hold");
    seat.settle();
}

/// The offer of a 2xx cannot be refused there: the ACK turns every stream down, and BYE says why.
#[test]
fn an_offer_in_a_response_is_declined_and_then_the_call_ends() {
    covers!("OA-13");
    let mut seat = Seat::new(Seed(13)).latency(ms(20));
    let call = seat.placed_call();
    seat.ua.call(call).offerless();
    let invite = seat.expect("INVITE");
    assert_eq!(invite.sdp(), None);
    seat.expect_findings(&["OA-43"]);
    seat.peer.reply(&invite, 200).offer(&tweaks(&["codecs=9"])).send();
    let ack = seat.expect("ACK");
    assert!(ack.sdp().is_some_and(|sdp| sdp.contains("m=audio 0 RTP/AVP 9")), "{:?}", ack.sdp());
    let bye = seat.expect("BYE");
    assert!(bye.header("Reason").is_some_and(|reason| reason.contains("SIP;cause=488")));
    seat.peer.reply(&bye, 200).send();
    seat.settle();
    assert_eq!(seat.ua.ended(call), Some(&Ended::NoSession));
}

/// Asked for an offer while the peer holds, an endpoint says all that it wants, not what it answered last.
#[test]
fn an_offer_on_request_is_no_echo() {
    covers!("OA-37");
    let mut seat = Seat::new(Seed(37)).latency(ms(20));
    seat.placed_call();
    seat.peer.request("INVITE").offer(&tweaks(&["sendonly", "codecs=8"])).send();
    let ok = seat.expect(200);
    assert!(ok.sdp().is_some_and(|sdp| sdp.contains("RTP/AVP 8\r\n") && sdp.contains("a=recvonly")));
    seat.peer.ack(&ok).send();
    seat.settle_briefly();
    seat.peer.request("INVITE").send();
    let ok = seat.expect(200);
    let offer = ok.sdp().unwrap();
    assert!(offer.contains("RTP/AVP 8 0 101\r\n") && !offer.contains("a=recvonly"), "{offer}");
    seat.peer.ack(&ok).answer(&[]).send();
    seat.settle();
}

/// A change under an old version is a change all the same.
#[test]
fn a_change_without_a_new_version_is_followed() {
    covers!("OA-32");
    let mut seat = Seat::new(Seed(32)).latency(ms(20));
    let call = seat.placed_call();
    seat.expect_findings(&["OA-30"]);
    let mut same = tweaks(&["sendonly", "port=42000"]);
    same.push(Tweak::parse_version("same").unwrap());
    seat.peer.request("INVITE").offer(&same).send();
    let ok = seat.expect(200);
    assert!(ok.sdp().is_some_and(|sdp| sdp.contains("a=recvonly")));
    seat.peer.ack(&ok).send();
    seat.settle();
    let stream = seat.ua.agreed(call).unwrap().streams[0].clone();
    assert!(stream.held_by_peer);
    assert_eq!(stream.remote, Some(("10.0.0.2".to_owned(), 42_000)));
    assert_eq!(seat.ua.peers_broke(), [RuleId::SameVersionOtherBody]);
}

/// Media may be heard as soon as a description came, whatever the status; a status alone says nothing about media.
#[test]
fn early_media_is_what_a_description_allows() {
    covers!("OA-58");
    for status in [180, 183] {
        let mut seat = Seat::new(Seed(58)).latency(ms(20));
        let call = seat.ua.invite(&seat.peer.uri());
        let invite = seat.expect("INVITE");
        seat.peer.reply(&invite, status).send();
        seat.settle_briefly();
        assert!(seat.ua.agreed(call).is_none(), "{status} without a description");
        seat.peer.reply(&invite, status).answer(&[]).send();
        seat.settle_briefly();
        let early = seat.ua.told(call).any(|event| matches!(event, CallEvent::Session { early: true, .. }));
        assert!(early && seat.ua.agreed(call).is_some_and(|agreed| agreed.streams[0].receives));
        seat.peer.reply(&invite, 200).same().unwrap().send();
        seat.expect("ACK");
        seat.settle();
    }
}
