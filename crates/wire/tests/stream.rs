//! Streams: what is cut, what is skipped, what is lost.

use midcall_wire::{Frame, Framer, Limit, Limits, ParseError, What};

fn frames(bytes: &[u8], limits: Limits) -> (Vec<Result<Frame, ParseError>>, bool) {
    let mut framer = Framer::new(limits);
    framer.push(bytes);
    let frames = framer.by_ref().collect();
    (frames, framer.is_broken())
}

fn message(text: &str) -> Result<Frame, ParseError> {
    Ok(Frame::Message(text.as_bytes().to_vec()))
}

const SHORT: &str = "BYE sip:a@x.example SIP/2.0\r\nl:0\r\n\r\n";

#[test]
fn keep_alives_stand_between_messages() {
    let stream = format!("\r\n\r\n{SHORT}\r\n{SHORT}\r\n\r\n\r\n\r\n");
    let (found, broken) = frames(stream.as_bytes(), Limits::default());
    let wanted =
        [Ok(Frame::Ping), message(SHORT), Ok(Frame::Pong), message(SHORT), Ok(Frame::Ping), Ok(Frame::Ping)];
    assert_eq!(found, wanted);
    assert!(!broken);
}

/// A single CRLF is taken at once; what comes behind it may still make it a ping.
#[test]
fn a_ping_in_two_pieces_is_a_ping() {
    let mut framer = Framer::new(Limits::default());
    framer.push(b"\r\n");
    assert_eq!(framer.next(), Some(Ok(Frame::Pong)));
    assert_eq!(framer.next(), None);
    framer.push(b"\r");
    assert_eq!(framer.next(), None);
    framer.push(b"\n");
    assert_eq!(framer.next(), Some(Ok(Frame::Ping)));
    assert_eq!(framer.next(), None);
}

#[test]
fn a_body_too_long_is_skipped() {
    let limits = Limits { message: 100, ..Limits::default() };
    let long = format!("INFO sip:a SIP/2.0\r\nContent-Length: 200\r\n\r\n{}", "x".repeat(200));
    let (found, broken) = frames(format!("{SHORT}{long}{SHORT}").as_bytes(), limits);
    let error = ParseError { at: 100, what: What::Limit(Limit::Message) };
    assert_eq!(found, [message(SHORT), Err(error), message(SHORT)]);
    assert_eq!((error.status(), broken), (513, false));
}

#[test]
fn a_head_that_does_not_end_is_the_end() {
    let limits = Limits { message: 100, ..Limits::default() };
    let error = ParseError { at: 100, what: What::Limit(Limit::Message) };
    let endless = "x".repeat(101);
    assert_eq!(frames(endless.as_bytes(), limits), (vec![Err(error)], true));
    let long = format!("INFO sip:a SIP/2.0\r\nX: {}\r\n\r\n", "x".repeat(100));
    assert_eq!(frames(long.as_bytes(), limits), (vec![Err(error)], true));
}

#[test]
fn what_cannot_be_cut_is_the_end() {
    for (stream, at, what) in [
        ("GET / HTTP/1.1\r\n\r\n", 0, What::Version),
        ("INFO sip:a SIP/2.0\r\nContent-Type: a/b\r\n\r\nx", 41, What::BodyLength),
        ("INFO sip:a SIP/2.0\r\nl: 99999999999999999999999\r\n\r\nx", 23, What::Range),
        ("INFO sip:a SIP/2.0\r\nl:\r\n\r\nx", 22, What::Number),
        (
            "INFO sip:a SIP/2.0\r\nl: 1\r\nContent-Length: 2\r\n\r\nx",
            26,
            What::Repeated(midcall_wire::Name::ContentLength),
        ),
    ] {
        let (found, broken) = frames(stream.as_bytes(), Limits::default());
        assert_eq!(found, [Err(ParseError { at, what })], "{stream:?}");
        assert!(broken);
    }
    let mut framer = Framer::new(Limits::default());
    framer.push(b"x\r\n\r\n");
    assert!(framer.next().is_some());
    framer.push(SHORT.as_bytes());
    assert_eq!((framer.next(), framer.buffered()), (None, 0));
}

