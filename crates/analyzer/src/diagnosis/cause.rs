//! One cause, one finding: what several rules say of one mistake, what recurs, and what only followed.

use midcall_proto::observer::{Certainty, Kind, Party, Repeat};
use midcall_wire::{Message, Method};

use super::read::{Reading, seconds};
use crate::model::{Consequence, Finding};

/// Puts each finding that another one explains under that one, and orders the rest: the worst first.
pub(super) fn sort(reading: &Reading<'_>, mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| (finding.at, rank(finding.code), std::cmp::Reverse(finding.severity)));
    one_glare(&mut findings);
    let findings = fold(findings, one_breach);
    let findings = recurring(reading, findings);
    let mut findings = fold(findings, |cause, effect| followed(reading, cause, effect));
    for finding in &mut findings {
        aftermath(reading, finding);
        finding.consequences.sort_by_key(|consequence| consequence.at);
        finding.consequences.truncate(MOST);
    }
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then(a.at.cmp(&b.at)));
    findings
}

/// Two changes that met and were sorted out are told once: as that where they may have crossed, else as what one side should
/// not have sent.
fn one_glare(findings: &mut Vec<Finding>) {
    let Some(glare) = findings.iter().find(|finding| finding.code == "F-GLR1") else { return };
    let met = [&[glare.at], glare.because.as_slice()].concat();
    let blames = |finding: &Finding| finding.code == "RI-01" && met.contains(&finding.at);
    if findings.iter().any(|finding| blames(finding) && finding.certainty == Certainty::Certain) {
        findings.retain(|finding| finding.code != "F-GLR1");
    } else {
        findings.retain(|finding| !blames(finding));
    }
}

/// Rules that say the same of one message, the one that says it best first.
const SAME: &[(&str, &[&str])] = &[
    ("RI-03", &["RI-01", "OA-01", "UP-09"]),
    ("RI-01", &["OA-01"]),
    ("RI-02", &["OA-01", "RI-01"]),
    ("UP-05", &["OA-01", "UP-09"]),
    ("UP-06", &["OA-01", "UP-09"]),
    ("UP-07", &["OA-01", "UP-09"]),
    ("UP-08", &["OA-01", "UP-09"]),
    ("UP-09", &["OA-01"]),
    ("UP-12", &["UP-14"]),
    ("RI-07", &["UP-13", "RI-06"]),
    ("RC-05", &["UP-13"]),
    ("RC-12", &["UP-13"]),
    ("UP-02", &["DLG-31"]),
    ("OA-02", &["RI-17"]),
    ("OA-07", &["RI-19", "OA-13"]),
    ("OA-17", &["OA-18", "OA-19", "OA-25", "OA-45", "OA-55"]),
    ("OA-18", &["OA-19", "OA-45", "OA-27", "OA-55"]),
    ("OA-19", &["OA-27", "OA-55", "OA-57"]),
    ("OA-25", &["OA-57", "OA-47"]),
    ("OA-04", &["OA-29", "OA-30", "OA-27"]),
    ("OA-23", &["OA-35"]),
    ("OA-46", &["OA-29", "OA-30"]),
    ("OA-31", &["OA-29", "OA-30"]),
    ("ST-21", &["OA-31", "ST-19"]),
    ("ST-07", &["ST-08", "ST-19", "ST-04"]),
    ("ST-08", &["ST-19"]),
    ("ST-03", &["ST-09"]),
    ("ST-29", &["ST-11", "ST-10"]),
    ("ST-18", &["ST-01", "ST-30"]),
    ("DLG-08", &["TX-09"]),
    ("DLG-07", &["TX-09"]),
    ("DLG-09", &["TX-09"]),
    ("DLG-17", &["TX-09"]),
    ("DLG-34", &["TX-29"]),
    ("PR-01", &["PR-05", "PR-14"]),
    ("RF-08", &["RF-37"]),
    ("RF-06", &["RF-09"]),
    ("ER-04", &["F-CAP5"]),
    ("ER-05", &["F-CAP2", "UP-19"]),
    ("TX-17", &["ER-01"]),
    ("TX-16", &["UP-18"]),
    ("TX-31", &["F-SDP15", "OA-57", "OA-47", "OA-17", "OA-18"]),
    ("F-SDP14", &["OA-20"]),
];

/// Mistakes that leave an exchange open, and what then looks wrong although it is not.
const LEAVES_OPEN: [&str; 8] = ["OA-02", "OA-03", "OA-06", "OA-07", "OA-08", "OA-09", "OA-04", "OA-50"];
const NEEDS_CLOSED: [&str; 10] =
    ["OA-01", "UP-05", "UP-06", "UP-07", "UP-08", "UP-09", "UP-13", "UP-14", "RI-02", "OA-10"];

