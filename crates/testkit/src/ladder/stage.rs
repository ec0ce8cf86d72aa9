//! Plays a ladder on a simulated wire, with scripted parties and endpoints in its seats.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use midcall_proto::flow::Transport;
use midcall_proto::time::Instant;

use super::compose::{Sent, speak};
use super::script::{Arrow, Ladder, Line, Setting, Start, Step, What, Who, Word};
use crate::network::{Fate, Network, Packet};
use crate::node::{self, Node};
use crate::party::Party;
use crate::render::{self, Column};

/// An endpoint in a seat of a ladder.
pub trait Live: Node {
    /// Asks for a line by the verb that leads to it. `Err` tells why it will not do it: the code of a rule, or words.
    fn prompt(&mut self, now: Instant, line: &Line) -> Result<(), String>;

    /// The codes of the rules that it says the peer broke.
    fn peer_broke(&self) -> Vec<String>;

    /// Why its call ended, if it did.
    fn ended(&self) -> Option<String>;

    /// To get at the concrete type.
    fn as_node(&mut self) -> &mut dyn Node;
}

/// A ladder being played.
pub struct Stage<'l> {
    ladder: &'l Ladder,
    wire: Network,
    scripted: BTreeMap<Who, Party>,
    live: BTreeMap<Who, Box<dyn Live>>,
    sent: Sent,
    claimed: BTreeSet<usize>,
    /// Packets held for a line that crosses or overtakes theirs.
    held: Vec<(usize, usize)>,
    begun: Instant,
    last: Instant,
    /// The line of the breach, once it is past: from there on an endpoint may do as it likes.
    broken: bool,
}

impl fmt::Debug for Stage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.drawing())
    }
}

/// How an attempt to send a breaching line ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Why the endpoint refused, if it said so.
    pub refusal: Option<String>,
    /// What it sent that no earlier line speaks of.
    pub packets: Vec<usize>,
}

impl<'l> Stage<'l> {
    /// A stage with scripted parties in all seats but those of the endpoints given.
    pub fn new(ladder: &'l Ladder, live: Vec<(Who, Box<dyn Live>)>) -> Self {
        let live: BTreeMap<_, _> = live.into_iter().collect();
        let seats = ladder.parties().into_iter().filter(|who| !live.contains_key(who));
        let scripted = seats.map(|who| (who, party(ladder, who))).collect();
        let mut wire = Network::new(7);
        wire.weather().latency = LATENCY;
        Self {
            ladder,
            wire,
            scripted,
            live,
            sent: Sent::default(),
            claimed: BTreeSet::new(),
            held: Vec::new(),
            begun: Instant::ZERO,
            last: Instant::ZERO,
            broken: false,
        }
    }

    /// Plays every line; from line `until` on, endpoints need not follow.
    pub fn play(&mut self, until: Option<usize>) -> Result<(), String> {
        self.begin()?;
        let ladder = self.ladder;
        for step in &ladder.steps {
            match step {
                Step::Wait(span) => self.run_for(*span),
                Step::Send(line) => {
                    let told = self.perform(line);
                    if !self.broken {
                        told.map_err(|why| self.complaint(line, &why))?;
                    }
                    self.broken |= until == Some(line.number);
                }
            }
        }
        self.arrive();
        self.no_surprise()?;
        self.settle();
        Ok(())
    }

    /// Plays up to line `at`, which an endpoint sends, and asks the endpoint for that line.
    pub fn attempt(&mut self, at: usize) -> Result<Attempt, String> {
        self.begin()?;
        let ladder = self.ladder;
        for step in &ladder.steps {
            match step {
                Step::Wait(span) => self.run_for(*span),
                Step::Send(line) if line.number == at => {
                    self.place(line);
                    let now = self.wire.now();
                    let live = self.live.get_mut(&line.from).ok_or("no endpoint sits there")?;
                    let refusal = live.prompt(now, line).err();
                    self.release_for(line.number);
                    self.settle();
                    let own = |packet: &&Packet| packet.from.ip() == line.from.address().ip();
                    let fresh = |packet: &&Packet| !self.claimed.contains(&packet.number);
                    let packets = self.wire.packets().iter().filter(own).filter(fresh);
                    return Ok(Attempt { refusal, packets: packets.map(|packet| packet.number).collect() });
                }
                Step::Send(line) => self.perform(line).map_err(|why| self.complaint(line, &why))?,
            }
        }
        Err(format!("the ladder has no line {at}"))
    }

