//! A call on the page: what went wrong, the ladder, the story, the changes, the parties.

use std::collections::HashMap;
use std::fmt::Write as _;

use midcall_proto::observer::{Certainty, Party};
use midcall_proto::rules::{Cite, Severity};
use midcall_wire::{Message as Sip, Method};

use super::super::clock::clock;
use super::escape::Esc;
use super::{ladder, link, name, since, who, worst_finding};
use crate::glance::is_beginning;
use crate::model::{Call, Change, DiffLine, Finding, Moment, Person};

/// A whole call; `numbers` are those of all calls of the page, by Call-ID.
pub(super) fn section(out: &mut String, call: &Call, open: bool, numbers: &HashMap<&str, u32>) {
    let worst = call.worst();
    let _ = write!(
        out,
        "<details class=\"call {worst}\" id=\"c{}\" data-bad=\"{}\" data-words=\"{}\"{}>\n<summary>",
        call.number,
        if worst > Severity::Info { "yes" } else { "no" },
        words(call),
        if open { " open" } else { "" },
    );
    let line = match worst_finding(call) {
        Some(finding) => format!("{} · {}", finding.code, finding.title),
        None => call.call_id.clone(),
    };
    let _ = writeln!(
        out,
        "<span><span class=\"chip {worst}\">{}</span></span><h2>{} → {}</h2><span class=\"line\">{}</span>\
         <span class=\"soft\">{} message{}, {} s</span></summary>\n<div class=\"body\">",
        if worst == Severity::None { "fine" } else { worst.as_str() },
        who(call, Party::Caller),
        who(call, Party::Callee),
        Esc(&line),
        call.messages.len(),
        if call.messages.len() == 1 { "" } else { "s" },
        call.messages.last().map_or_else(|| "0".to_owned(), |last| since(call, last.at)),
    );
    findings(out, call, "What went wrong", |severity| severity > Severity::Info);
    out.push_str("<h3>Ladder</h3>\n");
    ladder::ladder(out, call);
    findings(out, call, "Worth knowing", |severity| severity <= Severity::Info);
    if !call.story.is_empty() {
        out.push_str("<h3>The session as it was agreed</h3>\n<ol class=\"story\">\n");
        for moment in &call.story {
            self::moment(out, call, moment);
        }
        out.push_str("</ol>\n");
    }
    changes(out, call);
    parties(out, call);
    legs(out, call, numbers);
    out.push_str("</div>\n</details>\n");
}

/// What a search among many calls looks at.
fn words(call: &Call) -> String {
    let mut words = format!("{} {} {} {}", call.call_id, call.caller.uri, call.callee.uri, call.worst());
    for finding in &call.findings {
        let _ = write!(words, " {} {}", finding.code, finding.title);
    }
    for change in &call.changes {
        let _ = write!(words, " {} {}", change.method.as_str(), change.what.join(" "));
    }
    Esc(&words).to_string()
}

/// Findings of some severities, the worst first.
fn findings(out: &mut String, call: &Call, title: &str, wanted: impl Fn(Severity) -> bool) {
    let mut some: Vec<(usize, &Finding)> =
        call.findings.iter().enumerate().filter(|(_, finding)| wanted(finding.severity)).collect();
    if some.is_empty() {
        return;
    }
    some.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.severity));
    let _ = writeln!(out, "<h3>{title}</h3>");
    for (at, one) in some {
        finding(out, call, at, one);
    }
}

