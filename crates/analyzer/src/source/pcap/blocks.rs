//! The records of a capture file: those of classic pcap and the blocks of pcapng.

use std::io::{self, Read};

use midcall_proto::time::Instant;
use pcap_parser::pcapng::{
    Block, InterfaceDescriptionBlock, OptionCode, SecretsType, parse_block_be, parse_block_le,
};
use pcap_parser::{PcapHeader, parse_pcap_header};

use super::input::Input;
use crate::packet::{Counts, Reason};
use crate::source::ReadError;

/// The records of a file, one after the other.
pub(super) struct Blocks<'r> {
    input: Input<'r>,
    kind: Kind,
    interfaces: Vec<Interface>,
    /// When the last packet was captured.
    last: Instant,
    /// The length of the record that was given last.
    given: usize,
    counts: Counts,
}

/// What kind of file it is.
enum Kind {
    Classic(Box<PcapHeader>),
    Ng { big_endian: bool },
}

/// How the packets of an interface are to be read.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: i32,
    /// Timestamp units in a second.
    resolution: u64,
    offset: i64,
}

/// What a record holds.
pub(super) enum Record<'b> {
    Packet {
        at: Instant,
        link: i32,
        data: &'b [u8],
    },
    Secrets(&'b [u8]),
    /// Nothing that matters here.
    Nothing,
}

impl<'r> Blocks<'r> {
    pub(super) fn new(source: impl Read + Send + 'r) -> Result<Self, ReadError> {
        let mut input = Input::new(source)?;
        input.want(LONGEST_MAGIC)?;
        let start = input.bytes();
        let (kind, header) = if is_section(start) {
            (Kind::Ng { big_endian: false }, 0)
        } else if let Ok((_, header)) = parse_pcap_header(start) {
            (Kind::Classic(Box::new(header)), 24)
        } else {
            return Err(super::container(start).unwrap_or(ReadError::Unknown));
        };
        input.take(header);
        let interfaces = match &kind {
            Kind::Classic(header) => vec![Interface::classic(header)],
            Kind::Ng { .. } => Vec::new(),
        };
        Ok(Self { input, kind, interfaces, last: Instant::ZERO, given: 0, counts: Counts::new() })
    }

    pub(super) fn input(&self) -> &Input<'r> {
        &self.input
    }

    /// What kind of file it is.
    pub(super) fn format(&self) -> &'static str {
        match (&self.kind, self.input.is_packed()) {
            (Kind::Classic(_), false) => "pcap",
            (Kind::Classic(_), true) => "pcap, packed with gzip",
            (Kind::Ng { .. }, false) => "pcapng",
            (Kind::Ng { .. }, true) => "pcapng, packed with gzip",
        }
    }

    /// Timestamp units in a second, of the coarsest interface so far.
    pub(super) fn resolution(&self) -> Option<u64> {
        self.interfaces.iter().map(|interface| interface.resolution).min()
    }

    /// What was passed over.
    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Whether the end of the file is missing.
    pub(super) fn is_cut(&self) -> bool {
        self.counts.of(Reason::Unfinished) > 0
    }

    /// The next record; `None` at the end.
    pub(super) fn next(&mut self) -> Option<io::Result<Record<'_>>> {
        self.input.take(std::mem::take(&mut self.given));
        let length = match self.length() {
            Ok(Some(length)) => length,
            Ok(None) => {
                return None;
            }
            Err(error) => return Some(Err(error)),
        };
        self.given = length;
        let Self { input, kind, interfaces, last, counts, .. } = self;
        let bytes = input.bytes().get(..length).unwrap_or_default();
        let record = match kind {
            Kind::Classic(header) => classic(header, interfaces, bytes),
            Kind::Ng { big_endian } => block(*big_endian, interfaces, *last, bytes),
        };
        Some(Ok(match record {
            Ok(record) => {
                if let Record::Packet { at, .. } = record {
                    *last = at;
                }
                record
            }
            Err(reason) => {
                counts.add(reason);
                Record::Nothing
            }
        }))
    }

    /// The length of the next record, which is wholly there then.
    fn length(&mut self) -> io::Result<Option<usize>> {
        let least = if matches!(self.kind, Kind::Classic(_)) { CLASSIC } else { LEAST_BLOCK };
        let mut astray = false;
        loop {
            if !self.input.want(least)? {
                if !self.input.bytes().is_empty() && !astray {
                    self.counts.add(Reason::Unfinished);
                }
                return Ok(None);
            }
            let length = match &mut self.kind {
                Kind::Classic(header) => classic_length(header, self.input.bytes()),
                Kind::Ng { big_endian } => {
                    if let Some(is_big) = section_order(self.input.bytes()) {
                        *big_endian = is_big;
                    }
                    block_length(*big_endian, self.input.bytes())
                }
            };
            let whole = match length {
                Some(length) => self.input.want(length)?,
                None => false,
            };
            match length {
                Some(length) if whole && self.fits(length) => return Ok(Some(length)),
                Some(_) if !whole && !astray && self.input.bytes().len() < SEARCH => {
                    self.counts.add(Reason::Unfinished);
                    return Ok(None);
                }
                _ => {
                    if !astray {
                        self.counts.add(Reason::Block);
                        astray = true;
                    }
                    self.seek()?;
                }
            }
        }
    }

    /// Whether the end of a block says the same as its beginning.
    fn fits(&self, length: usize) -> bool {
        match &self.kind {
            Kind::Classic(_) => true,
            Kind::Ng { big_endian } => {
                let end = self.input.bytes().get(length - 4..).unwrap_or_default();
                word(*big_endian, end, 0).is_some_and(|again| again as usize == length)
            }
        }
    }

    /// Goes forward to where a record may begin.
    fn seek(&mut self) -> io::Result<()> {
        self.input.want(SEARCH)?;
        let bytes = self.input.bytes();
        let found = (1..bytes.len()).find(|at| {
            let rest = bytes.get(*at..).unwrap_or_default();
            match &self.kind {
                Kind::Classic(header) => classic_begins(header, self.last, rest),
                Kind::Ng { big_endian } => block_begins(*big_endian, rest),
            }
        });
        let passed = found.unwrap_or_else(|| bytes.len().saturating_sub(LEAST_BLOCK).max(1));
        self.input.take(passed);
        Ok(())
    }
}

