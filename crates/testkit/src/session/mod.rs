//! The `session` property: whatever the applications of three endpoints wish and whatever the wire does, in the end both
//! sides of every call agree, every wish came true or was reported refused, every transfer has its last word, nothing is
//! owed, and each call ends with one BYE.
//!
//! [`run`] plays what a [`Play`] spells; the seeds of the test, the fuzz target and its committed corpus all go through it.

mod claims;
mod deeds;
mod play;

use midcall_proto::endpoint::Prefer;
use midcall_proto::rng::Rng;

use crate::network::Network;
use crate::pair::Trio;
use crate::scene::Scene;
use crate::{Seed, ms, secs};
use play::Stage;

/// The longest string of operations that is played.
const MOST_OPERATIONS: usize = 64;

/// How many copies of one datagram are lost at most. A request that is lost so often, and its response each time too, is
/// still heard before its transaction times out (RFC 3261 §17.1).
const MOST_LOST: usize = 2;

/// What happens: settings and weather by the seed, then operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Play {
    /// Settings, latency and what the wire loses come from it.
    pub seed: u64,
    /// How far the call has come when the operations begin.
    pub start: Start,
    /// One operation a byte.
    pub operations: Vec<u8>,
}

/// How far the call has come when the operations begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// It is up.
    Up,
    /// The INVITE has arrived, and nothing came back but 100.
    Trying,
    /// It rings.
    Ringing,
    /// It rings, with a session.
    Early,
    /// The answer is on its way, and both sides already want something else.
    Answering,
    /// As `Up`, but the INVITE brought no offer.
    Late,
}

impl Start {
    const ALL: [Self; 6] = [Self::Up, Self::Trying, Self::Ringing, Self::Early, Self::Answering, Self::Late];

    fn of(number: usize) -> Self {
        Self::ALL.get(number % Self::ALL.len()).copied().unwrap_or(Self::Up)
    }
}

impl Play {
    /// The play of a seed. Half of them begin with a call that is up.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut below = |most: u64| usize::try_from(rng.below(most)).unwrap_or_default();
        let start = if below(2) == 0 { Start::Up } else { Start::of(below(6)) };
        let count = 4 + below(28);
        let operations = (0..count).map(|_| u8::try_from(below(256)).unwrap_or_default()).collect();
        Self { seed, start, operations }
    }

    /// The play that a fuzzer's bytes spell: two for the seed, one for the start, then operations.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
        Self {
            seed: u64::from(u16::from_le_bytes([byte(0), byte(1)])),
            start: Start::of(usize::from(byte(2))),
            operations: bytes.get(3..).unwrap_or_default().to_vec(),
        }
    }
}

/// What a run was made of, for reports over many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Operations played.
    pub operations: u32,
    /// Wishes of either application.
    pub wishes: u32,
    /// Wishes reported as refused.
    pub refused: u32,
    /// Transfers asked for.
    pub transfers: u32,
    /// Transfers that worked.
    pub transferred: u32,
    /// 491 responses on the wire.
    pub glares: u32,
    /// Datagrams lost.
    pub lost: u32,
    /// Whether the call was still up when it was hung up.
    pub survived: bool,
}

/// Plays on three endpoints and checks what must hold.
///
/// # Errors
/// What did not hold, with the ladder.
pub fn run(play: &Play) -> Result<Tally, String> {
    let mut weather = Rng::new(play.seed ^ 0xb1e5_5ed0);
    let latency = ms(1 + weather.below(60));
    let mut trio = Trio::with(Seed(play.seed), |configs| {
        for config in configs {
            config.session_expires =
                [None, Some(90), Some(1800)][usize::try_from(weather.below(3)).unwrap_or(0)];
            config.update = weather.below(4) != 0;
            config.prefer = if weather.below(2) == 0 { Prefer::Update } else { Prefer::ReInvite };
        }
    })
    .latency(latency);
    // Nothing is lost so often that its sender gives up: a call whose wire stays dead is not ended by a BYE that arrives.
    trio.wire.weather().mercy = Some(MOST_LOST);
    let mut stage = Stage::set(trio, play.start);
    if weather.below(2) == 0 {
        let wire = stage.trio.wire.weather();
        wire.loss = weather.below(80);
        wire.duplication = weather.below(60);
        wire.reordering = weather.below(100);
    }
    let mut tally = Tally::default();
    for operation in play.operations.iter().take(MOST_OPERATIONS) {
        tally.operations += 1;
        stage.play(*operation);
    }
    calm(&mut stage.trio.wire);
    rest_and_end(&mut stage, &mut tally).map_err(|what| {
        stage.trio.unobserved("it is told already");
        let (ladder, deeds, ends) = (stage.trio.ladder(), deeds::told(&stage), claims::ends(&stage));
        format!("seed {} {:?}: {what}\n{ladder}{deeds}{ends}", play.seed, play.start)
    })?;
    Ok(tally)
}

/// Waits until nothing is left to do, ends what is up, and checks what must hold then.
fn rest_and_end(stage: &mut Stage, tally: &mut Tally) -> Result<(), String> {
    claims::quiet(stage)?;
    claims::wishes(stage, tally)?;
    claims::agreement(stage)?;
    tally.survived = stage.trio.a.is_up(stage.call) && stage.trio.b.is_up(stage.call);
    // Nobody hangs up because of what failed last.
    stage.trio.run_for(secs(10));
    let up = stage.hang_up();
    stage.trio.run_for(secs(70));
    claims::end(stage, &up, tally)?;
    claims::findings(stage)
}

/// A perfect wire from now on.
fn calm(wire: &mut Network) {
    wire.forget_plans();
    let weather = wire.weather();
    (weather.loss, weather.duplication, weather.reordering) = (0, 0, 0);
}
