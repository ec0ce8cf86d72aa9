//! baresip: configured for one run, driven over its control socket, recorded by its own SIP trace.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::ladder;
use super::ports::Ports;
use super::process::{Process, wait_bound};

type Rows = Arc<Mutex<Vec<(f64, String)>>>;

/// A running baresip.
pub(crate) struct Baresip {
    process: Process,
    ports: Ports,
    rows: Rows,
    readers: Vec<JoinHandle<()>>,
    dir: PathBuf,
    /// A connection that it accepted before it was stopped: a command on it is read before any packet that comes later.
    open: Option<TcpStream>,
}

impl Baresip {
    pub(crate) fn start(ports: Ports, config: &Path, dir: &Path) -> Result<Self, String> {
        let home = dir.join("baresip");
        fs::create_dir_all(&home).map_err(|e| format!("{}: {e}", home.display()))?;
        for file in ["config", "accounts", "contacts"] {
            let text = fs::read_to_string(config.join(file)).map_err(|e| format!("baresip {file}: {e}"))?;
            let text = text
                .replace("{SIP}", &ports.peer(0).to_string())
                .replace("{CONTROL}", &ports.control().to_string())
                .replace("{RTP}", &format!("{}-{}", ports.media(0), ports.last()))
                .replace("{HOME}", &home.display().to_string());
            fs::write(home.join(file), text).map_err(|e| format!("baresip {file}: {e}"))?;
        }
        let rows: Rows = Arc::default();
        let (process, reader) = spawn(ports, dir, &rows)?;
        let readers = reader.into_iter().collect();
        Ok(Self { process, ports, rows, readers, dir: dir.to_path_buf(), open: None })
    }

    /// Kills it, and starts another one in its place that knows of no call.
    fn restart(&mut self) -> Result<(), String> {
        let _ = self.process.child.kill();
        let _ = self.process.child.wait();
        let (process, reader) = spawn(self.ports, &self.dir, &self.rows)?;
        self.process = process;
        self.readers.extend(reader);
        Ok(())
    }

    /// Stops it, or lets it go on: what is sent to it meanwhile waits.
    fn signal(&self, signal: &str) -> Result<(), String> {
        let id = self.process.child.id().to_string();
        Command::new("kill").args([signal, &id]).status().map(drop).map_err(|e| format!("kill: {e}"))
    }

    /// Dials if asked to, and runs the script from the moment the call is up.
    pub(crate) fn perform(&mut self, script: &str, dial: Option<String>, end: Instant) -> Result<(), String> {
        if let Some(uri) = dial {
            self.await_row("baresip is ready", end)?;
            self.command("dial", &uri)?;
        }
        let steps = script.split(';').map(str::trim).filter(|s| !s.is_empty());
        if steps.clone().next().is_some() {
            self.await_row("ACK sip:", end)?;
        }
        for step in steps {
            let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
            match verb {
                "wait" => sleep(ladder::duration(rest).ok_or_else(|| format!("baresip: {step}"))?),
                "await" => self.await_row(rest, end)?,
                "freeze" => {
                    self.open = Some(self.connect().map_err(|e| format!("baresip control: {e}"))?);
                    sleep(Duration::from_millis(50));
                    self.signal("-STOP")?;
                }
                "thaw" => {
                    self.signal("-CONT")?;
                    sleep(Duration::from_millis(50));
                    self.open = None;
                }
                "restart" => self.restart()?,
                _ => self.command(verb, rest)?,
            }
        }
        Ok(())
    }

    fn await_row(&mut self, what: &str, end: Instant) -> Result<(), String> {
        while !self.rows.lock().is_ok_and(|rows| rows.iter().any(|(_, row)| row.contains(what))) {
            if Instant::now() > end || self.process.ended() {
                return Err(format!("baresip never printed {what}"));
            }
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// One command of its menu, as JSON in a netstring.
    fn command(&self, verb: &str, rest: &str) -> Result<(), String> {
        let open = self.open.as_ref().map_or_else(|| self.connect(), TcpStream::try_clone);
        let mut socket = open.map_err(|e| format!("baresip control: {e}"))?;
        let json = format!("{{\"command\":\"{verb}\",\"params\":\"{rest}\",\"token\":\"interop\"}}");
        write!(socket, "{}:{json},", json.len()).map_err(|e| format!("baresip control: {e}"))?;
        // it serves one connection at a time and must have read before this one closes
        sleep(Duration::from_millis(30));
        Ok(())
    }

    /// Its control port may be bound a little later than its SIP port.
    fn connect(&self) -> std::io::Result<TcpStream> {
        let end = Instant::now() + Duration::from_secs(2);
        loop {
            match TcpStream::connect(("127.0.0.1", self.ports.control())) {
                Err(_) if Instant::now() < end => sleep(Duration::from_millis(20)),
                connected => return connected,
            }
        }
    }

    /// Ends it and returns what it printed, with the time of each row.
    pub(crate) fn finish(mut self) -> Vec<(f64, String)> {
        self.process.stop();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        let rows = self.rows.lock().map(|rows| rows.clone()).unwrap_or_default();
        let text: String = rows.iter().map(|(_, row)| row.as_str()).collect();
        let _ = fs::write(self.dir.join("baresip.out"), text);
        rows
    }
}

/// Starts it, and a thread that reads what it prints.
fn spawn(ports: Ports, dir: &Path, rows: &Rows) -> Result<(Process, Option<JoinHandle<()>>), String> {
    let mut command = Command::new("stdbuf");
    command.args(["-oL", "baresip", "-s", "-f"]).arg(dir.join("baresip")).current_dir(dir);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|e| format!("baresip: {e}"))?;
    let reader = child.stdout.take().map(|out| {
        let rows = Arc::clone(rows);
        thread::spawn(move || read(BufReader::new(out), &rows))
    });
    let mut process = Process::of("baresip", child);
    wait_bound(ports.peer(0), &mut process, dir)?;
    Ok((process, reader))
}

fn read(mut out: impl BufRead, rows: &Rows) {
    let mut row = Vec::new();
    while out.read_until(b'\n', &mut row).is_ok_and(|n| n > 0) {
        if let Ok(mut rows) = rows.lock() {
            rows.push((now(), String::from_utf8_lossy(&row).into_owned()));
        }
        row.clear();
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|d| d.as_secs_f64()).unwrap_or_default()
}
