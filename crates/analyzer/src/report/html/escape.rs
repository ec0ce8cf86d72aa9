//! Text from a trace, made harmless: whatever it holds is shown, nothing of it is obeyed.

use std::fmt::{self, Write as _};

/// Text as the content of an element or of a quoted attribute.
///
/// Control characters are shown as pictures and those that turn the direction of writing by their numbers, so that a
/// capture can neither end its element nor show another order than it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Esc<'a>(pub(super) &'a str);

impl fmt::Display for Esc<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\r' => {}
                '\n' | '\t' => f.write_char(letter)?,
                '\0'..='\u{1f}' => f.write_char(char::from_u32(0x2400 + u32::from(letter)).unwrap_or('?'))?,
                '\u{7f}'..='\u{9f}' => write!(f, "\u{27e8}{:02X}\u{27e9}", u32::from(letter))?,
                '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}'
                | '\u{61c}'
                | '\u{feff}' => write!(f, "\u{27e8}{:04X}\u{27e9}", u32::from(letter))?,
                _ => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

/// Bytes of a message as text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Esc(&String::from_utf8_lossy(self.0)).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_trace_is_obeyed() {
        let hostile = "</pre><script>alert('1')</script> \"x\" & \0\u{1b}[31m \u{202e}evil";
        let told = Esc(hostile).to_string();
        assert_eq!(
            told,
            "&lt;/pre&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &quot;x&quot; &amp; \u{2400}\u{241b}[31m ⟨202E⟩evil"
        );
        assert_eq!(Bytes(b"a\r\nb\xff").to_string(), "a\nb\u{fffd}");
    }
}
