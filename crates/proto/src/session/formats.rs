//! Formats of a stream, wherever they are written down: in a wish or in a description.

use midcall_wire::sdp::{Media, RtpMap};
use smallvec::SmallVec;

use super::{Codec, MediaKind, Stream};

/// The formats of one stream, in order.
pub(super) type Formats<'a> = SmallVec<[Format<'a>; 8]>;

/// One format, borrowed from where it is written down.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format<'a> {
    /// Its number, or the number wished for; formats of other transports than RTP have none.
    pub(super) number: Option<u8>,
    pub(super) name: &'a str,
    pub(super) clock: u32,
    pub(super) channels: u8,
    pub(super) fmtp: Option<&'a str>,
}

impl<'a> Format<'a> {
    /// The format of a wish.
    pub(super) fn of(codec: &'a Codec) -> Self {
        let Codec { name, clock, channels, payload, fmtp } = codec;
        Self { number: *payload, name, clock: *clock, channels: *channels, fmtp: fmtp.as_deref() }
    }

    /// A format of a transport other than RTP.
    pub(super) fn named(name: &'a str) -> Self {
        Self { number: None, name, clock: 0, channels: 1, fmtp: None }
    }

    /// The codec, to be kept.
    pub(super) fn to_codec(self) -> Codec {
        Codec {
            name: self.name.to_owned().into(),
            clock: self.clock,
            channels: self.channels,
            payload: self.number,
            fmtp: self.fmtp.map(|fmtp| fmtp.to_owned().into()),
        }
    }

    /// The same encoding; parameters are left to the two parties.
    pub(super) fn alike(&self, other: &Format<'_>) -> bool {
        alike(&self.rtpmap(), &other.rtpmap())
    }

    /// The same encoding in a form both can read; numbers do not count.
    pub(super) fn same(&self, other: &Format<'_>) -> bool {
        self.alike(other) && self.packing() == other.packing()
    }

    pub(super) fn is_telephone_event(&self) -> bool {
        self.name.eq_ignore_ascii_case("telephone-event")
    }

    /// Whether this only goes along with a real codec: DTMF, comfort noise, redundancy, repair.
    pub(super) fn is_companion(&self) -> bool {
        let companions = ["telephone-event", "CN", "red", "ulpfec", "rtx"];
        companions.iter().any(|name| self.name.eq_ignore_ascii_case(name))
    }

    /// The number this format always has, whatever the description. RFC 3551 §6.
    pub(super) fn fixed_number(&self) -> Option<u8> {
        self.number.filter(|number| {
            RtpMap::fixed(*number).is_some_and(|map| {
                map.clock == self.clock
                    && map.channels == self.channels
                    && map.name.eq_ignore_ascii_case(self.name)
            })
        })
    }

    /// What follows the number in `a=rtpmap`.
    pub(super) fn rtpmap(&self) -> RtpMap<'a> {
        RtpMap { name: self.name, clock: self.clock, channels: self.channels }
    }

    /// The parameter that makes two forms of one codec unable to talk to each other, if the codec has one.
    fn packing(&self) -> Option<&'a str> {
        let key = match self.name.len() {
            3 if self.name.eq_ignore_ascii_case("AMR") => "octet-align", // RFC 4867 §8.1
            6 if self.name.eq_ignore_ascii_case("AMR-WB") => "octet-align",
            4 if self.name.eq_ignore_ascii_case("H264") => "packetization-mode", // RFC 6184 §8.2.2
            _ => return None,
        };
        let value = self.fmtp.and_then(|fmtp| {
            fmtp.split(';').find_map(|item| {
                let (name, value) = item.split_once('=')?;
                name.trim().eq_ignore_ascii_case(key).then(|| value.trim())
            })
        });
        Some(value.unwrap_or("0"))
    }
}

/// The formats a stream is wanted with: no doubles, and DTMF at every clock rate in use.
///
/// RFC 4733 §2.1: events share the timestamps of the audio they interrupt, so they need its clock rate.
pub(super) fn wished(stream: &Stream) -> Formats<'_> {
    let mut formats = Formats::new();
    for codec in &stream.codecs {
        let format = Format::of(codec);
        if !formats.iter().any(|other| other.same(&format)) {
            formats.push(format);
        }
    }
    let Some(event) = formats.iter().copied().find(Format::is_telephone_event) else { return formats };
    if stream.kind != MediaKind::Audio {
        return formats;
    }
    let mut clocks: SmallVec<[u32; 4]> = SmallVec::new();
    for format in formats.iter().filter(|format| !format.is_companion()) {
        if !clocks.contains(&format.clock) {
            clocks.push(format.clock);
        }
    }
    formats.retain(|format| !format.is_telephone_event() || clocks.contains(&format.clock));
    for clock in clocks {
        if !formats.iter().any(|format| format.is_telephone_event() && format.clock == clock) {
            formats.push(Format { clock, number: None, ..event });
        }
    }
    formats
}

