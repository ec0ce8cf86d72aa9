//! One call of a trace: its INVITEs, its dialogs, its messages and what was found.

use std::net::SocketAddr;
use std::sync::Arc;

use midcall_wire::{Message, Method, Name, NameAddr};

use super::change::{Changes, ObservedChange};
use super::dialog::{Claim, ObservedDialog, Passing};
use super::facts::Facts;
use super::finding::{Certainty, Finding, Party};
use super::side::Patience;
use super::signs;
use super::trace::{Repeat, Taken, Transactions};
use super::weigh::against;
use crate::dialog::{At, Dialog, Evidence, Lists, Seen, Way};
use crate::rules::RuleId;
use crate::time::Instant;

mod time;

pub(super) use time::SUBSCRIBED;

/// A party of a call, as its messages name it.
#[derive(Clone, Debug)]
pub struct ObservedParty {
    /// Its URI.
    pub uri: Box<str>,
    /// Its tag, empty while not known.
    pub tag: Box<str>,
    /// The address that its messages come from, at the first place where they were captured.
    pub address: SocketAddr,
}

/// What a message of a call was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A message of its own.
    First,
    /// A copy of the message with this number.
    Again {
        /// The number of the first copy.
        of: u32,
        /// What kind of copy.
        how: Repeat,
    },
    /// A response to a request that the trace lacks.
    Orphan,
}

/// A message of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ObservedMessage {
    /// Its number.
    pub n: u32,
    /// When it was captured.
    pub at: Instant,
    /// Who sent it; the network for a message that fits no side.
    pub by: Party,
    /// What it was.
    pub kind: Kind,
}

/// An INVITE without To tag, from which dialogs form.
#[derive(Clone, Debug)]
struct Attempt {
    n: u32,
    cseq: u32,
    from_tag: Box<str>,
    /// Both parties' views of the INVITE, without the callee's tag.
    seed: ObservedDialog,
    /// When it got its final response, or none in time.
    over: Option<Instant>,
    /// Whether it came to nothing: no dialog can come of it any more.
    failed: bool,
}

impl Attempt {
    /// Whether a message has the tag and the number of this INVITE.
    fn is_of(&self, facts: &Facts<'_>) -> bool {
        *self.from_tag == *facts.from_tag && self.cseq == facts.cseq
    }
}

/// How much is remembered of one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) dialogs: usize,
    pub(super) messages: usize,
    pub(super) transactions: usize,
    pub(super) changes: usize,
}

/// One call of a trace.
#[derive(Clone, Debug)]
pub struct ObservedCall {
    pub(super) call_id: Arc<str>,
    caller: ObservedParty,
    callee: ObservedParty,
    dialogs: Vec<ObservedDialog>,
    attempts: Vec<Attempt>,
    pub(super) trace: Transactions,
    messages: Vec<ObservedMessage>,
    pub(super) findings: Vec<Finding>,
    revised: Vec<(RuleId, u32)>,
    changes: Changes,
    /// Messages, dialogs, transactions and changes that were not remembered.
    dropped: u32,
    pub(super) last: Instant,
    over: Option<Instant>,
}

impl ObservedCall {
    /// A call that begins with this message.
    pub(super) fn new(facts: &Facts<'_>, call_id: &str) -> Self {
        let uri =
            |address: Option<NameAddr<'_>>| address.map(|address| address.uri.into()).unwrap_or_default();
        let (from, to) = (uri(facts.envelope.from), uri(facts.envelope.to));
        let sender = ObservedParty { uri: from, tag: facts.from_tag.into(), address: facts.from };
        let other = ObservedParty { uri: to, tag: facts.to_tag.into(), address: facts.to };
        let (mut caller, mut callee) = (sender, other);
        if !facts.is_request() {
            std::mem::swap(&mut caller.address, &mut callee.address);
        }
        Self {
            call_id: call_id.into(),
            caller,
            callee,
            dialogs: Vec::new(),
            attempts: Vec::new(),
            trace: Transactions::default(),
            messages: Vec::new(),
            findings: Vec::new(),
            revised: Vec::new(),
            changes: Changes::default(),
            dropped: 0,
            last: facts.at,
            over: None,
        }
    }

