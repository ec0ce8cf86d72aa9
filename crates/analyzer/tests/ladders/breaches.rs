//! One tap that sees everything.

use std::fmt::Write as _;

use super::shown::fixtures;

#[test]
fn every_breach_is_pinned_to_its_message_and_party() {
    let mut faults = String::new();
    for played in fixtures("breaks") {
        let shown = played.shown();
        faults.extend([shown.misses(false), shown.surprises()]);
    }
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn calls_that_keep_the_rules_are_clean() {
    let faults: String = fixtures("keeps").iter().map(|played| played.shown().surprises()).collect();
    assert!(faults.is_empty(), "\n{faults}");
}

/// To be read by a person: what the analyzer says of each breach.
#[test]
fn what_is_said_of_each_breach() {
    let mut text = String::new();
    for played in fixtures("breaks") {
        let shown = played.shown();
        let _ = writeln!(text, "== {}", played.name);
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
