//! Dialog identity and order: CSeq, tags, ends. RFC 3261 §12.

use midcall_wire::Method;

use super::{Check, Kinds, View, because, on, plainly};
use crate::dialog::{Dialog, Evidence, InviteState, MethodSet, Seen, Way};
use crate::rules::{Reply, RuleId};

/// Every method that takes a new CSeq number.
const NUMBERED: MethodSet = MethodSet::ALL.minus(Method::Ack).minus(Method::Cancel);

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
        rule: RuleId::CSeqOutOfRange,
        view: View::Both,
        kinds: Kinds::REQUEST,
        methods: MethodSet::ALL,
        reply: None,
        look: cseq_too_large,
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
];

fn method_mismatch(_: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    seen.headers.cseq_mismatch.then(Evidence::new)
}

fn cseq_too_large(_: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    (seen.headers.real && seen.cseq >= 1 << 31).then(Evidence::new)
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
    match earlier {
        Some(open) => Some(on(open.on)),
        None if seen.cseq == last => plainly(),
        None => None,
    }
}

fn cseq_low(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let last = dialog.party.by(seen.way).cseq?;
    (seen.cseq <= last).then(|| dialog.party.by(seen.way).answered.map(|(_, n)| on(n)).unwrap_or_default())
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
        Some((n, _)) => because(&[forming.on, n]),
        None => Some(on(forming.on)),
    }
}

fn after_bye(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let usage =
        matches!(seen.method, Method::Invite | Method::Update | Method::Prack | Method::Info | Method::Refer);
    let bye = dialog.party.by(seen.way).bye?;
    usage.then(|| on(bye))
}

fn cancel_unasked(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let open = dialog.find_open(seen.way, Method::Invite, seen.cseq)?;
    (open.provisional.is_none() && open.accepted.is_none()).then(|| on(open.on))
}

fn bye_refused_for_glare(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    (seen.status == Some(491)).then(|| dialog.request_of(seen).map(|open| on(open.on)).unwrap_or_default())
}
