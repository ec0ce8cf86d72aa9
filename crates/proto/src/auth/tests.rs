use bytes::Bytes;
use midcall_wire::Builder;

use super::*;
use crate::Msg;

const URI: &str = "sip:bob@example.com";

fn client() -> DigestClient {
    DigestClient::new(Credentials::new("Mufasa", "Circle of Life"))
}

/// A 401 or 407 with these challenges.
fn refusal(challenges: &[(Name, &str)]) -> Msg {
    let builder = Builder::response(401, None);
    let response = challenges.iter().fold(builder, |builder, (name, value)| builder.header(*name, value));
    Msg::parse(Bytes::from(response.finish())).unwrap()
}

fn by_registrar(value: &str) -> Msg {
    refusal(&[(Name::WwwAuthenticate, value)])
}

/// A request that carries these credentials.
fn request(credentials: &[(Name, String)]) -> Msg {
    let builder = Builder::request("INVITE", URI);
    let request = credentials.iter().fold(builder, |builder, (name, value)| builder.header(*name, value));
    Msg::parse(Bytes::from(request.finish())).unwrap()
}

fn answer(client: &mut DigestClient, refusal: &Msg, rejected: &Msg) -> Result<Vec<(Name, String)>, Why> {
    client.answer(&refusal.challenges(), rejected, "INVITE", URI, b"v=0\r\n", 0xfeed)
}

fn param<'a>(credentials: &'a (Name, String), name: &str) -> &'a str {
    let read = Challenge::split(false, &credentials.1).next();
    read.and_then(|credentials| credentials.param(name)).unwrap_or("")
}

#[test]
fn a_challenge_is_answered_with_all_that_digest_wants() {
    crate::covers!("SEC-05");
    let challenge =
        "Digest realm=\"example.com\", nonce=\"n1\", opaque=\"o\", algorithm=SHA-256, qop=\"auth\"";
    let credentials = answer(&mut client(), &by_registrar(challenge), &request(&[])).unwrap();
    assert_eq!(credentials.len(), 1);
    assert_eq!(credentials[0].0, Name::Authorization);
    insta::assert_snapshot!(credentials[0].1);
}

#[test]
fn the_topmost_challenge_that_is_understood_counts() {
    crate::covers!("SEC-05");
    let refusal = refusal(&[
        (Name::WwwAuthenticate, "Basic realm=\"r\""),
        (Name::WwwAuthenticate, "Digest realm=\"r\", nonce=\"x\", algorithm=SHA3-256, qop=\"auth\""),
        (Name::WwwAuthenticate, "Digest realm=\"r\", nonce=\"y\", algorithm=SHA-512-256, qop=\"auth-conf\""),
        (Name::WwwAuthenticate, "Digest realm=\"r\", nonce=\"a\", algorithm=SHA-256, qop=\"auth\""),
        (Name::WwwAuthenticate, "Digest realm=\"r\", nonce=\"b\", algorithm=MD5, qop=\"auth\""),
    ]);
    let credentials = answer(&mut client(), &refusal, &request(&[])).unwrap();
    let used: Vec<_> = credentials.iter().map(|c| (param(c, "algorithm"), param(c, "nonce"))).collect();
    assert_eq!(used, [("SHA-256", "a")]);
}

#[test]
fn basic_is_never_answered() {
    crate::covers!("SEC-05");
    let refused = answer(&mut client(), &by_registrar("Basic realm=\"r\""), &request(&[]));
    assert_eq!(refused, Err(Why::NothingUnderstood));
    assert!(Why::NothingUnderstood.to_string().contains("RFC 8760 §2.4"));
}

#[test]
fn a_challenge_without_algorithm_and_qop_is_answered_with_md5_and_auth() {
    crate::covers!("SEC-05");
    let credentials =
        answer(&mut client(), &by_registrar("Digest realm=\"r\", nonce=\"n\""), &request(&[])).unwrap();
    assert_eq!((param(&credentials[0], "algorithm"), param(&credentials[0], "qop")), ("MD5", "auth"));
}

