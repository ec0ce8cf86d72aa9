//! re-INVITE: scenarios C01 to C08.

use midcall_proto::endpoint::{Modification, Policy};
use midcall_proto::event::{CallEvent, CallId, Ended, Failure, What};
use midcall_proto::rules::RuleId;
use midcall_proto::session::{Codec, Stream, Wanted};
use midcall_testkit::prelude::*;

fn video() -> Stream {
    Stream::video(40_002, [Codec::new("H264", 90_000)])
}

fn with_video(seat: &Seat) -> Wanted {
    let mut session = seat.ua.session.clone();
    session.add_stream(video());
    session
}

fn peer_changed(seat: &Seat, call: CallId) -> Vec<Vec<What>> {
    let what = |event: &CallEvent| match event {
        CallEvent::PeerChanged { what, .. } => Some(what.clone()),
        _ => None,
    };
    seat.ua.told(call).filter_map(what).collect()
}

/// C01: we receive elsewhere from now on.
#[test]
fn c01_our_port_and_address_move() {
    covers!("OA-40");
    for placed in SEATS {
        let (mut seat, call) = up(1, placed);
        let there = Modification::Move { stream: 0, address: [10, 0, 0, 7].into(), port: 40_010 };
        seat.ua.call(call).modify(there, None);
        seat.settle_briefly();
        // Until the answer comes the session told to media is the old one: nothing is closed yet.
        let local = |seat: &Seat| seat.ua.agreed(call).unwrap().streams[0].local.clone();
        assert_eq!(local(&seat), Some(("10.0.0.1".to_owned(), 40_000)));
        let invite = seat.peer_answers(&[]);
        assert!(invite.sdp().unwrap().contains("m=audio 40010 RTP/AVP"), "{invite:?}");
        assert_eq!(local(&seat), Some(("10.0.0.7".to_owned(), 40_010)));
        // The scripted callee worded its first answer otherwise than its own offers.
        let versions = if placed { "2/1" } else { "2/2" };
        assert_eq!(seat.ua.state(call), idle("audio <-> 10.0.0.2:41960 8 0 101", versions));
        assert_eq!(seat.packets().len(), 6);
    }
}

/// C01 mirrored: the peer moves, we send there at once.
#[test]
fn c01_the_peers_port_and_address_move() {
    covers!("RI-08", "OA-40");
    for placed in SEATS {
        let (mut seat, call) = up(1, placed);
        seat.peer_reinvites(&["port=50000", "c=10.0.0.9"]);
        seat.settle_briefly();
        assert_eq!(seat.ua.media(call), "audio <-> 10.0.0.9:50000 8 0 101");
        let ok = seat.peer_acknowledges();
        assert!(ok.sdp().unwrap().contains("m=audio 40000 RTP/AVP"), "{ok:?}");
        assert_eq!(peer_changed(&seat, call), [[What::Address]]);
        assert_eq!(seat.ua.state(call), idle("audio <-> 10.0.0.9:50000 8 0 101", "1/2"));
        assert_eq!(seat.packets().len(), 6);
        assert_eq!(seat.ua.peers_broke(), []);
    }
}

/// C01: a re-INVITE that changes nothing is answered at once, and nobody is told of a change.
#[test]
fn c01_an_unchanged_description_is_no_change() {
    covers!("RI-08", "OA-30");
    let (mut seat, call) = up(1, false);
    let before = seat.ua.state(call);
    seat.peer.request("INVITE").same().unwrap().send();
    let ok = seat.peer_acknowledges();
    assert_eq!(version(&ok), 1);
    assert_eq!(peer_changed(&seat, call), Vec::<Vec<What>>::new());
    assert_eq!(seat.ua.state(call), before);
}

