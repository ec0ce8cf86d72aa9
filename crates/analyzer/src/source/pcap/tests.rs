use etherparse::PacketBuilder;

use super::*;

/// A classic capture with these frames.
fn pcap(link: u32, magic: u32, frames: &[(u32, u32, Vec<u8>)]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [magic, 0x0004_0002, 0, 0, 65_535, link] {
        file.extend(word.to_le_bytes());
    }
    for (seconds, fraction, frame) in frames {
        let length = u32::try_from(frame.len()).unwrap();
        for word in [*seconds, *fraction, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

fn udp_in_ip(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64)
        .udp(5060, 5070)
        .write(&mut frame, payload)
        .unwrap();
    frame
}

fn udp_in_ethernet(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([1; 6], [2; 6])
        .ipv6([1; 16], [2; 16], 64)
        .udp(5060, 5070)
        .write(&mut frame, payload)
        .unwrap();
    frame
}

fn payloads(file: &[u8]) -> (Vec<(u64, Vec<u8>)>, Skipped) {
    let mut pcap = Pcap::new(file).unwrap();
    let packets =
        pcap.by_ref().map(Result::unwrap).map(|packet| (packet.at.as_micros(), packet.payload)).collect();
    (packets, pcap.skipped())
}

const MICROS: u32 = 0xa1b2_c3d4;
const NANOS: u32 = 0xa1b2_3c4d;

#[test]
fn addresses_and_time_are_read() {
    let file = pcap(101, MICROS, &[(10, 5, udp_in_ip(b"one"))]);
    let packet = Pcap::new(&file[..]).unwrap().next().unwrap().unwrap();
    assert_eq!(packet.at, Instant::from_micros(10_000_005));
    assert_eq!(packet.from, "192.0.2.1:5060".parse().unwrap());
    assert_eq!(packet.to, "192.0.2.2:5070".parse().unwrap());
    assert_eq!(packet.payload, b"one");
}

#[test]
fn links_of_every_usual_kind_are_read() {
    let prefixed = |prefix: &[u8], mut frame: Vec<u8>| {
        frame.splice(..0, prefix.iter().copied());
        frame
    };
    let mut cooked = [0_u8; 16];
    cooked[14..].copy_from_slice(&[0x08, 0x00]);
    let mut cooked2 = [0_u8; 20];
    cooked2[..2].copy_from_slice(&[0x08, 0x00]);
    let links = [
        (1, udp_in_ethernet(b"x")),
        (101, udp_in_ip(b"x")),
        (12, udp_in_ip(b"x")),
        (228, udp_in_ip(b"x")),
        (0, prefixed(&[2, 0, 0, 0], udp_in_ip(b"x"))),
        (113, prefixed(&cooked, udp_in_ip(b"x"))),
        (276, prefixed(&cooked2, udp_in_ip(b"x"))),
    ];
    for (link, frame) in links {
        let (packets, skipped) = payloads(&pcap(link, MICROS, &[(1, 0, frame)]));
        assert_eq!(packets, [(1_000_000, b"x".to_vec())], "link type {link}");
        assert_eq!(skipped, Skipped::default());
    }
    let (packets, skipped) = payloads(&pcap(9_999, MICROS, &[(1, 0, udp_in_ip(b"x"))]));
    assert_eq!((packets.len(), skipped.link), (0, 1));
}

#[test]
fn nanoseconds_become_microseconds() {
    let (packets, _) = payloads(&pcap(101, NANOS, &[(1, 999_999_999, udp_in_ip(b"x"))]));
    assert_eq!(packets[0].0, 1_999_999);
}

#[test]
fn what_is_no_whole_datagram_is_counted() {
    let mut tcp = Vec::new();
    PacketBuilder::ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64).tcp(1, 2, 3, 4).write(&mut tcp, b"x").unwrap();
    let mut cut = udp_in_ip(b"a long one");
    cut.truncate(cut.len() - 4);
    let mut fragment = udp_in_ip(b"x");
    fragment[6] = 0x20; // more fragments follow
    let frames =
        [(1, 0, tcp), (2, 0, cut), (3, 0, fragment), (4, 0, vec![0xff; 3]), (5, 0, udp_in_ip(b"good"))];
    let (packets, skipped) = payloads(&pcap(101, MICROS, &frames));
    assert_eq!(packets, [(5_000_000, b"good".to_vec())]);
    assert_eq!((skipped.other, skipped.cut, skipped.fragments), (2, 1, 1));
}

#[test]
fn a_file_that_stops_in_a_packet_gives_what_it_has() {
    let mut file = pcap(101, MICROS, &[(1, 0, udp_in_ip(b"one")), (2, 0, udp_in_ip(b"two"))]);
    file.truncate(file.len() - 2);
    let (packets, skipped) = payloads(&file);
    assert_eq!(packets.len(), 1);
    assert!(skipped.unfinished);
}

#[test]
fn files_longer_than_the_buffer_are_read_to_the_end() {
    let frames: Vec<_> = (0..2_000).map(|nth| (nth, 0, udp_in_ip(&[b'x'; 1_000]))).collect();
    let (packets, skipped) = payloads(&pcap(101, MICROS, &frames));
    assert_eq!(packets.len(), 2_000);
    assert_eq!(skipped, Skipped::default());
}

#[test]
fn what_is_no_capture_is_refused() {
    for text in [&b""[..], b"INVITE sip:bob@example.com SIP/2.0\r\n", &[0; 64]] {
        assert!(matches!(Pcap::new(text), Err(ReadError::Unknown)));
    }
    assert!(matches!(Pcap::open("/no/such/file"), Err(ReadError::Io(_))));
}

#[test]
fn the_resolution_of_an_interface_may_be_anything() {
    let interface = |resolution| Interface { link: Linktype::RAW, resolution, offset: 0 };
    assert_eq!(interface(1_000_000_000).time(1_500_000_000).as_micros(), 1_500_000);
    assert_eq!(interface(1 << 20).time(3 << 19).as_micros(), 1_500_000);
    assert_eq!(interface(1).time(7).as_micros(), 7_000_000);
    let shifted = Interface { offset: -5, ..interface(1) };
    assert_eq!(shifted.time(7).as_micros(), 2_000_000);
}
