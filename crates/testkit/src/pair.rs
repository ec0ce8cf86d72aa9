//! Two or three endpoints on one wire.
//!
//! ```no_run
//! use midcall_testkit::prelude::*;
//!
//! let mut pair = Pair::new(Seed(7)).latency(ms(40));
//! let call = pair.call();
//! pair.wire.drop_next("ACK");
//! pair.a.call(call).hold();
//! pair.settle();
//! assert_ladder!(pair);
//! ```

use midcall_proto::endpoint::Config;
use midcall_proto::event::{CallEvent, CallId, Event};

use crate::Seed;
use crate::agent::{self, Agent, Call};
use crate::network::Network;
use crate::node::Node;
use crate::render::Column;
use crate::scene::{Book, Scene};

/// Two endpoints: `a` is alice at 10.0.0.1, `b` is bob at 10.0.0.2.
#[derive(Debug)]
pub struct Pair {
    /// The wire between them.
    pub wire: Network,
    /// Alice, who calls by custom.
    pub a: Agent,
    /// Bob, who is called.
    pub b: Agent,
    book: Book,
}

/// Three endpoints: carol at 10.0.0.3 is the third.
#[derive(Debug)]
pub struct Trio {
    /// The wire between them.
    pub wire: Network,
    /// Alice.
    pub a: Agent,
    /// Bob.
    pub b: Agent,
    /// Carol.
    pub c: Agent,
    book: Book,
}

impl Pair {
    /// A pair with default settings.
    pub fn new(seed: Seed) -> Self {
        Self::with(seed, |_, _| {})
    }

    /// A pair whose settings are changed first: alice's and bob's.
    pub fn with(seed: Seed, change: impl FnOnce(&mut Config, &mut Config)) -> Self {
        let (mut a, mut b) = (settings(0), settings(1));
        change(&mut a, &mut b);
        Self { wire: Network::new(seed.0), a: agent(0, a, seed), b: agent(1, b, seed), book: Book::new(seed) }
    }

    /// Brings up a call from alice to bob: rung, answered and acknowledged.
    #[track_caller]
    pub fn call(&mut self) -> Call {
        let call = self.ring();
        self.b.call(call).accept();
        self.settle();
        assert!(self.a.is_up(call) && self.b.is_up(call), "the call did not come up:\n{}", self.ladder());
        call
    }

    /// A call from alice that rings at bob.
    #[track_caller]
    pub fn ring(&mut self) -> Call {
        let (to, had) = (self.b.uri(), incoming(&self.b).len());
        let a = self.a.invite(&to);
        self.run_until(|pair| incoming(&pair.b).len() > had);
        let b = incoming(&self.b)[had];
        self.b.call(b).ring();
        self.settle();
        Call { ends: [(0, a), (1, b)] }
    }
}

impl Trio {
    /// A trio with default settings.
    pub fn new(seed: Seed) -> Self {
        Self::with(seed, |_| {})
    }

    /// A trio whose settings are changed first: alice's, bob's and carol's.
    pub fn with(seed: Seed, change: impl FnOnce(&mut [Config; 3])) -> Self {
        let mut configs = [0, 1, 2].map(settings);
        change(&mut configs);
        let [a, b, c] = configs;
        let (a, b, c) = (agent(0, a, seed), agent(1, b, seed), agent(2, c, seed));
        Self { wire: Network::new(seed.0), a, b, c, book: Book::new(seed) }
    }

    /// Brings up a call from alice to bob.
    #[track_caller]
    pub fn call(&mut self) -> Call {
        self.call_between(0, 1)
    }

    /// Brings up a call between two seats: 0 is alice, 1 bob, 2 carol.
    ///
    /// # Panics
    /// If there are no such seats, or the call does not come up.
    #[track_caller]
    pub fn call_between(&mut self, from: usize, to: usize) -> Call {
        let had = incoming(self.agent(to)).len();
        let uri = self.agent(to).uri();
        let ours = self.agent_mut(from).invite(&uri);
        self.run_until(|trio| incoming(trio.agent(to)).len() > had);
        let theirs = incoming(self.agent(to))[had];
        if self.agent(to).endpoint().look(theirs).is_some_and(|call| !call.is_up()) && !self.agent(to).answers
        {
            self.agent_mut(to).call(theirs).accept();
        }
        self.settle();
        let call = Call { ends: [(from, ours), (to, theirs)] };
        assert!(self.agent(from).is_up(call), "the call did not come up:\n{}", self.ladder());
        call
    }

    /// The agent in a seat.
    ///
    /// # Panics
    /// If there is no such seat.
    pub fn agent(&self, seat: usize) -> &Agent {
        [&self.a, &self.b, &self.c][seat]
    }

    /// The agent in a seat, to act.
    ///
    /// # Panics
    /// If there is no such seat.
    pub fn agent_mut(&mut self, seat: usize) -> &mut Agent {
        match seat {
            0 => &mut self.a,
            1 => &mut self.b,
            2 => &mut self.c,
            _ => panic!("a trio has no seat {seat}"),
        }
    }
}

/// The calls that came in at an agent, oldest first.
pub fn incoming(agent: &Agent) -> Vec<CallId> {
    let came = agent.events().iter().filter_map(|(_, event)| match event {
        Event::Call { call, event: CallEvent::Incoming(_) } => Some(*call),
        _ => None,
    });
    came.collect()
}

const NAMES: [&str; 3] = ["alice", "bob", "carol"];

pub(crate) fn settings(seat: usize) -> Config {
    let address = std::net::SocketAddr::from(([10, 0, 0, u8::try_from(seat + 1).unwrap_or(9)], 5060));
    agent::config(NAMES[seat], address)
}

pub(crate) fn agent(seat: usize, config: Config, seed: Seed) -> Agent {
    Agent::new(NAMES[seat], seat, config, seed.0)
}

macro_rules! scene {
    ($scene:ident: $($field:ident),+; $($agent:ident),+) => {
        impl Scene for $scene {
            fn parts(&mut self) -> (&mut Network, Vec<&mut dyn Node>) {
                (&mut self.wire, vec![$(&mut self.$field),+])
            }

            fn network(&self) -> &Network {
                &self.wire
            }

            fn columns(&self) -> Vec<Column> {
                vec![$(Column::of(&self.$field)),+]
            }

            fn book(&mut self) -> &mut Book {
                &mut self.book
            }
        }

        impl Drop for $scene {
            fn drop(&mut self) {
                let at_rest = self.at_rest();
                let own: Vec<_> = [$(&self.$agent),+].into_iter().flat_map(Agent::dialogs).collect();
                self.book.close(self, &own, at_rest);
            }
        }
    };
}
pub(crate) use scene;

scene!(Pair: a, b; a, b);
scene!(Trio: a, b, c; a, b, c);
