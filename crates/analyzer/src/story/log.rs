//! What the dialogs of a call go through, noted while it is observed: enough to put it into words later.

use std::sync::Arc;
use std::time::Duration;

use midcall_proto::dialog::{Dialog, InviteState, Offers, Sided, Way};
use midcall_proto::observer::{Kind, ObservedCall};
use midcall_wire::sdp::Sdp;

/// The turns that the dialogs of a call took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    looks: Vec<Look>,
    pub(super) turns: Vec<Turn>,
    /// Descriptions that stand in no message.
    pub(super) alone: Vec<Sdp>,
    /// How many messages of the call were noticed.
    noticed: usize,
    /// Whether messages reached the dialogs in another order than they came: then it says nothing.
    broken: bool,
}

/// Something that became another in a dialog.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    /// The observer's number of the message with which it was noticed.
    pub(super) n: u32,
    /// Which of the dialogs.
    pub(super) dialog: u16,
    pub(super) what: What,
}

/// What became another, with the observer's numbers of messages.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// The usage: before and now.
    Usage(InviteState, InviteState),
    /// An offer, the last description of its side and the one in force.
    Offer { by: Way, on: u32, new: Said, last: Said, agreed: Option<Said> },
    /// An exchange was completed: what is in force, and the last two descriptions of the side that answered.
    Agreed { offerer: Way, on: u32, agreed: Sided<Said>, last: Option<Said>, new: Option<Said> },
    /// A side is reached elsewhere.
    Target(Way, Arc<str>),
    /// A side is somebody else.
    Identity(Way, Arc<str>),
    /// The session timer, and the message that set it.
    Timer { running: Option<(Duration, Way)>, set_by: Option<u32> },
    /// A REFER of this side.
    Refer { by: Way, on: u32 },
    /// What is reported of a REFER, in which message.
    Report { by: Way, on: u32, status: u16, notified_on: Option<u32> },
}

/// A description: the observer's number of the message that has it. Calls live long, and their messages are kept anyway.
#[derive(Clone, Copy, Debug)]
pub(super) enum Said {
    In(u32),
    /// What stands in none of the last messages: its place in [`Log::alone`].
    Alone(u32),
}

impl Log {
    /// Looks at a call behind the message that was observed last, which has this number.
    pub(crate) fn notice(&mut self, call: &ObservedCall, n: u32) {
        let messages = call.messages();
        if self.broken || messages.len() == self.noticed {
            return; // nothing, or a message that waits: its call is noticed to go on without it
        }
        let last = messages.last().filter(|last| messages.len() == self.noticed + 1 && last.n == n);
        let Some(last) = last else {
            *self = Self { broken: true, ..Self::default() };
            return;
        };
        self.noticed += 1;
        // Copies reach no dialog.
        if !matches!(last.kind, Kind::Again { .. }) {
            self.look(call, n);
        }
    }

    /// Whether it is all that went on in this call.
    pub(crate) fn is_of(&self, call: &ObservedCall) -> bool {
        !self.broken && self.noticed == call.messages().len()
    }

    /// Notes what became another in the dialogs with a message.
    pub(super) fn look(&mut self, call: &ObservedCall, n: u32) {
        for (dialog, observed) in call.dialogs().iter().enumerate() {
            if self.looks.len() <= dialog {
                self.looks.reserve_exact(1); // there is seldom a second
                self.looks.push(Look::default());
            }
            if let Some(look) = self.looks.get_mut(dialog) {
                let dialog = u16::try_from(dialog).unwrap_or(u16::MAX);
                let mut notes = Notes { n, dialog, turns: &mut self.turns, alone: &mut self.alone };
                look.compare(&observed.of_caller(), &mut notes);
            }
        }
    }
}

/// Where it is noted what a message made of a dialog.
struct Notes<'l> {
    n: u32,
    dialog: u16,
    turns: &'l mut Vec<Turn>,
    alone: &'l mut Vec<Sdp>,
}

impl Notes<'_> {
    fn note(&mut self, what: What) {
        if self.turns.len() == self.turns.capacity() {
            self.turns.reserve_exact(2 + self.turns.len() / 8);
        }
        self.turns.push(Turn { n: self.n, dialog: self.dialog, what });
    }

    /// A description that stands in none of the last messages.
    fn alone(&mut self, sdp: &Sdp) -> Said {
        self.alone.push(sdp.clone());
        Said::Alone(u32::try_from(self.alone.len() - 1).unwrap_or(u32::MAX))
    }
}

/// A dialog as it was last looked at, from the caller's side.
#[derive(Clone, Debug, Default)]
struct Look {
    usage: InviteState,
    exchanges: u32,
    /// The messages with offers that were noted.
    offers: Sided<u32>,
    /// The last description that each side gave, and in which message.
    last: Sided<Option<(u32, Sdp)>>,
    timer: Option<(Duration, Way)>,
    targets: Sided<Arc<str>>,
    uris: Sided<Arc<str>>,
    /// REFERs and the last status that was reported of each.
    transfers: Vec<(u32, Option<u16>)>,
}

