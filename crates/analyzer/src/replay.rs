//! Replay: items of a trace in, finished calls out.
//!
//! Messages are kept for as long as their call lives, within bounds; once it seems to be over, they go through the
//! [`Observer`] in a row, and the call is told whole. What was handed out is forgotten: memory follows the calls that live,
//! not the trace.

pub(crate) mod build;
mod call_id;
mod clock;
mod crew;
mod desk;
mod keep;
mod kept;
#[cfg(test)]
mod tests;
mod worker;

use std::convert::Infallible;
use std::fmt;
use std::thread;
use std::time::Duration;

use midcall_proto::observer::{ObserverConfig, Party};
use midcall_proto::rules::Severity;
use midcall_proto::time::Instant;

use self::build::Detail;
use self::clock::Clock;
use self::crew::Crew;
use self::desk::{Desk, Rest};
use self::worker::Worker;
use crate::diagnosis;
use crate::model::{Call, Finding};
use crate::papers::Papers;
use crate::report::stats::Stats;
use crate::source::{Item, Packet, ReadError, Rtp, Source};
use crate::story;

/// Settings of an [`Analyzer`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Those of the observer that judges.
    pub observer: ObserverConfig,
    /// Of which calls summaries of messages and the story are worked out.
    pub details: Details,
    /// The most bytes of messages that are kept of all live calls together; beyond, calls that were quiet for longest lose
    /// theirs.
    pub max_bytes: usize,
    /// The most bytes of messages that are kept of one call.
    pub max_bytes_of_call: usize,
    /// How many threads judge calls beside the one that reads; 0 leaves both to one.
    pub threads: usize,
}

impl Default for Settings {
    fn default() -> Self {
        // Findings are taken call by call.
        let mut observer = ObserverConfig::default();
        observer.max_findings = 0;
        Self { observer, details: Details::All, max_bytes: 64 << 20, max_bytes_of_call: 4 << 20, threads: 0 }
    }
}

/// Of which calls the details are worked out: what a ladder shows of each message, the story, User-Agents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Details {
    /// Of all.
    All,
    /// Of those with findings at least this bad, but for the story: see [`Call::work_out`].
    From(Severity),
    /// Of none.
    None,
}

impl Details {
    fn of(self, worst: Severity) -> bool {
        match self {
            Self::All => true,
            Self::From(least) => worst >= least,
            Self::None => false,
        }
    }

    /// Works them out for a call in which nothing more will be found.
    fn work_out(self, call: &mut Call) {
        match self {
            Self::All => {
                call.work_out_alone();
                if call.has_bytes() {
                    diagnosis::tell(call);
                }
            }
            _ if self.of(call.worst()) => call.put_in_words(),
            Self::From(_) | Self::None => {}
        }
    }
}

/// Judges a trace item by item.
///
/// ```
/// use midcall_analyzer::source::{Item, Packet, Place};
/// use midcall_analyzer::{Analyzer, Settings};
/// use midcall_proto::flow::Transport;
/// use midcall_proto::time::Instant;
///
/// let mut analyzer = Analyzer::new(Settings::default());
/// let invite = b"INVITE sip:bob@192.0.2.2 SIP/2.0\r\n\
///     Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
///     From: <sip:alice@192.0.2.1>;tag=a\r\nTo: <sip:bob@192.0.2.2>\r\n\
///     Call-ID: c1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
/// analyzer.push(Item::Sip(Packet {
///     at: Instant::ZERO,
///     from: "192.0.2.1:5060".parse().unwrap(),
///     to: "192.0.2.2:5060".parse().unwrap(),
///     transport: Transport::Udp,
///     payload: invite.to_vec(),
///     place: Place::default(),
///     cut: false,
/// }));
/// let (calls, stats) = analyzer.finish();
/// assert_eq!(stats.messages, 1);
/// // RFC 3261 §8.1.1.8: an INVITE names a Contact.
/// assert_eq!(calls[0].findings[0].code, "DLG-22");
/// ```
#[derive(Debug)]
pub struct Analyzer {
    hands: Hands,
    desk: Desk,
    /// Items taken.
    items: u64,
    /// Items of this round, and when it began.
    round: (usize, Instant),
    began: Option<Instant>,
    clock: Clock,
    /// Items taken from sources.
    reads: u64,
}

/// Who judges the calls.
enum Hands {
    Own(Box<Worker>),
    Crew(Crew),
}

