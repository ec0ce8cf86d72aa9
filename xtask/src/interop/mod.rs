//! Real peers: `cargo xtask interop [sipp|baresip|kamailio]...`. See `interop/README.md`.

mod always;
mod baresip;
mod check;
mod exported;
mod kamailio;
mod ladder;
mod media;
mod play;
mod ports;
mod process;
mod record;
mod scenario;
mod sip;
mod sipp;
mod text;

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use play::{Peer, Run, World};

/// What to run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Args {
    /// An absent peer is a failure, not a skip.
    pub(crate) require_peers: bool,
    /// Peers, and scenario ids or parts of run names to narrow the choice; also `list` (say what would run),
    /// `mirror` (SIPp in midcall's place, to try ladders out), `jobs=N` and `midcall=PATH`.
    pub(crate) peers: Vec<String>,
}

/// How many runs went how.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "interop: {} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

struct Options {
    peers: Vec<Peer>,
    only: Vec<String>,
    jobs: usize,
    mirror: bool,
    list: bool,
    midcall: Option<PathBuf>,
}

/// Runs the scenarios the arguments name, all without any.
pub(crate) fn run(args: &Args) -> Summary {
    let options = read(&args.peers);
    let root = crate::root();
    let mut summary = Summary::default();
    let mut runs = Vec::new();
    let mut found = false;
    for peer in &options.peers {
        let folder = root.join("interop").join(peer.name());
        let scenarios = match scenario::load(&folder) {
            Ok(scenarios) => scenarios,
            Err(why) => {
                println!("BAD     {why}");
                summary.failed += 1;
                continue;
            }
        };
        let mut wanted: Vec<Run> = scenarios.iter().flat_map(|s| Run::all(*peer, s)).collect();
        wanted.retain(|run| {
            options.only.is_empty()
                || options.only.iter().any(|only| run.id == *only || run.name().contains(only))
        });
        found |= !wanted.is_empty();
        let absent: Vec<&str> = peer.programs().iter().copied().filter(|p| !process::present(p)).collect();
        if !absent.is_empty() && !options.list {
            println!(
                "SKIPPED {} runs with {}: no {}; {INSTALL}",
                wanted.len(),
                peer.name(),
                absent.join(", ")
            );
            if args.require_peers {
                summary.failed += wanted.len();
            } else {
                summary.skipped += wanted.len();
            }
            continue;
        }
        if options.mirror {
            // two SIPps would answer each other's copies for ever
            let copies = |run: &Run| run.seat.ladder.contains(" again") && run.seat.sipp.is_empty();
            wanted.retain(|run| run.seat.after.is_none() && run.seat.target.is_none() && !copies(run));
        }
        runs.extend(wanted);
    }
    if options.list {
        for run in &runs {
            println!("{:<40} {} ({})", run.name(), run.title, run.rules.join(", "));
        }
        return summary;
    }
    let midcall = match (&options.midcall, options.mirror) {
        (Some(path), _) => path.clone(),
        (None, true) => PathBuf::new(),
        (None, false) => match build(&root) {
            Ok(path) => path,
            Err(why) => {
                println!("BAD     {why}");
                return Summary { failed: summary.failed + runs.len().max(1), ..summary };
            }
        },
    };
    let (config, logs) = (root.join("interop"), target(&root).join("interop"));
    let world = World { midcall, config, logs, mirror: options.mirror };
    let exported = options.only.is_empty() || options.only.iter().any(|only| only == "exported");
    if exported && !world.mirror && options.peers.contains(&Peer::Sipp) && process::present("sipp") {
        found = true;
        match exported::play(&world) {
            Ok(()) => {
                println!("ok      exported");
                summary.passed += 1;
            }
            Err(why) => {
                println!("FAILED  exported\n          {why}");
                summary.failed += 1;
            }
        }
    }
    if !found && !options.only.is_empty() {
        println!("BAD     no scenario is named {}", options.only.join(" or "));
        summary.failed += 1;
    }
    let (passed, failed) = perform(runs, &world, options.jobs);
    summary.passed += passed;
    summary.failed += failed;
    summary
}

