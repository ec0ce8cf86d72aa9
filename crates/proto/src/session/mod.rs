//! Offer and answer: from what one side wants to what both sides agree on. RFC 3264, RFC 6337.
//!
//! Everything here is a pure function of descriptions and knows nothing of SIP. [`Wanted`] is the state one
//! side would like, whatever the other said; [`offer`], [`full_offer`] and [`answer`] derive a description
//! from it at the moment of sending, so nothing stale is ever sent. [`agreed`] says what media may flow;
//! [`check_answer`] and [`check_next`] say what a description breaks, no matter who wrote it.
//!
//! ```
//! use midcall_proto::session::{Codec, Local, Stream, Wanted, agreed, answer, check_answer, offer};
//!
//! let mut alice = Wanted::new([192, 0, 2, 1].into(), 1);
//! alice.add_stream(Stream::audio(4000, [Codec::opus(), Codec::pcma()]));
//! let mut bob = Wanted::new([192, 0, 2, 2].into(), 2);
//! bob.add_stream(Stream::audio(5000, [Codec::pcma()]));
//!
//! let offered = offer(&alice, Local::default());
//! let answered = answer(&bob, &offered, Local::default()).unwrap();
//! assert!(check_answer(&offered, &answered).is_empty());
//!
//! let session = agreed(&offered, &answered);
//! assert_eq!(session.streams[0].remote, Some(("192.0.2.2".to_owned(), 5000)));
//! assert_eq!(session.streams[0].send[0].1, Codec::pcma());
//! ```

mod agreed;
mod answer;
mod check;
mod codec;
mod formats;
mod going_on;
mod numbers;
mod offer;
mod wanted;
mod write;

use midcall_wire::sdp::Sdp;

pub use agreed::{Agreed, AgreedStream, Offerer, agreed, agreed_by};
pub use answer::{Unacceptable, answer, decline};
pub use check::{Fault, check_answer, check_next, check_origin};
pub use codec::Codec;
pub use going_on::{check_offer, check_origin_numbers, check_overlap, check_tones};
pub use offer::{differs, full_offer, offer};
pub use wanted::{Hold, MediaKind, Stream, Wanted};

/// What this side has said and agreed to so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Local<'a> {
    /// The last description given to the peer, offer or answer, refused or not. Versions count from it.
    pub last_sent: Option<&'a Sdp>,
    /// Our and the peer's description of the last exchange that was completed. Streams continue from it.
    pub agreed: Option<(&'a Sdp, &'a Sdp)>,
}

#[cfg(test)]
mod tests;
