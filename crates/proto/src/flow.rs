//! Where a message came from and where it goes: transport, addresses, connection.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// The transports SIP runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams: the machines resend.
    Udp,
    /// A stream, framed by Content-Length (RFC 3261 §18.3).
    Tcp,
    /// TLS over TCP.
    Tls,
    /// WebSocket, RFC 7118.
    Ws,
    /// WebSocket over TLS, RFC 7118.
    Wss,
}

impl Transport {
    /// Whether the transport itself delivers: then timers A, E and G do not run and D, I, J and K are
    /// zero (RFC 3261 §17, RFC 6026 §8.4).
    pub const fn reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// Whether the hop is encrypted.
    pub const fn secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// The port used when none is written (RFC 3261 §19.1.2, RFC 7118 §5.2).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    /// The name as it stands in a Via, such as `UDP`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// The transport of this name, in any case, or `None`.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss]
            .into_iter()
            .find(|transport| transport.as_str().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Transport {
    type Err = UnknownTransport;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::parse(name).ok_or(UnknownTransport)
    }
}

/// The text names no transport this crate knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownTransport;

impl fmt::Display for UnknownTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a transport: udp, tcp, tls, ws or wss")
    }
}

impl std::error::Error for UnknownTransport {}

/// The path of one message: over which transport, between which two addresses, on which connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The transport.
    pub transport: Transport,
    /// Our address.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
    /// The connection the message came by or must go by; `None` for datagrams, and for a stream whose
    /// connection the driver may choose or open.
    pub connection: Option<u64>,
}

impl Flow {
    /// A flow of datagrams between two addresses.
    pub const fn udp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self { transport: Transport::Udp, local, remote, connection: None }
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} -> {}", self.transport, self.local, self.remote)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transport_reads_back_in_any_case() {
        for transport in [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss] {
            assert_eq!(transport.to_string().to_lowercase().parse(), Ok(transport));
        }
        assert_eq!("sctp".parse::<Transport>(), Err(UnknownTransport));
    }

    #[test]
    fn only_datagrams_are_unreliable() {
        assert!(!Transport::Udp.reliable());
        assert!(Transport::Wss.reliable() && Transport::Wss.secure());
        assert!(Transport::Tcp.reliable() && !Transport::Tcp.secure());
    }
}
