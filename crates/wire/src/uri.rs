//! URIs of the schemes `sip`, `sips` and `tel`; others are kept as they are.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use crate::scan::Scan;
use crate::{Params, ParseError, What};

/// A URI taken apart, borrowing from its text. RFC 3261 §19.1, RFC 3966 §3.
///
/// Nothing is decoded: what was escaped still is, so every part can be written back as it came.
///
/// ```
/// use midcall_wire::{Scheme, Uri};
///
/// let uri = Uri::parse("sips:alice;day=tuesday@[2001:db8::9:1]:5071;lr?Subject=late%20again").unwrap();
/// assert_eq!(uri.scheme, Scheme::Sips);
/// assert_eq!(uri.user, Some("alice;day=tuesday"));
/// assert_eq!((uri.host, uri.port), ("[2001:db8::9:1]", Some(5071)));
/// assert_eq!(uri.ip(), Some("2001:db8::9:1".parse().unwrap()));
/// assert!(uri.params.has("lr"));
/// assert_eq!(uri.header("subject").as_deref(), Some("late again"));
///
/// let uri = Uri::parse("tel:+358-555-1234567;postd=pp22").unwrap();
/// assert_eq!((uri.scheme, uri.number()), (Scheme::Tel, Some("+358-555-1234567")));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Uri<'a> {
    /// What stands before the first colon.
    pub scheme: Scheme<'a>,
    /// The user part, still escaped. RFC 3261 §19.1.1.
    pub user: Option<&'a str>,
    /// The password, still escaped.
    pub password: Option<&'a str>,
    /// The host as written, an IPv6 address in its brackets; empty unless the scheme is sip or sips.
    pub host: &'a str,
    /// The port, where one is written.
    pub port: Option<u16>,
    /// What follows the host, or the number of a tel URI.
    pub params: Params<'a>,
    /// What follows the question mark: `name=value` pairs joined by `&`.
    pub headers: Option<&'a str>,
    text: &'a str,
    rest: &'a str,
}

/// The scheme of a [`Uri`]; case does not count in comparisons.
#[derive(Clone, Copy, Debug)]
pub enum Scheme<'a> {
    /// `sip:`, RFC 3261 §19.1.
    Sip,
    /// `sips:`, RFC 3261 §19.1.
    Sips,
    /// `tel:`, RFC 3966.
    Tel,
    /// Any other, as written.
    Other(&'a str),
}

impl<'a> Uri<'a> {
    /// Takes a URI apart.
    ///
    /// # Errors
    /// Says where the text is not a URI of its scheme. Of unknown schemes only the scheme itself is checked.
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        let mut scan = Scan::new(text);
        if !scan.peek().is_some_and(|b| b.is_ascii_alphabetic()) {
            return scan.fail(What::Uri);
        }
        let name = scan.run(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        let scheme = Scheme::of(name);
        if !scan.eat(b':') || scan.peek().is_none() {
            return scan.fail(What::Uri);
        }
        let user_end = survey(text, scan.at(), matches!(scheme, Scheme::Sip | Scheme::Sips))?;
        let mut uri = Self {
            scheme,
            user: None,
            password: None,
            host: "",
            port: None,
            params: Params::default(),
            headers: None,
            text,
            rest: scan.rest(),
        };
        match scheme {
            Scheme::Sip | Scheme::Sips => uri.sip(scan, user_end)?,
            Scheme::Tel => uri.tel(scan)?,
            Scheme::Other(_) => {}
        }
        Ok(uri)
    }

