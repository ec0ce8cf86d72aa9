//! What all calls of a trace come to: an overview in front, numbers behind.

use std::io::{self, Write};

use midcall_proto::rules::{Rule, Severity};
use owo_colors::OwoColorize;

use super::words::{colour, count, harmless, shortened, verdict};
use crate::diagnosis;
use crate::model::Call;
use crate::report::clock::put_right;
use crate::report::stats::{Stats, Tally};
use crate::source::Summary;

/// Writes a line for each call, or for several of which the same is to be said.
///
/// # Errors
/// What the writer says.
pub fn overview(calls: &[Call], width: usize, out: &mut impl Write) -> io::Result<()> {
    let names = |call: &Call| harmless(&format!("{} -> {}", call.caller.name, call.callee.name));
    let most = (width / 2).max(10);
    let wide = calls.iter().map(|call| names(call).chars().count()).max().unwrap_or_default().min(most);
    let mut lines: Vec<(String, u32, u64)> = Vec::new();
    for call in calls {
        let worst = call.findings.iter().find(|finding| finding.severity >= Severity::Warning);
        let first = worst.map(|finding| format!(": {} {}", finding.code, harmless(&finding.title)));
        let names = shortened(&names(call), most);
        let line = format!("{names:<wide$}  {}{}", verdict(call), first.unwrap_or_default());
        match lines.iter_mut().find(|(known, ..)| *known == line) {
            Some((.., more)) => *more += 1,
            None => lines.push((line, call.number, 0)),
        }
    }
    writeln!(out, "{}", count(calls.len(), "call").bold())?;
    for (line, number, more) in lines {
        let more =
            if more > 0 { format!(", and so {more} more").dimmed().to_string() } else { String::new() };
        writeln!(out, "{number:>4}  {line}{more}")?;
    }
    Ok(())
}

/// Writes what was read and how often what was found.
///
/// # Errors
/// What the writer says.
pub fn summary(sources: &[Summary], stats: &Stats, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", "All in all".bold())?;
    let calls = count(stats.calls, "call");
    let with = |severity, count: u64, words: &str| {
        (count > 0).then(|| format!("{count} {words}").style(colour(severity)).to_string())
    };
    let clean = stats.worst.none + stats.worst.info;
    let parts = [
        with(Severity::Error, stats.worst.error, "with errors"),
        with(Severity::Warning, stats.worst.warning, "with warnings"),
        (clean > 0).then(|| format!("{clean} clean").green().to_string()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    writeln!(out, "  {calls} in {}{parts}", count(stats.messages, "message"))?;
    if stats.calls > 1 {
        rankings(stats, out)?;
    }
    for (number, noun, more) in [
        (stats.outside, "message", " outside calls (registrations and the like)"),
        (stats.not_sip, "packet", " without SIP"),
        (stats.media, "RTP packet", ""),
        (stats.media_dropped, "RTP packet", " not looked at: too many streams at once"),
        (stats.calls_dropped, "call", " let go before its end: too many at once"),
        (stats.messages_dropped, "message", " not kept: too much"),
    ] {
        if number > 0 {
            writeln!(out, "  {}", format!("{}{more}", count(number, noun)).dimmed())?;
        }
    }
    for source in sources {
        let format = if source.format.is_empty() { String::new() } else { format!(" ({})", source.format) };
        let line = format!("{}{format}: {}", harmless(&source.name), count(source.records, "record"));
        writeln!(out, "  {}", line.dimmed())?;
        if let Some(clock) = put_right(source) {
            writeln!(out, "    {}", clock.yellow())?;
        }
        for skipped in &source.skipped {
            writeln!(out, "    {}", format!("{} {}", skipped.count, skipped.reason).yellow())?;
        }
    }
    Ok(())
}

fn rankings(stats: &Stats, out: &mut impl Write) -> io::Result<()> {
    let title = |code: &str| match (Rule::by_code(code), diagnosis::by_id(code)) {
        (Some(rule), _) => rule.title,
        (None, Some(diagnosis)) => diagnosis.title,
        (None, None) => "",
    };
    ranking("by rule", &stats.by_rule, |code| format!("{code}  {}", title(code)), out)?;
    ranking("by program", &stats.by_user_agent, |name| harmless(name), out)?;
    ranking("by address", &stats.by_peer, ToString::to_string, out)
}

fn ranking<K: std::hash::Hash + Ord + Clone>(
    title: &str,
    tally: &Tally<K>,
    name: impl Fn(&K) -> String,
    out: &mut impl Write,
) -> io::Result<()> {
    let ranked = tally.ranked();
    if ranked.is_empty() {
        return Ok(());
    }
    writeln!(out, "  {}", title.bold())?;
    for (key, number) in ranked.iter().take(MOST_LINES) {
        writeln!(out, "  {number:>6}  {}", name(key))?;
    }
    let rest: u64 = ranked.iter().skip(MOST_LINES).map(|(_, number)| number).sum::<u64>() + tally.others;
    if rest > 0 {
        writeln!(out, "  {rest:>6}  others")?;
    }
    Ok(())
}

/// The most lines of a ranking.
const MOST_LINES: usize = 10;
