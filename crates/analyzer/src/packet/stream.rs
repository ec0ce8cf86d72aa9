//! A stream of bytes, told by its content: SIP, WebSocket after an HTTP upgrade or without one, TLS with any of them inside.

use std::net::SocketAddr;

use midcall_proto::flow::Transport;
use midcall_wire::{Frame, Framer, Limits, looks_like_sip};

use super::tls::{self, Keys, Session};
use super::websocket::{self, Found, WebSocket};
use super::{Out, Reason, Seen};

/// What one direction of a connection gives, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event<'a> {
    /// The next bytes.
    Data(Seen, &'a [u8]),
    /// So many bytes are not in the capture; `usize::MAX` if nobody knows how many.
    Hole(usize),
    /// The sender is done.
    End,
}

/// Where what a stream says goes, and what its connection knows.
#[derive(Debug)]
pub(super) struct Path<'a> {
    /// Who sends, and to whom.
    pub(super) ends: (SocketAddr, SocketAddr),
    pub(super) out: &'a mut Out,
    pub(super) keys: &'a Keys,
    /// The TLS session that both directions share.
    pub(super) session: &'a mut Option<Box<Session>>,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Stream {
    state: State,
    /// It is inside of TLS.
    secure: bool,
    /// Its beginning was captured.
    whole: bool,
    ended: bool,
    last: Option<Seen>,
}

#[derive(Debug)]
enum State {
    /// What came so far does not tell what it is.
    New(Vec<u8>),
    Sip(Framer),
    /// The head of an HTTP message, which may lead to WebSocket.
    Http(Vec<u8>),
    WebSocket(Box<WebSocket>),
    Tls(Box<tls::Half>),
    /// It is none of our business.
    Ignored,
}

impl Default for State {
    fn default() -> Self {
        Self::New(Vec::new())
    }
}

impl Stream {
    /// A stream inside of TLS.
    pub(super) fn secure() -> Self {
        Self { secure: true, ..Self::default() }
    }

    pub(super) fn is_ignored(&self) -> bool {
        matches!(self.state, State::Ignored)
    }

    /// Whether something may still come that is worth reading.
    pub(super) fn is_open(&self) -> bool {
        !self.ended && !matches!(&self.state, State::Ignored | State::New(_))
    }

    /// Bytes that wait for more.
    pub(super) fn held(&self) -> usize {
        match &self.state {
            State::New(buffer) | State::Http(buffer) => buffer.len(),
            State::Sip(framer) => framer.buffered(),
            State::WebSocket(socket) => socket.held(),
            State::Tls(half) => half.held(),
            State::Ignored => 0,
        }
    }

    /// Its first byte was the first of the connection.
    pub(super) fn begins(&mut self) {
        self.whole = true;
    }

    pub(super) fn event(&mut self, event: Event<'_>, path: &mut Path<'_>) {
        match event {
            Event::Data(seen, bytes) => self.data(seen, bytes, path),
            Event::Hole(missing) => self.hole(missing, path),
            Event::End => self.end(path),
        }
    }

    /// The other direction has said something that this one may have waited for.
    pub(super) fn retry(&mut self, path: &mut Path<'_>) {
        if let (State::Tls(_), Some(seen)) = (&self.state, self.last) {
            self.data(seen, &[], path);
        }
    }

    pub(super) fn data(&mut self, seen: Seen, bytes: &[u8], path: &mut Path<'_>) {
        self.last = Some(seen);
        match &mut self.state {
            State::New(buffer) if buffer.is_empty() => self.tell(seen, bytes, path),
            State::New(buffer) => {
                buffer.extend_from_slice(bytes);
                let buffer = std::mem::take(buffer);
                self.tell(seen, &buffer, path);
            }
            State::Http(head) => {
                head.extend_from_slice(bytes);
                let head = std::mem::take(head);
                self.http(seen, &head, path);
            }
            State::Sip(framer) => {
                framer.push(bytes);
                let transport = if self.secure { Transport::Tls } else { Transport::Tcp };
                for frame in framer.by_ref() {
                    match frame {
                        Ok(Frame::Message(message)) => {
                            path.out.sip(seen, path.ends, transport, message, false);
                        }
                        Ok(Frame::Ping | Frame::Pong) => path.out.counts.add(Reason::KeepAlive),
                        Err(_) => path.out.counts.add(Reason::Overlong),
                    }
                }
            }
            State::WebSocket(socket) => {
                let transport = if self.secure { Transport::Wss } else { Transport::Ws };
                socket.push(bytes, &mut |found| match found {
                    Found::Message(message) if looks_like_sip(&message) => {
                        path.out.sip(seen, path.ends, transport, message, false);
                    }
                    Found::Message(message) if message.trim_ascii().is_empty() => {
                        path.out.counts.add(Reason::KeepAlive);
                    }
                    Found::Message(_) => path.out.counts.add(Reason::WebSocket),
                    Found::Control => path.out.counts.add(Reason::KeepAlive),
                    Found::Deflated => path.out.counts.add(Reason::Deflated),
                    Found::Overlong => path.out.counts.add(Reason::Overlong),
                });
            }
            State::Tls(half) => {
                if !half.data(seen, bytes, path) {
                    self.state = State::Ignored;
                }
            }
            State::Ignored => {}
        }
    }

