//! One fixture, three faces: the breaker's seat, the other seats, and the observer.

use std::collections::BTreeSet;
use std::fmt;

use midcall_proto::time::Instant;

use super::parse::parse;
use super::script::{Certainty, Expect, Ladder, Who};
use super::stage::{Live, Stage};
use crate::capture;
use crate::network::Packet;

/// What an observer said, in terms of packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The code of the rule.
    pub code: String,
    /// Who broke it; `None` for the network.
    pub by: Option<Who>,
    /// The packet that broke it.
    pub at: usize,
    /// The packets that make it so.
    pub because: Vec<usize>,
    /// How sure it is.
    pub certainty: Certainty,
    /// Whether it is only a fact worth a line.
    pub info: bool,
}

/// Who plays what is not scripted.
pub trait Cast {
    /// An endpoint for a seat, set up as the ladder's `config` says.
    fn endpoint(&self, ladder: &Ladder, who: Who) -> Box<dyn Live>;

    /// What an observer finds in these packets, when those numbered in `unseen` are kept from it.
    fn observe(&self, packets: &[Packet], unseen: &[usize]) -> Vec<Found>;

    /// The same, when the trace goes on without packets up to `end`.
    fn observe_until(&self, packets: &[Packet], unseen: &[usize], end: Instant) -> Vec<Found> {
        let _ = end;
        self.observe(packets, unseen)
    }
}

/// A face of a ladder that did not look as it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which face: `A as breaker`, `B`, `observer`.
    pub face: String,
    /// What was wrong, with the exchange.
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.face, self.why)
    }
}

/// Plays a ladder to all its faces; empty if all is well.
pub fn check(text: &str, cast: &dyn Cast) -> Vec<Fault> {
    check_named("ladder", text, cast)
}

/// The same; with `MIDCALL_CAPTURE` each face leaves a capture under this name.
pub fn check_named(name: &str, text: &str, cast: &dyn Cast) -> Vec<Fault> {
    let ladder = match parse(text) {
        Ok(ladder) => ladder,
        Err(why) => return vec![Fault { face: "text".to_owned(), why }],
    };
    let mut faults = Vec::new();
    let mut played = |face: &str, stage: &Stage<'_>, outcome: Result<(), String>| {
        let left = capture::leave(&format!("{name} {face}"), stage.packets(), &stage.drawing());
        let told = outcome.err().or_else(|| left.err().map(|error| format!("no capture: {error}")));
        faults.extend(told.map(|why| Fault { face: face.to_owned(), why }));
    };
    if ladder.unobserved.is_none() {
        let mut stage = Stage::new(&ladder, Vec::new());
        let outcome = observer(&ladder, cast, &mut stage);
        played("observer", &stage, outcome);
    }
    for who in seats(&ladder) {
        let seated = || Stage::new(&ladder, vec![(who, cast.endpoint(&ladder, who))]);
        for expect in ladder.expects.iter().filter(|expect| expect.who == who) {
            let mut stage = seated();
            let outcome = breaker(&ladder, cast, expect, &mut stage);
            played(&format!("{who} as breaker"), &stage, outcome);
        }
        if ladder.expects.iter().all(|expect| expect.who != who) {
            let mut stage = seated();
            let outcome = other(&ladder, cast, who, &mut stage);
            played(&who.to_string(), &stage, outcome);
        }
    }
    faults
}

/// The seats that an endpoint can take: those that send or get anything, and that no `skip` excepts.
fn seats(ladder: &Ladder) -> Vec<Who> {
    let speaks = |who: &Who| ladder.lines().any(|line| line.from == *who || line.to == *who);
    let skipped = |who: &Who| ladder.skipped.iter().any(|(own, _)| own == who);
    ladder.parties().into_iter().filter(|who| speaks(who) && !skipped(who)).collect()
}

