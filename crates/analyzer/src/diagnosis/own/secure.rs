//! ICE, DTLS, SRTP, bundles and fax: what a later description must not lose.

use midcall_proto::rules::Severity;

use super::Scene;
use super::deal::{Deal, before};
use crate::diagnosis::read::capital;
use crate::model::Finding;
use crate::sheet::{Sheet, Stream};

pub(super) fn look(scene: &Scene<'_, '_>, found: &mut Vec<Finding>) {
    for (index, exchange) in scene.deals.iter().enumerate() {
        if let Some(old) = before(scene.deals, index, exchange.by) {
            let new = (exchange.offer, &exchange.offered);
            found.extend(identity(scene, old, new));
            found.extend(downgrade(scene, old, new));
            found.extend(unbundled(scene, old, new));
        }
        found.extend(fax(scene, index, exchange));
        let Some((_, answer, answered)) = exchange.done() else { continue };
        if let Some(old) = before(scene.deals, index, exchange.by.other()) {
            found.extend(identity(scene, old, (answer, answered)));
            if let Some(mine) = before(scene.deals, index, exchange.by) {
                found.extend(restart_ignored(scene, mine.1, exchange, old, (answer, answered)));
            }
        }
    }
}

/// What both descriptions of a stream in use have.
fn streams<'a, 's>(
    old: &'a Sheet<'s>,
    new: &'a Sheet<'s>,
) -> impl Iterator<Item = (&'a Stream<'s>, &'a Stream<'s>)> {
    old.with(new).filter(|(was, is)| !was.rejected && !is.rejected && was.kind == is.kind)
}

