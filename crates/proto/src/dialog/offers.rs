//! Offer/answer of one dialog: what is on offer, what is agreed, what was last said.
//!
//! It follows RFC 6337 §2.2: six pairs of messages carry an exchange, nothing else does. Each offer is tagged with the
//! request that carries it, so a failure of that request takes exactly that offer back. Two offers that cross are a
//! state: both slots of [`Offers::pending`] are full.

use midcall_wire::Method;
use midcall_wire::sdp::{Direction, Sdp};

use super::seen::{RSeq, Seen, Way};

/// One value for each side of a dialog, by the way its messages go.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Sided<T> {
    /// Of the party that holds the dialog.
    pub ours: T,
    /// Of its peer.
    pub theirs: T,
}

impl<T> Sided<T> {
    /// The value of the side that sends messages going this way.
    pub const fn by(&self, way: Way) -> &T {
        match way {
            Way::Sent => &self.ours,
            Way::Received => &self.theirs,
        }
    }

    /// Mutable access to the value of the side that sends messages going this way.
    pub const fn by_mut(&mut self, way: Way) -> &mut T {
        match way {
            Way::Sent => &mut self.ours,
            Way::Received => &mut self.theirs,
        }
    }
}

/// In what kind of message an offer travels. Columns 1 of RFC 6337 §2.2 table 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carrier {
    /// INVITE, UPDATE or PRACK.
    Request,
    /// A reliable provisional response to an offerless INVITE.
    Reliable(RSeq),
    /// The 2xx to an offerless INVITE.
    Success,
}

/// An offer that has neither been answered nor refused.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The number of the message that carries it.
    pub on: u32,
    /// The method of the request that it belongs to.
    pub method: Method,
    /// The CSeq number of that request.
    pub cseq: u32,
    /// Which way that request went.
    pub request: Way,
    /// In what kind of message it travels.
    pub carrier: Carrier,
    /// The description; `None` if it could not be read.
    pub sdp: Option<Sdp>,
    /// An earlier offer of the same side that was still open when this one came. That is wrong (OA-01), and the receiver
    /// refuses this one; then the earlier one stands again.
    pub under: Option<Box<Self>>,
}

impl Offer {
    /// Whether this message may carry its answer (RFC 6337 §2.2).
    #[must_use]
    pub fn is_answered_by(&self, seen: &Seen<'_>) -> bool {
        match (seen.status, seen.method) {
            (None, Method::Ack) => {
                self.carrier == Carrier::Success && self.cseq == seen.cseq && self.request == seen.way
            }
            (None, Method::Prack) => seen.rack.is_some_and(|(rseq, invite, _)| {
                self.carrier == Carrier::Reliable(rseq) && self.cseq == invite
            }),
            (None, _) => false,
            (Some(_), method) => {
                self.carrier == Carrier::Request && self.method == method && self.cseq == seen.cseq
            }
        }
    }

    /// This offer and those under it.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |offer| offer.under.as_deref())
    }
}

/// What a session description in a message is. Table in section 3.1 of the catalogue, from RFC 6337 §2.2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SdpRole {
    /// An offer.
    Offer(Carrier),
    /// The answer to the other side's offer.
    Answer,
    /// A preview of the answer in an unreliable provisional response (RFC 3261 §13.2.1).
    Preview,
    /// Nothing: it repeats an answer, or stands where no description belongs.
    Ignored,
}

/// What an exchange came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// An offer is open now.
    Opened,
    /// Offer and answer are in force.
    Agreed {
        /// Who had made the offer.
        offerer: Way,
    },
    /// The offer is gone; the session is as before.
    Refused {
        /// Who had made the offer.
        offerer: Way,
    },
}

/// The offer/answer machine of one dialog.
#[derive(Clone, Default, Debug)]
pub struct Offers {
    /// Open offers of each side.
    pub pending: Sided<Option<Box<Offer>>>,
    /// Both descriptions in force.
    pub agreed: Option<Sided<Sdp>>,
    /// Who offered the one of them that was the offer.
    pub offerer: Option<Way>,
    /// The last description that each side gave, refused ones included: what o= versions are compared with (OA-29, OA-31).
    pub last: Sided<Option<Sdp>>,
    /// The messages that carried those.
    pub last_on: Sided<u32>,
    /// The streams that each side has described as sendrecv, as bits: there it wants both ways (OA-36).
    pub two_way: Sided<u32>,
    /// The answer previewed in an unreliable provisional response, and its message.
    pub preview: Option<(u32, Sdp)>,
    /// How many exchanges were completed, saturating.
    pub exchanges: u32,
    /// Whether an answer that differs from its preview is followed: off by RFC 3261 §13.2.1 (CF-27).
    pub follows_last_answer: bool,
}

