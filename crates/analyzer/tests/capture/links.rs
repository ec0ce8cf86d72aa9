//! The same call on every link and in every tunnel.

use std::net::SocketAddr;

use midcall_proto::flow::Transport;

use super::wire::{ETHERNET, RAW, as_lines, datagrams, ethernet, ipv4, kind, lines, pcap, read, udp, v4, v6};

/// Wraps an IP packet; the result is what is captured, in one frame or several.
pub(crate) type Wrap = fn(Vec<u8>) -> Vec<Vec<u8>>;

fn one(parts: &[&[u8]]) -> Vec<Vec<u8>> {
    vec![parts.concat()]
}

fn in_ethernet(packet: &[u8]) -> Vec<u8> {
    ethernet(kind(packet), packet)
}

fn outer_udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let from: SocketAddr = "198.51.100.1:50000".parse().unwrap();
    udp(from, SocketAddr::new("198.51.100.2".parse().unwrap(), port), payload)
}

/// A PPPoE session frame.
fn pppoe(packet: &[u8]) -> Vec<u8> {
    [&[0x11, 0, 0, 1], &(2 + packet.len() as u16).to_be_bytes()[..], &[0, 0x21], packet].concat()
}

/// A GTP-U packet.
fn gtp(flags: u8, extensions: &[u8], packet: &[u8]) -> Vec<u8> {
    let length = (extensions.len() + packet.len()) as u16;
    let head = [&[flags, 0xff][..], &length.to_be_bytes(), &[0, 0, 0, 7], extensions, packet].concat();
    outer_udp(2152, &head)
}

/// The header of ERSPAN III, for an Ethernet frame.
const ERSPAN_III: [u8; 12] = [0x20, 1, 0, 1, 0, 0, 0, 9, 0, 0, 0, 0];

/// Cuts an IPv4 packet into fragments.
fn fragments(packet: &[u8]) -> Vec<Vec<u8>> {
    let (header, payload) = packet.split_at(20);
    let chunks: Vec<_> = payload.chunks(512).collect();
    let fragment = |(nth, chunk): (usize, &&[u8])| {
        let mut header = header.to_vec();
        let more = if nth + 1 < chunks.len() { 0x2000 } else { 0 };
        header[2..4].copy_from_slice(&(20 + chunk.len() as u16).to_be_bytes());
        // Each packet has a number of its own.
        header[4..6].copy_from_slice(&(payload.len() as u16 ^ u16::from(payload[1])).to_be_bytes());
        header[6..8].copy_from_slice(&(more | (nth * 512 / 8) as u16).to_be_bytes());
        [&header, *chunk].concat()
    };
    chunks.iter().enumerate().map(fragment).collect()
}

/// The first fragment of a datagram that does not end.
pub(crate) fn first_fragment(number: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = ipv4(17, payload);
    packet[4..6].copy_from_slice(&number.to_be_bytes());
    packet[6..8].copy_from_slice(&[0x20, 0]);
    packet
}

/// Cuts an IPv6 packet into fragments.
fn fragments6(packet: &[u8]) -> Vec<Vec<u8>> {
    let (header, payload) = packet.split_at(40);
    let chunks: Vec<_> = payload.chunks(512).collect();
    let fragment = |(nth, chunk): (usize, &&[u8])| {
        let mut header = header.to_vec();
        header[4..6].copy_from_slice(&(8 + chunk.len() as u16).to_be_bytes());
        let next = std::mem::replace(&mut header[6], 44);
        let place = (nth * 512) as u16 | u16::from(nth + 1 < chunks.len());
        let number = (payload.len() as u32 ^ u32::from(payload[1])).to_be_bytes();
        [&header[..], &[next, 0], &place.to_be_bytes(), &number, *chunk].concat()
    };
    chunks.iter().enumerate().map(fragment).collect()
}