/// The formats of an RTP stream in a description that something explains, each number once.
pub(super) fn explained<'a>(media: &Media<'a>) -> Formats<'a> {
    let (facts, mut fmtps) = (Facts::of(media), Column::default());
    for line in media.lines() {
        if let Some(("fmtp", value)) = line.attribute() {
            fmtps.add(value.unwrap_or_default());
        }
    }
    let format = |number| {
        let RtpMap { name, clock, channels } = facts.meaning(number)?;
        Some(Format { number: Some(number), name, clock, channels, fmtp: fmtps.find(number) })
    };
    facts.distinct().filter_map(format).collect()
}

/// The same encoding.
fn alike(one: &RtpMap<'_>, other: &RtpMap<'_>) -> bool {
    (one.clock, one.channels) == (other.clock, other.channels)
        && (one.name == other.name || one.name.eq_ignore_ascii_case(other.name))
}

/// Which payload types came up already, as bits.
#[derive(Default)]
struct Seen([u64; 2]);

impl Seen {
    /// Whether this is a payload type and comes up for the first time.
    fn first(&mut self, number: u8) -> bool {
        let Some(known) = self.0.get_mut(usize::from(number >> 6)) else { return false };
        let bit = 1 << (number & 63);
        let new = *known & bit == 0;
        *known |= bit;
        new
    }
}

/// What a stream of a description says itself, gathered in one go. What its formats mean is read when it is asked for.
#[derive(Default)]
pub(super) struct Facts<'a> {
    /// The payload types of its `m=` line in order, `None` for what is none; empty for other transports than RTP.
    pub(super) numbers: SmallVec<[Option<u8>; 8]>,
    rtpmaps: Column<'a>,
    pub(super) mid: Option<&'a str>,
    pub(super) setup: Option<&'a str>,
    pub(super) has_keys: bool,
    pub(super) has_candidates: bool,
    pub(super) demands_mux: bool,
}

impl<'a> Facts<'a> {
    pub(super) fn of(media: &Media<'a>) -> Self {
        let mut facts = Self::default();
        let mut lines = media.lines();
        lines.next(); // the m= line
        for line in lines {
            let Some((name, value)) = line.attribute() else { continue };
            let value = value.unwrap_or_default();
            match name {
                "rtpmap" => facts.rtpmaps.add(value),
                "mid" => facts.mid = facts.mid.or(Some(value)),
                "setup" => facts.setup = facts.setup.or(Some(value)),
                "crypto" => facts.has_keys = true,
                "candidate" => facts.has_candidates = true,
                "rtcp-mux-only" => facts.demands_mux = true,
                _ => {}
            }
        }
        if media.is_rtp() {
            media.formats().for_each(|format| facts.numbers.push(format.parse().ok()));
        }
        facts
    }

    /// What a payload type means; `None` where nothing explains it.
    fn meaning(&self, number: u8) -> Option<RtpMap<'a>> {
        self.rtpmaps.find(number).map_or_else(|| RtpMap::fixed(number), RtpMap::parse)
    }

    /// Whether a payload type of these and one of the others mean the same; what nothing explains can only be compared as a
    /// number.
    pub(super) fn mean_the_same(&self, number: u8, other: &Facts<'_>, there: u8) -> bool {
        if number == there && self.rtpmaps.find(number) == other.rtpmaps.find(number) {
            return true;
        }
        match (self.meaning(number), other.meaning(there)) {
            (Some(here), Some(there)) => alike(&here, &there),
            _ => number == there,
        }
    }

    /// The payload types, each once.
    fn distinct(&self) -> impl Iterator<Item = u8> {
        let mut seen = Seen::default();
        self.numbers.iter().flatten().copied().filter(move |number| seen.first(*number))
    }

    /// The dynamic payload types that no `a=rtpmap` line explains. RFC 3551 §3.
    pub(super) fn unexplained(&self) -> impl Iterator<Item = u8> {
        self.distinct().filter(|number| (96..128).contains(number) && self.meaning(*number).is_none())
    }
}

/// What one kind of attribute says about payload types, the first line for each.
#[derive(Default)]
struct Column<'a> {
    seen: Seen,
    texts: SmallVec<[(u8, &'a str); 8]>,
}

impl<'a> Column<'a> {
    fn add(&mut self, value: &'a str) {
        let blank = value.bytes().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(value.len());
        let Some((number, text)) = value.split_at_checked(blank) else { return };
        if let Some(number) = number.parse().ok().filter(|number| self.seen.first(*number)) {
            self.texts.push((number, text.trim_ascii_start()));
        }
    }

    fn find(&self, number: u8) -> Option<&'a str> {
        self.texts.iter().find(|(known, _)| *known == number).map(|(_, text)| *text)
    }
}
