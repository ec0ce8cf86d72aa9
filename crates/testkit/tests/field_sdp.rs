//! Offers, answers and re-INVITEs that broke in the field, group O of the catalogue and what other stacks fell into: each
//! test is named for the symptom that somebody reported.

use midcall_proto::endpoint::{Modification, Prefer, Reliable};
use midcall_proto::event::{CallEvent, Ended, Failure};
use midcall_proto::flow::Transport;
use midcall_proto::rules::RuleId;
use midcall_proto::session::{Codec, Stream};
use midcall_testkit::prelude::*;
use midcall_testkit::sketch::{Tweak, field};

const AUDIO: &str = "audio <-> 10.0.0.2:41960 8 0 101";

fn video() -> Stream {
    Stream::video(40_002, [Codec::new("H264", 90_000)])
}

/// The m-lines of a description, without their attributes.
fn lines(message: &Received) -> Vec<&str> {
    message.sdp().unwrap_or_default().lines().filter(|line| line.starts_with("m=")).collect()
}

/// Refused twice, accepted once: each other content took the next version, the refused ones too; equal content kept it.
#[test]
fn a_change_is_ignored_because_its_version_was_seen_before() {
    covers!("OA-29", "OA-31");
    for placed in SEATS {
        let (mut seat, call) = up(1, placed);
        seat.ua.call(call).hold();
        let first = seat.expect("INVITE");
        seat.peer.reply(&first, 488).send();
        seat.settle();
        seat.ua.call(call).hold();
        let same = seat.expect("INVITE");
        assert_eq!(same.sdp(), first.sdp(), "the same content is the same description");
        seat.peer.reply(&same, 488).send();
        seat.settle();
        seat.ua.call(call).codecs([Codec::pcmu()]);
        let other = seat.peer_answers(&[]);
        assert_eq!(version(&other), version(&first) + 1);
        // An answer counts in the same row.
        seat.peer_reinvites(&["port=50000"]);
        let ok = seat.peer_acknowledges();
        assert_eq!(version(&ok), version(&other));
        seat.ua.call(call).codecs([Codec::pcma(), Codec::pcmu()]);
        let back = seat.peer_answers(&[]);
        assert_eq!(version(&back), version(&first) + 2);
        assert_eq!(
            field(back.sdp().unwrap(), "o=").map(|o| o.split(' ').nth(1)),
            field(first.sdp().unwrap(), "o=").map(|o| o.split(' ').nth(1))
        );
    }
}

/// A re-INVITE that changes nothing is byte for byte the description that was sent last, in an offer and in an answer.
#[test]
fn the_version_rises_though_nothing_changed() {
    covers!("OA-30");
    for placed in SEATS {
        let (mut seat, call) = up(2, placed);
        let mut last: Option<String> = None;
        for _ in 0..3 {
            seat.ua.call(call).reinvite();
            let sdp = seat.peer_answers(&[]).sdp().unwrap().to_owned();
            assert!(last.is_none_or(|last| last == sdp));
            last = Some(sdp);
        }
        for _ in 0..2 {
            seat.peer.request("INVITE").same().unwrap().send();
            let ok = seat.peer_acknowledges();
            assert_eq!(version(&ok), version_of(last.as_deref().unwrap()));
        }
    }
}

fn version_of(sdp: &str) -> u64 {
    field(sdp, "o=").and_then(|origin| origin.split(' ').nth(2)?.parse().ok()).unwrap()
}