/// Puts an extension header behind the header of an IPv6 packet.
fn extended(mut packet: Vec<u8>, number: u8, extension: &[u8]) -> Vec<u8> {
    let length = u16::from_be_bytes([packet[4], packet[5]]) + extension.len() as u16;
    packet[4..6].copy_from_slice(&length.to_be_bytes());
    let next = std::mem::replace(&mut packet[6], number);
    packet.splice(40..40, extension.iter().copied());
    packet[40] = next;
    packet
}

pub(crate) const IPV4_FORMS: &[(&str, u32, Wrap)] = &[
    ("Ethernet", ETHERNET, |ip| vec![in_ethernet(&ip)]),
    ("Ethernet, padded", ETHERNET, |ip| one(&[&in_ethernet(&ip), &[0; 9]])),
    ("VLAN", ETHERNET, |ip| vec![ethernet(0x8100, &[&[0, 7, 8, 0], &ip[..]].concat())]),
    ("QinQ", ETHERNET, |ip| vec![ethernet(0x88a8, &[&[0, 7, 0x81, 0, 0, 8, 8, 0], &ip[..]].concat())]),
    ("QinQ of old", ETHERNET, |ip| vec![ethernet(0x9100, &[&[0, 7, 0x81, 0, 0, 8, 8, 0], &ip[..]].concat())]),
    ("MPLS", ETHERNET, |ip| vec![ethernet(0x8847, &[&[0, 1, 0, 64, 0, 2, 1, 64], &ip[..]].concat())]),
    ("MPLS pseudowire", ETHERNET, |ip| {
        vec![ethernet(0x8847, &[&[0, 2, 1, 64, 0, 0, 0, 0], &in_ethernet(&ip)[..]].concat())]
    }),
    ("LLC and SNAP", ETHERNET, |ip| {
        let length = 8 + ip.len() as u16;
        vec![ethernet(length.min(1_500), &[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &ip[..]].concat())]
    }),
    ("PPPoE", ETHERNET, |ip| vec![ethernet(0x8864, &pppoe(&ip))]),
    ("RAW", RAW, |ip| vec![ip]),
    ("RAW of BSD", 12, |ip| vec![ip]),
    ("IPV4", 228, |ip| vec![ip]),
    ("NULL, little-endian", 0, |ip| one(&[&[2, 0, 0, 0], &ip])),
    ("NULL, big-endian", 0, |ip| one(&[&[0, 0, 0, 2], &ip])),
    ("LOOP", 108, |ip| one(&[&[0, 0, 0, 2], &ip])),
    ("SLL", 113, |ip| one(&[&[0; 14], &[8, 0], &ip])),
    ("SLL with VLAN", 113, |ip| one(&[&[0; 14], &[0x81, 0, 0, 7, 8, 0], &ip])),
    ("SLL2", 276, |ip| one(&[&[8, 0], &[0; 18], &ip])),
    ("PPP", 9, |ip| one(&[&[0xff, 3, 0, 0x21], &ip])),
    ("PPP, compressed", 9, |ip| one(&[&[0x21], &ip])),
    ("PPP in HDLC", 50, |ip| one(&[&[0xff, 3, 0, 0x21], &ip])),
    ("PPP with direction", 204, |ip| one(&[&[1, 0xff, 3, 0, 0x21], &ip])),
    ("PPPoE without Ethernet", 51, |ip| vec![pppoe(&ip)]),
    ("Cisco HDLC", 104, |ip| one(&[&[0x0f, 0, 8, 0], &ip])),
    ("GRE", RAW, |ip| vec![ipv4(47, &[&[0, 0, 8, 0], &ip[..]].concat())]),
    ("GRE with checksum, key and number", RAW, |ip| {
        vec![ipv4(47, &[&[0xb0, 0, 8, 0][..], &[0; 12], &ip[..]].concat())]
    }),
    ("GRE with Ethernet", RAW, |ip| vec![ipv4(47, &[&[0, 0, 0x65, 0x58], &in_ethernet(&ip)[..]].concat())]),
    ("PPTP", RAW, |ip| {
        vec![ipv4(47, &[&[0x30, 0x81, 0x88, 0x0b][..], &[0; 12], &[0xff, 3, 0, 0x21], &ip[..]].concat())]
    }),
    ("ERSPAN I", RAW, |ip| vec![ipv4(47, &[&[0, 0, 0x88, 0xbe], &in_ethernet(&ip)[..]].concat())]),
    ("ERSPAN II", RAW, |ip| {
        vec![ipv4(47, &[&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1], &[0x10; 8], &in_ethernet(&ip)[..]].concat())]
    }),
    ("ERSPAN III", RAW, |ip| {
        vec![ipv4(47, &[&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1][..], &ERSPAN_III, &in_ethernet(&ip)[..]].concat())]
    }),
    ("ERSPAN III, more", RAW, |ip| {
        let header = [&ERSPAN_III[..11], &[1], &[0; 8]].concat();
        vec![ipv4(47, &[&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1], &header[..], &in_ethernet(&ip)[..]].concat())]
    }),
    ("VXLAN", RAW, |ip| vec![outer_udp(4789, &[&[8, 0, 0, 0, 0, 0, 7, 0], &in_ethernet(&ip)[..]].concat())]),
    ("GENEVE", RAW, |ip| {
        vec![outer_udp(6081, &[&[1, 0, 0x65, 0x58, 0, 0, 7, 0, 0, 0, 0, 0], &in_ethernet(&ip)[..]].concat())]
    }),
    ("GTP-U", RAW, |ip| vec![gtp(0x30, &[], &ip)]),
    ("GTP-U with extensions", RAW, |ip| {
        let extensions = [0, 0, 0, 0x85, 1, 0, 9, 0];
        vec![gtp(0x34, &extensions, &ip)]
    }),
    ("IP in IP", RAW, |ip| vec![ipv4(4, &ip)]),
    ("Ethernet in IP", RAW, |ip| vec![ipv4(97, &[&[0x30, 0], &in_ethernet(&ip)[..]].concat())]),
    ("a tunnel in a tunnel", RAW, |ip| vec![ipv4(4, &ipv4(47, &[&[0, 0, 8, 0], &ip[..]].concat()))]),
    ("AH", RAW, |ip| {
        let (mut header, payload) = (ip[..20].to_vec(), &ip[20..]);
        let length = u16::from_be_bytes([header[2], header[3]]) + 24;
        header[2..4].copy_from_slice(&length.to_be_bytes());
        let next = std::mem::replace(&mut header[9], 51);
        one(&[&header, &[next, 4], &[0; 22], payload])
    }),
    ("IP options", RAW, |mut ip| {
        ip[0] = 0x46;
        let length = u16::from_be_bytes([ip[2], ip[3]]) + 4;
        ip[2..4].copy_from_slice(&length.to_be_bytes());
        ip.splice(20..20, [1, 1, 1, 0]);
        vec![ip]
    }),
    ("no length, as a sender leaves it to its card", RAW, |mut ip| {
        ip[2..4].copy_from_slice(&[0, 0]);
        ip[24..26].copy_from_slice(&[0, 0]);
        vec![ip]
    }),
    ("fragments", RAW, |ip| fragments(&ip)),
    ("fragments from behind", RAW, |ip| fragments(&ip).into_iter().rev().collect()),
    ("fragments twice", RAW, |ip| fragments(&ip).into_iter().flat_map(|part| [part.clone(), part]).collect()),
    ("fragments in VLAN", ETHERNET, |ip| {
        fragments(&ip).iter().map(|part| ethernet(0x8100, &[&[0, 7, 8, 0], &part[..]].concat())).collect()
    }),
    ("a fragmented tunnel", RAW, |ip| fragments(&ipv4(4, &ip))),
];

