//! Captures made to fill memory, and bytes that are no capture at all.

use std::io::Read;
use std::net::SocketAddr;

use midcall_analyzer::source::pcap::Pcap;
use midcall_analyzer::source::{Item, Source};
use proptest::prelude::*;

use super::links::{IPV4_FORMS, first_fragment};
use super::segments::Segments;
use super::tls::connection;
use super::websocket::frame;
use super::wire::{Ng, RAW, classic, datagrams, pcap, read, udp, v4};

/// A capture without end, as far as memory goes: frames made one by one.
struct Endless<F> {
    frames: F,
    rest: Vec<u8>,
    at: usize,
}

impl<F: FnMut() -> Option<Vec<u8>>> Read for Endless<F> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.rest.len() {
            let Some(frame) = (self.frames)() else { return Ok(0) };
            self.rest = pcap(RAW, &[frame]).split_off(24);
            self.at = 0;
        }
        let length = buffer.len().min(self.rest.len() - self.at);
        buffer[..length].copy_from_slice(&self.rest[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

/// The most memory that is in use while such a capture is read.
fn most(frames: impl FnMut() -> Option<Vec<u8>> + Send) -> u64 {
    let header = pcap(RAW, &[]);
    let info = allocation_counter::measure(|| {
        let mut source = Pcap::new(Endless { frames, rest: header, at: 0 }).unwrap();
        while let Some(item) = source.next() {
            assert!(!matches!(item, Ok(Item::Rtp(_)) | Err(_)));
        }
    });
    info.bytes_max
}

#[test]
fn memory_is_bounded_whatever_is_captured() {
    let ends = |nth: u32| {
        let [_, high, middle, low] = nth.to_be_bytes();
        [SocketAddr::from(([10, high, middle, low], 5060)), v4()[1]]
    };
    // First fragments of datagrams that never end.
    let mut nth = 0;
    let fragments = move || {
        nth += 1;
        (nth < 800).then(|| first_fragment(nth as u16, &[b'x'; 60_000]))
    };
    // Segments behind a hole, on many connections.
    let mut nth = 0_u32;
    let holes = move || {
        nth += 1;
        (nth < 3_600).then(|| {
            let mut segments = Segments::open(ends(nth / 3));
            segments.put(0, 1_000 * (nth % 3 + 1) as i32, &[b'x'; 60_000]);
            segments.frames.swap_remove(if nth.is_multiple_of(3) { 0 } else { 2 }).1
        })
    };
    // The beginnings of messages that never end.
    let mut nth = 0_u32;
    let beginnings = move || {
        nth += 1;
        (nth < 3_600).then(|| {
            let mut segments = Segments::open(ends(nth / 2));
            if nth.is_multiple_of(2) {
                return segments.frames.swap_remove(0).1;
            }
            segments = Segments::open(ends(nth / 2));
            segments.send(
                0,
                &[&b"INVITE sip:bob@example.com SIP/2.0\r\nSubject: "[..], &[b'x'; 60_000]].concat(),
            );
            segments.frames.swap_remove(2).1
        })
    };
    for (name, most) in
        [("fragments", most(fragments)), ("holes", most(holes)), ("beginnings", most(beginnings))]
    {
        assert!(most > 8 << 20, "{name}: {most} bytes are no test");
        assert!(most < BOUND, "{name}: {most} bytes");
    }
}

#[test]
fn a_packed_file_is_never_unpacked_at_once() {
    use std::io::Write;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&pcap(RAW, &[])).unwrap();
    // A record as long as a record may be, and then zeros without end.
    for _ in 0..80 {
        packed.write_all(&[0; 1 << 20]).unwrap();
    }
    let file = packed.finish().unwrap();
    let info = allocation_counter::measure(|| drop(read(&file)));
    assert!(info.bytes_max < 64 << 20, "{} bytes", info.bytes_max);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_behind_a_header_are_counted(bytes in prop::collection::vec(any::<u8>(), 0..3_000), ng in any::<bool>()) {
        let header = if ng { Ng::new(false).interface(RAW, &[]).file } else { pcap(RAW, &[]) };
        read(&[header, bytes].concat());
    }

    #[test]
    fn any_bytes_are_a_frame_of_any_link(bytes in prop::collection::vec(any::<u8>(), 0..200), link in 0_u32..300) {
        let (messages, summary) = read(&classic(0xa1b2_c3d4, true, link, &[(0, bytes)]));
        prop_assert!(messages.is_empty());
        prop_assert!(summary.records == 1);
    }

    #[test]
    fn any_bytes_are_a_datagram_or_a_stream(bytes in prop::collection::vec(any::<u8>(), 0..400), port in any::<u16>()) {
        let to = SocketAddr::new(v4()[1].ip(), port);
        read(&pcap(RAW, &[udp(v4()[0], to, &bytes)]));
        let mut segments = Segments::open([v4()[0], to]);
        segments.send(0, &bytes);
        read(&segments.file());
    }
}

/// Writes one small capture of each shape.
#[test]
#[ignore = "writes the seeds of the fuzz target `pcap`"]
fn seeds() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/pcap");
    let write = |name: &str, file: &[u8]| {
        let name = name.replace(|byte: char| !byte.is_ascii_alphanumeric(), "-");
        std::fs::write(folder.join(name), file).unwrap();
    };
    let message = |n: u8| {
        let text = format!(
            "OPTIONS sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK{n}\r\nContent-Length: 2\r\n\r\nok"
        );
        text.into_bytes()
    };
    for (name, link, wrap) in IPV4_FORMS {
        // Long enough for two fragments where it is cut.
        let payload = if name.contains("fragment") {
            datagrams(v4()).remove(0)
        } else {
            udp(v4()[0], v4()[1], &message(1))
        };
        write(name, &pcap(*link, &wrap(payload)));
    }
    let mut segments = Segments::open(v4());
    for n in 0..3 {
        segments.send(0, &message(n)[..40]);
        segments.put(0, 20, &message(n)[60..]);
        segments.send(0, &message(n)[40..60]);
        segments.pass(0, message(n).len() - 60);
    }
    segments.pass(0, 100);
    segments.send(0, &message(4));
    segments.rst(1);
    segments.fin(0);
    write("tcp", &segments.file());
    let mut socket = Segments::open(v4());
    socket.send(0, b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n");
    socket.send(0, &frame(0x01, true, &message(1)[..30]));
    socket.send(0, &frame(0x80, true, &message(1)[30..]));
    socket.send(1, b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\n\r\n");
    socket.send(1, &frame(0x82, false, &message(2)));
    write("websocket", &socket.file());
    for (nth, (log, frames)) in connection(&message(1)).into_iter().enumerate() {
        let start = Ng::new(nth % 2 == 0).interface(RAW, &[]).secrets(&log);
        write(
            &format!("tls-{nth}"),
            &frames.iter().fold(start, |ng, (at, frame)| ng.packet(0, *at, frame)).file,
        );
    }
    let frame = udp(v4()[0], v4()[1], &message(1));
    let ng = Ng::new(true).interface(RAW, &[(9, &[9]), (14, &[0; 8])]).packet(0, 1, &frame).simple(&frame);
    write(
        "pcapng",
        &[ng.file, Ng::new(false).interface(RAW, &[(9, &[0x8a])]).packet(0, 1, &frame).file].concat(),
    );
    write("nanoseconds", &classic(0xa1b2_3c4d, true, RAW, &[(1, frame.clone())]));
    write("modified", &classic(0xa1b2_cd34, false, RAW, &[(1, frame.clone())]));
    let packed = super::files::gzip(&pcap(RAW, &[frame]));
    write("gzip", &[&packed[..], &packed].concat());
}

/// What `packet` says that it holds at most, with what the file needs.
const BOUND: u64 = 256 << 20;
