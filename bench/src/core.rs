//! The core at work: judging and applying messages, changing calls, holding many of them.
//!
//! No rival has a part that can be run alone for this, so the bars stand for themselves.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use midcall_proto::Msg;
use midcall_proto::dialog::{At, Dialog, Seen, Way};
use midcall_proto::endpoint::{Config, Endpoint, Input, Invite, LocalAddr, Output};
use midcall_proto::event::{CallEvent, CallId, Event};
use midcall_proto::flow::{Flow, Transport};
use midcall_proto::session::{Codec, Stream, Wanted};
use midcall_proto::time::Instant;

/// Two endpoints with calls between them, in virtual time.
pub struct Line {
    sides: [Endpoint; 2],
    calls: Vec<CallId>,
    now: Instant,
    next: usize,
    /// What went over the line, when somebody wants to know: who sent it, when and what.
    record: Option<Vec<(usize, Instant, Bytes)>>,
}

impl Line {
    /// Brings up that many calls and waits until nothing of their setup is left.
    pub fn with_calls(count: usize) -> Result<Self, String> {
        let endpoint = |side: usize| {
            let mut config = Config::new(["sip:alice@192.0.2.1", "sip:bob@192.0.2.2"][side]);
            config.local = vec![LocalAddr { transport: Transport::Udp, addr: address(side) }];
            Endpoint::new(config, side as u64 + 1)
        };
        let mut line = Self {
            sides: [endpoint(0), endpoint(1)],
            calls: Vec::with_capacity(count),
            now: Instant::ZERO,
            next: 0,
            record: None,
        };
        for _ in 0..count {
            let invite = Invite::new("sip:bob@192.0.2.2", wanted(0));
            let call = line.sides[0].invite(line.now, invite).map_err(|refused| format!("{refused:?}"))?;
            line.calls.push(call);
            line.settle();
            line.pass(Duration::from_millis(1));
        }
        for _ in 0..60 {
            line.pass(Duration::from_secs(1));
        }
        let up = line
            .calls
            .iter()
            .filter(|&&call| line.sides[0].look(call).is_some_and(|call| call.is_up()))
            .count();
        if up == count { Ok(line) } else { Err(format!("{up} of {count} calls came up")) }
    }

    /// Holds the next call, or resumes it when it is held: re-INVITE, 200 and ACK.
    pub fn change(&mut self) -> bool {
        let call = self.calls[self.next % self.calls.len()];
        let held = (self.next / self.calls.len()) % 2 == 1;
        self.next += 1;
        let now = self.now;
        let asked = self.sides[0]
            .call(call)
            .is_some_and(|mut call| if held { call.resume(now).is_ok() } else { call.hold(now).is_ok() });
        self.settle();
        self.pass(Duration::from_millis(20));
        asked
    }

    /// A whole call as it goes over the line, held and resumed that often: who sent it (0 or 1), when and what.
    pub fn whole_call(changes: usize) -> Result<Vec<(usize, Instant, Bytes)>, String> {
        let mut line = Self::with_calls(0)?;
        line.record = Some(Vec::new());
        let invite = Invite::new("sip:bob@192.0.2.2", wanted(0));
        let call = line.sides[0].invite(line.now, invite).map_err(|refused| format!("{refused:?}"))?;
        line.calls.push(call);
        line.settle();
        for _ in 0..changes {
            line.pass(Duration::from_secs(10));
            if !line.change() {
                return Err("a change was refused".to_owned());
            }
        }
        line.pass(Duration::from_secs(10));
        let now = line.now;
        line.sides[0].call(call).ok_or("the call is gone")?.hang_up(now).map_err(|why| format!("{why:?}"))?;
        line.settle();
        line.record.take().ok_or_else(|| "nothing was recorded".to_owned())
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        for side in &mut self.sides {
            side.handle_input(self.now, Input::Timeout);
        }
        self.settle();
    }

    /// Carries over what each has to send until neither has anything.
    fn settle(&mut self) {
        let mut busy = true;
        while busy {
            busy = false;
            for side in 0..2 {
                busy |= self.carry(side);
            }
        }
    }

