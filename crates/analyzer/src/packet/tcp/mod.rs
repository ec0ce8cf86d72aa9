//! TCP connections: their segments put in order, and what the streams are made of told by their content.

mod order;

use std::net::{IpAddr, SocketAddr};

use midcall_proto::time::{Deadlines, Instant};

use super::aging::Aging;
use super::ip::Ip;
use super::stream::{Event, Path, Stream};
use super::tls::{Keys, Session};
use super::{Out, Reason, Seen, be16, be32};
use order::{Order, Stretch};

/// A TCP segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    from: SocketAddr,
    to: SocketAddr,
    sequence: u32,
    acknowledges: Option<u32>,
    syn: bool,
    fin: bool,
    rst: bool,
    data: &'a [u8],
    missing: usize,
}

impl<'a> Segment<'a> {
    pub(super) fn read(packet: &Ip<'a>) -> Option<Self> {
        let bytes = packet.payload;
        let flags = *bytes.get(13)?;
        let header = usize::from(*bytes.get(12)? >> 4) * 4;
        if header < 20 {
            return None;
        }
        let (data, missing) = match bytes.get(header..) {
            Some(data) => (data, packet.missing),
            // The capture ends within the options.
            None => (&[][..], (bytes.len() + packet.missing).checked_sub(header)?),
        };
        Some(Self {
            from: SocketAddr::new(packet.from, be16(bytes, 0)?),
            to: SocketAddr::new(packet.to, be16(bytes, 2)?),
            sequence: be32(bytes, 4)?,
            acknowledges: if flags & 0x10 == 0 { None } else { be32(bytes, 8) },
            syn: flags & 0x02 != 0,
            fin: flags & 0x01 != 0,
            rst: flags & 0x04 != 0,
            data,
            missing,
        })
    }

    fn is_empty(&self) -> bool {
        self.data.is_empty() && self.missing == 0
    }
}

/// The connections that are known.
#[derive(Debug)]
pub(super) struct Connections {
    table: Aging<Key, Connection>,
    /// When to look after those of which something waits.
    waiting: Deadlines<Key>,
    held: usize,
}

/// Both ends of a connection, the lower one first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct Key {
    addresses: [IpAddr; 2],
    ports: [u16; 2],
}

impl Key {
    /// The connection between two ends, and whether the first is the lower one.
    fn of(from: SocketAddr, to: SocketAddr) -> (Self, bool) {
        let is_low = (from.ip(), from.port()) <= (to.ip(), to.port());
        let (low, high) = if is_low { (from, to) } else { (to, from) };
        (Self { addresses: [low.ip(), high.ip()], ports: [low.port(), high.port()] }, is_low)
    }

    /// The ends, in the direction in which the lower one sends.
    fn ends(self) -> (SocketAddr, SocketAddr) {
        let ([low, high], [low_port, high_port]) = (self.addresses, self.ports);
        (SocketAddr::new(low, low_port), SocketAddr::new(high, high_port))
    }
}

#[derive(Debug, Default)]
struct Connection {
    low: Half,
    high: Half,
    session: Option<Box<Session>>,
    /// It is among those to be looked after.
    queued: bool,
}

/// One direction.
#[derive(Debug, Default)]
struct Half {
    order: Order,
    stream: Stream,
}

impl Half {
    fn held(&self) -> usize {
        self.order.bytes() + self.stream.held()
    }

    /// Whether something waits or may still come that is worth reading.
    fn is_open(&self) -> bool {
        self.order.bytes() > 0 || self.stream.is_open()
    }
}

impl Connections {
    pub(super) fn new() -> Self {
        Self { table: Aging::new(MAX_CONNECTIONS / 2), waiting: Deadlines::new(), held: 0 }
    }

    pub(super) fn take(&mut self, seen: Seen, segment: &Segment<'_>, out: &mut Out, keys: &Keys) {
        let (key, is_low) = Key::of(segment.from, segment.to);
        let begins = !segment.is_empty() || segment.syn;
        if begins && self.table.is_full() && !self.table.is_young(&key) {
            self.rotate(out, keys);
        }
        let connection = if begins {
            self.table.touch_or_insert(key)
        } else {
            let Some(connection) = self.table.touch(&key) else { return };
            connection
        };
        self.held -= connection.held();
        connection.take(seen, segment, is_low, key, out, keys);
        let deadline = connection.deadline().filter(|_| !connection.queued);
        connection.queued |= deadline.is_some();
        self.held += connection.held();
        if let Some(deadline) = deadline {
            self.waiting.set(deadline, key);
        }
        if self.held > MAX_HELD {
            self.rotate(out, keys);
        }
    }

