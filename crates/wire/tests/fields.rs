//! Header fields taken apart, and the faults found in them.

use midcall_wire::{
    Challenge, Limit, Limits, Message, Method, Name, NameAddr, ParseError, Refresher, Replaces, Via, What,
};

/// A request with these header lines.
fn with(lines: &str) -> Message<Vec<u8>> {
    Message::parse(format!("INVITE sip:bob@example.com SIP/2.0\r\n{lines}\r\n\r\n").into_bytes()).unwrap()
}

fn at(at: usize, what: What) -> ParseError {
    ParseError { at, what }
}

#[test]
fn timers_and_numbers() {
    let message = with(
        "x: 1800 ; Refresher=UAC;x\r\nMin-SE: 90;lr\r\nRSeq: 1\r\nRAck: 776656 1 INVITE\r\nExpires: 4294967295\r\nRetry-After: 18 (in \\) a (nested) meeting) ;duration=60",
    );
    let session_expires = message.session_expires().unwrap().unwrap();
    assert_eq!((session_expires.seconds, session_expires.refresher), (1800, Some(Refresher::Uac)));
    assert_eq!(session_expires.to_string(), "1800;refresher=uac");
    assert_eq!(message.min_se(), Some(Ok(90)));
    assert_eq!(message.rseq(), Some(Ok(1)));
    let rack = message.rack().unwrap().unwrap();
    assert_eq!((rack.rseq, rack.cseq, rack.method, rack.name), (776_656, 1, Method::Invite, "INVITE"));
    assert_eq!(message.expires(), Some(Ok(u32::MAX)));
    assert_eq!(message.retry_after(), Some(Ok(18)));
    assert_eq!(message.rseq().map(|rseq| rseq.is_ok()), Some(true));

    for (line, what, offset) in [
        ("Session-Expires: soon", What::Number, 53),
        ("Session-Expires: 90 90", What::Parameter, 56),
        ("Session-Expires: 90;;x", What::Parameter, 56),
        ("Session-Expires: 4294967296", What::Range, 53),
    ] {
        assert_eq!(with(line).session_expires(), Some(Err(at(offset, what))), "{line}");
    }
    assert_eq!(with("RSeq: 0").rseq(), Some(Err(at(42, What::Number))));
    assert_eq!(with("RAck: 1 2").rack().unwrap().unwrap_err().what, What::Method);
    assert_eq!(with("Retry-After: 1 (open").retry_after().unwrap().unwrap_err().what, What::End);
    assert_eq!(with("Max-Forwards: 256").max_forwards().unwrap().unwrap_err().what, What::Range);
    assert_eq!(with("CSeq: 2147483648 INVITE").cseq().unwrap_err().what, What::Range);
    let answer = b"SIP/2.0 200 OK\r\nCSeq: 2147483648 BYE\r\n\r\n";
    let answer = Message::parse(answer.as_slice()).unwrap();
    assert_eq!((answer.method(), answer.method_name()), (Method::Bye, "BYE"));
    assert_eq!(with("CSeq: 1INVITE").cseq().unwrap_err().what, What::Method);
    assert_eq!(with("CSeq: 1 INVITE x").cseq().unwrap_err().what, What::End);
    assert_eq!(with("Call-ID: a b").call_id(), Err(at(46, What::End)));
    assert_eq!(with("Call-ID:").call_id().unwrap_err().what, What::Token);
}

#[test]
fn dialogs_in_headers() {
    let message = with(
        "Replaces: 98732@sip.example.com\r\n ;from-tag=r33th4x0r\r\n ;to-tag=ff87ff;early-only\r\nEvent: refer;id=93809824\r\nSubscription-State: Terminated;reason=noresource;retry-after=3;expires=7\r\nr: Bob <sip:bob@example.com?Replaces=1%3Bto-tag%3D2%3Bfrom-tag%3D3>\r\nb: <sip:alice@example.com>;cid=\"x@y\"",
    );
    let replaces = message.replaces().unwrap().unwrap();
    assert_eq!(
        (replaces.call_id, replaces.to_tag, replaces.from_tag, replaces.early_only),
        ("98732@sip.example.com", "ff87ff", "r33th4x0r", true)
    );
    assert_eq!(replaces.to_string(), "98732@sip.example.com;to-tag=ff87ff;from-tag=r33th4x0r;early-only");
    let event = message.event().unwrap();
    assert_eq!((event.package, event.id), ("refer", Some("93809824")));
    let state = message.subscription_state().unwrap();
    assert!(state.is_terminated());
    assert_eq!((state.reason, state.retry_after, state.expires), (Some("noresource"), Some(3), Some(7)));
    let refer_to = message.refer_to().unwrap().unwrap();
    let inner = refer_to.uri().unwrap().header("Replaces").unwrap();
    let inner = Replaces::parse(&inner).unwrap();
    assert_eq!((inner.call_id, inner.to_tag, inner.from_tag, inner.early_only), ("1", "2", "3", false));
    assert_eq!(message.referred_by().unwrap().unwrap().params.value("cid"), Some("x@y"));
    assert_eq!(Replaces::parse("1;to-tag=2"), Err(at(10, What::Parameter)));
    assert_eq!(Replaces::parse(" ;to-tag=2"), Err(at(1, What::Token)));
    assert!(with("Event: ;id=1").event().is_none());
}

