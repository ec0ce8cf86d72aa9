//! A message at a glance: what most questions about a call ask of each of its messages.
//!
//! It is noted when the message is read for the observer, so that a finished call is looked through without reading its
//! messages again; only where something turns up are they.

use std::hash::BuildHasher;
use std::ops::Range;

use foldhash::fast::FixedState;
use midcall_proto::dialog::Envelope;
use midcall_wire::{Message, Method, Name, multipart};

/// Whether a request with this method may begin something; the others belong to something that is there.
const fn begins(method: Method) -> bool {
    use Method::{Ack, Bye, Cancel, Info, Notify, Prack, Update};
    !matches!(method, Ack | Bye | Cancel | Info | Notify | Prack | Update)
}

/// Whether this is a request in no dialog yet, with which something may begin.
pub(crate) fn is_beginning(sip: &Message<&[u8]>) -> bool {
    sip.is_request() && begins(sip.method()) && sip.to().is_ok_and(|to| to.tag().is_none())
}

/// What a message says in short.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Glance {
    /// Its method; that of its request for a response.
    pub(crate) method: Method,
    /// Its status; `None` for a request.
    pub(crate) status: Option<u16>,
    /// Number and method in its CSeq, if that can be read.
    pub(crate) cseq: Option<(u32, Method)>,
    /// Where in its bytes the session description stands.
    described: (u32, u32),
    /// A print of its Allow; 0 without one.
    pub(crate) allow: u32,
    /// How many hops an INVITE may go yet.
    pub(crate) max_forwards: Option<u8>,
    signs: u8,
}

impl Glance {
    pub(crate) fn of(message: &Message<&[u8]>, envelope: &Envelope<'_>) -> Self {
        let (mut signs, mut allow) = (0, 0);
        // The first line of these counts, also where it is not even text.
        let [mut kind, mut disposition] = [None; 2];
        for field in envelope.head().fields() {
            match field.name() {
                Name::ContentType => _ = kind.get_or_insert_with(|| field.text()),
                Name::ContentDisposition => _ = disposition.get_or_insert_with(|| field.text()),
                Name::Allow if allow == 0 => allow = print(field.bytes()),
                Name::UserAgent | Name::Server if field.bytes().starts_with(HUB) => signs |= OF_HUB,
                Name::RSeq => signs |= RELIABLE,
                Name::SessionExpires => signs |= TIMED,
                Name::SessionId
                | Name::Replaces
                | Name::ReferredBy
                | Name::Authorization
                | Name::ProxyAuthorization
                | Name::UserToUser
                | Name::PChargingVector
                | Name::Other => signs |= TELLING,
                _ => {}
            }
        }
        let body = message.body();
        let kind = kind.flatten().filter(|_| !body.is_empty());
        let sdp = kind.and_then(|kind| multipart::session_description(kind, disposition.flatten(), body));
        let unended =
            sdp.is_some_and(|sdp| !sdp.is_empty() && !sdp.ends_with(b"\n") && sdp.len() == body.len());
        if unended {
            signs |= UNENDED;
        }
        if envelope.to_tag().is_some() {
            signs |= TAGGED;
        }
        let method = envelope.method();
        let invites = message.is_request() && method == Method::Invite;
        let hops = invites.then(|| message.max_forwards()?.ok()).flatten();
        Self {
            method,
            status: message.status(),
            cseq: envelope.cseq().map(|cseq| (cseq.number, cseq.method)),
            described: sdp.and_then(|sdp| place(sdp, message.bytes())).unwrap_or_default(),
            allow,
            max_forwards: hops.and_then(|hops| hops.try_into().ok()),
            signs,
        }
    }

    /// Whether it is a request with this method.
    pub(crate) fn asks(&self, method: Method) -> bool {
        self.is_request() && self.method == method
    }

    pub(crate) const fn is_request(&self) -> bool {
        self.status.is_none()
    }

    /// Whether it is a response with one of these.
    pub(crate) fn says(&self, statuses: &[u16]) -> bool {
        self.status.is_some_and(|status| statuses.contains(&status))
    }

