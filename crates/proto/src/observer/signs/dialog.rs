//! Signs in identities, routes and targets, and in what forms a dialog.

use std::time::Duration;

use midcall_wire::{Method, Name, NameAddr, Uri};
use smallvec::smallvec;

use super::Each;
use crate::dialog::{InviteState, OptionTag, Way};
use crate::observer::dialog::{Claim, ObservedDialog, Passing};
use crate::observer::finding::Party;
use crate::observer::weigh::against;
use crate::rules::{RuleId, Severity};

/// What is remembered.
#[derive(Clone, Default, Debug)]
pub(super) struct Memory {
    /// The last Record-Route that each party received in a confirmed dialog.
    relisted: Each<Option<Box<Relisted>>>,
    /// The lowest CSeq number that each party used.
    lowest: Each<Option<u32>>,
}

/// A Record-Route of a message.
#[derive(Clone, Debug)]
struct Relisted {
    on: u32,
    /// Its first and its last value.
    first: Box<str>,
    last: Box<str>,
}

pub(super) fn look(observed: &ObservedDialog, passing: &Passing<'_>, found: &mut Vec<Claim>) {
    match (passing.seen.status, passing.seen.method) {
        (None, Method::Cancel) => found.extend(silent_for_long(passing)),
        (None, _) => found.extend(new_route(observed, passing)),
        (Some(101..=299), Method::Invite) => {
            found.extend(merged(passing));
            found.extend(moved_by_response(observed, passing));
        }
        (Some(200..=299), Method::Update) => found.extend(moved_by_response(observed, passing)),
        (Some(status @ 300..), Method::Bye) => {
            found.extend(bye_refused(observed, passing));
            if status >= 400 {
                found.extend(copies_met(passing));
                found.extend(identity_refused(observed, passing));
            }
        }
        (Some(status @ 400..), method) => {
            if status == 408 && method == Method::Invite {
                found.extend(silent_for_long(passing));
            }
            found.extend(copies_met(passing));
            found.extend(identity_refused(observed, passing));
        }
        _ => {}
    }
}

pub(super) fn note(observed: &mut ObservedDialog, passing: &Passing<'_>) {
    let seen = passing.seen;
    if seen.is_request() && !matches!(seen.method, Method::Ack | Method::Cancel) {
        let lowest = observed.memory.dialog.lowest.of_mut(passing.by);
        *lowest = Some(lowest.map_or(seen.cseq, |lowest| lowest.min(seen.cseq)));
    }
    let confirmed = observed.side(passing.by).base.usage == InviteState::Established;
    let refreshes = matches!(seen.method, Method::Invite | Method::Update) && !seen.is_failure();
    if seen.headers.record_routes == 0 || !confirmed || !refreshes {
        return;
    }
    let mut values = passing.message.values(Name::RecordRoute);
    if let Some(first) = values.next() {
        let last = values.last().unwrap_or(first);
        let relisted = Relisted { on: seen.at.n, first: first.into(), last: last.into() };
        *observed.memory.dialog.relisted.of_mut(passing.by.other()) = Some(Box::new(relisted));
    }
}

/// The lowest CSeq number that a party used in its requests so far.
pub(in crate::observer) fn lowest_cseq(observed: &ObservedDialog, by: Party) -> Option<u32> {
    *observed.memory.dialog.lowest.of(by)
}

/// RFC 3261 §15.1.2: whoever gets a BYE of a live dialog says yes. Codes of proxies, and those that say what the request
/// lacks, prove nothing.
fn bye_refused(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let (seen, dialog) = (passing.seen, &observed.side(passing.by).base);
    let direct = dialog.route.is_empty() && passing.facts.vias == 1 && !passing.trace.relayed;
    let refuses = |status: &u16| !matches!(status, 401 | 407 | 408 | 420 | 481..=483 | 491 | 494 | 503);
    let open = seen.status.filter(refuses).and_then(|_| dialog.request_of(seen))?;
    // The one that was sent first ends the session, and only that.
    let live = dialog.party.by(Way::Received).bye == Some(open.on) && dialog.party.ours.bye.is_none();
    let met = direct && live && open.owed.is_empty() && !open.misnamed && observed.is_whole();
    // A 500 is for an old CSeq, and nothing else stands in the way of a BYE (GL-09).
    let rule = if seen.status == Some(500) { RuleId::ByeIsNeverGlare } else { RuleId::SessionOverAtBye };
    let claim = || against(passing.by, rule, passing.facts.n, smallvec![open.on]);
    met.then(|| Claim { severity: Severity::Warning, ..claim() })
}

/// RFC 3261 §12.2: Record-Route in mid-dialog leaves the route set as it is.
fn new_route(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let Relisted { on, first, last } = observed.memory.dialog.relisted.of(passing.by).as_deref()?;
    let (seen, dialog) = (passing.seen, &observed.side(passing.by).base);
    if passing.trace.relayed || passing.facts.vias > 1 {
        return None;
    }
    let told = uri_of(seen.route?)?;
    let follows = |value: &str| uri_of(value).is_some_and(|uri| uri.same(&told));
    let known = dialog.route.iter().any(|value| follows(value));
    (!known && (follows(first) || follows(last)))
        .then(|| against(passing.by, RuleId::RouteSetChangedMidDialog, seen.at.n, smallvec![*on]))
}

