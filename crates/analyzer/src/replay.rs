//! Replay: items of a trace in, finished calls out.
//!
//! Messages go through the [`Observer`]; their bytes are kept for as long as their call lives, within bounds, so that a
//! finished call can be told whole. What was handed out is forgotten: memory follows the calls that live, not the trace.

mod build;
mod keep;
#[cfg(test)]
mod tests;

use std::time::Duration;

use midcall_proto::observer::{ObservedCall, Observer, ObserverConfig};
use midcall_proto::rules::Severity;
use midcall_proto::time::Instant;

use self::keep::{Keep, Stored};
use crate::diagnosis;
use crate::legs::Legs;
use crate::media::Media;
use crate::model::{Call, Message};
use crate::report::stats::Stats;
use crate::source::{Item, Packet, ReadError, Source};
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
}

impl Default for Settings {
    fn default() -> Self {
        // Findings are taken call by call.
        let mut observer = ObserverConfig::default();
        observer.max_findings = 0;
        Self { observer, details: Details::All, max_bytes: 64 << 20, max_bytes_of_call: 4 << 20 }
    }
}

/// Of which calls the details are worked out: what a ladder shows of each message, the story, User-Agents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Details {
    /// Of all.
    All,
    /// Of those with findings at least this bad.
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
    settings: Settings,
    observer: Observer,
    keep: Keep,
    media: Media,
    legs: Legs,
    finished: Vec<Call>,
    stats: Stats,
    began: Option<Instant>,
    last: Instant,
    /// Items taken from sources.
    reads: u64,
}

impl Analyzer {
    /// An analyzer with these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            observer: Observer::new(settings.observer),
            keep: Keep::new(settings.max_bytes, settings.max_bytes_of_call, settings.observer.max_messages),
            media: Media::default(),
            legs: Legs::default(),
            finished: Vec::new(),
            stats: Stats::default(),
            began: None,
            last: Instant::ZERO,
            reads: 0,
        }
    }

    /// From here on the trace is stamped by a clock with steps as long as this: rules about shorter times are mute.
    pub fn set_resolution(&mut self, resolution: Duration) {
        self.observer.set_resolution(resolution);
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

    /// Takes the next item of the trace.
    pub fn push(&mut self, item: Item) {
        self.began.get_or_insert(item.at());
        self.last = self.last.max(item.at());
        match item {
            Item::Sip(packet) => self.message(packet),
            Item::Rtp(packet) => {
                self.stats.media += 1;
                self.media.observe(&packet);
            }
        }
    }

    /// Hands over the calls that ended a few seconds ago, in the order of their end, and forgets them: what ends with them
    /// may be a leg of the same conversation. Whoever reads an endless trace takes
    /// them now and then.
    pub fn take_finished(&mut self) -> Vec<Call> {
        std::mem::take(&mut self.finished)
    }

    /// The trace ends here: the calls that were not taken yet, in the order of their beginning, and the numbers of all.
    #[must_use]
    pub fn finish(mut self) -> (Vec<Call>, Stats) {
        self.observer.finish(self.last + AFTERWARDS);
        self.gather();
        let open: Vec<ObservedCall> = self.observer.calls().cloned().collect();
        for call in &open {
            self.done(call);
        }
        for call in self.legs.all() {
            self.tell(call);
        }
        let seen = self.observer.stats();
        (self.stats.messages, self.stats.not_sip) = (seen.messages, seen.not_sip);
        (self.stats.outside, self.stats.calls) = (seen.outside, seen.calls);
        self.stats.calls_dropped = seen.calls_dropped;
        self.stats.media_dropped = self.media.dropped();
        self.finished.sort_by_key(|call| call.number);
        (self.finished, self.stats)
    }

    /// When the trace begins; `None` before its first item.
    #[must_use]
    pub const fn began(&self) -> Option<Instant> {
        self.began
    }

    /// How many bytes of messages are kept now.
    #[must_use]
    pub const fn kept(&self) -> usize {
        self.keep.bytes()
    }

    /// The calls that are followed now.
    #[must_use]
    pub fn live(&self) -> usize {
        self.keep.calls()
    }

    fn message(&mut self, packet: Packet) {
        let n = self.observer.observe(packet.at, packet.from, packet.to, &packet.payload);
        // First what ended before this message: it may begin a call with the same Call-ID.
        self.gather();
        if let (Some(n), Some(call)) = (n, self.observer.latest()) {
            self.keep.store(call.call_id(), Stored::new(n, packet));
        }
    }

    /// Takes over what the observer is done with.
    fn gather(&mut self) {
        for call in self.observer.take_finished() {
            self.done(&call);
        }
        for call in self.legs.ready(self.last) {
            self.tell(call);
        }
    }

    fn done(&mut self, observed: &ObservedCall) {
        let Some(kept) = self.keep.take(observed.call_id()) else { return };
        let mut call = build::call(observed, kept);
        if self.settings.details == Details::None {
            self.tell(call);
            return;
        }
        call.findings.extend(self.media.of(&call));
        diagnosis::find(&mut call);
        self.legs.take(call, self.last);
    }

    /// Nothing more will be found in it.
    fn tell(&mut self, mut call: Call) {
        if self.settings.details.of(call.worst()) {
            call.work_out();
        }
        self.stats.count(&call);
        self.finished.push(call);
    }
}

impl Call {
    /// Works out its [details](Details), if that was not done before.
    pub fn work_out(&mut self) {
        let kept = |message: &Message| message.summary.is_empty() && !message.raw.is_empty();
        if self.messages.iter().any(kept) {
            build::detail(self);
            diagnosis::tell(self);
            self.story = story::tell(self);
        }
    }
}

/// Long enough for the last message to have arrived, too short for anything to be owed that the trace ended before.
const AFTERWARDS: Duration = Duration::from_millis(200);
/// So often a source is asked how finely its clock counts, once it is known well.
const LOOK: u64 = 4_096;
