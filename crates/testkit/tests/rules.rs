//! Every ladder fixture of the rule table, played to all its faces.

use std::path::PathBuf;

use midcall_testkit::coverage::{Coverage, fixtures, workspace};
use midcall_testkit::ladder::{Midcall, check_named};

/// `RULE=UP-13 cargo test -p midcall-testkit --test rules` plays the ladders of one rule.
#[test]
fn every_ladder_shows_its_faces() {
    let only = std::env::var("RULE").ok();
    let found = Coverage::scan(&workspace()).expect("the fixtures can be read");
    let mut faults = Vec::new();
    for (code, ladders) in
        found.ladders.iter().filter(|(code, _)| only.as_ref().is_none_or(|only| *code == only))
    {
        for ladder in ladders {
            let path: PathBuf = fixtures(&workspace()).join(code).join(format!("{ladder}.ladder"));
            let text = std::fs::read_to_string(&path).expect("a listed ladder can be read");
            let told = check_named(&format!("{code} {ladder}"), &text, &Midcall)
                .into_iter()
                .map(|fault| format!("{code}/{ladder} {fault}"));
            faults.extend(told);
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
