//! A request we sent.

use bytes::Bytes;
use midcall_wire::{Builder, Method, Name};

use super::machine::{
    InviteClient, InviteClientEvent as Invite, RequestClient, RequestClientEvent as Request,
};
use super::{Action, ClientId, Owner, Reach, Resend, Timer, shared};
use crate::Msg;
use crate::flow::{Flow, Transport};
use crate::time::{Duration, Instant};

/// What is known about a request we sent.
#[derive(Clone, Debug)]
pub struct ClientInfo {
    /// Its method.
    pub method: Method,
    /// Where it went. Resends, its CANCEL and the ACK of its failure go there too (RFC 3263 §4.4).
    pub flow: Flow,
    /// The request.
    pub msg: Msg,
    /// Whether any response has come: before that no CANCEL may be sent (RFC 3261 §9.1).
    pub heard: bool,
    /// Whether a final response has come. An accepted INVITE counts as finished too, although its transaction
    /// lingers for 64*T1 (RFC 6026 §7.2).
    pub finished: bool,
}

/// What becomes of a response that came in.
pub(super) enum Verdict {
    /// It goes up.
    Up,
    /// It came again.
    Repeated,
    /// The machine has no edge for it.
    Unexpected,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) info: ClientInfo,
    pub(super) key: Box<[u8]>,
    machine: Machine,
    bytes: Bytes,
    /// The ACK of the failure that was received.
    ack: Option<Bytes>,
    resend: Option<Resend>,
    end: Option<Instant>,
    /// The request over another way, for when this one cannot be had at all.
    instead: Option<Box<(Flow, Msg)>>,
}

#[derive(Clone, Copy, Debug)]
enum Machine {
    Invite(InviteClient),
    Request(RequestClient),
}

impl Client {
    pub(super) fn new(flow: Flow, msg: Msg, key: Box<[u8]>, instead: Option<Box<(Flow, Msg)>>) -> Self {
        let method = msg.method();
        let machine = match method {
            Method::Invite => Machine::Invite(InviteClient::Calling),
            _ => Machine::Request(RequestClient::Trying),
        };
        let bytes = shared(&msg);
        let info = ClientInfo { method, flow, msg, heard: false, finished: false };
        Self { info, key, machine, bytes, ack: None, resend: None, end: None, instead }
    }

    /// Sends the request for the first time: timers A and B, or E and F.
    pub(super) fn start(&mut self, id: ClientId, reach: &mut Reach<'_>) {
        reach.transmit(self.info.flow, self.bytes.clone());
        if !self.info.flow.transport.reliable() {
            self.resend_at(id, reach, Resend { at: reach.now + reach.timers.t1, interval: reach.timers.t1 });
        }
        self.end_in(id, reach, reach.timers.give_up());
    }

    pub(super) fn receive(&mut self, id: ClientId, status: u16, msg: &Msg, reach: &mut Reach<'_>) -> Verdict {
        match self.machine {
            Machine::Invite(state) => self.invite_response(state, id, status, msg, reach),
            Machine::Request(state) => {
                let event = if status < 200 { Request::provisional } else { Request::last };
                let Some(next) = state.next(event) else { return Verdict::Repeated };
                self.machine = Machine::Request(next);
                self.info.heard = true;
                if event == Request::last {
                    self.info.finished = true;
                    self.resend = None;
                    self.end_in(id, reach, reach.unless_reliable(&self.info.flow, reach.timers.t4));
                }
                Verdict::Up
            }
        }
    }