/// C02: a video stream is added and taken.
#[test]
fn c02_video_is_added() {
    for placed in SEATS {
        let (mut seat, call) = up(2, placed);
        seat.ua.call(call).modify(Modification::Add(video()), None);
        let invite = seat.peer_answers(&[]);
        assert!(invite.sdp().unwrap().contains("m=video 40002 RTP/AVP"), "{invite:?}");
        assert_eq!(
            seat.ua.state(call),
            idle("audio <-> 10.0.0.2:41960 8 0 101, video <-> 10.0.0.2:41962 96", "2/2")
        );
        assert_eq!(seat.ua.changes(call)[0].what, [What::AddStream]);
    }
}

/// C02: a video stream is added and declined. Audio goes on, the slot stays dead, and no later change asks for it again.
#[test]
fn c02_declined_video_is_not_asked_for_again() {
    covers!("OA-20");
    for placed in SEATS {
        let (mut seat, call) = up(2, placed);
        seat.ua.call(call).modify(Modification::Add(video()), None);
        seat.peer_answers(&["video.port=0"]);
        assert_eq!(seat.ua.state(call), idle("audio <-> 10.0.0.2:41960 8 0 101, video off", "2/2"));
        seat.ua.call(call).hold();
        let hold = seat.peer_answers(&[]);
        assert!(hold.sdp().unwrap().contains("m=video 0 RTP/AVP"), "{hold:?}");
        assert_eq!(seat.ua.state(call), idle("audio --> 10.0.0.2:41960 8 0 101 held, video off", "3/3"));
        // Asked for anew, it is offered anew, in its slot.
        seat.ua.call(call).modify(Modification::Add(video()), None);
        let again = seat.peer_answers(&[]);
        assert_eq!(again.sdp().unwrap().matches("m=").count(), 2);
        assert_eq!(
            seat.ua.state(call),
            idle("audio --> 10.0.0.2:41960 8 0 101 held, video <-> 10.0.0.2:41962 96", "4/4")
        );
    }
}

/// C02 mirrored: the peer adds video; a person, or the policy, decides.
#[test]
fn c02_the_peer_adds_video() {
    covers!("OA-20", "RI-08");
    for placed in SEATS {
        for wanted in [true, false] {
            let (mut seat, call) = up(2, placed);
            seat.peer_reinvites(&["+video"]);
            seat.settle_briefly();
            assert!(seat.ua.told(call).any(|event| matches!(event, CallEvent::Offered { .. })));
            assert_eq!(seat.ua.media(call), "audio <-> 10.0.0.2:41960 8 0 101");
            let session = wanted.then(|| with_video(&seat));
            seat.ua.call(call).answer_offer(session);
            let ok = seat.peer_acknowledges();
            assert!(
                ok.sdp().unwrap().contains(if wanted { "m=video 40002 " } else { "m=video 0 " }),
                "{ok:?}"
            );
            assert_eq!(peer_changed(&seat, call), [[What::AddStream]]);
            let video = if wanted { "video <-> 10.0.0.2:41962 97" } else { "video off" };
            assert_eq!(
                seat.ua.state(call),
                idle(&format!("audio <-> 10.0.0.2:41960 8 0 101, {video}"), "2/2")
            );
        }
        let mut seat = Seat::with(Seed(2), |config| config.new_streams = Policy::Refuse).latency(ms(20));
        let call = seat.call(placed);
        seat.peer_reinvites(&["+video"]);
        let ok = seat.peer_acknowledges();
        assert!(ok.sdp().unwrap().contains("m=video 0 "));
        assert_eq!(seat.ua.state(call), idle("audio <-> 10.0.0.2:41960 8 0 101, video off", "2/2"));
    }
}

