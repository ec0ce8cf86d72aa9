//! The task behind a media session: it alone touches the sockets.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use midcall_proto::rng::Rng;
use midcall_wire::rtp::{Packet, looks_like_rtcp};
use tokio::io::ReadBuf;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::g711;
use super::plan::MediaPlan;
use super::ports::PortPair;
use super::receiver::{Heard, Receiver};
use super::reports::{Reporter, read_compound};
use super::sender::Sender;
use super::session::{DialError, MediaEvent, MediaOptions};
use super::source::Source;
use super::stats::MediaStats;
use super::wav::Recorder;
use crate::entropy;
use crate::tap::{Tap, Way};

/// What the handle asks for.
#[derive(Debug)]
pub(super) enum Command {
    Apply(MediaPlan, oneshot::Sender<()>),
    AddPort(PortPair, oneshot::Sender<()>),
    ForgetPorts(oneshot::Sender<()>),
    Play(Source, oneshot::Sender<()>),
    Record(Option<Recorder>, oneshot::Sender<io::Result<()>>),
    Dial(String, oneshot::Sender<Result<(), DialError>>),
    Stats(oneshot::Sender<MediaStats>),
    Stop(oneshot::Sender<MediaStats>),
}

pub(super) struct Task {
    /// Oldest first.
    ports: Vec<Port>,
    /// The port that is sent from.
    current: u16,
    plan: MediaPlan,
    sender: Sender,
    receiver: Receiver,
    reporter: Reporter,
    recorder: Option<Recorder>,
    stats: MediaStats,
    hearing: Option<(SocketAddr, u8)>,
    played: bool,
    commands: mpsc::Receiver<Command>,
    events: broadcast::Sender<MediaEvent>,
    open: watch::Sender<Vec<u16>>,
    tap: Tap,
    next_frame: Instant,
}

struct Port {
    pair: PortPair,
    rtp: SocketAddr,
    rtcp: SocketAddr,
    /// Set once media moved to a newer port.
    closes: Option<Instant>,
}

struct Arrived {
    local: SocketAddr,
    from: SocketAddr,
    length: usize,
    on_rtcp: bool,
}

impl Task {
    pub(super) fn new(
        pair: PortPair,
        options: MediaOptions,
        commands: mpsc::Receiver<Command>,
        events: broadcast::Sender<MediaEvent>,
        open: watch::Sender<Vec<u16>>,
    ) -> io::Result<Self> {
        let now = Instant::now();
        let mut rng = Rng::new(entropy::seed());
        let port = Port::new(pair)?;
        Ok(Self {
            current: port.rtp.port(),
            ports: vec![port],
            plan: MediaPlan::off(),
            sender: Sender::new(options.source, &mut rng, now.into_std()),
            receiver: Receiver::default(),
            reporter: Reporter::new(rng, options.report_interval, now),
            recorder: None,
            stats: MediaStats::default(),
            hearing: None,
            played: false,
            commands,
            events,
            open,
            tap: options.tap,
            next_frame: now,
        })
    }

