//! Where offers and answers ride, and what they may say. RFC 3264, RFC 6337.

use midcall_wire::Method;
use midcall_wire::sdp::{Direction, Sdp};

use super::{ACK, Check, INVITE, Kinds, MethodSet, PRACK, View, because, on};
use crate::dialog::{Carrier, Dialog, Evidence, Phase, SdpRole, Seen, Way};
use crate::rules::RuleId;
use crate::session::{self, Fault};

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
        rule: RuleId::OfferInLateResponse,
        view: View::Both,
        kinds: Kinds::RESPONSE,
        methods: INVITE,
        reply: None,
        look: late_offer,
    },
    Check {
        rule: RuleId::OfferlessInviteRefused,
        view: View::Both,
        kinds: Kinds::FAILURE,
        methods: INVITE,
        reply: None,
        look: offerless_refused,
    },
    Check {
        rule: RuleId::EarlySessionOutsideEarly,
        view: View::Both,
        kinds: Kinds::SUCCESS,
        methods: INVITE,
        reply: None,
        look: early_session,
    },
    Check {
        rule: RuleId::EarlySessionOutsideEarly,
        view: View::Both,
        kinds: Kinds::REQUEST,
        methods: ACK,
        reply: None,
        look: early_session,
    },
    Check {
        rule: RuleId::StuckOnHold,
        view: View::Both,
        kinds: Kinds::ANY,
        methods: OFFERING,
        reply: None,
        look: hold_repeated,
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
    RuleId::MediaLinesReordered,
    RuleId::DeadStreamRevived,
    RuleId::AnswerDirection,
    RuleId::NoCommonFormat,
    RuleId::PayloadTypeRemapped,
    RuleId::AnswerFormatOrder,
    RuleId::OriginVersionStep,
    RuleId::SameVersionOtherBody,
    RuleId::RefusedOfferUsedItsVersion,
    RuleId::OriginNumbersTooLong,
    RuleId::ZeroAddressCopied,
    RuleId::AddressFamilyDiffers,
    RuleId::NoOverlapWithLastSession,
    RuleId::AnswerEchoesOrigin,
    RuleId::DynamicTypeWithoutRtpmap,
    RuleId::IceHalfRestart,
    RuleId::IceInLaterOffers,
    RuleId::DtlsSetupInAnswer,
    RuleId::SrtpKeys,
    RuleId::MidChanged,
    RuleId::RtcpMuxAnswer,
    RuleId::ToneEventsLost,
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
    if matches!(role, SdpRole::Answer | SdpRole::Offer(_)) {
        continued(dialog, seen, role, sdp, found);
    }
}

/// What is wrong with a description as the next one of its side. Its receiver can tell as well, except from how far the
/// version moved: it may not have got every description.
fn continued(
    dialog: &Dialog,
    seen: &Seen<'_>,
    role: SdpRole,
    sdp: &Sdp,
    mut found: impl FnMut(RuleId, Evidence),
) {
    // Behind a BYE nothing is continued, and what came before it may not have come.
    if dialog.usage.over() {
        return;
    }
    let offers = &dialog.offers;
    let Some(last) = offers.last.by(seen.way).as_ref() else {
        if let Some(fault) = session::check_origin_numbers(sdp) {
            found(fault.rule(), Evidence::new());
        }
        return;
    };
    // Hold, resume and refresh: with the streams as they were, only the numbers can be wrong.
    if offers.agreed.as_ref().is_some_and(|agreed| agreed.by(seen.way).is_clone_of(last))
        && last.same_but_direction(sdp)
    {
        for fault in session::check_origin(last, sdp).filter(|fault| tells(seen, fault)) {
            found(fault_rule(dialog, seen, &fault), on(*offers.last_on.by(seen.way)));
        }
        return;
    }
    let lines = offers.agreed.as_ref().map_or(0, |agreed| agreed.ours.media_count());
    let offered = offers.pending.by(seen.way.reversed()).as_ref().and_then(|offer| offer.sdp.as_ref());
    let mirrored = offered.filter(|_| role == SdpRole::Answer);
    let mut faults = session::check_next(last, lines, sdp);
    // An answer has the number of its lines, and best its payload types, from the offer.
    faults.retain(|fault| match fault {
        Fault::LinesLost { .. } => mirrored.is_none(),
        Fault::Renumbered { stream, payload } => mirrored.is_none_or(|offer| {
            let number = payload.to_string();
            let map = |sdp: &Sdp| {
                sdp.media_at(*stream)
                    .and_then(|media| media.rtpmap(&number).map(|map| map.name.to_ascii_lowercase()))
            };
            map(offer) != map(sdp)
        }),
        fault => tells(seen, fault),
    });
    let asked = matches!(role, SdpRole::Offer(Carrier::Success | Carrier::Reliable(_)));
    if matches!(role, SdpRole::Offer(_)) {
        faults.extend(session::check_offer(last, sdp));
    }
    if let Some(agreed) = &offers.agreed {
        let (ours, theirs) = (agreed.by(seen.way), agreed.by(seen.way.reversed()));
        faults.extend(if asked { session::check_overlap(ours, theirs, sdp) } else { Vec::new() });
        faults.extend(session::check_tones(ours, theirs, mirrored, sdp));
    }
    for fault in faults {
        found(fault_rule(dialog, seen, &fault), on(*offers.last_on.by(seen.way)));
    }
}

