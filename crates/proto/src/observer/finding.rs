//! What the observer claims: which rule, who, where, on what evidence, how sure.

use std::fmt;
use std::sync::Arc;

use crate::dialog::Evidence;
use crate::rules::{RuleId, Severity};

/// How sure a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Certainty {
    /// Wrong whatever its sender had received by then.
    Certain,
    /// Wrong only if messages had arrived that may still have been on their way: an innocent crossing.
    Crossed,
    /// A message that the capture lacks could explain it.
    CaptureGap,
}

impl Certainty {
    /// The word that reports use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Crossed => "crossed",
            Self::CaptureGap => "capture-gap",
        }
    }
}

impl fmt::Display for Certainty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who broke a rule.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Party {
    /// The side that sent the INVITE which formed the dialog, or the first message of a capture that begins later.
    Caller,
    /// The other side.
    Callee,
    /// Neither: a message got lost or was made between them.
    Network,
}

impl Party {
    /// The word that reports use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Callee => "callee",
            Self::Network => "network",
        }
    }

    /// The other side of the dialog; the network is nobody's side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
            Self::Network => Self::Network,
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A rule broken in a trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The call.
    pub call_id: Arc<str>,
    /// The rule.
    pub rule: RuleId,
    /// How bad it is: at most what the rule's row says, less where the wire cannot prove as much, and no more than
    /// [`Severity::Info`] unless it is certain.
    pub severity: Severity,
    /// How sure it is.
    pub certainty: Certainty,
    /// Who broke it.
    pub by: Party,
    /// The message that broke it; for something that never came, the message that made it due.
    pub at: u32,
    /// The earlier messages that make it so.
    pub because: Evidence,
}

impl Finding {
    /// It is not sure: then it is no more than a fact worth a line.
    pub(super) fn doubt(&mut self, certainty: Certainty) {
        (self.certainty, self.severity) = (certainty, self.severity.min(Severity::Info));
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} at {}", self.severity, self.by, self.rule, self.at)?;
        if !self.because.is_empty() {
            f.write_str(" because")?;
            for message in &self.because {
                write!(f, " {message}")?;
            }
        }
        write!(f, " ({})", self.certainty)
    }
}
