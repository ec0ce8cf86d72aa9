//! The digest function itself: RFC 7616 §3.4, with the SIP changes of RFC 8760 §2.6.

use std::fmt::Write as _;

use md5::{Digest, Md5};
use sha2::{Sha256, Sha512_256};

/// The hash a challenge asks for, and whether its key is a session key (`-sess`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Algorithm {
    hash: Hash,
    pub(super) session: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Md5,
    Sha256,
    Sha512_256,
}

/// What the client vouches for: the request line, or that and the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Qop {
    Auth,
    AuthInt,
}

/// All that goes into one response value. Quoted values are what stands between the quotes.
#[derive(Clone, Copy)]
pub(super) struct Proof<'a> {
    pub(super) user: &'a str,
    pub(super) realm: &'a str,
    pub(super) password: &'a str,
    pub(super) nonce: &'a str,
    pub(super) cnonce: &'a str,
    pub(super) nc: u32,
    pub(super) qop: Qop,
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) body: &'a [u8],
}

impl Algorithm {
    /// The algorithm of this name, in any case; `None` for one we do not know.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let is_session = |at: usize| name.get(at..).is_some_and(|end| end.eq_ignore_ascii_case("-sess"));
        let session = name.len().checked_sub(5).filter(|at| is_session(*at));
        let hash = match name.get(..session.unwrap_or(name.len()))? {
            base if base.eq_ignore_ascii_case("MD5") => Hash::Md5,
            base if base.eq_ignore_ascii_case("SHA-256") => Hash::Sha256,
            base if base.eq_ignore_ascii_case("SHA-512-256") => Hash::Sha512_256,
            _ => return None,
        };
        Some(Self { hash, session: session.is_some() })
    }

    /// The hash of the parts joined by colons, as lower-case hex (RFC 8760 §2.2).
    pub(super) fn hash(self, parts: &[&[u8]]) -> String {
        match self.hash {
            Hash::Md5 => hash_parts::<Md5>(parts),
            Hash::Sha256 => hash_parts::<Sha256>(parts),
            Hash::Sha512_256 => hash_parts::<Sha512_256>(parts),
        }
    }

    /// The response value that proves the password is known.
    pub(super) fn response(self, proof: &Proof<'_>) -> String {
        let Proof { user, realm, password, nonce, cnonce, qop, method, uri, body, .. } = *proof;
        let mut secret = self.hash(&[user.as_bytes(), realm.as_bytes(), password.as_bytes()]);
        if self.session {
            secret = self.hash(&[secret.as_bytes(), nonce.as_bytes(), cnonce.as_bytes()]);
        }
        let vouched = match qop {
            Qop::Auth => self.hash(&[method.as_bytes(), uri.as_bytes()]),
            Qop::AuthInt => self.hash(&[method.as_bytes(), uri.as_bytes(), self.hash(&[body]).as_bytes()]),
        };
        let nc = format!("{:08x}", proof.nc);
        self.hash(&[
            secret.as_bytes(),
            nonce.as_bytes(),
            nc.as_bytes(),
            cnonce.as_bytes(),
            qop.as_str().as_bytes(),
            vouched.as_bytes(),
        ])
    }
}

impl Qop {
    /// The best of what a challenge offers: `auth` before `auth-int`, whose bodies middleboxes may rewrite.
    ///
    /// RFC 8760 §2.6: a challenge without the parameter means `auth`. `None` if nothing offered is known.
    pub(super) fn choose(offered: Option<&str>) -> Option<Self> {
        let Some(offered) = offered else { return Some(Self::Auth) };
        let offers = |qop: Self| offered.split(',').any(|one| one.trim().eq_ignore_ascii_case(qop.as_str()));
        [Self::Auth, Self::AuthInt].into_iter().find(|qop| offers(*qop))
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }
}

