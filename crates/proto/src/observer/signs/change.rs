//! Signs in how changes are asked for, answered, refused and tried again.

use std::time::Duration;

use midcall_wire::sdp::Sdp;
use midcall_wire::{Method, Name};
use smallvec::{SmallVec, smallvec};

use super::Before;
use crate::dialog::{Dialog, Open, Phase, SdpRole, Seen, Way};
use crate::event::What;
use crate::observer::dialog::{Claim, ObservedDialog, Passing};
use crate::observer::facts::{Facts, hash};
use crate::observer::finding::{Certainty, Party};
use crate::observer::side::Patience;
use crate::observer::trace::Transactions;
use crate::observer::weigh::against;
use crate::rules::RuleId;
use crate::rules::methods::MODIFY_SESSION;
use crate::time::Instant;

/// What is remembered of one party.
#[derive(Clone, Default, Debug)]
pub(super) struct Memory {
    /// The last refusal of a change of its own.
    refused: Option<Box<Refused>>,
    /// How long it waited each time after 491, in a row.
    waits: SmallVec<[Duration; 3]>,
    /// A print of the last nonce that it was challenged with, and the response.
    challenge: Option<(u64, u32)>,
    /// Its last offer that takes no media: number and time.
    hold: Option<(u32, Instant)>,
    /// The hold of the other side that is in force: its description's number and time. And how many exchanges there had been
    /// when that was looked at.
    held: (Option<(u32, Instant)>, u32),
    /// re-INVITEs in a row that change nothing: number and time of the first, how many.
    idle: Option<(u32, Instant, u8)>,
}

/// A refused change.
#[derive(Clone, Debug)]
struct Refused {
    status: u16,
    /// The response.
    on: u32,
    /// The CSeq number that it has.
    cseq: u32,
    /// The request.
    request: u32,
    time: Instant,
    offer: Option<Sdp>,
    /// How many exchanges there had been by then.
    exchanges: u32,
    cancelled: bool,
    /// Whether the other side held all streams by then.
    held: bool,
    /// Whether it would have added a stream.
    adds: bool,
    /// Whether its sender has to bring both sides together again (RFC 6141 §3.4).
    resync: bool,
    /// Whether anybody asked for anything since.
    disturbed: bool,
}

pub(super) fn look(observed: &ObservedDialog, passing: &Passing<'_>, found: &mut Vec<Claim>) {
    let seen = passing.seen;
    match (seen.status, seen.method) {
        (None, Method::Bye) => found.extend(dropped(observed, passing)),
        (None, Method::Invite | Method::Update) => {
            retried(observed, passing, found);
            found.extend(burst(observed, passing));
        }
        (Some(401 | 407), Method::Invite | Method::Update) => {
            found.extend(challenged_again(observed, passing));
        }
        (Some(200..=299), Method::Invite) => found.extend(slow(observed, passing)),
        _ => {}
    }
    if seen.has_sdp {
        found.extend(refused_answer(observed, passing));
    }
}

/// The old version or body of a retry is told as what it is, and who answers a hold with one may wait to try its own again.
pub(super) fn hides(observed: &ObservedDialog, passing: &Passing<'_>, rule: RuleId) -> bool {
    let of_retry = matches!(
        rule,
        RuleId::SameVersionOtherBody | RuleId::OriginVersionStep | RuleId::RefusedOfferUsedItsVersion
    );
    rule == RuleId::HeldPartyHoldsToo && own_hold_met_491(observed, passing.by)
        || of_retry && resent_stale(observed, passing).is_some()
}

/// Whether the last offer of this party was a hold, which only the other side's change kept it from.
fn own_hold_met_491(observed: &ObservedDialog, by: Party) -> bool {
    let side = observed.memory.change.of(by);
    let refused = side.refused.as_deref().filter(|refused| refused.status == 491);
    side.hold.zip(refused).is_some_and(|((hold, _), refused)| refused.request == hold)
}

