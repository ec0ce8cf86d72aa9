//! Input that comes a few bytes at a time.

use std::io::{self, Read};

/// Gives these bytes, at most so many at once, as a slow connection or a pipe would.
#[derive(Clone, Debug)]
pub struct Pieces<'b>(pub &'b [u8], pub usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.1.min(buffer.len());
        self.0.read(&mut buffer[..most])
    }
}
