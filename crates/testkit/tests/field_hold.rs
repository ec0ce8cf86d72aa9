//! Holds that broke in the field, group H of the catalogue: each test is named for the symptom that somebody reported.

use midcall_proto::endpoint::{Modification, Prefer};
use midcall_proto::event::{CallEvent, CallId, Failure, Side};
use midcall_proto::rules::RuleId;
use midcall_proto::session::{Codec, Hold, Stream};
use midcall_testkit::prelude::*;

const AUDIO: &str = "audio <-> 10.0.0.2:41960 8 0 101";

/// What was told about holds, in order: who, and whether it was put on or taken off.
fn holds(seat: &Seat, call: CallId) -> Vec<(Side, bool)> {
    let hold = |event: &CallEvent| match event {
        CallEvent::Held { by } => Some((*by, true)),
        CallEvent::Resumed { by } => Some((*by, false)),
        _ => None,
    };
    seat.ua.told(call).filter_map(hold).collect()
}

/// The peer's hold is answered recvonly, its resume sendrecv, each derived from the offer and not from what was said last.
#[test]
fn no_audio_after_resume_because_hold_was_answered_sendrecv() {
    covers!("OA-35");
    for placed in SEATS {
        let (mut seat, call) = up(1, placed);
        for (offer, answer, state) in [
            ("sendonly", "recvonly", "audio <-- 10.0.0.2:41960 8 0 101 held by peer"),
            ("sendrecv", "sendrecv", AUDIO),
            ("inactive", "inactive", "audio --- 10.0.0.2:41960 8 0 101 held by peer"),
            ("recvonly", "sendonly", "audio --> 10.0.0.2:41960 8 0 101"),
            ("sendrecv", "sendrecv", AUDIO),
        ] {
            seat.peer_reinvites(&[offer]);
            let ok = seat.peer_acknowledges();
            assert_eq!(direction(&ok), answer, "{offer}");
            assert_eq!(seat.ua.media(call), state, "{offer}");
        }
        let told = [(Side::Them, true), (Side::Them, false), (Side::Them, true), (Side::Them, false)];
        assert_eq!(holds(&seat, call), told);
        assert_eq!(seat.ua.peers_broke(), []);
    }
}

/// Our own hold is answered sendrecv by a peer that does not listen: it counts as on, nothing is taken from the peer, and
/// the resume brings audio back.
#[test]
fn no_audio_after_resume_because_our_hold_was_answered_sendrecv() {
    for placed in SEATS {
        let (mut seat, call) = up(1, placed);
        seat.ua.call(call).hold();
        seat.peer_answers(&["sendrecv"]);
        assert_eq!(
            seat.ua.state(call),
            idle("audio --> 10.0.0.2:41960 8 0 101 held", if placed { "2/1" } else { "2/2" })
        );
        assert_eq!(seat.ua.peers_broke(), [RuleId::AnswerDirection]);
        seat.ua.call(call).resume();
        let resume = seat.peer_answers(&["sendrecv"]);
        assert_eq!(direction(&resume), "sendrecv");
        assert_eq!(seat.ua.media(call), AUDIO);
        assert_eq!(holds(&seat, call), [(Side::Us, true), (Side::Us, false)]);
        seat.expect_findings(&["OA-23"]);
    }
}

/// The direction is the last line of the body, and no line end follows it.
#[test]
fn hold_is_lost_when_its_line_is_the_last_without_a_newline() {
    for placed in SEATS {
        let (mut seat, call) = up(2, placed);
        let hold = seat.peer.request("INVITE").offer(&tweaks(&["sendonly"]));
        let sdp = hold.raw().sdp().unwrap().trim_end().to_owned();
        assert!(sdp.ends_with("a=sendonly"));
        hold.body("application/sdp", sdp).send();
        let ok = seat.peer_acknowledges();
        assert_eq!(direction(&ok), "recvonly");
        assert_eq!(seat.ua.held(call), (false, true));
    }
}

/// A controller holds both its legs and then asks one for an offer: that says what the party wants, which is to talk.
#[test]
fn held_forever_after_an_offerless_reinvite() {
    covers!("OA-37");
    for placed in SEATS {
        for hold in ["sendonly", "inactive", "c=0.0.0.0"] {
            let (mut seat, call) = up(3, placed);
            seat.peer_reinvites(&[hold]);
            seat.peer_acknowledges();
            assert_eq!(seat.ua.held(call), (false, true), "{hold}");
            seat.peer.request("INVITE").send();
            let ok = seat.expect(200);
            assert_eq!(direction(&ok), "sendrecv", "{hold}");
            assert!(ok.sdp().unwrap().contains("m=audio 40000 RTP/AVP 8 0 101"), "{hold}");
            seat.peer.ack(&ok).answer(&[]).send();
            seat.settle();
            assert_eq!(seat.ua.media(call), AUDIO, "{hold}");
        }
    }
}