/// Whether a request offers again what met 491, byte for byte, although its sender has described another session since:
/// its refusal.
fn resent_stale<'o>(observed: &'o ObservedDialog, passing: &Passing<'_>) -> Option<&'o Refused> {
    let refused = observed.memory.change.of(passing.by).refused.as_deref()?;
    let (old, new) = (refused.offer.as_ref()?, passing.seen.sdp.as_ref()?);
    let offers = &observed.side(passing.by).base.offers;
    let said = |last: &Sdp| last.as_bytes() != old.as_bytes();
    let since = offers.exchanges > refused.exchanges && offers.last.ours.as_ref().is_some_and(said);
    let request = passing.seen.is_request() && refused.status == 491;
    (request && since && old.as_bytes() == new.as_bytes()).then_some(refused)
}

/// What a request shows that follows a 491.
fn retried(observed: &ObservedDialog, passing: &Passing<'_>, found: &mut Vec<Claim>) {
    let (seen, by) = (passing.seen, passing.by);
    let side = observed.memory.change.of(by);
    let Some(refused) = side.refused.as_deref().filter(|refused| refused.status == 491) else { return };
    let because = smallvec![refused.request, refused.on];
    if resent_stale(observed, passing).is_some() {
        found.push(against(by, RuleId::RetryRebuiltFromNow, seen.at.n, because));
        return;
    }
    let dialog = &observed.side(by).base;
    if let Some(hold) = added_behind_hold(observed, passing, refused) {
        found.push(against(by, RuleId::IntentCheckedAfterGlare, seen.at.n, smallvec![refused.on, hold]));
    }
    let other = dialog.owner == Way::Received;
    let waited = seen.at.time.since(refused.time);
    if !other || !passing.patience.tells(Duration::from_millis(100)) {
        return;
    }
    let same = match (&refused.offer, &seen.sdp) {
        (Some(old), Some(new)) => old.same_but_version(new),
        _ => false,
    };
    let late = waited > OTHER_RETRIES + passing.patience.flight && waited < LONG_AFTER;
    if same && late && !refused.disturbed {
        found.push(against(by, RuleId::OtherRetryTime, seen.at.n, smallvec![refused.on]));
    } else if let [one, two] = side.waits.as_slice() {
        let waits = [*one, *two, waited];
        let spread = waits.iter().max().zip(waits.iter().min()).map(|(most, least)| *most - *least);
        if spread.is_some_and(|spread| spread <= ALIKE) && waited > ALIKE * 20 {
            found.push(against(by, RuleId::OtherRetryTime, seen.at.n, smallvec![refused.on]));
        }
    }
}

/// RFC 5407 §3.3.1: what lost adds media again although the other side has put the call on hold since; gives the hold.
fn added_behind_hold(observed: &ObservedDialog, passing: &Passing<'_>, refused: &Refused) -> Option<u32> {
    let (hold, time) = observed.memory.change.of(passing.by).held.0?;
    // Its answer to the hold has no such stream: it was refused, and is asked for again.
    let last = observed.side(passing.by).base.offers.last.ours.as_ref()?;
    let again = refused.adds && adds_stream(last, passing.seen.sdp.as_ref()?);
    let news = !refused.held && hold > refused.request && passing.seen.at.time.since(time) < HELD;
    (again && news).then_some(hold)
}

fn adds_stream(old: &Sdp, new: &Sdp) -> bool {
    What::between(old, new).contains(&What::AddStream)
}

/// Notes whether the other side of a party holds all streams, as far as that party surely knows.
fn note_hold(observed: &mut ObservedDialog, party: Party, now: Instant) {
    let offers = &observed.side(party).base.offers;
    let (before, seen) = observed.memory.change.of(party).held;
    if offers.exchanges == seen {
        return;
    }
    let holds = offers.agreed.as_ref().is_some_and(|agreed| holds(&agreed.theirs, Some(&agreed.ours)));
    let news = (*offers.last_on.by(Way::Received), now);
    let held = before.or_else(|| (offers.offerer == Some(Way::Received)).then_some(news)).filter(|_| holds);
    let seen = offers.exchanges;
    observed.memory.change.of_mut(party).held = (held, seen);
}

