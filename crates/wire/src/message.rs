//! A SIP message: its bytes and an index over them.

use std::fmt;

use smallvec::SmallVec;

use crate::scan::is_token;
use crate::{Header, Limits, Method, Name, ParseError, Values, What};

mod fields;
mod head;
mod parse;

pub use head::{Field, Head};
pub(crate) use parse::body_length;

/// A SIP request or response that keeps its bytes as they came.
///
/// Parsing finds the start line, the header lines and the body, and nothing more: what a header says is
/// taken apart when it is asked for, so a message with one broken header can still be read. Up to 32 header
/// lines are indexed without allocating.
///
/// ```
/// use midcall_wire::{Message, Method, Name};
///
/// let message = Message::parse(
///     "UPDATE sip:bob@192.0.2.4 SIP/2.0\r\n\
///      v: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK74\r\n\
///      From: Alice <sip:alice@example.com>;tag=88sja8x\r\n\
///      To: Bob <sip:bob@example.com>;tag=4442ab\r\n\
///      Call-ID: 17320\r\n\
///      CSeq: 9 UPDATE\r\n\
///      Supported: timer, 100rel\r\n\
///      Content-Length: 0\r\n\r\n",
/// )?;
/// assert_eq!(message.method(), Method::Update);
/// assert_eq!(message.from()?.tag(), Some("88sja8x"));
/// assert_eq!(message.cseq()?.number, 9);
/// assert_eq!(message.top_via()?.branch(), Some("z9hG4bK74"));
/// assert!(message.has_option(Name::Supported, "100rel"));
/// # Ok::<(), midcall_wire::ParseError>(())
/// ```
#[derive(Clone)]
pub struct Message<B = Vec<u8>> {
    source: B,
    index: Index,
}

/// Where everything is. Offsets count from the first byte of the message.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    /// Where the message begins in the source, behind empty lines. RFC 3261 §7.5.
    begin: u32,
    /// Where it ends.
    end: u32,
    /// Where the blank line behind the headers is.
    head_end: u32,
    body: u32,
    start: Start,
    lines: SmallVec<[Line; 32]>,
    /// Whether its end is missing.
    partial: bool,
}

#[derive(Clone, Copy, Debug)]
enum Start {
    Request { method: Method, name_end: u32, uri: u32, uri_end: u32 },
    Response { status: u16, reason: u32, reason_end: u32 },
}

/// One header line; it ends where the next begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) at: u32,
    value: u32,
    value_end: u32,
    name_length: u16,
    pub(crate) name: Name,
}

impl Line {
    pub(crate) const fn value(&self) -> std::ops::Range<usize> {
        self.value as usize..self.value_end as usize
    }
}

impl<B: AsRef<[u8]>> Message<B> {
    /// Reads one datagram, or one message from a [`Framer`](crate::Framer), within the usual [`Limits`].
    ///
    /// Empty lines before the message and bytes behind its Content-Length are left out. RFC 3261 §7.5, §18.3.
    ///
    /// # Errors
    /// Says where the bytes stop being a SIP message; [`ParseError::status`] says how to refuse a request,
    /// and [`Message::salvage`] reads what the refusal needs.
    pub fn parse(bytes: B) -> Result<Self, ParseError> {
        Self::parse_with(bytes, &Limits::default())
    }

    /// Like [`Message::parse`], within other limits.
    ///
    /// # Errors
    /// Those of [`Message::parse`].
    pub fn parse_with(bytes: B, limits: &Limits) -> Result<Self, ParseError> {
        let index = parse::strict(bytes.as_ref(), limits)?;
        Ok(Self { source: bytes, index })
    }

    /// Reads a message of which the end may be missing, as somebody who looks on from outside: whole header lines and
    /// as much of the body as is there count. [`Message::is_partial`] says whether there should be more.
    ///
    /// A receiver must not act on such a message: it refuses the request and drops the response (RFC 3261 §18.3).
    ///
    /// ```
    /// use midcall_wire::{Message, What};
    ///
    /// let cut = "BYE sip:bob@example.com SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 9\r\n\r\nshort";
    /// assert_eq!(Message::parse(cut).unwrap_err().what, What::BodyShort);
    /// let message = Message::parse_partial(cut)?;
    /// assert!(message.is_partial());
    /// assert_eq!(message.body(), b"short");
    /// # Ok::<(), midcall_wire::ParseError>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Message::parse`], but for what is missing at the end.
    pub fn parse_partial(bytes: B) -> Result<Self, ParseError> {
        let index = parse::partial(bytes.as_ref(), &Limits::default())?;
        Ok(Self { source: bytes, index })
    }

