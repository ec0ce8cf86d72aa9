//! The `session` property over many seeds and the corpus of its fuzz target. See [`midcall_testkit::session`].

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use midcall_testkit::session::{Play, Start, Tally, run};

/// `MIDCALL_SEEDS=100000 cargo test --release -p midcall-testkit --test session` runs more; `MIDCALL_SEED=n` begins at another
/// seed, and alone runs just that one.
#[test]
fn both_sides_agree_whatever_happens() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (seed, seeds) = (number("MIDCALL_SEED"), number("MIDCALL_SEEDS"));
    let (first, count) = (seed.unwrap_or(0), seeds.unwrap_or(if seed.is_some() { 1 } else { 400 }));
    let mut total = Tally::default();
    let (mut survived, mut failed) = (0, Vec::new());
    for seed in first..first + count {
        match holds(&Play::of_seed(seed)) {
            Some(tally) => {
                total.operations += tally.operations;
                total.wishes += tally.wishes;
                total.refused += tally.refused;
                total.transfers += tally.transfers;
                total.transferred += tally.transferred;
                total.glares += tally.glares;
                total.lost += tally.lost;
                survived += u64::from(tally.survived);
            }
            None => failed.push(seed),
        }
        assert!(failed.len() < MOST_FAILURES, "too many fail: {failed:?}");
    }
    println!("{count} seeds, {survived} calls survived, {total:?}");
    assert!(failed.is_empty(), "the seeds {failed:?} do not hold");
    assert!(
        count == 1
            || total.glares > 0
                && total.lost > 0
                && survived * 4 > count
                && total.transferred * 20 > total.transfers,
        "the runs try nothing: {total:?}"
    );
}

#[test]
fn the_corpus_of_the_fuzz_target_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/session");
    let mut seeds: Vec<_> = fs::read_dir(&folder).unwrap().flatten().map(|entry| entry.path()).collect();
    seeds.sort();
    assert!(seeds.len() >= 20, "{} has only {} seeds", folder.display(), seeds.len());
    let mut failed = Vec::new();
    for path in seeds {
        if holds(&Play::of_bytes(&fs::read(&path).unwrap())).is_none() {
            failed.push(path.file_name().unwrap_or_default().to_owned());
        }
    }
    assert!(failed.is_empty(), "these do not hold: {failed:?}");
}

/// Plays; what does not hold is told. The observer on the wire speaks by a panic.
fn holds(play: &Play) -> Option<Tally> {
    let done = catch_unwind(|| run(play)).ok()?;
    done.inspect_err(|what| eprintln!("{what}")).ok()
}

/// So many ladders are enough to look at.
const MOST_FAILURES: usize = 10;

#[test]
fn bytes_spell_seed_start_and_operations() {
    let play = Play::of_bytes(&[1, 2, 3, 4, 5]);
    assert_eq!(play, Play { seed: 0x0201, start: Start::Early, operations: vec![4, 5] });
    assert_eq!(Play::of_bytes(&[]), Play { seed: 0, start: Start::Up, operations: Vec::new() });
}
