use std::collections::BTreeSet;

use super::*;

/// One of every kind, with every field filled.
fn every_event() -> Vec<Told> {
    let text = str::to_owned;
    let stream = StreamTold {
        kind: text("audio"),
        codec: Some(text("PCMA")),
        payload: Some(8),
        local: Some(text("192.0.2.1:4000")),
        remote: Some(text("192.0.2.2:5000")),
        sends: true,
        receives: false,
        held_by_us: true,
        held_by_peer: false,
    };
    let off = StreamTold { kind: text("video"), codec: None, local: None, remote: None, ..stream.clone() };
    vec![
        Told::Listening { on: vec![text("udp:192.0.2.1:5060"), text("tcp:192.0.2.1:5060")] },
        Told::Registered { expires: 3_600 },
        Told::Unregistered,
        Told::RegistrationFailed { status: 503, retry: Some(30.0) },
        Told::Calling { to: text("sip:bob@192.0.2.2"), call_id: text("7f3a") },
        Told::Incoming {
            from: text("sip:alice@192.0.2.1"),
            display: Some(text("Alice")),
            to: text("sip:bob@192.0.2.2"),
            call_id: text("7f3a"),
            offered: true,
            media: vec![text("audio"), text("video")],
            replaces: Some(1),
            referred_by: Some(text("sip:carol@192.0.2.3")),
        },
        Told::Progress { status: 183, reliable: true, early_dialogs: 2, branch: text("b7f") },
        Told::Established,
        Told::Session { early: true, streams: vec![stream, off] },
        Told::Changed {
            what: vec!["hold"],
            method: Some("INVITE"),
            attempts: 2,
            rule: Some("UP-04"),
            why: text("re-INVITE: the default for a session change in a confirmed dialog"),
        },
        Told::ChangeWaiting { rule: "GL-01", why: "The owner waits longer", at_most: Some(2.73) },
        Told::ChangeFailed { reason: "rejected", status: Some(488), attempts: None, rule: None },
        Told::ChangeFailed { reason: "glare", status: Some(491), attempts: Some(4), rule: None },
        Told::ChangeFailed { reason: "rule", status: None, attempts: None, rule: Some("UP-02") },
        Told::ChangeFailed { reason: "call-ended", status: None, attempts: None, rule: None },
        Told::ChangeFailed { reason: "withdrawn", status: None, attempts: None, rule: None },
        Told::PeerChanged { method: "UPDATE", what: vec!["codec", "address"] },
        Told::Offered { what: vec!["add-stream"] },
        Told::Held { by: "us" },
        Told::Resumed { by: "peer" },
        Told::Refreshed { by: "peer", interval: Some(1_800) },
        Told::PeerMoved,
        Told::PeerIdentity { uri: text("sip:carol@192.0.2.3") },
        Told::Referred {
            to: text("sip:carol@192.0.2.3"),
            referred_by: Some(text("sip:alice@192.0.2.1")),
            attended: true,
        },
        Told::Transfer { status: 200, done: true },
        Told::ReplacedBy { by_call: 2 },
        Told::Info {
            content_type: text("application/dtmf-relay"),
            body: text("Signal=5\r\nDuration=160\r\n"),
        },
        Told::PeerBroke {
            rule: "UP-13",
            title: "UPDATE crosses our offer",
            rfc: vec![text("RFC 3311 §5.2")],
        },
        Told::Suspect { status: 480 },
        Told::Receiving { from: text("192.0.2.2:5000"), payload: 8 },
        Told::Digit { digit: '#', ms: 100 },
        Told::Played,
        Told::Ended { why: "hung-up", by: Some("peer"), status: None, reason: Some(text("Q.850;cause=16")) },
        Told::Ended { why: "refused", by: Some("peer"), status: Some(486), reason: None },
        Told::Media { sent: 250, received: 249, lost: 1, jitter_ms: 0.4, digits: text("12#") },
        Told::Step { n: 1, text: text("hold via update") },
        Told::Met { n: 2, text: text("expect held within 5s") },
        Told::Failed { what: text("`hold` failed: the call is over: the peer hung up") },
        Told::Unknown { text: text("SomethingNew") },
    ]
}

fn told(format: Format) -> String {
    let t = Duration::from_micros(1_234_567);
    let lines =
        every_event().iter().map(|told| line(format, t, Some(1), told)).collect::<Vec<_>>().join("\n");
    anstream::adapter::strip_str(&lines).to_string()
}

#[test]
fn every_event_has_its_json() {
    insta::assert_snapshot!(told(Format::Json));
}

#[test]
fn every_event_has_its_text() {
    insta::assert_snapshot!(told(Format::Text));
}

#[test]
fn a_terminal_obeys_nothing_that_a_peer_wrote() {
    let told = Told::PeerIdentity { uri: "sip:\u{1b}[2J\u{7}\r\n@h".to_owned() };
    let text = line(Format::Text, Duration::ZERO, Some(1), &told);
    assert!(text.ends_with(r"the other side is now sip:\u{1b}[2J\u{7}\r\n@h"), "{text}");
}

#[test]
fn what_belongs_to_no_call_says_so() {
    let json = line(Format::Json, Duration::ZERO, None, &Told::Unregistered);
    assert_eq!(json, r#"{"t":0.0,"call":null,"event":"unregistered"}"#);
}

/// Names of events with the fields they carry, as this program writes them.
fn written() -> BTreeSet<(String, String)> {
    let mut written = BTreeSet::new();
    for told in every_event() {
        let value: serde_json::Value =
            serde_json::from_str(&line(Format::Json, Duration::ZERO, None, &told)).unwrap();
        let name = value["event"].as_str().unwrap().to_owned();
        let fields =
            value.as_object().unwrap().keys().filter(|key| !["t", "call", "event"].contains(&key.as_str()));
        let mut any = false;
        for field in fields {
            any = true;
            written.insert((name.clone(), field.clone()));
        }
        if !any {
            written.insert((name, String::new()));
        }
    }
    written
}

#[test]
fn the_guide_describes_every_event_and_field() {
    let guide = include_str!("../../../../docs/guide/events.md");
    let mut described = BTreeSet::new();
    for row in guide.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let name = cells.next().unwrap().trim_matches('`').to_owned();
        let fields: Vec<String> =
            cells.next().unwrap().split('`').skip(1).step_by(2).map(str::to_owned).collect();
        if fields.is_empty() {
            described.insert((name, String::new()));
        } else {
            described.extend(fields.into_iter().map(|field| (name.clone(), field)));
        }
    }
    assert_eq!(described, written());
}
