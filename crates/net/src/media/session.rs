//! A media session: two ports, a task that keeps the pace, and the handle to steer it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::plan::MediaPlan;
use super::ports::{PortPair, PortRange};
use super::source::Source;
use super::stats::MediaStats;
use super::task::{Command, Task};
use super::wav::Recorder;
use crate::tap::Tap;

/// How a media session begins.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MediaOptions {
    /// What is sent as soon as a plan lets it.
    pub source: Source,
    /// Where ports come from.
    pub ports: PortRange,
    /// Who gets to see the packets.
    pub tap: Tap,
    /// The mean time between two RTCP reports (RFC 3550 §6.2 has a minimum of five seconds).
    pub report_interval: Duration,
}

impl Default for MediaOptions {
    fn default() -> Self {
        Self {
            source: Source::default(),
            ports: PortRange::any(),
            tap: Tap::new(),
            report_interval: Duration::from_secs(5),
        }
    }
}

impl MediaOptions {
    /// Sends this.
    #[must_use]
    pub fn source(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    /// Takes ports from this range.
    #[must_use]
    pub fn ports(mut self, ports: PortRange) -> Self {
        self.ports = ports;
        self
    }

    /// Shows packets to this tap.
    #[must_use]
    pub fn tap(mut self, tap: Tap) -> Self {
        self.tap = tap;
        self
    }

    /// Reports this often.
    #[must_use]
    pub fn report_interval(mut self, interval: Duration) -> Self {
        self.report_interval = interval;
        self
    }
}

/// What a media session notices.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum MediaEvent {
    /// RTP comes from this address with this payload type: the first packet, or the first after a change of either.
    Receiving {
        /// The sender.
        from: SocketAddr,
        /// The payload type.
        payload: u8,
    },
    /// A digit came as telephone event.
    Digit {
        /// One of `0` to `9`, `*`, `#`, `A` to `D`.
        digit: char,
        /// How long it was held.
        duration: Duration,
    },
    /// The file that was played is over.
    Played,
    /// The peer's source said goodbye (RFC 3550 §6.6).
    Bye,
    /// The recording stopped because it could not be written.
    RecordingFailed {
        /// The reason.
        reason: String,
    },
}

/// Why digits were not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DialError {
    /// Something else than `0` to `9`, `*`, `#`, `A` to `D`, or too many at once.
    NotDigits,
    /// The peer takes no telephone events, or the stream does not send now.
    NotPossible,
    /// The session is over.
    Stopped,
}

impl std::fmt::Display for DialError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotDigits => "expected at most 256 digits out of 0-9, *, #, A-D",
            Self::NotPossible => "telephone events were not agreed on, or nothing may be sent now",
            Self::Stopped => "the media session is over",
        })
    }
}

impl std::error::Error for DialError {}

/// The audio of one stream of a call. Clones steer the same session; it says goodbye when the last one is dropped.
///
/// ```no_run
/// use midcall::media::{Coding, MediaOptions, MediaPlan, MediaSession, Source};
///
/// # async fn example() -> std::io::Result<()> {
/// let options = MediaOptions::default().source(Source::Tone { hertz: 440 });
/// let media = MediaSession::open([127, 0, 0, 1].into(), options).await?;
/// println!("announce port {}", media.port());
/// media.apply(MediaPlan::both_ways("127.0.0.1:4000".parse().unwrap(), Coding::Pcma)).await;
/// let stats = media.stop().await;
/// println!("{} packets sent", stats.packets_sent());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MediaSession {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    address: IpAddr,
    ports: PortRange,
    /// The RTP ports that are open, the newest last; the task keeps it.
    open: watch::Receiver<Vec<u16>>,
    events: broadcast::Sender<MediaEvent>,
    last: watch::Receiver<MediaStats>,
}

impl MediaSession {
    /// Binds a pair of ports and starts to listen on them; nothing is sent before a plan says so.
    ///
    /// # Errors
    /// No pair of ports is free on this address.
    pub async fn open(address: IpAddr, options: MediaOptions) -> io::Result<Self> {
        let pair = options.ports.open(address).await?;
        let (open_ports, open) = watch::channel(vec![pair.local()?.port()]);
        let (commands, queue) = mpsc::channel(COMMANDS);
        let (stopped, last) = watch::channel(MediaStats::default());
        let events = broadcast::Sender::new(EVENTS);
        let ports = options.ports.clone();
        tokio::spawn(Task::new(pair, options, queue, events.clone(), open_ports)?.run(stopped));
        let shared = Shared { address, ports, open, events, last };
        Ok(Self { commands, shared: Arc::new(shared) })
    }

