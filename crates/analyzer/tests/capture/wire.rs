//! Captures made by hand: a call, the packets that carry it, the frames around them, the file around those.

use std::net::SocketAddr;

use etherparse::PacketBuilder;
use midcall_analyzer::source::pcap::{Keys, Pcap};
use midcall_analyzer::source::{Item, Packet, Source, Summary};

pub(crate) const ETHERNET: u32 = 1;
pub(crate) const RAW: u32 = 101;

pub(crate) fn v4() -> [SocketAddr; 2] {
    ["192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5070".parse().unwrap()]
}

pub(crate) fn v6() -> [SocketAddr; 2] {
    ["[2001:db8::1]:5060".parse().unwrap(), "[2001:db8::2]:5070".parse().unwrap()]
}

/// The messages of a call, and whether the caller sends each.
pub(crate) fn call() -> Vec<(bool, Vec<u8>)> {
    let sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\n";
    let message = |start: &str, cseq: &str, body: &str| {
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{start}\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{cseq}\r\nFrom: <sip:alice@example.com>;tag=a\r\n\
             To: <sip:bob@example.com>;tag=b\r\nCall-ID: call-1\r\nCSeq: {cseq}\r\nContact: <sip:alice@192.0.2.1>\r\n\
             {kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    };
    let padded =
        format!("{sdp}{}", "a=comment:this description is long enough for two fragments\r\n".repeat(24));
    vec![
        (true, message("INVITE sip:bob@example.com SIP/2.0", "1 INVITE", &padded)),
        (false, message("SIP/2.0 100 Trying", "1 INVITE", "")),
        (false, message("SIP/2.0 180 Ringing", "1 INVITE", "")),
        (false, message("SIP/2.0 200 OK", "1 INVITE", sdp)),
        (true, message("ACK sip:bob@example.com SIP/2.0", "1 ACK", "")),
        // A piece of a message in the body of another.
        (false, message("NOTIFY sip:alice@example.com SIP/2.0", "7 NOTIFY", "SIP/2.0 200 OK\r\n")),
        (true, message("SIP/2.0 200 OK", "7 NOTIFY", "")),
        (true, message("BYE sip:bob@example.com SIP/2.0", "2 BYE", "")),
        (false, message("SIP/2.0 200 OK", "2 BYE", "")),
    ]
}

/// What a message of a capture must be.
pub(crate) type Line = (SocketAddr, SocketAddr, Vec<u8>);

/// The call as it must be read between these ends.
pub(crate) fn lines(ends: [SocketAddr; 2]) -> Vec<Line> {
    call()
        .into_iter()
        .map(|(forth, bytes)| (ends[usize::from(!forth)], ends[usize::from(forth)], bytes))
        .collect()
}

/// A UDP datagram in an IP packet.
pub(crate) fn udp(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    let (source, destination) = (from.port(), to.port());
    match (from, to) {
        (SocketAddr::V4(from), SocketAddr::V4(to)) => {
            PacketBuilder::ipv4(from.ip().octets(), to.ip().octets(), 64)
                .udp(source, destination)
                .write(&mut packet, payload)
        }
        (SocketAddr::V6(from), SocketAddr::V6(to)) => {
            PacketBuilder::ipv6(from.ip().octets(), to.ip().octets(), 64)
                .udp(source, destination)
                .write(&mut packet, payload)
        }
        _ => unreachable!("both ends are of one family"),
    }
    .unwrap();
    packet
}

/// The call in datagrams.
pub(crate) fn datagrams(ends: [SocketAddr; 2]) -> Vec<Vec<u8>> {
    lines(ends).into_iter().map(|(from, to, bytes)| udp(from, to, &bytes)).collect()
}

/// An IPv4 packet around anything.
pub(crate) fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4([198, 51, 100, 1], [198, 51, 100, 2], 64)
        .write(&mut packet, protocol.into(), payload)
        .unwrap();
    packet
}

/// An Ethernet frame around anything.
pub(crate) fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    [&[2; 6][..], &[4; 6], &kind.to_be_bytes(), payload].concat()
}

/// The EtherType of an IP packet.
pub(crate) fn kind(packet: &[u8]) -> u16 {
    if packet[0] >> 4 == 4 { 0x0800 } else { 0x86dd }
}

/// Frames, a millisecond apart from 100 s on, in a classic file.
pub(crate) fn pcap(link: u32, frames: &[Vec<u8>]) -> Vec<u8> {
    let timed: Vec<_> =
        frames.iter().zip(0..).map(|(frame, nth)| (100_000_000 + 1_000 * nth, frame.clone())).collect();
    pcap_at(link, &timed)
}

