//! Messages without ends of lines, as ngrep writes them unless it is told otherwise: a dot for each byte that cannot be
//! printed, all of it on one line or wrapped to the width of the terminal behind two spaces.
//!
//! A dot may be a dot. Two of them end a line where a header or a line of the body follows; Content-Length, which counts
//! bytes and so dots, says where the body begins.

use memchr::memmem;

use super::lines::End;
use super::message::{LONGEST, is_header, is_start};

/// Lines that were wrapped, as far as they have come.
#[derive(Default)]
pub(super) struct Wrapped {
    text: Vec<u8>,
    number: u64,
}

impl Wrapped {
    /// Takes a line, if it may be the first of a message that was wrapped or goes on with one.
    pub(super) fn take(&mut self, line: &[u8], number: u64, expected: bool) -> bool {
        let Some(text) = line.strip_prefix(INDENT).filter(|text| !text.is_empty()) else { return false };
        if self.text.is_empty() {
            let whole = memmem::find(text, b"..").is_none() && is_start(text);
            if !expected || !begins(text) || whole {
                return false;
            }
            self.number = number;
        }
        let room = LONGEST.saturating_sub(self.text.len());
        self.text.extend_from_slice(text.get(..text.len().min(room)).unwrap_or_default());
        true
    }

    /// The message on one line, and the number of its first.
    pub(super) fn done(&mut self) -> Option<(Vec<u8>, u64)> {
        (!self.text.is_empty()).then(|| (std::mem::take(&mut self.text), self.number))
    }
}

/// Whether a message may begin here that was wrapped anywhere.
fn begins(text: &[u8]) -> bool {
    let word = text.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    text.starts_with(b"SIP/2.0 ") || word > 2 && text.get(word) == Some(&b' ')
}

/// Whether a whole message stands on this line.
pub(super) fn is_run_on(line: &[u8]) -> bool {
    let Some(end) = memmem::find(line, b"..") else { return false };
    let first = line.get(..end).unwrap_or_default();
    is_start(first) && names(line.get(end + 2..).unwrap_or_default())
}

/// Whether a header begins here, not the rest of one.
fn names(text: &[u8]) -> bool {
    let dots = memmem::find(text, b"..").unwrap_or(text.len());
    is_header(text.get(..dots).unwrap_or_default())
}

/// The lines of a message that stands on one.
pub(super) fn unwrapped(line: &[u8]) -> Vec<(&[u8], End)> {
    let text = line.trim_ascii_end();
    let header = header(text);
    let mut lines = Vec::new();
    split(text.get(..header + 2).unwrap_or(text), b"..", names, &mut lines);
    let Some(body) = text.get(header..).filter(|body| !body.is_empty()) else { return lines };
    lines.push((b"", End::CrLf));
    let body = body.get(BLANK.len()..).unwrap_or_default();
    let described = |text: &[u8]| matches!(text, [b'a'..=b'z', b'=', ..]);
    if !described(body) {
        split(body, b"..", |_| true, &mut lines);
    } else if memmem::find(body, b"..").is_some() {
        split(body, b"..", described, &mut lines);
    } else {
        split(body, b".", described, &mut lines);
    }
    lines
}

/// Where the header ends.
fn header(text: &[u8]) -> usize {
    let seen = || {
        let at = memmem::find(text, BLANK)?;
        // Dots more than these end the value before them.
        let more = text.get(at + BLANK.len()..)?.iter().take_while(|byte| **byte == b'.').count();
        Some(at + more)
    };
    told(text).or_else(seen).unwrap_or(text.len())
}

/// Where the header ends by what Content-Length says. Bodies may hold one, too.
fn told(text: &[u8]) -> Option<usize> {
    LENGTHS.iter().find_map(|name| {
        let values = memmem::find_iter(text, name).map(|at| at + name.len()).take(MOST_LENGTHS);
        values.into_iter().find_map(|at| {
            let value = text.get(at..)?.trim_ascii_start();
            let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let length = usize::try_from(super::scan::number(value.get(..digits)?)?).ok()?;
            let end = text.len().checked_sub(length)?.checked_sub(BLANK.len())?;
            (end >= at && text.get(end..)?.starts_with(BLANK)).then_some(end)
        })
    })
}

