//! Messages out of a byte stream. RFC 3261 §18.3, RFC 5626 §3.5.1.

mod listening;

pub use listening::looks_like_sip;

use crate::{Limit, Limits, ParseError, What};

/// Cuts a stream of bytes, such as a TCP connection, into messages.
///
/// Content-Length says how long a body is. Where a stream can no longer be cut, because a length cannot be
/// read or a header section does not end, the framer says so once and is [broken](Framer::is_broken): the
/// connection should be closed. A body that is too long is skipped, and the next message follows.
/// Somebody who only [listens](Framer::listening) cannot close anything: that framer goes on at the next start line.
///
/// ```
/// use midcall_wire::{Frame, Framer, Limits};
///
/// let mut framer = Framer::new(Limits::default());
/// framer.push(b"\r\n\r\nBYE sip:a@x.example SIP/2.0\r\nContent-Length: 2\r\n");
/// assert_eq!(framer.next(), Some(Ok(Frame::Ping)));
/// assert_eq!(framer.next(), None);
/// framer.push(b"\r\nhiBYE");
/// let Some(Ok(Frame::Message(bytes))) = framer.next() else { panic!("a whole message is there") };
/// assert!(bytes.ends_with(b"\r\n\r\nhi"));
/// assert_eq!(framer.next(), None);
/// ```
#[derive(Clone, Debug)]
pub struct Framer {
    limits: Limits,
    buffer: Vec<u8>,
    /// Bytes at the front of the buffer that are done with.
    taken: usize,
    /// How far the search for the blank line got.
    searched: usize,
    /// A single CRLF came last; another makes it a ping.
    half_ping: bool,
    state: State,
    /// Nobody can be told to close the connection: what makes no sense is passed over.
    listening: bool,
    /// The front of the buffer need not be the beginning of a line.
    torn: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    /// The header section is there; the message has this length.
    Body(usize),
    /// A body that is too long is thrown away as it comes.
    Skip(usize),
    Broken,
}

/// What a [`Framer`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A whole message, to be parsed.
    Message(Vec<u8>),
    /// A double CRLF: the peer asks whether we are there, and is owed a [`Frame::Pong`]. RFC 5626 §4.4.1.
    Ping,
    /// A single CRLF: the answer to our own double one.
    Pong,
}

impl Framer {
    /// A framer at the start of a stream.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer: Vec::new(),
            taken: 0,
            searched: 0,
            half_ping: false,
            state: State::Head,
            listening: false,
            torn: false,
        }
    }

    /// Takes in what was read. Call [`Framer::next`] until it gives `None` before the next push, and the
    /// buffer never holds more than one message and one push.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.taken > 0 {
            self.buffer.drain(..self.taken.min(self.buffer.len()));
            self.taken = 0;
        }
        if self.state != State::Broken {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Whether the stream can no longer be cut into messages. The connection should be closed.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    /// How many bytes wait for the rest of their message.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.rest().len()
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.taken..).unwrap_or_default()
    }

    /// Looks at what stands between messages, and then for the end of a header section.
    fn head(&mut self) -> Step {
        let rest = self.rest();
        if let [b'\r', b'\n', after @ ..] = rest {
            return match after {
                _ if self.half_ping => self.keep_alive(2, Frame::Ping, false),
                [b'\r', b'\n', ..] => self.keep_alive(4, Frame::Ping, false),
                [b'\r'] => Step::Wait,
                _ => self.keep_alive(2, Frame::Pong, true),
            };
        }
        if rest.is_empty() || rest == b"\r" {
            return Step::Wait;
        }
        self.half_ping = false;
        if self.listening && self.searched == 0 {
            match self.seek() {
                Step::Again => {}
                step => return step,
            }
        }
        let rest = self.rest();
        let from = self.searched.saturating_sub(3);
        let found = memchr::memmem::find(rest.get(from..).unwrap_or_default(), b"\r\n\r\n");
        let Some(found) = found else {
            self.searched = rest.len();
            if self.searched > self.limits.message {
                return self.broken(ParseError::new(self.limits.message, What::Limit(Limit::Message)));
            }
            return Step::Wait;
        };
        let head = from + found + 4;
        if head > self.limits.message {
            return self.broken(ParseError::new(self.limits.message, What::Limit(Limit::Message)));
        }
        self.searched = 0;
        match crate::message::body_length(self.rest().get(..head).unwrap_or_default()) {
            Err(_) if self.listening => self.unbounded(head),
            Err(error) => self.broken(error),
            Ok(body) => {
                let length = head.saturating_add(body);
                if length > self.limits.message {
                    self.state = State::Skip(length);
                    return Step::Out(Err(ParseError::new(self.limits.message, What::Limit(Limit::Message))));
                }
                self.state = State::Body(length);
                Step::Again
            }
        }
    }

    fn keep_alive(&mut self, bytes: usize, frame: Frame, half_ping: bool) -> Step {
        self.taken += bytes;
        self.half_ping = half_ping;
        Step::Out(Ok(frame))
    }

    fn body(&mut self, length: usize) -> Step {
        let Some(message) = self.rest().get(..length) else { return Step::Wait };
        let message = message.to_vec();
        self.taken += length;
        self.state = State::Head;
        Step::Out(Ok(Frame::Message(message)))
    }

    fn skip(&mut self, length: usize) -> Step {
        let dropped = length.min(self.rest().len());
        self.taken += dropped;
        if dropped < length {
            self.state = State::Skip(length - dropped);
            return Step::Wait;
        }
        self.state = State::Head;
        Step::Again
    }

    fn broken(&mut self, error: ParseError) -> Step {
        self.searched = 0;
        self.torn = true;
        self.state = if self.listening { State::Head } else { State::Broken };
        self.buffer = Vec::new();
        self.taken = 0;
        Step::Out(Err(error))
    }
}

impl Iterator for Framer {
    type Item = Result<Frame, ParseError>;

    /// The next message or keep-alive; `None` until more bytes are pushed.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let step = match self.state {
                State::Head => self.head(),
                State::Body(length) => self.body(length),
                State::Skip(length) => self.skip(length),
                State::Broken => Step::Wait,
            };
            match step {
                Step::Again => {}
                Step::Wait => return None,
                Step::Out(out) => return Some(out),
            }
        }
    }
}

enum Step {
    Again,
    Wait,
    Out(Result<Frame, ParseError>),
}
