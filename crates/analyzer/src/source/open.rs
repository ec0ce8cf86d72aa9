//! Finds out by its content what a trace is, and opens it.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::gzip::{Damage, Unpacked};
use super::hep::live::{Live, Stop};
use super::hep::{self, Hep};
use super::pcap::{self, Keys, Pcap};
use super::text::Text;
use super::utf16::{self, Utf16};
use super::{Item, ReadError, Source, Summary};

/// Opens a trace: a path, `-` for standard input, or a socket to collect HEP on, as `hep:udp:HOST:PORT` or
/// `hep:tcp:HOST:PORT`.
///
/// What a file is is told by its content, never by its name: captures, HEP packets and logs, each of them packed with gzip
/// or not.
///
/// # Errors
/// It cannot be read, or is of no kind that is read. A text in which no message is found fails at its end.
pub fn open(input: &str) -> Result<Box<dyn Source>, ReadError> {
    Opener::default().open(input)
}

/// How traces are opened.
#[derive(Clone, Default)]
pub struct Opener {
    stop: Stop,
    keys: Keys,
}

impl Opener {
    /// Sources that collect end when this says so.
    #[must_use]
    pub fn until(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// TLS in captures is read with these keys.
    #[must_use]
    pub fn with_keys(mut self, keys: Keys) -> Self {
        self.keys = keys;
        self
    }

    /// Opens a trace, as [`open`] does.
    ///
    /// # Errors
    /// Those of [`open`].
    pub fn open(&self, input: &str) -> Result<Box<dyn Source>, ReadError> {
        if let Some(address) = input.strip_prefix("hep:udp:") {
            return Ok(Box::new(Live::udp(address, self.stop.clone())?));
        }
        if let Some(address) = input.strip_prefix("hep:tcp:") {
            return Ok(Box::new(Live::tcp(address, self.stop.clone())?));
        }
        if input == "-" {
            return self.read(input, io::stdin());
        }
        self.read(input, File::open(input)?)
    }

    /// Opens a trace, as [`open`] does, when it is first read: it counts as live, for who knows when its beginning comes. So a
    /// pipe is read beside sockets. What is wrong with it is told as an error of the source.
    #[must_use]
    pub fn open_later(&self, input: &str) -> Box<dyn Source> {
        Box::new(Later { opener: self.clone(), input: input.to_owned(), source: None, failed: false })
    }

    /// Reads a trace of this name from anything that can be read.
    ///
    /// # Errors
    /// Those of [`open`].
    pub fn read(&self, name: &str, reader: impl Read + Send + 'static) -> Result<Box<dyn Source>, ReadError> {
        let bytes = Arc::new(AtomicU64::new(0));
        let reader = Counted { reader, bytes: Arc::clone(&bytes) };
        let (source, packed) = self.sniff(Box::new(reader), None)?;
        Ok(Box::new(Opened { source, name: name.to_owned(), bytes, packed }))
    }

    /// What a stream of bytes is, and what is damaged where it was packed.
    fn sniff(
        &self,
        mut reader: Reader,
        packed: Option<Damage>,
    ) -> Result<(Box<dyn Source>, Option<Damage>), ReadError> {
        let mut start = Vec::new();
        reader.by_ref().take(START).read_to_end(&mut start)?;
        let whole = |start: Vec<u8>| Box::new(Cursor::new(start).chain(reader)) as Reader;
        if start.starts_with(&GZIP) && packed.is_none() {
            let damage = Damage::default();
            return self.sniff(Box::new(Unpacked::new(whole(start), damage.clone())), Some(damage));
        }
        if let Some(container) = pcap::container(&start) {
            return Err(container);
        }
        let source: Box<dyn Source> = if pcap::looks_like(&start) {
            Box::new(Pcap::new(whole(start))?.with_keys(self.keys.clone()))
        } else if hep::begins(&start) {
            Box::new(Hep::new(whole(start)))
        } else if hep::begins_in_hex(&start) {
            Box::new(Hep::hex(whole(start)))
        } else if let Some(big) = utf16::begins(&start) {
            Box::new(Text::new(Utf16::new(whole(start), big)))
        } else if is_text(&start) {
            Box::new(Text::new(whole(start)))
        } else {
            return Err(ReadError::Unknown);
        };
        Ok((source, packed))
    }
}

type Reader = Box<dyn Read + Send>;

/// Whether these may be the first bytes of a text: some control characters may stand in any.
fn is_text(start: &[u8]) -> bool {
    let strange = |byte: &&u8| **byte < 0x20 && !b"\t\n\r\x1b\x0c\x08".contains(byte) || **byte == 0x7f;
    !start.is_empty() && start.iter().filter(strange).count() * 16 <= start.len()
}

/// A source with its name, and what was read of its file.
struct Opened {
    source: Box<dyn Source>,
    name: String,
    bytes: Arc<AtomicU64>,
    packed: Option<Damage>,
}

impl Source for Opened {
    fn next(&mut self) -> Option<Result<Item, ReadError>> {
        self.source.next()
    }

    fn summary(&self) -> Summary {
        let mut summary = self.source.summary();
        summary.name.clone_from(&self.name);
        summary.bytes = self.bytes.load(Ordering::Relaxed);
        if let Some(damage) = &self.packed {
            summary.format.push_str(", packed with gzip");
            if damage.is_there() {
                summary.ends_packed();
            }
        }
        summary
    }
}

/// A source that is not open yet.
struct Later {
    opener: Opener,
    input: String,
    source: Option<Box<dyn Source>>,
    failed: bool,
}

impl Source for Later {
    fn next(&mut self) -> Option<Result<Item, ReadError>> {
        if self.source.is_none() && !self.failed {
            match self.opener.open(&self.input) {
                Ok(source) => self.source = Some(source),
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        self.source.as_mut()?.next()
    }

    fn summary(&self) -> Summary {
        let unread = || Summary { name: self.input.clone(), ..Summary::default() };
        self.source.as_ref().map_or_else(unread, |source| source.summary())
    }

    fn is_live(&self) -> bool {
        true
    }
}

/// Counts what is read.
struct Counted<R> {
    reader: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.bytes.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

/// How much of a file is looked at: enough for every mark, little enough for a log that is still being written.
const START: u64 = 512;
const GZIP: [u8; 2] = [0x1f, 0x8b];