/// C03: a stream is removed and comes back in its slot; the m-lines never grow fewer.
#[test]
fn c03_a_stream_leaves_and_comes_back() {
    covers!("OA-45");
    for placed in SEATS {
        let (mut seat, call) = up(3, placed);
        seat.ua.call(call).modify(Modification::Add(video()), None);
        seat.peer_answers(&[]);
        seat.ua.call(call).modify(Modification::Drop(1), None);
        let dropped = seat.peer_answers(&[]);
        assert!(dropped.sdp().unwrap().contains("m=video 0 RTP/AVP"), "{dropped:?}");
        assert_eq!(seat.ua.state(call), idle("audio <-> 10.0.0.2:41960 8 0 101, video off", "3/3"));
        seat.ua.call(call).modify(Modification::Add(video()), None);
        let back = seat.peer_answers(&[]);
        assert_eq!(back.sdp().unwrap().matches("m=").count(), 2);
        assert_eq!(
            seat.ua.state(call),
            idle("audio <-> 10.0.0.2:41960 8 0 101, video <-> 10.0.0.2:41962 96", "4/4")
        );
        assert_eq!(seat.ua.peers_broke(), []);
    }
}

/// C03 mirrored: the peer removes the video that we had; our own change does not bring it back, its offer does.
#[test]
fn c03_the_peer_takes_a_stream_away_and_brings_it_back() {
    for placed in SEATS {
        let (mut seat, call) = up(3, placed);
        seat.ua.call(call).modify(Modification::Add(video()), None);
        seat.peer_answers(&[]);
        seat.peer_reinvites(&["-video"]);
        seat.peer_acknowledges();
        assert_eq!(seat.ua.state(call), idle("audio <-> 10.0.0.2:41960 8 0 101, video off", "3/3"));
        seat.ua.call(call).hold();
        let hold = seat.peer_answers(&[]);
        assert!(hold.sdp().unwrap().contains("m=video 0 RTP/AVP"), "{hold:?}");
        seat.ua.call(call).resume();
        seat.peer_answers(&[]);
        seat.peer_reinvites(&["+video"]);
        let ok = seat.peer_acknowledges();
        assert!(ok.sdp().unwrap().contains("m=video 40002 "), "{ok:?}");
        assert_eq!(
            seat.ua.state(call),
            idle("audio <-> 10.0.0.2:41960 8 0 101, video <-> 10.0.0.2:41962 97", "6/6")
        );
        assert_eq!(peer_changed(&seat, call), [[What::DropStream], [What::AddStream]]);
        assert_eq!(seat.ua.peers_broke(), []);
    }
}

/// C04: 488 leaves everything as it was; the refused offer has used its version up.
#[test]
fn c04_a_refused_change_leaves_the_session() {
    covers!("RI-10", "OA-15", "OA-31");
    for placed in SEATS {
        let (mut seat, call) = up(4, placed);
        let before = (seat.ua.state(call), seat.ua.media(call));
        seat.ua.call(call).codecs([Codec::pcmu()]);
        let refused = seat.expect("INVITE");
        seat.peer.reply(&refused, 488).header("Warning", "305 bob \"no\"").send();
        seat.settle();
        assert_eq!((seat.ua.state(call), seat.ua.media(call)), before);
        assert_eq!(seat.ua.failures(call), [&Failure::Rejected { status: 488 }]);
        // The peer may offer now, and we answer from the session as it was before.
        seat.peer_reinvites(&["port=50000"]);
        let ok = seat.peer_acknowledges();
        assert!(ok.sdp().unwrap().contains("m=audio 40000 RTP/AVP 8 0 101"), "{ok:?}");
        assert_eq!(version(&ok), version(&refused) + 1);
        seat.ua.call(call).hold();
        let hold = seat.peer_answers(&[]);
        assert_eq!((version(&hold), direction(&hold)), (version(&refused) + 2, "sendonly"));
        assert!(hold.sdp().unwrap().contains("m=audio 40000 RTP/AVP 8 0 101"), "{hold:?}");
        assert_eq!(seat.ua.state(call), idle("audio --> 10.0.0.2:41960 8 0 101 held", "4/3"));
        assert_eq!(seat.ua.peers_broke(), []);
    }
}

