//! Signs of messages that met each other (RFC 5407), and of what parties made of a refusal.

use std::time::Duration;

use midcall_wire::Method;
use smallvec::smallvec;

use crate::dialog::{InviteState, Open, Phase, Way};
use crate::observer::dialog::{Claim, ObservedDialog, Passing};
use crate::observer::finding::Party;
use crate::observer::side::Patience;
use crate::observer::trace::Transactions;
use crate::observer::weigh::against;
use crate::rules::RuleId;
use crate::time::Instant;

/// What is remembered of refusals in a dialog.
#[derive(Clone, Default, Debug)]
pub(super) struct Memory {
    /// The 491 that answered the re-INVITE of the caller and of the callee, since nobody asked for anything again.
    glare: [Option<(u32, Instant)>; 2],
    /// A BYE that was challenged: who sent it, itself, the challenge.
    challenged: Option<(Party, u32, u32, Instant)>,
    /// A refusal that ends no call: whose request, itself, the response.
    refused: Option<(Party, u32, u32, Instant)>,
}

pub(super) fn look(observed: &ObservedDialog, passing: &Passing<'_>, found: &mut Vec<Claim>) {
    match (passing.seen.status, passing.seen.method) {
        (None, Method::Invite) => found.extend(before_the_ack(observed, passing)),
        (None, Method::Ack) => found.extend(late_ack(observed, passing)),
        (None, Method::Bye) => found.extend(dropped(observed, passing)),
        (Some(481 | 491 | 500), Method::Update) => found.extend(harmless_refused(observed, passing)),
        _ => {}
    }
}

/// What was refused, and what was asked for again.
pub(super) fn note(observed: &mut ObservedDialog, passing: &Passing<'_>) {
    let (seen, by, n, at) = (passing.seen, passing.by, passing.facts.n, passing.facts.at);
    match (seen.status, seen.method) {
        (None, Method::Invite | Method::Update) => {
            if let Some(memory) = observed.memory.race.as_deref_mut() {
                memory.glare = [None; 2];
            }
        }
        (None, Method::Bye) => {
            if let Some(memory) = observed.memory.race.as_deref_mut() {
                memory.challenged.take_if(|(party, ..)| *party == by);
            }
        }
        (Some(491), Method::Invite) if !observed.side(by).base.usage.early() => {
            let place = usize::from(by.other() == Party::Callee);
            // Who met before and came back may have enough of it (GL-06).
            let first =
                observed.side(by).base.party.theirs.refused.as_ref().is_some_and(|refusal| refusal.glare < 2);
            if !first {
                return;
            }
            if let Some(glare) = memory(observed).glare.get_mut(place) {
                *glare = Some((n, at));
            }
        }
        (Some(401 | 407), Method::Bye) => {
            if let Some(bye) = observed.side(by).base.party.theirs.bye {
                memory(observed).challenged = Some((by.other(), bye, n, at));
            }
        }
        (Some(status), method) if status >= 300 && spares_the_call(method, status) => {
            if let Some(one) = passing.trace.answered_by(passing.facts) {
                memory(observed).refused = Some((by.other(), one.n, n, at));
            }
        }
        _ => {}
    }
}

/// What nobody came back to.
pub(super) fn overdue(
    observed: &mut ObservedDialog,
    now: Instant,
    patience: &Patience,
    _: &Transactions,
    found: &mut Vec<Claim>,
) {
    let over = observed.is_over();
    let Some(memory) = observed.memory.race.as_deref_mut() else { return };
    if let [Some(one), Some(other)] = memory.glare
        && one.1.max(other.1) + FORGOTTEN <= now
    {
        memory.glare = [None; 2];
        if !over && patience.tells(FORGOTTEN) {
            let (first, last) = (one.0.min(other.0), one.0.max(other.0));
            // Who does not own the Call-ID comes back first (RFC 3261 §14.1).
            found.push(against(Party::Callee, RuleId::RaceReInviteReInvite, last, smallvec![first]));
        }
    }
    if let Some((party, bye, challenge, at)) = memory.challenged
        && at + FORGOTTEN <= now
    {
        memory.challenged = None;
        found.push(against(party, RuleId::RaceByeChallenged, challenge, smallvec![bye]));
    }
}

