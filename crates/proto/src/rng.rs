//! A small seeded generator: the only source of chance in the core.
//!
//! Tags, branches, cnonces and the random delays of a glare retry (RFC 3261 §14.1) come from here, so
//! one seed repeats a whole run. A driver on a real machine seeds it from the system's entropy.

/// A seeded pseudo-random generator (xoshiro256++, filled by splitmix64).
///
/// It is not a cipher: values it gives are unique and hard to guess from outside only as far as the
/// seed is. Nothing here is used as a key.
#[derive(Clone, Debug)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// A generator that gives the same sequence for the same seed.
    pub fn new(seed: u64) -> Self {
        let mut mix = seed;
        Self { state: std::array::from_fn(|_| splitmix(&mut mix)) }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let drawn = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        drawn
    }

    /// A number from 0 up to, not including, `n`; 0 if `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(n);
        u64::try_from(wide >> 64).unwrap_or_default()
    }

    /// A token of at least `bits` random bits, in lower-case letters and digits that need no escape
    /// anywhere in SIP.
    pub fn token(&mut self, bits: u32) -> String {
        const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let characters = usize::try_from(bits.div_ceil(5)).unwrap_or_default();
        let mut token = String::with_capacity(characters);
        while token.len() < characters {
            let mut drawn = self.next_u64();
            for _ in 0..12 {
                if token.len() == characters {
                    break;
                }
                token.push(char::from(ALPHABET[(drawn & 31) as usize]));
                drawn >>= 5;
            }
        }
        token
    }
}

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_sequence() {
        let draw = |seed| {
            let mut rng = Rng::new(seed);
            (rng.next_u64(), rng.below(100), rng.token(64))
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn xoshiro_follows_its_published_step() {
        // Reference value of xoshiro256++ for the state 1, 2, 3, 4.
        let mut rng = Rng { state: [1, 2, 3, 4] };
        assert_eq!(rng.next_u64(), 41_943_041);
        assert_eq!(rng.next_u64(), 58_720_359);
    }

    #[test]
    fn numbers_stay_below_their_bound_and_reach_it() {
        let mut rng = Rng::new(1);
        assert_eq!(rng.below(0), 0);
        let mut seen = [false; 10];
        for _ in 0..1_000 {
            seen[rng.below(10) as usize] = true;
        }
        assert_eq!(seen, [true; 10]);
    }

    #[test]
    fn a_token_is_as_long_as_its_bits_ask() {
        let mut rng = Rng::new(3);
        assert_eq!(rng.token(0), "");
        assert_eq!(rng.token(64).len(), 13);
        assert_eq!(rng.token(128).len(), 26);
        assert!(rng.token(500).bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
    }
}
