//! Where offers and answers ride, and what they may say. RFC 3264, RFC 6337.

use midcall_wire::Method;
use midcall_wire::sdp::Direction;

use super::{ACK, Check, INVITE, Kinds, MethodSet, PRACK, View, because, on};
use crate::dialog::{Carrier, Dialog, Evidence, Phase, SdpRole, Seen, Way};
use crate::rules::RuleId;
use crate::session;

const WITH_ANSWER: MethodSet = MethodSet::of(&[Method::Invite, Method::Update, Method::Prack, Method::Ack]);
const OFFERING: MethodSet = MethodSet::of(&[Method::Invite, Method::Update, Method::Prack]);

pub(super) const CHECKS: &[Check] = &[
    Check {
        rule: RuleId::OneExchangeAtATime,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: OFFERING,
        reply: None,
        look: two_offers,
    },
    Check {
        rule: RuleId::InitialOfferMissing,
        view: View::Both,
        kinds: Kinds::SUCCESS,
        methods: INVITE,
        reply: None,
        look: no_offer_back,
    },
    Check {
        rule: RuleId::OfferBeforeReliableAnswer,
        view: View::Both,
        kinds: Kinds::SUCCESS,
        methods: INVITE,
        reply: None,
        look: no_answer,
    },
    Check {
        rule: RuleId::AnswersDiffer,
        view: View::Both,
        kinds: Kinds::RESPONSE,
        methods: INVITE,
        reply: None,
        look: sdp_differs,
    },
    Check {
        rule: RuleId::FirstReliableLacksOffer,
        view: View::Both,
        kinds: Kinds::PROVISIONAL,
        methods: INVITE,
        reply: None,
        look: reliable_without_offer,
    },
    Check {
        rule: RuleId::AnswerMissingInPrackOrAck,
        view: View::Both,
        kinds: Kinds::REQUEST,
        methods: ACK,
        reply: None,
        look: ack_without_answer,
    },
    Check {
        rule: RuleId::AnswerMissingInPrackOrAck,
        view: View::Both,
        kinds: Kinds::REQUEST,
        methods: PRACK,
        reply: None,
        look: prack_without_answer,
    },
    Check {
        rule: RuleId::AnswerMissingInSuccess,
        view: View::Both,
        kinds: Kinds::SUCCESS,
        methods: MethodSet::of(&[Method::Update, Method::Prack]),
        reply: None,
        look: no_answer,
    },
    Check {
        rule: RuleId::StraySdpInAck,
        view: View::Both,
        kinds: Kinds::REQUEST,
        methods: ACK,
        reply: None,
        look: sdp_in_ack,
    },
    Check {
        rule: RuleId::AnswerRepeated,
        view: View::Both,
        kinds: Kinds::RESPONSE,
        methods: INVITE,
        reply: None,
        look: repeated_answer,
    },
    Check {
        rule: RuleId::HeldPartyHoldsToo,
        view: View::Both,
        kinds: Kinds::ANY,
        methods: WITH_ANSWER,
        reply: None,
        look: hold_echoed,
    },
];

/// The rules that the descriptions themselves can break, all found in one look: [`session::check_answer`] and
/// [`session::check_next`] name them.
pub(super) const FAULTS: &[RuleId] = &[
    RuleId::AnswerShape,
    RuleId::MediaLineRemoved,
    RuleId::DeadStreamRevived,
    RuleId::AnswerDirection,
    RuleId::NoCommonFormat,
    RuleId::PayloadTypeRemapped,
    RuleId::AnswerFormatOrder,
    RuleId::OriginVersionStep,
    RuleId::SameVersionOtherBody,
    RuleId::OriginNumbersTooLong,
    RuleId::ZeroAddressCopied,
    RuleId::AddressFamilyDiffers,
    RuleId::AnswerEchoesOrigin,
    RuleId::DynamicTypeWithoutRtpmap,
    RuleId::IceHalfRestart,
    RuleId::DtlsSetupInAnswer,
    RuleId::SrtpKeys,
    RuleId::MidChanged,
    RuleId::RtcpMuxAnswer,
];

