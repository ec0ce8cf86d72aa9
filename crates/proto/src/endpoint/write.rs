//! Messages within a dialog, written from what is known of it.

use midcall_wire::{Builder, Method, Name, Uri};

use super::call::Spec;
use super::core::Core;
use crate::Msg;
use crate::auth::DigestClient;
use crate::dialog::{Dialog, OptionSet};
use crate::flow::Flow;
use crate::rules::methods::{REFRESH_TARGET, REFRESHED_BY_SUCCESS};

/// The URI of the next hop: the first route, or the remote target (RFC 3261 §12.2.1.1).
pub(super) fn next_hop(dialog: &Dialog) -> String {
    let route = dialog.route.first().and_then(|route| midcall_wire::NameAddr::parse(route).ok());
    route.map_or_else(|| dialog.party.theirs.target.to_string(), |route| route.uri.to_owned())
}

/// Writes an in-dialog request (RFC 3261 §12.2.1.1; DLG-09, DLG-34).
pub(super) fn request_in(
    core: &mut Core,
    dialog: &Dialog,
    flow: &Flow,
    cseq: u32,
    spec: &Spec,
    digest: Option<&mut DigestClient>,
) -> Vec<u8> {
    let target = &*dialog.party.theirs.target;
    let first = dialog
        .route
        .first()
        .and_then(|route| midcall_wire::NameAddr::parse(route).ok().map(|route| route.uri));
    let loose = first.is_none_or(|uri| Uri::parse(uri).is_ok_and(|uri| uri.params.has("lr")));
    let uri = if loose { target } else { first.unwrap_or(target) };
    let via = core.via(flow);
    let mut message =
        Builder::request(spec.method.as_str(), uri).header(Name::Via, via).header(Name::MaxForwards, 70);
    let routes = dialog.route.iter().skip(usize::from(!loose));
    for route in routes {
        message = message.header(Name::Route, route);
    }
    if !loose {
        message = message.header(Name::Route, format_args!("<{target}>"));
    }
    let tagged =
        |uri: &str, tag: &str| if tag.is_empty() { format!("<{uri}>") } else { format!("<{uri}>;tag={tag}") };
    message = message
        .header(
            Name::From,
            tagged(spec.from.as_deref().unwrap_or(&dialog.party.ours.uri), &dialog.party.ours.tag),
        )
        .header(Name::To, tagged(&dialog.party.theirs.uri, &dialog.party.theirs.tag))
        .header(Name::CallId, &dialog.call_id)
        .header(Name::CSeq, format_args!("{cseq} {}", spec.method.as_str()));
    if REFRESH_TARGET.has(spec.method) {
        message = message.header(Name::Contact, core.contact(flow, dialog.secure));
    }
    if matches!(spec.method, Method::Invite | Method::Update | Method::Refer) {
        message = message.header(Name::Allow, core.allow_text());
    }
    if spec.method != Method::Ack {
        let mut supported = core.supported();
        if spec.headers.iter().any(|(name, _)| *name == Name::Supported) {
            supported = OptionSet::default();
        }
        if !supported.is_empty() {
            message = message.header(Name::Supported, supported);
        }
    }
    for (name, value) in &spec.headers {
        message = message.header(*name, value);
    }
    let body = spec.body.as_ref().map(|(_, body)| body.as_slice()).unwrap_or_default();
    if spec.credentials.is_empty()
        && let Some(digest) = digest
    {
        let cnonce = core.rng.next_u64();
        for (name, value) in digest.preemptive(spec.method.as_str(), uri, body, cnonce) {
            message = message.header(name, value);
        }
    }
    for (name, value) in &spec.credentials {
        message = message.header(*name, value);
    }
    if let Some((name, value)) = core.agent_header(true) {
        message = message.header(name, value);
    }
    match &spec.body {
        Some((content_type, body)) => message.body(content_type, body).finish(),
        None => message.finish(),
    }
}

/// Writes a response within a dialog (RFC 3261 §8.2.6, §12.1.1).
pub(super) fn response_in(
    core: &Core,
    dialog: &Dialog,
    flow: &Flow,
    request: &Msg,
    status: u16,
    headers: &[(Name, String)],
    body: Option<Vec<u8>>,
) -> Vec<u8> {
    let method = request.method();
    let mut message = Builder::reply(request, status, None);
    if status > 100 {
        message = message.to_tag(&dialog.party.ours.tag);
    }
    let forms =
        request.to().is_ok_and(|to| to.tag().is_none()) && matches!(method, Method::Invite | Method::Refer);
    if forms && status > 100 && status < 300 {
        message = message.lines_of(request, Name::RecordRoute);
    }
    if REFRESHED_BY_SUCCESS.has(method) && (200..300).contains(&status)
        || method == Method::Invite && (101..200).contains(&status)
    {
        message = message.header(Name::Contact, core.contact(flow, dialog.secure));
    }
    if status > 100 && status < 300 && matches!(method, Method::Invite | Method::Update | Method::Options)
        || status == 405
    {
        message = message.header(Name::Allow, core.allow_text());
    }
    if (200..300).contains(&status) && method != Method::Bye {
        message = message.header(Name::Supported, core.supported());
    }
    for (name, value) in headers {
        message = message.header(*name, value);
    }
    if let Some((name, value)) = core.agent_header(false) {
        message = message.header(name, value);
    }
    match body {
        Some(body) => message.body("application/sdp", &body).finish(),
        None => message.finish(),
    }
}
