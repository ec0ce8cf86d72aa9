//! What time brings to a call: messages that must have come, those that never came, its end.

use std::time::Duration;

use midcall_wire::Method;

use super::ObservedCall;
use crate::dialog::Evidence;
use crate::observer::absence::IN_VAIN;
use crate::observer::dialog::{Claim, ObservedDialog};
use crate::observer::finding::{Certainty, Finding, Party};
use crate::observer::side::Patience;
use crate::observer::signs;
use crate::observer::trace::Transaction;
use crate::observer::weigh::against;
use crate::rules::RuleId;
use crate::time::Instant;

impl ObservedCall {
    /// Time passed: what is long on its way has come, what never came is claimed, what is over is forgotten.
    pub(in crate::observer) fn on_time(&mut self, now: Instant, patience: &Patience) -> Vec<Claim> {
        let mut claims = self.unanswered(now, patience);
        claims.extend(self.unacknowledged(Some(now - patience.transaction())));
        self.doubt_unseen(now, patience);
        for dialog in &mut self.dialogs {
            dialog.catch_up(now, patience);
            claims.extend(dialog.overdue(now, patience, &self.trace));
            signs::overdue(dialog, now, patience, &self.trace, &mut claims);
            let gone = dialog.give_up(now, patience);
            let invites = gone.iter().filter(|gone| gone.method == Method::Invite && !gone.acknowledgement);
            claims.extend(invites.filter_map(|gone| unheard(self.trace.numbered(gone.n)?)));
            for gone in gone.iter().filter(|gone| !gone.acknowledgement) {
                let one = self.trace.numbered(gone.n);
                if one.is_some_and(|one| one.answer_unseen(now, patience.t1)) {
                    dialog.missed_answer(gone);
                }
            }
        }
        once(&mut claims);
        self.look_whether_over(now);
        self.tidy(now, patience);
        claims
    }

    /// The trace ends: what was sent again and again to its end, and never got what was due for it, is claimed.
    pub(in crate::observer) fn on_end(&mut self) -> Vec<Claim> {
        let mut claims = self.unacknowledged(None);
        let vain = |one: &&Transaction| one.copies >= IN_VAIN;
        let begun = self.attempts.iter().filter(|attempt| attempt.over.is_none()).map(|attempt| attempt.n);
        let changes = self.dialogs.iter().flat_map(ObservedDialog::unheard);
        let invites = begun.chain(changes).filter_map(|n| self.trace.numbered(n)).filter(vain);
        claims.extend(invites.filter_map(unheard));
        for dialog in &mut self.dialogs {
            claims.extend(dialog.cut_off(&self.trace));
        }
        once(&mut claims);
        claims
    }

    /// INVITEs that got no response at all in time.
    fn unanswered(&mut self, now: Instant, patience: &Patience) -> Vec<Claim> {
        let mut claims = Vec::new();
        for attempt in self.attempts.iter_mut().filter(|attempt| attempt.over.is_none()) {
            let Some(one) = self.trace.numbered(attempt.n) else { continue };
            if one.responses.is_empty() && now >= one.first + patience.transaction() {
                (attempt.over, attempt.failed) = (Some(now), true);
                claims.extend(unheard(one));
            }
        }
        claims
    }

    /// Failures of INVITEs that were sent again to their end, first at that time or sooner, or to the end of the trace,
    /// without an ACK.
    fn unacknowledged(&self, before: Option<Instant>) -> Vec<Claim> {
        let failures = self.trace.unacknowledged_failures();
        let over = failures.filter(|(_, response)| before.is_none_or(|before| response.first <= before));
        let told = |n| self.findings.iter().any(|f| f.rule == RuleId::FailureResentWithoutAck && f.at == n);
        let untold = over.filter(|(_, response)| !told(response.n));
        let failures = untold.map(|(invite, response)| {
            let because = ObservedDialog::on(invite.n);
            against(Party::Network, RuleId::FailureResentWithoutAck, response.n, because)
        });
        failures.collect()
    }

