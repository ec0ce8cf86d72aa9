//! Offer/answer while setting up: scenarios B01 to B11.

use midcall_proto::endpoint::{Invite, Modification, Reliable};
use midcall_proto::event::{CallId, Ended, Side};
use midcall_proto::rules::RuleId;
use midcall_proto::session::{Codec, Stream, Wanted};
use midcall_testkit::prelude::*;
use midcall_testkit::sketch::Tweak;

fn tweak(word: &str) -> Tweak {
    Tweak::parse(word).unwrap()
}

/// A call from the peer that waits for our word; without tweaks it carries a plain offer.
#[track_caller]
fn called(seat: &mut Seat, offer: Option<&[Tweak]>) -> CallId {
    let to = seat.ua.uri();
    let invite = seat.peer.invite(&to);
    if let Some(tweaks) = offer {
        invite.offer(tweaks).send()
    } else {
        invite.send()
    };
    seat.settle_briefly();
    seat.ua.last_call()
}

/// A call to the peer that asks for its offer.
#[track_caller]
fn late(seat: &mut Seat) -> CallId {
    let invite = Invite { late: true, ..Invite::new(&seat.peer.uri(), seat.ua.session.clone()) };
    seat.ua.invite_with(invite)
}

/// B01: the offer in the INVITE, the answer in the 2xx; nothing follows by itself.
#[test]
fn b01_offer_in_the_invite() {
    let mut pair = Pair::new(Seed(1)).latency(ms(20));
    let call = pair.call();
    assert_state!(pair.a, call, @"up | audio <-> 10.0.0.2:41000 8 0 101 | o= 1/1 | to sip:bob@10.0.0.2:5060 | idle");
    assert_state!(pair.b, call, @"up | audio <-> 10.0.0.1:40000 8 0 101 | o= 1/1 | to sip:alice@10.0.0.1:5060 | idle");
    pair.run_for(secs(300));
    assert_eq!(pair.packets().len(), 4);
    assert!(pair.a.peers_broke().is_empty() && pair.b.peers_broke().is_empty());
}

/// B02: no offer in the INVITE: the 2xx has it, the ACK answers.
#[test]
fn b02_the_caller_answers_in_the_ack() {
    covers!("OA-48");
    let mut seat = Seat::new(Seed(2)).latency(ms(20));
    let call = late(&mut seat);
    let invite = seat.expect("INVITE");
    assert_eq!(invite.sdp(), None);
    seat.peer.reply(&invite, 200).offer(&[]).send();
    let ack = seat.expect("ACK");
    assert!(ack.sdp().is_some_and(|sdp| sdp.contains("m=audio 40000 RTP/AVP 8 0 101")));
    seat.settle();
    assert_state!(seat.ua, call, @"up | audio <-> 10.0.0.2:41960 8 0 101 | o= 1/1 | to sip:bob@10.0.0.2:5060 | idle");
    assert_eq!(seat.ua.peers_broke(), []);
}

