//! SIP calls that are changed correctly while they are up.
//!
//! A [`UserAgent`] places and answers calls; a [`Call`] is held, resumed, modified, refreshed, transferred and hung up by verbs.
//! The library picks UPDATE or re-INVITE, survives collisions, and leaves the session as it was when the peer declines. What
//! the rules are and how they are kept is the business of `midcall-proto`, which knows neither sockets nor clocks; this crate
//! adds those, and audio.
//!
//! ```no_run
//! # async fn example() -> Result<(), midcall::Error> {
//! let ua = midcall::UserAgent::builder().listen("udp:0.0.0.0:5060")?.identity("sip:alice@example.com").start().await?;
//! let call = ua.invite("sip:bob@example.com").await?;
//! call.answered().await?;
//! let change = call.hold().await?;
//! println!("held by {:?} because {}", change.method, change.why.text);
//! call.resume().await?;
//! call.codecs([midcall::session::Codec::pcma()]).await?;
//! call.hang_up().await?;
//! # Ok(())
//! # }
//! ```

mod call;
pub mod capture;
mod driver;
mod entropy;
mod error;
mod incoming;
mod invite;
pub mod media;
mod place;
mod registration;
mod switchboard;
pub mod tap;
mod transport;
mod user_agent;

pub use call::{Call, CallEvents, CallState, ChangeRequest, MediaSetup, Phase};
pub use error::{Error, describe};
pub use incoming::IncomingCall;
pub use invite::InviteRequest;
pub use registration::Registration;
pub use switchboard::Lost;
pub use transport::{Listen, TransportStats};
pub use user_agent::{UserAgent, UserAgentBuilder};

pub use midcall_proto::endpoint::{Config, Modification, Policy, Prefer, Refused, Reliable};
pub use midcall_proto::event::{
    CallEvent, CallId, Change, Ended, Incoming, RegistrationState, Side, Ticket, What, Why,
};
pub use midcall_proto::flow::Transport;
pub use midcall_proto::session;