/// Whether a description takes no media in any stream that it has, and that the other side's leaves in.
fn holds(sdp: &Sdp, other: Option<&Sdp>) -> bool {
    let refused =
        |line: usize| other.and_then(|other| other.media_at(line)).is_some_and(|media| media.rejected());
    let streams = sdp.media().enumerate().filter(|(line, media)| !media.rejected() && !refused(*line));
    let mut live = streams.map(|(_, media)| media).peekable();
    live.peek().is_some() && live.all(|media| !media.direction().receives() || media.is_black_hole())
}

/// RFC 3261 §14.1, §9.2: neither a refusal nor the end of a cancelled change ends the call. A person may always hang up, so
/// what follows soon is only a hint unless the BYE itself names the refusal, or nobody had a reason to act but the side
/// that was asked.
fn dropped(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let facts = passing.facts;
    [passing.by, passing.by.other()].into_iter().find_map(|asker| {
        let refused = observed.memory.change.of(asker).refused.as_deref()?;
        let soon = facts.at.since(refused.time) < SOON && passing.patience.tells(SOON);
        if !soon {
            return None;
        }
        let because = smallvec![refused.request, refused.on];
        let cancelled = refused.status == 487 && refused.cancelled;
        let rule = match refused.status {
            // RFC 5057 §5.1: these end what they answer in.
            404 | 408 | 410 | 416 | 481 | 482 | 484 | 485 | 502 | 604 => return None,
            _ if cancelled => RuleId::CancelledReInvite,
            _ if asker == passing.by => RuleId::CallDroppedOnRefusal,
            _ => return None,
        };
        let mut claim = against(passing.by, rule, facts.n, because);
        let at_once = cancelled && asker != passing.by && facts.at.since(refused.time) < AT_ONCE;
        if !at_once && !names(passing, refused.status) {
            claim.doubt(Certainty::Crossed);
        }
        Some(claim)
    })
}

/// Whether this party was told that the dialog is gone, or not told anything: then it ends the call (RFC 3261 §12.2.1.2).
pub(super) fn lost(observed: &ObservedDialog, by: Party) -> bool {
    let refused = observed.memory.change.of(by).refused.as_deref();
    refused.is_some_and(|refused| matches!(refused.status, 408 | 481))
}

/// Whether Reason names this status (RFC 3326 §2).
fn names(passing: &Passing<'_>, status: u16) -> bool {
    passing.message.values(Name::Reason).any(|reason| {
        let mut parts = reason.split(';').map(str::trim);
        let sip = parts.next().is_some_and(|protocol| protocol.eq_ignore_ascii_case("SIP"));
        let cause = parts.find_map(|part| part.strip_prefix("cause="));
        sip && cause.and_then(|cause| cause.trim().parse::<u16>().ok()) == Some(status)
    })
}

/// re-INVITEs in a row that change nothing and follow no refusal.
fn burst(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let (first, since, count) = observed.memory.change.of(passing.by).idle?;
    let again = changes_nothing(&observed.side(passing.by).base, passing.seen);
    let often = count + 1 >= BURST && passing.facts.at.since(since) < RUSH;
    (again && often)
        .then(|| against(passing.by, RuleId::ReInviteOnMediaLoss, passing.facts.n, smallvec![first]))
}

/// Whether this is a re-INVITE that offers what is agreed, and not as another try.
fn changes_nothing(dialog: &Dialog, seen: &Seen<'_>) -> bool {
    let plain = seen.method == Method::Invite && seen.is_request() && dialog.party.ours.refused.is_none();
    let contact = seen.contact.is_none_or(|contact| *contact == *dialog.party.ours.target);
    plain
        && contact
        && match (&dialog.offers.agreed, &seen.sdp) {
            (Some(agreed), Some(new)) => agreed.ours.same_but_version(new),
            _ => false,
        }
}

/// RFC 3261 §22.2: the same nonce again, and not because it is old: the credentials were wrong.
fn challenged_again(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let dialog = &observed.side(passing.by).base;
    let open = dialog.request_of(passing.seen).filter(|open| open.credentials != 0 && !open.forms)?;
    let challenged = dialog.party.theirs.challenged.as_deref();
    if challenged.is_some_and(|(credentials, _)| *credentials == open.credentials) {
        return None; // the same credentials again have a rule of their own
    }
    let asker = passing.by.other();
    let (nonce, on) = observed.memory.change.of(asker).challenge?;
    let challenges = passing.message.challenges();
    let same = challenges.iter().any(|one| one.nonce().is_some_and(|own| hash([own.as_bytes()]) == nonce));
    let stale = challenges.iter().any(midcall_wire::Challenge::stale);
    (same && !stale)
        .then(|| against(asker, RuleId::ChallengeNotSatisfied, open.on, smallvec![on, passing.facts.n]))
}

