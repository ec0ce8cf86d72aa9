//! `midcall demo`: a whole call between three agents on this machine, with every kind of change.
//!
//! Everything is real: sockets, SIP, RTP, time. The proof is in the packets: what happened is read back from the capture, not
//! from what the agents believe.

mod acts;
mod cast;
mod facts;
mod ladder;
mod narrator;

use std::io::{self, Write};
use std::path::Path;

use midcall_analyzer::{Analysis, analyze_file};
use midcall_proto::rules::Severity;
use owo_colors::OwoColorize;

use crate::options::DemoOptions;
use crate::trouble::Trouble;
use cast::Cast;
use facts::Fact;

/// Plays the demo and judges it.
pub(crate) async fn run(options: &DemoOptions) -> Result<(), Trouble> {
    let path = options.capture.as_path();
    let cast = Cast::meet(path).await?;
    let addresses = cast.addresses();
    let played = acts::play(&cast).await;
    cast.leave().await;
    played?;
    let unreadable = |error: &dyn std::fmt::Display| {
        Trouble::failed(
            format!("cannot read {}", path.display()),
            error.to_string(),
            "see whether the disk is full",
        )
    };
    let facts = facts::gather(path, &addresses).map_err(|error| unreadable(&error))?;
    let analysis = analyze_file(path).map_err(|error| unreadable(&error))?;
    // Whoever read this has gone away; the verdict stands.
    let _ = show(&facts, &analysis, path);
    judge(&facts, &analysis, path)
}

fn show(facts: &[Fact], analysis: &Analysis, path: &Path) -> io::Result<()> {
    let mut out = anstream::stdout();
    writeln!(out, "\n{}", format!("Read back from {}:", path.display()).bold())?;
    for fact in facts {
        let mark = if fact.so { "yes".green().to_string() } else { "NO ".red().bold().to_string() };
        writeln!(out, "  {mark}  {:<46} {}", fact.claim, fact.evidence.dimmed())?;
    }
    for (call, finding) in analysis.at_least(Severity::Warning) {
        let who = format!("{} at {} of call {}", finding.by, finding.at, call.number);
        writeln!(out, "  {} {}  {}", finding.code.red(), who.red(), finding.title)?;
    }
    let stats = &analysis.stats;
    let findings = stats.findings.at_least(Severity::Warning);
    let rtp = stats.media + stats.not_sip;
    writeln!(
        out,
        "\n{} messages, {findings} findings; {} calls, {rtp} media packets",
        stats.messages, stats.calls
    )
}

fn judge(facts: &[Fact], analysis: &Analysis, path: &Path) -> Result<(), Trouble> {
    let look = format!("look at {} with Wireshark", path.display());
    if let Some(fact) = facts.iter().find(|fact| !fact.so) {
        return Err(Trouble::failed(format!("not so: {}", fact.claim), fact.evidence.clone(), look));
    }
    if let Some((call, finding)) = analysis.at_least(Severity::Warning).next() {
        let place = format!("message {} of call {}", finding.at, call.number);
        return Err(Trouble::failed(
            format!("{} broken by the {} at {place}: {}", finding.code, finding.by, finding.title),
            finding.means.clone(),
            look,
        ));
    }
    Ok(())
}
