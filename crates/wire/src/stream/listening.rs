//! Framing for somebody who only listens: from the middle of a stream, past holes and nonsense.

use super::{Frame, Framer, State, Step};
use crate::{Limits, Method};

impl Framer {
    /// A framer for a stream that somebody else receives, such as one in a capture.
    ///
    /// It may begin anywhere in the stream and is never [broken](Framer::is_broken): what makes no sense is passed over
    /// up to the next start line. A message whose length cannot be read ends with the next start line, or with what was
    /// pushed so far.
    ///
    /// ```
    /// use midcall_wire::{Frame, Framer, Limits};
    ///
    /// let mut framer = Framer::listening(Limits::default());
    /// framer.push(b"gest\r\n\r\nBYE sip:a@x.example SIP/2.0\r\nContent-Length: 40\r\n\r\nthe begin");
    /// assert_eq!(framer.next(), None);
    /// let cut = framer.gap(31).unwrap();
    /// assert!(cut.starts_with(b"BYE") && cut.ends_with(b"the begin"));
    /// framer.push(b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n");
    /// assert!(matches!(framer.next(), Some(Ok(Frame::Message(_)))));
    /// ```
    #[must_use]
    pub const fn listening(limits: Limits) -> Self {
        let mut framer = Self::new(limits);
        framer.listening = true;
        framer.torn = true;
        framer
    }

    /// So many bytes are missing at this point of the stream. Gives what there is of the message they tear apart.
    pub fn gap(&mut self, missing: usize) -> Option<Vec<u8>> {
        let whole = match self.state {
            State::Body(length) => length.saturating_sub(self.rest().len()),
            State::Skip(length) => length,
            State::Head | State::Broken => 0,
        };
        let part = self.finish();
        if missing <= whole {
            self.state = State::Skip(whole - missing);
            self.torn = false;
        }
        part
    }

    /// The stream ends here. Gives what there is of a message that has not come to its end.
    pub fn finish(&mut self) -> Option<Vec<u8>> {
        let begun = match self.state {
            State::Body(_) => true,
            State::Head => begins(self.rest(), false) == Begins::Yes,
            State::Skip(_) | State::Broken => false,
        };
        let part = begun.then(|| self.rest().to_vec());
        self.buffer = Vec::new();
        (self.taken, self.searched, self.half_ping) = (0, 0, false);
        (self.torn, self.state) = (true, State::Head);
        part
    }

    /// Passes over everything before the next start line.
    pub(super) fn seek(&mut self) -> Step {
        let rest = self.rest();
        match begins(rest, self.torn) {
            Begins::Yes => {
                self.torn = false;
                return Step::Again;
            }
            Begins::Perhaps if rest.len() <= self.limits.message => return Step::Wait,
            Begins::Perhaps | Begins::No => {}
        }
        let (passed, found) = search(rest);
        self.taken += passed;
        if found { Step::Again } else { Step::Wait }
    }

    /// A message whose header section ends here, and whose body ends nobody knows where.
    pub(super) fn unbounded(&mut self, head: usize) -> Step {
        let rest = self.rest();
        let body = rest.get(head..).unwrap_or_default();
        let length = match search(body) {
            (at, true) => head + at,
            _ => rest.len(),
        };
        let message = rest.get(..length).unwrap_or_default().to_vec();
        self.taken += length;
        self.torn = true;
        Step::Out(Ok(Frame::Message(message)))
    }
}