/// The peer renumbers a codec: with a new version it is followed, with the old one too, and told. We send its numbers and
/// never move our own.
#[test]
fn one_way_audio_after_a_payload_type_moved() {
    covers!("OA-26", "CF-10");
    for placed in SEATS {
        for keeps_version in [true, false] {
            let (mut seat, call) = up(3, placed);
            let mut moved = tweaks(&["codecs=8,0,110:telephone-event/8000"]);
            if keeps_version {
                moved.push(Tweak::parse_version("same").unwrap());
                seat.expect_findings(&["OA-30"]);
            }
            seat.peer.request("INVITE").offer(&moved).send();
            let ok = seat.peer_acknowledges();
            assert_eq!(lines(&ok), ["m=audio 40000 RTP/AVP 8 0 110"]);
            assert_eq!(seat.ua.media(call), "audio <-> 10.0.0.2:41960 8 0 110");
            seat.ua.call(call).hold();
            let hold = seat.peer_answers(&[]);
            assert_eq!(lines(&hold), lines(&ok), "the numbers stay");
            assert_eq!(version(&hold), version(&ok) + 1);
        }
    }
}

/// However the session changes, the o= line keeps user, number and address; only the version moves, by one.
#[test]
fn the_session_id_changes_with_each_reinvite() {
    covers!("OA-29");
    for placed in SEATS {
        let (mut seat, call) = up(4, placed);
        let origin = |message: &Received| {
            let origin: Vec<String> =
                field(message.sdp().unwrap(), "o=").unwrap().split(' ').map(str::to_owned).collect();
            (origin[0].clone(), origin[1].clone(), origin[5].clone(), origin[2].parse::<u64>().unwrap())
        };
        seat.ua.call(call).hold();
        let mut last = origin(&seat.peer_answers(&[]));
        for change in [
            Modification::Resume(None),
            Modification::Codecs(vec![Codec::pcmu()]),
            Modification::Move { stream: 0, address: [10, 0, 0, 7].into(), port: 40_020 },
            Modification::Add(video()),
            Modification::Drop(1),
        ] {
            seat.ua.call(call).modify(change.clone(), None);
            let now = origin(&seat.peer_answers(&[]));
            assert_eq!(now, (last.0.clone(), last.1.clone(), last.2.clone(), last.3 + 1), "{change:?}");
            last = now;
        }
    }
}

/// The version is ours: neither the peer's version nor a CSeq number gets into it.
#[test]
fn the_version_follows_the_peers_or_the_cseq() {
    covers!("OA-29", "OA-46");
    for placed in SEATS {
        let (mut seat, call) = up(5, placed);
        seat.peer
            .request("INVITE")
            .offer(&[Tweak::Direction(None, "sendonly".to_owned()), Tweak::parse_version("9000").unwrap()])
            .send();
        let ok = seat.peer_acknowledges();
        assert_eq!(version(&ok), 2);
        seat.ua.call(call).hold();
        let hold = seat.peer_answers(&["inactive"]);
        assert_eq!(version(&hold), 3);
        seat.expect_findings(&["OA-29"]);
    }
}

/// Versions of twenty digits, with zeros in front, and from nought: compared as the numbers they are, never an overflow.
#[test]
fn a_version_of_twenty_digits_wraps_or_crashes() {
    covers!("OA-33", "CF-35");
    for placed in SEATS {
        for versions in [["99999999999999999998", "99999999999999999999"], ["00009", "010"], ["0", "1"]] {
            let (mut seat, call) = up(5, placed);
            for (version, way) in versions.into_iter().zip(["sendonly", "sendrecv"]) {
                let offer = seat.peer.request("INVITE").offer(&tweaks(&[way]));
                let sdp = offer.raw().sdp().unwrap().to_owned();
                let origin = field(&sdp, "o=").unwrap();
                let mut words: Vec<&str> = origin.split(' ').collect();
                words[2] = version;
                let sdp = sdp.replace(origin, &words.join(" "));
                offer.sdp(sdp).send();
                let ok = seat.peer_acknowledges();
                assert_eq!(direction(&ok), if way == "sendonly" { "recvonly" } else { way }, "{versions:?}");
            }
            assert_eq!(seat.ua.media(call), AUDIO);
            assert!(seat.ua.is_up(call));
            seat.unobserved("the versions of the scripted peer jump at will");
        }
    }
}

