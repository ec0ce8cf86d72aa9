//! What must hold for any bytes taken as one datagram.

use std::net::IpAddr;

use midcall_wire::{Builder, Edit, Limits, Message, Name, Uri, escape_header, unescape};

/// Reads the bytes, answers what was read, and changes it, one thing at a time.
pub(crate) fn check(data: &[u8]) {
    if let Some(salvaged) = Message::salvage(data) {
        read(&salvaged);
        reply(&salvaged);
    }
    let Ok(message) = Message::parse(data) else { return };
    let bytes = message.bytes();
    let skipped = data.chunks(2).take_while(|pair| pair == b"\r\n").count() * 2;
    assert!(data[skipped..].starts_with(bytes), "the message is no part of what came");
    assert!(bytes.ends_with(message.body()));
    let again = parse(bytes);
    assert_eq!(again.bytes(), bytes, "reading it again gives another message");
    assert_eq!(lines(&again), lines(&message));
    read(&message);
    reply(&message);
    edit(&message);
}

type Lines<'a> = Vec<(Name, &'a str, &'a [u8])>;

fn lines<'m>(message: &'m Message<&[u8]>) -> Lines<'m> {
    message.headers().map(|header| (header.name, header.raw_name, header.value)).collect()
}

fn parse(bytes: &[u8]) -> Message<&[u8]> {
    // What was written may be longer than what may come in.
    let limits = Limits { message: 1 << 20, headers: 1 << 10, header_line: 1 << 18, uri: 1 << 18 };
    match Message::parse_with(bytes, &limits) {
        Ok(message) => message,
        Err(error) => panic!("what was written cannot be read: {error}\n{}", String::from_utf8_lossy(bytes)),
    }
}

fn read(message: &Message<&[u8]>) {
    let _ = (message.is_request(), message.method(), message.method_name(), message.status());
    let _ = (message.reason_phrase(), message.body(), message.sdp(), message.call_id(), message.cseq());
    let _ = (message.max_forwards(), message.content_type(), message.content_length(), message.rseq());
    let _ = (message.rack(), message.session_expires(), message.min_se(), message.retry_after());
    let _ = (message.expires(), message.replaces(), message.event(), message.subscription_state());
    let _ = (message.has_option(Name::Supported, "timer"), message.header_named("X-Unknown"));
    assert_eq!(message.is_request(), message.request_uri().is_some());
    assert_eq!(message.is_request(), message.status().is_none());
    for address in [message.from(), message.to()].into_iter().chain(message.contact()).flatten() {
        let _ = (address.tag(), address.params.iter().count());
        uri(address.uri);
    }
    message.request_uri().into_iter().for_each(uri);
    message.refer_to().and_then(Result::ok).into_iter().for_each(|refer| uri(refer.uri));
    let _ = message.referred_by();
    for via in message.vias().flatten() {
        let _ = (via.branch(), via.received(), via.rport(), via.sent_by());
    }
    for challenge in message.challenges() {
        let _ =
            (challenge.realm(), challenge.nonce(), challenge.algorithm(), challenge.qop(), challenge.stale());
    }
    for header in message.headers() {
        let values = message.values(header.name).count();
        assert!(header.name == Name::Other || values <= message.bytes().len());
    }
}

fn uri(text: &str) {
    let Ok(uri) = Uri::parse(text) else { return };
    assert!(uri.same(&uri), "{text} is not the same as itself");
    let _ = (uri.header("Replaces"), uri.params.iter().count());
    assert_eq!(unescape(&escape_header(text)), text);
}

/// Every request can be answered, and the answer says whose it is. RFC 3261 §8.2.6.
fn reply(request: &Message<&[u8]>) {
    if !request.is_request() {
        return;
    }
    let bytes = Builder::reply(request, 491, None).to_tag("t").finish();
    let reply = parse(&bytes);
    assert_eq!(reply.status(), Some(491));
    for name in [Name::Via, Name::From, Name::CallId, Name::CSeq] {
        assert!(reply.values(name).eq(request.values(name)), "{} is not the same", name.as_str());
    }
    if request.count(Name::To) == 1 && request.to().is_ok_and(|to| !to.params.has("tag")) {
        assert_eq!(reply.to().ok().and_then(|to| to.tag()), Some("t"));
    }
    if request.top_via().is_ok() {
        let address = IpAddr::from([203, 0, 113, 9]);
        let bytes = Builder::reply(request, 200, None).received(address, 4711).finish();
        let via = parse(&bytes).top_via().map(|via| via.received().map(str::to_owned));
        assert!(matches!(via, Ok(None)) || via == Ok(Some("203.0.113.9".to_owned())), "{via:?}");
    }
}

fn edit(message: &Message<&[u8]>) {
    assert_eq!(Edit::new(message).finish(), message.bytes(), "no change changes something");
    let before = lines(message);

    let mut edit = Edit::new(message);
    let bytes = edit.set(Name::MaxForwards, 17).finish();
    let changed = parse(&bytes);
    assert_eq!((changed.header(Name::MaxForwards), changed.count(Name::MaxForwards)), (Some("17"), 1));
    assert_eq!(without(&lines(&changed), Name::MaxForwards), without(&before, Name::MaxForwards));
    assert_eq!(changed.body(), message.body());

    let mut edit = Edit::new(message);
    let bytes = edit.insert_top(Name::Via, "SIP/2.0/UDP p.example;branch=z9hG4bKtop").finish();
    let changed = parse(&bytes);
    assert_eq!(changed.top_via().ok().and_then(|via| via.branch()), Some("z9hG4bKtop"));
    assert_eq!(changed.count(Name::Via), message.count(Name::Via) + 1);
    let mut edit = Edit::new(&changed);
    let bytes = edit.remove_top_value(Name::Via).finish();
    assert_eq!(bytes, message.bytes(), "taking the top Via away again leaves something");

    if message.top_via().is_ok() {
        let mut edit = Edit::new(message);
        let bytes = edit.set_via_param("branch", Some("z9hG4bKnew")).finish();
        let changed = parse(&bytes);
        assert_eq!(changed.top_via().map(|via| via.branch()), Ok(Some("z9hG4bKnew")));
        assert_eq!(changed.vias().count(), message.vias().count());
    }

    let mut edit = Edit::new(message);
    let bytes = edit.remove(Name::Contact).finish();
    assert_eq!(lines(&parse(&bytes)), without(&before, Name::Contact));

    let mut edit = Edit::new(message);
    let bytes = edit.set_body("application/sdp", b"v=0\r\n").finish();
    let changed = parse(&bytes);
    assert_eq!(changed.body(), b"v=0\r\n");
    assert_eq!(changed.content_length().and_then(Result::ok), Some(5));
}

fn without<'a>(lines: &Lines<'a>, name: Name) -> Lines<'a> {
    lines.iter().filter(|line| line.0 != name).copied().collect()
}
