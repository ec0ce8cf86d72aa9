//! What goes into an endpoint and what comes out of it.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::event::Event;
use crate::flow::{Flow, Transport};
use crate::time::Instant;

/// Something for [`Endpoint::handle_input`](super::Endpoint::handle_input).
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// A datagram, or one framed message of a stream.
    Message {
        /// Where it came from and where it arrived.
        flow: Flow,
        /// Its bytes.
        bytes: &'a [u8],
    },
    /// Sending to this address failed (ICMP unreachable, connection refused).
    TransportError {
        /// The transport that was tried.
        transport: Transport,
        /// The address that could not be reached.
        remote: SocketAddr,
    },
    /// A connection is closed; what still waits on it goes over a new one.
    Closed {
        /// The connection's number.
        connection: u64,
    },
    /// The answer to [`Output::Resolve`]; no targets if the name does not exist.
    Resolved {
        /// The question's number.
        query: u64,
        /// Where to send, best first.
        targets: Vec<(Transport, SocketAddr)>,
    },
    /// The time asked for by [`Output::Timeout`] has come. Harmless at any other time.
    Timeout,
}

/// Something from [`Endpoint::poll_output`](super::Endpoint::poll_output).
#[derive(Clone, Debug)]
pub enum Output {
    /// Send these bytes.
    Transmit(Transmit),
    /// Look up a host (RFC 3263) and answer with [`Input::Resolved`].
    Resolve {
        /// The question's number.
        query: u64,
        /// The host name.
        host: String,
        /// The port, if the URI named one.
        port: Option<u16>,
        /// The transport, if the URI named one.
        transport: Option<Transport>,
    },
    /// Tell the application.
    Event(Event),
    /// Nothing left to send or say; wake the endpoint at this time. `None`: only input can change anything.
    Timeout(Option<Instant>),
}

/// A message to send.
#[derive(Clone, Debug)]
pub struct Transmit {
    /// Where to: the transport, the local address to send from and the remote address. With a connection number, over
    /// that connection while it is open, else over a new one to the remote address.
    pub flow: Flow,
    /// The message.
    pub bytes: Bytes,
}
