//! Children: started, watched, and ended by their own id only.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A child that does not outlive its owner.
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) child: Child,
    pub(crate) status: Option<ExitStatus>,
    pub(crate) stopped: bool,
}

impl Process {
    /// Starts a command with its output in `<dir>/<name>.out` and `.log`.
    pub(crate) fn start(name: &str, command: &mut Command, dir: &Path) -> io::Result<Self> {
        command.current_dir(dir).stdin(Stdio::null());
        command.stdout(File::create(dir.join(format!("{name}.out")))?);
        command.stderr(File::create(dir.join(format!("{name}.log")))?);
        Ok(Self::of(name, command.spawn()?))
    }

    pub(crate) fn of(name: &str, child: Child) -> Self {
        Self { name: name.into(), child, status: None, stopped: false }
    }

    /// Whether it has ended.
    pub(crate) fn ended(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status.is_some()
    }

    pub(crate) fn code(&self) -> Option<i32> {
        self.status.and_then(|status| status.code())
    }

    /// The last line it wrote to its files in a folder.
    pub(crate) fn last_words(&self, dir: &Path) -> String {
        let said =
            |ending| fs::read_to_string(dir.join(format!("{}.{ending}", self.name))).unwrap_or_default();
        let said = [said("err"), said("log"), said("out")].concat();
        said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_string()
    }

    /// Asks it to end, and insists after a second.
    pub(crate) fn stop(&mut self) {
        if self.ended() {
            return;
        }
        self.stopped = true;
        let id = self.child.id().to_string();
        for signal in ["-TERM", "-CONT"] {
            let _ = Command::new("kill").args([signal, &id]).stderr(Stdio::null()).status();
        }
        let end = Instant::now() + Duration::from_secs(1);
        while !self.ended() && Instant::now() < end {
            sleep(Duration::from_millis(20));
        }
        if !self.ended() {
            let _ = self.child.kill();
            self.status = self.child.wait().ok();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits until somebody listens on a UDP port. The kernel is asked: a bind to try the port would, for its moment,
/// take it from the one waited for.
pub(crate) fn wait_bound(port: u16, owner: &mut Process, dir: &Path) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        if bound(port) {
            return Ok(());
        }
        if owner.ended() {
            return Err(format!("{} ended before it listened: {}", owner.name, owner.last_words(dir)));
        }
        sleep(Duration::from_millis(15));
    }
    Err(format!("{} does not listen on {port}", owner.name))
}

/// Whether a UDP socket of this machine holds the port.
fn bound(port: u16) -> bool {
    let ending = format!(":{port:04X}");
    ["/proc/net/udp", "/proc/net/udp6"].iter().any(|table| {
        let table = fs::read_to_string(table).unwrap_or_default();
        table.lines().any(|line| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&ending)))
    })
}

/// Whether a program is there.
pub(crate) fn present(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([Path::new("/usr/sbin").to_path_buf()])
        .any(|dir| dir.join(program).is_file())
}
