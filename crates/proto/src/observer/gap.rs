//! What later messages prove of earlier ones that the capture lacks.
//!
//! A party that goes on as if something had passed shows that it did pass: an ACK comes after a final response, the 2xx of a
//! PRACK after the reliable response that its RAck names, and whoever stops repeating a message has got what it waited for.
//! Both views then count it as passed, with whatever it may have carried, and the dialog is unsure until the next exchange.

use midcall_wire::Method;
use smallvec::SmallVec;

use super::absence::Unanswered;
use super::dialog::{MOST_RELIABLE, ObservedDialog, Passing};
use super::finding::Party;
use super::side::Patience;
use super::signs;
use super::trace::Transactions;
use crate::dialog::Way;
use crate::rules::methods::MODIFY_SESSION;
use crate::time::Instant;

impl ObservedDialog {
    /// Notes what says that the capture lacks something.
    pub(super) fn look_for_loss(&mut self, passing: &Passing<'_>) {
        let Passing { by, seen, facts, trace, .. } = *passing;
        if seen.is_request() && seen.method != Method::Ack {
            self.presume_acknowledged(passing);
        }
        if !seen.is_request() {
            // A response to a request that was not seen never gets here; one to a PRACK tells whether its 1xx was missed.
            if seen.method == Method::Prack
                && seen.is_success()
                && signs::unknown_rack(self, by, seen).is_some()
            {
                self.missed_reliable(by, seen.cseq);
            }
            return;
        }
        match seen.method {
            Method::Ack => {
                let open = self.side(by).base.find_open(Way::Sent, Method::Invite, seen.cseq);
                let Some(forms) = open.filter(|open| open.accepted.is_none()).map(|open| open.forms) else {
                    return;
                };
                match trace.acknowledged(facts) {
                    Some((invite, true)) if invite.last_word().is_some() => {}
                    Some((_, true)) if forms => self.unsure = true,
                    Some((_, true)) => self.missed_failure(by, seen.cseq),
                    _ => self.missed_success(by, seen.cseq),
                }
            }
            Method::Cancel => {}
            _ => {
                let last = self.side(by).base.party.ours.cseq;
                let skipped = last.is_some_and(|last| seen.cseq > last.saturating_add(1));
                let session = seen.has_sdp || seen.method == Method::Invite;
                if skipped || session && trace.unacknowledged_success(facts).is_some() {
                    self.unsure = true;
                }
            }
        }
    }

    /// An ACK shows that an INVITE of this side got a 2xx that the capture lacks.
    fn missed_success(&mut self, by: Party, cseq: u32) {
        self.unsure = true;
        self.side_mut(by).missed_success(Way::Sent, cseq);
        self.side_mut(by.other()).missed_success(Way::Received, cseq);
    }

    /// RFC 3261 §17.1.1.3: an ACK with the branch of the INVITE shows that it was refused.
    fn missed_failure(&mut self, by: Party, cseq: u32) {
        self.unsure = true;
        self.side_mut(by).missed_failure(Way::Sent, cseq);
        self.side_mut(by.other()).missed_failure(Way::Received, cseq);
    }

    /// RFC 3262 §3: this party accepted a PRACK, so it had sent the reliable response that the RAck names.
    fn missed_reliable(&mut self, by: Party, prack: u32) {
        self.unsure = true;
        let open = self.side(by).base.find_open(Way::Received, Method::Prack, prack);
        let Some((rseq, invite, described)) =
            open.and_then(|open| open.rack.map(|(rseq, invite)| (rseq, invite, open.offered)))
        else {
            return;
        };
        if self.reliable.len() >= MOST_RELIABLE {
            self.reliable.remove(0);
        }
        self.reliable.push((invite, rseq, 0));
        self.side_mut(by).missed_reliable(Way::Received, (invite, rseq), described);
        self.side_mut(by.other()).missed_reliable(Way::Sent, (invite, rseq), described);
    }

    /// RFC 3261 §13.3.1.4: whoever sends no 2xx again any more, though the capture goes on, has its ACK.
    fn presume_acknowledged(&mut self, passing: &Passing<'_>) {
        let (trace, now, t1) = (passing.trace, passing.facts.at, passing.patience.t1);
        for party in [Party::Caller, Party::Callee] {
            let open = self.side(party).base.open.iter().filter(|open| open.way == Way::Sent);
            let accepted = open.filter_map(|open| Some((open.on, open.cseq, open.accepted?)));
            let unseen = accepted.filter(|(invite, _, (success, _))| {
                let one = trace.numbered(*invite);
                let success =
                    one.and_then(|one| one.responses.iter().find(|response| response.n == *success));
                success.is_some_and(|success| success.ack_unseen(now, t1))
            });
            let unseen: SmallVec<[u32; 2]> = unseen.map(|(_, cseq, _)| cseq).collect();
            for cseq in unseen {
                self.missed_success(party, cseq);
            }
        }
    }

    /// The requests of both parties that somebody answered, though the capture lacks the answer.
    pub(super) fn answered_unseen(
        &self,
        now: Instant,
        patience: &Patience,
        trace: &Transactions,
    ) -> impl Iterator<Item = u32> {
        let sides = [Party::Caller, Party::Callee].map(|party| self.side(party));
        let open = sides.into_iter().flat_map(|side| &side.base.open).filter(|open| open.way == Way::Sent);
        let unseen = move |n: &u32| trace.numbered(*n).is_some_and(|one| one.answer_unseen(now, patience.t1));
        open.map(|open| open.on).filter(unseen)
    }

    /// This request was answered, and the capture lacks the answer: what it asked for may be in force.
    pub(super) fn missed_answer(&mut self, gone: &Unanswered) {
        if !MODIFY_SESSION.has(gone.method) {
            return;
        }
        self.unsure = true;
        for side in [gone.by, gone.by.other()] {
            self.side_mut(side).change(|dialog| dialog.timer.running = None);
        }
    }
}
