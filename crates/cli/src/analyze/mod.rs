//! `midcall analyze`: what went wrong in a trace, who did it, and what to change.

mod collecting;
mod export;
mod filter;
mod output;
mod progress;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Sender, channel};

use midcall_analyzer::model::Call;
use midcall_analyzer::report::text::harmless;
use midcall_analyzer::source::hep::live;
use midcall_analyzer::source::pcap::Keys;
use midcall_analyzer::source::{Item, Merged, Opener, ReadError, Source, Summary};
use midcall_analyzer::{Analyzer, Anonymizer, Settings, Stats};
use midcall_proto::rules::Severity;
use midcall_proto::time::Instant;

pub(crate) use self::export::Export;
pub(crate) use self::filter::When;

use self::filter::Filter;
use self::output::Output;
use self::progress::Progress;
use crate::options::{AnalyzeOptions, FailOn};
use crate::trouble::Trouble;

/// Reads the traces and reports. The code says whether anything was found.
pub(crate) fn run(options: &AnalyzeOptions) -> Result<ExitCode, Trouble> {
    let stop = live::Stop::default();
    let opener = opener(options)?.until(stop.clone());
    let (failed, failures) = channel();
    let collects = options.files.iter().any(|name| name.starts_with("hep:"));
    let open = |name: &String| -> Result<Box<dyn Source>, Trouble> {
        let source = if collects && is_pipe(name) {
            opener.open_later(name)
        } else {
            opener.open(name).map_err(|error| unreadable(name, &error))?
        };
        Ok(Box::new(Named { source, name: name.clone(), failed: failed.clone() }))
    };
    let sources = options.files.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    collecting::until_told(&sources, &options.files, stop.clone());
    let source = Merged::new(sources).until(stop);
    let work = Work {
        filter: Filter::of(options)?,
        output: Output::open(options, source.is_live())?,
        worst: Severity::None,
        anonymizer: options.anonymize.then(|| Anonymizer::new(0)),
    };
    let done = work.through(source, options);
    // What could be read was told all the same.
    if let Ok(trouble) = failures.try_recv() {
        return Err(trouble);
    }
    match done {
        Ok(code) => Ok(code),
        Err(Stop::Trouble(trouble)) => Err(trouble),
        // Whoever read the report may have seen enough.
        Err(Stop::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(Stop::Output(error)) => Err(unwritable(options.output.as_deref(), &error)),
    }
}

struct Work {
    filter: Filter,
    output: Output,
    worst: Severity,
    anonymizer: Option<Anonymizer>,
}

/// Why it does not go on.
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
    fn through(mut self, mut source: Merged, options: &AnalyzeOptions) -> Result<ExitCode, Stop> {
        let mut settings = Settings::default();
        settings.details = Output::needs(options);
        // Reading takes little beside judging: every core judges.
        settings.threads = std::thread::available_parallelism()
            .map_or(0, |cores| if cores.get() > 1 { cores.get() } else { 0 });
        let mut analyzer = Analyzer::new(settings);
        let progress = Progress::of(&options.files);
        let live = source.is_live();
        // What cannot be read any further is told at the end.
        while analyzer.read(&mut source).is_some() {
            let finished = analyzer.take_finished();
            let told = !finished.is_empty();
            for call in finished {
                progress.pause(|| self.call(call, analyzer.began()))?;
            }
            if told && live {
                self.output.flush()?;
            }
            progress.at(&source);
        }
        drop(progress);
        let began = analyzer.began();
        let mut stats = analyzer.finish_with(|call| self.call(call, began))?;
        let mut sources = source.summaries();
        if let Some(anonymizer) = &mut self.anonymizer {
            anonymizer.stats(&mut stats);
            anonymizer.sources(&mut sources);
        }
        self.output.finish(&sources, &stats)?;
        for (source, name) in sources.iter().zip(&options.files).filter(|(source, _)| source.cut) {
            // The name that was given, not the one that is told to others.
            broken_off(name, source.records);
        }
        if let Some(unmet) = self.filter.unmet().filter(|_| stats.calls > 0) {
            note(&format!("no call of {} is let through by {unmet}", stats.calls));
        }
        if stats.messages == 0 {
            return Err(Stop::Trouble(nothing(&sources, &stats)));
        }
        let bad = match options.fail_on {
            FailOn::Error => self.worst >= Severity::Error,
            FailOn::Warning => self.worst >= Severity::Warning,
            FailOn::Never => false,
        };
        Ok(ExitCode::from(u8::from(bad)))
    }

    fn call(&mut self, mut call: Call, began: Option<Instant>) -> io::Result<()> {
        if !self.filter.lets_through(&mut call, began) {
            return Ok(());
        }
        self.worst = self.worst.max(call.worst());
        if let Some(anonymizer) = &mut self.anonymizer {
            anonymizer.call(&mut call);
        }
        self.output.call(call)
    }
}

