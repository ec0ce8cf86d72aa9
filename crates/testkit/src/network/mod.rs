//! A simulated wire: latency, loss, duplication, reordering and crossing, in virtual time and from a seed.
//!
//! Datagrams can be lost, doubled and overtaken. A stream (any other transport) keeps its order and loses nothing
//! until it is reset. The wire owns the clock: nothing happens between two calls of [`Network::advance`].

mod packet;
mod pick;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use midcall_proto::flow::Transport;
use midcall_proto::rng::Rng;
use midcall_proto::time::Instant;

pub use packet::{Fate, Packet};
pub use pick::Pick;

/// The wire between all parties of a test.
#[derive(Debug)]
pub struct Network {
    now: Instant,
    rng: Rng,
    weather: Weather,
    faults: Vec<Fault>,
    cut: bool,
    unreachable: Vec<(Option<Transport>, SocketAddr)>,
    connections: Vec<Connection>,
    packets: Vec<Packet>,
    flying: BTreeMap<(Instant, u64), Flight>,
    order: u64,
    notices: Vec<(SocketAddr, Notice)>,
}

/// How the wire behaves for packets that no fault was planned for.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// How long each packet takes.
    pub latency: Duration,
    /// Up to how much longer, drawn per packet. More than the gap between two packets reorders them.
    pub jitter: Duration,
    /// How many datagrams of a thousand are lost.
    pub loss: u64,
    /// How many copies of one datagram can be lost, by chance or by plan; `None` for any number. With a few, the wire is fair:
    /// whoever resends long enough is heard.
    pub mercy: Option<usize>,
    /// How many datagrams of a thousand arrive twice.
    pub duplication: u64,
    /// How many datagrams of a thousand are delayed by one more latency, so that others overtake them.
    pub reordering: u64,
}

/// Something the wire hands to a party.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// The packet of this number arrives.
    Packet(Packet),
    /// A packet to this address could not be delivered.
    Unreachable {
        /// The transport that was tried.
        transport: Transport,
        /// The address that nobody listens at.
        remote: SocketAddr,
    },
    /// A connection was closed.
    Closed {
        /// Its number.
        connection: u64,
    },
}

#[derive(Clone, Debug)]
struct Fault {
    pick: Pick,
    left: u32,
    act: Act,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Lose,
    Hold,
    Double,
    Delay(Duration),
}

#[derive(Clone, Copy, Debug)]
struct Connection {
    number: u64,
    client: SocketAddr,
    server: SocketAddr,
    listens: SocketAddr,
    open: bool,
    last: [Instant; 2],
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    packet: usize,
    copy: bool,
}

type Notice = Arrival;

impl Network {
    /// A wire with 1 ms of latency and no weather.
    pub fn new(seed: u64) -> Self {
        Self {
            now: Instant::ZERO,
            rng: Rng::new(seed ^ 0x5eed_77e1),
            weather: Weather::calm(Duration::from_millis(1)),
            faults: Vec::new(),
            cut: false,
            unreachable: Vec::new(),
            connections: Vec::new(),
            packets: Vec::new(),
            flying: BTreeMap::new(),
            order: 0,
            notices: Vec::new(),
        }
    }

    /// The virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Every packet so far, in the order of sending.
    pub fn packets(&self) -> &[Packet] {
        &self.packets
    }

    /// How the wire behaves; change it at any time.
    pub fn weather(&mut self) -> &mut Weather {
        &mut self.weather
    }

    /// Loses the next packet that matches.
    pub fn drop_next(&mut self, pick: impl Into<Pick>) {
        self.plan(pick, 1, Act::Lose);
    }

    /// Loses the next response with this status to a request of this method.
    pub fn drop_next_status(&mut self, status: u16, method: impl AsRef<str>) {
        self.drop_next(Pick::status(status).of(method));
    }

    /// Loses the next `count` packets that match.
    pub fn drop_many(&mut self, pick: impl Into<Pick>, count: u32) {
        self.plan(pick, count, Act::Lose);
    }

    /// Loses every packet that matches from now on.
    pub fn drop_all(&mut self, pick: impl Into<Pick>) {
        self.plan(pick, u32::MAX, Act::Lose);
    }

    /// Lets the next packet that matches arrive twice.
    pub fn double_next(&mut self, pick: impl Into<Pick>) {
        self.plan(pick, 1, Act::Double);
    }

    /// Lets the next packet that matches arrive this much later.
    pub fn delay_next(&mut self, pick: impl Into<Pick>, by: Duration) {
        self.plan(pick, 1, Act::Delay(by));
    }

    /// Keeps the next packet that matches until [`release`](Self::release), so that others can cross or overtake it.
    pub fn hold_back(&mut self, pick: impl Into<Pick>) {
        self.plan(pick, 1, Act::Hold);
    }

