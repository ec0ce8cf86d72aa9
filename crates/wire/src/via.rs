//! The Via header: which way a request came, and a response goes. RFC 3261 §20.42.

use std::net::IpAddr;

use crate::scan::{Scan, same_word};
use crate::{Params, ParseError, What};

/// One value of a Via header.
///
/// ```
/// use midcall_wire::Via;
///
/// let via = Via::parse("SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bKabc;rport=40000;received=198.51.100.7").unwrap();
/// assert_eq!((via.transport, via.host, via.port), ("UDP", "192.0.2.1", Some(5062)));
/// assert_eq!(via.branch(), Some("z9hG4bKabc"));
/// assert_eq!(via.rport(), Some(Some(40000)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// The transport as written, such as `UDP`.
    pub transport: &'a str,
    /// The host of sent-by, an IPv6 address in its brackets.
    pub host: &'a str,
    /// The port of sent-by, where one is written.
    pub port: Option<u16>,
    /// What follows sent-by.
    pub params: Params<'a>,
    sent_by: &'a str,
    branch: Option<&'a str>,
    rport: Option<Option<&'a str>>,
    maddr: Option<&'a str>,
    received: Option<&'a str>,
}

impl<'a> Via<'a> {
    /// Takes one value apart.
    ///
    /// # Errors
    /// Says where it departs from RFC 3261 §25.1.
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        let mut scan = protocol(text)?;
        scan.lws();
        let Ok(transport) = scan.token() else { return scan.fail(What::SentProtocol) };
        let before = scan.at();
        scan.lws();
        if scan.at() == before {
            return scan.fail(What::SentProtocol);
        }
        let start = scan.at();
        let host = crate::uri::host(&mut scan)?;
        let mut sent_by = scan.since(start);
        let mut ahead = scan;
        ahead.lws();
        let mut port = None;
        if ahead.eat(b':') {
            ahead.lws();
            port = Some(crate::uri::port(&mut ahead)?);
            sent_by = ahead.since(start);
            scan = ahead;
        }
        scan.lws();
        if !matches!(scan.peek(), None | Some(b';')) {
            return scan.fail(What::Parameter);
        }
        // Of each name the first counts.
        let (mut branch, mut rport, mut maddr, mut received) = (None, None, None, None);
        let params = Params::parse_noting(scan.rest(), |name, value| {
            let place = match name.len() {
                6 if same_word(name, "branch") => &mut branch,
                5 if same_word(name, "rport") => &mut rport,
                5 if same_word(name, "maddr") => &mut maddr,
                8 if same_word(name, "received") => &mut received,
                _ => return,
            };
            place.get_or_insert(value);
        });
        let params = params.map_err(|error| error.shifted(scan.at()))?;
        let (branch, maddr, received) = (branch.flatten(), maddr.flatten(), received.flatten());
        Ok(Self { transport, host, port, params, sent_by, branch, rport, maddr, received })
    }

    /// Host and port as written.
    #[must_use]
    pub const fn sent_by(&self) -> &'a str {
        self.sent_by
    }

    /// The host of sent-by, where it is an address.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        crate::uri::host_ip(self.host)
    }

    /// The branch parameter. RFC 3261 §8.1.1.7.
    #[must_use]
    pub const fn branch(&self) -> Option<&'a str> {
        self.branch
    }

    /// The received parameter as written. RFC 3261 §18.2.1.
    #[must_use]
    pub const fn received(&self) -> Option<&'a str> {
        self.received
    }

    /// The address of the received parameter; brackets around IPv6 are forgiven. RFC 5118 §4.5.
    #[must_use]
    pub fn received_ip(&self) -> Option<IpAddr> {
        crate::uri::host_ip(self.received()?)
    }

    /// The rport parameter: `Some(None)` asks for it, `Some(Some(_))` gives it. RFC 3581 §3, §4.
    #[must_use]
    pub fn rport(&self) -> Option<Option<u16>> {
        self.rport.map(|value| value.and_then(|port| port.parse().ok()))
    }

    /// The maddr parameter. RFC 3261 §18.2.2.
    #[must_use]
    pub const fn maddr(&self) -> Option<&'a str> {
        self.maddr
    }

    /// The ttl parameter. RFC 3261 §18.1.1.
    #[must_use]
    pub fn ttl(&self) -> Option<u8> {
        self.params.value("ttl")?.parse().ok()
    }
}

/// Steps over `SIP/2.0/`, which nearly everybody writes without white space.
fn protocol(text: &str) -> Result<Scan<'_>, ParseError> {
    const USUAL: &[u8] = b"SIP/2.0/";
    if text.as_bytes().starts_with(USUAL) {
        return Ok(Scan::from(text, USUAL.len()));
    }
    let mut scan = Scan::new(text);
    for word in ["SIP", "2.0"] {
        scan.lws();
        let start = scan.at();
        if !scan.token().is_ok_and(|found| found.eq_ignore_ascii_case(word)) {
            return Err(ParseError::new(start, What::SentProtocol));
        }
        scan.lws();
        if !scan.eat(b'/') {
            return scan.fail(What::SentProtocol);
        }
    }
    Ok(scan)
}