#[test]
fn challenges() {
    let message = with(
        "WWW-Authenticate: Digest realm=\"a, \\\"b\\\"\", nonce=\"n1\",\r\n algorithm=MD5 , stale = true, opaque=\"\"\r\nProxy-Authenticate: Digest realm=r,nonce=n2,qop=\"auth\", Basic realm=\"x\"\r\nWWW-Authenticate: Negotiate",
    );
    let challenges = message.challenges();
    let [one, two, three, four] = challenges[..] else { panic!("{challenges:?}") };
    assert_eq!((one.proxy, one.scheme, one.realm()), (false, "Digest", Some("a, \\\"b\\\"")));
    assert_eq!(
        (one.nonce(), one.algorithm(), one.stale(), one.opaque()),
        (Some("n1"), Some("MD5"), true, Some(""))
    );
    assert_eq!(one.qop(), None);
    assert_eq!((two.proxy, two.realm(), two.nonce(), two.qop()), (true, Some("r"), Some("n2"), Some("auth")));
    assert_eq!((three.proxy, three.scheme, three.realm()), (true, "Basic", Some("x")));
    assert_eq!((four.scheme, four.params().count(), four.stale()), ("Negotiate", 0, false));
    assert_eq!(Challenge::split(false, "Digest realm=\"open, nonce=1").count(), 1);
    assert_eq!(Challenge::split(false, " ,, ").count(), 0);
}

#[test]
fn addresses() {
    let parse = |text| NameAddr::parse(text);
    let address = parse("Алиса <sip:a@x.example>").unwrap();
    assert_eq!(address.display, Some("Алиса"));
    let address = parse("\"\" <sip:a@x.example> ; tag = 1 ;").unwrap();
    assert_eq!((address.display, address.tag()), (Some(""), Some("1")));
    assert_eq!(address.to_string(), "\"\" <sip:a@x.example> ; tag = 1 ;");
    assert!(parse("*").unwrap().is_star());
    for (text, offset, what) in [
        ("", 0, What::Uri),
        ("bob", 0, What::Uri),
        ("<>", 1, What::Uri),
        ("<sip:>", 1, What::Uri),
        ("<sip:a@b", 8, What::Bracket),
        ("\"A\" sip:a@b", 4, What::Bracket),
        ("\"A <sip:a@b>", 0, What::Quote),
        ("A; <sip:a@b>", 1, What::DisplayName),
        ("A \"B\" <sip:a@b>", 2, What::DisplayName),
        ("<sip:a@b> x", 10, What::Parameter),
        ("<sip:a@b>;", 10, What::End),
        ("<sip:a@b>;a=", 12, What::Parameter),
        ("<sip:a@b>;a=\"", 12, What::Quote),
        ("<sip:a@b>;a b", 12, What::Parameter),
        ("sip:a@b, sip:c@d", 7, What::Bracket),
        ("sip:a@b>;tag=1", 7, What::Uri),
    ] {
        match parse(text) {
            Err(error) => assert_eq!(error, at(offset, what), "{text}"),
            // One semicolon at the end is forgiven.
            Ok(address) => assert_eq!((address.uri, what), ("sip:a@b", What::End), "{text}"),
        }
    }
}

