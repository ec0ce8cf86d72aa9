//! `cargo xtask rules`: writes docs/rules.md from the rule table, and lists its rows.
//!
//! The page is written by the test of the table that otherwise keeps it current, so this task runs without compiling
//! the table itself.

use std::fs;
use std::time::Duration;

use crate::process::{cargo, run};
use crate::root;

/// Writes the page and lists every row, or with `--open` those that nothing holds yet.
pub(crate) fn task(words: &[String]) -> Result<bool, String> {
    let only_open = match words {
        [] => false,
        [word] if word == "--open" => true,
        _ => return Err("rules knows only --open".to_owned()),
    };
    let mut bless = cargo(&["test", "--quiet", "--package", "midcall-proto", "--lib", PAGE_TEST]);
    let mut written = false;
    let ended = run(bless.env("MIDCALL_BLESS", "1"), Duration::from_secs(600), |line| {
        written |= line.contains("1 passed");
    });
    if !written {
        println!(
            "docs/rules.md was not written: {}",
            ended.err().unwrap_or_else(|| format!("no test {PAGE_TEST}"))
        );
        return Ok(false);
    }
    let path = root().join("docs/rules.md");
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let rows: Vec<Row<'_>> = text.lines().filter_map(Row::of).collect();
    for row in rows.iter().filter(|row| row.is_open() || !only_open) {
        println!("{:<8} {}  ({})", row.code, row.title, row.held);
    }
    let open = rows.iter().filter(|row| row.is_open()).count();
    println!("{} rules, {open} open; docs/rules.md is written", rows.len());
    Ok(!rows.is_empty())
}

/// A row of the page: code, level, severity, title, texts, what holds it, meaning, cure.
struct Row<'a> {
    code: &'a str,
    title: &'a str,
    held: &'a str,
}

impl<'a> Row<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let code = cells.next().filter(|code| code.contains('-') && !code.contains(['[', '|']))?;
        let title = cells.nth(2)?;
        Some(Self { code, title, held: cells.nth(1)?.trim_matches('`') })
    }

    fn is_open(&self) -> bool {
        self.held.starts_with("open")
    }
}

/// The test in `crates/proto/src/rules/tests.rs` that compares the page with the table.
const PAGE_TEST: &str = "the_page_equals_the_table";
