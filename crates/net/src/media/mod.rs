//! Audio of a call: G.711 over RTP, from a tone or a file or an echo, into a file or nowhere.

pub mod g711;

mod dtmf;
mod ports;
mod source;
mod wav;

pub use dtmf::{TelephoneEvent, event_of};
pub use ports::{PortPair, PortRange};
pub use source::{Player, Source};
pub use wav::{Recorder, Wav};
