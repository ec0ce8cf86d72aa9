//! Several sources as one, in the order of time.

use std::collections::VecDeque;
use std::time::Duration;

use midcall_proto::time::Instant;
use midcall_wire::Date;

use super::clocks::Clocks;
use super::copies::Copies;
use super::{Item, ReadError, Source, Summary};

/// Several sources, merged by time.
///
/// Of each source one item is held; the earliest of them is next, so that every source keeps its own order whatever its
/// clock is worth. A log without dates is moved by whole days, one without years by whole years, to where the dated sources
/// begin. What a source cannot read is told when it is met; the others go on.
///
/// Two taps of one call give its packets once: what another source gave at that time, between the same places, is a copy and
/// left out. Clocks that are wrong are put right by the packets that both saw, where the sources begin with enough of them;
/// the one that counts most finely is believed.
///
/// A live source holds up the others until something arrives.
pub struct Merged {
    sources: Vec<Merging>,
    begun: bool,
    copies: Copies,
}

struct Merging {
    source: Box<dyn Source>,
    /// What was read of it to find out about its clock, as it stands there.
    ahead: VecDeque<Result<Item, ReadError>>,
    held: Option<Result<Item, ReadError>>,
    /// By how many microseconds it is moved.
    shift: i64,
    /// How much of that puts its clock right, the other way round.
    fast: i64,
    /// How much of it another source gave before.
    copies: u64,
}

impl Merged {
    /// Merges sources; their order is that of [`Place::source`](super::Place::source).
    #[must_use]
    pub fn new(sources: Vec<Box<dyn Source>>) -> Self {
        let merging =
            |source| Merging { source, ahead: VecDeque::new(), held: None, shift: 0, fast: 0, copies: 0 };
        let sources = sources.into_iter().map(merging).collect();
        Self { sources, begun: false, copies: Copies::default() }
    }

    /// Reads the beginning of each, and finds out how far each must be moved.
    fn begin(&mut self) {
        self.begun = true;
        let several = self.sources.len() > 1;
        for merging in &mut self.sources {
            merging.look_ahead(several);
        }
        self.date();
        if several {
            self.set_clocks();
        }
        for merging in &mut self.sources {
            merging.go_on();
        }
    }

    /// Moves logs without dates.
    fn date(&mut self) {
        let firsts = || self.sources.iter().filter_map(Merging::begins);
        let Some(dated) = firsts().filter(|at| *at >= DATED).min() else { return };
        for merging in &mut self.sources {
            if let Some(at) = merging.begins()
                && at < DATED
                && merging.resolution() != Duration::MAX
            {
                merging.shift = i64::try_from(shift(at, dated).as_micros()).unwrap_or_default();
            }
        }
    }

    /// Moves sources whose clocks are wrong.
    fn set_clocks(&mut self) {
        let timed = |merging: &&mut Merging| merging.resolution() != Duration::MAX;
        let mut timed: Vec<&mut Merging> = self.sources.iter_mut().filter(timed).collect();
        let mut clocks = Clocks::default();
        for merging in &timed {
            let items = merging.ahead.iter().filter_map(|item| item.as_ref().ok());
            clocks.add(items.map(|item| (moved(item.at(), merging.shift), item)));
        }
        let finest = timed.iter().enumerate().min_by_key(|(_, merging)| merging.resolution());
        let Some((reference, _)) = finest else { return };
        for (merging, fast) in timed.iter_mut().zip(clocks.fast(reference)) {
            merging.fast = fast.unwrap_or_default();
            merging.shift = merging.shift.saturating_sub(merging.fast);
        }
    }

    /// The next item of whichever source it is, with the number of that source.
    fn earliest(&mut self) -> Option<(usize, Result<Item, ReadError>)> {
        let earliest = |(_, merging): &(usize, &mut Merging)| merging.at().unwrap_or(Instant::ZERO);
        let held = self.sources.iter_mut().enumerate().filter(|(_, merging)| merging.held.is_some());
        let (nth, merging) = held.min_by_key(earliest)?;
        let mut item = merging.held.take()?;
        if let Ok(item) = &mut item {
            merging.go_on();
            item.parts().1.source = u16::try_from(nth).unwrap_or(u16::MAX);
        }
        Some((nth, item))
    }
}

impl Source for Merged {
    fn next(&mut self) -> Option<Result<Item, ReadError>> {
        if !self.begun {
            self.begin();
        }
        let several = self.sources.len() > 1;
        loop {
            let (nth, item) = self.earliest()?;
            let copy = several && item.as_ref().is_ok_and(|item| self.copies.is_copy(nth, item));
            if !copy {
                return Some(item);
            }
            if let Some(merging) = self.sources.get_mut(nth) {
                merging.copies += 1;
            }
        }
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
        if self.copies.forgotten() > 0 {
            all.skip_many("packets too many to be looked for in other sources", self.copies.forgotten());
        }
        all
    }

    fn summaries(&self) -> Vec<Summary> {
        self.sources.iter().flat_map(Merging::summaries).collect()
    }
}

impl Merging {
    /// Reads the first item, or as many as it takes to compare clocks.
    fn look_ahead(&mut self, several: bool) {
        let (most, mut messages) = if several && !self.source.is_live() { (AHEAD, 0) } else { (1, 0) };
        while self.ahead.len() < most && messages < MESSAGES_AHEAD {
            let Some(item) = self.source.next() else { return };
            messages += usize::from(matches!(item, Ok(Item::Sip(_))));
            let over = item.is_err();
            self.ahead.push_back(item);
            if over {
                return;
            }
        }
    }

    /// Holds the next item, at the time to which it is moved. After an error comes the end.
    fn go_on(&mut self) {
        self.held = self.ahead.pop_front().or_else(|| self.source.next());
        let shift = self.shift;
        if let Some(Ok(item)) = &mut self.held {
            let (at, _) = item.parts();
            *at = moved(*at, shift);
        }
    }

    /// The first time of the source itself.
    fn begins(&self) -> Option<Instant> {
        self.ahead.front()?.as_ref().ok().map(Item::at)
    }

    fn at(&self) -> Option<Instant> {
        self.held.as_ref()?.as_ref().ok().map(Item::at)
    }

    fn resolution(&self) -> Duration {
        self.source.summary().resolution
    }

    fn summaries(&self) -> Vec<Summary> {
        let mut own = self.source.summaries();
        if let Some(last) = own.last_mut() {
            last.clock_fast = self.fast;
            if self.copies > 0 {
                last.skip_many("packets that another source has too", self.copies);
            }
        }
        own
    }
}

/// A time so many microseconds later, or earlier.
fn moved(at: Instant, shift: i64) -> Instant {
    let by = Duration::from_micros(shift.unsigned_abs());
    if shift < 0 { at - by } else { at + by }
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
/// How much of a source is read to compare its clock: so many items, or messages.
const AHEAD: usize = 4_096;
const MESSAGES_AHEAD: usize = 256;
/// A log without dates begins on the first day.
const FIRST_DAYS: u64 = 2;
