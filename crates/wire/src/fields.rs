//! Values of single header fields, taken apart.

use crate::scan::{Scan, is_lws, trim};
use crate::{Method, Name, Params, ParseError, What};

/// One header line of a message, as [`Message::headers`](crate::Message::headers) yields it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Which header it is.
    pub name: Name,
    /// The name as written, perhaps in its compact form.
    pub raw_name: &'a str,
    /// The value without white space around it; folded lines keep their CRLF.
    pub value: &'a [u8],
    /// Where the line begins in the message.
    pub at: usize,
}

/// The value of CSeq. RFC 3261 §20.16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// The sequence number, less than 2^31.
    pub number: u32,
    /// The method.
    pub method: Method,
    /// The method as written.
    pub name: &'a str,
}

/// The value of RAck. RFC 3262 §7.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RAck<'a> {
    /// The RSeq of the response that is acknowledged.
    pub rseq: u32,
    /// The number in the CSeq of that response.
    pub cseq: u32,
    /// The method in the CSeq of that response.
    pub method: Method,
    /// The method as written.
    pub name: &'a str,
}

/// The value of Session-Expires. RFC 4028 §4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionExpires {
    /// The session interval.
    pub seconds: u32,
    /// Who refreshes, where that is said already.
    pub refresher: Option<Refresher>,
}

/// Who refreshes a session: a role in the transaction that says so. RFC 4028 §4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refresher {
    /// The side that sent the request.
    Uac,
    /// The side that answered it.
    Uas,
}

/// The value of Replaces, also as a URI header of Refer-To. RFC 3891 §6.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaces<'a> {
    /// The Call-ID of the dialog to replace.
    pub call_id: &'a str,
    /// The local tag of that dialog, seen by the receiver of Replaces.
    pub to_tag: &'a str,
    /// The remote tag of that dialog, seen by the receiver of Replaces.
    pub from_tag: &'a str,
    /// Whether only an early dialog may be replaced.
    pub early_only: bool,
}

/// The value of Event. RFC 6665 §8.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The event package, with its templates.
    pub package: &'a str,
    /// The id that tells subscriptions of one package apart.
    pub id: Option<&'a str>,
}

/// The value of Subscription-State. RFC 6665 §8.2.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionState<'a> {
    /// `active`, `pending`, `terminated` or an extension.
    pub state: &'a str,
    /// Seconds the subscription still lives.
    pub expires: Option<u32>,
    /// Why it is terminated.
    pub reason: Option<&'a str>,
    /// Seconds to wait before the next attempt.
    pub retry_after: Option<u32>,
}

/// The value of Content-Type. RFC 3261 §20.15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaType<'a> {
    /// The type, such as `application`.
    pub kind: &'a str,
    /// The subtype, such as `sdp`.
    pub subtype: &'a str,
    /// The parameters, such as `boundary`.
    pub params: Params<'a>,
}

impl<'a> CSeq<'a> {
    /// Takes a value apart.
    ///
    /// # Errors
    /// Says where it is not a number below 2^31 and a method.
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        let mut scan = Scan::new(text);
        scan.lws();
        let number = number(&mut scan, (1 << 31) - 1)?;
        let (method, name) = method(&mut scan)?;
        scan.end()?;
        Ok(Self { number, method, name })
    }
}

impl<'a> RAck<'a> {
    /// Takes a value apart.
    ///
    /// # Errors
    /// Says where it is not two numbers and a method.
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        let mut scan = Scan::new(text);
        scan.lws();
        let rseq = number(&mut scan, u64::from(u32::MAX))?;
        scan.lws();
        let cseq = number(&mut scan, (1 << 31) - 1)?;
        let (method, name) = method(&mut scan)?;
        scan.end()?;
        Ok(Self { rseq, cseq, method, name })
    }
}

impl SessionExpires {
    /// Takes a value apart.
    ///
    /// # Errors
    /// Says where it is not seconds with parameters. An unknown refresher counts as none.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let (seconds, params) = seconds(text)?;
        let refresher = match params.value("refresher") {
            Some(role) if role.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            Some(role) if role.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            _ => None,
        };
        Ok(Self { seconds, refresher })
    }
}

impl std::fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.seconds)?;
        match self.refresher {
            Some(refresher) => write!(f, ";refresher={}", refresher.as_str()),
            None => Ok(()),
        }
    }
}

impl Refresher {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uac => "uac",
            Self::Uas => "uas",
        }
    }
}

