//! Dialog identity and order: CSeq, tags, ends. RFC 3261 §12.

use std::time::Duration;

use midcall_wire::Method;

use super::{ACK, Check, Kinds, View, because, on, plainly};
use crate::dialog::{Dialog, Evidence, InviteState, MethodSet, Seen, Way};
use crate::rules::{Reply, RuleId};

/// Every method that takes a new CSeq number.
const NUMBERED: MethodSet = MethodSet::ALL.minus(Method::Ack).minus(Method::Cancel);

/// Requests whose 481 would deny the dialog itself.
const ANSWERED_BY_DIALOG: MethodSet =
    MethodSet::of(&[Method::Invite, Method::Update, Method::Info, Method::Refer, Method::Options]);

/// Methods that a peer may leave out of its Allow; UPDATE has a rule of its own.
const OPTIONAL: MethodSet = MethodSet::of(&[Method::Refer, Method::Info, Method::Message, Method::Subscribe]);

const BYE: MethodSet = MethodSet::of(&[Method::Bye]);

pub(super) const CHECKS: &[Check] = &[
    Check {
        rule: RuleId::DialogHeadersWrong,
        view: View::Both,
        kinds: Kinds::REQUEST,
        methods: MethodSet::ALL,
        reply: None,
        look: method_mismatch,
    },
    Check {
        rule: RuleId::TagCaseChanged,
        view: View::Both,
        kinds: Kinds::REQUEST,
        methods: MethodSet::ALL,
        reply: None,
        look: tag_case_changed,
    },
    Check {
        rule: RuleId::ResponseHeadersWrong,
        view: View::Both,
        kinds: Kinds::RESPONSE,
        methods: MethodSet::ALL,
        reply: None,
        look: other_to_tag,
    },
    Check {
        rule: RuleId::CredentialsRepeated,
        view: View::Both,
        kinds: Kinds::REQUEST,
        methods: NUMBERED,
        reply: None,
        look: credentials_repeated,
    },
    Check {
        rule: RuleId::MandatoryHeaderMissing,
        view: View::Both,
        kinds: Kinds::REQUEST,
        methods: MethodSet::ALL,
        reply: None,
        look: no_max_forwards,
    },
    Check {
        rule: RuleId::CSeqNotIncremented,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: NUMBERED,
        reply: None,
        look: cseq_reused,
    },
    Check {
        rule: RuleId::CSeqTooLow,
        view: View::Receiver,
        kinds: Kinds::REQUEST,
        methods: NUMBERED,
        reply: Some(Reply::Status(500)),
        look: cseq_low,
    },
    Check {
        rule: RuleId::CalleeByeTooEarly,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: BYE,
        reply: None,
        look: callee_bye_before_ack,
    },
    Check {
        rule: RuleId::SessionOverAtBye,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: NUMBERED,
        reply: None,
        look: after_bye,
    },
    Check {
        rule: RuleId::CancelNotAllowed,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: MethodSet::of(&[Method::Cancel]),
        reply: None,
        look: cancel_unasked,
    },
    Check {
        rule: RuleId::ByeIsNeverGlare,
        view: View::Both,
        kinds: Kinds::FAILURE,
        methods: BYE,
        reply: None,
        look: bye_refused_for_glare,
    },
    Check {
        rule: RuleId::DialogKey,
        view: View::Sender,
        kinds: Kinds::FAILURE,
        methods: ANSWERED_BY_DIALOG,
        reply: None,
        look: live_dialog_denied,
    },
    Check {
        rule: RuleId::NoSuchDialog,
        view: View::Both,
        kinds: Kinds::RESPONSE,
        methods: ACK,
        reply: None,
        look: ack_answered,
    },
    Check {
        rule: RuleId::DialogOutlivesUsage,
        view: View::Both,
        kinds: Kinds::FAILURE,
        methods: MethodSet::of(&[Method::Notify]),
        reply: None,
        look: notify_denied,
    },
    Check {
        rule: RuleId::LatestAllowIgnored,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: OPTIONAL,
        reply: None,
        look: not_allowed,
    },
];

fn method_mismatch(_: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    seen.headers.cseq_mismatch.then(Evidence::new)
}

fn tag_case_changed(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let changed = |told: Option<&str>, side: Way| {
        let tag = &*dialog.party.by(side).tag;
        told.is_some_and(|told| told != tag && told.eq_ignore_ascii_case(tag))
    };
    (changed(seen.from_tag, seen.way) || changed(seen.to_tag, seen.way.reversed())).then(Evidence::new)
}

