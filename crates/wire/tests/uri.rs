//! URIs: taking them apart, and telling whether two are the same.

use midcall_wire::{ParseError, Scheme, Uri, What};

fn uri(text: &str) -> Uri<'_> {
    Uri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn fault(text: &str) -> (usize, What) {
    let ParseError { at, what, .. } = Uri::parse(text).unwrap_err();
    (at, what)
}

/// RFC 3261 §19.1.3 and what is seen in the field.
#[test]
fn sip_uris_are_taken_apart() {
    let u = uri("sip:alice@example.com");
    assert_eq!((u.user, u.password, u.host, u.port), (Some("alice"), None, "example.com", None));
    let u = uri("sip:alice:secretword@example.com;transport=tcp");
    assert_eq!((u.user, u.password, u.transport()), (Some("alice"), Some("secretword"), Some("tcp")));
    let u = uri("SIPS:alice@example.com?subject=project%20x&priority=urgent");
    assert_eq!((u.scheme, u.header("Priority").as_deref()), (Scheme::Sips, Some("urgent")));
    assert_eq!(u.header_pairs().collect::<Vec<_>>(), [("subject", "project%20x"), ("priority", "urgent")]);
    let u = uri("sip:+1-212-555-1212:1234@gateway.example;user=phone");
    assert_eq!((u.user, u.password), (Some("+1-212-555-1212"), Some("1234")));
    let u = uri("sip:example.com;method=REGISTER?to=alice%40example.com");
    assert_eq!((u.user, u.host, u.params.value("method")), (None, "example.com", Some("REGISTER")));
    assert_eq!(u.header("To").as_deref(), Some("alice@example.com"));
    let u = uri("sip:192.0.2.4:5060");
    assert_eq!((u.ip(), u.port), (Some([192, 0, 2, 4].into()), Some(5060)));
    let u = uri("sip:*21#@pbx.example");
    assert_eq!(u.user, Some("*21#"));
}

/// Unescaped at signs where none should be are told from the one that ends the user part.
#[test]
fn stray_at_signs_are_survived() {
    let u = uri("sip:bob@x.example?Replaces=1@a.example%3Bto-tag%3D2%3Bfrom-tag%3D3");
    assert_eq!((u.user, u.host), (Some("bob"), "x.example"));
    assert_eq!(u.header("replaces").as_deref(), Some("1@a.example;to-tag=2;from-tag=3"));
    let u = uri("sip:bob@home.example@proxy.example;lr");
    assert_eq!((u.user, u.host), (Some("bob@home.example"), "proxy.example"));
}

#[test]
fn tel_uris_are_taken_apart() {
    let u = uri("tel:+1-201-555-0123;isub=1234");
    assert_eq!(
        (u.scheme, u.number(), u.params.value("isub")),
        (Scheme::Tel, Some("+1-201-555-0123"), Some("1234"))
    );
    let u = uri("tel:7042;phone-context=example.com");
    assert_eq!((u.number(), u.params.value("phone-context")), (Some("7042"), Some("example.com")));
    assert_eq!(uri("tel:*21#").number(), Some("*21#"));
    assert_eq!(uri("sip:bob@example.com").number(), None);
    assert_eq!(fault("tel:+"), (4, What::TelephoneNumber));
    assert_eq!(fault("tel:+12x34"), (7, What::TelephoneNumber));
    assert_eq!(fault("tel:+12*34"), (4, What::TelephoneNumber));
    assert_eq!(fault("tel:("), (4, What::TelephoneNumber));
}

