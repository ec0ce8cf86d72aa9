//! The program as users run it: processes that call each other over loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use midcall_wire::{Builder, Message, Name};
use serde_json::Value;

const MIDCALL: &str = env!("CARGO_BIN_EXE_midcall");

/// A `midcall` that runs, with its events.
struct Agent {
    child: Child,
    out: BufReader<ChildStdout>,
    /// Where it listens, such as `127.0.0.1:40000`.
    address: String,
}

/// What a `midcall` left behind.
struct Done {
    code: Option<i32>,
    events: Vec<Value>,
    said: String,
}

impl Agent {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(MIDCALL)
            .args(arguments)
            .args(["--listen", "udp:127.0.0.1:0", "--events", "json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        out.read_line(&mut first).unwrap();
        let listening: Value = serde_json::from_str(&first).unwrap();
        let address = listening["on"][0].as_str().unwrap().trim_start_matches("udp:").to_owned();
        Self { child, out, address }
    }

    fn uri(&self) -> String {
        format!("sip:peer@{}", self.address)
    }

    /// The next event with this name; what comes before it is passed over.
    fn next(&mut self, name: &str) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.out.read_line(&mut line).unwrap() > 0, "no {name} came");
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["event"] == name {
                return event;
            }
        }
    }

    fn order(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    fn finish(mut self) -> Done {
        let events = self.out.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        Done { code: self.child.wait().unwrap().code(), events, said }
    }
}

impl Done {
    fn all(&self, name: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["event"] == name).collect()
    }

    #[track_caller]
    fn assert_code(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{}\n{:#?}", self.said, self.events);
    }
}

fn run(arguments: &[&str]) -> Output {
    Command::new(MIDCALL).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("midcall-{}-{name}", std::process::id()))
}

#[test]
#[ignore = "uses loopback sockets; run by cargo xtask test"]
fn sockets_a_scripted_call_is_held_resumed_and_changed() {
    let bob = Agent::start(&[
        "answer",
        "--do",
        "ring 100ms; answer; expect peer-held; expect resumed; expect digits 12#; expect ended within 20s",
    ]);
    let script = "expect ringing; expect established; expect media; hold; expect held; expect silence; resume via update; \
                  expect resumed; codec pcmu; expect changed; dtmf 12#; refresh; expect changed; update; expect changed; \
                  offerless; expect changed; add-video; expect changed; drop-video; expect changed; move 127.0.0.1:0; expect changed; wait 700ms; bye";
    let alice = Agent::start(&["call", &bob.uri(), "--do", script]).finish();
    alice.assert_code(0);
    let changed = alice.all("changed");
    let methods: Vec<&str> = changed.iter().filter_map(|event| event["method"].as_str()).collect();
    assert_eq!(
        methods,
        ["INVITE", "UPDATE", "INVITE", "UPDATE", "UPDATE", "INVITE", "INVITE", "INVITE", "INVITE"]
    );
    assert!(changed.iter().all(|event| event["attempts"] == 1));
    assert_eq!(alice.all("ended")[0]["by"], "us");
    let bob = bob.finish();
    bob.assert_code(0);
    assert_eq!(bob.all("media")[0]["digits"], "12#");
    assert!(bob.all("peer-broke").is_empty() && alice.all("peer-broke").is_empty());
}

#[test]
#[ignore = "uses loopback sockets; run by cargo xtask test"]
fn sockets_answer_without_a_script_answers_and_follows() {
    let bob = Agent::start(&["answer", "--calls", "2"]);
    for _ in 0..2 {
        let alice =
            Agent::start(&["call", &bob.uri(), "--do", "expect established; wait 100ms; bye"]).finish();
        alice.assert_code(0);
    }
    let bob = bob.finish();
    bob.assert_code(0);
    assert_eq!(bob.all("incoming").len(), 2);
    assert_eq!(
        bob.all("ended").iter().map(|event| event["call"].as_u64().unwrap()).collect::<Vec<_>>(),
        [1, 2]
    );
}

#[test]
#[ignore = "uses loopback sockets; run by cargo xtask test"]
fn sockets_early_media_comes_before_the_answer() {
    let bob = Agent::start(&["answer", "--do", "early; wait 300ms; answer; expect ended within 10s"]);
    let script = "expect early; hold; expect changed; expect established; bye";
    let alice = Agent::start(&["call", &bob.uri(), "--do", script]).finish();
    alice.assert_code(0);
    assert_eq!(alice.all("progress")[0]["reliable"], true);
    assert_eq!(alice.all("changed")[0]["method"], "UPDATE");
    bob.finish().assert_code(0);
}

