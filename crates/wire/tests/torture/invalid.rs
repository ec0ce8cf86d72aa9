//! RFC 4475 §3.1.2: invalid messages.

use midcall_wire::{Frame, Framer, Limits, Message, Method, Name, ParseError, What};

use crate::{accepted, offset, refused, unreadable, wire};

/// §3.1.2.1: separators with nothing between them.
#[test]
fn badinv01() {
    let bytes = wire(
        r#"
        |INVITE sip:carol@example.com SIP/2.0
        |To: sip:b.jones@example.com
        |From: sip:alice@example.net;tag=134161461246
        |Max-Forwards: 7
        |Call-ID: badinv01.of.ours
        |CSeq: 8 INVITE
        |Via: SIP/2.0/UDP 192.0.2.15;;,;,,
        |Contact: "Joe" <sip:joe@example.org>;;;;
        |Content-Length: {length}
        |Content-Type: application/sdp
        |
        |{sdp}
        "#,
    );
    let message = refused(&bytes, ";,;,,", What::Parameter, 400);
    let contact = message.contact().unwrap().unwrap_err();
    assert_eq!(contact, ParseError { at: offset(&bytes, ";;;\r\n"), what: What::Parameter });
    // A Via with empty list elements is no better.
    let text = String::from_utf8(bytes).unwrap().replace(";;,;,,", ",");
    refused(text.as_bytes(), "\r\nContact:", What::SentProtocol, 400);
}

/// §3.1.2.2: a datagram shorter than its Content-Length; a stream would wait.
#[test]
fn clerr() {
    let bytes = wire(
        "
        |INVITE sip:carol@example.com SIP/2.0
        |Max-Forwards: 80
        |To: sip:b.jones@example.com
        |From: sip:alice@example.net;tag=93942939o2
        |Contact: <sip:alice@hungry.example.net>
        |Call-ID: clerr.of.ours
        |CSeq: 8 INVITE
        |Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bK-39234-23523
        |Content-Type: application/sdp
        |Content-Length: 9999
        |
        |{sdp}
        ",
    );
    unreadable(&bytes, "", What::BodyShort, 400);
    let mut framer = Framer::new(Limits::default());
    framer.push(&bytes);
    assert_eq!(framer.next(), None);
    assert!(!framer.is_broken());
}

/// §3.1.2.3: a negative Content-Length, or one in words.
#[test]
fn ncl() {
    let text = "
        |INVITE sip:carol@example.com SIP/2.0
        |Max-Forwards: 254
        |To: sip:b.jones@example.com
        |From: sip:alice@example.net;tag=32394234
        |Call-ID: ncl.of.ours
        |CSeq: 0 INVITE
        |Via: SIP/2.0/UDP 192.0.2.53;branch=z9hG4bKkdjuw
        |Contact: <sip:alice@example53.example.net>
        |Content-Type: application/sdp
        |Content-Length: -999
        |
        |{sdp}
        ";
    for value in ["-999", "five"] {
        let bytes = wire(&text.replace("-999", value));
        unreadable(&bytes, value, What::Number, 400);
        let mut framer = Framer::new(Limits::default());
        framer.push(&bytes);
        let error = framer.next().unwrap().unwrap_err();
        assert_eq!(error, ParseError { at: offset(&bytes, value), what: What::Number });
        assert!(framer.is_broken());
        assert_eq!(framer.next(), None);
    }
}

/// §3.1.2.4: numbers of a request that are too large.
#[test]
fn scalar02() {
    let expires = format!("1{}", "0".repeat(100));
    let text = format!(
        "|REGISTER sip:example.com SIP/2.0
         |Via: SIP/2.0/TCP host129.example.com;branch=z9hG4bK342sdfoi3
         |To: <sip:carol@example.com>
         |From: <sip:carol@example.com>;tag=239232jh3
         |CSeq: 36893488147419103232 REGISTER
         |Call-ID: scalar02.of.ours
         |Max-Forwards: 300
         |Expires: {expires}
         |Contact: <sip:carol@host129.example.com>
         |  ;expires=280297596632815
         |Content-Length: 0
         |"
    );
    let bytes = wire(&text);
    let message = refused(&bytes, "36893488147419103232", What::Range, 400);
    let range = |needle| ParseError { at: offset(&bytes, needle), what: What::Range };
    assert_eq!(message.max_forwards(), Some(Err(range("300"))));
    assert_eq!(message.expires(), Some(Err(range(&expires))));
    let contact = message.contact().unwrap().unwrap();
    assert!(contact.params.value("expires").unwrap().parse::<u32>().is_err());
    // Numbers that only a proxy or a registrar would care for do not stop a user agent.
    accepted(&wire(&text.replace("36893488147419103232", "2147483647")));
    refused(&wire(&text.replace("36893488147419103232", "2147483648")), "2147483648", What::Range, 400);
}

