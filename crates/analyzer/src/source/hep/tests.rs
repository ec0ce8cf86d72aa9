use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use midcall_testkit::pieces::Pieces;

use super::live::{Live, Stop};
use super::*;
use crate::source::{Item, Packet, Source, Summary};

const MESSAGE: &[u8] = b"OPTIONS sip:bob@192.0.2.20 SIP/2.0\r\nCall-ID: c1\r\nContent-Length: 0\r\n\r\n";

/// A packet of version 3 with these chunks.
fn third(chunks: &[(u16, &[u8])]) -> Vec<u8> {
    let mut packet = b"HEP3\0\0".to_vec();
    for (kind, value) in chunks {
        packet.extend([0, 0]);
        packet.extend(kind.to_be_bytes());
        packet.extend(u16::try_from(value.len() + 6).unwrap().to_be_bytes());
        packet.extend(*value);
    }
    let length = u16::try_from(packet.len()).unwrap();
    packet[4..6].copy_from_slice(&length.to_be_bytes());
    packet
}

fn usual(payload: &[u8]) -> Vec<u8> {
    third(&[
        (1, &[2]),
        (2, &[17]),
        (3, &[192, 0, 2, 10]),
        (4, &[192, 0, 2, 20]),
        (7, &5060_u16.to_be_bytes()),
        (8, &5070_u16.to_be_bytes()),
        (9, &1_793_361_600_u32.to_be_bytes()),
        (10, &123_456_u32.to_be_bytes()),
        (11, &[1]),
        (12, &2001_u32.to_be_bytes()),
        (14, b"secret"),
        (15, payload),
        (17, b"c1"),
    ])
}

fn read(mut source: impl Source) -> (Vec<Packet>, Summary) {
    let mut packets = Vec::new();
    while let Some(item) = source.next() {
        let Ok(Item::Sip(packet)) = item else { panic!("{item:?}") };
        packets.push(packet);
    }
    (packets, source.summary())
}

#[test]
fn version_3_says_everything() {
    let packet = usual(MESSAGE);
    let carried = payload(&packet).unwrap();
    assert_eq!(carried.at, Some(Instant::from_micros(1_793_361_600_123_456)));
    assert_eq!(carried.from, "192.0.2.10:5060".parse().unwrap());
    assert_eq!(carried.to, "192.0.2.20:5070".parse().unwrap());
    assert_eq!(carried.transport, Some(Transport::Udp));
    assert_eq!((carried.kind, carried.agent, carried.correlation), (1, 2001, Some(&b"c1"[..])));
    assert_eq!(carried.payload, MESSAGE);
    assert!(carried.is_sip());
}

#[test]
fn addresses_of_version_6_and_streams_are_read() {
    let packet = third(&[
        (2, &[6]),
        (5, &Ipv6Addr::LOCALHOST.octets()),
        (6, &Ipv6Addr::UNSPECIFIED.octets()),
        (7, &5060_u16.to_be_bytes()),
        (11, &[1]),
        (15, MESSAGE),
    ]);
    let carried = payload(&packet).unwrap();
    assert_eq!((carried.from, carried.to), ("[::1]:5060".parse().unwrap(), "[::]:0".parse().unwrap()));
    assert_eq!(carried.transport, Some(Transport::Tcp));
}

#[test]
fn a_compressed_payload_is_unpacked_up_to_a_bound() {
    let packed = |bytes: &[u8]| {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        third(&[(11, &[1]), (16, &encoder.finish().unwrap())])
    };
    assert_eq!(payload(&packed(MESSAGE)).unwrap().payload, MESSAGE);
    assert_eq!(payload(&packed(&vec![b'x'; 1 << 17])), None);
    assert_eq!(payload(&third(&[(11, &[1]), (16, MESSAGE)])), None);
}

#[test]
fn earlier_versions_are_read_however_their_time_was_padded() {
    for big in [false, true] {
        for (version, time, counted) in [(1, 0, 0), (2, 12, 12), (2, 12, 0), (2, 10, 10), (2, 10, 0)] {
            for (family, address) in [(2, 4), (10, 16), (30, 16)] {
                let base = 8 + 2 * address;
                let length = u8::try_from(base + counted).unwrap();
                let mut packet = vec![version, length, family, 17, 0x13, 0xc4, 0x13, 0xce];
                packet.resize(base, 1);
                let turn = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
                packet.extend([turn(1_793_361_600), turn(5), turn(0)].concat().get(..time).unwrap());
                packet.extend(MESSAGE);
                let carried = payload(&packet).unwrap();
                assert_eq!(carried.payload, MESSAGE, "version {version}, time of {time}");
                assert_eq!((carried.from.port(), carried.to.port()), (5060, 5070));
                let at = Instant::from_micros(1_793_361_600_000_005);
                assert_eq!(carried.at, (version == 2).then_some(at));
            }
        }
    }
}

#[test]
fn what_breaks_off_is_none() {
    let packet = usual(MESSAGE);
    for end in 0..packet.len() {
        assert_eq!(payload(&packet[..end]), None, "cut at {end}");
    }
    let mut longer = packet.clone();
    longer.extend(b"padding of Ethernet");
    assert_eq!(payload(&longer), payload(&packet));
}