/// RFC 6337 §3.3, RFC 6141 §4.6: what needs no person is answered at once, and a peer that moved hears of it soon.
fn slow(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let (facts, dialog) = (passing.facts, &observed.side(passing.by).base);
    let open = dialog.request_of(passing.seen).filter(|open| !open.forms && open.accepted.is_none())?;
    let one = passing.trace.numbered(open.on)?;
    let patient = PROMPT + passing.patience.flight;
    if facts.at.since(one.last) <= patient || !passing.patience.tells(PROMPT) || !open.owed.is_empty() {
        return None;
    }
    let moved = open.target.as_deref().filter(|target| **target != *dialog.party.theirs.target);
    if moved.is_some() && !open.followed {
        return Some(against(passing.by, RuleId::RefreshLeftUnanswered, facts.n, smallvec![one.n]));
    }
    let plain = adds_nothing(dialog, open);
    plain.then(|| against(passing.by, RuleId::ReInviteAnsweredLate, facts.n, smallvec![one.n]))
}

/// Whether the offer of this request asks for nothing that a person decides.
fn adds_nothing(dialog: &Dialog, open: &Open) -> bool {
    let offer = dialog.offers.pending.theirs.as_ref().filter(|offer| offer.on == open.on);
    let (Some(agreed), Some(offer)) = (&dialog.offers.agreed, offer.and_then(|offer| offer.sdp.as_ref()))
    else {
        return false;
    };
    let asks = [What::AddStream, What::Codec, What::Session];
    !What::between(&agreed.theirs, offer).iter().any(|what| asks.contains(what))
}

/// RFC 3261 §14.1: a refused change is not in force, so no later answer follows it.
fn refused_answer(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let refused = observed.memory.change.of(passing.by).refused.as_deref()?;
    let dialog = &observed.side(passing.by).base;
    let final_word = matches!(refused.status, 403 | 415 | 488 | 606);
    let late = passing.facts.at.since(refused.time) > FOLLOWED;
    if !final_word || !late || dialog.offers.exchanges != refused.exchanges {
        return None;
    }
    if dialog.role_of_sdp(passing.seen) != SdpRole::Answer {
        return None;
    }
    let (new, old) = (passing.seen.sdp.as_ref()?, refused.offer.as_ref()?);
    let agreed = &dialog.offers.agreed.as_ref()?.ours;
    if What::between(agreed, old).contains(&What::Codec) {
        return None; // the formats may be what was refused, and not the place
    }
    let follows = new.media().zip(old.media()).zip(agreed.media()).any(|((new, old), agreed)| {
        let place =
            |media: &midcall_wire::sdp::Media<'_>| (media.port(), media.connection().map(str::to_owned));
        let (new, old, agreed) = (place(&new), place(&old), place(&agreed));
        old != agreed && new == old && new.0 != 0
    });
    follows.then(|| {
        let because = smallvec![refused.request, refused.on];
        against(passing.by, RuleId::FailedReInviteFollowed, passing.facts.n, because)
    })
}