/// §3.1.2.5: numbers of a response that are too large; it is dropped.
#[test]
fn scalarlg() {
    let bytes = wire(
        r#"
        |SIP/2.0 503 Service Unavailable
        |Via: SIP/2.0/TCP host129.example.com;branch=z9hG4bKzzxdiwo34sw;received=192.0.2.129
        |To: <sip:carol@example.com>
        |From: <sip:alice@example.net>;tag=2easdjfejw
        |CSeq: 9292394834772304023312 OPTIONS
        |Call-ID: scalarlg.of.ours
        |Retry-After: 949302838503028349304023988
        |Warning: 1812 overture "In Progress"
        |Content-Length: 0
        |
        "#,
    );
    let message = refused(&bytes, "9292394834772304023312", What::Range, 400);
    assert!(message.is_response());
    assert_eq!(message.method(), Method::Options);
    let retry_after = message.retry_after().unwrap().unwrap_err();
    assert_eq!(retry_after, ParseError { at: offset(&bytes, "949302838"), what: What::Range });
    assert_eq!(message.header(Name::Warning), Some("1812 overture \"In Progress\""));
}

/// §3.1.2.6: a display name whose quote does not end.
#[test]
fn quotbal() {
    let bytes = wire(
        r#"
        |INVITE sip:carol@example.com SIP/2.0
        |To: "Mr. B. Jones <sip:b.jones@example.com>
        |From: sip:alice@example.net;tag=93334
        |Max-Forwards: 10
        |Call-ID: quotbal.of.ours
        |Contact: <sip:alice@host59.example.net>
        |CSeq: 8 INVITE
        |Via: SIP/2.0/UDP 192.0.2.59:5050;branch=z9hG4bKkdjuw39234
        |Content-Type: application/sdp
        |Content-Length: {length}
        |
        |{sdp}
        "#,
    );
    refused(&bytes, "\"Mr", What::Quote, 400);
}

/// §3.1.2.7: a Request-URI in angle brackets.
#[test]
fn ltgtruri() {
    let bytes = wire(
        "
        |INVITE <sip:carol@example.com> SIP/2.0
        |To: sip:carol@example.com
        |From: sip:alice@example.net;tag=39291
        |Max-Forwards: 23
        |Call-ID: ltgtruri.of.ours@192.0.2.5
        |CSeq: 1 INVITE
        |Via: SIP/2.0/UDP 192.0.2.5
        |Contact: <sip:alice@host5.example.net>
        |Content-Type: application/sdp
        |Content-Length: {length}
        |
        |{sdp}
        ",
    );
    unreadable(&bytes, "<sip:carol@example.com> SIP", What::RequestUri, 400);
}

/// §3.1.2.8: a space inside the Request-URI.
#[test]
fn lwsruri() {
    let bytes = wire(
        "
        |INVITE sip:carol@example.com; lr SIP/2.0
        |To: sip:carol@example.com;tag=3xfe-9921883-z9f
        |From: sip:alice@example.net;tag=231413434
        |Max-Forwards: 5
        |Call-ID: lwsruri.of.ours
        |CSeq: 2130706432 INVITE
        |Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKkdjuw2395
        |Contact: <sip:alice@host1.example.net>
        |Content-Type: application/sdp
        |Content-Length: {length}
        |
        |{sdp}
        ",
    );
    unreadable(&bytes, " lr SIP", What::RequestUri, 400);
}

/// §3.1.2.9: more than one space between the parts of the start line.
#[test]
fn lwsstart() {
    let bytes = wire(
        "
        |INVITE  sip:carol@example.com  SIP/2.0
        |Max-Forwards: 8
        |To: sip:carol@example.com
        |From: sip:alice@example.net;tag=8814
        |Call-ID: lwsstart.of.ours@example.com
        |CSeq: 1893884 INVITE
        |Via: SIP/2.0/UDP host1.example.com;branch=z9hG4bKkdjuw3923
        |Contact: <sip:alice@host1.example.net>
        |Content-Type: application/sdp
        |Content-Length: {length}
        |
        |{sdp}
        ",
    );
    unreadable(&bytes, " sip:carol", What::Spacing, 400);
    let bytes = String::from_utf8(bytes).unwrap().replacen("  ", " ", 1);
    unreadable(bytes.as_bytes(), " SIP/2.0\r\nMax", What::Spacing, 400);
    let salvaged = Message::salvage(&bytes).unwrap();
    assert_eq!(salvaged.request_uri(), Some("sip:carol@example.com"));
}