/// Whether bytes begin as a SIP message does: with a request line or a status line, after line ends if any. Cheap, for
/// telling SIP from everything else that travels.
#[must_use]
pub fn looks_like_sip(bytes: &[u8]) -> bool {
    let Some(start) = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n' | b' ' | b'\t')) else {
        return false;
    };
    let bytes = bytes.get(start..).unwrap_or_default();
    match begins(bytes, false) {
        Begins::Yes => true,
        Begins::No => false,
        // Cut off within its first line.
        Begins::Perhaps => known_method(bytes),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Begins {
    Yes,
    Perhaps,
    No,
}

/// Whether a message begins here. What is torn may begin in the middle of a line, so its method must be a known one.
fn begins(bytes: &[u8], torn: bool) -> Begins {
    if bytes.get(..VERSION.len()).is_some_and(|word| word.eq_ignore_ascii_case(VERSION)) {
        return if bytes.get(VERSION.len()).is_none_or(|next| *next == b' ') {
            Begins::Yes
        } else {
            Begins::No
        };
    }
    if bytes.is_empty() || VERSION.starts_with(bytes) {
        return Begins::Perhaps;
    }
    let method = bytes.iter().take(MAX_METHOD).position(|byte| !is_token(*byte));
    let rest = match method {
        Some(0) => return Begins::No,
        Some(end) => match bytes.get(end..).unwrap_or_default() {
            [b' ', rest @ ..] => rest,
            _ => return Begins::No,
        },
        None if bytes.len() < MAX_METHOD => return Begins::Perhaps,
        None => return Begins::No,
    };
    if torn && !known_method(bytes) {
        return Begins::No;
    }
    let window = rest.get(..MAX_LINE).unwrap_or(rest);
    match memchr::memchr(b'\n', window) {
        Some(end) => {
            let line = window.get(..end).unwrap_or_default().trim_ascii_end();
            let version = memchr::memrchr(b' ', line).and_then(|space| line.get(space + 1..space + 5));
            let fits = version.is_some_and(|version| version.eq_ignore_ascii_case(b"SIP/"));
            if fits { Begins::Yes } else { Begins::No }
        }
        None if window.len() < MAX_LINE => Begins::Perhaps,
        None => Begins::No,
    }
}

/// How far there is nothing that may be a start line, and whether there is one then.
fn search(bytes: &[u8]) -> (usize, bool) {
    let mut from = 0;
    while let Some(found) = memchr::memmem::find(bytes.get(from..).unwrap_or_default(), VERSION) {
        let found = from + found;
        if let Some(start) = start_of(bytes, found) {
            match has_header(bytes.get(start..).unwrap_or_default()) {
                Begins::Yes => return (start, true),
                Begins::Perhaps => return (start, false),
                Begins::No => {}
            }
        }
        from = found + VERSION.len();
    }
    // A start line may have begun in the last line.
    let last = memchr::memrchr(b'\n', bytes).map_or(0, |end| end + 1);
    (last.max(bytes.len().saturating_sub(MAX_LINE)), false)
}

/// Where the start line begins that has its version here. A body that is over need not have ended its last line.
fn start_of(bytes: &[u8], version: usize) -> Option<usize> {
    let here = bytes.get(version..)?;
    if let [b' ', code @ ..] = here.get(VERSION.len()..)? {
        return code.get(..3).is_none_or(|code| code.iter().all(u8::is_ascii_digit)).then_some(version);
    }
    let from = memchr::memrchr(b'\n', bytes.get(..version)?).map_or(0, |end| end + 1);
    let fits = |at: usize| begins(bytes.get(at..).unwrap_or_default(), true) == Begins::Yes;
    if fits(from) {
        return Some(from);
    }
    let line = bytes.get(from..version)?;
    let glued = Method::ALL.iter().filter_map(|method| {
        let at = memchr::memmem::rfind(line, method.as_str().as_bytes())?;
        fits(from + at).then_some(from + at)
    });
    glued.min()
}

/// Whether a header follows the first line: inside of a body, a piece of another message can be quoted.
fn has_header(message: &[u8]) -> Begins {
    let Some(end) = memchr::memchr(b'\n', message) else { return Begins::Perhaps };
    let line = message.get(end + 1..).unwrap_or_default();
    let line = line.get(..MAX_LINE).unwrap_or(line);
    let Some(name) = line.iter().position(|byte| !is_token(*byte)) else {
        return if line.len() < MAX_LINE { Begins::Perhaps } else { Begins::No };
    };
    let after = line.get(name..).unwrap_or_default().trim_ascii_start();
    match after.first() {
        None if line.len() < MAX_LINE => Begins::Perhaps,
        None => Begins::No,
        Some(b':') if name > 0 => Begins::Yes,
        Some(_) => Begins::No,
    }
}

fn known_method(bytes: &[u8]) -> bool {
    let end = bytes.iter().take(MAX_METHOD).position(|byte| *byte == b' ');
    let Some(end) = end else { return false };
    let (method, rest) = bytes.split_at_checked(end).unwrap_or_default();
    Method::ALL.iter().any(|known| known.as_str().as_bytes() == method)
        && rest.get(1..).unwrap_or_default().iter().take(MAX_METHOD).any(|byte| *byte == b':')
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

const VERSION: &[u8] = b"SIP/2.0";
const MAX_METHOD: usize = 32;
/// Of a request line that is looked for.
const MAX_LINE: usize = 4 * 1024;
