//! `cargo xtask test` and `cargo xtask ci`: the steps that say whether the project holds.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::process::{ask, cargo, finish_by, in_time, run};
use crate::report::{Report, Tally};
use crate::{fuzz, interop, peers, root};

/// Everything: what `ci` does, plus sockets on loopback, real peers, and fuzzing when asked for.
pub(crate) fn test(words: &[String]) -> Result<bool, String> {
    let mut require_peers = false;
    let mut fuzz_seconds = None;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--require-peers" => require_peers = true,
            "--fuzz" => {
                let seconds = words.next().and_then(|n| n.parse().ok());
                fuzz_seconds = Some(seconds.ok_or("--fuzz wants a number of seconds for each target")?);
            }
            "--minutes" => {
                let total = words.next().and_then(|n| n.parse().ok());
                finish_by(Instant::now() + minutes(total.ok_or("--minutes wants a number")?));
            }
            other => return Err(format!("test does not know {other}")),
        }
    }
    finish_by(Instant::now() + minutes(28));
    let mut report = Report::default();
    code(&mut report);
    report.step("sockets", |tally| {
        let words = ["test", "--workspace", "--no-fail-fast", "--", "--ignored", "sockets_"];
        count(&mut cargo(&words), tally)?;
        tally.skipped = 0; // what does not match the name was counted by "tests"
        Ok(())
    });
    report.caught_up("tests", "sockets");
    docs(&mut report);
    licences(&mut report);
    if let Some(seconds) = fuzz_seconds {
        match fuzz::ready() {
            Ok(()) => report.step("fuzz", |tally| fuzz::all(seconds, tally)),
            Err(why) => report.not_run("fuzz", why),
        }
    }
    real_peers(&mut report, require_peers);
    Ok(report.finish())
}

/// What must be green before a commit; needs no peer and opens no socket.
pub(crate) fn ci(words: &[String]) -> Result<bool, String> {
    if let Some(word) = words.first() {
        return Err(format!("ci does not know {word}"));
    }
    let mut report = Report::default();
    code(&mut report);
    docs(&mut report);
    licences(&mut report);
    Ok(report.finish())
}

fn code(report: &mut Report) {
    report.step("format", |_| run(&mut cargo(&["fmt", "--all", "--check"]), minutes(1), |_| {}));
    report.step("clippy", |_| {
        let words = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
        run(&mut cargo(&words), minutes(10), |_| {})
    });
    // The simulated tests leave their packets behind, which are then read back as any trace.
    let captures = root().join("target/captures");
    report.step("tests", |tally| {
        if captures.exists() {
            std::fs::remove_dir_all(&captures).map_err(|e| format!("{}: {e}", captures.display()))?;
        }
        let mut command = cargo(&["test", "--workspace", "--no-fail-fast"]);
        count(command.env(CAPTURE, &captures), tally)
    });
    report.step("captures", |tally| {
        let mut command = cargo(&["test", "-p", "midcall-analyzer", "--test", "captures", "--", "--ignored"]);
        count(command.env(CAPTURE, &captures), tally)
    });
    report.caught_up("tests", "captures");
}

fn docs(report: &mut Report) {
    report.step("docs", |_| {
        let mut command = cargo(&["doc", "--workspace", "--no-deps"]);
        run(command.env("RUSTDOCFLAGS", "-D warnings"), minutes(5), |_| {})
    });
}

fn licences(report: &mut Report) {
    if ask(&mut cargo(&["deny", "--version"])).is_none() {
        return report
            .not_run("licences", "cargo-deny is not installed (cargo install cargo-deny)".to_owned());
    }
    report.step("licences", |_| {
        let words = ["deny", "--workspace", "check", "licenses", "bans", "sources"];
        run(&mut cargo(&words), minutes(5), |_| {})
    });
}

fn real_peers(report: &mut Report, required: bool) {
    if !peers::absent().is_empty() {
        report.step("peers", |tally| {
            let installing = peers::install();
            if let Err(why) = &installing {
                println!("{why}");
            }
            let absent = peers::report_absent();
            if absent.is_empty() {
                return Ok(());
            }
            if required {
                tally.failed = absent.len();
                return Err(installing.err().unwrap_or_else(|| "installed, but still not found".to_owned()));
            }
            tally.skipped = absent.len();
            Ok(())
        });
    }
    report.step("interop", |tally| {
        let args = interop::Args { peers: Vec::new(), require_peers: required };
        let summary = in_time(move || interop::run(&args))?;
        *tally = Tally { passed: summary.passed, failed: summary.failed, skipped: summary.skipped };
        Ok(())
    });
}

/// Runs tests and adds up what their result lines say.
fn count(command: &mut Command, tally: &mut Tally) -> Result<(), String> {
    let ended = run(command, minutes(15), |line| tally.count(line));
    // A failed test is in the tally already; anything else that went wrong is not.
    if tally.failed > 0 { Ok(()) } else { ended }
}

/// Where the simulated tests write captures, and where they are read.
const CAPTURE: &str = "MIDCALL_CAPTURE";

fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}
