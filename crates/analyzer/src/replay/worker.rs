//! One thread's share of the calls: all that a call needs by itself.
//!
//! Messages are kept as they come. A call is judged once it seems to be over, all of its messages in a row: what that needs
//! is at hand then, where going from call to call with each message would look for it again and again. A call that goes on
//! is judged now and then.

use std::time::Duration;

use midcall_proto::dialog::Envelope;
use midcall_proto::observer::{ObservedCall, Observer, ObserverStats};
use midcall_proto::time::Instant;
use midcall_wire::Message;

use super::build;
use super::call_id::call_id;
use super::clock::Clock;
use super::keep::{Keep, Limits};
use super::kept::{Kept, Quiet, Seen};
use super::{Details, Settings};
use crate::diagnosis::{self, Reading};
use crate::glance::Glance;
use crate::legs::Known;
use crate::media::Media;
use crate::model::Call;
use crate::source::{Item, Packet};

/// Judges calls.
#[derive(Debug)]
pub(super) struct Worker {
    details: Details,
    /// It follows one call at a time, and none in between.
    observer: Observer,
    keep: Keep,
    /// Calls that were let go before their end because too many were open.
    let_go: u64,
    media: Media,
    ended: Vec<Ended>,
    /// How far the trace has come.
    now: Instant,
    /// Where in the trace the item stands that was taken last.
    index: u64,
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
    /// The calls that were found to be over since, in that order.
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
        let observer = settings.observer;
        let limits = Limits {
            bytes: settings.max_bytes / parts,
            bytes_of_call: settings.max_bytes_of_call,
            messages: observer.max_messages,
            calls: (observer.max_calls / parts).max(1),
        };
        let quiet = Quiet { closing: observer.linger(), open: observer.longest_linger() };
        Self {
            details: settings.details,
            keep: Keep::new(limits, quiet, settings.details == Details::All),
            observer: Observer::new(observer),
            let_go: 0,
            media: Media::default(),
            ended: Vec::new(),
            now: Instant::ZERO,
            index: 0,
            finished: false,
        }
    }

    /// Takes an item; `index` counts the items of the whole trace, which has come as far as `now`.
    pub(super) fn push(&mut self, index: u64, now: Instant, item: Item) {
        (self.now, self.index) = (now, index);
        let packet = match item {
            Item::Rtp(packet) => return self.media.observe(&packet),
            Item::Sip(packet) => packet,
            Item::Quiet(_) => return self.catch_up(),
        };
        self.catch_up();
        self.take(packet);
        while self.keep.is_heavy() && self.shed() {}
    }

    /// The clock of the trace has steps as long as this.
    pub(super) fn set_resolution(&mut self, resolution: Duration) {
        self.observer.set_resolution(resolution);
    }

    /// The trace has come as far as this.
    pub(super) fn tick(&mut self, now: Instant) {
        self.now = now;
        self.catch_up();
    }

    /// The trace ends here.
    pub(super) fn finish(&mut self, now: Instant) {
        self.finished = true;
        let end = now + AFTERWARDS;
        for slot in self.keep.all() {
            let Some(mut kept) = self.keep.lend(slot) else { continue };
            self.observe(&mut kept);
            let end = kept.own(end);
            self.let_pass(end);
            self.observer.finish(end);
            self.end(slot, kept);
        }
    }

    /// Bytes of messages kept and calls followed now.
    pub(super) fn load(&self) -> (usize, usize) {
        (self.keep.bytes(), self.keep.calls())
    }

    /// What there is to tell since the last time.
    pub(super) fn tell(&mut self) -> Share {
        let mut seen = self.observer.stats();
        seen.calls_dropped += self.let_go;
        Share {
            begun: self.keep.take_begun(),
            ended: std::mem::take(&mut self.ended),
            counted: Counted { seen, media_dropped: self.media.dropped(), load: self.load() },
        }
    }

    /// Keeps a message with its call until that is judged.
    fn take(&mut self, packet: Packet) {
        let slot = loop {
            let Some(slot) = self.call_of(&packet) else { return };
            // First what was due before this message: it may begin a call with the same Call-ID.
            match self.keep.due_by(slot, Clock::heard(self.now, packet.at)) {
                Some(due) => self.look(slot, due),
                None => break slot,
            }
        };
        if self.keep.has_room(slot, packet.payload.len()) {
            self.keep.store(slot, self.now, packet);
        } else {
            self.pass(slot, packet);
        }
    }

    /// The call of a message, begun if it is the first of one. `None` if it belongs to none: then it is only counted.
    fn call_of(&mut self, packet: &Packet) -> Option<u32> {
        let name = call_id(&packet.payload);
        if let Some(slot) = name.and_then(|name| self.keep.find(name)) {
            return Some(slot);
        }
        let message = Message::parse_partial(packet.payload.as_slice()).ok();
        let envelope = message.as_ref().map(Envelope::read);
        let read = message.as_ref().zip(envelope.as_ref());
        let begins = read.is_some_and(|(message, envelope)| Observer::begins_call(message, envelope));
        let Some(name) = name.filter(|_| begins) else {
            self.observer.observe_parsed(packet.at, packet.from, packet.to, read);
            self.observer.set_aside();
            return None;
        };
        if self.keep.is_full() {
            self.let_go();
        }
        Some(self.keep.begin(name, self.index))
    }

    /// Looks at the calls for which it is time.
    fn catch_up(&mut self) {
        while let Some((slot, due)) = self.keep.due(self.now) {
            self.look(slot, due);
        }
    }

    /// Judges a call up to this time.
    fn look(&mut self, slot: u32, until: Instant) {
        let Some(mut kept) = self.keep.lend(slot) else { return };
        self.observe(&mut kept);
        self.let_pass(kept.own(until));
        self.gather(&mut kept);
        self.lay_down(slot, kept);
    }

    /// Observes a message that its call has no room for.
    fn pass(&mut self, slot: u32, packet: Packet) {
        let Some(mut kept) = self.keep.lend(slot) else { return };
        self.observe(&mut kept);
        self.reach(packet.at, &mut kept);
        if self.keep.limits().allow(&kept, packet.payload.len()) {
            // Some of what was there is none of it, or it was over.
            self.lay_down(slot, kept);
            return self.take(packet);
        }
        kept.notice(self.now, &packet);
        if let Ok(seen) = self.see(&mut kept, packet) {
            kept.push_bare(seen, self.keep.limits().messages);
        }
        self.lay_down(slot, kept);
    }

    /// Takes the bytes of a call that is quiet. Whether there is one.
    fn shed(&mut self) -> bool {
        let Some(slot) = self.keep.quiet(true) else { return false };
        if let Some(mut kept) = self.keep.lend(slot) {
            self.observe(&mut kept);
            self.lay_down(slot, kept);
            self.keep.shed(slot);
        }
        true
    }

    /// Lets go a call that is quiet.
    fn let_go(&mut self) {
        let quiet = self.keep.quiet(false);
        if let Some((slot, mut kept)) = quiet.and_then(|slot| Some((slot, self.keep.lend(slot)?))) {
            self.observe(&mut kept);
            self.let_go += 1;
            self.end(slot, kept);
        }
    }

    /// Observes what came of a call since the last time.
    fn observe(&mut self, kept: &mut Kept) {
        if let Some(aside) = kept.aside.take() {
            self.observer.take_back(*aside);
        }
        kept.make_room();
        while let Some(at) = kept.next_at() {
            self.reach(at, kept);
            let Some(packet) = kept.next() else { break };
            match self.see(kept, packet) {
                Ok(seen) => kept.seen.push(seen),
                Err(NoneOfIt { length }) => self.keep.skip(kept, length),
            }
        }
    }

    /// Lets time pass up to a message, and tells of what ended before it: it may begin a call with the same Call-ID.
    fn reach(&mut self, at: Instant, kept: &mut Kept) {
        self.observer.tick(at);
        self.gather(kept);
    }

    /// Observes a message.
    fn see(&mut self, kept: &mut Kept, packet: Packet) -> Result<Seen, NoneOfIt> {
        let message = Message::parse_partial(packet.payload.as_slice()).ok();
        let envelope = message.as_ref().map(Envelope::read);
        let read = message.as_ref().zip(envelope.as_ref());
        let n = self.observer.observe_parsed(packet.at, packet.from, packet.to, read);
        let latest = self.observer.latest().filter(|call| kept.is_named(call.call_id()));
        let Some(((n, call), (message, envelope))) = n.zip(latest).zip(read) else {
            return Err(NoneOfIt { length: packet.payload.len() });
        };
        self.keep.number(kept, self.index);
        if let Some(log) = &mut kept.log {
            log.notice(call, n);
        }
        let glance = Glance::of(message, envelope);
        Ok(Seen { packet, n, glance })
    }

    /// Lets time pass for the call that is followed, as it would pass if nothing else was.
    fn let_pass(&mut self, until: Instant) {
        for _ in 0..MOST_STEPS {
            let Some(due) = self.observer.next_due().filter(|due| *due <= until) else { break };
            self.observer.tick(due);
        }
        self.observer.tick(until);
    }

    /// Tells of what ended with the messages that were observed; what follows them is left.
    fn gather(&mut self, kept: &mut Kept) {
        for observed in self.observer.take_finished() {
            self.over(&observed, kept);
        }
    }

    /// A call goes on until more of it comes, or something is due; it is forgotten if it does not.
    fn lay_down(&mut self, slot: u32, mut kept: Box<Kept>) {
        let due = self.observer.next_due().unwrap_or(Instant::MAX);
        match self.observer.set_aside() {
            Some(aside) => {
                kept.goes_on(Box::new(aside), due);
                self.keep.give_back(slot, kept);
            }
            None => self.keep.forget(slot, &kept),
        }
    }

    /// Nothing more is expected of a call.
    fn end(&mut self, slot: u32, mut kept: Box<Kept>) {
        self.gather(&mut kept);
        for observed in self.observer.take_open() {
            self.over(&observed, &mut kept);
        }
        self.observer.set_aside();
        self.keep.forget(slot, &kept);
    }

    fn over(&mut self, observed: &ObservedCall, kept: &mut Kept) {
        if !kept.is_named(observed.call_id()) {
            return; // nothing was taken for a message of it
        }
        let rest = kept.split_off(self.details == Details::All);
        let mut kept = std::mem::replace(kept, rest);
        self.keep.told(&kept);
        let mut call = build::call(observed, &mut kept);
        let mut known = None;
        if self.details != Details::None {
            call.findings.extend(self.media.of(&call));
            let reading = Reading::new(&call);
            let deals = diagnosis::deals(&reading);
            known = Some(Box::new(Known::of(&reading, &deals)));
            let found = diagnosis::find(&reading, &deals);
            call.findings.extend(found);
            diagnosis::doubt(&mut call);
        }
        call.glances = Vec::new();
        if self.details == Details::All && !self.finished {
            call.work_out_alone();
        }
        let last = call.messages.last().map_or(Instant::ZERO, |message| message.at);
        self.ended.push(Ended { last, call, known });
    }
}

/// A message with the name of a call that is none of its messages.
struct NoneOfIt {
    length: usize,
}

/// Long enough for the last message to have arrived, too short for anything to be owed that the trace ended before.
const AFTERWARDS: Duration = Duration::from_millis(200);
/// So often a call is looked at in a row while time passes, each time when something is due; then only at the end of that time.
const MOST_STEPS: usize = 64;