/// Inactive is answered inactive, not by a one-way direction and not by 488; who holds then is the peer alone, and an offer
/// of ours says sendrecv again.
#[test]
fn inactive_is_turned_into_recvonly_or_refused() {
    covers!("OA-36");
    for placed in SEATS {
        let (mut seat, call) = up(4, placed);
        seat.peer_reinvites(&["inactive"]);
        let ok = seat.peer_acknowledges();
        assert_eq!(direction(&ok), "inactive");
        assert_eq!(seat.ua.held(call), (false, true));
        seat.ua.call(call).reinvite();
        let offer = seat.peer_answers(&["inactive"]);
        assert_eq!(direction(&offer), "sendrecv");
        assert_eq!(seat.ua.peers_broke(), [RuleId::AnswerDirection; 0]);
    }
}

/// Held by both: our resume leaves the peer's hold alone, and an offer while it lasts does not turn our own side inactive.
#[test]
fn stuck_on_hold_after_both_had_held() {
    covers!("OA-36");
    for placed in SEATS {
        let (mut seat, call) = up(4, placed);
        seat.peer_reinvites(&["sendonly"]);
        seat.peer_acknowledges();
        seat.ua.call(call).hold();
        let hold = seat.peer_answers(&["inactive"]);
        assert_eq!(direction(&hold), "sendonly", "what we want, whatever the peer said");
        assert_eq!(seat.ua.held(call), (true, true));
        seat.ua.call(call).resume();
        let resume = seat.peer_answers(&["sendonly"]);
        assert_eq!(direction(&resume), "sendrecv");
        assert_eq!(seat.ua.held(call), (false, true));
        seat.peer_reinvites(&[]);
        seat.peer_acknowledges();
        assert_eq!(seat.ua.media(call), AUDIO);
    }
}

/// A hold that failed was never on: nothing says held, the same hold can be asked for again, and it then works.
#[test]
fn the_display_says_held_and_the_call_is_not() {
    covers!("RI-10");
    for placed in SEATS {
        for status in [488, 500, 603, 491] {
            let (mut seat, call) = up(5, placed);
            seat.ua.call(call).hold();
            let hold = seat.expect("INVITE");
            assert_eq!(holds(&seat, call), [], "not before the answer");
            seat.peer.reply(&hold, status).send();
            seat.settle_briefly();
            assert_eq!((holds(&seat, call), seat.ua.held(call)), (vec![], (false, false)), "{status}");
            if status != 491 {
                assert_eq!(seat.ua.failures(call), [&Failure::Rejected { status }]);
                seat.ua.call(call).hold();
            }
            seat.peer_answers(&[]);
            assert_eq!(
                (holds(&seat, call), seat.ua.held(call)),
                (vec![(Side::Us, true)], (true, false)),
                "{status}"
            );
        }
    }
}

/// Every re-INVITE of the peer moves the media; it is answered for what it says, not from what was cached.
#[test]
fn rtp_goes_on_to_the_old_port_after_a_reinvite() {
    for placed in SEATS {
        let (mut seat, call) = up(6, placed);
        for port in [50_000, 50_002, 50_004] {
            seat.peer_reinvites(&["sendonly", &format!("port={port}"), "c=10.0.0.9"]);
            let ok = seat.peer_acknowledges();
            assert_eq!(direction(&ok), "recvonly");
            assert_eq!(seat.ua.media(call), format!("audio <-- 10.0.0.9:{port} 8 0 101 held by peer"));
        }
        // The same by UPDATE.
        seat.peer.request("UPDATE").offer(&tweaks(&["port=50010"])).send();
        seat.expect(Pick::status(200).of("UPDATE"));
        assert_eq!(seat.ua.media(call), "audio <-> 10.0.0.2:50010 8 0 101");
    }
}

