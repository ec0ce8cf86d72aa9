//! From a trace to what is wrong in it, in one go.

use std::path::Path;

use midcall_proto::rules::Severity;

use crate::model::{Call, Finding};
use crate::replay::{Analyzer, Settings};
use crate::report::stats::Stats;
use crate::source::pcap::Pcap;
use crate::source::{Item, ReadError, Source};

/// What a trace holds.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Analysis {
    /// Its calls, in the order of their beginning.
    pub calls: Vec<Call>,
    /// The numbers of all.
    pub stats: Stats,
}

impl Analysis {
    /// The findings that are at least this bad, with their calls.
    pub fn at_least(&self, severity: Severity) -> impl Iterator<Item = (&Call, &Finding)> {
        let findings =
            self.calls.iter().flat_map(|call| call.findings.iter().map(move |finding| (call, finding)));
        findings.filter(move |(_, finding)| finding.severity >= severity)
    }
}

/// Judges a capture file.
///
/// # Errors
/// The file cannot be read, is no capture, or breaks off in nonsense.
pub fn analyze_file(path: impl AsRef<Path>) -> Result<Analysis, ReadError> {
    let mut pcap = Pcap::open(path)?;
    analyze(std::iter::from_fn(|| pcap.next()))
}

/// Judges the items of a trace.
///
/// # Errors
/// The first error of the source.
pub fn analyze(items: impl Iterator<Item = Result<Item, ReadError>>) -> Result<Analysis, ReadError> {
    let mut analyzer = Analyzer::new(Settings::default());
    let mut calls = Vec::new();
    for item in items {
        analyzer.push(item?);
        calls.append(&mut analyzer.take_finished());
    }
    let (rest, stats) = analyzer.finish();
    calls.extend(rest);
    calls.sort_by_key(|call| call.number);
    Ok(Analysis { calls, stats })
}
