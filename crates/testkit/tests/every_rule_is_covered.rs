//! Every rule of the table is held by a test that names it; the rows that nothing holds yet say so, with the reason, in
//! the table itself.

use std::path::Path;

use midcall_proto::rules::{self, Severity};
use midcall_testkit::coverage::{Coverage, fixtures, workspace};
use midcall_testkit::ladder::{Ladder, Who, parse};

#[test]
fn every_rule_is_covered() {
    let found = Coverage::scan(&workspace()).expect("the sources can be read");
    let gaps: Vec<String> =
        found.gaps().into_iter().map(|gap| format!("{} {}", gap.code, gap.lacks)).collect();
    assert!(gaps.is_empty(), "these rules need a test:\n{gaps:#?}");
}

/// An open rule that an endpoint keeps is no longer open: its ladders only show what a trace tells.
#[test]
fn no_endpoint_keeps_an_open_rule() {
    let found = Coverage::scan(&workspace()).expect("the sources can be read");
    for (code, why) in Coverage::open() {
        for name in found.ladders.get(code).into_iter().flatten() {
            let path = fixtures(&workspace()).join(code).join(format!("{name}.ladder"));
            let ladder = parse(&std::fs::read_to_string(path).expect("a listed ladder can be read"))
                .expect("a ladder can be parsed");
            let seated = |who: Who| who != Who::NETWORK && !ladder.skipped.iter().any(|(own, _)| *own == who);
            let own = ladder.expects.iter().filter(|expect| expect.code == code);
            let kept = own.map(|expect| expect.who).find(|who| seated(*who));
            assert!(
                kept.is_none(),
                "{code}/{name}: an endpoint keeps it, yet the table calls it open: {why}"
            );
        }
    }
}

/// What a trace can show of a breach, a ladder or a test of the analyzer shows: under the rule's own name, or under those that
/// it is told as.
#[test]
fn every_breach_that_a_trace_can_show_is_found() {
    let found = Coverage::scan(&workspace()).expect("the sources can be read");
    let mut faults = Vec::new();
    for rule in rules::all().filter(|rule| rule.severity >= Severity::Warning) {
        let named = found.named.get(rule.code).into_iter().flatten();
        let by_analyzer = named.into_iter().any(|file| file.to_string_lossy().contains("crates/analyzer/"));
        let told = |ladder: &Ladder| {
            let own = |code: &str| code == rule.code || rule.id.told_as().iter().any(|id| id.code() == code);
            ladder.expects.iter().any(|expect| own(&expect.code))
        };
        let ladders = [fixtures(&workspace()), workspace().join("crates/analyzer/tests/legs")];
        let files = ladders.iter().flat_map(|folder| breaks(&folder.join(rule.code)));
        if !by_analyzer
            && !files.map(|text| parse(&text)).any(|ladder| ladder.is_ok_and(|ladder| told(&ladder)))
        {
            faults.push(rule.code);
        }
    }
    assert!(faults.is_empty(), "no ladder shows how these are found: {faults:?}");
}

/// The ladders of a rule that show a breach.
fn breaks(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let breaks = files.filter(|file| file.file_name().to_string_lossy().starts_with("breaks"));
    breaks.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect()
}