/// A record of a classic file. Its header has been found to fit.
fn classic<'b>(header: &PcapHeader, interfaces: &[Interface], bytes: &'b [u8]) -> Result<Record<'b>, Reason> {
    let interface = interfaces.first().ok_or(Reason::Interface)?;
    let start = classic_header(header);
    let field = |at| word(header.is_bigendian(), bytes, at).ok_or(Reason::Block);
    let (seconds, fraction) = (u64::from(field(0)?), u64::from(field(4)?));
    let data = bytes.get(start..).unwrap_or_default();
    let units = seconds.saturating_mul(interface.resolution).saturating_add(fraction);
    Ok(Record::Packet { at: interface.time(units), link: interface.link, data })
}

fn block<'b>(
    big_endian: bool,
    interfaces: &mut Vec<Interface>,
    last: Instant,
    bytes: &'b [u8],
) -> Result<Record<'b>, Reason> {
    let parse = if big_endian { parse_block_be } else { parse_block_le };
    let (_, block) = parse(bytes).map_err(|_| Reason::Block)?;
    let packet = |number: Option<usize>, units: Option<u64>, data: &'b [u8], length: u32| {
        let interface = interfaces.get(number.unwrap_or(usize::MAX)).ok_or(Reason::Interface)?;
        // Blocks are padded to a multiple of four bytes.
        let data = usize::try_from(length).ok().and_then(|length| data.get(..length)).unwrap_or(data);
        let at = units.map_or(last, |units| interface.time(units));
        Ok(Record::Packet { at, link: interface.link, data })
    };
    match block {
        Block::EnhancedPacket(found) => {
            let units = u64::from(found.ts_high) << 32 | u64::from(found.ts_low);
            packet(usize::try_from(found.if_id).ok(), Some(units), found.data, found.caplen)
        }
        // It has no time, and belongs to the first interface.
        Block::SimplePacket(found) => packet(Some(0), None, found.data, found.origlen),
        // The packet block of old: interface and drops in two bytes each, the rest as today.
        Block::Unknown(found)
            if found.block_type == OLD_PACKET || found.block_type == OLD_PACKET.swap_bytes() =>
        {
            let number = if big_endian {
                found.data.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
            } else {
                found.data.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
            };
            let field = |at| word(big_endian, found.data, at).ok_or(Reason::Block);
            let units = u64::from(field(4)?) << 32 | u64::from(field(8)?);
            packet(number.map(usize::from), Some(units), found.data.get(20..).unwrap_or_default(), field(12)?)
        }
        Block::SectionHeader(_) => {
            interfaces.clear();
            Ok(Record::Nothing)
        }
        Block::InterfaceDescription(found) => {
            if interfaces.len() < MAX_INTERFACES {
                interfaces.push(Interface::of(big_endian, &found));
            }
            Ok(Record::Nothing)
        }
        Block::DecryptionSecrets(found) if found.secrets_type == SecretsType::TlsKeyLog => {
            Ok(Record::Secrets(found.data))
        }
        _ => Ok(Record::Nothing),
    }
}

impl Interface {
    fn classic(header: &PcapHeader) -> Self {
        let resolution = if header.is_nanosecond_precision() { 1_000_000_000 } else { 1_000_000 };
        // The upper bits tell the length of a frame check sequence.
        Self { link: header.network.0 & 0xffff, resolution, offset: 0 }
    }

