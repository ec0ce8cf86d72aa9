//! Calls that are legs of one conversation: what joins them, what must not, and what only both of them show.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use midcall_analyzer::model::{Call, Finding};
use midcall_analyzer::source::{Item, Packet, Place};
use midcall_analyzer::{Analyzer, Anonymizer, Settings, report};
use midcall_proto::covers;
use midcall_proto::flow::Transport;
use midcall_proto::observer::{Certainty, Party};
use midcall_proto::rules::Severity;
use midcall_proto::time::Instant;
use midcall_testkit::ladder::{Ladder, Stage, Who, parse};
use midcall_testkit::network::Fate;

/// Ladders of several calls, through the whole analyzer: each breach is found at its message, and nothing else above info.
#[test]
fn every_breach_between_calls_is_pinned_to_its_message_and_party() {
    let mut faults = String::new();
    let ladders = ladders();
    assert!(ladders.len() > 20, "{}", ladders.len());
    for (name, ladder) in &ladders {
        let (calls, lines) = shown(name, ladder);
        let line = |call: &Call, n: u32| {
            let number = call.message(n).map_or(0, |message| message.place.number);
            lines.get(usize::try_from(number).unwrap_or_default()).copied().unwrap_or_default()
        };
        let all: Vec<(&Call, &Finding)> =
            calls.iter().flat_map(|call| call.findings.iter().map(move |finding| (call, finding))).collect();
        let is = |(call, finding): &(&Call, &Finding), expect: &midcall_testkit::ladder::Expect| {
            let because: Vec<usize> =
                finding.because.iter().map(|n| line(call, *n)).filter(|line| *line > 0).collect();
            finding.code == expect.code
                && line(call, finding.at) == expect.at
                && who(call, finding.by) == expect.who
                && (expect.because.is_empty() || because == expect.because)
        };
        for expect in &ladder.expects {
            if !all.iter().any(|one| is(one, expect)) {
                let _ = writeln!(
                    faults,
                    "{name}: {} by {} at {} is not found",
                    expect.code, expect.who, expect.at
                );
            }
        }
        for one in all.iter().filter(|(_, finding)| finding.severity > Severity::Info) {
            let declared = ladder.allowed.iter().any(|code| code == one.1.code)
                || ladder.expects.iter().any(|expect| is(one, expect));
            if !declared {
                let (call, finding) = one;
                let _ = writeln!(
                    faults,
                    "{name}: {} by {} at {} because {:?} is not expected: {}",
                    finding.code,
                    who(call, finding.by),
                    line(call, finding.at),
                    finding.because.iter().map(|n| line(call, *n)).collect::<Vec<_>>(),
                    finding.means
                );
            }
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

/// What comparing calls found names nobody once they have no identities.
#[test]
fn what_is_found_between_calls_names_nobody_without_identities() {
    let mut told = 0;
    for (name, ladder) in &ladders() {
        let (mut calls, _) = shown(name, ladder);
        let mut names: Vec<String> = vec!["10.0.0.".to_owned()];
        names.extend(calls.iter().flat_map(|call| [call.caller.name.clone(), call.callee.name.clone()]));
        let mut anonymizer = Anonymizer::new(5);
        calls.iter_mut().for_each(|call| anonymizer.call(call));
        for Finding { means, fix, .. } in calls.iter().flat_map(|call| &call.findings) {
            let text = format!("{means} {fix}");
            let left =
                names.iter().find(|name| text.contains(name.as_str()) && !SIDES.contains(&name.as_str()));
            assert_eq!(left, None, "{name}: {text}");
            told += 1;
        }
    }
    assert!(told > 20, "{told}");
}

/// How two parties of the same name are called.
const SIDES: [&str; 2] = ["caller", "callee"];

/// A callee of whom nothing was wanted for half a minute was forgotten; a caller may stay for something else.
#[test]
fn a_leg_that_was_forgotten_is_an_error() {
    let text = include_str!("legs/F-DLG17/breaks.ladder");
    let severity = |text: &str| {
        let (calls, _) = shown("F-DLG17", &parse(text).expect("a ladder"));
        let found: Vec<Severity> = calls
            .iter()
            .flat_map(|call| &call.findings)
            .filter(|finding| finding.code == "F-DLG17")
            .map(|finding| finding.severity)
            .collect();
        assert_eq!(found.len(), 1, "{text}");
        found[0]
    };
    assert_eq!(severity(text), Severity::Warning);
    assert_eq!(severity(&text.replace("+20s", "+40s")), Severity::Error);
    // The callee hangs up, and the box keeps the caller.
    let end = text.find("A -> B   BYE").expect("the end");
    let other = "C -> B   BYE +3s\nB -> C   200 BYE\nB -> A   BYE +40s\nA -> B   200 BYE\nexpect nothing\n";
    assert_eq!(severity(&[&text[..end], other].concat()), Severity::Warning);
}

/// The ladders of this folder.
fn ladders() -> Vec<(String, Ladder)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/legs");
    let mut found = Vec::new();
    for rule in std::fs::read_dir(folder).expect("the ladders").flatten() {
        for file in std::fs::read_dir(rule.path()).expect("a folder").flatten() {
            let name = format!("{}/{}", rule.file_name().display(), file.file_name().display());
            let text = std::fs::read_to_string(file.path()).expect("a ladder");
            let ladder = parse(&text).unwrap_or_else(|why| panic!("{name}: {why}"));
            found.push((name, ladder));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// The calls of a ladder, and the line of each packet.
fn shown(name: &str, ladder: &Ladder) -> (Vec<Call>, Vec<usize>) {
    let mut stage = Stage::new(ladder, Vec::new());
    stage.play(None).unwrap_or_else(|why| panic!("{name}: {why}"));
    let mut analyzer = Analyzer::new(Settings::default());
    let mut lines = vec![0];
    for packet in stage.packets() {
        lines.push(stage.line_of(packet.number).unwrap_or_default());
        if packet.fate != Fate::Unreachable {
            analyzer.push(sip(packet.sent, packet.from, packet.to, &packet.bytes, packet.number));
        }
    }
    // The trace goes on for as long as the ladder does.
    let elsewhere = SocketAddr::from(([198, 51, 100, 1], 5060));
    analyzer.push(sip(stage.now(), elsewhere, elsewhere, b"\x80rtp", 0));
    (analyzer.finish().0, lines)
}

fn sip(at: Instant, from: SocketAddr, to: SocketAddr, bytes: &[u8], number: usize) -> Item {
    let place = Place { source: 0, number: u64::try_from(number).unwrap_or_default() };
    Item::Sip(Packet { at, from, to, transport: Transport::Udp, payload: bytes.to_vec(), place, cut: false })
}

fn who(call: &Call, party: Party) -> Who {
    let person = call.person(party);
    let seat =
        person.and_then(|person| ('A'..='Z').map(Who).find(|who| who.address().ip() == person.address.ip()));
    seat.unwrap_or(Who::NETWORK)
}

/// A call of a few messages, written by hand.
struct Sketch<'s> {
    id: &'s str,
    hosts: (&'s str, &'s str),
    users: (&'s str, &'s str),
    /// Where each of both wants media.
    media: (&'s str, &'s str),
    headers: &'s str,
    begin: u64,
    /// How long until it is answered.
    rings: u64,
    end: u64,
}

impl Sketch<'_> {
    /// Its messages in the order of time: milliseconds, whether the callee sent it, text.
    fn messages(&self) -> Vec<(u64, bool, String)> {
        let Self { id, hosts: (near, far), users: (caller, callee), media, headers, begin, rings, end } =
            *self;
        let ends = format!(
            "From: <sip:{caller}@{near}>;tag={id}a\r\nTo: <sip:{callee}@{far}>{{tag}}\r\nCall-ID: {id}\r\n"
        );
        let early = ends.replace("{tag}", "");
        let ends = ends.replace("{tag}", &format!(";tag={id}b"));
        let body = |user: &str, media: &str| {
            let (address, port) = media.split_once(':').unwrap_or((media, "4000"));
            // "/0" stands for another codec than PCMA.
            let (port, codec) = port.split_once('/').unwrap_or((port, "8"));
            format!(
                "v=0\r\no={user} 53655765 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP {codec}\r\n"
            )
        };
        let request = |method: &str, cseq: u32, ends: &str, headers: &str, body: &str| {
            let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
            format!(
                "{method} sip:{callee}@{far} SIP/2.0\r\nVia: SIP/2.0/UDP {near};branch=z9hG4bK{id}{method}{cseq}\r\n{ends}\
                 CSeq: {cseq} {method}\r\nMax-Forwards: 70\r\nContact: <sip:{caller}@{near}>\r\n{headers}{kind}Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let offer = body(caller, media.0);
        let answer = body(callee, media.1);
        let success = |method: &str, cseq: u32, body: &str| {
            let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
            format!(
                "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP {near};branch=z9hG4bK{id}{method}{cseq}\r\n{ends}CSeq: {cseq} {method}\r\n\
                 Contact: <sip:{callee}@{far}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        vec![
            (begin, false, request("INVITE", 1, &early, headers, &offer)),
            (begin + rings, true, success("INVITE", 1, &answer)),
            (begin + rings + 20, false, request("ACK", 1, &ends, "", "")),
            (end, false, request("BYE", 2, &ends, "", "")),
            (end + 10, true, success("BYE", 2, "")),
        ]
    }
}

/// All calls of these, from one capture.
fn analyzed(sketches: &[Sketch<'_>]) -> Vec<Call> {
    let mut messages: Vec<(u64, SocketAddr, SocketAddr, String)> = Vec::new();
    for sketch in sketches {
        let host = |name: &str| -> SocketAddr {
            name.parse().unwrap_or_else(|_| format!("{name}:5060").parse().expect("an address"))
        };
        let (near, far) = (host(sketch.hosts.0), host(sketch.hosts.1));
        for (at, back, text) in sketch.messages() {
            let (from, to) = if back { (far, near) } else { (near, far) };
            messages.push((at, from, to, text));
        }
    }
    messages.sort_by_key(|(at, ..)| *at);
    let mut analyzer = Analyzer::new(Settings::default());
    for (number, (at, from, to, text)) in messages.iter().enumerate() {
        analyzer.push(sip(Instant::from_millis(*at), *from, *to, text.as_bytes(), number + 1));
    }
    analyzer.finish().0
}

/// Two legs through 10.0.0.9; each test says what they have in common.
fn two<'s>(users: (&'s str, &'s str), media: &'s str, headers: (&'s str, &'s str)) -> [Sketch<'s>; 2] {
    [
        Sketch {
            id: "leg-up",
            hosts: ("10.0.0.1", "10.0.0.9"),
            users: ("alice", "carol"),
            media: ("10.0.0.1:4000", "10.0.0.9:5000"),
            headers: headers.0,
            begin: 1_000,
            rings: 300,
            end: 20_000,
        },
        Sketch {
            id: "leg-down",
            hosts: ("10.0.0.9", "10.0.0.3"),
            users,
            media: (media, "10.0.0.3:4300"),
            headers: headers.1,
            begin: 1_200,
            rings: 50,
            end: 20_050,
        },
    ]
}

#[track_caller]
fn joined(calls: &[Call], reason: &str, least: u8) {
    let [up, down] = calls else { panic!("two calls") };
    for (one, other) in [(up, down), (down, up)] {
        let [leg] = one.legs.as_slice() else { panic!("{}: {:?}", one.call_id, one.legs) };
        assert_eq!(leg.call_id, other.call_id);
        assert!(leg.because.contains(&reason) && leg.confidence >= least, "{leg:?}");
    }
}

#[test]
fn legs_are_joined_by_session_id() {
    let own = "Session-ID: ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000\r\n";
    let other = "Session-ID: ab30317f1a784dc48ff824d0d3715d86\r\n";
    joined(
        &analyzed(&two(("100", "200"), "10.0.0.9:5002", (own, other))),
        "half of Session-ID in common",
        90,
    );
    let both = "Session-ID: ab30317f1a784dc48ff824d0d3715d86;remote=47755a9de7794ba387653f2099600ef2\r\n";
    let back = "Session-ID: 47755a9de7794ba387653f2099600ef2;remote=ab30317f1a784dc48ff824d0d3715d86\r\n";
    joined(&analyzed(&two(("100", "200"), "10.0.0.9:5002", (both, back))), "same Session-ID", 98);
}

#[test]
fn legs_are_joined_by_correlation_headers() {
    let names = "X-CID: leg-up\r\n";
    joined(
        &analyzed(&two(("100", "200"), "10.0.0.9:5002", ("", names))),
        "a header of one has the Call-ID of the other",
        97,
    );
    let (one, other) = (
        "P-Charging-Vector: icid-value=1234bc9876e;orig-ioi=a\r\n",
        "P-Charging-Vector: icid-value=1234bc9876e;term-ioi=b\r\n",
    );
    joined(
        &analyzed(&two(("100", "200"), "10.0.0.9:5002", (one, other))),
        "same value in a header that correlates calls",
        92,
    );
}

#[test]
fn legs_are_joined_by_what_passes_through() {
    joined(&analyzed(&two(("100", "200"), "10.0.0.1:4000", ("", ""))), "same media address", 85);
    joined(
        &analyzed(&two(("alice", "carol"), "10.0.0.9:5002", ("", ""))),
        "same parties, one call out of the other",
        75,
    );
    // Boxes change prefixes of numbers.
    let mut calls = two(("0301234567890", "004912345678901"), "10.0.0.9:5002", ("", ""));
    calls[0].users = ("+49301234567890", "12345678901");
    joined(&analyzed(&calls), "same parties, one call out of the other", 75);
}

#[test]
fn nothing_in_common_joins_nothing() {
    for call in analyzed(&two(("100", "200"), "10.0.0.9:5002", ("", ""))) {
        assert!(call.legs.is_empty(), "{:?}", call.legs);
    }
    // Nor does the same, half a minute later.
    let mut later = two(("alice", "carol"), "10.0.0.9:5002", ("", ""));
    (later[1].begin, later[1].end) = (40_000, 50_000);
    for call in analyzed(&later) {
        assert!(call.legs.is_empty(), "{:?}", call.legs);
    }
}

/// A load generator says the same in each call, and on one host every address is the same.
#[test]
fn calls_of_a_load_generator_are_not_joined() {
    let ids: Vec<String> = (0..20).map(|n| format!("load{n}")).collect();
    let seats: [(&str, &str, &str); 3] = [
        ("one host", "127.0.0.1:5061", "127.0.0.1:5060"),
        ("one host, a port for each call", "127.0.0.1", "127.0.0.1:5060"),
        ("two hosts", "10.0.0.1", "10.0.0.9"),
    ];
    for (what, near, far) in seats {
        // One after the other, and all at once.
        for (every, lasts) in [(120, 100), (50, 3_000), (0, 3_000)] {
            let ports: Vec<String> = (0..20).map(|n| format!("{near}:{}", 20_000 + n)).collect();
            let sketches: Vec<Sketch<'_>> = ids
                .iter()
                .zip(&ports)
                .zip(0..)
                .map(|((id, port), n)| Sketch {
                    id,
                    hosts: (if what.contains("each call") { port } else { near }, far),
                    users: ("sipp", "service"),
                    media: ("127.0.0.1:6000", "127.0.0.1:6000"),
                    headers: "",
                    begin: 1_000 + n * every,
                    rings: 10,
                    end: 1_000 + n * every + lasts,
                })
                .collect();
            for call in analyzed(&sketches) {
                assert!(call.legs.is_empty(), "{what}, every {every} ms: {:?}", call.legs);
            }
        }
    }
}

/// What a load generator says through a box is the same in each call, so that a leg looks like that of another call, too. All
/// of them end with their own other leg, and nothing is said of a leg that stayed up.
#[test]
fn legs_of_calls_that_all_look_alike_are_not_taken_for_those_of_other_calls() {
    let ends = [46_300, 41_300, 35_600, 56_100, 39_700, 17_700, 35_500, 59_100];
    for (ports, every) in [(2, 50), (0, 50), (0, 1_000)] {
        let texts: Vec<[String; 4]> = (0..8)
            .map(|n| {
                let media = |host: &str| format!("{host}:{}", 6_000 + ports * n);
                [format!("up{n}"), format!("down{n}"), media("10.0.0.1"), media("10.0.0.2")]
            })
            .collect();
        let sketches: Vec<Sketch<'_>> = texts
            .iter()
            .zip(ends)
            .zip(0..)
            .flat_map(|(([up, down, near, far], end), n)| {
                let call = |id, hosts, rings, later: u64| Sketch {
                    id,
                    hosts,
                    users: ("sipp", "service"),
                    media: (near, far),
                    headers: "",
                    begin: 1_000 + n * every + later,
                    rings,
                    end: 1_000 + end + later,
                };
                [call(up, ("10.0.0.1", "10.0.0.9"), 600, 0), call(down, ("10.0.0.9", "10.0.0.2"), 550, 20)]
            })
            .collect();
        let calls = analyzed(&sketches);
        assert_eq!(calls.len(), 16);
        for call in &calls {
            let own = |id: &str| id.trim_start_matches(char::is_alphabetic).to_owned();
            let strange = call.legs.iter().find(|leg| own(&leg.call_id) != own(&call.call_id));
            assert!(strange.is_none(), "ports {ports}, every {every}: {}: {strange:?}", call.call_id);
            let up = call.findings.iter().find(|finding| finding.code == "F-DLG17");
            assert!(up.is_none(), "ports {ports}, every {every}: {}: {up:?}", call.call_id);
        }
        let joined = calls.iter().filter(|call| !call.legs.is_empty()).count();
        assert!(joined >= 4 && (ports == 0 || joined == 16), "ports {ports}, every {every}: {joined}");
    }
}

/// A phone with two calls says the same of itself in both; nothing passes from one to the other.
/// Same parties at the same time make two calls likely legs, no more: what only both show is a note, and nobody says that
/// messages crossed.
#[test]
fn what_two_calls_show_is_no_surer_than_that_they_belong_together() {
    let mut legs = two(("alice", "carol"), "10.0.0.9:5002", ("", ""));
    legs[1].end = 90_000;
    let calls = analyzed(&legs);
    let mut findings = calls.iter().flat_map(|call| call.findings.iter().map(move |one| (call, one)));
    let (call, up) = findings.find(|(_, finding)| finding.code == "F-DLG17").expect("F-DLG17");
    assert_eq!((up.severity, up.certainty, up.joined), (Severity::Info, Certainty::Crossed, Some(75)));
    let mut text = Vec::new();
    report::text::call(call, report::text::Layout { width: 100, ladder: false }, &mut text).unwrap();
    for shown in [String::from_utf8(text).unwrap(), report::html::page(&calls, &[], 0)] {
        assert!(shown.contains("if the two calls belong together"), "{shown}");
        assert!(!shown.contains("crossed"), "{shown}");
    }
}

#[test]
fn a_consultation_call_is_not_a_leg_of_the_held_one() {
    let own = "10.0.0.1:4000";
    let call = |id, far, user, begin, end| Sketch {
        id,
        hosts: ("10.0.0.1", far),
        users: ("alice", user),
        media: (own, if user == "bob" { "10.0.0.2:4000" } else { "10.0.0.3:4000" }),
        headers: "",
        begin,
        rings: 300,
        end,
    };
    let calls = analyzed(&[
        call("held", "10.0.0.2", "bob", 1_000, 20_000),
        call("asks", "10.0.0.3", "carol", 2_000, 8_000),
    ]);
    for call in &calls {
        assert!(call.legs.is_empty(), "{:?}", call.legs);
        assert!(call.findings.is_empty(), "{:?}", call.findings);
    }
}

/// A call that was placed after the first had been answered is not how that one was answered.
#[test]
fn a_call_back_to_the_same_user_is_not_a_leg() {
    let mut calls = two(("alice", "carol"), "10.0.0.9:5002", ("", ""));
    calls[1].begin = calls[0].begin + calls[0].rings + 100;
    for call in analyzed(&calls) {
        assert!(call.legs.is_empty(), "{:?}", call.legs);
    }
}

/// Both legs of a box on the host of its callers: the ports say what arrived and what left there.
#[test]
fn legs_on_one_host_are_told_by_their_ports() {
    let mut calls = two(("alice", "carol"), "10.0.0.1:4000", ("", ""));
    calls[0].hosts = ("127.0.0.1:5061", "127.0.0.1:5060");
    calls[1].hosts = ("127.0.0.1:5060", "127.0.0.1:5062");
    joined(&analyzed(&calls), "same media address", 85);
}

/// Calls between the same hosts at the same time, through the same box, with legs of their own: each is joined to its own
/// other leg at most, whatever the seed.
#[test]
fn calls_at_the_same_time_are_never_confused() {
    let mut joined = 0;
    for seed in 0..200 {
        let mut chance = seed * 2_654_435_761_u64 + 1;
        let mut pick = |most: u64| {
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            chance % most
        };
        let count = 2 + pick(8);
        let shows = [pick(3), pick(3)];
        let texts: Vec<[String; 8]> = (0..count)
            .map(|n| {
                let passes = shows[usize::try_from(n % 2).unwrap_or_default()] == 0;
                let alike = shows[usize::try_from(n % 2).unwrap_or_default()] == 1;
                let media = format!("10.0.0.1:{}", 4_000 + 2 * n);
                [
                    format!("up{n}"),
                    format!("down{n}"),
                    format!("caller{n}"),
                    format!("callee{n}"),
                    if alike { format!("caller{n}") } else { "anonymous".to_owned() },
                    if passes { media.clone() } else { format!("10.0.0.9:{}", 6_000 + 2 * n) },
                    media,
                    format!("10.0.0.9:{}", 8_000 + 2 * n),
                ]
            })
            .collect();
        let mut sketches = Vec::new();
        for text in &texts {
            let [up, down, caller, callee, shown, passed, media, own] = text;
            let begin = 1_000 + pick(1_500);
            let end = 10_000 + pick(5_000);
            sketches.push(Sketch {
                id: up,
                hosts: ("10.0.0.1", "10.0.0.9"),
                users: (caller, callee),
                media: (media, own),
                headers: "",
                begin,
                rings: 300,
                end,
            });
            sketches.push(Sketch {
                id: down,
                hosts: ("10.0.0.9", "10.0.0.3"),
                users: (shown, callee),
                media: (passed, "10.0.0.3:4300"),
                headers: "",
                begin: begin + 20 + pick(200),
                rings: 50,
                end: end + pick(50),
            });
        }
        for call in analyzed(&sketches) {
            let own = call.call_id.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
            joined += call.legs.len();
            for leg in &call.legs {
                let other = leg.call_id.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
                assert_eq!(own, other, "seed {seed}: {} was joined to {leg:?}", call.call_id);
                assert!(!leg.call_id.starts_with(call.call_id.trim_end_matches(own)), "seed {seed}");
            }
        }
    }
    assert!(joined > 500, "{joined}");
}

/// RFC 4028 §8.1: a proxy sets no refresher and lets no header of the timer get lost.
#[test]
fn a_timer_that_changes_between_hops_is_told() {
    covers!("ST-23");
    let hop = |vias: &str, timer: &str| {
        format!(
            "INVITE sip:bob@10.0.0.3 SIP/2.0\r\n{vias}From: <sip:alice@10.0.0.1>;tag=a\r\nTo: <sip:bob@10.0.0.3>\r\n\
             Call-ID: hops\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:alice@10.0.0.1>\r\n\
             Supported: timer\r\n{timer}Content-Length: 0\r\n\r\n"
        )
    };
    let own = "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa\r\n";
    let proxied = format!("Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKp\r\n{own}");
    let found = |before: &str, behind: &str, vias: &str| -> Vec<(&'static str, Severity)> {
        let host = |name: &str| -> SocketAddr { format!("{name}:5060").parse().expect("an address") };
        let mut analyzer = Analyzer::new(Settings::default());
        let (alice, proxy, bob) = (host("10.0.0.1"), host("10.0.0.9"), host("10.0.0.3"));
        analyzer.push(sip(Instant::from_millis(1_000), alice, proxy, hop(own, before).as_bytes(), 1));
        analyzer.push(sip(Instant::from_millis(1_003), proxy, bob, hop(vias, behind).as_bytes(), 2));
        let (calls, _) = analyzer.finish();
        let timed = calls[0].findings.iter().filter(|finding| finding.code.starts_with("ST-2"));
        timed.map(|finding| (finding.code, finding.severity)).collect()
    };
    let asked = "Session-Expires: 1800\r\n";
    assert_eq!(found(asked, asked, &proxied), []);
    assert_eq!(found(asked, "Session-Expires: 600\r\n", &proxied), []);
    assert_eq!(found("", asked, &proxied), []);
    let broken = [("ST-23", Severity::Error)];
    assert_eq!(found(asked, "", &proxied), broken);
    assert_eq!(found(asked, "Session-Expires: 3600\r\n", &proxied), broken);
    assert_eq!(found("", "Session-Expires: 1800;refresher=uac\r\n", &proxied), broken);
    assert_eq!(found(asked, "Session-Expires: 1800\r\nMin-SE: 120\r\n", &proxied), broken);
    // A box with a Via of its own only may be a B2BUA, and end the timer on each side.
    let bridged = "Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKp\r\n";
    assert_eq!(found(asked, "", bridged), [("ST-23", Severity::Warning)]);
}

/// RFC 3261 §26.3.2.4: calls that are begun and left, by the dozen.
#[test]
fn a_flood_is_told_once() {
    covers!("SEC-10");
    let flood = |followed: bool| -> usize {
        let mut analyzer = Analyzer::new(Settings::default());
        let host = |name: &str| -> SocketAddr { format!("{name}:5060").parse().expect("an address") };
        let (source, target) = (host("203.0.113.9"), host("10.0.0.3"));
        for n in 0..80_u64 {
            let message = |start: &str, cseq: &str, to: &str| {
                format!(
                    "{start}Via: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bK{n}\r\nFrom: <sip:1@203.0.113.9>;tag=a{n}\r\n\
                     To: <sip:2@10.0.0.3>{to}\r\nCall-ID: flood{n}\r\nCSeq: 1 {cseq}\r\nMax-Forwards: 70\r\n\
                     Contact: <sip:1@203.0.113.9>\r\nContent-Length: 0\r\n\r\n"
                )
            };
            let at = |ms: u64| Instant::from_millis(1_000 + n * 20 + ms);
            let invite = message("INVITE sip:2@10.0.0.3 SIP/2.0\r\n", "INVITE", "");
            analyzer.push(sip(at(0), source, target, invite.as_bytes(), 1));
            let refusal = message("SIP/2.0 404 Not Found\r\n", "INVITE", ";tag=b");
            analyzer.push(sip(at(5), target, source, refusal.as_bytes(), 2));
            if followed {
                let ack = message("ACK sip:2@10.0.0.3 SIP/2.0\r\n", "ACK", ";tag=b");
                analyzer.push(sip(at(10), source, target, ack.as_bytes(), 3));
            }
        }
        let (calls, _) = analyzer.finish();
        calls.iter().flat_map(|call| &call.findings).filter(|finding| finding.code == "SEC-10").count()
    };
    assert_eq!((flood(false), flood(true)), (1, 0));
}

/// What the far end of one leg did first is only relayed on the other.
#[test]
fn a_relayed_fault_is_not_blamed_on_the_box() {
    let same = "Session-ID: ab30317f1a784dc48ff824d0d3715d86;remote=47755a9de7794ba387653f2099600ef2\r\n";
    let mut sketches = two(("alice", "carol"), "10.0.0.9:5002", (same, same));
    // Carol answers with PCMU, which was not offered, and the box hands that on.
    for sketch in &mut sketches {
        sketch.media.1 = if sketch.id == "leg-up" { "10.0.0.9:5000/0" } else { "10.0.0.3:4300/0" };
    }
    let calls = analyzed(&sketches);
    let severities = |call: &Call| -> Vec<Severity> {
        call.findings
            .iter()
            .filter(|finding| finding.code == "OA-25")
            .map(|finding| finding.severity)
            .collect()
    };
    assert_eq!(severities(&calls[1]), [Severity::Error]);
    assert_eq!(severities(&calls[0]), [Severity::Info]);
}
