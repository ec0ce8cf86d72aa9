//! What no dialog by itself can judge: signs of a breach in transactions, in times, in what the parties did before and after.
//!
//! One file per theme, each with the same places to look from. They are asked in this order:
//! - `look`: a new message passes; both views are as they were before it. What is found goes through the same doubts as
//!   a breach of the dialog.
//! - `note`: it has passed and is recorded; what later looks need is written down in the theme's part of [`Memory`].
//! - `again`: a message was sent again.
//! - `overdue`: time passed; `next` says when that may have something to tell.
//!
//! A theme has only those that it needs. What a theme remembers is bounded, and takes no room while nothing happened.

mod bridge;
mod change;
mod dialog;
mod hop;
mod offer;
mod precondition;
mod race;
mod refer;
mod reliable;
mod resend;
mod security;
mod timer;
mod transaction;

use midcall_wire::Method;
use midcall_wire::sdp::Sdp;
use smallvec::SmallVec;

use super::dialog::{Claim, ObservedDialog, Passing};
use super::facts::Facts;
use super::finding::Party;
use super::side::Patience;
use super::trace::Transactions;
use crate::dialog::Way;
use crate::rules::RuleId;
use crate::rules::methods::MODIFY_SESSION;
use crate::time::Instant;

pub(super) use self::dialog::{lowest_cseq, second_tag};
pub(super) use self::race::success_after_bye;
pub(super) use self::security::carry;
pub(super) use self::timer::was_unasked;
pub(super) use self::transaction::unknown_rack;

/// One value for each party.
#[derive(Clone, Default, Debug)]
struct Each<T> {
    caller: T,
    callee: T,
}

impl<T> Each<T> {
    const fn of(&self, party: Party) -> &T {
        match party {
            Party::Caller | Party::Network => &self.caller,
            Party::Callee => &self.callee,
        }
    }

    const fn of_mut(&mut self, party: Party) -> &mut T {
        match party {
            Party::Caller | Party::Network => &mut self.caller,
            Party::Callee => &mut self.callee,
        }
    }
}

/// What the signs of one dialog remember.
#[derive(Clone, Default, Debug)]
pub(super) struct Memory {
    change: Each<change::Memory>,
    dialog: dialog::Memory,
    hop: hop::Memory,
    offer: offer::Memory,
    reliable: reliable::Memory,
    timer: Option<Box<timer::Memory>>,
    refer: Option<Box<refer::Memory>>,
    race: Option<Box<race::Memory>>,
    security: security::Memory,
    /// What is told once in a dialog and was told: the rule and who broke it.
    said: SmallVec<[(RuleId, Party); 2]>,
}

impl Memory {
    /// Whether this was not told yet; from now on it was.
    fn tell(&mut self, rule: RuleId, by: Party) -> bool {
        if self.said.contains(&(rule, by)) {
            return false;
        }
        if self.said.len() < MOST_SAID {
            self.said.push((rule, by));
        }
        true
    }
}

/// What a dialog said before a message that changes it was recorded.
#[derive(Clone, Default, Debug)]
pub(super) struct Before {
    /// Of a refused request: its number.
    on: u32,
    /// Whether an exchange inside it had been completed.
    executed: bool,
    /// Whether it had been cancelled.
    cancelled: bool,
    /// The offer that was refused with it.
    offer: Option<Sdp>,
    /// How many exchanges had been completed.
    exchanges: u32,
}

impl Before {
    /// What `note` needs of the time before this message.
    pub(super) fn of(observed: &ObservedDialog, passing: &Passing<'_>) -> Self {
        let (seen, dialog) = (passing.seen, &observed.side(passing.by).base);
        let mut before = Self { exchanges: dialog.offers.exchanges, ..Self::default() };
        let changes = MODIFY_SESSION.has(seen.method) && seen.is_failure();
        if let Some(open) = dialog.request_of(seen).filter(|open| changes && !open.forms) {
            before.on = open.on;
            (before.executed, before.cancelled) = (open.executed, open.cancelled.is_some());
            let offer = dialog.offers.pending.by(Way::Received).iter().flat_map(|offer| offer.all());
            let mut own = offer.filter(|offer| offer.on == open.on);
            before.offer = own.next().and_then(|offer| offer.sdp.clone());
        }
        before
    }
}

