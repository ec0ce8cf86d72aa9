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

pub(super) use self::transaction::unknown_rack;

use super::dialog::{Claim, ObservedDialog, Passing};
use super::finding::Party;
use super::side::Patience;
use super::trace::{Facts, Transactions};
use crate::time::Instant;

/// What the signs of one dialog remember.
#[derive(Clone, Default, Debug)]
pub(super) struct Memory {}

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
pub(super) fn note(_observed: &mut ObservedDialog, _passing: &Passing<'_>) {}

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
    _observed: &mut ObservedDialog,
    _now: Instant,
    _patience: &Patience,
    _trace: &Transactions,
    _found: &mut Vec<Claim>,
) {
}

/// When [`overdue`] may have something to tell.
pub(super) fn next(_observed: &ObservedDialog, _patience: &Patience) -> Option<Instant> {
    None
}