    /// Whether its end is missing: of its body, by its Content-Length, or of its headers.
    pub const fn is_partial(&self) -> bool {
        self.index.partial
    }

    /// Reads what can be read of a message that [`Message::parse`] refused, so that it can be answered or
    /// shown. Nothing in it should be relied on, and it has no body.
    ///
    /// Header lines that are none appear with an empty name. `None` means there is not even a start line
    /// that names a method, or a status, and SIP.
    ///
    /// ```
    /// use midcall_wire::{Builder, Message};
    ///
    /// let bytes = "BYE  sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a.example\r\n\r\n";
    /// let error = Message::parse(bytes).unwrap_err();
    /// let request = Message::salvage(bytes).unwrap();
    /// let reply = Builder::reply(&request, error.status(), None).finish();
    /// assert!(reply.starts_with(b"SIP/2.0 400 Bad Request\r\nVia: SIP/2.0/UDP a.example\r\n"));
    /// ```
    pub fn salvage(bytes: B) -> Option<Self> {
        let index = parse::lenient(bytes.as_ref(), &Limits::default())?;
        Some(Self { source: bytes, index })
    }

    /// The bytes of the message, from its start line to the end of its body.
    pub fn bytes(&self) -> &[u8] {
        self.source.as_ref().get(self.index.begin as usize..self.index.end as usize).unwrap_or_default()
    }

    /// What the message was read from.
    pub fn into_source(self) -> B {
        self.source
    }

    /// The same message with bytes of its own.
    pub fn to_owned(&self) -> Message {
        let mut index = self.index.clone();
        index.end -= index.begin;
        index.begin = 0;
        Message { source: self.bytes().to_vec(), index }
    }

    /// Whether it is a request.
    pub const fn is_request(&self) -> bool {
        matches!(self.index.start, Start::Request { .. })
    }

    /// Whether it is a response.
    pub const fn is_response(&self) -> bool {
        !self.is_request()
    }

    /// The method of a request, or the method in the CSeq of a response.
    pub fn method(&self) -> Method {
        match self.index.start {
            Start::Request { method, .. } => method,
            Start::Response { .. } => match self.cseq() {
                Ok(cseq) => cseq.method,
                Err(_) => Method::parse(self.answered()),
            },
        }
    }

    /// The same as written; empty for a response without CSeq.
    pub fn method_name(&self) -> &str {
        match self.index.start {
            Start::Request { name_end, .. } => self.text(0, name_end),
            Start::Response { .. } => self.cseq().map_or_else(|_| self.answered(), |cseq| cseq.name),
        }
    }

    /// The method in a CSeq of which the number is none: what a response answers is plain all the same.
    fn answered(&self) -> &str {
        let mut words = self.header(Name::CSeq).unwrap_or_default().split_ascii_whitespace().skip(1);
        words.next().filter(|word| word.bytes().all(is_token) && words.next().is_none()).unwrap_or_default()
    }

    /// The status code of a response.
    pub const fn status(&self) -> Option<u16> {
        match self.index.start {
            Start::Request { .. } => None,
            Start::Response { status, .. } => Some(status),
        }
    }

    /// The reason phrase of a response as written; empty for a request.
    pub fn reason_phrase(&self) -> &[u8] {
        match self.index.start {
            Start::Request { .. } => &[],
            Start::Response { reason, reason_end, .. } => self.slice(reason, reason_end),
        }
    }

    /// The Request-URI as written.
    pub fn request_uri(&self) -> Option<&str> {
        match self.index.start {
            Start::Request { uri, uri_end, .. } => Some(self.text(uri, uri_end)),
            Start::Response { .. } => None,
        }
    }

