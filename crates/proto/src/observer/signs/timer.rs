//! Signs in session refreshes (RFC 4028).

use std::net::SocketAddr;
use std::time::Duration;

use midcall_wire::sdp::Sdp;
use midcall_wire::{Method, Refresher};
use smallvec::smallvec;

use super::Each;
use crate::dialog::{Dialog, Open, Way};
use crate::observer::dialog::{Claim, ObservedDialog, Passing};
use crate::observer::facts::Facts;
use crate::observer::finding::Party;
use crate::observer::trace::Transactions;
use crate::observer::weigh::against;
use crate::rules::RuleId;
use crate::rules::methods::MODIFY_SESSION;
use crate::time::Instant;

/// What is remembered of the timer of a dialog.
#[derive(Clone, Default, Debug)]
pub(super) struct Memory {
    /// The 2xx that named its requester refresher of a timer that the request had not asked for.
    unasked: Option<u32>,
    /// The timer that a 2xx switched off.
    off: Option<Off>,
    /// The refreshes that were refused in a row, of the caller and of the callee.
    refused: Each<Option<Refused>>,
    /// The last refresh that met one of the other side.
    collided: Option<(u32, Instant)>,
    /// The first BYE of a dialog whose timer ran: itself, where it came from, and when.
    bye: Option<(u32, SocketAddr, Instant)>,
}

/// A timer that a 2xx switched off.
#[derive(Clone, Copy, Debug)]
struct Off {
    /// Who would have ended the call.
    counting: Party,
    gives_up: Instant,
    expires: Instant,
    set_by: u32,
    by: u32,
}

/// Refreshes of one side that were refused in a row.
#[derive(Clone, Copy, Debug)]
struct Refused {
    /// The last of them.
    refresh: u32,
    /// Its refusal.
    on: u32,
    at: Instant,
    status: u16,
    /// Whether it had no description.
    bare: bool,
    /// How many came within a moment of each other.
    hasty: u8,
}

pub(super) fn look(observed: &ObservedDialog, passing: &Passing<'_>, found: &mut Vec<Claim>) {
    let seen = passing.seen;
    match (seen.status, seen.method) {
        (None, Method::Invite | Method::Update) if seen.session_expires.is_some() => {
            found.extend(hammered(observed, passing));
            found.extend(collided(observed, passing));
        }
        (None, Method::Bye) => ended(observed, passing, found),
        _ => {}
    }
}

/// What a 2xx or a refusal says of the timer.
pub(super) fn note(observed: &mut ObservedDialog, passing: &Passing<'_>) {
    let seen = passing.seen;
    if seen.method == Method::Bye
        && seen.is_request()
        && observed.side(passing.by).base.timer.running.is_some()
    {
        let bye = (passing.facts.n, passing.facts.from, passing.facts.at);
        memory(observed).bye.get_or_insert(bye);
    }
    if !MODIFY_SESSION.has(seen.method) {
        return;
    }
    if seen.is_request() {
        if seen.session_expires.is_some()
            && let Some(other) = crossing(observed, passing)
        {
            memory(observed).collided = Some((other, passing.facts.at));
        }
        return;
    }
    // What it answers is still open in the view of the side that asked, and the timer is as it was.
    let asker = passing.by.other();
    let base = &observed.side(asker).base;
    let Some(open) = base.find_open(Way::Sent, seen.method, seen.cseq) else { return };
    if seen.is_failure() {
        if let Some(refused) = refusal(observed, passing, open) {
            *memory(observed).refused.of_mut(asker) = Some(refused);
        }
        return;
    }
    if !seen.is_success() {
        return;
    }
    let unasked = open.session_expires.is_none()
        && seen.session_expires.is_some_and(|(_, refresher)| refresher == Some(Refresher::Uac));
    let off = base.timer.running.filter(|_| seen.session_expires.is_none()).map(|running| Off {
        counting: if running.refresher == Way::Sent { passing.by } else { asker },
        gives_up: running.give_up_at(),
        expires: running.expires,
        set_by: running.set_by,
        by: seen.at.n,
    });
    let known = observed.memory.timer.is_some();
    if unasked || off.is_some() || known {
        let memory = memory(observed);
        memory.unasked = unasked.then_some(seen.at.n);
        memory.off = off.or(memory.off.filter(|_| seen.session_expires.is_none()));
        *memory.refused.of_mut(asker) = None;
    }
}

