//! The page: one HTML file that needs nothing else, for a browser, an attachment or paper.
//!
//! What went wrong stands on top, the worst call first; each finding leads to its line of the ladder and back, each line
//! opens its message. Everything from the trace is escaped, and the page forbids itself every script but its own and
//! every request.

mod call;
mod escape;
mod ladder;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use midcall_proto::observer::Party;
use midcall_proto::rules::Severity;
use midcall_proto::time::Instant;

use self::escape::Esc;
use super::clock::{put_right, seconds};
use crate::model::{Call, Finding};
use crate::source::Summary;

/// The page of these calls, and of how many there was no room for.
#[must_use]
pub fn page(calls: &[Call], sources: &[Summary], left_out: u64) -> String {
    let mut order: Vec<&Call> = calls.iter().collect();
    order.sort_by_key(|call| (std::cmp::Reverse(call.worst()), call.number));
    let verdict = Verdict::of(&order);
    let mut out = String::new();
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'sha256-{SCRIPT_HASH}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body class=\"{}\">\n",
        Esc(&verdict.title),
        if calls.len() == 1 { "one" } else { "many" },
    );
    top(&mut out, &verdict, &order, sources);
    out.push_str("<main>\n");
    let open = order.len() == 1 || order.get(1).is_some_and(|second| second.worst() <= Severity::Info);
    let numbers: HashMap<&str, u32> = order.iter().map(|call| (call.call_id.as_str(), call.number)).collect();
    for (at, call) in order.iter().enumerate() {
        call::section(&mut out, call, open && at == 0, &numbers);
    }
    if left_out > 0 {
        let _ = writeln!(out, "<p class=\"soft\">{left_out} more calls had no room on this page.</p>");
    }
    out.push_str("</main>\n<footer>");
    read(&mut out, sources);
    let _ = write!(out, "</footer>\n<script>{SCRIPT}</script>\n</body>\n</html>\n");
    out
}

/// What the page says before anything else.
struct Verdict {
    title: String,
    lead: String,
    worst: Severity,
}

impl Verdict {
    fn of(order: &[&Call]) -> Self {
        let worst = order.first().map_or(Severity::None, |call| call.worst());
        let bad = order.iter().filter(|call| call.worst() > Severity::Info).count();
        let (title, lead) = match order {
            [] => ("No call in this trace".to_owned(), "Nothing that was read belongs to a call.".to_owned()),
            [call] => match worst_finding(call).filter(|_| bad > 0) {
                Some(finding) => (finding.title.clone(), broke(call, finding)),
                None => (
                    "Nothing went wrong".to_owned(),
                    format!(
                        "{} called {}; every message keeps the rules.",
                        call.caller.name, call.callee.name
                    ),
                ),
            },
            _ if bad == 0 => (
                format!("{} calls, nothing went wrong", order.len()),
                "Every message of every call keeps the rules.".to_owned(),
            ),
            _ => (
                format!("{bad} of {} calls went wrong", order.len()),
                "The worst come first; open a call for its ladder and its messages.".to_owned(),
            ),
        };
        Self { title, lead, worst }
    }
}

/// Who broke a call, and at which message, which may be one that got no answer.
fn broke(call: &Call, finding: &Finding) -> String {
    let (who, at) = (name(call, finding.by), finding.at);
    match call.message(at).is_some_and(|message| message.by != finding.by && finding.by != Party::Network) {
        true => format!("{who} broke this call after message {at}."),
        false => format!("{who} broke this call with message {at}."),
    }
}

fn top(out: &mut String, verdict: &Verdict, order: &[&Call], sources: &[Summary]) {
    let names: Vec<&str> =
        sources.iter().map(|source| source.name.as_str()).filter(|name| !name.is_empty()).collect();
    let _ = write!(
        out,
        "<header class=\"top\">\n<p class=\"brand\">midcall analyze{}{}</p>\n<div class=\"verdict {}\">\n<h1>{}</h1>\n\
         <p class=\"lead\">{}</p>\n</div>\n",
        if names.is_empty() { "" } else { " · " },
        Esc(&names.join(", ")),
        verdict.worst,
        Esc(&verdict.title),
        Esc(&verdict.lead),
    );
    let findings = || order.iter().flat_map(|call| &call.findings);
    let count = |severity| findings().filter(|finding| finding.severity == severity).count();
    let messages: usize = order.iter().map(|call| call.messages.len()).sum();
    out.push_str("<ul class=\"tiles\">");
    for (number, word, kind) in [
        (order.len(), "call", ""),
        (messages, "message", ""),
        (count(Severity::Error), "error", "error"),
        (count(Severity::Warning), "warning", "warning"),
        (count(Severity::Info), "note", ""),
    ] {
        let kind = if number == 0 { "" } else { kind };
        let _ = write!(
            out,
            "<li class=\"{kind}\"><b>{number}</b>{word}{}</li>",
            if number == 1 { "" } else { "s" }
        );
    }
    out.push_str("</ul>\n");
    if order.len() > 1 {
        groups(out, order);
        out.push_str(
            "<div class=\"tools\"><label class=\"vh\" for=\"words\">Only calls with these words</label>\
             <input id=\"words\" type=\"search\" placeholder=\"Find calls: party, rule, Call-ID, method\">\
             <button id=\"bad\" type=\"button\" aria-pressed=\"false\">Only what went wrong</button>\
             <span id=\"told\" class=\"soft\" role=\"status\"></span></div>\n",
        );
    }
    out.push_str("</header>\n");
}