/// Declined and dropped streams keep their lines, in offers and in answers of either side, in order.
#[test]
fn lines_are_dropped_or_reordered() {
    covers!("OA-17", "OA-18", "OA-19");
    for placed in SEATS {
        let (mut seat, call) = up(6, placed);
        seat.peer_reinvites(&["+image", "+video"]);
        seat.settle_briefly();
        let mut session = seat.ua.session.clone();
        session.add_stream(video());
        seat.ua.call(call).answer_offer(Some(session));
        let ok = seat.peer_acknowledges();
        assert_eq!(
            lines(&ok),
            ["m=audio 40000 RTP/AVP 8 0 101", "m=image 0 udptl t38", "m=video 40002 RTP/AVP 97"]
        );
        seat.ua.call(call).modify(Modification::Drop(1), None);
        let dropped = seat.peer_answers(&[]);
        assert_eq!(
            lines(&dropped),
            ["m=audio 40000 RTP/AVP 8 0 101", "m=image 0 udptl t38", "m=video 0 RTP/AVP 97"]
        );
        seat.peer_reinvites(&["-image", "-video"]);
        let ok = seat.peer_acknowledges();
        assert_eq!(
            lines(&ok),
            ["m=audio 40000 RTP/AVP 8 0 101", "m=image 0 udptl t38", "m=video 0 RTP/AVP 97"]
        );
        assert_eq!(seat.ua.media(call), format!("{AUDIO}, image off, video off"));
        assert_eq!(seat.ua.peers_broke(), []);
    }
}

/// The peer offers fewer lines than there were: told, and answered line for line; our own next offer has them all again.
#[test]
fn a_shrunken_offer_shrinks_ours() {
    covers!("OA-18");
    for placed in SEATS {
        let (mut seat, call) = up(6, placed);
        seat.ua.call(call).modify(Modification::Add(video()), None);
        seat.peer_answers(&[]);
        seat.peer_reinvites(&[]);
        let ok = seat.peer_acknowledges();
        assert_eq!(lines(&ok).len(), 1);
        seat.ua.call(call).hold();
        let hold = seat.expect("INVITE");
        assert_eq!(hold.sdp().unwrap().matches("m=").count(), 1, "as many as the last exchange had");
        seat.peer.reply(&hold, 200).answer(&[]).send();
        seat.settle();
        assert!(seat.ua.is_up(call));
        seat.expect_findings(&["OA-18"]);
    }
}

/// The 200 to our re-INVITE or UPDATE has no answer: nothing has changed, the wish is reported as such, the call goes on.
#[test]
fn a_success_without_an_answer_ends_the_call_or_passes_for_a_change() {
    covers!("OA-08");
    for placed in SEATS {
        for prefer in [Prefer::ReInvite, Prefer::Update] {
            let mut seat = Seat::with(Seed(7), |config| config.prefer = prefer).latency(ms(20));
            let call = seat.call(placed);
            let before = (seat.ua.state(call), seat.ua.media(call));
            seat.ua.call(call).hold();
            let update = prefer == Prefer::Update;
            let hold = seat.expect(if update { "UPDATE" } else { "INVITE" });
            seat.peer.reply(&hold, 200).send();
            seat.settle();
            assert_eq!((seat.ua.state(call), seat.ua.media(call)), before);
            assert_eq!(seat.ua.failures(call), [&Failure::Unanswered]);
            assert_eq!(count(&seat.wire, "BYE"), 0);
            let (rule, code) = if update {
                (RuleId::AnswerMissingInSuccess, "OA-08")
            } else {
                (RuleId::OfferBeforeReliableAnswer, "OA-03")
            };
            assert_eq!(seat.ua.peers_broke(), [rule]);
            seat.expect_findings(&[code]);
            // The next one works.
            seat.ua.call(call).hold();
            let hold = seat.expect(if update { "UPDATE" } else { "INVITE" });
            seat.peer.reply(&hold, 200).answer(&[]).send();
            seat.settle();
            assert_eq!(seat.ua.held(call), (true, false));
        }
    }
}

