//! Calls that `midcall analyze` exported, played again by SIPp against midcall: a good one from both sides, and one with a
//! peer that answers a hold as if it were none, which must break the same rule as often as it is played. One in which both
//! sides' changes met is played by SIPp on both sides.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::play::World;
use super::ports::{Block, Ports};
use super::process::{Process, wait_bound};

/// Plays all of it; `Err` says what went otherwise.
pub(crate) fn play(world: &World) -> Result<(), String> {
    let dir = world.logs.join("exported");
    fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let block = Block::take();
    let bench = Bench { world, dir: &dir, ports: block.ports() };
    bench.two_midcalls("first")?;
    for side in ["caller", "callee"] {
        let scenario = bench.export("first", side, &format!("sipp:{side}"))?;
        bench.against(&scenario, side)?;
        bench.finds(side, &[])?;
    }
    let good = fs::read_to_string(dir.join("callee.xml")).map_err(|error| error.to_string())?;
    let stuck = good.replacen("a=recvonly", "a=sendrecv", 1);
    fs::write(dir.join("stuck.xml"), stuck).map_err(|error| error.to_string())?;
    bench.against("stuck.xml", "stuck")?;
    bench.finds("stuck", &["OA-23"])?;
    let scenario = bench.export("stuck", "again", "sipp")?;
    bench.against(&scenario, "again")?;
    bench.finds("again", &["OA-23"])?;
    bench.both_sides(MET)
}

struct Bench<'b> {
    world: &'b World,
    dir: &'b Path,
    ports: Ports,
}

