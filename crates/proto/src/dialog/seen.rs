//! A message as the dialog sees it: the facts that rules ask for, read once.

use midcall_wire::sdp::Sdp;
use midcall_wire::{Field, MediaType, Message, Method, Name, Refresher, multipart};

use super::capability::{Lists, MethodSet, OptionSet, OptionTag};
use super::envelope::Envelope;
use crate::rules::methods::REFRESH_TARGET;
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
    pub sdp: Option<Sdp>,
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
    /// The first Route value.
    pub route: Option<&'a str>,
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
    /// The reason is timeout.
    pub reason_timeout: bool,
    /// The body is a sipfrag; its status if it starts with a status line.
    pub sipfrag: Option<Option<u16>>,
    /// The sipfrag says more than its status line.
    pub sipfrag_more: bool,
    /// Refer-Sub: false.
    pub refer_sub_false: bool,
    /// Refer-Events-At is there.
    pub refer_events_at: bool,
    /// Replaces in Refer-To has characters that cut a URI header short.
    pub replaces_unescaped: bool,
    /// Replaces values.
    pub replaces: u8,
    /// A hash of Authorization and Proxy-Authorization, 0 without either.
    pub credentials: u64,
    /// Route values.
    pub routes: u8,
    /// Record-Route values.
    pub record_routes: u8,
    /// The CSeq method differs from the request method.
    pub cseq_mismatch: bool,
    /// A description of an early session is in the body (RFC 3959 §4).
    pub early_session: bool,
}

impl<'a> Seen<'a> {
    /// Reads the facts of a message.
    pub fn read<B: AsRef<[u8]>>(way: Way, at: At, message: &'a Message<B>) -> Self {
        Self::of(way, at, message, &Envelope::read(message), &mut Lists::default())
    }

    /// The same of a message whose envelope is read already, with lists that may be remembered.
    pub(crate) fn of<B: AsRef<[u8]>>(
        way: Way,
        at: At,
        message: &'a Message<B>,
        envelope: &Envelope<'a>,
        lists: &mut Lists,
    ) -> Self {
        let cseq = envelope.cseq;
        let mut seen = Self::empty(way, at, envelope.method, cseq.map_or(0, |cseq| cseq.number));
        seen.status = message.status();
        seen.uri = message.request_uri();
        seen.has_body = !message.body().is_empty();
        seen.headers.real = true;
        (seen.from_uri, seen.from_tag) = (envelope.from.map(|from| from.uri), envelope.from_tag);
        (seen.to_uri, seen.to_tag) = (envelope.to.map(|to| to.uri), envelope.to_tag);
        seen.branch = envelope.branch();
        seen.headers.cseq_mismatch = message.is_request()
            && cseq.is_some_and(|cseq| {
                if cseq.method == Method::Other || envelope.method == Method::Other {
                    cseq.name != message.method_name()
                } else {
                    cseq.method != envelope.method
                }
            });
        let (mut kind, mut disposition) = (None, None);
        for field in envelope.head.fields() {
            match field.name() {
                Name::ContentType => _ = kind.get_or_insert_with(|| field.text()),
                Name::ContentDisposition => _ = disposition.get_or_insert_with(|| field.text()),
                _ => seen.take(message, &field, lists),
            }
        }
        if let Some(kind) = kind.flatten() {
            seen.take_body(message.body(), kind, disposition.flatten());
        }
        seen
    }

    /// Notes what the body is.
    fn take_body(&mut self, body: &[u8], kind: &str, disposition: Option<&str>) {
        if self.has_body {
            // Nearly every body is a description and nothing else.
            let plain = disposition.is_none() && kind == "application/sdp";
            let description =
                if plain { Some(body) } else { multipart::session_description(kind, disposition, body) };
            self.has_sdp = description.is_some();
            self.sdp = description.and_then(|bytes| Sdp::parse(bytes).ok());
            self.headers.early_session =
                !plain && multipart::early_session_description(kind, disposition, body).is_some();
        }
        let fragment = kind.starts_with(['m', 'M', ' ', '\t', '\r', '\n'])
            && MediaType::parse(kind).is_ok_and(|media| media.is("message/sipfrag"));
        if fragment {
            self.headers.sipfrag = Some(sipfrag_status(body));
            let lines = body.split(|byte| matches!(byte, b'\r' | b'\n'));
            self.headers.sipfrag_more = lines.filter(|line| !line.is_empty()).count() > 1;
        }
    }

