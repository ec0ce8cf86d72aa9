//! Where the calls of all workers come together: numbered, joined to conversations, worked out, counted.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;
use midcall_proto::time::Instant;

use super::Details;
use super::worker::{Counted, Ended, Share};
use crate::legs::Legs;
use crate::model::Call;
use crate::report::stats::Stats;

/// What is left when the trace is over.
#[derive(Debug)]
pub(super) struct Rest {
    /// The calls that were not handed out yet.
    pub(super) told: Vec<Call>,
    /// Those that the trace leaves open, in the order of their beginning: neither worked out nor counted.
    pub(super) open: Vec<Call>,
    /// The numbers of all but those.
    pub(super) stats: Stats,
}

/// Takes what workers tell and hands out calls that nothing more will be found in.
#[derive(Debug)]
pub(super) struct Desk {
    details: Details,
    legs: Legs,
    finished: Vec<Call>,
    stats: Stats,
    /// Calls that were begun.
    begun: u32,
    /// The number in the trace of a live call, by its worker and its number there.
    numbers: HashMap<(usize, u32), u32, RandomState>,
    /// The calls that each worker began.
    known: Vec<u32>,
    counted: Vec<Counted>,
    /// Whether the trace is over.
    over: bool,
}

impl Desk {
    /// A desk for that many workers.
    pub(super) fn new(details: Details, workers: usize) -> Self {
        Self {
            details,
            legs: Legs::default(),
            finished: Vec::new(),
            stats: Stats::default(),
            begun: 0,
            numbers: HashMap::default(),
            known: vec![0; workers],
            counted: vec![Counted::default(); workers],
            over: false,
        }
    }

    /// Takes what all workers have to tell of the trace up to `now`, in the order of the workers.
    pub(super) fn take(&mut self, shares: Vec<Share>, now: Instant) {
        self.number(&shares);
        let mut ended: Vec<Ended> = Vec::with_capacity(shares.iter().map(|share| share.ended.len()).sum());
        for (worker, share) in shares.into_iter().enumerate() {
            if let Some(counted) = self.counted.get_mut(worker) {
                *counted = share.counted;
            }
            for mut one in share.ended {
                if let Some(number) = self.numbers.remove(&(worker, one.call.number)) {
                    one.call.number = number;
                }
                ended.push(one);
            }
        }
        // They may be many at once, and each has a number of its own.
        ended.sort_unstable_by_key(|one| (one.last, one.call.number));
        for Ended { call, last, known } in ended {
            let Some(known) = known else {
                self.tell(call);
                continue;
            };
            // By the time of the call, not by how far somebody has read: then it makes no difference who was faster.
            let until = now.min(last + QUIET);
            self.release(until);
            self.legs.join(call, *known, until);
        }
        // Whatever is found to be over from here on ended later than this, as far as its messages say that they end it.
        self.release(now - GRACE);
    }

    fn release(&mut self, until: Instant) {
        for call in self.legs.ready(until) {
            self.tell(call);
        }
    }

    /// Calls that began since are numbered in the order of the trace.
    fn number(&mut self, shares: &[Share]) {
        let mut begun: Vec<(u64, usize, u32)> = Vec::new();
        for (worker, (share, known)) in shares.iter().zip(&mut self.known).enumerate() {
            for index in &share.begun {
                *known = known.saturating_add(1);
                begun.push((*index, worker, *known));
            }
        }
        begun.sort_unstable();
        for (_, worker, own) in begun {
            self.begun = self.begun.saturating_add(1);
            self.numbers.insert((worker, own), self.begun);
        }
    }

    /// Of which calls the details are worked out.
    pub(super) const fn details(&self) -> Details {
        self.details
    }

    /// The calls that are ready, in the order in which they were.
    pub(super) fn finished(&mut self) -> Vec<Call> {
        std::mem::take(&mut self.finished)
    }

    /// RTP packets came.
    pub(super) const fn media(&mut self, packets: u64) {
        self.stats.media += packets;
    }

    /// Bytes of messages kept and calls followed now.
    pub(super) fn load(&self) -> (usize, usize) {
        self.counted.iter().fold((0, 0), |(kept, live), one| (kept + one.load.0, live + one.load.1))
    }

    /// Takes what the workers have to tell in the end.
    pub(super) fn close(mut self, shares: Vec<Share>, now: Instant) -> Rest {
        let told = self.finished();
        self.over = true;
        let open = shares.iter().map(|share| share.ended.len()).sum::<usize>() + self.legs.waiting();
        self.finished.reserve_exact(open);
        self.take(shares, now);
        let mut open = self.finished();
        open.extend(self.legs.all());
        open.sort_unstable_by_key(|call| call.number);
        for one in &self.counted {
            self.stats.messages += one.seen.messages;
            self.stats.not_sip += one.seen.not_sip;
            self.stats.outside += one.seen.outside;
            self.stats.calls += one.seen.calls;
            self.stats.calls_dropped += one.seen.calls_dropped;
            // Each of them counts all packets.
            self.stats.media_dropped = self.stats.media_dropped.max(one.media_dropped);
        }
        Rest { told, open, stats: self.stats }
    }

    /// Nothing more will be found in this call.
    fn tell(&mut self, mut call: Call) {
        if !self.over {
            self.details.work_out(&mut call);
            self.stats.count(&call);
        }
        self.finished.push(call);
    }
}

/// How long a call is quiet before it counts as over: 64*T1 (RFC 3261 §17.1.1.2).
const QUIET: Duration = Duration::from_secs(32);
/// A little more than a worker takes to notice that.
const GRACE: Duration = Duration::from_secs(2);
