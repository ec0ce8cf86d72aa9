//! One dialog of a trace: both parties' views, fed from the same wire.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use midcall_wire::sdp::Sdp;
use midcall_wire::{Message, Method};
use smallvec::{SmallVec, smallvec};

use super::facts::Facts;
use super::finding::{Certainty, Party};
use super::side::{Patience, Side};
use super::trace::{Transaction, Transactions};
use super::{signs, weigh};
use crate::dialog::{Dialog, DueKind, Evidence, InviteState, Noted, Outcome, RSeq, Seen, Way};
use crate::rules::{RuleId, Severity};
use crate::time::Instant;

/// One dialog of an observed call.
#[derive(Clone, Debug)]
pub struct ObservedDialog {
    caller: Side,
    callee: Side,
    /// The number of the INVITE that forms it, 0 if that was not seen.
    pub(super) invite: u32,
    /// Whether both sides' knowledge is known: the trace has its beginning, or a whole exchange since.
    whole: bool,
    /// Whether a message is missing, so that a breach may only seem one.
    pub(super) unsure: bool,
    /// Reliable provisional responses: CSeq of their INVITE, RSeq, number.
    pub(super) reliable: SmallVec<[(u32, RSeq, u32); 2]>,
    /// What was reported as never having come.
    pub(super) told: SmallVec<[(DueKind, u32); 2]>,
    /// Whether another dialog of the same INVITE was accepted before this one.
    pub(super) second: bool,
    /// When the last CANCEL or BYE passed.
    pub(super) ended: Option<Instant>,
    /// What the signs remember.
    pub(super) memory: signs::Memory,
}

/// A message that passes in a dialog, seen from its sender.
pub(super) struct Passing<'p> {
    pub(super) by: Party,
    pub(super) seen: &'p Seen<'p>,
    pub(super) facts: &'p Facts<'p>,
    /// The message itself, for what neither of them says.
    pub(super) message: &'p Message<&'p [u8]>,
    pub(super) trace: &'p Transactions,
    pub(super) patience: &'p Patience,
    /// The route set for the caller, in its order, if the message forms or confirms the dialog.
    pub(super) route: Option<Vec<Box<str>>>,
}

/// A finding without its call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Claim {
    pub(super) rule: RuleId,
    pub(super) severity: Severity,
    pub(super) certainty: Certainty,
    pub(super) by: Party,
    pub(super) at: u32,
    pub(super) because: Evidence,
}

impl Claim {
    /// It is not sure: then it is no more than a fact worth a line.
    pub(super) fn doubt(&mut self, certainty: Certainty) {
        (self.certainty, self.severity) = (certainty, self.severity.min(Severity::Info));
    }
}

impl ObservedDialog {
    /// A dialog whose INVITE was seen: both parties' views of that INVITE.
    pub(super) fn formed(invite: u32, caller: Dialog, callee: Dialog) -> Self {
        Self {
            caller: Side::new(caller),
            callee: Side::new(callee),
            invite,
            whole: true,
            unsure: false,
            reliable: SmallVec::new(),
            told: SmallVec::new(),
            second: false,
            ended: None,
            memory: signs::Memory::default(),
        }
    }

    /// A dialog that the capture shows from its middle on. Nothing is known of its session until an exchange passed.
    pub(super) fn joined(mut caller: Dialog, mut callee: Dialog) -> Self {
        for dialog in [&mut caller, &mut callee] {
            dialog.usage = InviteState::Established;
            dialog.route.clear();
        }
        Self { whole: false, ..Self::formed(0, caller, callee) }
    }

