//! What parties say they can do, and what they then do.

use midcall_proto::observer::Party;
use midcall_proto::rules::Severity;
use midcall_wire::{Message, Name};

use super::Scene;
use crate::diagnosis::read::shorten;
use crate::model::Finding;

pub(super) fn look(scene: &Scene<'_, '_>, found: &mut Vec<Finding>) {
    if !scene.says(&[405, 420, 501]) && !lists_change(scene) {
        return;
    }
    let mut seen = [Lists::default(), Lists::default()];
    for (own, message) in scene.reading.originals() {
        let Some(side) = side(own.by) else { continue };
        if let Some(finding) = refused_though_listed(scene, own.n, own.by, message, seen.get(side)) {
            found.push(finding);
        }
        if let Some(finding) = extension_refused(scene, own.n, own.by, message) {
            found.push(finding);
        }
        let Some(lists) = seen.get_mut(side) else { continue };
        if let Some(finding) = lists.changed(scene, own.n, own.by, message) {
            found.push(finding);
        }
        lists.note(own.n, message);
    }
}

fn side(party: Party) -> Option<usize> {
    match party {
        Party::Caller => Some(0),
        Party::Callee => Some(1),
        Party::Network => None,
    }
}

/// Whether a party's Allow is not always the same.
fn lists_change(scene: &Scene<'_, '_>) -> bool {
    let mut last = [0, 0];
    scene.reading.glances_of_originals().filter(|(_, glance)| glance.allow != 0).any(|(own, glance)| {
        let Some(last) = side(own.by).and_then(|side| last.get_mut(side)) else { return false };
        let before = std::mem::replace(last, glance.allow);
        before != 0 && before != glance.allow
    })
}

/// The last lists of a party.
#[derive(Default)]
struct Lists {
    allow: Option<(u32, String)>,
    told: bool,
}

impl Lists {
    fn note(&mut self, n: u32, message: &Message<&[u8]>) {
        // The Allow of a refusal is about the refusal.
        let Some(allow) = message.header(Name::Allow).filter(|_| !is_refusal(message)) else { return };
        match &mut self.allow {
            Some((last, known)) if known == allow => *last = n,
            other => *other = Some((n, allow.to_owned())),
        }
    }

    /// Methods that went out of Allow; those that were added are of no harm.
    fn changed(
        &mut self,
        scene: &Scene<'_, '_>,
        n: u32,
        by: Party,
        message: &Message<&[u8]>,
    ) -> Option<Finding> {
        let allow = message.header(Name::Allow).filter(|_| !is_refusal(message))?;
        let (before, old) = self.allow.as_ref().filter(|(_, old)| old != allow)?;
        if self.told {
            return None;
        }
        let gone: Vec<_> = methods(old).filter(|method| !lists(allow, method)).collect();
        if gone.is_empty() {
            return None;
        }
        self.told = true;
        let r = scene.reading;
        let means = format!(
            "{}'s {} at {} (message {n}) no longer lists {}, which {} listed.",
            r.name(by),
            r.label(n),
            r.time(n),
            gone.join(", "),
            r.the(*before)
        );
        Some(scene.found("F-CAP4", by, n, &[*before], means))
    }
}

fn is_refusal(message: &Message<&[u8]>) -> bool {
    matches!(message.status(), Some(405 | 501))
}

fn methods(allow: &str) -> impl Iterator<Item = &str> {
    allow.split(',').map(str::trim).filter(|method| !method.is_empty())
}

fn lists(allow: &str, method: &str) -> bool {
    methods(allow).any(|listed| listed.eq_ignore_ascii_case(method))
}

/// 405 or 501 to a method of the own Allow.
fn refused_though_listed(
    scene: &Scene<'_, '_>,
    n: u32,
    by: Party,
    message: &Message<&[u8]>,
    known: Option<&Lists>,
) -> Option<Finding> {
    let status = message.status().filter(|status| matches!(status, 405 | 501))?;
    let (allow, listed) = known?.allow.as_ref()?;
    let method = message.method_name();
    if !lists(listed, method) {
        return None;
    }
    let r = scene.reading;
    let request = r.request_of(n)?;
    let means = format!(
        "{} refused {} with {status} (message {n}), but lists {method} in the Allow of {}.",
        r.name(by),
        r.the(request),
        r.the(*allow)
    );
    // What refuses a method and lists it in the same breath contradicts itself, whoever wrote the lists before.
    let itself = message.header(Name::Allow).is_some_and(|own| lists(own, method));
    let severity = if itself { Severity::Error } else { Severity::Warning };
    Some(scene.weighed(severity, "F-CAP2", by, n, &[request, *allow], means))
}

/// 420 to a request whose Require names what its receiver does not support.
fn extension_refused(scene: &Scene<'_, '_>, n: u32, by: Party, message: &Message<&[u8]>) -> Option<Finding> {
    if message.status() != Some(420) || scene.has("ER-04", n) {
        return None;
    }
    let r = scene.reading;
    let request = r.request_of(n)?;
    let required = r.header(request, Name::Require)?;
    let unsupported = r.header(n, Name::Unsupported).unwrap_or_else(|| shorten(&required, 60));
    let means = format!(
        "{} demanded \"Require: {required}\" in {}, and {} refused it with 420 (message {n}): it lacks {unsupported}.",
        r.name(by.other()),
        r.the(request),
        r.name(by)
    );
    // A first try may find out; whoever was told before is not asked again.
    let told = r.last_with(request, by, Name::Supported);
    let lacked = told.and_then(|n| r.header(n, Name::Supported)).is_some_and(|supported| {
        methods(&required).any(|option| !lists(&supported, option) && lists(&unsupported, option))
    });
    let again =
        r.next_after(n, |own, message| own.by == by.other() && message.method_name() == r.label(request));
    let severity = match (lacked, again) {
        (true, _) => Severity::Error,
        (false, None) if r.label(request) == "INVITE" => Severity::Warning,
        (false, _) => Severity::Info,
    };
    Some(scene.weighed(severity, "F-CAP5", by.other(), request, &[n], means))
}
