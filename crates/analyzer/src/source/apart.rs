//! Live sources beside others: a thread reads each, so that nobody waits for one that is silent.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::hep::live::Stop;
use super::{Item, ReadError, Source, Summary};

/// What a thread read.
pub(super) struct Heard {
    /// Which source it is of.
    pub(super) nth: usize,
    /// `None` at its end.
    pub(super) item: Option<Result<Item, ReadError>>,
    /// What was read of it by then.
    pub(super) summary: Summary,
}

/// What came of it to listen for a while.
pub(super) enum Outcome {
    Heard(Box<Heard>),
    Nothing,
    /// Nothing will come any more.
    Over,
}

/// Hears what all threads read, in the order in which it came.
pub(super) struct Ear {
    heard: Receiver<Box<Heard>>,
    threads: Vec<JoinHandle<()>>,
    /// Since when nothing came, or since that was told.
    silent: Instant,
    stop: Stop,
    stopped: Option<Instant>,
}

impl Ear {
    /// Reads each of these sources, which have numbers, in a thread. That ends with its source, or when it has something to tell
    /// and nobody listens any more.
    pub(super) fn on(sources: Vec<(usize, Box<dyn Source>)>, stop: Stop) -> Self {
        let (tell, heard) = sync_channel(MOST_UNHEARD);
        let read = |(nth, mut source): (usize, Box<dyn Source>)| {
            let tell = tell.clone();
            thread::spawn(move || {
                loop {
                    let item = source.next();
                    let over = item.is_none();
                    let heard = Heard { nth, item, summary: source.summary() };
                    if tell.send(Box::new(heard)).is_err() || over {
                        return;
                    }
                }
            })
        };
        let threads = sources.into_iter().map(read).collect();
        Self { heard, threads, silent: Instant::now(), stop, stopped: None }
    }

    /// What comes next, if it comes within this time.
    pub(super) fn hear(&mut self, patience: Duration) -> Outcome {
        // Not every source can be told to stop, and a pipe may never end.
        if self.stop.is_stopped() && self.stopped.get_or_insert_with(Instant::now).elapsed() >= LAST_WORDS {
            return Outcome::Over;
        }
        match self.heard.recv_timeout(patience) {
            Ok(heard) => Outcome::Heard(heard),
            Err(RecvTimeoutError::Timeout) => Outcome::Nothing,
            Err(RecvTimeoutError::Disconnected) => {
                for thread in self.threads.drain(..) {
                    // A source that failed takes the reader with it, as it would without threads.
                    if let Err(failure) = thread.join() {
                        std::panic::resume_unwind(failure);
                    }
                }
                Outcome::Over
            }
        }
    }

    /// Something came.
    pub(super) fn wake(&mut self) {
        self.silent = Instant::now();
    }

    /// How long nothing came.
    pub(super) fn silence(&self) -> Duration {
        self.silent.elapsed()
    }
}

/// What threads have read waits for its turn up to so many items; more waits in sockets and pipes.
const MOST_UNHEARD: usize = 256;
/// How long sources may take to end that were told to: what they do not say by then is not waited for.
const LAST_WORDS: Duration = Duration::from_millis(500);
