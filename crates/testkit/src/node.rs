//! What can sit on the simulated wire, and the loop that runs it in virtual time.

use std::net::SocketAddr;
use std::time::Duration;

use midcall_proto::flow::Transport;
use midcall_proto::time::Instant;

use crate::network::{Arrival, Network};

/// A party on the wire: it takes what arrives and the time, and gives what it wants to send.
pub trait Node {
    /// Its name in ladders.
    fn name(&self) -> &str;

    /// Where it listens; the first address stands for it in ladders.
    fn addresses(&self) -> &[SocketAddr];

    /// Something arrives at one of its addresses.
    fn arrive(&mut self, now: Instant, at: SocketAddr, arrival: Arrival);

    /// Tells the time; timers that are due fire.
    fn wake(&mut self, now: Instant);

    /// What it has to send now. Called until it gives nothing.
    fn sends(&mut self) -> Vec<Outgoing>;

    /// When it wants to be woken.
    fn due(&self) -> Option<Instant>;
}

/// A message that a node puts on the wire.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Over which transport.
    pub transport: Transport,
    /// From which of its addresses.
    pub from: SocketAddr,
    /// Where to.
    pub to: SocketAddr,
    /// On which connection, if it must be a certain one.
    pub connection: Option<u64>,
    /// The message.
    pub bytes: Vec<u8>,
}

/// How long nothing may be due for a wire to count as quiet: longer than the longest glare delay (4 s, RFC 3261 §14.1)
/// and than T2, shorter than the timers that only wait for stray resends (T4 and up).
pub const QUIET: Duration = Duration::from_millis(4_500);

/// Puts everything the nodes want to send on the wire.
pub fn pump(wire: &mut Network, nodes: &mut [&mut dyn Node]) {
    loop {
        let mut idle = true;
        for node in nodes.iter_mut() {
            for message in node.sends() {
                idle = false;
                wire.send(message.transport, message.from, message.to, message.connection, message.bytes);
            }
        }
        if idle {
            return;
        }
    }
}

/// When anything happens next: an arrival or a timer.
pub fn next_event(wire: &Network, nodes: &[&mut dyn Node]) -> Option<Instant> {
    let due = nodes.iter().filter_map(|node| node.due()).min();
    [wire.next_arrival(), due].into_iter().flatten().min().map(|at| at.max(wire.now()))
}

/// Runs to the next event if it is not after `limit`; says whether there was one.
pub fn step(wire: &mut Network, nodes: &mut [&mut dyn Node], limit: Instant) -> bool {
    pump(wire, nodes);
    let Some(at) = next_event(wire, nodes).filter(|at| *at <= limit) else { return false };
    move_clock(wire, nodes, at);
    while let Some((address, arrival)) = wire.arrival() {
        let now = wire.now();
        if let Some(node) = nodes.iter_mut().find(|node| node.addresses().contains(&address)) {
            node.arrive(now, address, arrival);
        }
        pump(wire, nodes);
    }
    for node in nodes.iter_mut() {
        if node.due().is_some_and(|due| due <= wire.now()) {
            node.wake(wire.now());
        }
    }
    pump(wire, nodes);
    true
}

/// Runs for this long, whatever happens.
pub fn run_for(wire: &mut Network, nodes: &mut [&mut dyn Node], span: Duration) {
    let end = wire.now() + span;
    while step(wire, nodes, end) {}
    move_clock(wire, nodes, end);
}

/// Whether nothing is in flight and nothing is due within [`QUIET`].
pub fn is_quiet(wire: &Network, nodes: &[&mut dyn Node]) -> bool {
    next_event(wire, nodes).is_none_or(|at| at > wire.now() + QUIET)
}

fn move_clock(wire: &mut Network, nodes: &mut [&mut dyn Node], to: Instant) {
    wire.advance(to);
    for node in nodes.iter_mut() {
        if node.due().is_none_or(|due| due > wire.now()) {
            node.wake(wire.now());
        }
    }
}
