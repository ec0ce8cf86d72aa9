//! What is wrong with a script, shown where it is wrong.

use std::fmt;
use std::ops::Range;

/// A script that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScriptError {
    /// The line of the script it is in.
    pub(super) line: String,
    /// The offending bytes of that line.
    pub(super) at: Range<usize>,
    pub(super) what: String,
    pub(super) cure: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.line.get(..self.at.start).unwrap_or_default().chars().count();
        let marked = self.line.get(self.at.clone()).unwrap_or_default().chars().count().max(1);
        writeln!(f, "{}", self.what)?;
        writeln!(f, "  {}", self.line)?;
        writeln!(f, "  {:before$}{}", "", "^".repeat(marked))?;
        f.write_str(&self.cure)
    }
}

impl std::error::Error for ScriptError {}
