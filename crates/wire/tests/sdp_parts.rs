//! The parts of a description are noted once; a look at its lines, one after the other, must find the same.

use midcall_wire::sdp::{Connection, Direction, Line, Media, Origin, Sdp, Version};
use proptest::prelude::*;

/// Lines as peers write them, and as nobody should.
const LINES: &[&[u8]] = &[
    b"v=0",
    b"o=- 1 2 IN IP4 192.0.2.1",
    b"o=- 1 3 IN IP4 192.0.2.1",
    b"o=a b 1  2\tIN IP4 192.0.2.1 ",
    b"o=- 1 2",
    b"o=",
    b"s=J\xfcrgen",
    b"c=IN IP4 192.0.2.1",
    b"c= IN\tIP6  2001:db8::1",
    b"c=IN IP4 224.2.1.1/127/3",
    b"c=",
    b"c=IN",
    b"t=0 0",
    b"m=audio 4000 RTP/AVP 0 8",
    b"m=audio 4000/2 RTP/SAVP 8",
    b"m= video\t0  RTP/AVP  96 97 ",
    b"m=image 9 udptl t38",
    b"m=x 0 y",
    b"a=sendonly",
    b"a=RecvOnly",
    b"a= inactive",
    b"a=sendrecv :x",
    b"a=sendrecvx",
    b"a=recvonly:",
    b"a=rtpmap:8 PCMA/8000",
    b"a=mid:1",
    b"a=bundle-only",
    b"a=Bundle-Only",
    b"a=group:BUNDLE 1",
    b"a=setup:actpass",
    b"a=",
    b"a=\xff\xfe",
    b"",
    b" ",
    b"nonsense",
];

const ENDS: &[&[u8]] = &[b"\r\n", b"\n", b"\r\r\n"];

fn description() -> impl Strategy<Value = Vec<u8>> {
    let line = (prop::sample::select(LINES), prop::sample::select(ENDS));
    let lines = prop::collection::vec(line, 0..14);
    lines.prop_map(|lines| lines.into_iter().flat_map(|(line, end)| [line, end].concat()).collect())
}

fn direction(line: &Line<'_>) -> Option<Direction> {
    let name = line.content().strip_prefix(b"a=")?.split(|byte| *byte == b':').next()?;
    Direction::parse(std::str::from_utf8(name.trim_ascii()).ok()?)
}

fn named<'a>(line: &Line<'a>, name: &str) -> Option<&'a str> {
    let mut parts = line.content().strip_prefix(b"a=")?.splitn(2, |byte| *byte == b':');
    let found = parts.next()?.trim_ascii();
    let value = parts.next().unwrap_or_default().trim_ascii();
    found.eq_ignore_ascii_case(name.as_bytes()).then(|| std::str::from_utf8(value).ok())?
}

fn session(sdp: &Sdp) -> impl Iterator<Item = Line<'_>> {
    sdp.lines().take_while(|line| line.letter() != Some(b'm'))
}

fn value<'a>(lines: impl IntoIterator<Item = Line<'a>>, letter: u8) -> Option<&'a str> {
    lines.into_iter().find_map(|line| line.value_of(letter))
}

fn same_stream(sdp: &Sdp, media: &Media<'_>, lines: &[Line<'_>]) {
    let first = lines.first().and_then(Line::value).unwrap_or_default();
    let fields: Vec<_> = first.split_ascii_whitespace().collect();
    let field = |index: usize| fields.get(index).copied().unwrap_or_default();
    assert_eq!((media.line(), media.kind(), media.protocol()), (first, field(0), field(2)));
    assert_eq!(media.port(), field(1).split('/').next().and_then(|port| port.parse().ok()).unwrap_or(0));
    assert_eq!(media.formats().collect::<Vec<_>>(), fields.get(3..).unwrap_or_default());
    assert_eq!(media.is_rtp(), field(2).to_ascii_uppercase().contains("RTP/"));
    assert_eq!(media.lines().collect::<Vec<_>>(), lines);
    let own = lines.iter().find_map(direction);
    assert_eq!(media.own_direction(), own);
    assert_eq!(
        media.direction(),
        own.or_else(|| session(sdp).find_map(|line| direction(&line))).unwrap_or_default()
    );
    let place = value(lines.iter().copied(), b'c').and_then(Connection::parse);
    let place = place.or_else(|| value(session(sdp), b'c').and_then(Connection::parse));
    assert_eq!(media.connection_data(), place);
    assert_eq!(media.connection(), place.map(|place| place.address));
    for name in ["mid", "setup", "bundle-only", "rtpmap", "x"] {
        assert_eq!(media.attribute(name), lines.iter().find_map(|line| named(line, name)), "{name}");
    }
    let shares_port = media.port() == 0
        && lines.iter().any(|line| named(line, "bundle-only").is_some())
        && media.mid().is_some_and(|mid| sdp.bundles(mid));
    assert_eq!(media.rejected(), media.port() == 0 && !shares_port);
}

