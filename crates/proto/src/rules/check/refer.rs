//! REFER and its subscription. RFC 3515, RFC 6665, RFC 3891.

use midcall_wire::Method;

use super::{Check, Kinds, MethodSet, View, on};
use crate::dialog::{Dialog, Evidence, Seen};
use crate::rules::RuleId;

const REFER: MethodSet = MethodSet::of(&[Method::Refer]);
const NOTIFY: MethodSet = MethodSet::of(&[Method::Notify]);

pub(super) const CHECKS: &[Check] = &[
    Check {
        rule: RuleId::ReferToCount,
        view: View::Both,
        kinds: Kinds::REQUEST,
        methods: REFER,
        reply: None,
        look: refer_to_count,
    },
    Check {
        rule: RuleId::NotifyIncomplete,
        view: View::Both,
        kinds: Kinds::REQUEST,
        methods: NOTIFY,
        reply: None,
        look: notify_parts,
    },
    Check {
        rule: RuleId::ReferIdMissing,
        view: View::Both,
        kinds: Kinds::REQUEST,
        methods: NOTIFY,
        reply: None,
        look: id_missing,
    },
    Check {
        rule: RuleId::OutcomeNotReported,
        view: View::Both,
        kinds: Kinds::REQUEST,
        methods: NOTIFY,
        reply: None,
        look: last_without_outcome,
    },
];

fn refer_to_count(_: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    (seen.headers.real && (seen.headers.refer_to != 1 || seen.headers.contacts != 1)).then(Evidence::new)
}

fn notify_parts(_: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let headers = seen.headers;
    let whole = headers.subscription_state != 0 && headers.sipfrag.flatten().is_some();
    (headers.event_refer && !whole).then(Evidence::new)
}

fn id_missing(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    if !seen.headers.event_refer || seen.headers.event_id.is_some() {
        return None;
    }
    let mut asked = dialog.subscriptions.iter().filter(|s| s.refer == seen.way.reversed());
    let first = asked.next()?;
    let second = asked.next()?;
    (!first.live()).then(|| on(second.on))
}

fn last_without_outcome(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let headers = seen.headers;
    let subscription = dialog.subscriptions.iter().find(|s| s.takes(seen))?;
    let early_end = headers.subscription_state == 2
        && headers.reason_noresource
        && headers.sipfrag.flatten().is_some_and(|status| status < 200)
        && subscription.notified_on.is_some();
    (headers.event_refer && early_end).then(|| on(subscription.on))
}