/// Plays all runs, the longest first, some at a time. What fails beside the others is played once more alone: these runs
/// are in real time, and eight of them share the machine. A second failure counts, and so does a crowd of first ones.
fn perform(mut runs: Vec<Run>, world: &World, jobs: usize) -> (usize, usize) {
    runs.sort_by_key(|run| run.seat.limit);
    let queue = Mutex::new(runs);
    let done = Mutex::new((0, Vec::new()));
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(run) = queue.lock().ok().and_then(|mut queue| queue.pop()) {
                    let report = attempt(&run, world);
                    let Ok(mut done) = done.lock() else { return };
                    match report {
                        None => done.0 += 1,
                        Some(report) => done.1.push((run, report)),
                    }
                }
            });
        }
    });
    let (mut passed, mut failed) = done.into_inner().unwrap_or_default();
    if failed.len() <= MOST_SECOND_TRIES {
        failed.retain_mut(|(run, report)| {
            println!("again   {:<36} alone, after it failed beside others", run.name());
            let second = attempt(run, world);
            passed += usize::from(second.is_none());
            second.map(|second| *report = second).is_some()
        });
    }
    // Once more, so that the end of a log says all that is wrong.
    for (_, report) in &failed {
        println!("{report}");
    }
    (passed, failed.len())
}

/// So many runs may fail for want of time; more of them fail for another reason.
const MOST_SECOND_TRIES: usize = 12;

/// Plays one run and tells how it went; gives the report of one that failed.
fn attempt(run: &Run, world: &World) -> Option<String> {
    let start = Instant::now();
    let faults = play::play(run, world).unwrap_or_else(|why| vec![why]);
    let seconds = start.elapsed().as_secs_f64();
    if faults.is_empty() {
        println!("ok      {:<36} {seconds:5.1} s  {}", run.name(), run.title);
        return None;
    }
    let dir = world.logs.join(run.name());
    let mut text = format!("FAILED  {:<36} {seconds:5.1} s  {}", run.name(), run.title);
    for line in faults.iter().cloned().chain(complaints(&dir)) {
        text.push_str("\n          ");
        text.push_str(&line);
    }
    text.push_str(&format!("\n          logs: {}", dir.display()));
    println!("{text}");
    Some(text)
}

/// The last that each SIPp of a run complained of.
fn complaints(dir: &Path) -> Vec<String> {
    let Ok(files) = fs::read_dir(dir) else { return Vec::new() };
    let mut files: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "err"));
    files.sort();
    let mut said = Vec::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).unwrap_or_default();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = lines.get(lines.len().saturating_sub(COMPLAINTS)..).unwrap_or_default();
        said.extend(last.iter().map(|line| format!("{name}: {line}")));
    }
    said
}

/// So many lines of a SIPp's complaints are shown.
const COMPLAINTS: usize = 4;

fn read(words: &[String]) -> Options {
    let mut options =
        Options { peers: Vec::new(), only: Vec::new(), jobs: 8, mirror: false, list: false, midcall: None };
    for word in words {
        if let Some(peer) = Peer::ALL.into_iter().find(|peer| peer.name() == word) {
            options.peers.push(peer);
        } else if let Some(jobs) = word.strip_prefix("jobs=").and_then(|n| n.parse().ok()) {
            options.jobs = jobs;
        } else if let Some(path) = word.strip_prefix("midcall=") {
            options.midcall = Some(path.into());
        } else if word == "mirror" {
            options.mirror = true;
        } else if word == "list" {
            options.list = true;
        } else {
            options.only.push(word.clone());
        }
    }
    if options.peers.is_empty() {
        options.peers = Peer::ALL.to_vec();
    }
    options
}

fn build(root: &Path) -> Result<PathBuf, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "midcall-cli", "--bin", "midcall"]).current_dir(root);
    let status = command.status().map_err(|e| format!("cargo: {e}"))?;
    if !status.success() {
        return Err("midcall does not build".into());
    }
    Ok(target(root).join("debug/midcall"))
}

fn target(root: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

const INSTALL: &str = "apt-get install --no-install-recommends sip-tester baresip-core kamailio kamailio-tls-modules \
                       kamailio-utils-modules tshark";

#[cfg(test)]
mod tests;