/// B02 as callee.
#[test]
fn b02_the_callee_offers_in_the_success() {
    covers!("OA-48");
    let mut seat = Seat::new(Seed(2)).latency(ms(20));
    let call = called(&mut seat, None);
    seat.ua.call(call).accept();
    let ok = seat.expect(200);
    assert!(ok.sdp().is_some_and(|sdp| sdp.contains("m=audio 40000 RTP/AVP 8 0 101")));
    seat.peer.ack(&ok).answer(&[]).send();
    seat.settle();
    assert_state!(seat.ua, call, @"up | audio <-> 10.0.0.2:41960 8 0 101 | o= 1/1 | to sip:bob@10.0.0.2:5060 | idle");
    assert_ladder!(seat, @r"
             alice                                 bob
    1   0.000  |<----- INVITE 183 ------------------|
    2   0.020  |------ 200 INVITE 183 offer ------->|
    3   0.040  |<----- ACK 183 answer --------------|
    ");
}

/// B03: the answer rides in a reliable 183; the 2xx repeats it and that changes nothing.
#[test]
fn b03_the_caller_ignores_the_repeated_answer() {
    let mut seat = Seat::new(Seed(3)).latency(ms(20));
    seat.expect_findings(&["OA-05"]);
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 183).reliable().answer(&[]).send();
    let prack = seat.expect("PRACK");
    assert_eq!(prack.sdp(), None);
    seat.peer.reply(&prack, 200).send();
    seat.settle_briefly();
    assert_state!(seat.ua, call, @"early | audio <-> 10.0.0.2:41960 8 0 101 | o= 1/1 | to sip:bob@10.0.0.2:5060 | INVITE open");
    seat.peer.reply(&invite, 200).same().unwrap().send();
    let ack = seat.expect("ACK");
    assert_eq!((ack.sdp(), ack.cseq()), (None, invite.cseq()));
    seat.settle();
    assert_state!(seat.ua, call, @"up | audio <-> 10.0.0.2:41960 8 0 101 | o= 1/1 | to sip:bob@10.0.0.2:5060 | idle");
    assert_eq!(seat.ua.peers_broke(), [RuleId::AnswerRepeated]);
}