/// F-MED2: new credentials in the offer, those of before in the answer.
fn restart_ignored(
    scene: &Scene<'_, '_>,
    mine: &Sheet<'_>,
    exchange: &Deal<'_>,
    old: (u32, &Sheet<'_>),
    answer: (u32, &Sheet<'_>),
) -> Option<Finding> {
    let restarted = streams(mine, &exchange.offered).position(|(was, is)| {
        is.bond.fragment.is_some()
            && was.bond.fragment != is.bond.fragment
            && was.bond.password != is.bond.password
    })?;
    let (was, is) = streams(old.1, answer.1).nth(restarted)?;
    let kept = is.bond.fragment.is_some() && was.bond.fragment == is.bond.fragment;
    if !kept || scene.has("OA-51", answer.0) {
        return None;
    }
    let r = scene.reading;
    let means = format!(
        "{} restarted ICE in {}, and {}'s answer (message {}) has the credentials of {} again, ufrag {}.",
        r.sender(exchange.offer),
        r.the(exchange.offer),
        r.sender(answer.0),
        answer.0,
        r.the(old.0),
        is.bond.fragment.unwrap_or_default()
    );
    Some(scene.found("F-MED2", r.by(answer.0), answer.0, &[exchange.offer, old.0], means))
}

/// F-MED3: a fingerprint that moved without what announces a new association.
fn identity(scene: &Scene<'_, '_>, old: (u32, &Sheet<'_>), new: (u32, &Sheet<'_>)) -> Option<Finding> {
    let (was, is) = streams(old.1, new.1).find(|(was, is)| {
        let both = was.bond.fingerprint.is_some() && is.bond.fingerprint.is_some();
        both && was.bond.fingerprint != is.bond.fingerprint
            && was.bond.tls_id == is.bond.tls_id
            && was.bond.fragment == is.bond.fragment
    })?;
    // Without tls-id and ICE, another address announces it as well.
    let moved = was.address() != is.address() || was.port != is.port;
    if moved && is.bond.tls_id.is_none() && is.bond.fragment.is_none() {
        return None;
    }
    let r = scene.reading;
    let means = format!(
        "{}'s {} at {} (message {}) has another fingerprint for {} than {}, with the same tls-id and ICE credentials.",
        r.sender(new.0),
        r.label(new.0),
        r.time(new.0),
        new.0,
        is.kind,
        r.the(old.0)
    );
    // Where tls-id tells associations apart, the same one is the old one; older peers go by the fingerprint.
    let severity = if is.bond.tls_id.is_some() { Severity::Error } else { Severity::Warning };
    Some(scene.weighed(severity, "F-MED3", r.by(new.0), new.0, &[old.0], means))
}

/// F-MED4.
fn downgrade(scene: &Scene<'_, '_>, old: (u32, &Sheet<'_>), new: (u32, &Sheet<'_>)) -> Option<Finding> {
    let (was, is) = streams(old.1, new.1).find(|(was, is)| {
        let secure = |stream: &Stream<'_>| stream.protocol.contains("SAVP");
        was.keyed() && secure(was) && (!is.keyed() || !secure(is))
    })?;
    if scene.has("OA-54", new.0) {
        return None;
    }
    let r = scene.reading;
    let lost = match is.protocol.contains("SAVP") {
        true => "without a key".to_owned(),
        false => format!("as {}", is.protocol),
    };
    let means = format!(
        "{} was encrypted ({} in {}), and {}'s {} at {} (message {}) offers it {lost}.",
        capital(is.kind),
        was.protocol,
        r.the(old.0),
        r.sender(new.0),
        r.label(new.0),
        r.time(new.0),
        new.0
    );
    Some(scene.found("F-MED4", r.by(new.0), new.0, &[old.0], means))
}

/// F-MED6.
fn unbundled(scene: &Scene<'_, '_>, old: (u32, &Sheet<'_>), new: (u32, &Sheet<'_>)) -> Option<Finding> {
    let several = |sdp: &Sheet<'_>| sdp.streams.iter().filter(|stream| !stream.rejected).count() > 1;
    let lost = if old.1.bundled && !new.1.bundled && several(new.1) {
        "a=group:BUNDLE"
    } else if streams(old.1, new.1).any(|(was, is)| was.rtcp_mux && !is.rtcp_mux) {
        "a=rtcp-mux"
    } else {
        return None;
    };
    // What the other side did not take is no loss.
    let taken = scene.deals.iter().any(|exchange| {
        exchange.offer == old.0
            && exchange.done().is_some_and(|(_, _, answered)| match lost {
                "a=rtcp-mux" => answered.streams.iter().any(|stream| stream.rtcp_mux),
                _ => answered.bundled,
            })
            || exchange.answer.as_ref().is_some_and(|(n, _)| *n == old.0)
    });
    if !taken || scene.has("OA-56", new.0) || scene.has("OA-21", new.0) {
        return None;
    }
    let r = scene.reading;
    let means = format!(
        "{}'s {} at {} (message {}) lacks {lost}, which both sides used since {}.",
        r.sender(new.0),
        r.label(new.0),
        r.time(new.0),
        new.0,
        r.the(old.0)
    );
    Some(scene.found("F-MED6", r.by(new.0), new.0, &[old.0], means))
}

/// F-MED5.
fn fax(scene: &Scene<'_, '_>, index: usize, exchange: &Deal<'_>) -> Option<Finding> {
    let image =
        exchange.offered.streams.iter().position(|stream| stream.kind == "image" && !stream.rejected)?;
    let r = scene.reading;
    if index == 0 {
        return None;
    }
    if let Some(refusal) = exchange.refusal.filter(|n| matches!(r.status(*n), 415 | 488 | 606)) {
        let means = format!(
            "{} asked for T.38 in {}, and {} refused it with {} (message {refusal}).",
            r.name(exchange.by),
            r.the(exchange.offer),
            r.sender(refusal),
            r.status(refusal)
        );
        return Some(scene.found("F-MED5", r.by(refusal), refusal, &[exchange.offer], means));
    }
    let (_, answer, answered) = exchange.done()?;
    let declined = answered.streams.get(image).is_some_and(|stream| stream.rejected);
    if !declined || answered.lives() {
        return None;
    }
    let means = format!(
        "{} asked for T.38 in {}, and {} answered the image stream with port 0 (message {answer}), which leaves no stream at all.",
        r.name(exchange.by),
        r.the(exchange.offer),
        r.sender(answer)
    );
    let later = scene.deals.iter().filter(|deal| deal.offer > answer).filter_map(Deal::done);
    let back = later.into_iter().any(|(_, _, answered)| answered.lives());
    let severity = if back { Severity::Warning } else { Severity::Error };
    Some(scene.weighed(severity, "F-MED5", r.by(answer), answer, &[exchange.offer], means))
}
