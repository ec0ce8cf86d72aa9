//! What must hold for any two endpoints that change a call at will, over a wire that loses, repeats, delays and
//! reorders.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use midcall_proto::endpoint::{Config, Endpoint, Input, Invite, LocalAddr, Modification, Output};
use midcall_proto::event::{CallEvent, CallId, Event, Ticket};
use midcall_proto::flow::{Flow, Transport};
use midcall_proto::session::{Agreed, Codec, Stream, Wanted};
use midcall_proto::time::Instant;

/// Each byte is something that one of the two does, or that happens to a packet of theirs. Afterwards the wire is
/// perfect for a few minutes, and then both must know the same.
pub(crate) fn check(data: &[u8]) {
    let mut line = Line::new();
    for &byte in data.iter().take(LONGEST) {
        line.happen(byte);
    }
    line.rest();
    line.both_know_the_same();
}

struct Line {
    sides: [Side; 2],
    now: Instant,
    losses: u32,
}

struct Side {
    endpoint: Endpoint,
    call: Option<CallId>,
    up: bool,
    ended: bool,
    /// What this side asked for and has not heard of.
    waiting: BTreeSet<Ticket>,
    agreed: Option<Agreed>,
    /// What it sent and the wire still has.
    wire: VecDeque<(Instant, Bytes)>,
    /// When it wants to be woken.
    wake: Option<Instant>,
    port: u16,
}

impl Line {
    fn new() -> Self {
        let mut line = Self { sides: [Side::new(0), Side::new(1)], now: Instant::ZERO, losses: 0 };
        let invite = Invite::new("sip:b@192.0.2.2", wanted(0));
        let call = line.sides[0].endpoint.invite(line.now, invite).expect("a first call may be placed");
        line.sides[0].call = Some(call);
        line.drain();
        line
    }

    fn happen(&mut self, byte: u8) {
        let (side, what, more) = (usize::from(byte & 1), (byte >> 1) & 15, byte >> 5);
        let now = self.now;
        match what {
            0 | 1 => self.ask(side, |call| call.hold(now).ok()),
            2 | 3 => self.ask(side, |call| call.resume(now).ok()),
            4 => {
                let codecs =
                    if more & 1 == 0 { vec![Codec::pcma()] } else { vec![Codec::pcmu(), Codec::pcma()] };
                self.ask(side, |call| call.modify(now, Modification::Codecs(codecs), None).ok());
            }
            5 => {
                self.sides[side].port = self.sides[side].port.wrapping_add(2).max(1024);
                let (address, port) = (address(side).ip(), self.sides[side].port);
                let moved = Modification::Move { stream: 0, address, port };
                self.ask(side, |call| call.modify(now, moved, None).ok());
            }
            6 => self.ask(side, |call| call.modify(now, Modification::Offerless, None).ok()),
            7 => self.ask(side, |call| call.refresh(now).ok()),
            8 if more == 7 => self.ask(side, |call| {
                let _ = call.hang_up(now);
                None
            }),
            8 | 9 => self.deliver(side),
            10 if self.losses < 4 => {
                self.losses += u32::from(self.sides[side].wire.pop_front().is_some());
            }
            11 => {
                if let Some(packet) = self.sides[side].wire.front().cloned() {
                    self.sides[side].wire.push_back(packet);
                }
            }
            12 if self.sides[side].wire.len() > 1 => self.sides[side].wire.swap(0, 1),
            13 => self.pass(Duration::from_millis(50 * u64::from(more + 1))),
            14 => self.pass(Duration::from_millis(700 * u64::from(more + 1))),
            _ => (0..2).for_each(|side| self.deliver(side)),
        }
        self.drain();
    }

