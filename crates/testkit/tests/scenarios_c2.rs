//! re-INVITE with transactions inside it, refused, cancelled, ended: scenarios C09 to C14.

use midcall_proto::endpoint::Modification;
use midcall_proto::event::{Ended, Failure};
use midcall_proto::session::{Codec, Stream, Wanted};
use midcall_testkit::prelude::*;
use midcall_testkit::sketch::Tweak;
use midcall_wire::sdp::Direction;

const AUDIO: &str = "audio <-> 10.0.0.2:41960 8 0 101";
const VIDEO_OFF: &str = "audio <-> 10.0.0.2:41960 8 0 101, video off";

fn video() -> Stream {
    Stream::video(40_002, [Codec::new("H264", 90_000)])
}

/// The session with video that is taken, but not yet: nothing is sent to the zero address (RFC 6141 §3.1, figure 3).
fn video_in_waiting(seat: &Seat) -> Wanted {
    let mut session = seat.ua.session.clone();
    session.add_stream(Stream { address: Some([0, 0, 0, 0].into()), ..video() });
    session
}

/// C09 as the one who is asked: the reliable 183 has carried out part of the change when the person says no. The video is
/// taken back by UPDATE and the re-INVITE gets its 2xx; an error would undo what the peer may not be able to undo.
#[test]
fn c09_what_was_carried_out_is_taken_back_by_update() {
    covers!("RI-11", "RI-12", "RI-24");
    for placed in SEATS {
        let (mut seat, call) = up(9, placed);
        seat.peer_reinvites(&["+video", "port=50000"]);
        seat.settle_briefly();
        let session = video_in_waiting(&seat);
        seat.ua.call(call).early(session);
        let progress = seat.expect(183);
        assert!(
            progress.sdp().unwrap().contains("m=video 40002 RTP/AVP 97\r\nc=IN IP4 0.0.0.0\r\n"),
            "{progress:?}"
        );
        seat.peer.prack(&progress).send();
        seat.expect(200);
        seat.ua.call(call).answer_offer(None);
        let update = seat.expect("UPDATE");
        assert_eq!(seat.peer.take(200).map(|ok| ok.cseq()), None, "the 2xx waits for the UPDATE");
        assert!(update.sdp().unwrap().contains("m=video 0 RTP/AVP"), "{update:?}");
        seat.peer.reply(&update, 200).answer(&tweaks(&["port=50000"])).send();
        let ok = seat.peer_acknowledges();
        assert_eq!(ok.sdp(), None);
        assert_eq!(seat.ua.state(call), idle("audio <-> 10.0.0.2:50000 8 0 101, video off", "3/3"));
        assert_eq!(seat.ua.peers_broke(), []);
        if placed {
            assert_ladder!(seat, @r"
                      alice                                 bob
             1   0.000  |------ INVITE 7865 offer ---------->|
             2   0.020  |<----- 200 INVITE 7865 answer ------|
             3   0.040  |------ ACK 7865 ------------------->|
             4   0.060  |<----- INVITE 757 offer ------------|
             5   0.080  |-- 183 INVITE 757 reliable answer ->|
             6   0.100  |<----- PRACK 758 -------------------|
             7   0.120  |------ 200 PRACK 758 -------------->|
             8   0.140  |------ UPDATE 7866 offer ---------->|
             9   0.160  |<----- 200 UPDATE 7866 answer ------|
            10   0.180  |------ 200 INVITE 757 ------------->|
            11   0.200  |<----- ACK 757 ---------------------|
            ");
        }
    }
}

/// C09: the person says yes: the video that waited gets its real address by UPDATE, then the 2xx goes out.
#[test]
fn c09_what_waited_is_completed_by_update() {
    let (mut seat, call) = up(9, false);
    seat.peer_reinvites(&["+video"]);
    seat.settle_briefly();
    let session = video_in_waiting(&seat);
    seat.ua.call(call).early(session);
    let progress = seat.expect(183);
    seat.peer.prack(&progress).send();
    seat.expect(200);
    let mut session = seat.ua.session.clone();
    session.add_stream(video());
    seat.ua.call(call).answer_offer(Some(session));
    let update = seat.expect("UPDATE");
    assert!(!update.sdp().unwrap().contains("0.0.0.0"), "{update:?}");
    seat.peer.reply(&update, 200).answer(&[]).send();
    seat.peer_acknowledges();
    assert_state!(seat.ua, call, @"up | audio <-> 10.0.0.2:41960 8 0 101, video <-> 10.0.0.2:41962 97 | o= 3/3 | to sip:bob@10.0.0.2:5060 | idle");
}

/// C09: the word comes before the PRACK: the UPDATE waits for that, the 2xx for both.
#[test]
fn c09_a_quick_word_waits_for_the_prack() {
    let (mut seat, call) = up(9, true);
    seat.peer_reinvites(&["+video"]);
    seat.settle_briefly();
    let session = video_in_waiting(&seat);
    seat.ua.call(call).early(session);
    seat.ua.call(call).answer_offer(None);
    let progress = seat.expect(183);
    seat.run_for(ms(300));
    assert_eq!(seat.peer.inbox().last().unwrap().raw, progress.raw, "nothing follows the 183");
    seat.peer.prack(&progress).send();
    let update = seat.expect("UPDATE");
    seat.peer.reply(&update, 200).answer(&[]).send();
    seat.expect(Pick::status(200).of("PRACK"));
    seat.peer_acknowledges();
    assert_state!(seat.ua, call, @"up | audio <-> 10.0.0.2:41960 8 0 101, video off | o= 3/3 | to sip:bob@10.0.0.2:5060 | idle");
}

/// C09: a peer without UPDATE gets the 2xx first and a re-INVITE that takes the video back after its ACK. The same comes of
/// a person who never says anything.
#[test]
fn c09_without_update_a_new_offer_follows_the_success() {
    covers!("RI-11");
    for answers in [true, false] {
        let mut seat = Seat::new(Seed(9)).latency(ms(20));
        seat.peer.allow = WITHOUT_UPDATE.to_owned();
        let call = seat.call(false);
        seat.peer_reinvites(&["+video"]);
        seat.settle_briefly();
        let session = video_in_waiting(&seat);
        seat.ua.call(call).early(session);
        let progress = seat.expect(183);
        seat.peer.prack(&progress).send();
        seat.expect(200);
        if answers {
            seat.ua.call(call).answer_offer(None);
        } else {
            seat.run_for(secs(60));
        }
        seat.peer_acknowledges();
        let back = seat.peer_answers(&[]);
        assert!(back.sdp().unwrap().contains("m=video 0 RTP/AVP"), "{back:?}");
        assert_eq!(seat.ua.state(call), idle(VIDEO_OFF, "3/3"));
    }
}

/// C09 as the one who asks: the UPDATE inside our re-INVITE is answered from what we asked for, and what it takes away
/// stays away when the re-INVITE succeeds.
#[test]
fn c09_an_update_inside_our_reinvite_is_followed() {
    covers!("RI-24", "UP-21");
    for placed in SEATS {
        let (mut seat, call) = up(9, placed);
        seat.ua.call(call).modify(Modification::Add(video()), None);
        let invite = seat.expect("INVITE");
        let waiting = Tweak::Replace("a=rtpmap:96".to_owned(), "c=IN IP4 0.0.0.0\r\na=rtpmap:96".to_owned());
        seat.peer.reply(&invite, 183).reliable().answer(&[waiting]).send();
        let prack = seat.expect("PRACK");
        seat.peer.reply(&prack, 200).send();
        seat.settle_briefly();
        assert_eq!(
            seat.ua.media(call),
            "audio <-> 10.0.0.2:41960 8 0 101, video <-- 0.0.0.0:41962 96 held by peer"
        );
        // A change that keeps the video: our video is in the answer although the re-INVITE is not through.
        seat.peer.request("UPDATE").offer(&tweaks(&["+video", "port=50000"])).send();
        let ok = seat.expect(Pick::status(200).of("UPDATE"));
        assert!(ok.sdp().unwrap().contains("m=video 40002 "), "{ok:?}");
        seat.peer.request("UPDATE").offer(&tweaks(&["-video", "port=50000"])).send();
        let ok = seat.expect(Pick::status(200).of("UPDATE"));
        assert!(ok.sdp().unwrap().contains("m=video 0 "), "{ok:?}");
        seat.peer.reply(&invite, 200).send();
        seat.expect("ACK");
        seat.settle();
        assert_eq!(seat.ua.state(call), idle("audio <-> 10.0.0.2:50000 8 0 101, video off", "4/4"));
        seat.ua.call(call).hold();
        let hold = seat.peer_answers(&[]);
        assert!(hold.sdp().unwrap().contains("m=video 0 "), "{hold:?}");
        assert_eq!(seat.ua.peers_broke(), []);
    }
}

/// C09 between two endpoints: what one side half accepted and then declined is the same at both ends.
#[test]
fn c09_two_endpoints_agree_on_what_was_taken_back() {
    covers!("RI-11");
    let mut pair = Pair::new(Seed(9)).latency(ms(20));
    let call = pair.call();
    pair.a.call(call).modify(Modification::Add(video()), None);
    pair.settle();
    let mut session = pair.b.session.clone();
    session.add_stream(Stream { address: Some([0, 0, 0, 0].into()), port: 41_002, ..video() });
    pair.b.call(call).early(session);
    pair.settle();
    assert_eq!(
        pair.a.media(call),
        "audio <-> 10.0.0.2:41000 8 0 101, video <-- 0.0.0.0:41002 96 held by peer"
    );
    pair.b.call(call).answer_offer(None);
    pair.settle();
    assert_state!(pair.a, call, @"up | audio <-> 10.0.0.2:41000 8 0 101, video off | o= 3/3 | to sip:bob@10.0.0.2:5060 | idle");
    assert_state!(pair.b, call, @"up | audio <-> 10.0.0.1:40000 8 0 101, video off | o= 3/3 | to sip:alice@10.0.0.1:5060 | idle");
    assert!(pair.a.peers_broke().is_empty() && pair.b.peers_broke().is_empty());
    assert_ladder!(pair, @r"
              alice                                 bob
     1   0.000  |------ INVITE 7865 offer ---------->|
     2   0.020  |<----- 180 INVITE 7865 -------------|
     3   0.040  |<----- 200 INVITE 7865 answer ------|
     4   0.060  |------ ACK 7865 ------------------->|
     5   0.540  |------ INVITE 7866 offer ---------->|
     6   0.760  |<----- 100 INVITE 7866 -------------|
     7   0.780  |< 183 INVITE 7866 reliable answer --|
     8   0.800  |------ PRACK 7867 ----------------->|
     9   0.820  |<----- 200 PRACK 7867 --------------|
    10   1.280  |<----- UPDATE 1 offer --------------|
    11   1.300  |------ 200 UPDATE 1 answer -------->|
    12   1.320  |<----- 200 INVITE 7866 -------------|
    13   1.340  |------ ACK 7866 ------------------->|
    ");
}

/// C10: a peer of the old school refuses although its 183 has carried the change out: a new exchange with the old session
/// brings both sides back in step, by UPDATE where the peer takes it.
#[test]
fn c10_a_refusal_after_a_carried_out_change_is_followed_by_a_new_exchange() {
    covers!("RI-12", "RI-13");
    for placed in SEATS {
        for update in [true, false] {
            let mut seat = Seat::new(Seed(10)).latency(ms(20));
            if !update {
                seat.peer.allow = WITHOUT_UPDATE.to_owned();
            }
            let call = seat.call(placed);
            seat.ua.call(call).codecs([Codec::pcmu()]);
            let invite = seat.expect("INVITE");
            seat.peer.reply(&invite, 183).reliable().answer(&[]).send();
            let prack = seat.expect("PRACK");
            seat.peer.reply(&prack, 200).send();
            seat.settle_briefly();
            assert_eq!(seat.ua.media(call), "audio <-> 10.0.0.2:41960 0 101");
            seat.peer.reply(&invite, 488).send();
            let again = seat.expect(if update { "UPDATE" } else { "INVITE" });
            assert_eq!(version(&again), version(&invite) + 1);
            assert!(again.sdp().unwrap().contains("m=audio 40000 RTP/AVP 8 0 101"), "{again:?}");
            seat.peer.reply(&again, 200).answer(&[]).send();
            seat.settle();
            assert_eq!(seat.ua.state(call), idle(AUDIO, "3/3"));
            assert_eq!(seat.ua.failures(call), [&Failure::Rejected { status: 488 }]);
            seat.expect_findings(&["RI-11"]);
        }
    }
}

/// C11: RFC 6141 §3.7, figure 5: the peer's UPDATE overtakes its late refusal. Afterwards we say the state before the
/// re-INVITE once more, and both agree.
#[test]
fn c11_an_update_overtakes_the_refusal() {
    covers!("RI-13");
    for placed in SEATS {
        let mut seat = Seat::new(Seed(11)).latency(ms(20));
        seat.ua.session.add_stream(Stream { direction: Direction::Inactive, ..video() });
        if !placed {
            let to = seat.ua.uri();
            seat.peer.invite(&to).offer(&tweaks(&["+video", "video.inactive"])).send();
            seat.settle_briefly();
            let call = seat.ua.last_call();
            seat.ua.call(call).accept();
            seat.peer_acknowledges();
        } else {
            seat.placed_call();
        }
        let call = seat.ua.last_call();
        let video = if placed { "96" } else { "97 held by peer" };
        assert_eq!(seat.ua.media(call), format!("{AUDIO}, video --- 10.0.0.2:41962 {video}"));
        let mut wanted = seat.ua.session.clone();
        wanted.direction(1, Direction::SendRecv);
        seat.ua.call(call).modify(Modification::Replace(Box::new(wanted)), None);
        let invite = seat.expect("INVITE");
        seat.peer.reply(&invite, 183).reliable().answer(&tweaks(&["video.recvonly"])).send();
        let prack = seat.expect("PRACK");
        seat.peer.reply(&prack, 200).send();
        seat.settle_briefly();
        seat.wire.hold_back(Pick::status(488));
        seat.peer.reply(&invite, 488).send();
        seat.settle_briefly();
        seat.peer.request("UPDATE").offer(&tweaks(&["recvonly", "+video", "video.inactive"])).send();
        let ok = seat.expect(Pick::status(200).of("UPDATE"));
        assert_eq!(direction(&ok), "sendonly");
        seat.wire.release();
        let again = seat.expect("UPDATE");
        let sdp = again.sdp().unwrap();
        assert_eq!((sdp.matches("a=sendrecv").count(), sdp.matches("a=inactive").count()), (1, 1), "{sdp}");
        seat.peer.reply(&again, 200).answer(&tweaks(&["audio.recvonly"])).send();
        seat.settle();
        assert_eq!(
            seat.ua.state(call),
            idle("audio --> 10.0.0.2:41960 8 0 101, video --- 10.0.0.2:41962 97", "4/4")
        );
        assert_eq!(seat.ua.failures(call), [&Failure::Rejected { status: 488 }]);
        seat.expect_findings(&["RI-11"]);
        if placed {
            assert_ladder!(seat, @r"
                      alice                                 bob
             1   0.000  |------ INVITE 38236 offer --------->|
             2   0.020  |<---- 200 INVITE 38236 answer ------|
             3   0.040  |------ ACK 38236 ------------------>|
             4   0.060  |------ INVITE 38237 offer --------->|
             5   0.080  |< 183 INVITE 38237 reliable answer--|
             6   0.100  |------ PRACK 38238 ---------------->|
             7   0.120  |<----- 200 PRACK 38238 -------------|
             8   0.140  |<----- 488 INVITE 38237 ------------|
             9   0.140  |<--- UPDATE 403 offer recvonly -----|   overtakes 8
            10   0.160  |-- 200 UPDATE 403 answer sendonly ->|   crosses 8
            11   0.200  |------ ACK 38237 ------------------>|
            12   0.200  |------ UPDATE 38239 offer --------->|
            13   0.220  |< 200 UPDATE 38239 answer recvonly--|
            ");
        }
    }
}

/// C12: a re-INVITE of which nothing was carried out is cancelled: 487, and everything is as before.
#[test]
fn c12_a_cancelled_reinvite_changes_nothing() {
    covers!("RI-10", "RI-15");
    for placed in SEATS {
        let (mut seat, call) = up(12, placed);
        let before = seat.ua.state(call);
        seat.ua.call(call).hold();
        let invite = seat.expect("INVITE");
        assert!(seat.ua.call(call).cancel());
        seat.settle_briefly();
        assert_eq!(seat.peer.take("CANCEL").map(|cancel| cancel.cseq()), None, "not before a provisional");
        seat.peer.reply(&invite, 180).send();
        let cancel = seat.expect("CANCEL");
        assert_eq!((cancel.cseq(), cancel.branch()), (invite.cseq(), invite.branch()));
        seat.peer.reply(&cancel, 200).send();
        seat.peer.reply(&invite, 487).send();
        seat.settle();
        assert_eq!(seat.ua.state(call), before);
        assert_eq!(seat.ua.failures(call), [&Failure::Withdrawn]);
        assert_eq!(count(&seat.wire, "BYE"), 0);
        seat.ua.call(call).hold();
        let hold = seat.peer_answers(&[]);
        assert_eq!(version(&hold), version(&invite), "the same offer, the same version");
    }
}

/// C12 as the one who is asked: the person had said nothing yet.
#[test]
fn c12_the_peer_cancels_before_anything_was_carried_out() {
    covers!("RI-10");
    for placed in SEATS {
        let (mut seat, call) = up(12, placed);
        let before = seat.ua.state(call);
        let invite = seat.peer_reinvites(&["+video"]);
        assert_eq!(seat.expect(100).cseq(), invite.cseq());
        seat.peer.cancel(&invite).send();
        assert_eq!(seat.expect(487).cseq(), invite.cseq());
        assert_eq!(seat.expect(200).method(), "CANCEL");
        seat.settle();
        assert_eq!(seat.ua.state(call), before);
        let word = seat.ua.call(call).attempt(|call, now| call.answer_offer(now, None));
        assert_eq!(word, Ok(false), "the question is gone");
        seat.ua.call(call).hold();
        seat.peer_answers(&[]);
        assert_eq!(count(&seat.wire, "BYE"), 0);
    }
}

/// C13: what the reliable 183 carried out survives the CANCEL: the re-INVITE ends in 2xx.
#[test]
fn c13_a_cancel_comes_too_late() {
    for placed in SEATS {
        let (mut seat, call) = up(13, placed);
        seat.ua.call(call).codecs([Codec::pcmu()]);
        let invite = seat.expect("INVITE");
        seat.peer.reply(&invite, 183).reliable().answer(&[]).send();
        let prack = seat.expect("PRACK");
        seat.peer.reply(&prack, 200).send();
        seat.settle_briefly();
        seat.ua.call(call).cancel();
        let cancel = seat.expect("CANCEL");
        seat.peer.reply(&cancel, 200).send();
        seat.peer.reply(&invite, 200).send();
        seat.expect("ACK");
        seat.settle();
        assert_eq!(seat.ua.state(call), idle("audio <-> 10.0.0.2:41960 0 101", "2/2"));
        assert_eq!((seat.ua.changes(call).len(), seat.ua.failures(call).len()), (1, 0));
    }
}

/// C13 as the one who is asked.
#[test]
fn c13_the_peer_cancels_after_something_was_carried_out() {
    for placed in SEATS {
        let (mut seat, call) = up(13, placed);
        let invite = seat.peer_reinvites(&["+video", "port=50000"]);
        seat.settle_briefly();
        let session = video_in_waiting(&seat);
        seat.ua.call(call).early(session);
        let progress = seat.expect(183);
        seat.peer.prack(&progress).send();
        seat.expect(200);
        seat.peer.cancel(&invite).send();
        assert_eq!(seat.expect(Pick::status(200).of("CANCEL")).cseq(), invite.cseq());
        let ok = seat.peer_acknowledges();
        assert_eq!((ok.cseq(), ok.sdp()), (invite.cseq(), None));
        assert_eq!(
            seat.ua.state(call),
            idle("audio <-> 10.0.0.2:50000 8 0 101, video <-> 10.0.0.2:41962 97", "2/2")
        );
        assert_eq!(seat.ua.peers_broke(), []);
    }
}

/// C14: BYE while our re-INVITE is open: the 487 is acknowledged, one BYE, nothing more.
#[test]
fn c14_we_hang_up_during_our_reinvite() {
    for placed in SEATS {
        let (mut seat, call) = up(14, placed);
        seat.ua.call(call).hold();
        let invite = seat.expect("INVITE");
        seat.peer.reply(&invite, 100).send();
        seat.settle_briefly();
        seat.ua.call(call).hang_up();
        let bye = seat.expect("BYE");
        assert_eq!(bye.cseq(), invite.cseq() + 1);
        seat.peer.reply(&bye, 200).send();
        seat.peer.reply(&invite, 487).send();
        assert_eq!(seat.expect("ACK").cseq(), invite.cseq());
        seat.settle();
        assert_eq!(seat.ua.ended(call), Some(&Ended::HungUp));
        assert_eq!(seat.ua.failures(call), [&Failure::CallEnded]);
        assert_eq!(count(&seat.wire, "BYE"), 1);
    }
}

/// C14 as the one who is asked: 200 to the BYE, and the re-INVITE gets its final as well.
#[test]
fn c14_the_peer_hangs_up_during_its_reinvite() {
    covers!("RI-16");
    for placed in SEATS {
        let (mut seat, call) = up(14, placed);
        let invite = seat.peer_reinvites(&["+video"]);
        seat.settle_briefly();
        seat.peer.request("BYE").send();
        assert_eq!(seat.expect(200).method(), "BYE");
        assert_eq!(seat.expect(487).cseq(), invite.cseq());
        seat.settle();
        assert_eq!(seat.ua.ended(call), Some(&Ended::PeerHungUp { reason: None }));
    }
}