    /// Everything that was on the wire.
    pub fn packets(&self) -> &[Packet] {
        self.wire.packets()
    }

    /// The virtual time.
    pub fn now(&self) -> Instant {
        self.wire.now()
    }

    /// The packet of a line.
    pub fn packet_of(&self, line: usize) -> Option<usize> {
        self.sent.packets.get(&line).copied()
    }

    /// The line of a packet.
    pub fn line_of(&self, packet: usize) -> Option<usize> {
        self.sent.packets.iter().find(|(_, number)| **number == packet).map(|(line, _)| *line)
    }

    /// The packets that the observer is to miss.
    pub fn unseen(&self) -> Vec<usize> {
        self.ladder
            .lines()
            .filter(|line| line.unseen())
            .filter_map(|line| self.packet_of(line.number))
            .collect()
    }

    /// The endpoint in a seat.
    pub fn live(&self, who: Who) -> Option<&dyn Live> {
        self.live.get(&who).map(|live| &**live)
    }

    /// The exchange so far, drawn as a ladder.
    pub fn drawing(&self) -> String {
        let column =
            |who: Who| Column { name: format!("{who} {}", who.name()), addresses: vec![who.address()] };
        let columns: Vec<Column> = self.ladder.parties().into_iter().map(column).collect();
        render::ladder(self.wire.packets(), &columns, self.begun)
    }

    fn begin(&mut self) -> Result<(), String> {
        for (from, to, what, words) in overture(self.ladder.start) {
            let line = Line { number: 0, at: 0, from, to, arrow: Arrow::Follows, what, words };
            self.perform(&line).map_err(|why| self.complaint(&line, &why))?;
        }
        self.drain();
        (self.begun, self.last) = (self.wire.now(), self.wire.now());
        Ok(())
    }

    fn perform(&mut self, line: &Line) -> Result<(), String> {
        self.place(line);
        let packet = if self.live.contains_key(&line.from) { self.ask(line)? } else { self.tell(line)? };
        self.last = self.wire.now();
        self.claimed.insert(packet);
        self.sent.packets.insert(line.number, packet);
        if line.arrow == Arrow::Lost {
            self.wire.lose(packet);
        }
        if let Some(blocker) = self.blocker(line.number) {
            self.wire.hold(packet);
            self.held.push((packet, blocker));
        }
        self.release_for(line.number);
        Ok(())
    }

    /// Waits until it is time for a line.
    fn place(&mut self, line: &Line) {
        for word in &line.words {
            let at = match word {
                Word::At(span) => self.begun + *span,
                Word::After(span) => self.last + *span,
                _ => continue,
            };
            self.run_for(at - self.wire.now());
            return;
        }
        if matches!(line.arrow, Arrow::Follows | Arrow::Lost) {
            self.arrive();
        }
        self.run_for(STEP);
    }

    /// The scripted party of a line sends it.
    fn tell(&mut self, line: &Line) -> Result<usize, String> {
        let party =
            self.scripted.get_mut(&line.from).ok_or_else(|| format!("nobody sits at {}", line.from))?;
        party.acks_failures = !acks_itself(self.ladder, line);
        let raw = speak(party, line, self.ladder, &mut self.sent)?;
        self.sent.lines.insert(line.number, raw);
        self.pump();
        let from = self.wire.packets().last().ok_or("nothing was sent")?;
        Ok(from.number)
    }

