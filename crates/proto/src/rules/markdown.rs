//! The table as a page: `docs/rules.md`.

use std::fmt::Write as _;

use super::{FAMILIES, Held, Level, Rule, Severity, text};

/// The whole table as Markdown, one section per family.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from(HEAD);
    let _ = writeln!(out, "\n| Family | About | Rules |\n|---|---|---|");
    for (family, about) in ABOUT {
        let count = rules_of(family).count();
        let _ = writeln!(out, "| [{family}](#{}) | {about} | {count} |", family.to_lowercase());
    }
    out.push_str(LEGEND);
    for (family, about) in ABOUT {
        let _ = writeln!(out, "\n## {family}\n\n{about}.\n");
        out.push_str("| Code | Level | On the wire | Title | Texts | Held by | Meaning | Cure |\n");
        out.push_str("|---|---|---|---|---|---|---|---|\n");
        for rule in rules_of(family) {
            row(&mut out, rule);
        }
    }
    out
}

fn rules_of(family: &str) -> impl Iterator<Item = &'static Rule> {
    FAMILIES.iter().copied().flatten().filter(move |rule| rule.family() == family)
}

fn row(out: &mut String, rule: &Rule) {
    let severity = match rule.severity {
        Severity::None => "–",
        seen => seen.as_str(),
    };
    let level = match rule.level {
        Level::Note => "–",
        level => level.as_str(),
    };
    let reply = rule.reply.map(|reply| format!(" Reply: {reply}.")).unwrap_or_default();
    let held = match rule.held {
        Held::Machine(module) | Held::Wire(module) => format!("`{module}`"),
        held => held.to_string(),
    };
    let _ = writeln!(
        out,
        "| {} | {level} | {severity} | {} | {} | {held} | {} | {}{reply} |",
        rule.code,
        cell(rule.title),
        text::cites(rule),
        cell(rule.means),
        cell(rule.fix),
    );
}

/// Text that cannot break a table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('*', "\\*")
}

/// The families in the order of the table, and what each is about.
const ABOUT: [(&str, &str); 15] = [
    ("DLG", "Dialog identity and state"),
    ("TX", "Transactions"),
    ("OA", "Offer and answer"),
    ("RI", "re-INVITE"),
    ("UP", "UPDATE"),
    ("GL", "Glare: changes that collide"),
    ("PR", "Reliable provisional responses, PRACK, preconditions"),
    ("ST", "Session timers"),
    ("RF", "REFER, Replaces and transfer"),
    ("RC", "Races: the named crossings of RFC 5407"),
    ("SV", "Services that change a live call"),
    ("BB", "Third-party call control and B2BUA"),
    ("ER", "Error responses in a dialog"),
    ("SEC", "Security"),
    ("CF", "Where texts conflict or practice departs"),
];

const HEAD: &str = "# Rules

What SIP demands of a call that is set up and then changed, as midcall keeps it and as its analyzer reports it.
`midcall rules UP-13` prints one rule. This page is generated from the table in `crates/proto/src/rules`.
";

const LEGEND: &str = "
Level: the RFC 2119 word where a text has one; *advice* of an informational RFC; *best practice* of a BCP;
*derived* from several texts; *field practice* without a text; – for a fact that other rules need.
On the wire: the strongest claim a reader of a trace may make; – if a breach cannot be seen there.
Held by: a *check* on every message; otherwise the module that keeps the rule by construction, or a policy.
";
