//! The course of a call: collisions, challenges, gaps, ends.

use std::time::Duration;

use midcall_proto::observer::{Kind, Party, Repeat};
use midcall_proto::rules::Severity;
use midcall_wire::{Message as Sip, Method, Name, Uri};

use super::Scene;
use super::description::is_private;
use crate::diagnosis::read::seconds;
use crate::glance::Glance;
use crate::model::{Finding, Message};

pub(super) fn look(scene: &Scene<'_, '_>, found: &mut Vec<Finding>) {
    // Most calls have none of these, and what follows looks at every pair of messages.
    if scene.says(&[491]) {
        let changes = changes(scene);
        found.extend(glare_resolved(scene, &changes));
        found.extend(stuck(scene, &changes));
    }
    if scene.says(&[481, 487]) {
        found.extend(hangup_crossed(scene, &changes(scene)));
    }
    if scene.says(&[401, 407]) {
        found.extend(unchallenged(scene));
    }
    let resent = |message: &Message| matches!(message.kind, Kind::Again { how: Repeat::Resent, .. });
    if scene.reading.call.messages.iter().any(resent) {
        found.extend(unreachable_contact(scene));
    }
    found.extend(gaps(scene));
    found.extend(timed_end(scene));
    found.extend(limits(scene));
}

/// A change: who asked, the request, its final response.
type Asked = (Party, u32, Option<u32>);

fn is_change(message: &Sip<&[u8]>) -> bool {
    message.is_request()
        && match message.method() {
            Method::Invite => message.to().is_ok_and(|to| to.tag().is_some()),
            Method::Update => true,
            _ => false,
        }
}

/// Changes of both sides: who, the request, its final response.
fn changes(scene: &Scene<'_, '_>) -> Vec<Asked> {
    let r = scene.reading;
    let requests = r.originals().filter(|(_, message)| is_change(message)).take(MOST_CHANGES);
    requests.map(|(own, _)| (own.by, own.n, r.final_of(own.n))).collect()
}

/// F-GLR1: two changes of opposite sides overlapped, 491 was said, and both sides later got a 2xx or asked no more.
fn glare_resolved(scene: &Scene<'_, '_>, changes: &[Asked]) -> Option<Finding> {
    let r = scene.reading;
    let ok = |n: Option<u32>| n.is_some_and(|n| (200..300).contains(&r.status(n)));
    let refused = |n: Option<u32>| n.is_some_and(|n| r.status(n) == 491);
    let (first, second, end) = changes.iter().zip(changes.iter().skip(1)).find_map(|(one, two)| {
        let overlap = one.0 == two.0.other() && one.2.is_none_or(|end| end > two.1);
        let hit = refused(one.2) || refused(two.2);
        (overlap && hit).then_some((one.1, two.1, one.2.max(two.2)?))
    })?;
    let after: Vec<_> = changes.iter().filter(|(_, request, _)| *request > end).collect();
    let settled = after.iter().any(|change| ok(change.2)) && !after.iter().any(|change| refused(change.2));
    if !settled {
        return None;
    }
    let means = format!(
        "{} sent {} and {} sent {}; the two met and were refused with 491, and the retries went through.",
        r.sender(first),
        r.the(first),
        r.sender(second),
        r.the(second)
    );
    Some(scene.found("F-GLR1", r.by(second), second, &[first], means))
}

/// F-GLR7: 491 while no change of the refusing side was open, nor within the last two seconds. Told once.
fn stuck(scene: &Scene<'_, '_>, changes: &[Asked]) -> Option<Finding> {
    let r = scene.reading;
    let (refusal, request) = changes.iter().find_map(|(by, request, end)| {
        let refusal = end.filter(|n| r.status(*n) == 491)?;
        let near = |n: u32| {
            let (early, late) = (n.min(*request), n.max(*request));
            r.between(early, late) < Duration::from_secs(2)
        };
        // Its own change, an INVITE that was still open, or one that a lost message may hide.
        let excused = r.originals().filter(|(_, message)| message.is_request()).any(|(own, message)| {
            let change = matches!(message.method(), Method::Invite | Method::Update | Method::Prack);
            let open = r.final_of(own.n).is_none_or(|end| end > *request);
            change && own.n < refusal && own.n != *request && (open || near(own.n)) && (own.by != *by || open)
                || own.n < *request && message.method() == Method::Invite && near(own.n)
        });
        let acknowledged =
            r.last_before(*request, |own, message| message.method() == Method::Ack && near(own.n));
        (!excused && acknowledged.is_none()).then_some((refusal, *request))
    })?;
    // The change that it met may be what the trace lacks.
    if scene.lacks_between(0, u32::MAX) {
        return None;
    }
    let means = format!(
        "{} refused {} with 491 (message {refusal}), although no change of its own was open.",
        r.sender(refusal),
        r.the(request)
    );
    Some(scene.found("F-GLR7", r.by(refusal), refusal, &[request], means))
}

