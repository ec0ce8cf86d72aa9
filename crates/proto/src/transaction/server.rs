//! A request we received.

use bytes::Bytes;
use midcall_wire::{Builder, Method, Name};

use super::machine::{
    InviteServer, InviteServerEvent as Invite, RequestServer, RequestServerEvent as Request,
};
use super::{Action, Owner, Reach, Resend, ServerId, Timer, shared};
use crate::Msg;
use crate::flow::Flow;
use crate::time::{Duration, Instant};

/// What becomes of a request that found its transaction.
pub(super) enum Verdict {
    /// Nothing: it came again, or the ACK was for the transaction.
    Absorbed,
    /// The ACK of a 2xx: it goes up.
    Up,
    /// The machine has no edge for it.
    Unexpected,
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) key: Box<[u8]>,
    /// What copies of the request by other ways would have in common with it.
    pub(super) merge: Option<Box<[u8]>>,
    machine: Machine,
    /// Where responses go.
    reply: Flow,
    /// Where they go once the connection is closed (RFC 3261 §18.2.2).
    fallback: Flow,
    /// The request, as long as a 100 may have to be made from it.
    request: Option<Bytes>,
    /// The last response.
    response: Option<Bytes>,
    /// Whether that was a failure.
    failed: bool,
    trying: Option<Instant>,
    resend: Option<Resend>,
    end: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum Machine {
    Invite(InviteServer),
    Request(RequestServer),
}

impl Server {
    pub(super) fn new(
        msg: &Msg,
        key: Box<[u8]>,
        merge: Option<Box<[u8]>>,
        (reply, fallback): (Flow, Flow),
    ) -> Self {
        let machine = match msg.method() {
            Method::Invite => Machine::Invite(InviteServer::Proceeding),
            _ => Machine::Request(RequestServer::Trying),
        };
        let request = Some(shared(msg));
        let (response, trying, resend, end) = (None, None, None, None);
        let failed = false;
        Self { key, merge, machine, reply, fallback, request, response, failed, trying, resend, end }
    }

    /// Gives the user of the layer its time until a 100 is due.
    pub(super) fn start(&mut self, id: ServerId, reach: &mut Reach<'_>) {
        let wait = match self.machine {
            Machine::Invite(_) => PATIENCE,
            // RFC 4320 §4.2: an answer behind the client's timer F helps nobody.
            Machine::Request(_) => {
                self.end_in(id, reach, reach.timers.give_up());
                reach.timers.until_t2()
            }
        };
        self.trying = reach.set(Owner::Server(id.0), Timer::Trying, reach.now + wait);
    }

    /// The request came again.
    pub(super) fn repeated(&mut self, reach: &mut Reach<'_>) -> Verdict {
        let answers = match self.machine {
            Machine::Invite(state) => match state.next(Invite::invite) {
                Some(next) => next != InviteServer::Accepted,
                None => return Verdict::Absorbed,
            },
            Machine::Request(state) => match state.next(Request::request) {
                Some(next) => next != RequestServer::Trying,
                None => return Verdict::Unexpected,
            },
        };
        if let (true, Some(response)) = (answers, &self.response) {
            reach.transmit_again(self.reply, response.clone());
        }
        Verdict::Absorbed
    }

    /// An ACK found the INVITE.
    pub(super) fn acknowledged(&mut self, id: ServerId, reach: &mut Reach<'_>) -> Verdict {
        let Machine::Invite(state) = self.machine else { return Verdict::Unexpected };
        let Some(next) = state.next(Invite::ack) else { return Verdict::Unexpected };
        self.machine = Machine::Invite(next);
        match (state, next) {
            (_, InviteServer::Accepted) => Verdict::Up,
            (InviteServer::Completed, _) => {
                self.resend = None;
                self.response = None;
                self.end_in(id, reach, reach.unless_reliable(&self.reply, reach.timers.t4));
                Verdict::Absorbed
            }
            _ => Verdict::Absorbed,
        }
    }

    /// The user of the layer answers: whether the response goes out.
    pub(super) fn respond(
        &mut self,
        id: ServerId,
        response: Bytes,
        status: u16,
        reach: &mut Reach<'_>,
    ) -> bool {
        let taken = match self.machine {
            Machine::Invite(state) => self.respond_to_invite(state, id, status, reach),
            Machine::Request(state) => self.respond_to_request(state, id, status, reach),
        };
        if taken {
            self.trying = None;
            self.request = None;
            self.failed = status >= 300;
            reach.transmit(self.reply, response.clone());
            // The user of the layer resends a 2xx to an INVITE itself.
            let accepted = matches!(self.machine, Machine::Invite(InviteServer::Accepted));
            self.response = (!accepted).then_some(response);
        }
        taken
    }

    fn respond_to_invite(
        &mut self,
        state: InviteServer,
        id: ServerId,
        status: u16,
        reach: &mut Reach<'_>,
    ) -> bool {
        let event = match status {
            ..200 => Invite::provisional,
            200..300 => Invite::success,
            300.. => Invite::failure,
        };
        let Some(next) = state.next(event) else { return false };
        self.machine = Machine::Invite(next);
        match (state, next) {
            (InviteServer::Proceeding, InviteServer::Accepted) => {
                self.end_in(id, reach, reach.timers.give_up());
            }
            (InviteServer::Proceeding, InviteServer::Completed) => {
                self.end_in(id, reach, reach.timers.give_up());
                if !self.reply.transport.reliable() {
                    let interval = reach.timers.t1;
                    self.resend_at(id, reach, Resend { at: reach.now + interval, interval });
                }
            }
            _ => {}
        }
        true
    }