    fn sip(&mut self, mut scan: Scan<'a>, user_end: Option<usize>) -> Result<(), ParseError> {
        if let Some(end) = user_end {
            let start = scan.at();
            let userinfo = self.text.get(start..end).unwrap_or_default();
            let colon = memchr::memchr(b':', userinfo.as_bytes());
            let (user, password) = match colon.and_then(|colon| userinfo.split_at_checked(colon)) {
                Some((user, password)) => (user, password.get(1..)),
                None => (userinfo, None),
            };
            if user.is_empty() {
                return Err(ParseError::new(start, What::Uri));
            }
            (self.user, self.password) = (Some(user), password);
            scan = Scan::from(self.text, end + 1);
        }
        self.host = host(&mut scan)?;
        if scan.eat(b':') {
            self.port = Some(port(&mut scan)?);
        }
        if !matches!(scan.peek(), None | Some(b';' | b'?')) {
            return scan.fail(What::Host);
        }
        let start = scan.at();
        scan.run(|b| b != b'?');
        self.params = Params::of_uri(scan.since(start));
        if scan.eat(b'?') {
            self.headers = Some(scan.rest());
        }
        Ok(())
    }

    fn tel(&mut self, mut scan: Scan<'a>) -> Result<(), ParseError> {
        let start = scan.at();
        let plus = scan.eat(b'+');
        let digits = scan.run(is_phone_digit);
        let valid = if plus {
            digits.bytes().any(|b| b.is_ascii_digit()) && !digits.bytes().any(|b| matches!(b, b'*' | b'#'))
        } else {
            digits.bytes().any(|b| b.is_ascii_hexdigit() || matches!(b, b'*' | b'#'))
        };
        if !valid {
            return Err(ParseError::new(start, What::TelephoneNumber));
        }
        if !matches!(scan.peek(), None | Some(b';')) {
            return scan.fail(What::TelephoneNumber);
        }
        self.user = Some(scan.since(start));
        self.params = Params::of_uri(scan.rest());
        Ok(())
    }

    /// The whole URI as written.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.text
    }

    /// All that follows the scheme and its colon.
    #[must_use]
    pub const fn rest(&self) -> &'a str {
        self.rest
    }

    /// The telephone number of a tel URI, visual separators included.
    #[must_use]
    pub fn number(&self) -> Option<&'a str> {
        if matches!(self.scheme, Scheme::Tel) { self.user } else { None }
    }

    /// The host, where it is an address.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        host_ip(self.host)
    }

    /// The transport parameter.
    #[must_use]
    pub fn transport(&self) -> Option<&'a str> {
        self.params.value("transport")
    }

    /// The header of that name from the part behind the question mark, decoded. RFC 3261 §19.1.1.
    ///
    /// ```
    /// use midcall_wire::Uri;
    ///
    /// let uri = Uri::parse("sip:bob@b.example?Replaces=12%40a%3Bto-tag%3D7%3Bfrom-tag%3D5").unwrap();
    /// assert_eq!(uri.header("Replaces").as_deref(), Some("12@a;to-tag=7;from-tag=5"));
    /// ```
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'a, str>> {
        self.header_pairs()
            .find(|(found, _)| unescape(found).eq_ignore_ascii_case(name))
            .map(|(_, value)| unescape(value))
    }

    /// Name and value of each header, still escaped.
    pub fn header_pairs(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.headers
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    }

    /// Whether both name the same thing. RFC 3261 §19.1.4, RFC 3966 §4; other schemes are compared as text.
    ///
    /// ```
    /// use midcall_wire::Uri;
    ///
    /// let uri = |text| Uri::parse(text).unwrap();
    /// assert!(uri("sip:%61lice@Example.COM;transport=TCP").same(&uri("sip:alice@example.com;Transport=tcp")));
    /// assert!(!uri("sip:ALICE@example.com").same(&uri("sip:alice@example.com")));
    /// assert!(!uri("sip:alice@example.com:5060").same(&uri("sip:alice@example.com")));
    /// ```
    #[must_use]
    pub fn same(&self, other: &Uri<'_>) -> bool {
        // Also where a parameter stands twice, and one of the two is never the other.
        if self.text == other.text {
            return true;
        }
        if self.scheme != other.scheme {
            return false;
        }
        match self.scheme {
            Scheme::Sip | Scheme::Sips => {
                same_escaped(self.user, other.user, true)
                    && same_escaped(self.password, other.password, true)
                    && same_host(self.host, other.host)
                    && self.port == other.port
                    && one_way(self, other)
                    && one_way(other, self)
                    && same_headers(self, other)
            }
            Scheme::Tel => {
                let number = |text: &str| -> String {
                    text.chars()
                        .filter(|c| !matches!(c, '-' | '.' | '(' | ')'))
                        .map(|c| c.to_ascii_lowercase())
                        .collect()
                };
                number(self.user.unwrap_or_default()) == number(other.user.unwrap_or_default())
                    && self.params.iter().count() == other.params.iter().count()
                    && self.params.iter().all(|(name, value)| {
                        other.params.get(name).is_some_and(|found| {
                            number(found.unwrap_or_default()) == number(value.unwrap_or_default())
                        })
                    })
            }
            Scheme::Other(_) => self.rest == other.rest,
        }
    }
}

