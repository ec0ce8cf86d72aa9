//! `MIDCALL_CAPTURE=dir cargo test`: a pcap and a ladder of every simulated exchange.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use etherparse::PacketBuilder;
use midcall_proto::flow::Transport;
use pcap_file::DataLink;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};

use crate::network::{Fate, Packet};

/// The directory that captures go to, if the environment asks for them.
pub fn directory() -> Option<PathBuf> {
    std::env::var_os("MIDCALL_CAPTURE").filter(|dir| !dir.is_empty()).map(PathBuf::from)
}

/// Writes `<test>.pcap` and `<test>.ladder` if the environment asks for captures.
pub fn leave(test: &str, packets: &[Packet], ladder: &str) -> io::Result<()> {
    let Some(directory) = directory() else { return Ok(()) };
    std::fs::create_dir_all(&directory)?;
    let name: String = test.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' }).collect();
    std::fs::write(directory.join(format!("{name}.ladder")), ladder)?;
    write_pcap(&directory.join(format!("{name}.pcap")), packets)
}

/// Writes packets as a classic pcap of raw IP. A tap in the middle of the wire sees them: lost ones too, if they were
/// lost behind it.
pub fn write_pcap(path: &Path, packets: &[Packet]) -> io::Result<()> {
    let header = PcapHeader { datalink: DataLink::RAW, ..PcapHeader::default() };
    let mut writer = PcapWriter::with_header(File::create(path)?, header).map_err(io::Error::other)?;
    let reachable = packets.iter().filter(|packet| packet.fate != Fate::Unreachable);
    for (packet, bytes) in reachable.zip(frames(packets)?) {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let at = Duration::from_micros(packet.sent.as_micros());
        let data = Cow::Owned(bytes);
        writer
            .write_packet(&PcapPacket { timestamp: at, orig_len: length, data })
            .map_err(io::Error::other)?;
    }
    Ok(())
}

/// The raw IP packets of those that went anywhere.
pub fn frames(packets: &[Packet]) -> io::Result<Vec<Vec<u8>>> {
    let mut streams = Streams::default();
    let reachable = packets.iter().filter(|packet| packet.fate != Fate::Unreachable);
    reachable.map(|packet| streams.frame(packet)).collect()
}

/// How many bytes went each way on each stream, for TCP sequence numbers.
#[derive(Default)]
struct Streams(Vec<(SocketAddr, SocketAddr, u32)>);

impl Streams {
    fn frame(&mut self, packet: &Packet) -> io::Result<Vec<u8>> {
        let (from, to) = (packet.from, packet.to);
        let ip = match (from, to) {
            (SocketAddr::V4(from), SocketAddr::V4(to)) => {
                PacketBuilder::ipv4(from.ip().octets(), to.ip().octets(), 64)
            }
            (SocketAddr::V6(from), SocketAddr::V6(to)) => {
                PacketBuilder::ipv6(from.ip().octets(), to.ip().octets(), 64)
            }
            _ => return Err(io::Error::other(format!("{from} and {to} are of different families"))),
        };
        let mut bytes = Vec::with_capacity(packet.bytes.len() + 60);
        if packet.transport == Transport::Udp {
            ip.udp(from.port(), to.port()).write(&mut bytes, &packet.bytes).map_err(io::Error::other)?;
        } else {
            let (sent, seen) = (self.sent(from, to), self.sent(to, from));
            let length = u32::try_from(packet.bytes.len()).unwrap_or_default();
            self.add(from, to, length);
            let tcp = ip.tcp(from.port(), to.port(), 1 + sent, 65_535).ack(1 + seen).psh();
            tcp.write(&mut bytes, &packet.bytes).map_err(io::Error::other)?;
        }
        Ok(bytes)
    }

    fn sent(&self, from: SocketAddr, to: SocketAddr) -> u32 {
        self.0.iter().find(|(own, other, _)| (*own, *other) == (from, to)).map_or(0, |(.., count)| *count)
    }

    fn add(&mut self, from: SocketAddr, to: SocketAddr, length: u32) {
        match self.0.iter_mut().find(|(own, other, _)| (*own, *other) == (from, to)) {
            Some((.., count)) => *count = count.wrapping_add(length),
            None => self.0.push((from, to, length)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{SlicedPacket, TransportSlice};
    use midcall_proto::time::Instant;
    use pcap_file::pcap::PcapReader;

    fn packet(number: usize, from: &str, to: &str, transport: Transport) -> Packet {
        Packet {
            number,
            sent: Instant::from_millis(1_500),
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            transport,
            connection: None,
            bytes: b"OPTIONS".to_vec(),
            fate: Fate::Lost,
        }
    }

    #[test]
    fn a_capture_reads_back_with_addresses_times_and_sequence_numbers() {
        let path = std::env::temp_dir().join(format!("midcall-testkit-{}.pcap", std::process::id()));
        let packets = [
            packet(1, "10.0.0.1:5060", "10.0.0.2:5061", Transport::Udp),
            packet(2, "10.0.0.1:49152", "10.0.0.2:5060", Transport::Tcp),
            packet(3, "10.0.0.1:49152", "10.0.0.2:5060", Transport::Tcp),
            packet(4, "[2001:db8::1]:5060", "[2001:db8::2]:5060", Transport::Udp),
        ];
        write_pcap(&path, &packets).unwrap();
        let mut reader = PcapReader::new(File::open(&path).unwrap()).unwrap();
        let mut told = Vec::new();
        while let Some(Ok(packet)) = reader.next_packet() {
            assert_eq!(packet.timestamp, Duration::from_millis(1_500));
            let sliced = SlicedPacket::from_ip(&packet.data).unwrap();
            told.push(match sliced.transport {
                Some(TransportSlice::Udp(udp)) => {
                    format!("{} {}", udp.destination_port(), udp.payload().len())
                }
                Some(TransportSlice::Tcp(tcp)) => {
                    format!("{} seq {}", tcp.source_port(), tcp.sequence_number())
                }
                other => format!("{other:?}"),
            });
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(told, ["5061 7", "49152 seq 1", "49152 seq 8", "5060 7"]);
    }
}
