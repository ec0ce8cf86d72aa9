//! Who is who, where a log does not say.
//!
//! Most logs name only the other side, some neither. What the messages say helps: the top Via of a request is its
//! sender's (RFC 3261 §18.1.1), that of a response the receiver's (§18.2.2), a Contact is where its sender is reached
//! (§8.1.1.8). A message about which nothing is known yet waits for one that tells, for a while.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use midcall_proto::dialog::Way;
use midcall_proto::flow::Transport;
use midcall_wire::{Message, NameAddr, Uri, Via};

use super::format::Path;
use super::scan::{invented, literal};
use crate::source::Packet;

/// Gives messages their addresses.
#[derive(Debug, Default)]
pub(super) struct Sides {
    /// Our address towards the other side.
    locals: Table<(IpAddr, Transport)>,
    /// Our address as it was first known, by whether the transport is a stream.
    local: [Option<SocketAddr>; 2],
    /// The addresses of parties, by Call-ID and tag.
    parties: Table<u64>,
    /// Where requests went, by branch.
    requests: Table2,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    packet: Packet,
    path: Path,
    facts: Facts,
}

/// What a message says about addresses.
#[derive(Clone, Debug, Default)]
struct Facts {
    request: bool,
    /// The party that sent it and the one it is for, by Call-ID and tag.
    sender: u64,
    receiver: u64,
    /// The receiver before it had a tag.
    untagged: u64,
    branch: u64,
    /// Sent-by of the top Via, and what `received` and `rport` make of it.
    sent_by: Option<SocketAddr>,
    reached: Option<SocketAddr>,
    contact: Option<SocketAddr>,
    /// The first Route, else the Request-URI.
    target: Option<SocketAddr>,
    /// The name in the Via, of a client that has no address to write.
    name: Option<IpAddr>,
    /// Whether no proxy stands between the sender of the request and here.
    first_hop: bool,
}

impl Sides {
    /// Takes a message; it comes out of [`Sides::ready`] at once, or later.
    pub(super) fn take(&mut self, mut packet: Packet, path: Path) {
        let path = known(path);
        if let Path::Full { from, to } = path {
            (packet.from, packet.to) = (from, to);
            self.waiting.push_back(Waiting { packet, path, facts: Facts::default() });
            return;
        }
        let facts = match path {
            // Nothing more is needed.
            Path::Remote { remote, .. } if self.locals.get(&(remote.ip(), packet.transport)).is_some() => {
                Facts::default()
            }
            _ => Facts::read(&packet),
        };
        self.learn(&facts, path, packet.transport);
        self.waiting.push_back(Waiting { packet, path, facts });
    }

    /// The next message whose addresses are known, or that has waited too long; at the end none waits.
    pub(super) fn ready(&mut self, end: bool) -> Option<Packet> {
        let front = self.waiting.front()?;
        let impatient = end || self.waiting.len() > MOST_WAITING;
        let (from, to) = match (front.path, self.resolve(front)) {
            (Path::Full { from, to }, _) => (from, to),
            (_, (Some(from), Some(to))) => (from, to),
            (_, (from, to)) if impatient => self.invent(front, from, to),
            _ => return None,
        };
        let Waiting { packet, path, facts } = self.waiting.pop_front()?;
        self.pin(&facts, path, packet.transport, from, to);
        Some(Packet { from, to, ..packet })
    }

    /// Notes what a message tells for sure.
    fn learn(&mut self, facts: &Facts, path: Path, transport: Transport) {
        let way = match path {
            Path::Remote { way, .. } | Path::Way(way) => Some(way),
            _ => None,
        };
        let ours = match (way, facts.request) {
            (Some(Way::Sent), true) => facts.sent_by.or(facts.contact),
            (Some(Way::Received), false) => facts.sent_by,
            (Some(Way::Sent), false) => facts.contact,
            (Some(Way::Received), true) => facts.target,
            (None, _) => None,
        };
        if let Some(ours) = ours
            && !matches!(path, Path::Remote { remote, .. } if remote == ours)
        {
            self.local[usize::from(transport.reliable())].get_or_insert(ours);
            if let Path::Remote { remote, .. } = path {
                self.locals.note((remote.ip(), transport), ours);
            }
        }
        if !matches!(path, Path::Way(_) | Path::Unknown) {
            return;
        }
        let direct = facts.first_hop.then_some(facts.sent_by).flatten();
        if facts.request {
            if let Some(sender) = direct.or(facts.contact) {
                self.parties.note(facts.sender, sender);
            }
        } else {
            if let Some(receiver) = direct {
                self.parties.note(facts.receiver, receiver);
            }
            if let Some(contact) = facts.contact {
                self.parties.note(facts.sender, contact);
                self.parties.note(facts.untagged, contact);
            }
        }
    }

