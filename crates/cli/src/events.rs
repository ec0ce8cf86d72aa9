//! What is told while calls run: one line an event, as text for people or as JSON for programs.
//!
//! `docs/guide/events.md` describes every name; a test holds it to that.

mod convert;
mod text;

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::options::Format;

pub(crate) use convert::number;
pub(crate) use text::status_text;

/// An event as it is told. The names and fields are the JSON of `--events json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Told {
    Listening {
        on: Vec<String>,
    },
    Registered {
        expires: u64,
    },
    Unregistered,
    RegistrationFailed {
        status: u16,
        retry: Option<f64>,
    },
    Calling {
        to: String,
        call_id: String,
    },
    Incoming {
        from: String,
        display: Option<String>,
        to: String,
        call_id: String,
        offered: bool,
        media: Vec<String>,
        replaces: Option<u32>,
        referred_by: Option<String>,
    },
    Progress {
        status: u16,
        reliable: bool,
        early_dialogs: u8,
        branch: String,
    },
    Established,
    Session {
        early: bool,
        streams: Vec<StreamTold>,
    },
    Changed {
        what: Vec<&'static str>,
        method: Option<&'static str>,
        attempts: u8,
        rule: Option<&'static str>,
        why: String,
    },
    ChangeWaiting {
        rule: &'static str,
        why: &'static str,
        at_most: Option<f64>,
    },
    ChangeFailed {
        reason: &'static str,
        status: Option<u16>,
        attempts: Option<u8>,
        rule: Option<&'static str>,
    },
    PeerChanged {
        method: &'static str,
        what: Vec<&'static str>,
    },
    Offered {
        what: Vec<&'static str>,
    },
    Held {
        by: &'static str,
    },
    Resumed {
        by: &'static str,
    },
    Refreshed {
        by: &'static str,
        interval: Option<u64>,
    },
    PeerMoved,
    PeerIdentity {
        uri: String,
    },
    Referred {
        to: String,
        referred_by: Option<String>,
        attended: bool,
    },
    Transfer {
        status: u16,
        done: bool,
    },
    ReplacedBy {
        by_call: u32,
    },
    Info {
        content_type: String,
        body: String,
    },
    PeerBroke {
        rule: &'static str,
        title: &'static str,
        rfc: Vec<String>,
    },
    Suspect {
        status: u16,
    },
    Receiving {
        from: String,
        payload: u8,
    },
    Digit {
        digit: char,
        ms: u64,
    },
    Played,
    Ended {
        why: &'static str,
        by: Option<&'static str>,
        status: Option<u16>,
        reason: Option<String>,
    },
    Media {
        sent: u64,
        received: u64,
        lost: u64,
        jitter_ms: f64,
        digits: String,
    },
    Step {
        n: usize,
        text: String,
    },
    Met {
        n: usize,
        text: String,
    },
    Failed {
        what: String,
    },
    /// Something newer than this program.
    Unknown {
        text: String,
    },
}

/// A stream of the session in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct StreamTold {
    pub(crate) kind: String,
    pub(crate) codec: Option<String>,
    pub(crate) payload: Option<u8>,
    pub(crate) local: Option<String>,
    pub(crate) remote: Option<String>,
    pub(crate) sends: bool,
    pub(crate) receives: bool,
    pub(crate) held_by_us: bool,
    pub(crate) held_by_peer: bool,
}

#[derive(Serialize)]
struct Line<'t> {
    t: f64,
    call: Option<u32>,
    #[serde(flatten)]
    told: &'t Told,
}

/// One line, without its end.
pub(crate) fn line(format: Format, t: Duration, call: Option<u32>, told: &Told) -> String {
    match format {
        // Milliseconds are enough, and do not change from run to run more than they must.
        Format::Json => {
            let t = (t.as_secs_f64() * 1_000.0).round() / 1_000.0;
            serde_json::to_string(&Line { t, call, told }).unwrap_or_default()
        }
        Format::Text => text::line(t, call, told),
    }
}

/// Writes events to standard output as they happen.
#[derive(Debug)]
pub(crate) struct Teller {
    format: Format,
    start: Instant,
    /// One line at a time, whichever call it is about.
    turn: Mutex<()>,
}

impl Teller {
    pub(crate) fn new(format: Format) -> Self {
        Self { format, start: Instant::now(), turn: Mutex::new(()) }
    }

    pub(crate) fn tell(&self, call: Option<u32>, told: &Told) {
        let line = line(self.format, self.start.elapsed(), call, told);
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = anstream::stdout();
        // Whoever read this has gone away; the calls go on.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }
}

#[cfg(test)]
mod tests;
