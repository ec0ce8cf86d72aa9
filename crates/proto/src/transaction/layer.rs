//! All transactions of an endpoint.

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;
use midcall_wire::{Builder, Method, Name};

use super::client::{self, Client, ClientInfo};
use super::key::{self, Index};
use super::server::{self, Server};
use super::slots::{Slot, Slots};
use super::{Action, ClientId, Counters, Limits, Owner, Reach, Received, ServerId, Timer, Timers, via};
use crate::Msg;
use crate::flow::{Flow, Transport};
use crate::room::Room;
use crate::time::{Deadlines, Instant};

/// All transactions of an endpoint: what was sent, what was received, and what has to be sent again.
///
/// Work per message does not grow with the number of transactions. Call [`Layer::poll`] until it says `None`
/// after every other call, and [`Layer::on_timeout`] when [`Layer::next_timeout`] is reached.
#[derive(Debug)]
pub struct Layer {
    timers: Timers,
    limits: Limits,
    clients: Slots<Client>,
    servers: Slots<Server>,
    client_index: Index,
    server_index: Index,
    deadlines: Deadlines<(Owner, Timer)>,
    actions: VecDeque<Action>,
    counters: Counters,
}

/// What one transaction may touch: everything of the layer but the tables.
macro_rules! reach {
    ($layer:ident, $now:expr) => {
        Reach {
            now: $now,
            timers: &$layer.timers,
            deadlines: &mut $layer.deadlines,
            actions: &mut $layer.actions,
            counters: &mut $layer.counters,
        }
    };
}

impl Layer {
    /// A layer without transactions, whose tables are hashed with a fixed key.
    pub fn new(timers: Timers) -> Self {
        Self::seeded(timers, 0)
    }

