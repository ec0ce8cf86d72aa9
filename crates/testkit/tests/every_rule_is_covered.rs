//! Every rule of the table is held by a test that names it.
//!
//! `uncovered.txt` beside this file lists what is still missing; nothing may join it. `MIDCALL_BLESS=1` strikes the lines
//! that are settled.

use midcall_testkit::coverage::{Coverage, workspace};

#[test]
fn every_rule_is_covered() {
    let list = workspace().join("crates/testkit/tests/uncovered.txt");
    let found = Coverage::scan(&workspace()).expect("the sources can be read");
    let gaps: Vec<String> =
        found.gaps().into_iter().map(|gap| format!("{} {}", gap.code, gap.lacks)).collect();
    let listed = std::fs::read_to_string(&list).unwrap_or_default();
    let listed: Vec<&str> = listed.lines().collect();
    let (left, missing): (Vec<&String>, Vec<&String>) =
        gaps.iter().partition(|gap| listed.contains(&gap.as_str()));
    if std::env::var_os("MIDCALL_BLESS").is_some() {
        let text: String = left.iter().map(|gap| format!("{gap}\n")).collect();
        std::fs::write(&list, text).expect("the list can be written");
    }
    assert!(missing.is_empty(), "these rules need a test:\n{missing:#?}");
}

/// An open rule with fixtures is no longer open.
#[test]
fn open_rules_have_no_fixtures() {
    let found = Coverage::scan(&workspace()).expect("the sources can be read");
    for (code, why) in Coverage::open() {
        assert!(!found.ladders.contains_key(code), "{code} has ladders, yet the table calls it open: {why}");
    }
}
