//! Kamailio as a record-routing proxy: one or two of its own for each run.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::play::Run;
use super::ports::Ports;
use super::process::{Process, wait_bound};

/// Starts the proxies a run asks for.
pub(crate) fn start(run: &Run, ports: Ports, config: &Path, dir: &Path) -> Result<Vec<Process>, String> {
    let mut started = Vec::new();
    for nth in 0..u16::try_from(run.seat.proxies).unwrap_or(0) {
        let name = format!("kamailio-{}", nth + 1);
        let work = dir.join(&name);
        fs::create_dir_all(&work).map_err(|e| format!("{}: {e}", work.display()))?;
        let port = ports.proxy(nth);
        let mut command = Command::new(program());
        command.args(["-DD", "-E", "-m", "16", "-M", "4", "-f"]).arg(config.join("kamailio.cfg"));
        command.args(["-l", &format!("udp:127.0.0.1:{port}"), "-Y"]).arg(&work);
        command.arg("-w").arg(&work).arg("-P").arg(work.join("pid"));
        for define in &run.seat.kamailio {
            command.args(["-A", define]);
        }
        let mut process = Process::start(&name, &mut command, dir).map_err(|e| format!("kamailio: {e}"))?;
        wait_bound(port, &mut process, dir)?;
        started.push(process);
    }
    Ok(started)
}

fn program() -> &'static str {
    if Path::new("/usr/sbin/kamailio").is_file() { "/usr/sbin/kamailio" } else { "kamailio" }
}