impl std::fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text)
    }
}

impl<'a> Scheme<'a> {
    fn of(name: &'a str) -> Self {
        if name.eq_ignore_ascii_case("sip") {
            Self::Sip
        } else if name.eq_ignore_ascii_case("sips") {
            Self::Sips
        } else if name.eq_ignore_ascii_case("tel") {
            Self::Tel
        } else {
            Self::Other(name)
        }
    }

    /// The scheme without its colon.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        match self {
            Self::Sip => "sip",
            Self::Sips => "sips",
            Self::Tel => "tel",
            Self::Other(name) => name,
        }
    }
}

impl PartialEq for Scheme<'_> {
    fn eq(&self, other: &Self) -> bool {
        *self == *other.as_str()
    }
}

impl Eq for Scheme<'_> {}

impl PartialEq<str> for Scheme<'_> {
    fn eq(&self, other: &str) -> bool {
        self.as_str().eq_ignore_ascii_case(other)
    }
}

impl PartialEq<&str> for Scheme<'_> {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

/// Decodes `%XX`. Bytes that then are not UTF-8 become U+FFFD, and a `%` without two digits stays.
///
/// ```
/// assert_eq!(midcall_wire::unescape("late%20again"), "late again");
/// assert_eq!(midcall_wire::unescape("100%"), "100%");
/// ```
#[must_use]
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if let (b'%', Some(byte)) = (first, hex_pair(after)) {
            out.push(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            out.push(first);
            rest = after;
        }
    }
    match String::from_utf8(out) {
        Ok(text) => Cow::Owned(text),
        Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

/// Escapes a text so that it can stand as a header name or value in a URI: all but unreserved characters.
/// RFC 3261 §19.1.2.
///
/// ```
/// assert_eq!(midcall_wire::escape_header("12@a;to-tag=7"), "12%40a%3Bto-tag%3D7");
/// ```
#[must_use]
pub fn escape_header(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len() + text.len() / 2);
    for byte in text.bytes() {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(HEX.get(usize::from(digit)).map_or('0', |&b| char::from(b)));
            }
        }
    }
    out
}

