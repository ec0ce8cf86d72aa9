//! Lines that are not as they were logged: colours, ends of lines spelled out, whole messages on one line.

use std::borrow::Cow;

use memchr::memmem;

use super::lines::End;

/// A line without what colours it (ECMA-48 control sequences) and without a byte order mark.
pub(super) fn plain(line: &[u8]) -> Cow<'_, [u8]> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    if memchr::memchr(0x1b, line).is_none() {
        return Cow::Borrowed(line);
    }
    let mut text = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = memchr::memchr(0x1b, rest) {
        text.extend_from_slice(rest.get(..at).unwrap_or_default());
        rest = rest.get(at + 1..).unwrap_or_default();
        if let Some(sequence) = rest.strip_prefix(b"[") {
            let length = sequence.iter().take_while(|byte| (0x20..0x40).contains(*byte)).count();
            rest = sequence.get(length + 1..).unwrap_or_default();
        }
    }
    text.extend_from_slice(rest);
    Cow::Owned(text)
}

/// A line that ends in the name of its end: `^M`, `<CR>`, `<CR><LF>`.
pub(super) fn spelled_end(line: &[u8], end: End) -> (&[u8], End) {
    if !matches!(line.last(), Some(b'M' | b'>')) {
        return (line, end);
    }
    for name in [&b"^M"[..], b"<CR><LF>", b"<CR>"] {
        if let Some(line) = line.strip_suffix(name) {
            return (line, End::CrLf);
        }
    }
    (line, end)
}

/// The ends of lines within a line, as syslog daemons, dumps and JSON write them: what the text is and what each end of a
/// line is called. `None` where there is no message on one line.
pub(super) fn folded(line: &[u8]) -> Option<&'static [u8]> {
    if line.len() < SHORTEST {
        return None;
    }
    let name = NAMES.into_iter().find(|name| memmem::find(line, name).is_some())?;
    // One of them may stand in any text.
    (memmem::find_iter(line, name).take(3).count() == 3).then_some(name)
}

/// The lines that stand on one line, each with its end.
pub(super) fn unfolded<'l>(line: &'l [u8], name: &'static [u8]) -> impl Iterator<Item = (&'l [u8], End)> {
    let end = if name == NAMES[0] { End::Lf } else { End::CrLf };
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(at) = memmem::find(text, name) else {
            rest = None;
            return Some((text, End::Missing));
        };
        let line = text.get(..at).unwrap_or_default();
        rest = text.get(at + name.len()..);
        match line.strip_suffix(b"#015").or_else(|| line.strip_suffix(b"#015 ")) {
            Some(line) => Some((line, End::CrLf)),
            None => Some((line, end)),
        }
    })
}

/// No shorter line holds several of a message, next to what the log writes itself.
const SHORTEST: usize = 64;
/// How LF, or CRLF, is spelled.
const NAMES: [&[u8]; 4] = [b"#012", b"<CR><LF>", b"\\r\\n", b"^M^J"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_marks_vanish() {
        for text in
            ["\u{feff}BYE", "\x1b[36;1mBYE\x1b[;m", "\x1b[0mB\x1b[KYE", "BYE\x1b", "BYE\x1b[", "BYE\x1b[1"]
        {
            assert_eq!(plain(text.as_bytes()).as_ref(), b"BYE", "{text:?}");
        }
    }

    #[test]
    fn messages_on_one_line_get_their_lines_back() {
        let lines = |text: &'static str| {
            let padded = [text, &" ".repeat(SHORTEST)].concat();
            let name = folded(padded.as_bytes())?;
            Some(unfolded(text.as_bytes(), name).collect::<Vec<_>>())
        };
        let three = |end| vec![(&b"a"[..], end), (b"b", end), (b"", end), (b"", End::Missing)];
        assert_eq!(lines("a#012b#012#012"), Some(three(End::Lf)));
        assert_eq!(lines("a#015#012b#015#012#015#012"), Some(three(End::CrLf)));
        assert_eq!(lines("a<CR><LF>b<CR><LF><CR><LF>"), Some(three(End::CrLf)));
        assert_eq!(lines("a\\r\\nb\\r\\n\\r\\n"), Some(three(End::CrLf)));
        assert_eq!(lines("a #012 and no more"), None);
    }
}
