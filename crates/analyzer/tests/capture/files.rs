//! The same call in every kind of file.

use std::io::{Read, Write};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use midcall_analyzer::source::pcap::{Pcap, container, looks_like};
use midcall_analyzer::source::{Item, ReadError, Source};

use super::wire::{
    ETHERNET, Ng, RAW, as_lines, classic, datagrams, ethernet, lines, pcap, pcap_at, read, udp, v4, v6,
};

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn classic_files_of_every_magic_and_order_are_read() {
    let frames: Vec<_> =
        datagrams(v4()).into_iter().zip(0..).map(|(frame, nth)| (5_000_000 + 1_001 * nth, frame)).collect();
    for magic in [0xa1b2_c3d4, 0xa1b2_3c4d, 0xa1b2_cd34] {
        for big in [false, true] {
            if big && magic == 0xa1b2_cd34 {
                continue;
            }
            // The upper bits of the link tell of a checksum at the end of frames.
            let (messages, summary) = read(&classic(magic, big, RAW | 0x5400_0000, &frames));
            assert_eq!(as_lines(&messages), lines(v4()), "{magic:#x}, big-endian: {big}");
            for (packet, (at, _)) in messages.iter().zip(&frames) {
                assert_eq!(packet.at.as_micros(), *at);
            }
            assert_eq!((summary.format.as_str(), summary.skipped.len()), ("pcap", 0));
        }
    }
}

#[test]
fn sections_interfaces_and_clocks_of_pcapng_are_read() {
    for big in [false, true] {
        let frames = datagrams(v4());
        let framed = |nth: usize| ethernet(0x0800, &frames[nth]);
        let offset = if big { 90_i64.to_be_bytes() } else { 90_i64.to_le_bytes() };
        let file = Ng::new(big)
            .interface(RAW, &[])
            .interface(ETHERNET, &[(9, &[9]), (14, &offset)])
            .interface(RAW, &[(9, &[0x8a])])
            .packet(0, 100_000_000, &frames[0])
            .packet(1, 10_002_000_000, &framed(1))
            .packet(2, 100 << 10 | 512, &frames[2])
            .block(4, &[0; 4])
            .block(0x7777, b"nobody knows")
            .simple(&frames[3]);
        // The next section counts its interfaces anew, and may have another byte order.
        let next =
            Ng::new(!big).interface(ETHERNET, &[]).packet(0, 101_000_000, &framed(4)).packet(7, 0, b"");
        let (messages, summary) = read(&[file.file, next.file].concat());
        assert_eq!(as_lines(&messages), lines(v4())[..5]);
        let times: Vec<_> = messages.iter().map(|packet| packet.at.as_micros()).collect();
        assert_eq!(times, [100_000_000, 100_002_000, 100_500_000, 100_500_000, 101_000_000]);
        assert_eq!(summary.skipped_for("packets of an interface that is not described"), 1);
        assert_eq!((summary.format.as_str(), summary.skipped.len()), ("pcapng", 1), "{summary:?}");
    }
}

#[test]
fn the_packet_block_of_old_is_read() {
    let frame = datagrams(v4()).remove(0);
    for big in [false, true] {
        let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let half = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let length = frame.len() as u32;
        let words: Vec<u8> = [0, 7_000_000, length, length].into_iter().flat_map(word).collect();
        let body = [&half(1)[..], &half(0xffff), &words, &frame].concat();
        let file = Ng::new(big).interface(ETHERNET, &[]).interface(RAW, &[]).block(2, &body);
        let (messages, _) = read(&file.file);
        assert_eq!(as_lines(&messages), lines(v4())[..1]);
        assert_eq!(messages[0].at.as_micros(), 7_000_000);
    }
}

#[test]
fn a_coarse_clock_is_told() {
    let frame = datagrams(v4()).remove(0);
    let of =
        |exponent: u8| read(&Ng::new(false).interface(RAW, &[(9, &[exponent])]).packet(0, 7, &frame).file);
    let (messages, summary) = of(0);
    assert_eq!((messages[0].at.as_micros(), summary.resolution), (7_000_000, Duration::from_secs(1)));
    assert_eq!(of(2).1.resolution, Duration::from_millis(10));
    assert_eq!(of(6).1.resolution, Duration::ZERO);
    // More than a number can hold.
    assert_eq!(of(100).0.len(), 1);
}