#[test]
fn rejected_credentials_are_not_sent_again() {
    crate::covers!("SEC-04");
    let mut client = client();
    let first =
        answer(&mut client, &by_registrar("Digest realm=\"r\", nonce=\"1\", qop=\"auth\""), &request(&[]));
    for nonce in ["1", "2"] {
        let again = by_registrar(&format!("Digest realm=\"r\", nonce=\"{nonce}\", qop=\"auth\""));
        let refused = answer(&mut client, &again, &request(first.as_ref().unwrap()));
        assert_eq!(refused, Err(Why::Rejected { realm: "r".into() }));
    }
}

#[test]
fn a_stale_nonce_is_replaced_and_its_count_starts_anew() {
    crate::covers!("SEC-04");
    let mut client = client();
    let mut sent =
        answer(&mut client, &by_registrar("Digest realm=\"r\", nonce=\"0\", qop=\"auth\""), &request(&[]))
            .unwrap();
    for nonce in ["1", "2"] {
        let stale = by_registrar(&format!("Digest realm=\"r\", nonce=\"{nonce}\", qop=\"auth\", stale=true"));
        sent = answer(&mut client, &stale, &request(&sent)).unwrap();
        assert_eq!((param(&sent[0], "nonce"), param(&sent[0], "nc")), (nonce, "00000001"));
    }
    let for_ever = by_registrar("Digest realm=\"r\", nonce=\"3\", qop=\"auth\", stale=true");
    assert!(answer(&mut client, &for_ever, &request(&sent)).is_err(), "a realm that is never content");
}

#[test]
fn a_stale_nonce_that_is_offered_again_is_no_new_one() {
    crate::covers!("SEC-04");
    let mut client = client();
    let challenge = by_registrar("Digest realm=\"r\", nonce=\"1\", qop=\"auth\", stale=true");
    let sent = answer(&mut client, &challenge, &request(&[])).unwrap();
    assert!(answer(&mut client, &challenge, &request(&sent)).is_err());
}

#[test]
fn later_requests_carry_credentials_without_being_asked() {
    crate::covers!("SEC-04", "PR-16");
    let mut client = client();
    assert_eq!(client.preemptive("BYE", URI, b"", 1), []);
    assert!(!client.challenged());
    let by_proxy = refusal(&[(Name::ProxyAuthenticate, "Digest realm=\"p\", nonce=\"1\", qop=\"auth\"")]);
    answer(&mut client, &by_proxy, &request(&[])).unwrap();
    assert!(client.challenged());
    for (nc, cnonce) in [("00000002", "0000000000000001"), ("00000003", "0000000000000002")] {
        let credentials = client.preemptive("PRACK", URI, b"", u64::from_str_radix(cnonce, 16).unwrap());
        assert_eq!(credentials[0].0, Name::ProxyAuthorization);
        assert_eq!((param(&credentials[0], "nc"), param(&credentials[0], "cnonce")), (nc, cnonce));
    }
}

#[test]
fn a_nonce_that_served_before_and_is_replaced_gets_one_new_try() {
    crate::covers!("SEC-04");
    let mut client = client();
    answer(&mut client, &by_registrar("Digest realm=\"r\", nonce=\"1\", qop=\"auth\""), &request(&[]))
        .unwrap();
    let later = client.preemptive("INVITE", URI, b"", 2);
    let expired = by_registrar("Digest realm=\"r\", nonce=\"2\", qop=\"auth\"");
    let again = answer(&mut client, &expired, &request(&later)).unwrap();
    assert_eq!((param(&again[0], "nonce"), param(&again[0], "nc")), ("2", "00000001"));
    let wrong = by_registrar("Digest realm=\"r\", nonce=\"3\", qop=\"auth\"");
    assert!(answer(&mut client, &wrong, &request(&again)).is_err());
}