/// What peers do: no length where there is no body, the same length twice, a broken line somewhere.
#[test]
fn what_can_be_told_apart_is_told_apart() {
    for message in [
        "ACK sip:a SIP/2.0\r\nX: 1\r\n\r\n",
        "ACK sip:a SIP/2.0\r\nl: 1\r\nContent-Length: 1\r\n\r\nx",
        "ACK sip:a SIP/2.0\r\nno header\r\nl: 1\r\n\r\nx",
        "ACK   sip:a   SIP/2.0\r\nl: 1\r\n\r\nx",
        "SIP/2.0 999 What\r\nl: 1\r\n\r\nx",
        "ACK sip:a SIP/2.0\r\nContent-Length :\r\n\t 1\r\n\r\nx",
    ] {
        let (found, broken) = frames(format!("{message}{SHORT}").as_bytes(), Limits::default());
        assert_eq!(found, [self::message(message), self::message(SHORT)]);
        assert!(!broken);
    }
}

const OTHER: &str = "SIP/2.0 200 OK\r\nCSeq: 1 BYE\r\nContent-Length: 4\r\n\r\nbody";

fn heard(pieces: &[&str]) -> Vec<String> {
    let mut framer = Framer::listening(Limits::default());
    let mut messages = Vec::new();
    for piece in pieces {
        framer.push(piece.as_bytes());
        messages.extend(framer.by_ref().filter_map(|frame| match frame {
            Ok(Frame::Message(bytes)) => Some(String::from_utf8(bytes).unwrap()),
            _ => None,
        }));
    }
    messages
}

#[test]
fn a_listener_begins_anywhere_in_a_stream() {
    let stream = format!("{OTHER}{SHORT}{OTHER}");
    for from in 1..OTHER.len() {
        let (torn, rest) = (&stream[from..OTHER.len()], &stream[OTHER.len()..]);
        let found = heard(&[torn, rest]);
        assert_eq!(found, [SHORT, OTHER], "from byte {from}");
    }
}

#[test]
fn a_listener_goes_on_behind_nonsense_and_never_takes_a_quoted_start_line_for_a_message() {
    let quoted = "NOTIFY sip:a SIP/2.0\r\nContent-Length: 18\r\n\r\nSIP/2.0 200 Fine\r\n";
    let torn = &quoted[30..];
    assert_eq!(heard(&[&format!("{torn}{SHORT}")]), [SHORT]);
    assert_eq!(heard(&["\0\0 nonsense\r\n", "more of it\r\n\r\n\r\n", SHORT]), [SHORT]);
    let unreadable = "INFO sip:a SIP/2.0\r\nContent-Length: many\r\n\r\nxyz";
    assert_eq!(heard(&[&format!("{unreadable}{OTHER}{SHORT}")]), [unreadable, OTHER, SHORT]);
}

#[test]
fn a_hole_takes_only_what_it_tears() {
    let long = "MESSAGE sip:a SIP/2.0\r\nContent-Length: 40\r\n\r\n0123456789012345678901234567890123456789";
    // The hole is all inside the body: the message behind it stands where it must.
    let mut framer = Framer::listening(Limits::default());
    framer.push(&long.as_bytes()[..long.len() - 30]);
    assert_eq!(framer.next(), None);
    assert_eq!(framer.gap(20), Some(long.as_bytes()[..long.len() - 30].to_vec()));
    framer.push(format!("0123456789{SHORT}").as_bytes());
    assert_eq!(framer.next(), Some(message(SHORT)));
    // It swallows the beginning of the next.
    framer.push(&long.as_bytes()[..long.len() - 30]);
    assert_eq!(framer.next(), None);
    assert!(framer.gap(40).is_some());
    framer.push(format!("of the next\r\n\r\n{SHORT}").as_bytes());
    assert_eq!(framer.next(), Some(message(SHORT)));
    // It is between two messages.
    assert_eq!((framer.gap(1_000), framer.finish()), (None, None));
    framer.push(b"BYE sip:a SIP/2.0\r\nCall");
    assert_eq!(framer.next(), None);
    assert_eq!(framer.finish(), Some(b"BYE sip:a SIP/2.0\r\nCall".to_vec()));
}

#[test]
fn sip_is_told_from_what_else_travels() {
    let sip =
        [SHORT, OTHER, "\r\n\r\nINVITE sip:bob@x SIP/2.0\r\n", "sip/2.0 200 OK\r\n", "INVITE sip:bob@x.exam"];
    for text in sip {
        assert!(midcall_wire::looks_like_sip(text.as_bytes()), "{text:?}");
    }
    let other: [&[u8]; 8] = [
        b"",
        b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"Via: SIP/2.0/UDP x",
        b"\x80\x08SIP/2.0 ",
        b"SIP/2.0/UDP",
        b"hello world",
        b"SIPHON x",
    ];
    for bytes in other {
        assert!(!midcall_wire::looks_like_sip(bytes), "{bytes:?}");
    }
}
