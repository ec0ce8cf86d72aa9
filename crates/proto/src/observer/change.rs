//! The changes that parties asked for in a call, and what came of them.

use midcall_wire::Method;
use smallvec::{SmallVec, smallvec};

use super::dialog::ObservedDialog;
use super::finding::Party;
use crate::dialog::{Dialog, SdpRole, Seen, Way};
use crate::event::What;

/// What came of a change.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ChangeOutcome {
    /// A 2xx.
    Accepted,
    /// A final response other than 2xx.
    Refused,
    /// 491: two changes met (RFC 3261 §14.1).
    Glare,
    /// No final response was seen.
    Unanswered,
}

impl ChangeOutcome {
    /// The word that reports use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Glare => "glare",
            Self::Unanswered => "unanswered",
        }
    }
}

/// A change that a party asked for: a re-INVITE, an UPDATE, or a PRACK with an offer. An attempt that was only challenged,
/// or told to ask for a longer session interval, is one with the next.
#[derive(Clone, Debug)]
pub struct ObservedChange {
    /// The numbers of its messages.
    pub messages: SmallVec<[u32; 4]>,
    /// Who asked for it.
    pub by: Party,
    /// By which method.
    pub method: Method,
    /// What it was to change.
    pub what: Vec<What>,
    /// What came of it.
    pub outcome: ChangeOutcome,
    /// The status of its final response.
    pub status: Option<u16>,
}

/// A change that still takes messages.
#[derive(Clone, Copy, Debug)]
struct Running {
    index: usize,
    by: Party,
    method: Method,
    cseq: u32,
}

/// The changes of one call.
#[derive(Clone, Default, Debug)]
pub(super) struct Changes {
    list: Vec<ObservedChange>,
    running: SmallVec<[Running; 2]>,
    pub(super) dropped: u32,
}

impl Changes {
    pub(super) fn list(&self) -> &[ObservedChange] {
        &self.list
    }

    /// A message is about to pass in a dialog.
    pub(super) fn before(&mut self, by: Party, seen: &Seen<'_>, observed: &ObservedDialog, most: usize) {
        let dialog = &observed.side(by).base;
        match (seen.status, seen.method) {
            (None, Method::Invite | Method::Update) => self.begin(by, seen, dialog, most),
            (None, Method::Prack) if matches!(dialog.role_of_sdp(seen), SdpRole::Offer(_)) => {
                self.begin(by, seen, dialog, most);
            }
            (None, Method::Ack | Method::Cancel) => {
                if let Some(change) = self.of(by, Method::Invite, seen.cseq) {
                    note(change, seen.at.n);
                }
            }
            (Some(101..), _) => {
                let Some(change) = self.of(by.other(), seen.method, seen.cseq) else { return };
                note(change, seen.at.n);
                // An offerless re-INVITE: what changes is in the offer that it asked for.
                if change.what.is_empty() && seen.has_sdp {
                    change.what = session_changes(dialog, seen);
                }
            }
            _ => {}
        }
    }

    /// It has passed.
    pub(super) fn after(&mut self, by: Party, seen: &Seen<'_>, _: &ObservedDialog) {
        let Some(status) = seen.status.filter(|status| *status >= 200) else { return };
        let Some(change) = self.of(by.other(), seen.method, seen.cseq) else { return };
        if change.status.is_some() {
            return;
        }
        change.status = Some(status);
        change.outcome = match status {
            200..=299 => ChangeOutcome::Accepted,
            491 => ChangeOutcome::Glare,
            _ => ChangeOutcome::Refused,
        };
        if change.what.is_empty() {
            change.what.push(What::Refresh);
        }
    }

    fn begin(&mut self, by: Party, seen: &Seen<'_>, dialog: &Dialog, most: usize) {
        let mut what = session_changes(dialog, seen);
        let own = &dialog.party.ours;
        if seen.contact.is_some_and(|contact| !own.target.is_empty() && *own.target != *contact) {
            what.push(What::Target);
        }
        if seen.from_uri.is_some_and(|uri| !own.uri.is_empty() && *own.uri != *uri) {
            what.push(What::Identity);
        }
        let offerless = seen.method == Method::Invite && !seen.has_sdp;
        if what.is_empty() && !offerless {
            what.push(What::Refresh);
        }
        let again = self.list.iter().rposition(|change| change.by == by).filter(|index| {
            self.list.get(*index).is_some_and(|change| {
                change.method == seen.method && matches!(change.status, Some(401 | 407 | 422))
            })
        });
        let index = match again {
            Some(index) => {
                if let Some(change) = self.list.get_mut(index) {
                    note(change, seen.at.n);
                    (change.outcome, change.status) = (ChangeOutcome::Unanswered, None);
                }
                index
            }
            None if self.list.len() >= most => {
                self.dropped = self.dropped.saturating_add(1);
                return;
            }
            None => {
                self.list.push(ObservedChange {
                    messages: smallvec![seen.at.n],
                    by,
                    method: seen.method,
                    what,
                    outcome: ChangeOutcome::Unanswered,
                    status: None,
                });
                self.list.len() - 1
            }
        };
        if self.running.len() >= MOST_RUNNING {
            self.running.remove(0);
        }
        self.running.push(Running { index, by, method: seen.method, cseq: seen.cseq });
    }

    fn of(&mut self, by: Party, method: Method, cseq: u32) -> Option<&mut ObservedChange> {
        let running =
            self.running.iter().rfind(|one| one.by == by && one.method == method && one.cseq == cseq)?;
        self.list.get_mut(running.index)
    }
}

fn note(change: &mut ObservedChange, n: u32) {
    if change.messages.len() < MOST_MESSAGES {
        change.messages.push(n);
    }
}

/// What the sender's description changes against the one of it that is in force.
fn session_changes(dialog: &Dialog, seen: &Seen<'_>) -> Vec<What> {
    match (&dialog.offers.agreed, &seen.sdp) {
        (Some(agreed), Some(new)) => What::between(agreed.by(Way::Sent), new),
        _ => Vec::new(),
    }
}

/// The most changes that may still take messages.
const MOST_RUNNING: usize = 8;
/// The most messages that are listed of one change.
const MOST_MESSAGES: usize = 32;