pub(super) fn note(observed: &mut ObservedDialog, passing: &Passing<'_>, before: &Before) {
    let (seen, by) = (passing.seen, passing.by);
    for party in [Party::Caller, Party::Callee] {
        note_hold(observed, party, seen.at.time);
    }
    match (seen.status, seen.method) {
        (None, Method::Invite | Method::Update) => note_request(observed, passing),
        (Some(200..=299), Method::Invite | Method::Update) => {
            let asker = observed.memory.change.of_mut(by.other());
            asker.challenge = None;
            asker.waits.clear();
            // What another request of the same side came to says nothing of the one that was refused.
            asker.refused.take_if(|refused| !refused.resync);
        }
        (Some(status @ 300..), Method::Invite | Method::Update) if before.on != 0 => {
            let agreed = observed.side(by.other()).base.offers.agreed.as_ref();
            let adds = agreed
                .zip(before.offer.as_ref())
                .is_some_and(|(agreed, offer)| adds_stream(&agreed.ours, offer));
            let asker = observed.memory.change.of_mut(by.other());
            asker.refused = Some(Box::new(Refused {
                status,
                on: seen.at.n,
                cseq: seen.cseq,
                request: before.on,
                time: seen.at.time,
                offer: before.offer.clone(),
                exchanges: before.exchanges,
                cancelled: before.cancelled,
                held: asker.held.0.is_some(),
                adds,
                resync: before.executed && seen.method == Method::Invite,
                disturbed: false,
            }));
            if matches!(status, 401 | 407) {
                let challenges = passing.message.challenges();
                let nonce = challenges.iter().find_map(midcall_wire::Challenge::nonce);
                asker.challenge = nonce.map(|nonce| (hash([nonce.as_bytes()]), seen.at.n));
            }
        }
        (None, Method::Bye) => {
            for party in [Party::Caller, Party::Callee] {
                observed.memory.change.of_mut(party).refused = None;
            }
        }
        _ => {}
    }
}

fn note_request(observed: &mut ObservedDialog, passing: &Passing<'_>) {
    let (seen, by) = (passing.seen, passing.by);
    let idle = changes_nothing(&observed.side(by).base, seen);
    let forms = passing.facts.to_tag.is_empty();
    for party in [Party::Caller, Party::Callee] {
        if let Some(refused) = observed.memory.change.of_mut(party).refused.as_deref_mut() {
            refused.disturbed = true;
            refused.resync &= !seen.has_sdp && seen.method != Method::Invite;
        }
    }
    let side = observed.memory.change.of_mut(by);
    if let Some(refused) = side.refused.as_deref().filter(|refused| refused.status == 491) {
        if side.waits.len() >= 2 {
            side.waits.remove(0);
        }
        side.waits.push(seen.at.time.since(refused.time));
    }
    side.hold = seen.sdp.as_ref().is_some_and(|sdp| holds(sdp, None)).then_some((seen.at.n, seen.at.time));
    side.idle = match side.idle {
        _ if !idle || forms => None,
        Some((first, since, count)) if seen.at.time.since(since) < RUSH => {
            Some((first, since, count.saturating_add(1)))
        }
        _ => Some((seen.at.n, seen.at.time, 1)),
    };
}

/// A message of this party was sent again: its first copy may have been lost. Then a request asks only now, and a refusal is
/// heard only now.
pub(super) fn again(observed: &mut ObservedDialog, by: Party, facts: &Facts<'_>) {
    let own = |refused: &Refused| (Some(refused.status), refused.cseq) == (facts.status, facts.cseq);
    if let Some(refused) =
        observed.memory.change.of_mut(by.other()).refused.as_deref_mut().filter(|one| own(one))
    {
        refused.time = facts.at;
    }
    let asks = facts.is_request() && MODIFY_SESSION.has(facts.method);
    if asks && let Some(refused) = observed.memory.change.of_mut(by.other()).refused.as_deref_mut() {
        refused.disturbed = true;
    }
}

/// What never came.
pub(super) fn overdue(
    observed: &mut ObservedDialog,
    now: Instant,
    patience: &Patience,
    trace: &Transactions,
    found: &mut Vec<Claim>,
) {
    for party in [Party::Caller, Party::Callee] {
        if resync_at(observed, party, patience).is_some_and(|at| at <= now)
            && let Some(refused) = observed.memory.change.of_mut(party).refused.as_deref_mut()
        {
            refused.resync = false;
            let because = smallvec![refused.request];
            found.push(against(party, RuleId::NoResyncAfterError, refused.on, because));
        }
        found.extend(never_finished(observed, party, now, patience, trace));
    }
}

