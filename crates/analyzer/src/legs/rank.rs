//! Which of several calls is most likely the other leg.

use std::cmp::Reverse;
use std::time::Duration;

use midcall_wire::Method;

use super::known::{FOLLOWS, Known};

/// How well a call fits another as its other leg: first how sure that is, then how nearly they end and begin together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Rank {
    pub(super) confidence: u8,
    pub(super) apart: Reverse<(Duration, Duration)>,
    /// The serial number of the other leg.
    pub(super) with: u64,
}

impl Rank {
    pub(super) fn of(one: &Known, other: &Known, confidence: u8, with: u64) -> Self {
        let ends = one.last.since(other.last).max(other.last.since(one.last));
        let begins = one.began.since(other.began).max(other.began.since(one.began));
        Self { confidence, apart: Reverse((ends, begins)), with }
    }
}

impl Known {
    /// Whether it went between the same places.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        self.from == other.from && self.to == other.to && self.number != other.number
    }

    /// Whether both were there at some time.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.began <= other.last && other.began <= self.last
    }

    /// Whether both were answered and then up together for longer than one takes to follow the other.
    pub(super) fn talks_beside(&self, other: &Self) -> bool {
        let span = |call: &Self| {
            let answered = call.setup.outcome.filter(|(status, ..)| *status < 300).map(|(_, _, at)| at)?;
            Some((answered, call.first(|event| event.is(Method::Bye)).map_or(call.last, |bye| bye.at)))
        };
        let (Some((one, one_end)), Some((other, other_end))) = (span(self), span(other)) else {
            return false;
        };
        one.max(other) + FOLLOWS < one_end.min(other_end)
    }
}

/// What a call was joined with: where it is the leg that left a box, and where it is the one that came to it.
#[derive(Debug, Default)]
pub(super) struct Ranks {
    pub(super) up: Few,
    pub(super) down: Few,
}

/// A few of them: the best.
#[derive(Debug, Default)]
pub(super) struct Few(Vec<Rank>);

impl Few {
    pub(super) fn add(&mut self, rank: Rank) {
        let place = self.0.partition_point(|known| *known > rank);
        self.0.insert(place, rank);
        self.0.truncate(MOST);
    }

    pub(super) fn best(&self) -> Option<&Rank> {
        self.0.first()
    }

    pub(super) fn of(&self, with: u64) -> Option<&Rank> {
        self.0.iter().find(|rank| rank.with == with)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Rank> {
        self.0.iter()
    }
}

/// The most that are remembered.
const MOST: usize = 8;