/// When [`overdue`] may have something to tell.
pub(super) fn next(observed: &ObservedDialog) -> Option<Instant> {
    let memory = observed.memory.race.as_deref()?;
    let glare = match memory.glare {
        [Some(one), Some(other)] => Some(one.1.max(other.1) + FORGOTTEN),
        _ => None,
    };
    let challenged = memory.challenged.map(|(.., at)| at + FORGOTTEN);
    glare.into_iter().chain(challenged).min()
}

/// Whether a 2xx that lacks its ACK came after the BYE of the side that owes it (RFC 5407 §3.2.3).
pub(in crate::observer) fn success_after_bye(observed: &ObservedDialog, debtor: Party, success: u32) -> bool {
    observed.side(debtor).base.party.ours.bye.is_some_and(|bye| bye < success)
}

fn memory(observed: &mut ObservedDialog) -> &mut Memory {
    observed.memory.race.get_or_insert_default()
}

/// RFC 5407 §3.1.4: a re-INVITE whose sender's last ACK is still missing while the 2xx is sent again.
fn before_the_ack(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let theirs = &observed.side(passing.by.other()).base;
    let waits = |open: &&Open| open.way == Way::Received && open.phase == Phase::Accepted;
    let open = theirs.open.iter().find(waits)?;
    let (success, _) = open.accepted?;
    if passing.trace.find(passing.facts.from_tag, Method::Ack, open.cseq).is_some() {
        return None;
    }
    let resent = passing.trace.resent(success).is_some_and(|copies| copies > 0);
    resent.then(|| against(Party::Network, RuleId::RaceReInviteLostAck, passing.facts.n, smallvec![success]))
}

/// RFC 5407 §3.1.4: an ACK that passes after the next re-INVITE of its sender.
fn late_ack(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let facts = passing.facts;
    let (invite, _) = passing.trace.acknowledged(facts)?;
    let success = invite.last_word().filter(|word| word.status < 300)?;
    // While the 2xx was not sent again the ACK was just overtaken, by accident.
    let told = success.copies > 0;
    let base = &observed.side(passing.by).base;
    let next = base.open.iter().find(|open| {
        open.way == Way::Sent
            && open.method == Method::Invite
            && open.cseq > facts.cseq
            && open.on > success.n
    })?;
    (!told && facts.at.since(success.last) > LATE)
        .then(|| against(Party::Network, RuleId::RaceReInviteLostAck, facts.n, smallvec![success.n, next.on]))
}

/// RFC 3261 §12.2.1.2, RFC 5057 §5.1: the refusal of such a request says nothing against the call.
fn dropped(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let (party, request, response, at) = observed.memory.race.as_deref()?.refused?;
    let at_once = passing.facts.at.since(at) < AT_ONCE && passing.patience.tells(AT_ONCE);
    (party == passing.by && at_once)
        .then(|| against(party, RuleId::CodeEndsTheCall, passing.facts.n, smallvec![request, response]))
}

/// Whether the refusal of a request of this method leaves the call as it was. What changes a session has rules of its own, and
/// a person who is refused a transfer may well hang up.
const fn spares_the_call(method: Method, status: u16) -> bool {
    match method {
        Method::Info => !matches!(status, 401 | 407 | 408 | 481),
        Method::Options | Method::Message | Method::Subscribe | Method::Notify => {
            !matches!(status, 401 | 407)
        }
        _ => false,
    }
}

/// RFC 3311 §5.1: an UPDATE without a description is free in an early dialog.
fn harmless_refused(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let base = &observed.side(passing.by).base;
    let open =
        base.request_of(passing.seen).filter(|open| !open.offered && base.usage == InviteState::Early)?;
    let alone = open.owed.is_empty()
        && !base
            .open
            .iter()
            .any(|other| other.way == Way::Received && other.method == Method::Update && other.on != open.on);
    alone.then(|| {
        against(passing.by, RuleId::DisplayUpdateRefused, passing.facts.n, ObservedDialog::on(open.on))
    })
}

/// How long nobody may come back before it counts as forgotten.
const FORGOTTEN: Duration = Duration::from_secs(10);
/// How late an ACK is that did not only lose a race.
const LATE: Duration = Duration::from_millis(500);
/// How soon no person reacts.
const AT_ONCE: Duration = Duration::from_millis(500);