/// What is wrong with the description of this message: against the offer that it answers, as both sides can tell, and
/// against the last one of the same side, as its sender knows.
pub(super) fn faults(dialog: &Dialog, seen: &Seen<'_>, mut found: impl FnMut(RuleId, Evidence)) {
    let Some(sdp) = seen.sdp.as_ref() else { return };
    let role = dialog.role_of_sdp(seen);
    if role == SdpRole::Answer
        && let Some(offer) = dialog.offers.pending.by(seen.way.reversed()).as_ref()
        && let Some(offered) = offer.sdp.as_ref()
    {
        for fault in session::check_answer(offered, sdp) {
            found(fault.rule(), on(offer.on));
        }
    }
    if seen.way == Way::Sent
        && matches!(role, SdpRole::Answer | SdpRole::Offer(_))
        && let Some(last) = dialog.offers.last.by(seen.way).as_ref()
    {
        let lines = dialog.offers.agreed.as_ref().map_or(0, |agreed| agreed.ours.media_count());
        for fault in session::check_next(last, lines, sdp) {
            found(fault.rule(), Evidence::new());
        }
    }
}

fn two_offers(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    if !matches!(dialog.role_of_sdp(seen), SdpRole::Offer(_)) {
        return None;
    }
    dialog.offers.pending.by(seen.way).as_ref().map(|offer| on(offer.on))
}

fn no_offer_back(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let open = dialog.request_of(seen).filter(|open| open.accepted.is_none())?;
    (!open.offered && !open.exchanged && !seen.has_sdp).then(|| on(open.on))
}

fn no_answer(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let open = dialog.request_of(seen).filter(|open| open.accepted.is_none())?;
    (open.offered && !open.exchanged && !seen.has_sdp).then(|| on(open.on))
}

fn sdp_differs(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let open = dialog.request_of(seen).filter(|open| open.offered && open.accepted.is_none())?;
    let sdp = seen.sdp.as_ref()?;
    if !open.exchanged {
        let (n, preview) = dialog.offers.preview.as_ref()?;
        return (!preview.same_but_version(sdp)).then(|| on(*n));
    }
    // Later exchanges (UPDATE, PRACK) change what a repeat could repeat.
    let agreed = dialog.offers.agreed.as_ref().filter(|_| dialog.offers.exchanges == 1)?;
    (!agreed.by(seen.way).same_but_version(sdp)).then(|| on(open.rseq_on))
}

fn reliable_without_offer(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    seen.reliable()?;
    let open = dialog.request_of(seen)?;
    (!open.offered && !open.exchanged && !seen.has_sdp).then(|| on(open.on))
}

fn ack_without_answer(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let offer = dialog.offers.pending.by(seen.way.reversed()).as_ref()?;
    let owed = offer.carrier == Carrier::Success && offer.cseq == seen.cseq && offer.request == seen.way;
    (owed && !seen.has_sdp).then(|| on(offer.on))
}

fn prack_without_answer(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let (rseq, invite, _) = seen.rack?;
    let offer = dialog.offers.pending.by(seen.way.reversed()).as_ref()?;
    let owed = offer.carrier == Carrier::Reliable(rseq) && offer.cseq == invite;
    (owed && !seen.has_sdp).then(|| on(offer.on))
}

fn sdp_in_ack(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let open =
        dialog.find_open(seen.way, Method::Invite, seen.cseq).filter(|open| open.phase == Phase::Accepted)?;
    (seen.has_sdp && dialog.role_of_sdp(seen) == SdpRole::Ignored)
        .then(|| because(&[open.on]).unwrap_or_default())
}

/// SDP again in a response after the answer rode in a reliable one: harmless if equal, and no part of any exchange.
fn repeated_answer(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let open =
        dialog.request_of(seen).filter(|open| open.offered && open.exchanged && open.accepted.is_none())?;
    (seen.has_sdp && open.rseq_on != seen.at.n).then(|| on(open.rseq_on))
}

/// A sendonly offer answered inactive by a side that had not put the stream on hold itself.
fn hold_echoed(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let answer = seen.sdp.as_ref().filter(|_| dialog.role_of_sdp(seen) == SdpRole::Answer)?;
    let offer = dialog.offers.pending.by(seen.way.reversed()).as_ref()?;
    let last = dialog.offers.agreed.as_ref()?.by(seen.way);
    let echoed = offer.sdp.as_ref()?.media().zip(answer.media()).zip(last.media()).any(
        |((offered, answered), before)| {
            let live = !offered.rejected() && !answered.rejected() && !before.rejected();
            live && offered.direction() == Direction::SendOnly
                && answered.direction() == Direction::Inactive
                && before.direction().receives()
        },
    );
    echoed.then(|| on(offer.on))
}
