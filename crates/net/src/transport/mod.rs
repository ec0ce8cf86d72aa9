//! The sockets of a user agent: datagrams and connections, in one place that the driver polls.

mod stats;
mod stream;
mod udp;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use midcall_proto::flow::{Flow, Transport};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time;

use crate::driver::Reach;
use crate::tap::{Tap, Way};
pub(crate) use stats::Counters;
pub use stats::TransportStats;
use stream::{Link, StreamEvent};
use udp::UdpPort;

/// An address to listen on, such as `udp:127.0.0.1:5060` or `tcp:[::1]:5060`.
///
/// ```
/// use midcall::{Listen, Transport};
///
/// let listen: Listen = "tcp:127.0.0.1:5060".parse()?;
/// assert_eq!(listen.transport, Transport::Tcp);
/// assert_eq!(listen.to_string(), "tcp:127.0.0.1:5060");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Listen {
    /// The transport.
    pub transport: Transport,
    /// The address; port 0 lets the system choose one.
    pub address: SocketAddr,
}

impl FromStr for Listen {
    type Err = io::Error;

    fn from_str(text: &str) -> io::Result<Self> {
        let parts = text.split_once(':').and_then(|(name, address)| {
            let transport = Transport::parse(name)?;
            let with_port = address.parse().ok();
            let without = || Some(SocketAddr::new(address.parse().ok()?, transport.default_port()));
            Some(Self { transport, address: with_port.or_else(without)? })
        });
        parts.ok_or_else(|| {
            let text = format!("expected something like udp:127.0.0.1:5060, not {text}");
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.as_str().to_ascii_lowercase(), self.address)
    }
}

/// What came from the network.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A datagram; its bytes are the first `length` of [`Transports::datagram`].
    Datagram { flow: Flow, length: usize },
    /// A message of a connection.
    Message { flow: Flow, bytes: Vec<u8> },
    /// Something sent to this address did not arrive.
    Failed { transport: Transport, remote: SocketAddr },
    /// A connection is closed.
    Closed { connection: u64 },
}

/// All sockets of one user agent.
#[derive(Debug)]
pub(crate) struct Transports {
    udp: Vec<UdpPort>,
    listeners: Vec<Listener>,
    connections: HashMap<u64, Connection>,
    /// The newest connection to a place.
    by_remote: HashMap<(Transport, SocketAddr), u64>,
    last_connection: u64,
    tasks: JoinSet<()>,
    events: mpsc::Receiver<StreamEvent>,
    report: mpsc::Sender<StreamEvent>,
    unreachable: mpsc::Receiver<SocketAddr>,
    report_unreachable: mpsc::Sender<SocketAddr>,
    failed: VecDeque<(Transport, SocketAddr)>,
    buffer: Box<[u8]>,
    tap: Tap,
    counters: Arc<Counters>,
    ping: Option<Duration>,
}

#[derive(Debug)]
struct Listener {
    transport: Transport,
    bound: SocketAddr,
    known_as: SocketAddr,
    /// Takes connections, until the address is abandoned.
    task: Option<AbortHandle>,
}

#[derive(Debug)]
struct Connection {
    transport: Transport,
    local: SocketAddr,
    remote: SocketAddr,
    queue: mpsc::Sender<Bytes>,
    /// We opened it, and nothing has come by it yet.
    unheard: bool,
}

impl Transports {
    pub(crate) fn new(tap: Tap, ping: Option<Duration>) -> Self {
        let (report, events) = mpsc::channel(EVENTS);
        let (report_unreachable, unreachable) = mpsc::channel(EVENTS);
        Self {
            udp: Vec::new(),
            listeners: Vec::new(),
            connections: HashMap::new(),
            by_remote: HashMap::new(),
            last_connection: 0,
            tasks: JoinSet::new(),
            events,
            report,
            unreachable,
            report_unreachable,
            failed: VecDeque::new(),
            buffer: vec![0; DATAGRAM].into(),
            tap,
            counters: Arc::default(),
            ping,
        }
    }

    /// Binds a socket; `known_as` is the address peers are told if it differs. Gives the address in use.
    pub(crate) async fn listen(
        &mut self,
        listen: Listen,
        known_as: Option<SocketAddr>,
    ) -> io::Result<SocketAddr> {
        let told = |bound: SocketAddr| match known_as {
            Some(address) if address.port() == 0 => SocketAddr::new(address.ip(), bound.port()),
            Some(address) => address,
            None => bound,
        };
        match listen.transport {
            Transport::Udp => {
                let mut port = UdpPort::bind(listen.address, self.report_unreachable.clone()).await?;
                port.known_as = told(port.bound);
                let known_as = port.known_as;
                self.udp.push(port);
                Ok(known_as)
            }
            Transport::Tcp => {
                let listener = TcpListener::bind(listen.address).await?;
                let bound = listener.local_addr()?;
                let known_as = told(bound);
                let index = self.listeners.len();
                let task = Some(self.tasks.spawn(stream::listen(listener, index, self.report.clone())));
                self.listeners.push(Listener { transport: Transport::Tcp, bound, known_as, task });
                Ok(known_as)
            }
            other => {
                let text = format!("listening on {other} is not supported");
                Err(io::Error::new(io::ErrorKind::Unsupported, text))
            }
        }
    }

