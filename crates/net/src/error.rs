//! Errors say whose fault it is.

use std::fmt;
use std::io;

use midcall_proto::endpoint::Refused;
use midcall_proto::event::{Ended, Failure};

/// Why something asked of a call did not come about.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// We would break a rule; nothing was sent.
    Refused(Refused),
    /// The peer declined; the session is as it was.
    Rejected {
        /// The status of its final response.
        status: u16,
    },
    /// Both sides kept changing the session at the same time until the attempts were used up; the session is as it was.
    Glare {
        /// How many attempts were made.
        attempts: u8,
    },
    /// The peer said yes without the description that it owed; the session is as it was.
    Unanswered,
    /// It was withdrawn before it came into force.
    Withdrawn,
    /// The call is over.
    Gone {
        /// Why it ended; `None` if the user agent was shut down.
        why: Option<Ended>,
    },
    /// The machine: sockets, ports, files.
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => write!(f, "not sent: {refused}"),
            Self::Rejected { status } => {
                write!(f, "the peer declined with {status} {}", midcall_wire::reason_phrase(*status))
            }
            Self::Glare { attempts } => {
                write!(f, "both sides kept changing the session at once; given up after {attempts} attempts")
            }
            Self::Unanswered => {
                f.write_str("the peer said yes but sent no answer (RFC 3264 §6); the session is as it was")
            }
            Self::Withdrawn => f.write_str("withdrawn before it came into force"),
            Self::Gone { why: Some(why) } => write!(f, "the call is over: {}", describe(why)),
            Self::Gone { why: None } => f.write_str("the user agent is shut down"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(refused) => Some(refused),
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Error {
    /// A failed change in words of this crate; `ended` is why the call ended, should it have.
    pub(crate) fn from_failure(failure: Failure, ended: Option<Ended>) -> Self {
        match failure {
            Failure::Rejected { status } => Self::Rejected { status },
            Failure::Glare { attempts } => Self::Glare { attempts },
            Failure::Unanswered => Self::Unanswered,
            Failure::CallEnded => Self::Gone { why: ended },
            Failure::Refused { rule } => Self::Refused(Refused { rule, because: Default::default() }),
            _ => Self::Withdrawn,
        }
    }
}

/// Why a call ended, in words.
#[must_use]
pub fn describe(why: &Ended) -> String {
    let with = |status: &u16| format!("{status} {}", midcall_wire::reason_phrase(*status));
    match why {
        Ended::HungUp => "we hung up".to_owned(),
        Ended::PeerHungUp { reason: Some(reason) } => format!("the peer hung up ({reason})"),
        Ended::PeerHungUp { reason: None } => "the peer hung up".to_owned(),
        Ended::Refused { status, by } => {
            format!("{} it with {}", whom(*by, "we refused", "the peer refused"), with(status))
        }
        Ended::Cancelled { by } => format!("{} it", whom(*by, "we cancelled", "the peer cancelled")),
        Ended::Timeout => "nobody answered in time".to_owned(),
        Ended::Unreachable => "no address could be reached".to_owned(),
        Ended::Unresolvable => "the host name has no address".to_owned(),
        Ended::Lost { status } => format!("the peer no longer knows the dialog: {}", with(status)),
        Ended::NoAck => "the peer never acknowledged our 200 (RFC 3261 §13.3.1.4)".to_owned(),
        Ended::NoPrack => "the peer never acknowledged our reliable response (RFC 3262 §3)".to_owned(),
        Ended::SessionExpired => "the session timer ran out (RFC 4028 §10)".to_owned(),
        Ended::NoSession => "no session could be agreed on".to_owned(),
        Ended::Unauthorized { status } => format!("the peer wants other credentials: {}", with(status)),
        Ended::Replaced => "another call took its place (RFC 3891)".to_owned(),
        _ => "it ended".to_owned(),
    }
}

fn whom<'a>(side: midcall_proto::event::Side, us: &'a str, them: &'a str) -> &'a str {
    match side {
        midcall_proto::event::Side::Us => us,
        midcall_proto::event::Side::Them => them,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_whose_fault_it_is() {
        assert_eq!(
            Error::Rejected { status: 488 }.to_string(),
            "the peer declined with 488 Not Acceptable Here"
        );
        let busy = Ended::Refused { status: 486, by: midcall_proto::event::Side::Them };
        let gone = Error::from_failure(Failure::CallEnded, Some(busy));
        assert_eq!(gone.to_string(), "the call is over: the peer refused it with 486 Busy Here");
        assert!(matches!(Error::from_failure(Failure::Withdrawn, None), Error::Withdrawn));
    }
}
