//! Who may send INVITE and UPDATE when, and what crossing requests are owed. RFC 3261 §14, RFC 3311 §5.

use std::time::Duration;

use midcall_wire::Method;

use super::{Check, INVITE, Kinds, MethodSet, UPDATE, View, because, on};
use crate::dialog::{Carrier, Dialog, Evidence, Offer, Open, Phase, Seen};
use crate::rules::{Reply, RuleId};

const CANCEL: MethodSet = MethodSet::of(&[Method::Cancel]);
const MODIFYING: MethodSet = MethodSet::of(&[Method::Invite, Method::Update]);

pub(super) const CHECKS: &[Check] = &[
    Check {
        rule: RuleId::ReInviteInEarlyDialog,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: INVITE,
        reply: None,
        look: early_invite,
    },
    Check {
        rule: RuleId::InviteWhileInvitePending,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: INVITE,
        reply: None,
        look: own_invite_open,
    },
    Check {
        rule: RuleId::ReInviteBeforeAck,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: INVITE,
        reply: None,
        look: ack_awaited,
    },
    Check {
        rule: RuleId::UpdateNotAllowed,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: UPDATE,
        reply: None,
        look: not_listed,
    },
    Check {
        rule: RuleId::EarlyUpdateByCallerTooSoon,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: UPDATE,
        reply: None,
        look: early_by_caller,
    },
    Check {
        rule: RuleId::EarlyUpdateByCallerBeforePrack,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: UPDATE,
        reply: None,
        look: early_by_caller_late,
    },
    Check {
        rule: RuleId::EarlyUpdateByCalleeTooSoon,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: UPDATE,
        reply: None,
        look: early_by_callee,
    },
    Check {
        rule: RuleId::EarlyUpdateByCalleeBeforeAnswer,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: UPDATE,
        reply: None,
        look: early_by_callee_late,
    },
    Check {
        rule: RuleId::UpdateWhileOfferOpen,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: UPDATE,
        reply: None,
        look: any_offer_open,
    },
    Check {
        rule: RuleId::UpdateInsidePendingReInvite,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: UPDATE,
        reply: None,
        look: prack_unfinished,
    },
    // What the receiver of a request owes when it overlaps or crosses. First match answers.
    Check {
        rule: RuleId::SecondInviteWhileFirstOpen,
        view: View::Receiver,
        kinds: Kinds::REQUEST,
        methods: INVITE,
        reply: Some(Reply::RetryAfter),
        look: second_invite,
    },
    Check {
        rule: RuleId::InviteCrossesOurs,
        view: View::Receiver,
        kinds: Kinds::REQUEST,
        methods: INVITE,
        reply: Some(Reply::Status(491)),
        look: invite_crosses_invite,
    },
    Check {
        rule: RuleId::SecondUpdateWhileFirstOpen,
        view: View::Receiver,
        kinds: Kinds::REQUEST,
        methods: UPDATE,
        reply: Some(Reply::RetryAfter),
        look: second_update,
    },
    Check {
        rule: RuleId::UpdateCrossesOurOffer,
        view: View::Receiver,
        kinds: Kinds::REQUEST,
        methods: UPDATE,
        reply: Some(Reply::Status(491)),
        look: offer_crosses_ours,
    },
    Check {
        rule: RuleId::UpdateCrossesOurOffer,
        view: View::Receiver,
        kinds: Kinds::REQUEST,
        methods: UPDATE,
        reply: Some(Reply::RetryAfter),
        look: offer_crosses_our_reliable,
    },
    Check {
        rule: RuleId::UpdateBeforeWeAnswered,
        view: View::Receiver,
        kinds: Kinds::REQUEST,
        methods: UPDATE,
        reply: Some(Reply::RetryAfter),
        look: offer_over_theirs,
    },
    // RFC 6337 §4.3, UAS-UsI: its own UPDATE is not answered yet, and the re-INVITE is to make another exchange.
    Check {
        rule: RuleId::OneExchangeAtATime,
        view: View::Receiver,
        kinds: Kinds::REQUEST,
        methods: INVITE,
        reply: Some(Reply::RetryAfter),
        look: invite_over_their_update,
    },
    Check {
        rule: RuleId::RaceUpdateReInvite,
        view: View::Receiver,
        kinds: Kinds::REQUEST,
        methods: INVITE,
        reply: Some(Reply::Status(491)),
        look: invite_crosses_update,
    },
    Check {
        rule: RuleId::RaceReInviteLostAnswer,
        view: View::Receiver,
        kinds: Kinds::REQUEST,
        methods: INVITE,
        reply: Some(Reply::Status(491)),
        look: invite_before_answer,
    },
    Check {
        rule: RuleId::ErrorAfterExecutedChange,
        view: View::Both,
        kinds: Kinds::FAILURE,
        methods: INVITE,
        reply: None,
        look: refused_though_executed,
    },
    Check {
        rule: RuleId::OfferlessReInviteRefused,
        view: View::Both,
        kinds: Kinds::FAILURE,
        methods: INVITE,
        reply: None,
        look: offerless_refused,
    },
    Check {
        rule: RuleId::RedirectInDialog,
        view: View::Both,
        kinds: Kinds::FAILURE,
        methods: INVITE,
        reply: None,
        look: redirected,
    },
    Check {
        rule: RuleId::UpdateNotListed,
        view: View::Both,
        kinds: Kinds::SUCCESS,
        methods: UPDATE,
        reply: None,
        look: answered_unlisted,
    },
    Check {
        rule: RuleId::UpdateAnsweredLate,
        view: View::Sender,
        kinds: Kinds::FINAL,
        methods: UPDATE,
        reply: None,
        look: slow_final,
    },
    Check {
        rule: RuleId::UpdateGotProvisionalOrCancel,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: CANCEL,
        reply: None,
        look: update_cancelled,
    },
    Check {
        rule: RuleId::OwnerRetryTime,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: MODIFYING,
        reply: None,
        look: owner_too_early,
    },
    Check {
        rule: RuleId::GlareStorm,
        view: View::Sender,
        kinds: Kinds::FAILURE,
        methods: MODIFYING,
        reply: None,
        look: storm,
    },
    Check {
        rule: RuleId::OverlapRetryAfter,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: MODIFYING,
        reply: None,
        look: overlap_retried_early,
    },
    Check {
        rule: RuleId::RetryAfterIgnored,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: MODIFYING,
        reply: None,
        look: retried_early,
    },
];

