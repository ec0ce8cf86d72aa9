//! What one call says of another in Replaces, Target-Dialog or by a REFER (RFC 3515, RFC 3891, RFC 3892, RFC 4538, RFC 5589).

use std::time::Duration;

use midcall_proto::observer::{Certainty, Party};
use midcall_proto::rules::RuleId;
use midcall_proto::time::Instant;
use midcall_wire::Method;

use super::known::{Event, Known, Named, Refer};
use super::score::{Tie, named_as, referred, taken_back};
use super::{Found, finding};
use crate::diagnosis::Marked;
use crate::model::Finding;

/// What only both calls show.
pub(super) fn find(one: &Known, other: &Known, _: &Tie, found: &mut Found) {
    for (call, taken) in [(one, other), (other, one)] {
        if let Some(named) = call.setup.replaces.as_ref().filter(|named| *named.call_id == *taken.call_id) {
            replaced(call, taken, named, found);
        }
        for refer in &call.refers {
            if let Some(named) = refer.target_dialog.as_ref().filter(|named| *named.call_id == *taken.call_id)
            {
                push(found, call, target_dialog(call, taken, refer, named));
            }
        }
        if let Some(refer) = referred(call, taken) {
            push(found, taken, changed_referrer(call, taken, refer));
            let stopped = stopped(call, taken, refer);
            push(found, taken, stopped);
        }
        push(found, call, semi_attended(call, taken));
    }
}

/// RFC 3515 §5.2: a REFER from outside moves a user's calls, so whoever takes it asks who sent it.
pub(super) fn alone(call: &Known) -> Option<Finding> {
    let refer = call.refers.iter().find(|refer| refer.anonymous && refer.accepted)?;
    let accepted = call.first(|event| event.method == Method::Refer && (200..300).contains(&event.status))?;
    let means = format!(
        "{} took a REFER from {} that named no dialog and had no credentials.",
        call.name(refer.by.other()),
        Marked(call.address(refer.by))
    );
    let mut finding = told(RuleId::ReferUnauthorised, accepted.n, means);
    (finding.by, finding.because) = (refer.by.other(), vec![refer.n]);
    Some(finding)
}

fn push(found: &mut Found, call: &Known, finding: Option<Finding>) {
    found.findings.extend(finding.map(|finding| (call.number, finding)));
}

/// RFC 3891 §3, §4: a call that wants to take the place of another one.
fn replaced(call: &Known, taken: &Known, named: &Named, found: &mut Found) {
    let setup = &call.setup;
    let (n, status) = (setup.n, setup.outcome.map(|(status, ..)| status));
    let inside = call.to == taken.from || call.to == taken.to;
    let receiver = if call.to == taken.from { Party::Caller } else { Party::Callee };
    let meant = named_as(taken, named);
    if !inside {
        if status == Some(481) {
            let means = format!(
                "Replaces names a dialog of call {}, in which whoever got it has no part: a bridge did not translate it to the leg beyond.",
                taken.number
            );
            push(found, call, Some(told(RuleId::ReferThroughBridge, n, means)));
        }
        return;
    }
    if meant.is_some_and(|meant| meant != receiver) && taken.from != taken.to {
        let means = format!(
            "to-tag and from-tag of Replaces stand the wrong way round: {} looks for its own tag in to-tag and finds that of its peer (call {}).",
            taken.name(receiver),
            taken.number
        );
        push(found, call, Some(told(RuleId::ReplacesTags, n, means)));
        return;
    }
    if meant.is_none() {
        return;
    }
    let answered = taken.setup.outcome.is_some_and(|(_, _, at)| at <= call.began);
    if !answered && receiver == Party::Callee {
        let means = format!(
            "Call {} was still ringing at {}: only the side that placed it can have it replaced.",
            taken.number,
            taken.name(receiver)
        );
        push(found, call, Some(told(RuleId::ReplacesEarlyAtCallee, n, means)));
        return;
    }
    let Some((status, _, at)) = setup.outcome else { return };
    let ends = |event: &Event| {
        event.by == receiver && (event.is(Method::Bye) || event.is(Method::Cancel)) && event.at >= call.began
    };
    if status < 300 {
        push(found, call, unauthorised(call, taken, receiver));
        push(found, taken, outlived(taken, receiver, at, call, &ends));
        return;
    }
    // Whoever asks again with better words may get it after all.
    let later = call.first(|event| event.method == Method::Invite && (200..300).contains(&event.status));
    let gone = taken.first(|event| ends(event) && event.at >= at && event.at.since(at) <= SOON);
    if let (None, Some(gone)) = (later, gone) {
        let means = format!(
            "Call {} was to take the place of this one and was refused with {status}; {} hung up all the same.",
            call.number,
            taken.name(receiver)
        );
        let mut finding = told(RuleId::ReplacesFailedCallEnded, gone.n, means);
        finding.by = receiver;
        push(found, taken, Some(finding));
    }
}

