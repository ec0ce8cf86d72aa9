//! G.711: one byte a sample, 8000 samples a second, as ITU-T G.711 and RFC 3551 §4.5.14 describe it.

/// Samples a second of both laws.
pub const RATE: u32 = 8_000;

/// Turns one mu-law byte into a 16-bit sample.
#[must_use]
pub const fn decode_mu(byte: u8) -> i16 {
    MU_TO_LINEAR[byte as usize]
}

/// Turns one A-law byte into a 16-bit sample.
#[must_use]
pub const fn decode_a(byte: u8) -> i16 {
    A_TO_LINEAR[byte as usize]
}

/// Turns one 16-bit sample into a mu-law byte.
///
/// ```
/// use midcall::media::g711;
///
/// assert_eq!(g711::encode_mu(0), 0xff);
/// assert_eq!(g711::decode_mu(g711::encode_mu(8031)), 7932);
/// ```
#[must_use]
pub const fn encode_mu(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let mut magnitude = (sample as i32).abs();
    if magnitude > MU_CLIP {
        magnitude = MU_CLIP;
    }
    magnitude += MU_BIAS;
    let exponent = 31 - (magnitude as u32).leading_zeros() as i32 - 7;
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    !(sign | (exponent as u8) << 4 | mantissa as u8)
}

/// Turns one 16-bit sample into an A-law byte.
///
/// ```
/// use midcall::media::g711;
///
/// assert_eq!(g711::encode_a(0), 0xd5);
/// assert_eq!(g711::decode_a(g711::encode_a(-8031)), -8064);
/// ```
#[must_use]
pub const fn encode_a(sample: i16) -> u8 {
    let short = (sample >> 3) as i32;
    let (mask, magnitude) = if short >= 0 { (0xd5, short) } else { (0x55, -short - 1) };
    let mut segment = 0;
    while segment < 7 && magnitude > (0x20 << segment) - 1 {
        segment += 1;
    }
    let shift = if segment < 2 { 1 } else { segment };
    ((segment << 4) as u8 | ((magnitude >> shift) & 0x0f) as u8) ^ mask
}

const MU_BIAS: i32 = 0x84;
const MU_CLIP: i32 = 32_635;
const MU_TO_LINEAR: [i16; 256] = table(true);
const A_TO_LINEAR: [i16; 256] = table(false);

const fn table(mu: bool) -> [i16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = if mu { expand_mu(byte as u8) } else { expand_a(byte as u8) };
        byte += 1;
    }
    table
}

const fn expand_mu(byte: u8) -> i16 {
    let bits = !byte;
    let step = (((bits & 0x0f) as i32) << 3) + MU_BIAS;
    let magnitude = (step << ((bits & 0x70) >> 4)) - MU_BIAS;
    if bits & 0x80 != 0 { -magnitude as i16 } else { magnitude as i16 }
}

const fn expand_a(byte: u8) -> i16 {
    let bits = byte ^ 0x55;
    let step = ((bits & 0x0f) as i32) << 4;
    let segment = (bits & 0x70) >> 4;
    let magnitude = match segment {
        0 => step + 8,
        _ => (step + 0x108) << (segment - 1),
    };
    if bits & 0x80 != 0 { magnitude as i16 } else { -magnitude as i16 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_a_round_trip() {
        for byte in 0..=255_u8 {
            // 0x7f is mu-law's negative zero and comes back as the positive one.
            let expected = if byte == 0x7f { 0xff } else { byte };
            assert_eq!(encode_mu(decode_mu(byte)), expected, "mu-law {byte:#x}");
            assert_eq!(encode_a(decode_a(byte)), byte, "A-law {byte:#x}");
        }
    }

    #[test]
    fn known_values() {
        assert_eq!((decode_mu(0x00), decode_mu(0x80), decode_mu(0xff)), (-32_124, 32_124, 0));
        assert_eq!((decode_a(0x2a), decode_a(0xaa), decode_a(0xd5)), (-32_256, 32_256, 8));
    }

    #[test]
    fn the_error_stays_within_the_step() {
        for sample in (i16::MIN..=i16::MAX).step_by(7) {
            let allowed =
                (i32::from(sample).abs() / 16).max(8) + 800 * i32::from(sample.unsigned_abs() > 31_000);
            for back in [decode_mu(encode_mu(sample)), decode_a(encode_a(sample))] {
                assert!((i32::from(back) - i32::from(sample)).abs() <= allowed, "{sample} -> {back}");
            }
        }
    }
}