impl Bench<'_> {
    fn midcall(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.world.midcall);
        command.args(arguments);
        command
    }

    /// A call whose caller holds, resumes and hangs up, captured by the caller.
    fn two_midcalls(&self, name: &str) -> Result<(), String> {
        let mut callee = self.answering(name)?;
        let caller = self.calling(name, self.ports.midcall())?;
        finish(caller, self.dir)?;
        finish(&mut callee, self.dir)
    }

    /// midcall on one side, a scenario on the other: whoever answers is there first.
    fn against(&self, scenario: &str, name: &str) -> Result<(), String> {
        let midcall = self.ports.midcall().to_string();
        let mut sipp = Command::new("sipp");
        let own = self.ports.peer(0);
        sipp.args(["-sf", scenario, "-m", "1", "-i", "127.0.0.1", "-nostdin", "-p", &own.to_string()]);
        sipp.args(["-mp", &self.ports.media(0).to_string()]);
        if name == "caller" {
            let mut callee = self.answering(name)?;
            sipp.args(["-s", "bob", &format!("127.0.0.1:{midcall}")]);
            let sipp =
                Process::start(&format!("{name}-sipp"), &mut sipp, self.dir).map_err(|e| e.to_string())?;
            finish(sipp, self.dir)?;
            return finish(&mut callee, self.dir);
        }
        let mut sipp =
            Process::start(&format!("{name}-sipp"), &mut sipp, self.dir).map_err(|e| format!("sipp: {e}"))?;
        wait_bound(own, &mut sipp, self.dir)?;
        finish(self.calling(name, own)?, self.dir)?;
        finish(sipp, self.dir)
    }

    /// Both sides of a captured call against each other.
    fn both_sides(&self, capture: &str) -> Result<(), String> {
        let play = |side: &str, own: u16, media: u16, to: Option<u16>| {
            let scenario = format!("met-{side}.xml");
            self.write(capture, &scenario, &format!("sipp:{side}"))?;
            // They talked for half a minute.
            let path = self.dir.join(&scenario);
            let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
            fs::write(&path, text.replace("\"29992\"", "\"300\"")).map_err(|error| error.to_string())?;
            let mut sipp = Command::new("sipp");
            sipp.args(["-sf", &scenario, "-m", "1", "-i", "127.0.0.1", "-nostdin", "-p", &own.to_string()]);
            sipp.args(["-mp", &media.to_string(), "-s", "bob"]).args(to.map(|to| format!("127.0.0.1:{to}")));
            Process::start(&format!("met-{side}"), &mut sipp, self.dir)
                .map_err(|error| format!("sipp: {error}"))
        };
        let (near, far) = (self.ports.peer(1), self.ports.peer(0));
        let mut callee = play("callee", far, self.ports.media(0), None)?;
        wait_bound(far, &mut callee, self.dir)?;
        finish(play("caller", near, self.ports.media(1), Some(far))?, self.dir)?;
        finish(callee, self.dir)
    }

    fn answering(&self, name: &str) -> Result<Process, String> {
        let listen = format!("udp:127.0.0.1:{}", self.ports.midcall());
        let capture = format!("{name}.pcapng");
        let script = "answer; expect peer-held within 5s; expect resumed within 5s; expect ended within 5s";
        let mut command =
            self.midcall(&["answer", "--listen", &listen, "--capture", &capture, "--do", script]);
        let mut callee = Process::start(&format!("{name}-answer"), &mut command, self.dir)
            .map_err(|error| format!("midcall: {error}"))?;
        wait_bound(self.ports.midcall(), &mut callee, self.dir)?;
        Ok(callee)
    }

    fn calling(&self, name: &str, port: u16) -> Result<Process, String> {
        let listen = format!("udp:127.0.0.1:{}", self.ports.peer(1));
        let (capture, to) = (format!("{name}.pcapng"), format!("sip:bob@127.0.0.1:{port}"));
        let capture = if name == "first" { "first-caller.pcapng".to_owned() } else { capture };
        let script = "expect established within 5s; wait 300ms; hold; wait 300ms; resume; wait 300ms; bye";
        let mut command =
            self.midcall(&["call", &to, "--listen", &listen, "--capture", &capture, "--do", script]);
        Process::start(&format!("{name}-call"), &mut command, self.dir)
            .map_err(|error| format!("midcall: {error}"))
    }

    fn export(&self, from: &str, to: &str, kind: &str) -> Result<String, String> {
        let (capture, scenario) = (format!("{from}.pcapng"), format!("{to}.xml"));
        self.write(&capture, &scenario, kind)?;
        Ok(scenario)
    }

    fn write(&self, capture: &str, scenario: &str, kind: &str) -> Result<(), String> {
        let arguments = ["analyze", capture, "--export", kind, "--output", scenario, "--fail-on", "never"];
        let status =
            self.midcall(&arguments).current_dir(self.dir).status().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("{capture} cannot be exported as {kind}")) }
    }

    /// The errors in a capture are these.
    fn finds(&self, name: &str, codes: &[&str]) -> Result<(), String> {
        let capture = format!("{name}.pcapng");
        let output = self
            .midcall(&["analyze", &capture, "--format", "json"])
            .current_dir(self.dir)
            .output()
            .map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        let rules = text.split("\"rule\":\"").skip(1).filter_map(|rest| {
            let (code, rest) = rest.split_once('"')?;
            rest.starts_with(",\"severity\":\"error\"").then(|| code.to_owned())
        });
        let found: Vec<String> = rules.collect();
        if found == codes { Ok(()) } else { Err(format!("{capture} has {found:?} instead of {codes:?}")) }
    }
}

/// Waits for the end, which must be a good one.
fn finish(mut process: impl std::borrow::BorrowMut<Process>, dir: &Path) -> Result<(), String> {
    let process = process.borrow_mut();
    let limit = Instant::now() + Duration::from_secs(20);
    while !process.ended() {
        if Instant::now() > limit {
            process.stop();
            return Err(format!("{} does not end", process.name));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    match process.code() {
        Some(0) => Ok(()),
        code => Err(format!("{} ended with {code:?}: {}", process.name, process.last_words(dir))),
    }
}

/// A call of two phones that held at the same time.
const MET: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/analyzer/tests/peers/linphone-holds-meet.pcap");
