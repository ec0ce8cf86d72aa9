//! The task beside each call: media follows the session, waiting verbs get their outcome, listeners hear what happens.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use midcall_proto::event::{CallEvent, CallId, Change, Ended, Failure, Side, Ticket};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time;

use super::events::Listeners;
use super::state::{CallState, Phase};
use super::streams::Streams;
use super::{MediaSetup, Office, refer};
use crate::media::MediaSession;

/// What reaches the task of a call, in the order it happened.
#[derive(Debug)]
pub(crate) enum ToCall {
    /// The endpoint says something.
    Event(Box<CallEvent>),
    /// Somebody waits for the outcome of a wish.
    Wish(Ticket, oneshot::Sender<Result<Change, Failure>>),
    /// Somebody waits for the outcome of a transfer.
    Transfer(oneshot::Sender<u16>),
    /// A media session was opened for this call.
    Media(MediaSession),
    /// The user agent is shut down: nothing follows.
    Cut,
}

pub(super) struct Actor {
    pub(super) id: CallId,
    pub(super) office: Office,
    pub(super) setup: Arc<MediaSetup>,
    pub(super) queue: mpsc::Receiver<ToCall>,
    pub(super) state: watch::Sender<CallState>,
    pub(super) streams: watch::Sender<Streams>,
    pub(super) listeners: Listeners,
    pub(super) waiting: Waiting,
}

/// Who waits for which outcome.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    wishes: HashMap<Ticket, oneshot::Sender<Result<Change, Failure>>>,
    transfers: Vec<oneshot::Sender<u16>>,
}

impl Actor {
    /// Runs until the call is over and nobody waits for news of a transfer.
    pub(super) async fn run(mut self) {
        self.listen().await;
        self.listeners.close();
    }

    async fn listen(&mut self) {
        while let Some(message) = self.queue.recv().await {
            match message {
                ToCall::Event(event) => {
                    let over = matches!(*event, CallEvent::Ended { .. });
                    self.event(*event).await;
                    if over {
                        break;
                    }
                }
                ToCall::Wish(ticket, done) => {
                    self.waiting.wishes.insert(ticket, done);
                }
                ToCall::Transfer(done) => self.waiting.transfers.push(done),
                ToCall::Media(session) => self.streams.send_modify(|streams| streams.add(session)),
                ToCall::Cut => {
                    let streams = self.streams.borrow().clone();
                    streams.stop().await;
                    return;
                }
            }
        }
        self.waiting.wishes.clear();
        let news = async {
            while !self.waiting.transfers.is_empty() {
                match self.queue.recv().await {
                    Some(ToCall::Event(event)) => self.event(*event).await,
                    Some(ToCall::Cut) | None => return,
                    Some(_) => {}
                }
            }
        };
        // Those who still wait learn from their closed channel that there was no news.
        let _ = time::timeout(SUBSCRIPTION, news).await;
    }

    async fn event(&mut self, event: CallEvent) {
        match &event {
            CallEvent::Progress { status, .. } => self.phase(Phase::Ringing { status: *status }),
            CallEvent::Established => self.phase(Phase::Up),
            CallEvent::Session { agreed, .. } => {
                let streams = self.streams.borrow().clone();
                streams.follow(agreed).await;
                self.state.send_modify(|state| state.agreed = agreed.clone());
            }
            CallEvent::Held { by } => self.held(*by, true),
            CallEvent::Resumed { by } => self.held(*by, false),
            CallEvent::Changed(change) => {
                if let Some(waiter) = self.waiting.wishes.remove(&change.ticket) {
                    answer(waiter, Ok(change.clone()));
                }
            }
            CallEvent::ChangeFailed { ticket, failure } => {
                if let Some(waiter) = self.waiting.wishes.remove(ticket) {
                    answer(waiter, Err(failure.clone()));
                }
            }
            CallEvent::Transfer { status, done: true } => {
                self.waiting.transfers.drain(..).for_each(|waiter| answer(waiter, *status));
            }
            CallEvent::Referred { refer, decide: false, .. } => {
                let (office, setup) = (self.office.clone(), Arc::clone(&self.setup));
                tokio::spawn(refer::follow(office, self.id, *refer, setup));
            }
            CallEvent::Ended { why } => self.over(why.clone()).await,
            _ => {}
        }
        self.listeners.tell(event);
    }

    async fn over(&mut self, why: Ended) {
        let streams = self.streams.borrow().clone();
        streams.stop().await;
        self.state.send_modify(|state| state.phase = Phase::Over { why });
    }

    fn phase(&self, phase: Phase) {
        self.state.send_if_modified(|state| {
            let news =
                state.phase != phase && !matches!((&state.phase, &phase), (Phase::Up, Phase::Ringing { .. }));
            if news {
                state.phase = phase;
            }
            news
        });
    }

    fn held(&self, by: Side, held: bool) {
        self.state.send_modify(|state| match by {
            Side::Us => state.held_by_us = held,
            Side::Them => state.held_by_peer = held,
        });
    }
}

fn answer<T>(waiter: oneshot::Sender<T>, outcome: T) {
    // Whoever asked may have stopped waiting.
    let _ = waiter.send(outcome);
}

/// How long news of a transfer may come after the call's end: the expiry the core gives a REFER's subscription.
const SUBSCRIPTION: Duration = Duration::from_secs(300);
