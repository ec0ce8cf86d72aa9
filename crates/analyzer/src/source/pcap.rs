//! pcap and pcapng files: the SIP messages and RTP headers in them, one after the other.
//!
//! The file is read as a stream, so its size does not matter. What is not understood is counted, not lost silently.

mod blocks;
mod container;
mod input;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use super::{Item, ReadError, Source, Summary};
pub use crate::packet::Keys;
use crate::packet::{Frame, Packets};
use blocks::{Blocks, Record};
pub use container::container;

/// What a capture file holds, in the order of the file.
///
/// Messages over TCP, TLS and WebSocket are given when their last byte was captured. Memory is bounded whatever the file
/// holds: below 256 MiB, and a few MiB for one that is well formed and has few connections at a time.
///
/// ```
/// use midcall_analyzer::source::pcap::Pcap;
///
/// assert!(Pcap::new(&b"not a capture at all"[..]).is_err());
/// ```
pub struct Pcap<'r> {
    blocks: Blocks<'r>,
    packets: Packets,
    name: String,
    records: u64,
    over: bool,
}

impl Pcap<'static> {
    /// Opens a file.
    ///
    /// # Errors
    /// The file cannot be read, or is no capture.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        let path = path.as_ref();
        let pcap = Self::new(File::open(path)?)?;
        Ok(Self { name: path.display().to_string(), ..pcap })
    }
}

impl<'r> Pcap<'r> {
    /// Reads a capture from anything that can be read, packed with gzip or not.
    ///
    /// # Errors
    /// It cannot be read, or is no capture.
    pub fn new(source: impl Read + Send + 'r) -> Result<Self, ReadError> {
        let blocks = Blocks::new(source)?;
        Ok(Self { blocks, packets: Packets::new(), name: "-".to_owned(), records: 0, over: false })
    }

    /// Reads TLS with these keys, and with those that the file itself holds.
    #[must_use]
    pub fn with_keys(mut self, keys: Keys) -> Self {
        *self.packets.keys() = keys;
        self
    }

    /// How many frames of any kind were read so far.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.records
    }
}

impl Source for Pcap<'_> {
    fn next(&mut self) -> Option<Result<Item, ReadError>> {
        loop {
            if let Some(item) = self.packets.pop() {
                return Some(Ok(item));
            }
            if self.over {
                return None;
            }
            let Self { blocks, packets, records, .. } = self;
            match blocks.next() {
                Some(Ok(Record::Packet { at, link, data })) => {
                    *records += 1;
                    packets.frame(Frame { at, number: *records, link, data });
                }
                Some(Ok(Record::Secrets(log))) => packets.keys().add(&String::from_utf8_lossy(log)),
                Some(Ok(Record::Nothing)) => {}
                Some(Err(error)) => {
                    self.finish();
                    return Some(Err(ReadError::Io(error)));
                }
                None => self.finish(),
            }
        }
    }

    fn summary(&self) -> Summary {
        let (counts, messages, media) = self.packets.counted();
        let mut summary = Summary {
            name: self.name.clone(),
            format: self.blocks.format().to_owned(),
            records: self.records,
            messages,
            media,
            bytes: self.blocks.input().read_so_far(),
            ..Summary::default()
        };
        // A clock that counts milliseconds or better is finer than any timer.
        let coarse = self.blocks.resolution().filter(|units| *units < 1_000);
        summary.resolution =
            coarse.map_or(Duration::ZERO, |units| Duration::from_secs(1) / units.max(1) as u32);
        self.blocks.counts().tell(&mut summary);
        counts.tell(&mut summary);
        summary.cut = self.blocks.is_cut();
        if self.blocks.input().is_damaged() {
            summary.ends_packed();
        }
        summary
    }
}

impl Pcap<'_> {
    fn finish(&mut self) {
        self.over = true;
        self.packets.finish();
    }
}

/// Whether a file that begins like this is a capture, packed with gzip or not.
#[must_use]
pub fn looks_like(first_bytes: &[u8]) -> bool {
    blocks::begins(first_bytes) || blocks::begins(&input::unpacked(first_bytes))
}
