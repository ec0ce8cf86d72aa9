//! Whatever endpoints wish and whatever the wire does: nothing is found, from no place on the wire.

use midcall_proto::endpoint::{Modification, Prefer};
use midcall_proto::rng::Rng;
use midcall_proto::session::Codec;
use midcall_testkit::prelude::*;

use crate::tap::{PLACES, Place, faults, same, tap, told};

fn run(seed: u64) {
    let mut dice = Rng::new(seed.wrapping_mul(77));
    let mut pick = |n: u64| dice.below(n);
    let mut pair = Pair::with(Seed(seed), |a, b| {
        for config in [a, b] {
            config.session_expires = [None, Some(90), Some(1800)][usize::try_from(pick(3)).unwrap_or(0)];
            config.update = pick(4) != 0;
            config.prefer = if pick(2) == 0 { Prefer::Update } else { Prefer::ReInvite };
        }
    })
    .latency(ms(1 + pick(60)));
    let call = pair.call();
    let mut in_order = true;
    if pick(2) == 0 {
        let weather = pair.wire.weather();
        (weather.loss, weather.duplication, weather.reordering) = (pick(80), pick(60), pick(2) * 80);
        weather.jitter = ms(pick(2) * 30);
        in_order = weather.reordering == 0 && weather.jitter.is_zero();
    }
    for _ in 0..4 + pick(24) {
        let change = match pick(12) {
            0 | 1 => (Modification::Hold(None), None),
            2 | 3 => (Modification::Resume(None), None),
            4 => (Modification::Codecs(vec![Codec::pcmu()]), None),
            5 => (Modification::Codecs(vec![Codec::pcma(), Codec::pcmu()]), Some(Prefer::Update)),
            6 => (Modification::Repeat, Some(Prefer::ReInvite)),
            7 => (Modification::Offerless, None),
            8 => (Modification::Refresh, None),
            9 => {
                pair.wire.drop_next(Pick::any());
                continue;
            }
            _ => {
                pair.run_for(ms(pick(400)));
                continue;
            }
        };
        let agent = if pick(2) == 0 { &mut pair.a } else { &mut pair.b };
        let _ = agent.call(call).attempt(|call, now| call.modify(now, change.0, change.1));
    }
    pair.wire.forget_plans();
    let weather = pair.wire.weather();
    (weather.loss, weather.duplication, weather.reordering) = (0, 0, 0);
    pair.run_for(secs(75));
    check(&pair, seed, in_order);
    if pair.a.is_up(call) {
        pair.a.call(call).hang_up();
    }
    pair.run_for(secs(20));
    check(&pair, seed, in_order);
}

#[track_caller]
fn check(pair: &Pair, seed: u64, in_order: bool) {
    // A tap behind a wire that swaps packets cannot know what was sent first.
    for place in PLACES.into_iter().filter(|place| in_order || *place == Place::Sender) {
        let mut observer = tap(pair.packets(), place);
        observer.tick(pair.now());
        let found = faults(&observer);
        assert!(found.is_empty(), "seed {seed} {place:?}: {}\n{}", told(&found), pair.ladder());
        if let Err(why) = same(&observer, &[&pair.a, &pair.b]) {
            panic!("seed {seed} {place:?}: {why}\n{}", pair.ladder());
        }
    }
}

/// `MIDCALL_SEEDS=10000 cargo test --release -p midcall-testkit --test observer` runs more; `MIDCALL_SEED=n` one.
#[test]
fn endpoints_break_nothing() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (first, count) = match number("MIDCALL_SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("MIDCALL_SEEDS").unwrap_or(200)),
    };
    for seed in first..first + count {
        run(seed);
    }
}
