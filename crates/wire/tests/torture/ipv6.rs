//! RFC 5118 §4: IPv6 addresses everywhere.

use std::net::IpAddr;

use midcall_wire::sdp::Sdp;
use midcall_wire::{Message, Uri, What};

use crate::{accepted, refused, wire};

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

fn request_uri<'m>(message: &'m Message<&[u8]>) -> Uri<'m> {
    Uri::parse(message.request_uri().unwrap()).unwrap()
}

/// A REGISTER to that URI.
fn register(uri: &str) -> Vec<u8> {
    wire(&format!(
        "|REGISTER {uri} SIP/2.0
         |To: sip:carol@example.com
         |From: sip:carol@example.com;tag=81x2
         |Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111
         |Call-ID: ipv6.of.ours@host_4100
         |Max-Forwards: 70
         |Contact: \"Carol\" <sip:carol@[2001:db8::1]>
         |CSeq: 98176 REGISTER
         |Content-Length: 0
         |"
    ))
}

/// §4.1
#[test]
fn ipv6_good() {
    let bytes = register("sip:[2001:db8::10]");
    let message = accepted(&bytes);
    let uri = request_uri(&message);
    assert_eq!((uri.host, uri.port, uri.ip()), ("[2001:db8::10]", None, ip("2001:db8::10")));
    assert_eq!(message.top_via().unwrap().ip(), ip("2001:db8::9:1"));
    let contact = message.contact().unwrap().unwrap().uri().unwrap();
    assert_eq!((contact.user, contact.ip()), (Some("carol"), ip("2001:db8::1")));
}

/// §4.2: an address without brackets.
#[test]
fn ipv6_bad() {
    // "2001" passes for a host; what follows its colon is no port.
    refused(&register("sip:2001:db8::10"), "db8::10 SIP", What::Port, 400);
}

/// §4.3: what was meant as a port is part of the address.
#[test]
fn port_ambiguous() {
    let bytes = register("sip:[2001:db8::10:5070]");
    let message = accepted(&bytes);
    let uri = request_uri(&message);
    assert_eq!((uri.port, uri.ip()), (None, ip("2001:db8::10:5070")));
}

/// §4.4
#[test]
fn port_unambiguous() {
    let bytes = register("sip:[2001:db8::10]:5070");
    let message = accepted(&bytes);
    let uri = request_uri(&message);
    assert_eq!((uri.port, uri.ip()), (Some(5070), ip("2001:db8::10")));
}

/// §4.5: brackets in the received parameter, where they should not be.
#[test]
fn via_received_param_with_delim() {
    let bytes = wire(
        "
        |BYE sip:[2001:db8::10] SIP/2.0
        |To: sip:carol@example.com;tag=bd76ya
        |From: sip:carol@example.com;tag=81x2
        |Via: SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKas3-111
        |Call-ID: ipv6.of.ours@host_4100
        |Max-Forwards: 70
        |CSeq: 321 BYE
        |Content-Length: 0
        |
        ",
    );
    let message = accepted(&bytes);
    let via = message.top_via().unwrap();
    assert_eq!(via.received_ip(), ip("2001:db8::9:255"));
    assert_eq!(via.branch(), Some("z9hG4bKas3-111"));
}

/// §4.5: no brackets, as it should be.
#[test]
fn via_received_param_no_delim() {
    let bytes = wire(
        r#"
        |OPTIONS sip:[2001:db8::10] SIP/2.0
        |To: sip:carol@example.com
        |From: sip:carol@example.com;tag=81x2
        |Via: SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKas3
        |Call-ID: ipv6.of.ours@host_4100
        |Max-Forwards: 70
        |Contact: "Carol" <sip:carol@[2001:db8::9:1]>
        |CSeq: 921 OPTIONS
        |Content-Length: 0
        |
        "#,
    );
    let message = accepted(&bytes);
    let via = message.top_via().unwrap();
    assert_eq!((via.received(), via.received_ip()), (Some("2001:db8::9:255"), ip("2001:db8::9:255")));
}

/// §4.6: addresses in a session description have no brackets.
#[test]
fn ipv6_in_sdp() {
    let bytes = wire(
        r#"
        |INVITE sip:carol@[2001:db8::10] SIP/2.0
        |To: sip:carol@[2001:db8::10]
        |From: sip:alice@example.com;tag=81x2
        |Via: SIP/2.0/UDP [2001:db8::20];branch=z9hG4bKas3-111
        |Call-ID: ipv6.of.ours@host_4100
        |Contact: "Alice" <sip:alice@[2001:db8::20]>
        |CSeq: 8612 INVITE
        |Max-Forwards: 70
        |Content-Type: application/sdp
        |Content-Length: {length}
        |
        |v=0
        |o=assistant 971731711378798081 0 IN IP6 2001:db8::20
        |s=Live video feed for today's meeting
        |c=IN IP6 2001:db8::20
        |t=3338481189 3370017201
        |m=audio 6000 RTP/AVP 2
        |a=rtpmap:2 G726-32/8000
        |m=video 6024 RTP/AVP 107
        |a=rtpmap:107 H263-1998/90000
        "#,
    );
    let message = accepted(&bytes);
    assert_eq!(message.to().unwrap().uri().unwrap().ip(), ip("2001:db8::10"));
    let sdp = Sdp::parse(message.sdp().unwrap()).unwrap();
    let connections: Vec<_> = sdp.media().map(|media| media.connection()).collect();
    assert_eq!(connections, [Some("2001:db8::20"); 2]);
}

