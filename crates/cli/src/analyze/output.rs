//! Where reports go, and in which form.

use std::io::{self, BufWriter, IsTerminal, Write};

use midcall_analyzer::model::Call;
use midcall_analyzer::report::{html, json, mermaid, text};
use midcall_analyzer::source::Summary;
use midcall_analyzer::{Details, Stats};
use midcall_proto::rules::Severity;

use super::export::{Choice, Export};
use super::{Stop, create};
use crate::options::{AnalyzeFormat, AnalyzeOptions, LadderOf};
use crate::trouble::Trouble;

/// A report that grows call by call.
pub(super) enum Output {
    Text(Text),
    Json(json::Writer<Box<dyn Write>>),
    Page(Page),
    Export(Export, Box<Choice>, Box<dyn Write>),
}

impl Output {
    /// Of which calls the details are worked out before they come here.
    pub(super) const fn needs(options: &AnalyzeOptions) -> Details {
        match options.format {
            _ if options.export.is_some() => Details::All,
            // Of most calls a text tells nothing.
            AnalyzeFormat::Text => Details::From(Severity::Warning),
            AnalyzeFormat::Json | AnalyzeFormat::Html | AnalyzeFormat::Mermaid => Details::All,
        }
    }

    /// Calls of a `live` trace are shown as they are told: who waits for its end may wait for ever.
    pub(super) fn open(options: &AnalyzeOptions, live: bool) -> Result<Self, Trouble> {
        let plain = |out: Box<dyn Write>| Box::new(anstream::AutoStream::never(out)) as Box<dyn Write>;
        let bare = || match &options.output {
            Some(path) => create(path),
            None => Ok(Box::new(BufWriter::new(io::stdout())) as Box<dyn Write>),
        };
        if let Some(export) = options.export {
            return Ok(Self::Export(export, Box::default(), bare()?));
        }
        match options.format {
            AnalyzeFormat::Html | AnalyzeFormat::Mermaid => {
                let diagram = options.format == AnalyzeFormat::Mermaid;
                Ok(Self::Page(Page { out: bare()?, diagram, calls: Vec::new(), room: ROOM, left_out: 0 }))
            }
            AnalyzeFormat::Text => {
                let out = match &options.output {
                    Some(path) => plain(create(path)?),
                    None => Box::new(BufWriter::new(anstream::stdout())),
                };
                Ok(Self::Text(Text {
                    out,
                    width: width(options),
                    ladder: options.ladder,
                    waiting: (!live).then(Vec::new),
                    shown: if live { 0 } else { FEW },
                }))
            }
            AnalyzeFormat::Json => json::Writer::new(bare()?)
                .map(Self::Json)
                .map_err(|error| super::unwritable(options.output.as_deref(), &error)),
        }
    }

    pub(super) fn call(&mut self, call: Call) -> io::Result<()> {
        match self {
            Self::Text(text) => text.call(call),
            Self::Json(json) => json.call(&call),
            Self::Page(page) => {
                page.call(call);
                Ok(())
            }
            Self::Export(_, choice, _) => {
                choice.take(call);
                Ok(())
            }
        }
    }

    /// What was told until now is to be seen.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Text(text) => text.out.flush(),
            Self::Json(json) => json.flush(),
            // They are written when all is known.
            Self::Page(_) | Self::Export(..) => Ok(()),
        }
    }

    pub(super) fn finish(self, sources: &[Summary], stats: &Stats) -> Result<(), Stop> {
        match self {
            Self::Text(text) => text.finish(sources, stats)?,
            Self::Json(json) => json.finish(sources, stats)?.flush()?,
            Self::Page(page) => page.finish(sources)?,
            Self::Export(export, choice, mut out) => {
                let Some((call, told)) = choice.made() else {
                    return Err(Stop::Trouble(Trouble::not_started(
                        "there is no call to write",
                        "no call of the trace is let through",
                        "ask for fewer conditions",
                    )));
                };
                let text = export.of(&call).map_err(Stop::Trouble)?;
                if let Some(told) = told {
                    let _ = writeln!(anstream::stderr(), "midcall: {told}");
                }
                out.write_all(text.as_bytes())?;
                out.flush()?;
            }
        }
        Ok(())
    }
}

