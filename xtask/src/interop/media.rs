//! RTP on the loopback, captured by dumpcap: does it flow while the ladder says so, and stop while it must?

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::check::Window;
use super::ladder::Flow;
use super::ports::Ports;
use super::process::Process;

/// One packet: when, and whether midcall sent it.
pub(crate) struct Packet {
    at: f64,
    from_midcall: bool,
}

/// A running capture.
pub(crate) struct Capture {
    process: Process,
    dir: PathBuf,
    ports: Ports,
}

impl Capture {
    pub(crate) fn start(ports: Ports, dir: &Path) -> Result<Self, String> {
        let mut command = Command::new("dumpcap");
        let filter = format!("udp portrange {}-{}", ports.media(0), ports.last());
        command.args(["-q", "-i", "lo", "-f", &filter, "-w", FILE]);
        let process = Process::start("dumpcap", &mut command, dir).map_err(|e| format!("dumpcap: {e}"))?;
        let capture = Self { process, dir: dir.to_path_buf(), ports };
        capture.ready(&dir.join("dumpcap.log"))?;
        Ok(capture)
    }

    fn ready(&self, log: &Path) -> Result<(), String> {
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            if fs::read_to_string(log).unwrap_or_default().contains("File:") {
                sleep(Duration::from_millis(300));
                return Ok(());
            }
            sleep(Duration::from_millis(30));
        }
        Err("dumpcap does not capture on lo (needs root or cap_net_raw)".into())
    }

    /// Ends it and returns the RTP packets; RTCP has odd ports and is left out.
    pub(crate) fn finish(mut self) -> Vec<Packet> {
        sleep(Duration::from_millis(300));
        self.process.stop();
        let mut command = Command::new("tshark");
        command.args(["-n", "-r", FILE, "-T", "fields"]).current_dir(&self.dir).stderr(Stdio::null());
        command.args(["-e", "frame.time_epoch", "-e", "udp.srcport", "-e", "udp.dstport"]);
        let text = command.output().map(|output| output.stdout).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let peer = self.ports.media(0)..=self.ports.last();
        let packet = |row: &str| {
            let mut words = row.split('\t');
            let at = words.next()?.parse().ok()?;
            let source: u16 = words.next()?.parse().ok()?;
            let target: u16 = words.next()?.parse().ok()?;
            let side = if peer.contains(&source) { source } else { target };
            (side % 2 == 0).then_some(Packet { at, from_midcall: !peer.contains(&source) })
        };
        text.lines().filter_map(packet).collect()
    }
}

/// Whether every window of the ladder saw the media it asks for.
pub(crate) fn judge(windows: &[Window], packets: &[Packet]) -> Vec<String> {
    let mut faults = Vec::new();
    for window in windows {
        let (from, to) = (window.from + SETTLE, window.to - LAG);
        if to - from < SETTLE {
            faults.push(format!("rtp after {}: too short to tell", window.after));
            continue;
        }
        let count =
            |ours| packets.iter().filter(|p| p.from_midcall == ours && (from..to).contains(&p.at)).count();
        let (sent, received) = (count(true), count(false));
        // 50 packets a second are due; half of them is clearly flowing
        let enough = ((to - from) * 25.0) as usize;
        let (send, receive) = match window.flow {
            Flow::Both => (Some(true), Some(true)),
            Flow::None => (Some(false), Some(false)),
            Flow::NotFromMidcall => (Some(false), None),
            Flow::NotFromPeer => (None, Some(false)),
        };
        for (side, wanted, count) in [("midcall", send, sent), ("the peer", receive, received)] {
            if wanted.is_some_and(|wanted| if wanted { count < enough } else { count > 0 }) {
                let wanted = if wanted == Some(true) { format!("{enough} or more") } else { "none".into() };
                faults.push(format!(
                    "rtp after {}: {count} packets from {side} in {:.1} s, wanted {wanted}",
                    window.after,
                    to - from
                ));
            }
        }
    }
    faults
}

const FILE: &str = "rtp.pcapng";

/// How late the record of the peer may be read.
const LAG: f64 = 0.15;

/// Time for a change to reach the media.
const SETTLE: f64 = 0.3;
