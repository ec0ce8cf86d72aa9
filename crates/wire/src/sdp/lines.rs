//! The lines of a session description, exactly as they stand.

use super::Direction;
use super::types::LETTERS;
use crate::scan::{cut, find_byte};

/// One line of a description: where it is, what it says, how it ends.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    at: usize,
    content: &'a [u8],
    ending: &'a [u8],
    /// The whole description, where that is known to be text.
    whole: Option<&'a str>,
}

impl PartialEq for Line<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.content, self.ending) == (other.at, other.content, other.ending)
    }
}

impl Eq for Line<'_> {}

impl<'a> Line<'a> {
    /// The offset of the first byte of the line in the description.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The line without its ending.
    #[inline]
    pub fn content(&self) -> &'a [u8] {
        self.content
    }

    /// What ends the line: CR LF, LF alone, or nothing on an unfinished last line.
    pub fn ending(&self) -> &'a [u8] {
        self.ending
    }

    /// The letter before `=`, or `None` for a line that is not of the form `x=`.
    #[inline]
    pub fn letter(&self) -> Option<u8> {
        match self.content {
            [letter, b'=', ..] if letter.is_ascii_alphabetic() => Some(*letter),
            _ => None,
        }
    }

    /// The text after `x=`, trimmed; `None` for other lines and for text that is not UTF-8.
    #[inline]
    pub fn value(&self) -> Option<&'a str> {
        self.letter()?;
        match self.text(2) {
            Some(text) => Some(text.trim_ascii()),
            None => std::str::from_utf8(self.content.get(2..)?.trim_ascii()).ok(),
        }
    }

    /// The value if the line starts with this letter.
    #[inline]
    pub fn value_of(&self, letter: u8) -> Option<&'a str> {
        if self.letter() == Some(letter) { self.value() } else { None }
    }

    /// The name and, if there is one, the value of an `a=` line.
    #[inline]
    pub fn attribute(&self) -> Option<(&'a str, Option<&'a str>)> {
        if self.whole.is_some() {
            let text = self.content.starts_with(b"a=").then(|| self.text(2))??;
            return Some(match cut(text, b':') {
                None => (text.trim_ascii(), None),
                Some((name, value)) => (name.trim_ascii(), Some(value.trim_ascii())),
            });
        }
        let (name, value) = self.attribute_bytes()?;
        let name = std::str::from_utf8(name).ok()?;
        match value {
            Some(value) => Some((name, Some(std::str::from_utf8(value).ok()?))),
            None => Some((name, None)),
        }
    }

    /// The name and value of an `a=` line before anything is read from them.
    fn attribute_bytes(&self) -> Option<(&'a [u8], Option<&'a [u8]>)> {
        let bytes = self.content.strip_prefix(b"a=")?;
        match find_byte(bytes, b':') {
            None => Some((bytes.trim_ascii(), None)),
            Some(colon) => {
                Some((bytes.get(..colon)?.trim_ascii(), Some(bytes.get(colon + 1..)?.trim_ascii())))
            }
        }
    }

    /// The value of an `a=` line of this name, in any case; empty where it has none.
    pub(super) fn named(&self, name: &str) -> Option<&'a str> {
        let bytes = self.content.strip_prefix(b"a=")?;
        // Most lines are of another name, and nearly all are written without white space.
        let (first, wanted) = (bytes.first()?, name.as_bytes().first()?);
        if !first.eq_ignore_ascii_case(wanted) && !first.is_ascii_whitespace() {
            return None;
        }
        let (found, value) = self.attribute_bytes()?;
        if !found.eq_ignore_ascii_case(name.as_bytes()) {
            return None;
        }
        match self.whole {
            Some(_) => self.attribute().map(|(_, value)| value.unwrap_or_default()),
            None => std::str::from_utf8(value.unwrap_or_default()).ok(),
        }
    }

    /// The content behind so many bytes, where all is known to be text.
    fn text(&self, skip: usize) -> Option<&'a str> {
        self.whole?.get(self.at + skip..self.at + self.content.len())
    }

    /// The direction if this is the line that states one.
    #[inline]
    pub(super) fn direction(&self) -> Option<Direction> {
        let bytes = self.content.strip_prefix(b"a=")?;
        // Nearly all names are others, and written without white space.
        if !bytes.first()?.is_ascii_whitespace() {
            let direction = Direction::of_name(bytes.get(..LETTERS)?)?;
            if matches!(bytes.get(LETTERS), None | Some(b':')) {
                return Some(direction);
            }
        }
        let (name, _) = self.attribute_bytes()?;
        Direction::of_name(name)
    }

    pub(super) fn end(&self) -> usize {
        self.at + self.content.len() + self.ending.len()
    }

    pub(super) fn is_blank(&self) -> bool {
        self.content.iter().all(u8::is_ascii_whitespace)
    }
}

/// Walks lines from a place in the description on.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    rest: &'a [u8],
    whole: Option<&'a str>,
    at: usize,
}

impl<'a> Lines<'a> {
    /// The lines of a description, whether it is a good one or not.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self::new(bytes, std::str::from_utf8(bytes).ok(), 0, bytes.len())
    }

    /// `whole` is the same as `bytes`, where those are text.
    pub(super) fn new(bytes: &'a [u8], whole: Option<&'a str>, at: usize, end: usize) -> Self {
        Self { rest: bytes.get(at..end.min(bytes.len())).unwrap_or_default(), whole, at }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    #[inline]
    fn next(&mut self) -> Option<Line<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let newline = find_byte(self.rest, b'\n');
        let total = newline.map_or(self.rest.len(), |newline| newline + 1);
        let mut length = newline.unwrap_or(total);
        while length > 0 && self.rest.get(length - 1) == Some(&b'\r') {
            length -= 1;
        }
        let (line, rest) = self.rest.split_at_checked(total)?;
        let (content, ending) = line.split_at_checked(length)?;
        let line = Line { at: self.at, content, ending, whole: self.whole };
        (self.rest, self.at) = (rest, self.at + total);
        Some(line)
    }
}
