//! Contact and route. RFC 3261 §12.2, RFC 3311 §5.1, RFC 6141 §4.

use midcall_wire::Method;

use super::{Check, INVITE, Kinds, MethodSet, View, on};
use crate::dialog::{Dialog, Evidence, Seen};
use crate::rules::RuleId;

const REFRESHING: MethodSet = MethodSet::of(&[Method::Invite, Method::Update]);

pub(super) const CHECKS: &[Check] = &[
    Check {
        rule: RuleId::ContactMissing,
        view: View::Both,
        kinds: Kinds::REQUEST,
        methods: REFRESHING,
        reply: None,
        look: no_contact,
    },
    Check {
        rule: RuleId::UpdatedContactReverts,
        view: View::Sender,
        kinds: Kinds::SUCCESS,
        methods: INVITE,
        reply: None,
        look: contact_reverts,
    },
    Check {
        rule: RuleId::SipContactInSipsDialog,
        view: View::Sender,
        kinds: Kinds::ANY,
        methods: REFRESHING,
        reply: None,
        look: insecure_contact,
    },
    Check {
        rule: RuleId::TransportTls,
        view: View::Both,
        kinds: Kinds::ANY,
        methods: REFRESHING,
        reply: None,
        look: transport_tls,
    },
];

fn no_contact(_: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    (seen.headers.real && seen.headers.contacts == 0).then(Evidence::new)
}

/// The callee moved its target by UPDATE while the INVITE was open; its 2xx must name the same Contact.
fn contact_reverts(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let open = dialog.request_of(seen).filter(|open| open.forms && open.accepted.is_none())?;
    let (_, update) = dialog.party.by(seen.way).answered?;
    let contact = seen.contact?;
    let target = &*dialog.party.by(seen.way).target;
    (update > open.on && !target.is_empty() && target != contact).then(|| on(update))
}

fn insecure_contact(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let contact = seen.contact.filter(|_| dialog.secure && (seen.is_request() || seen.is_success()))?;
    contact.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sip:")).then(Evidence::new)
}

fn transport_tls(_: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    seen.contact?.to_ascii_lowercase().contains(";transport=tls").then(Evidence::new)
}
