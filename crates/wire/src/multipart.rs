//! Bodies made of several parts: `multipart/mixed` and its relatives. RFC 5621, RFC 2046 §5.1.
//!
//! SIP cares about one question most of the time: where, in this body, is the session description?
//! [`session_description`] answers it for plain, wrapped and nested bodies. [`Multipart`] walks the parts
//! for everything else.

use memchr::memmem;

/// Finds the session description of a message body, alone or inside a multipart. RFC 5621 §4.2, §8.
///
/// An `application/sdp` part counts when its disposition is `session` or absent. In `multipart/alternative`
/// the last such part wins, because the sender orders them from plain to rich; anywhere else the first.
///
/// ```
/// use midcall_wire::multipart::session_description;
///
/// let body = b"--b\r\nContent-Type: application/isup\r\n\r\n\x01\r\n\
///              --b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--b--\r\n";
/// assert_eq!(session_description("multipart/mixed;boundary=b", None, body), Some(&b"v=0\r\n"[..]));
/// assert_eq!(session_description("application/sdp", Some("early-session"), b"v=0\r\n"), None);
/// ```
pub fn session_description<'a>(
    content_type: &str,
    content_disposition: Option<&str>,
    body: &'a [u8],
) -> Option<&'a [u8]> {
    // Nearly every body is a description and nothing else.
    if content_disposition.is_none() && content_type == "application/sdp" {
        return Some(body);
    }
    find(content_type, content_disposition, body, "session", DEPTH)
}

/// Finds the description of an early session, a separate exchange of its own. RFC 3959 §4.
///
/// ```
/// use midcall_wire::multipart::early_session_description;
///
/// assert!(early_session_description("application/sdp", Some("early-session"), b"v=0\r\n").is_some());
/// assert!(early_session_description("application/sdp", None, b"v=0\r\n").is_none());
/// ```
pub fn early_session_description<'a>(
    content_type: &str,
    content_disposition: Option<&str>,
    body: &'a [u8],
) -> Option<&'a [u8]> {
    find(content_type, content_disposition, body, "early-session", DEPTH)
}

/// Whether a body has a part that its receiver must understand and that describes no session. RFC 5621 §4.3, §8.
///
/// A part asks for that unless it says `handling=optional`; of alternatives one understood is enough.
///
/// ```
/// use midcall_wire::multipart::has_foreign_part;
///
/// assert!(has_foreign_part("application/isup", None, b"\x01"));
/// assert!(!has_foreign_part("application/isup", Some("signal;handling=optional"), b"\x01"));
/// assert!(!has_foreign_part("application/sdp", None, b"v=0\r\n"));
/// ```
pub fn has_foreign_part(content_type: &str, content_disposition: Option<&str>, body: &[u8]) -> bool {
    is_required(content_disposition) && is_foreign(content_type, content_disposition, body, DEPTH)
}

fn is_foreign(content_type: &str, disposition: Option<&str>, body: &[u8], depth: u8) -> bool {
    if first_token(content_type).eq_ignore_ascii_case("application/sdp") {
        let disposition = disposition.map(first_token).filter(|d| !d.is_empty());
        return !disposition.unwrap_or("session").eq_ignore_ascii_case("session");
    }
    let Some(depth) = depth.checked_sub(1) else { return true };
    let Some(mut parts) = Multipart::parse(content_type, body) else { return true };
    if parts.is_alternative() {
        return parts.all(|part| is_foreign(part.content_type(), part.disposition(), part.body(), depth));
    }
    parts.any(|part| {
        part.is_required() && is_foreign(part.content_type(), part.disposition(), part.body(), depth)
    })
}

fn is_required(disposition: Option<&str>) -> bool {
    let handling = disposition.and_then(|value| parameter(value, "handling"));
    !handling.is_some_and(|handling| handling.eq_ignore_ascii_case("optional"))
}

