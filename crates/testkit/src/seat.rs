//! One endpoint against scripted peers.

use midcall_proto::endpoint::Config;

use crate::Seed;
use crate::agent::Agent;
use crate::network::{Network, Pick};
use crate::node::{Node, step};
use crate::pair::{agent, scene, settings};
use crate::party::{Party, Received};
use crate::render::Column;
use crate::scene::{Book, Scene};

/// An endpoint under test, alice at 10.0.0.1, with a scripted peer, bob at 10.0.0.2, and another, carol at 10.0.0.3.
#[derive(Debug)]
pub struct Seat {
    /// The wire between them.
    pub wire: Network,
    /// The endpoint under test.
    pub ua: Agent,
    /// The scripted peer.
    pub peer: Party,
    /// Another scripted peer, silent unless a test speaks through it.
    pub other: Party,
    book: Book,
}

impl Seat {
    /// An endpoint with default settings.
    pub fn new(seed: Seed) -> Self {
        Self::with(seed, |_| {})
    }

    /// An endpoint whose settings are changed first.
    pub fn with(seed: Seed, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = settings(0);
        change(&mut config);
        let party = |seat: usize, name: &str| {
            let address = std::net::SocketAddr::from(([10, 0, 0, u8::try_from(seat + 1).unwrap_or(9)], 5060));
            Party::new(name, address, seed.0)
        };
        Self {
            wire: Network::new(seed.0),
            ua: agent(0, config, seed),
            peer: party(1, "bob"),
            other: party(2, "carol"),
            book: Book::new(seed),
        }
    }

    /// Runs until the peer gets a message that matches, and takes it. Resends are passed over.
    ///
    /// # Panics
    /// If none comes within a minute of virtual time.
    #[track_caller]
    pub fn expect(&mut self, pick: impl Into<Pick>) -> Received {
        self.await_message(pick.into(), |seat| &mut seat.peer)
    }

    /// The same for the other peer.
    #[track_caller]
    pub fn expect_other(&mut self, pick: impl Into<Pick>) -> Received {
        self.await_message(pick.into(), |seat| &mut seat.other)
    }

    /// A confirmed call that the endpoint placed; the peer's 200 was sent with an answer.
    #[track_caller]
    pub fn placed_call(&mut self) -> midcall_proto::event::CallId {
        let to = self.peer.uri();
        let call = self.ua.invite(&to);
        let invite = self.expect("INVITE");
        self.peer.reply(&invite, 200).answer(&[]).send();
        self.expect("ACK");
        self.settle();
        call
    }

    /// A confirmed call that the endpoint answered.
    #[track_caller]
    pub fn answered_call(&mut self) -> midcall_proto::event::CallId {
        let to = self.ua.uri();
        self.peer.invite(&to).offer(&[]).send();
        self.settle_briefly();
        let call = self.ua.last_call();
        self.ua.call(call).accept();
        let ok = self.expect(Pick::status(200).of("INVITE"));
        self.peer.ack(&ok).send();
        self.settle();
        call
    }

    /// Runs until nothing is in flight, without waiting for timers.
    pub fn settle_briefly(&mut self) {
        let (wire, mut nodes) = self.parts();
        crate::node::pump(wire, &mut nodes);
        while let Some(at) = wire.next_arrival() {
            step(wire, &mut nodes, at);
        }
    }

    #[track_caller]
    fn await_message(&mut self, pick: Pick, party: impl Fn(&mut Self) -> &mut Party) -> Received {
        let limit = self.now() + crate::secs(60);
        loop {
            if let Some(got) = party(self).take(pick.clone()) {
                return got;
            }
            let (wire, mut nodes) = self.parts();
            let moved = step(wire, &mut nodes, limit);
            assert!(moved, "{pick} never came:\n{}", self.ladder());
        }
    }
}

scene!(Seat: ua, peer, other; ua);
