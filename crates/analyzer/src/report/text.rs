//! Text for people: what went wrong first, then the ladder, then the story.
//!
//! Colour is always written; whoever shows it where there is none strips it. What came from the wire is written so that no
//! terminal obeys it.

mod course;
mod rungs;
mod summary;
#[cfg(test)]
mod tests;
mod words;

use std::io::{self, Write};

use midcall_proto::observer::Certainty;
use midcall_proto::rules::Severity;
use owo_colors::{OwoColorize, Style};

pub use self::summary::{overview, summary};
pub use self::words::harmless;

use self::rungs::Rungs;
use self::words::{cites, colour, count, numbers, shortened};
use super::clock::{clock, seconds};
use crate::model::{Call, DiffLine, Finding};

/// How a call is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// The width of a line.
    pub width: usize,
    /// Whether the ladder and the story are wanted.
    pub ladder: bool,
}

/// Writes one call.
///
/// # Errors
/// What the writer says.
pub fn call(call: &Call, layout: Layout, out: &mut impl Write) -> io::Result<()> {
    let mut page = Page { call, width: layout.width.max(NARROWEST), out };
    page.header()?;
    for finding in &call.findings {
        page.finding(finding)?;
    }
    if layout.ladder {
        page.ladder()?;
        page.story()?;
    }
    Ok(())
}

struct Page<'p, W> {
    call: &'p Call,
    width: usize,
    out: &'p mut W,
}