    /// RFC 4320 §4: a 100 at most, on datagrams none before its time, and never 408.
    fn respond_to_request(
        &mut self,
        state: RequestServer,
        id: ServerId,
        status: u16,
        reach: &mut Reach<'_>,
    ) -> bool {
        let early = self.trying.is_some_and(|due| reach.now < due) && !self.reply.transport.reliable();
        if status == 408 || (101..200).contains(&status) || (status == 100 && early) {
            return false;
        }
        let event = if status < 200 { Request::provisional } else { Request::last };
        let Some(next) = state.next(event) else { return false };
        self.machine = Machine::Request(next);
        if event == Request::last {
            self.end_in(id, reach, reach.unless_reliable(&self.reply, reach.timers.give_up()));
        }
        true
    }

    /// A deadline came: whether the transaction has ended.
    pub(super) fn timer(&mut self, id: ServerId, timer: Timer, reach: &mut Reach<'_>) -> bool {
        match timer {
            Timer::Trying => {
                self.say_trying(id, reach);
                false
            }
            Timer::Resend => {
                self.send_again(id, reach);
                false
            }
            Timer::End => self.ended(id, reach),
        }
    }

    fn say_trying(&mut self, id: ServerId, reach: &mut Reach<'_>) {
        let waited = match self.machine {
            Machine::Invite(_) => PATIENCE,
            Machine::Request(_) => reach.timers.until_t2(),
        };
        let request = self.request.take().and_then(|bytes| Msg::parse(bytes).ok());
        self.trying = None;
        if let Some(request) = request {
            self.respond(id, Bytes::from(trying(&request, waited)), 100, reach);
        }
    }

    fn send_again(&mut self, id: ServerId, reach: &mut Reach<'_>) {
        let (Some(resend), Some(response)) = (self.resend, &self.response) else { return };
        reach.transmit_again(self.reply, response.clone());
        let interval = resend.interval.saturating_mul(2).min(reach.timers.t2);
        self.resend_at(id, reach, resend.next(reach.now, interval));
    }

    fn ended(&mut self, id: ServerId, reach: &mut Reach<'_>) -> bool {
        let over = match &mut self.machine {
            Machine::Invite(state) => {
                let event = match state {
                    InviteServer::Proceeding | InviteServer::Completed => Invite::timer_h,
                    InviteServer::Confirmed => Invite::timer_i,
                    InviteServer::Accepted | InviteServer::Terminated => Invite::timer_l,
                };
                if event == Invite::timer_h {
                    reach.actions.push_back(Action::ServerTimeout(id));
                }
                *state = state.next(event).unwrap_or(InviteServer::Terminated);
                *state == InviteServer::Terminated
            }
            Machine::Request(state) => {
                let waits = matches!(state, RequestServer::Trying | RequestServer::Proceeding);
                let event = if waits { Request::too_late } else { Request::timer_j };
                *state = state.next(event).unwrap_or(RequestServer::Terminated);
                *state == RequestServer::Terminated
            }
        };
        if over {
            reach.actions.push_back(Action::ServerGone(id));
        }
        over
    }

    /// The connection the request came by is closed: responses go to where its sender listens.
    pub(super) fn connection_closed(&mut self, connection: u64) {
        if self.reply.connection == Some(connection) {
            self.reply = self.fallback;
        }
    }

    /// Whether a copy of the request that comes by another way would be one too many.
    ///
    /// After a failure it is welcome: some clients try the same request again.
    pub(super) fn ongoing(&self) -> bool {
        !self.failed
    }

    /// Whether the last response has this To tag: what tells an ACK of RFC 2543 from a stranger's.
    pub(super) fn answered_with(&self, to_tag: &str) -> bool {
        let Some(response) = &self.response else { return true };
        let Ok(response) = Msg::parse(response.clone()) else { return false };
        response.to().is_ok_and(|to| to.tag().unwrap_or_default() == to_tag)
    }

    /// Whether a deadline that was set still stands.
    pub(super) fn stands(&self, timer: Timer, at: Instant) -> bool {
        match timer {
            Timer::Resend => self.resend.is_some_and(|resend| resend.at == at),
            Timer::End => self.end == Some(at),
            Timer::Trying => self.trying == Some(at),
        }
    }

    fn resend_at(&mut self, id: ServerId, reach: &mut Reach<'_>, resend: Resend) {
        self.resend = Some(resend);
        reach.deadlines.set(resend.at, (Owner::Server(id.0), Timer::Resend));
    }

    fn end_in(&mut self, id: ServerId, reach: &mut Reach<'_>, wait: Duration) {
        self.end = reach.set(Owner::Server(id.0), Timer::End, reach.now + wait);
    }
}

/// The 100 to a request: RFC 3261 §8.2.6.1. Its To is that of the request, with no tag of ours.
fn trying(request: &Msg, waited: Duration) -> Vec<u8> {
    let reply = Builder::reply(request, 100, None);
    match request.header(Name::Timestamp).and_then(|value| value.split_whitespace().next()) {
        Some(sent) => reply.header(Name::Timestamp, format_args!("{sent} {:.1}", waited.as_secs_f64())),
        None => reply,
    }
    .finish()
}

/// RFC 3261 §17.2.1: how long an INVITE may go without any response.
const PATIENCE: Duration = Duration::from_millis(200);
