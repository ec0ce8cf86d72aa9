//! Cuts a stream into lines, whatever ends them.

use std::io::{self, Read};

/// How a line ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// LF alone.
    Lf,
    /// CRLF; a text that was translated twice has more than one CR.
    CrLf,
    /// CR alone.
    Cr,
    /// By the end of the input, or because it was too long.
    Missing,
}

/// A line without its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'b> {
    pub(super) text: &'b [u8],
    pub(super) end: End,
    /// Its number, from 1.
    pub(super) number: u64,
    /// Whether more of it was there than is kept.
    pub(super) cut: bool,
}

/// The lines of an input.
pub(super) struct Lines<R> {
    reader: R,
    buffer: Box<[u8]>,
    begin: usize,
    /// Up to here there is no end of a line.
    searched: usize,
    filled: usize,
    over: bool,
    number: u64,
    bytes: u64,
    /// Whether the rest of a line that was too long is passed over.
    skipping: bool,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        let buffer = vec![0; BUFFER].into_boxed_slice();
        let (begin, searched, filled, number, bytes) = (0, 0, 0, 0, 0);
        Self { reader, buffer, begin, searched, filled, over: false, number, bytes, skipping: false }
    }

    /// How many bytes of the input make up the lines so far.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next line; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            let Some((length, end, used)) = self.line_ahead()? else { return Ok(None) };
            let begin = self.begin;
            self.begin = begin.saturating_add(used);
            self.searched = self.begin;
            self.bytes = self.bytes.saturating_add(used as u64);
            let was_skipping = self.skipping;
            let long = end == End::Missing && self.begin < self.filled;
            self.skipping = long;
            if was_skipping {
                continue;
            }
            self.number += 1;
            let text = self.buffer.get(begin..begin.saturating_add(length)).unwrap_or_default();
            return Ok(Some(Line { text, end, number: self.number, cut: long }));
        }
    }

    /// The length of the next line, how it ends and how many bytes it takes with its end.
    fn line_ahead(&mut self) -> io::Result<Option<(usize, End, usize)>> {
        loop {
            let ahead = self.buffer.get(self.searched..self.filled).unwrap_or_default();
            if let Some(at) = memchr::memchr2(b'\r', b'\n', ahead) {
                let length = self.searched - self.begin + at;
                if length > LONGEST {
                    return Ok(Some((LONGEST, End::Missing, LONGEST)));
                }
                if let Some((end, more)) = ending(ahead.get(at..).unwrap_or_default(), self.over) {
                    return Ok(Some((length, end, length + more)));
                }
                self.searched += at;
            } else {
                self.searched = self.filled;
                let length = self.filled - self.begin;
                if length > LONGEST {
                    return Ok(Some((LONGEST, End::Missing, LONGEST)));
                }
                if self.over {
                    return Ok((length > 0).then_some((length, End::Missing, length)));
                }
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.filled == self.buffer.len() {
            self.buffer.copy_within(self.begin..self.filled, 0);
            self.filled -= self.begin;
            self.searched -= self.begin;
            self.begin = 0;
        }
        let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
        match self.reader.read(room) {
            Ok(0) => self.over = true,
            Ok(more) => self.filled = self.buffer.len().min(self.filled + more),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What was compressed and breaks off still has a beginning.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => self.over = true,
            Err(error) => {
                self.over = true;
                return Err(error);
            }
        }
        Ok(())
    }
}

/// What kind of end begins here and how long it is; `None` if that is not there yet.
fn ending(text: &[u8], over: bool) -> Option<(End, usize)> {
    let returns = text.iter().take(MOST_RETURNS).take_while(|byte| **byte == b'\r').count();
    match text.get(returns) {
        Some(b'\n') if returns == 0 => Some((End::Lf, 1)),
        Some(b'\n') => Some((End::CrLf, returns + 1)),
        None if !over => None,
        _ => Some((End::Cr, 1)),
    }
}

/// The longest line that is kept whole; some loggers put a whole message on one.
pub(super) const LONGEST: usize = 1 << 16;
const BUFFER: usize = 4 * LONGEST;
const MOST_RETURNS: usize = 8;

#[cfg(test)]
mod tests {
    use midcall_testkit::pieces::Pieces;

    use super::*;

    fn lines(text: &[u8], piece: usize) -> Vec<(Vec<u8>, End, bool)> {
        let mut lines = Lines::new(Pieces(text, piece));
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push((line.text.to_vec(), line.end, line.cut));
        }
        assert_eq!(lines.bytes(), text.len() as u64);
        all
    }

    #[test]
    fn all_ends_of_lines_are_known_however_they_are_read() {
        let text = b"a\nb\r\nc\r\r\nd\re\r\r\rf\n\n\r\ng";
        let expected = [
            ("a", End::Lf),
            ("b", End::CrLf),
            ("c", End::CrLf),
            ("d", End::Cr),
            ("e", End::Cr),
            ("", End::Cr),
            ("", End::Cr),
            ("f", End::Lf),
            ("", End::Lf),
            ("", End::CrLf),
            ("g", End::Missing),
        ];
        let expected: Vec<_> =
            expected.map(|(text, end)| (text.as_bytes().to_vec(), end, false)).into_iter().collect();
        for piece in 1..=text.len() {
            assert_eq!(lines(text, piece), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_line_feed_behind_many_returns_is_seen_however_it_is_read() {
        for returns in 6..12 {
            let text = [b"a".as_slice(), &vec![b'\r'; returns], b"\nb"].concat();
            let whole = lines(&text, text.len());
            for piece in 1..text.len() {
                assert_eq!(lines(&text, piece), whole, "{returns} returns in pieces of {piece}");
            }
        }
    }

    #[test]
    fn a_line_without_end_keeps_its_beginning_and_no_more() {
        let mut text = vec![b'x'; 3 * LONGEST + 5];
        text.extend_from_slice(b"\nshort\n");
        for piece in [1000, LONGEST, text.len()] {
            let all = lines(&text, piece);
            assert_eq!(all.len(), 2);
            assert_eq!((all[0].0.len(), all[0].2), (LONGEST, true));
            assert_eq!(all[1], (b"short".to_vec(), End::Lf, false));
        }
    }

    #[test]
    fn a_pile_of_returns_does_not_fill_the_buffer() {
        assert_eq!(lines(&vec![b'\r'; 2 * BUFFER], BUFFER).len(), 2 * BUFFER);
    }
}
