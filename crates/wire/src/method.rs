//! The methods of SIP.

macro_rules! methods {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// A request method this stack has a word for. RFC 3261 §7.1.
        ///
        /// Methods are case-sensitive: `invite` is an unknown method, [`Method::Other`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Method {
            $($(#[$doc])* $variant,)*
            /// Any other method; [`Message::method_name`](crate::Message::method_name) says which.
            Other,
        }

        impl Method {
            /// Every known method, in the order of the enum.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name on the wire; empty for [`Method::Other`].
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other => "",
                }
            }

            /// The method of that name.
            #[must_use]
            pub fn parse(name: &str) -> Self {
                Self::of(name.as_bytes())
            }

            pub(crate) fn of(name: &[u8]) -> Self {
                $(if name == $text.as_bytes() {
                    return Self::$variant;
                })*
                Self::Other
            }
        }
    };
}

methods! {
    /// RFC 3261 §13, §14.
    Invite = "INVITE",
    /// RFC 3261 §13.2.2.4.
    Ack = "ACK",
    /// RFC 3261 §15.
    Bye = "BYE",
    /// RFC 3261 §9.
    Cancel = "CANCEL",
    /// RFC 3261 §11.
    Options = "OPTIONS",
    /// RFC 3261 §10.
    Register = "REGISTER",
    /// RFC 3262 §6.
    Prack = "PRACK",
    /// RFC 3311 §4.
    Update = "UPDATE",
    /// RFC 6665 §3.1.
    Subscribe = "SUBSCRIBE",
    /// RFC 6665 §3.2.
    Notify = "NOTIFY",
    /// RFC 3515 §2.
    Refer = "REFER",
    /// RFC 6086 §4.
    Info = "INFO",
    /// RFC 3428 §4.
    Message = "MESSAGE",
    /// RFC 3903 §4.
    Publish = "PUBLISH",
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
