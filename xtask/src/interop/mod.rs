//! Scenarios against real peers: each folder of `interop/` is one peer.

use std::fmt;
use std::fs;

use crate::root;

/// What to run.
#[derive(Default)]
pub(crate) struct Args {
    /// The folders to run; all of them when empty.
    pub(crate) peers: Vec<String>,
    /// An absent peer is a failure, not a skip.
    pub(crate) require_peers: bool,
}

/// How the scenarios went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// Runs the scenarios of the wanted peers.
pub(crate) fn run(args: &Args) -> Summary {
    let mut summary = Summary::default();
    let Ok(folders) = fs::read_dir(root().join("interop")) else {
        println!("no interop folder: no scenario to run");
        return summary;
    };
    let mut found = 0;
    for folder in folders.flatten().filter(|entry| entry.path().is_dir()) {
        let name = folder.file_name().to_string_lossy().into_owned();
        if !args.peers.is_empty() && !args.peers.contains(&name) {
            continue;
        }
        found += 1;
        println!("{name}: nothing here knows how to run it");
        if args.require_peers {
            summary.failed += 1;
        } else {
            summary.skipped += 1;
        }
    }
    if found == 0 {
        println!("interop holds no scenario to run");
        summary.failed += 1;
    }
    summary
}