    /// Notes one header line.
    fn take<B: AsRef<[u8]>>(&mut self, message: &'a Message<B>, field: &Field<'a>, lists: &mut Lists) {
        let facts = &mut self.headers;
        let text = || field.text().unwrap_or_default();
        match field.name() {
            Name::Require => self.require.add(lists.options(text())),
            Name::Supported => self.supported.add(lists.options(text())),
            Name::Allow => self.allow.get_or_insert_default().add(lists.methods(text())),
            Name::RSeq => self.rseq = message.rseq().and_then(Result::ok),
            Name::RAck => {
                self.rack =
                    message.rack().and_then(Result::ok).map(|rack| (rack.rseq, rack.cseq, rack.method));
            }
            Name::SessionExpires => {
                self.session_expires =
                    message.session_expires().and_then(Result::ok).map(|se| (se.seconds, se.refresher));
            }
            Name::MinSe => self.min_se = message.min_se().and_then(Result::ok),
            Name::RetryAfter => self.retry_after = message.retry_after().and_then(Result::ok),
            Name::Contact => {
                let mut contacts = field.addresses();
                // The first of all, or none.
                if facts.contacts == 0 {
                    let first = contacts.next();
                    self.contact = first.flatten().map(|contact| contact.uri);
                    facts.contacts = 1;
                }
                facts.contacts = facts.contacts.saturating_add(small(contacts.count()));
            }
            Name::MaxForwards => facts.max_forwards = true,
            Name::Unsupported => facts.unsupported = true,
            Name::Accept | Name::AcceptEncoding | Name::AcceptLanguage => facts.accept = true,
            Name::ReferTo => {
                facts.refer_to = small(message.values(Name::ReferTo).count());
                facts.replaces_unescaped = replaces_unescaped(text());
            }
            Name::Other if field.raw_name().eq_ignore_ascii_case("Refer-Events-At") => {
                facts.refer_events_at = true;
            }
            Name::Event => {
                let event = message.event();
                facts.event_refer =
                    event.as_ref().is_some_and(|event| event.package.eq_ignore_ascii_case("refer"));
                facts.event_id = event.and_then(|event| event.id.and_then(|id| id.parse().ok()));
            }
            Name::SubscriptionState => {
                if let Some(state) = message.subscription_state() {
                    facts.subscription_state =
                        if state.state.eq_ignore_ascii_case("terminated") { 2 } else { 1 };
                    facts.subscription_expires = state.expires;
                    facts.subscription_reason = state.reason.is_some();
                    facts.reason_timeout =
                        state.reason.is_some_and(|reason| reason.eq_ignore_ascii_case("timeout"));
                    facts.reason_noresource =
                        state.reason.is_some_and(|reason| reason.eq_ignore_ascii_case("noresource"));
                }
            }
            Name::ReferSub => {
                let value = text().split(';').next().unwrap_or_default();
                facts.refer_sub_false = value.trim().eq_ignore_ascii_case("false");
            }
            Name::Replaces => facts.replaces = small(message.values(Name::Replaces).count()),
            Name::Authorization | Name::ProxyAuthorization => {
                facts.credentials = facts.credentials.rotate_left(1) ^ hash(text()).max(1);
            }
            Name::RecordRoute => facts.record_routes = small(message.values(Name::RecordRoute).count()),
            Name::Route => {
                facts.routes = small(message.values(Name::Route).count());
                self.route = message.values(Name::Route).next();
            }
            _ => {}
        }
    }

    /// A request that is only planned: what [`plan`](super::Dialog::plan) asks about.
    #[must_use]
    pub fn planned(method: Method, with_offer: bool, at: At) -> Self {
        Self { has_sdp: with_offer, has_body: with_offer, ..Self::empty(Way::Sent, at, method, u32::MAX) }
    }

    fn empty(way: Way, at: At, method: Method, cseq: u32) -> Self {
        Self {
            way,
            at,
            method,
            status: None,
            cseq,
            sdp: None,
            has_sdp: false,
            has_body: false,
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
            route: None,
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
        REFRESH_TARGET.has(self.method)
    }
}

/// Whether Replaces stands raw in this Refer-To: what the URI escapes may stay, and nothing that ends a header of it
/// (RFC 3261 §19.1.2).
fn replaces_unescaped(refer_to: &str) -> bool {
    let Some((_, rest)) = refer_to.split_once('?') else { return false };
    let uri = rest.split('>').next().unwrap_or_default();
    let value = uri.split('&').find_map(|header| {
        let (name, value) = header.split_once('=')?;
        name.eq_ignore_ascii_case("Replaces").then_some(value)
    });
    value.is_some_and(|value| value.contains([';', '=', '@', ',', '"']))
}

/// The status of a sipfrag body that starts with a status line (RFC 3515 §2.4.5).
#[must_use]
pub fn sipfrag_status(body: &[u8]) -> Option<u16> {
    let line = body.split(|byte| *byte == b'\r' || *byte == b'\n').next()?;
    let rest = line.strip_prefix(b"SIP/2.0 ")?;
    let digits = rest.get(..3)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A hash to compare texts by; 0 for an empty one.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn small(n: usize) -> u8 {
    u8::try_from(n).unwrap_or(u8::MAX)
}