    /// A layer whose tables are hashed with a key of the caller's, which peers do not know.
    pub fn seeded(timers: Timers, seed: u64) -> Self {
        Self {
            timers: timers.sane(),
            limits: Limits::default(),
            clients: Slots::new(),
            servers: Slots::new(),
            client_index: Index::new(seed),
            server_index: Index::new(seed),
            deadlines: Deadlines::new(),
            actions: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Changes how many transactions there may be; those that are there stay.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Sends a request other than ACK.
    ///
    /// Its top Via must carry the branch. If there are too many requests already, or the top Via cannot be read,
    /// nothing is sent and [`Action::ClientTransportError`] follows.
    pub fn request(&mut self, now: Instant, flow: Flow, msg: Msg) -> ClientId {
        self.request_or(now, flow, msg, None)
    }

    /// Sends a request other than ACK, and if that way cannot be had at all, sends it another way in the same transaction:
    /// what is too long for UDP goes over TCP, and over UDP if the peer has no TCP (RFC 3261 §18.1.1).
    pub fn request_or(
        &mut self,
        now: Instant,
        flow: Flow,
        msg: Msg,
        instead: Option<(Flow, Msg)>,
    ) -> ClientId {
        let key = key_of(&msg);
        let full = self.clients.len() >= self.limits.clients;
        let sendable = key.is_some() && !full;
        let key = key.unwrap_or_default().into_vec().into_boxed_slice();
        let slot = self.clients.insert(Client::new(flow, msg, key.clone(), instead.map(Box::new)));
        let id = ClientId(slot);
        if !sendable {
            self.counters.clients_refused += u64::from(full);
            self.clients.remove(slot);
            self.actions.push_back(Action::ClientTransportError(id));
            return id;
        }
        self.client_index.insert(key, slot);
        if let Some(client) = self.clients.get_mut(slot) {
            client.start(id, &mut reach!(self, now));
        }
        id
    }

    /// Answers a request: whether the response goes out.
    ///
    /// `response` is the whole message and `status` its status code. A 2xx to an INVITE may be given again and
    /// again: resending it until the ACK comes is the caller's part (RFC 3261 §13.3.1.4). What does not go out: a
    /// second final response of another kind, anything to a transaction that is gone, and what RFC 4320 §4 forbids
    /// for a request that is no INVITE.
    pub fn respond(&mut self, now: Instant, id: ServerId, response: Bytes, status: u16) -> bool {
        let Some(server) = self.servers.get_mut(id.0) else { return false };
        let taken = server.respond(id, response, status, &mut reach!(self, now));
        self.prune();
        taken
    }

    /// Takes a message that came in, and says what it is.
    pub fn receive(&mut self, now: Instant, flow: Flow, msg: Msg) -> Received {
        let received = match msg.status() {
            Some(status) => self.response(now, flow, status, msg),
            None => self.incoming(now, flow, msg),
        };
        self.prune();
        received
    }

    /// Starts the wait for a final response to an INVITE for which a CANCEL was sent (RFC 3261 §9.1).
    ///
    /// After 64*T1 without one the transaction ends with [`Action::ClientTimeout`].
    pub fn cancel_timeout(&mut self, now: Instant, id: ClientId) {
        if let Some(client) = self.clients.get_mut(id.0) {
            client.cancelled(id, &mut reach!(self, now));
        }
    }

    /// Does what is due.
    pub fn on_timeout(&mut self, now: Instant) {
        while let Some((at, (owner, timer))) = self.deadlines.pop_due(now) {
            if self.stands(at, owner, timer) {
                self.fire(now, owner, timer);
            }
        }
        self.prune();
    }

    /// When [`Layer::on_timeout`] is to be called next.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| at)
    }

    /// The next thing to do, in order; `None` when there is nothing left.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front().or_else(|| {
            self.actions.give_back();
            None
        })
    }

    /// This transport cannot deliver to `remote` (RFC 3261 §18.4).
    ///
    /// Requests to it fail, except an INVITE that was answered provisionally and what has another way. Requests from it stay: RFC 6026 §8.8
    /// forbids forgetting them.
    pub fn transport_error(&mut self, now: Instant, transport: Transport, remote: SocketAddr) {
        self.fail(now, |flow| flow.transport == transport && flow.remote == remote);
    }

    /// A connection is closed.
    ///
    /// Requests that went by it fail as in [`Layer::transport_error`]. Responses to requests that came by it
    /// will go to the address they came from and the port their sender listens at (RFC 3261 §18.2.2).
    pub fn closed(&mut self, now: Instant, connection: u64) {
        for server in self.servers.values_mut() {
            server.connection_closed(connection);
        }
        self.fail(now, |flow| flow.connection == Some(connection));
    }

    /// What is known about a request we sent, while its transaction lives.
    pub fn client(&self, id: ClientId) -> Option<&ClientInfo> {
        self.clients.get(id.0).map(|client| &client.info)
    }

    /// Whether a request we received still has its transaction.
    pub fn serves(&self, id: ServerId) -> bool {
        self.servers.get(id.0).is_some()
    }

    /// How many transactions there are: requests sent, requests received.
    pub fn pending(&self) -> (usize, usize) {
        (self.clients.len(), self.servers.len())
    }

    /// What was dropped or absorbed so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether nothing is left anywhere.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.pending() == (0, 0)
            && self.client_index.len() + self.server_index.len() + self.deadlines.len() + self.actions.len()
                == 0
    }

    fn response(&mut self, now: Instant, flow: Flow, status: u16, msg: Msg) -> Received {
        // RFC 3261 §8.1.3.3: a response with more than one Via was meant for somebody else.
        let alone = msg.values(Name::Via).nth(1).is_none();
        let Some(via) = msg.top_via().ok().filter(|_| alone) else {
            self.counters.malformed += 1;
            return Received::Stray { msg };
        };
        let key = via.branch().map(|branch| key::of_client(&via, branch, msg.method_name()));
        let found = key.and_then(|key| self.client_index.find(&key));
        let Some((slot, client)) = found.and_then(|slot| Some((slot, self.clients.get_mut(slot)?))) else {
            self.counters.strays += 1;
            return Received::Stray { msg };
        };
        let id = ClientId(slot);
        match client.receive(id, status, &msg, &mut reach!(self, now)) {
            client::Verdict::Up => Received::Response { id, msg, flow },
            client::Verdict::Repeated => {
                self.counters.repeated += 1;
                Received::Absorbed
            }
            client::Verdict::Unexpected => {
                self.counters.unexpected += 1;
                Received::Absorbed
            }
        }
    }

    fn incoming(&mut self, now: Instant, flow: Flow, msg: Msg) -> Received {
        let Ok(top) = msg.top_via() else {
            self.counters.malformed += 1;
            return Received::Stray { msg };
        };
        let method = msg.method();
        if method == Method::Ack {
            let (key, initial) = key::of_ack(&msg, &top);
            let found = self.server_index.find(&key).or_else(|| self.initial_invite(initial?, &msg));
            return self.ack(now, flow, found, msg);
        }
        let key = key::of_server(&msg, &top, msg.method_name());
        if let Some(server) = self.server_index.find(&key).and_then(|slot| self.servers.get_mut(slot)) {
            match server.repeated(&mut reach!(self, now)) {
                server::Verdict::Unexpected => self.counters.unexpected += 1,
                _ => self.counters.repeated += 1,
            }
            return Received::Absorbed;
        }
        if self.servers.len() >= self.limits.servers {
            self.counters.servers_refused += 1;
            return Received::Absorbed;
        }
        let invite = (method == Method::Cancel).then(|| key::of_server(&msg, &top, Method::Invite.as_str()));
        let matches = invite.and_then(|key| self.server_index.find(&key)).map(ServerId);
        let ways = via::reply_flows(&top, flow);
        let stamped = via::stamped(&msg, &top, flow.remote);
        let msg = stamped.unwrap_or(msg);
        let (id, merged) = self.serve(now, &msg, &key, ways);
        if merged {
            self.counters.merged += 1;
            let tag = self.server_index.tag(&key);
            let loop_detected = Builder::reply(&msg, 482, None).to_tag(&tag).finish();
            self.respond(now, id, Bytes::from(loop_detected), 482);
            return Received::Absorbed;
        }
        Received::Request { id, msg, flow, matches }
    }

    /// Makes the transaction of a new request, and says whether another copy of the request has one already.
    fn serve(&mut self, now: Instant, msg: &Msg, key: &[u8], ways: (Flow, Flow)) -> (ServerId, bool) {
        let merge = key::of_copies(msg);
        let copy = merge.as_ref().and_then(|merge| self.servers.get(self.server_index.find(merge)?));
        let merged = copy.is_some_and(Server::ongoing);
        let merge = merge.filter(|_| !merged);
        let slot = self.servers.insert(Server::new(msg, key.into(), merge.as_deref().map(Into::into), ways));
        self.server_index.insert(key.into(), slot);
        if let Some(merge) = merge {
            self.server_index.insert(merge.into_vec().into(), slot);
        }
        let id = ServerId(slot);
        if let Some(server) = self.servers.get_mut(slot) {
            server.start(id, &mut reach!(self, now));
        }
        (id, merged)
    }

    fn ack(&mut self, now: Instant, flow: Flow, found: Option<Slot>, msg: Msg) -> Received {
        let Some((slot, server)) = found.and_then(|slot| Some((slot, self.servers.get_mut(slot)?))) else {
            return Received::Ack { msg, flow };
        };
        match server.acknowledged(ServerId(slot), &mut reach!(self, now)) {
            server::Verdict::Up => Received::Ack { msg, flow },
            server::Verdict::Absorbed => Received::Absorbed,
            server::Verdict::Unexpected => {
                self.counters.unexpected += 1;
                Received::Absorbed
            }
        }
    }

    /// The INVITE of an RFC 2543 peer that made a dialog, found by its ACK, whose To tag is that of the response.
    fn initial_invite(&self, key: key::Key, ack: &Msg) -> Option<Slot> {
        let slot = self.server_index.find(&key)?;
        let to_tag = ack.to().ok()?.tag().unwrap_or_default();
        self.servers.get(slot)?.answered_with(to_tag).then_some(slot)
    }

    fn stands(&self, at: Instant, owner: Owner, timer: Timer) -> bool {
        stands(&self.clients, &self.servers, at, owner, timer)
    }

    fn fire(&mut self, now: Instant, owner: Owner, timer: Timer) {
        match owner {
            Owner::Client(slot) => {
                let Some(client) = self.clients.get_mut(slot) else { return };
                if client.timer(ClientId(slot), timer, &mut reach!(self, now)) {
                    self.forget_client(slot);
                }
            }
            Owner::Server(slot) => {
                let Some(server) = self.servers.get_mut(slot) else { return };
                if server.timer(ServerId(slot), timer, &mut reach!(self, now)) {
                    self.forget_server(slot);
                }
            }
        }
    }

    /// Fails the requests whose way is broken. This looks at all of them: broken ways are rare.
    fn fail(&mut self, now: Instant, broken: impl Fn(&Flow) -> bool) {
        let affected = self.clients.iter().filter(|(_, client)| broken(&client.info.flow));
        let affected: Vec<Slot> = affected.map(|(slot, _)| slot).collect();
        for slot in affected {
            let Some(client) = self.clients.get_mut(slot) else { continue };
            if client.turns() {
                // The Via is another one: so is what its responses are found by.
                let key = key_of(&client.info.msg).unwrap_or_default().into_vec().into_boxed_slice();
                let before = std::mem::replace(&mut client.key, key.clone());
                client.start(ClientId(slot), &mut reach!(self, now));
                self.client_index.remove(&before, slot);
                self.client_index.insert(key, slot);
            } else if client.transport_error(ClientId(slot), &mut reach!(self, now)) {
                self.forget_client(slot);
            }
        }
        self.prune();
    }

    fn forget_client(&mut self, slot: Slot) {
        if let Some(client) = self.clients.remove(slot) {
            self.client_index.remove(&client.key, slot);
        }
    }

    fn forget_server(&mut self, slot: Slot) {
        if let Some(server) = self.servers.remove(slot) {
            self.server_index.remove(&server.key, slot);
            if let Some(merge) = &server.merge {
                self.server_index.remove(merge, slot);
            }
        }
    }

    /// Takes deadlines that no longer stand from the front, so that nobody wakes up for them; and from everywhere,
    /// once they are the most.
    fn prune(&mut self) {
        let (clients, servers) = (&self.clients, &self.servers);
        let owners = clients.len() + servers.len();
        self.deadlines.tidy(owners, |at, (owner, timer)| stands(clients, servers, at, owner, timer));
        while let Some((at, (owner, timer))) = self.deadlines.first() {
            if self.stands(at, owner, timer) {
                return;
            }
            self.deadlines.pop();
        }
    }
}

/// Whether a deadline that was set is still one.
fn stands(clients: &Slots<Client>, servers: &Slots<Server>, at: Instant, owner: Owner, timer: Timer) -> bool {
    match owner {
        Owner::Client(slot) => clients.get(slot).is_some_and(|client| client.stands(timer, at)),
        Owner::Server(slot) => servers.get(slot).is_some_and(|server| server.stands(timer, at)),
    }
}

/// What the responses to a request of ours are found by; `None` if its top Via cannot be read.
fn key_of(msg: &Msg) -> Option<key::Key> {
    let via = msg.top_via().ok()?;
    Some(key::of_client(&via, via.branch()?, msg.method_name()))
}