impl<W: Write> Page<'_, W> {
    fn header(&mut self) -> io::Result<()> {
        let call = self.call;
        let title = format!("Call {}  {} -> {}", call.number, call.caller.name, call.callee.name);
        writeln!(self.out, "{}  {}", harmless(&title).bold(), words::verdict(call))?;
        let people = [&call.caller, &call.callee];
        let most = self.width / 3;
        let widest = |text: &dyn Fn(usize) -> usize| {
            people.iter().enumerate().map(|(i, _)| text(i)).max().unwrap_or(0)
        };
        let cell = |text: &str| shortened(&harmless(text), most);
        let rows = people.map(|person| [cell(&person.name), cell(&person.uri), person.address.to_string()]);
        for (row, person) in rows.iter().zip(people) {
            let mut line = " ".to_owned();
            for (column, text) in row.iter().enumerate() {
                let wide = widest(&|i| {
                    rows.get(i).and_then(|row| row.get(column)).map_or(0, |text| text.chars().count())
                });
                line.push_str(&format!(" {text:<wide$} "));
            }
            line.push_str(&format!(" {}", harmless(person.user_agent.as_deref().unwrap_or_default())));
            writeln!(self.out, "{}", shortened(line.trim_end(), self.width))?;
        }
        let messages = count(call.messages.len(), "message");
        let line = format!("{}, {messages}, Call-ID {}", clock(call.began()), call.call_id);
        self.paragraph(&line, 2, 4, Style::new().dimmed())?;
        self.paragraph(&course::course(call), 2, 4, Style::new().dimmed())?;
        for leg in call.legs.iter().take(MOST_LEGS) {
            let why = leg.because.join(", ");
            let line = format!("leg of one conversation with {} ({} %: {why})", leg.call_id, leg.confidence);
            self.paragraph(&line, 2, 4, Style::new().dimmed())?;
        }
        if let Some(more) = call.legs.len().checked_sub(MOST_LEGS).filter(|more| *more > 0) {
            self.paragraph(&format!("and with {}", count(more, "other")), 2, 4, Style::new().dimmed())?;
        }
        if call.dropped > 0 {
            let were = if call.dropped == 1 { "was" } else { "were" };
            let line = format!("{} of it {were} too much to be kept", count(call.dropped, "part"));
            self.paragraph(&line, 2, 4, Style::new().yellow())?;
        }
        Ok(())
    }

    fn finding(&mut self, finding: &Finding) -> io::Result<()> {
        let (call, style) = (self.call, colour(finding.severity));
        let fact = finding.severity <= Severity::Info;
        let severity = if fact { "NOTE".to_owned() } else { finding.severity.as_str().to_uppercase() };
        write!(self.out, "\n{} ", format!("{severity:<7}").style(style.bold()))?;
        let title = format!("{} {}", finding.code, finding.title);
        self.wrapped(&title, INDENT, INDENT, Style::new().bold())?;
        let who = words::whom(call, finding.by);
        let mut line = match call.message(finding.at) {
            Some(message) => {
                let at = seconds(message.at.since(call.began()));
                format!("{who}, message {} at {at} s: {}", finding.at, words::label(message))
            }
            None => who,
        };
        if !finding.because.is_empty() {
            line.push_str(&format!("; because of {}", numbers(&finding.because)));
        }
        match finding.certainty {
            Certainty::Certain => {}
            Certainty::Crossed if finding.joined.is_some() => {
                line.push_str(" (if the two calls belong together)");
            }
            Certainty::Crossed => line.push_str(" (crossed on the way: nobody may be at fault)"),
            Certainty::CaptureGap => line.push_str(" (a message that the trace lacks could explain it)"),
        }
        self.paragraph(&line, INDENT, INDENT, Style::new().cyan())?;
        self.paragraph(&finding.means, INDENT, INDENT, Style::new())?;
        if !fact {
            self.paragraph(&format!("Cure: {}", finding.fix), INDENT, INDENT + 6, Style::new().green())?;
        }
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
        let rungs = Rungs::of(call, self.width.saturating_sub(MARGIN));
        writeln!(self.out, "\n{}{}", " ".repeat(MARGIN), rungs.names().bold())?;
        writeln!(self.out, "{}{}", " ".repeat(MARGIN), rungs.addresses().dimmed())?;
        for rung in &rungs.list {
            let message = rung.message;
            let findings = call.findings.iter().filter(|finding| finding.at == message.n);
            let worst = findings.clone().map(|finding| finding.severity).max().unwrap_or(Severity::None);
            self.moment(message.n, &seconds(message.at.since(call.began())))?;
            writeln!(self.out, "{}", rungs.draw(rung, worst))?;
            for finding in findings {
                let who = words::whom(call, finding.by);
                let text = format!("{}  {} ({who})", finding.code, harmless(&finding.title));
                let text = shortened(&text, self.width.saturating_sub(MARGIN + 2));
                let mark = format!("{:>width$}", words::mark(finding.severity), width = MARGIN - 1);
                let style = colour(finding.severity);
                writeln!(self.out, "{}   {}", mark.style(style.bold()), text.style(style))?;
            }
        }
        Ok(())
    }

    fn story(&mut self) -> io::Result<()> {
        if self.call.story.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\n{}", "The session as it was agreed".bold())?;
        for moment in &self.call.story {
            self.moment(moment.n, &seconds(moment.at.since(self.call.began())))?;
            self.wrapped(&moment.what, MARGIN, STORY, Style::new())?;
            for stream in &moment.streams {
                self.paragraph(stream, STORY, STORY + 2, Style::new().cyan())?;
            }
            for line in moment.diff.lines() {
                let (line, style) = match line {
                    DiffLine::Removed(line) if !line.starts_with("o=") => {
                        (format!("- {line}"), Style::new().red())
                    }
                    DiffLine::Added(line) if !line.starts_with("o=") => {
                        (format!("+ {line}"), Style::new().green())
                    }
                    _ => continue,
                };
                let line = shortened(&harmless(&line), self.width.saturating_sub(STORY));
                writeln!(self.out, "{}{}", " ".repeat(STORY), line.style(style))?;
            }
        }
        Ok(())
    }

    /// The margin of a line: which message, and when.
    fn moment(&mut self, n: u32, at: &str) -> io::Result<()> {
        write!(self.out, "{} ", format!("{n:>NUMBER$} {at:>TIME$}").dimmed())
    }

    /// Words that fit the width.
    fn paragraph(&mut self, text: &str, first: usize, rest: usize, style: Style) -> io::Result<()> {
        write!(self.out, "{}", " ".repeat(first))?;
        self.wrapped(text, first, rest, style)
    }

    /// Words that fit the width, behind something of this width.
    fn wrapped(&mut self, text: &str, first: usize, rest: usize, style: Style) -> io::Result<()> {
        let text = harmless(text);
        let mut line = String::new();
        let mut indent = first;
        for word in text.split_whitespace() {
            let wide = line.chars().count() + word.chars().count() + 1;
            if !line.is_empty() && indent + wide > self.width {
                write!(self.out, "{}\n{}", line.style(style), " ".repeat(rest))?;
                line.clear();
                indent = rest;
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        writeln!(self.out, "{}", line.style(style))
    }
}

const NUMBER: usize = 4;
const TIME: usize = 8;
const MARGIN: usize = NUMBER + 1 + TIME + 1;
const STORY: usize = MARGIN + 2;
const INDENT: usize = 8;
/// The most legs that are listed.
const MOST_LEGS: usize = 4;
/// Below, nothing fits.
const NARROWEST: usize = 40;