/// A response in a dialog has the To tag of its request (RFC 3261 §8.2.6.2).
fn other_to_tag(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let open = dialog.request_of(seen).filter(|open| !open.forms && seen.headers.real)?;
    let tag = &*dialog.party.by(seen.way).tag;
    let told = seen.to_tag.unwrap_or_default();
    (!tag.is_empty() && !told.eq_ignore_ascii_case(tag)).then(|| on(open.on))
}

fn credentials_repeated(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let (refused, challenge) = **dialog.party.by(seen.way).challenged.as_ref()?;
    (seen.headers.credentials == refused).then(|| on(challenge))
}

fn no_max_forwards(_: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    (seen.headers.real && !seen.headers.max_forwards).then(Evidence::new)
}

fn cseq_reused(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    if !seen.headers.real {
        return None;
    }
    let last = dialog.party.by(seen.way).cseq?;
    if seen.cseq > last {
        return None;
    }
    let earlier = dialog.open.iter().find(|open| open.way == seen.way && open.cseq == seen.cseq);
    Some(earlier.map(|open| on(open.on)).unwrap_or_default())
}

fn cseq_low(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let last = dialog.party.by(seen.way).cseq?;
    // RFC 6337 §4.1, figure 6: a PRACK that an UPDATE overtook is still the acknowledgement that is waited for.
    let awaited = seen.rack.is_some_and(|(rseq, invite, _)| {
        let open = dialog.find_open(seen.way, Method::Invite, invite);
        open.is_some_and(|open| open.unacknowledged.is_some_and(|response| response.rseq == rseq))
    });
    (seen.cseq <= last && !(awaited && seen.method == Method::Prack))
        .then(|| dialog.party.by(seen.way).answered.map(|(_, n)| on(n)).unwrap_or_default())
}

fn callee_bye_before_ack(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let callee = (dialog.owner == Way::Sent) != (seen.way == Way::Sent);
    if !callee
        || !matches!(dialog.usage, InviteState::Preparative | InviteState::Early | InviteState::Moratorium)
    {
        return None;
    }
    let forming = dialog.open.iter().find(|open| open.forms)?;
    match forming.accepted {
        // RFC 3261 §15: from 64*T1 on it need not wait; a capture may lose a little of that.
        Some((_, time)) if seen.at.time > time + Duration::from_millis(31_500) => None,
        Some((n, _)) => because(&[forming.on, n]),
        None => Some(on(forming.on)),
    }
}

fn after_bye(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let usage =
        matches!(seen.method, Method::Invite | Method::Update | Method::Prack | Method::Info | Method::Refer);
    let sender = dialog.party.by(seen.way);
    let bye = sender.bye?;
    // One with a lower number left before the BYE, which overtook it.
    let overtaken = seen.headers.real && sender.cseq.is_some_and(|last| seen.cseq < last);
    (usage && !overtaken).then(|| on(bye))
}

fn cancel_unasked(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let open = dialog.find_open(seen.way, Method::Invite, seen.cseq)?;
    (open.provisional.is_none() && open.accepted.is_none()).then(|| on(open.on))
}

fn bye_refused_for_glare(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    (seen.status == Some(491)).then(|| dialog.request_of(seen).map(|open| on(open.on)).unwrap_or_default())
}

fn live_dialog_denied(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let open = dialog.request_of(seen).filter(|_| seen.status == Some(481) && dialog.usage.confirmed())?;
    (!open.misnamed).then(|| on(open.on))
}

fn ack_answered(_: &Dialog, _: &Seen<'_>) -> Option<Evidence> {
    plainly()
}

fn notify_denied(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let notify = dialog.request_of(seen).filter(|_| seen.status == Some(481))?;
    let own =
        dialog.subscriptions.iter().find(|s| s.refer == seen.way && s.notified_on == Some(notify.on))?;
    let by_now = dialog.party.ours.bye.or(dialog.party.theirs.bye)?;
    because(&[own.on, by_now])
}

fn not_allowed(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let allow = dialog.party.by(seen.way.reversed()).can.allow?;
    // Who took a REFER takes what renews or ends the subscription that it made (RFC 3515 §2.4.4).
    let renews = seen.method == Method::Subscribe && dialog.has_live_subscription();
    (!allow.has(seen.method) && !renews).then(Evidence::new)
}
