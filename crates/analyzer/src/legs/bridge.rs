//! What a box with two legs did to a conversation (RFC 3725, RFC 7092).

use std::time::Duration;

use midcall_proto::observer::{Certainty, Party};
use midcall_proto::rules::{RuleId, Severity};
use midcall_proto::time::Instant;
use midcall_wire::Method;

use super::known::{Event, FOLLOWS, Known};
use super::score::{Bridge, Tie};
use super::{Found, finding};
use crate::diagnosis::{self, Worded};
use crate::model::{Finding, Leg};

/// One leg with the party that the box is in it.
#[derive(Clone, Copy)]
struct Side<'k> {
    call: &'k Known,
    /// The box.
    own: Party,
}

impl Side<'_> {
    /// Who is at the far end of this leg.
    const fn far(&self) -> Party {
        self.own.other()
    }
}

/// What only both legs show.
pub(super) fn find(one: &Known, other: &Known, tie: &Tie, now: Instant, found: &mut Found) {
    let Some(Bridge { at, forward }) = tie.bridge else { return };
    let (one, other) = (Side { call: one, own: at.0 }, Side { call: other, own: at.1 });
    let (up, down) = if forward { (one, other) } else { (other, one) };
    let mut push = |side: Side<'_>, found_one: Option<Finding>| {
        if let Some(mut finding) = found_one {
            if tie.confidence < SURE {
                doubt(&mut finding, &tie.leg(""));
            }
            found.findings.push((side.call.number, finding));
        }
    };
    for (side, beside) in [(up, down), (down, up)] {
        push(side, left_up(side, beside, now));
        push(side, glare_relayed(side, beside));
        push(side, burst(side));
        push(side, late_answer(side, beside));
    }
    if up.own != down.own {
        push(down, hops_reset(up, down));
        push(up, timer_lost(up, down));
    }
    relays(up, down, found);
    relays(down, up, found);
}

/// What two calls show is no surer than that they belong together.
pub(super) fn doubt(finding: &mut Finding, leg: &Leg) {
    if finding.joined.is_some() {
        return;
    }
    finding.severity = finding.severity.min(Severity::Info);
    (finding.certainty, finding.joined) = (Certainty::Crossed, Some(leg.confidence));
    let why = format!(
        " That the two calls belong together is likely only: {} % ({}).",
        leg.confidence,
        leg.because.join(", ")
    );
    finding.means.push_str(&why);
}

/// One leg ended, this one did not follow.
fn left_up(side: Side<'_>, beside: Side<'_>, now: Instant) -> Option<Finding> {
    let (call, gone) = (side.call, beside.call);
    if !call.confirmed() || !gone.confirmed() {
        return None;
    }
    let end = gone.first(|event| event.is(Method::Bye))?;
    let over = end.at + FOLLOWS;
    // A transfer or a new far end keeps it up for a reason.
    let reused = |event: &&Event| {
        event.n != call.setup.n && event.at + FOLLOWS >= end.at && event.at <= over && event.by == side.own
    };
    let changed = call
        .events
        .iter()
        .filter(reused)
        .any(|event| event.is(Method::Invite) || event.is(Method::Refer) || event.is(Method::Update));
    if changed || !gone.refers.is_empty() || !call.refers.is_empty() {
        return None;
    }
    let own_end = call.first(|event| event.is(Method::Bye));
    let late = own_end.is_none_or(|own| own.at > over) && now > over;
    let before = call.events.iter().rev().find(|event| event.at <= end.at)?;
    if !late || own_end.is_some_and(|own| own.at <= end.at) {
        return None;
    }
    let row = diagnosis::by_id("F-DLG17")?;
    let till = own_end.map_or_else(
        || "and no BYE came here at all".to_owned(),
        |own| format!("and here the BYE came {} s later", own.at.since(end.at).as_secs()),
    );
    // A caller may stay for a voice that asks how it was; a callee of whom nothing is wanted for so long was forgotten.
    let asked = |event: &Event| {
        event.by == side.own && event.at > end.at && Some(event.n) != own_end.map(|own| own.n)
    };
    let alone = side.own == Party::Caller && !call.events.iter().any(asked);
    let forgotten = alone && own_end.map_or(now, |own| own.at).since(end.at) > FORGOTTEN;
    let who = gone.name(beside.far());
    let means = format!(
        "The leg to {who} (call {}) ended {till}: {} still paid and waited.",
        gone.number,
        call.name(side.far())
    );
    let (means, named) = diagnosis::unmarked(&means);
    Some(Finding {
        code: row.id,
        severity: if forgotten { Severity::Error } else { row.severity },
        certainty: Certainty::Certain,
        by: side.own,
        at: own_end.map_or(before.n, |own| own.n),
        because: vec![before.n],
        cites: row.cites.to_vec(),
        title: row.title.to_owned(),
        means,
        fix: row.fix.to_owned(),
        consequences: Vec::new(),
        joined: None,
        worded: Worded::Elsewhere { means: named, fix: Vec::new() },
    })
}

/// RFC 7332 §5: a loop of bridges ends only if each takes one off.
fn hops_reset(up: Side<'_>, down: Side<'_>) -> Option<Finding> {
    let (came, went) = (up.call.setup.max_forwards?, down.call.setup.max_forwards?);
    if went < came {
        return None;
    }
    let means = format!(
        "The INVITE came with Max-Forwards {came} (call {}) and went on with {went}: a loop through this box never ends by it.",
        up.call.number
    );
    Some(told(RuleId::MaxForwardsReset, down.own, down.call.setup.n, &[], means))
}