/// A new message passes.
pub(super) fn look(observed: &ObservedDialog, passing: &Passing<'_>, found: &mut Vec<Claim>) {
    transaction::look(observed, passing, found);
    hop::look(observed, passing, found);
    dialog::look(observed, passing, found);
    offer::look(observed, passing, found);
    change::look(observed, passing, found);
    reliable::look(observed, passing, found);
    precondition::look(observed, passing, found);
    timer::look(observed, passing, found);
    refer::look(observed, passing, found);
    race::look(observed, passing, found);
    bridge::look(observed, passing, found);
    security::look(observed, passing, found);
    let ends = passing.seen.method == Method::Bye && passing.seen.is_request();
    if ends && ends_for_a_reason(observed, passing.by) {
        found.retain(|claim| !blames_a_refusal(claim.rule));
    }
}

/// Whether a party has a reason to end the call, whatever else was refused meanwhile: its transfer worked (RFC 5589 §6.1), its
/// dialog is gone, or the other side has hung up before.
fn ends_for_a_reason(observed: &ObservedDialog, by: Party) -> bool {
    let hung_up = observed.side(by.other()).base.party.ours.bye.is_some();
    hung_up || refer::worked(observed, by) || change::lost(observed, by)
}

/// Whether it says that a refusal made somebody hang up.
const fn blames_a_refusal(rule: RuleId) -> bool {
    matches!(
        rule,
        RuleId::CallDroppedOnRefusal
            | RuleId::CancelledReInvite
            | RuleId::RefreshGivenUp
            | RuleId::FailedTransferEndsCall
            | RuleId::CodeEndsTheCall
    )
}

/// Whether this breach is only the other face of a sign that is told.
pub(super) fn hides(observed: &ObservedDialog, passing: &Passing<'_>, rule: RuleId) -> bool {
    change::hides(observed, passing, rule)
        || rule == RuleId::NoSuchDialog && dialog::refuses_identity(observed, passing).is_some()
}

/// The rule that says better what this breach is.
pub(super) fn told_instead(observed: &ObservedDialog, passing: &Passing<'_>, rule: RuleId) -> Option<RuleId> {
    offer::told_instead(observed, passing, rule)
}

/// It has passed.
pub(super) fn note(
    observed: &mut ObservedDialog,
    passing: &Passing<'_>,
    before: &Before,
    found: &mut Vec<Claim>,
) {
    hop::note(observed, passing);
    dialog::note(observed, passing);
    change::note(observed, passing, before);
    reliable::note(observed, passing);
    offer::note(observed, passing, before, found);
    timer::note(observed, passing);
    refer::note(observed, passing);
    race::note(observed, passing);
    security::note(observed, passing);
}

/// Whether a claim is one that is told at most once in a dialog, and was told before.
pub(super) fn is_told(observed: &mut ObservedDialog, claim: &Claim) -> bool {
    let once = matches!(
        claim.rule,
        RuleId::BranchWithoutCookie
            | RuleId::RequestTooBigForUdp
            | RuleId::ContentLength
            | RuleId::ResponseSentElsewhere
            | RuleId::InviteResentAfterProvisional
            | RuleId::ResendRepeatsProvisional
            | RuleId::AckOutsideCSeqOrder
            | RuleId::ReInviteLessProtected
            | RuleId::PreconditionTags
            | RuleId::AlertedBeforePreconditions
            | RuleId::ReInviteOnMediaLoss
            | RuleId::OfferPingPong
    );
    once && !observed.memory.tell(claim.rule, claim.by)
}

/// A message of this party was sent again.
pub(super) fn again(
    observed: &mut ObservedDialog,
    by: Party,
    facts: &Facts<'_>,
    trace: &Transactions,
    found: &mut Vec<Claim>,
) {
    change::again(observed, by, facts);
    timer::again(observed, by, facts, trace);
    resend::again(observed, by, facts, trace, found);
}

/// Time passed.
pub(super) fn overdue(
    observed: &mut ObservedDialog,
    now: Instant,
    patience: &Patience,
    trace: &Transactions,
    found: &mut Vec<Claim>,
) {
    change::overdue(observed, now, patience, trace, found);
    race::overdue(observed, now, patience, trace, found);
}

/// When [`overdue`] may have something to tell.
pub(super) fn next(observed: &ObservedDialog, patience: &Patience) -> Option<Instant> {
    change::next(observed, patience).into_iter().chain(race::next(observed)).min()
}

/// The most that is remembered as told.
const MOST_SAID: usize = 16;
