//! Replays the corpus of the fuzz target `session`.

#![expect(clippy::disallowed_methods, reason = "the tests read their samples from files")]

mod checks {
    pub(crate) mod session;
}

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

#[test]
fn calls_changed_at_will_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/session");
    let mut seeds: Vec<_> =
        fs::read_dir(&folder).expect("the corpus").flatten().map(|entry| entry.path()).collect();
    seeds.sort();
    assert!(seeds.len() >= 20, "{} has only {} seeds", folder.display(), seeds.len());
    let mut failed = Vec::new();
    for path in seeds {
        let seed = fs::read(&path).expect("a seed");
        if catch_unwind(AssertUnwindSafe(|| checks::session::check(&seed))).is_err() {
            failed.push(path.file_name().unwrap_or_default().to_owned());
        }
    }
    assert!(failed.is_empty(), "the check fails (see above) for {failed:?}");
}
