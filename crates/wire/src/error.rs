//! What can be wrong with a message, and where.

use std::fmt;

use crate::Name;

/// A place in a message that is not what SIP allows there.
///
/// `at` counts bytes from the start of the text that was given to the function that failed: the whole
/// message for [`Message`](crate::Message), the value for [`Uri::parse`](crate::Uri::parse) and its like.
///
/// ```
/// use midcall_wire::{Message, What};
///
/// let error = Message::parse("INVITE  sip:bob@example.com SIP/2.0\r\n\r\n").unwrap_err();
/// assert_eq!((error.at, error.what), (7, What::Spacing));
/// assert_eq!(error.to_string(), "byte 7: expected exactly one space between the parts of the start line");
/// assert_eq!(error.status(), 400);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Offset of the first byte that does not fit.
    pub at: usize,
    /// What was expected there.
    pub what: What,
}

/// What was expected where a [`ParseError`] points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// The text ends before the message does: no start line or no blank line behind the headers.
    Incomplete,
    /// A CR or an LF stands alone. RFC 3261 §7: lines end with CRLF.
    LineEnd,
    /// A bound of [`Limits`](crate::Limits) is passed.
    Limit(Limit),
    /// The method is not a token. RFC 3261 §7.1.
    Method,
    /// The Request-URI is empty, in angle brackets or holds white space. RFC 3261 §7.1.
    RequestUri,
    /// The parts of the start line are not separated by exactly one space. RFC 3261 §7.1, §7.2.
    Spacing,
    /// The start line carries no SIP version. RFC 3261 §7.1.
    Version,
    /// The SIP version is well formed but is not 2.0. RFC 3261 §21.5.6.
    OtherVersion,
    /// The status code is not three digits from 100 to 699. RFC 3261 §7.2.
    StatusCode,
    /// The header name is not a token. RFC 3261 §7.3.1.
    HeaderName,
    /// No colon follows the header name. RFC 3261 §7.3.1.
    Colon,
    /// The first header line begins with white space, so it continues nothing. RFC 3261 §7.3.1.
    Fold,
    /// The body is shorter than Content-Length says. RFC 3261 §18.3.
    BodyShort,
    /// A stream carries a body of unknown length. RFC 3261 §20.14.
    BodyLength,
    /// The bytes are not UTF-8. RFC 3261 §7.3.1.
    Utf8,
    /// A decimal number.
    Number,
    /// The number is larger than the field allows.
    Range,
    /// A token. RFC 3261 §25.1.
    Token,
    /// The closing quote of a quoted string.
    Quote,
    /// A display name of tokens, or a quoted one. RFC 3261 §25.1.
    DisplayName,
    /// The angle brackets around a URI: one is missing, or the URI holds a comma, semicolon or question mark
    /// and stands without them. RFC 3261 §20.10.
    Bracket,
    /// A URI: it is empty, has no scheme, or holds bytes no URI may hold. RFC 3261 §19.1.1.
    Uri,
    /// A host name, an IPv4 address or an IPv6 address in brackets. RFC 3261 §25.1.
    Host,
    /// A port number up to 65535.
    Port,
    /// Two hexadecimal digits behind a percent sign. RFC 3261 §19.1.2.
    Escape,
    /// A parameter. RFC 3261 §25.1.
    Parameter,
    /// A telephone number. RFC 3966 §3.
    TelephoneNumber,
    /// SIP/2.0 and a transport at the start of Via. RFC 3261 §20.42.
    SentProtocol,
    /// The end of the value: something stands behind it.
    End,
    /// A date in GMT. RFC 3261 §20.17.
    Date,
    /// A media type: type, slash and subtype. RFC 3261 §20.15.
    MediaType,
    /// An authentication scheme and its parameters. RFC 3261 §20.44.
    Challenge,
    /// A header field the message must have. RFC 3261 §8.1.1.
    Missing(Name),
    /// A header field that may stand only once. RFC 3261 §7.3.1.
    Repeated(Name),
    /// The method of CSeq is not that of the request. RFC 3261 §8.1.1.5.
    OtherMethod,
    /// A method that is known here; this one is not, and CSeq names yet another. RFC 3261 §8.2.1.
    UnknownMethod,
    /// A URI scheme this element does not know. RFC 3261 §8.2.2.1.
    Scheme,
    /// A Request-URI that carries headers, which only make sense outside of messages. RFC 3261 §19.1.1.
    UriHeaders,
    /// A Via branch that is only the magic cookie. RFC 3261 §8.1.1.7.
    Branch,
    /// A request that may be passed on no more. RFC 3261 §16.3.
    TooManyHops,
}

