//! Every rule of the table is held by a test that names it; the rows that nothing holds yet say so, with the reason, in
//! the table itself.

use midcall_testkit::coverage::{Coverage, workspace};

#[test]
fn every_rule_is_covered() {
    let found = Coverage::scan(&workspace()).expect("the sources can be read");
    let gaps: Vec<String> =
        found.gaps().into_iter().map(|gap| format!("{} {}", gap.code, gap.lacks)).collect();
    assert!(gaps.is_empty(), "these rules need a test:\n{gaps:#?}");
}

/// An open rule with fixtures is no longer open.
#[test]
fn open_rules_have_no_fixtures() {
    let found = Coverage::scan(&workspace()).expect("the sources can be read");
    for (code, why) in Coverage::open() {
        assert!(!found.ladders.contains_key(code), "{code} has ladders, yet the table calls it open: {why}");
    }
}