impl Analyzer {
    /// An analyzer with these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let workers = settings.threads.min(MOST_THREADS);
        let hands = match workers {
            0 => Hands::Own(Box::new(Worker::new(&settings, 1))),
            _ => Hands::Crew(Crew::new(&settings, workers)),
        };
        let desk = Desk::new(settings.details, workers.max(1));
        let clock = Clock::default();
        Self { hands, desk, items: 0, round: (0, Instant::ZERO), began: None, clock, reads: 0 }
    }

    /// From here on the trace is stamped by a clock with steps as long as this: rules about shorter times are mute.
    pub fn set_resolution(&mut self, resolution: Duration) {
        match &mut self.hands {
            Hands::Own(worker) => worker.set_resolution(resolution),
            Hands::Crew(crew) => crew.set_resolution(resolution),
        }
    }

    /// Takes the next item of a source, and the steps of its clock as they become known. `None` at its end.
    ///
    /// # Errors
    /// That of the source, which is then at its end.
    pub fn read(&mut self, source: &mut dyn Source) -> Option<Result<(), ReadError>> {
        let item = source.next()?;
        self.reads += 1;
        if self.reads.is_power_of_two() || self.reads.is_multiple_of(LOOK) {
            self.set_resolution(source.summary().resolution);
        }
        Some(item.map(|item| self.push(item)))
    }

    /// Takes the next item of the trace. A silence takes its time on, so that calls are told that are over by then.
    pub fn push(&mut self, item: Item) {
        match &item {
            Item::Sip(Packet { at, .. }) | Item::Rtp(Rtp { at, .. }) => {
                self.began.get_or_insert(*at);
                self.clock.stamp(*at);
            }
            Item::Quiet(time) => self.clock.pass(*time),
        }
        self.items += 1;
        let now = self.clock.now();
        self.desk.media(u64::from(matches!(item, Item::Rtp(_))));
        let quiet = matches!(item, Item::Quiet(_));
        match &mut self.hands {
            Hands::Own(worker) => worker.push(self.items, now, item),
            Hands::Crew(crew) => crew.push(self.items, now, item),
        }
        self.round.0 += 1;
        // Who is silent has time for it, and nothing else may end the round.
        if quiet || self.round.0 >= ROUND.0 || now.since(self.round.1) >= ROUND.1 {
            self.round = (0, now);
            self.end_of_round();
        }
    }

    /// What ended by now is told, in the same order however many threads there are.
    fn end_of_round(&mut self) {
        let told = match &mut self.hands {
            Hands::Own(worker) => {
                worker.tick(self.clock.now());
                Some((vec![worker.tell()], self.clock.now()))
            }
            Hands::Crew(crew) => crew.deal(self.clock.now()),
        };
        if let Some((shares, now)) = told {
            self.desk.take(shares, now);
        }
    }

    /// Hands over the calls that were found to be over a few seconds ago, in that order, and forgets them: what ends with them
    /// may be a leg of the same conversation. Whoever reads an endless trace takes them now and then.
    pub fn take_finished(&mut self) -> Vec<Call> {
        self.desk.finished()
    }

    /// The trace ends here: the calls that were not taken yet, open ones last and in the order of their beginning, and the numbers
    /// of all.
    #[must_use]
    pub fn finish(self) -> (Vec<Call>, Stats) {
        let mut calls = Vec::new();
        let stats = self.finish_with(|call| {
            calls.push(call);
            Ok::<(), Infallible>(())
        });
        let Ok(stats) = stats;
        (calls, stats)
    }

    /// The same with each call as it is ready: what is worked out of them need not be there at once.
    ///
    /// # Errors
    /// That of whoever takes a call; then the rest is not told.
    pub fn finish_with<E>(mut self, mut take: impl FnMut(Call) -> Result<(), E>) -> Result<Stats, E> {
        let (details, end) = (self.desk.details(), self.clock.end());
        let hands = match &self.hands {
            Hands::Own(_) => 1,
            Hands::Crew(crew) => crew.hands(),
        };
        let last = match self.hands {
            Hands::Own(mut worker) => {
                worker.finish(end);
                vec![worker.tell()]
            }
            Hands::Crew(crew) => {
                let mut rounds = crew.finish(end);
                let last = rounds.pop().map(|(shares, _)| shares).unwrap_or_default();
                for (shares, now) in rounds {
                    self.desk.take(shares, now);
                }
                last
            }
        };
        let Rest { told, open, mut stats } = self.desk.close(last, end);
        told.into_iter().try_for_each(&mut take)?;
        let mut open = open.into_iter();
        loop {
            let mut some: Vec<Call> = open.by_ref().take(SOME * hands).collect();
            if some.is_empty() {
                return Ok(stats);
            }
            thread::scope(|scope| {
                let mut parts = some.chunks_mut(SOME);
                let own = parts.next();
                for part in parts {
                    scope.spawn(move || part.iter_mut().for_each(|call| details.work_out(call)));
                }
                own.into_iter().flatten().for_each(|call| details.work_out(call));
            });
            for call in some {
                stats.count(&call);
                take(call)?;
            }
        }
    }

    /// When the trace begins; `None` before its first item.
    #[must_use]
    pub const fn began(&self) -> Option<Instant> {
        self.began
    }

    /// How many bytes of messages are kept now, as far as the workers told.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.load().0
    }

    /// The calls that are followed now, as far as the workers told.
    #[must_use]
    pub fn live(&self) -> usize {
        self.load().1
    }

    fn load(&self) -> (usize, usize) {
        match &self.hands {
            Hands::Own(worker) => worker.load(),
            Hands::Crew(_) => self.desk.load(),
        }
    }
}

