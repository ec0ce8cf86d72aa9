//! The layer at work, in virtual time.

mod clients;
mod matching;
mod random;
mod servers;

use bytes::Bytes;
use midcall_wire::{Builder, Name};

use super::{Action, ClientId, Layer, Received, ServerId, Timers};
use crate::Msg;
use crate::flow::{Flow, Transport};
use crate::time::{Duration, Instant};

/// A layer, a clock, and all the layer has wanted so far.
struct Bench {
    layer: Layer,
    now: Instant,
    log: Vec<(u64, Action)>,
}

impl Bench {
    fn new() -> Self {
        Self::with(Timers::default())
    }

    fn with(timers: Timers) -> Self {
        Self { layer: Layer::new(timers), now: Instant::from_millis(0), log: Vec::new() }
    }

    fn request(&mut self, flow: Flow, msg: &Msg) -> ClientId {
        let id = self.layer.request(self.now, flow, msg.clone());
        self.drain();
        id
    }

    fn receive(&mut self, flow: Flow, msg: &Msg) -> Received {
        let received = self.layer.receive(self.now, flow, msg.clone());
        self.drain();
        received
    }

    /// Receives a request that must be new.
    fn serve(&mut self, flow: Flow, msg: &Msg) -> (ServerId, Msg) {
        match self.receive(flow, msg) {
            Received::Request { id, msg, .. } => (id, msg),
            other => panic!("expected a new request, got {other:?}"),
        }
    }

    fn respond(&mut self, id: ServerId, request: &Msg, status: u16) -> bool {
        let response = reply(request, status, "ours");
        let taken = self.layer.respond(self.now, id, Bytes::copy_from_slice(response.bytes()), status);
        self.drain();
        taken
    }

    /// Lets the time pass until that many milliseconds since the start.
    fn until(&mut self, millis: u64) {
        let end = Instant::from_millis(millis);
        while let Some(at) = self.layer.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.layer.on_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn drain(&mut self) {
        while let Some(action) = self.layer.poll() {
            self.log.push((self.now.as_micros() / 1_000, action));
        }
    }

    /// When something was sent, in milliseconds; and forgets it.
    fn sends(&mut self) -> Vec<u64> {
        self.sent().into_iter().map(|(at, _)| at).collect()
    }

    /// Start lines of what was sent, with the time; and forgets them.
    fn sent(&mut self) -> Vec<(u64, String)> {
        let transmits = self.log.extract_if(.., |(_, action)| matches!(action, Action::Transmit { .. }));
        transmits.map(|(at, action)| (at, start_line(&action))).collect()
    }

    /// All that was said and is no transmission, with the time; and forgets it.
    fn said(&mut self) -> Vec<(u64, Action)> {
        self.log.extract_if(.., |(_, action)| !matches!(action, Action::Transmit { .. })).collect()
    }

    /// The last message sent.
    fn last(&self) -> (Flow, Msg) {
        let mut sent = self.log.iter().rev().filter_map(|(_, action)| match action {
            Action::Transmit { flow, bytes } => Some((*flow, Msg::parse(bytes.clone()).unwrap())),
            _ => None,
        });
        sent.next().unwrap()
    }
}

fn start_line(action: &Action) -> String {
    let Action::Transmit { bytes, .. } = action else { return String::new() };
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    String::from_utf8_lossy(line).into_owned()
}

fn udp() -> Flow {
    Flow::udp(US.parse().unwrap(), THEM.parse().unwrap())
}

fn tcp() -> Flow {
    Flow { transport: Transport::Tcp, connection: Some(1), ..udp() }
}

/// A request of ours.
fn ours(method: &str, branch: &str) -> Msg {
    build(method, &format!("SIP/2.0/UDP {US};branch={branch}"))
}

/// A request of the peer's.
fn theirs(method: &str, branch: &str) -> Msg {
    build(method, &format!("SIP/2.0/UDP {THEM};branch={branch}"))
}

fn build(method: &str, via: &str) -> Msg {
    let request = Builder::request(method, "sip:bob@192.0.2.2")
        .header(Name::Via, via)
        .header(Name::MaxForwards, 70)
        .header(Name::Route, "<sip:proxy.example.com;lr>")
        .header(Name::From, "<sip:alice@example.com>;tag=alice")
        .header(Name::To, "<sip:bob@example.com>")
        .header(Name::CallId, "call-1")
        .header(Name::CSeq, format_args!("7 {method}"))
        .header(Name::Require, "nothing")
        .header(Name::Timestamp, "54")
        .finish();
    parse(request)
}

fn parse(bytes: Vec<u8>) -> Msg {
    Msg::parse(Bytes::from(bytes)).unwrap()
}

fn reply(request: &Msg, status: u16, tag: &str) -> Msg {
    parse(Builder::reply(request, status, None).to_tag(tag).finish())
}

fn text(msg: &Msg) -> String {
    String::from_utf8_lossy(msg.bytes()).replace('\r', "")
}

fn is_response(received: &Received) -> bool {
    matches!(received, Received::Response { .. })
}

fn is_absorbed(received: &Received) -> bool {
    matches!(received, Received::Absorbed)
}

const US: &str = "192.0.2.1:5060";
const THEM: &str = "192.0.2.2:5060";
const SLOW_RESENDS: [u64; 7] = [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500];
const CAPPED_RESENDS: [u64; 11] =
    [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];

#[test]
fn a_late_wake_up_does_not_burst() {
    let mut bench = Bench::new();
    bench.request(udp(), &ours("INVITE", "z9hG4bK1"));
    bench.now = Instant::from_millis(10_000);
    bench.layer.on_timeout(bench.now);
    bench.drain();
    assert_eq!(bench.sends(), [0, 10_000]);
}

#[test]
fn absurd_timers_do_not_hang() {
    let zero = Timers { t1: Duration::ZERO, t2: Duration::ZERO, t4: Duration::ZERO };
    let mut bench = Bench::with(zero);
    bench.request(udp(), &ours("OPTIONS", "z9hG4bK1"));
    bench.until(1_000);
    assert_eq!(bench.layer.pending(), (0, 0));
    let huge = Timers { t1: Duration::MAX, t2: Duration::MAX, t4: Duration::MAX };
    let mut bench = Bench::with(huge);
    bench.request(udp(), &ours("OPTIONS", "z9hG4bK1"));
    bench.until(1_000);
    assert_eq!(bench.layer.pending(), (1, 0));
}
