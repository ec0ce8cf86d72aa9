//! What an answer says to odd and ordinary offers. RFC 3264 §6.

use super::super::decline;
use super::*;

fn bob() -> Party {
    Party::new(2, [audio(5000)])
}

fn answer_to(streams: impl IntoIterator<Item = Stream>, offer: &Sdp) -> Sdp {
    Party::new(2, streams).answer(offer).unwrap()
}

fn with_codecs(codecs: impl IntoIterator<Item = Codec>) -> [Stream; 1] {
    [Stream::audio(5000, codecs)]
}

#[test]
fn formats_follow_the_offer() {
    crate::covers!("OA-25", "OA-26", "OA-28");
    let offer = peer(
        "m=audio 4000 RTP/AVP 18 0 107 8 96\na=rtpmap:107 opus/48000/2\na=rtpmap:96 telephone-event/8000\n",
    );
    let answer = answer_to(
        with_codecs([Codec::pcma(), Codec::opus(), Codec::pcmu(), Codec::g722(), Codec::telephone_event()]),
        &offer,
    );
    assert_eq!(lines(&answer), ["audio 5000 RTP/AVP 0 107 8 96"]);
    // Wanted in one codec only: that one, and the digits.
    let answer = answer_to(with_codecs([Codec::pcma(), Codec::telephone_event()]), &offer);
    assert_eq!(lines(&answer), ["audio 5000 RTP/AVP 8 96"]);
    let media = answer.media_at(0).unwrap();
    assert!(media.has_rtpmap("96") && media.fmtp("96") == Some("0-16"));
}

#[test]
fn dynamic_numbers_are_explained() {
    crate::covers!("OA-47");
    let offer = peer("m=audio 4000 RTP/AVP 97\na=rtpmap:97 iLBC/8000\n");
    let answer = answer_to(with_codecs([Codec::new("ILBC", 8000)]), &offer);
    assert!(answer.media_at(0).unwrap().has_rtpmap("97"));
}

#[test]
fn unknown_types_are_refused_line_by_line() {
    let offer = peer(
        "m=application 4100 UDP/BFCP *\nm=audio 4000 RTP/AVP 8\nm=image 4200 udptl t38\nm=video 0 RTP/AVP 31 34\nm=weird 9 TCP/X a b c\n",
    );
    let answer = answer_to([audio(5000)], &offer);
    assert_eq!(
        lines(&answer),
        [
            "application 0 UDP/BFCP *",
            "audio 5000 RTP/AVP 8",
            "image 0 udptl t38",
            "video 0 RTP/AVP 31 34",
            "weird 0 TCP/X a b c"
        ]
    );
}

#[test]
fn an_offer_nobody_can_use_is_refused_with_a_reason() {
    crate::covers!("OA-12");
    let refusal = |media: &str| bob().answer(&peer(media)).unwrap_err();
    assert_eq!(refusal("m=video 4000 RTP/AVP 31\n").to_string(), "304 Media type not available: video");
    assert_eq!(refusal("m=audio 4000 RTP/AVP 18 3\n").to_string(), "305 Incompatible media format: 18 3");
    assert_eq!(refusal("m=audio 4000 RTP/AVP 101\na=rtpmap:101 telephone-event/8000\n").warning, 305);
    assert_eq!(
        refusal("m=audio 4000 RTP/SAVP 8\n").to_string(),
        "302 Incompatible transport protocol: RTP/SAVP"
    );
    assert_eq!(
        refusal("m=audio 4000 RTP/AVP 8\nc=IN IP6 2001:db8::1\n").to_string(),
        "301 Incompatible network address formats: IP6"
    );
    // Nothing of the peer breaks out of the quotes of a Warning.
    let text = refusal("m=x\"y\\\u{e9}z 4000 RTP/AVP 8\n").text;
    assert_eq!(text, "Media type not available: xyz");
}

#[test]
fn an_offer_with_everything_off_is_answered_alike() {
    let answer = bob().answer(&peer("m=audio 0 RTP/AVP 8\nm=video 0 RTP/AVP 31\n")).unwrap();
    assert_eq!(lines(&answer), ["audio 0 RTP/AVP 8", "video 0 RTP/AVP 31"]);
}

