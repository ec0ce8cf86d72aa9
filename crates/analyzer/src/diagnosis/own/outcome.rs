//! What came of what was asked: changes given up, reports refused, preconditions that nobody met.

use std::time::Duration;

use midcall_wire::{Message, Method, Name};

use super::Scene;
use crate::diagnosis::read::seconds;
use crate::model::Finding;

pub(super) fn look(scene: &Scene<'_, '_>, found: &mut Vec<Finding>) {
    if scene.says(&[491]) {
        found.extend(given_up(scene));
    }
    if scene.says(&[405, 481, 489]) {
        found.extend(report_refused(scene));
    }
    found.extend(precondition(scene));
}

/// F-GLR9: one side asked no more after a 491, though the call went on. Where neither side did, a rule says so.
fn given_up(scene: &Scene<'_, '_>) -> Option<Finding> {
    let r = scene.reading;
    let last = r.call.messages.last()?.n;
    let (refusal, request) = r.originals().find_map(|(own, message)| {
        let request = (message.status() == Some(491)).then(|| r.request_of(own.n)).flatten()?;
        let by = r.by(request);
        let asks = |message: &Message<&[u8]>| {
            message.is_request() && matches!(message.method(), Method::Invite | Method::Update)
        };
        // Whatever change comes later may be the same one, in another form or from the other side.
        let again = r.next_after(own.n, |later, message| later.by == by && asks(message));
        let over = r.next_after(own.n, |_, message| message.is_request() && message.method() == Method::Bye);
        let alive = r.between(own.n, over.unwrap_or(last)) > Duration::from_secs(6);
        (again.is_none() && alive).then_some((own.n, request))
    })?;
    if r.call.findings.iter().any(|finding| matches!(finding.code, "RC-11" | "GL-06")) {
        return None;
    }
    let means = format!(
        "{}'s change in {} was refused with 491 (message {refusal}) and never tried again, though the call went on.",
        r.sender(request),
        r.the(request)
    );
    Some(scene.found("F-GLR9", r.by(request), refusal, &[request], means))
}

/// F-XFR6: a report on a transfer is refused by the side that asked for the transfer.
fn report_refused(scene: &Scene<'_, '_>) -> Option<Finding> {
    let r = scene.reading;
    let (refusal, notify) = r.originals().find_map(|(own, message)| {
        let refused = message.method() == Method::Notify && matches!(message.status(), Some(405 | 481 | 489));
        let notify = refused.then(|| r.request_of(own.n)).flatten()?;
        let of_refer =
            r.get(notify)?.event().is_some_and(|event| event.package.eq_ignore_ascii_case("refer"));
        (of_refer && !scene.has("DLG-30", own.n)).then_some((own.n, notify))
    })?;
    let refer = r.last_before(notify, |own, message| {
        own.by == r.by(refusal) && message.is_request() && message.method() == Method::Refer
    })?;
    let means = format!(
        "{} asked for a transfer in {} and refused the report about it, {}, with {} (message {refusal}).",
        r.sender(refusal),
        r.the(refer),
        r.the(notify),
        r.status(refusal)
    );
    Some(scene.found("F-XFR6", r.by(refusal), refusal, &[refer, notify], means))
}

/// F-REL7: the call asked for resources before ringing, and ended without.
fn precondition(scene: &Scene<'_, '_>) -> Option<Finding> {
    let r = scene.reading;
    let first = scene.deals.first()?;
    if !first.offered.streams.iter().any(|stream| stream.preconditions) {
        return None;
    }
    let offered = first.offered.sdp()?;
    let mut wishes = offered.media().flat_map(|media| media.attributes("des").collect::<Vec<_>>());
    if !wishes.any(|wish| wish.contains(" mandatory ")) {
        return None;
    }
    let (invite, _) =
        r.originals().find(|(_, message)| message.is_request() && message.method() == Method::Invite)?;
    let failure = r.final_of(invite.n).filter(|n| matches!(r.status(*n), 487 | 580 | 408 | 504))?;
    let later = scene.deals.iter().skip(1).filter_map(|exchange| exchange.offered.sdp());
    let confirmed = later.into_iter().any(|offered| {
        offered.media().any(|media| media.attributes("curr").any(|curr| curr.contains("sendrecv")))
    });
    if confirmed {
        return None;
    }
    let means = format!(
        "{} asks in {} for {} before it rings, no offer ever said that it is there, and the call ended with {} after {} (message \
         {failure}).",
        r.sender(first.offer),
        r.the(first.offer),
        offered
            .media()
            .flat_map(|media| media.attributes("des").map(str::to_owned).collect::<Vec<_>>())
            .next()
            .unwrap_or_default(),
        r.status(failure),
        seconds(r.between(invite.n, failure))
    );
    let missing =
        if r.header(first.offer, Name::Require).is_some() { r.by(failure) } else { r.by(first.offer) };
    Some(scene.found("F-REL7", missing, failure, &[first.offer], means))
}
