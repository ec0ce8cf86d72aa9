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

/// Who did wrong need not have sent the message at which it shows: of that, the message tells.
#[test]
fn nobody_is_said_to_have_sent_what_the_other_side_sent() {
    let (mut faults, mut looked) = (String::new(), 0);
    for played in fixtures("breaks") {
        for (call, finding) in played.shown().findings() {
            for (name, n) in senders(&finding.means) {
                let Some(sender) = call.message(n).and_then(|message| call.person(message.by)) else {
                    continue;
                };
                let known = [&call.caller.name, &call.callee.name].iter().any(|known| **known == name);
                looked += usize::from(known);
                if known && sender.name != name {
                    let _ = writeln!(faults, "{} {}: {}", played.name, finding.code, finding.means);
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
    assert!(looked > 50, "{looked}");
}

/// Who is said to have sent which message: "alice sent a BYE at 3 s (message 6)".
fn senders(means: &str) -> Vec<(&str, u32)> {
    let sent = [" sent ", " hung up in ", " made an offer in ", " gave "]
        .iter()
        .flat_map(|verb| means.match_indices(verb));
    let told = sent.filter_map(|(at, verb)| {
        let name = means.get(..at)?.rsplit(' ').next()?;
        let (what, rest) = means.get(at + verb.len()..)?.split_once("(message ")?;
        let number = rest.split_once(')')?.0.parse().ok()?;
        // "a re-INVITE at 12 min 3 s", and no other message between.
        let one = ["a ", "an ", "the "].iter().any(|article| what.starts_with(article));
        (one && what.contains(" at ") && what.split(' ').count() < 10).then_some((name, number))
    });
    told.collect()
}
