//! What all calls of an endpoint share: settings, randomness, transactions, the outbox.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use midcall_wire::{Method, Name, NameAddr, Scheme, Uri};

use super::config::{Config, LocalAddr, Reliable};
use super::delivery::Delivery;
use super::io::{Output, Transmit};
use crate::auth::DigestClient;
use crate::dialog::{At, OptionSet, OptionTag};
use crate::event::{CallEvent, CallId, Event, RegistrationId};
use crate::flow::{Flow, Transport};
use crate::rng::Rng;
use crate::time::Instant;
use crate::transaction::{Action, ClientId, Layer, Timers};

/// Methods that an endpoint takes, UPDATE aside.
pub(super) const METHODS: &[Method] = &[
    Method::Invite,
    Method::Ack,
    Method::Cancel,
    Method::Bye,
    Method::Options,
    Method::Prack,
    Method::Refer,
    Method::Notify,
    Method::Info,
];

/// How long the addresses of a name are believed without asking again. A name without any is asked for again at once.
const NAME_HOLDS: Duration = Duration::from_secs(60);
/// How many of our own URIs are remembered to be shared: an identity and a Contact, and some to change to.
const MOST_OWN_URIS: usize = 4;
/// The most host names that an endpoint remembers the addresses of.
const MOST_NAMES: usize = 1024;

/// What a request of ours was sent for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// The INVITE that forms the dialog.
    Setup,
    /// A modification: re-INVITE or UPDATE.
    Change,
    /// A new Contact, told inside a re-INVITE of ours; whether the old address is lost.
    Move { lost: bool },
    /// A PRACK for this INVITE, made for a change or not.
    Prack,
    /// The end of the session.
    Bye,
    /// A transfer.
    Refer,
    /// News of a REFER that we follow: its CSeq.
    Notify { refer: u32 },
    /// CANCEL, INFO and others whose outcome changes nothing.
    Other,
}

/// Whose request a client transaction is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum User {
    /// A call's, in this leg.
    Call { call: CallId, leg: u32, purpose: Purpose, cseq: u32 },
    /// A registration's.
    Registration(RegistrationId),
}

/// Something that one call wants of another; done when the first has had its turn.
#[derive(Clone, Debug)]
pub(super) enum Later {
    /// The new call was accepted in place of the old one.
    Replace { old: CallId, by: CallId },
    /// The call placed for a REFER has news.
    Referred { referrer: CallId, refer: u32, status: u16 },
    /// Forget this dialog's name.
    Forget { call_id: Arc<str>, tag: Arc<str>, call: CallId },
    /// Remember this dialog's name.
    Index { call_id: Arc<str>, tag: Arc<str>, call: CallId },
}

/// Where the next hop of a request is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Hop {
    /// Known.
    Known(Flow),
    /// A host name to look up first.
    Name { host: String, port: Option<u16>, transport: Option<Transport> },
    /// We have no transport that reaches it, or it is no SIP URI.
    Unreachable,
}

/// The addresses of a name, best first, and until when they are believed.
struct Found {
    until: Instant,
    targets: Vec<(Transport, SocketAddr)>,
}

pub(super) struct Core {
    pub(super) config: Config,
    pub(super) credentials: Option<Arc<crate::auth::Credentials>>,
    pub(super) rng: Rng,
    pub(super) layer: Layer,
    pub(super) out: VecDeque<Output>,
    pub(super) clients: BTreeMap<ClientId, User>,
    pub(super) delivery: Delivery,
    pub(super) later: Vec<Later>,
    /// The last of our own URIs: nearly all calls have the same, and each shares its text.
    own_uris: Vec<Arc<str>>,
    /// Addresses of names.
    names: BTreeMap<String, Found>,
    /// When the oldest of them runs out.
    names_checked: Instant,
    questions: BTreeMap<u64, (String, Vec<CallId>, Vec<RegistrationId>)>,
    next_question: u64,
    messages: u32,
    dropped: BTreeMap<&'static str, u64>,
}

impl Core {
    /// Lets a text of ours share its memory with the same one of other calls.
    pub(super) fn share(&mut self, uri: &mut Arc<str>) {
        if let Some(known) = self.own_uris.iter().find(|known| *known == uri) {
            uri.clone_from(known);
            return;
        }
        if self.own_uris.len() >= MOST_OWN_URIS {
            self.own_uris.remove(0);
        }
        self.own_uris.push(uri.clone());
    }

    pub(super) fn new(config: Config, seed: u64) -> Self {
        let timers = Timers { t1: config.t1, t2: config.t2, t4: config.t4 };
        Self {
            credentials: config.credentials.clone().map(Arc::new),
            rng: Rng::new(seed),
            layer: Layer::seeded(timers, seed),
            out: VecDeque::new(),
            clients: BTreeMap::new(),
            delivery: Delivery::default(),
            later: Vec::new(),
            own_uris: Vec::new(),
            names: BTreeMap::new(),
            names_checked: Instant::MAX,
            questions: BTreeMap::new(),
            next_question: 0,
            messages: 0,
            dropped: BTreeMap::new(),
            config,
        }
    }

