//! What a session description is, by the message it rides in. Section 3.1 of the catalogue; RFC 6337 §2.2.

use midcall_wire::Method;

use super::offers::{Carrier, SdpRole};
use super::seen::Seen;
use super::{Dialog, Open};

impl Dialog {
    /// What the session description of this message is for offer/answer, given what went before.
    #[must_use]
    pub fn role_of_sdp(&self, seen: &Seen<'_>) -> SdpRole {
        if !seen.has_sdp {
            return SdpRole::Ignored;
        }
        match (seen.status, seen.method) {
            (None, Method::Invite | Method::Update) => SdpRole::Offer(Carrier::Request),
            (None, Method::Prack) => self.role_in_prack(seen),
            (None, Method::Ack) => self.answer_if_offered(seen),
            (Some(101..=199), Method::Invite) => self.role_in_provisional(seen),
            (Some(200..=299), Method::Invite) => match self.request_of(seen) {
                Some(open) if open.exchanged => SdpRole::Ignored,
                Some(open) if open.offered => self.answer_if_offered(seen),
                Some(_) => SdpRole::Offer(Carrier::Success),
                None => SdpRole::Ignored,
            },
            (Some(200..=299), Method::Update | Method::Prack) => match self.request_of(seen) {
                Some(open) if open.offered => self.answer_if_offered(seen),
                _ => SdpRole::Ignored,
            },
            _ => SdpRole::Ignored,
        }
    }

    /// The open request that a response answers.
    #[must_use]
    pub fn request_of(&self, response: &Seen<'_>) -> Option<&Open> {
        self.find_open(response.way.reversed(), response.method, response.cseq)
    }

    /// Whether an open offer of the other side may be answered by this message.
    fn answer_if_offered(&self, seen: &Seen<'_>) -> SdpRole {
        let offer = self.offers.pending.by(seen.way.reversed());
        let answers = offer.iter().flat_map(|offer| offer.all()).any(|offer| offer.is_answered_by(seen));
        if answers { SdpRole::Answer } else { SdpRole::Ignored }
    }

    fn role_in_provisional(&self, seen: &Seen<'_>) -> SdpRole {
        let Some(open) = self.request_of(seen) else { return SdpRole::Ignored };
        match (open.exchanged, open.offered, seen.reliable()) {
            (true, ..) => SdpRole::Ignored,
            (false, true, Some(_)) => self.answer_if_offered(seen),
            (false, true, None) => SdpRole::Preview,
            (false, false, Some(rseq)) => SdpRole::Offer(Carrier::Reliable(rseq)),
            // An offerless INVITE: SDP in an unreliable response is no offer.
            (false, false, None) => SdpRole::Ignored,
        }
    }

    fn role_in_prack(&self, seen: &Seen<'_>) -> SdpRole {
        match (seen.rack, self.answer_if_offered(seen)) {
            (None, _) => SdpRole::Ignored,
            (Some(_), SdpRole::Answer) => SdpRole::Answer,
            (Some(_), _) => SdpRole::Offer(Carrier::Request),
        }
    }
}