/// B03 as callee: what the reliable 183 answered, the 2xx does not say again.
#[test]
fn b03_the_callee_answers_once() {
    let mut seat = Seat::new(Seed(3)).latency(ms(20));
    let call = called(&mut seat, Some(&[]));
    let session = seat.ua.session.clone();
    seat.ua.call(call).early(session);
    let progress = seat.expect(183);
    assert!(progress.has_token("Require", "100rel") && progress.sdp().is_some());
    seat.peer.prack(&progress).send();
    seat.expect(200);
    seat.ua.call(call).accept();
    let ok = seat.expect(200);
    assert_eq!(ok.sdp(), None);
    seat.peer.ack(&ok).send();
    seat.settle();
    assert_state!(seat.ua, call, @"up | audio <-> 10.0.0.2:41960 8 0 101 | o= 1/1 | to sip:bob@10.0.0.2:5060 | idle");
    assert_ladder!(seat, @r"
             alice                                 bob
    1   0.000  |<----- INVITE 379 offer ------------|
    2   0.020  |-- 183 INVITE 379 reliable answer ->|
    3   0.040  |<----- PRACK 380 -------------------|
    4   0.060  |------ 200 PRACK 380 -------------->|
    5   0.080  |------ 200 INVITE 379 ------------->|
    6   0.100  |<----- ACK 379 ---------------------|
    ");
}

/// B04: no offer in the INVITE and 100rel required: the reliable 183 offers, the PRACK answers.
#[test]
fn b04_the_caller_answers_in_the_prack() {
    covers!("OA-48", "PR-14");
    let mut seat = Seat::with(Seed(4), |config| config.reliable = Reliable::Required).latency(ms(20));
    let call = late(&mut seat);
    let invite = seat.expect("INVITE");
    assert!(invite.has_token("Require", "100rel"));
    seat.peer.reply(&invite, 183).reliable().offer(&[]).send();
    let prack = seat.expect("PRACK");
    assert!(prack.sdp().is_some());
    seat.peer.reply(&prack, 200).send();
    seat.settle_briefly();
    seat.peer.reply(&invite, 200).send();
    assert_eq!(seat.expect("ACK").sdp(), None);
    seat.settle();
    assert_state!(seat.ua, call, @"up | audio <-> 10.0.0.2:41960 8 0 101 | o= 1/1 | to sip:bob@10.0.0.2:5060 | idle");
    assert_eq!(seat.ua.peers_broke(), []);
    assert_ladder!(seat, @r"
             alice                                 bob
    1   0.000  |------ INVITE 35769 --------------->|
    2   0.020  |< 183 INVITE 35769 reliable offer --|
    3   0.040  |------ PRACK 35770 answer --------->|
    4   0.060  |<----- 200 PRACK 35770 -------------|
    5   0.080  |<----- 200 INVITE 35769 ------------|
    6   0.100  |------ ACK 35769 ------------------>|
    ");
}

/// B04 as callee: also a mere ringing carries the offer then.
#[test]
fn b04_the_callee_offers_in_the_first_reliable_response() {
    covers!("OA-48");
    let mut seat = Seat::new(Seed(4)).latency(ms(20));
    let to = seat.ua.uri();
    seat.peer.invite(&to).header("Require", "100rel").send();
    seat.settle_briefly();
    let call = seat.ua.last_call();
    let session = seat.ua.session.clone();
    seat.ua.call(call).early(session);
    let progress = seat.expect(183);
    assert!(progress.sdp().is_some());
    seat.peer.prack(&progress).answer(&[]).send();
    let ok = seat.expect(Pick::status(200).of("PRACK"));
    assert_eq!(ok.sdp(), None);
    assert_state!(seat.ua, call, @"early | audio <-> 10.0.0.2:41960 8 0 101 | o= 1/1 | to sip:bob@10.0.0.2:5060 | INVITE open");
    seat.ua.call(call).accept();
    let ok = seat.expect(Pick::status(200).of("INVITE"));
    assert_eq!(ok.sdp(), None);
    seat.peer.ack(&ok).send();
    seat.settle();
    assert_state!(seat.ua, call, @"up | audio <-> 10.0.0.2:41960 8 0 101 | o= 1/1 | to sip:bob@10.0.0.2:5060 | idle");
}

/// B04: without a session there is nothing to offer, so it cannot ring either: the application is told.
#[test]
fn b04_ringing_needs_a_session_if_it_must_be_reliable() {
    let mut seat = Seat::new(Seed(4)).latency(ms(20));
    let to = seat.ua.uri();
    seat.peer.invite(&to).header("Require", "100rel").send();
    seat.settle_briefly();
    let call = seat.ua.last_call();
    let refused = seat.ua.call(call).attempt(|call, now| call.ring(now)).unwrap_err();
    assert_eq!(refused.rule, RuleId::FirstReliableLacksOffer);
    let session = seat.ua.session.clone();
    seat.ua.call(call).attempt(|call, now| call.prepare(now, session)).unwrap();
    seat.ua.call(call).ring();
    let ringing = seat.expect(180);
    assert!(ringing.header("RSeq").is_some() && ringing.sdp().is_some());
    seat.peer.prack(&ringing).answer(&[]).send();
    seat.expect(200);
    seat.peer.request("BYE").send();
    seat.settle();
    assert_eq!(seat.ua.peers_broke(), []);
}

/// B05 as callee: a second offer in the PRACK is answered in its 2xx.
#[test]
fn b05_the_callee_answers_an_offer_in_the_prack() {
    covers!("OA-48");
    let mut seat = Seat::new(Seed(5)).latency(ms(20));
    let call = called(&mut seat, Some(&[]));
    let session = seat.ua.session.clone();
    seat.ua.call(call).early(session);
    let progress = seat.expect(183);
    seat.peer.prack(&progress).offer(&[tweak("codecs=0")]).send();
    let ok = seat.expect(Pick::status(200).of("PRACK"));
    assert!(ok.sdp().is_some_and(|sdp| sdp.contains("m=audio 40000 RTP/AVP 0\r\n")));
    seat.ua.call(call).accept();
    let ok = seat.expect(Pick::status(200).of("INVITE"));
    assert_eq!(ok.sdp(), None);
    seat.peer.ack(&ok).send();
    seat.settle();
    assert_state!(seat.ua, call, @"up | audio <-> 10.0.0.2:41960 0 | o= 2/2 | to sip:bob@10.0.0.2:5060 | idle");
    assert_eq!(seat.ua.peers_broke(), []);
    assert_ladder!(seat, @r"
             alice                                 bob
    1   0.000  |<----- INVITE 970 offer ------------|
    2   0.020  |-- 183 INVITE 970 reliable answer ->|
    3   0.040  |<----- PRACK 971 offer -------------|
    4   0.060  |------ 200 PRACK 971 answer ------->|
    5   0.080  |------ 200 INVITE 970 ------------->|
    6   0.100  |<----- ACK 970 ---------------------|
    ");
}

/// B05 as caller: a change wished while the reliable answer is on its way goes as UPDATE after the PRACK, which has no
/// clean refusal.
#[test]
fn b05_the_caller_changes_by_update_after_the_prack() {
    covers!("PR-17");
    let mut seat = Seat::new(Seed(5)).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 180).send();
    seat.settle_briefly();
    seat.ua.call(call).codecs([Codec::pcmu()]);
    seat.peer.reply(&invite, 183).reliable().answer(&[]).send();
    let prack = seat.expect("PRACK");
    assert_eq!(prack.sdp(), None);
    seat.peer.reply(&prack, 200).send();
    let update = seat.expect("UPDATE");
    seat.peer.reply(&update, 200).answer(&[]).send();
    seat.settle_briefly();
    seat.peer.reply(&invite, 200).send();
    seat.expect("ACK");
    seat.settle();
    assert_state!(seat.ua, call, @"up | audio <-> 10.0.0.2:41960 0 101 | o= 2/2 | to sip:bob@10.0.0.2:5060 | idle");
    assert_eq!(seat.ua.peers_broke(), []);
}

/// B06: the 2xx says something else than the unreliable 183 did: the first description is the answer.
#[test]
fn b06_the_first_description_is_the_answer() {
    covers!("CF-27");
    let mut seat = Seat::new(Seed(6)).latency(ms(20));
    seat.expect_findings(&["OA-04"]);
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 183).answer(&[]).send();
    seat.settle_briefly();
    assert_eq!(seat.ua.media(call), "audio <-> 10.0.0.2:41960 8 0 101");
    assert_state!(seat.ua, call, @"early | no stream | o= -/- | to sip:bob@10.0.0.2:5060 | INVITE open, our offer open");
    seat.peer.reply(&invite, 200).answer(&[tweak("port=50000"), tweak("codecs=0")]).send();
    seat.expect("ACK");
    seat.settle();
    assert_state!(seat.ua, call, @"up | audio <-> 10.0.0.2:41960 8 0 101 | o= 1/1 | to sip:bob@10.0.0.2:5060 | idle");
    assert_eq!(seat.ua.peers_broke(), [RuleId::AnswersDiffer]);
}

/// B06 with the policy that follows the last description, for peers behind early-media boxes.
#[test]
fn b06_the_last_description_may_be_followed() {
    covers!("CF-27");
    let mut seat = Seat::with(Seed(6), |config| config.follow_last_answer = true).latency(ms(20));
    seat.unobserved("the endpoint follows the last description, the observer the first");
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 183).answer(&[]).send();
    seat.settle_briefly();
    seat.peer.reply(&invite, 200).answer(&[tweak("port=50000"), tweak("codecs=0")]).send();
    seat.expect("ACK");
    seat.settle();
    assert_state!(seat.ua, call, @"up | audio <-> 10.0.0.2:50000 0 | o= 1/2 | to sip:bob@10.0.0.2:5060 | idle");
    assert_eq!(seat.ua.peers_broke(), [RuleId::AnswersDiffer]);
}