impl<'a> Replaces<'a> {
    /// Takes a value apart, one that is no longer escaped.
    ///
    /// # Errors
    /// Says where it has no Call-ID or lacks one of the two tags.
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        let mut scan = Scan::new(text);
        scan.lws();
        let call_id = scan.run(|b| b != b';' && !is_lws(b));
        if call_id.is_empty() {
            return scan.fail(What::Token);
        }
        let params = Params::parse(scan.rest()).map_err(|error| error.shifted(scan.at()))?;
        match (params.value("to-tag"), params.value("from-tag")) {
            (Some(to_tag), Some(from_tag)) => {
                Ok(Self { call_id, to_tag, from_tag, early_only: params.has("early-only") })
            }
            _ => Err(ParseError::new(text.len(), What::Parameter)),
        }
    }
}

impl std::fmt::Display for Replaces<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { call_id, to_tag, from_tag, early_only } = self;
        let early = if *early_only { ";early-only" } else { "" };
        write!(f, "{call_id};to-tag={to_tag};from-tag={from_tag}{early}")
    }
}

impl<'a> Event<'a> {
    /// Takes a value apart; `None` where no package is named.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (package, params) = word(text)?;
        Some(Self { package, id: params.value("id") })
    }
}

impl<'a> SubscriptionState<'a> {
    /// Takes a value apart; `None` where no state is named.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (state, params) = word(text)?;
        let number = |name| params.value(name).and_then(|text| text.parse().ok());
        Some(Self {
            state,
            expires: number("expires"),
            reason: params.value("reason"),
            retry_after: number("retry-after"),
        })
    }

    /// Whether the subscription is over.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        self.state.eq_ignore_ascii_case("terminated")
    }
}

impl<'a> MediaType<'a> {
    /// Takes a value apart.
    ///
    /// # Errors
    /// Says where it is not a type, a slash and a subtype with parameters.
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        let mut scan = Scan::new(text);
        scan.lws();
        let Ok(kind) = scan.token() else { return scan.fail(What::MediaType) };
        scan.lws();
        if !scan.eat(b'/') {
            return scan.fail(What::MediaType);
        }
        scan.lws();
        let Ok(subtype) = scan.token() else { return scan.fail(What::MediaType) };
        let params = Params::parse(scan.rest()).map_err(|error| error.shifted(scan.at()))?;
        Ok(Self { kind, subtype, params })
    }

    /// Whether it is that type and subtype, as in `application/sdp`; case does not count.
    #[must_use]
    pub fn is(&self, media_type: &str) -> bool {
        media_type.split_once('/').is_some_and(|(kind, subtype)| {
            kind.eq_ignore_ascii_case(self.kind) && subtype.eq_ignore_ascii_case(self.subtype)
        })
    }
}

/// Seconds with parameters, and perhaps a comment between them, as Retry-After has. RFC 3261 §20.33.
pub(crate) fn seconds(text: &str) -> Result<(u32, Params<'_>), ParseError> {
    let mut scan = Scan::new(text);
    scan.lws();
    let seconds = number(&mut scan, u64::from(u32::MAX))?;
    scan.lws();
    let mut depth = 0_u32;
    while let Some(byte) = scan.peek() {
        match byte {
            b'(' => depth += 1,
            b')' if depth > 0 => depth -= 1,
            b'\\' if depth > 0 => scan.skip(1),
            _ if depth == 0 => break,
            _ => {}
        }
        scan.skip(1);
    }
    if depth > 0 {
        return scan.fail(What::End);
    }
    let params = Params::parse(scan.rest()).map_err(|error| error.shifted(scan.at()))?;
    Ok((seconds, params))
}

/// A plain number up to `most` and nothing else.
pub(crate) fn only_number(text: &str, most: u32) -> Result<u32, ParseError> {
    let mut scan = Scan::new(text);
    scan.lws();
    let number = number(&mut scan, u64::from(most))?;
    scan.end()?;
    Ok(number)
}

fn number(scan: &mut Scan<'_>, most: u64) -> Result<u32, ParseError> {
    scan.number(most).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

fn method<'a>(scan: &mut Scan<'a>) -> Result<(Method, &'a str), ParseError> {
    let before = scan.at();
    scan.lws();
    if scan.at() == before {
        return scan.fail(What::Method);
    }
    let name = scan.token().map_err(|error| ParseError::new(error.at, What::Method))?;
    Ok((Method::parse(name), name))
}

/// A word with parameters.
fn word(text: &str) -> Option<(&str, Params<'_>)> {
    let end = text.find(';').unwrap_or(text.len());
    let (word, params) = text.split_at_checked(end)?;
    let word = trim(word);
    (!word.is_empty()).then_some((word, Params::new(params)))
}