/// Whoever asks again has no 2xx yet, and neither may who is told again.
pub(super) fn again(observed: &mut ObservedDialog, by: Party, facts: &Facts<'_>, trace: &Transactions) {
    if !MODIFY_SESSION.has(facts.method) {
        return;
    }
    let asker = if facts.is_request() { by } else { by.other() };
    let Some(asked) = trace.find(facts.from_tag, facts.method, facts.cseq) else { return };
    let success = asked.responses.iter().filter(|response| (200..300).contains(&response.status));
    let Some(told) = success.map(|response| response.n).min() else { return };
    observed.side_mut(asker).success_again(told);
}

/// Whether this 2xx started a timer that its requester had not asked for.
pub(in crate::observer) fn was_unasked(observed: &ObservedDialog, success: u32) -> bool {
    observed.memory.timer.as_ref().is_some_and(|memory| memory.unasked == Some(success))
}

fn memory(observed: &mut ObservedDialog) -> &mut Memory {
    observed.memory.timer.get_or_insert_default()
}

/// The refusal of a refresh: a request of the refresher that changes nothing else.
fn refusal(observed: &ObservedDialog, passing: &Passing<'_>, open: &Open) -> Option<Refused> {
    let asker = passing.by.other();
    let base = &observed.side(asker).base;
    let running = base.timer.running.filter(|running| running.refresher == Way::Sent)?;
    let plain = open.session_expires.is_some()
        && (!open.offered || {
            let offered = base.offers.pending.ours.as_ref().and_then(|offer| offer.sdp.as_ref());
            offered.is_some_and(|offered| as_agreed(base, offered))
        });
    let status = passing.seen.status?;
    let before = observed.memory.timer.as_ref().and_then(|memory| *memory.refused.of(asker));
    let hasty = before.filter(|before| {
        before.status == status && open.since.since(before.at) < PAUSE && running.set_by < before.refresh
    });
    plain.then(|| Refused {
        refresh: open.on,
        on: passing.facts.n,
        at: passing.facts.at,
        status,
        bare: !open.offered,
        hasty: hasty.map_or(0, |before| before.hasty.saturating_add(1)),
    })
}

/// Whether a description of this side says what is agreed.
fn as_agreed(base: &Dialog, offered: &Sdp) -> bool {
    base.offers.agreed.as_ref().is_some_and(|agreed| offered.same_but_version(&agreed.ours))
}

/// Whether this open request of a side, with what it offers, does nothing but refresh.
fn only_refreshes(base: &Dialog, open: &Open, offered: Option<&Sdp>) -> bool {
    let same = match offered {
        Some(offered) => as_agreed(base, offered),
        None => open.method == Method::Update && !open.offered,
    };
    same && open.session_expires.is_some()
        && open.target.as_deref().is_none_or(|target| *target == *base.party.ours.target)
}

/// RFC 4028 §10: a refresh that was refused is not repeated without pause.
fn hammered(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let refused = (*observed.memory.timer.as_ref()?.refused.of(passing.by))?;
    let asks = !matches!(refused.status, 401 | 407 | 422 | 491);
    let at_once = passing.facts.at.since(refused.at) < PAUSE && passing.patience.tells(PAUSE);
    (refused.hasty == HASTY && asks && at_once).then(|| {
        let because = smallvec![refused.refresh, refused.on];
        against(passing.by, RuleId::RefreshGivenUp, passing.facts.n, because)
    })
}

