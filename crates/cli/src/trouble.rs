//! Errors for a person: what happened, why, and what to do about it.

use std::fmt;
use std::io::Write;

use midcall_analyzer::report::text::harmless;
use owo_colors::OwoColorize;

/// Something that keeps the program from doing what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// What happened.
    pub(crate) what: String,
    /// Why, with the rule if one decided.
    pub(crate) why: String,
    /// What to do.
    pub(crate) cure: String,
    pub(crate) code: Code,
}

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// The call or a step failed.
    Failed,
    /// It could not start.
    NotStarted,
}

impl Trouble {
    pub(crate) fn failed(what: impl Into<String>, why: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), cure: cure.into(), code: Code::Failed }
    }

    pub(crate) fn not_started(
        what: impl Into<String>,
        why: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self { code: Code::NotStarted, ..Self::failed(what, why, cure) }
    }

    /// Writes it to standard error.
    pub(crate) fn show(&self) {
        let mut out = anstream::stderr();
        let _ = writeln!(out, "{} {}", "midcall:".red().bold(), harmless(&self.what).bold());
        for (label, text) in [("why", &self.why), ("do", &self.cure)] {
            if !text.is_empty() {
                let _ = writeln!(out, "  {label:<4} {}", harmless(text));
            }
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  why  {}\n  do   {}", self.what, self.why, self.cure)
    }
}

impl Code {
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::NotStarted => 2,
        }
    }
}
