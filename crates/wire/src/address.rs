//! Addresses: a URI with an optional display name and parameters, as in From, To and Contact.

use std::borrow::Cow;

use crate::scan::{Scan, is_lws, is_token, same_word, trim};
use crate::{Params, ParseError, Uri, What};

/// The value of From, To, Contact, Route, Refer-To and their like. RFC 3261 §20.10.
///
/// ```
/// use midcall_wire::NameAddr;
///
/// let from = NameAddr::parse("\"Alice \\\"A\\\" Liddell\" <sip:alice@example.com;lr>;tag=88sja8x").unwrap();
/// assert_eq!(from.display_name().as_deref(), Some("Alice \"A\" Liddell"));
/// assert_eq!(from.uri, "sip:alice@example.com;lr");
/// assert_eq!(from.tag(), Some("88sja8x"));
///
/// // Without brackets the parameters belong to the header, not to the URI.
/// let to = NameAddr::parse("sip:bob@example.com;tag=1").unwrap();
/// assert_eq!((to.uri, to.tag()), ("sip:bob@example.com", Some("1")));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The display name as written, without its quotes; escapes are kept.
    pub display: Option<&'a str>,
    /// The URI, or `*` in a Contact that removes all bindings.
    pub uri: &'a str,
    /// The header parameters.
    pub params: Params<'a>,
    tag: Option<&'a str>,
}

impl<'a> NameAddr<'a> {
    /// Takes one address apart.
    ///
    /// # Errors
    /// Says where the display name, the brackets or a parameter is wrong. The URI must have a scheme and no
    /// space; [`Uri::parse`] looks closer.
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        let mut scan = Scan::new(text);
        scan.lws();
        let display = if scan.peek() == Some(b'"') {
            let name = scan.quoted()?;
            scan.lws();
            if scan.peek() != Some(b'<') {
                return scan.fail(What::Bracket);
            }
            Some(name)
        } else if scan.peek() == Some(b'<') {
            None
        } else if memchr::memchr(b'<', scan.rest().as_bytes()).is_some() {
            display_tokens(&mut scan)?
        } else {
            return Self::bare(scan);
        };
        scan.eat(b'<');
        let start = scan.at();
        let mut uri = scan.run_of(&IN_URI);
        if scan.peek() == Some(b'>') {
            check_scheme(uri, start)?;
        } else {
            // White space or a bracket is in it; what else is wrong counts first.
            scan = Scan::from(scan.whole(), start);
            uri = scan.run(|b| !matches!(b, b'>' | b'<' | b'"'));
            check_uri(uri, start)?;
        }
        if !scan.eat(b'>') {
            return scan.fail(What::Bracket);
        }
        let (params, tag) = tagged(&scan)?;
        Ok(Self { display, uri, params, tag })
    }

    /// Takes one address apart of which the display name may be in another encoding than UTF-8, as old PBXs write it: then it
    /// is left out. No dialog is told by it (RFC 3261 §12).
    ///
    /// ```
    /// use midcall_wire::NameAddr;
    ///
    /// let from = NameAddr::parse_bytes(b"\"J\xfcrgen\" <sip:j@example.com>;tag=1").unwrap();
    /// assert_eq!((from.display, from.uri, from.tag()), (None, "sip:j@example.com", Some("1")));
    /// ```
    ///
    /// # Errors
    /// Those of [`NameAddr::parse`], and bytes elsewhere that are not UTF-8.
    #[inline]
    pub fn parse_bytes(bytes: &'a [u8]) -> Result<Self, ParseError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::parse(text),
            Err(error) => Self::behind_name(bytes, error.valid_up_to()),
        }
    }

    /// Leaves out the display name in which the first byte stands that is no UTF-8.
    #[cold]
    fn behind_name(bytes: &'a [u8], foreign: usize) -> Result<Self, ParseError> {
        let (mut quoted, mut escaped) = (false, false);
        let bracket = bytes.iter().position(|&byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b'<' if !quoted => return true,
                _ => {}
            }
            false
        });
        let not_text = |at: usize| ParseError::new(at, What::Utf8);
        let Some(start) = bracket.filter(|bracket| foreign < *bracket) else { return Err(not_text(foreign)) };
        let text = std::str::from_utf8(bytes.get(start..).unwrap_or_default())
            .map_err(|error| not_text(start + error.valid_up_to()))?;
        Self::parse(text).map_err(|error| error.shifted(start))
    }

    fn bare(mut scan: Scan<'a>) -> Result<Self, ParseError> {
        let start = scan.at();
        let uri = scan.run(|b| b != b';' && !is_lws(b));
        if uri != "*" {
            if let Some(at) = uri.bytes().position(|b| matches!(b, b'?' | b',')) {
                return Err(ParseError::new(start + at, What::Bracket));
            }
            check_uri(uri, start)?;
        }
        let (params, tag) = tagged(&scan)?;
        Ok(Self { display: None, uri, params, tag })
    }

    /// The tag parameter. RFC 3261 §19.3.
    #[must_use]
    pub const fn tag(&self) -> Option<&'a str> {
        self.tag
    }

    /// The display name with its escapes resolved.
    #[must_use]
    pub fn display_name(&self) -> Option<Cow<'a, str>> {
        let raw = self.display?;
        if !raw.contains('\\') {
            return Some(Cow::Borrowed(raw));
        }
        let mut out = String::with_capacity(raw.len());
        let mut chars = raw.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => out.extend(chars.next()),
                c => out.push(c),
            }
        }
        Some(Cow::Owned(out))
    }

    /// The URI taken apart.
    ///
    /// # Errors
    /// Those of [`Uri::parse`].
    pub fn uri(&self) -> Result<Uri<'a>, ParseError> {
        Uri::parse(self.uri)
    }

    /// Whether this is the `*` of a Contact that removes all bindings. RFC 3261 §10.2.2.
    #[must_use]
    pub fn is_star(&self) -> bool {
        self.uri == "*"
    }
}

