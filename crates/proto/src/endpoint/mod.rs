//! An endpoint: one SIP user agent, driven by bytes and time.

mod config;
mod io;

pub use config::{Config, LocalAddr, Policy, Prefer, Reliable};
pub use io::{Input, Output, Transmit};
