use std::fs;
use std::path::Path;

use super::*;
use crate::model::{Call, Finding};
use crate::sample;

fn ladders() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/tests/rules");
    let mut all: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(path.join("breaks.ladder")).ok()?;
            Some((path.file_name()?.to_string_lossy().into_owned(), text))
        })
        .collect();
    all.sort();
    all
}

fn told(call: &Call) -> Vec<String> {
    let told = |finding: &Finding| {
        format!("{} {} {} {} {}", finding.code, finding.severity, finding.certainty, finding.by, finding.at)
    };
    call.findings.iter().map(told).collect()
}

#[test]
fn every_breach_breaks_the_same_rules_when_its_export_is_played() {
    let (mut different, mut same) = (Vec::new(), 0);
    for (name, text) in ladders() {
        let call = sample::call(&text);
        let before = told(&call);
        let exported = match ladder(&call, None) {
            Ok(exported) => exported,
            Err(why) => {
                different.push(format!("{name}: {why}"));
                continue;
            }
        };
        let outcome = std::panic::catch_unwind(|| told(&sample::call(&exported)));
        match outcome {
            Ok(after) if after == before => same += 1,
            Ok(after) => {
                different.push(format!("{name}: {before:?}\n became {after:?}\n{text}\n---\n{exported}"))
            }
            Err(_) => different.push(format!("{name} does not play\n{text}\n---\n{exported}")),
        }
    }
    assert!(
        different.is_empty(),
        "{same} are the same, {} not:\n{}",
        different.len(),
        different.join("\n=====\n")
    );
    assert!(same > 160, "only {same} ladders were found");
}
