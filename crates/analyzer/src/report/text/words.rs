//! Words and colours that text reports share.

use std::time::Duration;

use midcall_proto::observer::Party;
use midcall_proto::rules::{Cite, Severity};
use owo_colors::{OwoColorize, Style};

use super::super::clock::seconds;
use super::super::ladder::name;
pub(super) use super::super::ladder::shortened;
use crate::model::{Call, Message};

/// What was found, as numbers.
pub(super) fn verdict(call: &Call) -> String {
    let found = |severity| call.findings.iter().filter(|finding| finding.severity == severity).count();
    let mut parts = Vec::new();
    for (severity, word) in
        [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Info, "note")]
    {
        let found = found(severity);
        if found > 0 {
            parts.push(count(found, word).style(colour(severity).bold()).to_string());
        }
    }
    if call.worst() < Severity::Warning {
        parts.insert(0, "clean".green().bold().to_string());
    }
    parts.join(", ")
}

pub(super) fn whom(call: &Call, party: Party) -> String {
    call.person(party).map_or_else(|| "the network".to_owned(), |person| harmless(&person.name))
}

/// What a message is called.
pub(super) fn label(message: &Message) -> String {
    harmless(name(message))
}

/// The colour of a severity.
pub(super) fn colour(severity: Severity) -> Style {
    match severity {
        Severity::Error => Style::new().red(),
        Severity::Warning => Style::new().yellow(),
        Severity::Info | Severity::None => Style::new().cyan(),
    }
}

/// The sign of a severity in the margin.
pub(super) const fn mark(severity: Severity) -> char {
    match severity {
        Severity::Error => 'x',
        Severity::Warning => '!',
        Severity::Info | Severity::None => 'i',
    }
}

/// A number with its noun.
pub(super) fn count(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

pub(super) fn numbers(list: &[u32]) -> String {
    let list: Vec<String> = list.iter().map(u32::to_string).collect();
    list.join(", ")
}

/// Sections, one RFC after the other: `RFC 3261 §14.1, §14.2; RFC 3311 §5.3`.
pub(super) fn cites(cites: &[Cite]) -> String {
    let mut out = String::new();
    let mut last = None;
    for cite in cites {
        match last {
            Some(rfc) if rfc == cite.rfc => out.push_str(&format!(", §{}", cite.section)),
            Some(_) => out.push_str(&format!("; {cite}")),
            None => out.push_str(&cite.to_string()),
        }
        last = Some(cite.rfc);
    }
    out
}

/// A span in words: `12.3 s`, `3 min 20 s`.
pub(super) fn span(span: Duration) -> String {
    match span.as_secs() {
        0 => format!("{} s", seconds(span)),
        1..120 => format!("{:.1} s", span.as_secs_f64()),
        whole @ 120..7_200 => format!("{} min {} s", whole / 60, whole % 60),
        whole => format!("{} h {} min", whole / 3_600, whole / 60 % 60),
    }
}

/// One line, and nothing in it that a terminal would obey: much of this was written by strangers.
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}
