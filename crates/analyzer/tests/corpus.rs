//! Replays the corpus of the fuzz target `pcap`, and damage done to each seed.

mod checks {
    pub(crate) mod pcap;
}

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

#[test]
fn captures_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/pcap");
    let mut seeds: Vec<_> =
        fs::read_dir(&folder).expect("the corpus").flatten().map(|entry| entry.path()).collect();
    seeds.sort();
    assert!(seeds.len() >= 40, "{} has only {} seeds", folder.display(), seeds.len());
    for path in seeds {
        let seed = fs::read(&path).expect("a seed");
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        run(&seed, || name.clone());
        for end in (0..seed.len()).step_by(1 + seed.len() / CUTS) {
            run(&seed[..end], || format!("{name}, cut after {end} bytes"));
        }
        let mut dice: u64 = 0x5eed;
        let mut roll = |sides: usize| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) as usize % sides
        };
        for _ in 0..FLIPS {
            let mut damaged = seed.clone();
            for _ in 0..=roll(3) {
                let at = roll(damaged.len());
                damaged[at] ^= 1 << roll(8);
            }
            run(&damaged, || format!("{name} with bits flipped"));
            let (from, length) = (roll(seed.len()), roll(40));
            damaged = seed.clone();
            damaged.drain(from..(from + length).min(seed.len()));
            run(&damaged, || format!("{name} without {length} bytes from {from} on"));
        }
    }
}

fn run(data: &[u8], what: impl Fn() -> String) {
    if catch_unwind(AssertUnwindSafe(|| checks::pcap::check(data))).is_err() {
        panic!("{}: the check fails (see above)\n{data:?}", what());
    }
}

const CUTS: usize = 24;
const FLIPS: usize = 40;
