//! How our requests get there: over TCP what is too long for UDP, over UDP again where TCP is refused (RFC 3261 §18.1.1),
//! and on to the next address of a name whose first one does not do (RFC 3263 §4.3).

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use midcall_wire::{Edit, Name, Uri};

use super::Endpoint;
use super::call::{Call, Cancel, Leg};
use super::core::{Core, Hop, Purpose, User};
use super::write::next_hop;
use crate::Msg;
use crate::flow::{Flow, Transport};
use crate::time::Instant;
use crate::transaction::ClientId;

/// What is known about ways that do not work, and where requests go instead.
#[derive(Default)]
pub(super) struct Delivery {
    /// Requests whose next hop has further addresses.
    further: BTreeMap<ClientId, Further>,
    /// Who refused TCP, and until when that is believed.
    without_tcp: BTreeMap<SocketAddr, Instant>,
}

/// A request that may yet go to another address.
struct Further {
    message: Msg,
    tried: (Transport, SocketAddr),
    targets: VecDeque<(Transport, SocketAddr)>,
    /// Whether any response has come: then silence is no reason to go elsewhere.
    heard: bool,
}

impl Core {
    /// Sends a request to where `hop`, the URI of its next hop, leads.
    pub(super) fn deliver(&mut self, now: Instant, flow: Flow, hop: &str, message: Msg) -> ClientId {
        let targets = self.others(hop, &flow);
        let further = (!targets.is_empty()).then(|| message.clone());
        let client = self.deliver_to(now, flow, message);
        if let Some(message) = further {
            let tried = (flow.transport, flow.remote);
            self.delivery.further.insert(client, Further { message, tried, targets, heard: false });
        }
        client
    }

    fn deliver_to(&mut self, now: Instant, flow: Flow, message: Msg) -> ClientId {
        match self.over_tcp(now, &flow, &message) {
            Some((tcp, long)) => self.layer.request_or(now, tcp, long, Some((flow, message))),
            None => self.layer.request(now, flow, message),
        }
    }

    /// RFC 3261 §18.1.1: a request that is too long for UDP as it goes over TCP. Nothing but its top Via differs: the call
    /// stays where it was. `None` if it is short enough, or there is no TCP here or there.
    pub(super) fn over_tcp(&self, now: Instant, flow: &Flow, message: &Msg) -> Option<(Flow, Msg)> {
        if flow.transport != Transport::Udp || message.bytes().len() <= self.config.mtu_limit {
            return None;
        }
        if self.delivery.without_tcp.get(&flow.remote).is_some_and(|until| *until > now) {
            return None;
        }
        let tcp = self.flow_to(Transport::Tcp, flow.remote, None)?;
        let via = message.top_via().ok()?;
        let via = self.via_of(&tcp, via.branch()?);
        Some((tcp, with_via(message, &via)?))
    }

    /// A request has news: it is with somebody now.
    pub(super) fn heard(&mut self, client: ClientId, status: u16) {
        if status >= 200 {
            self.delivery.further.remove(&client);
        } else if let Some(further) = self.delivery.further.get_mut(&client) {
            further.heard = true;
        }
    }

    /// Nobody answers there over this transport.
    pub(super) fn no_way(&mut self, now: Instant, transport: Transport, remote: SocketAddr) {
        self.unreachable(transport, remote);
        if transport != Transport::Tcp {
            return;
        }
        let refused = &mut self.delivery.without_tcp;
        refused.retain(|_, until| *until > now);
        if refused.len() >= MOST_WITHOUT_TCP {
            refused.pop_first();
        }
        refused.insert(remote, now + WITHOUT_TCP);
    }

    /// RFC 3263 §4.3: the same request to the next address, with the same number and a branch of its own (TX-32). `answered`
    /// says that a 503 came, not silence.
    fn fail_over(&mut self, now: Instant, client: ClientId, answered: bool) -> Option<ClientId> {
        let Further { message, tried, mut targets, heard } = self.delivery.further.remove(&client)?;
        self.unreachable(tried.0, tried.1);
        if heard && !answered {
            return None;
        }
        let (target, flow) = loop {
            let target = targets.pop_front()?;
            if let Some(flow) = self.flow_to(target.0, target.1, None) {
                break (target, flow);
            }
        };
        let via = self.via(&flow);
        let message = with_via(&message, &via)?;
        let next = self.deliver_to(now, flow, message.clone());
        if let Some(user) = self.clients.remove(&client) {
            self.clients.insert(next, user);
        }
        if !targets.is_empty() {
            self.delivery.further.insert(next, Further { message, tried: target, targets, heard: false });
        }
        Some(next)
    }
}

