//! Calls that are legs of one conversation, and what only several calls together show.
//!
//! A B2BUA ends a call and places another one; nothing in SIP says that they belong together. So finished calls are compared
//! by what tends to pass through or to be shared: Session-ID (RFC 7989), correlation headers, addresses and secrets of media,
//! the parties, time and place, and what one call says of the other in Replaces or by a REFER. How sure that makes it is
//! [`Leg::confidence`], why is [`Leg::because`].
//!
//! Each call is boiled down to a [`Known`] when it ends and found again by prints of its traits, so that it costs a few
//! look-ups, however many calls there are. The call itself waits a moment of trace time for its other legs, so that both
//! learn of each other; a leg that ends much later is still told of the first.
//!
//! ```
//! use midcall_analyzer::Legs;
//! use midcall_proto::time::Instant;
//!
//! let mut legs = Legs::default();
//! // legs.take(call, now) for each finished call; then, now and then:
//! assert!(legs.ready(Instant::ZERO).is_empty());
//! ```

mod bridge;
mod flood;
mod hops;
mod known;
mod rank;
mod score;
mod tags;
mod transfer;

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use midcall_proto::rules::{RuleId, Severity};
use midcall_proto::time::Instant;

use self::flood::Flood;
pub(crate) use self::known::Known;
use self::known::Trait;
use self::rank::Rank;
use self::score::{Bridge, Common};
use self::tags::Tags;
use crate::diagnosis::{self, Marked, Reading, Worded};
use crate::model::{Call, Finding, Leg};

/// Joins finished calls to conversations.
#[derive(Debug, Default)]
pub struct Legs {
    known: VecDeque<Known>,
    /// The serial number of the first of them.
    first: u64,
    /// Who has a trait, by its print: serial numbers.
    prints: HashMap<u64, Having, BuildHasherDefault<Print>>,
    waiting: VecDeque<Waiting>,
    flood: Flood,
    tags: Tags,
    /// Calls that were not compared any more because too many came.
    dropped: u64,
}

/// A print is a hash already.
#[derive(Default)]
struct Print(u64);

impl Hasher for Print {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, print: u64) {
        self.0 = print;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The calls that have a trait, by serial number; most traits are of one call only.
#[derive(Debug)]
struct Having {
    first: u64,
    more: Box<[u64]>,
}

impl Having {
    const fn len(&self) -> usize {
        1 + self.more.len()
    }

    fn all(&self) -> impl Iterator<Item = u64> + '_ {
        std::iter::once(self.first).chain(self.more.iter().copied())
    }

    /// Adds a call if it is not the last already.
    fn add(&mut self, serial: u64) {
        if self.all().last() != Some(serial) {
            let mut more = std::mem::take(&mut self.more).into_vec();
            more.push(serial);
            self.more = more.into();
        }
    }

    /// Whether anybody has it still without this call.
    fn remains_without(&mut self, serial: u64) -> bool {
        let mut rest = self.all().filter(|known| *known != serial);
        let Some(first) = rest.next() else { return false };
        *self = Self { first, more: rest.collect() };
        true
    }
}

/// A finished call that waits for its other legs.
#[derive(Debug)]
struct Waiting {
    since: Instant,
    serial: u64,
    call: Call,
    /// The calls that it was joined with through a box, of which some may turn out to be joined better with others.
    joined: Vec<Joined>,
}

/// A call joined with another through a box, and what comes of it if it stays so.
#[derive(Debug)]
struct Joined {
    /// Which calls: the one that came to the box, and the one that left it.
    up: u64,
    down: u64,
    leg: Leg,
    findings: Vec<Finding>,
    relayed: Vec<(&'static str, u32, String)>,
}

/// What is found in a call by comparing it with others: the call's number in the trace comes first.
#[derive(Debug, Default)]
struct Found {
    findings: Vec<(u32, Finding)>,
    /// Findings of a call that only pass on a fault of the other leg: code, message, who did it first.
    relayed: Vec<(u32, &'static str, u32, String)>,
}

impl Legs {
    /// Takes a finished call. `now` is how far the trace has come.
    pub fn take(&mut self, call: Call, now: Instant) {
        let reading = Reading::new(&call);
        let known = Known::of(&reading, &diagnosis::deals(&reading));
        self.join(call, known, now);
    }

