//! From capture to test: a call of a trace as something that can be played again.
//!
//! [`ladder()`] writes it as a ladder fixture for the simulated wire, [`sipp()`] as a scenario for SIPp in which either party is
//! played, so that its peer can be tried against anything. Both name the parties by example: whoever they were is not told.

mod description;
mod ladder;
mod names;
mod read;
mod sipp;
#[cfg(test)]
mod tests;

use std::fmt;

pub use self::ladder::ladder;
pub use self::sipp::sipp;

/// Why a call cannot be written as something to play.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Unexportable {
    /// It has no message.
    Empty,
    /// It had more messages than are remembered, so that some are missing.
    Incomplete,
    /// This message cannot be read.
    Unreadable(u32),
    /// The trace lacks the end of this message.
    Cut(u32),
    /// This message belongs to another one that the trace lacks: the response to a request, or the request.
    Orphan(u32),
    /// This message comes from neither party.
    Stranger(u32),
    /// This message names a dialog that is not in this call.
    OtherCall(u32),
    /// This is no rule of the table, and nothing but a rule can be expected of a ladder.
    Diagnosis(&'static str),
    /// This party sends nothing.
    Silent,
    /// The call begins before the trace: nothing tells a scenario how to bring it up again.
    Joined,
}

impl fmt::Display for Unexportable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the call has no message"),
            Self::Incomplete => f.write_str("the call had more messages than are remembered"),
            Self::Unreadable(n) => write!(f, "message {n} cannot be read"),
            Self::Cut(n) => write!(f, "the trace lacks the end of message {n}"),
            Self::Orphan(n) => write!(f, "message {n} belongs to one that the trace lacks"),
            Self::Stranger(n) => write!(f, "message {n} comes from neither party"),
            Self::OtherCall(n) => write!(f, "message {n} names a dialog that is not in this call"),
            Self::Diagnosis(code) => {
                write!(f, "{code} is no rule of the table, and only rules can be expected of a ladder")
            }
            Self::Silent => f.write_str("this party sends nothing"),
            Self::Joined => f.write_str("the call begins before the trace"),
        }
    }
}

impl std::error::Error for Unexportable {}
