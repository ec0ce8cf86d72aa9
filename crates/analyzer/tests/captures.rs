//! The captures that the simulated tests leave behind: nothing above info but what those tests expect.
//!
//! `MIDCALL_CAPTURE=dir cargo test -p midcall-testkit`, then `MIDCALL_CAPTURE=dir cargo test -p midcall-analyzer --test
//! captures -- --ignored`.

use std::path::PathBuf;

use midcall_analyzer::analyze_file;
use midcall_proto::rules::Severity;

/// What may be found in a scene beside what its test expects: diagnoses that the observer, which knows only rules, does not
/// make.
const ALSO: &[(&str, &str)] = &[
    // Peers that say 491 without a change of their own.
    ("a_491_is_answered_with_bye", "F-GLR7"),
    ("e08_a_storm_of_491_ends", "F-GLR7"),
    // Peers that refuse what they list.
    ("a_refused_notify_ends_its_subscription_only", "F-CAP2"),
    ("a_refused_notify_ends_its_subscription_only", "F-XFR6"),
    ("c05_a_peer_without_reinvite_gets_no_more_of_them", "F-CAP2"),
    ("d10_a_405_or_501_falls_back_to_reinvite_and_is_remembered", "F-CAP2"),
    ("d10_in_an_early_dialog_a_405_leaves_the_wish_waiting", "F-CAP2"),
    // Peers that demand what the endpoint lacks, and give up.
    ("g07_required_100rel_is_refused_where_it_is_off", "F-CAP5"),
    ("n02_what_the_endpoint_refuses", "F-CAP5"),
    ("required_preconditions_are_refused", "F-CAP5"),
    ("required_preconditions_get_420", "F-CAP5"),
    // Takeovers that only both calls together show: by strangers, of a ringing call, with swapped tags.
    ("a_held_call_is_replaced_twice", "RF-20"),
    ("a_refer_outside_the_dialog_is_declined", "RF-13"),
    ("a_refer_of_a_stranger_is_declined", "RF-13"),
    ("a_ringing_call_is_not_taken_from_the_called_side", "RF-38"),
    ("replaces_to_nothing_is_answered_wrongly_or_not_at_all", "RF-16"),
    ("replaces_to_nothing_is_answered_wrongly_or_not_at_all", "RF-19"),
];

#[test]
#[ignore = "needs the captures of the simulated tests, in MIDCALL_CAPTURE"]
fn captures_of_the_simulated_tests_hold_what_those_expect() {
    let folder = PathBuf::from(std::env::var_os("MIDCALL_CAPTURE").expect("a folder in MIDCALL_CAPTURE"));
    let mut faults = Vec::new();
    let mut looked = 0;
    let mut entries: Vec<_> =
        std::fs::read_dir(&folder).expect("the folder").flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "ladder")) {
        let ladder = std::fs::read_to_string(&path).expect("a ladder");
        let Some(expected) = ladder.lines().last().and_then(|line| line.strip_prefix("# expected: ")) else {
            continue;
        };
        looked += 1;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let expected: Vec<_> = expected.split_whitespace().collect();
        let analysis =
            analyze_file(path.with_extension("pcap")).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (_, finding) in analysis.at_least(Severity::Warning) {
            let covered =
                finding.consequences.iter().any(|one| one.code.is_some_and(|code| expected.contains(&code)));
            let also = ALSO.contains(&(name.as_str(), finding.code));
            if !expected.contains(&finding.code) && !covered && !also {
                faults.push(format!("{name}: {} at {}: {}", finding.code, finding.at, finding.means));
            }
        }
    }
    assert!(looked > 300, "only {looked} captures in {}", folder.display());
    assert!(faults.is_empty(), "{} of {looked}:\n{}", faults.len(), faults.join("\n"));
}
