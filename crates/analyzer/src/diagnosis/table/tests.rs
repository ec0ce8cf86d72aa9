//! The table as a whole: complete, readable, and naming only rules and sections that exist.

use std::collections::HashSet;

use midcall_proto::rules::{Rule, Severity};

use super::{Shown, all, by_id};

/// Section numbers of every RFC that midcall refers to: one RFC a line, its number first.
const SECTIONS: &str = include_str!("../../../../proto/tests/data/rfc-sections.txt");

#[test]
fn every_code_is_there_once() {
    let groups =
        [("CAP", 7), ("GLR", 10), ("OA", 13), ("SDP", 16), ("HLD", 9), ("REL", 7), ("STM", 10), ("DLG", 17)];
    let groups = groups.into_iter().chain([("XFR", 6), ("MED", 7), ("CPT", 1)]);
    let expected: Vec<_> = groups
        .flat_map(|(group, count)| (1..=count).map(move |number| format!("F-{group}{number}")))
        .collect();
    let codes: Vec<_> = all().map(|diagnosis| diagnosis.id).collect();
    assert_eq!(codes, expected);
    assert_eq!(codes.len(), 103);
    assert!(by_id("F-SDP9").is_some() && by_id("F-SDP99").is_none());
}

#[test]
fn every_rule_and_section_exists() {
    let sections: HashSet<(u16, &str)> = SECTIONS
        .lines()
        .filter_map(|line| line.split_once(' '))
        .flat_map(|(rfc, sections)| sections.split(' ').map(move |section| (rfc.parse().unwrap(), section)))
        .collect();
    for diagnosis in all() {
        for code in diagnosis.rules {
            assert!(Rule::by_code(code).is_some(), "{} restates {code}", diagnosis.id);
        }
        for cite in diagnosis.cites {
            assert!(sections.contains(&(cite.rfc, cite.section)), "{} cites {cite}", diagnosis.id);
        }
        let told = diagnosis.shown != Shown::Rules || !diagnosis.rules.is_empty();
        assert!(told && !diagnosis.cites.is_empty(), "{} is found by nothing", diagnosis.id);
    }
}

/// The ladders of the rules show how each of those is found.
#[test]
fn every_diagnosis_by_rules_restates_one_that_a_trace_can_show() {
    for diagnosis in all().filter(|diagnosis| diagnosis.shown == Shown::Rules) {
        let mut rules = diagnosis.rules.iter().filter_map(|code| Rule::by_code(code));
        assert!(rules.any(|rule| rule.severity >= Severity::Warning), "{}", diagnosis.id);
    }
}

#[test]
fn every_text_reads_well() {
    for diagnosis in all() {
        let id = diagnosis.id;
        assert!(diagnosis.title.len() <= 60 && !diagnosis.title.ends_with('.'), "{id}: {}", diagnosis.title);
        for text in [diagnosis.means, diagnosis.fix] {
            assert!(text.ends_with('.') && !text.contains("  ") && text.len() <= 400, "{id}: {text}");
        }
    }
    let titles: HashSet<_> = all().map(|diagnosis| diagnosis.title).collect();
    assert_eq!(titles.len(), all().count());
}