    /// Runs until it is stopped or nobody steers it any more.
    pub(super) async fn run(mut self, stopped: watch::Sender<MediaStats>) {
        let mut buffer = vec![0; DATAGRAM];
        let asked = loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    None => break None,
                    Some(Command::Stop(done)) => break Some(done),
                    Some(command) => self.obey(command),
                },
                arrived = receive(&self.ports, &mut buffer) => {
                    let bytes = buffer.get(..arrived.length).unwrap_or_default();
                    self.take(&arrived, bytes);
                }
                () = sleep_until(self.next_frame), if self.paced() => self.frame(),
                () = sleep_until(self.reporter.due) => self.report(false),
            }
        };
        self.report(true);
        if let Some(recorder) = self.recorder.take() {
            self.finished(recorder.finish());
        }
        self.sum_up();
        stopped.send_replace(self.stats.clone());
        if let Some(done) = asked {
            answer(done, self.stats);
        }
    }

    /// Whether frames are due at all. On hold nobody is woken fifty times a second; the time that passed is made up later.
    fn paced(&self) -> bool {
        let sends = self.plan.sends && self.plan.send.is_some() && self.plan.rtp_target().is_some();
        sends || self.ports.iter().any(|port| port.closes.is_some())
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Apply(plan, done) => {
                self.apply(plan);
                answer(done, ());
            }
            Command::AddPort(pair, done) => {
                if let Ok(port) = Port::new(pair) {
                    if self.ports.len() >= PORTS {
                        let oldest = self.ports.iter().position(|port| port.rtp.port() != self.current);
                        oldest.map(|oldest| self.ports.remove(oldest));
                    }
                    self.ports.push(port);
                    self.tell_ports();
                    answer(done, ());
                }
            }
            Command::ForgetPorts(done) => {
                let current = self.ports.iter().position(|port| port.rtp.port() == self.current);
                self.ports.truncate(current.map_or(usize::MAX, |current| current + 1));
                self.tell_ports();
                answer(done, ());
            }
            Command::Play(source, done) => {
                self.sender.play(source);
                self.played = false;
                answer(done, ());
            }
            Command::Record(recorder, done) => {
                let before = std::mem::replace(&mut self.recorder, recorder);
                answer(done, before.map_or(Ok(()), Recorder::finish));
            }
            Command::Dial(digits, done) => {
                let possible = self.plan.sends && self.plan.send_events.is_some();
                answer(
                    done,
                    match possible {
                        true => self.sender.dial(&digits).ok_or(DialError::NotDigits),
                        false => Err(DialError::NotPossible),
                    },
                );
            }
            Command::Stats(done) => {
                self.sum_up();
                answer(done, self.stats.clone());
            }
            Command::Stop(_) => {}
        }
    }

    fn apply(&mut self, plan: MediaPlan) {
        if let Some(port) = plan.local_port
            && self.ports.iter().any(|open| open.rtp.port() == port)
        {
            self.current = port;
        }
        if !plan.sends || plan.send_events.is_none() {
            self.sender.forget_digits();
        }
        if self.plan.rtcp_target() != plan.rtcp_target() {
            self.reporter.soon(Instant::now());
        }
        self.plan = plan;
    }

    /// Sends what is due, then sets the next time. After a stall the lost frames are skipped, not sent in a burst.
    fn frame(&mut self) {
        let now = Instant::now();
        let behind = now.saturating_duration_since(self.next_frame);
        if behind > STALL {
            let frames = u32::try_from(behind.as_millis() / FRAME_TIME.as_millis()).unwrap_or(u32::MAX);
            self.sender.skip(frames);
            self.next_frame += FRAME_TIME * frames;
        }
        if let Some(packet) = self.sender.next(&self.plan, now.into_std())
            && let Some(target) = self.plan.rtp_target()
            && let Some(port) = self.ports.iter().find(|port| port.rtp.port() == self.current)
        {
            match port.pair.rtp.try_send_to(&packet.bytes, target) {
                Ok(_) => {
                    self.tap.media(Way::Sent, port.rtp, target, &packet.bytes);
                    let (number, length) = (packet.payload_type, packet.payload_length);
                    self.stats.count_sent(port.rtp, target, number, length, now.into_std());
                }
                Err(_) => self.stats.send_errors += 1,
            }
        }
        if self.sender.player().finished() && !std::mem::replace(&mut self.played, true) {
            self.tell(MediaEvent::Played);
        }
        if self.ports.iter().any(|port| port.closes.is_some_and(|closes| closes <= now)) {
            self.ports.retain(|port| port.closes.is_none_or(|closes| closes > now));
            self.tell_ports();
        }
        self.next_frame += FRAME_TIME;
    }

    fn take(&mut self, arrived: &Arrived, bytes: &[u8]) {
        self.tap.media(Way::Received, arrived.local, arrived.from, bytes);
        if arrived.on_rtcp || looks_like_rtcp(bytes) {
            self.take_rtcp(bytes);
            return;
        }
        let Ok(packet) = Packet::parse(bytes) else {
            self.stats.malformed += 1;
            return;
        };
        let now = Instant::now();
        let (number, length) = (packet.payload_type, packet.payload.len());
        self.stats.count_received(arrived.local, arrived.from, number, length, now.into_std());
        if arrived.local.port() == self.current {
            self.moved(now);
        }
        let heard = self.receiver.packet(&packet, &self.plan, now.into_std());
        if self.hearing != Some((arrived.from, number)) && self.plan.receive_events != Some(number) {
            self.hearing = Some((arrived.from, number));
            self.tell(MediaEvent::Receiving { from: arrived.from, payload: number });
        }
        if !self.plan.receives {
            self.stats.unwanted += 1;
        }
        match heard {
            Heard::Audio { gap } if self.plan.receives => self.play_out(gap),
            Heard::Audio { .. } | Heard::Nothing => {}
            Heard::UnknownPayload => self.stats.unknown_payload += 1,
            Heard::Digit(digit, duration) => {
                if self.stats.digits_received.len() < DIGITS {
                    self.stats.digits_received.push(digit);
                }
                self.tell(MediaEvent::Digit { digit, duration });
            }
        }
    }

    /// Media arrived where it should: older ports stay open only for stragglers.
    fn moved(&mut self, now: Instant) {
        let current = self.current;
        for port in self.ports.iter_mut().take_while(|port| port.rtp.port() != current) {
            port.closes.get_or_insert(now + STRAGGLERS);
        }
    }

    fn play_out(&mut self, gap: u32) {
        let Self { receiver, sender, recorder, .. } = self;
        sender.player().heard(&receiver.samples);
        if let Some(file) = recorder {
            let silence = vec![0; (gap as usize).min(GAP)];
            let written = file.write(&silence).and_then(|()| file.write(&receiver.samples));
            if written.is_err() {
                self.recorder = None;
                self.finished(written);
            }
        }
    }

    fn take_rtcp(&mut self, bytes: &[u8]) {
        let now = Instant::now();
        let Some(news) = read_compound(bytes, self.sender.ssrc) else {
            self.stats.malformed += 1;
            return;
        };
        self.stats.rtcp_received += 1;
        if let Some((ssrc, ntp)) = news.sender_report {
            self.receiver.sender_report(ssrc, ntp, now.into_std());
        }
        if let Some(report) = news.about_us {
            self.stats.remote_report = Some(report);
        }
        if news.bye {
            self.stats.byes += 1;
            self.tell(MediaEvent::Bye);
        }
    }

    fn report(&mut self, bye: bool) {
        let now = Instant::now();
        let Some(target) = self.plan.rtcp_target() else {
            self.reporter.later(now);
            return;
        };
        let bytes = self.reporter.compound(&mut self.sender, &mut self.receiver, now, bye);
        let shared = Some(target) == self.plan.rtp_target();
        if let Some(port) = self.ports.iter().find(|port| port.rtp.port() == self.current) {
            let (socket, local) =
                if shared { (&port.pair.rtp, port.rtp) } else { (&port.pair.rtcp, port.rtcp) };
            match socket.try_send_to(&bytes, target) {
                Ok(_) => {
                    self.tap.media(Way::Sent, local, target, &bytes);
                    self.stats.rtcp_sent += 1;
                }
                Err(_) => self.stats.send_errors += 1,
            }
        }
        self.reporter.later(now);
    }

    fn sum_up(&mut self) {
        self.stats.lost = self.receiver.lost();
        self.stats.jitter = self.receiver.jitter();
        self.stats.sources = self.receiver.sources;
        self.stats.digits_sent = self.sender.digits_sent;
    }

    fn finished(&self, written: io::Result<()>) {
        if let Err(error) = written {
            self.tell(MediaEvent::RecordingFailed { reason: error.to_string() });
        }
    }

    fn tell_ports(&self) {
        self.open.send_replace(self.ports.iter().map(|port| port.rtp.port()).collect());
    }

    fn tell(&self, event: MediaEvent) {
        // An error only says that nobody listens.
        let _ = self.events.send(event);
    }
}

