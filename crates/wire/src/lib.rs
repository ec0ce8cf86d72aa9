//! SIP, SDP and RTP text and bytes to types and back, keeping the raw bytes.
//!
//! [`Message`] reads a message and keeps it as it came; [`Framer`] cuts streams into messages; [`Builder`]
//! writes new messages and [`Edit`] changes received ones. Nothing here waits, reads a clock or does I/O.

mod address;
mod builder;
mod challenge;
mod check;
mod date;
mod edit;
mod error;
mod fields;
mod limits;
mod message;
mod method;
pub mod multipart;
mod name;
mod params;
mod reason;
pub mod rtp;
mod scan;
pub mod sdp;
mod stream;
mod uri;
mod values;
mod via;

pub use address::NameAddr;
pub use builder::Builder;
pub use challenge::Challenge;
pub use date::Date;
pub use edit::Edit;
pub use error::{Limit, ParseError, What};
pub use fields::{
    CSeq, Event, Header, MediaType, RAck, Refresher, Replaces, SessionExpires, SubscriptionState,
};
pub use limits::Limits;
pub use message::{Field, Head, Message};
pub use method::Method;
pub use name::Name;
pub use params::{Params, ParamsIter};
pub use reason::reason_phrase;
pub use stream::{Frame, Framer, looks_like_sip};
pub use uri::{Scheme, Uri, escape_header, unescape};
pub use values::Values;
pub use via::Via;