    /// The same of a call of which it is known what others are compared with, but for its number and what was found in it.
    pub(crate) fn join(&mut self, mut call: Call, mut known: Known, now: Instant) {
        call.findings.extend(hops::find(&call));
        known.number = call.number;
        known.note_faults(&call);
        call.findings.extend(self.flood.take(&known));
        call.findings.extend(self.tags.take(&call, &known));
        call.findings.extend(transfer::alone(&known));
        let mut found = Found::default();
        let mut ties = Vec::new();
        for serial in self.candidates(&known) {
            let Some(other) = self.by_serial(serial) else { continue };
            let Some(tie) = score::compare(&known, other, &self.common(&known, other)) else { continue };
            let mut across = Found::default();
            bridge::find(&known, other, &tie, now, &mut across);
            transfer::find(&known, other, &tie, &mut found);
            let rank = Rank::of(&known, other, tie.confidence, serial);
            ties.push((rank, other.number, other.call_id.clone(), tie, across));
        }
        let (number, call_id) =
            (known.number, if ties.is_empty() { Box::default() } else { known.call_id.clone() });
        let own = self.remember(known, now);
        self.waiting.push_back(Waiting { since: now, serial: own, call, joined: Vec::new() });
        for (rank, other, other_id, tie, across) in ties {
            let (mine, theirs) = (tie.leg(&other_id), tie.leg(&call_id));
            match tie.bridge {
                None => {
                    self.link(number, mine);
                    self.link(other, theirs);
                }
                Some(Bridge { forward, .. }) => {
                    let (up, down) = if forward { (own, rank.with) } else { (rank.with, own) };
                    if let Some(known) = self.by_serial_mut(up) {
                        known.ranks.down.add(Rank { with: down, ..rank });
                    }
                    if let Some(known) = self.by_serial_mut(down) {
                        known.ranks.up.add(Rank { with: up, ..rank });
                    }
                    self.bridged(number, Joined::new(up, down, mine), &across);
                    self.bridged(other, Joined::new(up, down, theirs), &across);
                }
            }
        }
        for (number, finding) in found.findings {
            if let Some(waiting) = self.waits(number) {
                add(&mut waiting.call, finding);
            }
        }
    }

    /// The calls that waited long enough for their other legs, in the order in which they were taken.
    pub fn ready(&mut self, now: Instant) -> Vec<Call> {
        let mut out = Vec::new();
        while let Some(first) = self.waiting.front()
            && (first.since + WAIT <= now || self.waiting.len() > MOST_WAITING)
        {
            out.extend(self.waiting.pop_front().map(|waiting| self.settle(waiting)));
        }
        out
    }

    /// All calls that still wait: the trace is over.
    pub fn all(&mut self) -> Vec<Call> {
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().map(|waiting| self.settle(waiting)).collect()
    }

    /// How many calls wait for their other legs.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many calls are not compared any more because too many came.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    fn waits(&mut self, number: u32) -> Option<&mut Waiting> {
        self.waiting.iter_mut().rev().find(|waiting| waiting.call.number == number)
    }

    fn link(&mut self, number: u32, leg: Leg) {
        let Some(waiting) = self.waits(number) else { return };
        if waiting.call.legs.len() < MOST_LEGS {
            waiting.call.legs.push(leg);
        }
    }

    /// Notes what was found across a box, for the one of both calls that has this number.
    fn bridged(&mut self, number: u32, mut joined: Joined, across: &Found) {
        let Some(waiting) = self.waits(number) else { return };
        if waiting.joined.len() >= MOST_CANDIDATES {
            return;
        }
        let own = across.findings.iter().filter(|(whose, _)| *whose == number);
        joined.findings.extend(own.map(|(_, finding)| finding.clone()));
        let relayed = across.relayed.iter().filter(|(whose, ..)| *whose == number);
        joined.relayed.extend(relayed.map(|(_, code, at, whose)| (*code, *at, whose.clone())));
        waiting.joined.push(joined);
    }

