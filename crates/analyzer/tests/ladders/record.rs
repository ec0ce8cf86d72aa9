//! Packets as a tap writes them down: a capture, HEP, a log.

use std::net::{IpAddr, SocketAddr};

use midcall_proto::flow::Transport;
use midcall_proto::time::Instant;
use midcall_testkit::capture::frames;
use midcall_testkit::network::Packet;

/// Packets in the order of a tap: when each was seen, and which it is.
pub(crate) type Seen = (Instant, usize);

/// What a tap wrote down.
#[derive(Default)]
pub(crate) struct Recording {
    pub(crate) file: Vec<u8>,
    /// The numbers of frames, or of lines, from which on a packet stands there.
    places: Vec<(u64, usize)>,
}

impl Recording {
    /// The packet that stands there.
    pub(crate) fn packet(&self, number: u64) -> Option<usize> {
        self.places.iter().rfind(|(from, _)| *from <= number).map(|(_, nth)| *nth)
    }

    fn of(file: Vec<u8>, seen: &[Seen]) -> Self {
        Self { file, places: (1..).zip(seen).map(|(number, (_, nth))| (number, *nth)).collect() }
    }
}

/// A capture.
pub(crate) fn pcap(packets: &[Packet], seen: &[Seen]) -> Recording {
    let frames = frames(packets).expect("frames");
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101] {
        file.extend(word.to_le_bytes());
    }
    for (at, nth) in seen {
        let micros = BEGUN + at.as_micros();
        let length = frames[*nth].len() as u32;
        for word in [(micros / 1_000_000) as u32, (micros % 1_000_000) as u32, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(&frames[*nth]);
    }
    Recording::of(file, seen)
}

/// What an agent sends to a collector, version 3.
pub(crate) fn hep(packets: &[Packet], seen: &[Seen]) -> Recording {
    let mut file = Vec::new();
    for (at, nth) in seen {
        let (packet, micros) = (&packets[*nth], BEGUN + at.as_micros());
        let protocol = if packet.transport == Transport::Udp { 17 } else { 6 };
        let mut chunks = Vec::new();
        let mut chunk = |kind: u16, value: &[u8]| {
            chunks.extend([0, 0]);
            chunks.extend(kind.to_be_bytes());
            chunks.extend((value.len() as u16 + 6).to_be_bytes());
            chunks.extend(value);
        };
        chunk(2, &[protocol]);
        for (address, ip, port) in [(packet.from, 3, 7), (packet.to, 4, 8)] {
            match address.ip() {
                IpAddr::V4(v4) => chunk(ip, &v4.octets()),
                IpAddr::V6(v6) => chunk(ip + 2, &v6.octets()),
            }
            chunk(port, &address.port().to_be_bytes());
        }
        chunk(9, &((micros / 1_000_000) as u32).to_be_bytes());
        chunk(10, &((micros % 1_000_000) as u32).to_be_bytes());
        chunk(11, &[1]);
        chunk(15, &packet.bytes);
        file.extend(b"HEP3");
        file.extend((chunks.len() as u16 + 6).to_be_bytes());
        file.extend(chunks);
    }
    Recording::of(file, seen)
}

/// What sngrep saves as text.
pub(crate) fn log(packets: &[Packet], seen: &[Seen]) -> Recording {
    let mut recording = Recording::default();
    let mut lines = 1;
    for (at, nth) in seen {
        let (packet, micros) = (&packets[*nth], BEGUN + at.as_micros());
        let mut record = head(micros, packet.from, packet.to).into_bytes();
        record.extend(&packet.bytes);
        record.extend(b"\n\n");
        recording.places.push((lines, *nth));
        lines += record.iter().filter(|byte| **byte == b'\n').count() as u64;
        recording.file.extend(record);
    }
    recording
}

fn head(micros: u64, from: SocketAddr, to: SocketAddr) -> String {
    let (day, second) = (14 + micros / DAY - BEGUN / DAY, micros % DAY / 1_000_000);
    let time = format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60);
    format!("2023/11/{day:02} {time}.{:06} {from} -> {to}\n", micros % 1_000_000)
}

/// 2023-11-14.
const BEGUN: u64 = 1_700_000_000_000_000;
const DAY: u64 = 86_400_000_000;
