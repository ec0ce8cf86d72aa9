//! Reports: the same calls as text, as JSON, as numbers.

pub mod json;
pub mod ladder;
pub mod stats;
pub mod text;