/// B06 the other way: only the unreliable 183 had a description, the 2xx has none. The call is not lost for that.
#[test]
fn b06_a_success_without_the_answer_keeps_the_preview() {
    let mut seat = Seat::new(Seed(6)).latency(ms(20));
    seat.expect_findings(&["OA-03"]);
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 183).answer(&[]).send();
    seat.settle_briefly();
    seat.peer.reply(&invite, 200).send();
    seat.expect("ACK");
    seat.settle();
    assert_state!(seat.ua, call, @"up | audio <-> 10.0.0.2:41960 8 0 101 | o= 1/1 | to sip:bob@10.0.0.2:5060 | idle");
    assert_eq!(seat.ua.peers_broke(), [RuleId::OfferBeforeReliableAnswer]);
}

/// B07: the offer in the 2xx has no codec of ours: answered with port 0, then ended, with the reason.
#[test]
fn b07_the_caller_answers_an_unusable_offer_before_it_hangs_up() {
    covers!("RI-19");
    let mut seat = Seat::new(Seed(7)).latency(ms(20));
    let call = late(&mut seat);
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 200).offer(&[tweak("codecs=97:AMR/8000")]).send();
    let ack = seat.expect("ACK");
    assert!(ack.sdp().is_some_and(|sdp| sdp.contains("m=audio 0 RTP/AVP 97\r\n")));
    let bye = seat.expect("BYE");
    assert!(bye.header("Reason").is_some_and(|reason| reason.starts_with("SIP;cause=488")));
    seat.peer.reply(&bye, 200).send();
    seat.settle();
    assert_eq!(seat.ua.ended(call), Some(&Ended::NoSession));
    assert_eq!(seat.packets().len(), 5);
}

