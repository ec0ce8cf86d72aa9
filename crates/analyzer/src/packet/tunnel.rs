//! Tunnels: from the outer packet to the IP packet in it.

use super::link::{after, behind_ppp, ether_type, ethernet};
use super::{Reason, be16};

/// The IP packet in a GRE packet (RFC 2784, RFC 2890, RFC 2637 §4.1), ERSPAN included.
pub(super) fn gre(packet: &[u8]) -> Result<&[u8], Reason> {
    let flags = be16(packet, 0).ok_or(Reason::Nonsense)?;
    let kind = be16(packet, 2).ok_or(Reason::Nonsense)?;
    let set = |bit: u16, length: usize| if flags & bit == 0 { 0 } else { length };
    let version = flags & 7;
    // Checksum and key; the sequence number; the acknowledgement that only version 1 has.
    let (checksum, key, sequence) = (set(0x8000, 4), set(0x2000, 4), set(0x1000, 4));
    let acknowledgement = if version == 1 { set(0x0080, 4) } else { 0 };
    let rest = after(packet, 4 + checksum + key + sequence + acknowledgement)?;
    match kind {
        // Without a sequence number it is the first version, which has no header.
        ERSPAN if sequence == 0 => ethernet(rest),
        ERSPAN => ethernet(after(rest, 8)?),
        ERSPAN_III => {
            let more = if rest.get(11).ok_or(Reason::Nonsense)? & 1 == 0 { 0 } else { 8 };
            ethernet(after(rest, 12 + more)?)
        }
        PPP_IN_GRE => behind_ppp(rest),
        _ => ether_type(kind, rest),
    }
}

/// The IP packet in a datagram to this port, if it is that of a tunnel and the header fits.
pub(super) fn in_datagram(port: u16, payload: &[u8]) -> Option<&[u8]> {
    match port {
        4789 | 8472 => vxlan(payload),
        6081 => geneve(payload),
        2152 => gtp_u(payload),
        _ => None,
    }
}

/// RFC 7348 §5; the reserved bytes are zero, but for those of the group and generic extensions.
fn vxlan(payload: &[u8]) -> Option<&[u8]> {
    let [flags, _, _, _, _, _, _, 0, frame @ ..] = payload else { return None };
    (flags & 0x08 != 0).then(|| ethernet(frame).ok()).flatten()
}

/// RFC 8926 §3.4.
fn geneve(payload: &[u8]) -> Option<&[u8]> {
    let [first, flags, high, low, _, _, _, _, rest @ ..] = payload else { return None };
    if first >> 6 != 0 || flags & 0x3f != 0 {
        return None;
    }
    let rest = rest.get(usize::from(first & 0x3f) * 4..)?;
    ether_type(u16::from_be_bytes([*high, *low]), rest).ok()
}

/// 3GPP TS 29.281 §5.1: a user packet (G-PDU), behind its optional fields and extension headers.
fn gtp_u(payload: &[u8]) -> Option<&[u8]> {
    let [flags, 0xff, _, _, _, _, _, _, rest @ ..] = payload else { return None };
    if flags & 0xf0 != 0x30 {
        return None;
    }
    let mut rest = rest;
    if flags & 0x07 != 0 {
        let mut next = *rest.get(3)?;
        rest = rest.get(4..)?;
        let mut extensions = 0;
        while flags & 0x04 != 0 && next != 0 && extensions < MAX_EXTENSIONS {
            let length = usize::from(*rest.first()?).max(1) * 4;
            next = *rest.get(length - 1)?;
            rest = rest.get(length..)?;
            extensions += 1;
        }
    }
    matches!(rest.first()? >> 4, 4 | 6).then_some(rest)
}

const ERSPAN: u16 = 0x88be;
const ERSPAN_III: u16 = 0x22eb;
const PPP_IN_GRE: u16 = 0x880b;
const MAX_EXTENSIONS: usize = 16;
