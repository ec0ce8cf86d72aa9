//! A midcall endpoint on the simulated wire, with what it told and a hand that works its verbs.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;

use midcall_proto::dialog::Dialog;
use midcall_proto::endpoint::{
    CallRef, Config, Endpoint, Input, Invite, LocalAddr, Modification, Output, Prefer, Refused,
};
use midcall_proto::event::{CallEvent, CallId, Ended, Event, Ticket};
use midcall_proto::flow::{Flow, Transport};
use midcall_proto::rules::RuleId;
use midcall_proto::session::{Agreed, Codec, Stream, Wanted};
use midcall_proto::time::Instant;

use crate::network::Arrival;
use crate::node::{Node, Outgoing};

/// An endpoint with its application: what a softphone would do by itself is switched by two flags.
pub struct Agent {
    name: String,
    seat: usize,
    addresses: Vec<SocketAddr>,
    endpoint: Endpoint,
    now: Instant,
    due: Option<Instant>,
    outbox: Vec<Outgoing>,
    events: Vec<(Instant, Event)>,
    sessions: HashMap<CallId, Agreed>,
    /// Addresses of host names, best first: what a resolver would find.
    pub hosts: HashMap<String, Vec<SocketAddr>>,
    /// The session it offers and answers with.
    pub session: Wanted,
    /// Whether it answers calls at once.
    pub answers: bool,
    /// Whether it places the calls that accepted REFERs ask for.
    pub follows_refers: bool,
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("name", &self.name)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

/// Settings of an endpoint with this name at this address, over UDP and TCP.
pub fn config(name: &str, address: SocketAddr) -> Config {
    let mut config = Config::new(&format!("sip:{name}@{address}"));
    config.local =
        [Transport::Udp, Transport::Tcp].map(|transport| LocalAddr { transport, addr: address }).into();
    config.user_agent = None;
    config
}

impl Agent {
    /// An endpoint with these settings in this seat of a scene.
    pub fn new(name: &str, seat: usize, config: Config, seed: u64) -> Self {
        let mut addresses: Vec<SocketAddr> = config.local.iter().map(|local| local.addr).collect();
        addresses.dedup();
        let ip = addresses.first().map_or([127, 0, 0, 1].into(), SocketAddr::ip);
        let port = 40_000 + 1_000 * u16::try_from(seat).unwrap_or_default();
        let mut session = Wanted::new(ip, 1_000 + seat as u64);
        session.add_stream(Stream::audio(port, [Codec::pcma(), Codec::pcmu(), Codec::telephone_event()]));
        Self {
            name: name.to_owned(),
            seat,
            addresses,
            endpoint: Endpoint::new(config, seed.wrapping_mul(31).wrapping_add(seat as u64)),
            now: Instant::ZERO,
            due: None,
            outbox: Vec::new(),
            events: Vec::new(),
            sessions: HashMap::new(),
            hosts: HashMap::new(),
            session,
            answers: false,
            follows_refers: true,
        }
    }

    /// Its address of record.
    pub fn uri(&self) -> String {
        let at = self.addresses.first().map(ToString::to_string).unwrap_or_default();
        format!("sip:{}@{at}", self.name)
    }

    /// Its first address.
    pub fn address(&self) -> SocketAddr {
        self.addresses.first().copied().unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// The endpoint itself, to look at.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The endpoint's settings, to change.
    pub fn config(&mut self) -> &mut Config {
        self.endpoint.config_mut()
    }

    /// Calls a URI with its session.
    #[track_caller]
    pub fn invite(&mut self, to: &str) -> CallId {
        let invite = Invite::new(to, self.session.clone());
        self.invite_with(invite)
    }

    /// Places this call.
    #[track_caller]
    pub fn invite_with(&mut self, invite: Invite) -> CallId {
        let call = self.endpoint.invite(self.now, invite);
        let call = call.unwrap_or_else(|refused| panic!("{} refuses to call: {refused}", self.name));
        self.drain();
        call
    }

    /// A call, to work its verbs.
    pub fn call(&mut self, call: impl Handle) -> Hand<'_> {
        let id = call.of(self.seat);
        Hand { agent: self, id }
    }

    /// The call that came up last.
    ///
    /// # Panics
    /// If it never had one.
    #[track_caller]
    pub fn last_call(&self) -> CallId {
        let told = self.events.iter().rev().find_map(|(_, event)| match event {
            Event::Call { call, .. } => Some(*call),
            _ => None,
        });
        told.or_else(|| self.endpoint.calls().last()).unwrap_or_else(|| panic!("{} has no call", self.name))
    }