    /// The port at which the other one of UDP and TCP is taken at this address of ours.
    pub(crate) fn port_beside(&self, transport: Transport, ip: IpAddr) -> Option<u16> {
        let here = |bound: &SocketAddr| bound.ip() == ip;
        let bound = match transport {
            Transport::Tcp => self.udp.iter().map(|port| port.bound).find(here),
            Transport::Udp => self.listeners.iter().map(|listener| listener.bound).find(here),
            _ => None,
        };
        bound.map(|bound| bound.port())
    }

    /// Stops listening at the address that peers know as this one. Connections made there go on.
    pub(crate) fn abandon(&mut self, transport: Transport, known_as: SocketAddr) {
        match transport {
            Transport::Udp => self.udp.retain(|port| port.known_as != known_as),
            _ => self.listeners.iter_mut().filter(|listener| listener.known_as == known_as).for_each(
                |listener| {
                    if let Some(task) = listener.task.take() {
                        task.abort();
                    }
                },
            ),
        }
    }

    /// Sends a message, over its connection if it names one that is open, else over one to the same place, else over a new one.
    pub(crate) fn send(&mut self, flow: &Flow, bytes: &Bytes) {
        match flow.transport {
            Transport::Udp => self.send_datagram(flow, bytes),
            Transport::Tcp => self.send_stream(flow, bytes),
            _ => self.fail(flow.transport, flow.remote),
        }
    }