/// The INVITE that is in progress, sent by this side or the other.
fn in_progress<'d>(dialog: &'d Dialog, seen: &Seen<'_>, own: bool) -> Option<&'d Open> {
    let way = if own { seen.way } else { seen.way.reversed() };
    dialog.open.iter().find(|open| open.way == way && open.invite_in_progress() && open.on != seen.at.n)
}

fn early_invite(dialog: &Dialog, _: &Seen<'_>) -> Option<Evidence> {
    let forming = dialog.open.iter().find(|open| open.forms && open.invite_in_progress())?;
    dialog
        .usage
        .early()
        .then(|| on(forming.on))
        .filter(|_| dialog.usage != crate::dialog::InviteState::Preparative)
}

fn own_invite_open(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    // The other side's INVITE bars ours too, but only our own view can tell: this is the sender's check.
    let open = in_progress(dialog, seen, true).or_else(|| in_progress(dialog, seen, false))?;
    (!open.forms || dialog.usage.early()).then(|| on(open.on))
}

fn ack_awaited(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let awaited = dialog.open.iter().find(|open| {
        open.way == seen.way.reversed() && open.method == Method::Invite && open.phase == Phase::Accepted
    })?;
    because(&[awaited.on, awaited.accepted?.0])
}

fn not_listed(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let peer = dialog.party.by(seen.way.reversed());
    (!peer.can.takes(Method::Update)).then(Evidence::new)
}