fn find<'a>(
    content_type: &str,
    disposition: Option<&str>,
    body: &'a [u8],
    wanted: &str,
    depth: u8,
) -> Option<&'a [u8]> {
    let media_type = first_token(content_type);
    let disposition = disposition.map(first_token).filter(|d| !d.is_empty());
    if media_type.eq_ignore_ascii_case("application/sdp") {
        // Without a disposition an application/sdp body describes the session.
        return disposition.unwrap_or("session").eq_ignore_ascii_case(wanted).then_some(body);
    }
    let depth = depth.checked_sub(1)?;
    let parts = Multipart::parse(content_type, body)?;
    let alternative = parts.is_alternative();
    let mut found = parts.filter_map(|part| {
        // Alternatives share the disposition of what wraps them when they name none themselves.
        let own = part.disposition().or(if alternative { disposition } else { None });
        find(part.content_type(), own, part.body(), wanted, depth)
    });
    if alternative { found.last() } else { found.next() }
}

/// The parts of a multipart body, in order.
///
/// What stands before the first and after the last delimiter is skipped; a body that lacks the closing
/// delimiter ends its last part where the body ends.
///
/// ```
/// use midcall_wire::multipart::Multipart;
///
/// let parts = Multipart::parse("multipart/mixed; boundary=\"x y\"", b"--x y\n\none\n--x y--\n").unwrap();
/// assert_eq!(parts.map(|part| part.body().to_vec()).collect::<Vec<_>>(), [b"one".to_vec()]);
/// ```
#[derive(Clone, Debug)]
pub struct Multipart<'a> {
    alternative: bool,
    delimiter: Vec<u8>,
    rest: Option<&'a [u8]>,
}

impl<'a> Multipart<'a> {
    /// Opens a body; `None` when the content type is no multipart or names no boundary.
    pub fn parse(content_type: &str, body: &'a [u8]) -> Option<Self> {
        let (kind, subtype) = first_token(content_type).split_once('/')?;
        if !kind.trim().eq_ignore_ascii_case("multipart") {
            return None;
        }
        let boundary = parameter(content_type, "boundary").filter(|b| !b.is_empty())?;
        let delimiter = [b"--", boundary.as_bytes()].concat();
        let rest = delimiter_line(body, &delimiter).and_then(|found| found.rest);
        Some(Self { alternative: subtype.trim().eq_ignore_ascii_case("alternative"), delimiter, rest })
    }

    /// Whether the parts are several forms of the same thing; unknown kinds of multipart are not. RFC 5621 §8.
    pub fn is_alternative(&self) -> bool {
        self.alternative
    }
}

impl<'a> Iterator for Multipart<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let from = self.rest.take()?;
        match delimiter_line(from, &self.delimiter) {
            Some(found) => {
                self.rest = found.rest;
                Some(Part::split(found.before))
            }
            None if from.is_empty() => None,
            None => Some(Part::split(from)),
        }
    }
}

/// One part: its own header lines and its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    headers: &'a [u8],
    body: &'a [u8],
}

impl<'a> Part<'a> {
    fn split(bytes: &'a [u8]) -> Self {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            let (line, after) = rest.split_at(length);
            if line.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
                return Self { headers: bytes.get(..at).unwrap_or_default(), body: after };
            }
            at += length;
        }
        Self { headers: bytes, body: &[] }
    }

    /// The header lines of the part, as they stand.
    pub fn headers(&self) -> &'a [u8] {
        self.headers
    }

    /// The content of the part; the line end before the next delimiter is not part of it.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The first value of a header of the part, trimmed; `None` when absent or not UTF-8.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let mut rest = self.headers;
        while !rest.is_empty() {
            let (line, after) = logical_line(rest);
            rest = after;
            let Some(colon) = memchr::memchr(b':', line) else { continue };
            let (field, value) = line.split_at(colon);
            if field.trim_ascii().eq_ignore_ascii_case(name.as_bytes()) {
                return std::str::from_utf8(value.get(1..)?).ok().map(str::trim);
            }
        }
        None
    }

    /// The content type of the part; `text/plain` when it names none. RFC 2046 §5.1.
    pub fn content_type(&self) -> &'a str {
        self.header("Content-Type").unwrap_or("text/plain")
    }

    /// The disposition of the part with its parameters, if it names one.
    pub fn disposition(&self) -> Option<&'a str> {
        self.header("Content-Disposition")
    }

    /// Whether a receiver that does not understand this part has to refuse the message. RFC 5621 §4.3.
    pub fn is_required(&self) -> bool {
        is_required(self.disposition())
    }
}

