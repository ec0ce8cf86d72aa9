//! From bytes to an index of them. RFC 3261 §7.

use smallvec::SmallVec;

use super::{Index, Line, Start};
use crate::scan::{find_byte, is_lws, is_token};
use crate::{Limit, Limits, Method, Name, ParseError, What};

/// Reads a message; the first fault is an error.
pub(super) fn strict(source: &[u8], limits: &Limits) -> Result<Index, ParseError> {
    let begin = empty_lines(source);
    let bytes = source.get(begin..).unwrap_or_default();
    read(bytes, begin, limits, How::Strict).map_err(|error| error.shifted(begin))
}

/// Reads a message of which the end may be missing; any other fault is an error.
pub(super) fn partial(source: &[u8], limits: &Limits) -> Result<Index, ParseError> {
    let begin = empty_lines(source);
    let bytes = source.get(begin..).unwrap_or_default();
    read(bytes, begin, limits, How::Partial).map_err(|error| error.shifted(begin))
}

/// Reads what there is, up to a point where nothing can be told apart any more.
pub(super) fn lenient(source: &[u8], limits: &Limits) -> Option<Index> {
    let begin = empty_lines(source);
    let bytes = source.get(begin..).unwrap_or_default();
    let longest = limits.message.min(u32::MAX as usize);
    read(bytes.get(..longest).unwrap_or(bytes), begin, limits, How::Lenient).ok()
}

/// What becomes of faults.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// Each is an error.
    Strict,
    /// The end may be missing.
    Partial,
    /// What can be read is read.
    Lenient,
}

/// One copy for each way: what becomes of faults is no question while there are none.
#[inline(always)]
fn read(bytes: &[u8], begin: usize, limits: &Limits, how: How) -> Result<Index, ParseError> {
    let lenient = how == How::Lenient;
    if begin + bytes.len() > limits.message.min(u32::MAX as usize) && !lenient {
        return fail(limits.message.saturating_sub(begin), What::Limit(Limit::Message));
    }
    let (start, mut at) = start_line(bytes, limits, lenient)?;
    let mut lines = SmallVec::new();
    let mut length = None;
    let mut partial = false;
    let body = loop {
        match bytes.get(at) {
            Some(b'\r') if bytes.get(at + 1) == Some(&b'\n') => break at + 2,
            Some(b' ' | b'\t') if !lenient => return fail(at, What::Fold),
            None if how != How::Strict => {
                partial = true;
                break at;
            }
            None => return fail(at, What::Incomplete),
            Some(_) => {}
        }
        if lines.len() >= limits.headers {
            if lenient {
                break at;
            }
            return fail(at, What::Limit(Limit::Headers));
        }
        let (line, next) = match header_line(bytes, at, limits) {
            Ok(found) => found,
            Err(_) if lenient => unreadable(bytes, at),
            Err(error) if how == How::Partial && error.what == What::Incomplete => {
                partial = true;
                break at;
            }
            Err(error) => return Err(error),
        };
        if line.name == Name::ContentLength && !lenient {
            add_length(bytes, &line, &mut length)?;
        }
        lines.push(line);
        at = next;
    };
    let end = match length {
        _ if lenient || partial => body,
        None => bytes.len(),
        Some(length) if length <= bytes.len() - body => body + length,
        Some(_) if how == How::Strict => return fail(bytes.len(), What::BodyShort),
        Some(_) => {
            partial = true;
            bytes.len()
        }
    };
    let (end, head_end, body) = (short(begin + end), short(at), short(body));
    Ok(Index { begin: short(begin), end, head_end, body, start, lines, partial })
}

/// The length of the body behind a header section, for streams. RFC 3261 §18.3.
pub(crate) fn body_length(head: &[u8]) -> Result<usize, ParseError> {
    let (end, mut at) = line_end(head, 0)?;
    if memchr::memmem::find(head.get(..end).unwrap_or_default(), b"SIP/").is_none() {
        return fail(0, What::Version);
    }
    let (mut length, mut has_type) = (None, false);
    while at + 2 < head.len() {
        let (line, next) =
            match header_line(head, at, &Limits { header_line: usize::MAX, ..Limits::default() }) {
                Ok(found) => found,
                Err(_) => unreadable(head, at),
            };
        has_type |= line.name == Name::ContentType;
        if line.name == Name::ContentLength {
            add_length(head, &line, &mut length)?;
        }
        at = next;
    }
    match length {
        Some(length) => Ok(length),
        // Peers leave it out where there is no body; then the blank line is the end.
        None if !has_type => Ok(0),
        None => fail(head.len(), What::BodyLength),
    }
}

/// Reads a Content-Length; where there are several, they must agree.
fn add_length(bytes: &[u8], line: &Line, length: &mut Option<usize>) -> Result<(), ParseError> {
    let value = content_length(bytes, line)?;
    if length.is_some_and(|before| before != value) {
        return fail(line.at as usize, What::Repeated(Name::ContentLength));
    }
    *length = Some(value);
    Ok(())
}

