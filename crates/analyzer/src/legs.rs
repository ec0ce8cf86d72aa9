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
use self::score::{Common, Tie};
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
    waiting: VecDeque<(Instant, Call)>,
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
            let Some(tie) = score::compare(&known, other, self.common(&known, other)) else { continue };
            bridge::find(&known, other, &tie, now, &mut found);
            transfer::find(&known, other, &tie, &mut found);
            ties.push((other.number, other.call_id.clone(), tie));
        }
        let mine = (known.number, if ties.is_empty() { Box::default() } else { known.call_id.clone() });
        self.remember(known, now);
        self.waiting.push_back((now, call));
        for (number, call_id, tie) in ties {
            self.link(mine.0, &call_id, &tie);
            self.link(number, &mine.1, &tie);
        }
        for (number, finding) in found.findings {
            if let Some(call) = self.waits(number)
                && !call.findings.iter().any(|known| known.code == finding.code && known.at == finding.at)
            {
                call.findings.push(finding);
            }
        }
        for (number, code, at, whose) in found.relayed {
            let call = self.waits(number);
            let relayed =
                call.and_then(|call| call.findings.iter_mut().find(|one| one.code == code && one.at == at));
            if let Some(finding) = relayed {
                finding.severity = finding.severity.min(Severity::Info);
                relay(finding, &whose);
            }
        }
    }

    /// The calls that waited long enough for their other legs, in the order in which they were taken.
    pub fn ready(&mut self, now: Instant) -> Vec<Call> {
        let mut out = Vec::new();
        while let Some((at, _)) = self.waiting.front()
            && (*at + WAIT <= now || self.waiting.len() > MOST_WAITING)
        {
            out.extend(self.waiting.pop_front().map(|(_, call)| call));
        }
        out
    }

    /// All calls that still wait: the trace is over.
    pub fn all(&mut self) -> Vec<Call> {
        self.waiting.drain(..).map(|(_, call)| call).collect()
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

    fn waits(&mut self, number: u32) -> Option<&mut Call> {
        self.waiting.iter_mut().rev().map(|(_, call)| call).find(|call| call.number == number)
    }

    fn link(&mut self, number: u32, call_id: &str, tie: &Tie) {
        let Some(call) = self.waits(number) else { return };
        if call.legs.len() < MOST_LEGS {
            let because = tie.because.to_vec();
            call.legs.push(Leg { call_id: call_id.to_owned(), confidence: tie.confidence, because });
        }
    }

    fn by_serial(&self, serial: u64) -> Option<&Known> {
        let index = usize::try_from(serial.checked_sub(self.first)?).ok()?;
        self.known.get(index)
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
        let having = |print: u64| self.prints.get(&print).map_or(0, Having::len);
        let shared = known.media().filter(|print| other.media().any(|theirs| theirs == *print));
        // Both legs are at the box, one in and one out: how many more like either were there.
        let alike = known.meetings().chain(other.meetings());
        Common {
            media: shared.map(having).max().unwrap_or_default(),
            parties: alike.map(having).max().unwrap_or_default(),
        }
    }

    fn remember(&mut self, known: Known, now: Instant) {
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
/// The most calls that one is compared with.
const MOST_CANDIDATES: usize = 32;
/// The most legs that are listed of one call.
const MOST_LEGS: usize = 16;
