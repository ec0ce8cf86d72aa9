//! `midcall analyze`: what went wrong in a trace, who did it, and what to change.

mod export;
mod filter;
mod output;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use midcall_analyzer::source::pcap::Pcap;
use midcall_analyzer::source::{ReadError, Source, Summary};
use midcall_analyzer::{Analyzer, Anonymizer, Settings, Stats};
use midcall_proto::rules::Severity;

pub(crate) use self::export::Export;
pub(crate) use self::filter::When;

use self::filter::Filter;
use self::output::Output;
use crate::options::{AnalyzeOptions, FailOn};
use crate::trouble::Trouble;

/// Reads the traces and reports. The code says whether anything was found.
pub(crate) fn run(options: &AnalyzeOptions) -> Result<ExitCode, Trouble> {
    let mut work =
        Work {
            filter: Filter::of(options),
            output: Output::open(options)?,
            worst: Severity::None,
            anonymizer: options.anonymize.then(|| Anonymizer::new(0)),
        };
    let (mut sources, mut stats) = match work.through(options) {
        Ok(read) => read,
        Err(Stop::Trouble(trouble)) => return Err(trouble),
        Err(Stop::Output(error)) => return ended(&error, options),
    };
    if let Some(anonymizer) = &mut work.anonymizer {
        anonymizer.stats(&mut stats);
        anonymizer.sources(&mut sources);
    }
    match work.output.finish(&sources, &stats) {
        Ok(()) => {}
        Err(Stop::Trouble(trouble)) => return Err(trouble),
        Err(Stop::Output(error)) => return ended(&error, options),
    }
    if stats.messages == 0 {
        return Err(nothing(&sources, &stats));
    }
    let found = match options.fail_on {
        FailOn::Error => work.worst >= Severity::Error,
        FailOn::Warning => work.worst >= Severity::Warning,
        FailOn::Never => false,
    };
    Ok(ExitCode::from(u8::from(found)))
}

struct Work {
    filter: Filter,
    output: Output,
    worst: Severity,
    anonymizer: Option<Anonymizer>,
}

/// Why no more is read.
enum Stop {
    Trouble(Trouble),
    Output(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Work {
    fn through(&mut self, options: &AnalyzeOptions) -> Result<(Vec<Summary>, Stats), Stop> {
        let mut settings = Settings::default();
        settings.details = Output::needs(options);
        let mut analyzer = Analyzer::new(settings);
        let mut sources = Vec::new();
        for name in &options.files {
            let trouble = |error: &ReadError| Stop::Trouble(unreadable(name, error));
            let mut pcap = Pcap::open(name).map_err(|error| trouble(&error))?;
            while let Some(item) = pcap.next() {
                let item = item.map_err(|error| trouble(&error))?;
                self.filter.passes(item.at());
                analyzer.push(item);
                for call in analyzer.take_finished() {
                    self.call(call).map_err(Stop::Output)?;
                }
            }
            sources.push(Summary { name: name.clone(), ..pcap.summary() });
        }
        let (calls, stats) = analyzer.finish();
        for call in calls {
            self.call(call).map_err(Stop::Output)?;
        }
        Ok((sources, stats))
    }

    fn call(&mut self, mut call: midcall_analyzer::model::Call) -> io::Result<()> {
        if !self.filter.lets_through(&mut call) {
            return Ok(());
        }
        self.worst = self.worst.max(call.worst());
        if let Some(anonymizer) = &mut self.anonymizer {
            anonymizer.call(&mut call);
        }
        self.output.call(call)
    }
}

/// The report cannot be written on. Whoever read it may have seen enough.
fn ended(error: &io::Error, options: &AnalyzeOptions) -> Result<ExitCode, Trouble> {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(ExitCode::SUCCESS);
    }
    Err(unwritable(options.output.as_deref(), error))
}

fn unwritable(path: Option<&Path>, error: &io::Error) -> Trouble {
    let what = path.map_or_else(|| "the report".to_owned(), |path| path.display().to_string());
    Trouble::not_started(
        format!("cannot write {what}"),
        error.to_string(),
        "see whether there is room and leave to write",
    )
}

fn unreadable(name: &str, error: &ReadError) -> Trouble {
    let cure = match error {
        ReadError::Io(error) if error.kind() == io::ErrorKind::NotFound => "see whether the name is right",
        ReadError::Io(_) => "see whether it may be read",
        ReadError::Unknown => "give a pcap or pcapng file",
        _ => "",
    };
    Trouble::not_started(format!("cannot read {name}"), error.to_string(), cure)
}

fn nothing(sources: &[Summary], stats: &Stats) -> Trouble {
    let records: u64 = sources.iter().map(|source| source.records).sum();
    Trouble::not_started(
        "0 SIP messages",
        format!("{records} records were read, {} of them no SIP", stats.not_sip),
        "see whether the capture was taken where the signalling passes, and whether that is encrypted",
    )
}

fn create(path: &Path) -> Result<Box<dyn Write>, Trouble> {
    let file = File::create(path).map_err(|error| unwritable(Some(path), &error))?;
    Ok(Box::new(BufWriter::new(file)))
}
