//! Requests that go astray: with a number, to an address, or with tags that nobody gave.

use std::time::Duration;

use midcall_proto::observer::{Kind, Party, Repeat};
use midcall_wire::{Message as Sip, Method, Name, Uri};

use super::Scene;
use crate::model::Finding;

pub(super) fn look(scene: &Scene<'_, '_>, found: &mut Vec<Finding>) {
    found.extend(ack_of_nothing(scene));
    if scene.says(&[404, 481]) || any_unheard(scene) {
        found.extend(to_an_old_contact(scene));
    }
    if scene.says(&[481]) {
        found.extend(with_unknown_tags(scene));
    }
}

fn is_resent(message: &crate::model::Message) -> bool {
    matches!(message.kind, Kind::Again { how: Repeat::Resent, .. })
}

/// F-DLG3: an ACK with the number of no INVITE, while one that got its final response has none. An INVITE that the trace lacks
/// would explain it, if nothing shows that there was none: the number stands in another request, or in the INVITE's branch, or
/// the 2xx is sent again.
fn ack_of_nothing(scene: &Scene<'_, '_>) -> Option<Finding> {
    let r = scene.reading;
    let asks = |by: Party, method: Method, cseq: u32| {
        let mut all = r.glances().filter(move |(own, glance)| own.by == by && glance.asks(method));
        all.any(|(_, glance)| glance.cseq.is_some_and(|(number, _)| number == cseq))
    };
    let mut acks = r.glances_of_originals().filter(|(_, glance)| glance.asks(Method::Ack));
    let (ack, invite, last) = acks.find_map(|(own, glance)| {
        let (cseq, _) = glance.cseq.filter(|(cseq, _)| !asks(own.by, Method::Invite, *cseq))?;
        let mut invites = r
            .glances_of_originals()
            .filter(|(other, glance)| other.n < own.n && other.by == own.by && glance.asks(Method::Invite));
        let (invite, last) = invites.find_map(|(invite, glance)| {
            let (number, _) = glance.cseq.filter(|(number, _)| !asks(own.by, Method::Ack, *number))?;
            let last = r.final_of(invite.n).filter(|last| *last < own.n)?;
            (number != cseq).then_some((invite.n, last))
        })?;
        let branch = |n: u32| r.get(n)?.top_via().ok()?.branch().map(str::to_owned);
        // A number that another request has is that of no INVITE.
        let taken = r.glances().any(|(other, glance)| {
            let number = glance.is_request() && !matches!(glance.method, Method::Ack | Method::Invite);
            other.by == own.by && number && glance.cseq.is_some_and(|(number, _)| number == cseq)
        });
        let again = r.call.messages.iter().any(|copy| {
            copy.n > own.n && matches!(copy.kind, Kind::Again { of, how: Repeat::Resent } if of == last)
        });
        let answered = r.glances().any(|(other, glance)| {
            other.by != own.by && !glance.is_request() && glance.cseq == Some((cseq, Method::Invite))
        });
        let proven = taken || again || branch(own.n) == branch(invite);
        (proven && !answered).then_some((own.n, invite, last))
    })?;
    let means = format!(
        "{} acknowledged {} of {} with CSeq {} (message {ack}), but {} has {}: nobody can tell what that ACK is for.",
        r.sender(ack),
        r.the(last),
        r.sender(last),
        r.cseq(ack),
        r.the(invite),
        r.cseq(invite)
    );
    Some(scene.found("F-DLG3", r.by(ack), ack, &[invite, last], means))
}

