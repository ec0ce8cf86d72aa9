//! A rule as text for a terminal.

use std::fmt::Write as _;

use super::{Held, Rule, Severity};

/// Everything about one rule, wrapped for a terminal: what `midcall rules UP-13` prints.
///
/// ```
/// use midcall_proto::rules::{RuleId, explain};
/// let text = explain(RuleId::UpdateCrossesOurOffer.rule());
/// assert!(text.starts_with("UP-13  UPDATE crosses our offer\n"));
/// ```
#[must_use]
pub fn explain(rule: &Rule) -> String {
    let mut out = format!("{}  {}\n\n", rule.code, rule.title);
    entry(&mut out, "Meaning", rule.means);
    entry(&mut out, "Cure", rule.fix);
    entry(&mut out, "Level", rule.level.in_words());
    entry(&mut out, "On the wire", &on_the_wire(rule));
    if !rule.cites.is_empty() {
        entry(&mut out, "Texts", &cites(rule));
    }
    if let Some(reply) = rule.reply {
        entry(&mut out, "Reply", &reply.to_string());
    }
    entry(&mut out, "Held by", &held(rule.held));
    out
}

/// The sections of a rule, one RFC after the other: `RFC 3261 §14.1, §14.2; RFC 3311 §5.3`.
pub(super) fn cites(rule: &Rule) -> String {
    let mut out = String::new();
    let mut last = None;
    for cite in rule.cites {
        if last == Some(cite.rfc) {
            let _ = write!(out, ", §{}", cite.section);
        } else {
            let _ = write!(out, "{}{cite}", if last.is_some() { "; " } else { "" });
        }
        last = Some(cite.rfc);
    }
    out
}

fn on_the_wire(rule: &Rule) -> String {
    let mut text = match rule.severity {
        Severity::Error => "error, a breach can be shown",
        Severity::Warning => "warning, a likely fault or a risk",
        Severity::Info => "a fact worth a line, not a fault",
        Severity::None => "not visible",
    }
    .to_owned();
    if rule.loss {
        text.push_str("; a packet missing from the capture can look the same");
    }
    text
}

fn held(held: Held) -> String {
    match held {
        Held::Check => "a check on every message sent, received or read from a trace".to_owned(),
        Held::Machine(module) => format!("{module}, by construction"),
        Held::Wire(module) => format!("{module}, in parsing and printing"),
        Held::Policy(what) => format!("policy: {what}"),
        Held::Open(why) => format!("nothing yet: {why}"),
    }
}

/// Appends a labelled paragraph, its later lines indented under the first.
fn entry(out: &mut String, label: &str, text: &str) {
    const INDENT: usize = 14;
    const WIDTH: usize = 80;
    let _ = write!(out, "  {label:<width$}", width = INDENT - 2);
    let mut column = INDENT;
    for (index, word) in text.split_whitespace().enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > WIDTH {
            let _ = write!(out, "\n{:INDENT$}", "");
            column = INDENT;
        } else if index > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
}