    /// The next thing that happens on any socket.
    pub(crate) async fn next(&mut self) -> Arrival {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Another datagram that is there already, so that a burst costs one wake-up.
    pub(crate) fn try_next(&mut self) -> Option<Arrival> {
        for port in &self.udp {
            if let Some((length, from)) = port.try_receive(&mut self.buffer) {
                let flow = Flow::udp(port.known_as, from);
                return Some(self.datagram_came(flow, length));
            }
        }
        None
    }

    /// The bytes of the last [`Arrival::Datagram`].
    pub(crate) fn datagram(&self, length: usize) -> &[u8] {
        self.buffer.get(..length).unwrap_or_default()
    }

    /// Which transports and address families we can send over.
    pub(crate) fn reach(&self) -> Reach {
        let mut reach = Reach::default();
        self.listeners.iter().for_each(|listener| reach.add(listener.transport, listener.bound));
        self.udp.iter().for_each(|port| reach.add(Transport::Udp, port.bound));
        reach
    }

    pub(crate) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Lets the connections write what is queued, then closes them.
    pub(crate) async fn close(mut self) {
        self.connections.clear();
        self.events.close();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        // A peer that does not read would hold us for ever.
        let _ = time::timeout(CLOSE, all).await;
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Arrival> {
        if let Some((transport, remote)) = self.failed.pop_front() {
            return Poll::Ready(Arrival::Failed { transport, remote });
        }
        while let Poll::Ready(Some(event)) = self.events.poll_recv(cx) {
            if let Some(arrival) = self.stream_event(event) {
                return Poll::Ready(arrival);
            }
        }
        for port in &self.udp {
            if let Poll::Ready((length, from)) = port.poll_receive(cx, &mut self.buffer) {
                let flow = Flow::udp(port.known_as, from);
                return Poll::Ready(self.datagram_came(flow, length));
            }
        }
        if let Poll::Ready(Some(remote)) = self.unreachable.poll_recv(cx) {
            Counters::add(&self.counters.unreachable);
            return Poll::Ready(Arrival::Failed { transport: Transport::Udp, remote });
        }
        while let Poll::Ready(Some(_)) = self.tasks.poll_join_next(cx) {}
        Poll::Pending
    }

    fn datagram_came(&self, flow: Flow, length: usize) -> Arrival {
        Counters::add(&self.counters.received);
        self.tap.signalling(Way::Received, Transport::Udp, flow.local, flow.remote, self.datagram(length));
        Arrival::Datagram { flow, length }
    }

    fn stream_event(&mut self, event: StreamEvent) -> Option<Arrival> {
        match event {
            StreamEvent::Accepted { listener, stream, remote } => {
                self.accept(listener, stream, remote);
                None
            }
            StreamEvent::Connected { connection, local } => {
                self.connections.get_mut(&connection)?.local = local;
                None
            }
            StreamEvent::Message { connection, bytes } => {
                let from = self.connections.get_mut(&connection)?;
                from.unheard = false;
                let flow = Flow {
                    transport: from.transport,
                    local: from.local,
                    remote: from.remote,
                    connection: Some(connection),
                };
                Some(Arrival::Message { flow, bytes })
            }
            StreamEvent::Gone { connection, connected } => {
                let gone = self.connections.remove(&connection)?;
                let there = (gone.transport, gone.remote);
                if self.by_remote.get(&there) == Some(&connection) {
                    self.by_remote.remove(&there);
                }
                // Who takes a connection and closes it without a word does not want what came by it: as good as refused.
                if connected && !gone.unheard {
                    return Some(Arrival::Closed { connection });
                }
                Counters::add(&self.counters.unreachable);
                Some(Arrival::Failed { transport: gone.transport, remote: gone.remote })
            }
        }
    }

    fn accept(&mut self, listener: usize, stream: TcpStream, remote: SocketAddr) {
        let Some(listener) = self.listeners.get(listener) else { return };
        if self.connections.len() >= CONNECTIONS {
            Counters::add(&self.counters.turned_away);
            return;
        }
        Counters::add(&self.counters.accepted);
        let transport = listener.transport;
        let local = stream.local_addr().unwrap_or(listener.bound);
        // A failure costs latency, nothing else.
        let _ = stream.set_nodelay(true);
        let (_, link) = self.connection(transport, local, remote, None);
        self.tasks.spawn(link.run(stream, local, remote));
    }

    fn connection(
        &mut self,
        transport: Transport,
        local: SocketAddr,
        remote: SocketAddr,
        ping: Option<Duration>,
    ) -> (u64, Link) {
        self.last_connection += 1;
        let connection = self.last_connection;
        let (sender, queue) = mpsc::channel(QUEUE);
        let new = Connection { transport, local, remote, queue: sender, unheard: false };
        self.connections.insert(connection, new);
        self.by_remote.insert((transport, remote), connection);
        let (counters, tap) = (Arc::clone(&self.counters), self.tap.clone());
        (connection, Link { connection, events: self.report.clone(), queue, counters, tap, transport, ping })
    }

    fn send_datagram(&mut self, flow: &Flow, bytes: &Bytes) {
        let same_family = |port: &&UdpPort| port.bound.is_ipv4() == flow.remote.is_ipv4();
        let exact = self.udp.iter().find(|port| port.known_as == flow.local || port.bound == flow.local);
        let sent = match exact.or_else(|| self.udp.iter().find(same_family)) {
            Some(port) => {
                self.tap.signalling(Way::Sent, Transport::Udp, port.known_as, flow.remote, bytes);
                port.send(bytes, flow.remote, &self.counters)
            }
            None => Err(io::ErrorKind::AddrNotAvailable.into()),
        };
        if sent.is_err() {
            self.fail(Transport::Udp, flow.remote);
        }
    }

    fn send_stream(&mut self, flow: &Flow, bytes: &Bytes) {
        let connection = self.open_connection(flow).unwrap_or_else(|| {
            // A listener's address is where to connect from; its port is taken.
            let listener = self.listeners.iter().find(|listener| listener.known_as == flow.local);
            let local = listener.map_or(flow.local, |listener| listener.bound);
            let same_family = local.is_ipv4() == flow.remote.is_ipv4();
            let from = Some(local).filter(|local| same_family && !local.ip().is_unspecified());
            let (connection, link) = self.connection(flow.transport, flow.local, flow.remote, self.ping);
            self.tasks.spawn(link.connect(from, flow.remote));
            if let Some(new) = self.connections.get_mut(&connection) {
                new.unheard = true;
            }
            connection
        });
        let Some(link) = self.connections.get(&connection) else { return };
        if link.queue.try_send(bytes.clone()).is_err() {
            Counters::add(&self.counters.send_queue_full);
            self.failed.push_back((flow.transport, flow.remote));
        }
    }

    fn open_connection(&self, flow: &Flow) -> Option<u64> {
        let open =
            |connection: &u64| self.connections.get(connection).is_some_and(|link| !link.queue.is_closed());
        let same_place = || self.by_remote.get(&(flow.transport, flow.remote)).copied();
        flow.connection.filter(open).or_else(|| same_place().filter(open))
    }

    fn fail(&mut self, transport: Transport, remote: SocketAddr) {
        Counters::add(&self.counters.send_failed);
        self.failed.push_back((transport, remote));
    }
}

const DATAGRAM: usize = 65_535;
const EVENTS: usize = 1_024;
const QUEUE: usize = 256;
const CONNECTIONS: usize = 10_000;
const CLOSE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