    fn resolve(&self, waiting: &Waiting) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let Waiting { packet, path, facts } = waiting;
        let transport = packet.transport;
        match *path {
            Path::Full { from, to } => (Some(from), Some(to)),
            Path::Remote { way, remote } => {
                let local = self.locals.get(&(remote.ip(), transport)).or_else(|| self.any_local(transport));
                turned(way, local, Some(remote))
            }
            Path::Way(way) => {
                let (from, to) = self.by_tags(facts);
                let remote = if way == Way::Sent { to } else { from };
                turned(way, self.any_local(transport), remote)
            }
            Path::Unknown => self.by_tags(facts),
        }
    }

    fn by_tags(&self, facts: &Facts) -> (Option<SocketAddr>, Option<SocketAddr>) {
        if facts.request {
            let from = if facts.first_hop { self.parties.get(&facts.sender) } else { None };
            let to = self.requests.get(&facts.branch).map(|(_, to)| to);
            let to = to.or(facts.target).or_else(|| self.parties.get(&facts.receiver));
            return (from.or(facts.reached), to);
        }
        if let Some((from, to)) = self.requests.get(&facts.branch) {
            return (Some(to), Some(from));
        }
        let to = if facts.first_hop { self.parties.get(&facts.receiver) } else { None };
        (self.parties.get(&facts.sender).or(facts.contact), to.or(facts.reached))
    }

    fn any_local(&self, transport: Transport) -> Option<SocketAddr> {
        let [datagram, stream] = self.local;
        if transport.reliable() { stream.or(datagram) } else { datagram.or(stream) }
    }

    /// What stands for an address that nothing tells.
    fn invent(
        &self,
        waiting: &Waiting,
        from: Option<SocketAddr>,
        to: Option<SocketAddr>,
    ) -> (SocketAddr, SocketAddr) {
        let facts = &waiting.facts;
        let stand_in = |party: u64| SocketAddr::new(invented(&party.to_be_bytes()), 0);
        let named = facts.name.map(|name| SocketAddr::new(name, 0));
        match waiting.path {
            Path::Way(way) => {
                // Both sides must not look the same: ours stays open, theirs gets a stand-in.
                let remote = if way == Way::Sent { facts.receiver } else { facts.sender };
                let remote = if way == Way::Sent { to } else { from }.unwrap_or_else(|| stand_in(remote));
                let local = if way == Way::Sent { from } else { to }
                    .or(if facts.request == (way == Way::Sent) { named } else { None });
                let local = local.unwrap_or(NOWHERE);
                if way == Way::Sent { (local, remote) } else { (remote, local) }
            }
            Path::Remote { .. } | Path::Full { .. } => (from.unwrap_or(NOWHERE), to.unwrap_or(NOWHERE)),
            Path::Unknown if facts.request => {
                (from.or(named).unwrap_or(NOWHERE), to.unwrap_or_else(|| stand_in(facts.untagged)))
            }
            Path::Unknown => {
                (from.unwrap_or_else(|| stand_in(facts.untagged)), to.or(named).unwrap_or(NOWHERE))
            }
        }
    }

    /// Keeps what was given, so that it stays the same.
    fn pin(&mut self, facts: &Facts, path: Path, transport: Transport, from: SocketAddr, to: SocketAddr) {
        match path {
            Path::Remote { way, remote } => {
                self.locals.note((remote.ip(), transport), if way == Way::Sent { from } else { to });
            }
            Path::Way(_) | Path::Unknown => {
                if let Path::Way(way) = path {
                    let local = if way == Way::Sent { from } else { to };
                    self.local[usize::from(transport.reliable())].get_or_insert(local);
                }
                self.parties.note(facts.sender, from);
                self.parties.note(facts.receiver, to);
                if facts.request {
                    self.requests.note(facts.branch, (from, to));
                }
            }
            Path::Full { .. } => {}
        }
    }
}

