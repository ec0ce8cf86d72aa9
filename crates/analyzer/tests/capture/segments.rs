//! TCP connections made by hand.

use std::net::SocketAddr;

use etherparse::PacketBuilder;

use super::wire::{RAW, pcap_at};

/// Segments between two ends.
#[derive(Clone)]
pub(crate) struct Segments {
    ends: [SocketAddr; 2],
    /// The next number of each end.
    next: [u32; 2],
    /// Microseconds.
    pub(crate) now: u64,
    pub(crate) frames: Vec<(u64, Vec<u8>)>,
}

#[derive(Clone, Copy, Default)]
struct Flags {
    syn: bool,
    ack: bool,
    fin: bool,
    rst: bool,
}

impl Segments {
    /// A connection whose beginning was not captured; the numbers overflow soon.
    pub(crate) fn within(ends: [SocketAddr; 2]) -> Self {
        Self { ends, next: [u32::MAX - 700, 5_000], now: 100_000_000, frames: Vec::new() }
    }

    /// A connection from its handshake on.
    pub(crate) fn open(ends: [SocketAddr; 2]) -> Self {
        Self::within(ends).handshake()
    }

    pub(crate) fn handshake(mut self) -> Self {
        for (side, ack) in [(0, false), (1, true)] {
            self.write(side, self.next[side], Flags { syn: true, ack, ..Flags::default() }, b"");
            self.next[side] = self.next[side].wrapping_add(1);
        }
        self
    }

    fn write(&mut self, side: usize, number: u32, flags: Flags, data: &[u8]) {
        let (from, to) = (self.ends[side], self.ends[1 - side]);
        let mut packet = Vec::new();
        let acknowledges = self.next[1 - side];
        macro_rules! write {
            ($builder:expr) => {{
                let mut builder = $builder.tcp(from.port(), to.port(), number, 8_192);
                if flags.syn {
                    builder = builder.syn();
                }
                if flags.ack {
                    builder = builder.ack(acknowledges);
                }
                if flags.fin {
                    builder = builder.fin();
                }
                if flags.rst {
                    builder = builder.rst();
                }
                builder.write(&mut packet, data).unwrap();
            }};
        }
        match (from, to) {
            (SocketAddr::V4(from), SocketAddr::V4(to)) => {
                write!(PacketBuilder::ipv4(from.ip().octets(), to.ip().octets(), 64));
            }
            (SocketAddr::V6(from), SocketAddr::V6(to)) => {
                write!(PacketBuilder::ipv6(from.ip().octets(), to.ip().octets(), 64));
            }
            _ => unreachable!("both ends are of one family"),
        }
        self.frames.push((self.now, packet));
        self.now += 1_000;
    }

    /// The next bytes of a side (0 opened the connection).
    pub(crate) fn send(&mut self, side: usize, data: &[u8]) {
        self.put(side, 0, data);
        self.next[side] = self.next[side].wrapping_add(data.len() as u32);
    }

    /// Bytes so far behind the next, which stays where it is.
    pub(crate) fn put(&mut self, side: usize, offset: i32, data: &[u8]) {
        let number = self.next[side].wrapping_add_signed(offset);
        self.write(side, number, Flags { ack: true, ..Flags::default() }, data);
    }

    /// Goes forward without a segment: what was sent is not in the capture, or was put there.
    pub(crate) fn pass(&mut self, side: usize, length: usize) {
        self.next[side] = self.next[side].wrapping_add(length as u32);
    }

    pub(crate) fn acknowledge(&mut self, side: usize) {
        self.put(side, 0, b"");
    }

    pub(crate) fn fin(&mut self, side: usize) {
        self.write(side, self.next[side], Flags { fin: true, ack: true, ..Flags::default() }, b"");
        self.next[side] = self.next[side].wrapping_add(1);
    }

    pub(crate) fn rst(&mut self, side: usize) {
        self.write(side, self.next[side], Flags { rst: true, ..Flags::default() }, b"");
    }

    pub(crate) fn wait(&mut self, millis: u64) {
        self.now += millis * 1_000;
    }

    pub(crate) fn file(&self) -> Vec<u8> {
        pcap_at(RAW, &self.frames)
    }
}