/// Mistakes after which nobody knows who refreshes, and what comes of that.
const TIMER_UNCLEAR: [&str; 7] = ["ST-05", "ST-10", "ST-11", "ST-18", "ST-29", "ST-01", "ST-09"];
const TIMER_RAN_OUT: [&str; 4] = ["ST-12", "ST-15", "ST-16", "ST-17"];

/// An ACK or a route that is wrong, and what comes of an ACK that does not arrive.
const ACK_ASTRAY: [&str; 8] = ["DLG-06", "DLG-07", "DLG-08", "DLG-09", "TX-03", "TX-09", "DLG-22", "F-DLG3"];
const ACK_MISSED: [&str; 5] = ["TX-07", "TX-08", "TX-13", "DLG-28", "DLG-15"];

/// What may be said of a side that goes on after the other hung up for a reason told already.
const AFTER_THE_END: [&str; 8] = ["DLG-32", "DLG-24", "DLG-01", "DLG-30", "ER-01", "RI-14", "RI-16", "TX-15"];

/// The rules of [`SAME`] come before those that they cover.
fn rank(code: &str) -> usize {
    SAME.iter().position(|(cause, _)| *cause == code).unwrap_or(SAME.len())
}

/// Whether two findings are of one message and one mistake.
fn one_breach(cause: &Finding, effect: &Finding) -> bool {
    let covered = || SAME.iter().any(|(code, covered)| *code == cause.code && covered.contains(&effect.code));
    cause.at == effect.at && (cause.code == effect.code || cause.by == effect.by && covered())
}

/// Whether a finding came of an earlier one.
fn followed(reading: &Reading<'_>, cause: &Finding, effect: &Finding) -> bool {
    let has = |set: &[&str], finding: &Finding| set.contains(&finding.code);
    let rests_on = |n: u32| effect.because.contains(&n);
    if has(&LEAVES_OPEN, cause) && has(&NEEDS_CLOSED, effect) && cause.at < effect.at {
        return rests_on(cause.at) || cause.because.iter().any(|n| rests_on(*n));
    }
    if has(&TIMER_UNCLEAR, cause) && has(&TIMER_RAN_OUT, effect) {
        return cause.at <= effect.at || rests_on(cause.at);
    }
    if cause.code == "ST-15" && effect.code == "ST-16" {
        return true;
    }
    if has(&ACK_ASTRAY, cause) && has(&ACK_MISSED, effect) {
        // The 2xx that is missed in vain is that of the ACK, or of the request with the wrong route.
        return reading.cseq(cause.at) == reading.cseq(effect.at) || cause.because.contains(&effect.at);
    }
    // Who never got a response cannot acknowledge it; and who gets no ACK ends the call.
    if cause.code == "TX-30" && (has(&ACK_MISSED, effect) || effect.code == "PR-05") {
        return cause.at == effect.at;
    }
    if (cause.code == "TX-30" || has(&ACK_MISSED, cause)) && effect.code == "DLG-26" {
        return rests_on(cause.at);
    }
    let ended = has(&ACK_MISSED, cause) || has(&TIMER_RAN_OUT, cause);
    if ended && has(&AFTER_THE_END, effect) && cause.at < effect.at {
        return bye_after(reading, cause.at).is_some_and(|bye| bye <= effect.at || rests_on(bye));
    }
    false
}

/// Moves each finding under the first one that explains it. A mere possibility explains no certain breach.
fn fold(findings: Vec<Finding>, explains: impl Fn(&Finding, &Finding) -> bool) -> Vec<Finding> {
    let mut kept: Vec<Finding> = Vec::new();
    for finding in findings {
        let cause = kept.iter_mut().find(|cause| firm(cause, &finding) && explains(cause, &finding));
        match cause {
            Some(cause) => under(cause, finding),
            None => {
                // What is found late may explain what was found before.
                let (moved, rest): (Vec<_>, Vec<_>) =
                    kept.into_iter().partition(|effect| firm(&finding, effect) && explains(&finding, effect));
                let mut finding = finding;
                for effect in moved {
                    under(&mut finding, effect);
                }
                kept = rest;
                kept.push(finding);
            }
        }
    }
    kept
}

fn firm(cause: &Finding, effect: &Finding) -> bool {
    cause.certainty <= effect.certainty || cause.severity >= effect.severity
}

fn under(cause: &mut Finding, effect: Finding) {
    cause.severity = cause.severity.max(effect.severity);
    if cause.code != effect.code {
        let what = match cause.at == effect.at && cause.by == effect.by {
            true => format!("the same by another rule: {}", effect.title),
            false => effect.title,
        };
        cause.consequences.push(Consequence { at: effect.at, what, code: Some(effect.code) });
    }
    cause.consequences.extend(effect.consequences);
}

