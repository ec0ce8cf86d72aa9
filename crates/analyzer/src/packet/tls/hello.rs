//! What must be known of the hellos of a TLS handshake (RFC 8446 §4.1, RFC 5246 §7.4.1).

use super::super::be16;

/// The random number of a ClientHello.
pub(super) fn client_random(body: &[u8]) -> Option<[u8; 32]> {
    body.get(2..)?.first_chunk::<32>().copied()
}

/// What a ServerHello chose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ServerHello {
    pub(super) random: [u8; 32],
    pub(super) suite: u16,
    /// TLS 1.3, else 1.2 or older.
    pub(super) is_13: bool,
}

impl ServerHello {
    /// Reads it; `None` for a HelloRetryRequest, after which the client begins again with the same random number.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let random = *body.get(2..)?.first_chunk::<32>()?;
        if random == RETRY {
            return None;
        }
        let session = usize::from(*body.get(34)?);
        let rest = body.get(35 + session..)?;
        let suite = be16(rest, 0)?;
        // Behind the suite and the compression method.
        let mut extensions = rest.get(5..).unwrap_or_default();
        let mut is_13 = false;
        while let (Some(kind), Some(length)) = (be16(extensions, 0), be16(extensions, 2)) {
            let Some(value) = extensions.get(4..4 + usize::from(length)) else { break };
            is_13 |= kind == SUPPORTED_VERSIONS && value == [3, 4];
            extensions = extensions.get(4 + value.len()..).unwrap_or_default();
        }
        Some(Self { random, suite, is_13 })
    }
}

const SUPPORTED_VERSIONS: u16 = 43;
/// RFC 8446 §4.1.3: the random number of a HelloRetryRequest.
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];
