//! What a pager, grep, syslog or a container's log puts before every line.
//!
//! It is learned where a message begins: whatever stands before its first line, if the same stands before its second.
//! Numbers and names of months in it may change, a `-` may stand for the `:` of another line, as grep writes them.

use super::message::{is_header, is_start};

/// The shape of a prefix.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Prefix(Vec<Part>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Digits,
    Spaces,
    /// The name of a month or a day.
    Name,
    /// `:` or `-`.
    Separator,
    Byte(u8),
}

impl Prefix {
    /// The shape of what stands before the first line of a message in this line; `None` if nothing does, or spaces alone.
    pub(super) fn before_start(line: &[u8]) -> Option<Self> {
        let line = line.trim_ascii_end();
        let at = start_within(line)?;
        let prefix = line.get(..at)?;
        // More than one space is how the log sets the message off from its head.
        let bare = prefix.trim_ascii_end();
        let prefix = if prefix.len() > bare.len() + 1 { bare } else { prefix };
        let known = !prefix.trim_ascii().is_empty() && prefix.len() <= LONGEST;
        known.then(|| Self::of(prefix))
    }

    fn of(text: &[u8]) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((first, behind)) = rest.split_first() {
            let run = |is: fn(&u8) -> bool| rest.iter().take_while(|byte| is(byte)).count();
            let (part, length) = match first {
                b'0'..=b'9' => (Part::Digits, run(u8::is_ascii_digit)),
                b' ' | b'\t' => (Part::Spaces, run(|byte| b" \t".contains(byte))),
                b':' | b'-' => (Part::Separator, 1),
                _ if rest.get(..3).is_some_and(is_name) => (Part::Name, 3),
                byte => (Part::Byte(*byte), 1),
            };
            parts.push(part);
            rest = rest.get(length..).unwrap_or(behind);
        }
        Self(parts)
    }

    /// A line without the prefix; `None` if it has none.
    pub(super) fn strip<'l>(&self, line: &'l [u8]) -> Option<&'l [u8]> {
        let mut rest = line;
        for (nth, part) in self.0.iter().enumerate() {
            let run = |is: fn(&u8) -> bool| rest.iter().take_while(|byte| is(byte)).count();
            let length = match part {
                Part::Digits => run(u8::is_ascii_digit),
                // An empty line often lost them.
                Part::Spaces if rest.is_empty() && nth + 1 == self.0.len() => return Some(rest),
                // Those of the message are its own.
                Part::Spaces if nth + 1 == self.0.len() => {
                    usize::from(rest.starts_with(b" ") || rest.starts_with(b"\t"))
                }
                Part::Spaces => run(|byte| b" \t".contains(byte)),
                Part::Name => 3 * usize::from(rest.get(..3).is_some_and(is_name)),
                Part::Separator => usize::from(rest.starts_with(b":") || rest.starts_with(b"-")),
                Part::Byte(byte) => usize::from(rest.first() == Some(byte)),
            };
            if length == 0 {
                return None;
            }
            rest = rest.get(length..)?;
        }
        Some(rest)
    }

    /// Whether a line is the second of a message behind this prefix.
    pub(super) fn proved_by(&self, line: &[u8]) -> bool {
        self.strip(line).is_some_and(|line| is_header(line.trim_ascii_start()))
    }
}

/// Where in a line a message begins, behind something else.
fn start_within(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b".").unwrap_or(line);
    let at = match line.strip_suffix(b" SIP/2.0") {
        Some(request) => {
            let uri = memchr::memrchr(b' ', request)?;
            let method = request.get(..uri)?.iter().rposition(|byte| !byte.is_ascii_uppercase())?;
            method + 1
        }
        None => memchr::memmem::find(line, b"SIP/2.0 ")?,
    };
    (at > 0 && is_start(line.get(at..)?)).then_some(at)
}

fn is_name(text: &[u8]) -> bool {
    NAMES.iter().any(|name| name == &text)
}

const LONGEST: usize = 160;
const NAMES: [&[u8]; 19] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec", b"Mon",
    b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_of_all_kinds_are_learned_and_taken_away() {
        for (prefix, next) in [
            ("trace.log:", "trace.log:"),
            ("trace.log-12-", "trace.log:13:"),
            ("7:", "8-"),
            ("> ", "> "),
            ("sbc_1  | ", "sbc_1  | "),
            ("Oct 31 23:59:59 host app[12]: ", "Nov  1 00:00:00 host app[12]: "),
            ("2026-10-30T12:00:00.123456789Z ", "2026-10-30T12:00:01.000000000Z "),
        ] {
            for start in ["BYE sip:bob@192.0.2.1 SIP/2.0", "SIP/2.0 200 OK", "BYE sip:bob@192.0.2.1 SIP/2.0."]
            {
                let learned = Prefix::before_start(format!("{prefix}{start}").as_bytes()).unwrap();
                let line = format!("{next}Via: x");
                assert!(learned.proved_by(line.as_bytes()), "{prefix}");
                assert_eq!(learned.strip(line.as_bytes()), Some(&b"Via: x"[..]), "{prefix}");
                assert_eq!(learned.strip(next.trim_end().as_bytes()), Some(&b""[..]), "{prefix}");
            }
        }
    }

    #[test]
    fn what_is_no_prefix_is_left() {
        for line in
            ["BYE sip:bob@192.0.2.1 SIP/2.0", "   SIP/2.0 200 OK", "", "no SIP/2.0", "SIP/2.0 SIP/2.0"]
        {
            assert_eq!(Prefix::before_start(line.as_bytes()), None, "{line}");
        }
    }
}
