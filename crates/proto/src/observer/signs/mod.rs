//! What no dialog by itself can judge: signs of a breach in transactions, in times, in what the parties did before and after.
//!
//! One file per theme, each with the same four places to look from. They are asked in this order:
//! - `look`: a new message passes; both views are as they were before it. What is found goes through the same doubts as
//!   a breach of the dialog.
//! - `note`: it has passed and is recorded; what later looks need is written down in the theme's part of [`Memory`].
//! - `again`: a message was sent again.
//! - `overdue`: time passed; `next` says when that may have something to tell.
//!
//! A theme has only those that it needs. What a theme remembers is bounded, and takes no room while nothing happened.

mod bridge;
mod dialog;
mod offer;
mod race;
mod refer;
mod security;
mod timer;
mod transaction;

pub(super) use self::race::success_after_bye;
pub(super) use self::security::carry;
pub(super) use self::timer::was_unasked;
pub(super) use self::transaction::unknown_rack;

use super::dialog::{Claim, ObservedDialog, Passing};
use super::finding::Party;
use super::side::Patience;
use super::trace::{Facts, Transactions};
use crate::time::Instant;

/// What the signs of one dialog remember.
#[derive(Clone, Default, Debug)]
pub(super) struct Memory {
    timer: Option<Box<timer::Memory>>,
    refer: Option<Box<refer::Memory>>,
    race: Option<Box<race::Memory>>,
    security: security::Memory,
}

/// A new message passes.
pub(super) fn look(observed: &ObservedDialog, passing: &Passing<'_>, found: &mut Vec<Claim>) {
    transaction::look(observed, passing, found);
    dialog::look(observed, passing, found);
    offer::look(observed, passing, found);
    timer::look(observed, passing, found);
    refer::look(observed, passing, found);
    race::look(observed, passing, found);
    bridge::look(observed, passing, found);
    security::look(observed, passing, found);
}

/// It has passed.
pub(super) fn note(observed: &mut ObservedDialog, passing: &Passing<'_>) {
    timer::note(observed, passing);
    refer::note(observed, passing);
    race::note(observed, passing);
    security::note(observed, passing);
}

/// A message of this party was sent again.
pub(super) fn again(
    _observed: &mut ObservedDialog,
    _by: Party,
    _facts: &Facts<'_>,
    _trace: &Transactions,
    _patience: &Patience,
    _found: &mut Vec<Claim>,
) {
}

/// Time passed.
pub(super) fn overdue(
    observed: &mut ObservedDialog,
    now: Instant,
    patience: &Patience,
    trace: &Transactions,
    found: &mut Vec<Claim>,
) {
    race::overdue(observed, now, patience, trace, found);
}

/// When [`overdue`] may have something to tell.
pub(super) fn next(observed: &ObservedDialog, _: &Patience) -> Option<Instant> {
    race::next(observed)
}
