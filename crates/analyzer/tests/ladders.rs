//! Every ladder of the rules, as a capture: the analyzer pins each breach to its message and party, and finds nothing in
//! calls that keep the rules.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use midcall_analyzer::model::{Call, Finding};
use midcall_analyzer::{Analysis, analyze_file};
use midcall_proto::observer::Party;
use midcall_proto::rules::Severity;
use midcall_testkit::capture::write_pcap;
use midcall_testkit::ladder::{Certainty, Expect, Ladder, Stage, Who, parse};
use midcall_testkit::network::{Fate, Packet};

/// What a capture of a ladder shows.
struct Shown {
    /// The line of the ladder of each frame, from frame 1; 0 for what stands in no line.
    lines: Vec<usize>,
    analysis: Analysis,
}

impl Shown {
    fn of(name: &str, ladder: &Ladder) -> Self {
        let mut stage = Stage::new(ladder, Vec::new());
        stage.play(None).unwrap_or_else(|why| panic!("{name}: {why}"));
        let unseen = stage.unseen();
        let seen = stage
            .packets()
            .iter()
            .filter(|packet| packet.fate != Fate::Unreachable && !unseen.contains(&packet.number));
        let mut packets: Vec<Packet> = seen.cloned().collect();
        let lines = packets.iter().map(|packet| stage.line_of(packet.number).unwrap_or_default()).collect();
        // The trace goes on for as long as the ladder does.
        packets.push(Packet {
            number: packets.len() + 1,
            sent: stage.now(),
            bytes: ELSEWHERE.replace('\n', "\r\n").into_bytes(),
            ..packets.first().expect("a packet").clone()
        });
        let path = temporary(name);
        write_pcap(&path, &packets).expect("a capture");
        let analysis = analyze_file(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        std::fs::remove_file(&path).expect("the capture");
        Self { lines, analysis }
    }

    fn findings(&self) -> impl Iterator<Item = (&Call, &Finding)> {
        self.analysis.calls.iter().flat_map(|call| call.findings.iter().map(move |finding| (call, finding)))
    }

    /// The line that a message of a call stands in.
    fn line(&self, call: &Call, n: u32) -> usize {
        let frame = call.message(n).map_or(0, |message| message.place.number);
        let index = usize::try_from(frame).unwrap_or_default().saturating_sub(1);
        self.lines.get(index).copied().unwrap_or_default()
    }

    /// Whether this finding, or what is told under it, is what the ladder expects.
    fn is(&self, call: &Call, finding: &Finding, expect: &Expect) -> bool {
        let own = finding.code == expect.code && self.line(call, finding.at) == expect.at;
        let below = finding.consequences.iter().any(|consequence| {
            consequence.code == Some(expect.code.as_str()) && self.line(call, consequence.at) == expect.at
        });
        let sure = matches!(
            (finding.certainty.as_str(), expect.certainty),
            ("certain", Certainty::Certain)
                | ("crossed", Certainty::Crossed)
                | ("capture-gap", Certainty::CaptureGap)
        );
        (own || below) && sure && who(call, finding.by) == expect.who
    }
}

/// The seat of a party, by the address that its messages come from.
fn who(call: &Call, party: Party) -> Who {
    let person = call.person(party);
    let seat =
        person.and_then(|person| ('A'..='Z').map(Who).find(|who| who.address().ip() == person.address.ip()));
    seat.unwrap_or(Who::NETWORK)
}

fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("midcall-analyzer-{}-{name}.pcap", std::process::id()))
}

