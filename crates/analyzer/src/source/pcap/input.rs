//! Bytes of a capture file, unpacked if they are packed, with a window on them that moves forward.

use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

use crate::source::gzip::{Damage, Unpacked};

/// A window on a stream of bytes.
pub(super) struct Input<'r> {
    source: Box<dyn Read + Send + 'r>,
    buffer: Vec<u8>,
    /// Bytes at the front of the buffer that are done with.
    taken: usize,
    /// Where in the buffer the bytes end that were read.
    filled: usize,
    over: bool,
    meter: Arc<Meter>,
    packed: bool,
    damage: Damage,
}

/// What is known of the source under the window.
#[derive(Debug, Default)]
struct Meter {
    bytes: AtomicU64,
}

impl<'r> Input<'r> {
    pub(super) fn new(source: impl Read + Send + 'r) -> io::Result<Self> {
        let meter = Arc::new(Meter::default());
        let mut source = Metered { source, meter: Arc::clone(&meter) };
        let mut start = Vec::new();
        source.by_ref().take(GZIP.len() as u64).read_to_end(&mut start)?;
        let packed = start == GZIP;
        let damage = Damage::default();
        let source = Cursor::new(start).chain(source);
        let source: Box<dyn Read + Send + 'r> =
            if packed { Box::new(Unpacked::new(source, damage.clone())) } else { Box::new(source) };
        Ok(Self { source, buffer: vec![0; WINDOW], taken: 0, filled: 0, over: false, meter, packed, damage })
    }

    /// The bytes that are there.
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.taken..self.filled).unwrap_or_default()
    }

    /// Reads until so many bytes are there, or there are no more; says whether they are.
    pub(super) fn want(&mut self, length: usize) -> io::Result<bool> {
        while self.bytes().len() < length && !self.over {
            self.read(length)?;
        }
        Ok(self.bytes().len() >= length)
    }

    pub(super) fn take(&mut self, length: usize) {
        self.taken = self.taken.saturating_add(length).min(self.filled);
    }

    /// Bytes read of the file, as they stand in it.
    pub(super) fn read_so_far(&self) -> u64 {
        self.meter.bytes.load(Ordering::Relaxed)
    }

    /// Whether the file is packed with gzip.
    pub(super) fn is_packed(&self) -> bool {
        self.packed
    }

    /// Whether it could not be unpacked to its end.
    pub(super) fn is_damaged(&self) -> bool {
        self.damage.is_there()
    }

    fn read(&mut self, least: usize) -> io::Result<()> {
        if least > self.buffer.len() {
            let mut larger = vec![0; least];
            let bytes = self.bytes();
            if let Some(front) = larger.get_mut(..bytes.len()) {
                front.copy_from_slice(bytes);
            }
            (self.filled, self.taken, self.buffer) = (bytes.len(), 0, larger);
        } else if self.taken > 0 {
            self.buffer.copy_within(self.taken..self.filled, 0);
            (self.filled, self.taken) = (self.filled - self.taken, 0);
        }
        match self.source.read(self.buffer.get_mut(self.filled..).unwrap_or_default()) {
            Ok(0) => self.over = true,
            Ok(read) => self.filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                self.over = true;
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Counts what is read.
struct Metered<R> {
    source: R,
    meter: Arc<Meter>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.meter.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// What there is of the beginning of a file, unpacked if it is packed.
pub(super) fn unpacked(start: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    if start.starts_with(GZIP) {
        // The end of the beginning is no error.
        let _ = MultiGzDecoder::new(start).take(START).read_to_end(&mut bytes);
    }
    bytes
}

/// RFC 1952 §2.3.1: the magic, and the only method there is.
const GZIP: &[u8] = &[0x1f, 0x8b, 8];
/// How much is looked at of the beginning of a packed file.
const START: u64 = 512;
/// How much is read at once.
const WINDOW: usize = 256 << 10;
