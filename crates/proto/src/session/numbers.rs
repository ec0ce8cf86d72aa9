//! Payload type numbers: which one a codec gets, and keeps.

use midcall_wire::sdp::{Media, RtpMap};

use super::{Codec, MediaKind, Stream};

/// Where numbers for new formats start, and how far they go. RFC 3551 §3.
const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;

/// One way to come by the number of a codec.
type Pass<'p> = &'p dyn Fn(&Codec) -> Option<u8>;

/// What the numbers of one stream have stood for so far. RFC 3264 §8.3.2.
#[derive(Default)]
pub(super) struct Numbers {
    ours: Vec<(u8, Codec)>,
    theirs: Vec<(u8, Codec)>,
}

impl Numbers {
    pub(super) fn remember_ours(&mut self, media: &Media<'_>) {
        remember(&mut self.ours, media);
    }

    pub(super) fn remember_theirs(&mut self, media: &Media<'_>) {
        remember(&mut self.theirs, media);
    }

    /// Numbers for all the codecs, in their order. A codec that had a number keeps it.
    pub(super) fn assign(&self, codecs: &[Codec]) -> Vec<(u8, Codec)> {
        let mut numbers: Vec<Option<u8>> = vec![None; codecs.len()];
        let passes: [Pass<'_>; 4] = [
            &Codec::fixed_payload,
            &|codec| known(&self.ours, codec),
            &|codec| known(&self.theirs, codec).filter(|number| self.free(*number, codec)),
            &|codec| codec.payload.filter(|number| unfixed(*number) && self.free(*number, codec)),
        ];
        for pass in passes {
            for (index, codec) in codecs.iter().enumerate() {
                let taken = numbers.get(index).copied().flatten().is_some();
                let number = pass(codec).filter(|number| !taken && !numbers.contains(&Some(*number)));
                if let (Some(slot), Some(number)) = (numbers.get_mut(index), number) {
                    *slot = Some(number);
                }
            }
        }
        let mut assigned = Vec::with_capacity(codecs.len());
        for (index, codec) in codecs.iter().enumerate() {
            let number = numbers.get(index).copied().flatten().or_else(|| self.unused(&numbers));
            if let (Some(slot), Some(number)) = (numbers.get_mut(index), number) {
                *slot = Some(number);
                assigned.push((number, codec.clone()));
            }
        }
        assigned
    }

    /// Numbers for an answer: those of the offer, as RFC 3264 §6.1 advises, unless one of them stood for
    /// something else on this side.
    pub(super) fn follow(&self, offered: &[(u8, Codec)]) -> Vec<(u8, Codec)> {
        let kept = |number: u8, codec: &Codec| !bound_otherwise(&self.ours, number, codec);
        let mut taken: Vec<_> =
            offered.iter().map(|(number, codec)| kept(*number, codec).then_some(*number)).collect();
        let mut numbered = Vec::with_capacity(offered.len());
        for (index, (_, codec)) in offered.iter().enumerate() {
            let own = || known(&self.ours, codec).filter(|number| !taken.contains(&Some(*number)));
            let Some(number) =
                taken.get(index).copied().flatten().or_else(own).or_else(|| self.unused(&taken))
            else {
                continue;
            };
            if let Some(slot) = taken.get_mut(index) {
                *slot = Some(number);
            }
            numbered.push((number, codec.clone()));
        }
        numbered
    }

    /// Whether this number has never stood for another codec.
    fn free(&self, number: u8, codec: &Codec) -> bool {
        !bound_otherwise(&self.ours, number, codec) && !bound_otherwise(&self.theirs, number, codec)
    }

    /// A number nobody used. Counting goes on above the highest one, so numbers of formats that were
    /// given up long ago do not come back with another meaning.
    fn unused(&self, taken: &[Option<u8>]) -> Option<u8> {
        let known = self.ours.iter().chain(&self.theirs).map(|(number, _)| *number);
        let highest = self.ours.iter().map(|(number, _)| *number).filter(|n| DYNAMIC.contains(n)).max();
        let used: Vec<u8> = known.chain(taken.iter().copied().flatten()).collect();
        let start = highest.map_or(*DYNAMIC.start(), |number| number + 1);
        (start..=*DYNAMIC.end()).chain(DYNAMIC).find(|number| !used.contains(number))
    }
}

