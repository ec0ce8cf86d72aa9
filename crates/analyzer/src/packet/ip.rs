//! IP packets: their addresses, what they carry, and whether it is only a part of it.

use std::net::IpAddr;

use etherparse::{IpNumber, LaxIpSlice};

use super::Reason;

/// An IP packet, its extension headers taken off.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ip<'a> {
    pub(super) from: IpAddr,
    pub(super) to: IpAddr,
    pub(super) protocol: u8,
    pub(super) payload: &'a [u8],
    /// Bytes of the payload that were not captured.
    pub(super) missing: usize,
    pub(super) fragment: Option<Part>,
}

/// Which part of a packet a fragment is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) offset: usize,
    pub(super) more: bool,
    pub(super) number: u32,
}

impl<'a> Ip<'a> {
    /// Reads a packet of either version. A length of zero, as a sender leaves it that has its network card cut
    /// segments, means all there is.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Reason> {
        let (slice, stopped) = LaxIpSlice::from_slice(bytes).map_err(|_| Reason::Nonsense)?;
        if stopped.is_some() {
            return Err(Reason::Nonsense);
        }
        let payload = slice.payload();
        let fragmented = payload.fragmented;
        let (declared, fragment) = match &slice {
            LaxIpSlice::Ipv4(packet) => {
                let header = packet.header();
                let part = Part {
                    offset: usize::from(header.fragments_offset().value()) * 8,
                    more: header.more_fragments(),
                    number: header.identification().into(),
                };
                (usize::from(header.total_len()), fragmented.then_some(part))
            }
            LaxIpSlice::Ipv6(packet) => {
                let part = fragmented.then(|| part_of(packet.extensions().clone())).flatten();
                (usize::from(packet.header().payload_length()) + IPV6_HEADER, part)
            }
        };
        if fragmented && fragment.is_none() {
            return Err(Reason::Nonsense);
        }
        Ok(Self {
            from: slice.source_addr(),
            to: slice.destination_addr(),
            protocol: payload.ip_number.0,
            payload: payload.payload,
            missing: if payload.incomplete { declared.saturating_sub(bytes.len()) } else { 0 },
            fragment,
        })
    }
}

fn part_of(extensions: etherparse::Ipv6ExtensionsSlice<'_>) -> Option<Part> {
    extensions.into_iter().find_map(|extension| match extension {
        etherparse::Ipv6ExtensionSlice::Fragment(header) => Some(Part {
            offset: usize::from(header.fragment_offset().value()) * 8,
            more: header.more_fragments(),
            number: header.identification(),
        }),
        _ => None,
    })
}

pub(super) const UDP: u8 = IpNumber::UDP.0;
pub(super) const TCP: u8 = IpNumber::TCP.0;
pub(super) const GRE: u8 = IpNumber::GRE.0;
pub(super) const IN_IPV4: u8 = IpNumber::IPV4.0;
pub(super) const IN_IPV6: u8 = IpNumber::IPV6.0;
/// Ethernet in IP (RFC 3378 §2).
pub(super) const ETHER_IP: u8 = 97;
const IPV6_HEADER: usize = 40;