/// The INVITE that forms the dialog, while that is early, if it went the way of this message (or the other).
fn forming<'d>(dialog: &'d Dialog, seen: &Seen<'_>, by_caller: bool, offered: bool) -> Option<&'d Open> {
    if !seen.has_sdp || !dialog.usage.early() {
        return None;
    }
    let open = dialog.open.iter().find(|open| open.forms)?;
    ((open.way == seen.way) == by_caller && open.offered == offered).then_some(open)
}

/// Whether the first exchange in a reliable provisional response, with PRACK and its 2xx, is still missing.
fn exchange_missing(dialog: &Dialog, invite: &Open) -> Option<Evidence> {
    let done = invite.exchanged
        && invite.unacknowledged.is_none_or(|response| !response.with_sdp)
        && invite.acknowledging.is_none()
        && !dialog.offers.open();
    (!done).then(|| on(invite.on))
}

fn early_by_caller(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    exchange_missing(dialog, forming(dialog, seen, true, true)?)
}

fn early_by_caller_late(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    exchange_missing(dialog, forming(dialog, seen, true, false)?)
}

fn early_by_callee(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    exchange_missing(dialog, forming(dialog, seen, false, true)?)
}

fn early_by_callee_late(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    exchange_missing(dialog, forming(dialog, seen, false, false)?)
}

fn any_offer_open(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    if !seen.has_sdp {
        return own_update_open(dialog, seen);
    }
    if dialog.usage.early() {
        return own_update_open(dialog, seen); // whose offer may go out then is UP-05 to UP-08
    }
    let pending = &dialog.offers.pending;
    let open: Evidence =
        [&pending.ours, &pending.theirs].into_iter().flatten().map(|offer| offer.on).collect();
    if open.is_empty() {
        own_update_open(dialog, seen).or_else(|| offerless_invite_open(dialog, seen))
    } else {
        Some(open)
    }
}

/// An UPDATE of the sender's own has no final response yet: the next one would be owed a 500 (UP-12).
fn own_update_open(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    dialog
        .open
        .iter()
        .find(|open| open.way == seen.way && open.method == Method::Update && open.on != seen.at.n)
        .map(|open| on(open.on))
}

/// An offerless re-INVITE whose offer has not come: an offer crosses it (RFC 6337 §4.2, G11).
fn offerless_invite_open(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    dialog
        .open
        .iter()
        .find(|open| open.way == seen.way && open.invite_in_progress() && !open.offered && !open.exchanged)
        .map(|open| on(open.on))
}

fn prack_unfinished(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    if !seen.has_sdp || dialog.usage.early() {
        return None;
    }
    let invite = dialog.open.iter().find(|open| open.method == Method::Invite && !open.forms)?;
    if let Some(response) = invite.unacknowledged.filter(|response| response.with_sdp) {
        return because(&[invite.on, response.on]);
    }
    let (_, prack) = invite.acknowledging?;
    because(&[invite.on, prack])
}

fn second_invite(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    in_progress(dialog, seen, true).map(|open| on(open.on))
}

fn invite_crosses_invite(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    in_progress(dialog, seen, false).map(|open| on(open.on))
}

fn second_update(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    own_update_open(dialog, seen)
}

/// Our open offer, seen from the receiver of this message.
fn our_offer<'d>(dialog: &'d Dialog, seen: &Seen<'_>) -> Option<&'d Offer> {
    dialog.offers.pending.by(seen.way.reversed()).as_deref()
}

fn offer_crosses_ours(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    if !seen.has_sdp {
        return None;
    }
    if let Some(offer) = our_offer(dialog, seen) {
        return (!in_reliable(offer)).then(|| on(offer.on));
    }
    // Our offerless re-INVITE is out: its offer will come in the response (RFC 6337 §4.3, UAS-IcU).
    dialog
        .open
        .iter()
        .find(|open| open.way == seen.way.reversed() && open.invite_in_progress() && !open.exchanged)
        .map(|open| on(open.on))
}

fn in_reliable(offer: &Offer) -> bool {
    matches!(offer.carrier, Carrier::Reliable(_))
}