/// Which bound of [`Limits`](crate::Limits) was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::message`](crate::Limits::message)
    Message,
    /// [`Limits::headers`](crate::Limits::headers)
    Headers,
    /// [`Limits::header_line`](crate::Limits::header_line)
    HeaderLine,
    /// [`Limits::uri`](crate::Limits::uri)
    Uri,
}

impl ParseError {
    pub(crate) const fn new(at: usize, what: What) -> Self {
        Self { at, what }
    }

    /// The same fault seen from a text in which this one begins at `by`.
    #[must_use]
    pub(crate) const fn shifted(self, by: usize) -> Self {
        Self { at: self.at.saturating_add(by), what: self.what }
    }

    /// The status code that refuses a request with this fault: 400 for most of them. RFC 3261 §21.4, §21.5.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self.what {
            What::OtherVersion => 505,
            What::UnknownMethod => 501,
            What::Scheme => 416,
            What::TooManyHops => 483,
            What::Limit(Limit::Uri) => 414,
            What::Limit(_) => 513,
            _ => 400,
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}", self.at, self.what)
    }
}

impl std::error::Error for ParseError {}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match *self {
            Self::Limit(limit) => return write!(f, "{limit}"),
            Self::Missing(name) => return write!(f, "the header {} is missing", name.as_str()),
            Self::Repeated(name) => return write!(f, "the header {} may stand only once", name.as_str()),
            Self::Incomplete => "expected more: the message ends before its blank line",
            Self::LineEnd => "expected CR and LF together at the end of the line",
            Self::Method => "expected a method",
            Self::RequestUri => "expected a Request-URI without spaces or angle brackets",
            Self::Spacing => "expected exactly one space between the parts of the start line",
            Self::Version => "expected SIP/2.0",
            Self::OtherVersion => "expected SIP/2.0, found another version",
            Self::StatusCode => "expected a status code from 100 to 699",
            Self::HeaderName => "expected a header name",
            Self::Colon => "expected a colon behind the header name",
            Self::Fold => "expected a header, found a continuation line",
            Self::BodyShort => "expected as many bytes of body as Content-Length says",
            Self::BodyLength => "expected a Content-Length: nothing else ends a body on a stream",
            Self::Utf8 => "expected UTF-8",
            Self::Number => "expected a number",
            Self::Range => "expected a smaller number",
            Self::Token => "expected a token",
            Self::Quote => "expected a closing quote",
            Self::DisplayName => "expected a display name made of tokens, or in quotes",
            Self::Bracket => "expected angle brackets around the URI",
            Self::Uri => "expected a URI",
            Self::Host => "expected a host name or address",
            Self::Port => "expected a port up to 65535",
            Self::Escape => "expected two hexadecimal digits behind the percent sign",
            Self::Parameter => "expected a parameter",
            Self::TelephoneNumber => "expected a telephone number",
            Self::SentProtocol => "expected SIP/2.0/ and a transport",
            Self::End => "expected the end of the value",
            Self::Date => "expected a date that ends in GMT",
            Self::MediaType => "expected a media type",
            Self::Challenge => "expected an authentication scheme with its parameters",
            Self::OtherMethod => "expected the method of the request",
            Self::UnknownMethod => "expected a method that is known here",
            Self::Scheme => "expected a URI scheme that is known here",
            Self::UriHeaders => "expected a Request-URI without headers",
            Self::Branch => "expected more than the magic cookie in the branch",
            Self::TooManyHops => "expected a Max-Forwards above 0 in a request to pass on",
        };
        f.write_str(text)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Message => "expected a shorter message",
            Self::Headers => "expected fewer header lines",
            Self::HeaderLine => "expected a shorter header line",
            Self::Uri => "expected a shorter Request-URI",
        })
    }
}
