//! RFC 4475 §3.2 to §3.4: messages whose point lies above the syntax.

use midcall_wire::{Framer, Limits, Method, Name, ParseError, Scheme, Uri, What};

use crate::{accepted, offset, refused, unreadable, wire};

/// §3.2.1: a branch that is only the magic cookie identifies no transaction.
#[test]
fn badbranch() {
    let bytes = wire(
        "
        |OPTIONS sip:carol@example.com SIP/2.0
        |To: sip:carol@example.com
        |From: sip:alice@example.org;tag=33242
        |Max-Forwards: 3
        |Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK
        |Accept: application/sdp
        |Call-ID: badbranch.of.ours
        |CSeq: 8 OPTIONS
        |l: 0
        |
        ",
    );
    refused(&bytes, "z9hG4bK\r\n", What::Branch, 400);
}

/// §3.3.1: no Call-ID, no From, no To.
#[test]
fn insuf() {
    let bytes = wire(
        "
        |INVITE sip:carol@example.com SIP/2.0
        |CSeq: 193942 INVITE
        |Via: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKkdj.insuf
        |Content-Type: application/sdp
        |l: {length}
        |
        |{sdp}
        ",
    );
    let message = refused(&bytes, "\r\nv=0", What::Missing(Name::From), 400);
    let missing = |name| ParseError { at: offset(&bytes, "\r\nv=0"), what: What::Missing(name) };
    assert_eq!(message.to(), Err(missing(Name::To)));
    assert_eq!(message.call_id(), Err(missing(Name::CallId)));
}

/// §3.3.2: a Request-URI whose scheme nobody knows.
#[test]
fn unkscm() {
    let bytes = wire(
        "
        |OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0
        |To: sip:carol@example.com
        |From: sip:alice@example.net;tag=384
        |Max-Forwards: 3
        |Call-ID: unkscm.of.ours
        |CSeq: 3923423 OPTIONS
        |Via: SIP/2.0/TCP host9.example.com;branch=z9hG4bKkdjuw39234
        |Content-Length: 0
        |
        ",
    );
    let message = refused(&bytes, "nobodyKnows", What::Scheme, 416);
    let uri = Uri::parse(message.request_uri().unwrap()).unwrap();
    assert_eq!((uri.scheme.as_str(), uri.rest()), ("nobodyKnowsThisScheme", "totallyopaquecontent"));
}

/// §3.3.3: a Request-URI whose scheme is registered, but of no use here.
#[test]
fn novelsc() {
    let bytes = wire(
        "
        |OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0
        |To: sip:carol@example.com
        |From: sip:alice@example.net;tag=384
        |Max-Forwards: 3
        |Call-ID: novelsc.of.ours
        |CSeq: 3923423 OPTIONS
        |Via: SIP/2.0/TCP host9.example.com;branch=z9hG4bKkdjuw39234
        |Content-Length: 0
        |
        ",
    );
    let message = refused(&bytes, "soap.beep", What::Scheme, 416);
    let uri = Uri::parse(message.request_uri().unwrap()).unwrap();
    assert_eq!((uri.scheme.as_str(), uri.rest()), ("soap.beep", "//192.0.2.103:3002"));
}

/// §3.3.4: other schemes in From, To and Contact are nothing to stumble over.
#[test]
fn unksm2() {
    let bytes = wire(
        "
        |REGISTER sip:example.com SIP/2.0
        |To: isbn:2983792873
        |From: <http://www.example.com>;tag=3234233
        |Call-ID: unksm2.of.ours@hyphenated-host.example.com
        |CSeq: 234902 REGISTER
        |Max-Forwards: 70
        |Via: SIP/2.0/UDP 192.0.2.21:5060;branch=z9hG4bKkdjuw
        |Contact: <name:John_Smith>
        |l: 0
        |
        ",
    );
    let message = accepted(&bytes);
    // A registrar, which wants a SIP address here, would answer 400.
    assert_eq!(message.to().unwrap().uri().unwrap().scheme, Scheme::Other("isbn"));
    assert_eq!(message.from().unwrap().uri().unwrap().rest(), "//www.example.com");
    assert_eq!(message.contact().unwrap().unwrap().uri().unwrap().rest(), "John_Smith");
}

