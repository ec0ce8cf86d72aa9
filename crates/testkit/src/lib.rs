//! What midcall's tests are made of: a simulated wire, scripted peers, pairs of endpoints, and ladder scripts.
//!
//! Both ends and the network are values, time is virtual and chance comes from a seed, so every run can be repeated.

pub mod agent;
pub mod capture;
pub mod coverage;
pub mod glance;
pub mod ladder;
pub mod network;
pub mod node;
pub mod pair;
pub mod party;
pub mod pieces;
pub mod raw;
pub mod render;
pub mod scene;
pub mod seat;
pub mod session;
pub mod sketch;
pub mod state;
pub mod watch;

use std::time::Duration;

pub use insta;

/// The seed of a simulated run; printed when the test fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u64);

/// So many milliseconds.
pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// So many seconds.
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What a scenario test needs: `use midcall_testkit::prelude::*`.
pub mod prelude {
    pub use crate::agent::{Agent, Call, Handle};
    pub use crate::assert_ladder;
    pub use crate::assert_state;
    pub use crate::glance::{SEATS, WITHOUT_UPDATE, count, direction, tweaks, up, version};
    pub use crate::network::Pick;
    pub use crate::pair::{Pair, Trio, incoming};
    pub use crate::party::{Party, Received};
    pub use crate::scene::Scene;
    pub use crate::seat::Seat;
    pub use crate::state::idle;
    pub use crate::{Seed, ms, secs};
    pub use midcall_proto::covers;
    pub use midcall_wire::Method;
}
