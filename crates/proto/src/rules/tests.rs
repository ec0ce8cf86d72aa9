//! The table as a whole: complete, in order, readable, and citing only sections that exist.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::{Held, Level, Rule, RuleId, Severity, all, explain, id, markdown};

/// How many rules each family has, in the order of the table.
const FAMILIES: [(&str, usize); 15] = [
    ("DLG", 35),
    ("TX", 34),
    ("OA", 58),
    ("RI", 28),
    ("UP", 22),
    ("GL", 9),
    ("PR", 21),
    ("ST", 31),
    ("RF", 39),
    ("RC", 19),
    ("SV", 20),
    ("BB", 19),
    ("ER", 10),
    ("SEC", 14),
    ("CF", 37),
];

/// Section numbers of every RFC that midcall refers to: one RFC a line, its number first.
const SECTIONS: &str = include_str!("../../tests/data/rfc-sections.txt");

#[test]
fn every_family_is_complete_and_contiguous() {
    let expected: Vec<String> = FAMILIES
        .iter()
        .flat_map(|&(family, count)| (1..=count).map(move |number| format!("{family}-{number:02}")))
        .collect();
    let codes: Vec<&str> = all().map(|rule| rule.code).collect();
    assert_eq!(codes, expected);
}

/// 320 rules that say what to do, and 76 that name races, services and conflicts.
#[test]
fn the_totals_are_those_of_the_catalogue() {
    let named = |rule: &&Rule| matches!(rule.family(), "RC" | "SV" | "CF");
    assert_eq!(RuleId::COUNT, 396);
    assert_eq!(all().count(), 396);
    assert_eq!(all().filter(named).count(), 76);
}

#[test]
fn names_and_codes_agree() {
    assert_eq!(id::CODES.len(), RuleId::COUNT);
    for &(id, code) in id::CODES {
        assert_eq!(id.rule().id, id);
        assert_eq!(id.code(), code, "{id:?}");
        assert_eq!(id.to_string(), code);
        assert_eq!(Rule::by_code(&code.to_lowercase()), Some(id.rule()));
    }
    let unique: HashSet<&str> = all().map(|rule| rule.code).collect();
    assert_eq!(unique.len(), RuleId::COUNT);
    assert_eq!(Rule::by_code("UP-00"), None);
    assert_eq!(Rule::by_code(""), None);
}

#[test]
fn every_text_reads_well_on_a_terminal() {
    for rule in all() {
        let code = rule.code;
        assert!(!rule.title.is_empty() && rule.title.len() <= 60, "{code}: title {:?}", rule.title);
        assert!(rule.title.split_whitespace().count() <= 8, "{code}: title {:?}", rule.title);
        assert!(!rule.title.ends_with('.'), "{code}: title {:?}", rule.title);
        for text in [rule.means, rule.fix] {
            assert!(!text.is_empty() && text.len() <= 400, "{code}: {} bytes: {text}", text.len());
            assert!(text.ends_with(['.', '?']), "{code}: {text}");
            assert!(!text.contains("  ") && !text.contains('\n'), "{code}: {text}");
        }
        match rule.held {
            Held::Machine(text) | Held::Wire(text) | Held::Policy(text) | Held::Open(text) => {
                assert!(!text.is_empty(), "{code}: held by nothing");
            }
            Held::Check => {
                let claims = rule.severity >= Severity::Warning || rule.reply.is_some();
                assert!(claims, "{code}: a check that may claim nothing");
            }
        }
    }
    let mut titles = HashMap::new();
    for rule in all() {
        if let Some(other) = titles.insert(rule.title, rule.code) {
            panic!("{other} and {} have the same title", rule.code);
        }
    }
}

