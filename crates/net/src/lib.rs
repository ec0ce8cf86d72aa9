//! SIP calls that are changed correctly while they are up.

pub mod capture;
pub mod media;
pub mod tap;

pub use midcall_proto::flow::Transport;
