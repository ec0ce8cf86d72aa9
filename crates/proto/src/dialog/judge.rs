//! Which rules a message would break. Pure: it looks, and answers with evidence.

use midcall_wire::Message;
use smallvec::SmallVec;

use super::Dialog;
use super::open::{Evidence, Owed};
use super::seen::{At, Seen, Way};
use crate::rules::{Reply, RuleId, check};

/// A rule that a message breaks, with the earlier messages that make it so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Breach {
    /// The rule.
    pub rule: RuleId,
    /// The numbers of the messages that make it a breach.
    pub because: Evidence,
}

/// What [`Dialog::judge`] found.
#[derive(Clone, Default, Debug)]
pub struct Verdict {
    /// Rules that the message breaks, in table order, which is answering order (RFC 3261 §8.2).
    pub breaches: SmallVec<[Breach; 2]>,
}

impl Verdict {
    /// Whether the message breaks nothing.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.breaches.is_empty()
    }

    /// The first breach of a rule that binds (severity error). Being late does not: a late refresh is better than none.
    #[must_use]
    pub fn worst(&self) -> Option<&Breach> {
        let binds = |breach: &&Breach| {
            breach.rule.rule().severity == crate::rules::Severity::Error && breach.rule != RuleId::RefreshLate
        };
        self.breaches.iter().find(binds)
    }
}

impl Dialog {
    /// Judges a message: [`judge`](Self::judge) on its facts.
    pub fn judge_message<B: AsRef<[u8]>>(&self, way: Way, at: At, message: &Message<B>) -> Verdict {
        self.judge(&Seen::read(way, at, message))
    }

    /// Which rules this message would break for its sender, as far as this party can know.
    #[must_use]
    pub fn judge(&self, seen: &Seen<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        for check in check::of(seen) {
            if !check.obliges()
                && let Some(because) = (check.look)(self, seen)
            {
                verdict.breaches.push(Breach { rule: check.rule, because });
            }
        }
        check::of_description(self, seen, |rule, because| {
            if !verdict.breaches.iter().any(|breach| breach.rule == rule) {
                verdict.breaches.push(Breach { rule, because });
            }
        });
        if seen.is_success() {
            // Whoever says yes where a refusal was owed breaks the rule that demanded it.
            for owed in self.request_of(seen).iter().flat_map(|open| &open.owed) {
                let mut because = owed.because.clone();
                because.extend(self.request_of(seen).map(|open| open.on));
                because.sort_unstable();
                verdict.breaches.push(Breach { rule: owed.rule, because });
            }
        }
        verdict
    }

    /// The refusals that the receiver of this request owes, in answering order.
    #[must_use]
    pub fn owed(&self, seen: &Seen<'_>) -> SmallVec<[Owed; 1]> {
        let mut owed = SmallVec::new();
        if seen.way == Way::Received && seen.is_request() {
            for check in check::of(seen) {
                if let (Some(reply), Some(because)) =
                    (check.reply, check.obliges().then(|| (check.look)(self, seen)).flatten())
                {
                    owed.push(Owed { rule: check.rule, reply, because });
                }
            }
        }
        owed
    }
}

impl Reply {
    /// The status that this reply has.
    #[must_use]
    pub const fn status(self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(status),
            Self::RetryAfter => Some(500),
            Self::Drop => None,
        }
    }
}