/// The fixtures whose name begins so, with their rules.
fn fixtures(begin: &str) -> Vec<(String, Ladder)> {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/tests/rules");
    let mut found = Vec::new();
    for folder in std::fs::read_dir(rules).expect("the fixtures").flatten() {
        for file in std::fs::read_dir(folder.path()).expect("the fixtures of a rule").flatten() {
            let (rule, file_name) = (folder.file_name(), file.file_name());
            let (rule, file_name) = (rule.to_string_lossy(), file_name.to_string_lossy());
            let Some(variant) = file_name.strip_suffix(".ladder").and_then(|name| name.strip_prefix(begin))
            else {
                continue;
            };
            let name = format!("{rule}{variant}");
            let text = std::fs::read_to_string(file.path()).expect("a ladder");
            let ladder = parse(&text).unwrap_or_else(|why| panic!("{name}: {why}"));
            if ladder.unobserved.is_none() {
                found.push((name, ladder));
            }
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// What goes wrong in a fixture beside what it is about, above info.
const ALSO: &[(&str, &str)] = &[
    // Its 405 is as it should be, its Allow is not.
    ("ER-05", "F-CAP2"),
    ("UP-19", "F-CAP2"),
];

#[test]
fn every_breach_is_pinned_to_its_message_and_party() {
    let mut faults = String::new();
    let fixtures = fixtures("breaks");
    assert!(fixtures.len() > 130, "{}", fixtures.len());
    for (name, ladder) in &fixtures {
        let shown = Shown::of(name, ladder);
        for expect in &ladder.expects {
            if !shown.findings().any(|(call, finding)| shown.is(call, finding, expect)) {
                let _ = writeln!(
                    faults,
                    "{name}: {} by {} at {} is not found",
                    expect.code, expect.who, expect.at
                );
            }
        }
        for (call, finding) in shown.findings().filter(|(_, finding)| finding.severity > Severity::Info) {
            let declared = ladder.allowed.iter().any(|code| code == finding.code)
                || ALSO.contains(&(name.as_str(), finding.code))
                || ladder.expects.iter().any(|expect| shown.is(call, finding, expect));
            if !declared {
                let line = shown.line(call, finding.at);
                let _ = writeln!(
                    faults,
                    "{name}: {} at line {line} is not expected: {}",
                    finding.code, finding.means
                );
            }
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn calls_that_keep_the_rules_are_clean() {
    let mut faults = String::new();
    let fixtures = fixtures("keeps");
    assert!(fixtures.len() > 130, "{}", fixtures.len());
    for (name, ladder) in &fixtures {
        let shown = Shown::of(&format!("{name}-keeps"), ladder);
        for (_, finding) in shown.findings().filter(|(_, finding)| finding.severity > Severity::Info) {
            let allowed = ladder.allowed.iter().any(|code| code == finding.code);
            if !allowed && !ALSO.contains(&(name.as_str(), finding.code)) {
                let _ = writeln!(faults, "{name}: {} {}", finding.code, finding.means);
            }
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

/// To be read by a person: what the analyzer says of each breach.
#[test]
fn what_is_said_of_each_breach() {
    let mut text = String::new();
    for (name, ladder) in &fixtures("breaks") {
        let shown = Shown::of(&format!("{name}-words"), ladder);
        let _ = writeln!(text, "== {name}");
        for (call, finding) in shown.findings() {
            let name = call.person(finding.by).map_or("network", |person| &person.name);
            let _ = writeln!(
                text,
                "{} {} ({name}, {}): {}",
                finding.code, finding.severity, finding.certainty, finding.title
            );
            let _ = writeln!(text, "   {}\n   > {}", finding.means, finding.fix);
            for consequence in &finding.consequences {
                let code = consequence.code.map_or_else(String::new, |code| format!(" ({code})"));
                let _ = writeln!(text, "   - {}: {}{code}", consequence.at, consequence.what);
            }
        }
    }
    insta::assert_snapshot!(text);
}

/// A request of no call.
const ELSEWHERE: &str = "OPTIONS sip:nobody@10.0.0.99 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.98;branch=z9hG4bKelsewhere\n\
                         From: <sip:probe@10.0.0.98>;tag=probe\nTo: <sip:nobody@10.0.0.99>\nCall-ID: elsewhere\n\
                         CSeq: 1 OPTIONS\nMax-Forwards: 70\nContent-Length: 0\n\n";
