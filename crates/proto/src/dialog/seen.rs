//! A message as the dialog sees it: the facts that rules ask for, read once.

use std::sync::Arc;

use midcall_wire::sdp::Sdp;
use midcall_wire::{Message, Method, Name, Refresher};

use super::capability::{MethodSet, OptionSet, OptionTag};
use crate::time::Instant;

/// Which way a message went, seen from the party that holds the [`Dialog`](super::Dialog).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Way {
    /// This party sent it.
    Sent,
    /// This party received it.
    Received,
}

impl Way {
    /// The other way.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Sent => Self::Received,
            Self::Received => Self::Sent,
        }
    }
}

/// The number of a message in its trace or endpoint, and when it passed. Evidence is given by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct At {
    /// The message's number.
    pub n: u32,
    /// The time.
    pub time: Instant,
}

/// A reliable provisional response's place: the RSeq of RFC 3262 §7.1.
pub type RSeq = u32;

/// The facts of one message, or of one that is only planned.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// Which way it went.
    pub way: Way,
    /// Its number and time.
    pub at: At,
    /// The method; of the request for a response.
    pub method: Method,
    /// The status of a response, `None` for a request.
    pub status: Option<u16>,
    /// The CSeq number.
    pub cseq: u32,
    /// The session description it carries, if that parses.
    pub sdp: Option<Arc<Sdp>>,
    /// Whether it carries a session description at all, readable or not.
    pub has_sdp: bool,
    /// Whether it has any body.
    pub has_body: bool,
    /// Option tags in Require.
    pub require: OptionSet,
    /// Option tags in Supported.
    pub supported: OptionSet,
    /// Methods in Allow.
    pub allow: Option<MethodSet>,
    /// RSeq.
    pub rseq: Option<RSeq>,
    /// RAck: RSeq, CSeq number, method.
    pub rack: Option<(RSeq, u32, Method)>,
    /// Session-Expires: seconds and refresher.
    pub session_expires: Option<(u32, Option<Refresher>)>,
    /// Min-SE in seconds.
    pub min_se: Option<u32>,
    /// Retry-After in seconds.
    pub retry_after: Option<u32>,
    /// The Contact URI.
    pub contact: Option<&'a str>,
    /// The From URI.
    pub from_uri: Option<&'a str>,
    /// The From tag.
    pub from_tag: Option<&'a str>,
    /// The To URI.
    pub to_uri: Option<&'a str>,
    /// The To tag.
    pub to_tag: Option<&'a str>,
    /// The branch of the top Via.
    pub branch: Option<&'a str>,
    /// The Request-URI of a request.
    pub uri: Option<&'a str>,
    /// Counts and presence of further headers that a rule asks for.
    pub headers: HeaderFacts,
}

/// Presence of headers that rules ask for.
#[derive(Clone, Copy, Default, Debug)]
pub struct HeaderFacts {
    /// Whether these facts come from real bytes; a planned message has none to judge.
    pub real: bool,
    /// Max-Forwards is there.
    pub max_forwards: bool,
    /// Unsupported is there.
    pub unsupported: bool,
    /// Accept, Accept-Encoding or Accept-Language is there.
    pub accept: bool,
    /// Refer-To values.
    pub refer_to: u8,
    /// Contact values.
    pub contacts: u8,
    /// Event header with package refer.
    pub event_refer: bool,
    /// The id of Event, as a number.
    pub event_id: Option<u32>,
    /// Subscription-State: 0 none, 1 active or pending, 2 terminated.
    pub subscription_state: u8,
    /// Subscription-State has expires.
    pub subscription_expires: Option<u32>,
    /// Subscription-State has a reason.
    pub subscription_reason: bool,
    /// The reason is noresource.
    pub reason_noresource: bool,
    /// The body is a sipfrag; its status if it starts with a status line.
    pub sipfrag: Option<Option<u16>>,
    /// Refer-Sub: false.
    pub refer_sub_false: bool,
    /// Replaces values.
    pub replaces: u8,
    /// Authorization or Proxy-Authorization is there.
    pub credentials: bool,
    /// Record-Route values.
    pub record_routes: u8,
    /// The CSeq method differs from the request method.
    pub cseq_mismatch: bool,
}

