//! Replays the fuzz corpora, and damage done to each seed, through the checks of the fuzz targets.

mod checks {
    pub(crate) mod hep;
    pub(crate) mod pcap;
    pub(crate) mod text;
}

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

#[test]
fn captures_hold() {
    replay("pcap", 40, 40, 0, checks::pcap::check);
}

#[test]
fn logs_hold() {
    replay("text", 35, 8, 16, checks::text::check);
}

#[test]
fn hep_holds() {
    replay("hep", 10, 20, 20, checks::hep::check);
}

/// Runs a check over every seed of a target, of which there are some: as it is, cut short in some places, with bits flipped, bytes missing,
/// and bytes that mean something in a text where they do not belong.
fn replay(target: &str, least: usize, damages: usize, respelled: usize, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut seeds: Vec<_> =
        fs::read_dir(&folder).expect("the corpus").flatten().map(|entry| entry.path()).collect();
    seeds.sort();
    assert!(seeds.len() >= least, "{} has only {} seeds", folder.display(), seeds.len());
    for path in seeds {
        let seed = fs::read(&path).expect("a seed");
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        run(check, &seed, || name.clone());
        for end in (0..seed.len()).step_by(1 + seed.len() / CUTS) {
            run(check, &seed[..end], || format!("{name}, cut after {end} bytes"));
        }
        let mut dice: u64 = 0x5eed;
        let mut roll = |sides: usize| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) as usize % sides
        };
        for _ in 0..damages {
            let mut damaged = seed.clone();
            for _ in 0..=roll(3) {
                let at = roll(damaged.len());
                damaged[at] ^= 1 << roll(8);
            }
            run(check, &damaged, || format!("{name} with bits flipped"));
            let (from, length) = (roll(seed.len()), roll(40));
            damaged = seed.clone();
            damaged.drain(from..(from + length).min(seed.len()));
            run(check, &damaged, || format!("{name} without {length} bytes from {from} on"));
        }
        for _ in 0..respelled {
            let (at, byte) = (roll(seed.len()), BYTES[roll(BYTES.len())]);
            let mut damaged = seed.clone();
            damaged[at] = byte;
            run(check, &damaged, || format!("{name} with byte {at} set to {byte:#04x}"));
        }
    }
}

fn run(check: fn(&[u8]), data: &[u8], what: impl Fn() -> String) {
    if catch_unwind(AssertUnwindSafe(|| check(data))).is_err() {
        panic!("{}: the check fails (see above)\n{}", what(), data.escape_ascii());
    }
}

const CUTS: usize = 24;

/// The bytes that mean something in some text.
const BYTES: &[u8] = b"\r\n\t :;,=<>\"\\/?@%()[]{}#|^09azAZ.-+*\x00\x1b\x7f\x80\xc3\xff";