fn start_line(bytes: &[u8], limits: &Limits, lenient: bool) -> Result<(Start, usize), ParseError> {
    let (end, next) = line_end(bytes, 0)?;
    let line = bytes.get(..end).unwrap_or_default();
    let start = if line.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"SIP/")) {
        status_line(line)?
    } else if lenient {
        lenient_request_line(line)?
    } else {
        request_line(line, limits)?
    };
    Ok((start, next))
}

fn request_line(line: &[u8], limits: &Limits) -> Result<Start, ParseError> {
    let name_end = line.iter().position(|&b| !is_token(b)).unwrap_or(line.len());
    if name_end == 0 || line.get(name_end) != Some(&b' ') {
        return fail(name_end, What::Method);
    }
    let uri = name_end + 1;
    let rest = line.get(uri..).unwrap_or_default();
    let uri_end = uri + memchr::memchr(b' ', rest).unwrap_or(rest.len());
    let text = line.get(uri..uri_end).unwrap_or_default();
    if text.is_empty() {
        return fail(uri, What::Spacing);
    }
    if text.len() > limits.uri {
        return fail(uri + limits.uri, What::Limit(Limit::Uri));
    }
    if let Some(bad) = text.iter().position(|&b| !IN_REQUEST_URI[usize::from(b)]) {
        return fail(uri + bad, What::RequestUri);
    }
    if std::str::from_utf8(text).is_err() {
        return fail(uri, What::Utf8);
    }
    let version = uri_end + 1;
    match line.get(version..) {
        Some(text) if text.eq_ignore_ascii_case(b"SIP/2.0") => {}
        Some(text) => return bad_version(line, text, uri_end, version),
        None => return fail(uri_end, What::Version),
    }
    let method = Method::of(line.get(..name_end).unwrap_or_default());
    Ok(Start::Request { method, name_end: short(name_end), uri: short(uri), uri_end: short(uri_end) })
}

/// What may stand in a Request-URI, as far as a look at single bytes tells.
static IN_REQUEST_URI: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b >= b' ' && !matches!(b, 0x7f | b'<' | b'>' | b'"');
        byte += 1;
    }
    table
};

/// Finds out what is wrong behind the first space after the Request-URI.
fn bad_version(line: &[u8], text: &[u8], uri_end: usize, at: usize) -> Result<Start, ParseError> {
    let last = line.trim_ascii_end();
    if last.len() < line.len() && is_version(text.trim_ascii()) {
        return fail(last.len(), What::Spacing);
    }
    if is_version(text) {
        return fail(at, What::OtherVersion);
    }
    if is_version(text.trim_ascii_start()) {
        return fail(at, What::Spacing);
    }
    let word = memchr::memrchr(b' ', text).and_then(|space| text.get(space + 1..)).unwrap_or_default();
    // A version stands at the end, so the space is inside the Request-URI.
    if is_version(word) { fail(uri_end, What::RequestUri) } else { fail(at, What::Version) }
}

/// `SIP/` and two numbers with a dot between them.
fn is_version(text: &[u8]) -> bool {
    let number = |digits: &[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let Some((word, numbers)) = text.split_at_checked(4) else { return false };
    let mut parts = numbers.splitn(2, |&b| b == b'.');
    word.eq_ignore_ascii_case(b"SIP/") && parts.next().is_some_and(number) && parts.next().is_some_and(number)
}

/// The method is the first word, the Request-URI whatever stands before the last.
fn lenient_request_line(line: &[u8]) -> Result<Start, ParseError> {
    let name_end = line.iter().position(|&b| !is_token(b)).unwrap_or(line.len());
    let line = line.trim_ascii_end();
    let space = memchr::memrchr(b' ', line).unwrap_or_default();
    let version = line.get(space + 1..).unwrap_or_default();
    if name_end == 0 || space < name_end || !is_version(version) {
        return fail(0, What::Version);
    }
    let skip = |range: &[u8]| range.iter().take_while(|&&b| is_lws(b)).count();
    let uri = (name_end + skip(line.get(name_end..).unwrap_or_default())).min(space);
    let uri_end = (uri + line.get(uri..space).unwrap_or_default().trim_ascii_end().len()).max(uri);
    let method = Method::of(line.get(..name_end).unwrap_or_default());
    Ok(Start::Request { method, name_end: short(name_end), uri: short(uri), uri_end: short(uri_end) })
}

fn status_line(line: &[u8]) -> Result<Start, ParseError> {
    let space = memchr::memchr(b' ', line).unwrap_or(line.len());
    let version = line.get(..space).unwrap_or_default();
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        return fail(0, if is_version(version) { What::OtherVersion } else { What::Version });
    }
    let at = space + 1;
    let rest = line.get(at..).unwrap_or_default();
    if rest.first() == Some(&b' ') {
        return fail(at, What::Spacing);
    }
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let status = rest
        .get(..digits)
        .unwrap_or_default()
        .iter()
        .fold(0_u16, |number, digit| number.saturating_mul(10).saturating_add(u16::from(digit - b'0')));
    if digits != 3 || !(100..=699).contains(&status) {
        return fail(at, What::StatusCode);
    }
    // The space behind the code is due even where no reason follows; peers forget it.
    let reason = match rest.get(digits) {
        None => at + digits,
        Some(b' ') => at + digits + 1,
        Some(_) => return fail(at + digits, What::Spacing),
    };
    Ok(Start::Response { status, reason: short(reason), reason_end: short(line.len()) })
}