    /// Findings that rest on a request that nobody sent again may rest on a response that the capture lacks.
    pub(in crate::observer) fn doubt_unseen(&mut self, now: Instant, patience: &Patience) {
        if self.findings.is_empty() {
            return;
        }
        let dialogs = self.dialogs.iter();
        let lost: Vec<u32> =
            dialogs.flat_map(|dialog| dialog.answered_unseen(now, patience, &self.trace)).collect();
        let rests = |finding: &&mut Finding| finding.because.iter().any(|n| lost.contains(n));
        for finding in self.findings.iter_mut().filter(rests) {
            if finding.rule.rule().loss && finding.certainty == Certainty::Certain {
                finding.doubt(Certainty::CaptureGap);
                self.revised.push((finding.rule, finding.at));
            }
        }
    }

    /// Findings that became doubtful since this was last asked.
    pub(in crate::observer) fn revised(&mut self) -> Vec<(RuleId, u32)> {
        std::mem::take(&mut self.revised)
    }

    /// Whether it is over for good, or was quiet for too long.
    pub(in crate::observer) fn is_done(&self, now: Instant, patience: &Patience, idle: Duration) -> bool {
        let over = self.done_at(patience).is_some_and(|done| done <= now);
        let subscribed = self.dialogs.iter().any(ObservedDialog::has_live_subscription);
        (over && (!subscribed || self.last + SUBSCRIBED <= now)) || self.last + idle <= now
    }

    /// When nothing more of it is expected if it is over now: what was owed when it ended is overdue by then, and was told.
    fn done_at(&self, patience: &Patience) -> Option<Instant> {
        self.over.map(|over| over + patience.linger())
    }

    /// When it next has something to do.
    pub(in crate::observer) fn next(&self, patience: &Patience, idle: Duration) -> Instant {
        let attempts = self.attempts.iter().map(|attempt| {
            let since = attempt.over.or_else(|| Some(self.trace.numbered(attempt.n)?.first));
            since.unwrap_or(self.last) + patience.transaction()
        });
        let over = self.done_at(patience);
        let subscribed = over.map(|_| self.last + SUBSCRIBED);
        let dialogs = self.dialogs.iter().filter_map(|dialog| dialog.next(patience));
        let busy = (!self.trace.is_empty()).then(|| self.last + patience.transaction() + GIVEN_UP);
        let soon = attempts.chain(over).chain(subscribed).chain(dialogs).chain(busy);
        soon.filter(|at| *at > self.last).chain([self.last + idle]).min().unwrap_or(self.last + idle)
    }

    /// Forgets what only the setup needed, and what is long over.
    fn tidy(&mut self, now: Instant, patience: &Patience) {
        let past = now - patience.transaction();
        self.attempts.retain(|attempt| attempt.over.is_none_or(|over| over > past));
        if self.attempts.is_empty() {
            self.attempts = Vec::new();
        }
        if !self.trace.is_empty() {
            self.trace.prune(past - GIVEN_UP);
        }
        if self.trace.is_empty() {
            // Most calls are quiet, and need no room for what is on its way.
            self.dialogs.iter_mut().for_each(ObservedDialog::rest);
        }
    }
}

/// Two early dialogs may miss the same thing.
fn once(claims: &mut Vec<Claim>) {
    claims.dedup_by(|one, other| (one.rule, one.at, one.by) == (other.rule, other.at, other.by));
}

/// An INVITE that was sent again and again and got no response at all. One that is too large for a packet may have been
/// lost for that.
fn unheard(invite: &Transaction) -> Option<Claim> {
    let alone = invite.responses.is_empty() && invite.copies >= 3;
    let large = !invite.reliable && invite.size > MTU_UNKNOWN;
    let rule = if large { RuleId::RequestTooBigForUdp } else { RuleId::InviteNeverAnswered };
    alone.then(|| against(Party::Network, rule, invite.n, Evidence::new()))
}

/// How much longer than its timers run a transaction is remembered, so that what gives it up can still look at it.
const GIVEN_UP: Duration = Duration::from_secs(2);
/// RFC 3261 §18.1.1: up to this size a request fits into a packet on any path.
const MTU_UNKNOWN: u32 = 1300;
/// How long a call that is over is kept for the NOTIFYs of a REFER.
pub(in crate::observer) const SUBSCRIBED: Duration = Duration::from_secs(300);
