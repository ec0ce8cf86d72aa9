//! From streams to the text of a description.

use std::fmt::Write;
use std::net::IpAddr;

use midcall_wire::sdp::{Origin, Sdp, Version};

use super::Wanted;

/// One section to be written.
pub(super) struct Section {
    pub(super) kind: String,
    pub(super) port: u16,
    pub(super) protocol: String,
    pub(super) formats: Vec<String>,
    pub(super) address: Option<IpAddr>,
    /// Whole lines without line end.
    pub(super) lines: Vec<String>,
}

/// Writes a description whose version follows from what was sent last.
///
/// RFC 3264 §8: the same content keeps its version, and then its bytes; any other content is one version
/// higher than the last description sent, whether or not that one was refused.
pub(super) fn write(wanted: &Wanted, times: &[String], sections: &[Section], last: Option<&Sdp>) -> Sdp {
    let session_id = wanted.session_id.to_string();
    let address = wanted.address.to_string();
    let plain = !wanted.user.is_empty() && !wanted.user.contains(char::is_whitespace);
    let new = Origin {
        username: if plain { &wanted.user } else { "-" },
        session_id: &session_id,
        version: "1",
        net: "IN",
        address_type: family(wanted.address),
        address: &address,
    };
    // RFC 3264 §8: nothing else in the o= line changes while the session lives, not even on a move.
    let Some((last, origin)) = last.and_then(|last| Some((last, last.origin()?))) else {
        return body(wanted, &new, times, sections);
    };
    let same = body(wanted, &origin, times, sections);
    if same.same_but_version(last) {
        return last.clone();
    }
    let next = Version::parse(origin.version).map_or_else(|| "1".to_owned(), |v| v.plus_one().to_string());
    body(wanted, &Origin { version: &next, ..origin }, times, sections)
}

pub(super) fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IP4" } else { "IP6" }
}

fn body(wanted: &Wanted, origin: &Origin<'_>, times: &[String], sections: &[Section]) -> Sdp {
    let mut text = Text(String::with_capacity(512));
    text.line(format_args!("v=0"));
    text.line(format_args!("o={origin}"));
    text.line(format_args!("s=-"));
    text.line(format_args!("c=IN {} {}", family(wanted.address), wanted.address));
    for time in times {
        text.line(format_args!("{time}"));
    }
    for section in sections {
        let Section { kind, port, protocol, formats, address, lines } = section;
        text.line(format_args!("m={kind} {port} {protocol} {}", formats.join(" ")));
        if let Some(address) = address.filter(|address| *address != wanted.address) {
            text.line(format_args!("c=IN {} {address}", family(address)));
        }
        for line in lines {
            text.line(format_args!("{line}"));
        }
    }
    Sdp::trusted(text.0)
}

struct Text(String);

impl Text {
    /// Appends a line; line ends inside it would start another and are dropped.
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let from = self.0.len();
        // Writing to a string cannot fail.
        let _ = self.0.write_fmt(line);
        if self.0.get(from..).is_some_and(|line| line.contains(['\r', '\n'])) {
            let clean = self.0.split_off(from).replace(['\r', '\n'], "");
            self.0.push_str(&clean);
        }
        self.0.push_str("\r\n");
    }
}