impl Port {
    fn new(pair: PortPair) -> io::Result<Self> {
        Ok(Self { rtp: pair.rtp.local_addr()?, rtcp: pair.rtcp.local_addr()?, pair, closes: None })
    }
}

/// The next datagram on any of the ports.
async fn receive(ports: &[Port], buffer: &mut [u8]) -> Arrived {
    poll_fn(|cx| {
        for port in ports {
            for (socket, local, on_rtcp) in
                [(&port.pair.rtp, port.rtp, false), (&port.pair.rtcp, port.rtcp, true)]
            {
                let mut read = ReadBuf::new(buffer);
                match socket.poll_recv_from(cx, &mut read) {
                    Poll::Ready(Ok(from)) => {
                        return Poll::Ready(Arrived { local, from, length: read.filled().len(), on_rtcp });
                    }
                    // The error is taken off the socket by being told; look again.
                    Poll::Ready(Err(_)) => cx.waker().wake_by_ref(),
                    Poll::Pending => {}
                }
            }
        }
        Poll::Pending
    })
    .await
}

fn answer<T>(done: oneshot::Sender<T>, value: T) {
    // Whoever asked may have stopped waiting.
    let _ = done.send(value);
}

const FRAME_TIME: Duration = Duration::from_millis(20);
/// Further behind than this the machine was busy elsewhere.
const STALL: Duration = Duration::from_millis(200);
const STRAGGLERS: Duration = Duration::from_secs(1);
const DATAGRAM: usize = 4_096;
const PORTS: usize = 4;
const DIGITS: usize = 1_024;
/// The longest silence put into a recording for packets that did not come.
const GAP: usize = 60 * g711::RATE as usize;