/// Whether a refusal is that of a peer which knows the request's sender by its old From URI only (RFC 4916 §4.4.1).
pub(super) fn refuses_identity(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<u32> {
    let (seen, dialog) = (passing.seen, &observed.side(passing.by).base);
    let status = seen.status?;
    let about_it = matches!(status, 400 | 403 | 404 | 406 | 481 | 482 | 606);
    let open = dialog.request_of(seen).filter(|open| about_it && open.identity.is_some() && !open.forms)?;
    (!dialog.party.ours.can.supported.has(OptionTag::FromChange)).then_some(open.on)
}

fn identity_refused(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let on = refuses_identity(observed, passing)?;
    Some(against(passing.by.other(), RuleId::ConnectedIdentity, on, smallvec![passing.facts.n]))
}

/// RFC 6141 §4.5: who moved says so by a request, unless it may not send one. Whoever was idle could.
fn moved_by_response(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let (seen, facts, dialog) = (passing.seen, passing.facts, &observed.side(passing.by).base);
    let open = dialog.request_of(seen).filter(|open| !open.forms && open.accepted.is_none())?;
    let own = &dialog.party.ours;
    let contact = seen.contact.filter(|contact| seen.is_success() && **contact != *own.target)?;
    let place = |uri: &str| Uri::parse(uri).ok().map(|uri| (uri.host.to_ascii_lowercase(), uri.port));
    if own.target.is_empty() || place(contact) == place(&own.target) || facts.vias > 1 {
        return None;
    }
    let one = passing.trace.numbered(open.on)?;
    let busy = passing.trace.all().any(|other| {
        let last = other.responses.iter().map(|response| response.last).fold(other.last, Ord::max);
        other.n != one.n && other.n < facts.n && last + IDLE > one.first
    });
    (!busy).then(|| against(passing.by, RuleId::TargetMovedByResponse, facts.n, smallvec![one.n]))
}

/// RFC 3261 §13.3.1.1: whoever takes long to answer an INVITE says so each minute.
fn silent_for_long(passing: &Passing<'_>) -> Option<Claim> {
    let facts = passing.facts;
    let invite = passing.trace.find(facts.from_tag, Method::Invite, facts.cseq)?;
    let rang = invite.responses.iter().filter(|response| response.status < 200);
    let last = rang.max_by_key(|response| response.last)?;
    (facts.at.since(last.last) >= TIMER_C)
        .then(|| against(Party::Callee, RuleId::ProvisionalEveryMinute, facts.n, smallvec![invite.n, last.n]))
}

/// RFC 3261 §8.2.2.2: of two copies of a request that came by different ways, one is answered, the other gets 482.
fn merged(passing: &Passing<'_>) -> Option<Claim> {
    let one = passing.trace.answered_by(passing.facts).filter(|one| !one.in_dialog())?;
    let refused = |status: u16| matches!(status, 300..);
    let mut before = passing.trace.all().filter(|other| other.n < one.n && other.is_merged_with(one));
    let before = before.find(|other| !other.last_word().is_some_and(|word| refused(word.status)))?;
    let answered = before.responses.iter().any(|response| response.status > 100);
    answered.then(|| against(passing.by, RuleId::MergedRequest, passing.facts.n, smallvec![before.n, one.n]))
}

/// RFC 3263 §4.3: a request goes to another address only if the first did not get it.
fn copies_met(passing: &Passing<'_>) -> Option<Claim> {
    let facts = passing.facts;
    let one = passing.trace.answered_by(facts).filter(|one| one.elsewhere > 0)?;
    let twice = matches!(facts.status, Some(482 | 500)) && facts.n > one.elsewhere;
    let mut words = one.responses.iter();
    let taken = words.any(|response| response.n != facts.n && !matches!(response.status, 100 | 408 | 503));
    (twice && taken)
        .then(|| against(passing.by.other(), RuleId::FailoverCopy, one.elsewhere, smallvec![one.n, facts.n]))
}

/// A 2xx with a To tag that the INVITE's other responses do not have, from the same UAS (RFC 3261 §8.2.6.2, RFC 6026
/// §7.1): `new` is the dialog that it formed.
pub(in crate::observer) fn second_tag(
    dialogs: &[ObservedDialog],
    new: usize,
    passing: &Passing<'_>,
) -> Option<Claim> {
    let (facts, formed) = (passing.facts, dialogs.get(new)?);
    let contact = passing.seen.contact.filter(|_| passing.seen.is_success() && facts.vias == 1)?;
    let direct = |dialog: &ObservedDialog| {
        dialog.side(Party::Callee).base.route.is_empty() && dialog.of_caller().route.is_empty()
    };
    let forks = dialogs.iter().enumerate().filter(|(index, dialog)| {
        *index != new && dialog.invite == formed.invite && *dialog.callee_tag() != *facts.to_tag
    });
    let mut forks = forks.map(|(_, dialog)| dialog);
    let (Some(other), None) = (forks.next(), forks.next()) else { return None };
    let same = *other.side(Party::Callee).base.party.ours.target == *contact;
    if !same || !direct(other) || !direct(formed) {
        return None;
    }
    let invite = passing.trace.answered_by(facts)?;
    let mut earlier = invite.responses.iter().filter(|response| response.n < facts.n);
    if let Some(first) = earlier.clone().find(|response| (200..300).contains(&response.status)) {
        // Two of them without a resend may be those of a fork.
        let resent = invite.copies > 0 && invite.last > first.first;
        return resent
            .then(|| against(passing.by, RuleId::AcceptedServer, facts.n, smallvec![invite.n, first.n]));
    }
    let first = earlier.find(|response| (101..200).contains(&response.status))?;
    Some(against(passing.by, RuleId::ToTagChanged, facts.n, smallvec![first.n]))
}

/// The URI of a route value.
fn uri_of(value: &str) -> Option<Uri<'_>> {
    Uri::parse(NameAddr::parse(value).ok()?.uri).ok()
}

/// For how long nothing may have passed for a party to count as idle.
const IDLE: Duration = Duration::from_secs(2);
/// RFC 3261 §16.6: what a proxy waits for at least.
const TIMER_C: Duration = Duration::from_secs(180);
