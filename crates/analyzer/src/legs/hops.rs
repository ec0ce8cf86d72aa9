//! One message at several hops: what a proxy did to the session timer (RFC 4028 §8).

use std::cmp::Ordering;
use std::collections::HashMap;

use midcall_proto::observer::{Kind, Party, Repeat};
use midcall_proto::rules::{RuleId, Severity};
use midcall_wire::{Message as Sip, Method, Name, Refresher};

use crate::model::{Call, Finding, Message};

/// What changed between two hops and should not have.
pub(super) fn find(call: &Call) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let hop = |message: &&Message| matches!(message.kind, Kind::Again { how: Repeat::Hop, .. });
    if !call.messages.iter().any(|message| hop(&message)) {
        return found;
    }
    // The newest copy of each message.
    let mut last: HashMap<u32, u32> = HashMap::new();
    for message in call.messages.iter().filter(hop) {
        let Kind::Again { of, .. } = message.kind else { continue };
        // Of three hops each is compared with the one before it.
        let before = last.insert(of, message.n).unwrap_or(of);
        let (Some(here), Some(first)) = (read(message), call.message(before).and_then(read)) else {
            continue;
        };
        if here.method() != Method::Invite && here.method() != Method::Update {
            continue;
        }
        let Some((rule, what)) = changed(&first, &here) else { continue };
        if found.iter().any(|finding| finding.at == message.n) {
            continue;
        }
        let mut finding = super::finding(rule, &what);
        (finding.at, finding.because, finding.by) = (message.n, vec![before], Party::Network);
        let vias = |sip: &Sip<&[u8]>| sip.values(Name::Via).count();
        if vias(&first) == vias(&here) {
            // Without a Via of its own behind the others it may be a B2BUA, which ends the timer on each side.
            finding.severity = finding.severity.min(Severity::Warning);
        }
        found.push(finding);
    }
    found
}

fn read(message: &Message) -> Option<Sip<&[u8]>> {
    Sip::parse_partial(message.raw.as_ref()).ok()
}

/// The rule and what an element between the two did that is not its business. The copy with more Via values is further down for a request.
fn changed(first: &Sip<&[u8]>, here: &Sip<&[u8]>) -> Option<(RuleId, String)> {
    let vias = |sip: &Sip<&[u8]>| sip.values(Name::Via).count();
    let request = first.is_request();
    // A request collects Via values on its way, a response loses them.
    let (up, down) = match vias(first).cmp(&vias(here)) {
        Ordering::Equal => (first, here),
        order => {
            if (order == Ordering::Less) == request {
                (first, here)
            } else {
                (here, first)
            }
        }
    };
    let expires =
        |sip: &Sip<&[u8]>| sip.session_expires().and_then(Result::ok).map(|one| (one.seconds, one.refresher));
    let least = |sip: &Sip<&[u8]>| sip.min_se().and_then(Result::ok);
    let timed = up.has_option(Name::Supported, "timer");
    if !request {
        let rule = RuleId::ProxyTimerResponse;
        return match (expires(up), expires(down)) {
            (Some(was), Some(is)) if was != is => Some((
                rule,
                format!(
                    "Session-Expires of the response was {} and became {} on the way.",
                    say(was),
                    say(is)
                ),
            )),
            (Some(was), None) => Some((
                rule,
                format!(
                    "Session-Expires of the response, {}, got lost on the way: one side counts, the other does not.",
                    say(was)
                ),
            )),
            _ => None,
        };
    }
    let rule = RuleId::ProxyChangedTimer;
    let refresher = |sip: &Sip<&[u8]>| expires(sip).and_then(|(_, refresher)| refresher);
    if expires(down).is_some() && refresher(up) != refresher(down) {
        return Some((
            rule,
            "Something on the way set or changed who refreshes; that is for the two ends.".to_owned(),
        ));
    }
    let means = match (expires(up), expires(down)) {
        (Some((was, _)), Some((is, _))) if is > was && was >= least(up).unwrap_or(90) => {
            format!(
                "Session-Expires was raised on the way, from {was} to {is}, though {was} was not too small."
            )
        }
        (Some((was, _)), None) => format!("Session-Expires of the request, {was}, got lost on the way."),
        _ => match (least(up), least(down)) {
            (Some(was), Some(is)) if is < was => {
                format!("Min-SE was lowered on the way, from {was} to {is}.")
            }
            (was, is) if was != is && timed => {
                "Something on the way changed Min-SE although the request supports timers itself.".to_owned()
            }
            _ => return None,
        },
    };
    Some((rule, means))
}

fn say((seconds, refresher): (u32, Option<Refresher>)) -> String {
    match refresher {
        Some(Refresher::Uac) => format!("{seconds};refresher=uac"),
        Some(Refresher::Uas) => format!("{seconds};refresher=uas"),
        None => seconds.to_string(),
    }
}
