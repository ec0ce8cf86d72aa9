//! The table of diagnoses: what goes wrong with calls in the field, in the words of those who look after them.

mod capability;
mod dialog;
mod exchange;
mod media;
#[cfg(test)]
mod tests;

use midcall_proto::rules::{Cite, Severity};

/// A diagnosis: a way in which calls go wrong, whether or not it breaks a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Diagnosis {
    /// Its code, such as `F-SDP9`.
    pub id: &'static str,
    /// A plain title of a few words.
    pub title: &'static str,
    /// How bad it is where nothing softens it.
    pub severity: Severity,
    /// What it is found by.
    pub shown: Shown,
    /// The rules that it restates, by their codes; where one of them is broken the finding bears that code.
    pub rules: &'static [&'static str],
    /// Where it is written.
    pub cites: &'static [Cite],
    /// What it means.
    pub means: &'static str,
    /// The cure.
    pub fix: &'static str,
}

/// What a diagnosis is found by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shown {
    /// By the rules that it restates: the finding bears the code of a rule.
    Rules,
    /// By a look at the signalling beyond the rules: the finding bears the code of the diagnosis.
    Signalling,
    /// By RTP beside the signalling.
    Media,
    /// By the legs of a bridge beside each other.
    Legs,
}

/// All diagnoses, theme by theme.
///
/// ```
/// let codes: Vec<_> = midcall_analyzer::diagnosis::all().map(|diagnosis| diagnosis.id).collect();
/// assert!(codes.contains(&"F-SDP9"));
/// ```
pub fn all() -> impl Iterator<Item = &'static Diagnosis> {
    [capability::ROWS, exchange::ROWS, dialog::ROWS, media::ROWS].into_iter().flatten()
}

/// The diagnosis with this code.
#[must_use]
pub fn by_id(id: &str) -> Option<&'static Diagnosis> {
    all().find(|diagnosis| diagnosis.id == id)
}