#[test]
fn two_requests_challenged_at_once_are_both_answered() {
    crate::covers!("SEC-04");
    let mut client = client();
    for nonce in ["1", "2"] {
        let challenge = by_registrar(&format!("Digest realm=\"r\", nonce=\"{nonce}\", qop=\"auth\""));
        assert!(answer(&mut client, &challenge, &request(&[])).is_ok());
    }
    let same = by_registrar("Digest realm=\"r\", nonce=\"2\", qop=\"auth\"");
    let credentials = answer(&mut client, &same, &request(&[])).unwrap();
    assert_eq!(param(&credentials[0], "nc"), "00000002", "one nonce, one count");
}

#[test]
fn every_proxy_on_the_way_gets_its_own_credentials() {
    crate::covers!("SEC-04");
    let mut client = client();
    let first = refusal(&[(Name::ProxyAuthenticate, "Digest realm=\"p1\", nonce=\"1\", qop=\"auth\"")]);
    let sent = answer(&mut client, &first, &request(&[])).unwrap();
    let second = refusal(&[
        (Name::ProxyAuthenticate, "Digest realm=\"p2\", nonce=\"2\", qop=\"auth\""),
        (Name::WwwAuthenticate, "Digest realm=\"p1\", nonce=\"3\", qop=\"auth\""),
    ]);
    let sent = answer(&mut client, &second, &request(&sent)).unwrap();
    let used: Vec<_> = sent.iter().map(|c| (c.0, param(c, "realm"), param(c, "nc"))).collect();
    assert_eq!(
        used,
        [
            (Name::ProxyAuthorization, "p1", "00000002"),
            (Name::ProxyAuthorization, "p2", "00000001"),
            (Name::Authorization, "p1", "00000001"),
        ]
    );
}

#[test]
fn endless_realms_are_not_pleased_for_ever() {
    let mut client = client();
    let ask = |realm: u32| by_registrar(&format!("Digest realm=\"{realm}\", nonce=\"1\", qop=\"auth\""));
    let tries = (0..100).take_while(|realm| answer(&mut client, &ask(*realm), &request(&[])).is_ok()).count();
    assert_eq!(tries, 8);
    assert_eq!(answer(&mut client, &ask(100), &request(&[])), Err(Why::TooManyRealms));
}

#[test]
fn a_session_key_keeps_its_cnonce_as_long_as_its_nonce() {
    let mut client = client();
    let challenge = by_registrar("Digest realm=\"r\", nonce=\"1\", qop=\"auth\", algorithm=SHA-256-sess");
    let first = answer(&mut client, &challenge, &request(&[])).unwrap();
    let second = client.preemptive("BYE", URI, b"", 99);
    assert_eq!(param(&first[0], "cnonce"), param(&second[0], "cnonce"));
    assert_ne!(param(&first[0], "response"), param(&second[0], "response"));
}

#[test]
fn a_hashed_user_name_is_sent_if_asked_for() {
    let challenge = by_registrar("Digest realm=\"r\", nonce=\"1\", qop=\"auth\", userhash=true");
    let credentials = answer(&mut client(), &challenge, &request(&[])).unwrap();
    assert_eq!(param(&credentials[0], "userhash"), "true");
    assert_eq!(param(&credentials[0], "username").len(), 32);
}

#[test]
fn a_user_name_cannot_break_out_of_its_quotes() {
    let mut client = DigestClient::new(Credentials::new("a\"b\\c\r\nX: y", "p"));
    let challenge = by_registrar("Digest realm=\"r\", nonce=\"1\", qop=\"auth\"");
    let credentials = answer(&mut client, &challenge, &request(&[])).unwrap();
    assert!(
        credentials[0].1.starts_with("Digest username=\"a\\\"b\\\\cX: y\", realm=\"r\""),
        "{credentials:?}"
    );
}

#[test]
fn a_password_does_not_show() {
    assert!(!format!("{:?}", client()).contains("Circle"));
}