    /// A call with the legs that are its own, and with what those show.
    fn settle(&self, waiting: Waiting) -> Call {
        let Waiting { serial, mut call, joined, .. } = waiting;
        for Joined { up, down, leg, findings, relayed } in joined {
            debug_assert!(up == serial || down == serial);
            let Some(alone) = self.stays(up, down) else { continue };
            for mut finding in findings {
                if !alone {
                    bridge::doubt(&mut finding, &leg);
                }
                add(&mut call, finding);
            }
            for (code, at, whose) in relayed {
                let known = call.findings.iter_mut().find(|one| one.code == code && one.at == at);
                if let Some(finding) = known {
                    finding.severity = finding.severity.min(Severity::Info);
                    relay(finding, &whose);
                }
            }
            if call.legs.len() < MOST_LEGS {
                call.legs.push(leg);
            }
        }
        call
    }

    /// Whether two calls stay joined: what left a box came of one call, and a call talks through one of those that left at a
    /// time. Then, whether no other would do nearly as well.
    fn stays(&self, up: u64, down: u64) -> Option<bool> {
        let (Some(came), Some(left)) = (self.by_serial(up), self.by_serial(down)) else { return Some(true) };
        let (up_rank, down_rank) = (left.ranks.up.of(up)?, came.ranks.down.of(down)?);
        if left.ranks.up.best() > Some(up_rank) {
            return None;
        }
        let mut better = came.ranks.down.all().filter(|rank| **rank > *down_rank);
        let talks =
            better.any(|rank| self.by_serial(rank.with).is_some_and(|other| other.talks_beside(left)));
        if talks {
            return None;
        }
        let mut others = left.ranks.up.all().filter(|rank| rank.with != up);
        Some(!others.any(|rank| rank.confidence + NEARLY >= up_rank.confidence))
    }

    fn by_serial(&self, serial: u64) -> Option<&Known> {
        let index = usize::try_from(serial.checked_sub(self.first)?).ok()?;
        self.known.get(index)
    }

    fn by_serial_mut(&mut self, serial: u64) -> Option<&mut Known> {
        let index = usize::try_from(serial.checked_sub(self.first)?).ok()?;
        self.known.get_mut(index)
    }

    /// The calls that have a trait in common with this one, or that it is looking for.
    fn candidates(&self, known: &Known) -> Vec<u64> {
        let mut found: Vec<u64> = Vec::new();
        for print in known.looks_for() {
            let Some(serials) = self.prints.get(&print).filter(|serials| serials.len() <= MOST_SHARED) else {
                continue;
            };
            for serial in serials.all() {
                if !found.contains(&serial) && found.len() < MOST_CANDIDATES {
                    found.push(serial);
                }
            }
        }
        found
    }

    /// How many calls share what these two have in common.
    fn common(&self, known: &Known, other: &Known) -> Common {
        // Both legs are at the box, one in and one out: how many more like either were there.
        let alike = known.meetings().chain(other.meetings());
        Common {
            media: self.tells(known, other, Trait::Media),
            origin: self.tells(known, other, Trait::Origin),
            parties: alike.map(|print| self.having(print).map_or(0, Having::len)).max().unwrap_or_default(),
        }
    }

    /// Whether what these two say alike tells them from others: few have it, and no call beside that which came to the box
    /// has it as well, since then what left the box may have come of either.
    fn tells(&self, known: &Known, other: &Known, kind: Trait) -> bool {
        let mut shared = known.said(kind).filter(|print| other.said(kind).any(|theirs| theirs == *print));
        let came: &[(&Known, &Known)] = match score::bridge(known, other) {
            Some(Bridge { at, forward: true }) if at.0 != at.1 => &[(known, other)],
            Some(Bridge { at, forward: false }) if at.0 != at.1 => &[(other, known)],
            _ => &[(known, other), (other, known)],
        };
        let rival = |one: &Known| {
            let beside = |(up, down): &(&Known, &Known)| one.is_beside(up) && one.overlaps(down);
            one.number != other.number && came.iter().any(beside)
        };
        shared.all(|print| {
            let Some(having) = self.having(print) else { return true };
            having.len() <= RARE && !having.all().filter_map(|serial| self.by_serial(serial)).any(rival)
        })
    }

