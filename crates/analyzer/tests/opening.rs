//! Traces are opened by what they hold, and merged by time.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use midcall_analyzer::source::{Item, Merged, Opener, Packet, ReadError, Source, Summary, open};

fn sample(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats").join(file)
}

fn read(source: &mut dyn Source) -> Vec<Packet> {
    std::iter::from_fn(|| source.next())
        .map(|item| match item {
            Ok(Item::Sip(packet)) => packet,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn opened(name: &str, bytes: Vec<u8>) -> Result<Box<dyn Source>, ReadError> {
    Opener::default().read(name, Cursor::new(bytes))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_log_a_hex_file_and_packed_ones_are_told_by_their_content() {
    let log = fs::read(sample("sngrep-text.txt")).unwrap();
    let hex = fs::read(sample("hep3-udp-payloads.hex")).unwrap();
    let wide: Vec<u8> =
        String::from_utf8(log.clone()).unwrap().encode_utf16().flat_map(u16::to_le_bytes).collect();
    let hep: Vec<u8> = hex
        .split(|byte| *byte == b'\n')
        .flat_map(|line| line.chunks_exact(2))
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let mut expected: Option<Vec<Vec<u8>>> = None;
    for (bytes, format) in [
        (gzip(&log), "sngrep text, packed with gzip"),
        (wide, "sngrep text"),
        (hex.clone(), "HEP in hexadecimal"),
        (gzip(&hex), "HEP in hexadecimal, packed with gzip"),
        (hep, "HEP"),
        (log, "sngrep text"),
    ] {
        let length = bytes.len() as u64;
        let mut source = opened("a file", bytes).unwrap();
        let packets = read(&mut source);
        let payloads: Vec<_> = packets.iter().map(|packet| packet.payload.clone()).collect();
        assert_eq!(&payloads, expected.get_or_insert(payloads.clone()), "{format}");
        assert_eq!(packets[0].at.as_micros(), 1_793_361_600_123_456, "{format}");
        let summary = source.summary();
        assert_eq!((summary.format.as_str(), summary.name.as_str()), (format, "a file"));
        assert_eq!((summary.messages, summary.bytes), (3, length), "{format}");
    }
}

#[test]
fn a_packed_log_that_breaks_off_gives_what_it_has() {
    let log = fs::read(sample("sngrep-text.txt")).unwrap().repeat(50);
    let packed = gzip(&log);
    let mut source = opened("a file", packed[..packed.len() - 20].to_vec()).unwrap();
    let mut messages = 0;
    while let Some(Ok(_)) = source.next() {
        messages += 1;
    }
    assert!(messages > 3, "{messages}");
}

#[test]
fn what_is_nothing_of_ours_is_refused() {
    for bytes in [Vec::new(), vec![0; 2000], (0..=255).cycle().take(5000).collect(), gzip(&[7; 99])] {
        assert!(matches!(opened("x", bytes), Err(ReadError::Unknown)));
    }
    // That a text holds no message is known at its end.
    let mut source = opened("x", b"just a text\n".repeat(10_000)).unwrap();
    assert!(matches!(source.next(), Some(Err(ReadError::Unknown))));
    assert!(source.next().is_none());
    assert_eq!(source.summary().format, "text");
    assert!(matches!(open("/no/such/file"), Err(ReadError::Io(_))));
    assert!(matches!(open("hep:udp:nowhere"), Err(ReadError::Io(_))));
}

fn source(file: &str) -> Box<dyn Source> {
    open(sample(file).to_str().unwrap()).unwrap()
}

/// The same messages as those of another call.
fn of_another_call(file: &str) -> Box<dyn Source> {
    let log = String::from_utf8(fs::read(sample(file)).unwrap()).unwrap();
    opened(file, log.replace("fmt-1@", "fmt-2@").into_bytes()).unwrap()
}

#[test]
fn files_merge_by_time_and_name_their_source() {
    let mut merged = Merged::new(vec![source("sngrep-text.txt"), of_another_call("homer-text.txt")]);
    let packets = read(&mut merged);
    let order: Vec<_> = packets.iter().map(|packet| packet.place.source).collect();
    assert_eq!(order, [1, 0, 1, 0, 1, 0]);
    assert!(packets.is_sorted_by_key(|packet| packet.at));
    let formats: Vec<_> = merged.summaries().into_iter().map(|summary| summary.format).collect();
    assert_eq!(formats, ["sngrep text", "HOMER text"]);
    assert_eq!(merged.summary().messages, 6);
}

/// Each format shows the messages a little differently: not its lines, but what they are made of counts.
#[test]
fn several_logs_of_one_call_give_its_messages_once() {
    let files = ["sngrep-text.txt", "homer-text.txt", "kamailio-sipdump.txt", "ngrep-normal.txt"];
    for first in files {
        for second in files.into_iter().filter(|second| *second != first) {
            let mut merged = Merged::new(vec![source(first), source(second)]);
            assert_eq!(read(&mut merged).len(), 3, "{first} and {second}");
            let copies = |summary: &Summary| summary.skipped_for("packets that another source has too");
            assert_eq!(merged.summaries().iter().map(copies).sum::<u64>(), 3);
        }
    }
}

/// One tap of a call whose clock is 20 s fast: its times are put right, and that is told.
#[test]
fn a_wrong_clock_is_told() {
    let log = fs::read_to_string(sample("sngrep-text.txt")).unwrap();
    let late = opened("late.txt", log.replace("12:00:0", "12:00:2").into_bytes()).unwrap();
    let mut merged = Merged::new(vec![source("sngrep-text.txt"), late]);
    assert_eq!(read(&mut merged).len(), 3);
    let fast: Vec<_> = merged.summaries().iter().map(|summary| summary.clock_fast).collect();
    assert_eq!(fast, [0, 20_000_000]);
}

#[test]
fn logs_without_date_or_year_are_moved_to_the_dated_ones() {
    for file in ["freeswitch-sofia.txt", "oracle-sipmsg.txt", "pjsua.txt"] {
        let mut merged = Merged::new(vec![of_another_call(file), source("sngrep-text.txt")]);
        let packets = read(&mut merged);
        assert_eq!(packets.len(), 6, "{file}");
        let at = |nth: usize| packets[nth].at.as_micros();
        assert!(at(5) - at(0) < 1_000_000 && at(0) >= 1_793_361_600_000_000, "{file}: {} {}", at(0), at(5));
    }
    // Nothing tells where this one belongs.
    let mut merged = Merged::new(vec![source("sngrep-text.txt"), source("raw-sip.txt")]);
    assert_eq!(read(&mut merged)[0].at.as_micros(), 0);
}

#[test]
fn a_log_of_whole_seconds_keeps_its_own_order() {
    let mut merged = Merged::new(vec![source("homer-text.txt"), of_another_call("opensips-tracer-file.txt")]);
    let packets = read(&mut merged);
    let own: Vec<_> = packets.iter().filter(|packet| packet.place.source == 1).collect();
    assert!(own.is_sorted_by_key(|packet| packet.place.number));
    assert_eq!(merged.summary().resolution, Duration::from_secs(1));
}

/// Agents copy what they see to a collector; a capture of that path holds the messages as they went between the parties.
#[test]
fn a_capture_of_what_agents_send_to_a_collector_gives_what_they_saw() {
    let hex = fs::read(sample("hep3-udp-payloads.hex")).unwrap();
    let plain = read(&mut opened("a file", hex.clone()).unwrap());
    let mut capture = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101] {
        capture.extend(word.to_le_bytes());
    }
    for line in hex.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let pairs = line.chunks_exact(2).map(|pair| std::str::from_utf8(pair).unwrap());
        let hep: Vec<u8> = pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
        let mut packet = Vec::new();
        let ip = etherparse::PacketBuilder::ipv4([10, 9, 9, 1], [10, 9, 9, 2], 64);
        ip.udp(9060, 9060).write(&mut packet, &hep).unwrap();
        let length = u32::try_from(packet.len()).unwrap();
        for word in [1, 0, length, length] {
            capture.extend(word.to_le_bytes());
        }
        capture.extend(packet);
    }
    let packed = read(&mut opened("a capture", capture).unwrap());
    let facts = |packets: &[Packet]| -> Vec<_> {
        packets.iter().map(|packet| (packet.at, packet.from, packet.to, packet.payload.clone())).collect()
    };
    assert_eq!(plain.len(), 3);
    assert_eq!(facts(&packed), facts(&plain));
}
