//! RTCP: reports on what was sent and received, names and goodbyes. RFC 3550 §6.
//!
//! ```
//! use midcall_wire::rtp::rtcp::{Bye, Packet, ReceiverReport, Sdes, packets};
//!
//! let mut compound = Vec::new();
//! ReceiverReport { ssrc: 1, reports: vec![] }.write(&mut compound);
//! Sdes { ssrc: 1, cname: "a@example.invalid".to_owned() }.write(&mut compound);
//! Bye { sources: vec![1], reason: None }.write(&mut compound);
//!
//! let read: Vec<_> = packets(&compound).collect::<Result<_, _>>().unwrap();
//! assert!(matches!(&read[..], [Packet::ReceiverReport(_), Packet::Sdes(_), Packet::Bye(_)]));
//! ```

use super::{RtpError, VERSION, byte, u16_at, u32_at};

/// One packet of a compound.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packet {
    /// What a party that sends says about itself and others.
    SenderReport(SenderReport),
    /// What a party that only listens says about others.
    ReceiverReport(ReceiverReport),
    /// Who the sources are, one entry for each.
    Sdes(Vec<Sdes>),
    /// Sources that leave.
    Bye(Bye),
    /// A packet of another type.
    Other(u8),
}

/// Reads the packets of a compound one after the other; after an error there are no more.
pub fn packets(bytes: &[u8]) -> impl Iterator<Item = Result<Packet, RtpError>> {
    let mut rest = Some(bytes).filter(|bytes| !bytes.is_empty());
    std::iter::from_fn(move || {
        let (packet, after) = match split(rest.take()?) {
            Ok(split) => split,
            Err(error) => return Some(Err(error)),
        };
        rest = Some(after).filter(|after| !after.is_empty());
        let read = read(packet);
        if read.is_err() {
            rest = None;
        }
        Some(read)
    })
}

/// One packet, cut to its length, and what follows.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), RtpError> {
    if byte(bytes, 0)? >> 6 != VERSION {
        return Err(RtpError::Version);
    }
    let length = 4 + 4 * usize::from(u16_at(bytes, 2)?);
    bytes.split_at_checked(length).ok_or(RtpError::Short)
}

fn read(packet: &[u8]) -> Result<Packet, RtpError> {
    let count = usize::from(byte(packet, 0)? & 0x1f);
    Ok(match byte(packet, 1)? {
        SENDER_REPORT => Packet::SenderReport(SenderReport {
            ssrc: u32_at(packet, 4)?,
            ntp: u64::from(u32_at(packet, 8)?) << 32 | u64::from(u32_at(packet, 12)?),
            rtp_timestamp: u32_at(packet, 16)?,
            packets: u32_at(packet, 20)?,
            octets: u32_at(packet, 24)?,
            reports: blocks(packet, 28, count)?,
        }),
        RECEIVER_REPORT => Packet::ReceiverReport(ReceiverReport {
            ssrc: u32_at(packet, 4)?,
            reports: blocks(packet, 8, count)?,
        }),
        SDES => Packet::Sdes(chunks(packet, count)?),
        BYE => {
            let sources = (0..count).map(|index| u32_at(packet, 4 + 4 * index)).collect::<Result<_, _>>()?;
            let at = 4 + 4 * count;
            let reason = packet.get(at).and_then(|length| {
                let text = packet.get(at + 1..at + 1 + usize::from(*length))?;
                Some(String::from_utf8_lossy(text).into_owned())
            });
            Packet::Bye(Bye { sources, reason })
        }
        kind => Packet::Other(kind),
    })
}

fn blocks(packet: &[u8], from: usize, count: usize) -> Result<Vec<ReportBlock>, RtpError> {
    (0..count).map(|index| ReportBlock::parse(packet, from + 24 * index)).collect()
}

fn chunks(packet: &[u8], count: usize) -> Result<Vec<Sdes>, RtpError> {
    let mut at = 4;
    let mut chunks = Vec::with_capacity(count);
    for _ in 0..count {
        let ssrc = u32_at(packet, at)?;
        at += 4;
        let mut cname = String::new();
        loop {
            let item = byte(packet, at)?;
            if item == 0 {
                break;
            }
            let length = usize::from(byte(packet, at + 1)?);
            let text = packet.get(at + 2..at + 2 + length).ok_or(RtpError::Short)?;
            if item == CNAME {
                cname = String::from_utf8_lossy(text).into_owned();
            }
            at += 2 + length;
        }
        at = (at / 4 + 1) * 4;
        chunks.push(Sdes { ssrc, cname });
    }
    Ok(chunks)
}