/// One finding, in full.
fn finding(out: &mut String, call: &Call, at: usize, finding: &Finding) {
    let _ = write!(
        out,
        "<article class=\"finding {}\" id=\"c{}f{}\" tabindex=\"-1\">\n<header><span class=\"chip {}\">{}</span>\
         <b>{}</b><code class=\"soft\">{}</code></header>\n<p>{} in {}",
        finding.severity,
        call.number,
        at + 1,
        finding.severity,
        finding.severity,
        Esc(&finding.title),
        Esc(finding.code),
        who(call, finding.by),
        link(call, finding.at),
    );
    if !finding.because.is_empty() {
        let links: Vec<String> = finding.because.iter().map(|n| link(call, *n)).collect();
        let _ = write!(out, ", because of {}", links.join(", "));
    }
    let _ = write!(
        out,
        ". <span class=\"soft\">{}</span></p>\n<p>{}</p>\n",
        certainty(finding),
        Esc(&finding.means)
    );
    if !finding.fix.is_empty() {
        let _ = writeln!(out, "<p class=\"fix\"><b>To cure it:</b> {}</p>", Esc(&finding.fix));
    }
    if !finding.consequences.is_empty() {
        out.push_str("<p class=\"small\">What followed from it:</p><ul class=\"small\">");
        for one in &finding.consequences {
            let code = one.code.map(|code| format!(" ({})", Esc(code))).unwrap_or_default();
            let _ = write!(out, "<li>{}: {}{code}</li>", link(call, one.at), Esc(&one.what));
        }
        out.push_str("</ul>\n");
    }
    if !finding.cites.is_empty() {
        let cites: Vec<String> = finding.cites.iter().map(cite).collect();
        let _ = writeln!(out, "<p class=\"small\">{}</p>", cites.join(", "));
    }
    out.push_str("</article>\n");
}

const fn certainty(finding: &Finding) -> &'static str {
    match finding.certainty {
        Certainty::Certain => "Certain.",
        Certainty::Crossed if finding.joined.is_some() => {
            "Not certain: only if the two calls belong together."
        }
        Certainty::Crossed => "Not certain: the messages may have crossed.",
        Certainty::CaptureGap => "Not certain: a message that the trace lacks could explain it.",
    }
}

fn cite(cite: &Cite) -> String {
    let (rfc, section) = (cite.rfc, cite.section);
    let kind =
        if section.starts_with(|letter: char| letter.is_ascii_digit()) { "section" } else { "appendix" };
    format!(
        "<a href=\"https://www.rfc-editor.org/rfc/rfc{rfc}#{kind}-{section}\" rel=\"noreferrer\">RFC {rfc} §{section}</a>"
    )
}

fn moment(out: &mut String, call: &Call, moment: &Moment) {
    let _ = write!(
        out,
        "<li class=\"{}\"><p class=\"what\"><span class=\"mono soft\">{}</span> {} <span class=\"soft\">({})</span></p>",
        moment.by,
        since(call, moment.at),
        Esc(&moment.what),
        link(call, moment.n),
    );
    for stream in &moment.streams {
        let _ = write!(out, "<p class=\"mono soft\">{}</p>", Esc(stream));
    }
    if moment.diff.lines().any(|line| !matches!(line, DiffLine::Same(_))) {
        out.push_str("<pre class=\"diff\" aria-label=\"What changed in the description\">");
        diff(out, moment.diff.lines().filter(|line| !matches!(line, DiffLine::Same(_))));
        out.push_str("</pre>");
    }
    out.push_str("</li>\n");
}

/// The lines of a diff; what is new and what is gone is told by sign and colour.
pub(super) fn diff<'d>(out: &mut String, lines: impl Iterator<Item = DiffLine<'d>>) {
    for line in lines {
        let (kind, sign, text) = match line {
            DiffLine::Same(text) => ("same", "  ", text),
            DiffLine::Removed(text) => ("cut", "- ", text),
            DiffLine::Added(text) => ("add", "+ ", text),
        };
        let _ = write!(out, "<span class=\"{kind}\">{sign}{}</span>", Esc(text));
    }
}

fn changes(out: &mut String, call: &Call) {
    if call.changes.is_empty() {
        return;
    }
    out.push_str(
        "<h3>Changes</h3>\n<table><thead><tr><th scope=\"col\">Who</th><th scope=\"col\">How</th>\
         <th scope=\"col\">What for</th><th scope=\"col\">Came of it</th><th scope=\"col\">Messages</th></tr></thead><tbody>\n",
    );
    for change in &call.changes {
        self::change(out, call, change);
    }
    out.push_str("</tbody></table>\n");
}