    /// Everything it told, with the time.
    pub fn events(&self) -> &[(Instant, Event)] {
        &self.events
    }

    /// What it told of one call.
    pub fn told(&self, call: impl Handle) -> impl Iterator<Item = &CallEvent> {
        let id = call.of(self.seat);
        self.events.iter().filter_map(move |(_, event)| match event {
            Event::Call { call, event } if *call == id => Some(event),
            _ => None,
        })
    }

    /// The session of a call as it last told it.
    pub fn agreed(&self, call: impl Handle) -> Option<&Agreed> {
        self.sessions.get(&call.of(self.seat))
    }

    /// A call as the endpoint has it now; `None` once it is gone.
    pub fn look(&self, call: impl Handle) -> Option<CallRef<'_>> {
        self.endpoint.look(call.of(self.seat))
    }

    /// Its dialogs, as they are now.
    pub fn dialogs(&self) -> Vec<Dialog> {
        let calls = self.endpoint.calls().filter_map(|call| self.endpoint.look(call));
        calls.flat_map(|call| call.dialogs().cloned().collect::<Vec<_>>()).collect()
    }

    /// Whether a call is up.
    pub fn is_up(&self, call: impl Handle) -> bool {
        self.look(call).is_some_and(|call| call.is_up())
    }

    /// Why a call ended, if it did.
    pub fn ended(&self, call: impl Handle) -> Option<&Ended> {
        self.told(call).find_map(|event| match event {
            CallEvent::Ended { why } => Some(why),
            _ => None,
        })
    }

    /// The rules that it says its peers broke.
    pub fn peers_broke(&self) -> Vec<RuleId> {
        let broke = |(_, event): &(Instant, Event)| match event {
            Event::Call { event: CallEvent::PeerBroke { rule }, .. } => Some(*rule),
            _ => None,
        };
        self.events.iter().filter_map(broke).collect()
    }

    fn input(&mut self, input: Input<'_>) {
        self.endpoint.handle_input(self.now, input);
        self.drain();
    }

    /// Takes everything that the endpoint has to give.
    fn drain(&mut self) {
        let mut todo = VecDeque::new();
        loop {
            match self.endpoint.poll_output() {
                Output::Transmit(transmit) => self.outbox.push(Outgoing {
                    transport: transmit.flow.transport,
                    from: transmit.flow.local,
                    to: transmit.flow.remote,
                    connection: transmit.flow.connection,
                    bytes: transmit.bytes.to_vec(),
                }),
                Output::Resolve { query, host, port, transport } => {
                    let found = self.hosts.get(&host).into_iter().flatten();
                    let targets = found.map(|address| {
                        let port = port.unwrap_or_else(|| address.port());
                        (transport.unwrap_or(Transport::Udp), SocketAddr::new(address.ip(), port))
                    });
                    let targets = targets.collect();
                    self.endpoint.handle_input(self.now, Input::Resolved { query, targets });
                }
                Output::Event(event) => {
                    if let Event::Call { call, event: CallEvent::Session { agreed, .. } } = &event {
                        self.sessions.insert(*call, agreed.clone());
                    }
                    if let Event::Call { call, event } = &event {
                        todo.push_back((*call, event.clone()));
                    }
                    self.events.push((self.now, event));
                }
                Output::Timeout(due) => {
                    self.due = due;
                    let Some((call, event)) = todo.pop_front() else { return };
                    self.react(call, &event);
                }
            }
        }
    }

    /// What its application does by itself.
    fn react(&mut self, call: CallId, event: &CallEvent) {
        let (now, session) = (self.now, self.session.clone());
        match event {
            CallEvent::Incoming(_) if self.answers => {
                if let Some(mut call) = self.endpoint.call(call) {
                    // A call that is cancelled before it is answered is no fault of the application.
                    let _ = call.accept(now, Some(session));
                }
            }
            CallEvent::Referred { refer, decide: false, .. } if self.follows_refers => {
                let _ = self.endpoint.place_referred(now, call, *refer, Invite::new("", session));
            }
            _ => {}
        }
    }
}

impl Node for Agent {
    fn name(&self) -> &str {
        &self.name
    }

    fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    fn arrive(&mut self, now: Instant, at: SocketAddr, arrival: Arrival) {
        self.now = now;
        match arrival {
            Arrival::Packet(packet) => {
                let flow = Flow {
                    transport: packet.transport,
                    local: at,
                    remote: packet.from,
                    connection: packet.connection,
                };
                self.input(Input::Message { flow, bytes: &packet.bytes });
            }
            Arrival::Unreachable { transport, remote } => {
                self.input(Input::TransportError { transport, remote });
            }
            Arrival::Closed { connection } => self.input(Input::Closed { connection }),
        }
    }