impl std::fmt::Display for NameAddr<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(display) = self.display {
            write!(f, "\"{display}\" ")?;
        }
        match self.uri {
            "*" => f.write_str("*")?,
            uri => write!(f, "<{uri}>")?,
        }
        f.write_str(self.params.as_str())
    }
}

/// The rest of a value: parameters, and the tag that nearly everybody asks for.
fn tagged<'a>(scan: &Scan<'a>) -> Result<(Params<'a>, Option<&'a str>), ParseError> {
    let mut tag = None;
    let params = Params::parse_noting(scan.rest(), |name, value| {
        if same_word(name, "tag") {
            tag.get_or_insert(value);
        }
    });
    Ok((params.map_err(|error| error.shifted(scan.at()))?, tag.flatten()))
}

/// Steps over the tokens of an unquoted display name, which ends where the bracket opens.
fn display_tokens<'a>(scan: &mut Scan<'a>) -> Result<Option<&'a str>, ParseError> {
    // Peers write plain UTF-8 without quotes; it hides no delimiter, so it is read.
    let name = trim(scan.run(|b| is_token(b) || is_lws(b) || !b.is_ascii()));
    match scan.peek() {
        Some(b'<') => Ok((!name.is_empty()).then_some(name)),
        _ => scan.fail(What::DisplayName),
    }
}

/// A URI has a scheme, and no space or bracket.
fn check_uri(uri: &str, start: usize) -> Result<(), ParseError> {
    if let Some(at) = uri.bytes().position(|b| !IN_URI[usize::from(b)]) {
        return Err(ParseError::new(start + at, What::Uri));
    }
    check_scheme(uri, start)
}

/// What may stand in a URI between brackets.
static IN_URI: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = !is_lws(b) && !matches!(b, b'<' | b'>' | b'"');
        byte += 1;
    }
    table
};

fn check_scheme(uri: &str, start: usize) -> Result<(), ParseError> {
    let mut scan = Scan::new(uri);
    let scheme = scan.run(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    if scheme.is_empty() || !scan.eat(b':') || scan.peek().is_none() {
        return Err(ParseError::new(start, What::Uri));
    }
    Ok(())
}
