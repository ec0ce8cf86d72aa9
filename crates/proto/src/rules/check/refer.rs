//! REFER and its subscription. RFC 3515, RFC 6665, RFC 3891.

use std::time::Duration;

use midcall_wire::Method;

use super::{Check, Kinds, MethodSet, View, on};
use crate::dialog::{Dialog, Evidence, InviteState, OptionTag, Seen, Subscription};
use crate::rules::RuleId;
use crate::time::Instant;

/// How long a call may ring: a proxy need not wait longer (RFC 3261 §16.6, Timer C).
const RINGS: Duration = Duration::from_secs(180);
/// How long the answer to the REFER may have been on its way, resent (RFC 3261 §17.2.2).
const RESENT: Duration = Duration::from_secs(32);

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
    Check {
        rule: RuleId::ReferAnsweredLate,
        view: View::Sender,
        kinds: Kinds::FINAL,
        methods: REFER,
        reply: None,
        look: slow_answer,
    },
    Check {
        rule: RuleId::SubscriptionStateBare,
        view: View::Both,
        kinds: Kinds::REQUEST,
        methods: NOTIFY,
        reply: None,
        look: state_incomplete,
    },
    Check {
        rule: RuleId::NotifyTooOften,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: NOTIFY,
        reply: None,
        look: too_often,
    },
    Check {
        rule: RuleId::ReferInDialogToGruu,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: REFER,
        reply: None,
        look: gruu_target,
    },
    Check {
        rule: RuleId::ReferSubViolated,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: NOTIFY,
        reply: None,
        look: notified_though_granted,
    },
    Check {
        rule: RuleId::UsageRefusedWithDialogCode,
        view: View::Both,
        kinds: Kinds::FAILURE,
        methods: REFER,
        reply: None,
        look: refused_destructively,
    },
    Check {
        rule: RuleId::SipfragTooTalkative,
        view: View::Both,
        kinds: Kinds::REQUEST,
        methods: NOTIFY,
        reply: None,
        look: fragment_tells_more,
    },
    Check {
        rule: RuleId::ReferNotInAllow,
        view: View::Both,
        kinds: Kinds::REQUEST,
        methods: REFER,
        reply: None,
        look: notify_unlisted,
    },
    Check {
        rule: RuleId::ExplicitSubscription,
        view: View::Both,
        kinds: Kinds::SUCCESS,
        methods: REFER,
        reply: None,
        look: nowhere_to_subscribe,
    },
    Check {
        rule: RuleId::ReplacesNotEscaped,
        view: View::Both,
        kinds: Kinds::REQUEST,
        methods: REFER,
        reply: None,
        look: replaces_raw,
    },
    Check {
        rule: RuleId::SubscriptionTooShort,
        view: View::Both,
        kinds: Kinds::REQUEST,
        methods: NOTIFY,
        reply: None,
        look: ran_out,
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
    // A REFER that was refused may not count for the one who notifies.
    let counts = |s: &&Subscription| s.live() || s.accepted.is_some() || s.notified_on.is_some();
    let mut asked = dialog.subscriptions.iter().filter(|s| s.refer == seen.way.reversed()).filter(counts);
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

fn slow_answer(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    super::slow(dialog, seen)
}

fn state_incomplete(_: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let headers = seen.headers;
    let incomplete = match headers.subscription_state {
        1 => headers.subscription_expires.is_none(),
        2 => !headers.subscription_reason,
        _ => false,
    };
    (headers.event_refer && incomplete).then(Evidence::new)
}

fn too_often(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let subscription = dialog.subscriptions.iter().rev().find(|s| s.takes(seen))?;
    let (last, on_last) = (subscription.notified_at?, subscription.notified_on?);
    // The last word may follow at once: it ends the wait.
    let soon = seen.at.time < last + Duration::from_secs(1) && seen.headers.subscription_state == 1;
    soon.then(|| on(on_last))
}

fn gruu_target(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let target = &*dialog.party.by(seen.way.reversed()).target;
    let gruu = target.split(';').skip(1).any(|param| param == "gr" || param.starts_with("gr="));
    let silent = seen.require.has(OptionTag::NoSub) || seen.require.has(OptionTag::ExplicitSub);
    // One that makes its own dialog is just what is wanted.
    let outside = dialog.usage == InviteState::Preparative;
    (gruu && !silent && !outside).then(Evidence::new)
}

fn notified_though_granted(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let subscription = dialog.subscriptions.iter().rev().find(|s| s.takes(seen) && !s.live())?;
    let (accepted, _) = subscription.accepted?;
    subscription.notified_on.is_none().then(|| super::because(&[subscription.on, accepted])).flatten()
}

fn refused_destructively(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let destructive = matches!(seen.status, Some(404 | 410 | 416 | 482..=485 | 502 | 604));
    destructive.then(|| dialog.request_of(seen).map(|open| on(open.on)).unwrap_or_default())
}

fn fragment_tells_more(_: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    (seen.headers.event_refer && seen.headers.sipfrag_more).then(Evidence::new)
}

fn notify_unlisted(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let allow = seen.allow.or(dialog.party.by(seen.way).can.allow)?;
    (!allow.has(Method::Notify)).then(Evidence::new)
}

fn nowhere_to_subscribe(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let open = dialog.request_of(seen).filter(|open| open.require.has(OptionTag::ExplicitSub))?;
    (!seen.headers.refer_events_at).then(|| on(open.on))
}

fn replaces_raw(_: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    seen.headers.replaces_unescaped.then(Evidence::new)
}

/// It ran out, though the referrer did not end it, and the outcome was not told. Whoever granted as long as a call may ring did
/// what could be done: only the referrer can make it longer.
fn ran_out(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let headers = seen.headers;
    let subscription = dialog.subscriptions.iter().rev().find(|s| s.takes(seen) && !s.renewed)?;
    let lived = |from: Instant| seen.at.time.since(from) + RESENT >= RINGS;
    if subscription.accepted.is_some_and(|(_, accepted)| lived(accepted)) {
        return None;
    }
    let early = headers.subscription_state == 2
        && headers.reason_timeout
        && headers.sipfrag.flatten().is_none_or(|status| status < 200)
        && subscription.status.is_none_or(|status| status < 200);
    (headers.event_refer && early).then(|| on(subscription.on))
}
