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

use midcall_proto::observer::{Certainty, Party};
use midcall_proto::rules::Rule;
use midcall_wire::Name;

pub(super) use self::sdp::pairs;
use super::read::Reading;
use super::table;
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
    let words = of_family(reading, finding).unwrap_or_else(|| quotes(reading, finding));
    if let Some(title) = words.title {
        finding.title = title;
    }
    if !words.means.is_empty() {
        finding.means = words.means;
    }
    finding.fix = words.fix.unwrap_or_else(|| addressed(reading, finding));
    match finding.certainty {
        Certainty::Certain => {}
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

/// For a rule without a sentence of its own: its own words behind a quote of what was sent.
fn quotes(reading: &Reading<'_>, finding: &Finding) -> Words {
    if finding.code.starts_with("F-") {
        return Words::default(); // worded where it was found
    }
    let what = match finding.by {
        Party::Network => format!("This concerns {}", reading.the(finding.at)),
        by => format!("{} sent {}", reading.name(by), reading.a(finding.at)),
    };
    let because = match finding.because.as_slice() {
        [] => String::new(),
        [one] => format!(", after {}", reading.the(*one)),
        several => format!(", after {}", reading.list(several)),
    };
    let means = Rule::by_code(finding.code).map_or("", |rule| rule.means);
    Words::of(format!("{what}{because}. {means}"))
}

/// The cure of the rule, addressed to whoever has to change something.
fn addressed(reading: &Reading<'_>, finding: &Finding) -> String {
    let fix = match Rule::by_code(finding.code) {
        Some(rule) => rule.fix,
        None if finding.fix.is_empty() => table::by_id(finding.code).map_or("", |diagnosis| diagnosis.fix),
        None => return finding.fix.clone(),
    };
    advise(reading, finding.by, fix)
}

/// Advice with the name and product of whom it is for in front.
pub(super) fn advise(reading: &Reading<'_>, by: Party, fix: &str) -> String {
    match by {
        Party::Network => fix.to_owned(),
        by => format!("{}: {}", reading.product(by), lower(fix)),
    }
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

/// Both parties by name: who did it, and the other.
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
