use super::*;

const CALL: &str = "v=0\r\no=- 7 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                    m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
                    a=sendrecv\r\nm=video 4002 RTP/AVP 31\r\n";

fn sdp(text: &str) -> Sdp {
    Sdp::parse(text.as_bytes()).unwrap()
}

#[test]
fn errors_say_where_and_what() {
    let error = |text: &str| {
        let error = Sdp::parse(text.as_bytes()).unwrap_err();
        (error.line, error.at, error.problem)
    };
    assert_eq!(error(""), (1, 0, SdpProblem::NotSdp));
    assert_eq!(error("\r\n\r\n"), (2, 2, SdpProblem::NotSdp));
    assert_eq!(error("hello\r\nv=0\r\n"), (1, 0, SdpProblem::NotSdp));
    assert_eq!(error("v=0\nm=audio\n"), (2, 4, SdpProblem::MediaIncomplete));
    assert_eq!(error("v=0\nm=audio 1\n"), (2, 4, SdpProblem::MediaIncomplete));
    assert_eq!(error("v=0\nm=audio 65536 RTP/AVP 0\n"), (2, 4, SdpProblem::MediaPort));
    assert_eq!(error("v=0\nm=audio 4000/x RTP/AVP 0\n"), (2, 4, SdpProblem::MediaPort));
    let error = Sdp::parse(b"v=0\nm=aud\xffio 1 RTP/AVP 0\n").unwrap_err();
    assert_eq!(error.problem, SdpProblem::MediaText);
}

#[test]
fn limits_hold() {
    let small = SdpLimits { bytes: 100, media: 2, formats: 3 };
    let problem =
        |text: &str| Sdp::parse_with(text.as_bytes(), &small).map_err(|error| (error.line, error.problem));
    assert!(problem("v=0\nm=audio 1 RTP/AVP 0 1 2\nm=audio 1 RTP/AVP 0\n").is_ok());
    assert_eq!(problem("v=0\nm=audio 1 RTP/AVP 0 1 2 3\n"), Err((2, SdpProblem::TooManyFormats)));
    let three = "v=0\nm=a 1 RTP/AVP 0\nm=a 1 RTP/AVP 0\nm=a 1 RTP/AVP 0\n";
    assert_eq!(problem(three), Err((4, SdpProblem::TooManyMedia)));
    let long = format!("v=0\n{}", "x=y\n".repeat(30));
    assert_eq!(problem(&long), Err((26, SdpProblem::TooLong)));
    let text = Sdp::parse_with(long.as_bytes(), &small).unwrap_err().to_string();
    assert_eq!(text, "line 26, byte 100: the description is longer than the limit");
}

#[test]
fn directions_multiply() {
    for one in Direction::ALL {
        assert_eq!(one.reversed().reversed(), one);
        assert_eq!(Direction::parse(one.as_str()), Some(one));
        assert_eq!(Direction::of(one.sends(), one.receives()), one);
        for other in Direction::ALL {
            assert_eq!(one.and(other).sends(), one.sends() && other.sends());
            assert_eq!(one.and(other).receives(), one.receives() && other.receives());
        }
    }
}

#[test]
fn answers_to_a_direction() {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    // RFC 3264 §6.1, all sixteen pairs.
    let allowed = [
        (SendRecv, [true, true, true, true]),
        (SendOnly, [false, false, true, true]),
        (RecvOnly, [false, true, false, true]),
        (Inactive, [false, false, false, true]),
    ];
    for (offer, answers) in allowed {
        for (answer, allowed) in Direction::ALL.into_iter().zip(answers) {
            assert_eq!(offer.may_be_answered(answer), allowed, "{offer} answered {answer}");
        }
    }
}

#[test]
fn session_lines_are_put_in_their_order() {
    let mut sdp = sdp("v=0\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n");
    let origin = Origin::parse("- 1 2 IN IP4 192.0.2.1").unwrap();
    sdp.set_origin(&origin);
    sdp.set_connection(&Connection::parse("IN IP4 192.0.2.1").unwrap());
    sdp.set_attribute("group", Some("LS 1"));
    sdp.media_mut(0).unwrap().set_connection(&Connection::parse("IN IP6 2001:db8::1").unwrap());
    assert_eq!(
        sdp.to_string(),
        "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=group:LS 1\r\n\
         m=audio 4000 RTP/AVP 8\r\nc=IN IP6 2001:db8::1\r\n"
    );
    sdp.set_origin(&Origin { version: "3", ..origin });
    sdp.set_attribute("group", Some("LS 2"));
    assert_eq!((sdp.origin().unwrap().version, sdp.attribute("group")), ("3", Some("LS 2")));
    sdp.remove_attribute("group");
    assert_eq!(sdp.groups().count(), 0);
}

#[test]
fn attributes_come_and_go() {
    let mut sdp = sdp(CALL);
    let mut audio = sdp.media_mut(0).unwrap();
    audio.set_attribute("ptime", Some("20"));
    audio.set_attribute("ptime", Some("30"));
    audio.add_attribute("crypto", Some("1 A inline:x"));
    audio.add_attribute("crypto", Some("2 B inline:y"));
    assert_eq!(audio.view().unwrap().ptime(), Some(30));
    assert_eq!(audio.view().unwrap().attributes("crypto").count(), 2);
    audio.remove_attribute("crypto");
    audio.remove_attribute("ptime");
    assert_eq!(sdp.to_string(), CALL);
}

