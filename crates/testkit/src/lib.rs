//! What midcall's tests are made of: a simulated wire, scripted peers, pairs of endpoints, and ladder scripts.
//!
//! Both ends and the network are values, time is virtual and chance comes from a seed, so every run can be repeated.

pub mod capture;
pub mod coverage;
pub mod ladder;
pub mod network;
pub mod node;
pub mod party;
pub mod raw;
pub mod render;
pub mod scene;
pub mod sketch;

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