/// Cuts a text where this stands for the end of a line and what follows begins another.
fn split<'t>(
    text: &'t [u8],
    mark: &'static [u8],
    begins: impl Fn(&[u8]) -> bool,
    lines: &mut Vec<(&'t [u8], End)>,
) {
    let end = if mark.len() == 1 { End::Lf } else { End::CrLf };
    let (mut begin, mut from) = (0, 0);
    while let Some(at) = memmem::find(text.get(from..).unwrap_or_default(), mark) {
        // The last of several dots are the end, the others part of the line.
        let mut at = from + at;
        while text.get(at + 1..).is_some_and(|rest| rest.starts_with(mark)) {
            at += 1;
        }
        from = at + mark.len();
        let next = text.get(from..).unwrap_or_default();
        if next.is_empty() || begins(next) {
            lines.push((text.get(begin..at).unwrap_or_default(), end));
            begin = from;
        }
    }
    if begin < text.len() {
        let last = if mark.len() == 1 { End::Missing } else { end };
        lines.push((text.get(begin..).unwrap_or_default(), last));
    }
}

/// What ngrep writes before each line that it wraps.
const INDENT: &[u8] = b"  ";
/// The end of the header.
const BLANK: &[u8] = b"....";
/// Content-Length behind the end of a line, and its short form.
const LENGTHS: [&[u8]; 2] = [b"..Content-Length:", b"..l:"];
/// So many of them are looked at.
const MOST_LENGTHS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> Vec<String> {
        let lines = unwrapped(line.as_bytes());
        lines.into_iter().map(|(text, _)| String::from_utf8_lossy(text).into_owned()).collect()
    }

    #[test]
    fn dots_that_were_dots_stay() {
        let text = "BYE sip:b@c SIP/2.0..Subject: well... yes...Call-ID: a..b..Content-Length: 0....";
        assert_eq!(
            told(text),
            ["BYE sip:b@c SIP/2.0", "Subject: well... yes.", "Call-ID: a..b", "Content-Length: 0", ""]
        );
        let text = "BYE sip:b@c SIP/2.0..Reason: x....Content-Length: 4....a..b";
        assert_eq!(told(text), ["BYE sip:b@c SIP/2.0", "Reason: x..", "Content-Length: 4", "", "a", "b"]);
        let text = "BYE sip:b@c SIP/2.0..Content-Length: 1..Reason: x......a";
        assert_eq!(told(text), ["BYE sip:b@c SIP/2.0", "Content-Length: 1", "Reason: x..", "", "a"]);
    }

    #[test]
    fn a_body_with_bare_line_feeds_keeps_them() {
        let text = "INFO sip:b@c SIP/2.0..Content-Length: 15....v=0.s=-.a=x.y.";
        let lines = unwrapped(text.as_bytes());
        assert_eq!(lines.last(), Some(&(&b"a=x.y"[..], End::Lf)));
        assert_eq!(told(text), ["INFO sip:b@c SIP/2.0", "Content-Length: 15", "", "v=0", "s=-", "a=x.y"]);
    }

    #[test]
    fn a_body_may_look_like_a_header() {
        let text = "NOTIFY sip:b@c SIP/2.0..Content-Length: 32....SIP/2.0 200 OK..Content-Length: 0";
        assert_eq!(
            told(text),
            ["NOTIFY sip:b@c SIP/2.0", "Content-Length: 32", "", "SIP/2.0 200 OK", "Content-Length: 0"]
        );
    }

    #[test]
    fn a_line_of_dots_takes_no_longer_than_another() {
        let line =
            ["SIP/2.0 200 OK..A: ".to_owned(), "..Content-Length: 9".repeat(2_000), ".".repeat(1 << 15)]
                .concat();
        let began = std::time::Instant::now();
        for _ in 0..20 {
            assert!(unwrapped(line.as_bytes()).len() > 1_000);
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(2), "{:?}", began.elapsed());
    }

    #[test]
    fn only_a_message_is_one() {
        assert!(is_run_on(b"SIP/2.0 200 OK..Via: x...."));
        for none in ["SIP/2.0 200 OK", "and so on.. Via: x", "SIP/2.0 200 OK.. and so on"] {
            assert!(!is_run_on(none.as_bytes()), "{none}");
        }
        let mut wrapped = Wrapped::default();
        assert!(!wrapped.take(b"  INVITE sip:bob@192.0.2.1", 1, false));
        assert!(!wrapped.take(b"  a line of a log", 1, true));
        assert!(!wrapped.take(b"  BYE sip:b@c SIP/2.0", 1, true), "lines of its own");
        assert!(wrapped.take(b"  BYE sip:b@", 1, true) && wrapped.take(b"  c SIP/2.0..Via", 2, false));
        assert!(!wrapped.take(b"", 3, false));
        assert_eq!(wrapped.done(), Some((b"BYE sip:b@c SIP/2.0..Via".to_vec(), 1)));
        assert_eq!(wrapped.done(), None);
    }
}
