//! Verbs from the keyboard, or from a pipe, when there is no script.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use owo_colors::OwoColorize;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::run::Run;
use crate::options::Format;
use crate::script::{Script, help};

/// Reads lines and gives them to the newest call that is not over.
pub(super) struct Prompt {
    calls: Option<Arc<Mutex<Vec<Run>>>>,
}

impl Prompt {
    /// Begins to read if it is to be open.
    pub(super) fn new(open: bool, format: Format) -> Self {
        if !open {
            return Self { calls: None };
        }
        let calls = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(read(Arc::clone(&calls), format));
        Self { calls: Some(calls) }
    }

    pub(super) fn is_open(&self) -> bool {
        self.calls.is_some()
    }

    /// Verbs go to this call from now on.
    pub(super) fn attend(&self, run: &Run) {
        if let Some(calls) = &self.calls {
            calls.lock().unwrap_or_else(PoisonError::into_inner).push(run.clone());
        }
    }
}

async fn read(calls: Arc<Mutex<Vec<Run>>>, format: Format) {
    let terminal = std::io::stdin().is_terminal() && format == Format::Text;
    if terminal {
        note("verbs such as hold, resume, bye; `help` lists them; Ctrl-C hangs up");
    }
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    // The end of the input is no order: the call goes on until somebody hangs up.
    while let Ok(Some(line)) = lines.next_line().await {
        match line.trim() {
            "" => {}
            "help" | "?" => help(),
            line => match Script::parse(line) {
                Ok(script) => {
                    let run = {
                        let mut calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
                        calls.retain(|run| !run.is_over());
                        calls.last().cloned()
                    };
                    match run {
                        Some(run) => run.order(&script).await,
                        None => note("there is no call"),
                    }
                }
                Err(error) => note(&error.to_string()),
            },
        }
    }
    if terminal {
        note("no more verbs; Ctrl-C hangs up");
    }
}

fn help() {
    let verbs = help::verbs(|verb| verb.cyan().to_string());
    let _ = write!(anstream::stderr(), "{verbs}\nWHAT: {}\n", help::expectations());
}

fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "{}", text.dimmed());
}