proptest! {
    #[test]
    fn parts_are_what_the_lines_say(bytes in description()) {
        let Ok(sdp) = Sdp::parse(&bytes) else { return Ok(()) };
        prop_assert_eq!(sdp.as_bytes(), &bytes[..]);
        let origin = value(session(&sdp), b'o').and_then(Origin::parse);
        prop_assert_eq!(sdp.origin(), origin);
        prop_assert_eq!(sdp.session_id(), origin.map(|origin| origin.session_id));
        prop_assert_eq!(sdp.version(), origin.and_then(|origin| Version::parse(origin.version)));
        prop_assert_eq!(sdp.connection(), value(session(&sdp), b'c').and_then(Connection::parse));
        prop_assert_eq!(sdp.direction(), session(&sdp).find_map(|line| direction(&line)));
        for name in ["setup", "group", "x"] {
            prop_assert_eq!(sdp.attribute(name), session(&sdp).find_map(|line| named(&line, name)));
        }
        let lines: Vec<_> = sdp.lines().collect();
        let starts: Vec<_> = (0..lines.len()).filter(|at| lines[*at].letter() == Some(b'm')).collect();
        prop_assert_eq!(sdp.media_count(), starts.len());
        for (index, start) in starts.iter().enumerate() {
            let end = starts.get(index + 1).copied().unwrap_or(lines.len());
            same_stream(&sdp, &sdp.media_at(index).unwrap(), &lines[*start..end]);
        }
    }

    #[test]
    fn comparisons_are_those_of_lines(one in description(), other in description(), copy in any::<bool>()) {
        let (Ok(one), Ok(mut other)) = (Sdp::parse(&one), Sdp::parse(&other)) else { return Ok(()) };
        if copy {
            other = one.clone();
            other.set_origin_version("77");
            if let Some(mut media) = other.media_mut(0) {
                media.set_direction(Direction::Inactive);
            }
        }
        let session = one.origin().zip(other.origin()).map(|(one, other)| one.same_session(&other));
        prop_assert_eq!(one.is_same_session(&other), session);
        let words = |line: &Line<'_>| -> Vec<Vec<u8>> {
            let words = line.content().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            words.map(<[u8]>::to_vec).collect()
        };
        let origin = |line: &Line<'_>| line.value_of(b'o').and_then(Origin::parse).map(|o| Origin { version: "", ..o }.to_string());
        let same = |(one, other): (&Line<'_>, &Line<'_>)| {
            words(one) == words(other) || origin(one).is_some() && origin(one) == origin(other)
        };
        let lines = |sdp: &Sdp| sdp.lines().filter(|line| !words(line).is_empty()).count();
        let filled = |sdp| -> Vec<Line<'_>> { Sdp::lines(sdp).filter(|line| !words(line).is_empty()).collect() };
        let alike = lines(&one) == lines(&other) && filled(&one).iter().zip(&filled(&other)).all(same);
        prop_assert_eq!(one.same_but_version(&other), alike);
    }

    #[test]
    fn a_version_follows_the_one_before(digits in "[0-9]{1,25}") {
        let version = Version::parse(&digits).unwrap();
        prop_assert!(version.plus_one().follows(&version));
        prop_assert!(!version.follows(&version) && !version.follows(&version.plus_one()));
    }
}
