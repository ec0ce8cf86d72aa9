//! The `session` property over many seeds. See [`midcall_testkit::session`].

use midcall_testkit::session::{Tally, operations, run};

/// `MIDCALL_SEEDS=100000 cargo test --release -p midcall-testkit --test session` runs more; `MIDCALL_SEED=n` begins at another
/// seed, and alone runs just that one.
#[test]
fn both_sides_agree_whatever_happens() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (seed, seeds) = (number("MIDCALL_SEED"), number("MIDCALL_SEEDS"));
    let (first, count) = (seed.unwrap_or(0), seeds.unwrap_or(if seed.is_some() { 1 } else { 400 }));
    let mut total = Tally::default();
    let mut survived = 0;
    for seed in first..first + count {
        match run(seed, &operations(seed)) {
            Ok(tally) => {
                total.operations += tally.operations;
                total.wishes += tally.wishes;
                total.refused += tally.refused;
                total.glares += tally.glares;
                total.lost += tally.lost;
                survived += u64::from(tally.survived);
            }
            Err(what) => panic!("{what}"),
        }
    }
    println!("{count} seeds, {survived} calls survived, {total:?}");
    assert!(
        count == 1 || total.glares > 0 && total.lost > 0 && survived * 2 > count,
        "the runs try nothing: {total:?}"
    );
}
