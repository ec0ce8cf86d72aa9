//! Plays one seat of one scenario: starts everybody, waits, judges.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::check::{self, Depth};
use super::ladder::{self, Role, Step};
use super::ports::{Block, Ports};
use super::process::{Process, wait_bound};
use super::record::{self, Seen};
use super::scenario::{Scenario, Seat};
use super::sipp::{self, Place};
use super::{always, baresip, kamailio, media};

/// What a run needs to know of the world.
pub(crate) struct World {
    pub(crate) midcall: PathBuf,
    /// The folder `interop`.
    pub(crate) config: PathBuf,
    /// Where logs go.
    pub(crate) logs: PathBuf,
    /// SIPp takes midcall's place.
    pub(crate) mirror: bool,
}

/// One seat of one scenario against one peer.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) peer: Peer,
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) rules: Vec<String>,
    pub(crate) number: usize,
    pub(crate) role: Role,
    pub(crate) seat: Seat,
}

/// The other side.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Sipp,
    Baresip,
    /// SIPp behind Kamailio.
    Kamailio,
}

impl Peer {
    pub(crate) const ALL: [Self; 3] = [Self::Sipp, Self::Baresip, Self::Kamailio];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sipp => "sipp",
            Self::Baresip => "baresip",
            Self::Kamailio => "kamailio",
        }
    }

    /// Programs it needs.
    pub(crate) fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Sipp => &["sipp"],
            Self::Baresip => &["baresip", "dumpcap", "tshark", "stdbuf"],
            Self::Kamailio => &["kamailio", "sipp"],
        }
    }
}

impl Run {
    /// Every run of a scenario.
    pub(crate) fn all(peer: Peer, scenario: &Scenario) -> Vec<Self> {
        let mut runs = Vec::new();
        for (number, seat) in scenario.seat.iter().enumerate() {
            for role in seat.roles() {
                let (id, title, rules) =
                    (scenario.id.clone(), scenario.title.clone(), scenario.rules.clone());
                runs.push(Self { peer, id, title, rules, number, role, seat: seat.clone() });
            }
        }
        runs
    }

    /// `I01-2-callee`, also the name of the log folder.
    pub(crate) fn name(&self) -> String {
        let role = if self.role == Role::Caller { "caller" } else { "callee" };
        let seat = if self.seat.name.is_empty() { String::new() } else { format!("-{}", self.seat.name) };
        format!("{}-{}-{}{seat}-{role}", self.peer.name(), self.id, self.number + 1)
    }
}

/// Plays a run and returns what was wrong.
pub(crate) fn play(run: &Run, world: &World) -> Result<Vec<String>, String> {
    let dir = world.logs.join(run.name());
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let block = Block::take();
    let stage = Stage { run, world, ports: block.ports(), dir };
    let mut faults = if run.peer == Peer::Baresip { stage.with_baresip()? } else { stage.with_sipp()? };
    faults.retain(|fault| !run.seat.except.iter().any(|known| fault.contains(known.as_str())));
    if !faults.is_empty() {
        let _ = fs::write(stage.dir.join("faults.txt"), faults.join("\n"));
    }
    Ok(faults)
}

struct Stage<'a> {
    run: &'a Run,
    world: &'a World,
    ports: Ports,
    dir: PathBuf,
}

/// One ladder and the SIPp that plays it.
struct Part {
    letter: char,
    nth: u16,
    text: String,
    steps: Vec<Step>,
    peer: Option<Process>,
    mirror: Option<Process>,
}

