//! What a failed transfer leaves behind.

use std::time::Duration;

use midcall_proto::dialog::sipfrag_status;
use midcall_proto::observer::Party;
use midcall_wire::{Message, Method};

use super::Scene;
use crate::diagnosis::read::seconds;
use crate::model::Finding;

pub(super) fn look(scene: &Scene<'_, '_>, found: &mut Vec<Finding>) {
    if !scene.reading.glances().any(|(_, glance)| glance.asks(Method::Notify)) {
        return;
    }
    if let Some(failed) = failed(scene) {
        found.extend(left_early(scene, &failed));
        found.extend(left_held(scene, &failed));
    }
}

/// A transfer that failed.
struct Failed {
    by: Party,
    refer: u32,
    notify: u32,
    status: u16,
}

/// The last transfer of the call, if the report on it says that it failed.
fn failed(scene: &Scene<'_, '_>) -> Option<Failed> {
    let r = scene.reading;
    let (own, _) = r.glances_of_originals().filter(|(_, glance)| glance.asks(Method::Refer)).last()?;
    let (by, refer) = (own.by, own.n);
    let taken = r.final_of(refer).is_some_and(|last| (200..300).contains(&r.status(last)));
    let reports = |message: &Message<&[u8]>| {
        let refers = |package: &str| package.eq_ignore_ascii_case("refer");
        let of_refer = message.event().is_some_and(|event| refers(event.package));
        (message.is_request() && message.method() == Method::Notify && of_refer)
            .then(|| sipfrag_status(message.body()))
            .flatten()
    };
    let mut words = r.originals().filter(|(other, _)| other.n > refer && other.by == by.other());
    let (notify, status) = words
        .find_map(|(other, message)| Some((other.n, reports(message).filter(|status| *status >= 200)?)))?;
    (taken && status >= 300).then_some(Failed { by, refer, notify, status })
}

/// F-XFR3: the transferor hung up before the transfer came to its end, and it failed. A 487 says that somebody gave it up: that
/// it was for the BYE, RF-24 tells.
fn left_early(scene: &Scene<'_, '_>, failed: &Failed) -> Option<Finding> {
    let r = scene.reading;
    let (bye, _) = scene.bye().filter(|(bye, by)| *by == failed.by && *bye > failed.refer)?;
    (bye < failed.notify && failed.status != 487).then(|| {
        let means = format!(
            "{} asked for a transfer in {} and hung up (message {bye}) before its end; {} later it failed with {} (message {}).",
            r.name(failed.by),
            r.the(failed.refer),
            seconds(r.between(bye, failed.notify)),
            failed.status,
            failed.notify
        );
        scene.found("F-XFR3", failed.by, bye, &[failed.refer, failed.notify], means)
    })
}

/// F-XFR5: the transferor had held the call, the transfer failed, and it never took the call back: the other side hung up.
fn left_held(scene: &Scene<'_, '_>, failed: &Failed) -> Option<Finding> {
    let r = scene.reading;
    let (bye, _) = scene.bye().filter(|(bye, by)| *by == failed.by.other() && *bye > failed.notify)?;
    let mut own = scene.deals.iter().rev().filter(|deal| deal.by == failed.by);
    let last = own.next().filter(|deal| deal.offer < failed.notify && deal.done().is_some())?;
    let held = super::hold::holds_now(&last.offered);
    let later = scene.deals.iter().any(|deal| deal.offer > last.offer);
    if !held || later || scene.lacks_between(last.offer, bye) || r.between(failed.notify, bye) < A_WHILE {
        return None;
    }
    let means = format!(
        "{} held the call in {} and asked for a transfer in {}; that failed with {} (message {}), and {} stayed on hold for {} until it \
         hung up (message {bye}).",
        r.name(failed.by),
        r.the(last.offer),
        r.the(failed.refer),
        failed.status,
        failed.notify,
        r.name(failed.by.other()),
        seconds(r.between(failed.notify, bye))
    );
    Some(scene.found("F-XFR5", failed.by, failed.notify, &[last.offer, failed.refer], means))
}

/// How long a transferor may take to go back to its call.
const A_WHILE: Duration = Duration::from_secs(10);