    fn having(&self, print: u64) -> Option<&Having> {
        self.prints.get(&print)
    }

    /// Keeps a call for comparing, and gives it its serial number.
    fn remember(&mut self, known: Known, now: Instant) -> u64 {
        while self.known.front().is_some_and(|first| first.last + FORGET < now)
            || self.known.len() >= MOST_KNOWN
        {
            let Some(gone) = self.known.pop_front() else { break };
            self.dropped += u64::from(gone.last + FORGET >= now);
            for print in gone.shows() {
                let having = self.prints.get_mut(&print);
                if having.is_some_and(|having| !having.remains_without(self.first)) {
                    self.prints.remove(&print);
                }
            }
            self.first += 1;
        }
        let serial = self.first + self.known.len() as u64;
        for print in known.shows() {
            let having = self.prints.entry(print);
            let having = having.or_insert_with(|| Having { first: serial, more: Box::default() });
            if having.len() <= MOST_SHARED {
                having.add(serial);
            }
        }
        self.known.push_back(known);
        serial
    }
}

impl Joined {
    const fn new(up: u64, down: u64, leg: Leg) -> Self {
        Self { up, down, leg, findings: Vec::new(), relayed: Vec::new() }
    }
}

/// Adds a finding to a call unless it is there.
fn add(call: &mut Call, finding: Finding) {
    if !call.findings.iter().any(|known| known.code == finding.code && known.at == finding.at) {
        call.findings.push(finding);
    }
}

/// Says of a finding whose doing it was in truth.
fn relay(finding: &mut Finding, whose: &str) {
    let front = format!("It only relays what {} did on the other leg. ", Marked(whose));
    let (front, mut means) = diagnosis::unmarked(&front);
    let (old, fix) = match std::mem::take(&mut finding.worded) {
        Worded::Elsewhere { means, fix } => (means, fix),
        Worded::ByRule | Worded::ByCheck => (Vec::new(), Vec::new()),
    };
    means.extend(old.into_iter().map(|place| place.start + front.len()..place.end + front.len()));
    finding.worded = Worded::Elsewhere { means, fix };
    finding.means = front + &finding.means;
}

/// A finding in the words of the two calls.
fn finding(rule: RuleId, means: &str) -> Finding {
    let rule = rule.rule();
    let (means, named) = diagnosis::unmarked(means);
    Finding {
        code: rule.code,
        severity: rule.severity,
        certainty: midcall_proto::observer::Certainty::Certain,
        by: midcall_proto::observer::Party::Network,
        at: 0,
        because: Vec::new(),
        cites: rule.cites.to_vec(),
        title: rule.title.to_owned(),
        means,
        fix: rule.fix.to_owned(),
        consequences: Vec::new(),
        joined: None,
        worded: Worded::Elsewhere { means: named, fix: Vec::new() },
    }
}

/// How long a finished call waits for the end of its other legs.
const WAIT: Duration = Duration::from_secs(5);
/// How long after its end a call is compared with others.
const FORGET: Duration = Duration::from_secs(600);
/// The most calls that are compared.
const MOST_KNOWN: usize = 8_192;
/// The most calls that wait.
const MOST_WAITING: usize = 4_096;
/// The most calls that may share a trait before it counts as common.
const MOST_SHARED: usize = 16;
/// Up to how many recent calls with the same trait that still says something.
const RARE: usize = 3;
/// How much less sure another join may be for a join to be in doubt.
const NEARLY: u8 = 5;
/// The most calls that one is compared with.
const MOST_CANDIDATES: usize = 32;
/// The most legs that are listed of one call.
const MOST_LEGS: usize = 16;