const IPV6_FORMS: &[(&str, u32, Wrap)] = &[
    ("Ethernet", ETHERNET, |ip| vec![in_ethernet(&ip)]),
    ("RAW", RAW, |ip| vec![ip]),
    ("IPV6", 229, |ip| vec![ip]),
    ("NULL of Linux", 0, |ip| one(&[&[10, 0, 0, 0], &ip])),
    ("NULL of macOS", 0, |ip| one(&[&[30, 0, 0, 0], &ip])),
    ("SLL2", 276, |ip| one(&[&[0x86, 0xdd], &[0; 18], &ip])),
    ("PPP", 9, |ip| one(&[&[0xff, 3, 0, 0x57], &ip])),
    ("6in4", RAW, |ip| vec![ipv4(41, &ip)]),
    ("hop-by-hop options", RAW, |ip| vec![extended(ip, 0, &[0, 0, 1, 4, 0, 0, 0, 0])]),
    ("destination options", RAW, |ip| vec![extended(ip, 60, &[0, 0, 1, 4, 0, 0, 0, 0])]),
    ("fragments", RAW, |ip| fragments6(&ip)),
    ("fragments from behind", RAW, |ip| fragments6(&ip).into_iter().rev().collect()),
];

#[test]
fn a_call_is_the_same_on_every_link_and_in_every_tunnel() {
    for (ends, forms) in [(v4(), IPV4_FORMS), (v6(), IPV6_FORMS)] {
        for (name, link, wrap) in forms {
            let frames: Vec<_> = datagrams(ends).into_iter().flat_map(wrap).collect();
            let (messages, summary) = read(&pcap(*link, &frames));
            let mut expected = lines(ends);
            if name.contains("twice") {
                // A datagram in one piece is captured twice, too.
                expected = expected
                    .into_iter()
                    .enumerate()
                    .flat_map(|(nth, line)| vec![line; 1 + usize::from(nth > 0)])
                    .collect();
            }
            assert_eq!(as_lines(&messages), expected, "{name}: {summary:?}");
            assert!(
                messages.iter().all(|packet| packet.transport == Transport::Udp && !packet.cut),
                "{name}"
            );
            assert_eq!((summary.records, &summary.skipped), (frames.len() as u64, &vec![]), "{name}");
        }
    }
}