    fn invite_response(
        &mut self,
        state: InviteClient,
        id: ClientId,
        status: u16,
        msg: &Msg,
        reach: &mut Reach<'_>,
    ) -> Verdict {
        let event = match status {
            ..200 => Invite::provisional,
            200..300 => Invite::success,
            300.. => Invite::failure,
        };
        let Some(next) = state.next(event) else {
            let late = event == Invite::provisional;
            return if late { Verdict::Repeated } else { Verdict::Unexpected };
        };
        self.machine = Machine::Invite(next);
        self.info.heard = true;
        match (state, next) {
            (InviteClient::Calling, InviteClient::Proceeding) => {
                self.end = None;
                self.resend = None;
                if behind_nat(&self.info.flow, &self.info.msg, msg) {
                    self.resend_at(id, reach, Resend { at: reach.now + BINDING, interval: BINDING });
                }
            }
            (InviteClient::Calling | InviteClient::Proceeding, InviteClient::Accepted) => {
                self.info.finished = true;
                self.resend = None;
                self.end_in(id, reach, reach.timers.give_up());
            }
            (InviteClient::Calling | InviteClient::Proceeding, InviteClient::Completed) => {
                self.info.finished = true;
                self.resend = None;
                let ack = Bytes::from(ack_of_failure(&self.info.msg, msg));
                reach.transmit(self.info.flow, ack.clone());
                self.ack = Some(ack);
                self.end_in(id, reach, reach.unless_reliable(&self.info.flow, reach.timers.failure_kept()));
            }
            (InviteClient::Completed, _) => {
                if let Some(ack) = &self.ack {
                    reach.transmit_again(self.info.flow, ack.clone());
                }
                return Verdict::Repeated;
            }
            _ => {}
        }
        Verdict::Up
    }

    /// A deadline came: whether the transaction has ended.
    pub(super) fn timer(&mut self, id: ClientId, timer: Timer, reach: &mut Reach<'_>) -> bool {
        match timer {
            Timer::Resend => {
                self.send_again(id, reach);
                false
            }
            Timer::End => self.ended(id, reach),
            Timer::Trying => false,
        }
    }

    fn send_again(&mut self, id: ClientId, reach: &mut Reach<'_>) {
        let Some(resend) = self.resend else { return };
        let doubled = resend.interval.saturating_mul(2);
        let (allowed, interval) = match self.machine {
            Machine::Invite(InviteClient::Proceeding) => (true, BINDING),
            Machine::Invite(state) => (state.next(Invite::timer_a).is_some(), doubled),
            Machine::Request(RequestClient::Trying) => (true, doubled.min(reach.timers.t2)),
            Machine::Request(state) => (state.next(Request::timer_e).is_some(), reach.timers.t2),
        };
        if allowed {
            reach.transmit_again(self.info.flow, self.bytes.clone());
            self.resend_at(id, reach, resend.next(reach.now, interval));
        }
    }

    fn ended(&mut self, id: ClientId, reach: &mut Reach<'_>) -> bool {
        let accepted = matches!(self.machine, Machine::Invite(InviteClient::Accepted));
        let over = match &mut self.machine {
            Machine::Invite(state) => {
                let event = match state {
                    InviteClient::Calling => Invite::timer_b,
                    InviteClient::Proceeding => Invite::cancel_unheard,
                    InviteClient::Completed => Invite::timer_d,
                    InviteClient::Accepted | InviteClient::Terminated => Invite::timer_m,
                };
                *state = state.next(event).unwrap_or(InviteClient::Terminated);
                *state == InviteClient::Terminated
            }
            Machine::Request(state) => {
                let waits = matches!(state, RequestClient::Trying | RequestClient::Proceeding);
                let event = if waits { Request::timer_f } else { Request::timer_k };
                *state = state.next(event).unwrap_or(RequestClient::Terminated);
                *state == RequestClient::Terminated
            }
        };
        if over && accepted {
            reach.actions.push_back(Action::ClientGone(id));
        } else if over && !self.info.finished {
            reach.actions.push_back(Action::ClientTimeout(id));
        }
        over
    }

    /// Takes the other way, if there is one and nobody can have got the request yet: it has to be started again.
    pub(super) fn turns(&mut self) -> bool {
        if self.info.heard {
            return false;
        }
        let Some(other) = self.instead.take() else { return false };
        (self.info.flow, self.info.msg) = *other;
        self.bytes = shared(&self.info.msg);
        true
    }

