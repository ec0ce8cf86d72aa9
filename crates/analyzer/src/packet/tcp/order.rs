//! Segments of one direction, put in order (RFC 9293 §3.4).

use std::collections::VecDeque;
use std::time::Duration;

use midcall_proto::time::Instant;

use super::super::Seen;
use super::super::stream::Event;

/// A stretch of the stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch<'a> {
    pub(super) seen: Seen,
    /// The number of its first byte.
    pub(super) sequence: u32,
    pub(super) data: &'a [u8],
    /// Bytes behind the data that were cut off by the capture.
    pub(super) missing: usize,
}

/// The order of one direction of a connection.
///
/// What comes too early waits until the rest is there, until the receiver has acknowledged it and the capture has had its
/// time to be out of order, or until it has waited long enough for the sender to have sent it again.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// The number of the next byte; nothing is known before a SYN or the first data of a capture that begins later.
    next: Option<u32>,
    held: VecDeque<Held>,
    bytes: usize,
    acknowledged: Option<u32>,
    end: Option<u32>,
    ended: bool,
    /// When the last bytes were captured that were given.
    last: Option<Seen>,
}

#[derive(Debug)]
struct Held {
    seen: Seen,
    sequence: u32,
    data: Vec<u8>,
    missing: usize,
}

impl Order {
    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a SYN with this number begins another connection than the one that is known.
    pub(super) fn contradicts(&self, first: u32) -> bool {
        self.next.is_some_and(|next| self.ended || ahead(next, first) < 0 || ahead(next, first) > WINDOW)
    }

    /// The stream begins with this byte.
    pub(super) fn begin(&mut self, first: u32, sink: &mut impl FnMut(Event<'_>)) {
        if self.next.is_none() {
            self.next = Some(first);
            self.drain(sink);
        }
    }

    /// The receiver has everything before this byte.
    pub(super) fn acknowledge(&mut self, number: u32) {
        if self.acknowledged.is_none_or(|before| ahead(number, before) > 0) {
            self.acknowledged = Some(number);
        }
    }

    /// The sender is done when everything before this byte is there.
    pub(super) fn end(&mut self, number: u32, sink: &mut impl FnMut(Event<'_>)) {
        self.end = Some(number);
        self.check_end(sink);
    }

    pub(super) fn take(&mut self, stretch: Stretch<'_>, sink: &mut impl FnMut(Event<'_>)) {
        if stretch.data.is_empty() && stretch.missing == 0 {
            return;
        }
        let known = self.next.or_else(|| self.held.front().map(|held| held.sequence));
        if known.is_some_and(|known| ahead(stretch.sequence, known).unsigned_abs() > WINDOW.unsigned_abs()) {
            // Another connection between the same ports, whose SYN was not captured.
            self.hurry(sink);
            sink(Event::Hole(usize::MAX));
            (self.next, self.end, self.ended, self.acknowledged) = (None, None, false, None);
        }
        match self.next {
            Some(next) if ahead(stretch.sequence, next) <= 0 => {
                self.pass(next, stretch, sink);
                self.drain(sink);
            }
            _ => self.hold(stretch, sink),
        }
        self.check_end(sink);
    }

    /// When what waits has waited long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let since = self.held.iter().map(|held| held.seen.at).min()?;
        let patience = match (self.next, self.acknowledged) {
            (None, _) => BEGINNING,
            (Some(next), Some(acknowledged)) if ahead(acknowledged, next) > 0 => DISORDER,
            _ => PATIENCE,
        };
        Some(since + patience)
    }

    /// Goes on behind the hole.
    pub(super) fn skip(&mut self, sink: &mut impl FnMut(Event<'_>)) {
        let Some(first) = self.held.front().map(|held| held.sequence) else { return };
        if let Some(next) = self.next {
            sink(Event::Hole(usize::try_from(ahead(first, next)).unwrap_or_default()));
        }
        self.next = Some(first);
        self.drain(sink);
        self.check_end(sink);
    }

    /// Gives everything that waits: nothing more will come.
    pub(super) fn hurry(&mut self, sink: &mut impl FnMut(Event<'_>)) {
        while !self.held.is_empty() {
            self.skip(sink);
        }
    }

    fn hold(&mut self, stretch: Stretch<'_>, sink: &mut impl FnMut(Event<'_>)) {
        let Stretch { seen, sequence, data, missing } = stretch;
        let at = self.held.partition_point(|held| ahead(held.sequence, sequence) < 0);
        let again =
            self.held.get(at).is_some_and(|held| held.sequence == sequence && held.data.len() >= data.len());
        if !again {
            self.bytes += data.len();
            self.held.insert(at, Held { seen, sequence, data: data.to_vec(), missing });
        }
        let most = if self.next.is_none() { MAX_BEGINNING } else { MAX_PIECES };
        if self.held.len() >= most || self.bytes > MAX_BYTES {
            self.skip(sink);
        }
    }

    fn drain(&mut self, sink: &mut impl FnMut(Event<'_>)) {
        while let (Some(next), Some(first)) = (self.next, self.held.front()) {
            if ahead(first.sequence, next) > 0 {
                return;
            }
            let Some(held) = self.held.pop_front() else { return };
            self.bytes -= held.data.len();
            let Held { seen, sequence, data, missing } = held;
            self.pass(next, Stretch { seen, sequence, data: &data, missing }, sink);
        }
    }

    /// Gives what is new in a stretch that begins at or before the next byte.
    fn pass(&mut self, next: u32, stretch: Stretch<'_>, sink: &mut impl FnMut(Event<'_>)) {
        let old = usize::try_from(ahead(next, stretch.sequence)).unwrap_or_default();
        let new = stretch.data.get(old..).unwrap_or_default();
        let missing = stretch.missing.saturating_sub(old.saturating_sub(stretch.data.len()));
        let forward = u32::try_from(new.len() + missing).unwrap_or_default();
        self.next = Some(next.wrapping_add(forward));
        if !new.is_empty() {
            // It was complete when the last of it was captured, whatever the order.
            let near = stretch.seen.at..=stretch.seen.at + PATIENCE;
            let seen = self.last.filter(|last| near.contains(&last.at)).unwrap_or(stretch.seen);
            self.last = Some(seen);
            sink(Event::Data(seen, new));
        }
        if missing > 0 {
            sink(Event::Hole(missing));
        }
    }

    fn check_end(&mut self, sink: &mut impl FnMut(Event<'_>)) {
        let reached = self.end.zip(self.next).is_some_and(|(end, next)| ahead(next, end) >= 0);
        if reached && !self.ended {
            self.ended = true;
            sink(Event::End);
        }
    }
}

/// How far one number is ahead of another, on the circle of sequence numbers.
fn ahead(number: u32, of: u32) -> i32 {
    number.wrapping_sub(of).cast_signed()
}

/// More than this apart, two stretches are not of the same stream.
const WINDOW: i32 = 1 << 24;
/// How long a capture that begins later is watched for segments that are out of order.
const BEGINNING: Duration = Duration::from_millis(20);
/// How long a capture may be out of order.
const DISORDER: Duration = Duration::from_millis(50);
/// How long a lost segment may take to be sent again.
const PATIENCE: Duration = Duration::from_secs(10);
const MAX_BEGINNING: usize = 8;
/// Stretches of one direction that wait.
const MAX_PIECES: usize = 256;
/// Bytes of one direction that wait.
const MAX_BYTES: usize = 256 << 10;