/// §4.7: both families in the Via list.
#[test]
fn mult_ip_in_header() {
    let bytes = wire(
        "
        |BYE sip:carol@host.example.net SIP/2.0
        |Via: SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3-111
        |Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjhja8781hjuaij65144
        |Via: SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK451jj;received=192.0.2.200
        |Call-ID: ipv6.of.ours@host_4100
        |Max-Forwards: 70
        |CSeq: 89187 BYE
        |To: sip:carol@example.net;tag=9817--94
        |From: sip:alice@example.com;tag=81x2
        |Content-Length: 0
        |
        ",
    );
    let message = accepted(&bytes);
    let vias: Vec<_> = message.vias().map(Result::unwrap).collect();
    let vias: Vec<_> = vias.iter().map(|via| (via.ip(), via.port, via.received_ip())).collect();
    assert_eq!(
        vias,
        [
            (ip("2001:db8::9:1"), Some(6050), None),
            (ip("192.0.2.1"), None, None),
            (ip("2001:db8::9:255"), None, ip("192.0.2.200")),
        ]
    );
}

/// §4.8: both families in one session description.
#[test]
fn mult_ip_in_sdp() {
    let bytes = wire(
        r#"
        |INVITE sip:carol@[2001:db8::10] SIP/2.0
        |To: sip:carol@[2001:db8::10]
        |From: sip:alice@example.com;tag=81x2
        |Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111
        |Call-ID: ipv6.of.ours@host_4100
        |Contact: "Alice" <sip:alice@[2001:db8::9:1]>
        |Max-Forwards: 70
        |CSeq: 8912 INVITE
        |Content-Type: application/sdp
        |Content-Length: {length}
        |
        |v=0
        |o=bob 280744730 28977631 IN IP4 host.example.com
        |s=
        |t=0 0
        |m=audio 22334 RTP/AVP 0
        |c=IN IP4 192.0.2.1
        |m=video 6024 RTP/AVP 107
        |c=IN IP6 2001:db8::1
        |a=rtpmap:107 H263-1998/90000
        "#,
    );
    let message = accepted(&bytes);
    let sdp = Sdp::parse(message.sdp().unwrap()).unwrap();
    let connections: Vec<_> = sdp.media().map(|media| media.connection()).collect();
    assert_eq!(connections, [Some("192.0.2.1"), Some("2001:db8::1")]);
}

/// §4.9: IPv4 addresses written as IPv6 addresses.
#[test]
fn ipv4_mapped_ipv6() {
    let bytes = wire(
        r#"
        |INVITE sip:carol@example.com SIP/2.0
        |To: sip:carol@example.com
        |From: sip:alice@east.example.com;tag=81x2
        |Via: SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKbh19
        |Via: SIP/2.0/UDP [::ffff:192.0.2.2];branch=z9hG4bKas3-111
        |Call-ID: ipv6.of.ours@host_4100
        |Contact: "A. desk phone" <sip:alice@[::ffff:192.0.2.2]>
        |CSeq: 612 INVITE
        |Max-Forwards: 70
        |Content-Type: application/sdp
        |Content-Length: {length}
        |
        |v=0
        |o=assistant 971731711378798081 0 IN IP6 ::ffff:192.0.2.2
        |s=Call me soon, please!
        |c=IN IP6 ::ffff:192.0.2.2
        |t=3338481189 3370017201
        |m=audio 6000 RTP/AVP 2
        |a=rtpmap:2 G726-32/8000
        |m=video 6024 RTP/AVP 107
        |a=rtpmap:107 H263-1998/90000
        "#,
    );
    let message = accepted(&bytes);
    let via = message.top_via().unwrap();
    assert_eq!((via.ip(), via.port), (ip("::ffff:192.0.2.10"), Some(19823)));
    assert_eq!(via.sent_by(), "[::ffff:192.0.2.10]:19823");
    let contact = message.contact().unwrap().unwrap();
    assert_eq!(contact.uri().unwrap().ip(), ip("::ffff:192.0.2.2"));
    let sdp = Sdp::parse(message.sdp().unwrap()).unwrap();
    assert!(sdp.media().all(|media| media.connection() == Some("::ffff:192.0.2.2")));
}

fn options(host: &str) -> Vec<u8> {
    wire(&format!(
        "|OPTIONS sip:carol@{host} SIP/2.0
         |To: sip:carol@{host}
         |From: sip:alice@example.com;tag=810x2
         |Via: SIP/2.0/UDP lab1.east.example.com;branch=z9hG4bKas3-111
         |Call-ID: ipv6.of.ours@host_4100
         |CSeq: 689 OPTIONS
         |Max-Forwards: 70
         |Content-Length: 0
         |"
    ))
}

/// §4.10: three colons, which a flaw in the grammar of RFC 3261 allows.
#[test]
fn ipv6_bug_abnf_3_colons() {
    let bytes = options("[2001:db8:::192.0.2.1]");
    let message = accepted(&bytes);
    let uri = request_uri(&message);
    assert_eq!((uri.host, uri.ip()), ("[2001:db8:::192.0.2.1]", ip("2001:db8::192.0.2.1")));
}

/// §4.10: two colons.
#[test]
fn ipv6_correct_abnf_2_colons() {
    let bytes = options("[2001:db8::192.0.2.1]");
    let message = accepted(&bytes);
    let uri = request_uri(&message);
    assert_eq!(uri.ip(), ip("2001:db8::192.0.2.1"));
    assert!(uri.same(&Uri::parse("sip:carol@[2001:db8:::192.0.2.1]").unwrap()));
}