#[test]
#[ignore = "uses loopback sockets; run by cargo xtask test"]
fn sockets_refusals_are_failures_unless_expected() {
    for (script, code) in
        [("expect established", 1), ("expect refused 486", 0), ("expect refused 603", 1), ("wait 300ms", 1)]
    {
        let bob = Agent::start(&["answer", "--do", "ring 50ms; refuse 486"]);
        let alice = Agent::start(&["call", &bob.uri(), "--do", script]).finish();
        alice.assert_code(code);
        assert_eq!(alice.said.contains("486 Busy Here"), code == 1, "{}", alice.said);
        bob.finish().assert_code(0);
    }
}

#[test]
#[ignore = "uses loopback sockets; run by cargo xtask test"]
fn sockets_a_cancelled_call_is_over_for_both() {
    let bob = Agent::start(&["answer", "--do", "ring 5s; answer"]);
    let alice = Agent::start(&["call", &bob.uri(), "--do", "expect ringing; cancel; expect ended"]).finish();
    alice.assert_code(0);
    assert_eq!(alice.all("ended")[0]["why"], "cancelled");
    bob.finish().assert_code(1);
}

#[test]
#[ignore = "uses loopback sockets; run by cargo xtask test"]
fn sockets_a_transfer_brings_two_others_together() {
    let carol = Agent::start(&["answer", "--do", "ring 100ms; answer; expect media; wait 200ms; bye"]);
    let bob = Agent::start(&["answer"]);
    let script =
        format!("expect established; transfer {}; expect transferred within 10s; expect ended", carol.uri());
    let alice = Agent::start(&["call", &bob.uri(), "--do", &script]).finish();
    alice.assert_code(0);
    carol.finish().assert_code(0);
    let bob = bob.finish();
    bob.assert_code(0);
    assert_eq!(bob.all("referred").len(), 1);
    assert_eq!(bob.all("ended").len(), 2, "the call with alice, then the one with carol");
}

#[test]
#[ignore = "uses loopback sockets; run by cargo xtask test"]
fn sockets_the_prompt_takes_verbs_from_a_pipe() {
    let bob =
        Agent::start(&["answer", "--do", "answer; expect peer-held within 10s; expect ended within 10s"]);
    let mut alice = Agent::start(&["call", &bob.uri()]);
    alice.next("established");
    alice.order("hodl");
    alice.order("hold; expect held");
    alice.next("met");
    alice.order("bye");
    let alice = alice.finish();
    alice.assert_code(0);
    assert!(alice.said.contains("Did you mean `hold`?"), "{}", alice.said);
    bob.finish().assert_code(0);
}

#[test]
#[ignore = "uses loopback sockets; run by cargo xtask test"]
fn sockets_what_cannot_start_says_why() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let listen = format!("udp:{}", taken.local_addr().unwrap());
    let cases: [(&[&str], &str); 6] = [
        (&["call", "sip:bob@127.0.0.1", "--listen", &listen], "is in use"),
        (&["answer", "--listen", "tls:127.0.0.1:0"], "not in this build"),
        (&["call", "sips:bob@127.0.0.1"], "not in this build"),
        (&["call", "sip:bob@127.0.0.1", "--do", "hodl"], "Did you mean `hold`?"),
        (&["call", "bob"], "sip:bob"),
        (&["answer", "--listen", "udp:127.0.0.1:0", "--capture", "/nowhere/x.pcapng"], "cannot write"),
    ];
    for (arguments, wanted) in cases {
        let done = run(arguments);
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(wanted), "{arguments:?}: {said}");
        assert!(done.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
#[ignore = "uses loopback sockets; run by cargo xtask test"]
fn sockets_nobody_there_is_told_at_once() {
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let alice = Agent::start(&["call", &format!("sip:bob@{closed}"), "--do", "expect established"]).finish();
    alice.assert_code(1);
    assert_eq!(alice.all("ended")[0]["why"], "unreachable");
    assert!(alice.said.contains("cannot be reached"), "{}", alice.said);
}

#[test]
#[ignore = "uses loopback sockets; run by cargo xtask test"]
fn sockets_a_challenge_without_a_password_says_what_to_set() {
    let guard = UdpSocket::bind("127.0.0.1:0").unwrap();
    guard.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let alice = Agent::start(&[
        "call",
        &format!("sip:bob@{}", guard.local_addr().unwrap()),
        "--do",
        "expect established",
    ]);
    let mut datagram = [0; 4_096];
    let (length, from) = guard.recv_from(&mut datagram).unwrap();
    let invite = Message::parse(&datagram[..length]).unwrap();
    let challenge = Builder::reply(&invite, 401, None)
        .header(Name::WwwAuthenticate, "Digest realm=\"here\", nonce=\"n\", algorithm=MD5, qop=\"auth\"")
        .finish();
    guard.send_to(&challenge, from).unwrap();
    let alice = alice.finish();
    alice.assert_code(1);
    assert!(alice.said.contains("MIDCALL_PASSWORD"), "{}", alice.said);
}

#[test]
#[ignore = "uses loopback sockets; run by cargo xtask test"]
fn sockets_a_registration_is_made_and_removed() {
    let registrar = UdpSocket::bind("127.0.0.1:0").unwrap();
    registrar.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let uri = format!("sip:{}", registrar.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        let mut expiries = Vec::new();
        while expiries.len() < 2 {
            let mut datagram = [0; 4_096];
            let (length, from) = registrar.recv_from(&mut datagram).unwrap();
            let register = Message::parse(&datagram[..length]).unwrap();
            expiries.push(register.header(Name::Expires).unwrap().to_owned());
            let granted = Builder::reply(&register, 200, None).lines_of(&register, Name::Contact).finish();
            registrar.send_to(&granted, from).unwrap();
        }
        expiries
    });
    let mut bob = Agent::start(&["answer", "--register", &uri, "--from", "sip:bob@127.0.0.1"]);
    assert_eq!(bob.next("registered")["expires"], 3_600);
    let alice = Agent::start(&["call", &bob.uri(), "--do", "expect established; bye"]).finish();
    alice.assert_code(0);
    let bob = bob.finish();
    bob.assert_code(0);
    assert_eq!(bob.all("unregistered").len(), 1);
    assert_eq!(served.join().unwrap(), ["3600", "0"]);
}

