//! Reads traces and prints who broke which rule: `cargo run -p midcall-analyzer --example findings -- FILE...`

use midcall_analyzer::model::Call;
use midcall_analyzer::source::{Merged, ReadError, Source, open};
use midcall_analyzer::{Analyzer, Settings};
use midcall_proto::rules::Severity;

fn main() -> Result<(), ReadError> {
    let sources = std::env::args().skip(1).map(|name| open(&name)).collect::<Result<Vec<_>, _>>()?;
    let mut source = Merged::new(sources);
    let mut analyzer = Analyzer::new(Settings::default());
    while let Some(read) = analyzer.read(&mut source) {
        read?;
        // Calls are handed out as they are over, so that a trace of any length fits.
        analyzer.take_finished().iter().for_each(show);
    }
    let (open, stats) = analyzer.finish();
    open.iter().for_each(show);
    println!("{} messages, {} calls", stats.messages, stats.calls);
    for summary in source.summaries() {
        println!("{}: {}", summary.name, summary.format);
    }
    Ok(())
}

fn show(call: &Call) {
    println!("{} {} -> {}: {}", call.call_id, call.caller.name, call.callee.name, call.worst());
    for finding in call.findings.iter().filter(|finding| finding.severity >= Severity::Warning) {
        let who = call.person(finding.by).map_or("the network", |person| person.name.as_str());
        println!("  {} by {who} in message {}: {}", finding.code, finding.at, finding.title);
        println!("    {}", finding.means);
        println!("    {}", finding.fix);
    }
}
