//! `cargo xtask bench`: midcall beside its rivals, in one run.

use std::process::Command;
use std::time::Duration;

use crate::process::{cargo, run};
use crate::root;

/// Builds and runs the benchmark package, which stands outside the workspace so that the rivals' dependencies never
/// reach a user's build.
pub(crate) fn task(words: &[String]) -> Result<bool, String> {
    let limit = Duration::from_secs(1200);
    // Both programs: allocations are counted by one of their own, because counting would slow what is timed.
    run(&mut bench("build"), limit, |_| {})?;
    run(bench("run").args(["--bin", "midcall-bench", "--"]).args(words), limit, |_| {})?;
    if words.is_empty() || words.iter().any(|word| word == "captures") {
        run(&mut cargo(&["build", "--quiet", "--release", "--package", "midcall-cli"]), limit, |_| {})?;
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root().join("target"), |dir| root().join(dir));
        let mut captures = bench("run");
        captures
            .args(["--bin", "captures", "--"])
            .arg(target.join("release/midcall"))
            .arg(target.join("captures"));
        // Some rivals take many minutes over the capture with RTP; they are stopped then.
        run(&mut captures, 3 * limit, |_| {})?;
    }
    Ok(true)
}

fn bench(verb: &str) -> Command {
    let mut command =
        cargo(&[verb, "--quiet", "--release", "--locked", "--manifest-path", "bench/Cargo.toml"]);
    if std::env::var_os("CARGO_TARGET_DIR").is_none() {
        command.env("CARGO_TARGET_DIR", root().join("target/bench"));
    }
    command
}
