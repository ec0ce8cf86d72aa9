//! One thread's share of the calls: all that a call needs by itself.

use std::time::Duration;

use midcall_proto::dialog::Envelope;
use midcall_proto::observer::{ObservedCall, Observer, ObserverStats};
use midcall_proto::time::Instant;
use midcall_wire::Message;

use super::build;
use super::keep::Keep;
use super::{Details, Settings};
use crate::diagnosis::{self, Reading};
use crate::glance::Glance;
use crate::legs::Known;
use crate::media::Media;
use crate::model::Call;
use crate::source::Item;

/// Judges calls as their messages come.
#[derive(Debug)]
pub(super) struct Worker {
    details: Details,
    observer: Observer,
    keep: Keep,
    media: Media,
    ended: Vec<Ended>,
    last: Instant,
    /// Whether the trace is over: then many calls are at once, and their details would be too much.
    finished: bool,
}

/// A call that is over, judged by itself. Its number counts the calls of its worker.
#[derive(Debug)]
pub(super) struct Ended {
    /// When its last message passed.
    pub(super) last: Instant,
    pub(super) call: Call,
    /// What others are compared with; `None` if nobody asks for that.
    pub(super) known: Option<Box<Known>>,
}

/// What a worker has to tell.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// The calls that began since: where in the trace, in the order of their numbers.
    pub(super) begun: Vec<u64>,
    /// The calls that were over for long enough since, in the order of their end.
    pub(super) ended: Vec<Ended>,
    /// What was counted since the beginning.
    pub(super) counted: Counted,
}

/// What a worker counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    pub(super) seen: ObserverStats,
    pub(super) media_dropped: u64,
    /// Bytes of messages kept and calls followed by then.
    pub(super) load: (usize, usize),
}

impl Worker {
    /// A worker that follows one part in so many of all calls.
    pub(super) fn new(settings: &Settings, parts: usize) -> Self {
        let mut observer = settings.observer;
        observer.max_calls = (observer.max_calls / parts).max(1);
        Self {
            details: settings.details,
            keep: Keep::new(
                settings.max_bytes / parts,
                settings.max_bytes_of_call,
                observer.max_messages,
                settings.details == Details::All,
            ),
            observer: Observer::new(observer),
            media: Media::default(),
            ended: Vec::new(),
            last: Instant::ZERO,
            finished: false,
        }
    }

    /// Takes an item; `index` counts the items of the whole trace.
    pub(super) fn push(&mut self, index: u64, item: Item) {
        self.last = self.last.max(item.at());
        let packet = match item {
            Item::Rtp(packet) => return self.media.observe(&packet),
            Item::Sip(packet) => packet,
        };
        let message = Message::parse(packet.payload.as_slice()).ok();
        let envelope = message.as_ref().map(Envelope::read);
        let read = message.as_ref().zip(envelope.as_ref());
        let n = self.observer.observe_parsed(packet.at, packet.from, packet.to, read);
        let glance = read.filter(|_| n.is_some()).map(|(message, envelope)| Glance::of(message, envelope));
        // First what ended before this message: it may begin a call with the same Call-ID.
        self.gather();
        if let (Some(n), Some(glance), Some(call)) = (n, glance, self.observer.latest()) {
            self.keep.store(index, call, n, packet, glance);
        }
    }

    /// The clock of the trace has steps as long as this.
    pub(super) fn set_resolution(&mut self, resolution: Duration) {
        self.observer.set_resolution(resolution);
    }

    /// The trace has come as far as this.
    pub(super) fn tick(&mut self, now: Instant) {
        self.last = self.last.max(now);
        self.observer.tick(now);
        self.gather();
    }

    /// The trace ends here.
    pub(super) fn finish(&mut self) {
        self.finished = true;
        self.observer.finish(self.last + AFTERWARDS);
        self.gather();
        let open = self.observer.take_open();
        self.ended.reserve_exact(open.len());
        for call in open {
            self.over(&call);
        }
    }

    /// Bytes of messages kept and calls followed now.
    pub(super) fn load(&self) -> (usize, usize) {
        (self.keep.bytes(), self.keep.calls())
    }

    /// What there is to tell since the last time.
    pub(super) fn tell(&mut self) -> Share {
        Share {
            begun: self.keep.take_begun(),
            ended: std::mem::take(&mut self.ended),
            counted: Counted {
                seen: self.observer.stats(),
                media_dropped: self.media.dropped(),
                load: self.load(),
            },
        }
    }

    fn gather(&mut self) {
        for call in self.observer.take_finished() {
            self.over(&call);
        }
    }

    fn over(&mut self, observed: &ObservedCall) {
        let Some(kept) = self.keep.take(observed.call_id()) else { return };
        let mut call = build::call(observed, kept);
        let mut known = None;
        if self.details != Details::None {
            call.findings.extend(self.media.of(&call));
            let reading = Reading::new(&call);
            let deals = diagnosis::deals(&reading);
            known = Some(Box::new(Known::of(&reading, &deals)));
            let found = diagnosis::find(&reading, &deals);
            call.findings.extend(found);
        }
        call.glances = Vec::new();
        if self.details == Details::All && !self.finished {
            call.work_out_alone();
        }
        let last = call.messages.last().map_or(Instant::ZERO, |message| message.at);
        self.ended.push(Ended { last, call, known });
    }
}

/// Long enough for the last message to have arrived, too short for anything to be owed that the trace ended before.
const AFTERWARDS: Duration = Duration::from_millis(200);
