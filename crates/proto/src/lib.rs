//! The sans-IO core of midcall: it takes bytes, the time and a seed, and gives back what to send, what
//! happened and when to wake it.

pub mod flow;
pub mod rng;
pub mod rules;
pub mod session;
pub mod time;
pub mod transitions;

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