fn change(out: &mut String, call: &Call, change: &Change) {
    let numbers: Vec<String> =
        change.messages.iter().map(|n| format!("<a href=\"#c{}m{n}\">{n}</a>", call.number)).collect();
    let status = change.status.map(|status| format!(" ({status})")).unwrap_or_default();
    let _ = writeln!(
        out,
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}{status}</td><td>{}</td></tr>",
        who(call, change.by),
        change.method.as_str(),
        Esc(&change.what.join(", ")),
        change.outcome.as_str(),
        numbers.join(" "),
    );
}

fn parties(out: &mut String, call: &Call) {
    out.push_str(
        "<h3>Parties</h3>\n<table><thead><tr><th scope=\"col\">Who</th><th scope=\"col\">URI</th>\
         <th scope=\"col\">Address</th><th scope=\"col\">Software</th><th scope=\"col\">Tag</th></tr></thead><tbody>\n",
    );
    for (role, person) in [("caller", &call.caller), ("callee", &call.callee)] {
        self::person(out, role, person);
    }
    let _ = write!(
        out,
        "</tbody></table>\n<h3>About this call</h3>\n<p class=\"mono\">Call-ID {}</p>\n<p>Began {}",
        Esc(&call.call_id),
        clock(call.began())
    );
    if let Some(ended) = call.ended {
        let _ = write!(out, ", ended after {} s", since(call, ended));
    }
    let _ = write!(out, "; {} dialog{}", call.dialogs.len(), if call.dialogs.len() == 1 { "" } else { "s" });
    let first = call.messages.first().and_then(|message| Sip::parse(message.raw.as_ref()).ok());
    // What a request other than INVITE makes, no INVITE was to be seen of.
    let other = first.is_some_and(|sip| is_beginning(&sip) && sip.method() != Method::Invite);
    if !other && call.dialogs.iter().any(|dialog| !dialog.whole) {
        out.push_str(", not seen from its beginning");
    }
    out.push_str(".</p>\n");
    if call.dropped > 0 {
        let _ = writeln!(out, "<p>{} things of it were too much to be remembered.</p>", call.dropped);
    }
}

/// Other calls that look like legs of the same conversation, with the way to those that are on the page.
fn legs(out: &mut String, call: &Call, numbers: &HashMap<&str, u32>) {
    for leg in &call.legs {
        let other = match numbers.get(leg.call_id.as_str()) {
            Some(number) => format!("<a class=\"n\" href=\"#c{number}\">call {number}</a>"),
            None => format!("<span class=\"mono\">{}</span>", Esc(&leg.call_id)),
        };
        let _ = writeln!(
            out,
            "<p>Looks like a leg of the same conversation ({} %): {other} <span class=\"soft\">{}</span></p>",
            leg.confidence,
            Esc(&leg.because.join(", ")),
        );
    }
}

fn person(out: &mut String, role: &str, person: &Person) {
    let _ = writeln!(
        out,
        "<tr><td><span class=\"who {role}\">{}</span> <span class=\"soft\">{role}</span></td><td class=\"mono\">{}</td>\
         <td class=\"mono\">{}</td><td>{}</td><td class=\"mono\">{}</td></tr>",
        Esc(&person.name),
        Esc(&person.uri),
        person.address,
        Esc(person.user_agent.as_deref().unwrap_or("–")),
        Esc(&person.tag),
    );
}

/// Who sends to whom, for readers that see no arrow.
pub(super) fn ways(call: &Call, message: &crate::model::Message) -> String {
    let other = match message.by {
        Party::Network => return format!("{} to {}", message.from, message.to),
        by => by.other(),
    };
    format!("{} to {}", name(call, message.by), name(call, other))
}
