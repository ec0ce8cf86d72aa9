//! Several workers, each with a thread and a part of the calls.
//!
//! Items are dealt out by Call-ID, in rounds; each worker answers every round with what it has to tell, so that the report
//! does not depend on who was faster. A few rounds are on their way at once, no more: memory stays bounded.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use midcall_proto::time::Instant;

use super::Settings;
use super::call_id::call_id;
use super::worker::{Share, Worker};
use crate::source::Item;

/// Workers at work.
#[derive(Debug)]
pub(super) struct Crew {
    hands: Vec<Hand>,
    /// Items of the round that is being dealt, by worker.
    dealt: Vec<Vec<(u64, Instant, Item)>>,
    /// Until when each round on its way goes.
    rounds: VecDeque<Instant>,
    resolution: Duration,
}

#[derive(Debug)]
struct Hand {
    work: SyncSender<Round>,
    done: Receiver<Share>,
    thread: JoinHandle<()>,
}

/// A piece of the trace.
struct Round {
    items: Vec<(u64, Instant, Item)>,
    now: Instant,
    /// The steps of the clock.
    resolution: Duration,
    last: bool,
}

impl Crew {
    /// Starts that many workers.
    pub(super) fn new(settings: &Settings, workers: usize) -> Self {
        let hands: Vec<Hand> = (0..workers)
            .map(|_| {
                let (work, rounds) = sync_channel::<Round>(MOST_ROUNDS);
                let (tell, done) = sync_channel(MOST_ROUNDS);
                let mut worker = Worker::new(settings, workers);
                let thread = thread::spawn(move || {
                    for Round { items, now, resolution, last } in rounds {
                        worker.set_resolution(resolution);
                        for (index, now, item) in items {
                            worker.push(index, now, item);
                        }
                        if last {
                            worker.finish(now);
                        } else {
                            worker.tick(now);
                        }
                        if tell.send(worker.tell()).is_err() {
                            return;
                        }
                    }
                });
                Hand { work, done, thread }
            })
            .collect();
        let dealt = hands.iter().map(|_| Vec::new()).collect();
        Self { hands, dealt, rounds: VecDeque::new(), resolution: settings.observer.resolution }
    }

    /// How many workers there are.
    pub(super) fn hands(&self) -> usize {
        self.hands.len()
    }

    /// The clock of the trace has steps as long as this, from the round on that is dealt next.
    pub(super) const fn set_resolution(&mut self, resolution: Duration) {
        self.resolution = resolution;
    }

    /// Puts an item into the round that is dealt next.
    pub(super) fn push(&mut self, index: u64, now: Instant, item: Item) {
        match &item {
            Item::Sip(packet) => {
                let worker = part(&packet.payload, self.hands.len());
                if let Some(dealt) = self.dealt.get_mut(worker) {
                    dealt.push((index, now, item));
                }
            }
            // Whose media it is, the descriptions of calls tell: everybody looks.
            Item::Rtp(packet) => {
                for dealt in &mut self.dealt {
                    dealt.push((index, now, Item::Rtp(*packet)));
                }
            }
            // The end of the round says how far the trace has come.
            Item::Quiet(_) => {}
        }
    }

    /// Deals a round out, which goes up to `now`. Once enough are on their way, the oldest is heard of: what all workers have
    /// to tell, and up to when.
    pub(super) fn deal(&mut self, now: Instant) -> Option<(Vec<Share>, Instant)> {
        self.send(now, false);
        if self.rounds.len() < MOST_ROUNDS { None } else { self.hear() }
    }

    /// The trace ends here: what is left to tell, round by round.
    pub(super) fn finish(mut self, now: Instant) -> Vec<(Vec<Share>, Instant)> {
        self.send(now, true);
        let rest = std::iter::from_fn(|| self.hear()).collect();
        for Hand { work, done, thread } in self.hands {
            drop((work, done));
            // A worker that failed takes the analysis with it, as it would without threads.
            if let Err(failure) = thread.join() {
                std::panic::resume_unwind(failure);
            }
        }
        rest
    }

    fn send(&mut self, now: Instant, last: bool) {
        self.rounds.push_back(now);
        for (hand, dealt) in self.hands.iter().zip(&mut self.dealt) {
            let items = std::mem::replace(dealt, Vec::with_capacity(dealt.len()));
            // Nobody takes it if the worker failed; its end is noticed when its share is missing.
            let _ = hand.work.send(Round { items, now, resolution: self.resolution, last });
        }
    }

    /// Waits for the oldest round on its way.
    fn hear(&mut self) -> Option<(Vec<Share>, Instant)> {
        let now = self.rounds.pop_front()?;
        Some((self.hands.iter().map(|hand| hand.done.recv().unwrap_or_default()).collect(), now))
    }
}

/// Which worker follows the call of a message: the same for each message of a call.
fn part(message: &[u8], workers: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    hasher.write(call_id(message).unwrap_or_default());
    usize::try_from(hasher.finish() % workers.max(1) as u64).unwrap_or_default()
}

/// Rounds on their way at once.
const MOST_ROUNDS: usize = 3;

#[cfg(test)]
mod tests;
