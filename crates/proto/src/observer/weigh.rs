//! How bad a breach is when seen on the wire. The row of a rule gives the strongest claim; here are the grades below it.

use std::time::Duration;

use midcall_wire::Method;

use super::dialog::{Claim, ObservedDialog, Passing};
use super::finding::{Certainty, Party};
use super::signs;
use crate::dialog::{Carrier, Dialog, Evidence, Open, Owed, Seen, Way};
use crate::rules::{Reply, RuleId, Severity};

/// The severity of a breach, `None` if the wire says nothing about it. May name better evidence.
pub(super) fn breach(
    observed: &ObservedDialog,
    passing: &Passing<'_>,
    rule: RuleId,
    because: &mut Evidence,
) -> Option<Severity> {
    let seen = passing.seen;
    let dialog = &observed.side(passing.by).base;
    let severity = match rule {
        _ if needed_time(rule).is_some_and(|time| !passing.patience.tells(time)) => return None,
        // Copies of its 2xx that go on show that time has passed; how much, only a clock tells.
        RuleId::CalleeByeTooEarly if waited_without_clock(passing, because) => return None,
        // An element of RFC 2543 leaves it out (RFC 4475 §3.4.1).
        RuleId::MandatoryHeaderMissing | RuleId::CalleeByeTooEarly | RuleId::OriginVersionStep => {
            Severity::Warning
        }
        // Without a timer it refreshes nothing, and RFC 3264 §8 lets a version rise for nothing.
        RuleId::RefreshBumpedVersion if dialog.timer.running.is_none() => Severity::Info,
        RuleId::CSeqNotIncremented => return reused(observed, passing, because),
        // The same number again is the fault of who used it twice (DLG-11), and not below any.
        RuleId::CSeqTooLow if same_number(dialog, seen) => return None,
        RuleId::CSeqTooLow => too_low(dialog, seen),
        RuleId::SecondReliableTooEarly => second_reliable(observed, seen, because),
        RuleId::EarlyUpdateByCallerTooSoon
        | RuleId::EarlyUpdateByCallerBeforePrack
        | RuleId::EarlyUpdateByCalleeTooSoon
        | RuleId::EarlyUpdateByCalleeBeforeAnswer => early_update(dialog),
        RuleId::UpdateWhileOfferOpen => while_open(dialog, seen),
        RuleId::UpdateNotAllowed => {
            // No Allow at all means unknown, and the trace may lack it.
            let unseen = observed.invite == 0 && dialog.party.theirs.can.allow.is_none();
            return (!unseen).then_some(Severity::Warning);
        }
        RuleId::UpdateCrossesOurOffer => crossed_offer(dialog),
        // Its sender breaks RFC 3264; that it is refused, only RFC 6337 §4.3 asks.
        RuleId::OneExchangeAtATime if !seen.is_request() => Severity::Warning,
        // A proxy on the way may have added the Require.
        RuleId::ExtensionUnasked if !dialog.route.is_empty() || passing.facts.vias > 1 => Severity::Warning,
        // Beyond its first hop a request shows what proxies made of it, and a trace of several hops mixes them.
        RuleId::RouteSetNotReversed
        | RuleId::RequestUriAndRoute
        | RuleId::AckToOldContact
        | RuleId::TargetAdoptedOnError
        | RuleId::TargetFromUnreliableProvisional
        | RuleId::TargetRolledBack
            if passing.trace.relayed || passing.facts.vias > 1 =>
        {
            return None;
        }
        // Only the need is in doubt where the refusal has all that it must have (RFC 4028 §9).
        RuleId::IntervalRefusedWrongly if seen.min_se.is_some_and(|min| min >= 90) => Severity::Warning,
        // Accepting a late PRACK is right, and one for a response that was not seen proves nothing.
        RuleId::PrackMatchesNothing if seen.is_success() => return None,
        // Where requests got lost, one that the other side has long forgotten may explain each 491.
        RuleId::GlareStorm if passing.trace.any_resent() || too_short_a_storm(passing) => Severity::Info,
        // The copy that came may have been the last one.
        RuleId::UpdateAnsweredLate | RuleId::ReferAnsweredLate if resent_lately(passing, because) => {
            return None;
        }
        _ => rule.rule().severity,
    };
    Some(severity.min(rule.rule().severity))
}

/// The time that a rule about times is about: a clock that does not tell it makes the rule mute.
const fn needed_time(rule: RuleId) -> Option<Duration> {
    match rule {
        RuleId::OwnerRetryTime | RuleId::OverlapRetryAfter => Some(Duration::from_secs(1)),
        RuleId::UpdateAnsweredLate | RuleId::ReferAnsweredLate => Some(LATE),
        _ => None,
    }
}