/// What a party that sends says: how much it sent, and how the others come in. RFC 3550 §6.4.1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SenderReport {
    /// The source that reports.
    pub ssrc: u32,
    /// Wall clock time in NTP format, 32 bits of seconds and 32 of fraction.
    pub ntp: u64,
    /// The same moment in units of the media clock.
    pub rtp_timestamp: u32,
    /// How many packets it sent.
    pub packets: u32,
    /// How many payload bytes it sent.
    pub octets: u32,
    /// How it receives others; 31 at most are written.
    pub reports: Vec<ReportBlock>,
}

impl SenderReport {
    /// Appends the packet to a compound.
    pub fn write(&self, into: &mut Vec<u8>) {
        let reports = first(&self.reports);
        header(into, reports.len(), SENDER_REPORT, 24 + 24 * reports.len());
        into.extend_from_slice(&self.ssrc.to_be_bytes());
        into.extend_from_slice(&self.ntp.to_be_bytes());
        for word in [self.rtp_timestamp, self.packets, self.octets] {
            into.extend_from_slice(&word.to_be_bytes());
        }
        reports.iter().for_each(|report| report.write(into));
    }
}

/// What a party that only listens says. RFC 3550 §6.4.2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiverReport {
    /// The source that reports.
    pub ssrc: u32,
    /// How it receives others; 31 at most are written.
    pub reports: Vec<ReportBlock>,
}

impl ReceiverReport {
    /// Appends the packet to a compound.
    pub fn write(&self, into: &mut Vec<u8>) {
        let reports = first(&self.reports);
        header(into, reports.len(), RECEIVER_REPORT, 4 + 24 * reports.len());
        into.extend_from_slice(&self.ssrc.to_be_bytes());
        reports.iter().for_each(|report| report.write(into));
    }
}

/// How one source comes in. RFC 3550 §6.4.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source this is about.
    pub ssrc: u32,
    /// The share of packets lost since the last report, in 256ths.
    pub fraction_lost: u8,
    /// How many packets were lost in all; negative when duplicates came in.
    pub lost: i32,
    /// The highest sequence number, with the number of wraps in the upper half.
    pub highest_sequence: u32,
    /// How much arrival times vary, in units of the media clock.
    pub jitter: u32,
    /// The middle 32 bits of the NTP time of the last sender report; 0 if there was none.
    pub last_sr: u32,
    /// How long ago that was, in 65536ths of a second.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    fn parse(packet: &[u8], at: usize) -> Result<Self, RtpError> {
        let losses = u32_at(packet, at + 4)?;
        Ok(Self {
            ssrc: u32_at(packet, at)?,
            fraction_lost: byte(packet, at + 4)?,
            // 24 bits with sign.
            lost: (losses << 8).cast_signed() >> 8,
            highest_sequence: u32_at(packet, at + 8)?,
            jitter: u32_at(packet, at + 12)?,
            last_sr: u32_at(packet, at + 16)?,
            delay_since_last_sr: u32_at(packet, at + 20)?,
        })
    }

    fn write(&self, into: &mut Vec<u8>) {
        let lost = self.lost.clamp(-0x80_0000, 0x7f_ffff).cast_unsigned() & 0x00ff_ffff;
        let losses = u32::from(self.fraction_lost) << 24 | lost;
        let words =
            [self.ssrc, losses, self.highest_sequence, self.jitter, self.last_sr, self.delay_since_last_sr];
        words.iter().for_each(|word| into.extend_from_slice(&word.to_be_bytes()));
    }
}

/// The lasting name of a source. RFC 3550 §6.5.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sdes {
    /// The source.
    pub ssrc: u32,
    /// Its name; 255 bytes at most are written. RFC 7022 says how to choose one that tells nothing.
    pub cname: String,
}

impl Sdes {
    /// Appends the packet to a compound.
    pub fn write(&self, into: &mut Vec<u8>) {
        let name = self.cname.as_bytes();
        let name = name.get(..255).unwrap_or(name);
        // The items end with a zero byte and fill up whole words.
        let items = (2 + name.len()) / 4 * 4 + 4;
        header(into, 1, SDES, 4 + items);
        into.extend_from_slice(&self.ssrc.to_be_bytes());
        into.extend_from_slice(&[CNAME, u8::try_from(name.len()).unwrap_or(u8::MAX)]);
        into.extend_from_slice(name);
        into.resize(into.len() + items - 2 - name.len(), 0);
    }
}

/// Sources that leave. RFC 3550 §6.6.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bye {
    /// Who leaves; 31 at most are written.
    pub sources: Vec<u32>,
    /// Why, in words.
    pub reason: Option<String>,
}

