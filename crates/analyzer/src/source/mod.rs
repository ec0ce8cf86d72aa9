//! Where traces come from.

mod apart;
mod clocks;
mod copies;
mod gzip;
pub mod hep;
mod merge;
mod open;
pub mod pcap;
pub mod text;
mod utf16;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use midcall_proto::flow::Transport;
use midcall_proto::time::Instant;

pub use merge::Merged;
pub use open::{Opener, open};

/// A source of what passed a tap, in its own order.
///
/// A source never panics and never gives up at a part that makes no sense if it can go on behind it: what it passes over
/// is counted in its [`Summary`].
pub trait Source: Send {
    /// The next message or media packet; `None` at the end. A [live](Self::is_live) source also says when nothing came for a
    /// while.
    ///
    /// # Errors
    /// It cannot be read any further. After an error comes the end.
    fn next(&mut self) -> Option<Result<Item, ReadError>>;

    /// What has been read so far.
    fn summary(&self) -> Summary;

    /// The same for each of several sources that it is made of.
    fn summaries(&self) -> Vec<Summary> {
        vec![self.summary()]
    }

    /// Whether what comes next may take as long as it likes.
    fn is_live(&self) -> bool {
        false
    }
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn next(&mut self) -> Option<Result<Item, ReadError>> {
        (**self).next()
    }

    fn summary(&self) -> Summary {
        (**self).summary()
    }

    fn summaries(&self) -> Vec<Summary> {
        (**self).summaries()
    }

    fn is_live(&self) -> bool {
        (**self).is_live()
    }
}

/// What a source gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Item {
    /// A SIP message, whole or as much of it as there is.
    Sip(Packet),
    /// The header of an RTP packet.
    Rtp(Rtp),
    /// Nothing came for so long, and more may come: what a live source says now and then while it is silent. That is the time
    /// which passed here since its last item, or since it said so last; the clocks of senders are not asked.
    Quiet(Duration),
}

impl Item {
    /// When it was captured; `None` if it is no packet.
    #[must_use]
    pub const fn at(&self) -> Option<Instant> {
        match self {
            Self::Sip(packet) => Some(packet.at),
            Self::Rtp(packet) => Some(packet.at),
            Self::Quiet(_) => None,
        }
    }

    const fn parts(&mut self) -> Option<(&mut Instant, &mut Place)> {
        match self {
            Self::Sip(packet) => Some((&mut packet.at, &mut packet.place)),
            Self::Rtp(packet) => Some((&mut packet.at, &mut packet.place)),
            Self::Quiet(_) => None,
        }
    }
}

/// A SIP message as a trace shows it: the payload of a datagram, or a message framed from a stream or a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// When it was captured, in microseconds since 1970; since the first day of the trace where a log has no date.
    pub at: Instant,
    /// Who sent it; unspecified (`0.0.0.0:0`) where nothing tells.
    pub from: SocketAddr,
    /// Whom it was sent to; unspecified where nothing tells.
    pub to: SocketAddr,
    /// How it travelled.
    pub transport: Transport,
    /// Its bytes, lines ending as SIP has them.
    pub payload: Vec<u8>,
    /// Where in its source it stands.
    pub place: Place,
    /// Whether the source lacks the end of it.
    pub cut: bool,
}

/// The header of an RTP packet (RFC 3550 §5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rtp {
    /// When it was captured.
    pub at: Instant,
    /// Who sent it.
    pub from: SocketAddr,
    /// Whom it was sent to.
    pub to: SocketAddr,
    /// The payload type.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence: u16,
    /// The timestamp.
    pub timestamp: u32,
    /// The synchronization source.
    pub ssrc: u32,
    /// Where in its source it stands.
    pub place: Place,
}

/// Where in a trace something stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Place {
    /// Which of several sources, from 0.
    pub source: u16,
    /// The number of the frame in a capture, of the line in a text, from 1.
    pub number: u64,
}

/// What was read of a source.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Summary {
    /// Its name: the path, or `-`.
    pub name: String,
    /// What it was found out to be, such as `pcapng` or `sngrep text`.
    pub format: String,
    /// Frames of a capture, records of a log.
    pub records: u64,
    /// SIP messages taken from them.
    pub messages: u64,
    /// RTP packets taken from them.
    pub media: u64,
    /// What was passed over, by reason.
    pub skipped: Vec<Skipped>,
    /// How finely its clock counts; zero if that is finer than any timer, [`Duration::MAX`] if there is no clock.
    pub resolution: Duration,
    /// Bytes read so far, as they stand in the file.
    pub bytes: u64,
    /// Whether it breaks off: it ends within a record, or cannot be unpacked to its end.
    pub cut: bool,
    /// By how many microseconds its clock was fast against that of another source, as the packets say that both have; its
    /// times were put right by that.
    pub clock_fast: i64,
}

impl Summary {
    /// Counts something that was passed over.
    pub fn skip(&mut self, reason: &'static str) {
        self.skip_many(reason, 1);
    }

    /// Counts more of it at once.
    pub fn skip_many(&mut self, reason: &'static str, count: u64) {
        match self.skipped.iter_mut().find(|skipped| skipped.reason == reason) {
            Some(skipped) => skipped.count += count,
            None => self.skipped.push(Skipped { reason, count }),
        }
    }

    /// It cannot be unpacked any further.
    pub(crate) fn ends_packed(&mut self) {
        self.cut = true;
        self.skip("stretches that cannot be unpacked");
    }

    /// How often something was passed over for this reason.
    #[must_use]
    pub fn skipped_for(&self, reason: &str) -> u64 {
        self.skipped.iter().find(|skipped| skipped.reason == reason).map_or(0, |skipped| skipped.count)
    }
}

/// What was passed over for one reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Skipped {
    /// Why, in a few words that fit behind a number: "fragments without their rest".
    pub reason: &'static str,
    /// How often.
    pub count: u64,
}

/// Why a trace cannot be read, or not to its end.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// The file itself cannot be read.
    Io(io::Error),
    /// Its content is of no kind that is read.
    Unknown,
    /// It is a container that is known but not read.
    Container {
        /// What it is.
        name: &'static str,
        /// What turns it into something that is read.
        converter: &'static str,
    },
    /// A block makes no sense; nothing behind it can be read.
    Broken {
        /// How many records came before.
        records: u64,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Unknown => f.write_str("neither a capture nor a log with SIP messages"),
            Self::Container { name, converter } => {
                write!(f, "a {name} file, which is not read here; convert it: {converter}")
            }
            Self::Broken { records } => write!(f, "what follows record {records} makes no sense"),
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
