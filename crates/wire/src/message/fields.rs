//! The header fields of a message, taken apart on demand.

use super::{Line, Message};
use crate::fields::{only_number, seconds};
use crate::scan::is_lws;
use crate::{
    CSeq, Challenge, Date, Event, MediaType, Name, NameAddr, ParseError, RAck, Replaces, SessionExpires,
    SubscriptionState, Via, What,
};

impl<B: AsRef<[u8]>> Message<B> {
    /// Call-ID. RFC 3261 §20.8.
    ///
    /// # Errors
    /// It is missing, empty or holds white space.
    pub fn call_id(&self) -> Result<&str, ParseError> {
        self.required(Name::CallId, |text| match text.bytes().position(is_lws) {
            Some(space) => Err(ParseError::new(space, What::End)),
            None if text.is_empty() => Err(ParseError::new(0, What::Token)),
            None => Ok(text),
        })
    }

    /// CSeq. RFC 3261 §20.16.
    ///
    /// # Errors
    /// It is missing or malformed.
    pub fn cseq(&self) -> Result<CSeq<'_>, ParseError> {
        self.required(Name::CSeq, CSeq::parse)
    }

    /// From. RFC 3261 §20.20.
    ///
    /// # Errors
    /// It is missing or malformed.
    pub fn from(&self) -> Result<NameAddr<'_>, ParseError> {
        self.address(Name::From).unwrap_or_else(|| Err(self.missing(Name::From)))
    }

    /// To. RFC 3261 §20.39.
    ///
    /// # Errors
    /// It is missing or malformed.
    pub fn to(&self) -> Result<NameAddr<'_>, ParseError> {
        self.address(Name::To).unwrap_or_else(|| Err(self.missing(Name::To)))
    }

    /// The first value of Via: where the message comes from, or a response goes to. RFC 3261 §20.42.
    ///
    /// # Errors
    /// It is missing or malformed.
    pub fn top_via(&self) -> Result<Via<'_>, ParseError> {
        self.vias().next().unwrap_or_else(|| Err(self.missing(Name::Via)))
    }

    /// Every value of Via, the newest first.
    pub fn vias(&self) -> impl Iterator<Item = Result<Via<'_>, ParseError>> {
        self.each(Name::Via, Via::parse)
    }

    /// The first Contact. RFC 3261 §20.10.
    pub fn contact(&self) -> Option<Result<NameAddr<'_>, ParseError>> {
        self.contacts().next()
    }

    /// Every Contact.
    pub fn contacts(&self) -> impl Iterator<Item = Result<NameAddr<'_>, ParseError>> {
        self.addresses(Name::Contact)
    }

    /// Every address of that header, such as Route, Record-Route or P-Asserted-Identity.
    pub fn addresses(&self, name: Name) -> impl Iterator<Item = Result<NameAddr<'_>, ParseError>> {
        self.spans(name).map(|(_, span)| {
            let bytes = self.bytes().get(span.clone()).unwrap_or_default();
            NameAddr::parse_bytes(bytes).map_err(|error| error.shifted(span.start))
        })
    }

    /// Max-Forwards, at most 255. RFC 3261 §20.22.
    pub fn max_forwards(&self) -> Option<Result<u32, ParseError>> {
        self.optional(Name::MaxForwards, |text| only_number(text, 255))
    }

    /// Content-Type; `None` also where it is malformed. RFC 3261 §20.15.
    pub fn content_type(&self) -> Option<MediaType<'_>> {
        self.optional(Name::ContentType, MediaType::parse)?.ok()
    }

    /// Content-Length. RFC 3261 §20.14.
    pub fn content_length(&self) -> Option<Result<usize, ParseError>> {
        let line = self.line(Name::ContentLength)?;
        Some(super::parse::content_length(self.bytes(), line))
    }

    /// RSeq, from 1 up. RFC 3262 §7.1.
    pub fn rseq(&self) -> Option<Result<u32, ParseError>> {
        self.optional(Name::RSeq, |text| match only_number(text, u32::MAX)? {
            0 => Err(ParseError::new(0, What::Number)),
            number => Ok(number),
        })
    }

    /// RAck. RFC 3262 §7.2.
    pub fn rack(&self) -> Option<Result<RAck<'_>, ParseError>> {
        self.optional(Name::RAck, RAck::parse)
    }

    /// Session-Expires. RFC 4028 §4.
    pub fn session_expires(&self) -> Option<Result<SessionExpires, ParseError>> {
        self.optional(Name::SessionExpires, SessionExpires::parse)
    }

    /// Min-SE, in seconds. RFC 4028 §5.
    pub fn min_se(&self) -> Option<Result<u32, ParseError>> {
        self.optional(Name::MinSe, |text| seconds(text).map(|(seconds, _)| seconds))
    }

    /// Retry-After, in seconds. RFC 3261 §20.33.
    pub fn retry_after(&self) -> Option<Result<u32, ParseError>> {
        self.optional(Name::RetryAfter, |text| seconds(text).map(|(seconds, _)| seconds))
    }

    /// Expires, in seconds. RFC 3261 §20.19.
    pub fn expires(&self) -> Option<Result<u32, ParseError>> {
        self.optional(Name::Expires, |text| only_number(text, u32::MAX))
    }

    /// Min-Expires, in seconds. RFC 3261 §20.23.
    pub fn min_expires(&self) -> Option<Result<u32, ParseError>> {
        self.optional(Name::MinExpires, |text| only_number(text, u32::MAX))
    }

    /// Date. RFC 3261 §20.17.
    pub fn date(&self) -> Option<Result<Date, ParseError>> {
        self.optional(Name::Date, Date::parse)
    }

    /// Refer-To. RFC 3515 §2.1.
    pub fn refer_to(&self) -> Option<Result<NameAddr<'_>, ParseError>> {
        self.address(Name::ReferTo)
    }

    /// Referred-By. RFC 3892 §3.
    pub fn referred_by(&self) -> Option<Result<NameAddr<'_>, ParseError>> {
        self.address(Name::ReferredBy)
    }

    /// Replaces. RFC 3891 §6.1.
    pub fn replaces(&self) -> Option<Result<Replaces<'_>, ParseError>> {
        self.optional(Name::Replaces, Replaces::parse)
    }

    /// Event. RFC 6665 §8.2.1.
    pub fn event(&self) -> Option<Event<'_>> {
        Event::parse(self.header(Name::Event)?)
    }

    /// Subscription-State. RFC 6665 §8.2.3.
    pub fn subscription_state(&self) -> Option<SubscriptionState<'_>> {
        SubscriptionState::parse(self.header(Name::SubscriptionState)?)
    }

    /// What WWW-Authenticate and Proxy-Authenticate ask for, in order. RFC 3261 §22.
    pub fn challenges(&self) -> Vec<Challenge<'_>> {
        self.lines()
            .iter()
            .filter(|line| matches!(line.name, Name::WwwAuthenticate | Name::ProxyAuthenticate))
            .filter_map(|line| Some((line.name == Name::ProxyAuthenticate, self.value(line).ok()?)))
            .flat_map(|(proxy, text)| Challenge::split(proxy, text))
            .collect()
    }

    /// The address in the first line of that name.
    fn address(&self, name: Name) -> Option<Result<NameAddr<'_>, ParseError>> {
        let value = self.line(name)?.value();
        let bytes = self.bytes().get(value.clone()).unwrap_or_default();
        Some(NameAddr::parse_bytes(bytes).map_err(|error| error.shifted(value.start)))
    }

    fn required<'m, T>(
        &'m self,
        name: Name,
        parse: impl FnOnce(&'m str) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        self.optional(name, parse).unwrap_or_else(|| Err(self.missing(name)))
    }

    pub(crate) fn optional<'m, T>(
        &'m self,
        name: Name,
        parse: impl FnOnce(&'m str) -> Result<T, ParseError>,
    ) -> Option<Result<T, ParseError>> {
        self.line(name).map(|line| self.read(line, parse))
    }

    fn read<'m, T>(
        &'m self,
        line: &Line,
        parse: impl FnOnce(&'m str) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        parse(self.value(line)?).map_err(|error| error.shifted(line.value().start))
    }

    /// Every value of a list, empty ones included, which `parse` then refuses.
    fn each<'m, T>(
        &'m self,
        name: Name,
        parse: impl Fn(&'m str) -> Result<T, ParseError>,
    ) -> impl Iterator<Item = Result<T, ParseError>> {
        self.spans(name).map(move |(_, span)| {
            let at = span.start;
            let text = std::str::from_utf8(self.bytes().get(span).unwrap_or_default())
                .map_err(|error| ParseError::new(at + error.valid_up_to(), What::Utf8))?;
            parse(text).map_err(|error| error.shifted(at))
        })
    }

    /// A missing header is found missing where the headers end.
    pub(crate) fn missing(&self, name: Name) -> ParseError {
        ParseError::new(self.header_span().end, What::Missing(name))
    }
}