impl fmt::Debug for Hands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own(_) => "Own",
            Self::Crew(_) => "Crew",
        })
    }
}

impl Call {
    /// Works out its [details](Details), if that was not done before.
    pub fn work_out(&mut self) {
        self.put_in_words();
        self.tell_story();
    }

    /// Works out its details but for the story, which costs as much as all the rest.
    pub fn put_in_words(&mut self) {
        if self.is_bare() {
            Detail::of(self, &Papers::of(&self.messages)).fill(self);
            diagnosis::tell(self);
        }
    }

    /// Takes back what was told of it, before its messages become others.
    pub(crate) fn untell(&mut self) -> Told {
        let told = Told {
            in_words: !self.is_bare(),
            story: !self.story.is_empty(),
            findings: self.findings.iter().map(Finding::key).collect(),
        };
        if !self.found.is_empty() {
            self.findings = std::mem::take(&mut self.found);
        }
        // They quote the messages as they were.
        (self.story, self.log, self.glances) = (Vec::new(), None, Vec::new());
        for message in &mut self.messages {
            message.summary = String::new();
        }
        (self.caller.user_agent, self.callee.user_agent) = (None, None);
        told
    }

    /// Tells as much again, from its messages as they are now.
    pub(crate) fn tell_again(&mut self, told: Told) {
        diagnosis::check_again(self);
        if told.in_words {
            self.put_in_words();
            // Some may have been left out since.
            self.findings.retain(|finding| told.findings.contains(&finding.key()));
        }
        if told.story {
            self.tell_story();
        }
    }

    /// Works out what no other call can change: all but the words of findings.
    fn work_out_alone(&mut self) {
        let log = self.log.take();
        let papers = Papers::of(&self.messages);
        let detail = self.is_bare().then(|| Detail::of(self, &papers));
        let story = self.story.is_empty().then(|| story::of(self, &papers, log));
        if let Some(detail) = detail {
            detail.fill(self);
        }
        if let Some(story) = story {
            self.story = story;
        }
    }

    fn tell_story(&mut self) {
        if self.story.is_empty() {
            let log = self.log.take();
            self.story = story::of(self, &Papers::of(&self.messages), log);
        }
    }

    /// Whether its messages have no summaries yet.
    fn is_bare(&self) -> bool {
        self.messages.iter().any(|message| message.summary.is_empty() && !message.raw.is_empty())
    }

    /// Whether there is anything to tell its details from.
    fn has_bytes(&self) -> bool {
        self.messages.iter().any(|message| !message.raw.is_empty())
    }
}

/// What was told of a call.
pub(crate) struct Told {
    in_words: bool,
    story: bool,
    /// The findings that were left in it.
    findings: Vec<(&'static str, u32, Party)>,
}

impl Finding {
    /// What tells it from the others of its call.
    const fn key(&self) -> (&'static str, u32, Party) {
        (self.code, self.at, self.by)
    }
}

/// A piece of the trace that is told together: so many items at most, and so much of its time.
const ROUND: (usize, Duration) = (1024, Duration::from_secs(5));
/// So many calls that the trace leaves open are worked out at a time, by each thread.
const SOME: usize = 64;
/// So often a source is asked how finely its clock counts, once it is known well.
const LOOK: u64 = 4_096;
/// The most threads: beyond, reading is what takes the time.
const MOST_THREADS: usize = 16;
