//! Takes the head of a record apart, piece by piece.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use memchr::memmem;

/// A line, from some place on. What does not fit gives `None`, so that a head reads as one chain of `?`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan<'l>(&'l [u8]);

impl<'l> Scan<'l> {
    pub(super) const fn new(text: &'l [u8]) -> Self {
        Self(text)
    }

    /// What has not been read.
    pub(super) const fn rest(self) -> &'l [u8] {
        self.0
    }

    /// Reads exactly this.
    pub(super) fn eat(&mut self, text: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    /// Reads spaces and tabs, if there are any.
    pub(super) fn spaces(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }

    /// Reads up to the next of these bytes, and it; what stood before it.
    pub(super) fn until(&mut self, text: &[u8]) -> Option<&'l [u8]> {
        let at = memmem::find(self.0, text)?;
        let (before, after) = self.0.split_at_checked(at)?;
        self.0 = after.get(text.len()..)?;
        Some(before)
    }

    /// Reads spaces, then what stands before the next space.
    pub(super) fn word(&mut self) -> Option<&'l [u8]> {
        self.spaces();
        let end = self.0.iter().position(u8::is_ascii_whitespace).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }

    /// Reads digits.
    pub(super) fn number(&mut self) -> Option<u64> {
        let end = self.0.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        number(digits)
    }

    /// Reads either of two words.
    pub(super) fn either<T>(&mut self, one: (&[u8], T), other: (&[u8], T)) -> Option<T> {
        if self.eat(one.0).is_some() {
            return Some(one.1);
        }
        self.eat(other.0).map(|()| other.1)
    }
}

/// A number of nothing but digits.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    digits
        .iter()
        .try_fold(0_u64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(*digit - b'0')))
}

/// Whether this stands anywhere in a line.
pub(super) fn holds(line: &[u8], text: &[u8]) -> bool {
    memmem::find(line, text).is_some()
}

/// An address with its port: `192.0.2.1:5060`, `[2001:db8::1]:5060`, `2001:db8::1:5060`, or a name with its port.
pub(super) fn endpoint(text: &[u8]) -> Option<SocketAddr> {
    let at = memchr::memrchr(b':', text)?;
    let (host, port) = (text.get(..at)?, text.get(at + 1..)?);
    let port = number(port).and_then(|port| u16::try_from(port).ok())?;
    Some(SocketAddr::new(host_of(host)?, port))
}

/// An address, in brackets or not; a name becomes an address that stands for it.
pub(super) fn host_of(text: &[u8]) -> Option<IpAddr> {
    let text = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")).unwrap_or(text);
    if let Some(address) = literal(text) {
        return Some(address);
    }
    let named =
        !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(byte));
    named.then(|| invented(text))
}

/// An address as it is written, in brackets or not.
pub(super) fn literal(text: &[u8]) -> Option<IpAddr> {
    let text = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")).unwrap_or(text);
    let text = std::str::from_utf8(text).ok()?;
    let text = text.split('%').next()?; // the zone of a link-local address
    text.parse().ok()
}

/// An address that nobody has (RFC 1112 §4 keeps 240.0.0.0/4 back), always the same for a name.
pub(super) fn invented(name: &[u8]) -> IpAddr {
    let hash = name.iter().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0193)
    });
    IpAddr::V4(Ipv4Addr::from(0xf000_0000 | (hash ^ hash >> 28) & 0x0fff_ffff))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_every_way_they_are_written() {
        let read = |text: &str| endpoint(text.as_bytes()).map(|address| address.to_string());
        assert_eq!(read("192.0.2.1:5060").as_deref(), Some("192.0.2.1:5060"));
        assert_eq!(read("[2001:db8::1]:5060").as_deref(), Some("[2001:db8::1]:5060"));
        assert_eq!(read("2001:db8::1:5060").as_deref(), Some("[2001:db8::1]:5060"));
        assert_eq!(read("[fe80::1%eth0]:5060").as_deref(), Some("[fe80::1]:5060"));
        for broken in ["", ":", "192.0.2.1", "192.0.2.1:", "192.0.2.1:70000", "a b:1", ":5060", "é:1"] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_name_stands_for_the_same_address_everywhere() {
        let (one, other) = (endpoint(b"sip.example.com:5060"), endpoint(b"SIP.example.com:5060"));
        assert_eq!(one, other);
        assert_ne!(one, endpoint(b"sip2.example.com:5060"));
        assert!(one.unwrap().ip().to_string().starts_with("2"));
    }
}