/// C04 mirrored: we refuse what we cannot do, with the reason, and go on as before.
#[test]
fn c04_we_refuse_a_foreign_codec() {
    covers!("OA-12", "OA-15");
    for placed in SEATS {
        let (mut seat, call) = up(4, placed);
        let before = (seat.ua.state(call), seat.ua.media(call));
        seat.peer_reinvites(&["codecs=97:AMR/8000"]);
        let refused = seat.expect(488);
        assert!(refused.header("Warning").is_some_and(|text| text.starts_with("305 ")));
        seat.settle();
        assert_eq!((seat.ua.state(call), seat.ua.media(call)), before);
        assert!(peer_changed(&seat, call).is_empty());
        seat.ua.call(call).hold();
        let hold = seat.peer_answers(&[]);
        assert_eq!(version(&hold), 2);
        assert_eq!(seat.ua.state(call), idle("audio --> 10.0.0.2:41960 8 0 101 held", "2/3"));
    }
}

/// C05: whatever the refusal, the call goes on as it was; only 408 and 481 end it.
#[test]
fn c05_every_refusal_but_two_leaves_the_call() {
    covers!("RI-10", "ER-09", "CF-36");
    let codes = [
        300, 301, 302, 305, 380, 400, 401, 402, 403, 404, 405, 406, 407, 410, 412, 413, 414, 415, 416, 417,
        420, 421, 423, 428, 429, 436, 437, 438, 480, 482, 483, 484, 485, 486, 487, 488, 489, 493, 494, 499,
        500, 501, 502, 503, 504, 505, 513, 580, 599, 600, 603, 604, 606, 607, 699,
    ];
    for placed in SEATS {
        for status in codes {
            let (mut seat, call) = up(5, placed);
            let before = seat.ua.state(call);
            seat.ua.call(call).hold();
            let hold = seat.expect("INVITE");
            let fix = match status {
                405 => ("Allow", "INVITE, ACK, BYE, UPDATE"),
                415 => ("Accept", "application/sdp"),
                420 => ("Unsupported", "path"),
                421 => ("Require", "precondition"),
                302 => ("Contact", "<sip:elsewhere@10.0.0.3>"),
                _ => ("Subject", "none"),
            };
            let reply = |seat: &mut Seat, hold: &Received| {
                seat.peer.reply(hold, status).header(fix.0, fix.1).send();
                seat.settle_briefly();
            };
            reply(&mut seat, &hold);
            while let Some(again) = seat.peer.take("INVITE") {
                reply(&mut seat, &again);
            }
            seat.settle();
            assert_eq!(seat.ua.state(call), before, "{status}");
            assert_eq!(seat.ua.failures(call), [&Failure::Rejected { status }]);
            assert!(count(&seat.wire, "INVITE") <= 4, "{status}");
            assert_eq!(count(&seat.wire, "BYE"), 0, "{status}");
            if (300..400).contains(&status) {
                seat.expect_findings(&["RI-21"]);
            }
        }
    }
}

/// C05: a code that RFC 5057 takes for the end of the dialog makes the call suspect; a second one ends it, and where the
/// policy is strict, the first.
#[test]
fn c05_a_second_code_of_rfc_5057_ends_the_call() {
    covers!("CF-36");
    for placed in SEATS {
        for (strict, status) in [(false, 404), (false, 502), (true, 410), (true, 604)] {
            let mut seat = Seat::with(Seed(5), |config| config.strict_5057 = strict).latency(ms(20));
            let call = seat.call(placed);
            for _ in 0..if strict { 1 } else { 2 } {
                assert!(seat.ua.is_up(call));
                seat.ua.call(call).hold();
                let hold = seat.expect("INVITE");
                seat.peer.reply(&hold, status).send();
                seat.settle_briefly();
            }
            let bye = seat.expect("BYE");
            seat.peer.reply(&bye, 200).send();
            seat.settle();
            assert_eq!(seat.ua.ended(call), Some(&Ended::Lost { status }));
            let suspect = |event: &&CallEvent| matches!(event, CallEvent::Suspect { .. });
            assert_eq!(seat.ua.told(call).filter(suspect).count(), usize::from(!strict));
        }
    }
}

