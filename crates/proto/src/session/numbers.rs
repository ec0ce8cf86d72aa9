//! Payload type numbers: which one a format gets, and keeps.

use midcall_wire::sdp::{Media, RtpMap};
use smallvec::SmallVec;

use super::formats::{Format, Formats, explained};

/// What the numbers of one stream have stood for so far. RFC 3264 §8.3.2.
#[derive(Default)]
pub(super) struct Numbers<'a> {
    ours: Formats<'a>,
    theirs: Formats<'a>,
}

/// One way to come by the number of a format.
type Pass<'p> = &'p dyn Fn(&Format<'_>) -> Option<u8>;

impl<'a> Numbers<'a> {
    pub(super) fn remember_ours(&mut self, media: &Media<'a>) {
        remember(&mut self.ours, media);
    }

    pub(super) fn remember_theirs(&mut self, media: &Media<'a>) {
        remember(&mut self.theirs, media);
    }

    /// Gives all formats a number. One that had a number keeps it; those that no number is left for go.
    pub(super) fn assign(&self, formats: &mut Formats<'_>) {
        let mut numbers: SmallVec<[Option<u8>; 8]> = SmallVec::from_elem(None, formats.len());
        let passes: [Pass<'_>; 4] = [
            &|format| format.fixed_number(),
            &|format| known(&self.ours, format),
            &|format| known(&self.theirs, format).filter(|number| self.free(*number, format)),
            &|format| format.number.filter(|number| unfixed(*number) && self.free(*number, format)),
        ];
        for pass in passes {
            for (index, format) in formats.iter().enumerate() {
                if numbers.get(index) != Some(&None) {
                    continue;
                }
                let number = pass(format).filter(|number| !numbers.contains(&Some(*number)));
                if let Some(slot) = numbers.get_mut(index) {
                    *slot = number;
                }
            }
        }
        self.complete(&mut numbers);
        take_over(formats, &numbers);
    }

    /// Gives the formats of an answer their numbers: those of the offer, as RFC 3264 §6.1 advises, unless one
    /// of them stood for something else on this side.
    pub(super) fn follow(&self, formats: &mut Formats<'_>) {
        let kept =
            |format: &Format<'_>| format.number.filter(|number| !otherwise(&self.ours, *number, format));
        let mut numbers: SmallVec<[Option<u8>; 8]> = formats.iter().map(kept).collect();
        for (index, format) in formats.iter().enumerate() {
            if numbers.get(index) == Some(&None) {
                let own = known(&self.ours, format).filter(|number| !numbers.contains(&Some(*number)));
                if let Some(slot) = numbers.get_mut(index) {
                    *slot = own;
                }
            }
        }
        self.complete(&mut numbers);
        take_over(formats, &numbers);
    }

    /// Fills the gaps with numbers nobody used, as long as there are any. Counting goes on above the highest
    /// one, so numbers of formats that were given up long ago do not come back with another meaning.
    fn complete(&self, numbers: &mut [Option<u8>]) {
        let bound = |formats: &[Format<'_>], number: u8| formats.iter().any(|f| f.number == Some(number));
        let ours = self.ours.iter().filter_map(|format| format.number);
        let highest = ours.filter(|number| DYNAMIC.contains(number)).max();
        let start = highest.map_or(*DYNAMIC.start(), |number| number + 1);
        for index in 0..numbers.len() {
            if numbers.get(index) != Some(&None) {
                continue;
            }
            let unused = (start..=*DYNAMIC.end()).chain(DYNAMIC).find(|number| {
                !numbers.contains(&Some(*number))
                    && !bound(&self.ours, *number)
                    && !bound(&self.theirs, *number)
            });
            if let Some(slot) = numbers.get_mut(index) {
                *slot = unused;
            }
        }
    }

    /// Whether this number has never stood for another format.
    fn free(&self, number: u8, format: &Format<'_>) -> bool {
        !otherwise(&self.ours, number, format) && !otherwise(&self.theirs, number, format)
    }
}

fn take_over(formats: &mut Formats<'_>, numbers: &[Option<u8>]) {
    for (format, number) in formats.iter_mut().zip(numbers) {
        format.number = *number;
    }
    formats.retain(|format| format.number.is_some());
}

fn remember<'a>(into: &mut Formats<'a>, media: &Media<'a>) {
    for format in explained(media) {
        if !into.iter().any(|known| known.number == format.number) {
            into.push(format);
        }
    }
}

fn known(bound: &[Format<'_>], format: &Format<'_>) -> Option<u8> {
    bound.iter().find(|known| known.same(format)).and_then(|known| known.number)
}

/// Whether this number stood for another format.
fn otherwise(bound: &[Format<'_>], number: u8, format: &Format<'_>) -> bool {
    bound.iter().any(|known| known.number == Some(number) && !known.same(format))
}

/// Whether a number has no meaning of its own. RFC 3551 §6.
fn unfixed(number: u8) -> bool {
    number < 128 && RtpMap::fixed(number).is_none()
}

/// Where numbers for new formats start, and how far they go. RFC 3551 §3.
const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;
