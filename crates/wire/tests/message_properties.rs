//! What holds for any message that is written, changed, cut into pieces or damaged.

mod checks {
    pub(crate) mod message;
    pub(crate) mod stream;
}

use midcall_wire::{
    Builder, Edit, Frame, Framer, Limits, Message, Name, NameAddr, Uri, escape_header, unescape,
};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Words, and text that tries to be more than a value.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,40}",
        "[a-z]{0,8}(\r\n|\r|\n|\0)[A-Za-z: ]{0,12}",
        "[a-zà-ž]{0,10}",
        any::<String>(),
        Just("\r\n\r\nINVITE sip:evil@example.com SIP/2.0".to_owned()),
    ]
}

fn name() -> impl Strategy<Value = Name> {
    select(Name::ALL).prop_filter("the builder writes it", |name| *name != Name::ContentLength)
}

/// A well-formed message with odd spacing, folding, spelling and order.
fn odd_message() -> impl Strategy<Value = Vec<u8>> {
    let start = select(vec![
        "INVITE sip:bob@example.com;x SIP/2.0",
        "!x tel:+1 sip/2.0",
        "SIP/2.0 200 ",
        "SIP/2.0 699 a  b",
        "ACK urn:x SIP/2.0",
    ]);
    let spelling = prop_oneof![name().prop_map(|name| name.as_str().to_owned()), "[a-zA-Z%!-]{1,12}"]
        .prop_filter("its value is no number", |name| Name::parse(name) != Name::ContentLength);
    let space = select(vec!["", " ", "\t ", "   "]);
    let word = prop_oneof!["[ -~]{0,20}", "[ -~]{0,9}\r\n [ -~]{0,9}", "[ -~]{1,5}\r\n\t\r\n [ -~]{0,9}"];
    let line = (spelling, space.clone(), space.clone(), word, space)
        .prop_map(|(name, a, b, value, c)| format!("{name}{a}:{b}{value}{c}\r\n"));
    (start, prop::collection::vec(line, 0..40), prop::collection::vec(any::<u8>(), 0..40), any::<bool>())
        .prop_map(|(start, lines, body, length)| {
            let mut bytes = format!("{start}\r\n{}", lines.concat()).into_bytes();
            if length {
                bytes.extend_from_slice(format!("l : {}\r\n", body.len()).as_bytes());
            }
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(&body);
            bytes
        })
}

