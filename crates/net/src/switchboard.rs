//! Who listens to which call: what the endpoint says is told here, in order, within the driver's turn.

use std::collections::{BTreeMap, HashMap};

use midcall_proto::endpoint::Endpoint;
use midcall_proto::event::{CallEvent, CallId, Event, Incoming, RegistrationId, RegistrationState};
use midcall_proto::time::Instant;
use tokio::sync::{mpsc, watch};

use crate::call::ToCall;

/// A call that came in, on its way to whoever answers it.
#[derive(Debug)]
pub(crate) struct NewCall {
    pub(crate) id: CallId,
    pub(crate) incoming: Incoming,
    pub(crate) call_id: String,
    pub(crate) line: mpsc::Sender<ToCall>,
    pub(crate) queue: mpsc::Receiver<ToCall>,
}

/// The lines from the endpoint to the calls.
#[derive(Debug)]
pub(crate) struct Switchboard {
    lines: HashMap<CallId, mpsc::Sender<ToCall>>,
    registrations: HashMap<RegistrationId, watch::Sender<Option<RegistrationState>>>,
    incoming: mpsc::Sender<NewCall>,
    lost: watch::Sender<Lost>,
    /// How many lines were left after the last look for dead ones.
    swept: usize,
}

/// What did not get through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// Input that the endpoint could not use, by what it was.
    pub input: BTreeMap<&'static str, u64>,
    /// Events for calls whose queue was full.
    pub events: u64,
    /// Incoming calls turned away because nobody took the ones before.
    pub calls: u64,
}

impl Switchboard {
    pub(crate) fn new(incoming: mpsc::Sender<NewCall>, lost: watch::Sender<Lost>) -> Self {
        Self { lines: HashMap::new(), registrations: HashMap::new(), incoming, lost, swept: 0 }
    }

    /// Connects a call that we placed.
    pub(crate) fn connect(&mut self, call: CallId, line: mpsc::Sender<ToCall>) {
        if self.lines.len() >= 2 * self.swept + SWEEP {
            self.lines.retain(|_, line| !line.is_closed());
            self.swept = self.lines.len();
        }
        self.lines.insert(call, line);
    }

    /// Connects a registration.
    pub(crate) fn connect_registration(
        &mut self,
        registration: RegistrationId,
        state: watch::Sender<Option<RegistrationState>>,
    ) {
        self.registrations.retain(|_, state| !state.is_closed());
        self.registrations.insert(registration, state);
    }

    /// Tells whom it concerns. A call that nobody takes is refused with 480.
    pub(crate) fn tell(&mut self, event: Event, endpoint: &mut Endpoint, now: Instant) {
        match event {
            Event::Call { call, event: CallEvent::Incoming(incoming) } => {
                let (line, queue) = line();
                let call_id = endpoint.look(call).map(|call| call.call_id().to_owned()).unwrap_or_default();
                self.connect(call, line.clone());
                let new = NewCall { id: call, incoming, call_id, line, queue };
                if self.incoming.try_send(new).is_err() {
                    self.lines.remove(&call);
                    self.lost.send_modify(|lost| lost.calls += 1);
                    // It is gone by itself if it cannot be refused any more.
                    let _ = endpoint.call(call).map(|mut call| call.refuse(now, 480));
                }
            }
            Event::Call { call, event } => {
                let Some(line) = self.lines.get(&call) else { return };
                match line.try_send(ToCall::Event(Box::new(event))) {
                    Ok(()) => {}
                    Err(mpsc::error::TrySendError::Closed(_)) => {
                        self.lines.remove(&call);
                    }
                    Err(mpsc::error::TrySendError::Full(_)) => self.lost.send_modify(|lost| lost.events += 1),
                }
            }
            Event::Registration { registration, state } => {
                if let Some(watcher) = self.registrations.get(&registration) {
                    watcher.send_replace(Some(state));
                }
            }
            Event::Dropped { what, count } => self.lost.send_modify(|lost| {
                lost.input.insert(what, count);
            }),
            _ => {}
        }
    }
}

impl Drop for Switchboard {
    /// The calls learn that nothing follows; their handles keep their lines open otherwise.
    fn drop(&mut self) {
        for line in self.lines.values() {
            // A full line belongs to a call that no longer listens.
            let _ = line.try_send(ToCall::Cut);
        }
    }
}

/// A line for a call and the queue at its end.
pub(crate) fn line() -> (mpsc::Sender<ToCall>, mpsc::Receiver<ToCall>) {
    mpsc::channel(LINE)
}

const LINE: usize = 512;
const SWEEP: usize = 64;