#[test]
fn what_a_vendor_adds_is_passed_over() {
    let mut packet = usual(MESSAGE);
    packet.extend([0, 9, 0, 15, 0, 7, 0]);
    let length = u16::try_from(packet.len()).unwrap();
    packet[4..6].copy_from_slice(&length.to_be_bytes());
    assert_eq!(payload(&packet).unwrap().payload, MESSAGE);
}

#[test]
fn a_file_gives_its_messages_and_counts_the_rest() {
    let report = third(&[(11, &[5]), (15, b"{}")]);
    let file =
        [b"noise".to_vec(), usual(MESSAGE), report, b"xx".to_vec(), usual(MESSAGE), b"HEP3\x01".to_vec()];
    let file = file.concat();
    let whole = read(Hep::new(&file[..]));
    assert_eq!(whole.0.len(), 2);
    assert_eq!(whole.0[1].place.number, 3);
    assert_eq!(whole.1.skipped_for("HEP packets that carry no SIP"), 1);
    assert_eq!(whole.1.skipped_for("bytes that are no HEP"), 7);
    assert_eq!(whole.1.skipped_for("packets that break off"), 1);
    assert_eq!((whole.1.records, whole.1.messages, whole.1.bytes), (3, 2, file.len() as u64));
    for piece in [1, 2, 5, 100] {
        assert_eq!(read(Hep::new(Pieces(&file, piece))), whole, "in pieces of {piece}");
    }
}

#[test]
fn a_packet_that_has_hardly_begun_breaks_off_however_it_is_read() {
    for before in 0..8 {
        let file = [&b"x".repeat(before)[..], b"HEP3"].concat();
        for piece in 1..=file.len() {
            let summary = read(Hep::new(Pieces(&file, piece))).1;
            assert_eq!(summary.skipped_for("packets that break off"), 1);
            assert_eq!(summary.skipped_for("bytes that are no HEP"), before as u64);
        }
    }
}

#[test]
fn lines_of_hexadecimal_are_read() {
    let hex = |bytes: &[u8], between: &str| {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(between)
    };
    let file = format!("{}\n\nnonsense\n{}", hex(&usual(MESSAGE), ""), hex(&usual(MESSAGE), " "));
    assert!(begins_in_hex(file.as_bytes()));
    let whole = read(Hep::hex(file.as_bytes()));
    assert_eq!((whole.0.len(), whole.1.records), (2, 3));
    for piece in [1, 7] {
        assert_eq!(read(Hep::hex(Pieces(file.as_bytes(), piece))), whole, "in pieces of {piece}");
    }
    for other in ["", "0a", "INVITE sip:bob@example.com SIP/2.0", "4845 x", "deadbeef"] {
        assert!(!begins_in_hex(other.as_bytes()), "{other}");
    }
}

#[test]
fn damage_never_panics() {
    let packet = usual(MESSAGE);
    let mut dice: u64 = 0x5eed;
    for _ in 0..3_000 {
        let mut damaged = packet.clone();
        for _ in 0..3 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = usize::try_from(dice >> 33).unwrap() % damaged.len();
            damaged[at] = dice.to_be_bytes()[4];
        }
        let _ = payload(&damaged);
        read(Hep::new(&damaged[..]));
    }
}

#[test]
#[ignore = "opens sockets"]
fn sockets_collect_datagrams() {
    let stop = Stop::default();
    let mut live = Live::udp("127.0.0.1:0", stop.clone()).unwrap();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"noise", live.local_address()).unwrap();
    socket.send_to(&usual(MESSAGE), live.local_address()).unwrap();
    let Some(Ok(Item::Sip(packet))) = live.next() else { panic!("no message") };
    assert_eq!(packet.payload, MESSAGE);
    assert_eq!(live.summary().skipped_for("packets that are no HEP"), 1);
    stop.stop();
    assert!(live.next().is_none());
}

#[test]
#[ignore = "opens sockets"]
fn sockets_collect_from_connections_torn_anywhere() {
    let stop = Stop::default();
    let mut live = Live::tcp("127.0.0.1:0", stop.clone()).unwrap();
    let address = live.local_address();
    let bytes = [usual(MESSAGE), usual(MESSAGE)].concat();
    let mut connection = std::net::TcpStream::connect(address).unwrap();
    for piece in bytes.chunks(100) {
        connection.write_all(piece).unwrap();
        connection.flush().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    for _ in 0..2 {
        let Some(Ok(Item::Sip(packet))) = live.next() else { panic!("no message") };
        assert_eq!(packet.payload, MESSAGE);
    }
    let mut other = std::net::TcpStream::connect(address).unwrap();
    other.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let begun = std::time::Instant::now();
    while live.summary().skipped_for("connections that carry no HEP") == 0 {
        assert!(begun.elapsed().as_secs() < 5, "{:?}", live.summary());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    stop.stop();
    assert!(live.next().is_none());
}
