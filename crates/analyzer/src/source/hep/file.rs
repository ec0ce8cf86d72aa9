//! Files of HEP packets: one after the other, or one in hexadecimal on each line.

use std::io::{self, Read};

use midcall_proto::flow::Transport;
use midcall_proto::time::Instant;

use super::{HEADER, MAGIC, length, payload};
use crate::source::{Item, Packet, Place, ReadError, Source, Summary};

/// The messages in a stream of HEP packets.
pub struct Hep<R> {
    reader: R,
    /// What is read at once.
    piece: Box<[u8]>,
    buffer: Vec<u8>,
    /// How much of the buffer is done with.
    taken: usize,
    over: bool,
    hex: bool,
    last: Instant,
    summary: Summary,
}

impl<R: Read + Send> Hep<R> {
    /// Reads packets of version 3 that follow each other, as they come over TCP.
    pub fn new(reader: R) -> Self {
        Self::with(reader, false)
    }

    /// Reads a packet in hexadecimal from each line.
    pub fn hex(reader: R) -> Self {
        Self::with(reader, true)
    }

    fn with(reader: R, hex: bool) -> Self {
        let format = if hex { "HEP in hexadecimal" } else { "HEP" };
        let summary = Summary { format: format.to_owned(), ..Summary::default() };
        let piece = vec![0; PIECE].into_boxed_slice();
        Self { reader, piece, buffer: Vec::new(), taken: 0, over: false, hex, last: Instant::ZERO, summary }
    }

    /// The next packet that is whole: where it begins in the buffer, and how long it is. `None` at the end.
    fn frame(&mut self) -> io::Result<Option<(usize, usize)>> {
        loop {
            let ahead = self.buffer.get(self.taken..).unwrap_or_default();
            let found = if self.hex { line(ahead, self.over) } else { packet(ahead) };
            match found {
                Found::Whole(length) => return Ok(Some((self.taken, length))),
                Found::Nonsense(length) => {
                    self.taken += length;
                    self.summary.skip_many("bytes that are no HEP", length as u64);
                }
                Found::Part if self.over => {
                    let begun = memchr::memmem::find(ahead, MAGIC);
                    let nonsense = begun.unwrap_or(ahead.len());
                    if nonsense > 0 {
                        self.summary.skip_many("bytes that are no HEP", nonsense as u64);
                    }
                    if begun.is_some() {
                        self.summary.skip("packets that break off");
                        self.summary.cut = true;
                    }
                    self.taken = self.buffer.len();
                    return Ok(None);
                }
                Found::Part => self.fill()?,
            }
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        let more = loop {
            match self.reader.read(&mut self.piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break 0,
                Err(error) => return Err(error),
                Ok(more) => break more,
            }
        };
        self.buffer.extend_from_slice(self.piece.get(..more).unwrap_or_default());
        self.over = more == 0;
        self.summary.bytes += more as u64;
        Ok(())
    }
}

impl<R: Read + Send> Source for Hep<R> {
    fn next(&mut self) -> Option<Result<Item, ReadError>> {
        loop {
            let (begin, length) = match self.frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return None,
                Err(error) => {
                    (self.taken, self.over) = (self.buffer.len(), true);
                    return Some(Err(error.into()));
                }
            };
            self.taken = begin + length;
            let bytes = self.buffer.get(begin..begin + length).unwrap_or_default();
            let decoded = self.hex.then(|| decoded(bytes));
            if decoded.as_ref().is_some_and(Vec::is_empty) {
                continue;
            }
            if let Some(item) = item(decoded.as_deref().unwrap_or(bytes), &mut self.last, &mut self.summary) {
                return Some(Ok(item));
            }
        }
    }

    fn summary(&self) -> Summary {
        self.summary.clone()
    }
}

/// The message that a packet carries; what is none is counted.
pub(super) fn item(bytes: &[u8], last: &mut Instant, summary: &mut Summary) -> Option<Item> {
    summary.records += 1;
    let Some(carried) = payload(bytes) else {
        summary.skip("packets that are no HEP");
        return None;
    };
    if !carried.is_sip() {
        summary.skip("HEP packets that carry no SIP");
        return None;
    }
    summary.messages += 1;
    let at = carried.at.unwrap_or(*last);
    *last = at;
    Some(Item::Sip(Packet {
        at,
        from: carried.from,
        to: carried.to,
        transport: carried.transport.unwrap_or(Transport::Udp),
        payload: carried.payload.into_owned(),
        place: Place { source: 0, number: summary.records },
        cut: false,
    }))
}

/// What stands at the beginning of what was read.
enum Found {
    Whole(usize),
    Nonsense(usize),
    /// More must be read to know.
    Part,
}

fn packet(ahead: &[u8]) -> Found {
    if ahead.len() < HEADER {
        return Found::Part;
    }
    match length(ahead) {
        Some(length) if length <= ahead.len() => Found::Whole(length),
        Some(_) => Found::Part,
        None => {
            let rest = ahead.get(1..).unwrap_or_default();
            let next = memchr::memmem::find(rest, MAGIC);
            // The end of what is there may be the beginning of the next.
            Found::Nonsense(next.map_or(ahead.len() - (MAGIC.len() - 1), |next| next + 1))
        }
    }
}

fn line(ahead: &[u8], over: bool) -> Found {
    match memchr::memchr(b'\n', ahead) {
        Some(at) if at <= LONGEST_LINE => Found::Whole(at + 1),
        _ if ahead.len() > LONGEST_LINE => Found::Nonsense(LONGEST_LINE),
        _ if over && !ahead.is_empty() => Found::Whole(ahead.len()),
        _ => Found::Part,
    }
}

/// The bytes of a line of hexadecimal, in which anything may separate them.
fn decoded(line: &[u8]) -> Vec<u8> {
    let mut digits = line.iter().filter_map(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(line.len() / 2);
    while let (Some(high), Some(low)) = (digits.next(), digits.next()) {
        bytes.push(u8::try_from(high << 4 | low).unwrap_or_default());
    }
    bytes
}

/// Whether a file that begins like this holds HEP packets.
pub(crate) fn begins(start: &[u8]) -> bool {
    length(start).is_some()
}

/// Whether the first line of a file is a HEP packet in hexadecimal.
pub(crate) fn begins_in_hex(start: &[u8]) -> bool {
    let line = start.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
    let hex = line.iter().all(|byte| byte.is_ascii_hexdigit() || b" :\r\t".contains(byte));
    let bytes = if hex { decoded(line.get(..line.len().min(256)).unwrap_or_default()) } else { Vec::new() };
    begins(&bytes)
        || matches!(bytes.as_slice(), [1 | 2, 8..=60, 2 | 10 | 28 | 30, 6 | 17, _, _, _, _, _, _, _, _, ..])
}

const PIECE: usize = 1 << 14;
const LONGEST_LINE: usize = 1 << 18;
