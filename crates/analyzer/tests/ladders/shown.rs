//! What the analyzer makes of a ladder.

use std::fmt::Write as _;
use std::io::Cursor;
use std::path::Path;

use midcall_analyzer::model::{Call, Finding};
use midcall_analyzer::source::{Merged, Opener, Source};
use midcall_analyzer::{Analysis, analyze};
use midcall_proto::observer::Party;
use midcall_proto::rules::Severity;
use midcall_testkit::ladder::{Certainty, Expect, Ladder, Stage, Who, parse};
use midcall_testkit::network::{Fate, Packet};

use super::record::{Recording, Seen, pcap};

/// A ladder that was played.
pub(crate) struct Played {
    pub(crate) name: String,
    pub(crate) ladder: Ladder,
    /// What may be seen of it, in the order of sending. The last is of no call: the trace goes on for as long as the ladder
    /// does.
    pub(crate) packets: Vec<Packet>,
    /// The line of each packet; 0 for what stands in no line.
    lines: Vec<usize>,
}

impl Played {
    fn of(name: String, ladder: Ladder) -> Self {
        let mut stage = Stage::new(&ladder, Vec::new());
        stage.play(None).unwrap_or_else(|why| panic!("{name}: {why}"));
        let unseen = stage.unseen();
        let seen = stage
            .packets()
            .iter()
            .filter(|packet| packet.fate != Fate::Unreachable && !unseen.contains(&packet.number));
        let mut packets: Vec<Packet> = seen.cloned().collect();
        let lines = packets.iter().map(|packet| stage.line_of(packet.number).unwrap_or_default()).collect();
        packets.push(Packet {
            number: packets.len() + 1,
            sent: stage.now(),
            fate: Fate::Delivered(stage.now()),
            bytes: ELSEWHERE.replace('\n', "\r\n").into_bytes(),
            ..packets.first().expect("a packet").clone()
        });
        Self { name, ladder, packets, lines }
    }

    /// What one tap that sees everything makes of it.
    pub(crate) fn shown(&self) -> Shown<'_> {
        self.shown_in(vec![pcap(&self.packets, &self.sent())])
    }

    /// Every packet, when it was sent.
    pub(crate) fn sent(&self) -> Vec<Seen> {
        self.packets.iter().enumerate().map(|(nth, packet)| (packet.sent, nth)).collect()
    }

    /// What is made of these together.
    pub(crate) fn shown_in(&self, recordings: Vec<Recording>) -> Shown<'_> {
        let open = |(nth, recording): (usize, &Recording)| -> Box<dyn Source> {
            let opened = Opener::default().read(&format!("tap {nth}"), Cursor::new(recording.file.clone()));
            opened.unwrap_or_else(|error| panic!("{}: {error}", self.name))
        };
        let mut merged = Merged::new(recordings.iter().enumerate().map(open).collect());
        let analysis = analyze(&mut merged).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        Shown { played: self, recordings, analysis }
    }
}

/// What a trace of a ladder shows.
pub(crate) struct Shown<'p> {
    played: &'p Played,
    recordings: Vec<Recording>,
    pub(crate) analysis: Analysis,
}

impl Shown<'_> {
    pub(crate) fn findings(&self) -> impl Iterator<Item = (&Call, &Finding)> {
        self.analysis.calls.iter().flat_map(|call| call.findings.iter().map(move |finding| (call, finding)))
    }

    /// The findings that are not expected.
    pub(crate) fn surprises(&self) -> String {
        let Played { name, ladder, .. } = self.played;
        let mut told = String::new();
        for (call, finding) in self.findings().filter(|(_, finding)| finding.severity > Severity::Info) {
            let declared = ladder.allowed.iter().any(|code| code == finding.code)
                || ALSO.contains(&(name.as_str(), finding.code))
                || ladder.expects.iter().any(|expect| self.is(call, finding, expect, true));
            if !declared {
                let line = self.line(call, finding.at);
                let (by, certainty) = (who(call, finding.by), finding.certainty);
                let _ = writeln!(
                    told,
                    "{name}: {} by {by} at line {line} ({certainty}) is not expected: {}",
                    finding.code, finding.means
                );
            }
        }
        told
    }

    /// What is expected and not found, however sure that may be.
    pub(crate) fn misses(&self, however: bool) -> String {
        let mut told = String::new();
        for expect in &self.played.ladder.expects {
            if !self.findings().any(|(call, finding)| self.is(call, finding, expect, however)) {
                let found = self.findings().map(|(call, own)| {
                    let (by, line) = (who(call, own.by), self.line(call, own.at));
                    format!("{} by {by} at {line} ({})", own.code, own.certainty)
                });
                let _ = writeln!(
                    told,
                    "{}: {} by {} at {} is not found, but {:?}",
                    self.played.name,
                    expect.code,
                    expect.who,
                    expect.at,
                    found.collect::<Vec<_>>()
                );
            }
        }
        told
    }

    /// The line that a message of a call stands in.
    fn line(&self, call: &Call, n: u32) -> usize {
        let Some(place) = call.message(n).map(|message| message.place) else { return 0 };
        let recording = self.recordings.get(usize::from(place.source));
        let packet = recording.and_then(|recording| recording.packet(place.number));
        packet.and_then(|nth| self.played.lines.get(nth)).copied().unwrap_or_default()
    }

    /// Whether this finding, or what is told under it, is what the ladder expects.
    fn is(&self, call: &Call, finding: &Finding, expect: &Expect, however: bool) -> bool {
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
        (own || below) && (sure || however) && who(call, finding.by) == expect.who
    }
}

/// The seat of a party, by the address that its messages come from.
fn who(call: &Call, party: Party) -> Who {
    let person = call.person(party);
    let seat =
        person.and_then(|person| ('A'..='Z').map(Who).find(|who| who.address().ip() == person.address.ip()));
    seat.unwrap_or(Who::NETWORK)
}

/// The fixtures whose name begins so, played.
pub(crate) fn fixtures(begin: &str) -> Vec<Played> {
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
    assert!(found.len() > 130, "{}", found.len());
    found.into_iter().map(|(name, ladder)| Played::of(name, ladder)).collect()
}

/// What goes wrong in a fixture beside what it is about, above info.
const ALSO: &[(&str, &str)] = &[
    // Its 420 is as it should be; what it refuses demands an option that it had not listed.
    ("ER-04", "F-CAP5"),
    // Its 405 is as it should be, its Allow is not.
    ("ER-05", "F-CAP2"),
    ("UP-19", "F-CAP2"),
    // Its 481 is as it should be; what it refuses has a tag that nobody gave.
    ("DLG-01", "F-DLG9"),
];

/// A request of no call.
const ELSEWHERE: &str = "OPTIONS sip:nobody@10.0.0.99 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.98;branch=z9hG4bKelsewhere\n\
                         From: <sip:probe@10.0.0.98>;tag=probe\nTo: <sip:nobody@10.0.0.99>\nCall-ID: elsewhere\n\
                         CSeq: 1 OPTIONS\nMax-Forwards: 70\nContent-Length: 0\n\n";