impl Endpoint {
    /// A request was refused with 503 (`answered`), or got no response: whether it goes on to another address.
    pub(super) fn goes_elsewhere(&mut self, now: Instant, client: ClientId, answered: bool) -> bool {
        let user = self.core.clients.get(&client).copied();
        let wanted = match user {
            Some(User::Call { call, purpose, .. }) => {
                self.calls.get(&call).is_some_and(|call| call.wants_out(client, purpose))
            }
            Some(User::Registration(_)) => true,
            None => false,
        };
        let Some(next) = wanted.then(|| self.core.fail_over(now, client, answered)).flatten() else {
            return false;
        };
        if let Some(User::Call { call, .. }) = user
            && let Some(call) = self.calls.get_mut(&call)
        {
            call.went_elsewhere(client, next);
        }
        true
    }

    /// TCP is refused there: what was acknowledged over it is acknowledged over UDP.
    pub(super) fn acknowledge_elsewhere(&mut self, remote: SocketAddr) {
        for call in self.calls.values_mut() {
            for ack in call.legs.iter_mut().flat_map(|leg| &mut leg.acks) {
                if ack.flow.transport == Transport::Tcp
                    && ack.flow.remote == remote
                    && let Some((flow, bytes)) = ack.instead.take()
                {
                    (ack.flow, ack.bytes) = (flow, bytes);
                    self.core.transmit(ack.flow, ack.bytes.clone());
                }
            }
        }
    }
}

impl Call {
    /// Whether this request is still worth sending elsewhere.
    fn wants_out(&self, client: ClientId, purpose: Purpose) -> bool {
        match purpose {
            Purpose::Setup => self.setup.as_ref().is_some_and(|setup| {
                setup.client == Some(client) && setup.cancel == Cancel::No && self.legs.is_empty()
            }),
            Purpose::Change => self
                .wishes
                .flight
                .as_ref()
                .is_some_and(|flight| flight.client == Some(client) && flight.cancel == Cancel::No),
            _ => true,
        }
    }

    /// Whether the next hop of this leg is a name whose address is asked for now: a change waits for it in the queue, for much
    /// may have changed by then.
    pub(super) fn awaits_name(&self, core: &mut Core, index: usize) -> bool {
        let Some(leg) = self.legs.get(index) else { return false };
        let Hop::Name { host, port, transport } = core.hop(&next_hop(&leg.dialog), Some(&leg.flow)) else {
            return false;
        };
        core.resolve(host, port, transport, Some(self.id), None);
        true
    }

    /// A request goes on in another transaction.
    fn went_elsewhere(&mut self, client: ClientId, next: ClientId) {
        if let Some(setup) = self.setup.as_mut().filter(|setup| setup.client == Some(client)) {
            setup.client = Some(next);
            setup.provisional = false;
        }
        if let Some(flight) = self.wishes.flight.as_mut().filter(|flight| flight.client == Some(client)) {
            flight.client = Some(next);
            flight.provisional = false;
        }
    }
}

impl Leg {
    /// A message of the peer came by this way: requests go back by it. A long one comes over TCP in a call that is otherwise
    /// on UDP (RFC 3261 §18.1.1), which does not take the call there; a peer that wants that says so in its Contact.
    pub(super) fn came_by(&mut self, flow: Flow) {
        let named =
            || Uri::parse(&self.dialog.party.theirs.target).ok()?.transport().and_then(Transport::parse);
        let long = self.flow.transport == Transport::Udp && flow.transport == Transport::Tcp;
        if !long || named() == Some(Transport::Tcp) {
            self.flow = flow;
        }
    }
}

/// The same request with another top Via.
fn with_via(message: &Msg, via: &str) -> Option<Msg> {
    let mut edit = Edit::new(message);
    edit.set_top_value(Name::Via, via);
    Msg::parse(Bytes::from(edit.finish())).ok()
}

/// How long a refusal of TCP is believed before it is tried again.
const WITHOUT_TCP: Duration = Duration::from_secs(300);
/// The most addresses that are remembered as refusing it.
const MOST_WITHOUT_TCP: usize = 1_024;