    /// Lets every held packet go: they arrive one latency from now, in the order they were sent.
    pub fn release(&mut self) {
        for number in 1..=self.packets.len() {
            self.let_go(number);
        }
    }

    /// Holds a packet that is in flight until it is [let go](Self::let_go).
    pub fn hold(&mut self, number: usize) {
        self.ground(number, Fate::Held);
    }

    /// Loses a packet that is in flight.
    pub fn lose(&mut self, number: usize) {
        self.ground(number, Fate::Lost);
    }

    /// Lets one held packet go: it arrives one latency from now.
    pub fn let_go(&mut self, number: usize) {
        let at = number.saturating_sub(1);
        if self.packets.get(at).is_some_and(|packet| packet.fate == Fate::Held) {
            let due = self.now + self.weather.latency;
            self.fly(at, due, false);
        }
    }

    /// Takes back all plans for single packets.
    pub fn forget_plans(&mut self) {
        self.faults.clear();
    }

    /// Cuts the wire: datagrams are lost until [`mend`](Self::mend), those in flight too.
    pub fn cut(&mut self) {
        self.cut = true;
        for (_, flight) in std::mem::take(&mut self.flying) {
            self.settle(flight.packet, Fate::Lost);
        }
    }

    /// Mends a cut wire.
    pub fn mend(&mut self) {
        self.cut = false;
    }

    /// Makes an address answer nothing: senders learn at once that it is unreachable, as by ICMP or a refused connection.
    pub fn make_unreachable(&mut self, address: SocketAddr) {
        self.unreachable.push((None, address));
    }

    /// Makes an address refuse this transport, and no other.
    pub fn refuse(&mut self, transport: Transport, address: SocketAddr) {
        self.unreachable.push((Some(transport), address));
    }

    /// Closes every stream connection; both ends are told, packets on them are lost.
    pub fn reset_connections(&mut self) {
        for connection in self.connections.iter_mut().filter(|connection| connection.open) {
            connection.open = false;
            let closed = Arrival::Closed { connection: connection.number };
            self.notices.push((connection.listens, closed.clone()));
            self.notices.push((connection.server, closed));
        }
        for at in 0..self.packets.len() {
            let streaming = self.packets.get(at).is_some_and(|packet| {
                packet.connection.is_some() && matches!(packet.fate, Fate::Flying(_) | Fate::Held)
            });
            if streaming {
                self.settle(at, Fate::Lost);
            }
        }
        let packets = &self.packets;
        self.flying
            .retain(|_, flight| packets.get(flight.packet).is_some_and(|packet| packet.fate != Fate::Lost));
    }

    /// Puts a message on the wire now and returns its number.
    ///
    /// A stream without `connection` goes over one that `from` already opened to `to`, or over a new one from an
    /// ephemeral port, as a client's would.
    pub fn send(
        &mut self,
        transport: Transport,
        from: SocketAddr,
        to: SocketAddr,
        connection: Option<u64>,
        bytes: Vec<u8>,
    ) -> usize {
        let number = self.packets.len() + 1;
        let sent = self.now;
        let fate = Fate::Lost;
        let mut packet = Packet { number, sent, from, to, transport, connection: None, bytes, fate };
        if transport.reliable() {
            let at = self.connect(from, to, connection);
            if let Some(stream) = self.connections.get(at) {
                packet.connection = Some(stream.number);
                (packet.from, packet.to) = if from == stream.listens || from == stream.client {
                    (stream.client, stream.server)
                } else {
                    (from, stream.client)
                };
            }
        }
        self.packets.push(packet);
        let refused = |(over, address): &(Option<Transport>, SocketAddr)| {
            *address == to && over.is_none_or(|over| over == transport)
        };
        if self.unreachable.iter().any(refused) {
            self.settle(number - 1, Fate::Unreachable);
            self.notices.push((from, Arrival::Unreachable { transport, remote: to }));
        } else {
            self.dispatch(number - 1);
        }
        number
    }

