//! A look at the wire: every message sent or received, given to whoever wants to see it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use midcall_proto::flow::Transport;
use tokio::sync::broadcast;

use crate::capture::Capture;

/// Whether we sent it or received it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Way {
    /// It went out.
    Sent,
    /// It came in.
    Received,
}

/// What kind of traffic it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Traffic {
    /// A SIP message or keep-alive over this transport.
    Signalling(Transport),
    /// An RTP or RTCP packet.
    Media,
}

/// One message or packet as it was on the wire.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When it was handed to the socket, or came from it.
    pub at: SystemTime,
    /// Which way it went.
    pub way: Way,
    /// What it is.
    pub traffic: Traffic,
    /// The sender's address.
    pub from: SocketAddr,
    /// The receiver's address.
    pub to: SocketAddr,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Hands what goes over the wire to a capture file and to listeners.
///
/// Cloning it is cheap. A tap without sinks costs one branch a message.
#[derive(Clone, Debug, Default)]
pub struct Tap {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    capture: Option<Capture>,
    listeners: Option<broadcast::Sender<Seen>>,
    media: bool,
    sent_only: bool,
    seen: AtomicU64,
}

impl Tap {
    /// A tap with no sink.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A tap that writes signalling to a capture file, and media too if asked.
    #[must_use]
    pub fn to_capture(capture: Capture, media: bool) -> Self {
        Self { inner: Arc::new(Inner { capture: Some(capture), media, ..Inner::default() }) }
    }

    /// The same tap with a channel for listeners; a listener that is `capacity` messages behind loses the oldest.
    #[must_use]
    pub fn with_listeners(self, capacity: usize) -> Self {
        let listeners = Some(broadcast::Sender::new(capacity.max(1)));
        Self { inner: Arc::new(Inner { listeners, ..self.copy() }) }
    }

    /// The same tap for what goes out only. Shared by user agents that talk to each other, it shows every message once.
    #[must_use]
    pub fn sent_only(self) -> Self {
        Self { inner: Arc::new(Inner { sent_only: true, ..self.copy() }) }
    }

    /// Listens from now on; `None` if the tap was made without listeners.
    #[must_use]
    pub fn listen(&self) -> Option<broadcast::Receiver<Seen>> {
        self.inner.listeners.as_ref().map(broadcast::Sender::subscribe)
    }

    /// The capture file, if there is one.
    #[must_use]
    pub fn capture(&self) -> Option<&Capture> {
        self.inner.capture.as_ref()
    }

    /// How many messages and packets passed.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.inner.seen.load(Ordering::Relaxed)
    }

    /// Shows one SIP message.
    pub(crate) fn signalling(
        &self,
        way: Way,
        transport: Transport,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &[u8],
    ) {
        self.show(way, Traffic::Signalling(transport), local, remote, bytes);
    }

    /// Shows one media packet.
    pub(crate) fn media(&self, way: Way, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        if self.inner.media {
            self.show(way, Traffic::Media, local, remote, bytes);
        }
    }

    fn copy(&self) -> Inner {
        Inner {
            capture: self.inner.capture.clone(),
            listeners: self.inner.listeners.clone(),
            media: self.inner.media,
            sent_only: self.inner.sent_only,
            seen: AtomicU64::new(0),
        }
    }

    /// Copies only if there is a sink.
    fn show(&self, way: Way, traffic: Traffic, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        if self.inner.sent_only && way == Way::Received {
            return;
        }
        self.inner.seen.fetch_add(1, Ordering::Relaxed);
        if self.inner.capture.is_none() && self.inner.listeners.is_none() {
            return;
        }
        let (from, to) = match way {
            Way::Sent => (local, remote),
            Way::Received => (remote, local),
        };
        let bytes = Bytes::copy_from_slice(bytes);
        let seen = Seen { at: SystemTime::now(), way, traffic, from, to, bytes };
        if let Some(listeners) = &self.inner.listeners
            && traffic != Traffic::Media
        {
            // An error only says that nobody listens now.
            let _ = listeners.send(seen.clone());
        }
        if let Some(capture) = &self.inner.capture {
            capture.write(seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tap_for_what_is_sent_shows_every_message_once() {
        let tap = Tap::new().with_listeners(4).sent_only();
        let mut heard = tap.listen().unwrap();
        let (a, b) = ("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap());
        tap.signalling(Way::Sent, Transport::Udp, a, b, b"one");
        tap.signalling(Way::Received, Transport::Udp, b, a, b"one");
        let seen = heard.try_recv().unwrap();
        assert_eq!((seen.way, seen.from, &seen.bytes[..]), (Way::Sent, a, &b"one"[..]));
        assert!(heard.try_recv().is_err());
        assert_eq!(tap.seen(), 1);
    }
}
