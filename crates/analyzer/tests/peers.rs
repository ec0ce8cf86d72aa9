//! Calls of linphone, baresip and SIPp, as they were captured: nothing above info is found in those that behave, and in the
//! others what they really do wrong.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::Path;

use midcall_analyzer::analyze_file;
use midcall_proto::rules::Severity;

/// What a capture holds: how many calls, and each finding above info with its party and message.
type Peer = (&'static str, usize, &'static [&'static str]);

const PEERS: &[Peer] = &[
    ("baresip-calls-linphone.pcap", 1, &["warning OA-29 callee 8"]),
    ("baresip-calls-sipp.pcap", 1, &[]),
    ("baresip-holds.pcap", 2, &[]),
    ("baresip-transfers.pcap", 2, &[]),
    ("linphone-calls-baresip.pcap", 1, &["warning OA-29 caller 13"]),
    ("linphone-calls-midcall.pcap", 1, &[]),
    ("linphone-hangs-up.pcap", 3, &[]),
    ("linphone-hold-refused.pcap", 1, &[]),
    // Both ask for a hold at once, both get 491, and neither ever tries again, as RFC 3261 §14.1 wants of each.
    ("linphone-holds-meet.pcap", 1, &["warning RC-11 callee 11"]),
    // linphone counts two versions of its description for each answer to a re-INVITE or UPDATE, where RFC 6337 §5.2.5 (of
    // RFC 3264 §8) counts one. Its offers count one.
    ("linphone-holds.pcap", 1, &["warning OA-29 callee 8", "warning OA-29 caller 16"]),
    // Its 200 to a refreshing UPDATE says refresher=uac without Require: timer (RFC 4028 §9), and has no Contact (RFC 3311 §7).
    ("linphone-refreshes.pcap", 1, &["error ST-11 caller 7", "warning DLG-22 caller 7"]),
    // Its first NOTIFY says "active" and not for how long (RFC 6665 §4.2.2).
    ("linphone-transfers.pcap", 2, &["warning OA-29 caller 10", "warning RF-09 callee 12"]),
    ("linphone-transfers-sipp.pcap", 1, &[]),
    // Three calls between the same ports: refused, cancelled, answered; the media of the third is that of the third.
    ("linphone-with-media.pcap.gz", 3, &[]),
    ("midcall-calls-baresip.pcap", 1, &[]),
    ("midcall-calls-linphone.pcap", 1, &["warning OA-29 callee 8", "warning DLG-22 callee 15"]),
    // The scenario that SIPp brings sends its ACK to the URI that was called, not to the Contact of the 200 (RFC 3261
    // §12.2.1.1).
    ("sipp-calls-baresip.pcap", 1, &["error TX-09 caller 4"]),
    ("sipp-hold-refused.pcap", 1, &[]),
    ("sipp-offers-late.pcap", 1, &[]),
    ("sipp-offers-late-to-linphone.pcap", 1, &[]),
    ("sipp-pracks.pcap", 1, &[]),
    ("sipp-transfers.pcap", 1, &[]),
    ("sipp-updates.pcap", 1, &[]),
    ("sipp-updates-linphone.pcap", 1, &["warning OA-29 callee 7"]),
];

#[test]
fn real_phones_are_blamed_for_what_they_do_and_for_nothing_else() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    let mut faults = Vec::new();
    for (file, calls, expected) in PEERS {
        let analysis = analyze_file(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(analysis.calls.len(), *calls, "{file}");
        let found = analysis.at_least(Severity::Warning);
        let told: Vec<String> = found
            .map(|(_, finding)| {
                format!("{} {} {} {}", finding.severity, finding.code, finding.by, finding.at)
            })
            .collect();
        if told != *expected {
            faults.push(format!("{file}: {told:?}, not {expected:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn there_is_a_row_for_every_capture() {
    let folder = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers")).unwrap();
    let files = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<_> = files.filter(|file| file.contains(".pcap")).collect();
    files.sort();
    let mut rows: Vec<_> = PEERS.iter().map(|(file, ..)| (*file).to_owned()).collect();
    rows.sort();
    assert_eq!(files, rows);
}
