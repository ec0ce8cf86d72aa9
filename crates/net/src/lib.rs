//! SIP calls that are changed correctly while they are up.

pub mod capture;
mod entropy;
pub mod media;
pub mod tap;
mod transport;

pub use midcall_proto::flow::Transport;
pub use transport::{Listen, TransportStats};