    /// Numbers the next message.
    pub(super) fn at(&mut self, now: Instant) -> At {
        self.messages = self.messages.wrapping_add(1);
        At { n: self.messages, time: now }
    }

    pub(super) fn patience(&self) -> Duration {
        self.config.t1 * 64
    }

    pub(super) fn transmit(&mut self, flow: Flow, bytes: Bytes) {
        self.out.push_back(Output::Transmit(Transmit { flow, bytes }));
    }

    pub(super) fn tell(&mut self, call: CallId, event: CallEvent) {
        self.out.push_back(Output::Event(Event::Call { call, event }));
    }

    /// Counts input that could not be used.
    pub(super) fn drop_input(&mut self, what: &'static str) {
        let count = self.dropped.entry(what).or_default();
        *count += 1;
        let count = *count;
        self.out.push_back(Output::Event(Event::Dropped { what, count }));
    }

    /// Moves what the transaction layer wants sent to the outbox; returns the next thing it has to say.
    pub(super) fn next_action(&mut self) -> Option<Action> {
        while let Some(action) = self.layer.poll() {
            match action {
                Action::Transmit { flow, bytes } => self.transmit(flow, bytes),
                other => return Some(other),
            }
        }
        None
    }

    pub(super) fn digest(&self) -> Option<Box<DigestClient>> {
        self.credentials.clone().map(|credentials| Box::new(DigestClient::new(credentials)))
    }

    /// The methods that our Allow lists.
    pub(super) fn allow_text(&self) -> String {
        let mut text = METHODS.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(", ");
        if self.config.update {
            text.push_str(", UPDATE");
        }
        text
    }

    /// The option tags that our Supported lists.
    pub(super) fn supported(&self) -> OptionSet {
        let mut set = OptionSet::of(&[OptionTag::Replaces, OptionTag::NoReferSub, OptionTag::TargetDialog]);
        for (on, tag) in [
            (self.config.reliable != Reliable::Off, OptionTag::Rel100),
            (self.config.timer, OptionTag::Timer),
            (self.config.from_change, OptionTag::FromChange),
        ] {
            if on {
                set = set.with(tag);
            }
        }
        set
    }

    /// Our listening address for a transport.
    pub(super) fn local(&self, transport: Transport) -> Option<LocalAddr> {
        self.config.local.iter().copied().find(|local| local.transport == transport)
    }

    /// Our listening address for a peer: the same transport, and the same address family where there is a choice.
    pub(super) fn local_for(&self, transport: Transport, remote: SocketAddr) -> Option<LocalAddr> {
        self.config
            .local
            .iter()
            .copied()
            .find(|local| local.transport == transport && local.addr.is_ipv4() == remote.is_ipv4())
            .or_else(|| self.local(transport))
    }

    /// Our Contact over a flow.
    pub(super) fn contact(&self, flow: &Flow, secure: bool) -> String {
        let addr = self.local_for(flow.transport, flow.remote).map_or(flow.local, |local| local.addr);
        let scheme = if secure { "sips" } else { "sip" };
        let transport = match flow.transport {
            Transport::Tcp => ";transport=tcp",
            Transport::Ws | Transport::Wss => ";transport=ws",
            Transport::Udp | Transport::Tls => "",
        };
        format!("<{scheme}:{}@{addr}{transport}>", self.config.contact_user)
    }

    /// A Via value over a flow, with a fresh branch.
    pub(super) fn via(&mut self, flow: &Flow) -> String {
        let branch = format!("z9hG4bK{}", self.rng.token(96));
        self.via_of(flow, &branch)
    }

    /// A Via value over a flow, with this branch.
    pub(super) fn via_of(&self, flow: &Flow, branch: &str) -> String {
        let addr = self.local_for(flow.transport, flow.remote).map_or(flow.local, |local| local.addr);
        format!("SIP/2.0/{} {addr};branch={branch};rport", flow.transport.as_str())
    }

    /// The next hop for a URI: where RFC 3263 leads, from what is known without asking.
    pub(super) fn hop(&self, uri: &str, known: Option<&Flow>) -> Hop {
        let Ok(uri) = Uri::parse(uri) else { return Hop::Unreachable };
        if !matches!(uri.scheme, Scheme::Sip | Scheme::Sips) {
            return Hop::Unreachable;
        }
        let wanted = wanted(&uri);
        let transport = wanted
            .or_else(|| known.map(|flow| flow.transport).filter(|_| uri.ip().is_some()))
            .or_else(|| self.local(Transport::Udp).map(|_| Transport::Udp))
            .or_else(|| self.config.local.first().map(|local| local.transport));
        let Some(transport) = transport else { return Hop::Unreachable };
        if let Some(ip) = uri.ip() {
            let remote = SocketAddr::new(ip, uri.port.unwrap_or_else(|| transport.default_port()));
            return self.flow_to(transport, remote, known).map_or(Hop::Unreachable, Hop::Known);
        }
        let question = question(uri.host, uri.port, wanted);
        match self.names.get(&question).and_then(|found| found.targets.first()) {
            Some((transport, remote)) => {
                self.flow_to(*transport, *remote, known).map_or(Hop::Unreachable, Hop::Known)
            }
            None if self.names.contains_key(&question) => Hop::Unreachable,
            None => Hop::Name { host: uri.host.to_owned(), port: uri.port, transport: wanted },
        }
    }