    fn carry(&mut self, side: usize) -> bool {
        let mut busy = false;
        loop {
            match self.sides[side].poll_output() {
                Output::Timeout(_) => return busy,
                Output::Transmit(sent) => {
                    let flow = Flow { local: address(1 - side), remote: address(side), ..sent.flow };
                    if let Some(record) = &mut self.record {
                        record.push((side, self.now, sent.bytes.clone()));
                    }
                    self.sides[1 - side].handle_input(self.now, Input::Message { flow, bytes: &sent.bytes });
                }
                Output::Event(Event::Call { call, event: CallEvent::Incoming(_) }) => {
                    if let Some(mut call) = self.sides[side].call(call) {
                        let _ = call.accept(self.now, Some(wanted(side)));
                    }
                }
                Output::Event(_) => {}
                Output::Resolve { query, .. } => {
                    let targets = vec![(Transport::Udp, address(1 - side))];
                    self.sides[side].handle_input(self.now, Input::Resolved { query, targets });
                }
            }
            busy = true;
        }
    }
}

/// A call that is held and resumed, as messages of the called party's dialog.
pub struct Recording {
    fresh: Dialog,
    messages: Vec<(Way, At, Msg)>,
    dialog: Dialog,
    next: usize,
}

impl Recording {
    /// Records a call with that many changes.
    pub fn of_changes(count: usize) -> Result<Self, String> {
        let mut line = Line::with_calls(0)?;
        line.record = Some(Vec::new());
        let invite = Invite::new("sip:bob@192.0.2.2", wanted(0));
        line.calls.push(line.sides[0].invite(line.now, invite).map_err(|refused| format!("{refused:?}"))?);
        line.settle();
        for _ in 0..count {
            line.pass(Duration::from_secs(60));
            if !line.change() {
                return Err("a change was refused".to_owned());
            }
        }
        let mut messages = Vec::new();
        for (n, (side, time, bytes)) in line.record.take().unwrap_or_default().into_iter().enumerate() {
            let message = Msg::parse(bytes).map_err(|error| error.to_string())?;
            let way = if side == 1 { Way::Sent } else { Way::Received };
            messages.push((way, At { n: n as u32, time }, message));
        }
        let invite = &messages.first().ok_or("nothing was sent")?.2;
        let ok = messages.iter().find(|(_, _, message)| message.status() == Some(200)).ok_or("no 200")?;
        let tag = |address: Result<midcall_wire::NameAddr<'_>, _>| {
            address.ok().and_then(|address| address.tag()).unwrap_or_default().to_owned()
        };
        let mut fresh = Dialog::new(Way::Received, invite, &tag(ok.2.to()), &tag(ok.2.from()));
        let setup =
            messages.iter().position(|(_, _, message)| message.method().as_str() == "ACK").ok_or("no ACK")?;
        for (way, at, message) in messages.drain(..=setup) {
            fresh.apply_message(way, at, &message);
        }
        if messages.len() < 3 * count {
            return Err(format!("{count} changes made only {} messages", messages.len()));
        }
        Ok(Self { dialog: fresh.clone(), fresh, messages, next: 0 })
    }

    /// Judges and applies the next message; says whether it broke nothing.
    pub fn step(&mut self) -> bool {
        if self.next == self.messages.len() {
            self.next = 0;
            self.dialog = self.fresh.clone();
        }
        let (way, at, message) = &self.messages[self.next];
        self.next += 1;
        let seen = Seen::read(*way, *at, message);
        let clean = self.dialog.judge(&seen).is_clean();
        self.dialog.apply(&seen);
        clean
    }

    /// Whether no message of the recording breaks a rule.
    pub fn is_clean(&mut self) -> bool {
        (0..self.messages.len()).all(|_| self.step())
    }
}

fn wanted(side: usize) -> Wanted {
    let mut wanted = Wanted::new(address(side).ip(), 1);
    wanted.streams.push(Stream::audio(4000, [Codec::pcmu(), Codec::pcma(), Codec::telephone_event()]));
    wanted
}

fn address(side: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, side as u8 + 1], 5060))
}