impl Offers {
    /// Whether an offer of either side is open.
    #[must_use]
    pub const fn open(&self) -> bool {
        self.pending.ours.is_some() || self.pending.theirs.is_some()
    }

    /// Records the description of a message in its role.
    pub fn record(&mut self, seen: &Seen<'_>, role: SdpRole, request: Way) -> Option<Outcome> {
        match role {
            SdpRole::Offer(carrier) => {
                let slot = self.pending.by_mut(seen.way);
                let mut under = slot.take();
                if let Some(under) = &mut under {
                    under.under = None;
                }
                *slot = Some(Box::new(Offer {
                    on: seen.at.n,
                    method: seen.method,
                    cseq: seen.cseq,
                    request,
                    carrier,
                    sdp: seen.sdp.clone(),
                    under,
                }));
                self.remember(seen);
                Some(Outcome::Opened)
            }
            SdpRole::Answer => {
                let offer =
                    take(self.pending.by_mut(seen.way.reversed()), |offer| offer.is_answered_by(seen))?;
                // RFC 3261 §13.2.1: the first description in a response is the answer, whatever a later one says (CF-27).
                let first = self.preview.take().map(|(_, sdp)| sdp).filter(|_| !self.follows_last_answer);
                self.remember(seen);
                Some(self.conclude(seen.way.reversed(), offer.sdp, first.or_else(|| seen.sdp.clone())))
            }
            SdpRole::Preview => {
                if let (None, Some(sdp)) = (&self.preview, &seen.sdp) {
                    self.preview = Some((seen.at.n, sdp.clone()));
                }
                self.remember(seen);
                None
            }
            SdpRole::Ignored => None,
        }
    }

    /// The 2xx of an INVITE brings no description although its offer had only a preview of an answer: that was it.
    pub(super) fn take_preview(&mut self, offerer: Way, method: Method, cseq: u32) -> Option<Outcome> {
        let (_, answered) = self.preview.clone()?;
        let offer = self.pending.by_mut(offerer).take_if(|o| o.method == method && o.cseq == cseq)?;
        self.preview = None;
        Some(self.conclude(offerer, offer.sdp, Some(answered)))
    }

    fn conclude(&mut self, offerer: Way, offered: Option<Sdp>, answered: Option<Sdp>) -> Outcome {
        let (Some(offered), Some(answered)) = (offered, answered) else {
            return Outcome::Refused { offerer };
        };
        self.agreed = Some(match offerer {
            Way::Sent => Sided { ours: offered, theirs: answered },
            Way::Received => Sided { ours: answered, theirs: offered },
        });
        self.offerer = Some(offerer);
        self.exchanges = self.exchanges.saturating_add(1);
        Outcome::Agreed { offerer }
    }

    fn remember(&mut self, seen: &Seen<'_>) {
        if let Some(sdp) = &seen.sdp {
            *self.last.by_mut(seen.way) = Some(sdp.clone());
            *self.last_on.by_mut(seen.way) = seen.at.n;
            let two_way = self.two_way.by_mut(seen.way);
            for (media, index) in sdp.media().zip(0..u32::BITS) {
                if media.rejected() {
                    *two_way &= !(1 << index);
                } else if media.direction() == Direction::SendRecv {
                    *two_way |= 1 << index;
                }
            }
        }
    }

    /// Takes back what a request had on offer: it failed, or its 2xx brought no answer.
    pub fn withdraw(&mut self, request: Way, method: Method, cseq: u32) -> Option<Outcome> {
        for offerer in [Way::Sent, Way::Received] {
            let of = |offer: &Offer| offer.request == request && offer.method == method && offer.cseq == cseq;
            if take(self.pending.by_mut(offerer), of).is_some() {
                self.preview = None;
                return Some(Outcome::Refused { offerer });
            }
        }
        None
    }
}

/// Takes an offer out, wherever it stands; the others close the gap.
fn take(slot: &mut Option<Box<Offer>>, wanted: impl Fn(&Offer) -> bool) -> Option<Box<Offer>> {
    let offer = slot.as_mut()?;
    if wanted(offer) {
        let mut taken = slot.take()?;
        *slot = taken.under.take();
        return Some(taken);
    }
    offer.under.take_if(|under| wanted(under))
}
