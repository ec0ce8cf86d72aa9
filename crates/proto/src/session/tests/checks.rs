//! Each fault, once.

use midcall_wire::sdp::Direction::{SendOnly, SendRecv};

use super::super::{Fault, check_tones};
use super::*;

const OFFER: &str = "m=audio 4000 RTP/AVP 8 96\na=rtpmap:96 opus/48000/2\na=mid:a\nm=video 0 RTP/AVP 31\n";

/// The description of the side that answers.
fn answered(media: &str) -> Sdp {
    let text =
        peer(media).to_string().replace("o=peer 5 1 IN IP4 198.51.100.1", "o=- 9 3 IN IP4 198.51.100.2");
    Sdp::parse(text.as_bytes()).unwrap()
}

fn faults(offer: &str, answer: &str) -> Vec<Fault> {
    check_answer(&peer(offer), &answered(answer))
}

#[test]
fn good_answers_have_none() {
    for answer in [
        "m=audio 5000 RTP/AVP 8\nm=video 0 RTP/AVP 31\n",
        "m=audio 5000 RTP/AVP 8 97\na=rtpmap:97 opus/48000/2\na=recvonly\nm=video 0 RTP/AVP 31\n",
        "m=audio 5000 RTP/AVP 8 0\nm=video 0 RTP/AVP 31\n",
        "m=AUDIO 0 RTP/AVP 8\na=sendonly\nm=video 0 RTP/AVP 99\n",
    ] {
        assert_eq!(faults(OFFER, answer), [], "{answer}");
    }
}

#[test]
fn faults_of_an_answer() {
    let video = "m=video 0 RTP/AVP 31\n";
    let one = |answer: &str| {
        let found = faults(OFFER, &format!("{answer}{video}"));
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    };
    assert_eq!(faults(OFFER, "m=audio 5000 RTP/AVP 8\n"), [Fault::LineCount { offered: 2, answered: 1 }]);
    assert_eq!(one("m=video 5000 RTP/AVP 8\n"), Fault::MediaType { stream: 0 });
    assert_eq!(
        faults(OFFER, "m=audio 5000 RTP/AVP 8\nm=video 5002 RTP/AVP 31\n"),
        [Fault::Revived { stream: 1 }]
    );
    assert_eq!(one("m=audio 0 RTP/AVP\n"), Fault::NoFormat { stream: 0 });
    assert_eq!(one("m=audio 5000 RTP/AVP 0\n"), Fault::NoCommonFormat { stream: 0 });
    assert_eq!(
        one("m=audio 5000 RTP/AVP 97 8\na=rtpmap:97 opus/48000/2\n"),
        Fault::FormatOrder { stream: 0 }
    );
    assert_eq!(one("m=audio 5000 RTP/AVP 8 98\n"), Fault::Unexplained { stream: 0, payload: 98 });
    assert_eq!(one("m=audio 5000 RTP/AVP 8\na=setup:actpass\n"), Fault::SetupOpen { stream: 0 });
    assert_eq!(one("m=audio 5000 RTP/AVP 8\na=crypto:1 A inline:x\n"), Fault::CryptoNotOffered { stream: 0 });
    assert_eq!(one("m=audio 5000 RTP/AVP 8\na=mid:b\n"), Fault::MidChanged { stream: 0 });
    assert_eq!(one("m=audio 5000 RTP/AVP 8\na=rtcp-mux-only\n"), Fault::MuxOnlyAnswered { stream: 0 });
    assert_eq!(one("m=audio 5000 RTP/AVP 8\nc=IN IP6 ::1\n"), Fault::AddressFamily { stream: 0 });
}

#[test]
fn directions_the_offer_does_not_leave() {
    for offered in Direction::ALL {
        for answer in Direction::ALL {
            let found = faults(
                &format!("m=audio 4000 RTP/AVP 8\na={offered}\n"),
                &format!("m=audio 5000 RTP/AVP 8\na={answer}\n"),
            );
            let fault = Fault::Direction { stream: 0, offered, answered: answer };
            let expected = if offered.may_be_answered(answer) { vec![] } else { vec![fault] };
            assert_eq!(found, expected);
        }
    }
    let fault = Fault::Direction { stream: 0, offered: SendOnly, answered: SendRecv };
    assert_eq!((fault.code(), fault.stream()), ("OA-23", Some(0)));
}

#[test]
fn copied_lines_are_noticed() {
    let zero = "m=audio 4000 RTP/AVP 8\nc=IN IP4 0.0.0.0\n";
    assert_eq!(faults(zero, zero), [Fault::ZeroAddress { stream: 0 }]);
    let ice = "m=audio 9 RTP/AVP 8\nc=IN IP4 0.0.0.0\na=candidate:0 1 UDP 1 192.0.2.3 5 typ host\n";
    assert_eq!(faults(ice, ice), []);
    let offer = peer("m=audio 4000 RTP/AVP 8 0\n");
    let echo = peer("m=audio 5000 RTP/AVP 8\n");
    assert_eq!(check_answer(&offer, &echo), [Fault::OriginEchoed]);
    // A mirror that answers with the very same bytes changes nothing at all.
    assert_eq!(check_answer(&offer, &offer), []);
}

