//! Reading a normal message allocates nothing.

use allocation_counter::measure;
use midcall_wire::{Message, Name, Uri};

const MESSAGE: &str = "\
    INVITE sip:bob@192.0.2.4:5060;transport=udp SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776asdhds;rport\r\n\
    Max-Forwards: 70\r\n\
    Route: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>\r\n\
    From: \"Alice Liddell\" <sip:alice@example.com>;tag=1928301774\r\n\
    To: \"Bob\" <sip:bob@example.com>;tag=314159\r\n\
    Call-ID: a84b4c76e66710@pc33.example.com\r\n\
    CSeq: 314160 INVITE\r\n\
    Contact: <sip:alice@192.0.2.1:5060>\r\n\
    Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, REFER, NOTIFY\r\n\
    Supported: timer, 100rel,\r\n replaces\r\n\
    Session-Expires: 1800;refresher=uac\r\n\
    Min-SE: 90\r\n\
    User-Agent: midcall/0.1\r\n\
    X-Unknown: 1\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 119\r\n\r\n\
    v=0\r\no=alice 2890844526 2890844527 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
    m=audio 49170 RTP/AVP 8\r\na=sendonly\r\n";

#[test]
fn reading_a_message_allocates_nothing() {
    let info = measure(|| {
        let message = Message::parse(MESSAGE.as_bytes()).unwrap();
        assert!(message.check_hops().is_ok());
        assert!(message.sdp().is_some());
        assert_eq!(message.from().unwrap().tag(), Some("1928301774"));
        assert_eq!(message.to().unwrap().tag(), Some("314159"));
        assert_eq!(message.cseq().unwrap().number, 314_160);
        assert_eq!(message.top_via().unwrap().rport(), Some(None));
        assert_eq!(message.values(Name::Route).count(), 2);
        assert!(message.has_option(Name::Supported, "replaces"));
        assert_eq!(message.session_expires().unwrap().unwrap().seconds, 1800);
        assert_eq!(message.header_named("x-unknown"), Some("1"));
        let uri = Uri::parse(message.request_uri().unwrap()).unwrap();
        assert!(uri.same(&Uri::parse("sip:bob@192.0.2.4:5060;transport=UDP").unwrap()));
    });
    assert_eq!((info.count_total, info.bytes_total), (0, 0));
}

#[test]
fn more_headers_than_usual_cost_one_allocation_at_a_time() {
    let many = MESSAGE.replace("X-Unknown: 1\r\n", &"X-Unknown: 1\r\n".repeat(40));
    let info = measure(|| {
        let message = Message::parse(many.as_bytes()).unwrap();
        assert_eq!(message.headers().count(), 55);
    });
    assert_eq!(info.count_total, 1);
}

#[test]
fn a_reply_with_a_body_costs_two_allocations() {
    let message = Message::parse(MESSAGE.as_bytes()).unwrap();
    let info = measure(|| {
        let reply = midcall_wire::Builder::reply(&message, 200, None)
            .header(Name::Contact, "<sip:bob@192.0.2.4>")
            .header(Name::SessionExpires, "1800;refresher=uac")
            .body("application/sdp", message.body())
            .finish();
        assert!(reply.len() > 400);
    });
    assert_eq!(info.count_total, 2);
}