    /// The endpoint of a line is asked for it, and waited for.
    fn ask(&mut self, line: &Line) -> Result<usize, String> {
        let now = self.wire.now();
        let live = self.live.get_mut(&line.from).ok_or("no endpoint sits there")?;
        let done = self.wire.packets().iter().any(|packet| self.sent.is_fresh(packet, line, &self.claimed));
        let told = if done { Ok(()) } else { live.prompt(now, line) };
        let patience = if self.broken { Duration::from_secs(5) } else { Duration::from_secs(40) };
        let limit = self.wire.now() + patience;
        loop {
            self.pump();
            let fresh = |packet: &&Packet| self.sent.is_fresh(packet, line, &self.claimed);
            if let Some(packet) = self.wire.packets().iter().find(fresh) {
                let (number, raw) = (packet.number, packet.raw());
                self.sent.calls.entry(Sent::call_name(line)).or_insert_with(|| raw.call_id().to_owned());
                self.sent.lines.insert(line.number, raw);
                return Ok(number);
            }
            if !self.step(limit) {
                let why = told.err().map(|why| format!(": {why}")).unwrap_or_default();
                return Err(format!("the endpoint does not send it{why}"));
            }
        }
    }

    /// Whether a packet of an endpoint is what a line says, as far as a ladder tells.
    pub fn is_line(&self, packet: &Packet, line: &Line) -> bool {
        self.sent.is_line(packet, line)
    }

    /// Complains about a message of an endpoint that no line speaks of.
    fn no_surprise(&mut self) -> Result<(), String> {
        if self.broken {
            return Ok(());
        }
        let packets = self.wire.packets();
        let live = |packet: &&Packet| self.live.keys().any(|who| who.address().ip() == packet.from.ip());
        let mut fresh = packets.iter().filter(live).filter(|packet| !self.claimed.contains(&packet.number));
        match fresh.find(|packet| !hop_only(packets, packet)) {
            Some(packet) => Err(format!(
                "no line speaks of {} (packet {})\n{}",
                packet.raw().summary(),
                packet.number,
                self.drawing()
            )),
            None => Ok(()),
        }
    }

    fn complaint(&self, line: &Line, why: &str) -> String {
        let place = if line.number == 0 {
            "the start".to_owned()
        } else {
            format!("line {} (file line {})", line.number, line.at)
        };
        format!("{place}: {why}\n{}", self.drawing())
    }

    /// The last line that must be sent, or must arrive, before this one arrives.
    fn blocker(&self, number: usize) -> Option<usize> {
        let me = self.ladder.lines().find(|line| line.number == number)?;
        let blocks = |line: &&Line| match line.arrow {
            Arrow::Crosses(first) => first <= number && number < line.number && me.to == line.from,
            Arrow::Overtakes(first) => first <= number && number < line.number && me.to == line.to,
            _ => false,
        };
        if me.arrow == Arrow::Lost {
            None
        } else {
            self.ladder.lines().filter(blocks).map(|line| line.number).max()
        }
    }

    fn release_for(&mut self, number: usize) {
        if !self.held.iter().any(|(_, blocker)| *blocker == number) {
            return;
        }
        let overtakes = self
            .ladder
            .lines()
            .any(|line| line.number == number && matches!(line.arrow, Arrow::Overtakes(_)));
        if overtakes && let Some(packet) = self.packet_of(number) {
            let limit = self.wire.now() + LATENCY * 4;
            let flying = |wire: &Network| {
                wire.packets().get(packet - 1).is_some_and(|p| matches!(p.fate, Fate::Flying(_)))
            };
            while flying(&self.wire) && self.step(limit) {}
        }
        for (packet, blocker) in std::mem::take(&mut self.held) {
            if blocker == number {
                self.wire.let_go(packet);
            } else {
                self.held.push((packet, blocker));
            }
        }
    }

    /// Runs until every line so far has arrived. What an endpoint sends beyond the lines is not waited for.
    fn arrive(&mut self) {
        self.pump();
        let due = |packet: &Packet| match packet.fate {
            Fate::Flying(at) => Some(at),
            _ => None,
        };
        loop {
            let lines = self.claimed.iter().filter_map(|number| self.wire.packets().get(number - 1));
            let Some(at) = lines.filter_map(due).max() else { return };
            self.step(at);
        }
    }

    /// Runs until nothing is in flight; timers are not waited for.
    fn drain(&mut self) {
        self.pump();
        while let Some(at) = self.wire.next_arrival() {
            self.step(at);
        }
    }