/// Whether nobody knows when the beginning of it comes.
fn is_pipe(name: &str) -> bool {
    name == "-" || std::fs::metadata(name).is_ok_and(|file| !file.is_file())
}

/// Says that a trace ends before its end. What came before it is good.
fn broken_off(name: &str, records: u64) {
    note(&format!(
        "{name} breaks off behind record {records}: its end is missing, so calls may look as if they had not ended; this is \
         what a capture leaves that was killed, or a copy that was stopped"
    ));
}

/// Says something beside the report.
fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "midcall: {}", harmless(text));
}

fn unwritable(path: Option<&Path>, error: &io::Error) -> Trouble {
    let what = path.map_or_else(|| "the report".to_owned(), |path| path.display().to_string());
    Trouble::not_started(
        format!("cannot write {what}"),
        error.to_string(),
        "see whether there is room and leave to write",
    )
}

/// A source that tells under its own name why it cannot be read any further.
struct Named {
    source: Box<dyn Source>,
    name: String,
    failed: Sender<Trouble>,
}

impl Source for Named {
    fn next(&mut self) -> Option<Result<Item, ReadError>> {
        let next = self.source.next();
        if let Some(Err(error)) = &next {
            // Somebody listens to the end.
            let _ = self.failed.send(unreadable(&self.name, error));
        }
        next
    }

    fn summary(&self) -> Summary {
        self.source.summary()
    }

    fn is_live(&self) -> bool {
        self.source.is_live()
    }
}

fn opener(options: &AnalyzeOptions) -> Result<Opener, Trouble> {
    let Some(path) = &options.keylog else { return Ok(Opener::default()) };
    let name = path.display();
    let text = std::fs::read(path).map_err(|error| unreadable(&name.to_string(), &error.into()))?;
    let keys = Keys::parse(&String::from_utf8_lossy(&text));
    if keys.is_empty() {
        return Err(Trouble::not_started(
            format!("no keys in {name}"),
            "a key log has lines that begin with CLIENT_RANDOM or with the name of a TLS 1.3 secret",
            "let one of the two sides write it, with SSLKEYLOGFILE or a setting of its own, while the trace is taken",
        ));
    }
    Ok(Opener::default().with_keys(keys))
}

fn unreadable(name: &str, error: &ReadError) -> Trouble {
    let (why, cure) = match error {
        ReadError::Io(error) if name.starts_with("hep:") => (
            error.to_string(),
            "give an address of this machine and a free port: hep:udp:0.0.0.0:9060".to_owned(),
        ),
        ReadError::Io(error) if error.kind() == io::ErrorKind::NotFound => {
            ("there is no such file".to_owned(), "see whether the name is right".to_owned())
        }
        ReadError::Io(error) => {
            (error.to_string(), "see whether it may be read, and whether it is whole".to_owned())
        }
        ReadError::Unknown if std::fs::metadata(name).is_ok_and(|file| file.len() == 0) => {
            ("the file is empty".to_owned(), "see whether anything was captured at all".to_owned())
        }
        ReadError::Unknown => (
            error.to_string(),
            "give a pcap or pcapng file, HEP packets, or a log in which whole SIP messages stand".to_owned(),
        ),
        ReadError::Container { name, converter } => {
            (format!("it is a {name} file"), format!("convert it: {converter}"))
        }
        _ => (error.to_string(), "see whether the file is whole".to_owned()),
    };
    Trouble::not_started(format!("cannot read {name}"), why, cure)
}

/// There is nothing to tell. Why, as far as the sources know.
fn nothing(sources: &[Summary], stats: &Stats) -> Trouble {
    let records: u64 = sources.iter().map(|source| source.records).sum();
    let mut passed_over: Vec<_> = sources.iter().flat_map(|source| &source.skipped).collect();
    passed_over.sort_by_key(|skipped| std::cmp::Reverse(skipped.count));
    let mut reasons: Vec<String> =
        passed_over.iter().take(4).map(|skipped| format!("{} {}", skipped.count, skipped.reason)).collect();
    if stats.media > 0 {
        reasons.push(format!("{} RTP packets", stats.media));
    }
    let why = match reasons.is_empty() {
        true => format!("{records} records were read"),
        false => format!("{records} records were read, among them {}", reasons.join(", ")),
    };
    let encrypted = passed_over.iter().any(|skipped| skipped.reason.contains("TLS"));
    let cure = match (encrypted, records) {
        (true, _) => {
            "give the keys with --keylog (TLS 1.2 and 1.3), or take the trace where SIP is not encrypted"
        }
        (false, 0) => "see whether anything was captured at all",
        (false, _) => "see whether the trace was taken where the signalling passes",
    };
    Trouble::not_started("0 SIP messages", why, cure)
}

fn create(path: &Path) -> Result<Box<dyn Write>, Trouble> {
    let file = File::create(path).map_err(|error| unwritable(Some(path), &error))?;
    Ok(Box::new(BufWriter::new(file)))
}
