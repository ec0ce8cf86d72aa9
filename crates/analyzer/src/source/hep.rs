//! HEP, the protocol in which proxies and capture agents send copies of messages to a collector, versions 1 to 3.
//!
//! [`payload`] reads one packet; [`Hep`] is a source of many, out of a file or [live] from a socket.

mod file;
pub mod live;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use flate2::read::ZlibDecoder;
use midcall_proto::flow::Transport;
use midcall_proto::time::Instant;
use midcall_wire::looks_like_sip;

pub use file::Hep;
pub(super) use file::{begins, begins_in_hex};

/// What a HEP packet carries, and what it says about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Carried<'d> {
    /// When the agent captured it; version 1 does not say.
    pub at: Option<Instant>,
    /// Who sent what is carried.
    pub from: SocketAddr,
    /// Whom it was sent to.
    pub to: SocketAddr,
    /// How it travelled, if that is a transport of SIP.
    pub transport: Option<Transport>,
    /// The type of what is carried: 1 is SIP.
    pub kind: u8,
    /// What is carried, unpacked if it was compressed.
    pub payload: Cow<'d, [u8]>,
    /// What the agent thinks it belongs to, often a Call-ID.
    pub correlation: Option<&'d [u8]>,
    /// The number of the capture agent.
    pub agent: u32,
}

impl Carried<'_> {
    /// Whether it is a SIP message.
    #[must_use]
    pub fn is_sip(&self) -> bool {
        self.kind == SIP && looks_like_sip(&self.payload)
    }
}

/// Reads a HEP packet; `None` if it is none, or breaks off.
///
/// ```
/// use midcall_analyzer::source::hep::payload;
///
/// // Version 1: an IPv4 header of 16 bytes, then the message.
/// let mut packet = vec![1, 16, 2, 17, 0x13, 0xc4, 0x13, 0xc4, 192, 0, 2, 10, 192, 0, 2, 20];
/// packet.extend(b"OPTIONS sip:bob@192.0.2.20 SIP/2.0\r\n\r\n");
/// let carried = payload(&packet).unwrap();
/// assert_eq!(carried.from, "192.0.2.10:5060".parse().unwrap());
/// assert!(carried.is_sip());
/// assert_eq!(payload(b"OPTIONS sip:bob@192.0.2.20 SIP/2.0\r\n\r\n"), None);
/// ```
#[must_use]
pub fn payload(datagram: &[u8]) -> Option<Carried<'_>> {
    match datagram {
        [b'H', b'E', b'P', b'3', ..] => third(datagram),
        [1 | 2, ..] => earlier(datagram),
        _ => None,
    }
}

/// How long the packet is that begins here, as version 3 says it.
pub(super) fn length(start: &[u8]) -> Option<usize> {
    let length = start.strip_prefix(MAGIC)?.first_chunk().copied().map(u16::from_be_bytes)?;
    Some(usize::from(length)).filter(|length| *length > HEADER)
}

fn third(datagram: &[u8]) -> Option<Carried<'_>> {
    let mut chunks = datagram.get(HEADER..length(datagram)?)?;
    let (mut from, mut to) = ((None, None), (None, None));
    let (mut seconds, mut micros) = (None, 0);
    let (mut protocol, mut kind, mut agent, mut correlation, mut payload) = (0, None, 0, None, None);
    while let Some((head, _)) = chunks.split_first_chunk::<6>() {
        let [vendor_high, vendor_low, type_high, type_low, length_high, length_low] = *head;
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        let value = chunks.get(head.len()..length)?;
        chunks = chunks.get(length..)?;
        if [vendor_high, vendor_low] != [0, 0] {
            continue;
        }
        match u16::from_be_bytes([type_high, type_low]) {
            2 => protocol = *value.first()?,
            3 => from.0 = Some(IpAddr::V4(Ipv4Addr::from(*value.first_chunk::<4>()?))),
            4 => to.0 = Some(IpAddr::V4(Ipv4Addr::from(*value.first_chunk::<4>()?))),
            5 => from.0 = Some(IpAddr::V6(Ipv6Addr::from(*value.first_chunk::<16>()?))),
            6 => to.0 = Some(IpAddr::V6(Ipv6Addr::from(*value.first_chunk::<16>()?))),
            7 => from.1 = value.first_chunk().copied().map(u16::from_be_bytes),
            8 => to.1 = value.first_chunk().copied().map(u16::from_be_bytes),
            9 => seconds = value.first_chunk().copied().map(u32::from_be_bytes),
            10 => micros = value.first_chunk().copied().map_or(0, u32::from_be_bytes),
            11 => kind = value.first().copied(),
            12 => agent = value.first_chunk().copied().map_or(0, u32::from_be_bytes),
            15 => payload = Some(Cow::Borrowed(value)),
            16 => payload = Some(Cow::Owned(unpacked(value)?)),
            17 => correlation = Some(value),
            _ => {}
        }
    }
    let address = |(host, port): (Option<IpAddr>, Option<u16>)| {
        SocketAddr::new(host.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), port.unwrap_or(0))
    };
    Some(Carried {
        at: seconds.map(|seconds| time(seconds, micros)),
        from: address(from),
        to: address(to),
        transport: transport(protocol),
        kind: kind.unwrap_or(SIP),
        payload: payload.unwrap_or_default(),
        correlation,
        agent,
    })
}

