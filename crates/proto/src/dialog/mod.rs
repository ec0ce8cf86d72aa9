//! A dialog as one party knows it (RFC 3261 §12).
//!
//! An endpoint holds one per dialog and acts on it; the observer holds two, one for each party, and only judges.
//! Caller and callee are a field, never two types.
//!
//! - [`Dialog::judge`] is pure: which rules would this message break.
//! - [`Dialog::apply`] is total: it records what happened, however wrong.
//! - [`Dialog::plan`] asks `judge` what may be sent now; it has no rules of its own.
//! - [`Dialog::dues`] tells who owes what, by which rule, until when.

mod apply;
mod capability;
mod due;
mod envelope;
mod judge;
mod offers;
mod open;
mod plan;
mod role;
mod seen;
mod subscription;
mod timer;
mod usage;

pub use apply::{Applied, Noted};
pub(crate) use capability::Lists;
pub use capability::{Capabilities, MethodSet, OptionSet, OptionTag};
pub use due::{Due, DueKind};
pub use envelope::Envelope;
pub use judge::{Breach, Verdict};
pub use offers::{Carrier, Offer, Offers, Outcome, SdpRole, Sided};
pub use open::{Evidence, Open, Owed, Phase, Unacknowledged};
pub use plan::{Plan, Wish};
pub use seen::{At, HeaderFacts, RSeq, Seen, Way, sipfrag_status};
pub use subscription::{Subscription, SubscriptionEvent, SubscriptionState};
pub use timer::{MinSeTold, Running, SessionTimer};
pub use usage::{InviteEvent, InviteState};

use std::sync::Arc;

use midcall_wire::{Message, Method, Name, NameAddr};
use thin_vec::ThinVec;

use crate::time::Instant;

/// What one party knows about itself or its peer in a dialog.
#[derive(Clone, Default, Debug)]
pub struct Party {
    /// Its tag; empty for a peer of RFC 2543 (DLG-33).
    pub tag: Arc<str>,
    /// Its URI, as it stands in From of its requests.
    pub uri: Arc<str>,
    /// Its Contact URI: the target of requests to it.
    pub target: Arc<str>,
    /// The highest CSeq number of its requests; `None` before the first.
    pub cseq: Option<u32>,
    /// The highest CSeq number of its requests that got a 2xx, with that message (DLG-12).
    pub answered: Option<(u32, u32)>,
    /// What it can do.
    pub can: Capabilities,
    /// The number of its BYE.
    pub bye: Option<u32>,
    /// The last refusal of an INVITE or UPDATE of its own.
    pub refused: Option<Box<Refusal>>,
    /// The newest Contact of its own that is not its target.
    pub stale: Option<Box<StaleTarget>>,
    /// The credentials of its last request that was challenged in spite of them: their hash, and the response.
    pub challenged: Option<Box<(u64, u32)>>,
}

/// A Contact that a party named and that is not, or is no longer, its target: a request that goes there shows a mistake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StaleTarget {
    /// The URI.
    pub uri: Arc<str>,
    /// Why it is not the target.
    pub why: Stale,
    /// The message that makes it so.
    pub on: u32,
}

/// Why a Contact is not the target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stale {
    /// A 1xx named it, and the 2xx that confirmed the dialog another one (RFC 3261 §13.2.2.4).
    Early,
    /// It stood in a request that was refused (RFC 6141 §4.6).
    Refused,
    /// It stood in an unreliable 1xx of a dialog that existed (RFC 6141 §4.7).
    Unreliable,
    /// A reliable 1xx had replaced it before the request was refused (RFC 6141 §4.4).
    Replaced,
}

/// A refused INVITE or UPDATE: what the next attempt of its sender is measured against.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// The response's number.
    pub on: u32,
    /// When it passed.
    pub time: Instant,
    /// Its Retry-After in seconds.
    pub retry_after: Option<u32>,
    /// Its Min-SE in seconds.
    pub min_se: Option<u32>,
    /// The method refused.
    pub method: Method,
    /// How many refusals with 491 came in a row, this one included (GL-06).
    pub glare: u8,
}