/// Which rules were broken how often, the worst first, each with the way to its first case.
fn groups(out: &mut String, order: &[&Call]) {
    struct Group<'c> {
        first: (&'c Call, usize),
        findings: usize,
        calls: usize,
        last: u32,
    }
    let mut groups: BTreeMap<(std::cmp::Reverse<Severity>, &str), Group<'_>> = BTreeMap::new();
    for call in order {
        for (at, finding) in call.findings.iter().enumerate() {
            let key = (std::cmp::Reverse(finding.severity), finding.code);
            let group =
                groups.entry(key).or_insert(Group { first: (call, at), findings: 0, calls: 0, last: 0 });
            group.findings += 1;
            group.calls += usize::from(group.last != call.number);
            group.last = call.number;
        }
    }
    if groups.is_empty() {
        return;
    }
    out.push_str("<ol class=\"groups\" aria-label=\"What went wrong, by rule\">\n");
    let left_out = groups.len().saturating_sub(GROUPS);
    for ((std::cmp::Reverse(severity), code), group) in groups.iter().take(GROUPS) {
        let (call, at) = group.first;
        let title = call.findings.get(at).map_or("", |finding| finding.title.as_str());
        let _ = writeln!(
            out,
            "<li><span><span class=\"chip {severity}\">{severity}</span></span><code>{}</code>\
             <a href=\"#c{}f{}\">{}</a><span class=\"soft\">{} in {} call{}</span></li>",
            Esc(code),
            call.number,
            at + 1,
            Esc(title),
            group.findings,
            group.calls,
            if group.calls == 1 { "" } else { "s" },
        );
    }
    if left_out > 0 {
        let _ = writeln!(
            out,
            "<li><span></span><span></span><span class=\"soft\">and {left_out} more</span></li>"
        );
    }
    out.push_str("</ol>\n");
}

/// What was read, and what of it was passed over.
fn read(out: &mut String, sources: &[Summary]) {
    for source in sources {
        let _ = write!(
            out,
            "<p>{}: {}, {} records, {} SIP messages",
            Esc(&source.name),
            Esc(&source.format),
            source.records,
            source.messages
        );
        if let Some(clock) = put_right(source) {
            let _ = write!(out, ", {clock}");
        }
        for skipped in &source.skipped {
            let _ = write!(out, ", {} {}", skipped.count, Esc(skipped.reason));
        }
        out.push_str("</p>\n");
    }
}

/// The worst finding of a call, the first of several.
fn worst_finding(call: &Call) -> Option<&Finding> {
    call.findings.iter().rev().max_by_key(|finding| finding.severity)
}

/// The name of a party in sentences.
fn name(call: &Call, party: Party) -> &str {
    call.person(party).map_or("the network", |person| person.name.as_str())
}

/// A party's name in its colour.
fn who(call: &Call, party: Party) -> String {
    format!("<span class=\"who {party}\">{}</span>", Esc(name(call, party)))
}

/// A link to a message.
fn link(call: &Call, n: u32) -> String {
    format!("<a class=\"n\" href=\"#c{}m{n}\">message {n}</a>", call.number)
}

/// Seconds since the call began, to the millisecond.
fn since(call: &Call, at: Instant) -> String {
    seconds(at.since(call.began()))
}

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What the browser compares the script with before it runs it (CSP, `script-src`); a test keeps it right.
const SCRIPT_HASH: &str = "4L8+BOFxNluvfFp6C5ZoKEbyAUYW1teqJ3trZ/YxXEw=";

/// The most rules in the overview.
const GROUPS: usize = 12;
