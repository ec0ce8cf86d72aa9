//! Parameters: `;name=value` lists behind URIs, addresses, Via and other values.

use crate::scan::{Scan, is_lws, is_token, trim};
use crate::{ParseError, What};

/// The parameters behind a value, read from the text each time they are asked for.
///
/// ```
/// use midcall_wire::NameAddr;
///
/// let to = NameAddr::parse("<sip:bob@example.com>;tag=a6c85cf;x;y=\"one; two\"").unwrap();
/// assert_eq!(to.params.value("TAG"), Some("a6c85cf"));
/// assert_eq!(to.params.get("x"), Some(None));
/// assert_eq!(to.params.get("y"), Some(Some("one; two")));
/// assert_eq!(to.params.get("z"), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a> {
    text: &'a str,
    /// Names may be written with `%XX`, as they may in a URI and nowhere else.
    escaped: bool,
}

impl<'a> Params<'a> {
    /// Parameters as written, from the first semicolon on. Nothing is checked.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self { text, escaped: false }
    }

    /// The parameters of a URI. RFC 3261 §19.1.4: an escaped name equals the plain one.
    pub(crate) const fn of_uri(text: &'a str) -> Self {
        Self { text, escaped: true }
    }

    /// Header parameters that follow RFC 3261 §25.1: names are tokens, values are there where `=` is.
    ///
    /// # Errors
    /// Says where a parameter is empty or malformed. One semicolon at the very end is forgiven.
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        Self::parse_noting(text, |_, _| {})
    }

    /// The same, and tells each parameter: for those who want one of them anyway.
    #[inline]
    pub(crate) fn parse_noting(
        text: &'a str,
        mut note: impl FnMut(&'a str, Option<&'a str>),
    ) -> Result<Self, ParseError> {
        let mut scan = Scan::new(text);
        loop {
            scan.lws();
            if scan.peek().is_none() {
                return Ok(Self::new(text));
            }
            if !scan.eat(b';') {
                return scan.fail(What::Parameter);
            }
            scan.lws();
            if scan.peek().is_none() {
                return Ok(Self::new(text));
            }
            let name = scan.run(is_token);
            if name.is_empty() {
                return scan.fail(What::Parameter);
            }
            scan.lws();
            let mut value = None;
            if scan.eat(b'=') {
                scan.lws();
                value = Some(if scan.peek() == Some(b'"') {
                    scan.quoted()?
                } else {
                    let value = scan.run_of(&PLAIN_VALUE);
                    if value.is_empty() {
                        return scan.fail(What::Parameter);
                    }
                    value
                });
            }
            note(name, value);
        }
    }

    /// The text of all of them, semicolons included.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.text
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The parameter of that name, in any case: `Some(None)` when it stands without a value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Option<&'a str>> {
        self.iter().find(|(found, _)| self.is(found, name)).map(|(_, value)| value)
    }

    /// The value of the parameter of that name, without quotes.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.get(name).flatten()
    }

    /// Whether a parameter of that name is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn is(&self, found: &str, name: &str) -> bool {
        found.eq_ignore_ascii_case(name)
            || (self.escaped && found.contains('%') && crate::unescape(found).eq_ignore_ascii_case(name))
    }

    /// Where a parameter stands in the text, its semicolon included.
    pub(crate) fn span(&self, name: &str) -> Option<std::ops::Range<usize>> {
        let mut iter = self.iter();
        loop {
            let start = iter.0.at();
            let (found, _) = iter.next()?;
            if self.is(found, name) {
                return Some(start..iter.0.at());
            }
        }
    }

    /// Name and value of each, in order. Quotes are taken off the values, escapes stay.
    #[must_use]
    pub fn iter(&self) -> ParamsIter<'a> {
        ParamsIter(Scan::new(self.text))
    }
}

impl<'a> IntoIterator for Params<'a> {
    type Item = (&'a str, Option<&'a str>);
    type IntoIter = ParamsIter<'a>;

    fn into_iter(self) -> ParamsIter<'a> {
        self.iter()
    }
}

impl std::fmt::Display for Params<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text)
    }
}

/// Iterator over [`Params`].
#[derive(Clone)]
pub struct ParamsIter<'a>(Scan<'a>);

impl std::fmt::Debug for ParamsIter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ParamsIter").field(&self.0.rest()).finish()
    }
}

impl<'a> Iterator for ParamsIter<'a> {
    type Item = (&'a str, Option<&'a str>);

    fn next(&mut self) -> Option<Self::Item> {
        let scan = &mut self.0;
        scan.run(|b| b == b';' || is_lws(b));
        scan.peek()?;
        let name = trim(scan.run(|b| b != b';' && b != b'='));
        if !scan.eat(b'=') {
            return Some((name, None));
        }
        scan.lws();
        let value = if scan.peek() == Some(b'"') {
            let mut quoted = *scan;
            match quoted.quoted() {
                Ok(value) => {
                    *scan = quoted;
                    scan.run(|b| b != b';');
                    return Some((name, Some(value)));
                }
                Err(_) => scan.run(|b| b != b';'),
            }
        } else {
            scan.run(|b| b != b';')
        };
        Some((name, Some(trim(value))))
    }
}

/// What a value may hold outside quotes: a token, a host, and what peers are seen to send without quotes.
static PLAIN_VALUE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b > b' ' && b != 0x7f && !matches!(b, b';' | b'"' | b',' | b'<' | b'>');
        byte += 1;
    }
    table
};