/// What one party knows about one dialog.
#[derive(Clone, Debug)]
pub struct Dialog {
    /// The Call-ID; dialogs of one call share its text.
    pub call_id: Arc<str>,
    /// Who sent the INVITE that forms the dialog and so owns the Call-ID (GL-03): `Sent` for the caller's own view.
    pub owner: Way,
    /// The two parties: `ours` is the one that holds this value.
    pub party: Sided<Party>,
    /// The route set in the order of our requests, as raw Route values.
    pub route: ThinVec<Box<str>>,
    /// Whether the dialog was made with a sips Request-URI over TLS (RFC 3261 §12.1.1).
    pub secure: bool,
    /// The INVITE usage.
    pub usage: InviteState,
    /// Offer/answer.
    pub offers: Offers,
    /// Requests without a final response.
    pub open: ThinVec<Open>,
    /// The session timer.
    pub timer: SessionTimer,
    /// Subscriptions of REFERs.
    pub subscriptions: ThinVec<Subscription>,
    /// A reliable provisional response whose INVITE got its final without a PRACK: a late one still gets 2xx (PR-09).
    pub unpracked: Option<(RSeq, u32)>,
    /// Open requests that had to be forgotten because too many piled up.
    pub forgotten: u32,
}

/// The most open requests that a dialog keeps; a peer that exceeds it makes the oldest be forgotten.
const MOST_OPEN: usize = 16;
/// The most subscriptions that a dialog keeps.
const MOST_SUBSCRIPTIONS: usize = 8;

impl Dialog {
    /// A dialog from the INVITE that will form it.
    ///
    /// `way` is the way of the INVITE as this party saw it, `local_tag` its own tag, `remote_tag` the peer's (empty if the
    /// peer has none). The INVITE itself is recorded by [`apply`](Self::apply), as is the response that forms the dialog.
    pub fn new<B: AsRef<[u8]>>(way: Way, invite: &Message<B>, local_tag: &str, remote_tag: &str) -> Self {
        let (from_tag, to_tag) = match way {
            Way::Sent => (local_tag, remote_tag),
            Way::Received => (remote_tag, local_tag),
        };
        let uri =
            |address: Option<NameAddr<'_>>| shared(address.map(|address| address.uri).unwrap_or_default());
        let sender = Party {
            tag: shared(from_tag),
            uri: uri(invite.from().ok()),
            target: uri(invite.contact().and_then(Result::ok)),
            ..Party::default()
        };
        let receiver = Party { tag: shared(to_tag), uri: uri(invite.to().ok()), ..Party::default() };
        let call_id = invite.call_id().unwrap_or_default().into();
        let of_sender = Self::between(call_id, sender, receiver, invite.request_uri());
        if way == Way::Sent { of_sender } else { of_sender.mirrored(invite) }
    }

    /// The views of both parties from the facts of an INVITE, `message`: its sender's and its receiver's. They share their
    /// texts with each other and the Call-ID with their call.
    pub(crate) fn of_both<B: AsRef<[u8]>>(
        call_id: Arc<str>,
        seen: &Seen<'_>,
        message: &Message<B>,
    ) -> (Self, Self) {
        let text = |text: Option<&str>| shared(text.unwrap_or_default());
        let sender = Party {
            tag: text(seen.from_tag),
            uri: text(seen.from_uri),
            target: text(seen.contact),
            ..Party::default()
        };
        let receiver = Party { tag: text(seen.to_tag), uri: text(seen.to_uri), ..Party::default() };
        let of_sender = Self::between(call_id, sender, receiver, seen.uri);
        let of_receiver = of_sender.mirrored(message);
        (of_sender, of_receiver)
    }

