//! Digest authentication as a client: RFC 3261 §22, RFC 7616, RFC 8760.
//!
//! One [`DigestClient`] belongs to one Call-ID: RFC 3261 §22.3 forbids carrying credentials from one dialog
//! into another. It answers challenges and then gives credentials for later requests before anyone asks.

mod digest;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use midcall_wire::{Challenge, Message, Name};

use digest::{Algorithm, Proof, Qop};

/// A user name and a password.
///
/// The password shows in no `Debug` output.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name in the realm, often not the user part of the SIP URI.
    pub user: String,
    /// The password.
    pub password: String,
}

impl Credentials {
    /// Credentials of a user.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), password: password.into() }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Why a challenge was not answered: the request is not to be sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// No challenge uses Digest with an algorithm and a qop known here. RFC 8760 §2.4.
    NothingUnderstood,
    /// The realm refused the very credentials there are. RFC 3261 §22.1.
    Rejected {
        /// The realm that refused.
        realm: String,
    },
    /// More realms asked than one call is believed to cross.
    TooManyRealms,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingUnderstood => {
                f.write_str("no challenge asks for Digest with MD5, SHA-256 or SHA-512-256 (RFC 8760 §2.4)")
            }
            Self::Rejected { realm } => write!(
                f,
                "the realm {realm:?} rejected user or password, and the same may not be sent again (RFC 3261 §22.1)"
            ),
            Self::TooManyRealms => write!(f, "more than {MAX_REALMS} realms ask for credentials in one call"),
        }
    }
}

impl std::error::Error for Why {}

/// The digest client of one call: what each realm asked last, and how often its nonce was used.
#[derive(Clone, Debug)]
pub struct DigestClient {
    credentials: Arc<Credentials>,
    realms: Vec<Realm>,
}

/// What a realm asked for.
#[derive(Clone, Debug)]
struct Realm {
    proxy: bool,
    algorithm: Algorithm,
    qop: Qop,
    userhash: bool,
    /// The number of stale nonces it replaced without any other request in between.
    stale: u8,
    /// How often the nonce has been used.
    nc: u32,
    realm: Box<str>,
    nonce: Box<str>,
    opaque: Option<Box<str>>,
    /// The algorithm as the realm wrote it, to be sent back alike.
    written: Box<str>,
    /// The cnonce a session key was made with; it stays as long as the nonce.
    cnonce: Option<Box<str>>,
}

impl DigestClient {
    /// A client that has met no challenge yet.
    pub fn new(credentials: impl Into<Arc<Credentials>>) -> Self {
        Self { credentials: credentials.into(), realms: Vec::new() }
    }

    /// The credentials to send the request again with, after a 401 or 407.
    ///
    /// Of the challenges of one realm the topmost understood counts (RFC 8760 §2.4). `rejected` is the request
    /// that was challenged: credentials that it carried and that are refused for anything but their nonce are
    /// not sent again (RFC 3261 §22.1). A nonce is taken to be the trouble if the realm says `stale=true`, or
    /// if it had been used before and is now replaced. Realms that did not ask this time get their credentials
    /// too: all proxies on the path want theirs.
    ///
    /// `method`, `uri` and `body` are those of the new request, `cnonce` is random.
    ///
    /// # Errors
    /// If no challenge can be answered.
    pub fn answer<B: AsRef<[u8]>>(
        &mut self,
        challenges: &[Challenge<'_>],
        rejected: &Message<B>,
        method: &str,
        uri: &str,
        body: &[u8],
        cnonce: u64,
    ) -> Result<Vec<(Name, String)>, Why> {
        let mut why = Why::NothingUnderstood;
        let mut done: Vec<(bool, &str)> = Vec::new();
        let mut renewed = false;
        for challenge in challenges {
            let Some(asked) = Realm::asked(challenge) else { continue };
            let realm = challenge.realm().unwrap_or_default();
            if done.contains(&(challenge.proxy, realm)) {
                continue;
            }
            done.push((challenge.proxy, realm));
            match self.renew(asked, challenge.stale(), rejected) {
                Ok(()) => renewed = true,
                Err(refusal) => why = refusal,
            }
        }
        if renewed { Ok(self.write(method, uri, body, cnonce)) } else { Err(why) }
    }

    /// Credentials for a further request of the same call, one header value for each realm that ever asked.
    ///
    /// RFC 3261 §22.3: they go into every later request with the same Call-ID. Empty if nobody asked so far.
    pub fn preemptive(&mut self, method: &str, uri: &str, body: &[u8], cnonce: u64) -> Vec<(Name, String)> {
        for realm in &mut self.realms {
            realm.stale = 0;
        }
        self.write(method, uri, body, cnonce)
    }

    /// Whether any realm asked so far.
    pub fn challenged(&self) -> bool {
        !self.realms.is_empty()
    }

    fn write(&mut self, method: &str, uri: &str, body: &[u8], cnonce: u64) -> Vec<(Name, String)> {
        let credentials = &self.credentials;
        self.realms
            .iter_mut()
            .map(|realm| realm.credentials(credentials, method, uri, body, cnonce))
            .collect()
    }

    /// Takes a new nonce over, unless that would repeat what was refused.
    fn renew<B: AsRef<[u8]>>(
        &mut self,
        mut asked: Realm,
        stale: bool,
        rejected: &Message<B>,
    ) -> Result<(), Why> {
        let sent = sent_credentials(rejected, asked.header(), &asked.realm);
        let room = self.realms.len() < MAX_REALMS;
        let known = self.realms.iter_mut().find(|r| r.proxy == asked.proxy && r.realm == asked.realm);
        if let Some((nonce, nc)) = sent {
            let replaced = nonce != &*asked.nonce;
            asked.stale = known.as_ref().map_or(0, |realm| realm.stale).saturating_add(u8::from(stale));
            let only_the_nonce = (stale && asked.stale <= MAX_STALE) || (!stale && nc > 1);
            if !(replaced && only_the_nonce) {
                return Err(Why::Rejected { realm: asked.realm.into() });
            }
        }
        match known {
            // A challenge of a request that crossed: the nonce is known, its count goes on.
            Some(realm) if realm.nonce == asked.nonce && realm.algorithm == asked.algorithm => {}
            Some(realm) => *realm = asked,
            None if room => self.realms.push(asked),
            None => return Err(Why::TooManyRealms),
        }
        Ok(())
    }
}

impl Realm {
    /// What a challenge asks for, if it is one we understand. Never Basic (RFC 3261 §22.4).
    fn asked(challenge: &Challenge<'_>) -> Option<Self> {
        if !challenge.scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let written = challenge.algorithm().unwrap_or("MD5");
        Some(Self {
            proxy: challenge.proxy,
            algorithm: Algorithm::parse(written)?,
            qop: Qop::choose(challenge.qop())?,
            userhash: challenge.param("userhash").is_some_and(|v| v.eq_ignore_ascii_case("true")),
            stale: 0,
            nc: 0,
            realm: challenge.realm().unwrap_or_default().into(),
            nonce: challenge.nonce()?.into(),
            opaque: challenge.opaque().map(Into::into),
            written: written.into(),
            cnonce: None,
        })
    }

