//! Runs a program with a time limit, showing its output as it comes.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::root;

/// A cargo command in the root of the work tree.
pub(crate) fn cargo(words: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(words).current_dir(root());
    command
}

/// A cargo command of the nightly toolchain. rustup's proxies decide by the variables that the outer cargo has
/// already set for the toolchain of this process, so they are taken away.
pub(crate) fn nightly(words: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.arg("+nightly").args(words).current_dir(root());
    for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(name);
    }
    command
}

/// Whether a program of that name can be started.
pub(crate) fn installed(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).chain(["/usr/sbin".into()]).any(|folder| folder.join(program).is_file())
    })
}

/// No command may run beyond that moment, whatever its own limit.
pub(crate) fn finish_by(end: Instant) {
    let _ = DEADLINE.set(end);
}

/// How much of the time for the whole run is left.
pub(crate) fn left() -> Duration {
    DEADLINE.get().map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()))
}

/// Does some work for as long as there is time. What it started by then, and has not ended, is killed.
pub(crate) fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let (done, wait) = mpsc::channel();
    thread::spawn(move || {
        let _ = done.send(work());
    });
    // A duration that means "for ever" is more than a channel can wait.
    wait.recv_timeout(left().min(Duration::from_secs(86_400))).map_err(|_| {
        kill_tree(std::process::id());
        "stopped: the time for the whole run is over".to_owned()
    })
}

/// Runs a command to its end, or kills it and everything it started when the limit is over. Every line it prints is
/// printed and handed to `see`. The error says in a few words what went wrong.
pub(crate) fn run(command: &mut Command, limit: Duration, mut see: impl FnMut(&str)) -> Result<(), String> {
    let name =
        Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let limit = left().min(limit);
    if limit.is_zero() {
        return Err(format!("{name} not started: the time for the whole run is over"));
    }
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(|e| format!("{name}: {e}"))?;
    let output = child.stdout.take();
    let (finished, watch) = mpsc::channel::<()>();
    let id = child.id();
    let watchdog = thread::spawn(move || {
        let late = watch.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
        if late {
            kill_tree(id);
        }
        late
    });
    if let Some(output) = output {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            see(&line);
        }
    }
    let status = child.wait().map_err(|e| format!("{name}: {e}"))?;
    drop(finished);
    if watchdog.join().unwrap_or(false) {
        return Err(format!("stopped: not done after {} s", limit.as_secs()));
    }
    if status.success() { Ok(()) } else { Err(format!("{name} ended with {status}")) }
}

/// What a command printed, when it ended well.
pub(crate) fn ask(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Ends a process, if it is not this one, and all its descendants. They share our process group (so that Ctrl-C
/// reaches them), which is why the group as a whole cannot be the one killed.
fn kill_tree(top: u32) {
    let parents = parents();
    let mut doomed = vec![top];
    let mut next = 0;
    while let Some(&id) = doomed.get(next) {
        doomed.extend(parents.iter().filter(|&(_, &parent)| parent == id).map(|(&child, _)| child));
        next += 1;
    }
    let _ = Command::new("kill")
        .arg("-KILL")
        .args(doomed.iter().filter(|&&id| id != std::process::id()).map(u32::to_string))
        .stderr(Stdio::null())
        .spawn()
        .as_mut()
        .map(Child::wait);
}

/// Every process with its parent, from /proc (empty where there is none).
fn parents() -> HashMap<u32, u32> {
    let Ok(folder) = fs::read_dir("/proc") else { return HashMap::new() };
    folder
        .flatten()
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // The name, in brackets, may hold blanks: count fields from its end.
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((id, parent))
        })
        .collect()
}

static DEADLINE: OnceLock<Instant> = OnceLock::new();