#[test]
fn faults_of_the_next_description() {
    let first = peer("m=audio 4000 RTP/AVP 8 96\na=rtpmap:96 opus/48000/2\n");
    let next = |origin: &str, media: &str| {
        let text = peer(media).to_string().replace("peer 5 1 IN IP4 198.51.100.1", origin);
        check_next(&first, 1, &Sdp::parse(text.as_bytes()).unwrap())
    };
    let same = "m=audio 4000 RTP/AVP 8 96\na=rtpmap:96 opus/48000/2\n";
    let held = "m=audio 4000 RTP/AVP 8 96\na=rtpmap:96 opus/48000/2\na=sendonly\n";
    let (one, two) = ("peer 5 1 IN IP4 198.51.100.1", "peer 5 2 IN IP4 198.51.100.1");
    assert_eq!(next(one, same), []);
    assert_eq!(next(two, same), [], "an unneeded step is no fault of this rule");
    assert_eq!(next(two, held), []);
    assert_eq!(next(one, held), [Fault::VersionKept]);
    assert_eq!(next("peer 5 3 IN IP4 198.51.100.1", held), [Fault::VersionStep]);
    assert_eq!(next("peer 5 0 IN IP4 198.51.100.1", held), [Fault::VersionStep]);
    assert_eq!(next("peer 6 2 IN IP4 198.51.100.1", held), [Fault::OriginChanged]);
    assert_eq!(next("peer 5 2 IN IP4 198.51.100.9", held), [Fault::OriginChanged]);
    assert_eq!(next(two, ""), [Fault::LinesLost { before: 1, now: 0 }]);
    let moved = "m=audio 4000 RTP/AVP 8 96\na=rtpmap:96 speex/16000\n";
    assert_eq!(next(two, moved), [Fault::Renumbered { stream: 0, payload: 96 }]);
    let parameters = "m=audio 4000 RTP/AVP 8 96\na=rtpmap:96 OPUS/48000/2\na=fmtp:96 useinbandfec=1\n";
    assert_eq!(next(two, parameters), []);
}

/// What `check_next` says of two descriptions that differ in their streams.
fn stepped(before: &str, after: &str) -> Vec<Fault> {
    let after = peer(after).to_string().replace("peer 5 1", "peer 5 2");
    check_next(&peer(before), 0, &Sdp::parse(after.as_bytes()).unwrap())
}

#[test]
fn an_ice_restart_by_halves_is_noticed() {
    crate::covers!("OA-51");
    let ice = |ufrag: &str, password: &str| {
        format!("m=audio 4000 RTP/AVP 8\na=ice-ufrag:{ufrag}\na=ice-pwd:{password}\n")
    };
    assert_eq!(stepped(&ice("a", "b"), &ice("a", "b")), []);
    assert_eq!(stepped(&ice("a", "b"), &ice("c", "d")), []);
    assert_eq!(stepped(&ice("a", "b"), &ice("c", "b")), [Fault::IceHalfRestart { stream: 0 }]);
    assert_eq!(stepped(&ice("a", "b"), &ice("a", "d")), [Fault::IceHalfRestart { stream: 0 }]);
    assert_eq!(stepped(&ice("a", "b"), "m=audio 4000 RTP/AVP 8\n"), []);
}

#[test]
fn a_key_that_outlives_its_port_is_noticed() {
    crate::covers!("OA-54");
    let secured = |port: u16, key: &str| {
        format!("m=audio {port} RTP/SAVP 8\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\n")
    };
    assert_eq!(stepped(&secured(4000, "k"), &secured(4000, "k")), []);
    assert_eq!(stepped(&secured(4000, "k"), &secured(4002, "n")), []);
    assert_eq!(stepped(&secured(4000, "k"), &secured(4002, "k")), [Fault::KeyKept { stream: 0 }]);
}

#[test]
fn streams_that_change_places_are_noticed() {
    crate::covers!("OA-19", "OA-42");
    let offered = |before: &str, after: &str| check_offer(&peer(before), &peer(after));
    let (audio, video) = ("m=audio 4000 RTP/AVP 8\n", "m=video 4002 RTP/AVP 31\n");
    let swapped = offered(&format!("{audio}{video}"), &format!("{video}{audio}"));
    assert_eq!(swapped, [Fault::Reordered { stream: 0 }]);
    assert_eq!(offered(&format!("{audio}{video}"), &format!("{audio}m=image 4002 udptl t38\n")), []);
    assert_eq!(offered("m=audio 0 RTP/AVP 8\nm=video 4002 RTP/AVP 31\n", &format!("{video}{audio}")), []);
}