/// Versions 1 and 2: what C structures of the agents hold, with a time in version 2 only.
fn earlier(datagram: &[u8]) -> Option<Carried<'_>> {
    let ([version, length, family, protocol, ports @ ..], rest) = datagram.split_first_chunk::<8>()?;
    let [from_high, from_low, to_high, to_low] = *ports;
    let (from, to, rest): (IpAddr, IpAddr, _) = match *family {
        // The numbers that Linux, FreeBSD and macOS have for IPv6.
        10 | 28 | 30 => {
            let (from, rest) = rest.split_first_chunk::<16>()?;
            let (to, rest) = rest.split_first_chunk::<16>()?;
            ((*from).into(), (*to).into(), rest)
        }
        2 => {
            let (from, rest) = rest.split_first_chunk::<4>()?;
            let (to, rest) = rest.split_first_chunk::<4>()?;
            ((*from).into(), (*to).into(), rest)
        }
        _ => return None,
    };
    let base = datagram.len() - rest.len();
    if usize::from(*length) < 8 || usize::from(*length) > base + LONGEST_TIME {
        return None;
    }
    // Compilers pad the structure with the time differently, and agents count it in the length or not.
    let offsets: &[usize] = if *version == 2 { &TIME } else { &[0] };
    let payload =
        offsets.iter().find_map(|more| rest.get(*more..).filter(|payload| looks_like_sip(payload)))?;
    let time_of = |rest: &[u8]| {
        let (seconds, micros) = (*rest.first_chunk::<4>()?, *rest.get(4..)?.first_chunk::<4>()?);
        // The byte order is that of the agent: in the other one hardly any time makes sense.
        let little = (u32::from_le_bytes(seconds), u32::from_le_bytes(micros));
        let big = (u32::from_be_bytes(seconds), u32::from_be_bytes(micros));
        let sensible = |(seconds, micros): (u32, u32)| PLAUSIBLE.contains(&seconds) && micros < 1_000_000;
        let (seconds, micros) = if sensible(little) || !sensible(big) { little } else { big };
        Some(time(seconds, micros))
    };
    Some(Carried {
        at: if *version == 2 { time_of(rest) } else { None },
        from: SocketAddr::new(from, u16::from_be_bytes([from_high, from_low])),
        to: SocketAddr::new(to, u16::from_be_bytes([to_high, to_low])),
        transport: transport(*protocol),
        kind: SIP,
        payload: Cow::Borrowed(payload),
        correlation: None,
        agent: 0,
    })
}

fn time(seconds: u32, micros: u32) -> Instant {
    Instant::from_micros(u64::from(seconds) * 1_000_000 + u64::from(micros.min(999_999)))
}

/// The transport with this IP protocol number; Kamailio and OpenSIPS borrow two that nobody uses.
const fn transport(protocol: u8) -> Option<Transport> {
    match protocol {
        17 => Some(Transport::Udp),
        6 => Some(Transport::Tcp),
        22 => Some(Transport::Tls),
        50 => Some(Transport::Ws),
        _ => None,
    }
}

fn unpacked(payload: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let unpacking = ZlibDecoder::new(payload).take(LONGEST + 1).read_to_end(&mut bytes);
    (unpacking.is_ok() && bytes.len() as u64 <= LONGEST).then_some(bytes)
}

const MAGIC: &[u8] = b"HEP3";
const HEADER: usize = 6;
const SIP: u8 = 1;
/// What a compressed payload may become: no message is longer.
const LONGEST: u64 = 1 << 16;
/// How long the time in version 2 may be: packed, padded, none.
const TIME: [usize; 3] = [10, LONGEST_TIME, 0];
const LONGEST_TIME: usize = 12;
/// From the year 2001 to 2100.
const PLAUSIBLE: std::ops::Range<u32> = 978_307_200..4_102_444_800;
