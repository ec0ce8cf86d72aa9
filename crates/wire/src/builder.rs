//! New messages.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use crate::scan::is_token;
use crate::{Message, Name, reason_phrase};

/// Writes a message from its start line to its body.
///
/// Whatever is put in, the result is one message: a CR or LF in a value becomes a space, characters that
/// cannot stand in a name are left out, and Content-Length is always that of the body.
///
/// ```
/// use midcall_wire::{Builder, Name};
///
/// let bytes = Builder::request("BYE", "sip:bob@192.0.2.4")
///     .header(Name::MaxForwards, 70)
///     .header(Name::CSeq, format_args!("{} BYE", 232))
///     .named("X-Note", "one\r\nInjected: two")
///     .finish();
/// assert_eq!(
///     String::from_utf8(bytes).unwrap(),
///     "BYE sip:bob@192.0.2.4 SIP/2.0\r\n\
///      Max-Forwards: 70\r\n\
///      CSeq: 232 BYE\r\n\
///      X-Note: one  Injected: two\r\n\
///      Content-Length: 0\r\n\r\n"
/// );
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    head: Vec<u8>,
    /// The body, behind its media type.
    tail: Vec<u8>,
    media_type: usize,
    /// Where the value of To ends, in a reply whose request had no tag there.
    tagless_to: Option<usize>,
    /// Where the first value of Via is, in a reply.
    via: Option<(usize, usize)>,
}

impl Builder {
    /// A request; white space and control characters in method and URI are left out.
    pub fn request(method: &str, uri: &str) -> Self {
        let mut builder = Self::new();
        word(&mut builder.head, method);
        builder.head.push(b' ');
        word(&mut builder.head, uri);
        builder.head.extend_from_slice(b" SIP/2.0\r\n");
        builder
    }

    /// A response; without a reason, with the usual one. A status that has no three digits becomes 500.
    pub fn response(status: u16, reason: Option<&str>) -> Self {
        let mut builder = Self::new();
        let status = if (100..=699).contains(&status) { status } else { 500 };
        builder.head.extend_from_slice(b"SIP/2.0 ");
        let _ = write!(Text(&mut builder.head), "{status} {}", reason.unwrap_or(reason_phrase(status)));
        builder.head.extend_from_slice(b"\r\n");
        builder
    }

    /// The response to a request: Via, From, To, Call-ID and CSeq are copied byte for byte. RFC 3261 §8.2.6.
    pub fn reply<B: AsRef<[u8]>>(request: &Message<B>, status: u16, reason: Option<&str>) -> Self {
        let mut builder = Self::response(status, reason);
        let start = builder.head.len();
        builder = builder.lines_of(request, Name::Via);
        if let (Some((_, span)), Some(line)) = (request.spans(Name::Via).next(), request.line(Name::Via)) {
            let moved = |at: usize| (at + start).saturating_sub(line.at as usize);
            builder.via = Some((moved(span.start), moved(span.end)));
        }
        builder = builder.lines_of(request, Name::From);
        let start = builder.head.len();
        builder = builder.lines_of(request, Name::To);
        if let (Some(line), Ok(to)) = (request.line(Name::To), request.to())
            && to.tag().is_none()
            && request.count(Name::To) == 1
        {
            builder.tagless_to = Some(start + line.value().end - line.at as usize);
        }
        builder.lines_of(request, Name::CallId).lines_of(request, Name::CSeq)
    }

    fn new() -> Self {
        Self { head: Vec::with_capacity(1024), tail: Vec::new(), media_type: 0, tagless_to: None, via: None }
    }

    /// Adds a header line. Content-Length is left out: [`Builder::finish`] writes it.
    #[inline]
    pub fn header(mut self, name: Name, value: impl fmt::Display) -> Self {
        if !matches!(name, Name::ContentLength | Name::Other) {
            self.head.extend_from_slice(name.prefix().as_bytes());
            self.value(value);
        }
        self
    }

    /// Adds a header line of any name.
    pub fn named(mut self, name: &str, value: impl fmt::Display) -> Self {
        if Name::parse(name) == Name::ContentLength {
            return self;
        }
        let clean: Vec<u8> = name.bytes().filter(|&b| is_token(b)).collect();
        if !clean.is_empty() {
            self.head.extend_from_slice(&clean);
            self.head.extend_from_slice(b": ");
            self.value(value);
        }
        self
    }