#[test]
fn what_is_no_whole_datagram_is_counted() {
    let good = datagrams(v4()).remove(0);
    let mut torn = fragments(&good);
    torn.pop();
    let cut = good[..200].to_vec();
    let no_sip = udp(v4()[0], v4()[1], b"something else");
    let mut frames = vec![cut, no_sip, ipv4(1, b"ping"), vec![0xff; 3]];
    frames.extend(torn);
    let (messages, summary) = read(&pcap(RAW, &frames));
    assert_eq!(messages.len(), 2);
    assert!(messages.iter().all(|packet| packet.cut && good[28..].starts_with(&packet.payload)));
    for reason in [
        "datagrams that are neither SIP nor media",
        "packets that are neither UDP nor TCP",
        "packets with headers that make no sense",
        "packets with fragments missing",
    ] {
        assert_eq!(summary.skipped_for(reason), 1, "{reason}: {summary:?}");
    }
    let (messages, summary) = read(&pcap(9_999, &[good]));
    assert_eq!((messages.len(), summary.skipped_for("frames of links that are not read")), (0, 1));
}

#[test]
fn tunnels_without_end_are_given_up() {
    let mut packet = datagrams(v4()).remove(0);
    for _ in 0..100 {
        packet = ipv4(4, &packet);
    }
    let labels = ethernet(0x8100, &[0x81, 0].repeat(500));
    let (messages, summary) = read(&pcap(ETHERNET, &[ethernet(0x0800, &packet), labels]));
    assert_eq!((messages.len(), summary.skipped_for("packets in too many tunnels")), (0, 2));
}