impl<'a> Seen<'a> {
    /// Reads the facts of a message.
    pub fn read<B: AsRef<[u8]>>(way: Way, at: At, message: &'a Message<B>) -> Self {
        let from = message.from().ok();
        let to = message.to().ok();
        let cseq = message.cseq().ok();
        let body = message.sdp();
        let sdp = body.and_then(|bytes| Sdp::parse(bytes).ok()).map(Arc::new);
        let small = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
        let state = message.subscription_state();
        Self {
            way,
            at,
            method: message.method(),
            status: message.status(),
            cseq: cseq.as_ref().map_or(0, |cseq| cseq.number),
            has_sdp: body.is_some(),
            has_body: !message.body().is_empty(),
            sdp,
            require: OptionSet::read(message, Name::Require),
            supported: OptionSet::read(message, Name::Supported),
            allow: MethodSet::read(message),
            rseq: message.rseq().and_then(Result::ok),
            rack: message.rack().and_then(Result::ok).map(|rack| (rack.rseq, rack.cseq, rack.method)),
            session_expires: message
                .session_expires()
                .and_then(Result::ok)
                .map(|se| (se.seconds, se.refresher)),
            min_se: message.min_se().and_then(Result::ok),
            retry_after: message.retry_after().and_then(Result::ok),
            contact: message.contact().and_then(Result::ok).map(|contact| contact.uri),
            from_uri: from.as_ref().map(|from| from.uri),
            from_tag: from.as_ref().and_then(|from| from.tag()),
            to_uri: to.as_ref().map(|to| to.uri),
            to_tag: to.as_ref().and_then(|to| to.tag()),
            branch: message.top_via().ok().and_then(|via| via.branch()),
            uri: message.request_uri(),
            headers: HeaderFacts {
                real: true,
                max_forwards: message.count(Name::MaxForwards) > 0,
                unsupported: message.count(Name::Unsupported) > 0,
                accept: [Name::Accept, Name::AcceptEncoding, Name::AcceptLanguage]
                    .iter()
                    .any(|name| message.count(*name) > 0),
                refer_to: small(message.values(Name::ReferTo).count()),
                contacts: small(message.values(Name::Contact).count()),
                event_refer: message.event().is_some_and(|event| event.package.eq_ignore_ascii_case("refer")),
                event_id: message.event().and_then(|event| event.id.and_then(|id| id.parse().ok())),
                subscription_state: match &state {
                    None => 0,
                    Some(state) if state.state.eq_ignore_ascii_case("terminated") => 2,
                    Some(_) => 1,
                },
                subscription_expires: state.as_ref().and_then(|state| state.expires),
                subscription_reason: state.as_ref().is_some_and(|state| state.reason.is_some()),
                reason_noresource: state
                    .as_ref()
                    .and_then(|state| state.reason)
                    .is_some_and(|reason| reason.eq_ignore_ascii_case("noresource")),
                sipfrag: message
                    .content_type()
                    .filter(|media| media.is("message/sipfrag"))
                    .map(|_| sipfrag_status(message.body())),
                refer_sub_false: message.header(Name::ReferSub).is_some_and(|value| {
                    value.split(';').next().is_some_and(|v| v.trim().eq_ignore_ascii_case("false"))
                }),
                replaces: small(message.values(Name::Replaces).count()),
                credentials: message.count(Name::Authorization) + message.count(Name::ProxyAuthorization) > 0,
                record_routes: small(message.values(Name::RecordRoute).count()),
                cseq_mismatch: message.is_request()
                    && cseq.is_some_and(|cseq| {
                        if cseq.method == Method::Other || message.method() == Method::Other {
                            cseq.name != message.method_name()
                        } else {
                            cseq.method != message.method()
                        }
                    }),
            },
        }
    }

    /// A request that is only planned: what [`plan`](super::Dialog::plan) asks about.
    #[must_use]
    pub fn planned(method: Method, with_offer: bool, at: At) -> Self {
        Self {
            way: Way::Sent,
            at,
            method,
            status: None,
            cseq: u32::MAX,
            sdp: None,
            has_sdp: with_offer,
            has_body: with_offer,
            require: OptionSet::default(),
            supported: OptionSet::default(),
            allow: None,
            rseq: None,
            rack: None,
            session_expires: None,
            min_se: None,
            retry_after: None,
            contact: None,
            from_uri: None,
            from_tag: None,
            to_uri: None,
            to_tag: None,
            branch: None,
            uri: None,
            headers: HeaderFacts::default(),
        }
    }

    /// Whether it is a request.
    #[must_use]
    pub const fn is_request(&self) -> bool {
        self.status.is_none()
    }

    /// Whether it is a 2xx response.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.status, Some(200..=299))
    }

    /// Whether it is a final response other than 2xx.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        matches!(self.status, Some(300..))
    }

    /// The RSeq of a reliable provisional response to INVITE: 101-199 with `Require: 100rel` and RSeq (RFC 3262 §3).
    #[must_use]
    pub fn reliable(&self) -> Option<RSeq> {
        match self.status {
            Some(101..=199) if self.method == Method::Invite && self.require.has(OptionTag::Rel100) => {
                self.rseq
            }
            _ => None,
        }
    }

    /// Whether a request of this method refreshes the remote target (RFC 3261 §12.2, RFC 3311 §5.1; DLG-16).
    #[must_use]
    pub const fn refreshes_target(&self) -> bool {
        matches!(
            self.method,
            Method::Invite | Method::Update | Method::Subscribe | Method::Notify | Method::Refer
        )
    }
}

/// The status of a sipfrag body that starts with a status line (RFC 3515 §2.4.5).
#[must_use]
pub fn sipfrag_status(body: &[u8]) -> Option<u16> {
    let line = body.split(|byte| *byte == b'\r' || *byte == b'\n').next()?;
    let rest = line.strip_prefix(b"SIP/2.0 ")?;
    let digits = rest.get(..3)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
