//! From a trace to what is wrong in it, in one go.

use std::fs::File;
use std::path::Path;

use midcall_proto::rules::Severity;

use crate::model::{Call, Finding};
use crate::replay::{Analyzer, Settings};
use crate::report::stats::Stats;
use crate::source::Opener;
use crate::source::{ReadError, Source, Summary};

/// What a trace holds.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Analysis {
    /// Its calls, in the order of their beginning.
    pub calls: Vec<Call>,
    /// The numbers of all.
    pub stats: Stats,
    /// What was read.
    pub sources: Vec<Summary>,
}

impl Analysis {
    /// The findings that are at least this bad, with their calls.
    pub fn at_least(&self, severity: Severity) -> impl Iterator<Item = (&Call, &Finding)> {
        let findings =
            self.calls.iter().flat_map(|call| call.findings.iter().map(move |finding| (call, finding)));
        findings.filter(move |(_, finding)| finding.severity >= severity)
    }
}

/// Judges a capture or a log.
///
/// # Errors
/// The file cannot be read, is of no kind that is read, or breaks off in nonsense.
pub fn analyze_file(path: impl AsRef<Path>) -> Result<Analysis, ReadError> {
    let path = path.as_ref();
    let mut source = Opener::default().read(&path.to_string_lossy(), File::open(path)?)?;
    analyze(source.as_mut())
}

/// Judges a source to its end.
///
/// # Errors
/// That of the source. Whoever wants to know what came before it uses an [`Analyzer`].
pub fn analyze(source: &mut dyn Source) -> Result<Analysis, ReadError> {
    let mut analyzer = Analyzer::new(Settings::default());
    let mut calls = Vec::new();
    while let Some(read) = analyzer.read(source) {
        read?;
        calls.append(&mut analyzer.take_finished());
    }
    let (rest, stats) = analyzer.finish();
    calls.extend(rest);
    calls.sort_by_key(|call| call.number);
    Ok(Analysis { calls, stats, sources: vec![source.summary()] })
}
