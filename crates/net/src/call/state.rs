//! Where a call stands, to be looked at or waited for.

use midcall_proto::event::Ended;
use midcall_proto::session::Agreed;

/// How far a call has come.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Phase {
    /// The INVITE is out, or came in, and nobody has answered.
    Trying,
    /// The last provisional response had this status.
    Ringing {
        /// 180, 183 or another one above 100.
        status: u16,
    },
    /// The dialog is confirmed.
    Up,
    /// The call is over.
    Over {
        /// Why.
        why: Ended,
    },
}

/// Where a call stands.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct CallState {
    /// How far it has come.
    pub phase: Phase,
    /// The session in force; no streams before there is one.
    pub agreed: Agreed,
    /// Whether we hold it.
    pub held_by_us: bool,
    /// Whether the peer holds it.
    pub held_by_peer: bool,
}

impl CallState {
    pub(crate) fn new() -> Self {
        Self { phase: Phase::Trying, agreed: Agreed::default(), held_by_us: false, held_by_peer: false }
    }

    /// Why the call ended, if it did.
    #[must_use]
    pub fn ended(&self) -> Option<&Ended> {
        match &self.phase {
            Phase::Over { why } => Some(why),
            _ => None,
        }
    }

    /// Whether the call is up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }
}