/// §3.3.5: extensions nobody supports; owed is 420 with their names.
#[test]
fn bext01() {
    let bytes = wire(
        "
        |OPTIONS sip:carol@example.com SIP/2.0
        |To: sip:b_jones@example.com
        |From: sip:alice@example.net;tag=242etr
        |Max-Forwards: 6
        |Call-ID: bext01.of.ours
        |Require: nothingSupportsThis, nothingSupportsThisEither
        |Proxy-Require: noProxiesSupportThis, norDoAnyProxiesSupportThis
        |CSeq: 8 OPTIONS
        |Via: SIP/2.0/TLS fold-and-staple.example.com;branch=z9hG4bKkdjuw
        |Content-Length: 0
        |
        ",
    );
    let message = accepted(&bytes);
    let unknown: Vec<_> = message.unknown(Name::Require, &["timer", "100rel"]).collect();
    assert_eq!(unknown, ["nothingSupportsThis", "nothingSupportsThisEither"]);
    let unknown: Vec<_> = message.unknown(Name::ProxyRequire, &[]).collect();
    assert_eq!(unknown, ["noProxiesSupportThis", "norDoAnyProxiesSupportThis"]);
    assert_eq!(message.unknown(Name::Require, &unknown).count(), 2);
}

/// §3.3.6: a body of an unknown type; an endpoint owes 415.
#[test]
fn invut() {
    let bytes = wire(
        r#"
        |INVITE sip:carol@example.com SIP/2.0
        |Contact: <sip:alice@host5.example.net>
        |To: sip:b.jones@example.com
        |From: sip:alice@example.net;tag=8392034
        |Max-Forwards: 70
        |Call-ID: invut.of.ours
        |CSeq: 235448 INVITE
        |Via: SIP/2.0/UDP somehost.example.com;branch=z9hG4bKkdjuw
        |Content-Type: application/unknownformat
        |Content-Length: {length}
        |
        |<audio>
        | <pcmu port="443"/>
        |</audio>
        "#,
    );
    let message = accepted(&bytes);
    let content_type = message.content_type().unwrap();
    assert_eq!((content_type.kind, content_type.subtype), ("application", "unknownformat"));
    assert!(!content_type.is("application/sdp"));
    assert!(message.body().starts_with(b"<audio>"));
    assert_eq!(message.sdp(), None);
}

/// §3.3.7: credentials of an unknown scheme are for the registrar to judge.
#[test]
fn regaut01() {
    let bytes = wire(
        "
        |REGISTER sip:example.com SIP/2.0
        |To: sip:b.jones@example.com
        |From: sip:b.jones@example.com;tag=87321hj23128
        |Max-Forwards: 8
        |Call-ID: regaut01.of.ours
        |CSeq: 9338 REGISTER
        |Via: SIP/2.0/TCP 192.0.2.253;branch=z9hG4bKkdjuw
        |Authorization: NoOneKnowsThisScheme opaque-data=here
        |Content-Length:0
        |
        ",
    );
    let message = accepted(&bytes);
    assert_eq!(message.header(Name::Authorization), Some("NoOneKnowsThisScheme opaque-data=here"));
}

/// §3.3.8: several values where one must be.
#[test]
fn multi01() {
    let bytes = wire(
        "
        |INVITE sip:carol@company.example SIP/2.0
        |Contact: <sip:alice@host25.example.net>
        |Via: SIP/2.0/UDP 192.0.2.25;branch=z9hG4bKkdjuw
        |Max-Forwards: 70
        |CSeq: 5 INVITE
        |Call-ID: multi01.of.ours@192.0.2.1
        |CSeq: 59 INVITE
        |Call-ID: multi01.of.ours@192.0.2.2
        |From: sip:alice@example.com;tag=3413415
        |To: sip:carol@example.com
        |To: sip:other@example.net
        |From: sip:alice@example.net;tag=2923420123
        |Content-Type: application/sdp
        |l: {length}
        |Contact: <sip:alice@host36.example.net>
        |Max-Forwards: 5
        |
        |{sdp}
        ",
    );
    let message = refused(&bytes, "CSeq: 59", What::Repeated(Name::CSeq), 400);
    let counts =
        [Name::CSeq, Name::CallId, Name::From, Name::To, Name::MaxForwards].map(|n| message.count(n));
    assert_eq!(counts, [2; 5]);
}

