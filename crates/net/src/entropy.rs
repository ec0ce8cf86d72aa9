//! Seeds: the one place where something unpredictable comes in.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

/// A number that nobody can predict, for identifiers and delays. Keys do not come from here.
pub(crate) fn seed() -> u64 {
    // The standard library keys every RandomState with randomness of the operating system.
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u128(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos()));
    hasher.finish()
}