/// What is left of a text in a value: one line, without white space around it.
fn one_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if matches!(c, '\r' | '\n' | '\0') { ' ' } else { c }).collect();
    line.trim_matches([' ', '\t']).to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// What the builder is given comes back from the parser, one line for each, and nothing else.
    #[test]
    fn what_is_built_is_parsed(
        uri in "sip:[a-z]{1,8}@[a-z]{1,8}[.]example",
        headers in prop::collection::vec((name(), value()), 0..20),
        media_type in "[a-z]{1,8}/[a-z]{1,8}",
        body in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut builder = Builder::request("INVITE", &uri);
        for (name, value) in &headers {
            builder = builder.header(*name, value);
        }
        let bytes = builder.body(&media_type, &body).finish();
        let message = Message::parse(bytes.as_slice()).unwrap();
        prop_assert_eq!(message.bytes(), &bytes);
        prop_assert_eq!(message.request_uri(), Some(uri.as_str()));
        prop_assert_eq!(message.body(), &body);
        prop_assert_eq!(message.headers().count(), headers.len() + 2);
        for ((name, value), header) in headers.iter().zip(message.headers()) {
            prop_assert_eq!(header.name, *name);
            prop_assert_eq!(std::str::from_utf8(header.value).unwrap(), one_line(value));
        }
        prop_assert_eq!(message.content_length(), Some(Ok(body.len())));
    }

    /// Method, URI, reason, names, tags and media types can hold no line end either.
    #[test]
    fn nothing_is_injected(text in value()) {
        let request = Builder::request(&format!("X{text}"), &format!("sip:{text}")).named(&text, &text);
        let bytes = request.body(&text, b"v=0\r\n").finish();
        if let Ok(message) = Message::parse(bytes.as_slice()) {
            prop_assert!(message.headers().count() <= 3);
            prop_assert_eq!(message.body(), b"v=0\r\n");
        } else {
            prop_assert_eq!(bytes.windows(4).filter(|window| window == b"\r\n\r\n").count(), 1);
        }
        let request = "BYE sip:a@x.example SIP/2.0\r\nTo: <sip:b@x.example>\r\n\r\n";
        let request = Message::parse(request).unwrap();
        let bytes = Builder::reply(&request, 481, Some(&text)).to_tag(&text).finish();
        let reply = Message::parse(bytes.as_slice()).unwrap();
        prop_assert_eq!(reply.headers().count(), 2);
        let mut edit = Edit::new(&request);
        edit.set(Name::To, &text).insert_top(Name::Via, &text).push(Name::Route, &text);
        edit.push_named(&text, &text).request_uri(&format!("sip:{text}")).set_via_param(&text, Some(&text));
        let bytes = edit.finish();
        let lines = bytes.split(|&b| b == b'\n').count();
        prop_assert!(lines <= 7, "{}", String::from_utf8_lossy(&bytes));
    }

    /// An edit that changes nothing changes nothing, and each change changes only what it says.
    #[test]
    fn an_edit_keeps_the_rest(bytes in odd_message()) {
        prop_assert!(Message::parse(bytes.as_slice()).is_ok());
        checks::message::check(&bytes);
    }

    /// However a stream is cut, the same messages come out of it.
    #[test]
    fn a_framer_does_not_mind_the_cuts(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..4),
        pings in prop::collection::vec(0..3_usize, 4),
        cuts in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        let mut stream = Vec::new();
        let mut messages = Vec::new();
        for (body, pings) in bodies.iter().zip(&pings) {
            stream.extend(b"\r\n\r\n".repeat(*pings));
            let message = Builder::request("MESSAGE", "sip:bob@example.com").body("text/plain", body).finish();
            stream.extend(&message);
            messages.push(message);
        }
        let pings: usize = bodies.iter().zip(&pings).map(|(_, pings)| pings).sum();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]);
        let every_byte = stream.chunks(1);
        for frames in [framed(pieces), framed(every_byte), framed(std::iter::once(stream.as_slice()))] {
            prop_assert_eq!(frames.iter().filter(|frame| **frame == Frame::Ping).count(), pings);
            let found: Vec<_> = frames
                .into_iter()
                .filter_map(|frame| if let Frame::Message(bytes) = frame { Some(bytes) } else { None })
                .collect();
            prop_assert_eq!(&found, &messages);
        }
    }

    /// Bytes of any kind hurt neither the parser nor what reads on from it.
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        checks::message::check(&bytes);
        checks::stream::check(&bytes);
    }

    /// Nor does a message with a few bytes changed, inserted or taken away.
    #[test]
    fn damage_is_survived(
        mut bytes in odd_message(),
        damage in prop::collection::vec((any::<Index>(), any::<u8>(), 0..4_u8), 1..6),
    ) {
        for (index, byte, how) in damage {
            let at = index.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, b"\r\n:;,<>\"@%"[usize::from(byte) % 10]),
            }
        }
        checks::message::check(&bytes);
        checks::stream::check(&bytes);
        if let Ok(message) = Message::parse(bytes.as_slice()) {
            let _ = (message.check(), message.check_hops(), message.check_reply(), message.date());
        }
    }

    /// Values that are written are read again.
    #[test]
    fn escapes_come_back(text in any::<String>()) {
        let escaped = escape_header(&text);
        prop_assert_eq!(unescape(&escaped), text.as_str());
        let uri = format!("sip:bob@example.com?Replaces={escaped}");
        prop_assert_eq!(Uri::parse(&uri).unwrap().header("replaces").unwrap(), text);
    }

    /// No text makes the parsers of single values fall over.
    #[test]
    fn any_value_is_survived(text in prop_oneof!["[ -~\r\n]{0,40}", any::<String>(), "(sips?|tel|x):[ -~]{0,30}"]) {
        if let Ok(uri) = Uri::parse(&text) {
            prop_assert!(uri.same(&uri));
            prop_assert_eq!(uri.as_str(), text.as_str());
        }
        if let Ok(address) = NameAddr::parse(&text) {
            prop_assert!(text.contains(address.uri));
            let written = address.to_string();
            let again = NameAddr::parse(&written).unwrap();
            prop_assert_eq!((again.uri, again.tag()), (address.uri, address.tag()));
        }
        let _ = midcall_wire::Via::parse(&text).map(|via| (via.ip(), via.rport(), via.received_ip()));
        let _ = midcall_wire::CSeq::parse(&text);
        let _ = midcall_wire::RAck::parse(&text);
        let _ = midcall_wire::Replaces::parse(&text);
        let _ = midcall_wire::SessionExpires::parse(&text);
        let _ = midcall_wire::Date::parse(&text).map(|date| date.to_string());
        for challenge in midcall_wire::Challenge::split(false, &text) {
            prop_assert!(challenge.params().count() <= text.len());
        }
    }

    /// Every second of some thousand years is written as the date it is read from.
    #[test]
    fn dates_come_back(seconds in -30_000_000_000_i64..200_000_000_000) {
        let date = midcall_wire::Date::from_unix_seconds(seconds);
        prop_assert_eq!(midcall_wire::Date::parse(&date.to_string()), Ok(date));
    }
}

fn framed<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Frame> {
    let mut framer = Framer::new(Limits::default());
    let mut frames = Vec::new();
    for piece in pieces {
        framer.push(piece);
        frames.extend(framer.by_ref().map(Result::unwrap));
    }
    assert!(!framer.is_broken());
    frames
}
