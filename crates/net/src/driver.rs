//! The one loop: sockets and time on one side, the sans-IO endpoint on the other.
//!
//! One task owns the endpoint and the sockets. Whoever wants something of the endpoint sends a piece of work to that task;
//! what the endpoint says goes to the [`Switchboard`] on the spot, so that nothing overtakes anything.

mod resolve;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use midcall_proto::endpoint::{Endpoint, Input, LocalAddr, Output};
use midcall_proto::time::Instant;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time;

use crate::switchboard::Switchboard;
use crate::transport::{Arrival, Counters, Listen, TransportStats, Transports};
pub(crate) use resolve::Reach;
use resolve::Resolved;

/// What a piece of work may touch.
pub(crate) struct Desk<'a> {
    /// The core.
    pub(crate) endpoint: &'a mut Endpoint,
    /// Who listens to which call.
    pub(crate) switchboard: &'a mut Switchboard,
    /// The time.
    pub(crate) now: Instant,
}

type Work = Box<dyn FnOnce(&mut Desk<'_>) + Send>;

/// The way to the task that owns the endpoint. Cloning it is cheap; the task ends when the last one is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Driver {
    work: mpsc::Sender<Job>,
    clock: Clock,
    counters: Arc<Counters>,
}

enum Job {
    Do(Work),
    Move(Move),
    Close(oneshot::Sender<()>),
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Do(_) => "Do",
            Self::Move(_) => "Move",
            Self::Close(_) => "Close",
        })
    }
}

/// Listening somewhere else from now on.
struct Move {
    to: Listen,
    /// The address that peers are told, if it is not the one listened on.
    told: Option<SocketAddr>,
    /// Whether the address that peers were told so far is given up.
    lost: bool,
    done: oneshot::Sender<io::Result<SocketAddr>>,
}

/// The time of this driver: microseconds since a little before its start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    epoch: time::Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { epoch: time::Instant::now() }
    }

    pub(crate) fn now(self) -> Instant {
        // An hour in hand: timers that look back never meet the beginning of time.
        Instant::from_micros(u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX)) + HEAD_START
    }

    fn at(self, instant: Instant) -> time::Instant {
        let since = instant.since(Instant::ZERO + HEAD_START);
        // Further away than anybody waits; the sum must not overflow.
        self.epoch + since.min(FAR)
    }
}

impl Driver {
    /// Starts the task.
    pub(crate) fn start(
        endpoint: Endpoint,
        transports: Transports,
        switchboard: Switchboard,
        clock: Clock,
    ) -> Self {
        let (work, jobs) = mpsc::channel(WORK);
        let counters = transports.counters();
        let state = State { endpoint, transports, switchboard, clock, resolving: JoinSet::new(), wake: None };
        tokio::spawn(state.run(jobs));
        Self { work, clock, counters }
    }

    /// Does something with the endpoint; `None` if the user agent is shut down.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Desk<'_>) -> T + Send + 'static,
    ) -> Option<T> {
        let (done, answer) = oneshot::channel();
        let job = Job::Do(Box::new(move |desk| {
            // Whoever asked may have stopped waiting.
            let _ = done.send(work(desk));
        }));
        self.work.send(job).await.ok()?;
        answer.await.ok()
    }

    /// Does something with the endpoint some time soon, without waiting; false if there is too much to do already.
    pub(crate) fn soon(&self, work: impl FnOnce(&mut Desk<'_>) + Send + 'static) -> bool {
        self.work.try_send(Job::Do(Box::new(work))).is_ok()
    }

    /// Listens here too, and lets this be the address of its transport; gives it as peers are told. `None` if the user agent
    /// is shut down.
    pub(crate) async fn move_to(
        &self,
        to: Listen,
        told: Option<SocketAddr>,
        lost: bool,
    ) -> Option<io::Result<SocketAddr>> {
        let (done, answer) = oneshot::channel();
        self.work.send(Job::Move(Move { to, told, lost, done })).await.ok()?;
        answer.await.ok()
    }

    /// Writes out what is queued and closes the sockets.
    pub(crate) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.work.send(Job::Close(done)).await.is_ok() {
            // An error means that it is closed already.
            let _ = closed.await;
        }
    }

    /// Waits until the task is gone.
    pub(crate) async fn ended(&self) {
        self.work.closed().await;
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    pub(crate) fn stats(&self) -> TransportStats {
        self.counters.snapshot()
    }
}

