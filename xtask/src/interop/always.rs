//! What must hold in every call, whatever the ladder: numbering, identifiers, versions, directions.

use std::collections::{BTreeMap, BTreeSet};

use super::record::Seen;
use super::sip::Sip;

/// Every general rule midcall broke in this record, with so many record-routing proxies in between.
pub(crate) fn check(record: &[Seen], proxies: usize) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |seen: &Seen, why: String| faults.push(format!("{} {}: {why}", arrow(seen), seen.sip));
    let mut numbers: BTreeMap<(String, Option<String>), u32> = BTreeMap::new();
    let mut last_sdp: BTreeMap<String, &Sip> = BTreeMap::new();
    let mut lines_before: BTreeMap<String, usize> = BTreeMap::new();
    let mut ended: BTreeSet<(String, Option<String>)> = BTreeSet::new();
    for (index, seen) in record.iter().enumerate() {
        let sip = &seen.sip;
        let call = sip.call_id().to_string();
        if let Some(sdp) = sip.sdp() {
            let lines = lines_before.entry(call.clone()).or_default();
            if seen.from_midcall && sdp.media().len() < *lines {
                fault(seen, "fewer m= lines than before (RFC 3264 §8)".into());
            }
            // an offer that was refused adds nothing
            if sip.status().is_some_and(|s| s < 300) {
                *lines = sdp.media().len().max(*lines);
            }
        }
        if !seen.from_midcall {
            continue;
        }
        for why in form(sip) {
            fault(seen, why);
        }
        if let Some(method) = sip.request() {
            // a proxy makes CANCEL and the ACK of a refusal itself
            let hops = sip.all("Via").count();
            if hops != proxies + 1 && (proxies == 0 || !matches!(method, "ACK" | "CANCEL")) {
                fault(
                    seen,
                    format!(
                        "came over {} proxies, not {proxies} (route set, RFC 3261 §12.2.1.1)",
                        hops.saturating_sub(1)
                    ),
                );
            }
            let dialog = (call.clone(), sip.tag("To").map(Into::into));
            for why in request(sip, method, record.get(..index).unwrap_or_default()) {
                fault(seen, why);
            }
            if method != "ACK" && method != "CANCEL" {
                let own = numbers.get(&dialog).or_else(|| numbers.get(&(call.clone(), None))).copied();
                let (number, _) = sip.cseq();
                if own.is_some_and(|own| number != own + 1) {
                    fault(
                        seen,
                        format!("CSeq {number} after {} (RFC 3261 §12.2.1.1)", own.unwrap_or_default()),
                    );
                }
                numbers.insert(dialog.clone(), number);
            }
            if method == "BYE" && !ended.insert(dialog) && sip.header("Authorization").is_none() {
                let again =
                    record.iter().any(|s| !s.from_midcall && matches!(s.sip.status(), Some(401 | 407)));
                if !again {
                    fault(seen, "a second BYE".into());
                }
            }
        } else {
            for why in response(sip, record.get(..index).unwrap_or_default()) {
                fault(seen, why);
            }
        }
        if sip.sdp().is_some()
            && let Some(before) = last_sdp.insert(call, sip)
        {
            for why in versions(before, sip) {
                fault(seen, why);
            }
        }
    }
    faults
}

fn arrow(seen: &Seen) -> char {
    if seen.from_midcall { '>' } else { '<' }
}

fn form(sip: &Sip) -> Vec<String> {
    let mut faults = Vec::new();
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        if sip.header(name).is_none() {
            faults.push(format!("has no {name}"));
        }
    }
    if !sip.branch().starts_with("z9hG4bK") {
        faults.push(format!("branch {}", sip.branch()));
    }
    let stated = sip.header("Content-Length").and_then(|l| l.parse::<usize>().ok());
    if stated.is_some_and(|stated| stated != sip.body.len()) {
        faults.push(format!("Content-Length {stated:?} for {} bytes", sip.body.len()));
    }
    let refreshes = matches!(sip.method(), "INVITE" | "UPDATE");
    if refreshes && sip.status().is_none_or(|s| (200..300).contains(&s)) && sip.header("Contact").is_none() {
        faults.push("has no Contact".into());
    }
    faults
}

