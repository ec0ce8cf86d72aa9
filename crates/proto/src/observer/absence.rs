//! What never came: read off the dues of both views, and told only when its whole window, or what follows from it, is in
//! the trace.

use std::time::Duration;

use midcall_wire::Method;
use smallvec::{SmallVec, smallvec};

use super::dialog::{Claim, ObservedDialog};
use super::finding::{Certainty, Party};
use super::side::Patience;
use super::signs;
use super::trace::Transactions;
use super::weigh::against;
use crate::dialog::{Due, DueKind, Evidence, Phase, Seen, SubscriptionState, Way};
use crate::rules::{RuleId, Severity};
use crate::time::Instant;

/// A request of a dialog that waited for nothing until its transaction was over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unanswered {
    pub(super) by: Party,
    pub(super) method: Method,
    pub(super) cseq: u32,
    pub(super) n: u32,
    /// Whether it is a 2xx without ACK that is missing, not a response.
    pub(super) acknowledgement: bool,
}

impl ObservedDialog {
    /// What is due by now and has not come.
    pub(super) fn overdue(&mut self, now: Instant, patience: &Patience, trace: &Transactions) -> Vec<Claim> {
        let mut claims = Vec::new();
        for creditor in [Party::Caller, Party::Callee] {
            let base = &self.side(creditor).base;
            if base.is_idle() {
                continue;
            }
            // Only a request may be resent for long before it comes.
            let late = |due: &Due| match due.what {
                DueKind::FinalNotify => due.by + patience.transaction() <= now,
                _ => due.by + patience.flight <= now,
            };
            let mut dues: Vec<_> =
                base.dues(patience.t1).filter(|due| due.who == Way::Received && late(due)).collect();
            dues.extend(self.unnotified(creditor, now, patience));
            for due in dues {
                claims.extend(self.claim_missing(due, creditor.other(), trace));
            }
        }
        claims
    }

    /// What the sender of this message waited for in vain: it does what is left to whoever gets no ACK (RFC 3261 §13.3.1.4) or
    /// no PRACK (RFC 3262 §3), whatever its clock says.
    pub(super) fn given_up(&mut self, by: Party, seen: &Seen<'_>, trace: &Transactions) -> Vec<Claim> {
        let what = match (seen.status, seen.method) {
            (None, Method::Bye) => DueKind::Ack,
            (Some(300..), Method::Invite) => DueKind::Prack,
            _ => return Vec::new(),
        };
        self.in_vain(by, |due| due == what, trace)
    }