struct State {
    endpoint: Endpoint,
    transports: Transports,
    switchboard: Switchboard,
    clock: Clock,
    resolving: JoinSet<Resolved>,
    wake: Option<Instant>,
}

impl State {
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        loop {
            self.drain();
            let wake = self.wake.map(|at| self.clock.at(at));
            tokio::select! {
                arrival = self.transports.next() => {
                    self.arrived(arrival);
                    // A burst costs one wake-up, but nobody waits longer than for one burst.
                    for _ in 0..BURST {
                        let Some(arrival) = self.transports.try_next() else { break };
                        self.arrived(arrival);
                    }
                }
                job = jobs.recv() => match job {
                    Some(Job::Do(work)) => {
                        let now = self.clock.now();
                        work(&mut Desk { endpoint: &mut self.endpoint, switchboard: &mut self.switchboard, now });
                    }
                    Some(Job::Move(asked)) => self.moved(asked).await,
                    Some(Job::Close(done)) => {
                        self.transports.close().await;
                        // Whoever asked may have stopped waiting.
                        let _ = done.send(());
                        return;
                    }
                    None => {
                        self.transports.close().await;
                        return;
                    }
                },
                Some(Ok(resolved)) = self.resolving.join_next() => {
                    let Resolved { query, targets } = resolved;
                    self.endpoint.handle_input(self.clock.now(), Input::Resolved { query, targets });
                }
                () = sleep_until(wake) => self.endpoint.handle_input(self.clock.now(), Input::Timeout),
            }
        }
    }

    async fn moved(&mut self, asked: Move) {
        let Move { to, told, lost, done } = asked;
        let bound = self.transports.listen(to, told).await;
        if let Ok(addr) = &bound {
            let local = &mut self.endpoint.config_mut().local;
            let here = |known: &&mut LocalAddr| {
                known.transport == to.transport && known.addr.is_ipv4() == addr.is_ipv4()
            };
            match local.iter_mut().find(here) {
                Some(known) => {
                    let before = std::mem::replace(&mut known.addr, *addr);
                    if lost {
                        self.transports.abandon(to.transport, before);
                    }
                }
                None => local.push(LocalAddr { transport: to.transport, addr: *addr }),
            }
        }
        // Whoever asked may have stopped waiting.
        let _ = done.send(bound);
    }

    fn arrived(&mut self, arrival: Arrival) {
        let now = self.clock.now();
        match arrival {
            Arrival::Datagram { flow, length } => {
                let bytes = self.transports.datagram(length);
                // RFC 5626 §4.4.1 has these on streams only, but many clients keep a NAT open with them.
                if bytes.iter().any(|byte| !matches!(byte, b'\r' | b'\n' | 0)) {
                    self.endpoint.handle_input(now, Input::Message { flow, bytes });
                }
            }
            Arrival::Message { flow, bytes } => {
                self.endpoint.handle_input(now, Input::Message { flow, bytes: &bytes });
            }
            Arrival::Failed { transport, remote } => {
                self.endpoint.handle_input(now, Input::TransportError { transport, remote });
            }
            Arrival::Closed { connection } => self.endpoint.handle_input(now, Input::Closed { connection }),
        }
        self.drain();
    }

    /// Sends and tells everything there is to send and tell.
    fn drain(&mut self) {
        loop {
            match self.endpoint.poll_output() {
                Output::Transmit(transmit) => self.transports.send(&transmit.flow, &transmit.bytes),
                Output::Event(event) => {
                    let now = self.clock.now();
                    self.switchboard.tell(event, &mut self.endpoint, now);
                }
                Output::Resolve { query, host, port, transport } => {
                    let reach = self.transports.reach();
                    self.resolving.spawn(resolve::resolve(query, host, port, transport, reach));
                }
                Output::Timeout(wake) => {
                    self.wake = wake;
                    return;
                }
            }
        }
    }
}

async fn sleep_until(wake: Option<time::Instant>) {
    match wake {
        Some(wake) => time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}

const WORK: usize = 1_024;
const BURST: usize = 64;
const HEAD_START: Duration = Duration::from_secs(3_600);
const FAR: Duration = Duration::from_secs(365 * 24 * 3_600);