    /// The caller's view: what it knows once all that passed has come.
    #[must_use]
    pub fn of_caller(&self) -> Cow<'_, Dialog> {
        self.caller.ahead()
    }

    /// The callee's view: what it knows once all that passed has come.
    #[must_use]
    pub fn of_callee(&self) -> Cow<'_, Dialog> {
        self.callee.ahead()
    }

    /// The caller's tag.
    #[must_use]
    pub fn caller_tag(&self) -> &str {
        &self.caller.base.party.ours.tag
    }

    /// The callee's tag; empty for a callee of RFC 2543.
    #[must_use]
    pub fn callee_tag(&self) -> &str {
        &self.callee.base.party.ours.tag
    }

    /// Whether the session is known: the trace shows the dialog from its INVITE on, or an exchange since.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.whole
    }

    /// Whether both parties know that the session is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.caller.base.usage.over() || self.callee.base.usage.over()
    }

    /// Whether subscriptions of REFERs outlive the session.
    #[must_use]
    pub fn has_live_subscription(&self) -> bool {
        self.caller.base.has_live_subscription() || self.callee.base.has_live_subscription()
    }

    /// Who sends a message with these tags in this dialog.
    pub(super) fn sender(&self, from_tag: &str, to_tag: &str, request: bool) -> Option<Party> {
        let requester = if (from_tag, to_tag) == (self.caller_tag(), self.callee_tag()) {
            Party::Caller
        } else if (from_tag, to_tag) == (self.callee_tag(), self.caller_tag()) {
            Party::Callee
        } else {
            return None;
        };
        Some(if request { requester } else { requester.other() })
    }

    /// Who sends a request with these tags if only their case was changed.
    pub(super) fn sender_in_any_case(&self, from_tag: &str, to_tag: &str) -> Option<Party> {
        let alike = |from: &str, to: &str| {
            !from.is_empty() && from.eq_ignore_ascii_case(from_tag) && to.eq_ignore_ascii_case(to_tag)
        };
        if alike(self.caller_tag(), self.callee_tag()) {
            return Some(Party::Caller);
        }
        alike(self.callee_tag(), self.caller_tag()).then_some(Party::Callee)
    }

    /// Who sent the open request with this number.
    pub(super) fn asker(&self, n: u32) -> Option<Party> {
        [Party::Caller, Party::Callee].into_iter().find(|party| {
            self.side(*party).base.open.iter().any(|open| open.on == n && open.way == Way::Sent)
        })
    }

    pub(super) const fn side(&self, party: Party) -> &Side {
        match party {
            Party::Caller | Party::Network => &self.caller,
            Party::Callee => &self.callee,
        }
    }

    pub(super) const fn side_mut(&mut self, party: Party) -> &mut Side {
        match party {
            Party::Caller | Party::Network => &mut self.caller,
            Party::Callee => &mut self.callee,
        }
    }

    /// Takes a message: judges it in its sender's view, records it in both.
    pub(super) fn pass(&mut self, passing: Passing<'_>, claims: &mut Vec<Claim>) {
        let Passing { by, seen, facts, .. } = passing;
        self.catch_up(seen.at.time, passing.patience);
        self.side_mut(by).proven_by(seen);
        self.look_for_loss(&passing);
        claims.extend(self.given_up(by, seen, passing.trace));
        let mut retold: SmallVec<[RuleId; 2]> = SmallVec::new();
        for (breach, sure) in self.side(by).judge(seen) {
            if signs::hides(self, &passing, breach.rule) {
                continue;
            }
            let mut because = breach.because;
            let Some(severity) = weigh::breach(self, &passing, breach.rule, &mut because) else { continue };
            let mut claim = Claim {
                rule: breach.rule,
                severity,
                certainty: if sure { Certainty::Certain } else { Certainty::Crossed },
                by,
                at: facts.n,
                because,
            };
            if let Some(rule) = signs::told_instead(self, &passing, claim.rule) {
                if retold.contains(&rule) {
                    continue;
                }
                retold.push(rule);
                (claim.rule, claim.severity) = (rule, claim.severity.min(rule.rule().severity));
            }
            claims.extend(self.doubted(claim, &passing));
        }
        let mut found: Vec<Claim> = weigh::refusal(self, &passing).into_iter().collect();
        signs::look(self, &passing, &mut found);
        for claim in found.drain(..) {
            if !signs::is_told(self, &claim) {
                claims.extend(self.doubted(claim, &passing));
            }
        }
        let before = signs::Before::of(self, &passing);
        self.record(&passing);
        signs::note(self, &passing, &before, &mut found);
        for claim in found {
            if !signs::is_told(self, &claim) {
                claims.extend(self.doubted(claim, &passing));
            }
        }
    }

    /// Lowers a claim that a missing message could explain; `None` if nothing can be said at all.
    fn doubted(&self, mut claim: Claim, passing: &Passing<'_>) -> Option<Claim> {
        let rule = claim.rule.rule();
        let explained = |n: &u32| {
            let answer = passing.trace.numbered(*n);
            answer.is_some_and(|one| one.answer_unseen(passing.facts.at, passing.patience.t1))
        };
        if claim.certainty == Certainty::Crossed || swapped(&claim, passing) {
            claim.doubt(Certainty::Crossed);
        } else if !rule.loss || weigh::needs_no_history(claim.rule, claim.severity) {
            return Some(claim);
        } else if !self.whole {
            return None;
        } else if self.unsure
            || claim.because.iter().any(explained)
            || answered_before(&claim, passing)
            || weigh::compares_descriptions(claim.rule) && self.answer_missing(passing)
        {
            claim.doubt(Certainty::CaptureGap);
        }
        Some(claim)
    }

    /// Whether this description may only seem to follow the sender's last one wrongly: the sender owes an answer that the trace may lack, or this
    /// answer is older than the offer that was seen before it.
    fn answer_missing(&self, passing: &Passing<'_>) -> bool {
        let (side, seen) = (self.side(passing.by), passing.seen);
        let owes = seen.is_request() && side.ahead().offers.pending.theirs.is_some();
        owes || side.base.offers.last.ours.as_ref().is_some_and(|before| overtaken(before, seen))
    }

    fn record(&mut self, passing: &Passing<'_>) {
        let Passing { by, seen, ref route, .. } = *passing;
        if let Some(rseq) = seen.reliable() {
            if self.reliable.len() >= MOST_RELIABLE {
                self.reliable.remove(0);
            }
            self.reliable.push((seen.cseq, rseq, seen.at.n));
        }
        self.note(by, seen, route.clone());
    }

    /// The INVITE before this one was refused, so no dialog remembers it: what its sender was told then holds for this one.
    pub(super) fn tried_again(&mut self, before: &Self) {
        let told = &before.callee.base.party.theirs;
        for sender in [&mut self.caller.base.party.ours, &mut self.callee.base.party.theirs] {
            (sender.refused, sender.challenged) = (told.refused.clone(), told.challenged.clone());
        }
    }

    /// Records a message without judging it.
    pub(super) fn note(&mut self, by: Party, seen: &Seen<'_>, route: Option<Vec<Box<str>>>) {
        if seen.is_request() && matches!(seen.method, Method::Cancel | Method::Bye) {
            self.ended = Some(seen.at.time);
        }
        let before = seen.sdp.as_ref().and_then(|_| self.side(by).base.offers.last.ours.clone());
        let applied = self.side_mut(by).sent(seen);
        let agreed = applied.iter().any(|noted| matches!(noted, Noted::Exchange(Outcome::Agreed { .. })));
        if agreed {
            (self.whole, self.unsure) = (true, false);
        }
        self.side_mut(by.other()).receive(seen, route);
        if let Some(before) = before.filter(|before| overtaken(before, seen)) {
            self.side_mut(by).change(|dialog| dialog.offers.last.ours = Some(before.clone()));
        }
    }

    /// A copy of a message passed: what it answers, or what answers it, may not have come.
    pub(super) fn copied(&mut self, by: Party, facts: &Facts<'_>, patience: &Patience) {
        self.catch_up(facts.at, patience);
        let (method, cseq, status) = (facts.method, facts.cseq, facts.status);
        let now = facts.at;
        // Itself is on its way again.
        self.side_mut(by.other())
            .not_yet(now, |came| came.method == method && came.cseq == cseq && came.status == status);
        // Whoever repeats a request has no response; whoever repeats a final response to INVITE has no ACK.
        self.side_mut(by).not_yet(now, |came| match status {
            None => came.status.is_some() && came.method == method && came.cseq == cseq,
            Some(200..) if method == Method::Invite => came.method == Method::Ack && came.cseq == cseq,
            Some(101..=199) if method == Method::Invite => came.method == Method::Prack,
            Some(_) => false,
        });
    }

    /// Delivers what must have come by now.
    pub(super) fn catch_up(&mut self, now: Instant, patience: &Patience) {
        self.caller.catch_up(now, patience);
        self.callee.catch_up(now, patience);
    }

    /// Gives back the room that a busy time took.
    pub(super) fn rest(&mut self) {
        self.caller.rest();
        self.callee.rest();
    }

    /// A provisional response to the INVITE passed in some dialog of it.
    pub(super) fn provisional_passed(&mut self, n: u32) {
        for side in [&mut self.caller, &mut self.callee] {
            for open in side.base.open.iter_mut().filter(|open| open.forms) {
                open.provisional.get_or_insert(n);
            }
        }
    }

    /// The same INVITE in the dialog with this callee tag.
    pub(super) fn fork(&self, callee_tag: &str) -> Self {
        let mut fork = self.clone();
        let tag: Arc<str> = callee_tag.into();
        fork.caller.base.party.theirs.tag = tag.clone();
        fork.callee.base.party.ours.tag = tag;
        fork
    }

    /// The evidence of one earlier message.
    pub(super) fn on(n: u32) -> Evidence {
        smallvec![n]
    }
}

