//! What all simulated exchanges can do: run virtual time, draw themselves, and answer for what the wire saw.

use std::time::Duration;

use midcall_proto::dialog::Dialog;
use midcall_proto::rules::Severity;
use midcall_proto::time::Instant;

use crate::Seed;
use crate::capture;
use crate::network::{Fate, Network, Packet};
use crate::node::{self, Node};
use crate::render::{self, Column};
use crate::watch::{Sighting, Watch};

/// A wire with parties on it. `use midcall_testkit::prelude::*` brings its methods.
pub trait Scene {
    /// The wire and everyone on it.
    fn parts(&mut self) -> (&mut Network, Vec<&mut dyn Node>);

    /// The wire alone, to look at.
    fn network(&self) -> &Network;

    /// The names and addresses of everyone, in the order of columns.
    fn columns(&self) -> Vec<Column>;

    /// Seed, name and what was declared.
    fn book(&mut self) -> &mut Book;

    /// Gives every packet this latency.
    #[must_use]
    fn latency(mut self, latency: Duration) -> Self
    where
        Self: Sized,
    {
        self.parts().0.weather().latency = latency;
        self
    }

    /// Adds up to this much to the latency of each packet, by the seed.
    #[must_use]
    fn jitter(mut self, jitter: Duration) -> Self
    where
        Self: Sized,
    {
        self.parts().0.weather().jitter = jitter;
        self
    }

    /// Loses so many datagrams of a thousand, by the seed.
    #[must_use]
    fn loss(mut self, of_thousand: u64) -> Self
    where
        Self: Sized,
    {
        self.parts().0.weather().loss = of_thousand;
        self
    }

    /// The virtual time.
    fn now(&self) -> Instant {
        self.network().now()
    }

    /// Everything that was on the wire.
    fn packets(&self) -> &[Packet] {
        self.network().packets()
    }

    /// Runs until nothing is in flight and no timer is near ([`node::QUIET`]).
    ///
    /// # Panics
    /// If it is not quiet after an hour of virtual time.
    fn settle(&mut self) {
        let limit = self.now() + Duration::from_secs(3_600);
        loop {
            let (wire, mut nodes) = self.parts();
            node::pump(wire, &mut nodes);
            if node::is_quiet(wire, &nodes) {
                return;
            }
            assert!(node::step(wire, &mut nodes, limit), "never quiet:\n{}", self.ladder());
        }
    }

    /// Runs for this long, whatever happens.
    fn run_for(&mut self, span: Duration) {
        let (wire, mut nodes) = self.parts();
        node::run_for(wire, &mut nodes, span);
    }

    /// Runs until this is so.
    ///
    /// # Panics
    /// If it is not so after ten minutes of virtual time.
    fn run_until(&mut self, mut so: impl FnMut(&Self) -> bool)
    where
        Self: Sized,
    {
        let limit = self.now() + Duration::from_secs(600);
        while !so(self) {
            let (wire, mut nodes) = self.parts();
            let moved = node::step(wire, &mut nodes, limit);
            assert!(moved || so(self), "never so:\n{}", self.ladder());
        }
    }

    /// Declares findings: the observer must find each of these rules broken, and no other.
    fn expect_findings(&mut self, codes: &[&str]) {
        self.book().declared.extend(codes.iter().map(|code| (*code).to_owned()));
    }

    /// Lets this one finding pass.
    fn tolerate(&mut self, found: Sighting) {
        self.book().tolerated.push(found);
    }

    /// Keeps the observer out, for a reason.
    fn unobserved(&mut self, why: &str) {
        self.book().unobserved = Some(why.to_owned());
    }

    /// Whether nothing is in flight or held, and no timer is near.
    fn at_rest(&mut self) -> bool {
        let held = self.packets().iter().any(|packet| matches!(packet.fate, Fate::Held | Fate::Flying(_)));
        let (wire, nodes) = self.parts();
        !held && node::is_quiet(wire, &nodes)
    }

    /// The exchange so far as a text ladder. Parties that neither sent nor got anything are left out.
    fn ladder(&self) -> String {
        let packets = self.packets();
        let spoke = |column: &Column| {
            let own =
                |packet: &Packet| [packet.from, packet.to].iter().any(|at| column.addresses.contains(at));
            packets.iter().any(own)
        };
        let mut columns = self.columns();
        if packets.iter().any(|packet| packet.connection.is_none()) {
            columns.retain(spoke);
        }
        render::ladder(packets, &columns, Instant::ZERO)
    }
}