impl Stage<'_> {
    fn with_sipp(&self) -> Result<Vec<String>, String> {
        let mut proxies =
            kamailio::start(self.run, self.ports, &self.world.config.join("kamailio"), &self.dir)?;
        let mut parts = self.parts()?;
        let mut midcall = None;
        let after = self.run.seat.after.is_some();
        for part in parts.iter_mut().filter(|part| ladder::role(&part.text) == Role::Caller) {
            part.peer = Some(self.sipp(part, false, &BTreeMap::new())?);
        }
        if !self.world.mirror {
            midcall = Some(self.midcall()?);
        }
        for part in &mut parts {
            let late = after && part.nth > 0;
            if self.world.mirror {
                part.mirror = Some(self.sipp(part, true, &BTreeMap::new())?);
            }
            if part.peer.is_none() && !late {
                part.peer = Some(self.sipp(part, false, &BTreeMap::new())?);
            }
        }
        self.wait(&mut parts, &mut midcall)?;
        if let Some(midcall) = &mut midcall {
            midcall.stop();
        }
        for proxy in &mut proxies {
            proxy.stop();
        }
        Ok(self.judge(parts, midcall))
    }

    fn parts(&self) -> Result<Vec<Part>, String> {
        let seat = &self.run.seat;
        let texts = [Some(&seat.ladder), seat.c.as_ref(), seat.d.as_ref()];
        let mut parts = Vec::new();
        for (nth, (letter, text)) in (0..).zip(['B', 'C', 'D'].into_iter().zip(texts)) {
            let Some(text) = text else { continue };
            let text = self.fill(text);
            let steps = ladder::parse(&text, self.run.role)?;
            let text = ladder::head(&text, self.run.role);
            parts.push(Part { letter, nth, text, steps, peer: None, mirror: None });
        }
        Ok(parts)
    }

    /// Puts addresses in the place of `{B}` and the like.
    fn fill(&self, text: &str) -> String {
        let mut text = text.to_string();
        let at = |port: u16| format!("127.0.0.1:{port}");
        let [b, c] = [0, 1].map(|nth| self.ports.peer(nth).to_string());
        let names = [
            ("{b}", b),
            ("{c}", c),
            ("{midcall}", at(self.ports.midcall())),
            ("{B}", at(self.ports.peer(0))),
            ("{C}", at(self.ports.peer(1))),
            ("{D}", at(self.ports.peer(2))),
            ("{K}", at(self.ports.proxy(0))),
            ("{elsewhere}", at(self.ports.elsewhere())),
            ("{moved}", at(self.ports.moved())),
            ("{K2}", at(self.ports.proxy(1))),
            ("{dir}", self.dir.display().to_string()),
        ];
        for (name, value) in names {
            text = text.replace(name, &value);
        }
        text
    }

    /// The URI that reaches a port, through the proxies of this run.
    fn uri(&self, user: &str, port: u16) -> String {
        match self.run.seat.proxies {
            0 => format!("sip:{user}@127.0.0.1:{port}"),
            1 => format!("sip:p{port}@127.0.0.1:{}", self.ports.proxy(0)),
            _ => format!("sip:p{}.p{port}@127.0.0.1:{}", self.ports.proxy(1), self.ports.proxy(0)),
        }
    }

    fn sipp(&self, part: &Part, mirror: bool, keys: &BTreeMap<String, String>) -> Result<Process, String> {
        let (own, other) = match mirror {
            false => {
                (self.ports.peer(part.nth), self.ports.mirror(if self.world.mirror { part.nth } else { 0 }))
            }
            true => (self.ports.mirror(part.nth), self.ports.peer(part.nth)),
        };
        let user = if mirror { "peer" } else { "midcall" };
        let place = Place {
            own,
            other,
            other_uri: self.uri(user, other),
            media: self.ports.media(part.nth),
            hops: self.run.seat.proxies,
            mirror,
        };
        let name = format!("{}-{}", if mirror { "mirror" } else { "sipp" }, part.letter.to_ascii_lowercase());
        let mut xml = sipp::compile(&self.run.name(), &part.steps, &place, &self.run.seat.bodies);
        for (key, value) in keys {
            xml = xml.replace(key, value);
        }
        let file = format!("{name}.xml");
        fs::write(self.dir.join(&file), xml).map_err(|e| format!("{file}: {e}"))?;
        let caller = (ladder::role(&part.text) == Role::Callee) != mirror;
        let mut command = Command::new("sipp");
        if caller {
            let first_hop = if self.run.seat.proxies > 0 { self.ports.proxy(0) } else { other };
            command.arg(format!("127.0.0.1:{first_hop}"));
        }
        let limit = self.run.seat.limit;
        command.args(["-sf", &file, "-i", "127.0.0.1", "-p", &own.to_string(), "-m", "1", "-nostdin"]);
        command.args(["-mp", &(place.media + if mirror { 4 } else { 0 }).to_string()]);
        command.args(["-trace_msg", "-message_file", &format!("{name}.msg")]);
        command.args([
            "-trace_err",
            "-error_file",
            &format!("{name}.err"),
            "-default_behaviors",
            "abortunexp",
        ]);
        command.args(["-recv_timeout", &(limit * 1000).to_string(), "-timeout", &format!("{}s", limit + 5)]);
        command.args(&self.run.seat.sipp).env("TERM", "xterm");
        let mut process = Process::start(&name, &mut command, &self.dir).map_err(|e| format!("sipp: {e}"))?;
        if !caller {
            wait_bound(own, &mut process, &self.dir)?;
        }
        Ok(process)
    }

    fn midcall(&self) -> Result<Process, String> {
        let seat = &self.run.seat;
        let mut command = Command::new(&self.world.midcall);
        let listen = format!("udp:127.0.0.1:{}", self.ports.midcall());
        match self.run.role {
            Role::Caller => {
                let usual = || self.uri("peer", self.ports.peer(0));
                command.arg("call").arg(seat.target.as_ref().map_or_else(usual, |target| self.fill(target)))
            }
            Role::Callee => command.arg("answer"),
        };
        command.args(["--listen", &listen, "--events", "json", "--capture", "midcall.pcapng"]);
        command.args(["--do", &self.fill(&seat.whole_script(self.run.role))]);
        if !seat.args.iter().any(|arg| arg == "--codecs") {
            command.args(["--codecs", "pcmu,pcma"]);
        }
        command.args(seat.args.iter().map(|arg| self.fill(arg))).env("MIDCALL_PASSWORD", "secret");
        let mut process =
            Process::start("midcall", &mut command, &self.dir).map_err(|e| format!("midcall: {e}"))?;
        let id = process.child.id().to_string();
        fs::write(self.dir.join("midcall.pid"), id).map_err(|e| format!("midcall.pid: {e}"))?;
        if self.run.role == Role::Callee {
            wait_bound(self.ports.midcall(), &mut process, &self.dir)?;
        }
        Ok(process)
    }

    /// Until everybody is done, somebody failed, or the time is up.
    fn wait(&self, parts: &mut [Part], midcall: &mut Option<Process>) -> Result<(), String> {
        let mut end = Instant::now() + self.run.seat.limit();
        let mut hurried = false;
        loop {
            self.start_late(parts)?;
            let mut running = midcall.as_mut().is_some_and(|p| !p.ended() && !self.run.seat.endless);
            let wanted = self.run.seat.exit;
            let mut failed =
                midcall.as_ref().is_some_and(|p| wanted >= 0 && p.code().is_some_and(|c| c != wanted));
            for part in parts.iter_mut() {
                for process in [&mut part.peer, &mut part.mirror].into_iter().flatten() {
                    let ended = process.ended();
                    running |= !ended;
                    failed |= ended && process.code() != Some(0);
                }
                running |= part.peer.is_none();
            }
            if failed && !hurried {
                hurried = true;
                end = end.min(Instant::now() + Duration::from_secs(2));
            }
            if !running || Instant::now() > end {
                return Ok(());
            }
            sleep(Duration::from_millis(20));
        }
    }

    /// Starts those who call only after a mark of the first ladder.
    fn start_late(&self, parts: &mut [Part]) -> Result<(), String> {
        let Some(mark) = &self.run.seat.after else { return Ok(()) };
        let [first, others @ ..] = parts else { return Ok(()) };
        if others.iter().all(|part| part.peer.is_some()) {
            return Ok(());
        }
        let seen = self.record("sipp-b.msg");
        if !check::reached(&first.steps, &seen).contains(&mark.as_str()) {
            return Ok(());
        }
        let mut keys = BTreeMap::new();
        if let Some(dialog) = seen.iter().map(|s| &s.sip).find(|sip| sip.tag("To").is_some()) {
            let from_midcall = dialog.header("From").is_some_and(|from| !from.contains("sip:peer@"));
            let tags = [dialog.tag("From").unwrap_or_default(), dialog.tag("To").unwrap_or_default()];
            let [midcall, peer] = if from_midcall { tags } else { [tags[1], tags[0]] };
            keys.insert("{B.call-id}".into(), dialog.call_id().into());
            keys.insert("{B.midcall-tag}".into(), midcall.into());
            keys.insert("{B.tag}".into(), peer.into());
        }
        for part in others.iter_mut().filter(|part| part.peer.is_none()) {
            part.peer = Some(self.sipp(part, false, &keys)?);
        }
        Ok(())
    }

    fn record(&self, file: &str) -> Vec<Seen> {
        let text = fs::read(self.dir.join(file)).unwrap_or_default();
        record::sipp(&String::from_utf8_lossy(&text))
    }

    fn judge(&self, parts: Vec<Part>, midcall: Option<Process>) -> Vec<String> {
        let mut faults = Vec::new();
        let depth = if self.world.mirror { Depth::Order } else { Depth::Scripted };
        for mut part in parts {
            let seen = self.record(&format!("sipp-{}.msg", part.letter.to_ascii_lowercase()));
            let text = record::ladder(&seen);
            let _ =
                fs::write(self.dir.join(format!("ladder-{}.txt", part.letter.to_ascii_lowercase())), text);
            let with = |why: String| if part.nth == 0 { why } else { format!("{}: {why}", part.letter) };
            faults.extend(check::check(&part.steps, &seen, depth).faults.into_iter().map(with));
            if !self.world.mirror {
                faults.extend(always::check(&seen, self.run.seat.proxies).into_iter().map(with));
            }
            for process in [&mut part.peer, &mut part.mirror].into_iter().flatten() {
                if !process.ended() {
                    process.stop();
                }
                faults.extend(sipp_fault(process, &self.dir));
            }
        }
        faults.extend(midcall.and_then(|process| self.midcall_fault(&process)));
        faults
    }

    fn midcall_fault(&self, process: &Process) -> Option<String> {
        if process.stopped && self.run.seat.endless {
            return None;
        }
        if process.stopped {
            return Some(format!("midcall was still running after {} s", self.run.seat.limit));
        }
        let code = process.code();
        let said = fs::read_to_string(self.dir.join("midcall.log")).unwrap_or_default();
        let said = said.lines().last().unwrap_or_default().to_string();
        let wanted = self.run.seat.exit;
        let right = if wanted < 0 { matches!(code, Some(0 | 1)) } else { code == Some(wanted) };
        (!right).then(|| format!("midcall ended with {code:?}: {said}"))
    }

    fn with_baresip(&self) -> Result<Vec<String>, String> {
        let mut parts = self.parts()?;
        let first = parts.remove(0);
        let wants_media = first.steps.iter().any(|step| matches!(step, Step::Rtp(_))) && !self.world.mirror;
        let capture = if wants_media { Some(media::Capture::start(self.ports, &self.dir)?) } else { None };
        let mut baresip = baresip::Baresip::start(self.ports, &self.world.config.join("baresip"), &self.dir)?;
        for part in &mut parts {
            part.peer = Some(self.sipp(part, false, &BTreeMap::new())?);
        }
        let mut midcall = match self.world.mirror {
            true => self.sipp(&first, true, &BTreeMap::new())?,
            false => self.midcall()?,
        };
        let dial = (self.run.role == Role::Callee).then(|| self.uri("midcall", self.ports.midcall()));
        let end = Instant::now() + self.run.seat.limit();
        let script = self.fill(&self.run.seat.baresip);
        let mut faults: Vec<String> = baresip.perform(&script, dial, end).err().into_iter().collect();
        let mut running = true;
        while running && Instant::now() < end && faults.is_empty() {
            sleep(Duration::from_millis(20));
            let peers = parts.iter_mut().filter_map(|part| part.peer.as_mut());
            running = peers.chain([&mut midcall]).any(|process| !process.ended());
        }
        sleep(Duration::from_millis(200));
        midcall.stop();
        let rows = baresip.finish();
        let packets = capture.map(media::Capture::finish);
        let seen = record::baresip(&rows, self.ports.peer(0), self.ports.midcall());
        let _ = fs::write(self.dir.join("ladder-b.txt"), record::ladder(&seen));
        let depth = if self.world.mirror { Depth::Order } else { Depth::Full };
        let checked = check::check(&first.steps, &seen, depth);
        faults.extend(checked.faults);
        if let Some(packets) = packets {
            faults.extend(media::judge(&checked.windows, &packets));
        }
        let midcall = if self.world.mirror { None } else { Some(midcall) };
        if midcall.is_some() {
            faults.extend(always::check(&seen, 0));
        }
        faults.extend(self.judge(parts, midcall));
        Ok(faults)
    }
}

fn sipp_fault(process: &Process, dir: &Path) -> Option<String> {
    if process.stopped {
        return Some(format!("{} was still running", process.name));
    }
    if process.code() == Some(0) {
        return None;
    }
    let said = fs::read_to_string(dir.join(format!("{}.err", process.name))).unwrap_or_default();
    let out = fs::read_to_string(dir.join(format!("{}.log", process.name))).unwrap_or_default();
    let line = said.lines().chain(out.lines()).find(|line| !line.contains("epoll") && line.len() > 30);
    Some(format!("{} ended with {:?}: {}", process.name, process.code(), line.unwrap_or_default()))
}