/// C05: the two codes that end the call, and silence.
#[test]
fn c05_unknown_dialog_timeout_and_silence_end_the_call() {
    for placed in SEATS {
        for (status, why) in [(481, Ended::Lost { status: 481 }), (408, Ended::Lost { status: 408 })] {
            let (mut seat, call) = up(5, placed);
            seat.ua.call(call).hold();
            let hold = seat.expect("INVITE");
            seat.peer.reply(&hold, status).send();
            let bye = seat.expect("BYE");
            seat.peer.reply(&bye, 200).send();
            seat.settle();
            assert_eq!(seat.ua.ended(call), Some(&why));
            assert_eq!(count(&seat.wire, "BYE"), 1);
            if status == 481 {
                seat.expect_findings(&["DLG-01"]);
            }
        }
        let (mut seat, call) = up(5, placed);
        seat.expect_findings(&["TX-01"]);
        seat.ua.call(call).hold();
        let bye = seat.expect("BYE");
        seat.peer.reply(&bye, 200).send();
        seat.settle();
        assert_eq!(seat.ua.ended(call), Some(&Ended::Timeout));
        assert_eq!(count(&seat.wire, "BYE"), 1);
    }
}

/// C05: a peer that takes no INVITE in a call gets no more of them; what UPDATE can do goes by UPDATE.
#[test]
fn c05_a_peer_without_reinvite_gets_no_more_of_them() {
    covers!("CF-36");
    for placed in SEATS {
        let (mut seat, call) = up(5, placed);
        seat.ua.call(call).hold();
        let hold = seat.expect("INVITE");
        seat.peer.reply(&hold, 405).header("Allow", "INVITE, ACK, BYE, UPDATE").send();
        seat.settle();
        seat.ua.call(call).hold();
        let update = seat.expect("UPDATE");
        assert_eq!(direction(&update), "sendonly");
        seat.peer.reply(&update, 200).answer(&[]).send();
        seat.settle();
        assert_eq!(seat.ua.held(call), (true, false));
        seat.ua.call(call).offerless();
        seat.settle();
        let never = Failure::Refused { rule: RuleId::CodesThatEndTheCall };
        assert_eq!(seat.ua.failures(call), [&Failure::Rejected { status: 405 }, &never]);
        assert!(seat.ua.is_up(call));
    }
}

/// C06: we ask for an offer and answer it in the ACK.
#[test]
fn c06_we_ask_for_an_offer() {
    for placed in SEATS {
        let (mut seat, call) = up(6, placed);
        seat.ua.call(call).offerless();
        let invite = seat.expect("INVITE");
        assert_eq!(invite.sdp(), None);
        seat.peer.reply(&invite, 200).offer(&tweaks(&["port=50000"])).send();
        let ack = seat.expect("ACK");
        assert!(ack.sdp().unwrap().contains("m=audio 40000 RTP/AVP 8 0 101"), "{ack:?}");
        seat.settle();
        assert_eq!(seat.ua.state(call), idle("audio <-> 10.0.0.2:50000 8 0 101", "1/2"));
        assert_eq!(seat.ua.changes(call)[0].what, [What::Session]);
        assert_eq!(seat.ua.peers_broke(), []);
        assert_eq!(seat.packets().len(), 6);
    }
}