/// Whether a 2xx in evidence was sent again and again, and no clock tells for how long (RFC 3261 §13.3.1.4).
fn waited_without_clock(passing: &Passing<'_>, because: &Evidence) -> bool {
    let resent = |n: &u32| passing.trace.resent(*n).is_some_and(|copies| copies > 2);
    !passing.patience.tells(passing.patience.transaction()) && because.last().is_some_and(resent)
}

/// Whether the request in evidence was sent again within the time that its receiver has.
fn resent_lately(passing: &Passing<'_>, because: &Evidence) -> bool {
    let request = because.first().and_then(|n| passing.trace.numbered(*n));
    request.is_some_and(|request| passing.facts.at.since(request.last) <= LATE)
}

/// Whether a request of the side that says 491, lost again and again before the tap, could be what it means: it would have
/// been sent again three times within three seconds (RFC 3261 §17.1).
fn too_short_a_storm(passing: &Passing<'_>) -> bool {
    let first = passing.trace.first_glare(passing.facts.from_tag);
    first.is_none_or(|first| passing.facts.at.since(first) < STORM)
}

/// How long a storm of 491 must last.
const STORM: Duration = Duration::from_secs(3);
/// How long a non-INVITE request may wait for its final response (RFC 4320 §4.1).
const LATE: Duration = Duration::from_millis(3500);

/// Whether the message and the request that it answers are all it takes to tell: then nothing that the capture lacks could
/// explain the breach.
pub(super) const fn needs_no_history(rule: RuleId, severity: Severity) -> bool {
    match rule {
        RuleId::AnswerShape
        | RuleId::DeadStreamRevived
        | RuleId::AnswerDirection
        | RuleId::NoCommonFormat
        | RuleId::SrtpKeys
        | RuleId::ReliableUnasked
        | RuleId::RequiredReliableIgnored
        | RuleId::IntervalRefusedWrongly
        | RuleId::IntervalRaised
        | RuleId::RefresherOverridden
        | RuleId::TimerNotRequired
        | RuleId::TimerStartedByUas
        | RuleId::ExplicitSubscription
        | RuleId::ExtensionUnasked
        | RuleId::UpdateHasNoAck
        | RuleId::TwoFinals
        | RuleId::AckForFailureHasNewBranch
        | RuleId::AckForSuccessMisbuilt
        | RuleId::RaceReInviteLostAck => true,
        // Graded as errors only where both messages were seen.
        RuleId::CSeqNotIncremented | RuleId::CSeqTooLow => matches!(severity, Severity::Error),
        _ => false,
    }
}

/// Whether it takes the sender's last description to tell.
pub(super) const fn compares_descriptions(rule: RuleId) -> bool {
    matches!(
        rule,
        RuleId::OriginVersionStep
            | RuleId::SameVersionOtherBody
            | RuleId::RefusedOfferUsedItsVersion
            | RuleId::RefreshBumpedVersion
            | RuleId::MediaLineRemoved
            | RuleId::MediaLinesReordered
            | RuleId::PayloadTypeRemapped
            | RuleId::ToneEventsLost
    )
}

/// A CSeq number seen before is used again for sure. A lower one may have been overtaken, if its sender left it out before and
/// that is not long ago; only of the caller is it known where its numbers begin.
fn reused(observed: &ObservedDialog, passing: &Passing<'_>, because: &mut Evidence) -> Option<Severity> {
    let facts = passing.facts;
    if let Some(n) = passing.trace.used(facts) {
        *because = ObservedDialog::on(n);
        return Some(Severity::Error);
    }
    let higher = passing.trace.beyond(facts);
    let recent = higher.is_some_and(|one| facts.at.since(one.first) <= passing.patience.transaction());
    let begins = passing.by == Party::Caller && observed.invite != 0;
    let first = signs::lowest_cseq(observed, passing.by).filter(|_| begins);
    if recent && first.is_none_or(|first| first < facts.cseq) {
        return None;
    }
    if let Some(higher) = higher {
        *because = ObservedDialog::on(higher.n);
    }
    Some(Severity::Warning)
}

/// Whether the request that was accepted has the number of the last one, not one below.
fn same_number(dialog: &Dialog, seen: &Seen<'_>) -> bool {
    dialog.request_of(seen).is_some_and(|open| dialog.party.theirs.cseq == Some(open.cseq))
}

/// Sure only if a request with a higher number had its 2xx before this one came.
fn too_low(dialog: &Dialog, seen: &Seen<'_>) -> Severity {
    let request = dialog.request_of(seen);
    let answered = dialog.party.theirs.answered;
    let sure = request.zip(answered).is_some_and(|(open, (cseq, n))| cseq > open.cseq && n < open.on);
    if sure { Severity::Error } else { Severity::Info }
}