    /// Copies every line of that name from a message, byte for byte.
    pub fn lines_of<B: AsRef<[u8]>>(mut self, message: &Message<B>, name: Name) -> Self {
        if !matches!(name, Name::ContentLength | Name::Other) {
            for (number, line) in message.lines().iter().enumerate() {
                if line.name == name {
                    let line = message.bytes().get(message.line_span(number)).unwrap_or_default();
                    self.head.extend_from_slice(line);
                }
            }
        }
        self
    }

    /// In a reply: gives To this tag, unless it has one. RFC 3261 §8.2.6.2.
    pub fn to_tag(mut self, tag: &str) -> Self {
        if let Some(at) = self.tagless_to.take() {
            let clean = tag.bytes().filter(|&b| is_token(b));
            // A semicolon too many, forgiven at the end of the line, must not become an empty parameter.
            let forgiven = self.head.get(..at).is_some_and(|head| head.ends_with(b";"));
            let separator: &[u8] = if forgiven { b"tag=" } else { b";tag=" };
            let text: Vec<u8> = separator.iter().copied().chain(clean).collect();
            self.insert(at..at, &text);
        }
        self
    }

    /// In a reply: notes in the top Via where the request really came from. RFC 3261 §18.2.1, RFC 3581 §4.
    pub fn received(mut self, address: IpAddr, port: u16) -> Self {
        if let Some((start, end)) = self.via.take() {
            let via = self.head.get(start..end).unwrap_or_default();
            let Some(text) =
                std::str::from_utf8(via).ok().and_then(|text| crate::edit::received(text, address, port))
            else {
                return self;
            };
            self.insert(start..end, text.as_bytes());
        }
        self
    }

    /// Sets the body. Its Content-Type is written by [`Builder::finish`], and not at all when it is empty.
    pub fn body(mut self, content_type: &str, body: &[u8]) -> Self {
        self.tail.clear();
        self.tail.reserve_exact(content_type.len() + body.len());
        let _ = Text(&mut self.tail).write_str(content_type);
        self.media_type = self.tail.len();
        self.tail.extend_from_slice(body);
        self
    }

    /// The message.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let Self { mut head, tail, media_type, .. } = self;
        let (media_type, body) = tail.split_at_checked(media_type).unwrap_or_default();
        head.reserve(media_type.len() + body.len() + 64);
        if !media_type.is_empty() {
            head.extend_from_slice(b"Content-Type: ");
            head.extend_from_slice(media_type);
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"Content-Length: ");
        number(&mut head, body.len());
        head.extend_from_slice(b"\r\n\r\n");
        head.extend_from_slice(body);
        head
    }

    fn value(&mut self, value: impl fmt::Display) {
        let _ = write!(Text(&mut self.head), "{value}");
        self.head.extend_from_slice(b"\r\n");
    }

    /// Replaces a range, and keeps the notes of what is where behind it.
    fn insert(&mut self, range: std::ops::Range<usize>, text: &[u8]) {
        let (start, grown) = (range.start, text.len().wrapping_sub(range.len()));
        self.head.splice(range, text.iter().copied());
        if let Some(at) = self.tagless_to.as_mut().filter(|at| **at > start) {
            *at = at.wrapping_add(grown);
        }
    }
}

/// Appends text without line ends: each CR, LF and NUL becomes a space.
pub(crate) struct Text<'a>(pub(crate) &'a mut Vec<u8>);

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let start = self.0.len();
        self.0.extend_from_slice(text.as_bytes());
        // Looks at all bytes without leaving early, so that it is done many at a time.
        if text.bytes().fold(false, |found, b| found | (b <= b'\r')) {
            for byte in self.0.iter_mut().skip(start).filter(|b| matches!(b, b'\r' | b'\n' | 0)) {
                *byte = b' ';
            }
        }
        Ok(())
    }
}

/// Appends a word of the start line: no white space, no control characters.
pub(crate) fn word(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|b| b > b' ' && b != 0x7f) {
        out.extend_from_slice(text.as_bytes());
    } else {
        out.extend(text.bytes().filter(|&b| b > b' ' && b != 0x7f));
    }
}

/// Appends a decimal number.
pub(crate) fn number(out: &mut Vec<u8>, number: usize) {
    let _ = write!(Text(out), "{number}");
}