/// The refresh of the other side that this one meets, if neither changes anything else.
fn crossing(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<u32> {
    let theirs = observed.side(passing.by.other());
    let running = theirs.base.timer.running?;
    // What comes before a refresh is due is a change to what is there already.
    if passing.facts.at + NEAR < running.refresh_at() {
        return None;
    }
    let asked = |open: &&Open| {
        open.way == Way::Sent
            && open.session_expires.is_some()
            && open.accepted.is_none()
            && !open.forms
            && MODIFY_SESSION.has(open.method)
    };
    theirs.base.open.iter().find(asked)?;
    // Whatever is on its way to either may have come: then nothing crossed.
    let (theirs, own) = (theirs.ahead(), observed.side(passing.by).ahead());
    let other = theirs.open.iter().find(asked)?;
    let pending = theirs.offers.pending.ours.as_ref().filter(|offer| offer.on == other.on);
    let offered = pending.and_then(|offer| offer.sdp.as_ref());
    let same = match passing.seen.sdp.as_ref() {
        Some(offered) => as_agreed(&own, offered),
        None => passing.seen.method == Method::Update && !passing.seen.has_sdp,
    };
    let stays = passing.seen.contact.is_none_or(|contact| *contact == *own.party.ours.target);
    (same && stays && only_refreshes(&theirs, other, offered)).then_some(other.on)
}

/// RFC 4028 §4: one side refreshes. Where both do, their refreshes meet again and again.
fn collided(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let other = crossing(observed, passing)?;
    let (before, at) = observed.memory.timer.as_ref()?.collided?;
    let running = observed.side(passing.by).base.timer.running?;
    // Tries of the same refresh are another matter.
    if passing.facts.at.since(at) < running.interval / 4 {
        return None;
    }
    // Who does not refresh is in the way.
    let (by, at, because) = match running.refresher {
        Way::Received => (passing.by, passing.facts.n, other),
        Way::Sent => (passing.by.other(), other, passing.facts.n),
    };
    Some(against(by, RuleId::RefreshesCollide, at, smallvec![before, because]))
}

/// Why a call may have ended: its timer.
fn ended(observed: &ObservedDialog, passing: &Passing<'_>, found: &mut Vec<Claim>) {
    let (by, n, now) = (passing.by, passing.facts.n, passing.facts.at);
    let base = &observed.side(by).base;
    let memory = observed.memory.timer.as_deref();
    if let Some(running) = base.session_timer() {
        if let Some(first) = from_the_middle(observed, passing)
            && running.give_up_at() <= now + passing.patience.flight
        {
            let because = smallvec![running.set_by, first];
            found.push(against(Party::Network, RuleId::ProxyTimerResponse, n, because));
            return;
        }
        let cut = found.iter().position(|claim| claim.rule == RuleId::NonRefresherEndsCall);
        if let Some(cut) = cut
            && memory.is_some_and(|memory| memory.unasked == Some(running.set_by))
        {
            found.remove(cut);
            let because = smallvec![running.set_by];
            found.push(against(by.other(), RuleId::UnaskedTimerIgnored, n, because));
        }
        let refused = memory.and_then(|memory| *memory.refused.of(by));
        if let Some(refused) = refused.filter(|refused| {
            // What collided may not be wanted any more, and for a description a person may have hung up.
            !matches!(refused.status, 401 | 407 | 408 | 422 | 481 | 491)
                && refused.bare
                && refused.refresh > running.set_by
                && now.since(refused.at) < AT_ONCE
                && passing.patience.tells(AT_ONCE)
                && now + running.interval / 4 < running.expires
        }) {
            found.retain(|claim| claim.rule != RuleId::CallDroppedOnRefusal);
            let because = smallvec![refused.refresh, refused.on];
            found.push(against(by, RuleId::RefreshGivenUp, n, because));
        }
        return;
    }
    let near = |time: Instant| now + NEAR >= time && now <= time + NEAR;
    if let Some(off) = memory.and_then(|memory| memory.off)
        && off.counting == by
        && passing.patience.tells(NEAR)
        && (near(off.gives_up) || near(off.expires))
    {
        found.push(against(by, RuleId::TimerSwitchedOff, n, smallvec![off.set_by, off.by]));
    }
}

/// The BYE of the other side that came from the same place as this one: somebody between them ends the call (RFC 4028 §8.3).
fn from_the_middle(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<u32> {
    let other = observed.side(passing.by.other()).base.party.ours.bye?;
    let (first, source, at) = observed.memory.timer.as_deref()?.bye?;
    let together = passing.facts.at.since(at) < TOGETHER;
    (first == other && source == passing.facts.from && together).then_some(first)
}

/// How soon after a refusal the next try counts as one without pause.
const PAUSE: Duration = Duration::from_secs(2);
/// How many such tries are too many.
const HASTY: u8 = 2;
/// How soon no person reacts to a refusal.
const AT_ONCE: Duration = Duration::from_millis(500);
/// How far apart two BYEs of one sender are at most.
const TOGETHER: Duration = Duration::from_secs(2);
/// How exactly a timer is kept.
const NEAR: Duration = Duration::from_millis(1500);