#[test]
fn faults_are_found_where_they_are() {
    assert_eq!(fault(""), (0, What::Uri));
    assert_eq!(fault("bob@example.com"), (3, What::Uri));
    assert_eq!(fault("sip:"), (4, What::Uri));
    assert_eq!(fault("1sip:x"), (0, What::Uri));
    assert_eq!(fault("sip:bob smith@example.com"), (7, What::Uri));
    assert_eq!(fault("sip:bob@exa\u{7f}mple.com"), (11, What::Uri));
    assert_eq!(fault("sip:@example.com"), (4, What::Uri));
    assert_eq!(fault("sip:bob@"), (8, What::Host));
    assert_eq!(fault("sip:bob@exa$mple.com"), (11, What::Host));
    assert_eq!(fault("sip:bob@[2001:db8::g]"), (8, What::Host));
    assert_eq!(fault("sip:bob@[2001:db8::1"), (8, What::Host));
    assert_eq!(fault("sip:bob@[2001:db8::1]x"), (21, What::Host));
    assert_eq!(fault("sip:bob@example.com:"), (20, What::Port));
    assert_eq!(fault("sip:bob@example.com:65536"), (20, What::Port));
    assert_eq!(fault("sip:100%@example.com"), (7, What::Escape));
    assert_eq!(fault("sip:bob@example.com;x=%4"), (22, What::Escape));
}

/// RFC 3261 §19.1.4, its lists in other words, and RFC 3966 §4.
#[test]
fn the_same_is_the_same() {
    for (one, other) in [
        ("sip:%61lice@example.com;transport=TCP", "sip:alice@ExAmPlE.CoM;Transport=tcp"),
        ("sip:carol@example.org", "sip:carol@example.org;newparam=5"),
        ("sip:carol@example.org", "sip:carol@example.org;security=on"),
        ("sip:carol@example.org;a=1;b=2", "sip:carol@example.org;b=2;a=1"),
        (
            "sip:example.com;transport=tcp;method=REGISTER?to=sip:bob%40example.com",
            "sip:example.com;method=REGISTER;transport=tcp?to=sip:bob%40example.com",
        ),
        (
            "sip:alice@example.com?subject=project%20x&priority=urgent",
            "sip:alice@example.com?priority=urgent&subject=project%20x",
        ),
        ("sip:[2001:DB8::1]", "sip:[2001:db8:0::1]"),
        ("tel:+1-201-555-0123", "TEL:+12015550123"),
        ("tel:7042;phone-context=Example.com", "tel:7042;phone-context=example.com"),
        ("urn:service:sos", "URN:service:sos"),
    ] {
        assert!(uri(one).same(&uri(other)), "{one} and {other}");
        assert!(uri(other).same(&uri(one)), "{other} and {one}");
    }
}

#[test]
fn what_differs_differs() {
    for (one, other) in [
        ("sip:ALICE@example.com", "sip:alice@example.com"),
        ("sip:bob@example.com", "sip:bob@example.com:5060"),
        ("sip:bob@example.com", "sip:bob@example.com:6000;transport=tcp"),
        ("sip:bob@example.com", "sip:bob@example.com;transport=udp"),
        ("sip:bob@example.com", "sips:bob@example.com"),
        ("sip:bob@example.com", "sip:example.com"),
        ("sip:bob:pw@example.com", "sip:bob@example.com"),
        ("sip:bob@example.com;user=phone", "sip:bob@example.com"),
        ("sip:bob@example.com;method=INVITE", "sip:bob@example.com"),
        ("sip:bob@example.com;ttl=1", "sip:bob@example.com"),
        ("sip:bob@example.com;maddr=192.0.2.1", "sip:bob@example.com"),
        ("sip:bob@example.com;security=on", "sip:bob@example.com;security=off"),
        ("sip:carol@example.org?Subject=next%20meeting", "sip:carol@example.org"),
        ("sip:bob@phone21.example.com", "sip:bob@192.0.2.4"),
        ("sip:a%3Bb@example.com", "sip:a;b@example.com"),
        ("tel:+12015550123", "tel:12015550123"),
        ("tel:7042;phone-context=example.com", "tel:7042"),
        ("urn:service:sos", "urn:service:SOS"),
    ] {
        assert!(!uri(one).same(&uri(other)), "{one} and {other}");
        assert!(!uri(other).same(&uri(one)), "{other} and {one}");
    }
}