/// A header line with its continuation lines, and what follows.
fn logical_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut end = 0;
    loop {
        let rest = bytes.get(end..).unwrap_or_default();
        let Some(newline) = memchr::memchr(b'\n', rest) else { return (bytes, &[]) };
        end += newline + 1;
        if !matches!(bytes.get(end), Some(b' ' | b'\t')) {
            return bytes.split_at(end);
        }
    }
}

struct Delimiter<'a> {
    before: &'a [u8],
    /// What follows; `None` behind the closing delimiter.
    rest: Option<&'a [u8]>,
}

/// Finds the next line that is a delimiter. RFC 2046 §5.1.1: the line end before it belongs to it.
fn delimiter_line<'a>(bytes: &'a [u8], delimiter: &[u8]) -> Option<Delimiter<'a>> {
    let finder = memmem::Finder::new(delimiter);
    let mut from = 0;
    loop {
        let start = from + finder.find(bytes.get(from..)?)?;
        from = start + delimiter.len();
        let before = bytes.get(..start)?;
        if !before.is_empty() && !before.ends_with(b"\n") {
            continue;
        }
        let tail = bytes.get(from..)?;
        let (closing, tail) = match tail.strip_prefix(b"--") {
            Some(tail) => (true, tail),
            None => (false, tail),
        };
        let end = memchr::memchr(b'\n', tail).map_or(tail.len(), |end| end + 1);
        let (padding, rest) = tail.split_at(end);
        if !padding.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let before = before.strip_suffix(b"\n").unwrap_or(before);
        let before = before.strip_suffix(b"\r").unwrap_or(before);
        return Some(Delimiter { before, rest: (!closing).then_some(rest) });
    }
}

/// What stands before the parameters.
fn first_token(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}

/// A parameter of a `type; name=value` header, quotes taken off.
fn parameter<'v>(value: &'v str, name: &str) -> Option<&'v str> {
    let mut rest = value;
    loop {
        let (_, after) = rest.split_once(';')?;
        let (key, after) = after.split_once('=').unwrap_or((after, ""));
        if key.contains(';') {
            // A parameter without a value: look again behind it.
            rest = rest.split_once(';')?.1;
            continue;
        }
        let after = after.trim_start();
        let (found, tail) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_at(after.find(';').unwrap_or(after.len())),
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(found.trim());
        }
        rest = tail;
    }
}

