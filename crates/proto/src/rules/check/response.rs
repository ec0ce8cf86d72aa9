//! What error responses must carry, and which are allowed at all. RFC 3261 §8.2, RFC 4320.

use midcall_wire::Method;

use super::{Check, INVITE, Kinds, MethodSet, UPDATE, View, on};
use crate::dialog::{Dialog, Evidence, Seen};
use crate::rules::RuleId;

pub(super) const CHECKS: &[Check] = &[
    Check {
        rule: RuleId::UnsupportedMissing,
        view: View::Both,
        kinds: Kinds::FAILURE,
        methods: MethodSet::ALL,
        reply: None,
        look: unsupported_missing,
    },
    Check {
        rule: RuleId::AllowMissing,
        view: View::Both,
        kinds: Kinds::FAILURE,
        methods: MethodSet::ALL,
        reply: None,
        look: allow_missing,
    },
    Check {
        rule: RuleId::AcceptMissing,
        view: View::Both,
        kinds: Kinds::FAILURE,
        methods: MethodSet::ALL,
        reply: None,
        look: accept_missing,
    },
    Check {
        rule: RuleId::TimeoutSentToNonInvite,
        view: View::Both,
        kinds: Kinds::FAILURE,
        methods: MethodSet::ALL.minus(Method::Invite),
        reply: None,
        look: timeout_told,
    },
    Check {
        rule: RuleId::CancelChallengedOrUnanswered,
        view: View::Both,
        kinds: Kinds::FAILURE,
        methods: MethodSet::of(&[Method::Cancel]),
        reply: None,
        look: cancel_challenged,
    },
    Check {
        rule: RuleId::ExtensionUnasked,
        view: View::Both,
        kinds: Kinds::RESPONSE,
        methods: INVITE,
        reply: None,
        look: extension_unasked,
    },
    Check {
        rule: RuleId::ExtensionUnasked,
        view: View::Both,
        kinds: Kinds::RESPONSE,
        methods: UPDATE,
        reply: None,
        look: extension_unasked,
    },
    Check {
        rule: RuleId::ExtensionRequired,
        view: View::Both,
        kinds: Kinds::FAILURE,
        methods: MethodSet::ALL,
        reply: None,
        look: extension_unnamed,
    },
];

/// The message number of the request that this response answers, as evidence.
fn request(dialog: &Dialog, seen: &Seen<'_>) -> Evidence {
    dialog.request_of(seen).map(|open| on(open.on)).unwrap_or_default()
}

fn unsupported_missing(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    (seen.status == Some(420) && !seen.headers.unsupported).then(|| request(dialog, seen))
}

fn allow_missing(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    (seen.status == Some(405) && seen.allow.is_none()).then(|| request(dialog, seen))
}

fn accept_missing(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    (seen.status == Some(415) && !seen.headers.accept).then(|| request(dialog, seen))
}

fn timeout_told(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    (seen.status == Some(408)).then(|| request(dialog, seen))
}

fn cancel_challenged(_: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    matches!(seen.status, Some(401 | 407)).then(Evidence::new)
}

fn extension_unasked(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let open = dialog.request_of(seen)?;
    let mut asked = open.supported;
    asked.add(open.require);
    // 100rel has its own rule (PR-01), and a timer that a proxy asked for is no fault of the UAS.
    let unasked = seen.require.without(asked).without(super::own_rules());
    (seen.status != Some(421) && unasked.tags().next().is_some()).then(|| on(open.on))
}

fn extension_unnamed(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    (seen.status == Some(421) && seen.require.is_empty()).then(|| request(dialog, seen))
}
