//! Keeps docs/architecture.md true (the arrows between the crates, and the modules in each), and what the README says
//! of what they are built from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The table of crates says which of them each one imports; cargo knows.
#[test]
fn arrows_are_those_of_cargo() {
    let mut written = BTreeMap::new();
    for cells in rows(&section(&page(), "Crates")) {
        let imports =
            if cells[2] == "–" { BTreeSet::new() } else { cells[2].split(", ").map(code).collect() };
        written.insert(code(&cells[0]), (code(&cells[1]), imports));
    }
    assert_eq!(written, arrows(), "docs/architecture.md (left) and cargo metadata (right) differ");
}

/// `MIDCALL_BLESS=1 cargo test -p midcall-testkit --test architecture` writes the tables anew: a module is described
/// by the first sentence of its own documentation.
#[test]
fn modules_are_those_of_the_source() {
    let mut page = page();
    for (package, (folder, _)) in arrows() {
        let heading = format!("`{package}`");
        let table = modules(&root().join(folder).join("src"));
        let old = section(&page, &heading);
        assert!(!old.is_empty(), "docs/architecture.md has no section {heading}");
        let written: Vec<Vec<String>> = rows(&old);
        if std::env::var_os("MIDCALL_BLESS").is_some() {
            let lines: String = table.iter().map(|(name, what)| format!("| `{name}` | {what} |\n")).collect();
            let new = format!("\n| Module | What it is |\n|---|---|\n{lines}\n");
            page = page.replacen(&format!("### {heading}\n{old}"), &format!("### {heading}\n{new}"), 1);
        } else {
            let table: Vec<_> =
                table.into_iter().map(|(name, what)| vec![format!("`{name}`"), what]).collect();
            assert_eq!(
                written, table,
                "{heading}: docs/architecture.md (left) and the source (right) differ; {BLESS}"
            );
        }
    }
    if std::env::var_os("MIDCALL_BLESS").is_some() {
        fs::write(root().join(PAGE), page).expect("the page can be written");
    }
}

/// The README promises that the command builds without a C compiler: none of what it is built from calls one.
#[test]
fn the_command_is_built_of_rust_alone() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "-p", "midcall-cli", "-e", "normal,build", "--prefix", "none", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo tree runs");
    let tree = String::from_utf8(output.stdout).expect("names of crates");
    let packages: BTreeSet<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(packages.contains("clap"), "cargo tree lists what the command is built from: {tree}");
    for builder in ["autotools", "bindgen", "cc", "cmake", "pkg-config"] {
        assert!(!packages.contains(builder), "`cargo tree -p midcall-cli -i {builder}` says what needs it");
    }
}

/// Workspace packages under crates/: their folder, and the workspace packages they import (not for tests).
fn arrows() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages: Vec<_> = metadata["packages"].as_array().into_iter().flatten().collect();
    let names: BTreeSet<_> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut arrows = BTreeMap::new();
    for package in &packages {
        let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
        let folder =
            manifest.parent().and_then(|folder| folder.strip_prefix(root()).ok()).expect("in this work tree");
        if !folder.starts_with("crates") {
            continue;
        }
        let imports = package["dependencies"].as_array().into_iter().flatten();
        let imports = imports
            .filter(|import| import["kind"].is_null())
            .filter_map(|import| import["name"].as_str())
            .filter(|name| names.contains(name))
            .map(str::to_owned)
            .collect();
        let name = package["name"].as_str().expect("a name").to_owned();
        arrows.insert(name, (folder.display().to_string(), imports));
    }
    arrows
}

/// The top-level modules of a crate with the first sentence each says about itself.
fn modules(src: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(src).expect("a source folder").flatten() {
        let path = entry.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let file = if path.is_dir() { path.join("mod.rs") } else { path };
        let skipped = ["lib", "main", "tests", "bin"].contains(&name.as_str());
        if skipped || file.extension().is_none_or(|ending| ending != "rs") || !file.exists() {
            continue;
        }
        let what = first_sentence(&fs::read_to_string(&file).expect("a module"));
        assert!(!what.is_empty(), "{} does not say what it is", file.display());
        found.push((name, what));
    }
    found.sort();
    found
}

/// The first sentence of a module's documentation, without the rest of its paragraph.
fn first_sentence(text: &str) -> String {
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    let paragraph: Vec<_> = lines.map(str::trim).take_while(|line| !line.is_empty()).collect();
    let paragraph = paragraph.join(" ");
    let end = paragraph.find(". ").map_or(paragraph.len(), |dot| dot + 1);
    // A link such as [`x`](crate::x) is plain text here.
    let mut plain = String::new();
    let mut rest = &paragraph[..end];
    while let Some((before, link)) = rest.split_once("](") {
        plain.push_str(before);
        rest = link.split_once(')').map_or("", |(_, rest)| rest);
    }
    plain.push_str(rest);
    plain.replace("[`", "`").replace("`]", "`").replace('|', "\\|")
}

/// The text under a heading, up to the next heading of any level.
fn section(page: &str, heading: &str) -> String {
    let mut lines = page.split_inclusive('\n');
    lines.find(|line| line.trim_start_matches('#').trim() == heading && line.starts_with('#'));
    lines.take_while(|line| !line.starts_with('#')).collect()
}

/// The cells of every table row below the rule of dashes.
fn rows(text: &str) -> Vec<Vec<String>> {
    text.lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

fn code(cell: &str) -> String {
    cell.trim_matches('`').to_owned()
}

fn page() -> String {
    fs::read_to_string(root().join(PAGE)).expect("docs/architecture.md is there")
}

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the work tree")
}

const PAGE: &str = "docs/architecture.md";
const BLESS: &str = "MIDCALL_BLESS=1 cargo test -p midcall-testkit --test architecture writes the tables";
