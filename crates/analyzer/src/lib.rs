//! What went wrong with a SIP call, read from a capture.
//!
//! A trace is replayed through the observer of `midcall-proto`, which holds what both parties know and judges every message
//! by the rules that endpoints keep.

mod analysis;
pub mod model;
pub mod source;

pub use analysis::{Analysis, analyze, analyze_file};