#[test]
fn vias() {
    let via =
        Via::parse("SIP / 2.0 / WSS [2001:db8::1] : 5062 ; maddr=224.2.0.1 ; ttl=16;received=\"x\"").unwrap();
    assert_eq!(
        (via.transport, via.port, via.maddr(), via.ttl()),
        ("WSS", Some(5062), Some("224.2.0.1"), Some(16))
    );
    assert_eq!(via.sent_by(), "[2001:db8::1] : 5062");
    assert_eq!((via.received(), via.received_ip(), via.rport()), (Some("x"), None, None));
    for (text, offset, what) in [
        ("", 0, What::SentProtocol),
        ("SIP/3.0/UDP a", 4, What::SentProtocol),
        ("SIP/2.0/ a", 10, What::SentProtocol),
        ("SIP/2.0/UDP", 11, What::SentProtocol),
        ("SIP/2.0/UDP ", 12, What::Host),
        ("SIP/2.0/UDP a:x", 14, What::Port),
        ("SIP/2.0/UDP a b", 14, What::Parameter),
        ("SIP/2.0/UDP a;;b", 14, What::Parameter),
    ] {
        match Via::parse(text) {
            Err(error) => assert_eq!(error, at(offset, what), "{text}"),
            Ok(via) => panic!("{text}: {via:?}"),
        }
    }
}

#[test]
fn lists_are_split_where_they_are_lists() {
    let message = with(
        "Allow: INVITE,\r\n ACK,, BYE,\r\nSubject: one, two\r\nX-List: a, b\r\nSupported:\r\nk: timer\r\nContact: <sip:a@x?x=1,2>;p=\"a,\\\",b\", sip:b@x",
    );
    assert_eq!(message.values(Name::Allow).collect::<Vec<_>>(), ["INVITE", "ACK", "BYE"]);
    assert_eq!(message.values(Name::Subject).collect::<Vec<_>>(), ["one, two"]);
    assert_eq!(message.header_named("x-list"), Some("a, b"));
    assert_eq!(message.values(Name::Supported).collect::<Vec<_>>(), ["timer"]);
    assert_eq!(message.count(Name::Supported), 2);
    assert!(message.has_option(Name::Allow, "bye") && !message.has_option(Name::Allow, "UPDATE"));
    let contacts: Vec<_> = message.contacts().map(|contact| contact.unwrap().uri).collect();
    assert_eq!(contacts, ["sip:a@x?x=1,2", "sip:b@x"]);
}

#[test]
fn limits_say_which_and_where() {
    let limits = Limits { message: 80, headers: 2, header_line: 20, uri: 10 };
    for (text, offset, limit, status) in [
        ("BYE sip:a@b SIP/2.0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", 33, Limit::Headers, 513),
        ("BYE sip:a@b SIP/2.0\r\nA: 34567890123456789\r\n\r\n", 41, Limit::HeaderLine, 513),
        ("BYE sip:a@b SIP/2.0\r\nA: 345678\r\n 90123456\r\n\r\n", 41, Limit::HeaderLine, 513),
        ("BYE sip:a@b.example SIP/2.0\r\n\r\n", 14, Limit::Uri, 414),
        (
            "BYE sip:a@b SIP/2.0\r\n\r\n01234567890123456789012345678901234567890123456789012345678901234567890123456789",
            80,
            Limit::Message,
            513,
        ),
    ] {
        let error = Message::parse_with(text, &limits).unwrap_err();
        assert_eq!((error, error.status()), (at(offset, What::Limit(limit)), status), "{text}");
    }
    assert!(Message::parse_with("BYE sip:a@b SIP/2.0\r\nA: 1\r\nB: 2\r\n\r\n", &limits).is_ok());
}