/// F-GLR10.
fn hangup_crossed(scene: &Scene<'_, '_>, changes: &[Asked]) -> Option<Finding> {
    let r = scene.reading;
    let (bye, by) = first_bye(scene)?;
    let (_, request, refusal) = changes.iter().find(|(own, request, end)| {
        let gone = end.is_some_and(|n| matches!(r.status(n), 481 | 487) && n > bye);
        *own == by.other()
            && gone
            && r.between((*request).min(bye), (*request).max(bye)) < Duration::from_secs(2)
    })?;
    let (request, refusal) = (*request, (*refusal)?);
    let means = format!(
        "{} hung up in {} while {} was on its way, so that ended with {} (message {refusal}).",
        r.name(by),
        r.the(bye),
        r.the(request),
        r.status(refusal)
    );
    Some(scene.found("F-GLR10", by, bye, &[request, refusal], means))
}

/// F-DLG14: challenged within the call and not tried again.
fn unchallenged(scene: &Scene<'_, '_>) -> Vec<Finding> {
    let r = scene.reading;
    let last = r.call.messages.last().map_or(0, |message| message.n);
    let mut found = Vec::new();
    for (own, message) in r.originals().filter(|(_, message)| matches!(message.status(), Some(401 | 407))) {
        let Some(request) = r.request_of(own.n) else { continue };
        let in_call = r.get(request).is_some_and(|message| message.to().is_ok_and(|to| to.tag().is_some()));
        let method = message.method();
        if !in_call || !matches!(method, Method::Invite | Method::Update | Method::Bye | Method::Refer) {
            continue;
        }
        let by = r.by(request);
        let again = r.next_after(own.n, |other, message| {
            other.by == by && message.is_request() && message.method() == method
        });
        // Nothing is missing while there may still be time for it, or once the call was ended anyway.
        let bye = r.next_after(own.n, |_, message| message.is_request() && message.method() == Method::Bye);
        let patient = r.between(own.n, bye.unwrap_or(last)) > PATIENCE;
        if again.is_some() || !patient || scene.has("RC-17", request) {
            continue;
        }
        let means = format!(
            "{} was asked for credentials for {} with {} (message {}) and did not try again.",
            r.name(by),
            r.the(request),
            r.status(own.n),
            own.n
        );
        // A side that gave credentials before has them; and a BYE that is not tried again leaves the other side in the call.
        let has_them = r.last_before(own.n, |other, message| {
            other.by == by
                && (message.header(Name::Authorization).is_some()
                    || message.header(Name::ProxyAuthorization).is_some())
        });
        let proven = has_them.is_some() || method == Method::Bye;
        let severity = if proven { Severity::Error } else { Severity::Warning };
        found.push(scene.weighed(severity, "F-DLG14", by, own.n, &[request], means));
    }
    found
}

/// F-DLG6: a private Contact behind a public address, and nothing that was sent there got an answer.
fn unreachable_contact(scene: &Scene<'_, '_>) -> Option<Finding> {
    let r = scene.reading;
    r.originals().filter(|(own, _)| !is_private(own.from.ip())).find_map(|(own, message)| {
        let contact = message.contact()?.ok()?;
        let host: std::net::IpAddr = Uri::parse(contact.uri).ok()?.host.parse().ok()?;
        let hidden = is_private(host) && !own.from.ip().is_unspecified();
        if !hidden || own.by == Party::Network {
            return None;
        }
        let target = contact.uri.to_owned();
        let lost = r.next_after(own.n, |later, message| {
            later.by == own.by.other()
                && message.request_uri() == Some(&target)
                && message.method() != Method::Ack
                && r.final_of(later.n).is_none()
                && r.call.messages.iter().any(|copy| {
                    matches!(copy.kind, Kind::Again { of, how: Repeat::Resent } if of == later.n)
                })
        })?;
        let means = format!(
            "{}'s Contact in {} is {target}, but its messages come from {}; {} was sent there again and again without any answer.",
            r.name(own.by),
            r.the(own.n),
            own.from.ip(),
            r.the(lost)
        );
        // Sent to the private address itself, it cannot arrive; sent through somebody, that one may be at fault.
        let straight = r.call.message(lost).is_some_and(|lost| lost.to.ip() == host);
        let severity = if straight { Severity::Error } else { Severity::Warning };
        Some(scene.weighed(severity, "F-DLG6", own.by, own.n, &[lost], means))
    })
}