    /// Looks at what came so far.
    fn tell(&mut self, seen: Seen, bytes: &[u8], path: &mut Path<'_>) {
        let start =
            bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n' | b'\0')).unwrap_or(bytes.len());
        let text = bytes.get(start..).unwrap_or_default();
        if text.is_empty() {
            if !bytes.is_empty() {
                path.out.counts.add(Reason::KeepAlive);
            }
            return;
        }
        let next = if looks_like_sip(text) {
            Some(State::Sip(Framer::listening(Limits::default())))
        } else if !self.secure && tls::begins(bytes) {
            Some(State::Tls(Box::default()))
        } else if text.starts_with(b"GET ") || text.starts_with(b"HTTP/1.1 ") {
            Some(State::Http(Vec::new()))
        } else if websocket::begins(bytes) {
            Some(State::WebSocket(Box::default()))
        } else if memchr::memmem::find(bytes, b"SIP/2.0").is_some() {
            // It begins within a message.
            Some(State::Sip(Framer::listening(Limits::default())))
        } else {
            None
        };
        if let Some(next) = next {
            self.state = next;
            return self.data(seen, bytes, path);
        }
        let patience = if self.whole { PATIENCE } else { PATIENCE_WITHIN };
        let binary = text.len() >= TELLING && text.first().is_some_and(|byte| !byte.is_ascii_graphic());
        if bytes.len() >= patience || self.whole && binary {
            path.out.counts.add(Reason::Connection);
            self.state = State::Ignored;
        } else {
            self.state = State::New(bytes.to_vec());
        }
    }

    fn http(&mut self, seen: Seen, head: &[u8], path: &mut Path<'_>) {
        let Some(end) = memchr::memmem::find(head, b"\r\n\r\n") else {
            self.state = if head.len() < MAX_HTTP { State::Http(head.to_vec()) } else { self.ignore(path) };
            return;
        };
        let (head, rest) = head.split_at_checked(end + 4).unwrap_or_default();
        let upgrades = head.split(|byte| *byte == b'\n').any(|line| {
            let line = line.to_ascii_lowercase();
            line.strip_prefix(b"upgrade:").is_some_and(|value| value.trim_ascii() == b"websocket")
        });
        if !upgrades {
            self.state = self.ignore(path);
            return;
        }
        self.state = State::WebSocket(Box::default());
        self.data(seen, rest, path);
    }

    fn ignore(&self, path: &mut Path<'_>) -> State {
        path.out.counts.add(Reason::Connection);
        State::Ignored
    }

    fn hole(&mut self, missing: usize, path: &mut Path<'_>) {
        if self.is_ignored() {
            return;
        }
        path.out.counts.add(Reason::Hole);
        self.torn(missing, path);
    }

    /// Bytes are missing, in this stream or in the one that carries it.
    pub(super) fn torn(&mut self, missing: usize, path: &mut Path<'_>) {
        self.whole = false;
        match &mut self.state {
            State::New(_) | State::Http(_) => self.state = State::default(),
            State::Sip(framer) => {
                let part = framer.gap(missing);
                self.part(part, path);
            }
            State::WebSocket(socket) => socket.gap(missing),
            State::Tls(half) => half.gap(missing, path),
            State::Ignored => {}
        }
    }

    /// Nothing more will come.
    pub(super) fn end(&mut self, path: &mut Path<'_>) {
        if self.ended {
            return;
        }
        self.ended = true;
        match &mut self.state {
            State::Sip(framer) => {
                let part = framer.finish();
                self.part(part, path);
            }
            State::Tls(half) => half.end(path),
            State::WebSocket(socket) => socket.gap(usize::MAX),
            State::New(buffer) | State::Http(buffer) => {
                if buffer.iter().any(|byte| !matches!(byte, b'\r' | b'\n' | b'\0')) {
                    path.out.counts.add(Reason::Connection);
                }
                *buffer = Vec::new();
            }
            State::Ignored => {}
        }
    }

    /// As much as there is of a message.
    fn part(&self, part: Option<Vec<u8>>, path: &mut Path<'_>) {
        let transport = if self.secure { Transport::Tls } else { Transport::Tcp };
        if let (Some(part), Some(seen)) = (part, self.last) {
            path.out.sip(seen, path.ends, transport, part, true);
        }
    }
}

/// How much is looked at before a stream is given up, if its beginning was captured.
const PATIENCE: usize = 1 << 10;
/// The same, if it was not: then it may begin within a long message.
const PATIENCE_WITHIN: usize = 16 << 10;
/// So many bytes tell a TLS record or a WebSocket frame.
const TELLING: usize = 16;
/// Of the head of an HTTP message.
const MAX_HTTP: usize = 16 << 10;