    /// Every header line, in order.
    pub fn headers(&self) -> impl Iterator<Item = Header<'_>> {
        self.index.lines.iter().map(|line| Header {
            name: line.name,
            raw_name: self.text(line.at, line.at + u32::from(line.name_length)),
            value: self.slice(line.value, line.value_end),
            at: line.at as usize,
        })
    }

    /// The value of the first line of that name; `None` also where it is not UTF-8.
    pub fn header(&self, name: Name) -> Option<&str> {
        let line = self.line(name)?;
        std::str::from_utf8(self.slice(line.value, line.value_end)).ok()
    }

    /// The value of the first line of a name this crate has no word for, in any case.
    pub fn header_named(&self, name: &str) -> Option<&str> {
        let known = Name::parse(name);
        if known != Name::Other {
            return self.header(known);
        }
        let header = self
            .headers()
            .find(|header| header.name == Name::Other && header.raw_name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    }

    /// Every value of that name: all its lines, comma lists split, without white space around.
    ///
    /// Empty values and values that are not UTF-8 are left out. Commas inside quotes or angle brackets do
    /// not separate, nor do those of headers that are no lists.
    ///
    /// ```
    /// use midcall_wire::{Message, Name};
    ///
    /// let message = Message::parse(
    ///     "SIP/2.0 200 OK\r\nContact: \"A, B\" <sip:a@x.example>, <sip:b@x.example>\r\nm: sip:c@x.example\r\n\r\n",
    /// ).unwrap();
    /// let contacts: Vec<_> = message.values(Name::Contact).collect();
    /// assert_eq!(contacts, ["\"A, B\" <sip:a@x.example>", "<sip:b@x.example>", "sip:c@x.example"]);
    /// ```
    pub fn values(&self, name: Name) -> Values<'_> {
        Values::new(self.bytes(), &self.index.lines, name)
    }

    /// How many lines of that name there are.
    pub fn count(&self, name: Name) -> usize {
        self.index.lines.iter().filter(|line| line.name == name).count()
    }

    /// Whether a list of tokens holds this one; case does not count. For Supported, Require, Allow and such.
    pub fn has_option(&self, name: Name, tag: &str) -> bool {
        self.values(name).any(|value| value.eq_ignore_ascii_case(tag))
    }

    /// The values of that name which are not among `known`, as Unsupported lists them. RFC 3261 §8.2.2.3.
    pub fn unknown<'m>(&'m self, name: Name, known: &'m [&str]) -> impl Iterator<Item = &'m str> {
        self.values(name).filter(|value| !known.iter().any(|known| known.eq_ignore_ascii_case(value)))
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        self.slice(self.index.body, self.index.end - self.index.begin)
    }

    /// The session description: the body, or the part of a multipart body, that is one. RFC 5621 §4.2.
    pub fn sdp(&self) -> Option<&[u8]> {
        let body = self.body();
        if body.is_empty() {
            return None;
        }
        let disposition = self.header(Name::ContentDisposition);
        crate::multipart::session_description(self.header(Name::ContentType)?, disposition, body)
    }

    /// Whether the body has a part that must be understood and that describes no session: a reason for 415. RFC 3261
    /// §8.2.3, RFC 5621 §8.
    pub fn has_foreign_part(&self) -> bool {
        let kind = self.header(Name::ContentType).unwrap_or_default();
        let disposition = self.header(Name::ContentDisposition);
        !self.body().is_empty() && crate::multipart::has_foreign_part(kind, disposition, self.body())
    }

    pub(crate) fn lines(&self) -> &[Line] {
        &self.index.lines
    }

    pub(crate) fn line(&self, name: Name) -> Option<&Line> {
        self.index.lines.iter().find(|line| line.name == name)
    }

    /// The header lines with their line ends: from the first of them to the blank line.
    pub(crate) fn header_span(&self) -> std::ops::Range<usize> {
        let end = self.index.head_end as usize;
        self.index.lines.first().map_or(end, |line| line.at as usize)..end
    }

    /// A whole header line with its line end.
    pub(crate) fn line_span(&self, number: usize) -> std::ops::Range<usize> {
        let at = |number: usize| self.index.lines.get(number).map(|line| line.at as usize);
        let end = self.header_span().end;
        at(number).unwrap_or(end)..at(number + 1).unwrap_or(end)
    }

    /// The Request-URI, for edits.
    pub(crate) fn uri_span(&self) -> Option<std::ops::Range<usize>> {
        match self.index.start {
            Start::Request { uri, uri_end, .. } => Some(uri as usize..uri_end as usize),
            Start::Response { .. } => None,
        }
    }

    pub(crate) fn raw_name(&self, number: usize) -> &[u8] {
        self.index
            .lines
            .get(number)
            .map_or(&[], |line| self.slice(line.at, line.at + u32::from(line.name_length)))
    }

    pub(crate) fn raw_value(&self, number: usize) -> &[u8] {
        self.index.lines.get(number).map_or(&[], |line| self.slice(line.value, line.value_end))
    }

    /// The text of a line's value.
    fn value(&self, line: &Line) -> Result<&str, ParseError> {
        std::str::from_utf8(self.slice(line.value, line.value_end))
            .map_err(|error| ParseError::new(line.value as usize + error.valid_up_to(), What::Utf8))
    }

    fn slice(&self, from: u32, to: u32) -> &[u8] {
        self.bytes().get(from as usize..to as usize).unwrap_or_default()
    }

    fn text(&self, from: u32, to: u32) -> &str {
        std::str::from_utf8(self.slice(from, to)).unwrap_or_default()
    }
}

impl<B: AsRef<[u8]>> fmt::Debug for Message<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Message").field(&String::from_utf8_lossy(self.bytes())).finish()
    }
}