    /// The addresses of a URI's host that are left when this one does not do, best first.
    pub(super) fn others(&self, uri: &str, tried: &Flow) -> VecDeque<(Transport, SocketAddr)> {
        let Some(uri) = Uri::parse(uri).ok().filter(|uri| uri.ip().is_none()) else { return VecDeque::new() };
        let found = self.names.get(&question(uri.host, uri.port, wanted(&uri)));
        let targets = found.iter().flat_map(|found| &found.targets).copied();
        targets.filter(|target| *target != (tried.transport, tried.remote)).collect()
    }

    /// A flow to an address, over the connection of a known one if it leads there.
    pub(super) fn flow_to(
        &self,
        transport: Transport,
        remote: SocketAddr,
        known: Option<&Flow>,
    ) -> Option<Flow> {
        let local = self.local_for(transport, remote)?.addr;
        let connection = known
            .filter(|flow| flow.transport == transport && flow.remote == remote)
            .and_then(|flow| flow.connection);
        Some(Flow { transport, local, remote, connection })
    }

    /// Asks the shell for the addresses of a host, for a call or a registration that waits for them.
    pub(super) fn resolve(
        &mut self,
        host: String,
        port: Option<u16>,
        transport: Option<Transport>,
        call: Option<CallId>,
        registration: Option<RegistrationId>,
    ) {
        let name = question(&host, port, transport);
        if let Some((_, calls, registrations)) =
            self.questions.values_mut().find(|(asked, ..)| *asked == name)
        {
            calls.extend(call.filter(|call| !calls.contains(call)));
            registrations.extend(registration);
            return;
        }
        let query = self.next_question;
        self.next_question += 1;
        self.questions.insert(query, (name, call.into_iter().collect(), registration.into_iter().collect()));
        self.out.push_back(Output::Resolve { query, host, port, transport });
    }

    /// Forgets addresses that are too old to be believed.
    pub(super) fn forget_names(&mut self, now: Instant) {
        if self.names_checked <= now {
            self.names.retain(|_, found| found.until > now);
            self.names_checked = self.names.values().map(|found| found.until).min().unwrap_or(Instant::MAX);
        }
    }

    /// Takes the shell's answer; gives back who waited for it.
    pub(super) fn resolved(
        &mut self,
        now: Instant,
        query: u64,
        targets: Vec<(Transport, SocketAddr)>,
    ) -> (Vec<CallId>, Vec<RegistrationId>) {
        let Some((name, calls, registrations)) = self.questions.remove(&query) else {
            return Default::default();
        };
        if self.names.len() >= MOST_NAMES {
            self.names.pop_first();
        }
        let until = if targets.is_empty() { now } else { now + NAME_HOLDS };
        self.names_checked = self.names_checked.min(until);
        self.names.insert(name, Found { until, targets });
        (calls, registrations)
    }

    /// An address did not work: what was learnt about names is asked anew, but for further addresses of the same name.
    pub(super) fn unreachable(&mut self, transport: Transport, remote: SocketAddr) {
        self.names.retain(|_, found| {
            found.targets.retain(|target| *target != (transport, remote));
            !found.targets.is_empty()
        });
    }

    /// Our identity as a From value without tag, or another one.
    pub(super) fn identity_value(&self, other: Option<&str>) -> String {
        address(other.unwrap_or(&self.config.identity))
    }

    /// Adds what every message of ours carries.
    pub(super) fn agent_header(&self, request: bool) -> Option<(Name, String)> {
        let agent = self.config.user_agent.clone()?;
        Some((if request { Name::UserAgent } else { Name::Server }, agent))
    }
}

/// The transport that a URI asks for.
fn wanted(uri: &Uri<'_>) -> Option<Transport> {
    let named = uri.transport().and_then(Transport::parse);
    match (uri.scheme, named) {
        (Scheme::Sips, Some(Transport::Ws | Transport::Wss)) => Some(Transport::Wss),
        (Scheme::Sips, _) => Some(Transport::Tls),
        (_, named) => named,
    }
}

fn question(host: &str, port: Option<u16>, transport: Option<Transport>) -> String {
    let port = port.map_or(String::new(), |port| port.to_string());
    format!("{}|{port}|{}", host.to_ascii_lowercase(), transport.map_or("", Transport::as_str))
}

/// An address value with angle brackets, so that URI parameters cannot be taken for header parameters.
pub(super) fn address(value: &str) -> String {
    if !value.contains('<') {
        // What a person writes without brackets is a URI with its parameters, not a header value with some.
        return format!("<{}>", value.trim());
    }
    match NameAddr::parse(value) {
        Ok(address) => match address.display {
            Some(display) => format!("{display} <{}>", address.uri),
            None => format!("<{}>", address.uri),
        },
        Err(_) => format!("<{value}>"),
    }
}
