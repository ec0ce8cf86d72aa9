//! Header names: one table of every name this stack knows, with its compact form.

macro_rules! names {
    ($($variant:ident = $text:literal $(/ $compact:literal)?, $list:ident;)*) => {
        /// The name of a header field. RFC 3261 §7.3.1: names are case-insensitive, some have a compact form.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Name {
            $(#[doc = concat!("`", $text, "`", $(", compact `", $compact, "`",)? ".")] $variant,)*
            /// Any other header; [`Header::raw_name`](crate::Header) says which.
            Other,
        }

        impl Name {
            /// Every known name, in the order of the enum.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The usual spelling; empty for [`Name::Other`].
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other => "",
                }
            }

            /// What a header line of this name begins with.
            pub(crate) const fn prefix(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($text, ": "),)*
                    Self::Other => "",
                }
            }

            /// The one-letter form, where there is one.
            #[must_use]
            pub const fn compact(self) -> Option<&'static str> {
                match self {
                    $($(Self::$variant => Some($compact),)?)*
                    _ => None,
                }
            }

            /// Whether a comma in the value separates two values. RFC 3261 §7.3.1.
            #[must_use]
            pub const fn is_list(self) -> bool {
                match self {
                    $(Self::$variant => $list,)*
                    Self::Other => true,
                }
            }
        }
    };
}

const LIST: bool = true;
const ONE: bool = false;

names! {
    Via = "Via" / "v", LIST;
    From = "From" / "f", ONE;
    To = "To" / "t", ONE;
    CallId = "Call-ID" / "i", ONE;
    CSeq = "CSeq", ONE;
    Contact = "Contact" / "m", LIST;
    MaxForwards = "Max-Forwards", ONE;
    Route = "Route", LIST;
    RecordRoute = "Record-Route", LIST;
    Allow = "Allow", LIST;
    Supported = "Supported" / "k", LIST;
    Require = "Require", LIST;
    ProxyRequire = "Proxy-Require", LIST;
    Unsupported = "Unsupported", LIST;
    ContentType = "Content-Type" / "c", ONE;
    ContentLength = "Content-Length" / "l", ONE;
    ContentDisposition = "Content-Disposition", ONE;
    ContentEncoding = "Content-Encoding" / "e", LIST;
    ContentLanguage = "Content-Language", LIST;
    ContentId = "Content-ID", ONE;
    MimeVersion = "MIME-Version", ONE;
    Accept = "Accept", LIST;
    AcceptEncoding = "Accept-Encoding", LIST;
    AcceptLanguage = "Accept-Language", LIST;
    AcceptContact = "Accept-Contact" / "a", LIST;
    AcceptResourcePriority = "Accept-Resource-Priority", LIST;
    RejectContact = "Reject-Contact" / "j", LIST;
    RequestDisposition = "Request-Disposition" / "d", LIST;
    AlertInfo = "Alert-Info", LIST;
    AnswerMode = "Answer-Mode", ONE;
    Authorization = "Authorization", ONE;
    ProxyAuthorization = "Proxy-Authorization", ONE;
    WwwAuthenticate = "WWW-Authenticate", ONE;
    ProxyAuthenticate = "Proxy-Authenticate", ONE;
    AuthenticationInfo = "Authentication-Info", ONE;
    SessionExpires = "Session-Expires" / "x", ONE;
    MinSe = "Min-SE", ONE;
    RSeq = "RSeq", ONE;
    RAck = "RAck", ONE;
    Expires = "Expires", ONE;
    MinExpires = "Min-Expires", ONE;
    RetryAfter = "Retry-After", ONE;
    ReferTo = "Refer-To" / "r", ONE;
    ReferredBy = "Referred-By" / "b", ONE;
    ReferSub = "Refer-Sub", ONE;
    Replaces = "Replaces", ONE;
    Join = "Join", ONE;
    TargetDialog = "Target-Dialog", ONE;
    Event = "Event" / "o", ONE;
    AllowEvents = "Allow-Events" / "u", LIST;
    SubscriptionState = "Subscription-State", ONE;
    Reason = "Reason", LIST;
    Warning = "Warning", LIST;
    Subject = "Subject" / "s", ONE;
    UserAgent = "User-Agent", ONE;
    Server = "Server", ONE;
    Organization = "Organization", ONE;
    Date = "Date", ONE;
    Timestamp = "Timestamp", ONE;
    Priority = "Priority", ONE;
    ResourcePriority = "Resource-Priority", LIST;
    InReplyTo = "In-Reply-To", LIST;
    ReplyTo = "Reply-To", ONE;
    CallInfo = "Call-Info", LIST;
    ErrorInfo = "Error-Info", LIST;
    SessionId = "Session-ID", ONE;
    UserToUser = "User-to-User", LIST;
    PAssertedIdentity = "P-Asserted-Identity", LIST;
    PPreferredIdentity = "P-Preferred-Identity", LIST;
    PAssociatedUri = "P-Associated-URI", LIST;
    PCalledPartyId = "P-Called-Party-ID", LIST;
    PAccessNetworkInfo = "P-Access-Network-Info", LIST;
    PChargingVector = "P-Charging-Vector", ONE;
    PEarlyMedia = "P-Early-Media", LIST;
    RemotePartyId = "Remote-Party-ID", LIST;
    Privacy = "Privacy", ONE;
    Identity = "Identity" / "y", LIST;
    IdentityInfo = "Identity-Info" / "n", ONE;
    HistoryInfo = "History-Info", LIST;
    Diversion = "Diversion", LIST;
    Path = "Path", LIST;
    ServiceRoute = "Service-Route", LIST;
    FlowTimer = "Flow-Timer", ONE;
    FeatureCaps = "Feature-Caps", LIST;
    Geolocation = "Geolocation", LIST;
    InfoPackage = "Info-Package", ONE;
    RecvInfo = "Recv-Info", LIST;
    MaxBreadth = "Max-Breadth", ONE;
    SipEtag = "SIP-ETag", ONE;
    SipIfMatch = "SIP-If-Match", ONE;
    SecurityClient = "Security-Client", LIST;
    SecurityServer = "Security-Server", LIST;
    SecurityVerify = "Security-Verify", LIST;
    SuppressIfMatch = "Suppress-If-Match", ONE;
    TriggerConsent = "Trigger-Consent", LIST;
}