/// The ACK that should answer our offer has no answer: the session in force goes on, and later exchanges work.
#[test]
fn an_ack_without_an_answer_breaks_every_later_change() {
    for placed in SEATS {
        let (mut seat, call) = up(7, placed);
        let before = seat.ua.media(call);
        seat.peer.request("INVITE").send();
        let ok = seat.expect(200);
        seat.peer.ack(&ok).send();
        seat.settle();
        assert!(seat.ua.is_up(call));
        assert_eq!(seat.ua.media(call), before);
        seat.ua.call(call).hold();
        seat.peer_answers(&[]);
        assert_eq!(seat.ua.held(call), (true, false));
        assert_eq!(seat.ua.peers_broke(), [RuleId::AnswerMissingInPrackOrAck]);
        seat.expect_findings(&["OA-07"]);
    }
}

/// Refused either way, the next exchange is complete: our answer has a description, our offer is the session as it was.
#[test]
fn after_a_refusal_the_next_reinvite_is_answered_without_sdp() {
    covers!("RI-10", "OA-15");
    for placed in SEATS {
        for method in ["INVITE", "UPDATE"] {
            let (mut seat, call) = up(8, placed);
            seat.peer.request(method).offer(&tweaks(&["codecs=97:AMR/8000"])).send();
            assert_eq!(seat.expect(488).method(), method);
            seat.settle_briefly();
            seat.ua.call(call).codecs([Codec::pcmu()]);
            let refused = seat.expect("INVITE");
            seat.peer.reply(&refused, 488).send();
            seat.settle();
            assert_eq!(seat.ua.media(call), AUDIO);
            seat.peer.request(method).offer(&tweaks(&["sendonly"])).send();
            let ok = seat.expect(Pick::status(200).of(method));
            assert_eq!((lines(&ok), direction(&ok)), (vec!["m=audio 40000 RTP/AVP 8 0 101"], "recvonly"));
            if method == "INVITE" {
                seat.peer.ack(&ok).send();
            }
            seat.settle();
            assert_eq!(seat.ua.held(call), (false, true));
        }
    }
}

/// Nobody asked for anything: after the answer no re-INVITE follows, whatever the descriptions' versions say.
#[test]
fn a_needless_reinvite_follows_the_answer() {
    for placed in SEATS {
        let (mut seat, call) = up(9, placed);
        seat.run_for(secs(600));
        assert_eq!(seat.packets().len(), 3);
        // The peer bumps its version without reason: no reason for us to say anything either.
        seat.peer.request("INVITE").offer(&[Tweak::parse_version("+1").unwrap()]).send();
        seat.peer_acknowledges();
        seat.run_for(secs(600));
        assert_eq!(seat.packets().len(), 6);
        assert!(seat.ua.is_up(call));
        if !placed {
            // A new version of the same content is told; the scripted callee words its offers otherwise than its answers.
            seat.expect_findings(&["ST-21"]);
        }
    }
}

/// The 200 to a PRACK that offered has the answer, in a new call and in a re-INVITE.
#[test]
fn the_success_of_a_prack_with_an_offer_has_no_answer() {
    covers!("OA-48");
    let (mut seat, call) = up(10, false);
    seat.peer_reinvites(&["+video"]);
    seat.settle_briefly();
    let mut session = seat.ua.session.clone();
    session.add_stream(video());
    seat.ua.call(call).early(session.clone());
    let progress = seat.expect(183);
    seat.peer.prack(&progress).offer(&tweaks(&["+video", "audio.codecs=0"])).send();
    let ok = seat.expect(Pick::status(200).of("PRACK"));
    assert_eq!(lines(&ok), ["m=audio 40000 RTP/AVP 0", "m=video 40002 RTP/AVP 97"]);
    seat.ua.call(call).answer_offer(Some(session));
    seat.peer_acknowledges();
    assert_eq!(seat.ua.peers_broke(), []);
}