#[test]
fn packed_files_are_read_members_and_all() {
    for file in [pcap(RAW, &datagrams(v4())), {
        let ng = Ng::new(false).interface(RAW, &[]);
        datagrams(v4()).iter().fold(ng, |ng, frame| ng.packet(0, 1, frame)).file
    }] {
        let (whole, _) = read(&file);
        let (messages, summary) = read(&gzip(&file));
        assert_eq!(messages, whole);
        assert!(summary.format.ends_with("packed with gzip") && summary.skipped.is_empty(), "{summary:?}");
        let (first, second) = file.split_at(file.len() / 2);
        let members = [gzip(first), gzip(second)].concat();
        assert_eq!(read(&members).0, whole);
        assert_eq!(read(&members).1.bytes, members.len() as u64);
        let cut = &members[..members.len() - 40];
        let (messages, summary) = read(cut);
        assert!(!messages.is_empty() && messages.len() <= whole.len());
        assert_eq!(summary.skipped_for("stretches that cannot be unpacked"), 1, "{summary:?}");
    }
}

#[test]
fn damage_in_a_packed_file_costs_little_of_what_came_before_it() {
    let frames: Vec<_> = (0..300)
        .map(|nth| {
            udp(v4()[0], v4()[1], format!("OPTIONS sip:{} SIP/2.0\r\n\r\n", nth * 7_919 % 9_973).as_bytes())
        })
        .collect();
    let mut packed = gzip(&pcap(RAW, &frames));
    let at = packed.len() * 3 / 4;
    packed[at..at + 8].fill(0xff);
    let (messages, summary) = read(&packed);
    assert!((130..300).contains(&messages.len()), "{} messages", messages.len());
    assert_eq!(summary.skipped_for("stretches that cannot be unpacked"), 1, "{summary:?}");
}

#[test]
fn a_file_that_stops_anywhere_gives_what_it_has() {
    let file = pcap(RAW, &datagrams(v4())[..3]);
    let (whole, _) = read(&file);
    // Where a record ends.
    let ends: Vec<_> = (0..=3)
        .map(|n| 24 + datagrams(v4())[..n].iter().map(|frame| 16 + frame.len()).sum::<usize>())
        .collect();
    for end in (24..file.len()).step_by(3).chain(ends.iter().copied()) {
        let (messages, summary) = read(&file[..end]);
        assert_eq!(messages, whole[..messages.len()]);
        let cut = u64::from(!ends.contains(&end));
        assert_eq!(summary.skipped_for("last record cut off by the end of the file"), cut, "at {end}");
        assert_eq!(summary.records as usize, ends[1..].iter().filter(|other| **other <= end).count());
    }
}

#[test]
fn a_stretch_that_makes_no_sense_is_passed_over() {
    let frames: Vec<_> = datagrams(v4());
    let nonsense = vec![0xfe; 100];
    let file = |broken: bool, link: bool| {
        if link {
            let mut file = pcap(RAW, &frames[..4]);
            if broken {
                file.extend(&nonsense);
            }
            file.extend(
                &pcap(RAW, &frames)[24 + frames[..4].iter().map(|frame| 16 + frame.len()).sum::<usize>()..],
            );
            file
        } else {
            let add = |ng: Ng, frame: &Vec<u8>| ng.packet(0, 100_000_000, frame);
            let mut ng = frames[..4].iter().fold(Ng::new(true).interface(RAW, &[]), add);
            if broken {
                ng.file.extend(&nonsense);
            }
            frames[4..].iter().fold(ng, add).file
        }
    };
    for link in [false, true] {
        let (whole, _) = read(&file(false, link));
        let (messages, summary) = read(&file(true, link));
        assert_eq!(messages, whole);
        assert_eq!(summary.skipped_for("stretches of the file that make no sense"), 1, "{summary:?}");
        assert_eq!(summary.skipped.len(), 1);
    }
}

/// Gives a few bytes at a time, and sometimes is interrupted, as a pipe is.
struct Dribble<'b>(&'b [u8], usize);

impl Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.1 += 1;
        if self.1.is_multiple_of(3) {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
        let length = (1 + self.1 % 7).min(self.0.len()).min(buffer.len());
        let (now, later) = self.0.split_at(length);
        buffer[..length].copy_from_slice(now);
        self.0 = later;
        Ok(length)
    }
}

