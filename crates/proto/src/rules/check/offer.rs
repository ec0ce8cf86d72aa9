//! Where offers and answers ride, and what they may say. RFC 3264, RFC 6337.

use std::sync::Arc;

use midcall_wire::Method;
use midcall_wire::sdp::Sdp;

use super::{ACK, Check, INVITE, Kinds, MethodSet, PRACK, View, because, on};
use crate::dialog::{Carrier, Dialog, Evidence, Phase, SdpRole, Seen};
use crate::rules::RuleId;
use crate::session;

const OFFERING: MethodSet = MethodSet::of(&[Method::Invite, Method::Update, Method::Prack]);
const WITH_ANSWER: MethodSet = MethodSet::of(&[Method::Invite, Method::Update, Method::Prack, Method::Ack]);

macro_rules! faults {
    ($($code:literal $name:ident),+ $(,)?) => {
        $(fn $name(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> { faulty(dialog, seen, $code) })+
    };
}

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
        rule: RuleId::AnswerShape,
        view: View::Both,
        kinds: Kinds::ANY,
        methods: WITH_ANSWER,
        reply: None,
        look: oa_17,
    },
    Check {
        rule: RuleId::MediaLineRemoved,
        view: View::Sender,
        kinds: Kinds::ANY,
        methods: WITH_ANSWER,
        reply: None,
        look: oa_18,
    },
    Check {
        rule: RuleId::DeadStreamRevived,
        view: View::Both,
        kinds: Kinds::ANY,
        methods: WITH_ANSWER,
        reply: None,
        look: oa_20,
    },
    Check {
        rule: RuleId::AnswerDirection,
        view: View::Both,
        kinds: Kinds::ANY,
        methods: WITH_ANSWER,
        reply: None,
        look: oa_23,
    },
    Check {
        rule: RuleId::NoCommonFormat,
        view: View::Both,
        kinds: Kinds::ANY,
        methods: WITH_ANSWER,
        reply: None,
        look: oa_25,
    },
    Check {
        rule: RuleId::PayloadTypeRemapped,
        view: View::Sender,
        kinds: Kinds::ANY,
        methods: WITH_ANSWER,
        reply: None,
        look: oa_27,
    },
    Check {
        rule: RuleId::OriginVersionStep,
        view: View::Sender,
        kinds: Kinds::ANY,
        methods: WITH_ANSWER,
        reply: None,
        look: oa_29,
    },
    Check {
        rule: RuleId::SameVersionOtherBody,
        view: View::Sender,
        kinds: Kinds::ANY,
        methods: WITH_ANSWER,
        reply: None,
        look: oa_30,
    },
    Check {
        rule: RuleId::OriginNumbersTooLong,
        view: View::Sender,
        kinds: Kinds::ANY,
        methods: WITH_ANSWER,
        reply: None,
        look: oa_33,
    },
];

faults! {
    "OA-17" oa_17, "OA-18" oa_18, "OA-20" oa_20, "OA-23" oa_23, "OA-25" oa_25, "OA-27" oa_27, "OA-29" oa_29, "OA-30" oa_30,
    "OA-33" oa_33,
}

/// The faults of this description against the offer that it answers and the last one of the same side.
fn faulty(dialog: &Dialog, seen: &Seen<'_>, code: &str) -> Option<Evidence> {
    let sdp = seen.sdp.as_ref()?;
    let role = dialog.role_of_sdp(seen);
    let mut evidence = Evidence::new();
    let mut found = false;
    if matches!(code, "OA-17" | "OA-20" | "OA-23" | "OA-25") {
        if role == SdpRole::Answer {
            let offer = dialog.offers.pending.by(seen.way.reversed()).as_ref()?;
            let offered: &Arc<Sdp> = offer.sdp.as_ref()?;
            found = session::check_answer(offered, sdp).iter().any(|fault| fault.code() == code);
            evidence = on(offer.on);
        }
    } else if matches!(role, SdpRole::Answer | SdpRole::Offer(_)) {
        let last = dialog.offers.last.by(seen.way).as_ref()?;
        let lines = dialog.offers.agreed.as_ref().map_or(0, |agreed| agreed.ours.media_count());
        found = session::check_next(last, lines, sdp).iter().any(|fault| fault.code() == code);
    }
    found.then_some(evidence)
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
