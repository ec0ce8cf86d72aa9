//! Implicit subscriptions of REFER in a dialog (RFC 3515 §2.4.4, RFC 6665).

use super::seen::{Seen, Way};
use crate::time::Instant;

crate::transitions! {
    /// Where the subscription made by a REFER stands. RFC 6665 §4.1, RFC 3515 §2.4.
    pub enum SubscriptionState { Asked, Accepted, Notified, Terminated }
    /// What moves it.
    pub enum SubscriptionEvent;

    /// A 2xx to the REFER.
    accepted(Asked | Accepted => Accepted, Notified => Notified, Terminated => Terminated);
    /// A NOTIFY with an active or pending state; it may come before the 2xx.
    notified(Asked | Accepted | Notified => Notified);
    /// A NOTIFY that says terminated.
    terminated(Asked | Accepted | Notified => Terminated);
    /// A refusal of the REFER, or a NOTIFY that failed for good.
    refused(Asked | Accepted | Notified => Terminated);
}

/// The subscription that one REFER made.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Which way the REFER went: its sender subscribes.
    pub refer: Way,
    /// Its CSeq number, which is also the `id` of the Event header (RFC 3515 §2.4.6).
    pub cseq: u32,
    /// The message number of the REFER.
    pub on: u32,
    /// Whether it is the first REFER of the dialog, whose NOTIFYs may leave the id out.
    pub first: bool,
    /// Where it stands.
    pub state: SubscriptionState,
    /// When it was accepted, with the message.
    pub accepted: Option<(u32, Instant)>,
    /// When the last NOTIFY said it expires.
    pub expires: Option<Instant>,
    /// The last status that a NOTIFY reported.
    pub status: Option<u16>,
    /// The last NOTIFY's number.
    pub notified_on: Option<u32>,
    /// When the last NOTIFY passed.
    pub notified_at: Option<Instant>,
    /// Whether a SUBSCRIBE of its subscriber renewed or ended it.
    pub renewed: bool,
}

impl Subscription {
    /// Whether NOTIFYs may still come.
    #[must_use]
    pub fn live(&self) -> bool {
        self.state != SubscriptionState::Terminated
    }

    /// Takes an event; an event without an edge leaves the state.
    pub fn step(&mut self, event: SubscriptionEvent) {
        if let Some(state) = self.state.next(event) {
            self.state = state;
        }
    }

    /// Whether this NOTIFY belongs to it: by id, or the first one without.
    #[must_use]
    pub fn takes(&self, notify: &Seen<'_>) -> bool {
        self.refer == notify.way.reversed()
            && match notify.headers.event_id {
                Some(id) => id == self.cseq,
                None => self.first,
            }
    }
}