/// The ACK of the callee's hold is lost once and late once: its 2xx is acknowledged each time it comes, and that is all.
#[test]
fn invite_and_ack_go_round_when_the_callee_holds() {
    let mut pair = Pair::new(Seed(7)).latency(ms(20));
    let call = pair.call();
    pair.wire.drop_next(Method::Ack);
    pair.b.call(call).hold();
    pair.settle();
    assert_eq!(pair.b.held(call), (true, false));
    assert_ladder!(pair, @r"
             alice                                 bob
    1   0.000  |------ INVITE 51123 offer --------->|
    2   0.020  |<----- 180 INVITE 51123 ------------|
    3   0.040  |<---- 200 INVITE 51123 answer ------|
    4   0.060  |------ ACK 51123 ------------------>|
    5   0.540  |<---- INVITE 1 offer sendonly ------|
    6   0.560  |--- 200 INVITE 1 answer recvonly -->|
    7   0.580  |~----- ACK 1 -----------------------|   lost
    8   1.060  |------ 200 INVITE 1 again 6 ------->|
    9   1.080  |<----- ACK 1 again 7 ---------------|
    ");
}

/// Zero address and port 9: nothing goes there, but our end stays where it is, and either side finds the way back.
#[test]
fn no_way_back_from_a_hold_with_the_zero_address() {
    covers!("CF-18");
    for placed in SEATS {
        for ours in [true, false] {
            let (mut seat, call) = up(8, placed);
            seat.peer_reinvites(&["c=0.0.0.0", "port=9", "inactive"]);
            let ok = seat.peer_acknowledges();
            assert_eq!(direction(&ok), "inactive");
            assert!(ok.sdp().unwrap().contains("c=IN IP4 10.0.0.1\r\n"), "{ok:?}");
            assert_eq!(seat.ua.media(call), "audio --- 0.0.0.0:9 8 0 101 held by peer");
            if ours {
                seat.ua.call(call).reinvite();
                let back = seat.peer_answers(&[]);
                assert_eq!(direction(&back), "sendrecv");
            } else {
                seat.peer_reinvites(&[]);
                seat.peer_acknowledges();
            }
            assert_eq!(seat.ua.media(call), AUDIO);
        }
    }
}

/// A hold meets 422: it is no failure but a longer interval, also where the call had no session timer before.
#[test]
fn a_hold_answered_422_crashes_or_is_lost() {
    covers!("ST-26");
    for placed in SEATS {
        for asks in [Some(90), None] {
            let mut seat = Seat::with(Seed(9), |config| config.session_expires = asks).latency(ms(20));
            let call = seat.call(placed);
            seat.ua.call(call).hold();
            let hold = seat.expect("INVITE");
            seat.peer.reply(&hold, 422).header("Min-SE", 600).send();
            let again = seat.expect("INVITE");
            assert_eq!(again.header("Min-SE"), Some("600"));
            let interval = again.header("Session-Expires").map(|value| value.split(';').next().unwrap());
            assert!(interval.is_none_or(|seconds| seconds.parse::<u32>().unwrap() >= 600), "{again:?}");
            assert_eq!((again.sdp(), again.cseq()), (hold.sdp(), hold.cseq() + 1));
            seat.peer.reply(&again, 200).answer(&[]).send();
            seat.expect("ACK");
            seat.settle_briefly();
            assert_eq!(seat.ua.held(call), (true, false));
            assert!(seat.ua.failures(call).is_empty());
        }
    }
}

/// Hold and resume before the answer came: the peer sees one hold and one resume, or neither, and the end is what was asked
/// for last.
#[test]
fn a_resume_during_the_hold_is_lost() {
    for placed in SEATS {
        for prefer in [Prefer::ReInvite, Prefer::Update] {
            let mut seat = Seat::with(Seed(10), |config| config.prefer = prefer).latency(ms(20));
            let call = seat.call(placed);
            seat.ua.call(call).hold();
            seat.ua.call(call).resume();
            let method = if prefer == Prefer::Update { "UPDATE" } else { "INVITE" };
            let hold = seat.expect(method);
            assert_eq!(direction(&hold), "sendonly");
            seat.peer.reply(&hold, 200).answer(&[]).send();
            let resume = seat.expect(method);
            assert_eq!((direction(&resume), version(&resume)), ("sendrecv", version(&hold) + 1));
            seat.peer.reply(&resume, 200).answer(&[]).send();
            seat.settle();
            assert_eq!(seat.ua.media(call), AUDIO);
            assert_eq!((seat.ua.changes(call).len(), seat.ua.failures(call).len()), (2, 0));
        }
    }
}

/// A hold without music is inactive; taking it off goes back to two-way.
#[test]
fn a_silent_hold_comes_back_one_way() {
    let (mut seat, call) = up(11, true);
    let mut silent = seat.ua.session.clone();
    silent.streams[0].hold = Hold::Silent;
    seat.ua.call(call).modify(Modification::Replace(Box::new(silent)), None);
    let hold = seat.peer_answers(&[]);
    assert_eq!(direction(&hold), "inactive");
    assert_eq!(seat.ua.held(call), (true, false));
    seat.ua.call(call).resume();
    let resume = seat.peer_answers(&[]);
    assert_eq!(direction(&resume), "sendrecv");
    assert_eq!(seat.ua.media(call), AUDIO);
}

/// A refresh was on its way when a person took the peer's video; its answer forgot the video, and the next hold left it flowing.
#[test]
fn a_hold_leaves_out_the_video_that_was_taken_during_a_refresh() {
    let mut pair = Pair::new(Seed(31)).latency(ms(20));
    let call = pair.call();
    let video = |port| Stream::video(port, [Codec::new("VP8", 90_000).numbered(96)]);
    pair.b.call(call).modify(Modification::Add(video(41_002)), None);
    pair.run_for(ms(100));
    pair.wire.drop_next("UPDATE");
    pair.a.call(call).refresh();
    let mut session = pair.a.session.clone();
    session.add_stream(video(40_002));
    pair.a.call(call).answer_offer(Some(session));
    pair.settle();
    pair.a.call(call).hold();
    pair.settle();
    let agreed = pair.a.agreed(call).unwrap();
    assert_eq!(agreed.streams.len(), 2);
    assert!(agreed.streams.iter().all(|stream| stream.held_by_us && !stream.receives));
}