#[test]
fn broken_lines_say_where() {
    for (text, offset, what) in [
        ("", 0, What::Incomplete),
        ("\r\n\r\n", 4, What::Incomplete),
        ("BYE sip:a SIP/2.0\r\n", 19, What::Incomplete),
        ("BYE sip:a SIP/2.0\r\nA: 1", 23, What::Incomplete),
        ("BYE sip:a SIP/2.0\r\nA: 1\r", 24, What::Incomplete),
        ("BYE sip:a SIP/2.0\r\nA: 1\r\n", 25, What::Incomplete),
        ("BYE sip:a SIP/2.0\nA: 1\n\n", 17, What::LineEnd),
        ("BYE sip:a SIP/2.0\r\nA: 1\rB: 2\r\n\r\n", 23, What::LineEnd),
        ("BYE sip:a SIP/2.0\r\n A: 1\r\n\r\n", 19, What::Fold),
        ("BYE sip:a SIP/2.0\r\nA 1\r\n\r\n", 21, What::Colon),
        ("BYE sip:a SIP/2.0\r\n: 1\r\n\r\n", 19, What::HeaderName),
        ("BYE sip:a SIP/2.0\r\n@: 1\r\n\r\n", 19, What::HeaderName),
        ("BYE sip:a SIP/2.0\r\nA@: 1\r\n\r\n", 20, What::Colon),
        // What stands behind the empty line is body, whatever it looks like.
        ("BYE sip:a SIP/2.0\r\nSubject\r\n\r\n: 1\r\n\r\n", 26, What::Colon),
        ("\r\nBYE  sip:a SIP/2.0\r\n\r\n", 6, What::Spacing),
        ("B@E sip:a SIP/2.0\r\n\r\n", 1, What::Method),
        ("BYE\r\n\r\n", 3, What::Method),
        ("BYE sip:a\r\n\r\n", 9, What::Version),
        ("BYE sip:a SIP/2\r\n\r\n", 10, What::Version),
        ("BYE sip:a HTTP/1.1\r\n\r\n", 10, What::Version),
        ("BYE sip:a SIP/1.0\r\n\r\n", 10, What::OtherVersion),
        ("SIP/3.0 200 OK\r\n\r\n", 0, What::OtherVersion),
        ("SIP/2.0  200 OK\r\n\r\n", 8, What::Spacing),
        ("SIP/2.0 20 OK\r\n\r\n", 8, What::StatusCode),
        ("SIP/2.0 099 OK\r\n\r\n", 8, What::StatusCode),
        ("SIP/2.0 700 OK\r\n\r\n", 8, What::StatusCode),
        ("SIP/2.0 200OK\r\n\r\n", 11, What::Spacing),
        ("SIP/2.0\r\n\r\n", 8, What::StatusCode),
    ] {
        assert_eq!(Message::parse(text).unwrap_err(), at(offset, what), "{text:?}");
    }
    assert_eq!(Message::parse(&b"BYE sip:\xff SIP/2.0\r\n\r\n"[..]).unwrap_err().what, What::Utf8);
    let message = Message::parse(&b"BYE sip:a SIP/2.0\r\nTo: <sip:\xff>\r\nVia: \xff\r\n\r\n"[..]).unwrap();
    assert_eq!(message.to(), Err(at(28, What::Utf8)));
    assert_eq!(message.top_via(), Err(at(37, What::Utf8)));
    assert_eq!(message.header(Name::To), None);
}

#[test]
fn a_display_name_in_latin_1_hides_no_address() {
    let raw = b"BYE sip:a SIP/2.0\r\nFrom: \"J\xfcrgen \\\" <x>\" <sip:j@a.example>;tag=1\r\nTo: Bj\xf6rn <sip:b@a.example>;tag=2\r\n\
        m: <sip:c@a.example>, \"\xe9, \" <sip:d@a.example>\r\nRefer-To: \xe4 <sip:\xe4>\r\n\r\n";
    let message = Message::parse(&raw[..]).unwrap();
    let from = message.from().unwrap();
    assert_eq!((from.display, from.uri, from.tag()), (None, "sip:j@a.example", Some("1")));
    let to = message.to().unwrap();
    assert_eq!((to.display, to.uri, to.tag()), (None, "sip:b@a.example", Some("2")));
    let contacts: Vec<_> = message.contacts().map(|contact| contact.unwrap().uri).collect();
    assert_eq!(contacts, ["sip:c@a.example", "sip:d@a.example"]);
    // The same in one walk.
    let fields: Vec<_> = message.head().fields().collect();
    assert_eq!(fields[0].address(), Some(from));
    let walked: Vec<_> = fields[2].addresses().map(|contact| contact.unwrap().uri).collect();
    assert_eq!(walked, contacts);
    // An address that is no text is none.
    assert_eq!(message.refer_to().unwrap().unwrap_err().what, What::Utf8);
}

#[test]
fn salvage_keeps_what_can_be_read() {
    let message = Message::salvage("BYE sip:a@b;  x SIP/2.0 \r\nno header\r\n folded\r\nCall-ID: 7\r\n: x\r\nContent-Length: 9\r\n\r\nbody").unwrap();
    assert_eq!((message.method(), message.request_uri()), (Method::Bye, Some("sip:a@b;  x")));
    assert_eq!(message.call_id(), Ok("7"));
    assert_eq!(message.body(), b"");
    let names: Vec<_> = message.headers().map(|header| header.raw_name).collect();
    assert_eq!(names, ["", "", "Call-ID", "", "Content-Length"]);
    assert!(Message::salvage("no sip\r\n\r\n").is_none());
    assert!(Message::salvage("GET / HTTP/1.1\r\n\r\n").is_none());
    assert!(Message::salvage("").is_none());
    // Cut in the middle of a header it is still known where to send a reply.
    let message = Message::salvage("BYE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP x\r\nCall-I").unwrap();
    assert_eq!(message.top_via().unwrap().host, "x");
}