/// All seats scripted: the observer finds what is expected and nothing else.
fn observer(ladder: &Ladder, cast: &dyn Cast, stage: &mut Stage<'_>) -> Result<(), String> {
    stage.play(None)?;
    let found = cast.observe_until(stage.packets(), &stage.unseen(), stage.now());
    let fits = |found: &Found, expect: &Expect| {
        let lines = found.because.iter().filter_map(|packet| stage.line_of(*packet)).filter(|line| *line > 0);
        let because: BTreeSet<usize> = lines.collect();
        found.code == expect.code
            && found.by.unwrap_or(Who::NETWORK) == expect.who
            && stage.line_of(found.at) == Some(expect.at)
            && found.certainty == expect.certainty
            && (expect.because.is_empty() || because == expect.because.iter().copied().collect())
    };
    let told = |why: String| format!("{why}\n{}{}", stage.drawing(), findings(&found, stage));
    for expect in &ladder.expects {
        if !found.iter().any(|found| fits(found, expect)) {
            return Err(told(format!(
                "{} by {} at {} is not found as expected",
                expect.code, expect.who, expect.at
            )));
        }
    }
    let declared = |found: &Found| {
        found.info
            || ladder.allowed.contains(&found.code)
            || ladder.expects.iter().any(|expect| fits(found, expect))
    };
    match found.iter().find(|found| !declared(found)) {
        Some(found) => Err(told(format!("{} is found and not expected", found.code))),
        None => Ok(()),
    }
}

/// An endpoint in the breaker's seat does not send that line as it stands.
fn breaker(ladder: &Ladder, cast: &dyn Cast, expect: &Expect, stage: &mut Stage<'_>) -> Result<(), String> {
    let attempt = stage.attempt(expect.at)?;
    let found = cast.observe_until(stage.packets(), &stage.unseen(), stage.now());
    let told = |why: String| format!("{why}\n{}{}", stage.drawing(), findings(&found, stage));
    if let Some(found) = guilty(ladder, &found, expect.who) {
        return Err(told(format!("the endpoint breaks {}", found.code)));
    }
    if let Some(status) = expect.instead {
        let sent = |number: &usize| stage.packets().get(number - 1).and_then(|packet| packet.raw().status());
        if !attempt.packets.iter().any(|number| sent(number) == Some(status)) {
            return Err(told(format!("the endpoint does not send {status} instead")));
        }
    }
    Ok(())
}

/// An endpoint in another seat gets over the breach and reports it; with `expect nothing`, it just does as the ladder says.
fn other(ladder: &Ladder, cast: &dyn Cast, who: Who, stage: &mut Stage<'_>) -> Result<(), String> {
    stage.play(ladder.expects.iter().map(|expect| expect.at).min())?;
    let found = cast.observe_until(stage.packets(), &stage.unseen(), stage.now());
    let told = |why: String| format!("{why}\n{}{}", stage.drawing(), findings(&found, stage));
    if let Some(found) = guilty(ladder, &found, who) {
        return Err(told(format!("the endpoint breaks {}", found.code)));
    }
    let live = stage.live(who).ok_or("no endpoint sits there")?;
    let broke = live.peer_broke();
    let silent = ladder.silent.iter().any(|(own, _)| *own == who);
    for expect in ladder.expects.iter().filter(|_| !silent) {
        if !broke.contains(&expect.code) {
            return Err(told(format!("the endpoint does not report {}; it reports {broke:?}", expect.code)));
        }
    }
    let declared = |code: &&String| {
        ladder.allowed.contains(code) || ladder.expects.iter().any(|expect| expect.code == **code)
    };
    if let Some(code) = broke.iter().find(|code| !declared(code)) {
        return Err(told(format!("the endpoint reports {code}, which is not expected")));
    }
    let over = ladder.lines().any(|line| line.ends_a_call());
    match live.ended().filter(|_| !over && !ladder.ends) {
        Some(why) => Err(told(format!("the endpoint's call ended: {why}"))),
        None => Ok(()),
    }
}

/// What an endpoint in this seat did wrong.
fn guilty<'f>(ladder: &Ladder, found: &'f [Found], who: Who) -> Option<&'f Found> {
    found.iter().find(|found| found.by == Some(who) && !found.info && !ladder.allowed.contains(&found.code))
}