fn request(sip: &Sip, method: &str, before: &[Seen]) -> Vec<String> {
    let mut faults = Vec::new();
    let (number, named) = sip.cseq();
    if named != method {
        faults.push(format!("CSeq names {named}"));
    }
    if sip.header("Max-Forwards").is_none() {
        faults.push("has no Max-Forwards".into());
    }
    if sip.tag("From").is_none() {
        faults.push("From has no tag".into());
    }
    let own = before.iter().filter(|s| s.from_midcall && s.sip.call_id() == sip.call_id());
    let twin = own.clone().find(|s| s.sip.branch() == sip.branch() && s.sip.request() == Some("INVITE"));
    if method == "ACK" || method == "CANCEL" {
        let invites = own.clone().any(|s| s.sip.request() == Some("INVITE") && s.sip.cseq().0 == number);
        if !invites {
            faults.push(format!("no INVITE has CSeq {number}"));
        }
        let refused = before.iter().any(|s| {
            !s.from_midcall
                && s.sip.cseq() == (number, "INVITE")
                && s.sip.call_id() == sip.call_id()
                && s.sip.status().is_some_and(|status| status >= 300)
        });
        if (refused || method == "CANCEL") != twin.is_some() {
            faults.push("branch (same as the INVITE for CANCEL and a refusal, new for a 2xx; RFC 3261 §13.2.2.4, §17.1.1.3)".into());
        }
    } else if own.clone().any(|s| s.sip.request().is_some() && s.sip.branch() == sip.branch()) {
        faults.push("an old branch".into());
    }
    if method == "PRACK" {
        let rack = sip.header("RAck").unwrap_or_default();
        let known = before.iter().filter(|s| !s.from_midcall).any(|s| {
            let (number, method) = s.sip.cseq();
            s.sip.header("RSeq").is_some_and(|rseq| rack == format!("{rseq} {number} {method}"))
        });
        if !known {
            faults.push(format!("RAck {rack} names no reliable response (RFC 3262 §7.2)"));
        }
    }
    faults
}

fn response(sip: &Sip, before: &[Seen]) -> Vec<String> {
    let mut faults = Vec::new();
    let request = before
        .iter()
        .rev()
        .find(|s| !s.from_midcall && s.sip.request() == Some(sip.method()) && s.sip.branch() == sip.branch());
    let Some(request) = request.map(|s| &s.sip) else {
        return vec!["answers nothing".into()];
    };
    for name in ["From", "Call-ID", "CSeq"] {
        if request.header(name) != sip.header(name) {
            faults.push(format!("{name} is not that of the request"));
        }
    }
    let trying = sip.status() == Some(100);
    let tag = sip.tag("To");
    if !trying && tag.is_none() || request.tag("To").is_some_and(|asked| tag != Some(asked)) {
        faults.push(format!("To tag {tag:?}"));
    }
    let twin = before.iter().find(|s| {
        s.from_midcall
            && s.sip.request().is_none()
            && s.sip.branch() == sip.branch()
            && s.sip.status() > Some(100)
    });
    if let Some(twin) = twin.filter(|twin| twin.sip.tag("To") != tag && !trying) {
        let other = twin.sip.tag("To");
        faults.push(format!("To tag {tag:?}, but {other:?} before (RFC 3261 §8.2.6.2, for CANCEL §9.2)"));
    }
    if let (Some(offer), Some(answer)) = (request.sdp(), sip.sdp())
        && sip.status().is_some_and(|s| s < 300)
    {
        let (offer, answer) = (offer.media(), answer.media());
        if offer.len() != answer.len() {
            faults.push(format!("{} m= lines answer {} (RFC 3264 §6)", answer.len(), offer.len()));
        }
        for (offered, answered) in offer.iter().zip(&answer).filter(|(_, answered)| answered.port != 0) {
            let fits = match offered.direction {
                "sendonly" => matches!(answered.direction, "recvonly" | "inactive"),
                "recvonly" => matches!(answered.direction, "sendonly" | "inactive"),
                "inactive" => answered.direction == "inactive",
                _ => true,
            };
            if !fits || offered.port == 0 {
                faults.push(format!("{} answers {} (RFC 3264 §6.1)", answered.direction, offered.direction));
            }
        }
    }
    faults
}

fn versions(before: &Sip, sip: &Sip) -> Vec<String> {
    let (Some(old), Some(new)) = (before.sdp(), sip.sdp()) else { return Vec::new() };
    let (from, to) = (old.origin(), new.origin());
    if from.first() != to.first() || from.get(1) != to.get(1) {
        return vec!["o= names another session".into()];
    }
    let step = u128::from(old.rest() != new.rest());
    if new.version() == old.version() + step {
        return Vec::new();
    }
    let what = if step == 0 { "unchanged" } else { "changed" };
    vec![format!(
        "o= version {} after {} with the description {what} (RFC 3264 §8)",
        new.version(),
        old.version()
    )]
}
