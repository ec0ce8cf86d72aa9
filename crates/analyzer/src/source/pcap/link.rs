//! From a captured frame to the datagram in it.

use std::net::SocketAddr;

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice, ether_type};
use pcap_parser::Linktype;

/// What a frame turned out to be.
pub(super) enum Read<'a> {
    Datagram {
        from: SocketAddr,
        to: SocketAddr,
        payload: &'a [u8],
        /// Whether all of it was captured.
        whole: bool,
    },
    Fragment,
    Other,
    UnknownLink,
}

/// Looks into a frame of this kind of link.
pub(super) fn datagram(link: Linktype, frame: &[u8]) -> Read<'_> {
    let packet = match link {
        Linktype::ETHERNET => LaxSlicedPacket::from_ethernet(frame).ok(),
        Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 | RAW_OF_BSD => LaxSlicedPacket::from_ip(frame).ok(),
        // A family number of four bytes, in either byte order, then IP.
        Linktype::NULL | Linktype::LOOP => frame.get(4..).and_then(|ip| LaxSlicedPacket::from_ip(ip).ok()),
        Linktype::LINUX_SLL => cooked(frame, 14, 16),
        LINUX_SLL2 => cooked(frame, 0, 20),
        _ => return Read::UnknownLink,
    };
    packet.as_ref().map_or(Read::Other, transport)
}

/// Linux "any" captures: an EtherType somewhere in a header of fixed length.
fn cooked(frame: &[u8], protocol_at: usize, header: usize) -> Option<LaxSlicedPacket<'_>> {
    let protocol: [u8; 2] = frame.get(protocol_at..protocol_at + 2)?.try_into().ok()?;
    let kind = match u16::from_be_bytes(protocol) {
        0x0800 => ether_type::IPV4,
        0x86dd => ether_type::IPV6,
        0x8100 => ether_type::VLAN_TAGGED_FRAME,
        _ => return None,
    };
    Some(LaxSlicedPacket::from_ether_type(kind, frame.get(header..)?))
}

fn transport<'a>(packet: &LaxSlicedPacket<'a>) -> Read<'a> {
    let (addresses, fragmented, whole) = match &packet.net {
        Some(LaxNetSlice::Ipv4(ip)) => {
            let header = ip.header();
            let addresses = (header.source_addr().into(), header.destination_addr().into());
            (addresses, ip.payload().fragmented, !ip.payload().incomplete)
        }
        Some(LaxNetSlice::Ipv6(ip)) => {
            let header = ip.header();
            let addresses = (header.source_addr().into(), header.destination_addr().into());
            (addresses, ip.payload().fragmented, !ip.payload().incomplete)
        }
        _ => return Read::Other,
    };
    if fragmented {
        return Read::Fragment;
    }
    let Some(TransportSlice::Udp(udp)) = &packet.transport else { return Read::Other };
    let (from, to) = addresses;
    Read::Datagram {
        from: SocketAddr::new(from, udp.source_port()),
        to: SocketAddr::new(to, udp.destination_port()),
        payload: udp.payload(),
        whole,
    }
}

/// IP without a link header, as some BSDs number it.
const RAW_OF_BSD: Linktype = Linktype(12);
/// Linux cooked capture, version 2.
const LINUX_SLL2: Linktype = Linktype(276);
