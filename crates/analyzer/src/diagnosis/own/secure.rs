//! ICE, DTLS, SRTP, bundles and fax: what a later description must not lose.

use midcall_wire::sdp::{Media, Sdp};

use super::Scene;
use crate::diagnosis::exchange::{Exchange, before};
use crate::diagnosis::words::pairs;
use crate::model::Finding;

pub(super) fn look(scene: &Scene<'_, '_>, found: &mut Vec<Finding>) {
    for (index, exchange) in scene.exchanges.iter().enumerate() {
        if let Some(old) = before(scene.exchanges, index, exchange.by) {
            let new = (exchange.offer, &exchange.offered);
            found.extend(identity(scene, old, new));
            found.extend(downgrade(scene, old, new));
            found.extend(unbundled(scene, old, new));
        }
        found.extend(fax(scene, index, exchange));
        let Some((_, answer, answered)) = exchange.done() else { continue };
        if let Some(old) = before(scene.exchanges, index, exchange.by.other()) {
            found.extend(identity(scene, old, (answer, answered)));
            if let Some(mine) = before(scene.exchanges, index, exchange.by) {
                found.extend(restart_ignored(scene, mine.1, exchange, old, (answer, answered)));
            }
        }
    }
}

/// What both descriptions of a stream in use have.
fn streams<'a>(old: &'a Sdp, new: &'a Sdp) -> impl Iterator<Item = (Media<'a>, Media<'a>)> {
    pairs(old, new).filter(|(was, is)| !was.rejected() && !is.rejected() && was.kind() == is.kind())
}

fn changed(was: &Media<'_>, is: &Media<'_>, name: &str) -> bool {
    was.inherited(name) != is.inherited(name)
}

/// F-MED2: new credentials in the offer, those of before in the answer.
fn restart_ignored(
    scene: &Scene<'_, '_>,
    mine: &Sdp,
    exchange: &Exchange,
    old: (u32, &Sdp),
    answer: (u32, &Sdp),
) -> Option<Finding> {
    let restarted = streams(mine, &exchange.offered).position(|(was, is)| {
        is.inherited("ice-ufrag").is_some()
            && changed(&was, &is, "ice-ufrag")
            && changed(&was, &is, "ice-pwd")
    })?;
    let (was, is) = streams(old.1, answer.1).nth(restarted)?;
    let kept = is.inherited("ice-ufrag").is_some() && !changed(&was, &is, "ice-ufrag");
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
        is.inherited("ice-ufrag").unwrap_or_default()
    );
    Some(scene.found("F-MED2", r.by(answer.0), answer.0, &[exchange.offer, old.0], means))
}

/// F-MED3: a fingerprint that moved without what announces a new association.
fn identity(scene: &Scene<'_, '_>, old: (u32, &Sdp), new: (u32, &Sdp)) -> Option<Finding> {
    let (was, is) = streams(old.1, new.1).find(|(was, is)| {
        let both = was.inherited("fingerprint").is_some() && is.inherited("fingerprint").is_some();
        both && changed(was, is, "fingerprint")
            && !changed(was, is, "tls-id")
            && !changed(was, is, "ice-ufrag")
    })?;
    // Without tls-id and ICE, another address announces it as well.
    let moved = was.connection() != is.connection() || was.port() != is.port();
    if moved && is.inherited("tls-id").is_none() && is.inherited("ice-ufrag").is_none() {
        return None;
    }
    let r = scene.reading;
    let means = format!(
        "{}'s {} at {} (message {}) has another fingerprint for {} than {}, with the same tls-id and ICE credentials.",
        r.sender(new.0),
        r.label(new.0),
        r.time(new.0),
        new.0,
        is.kind(),
        r.the(old.0)
    );
    Some(scene.found("F-MED3", r.by(new.0), new.0, &[old.0], means))
}

/// F-MED4.
fn downgrade(scene: &Scene<'_, '_>, old: (u32, &Sdp), new: (u32, &Sdp)) -> Option<Finding> {
    let keyed =
        |media: &Media<'_>| media.crypto().next().is_some() || media.inherited("fingerprint").is_some();
    let (was, is) = streams(old.1, new.1).find(|(was, is)| {
        let secure = was.protocol().contains("SAVP");
        secure && keyed(was) && (!is.protocol().contains("SAVP") || !keyed(is))
    })?;
    if scene.has("OA-54", new.0) {
        return None;
    }
    let r = scene.reading;
    let lost = match is.protocol().contains("SAVP") {
        true => "without a key".to_owned(),
        false => format!("as {}", is.protocol()),
    };
    let means = format!(
        "{} was encrypted ({} in {}), and {}'s {} at {} (message {}) offers it {lost}.",
        super::super::read::capital(is.kind()),
        was.protocol(),
        r.the(old.0),
        r.sender(new.0),
        r.label(new.0),
        r.time(new.0),
        new.0
    );
    Some(scene.found("F-MED4", r.by(new.0), new.0, &[old.0], means))
}

/// F-MED6.
fn unbundled(scene: &Scene<'_, '_>, old: (u32, &Sdp), new: (u32, &Sdp)) -> Option<Finding> {
    let bundle =
        |sdp: &Sdp| sdp.groups().any(|group| group.semantics == "BUNDLE" && group.mids().count() > 0);
    let lost =
        if bundle(old.1) && !bundle(new.1) && new.1.media().filter(|media| !media.rejected()).count() > 1 {
            "a=group:BUNDLE"
        } else if streams(old.1, new.1)
            .any(|(was, is)| was.has_attribute("rtcp-mux") && !is.has_attribute("rtcp-mux"))
        {
            "a=rtcp-mux"
        } else {
            return None;
        };
    // What the other side did not take is no loss.
    let taken = scene.exchanges.iter().any(|exchange| {
        exchange.offer == old.0
            && exchange.done().is_some_and(|(_, _, answered)| match lost {
                "a=rtcp-mux" => answered.media().any(|media| media.has_attribute("rtcp-mux")),
                _ => bundle(answered),
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
fn fax(scene: &Scene<'_, '_>, index: usize, exchange: &Exchange) -> Option<Finding> {
    let image = exchange.offered.media().position(|media| media.kind() == "image" && !media.rejected())?;
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
    let declined = answered.media_at(image).is_some_and(|media| media.rejected());
    let silent = answered.media().all(|media| media.rejected());
    if !declined || !silent {
        return None;
    }
    let means = format!(
        "{} asked for T.38 in {}, and {} answered the image stream with port 0 (message {answer}), which leaves no stream at all.",
        r.name(exchange.by),
        r.the(exchange.offer),
        r.sender(answer)
    );
    Some(scene.found("F-MED5", r.by(answer), answer, &[exchange.offer], means))
}
