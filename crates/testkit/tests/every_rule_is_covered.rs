//! Every rule of the table is held by a test that names it; the rows that nothing holds yet say so, with the reason, in
//! the table itself.

use midcall_testkit::coverage::{Coverage, fixtures, workspace};
use midcall_testkit::ladder::{Who, parse};

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