    /// When the next packet or notice arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        if !self.notices.is_empty() {
            return Some(self.now);
        }
        self.flying.first_key_value().map(|((at, _), _)| *at)
    }

    /// Moves the clock forward; it never goes back.
    pub fn advance(&mut self, to: Instant) {
        self.now = self.now.max(to);
    }

    /// What arrives at or before the present moment, and at which of a party's addresses.
    pub fn arrival(&mut self) -> Option<(SocketAddr, Arrival)> {
        if !self.notices.is_empty() {
            return Some(self.notices.remove(0));
        }
        let (&(at, _), _) = self.flying.first_key_value()?;
        if at > self.now {
            return None;
        }
        let (_, flight) = self.flying.pop_first()?;
        if !flight.copy {
            self.settle(flight.packet, Fate::Delivered(self.now));
        }
        let packet = self.packets.get(flight.packet)?.clone();
        let listens = self.connections.iter().find(|stream| Some(stream.number) == packet.connection);
        let address = match listens {
            Some(stream) if stream.client == packet.to => stream.listens,
            _ => packet.to,
        };
        Some((address, Arrival::Packet(packet)))
    }

    fn ground(&mut self, number: usize, fate: Fate) {
        let at = number.saturating_sub(1);
        if self.packets.get(at).is_some_and(|packet| matches!(packet.fate, Fate::Flying(_) | Fate::Held)) {
            self.flying.retain(|_, flight| flight.packet != at);
            self.settle(at, fate);
        }
    }

    fn plan(&mut self, pick: impl Into<Pick>, left: u32, act: Act) {
        self.faults.push(Fault { pick: pick.into(), left, act });
    }

    fn connect(&mut self, from: SocketAddr, to: SocketAddr, wanted: Option<u64>) -> usize {
        let fits = |stream: &Connection| match wanted {
            Some(number) => stream.number == number,
            None => stream.listens == from && stream.server == to,
        };
        if let Some(at) = self.connections.iter().position(|stream| stream.open && fits(stream)) {
            return at;
        }
        let number = self.connections.len() as u64 + 1;
        let port = 49_151 + u16::try_from(number).unwrap_or_default();
        self.connections.push(Connection {
            number,
            client: SocketAddr::new(from.ip(), port),
            server: to,
            listens: from,
            open: true,
            last: [self.now; 2],
        });
        self.connections.len() - 1
    }

    fn dispatch(&mut self, at: usize) {
        let mut delay = self.weather.latency + self.draw(self.weather.jitter);
        let Some(packet) = self.packets.get(at) else { return };
        let (from, streaming) = (packet.from, packet.connection);
        let planned = self
            .faults
            .iter_mut()
            .find(|fault| fault.left > 0 && fault.pick.matches(from, &packet.bytes))
            .map(|fault| {
                fault.left -= 1;
                fault.act
            });
        let datagram = streaming.is_none();
        let spared = datagram && self.weather.mercy.is_some_and(|most| self.lost_copies(at) >= most);
        let lost = datagram && (self.cut || self.chance(self.weather.loss) && !spared);
        let mut double = datagram && self.chance(self.weather.duplication);
        if datagram && self.chance(self.weather.reordering) {
            delay += self.weather.latency;
        }
        match planned {
            // A stream loses and repeats nothing.
            Some(Act::Lose) if spared || !datagram => {}
            Some(Act::Lose) => return,
            Some(Act::Hold) => return self.settle(at, Fate::Held),
            Some(Act::Double) => double = datagram,
            Some(Act::Delay(by)) => delay += by,
            None if lost => return,
            None => {}
        }
        let due = self.in_order(at, self.now + delay);
        self.fly(at, due, false);
        if double {
            self.fly(at, due + self.weather.latency / 4, true);
        }
    }

    /// How many datagrams like this one were lost before it.
    fn lost_copies(&self, at: usize) -> usize {
        let Some((packet, before)) = self.packets.get(..=at).and_then(<[Packet]>::split_last) else {
            return 0;
        };
        let like = |old: &&Packet| old.to == packet.to && old.fate == Fate::Lost && old.bytes == packet.bytes;
        before.iter().filter(like).count()
    }

    /// On a stream a packet never arrives before the one sent ahead of it.
    fn in_order(&mut self, at: usize, due: Instant) -> Instant {
        let Some(packet) = self.packets.get(at) else { return due };
        let stream = self.connections.iter_mut().find(|stream| Some(stream.number) == packet.connection);
        let Some(stream) = stream else { return due };
        let [outward, back] = &mut stream.last;
        let last = if packet.from == stream.client { outward } else { back };
        *last = due.max(*last);
        *last
    }

    fn fly(&mut self, packet: usize, due: Instant, copy: bool) {
        if !copy {
            self.settle(packet, Fate::Flying(due));
        }
        self.order += 1;
        self.flying.insert((due, self.order), Flight { packet, copy });
    }

    fn settle(&mut self, at: usize, fate: Fate) {
        if let Some(packet) = self.packets.get_mut(at) {
            packet.fate = fate;
        }
    }

    fn draw(&mut self, most: Duration) -> Duration {
        let micros = u64::try_from(most.as_micros()).unwrap_or_default();
        if micros == 0 { Duration::ZERO } else { Duration::from_micros(self.rng.below(micros + 1)) }
    }

    fn chance(&mut self, of_thousand: u64) -> bool {
        of_thousand > 0 && self.rng.below(1_000) < of_thousand
    }
}

impl Weather {
    /// This latency and nothing else.
    pub fn calm(latency: Duration) -> Self {
        Self { latency, jitter: Duration::ZERO, loss: 0, mercy: None, duplication: 0, reordering: 0 }
    }
}