/// RFC 3891 §3: who takes a call over says by whose leave.
fn unauthorised(call: &Known, taken: &Known, receiver: Party) -> Option<Finding> {
    let setup = &call.setup;
    let third = call.from != taken.address(receiver.other()) && call.from != taken.address(receiver);
    (third && !setup.authorised && setup.referred_by.is_none()).then(|| {
        let means = format!(
            "{} let {} take over its call {} without credentials and without the word of {}.",
            taken.name(receiver),
            Marked(call.from),
            taken.number,
            taken.name(receiver.other())
        );
        let mut finding =
            told(RuleId::ReplacesUnauthorised, setup.outcome.map_or(setup.n, |(_, n, _)| n), means);
        (finding.by, finding.because) = (Party::Callee, vec![setup.n]);
        finding
    })
}

/// RFC 3891 §3: the replaced dialog ends behind the 200, and not before.
fn outlived(
    taken: &Known,
    receiver: Party,
    at: Instant,
    call: &Known,
    ends: &dyn Fn(&Event) -> bool,
) -> Option<Finding> {
    let early = taken.first(|event| ends(event) && event.at < at);
    let used = taken.first(|event| {
        event.by == receiver
            && event.status == 0
            && !matches!(event.method, Method::Bye | Method::Ack | Method::Cancel | Method::Notify)
            && event.at > at + REPLACED
    });
    let (event, how) = match (early, used) {
        (Some(event), _) => (event, "was ended before its replacement was accepted"),
        (None, Some(event)) => (event, "is still used long after its replacement was accepted"),
        (None, None) => return None,
    };
    let means = format!("This call {how} (call {}).", call.number);
    let mut finding = told(RuleId::ReplacesOutcome, event.n, means);
    finding.by = receiver;
    Some(finding)
}

/// RFC 4538 §3: the tags are those of whoever gets the header.
fn target_dialog(call: &Known, taken: &Known, refer: &Refer, named: &Named) -> Option<Finding> {
    let receiver = call.address(refer.by.other());
    let place = match (receiver == taken.from, receiver == taken.to) {
        (true, false) => Party::Caller,
        (false, true) => Party::Callee,
        _ => return None,
    };
    let swapped = named_as(taken, named).is_some_and(|meant| meant != place);
    swapped.then(|| {
        let means = format!(
            "Target-Dialog fits call {} only with local-tag and remote-tag exchanged: {} finds the tag of its peer where its own belongs.",
            taken.number,
            taken.name(place)
        );
        let mut finding = told(RuleId::TargetDialogTags, refer.n, means);
        finding.by = refer.by;
        finding
    })
}

/// RFC 3892 §2.2: Referred-By goes into the new INVITE as it came.
fn changed_referrer(call: &Known, placed: &Known, refer: &Refer) -> Option<Finding> {
    let asked = refer.referred_by.as_ref()?;
    let same = placed.setup.referred_by.as_ref().is_some_and(|copied| copied == asked);
    (!same && placed.setup.n > 0).then(|| {
        let what = match &placed.setup.referred_by {
            Some(copied) => format!("came out as {}", Marked(copied)),
            None => "is missing here".to_owned(),
        };
        let means = format!("Referred-By of the REFER in call {}, {}, {what}.", call.number, Marked(asked));
        told(RuleId::ReferredByChanged, placed.setup.n, means)
    })
}

/// RFC 5589 §6, RFC 3515 §2.4.4: who hangs up or unsubscribes has not called the transfer off.
fn stopped(call: &Known, placed: &Known, refer: &Refer) -> Option<Finding> {
    let cancel = placed.first(|event| event.is(Method::Cancel) && event.by == Party::Caller)?;
    let just = |at: Instant| at <= cancel.at && cancel.at.since(at) <= SOON;
    let bye = call.first(|event| event.is(Method::Bye) && event.by == refer.by && just(event.at));
    let (rule, why) = match (refer.unsubscribed.filter(|at| just(*at)), bye) {
        (Some(_), _) => (RuleId::SubscribeToRefer, "ended its subscription"),
        (None, Some(_)) => (RuleId::ByeBeforeOutcome, "hung up"),
        (None, None) => return None,
    };
    refer.accepted.then(|| {
        let means = format!(
            "{} only {why} in call {}; the transfer was stopped for it.",
            call.name(refer.by),
            call.number
        );
        told(rule, cancel.n, means)
    })
}

/// RFC 5589 §7.6: taking the second call back and referring blindly races with its answer.
fn semi_attended(call: &Known, consulted: &Known) -> Option<Finding> {
    let (refer, cancelled) = taken_back(call, consulted)?;
    let means = format!(
        "{} took call {} to {} back and referred there {} ms later: if the other answers in between, it rings again.",
        call.name(refer.by),
        consulted.number,
        consulted.name(Party::Callee),
        refer.at.since(cancelled).as_millis()
    );
    let mut finding = told(RuleId::SemiAttendedTransfer, refer.n, means);
    finding.by = refer.by;
    Some(finding)
}

fn told(rule: RuleId, at: u32, means: String) -> Finding {
    let mut finding = finding(rule, &means);
    (finding.by, finding.at, finding.certainty) = (Party::Caller, at, Certainty::Certain);
    finding
}

/// How soon something follows from what came before.
const SOON: Duration = Duration::from_secs(2);
/// How long a replaced dialog may be used.
const REPLACED: Duration = Duration::from_secs(32);
