//! What went wrong with a SIP call, read from a capture.
//!
//! A trace is replayed through the observer of `midcall-proto`, which holds what both parties know and judges every message
//! by the rules that endpoints keep.

mod analysis;
mod anonymize;
pub mod diagnosis;
pub mod export;
mod glance;
mod legs;
mod media;
pub mod model;
mod packet;
mod papers;
mod replay;
pub mod report;
#[cfg(test)]
mod sample;
mod sheet;
pub mod source;
mod story;
mod summary;

pub use analysis::{Analysis, analyze, analyze_file};
pub use anonymize::Anonymizer;
pub use legs::Legs;
pub use replay::{Analyzer, Details, Settings};
pub use report::stats::Stats;
pub use summary::Summaries;