    /// What the sender of the INVITE knows.
    fn between(call_id: Arc<str>, ours: Party, theirs: Party, request_uri: Option<&str>) -> Self {
        Self {
            call_id,
            owner: Way::Sent,
            party: Sided { ours, theirs },
            route: ThinVec::new(),
            secure: request_uri
                .and_then(|uri| uri.as_bytes().split_at_checked(5))
                .is_some_and(|(scheme, rest)| scheme.eq_ignore_ascii_case(b"sips:") && !rest.is_empty()),
            usage: InviteState::default(),
            offers: Offers::default(),
            open: ThinVec::new(),
            timer: SessionTimer::default(),
            subscriptions: ThinVec::new(),
            unpracked: None,
            forgotten: 0,
        }
    }

    /// What the receiver of the INVITE knows, as long as nothing else was recorded.
    fn mirrored<B: AsRef<[u8]>>(&self, invite: &Message<B>) -> Self {
        let mut mirrored = self.clone();
        std::mem::swap(&mut mirrored.party.ours, &mut mirrored.party.theirs);
        mirrored.owner = Way::Received;
        mirrored.route = invite.values(Name::RecordRoute).map(Into::into).collect();
        mirrored
    }

    /// Takes route set and remote target from a response that forms or confirms the dialog at the caller: its
    /// Record-Route values in reverse (RFC 3261 §12.1.2) and, on a 2xx, its Contact (§13.2.2.4, RFC 6141 §4.9).
    pub fn form<B: AsRef<[u8]>>(&mut self, response: &Message<B>) {
        self.route = response.values(Name::RecordRoute).map(Into::into).collect();
        self.route.reverse();
    }

    /// Whether this party owns the Call-ID and so waits the longer time after a 491 (RFC 3261 §14.1; GL-01, GL-03).
    #[must_use]
    pub fn owns_call_id(&self) -> bool {
        self.owner == Way::Sent
    }

    /// Whether these identifiers name this dialog, for a message that goes `way` (RFC 3261 §12; DLG-01).
    #[must_use]
    pub fn is_named(&self, way: Way, call_id: &str, from_tag: &str, to_tag: &str, request: bool) -> bool {
        let sender_is_us = (way == Way::Sent) == request;
        let (ours, theirs) = if sender_is_us { (from_tag, to_tag) } else { (to_tag, from_tag) };
        &*self.call_id == call_id && &*self.party.ours.tag == ours && &*self.party.theirs.tag == theirs
    }

    /// The open request that this response or acknowledgement answers.
    #[must_use]
    pub fn find_open(&self, way: Way, method: Method, cseq: u32) -> Option<&Open> {
        self.open.iter().rev().find(|open| open.way == way && open.method == method && open.cseq == cseq)
    }

    fn find_open_mut(&mut self, way: Way, method: Method, cseq: u32) -> Option<&mut Open> {
        self.open.iter_mut().rev().find(|open| open.way == way && open.method == method && open.cseq == cseq)
    }

    fn close(&mut self, way: Way, method: Method, cseq: u32) -> Option<Open> {
        let index = self
            .open
            .iter()
            .rposition(|open| open.way == way && open.method == method && open.cseq == cseq)?;
        let closed = self.open.remove(index);
        if self.open.is_empty() {
            self.open = ThinVec::new(); // most of its life a call is idle
        }
        Some(closed)
    }

    /// Whether any INVITE is in progress in either direction (RFC 3261 §14.1), a 2xx counting as its end (CF-01).
    #[must_use]
    pub fn invite_in_progress(&self) -> Option<&Open> {
        self.open.iter().find(|open| open.invite_in_progress())
    }

    /// Whether subscriptions outlive the INVITE usage, so that the dialog still lives (RFC 5057 §4; DLG-30).
    #[must_use]
    pub fn has_live_subscription(&self) -> bool {
        self.subscriptions.iter().any(Subscription::live)
    }
}

/// A text that several views may hold; nothing takes no room.
fn shared(text: &str) -> Arc<str> {
    if text.is_empty() { Arc::default() } else { text.into() }
}
