//! What a finding means in its call: sentences with the names, times and values of that call.
//!
//! Each family of rules has a file; a rule without a sentence of its own gets the rule's own words and quotes of the
//! messages that it rests on.

mod cf;
mod dlg;
mod er;
mod gl;
mod oa;
mod pr;
mod rf;
mod ri;
mod sdp;
mod st;
mod tx;
mod up;

use std::fmt::Display;

use midcall_proto::observer::{Certainty, Party};
use midcall_proto::rules::Rule;
use midcall_wire::Name;

use super::marks::Worded;
use super::read::{Reading, capital};
use crate::model::Finding;

/// What a finding is called, what it means and how it is cured; what is not set is said in the words of the rule.
#[derive(Default)]
pub(super) struct Words {
    pub(super) title: Option<String>,
    pub(super) means: String,
    pub(super) fix: Option<String>,
}

impl Words {
    /// Only the meaning differs from call to call.
    pub(super) fn of(means: impl Into<String>) -> Self {
        Self { means: means.into(), ..Self::default() }
    }

    /// With a title that says what happened rather than what is demanded.
    pub(super) fn title(mut self, title: &str) -> Self {
        self.title = Some(title.to_owned());
        self
    }

    /// With a cure of its own.
    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

/// Puts title, meaning and cure of a finding into the words of its call.
pub(super) fn tell(reading: &Reading<'_>, finding: &mut Finding) {
    // What was found with its words already says more than a rule can.
    if finding.worded == Worded::ByRule {
        let words = of_family(reading, finding).unwrap_or_else(|| quotes(reading, finding));
        if let Some(title) = words.title.or_else(|| happened(finding.code)) {
            finding.title = title;
        }
        finding.means = words.means;
        finding.fix = words.fix.unwrap_or_else(|| addressed(reading, finding));
    }
    match finding.certainty {
        Certainty::Certain => {}
        Certainty::Crossed if finding.joined.is_some() => {} // it says so itself
        Certainty::Crossed => finding.means.push_str(CROSSED),
        Certainty::CaptureGap => finding.means.push_str(GAP),
    }
}

fn of_family(reading: &Reading<'_>, finding: &Finding) -> Option<Words> {
    match finding.code.split_once('-')?.0 {
        "DLG" => dlg::words(reading, finding),
        "TX" => tx::words(reading, finding),
        "OA" => oa::words(reading, finding).or_else(|| sdp::words(reading, finding)),
        "RI" | "RC" => ri::words(reading, finding),
        "UP" => up::words(reading, finding),
        "GL" => gl::words(reading, finding),
        "PR" => pr::words(reading, finding),
        "ST" => st::words(reading, finding),
        "RF" => rf::words(reading, finding),
        "ER" | "SEC" => er::words(reading, finding),
        "CF" => cf::words(reading, finding),
        _ => None,
    }
}

/// A title that says what happened, for rules whose own title says what is demanded.
fn happened(code: &str) -> Option<String> {
    TITLES.iter().find(|(rule, _)| *rule == code).map(|(_, title)| (*title).to_owned())
}

const TITLES: &[(&str, &str)] = &[
    ("DLG-06", "Record-Route was not copied"),
    ("DLG-07", "Route in the wrong order"),
    ("DLG-08", "ACK to an outdated Contact"),
    ("DLG-09", "Route was left out"),
    ("DLG-17", "Request to a Contact that had been refused"),
    ("DLG-19", "Request to the old Contact after a confirmed move"),
    ("DLG-31", "Method that the peer's last Allow lacks"),
    ("TX-03", "ACK with another branch than its INVITE"),
    ("TX-09", "ACK not built from the dialog"),
    ("TX-17", "408 to a non-INVITE request"),
    ("TX-22", "CANCEL was refused"),
    ("OA-09", "Another description in a late response"),
    ("OA-31", "Version of a refused offer used again"),
    ("OA-33", "o= number too long"),
    ("PR-03", "100 sent as if it were reliable"),
    ("ER-06", "421 without saying what it needs"),
    ("RF-01", "REFER without exactly one Refer-To and Contact"),
    ("RF-07", "NOTIFY of a second transfer without id"),
    ("RF-12", "REFER within a call whose peer has a GRUU"),
    ("RF-22", "Replaces is not escaped"),
    ("UP-01", "ACK for an UPDATE"),
];

/// For a rule without a sentence of its own: its own words behind a quote of what was sent. Who did wrong need not have
/// sent it: it may be what that side left without an answer.
fn quotes(reading: &Reading<'_>, finding: &Finding) -> Words {
    let what = match (finding.by, reading.by(finding.at)) {
        (Party::Network, _) | (_, Party::Network) => format!("This concerns {}", reading.the(finding.at)),
        _ => format!("{} sent {}", reading.sender(finding.at), reading.a(finding.at)),
    };
    let because = match finding.because.as_slice() {
        [] => String::new(),
        [one] => format!(", after {}", reading.the(*one)),
        several => format!(", after {}", reading.list(several)),
    };
    let means = Rule::by_code(finding.code).map_or("", |rule| rule.means);
    Words::of(format!("{what}{because}. {means}"))
}

/// The cure of the rule, each part addressed to whoever has to change something.
fn addressed(reading: &Reading<'_>, finding: &Finding) -> String {
    let Some(rule) = Rule::by_code(finding.code) else { return finding.fix.clone() };
    let request = reading.get(finding.at).is_some_and(|message| message.is_request());
    let sender = match reading.by(finding.at) {
        Party::Network => finding.by,
        sender => sender,
    };
    // Whether whoever did it asked, and did not answer.
    let asked = request == (sender == finding.by);
    let mut parts: Vec<(Party, String)> = Vec::new();
    for sentence in rule.fix.split_inclusive(". ").map(str::trim) {
        let (role, advice) = match sentence.split_once(": ") {
            Some((role, advice)) if ROLES.contains(&role) => (role, advice),
            _ => ("", sentence),
        };
        let own = match role {
            "Caller" => finding.by == Party::Caller,
            "Callee" => finding.by == Party::Callee,
            "Sender" | "UAC" => asked,
            "Receiver" | "UAS" => !asked,
            _ => true,
        };
        let party = if own { finding.by } else { finding.by.other() };
        let advice = without_asides(advice);
        match parts.iter_mut().find(|(known, _)| *known == party) {
            Some((_, known)) => {
                known.push(' ');
                known.push_str(&capital(&advice));
            }
            None => parts.push((party, advice)),
        }
    }
    parts.sort_by_key(|(party, _)| *party != finding.by);
    let parts: Vec<_> = parts.iter().map(|(party, advice)| advise(reading, *party, advice)).collect();
    parts.join(" ")
}

/// Who a part of a cure is for, where it says so.
const ROLES: [&str; 6] = ["Caller", "Callee", "Sender", "Receiver", "UAC", "UAS"];

/// A sentence without what it says, behind a semicolon, to the other side.
fn without_asides(sentence: &str) -> String {
    const ASIDES: [&str; 8] = [
        "; as ",
        "; treat its absence",
        "; take their absence",
        "; accept a missing",
        "; without a grant",
        "; ignore it on receipt",
        "; whoever wants",
        "; refuse shorter than",
    ];
    let end = ASIDES.iter().filter_map(|aside| sentence.find(aside)).min();
    match end.and_then(|end| sentence.get(..end)) {
        Some(kept) => format!("{kept}."),
        None => sentence.to_owned(),
    }
}

/// Advice with the name and product of whom it is for in front.
pub(crate) fn advise(reading: &Reading<'_>, by: Party, fix: &str) -> String {
    match by {
        Party::Network => fix.to_owned(),
        by => advise_one(reading.product(by), fix),
    }
}

/// Advice for somebody.
pub(crate) fn advise_one(whom: impl Display, fix: &str) -> String {
    format!("{whom}: {}", lower(fix))
}

/// A sentence that goes on behind a colon: without its capital, unless that belongs to an abbreviation.
fn lower(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

/// The first message that a finding rests on.
fn first(finding: &Finding) -> Option<u32> {
    finding.because.first().copied()
}

/// The second.
fn second(finding: &Finding) -> Option<u32> {
    finding.because.get(1).copied()
}

/// Both parties by name: who did it, and the other. Who did it need not have sent the message that the finding is at: of that
/// [`Reading::sender`] tells.
fn both(reading: &Reading<'_>, finding: &Finding) -> (String, String) {
    (reading.name(finding.by), reading.name(finding.by.other()))
}

/// What a list header of a message leaves out: the last Allow of a party, quoted.
fn last_allow(reading: &Reading<'_>, finding: &Finding) -> String {
    let peer = finding.by.other();
    match reading.last_with(finding.at, peer, Name::Allow) {
        Some(n) => format!(
            "whose last Allow (message {n}) reads \"{}\"",
            reading.header(n, Name::Allow).unwrap_or_default()
        ),
        None => "who never sent an Allow".to_owned(),
    }
}

const CROSSED: &str = " The messages may have crossed on their way, so this need not be a fault.";
const GAP: &str = " The trace seems to lack messages, and one of them could explain it.";