/// A page, or diagrams: written when all is known.
pub(super) struct Page {
    out: Box<dyn Write>,
    diagram: bool,
    calls: Vec<Call>,
    /// How many bytes of messages still fit.
    room: usize,
    left_out: u64,
}

impl Page {
    /// Keeps a call. Where there is no room, those go in which nothing went wrong.
    fn call(&mut self, call: Call) {
        let weight = |call: &Call| call.messages.iter().map(|message| message.raw.len() + 500).sum::<usize>();
        let needed = weight(&call);
        while self.calls.len() >= MOST || self.room < needed {
            let bad = call.worst() >= Severity::Warning;
            let fine = self.calls.iter().position(|own| own.worst() < Severity::Warning);
            self.left_out += 1;
            let Some(fine) = fine.filter(|_| bad) else { return };
            self.room += weight(&self.calls.swap_remove(fine));
        }
        self.room -= needed;
        self.calls.push(call);
    }

    fn finish(mut self, sources: &[Summary]) -> io::Result<()> {
        self.calls.sort_by_key(|call| call.number);
        let text = if self.diagram {
            mermaid::document(&self.calls)
        } else {
            html::page(&self.calls, sources, self.left_out)
        };
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

/// Text: few calls in the order of their beginning; many, and those of a live trace, as they are found to be over.
pub(super) struct Text {
    out: Box<dyn Write>,
    width: usize,
    ladder: Option<LadderOf>,
    /// The first calls, as long as there are few.
    waiting: Option<Vec<Call>>,
    /// How many calls of a live trace were shown, up to [`FEW`].
    shown: usize,
}

/// How much is shown of a call in which nothing was found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clean {
    Whole,
    Head,
    Nothing,
}

impl Text {
    fn call(&mut self, call: Call) -> io::Result<()> {
        match &mut self.waiting {
            Some(waiting) if waiting.len() < FEW => {
                waiting.push(call);
                return Ok(());
            }
            Some(waiting) => {
                let waiting = std::mem::take(waiting);
                self.waiting = None;
                for call in waiting {
                    self.show(call, Clean::Nothing)?;
                }
            }
            None => {}
        }
        let clean = match self.shown {
            ..ALONE => Clean::Whole,
            ALONE..FEW => Clean::Head,
            FEW.. => Clean::Nothing,
        };
        self.shown = FEW.min(self.shown + 1);
        self.show(call, clean)
    }

    /// Writes a call, unless there is nothing to say of it.
    fn show(&mut self, mut call: Call, clean: Clean) -> io::Result<()> {
        let bad = call.worst() >= Severity::Warning;
        let ladder = match self.ladder {
            Some(LadderOf::All) => true,
            Some(LadderOf::Bad) => bad,
            Some(LadderOf::None) => false,
            None => bad || clean == Clean::Whole,
        };
        if !(bad || ladder) && clean == Clean::Nothing {
            return Ok(());
        }
        if ladder {
            call.work_out();
        } else {
            call.put_in_words();
        }
        text::call(&call, text::Layout { width: self.width, ladder }, &mut self.out)?;
        writeln!(self.out)
    }

    fn finish(mut self, sources: &[Summary], stats: &Stats) -> io::Result<()> {
        let mut waiting = self.waiting.take().unwrap_or_default();
        waiting.sort_by_key(|call| call.number);
        if waiting.len() > 1 {
            text::overview(&waiting, self.width, &mut self.out)?;
            writeln!(self.out)?;
        }
        let clean = if waiting.len() <= ALONE { Clean::Whole } else { Clean::Nothing };
        for call in waiting {
            self.show(call, clean)?;
        }
        text::summary(sources, stats, &mut self.out)?;
        self.out.flush()
    }
}

/// The width of the terminal.
fn width(options: &AnalyzeOptions) -> usize {
    let terminal =
        (options.output.is_none() && io::stdout().is_terminal()).then(terminal_size::terminal_size);
    terminal.flatten().map_or(80, |(width, _)| usize::from(width.0))
}

/// So many calls are put in the order of their beginning.
const FEW: usize = 100;
/// So many calls show their ladder without being asked.
const ALONE: usize = 3;
/// So many calls have room on a page.
const MOST: usize = 2_000;
/// And so many bytes of messages.
const ROOM: usize = 64 << 20;
