//! Reports: the same calls as text, as JSON, as a page, as a Mermaid diagram, as numbers.

mod clock;
pub mod html;
pub mod json;
pub mod ladder;
mod lifelines;
pub mod mermaid;
pub mod stats;
pub mod text;