#[inline]
fn header_line(bytes: &[u8], at: usize, limits: &Limits) -> Result<(Line, usize), ParseError> {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some(colon) = find_byte(rest, b':') else { return Err(no_header(rest, at)) };
    let mut raw_name = rest.get(..colon).unwrap_or_default();
    while let [before @ .., b' ' | b'\t'] = raw_name {
        raw_name = before;
    }
    let name = Name::of(raw_name);
    if name == Name::Other && (raw_name.is_empty() || !raw_name.iter().all(|&b| is_token(b))) {
        return Err(no_header(rest, at));
    }
    let mut search = at + colon + 1;
    let (end, next) = loop {
        let (end, next) = line_end(bytes, search)?;
        if next - at > limits.header_line {
            return fail(at + limits.header_line, What::Limit(Limit::HeaderLine));
        }
        if !matches!(bytes.get(next), Some(b' ' | b'\t')) {
            break (end, next);
        }
        search = next;
    };
    let blank = |at: usize| bytes.get(at).is_some_and(|&b| is_lws(b));
    let (mut value, mut value_end) = (at + colon + 1, end);
    while value < value_end && blank(value) {
        value += 1;
    }
    while value < value_end && blank(value_end - 1) {
        value_end -= 1;
    }
    let line = Line {
        at: short(at),
        value: short(value),
        value_end: short(value_end),
        name_length: u16::try_from(raw_name.len()).unwrap_or(u16::MAX),
        name,
    };
    Ok((line, next))
}

/// What keeps a line from being a header.
#[cold]
fn no_header(rest: &[u8], at: usize) -> ParseError {
    let name = rest.iter().take_while(|&&b| is_token(b)).count();
    let space = rest.iter().skip(name).take_while(|b| matches!(b, b' ' | b'\t')).count();
    match rest.get(name + space) {
        None => ParseError::new(at + rest.len(), What::Incomplete),
        Some(_) if name == 0 => ParseError::new(at, What::HeaderName),
        Some(_) => ParseError::new(at + name + space, What::Colon),
    }
}

/// A line that is no header, kept whole as the value of an empty name.
fn unreadable(bytes: &[u8], at: usize) -> (Line, usize) {
    let rest = bytes.get(at..).unwrap_or_default();
    let next = at + memchr::memchr(b'\n', rest).map_or(rest.len(), |length| length + 1);
    let text = bytes.get(at..next).unwrap_or_default();
    let end = at + text.trim_ascii_end().len();
    let line =
        Line { at: short(at), value: short(at), value_end: short(end), name_length: 0, name: Name::Other };
    (line, next)
}

/// Where the line ends, and where the next begins.
fn line_end(bytes: &[u8], from: usize) -> Result<(usize, usize), ParseError> {
    let Some(length) = memchr::memchr2(b'\r', b'\n', bytes.get(from..).unwrap_or_default()) else {
        return fail(bytes.len(), What::Incomplete);
    };
    let end = from + length;
    match (bytes.get(end), bytes.get(end + 1)) {
        (Some(b'\r'), Some(b'\n')) => Ok((end, end + 2)),
        (Some(b'\r'), None) => fail(bytes.len(), What::Incomplete),
        _ => fail(end, What::LineEnd),
    }
}

pub(crate) fn content_length(bytes: &[u8], line: &Line) -> Result<usize, ParseError> {
    let at = line.value().start;
    let digits = bytes.get(line.value()).unwrap_or_default();
    if let Some(bad) = digits.iter().position(|b| !b.is_ascii_digit()) {
        return fail(at + bad, What::Number);
    }
    if digits.is_empty() {
        return fail(at, What::Number);
    }
    digits
        .iter()
        .try_fold(0_usize, |number, digit| number.checked_mul(10)?.checked_add(usize::from(digit - b'0')))
        .ok_or(ParseError::new(at, What::Range))
}

/// How many bytes of empty lines precede the message. RFC 3261 §7.5.
fn empty_lines(bytes: &[u8]) -> usize {
    bytes.chunks_exact(2).take_while(|pair| *pair == b"\r\n").count() * 2
}

fn short(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

fn fail<T>(at: usize, what: What) -> Result<T, ParseError> {
    Err(ParseError::new(at, what))
}