    /// The transport could not deliver: whether the transaction has ended.
    ///
    /// An INVITE that rings stays (figure 5): its answer may come another way.
    pub(super) fn transport_error(&mut self, id: ClientId, reach: &mut Reach<'_>) -> bool {
        let over = match &mut self.machine {
            Machine::Invite(state) => {
                let next = state.next(Invite::transport_error);
                *state = next.unwrap_or(*state);
                next.is_some()
            }
            Machine::Request(state) => {
                let next = state.next(Request::transport_error);
                *state = next.unwrap_or(*state);
                next.is_some()
            }
        };
        if over && !self.info.finished {
            reach.actions.push_back(Action::ClientTransportError(id));
        }
        over
    }

    /// RFC 3261 §9.1: a CANCEL was sent; wait no longer than 64*T1 for the final response.
    pub(super) fn cancelled(&mut self, id: ClientId, reach: &mut Reach<'_>) {
        if matches!(self.machine, Machine::Invite(InviteClient::Proceeding)) && self.end.is_none() {
            self.end_in(id, reach, reach.timers.give_up());
        }
    }

    /// Whether a deadline that was set still stands.
    pub(super) fn stands(&self, timer: Timer, at: Instant) -> bool {
        match timer {
            Timer::Resend => self.resend.is_some_and(|resend| resend.at == at),
            Timer::End => self.end == Some(at),
            Timer::Trying => false,
        }
    }

    fn resend_at(&mut self, id: ClientId, reach: &mut Reach<'_>, resend: Resend) {
        self.resend = Some(resend);
        reach.deadlines.set(resend.at, (Owner::Client(id.0), Timer::Resend));
    }

    fn end_in(&mut self, id: ClientId, reach: &mut Reach<'_>, wait: Duration) {
        self.end = reach.set(Owner::Client(id.0), Timer::End, reach.now + wait);
    }
}

/// The ACK of a failed INVITE: RFC 3261 §17.1.1.3.
///
/// It takes the INVITE's way: same Request-URI, same top Via, same Route; and credentials, which are never asked
/// for an ACK (§22.1). Nothing that would ask for an extension goes in (§8.2.2.3).
fn ack_of_failure(invite: &Msg, response: &Msg) -> Vec<u8> {
    let via = invite.values(Name::Via).next().unwrap_or_default();
    let number = invite.cseq().map(|cseq| cseq.number).unwrap_or_default();
    Builder::request("ACK", invite.request_uri().unwrap_or_default())
        .header(Name::Via, via)
        .header(Name::MaxForwards, MAX_FORWARDS)
        .lines_of(invite, Name::Route)
        .lines_of(invite, Name::From)
        .lines_of(response, Name::To)
        .lines_of(invite, Name::CallId)
        .header(Name::CSeq, format_args!("{number} ACK"))
        .lines_of(invite, Name::Authorization)
        .lines_of(invite, Name::ProxyAuthorization)
        .finish()
}

/// Whether the response shows that a NAT stands between us and the server, and we asked to be told (RFC 3581 §3).
fn behind_nat(flow: &Flow, request: &Msg, response: &Msg) -> bool {
    let (Ok(sent), Ok(seen)) = (request.top_via(), response.top_via()) else { return false };
    if flow.transport != Transport::Udp || sent.rport().is_none() {
        return false;
    }
    let port = sent.port.unwrap_or(flow.transport.default_port());
    let moved_port = seen.rport().flatten().is_some_and(|rport| rport != port);
    let moved_host = sent.ip().is_some() && seen.received_ip().is_some_and(|ip| sent.ip() != Some(ip));
    moved_port || moved_host
}

/// RFC 3581 §3: how often an INVITE that rings is sent again to keep a NAT's binding.
const BINDING: Duration = Duration::from_secs(20);

/// RFC 3261 §8.1.1.6.
const MAX_FORWARDS: u8 = 70;
