//! How far reading has come, on a terminal.

use std::cell::Cell;
use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};
use midcall_analyzer::source::Source;

/// A bar on standard error.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    items: Cell<u32>,
    /// Whether the report goes to the same terminal.
    shared: bool,
}

impl Progress {
    /// For files of which all sizes are known; none for small ones.
    pub(super) fn of(files: &[String]) -> Self {
        let sizes =
            files.iter().map(|name| Some(std::fs::metadata(name).ok().filter(|file| file.is_file())?.len()));
        let total =
            sizes.sum::<Option<u64>>().filter(|total| *total >= WORTH_IT && io::stderr().is_terminal());
        let bar = total.map(|total| {
            let style =
                ProgressStyle::with_template("{bar:40} {percent:>3} %  {bytes} of {total_bytes}, {eta} left");
            let bar = ProgressBar::new(total);
            style.map_or(bar.clone(), |style| bar.with_style(style))
        });
        Self { bar, items: Cell::new(0), shared: io::stdout().is_terminal() }
    }

    /// An item was read.
    pub(super) fn at(&self, source: &dyn Source) {
        let Some(bar) = &self.bar else { return };
        self.items.set(self.items.get().wrapping_add(1));
        if self.items.get().is_multiple_of(STEP) {
            bar.set_position(source.summary().bytes);
        }
    }

    /// Something is written meanwhile.
    pub(super) fn pause<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) if self.shared => bar.suspend(write),
            _ => write(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Smaller files are read at once, in bytes.
const WORTH_IT: u64 = 8 << 20;
/// So many items are read between two looks.
const STEP: u32 = 2_048;