    fn wake(&mut self, now: Instant) {
        self.now = now;
        if self.due.is_some_and(|due| due <= now) {
            self.input(Input::Timeout);
        }
    }

    fn sends(&mut self) -> Vec<Outgoing> {
        std::mem::take(&mut self.outbox)
    }

    fn due(&self) -> Option<Instant> {
        self.due
    }
}

/// Something that names a call of an agent.
pub trait Handle: Copy {
    /// The call's number at the agent in this seat.
    fn of(self, seat: usize) -> CallId;
}

impl Handle for CallId {
    fn of(self, _: usize) -> CallId {
        self
    }
}

/// One call as both its ends number it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub(crate) ends: [(usize, CallId); 2],
}

impl Handle for Call {
    fn of(self, seat: usize) -> CallId {
        let [(one, id), (_, other)] = self.ends;
        if one == seat { id } else { other }
    }
}

/// The verbs of one call, without the time: an agent knows what time it is.
///
/// Each panics where the endpoint refuses; [`Hand::attempt`] is for tests that want the refusal.
pub struct Hand<'a> {
    agent: &'a mut Agent,
    id: CallId,
}

macro_rules! verbs {
    ($($(#[$doc:meta])* $verb:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {
        $($(#[$doc])*
        #[track_caller]
        pub fn $verb(&mut self $(, $arg: $type)*) -> $result {
            let done = self.attempt(|call, now| call.$verb(now $(, $arg)*));
            done.unwrap_or_else(|refused| panic!("{} is refused: {refused}", stringify!($verb)))
        })*
    };
}

impl Hand<'_> {
    verbs! {
        /// Rings: 180.
        ring() -> ();
        /// Opens early media: 183 with SDP.
        early(session: Wanted) -> ();
        /// Declines with this status.
        refuse(status: u16) -> ();
        /// Cancels the call or the re-INVITE that is under way; tells whether there was one.
        cancel() -> bool;
        /// Ends the call.
        hang_up() -> ();
        /// Puts the call on hold.
        hold() -> Ticket;
        /// Takes it off hold.
        resume() -> Ticket;
        /// Refreshes the session timer.
        refresh() -> Ticket;
        /// Tells the peer our present Contact; says whether the old address is lost.
        moved(lost: bool) -> Ticket;
        /// Changes the session.
        modify(change: Modification, prefer: Option<Prefer>) -> Ticket;
        /// Asks the peer to call this URI.
        transfer(target: &str) -> ();
        /// Asks the peer to take our place in another call.
        transfer_to_call(other: CallId) -> ();
        /// The word on an offer that needed a person.
        answer_offer(session: Option<Wanted>) -> bool;
        /// Accepts a REFER that waits.
        accept_refer(refer: u32) -> ();
        /// Declines a REFER that waits.
        decline_refer(refer: u32) -> ();
    }

    /// Answers with the agent's session.
    #[track_caller]
    pub fn accept(&mut self) {
        let session = self.agent.session.clone();
        let done = self.attempt(|call, now| call.accept(now, Some(session)));
        done.unwrap_or_else(|refused| panic!("accept is refused: {refused}"));
    }

    /// Sends the session once more, changed or not.
    #[track_caller]
    pub fn reinvite(&mut self) -> Ticket {
        self.modify(Modification::Repeat, Some(Prefer::ReInvite))
    }

    /// Asks the peer for an offer.
    #[track_caller]
    pub fn offerless(&mut self) -> Ticket {
        self.modify(Modification::Offerless, None)
    }

    /// Uses these codecs from now on.
    #[track_caller]
    pub fn codecs(&mut self, codecs: impl IntoIterator<Item = Codec>) -> Ticket {
        self.modify(Modification::Codecs(codecs.into_iter().collect()), None)
    }

    /// Works a verb and gives back what the endpoint says.
    pub fn attempt<R>(
        &mut self,
        verb: impl FnOnce(&mut midcall_proto::endpoint::CallMut<'_>, Instant) -> Result<R, Refused>,
    ) -> Result<R, Refused> {
        let now = self.agent.now;
        let gone = Refused { rule: RuleId::SessionOverAtBye, because: Default::default() };
        let done = self.agent.endpoint.call(self.id).map_or(Err(gone), |mut call| verb(&mut call, now));
        self.agent.drain();
        done
    }
}
