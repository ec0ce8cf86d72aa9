//! Long texts as JSON strings: most of a report is messages as they were on the wire.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::{Serialize, Serializer};
use serde_json::ser::{CharEscape, Formatter};

/// A text to be written by [`Texts`]; shorter ones may be any string.
pub(super) struct Text<'t>(pub(super) Cow<'t, str>);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0.as_bytes())
    }
}

/// Writes JSON without white space, and bytes as the text that they are: eight at a time where nothing is to be escaped.
pub(super) struct Texts;

impl Formatter for Texts {
    fn write_byte_array<W: ?Sized + Write>(&mut self, out: &mut W, text: &[u8]) -> io::Result<()> {
        self.begin_string(out)?;
        let mut rest = text;
        while let Some((plain, behind)) = rest.split_at_checked(plain(rest)) {
            out.write_all(plain)?;
            rest = match behind {
                [] => break,
                [b'\r', b'\n', behind @ ..] => {
                    out.write_all(b"\\r\\n")?;
                    behind
                }
                [byte, behind @ ..] => {
                    self.write_char_escape(out, escape(*byte))?;
                    behind
                }
            };
        }
        self.end_string(out)
    }
}

/// How many bytes at the beginning need no escape (RFC 8259 §7).
fn plain(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let odd = odd(u64::from_le_bytes(*word));
        if odd != 0 {
            return index * 8 + (odd.trailing_zeros() / 8) as usize;
        }
    }
    let odd = |byte: &u8| *byte < b' ' || matches!(byte, b'"' | b'\\');
    words.len() * 8 + rest.iter().position(odd).unwrap_or(rest.len())
}

/// The high bit of each byte that needs an escape; above the lowest one it may be set for others as well.
const fn odd(word: u64) -> u64 {
    let controls = word.wrapping_sub(EACH * 0x20);
    let quotes = (word ^ (EACH * b'"' as u64)).wrapping_sub(EACH);
    let backslashes = (word ^ (EACH * b'\\' as u64)).wrapping_sub(EACH);
    (controls | quotes | backslashes) & !word & (EACH * 0x80)
}

fn escape(byte: u8) -> CharEscape {
    match byte {
        b'"' => CharEscape::Quote,
        b'\\' => CharEscape::ReverseSolidus,
        0x08 => CharEscape::Backspace,
        b'\t' => CharEscape::Tab,
        b'\n' => CharEscape::LineFeed,
        0x0c => CharEscape::FormFeed,
        b'\r' => CharEscape::CarriageReturn,
        byte => CharEscape::AsciiControl(byte),
    }
}

/// A one in each byte of a word.
const EACH: u64 = 0x0101_0101_0101_0101;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_is_written_as_any_string_is(text in "([ -~]{0,12}|\\PC|[\\x00-\\x1f\"\\\\\x7f]){0,20}") {
            let mut written = Vec::new();
            let mut serializer = serde_json::Serializer::with_formatter(&mut written, Texts);
            Text(text.as_str().into()).serialize(&mut serializer).unwrap();
            prop_assert_eq!(String::from_utf8(written).unwrap(), serde_json::to_string(&text).unwrap());
        }
    }
}