/// A broken line is no server error: what can be read is used, what cannot is refused with 400 or 488, never 500 or 487,
/// and the call goes on as it was.
#[test]
fn a_malformed_description_ends_in_500_or_487() {
    let bodies: [(&str, u16); 4] = [
        (
            "v=0\r\no=bob 1000 2 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 50000 RTP/AVP 8\r\na=rtpmap: PCMA/8000\r\n",
            200,
        ),
        (
            "v=0\r\no=bob 1000 2 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 50000 RTP/AVP 99\r\na=rtpmap: opus/48000/2\r\n",
            488,
        ),
        ("this is no description", 400),
        ("v=0\r\no=bob 1000 2 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio\r\n", 400),
    ];
    for placed in SEATS {
        for (body, status) in bodies {
            let (mut seat, call) = up(11, placed);
            seat.peer.request("INVITE").body("application/sdp", body).send();
            let reply = seat.expect(status);
            assert_eq!(reply.method(), "INVITE", "{body}");
            if status == 200 {
                seat.peer.ack(&reply).send();
                seat.settle();
                assert_eq!(seat.ua.media(call), "audio <-> 10.0.0.2:50000 8");
            } else {
                seat.settle();
                assert_eq!(seat.ua.media(call), AUDIO, "{body}");
            }
            seat.ua.call(call).hold();
            seat.peer_answers(&[]);
            assert_eq!(seat.ua.held(call), (true, false));
            if body.ends_with("m=audio\r\n") {
                // The version in what cannot be read is not seen, so the next one seems to jump.
                seat.expect_findings(&["OA-29"]);
            }
        }
    }
}

/// The answer to our re-INVITE cannot be read: acknowledged, reported, the session as it was.
#[test]
fn a_malformed_answer_leaves_the_exchange_open() {
    for placed in SEATS {
        let (mut seat, call) = up(11, placed);
        seat.ua.call(call).hold();
        let hold = seat.expect("INVITE");
        seat.peer.reply(&hold, 200).body("application/sdp", "v=0\r\nm=audio\r\n").send();
        seat.expect("ACK");
        seat.settle();
        assert_eq!(seat.ua.media(call), AUDIO);
        assert_eq!(seat.ua.failures(call), [&Failure::Unanswered]);
        seat.ua.call(call).hold();
        seat.peer_answers(&[]);
        assert_eq!(seat.ua.held(call), (true, false));
    }
}

/// The peer wants credentials that we have not: the change is refused, and the call neither dies nor goes silent.
#[test]
fn an_unauthorised_reinvite_drops_the_dialog() {
    for placed in SEATS {
        for (status, header) in [(401, "WWW-Authenticate"), (407, "Proxy-Authenticate")] {
            let (mut seat, call) = up(12, placed);
            seat.ua.call(call).hold();
            let hold = seat.expect("INVITE");
            seat.peer
                .reply(&hold, status)
                .header(header, "Digest realm=\"p\", nonce=\"n\", algorithm=SHA-256")
                .send();
            seat.settle();
            assert_eq!(seat.ua.failures(call), [&Failure::Rejected { status }]);
            assert_eq!(seat.ua.media(call), AUDIO);
            seat.peer.request("BYE").send();
            assert_eq!(seat.expect(200).method(), "BYE");
            seat.settle();
            assert_eq!(seat.ua.ended(call), Some(&Ended::PeerHungUp { reason: None }));
        }
    }
}

/// Both sides change in turn: each compares the other's description with that side's last one, not with its own answer.
#[test]
fn our_own_answer_is_taken_for_the_peers_description() {
    for placed in SEATS {
        let (mut seat, call) = up(13, placed);
        seat.peer_reinvites(&["port=50000"]);
        seat.peer_acknowledges();
        seat.ua.call(call).codecs([Codec::pcmu()]);
        seat.peer_answers(&["port=50000"]);
        assert_eq!(seat.ua.media(call), "audio <-> 10.0.0.2:50000 0 101");
        seat.peer.request("INVITE").same().unwrap().send();
        seat.peer_acknowledges();
        let changed = |event: &&CallEvent| matches!(event, CallEvent::PeerChanged { .. });
        assert_eq!(seat.ua.told(call).filter(changed).count(), 1, "the last one changed nothing");
        assert_eq!(seat.ua.media(call), "audio <-> 10.0.0.2:50000 0 101");
    }
}