impl Name {
    /// The name of that spelling, in any case, long or compact.
    ///
    /// ```
    /// use midcall_wire::Name;
    ///
    /// assert_eq!(Name::parse("session-EXPIRES"), Name::SessionExpires);
    /// assert_eq!(Name::parse("x"), Name::SessionExpires);
    /// assert_eq!(Name::parse("X-Colour"), Name::Other);
    /// ```
    #[must_use]
    pub fn parse(name: &str) -> Self {
        Self::of(name.as_bytes())
    }

    pub(crate) fn of(text: &[u8]) -> Self {
        let mut slot = hash(text);
        loop {
            match TABLE.get(slot).and_then(|&entry| SPELLINGS.get(usize::from(entry))) {
                Some((known, name)) if same(known, text) => return *name,
                Some((known, _)) if !known.is_empty() => slot = (slot + 1) % SLOTS,
                _ => return Self::Other,
            }
        }
    }
}

/// Equal but for case; peers mostly write the usual spelling, and then one comparison is enough.
fn same(known: &str, text: &[u8]) -> bool {
    let known = known.as_bytes();
    known.len() == text.len() && (known == text || known.eq_ignore_ascii_case(text))
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Slots of the lookup table: a power of two, several times the number of spellings.
const SLOTS: usize = 512;

/// Length, first, middle and last letter tell nearly all names apart; case does not count.
const fn hash(text: &[u8]) -> usize {
    let (Some(first), Some(last)) = (text.first(), text.last()) else { return 0 };
    let length = text.len();
    let middle = text[length / 2];
    let (first, middle, last) = ((*first | 0x20) as usize, (middle | 0x20) as usize, (*last | 0x20) as usize);
    (length * 167 + first * 37 + middle * 11 + last * 5) % SLOTS
}

/// Every spelling, long and compact; the first is that of no name.
const SPELLINGS: [(&str, Name); COUNT + 1] = {
    let mut spellings = [("", Name::Other); COUNT + 1];
    let mut at = 1;
    let mut i = 0;
    while i < Name::ALL.len() {
        let name = Name::ALL[i];
        spellings[at] = (name.as_str(), name);
        at += 1;
        if let Some(compact) = name.compact() {
            spellings[at] = (compact, name);
            at += 1;
        }
        i += 1;
    }
    spellings
};

const COUNT: usize = {
    let mut count = 0;
    let mut i = 0;
    while i < Name::ALL.len() {
        count += if Name::ALL[i].compact().is_some() { 2 } else { 1 };
        i += 1;
    }
    count
};

/// The number of each spelling at the slot of its hash, or at the next free one.
static TABLE: [u8; SLOTS] = {
    let mut table = [0; SLOTS];
    let mut number = 1;
    while number <= COUNT {
        let mut slot = hash(SPELLINGS[number].0.as_bytes());
        while table[slot] != 0 {
            slot = (slot + 1) % SLOTS;
        }
        table[slot] = number as u8;
        number += 1;
    }
    table
};

const _: () = assert!(COUNT < 256, "the number of a spelling is a byte");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_found() {
        for &name in Name::ALL {
            assert_eq!(Name::parse(name.as_str()), name);
            assert_eq!(Name::parse(&name.as_str().to_uppercase()), name);
            if let Some(compact) = name.compact() {
                assert_eq!(Name::parse(compact), name);
                assert_eq!(Name::parse(&compact.to_uppercase()), name);
            }
        }
    }

    #[test]
    fn other_words_are_other() {
        for word in ["", "z", "Viaa", "Cont", "X-Via", "Content_Type", "\u{e9}"] {
            assert_eq!(Name::parse(word), Name::Other, "{word}");
        }
    }
}
