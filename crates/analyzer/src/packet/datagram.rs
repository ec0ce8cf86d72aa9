//! What a datagram holds, told by its content: SIP may be on any port.

use midcall_wire::{looks_like_sip, rtp};

use super::Reason;

/// What a datagram holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Content {
    Sip,
    /// A copy of a message, sent to a collector.
    Hep,
    Rtp(Header),
    Other(Reason),
}

/// What is kept of an RTP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) payload_type: u8,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) ssrc: u32,
}

/// Looks at the payload of a datagram between these ports. The first byte alone tells most kinds apart, as RFC 7983 §7
/// lays down for those that share a port.
pub(super) fn content(ports: (u16, u16), payload: &[u8]) -> Content {
    match payload.first() {
        Some(0x80..=0xbf) => media(ports, payload),
        Some(0..=3) if payload.get(4..8) == Some(&STUN_COOKIE) => Content::Other(Reason::Stun),
        Some(20..=63) if matches!(payload.get(1..3), Some([0xfe, 0xfd | 0xff])) => {
            Content::Other(Reason::Dtls)
        }
        Some(b'H') if payload.starts_with(b"HEP3") => Content::Hep,
        Some(_) if looks_like_sip(payload) => Content::Sip,
        Some(_)
            if payload.len() <= MAX_KEEP_ALIVE && payload.iter().all(|byte| b"\r\n\0 ".contains(byte)) =>
        {
            Content::Other(Reason::KeepAlive)
        }
        Some(_) => Content::Other(Reason::Datagram),
        // Some send nothing at all to keep a path open.
        None => Content::Other(Reason::KeepAlive),
    }
}

fn media((from, to): (u16, u16), payload: &[u8]) -> Content {
    if rtp::looks_like_rtcp(payload) {
        return Content::Other(Reason::Rtcp);
    }
    // Below 1024 it is DNS, NTP or the like.
    if from < 1024 || to < 1024 || rtp::header_length(payload).is_err() {
        return Content::Other(Reason::Datagram);
    }
    header(payload).map_or(Content::Other(Reason::Datagram), Content::Rtp)
}

fn header(payload: &[u8]) -> Option<Header> {
    let (head, _) = payload.split_first_chunk::<12>()?;
    let [_, kind, s1, s0, t3, t2, t1, t0, c3, c2, c1, c0] = *head;
    let payload_type = kind & 0x7f;
    // RFC 5761 §4: 64 to 95 would be taken for RTCP.
    (!matches!(payload_type, 64..=95)).then_some(Header {
        payload_type,
        sequence: u16::from_be_bytes([s1, s0]),
        timestamp: u32::from_be_bytes([t3, t2, t1, t0]),
        ssrc: u32::from_be_bytes([c3, c2, c1, c0]),
    })
}

/// RFC 8489 §5.
const STUN_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const MAX_KEEP_ALIVE: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_by_its_content() {
        let ports = (30_000, 40_001);
        let stun = [&[0, 1, 0, 0][..], &STUN_COOKIE, &[7; 12]].concat();
        let other = [
            (&b"\r\n\r\n"[..], Reason::KeepAlive),
            (b"", Reason::KeepAlive),
            (&[0; 4], Reason::KeepAlive),
            (&stun, Reason::Stun),
            (&[0x80, 200, 0, 1, 0, 0, 0, 1], Reason::Rtcp),
            (&[22, 0xfe, 0xfd, 0, 0], Reason::Dtls),
            (b"HTTP/1.1 200 OK\r\n", Reason::Datagram),
            (&[0x80, 0], Reason::Datagram),
        ];
        for (payload, reason) in other {
            assert_eq!(content(ports, payload), Content::Other(reason), "{payload:?}");
        }
        assert_eq!(content(ports, b"SIP/2.0 100 Trying\r\n"), Content::Sip);
        let audio = [0x80, 0x88, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xd5];
        let header = Header { payload_type: 8, sequence: 1, timestamp: 2, ssrc: 3 };
        assert_eq!(content(ports, &audio), Content::Rtp(header));
        assert_eq!(content((40_000, 53), &audio), Content::Other(Reason::Datagram));
    }
}