    /// Gives up what has waited long enough.
    pub(super) fn expire(&mut self, now: Instant, out: &mut Out, keys: &Keys) {
        while let Some((_, key)) = self.waiting.pop_due(now) {
            let Some(connection) = self.table.touch(&key) else { continue };
            self.held -= connection.held();
            connection.expire(now, key, out, keys);
            self.held += connection.held();
            let deadline = connection.deadline();
            connection.queued = deadline.is_some();
            if let Some(deadline) = deadline {
                // Never at once again: it may be in the past only if time stands still.
                self.waiting.set(deadline.max(now + TICK), key);
            }
        }
    }

    /// Nothing more will come.
    pub(super) fn finish(&mut self, out: &mut Out, keys: &Keys) {
        let mut rest: Vec<_> = self.table.drain().collect();
        rest.sort_by_key(|(key, _)| *key);
        for (key, mut connection) in rest {
            connection.finish(key, out, keys);
        }
        self.held = 0;
    }

    /// Forgets the connections that were not used for longest.
    fn rotate(&mut self, out: &mut Out, keys: &Keys) {
        let mut gone: Vec<_> = self.table.rotate().into_iter().collect();
        gone.sort_by_key(|(key, _)| *key);
        for (key, mut connection) in gone {
            self.held -= connection.held();
            if connection.low.is_open() || connection.high.is_open() {
                out.counts.add(Reason::Forgotten);
            }
            connection.finish(key, out, keys);
        }
    }
}

impl Connection {
    fn held(&self) -> usize {
        self.low.held() + self.high.held()
    }

    fn take(
        &mut self,
        seen: Seen,
        segment: &Segment<'_>,
        is_low: bool,
        key: Key,
        out: &mut Out,
        keys: &Keys,
    ) {
        let first = segment.sequence.wrapping_add(u32::from(segment.syn));
        if segment.syn {
            let sender = if is_low { &self.low } else { &self.high };
            if sender.order.contradicts(first) {
                // The ports are used again.
                let queued = self.queued;
                self.finish(key, out, keys);
                *self = Self { queued, ..Self::default() };
            }
        }
        let (low, high) = key.ends();
        let (sender, receiver, ends) = if is_low {
            (&mut self.low, &mut self.high, (low, high))
        } else {
            (&mut self.high, &mut self.low, (high, low))
        };
        if let Some(number) = segment.acknowledges {
            receiver.order.acknowledge(number);
        }
        if sender.stream.is_ignored() {
            return;
        }
        let Half { order, stream } = sender;
        let mut path = Path { ends, out, keys, session: &mut self.session };
        let mut sink = |event: Event<'_>| stream.event(event, &mut path);
        if segment.syn {
            order.begin(first, &mut sink);
        }
        let stretch = Stretch { seen, sequence: first, data: segment.data, missing: segment.missing };
        order.take(stretch, &mut sink);
        if segment.fin {
            let length = u32::try_from(segment.data.len() + segment.missing).unwrap_or_default();
            order.end(first.wrapping_add(length), &mut sink);
        }
        if segment.rst {
            order.hurry(&mut sink);
            sink(Event::End);
        }
        if segment.syn {
            stream.begins();
        }
        // What the receiver sent may have waited for what the sender said.
        if self.session.as_deref_mut().is_some_and(Session::has_news) {
            let mut path = Path { ends: (ends.1, ends.0), out, keys, session: &mut self.session };
            receiver.stream.retry(&mut path);
        }
    }

    fn each(&mut self, key: Key, out: &mut Out, keys: &Keys, mut act: impl FnMut(&mut Half, &mut Path<'_>)) {
        let (low, high) = key.ends();
        act(&mut self.low, &mut Path { ends: (low, high), out, keys, session: &mut self.session });
        act(&mut self.high, &mut Path { ends: (high, low), out, keys, session: &mut self.session });
        if self.session.as_deref_mut().is_some_and(Session::has_news) {
            let mut path = Path { ends: (low, high), out, keys, session: &mut self.session };
            self.low.stream.retry(&mut path);
        }
    }

    fn expire(&mut self, now: Instant, key: Key, out: &mut Out, keys: &Keys) {
        self.each(key, out, keys, |half, path| {
            while half.order.deadline().is_some_and(|deadline| deadline <= now) {
                let Half { order, stream } = half;
                order.skip(&mut |event| stream.event(event, path));
            }
        });
    }

    fn finish(&mut self, key: Key, out: &mut Out, keys: &Keys) {
        self.each(key, out, keys, |half, path| {
            let Half { order, stream } = half;
            order.hurry(&mut |event| stream.event(event, path));
        });
        self.each(key, out, keys, |half, path| half.stream.event(Event::End, path));
    }

    fn deadline(&self) -> Option<Instant> {
        let (low, high) = (self.low.order.deadline(), self.high.order.deadline());
        low.into_iter().chain(high).min()
    }
}

/// Connections that are remembered, closed ones included: what is sent again after the end is no news.
const MAX_CONNECTIONS: usize = 65_536;
/// Bytes that wait in all of them.
const MAX_HELD: usize = 64 << 20;
/// The least time between two looks at the same connection.
const TICK: std::time::Duration = std::time::Duration::from_millis(1);