/// §3.1.2.10: spaces at the end of the start line.
#[test]
fn trws() {
    let bytes = wire(
        "
        |OPTIONS sip:remote-target@example.com SIP/2.0\x20\x20
        |Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK299342093
        |To: <sip:remote-target@example.com>
        |From: <sip:local-resource@example.com>;tag=329429089
        |Call-ID: trws.of.ours
        |Accept: application/sdp
        |CSeq: 238923 OPTIONS
        |Max-Forwards: 70
        |Content-Length: 0
        |
        ",
    );
    unreadable(&bytes, "  \r\nVia", What::Spacing, 400);
}

/// §3.1.2.11: a Request-URI that carries headers, which must never become headers of the request.
#[test]
fn escruri() {
    let bytes = wire(
        "
        |INVITE sip:carol@example.com?Route=%3Csip:example.com%3E SIP/2.0
        |To: sip:carol@example.com
        |From: sip:alice@example.net;tag=341518
        |Max-Forwards: 7
        |Contact: <sip:alice@host39923.example.net>
        |Call-ID: escruri.of.ours
        |CSeq: 149209342 INVITE
        |Via: SIP/2.0/UDP host-of-the-hour.example.com;branch=z9hG4bKkdjuw
        |Content-Type: application/sdp
        |Content-Length: {length}
        |
        |{sdp}
        ",
    );
    let message = refused(&bytes, "?Route", What::UriHeaders, 400);
    assert_eq!(message.count(Name::Route), 0);
}

/// §3.1.2.12: a Date in another time zone than GMT; who does not need the date lets it pass.
#[test]
fn baddate() {
    let text = "
        |INVITE sip:carol@example.com SIP/2.0
        |To: sip:carol@example.com
        |From: sip:alice@example.net;tag=2234923
        |Max-Forwards: 70
        |Call-ID: baddate.of.ours
        |CSeq: 1392934 INVITE
        |Via: SIP/2.0/UDP host.example.com;branch=z9hG4bKkdjuw
        |Date: Fri, 01 Jan 2010 16:00:00 EST
        |Contact: <sip:alice@host5.example.net>
        |Content-Type: application/sdp
        |Content-Length: {length}
        |
        |{sdp}
        ";
    for zone in ["EST", "UT", "UTC", "UCT"] {
        let bytes = wire(&text.replace("EST", zone));
        let message = accepted(&bytes);
        let at = offset(&bytes, &format!("{zone}\r\nContact"));
        assert_eq!(message.date(), Some(Err(ParseError { at, what: What::Date })));
    }
}

/// §3.1.2.13: a URI with headers that stands without angle brackets.
#[test]
fn regbadct() {
    let bytes = wire(
        "
        |REGISTER sip:example.com SIP/2.0
        |To: sip:carol@example.com
        |From: sip:carol@example.com;tag=998332
        |Max-Forwards: 70
        |Call-ID: regbadct.of.ours@10.0.0.1
        |CSeq: 1 REGISTER
        |Via: SIP/2.0/UDP 135.180.130.133:5060;branch=z9hG4bKkdjuw
        |Contact: sip:carol@example.com?Route=%3Csip:sip.example.com%3E
        |l: 0
        |
        ",
    );
    refused(&bytes, "?Route", What::Bracket, 400);
}

/// §3.1.2.14: spaces inside the angle brackets.
#[test]
fn badaspec() {
    let bytes = wire(
        r#"
        |OPTIONS sip:carol@example.org SIP/2.0
        |Via: SIP/2.0/UDP host4.example.com:5060;branch=z9hG4bKkdju43234
        |Max-Forwards: 70
        |From: "Liddell, Alice" <sip:a.p.liddell@example.com>;tag=433423
        |To: "Carroll, Lewis" < sip:l.carroll@example.org >
        |Call-ID: badaspec.of.ours
        |Accept: application/sdp
        |CSeq: 3923239 OPTIONS
        |l: 0
        |
        "#,
    );
    let message = refused(&bytes, " sip:l.carroll", What::Uri, 400);
    assert_eq!(message.from().unwrap().display, Some("Liddell, Alice"));
}

