//! Which request may carry a wish now. It builds candidates and asks [`Dialog::judge`]; it has no rules of its own.

use midcall_wire::Method;

use super::Dialog;
use super::judge::Breach;
use super::seen::{At, Seen};
use crate::endpoint::Prefer;
use crate::rules::{RuleId, Severity};
use crate::time::Instant;

/// What a request is wanted for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// To change the session: it carries an offer.
    Session {
        /// Whether the peer may have to ask a person (a new stream, say), which UPDATE does not allow (UP-11).
        person: bool,
    },
    /// To ask the peer for an offer: an offerless re-INVITE.
    Offerless,
    /// To refresh the session timer, or to tell a new target or identity: no offer is needed.
    Refresh,
}

/// The request to send, or why none may go out now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Plan {
    /// An UPDATE.
    Update {
        /// The rule that decided for it.
        because: RuleId,
    },
    /// A re-INVITE.
    ReInvite {
        /// The rule that decided for it.
        because: RuleId,
    },
    /// Nothing now.
    Wait {
        /// The rule that holds it back.
        rule: RuleId,
        /// When to ask again; `None`: when the dialog changes.
        until: Option<Instant>,
    },
    /// Nothing, now or later: the peer refuses the methods that could carry it.
    Never {
        /// The rule that says so.
        rule: RuleId,
    },
}

impl Dialog {
    /// Plans a wish: UPDATE or re-INVITE, whichever the rules and the preference allow, or waiting (UP-04, ST-20).
    #[must_use]
    pub fn plan(&self, wish: Wish, prefer: Prefer, at: At) -> Plan {
        let update = self.blocked(Method::Update, matches!(wish, Wish::Session { .. }), at);
        let invite = self.blocked(Method::Invite, true, at);
        let early = self.usage.early();
        let no_invite = self.refuses(Method::Invite);
        if no_invite && (wish == Wish::Offerless || self.lacks_update()) {
            return Plan::Never { rule: RuleId::CodesThatEndTheCall };
        }
        let update_first = match wish {
            Wish::Refresh => true,
            Wish::Offerless => false,
            Wish::Session { person } => early || no_invite || (prefer == Prefer::Update && !person),
        };
        let by_update = Plan::Update {
            because: match (early, wish) {
                (_, Wish::Refresh) => RuleId::RefreshMethod,
                (true, _) => RuleId::UpdateHasNoAck,
                (false, _) => RuleId::UpdateOrReInvite,
            },
        };
        match (update_first, update, invite) {
            (true, None, _) => by_update,
            // The peer cannot take UPDATE: a confirmed dialog falls back to re-INVITE, an early one waits (UP-19).
            (true, Some(rule), None) if self.lacks_update() => {
                Plan::ReInvite { because: self.why_no_update(rule) }
            }
            (true, Some(_), Some(gate)) if self.lacks_update() && !early => {
                Plan::Wait { rule: gate, until: None }
            }
            (true, Some(rule), _) if self.lacks_update() => {
                Plan::Wait { rule: self.why_no_update(rule), until: None }
            }
            (true, Some(rule), _) => Plan::Wait { rule, until: None },
            (false, _, None) => Plan::ReInvite { because: RuleId::UpdateOrReInvite },
            (false, _, Some(rule)) => Plan::Wait { rule, until: None },
        }
    }

    /// The rule that forbids this request now, if one does.
    #[must_use]
    pub fn blocked(&self, method: Method, with_offer: bool, at: At) -> Option<RuleId> {
        let verdict = self.judge(&Seen::planned(method, with_offer, at));
        // RFC 6337 §4.3, UAC-IU, is advice that we keep: no offer while the PRACK of another one is awaited.
        let binding = |breach: &&Breach| {
            breach.rule.rule().severity != Severity::Info
                || breach.rule == RuleId::UpdateInsidePendingReInvite
        };
        // Every rule about open offers implies that there is one exchange at a time: the others say more.
        let telling = |breach: &&Breach| breach.rule != RuleId::OneExchangeAtATime;
        let breaches = || verdict.breaches.iter().filter(binding);
        breaches().find(telling).or_else(|| breaches().next()).map(|breach| breach.rule)
    }

    /// Whether the peer refused this method itself with 405 or 501: it is not sent any more (UP-19, CF-36).
    #[must_use]
    pub fn refuses(&self, method: Method) -> bool {
        self.party.theirs.can.refused.has(method)
    }

    /// A peer that refused the method with 405 or 501 lacks it for another reason than one that never listed it.
    fn why_no_update(&self, rule: RuleId) -> RuleId {
        if self.refuses(Method::Update) { RuleId::UpdateRefusedAsMethod } else { rule }
    }

    fn lacks_update(&self) -> bool {
        !self.party.theirs.can.takes(Method::Update)
    }
}