fn hash_parts<D: Digest>(parts: &[&[u8]]) -> String {
    let mut hash = D::new();
    for (nth, part) in parts.iter().enumerate() {
        if nth > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    let bytes = hash.finalize();
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes.iter() {
        // Writing to a String does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    const MUFASA: Proof<'_> = Proof {
        user: "Mufasa",
        realm: "http-auth@example.org",
        password: "Circle of Life",
        nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        nc: 1,
        qop: Qop::Auth,
        method: "GET",
        uri: "/dir/index.html",
        body: b"",
    };

    fn response(algorithm: &str, proof: &Proof<'_>) -> Option<String> {
        Some(Algorithm::parse(algorithm)?.response(proof))
    }

    #[test]
    fn the_examples_of_rfc_7616_section_3_9_1_hold() {
        crate::covers!("SEC-05");
        assert_eq!(response("MD5", &MUFASA).as_deref(), Some("8ca523f5e9506fed4657c9700eebdbec"));
        let sha = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";
        assert_eq!(response("SHA-256", &MUFASA).as_deref(), Some(sha));
    }

    #[test]
    fn the_example_of_rfc_2617_section_3_5_holds() {
        let proof = Proof {
            realm: "testrealm@host.com",
            password: "Circle Of Life",
            nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            cnonce: "0a4f113b",
            ..MUFASA
        };
        assert_eq!(response("md5", &proof).as_deref(), Some("6629fae49393a05397450978507c4ef1"));
    }

    #[test]
    fn the_example_of_rfc_7616_section_3_9_2_holds_as_erratum_4897_corrects_it() {
        crate::covers!("SEC-05");
        let proof = Proof {
            user: "J\u{e4}s\u{f8}n Doe",
            realm: "api@example.org",
            password: "Secret, or not?",
            nonce: "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
            cnonce: "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
            uri: "/doe.json",
            ..MUFASA
        };
        let response = response("SHA-512-256", &proof);
        assert_eq!(
            response.as_deref(),
            Some("3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5")
        );
        let userhash =
            Algorithm::parse("SHA-512-256").map(|a| a.hash(&[proof.user.as_bytes(), b"api@example.org"]));
        assert_eq!(
            userhash.as_deref(),
            Some("793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b")
        );
    }

    #[test]
    fn a_session_key_mixes_both_nonces_into_the_secret() {
        // Worked out by hand from RFC 7616 §3.4.2 with the hash as the only tool.
        let algorithm = Algorithm::parse("MD5-sess");
        let plain = Algorithm::parse("MD5").map(|md5| {
            let inner = md5.hash(&[b"Mufasa", b"http-auth@example.org", b"Circle of Life"]);
            let a1 = md5.hash(&[inner.as_bytes(), MUFASA.nonce.as_bytes(), MUFASA.cnonce.as_bytes()]);
            let a2 = md5.hash(&[b"GET", b"/dir/index.html"]);
            md5.hash(&[
                a1.as_bytes(),
                MUFASA.nonce.as_bytes(),
                b"00000001",
                MUFASA.cnonce.as_bytes(),
                b"auth",
                a2.as_bytes(),
            ])
        });
        assert_eq!(algorithm.map(|a| a.response(&MUFASA)), plain);
        assert!(algorithm.is_some_and(|a| a.session));
    }

    #[test]
    fn integrity_covers_the_body_and_an_empty_one_counts_as_empty() {
        let bare = Proof { qop: Qop::AuthInt, ..MUFASA };
        let with_body = Proof { body: b"v=0", ..bare };
        assert_ne!(response("MD5", &bare), response("MD5", &with_body));
        let empty = Algorithm::parse("SHA-256").map(|a| a.hash(&[b""]));
        let known = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(empty.as_deref(), Some(known));
    }

    #[test]
    fn unknown_algorithms_and_qualities_are_not_taken_for_known_ones() {
        crate::covers!("SEC-05");
        assert_eq!(Algorithm::parse("SHA-3"), None);
        assert_eq!(Algorithm::parse("-sess"), None);
        assert_eq!(Algorithm::parse("MD\u{20ac}5"), None);
        assert_eq!(Qop::choose(Some("auth-conf")), None);
        assert_eq!(Qop::choose(Some("auth-int, auth")), Some(Qop::Auth));
        assert_eq!(Qop::choose(Some("AUTH-INT")), Some(Qop::AuthInt));
        assert_eq!(Qop::choose(None), Some(Qop::Auth));
    }
}
