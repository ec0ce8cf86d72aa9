//! Header values: the lines of one name, and the elements of comma lists. RFC 3261 §7.3.1.

use std::ops::Range;

use crate::Name;
use crate::message::Line;
use crate::scan::{find_byte, is_lws, trim};

/// Iterator over all values of one header, in order; see [`Message::values`](crate::Message::values).
#[derive(Clone, Debug)]
pub struct Values<'a> {
    spans: Spans<'a>,
}

impl<'a> Values<'a> {
    pub(crate) fn new(bytes: &'a [u8], lines: &'a [Line], name: Name) -> Self {
        Self { spans: Spans::new(bytes, lines, name) }
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            let (_, span) = self.spans.next()?;
            let text = self.spans.bytes.get(span).and_then(|bytes| std::str::from_utf8(bytes).ok());
            if let Some(text) = text.map(trim)
                && !text.is_empty()
            {
                return Some(text);
            }
        }
    }
}

/// Like [`Values`], but yields where each value is, empty ones of a list included, and in which line.
#[derive(Clone, Debug)]
pub(crate) struct Spans<'a> {
    bytes: &'a [u8],
    lines: &'a [Line],
    name: Name,
    next: usize,
    rest: Option<Range<usize>>,
}

impl<'a> Spans<'a> {
    pub(crate) const fn new(bytes: &'a [u8], lines: &'a [Line], name: Name) -> Self {
        Self { bytes, lines, name, next: 0, rest: None }
    }
}

impl Iterator for Spans<'_> {
    type Item = (usize, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = match self.rest.take() {
            Some(rest) => rest,
            None => loop {
                let line = self.lines.get(self.next)?;
                self.next += 1;
                if line.name == self.name {
                    break line.value();
                }
            },
        };
        let text = self.bytes.get(rest.clone()).unwrap_or_default();
        let length = if self.name.is_list() { element(text) } else { text.len() };
        if length < text.len() {
            self.rest = Some(rest.start + length + 1..rest.end);
        }
        let skip = text.iter().take(length).take_while(|&&b| is_lws(b)).count();
        let mut end = length;
        while end > skip && text.get(end - 1).is_some_and(|&b| is_lws(b)) {
            end -= 1;
        }
        Some((self.next - 1, rest.start + skip..rest.start + end))
    }
}

/// The length of the first element of a comma list; quotes and angle brackets protect commas.
pub(crate) fn element(text: &[u8]) -> usize {
    // Most values hold no comma at all.
    let Some(comma) = find_byte(text, b',') else { return text.len() };
    // Most commas have nothing before them that could protect them.
    let before = text.get(..comma).unwrap_or_default();
    if find_byte(before, b'<').is_none() && find_byte(before, b'"').is_none() {
        return comma;
    }
    let mut at = 0;
    let mut bracket = false;
    while let Some(&byte) = text.get(at) {
        match byte {
            b',' if !bracket => return at,
            b'<' => bracket = true,
            b'>' => bracket = false,
            b'"' if !bracket => match quoted(text.get(at..).unwrap_or_default()) {
                Some(length) => at += length - 1,
                None => return text.len(),
            },
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// The length of the quoted string the text begins with.
fn quoted(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}