/// What a scene remembers about itself.
#[derive(Debug)]
pub struct Book {
    /// The seed, printed when the test fails.
    pub seed: Seed,
    /// The name of the test.
    pub test: String,
    /// The codes of the findings that the test expects.
    pub declared: Vec<String>,
    /// Findings that say nothing against the endpoints.
    pub tolerated: Vec<Sighting>,
    /// Why the observer is not asked, if so.
    pub unobserved: Option<String>,
}

impl Book {
    /// A book for the test that runs on this thread.
    pub fn new(seed: Seed) -> Self {
        let test = std::thread::current().name().unwrap_or("simulated").to_owned();
        Self { seed, test, declared: Vec::new(), tolerated: Vec::new(), unobserved: None }
    }

    /// Ends a scene: leaves a capture if the environment asks for it, tells seed and ladder if the test fails, and fails
    /// it if the observer found what was not declared, or at rest knows other than `own`, the dialogs of the endpoints.
    pub fn close(&self, scene: &impl Scene, own: &[Dialog], at_rest: bool) {
        let ladder = scene.ladder();
        let told = format!("{ladder}{}", self.expected(scene.packets()));
        if let Err(error) = capture::leave(&self.test, scene.packets(), &told) {
            eprintln!("no capture of {}: {error}", self.test);
        }
        if std::thread::panicking() {
            eprintln!("{:?}\n{ladder}", self.seed);
            return;
        }
        if self.unobserved.is_some() || reordered(scene.packets()) {
            return;
        }
        let watch = Watch::over(scene.packets(), &[], scene.now());
        let found: Vec<Sighting> = watch.sightings();
        let declared = |found: &Sighting| {
            self.declared.iter().any(|own| own == found.code) || self.tolerated.contains(found)
        };
        let surprises = found.iter().filter(|found| found.severity > Severity::Info && !declared(found));
        let mut faults: Vec<String> = surprises.map(|found| format!("undeclared: {found}")).collect();
        let missing =
            self.declared.iter().filter(|code| !found.iter().any(|found| found.code == code.as_str()));
        faults.extend(missing.map(|code| format!("{code} was declared and not found")));
        if at_rest {
            let differing = own.iter().filter_map(|dialog| {
                watch.agrees(dialog).err().map(|why| format!("{}: {why}", dialog.party.ours.uri))
            });
            faults.extend(differing);
        }
        assert!(faults.is_empty(), "{:?}\n{}\n{ladder}", self.seed, faults.join("\n"));
    }
}

impl Book {
    /// What a reader of the capture may find, as the last line of its ladder.
    fn expected(&self, packets: &[Packet]) -> String {
        match (&self.unobserved, reordered(packets)) {
            (Some(why), _) => format!("# unobserved: {why}\n"),
            (None, true) => "# unobserved: packets overtook each other\n".to_owned(),
            (None, false) => {
                let declared = self.declared.iter().map(String::as_str);
                let codes: Vec<_> = declared.chain(self.tolerated.iter().map(|found| found.code)).collect();
                format!("# expected: {}\n", codes.join(" "))
            }
        }
    }
}

/// Whether a packet overtook another of the same sender. A single tap cannot know in which order they came then; tests
/// that reorder ask observers at several places themselves.
pub(crate) fn reordered(packets: &[Packet]) -> bool {
    let overtakes = |early: &Packet, late: &Packet| {
        let arrivals = (early.delivered(), late.delivered());
        (early.from, early.to) == (late.from, late.to)
            && matches!(arrivals, (Some(one), Some(two)) if one > two)
    };
    packets.iter().enumerate().any(|(at, late)| packets.iter().take(at).any(|early| overtakes(early, late)))
}

/// Compares the ladder of a scene with a snapshot.
#[macro_export]
macro_rules! assert_ladder {
    ($scene:expr) => {
        $crate::insta::assert_snapshot!($crate::scene::Scene::ladder(&$scene))
    };
    ($scene:expr, @$snapshot:literal) => {
        $crate::insta::assert_snapshot!($crate::scene::Scene::ladder(&$scene), @$snapshot)
    };
}