/// B07 as callee: the peer declines our offer in its ACK and hangs up.
#[test]
fn b07_the_callee_hears_that_nothing_was_taken() {
    let mut seat = Seat::new(Seed(7)).latency(ms(20));
    let call = called(&mut seat, None);
    seat.ua.call(call).accept();
    let ok = seat.expect(200);
    seat.peer.ack(&ok).answer(&[tweak("port=0")]).send();
    seat.settle_briefly();
    assert_eq!(seat.ua.media(call), "audio off");
    seat.peer.request("BYE").header("Reason", "SIP;cause=488").send();
    seat.expect(200);
    seat.settle();
    let reason = Some("SIP;cause=488".to_owned());
    assert_eq!(seat.ua.ended(call), Some(&Ended::PeerHungUp { reason }));
    assert_eq!(seat.ua.peers_broke(), []);
}

/// B08: no codec in common: 488 with a Warning that says so, and no dialog.
#[test]
fn b08_the_callee_refuses_a_foreign_offer() {
    covers!("OA-12");
    for (word, warning) in [("codecs=97:AMR/8000", "305 "), ("s#RTP/AVP#RTP/SAVP#", "302 ")] {
        let mut seat = Seat::new(Seed(8)).latency(ms(20));
        let offer = match word.strip_prefix("s#") {
            Some(_) => Tweak::Replace("RTP/AVP".to_owned(), "RTP/SAVP".to_owned()),
            None => tweak(word),
        };
        let call = called(&mut seat, Some(&[offer]));
        seat.ua.call(call).accept();
        let refused = seat.expect(488);
        assert!(refused.header("Warning").is_some_and(|text| text.starts_with(warning)), "{refused:?}");
        seat.settle();
        assert_eq!(seat.ua.ended(call), Some(&Ended::Refused { status: 488, by: Side::Us }));
        seat.run_for(secs(40));
        assert_eq!(seat.ua.state(call), "gone");
        assert_eq!(seat.packets().len(), 3);
    }
}

/// B08 as caller.
#[test]
fn b08_the_caller_is_refused() {
    let mut seat = Seat::new(Seed(8)).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 488).header("Warning", "305 bob \"no codec\"").send();
    seat.expect("ACK");
    seat.settle();
    assert_eq!(seat.ua.ended(call), Some(&Ended::Refused { status: 488, by: Side::Them }));
    assert_eq!(seat.packets().len(), 3);
}