/// A move without UPDATE is told by a re-INVITE that repeats the session: same description, same version.
#[test]
fn a_reinvite_for_another_purpose_changes_the_session() {
    covers!("RI-20");
    for placed in SEATS {
        let mut seat = Seat::new(Seed(14)).latency(ms(20));
        seat.peer.allow = WITHOUT_UPDATE.to_owned();
        let call = seat.call(placed);
        let state = seat.ua.state(call);
        seat.ua.call(call).moved(false);
        let told = seat.peer_answers(&[]);
        assert_eq!(version(&told), 1);
        assert_eq!(lines(&told), ["m=audio 40000 RTP/AVP 8 0 101"]);
        let streams = |state: &str| state.split(" | ").nth(1).map(str::to_owned);
        assert_eq!(streams(&seat.ua.state(call)), streams(&state));
    }
}

/// A call that was set up over TCP goes on over TCP, in both directions and for every request.
#[test]
fn a_reinvite_falls_back_to_udp() {
    covers!("RI-26");
    for placed in SEATS {
        let mut seat = Seat::new(Seed(15)).latency(ms(20));
        seat.peer = Party::new("bob", seat.peer.address(), 15).over(Transport::Tcp);
        let call = if placed {
            let to = format!("{};transport=tcp", seat.peer.uri());
            let call = seat.ua.invite(&to);
            let invite = seat.expect("INVITE");
            seat.peer.reply(&invite, 200).answer(&[]).send();
            seat.expect("ACK");
            seat.settle();
            call
        } else {
            seat.answered_call()
        };
        seat.ua.call(call).hold();
        seat.peer_answers(&[]);
        seat.ua.call(call).hang_up();
        let bye = seat.expect("BYE");
        seat.peer.reply(&bye, 200).send();
        seat.settle();
        let over: Vec<_> = seat.packets().iter().map(|packet| (packet.number, packet.transport)).collect();
        assert!(over.iter().all(|(_, transport)| *transport == Transport::Tcp), "{over:?}");
    }
}

/// The next re-INVITE may follow its predecessor at once: an accepted one is done, though its transaction lives on for
/// resent 2xx.
#[test]
fn no_second_change_for_32_seconds() {
    covers!("CF-01");
    for placed in SEATS {
        let (mut seat, call) = up(16, placed);
        for _ in 0..3 {
            seat.ua.call(call).hold();
            seat.peer_answers(&[]);
            seat.ua.call(call).resume();
            seat.peer_answers(&[]);
            seat.peer_reinvites(&["sendonly"]);
            seat.peer_acknowledges();
            seat.peer_reinvites(&[]);
            seat.peer_acknowledges();
        }
        assert_eq!(seat.ua.media(call), AUDIO);
        assert!(seat.now().as_micros() < 30_000_000, "all of it in one go");
        assert_eq!(seat.ua.peers_broke(), []);
    }
}

/// A peer that requires reliable responses in its re-INVITE gets one while the person thinks, and the call goes on.
#[test]
fn a_reinvite_that_requires_100rel_is_refused() {
    covers!("RI-24");
    for reliable in [Reliable::Supported, Reliable::Required] {
        let mut seat = Seat::with(Seed(17), |config| config.reliable = reliable).latency(ms(20));
        let call = seat.call(false);
        seat.peer.request("INVITE").header("Require", "100rel").offer(&tweaks(&["+video"])).send();
        seat.settle_briefly();
        seat.ua.call(call).ring();
        let ringing = seat.expect(180);
        assert!(ringing.header("RSeq").is_some() && ringing.sdp().is_some());
        seat.peer.prack(&ringing).send();
        seat.expect(Pick::status(200).of("PRACK"));
        seat.ua.call(call).answer_offer(None);
        seat.peer_acknowledges();
        assert_eq!(seat.ua.media(call), format!("{AUDIO}, video off"));
    }
}