/// The same mistake of the same side, again and again, is one finding with a count.
fn recurring(reading: &Reading<'_>, findings: Vec<Finding>) -> Vec<Finding> {
    let mut kept: Vec<Finding> = Vec::new();
    let mut again: Vec<Vec<u32>> = Vec::new();
    for finding in findings {
        let known = kept.iter().position(|known| {
            (known.code, known.by, known.certainty, known.severity)
                == (finding.code, finding.by, finding.certainty, finding.severity)
        });
        match known {
            Some(index) => {
                if let (Some(known), Some(numbers)) = (kept.get_mut(index), again.get_mut(index)) {
                    numbers.push(finding.at);
                    let (at, code) = (finding.at, Some(finding.code));
                    let what = format!("the same again in {}", reading.the(at));
                    known.consequences.push(Consequence { at, what, code });
                    known.consequences.extend(finding.consequences);
                }
            }
            None => {
                kept.push(finding);
                again.push(Vec::new());
            }
        }
    }
    for (finding, numbers) in kept.iter_mut().zip(again).filter(|(_, numbers)| !numbers.is_empty()) {
        let count = numbers.len();
        let shown = numbers.get(..count.min(8)).unwrap_or(&numbers);
        let more = if shown.len() < count { " and more" } else { "" };
        finding.means.push_str(&format!(
            " The same happened {} ({}{more}).",
            if count == 1 { "once more".to_owned() } else { format!("{count} more times") },
            reading.list(shown)
        ));
    }
    kept
}

/// What followed though it breaks no rule: a refusal, resends, the end.
fn aftermath(reading: &Reading<'_>, finding: &mut Finding) {
    if finding.code.starts_with("F-") {
        return; // they tell what came of it themselves
    }
    let at = finding.at;
    let request = reading.get(at).is_some_and(Message::is_request);
    if let Some(refusal) = reading.final_of(at).filter(|n| request && reading.status(*n) >= 300)
        && !finding.because.contains(&refusal)
    {
        let what = format!("{} refused it with {}", reading.sender(refusal), reading.status(refusal));
        finding.consequences.push(Consequence { at: refusal, what, code: None });
    }
    // An ACK that does not do its work lets the response go on.
    let resent = match reading.get(at).map(Message::method) {
        Some(Method::Ack) => finding
            .because
            .iter()
            .copied()
            .find(|n| reading.status(*n) >= 200)
            .or_else(|| acknowledged(reading, at)),
        _ => Some(at),
    };
    if let Some((first, count)) = resent.and_then(|n| copies_after(reading, n, at)) {
        let what = match count {
            1 => format!("the {} was sent again", reading.label(first)),
            count => format!("the {} was sent again, {count} times", reading.label(first)),
        };
        finding.consequences.push(Consequence { at: first, what, code: None });
    }
    if ACK_MISSED.contains(&finding.code) || TIMER_RAN_OUT.contains(&finding.code) {
        let other = |bye: &u32| reading.by(*bye) == finding.by.other() || finding.by == Party::Network;
        if let Some(bye) = bye_after(reading, at).filter(other) {
            let what = format!("{} hung up after {}", reading.sender(bye), seconds(reading.between(at, bye)));
            if !finding.consequences.iter().any(|known| known.at == bye) && !finding.because.contains(&bye) {
                finding.consequences.push(Consequence { at: bye, what, code: None });
            }
        }
    }
}

/// The final response that an ACK acknowledges.
fn acknowledged(reading: &Reading<'_>, ack: u32) -> Option<u32> {
    let cseq = reading.cseq(ack);
    reading.last_before(ack, |_, message| {
        message.status().is_some_and(|status| status >= 200)
            && message.cseq().is_ok_and(|own| own.number == cseq && own.method == Method::Invite)
    })
}

/// The resends of a message that came after another: the first of them and how many.
fn copies_after(reading: &Reading<'_>, of: u32, after: u32) -> Option<(u32, usize)> {
    let copies: Vec<_> = reading
        .call
        .messages
        .iter()
        .filter(|message| message.n > after)
        .filter(
            |message| matches!(message.kind, Kind::Again { of: first, how: Repeat::Resent } if first == of),
        )
        .map(|message| message.n)
        .collect();
    Some((*copies.first()?, copies.len()))
}

fn bye_after(reading: &Reading<'_>, n: u32) -> Option<u32> {
    reading.next_after(n, |_, message| message.is_request() && message.method() == Method::Bye)
}

/// The most consequences that are listed under one finding.
const MOST: usize = 20;