    /// The RTP port to announce: the newest one.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.shared.open.borrow().last().copied().unwrap_or_default()
    }

    /// Whether this RTP port is one of those that are open.
    #[must_use]
    pub fn has_port(&self, port: u16) -> bool {
        self.shared.open.borrow().contains(&port)
    }

    /// Whether both steer the same session.
    pub(crate) fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// The address the ports are bound to.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.shared.address
    }

    /// Puts a plan in force. The next packet after the return obeys it.
    pub async fn apply(&self, plan: MediaPlan) {
        self.ask(|done| Command::Apply(plan, done)).await;
    }

    /// Opens another pair of ports and listens on it before anybody is told (RFC 3264 §8.3.1). The old pair stays open
    /// until media arrives on the new one; sending moves with the first plan that names the new port.
    ///
    /// # Errors
    /// No pair of ports is free, or the session is over.
    pub async fn open_port(&self) -> io::Result<u16> {
        let pair = self.shared.ports.open(self.shared.address).await?;
        self.add_port(pair).await
    }

    /// As [`open_port`](Self::open_port), on this very port.
    ///
    /// # Errors
    /// The port or the one above is taken, or the session is over.
    pub async fn open_port_at(&self, address: SocketAddr) -> io::Result<u16> {
        let pair = PortPair::bind(address.ip(), Some(address.port())).await?;
        self.add_port(pair).await
    }

    /// Closes the ports that were opened but never used, as when the offer that named them was refused.
    pub async fn forget_new_ports(&self) {
        self.ask(Command::ForgetPorts).await;
    }

    /// Sends something else from the next packet on.
    pub async fn play(&self, source: Source) {
        self.ask(|done| Command::Play(source, done)).await;
    }

    /// Records what is heard, from now on, replacing the file.
    ///
    /// # Errors
    /// The file cannot be created.
    pub async fn record(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let recorder = Recorder::create(path)?;
        self.ask(|done| Command::Record(Some(recorder), done)).await.unwrap_or(Ok(()))
    }

    /// Completes the recording.
    ///
    /// # Errors
    /// The file could not be completed.
    pub async fn stop_recording(&self) -> io::Result<()> {
        self.ask(|done| Command::Record(None, done)).await.unwrap_or(Ok(()))
    }

    /// Queues digits as telephone events (RFC 4733), 100 ms each.
    ///
    /// # Errors
    /// [`DialError`] says which of them is to blame: the digits, the agreement, or the end of the session.
    pub async fn dial(&self, digits: &str) -> Result<(), DialError> {
        let digits = digits.to_owned();
        self.ask(|done| Command::Dial(digits, done)).await.unwrap_or(Err(DialError::Stopped))
    }

    /// What was counted so far; after the end, what was counted until then.
    pub async fn stats(&self) -> MediaStats {
        let stats = self.ask(Command::Stats).await;
        stats.unwrap_or_else(|| self.shared.last.borrow().clone())
    }

    /// Listens to what the session notices from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<MediaEvent> {
        self.shared.events.subscribe()
    }

    /// Says goodbye, closes the ports and completes a recording.
    pub async fn stop(&self) -> MediaStats {
        let stats = self.ask(Command::Stop).await;
        stats.unwrap_or_else(|| self.shared.last.borrow().clone())
    }

    async fn add_port(&self, pair: PortPair) -> io::Result<u16> {
        let port = pair.local()?.port();
        let added = self.ask(|done| Command::AddPort(pair, done)).await;
        added.ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, DialError::Stopped))?;
        Ok(port)
    }

    /// `None` if the session is over.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (done, answer) = oneshot::channel();
        self.commands.send(command(done)).await.ok()?;
        answer.await.ok()
    }
}

const COMMANDS: usize = 32;
const EVENTS: usize = 64;

#[cfg(test)]
mod tests;
