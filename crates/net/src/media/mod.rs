//! Audio of a call: G.711 over RTP, from a tone or a file or an echo, into a file or nowhere.

pub mod g711;

mod dtmf;
mod follow;
mod plan;
mod ports;
mod receiver;
mod reports;
mod sender;
mod session;
mod source;
mod stats;
mod task;
mod wav;

pub use dtmf::{TelephoneEvent, event_of};
pub use plan::{Coding, MediaPlan};
pub use ports::{PortPair, PortRange};
pub use session::{DialError, MediaEvent, MediaOptions, MediaSession};
pub use source::{Player, Source};
pub use stats::{Lane, MediaStats, RemoteReport};
pub use wav::{Recorder, Wav};
