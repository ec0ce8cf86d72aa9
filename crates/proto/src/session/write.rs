//! From streams to the text of a description.

use std::fmt::{Arguments, Write};
use std::net::IpAddr;

use midcall_wire::sdp::{Direction, Media, Origin, Sdp, Version};

use super::formats::Format;
use super::{Stream, Wanted};

/// A description being written, whose version follows from what was sent last.
pub(super) struct Draft<'l> {
    text: String,
    address: IpAddr,
    last: Option<(&'l Sdp, Origin<'l>)>,
}

impl<'l> Draft<'l> {
    /// Starts with the lines up to `c=`.
    ///
    /// RFC 3264 §8: nothing but the version changes in the `o=` line while the session lives, not even on a
    /// move.
    pub(super) fn new(wanted: &Wanted, last: Option<&'l Sdp>) -> Self {
        let last = last.and_then(|last| Some((last, last.origin()?)));
        let mut draft = Self { text: String::with_capacity(512), address: wanted.address, last };
        draft.line(format_args!("v=0"));
        match draft.last {
            Some((_, origin)) => draft.line(format_args!("o={origin}")),
            None => {
                let plain = !wanted.user.is_empty() && !wanted.user.contains(char::is_whitespace);
                let (user, id) = (if plain { &*wanted.user } else { "-" }, wanted.session_id);
                let (family, address) = (family(wanted.address), wanted.address);
                draft.line(format_args!("o={user} {id} 1 IN {family} {address}"));
            }
        }
        draft.line(format_args!("s=-"));
        draft.line(format_args!("c=IN {} {}", family(wanted.address), wanted.address));
        draft
    }

    /// Writes a line; line ends inside it would start another and are dropped.
    pub(super) fn line(&mut self, line: Arguments<'_>) {
        let from = self.text.len();
        // Writing to a string cannot fail.
        let _ = self.text.write_fmt(line);
        if self.text.get(from..).is_some_and(|line| line.contains(['\r', '\n'])) {
            let clean = self.text.split_off(from).replace(['\r', '\n'], "");
            self.text.push_str(&clean);
        }
        self.text.push_str("\r\n");
    }

    /// Writes the `m=` line of a stream of this side, its address and what explains its formats.
    pub(super) fn live(&mut self, stream: &Stream, protocol: &str, formats: &[Format<'_>]) {
        let rtp = is_rtp(protocol);
        let _ = write!(self.text, "m={} {} {protocol}", stream.kind, stream.port);
        for format in formats {
            let _ = match format.number.filter(|_| rtp) {
                Some(number) => write!(self.text, " {number}"),
                None => write!(self.text, " {}", format.name),
            };
        }
        self.text.push_str("\r\n");
        if let Some(address) = stream.address.filter(|address| *address != self.address) {
            self.line(format_args!("c=IN {} {address}", family(address)));
        }
        for format in formats {
            let Some(number) = format.number.filter(|_| rtp) else { continue };
            self.line(format_args!("a=rtpmap:{number} {}", format.rtpmap()));
            if let Some(fmtp) = format.fmtp {
                self.line(format_args!("a=fmtp:{number} {fmtp}"));
            }
        }
    }

    /// Writes a stream that is off: port 0, with the formats it had. RFC 3264 §6, §8.2.
    pub(super) fn dead(&mut self, media: Option<&Media<'_>>, mid: Option<&str>) {
        let kind = media.map_or("audio", Media::kind);
        let protocol = media.map_or("RTP/AVP", Media::protocol);
        let _ = write!(self.text, "m={kind} 0 {protocol}");
        let mut formats = media.iter().flat_map(|media| media.formats()).peekable();
        // At least one format has to be there, whatever it is.
        if formats.peek().is_none() {
            self.text.push_str(" 0");
        }
        for format in formats {
            self.text.push(' ');
            self.text.push_str(format);
        }
        self.text.push_str("\r\n");
        self.mid(mid);
    }

    pub(super) fn mid(&mut self, mid: Option<&str>) {
        if let Some(mid) = mid {
            self.line(format_args!("a=mid:{mid}"));
        }
    }

    /// RTP streams always state their direction, others only where it is not both ways.
    pub(super) fn direction(&mut self, direction: Direction, protocol: &str) {
        if is_rtp(protocol) || direction != Direction::SendRecv {
            self.line(format_args!("a={direction}"));
        }
    }

    /// The description with its version.
    ///
    /// RFC 3264 §8: the same content keeps its version, and then its bytes; any other content is one version
    /// higher than the last description sent, whether or not that one was refused.
    pub(super) fn finish(self) -> Sdp {
        let mut sdp = Sdp::trusted(self.text);
        if let Some((last, origin)) = self.last {
            if sdp.same_but_version(last) {
                return last.clone();
            }
            let next = Version::parse(origin.version).map(|version| version.plus_one());
            sdp.set_origin_version(next.as_ref().map_or("1", |version| version.as_str()));
        }
        sdp
    }
}

pub(super) fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IP4" } else { "IP6" }
}

pub(super) fn is_rtp(protocol: &str) -> bool {
    protocol.as_bytes().windows(4).any(|part| part.eq_ignore_ascii_case(b"RTP/"))
}