#[test]
fn a_pipe_gives_the_same_as_a_file() {
    for file in [pcap(RAW, &datagrams(v6())), gzip(&pcap(RAW, &datagrams(v6())))] {
        let mut source = Pcap::new(Dribble(&file, 0)).unwrap();
        let mut messages = Vec::new();
        while let Some(item) = source.next() {
            if let Item::Sip(packet) = item.unwrap() {
                messages.push(packet);
            }
        }
        assert_eq!(as_lines(&messages), lines(v6()));
    }
}

#[test]
fn files_longer_than_any_buffer_are_read_to_the_end() {
    let frame = datagrams(v4()).remove(1);
    let frames: Vec<_> = (0..20_000).map(|nth| (nth * 1_000, frame.clone())).collect();
    let (messages, summary) = read(&pcap_at(RAW, &frames));
    assert_eq!((messages.len(), summary.records, summary.skipped.len()), (20_000, 20_000, 0));
}

#[test]
fn an_error_of_the_source_is_passed_on_and_is_the_end() {
    struct Broken(bool);
    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                return Err(std::io::Error::other("the disk is gone"));
            }
            let start = pcap(RAW, &[]);
            let length = buffer.len().min(start.len());
            buffer[..length].copy_from_slice(&start[..length]);
            Ok(length)
        }
    }
    let error = Pcap::new(Broken(false)).err();
    assert!(matches!(error, Some(ReadError::Io(_))), "{error:?}");
    assert!(matches!(Pcap::open("/no/such/file"), Err(ReadError::Io(_))));
}

#[test]
fn rtp_headers_are_told_and_everything_else_is_counted() {
    let [alice, bob] = ["192.0.2.1:4000".parse().unwrap(), "192.0.2.2:4003".parse().unwrap()];
    let audio = [0x80, 0x88, 0, 9, 0, 0, 1, 0, 0, 0, 0, 7, 0xd5, 0xd5];
    let frames = [
        udp(alice, bob, &audio),
        udp(alice, bob, &[0x81, 200, 0, 1, 0, 0, 0, 1]),
        udp(alice, bob, &[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0]),
        udp(alice, bob, b"\r\n\r\n"),
        udp(alice, bob, b""),
        udp(alice, bob, &[22, 0xfe, 0xff, 0, 0, 0]),
    ];
    let file = pcap(RAW, &frames);
    let mut source = Pcap::new(&file[..]).unwrap();
    let Some(Ok(Item::Rtp(rtp))) = source.next() else { panic!("the first is RTP") };
    assert_eq!((rtp.from, rtp.to, rtp.at.as_micros(), rtp.place.number), (alice, bob, 100_000_000, 1));
    assert_eq!((rtp.payload_type, rtp.sequence, rtp.timestamp, rtp.ssrc), (8, 9, 256, 7));
    assert!(source.next().is_none());
    let summary = source.summary();
    assert_eq!((summary.media, summary.records), (1, 6));
    for (reason, count) in
        [("keep-alives", 2), ("STUN messages", 1), ("RTCP packets", 1), ("DTLS packets", 1)]
    {
        assert_eq!(summary.skipped_for(reason), count, "{reason}");
    }
}

#[test]
fn a_capture_is_known_by_its_beginning_and_what_is_none_is_named() {
    let file = pcap(RAW, &datagrams(v4()));
    let ng = Ng::new(true).interface(RAW, &[]).file;
    for start in [&file[..], &ng, &gzip(&file), &gzip(&ng)] {
        assert!(looks_like(start) && looks_like(&start[..start.len().min(300)]));
    }
    for start in [&b""[..], b"INVITE sip:bob@example.com SIP/2.0\r\n", &[0; 64], &gzip(b"a log"), b"GMBU"] {
        assert!(!looks_like(start), "{start:?}");
        assert!(Pcap::new(start).is_err());
    }
    let error = |start: &[u8]| Pcap::new(start).err().map(|error| error.to_string());
    insta::assert_snapshot!(
        [
            &b"GMBU\0\0"[..],
            b"snoop\0\0\0\0\0\0\x02",
            b"btsnoop\0\0",
            b"PK\x03\x04",
            b"\x28\xb5\x2f\xfd",
            b"\0\0\0\0LfLe",
            b"text"
        ]
        .map(|start| error(start).unwrap_or_default())
        .join("\n")
    );
    assert!(container(b"INVITE").is_none());
}
