//! Several sources as one, in the order of time.

use std::collections::VecDeque;
use std::time::{self, Duration};

use midcall_proto::time::Instant;
use midcall_wire::Date;

use super::apart::{Ear, Heard, Outcome};
use super::clocks::Clocks;
use super::copies::Copies;
use super::hep::live::{self, Stop};
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
/// A [live](Source::is_live) source holds up the others for a quarter of a second after its last item, lest theirs overtake its
/// next; then they go on without it. While none has anything, that is told ([`Item::Quiet`]).
pub struct Merged {
    sources: Vec<Merging>,
    begun: bool,
    copies: Copies,
    stop: Stop,
    /// Hears the live ones, if there are others beside.
    ear: Option<Ear>,
    /// When the first source begins that has dates.
    dated: Option<Instant>,
}

/// Where the items of a source come from.
enum Feed {
    /// They are read when they are needed.
    Here(Box<dyn Source>),
    /// A thread reads them; this is what was heard of it.
    Apart {
        summary: Summary,
        /// Until when the next is waited for, unless it is over.
        awaited: Option<time::Instant>,
    },
}

struct Merging {
    feed: Feed,
    /// What was read of it before its turn, as it stands there.
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
        let merging = |source| Merging {
            feed: Feed::Here(source),
            ahead: VecDeque::new(),
            held: None,
            shift: 0,
            fast: 0,
            copies: 0,
        };
        let sources = sources.into_iter().map(merging).collect();
        let (copies, stop) = (Copies::default(), Stop::default());
        Self { sources, begun: false, copies, stop, ear: None, dated: None }
    }

    /// Beside live sources, those that cannot be told to stop are left half a second after this does: a pipe that does not end.
    #[must_use]
    pub fn until(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// Reads the beginning of each, and finds out how far each must be moved.
    fn begin(&mut self) {
        self.begun = true;
        let several = self.sources.len() > 1;
        if several {
            self.part();
        }
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

    /// Has live sources read apart.
    fn part(&mut self) {
        let part = |(nth, merging): (usize, &mut Merging)| Some((nth, merging.part()?));
        let live: Vec<_> = self.sources.iter_mut().enumerate().filter_map(part).collect();
        if !live.is_empty() {
            self.ear = Some(Ear::on(live, self.stop.clone()));
        }
    }

    /// Moves logs without dates.
    fn date(&mut self) {
        let firsts = self.sources.iter().filter_map(Merging::begins);
        // What is live begins now.
        self.dated = firsts.filter(|at| *at >= DATED).min().or_else(|| self.ear.is_some().then(live::now));
        for merging in &mut self.sources {
            merging.date(self.dated);
        }
    }

    /// Moves sources whose clocks are wrong.
    fn set_clocks(&mut self) {
        let timed = |merging: &&mut Merging| {
            matches!(merging.feed, Feed::Here(_)) && merging.resolution() != Duration::MAX
        };
        let mut timed: Vec<&mut Merging> = self.sources.iter_mut().filter(timed).collect();
        let mut clocks = Clocks::default();
        for merging in &timed {
            let packets = merging.ahead.iter().filter_map(|item| match item {
                Ok(Item::Sip(packet)) => Some((moved(packet.at, merging.shift), packet)),
                _ => None,
            });
            clocks.add(packets);
        }
        let finest = timed.iter().enumerate().min_by_key(|(_, merging)| merging.resolution());
        let Some((reference, _)) = finest else { return };
        for (merging, fast) in timed.iter_mut().zip(clocks.fast(reference)) {
            merging.fast = fast.unwrap_or_default();
            merging.shift = merging.shift.saturating_sub(merging.fast);
        }
    }

    /// Listens until an item may be given: until each source that spoke a moment ago has one. How long nothing came, if there
    /// is none for a while.
    fn listen(&mut self) -> Option<Duration> {
        loop {
            let ear = self.ear.as_mut()?;
            let apart = self.sources.iter().filter(|merging| matches!(merging.feed, Feed::Apart { .. }));
            let waiting: usize = apart.map(|merging| merging.ahead.len()).sum();
            let ready = self.sources.iter().any(|merging| merging.held.is_some());
            let patience = match ready {
                true if waiting >= MOST_WAITING => return None,
                true => self.sources.iter().map(Merging::patience).max().unwrap_or_default(),
                false => PATIENCE.saturating_sub(ear.silence()),
            };
            match ear.hear(patience) {
                Outcome::Heard(heard) => self.hear(*heard),
                Outcome::Nothing if ready => return None,
                Outcome::Nothing => {
                    let silence = ear.silence();
                    ear.wake();
                    return Some(silence);
                }
                Outcome::Over => self.ear = None,
            }
        }
    }

    /// Takes what a thread read.
    fn hear(&mut self, heard: Heard) {
        let Some(merging) = self.sources.get_mut(heard.nth) else { return };
        let Feed::Apart { summary, awaited } = &mut merging.feed else { return };
        *summary = heard.summary;
        match heard.item {
            Some(Ok(Item::Quiet(_))) => {}
            Some(item) => {
                *awaited = Some(time::Instant::now() + PATIENCE);
                merging.ahead.push_back(item);
                if merging.shift == 0 {
                    merging.date(self.dated);
                }
                if merging.held.is_none() {
                    merging.go_on();
                }
                if let Some(ear) = &mut self.ear {
                    ear.wake();
                }
            }
            None => *awaited = None,
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
            if let Some((_, place)) = item.parts() {
                place.source = u16::try_from(nth).unwrap_or(u16::MAX);
            }
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
            if let Some(silence) = self.listen() {
                return Some(Ok(Item::Quiet(silence)));
            }
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

    fn is_live(&self) -> bool {
        self.sources.iter().any(|merging| match &merging.feed {
            Feed::Here(source) => source.is_live(),
            Feed::Apart { .. } => true,
        })
    }
}

impl Merging {
    /// Gives away its source to be read apart, if that is live.
    fn part(&mut self) -> Option<Box<dyn Source>> {
        let Feed::Here(source) = &self.feed else { return None };
        if !source.is_live() {
            return None;
        }
        let awaited = Some(time::Instant::now() + PATIENCE);
        let apart = Feed::Apart { summary: source.summary(), awaited };
        match std::mem::replace(&mut self.feed, apart) {
            Feed::Here(source) => Some(source),
            Feed::Apart { .. } => None,
        }
    }

    /// How long the next item is waited for, if none is there.
    fn patience(&self) -> Duration {
        match self.feed {
            Feed::Apart { awaited: Some(until), .. } if self.held.is_none() => {
                until.saturating_duration_since(time::Instant::now())
            }
            Feed::Apart { .. } | Feed::Here(_) => Duration::ZERO,
        }
    }

    /// Reads the first item, or as many as it takes to compare clocks.
    fn look_ahead(&mut self, several: bool) {
        let Feed::Here(source) = &mut self.feed else { return };
        let (most, mut messages) = if several { (AHEAD, 0) } else { (1, 0) };
        while self.ahead.len() < most && messages < MESSAGES_AHEAD {
            let Some(item) = source.next() else { return };
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
        self.held = self.ahead.pop_front().or_else(|| match &mut self.feed {
            Feed::Here(source) => source.next(),
            Feed::Apart { .. } => None,
        });
        let shift = self.shift;
        if let Some(Ok(item)) = &mut self.held
            && let Some((at, _)) = item.parts()
        {
            *at = moved(*at, shift);
        }
    }

    /// Moves a log without dates to where others begin that have some.
    fn date(&mut self, dated: Option<Instant>) {
        if let Some(dated) = dated
            && let Some(at) = self.begins().filter(|at| *at < DATED)
            && self.resolution() != Duration::MAX
        {
            self.shift = i64::try_from(shift(at, dated).as_micros()).unwrap_or_default();
        }
    }

    /// The first time of the source itself.
    fn begins(&self) -> Option<Instant> {
        self.ahead.front()?.as_ref().ok().and_then(Item::at)
    }

    fn at(&self) -> Option<Instant> {
        self.held.as_ref()?.as_ref().ok().and_then(Item::at)
    }

    fn resolution(&self) -> Duration {
        match &self.feed {
            Feed::Here(source) => source.summary().resolution,
            Feed::Apart { summary, .. } => summary.resolution,
        }
    }

    fn summaries(&self) -> Vec<Summary> {
        let mut own = match &self.feed {
            Feed::Here(source) => source.summaries(),
            Feed::Apart { summary, .. } => vec![summary.clone()],
        };
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
/// How long a live source is waited for after its last item, and at its beginning; and how often it is told that none has
/// anything.
const PATIENCE: Duration = Duration::from_millis(250);
/// So many items of live sources wait for those of another; there is no room to wait any longer.
const MOST_WAITING: usize = 1_024;
/// A log without dates begins on the first day.
const FIRST_DAYS: u64 = 2;
