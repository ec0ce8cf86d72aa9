//! pcap and pcapng files: the UDP datagrams in them, one after the other.
//!
//! The file is read as a stream, so its size does not matter. What is not a whole UDP datagram is counted, not lost silently.

mod link;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use midcall_proto::time::Instant;
use pcap_parser::pcapng::{Block, InterfaceDescriptionBlock};
use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{Linktype, PcapBlockOwned, PcapError, create_reader};

use super::{Packet, Place, ReadError};
use midcall_proto::flow::Transport;

/// The datagrams of a capture file, in the order of the file.
///
/// ```
/// use midcall_analyzer::source::pcap::Pcap;
///
/// assert!(Pcap::new(&b"not a capture at all"[..]).is_err());
/// ```
pub struct Pcap<'r> {
    reader: Box<dyn PcapReaderIterator + Send + 'r>,
    frames: Frames,
    over: bool,
}

/// What was passed over, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Skipped {
    /// Packets that are not UDP.
    pub other: u64,
    /// Fragments of datagrams.
    pub fragments: u64,
    /// Packets that the capture cut off.
    pub cut: u64,
    /// Packets on links of a kind that is not read.
    pub link: u64,
    /// Whether the file ends in the middle of a packet.
    pub unfinished: bool,
}

impl Pcap<'static> {
    /// Opens a file.
    ///
    /// # Errors
    /// The file cannot be read, or is no capture.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        Self::new(File::open(path)?)
    }
}

impl<'r> Pcap<'r> {
    /// Reads a capture from anything that can be read.
    ///
    /// # Errors
    /// It cannot be read, or is no capture.
    pub fn new(source: impl Read + Send + 'r) -> Result<Self, ReadError> {
        let reader = create_reader(BUFFER, Whole(source)).map_err(|error| match error {
            PcapError::ReadError => ReadError::Io(io::Error::other("the source cannot be read")),
            _ => ReadError::Unknown,
        })?;
        Ok(Self { reader, frames: Frames::default(), over: false })
    }

    /// What was passed over so far.
    #[must_use]
    pub fn skipped(&self) -> Skipped {
        self.frames.skipped
    }

    /// How many packets of any kind were read so far.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.frames.packets
    }

    fn broken(&self) -> ReadError {
        ReadError::Broken { records: self.frames.packets }
    }
}

impl Iterator for Pcap<'_> {
    type Item = Result<Packet, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.over {
            match self.reader.next() {
                Ok((length, block)) => {
                    let packet = self.frames.block(&block);
                    self.reader.consume(length);
                    if packet.is_some() {
                        return packet.map(Ok);
                    }
                }
                Err(PcapError::Incomplete(_)) => {
                    let exhausted = self.reader.reader_exhausted();
                    if exhausted {
                        self.frames.skipped.unfinished = true;
                        self.over = true;
                    } else if self.reader.refill().is_err() {
                        self.over = true;
                        return Some(Err(self.broken()));
                    }
                }
                Err(PcapError::Eof) => self.over = true,
                Err(PcapError::UnexpectedEof) => {
                    self.frames.skipped.unfinished = true;
                    self.over = true;
                }
                Err(_) => {
                    self.over = true;
                    return Some(Err(self.broken()));
                }
            }
        }
        None
    }
}

/// A reader that fills the buffer it is given: the kind of the file is told from the first read alone.
struct Whole<R>(R);

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.0.read(rest) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

/// What must be remembered to understand the next block.
#[derive(Default)]
struct Frames {
    interfaces: Vec<Interface>,
    /// Of a classic pcap file.
    nanoseconds: bool,
    skipped: Skipped,
    packets: u64,
}

#[derive(Clone, Copy)]
struct Interface {
    link: Linktype,
    /// Timestamp units in a second.
    resolution: u64,
    offset: i64,
}

impl Frames {
    fn block(&mut self, block: &PcapBlockOwned<'_>) -> Option<Packet> {
        match block {
            PcapBlockOwned::LegacyHeader(header) => {
                self.nanoseconds = header.is_nanosecond_precision();
                self.interfaces = vec![Interface { link: header.network, resolution: 1, offset: 0 }];
                None
            }
            PcapBlockOwned::Legacy(frame) => {
                let fraction = if self.nanoseconds { frame.ts_usec / 1_000 } else { frame.ts_usec };
                let at = u64::from(frame.ts_sec) * 1_000_000 + u64::from(fraction);
                let link = self.interfaces.first()?.link;
                self.frame(Instant::from_micros(at), link, frame.data, frame.caplen, frame.origlen)
            }
            PcapBlockOwned::NG(Block::SectionHeader(_)) => {
                self.interfaces.clear();
                None
            }
            PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                self.interfaces.push(Interface::of(interface));
                None
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let index = usize::try_from(packet.if_id).ok()?;
                let Some(interface) = self.interfaces.get(index).copied() else {
                    self.skipped.link += 1;
                    return None;
                };
                let at = interface.time(u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low));
                self.frame(at, interface.link, packet.data, packet.caplen, packet.origlen)
            }
            // Without a timestamp a packet says nothing about the order of things.
            PcapBlockOwned::NG(Block::SimplePacket(_)) => {
                self.packets += 1;
                self.skipped.other += 1;
                None
            }
            PcapBlockOwned::NG(_) => None,
        }
    }

    fn frame(
        &mut self,
        at: Instant,
        link: Linktype,
        data: &[u8],
        captured: u32,
        original: u32,
    ) -> Option<Packet> {
        self.packets += 1;
        // Blocks are padded to a multiple of four bytes.
        let data = usize::try_from(captured).ok().and_then(|length| data.get(..length)).unwrap_or(data);
        match link::datagram(link, data) {
            link::Read::Datagram { from, to, payload, whole } => {
                if !whole || captured < original {
                    self.skipped.cut += 1;
                    return None;
                }
                let place = Place { source: 0, number: self.packets };
                let payload = payload.to_vec();
                return Some(Packet { at, from, to, transport: Transport::Udp, payload, place, cut: false });
            }
            link::Read::Fragment => self.skipped.fragments += 1,
            link::Read::Other => self.skipped.other += 1,
            link::Read::UnknownLink => self.skipped.link += 1,
        }
        None
    }
}

impl Interface {
    fn of(block: &InterfaceDescriptionBlock<'_>) -> Self {
        // A power of ten, or of two if the top bit is set.
        let exponent = u32::from(block.if_tsresol & 0x7f);
        let base: u64 = if block.if_tsresol & 0x80 == 0 { 10 } else { 2 };
        let resolution = base.checked_pow(exponent).unwrap_or(1_000_000);
        Self { link: block.linktype, resolution, offset: block.if_tsoffset }
    }

    fn time(self, units: u64) -> Instant {
        let seconds = (units / self.resolution).saturating_add_signed(self.offset);
        let fraction = u128::from(units % self.resolution) * 1_000_000 / u128::from(self.resolution);
        let micros = u64::try_from(fraction).unwrap_or_default();
        Instant::from_micros(seconds.saturating_mul(1_000_000).saturating_add(micros))
    }
}

const BUFFER: usize = 1 << 20;

#[cfg(test)]
mod tests;