    /// The INVITEs of both sides that got no response at all.
    pub(super) fn unheard(&self) -> impl Iterator<Item = u32> + '_ {
        let sent = |party| self.side(party).base.open.iter().filter(|open| open.way == Way::Sent);
        let open = [Party::Caller, Party::Callee].into_iter().flat_map(sent);
        open.filter(|open| open.method == Method::Invite && open.phase == Phase::Trying).map(|open| open.on)
    }

    /// What both sides still waited for in vain when the trace ended.
    pub(super) fn cut_off(&mut self, trace: &Transactions) -> Vec<Claim> {
        let mut claims = Vec::new();
        for party in [Party::Caller, Party::Callee] {
            let waits = |due| matches!(due, DueKind::Ack | DueKind::Prack | DueKind::Final(_));
            claims.extend(self.in_vain(party, waits, trace));
        }
        claims
    }

    /// What a side asked for so often by sending something again that it cannot have come.
    fn in_vain(
        &mut self,
        creditor: Party,
        waits: impl Fn(DueKind) -> bool,
        trace: &Transactions,
    ) -> Vec<Claim> {
        let often = |n| trace.resent(n).is_some_and(|copies| copies >= IN_VAIN);
        let dues = self.side(creditor).base.dues(Duration::ZERO); // by when does not matter
        let dues: SmallVec<[Due; 2]> =
            dues.filter(|due| due.who == Way::Received && waits(due.what) && often(due.since)).collect();
        dues.into_iter().filter_map(|due| self.claim_missing(due, creditor.other(), trace)).collect()
    }

    /// Claims once that something due has not come.
    fn claim_missing(&mut self, due: Due, debtor: Party, trace: &Transactions) -> Option<Claim> {
        if self.told.contains(&(due.what, due.since)) {
            return None;
        }
        if self.told.len() >= MOST_TOLD {
            self.told.remove(0);
        }
        self.told.push((due.what, due.since));
        self.missing(due, debtor, trace)
    }

    fn missing(&self, due: Due, debtor: Party, trace: &Transactions) -> Option<Claim> {
        let resent = trace.resent(due.since).unwrap_or_default();
        let because: Evidence = smallvec![];
        let mut claim = match due.what {
            DueKind::Ack if self.still_asked(debtor, due.since, trace) => return None,
            // Without resends the acknowledgement only went another way.
            // Whoever is told of a BYE may stop resending: only resends that go on show that the ACK is missing.
            DueKind::Ack if resent > 2 && signs::success_after_bye(self, debtor, due.since) => {
                against(debtor, RuleId::RaceSuccessAfterBye, due.since, because)
            }
            DueKind::Ack if resent > 2 && self.second => {
                against(debtor, RuleId::SecondSuccessNotAcked, due.since, because)
            }
            DueKind::Ack if resent > 2 => match self.ack_lost(debtor, due.since) {
                // It was sent, and the copies of the 2xx that should have brought another may be lost as well.
                Some(ack) => {
                    let mut claim = against(Party::Network, due.rule, due.since, smallvec![ack]);
                    claim.doubt(Certainty::CaptureGap);
                    claim
                }
                None => against(debtor, due.rule, due.since, because),
            },
            DueKind::Prack if resent > 0 => against(debtor, due.rule, due.since, because),
            DueKind::Final(_) if resent > 0 => against(debtor, due.rule, due.since, because),
            DueKind::Refresh if signs::was_unasked(self, due.since) => {
                against(debtor, RuleId::UnaskedTimerIgnored, due.since, because)
            }
            DueKind::Refresh => against(debtor, due.rule, due.since, because),
            DueKind::FinalNotify => against(debtor, due.rule, due.since, because),
            _ => return None,
        };
        // The refresher may have wanted the session to end, and who stayed silent may not have been heard.
        claim.severity = claim.severity.min(Severity::Warning);
        if !self.is_whole() {
            return None;
        }
        if self.unsure {
            claim.doubt(Certainty::CaptureGap);
        }
        Some(claim)
    }

    /// The ACK for this 2xx, where it was sent but has not come.
    fn ack_lost(&self, debtor: Party, success: u32) -> Option<u32> {
        let side = self.side(debtor.other());
        let open = side.base.open.iter().find(|open| open.accepted.is_some_and(|(n, _)| n == success))?;
        side.ack_under_way(open.cseq)
    }

    /// Whether the INVITE was sent again long after its 2xx: it had not arrived.
    fn still_asked(&self, debtor: Party, success: u32, trace: &Transactions) -> bool {
        let mut accepted =
            self.side(debtor).base.open.iter().filter_map(|open| Some((open.on, open.accepted?)));
        let invite = accepted.find(|(_, (n, _))| *n == success);
        invite.is_some_and(|(on, (_, at))| trace.numbered(on).is_some_and(|invite| invite.last > at + COPIES))
    }

    /// REFERs that were accepted and never followed by a NOTIFY (RF-05).
    fn unnotified(&self, creditor: Party, now: Instant, patience: &Patience) -> Vec<Due> {
        let base = &self.side(creditor).base;
        let silent = base.subscriptions.iter().filter_map(|subscription| {
            let (n, time) = subscription.accepted?;
            let by = time + patience.transaction();
            let silent = subscription.refer == Way::Sent
                && subscription.state == SubscriptionState::Accepted
                && subscription.notified_on.is_none()
                && by + patience.flight <= now;
            silent.then_some(Due {
                what: DueKind::FinalNotify,
                who: Way::Received,
                rule: RuleId::NoNotifyAfterRefer,
                by,
                since: n,
            })
        });
        silent.collect()
    }

    /// Requests that got no answer in time; both views give them up.
    pub(super) fn give_up(&mut self, now: Instant, patience: &Patience) -> Vec<Unanswered> {
        let mut out = Vec::new();
        for by in [Party::Caller, Party::Callee] {
            let opens = self.side(by).base.open.iter().filter(|open| open.way == Way::Sent);
            for open in opens {
                let since = match (open.method, open.phase) {
                    (Method::Invite, Phase::Proceeding) => continue,
                    (Method::Invite, Phase::Accepted) => open.accepted.map_or(open.since, |(_, time)| time),
                    _ => open.since,
                };
                if since + patience.transaction() + GRACE <= now {
                    let acknowledgement = open.phase == Phase::Accepted;
                    let (method, cseq, n) = (open.method, open.cseq, open.on);
                    out.push(Unanswered { by, method, cseq, n, acknowledgement });
                }
            }
        }
        for gone in &out {
            for (side, way) in [(gone.by, Way::Sent), (gone.by.other(), Way::Received)] {
                let side = self.side_mut(side);
                if gone.acknowledgement {
                    side.change(|dialog| dialog.ack_missed(way, gone.cseq));
                } else {
                    side.timed_out(way, gone.method, gone.cseq);
                }
            }
        }
        out
    }

    /// When [`overdue`](Self::overdue), [`give_up`](Self::give_up) or a delivery may have something to do.
    pub(super) fn next(&self, patience: &Patience) -> Option<Instant> {
        let mut next = signs::next(self, patience);
        let mut sooner = |at: Instant| next = Some(next.map_or(at, |next: Instant| next.min(at)));
        for side in [Party::Caller, Party::Callee].map(|party| self.side(party)) {
            side.next(patience).into_iter().for_each(&mut sooner);
            if side.base.is_idle() {
                continue;
            }
            for due in side.base.dues(patience.t1) {
                if due.who == Way::Received && !self.told.contains(&(due.what, due.since)) {
                    sooner(due.by + patience.flight);
                }
            }
            for open in side.base.open.iter().filter(|open| open.phase != Phase::Proceeding) {
                sooner(
                    open.since.max(open.accepted.map_or(open.since, |(_, time)| time))
                        + patience.transaction()
                        + GRACE,
                );
            }
            for one in &side.base.subscriptions {
                if let (Some((n, time)), SubscriptionState::Accepted) = (one.accepted, one.state)
                    && !self.told.contains(&(DueKind::FinalNotify, n))
                {
                    sooner(time + patience.transaction() + patience.flight);
                }
            }
        }
        next
    }
}

/// So many copies in a row do not get lost, nor the answers to them: more than 10 s passed (RFC 3261 §17.1).
pub(super) const IN_VAIN: u16 = 5;
/// A little more than a transaction's end takes to be acted on.
const GRACE: Duration = Duration::from_secs(1);
/// The most absences that are remembered as told.
const MOST_TOLD: usize = 16;
/// The longest pause between two copies of a message: RFC 3261 T2.
const COPIES: Duration = Duration::from_secs(4);
