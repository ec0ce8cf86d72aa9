//! RTP headers: enough to send media, to count it and to tell it from other traffic. RFC 3550 §5.
//!
//! The reports that go along with it are in [`rtcp`].

pub mod rtcp;

use std::fmt;

/// One RTP packet; its payload stays where it was read.
///
/// ```
/// use midcall_wire::rtp::Packet;
///
/// let packet = Packet {
///     payload_type: 8, marker: true, sequence: 7, timestamp: 160, ssrc: 0xabcd, payload: &[0xd5; 160],
/// };
/// let bytes = packet.to_bytes();
/// assert_eq!(bytes.len(), 172);
/// assert_eq!(Packet::parse(&bytes), Ok(packet));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The number of the format, as the session descriptions explain it.
    pub payload_type: u8,
    /// The marker bit: with audio, the first packet after silence.
    pub marker: bool,
    /// The sequence number.
    pub sequence: u16,
    /// The time of the first sample, in units of the format's clock.
    pub timestamp: u32,
    /// The source of the stream.
    pub ssrc: u32,
    /// What is carried, without header extension and padding.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a packet; contributing sources, a header extension and padding are skipped.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtpError> {
        let start = header_length(bytes)?;
        let payload = bytes.get(start..).ok_or(RtpError::Short)?;
        let (first, second) = (byte(bytes, 0)?, byte(bytes, 1)?);
        let padding = if first & 0x20 == 0 {
            0
        } else {
            let length = payload.last().copied().map(usize::from).ok_or(RtpError::Padding)?;
            if length == 0 || length > payload.len() {
                return Err(RtpError::Padding);
            }
            length
        };
        Ok(Self {
            payload_type: second & 0x7f,
            marker: second & 0x80 != 0,
            sequence: u16_at(bytes, 2)?,
            timestamp: u32_at(bytes, 4)?,
            ssrc: u32_at(bytes, 8)?,
            payload: payload.get(..payload.len() - padding).ok_or(RtpError::Padding)?,
        })
    }

    /// Appends the packet to a buffer, with the plain 12-byte header.
    pub fn write(&self, into: &mut Vec<u8>) {
        into.reserve(HEADER + self.payload.len());
        into.push(VERSION << 6);
        into.push(u8::from(self.marker) << 7 | self.payload_type & 0x7f);
        into.extend_from_slice(&self.sequence.to_be_bytes());
        into.extend_from_slice(&self.timestamp.to_be_bytes());
        into.extend_from_slice(&self.ssrc.to_be_bytes());
        into.extend_from_slice(self.payload);
    }

    /// The packet as it goes on the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }
}

/// How long the header of a packet is, contributing sources and extension included.
///
/// SRTP leaves exactly this much in the clear. RFC 3711 §3.1.
pub fn header_length(bytes: &[u8]) -> Result<usize, RtpError> {
    let first = byte(bytes, 0)?;
    if first >> 6 != VERSION {
        return Err(RtpError::Version);
    }
    let mut length = HEADER + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        length += 4 + 4 * usize::from(u16_at(bytes, length + 2)?);
    }
    if bytes.len() < length { Err(RtpError::Short) } else { Ok(length) }
}

/// Whether a datagram on a media port is RTP, told apart from RTCP as RFC 5761 §4 lays down.
pub fn looks_like_rtp(bytes: &[u8]) -> bool {
    bytes.len() >= HEADER && bytes.first().is_some_and(|first| first >> 6 == VERSION) && !is_rtcp_type(bytes)
}

/// Whether a datagram on a media port is RTCP, told apart from RTP as RFC 5761 §4 lays down.
pub fn looks_like_rtcp(bytes: &[u8]) -> bool {
    bytes.len() >= 8 && bytes.first().is_some_and(|first| first >> 6 == VERSION) && is_rtcp_type(bytes)
}

fn is_rtcp_type(bytes: &[u8]) -> bool {
    bytes.get(1).is_some_and(|kind| (192..=223).contains(kind))
}

/// Why bytes are no RTP or RTCP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RtpError {
    /// The packet ends before its header says so.
    Short,
    /// The version is not 2.
    Version,
    /// The padding does not fit the packet.
    Padding,
}

impl fmt::Display for RtpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "the packet is shorter than its header says",
            Self::Version => "the RTP version is not 2",
            Self::Padding => "the padding is longer than the packet",
        })
    }
}

impl std::error::Error for RtpError {}

fn byte(bytes: &[u8], at: usize) -> Result<u8, RtpError> {
    bytes.get(at).copied().ok_or(RtpError::Short)
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, RtpError> {
    Ok(u16::from_be_bytes([byte(bytes, at)?, byte(bytes, at + 1)?]))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, RtpError> {
    Ok(u32::from(u16_at(bytes, at)?) << 16 | u32::from(u16_at(bytes, at + 2)?))
}

const VERSION: u8 = 2;
const HEADER: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_extension_and_padding_are_not_payload() {
        let mut bytes = vec![0xb1, 0x80 | 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend([0, 0, 0, 9]); // one contributing source
        bytes.extend([0xbe, 0xde, 0, 1, 1, 2, 3, 4]); // an extension of one word
        bytes.extend(b"voice");
        bytes.extend([0, 0, 3]); // padding
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!((packet.payload, packet.payload_type, packet.marker), (&b"voice"[..], 96, true));
        assert_eq!((packet.sequence, packet.timestamp, packet.ssrc), (1, 2, 3));
        assert_eq!(header_length(&bytes), Ok(24));
    }

    #[test]
    fn broken_packets_are_refused() {
        let good =
            Packet { payload_type: 0, marker: false, sequence: 0, timestamp: 0, ssrc: 0, payload: b"x" };
        let good = good.to_bytes();
        for length in 0..HEADER {
            assert_eq!(Packet::parse(&good[..length]), Err(RtpError::Short), "{length} bytes");
        }
        let with = |first: u8, tail: &[u8]| [&[first][..], &good[1..12], tail].concat();
        assert_eq!(Packet::parse(&with(0x40, b"")), Err(RtpError::Version));
        assert_eq!(Packet::parse(&with(0xa0, &[])), Err(RtpError::Padding));
        assert_eq!(Packet::parse(&with(0xa0, &[0])), Err(RtpError::Padding));
        assert_eq!(Packet::parse(&with(0xa0, &[1, 3])), Err(RtpError::Padding));
        assert_eq!(Packet::parse(&with(0x8f, &[0; 59])), Err(RtpError::Short));
        assert_eq!(Packet::parse(&with(0x90, &[0, 0, 0xff, 0xff])), Err(RtpError::Short));
        assert_eq!(RtpError::Version.to_string(), "the RTP version is not 2");
    }

    #[test]
    fn rtp_rtcp_stun_and_dtls_are_told_apart() {
        let audio =
            Packet { payload_type: 8, marker: true, sequence: 0, timestamp: 0, ssrc: 0, payload: b"" };
        let audio = audio.to_bytes();
        assert!(looks_like_rtp(&audio) && !looks_like_rtcp(&audio));
        let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
        assert!(looks_like_rtcp(&report) && !looks_like_rtp(&report));
        for other in
            [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0][..], &[22, 254, 255, 0, 0, 0, 0, 0], b""]
        {
            assert!(!looks_like_rtp(other) && !looks_like_rtcp(other));
        }
    }
}