    /// Where in its bytes the session description stands.
    pub(crate) fn description(&self) -> Option<Range<usize>> {
        let (start, end) = (self.described.0 as usize, self.described.1 as usize);
        (end > 0).then_some(start..end)
    }

    /// Whether its To names a tag.
    pub(crate) const fn is_tagged(&self) -> bool {
        self.signs & TAGGED != 0
    }

    /// Whether something may begin with it: a request that is in no dialog yet.
    pub(crate) fn begins(&self) -> bool {
        self.is_request() && !self.is_tagged() && begins(self.method)
    }

    /// Whether it has a number of its own for PRACK (RFC 3262 §7.1).
    pub(crate) const fn is_reliable(&self) -> bool {
        self.signs & RELIABLE != 0
    }

    /// Whether it has a Session-Expires.
    pub(crate) const fn is_timed(&self) -> bool {
        self.signs & TIMED != 0
    }

    /// Whether it has a header that may tell of other calls, or one that nobody knows.
    pub(crate) const fn is_telling(&self) -> bool {
        self.signs & TELLING != 0
    }

    /// Whether its description, all of its body, lacks the last line end.
    pub(crate) const fn is_unended(&self) -> bool {
        self.signs & UNENDED != 0
    }

    /// Whether its sender says it is Microsoft's PSTN hub.
    pub(crate) const fn is_of_hub(&self) -> bool {
        self.signs & OF_HUB != 0
    }
}

/// Where a part of a message begins and ends in it.
fn place(part: &[u8], whole: &[u8]) -> Option<(u32, u32)> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start.checked_add(part.len()).filter(|end| *end <= whole.len())?;
    Some((start.try_into().ok()?, end.try_into().ok()?))
}

/// A print of a text, never 0.
fn print(text: &[u8]) -> u32 {
    let [a, b, c, d, ..] = FixedState::default().hash_one(text).to_le_bytes();
    u32::from_le_bytes([a, b, c, d]).max(1)
}

/// How the hub names itself.
const HUB: &[u8] = b"Microsoft.PSTNHub";

const TAGGED: u8 = 1;
const RELIABLE: u8 = 2;
const TIMED: u8 = 4;
const UNENDED: u8 = 8;
const OF_HUB: u8 = 16;
const TELLING: u8 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn glance(text: &str) -> (Glance, Option<&[u8]>) {
        let glance = {
            let message = Message::parse(text.as_bytes()).unwrap();
            Glance::of(&message, &Envelope::read(&message))
        };
        (glance, glance.description().and_then(|place| text.as_bytes().get(place)))
    }

    #[test]
    fn a_description_is_found_where_it_stands() {
        let plain = "INVITE sip:b@x.example SIP/2.0\r\nTo: <sip:b@x.example>\r\nCSeq: 7 INVITE\r\n\
                     Content-Type: application/sdp\r\n\r\nv=0\r\ns=-";
        let (invite, sdp) = glance(plain);
        assert_eq!(sdp, Some(&b"v=0\r\ns=-"[..]));
        assert!(invite.asks(Method::Invite) && invite.is_unended() && !invite.is_tagged());
        let parts = "SIP/2.0 183 Session Progress\r\nTo: <sip:b@x.example>;tag=b\r\nCSeq: 7 INVITE\r\nRSeq: 1\r\n\
                     Content-Type: multipart/mixed;boundary=cut\r\n\r\n--cut\r\nContent-Type: text/plain\r\n\r\nhi\r\n\
                     --cut\r\nContent-Type: application/sdp\r\n\r\nv=0\r\ns=-\r\n--cut--\r\n";
        let (progress, sdp) = glance(parts);
        assert!(sdp.is_some_and(|sdp| sdp.starts_with(b"v=0\r\ns=-")), "{sdp:?}");
        assert!(progress.says(&[183]) && progress.is_reliable() && progress.is_tagged());
        assert!(!progress.is_unended() && progress.cseq == Some((7, Method::Invite)));
    }
}
