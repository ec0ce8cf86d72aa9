//! Where traces come from.

pub mod pcap;

use std::fmt;
use std::io;
use std::net::SocketAddr;

use midcall_proto::time::Instant;

/// A datagram as a trace shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// When it was captured, in microseconds since 1970.
    pub at: Instant,
    /// Who sent it.
    pub from: SocketAddr,
    /// Whom it was sent to.
    pub to: SocketAddr,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// Why a trace cannot be read, or not to its end.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// The file itself cannot be read.
    Io(io::Error),
    /// It is neither pcap nor pcapng.
    NotACapture,
    /// A block makes no sense; nothing behind it can be read.
    Broken {
        /// How many packets came before.
        packets: u64,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::NotACapture => f.write_str("neither a pcap nor a pcapng file"),
            Self::Broken { packets } => write!(f, "a block behind packet {packets} makes no sense"),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
