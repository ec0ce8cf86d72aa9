//! Payload type numbers: which one a codec gets, and keeps.

use midcall_wire::sdp::Media;

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
            &|codec| codec.payload.filter(|number| *number < 128 && self.free(*number, codec)),
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

    /// Whether this number has never stood for another codec.
    fn free(&self, number: u8, codec: &Codec) -> bool {
        let mut all = self.ours.iter().chain(&self.theirs);
        !all.any(|(bound, other)| *bound == number && !other.same(codec))
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

fn remember(into: &mut Vec<(u8, Codec)>, media: &Media<'_>) {
    if !media.is_rtp() {
        return;
    }
    for (number, codec) in explained(media) {
        if !into.iter().any(|(known, _)| *known == number) {
            into.push((number, codec));
        }
    }
}

fn known(bound: &[(u8, Codec)], codec: &Codec) -> Option<u8> {
    bound.iter().find(|(_, known)| known.same(codec)).map(|(number, _)| *number)
}

/// The formats of an RTP stream that something explains, in order, each number once.
pub(super) fn explained(media: &Media<'_>) -> Vec<(u8, Codec)> {
    let mut found: Vec<(u8, Codec)> = Vec::new();
    for format in media.formats() {
        let Some(codec) = Codec::of(media, format) else { continue };
        let Some(number) = codec.payload else { continue };
        if !found.iter().any(|(known, _)| *known == number) {
            found.push((number, codec));
        }
    }
    found
}