/// C06 mirrored: asked for an offer, we say all that we want: every codec, two-way, not what was last agreed.
#[test]
fn c06_we_are_asked_for_an_offer() {
    covers!("OA-37", "RI-17");
    for placed in SEATS {
        let (mut seat, call) = up(6, placed);
        seat.peer_reinvites(&["codecs=0", "sendonly"]);
        seat.peer_acknowledges();
        assert_eq!(seat.ua.state(call), idle("audio <-- 10.0.0.2:41960 0 held by peer", "2/2"));
        seat.peer.request("INVITE").send();
        let ok = seat.expect(200);
        assert!(ok.sdp().unwrap().contains("m=audio 40000 RTP/AVP 8 0 101"), "{ok:?}");
        assert_eq!(direction(&ok), "sendrecv");
        seat.peer.ack(&ok).answer(&[]).send();
        seat.settle();
        assert_eq!(seat.ua.state(call), idle("audio <-> 10.0.0.2:41960 8 0 101", "3/3"));
        assert_eq!(seat.ua.peers_broke(), []);
    }
}

/// C07: the offer that we asked for has nothing that we can use: answered with port 0, then the call ends.
#[test]
fn c07_an_unusable_offer_is_answered_before_the_call_ends() {
    covers!("RI-19");
    for placed in SEATS {
        let (mut seat, call) = up(7, placed);
        seat.ua.call(call).offerless();
        let invite = seat.expect("INVITE");
        seat.peer.reply(&invite, 200).offer(&tweaks(&["codecs=97:AMR/8000"])).send();
        let ack = seat.expect("ACK");
        assert!(ack.sdp().unwrap().contains("m=audio 0 RTP/AVP 97"), "{ack:?}");
        let bye = seat.expect("BYE");
        assert!(bye.header("Reason").is_some_and(|reason| reason.starts_with("SIP;cause=488")));
        seat.peer.reply(&bye, 200).send();
        seat.settle();
        assert_eq!(seat.ua.ended(call), Some(&Ended::NoSession));
        assert_eq!(seat.packets().len(), 8);
        seat.expect_findings(&["OA-43"]);
    }
}

/// C08: a second INVITE while the first waits for a person gets 500 and a time to come back; the first decides.
#[test]
fn c08_a_second_invite_too_early_is_sent_away() {
    covers!("CF-21");
    for placed in SEATS {
        let (mut seat, call) = up(8, placed);
        let first = seat.peer_reinvites(&["+video"]);
        seat.settle_briefly();
        let second = seat.peer_reinvites(&["sendonly"]);
        let away = seat.expect(500);
        assert_eq!(away.cseq(), second.cseq());
        let wait: u64 = away.header("Retry-After").unwrap().parse().unwrap();
        assert!((1..=10).contains(&wait));
        seat.ua.call(call).answer_offer(None);
        let ok = seat.peer_acknowledges();
        assert_eq!(ok.cseq(), first.cseq());
        assert_eq!(seat.ua.state(call), idle("audio <-> 10.0.0.2:41960 8 0 101, video off", "2/2"));
        seat.expect_findings(&["RI-01", "OA-01"]);
    }
}

/// C08 as the one who changes: one INVITE at a time, and after a 500 not before its Retry-After.
#[test]
fn c08_we_send_one_invite_at_a_time() {
    for placed in SEATS {
        let (mut seat, call) = up(8, placed);
        seat.ua.call(call).hold();
        seat.ua.call(call).codecs([Codec::pcmu()]);
        let hold = seat.expect("INVITE");
        seat.run_for(secs(3));
        assert_eq!(seat.peer.take("INVITE").map(|again| again.cseq()), None);
        seat.peer.reply(&hold, 500).header("Retry-After", 7).send();
        let refused = seat.now();
        let again = seat.expect("INVITE");
        assert!(again.at >= refused + secs(7), "{:?}", again.at - refused);
        // Both wishes in one request, derived anew: another version, both changes.
        assert_eq!((version(&again), direction(&again)), (version(&hold) + 1, "sendonly"));
        assert!(again.sdp().unwrap().contains("m=audio 40000 RTP/AVP 0 101"), "{again:?}");
        seat.peer.reply(&again, 200).answer(&[]).send();
        seat.settle();
        assert_eq!(seat.ua.state(call), idle("audio --> 10.0.0.2:41960 0 101 held", "3/2"));
        assert_eq!(seat.ua.changes(call).len(), 2);
    }
}
