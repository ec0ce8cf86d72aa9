//! The ladder of a call on the page: a column for each place, a row for each message, which opens the message.

use std::fmt::Write as _;

use midcall_proto::observer::{Kind, Repeat};
use midcall_proto::time::Instant;

use super::super::clock::{clock, seconds};
use super::call::{diff, ways};
use super::escape::{Bytes, Esc};
use super::since;
use crate::model::{Call, Finding, Message};
use crate::report::ladder::caption;
use crate::report::lifelines::{Lifeline, ends, lifelines};

/// The whole ladder.
pub(super) fn ladder(out: &mut String, call: &Call) {
    let columns = lifelines(call);
    let _ = write!(
        out,
        "<div class=\"ladder\" style=\"--k:{}\">\n<div class=\"heads\"><span>no.</span><span>seconds</span>\
         <span class=\"delta\">since last</span><div class=\"lanes\">",
        columns.len() * 2
    );
    for column in &columns {
        let _ = write!(
            out,
            "<span title=\"{}\"><span class=\"who {}\">{}</span><small>{}</small></span>",
            Esc(&column.label),
            column.party,
            Esc(&column.label),
            Esc(&column.detail),
        );
    }
    out.push_str("</div></div>\n<ol>\n");
    let mut before = call.began();
    for message in &call.messages {
        row(out, call, &columns, message, before);
        before = message.at;
    }
    out.push_str("</ol>\n</div>\n");
}

fn row(out: &mut String, call: &Call, columns: &[Lifeline], message: &Message, before: Instant) {
    let here: Vec<(usize, &Finding)> =
        call.findings.iter().enumerate().filter(|(_, finding)| finding.at == message.n).collect();
    let worst = here.iter().map(|(_, finding)| finding.severity).max();
    let bad = worst.map(|severity| format!(" class=\"bad {severity}\"")).unwrap_or_default();
    let (from, to) = ends(columns, message);
    let (first, last) = (from.min(to), from.max(to));
    let response = message.raw.starts_with(b"SIP/");
    let _ = writeln!(
        out,
        "<li id=\"c{}m{}\"{bad}><details class=\"msg\"><summary class=\"row\"><span class=\"num\">{}</span>\
         <span>{}</span><span class=\"delta\">+{}</span><span class=\"lanes\">\
         <span class=\"arrow {} {}{}{}\" style=\"grid-column:{}/{}\"><b>{}</b><span class=\"vh\">, {}</span></span></span></summary>",
        call.number,
        message.n,
        message.n,
        since(call, message.at),
        seconds(message.at.since(before)),
        message.by,
        if from <= to { "right" } else { "left" },
        if message.kind == Kind::First { "" } else { " copy" },
        if response { " response" } else { "" },
        first * 2 + 2,
        last * 2 + 2,
        Esc(&caption(call, message)),
        Esc(&ways(call, message)),
    );
    text(out, call, message);
    out.push_str("</details>");
    notes(out, call, message, &here);
    out.push_str("</li>\n");
}

/// The message itself, and what changed in its description.
fn text(out: &mut String, call: &Call, message: &Message) {
    let copy = match message.kind {
        Kind::First => String::new(),
        Kind::Orphan => " · answers a request that the trace lacks".to_owned(),
        Kind::Again { of, how } => {
            format!(" · {} <a href=\"#c{}m{of}\">{of}</a>", repeat(how), call.number)
        }
    };
    let _ = write!(
        out,
        "<div class=\"text\"><p>{} {} → {} · {} · record {} · {} bytes{copy}{}</p>\n<div class=\"sides\"><pre class=\"sip\" tabindex=\"0\">{}</pre>",
        message.transport,
        message.from,
        message.to,
        clock(message.at),
        message.place.number,
        message.raw.len(),
        if message.cut { " · the trace lacks its end" } else { "" },
        Bytes(&message.raw),
    );
    if let Some(moment) = call.story.iter().find(|moment| moment.n == message.n && !moment.diff.is_empty()) {
        out.push_str("<div><p>Against the sender's last description:</p><pre class=\"diff\">");
        diff(out, moment.diff.lines());
        out.push_str("</pre></div>");
    }
    out.push_str("</div></div>");
}

/// What was found here, and for what this message is evidence.
fn notes(out: &mut String, call: &Call, message: &Message, here: &[(usize, &Finding)]) {
    let evidence: Vec<(usize, &Finding)> = call
        .findings
        .iter()
        .enumerate()
        .filter(|(_, finding)| finding.because.contains(&message.n) && finding.at != message.n)
        .collect();
    if here.is_empty() && evidence.is_empty() {
        return;
    }
    out.push_str(
        "<div class=\"notes row\"><span></span><span></span><span class=\"delta\"></span><div class=\"lanes\"><div>",
    );
    for (at, finding) in here {
        let _ = write!(
            out,
            "<a class=\"note {}\" href=\"#c{}f{}\">{} {}</a>",
            finding.severity,
            call.number,
            at + 1,
            Esc(finding.code),
            Esc(&finding.title),
        );
    }
    for (at, finding) in evidence {
        let _ = write!(
            out,
            "<a class=\"note why\" href=\"#c{}f{}\">evidence for {}</a>",
            call.number,
            at + 1,
            Esc(finding.code)
        );
    }
    out.push_str("</div></div></div>");
}

const fn repeat(how: Repeat) -> &'static str {
    match how {
        Repeat::Resent => "sent again, first as",
        Repeat::Hop => "at another hop, first as",
        Repeat::Duplicate => "captured twice, first as",
        Repeat::Failover => "to another address, first as",
    }
}