/// §3.3.9: two lengths, so none; a stream is lost.
#[test]
fn mcl01() {
    let bytes = wire(
        "
        |OPTIONS sip:carol@example.com SIP/2.0
        |Via: SIP/2.0/UDP host5.example.net;branch=z9hG4bK293423
        |To: sip:carol@example.com
        |From: sip:other@example.net;tag=3923942
        |Call-ID: mcl01.of.ours
        |CSeq: 15932 OPTIONS
        |Content-Length: 13
        |Max-Forwards: 60
        |Content-Length: 5
        |Content-Type: text/plain
        |
        |There's no way to know how many octets are supposed to be here.
        ",
    );
    unreadable(&bytes, "Content-Length: 5", What::Repeated(Name::ContentLength), 400);
    let mut framer = Framer::new(Limits::default());
    framer.push(&bytes);
    assert_eq!(framer.next().unwrap().unwrap_err().what, What::Repeated(Name::ContentLength));
    assert!(framer.is_broken());
}

/// §3.3.10: a response with a second Via is not for this user agent, least of all one to everybody.
#[test]
fn bcast() {
    let bytes = wire(
        "
        |SIP/2.0 200 OK
        |Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923
        |Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23
        |Call-ID: bcast.of.ours
        |CSeq: 35 INVITE
        |From: sip:alice@example.com;tag=11141343
        |To: sip:carol@example.edu;tag=2229
        |Content-Length: {length}
        |Content-Type: application/sdp
        |Contact: <sip:carol@host28.example.com>
        |
        |{sdp}
        ",
    );
    let message = accepted(&bytes);
    let at = offset(&bytes, "SIP/2.0/UDP 255");
    assert_eq!(message.check_reply(), Err(ParseError { at, what: What::Repeated(Name::Via) }));
    assert!(message.vias().any(|via| via.unwrap().ip() == Some([255; 4].into())));
}

/// §3.3.11: no more hops: of no matter where the request ends, 483 where it would go on.
#[test]
fn zeromf() {
    let bytes = wire(
        "
        |OPTIONS sip:carol@example.com SIP/2.0
        |To: sip:carol@example.com
        |From: sip:alice@example.net;tag=3ghsd41
        |Call-ID: zeromf.of.ours
        |CSeq: 39234321 OPTIONS
        |Via: SIP/2.0/UDP host1.example.com;branch=z9hG4bKkdjuw2349i
        |Max-Forwards: 0
        |Content-Length: 0
        |
        ",
    );
    let message = accepted(&bytes);
    assert_eq!(message.max_forwards(), Some(Ok(0)));
    let error = message.check_hops().unwrap_err();
    assert_eq!(error, ParseError { at: offset(&bytes, "0\r\nContent"), what: What::TooManyHops });
    assert_eq!(error.status(), 483);
}

/// §3.3.12: a parameter behind a URI without brackets is the header's.
#[test]
fn cparam01() {
    let bytes = wire(
        "
        |REGISTER sip:example.com SIP/2.0
        |Via: SIP/2.0/UDP saturn.example.com:5060;branch=z9hG4bKkdjuw
        |Max-Forwards: 70
        |From: sip:alice@example.com;tag=DkfVgjkrtMwaerKKpe
        |To: sip:alice@example.com
        |Call-ID: cparam01.of.ours@saturn.example.com
        |CSeq: 2 REGISTER
        |Contact: sip:+19725552222@gw1.example.net;unknownparam
        |l: 0
        |
        ",
    );
    let message = accepted(&bytes);
    let contact = message.contact().unwrap().unwrap();
    assert_eq!(contact.params.get("unknownparam"), Some(None));
    assert_eq!(contact.uri, "sip:+19725552222@gw1.example.net");
    assert!(contact.uri().unwrap().params.is_empty());
}