/// B09: an offer without any stream is answered without any; a re-INVITE brings the first.
#[test]
fn b09_the_callee_takes_an_offer_without_streams() {
    covers!("OA-22", "BB-08");
    let mut seat = Seat::new(Seed(9)).latency(ms(20));
    let call = called(&mut seat, Some(&[Tweak::NoStreams]));
    seat.ua.call(call).accept();
    let ok = seat.expect(200);
    assert!(ok.sdp().is_some_and(|sdp| !sdp.contains("m=")));
    seat.peer.ack(&ok).send();
    seat.settle();
    assert_state!(seat.ua, call, @"up | no stream | o= 1/1 | to sip:bob@10.0.0.2:5060 | idle");
    seat.peer.request("INVITE").offer(&[]).send();
    let ok = seat.expect(200);
    seat.peer.ack(&ok).send();
    seat.settle();
    assert_state!(seat.ua, call, @"up | audio <-> 10.0.0.2:41960 8 0 101 | o= 2/2 | to sip:bob@10.0.0.2:5060 | idle");
    assert_eq!(seat.ua.peers_broke(), []);
}

/// B09 as caller: a call without streams comes up and is filled later.
#[test]
fn b09_the_caller_adds_the_first_stream_later() {
    covers!("OA-22");
    let mut seat = Seat::new(Seed(9)).latency(ms(20));
    let audio = seat.ua.session.streams[0].clone();
    let empty = Wanted { streams: Vec::new(), ..seat.ua.session.clone() };
    let to = seat.peer.uri();
    let call = seat.ua.invite_with(Invite::new(&to, empty));
    let invite = seat.expect("INVITE");
    assert!(invite.sdp().is_some_and(|sdp| !sdp.contains("m=")));
    seat.peer.reply(&invite, 200).answer(&[]).send();
    seat.expect("ACK");
    seat.settle();
    assert_state!(seat.ua, call, @"up | no stream | o= 1/1 | to sip:bob@10.0.0.2:5060 | idle");
    seat.ua.call(call).modify(Modification::Add(Stream { port: 40_002, ..audio }), None);
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 200).answer(&[]).send();
    seat.expect("ACK");
    seat.settle();
    assert_state!(seat.ua, call, @"up | audio <-> 10.0.0.2:41960 8 0 101 | o= 2/2 | to sip:bob@10.0.0.2:5060 | idle");
}

/// B10: the answer to our offer never comes: there is no session, so the call ends.
#[test]
fn b10_an_ack_without_its_answer_ends_the_call() {
    let mut seat = Seat::new(Seed(10)).latency(ms(20));
    seat.expect_findings(&["OA-07"]);
    let call = called(&mut seat, None);
    seat.ua.call(call).accept();
    let ok = seat.expect(200);
    seat.peer.ack(&ok).send();
    let bye = seat.expect("BYE");
    assert!(bye.header("Reason").is_some());
    seat.peer.reply(&bye, 200).send();
    seat.settle();
    assert_eq!(seat.ua.ended(call), Some(&Ended::NoSession));
    assert_eq!(seat.ua.peers_broke(), [RuleId::AnswerMissingInPrackOrAck]);
    assert_eq!(seat.ua.media(call), "no session");
}

/// B11: the description is one part of several; whether the others must be understood, they say themselves.
#[test]
fn b11_the_offer_is_one_part_of_several() {
    covers!("OA-16", "OA-49");
    let plain = "multipart/mixed;boundary=b";
    let alternative = "multipart/alternative;boundary=b";
    let isup = "Content-Type: application/isup;version=itu-t92+\r\n";
    let optional = "Content-Disposition: signal;handling=optional\r\n";
    for (kind, other, status) in [
        (plain, format!("{isup}{optional}\r\n\u{1}"), 200),
        (plain, format!("{isup}\r\n\u{1}"), 415),
        (alternative, "Content-Type: text/plain\r\n\r\nhello".to_owned(), 200),
    ] {
        let mut seat = Seat::new(Seed(11)).latency(ms(20));
        let to = seat.ua.uri();
        let draft = seat.peer.invite(&to).offer(&[]);
        let sdp = draft.raw().sdp().unwrap().to_owned();
        let body =
            format!("--b\r\n{other}\r\n--b\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--b--\r\n");
        draft.body(kind, body).send();
        seat.settle_briefly();
        if status == 415 {
            let refused = seat.expect(415);
            assert_eq!(
                refused.list("Accept"),
                ["application/sdp", "multipart/mixed", "multipart/alternative"]
            );
            seat.settle();
            assert!(incoming(&seat.ua).is_empty());
            continue;
        }
        let call = seat.ua.last_call();
        seat.ua.call(call).accept();
        let ok = seat.expect(status);
        seat.peer.ack(&ok).send();
        seat.settle();
        let expected =
            "up | audio <-> 10.0.0.2:41960 8 0 101 | o= 1/1 | to sip:bob@10.0.0.2:5060 | idle".to_owned();
        assert_eq!(seat.ua.state(call), expected);
    }
}