impl Look {
    /// Notes what has become another.
    fn compare(&mut self, dialog: &Dialog, notes: &mut Notes<'_>) {
        let before = std::mem::replace(&mut self.usage, dialog.usage);
        if before != dialog.usage {
            notes.note(What::Usage(before, dialog.usage));
        }
        for way in BOTH {
            self.offer(dialog, way, notes);
        }
        self.agreed(dialog, notes);
        for way in BOTH {
            *self.last.by_mut(way) = last(&dialog.offers, way).map(|(n, sdp)| (n, sdp.clone()));
            self.party(dialog, way, notes);
        }
        let running = dialog.timer.running.as_ref();
        let now = running.map(|running| (running.interval, running.refresher));
        if std::mem::replace(&mut self.timer, now) != now {
            notes.note(What::Timer { running: now, set_by: running.map(|running| running.set_by) });
        }
        self.transfers(dialog, notes);
    }

    fn offer(&mut self, dialog: &Dialog, way: Way, notes: &mut Notes<'_>) {
        let Some(offer) = dialog.offers.pending.by(way) else { return };
        if std::mem::replace(self.offers.by_mut(way), offer.on) == offer.on {
            return;
        }
        if let (Some(new), Some(last)) = (&offer.sdp, self.last.by(way)) {
            let mut said = |sdp| self.said(&dialog.offers, sdp, notes);
            let agreed = dialog.offers.agreed.as_ref().map(|agreed| said(agreed.by(way)));
            let new = said(new);
            notes.note(What::Offer { by: way, on: offer.on, new, last: Said::In(last.0), agreed });
        }
    }

    fn agreed(&mut self, dialog: &Dialog, notes: &mut Notes<'_>) {
        let offers = &dialog.offers;
        if std::mem::replace(&mut self.exchanges, offers.exchanges) == offers.exchanges {
            return;
        }
        let (Some(agreed), Some(offerer)) = (&offers.agreed, offers.offerer) else { return };
        let answerer = offerer.reversed();
        let agreed = Sided {
            ours: self.said(offers, &agreed.ours, notes),
            theirs: self.said(offers, &agreed.theirs, notes),
        };
        notes.note(What::Agreed {
            offerer,
            on: *offers.last_on.by(answerer),
            agreed,
            last: self.last.by(answerer).as_ref().map(|(n, _)| Said::In(*n)),
            new: last(offers, answerer).map(|(n, _)| Said::In(n)),
        });
    }

    /// Where a description stands, among the last ones of both sides now and before.
    fn said(&self, offers: &Offers, sdp: &Sdp, notes: &mut Notes<'_>) -> Said {
        let now = BOTH.into_iter().filter_map(|way| last(offers, way));
        let before = BOTH.into_iter().filter_map(|way| self.last.by(way).as_ref());
        let mut known = now.chain(before.map(|(n, sdp)| (*n, sdp)));
        let n = known.find(|(_, known)| known.is_clone_of(sdp)).map(|(n, _)| n);
        n.map_or_else(|| notes.alone(sdp), Said::In)
    }

    /// Target and identity of a side.
    fn party(&mut self, dialog: &Dialog, way: Way, notes: &mut Notes<'_>) {
        let party = dialog.party.by(way);
        let target = self.targets.by_mut(way);
        if *target != party.target {
            let before = std::mem::replace(target, party.target.clone());
            if !before.is_empty() && dialog.usage.confirmed() {
                notes.note(What::Target(way, party.target.clone()));
            }
        }
        let uri = self.uris.by_mut(way);
        if *uri != party.uri {
            let before = std::mem::replace(uri, party.uri.clone());
            if !before.is_empty() {
                notes.note(What::Identity(way, party.uri.clone()));
            }
        }
    }

    fn transfers(&mut self, dialog: &Dialog, notes: &mut Notes<'_>) {
        for one in &dialog.subscriptions {
            let (by, on) = (one.refer, one.on);
            match self.transfers.iter_mut().find(|(known, _)| *known == on) {
                None => {
                    self.transfers.push((on, one.status));
                    notes.note(What::Refer { by, on });
                }
                Some((_, status)) if *status != one.status => {
                    *status = one.status;
                    if let Some(status) = one.status {
                        notes.note(What::Report { by, on, status, notified_on: one.notified_on });
                    }
                }
                Some(_) => {}
            }
        }
    }
}

/// The last description of a side, and in which message it stands.
fn last(offers: &Offers, way: Way) -> Option<(u32, &Sdp)> {
    offers.last.by(way).as_ref().map(|sdp| (*offers.last_on.by(way), sdp))
}

const BOTH: [Way; 2] = [Way::Sent, Way::Received];