/// Whether this side can tell: how far the version moved only the sender knows, the receiver may not have got every
/// description.
fn tells(seen: &Seen<'_>, fault: &Fault) -> bool {
    *fault != Fault::VersionStep || seen.way == Way::Sent
}

/// The rule that a fault breaks: a version that a refused offer had is one of its own.
fn fault_rule(dialog: &Dialog, seen: &Seen<'_>, fault: &Fault) -> RuleId {
    let back = || {
        let last = dialog.offers.last.by(seen.way).as_ref();
        last.zip(seen.sdp.as_ref()).is_some_and(|(last, sdp)| sdp.version() < last.version())
    };
    let counted = match fault {
        Fault::VersionKept => true,
        Fault::VersionStep => back(),
        _ => false,
    };
    if counted && last_was_refused(dialog, seen.way) {
        RuleId::RefusedOfferUsedItsVersion
    } else {
        fault.rule()
    }
}

/// Whether the last description of a side was an offer that came to nothing.
fn last_was_refused(dialog: &Dialog, way: Way) -> bool {
    let offers = &dialog.offers;
    let open = offers.preview.is_some() || offers.pending.by(way).is_some();
    let agreed = offers.agreed.as_ref().map(|agreed| agreed.by(way));
    !open && agreed.zip(offers.last.by(way).as_ref()).is_some_and(|(agreed, last)| agreed != last)
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
    let other = sdp_differs(dialog, seen).is_some() || late_offer(dialog, seen).is_some();
    (seen.has_sdp && open.rseq_on != seen.at.n && !other).then(|| on(open.rseq_on))
}

/// Another description in a response after the exchange of its INVITE: newer than all that its side said, or (where the first
/// response made the offer) just different.
fn late_offer(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let open = dialog.request_of(seen).filter(|open| open.exchanged && open.accepted.is_none())?;
    let (sdp, last) = (seen.sdp.as_ref()?, dialog.offers.last.by(seen.way).as_ref()?);
    let first = dialog.offers.exchanges <= 1;
    if last.same_but_version(sdp) || first && open.offered {
        return None; // the same, or AnswersDiffer
    }
    let newer = last.is_same_session(sdp) == Some(true) && sdp.version() > last.version();
    (newer || first).then(|| on(open.rseq_on))
}

/// 488 or 606 complains about a description; this INVITE had none. Inside a call that is `OfferlessReInviteRefused`.
fn offerless_refused(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let open = dialog.request_of(seen).filter(|open| open.forms && open.accepted.is_none())?;
    (matches!(seen.status, Some(488 | 606)) && !open.offered && !open.exchanged).then(|| on(open.on))
}

/// An early session is agreed on in 1xx, PRACK and UPDATE; it is over with the 2xx.
fn early_session(_: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    seen.headers.early_session.then(Evidence::new)
}

/// An offer repeats the recvonly that its side answered to the peer's hold, in a stream in which it had wanted both ways.
/// (An inactive one may hide a hold of its own.)
fn hold_repeated(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let offer = seen.sdp.as_ref().filter(|_| matches!(dialog.role_of_sdp(seen), SdpRole::Offer(_)))?;
    let offers = &dialog.offers;
    let agreed = offers.agreed.as_ref().filter(|_| offers.offerer == Some(seen.way.reversed()))?;
    let (own, peer) = (agreed.by(seen.way), agreed.by(seen.way.reversed()));
    if own == offer {
        return None; // a refresh repeats what is agreed (RFC 4028 §7.4)
    }
    let two_way = *offers.two_way.by(seen.way);
    let stuck = offer.media().zip(own.media()).zip(peer.media()).zip(0..u32::BITS).any(
        |(((offered, answered), held), index)| {
            let live = !offered.rejected() && !answered.rejected() && !held.rejected();
            live && two_way & (1 << index) != 0
                && held.direction() == Direction::SendOnly
                && answered.direction() == Direction::RecvOnly
                && offered.direction() == Direction::RecvOnly
        },
    );
    stuck.then(|| on(*offers.last_on.by(seen.way)))
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
