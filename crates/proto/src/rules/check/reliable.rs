//! Reliable provisional responses and PRACK. RFC 3262.

use midcall_wire::Method;

use super::{Check, INVITE, Kinds, MethodSet, PRACK, View, because, on, plainly};
use crate::dialog::{Dialog, Evidence, OptionTag, Seen};
use crate::rules::{Reply, RuleId};

pub(super) const CHECKS: &[Check] = &[
    Check {
        rule: RuleId::ReliableUnasked,
        view: View::Both,
        kinds: Kinds::PROVISIONAL,
        methods: INVITE,
        reply: None,
        look: unasked,
    },
    Check {
        rule: RuleId::RequiredReliableIgnored,
        view: View::Both,
        kinds: Kinds::PROVISIONAL,
        methods: INVITE,
        reply: None,
        look: plain_though_required,
    },
    Check {
        rule: RuleId::ReliableTrying,
        view: View::Both,
        kinds: Kinds::PROVISIONAL,
        methods: INVITE,
        reply: None,
        look: reliable_100,
    },
    Check {
        rule: RuleId::RSeqWrong,
        view: View::Both,
        kinds: Kinds::PROVISIONAL,
        methods: INVITE,
        reply: None,
        look: rseq_wrong,
    },
    Check {
        rule: RuleId::PrackMatchesNothing,
        view: View::Receiver,
        kinds: Kinds::REQUEST,
        methods: PRACK,
        reply: Some(Reply::Status(481)),
        look: rack_unknown,
    },
    Check {
        rule: RuleId::SecondReliableTooEarly,
        view: View::Sender,
        kinds: Kinds::PROVISIONAL,
        methods: INVITE,
        reply: None,
        look: second_unacknowledged,
    },
    Check {
        rule: RuleId::SuccessBeforePrack,
        view: View::Sender,
        kinds: Kinds::SUCCESS,
        methods: INVITE,
        reply: None,
        look: success_before_prack,
    },
    Check {
        rule: RuleId::ReliableRequiredElsewhere,
        view: View::Both,
        kinds: Kinds::REQUEST,
        methods: MethodSet::ALL.minus(Method::Invite),
        reply: None,
        look: required_elsewhere,
    },
    Check {
        rule: RuleId::ProvisionalToNonInvite,
        view: View::Both,
        kinds: Kinds::PROVISIONAL,
        methods: MethodSet::ALL.minus(Method::Invite),
        reply: None,
        look: provisional_elsewhere,
    },
];

fn unasked(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    seen.reliable()?;
    let open = dialog.request_of(seen)?;
    let asked = open.supported.has(OptionTag::Rel100) || open.require.has(OptionTag::Rel100);
    (!asked).then(|| on(open.on))
}

fn plain_though_required(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let open = dialog.request_of(seen)?;
    let plain = seen.status.is_some_and(|status| status > 100) && seen.reliable().is_none();
    (plain && open.require.has(OptionTag::Rel100)).then(|| on(open.on))
}

fn reliable_100(_: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    (seen.status == Some(100) && (seen.require.has(OptionTag::Rel100) || seen.rseq.is_some()))
        .then(Evidence::new)
}

fn rseq_wrong(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    if seen.status == Some(100) || !seen.require.has(OptionTag::Rel100) {
        return None;
    }
    let Some(rseq) = seen.rseq else { return plainly() };
    let last = dialog.request_of(seen).and_then(|open| Some((open.rseq?, open.rseq_on)));
    match last {
        None => (rseq == 0 || rseq >= 1 << 31).then(Evidence::new),
        Some((last, n)) => (rseq <= last).then(|| on(n)),
    }
}

fn rack_unknown(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let Some((rseq, invite, method)) = seen.rack else { return plainly() };
    let open = dialog.find_open(seen.way, Method::Invite, invite);
    if dialog.unpracked == Some((rseq, invite)) && method == Method::Invite {
        return None; // late, for an INVITE that has its final response already (PR-09)
    }
    let matches = method == Method::Invite
        && open.is_some_and(|open| open.unacknowledged.is_some_and(|r| r.rseq == rseq));
    (!matches).then(Evidence::new)
}

fn second_unacknowledged(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let rseq = seen.reliable()?;
    let open = dialog.request_of(seen)?.unacknowledged?;
    (open.rseq != rseq).then(|| on(open.on))
}

fn success_before_prack(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let open = dialog.request_of(seen)?;
    let response = open.unacknowledged.filter(|response| response.with_sdp)?;
    because(&[open.on, response.on])
}

fn required_elsewhere(_: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    seen.require.has(OptionTag::Rel100).then(Evidence::new)
}

fn provisional_elsewhere(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    (seen.status != Some(100)).then(|| dialog.request_of(seen).map(|open| on(open.on)).unwrap_or_default())
}