/// §3.1.2.15: a comma in a display name without quotes.
#[test]
fn baddn() {
    let bytes = wire(
        "
        |OPTIONS sip:l.carroll@example.org SIP/2.0
        |Via:     SIP/2.0/UDP c.example.com:5060;branch=z9hG4bKkdjuw
        |Max-Forwards:      70
        |From:    Liddell, Alice <sip:a.p.liddell@example.com>;tag=43
        |To:      Carroll, Lewis <sip:l.carroll@example.org>
        |Call-ID: baddn.of.ours@c.example.com
        |Accept: application/sdp
        |CSeq:    3923239 OPTIONS
        |l: 0
        |
        ",
    );
    let message = refused(&bytes, ", Alice", What::DisplayName, 400);
    let at = offset(&bytes, ", Lewis");
    assert_eq!(message.to(), Err(ParseError { at, what: What::DisplayName }));
}

/// §3.1.2.16: another version of SIP.
#[test]
fn badvers() {
    let bytes = wire(
        "
        |OPTIONS sip:l.carroll@example.org SIP/7.0
        |Via:     SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw
        |Max-Forwards:     70
        |From:    A. Liddell <sip:a.p.liddell@example.com>;tag=qweoiqpe
        |To:      L. Carroll <sip:l.carroll@example.org>
        |Call-ID: badvers.of.ours@c.example.com
        |CSeq:    1 OPTIONS
        |l: 0
        |
        ",
    );
    let error = Message::parse(&bytes).unwrap_err();
    assert_eq!(error, ParseError { at: offset(&bytes, "SIP/7.0\r\n"), what: What::OtherVersion });
    assert_eq!(error.status(), 505);
    // The reply goes back the way of a Via we cannot read, either.
    let request = Message::salvage(&bytes).unwrap();
    assert_eq!(request.from().unwrap().display, Some("A. Liddell"));
    assert_eq!(request.top_via().unwrap_err().what, What::SentProtocol);
}

/// §3.1.2.17: the start line and CSeq name two known methods.
#[test]
fn mismatch01() {
    let bytes = wire(
        "
        |OPTIONS sip:carol@example.com SIP/2.0
        |To: sip:b.jones@example.com
        |From: sip:alice@example.net;tag=34525
        |Max-Forwards: 6
        |Call-ID: mismatch01.of.ours
        |CSeq: 8 INVITE
        |Via: SIP/2.0/UDP host.example.com;branch=z9hG4bKkdjuw
        |l: 0
        |
        ",
    );
    refused(&bytes, "INVITE\r\n", What::OtherMethod, 400);
}

/// §3.1.2.18: the start line names an unknown method, CSeq a known one.
#[test]
fn mismatch02() {
    let bytes = wire(
        "
        |NEWMETHOD sip:carol@example.com SIP/2.0
        |To: sip:b.jones@example.com
        |From: sip:alice@example.net;tag=34525
        |Max-Forwards: 6
        |Call-ID: mismatch02.of.ours
        |CSeq: 8 INVITE
        |Contact: <sip:alice@host.example.net>
        |Via: SIP/2.0/UDP host.example.net;branch=z9hG4bKkdjuw
        |Content-Type: application/sdp
        |l: {length}
        |
        |{sdp}
        ",
    );
    refused(&bytes, "NEWMETHOD", What::UnknownMethod, 501);
}

/// §3.1.2.19: a status code that is none.
#[test]
fn bigcode() {
    let bytes = wire(
        "
        |SIP/2.0 4294967301 better not break the receiver
        |Via: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe
        |Call-ID: bigcode.of.ours
        |CSeq: 353494 INVITE
        |From: <sip:alice@example.com>;tag=39ansfi3
        |To: <sip:carol@example.edu>;tag=902jndnke3
        |Content-Length: 0
        |Contact: <sip:carol@host105.example.com>
        |
        ",
    );
    unreadable(&bytes, "4294967301", What::StatusCode, 400);
    // Framed on a stream it harms nobody: the message can be told from the next, and dropped.
    let mut framer = Framer::new(Limits::default());
    framer.push(&bytes);
    assert_eq!(framer.next(), Some(Ok(Frame::Message(bytes))));
}