/// F-DLG12: once for each side.
fn gaps(scene: &Scene<'_, '_>) -> Vec<Finding> {
    let r = scene.reading;
    let mut last: [Option<(u32, u32)>; 2] = [None, None];
    let mut found: Vec<Finding> = Vec::new();
    for (own, glance) in r.glances_of_originals().filter(|(_, glance)| glance.is_request()) {
        if matches!(glance.method, Method::Ack | Method::Cancel) || own.by == Party::Network {
            continue;
        }
        let Some((cseq, _)) = glance.cseq else { continue };
        let slot = usize::from(own.by == Party::Callee);
        let Some(last) = last.get_mut(slot) else { continue };
        if let Some((number, n)) = *last
            && cseq > number.saturating_add(1)
            && !found.iter().any(|finding| finding.by == own.by)
        {
            let means = format!(
                "{}'s requests go from CSeq {number} (message {n}) to {} in {}; what lies between is not in the trace.",
                r.name(own.by),
                cseq,
                r.the(own.n)
            );
            found.push(scene.found("F-DLG12", own.by, own.n, &[n], means));
        }
        if last.is_none_or(|(number, _)| cseq > number) {
            *last = Some((cseq, own.n));
        }
    }
    found
}

/// F-STM10: the end came a round time after the answer, or when the session interval ran out.
fn timed_end(scene: &Scene<'_, '_>) -> Option<Finding> {
    let r = scene.reading;
    let (bye, by) = first_bye(scene)?;
    let explained = r
        .call
        .findings
        .iter()
        .any(|finding| finding.code.starts_with("ST-1") || finding.code.starts_with("TX-"));
    if explained {
        return None;
    }
    let answered = r.glances_of_originals().find(|(_, glance)| {
        glance.status.is_some_and(|status| (200..300).contains(&status)) && glance.method == Method::Invite
    })?;
    let spent = r.between(answered.0.n, bye);
    let near = |seconds: u64| spent.abs_diff(Duration::from_secs(seconds)) < Duration::from_millis(700);
    let timed = r.glances().filter(|(own, glance)| own.n < bye && glance.is_timed());
    let interval = timed.into_iter().find_map(|(own, _)| {
        let expires = r.get(own.n)?.session_expires()?.ok()?;
        Some((own.n, u64::from(expires.seconds)))
    });
    let (what, because) = match interval {
        Some((n, interval)) if near(interval) => {
            (format!("the session interval of {} s", interval), vec![answered.0.n, n])
        }
        Some((n, interval)) if near(interval / 2) => {
            (format!("half the session interval of {} s", interval), vec![answered.0.n, n])
        }
        _ if near(32) => ("64*T1, after which a missing ACK ends a call".to_owned(), vec![answered.0.n]),
        _ => {
            let minutes = [15, 30, 60, 120].into_iter().find(|minutes| near(minutes * 60))?;
            (format!("a timer of {minutes} minutes"), vec![answered.0.n])
        }
    };
    let means = format!(
        "{} hung up {} after the answer (message {bye}), which is {what}.",
        r.name(by),
        seconds(spent)
    );
    Some(scene.found("F-STM10", by, bye, &because, means))
}

/// F-CPT1.
fn limits(scene: &Scene<'_, '_>) -> Option<Finding> {
    let r = scene.reading;
    let call = r.call;
    let first = call.messages.first()?;
    let mut limits = Vec::new();
    let begins = r.glance(first.n).is_some_and(Glance::begins);
    if !begins {
        limits.push("it begins in the middle of the call".to_owned());
    }
    let cut = call.messages.iter().filter(|message| message.cut).count();
    if cut > 0 {
        limits.push(format!("{cut} of its messages are cut off"));
    }
    let told = |n: u32| call.findings.iter().any(|finding| finding.code == "TX-11" && finding.at == n);
    let orphans: Vec<_> = call
        .messages
        .iter()
        .filter(|message| message.kind == Kind::Orphan && !told(message.n))
        .map(|message| message.n)
        .collect();
    if begins && !orphans.is_empty() {
        let shown = orphans.get(..orphans.len().min(5)).unwrap_or(&orphans);
        let answer = if shown.len() == 1 { "answers a request" } else { "answer requests" };
        limits.push(format!("{} {answer} that it lacks", r.list(shown)));
    }
    let sides = |party| call.messages.iter().any(|message| message.by == party);
    // Who names the other's tag has heard of the other.
    let heard = r
        .glances_of_originals()
        .any(|(own, glance)| own.by != Party::Network && glance.is_request() && glance.is_tagged());
    if heard && sides(Party::Caller) != sides(Party::Callee) {
        limits.push("only one direction is there".to_owned());
    }
    if call.dropped > 0 {
        let parts = if call.dropped == 1 { "part of it was" } else { "parts of it were" };
        limits.push(format!("{} {parts} too much to be kept", call.dropped));
    }
    if limits.is_empty() {
        return None;
    }
    let means = format!("The trace does not show all of this call: {}.", limits.join("; "));
    Some(scene.found("F-CPT1", Party::Network, first.n, &[], means))
}

fn first_bye(scene: &Scene<'_, '_>) -> Option<(u32, Party)> {
    scene.bye().filter(|(_, by)| *by != Party::Network)
}

/// How long somebody may look for credentials.
const PATIENCE: Duration = Duration::from_secs(6);
/// The most changes of a call that are compared with each other.
const MOST_CHANGES: usize = 200;