    /// The Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// Who sent the INVITE, or the first message of a capture that begins later.
    #[must_use]
    pub const fn caller(&self) -> &ObservedParty {
        &self.caller
    }

    /// The other party.
    #[must_use]
    pub const fn callee(&self) -> &ObservedParty {
        &self.callee
    }

    /// Its dialogs: one for each To tag that answered.
    #[must_use]
    pub fn dialogs(&self) -> &[ObservedDialog] {
        &self.dialogs
    }

    /// Its messages in the order of their numbers, copies included.
    #[must_use]
    pub fn messages(&self) -> &[ObservedMessage] {
        &self.messages
    }

    /// What was found in it.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The changes that its parties asked for.
    #[must_use]
    pub fn changes(&self) -> &[ObservedChange] {
        self.changes.list()
    }

    /// How much of it was not remembered because it was too much.
    #[must_use]
    pub const fn dropped(&self) -> u32 {
        self.dropped.saturating_add(self.trace.forgotten).saturating_add(self.changes.dropped)
    }

    /// Since when it is over.
    #[must_use]
    pub const fn ended(&self) -> Option<Instant> {
        self.over
    }

    /// Takes a message.
    pub(super) fn take(
        &mut self,
        facts: &Facts<'_>,
        message: &Message<&[u8]>,
        patience: &Patience,
        bounds: &Bounds,
        lists: &mut Lists,
    ) -> Vec<Claim> {
        self.last = self.last.max(facts.at);
        let mut claims = Vec::new();
        self.trace.coarse = patience.resolution > patience.t1;
        let taken = self.trace.take(facts, bounds.transactions);
        let (by, kind) = match taken {
            Taken::New if facts.out_of_range => {
                let by = self.side_of(facts);
                let wrong = against(by, RuleId::CSeqOutOfRange, facts.n, Evidence::new());
                claims.extend(facts.is_request().then_some(wrong));
                (Some(by), Kind::First)
            }
            Taken::Orphan => {
                let known = self.dialog_of(facts);
                if let Some((dialog, _)) = known
                    && let Some(dialog) = self.dialogs.get_mut(dialog)
                {
                    dialog.unsure = true;
                }
                if let Some((dialog, by)) = known
                    && self.dialogs.get(dialog).is_some_and(ObservedDialog::is_whole)
                {
                    let mut claim = against(by, RuleId::StrayResponse, facts.n, Evidence::new());
                    claim.doubt(Certainty::CaptureGap);
                    claims.push(claim);
                }
                (known.map(|(_, by)| by), Kind::Orphan)
            }
            Taken::Stray(request) => {
                // Nobody takes it (RFC 3261 §17.1.3), so no dialog does.
                let by = self.side_of(facts);
                claims.push(against(by, RuleId::StrayResponse, facts.n, ObservedDialog::on(request)));
                (Some(by), Kind::Orphan)
            }
            Taken::Copy(of, how) => {
                self.trace.relayed |= how == Repeat::Hop;
                let known = self.dialog_of(facts);
                if let Some((dialog, by)) = known
                    && let Some(dialog) = self.dialogs.get_mut(dialog)
                    && matches!(how, Repeat::Resent | Repeat::Failover)
                {
                    dialog.copied(by, facts, patience);
                }
                if how == Repeat::Resent {
                    self.again(known, facts, &mut claims);
                }
                (known.map(|(_, by)| by).or(Some(self.side_of(facts))), Kind::Again { of, how })
            }
            Taken::New => {
                let at = At { n: facts.n, time: facts.at };
                let seen = Seen::of(Way::Sent, at, message, facts.envelope, lists);
                let by = self.take_new(facts, &seen, message, patience, bounds, &mut claims);
                (by, Kind::First)
            }
        };
        if self.messages.len() < bounds.messages {
            let by = by.unwrap_or(Party::Network);
            if self.messages.len() == self.messages.capacity() {
                self.messages.reserve_exact(4 + self.messages.len() / 4);
            }
            self.messages.push(ObservedMessage { n: facts.n, at: facts.at, by, kind });
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
        self.look_whether_over(facts.at);
        claims
    }

    /// A message was sent again, in a dialog or around an INVITE that forms one.
    fn again(&mut self, known: Option<(usize, Party)>, facts: &Facts<'_>, claims: &mut Vec<Claim>) {
        let index = self.attempts.iter().rposition(|attempt| attempt.is_of(facts));
        let place = match known {
            Some((index, by)) => self.dialogs.get_mut(index).map(|dialog| (dialog, by)),
            None => index.and_then(|index| self.attempts.get_mut(index)).map(|attempt| {
                let by = if facts.is_request() { Party::Caller } else { Party::Callee };
                (&mut attempt.seed, by)
            }),
        };
        let Some((dialog, by)) = place else { return };
        let mut found = Vec::new();
        signs::again(dialog, by, facts, &self.trace, &mut found);
        found.retain(|claim| !signs::is_told(dialog, claim));
        claims.append(&mut found);
    }

    fn take_new(
        &mut self,
        facts: &Facts<'_>,
        seen: &Seen<'_>,
        message: &Message<&[u8]>,
        patience: &Patience,
        bounds: &Bounds,
        claims: &mut Vec<Claim>,
    ) -> Option<Party> {
        if facts.is_request() && facts.method == Method::Invite && facts.to_tag.is_empty() {
            self.attempt(facts, seen, message, patience, claims);
            return Some(Party::Caller);
        }
        if let Some(attempt) = self.attempt_of(facts) {
            return Some(self.around_attempt(attempt, facts, seen, message, patience, bounds, claims));
        }
        let (index, by) = match self.dialog_of(facts) {
            Some(known) => known,
            None => match self.dialog_meant(facts) {
                Some(meant) => meant,
                None if facts.is_request() && !facts.to_tag.is_empty() => {
                    self.join(facts, seen, message, bounds)?
                }
                // Outside any dialog there is nothing to judge it by.
                None => return (facts.method == Method::Refer).then(|| self.side_of(facts)),
            },
        };
        self.changes.before(by, seen, self.dialogs.get(index)?, bounds.changes);
        let dialog = self.dialogs.get_mut(index)?;
        dialog.pass(Passing { by, seen, facts, message, trace: &self.trace, patience, route: None }, claims);
        self.changes.after(by, seen, dialog);
        Some(by)
    }

    /// An INVITE without To tag.
    fn attempt(
        &mut self,
        facts: &Facts<'_>,
        seen: &Seen<'_>,
        message: &Message<&[u8]>,
        patience: &Patience,
        claims: &mut Vec<Claim>,
    ) {
        let (caller, callee) = Dialog::of_both(self.call_id.clone(), seen, message);
        let mut seed = ObservedDialog::formed(facts.n, caller, callee);
        let by = Party::Caller;
        if let Some(before) = self.attempts.last() {
            signs::carry(&before.seed, &mut seed);
            if *before.from_tag == *facts.from_tag {
                seed.tried_again(&before.seed);
            }
        }
        seed.pass(Passing { by, seen, facts, message, trace: &self.trace, patience, route: None }, claims);
        if self.attempts.len() >= MOST_ATTEMPTS {
            // Of one that failed nothing is lost: it waits for nothing, and what was found in it is told.
            let failed = self.attempts.iter().position(|attempt| attempt.failed);
            self.attempts.remove(failed.unwrap_or_default());
            self.dropped = self.dropped.saturating_add(u32::from(failed.is_none()));
        }
        let from_tag = facts.from_tag.into();
        self.attempts.push(Attempt {
            n: facts.n,
            cseq: facts.cseq,
            from_tag,
            seed,
            over: None,
            failed: false,
        });
        self.over = None;
    }

    /// The attempt that a message belongs to outside any dialog: a response to its INVITE, its CANCEL, the ACK of its
    /// failure.
    fn attempt_of(&self, facts: &Facts<'_>) -> Option<usize> {
        let index = self.attempts.iter().rposition(|attempt| attempt.is_of(facts))?;
        let outside = match (facts.status, facts.method) {
            (Some(_), Method::Invite) => self.trace.answered_by(facts).is_some_and(|one| !one.in_dialog()),
            (_, Method::Cancel) => true,
            (None, Method::Ack) => {
                self.dialog_of(facts).is_none() && self.attempts.get(index)?.over.is_some()
            }
            _ => false,
        };
        outside.then_some(index)
    }

    #[allow(clippy::too_many_arguments, reason = "a message with all that is known of it")]
    fn around_attempt(
        &mut self,
        index: usize,
        facts: &Facts<'_>,
        seen: &Seen<'_>,
        message: &Message<&[u8]>,
        patience: &Patience,
        bounds: &Bounds,
        claims: &mut Vec<Claim>,
    ) -> Party {
        let by = if facts.is_request() { Party::Caller } else { Party::Callee };
        let Some(attempt) = self.attempts.get_mut(index) else { return by };
        let n = attempt.n;
        let trace = &self.trace;
        let forming = facts.method == Method::Invite
            && match facts.status {
                Some(101..=199) => !facts.to_tag.is_empty(),
                Some(200..=299) => true,
                _ => false,
            };
        if !forming {
            attempt.seed.pass(Passing { by, seen, facts, message, trace, patience, route: None }, claims);
            let failed = facts.method == Method::Invite && facts.status.is_some_and(|status| status >= 300);
            if failed {
                attempt.over.get_or_insert(facts.at);
                attempt.failed = true;
            }
            for dialog in &mut self.dialogs {
                // Also one that a BYE ended while it was early: its INVITE has its final response yet to come.
                let mut open = dialog.side(Party::Callee).base.open.iter();
                let unanswered = open.any(|open| open.forms && open.accepted.is_none());
                if dialog.invite == n && unanswered && facts.method != Method::Ack {
                    dialog.catch_up(facts.at, patience);
                    claims.extend(dialog.given_up(by, seen, trace));
                    dialog.note(by, seen, None);
                }
            }
            return by;
        }
        attempt.seed.provisional_passed(facts.n);
        if facts.status.is_some_and(|status| status >= 200) {
            attempt.over.get_or_insert(facts.at);
        }
        let known =
            self.dialogs.iter().position(|dialog| dialog.invite == n && dialog.callee_tag() == facts.to_tag);
        let accepted = self.dialogs.iter().any(|dialog| {
            let mut open = dialog.side(Party::Callee).base.open.iter();
            dialog.invite == n
                && dialog.callee_tag() != facts.to_tag
                && open.any(|one| one.accepted.is_some())
        });
        // RFC 6228 §4: an unreliable 199 forms no dialog.
        let forms = known.is_none() && !(facts.status == Some(199) && seen.reliable().is_none());
        let position = match known {
            Some(position) => position,
            None if !forms => return by,
            None if self.dialogs.len() >= bounds.dialogs => {
                self.dropped = self.dropped.saturating_add(1);
                return by;
            }
            None => {
                self.dialogs.push(attempt.seed.fork(facts.to_tag));
                self.dialogs.len() - 1
            }
        };
        let success = facts.status.is_some_and(|status| status >= 200);
        if success || self.callee.tag.is_empty() {
            self.callee.tag = facts.to_tag.into();
        }
        let route = (success || known.is_none()).then(|| {
            let mut route: Vec<Box<str>> = message.values(Name::RecordRoute).map(Into::into).collect();
            route.reverse();
            route
        });
        let passing = Passing { by, seen, facts, message, trace, patience, route };
        if known.is_none() {
            claims.extend(signs::second_tag(&self.dialogs, position, &passing));
        }
        if let Some(dialog) = self.dialogs.get_mut(position) {
            dialog.second |= success && accepted;
            dialog.pass(passing, claims);
        }
        by
    }

    /// The dialog that a message names, and its sender.
    fn dialog_of(&self, facts: &Facts<'_>) -> Option<(usize, Party)> {
        self.dialogs.iter().enumerate().rev().find_map(|(index, dialog)| {
            let by = dialog.sender(facts.from_tag, facts.to_tag, facts.is_request())?;
            Some((index, by))
        })
    }

    /// The dialog that a message was meant for though its tags are not those of it: a request whose tags differ in case
    /// only, a response to a request of that dialog.
    fn dialog_meant(&self, facts: &Facts<'_>) -> Option<(usize, Party)> {
        let answered = self.trace.answered_by(facts).filter(|one| !facts.is_request() && one.in_dialog());
        self.dialogs.iter().enumerate().rev().find_map(|(index, dialog)| match answered {
            Some(one) => dialog.asker(one.n).map(|by| (index, by.other())),
            None if facts.is_request() => {
                dialog.sender_in_any_case(facts.from_tag, facts.to_tag).map(|by| (index, by))
            }
            None => None,
        })
    }

    /// Who seems to have sent a message outside any dialog.
    fn side_of(&self, facts: &Facts<'_>) -> Party {
        let requester = if *self.caller.tag == *facts.from_tag { Party::Caller } else { Party::Callee };
        if facts.is_request() { requester } else { requester.other() }
    }

    /// A request in a dialog whose beginning was not seen.
    fn join(
        &mut self,
        facts: &Facts<'_>,
        seen: &Seen<'_>,
        message: &Message<&[u8]>,
        bounds: &Bounds,
    ) -> Option<(usize, Party)> {
        if facts.to_tag.is_empty() {
            return None;
        }
        if self.dialogs.len() >= bounds.dialogs {
            self.dropped = self.dropped.saturating_add(1);
            return None;
        }
        // Once it is over, all that could form a dialog of it has come, or the trace lacks more than that.
        let mut running = self.attempts.iter().rev().filter(|attempt| attempt.over.is_none());
        let attempt = running.find_map(|attempt| match &*attempt.from_tag {
            tag if tag == facts.from_tag => Some((attempt, facts.to_tag, Party::Caller)),
            tag if tag == facts.to_tag => Some((attempt, facts.from_tag, Party::Callee)),
            _ => None,
        });
        let (mut dialog, by) = match attempt {
            // The response that forms it is what the trace lacks.
            Some((attempt, tag, by)) => (attempt.seed.fork(tag), by),
            None => {
                let (sender, other) = Dialog::of_both(self.call_id.clone(), seen, message);
                let by = self.side_of(facts);
                let (caller, callee) = if by == Party::Caller { (sender, other) } else { (other, sender) };
                (ObservedDialog::joined(caller, callee), by)
            }
        };
        dialog.unsure = true;
        self.dialogs.push(dialog);
        Some((self.dialogs.len() - 1, by))
    }

    /// Whether nothing can go on in it.
    pub(super) fn look_whether_over(&mut self, now: Instant) {
        let attempts = self.attempts.iter().all(|attempt| attempt.over.is_some());
        if attempts && self.dialogs.iter().all(ObservedDialog::is_over) {
            self.over.get_or_insert(now);
        } else {
            self.over = None;
        }
    }

    /// The number of its first message.
    pub(super) fn first(&self) -> u32 {
        self.messages.first().map_or(u32::MAX, |message| message.n)
    }
}

/// The most INVITEs without To tag that are remembered of one call.
const MOST_ATTEMPTS: usize = 4;
