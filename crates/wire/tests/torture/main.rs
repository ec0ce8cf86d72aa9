//! The torture tests of RFC 4475 and RFC 5118: every message, under its name there, with its verdict.
//!
//! The messages are retyped with other people and places; what each of them tests is untouched.

mod application;
mod invalid;
mod ipv6;
mod valid;

use midcall_wire::{Builder, Edit, Message, ParseError, What};

/// A session description for the messages that only need to have one.
const SDP: &str = "\
    |v=0
    |o=alice 29739 7272939 IN IP4 192.0.2.3
    |s=-
    |c=IN IP4 192.0.2.4
    |t=0 0
    |m=audio 49217 RTP/AVP 0 12
    |m=video 3227 RTP/AVP 31
    |a=rtpmap:31 LPC";

/// The bytes of a message: of each line what stands behind its bar, with CRLF. `{sdp}` stands for [`SDP`],
/// `{length}` for the length of the body.
fn wire(text: &str) -> Vec<u8> {
    let text = text.replace("|{sdp}", SDP);
    let lines = text.lines().filter_map(|line| line.split_once('|'));
    let message: String = lines.map(|(_, line)| format!("{line}\r\n")).collect();
    let body = message.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
    message.replace("{length}", &body.to_string()).into_bytes()
}

/// The message is well formed, and comes through an edit that changes nothing.
#[track_caller]
fn accepted(bytes: &[u8]) -> Message<&[u8]> {
    let message = Message::parse(bytes).unwrap();
    assert_eq!(message.check(), Ok(()));
    assert_eq!(Edit::new(&message).finish(), message.bytes());
    message
}

/// The bytes cannot be read: at `needle`, `what` is missing. A request is still answered with `status`.
#[track_caller]
fn unreadable(bytes: &[u8], needle: &str, what: What, status: u16) {
    let error = Message::parse(bytes).unwrap_err();
    assert_eq!(error, ParseError { at: offset(bytes, needle), what });
    assert_eq!(error.status(), status);
    if !bytes.starts_with(b"SIP/") {
        let request = Message::salvage(bytes).unwrap();
        let reply = Message::parse(Builder::reply(&request, status, None).finish()).unwrap();
        assert_eq!(reply.check(), Ok(()));
        assert_eq!(reply.status(), Some(status));
        assert_eq!(reply.call_id(), request.call_id());
    }
}

/// The message can be read, but not acted on: at `needle`, `what` is missing. A request is answered with
/// `status`.
#[track_caller]
fn refused<'a>(bytes: &'a [u8], needle: &str, what: What, status: u16) -> Message<&'a [u8]> {
    let message = Message::parse(bytes).unwrap();
    let error = message.check().unwrap_err();
    assert_eq!(error, ParseError { at: offset(bytes, needle), what });
    assert_eq!(error.status(), status);
    message
}

/// Where the text stands in the bytes; the end of them for an empty one.
#[track_caller]
fn offset(bytes: &[u8], needle: &str) -> usize {
    match needle {
        "" => bytes.len(),
        _ => memchr::memmem::find(bytes, needle.as_bytes()).expect("the needle is in the message"),
    }
}