/// How deep multiparts may be nested before the rest is ignored.
const DEPTH: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &[u8] = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n";

    fn wrap(boundary: &str, parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body = b"preamble, ignored\r\n".to_vec();
        for (headers, content) in parts {
            body.extend_from_slice(format!("--{boundary}\r\n{headers}\r\n").as_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\nepilogue").as_bytes());
        body
    }

    #[test]
    fn plain_body_counts_by_its_disposition() {
        for (disposition, found) in
            [(None, true), (Some("session"), true), (Some("Session;handling=required"), true)]
                .into_iter()
                .chain([(Some("early-session"), false), (Some("render"), false)])
        {
            assert_eq!(session_description("application/sdp", disposition, SDP).is_some(), found);
        }
        assert_eq!(session_description("Application/SDP ; charset=utf-8", None, SDP), Some(SDP));
        assert_eq!(session_description("text/plain", None, SDP), None);
    }

    #[test]
    fn sdp_beside_an_isup_part_is_found() {
        let body = wrap(
            "unique-1",
            &[
                (
                    "Content-Type: application/ISUP;version=x\r\nContent-Disposition: signal;handling=optional\r\n",
                    b"\x01\x00\r\n--unique-10\r\n",
                ),
                ("content-type:application/sdp\r\n", SDP),
            ],
        );
        assert_eq!(session_description("multipart/mixed;boundary=unique-1", None, &body), Some(SDP));
        let parts: Vec<_> = Multipart::parse("multipart/mixed;boundary=unique-1", &body).unwrap().collect();
        assert_eq!(parts.len(), 2);
        assert!(!parts[0].is_required());
        assert!(parts[1].is_required());
        assert!(parts[0].body().ends_with(b"--unique-10\r\n"));
    }

    #[test]
    fn nested_and_alternative_bodies_are_searched() {
        let inner = wrap(
            "in",
            &[("Content-Type: text/plain\r\n", b"hello"), ("Content-Type: application/sdp\r\n", SDP)],
        );
        let body = wrap("out", &[("Content-Type: multipart/alternative; boundary=\"in\"\r\n", &inner)]);
        assert_eq!(session_description("multipart/mixed; x; boundary=out", None, &body), Some(SDP));

        let two = wrap(
            "b",
            &[
                ("Content-Type: application/sdp\r\n", b"v=0 plain"),
                ("Content-Type: application/sdp\r\n", SDP),
            ],
        );
        assert_eq!(session_description("multipart/alternative;boundary=b", None, &two), Some(SDP));
        assert_eq!(session_description("multipart/mixed;boundary=b", None, &two), Some(&b"v=0 plain"[..]));
        assert_eq!(
            session_description("multipart/alternative;boundary=b", Some("early-session"), &two),
            None
        );
    }

    #[test]
    fn session_and_early_session_are_told_apart() {
        let body = wrap(
            "b",
            &[
                ("Content-Type: application/sdp\r\nContent-Disposition: early-session\r\n", b"v=0 early"),
                ("Content-Type: application/sdp\r\nContent-Disposition:\r\n session\r\n", SDP),
            ],
        );
        assert_eq!(session_description("multipart/mixed;boundary=b", None, &body), Some(SDP));
        assert_eq!(
            early_session_description("multipart/mixed;boundary=b", None, &body),
            Some(&b"v=0 early"[..])
        );
    }

    #[test]
    fn foreign_parts_count_only_where_they_are_required() {
        let sdp: (&str, &[u8]) = ("Content-Type: application/sdp\r\n", SDP);
        let isup: (&str, &[u8]) = ("Content-Type: application/isup\r\n", b"\x01");
        let optional: (&str, &[u8]) =
            ("Content-Type: application/isup\r\nContent-Disposition: signal;handling=optional\r\n", b"\x01");
        let early: (&str, &[u8]) =
            ("Content-Type: application/sdp\r\nContent-Disposition: early-session\r\n", SDP);
        for (kind, parts, foreign) in [
            ("multipart/mixed", [sdp, isup], true),
            ("multipart/mixed", [sdp, optional], false),
            ("multipart/mixed", [sdp, early], true),
            ("multipart/related", [sdp, isup], true),
            ("multipart/alternative", [sdp, isup], false),
            ("multipart/alternative", [isup, isup], true),
        ] {
            let body = wrap("b", &parts);
            assert_eq!(
                has_foreign_part(&format!("{kind};boundary=b"), None, &body),
                foreign,
                "{kind} {parts:?}"
            );
            let optional = Some("session;handling=optional");
            assert!(!has_foreign_part(&format!("{kind};boundary=b"), optional, &body));
        }
        assert!(has_foreign_part("multipart/mixed", None, b"no boundary"));
        assert!(has_foreign_part("application/sdp", Some("render"), SDP));
    }

    #[test]
    fn broken_multiparts_do_not_hurt() {
        assert!(Multipart::parse("multipart/mixed", b"--x").is_none());
        assert!(Multipart::parse("multipart/mixed;boundary=", b"--\r\n").is_none());
        assert_eq!(Multipart::parse("multipart/mixed;boundary=x", b"").unwrap().count(), 0);
        assert_eq!(Multipart::parse("multipart/mixed;boundary=x", b"--x--").unwrap().count(), 0);
        let unclosed = b"--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n";
        assert_eq!(session_description("multipart/mixed;boundary=x", None, unclosed), Some(&b"v=0\r\n"[..]));
        // Parts in parts in parts are given up on at some depth.
        let mut body = wrap("b0", &[("Content-Type: application/sdp\r\n", SDP)]);
        for depth in 0..20 {
            let headers = format!("Content-Type: multipart/mixed;boundary=b{depth}\r\n");
            body = wrap(&format!("b{}", depth + 1), &[(&headers, &body)]);
            let found = session_description(&format!("multipart/mixed;boundary=b{}", depth + 1), None, &body);
            assert_eq!(found.is_some(), depth + 2 <= usize::from(DEPTH));
        }
    }
}
