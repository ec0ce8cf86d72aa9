//! Which packets a fault or an expectation means.

use std::fmt;
use std::net::SocketAddr;

use midcall_wire::Method;

use crate::raw::Raw;

/// A description of messages: by method, status, sender or text.
///
/// `Pick::from("ACK")` is a request, `Pick::status(200).of("INVITE")` a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pick {
    method: Option<String>,
    status: Option<Option<u16>>,
    from: Option<SocketAddr>,
    containing: Option<String>,
}

impl Pick {
    /// Any message.
    pub fn any() -> Self {
        Self::default()
    }

    /// Requests of this method.
    pub fn request(method: &str) -> Self {
        Self { method: Some(method.to_owned()), status: Some(None), ..Self::default() }
    }

    /// Responses with this status, to any method.
    pub fn status(status: u16) -> Self {
        Self { status: Some(Some(status)), ..Self::default() }
    }

    /// Only messages of this method: for responses, the one in CSeq.
    pub fn of(mut self, method: impl AsRef<str>) -> Self {
        self.method = Some(method.as_ref().to_owned());
        self
    }

    /// Only messages sent from this address.
    pub fn sent_by(mut self, from: SocketAddr) -> Self {
        self.from = Some(from);
        self
    }

    /// Only messages whose text contains this.
    pub fn containing(mut self, text: &str) -> Self {
        self.containing = Some(text.to_owned());
        self
    }

    /// Whether it means this message.
    pub fn matches(&self, from: SocketAddr, bytes: &[u8]) -> bool {
        let raw = Raw::read(bytes);
        self.means(&raw)
            && self.from.is_none_or(|own| own == from)
            && self
                .containing
                .as_ref()
                .is_none_or(|text| String::from_utf8_lossy(bytes).contains(text.as_str()))
    }

    /// Whether it means this message, whoever sent it and whatever else it says.
    pub fn means(&self, raw: &Raw) -> bool {
        self.method.as_ref().is_none_or(|method| raw.method() == method)
            && self.status.is_none_or(|status| raw.status() == status)
    }
}

impl From<&str> for Pick {
    fn from(method: &str) -> Self {
        Self::request(method)
    }
}

impl From<Method> for Pick {
    fn from(method: Method) -> Self {
        Self::request(method.as_str())
    }
}

impl From<u16> for Pick {
    fn from(status: u16) -> Self {
        Self::status(status)
    }
}

impl fmt::Display for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(Some(status)) => write!(f, "{status} {}", self.method.as_deref().unwrap_or_default()),
            _ => f.write_str(self.method.as_deref().unwrap_or("any message")),
        }
    }
}
