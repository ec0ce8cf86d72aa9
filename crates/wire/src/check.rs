//! What is wrong with a message that can be read: the checks a receiver makes before it acts on it.

use crate::{Message, Method, Name, NameAddr, ParseError, Scheme, Uri, What};

/// Headers that stand at most once, of those a receiver acts on.
const ONCE: u128 = set(&[
    Name::From,
    Name::To,
    Name::CallId,
    Name::CSeq,
    Name::MaxForwards,
    Name::ContentLength,
    Name::ContentType,
    Name::ContentDisposition,
    Name::SessionExpires,
    Name::MinSe,
    Name::RSeq,
    Name::RAck,
    Name::Expires,
    Name::ReferTo,
    Name::ReferredBy,
    Name::Replaces,
    Name::Join,
    Name::TargetDialog,
    Name::Event,
    Name::SubscriptionState,
    Name::SipIfMatch,
]);

/// The part of a branch that promises it is unique. RFC 3261 §8.1.1.7.
const COOKIE: &str = "z9hG4bK";

impl<B: AsRef<[u8]>> Message<B> {
    /// Whether a receiver can act on the message: what every message must have is there, once, well formed
    /// and not in contradiction with itself. RFC 3261 §8.1.1, §8.2.
    ///
    /// A request that fails is answered with [`ParseError::status`] (an ACK is dropped), a response that fails
    /// is dropped. What a dialog, a transaction or a policy would say to the message is not asked here.
    ///
    /// ```
    /// use midcall_wire::{Message, Name, What};
    ///
    /// let message = Message::parse("BYE sip:a@x.example SIP/2.0\r\nVia: SIP/2.0/UDP y.example\r\n\r\n").unwrap();
    /// let error = message.check().unwrap_err();
    /// assert_eq!((error.what, error.status()), (What::Missing(Name::CSeq), 400));
    /// ```
    ///
    /// # Errors
    /// The first fault found; the header fields that make a reply possible are looked at first.
    pub fn check(&self) -> Result<(), ParseError> {
        let mut vias = self.vias();
        let top = vias.next().unwrap_or_else(|| Err(self.missing(Name::Via)))?;
        vias.try_for_each(|via| via.map(drop))?;
        let cseq = self.cseq()?;
        for address in [self.from()?, self.to()?] {
            self.check_uri(address)?;
        }
        self.call_id()?;
        self.check_once()?;
        self.check_contacts()?;
        for address in self.addresses(Name::RecordRoute) {
            address?;
        }
        if !self.body().is_empty()
            && let Some(Err(error)) = self.optional(Name::ContentType, crate::MediaType::parse)
        {
            return Err(error);
        }
        if self.is_response() {
            return Ok(());
        }
        if self.method_name() != cseq.name {
            let unknown = self.method() == Method::Other;
            let (what, at) = if unknown {
                (What::UnknownMethod, 0)
            } else {
                (What::OtherMethod, self.offset_of(cseq.name))
            };
            return Err(ParseError::new(at, what));
        }
        if let Some(branch @ COOKIE) = top.branch() {
            return Err(ParseError::new(self.offset_of(branch), What::Branch));
        }
        self.check_request_uri()
    }

    /// Like [`Message::check`], for the user agent a response came back to: it put in the only Via, so there
    /// must be no other. RFC 3261 §8.1.3.3.
    ///
    /// # Errors
    /// Those of [`Message::check`], and a second Via.
    pub fn check_reply(&self) -> Result<(), ParseError> {
        self.check()?;
        match self.spans(Name::Via).nth(1) {
            Some((_, span)) => Err(ParseError::new(span.start, What::Repeated(Name::Via))),
            None => Ok(()),
        }
    }

    /// Like [`Message::check`], for whoever passes a request on: it must be allowed one more hop. Where the
    /// request comes to an end, Max-Forwards does not matter. RFC 3261 §16.3.
    ///
    /// # Errors
    /// Those of [`Message::check`], and a Max-Forwards that is malformed or used up.
    pub fn check_hops(&self) -> Result<(), ParseError> {
        self.check()?;
        match self.max_forwards() {
            Some(Ok(0)) => {
                let at = self.line(Name::MaxForwards).map_or(0, |line| line.value().start);
                Err(ParseError::new(at, What::TooManyHops))
            }
            Some(Err(error)) => Err(error),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    fn check_once(&self) -> Result<(), ParseError> {
        let mut seen = 0_u128;
        for line in self.lines() {
            let bit = set(&[line.name]);
            if seen & bit & ONCE != 0 {
                return Err(ParseError::new(line.at as usize, What::Repeated(line.name)));
            }
            seen |= bit;
        }
        Ok(())
    }

    fn check_contacts(&self) -> Result<(), ParseError> {
        for address in self.contacts() {
            let address = address?;
            if !address.is_star() {
                self.check_uri(address)?;
            } else if self.method() != Method::Register {
                return Err(ParseError::new(self.offset_of(address.uri), What::Uri));
            }
        }
        Ok(())
    }

    fn check_uri(&self, address: NameAddr<'_>) -> Result<(), ParseError> {
        address.uri().map(drop).map_err(|error| error.shifted(self.offset_of(address.uri)))
    }

    fn check_request_uri(&self) -> Result<(), ParseError> {
        let Some(text) = self.request_uri() else { return Ok(()) };
        let at = self.offset_of(text);
        let uri = Uri::parse(text).map_err(|error| error.shifted(at))?;
        if let Scheme::Other(_) = uri.scheme {
            return Err(ParseError::new(at, What::Scheme));
        }
        match uri.headers {
            Some(headers) => {
                Err(ParseError::new(self.offset_of(headers).saturating_sub(1), What::UriHeaders))
            }
            None => Ok(()),
        }
    }

    /// Where a part of the message begins in it.
    fn offset_of(&self, part: &str) -> usize {
        (part.as_ptr() as usize).saturating_sub(self.bytes().as_ptr() as usize)
    }
}

/// A set of known names, a bit for each.
const fn set(names: &[Name]) -> u128 {
    let mut set = 0;
    let mut i = 0;
    while i < names.len() {
        if !matches!(names[i], Name::Other) {
            set |= 1 << names[i] as u8;
        }
        i += 1;
    }
    set
}

const _: () = assert!(Name::ALL.len() <= 128, "a set of names is 128 bits wide");