    const fn header(&self) -> Name {
        if self.proxy { Name::ProxyAuthorization } else { Name::Authorization }
    }

    /// The credentials for one request, as a header.
    fn credentials(
        &mut self,
        credentials: &Credentials,
        method: &str,
        uri: &str,
        body: &[u8],
        cnonce: u64,
    ) -> (Name, String) {
        self.nc = self.nc.saturating_add(1);
        let mut cnonce: Box<str> = format!("{cnonce:016x}").into();
        if self.algorithm.session {
            cnonce = self.cnonce.get_or_insert(cnonce).clone();
        }
        let user = quotable(&credentials.user);
        let uri = quotable(uri);
        let response = self.algorithm.response(&Proof {
            user: &user,
            realm: &self.realm,
            password: &credentials.password,
            nonce: &self.nonce,
            cnonce: &cnonce,
            nc: self.nc,
            qop: self.qop,
            method,
            uri: &uri,
            body,
        });
        let user =
            if self.userhash { self.algorithm.hash(&[user.as_bytes(), self.realm.as_bytes()]) } else { user };
        let mut value = format!(
            "Digest username=\"{user}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", response=\"{response}\", \
             algorithm={}, cnonce=\"{cnonce}\", qop={}, nc={:08x}",
            self.realm,
            self.nonce,
            self.written,
            self.qop.as_str(),
            self.nc
        );
        if let Some(opaque) = &self.opaque {
            value.push_str(&format!(", opaque=\"{opaque}\""));
        }
        if self.userhash {
            value.push_str(", userhash=true");
        }
        (self.header(), value)
    }
}

/// The nonce and its count in the credentials a request carried for a realm.
fn sent_credentials<'m, B: AsRef<[u8]>>(
    request: &'m Message<B>,
    header: Name,
    realm: &str,
) -> Option<(&'m str, u32)> {
    let lines = request.headers().filter(|line| line.name == header);
    let values = lines.filter_map(|line| std::str::from_utf8(line.value).ok());
    // Credentials have the shape of a challenge: a scheme and its parameters.
    let mut sent = values.flat_map(|value| Challenge::split(false, value));
    let ours = sent.find(|credentials| credentials.realm() == Some(realm))?;
    let nc = ours.param("nc").and_then(|nc| u32::from_str_radix(nc, 16).ok());
    Some((ours.nonce()?, nc.unwrap_or(1)))
}

/// The text as it may stand between quotes: quotes and backslashes escaped, control characters left out.
fn quotable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Realms one call may have to please.
const MAX_REALMS: usize = 8;

/// How often a realm may call a nonce stale in answer to one request.
const MAX_STALE: u8 = 2;