    fn of(big_endian: bool, block: &InterfaceDescriptionBlock<'_>) -> Self {
        // A power of ten, or of two if the top bit is set.
        let exponent = u32::from(block.if_tsresol & 0x7f);
        let base: u64 = if block.if_tsresol & 0x80 == 0 { 10 } else { 2 };
        let resolution = base.checked_pow(exponent).unwrap_or(1_000_000);
        let offset = block.options.iter().find(|option| option.code == OptionCode::IfTsoffset);
        let offset = offset.and_then(|option| option.value.first_chunk::<8>()).map_or(0, |bytes| {
            if big_endian { i64::from_be_bytes(*bytes) } else { i64::from_le_bytes(*bytes) }
        });
        Self { link: block.linktype.0, resolution, offset }
    }

    fn time(self, units: u64) -> Instant {
        let seconds = (units / self.resolution).saturating_add_signed(self.offset);
        let rest = units % self.resolution;
        let fraction = match rest.checked_mul(1_000_000) {
            Some(micros) => micros / self.resolution,
            None => rest / (self.resolution / 1_000_000).max(1),
        };
        Instant::from_micros(seconds.saturating_mul(1_000_000).saturating_add(fraction))
    }
}

/// Whether a file that begins like this is one of either kind.
pub(super) fn begins(start: &[u8]) -> bool {
    is_section(start) || parse_pcap_header(start).is_ok()
}

fn is_section(start: &[u8]) -> bool {
    section_order(start).is_some()
}

/// Whether a section that begins here is big-endian.
fn section_order(bytes: &[u8]) -> Option<bool> {
    match bytes {
        [0x0a, 0x0d, 0x0d, 0x0a, _, _, _, _, 0x1a, 0x2b, 0x3c, 0x4d, ..] => Some(true),
        [0x0a, 0x0d, 0x0d, 0x0a, _, _, _, _, 0x4d, 0x3c, 0x2b, 0x1a, ..] => Some(false),
        _ => None,
    }
}

fn word(big_endian: bool, bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk::<4>()?;
    Some(if big_endian { u32::from_be_bytes(*bytes) } else { u32::from_le_bytes(*bytes) })
}

/// The length of a record's header: one kind of file has more in it.
fn classic_header(header: &PcapHeader) -> usize {
    if header.is_modified_format() { CLASSIC + 8 } else { CLASSIC }
}

/// The length of a record, unless it makes no sense.
fn classic_length(header: &PcapHeader, bytes: &[u8]) -> Option<usize> {
    let captured = word(header.is_bigendian(), bytes, 8)?;
    let most = header.snaplen.clamp(MAX_SNAP, MAX_RECORD);
    (captured <= most).then(|| classic_header(header) + captured as usize)
}

/// Whether what begins here looks like a record, and what follows it, too.
fn classic_begins(header: &PcapHeader, last: Instant, bytes: &[u8]) -> bool {
    let like_a_record = |bytes: &[u8]| {
        let field = |at| word(header.is_bigendian(), bytes, at);
        let (Some(seconds), Some(fraction), Some(captured), Some(original)) =
            (field(0), field(4), field(8), field(12))
        else {
            return None;
        };
        let most = if header.is_nanosecond_precision() { 1_000_000_000 } else { 1_000_000 };
        let near = u64::from(seconds).abs_diff(last.as_micros() / 1_000_000) <= DAY || last == Instant::ZERO;
        let fits = near && fraction < most && captured > 0 && captured <= original && original <= MAX_SNAP;
        Some(fits.then_some(classic_header(header) + captured as usize))
    };
    match like_a_record(bytes) {
        Some(Some(length)) => match bytes.get(length..) {
            Some([]) => true,
            Some(next) => matches!(like_a_record(next), Some(Some(_)) | None),
            None => false,
        },
        _ => false,
    }
}

/// The length of a block, unless it makes no sense.
fn block_length(big_endian: bool, bytes: &[u8]) -> Option<usize> {
    let length = word(big_endian, bytes, 4)?;
    (length as usize >= LEAST_BLOCK && length <= MAX_RECORD).then_some(length as usize)
}

/// Whether a block of a known type begins here, all of it in sight.
fn block_begins(big_endian: bool, bytes: &[u8]) -> bool {
    if section_order(bytes).is_some() {
        return true;
    }
    let known = matches!(word(big_endian, bytes, 0), Some(1..=6 | 0x0a));
    let length = block_length(big_endian, bytes).filter(|length| known && length % 4 == 0);
    let end = length.and_then(|length| word(big_endian, bytes, length - 4));
    end.is_some() && end.map(|end| end as usize) == length
}

/// Of a classic record.
const CLASSIC: usize = 16;
/// Type, length, and length again.
const LEAST_BLOCK: usize = 12;
/// What is needed to tell what a file is.
const LONGEST_MAGIC: usize = 512;
/// The most that is captured of a packet, as Wireshark has it.
const MAX_SNAP: u32 = 256 << 10;
/// The longest record that is read.
const MAX_RECORD: u32 = 16 << 20;
/// How much is searched at once for where a record begins.
const SEARCH: usize = 512 << 10;
const MAX_INTERFACES: usize = 65_536;
/// In seconds.
const DAY: u64 = 86_400;
/// The type of the packet block that the enhanced one has replaced.
const OLD_PACKET: u32 = 2;
