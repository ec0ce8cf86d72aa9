//! Replays the fuzz corpora, and a little damage done to each seed, through the checks of the fuzz targets.

#![expect(clippy::disallowed_methods, reason = "the tests read their samples from files")]

mod checks {
    pub(crate) mod message;
    pub(crate) mod sdp;
    pub(crate) mod stream;
}

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

#[test]
fn messages_hold() {
    replay("message", checks::message::check);
}

#[test]
fn streams_hold() {
    replay("stream", checks::stream::check);
}

#[test]
fn session_descriptions_hold() {
    replay("sdp", checks::sdp::check);
}

/// Runs a check over every seed of a target as it is, cut short in many places, and with single bytes changed.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut seeds: Vec<_> =
        fs::read_dir(&folder).expect("the corpus").flatten().map(|entry| entry.path()).collect();
    seeds.sort();
    assert!(seeds.len() >= 20, "{} has only {} seeds", folder.display(), seeds.len());
    for path in seeds {
        let seed = fs::read(&path).expect("a seed");
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        run(check, &seed, || name.clone());
        for end in (0..seed.len()).step_by(1 + seed.len() / CUTS) {
            run(check, &seed[..end], || format!("{name}, cut after {end} bytes"));
        }
        let mut dice: u64 = 0x5eed;
        for _ in 0..MUTATIONS.min(seed.len() * 4) {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (dice >> 33) as usize % seed.len();
            let byte = BYTES[(dice >> 24) as usize % BYTES.len()];
            let mut damaged = seed.clone();
            damaged[at] = byte;
            run(check, &damaged, || format!("{name} with byte {at} set to {byte:#04x}"));
        }
    }
}

fn run(check: fn(&[u8]), data: &[u8], what: impl Fn() -> String) {
    if catch_unwind(AssertUnwindSafe(|| check(data))).is_err() {
        panic!("{}: the check fails (see above)\n{}", what(), String::from_utf8_lossy(data));
    }
}

const CUTS: usize = 64;
const MUTATIONS: usize = 100;

/// The bytes that mean something somewhere, and some that mean nothing anywhere.
const BYTES: &[u8] = b"\r\n\t :;,=<>\"\\/?@%()[]{}09azAZ.-+*\x00\x7f\x80\xc3\xff";