    fn ask(
        &mut self,
        side: usize,
        verb: impl FnOnce(&mut midcall_proto::endpoint::CallMut<'_>) -> Option<Ticket>,
    ) {
        let side = &mut self.sides[side];
        if let Some(mut call) = side.call.and_then(|call| side.endpoint.call(call)) {
            side.waiting.extend(verb(&mut call));
        }
    }

    /// Gives the oldest packet of a side to the other.
    fn deliver(&mut self, side: usize) {
        if let Some((_, bytes)) = self.sides[side].wire.pop_front() {
            let flow = Flow {
                transport: Transport::Udp,
                local: address(1 - side),
                remote: address(side),
                connection: None,
            };
            self.sides[1 - side].endpoint.handle_input(self.now, Input::Message { flow, bytes: &bytes });
            self.drain();
        }
    }

    /// Lets time pass, from one moment when something is due to the next. No packet is on its way for longer than
    /// half a second.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let packets =
                self.sides.iter().filter_map(|side| side.wire.front()).map(|(sent, _)| *sent + DELAY);
            let wakes = self.sides.iter().filter_map(|side| side.wake);
            let due = packets.chain(wakes).min().unwrap_or(end);
            self.now = due.max(self.now).min(end);
            for side in 0..2 {
                while self.sides[side].wire.front().is_some_and(|(sent, _)| *sent + DELAY <= self.now) {
                    self.deliver(side);
                }
                self.sides[side].endpoint.handle_input(self.now, Input::Timeout);
            }
            self.drain();
        }
    }

    /// A perfect wire, for long enough that everything waited for has come or been given up.
    fn rest(&mut self) {
        let end = self.now + REST;
        while self.now < end {
            while self.sides.iter().any(|side| !side.wire.is_empty()) {
                (0..2).for_each(|side| self.deliver(side));
            }
            let next = self.sides.iter().filter_map(|side| side.wake).min().unwrap_or(end);
            self.pass(next.min(end) - self.now);
            if next >= end {
                return;
            }
        }
    }

    fn drain(&mut self) {
        let now = self.now;
        self.sides.iter_mut().enumerate().for_each(|(number, side)| side.drain(now, number));
    }

    fn both_know_the_same(&self) {
        let [a, b] = &self.sides;
        let up = |side: &Side| {
            side.call.and_then(|call| side.endpoint.look(call)).is_some_and(|call| call.is_up())
        };
        assert_eq!(up(a), up(b), "one thinks the call is up, the other does not");
        for side in &self.sides {
            assert!(side.waiting.is_empty() || side.ended, "nobody told what became of {:?}", side.waiting);
            assert!(!side.up || side.ended || up(side), "the call went without a word");
        }
        if !up(a) {
            return;
        }
        let (Some(ours), Some(theirs)) = (&a.agreed, &b.agreed) else { panic!("a call without a session") };
        assert_eq!(ours.streams.len(), theirs.streams.len());
        for (ours, theirs) in ours.streams.iter().zip(&theirs.streams) {
            assert_eq!((&ours.local, &ours.remote), (&theirs.remote, &theirs.local), "addresses differ");
            assert_eq!((ours.sends, ours.receives), (theirs.receives, theirs.sends), "directions differ");
        }
    }
}

impl Side {
    fn new(number: usize) -> Self {
        let mut config = Config::new(["sip:a@192.0.2.1", "sip:b@192.0.2.2"][number]);
        config.local = vec![LocalAddr { transport: Transport::Udp, addr: address(number) }];
        Self {
            endpoint: Endpoint::new(config, number as u64 + 1),
            call: None,
            up: false,
            ended: false,
            waiting: BTreeSet::new(),
            agreed: None,
            wire: VecDeque::new(),
            wake: None,
            port: 4000,
        }
    }

    fn drain(&mut self, now: Instant, number: usize) {
        let mut wakes = 0;
        loop {
            match self.endpoint.poll_output() {
                Output::Timeout(Some(at)) if at <= now => {
                    wakes += 1;
                    assert!(wakes < 100, "it wants to be woken at once, for ever");
                    self.endpoint.handle_input(now, Input::Timeout);
                }
                Output::Timeout(at) => {
                    self.wake = at;
                    return;
                }
                Output::Transmit(sent) => self.wire.push_back((now, sent.bytes)),
                Output::Resolve { query, .. } => {
                    let targets = vec![(Transport::Udp, address(1 - number))];
                    self.endpoint.handle_input(now, Input::Resolved { query, targets });
                }
                Output::Event(Event::Call { call, event }) => self.hear(now, number, call, event),
                Output::Event(_) => {}
            }
        }
    }

    fn hear(&mut self, now: Instant, number: usize, id: CallId, event: CallEvent) {
        match event {
            CallEvent::Incoming(_) => {
                assert!(self.call.is_none(), "one call comes in twice");
                self.call = Some(id);
                if let Some(mut call) = self.endpoint.call(id) {
                    let _ = call.accept(now, Some(wanted(number)));
                }
            }
            CallEvent::Offered { .. } => {
                if let Some(mut call) = self.endpoint.call(id) {
                    let _ = call.answer_offer(now, None);
                }
            }
            CallEvent::Established => self.up = true,
            CallEvent::Session { agreed, .. } => self.agreed = Some(agreed),
            CallEvent::Changed(change) => {
                self.waiting.remove(&change.ticket);
            }
            CallEvent::ChangeFailed { ticket, .. } => {
                self.waiting.remove(&ticket);
            }
            CallEvent::Ended { .. } => {
                assert!(!self.ended, "a call ends twice");
                self.ended = true;
            }
            _ => {}
        }
    }
}

fn wanted(side: usize) -> Wanted {
    let mut wanted = Wanted::new(address(side).ip(), 1);
    wanted.streams.push(Stream::audio(4000, [Codec::pcmu(), Codec::pcma()]));
    wanted
}

fn address(side: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, side as u8 + 1], 5060))
}

const LONGEST: usize = 200;
const DELAY: Duration = Duration::from_millis(500);
const REST: Duration = Duration::from_secs(150);