/// B11 as caller: the answer is one part of several.
#[test]
fn b11_the_answer_is_one_part_of_several() {
    covers!("OA-16");
    let mut seat = Seat::new(Seed(11)).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    let ok = seat.peer.reply(&invite, 200).answer(&[]);
    let sdp = ok.raw().sdp().unwrap().to_owned();
    let inner = format!("--i\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--i--\r\n");
    let body = format!(
        "--b\r\nContent-Disposition: signal;handling=optional\r\n\r\nx\r\n\
         --b\r\nContent-Type: multipart/mixed;boundary=i\r\n\r\n{inner}\r\n--b--\r\n"
    );
    ok.body("multipart/mixed;boundary=b", body).send();
    seat.expect("ACK");
    seat.settle();
    assert_state!(seat.ua, call, @"up | audio <-> 10.0.0.2:41960 8 0 101 | o= 1/1 | to sip:bob@10.0.0.2:5060 | idle");
}

/// Expires in an INVITE limits how long it may ring: the caller cancels.
#[test]
fn an_invite_that_expires_is_cancelled() {
    covers!("TX-33");
    let mut seat = Seat::new(Seed(12)).latency(ms(20));
    let mut invite = Invite::new(&seat.peer.uri(), seat.ua.session.clone());
    invite.headers.push(("Expires".to_owned(), "20".to_owned()));
    let call = seat.ua.invite_with(invite);
    let invite = seat.expect("INVITE");
    assert_eq!(invite.header("Expires"), Some("20"));
    seat.peer.reply(&invite, 180).send();
    let cancel = seat.expect("CANCEL");
    assert!(cancel.at >= invite.at + secs(19) && cancel.at < invite.at + secs(21));
    seat.peer.reply(&cancel, 200).send();
    seat.peer.reply(&invite, 487).send();
    seat.settle();
    assert_eq!(seat.ua.ended(call), Some(&Ended::Cancelled { by: Side::Us }));
}

/// Expires in an INVITE limits how long it may ring: the callee answers 487; answered in time, the call goes on for ever.
#[test]
fn an_invite_that_expires_gets_487() {
    covers!("TX-33");
    for answered in [true, false] {
        let mut seat = Seat::new(Seed(12)).latency(ms(20));
        let to = seat.ua.uri();
        let invite = seat.peer.invite(&to).offer(&[]).header("Expires", 20).send();
        seat.settle_briefly();
        let call = seat.ua.last_call();
        seat.ua.call(call).ring();
        if answered {
            seat.ua.call(call).accept();
            let ok = seat.expect(200);
            seat.peer.ack(&ok).send();
            seat.run_for(secs(60));
            assert!(seat.ua.is_up(call));
        } else {
            let ended = seat.expect(487);
            assert_eq!((ended.cseq(), ended.at.as_micros() / 1_000_000), (invite.cseq(), 20));
            seat.settle();
            assert_eq!(seat.ua.ended(call), Some(&Ended::Cancelled { by: Side::Them }));
        }
    }
}
