//! The sans-IO core of midcall: it takes bytes, the time and a seed, and gives back what to send, what
//! happened and when to wake it.

pub mod auth;
pub mod dialog;
pub mod endpoint;
pub mod event;
pub mod flow;
pub mod observer;
pub mod rng;
mod room;
pub mod rules;
pub mod session;
pub mod time;
pub mod transaction;
pub mod transitions;

/// A message as the core handles it: its bytes are shared, not copied.
pub type Msg = midcall_wire::Message<bytes::Bytes>;

/// Names the rules a test holds.
///
/// It expands to nothing; the test `every_rule_is_covered` looks for it in the sources.
///
/// ```
/// midcall_proto::covers!("TX-01");
/// ```
#[macro_export]
macro_rules! covers {
    ($($code:literal),+ $(,)?) => {};
}