/// RFC 4028 §8: the timer that one side asked for was neither passed on nor taken over.
fn timer_lost(up: Side<'_>, down: Side<'_>) -> Option<Finding> {
    let (status, n, _) = up.call.setup.outcome.filter(|(status, ..)| *status < 300)?;
    let asked = up.call.setup.timer == (true, false);
    let dropped = !down.call.setup.timer.0 && down.call.setup.n > 0;
    (asked && dropped && status < 300).then(|| {
        let means = format!(
            "{} asked for a session timer; it went no further (call {}) and was not taken over here either.",
            up.call.name(up.far()),
            down.call.number
        );
        let mut finding = told(RuleId::ProxyChangedTimer, up.own, n, &[up.call.setup.n], means);
        // A bridge may want no timer at all.
        finding.severity = finding.severity.min(Severity::Warning);
        finding
    })
}

/// A 491 of the other leg handed on: that collision was none of this leg.
fn glare_relayed(side: Side<'_>, beside: Side<'_>) -> Option<Finding> {
    let refused = |event: &&Event| event.by == side.own && event.status == 491;
    side.call.events.iter().filter(refused).find_map(|refusal| {
        let request = request_of(side.call, refusal)?;
        let own_open = side.call.events.iter().any(|event| {
            event.by == side.own
                && event.status == 0
                && matches!(event.method, Method::Invite | Method::Update)
                && event.at <= refusal.at
                && event.at >= request.at.checked_sub(CROSSING).unwrap_or(Instant::ZERO)
        });
        let other = beside.call.events.iter().find(|event| {
            event.by == beside.far()
                && event.status == 491
                && event.at >= request.at
                && event.at <= refusal.at
                && refusal.at.since(event.at) <= RELAYED
        })?;
        let passed_on = request_of(beside.call, other).is_some_and(|sent| sent.at >= request.at);
        (passed_on && !own_open).then(|| {
            let means = format!(
                "The change collided on the other leg (call {}, message {}); the 491 was handed on to {}, where nothing collided.",
                beside.call.number,
                other.n,
                side.call.name(side.far())
            );
            told(RuleId::CodesPerLeg, side.own, refusal.n, &[request.n], means)
        })
    })
}

/// RFC 7088 §4.2: changes are queued and merged, not fired off.
fn burst(side: Side<'_>) -> Option<Finding> {
    let far = side.far();
    let refused: Vec<&Event> = side
        .call
        .events
        .iter()
        .filter(|event| event.by == far && matches!(event.status, 491 | 500))
        .filter(|event| matches!(event.method, Method::Invite | Method::Update))
        .collect();
    let burst = refused.windows(BURST).find(|few| match few {
        [first, .., last] => last.at.since(first.at) <= BURST_SPAN,
        _ => false,
    })?;
    let last = request_of(side.call, burst.last()?)?;
    let because: Vec<u32> = burst.iter().map(|event| event.n).collect();
    let means = format!(
        "{} changes within {} s were refused here: they were not queued.",
        BURST,
        BURST_SPAN.as_secs()
    );
    Some(told(RuleId::ChangesQueuedPerLeg, side.own, last.n, &because, means))
}

/// RFC 3725 §4.1: who asks one party for an offer must have the other's answer soon.
fn late_answer(side: Side<'_>, beside: Side<'_>) -> Option<Finding> {
    if side.own != Party::Caller || side.call.setup.offered || side.call.setup.n == 0 {
        return None;
    }
    let (_, success, at) = side.call.setup.outcome.filter(|(status, ..)| *status < 300)?;
    let ack = side.call.first(|event| event.is(Method::Ack) && event.by == side.own && event.media != 0)?;
    let copied =
        beside.call.first(|event| event.by == beside.far() && event.media == ack.media && event.at <= ack.at);
    (ack.at.since(at) > FLOW_ONE && copied.is_some()).then(|| {
        let means = format!(
            "The ACK with the answer came {:.1} s after the 2xx: it waited for {} to answer (call {}).",
            ack.at.since(at).as_secs_f32(),
            beside.call.name(beside.far()),
            beside.call.number
        );
        told(RuleId::FlowOneTooSlow, side.own, ack.n, &[success], means)
    })
}

/// A fault of the box that the far end of the other leg committed before.
fn relays(side: Side<'_>, beside: Side<'_>, found: &mut Found) {
    for (code, by, at, when) in &side.call.faults {
        if *by != side.own {
            continue;
        }
        let first = beside.call.faults.iter().find(|(other, who, _, then)| {
            other == code && *who == beside.far() && *then <= *when && when.since(*then) <= SAME_FAULT
        });
        if first.is_some() {
            found.relayed.push((side.call.number, code, *at, beside.call.name(beside.far()).0.to_owned()));
        }
    }
}

fn request_of<'k>(call: &'k Known, response: &Event) -> Option<&'k Event> {
    call.events.iter().rev().find(|event| {
        event.status == 0
            && event.by != response.by
            && event.method == response.method
            && event.cseq == response.cseq
            && event.at <= response.at
    })
}

fn told(rule: RuleId, by: Party, at: u32, because: &[u32], means: String) -> Finding {
    let mut finding = finding(rule, &means);
    (finding.by, finding.at, finding.because) = (by, at, because.to_vec());
    finding
}

/// From which confidence on a finding is certain.
const SURE: u8 = 85;
/// How long a bridge may look for somebody else.
const FORGOTTEN: Duration = Duration::from_secs(30);
/// How soon a response of the other leg is handed on.
const RELAYED: Duration = Duration::from_millis(500);
/// How far apart requests cross.
const CROSSING: Duration = Duration::from_millis(500);
/// How long the answer of the other party may take in flow I.
const FLOW_ONE: Duration = Duration::from_secs(2);
/// How soon a fault is handed on.
const SAME_FAULT: Duration = Duration::from_secs(5);
/// How many refusals within which time are a burst.
const BURST: usize = 3;
const BURST_SPAN: Duration = Duration::from_secs(5);
