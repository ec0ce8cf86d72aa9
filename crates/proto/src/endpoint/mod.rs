//! An endpoint: one SIP user agent, driven by bytes and time.
//!
//! Put in what happens with [`Endpoint::handle_input`] and the verbs of [`CallMut`]; take out what to do with
//! [`Endpoint::poll_output`] until it says [`Output::Timeout`]. It reads no clock, opens no socket and rolls no dice: the
//! same inputs and seed give the same outputs.

mod beside;
mod call;
mod change;
mod config;
mod core;
mod delivery;
mod ending;
mod follow;
mod halves;
mod inbound;
mod io;
mod modify;
mod moved;
mod outcome;
mod person;
mod refer;
mod register;
mod session_timer;
mod setbacks;
mod tickets;
mod timers;
mod uac;
mod uas;
mod verbs;
mod write;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use bytes::Bytes;
use midcall_wire::{Method, Name};

pub use self::call::Refused;
pub use self::config::{Config, LocalAddr, Policy, Prefer, Reliable};
pub use self::io::{Input, Output, Transmit};
pub use self::modify::Modification;
pub use self::refer::Referred;
pub use self::register::Register;
pub use self::uac::Invite;
pub use self::verbs::{CallMut, CallRef};

use self::call::Call;
use self::core::{Core, Later};
use self::halves::Halves;
use self::outcome::Response;
use self::register::Registration;
use crate::Msg;
use crate::event::{CallId, RegistrationId};
use crate::flow::{Flow, Transport};
use crate::room::Room;
use crate::time::Instant;
use crate::transaction::{Action, Received, ServerId};

/// One SIP user agent.
pub struct Endpoint {
    core: Core,
    calls: BTreeMap<CallId, Box<Call>>,
    halves: Halves,
    /// INVITEs of peers that a CANCEL may still be for.
    invites: BTreeMap<ServerId, CallId>,
    registrations: BTreeMap<RegistrationId, Registration>,
    wakes: BinaryHeap<Reverse<(Instant, CallId)>>,
    next_call: u32,
    next_registration: u32,
}