/// A host as it may stand in a URI or a Via: IPv6 addresses only in brackets.
pub(crate) fn host<'a>(scan: &mut Scan<'a>) -> Result<&'a str, ParseError> {
    let start = scan.at();
    if scan.eat(b'[') {
        let inside = scan.run(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
        if ipv6(inside).is_none() || !scan.eat(b']') {
            return Err(ParseError::new(start, What::Host));
        }
        return Ok(scan.since(start));
    }
    let name = scan.run(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    if name.is_empty() { scan.fail(What::Host) } else { Ok(name) }
}

/// RFC 5118 §4.10: three colons before an embedded IPv4 address come from a flaw of the old grammar.
fn ipv6(text: &str) -> Option<Ipv6Addr> {
    match text.find(":::") {
        None => text.parse().ok(),
        Some(_) => text.replacen(":::", "::", 1).parse().ok(),
    }
}

/// The address a host is, with or without brackets.
pub(crate) fn host_ip(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok().or_else(|| ipv6(bare).map(IpAddr::V6))
}

pub(crate) fn port(scan: &mut Scan<'_>) -> Result<u16, ParseError> {
    let start = scan.at();
    match scan.number(u64::from(u16::MAX)) {
        Ok(number) => Ok(u16::try_from(number).unwrap_or(u16::MAX)),
        Err(_) => Err(ParseError::new(start, What::Port)),
    }
}

/// Looks once at every byte: nothing that no URI may hold, whole escapes if `escapes`. Tells where the `@`
/// behind the user part is. By the grammar there is only one; but peers leave it unescaped in the user, and
/// in a Replaces behind the question mark.
fn survey(text: &str, from: usize, escapes: bool) -> Result<Option<usize>, ParseError> {
    let (mut user_end, mut headers) = (None, false);
    for (at, byte) in text.bytes().enumerate().skip(from) {
        if byte.is_ascii_alphanumeric() {
            continue;
        }
        match byte {
            0..=b' ' | 0x7f | b'<' | b'>' | b'"' => return Err(ParseError::new(at, What::Uri)),
            b'?' if user_end.is_some() => headers = true,
            b'@' if !headers => user_end = Some(at),
            b'%' if escapes && text.as_bytes().get(at + 1..).and_then(hex_pair).is_none() => {
                return Err(ParseError::new(at, What::Escape));
            }
            _ => {}
        }
    }
    Ok(user_end)
}

/// The byte two hexadecimal digits stand for.
fn hex_pair(text: &[u8]) -> Option<u8> {
    let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some(digit(text.first()?)? << 4 | digit(text.get(1)?)?)
}

/// RFC 3261 §25.1: alphanumeric or mark.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')')
}

/// RFC 3966 §3: digits, visual separators and, in local numbers, hexadecimal digits and keys.
const fn is_phone_digit(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b'-' | b'.' | b'(' | b')' | b'*' | b'#')
}

fn same_host(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
        || (one.starts_with('[') && host_ip(one).is_some() && host_ip(one) == host_ip(other))
}

/// RFC 3261 §19.1.4: an escaped character equals the plain one unless it is reserved.
fn same_escaped(one: Option<&str>, other: Option<&str>, exact: bool) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => units(one, exact).eq(units(other, exact)),
        _ => false,
    }
}

/// Characters of an escaped text: whether each still counts as escaped, and which it is.
fn units(text: &str, exact: bool) -> impl Iterator<Item = (bool, u8)> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let (&first, after) = rest.split_first()?;
        let (escaped, byte) = match (first, hex_pair(after)) {
            (b'%', Some(byte)) => {
                rest = after.get(2..).unwrap_or_default();
                (!is_unreserved(byte), byte)
            }
            _ => {
                rest = after;
                (false, first)
            }
        };
        Some((escaped, if exact { byte } else { byte.to_ascii_lowercase() }))
    })
}

/// Every parameter of `one` is matched in `other`, or may be missing there.
fn one_way(one: &Uri<'_>, other: &Uri<'_>) -> bool {
    const NEVER_ALONE: [&str; 5] = ["transport", "user", "ttl", "method", "maddr"];
    one.params.iter().all(|(name, value)| match other.params.get(&unescape(name)) {
        Some(found) => same_escaped(value, found, false),
        None => !NEVER_ALONE.iter().any(|alone| unescape(name).eq_ignore_ascii_case(alone)),
    })
}

fn same_headers(one: &Uri<'_>, other: &Uri<'_>) -> bool {
    let covers = |a: &Uri<'_>, b: &Uri<'_>| {
        a.header_pairs().all(|(name, value)| {
            b.header_pairs().any(|(found, other)| {
                same_escaped(Some(name), Some(found), false) && same_escaped(Some(value), Some(other), true)
            })
        })
    };
    one.header_pairs().count() == other.header_pairs().count() && covers(one, other) && covers(other, one)
}
