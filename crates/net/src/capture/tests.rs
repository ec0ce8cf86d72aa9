use std::time::{Duration, SystemTime};

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, PcapBlockOwned, PcapError, PcapNGReader};

use super::*;

const A: &str = "127.0.0.1:5060";
const B: &str = "127.0.0.1:5070";

fn seen(traffic: Traffic, from: &str, to: &str, bytes: &[u8]) -> Seen {
    Seen {
        at: UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456),
        way: Way::Sent,
        traffic,
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
        bytes: bytes.to_vec().into(),
    }
}

/// Every packet of the file, parsed by the other halves of the libraries.
fn packets(file: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut reader = PcapNGReader::new(1 << 17, file).unwrap();
    let mut packets = Vec::new();
    loop {
        match reader.next() {
            Ok((used, block)) => {
                if let PcapBlockOwned::NG(Block::EnhancedPacket(packet)) = block {
                    let at = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                    packets.push((at, packet.packet_data().to_vec()));
                }
                reader.consume(used);
            }
            Err(PcapError::Eof) => return packets,
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn a_datagram_is_a_udp_packet_with_its_time() {
    let mut writer = CaptureWriter::new(Vec::new()).unwrap();
    writer.write(&seen(Traffic::Signalling(Transport::Udp), A, B, b"hello")).unwrap();
    let packets = packets(&writer.into_inner());
    assert_eq!(packets.len(), 1);
    assert_eq!(packets[0].0, 1_700_000_000_123_456);
    let packet = SlicedPacket::from_ip(&packets[0].1).unwrap();
    let Some(TransportSlice::Udp(udp)) = packet.transport else { panic!("{packet:?}") };
    assert_eq!((udp.source_port(), udp.destination_port(), udp.payload()), (5060, 5070, &b"hello"[..]));
}

#[test]
fn a_stream_keeps_its_sequence_numbers() {
    let mut writer = CaptureWriter::new(Vec::new()).unwrap();
    let tcp = Traffic::Signalling(Transport::Tcp);
    writer.write(&seen(tcp, A, B, &[b'x'; 3_000])).unwrap();
    writer.write(&seen(tcp, B, A, b"answer")).unwrap();
    writer.write(&seen(tcp, A, B, b"more")).unwrap();
    let numbers: Vec<_> = packets(&writer.into_inner())
        .iter()
        .map(|(_, packet)| {
            let packet = SlicedPacket::from_ip(packet).unwrap();
            let Some(TransportSlice::Tcp(tcp)) = packet.transport else { panic!("{packet:?}") };
            (tcp.sequence_number(), tcp.acknowledgment_number(), tcp.payload().len())
        })
        .collect();
    assert_eq!(numbers, [(1, 1, 1_400), (1_401, 1, 1_400), (2_801, 1, 200), (1, 3_001, 6), (3_001, 7, 4)]);
}

#[test]
fn mapped_addresses_become_ipv4() {
    let mut writer = CaptureWriter::new(Vec::new()).unwrap();
    writer.write(&seen(Traffic::Media, "[::ffff:127.0.0.1]:5060", B, b"x")).unwrap();
    writer.write(&seen(Traffic::Media, "[::1]:5060", "[::1]:5070", b"x")).unwrap();
    let packets = packets(&writer.into_inner());
    let net = |n: usize| SlicedPacket::from_ip(&packets[n].1).unwrap().net;
    assert!(matches!(net(0), Some(NetSlice::Ipv4(_))));
    assert!(matches!(net(1), Some(NetSlice::Ipv6(_))));
}

#[test]
fn a_message_too_long_for_ip_is_an_error_and_nothing_is_written() {
    let mut writer = CaptureWriter::new(Vec::new()).unwrap();
    assert!(writer.write(&seen(Traffic::Media, A, B, &[0; 70_000])).is_err());
    assert!(packets(&writer.into_inner()).is_empty());
}

#[tokio::test]
async fn the_file_is_complete_after_a_flush() {
    let path = std::env::temp_dir().join(format!("midcall-capture-{}.pcapng", std::process::id()));
    let capture = Capture::create(&path).unwrap();
    for _ in 0..100 {
        capture.write(Seen { at: SystemTime::now(), ..seen(Traffic::Media, A, B, b"x") });
    }
    capture.flush().await.unwrap();
    assert_eq!(packets(&std::fs::read(&path).unwrap()).len(), 100);
    assert_eq!(capture.dropped(), 0);
    std::fs::remove_file(path).unwrap();
}
