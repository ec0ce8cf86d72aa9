//! Changes to messages, byte for byte.

use std::net::IpAddr;

use midcall_wire::{Builder, Edit, Message, Name};

const REQUEST: &str = "\
    INVITE sip:bob@example.com SIP/2.0\r\n\
    VIA:  SIP/2.0/UDP a.example:5070 ;rport;branch=z9hG4bK1,\r\n SIP/2.0/TCP b.example;branch=z9hG4bK2\r\n\
    v: SIP/2.0/TCP c.example;branch=z9hG4bK3\r\n\
    Route: <sip:p1.example;lr>, <sip:p2.example;lr>\r\n\
    max-forwards :70\r\n\
    t: Bob <sip:bob@example.com>\r\n\
    From: <sip:alice@example.com>;tag=1\r\n\
    Call-ID: x\r\n\
    CSeq: 7\r\n INVITE\r\n\
    X-Odd:    kept   as it is  \r\n\
    Content-Type: application/sdp\r\n\
    l: 5\r\n\r\n\
    v=0\r\n";

/// The request after some changes.
fn edited(change: impl FnOnce(&mut Edit<'_, &str>)) -> String {
    let message = Message::parse(REQUEST).unwrap();
    let mut edit = Edit::new(&message);
    change(&mut edit);
    String::from_utf8(edit.finish()).unwrap()
}

/// The request with one piece of text replaced.
fn with(old: &str, new: &str) -> String {
    assert_eq!(REQUEST.matches(old).count(), 1, "{old:?}");
    REQUEST.replace(old, new)
}

macro_rules! edit {
    ($($method:ident($($arg:expr),*)),+ => $($old:expr, $new:expr);+) => {{
        let result = edited(|edit| { edit$(.$method($($arg),*))+; });
        let mut wanted = REQUEST.to_owned();
        $(
            assert!(wanted.contains($old), "{:?} is not there", $old);
            wanted = wanted.replace($old, $new);
        )+
        assert_eq!(result, wanted);
    }};
}

#[test]
fn values_are_replaced_where_they_are() {
    edit!(set(Name::MaxForwards, 69) => "max-forwards :70", "max-forwards: 69");
    edit!(set(Name::To, "<sip:carol@example.com>") => "t: Bob <sip:bob@example.com>", "t: <sip:carol@example.com>");
    edit!(set(Name::CSeq, "8 INVITE") => "CSeq: 7\r\n INVITE", "CSeq: 8 INVITE");
    // One line is left of several.
    edit!(set(Name::Via, "x") =>
        "VIA:  SIP/2.0/UDP a.example:5070 ;rport;branch=z9hG4bK1,\r\n SIP/2.0/TCP b.example;branch=z9hG4bK2\r\n", "VIA: x\r\n";
        "v: SIP/2.0/TCP c.example;branch=z9hG4bK3\r\n", "");
    edit!(set(Name::MaxForwards, 69), set(Name::MaxForwards, 68) => "max-forwards :70", "max-forwards: 68");
}

#[test]
fn lines_are_added_and_taken_away() {
    edit!(set(Name::UserAgent, "midcall") => "l: 5\r\n", "l: 5\r\nUser-Agent: midcall\r\n");
    edit!(push(Name::Route, "<sip:p3.example;lr>") => "max-forwards", "Route: <sip:p3.example;lr>\r\nmax-forwards");
    edit!(insert_top(Name::Route, "<sip:p0.example;lr>") => "Route: <sip:p1", "Route: <sip:p0.example;lr>\r\nRoute: <sip:p1");
    edit!(insert_top(Name::RecordRoute, "<sip:me;lr>") => "VIA:", "Record-Route: <sip:me;lr>\r\nVIA:");
    edit!(push_named("X-New: a\r\nb", "1\r\n2") => "l: 5\r\n", "l: 5\r\nX-Newab: 1  2\r\n");
    edit!(remove(Name::Via), remove_named("x-odd"), remove(Name::Reason) =>
        "VIA:  SIP/2.0/UDP a.example:5070 ;rport;branch=z9hG4bK1,\r\n SIP/2.0/TCP b.example;branch=z9hG4bK2\r\n", "";
        "v: SIP/2.0/TCP c.example;branch=z9hG4bK3\r\n", "";
        "X-Odd:    kept   as it is  \r\n", "");
    edit!(remove_named("CONTACT"), remove_named("to") => "t: Bob <sip:bob@example.com>\r\n", "");
}

#[test]
fn the_first_of_a_list_is_reached() {
    edit!(remove_top_value(Name::Route) => "<sip:p1.example;lr>, ", "");
    edit!(remove_top_value(Name::Route), remove_top_value(Name::Route) =>
        "Route: <sip:p1.example;lr>, <sip:p2.example;lr>\r\n", "");
    edit!(remove_top_value(Name::Contact), request_uri("sip:bob@192.0.2.4") => "INVITE sip:bob@example.com", "INVITE sip:bob@192.0.2.4");
    edit!(set_top_value(Name::Route, "<sip:new;lr>") => "<sip:p1.example;lr>", "<sip:new;lr>");
    edit!(remove_top_value(Name::Via), remove_top_value(Name::Via) =>
        "VIA:  SIP/2.0/UDP a.example:5070 ;rport;branch=z9hG4bK1,\r\n SIP/2.0/TCP b.example;branch=z9hG4bK2\r\n", "");
}

/// RFC 3261 §18.2.1, RFC 3581 §4.
#[test]
fn via_notes_where_a_request_came_from() {
    let address = IpAddr::from([198, 51, 100, 7]);
    let noted = edited(|edit| {
        edit.received(address, 40_000);
    });
    let noted = Message::parse(noted).unwrap();
    let via = noted.top_via().unwrap();
    assert_eq!(
        (via.rport(), via.received_ip(), via.branch()),
        (Some(Some(40_000)), Some(address), Some("z9hG4bK1"))
    );
    assert_eq!(noted.vias().count(), 3);
    // Without rport only an address that differs from sent-by is noted.
    for (sent_by, received) in [
        ("203.0.113.5", "203.0.113.5;branch=1;received=198.51.100.7"),
        ("198.51.100.7", "198.51.100.7;branch=1"),
    ] {
        let request = format!("BYE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP {sent_by};branch=1\r\n\r\n");
        let request = Message::parse(request).unwrap();
        let mut edit = Edit::new(&request);
        let wanted = format!("BYE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP {received}\r\n\r\n");
        assert_eq!(String::from_utf8(edit.received(address, 5060).finish()).unwrap(), wanted);
        let reply = Builder::reply(&request, 200, None).received(address, 5060).finish();
        assert!(String::from_utf8(reply).unwrap().contains(&format!("UDP {received}\r\n")));
    }
    // What a changed line was folded at becomes space.
    edit!(set_via_param("rport", Some("9")), set_via_param("new", None) =>
        "VIA:  SIP/2.0/UDP a.example:5070 ;rport;branch=z9hG4bK1,\r\n SIP", "VIA: SIP/2.0/UDP a.example:5070 ;rport=9;branch=z9hG4bK1;new,   SIP");
}

#[test]
fn the_body_brings_its_length_and_type() {
    edit!(set_body("application/sdp", b"v=0\r\ns=-\r\n") => "Content-Type: application/sdp\r\nl: 5\r\n\r\nv=0\r\n", "Content-Type: application/sdp\r\nl: 10\r\n\r\nv=0\r\ns=-\r\n");
    edit!(set_body("", b"") => "Content-Type: application/sdp\r\nl: 5\r\n\r\nv=0\r\n", "l: 0\r\n\r\n");
    let message = Message::parse("BYE sip:b SIP/2.0\r\nX: 1\r\n\r\n").unwrap();
    let mut edit = Edit::new(&message);
    edit.set_body("text/plain", b"hi");
    let bytes = edit.finish();
    assert_eq!(
        bytes,
        b"BYE sip:b SIP/2.0\r\nX: 1\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
    );
}

#[test]
fn a_reply_copies_what_it_must() {
    let message = Message::parse(REQUEST).unwrap();
    let reply = Builder::reply(&message, 180, None)
        .to_tag("9z")
        .to_tag("no")
        .header(Name::ContentLength, 99)
        .finish();
    let wanted = "SIP/2.0 180 Ringing\r\n\
        VIA:  SIP/2.0/UDP a.example:5070 ;rport;branch=z9hG4bK1,\r\n SIP/2.0/TCP b.example;branch=z9hG4bK2\r\n\
        v: SIP/2.0/TCP c.example;branch=z9hG4bK3\r\n\
        From: <sip:alice@example.com>;tag=1\r\n\
        t: Bob <sip:bob@example.com>;tag=9z\r\n\
        Call-ID: x\r\n\
        CSeq: 7\r\n INVITE\r\n\
        Content-Length: 0\r\n\r\n";
    assert_eq!(String::from_utf8(reply).unwrap(), wanted);
    // A tag that is there stays.
    let again = with("t: Bob <sip:bob@example.com>", "t: Bob <sip:bob@example.com>;tag=old");
    let again = Message::parse(again).unwrap();
    let reply = Message::parse(Builder::reply(&again, 200, None).to_tag("new").finish()).unwrap();
    assert_eq!(reply.to().unwrap().tag(), Some("old"));
    // Both notes land where they belong, in either order.
    for reply in [
        Builder::reply(&message, 200, None).to_tag("9z").received([192, 0, 2, 1].into(), 9),
        Builder::reply(&message, 200, None).received([192, 0, 2, 1].into(), 9).to_tag("9z"),
    ] {
        let reply = Message::parse(reply.finish()).unwrap();
        assert_eq!(reply.to().unwrap().tag(), Some("9z"));
        assert_eq!(reply.top_via().unwrap().rport(), Some(Some(9)));
    }
}

#[test]
fn a_message_can_be_kept_apart_from_its_buffer() {
    let padded = format!("\r\n\r\n{REQUEST}behind");
    let message = Message::parse(padded.as_str()).unwrap();
    let owned = message.to_owned();
    assert_eq!(owned.bytes(), REQUEST.as_bytes());
    assert_eq!(owned.call_id(), Ok("x"));
    assert_eq!(owned.into_source(), REQUEST.as_bytes());
}
