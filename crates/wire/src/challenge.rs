//! Challenges: what WWW-Authenticate and Proxy-Authenticate ask for. RFC 3261 §22, RFC 8760.

use crate::scan::{Scan, is_lws, is_token, trim};

/// One challenge of a 401 or 407.
///
/// ```
/// use midcall_wire::Challenge;
///
/// let text = "Digest realm=\"example.com\", nonce=\"84f1\", qop=\"auth,auth-int\", algorithm=SHA-256, stale=TRUE";
/// let challenge = Challenge::split(false, text).next().unwrap();
/// assert_eq!((challenge.scheme, challenge.realm()), ("Digest", Some("example.com")));
/// assert_eq!(challenge.qop(), Some("auth,auth-int"));
/// assert_eq!(challenge.algorithm(), Some("SHA-256"));
/// assert!(challenge.stale());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// Whether a proxy asks, that is, Proxy-Authenticate carried it.
    pub proxy: bool,
    /// The authentication scheme, such as `Digest`.
    pub scheme: &'a str,
    params: &'a str,
}

impl<'a> Challenge<'a> {
    /// The challenges of one header value; more than one where a peer joined them with commas.
    pub fn split(proxy: bool, text: &'a str) -> impl Iterator<Item = Self> {
        let mut rest = trim(text);
        std::iter::from_fn(move || {
            let mut scan = Scan::new(rest);
            scan.run(|b| b == b',' || is_lws(b));
            let scheme = scan.run(is_token);
            if scheme.is_empty() {
                return None;
            }
            let start = scan.at();
            let mut end = start;
            loop {
                let mut ahead = scan;
                if end > start && starts_challenge(ahead) {
                    break;
                }
                element(&mut ahead);
                end = ahead.at();
                scan = ahead;
                if !scan.eat(b',') {
                    break;
                }
            }
            let params = trim(rest.get(start..end).unwrap_or_default());
            rest = rest.get(scan.at()..).unwrap_or_default();
            Some(Self { proxy, scheme, params })
        })
    }

    /// The parameter of that name, in any case, without quotes; escapes stay.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&'a str> {
        self.params().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Name and value of each parameter, without quotes.
    pub fn params(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        auth_params(self.params)
    }

    /// What is asked to log in to.
    #[must_use]
    pub fn realm(&self) -> Option<&'a str> {
        self.param("realm")
    }

    /// The server's nonce.
    #[must_use]
    pub fn nonce(&self) -> Option<&'a str> {
        self.param("nonce")
    }

    /// The hash; MD5 where it is absent.
    #[must_use]
    pub fn algorithm(&self) -> Option<&'a str> {
        self.param("algorithm")
    }

    /// The offered qualities of protection, a comma list.
    #[must_use]
    pub fn qop(&self) -> Option<&'a str> {
        self.param("qop")
    }

    /// What has to be given back unchanged.
    #[must_use]
    pub fn opaque(&self) -> Option<&'a str> {
        self.param("opaque")
    }

    /// Whether only the nonce was too old.
    #[must_use]
    pub fn stale(&self) -> bool {
        self.param("stale").is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

/// Name and value of each `name=value` of a comma list, as credentials and challenges have them.
pub(crate) fn auth_params(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut scan = Scan::new(text);
    std::iter::from_fn(move || {
        scan.run(|b| b == b',' || is_lws(b));
        let mut element = Scan::new(part(&mut scan)?);
        let name = trim(element.run(|b| b != b'='));
        element.eat(b'=');
        element.lws();
        let mut inside = element;
        let value = match inside.quoted() {
            Ok(value) => value,
            Err(_) => trim(element.rest()),
        };
        Some((name, value))
    })
}

fn part<'a>(scan: &mut Scan<'a>) -> Option<&'a str> {
    let start = scan.at();
    element(scan);
    let part = scan.since(start);
    (!part.is_empty()).then_some(part)
}

/// Steps to the comma that ends an element.
fn element(scan: &mut Scan<'_>) {
    while let Some(byte) = scan.peek() {
        match byte {
            b',' => return,
            b'"' => {
                if scan.quoted().is_err() {
                    scan.skip(1);
                }
            }
            _ => {
                scan.run(|b| b != b',' && b != b'"');
            }
        }
    }
}

/// A token, white space and another token: a scheme, and no parameter.
fn starts_challenge(mut scan: Scan<'_>) -> bool {
    scan.lws();
    let scheme = !scan.run(is_token).is_empty();
    let space = !scan.run(is_lws).is_empty();
    scheme && space && !scan.run(is_token).is_empty()
}
