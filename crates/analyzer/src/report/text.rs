//! Text for people: what went wrong first, then the ladder, then the story.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use midcall_proto::observer::{Certainty, Kind, Party, Repeat};
use midcall_proto::rules::{Cite, Severity};
use midcall_proto::time::Instant;
use owo_colors::{OwoColorize, Style};

use super::ladder::{Columns, shortened};
use crate::model::{Call, DiffLine, Finding, Message};

/// How a text report is laid out. Colour is always written; whoever shows it where there is none strips it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// The width of a line.
    pub width: usize,
    /// Whether the ladder and the story of this call are wanted.
    pub ladder: bool,
}

/// Writes one call.
///
/// # Errors
/// What the writer says.
pub fn call(call: &Call, layout: Layout, out: &mut impl Write) -> io::Result<()> {
    Page { call, width: layout.width.max(NARROWEST), out }.write(layout.ladder)
}

struct Page<'p, W> {
    call: &'p Call,
    width: usize,
    out: &'p mut W,
}

impl<W: Write> Page<'_, W> {
    fn write(&mut self, ladder: bool) -> io::Result<()> {
        self.header()?;
        for finding in &self.call.findings {
            self.finding(finding)?;
        }
        if ladder {
            self.ladder()?;
            self.story()?;
        }
        Ok(())
    }

    fn header(&mut self) -> io::Result<()> {
        let call = self.call;
        let title = format!("Call {}  {} -> {}", call.number, call.caller.name, call.callee.name);
        writeln!(self.out, "{}  {}", title.bold(), verdict(call))?;
        let addresses = [call.caller.address, call.callee.address].map(|address| address.to_string());
        let people = [&call.caller, &call.callee];
        let widest = people.map(|person| shortened(&person.uri, self.width / 2).chars().count());
        let widest = widest.into_iter().max().unwrap_or_default();
        for (person, address) in people.into_iter().zip(addresses) {
            let uri = shortened(&person.uri, self.width / 2);
            let program = person.user_agent.as_deref().unwrap_or_default();
            let line = format!("  {uri:<widest$}  {address:<21}  {program}");
            writeln!(self.out, "{}", shortened(line.trim_end(), self.width))?;
        }
        let line = format!("  {}, {} messages, Call-ID {}", course(call), call.messages.len(), call.call_id);
        self.paragraph(&line, 2, 4, Style::new().dimmed())
    }

    fn finding(&mut self, finding: &Finding) -> io::Result<()> {
        let (call, style) = (self.call, style(finding.severity));
        writeln!(
            self.out,
            "\n{} {}  {}",
            format!("{:<7}", finding.severity.as_str().to_uppercase()).style(style.bold()),
            finding.code.bold(),
            finding.title.bold()
        )?;
        let who = whom(call, finding.by);
        let mut line = match call.message(finding.at) {
            Some(message) => {
                let at = seconds(message.at.since(call.began()));
                format!("{who}, message {} at {at}: {}", finding.at, message.summary)
            }
            None => who,
        };
        if !finding.because.is_empty() {
            line.push_str(&format!("; because of {}", numbers(&finding.because)));
        }
        match finding.certainty {
            Certainty::Certain => {}
            Certainty::Crossed => line.push_str(" (crossed on the way: nobody may be at fault)"),
            Certainty::CaptureGap => line.push_str(" (a message that the trace lacks could explain it)"),
        }
        self.paragraph(&line, INDENT, INDENT, Style::new())?;
        self.paragraph(&finding.means, INDENT, INDENT, Style::new())?;
        self.paragraph(&format!("Cure: {}", finding.fix), INDENT, INDENT + 6, Style::new().green())?;
        if !finding.cites.is_empty() {
            self.paragraph(&cites(&finding.cites), INDENT, INDENT, Style::new().dimmed())?;
        }
        for consequence in &finding.consequences {
            let code = consequence.code.map(|code| format!(" ({code})")).unwrap_or_default();
            let line = format!("then {}: {}{code}", consequence.at, consequence.what);
            self.paragraph(&line, INDENT + 2, INDENT + 4, Style::new().dimmed())?;
        }
        Ok(())
    }

    fn ladder(&mut self) -> io::Result<()> {
        let call = self.call;
        let sides = Sides::of(call, self.width);
        writeln!(self.out)?;
        writeln!(self.out, "{}", sides.columns.head(&sides.names).bold())?;
        writeln!(self.out, "{}", sides.columns.head(&sides.addresses).dimmed())?;
        for message in &call.messages {
            let Some((from, to)) = sides.of_message(message) else { continue };
            let style = match message.status() {
                None => Style::new().bold(),
                Some(100..200) => Style::new().dimmed(),
                Some(200..300) => Style::new().green(),
                Some(_) => Style::new().yellow(),
            };
            let label = format!("{}{}", label(message), self.again(message));
            let line = sides.columns.arrow(from, to, &label, style, '-');
            let at = offset(message.at.since(call.began()));
            let prefix = format!("{:>NUMBER$} {at:>TIME$}", message.n);
            writeln!(self.out, "{} {line}", prefix.dimmed())?;
            for finding in call.findings.iter().filter(|finding| finding.at == message.n) {
                let text = format!("{}  {}  {}", mark(finding.severity), finding.code, finding.title);
                let who = format!("({})", whom(call, finding.by));
                let text = shortened(&format!("{text} {who}"), self.width.saturating_sub(sides.margin + 2));
                writeln!(
                    self.out,
                    "{}  {}",
                    " ".repeat(sides.margin),
                    text.style(crate::report::text::style(finding.severity))
                )?;
            }
        }
        Ok(())
    }

    /// How often a message was sent.
    fn again(&self, message: &Message) -> String {
        let copies =
            self.call.messages.iter().filter(
                |copy| matches!(copy.kind, Kind::Again { of, how: Repeat::Resent } if of == message.n),
            );
        match copies.clone().count() {
            0 => String::new(),
            resent => {
                let last = copies.last().map(|copy| copy.at.since(self.call.began())).unwrap_or_default();
                format!("  ×{} until {}", resent + 1, offset(last))
            }
        }
    }

    fn story(&mut self) -> io::Result<()> {
        if self.call.story.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\n{}", "The session as it was agreed".bold())?;
        for moment in &self.call.story {
            let at = offset(moment.at.since(self.call.began()));
            let prefix = format!("{:>NUMBER$} {at:>TIME$}", moment.n);
            writeln!(self.out, "{} {}", prefix.dimmed(), moment.what)?;
            for stream in &moment.streams {
                self.paragraph(stream, STORY, STORY + 2, Style::new().cyan())?;
            }
            for line in &moment.diff {
                let (line, style) = match line {
                    DiffLine::Same(_) => continue,
                    DiffLine::Removed(line) => (format!("- {line}"), Style::new().red()),
                    DiffLine::Added(line) => (format!("+ {line}"), Style::new().green()),
                };
                let line = shortened(&line, self.width.saturating_sub(STORY));
                writeln!(self.out, "{}{}", " ".repeat(STORY), line.style(style))?;
            }
        }
        Ok(())
    }

    /// Words that fit the width.
    fn paragraph(&mut self, text: &str, first: usize, rest: usize, style: Style) -> io::Result<()> {
        let mut line = String::new();
        let mut indent = first;
        for word in text.split_whitespace() {
            let wide = line.chars().count() + word.chars().count() + 1;
            if !line.is_empty() && indent + wide > self.width {
                writeln!(self.out, "{}{}", " ".repeat(indent), line.style(style))?;
                line.clear();
                indent = rest;
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        writeln!(self.out, "{}{}", " ".repeat(indent), line.style(style))
    }
}

/// Which column stands for whom.
struct Sides {
    columns: Columns,
    margin: usize,
    names: Vec<String>,
    addresses: Vec<String>,
}

impl Sides {
    fn of(call: &Call, width: usize) -> Self {
        let people = [&call.caller, &call.callee];
        Self {
            columns: Columns::fitting(2, width, MARGIN),
            margin: MARGIN,
            names: people.map(|person| person.name.clone()).to_vec(),
            addresses: people.map(|person| person.address.to_string()).to_vec(),
        }
    }

    /// From where to where a message goes; `None` for a copy that has no line of its own.
    fn of_message(&self, message: &Message) -> Option<(usize, usize)> {
        match (message.kind, message.by) {
            (Kind::Again { .. }, _) => None,
            (_, Party::Callee) => Some((1, 0)),
            _ => Some((0, 1)),
        }
    }
}

impl Message {
    /// The status that its summary begins with.
    fn status(&self) -> Option<u16> {
        self.summary.get(..3)?.parse().ok()
    }
}

fn label(message: &Message) -> &str {
    if message.summary.is_empty() { "(not kept)" } else { &message.summary }
}

fn verdict(call: &Call) -> impl fmt::Display {
    let count = |severity| call.findings.iter().filter(|finding| finding.severity == severity).count();
    let [errors, warnings, facts] = [Severity::Error, Severity::Warning, Severity::Info].map(count);
    let mut parts = Vec::new();
    for (count, word, severity) in [
        (errors, "error", Severity::Error),
        (warnings, "warning", Severity::Warning),
        (facts, "note", Severity::Info),
    ] {
        if count > 0 {
            let plural = if count == 1 { "" } else { "s" };
            parts.push(format!("{count} {word}{plural}").style(style(severity)).to_string());
        }
    }
    if errors + warnings == 0 {
        parts.insert(0, "clean".green().bold().to_string());
    }
    parts.join(", ")
}

/// How it went, in a few words.
fn course(call: &Call) -> String {
    let last = call.messages.last().map_or(Instant::ZERO, |message| message.at);
    format!("{} long", seconds(last.since(call.began())))
}

fn whom(call: &Call, party: Party) -> String {
    call.person(party).map_or_else(|| "the network".to_owned(), |person| person.name.clone())
}

/// The colour of a severity.
pub(crate) fn style(severity: Severity) -> Style {
    match severity {
        Severity::Error => Style::new().red(),
        Severity::Warning => Style::new().yellow(),
        _ => Style::new().cyan(),
    }
}

fn mark(severity: Severity) -> char {
    match severity {
        Severity::Error => 'x',
        Severity::Warning => '!',
        _ => 'i',
    }
}

fn numbers(list: &[u32]) -> String {
    let list: Vec<String> = list.iter().map(u32::to_string).collect();
    list.join(", ")
}

/// Sections, one RFC after the other: `RFC 3261 §14.1, §14.2; RFC 3311 §5.3`.
fn cites(cites: &[Cite]) -> String {
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
fn seconds(span: Duration) -> String {
    match span.as_secs() {
        0..120 => format!("{:.1} s", span.as_secs_f64()),
        whole @ 120..7_200 => format!("{} min {} s", whole / 60, whole % 60),
        whole => format!("{} h {} min", whole / 3_600, whole / 60 % 60),
    }
}

/// Seconds since the call began, for the margin of a ladder.
fn offset(span: Duration) -> String {
    format!("{:.3}", span.as_secs_f64())
}

const NUMBER: usize = 4;
const TIME: usize = 9;
const MARGIN: usize = NUMBER + 1 + TIME + 1;
const STORY: usize = MARGIN + 2;
const INDENT: usize = 8;
/// Below, nothing fits.
const NARROWEST: usize = 40;
