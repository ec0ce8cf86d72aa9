//! Contact and route. RFC 3261 §12.2, RFC 3311 §5.1, RFC 6141 §4.

use midcall_wire::{Method, NameAddr, Uri};

use super::{Check, INVITE, Kinds, MethodSet, View, on};
use crate::dialog::{Dialog, Evidence, Seen, Stale};
use crate::rules::RuleId;

/// Requests that go to the remote target; CANCEL goes where its INVITE went.
const ROUTED: MethodSet = MethodSet::ALL.minus(Method::Cancel);

const REFRESHING: MethodSet = MethodSet::of(&[Method::Invite, Method::Update]);

pub(super) const CHECKS: &[Check] = &[
    Check {
        rule: RuleId::ContactMissing,
        view: View::Both,
        kinds: Kinds::REQUEST_OR_SUCCESS,
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
    Check {
        rule: RuleId::RecordRouteNotCopied,
        view: View::Sender,
        kinds: Kinds::RESPONSE,
        methods: INVITE,
        reply: None,
        look: record_route_lost,
    },
    Check {
        rule: RuleId::RouteSetNotReversed,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: ROUTED,
        reply: None,
        look: route_in_wrong_order,
    },
    Check {
        rule: RuleId::RequestUriAndRoute,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: ROUTED,
        reply: None,
        look: route_left_out,
    },
    Check {
        rule: RuleId::AckToOldContact,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: ROUTED,
        reply: None,
        look: |dialog, seen| to_stale(dialog, seen, Stale::Early),
    },
    Check {
        rule: RuleId::TargetAdoptedOnError,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: ROUTED,
        reply: None,
        look: |dialog, seen| to_stale(dialog, seen, Stale::Refused),
    },
    Check {
        rule: RuleId::TargetFromUnreliableProvisional,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: ROUTED,
        reply: None,
        look: |dialog, seen| to_stale(dialog, seen, Stale::Unreliable),
    },
    Check {
        rule: RuleId::TargetRolledBack,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: ROUTED,
        reply: None,
        look: |dialog, seen| to_stale(dialog, seen, Stale::Replaced),
    },
];

/// Proxies on the way back add values and take none away, so the response has at least those of its request.
fn record_route_lost(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let forming = seen.is_success() || seen.reliable().is_some();
    let open = dialog.request_of(seen).filter(|open| forming && open.forms && open.accepted.is_none())?;
    (seen.headers.real && seen.headers.record_routes < open.record_routes).then(|| on(open.on))
}

/// The caller's route set if its first hop is a loose router; only the caller's is sure to be known whole.
fn loose_route<'d>(dialog: &'d Dialog, seen: &Seen<'_>) -> Option<&'d [Box<str>]> {
    let first = dialog.route.first().filter(|_| dialog.owner == seen.way && seen.headers.real)?;
    let loose = uri_of(first).is_some_and(|uri| uri.params.get("lr").is_some());
    // A request that crosses the response is none of the dialog's: the ACK of a failure goes where its INVITE went.
    let in_dialog = seen.to_tag.is_some() && (seen.method != Method::Ack || accepted(dialog, seen));
    (loose && in_dialog).then_some(&*dialog.route)
}

fn route_in_wrong_order(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let set = loose_route(dialog, seen)?;
    let (first, last) = (set.first()?, set.last()?);
    let told = uri_of(seen.route?)?;
    let whole = usize::from(seen.headers.routes) == set.len();
    (whole && uri_of(last)?.same(&told) && !uri_of(first)?.same(&told)).then(Evidence::new)
}

fn route_left_out(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    loose_route(dialog, seen).filter(|_| seen.headers.routes == 0).map(|_| Evidence::new())
}

/// Whether the INVITE of this ACK got a 2xx.
fn accepted(dialog: &Dialog, seen: &Seen<'_>) -> bool {
    dialog.find_open(seen.way, Method::Invite, seen.cseq).is_some_and(|open| open.accepted.is_some())
}

/// A request to a Contact of the peer that is not its target, for this reason.
fn to_stale(dialog: &Dialog, seen: &Seen<'_>, why: Stale) -> Option<Evidence> {
    let peer = dialog.party.by(seen.way.reversed());
    let stale = peer.stale.as_deref().filter(|stale| stale.why == why)?;
    let (uri, old, target) =
        (Uri::parse(seen.uri?).ok()?, Uri::parse(&stale.uri).ok()?, Uri::parse(&peer.target).ok()?);
    let routed = seen.method != Method::Ack || accepted(dialog, seen);
    (routed && uri.same(&old) && !uri.same(&target)).then(|| on(stale.on))
}

fn uri_of(value: &str) -> Option<Uri<'_>> {
    Uri::parse(NameAddr::parse(value).ok()?.uri).ok()
}

fn no_contact(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let missing = seen.headers.real && seen.headers.contacts == 0;
    missing.then(|| {
        dialog.request_of(seen).filter(|_| !seen.is_request()).map(|open| on(open.on)).unwrap_or_default()
    })
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
    let mut places = seen.contact?.as_bytes().windows(OLD_TLS.len());
    places.any(|place| place.starts_with(b";") && place.eq_ignore_ascii_case(OLD_TLS)).then(Evidence::new)
}

const OLD_TLS: &[u8] = b";transport=tls";