    fn settle(&mut self) {
        self.drain();
        let limit = self.wire.now() + Duration::from_secs(120);
        loop {
            let nodes = seats(&mut self.scripted, &mut self.live);
            if node::is_quiet(&self.wire, &nodes) || !self.step(limit) {
                return;
            }
        }
    }

    fn run_for(&mut self, span: Duration) {
        node::run_for(&mut self.wire, &mut seats(&mut self.scripted, &mut self.live), span);
    }

    fn step(&mut self, limit: Instant) -> bool {
        node::step(&mut self.wire, &mut seats(&mut self.scripted, &mut self.live), limit)
    }

    fn pump(&mut self) {
        node::pump(&mut self.wire, &mut seats(&mut self.scripted, &mut self.live));
    }
}

fn seats<'s>(
    scripted: &'s mut BTreeMap<Who, Party>,
    live: &'s mut BTreeMap<Who, Box<dyn Live>>,
) -> Vec<&'s mut dyn Node> {
    let scripted = scripted.values_mut().map(|party| party as &mut dyn Node);
    scripted.chain(live.values_mut().map(|live| live.as_node())).collect()
}

/// Whether the ladder has an ACK line of this party at or below a line, so that it must not ACK by itself.
fn acks_itself(ladder: &Ladder, from: &Line) -> bool {
    let ack = What::Request("ACK".to_owned());
    ladder.lines().any(|line| line.from == from.from && line.number >= from.number && line.what == ack)
}

/// Whether a packet matters to its hop only: 100, the ACK of a failure, a resend.
fn hop_only(packets: &[Packet], packet: &Packet) -> bool {
    let raw = packet.raw();
    let earlier = packets.iter().take_while(|other| other.number < packet.number);
    let resend = earlier.clone().any(|other| other.from == packet.from && other.bytes == packet.bytes);
    let invite = |other: &Packet| {
        let first = other.raw();
        other.from == packet.from
            && first.method() == "INVITE"
            && first.is_request()
            && first.branch() == raw.branch()
    };
    let ack = raw.is_request() && raw.method() == "ACK" && earlier.clone().any(invite);
    raw.status() == Some(100) || resend || ack
}

fn party(ladder: &Ladder, who: Who) -> Party {
    let mut party = Party::new(&who.name(), who.address(), 11);
    for (own, setting) in &ladder.settings {
        let Setting::Key(key, value) = setting else { continue };
        if *own != who {
            continue;
        }
        let strike = |list: &str, word: &str| -> String {
            let kept: Vec<&str> = list.split(", ").filter(|own| *own != word).collect();
            kept.join(", ")
        };
        match (key.as_str(), value.as_str()) {
            ("update", "no") => party.allow = strike(&party.allow, "UPDATE"),
            ("100rel", "no") => {
                party.supported = strike(&party.supported, "100rel");
                party.allow = strike(&party.allow, "PRACK");
            }
            ("timer" | "replaces", "no") => party.supported = strike(&party.supported, key),
            ("from-change", "yes") => party.supported.push_str(", from-change"),
            ("transport", "tcp") => party = party.over(Transport::Tcp),
            _ => {}
        }
    }
    party
}

/// The messages of a start.
fn overture(start: Start) -> Vec<(Who, Who, What, Vec<Word>)> {
    let (a, b) = (Who('A'), Who('B'));
    let request = |method: &str| What::Request(method.to_owned());
    let response = |status, method: &str| What::Response(status, Some(method.to_owned()));
    let invite = (a, b, request("INVITE"), vec![Word::Offer(None)]);
    match start {
        Start::Nothing => vec![],
        Start::Call => {
            vec![
                invite,
                (b, a, response(200, "INVITE"), vec![Word::Answer(None)]),
                (a, b, request("ACK"), vec![]),
            ]
        }
        Start::Early => vec![invite, (b, a, response(180, "INVITE"), vec![])],
        Start::Reliable => vec![
            invite,
            (b, a, response(183, "INVITE"), vec![Word::Reliable, Word::Answer(None)]),
            (a, b, request("PRACK"), vec![]),
            (b, a, response(200, "PRACK"), vec![]),
        ],
    }
}

const LATENCY: Duration = Duration::from_millis(20);
const STEP: Duration = Duration::from_millis(1);
