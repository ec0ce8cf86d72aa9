//! Session descriptions as they turn up in the field, one file each in `tests/sdp`.

#![expect(clippy::disallowed_methods, reason = "the tests read their samples from files")]

use std::fs;
use std::path::Path;

use midcall_wire::sdp::{Connection, Direction, Format, Sdp, Version};

fn read(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdp").join(format!("{name}.sdp"))).unwrap()
}

fn sdp(name: &str) -> Sdp {
    Sdp::parse(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Name, then for each stream the type, port, transport, formats and direction.
const STREAMS: &[(&str, &[&str])] = &[
    (
        "application-refused-with-star",
        &["audio 4000 RTP/AVP 8 sendrecv", "application 0 UDP/BFCP * sendrecv"],
    ),
    ("audio-and-video", &["audio 49170 RTP/AVP 96,0 sendrecv", "video 51372 RTP/AVPF 97 sendrecv"]),
    ("blank-lines", &["audio 4000 RTP/AVP 0 sendrecv"]),
    (
        "browser-bundle",
        &[
            "audio 9 UDP/TLS/RTP/SAVPF 109,9,0,8,101 sendrecv",
            "video 0 UDP/TLS/RTP/SAVPF 120 recvonly",
            "application 9 UDP/DTLS/SCTP webrtc-datachannel sendrecv",
        ],
    ),
    ("connection-behind-attributes", &["audio 4000 RTP/AVP 0 sendrecv"]),
    ("direction-in-capitals", &["audio 4000 RTP/AVP 0 sendonly"]),
    ("empty-name", &["audio 4000 RTP/AVP 8 sendrecv"]),
    ("fax", &["audio 0 RTP/AVP 0 sendrecv", "image 4500 udptl t38 sendrecv"]),
    ("invalid-host-v6", &["audio 4000 RTP/AVP 0 sendrecv"]),
    ("keys-in-the-open", &["audio 4000 RTP/SAVP 0 sendrecv"]),
    ("last-line-unfinished", &["audio 4000 RTP/AVP 8 sendonly"]),
    ("line-feeds-only", &["audio 4000 RTP/AVP 8 recvonly"]),
    ("mixed-line-ends", &["audio 4000 RTP/AVP 0 sendrecv"]),
    ("name-in-latin-1", &["audio 4000 RTP/AVP 0 sendonly"]),
    ("no-name-no-time", &["audio 4000 RTP/AVP 8 sendrecv"]),
    ("no-streams", &[]),
    ("nul-in-a-value", &["audio 4000 RTP/AVP 8 recvonly"]),
    ("plain-g711", &["audio 49170 RTP/AVP 0,8,101 sendrecv"]),
    ("port-count-and-multicast", &["video 49170 RTP/AVP 31 sendrecv"]),
    ("preconditions", &["audio 4000 RTP/AVP 97,96 sendrecv"]),
    ("refused-without-format", &["audio 4000 RTP/AVP 0 sendrecv", "video 0 RTP/AVP  sendrecv"]),
    ("rtcp-elsewhere", &["audio 4000 RTP/AVP 8 sendrecv"]),
    ("rtpmap-with-channels", &["audio 4000 RTP/AVP 9,97,98 sendrecv"]),
    ("rtpmap-without-number", &["audio 4000 RTP/AVP 8 sendrecv"]),
    ("session-direction", &["audio 4000 RTP/AVP 0 sendonly", "video 4002 RTP/AVP 31 inactive"]),
    ("tabs-and-spaces", &["audio 4000 RTP/AVP 0,8 sendonly"]),
    ("two-directions", &["audio 4000 RTP/AVP 0 sendonly"]),
    ("unknown-lines", &["audio 4000 RTP/AVP 0 inactive"]),
    ("username-with-spaces", &["audio 4000 RTP/AVP 18 sendrecv"]),
    ("version-of-twenty-digits", &["audio 4000 RTP/AVP 0 sendrecv"]),
    ("zero-address-hold", &["audio 4000 RTP/AVP 0 sendrecv"]),
];

#[test]
fn every_file_is_listed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdp");
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, STREAMS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    assert!(names.len() >= 26);
}

#[test]
fn the_bytes_come_out_as_they_went_in() {
    for (name, _) in STREAMS {
        assert_eq!(sdp(name).to_bytes(), read(name), "{name}");
    }
}

#[test]
fn the_streams_are_understood() {
    for (name, streams) in STREAMS {
        let found: Vec<_> = sdp(name)
            .media()
            .map(|media| {
                let formats: Vec<_> = media.formats().collect();
                format!(
                    "{} {} {} {} {}",
                    media.kind(),
                    media.port(),
                    media.protocol(),
                    formats.join(","),
                    media.direction()
                )
            })
            .collect();
        assert_eq!(found, *streams, "{name}");
    }
}

/// Lines that are in only one of the two, by content.
fn changed(before: &Sdp, after: &Sdp) -> (Vec<String>, Vec<String>) {
    let lines = |sdp: &Sdp| -> Vec<String> {
        sdp.lines().map(|line| String::from_utf8_lossy(line.content()).into_owned()).collect()
    };
    let (old, mut new) = (lines(before), lines(after));
    let mut gone = Vec::new();
    for line in old {
        match new.iter().position(|other| *other == line) {
            Some(at) => drop(new.remove(at)),
            None => gone.push(line),
        }
    }
    (gone, new)
}

#[test]
fn a_change_touches_its_own_line_only() {
    for (name, streams) in STREAMS {
        let before = sdp(name);
        let mut after = before.clone();
        after.set_origin_version("77");
        let (gone, new) = changed(&before, &after);
        assert_eq!((gone.len(), new.len()), (1, 1), "{name}");
        assert!(new[0].starts_with("o=") && new[0].contains("77"), "{name}");
        assert!(after.same_but_version(&before), "{name}");

        for index in 0..streams.len() {
            let mut after = before.clone();
            after.media_mut(index).unwrap().set_port(7788);
            let (gone, new) = changed(&before, &after);
            assert_eq!((gone.len(), new.len()), (1, 1), "{name}");
            assert_eq!(after.media_at(index).unwrap().port(), 7788, "{name}");

            for direction in Direction::ALL {
                let mut after = before.clone();
                after.media_mut(index).unwrap().set_direction(direction);
                assert_eq!(after.media_at(index).unwrap().direction(), direction, "{name}");
                let (gone, new) = changed(&before, &after);
                let directions = |line: &String| Direction::parse(line[2..].trim()).is_some();
                assert!(
                    gone.iter().all(directions) && new.iter().all(directions),
                    "{name}: {gone:?} {new:?}"
                );
                assert!(new.len() <= 1, "{name}");
            }
        }
    }
}

#[test]
fn direction_is_not_lost_on_an_unfinished_last_line() {
    let mut sdp = sdp("last-line-unfinished");
    assert_eq!(sdp.media_at(0).unwrap().direction(), Direction::SendOnly);
    sdp.media_mut(0).unwrap().set_direction(Direction::SendRecv);
    assert!(sdp.as_bytes().ends_with(b"\r\na=sendrecv"));
    sdp.media_mut(0).unwrap().add_attribute("ptime", Some("20"));
    assert!(sdp.as_bytes().ends_with(b"\r\na=sendrecv\r\na=ptime:20"));
}

#[test]
fn black_holes_are_seen() {
    for name in ["zero-address-hold", "invalid-host-v6", "browser-bundle"] {
        assert!(sdp(name).media().all(|media| media.is_black_hole()), "{name}");
    }
    assert!(!sdp("plain-g711").media_at(0).unwrap().is_black_hole());
    assert!(Connection::parse("IN IP6 ::").unwrap().is_black_hole());
}

#[test]
fn port_zero_in_a_bundle_is_no_refusal() {
    let bundle = sdp("browser-bundle");
    let video = bundle.media_at(1).unwrap();
    assert!(video.is_bundle_only() && !video.rejected());
    assert!(sdp("fax").media_at(0).unwrap().rejected());
    // Without its group it is one.
    let mut alone = bundle.clone();
    alone.remove_attribute("group");
    assert!(alone.media_at(1).unwrap().rejected());
    // And refusing it takes the mark away.
    let mut refused = bundle;
    refused.media_mut(1).unwrap().reject();
    assert!(refused.media_at(1).unwrap().rejected());
}

#[test]
fn odd_numbers_and_names_are_read() {
    let digits = sdp("version-of-twenty-digits");
    let version = digits.version().unwrap();
    assert_eq!(version.plus_one(), Version::parse("100000000000000000000").unwrap());
    assert!(!version.fits_63_bits());
    let phone = sdp("username-with-spaces");
    let origin = phone.origin().unwrap();
    assert_eq!((origin.username, origin.session_id, origin.version), ("Desk Phone SIP", "7", "8"));
    let multicast = sdp("port-count-and-multicast");
    let media = multicast.media_at(0).unwrap();
    assert_eq!((media.connection(), media.port_count()), (Some("233.252.0.1"), 2));
    assert_eq!(sdp("connection-behind-attributes").media_at(0).unwrap().connection(), Some("192.0.2.7"));
    assert_eq!(sdp("rtcp-elsewhere").media_at(0).unwrap().connection(), Some("192.0.2.77"));
    assert_eq!(sdp("name-in-latin-1").session_name(), None);
}

#[test]
fn formats_are_explained() {
    let channels = sdp("rtpmap-with-channels");
    let media = channels.media_at(0).unwrap();
    let maps: Vec<_> = media.formats().map(|format| media.rtpmap(format).unwrap().to_string()).collect();
    assert_eq!(maps, ["G722/8000", "L16/16000/2", "iLBC/8000"]);
    assert_eq!(media.fmtp("98"), Some("mode=30"));
    let malformed = sdp("rtpmap-without-number");
    let media = malformed.media_at(0).unwrap();
    assert!(!media.has_rtpmap("8"));
    assert_eq!(media.rtpmap("8").unwrap().name, "PCMA");
    let keys = sdp("keys-in-the-open");
    let tags: Vec<_> = keys.media_at(0).unwrap().crypto().map(|crypto| (crypto.tag, crypto.suite)).collect();
    assert_eq!(tags, [("1", "AES_CM_128_HMAC_SHA1_80"), ("2", "AES_CM_128_HMAC_SHA1_32")]);
}

#[test]
fn formats_can_be_replaced() {
    let mut sdp = sdp("plain-g711");
    let opus = Format {
        name: "111".into(),
        rtpmap: Some("opus/48000/2".into()),
        fmtp: Some("useinbandfec=1".into()),
    };
    sdp.media_mut(0).unwrap().set_formats(&[opus, Format { name: "0".into(), ..Format::default() }]);
    let text = sdp.to_string();
    let (_, media) = text.split_once("m=").unwrap();
    assert_eq!(
        media,
        "audio 49170 RTP/AVP 111 0\r\na=ptime:20\r\na=sendrecv\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\n"
    );
}

/// The bodies any strict reader takes too: what it reads must be what we read.
#[test]
fn another_reader_sees_the_same() {
    let strict = [
        "application-refused-with-star",
        "audio-and-video",
        "browser-bundle",
        "fax",
        "invalid-host-v6",
        "keys-in-the-open",
        "no-streams",
        "plain-g711",
        "port-count-and-multicast",
        "preconditions",
        "session-direction",
        "zero-address-hold",
    ];
    for name in strict {
        let bytes = read(name);
        let (ours, theirs) = (sdp(name), sdp_types::Session::parse(&bytes).unwrap());
        let origin = ours.origin().unwrap();
        assert_eq!(origin.username, theirs.origin.username.as_deref().unwrap_or("-"), "{name}");
        assert_eq!(origin.session_id, theirs.origin.sess_id.to_string(), "{name}");
        assert_eq!(origin.version, theirs.origin.sess_version.to_string(), "{name}");
        assert_eq!(origin.address, theirs.origin.unicast_address, "{name}");
        assert_eq!(ours.session_name(), Some(theirs.session_name.as_str()), "{name}");
        assert_eq!(ours.media_count(), theirs.medias.len(), "{name}");
        for (media, other) in ours.media().zip(&theirs.medias) {
            assert_eq!(media.kind(), other.media, "{name}");
            assert_eq!((media.port(), media.protocol()), (other.port, other.proto.as_str()), "{name}");
            assert_eq!(media.port_count(), other.num_ports.unwrap_or(1), "{name}");
            assert_eq!(media.formats().collect::<Vec<_>>().join(" "), other.fmt, "{name}");
            let attributes: Vec<_> = media.lines().filter_map(|line| line.attribute()).collect();
            let others: Vec<_> =
                other.attributes.iter().map(|a| (a.attribute.as_str(), a.value.as_deref())).collect();
            assert_eq!(attributes, others, "{name}");
            let connection = other.connections.first().or(theirs.connection.as_ref());
            let address = connection.map(|c| c.connection_address.split('/').next().unwrap().to_owned());
            assert_eq!(media.connection().map(str::to_owned), address, "{name}");
        }
    }
}