#[test]
#[ignore = "uses loopback sockets; run by cargo xtask test"]
fn sockets_a_capture_holds_the_signalling_of_the_call() {
    let path = scratch("call.pcapng");
    let bob = Agent::start(&["answer"]);
    let capture = path.to_str().unwrap();
    let alice = Agent::start(&[
        "call",
        &bob.uri(),
        "--capture",
        capture,
        "--do",
        "expect established; hold; expect held; bye",
    ]);
    alice.finish().assert_code(0);
    bob.finish().assert_code(0);
    let analysis = midcall_analyzer::analyze_file(&path).unwrap();
    // INVITE 180 200 ACK, UPDATE 200 (RFC 4916 §4.2), INVITE 200 ACK, BYE 200.
    assert_eq!((analysis.stats.messages, analysis.stats.calls), (11, 1));
    assert!(analysis.calls[0].findings.is_empty(), "{:?}", analysis.calls[0].findings);
    std::fs::remove_file(path).unwrap();
}

#[test]
#[ignore = "uses loopback sockets; run by cargo xtask test"]
fn sockets_the_demo_is_clean() {
    let path = scratch("demo.pcapng");
    let done = run(&["demo", "--capture", path.to_str().unwrap()]);
    let (shown, said) = (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap());
    assert_eq!(done.status.code(), Some(0), "{shown}\n{said}");
    assert!(shown.contains(" messages, 0 findings"), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
    std::fs::remove_file(path).unwrap();
}

/// A peer that answers otherwise than it rang: media goes where it is told to, by RFC 3261 §13.2.1 or by the option.
#[test]
#[ignore = "uses loopback sockets; run by cargo xtask test"]
fn sockets_the_last_answer_is_followed_where_that_is_asked_for() {
    for follow in [false, true] {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let uri = format!("sip:bob@{}", peer.local_addr().unwrap());
        let mut arguments = vec!["call", &uri, "--do", "expect established; bye"];
        arguments.extend(follow.then_some("--follow-last-answer"));
        let alice = Agent::start(&arguments);
        let mut datagram = [0; 4_096];
        let (length, from) = peer.recv_from(&mut datagram).unwrap();
        let invite = Message::parse(&datagram[..length]).unwrap();
        for (status, version) in [(183, 1), (200, 2)] {
            let port = 40_000 + status;
            let sdp = format!(
                "v=0\r\no=bob 7 {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n"
            );
            let said = Builder::reply(&invite, status, None).to_tag("b");
            let said =
                said.header(Name::Contact, format_args!("<{uri}>")).body("application/sdp", sdp.as_bytes());
            peer.send_to(&said.finish(), from).unwrap();
        }
        loop {
            let (length, from) = peer.recv_from(&mut datagram).unwrap();
            let request = Message::parse(&datagram[..length]).unwrap();
            if request.method() == midcall_wire::Method::Bye {
                peer.send_to(&Builder::reply(&request, 200, None).finish(), from).unwrap();
                break;
            }
        }
        let alice = alice.finish();
        alice.assert_code(0);
        let last = alice.all("session").last().unwrap().to_string();
        assert_eq!(last.contains("40200"), follow, "{last}");
        assert_eq!(last.contains("40183"), !follow, "{last}");
        assert!(alice.all("peer-broke").iter().any(|event| event["rule"] == "OA-04"), "{:?}", alice.events);
    }
}
