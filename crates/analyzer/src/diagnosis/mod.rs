//! From raw findings to what a support engineer reads.
//!
//! A finding of the observer names a rule, a party and message numbers. Here it gets words with the values of its call; what
//! only followed from it moves under it; and calls are looked at for what goes wrong without breaking a rule of the table.
//!
//! [`all`] lists the diagnoses. Those that restate rules are found under the codes of the rules (`UP-13`), the rest under
//! codes of their own (`F-SDP9`).
//!
//! # What signalling cannot show
//! - Whether media flows: that a call is silent, or that RTP follows a change, shows only where the trace has RTP
//!   (F-OA12, F-SDP16).
//! - Which payload numbers are really sent: that offer and answer differ (F-SDP8) is legal, and only RTP tells who minds.
//! - Whether someone on the way corrects an address, a Contact or a route: F-SDP12 and F-DLG6 are likely, and sure only where
//!   requests or media are seen to go astray.
//! - Why someone hung up. That a BYE follows a refusal (F-GLR8) or comes after a round time (F-STM10, F-HLD8) is a hint.
//! - What a proxy saw: at one tap a message may be there that never arrived, and one may have gone past it. What is
//!   missing is told only where resends or an end show that it was missed (F-DLG1, F-REL1, F-DLG13).
//! - Whether a header was lost between hops (F-STM7) or a leg stayed up (F-DLG17), where only one of them is in the trace.
//! - What happened before the trace begins: F-CPT1 says so, and nothing is concluded from it.

mod cause;
mod doubt;
mod exchange;
mod marks;
mod own;
mod read;
mod table;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use self::doubt::doubt;
pub(crate) use self::exchange::{Deal, Exchange, deals, read as exchanges};
pub(crate) use self::marks::{Marked, Worded, read as unmarked, renamed};
pub(crate) use self::read::{Reading, capital, seconds};
pub use self::table::{Diagnosis, Shown, all, by_id};
pub(crate) use self::words::advise_one;

use crate::model::{Call, Finding};

/// What no rule covers in a call with these exchanges.
pub(crate) fn find(reading: &Reading<'_>, deals: &[Deal<'_>]) -> Vec<Finding> {
    own::find(reading, deals)
}

/// Says all findings in the words of the call, and puts consequences under their cause; once.
pub(crate) fn tell(call: &mut Call) {
    if call.findings.is_empty() || !call.found.is_empty() {
        return;
    }
    let reading = Reading::new(call);
    let mut findings = call.findings.clone();
    for finding in &mut findings {
        words::tell(&reading, finding);
    }
    let told = cause::sort(&reading, findings);
    call.found = std::mem::replace(&mut call.findings, told);
}

/// Words anew what the checks of a call found in it, now that its messages name others.
pub(crate) fn check_again(call: &mut Call) {
    if !call.findings.iter().any(|finding| finding.worded == Worded::ByCheck) {
        return;
    }
    let (checked, others) = std::mem::take(&mut call.findings)
        .into_iter()
        .enumerate()
        .partition::<Vec<_>, _>(|(_, finding)| finding.worded == Worded::ByCheck);
    call.findings = others.iter().map(|(_, finding)| finding.clone()).collect();
    let fresh = {
        let reading = Reading::new(call);
        find(&reading, &deals(&reading))
    };
    let checked = checked.into_iter().map(|(place, mut finding)| {
        let same =
            |other: &&Finding| (other.code, other.at, other.by) == (finding.code, finding.at, finding.by);
        // A check that saw more than what is kept of the call says what the table says.
        let row = || by_id(finding.code).map(|row| (row.title, row.means, row.fix)).unwrap_or_default();
        let (title, means, fix) = match fresh.iter().find(same) {
            Some(fresh) => (fresh.title.as_str(), fresh.means.as_str(), fresh.fix.as_str()),
            None => row(),
        };
        (finding.title, finding.means, finding.fix) = (title.to_owned(), means.to_owned(), fix.to_owned());
        (place, finding)
    });
    let mut all: Vec<(usize, Finding)> = others.into_iter().chain(checked).collect();
    all.sort_by_key(|(place, _)| *place);
    call.findings = all.into_iter().map(|(_, finding)| finding).collect();
}