#[test]
fn an_offer_that_cannot_be_refused_is_declined() {
    crate::covers!("OA-13");
    let offer = peer("m=audio 4000 RTP/AVP 18\nm=video 4002 RTP/AVP 31\n");
    let bob = bob();
    let declined = decline(&bob.wanted, &offer, bob.local());
    assert_eq!(lines(&declined), ["audio 0 RTP/AVP 18", "video 0 RTP/AVP 31"]);
    assert!(check_answer(&offer, &declined).is_empty());
}

#[test]
fn the_times_are_those_of_the_offer() {
    let offer = Sdp::parse(
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=2873397496 2873404696\r\nr=7d 1h 0 25h\r\n\
          m=audio 4000 RTP/AVP 8\r\n",
    )
    .unwrap();
    let answer = bob().answer(&offer).unwrap();
    assert!(answer.to_string().contains("\r\nt=2873397496 2873404696\r\nr=7d 1h 0 25h\r\nm="));
    let timeless =
        Sdp::parse(b"v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 8\n");
    assert!(bob().answer(&timeless.unwrap()).unwrap().to_string().contains("\r\nt=0 0\r\n"));
}

#[test]
fn the_answer_has_an_origin_of_its_own() {
    crate::covers!("OA-46");
    let offer = peer("m=audio 4000 RTP/AVP 8\n");
    let mut bob = bob();
    let answer = bob.answer(&offer).unwrap();
    assert_eq!(answer.origin().unwrap().session_id, "2000");
    assert_eq!(bob.answer(&offer).unwrap(), answer, "the same answer again has the same version");
}

#[test]
fn digits_survive_with_a_peer_of_one_clock() {
    let offer =
        peer("m=audio 4000 RTP/AVP 101 107\na=rtpmap:107 opus/48000/2\na=rtpmap:101 telephone-event/8000\n");
    let answer = answer_to(with_codecs([Codec::opus(), Codec::telephone_event()]), &offer);
    assert_eq!(lines(&answer), ["audio 5000 RTP/AVP 101 107"]);
    // With both clocks offered, only the right one is taken.
    let offer = peer(
        "m=audio 4000 RTP/AVP 107 101 110\na=rtpmap:107 opus/48000/2\na=rtpmap:101 telephone-event/8000\na=rtpmap:110 telephone-event/48000\n",
    );
    let answer = answer_to(with_codecs([Codec::opus(), Codec::telephone_event()]), &offer);
    assert_eq!(lines(&answer), ["audio 5000 RTP/AVP 107 110"]);
    let answer = answer_to(with_codecs([Codec::opus()]), &offer);
    assert_eq!(lines(&answer), ["audio 5000 RTP/AVP 107"]);
}

#[test]
fn a_number_we_used_otherwise_is_not_taken_over() {
    let (mut alice, mut bob) = pair();
    alice.wanted.codecs(0, [Codec::new("speex", 16000).numbered(96), Codec::pcma()]);
    exchange(&mut alice, &mut bob);
    alice.wanted.codecs(0, [Codec::new("speex", 16000), Codec::opus(), Codec::pcma()]);
    // The peer gives 96 a new meaning; we may not.
    let offer = peer("m=audio 4000 RTP/AVP 96 8\na=rtpmap:96 opus/48000/2\n");
    let answer = alice.answer(&offer).unwrap();
    let media = answer.media_at(0).unwrap();
    let opus = media.formats().find(|format| media.rtpmap(format).unwrap().name == "opus").unwrap();
    assert_ne!(opus, "96");
}

#[test]
fn packings_that_do_not_fit_are_no_match() {
    let amr = |fmtp: &'static str| Codec::new("AMR-WB", 16000).with_fmtp(fmtp);
    let offer =
        peer("m=audio 4000 RTP/AVP 97\na=rtpmap:97 AMR-WB/16000/1\na=fmtp:97 mode-set=2; octet-align=1\n");
    assert!(Party::new(2, with_codecs([amr("mode-set=2")])).answer(&offer).is_err());
    let answer = answer_to(with_codecs([amr("octet-align=1")]), &offer);
    assert_eq!(answer.media_at(0).unwrap().fmtp("97"), Some("octet-align=1"));
}

#[test]
fn each_line_gets_the_stream_that_fits_it() {
    // The same voice offered twice, secured and not.
    let offer = peer("m=audio 4000 RTP/SAVP 8\nm=audio 4002 RTP/AVP 8\n");
    assert_eq!(lines(&answer_to([audio(5000)], &offer)), ["audio 0 RTP/SAVP 8", "audio 5000 RTP/AVP 8"]);
}