/// Only the first pair of an INVITE is forbidden outright (RFC 3262 §3).
fn second_reliable(observed: &ObservedDialog, seen: &Seen<'_>, because: &Evidence) -> Severity {
    let first = observed.reliable.iter().find(|(cseq, ..)| *cseq == seen.cseq);
    if first.is_some_and(|(_, _, n)| because.contains(n)) { Severity::Error } else { Severity::Warning }
}

/// Between a PRACK and its 2xx only RFC 6337 §4.3 asks to wait.
fn early_update(dialog: &Dialog) -> Severity {
    let prack_passed =
        dialog.open.iter().find(|open| open.forms).is_some_and(|open| {
            open.exchanged && open.unacknowledged.is_none_or(|response| !response.with_sdp)
        });
    if prack_passed && !dialog.offers.open() { Severity::Warning } else { Severity::Error }
}

/// What is forbidden is an offer over an open offer; the rest is advice (RFC 6337 §4.3).
fn while_open(dialog: &Dialog, seen: &Seen<'_>) -> Severity {
    if seen.has_sdp && dialog.offers.open() { Severity::Error } else { Severity::Warning }
}

/// An offer of one's own in a response is not in the list of RFC 3311 §5.2.
fn crossed_offer(dialog: &Dialog) -> Severity {
    match &dialog.offers.pending.ours {
        Some(offer) if offer.carrier != Carrier::Request => Severity::Warning,
        _ => Severity::Error,
    }
}

/// A refusal by another status than the one owed.
pub(super) fn refusal(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let seen = passing.seen;
    let status = seen.status.filter(|status| *status >= 300)?;
    let dialog = &observed.side(passing.by).base;
    let open = dialog.request_of(seen)?;
    if open.method == Method::Prack {
        return signs::unknown_rack(observed, passing.by, seen).filter(|_| status == 481);
    }
    let claim = |owed: &Owed, severity: Severity| {
        let mut because = owed.because.clone();
        because.push(open.on);
        because.sort_unstable();
        because.dedup();
        Claim {
            rule: owed.rule,
            severity,
            certainty: Certainty::Certain,
            by: passing.by,
            at: passing.facts.n,
            because,
        }
    };
    if let Some(met) = open.owed.iter().find(|owed| owed.reply.status() == Some(status)) {
        // RFC 6337 §4.3 asks for the 500 alone.
        if met.rule == RuleId::CSeqTooLow {
            let mut explained = claim(met, Severity::Info);
            explained.by = passing.by.other();
            return Some(explained);
        }
        let timed = met.reply == Reply::RetryAfter && met.rule != RuleId::OneExchangeAtATime;
        let bare = timed && seen.retry_after.is_none();
        return bare.then(|| claim(met, Severity::Warning));
    }
    let owed = open.owed.first()?;
    let severity = instead(dialog, owed, open, status)?;
    Some(claim(owed, severity.min(owed.rule.rule().severity)))
}

/// How bad this status is where another one was owed. Codes of RFC 3261 §8.2 and of proxies prove nothing.
fn instead(dialog: &Dialog, owed: &Owed, open: &Open, status: u16) -> Option<Severity> {
    let collision = matches!(
        owed.rule,
        RuleId::SecondInviteWhileFirstOpen
            | RuleId::InviteCrossesOurs
            | RuleId::SecondUpdateWhileFirstOpen
            | RuleId::UpdateCrossesOurOffer
            | RuleId::UpdateBeforeWeAnswered
            | RuleId::OneExchangeAtATime
    );
    if !collision || !matches!(status, 486 | 488 | 491 | 500 | 600 | 603 | 606) {
        return None;
    }
    let own_invite = dialog.open.iter().any(|one| one.way == Way::Sent && one.invite_in_progress());
    let offer_in_response =
        dialog.offers.pending.ours.as_ref().is_none_or(|offer| offer.carrier != Carrier::Request);
    match owed.rule {
        RuleId::SecondInviteWhileFirstOpen if status == 491 && !own_invite => Some(Severity::Error),
        // RFC 6337 §4.3 wants 500 where RFC 5407 §3.1.5 prefers 491.
        RuleId::UpdateCrossesOurOffer if status == 500 && offer_in_response => None,
        _ if status >= 600 && open.method == Method::Invite && dialog.usage.over() => None,
        _ => Some(Severity::Warning),
    }
}

/// A claim against the sender of the message that passes.
pub(super) fn against(by: Party, rule: RuleId, at: u32, because: Evidence) -> Claim {
    Claim { rule, severity: rule.rule().severity, certainty: Certainty::Certain, by, at, because }
}
