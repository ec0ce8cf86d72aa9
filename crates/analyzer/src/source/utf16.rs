//! Text of two bytes a character, as Windows writes it.

use std::io::{self, Read};

/// Turns UTF-16 into UTF-8.
pub(super) struct Utf16<R> {
    reader: R,
    big: bool,
    /// What has been read and not yet been turned: half a character at most.
    raw: Vec<u8>,
    /// What has been turned and not yet been given.
    text: Vec<u8>,
    given: usize,
}

impl<R: Read> Utf16<R> {
    pub(super) fn new(reader: R, big: bool) -> Self {
        Self { reader, big, raw: Vec::new(), text: Vec::new(), given: 0 }
    }

    /// Reads more; `false` at the end.
    fn fill(&mut self) -> io::Result<bool> {
        let held = self.raw.len();
        self.raw.resize(held + PIECE, 0);
        let read = self.reader.read(self.raw.get_mut(held..).unwrap_or_default());
        self.raw.truncate(held + *read.as_ref().unwrap_or(&0));
        let over = read? == 0;
        let unit =
            |pair: &[u8; 2]| if self.big { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) };
        let mut units: Vec<u16> = self.raw.as_chunks().0.iter().map(unit).collect();
        if !over && units.last().is_some_and(|last| (0xd800..0xdc00).contains(last)) {
            units.pop();
        }
        self.raw.drain(..2 * units.len());
        self.text.clear();
        self.given = 0;
        let mut utf8 = [0; 4];
        for character in char::decode_utf16(units) {
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.text.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
        }
        Ok(!over || !self.text.is_empty())
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given >= self.text.len() {
            if !self.fill()? {
                return Ok(0);
            }
        }
        let ahead = self.text.get(self.given..).unwrap_or_default();
        let length = ahead.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..length), ahead.get(..length)) {
            to.copy_from_slice(from);
        }
        self.given += length;
        Ok(length)
    }
}

/// Whether a file that begins like this is UTF-16, and if the high byte comes first.
pub(super) fn begins(start: &[u8]) -> Option<bool> {
    match start {
        [0xff, 0xfe, ..] => return Some(false),
        [0xfe, 0xff, ..] => return Some(true),
        _ => {}
    }
    // Without a mark: the high bytes of what is written in Latin letters are zero.
    let start = start.get(..start.len().min(64)).unwrap_or_default();
    let zeros = |odd: usize| start.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
    let (high, low) = (zeros(0), zeros(1));
    let most = start.len() * 9 / 20;
    match (high, low) {
        _ if start.len() < 16 => None,
        (0, low) if low > most => Some(false),
        (high, 0) if high > most => Some(true),
        _ => None,
    }
}

const PIECE: usize = 1 << 14;

#[cfg(test)]
mod tests {
    use midcall_testkit::pieces::Pieces;

    use super::*;

    #[test]
    fn both_byte_orders_and_characters_of_two_units_are_read() {
        let text = "\u{feff}BYE sip:b\u{f6}b@example.com \u{1f4de} SIP/2.0\r\n";
        for big in [false, true] {
            let turn = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
            let bytes: Vec<u8> = text.encode_utf16().flat_map(turn).collect();
            assert_eq!(begins(&bytes), Some(big));
            assert_eq!(begins(&bytes[2..]), Some(big));
            for piece in [1, 2, 3, 7, 1000] {
                let mut utf8 = String::new();
                Utf16::new(Pieces(&bytes, piece), big).read_to_string(&mut utf8).unwrap();
                assert_eq!(utf8, text, "in pieces of {piece}");
            }
        }
        assert_eq!(begins(text.as_bytes()), None);
        assert_eq!(begins(&[0; 64]), None);
    }
}