/// The codecs of a stream as they go into a description: no doubles, and DTMF at every clock rate in use.
///
/// RFC 4733 §2.1: events share the timestamps of the audio they interrupt, so they need its clock rate.
pub(super) fn written_codecs(stream: &Stream) -> Vec<Codec> {
    let mut codecs: Vec<Codec> = Vec::with_capacity(stream.codecs.len() + 1);
    for codec in &stream.codecs {
        if !codecs.iter().any(|other| other.same(codec)) {
            codecs.push(codec.clone());
        }
    }
    let Some(event) = codecs.iter().find(|codec| codec.is_telephone_event()).cloned() else { return codecs };
    if stream.kind != MediaKind::Audio {
        return codecs;
    }
    let mut clocks: Vec<u32> = Vec::new();
    for codec in codecs.iter().filter(|codec| !codec.is_companion()) {
        if !clocks.contains(&codec.clock) {
            clocks.push(codec.clock);
        }
    }
    codecs.retain(|codec| !codec.is_telephone_event() || clocks.contains(&codec.clock));
    for clock in clocks {
        if !codecs.iter().any(|codec| codec.is_telephone_event() && codec.clock == clock) {
            codecs.push(Codec { clock, payload: None, ..event.clone() });
        }
    }
    codecs
}

/// Whether a number has no meaning of its own. RFC 3551 §6.
fn unfixed(number: u8) -> bool {
    number < 128 && RtpMap::fixed(number).is_none()
}

fn remember(into: &mut Vec<(u8, Codec)>, media: &Media<'_>) {
    for (number, codec) in explained(media) {
        if !into.iter().any(|(known, _)| *known == number) {
            into.push((number, codec));
        }
    }
}

fn bound_otherwise(bound: &[(u8, Codec)], number: u8, codec: &Codec) -> bool {
    bound.iter().any(|(known, other)| *known == number && !other.same(codec))
}

fn known(bound: &[(u8, Codec)], codec: &Codec) -> Option<u8> {
    bound.iter().find(|(_, known)| known.same(codec)).map(|(number, _)| *number)
}

/// The formats of an RTP stream that something explains, in order, each number once.
pub(super) fn explained(media: &Media<'_>) -> Vec<(u8, Codec)> {
    let table = Table::new(media);
    let numbers = numbers(media).into_iter();
    numbers.filter_map(|number| Some((number, table.codec(number)?))).collect()
}

/// The dynamic payload types of an RTP stream that no `a=rtpmap` line explains.
pub(super) fn unexplained(media: &Media<'_>) -> Vec<u8> {
    let table = Table::new(media);
    let dynamic = numbers(media).into_iter().filter(|number| DYNAMIC.contains(number));
    dynamic.filter(|number| table.codec(*number).is_none()).collect()
}

/// The payload types listed, each once.
fn numbers(media: &Media<'_>) -> Vec<u8> {
    let mut seen = [false; 128];
    let numbers = media.formats().filter_map(|format| format.parse::<u8>().ok());
    numbers
        .filter(|number| {
            seen.get_mut(usize::from(*number)).is_some_and(|seen| !std::mem::replace(seen, true))
        })
        .collect()
}

/// What the attributes of a stream say about its payload types, gathered in one go.
struct Table<'a> {
    rtpmaps: [Option<&'a str>; 128],
    fmtps: [Option<&'a str>; 128],
}

impl<'a> Table<'a> {
    fn new(media: &Media<'a>) -> Self {
        let mut table = Self { rtpmaps: [None; 128], fmtps: [None; 128] };
        if !media.is_rtp() {
            return table;
        }
        for line in media.lines() {
            let Some((name, Some(value))) = line.attribute() else { continue };
            let column = match name {
                "rtpmap" => &mut table.rtpmaps,
                "fmtp" => &mut table.fmtps,
                _ => continue,
            };
            let (number, text) = value.split_once(char::is_whitespace).unwrap_or((value, ""));
            if let Some(cell) = number.parse().ok().and_then(|number: usize| column.get_mut(number)) {
                cell.get_or_insert(text.trim());
            }
        }
        table
    }

    fn codec(&self, number: u8) -> Option<Codec> {
        let cell = |column: &[Option<&'a str>; 128]| column.get(usize::from(number)).copied().flatten();
        let map = cell(&self.rtpmaps).map_or_else(|| RtpMap::fixed(number), RtpMap::parse)?;
        Some(Codec {
            name: map.name.to_owned(),
            clock: map.clock,
            channels: map.channels,
            payload: Some(number),
            fmtp: cell(&self.fmtps).map(str::to_owned),
        })
    }
}
