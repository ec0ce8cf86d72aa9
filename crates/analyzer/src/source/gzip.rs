//! What is packed with gzip, as far as it can be unpacked.

use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::read::MultiGzDecoder;

/// Takes damage for the end: what came before it is good. The decoder loses what it had unpacked at once, so that is little.
pub(super) struct Unpacked<R> {
    source: MultiGzDecoder<BufReader<R>>,
    damage: Damage,
}

/// Whether something could not be unpacked to its end.
#[derive(Clone, Default, Debug)]
pub(super) struct Damage(Arc<AtomicBool>);

impl Damage {
    pub(super) fn is_there(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<R: Read> Unpacked<R> {
    pub(super) fn new(source: R, damage: Damage) -> Self {
        Self { source: MultiGzDecoder::new(BufReader::with_capacity(PACKED, source)), damage }
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(UNPACKED);
        match self.source.read(buffer.get_mut(..length).unwrap_or_default()) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
                ) =>
            {
                self.damage.0.store(true, Ordering::Relaxed);
                Ok(0)
            }
            result => result,
        }
    }
}

/// How much is unpacked at once.
const UNPACKED: usize = 4 << 10;
const PACKED: usize = 64 << 10;