fn findings(found: &[Found], stage: &Stage<'_>) -> String {
    let line = |packet: &usize| match stage.line_of(*packet) {
        Some(line) if line > 0 => line.to_string(),
        _ => format!("packet {packet}"),
    };
    found
        .iter()
        .map(|found| {
            let because: Vec<String> = found.because.iter().map(line).collect();
            let by = found.by.map_or("network".to_owned(), |who| who.to_string());
            let info = if found.info { ", info" } else { "" };
            format!(
                "found {by} breaks {} at {} because {} ({:?}{info})\n",
                found.code,
                line(&found.at),
                because.join(" "),
                found.certainty
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ladder::Line;
    use crate::network::Arrival;
    use crate::node::{Node, Outgoing};
    use crate::party::Party;
    use std::net::SocketAddr;

    /// A toy endpoint: it does what it is told, except that one that knows the rule answers an UPDATE with 491.
    struct Toy {
        party: Party,
        knows: bool,
        broke: Vec<String>,
    }

    impl Node for Toy {
        fn name(&self) -> &str {
            self.party.name()
        }
        fn addresses(&self) -> &[SocketAddr] {
            self.party.addresses()
        }
        fn arrive(&mut self, now: Instant, at: SocketAddr, arrival: Arrival) {
            self.party.arrive(now, at, arrival);
            while let Some(got) = self.party.take(crate::network::Pick::any()) {
                match (got.method(), got.status()) {
                    ("UPDATE", None) if self.knows => drop(self.party.reply(&got, 491).send()),
                    ("UPDATE", None) => drop(self.party.reply(&got, 200).answer(&[]).send()),
                    ("UPDATE", Some(200)) => self.broke.push("UP-13".to_owned()),
                    ("INVITE", None) if self.knows => drop(self.party.reply(&got, 200).answer(&[]).send()),
                    ("INVITE", Some(200)) => drop(self.party.ack(&got).send()),
                    _ => {}
                }
            }
        }
        fn wake(&mut self, _: Instant) {}
        fn sends(&mut self) -> Vec<Outgoing> {
            self.party.sends()
        }
        fn due(&self) -> Option<Instant> {
            None
        }
    }

    impl Live for Toy {
        fn prompt(&mut self, _: Instant, line: &Line) -> Result<(), String> {
            match &line.what {
                crate::ladder::What::Request(method)
                    if method == "INVITE" && self.party.legs().is_empty() =>
                {
                    drop(self.party.invite(&line.to.uri()).offer(&[]).send());
                }
                crate::ladder::What::Request(method) if method != "ACK" => {
                    drop(self.party.request(method).offer(&[]).send());
                }
                _ => {}
            }
            Ok(())
        }
        fn peer_broke(&self) -> Vec<String> {
            self.broke.clone()
        }
        fn ended(&self) -> Option<String> {
            None
        }
        fn as_node(&mut self) -> &mut dyn Node {
            self
        }
    }

    struct Toys {
        know: bool,
    }

    impl Cast for Toys {
        fn endpoint(&self, _: &Ladder, who: Who) -> Box<dyn Live> {
            let party = Party::new(&who.name(), who.address(), 5);
            Box::new(Toy { party, knows: self.know, broke: Vec::new() })
        }

        fn observe(&self, packets: &[Packet], _: &[usize]) -> Vec<Found> {
            let wrong = packets.iter().filter(|packet| packet.raw().summary() == "200 UPDATE");
            let found = |packet: &Packet| Found {
                code: "UP-13".to_owned(),
                by: Some(Who('A')),
                at: packet.number,
                because: vec![packet.number - 1, packet.number - 2],
                certainty: Certainty::Certain,
                info: false,
            };
            wrong.map(found).collect()
        }
    }

    const BREAKS: &str = "start call\nA -> B INVITE offer\nB >< A UPDATE offer\nA -> B 200 UPDATE answer\n\
        expect A breaks UP-13 at 3 because 1 2 instead 491\n";

    #[test]
    fn an_endpoint_that_knows_the_rule_passes_all_faces() {
        assert_eq!(check(BREAKS, &Toys { know: true }), []);
    }

    #[test]
    fn an_endpoint_that_does_not_fails_as_breaker() {
        let faults = check(BREAKS, &Toys { know: false });
        let faces: Vec<&str> = faults.iter().map(|fault| fault.face.as_str()).collect();
        assert!(faces.contains(&"A as breaker"), "{faults:?}");
    }

    #[test]
    fn a_finding_must_be_the_one_that_is_expected() {
        let other = BREAKS.replace("because 1 2", "because 1");
        assert!(check(&other, &Toys { know: true })[0].why.contains("is not found as expected"));
        let clean =
            BREAKS.lines().take(4).collect::<Vec<_>>().join("\n") + "\nexpect nothing\nskip A: x\nskip B: x";
        assert!(check(&clean, &Toys { know: true })[0].why.contains("is found and not expected"));
        assert_eq!(check(&(clean + "\nallow UP-13"), &Toys { know: true }), []);
    }
}
