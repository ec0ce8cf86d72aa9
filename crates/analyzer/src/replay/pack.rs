//! The bytes of a call's messages, in little room.
//!
//! The messages of a call say the same again and again: who speaks with whom, what each side can do, most of a description.
//! So a line that stood in an earlier message is kept as the place where it stands, and what follows there as well.

use std::ops::Range;

/// The lines of messages, each kept once.
#[derive(Debug, Default)]
pub(super) struct Pack {
    /// Lines as they came, with their ends.
    text: Vec<u8>,
    /// The pieces of the text that messages are made of, one message after the other: where each begins and how long it
    /// is, as numbers of seven bits in each byte.
    pieces: Vec<u8>,
    /// Where in the text a line with this print began last, from 1.
    places: Option<Box<[u16; PLACES]>>,
}

/// Where the pieces stand that make a message.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Packed {
    first: u32,
    last: u32,
}

impl Packed {
    /// Whether there are no bytes.
    pub(super) const fn is_empty(&self) -> bool {
        self.first == self.last
    }
}

impl Pack {
    /// Takes the bytes of a message. `None` if the call has said too much for this.
    pub(super) fn put(&mut self, raw: &[u8]) -> Option<Packed> {
        let whole = self.text.len().checked_add(raw.len()).and_then(|length| u32::try_from(length).ok());
        let (Some(_), Ok(first)) = (whole, u32::try_from(self.pieces.len())) else { return None };
        // The piece that goes on.
        let mut piece = 0..0;
        let mut rest = raw;
        while !rest.is_empty() {
            let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |newline| newline + 1);
            let (line, after) = rest.split_at_checked(length)?;
            rest = after;
            // What followed before mostly does again.
            let again = piece.end > 0 && self.text.get(piece.end..piece.end + length) == Some(line);
            let begin = if again { piece.end } else { self.line(line, rest.len()) };
            if begin != piece.end {
                self.piece(piece);
                piece = begin..begin;
            }
            piece.end = begin + length;
        }
        self.piece(piece);
        Some(Packed { first, last: u32::try_from(self.pieces.len()).ok()? })
    }

    /// Adds the bytes of a message as they were put.
    pub(super) fn get(&self, packed: Packed, raw: &mut Vec<u8>) {
        let pieces = Pieces(self.pieces.get(packed.first as usize..packed.last as usize).unwrap_or_default());
        for (begin, length) in pieces {
            raw.extend_from_slice(self.text.get(begin..begin + length).unwrap_or_default());
        }
    }

    /// Notes a piece of the text.
    fn piece(&mut self, piece: Range<usize>) {
        if piece.is_empty() {
            return;
        }
        if self.pieces.capacity() == 0 {
            self.pieces.reserve_exact(FEW);
        }
        for number in [piece.start, piece.len()] {
            let mut rest = number;
            while rest > 0x7f {
                self.pieces.push(0x80 | (rest & 0x7f) as u8);
                rest >>= 7;
            }
            self.pieces.push(rest as u8);
        }
    }

    /// Where in the text a line begins; it is put there if it is new. So many bytes of its message are behind it.
    fn line(&mut self, line: &[u8], behind: usize) -> usize {
        let places = self.places.get_or_insert_with(|| Box::new([0; PLACES]));
        let mut place = places.get_mut(print(line));
        let known = place.as_ref().and_then(|place| usize::from(**place).checked_sub(1));
        let known = known.filter(|begin| self.text.get(*begin..*begin + line.len()) == Some(line));
        known.unwrap_or_else(|| {
            let begin = self.text.len();
            if let (Some(place), Ok(begin)) = (&mut place, u16::try_from(begin + 1)) {
                **place = begin;
            }
            // All of the first message is new, and its answer says about as much.
            self.text.reserve(line.len() + if begin == 0 { 2 * behind } else { 0 });
            self.text.extend_from_slice(line);
            begin
        })
    }
}

/// Where each piece begins, and how long it is.
struct Pieces<'p>(&'p [u8]);

impl Iterator for Pieces<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        Some((self.number()?, self.number()?))
    }
}

impl Pieces<'_> {
    fn number(&mut self) -> Option<usize> {
        let mut number = 0;
        for shift in [0, 7, 14, 21, 28] {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= usize::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}

/// A print of a line: of its length, its beginning and its end.
fn print(line: &[u8]) -> usize {
    let word = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let (begin, end) = (word(line.first_chunk()), word(line.last_chunk()));
    let mixed = (begin ^ end.rotate_left(29) ^ line.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> (64 - PLACES.ilog2())).unwrap_or_default()
}

/// Most calls are short.
const FEW: usize = 128;
/// So many lines are found again.
const PLACES: usize = 256;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_said_before_takes_no_room() {
        let message = "INVITE sip:bob@192.0.2.2 SIP/2.0\r\nFrom: <sip:alice@192.0.2.1>;tag=a\r\n\r\nv=0\r\n";
        let mut pack = Pack::default();
        let (one, other) = (pack.put(message.as_bytes()), pack.put(message.as_bytes()));
        assert_eq!((pack.text.len(), pack.pieces.len()), (message.len(), 4));
        for packed in [one, other] {
            assert_eq!(unpacked(&pack, packed.unwrap()), message.as_bytes());
        }
    }

    fn unpacked(pack: &Pack, packed: Packed) -> Vec<u8> {
        let mut raw = Vec::new();
        pack.get(packed, &mut raw);
        raw
    }

    proptest! {
        #[test]
        fn every_message_comes_out_as_it_went_in(
            messages in proptest::collection::vec("((a|bb|c?)[\r ]?\n){0,9}[ab]{0,3}", 0..20)
        ) {
            let mut pack = Pack::default();
            let packed: Vec<_> = messages.iter().map(|text| pack.put(text.as_bytes()).unwrap()).collect();
            for (text, packed) in messages.iter().zip(packed) {
                prop_assert_eq!(&unpacked(&pack, packed), text.as_bytes());
                prop_assert_eq!(packed.is_empty(), text.is_empty());
            }
        }
    }
}
