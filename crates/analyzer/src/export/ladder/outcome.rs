//! The whole of a ladder: what it is about, what stands before its lines, and what must come of them.

use std::fmt::Write as _;

use midcall_proto::observer::{Certainty, Party};
use midcall_proto::rules::{Rule, Severity};

use super::Writer;
use crate::export::names::letter;
use crate::model::Finding;

impl Writer<'_> {
    pub(super) fn finish(self, finding: Option<&Finding>) -> String {
        let mut wanted: Vec<&Finding> =
            self.call.findings.iter().filter(|own| own.severity > Severity::Info).collect();
        if let Some(finding) = finding {
            wanted.retain(|own| own == &finding);
            if wanted.is_empty() {
                wanted.push(finding);
            }
        }
        let (rules, others): (Vec<&Finding>, Vec<&Finding>) =
            wanted.into_iter().partition(|own| Rule::by_code(own.code).is_some());
        let mut out = String::new();
        for finding in rules.iter().chain(&others) {
            let cites: Vec<String> =
                finding.cites.iter().map(|cite| format!("RFC {} §{}", cite.rfc, cite.section)).collect();
            let _ = writeln!(out, "# {} {}. {}", finding.code, finding.title, cites.join(", "));
        }
        let short = self.short(&rules);
        if short || self.joined {
            out.push_str("start call\n");
        }
        for (party, abilities) in &self.abilities {
            if !abilities.settings.is_empty() {
                let _ = writeln!(out, "config {} {}", letter(*party), abilities.settings.join(" "));
            }
        }
        for (name, lines) in &self.descriptions.bodies {
            let _ = writeln!(out, "sdp {name}");
            for line in lines {
                let _ = writeln!(out, "  {line}");
            }
        }
        let gone = if short { START.len() } else { 0 };
        for line in self.told.iter().skip(gone) {
            let _ = writeln!(out, "{}", moved(line, gone));
        }
        self.never_acknowledged(&mut out, &rules, gone);
        self.expectations(&mut out, &rules, finding.is_some(), gone);
        out
    }

    /// The ACK that never came: a scripted party sends it by itself, unless it has a line.
    fn never_acknowledged(&self, out: &mut String, rules: &[&Finding], gone: usize) {
        for finding in rules.iter().filter(|finding| finding.code == "TX-13") {
            let Some(position) = self.position(finding.at) else { continue };
            let Some(line) = self.lines.get(position) else { continue };
            let (from, to) = (letter(line.by.other()), letter(line.by));
            let number = (position + 1).saturating_sub(gone);
            let _ = writeln!(out, "wait 40s\n{from} ~> {to}   ACK of={number} unseen");
        }
    }

    /// Whether the first lines are the usual beginning of a call.
    fn short(&self, rules: &[&Finding]) -> bool {
        let usual = self.told.iter().take(START.len()).map(String::as_str).eq(START);
        let early = |n: &u32| self.position(*n).is_none_or(|position| position < START.len());
        usual
            && !rules.iter().any(|finding| early(&finding.at))
            && !self
                .told
                .iter()
                .skip(START.len())
                .any(|line| numbers(line).any(|number| number <= START.len()))
    }

    fn position(&self, n: u32) -> Option<usize> {
        self.lines.iter().position(|line| line.message.n == n)
    }

    fn expectations(&self, out: &mut String, rules: &[&Finding], one: bool, gone: usize) {
        let number = |n: u32| {
            self.position(n).and_then(|position| (position + 1).checked_sub(gone)).filter(|n| *n > 0)
        };
        let mut expected = Vec::new();
        for finding in rules {
            let Some(at) = number(finding.at) else { continue };
            let who = match finding.by {
                Party::Network => "network".to_owned(),
                by => letter(by).to_string(),
            };
            let mut text = format!("expect   {who} breaks {} at {at}", finding.code);
            let because: Vec<String> =
                finding.because.iter().filter_map(|n| number(*n)).map(|n| n.to_string()).collect();
            if !because.is_empty() {
                let _ = write!(text, " because {}", because.join(" "));
            }
            match finding.certainty {
                Certainty::Certain => {}
                certainty => {
                    let _ = write!(text, " {certainty}");
                }
            }
            expected.push(finding.code);
            let _ = writeln!(out, "{text}");
        }
        if expected.is_empty() {
            out.push_str("expect nothing\n");
        }
        let others = self.call.findings.iter().filter(|finding| one && finding.severity > Severity::Info);
        let followed = self.call.findings.iter().flat_map(|finding| &finding.consequences);
        let mut allowed: Vec<&str> =
            others.map(|finding| finding.code).chain(followed.filter_map(|own| own.code)).collect();
        allowed.retain(|code| !expected.contains(code) && Rule::by_code(code).is_some());
        allowed.sort_unstable();
        allowed.dedup();
        for code in allowed {
            let _ = writeln!(out, "allow {code}");
        }
    }
}

/// The numbers of lines that a line names.
fn numbers(line: &str) -> impl Iterator<Item = usize> {
    named(line).filter_map(|(word, at)| number(word, at)).collect::<Vec<_>>().into_iter()
}

/// The words of a line, and where in them the number of a line stands.
fn named(line: &str) -> impl Iterator<Item = (&str, Option<usize>)> {
    let mut last = "";
    line.split(' ').map(move |word| {
        let behind = last == "again" || ["{cseq", "{branch"].iter().any(|name| last.ends_with(name));
        last = word;
        let key = ["of=", "crosses=", "branch=of:"].into_iter().find(|key| word.starts_with(key));
        (word, key.map(str::len).or(behind.then_some(0)))
    })
}

fn number(word: &str, at: Option<usize>) -> Option<usize> {
    let rest = word.get(at?..)?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    rest.get(..digits)?.parse().ok()
}

/// A line of which the numbers are so much smaller.
fn moved(line: &str, gone: usize) -> String {
    if gone == 0 {
        return line.to_owned();
    }
    let words = named(line).map(|(word, at)| {
        let (Some(at), Some(old)) = (at, number(word, at)) else { return word.to_owned() };
        let fresh = old.saturating_sub(gone).to_string();
        let end = at + old.to_string().len();
        [word.get(..at).unwrap_or_default(), &fresh, word.get(end..).unwrap_or_default()].concat()
    });
    words.collect::<Vec<_>>().join(" ")
}

/// How a call usually begins, and `start call` says.
const START: [&str; 3] = ["A -> B   INVITE offer", "B -> A   200 INVITE answer", "A -> B   ACK"];