/// Our offer went in a reliable provisional response and its PRACK is awaited: 500, not 491 (RFC 6337 §4.3, UAS-IsU).
fn offer_crosses_our_reliable(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let offer = our_offer(dialog, seen).filter(|offer| seen.has_sdp && in_reliable(offer))?;
    Some(on(offer.on))
}

fn offer_over_theirs(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    if !seen.has_sdp {
        return None;
    }
    dialog.offers.pending.by(seen.way).as_ref().map(|offer| on(offer.on))
}

fn invite_over_their_update(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let theirs = dialog.offers.pending.by(seen.way).as_ref()?;
    let mut offers = theirs.all().filter(|offer| offer.method == Method::Update && offer.request == seen.way);
    offers.find(|offer| offer.cseq < seen.cseq).map(|offer| on(offer.on))
}

fn invite_crosses_update(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let offer = our_offer(dialog, seen).filter(|offer| offer.method != Method::Invite)?;
    Some(on(offer.on))
}

fn invite_before_answer(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let offer = our_offer(dialog, seen).filter(|offer| offer.carrier == Carrier::Success)?;
    Some(on(offer.on))
}

fn refused_though_executed(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    // A BYE ends everything, executed or not: what is still open is answered 487 (RI-16), which may overtake the BYE.
    let counts = !dialog.usage.over() && !matches!(seen.status, Some(401 | 407));
    let ended = |open: &&Open| seen.status == Some(487) && open.cancelled.is_none();
    let open = dialog.request_of(seen).filter(|open| counts && open.executed && !ended(open))?;
    because(&[open.on, open.rseq_on])
}

fn offerless_refused(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let open = dialog.request_of(seen).filter(|open| !open.forms && !open.offered && !open.exchanged)?;
    matches!(seen.status, Some(400 | 415 | 488 | 606)).then(|| on(open.on))
}

fn redirected(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let open = dialog.request_of(seen).filter(|open| !open.forms)?;
    matches!(seen.status, Some(300..=399)).then(|| on(open.on))
}

fn answered_unlisted(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let allow = seen.allow.or(dialog.party.by(seen.way).can.allow)?;
    (!allow.has(Method::Update)).then(|| dialog.request_of(seen).map(|open| on(open.on)).unwrap_or_default())
}

fn slow_final(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    super::slow(dialog, seen)
}

fn update_cancelled(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    dialog.find_open(seen.way, Method::Update, seen.cseq).map(|open| on(open.on))
}

/// The last refusal of this side, if its status is one of these.
fn refused<'d>(dialog: &'d Dialog, seen: &Seen<'_>, statuses: &[u16]) -> Option<&'d crate::dialog::Refusal> {
    dialog.party.by(seen.way).refused.as_deref().filter(|refusal| statuses.contains(&refusal.status))
}

/// RFC 3261 §14.1: the owner of the Call-ID waits at least 2.1 s. How late a retry may be, nobody can tell: the change may be
/// another one.
fn owner_too_early(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let refusal = refused(dialog, seen, &[491])?;
    let owner = dialog.owner == seen.way;
    (owner && seen.at.time < refusal.time + Duration::from_millis(2100)).then(|| on(refusal.on))
}

/// The fourth 491 in a row, from a side that has nothing open that the request could collide with.
fn storm(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let before = dialog.party.by(seen.way.reversed()).refused.as_ref()?;
    let owed = dialog.request_of(seen).is_some_and(|open| !open.owed.is_empty());
    (seen.status == Some(491) && before.glare >= 3 && !owed).then(|| on(before.on))
}

fn within_retry_after(seen: &Seen<'_>, refusal: &crate::dialog::Refusal) -> Option<Evidence> {
    let wait = Duration::from_secs(u64::from(refusal.retry_after?));
    (seen.at.time < refusal.time + wait).then(|| on(refusal.on))
}

fn overlap_retried_early(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    within_retry_after(seen, refused(dialog, seen, &[500])?)
}

fn retried_early(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    within_retry_after(seen, refused(dialog, seen, &[404, 413, 480, 486, 503, 600, 603])?)
}
