//! `cargo xtask fuzz`: the targets of fuzz/, by cargo-fuzz on the nightly toolchain.

use std::fs;
use std::time::Duration;

use crate::process::{ask, installed, nightly, run};
use crate::report::Tally;
use crate::root;

/// Fuzzes every target, or those named.
pub(crate) fn task(words: &[String]) -> Result<bool, String> {
    let known = targets();
    let mut wanted = Vec::new();
    let mut seconds = 60;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--seconds" {
            seconds = words.next().and_then(|n| n.parse().ok()).ok_or("--seconds wants a number")?;
        } else if known.contains(word) {
            wanted.push(word.clone());
        } else {
            return Err(format!("no fuzz target {word}; there are: {}", known.join(", ")));
        }
    }
    ready()?;
    let mut tally = Tally::default();
    fuzz(if wanted.is_empty() { known } else { wanted }, seconds, None, &mut tally)?;
    println!("{tally}");
    Ok(tally.failed == 0)
}

/// Whether this machine can fuzz; the error says what is missing.
pub(crate) fn ready() -> Result<(), String> {
    if ask(&mut nightly(&["--version"])).is_none() {
        return Err("no nightly toolchain (rustup toolchain install nightly --profile minimal)".to_owned());
    }
    if ask(&mut nightly(&["fuzz", "--version"])).is_none() {
        return Err("cargo-fuzz is not installed (cargo install cargo-fuzz)".to_owned());
    }
    if !installed("c++") {
        return Err("no C++ compiler for libFuzzer (apt-get install g++)".to_owned());
    }
    Ok(())
}

/// Fuzzes every target, beginning the same way each time; each counts as one test.
pub(crate) fn all(seconds: u64, tally: &mut Tally) -> Result<(), String> {
    fuzz(targets(), seconds, Some(1), tally)
}

fn fuzz(targets: Vec<String>, seconds: u64, seed: Option<u32>, tally: &mut Tally) -> Result<(), String> {
    if targets.is_empty() {
        return Err("fuzz/fuzz_targets is empty".to_owned());
    }
    // cargo-fuzz would write the lock file anew without a word; what is tested is what was committed.
    let fetch = ["fetch", "--quiet", "--locked", "--manifest-path", "fuzz/Cargo.toml"];
    run(&mut nightly(&fetch), Duration::from_secs(300), |_| {})?;
    run(&mut nightly(&["fuzz", "build", "--fuzz-dir", "fuzz"]), Duration::from_secs(600), |_| {})?;
    for target in targets {
        println!("-- {target}, {seconds} s");
        // Finds go to a folder of their own: the committed seeds change only by hand.
        let found = root().join("target/fuzz-corpus").join(&target);
        fs::create_dir_all(&found).map_err(|e| format!("{}: {e}", found.display()))?;
        let mut command = nightly(&["fuzz", "run", "--fuzz-dir", "fuzz", &target]);
        command.arg(&found).arg(root().join("fuzz/corpus").join(&target)).args([
            "--",
            "-print_final_stats=1",
            "-rss_limit_mb=2048",
            "-timeout=5",
            "-verbosity=0",
            &format!("-max_total_time={seconds}"),
        ]);
        command.args(seed.map(|seed| format!("-seed={seed}")));
        match run(&mut command, Duration::from_secs(seconds + 120), |_| {}) {
            Ok(()) => tally.passed += 1,
            Err(why) => {
                println!("{target}: {why}; the input is under fuzz/artifacts/{target}");
                tally.failed += 1;
            }
        }
    }
    Ok(())
}

fn targets() -> Vec<String> {
    let Ok(folder) = fs::read_dir(root().join("fuzz/fuzz_targets")) else { return Vec::new() };
    let mut names: Vec<String> = folder
        .flatten()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".rs")?.to_owned()))
        .collect();
    names.sort();
    names
}
