//! Scripts: what `--do` and the prompt understand.
//!
//! A script is verbs joined by `;` or line ends. A verb begins something and does not wait for its outcome; `expect`
//! waits and asserts, `wait` only waits.

mod error;
pub(crate) mod help;
mod parse;
mod words;

use std::net::SocketAddr;
use std::time::Duration;

use midcall_proto::endpoint::Prefer;
use midcall_proto::session::Codec;

pub(crate) use error::ScriptError;
pub(crate) use words::{codecs, codecs_known};

/// Steps to take, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) steps: Vec<Step>,
}

impl Script {
    /// Reads a script.
    pub(crate) fn parse(text: &str) -> Result<Self, ScriptError> {
        parse::script(text)
    }
}

/// One verb as it was written, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) text: String,
    pub(crate) verb: Verb,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// 180, then wait.
    Ring(Duration),
    /// 183 with a session description.
    Early,
    /// 200.
    Answer,
    /// This status, to the call or to an offer that waits; 603 and 488 without one.
    Refuse(Option<u16>),
    /// Take the streams that an offer adds, or leave them out.
    Decide(bool),
    Wait(Duration),
    /// Change the session, by this method if it says so.
    Change(Change, Option<Prefer>),
    /// Digits as telephone events.
    Dtmf(String),
    /// A change in one branch of a call that rings at several places, by the To tag.
    InBranch(Change, String),
    /// Be reached here from now on; whether the address so far is lost.
    Contact(SocketAddr, bool),
    /// REFER to this URI.
    Transfer(String),
    /// Call this URI beside the call.
    Consult(String),
    /// Do this in the call that `consult` began.
    Other(Box<Self>),
    /// REFER to the other side of that call, in whose place the peer of this one goes.
    TransferToOther,
    /// CANCEL of the call that rings, or of the re-INVITE under way.
    Cancel,
    Bye,
    Expect {
        what: Expectation,
        within: Duration,
    },
}

/// A change of the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Hold,
    Resume,
    Codecs(Vec<Codec>),
    /// UPDATE without an offer.
    Update,
    /// re-INVITE with the session as it is.
    Reinvite,
    /// re-INVITE without an offer.
    Offerless,
    /// Refresh of the session timer.
    Refresh,
    AddVideo,
    DropVideo,
    /// Receive elsewhere.
    Move(SocketAddr),
}

/// What `expect` waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expectation {
    Ringing,
    Early,
    Established,
    Held,
    PeerHeld,
    Resumed,
    Changed,
    PeerChanged,
    Refused(Option<u16>),
    Refreshed,
    Moved,
    /// An offer waits for a decision.
    Offered,
    Referred,
    Transferred,
    Replaced,
    /// These digits came as telephone events.
    Digits(String),
    /// Our file was played to its end.
    Played,
    /// RTP arrives.
    Media,
    /// No RTP arrives any more.
    Silence,
    Ended,
}

#[cfg(test)]
mod tests;