/// When something is overdue.
pub(super) fn next(observed: &ObservedDialog, patience: &Patience) -> Option<Instant> {
    let parties = [Party::Caller, Party::Callee];
    parties
        .into_iter()
        .flat_map(|party| {
            [resync_at(observed, party, patience), unfinished_at(observed, party, patience).map(|(at, _)| at)]
        })
        .flatten()
        .min()
}

/// When a refused change that was carried out in part is to be undone by (RFC 6141 §3.4).
fn resync_at(observed: &ObservedDialog, party: Party, patience: &Patience) -> Option<Instant> {
    let refused = observed.memory.change.of(party).refused.as_deref()?;
    let open = refused.resync && !observed.is_over() && patience.tells(RESYNC);
    open.then(|| refused.time + RESYNC + patience.flight)
}

/// When an INVITE of this party that was cancelled, or that a BYE overtook, must have its final response: that time, and
/// the request.
fn unfinished_at<'o>(
    observed: &'o ObservedDialog,
    party: Party,
    patience: &Patience,
) -> Option<(Instant, &'o Open)> {
    let base = &observed.side(party).base;
    let bye = base.party.ours.bye.or(base.party.theirs.bye);
    let waits = base.open.iter().filter(|open| {
        open.way == Way::Sent && open.method == Method::Invite && open.phase == Phase::Proceeding
    });
    waits
        .filter(|open| open.cancelled.is_some() || !open.forms && bye.is_some_and(|bye| bye > open.on))
        .filter(|_| !observed.memory.said.iter().any(|(rule, by)| is_end(*rule) && *by == party.other()))
        .map(|open| (observed.ended.unwrap_or(open.since).max(open.since) + patience.transaction(), open))
        .min_by_key(|(at, _)| *at)
}

const fn is_end(rule: RuleId) -> bool {
    matches!(rule, RuleId::CancelNeverHonoured | RuleId::ByeDuringReInvite)
}

/// RFC 3261 §9.1, §15.1.2: a cancelled INVITE, and one that a BYE overtook, get their final response.
fn never_finished(
    observed: &mut ObservedDialog,
    party: Party,
    now: Instant,
    patience: &Patience,
    trace: &Transactions,
) -> Option<Claim> {
    let (_, open) = unfinished_at(observed, party, patience).filter(|(at, _)| *at <= now)?;
    let invite = trace.numbered(open.on)?;
    // Its receiver itself said that it has it: a hop's 100 does not show that.
    let heard = invite.responses.iter().any(|response| (101..=199).contains(&response.status));
    let bye = {
        let base = &observed.side(party).base;
        base.party.ours.bye.or(base.party.theirs.bye).filter(|_| !open.forms)
    };
    let (rule, cause) = match (open.cancelled, bye) {
        (Some(cancel), _) => (RuleId::CancelNeverHonoured, cancel),
        (None, Some(bye)) => (RuleId::ByeDuringReInvite, bye),
        (None, None) => return None,
    };
    let (on, unfinished) = (open.on, invite.last_word().is_none());
    if !observed.memory.tell(rule, party.other()) || !heard || !unfinished || observed.unsure {
        return None;
    }
    Some(against(party.other(), rule, on, smallvec![cause]))
}

/// How soon after a refusal a BYE belongs to it.
const SOON: Duration = Duration::from_secs(2);
/// How soon a machine reacts.
const AT_ONCE: Duration = Duration::from_millis(200);
/// RFC 3261 §14.1: until when the side that does not own the Call-ID tries again.
const OTHER_RETRIES: Duration = Duration::from_secs(2);
/// From when on a request is no second try any more.
const LONG_AFTER: Duration = Duration::from_secs(8);
/// How alike delays are that are no chance.
const ALIKE: Duration = Duration::from_millis(5);
/// For how long media may not be added behind a hold of the other side.
const HELD: Duration = Duration::from_secs(5);
/// How soon an answer comes that needs no person.
const PROMPT: Duration = Duration::from_secs(2);
/// From when on what follows a refused change follows it for sure.
const FOLLOWED: Duration = Duration::from_secs(1);
/// Until when both sides are brought together again.
const RESYNC: Duration = Duration::from_secs(5);
/// How many re-INVITEs that change nothing are a burst, within what time.
const BURST: u8 = 5;
const RUSH: Duration = Duration::from_secs(10);