#[test]
fn streams_are_added_below() {
    let mut sdp = sdp(CALL);
    assert_eq!(sdp.push_media("image 4500 udptl t38", ["a=T38FaxVersion:0"]), Some(2));
    assert!(sdp.to_string().ends_with("\r\nm=image 4500 udptl t38\r\na=T38FaxVersion:0\r\n"));
    let before = sdp.clone();
    for bad in ["image", "image x udptl t38", "image 1"] {
        assert_eq!(sdp.push_media(bad, []), None);
    }
    assert_eq!(sdp.push_media("audio 1 RTP/AVP 0", ["m=audio 2 RTP/AVP 0"]), None);
    assert_eq!(sdp, before);
    assert!(sdp.media_mut(3).is_none());
}

#[test]
fn no_line_gets_in_through_a_value() {
    let mut sdp = sdp(CALL);
    sdp.set_origin_version("2\r\nm=audio 1 RTP/AVP 0");
    sdp.set_attribute("x", Some("1\nm=audio 1 RTP/AVP 0"));
    sdp.media_mut(0).unwrap().set_attribute("x\r\nm=audio 1 RTP/AVP 0", None);
    sdp.media_mut(0).unwrap().set_protocol("RTP/SAVP\r\nm=x");
    assert_eq!(sdp.media_count(), 2);
}

#[test]
fn only_the_version_and_spaces_do_not_count() {
    let base = sdp(CALL);
    let same = [
        CALL.replace("7 1 IN", "7 99 IN"),
        CALL.replace("\r\n", "\n"),
        CALL.replace("AVP 8 101", "AVP  8\t101 "),
        CALL.trim_end().to_owned(),
        format!("{CALL}\r\n"),
    ];
    for text in &same {
        assert!(base.same_but_version(&sdp(text)), "{text}");
    }
    let other = [
        CALL.replace("7 1 IN", "8 1 IN"),
        CALL.replace("4000", "4002"),
        CALL.replace("8 101", "101 8"),
        CALL.replace("a=sendrecv\r\n", ""),
        format!("{CALL}a=ptime:20\r\n"),
    ];
    for text in &other {
        assert!(!base.same_but_version(&sdp(text)), "{text}");
    }
}

#[test]
fn versions_are_numbers_of_any_length() {
    let version = |digits| Version::parse(digits).unwrap();
    assert!(version("9") < version("10") && version("0010") > version("9"));
    assert_eq!(version("000"), version("0"));
    assert_eq!(version("199").plus_one().as_str(), "200");
    assert_eq!(version("0").plus_one().to_string(), "1");
    assert!(version("9223372036854775807").fits_63_bits() && version("0").fits_63_bits());
    assert!(!version("9223372036854775808").fits_63_bits());
    assert!(Version::parse("").is_none() && Version::parse("1a").is_none() && Version::parse("-1").is_none());
}

#[test]
fn two_descriptions_of_an_idle_call_fit_a_kilobyte() {
    let call = sdp(CALL);
    let shared = call.clone();
    assert_eq!(shared.as_bytes().as_ptr(), call.as_bytes().as_ptr(), "a clone shares the text");
    assert!(size_of::<Sdp>() <= 16);
    assert!(2 * (size_of::<Sdp>() + 16 + call.as_bytes().len()) < 1024);
}

#[test]
fn groups_keys_and_bandwidth_are_read() {
    let text = CALL.replace("t=0 0\r\n", "b=CT:64\r\nt=0 0\r\na=group:BUNDLE a v\r\na=group:LS a v\r\n");
    let text = text.replace("a=sendrecv\r\n", "a=sendrecv\r\na=mid:a\r\nb=AS:64\r\n");
    let sdp = sdp(&text);
    let groups: Vec<_> = sdp.groups().map(|group| (group.semantics, group.mids().count())).collect();
    assert_eq!(groups, [("BUNDLE", 2), ("LS", 2)]);
    assert!(sdp.bundles("a") && !sdp.bundles("x"));
    assert_eq!(sdp.bandwidth().collect::<Vec<_>>(), ["CT:64"]);
    assert_eq!(sdp.media_at(0).unwrap().bandwidth().collect::<Vec<_>>(), ["AS:64"]);
    assert_eq!(sdp.media_at(0).unwrap().inherited("group"), Some("BUNDLE a v"));
    assert_eq!(sdp.times().collect::<Vec<_>>(), ["0 0"]);
    let crypto = Crypto::parse("1 AES_CM_128_HMAC_SHA1_80 inline:k UNENCRYPTED_SRTP").unwrap();
    assert_eq!(crypto.parameters, "inline:k UNENCRYPTED_SRTP");
    assert!(Crypto::parse("1 AES").is_none());
}

#[test]
fn hold_and_refresh_change_only_directions() {
    let plain = sdp(CALL);
    let mut held = plain.clone();
    held.media_mut(0).unwrap().set_direction(Direction::SendOnly);
    held.set_origin_version("99");
    assert!(plain.same_but_direction(&held) && held.same_but_direction(&plain));
    let unsaid = sdp(&CALL.replace("a=sendrecv\r\n", ""));
    assert!(plain.same_but_direction(&unsaid) && unsaid.same_but_direction(&plain));
    assert!(!plain.same_but_version(&unsaid));
    let mut moved = held.clone();
    moved.media_mut(0).unwrap().set_port(4);
    assert!(!plain.same_but_direction(&moved));
    assert!(!plain.same_but_direction(&sdp(&CALL.replace("t=0 0", "t=0 1"))));
    assert!(!plain.same_but_direction(&sdp(&format!("{CALL}a=ptime:20\r\n"))));
}
