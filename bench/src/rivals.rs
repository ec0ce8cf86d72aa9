//! The same work done by the other Rust SIP parsers, each in the way its own documentation shows.
//!
//! A function is `None` when its crate finds something wrong: the run stops then, for there is nothing to compare.

use crate::message::Facts;

/// rsip 0.4.0.
pub mod rsip {
    use super::Facts;
    pub use ::rsip::Request as Message;
    use ::rsip::prelude::*;

    pub fn parse(bytes: &[u8]) -> Option<Message> {
        Message::try_from(bytes).ok()
    }

    pub fn read<T>(message: &Message, see: impl FnOnce(Facts<'_>) -> T) -> Option<T> {
        let via = message.via_header().ok()?.typed().ok()?;
        let from = message.from_header().ok()?.typed().ok()?;
        let to = message.to_header().ok()?.typed().ok()?;
        let cseq = message.cseq_header().ok()?.typed().ok()?;
        let contact = message.contact_header().ok()?.typed().ok()?;
        Some(see(Facts {
            branch: via.branch()?.value().as_bytes(),
            from_tag: from.tag()?.value().as_bytes(),
            to_tag: to.tag()?.value().as_bytes(),
            call_id: message.call_id_header().ok()?.value().as_bytes(),
            cseq: cseq.seq,
            contact_port: *contact.uri.host_with_port.port?.value(),
            body: message.body(),
        }))
    }

    pub fn write(message: &Message) -> Vec<u8> {
        message.to_string().into_bytes()
    }
}

/// rsipstack 0.7.14.
pub mod rsipstack {
    use super::Facts;
    pub use ::rsipstack::sip::Request as Message;
    use ::rsipstack::sip::prelude::*;

    pub fn parse(bytes: &[u8]) -> Option<Message> {
        Message::try_from(bytes).ok()
    }

    pub fn read<T>(message: &Message, see: impl FnOnce(Facts<'_>) -> T) -> Option<T> {
        let via = message.via_header().ok()?.typed().ok()?;
        let from = message.from_header().ok()?.typed().ok()?;
        let to = message.to_header().ok()?.typed().ok()?;
        let cseq = message.cseq_header().ok()?.typed().ok()?;
        let contact = message.contact_header().ok()?.typed().ok()?;
        Some(see(Facts {
            branch: via.branch()?.value().as_bytes(),
            from_tag: from.tag()?.value().as_bytes(),
            to_tag: to.tag()?.value().as_bytes(),
            call_id: message.call_id_header().ok()?.value().as_bytes(),
            cseq: cseq.seq,
            contact_port: contact.uri.host_with_port.port.as_ref()?.value(),
            body: message.body(),
        }))
    }

    pub fn write(message: &Message) -> Vec<u8> {
        message.to_bytes()
    }
}

/// sipx-sip 1.0.1.
pub mod sipx {
    use super::Facts;
    use ::sipx_sip::headers::{CSeq, CallId, Contact, From, To, Via};
    pub use ::sipx_sip::message::Message;
    use ::sipx_sip::parser::{Limits, parse_datagram};
    use bytes::Bytes;

    pub fn parse(bytes: Bytes) -> Option<Message> {
        parse_datagram(bytes, &Limits::datagram()).ok()
    }

    pub fn read<T>(message: &Message, see: impl FnOnce(Facts<'_>) -> T) -> Option<T> {
        let headers = message.headers();
        let via = headers.typed::<Via>()?.ok()?;
        let from = headers.typed::<From>()?.ok()?;
        let to = headers.typed::<To>()?.ok()?;
        let call_id = headers.typed::<CallId>()?.ok()?;
        let contact = headers.typed::<Contact>()?.ok()?;
        Some(see(Facts {
            branch: via.branch()?,
            from_tag: from.tag()?,
            to_tag: to.tag()?,
            call_id: &call_id.0,
            cseq: headers.typed::<CSeq>()?.ok()?.sequence,
            contact_port: contact.uri.port()?,
            body: message.body(),
        }))
    }

    pub fn write(message: &Message) -> Bytes {
        message.to_bytes()
    }
}

/// ezk-sip-types 0.6.5: the parts of a message without a type for the whole, put together here as its own
/// stack does it.
pub mod ezk {
    use super::Facts;
    use ::ezk_sip_types::header::typed::{CSeq, CallID, Contact, FromTo, Via};
    use ::ezk_sip_types::msg::{Line, MessageLine, PullParser};
    use ::ezk_sip_types::parse::Parse;
    use ::ezk_sip_types::print::AppendCtx;
    use ::ezk_sip_types::{Headers, Name};
    use bytes::Bytes;
    use std::io::Write;

    pub struct Message {
        line: MessageLine,
        headers: Headers,
        body: Bytes,
    }

    pub fn parse(bytes: Bytes) -> Option<Message> {
        let mut parser = PullParser::new(&bytes, 0);
        let first = std::str::from_utf8(parser.next()?.ok()?).ok()?;
        let (_, line) = MessageLine::parse(&bytes)(first).ok()?;
        let mut headers = Headers::with_capacity(16);
        for text in parser.by_ref() {
            let text = std::str::from_utf8(text.ok()?).ok()?;
            let (_, Line { name, value }) = Line::parse(&bytes, text).ok()?;
            headers.insert(name, value);
        }
        let body = bytes.slice(parser.head_end()..);
        Some(Message { line, headers, body })
    }

    pub fn read<T>(message: &Message, see: impl FnOnce(Facts<'_>) -> T) -> Option<T> {
        let headers = &message.headers;
        let via: Via = headers.get_named().ok()?;
        let from: FromTo = headers.get(Name::FROM).ok()?;
        let to: FromTo = headers.get(Name::TO).ok()?;
        let call_id: CallID = headers.get_named().ok()?;
        let cseq: CSeq = headers.get_named().ok()?;
        let contact: Contact = headers.get_named().ok()?;
        Some(see(Facts {
            branch: via.params.get_val("branch")?.as_bytes(),
            from_tag: from.tag.as_ref()?.as_bytes(),
            to_tag: to.tag.as_ref()?.as_bytes(),
            call_id: call_id.0.as_bytes(),
            cseq: cseq.cseq,
            contact_port: contact.uri.uri.host_port.port?,
            body: &message.body,
        }))
    }

    pub fn write(message: &Message) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        let _ = write!(out, "{}\r\n{}\r\n", message.line.default_print_ctx(), message.headers);
        out.extend_from_slice(&message.body);
        out
    }
}