impl Bye {
    /// Appends the packet to a compound.
    pub fn write(&self, into: &mut Vec<u8>) {
        let sources = first(&self.sources);
        let reason = self.reason.as_deref().unwrap_or_default().as_bytes();
        let reason = reason.get(..255).unwrap_or(reason);
        let words = if reason.is_empty() { 0 } else { reason.len() / 4 * 4 + 4 };
        header(into, sources.len(), BYE, 4 * sources.len() + words);
        sources.iter().for_each(|source| into.extend_from_slice(&source.to_be_bytes()));
        if !reason.is_empty() {
            into.push(u8::try_from(reason.len()).unwrap_or(u8::MAX));
            into.extend_from_slice(reason);
            into.resize(into.len() + words - 1 - reason.len(), 0);
        }
    }
}

fn first<T>(all: &[T]) -> &[T] {
    all.get(..MOST).unwrap_or(all)
}

/// The common header; `length` counts the bytes after it, whole words.
fn header(into: &mut Vec<u8>, count: usize, kind: u8, length: usize) {
    into.push(VERSION << 6 | u8::try_from(count.min(MOST)).unwrap_or(0));
    into.push(kind);
    into.extend_from_slice(&u16::try_from(length / 4).unwrap_or(u16::MAX).to_be_bytes());
}

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SDES: u8 = 202;
const BYE: u8 = 203;
const CNAME: u8 = 1;
/// The count in a header has five bits.
const MOST: usize = 31;

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> ReportBlock {
        ReportBlock {
            ssrc: 7,
            fraction_lost: 25,
            lost: -3,
            highest_sequence: 0x1_0005,
            jitter: 12,
            last_sr: 0xdead_beef,
            delay_since_last_sr: 65_536,
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let sender = SenderReport {
            ssrc: 1,
            ntp: 0x0102_0304_0506_0708,
            rtp_timestamp: 9,
            packets: 10,
            octets: 1600,
            reports: vec![block(), block()],
        };
        let receiver = ReceiverReport { ssrc: 2, reports: vec![ReportBlock { lost: 0x7f_ffff, ..block() }] };
        let bye = Bye { sources: vec![1, 2], reason: Some("done".to_owned()) };
        for name in ["", "a", "ab", "abc", "abcd", "abcde@example.invalid"] {
            let name = Sdes { ssrc: 3, cname: name.to_owned() };
            let mut bytes = Vec::new();
            sender.write(&mut bytes);
            receiver.write(&mut bytes);
            name.write(&mut bytes);
            bye.write(&mut bytes);
            assert_eq!(bytes.len() % 4, 0);
            let read: Vec<_> = packets(&bytes).collect::<Result<_, _>>().unwrap();
            let written = [
                Packet::SenderReport(sender.clone()),
                Packet::ReceiverReport(receiver.clone()),
                Packet::Sdes(vec![name]),
                Packet::Bye(bye.clone()),
            ];
            assert_eq!(read, written);
        }
    }

    #[test]
    fn other_types_are_named_and_skipped() {
        let feedback = [0x81, 205, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0x80, 203, 0, 0];
        let read: Vec<_> = packets(&feedback).collect::<Result<_, _>>().unwrap();
        assert_eq!(read, [Packet::Other(205), Packet::Bye(Bye::default())]);
    }

    #[test]
    fn a_cut_compound_ends_with_an_error() {
        let mut bytes = Vec::new();
        ReceiverReport { ssrc: 2, reports: vec![block()] }.write(&mut bytes);
        Sdes { ssrc: 3, cname: "abc".to_owned() }.write(&mut bytes);
        for length in 1..bytes.len() {
            let read: Vec<_> = packets(&bytes[..length]).collect();
            assert!(read.len() <= 2);
            assert_eq!(read.last().unwrap().is_err(), length != 32, "{length} bytes");
        }
        assert_eq!(packets(b"").count(), 0);
        assert_eq!(packets(&[0x40, 201, 0, 0]).next(), Some(Err(RtpError::Version)));
        // More reports announced than there are.
        assert_eq!(packets(&[0x9f, 201, 0, 1, 0, 0, 0, 1]).next(), Some(Err(RtpError::Short)));
    }

    #[test]
    fn too_much_is_cut_to_what_fits() {
        let mut bytes = Vec::new();
        ReceiverReport { ssrc: 2, reports: vec![block(); 40] }.write(&mut bytes);
        Sdes { ssrc: 3, cname: "x".repeat(300) }.write(&mut bytes);
        Bye { sources: vec![1; 40], reason: Some("y".repeat(300)) }.write(&mut bytes);
        let read: Vec<_> = packets(&bytes).collect::<Result<_, _>>().unwrap();
        assert!(matches!(&read[0], Packet::ReceiverReport(report) if report.reports.len() == 31));
        assert!(matches!(&read[1], Packet::Sdes(names) if names[0].cname.len() == 255));
        assert!(matches!(&read[2], Packet::Bye(bye) if bye.sources.len() == 31));
    }
}
