//! Links: from a captured frame to the IP packet in it.

use super::{Reason, be16};

/// How the next header is told.
#[derive(Clone, Copy)]
enum Next {
    /// By an EtherType.
    EtherType(u16),
    /// By a PPP protocol number (RFC 1661 §2).
    Ppp(u16),
    /// It is an IP packet, of the version that stands in it.
    Ip,
}

/// The IP packet in a frame of this kind of link.
pub(super) fn ip(link: i32, frame: &[u8]) -> Result<&[u8], Reason> {
    let (next, rest) = match link {
        ETHERNET => return ethernet(frame),
        RAW | RAW_OF_BSD | RAW_OF_OPENBSD | IPV4 | IPV6 => (Next::Ip, frame),
        // A family number of four bytes, in the byte order of some machine, then IP.
        NULL | LOOP => (Next::Ip, after(frame, 4)?),
        LINUX_SLL => (Next::EtherType(be16(frame, 14).ok_or(Reason::Nonsense)?), after(frame, 16)?),
        LINUX_SLL2 => (Next::EtherType(be16(frame, 0).ok_or(Reason::Nonsense)?), after(frame, 20)?),
        PPP | PPP_HDLC | PPP_WITH_DIRECTION => {
            let frame = if link == PPP_WITH_DIRECTION { after(frame, 1)? } else { frame };
            ppp(frame)?
        }
        PPP_ETHER => (Next::EtherType(PPPOE_SESSION), frame),
        CISCO_HDLC => (Next::EtherType(be16(frame, 2).ok_or(Reason::Nonsense)?), after(frame, 4)?),
        _ => return Err(Reason::Link),
    };
    peel(next, rest)
}

/// The IP packet in an Ethernet frame.
pub(super) fn ethernet(frame: &[u8]) -> Result<&[u8], Reason> {
    let kind = be16(frame, 12).ok_or(Reason::Nonsense)?;
    let rest = after(frame, 14)?;
    if kind > MAX_LENGTH {
        return peel(Next::EtherType(kind), rest);
    }
    // IEEE 802.3 with LLC and SNAP.
    match rest {
        [0xaa, 0xaa, 0x03, 0, 0, 0, high, low, rest @ ..] => {
            peel(Next::EtherType(u16::from_be_bytes([*high, *low])), rest)
        }
        _ => Err(Reason::Other),
    }
}

/// The IP packet behind an EtherType.
pub(super) fn ether_type(kind: u16, rest: &[u8]) -> Result<&[u8], Reason> {
    if kind == BRIDGED_ETHERNET { ethernet(rest) } else { peel(Next::EtherType(kind), rest) }
}

/// The IP packet behind a PPP header, address and control field included or left out (RFC 1661 §6.6).
pub(super) fn behind_ppp(frame: &[u8]) -> Result<&[u8], Reason> {
    let (next, rest) = ppp(frame)?;
    peel(next, rest)
}

fn ppp(frame: &[u8]) -> Result<(Next, &[u8]), Reason> {
    let frame = match frame {
        [0xff, 0x03, rest @ ..] | [0x0f | 0x8f, 0x00, rest @ ..] => rest,
        _ => frame,
    };
    match frame {
        // A compressed protocol number is odd in its first byte.
        [low, rest @ ..] if low & 1 == 1 => Ok((Next::Ppp(u16::from(*low)), rest)),
        [0x08, 0x00, rest @ ..] => Ok((Next::Ip, rest)),
        [high, low, rest @ ..] => Ok((Next::Ppp(u16::from_be_bytes([*high, *low])), rest)),
        _ => Err(Reason::Nonsense),
    }
}

/// Takes tags, labels and session headers off until IP is reached.
fn peel(mut next: Next, mut rest: &[u8]) -> Result<&[u8], Reason> {
    for _ in 0..MAX_TAGS {
        match next {
            Next::Ip | Next::EtherType(IPV4_TYPE | IPV6_TYPE) | Next::Ppp(IPV4_PPP | IPV6_PPP) => {
                return Ok(rest);
            }
            Next::EtherType(VLAN | QINQ | QINQ_OLD | QINQ_OLDER) => {
                next = Next::EtherType(be16(rest, 2).ok_or(Reason::Nonsense)?);
                rest = after(rest, 4)?;
            }
            Next::EtherType(MPLS | MPLS_MULTICAST) | Next::Ppp(MPLS_PPP) => {
                let bottom = rest.get(2).ok_or(Reason::Nonsense)? & 1 == 1;
                rest = after(rest, 4)?;
                if bottom {
                    return labelled(rest);
                }
            }
            Next::EtherType(PPPOE_SESSION) => {
                rest = after(rest, 6)?;
                (next, rest) = ppp(rest)?;
            }
            Next::EtherType(_) | Next::Ppp(_) => return Err(Reason::Other),
        }
    }
    Err(Reason::Deep)
}

/// What is under the last MPLS label is not told: IP by its version, else Ethernet behind a control word (RFC 4448 §4.6).
fn labelled(rest: &[u8]) -> Result<&[u8], Reason> {
    match rest.first().map(|first| first >> 4) {
        Some(4 | 6) => Ok(rest),
        Some(0) => ethernet(after(rest, 4)?),
        _ => Err(Reason::Other),
    }
}

pub(super) fn after(bytes: &[u8], length: usize) -> Result<&[u8], Reason> {
    bytes.get(length..).ok_or(Reason::Nonsense)
}

/// Tags and labels of one frame.
const MAX_TAGS: usize = 16;
/// Above this, an EtherType is one and not a length.
const MAX_LENGTH: u16 = 1500;

const NULL: i32 = 0;
const ETHERNET: i32 = 1;
const PPP: i32 = 9;
const RAW_OF_BSD: i32 = 12;
const RAW_OF_OPENBSD: i32 = 14;
const PPP_HDLC: i32 = 50;
const PPP_ETHER: i32 = 51;
const RAW: i32 = 101;
const CISCO_HDLC: i32 = 104;
const LOOP: i32 = 108;
const LINUX_SLL: i32 = 113;
const PPP_WITH_DIRECTION: i32 = 204;
const IPV4: i32 = 228;
const IPV6: i32 = 229;
const LINUX_SLL2: i32 = 276;

const IPV4_TYPE: u16 = 0x0800;
const IPV6_TYPE: u16 = 0x86dd;
const BRIDGED_ETHERNET: u16 = 0x6558;
const VLAN: u16 = 0x8100;
const QINQ: u16 = 0x88a8;
const QINQ_OLD: u16 = 0x9100;
const QINQ_OLDER: u16 = 0x9200;
const MPLS: u16 = 0x8847;
const MPLS_MULTICAST: u16 = 0x8848;
const PPPOE_SESSION: u16 = 0x8864;

const IPV4_PPP: u16 = 0x0021;
const IPV6_PPP: u16 = 0x0057;
const MPLS_PPP: u16 = 0x0281;