/// From and to, of our address and theirs.
const fn turned(
    way: Way,
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
) -> (Option<SocketAddr>, Option<SocketAddr>) {
    match way {
        Way::Sent => (local, remote),
        Way::Received => (remote, local),
    }
}

/// Some loggers write their own address as `0.0.0.0:0`.
const fn known(path: Path) -> Path {
    match path {
        Path::Full { from, to } if is_nowhere(from) && !is_nowhere(to) => {
            Path::Remote { way: Way::Sent, remote: to }
        }
        Path::Full { from, to } if is_nowhere(to) && !is_nowhere(from) => {
            Path::Remote { way: Way::Received, remote: from }
        }
        _ => path,
    }
}

const fn is_nowhere(address: SocketAddr) -> bool {
    address.ip().is_unspecified() && address.port() == 0
}

impl Facts {
    fn read(packet: &Packet) -> Self {
        let Some(message) = Message::salvage(packet.payload.as_slice()) else { return Self::default() };
        let port = packet.transport.default_port();
        let call = message.call_id().unwrap_or_default();
        let tag = |address: Result<NameAddr<'_>, _>| {
            let tag = address.ok().and_then(|address| address.tag().map(str::to_owned));
            hash(&(call, tag.unwrap_or_default()))
        };
        let (from, to) = (tag(message.from()), tag(message.to()));
        let request = message.is_request();
        let (sender, receiver) = if request { (from, to) } else { (to, from) };
        let via = message.top_via().ok();
        let (sent_by, reached, name) = via.as_ref().map_or((None, None, None), |via| of_via(via, port));
        let contact = message.contact().and_then(Result::ok).and_then(|contact| of_uri(contact.uri, port));
        let target = request
            .then(|| {
                let route = message.addresses(midcall_wire::Name::Route).next().and_then(Result::ok);
                route.map_or_else(
                    || message.request_uri().and_then(|uri| of_uri(uri, port)),
                    |route| of_uri(route.uri, port),
                )
            })
            .flatten();
        Self {
            request,
            sender,
            receiver,
            untagged: hash(&(call, "")),
            branch: hash(&via.as_ref().and_then(Via::branch)),
            sent_by,
            reached,
            contact,
            target,
            name,
            first_hop: message.count(midcall_wire::Name::Via) == 1,
        }
    }
}

type FromVia = (Option<SocketAddr>, Option<SocketAddr>, Option<IpAddr>);

fn of_via(via: &Via<'_>, default: u16) -> FromVia {
    let port = via.port.unwrap_or(default);
    let sent_by = literal(via.host.as_bytes()).map(|host| SocketAddr::new(host, port));
    let host = via.received_ip();
    let host = host.or(sent_by.map(|sent_by| sent_by.ip()));
    let reached = host.map(|host| SocketAddr::new(host, via.rport().flatten().unwrap_or(port)));
    let name = sent_by.is_none().then(|| invented(via.host.as_bytes()));
    (sent_by, reached, name)
}

fn of_uri(uri: &str, default: u16) -> Option<SocketAddr> {
    let uri = Uri::parse(uri).ok()?;
    Some(SocketAddr::new(literal(uri.host.as_bytes())?, uri.port.unwrap_or(default)))
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// What was first known of something. When it is full the older half is forgotten.
#[derive(Debug)]
struct Memory<K, V> {
    newer: HashMap<K, V>,
    older: HashMap<K, V>,
}

type Table<K> = Memory<K, SocketAddr>;
type Table2 = Memory<u64, (SocketAddr, SocketAddr)>;

impl<K, V> Default for Memory<K, V> {
    fn default() -> Self {
        Self { newer: HashMap::new(), older: HashMap::new() }
    }
}

impl<K: Hash + Eq, V: Copy> Memory<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        self.newer.get(key).or_else(|| self.older.get(key)).copied()
    }

    fn note(&mut self, key: K, value: V) {
        let value = self.get(&key).unwrap_or(value);
        if self.newer.len() >= MOST_KNOWN {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(key, value);
    }
}

/// No address.
pub(super) const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
const MOST_WAITING: usize = 64;
const MOST_KNOWN: usize = 10_000;
