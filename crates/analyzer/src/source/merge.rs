//! Several sources as one, in the order of time.

use std::time::Duration;

use midcall_proto::time::Instant;
use midcall_wire::Date;

use super::{Item, ReadError, Source, Summary};

/// Several sources, merged by time.
///
/// Of each source one item is held; the earliest of them is next, so that every source keeps its own order whatever its
/// clock is worth. A log without dates is moved by whole days, one without years by whole years, to where the dated sources
/// begin. What a source cannot read is told when it is met; the others go on.
///
/// A live source holds up the others until something arrives.
pub struct Merged {
    sources: Vec<Merging>,
    begun: bool,
}

struct Merging {
    source: Box<dyn Source>,
    held: Option<Result<Item, ReadError>>,
    shift: Duration,
}

impl Merged {
    /// Merges sources; their order is that of [`Place::source`](super::Place::source).
    #[must_use]
    pub fn new(sources: Vec<Box<dyn Source>>) -> Self {
        let merging = |source| Merging { source, held: None, shift: Duration::ZERO };
        Self { sources: sources.into_iter().map(merging).collect(), begun: false }
    }

    /// Reads the first item of each, and finds out how far logs without dates must be moved.
    fn begin(&mut self) {
        self.begun = true;
        for merging in &mut self.sources {
            merging.held = merging.source.next();
        }
        let firsts = || self.sources.iter().filter_map(Merging::at);
        let Some(dated) = firsts().filter(|at| *at >= DATED).min() else { return };
        for merging in &mut self.sources {
            if let Some(at) = merging.at()
                && at < DATED
                && merging.source.summary().resolution != Duration::MAX
            {
                merging.shift = shift(at, dated);
            }
        }
        for merging in &mut self.sources {
            merging.settle();
        }
    }
}

impl Source for Merged {
    fn next(&mut self) -> Option<Result<Item, ReadError>> {
        if !self.begun {
            self.begin();
        }
        let earliest = |(_, merging): &(usize, &mut Merging)| merging.at().unwrap_or(Instant::ZERO);
        let held = self.sources.iter_mut().enumerate().filter(|(_, merging)| merging.held.is_some());
        let (nth, merging) = held.min_by_key(earliest)?;
        let mut item = merging.held.take();
        let failed = matches!(item, Some(Err(_)));
        merging.held = if failed { None } else { merging.source.next() };
        merging.settle();
        if let Some(Ok(item)) = &mut item {
            item.parts().1.source = u16::try_from(nth).unwrap_or(u16::MAX);
        }
        item
    }

    fn summary(&self) -> Summary {
        let mut all = Summary { name: format!("{} sources", self.sources.len()), ..Summary::default() };
        for summary in self.summaries() {
            if !all.format.contains(&summary.format) {
                all.format = [all.format.as_str(), summary.format.as_str()]
                    .into_iter()
                    .filter(|format| !format.is_empty())
                    .collect::<Vec<_>>()
                    .join(", ");
            }
            all.records += summary.records;
            all.messages += summary.messages;
            all.media += summary.media;
            all.bytes += summary.bytes;
            all.resolution = all.resolution.max(summary.resolution);
            for skipped in summary.skipped {
                all.skip_many(skipped.reason, skipped.count);
            }
        }
        all
    }

    fn summaries(&self) -> Vec<Summary> {
        self.sources.iter().flat_map(|merging| merging.source.summaries()).collect()
    }
}

impl Merging {
    fn at(&self) -> Option<Instant> {
        self.held.as_ref()?.as_ref().ok().map(Item::at)
    }

    /// Moves what is held to its time.
    fn settle(&mut self) {
        if let Some(Ok(item)) = &mut self.held {
            let (at, _) = item.parts();
            *at += self.shift;
        }
    }
}

/// How far a log must be moved that begins at a time without year, or without date.
fn shift(at: Instant, dated: Instant) -> Duration {
    let days = |at: Instant| at.as_micros() / DAY;
    let of = |days: u64| Duration::from_micros(days * DAY);
    if days(at) < FIRST_DAYS {
        // The nearest day on which it has this time of the day.
        let between = dated.as_micros().saturating_sub(at.as_micros());
        return of((between + DAY / 2) / DAY);
    }
    let year = i64::try_from(days(dated) / 365).unwrap_or_default() + 1970;
    let moved = |year: i64| {
        let begin = Date::midnight(year, 1, 1).unix_seconds();
        // Its year was taken for one without leap day.
        let leap = days(at) >= 59 && Date::midnight(year, 2, 29) != Date::midnight(year, 3, 1);
        of(u64::try_from(begin / 86_400).unwrap_or_default() + u64::from(leap))
    };
    let distance = |shift: &Duration| (at + *shift).as_micros().abs_diff(dated.as_micros());
    (year - 1..=year + 1).map(moved).min_by_key(distance).unwrap_or_default()
}

const DAY: u64 = 86_400_000_000;
/// Logs without a year are read as of 1970, and go on into the years after it.
const DATED: Instant = Instant::from_micros(10 * 365 * DAY);
/// A log without dates begins on the first day.
const FIRST_DAYS: u64 = 2;
