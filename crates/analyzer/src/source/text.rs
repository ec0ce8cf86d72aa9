//! Logs: every text in which somebody wrote down SIP messages.
//!
//! A text is read line by line, so its size does not matter. Each format knows where its records begin and end
//! and what their heads say; which one it is is told by the first record, not by the name of the file. Bare messages are
//! read, too, with or without anything between them.

mod format;
mod lines;
mod message;
mod prefix;
mod record;
mod run_on;
mod scan;
mod sides;
mod stamp;
#[cfg(test)]
mod tests;
mod wrapped;

use std::io::Read;

use self::lines::Lines;
use self::record::Records;
use super::{Item, ReadError, Source, Summary};

/// The messages of a log, in the order of the log.
///
/// ```
/// use midcall_analyzer::source::text::Text;
/// use midcall_analyzer::source::{Item, Source};
///
/// let log = "2026/10/30 12:00:00.123456 192.0.2.10:5060 -> 192.0.2.20:5060\n\
///            OPTIONS sip:bob@192.0.2.20 SIP/2.0\r\nContent-Length: 0\r\n\r\n";
/// let mut text = Text::new(log.as_bytes());
/// let Some(Ok(Item::Sip(packet))) = text.next() else { panic!("a message") };
/// assert_eq!(packet.from, "192.0.2.10:5060".parse().unwrap());
/// assert_eq!(text.summary().format, "sngrep text");
/// ```
pub struct Text<R> {
    lines: Lines<R>,
    records: Records,
    over: bool,
    failure: Option<ReadError>,
}

impl<R: Read + Send> Text<R> {
    /// Reads a log from anything that can be read.
    pub fn new(reader: R) -> Self {
        Self { lines: Lines::new(reader), records: Records::default(), over: false, failure: None }
    }
}

impl<R> Text<R> {
    fn finish(&mut self) {
        self.over = true;
        self.records.finish();
    }
}

impl<R: Read + Send> Source for Text<R> {
    fn next(&mut self) -> Option<Result<Item, ReadError>> {
        loop {
            if let Some(packet) = self.records.ready() {
                return Some(Ok(Item::Sip(packet)));
            }
            if self.over {
                return self.failure.take().map(Err);
            }
            match self.lines.next() {
                Ok(Some(line)) => self.records.line(line),
                Ok(None) => {
                    self.finish();
                    self.failure = self.records.is_empty().then_some(ReadError::Unknown);
                }
                Err(error) => {
                    self.finish();
                    self.failure = Some(error.into());
                }
            }
        }
    }

    fn summary(&self) -> Summary {
        Summary { bytes: self.lines.bytes(), ..self.records.summary() }
    }
}
