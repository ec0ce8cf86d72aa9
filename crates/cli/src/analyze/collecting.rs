//! Traces that have no end of their own: somebody says when it is enough, and what was not told yet is told then.

use std::future::ready;
use std::pin::pin;
use std::process;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use midcall_analyzer::source::Source;
use midcall_analyzer::source::hep::live::Stop;

use crate::signals::told_to_stop;

/// Lets Ctrl-C end what these sources collect, if any does, and says so; pressed again it ends the program.
pub(super) fn until_told(sources: &[Box<dyn Source>], names: &[String], stop: Stop) {
    let live: Vec<_> = sources.iter().filter(|source| source.is_live()).map(|one| one.summary()).collect();
    // Ctrl-C ends whoever writes into a pipe as well, and that ends the pipe.
    if live.is_empty() && !names.iter().any(|name| name == "-") {
        return;
    }
    let (heard, hears) = channel();
    thread::spawn(move || listen(&stop, &heard));
    if hears.recv().is_err() {
        return; // it ends the program then, as it does without us
    }
    // A pipe beside sockets is not open yet.
    for source in live.iter().filter(|source| !source.format.is_empty()) {
        eprintln!(
            "collecting {} on {}; Ctrl-C ends that and completes the report",
            source.format, source.name
        );
    }
}

/// Waits for Ctrl-C, and says as soon as it does.
fn listen(stop: &Stop, hears: &Sender<()>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    runtime.block_on(async {
        let mut told = pin!(told_to_stop());
        tokio::select! {
            biased;
            () = &mut told => {}
            () = ready(()) => {
                // Nobody may be left who wants to know.
                let _ = hears.send(());
                told.await;
            }
        }
        stop.stop();
        told_to_stop().await;
    });
    process::exit(INTERRUPTED);
}

/// 128 and the number of SIGINT, as shells have it.
const INTERRUPTED: i32 = 130;
