//! The checks for what no rule covers: diagnoses with a code of their own.
//!
//! Each looks at a whole call and says what it saw. A doubt makes it say nothing: these are meant for calls as they come in
//! from the field, and a diagnosis too many costs more than one too few.

mod ability;
mod astray;
mod course;
mod deal;
mod description;
mod hold;
#[cfg(test)]
mod limits;
mod outcome;
#[cfg(test)]
mod proof;
mod secure;
#[cfg(test)]
mod tests;
mod transfer;

use midcall_proto::observer::{Certainty, Kind, Party};
use midcall_proto::rules::Severity;
use midcall_wire::Method;

use self::deal::Deal;
use super::marks::Worded;
use super::read::Reading;
use super::table;
use super::words::advise;
use crate::model::Finding;

/// Everything that the checks find in a call.
pub(super) fn find(reading: &Reading<'_>, deals: &[Deal<'_>]) -> Vec<Finding> {
    let scene = Scene { reading, deals };
    let mut found = Vec::new();
    for look in LOOKS {
        look(&scene, &mut found);
    }
    found
}

const LOOKS: &[fn(&Scene<'_, '_>, &mut Vec<Finding>)] = &[
    ability::look,
    description::look,
    transfer::look,
    hold::look,
    secure::look,
    astray::look,
    course::look,
    outcome::look,
];

/// A call with its offers and answers.
struct Scene<'r, 'c> {
    reading: &'r Reading<'c>,
    deals: &'r [Deal<'r>],
}

impl Scene<'_, '_> {
    /// A finding with the row of the table, and its meaning in this call.
    fn found(&self, id: &'static str, by: Party, at: u32, because: &[u32], means: String) -> Finding {
        let severity = table::by_id(id).map_or(Severity::Info, |row| row.severity);
        self.weighed(severity, id, by, at, because, means)
    }

    /// The same where the trace shows more than the row alone would say.
    fn weighed(
        &self,
        severity: Severity,
        id: &'static str,
        by: Party,
        at: u32,
        because: &[u32],
        means: String,
    ) -> Finding {
        let row = table::by_id(id);
        Finding {
            code: id,
            severity,
            certainty: Certainty::Certain,
            by,
            at,
            because: because.to_vec(),
            cites: row.map_or_else(Vec::new, |row| row.cites.to_vec()),
            title: row.map_or_else(String::new, |row| row.title.to_owned()),
            means,
            fix: row.map_or_else(String::new, |row| match severity {
                // A fact worth a line blames nobody.
                Severity::Info => row.fix.to_owned(),
                _ => advise(self.reading, by, row.fix),
            }),
            consequences: Vec::new(),
            joined: None,
            worded: Worded::ByCheck,
        }
    }

    /// Whether any response has one of these statuses.
    fn says(&self, statuses: &[u16]) -> bool {
        self.reading.glances().any(|(_, glance)| glance.says(statuses))
    }

    /// The first BYE and who sent it.
    fn bye(&self) -> Option<(u32, Party)> {
        let mut originals = self.reading.glances_of_originals();
        originals.find(|(_, glance)| glance.asks(Method::Bye)).map(|(own, _)| (own.n, own.by))
    }

    /// Whether the trace shows that it lacks messages from one of these to the other: a response to nothing, or a finding that a
    /// message which is not there could explain.
    fn lacks_between(&self, from: u32, to: u32) -> bool {
        let inside = |n: u32| from < n && n <= to;
        let call = self.reading.call;
        let gap = |finding: &Finding| finding.certainty == Certainty::CaptureGap && inside(finding.at);
        call.messages.iter().any(|one| one.kind == Kind::Orphan && inside(one.n))
            || call.findings.iter().any(gap)
    }

    /// Whether the call has a finding of this code at this message already.
    fn has(&self, code: &str, at: u32) -> bool {
        self.reading.call.findings.iter().any(|finding| finding.code == code && finding.at == at)
    }
}