impl Endpoint {
    /// An endpoint with these settings. Everything random comes from the seed.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Self {
        Self {
            core: Core::new(config, seed),
            calls: BTreeMap::new(),
            halves: Halves::default(),
            invites: BTreeMap::new(),
            registrations: BTreeMap::new(),
            wakes: BinaryHeap::new(),
            next_call: 0,
            next_registration: 0,
        }
    }

    /// The settings, to read.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.core.config
    }

    /// The settings, to change: what goes out from now on follows them.
    pub const fn config_mut(&mut self) -> &mut Config {
        &mut self.core.config
    }

    /// Places a call. Its INVITE is among the next outputs, or a question for the address of its host.
    ///
    /// # Errors
    /// When the endpoint holds as many calls as it may.
    pub fn invite(&mut self, now: Instant, invite: Invite) -> Result<CallId, Refused> {
        if self.calls.len() >= self.core.config.max_calls {
            return Err(Refused { rule: crate::rules::RuleId::StateFlood, because: Default::default() });
        }
        let call_id = self.core.rng.token(96);
        let id = self.number();
        let mut call = Box::new(Call::new(id, true, &call_id, Some(invite.session.clone()), &self.core));
        call.begin(&mut self.core, now, invite);
        self.put_back(now, call);
        self.settle(now);
        Ok(id)
    }

    /// Places the call that an accepted REFER asks for. `invite` gives session and headers; its target, Replaces and
    /// Referred-By come from the REFER. `None` if there is no such REFER, or it was placed already.
    pub fn place_referred(
        &mut self,
        now: Instant,
        call: CallId,
        refer: u32,
        mut invite: Invite,
    ) -> Option<CallId> {
        let referred = self.calls.get_mut(&call)?.take_referred(refer)?;
        invite.to = referred.target;
        invite.headers.extend(referred.replaces.map(|value| ("Replaces".to_owned(), value)));
        if referred.required {
            invite.headers.push(("Require".to_owned(), "replaces".to_owned()));
        }
        invite.headers.extend(referred.referred_by.map(|value| ("Referred-By".to_owned(), value)));
        let placed = self.invite(now, invite).ok()?;
        if let Some(new) = self.calls.get_mut(&placed) {
            new.placed_for = Some((call, refer));
        }
        Some(placed)
    }

    /// A call to act on; `None` once it is gone.
    pub fn call(&mut self, id: CallId) -> Option<CallMut<'_>> {
        self.calls.contains_key(&id).then_some(CallMut::new(self, id))
    }

    /// A call to look at; `None` once it is gone.
    #[must_use]
    pub fn look(&self, id: CallId) -> Option<CallRef<'_>> {
        self.calls.get(&id).map(|call| CallRef::new(call))
    }

    /// The calls that are not gone, in the order they came up.
    pub fn calls(&self) -> impl Iterator<Item = CallId> + '_ {
        self.calls.keys().copied()
    }

    /// Registers and keeps registered.
    pub fn register(&mut self, now: Instant, register: Register) -> RegistrationId {
        let id = RegistrationId(self.next_registration);
        self.next_registration += 1;
        let mut registration = Registration::new(&mut self.core, id, register);
        registration.send(&mut self.core, now, Vec::new());
        self.registrations.insert(id, registration);
        self.settle(now);
        id
    }

    /// Removes a registration.
    pub fn unregister(&mut self, now: Instant, id: RegistrationId) {
        if let Some(registration) = self.registrations.get_mut(&id) {
            registration.remove(&mut self.core, now);
        }
        self.settle(now);
    }

    /// Takes something that happened.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.core.forget_names(now);
        match input {
            Input::Message { flow, bytes } => self.message(now, flow, bytes),
            Input::TransportError { transport, remote } => {
                self.core.no_way(now, transport, remote);
                self.core.layer.transport_error(now, transport, remote);
                if transport == Transport::Tcp {
                    self.acknowledge_elsewhere(remote);
                }
            }
            Input::Closed { connection } => self.closed(now, connection),
            Input::Resolved { query, targets } => {
                let (calls, registrations) = self.core.resolved(now, query, targets);
                for id in calls {
                    self.with_call(now, id, |call, core| call.name_resolved(core, now));
                }
                for id in registrations {
                    if let Some(registration) = self.registrations.get_mut(&id) {
                        registration.send(&mut self.core, now, Vec::new());
                    }
                }
            }
            Input::Timeout => {}
        }
        self.on_time(now);
        self.settle(now);
    }

    /// What to do next; call it until it says [`Output::Timeout`].
    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.core.out.pop_front() {
            return output;
        }
        self.core.out.give_back();
        let calls = self.wakes.peek().map(|Reverse((at, _))| *at);
        let registrations = self.registrations.values().filter_map(|registration| registration.next).min();
        let wake = [self.core.layer.next_timeout(), calls, registrations].into_iter().flatten().min();
        Output::Timeout(wake)
    }

    fn number(&mut self) -> CallId {
        let id = CallId(self.next_call);
        self.next_call = self.next_call.wrapping_add(1);
        id
    }

    /// Gives a call its turn.
    fn with_call<R>(
        &mut self,
        now: Instant,
        id: CallId,
        turn: impl FnOnce(&mut Call, &mut Core) -> R,
    ) -> Option<R> {
        let mut call = self.calls.remove(&id)?;
        let result = turn(&mut call, &mut self.core);
        self.put_back(now, call);
        Some(result)
    }

    /// Puts a call back after its turn, or lets it go when nothing is left to do.
    fn put_back(&mut self, now: Instant, mut call: Box<Call>) {
        call.trim(&mut self.core);
        for leg in call.legs.iter().filter(|_| call.is_done(now)) {
            self.halves.remove(&leg.dialog.call_id, &leg.dialog.party.ours.tag, call.id);
        }
        if call.is_done(now) {
            return;
        }
        if let Some(at) = call.next_deadline().filter(|at| call.booked.is_none_or(|booked| *at < booked)) {
            call.booked = Some(at);
            self.wakes.push(Reverse((at, call.id)));
        }
        self.calls.insert(call.id, call);
    }

    fn on_time(&mut self, now: Instant) {
        self.core.layer.on_timeout(now);
        while let Some(Reverse((at, id))) = self.wakes.peek().copied() {
            if at > now {
                break;
            }
            self.wakes.pop();
            self.wakes.give_back();
            let Some(call) = self.calls.get_mut(&id) else { continue };
            if call.booked == Some(at) {
                call.booked = None;
            }
            // What the wake-up was booked for may be settled; then the call's turn only books the next one.
            let due = call.next_deadline().is_some_and(|due| due <= now);
            self.with_call(now, id, |call, core| {
                if due {
                    call.on_time(core, now);
                }
            });
        }
        let due: Vec<_> = self
            .registrations
            .iter()
            .filter(|(_, r)| r.next.is_some_and(|next| next <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            if let Some(registration) = self.registrations.get_mut(&id) {
                registration.next = None;
                registration.send(&mut self.core, now, Vec::new());
            }
        }
        self.registrations.retain(|_, registration| !registration.over);
    }

    /// Does what transactions and calls want of others, until nothing is left.
    fn settle(&mut self, now: Instant) {
        loop {
            if let Some(action) = self.core.next_action() {
                self.action(now, action);
                continue;
            }
            if self.core.later.is_empty() {
                return;
            }
            for later in std::mem::take(&mut self.core.later) {
                self.later(now, later);
            }
        }
    }

    fn action(&mut self, now: Instant, action: Action) {
        let (client, status) = match action {
            Action::ClientTimeout(client) => (client, 408),
            Action::ClientTransportError(client) => (client, 503),
            Action::ServerGone(server) => {
                self.invites.remove(&server);
                return;
            }
            Action::ClientGone(client) => {
                self.core.clients.remove(&client);
                return;
            }
            // A failure response without ACK is over all the same; transmissions are moved before.
            Action::ServerTimeout(_) | Action::Transmit { .. } => return,
        };
        if self.goes_elsewhere(now, client, false) {
            return;
        }
        match self.core.clients.remove(&client) {
            Some(core::User::Call { call, leg, purpose, cseq }) => {
                self.with_call(now, call, |call, core| {
                    call.no_response(core, now, leg, purpose, cseq, status);
                });
            }
            Some(core::User::Registration(id)) => {
                if let Some(registration) = self.registrations.get_mut(&id) {
                    registration.answered(&mut self.core, now, status, None);
                }
            }
            None => {}
        }
    }

    fn later(&mut self, now: Instant, later: Later) {
        match later {
            Later::Replace { old, by } => {
                self.with_call(now, old, |call, core| call.replaced(core, now, by));
            }
            Later::Referred { referrer, refer, status } => {
                self.with_call(now, referrer, |call, core| call.referred_news(core, now, refer, status));
            }
            Later::Forget { call_id, tag, call } => self.halves.remove(&call_id, &tag, call),
            Later::Index { call_id, tag, call } => self.halves.insert(&call_id, &tag, call),
        }
    }

    fn closed(&mut self, now: Instant, connection: u64) {
        self.core.layer.closed(now, connection);
        for call in self.calls.values_mut() {
            for leg in &mut call.legs {
                if leg.flow.connection == Some(connection) {
                    leg.flow.connection = None;
                }
            }
        }
    }

    fn message(&mut self, now: Instant, flow: Flow, bytes: &[u8]) {
        if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return; // keep-alive
        }
        let bytes = Bytes::copy_from_slice(bytes);
        let message = match Msg::parse(bytes.clone()) {
            Ok(message) => message,
            Err(error) => {
                // RFC 3261 §18.3: a request that can be read as far as its Via is told what is wrong with it.
                let request = Msg::salvage(bytes).filter(|request| {
                    request.is_request() && request.method() != Method::Ack && request.top_via().is_ok()
                });
                if let Some(request) = request {
                    let reply = midcall_wire::Builder::reply(&request, error.status(), None).finish();
                    self.core.transmit(flow, reply.into());
                }
                self.core.drop_input("messages that are not SIP");
                return;
            }
        };
        match self.core.layer.receive(now, flow, message) {
            Received::Absorbed => {}
            Received::Stray { .. } => self.core.drop_input("responses to nothing that was sent"),
            Received::Request { id, msg, flow, matches } => self.request(now, id, msg, flow, matches),
            Received::Ack { msg, flow: _ } => {
                if let Some((id, leg)) = self.find(&msg, true) {
                    self.with_call(now, id, |call, core| call.ack_came(core, now, leg, &msg));
                }
            }
            Received::Response { id, msg, flow } => {
                let status = msg.status().unwrap_or_default();
                if status == 503 && self.goes_elsewhere(now, id, true) {
                    return;
                }
                self.core.heard(id, status);
                let last = status >= 200;
                let invite = msg.method() == Method::Invite;
                let user = self.core.clients.get(&id).copied();
                if last && !(invite && status < 300) {
                    self.core.clients.remove(&id);
                }
                match user {
                    Some(core::User::Call { call, leg, purpose, .. }) => {
                        self.with_call(now, call, |call, core| {
                            let response = Response { leg, purpose, client: id, flow, message: &msg };
                            call.response(core, now, response);
                        });
                    }
                    Some(core::User::Registration(id)) => {
                        if let Some(registration) = self.registrations.get_mut(&id) {
                            registration.answered(&mut self.core, now, status, Some(&msg));
                        }
                    }
                    None => {}
                }
            }
        }
    }

    /// The call and leg that a request names: Call-ID, our tag in To, the peer's in From (RFC 3261 §12.2.2).
    fn find(&self, message: &Msg, request: bool) -> Option<(CallId, usize)> {
        let (from, to) = (message.from().ok()?, message.to().ok()?);
        let (ours, theirs) = if request { (to.tag()?, from.tag()) } else { (from.tag()?, to.tag()) };
        let call = self.named(message.call_id().ok()?, ours)?;
        let theirs = theirs.unwrap_or_default();
        let named = |leg: &call::Leg| {
            let party = &leg.dialog.party;
            // A REFER beside the call makes its dialog with whoever answers it first.
            let answers = *party.theirs.tag == *theirs || party.theirs.tag.is_empty() && leg.beside();
            *party.ours.tag == *ours && answers
        };
        Some((call.id, call.legs.iter().position(named)?))
    }

    /// The call with dialogs of this Call-ID and tag of ours.
    fn named(&self, call_id: &str, tag: &str) -> Option<&Call> {
        let has = |call: &Call| {
            let own = |dialog: &crate::dialog::Dialog| {
                *dialog.call_id == *call_id && *dialog.party.ours.tag == *tag
            };
            call.legs.iter().any(|leg| own(&leg.dialog))
        };
        let id = self.halves.find(call_id, tag, |id| self.calls.get(&id).is_some_and(|call| has(call)))?;
        self.calls.get(&id).map(|call| &**call)
    }

    fn request(
        &mut self,
        now: Instant,
        server: ServerId,
        message: Msg,
        flow: Flow,
        matches: Option<ServerId>,
    ) {
        if message.method() == Method::Cancel {
            // RFC 3261 §9.2: the response to CANCEL has the To tag of the responses to its INVITE.
            let call = matches.and_then(|invite| self.invites.get(&invite)).and_then(|id| self.calls.get(id));
            let tag = call.and_then(|call| call.legs.first()).map(|leg| leg.dialog.party.ours.tag.clone());
            let status = if matches.is_some() { 200 } else { 481 };
            match tag {
                Some(tag) => inbound::reply_as(&mut self.core, now, server, &message, status, &[], &tag),
                None => inbound::reply(&mut self.core, now, server, &message, status, &[]),
            }
            if let Some(invite) = matches
                && let Some(id) = self.invites.get(&invite).copied()
            {
                self.with_call(now, id, |call, core| call.cancelled(core, now, invite));
            }
            return;
        }
        if let Err(fault) = message.check() {
            inbound::reply(&mut self.core, now, server, &message, fault.status(), &[]);
            return;
        }
        if message.to().is_ok_and(|to| to.tag().is_some()) {
            match self.find(&message, true) {
                Some((id, leg)) => {
                    if message.method() == Method::Invite {
                        self.invites.insert(server, id);
                    }
                    self.with_call(now, id, |call, core| call.request(core, now, leg, server, flow, message));
                }
                None => inbound::reply(&mut self.core, now, server, &message, 481, &[]),
            }
            return;
        }
        match message.method() {
            Method::Invite => self.new_call(now, server, &message, flow),
            Method::Options => {
                inbound::reply(
                    &mut self.core,
                    now,
                    server,
                    &message,
                    200,
                    &[(Name::Accept, "application/sdp".to_owned())],
                );
            }
            Method::Refer => self.refer_outside(now, server, message, flow),
            Method::Notify | Method::Bye | Method::Prack | Method::Update | Method::Info => {
                inbound::reply(&mut self.core, now, server, &message, 481, &[]);
            }
            Method::Subscribe => inbound::reply(
                &mut self.core,
                now,
                server,
                &message,
                489,
                &[(Name::AllowEvents, "refer".to_owned())],
            ),
            Method::Other => inbound::reply(&mut self.core, now, server, &message, 501, &[]),
            _ => inbound::reply(&mut self.core, now, server, &message, 405, &[]),
        }
    }

    fn new_call(&mut self, now: Instant, server: ServerId, message: &Msg, flow: Flow) {
        let require = crate::dialog::OptionSet::read(message, Name::Require);
        let lacking = inbound::lacking(&self.core, message, require);
        if !lacking.is_empty() {
            let headers = [(Name::Unsupported, lacking.join(", "))];
            inbound::reply(&mut self.core, now, server, message, 420, &headers);
            return;
        }
        if let Some(status) = unreadable(message) {
            let headers: &[(Name, String)] =
                if status == 415 { &[(Name::Accept, inbound::BODIES.to_owned())] } else { &[] };
            inbound::reply(&mut self.core, now, server, message, status, headers);
            return;
        }
        if self.calls.len() >= self.core.config.max_calls {
            let headers = [(Name::RetryAfter, "10".to_owned())];
            inbound::reply(&mut self.core, now, server, message, 503, &headers);
            return;
        }
        let replaces = match self.replaced_by(message) {
            Ok(replaces) => replaces,
            Err(status) => {
                inbound::reply(&mut self.core, now, server, message, status, &[]);
                return;
            }
        };
        let id = self.number();
        let call_id = message.call_id().unwrap_or_default().to_owned();
        let mut call = Box::new(Call::new(id, false, &call_id, None, &self.core));
        self.invites.insert(server, id);
        call.incoming(&mut self.core, now, server, flow, message, replaces);
        self.put_back(now, call);
    }

    /// The call that an INVITE replaces, or the status that refuses it (RFC 3891 §3; RF-17, RF-18).
    fn replaced_by(&self, message: &Msg) -> Result<Option<CallId>, u16> {
        let headers = message.values(Name::Replaces).count();
        if headers == 0 {
            return Ok(None);
        }
        if headers > 1 || message.count(Name::Join) > 0 {
            return Err(400);
        }
        let Some(Ok(replaces)) = message.replaces() else { return Err(400) };
        let call = self.named(replaces.call_id, replaces.to_tag).ok_or(481u16)?;
        let leg =
            call.legs.iter().find(|leg| *leg.dialog.party.theirs.tag == *replaces.from_tag).ok_or(481u16)?;
        let usage = leg.dialog.usage;
        match (call.ended || usage.over(), usage.confirmed(), call.outgoing) {
            (true, ..) => Err(603),
            (false, true, _) if replaces.early_only => Err(486),
            (false, true, _) | (false, false, true) => Ok(Some(call.id)),
            (false, false, false) => Err(481),
        }
    }
}

/// Whether the body of an INVITE cannot be used: 415 for a foreign part, 400 for a broken description.
fn unreadable(message: &Msg) -> Option<u16> {
    let broken = message.sdp().is_some_and(|sdp| midcall_wire::sdp::Sdp::parse(sdp).is_err());
    if broken { Some(400) } else { message.has_foreign_part().then_some(415) }
}
