//! A cursor over one header value, and the character classes of RFC 3261 §25.1.

use crate::{ParseError, What};

/// White space inside a value. A folded line keeps its CRLF, which counts as space too.
#[inline]
pub(crate) const fn is_lws(byte: u8) -> bool {
    byte <= b' ' && matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Equal but for case; peers mostly write the usual spelling, and then one comparison is enough.
#[inline]
pub(crate) fn same_word(one: &str, other: &str) -> bool {
    one.len() == other.len() && (one == other || one.eq_ignore_ascii_case(other))
}

/// A character of a token. RFC 3261 §25.1.
#[inline]
pub(crate) const fn is_token(byte: u8) -> bool {
    TOKEN[byte as usize]
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric()
            || matches!(b, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
        byte += 1;
    }
    table
};

#[inline]
pub(crate) fn trim(text: &str) -> &str {
    let bytes = text.as_bytes();
    if !bytes.first().copied().is_some_and(is_lws) && !bytes.last().copied().is_some_and(is_lws) {
        return text;
    }
    let start = bytes.iter().position(|&b| !is_lws(b)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|&b| !is_lws(b)).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

/// Finds the first such byte, eight at a time: for texts too short for a search that has to warm up.
#[inline]
pub(crate) fn find_byte(text: &[u8], byte: u8) -> Option<usize> {
    const LOW: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let wanted = u64::from_ne_bytes([byte; 8]);
    let (chunks, tail) = text.as_chunks::<8>();
    for (number, chunk) in chunks.iter().enumerate() {
        let wanted_is_zero = u64::from_le_bytes(*chunk) ^ wanted;
        let found = wanted_is_zero.wrapping_sub(LOW) & !wanted_is_zero & HIGH;
        if found != 0 {
            return Some(number * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let at = tail.iter().position(|&b| b == byte)?;
    Some(text.len() - tail.len() + at)
}

/// What stands before and behind the first such byte, which must be ASCII.
#[inline]
pub(crate) fn cut(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = find_byte(text.as_bytes(), byte)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// A cursor that only ever stands between characters.
#[derive(Clone, Copy)]
pub(crate) struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The same text, from another place on.
    pub(crate) const fn from(text: &'a str, at: usize) -> Self {
        Self { text, at }
    }

    /// The text from its beginning on.
    pub(crate) const fn whole(&self) -> &'a str {
        self.text
    }

    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(crate) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Steps over that many bytes, which must end between characters.
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.at = (self.at + bytes).min(self.text.len());
    }

    #[inline]
    pub(crate) fn lws(&mut self) {
        while self.peek().is_some_and(is_lws) {
            self.at += 1;
        }
    }

    /// Steps over what `wanted` accepts, which must be ASCII, or all bytes above it.
    #[inline]
    pub(crate) fn run(&mut self, wanted: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        let rest = self.text.as_bytes().get(start..).unwrap_or_default();
        self.at += rest.iter().position(|&b| !wanted(b)).unwrap_or(rest.len());
        self.since(start)
    }

    /// Steps over what the table accepts, which must be ASCII, or all bytes above it: for texts that are mostly longer than
    /// eight bytes.
    #[inline]
    pub(crate) fn run_of(&mut self, table: &[bool; 256]) -> &'a str {
        let start = self.at;
        let rest = self.text.as_bytes().get(start..).unwrap_or_default();
        let is_in = |byte: &u8| table[usize::from(*byte)];
        let chunks = rest.as_chunks::<8>().0.iter();
        let whole = 8 * chunks.take_while(|chunk| chunk.iter().all(is_in)).count();
        let rest = rest.get(whole..).unwrap_or_default();
        self.at += whole + rest.iter().position(|byte| !is_in(byte)).unwrap_or(rest.len());
        self.since(start)
    }

    #[inline]
    pub(crate) fn token(&mut self) -> Result<&'a str, ParseError> {
        let token = self.run(is_token);
        if token.is_empty() { self.fail(What::Token) } else { Ok(token) }
    }

    /// A decimal number up to `most`.
    pub(crate) fn number(&mut self, most: u64) -> Result<u64, ParseError> {
        let start = self.at;
        let mut number = Some(0_u64);
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            let more = |number: u64| number.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
            number = number.and_then(more);
            self.at += 1;
        }
        if self.at == start {
            return self.fail(What::Number);
        }
        number.filter(|&number| number <= most).ok_or(ParseError::new(start, What::Range))
    }

    /// A quoted string, without its quotes; escapes are kept.
    pub(crate) fn quoted(&mut self) -> Result<&'a str, ParseError> {
        let open = self.at;
        if !self.eat(b'"') {
            return self.fail(What::Quote);
        }
        let start = self.at;
        loop {
            match self.peek() {
                None => return Err(ParseError::new(open, What::Quote)),
                Some(b'"') => {
                    let inside = self.since(start);
                    self.at += 1;
                    return Ok(inside);
                }
                // The escaped character may be longer than a byte: the bytes behind it never are a quote.
                Some(b'\\') => self.at = (self.at + 2).min(self.text.len()),
                Some(_) => self.at += 1,
            }
        }
    }

    /// Nothing but white space is left.
    pub(crate) fn end(&mut self) -> Result<(), ParseError> {
        self.lws();
        if self.peek().is_none() { Ok(()) } else { self.fail(What::End) }
    }

    pub(crate) fn fail<T>(&self, what: What) -> Result<T, ParseError> {
        Err(ParseError::new(self.at, what))
    }
}