/// Whether a response and a request of the same side, which stands in evidence against it, passed so close to each other that
/// they may have been captured in the wrong order.
fn swapped(claim: &Claim, passing: &Passing<'_>) -> bool {
    own_since(claim, passing).any(|own| passing.facts.at.since(own.first) < SWAPPED)
}

/// Whether a response, the first one in the trace, may only repeat one that was sent before the request of the same side that
/// stands in evidence against it: what it answers was sent again in between.
fn answered_before(claim: &Claim, passing: &Passing<'_>) -> bool {
    let again = passing.trace.answered_by(passing.facts).filter(|_| !passing.facts.is_request());
    again.is_some_and(|one| own_since(claim, passing).any(|own| one.copies > 0 && one.last > own.first))
}

/// The requests in evidence that the sender of a response sent after what it answers had passed.
fn own_since<'p>(claim: &'p Claim, passing: &'p Passing<'_>) -> impl Iterator<Item = &'p Transaction> {
    let (facts, trace) = (passing.facts, passing.trace);
    let answered = trace.answered_by(facts).filter(|_| !facts.is_request()).map_or(u32::MAX, |one| one.n);
    let later = claim.because.iter().filter(move |n| **n > answered);
    later.filter_map(|n| trace.numbered(*n)).filter(|own| own.sent_by(facts.to_tag))
}

/// Whether the answer of a message is older than this description of the same side: an offer that was sent after it had
/// overtaken it. Versions go on from the later one.
fn overtaken(before: &Sdp, answer: &Seen<'_>) -> bool {
    let answers = !answer.is_request() || answer.method == Method::Ack;
    let Some(sdp) = answer.sdp.as_ref().filter(|_| answers) else { return false };
    before.is_same_session(sdp) == Some(true) && sdp.version() < before.version()
}

/// Up to how far apart captures swap packets.
const SWAPPED: Duration = Duration::from_millis(10);
/// The most reliable responses that are remembered of a dialog.
pub(super) const MOST_RELIABLE: usize = 16;