/// F-DLG4: a request to a Contact that its receiver had replaced, and that its sender had accepted; nobody is there.
fn to_an_old_contact(scene: &Scene<'_, '_>) -> Option<Finding> {
    let r = scene.reading;
    let hops = |message: &crate::model::Message| matches!(message.kind, Kind::Again { how: Repeat::Hop, .. });
    if r.call.dialogs.len() != 1 || r.call.messages.iter().any(hops) {
        return None;
    }
    let mut known: [Vec<(u32, String)>; 2] = [Vec::new(), Vec::new()];
    for (own, message) in r.originals().filter(|(own, _)| own.by != Party::Network) {
        let refreshes = matches!(message.method(), Method::Invite | Method::Update);
        if message.status().is_some_and(|status| (200..300).contains(&status)) && refreshes {
            // Of what this accepts, its sender knows the Contact; its own becomes known with the ACK, or soon.
            let request = r.request_of(own.n);
            for n in request.into_iter().chain([own.n]) {
                let contact = r.get(n).and_then(|message| message.contact()?.ok());
                let slot = known.get_mut(usize::from(r.by(n) == Party::Callee));
                if let (Some(contact), Some(slot)) = (contact, slot)
                    && slot.last().is_none_or(|(_, last)| last != contact.uri)
                {
                    slot.push((n, contact.uri.to_owned()));
                }
            }
            continue;
        }
        let routed = message.count(Name::Route) > 0 || message.vias().count() > 1;
        let asks = message.is_request() && !matches!(message.method(), Method::Ack | Method::Cancel);
        let tagged = message.to().is_ok_and(|to| to.tag().is_some());
        let Some(uri) = message.request_uri().filter(|_| asks && tagged && !routed) else { continue };
        let Some([old @ .., (moved, new)]) =
            known.get(usize::from(own.by == Party::Caller)).map(Vec::as_slice)
        else {
            continue;
        };
        let Some((was, _)) = old.iter().rfind(|(_, old)| same(old, uri)).filter(|_| !same(new, uri)) else {
            continue;
        };
        // Its own 2xx to the other side's request says that it knows; the other side's 2xx may be on its way.
        let told = r.get(*moved).is_some_and(Sip::is_request) || r.between(*moved, own.n) > UNDER_WAY;
        let outcome = match r.final_of(own.n) {
            Some(last) if matches!(r.status(last), 404 | 481) => Some(last),
            None if unheard(scene, own.n) => None,
            _ => continue,
        };
        if !told {
            continue;
        }
        let means = format!(
            "{} sent {} to {}, where {} was by {}, though {} had moved it to {}; {}.",
            r.name(own.by),
            r.the(own.n),
            r.uri(own.n),
            r.name(own.by.other()),
            r.the(*was),
            r.the(*moved),
            r.contact(*moved),
            outcome.map_or_else(
                || "nobody answered".to_owned(),
                |last| format!("it was refused with {} (message {last})", r.status(last))
            )
        );
        return Some(scene.found("F-DLG4", own.by, own.n, &[*was, *moved], means));
    }
    None
}

/// Whether a request was sent again and again without any response.
fn unheard(scene: &Scene<'_, '_>, n: u32) -> bool {
    let copies = scene.reading.call.messages.iter();
    copies.filter(|copy| is_resent(copy) && matches!(copy.kind, Kind::Again { of, .. } if of == n)).count()
        >= 3
}

/// Whether there is such a request.
fn any_unheard(scene: &Scene<'_, '_>) -> bool {
    let r = scene.reading;
    r.call.messages.iter().any(is_resent)
        && r.glances_of_originals().any(|(own, glance)| glance.is_request() && unheard(scene, own.n))
}

fn same(one: &str, other: &str) -> bool {
    one == other || Uri::parse(one).is_ok_and(|one| Uri::parse(other).is_ok_and(|other| one.same(&other)))
}

/// F-DLG9: a request of a running call, refused with 481, that has a tag which neither side gave.
fn with_unknown_tags(scene: &Scene<'_, '_>) -> Option<Finding> {
    let r = scene.reading;
    let tag = |address: Option<&str>| address.unwrap_or_default().to_owned();
    let from = |message: &Sip<&[u8]>| tag(message.from().ok().and_then(|from| from.tag()));
    let to = |message: &Sip<&[u8]>| tag(message.to().ok().and_then(|to| to.tag()));
    // Each side gives its tag with what forms a dialog: the request without a To tag, and the responses to it.
    let mut given: Vec<String> = Vec::new();
    let mut answered = false;
    for (own, message) in r.originals() {
        let forming = |n: u32| r.glance(n).is_some_and(|glance| glance.is_request() && !glance.is_tagged());
        if message.is_response() && r.request_of(own.n).is_some_and(forming) {
            answered |= message.method() == Method::Invite && matches!(message.status(), Some(200..=299));
            given.push(to(message));
        } else if forming(own.n) {
            given.push(from(message));
        }
        let strange =
            |tag: &String| !tag.is_empty() && !given.iter().any(|own| own.eq_ignore_ascii_case(tag));
        let asks = message.is_request() && !matches!(message.method(), Method::Ack | Method::Cancel);
        let (ours, theirs) = (from(message), to(message));
        if !asks || !answered || theirs.is_empty() {
            continue;
        }
        let Some(wrong) = [&theirs, &ours].into_iter().find(|tag| strange(tag)) else { continue };
        let Some(refusal) = r.final_of(own.n).filter(|last| r.status(*last) == 481) else { continue };
        if scene.lacks_between(0, refusal) {
            continue;
        }
        // Its tags do not tell whose it is, but its address does.
        let mut before = r.glances_of_originals().filter(|(other, _)| other.n < own.n);
        let by = before.find(|(other, _)| other.from == own.from && other.by != Party::Network);
        let by = by.map_or(own.by, |(other, _)| other.by);
        let means = format!(
            "{} sent {} with the {} tag \"{wrong}\", which nobody gave in this call; it was refused with 481 (message {refusal}).",
            r.name(by),
            r.the(own.n),
            if wrong == &theirs { "To" } else { "From" }
        );
        return Some(scene.found("F-DLG9", by, own.n, &[refusal], means));
    }
    None
}

/// How long a 2xx may be on its way.
const UNDER_WAY: Duration = Duration::from_secs(1);