#[test]
fn candidates_of_a_removed_stream_are_noticed() {
    crate::covers!("OA-52");
    let candidate = "a=candidate:1 1 UDP 2130706431 192.0.2.1 4000 typ host\n";
    let live = peer(&format!("m=audio 4000 RTP/AVP 8\n{candidate}"));
    let gone = peer(&format!("m=audio 0 RTP/AVP 8\n{candidate}"));
    assert_eq!(check_offer(&live, &gone), [Fault::DeadCandidates { stream: 0 }]);
    assert_eq!(check_offer(&gone, &live), []);
}

#[test]
fn an_offer_without_what_is_in_use_is_noticed() {
    crate::covers!("OA-43");
    let overlap = |before: &str, after: &str| check_overlap(&peer(before), &peer(before), &peer(after));
    assert_eq!(overlap("m=audio 1 RTP/AVP 8\n", "m=audio 1 RTP/AVP 9\n"), [Fault::NoOverlap { stream: 0 }]);
    assert_eq!(overlap("m=audio 1 RTP/AVP 8 0\n", "m=audio 1 RTP/AVP 9 0\n"), []);
    assert_eq!(overlap("m=audio 1 RTP/AVP 8\n", "m=image 1 udptl t38\n"), []);
    assert_eq!(overlap("m=audio 0 RTP/AVP 8\n", "m=audio 1 RTP/AVP 9\n"), []);
    let (pcma, g722, refused) = ("m=audio 1 RTP/AVP 8\n", "m=audio 1 RTP/AVP 9\n", "m=audio 0 RTP/AVP 8\n");
    assert_eq!(check_overlap(&peer(pcma), &peer(refused), &peer(g722)), [], "the peer had refused it");
}

#[test]
fn tones_that_are_lost_alone_are_noticed() {
    crate::covers!("OA-57");
    let tones = "a=rtpmap:101 telephone-event/8000\n";
    let with = peer(&format!("m=audio 1 RTP/AVP 8 0 101\n{tones}"));
    let (without, narrowed) = (peer("m=audio 1 RTP/AVP 8 0\n"), peer("m=audio 1 RTP/AVP 8\n"));
    assert_eq!(check_tones(&with, &with, None, &without), [Fault::EventsLost { stream: 0 }]);
    assert_eq!(check_tones(&with, &with, None, &narrowed), [], "codecs were chosen");
    assert_eq!(check_tones(&with, &without, None, &without), [], "they were never agreed");
    assert_eq!(check_tones(&with, &with, Some(&without), &without), [], "the offer has none");
    assert_eq!(check_tones(&with, &with, Some(&with), &without), [Fault::EventsLost { stream: 0 }]);
}

#[test]
fn numbers_beyond_63_bits_are_noticed() {
    crate::covers!("OA-33");
    let with = |digits: &str| {
        let text = peer("m=audio 4000 RTP/AVP 8\n").to_string().replace("5 1 IN", digits);
        Sdp::parse(text.as_bytes()).unwrap()
    };
    let old = with("5 9223372036854775807 IN");
    assert_eq!(check_next(&old, 1, &with("5 9223372036854775808 IN")), [Fault::VersionTooLarge]);
    // Whoever starts that high still is counted right.
    let old = with("5 99999999999999999999 IN");
    assert_eq!(check_next(&old, 1, &with("5 100000000000000000000 IN")), [Fault::VersionTooLarge]);
}

#[test]
fn faults_speak_for_themselves() {
    let all = [
        Fault::LineCount { offered: 2, answered: 1 },
        Fault::MediaType { stream: 0 },
        Fault::Revived { stream: 0 },
        Fault::NoFormat { stream: 0 },
        Fault::NoCommonFormat { stream: 0 },
        Fault::FormatOrder { stream: 0 },
        Fault::ZeroAddress { stream: 0 },
        Fault::AddressFamily { stream: 0 },
        Fault::OriginEchoed,
        Fault::Unexplained { stream: 0, payload: 96 },
        Fault::SetupOpen { stream: 0 },
        Fault::CryptoNotOffered { stream: 0 },
        Fault::MidChanged { stream: 0 },
        Fault::MuxOnlyAnswered { stream: 0 },
        Fault::LinesLost { before: 2, now: 1 },
        Fault::Reordered { stream: 0 },
        Fault::DeadCandidates { stream: 0 },
        Fault::NoOverlap { stream: 0 },
        Fault::EventsLost { stream: 0 },
        Fault::Renumbered { stream: 0, payload: 96 },
        Fault::IceHalfRestart { stream: 0 },
        Fault::KeyKept { stream: 0 },
        Fault::OriginChanged,
        Fault::VersionStep,
        Fault::VersionKept,
        Fault::VersionTooLarge,
    ];
    let mut texts: Vec<_> = all.iter().map(ToString::to_string).collect();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), all.len());
    assert!(all.iter().all(|fault| fault.code().starts_with("OA-")));
}
