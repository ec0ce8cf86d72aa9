//! Which rules the tests hold: `covers!("UP-13")` in the sources, and the ladder fixtures.
//!
//! A rule with a check needs `crates/proto/tests/rules/<CODE>/breaks.ladder` and `keeps.ladder`; further ladders may
//! stand beside them under any name that begins so. A rule that a machine, the wire or a policy keeps needs a test that
//! names it. Open rules need nothing but are told.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use midcall_proto::rules::{self, Held, Rule};

/// What was found in the sources.
#[derive(Debug, Default)]
pub struct Coverage {
    /// Where each code is named by `covers!`.
    pub named: BTreeMap<String, Vec<PathBuf>>,
    /// The ladders of each code, by file name without `.ladder`.
    pub ladders: BTreeMap<String, Vec<String>>,
}

impl Coverage {
    /// Reads the sources and fixtures of the workspace at `root`.
    pub fn scan(root: &Path) -> io::Result<Self> {
        let mut found = Self::default();
        for part in children(&root.join("crates"))? {
            for tree in ["src", "tests"] {
                walk(&part.join(tree), &mut |file| {
                    if file.extension().is_some_and(|end| end == "rs") {
                        found.note(file)?;
                    }
                    Ok(())
                })?;
            }
        }
        for folder in children(&fixtures(root))? {
            let code = file_name(&folder);
            let ladders = children(&folder)?.into_iter().map(|file| file_name(&file));
            let ladders =
                ladders.filter_map(|name| name.strip_suffix(".ladder").map(str::to_owned)).collect();
            found.ladders.insert(code, ladders);
        }
        Ok(found)
    }

    /// What is missing for each rule, and codes that no rule has. Empty once every rule is covered.
    pub fn gaps(&self) -> Vec<Gap> {
        let mut gaps: Vec<Gap> = rules::all().filter_map(|rule| self.gap(rule)).collect();
        let codes = self.named.keys().chain(self.ladders.keys());
        let unknown = codes.filter(|code| Rule::by_code(code).is_none_or(|rule| rule.code != code.as_str()));
        gaps.extend(unknown.map(|code| Gap { code: code.clone(), lacks: "is no rule".to_owned() }));
        gaps
    }

    /// Rules that nothing holds yet, with the reason the table gives.
    pub fn open() -> Vec<(&'static str, &'static str)> {
        let open = |rule: &'static Rule| match rule.held {
            Held::Open(why) => Some((rule.code, why)),
            _ => None,
        };
        rules::all().filter_map(open).collect()
    }

    fn gap(&self, rule: &Rule) -> Option<Gap> {
        let has = |kind: &str| {
            let ladders = self.ladders.get(rule.code);
            ladders.is_some_and(|names| names.iter().any(|name| name.starts_with(kind)))
        };
        let lacks = match rule.held {
            Held::Open(_) => return None,
            Held::Check => match (has("breaks"), has("keeps")) {
                (true, true) => return None,
                (false, true) => "lacks breaks.ladder",
                (true, false) => "lacks keeps.ladder",
                (false, false) => "lacks breaks.ladder and keeps.ladder",
            },
            Held::Machine(_) | Held::Wire(_) | Held::Policy(_) => {
                if self.named.contains_key(rule.code) || has("breaks") || has("keeps") {
                    return None;
                }
                "is named by no test"
            }
        };
        Some(Gap { code: rule.code.to_owned(), lacks: lacks.to_owned() })
    }

    fn note(&mut self, file: &Path) -> io::Result<()> {
        let text = std::fs::read_to_string(file)?;
        for line in codes_named(&text) {
            self.named.entry(line).or_default().push(file.to_owned());
        }
        Ok(())
    }
}

/// A rule that the tests do not hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    /// Its code.
    pub code: String,
    /// What is missing.
    pub lacks: String,
}

/// The folder of the ladder fixtures.
pub fn fixtures(root: &Path) -> PathBuf {
    root.join("crates/proto/tests/rules")
}

/// The root of this workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The codes inside `covers!(...)` of a source text, those in doc comments left out.
fn codes_named(text: &str) -> Vec<String> {
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let text = code.join("\n");
    let calls = text.split(CALL).skip(1);
    let inner = calls.filter_map(|rest| rest.split_once(')').map(|(inner, _)| inner));
    inner.flat_map(|inner| inner.split('"').skip(1).step_by(2).map(str::to_owned)).collect()
}

fn walk(folder: &Path, each: &mut impl FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    for path in children(folder)? {
        if path.is_dir() {
            walk(&path, each)?;
        } else {
            each(&path)?;
        }
    }
    Ok(())
}

/// What is in a folder, sorted; nothing if it does not exist.
fn children(folder: &Path) -> io::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What a call of the macro begins with; written so that this file holds no such call itself.
const CALL: &str = concat!("covers", "!(");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_from_calls_only() {
        let text = "/// C\"TX-01\")\nfn t() {\n    C\"UP-13\", \"GL-01\",);\n    crate::C\n        \"OA-02\"\n    );\n}\n";
        let text = text.replace('C', CALL);
        assert_eq!(codes_named(&text), ["UP-13", "GL-01", "OA-02"]);
    }

    #[test]
    fn a_rule_is_covered_by_what_holds_it() {
        let mut found = Coverage::default();
        let all = found.gaps().len();
        found.ladders.insert("UP-13".to_owned(), vec!["breaks".to_owned(), "keeps-late".to_owned()]);
        assert_eq!(found.gaps().len(), all - 1);
        found.named.insert("UP-99".to_owned(), Vec::new());
        assert!(found.gaps().contains(&Gap { code: "UP-99".to_owned(), lacks: "is no rule".to_owned() }));
    }
}