#[test]
fn every_cited_section_exists() {
    let index: HashMap<u16, HashSet<&str>> = SECTIONS
        .lines()
        .map(|line| {
            let (rfc, sections) = line.split_once(' ').expect("an RFC and its sections");
            (rfc.parse().expect("a number"), sections.split(' ').collect())
        })
        .collect();
    for rule in all() {
        let unsourced = matches!(rule.level, Level::Practice | Level::Derived | Level::Note);
        assert!(!rule.cites.is_empty() || unsourced, "{} cites nothing", rule.code);
        for (at, cite) in rule.cites.iter().enumerate() {
            let known = index.get(&cite.rfc).is_some_and(|sections| sections.contains(cite.section));
            assert!(known, "{} cites {cite}, which is not there", rule.code);
            assert!(!rule.cites[..at].contains(cite), "{} cites {cite} twice", rule.code);
        }
    }
}

/// `dialog::usage` is `src/dialog/usage.rs`; what starts with another crate's name is looked for there.
#[test]
fn every_named_module_exists() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for rule in all() {
        let (Held::Machine(module) | Held::Wire(module)) = rule.held else { continue };
        let (home, rest) = match module.split_once("::") {
            Some(("wire", rest)) => ("wire", rest),
            Some(("midcall", rest)) => ("net", rest),
            _ => ("proto", module),
        };
        let file = crates.join(home).join("src").join(rest.replace("::", "/"));
        let exists = file.with_extension("rs").is_file() || file.join("mod.rs").is_file();
        assert!(exists, "{} is said to be held by {module}, which is not there", rule.code);
    }
}

/// What is open is named here, so that it cannot grow unseen.
#[test]
fn few_rules_are_open() {
    let open: Vec<&str> =
        all().filter(|rule| matches!(rule.held, Held::Open(_))).map(|rule| rule.code).collect();
    assert_eq!(open.join(" "), OPEN);
}

const OPEN: &str = "\
    RF-20 SV-04 SV-05 BB-01 BB-02 BB-03 BB-04 BB-05 BB-06 BB-07 BB-09 BB-10 BB-11 BB-12 \
    BB-13 BB-14 BB-15 BB-16 BB-17 BB-18 BB-19 SEC-01 SEC-02 SEC-10 SEC-11 SEC-12 CF-37";

#[test]
fn severity_orders_from_none_to_error() {
    assert!(Severity::None < Severity::Info && Severity::Info < Severity::Warning);
    assert!(Severity::Warning < Severity::Error);
}

#[test]
fn a_rule_explains_itself() {
    let expected = "\
UP-13  UPDATE crosses our offer

  Meaning     An UPDATE with an offer reached a side whose own offer in an
              UPDATE, PRACK or INVITE was still unanswered. Taking it would
              leave two exchanges open at once.
  Cure        Refuse with 491; both sides then retry after their random delay.
  Level       demanded (MUST)
  On the wire error, a breach can be shown; a packet missing from the capture
              can look the same
  Texts       RFC 3311 §5.2
  Reply       491
  Held by     a check on every message sent, received or read from a trace
";
    assert_eq!(explain(RuleId::UpdateCrossesOurOffer.rule()), expected);
}

#[test]
fn no_explanation_is_wider_than_a_terminal() {
    for rule in all() {
        for line in explain(rule).lines() {
            assert!(line.chars().count() <= 80, "{}: {line}", rule.code);
        }
    }
}

/// `MIDCALL_BLESS=1 cargo test -p midcall-proto` writes the page anew.
#[test]
#[allow(clippy::disallowed_methods, reason = "a test compares a page of the docs with the table")]
fn the_page_equals_the_table() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules.md");
    if std::env::var_os("MIDCALL_BLESS").is_some() {
        std::fs::create_dir_all(page.parent().expect("a directory")).expect("docs/ can be made");
        std::fs::write(&page, markdown()).expect("docs/rules.md can be written");
    }
    let written = std::fs::read_to_string(&page).expect("docs/rules.md is there");
    assert!(written == markdown(), "docs/rules.md is out of date: run with MIDCALL_BLESS=1");
}

/// A rule that is told as another one is not itself what a third is told as, and claims no more than those.
#[test]
fn breaches_are_told_under_rules_of_their_own() {
    for rule in all() {
        for told in rule.id.told_as() {
            assert!(told.told_as().is_empty(), "{} is told as {told}, which is told as another", rule.code);
            assert!(told.rule().severity >= Severity::Warning, "{} is told as {told}", rule.code);
        }
    }
}
