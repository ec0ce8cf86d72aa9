//! midcall's own side of the comparison.

use crate::message::Facts;
use bytes::Bytes;
use midcall_wire::{Builder, Message as WireMessage, Name, Uri};

/// The message as the core holds it.
pub type Message = WireMessage<Bytes>;

/// Bytes to message.
pub fn parse(bytes: Bytes) -> Option<Message> {
    Message::parse(bytes).ok()
}

/// What a UA reads first.
pub fn read<T>(message: &Message, see: impl FnOnce(Facts<'_>) -> T) -> Option<T> {
    Some(see(Facts {
        branch: message.top_via().ok()?.branch()?.as_bytes(),
        from_tag: message.from().ok()?.tag()?.as_bytes(),
        to_tag: message.to().ok()?.tag()?.as_bytes(),
        call_id: message.call_id().ok()?.as_bytes(),
        cseq: message.cseq().ok()?.number,
        contact_port: Uri::parse(message.contact()?.ok()?.uri).ok()?.port?,
        body: message.body(),
    }))
}

/// The same message from its parts: a parsed midcall message keeps its bytes, so copying those would prove nothing.
pub fn write(sdp: &[u8]) -> Vec<u8> {
    Builder::request("INVITE", "sip:bob@192.0.2.20:5060;transport=udp")
        .header(Name::Via, "SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bK7f3a9c2e51d8")
        .header(Name::Route, "<sip:192.0.2.1;lr>")
        .header(Name::MaxForwards, 70)
        .header(Name::From, "\"Alice\" <sip:alice@example.com>;tag=1d9f4b7ac3")
        .header(Name::To, "<sip:bob@example.org>;tag=8e2c60d5b1")
        .header(Name::CallId, "5f0c1b7e9a2d4836@192.0.2.10")
        .header(Name::CSeq, format_args!("{} {}", 471, "INVITE"))
        .header(Name::Contact, "<sip:alice@192.0.2.10:5062>")
        .header(Name::Allow, "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, REFER, NOTIFY, INFO")
        .header(Name::Supported, "timer, 100rel, replaces")
        .header(Name::SessionExpires, format_args!("{};refresher={}", 1800, "uac"))
        .header(Name::MinSe, 90)
        .header(Name::UserAgent, "midcall-bench")
        .header(Name::Accept, "application/sdp")
        .body("application/sdp", sdp)
        .finish()
}