#[test]
fn the_family_of_addresses_is_that_of_the_offer() {
    crate::covers!("OA-39");
    let offer = peer("m=audio 4000 RTP/AVP 8\nc=IN IP6 black.hole.invalid\na=inactive\n");
    let mut dual = bob();
    dual.wanted.streams[0].address = Some([0x2001, 0xdb8, 0, 0, 0, 0, 0, 2].into());
    let answer = dual.answer(&offer).unwrap();
    assert_eq!(answer.media_at(0).unwrap().connection_data().unwrap().address_type, "IP6");
}

#[test]
fn tags_and_multiplexing_follow_the_offer() {
    crate::covers!("OA-55", "OA-56");
    let mut stream = audio(5000);
    stream.attributes = ["rtcp-mux", "rtcp-mux-only", "ptime:20", "mid:own"].map(str::to_owned).to_vec();
    let answer = answer_to(
        [stream.clone()],
        &peer("m=audio 4000 RTP/AVP 8\na=mid:first\nm=video 4002 RTP/AVP 31\na=mid:second\n"),
    );
    let tags: Vec<_> = answer.media().map(|media| media.mid()).collect();
    assert_eq!(tags, [Some("first"), Some("second")]);
    let media = answer.media_at(0).unwrap();
    assert_eq!(media.ptime(), Some(20));
    assert!(!media.has_attribute("rtcp-mux") && !media.has_attribute("rtcp-mux-only"));
    let answer = answer_to([stream], &peer("m=audio 4000 RTP/AVP 8\na=rtcp-mux\na=rtcp-mux-only\n"));
    let media = answer.media_at(0).unwrap();
    assert!(
        media.has_attribute("rtcp-mux") && !media.has_attribute("rtcp-mux-only") && media.mid().is_none()
    );
}

#[test]
fn the_role_in_dtls_is_decided_by_the_answer() {
    crate::covers!("OA-53");
    let role = |ours: &str, offered: &str| {
        let mut stream = audio(5000);
        stream.attributes.push(format!("setup:{ours}"));
        let answer = answer_to([stream], &peer(&format!("m=audio 4000 RTP/AVP 8\n{offered}")));
        answer.media_at(0).unwrap().attribute("setup").map(str::to_owned)
    };
    assert_eq!(role("actpass", "a=setup:actpass\n").as_deref(), Some("active"));
    assert_eq!(role("passive", "a=setup:actpass\n").as_deref(), Some("passive"));
    assert_eq!(role("actpass", "a=setup:active\n").as_deref(), Some("passive"));
    assert_eq!(role("actpass", "a=setup:passive\n").as_deref(), Some("active"));
    assert_eq!(role("actpass", ""), None);
}

#[test]
fn keys_answer_the_offered_tag_and_suite() {
    crate::covers!("OA-54");
    let mut stream = audio(5000);
    stream.protocol = "RTP/SAVP".into();
    stream.attributes.push("crypto:1 AES_CM_128_HMAC_SHA1_80 inline:ours".to_owned());
    let offer = peer(
        "m=audio 4000 RTP/SAVP 8\na=crypto:3 AES_CM_128_HMAC_SHA1_32 inline:a\na=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:b\n",
    );
    let answer = answer_to([stream.clone()], &offer);
    let keys: Vec<_> = answer.media_at(0).unwrap().attributes("crypto").map(str::to_owned).collect();
    assert_eq!(keys, ["7 AES_CM_128_HMAC_SHA1_80 inline:ours"]);
    let strange = peer("m=audio 4000 RTP/SAVP 8\na=crypto:1 F8_128_HMAC_SHA1_80 inline:a\n");
    assert_eq!(Party::new(2, [stream]).answer(&strange).unwrap_err().warning, 305);
}

#[test]
fn a_section_that_only_lives_in_a_bundle_is_refused() {
    let head =
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=group:BUNDLE a v\r\n";
    let offer = format!(
        "{head}m=audio 4000 RTP/AVP 8\r\na=mid:a\r\nm=video 0 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\na=mid:v\r\na=bundle-only\r\n"
    );
    let answer = answer_to([audio(5000), video(5002)], &Sdp::parse(offer.as_bytes()).unwrap());
    assert_eq!(lines(&answer), ["audio 5000 RTP/AVP 8", "video 0 RTP/AVP 97"]);
    assert_eq!(answer.groups().count(), 0);
}