/// §3.3.13: the same parameter inside the brackets is the URI's.
#[test]
fn cparam02() {
    let bytes = wire(
        "
        |REGISTER sip:example.com SIP/2.0
        |Via: SIP/2.0/UDP saturn.example.com:5060;branch=z9hG4bKkdjuw
        |Max-Forwards: 70
        |From: sip:alice@example.com;tag=838293
        |To: sip:alice@example.com
        |Call-ID: cparam02.of.ours@saturn.example.com
        |CSeq: 3 REGISTER
        |Contact: <sip:+19725552222@gw1.example.net;unknownparam>
        |l: 0
        |
        ",
    );
    let message = accepted(&bytes);
    let contact = message.contact().unwrap().unwrap();
    assert!(contact.params.is_empty());
    assert_eq!(contact.uri().unwrap().params.get("unknownparam"), Some(None));
}

/// §3.3.14: a Contact whose URI carries a header.
#[test]
fn regescrt() {
    let bytes = wire(
        "
        |REGISTER sip:example.com SIP/2.0
        |To: sip:carol@example.com
        |From: sip:carol@example.com;tag=8
        |Max-Forwards: 70
        |Call-ID: regescrt.of.ours@192.0.2.1
        |CSeq: 14398234 REGISTER
        |Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bKkdjuw
        |M: <sip:carol@example.com?Route=%3Csip:sip.example.com%3E>
        |L:0
        |
        ",
    );
    let message = accepted(&bytes);
    let uri = message.contact().unwrap().unwrap().uri().unwrap();
    assert_eq!(uri.header("route").as_deref(), Some("<sip:sip.example.com>"));
    assert_eq!((uri.host, uri.params.is_empty()), ("example.com", true));
    assert_eq!(message.count(Name::Route), 0);
}

/// §3.3.15: only answers of an unknown type are welcome; 406 is owed.
#[test]
fn sdp01() {
    let bytes = wire(
        "
        |INVITE sip:carol@example.com SIP/2.0
        |To: sip:b_jones@example.com
        |Contact: <sip:alice@host15.example.net>
        |From: sip:alice@example.net;tag=234
        |Max-Forwards: 5
        |Call-ID: sdp01.of.ours
        |Accept: text/nobodyKnowsThis
        |CSeq: 8 INVITE
        |Via: SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKkdjuw
        |Content-Length: {length}
        |Content-Type: application/sdp
        |
        |{sdp}
        ",
    );
    let message = accepted(&bytes);
    assert_eq!(message.count(Name::Accept), 1);
    assert!(!message.has_option(Name::Accept, "application/sdp"));
    assert_eq!(message.unknown(Name::Accept, &["application/sdp"]).next(), Some("text/nobodyKnowsThis"));
}

/// §3.4.1: an INVITE of RFC 2543: no branch, no tag, no Content-Length, no Max-Forwards.
#[test]
fn inv2543() {
    let bytes = wire(
        "
        |INVITE sip:bob@example.com SIP/2.0
        |Via: SIP/2.0/UDP iftgw.example.com
        |From: <sip:+13035551111@ift.client.example.net;user=phone>
        |Record-Route: <sip:bob@example.com;maddr=ss1.example.com>
        |To: sip:+16505552222@ss1.example.net;user=phone
        |Call-ID: inv2543.of.ours@ift.client.example.com
        |CSeq: 56 INVITE
        |Content-Type: application/sdp
        |
        |v=0
        |o=alice 29739 7272939 IN IP4 192.0.2.5
        |s=-
        |c=IN IP4 192.0.2.5
        |t=0 0
        |m=audio 49217 RTP/AVP 0
        ",
    );
    let message = accepted(&bytes);
    assert_eq!(message.method(), Method::Invite);
    assert_eq!(message.top_via().unwrap().branch(), None);
    assert_eq!(message.from().unwrap().tag(), None);
    assert_eq!(message.content_length(), None);
    assert_eq!(message.max_forwards(), None);
    assert_eq!(message.check_hops(), Ok(()));
    assert!(message.body().ends_with(b"m=audio 49217 RTP/AVP 0\r\n"));
    assert_eq!(message.sdp(), Some(message.body()));
    // The parameter of To is the header's, that of From the URI's.
    assert_eq!(message.to().unwrap().params.value("user"), Some("phone"));
    assert_eq!(message.from().unwrap().uri().unwrap().params.value("user"), Some("phone"));
    let route = message.addresses(Name::RecordRoute).next().unwrap().unwrap().uri().unwrap();
    assert_eq!(route.params.value("maddr"), Some("ss1.example.com"));
}