/// Frames and their times in microseconds, in a classic file.
pub(crate) fn pcap_at(link: u32, frames: &[(u64, Vec<u8>)]) -> Vec<u8> {
    classic(0xa1b2_c3d4, false, link, frames)
}

/// A classic file of any kind.
pub(crate) fn classic(magic: u32, big: bool, link: u32, frames: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let mut file = Vec::new();
    for value in [magic, if big { 0x0002_0004 } else { 0x0004_0002 }, 0, 0, 65_535, link] {
        file.extend(word(value));
    }
    for (at, frame) in frames {
        let length = frame.len() as u32;
        let fraction = (at % 1_000_000) as u32;
        let fraction = if magic == 0xa1b2_3c4d { fraction * 1_000 } else { fraction };
        for value in [(at / 1_000_000) as u32, fraction, length, length] {
            file.extend(word(value));
        }
        if magic == 0xa1b2_cd34 {
            file.extend([0; 8]);
        }
        file.extend(frame);
    }
    file
}

/// Blocks of a pcapng file.
#[derive(Clone)]
pub(crate) struct Ng {
    pub(crate) file: Vec<u8>,
    big: bool,
}

impl Ng {
    pub(crate) fn new(big: bool) -> Self {
        Self { file: Vec::new(), big }.section()
    }

    fn word(&self, value: u32) -> [u8; 4] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn words(&self, values: &[u32]) -> Vec<u8> {
        values.iter().flat_map(|value| self.word(*value)).collect()
    }

    pub(crate) fn block(mut self, kind: u32, body: &[u8]) -> Self {
        let padding = (4 - body.len() % 4) % 4;
        let length = (12 + body.len() + padding) as u32;
        let head = self.words(&[kind, length]);
        self.file.extend(head);
        self.file.extend(body);
        self.file.extend(&[0; 4][..padding]);
        let end = self.word(length);
        self.file.extend(end);
        self
    }

    pub(crate) fn section(self) -> Self {
        let version = if self.big { 0x0001_0000 } else { 0x0000_0001 };
        let body = [self.words(&[0x1a2b_3c4d, version]), vec![0xff; 8]].concat();
        self.block(0x0a0d_0d0a, &body)
    }

    /// An interface, with options as they stand in the file.
    pub(crate) fn interface(self, link: u32, options: &[(u16, &[u8])]) -> Self {
        let mut body = if self.big { self.word(link << 16) } else { self.word(link) }.to_vec();
        body.extend(self.word(0));
        for (code, value) in options {
            let half = |value: u16| if self.big { value.to_be_bytes() } else { value.to_le_bytes() };
            body.extend(half(*code));
            body.extend(half(value.len() as u16));
            body.extend(*value);
            body.extend(&[0; 4][..(4 - value.len() % 4) % 4]);
        }
        if !options.is_empty() {
            body.extend([0; 4]);
        }
        self.block(1, &body)
    }

    pub(crate) fn packet(self, interface: u32, units: u64, frame: &[u8]) -> Self {
        let length = frame.len() as u32;
        let head = self.words(&[interface, (units >> 32) as u32, units as u32, length, length]);
        self.block(6, &[&head, frame].concat())
    }

    pub(crate) fn simple(self, frame: &[u8]) -> Self {
        let head = self.word(frame.len() as u32);
        self.block(3, &[&head, frame].concat())
    }

    pub(crate) fn secrets(self, log: &str) -> Self {
        let head = self.words(&[0x544c_534b, log.len() as u32]);
        self.block(10, &[&head, log.as_bytes()].concat())
    }
}

/// The messages of a file, and what was not read.
pub(crate) fn read(file: &[u8]) -> (Vec<Packet>, Summary) {
    read_with(file, Keys::default())
}

pub(crate) fn read_with(file: &[u8], keys: Keys) -> (Vec<Packet>, Summary) {
    let mut pcap = Pcap::new(file).unwrap().with_keys(keys);
    let mut messages = Vec::new();
    while let Some(item) = pcap.next() {
        if let Item::Sip(packet) = item.unwrap() {
            messages.push(packet);
        }
    }
    let summary = pcap.summary();
    assert_eq!(summary.messages, messages.len() as u64);
    (messages, summary)
}

pub(crate) fn as_lines(messages: &[Packet]) -> Vec<Line> {
    messages.iter().map(|packet| (packet.from, packet.to, packet.payload.clone())).collect()
}

/// What messages begin with: a short way to say which they are.
pub(crate) fn starts(messages: &[Packet]) -> Vec<String> {
    let start = |packet: &Packet| {
        let line = packet.payload.split(|byte| *byte == b'\r').next().unwrap_or_default();
        String::from_utf8_lossy(line).into_owned()
    };
    messages.iter().map(start).collect()
}
