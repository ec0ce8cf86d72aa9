//! Developer tasks: `cargo xtask help` lists them.
//!
//! Everything here drives other programs (cargo, the interop peers, apt) and reports what they did.

mod bench;
mod check;
mod fuzz;
mod interop;
mod peers;
mod process;
mod report;
mod rules;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let task = words.next().unwrap_or_default();
    let rest: Vec<String> = words.collect();
    let done = match task.as_str() {
        "test" => check::test(&rest),
        "ci" => check::ci(&rest),
        "interop" => interop(&rest),
        "rules" => rules::task(&rest),
        "bench" => bench::task(&rest),
        "fuzz" => fuzz::task(&rest),
        "" | "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(true)
        }
        other => Err(format!("no such task: {other}\n\n{HELP}")),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::from(2)
        }
    }
}

/// `cargo xtask interop`: the real peers alone.
fn interop(words: &[String]) -> Result<bool, String> {
    let mut args = interop::Args::default();
    for word in words {
        match word.as_str() {
            "--require-peers" => args.require_peers = true,
            flag if flag.starts_with('-') => return Err(format!("interop does not know {flag}")),
            peer => args.peers.push(peer.to_owned()),
        }
    }
    let _ = peers::install();
    let absent = args.require_peers && !peers::report_absent().is_empty();
    let summary = interop::run(&args);
    println!("{summary}");
    Ok(summary.failed == 0 && !absent)
}

/// The root of the work tree, wherever the task was started from.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

const HELP: &str = "\
cargo xtask TASK

  test [--require-peers] [--fuzz SECONDS] [--minutes N]
            everything: format, clippy, tests, sockets, docs, licences, fuzzing when asked, real
            peers; an absent peer is a failure when peers are required; ends within N minutes (28)
  ci        what must be green before a commit: format, clippy, tests, docs, licences
  interop [PEER...] [--require-peers]
            scenarios against real peers (interop/), all of them or those named
  rules [--open]
            list the rows of the rule table and write docs/rules.md
  bench [FILTER]
            midcall beside its rivals, as ratios, in one run
  fuzz [TARGET...] [--seconds N]
            fuzz every target, or those named, for N seconds each (60)
";
