//! `cargo xtask rules`: writes docs/rules.md from the rule table, and lists its rows.
//!
//! The table is read by a test (crates/testkit/tests/rules_doc.rs), which also keeps the document current.

use std::fs;
use std::time::Duration;

use crate::process::{cargo, run};
use crate::root;

/// Writes the document and lists every row, or with `--open` those that nothing holds yet.
pub(crate) fn task(words: &[String]) -> Result<bool, String> {
    let only_open = match words {
        [] => false,
        [word] if word == "--open" => true,
        _ => return Err("rules knows only --open".to_owned()),
    };
    let mut write = cargo(&["test", "--quiet", "--package", "midcall-testkit", "--test", "rules_doc"]);
    write.env("MIDCALL_WRITE", "1");
    if let Err(why) = run(&mut write, Duration::from_secs(600), |_| {}) {
        println!("docs/rules.md was not written: {why}");
        return Ok(false);
    }
    let path = root().join("docs/rules.md");
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let rows: Vec<Row<'_>> = text.lines().filter_map(Row::of).collect();
    let open = rows.iter().filter(|row| row.held == "open").count();
    for row in rows.iter().filter(|row| !only_open || row.held == "open") {
        println!("{:<8} {:<8} {}", row.code, row.held, row.means);
    }
    println!("{} rows, {open} open; docs/rules.md is written", rows.len());
    Ok(true)
}

/// A row of the document: `| code | level | held | sections | what it means | what to do |`.
struct Row<'a> {
    code: &'a str,
    held: &'a str,
    means: &'a str,
}

impl<'a> Row<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        let code = cells
            .next()
            .filter(|code| code.starts_with(|c: char| c.is_ascii_uppercase()) && code.contains('-'))?;
        let mut cells = cells.skip(1);
        Some(Self { code, held: cells.next()?, means: cells.nth(1)? })
    }
}
