//! Opening TLS records: the AEAD suites of TLS 1.2 (RFC 5246 §6.3, RFC 5288 §3, RFC 7905 §2) and those of TLS 1.3
//! (RFC 8446 §5.2, §7).

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use chacha20poly1305::ChaCha20Poly1305;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Sha256, Sha384};

use super::keys::Secret;

/// A cipher suite that is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Suite {
    algorithm: Algorithm,
    hash: Hash,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Algorithm {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Hash {
    Sha256,
    Sha384,
}

impl Suite {
    pub(super) const fn of(number: u16) -> Option<Self> {
        let (algorithm, hash) = match number {
            0x1301 | 0x009c | 0x009e | 0xc02b | 0xc02d | 0xc02f | 0xc031 => {
                (Algorithm::Aes128Gcm, Hash::Sha256)
            }
            0x1302 | 0x009d | 0x009f | 0xc02c | 0xc02e | 0xc030 | 0xc032 => {
                (Algorithm::Aes256Gcm, Hash::Sha384)
            }
            0x1303 | 0xcca8..=0xccaa => (Algorithm::ChaCha20Poly1305, Hash::Sha256),
            _ => return None,
        };
        Some(Self { algorithm, hash })
    }

    const fn key_length(self) -> usize {
        match self.algorithm {
            Algorithm::Aes128Gcm => 16,
            Algorithm::Aes256Gcm | Algorithm::ChaCha20Poly1305 => 32,
        }
    }
}

/// Opens the records of one direction.
#[derive(Clone)]
pub(super) struct Cipher {
    suite: Suite,
    key: [u8; 32],
    iv: [u8; 12],
    /// The number of the next record.
    sequence: u64,
    /// TLS 1.3: what the key was made from.
    secret: Option<Secret>,
}

impl Cipher {
    /// RFC 5246 §6.3: the keys of both directions are cut from one block.
    pub(super) fn of_master(
        suite: Suite,
        master: &Secret,
        client_random: &[u8; 32],
        server_random: &[u8; 32],
        is_client: bool,
    ) -> Option<Self> {
        let seed = [&b"key expansion"[..], server_random, client_random].concat();
        let key = suite.key_length();
        let fixed = if suite.algorithm == Algorithm::ChaCha20Poly1305 { 12 } else { 4 };
        let block = match suite.hash {
            Hash::Sha256 => expand::<Hmac<Sha256>>(master.bytes(), &seed, 2 * (key + fixed))?,
            Hash::Sha384 => expand::<Hmac<Sha384>>(master.bytes(), &seed, 2 * (key + fixed))?,
        };
        let side = usize::from(!is_client);
        let mut cipher = Self { suite, key: [0; 32], iv: [0; 12], sequence: 0, secret: None };
        cipher.key.get_mut(..key)?.copy_from_slice(block.get(side * key..(side + 1) * key)?);
        let ivs = block.get(2 * key..)?;
        cipher.iv.get_mut(..fixed)?.copy_from_slice(ivs.get(side * fixed..(side + 1) * fixed)?);
        Some(cipher)
    }

    /// RFC 8446 §7.3.
    pub(super) fn of_secret(suite: Suite, secret: Secret) -> Option<Self> {
        let mut cipher = Self { suite, key: [0; 32], iv: [0; 12], sequence: 0, secret: Some(secret) };
        expand_label(suite.hash, &secret, b"key", cipher.key.get_mut(..suite.key_length())?)?;
        expand_label(suite.hash, &secret, b"iv", &mut cipher.iv)?;
        Some(cipher)
    }

    /// RFC 8446 §7.2: the sender goes on with another key.
    pub(super) fn updated(&self) -> Option<Self> {
        let mut next = [0; 48];
        let next = next.get_mut(..self.secret?.bytes().len())?;
        expand_label(self.suite.hash, self.secret.as_ref()?, b"traffic upd", next)?;
        Self::of_secret(self.suite, Secret::new(next)?)
    }

    /// Opens a record; if records are missing before it, up to so many.
    pub(super) fn open(&mut self, kind: u8, version: [u8; 2], body: &[u8], missing: u64) -> Option<Vec<u8>> {
        for sequence in self.sequence..=self.sequence.saturating_add(missing) {
            let plain = match self.secret {
                Some(_) => self.open_13(kind, version, body, sequence),
                None => self.open_12(kind, version, body, sequence),
            };
            if plain.is_some() {
                self.sequence = sequence.saturating_add(1);
                return plain;
            }
        }
        None
    }

    /// RFC 8446 §5.2: the header is authenticated as it stands.
    fn open_13(&self, kind: u8, [major, minor]: [u8; 2], body: &[u8], sequence: u64) -> Option<Vec<u8>> {
        let [high, low] = u16::try_from(body.len()).ok()?.to_be_bytes();
        self.decrypt(&self.nonce(sequence), &[kind, major, minor, high, low], body)
    }

    /// RFC 5246 §6.2.3.3: the number of the record is authenticated, and the length without the tag.
    fn open_12(&self, kind: u8, [major, minor]: [u8; 2], body: &[u8], sequence: u64) -> Option<Vec<u8>> {
        let (nonce, sealed) = if self.suite.algorithm == Algorithm::ChaCha20Poly1305 {
            (self.nonce(sequence), body)
        } else {
            let (explicit, sealed) = body.split_first_chunk::<8>()?;
            let mut nonce = self.iv;
            nonce.get_mut(4..)?.copy_from_slice(explicit);
            (nonce, sealed)
        };
        let length = u16::try_from(sealed.len().checked_sub(TAG)?).ok()?;
        let mut header = [0; 13];
        header.get_mut(..8)?.copy_from_slice(&sequence.to_be_bytes());
        let [high, low] = length.to_be_bytes();
        header.get_mut(8..)?.copy_from_slice(&[kind, major, minor, high, low]);
        self.decrypt(&nonce, &header, sealed)
    }

    fn nonce(&self, sequence: u64) -> [u8; 12] {
        let mut nonce = self.iv;
        for (byte, number) in nonce.iter_mut().rev().zip(sequence.to_be_bytes().into_iter().rev()) {
            *byte ^= number;
        }
        nonce
    }

    fn decrypt(&self, nonce: &[u8; 12], aad: &[u8], msg: &[u8]) -> Option<Vec<u8>> {
        let key = self.key.get(..self.suite.key_length())?;
        let payload = Payload { msg, aad };
        match self.suite.algorithm {
            Algorithm::Aes128Gcm => Aes128Gcm::new_from_slice(key).ok()?.decrypt(nonce.into(), payload).ok(),
            Algorithm::Aes256Gcm => Aes256Gcm::new_from_slice(key).ok()?.decrypt(nonce.into(), payload).ok(),
            Algorithm::ChaCha20Poly1305 => {
                ChaCha20Poly1305::new_from_slice(key).ok()?.decrypt(nonce.into(), payload).ok()
            }
        }
    }
}

/// Keys are not for logs.
impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cipher").field("suite", &self.suite).finish_non_exhaustive()
    }
}

/// P_hash of RFC 5246 §5.
fn expand<M: Mac + hmac::KeyInit>(secret: &[u8], seed: &[u8], length: usize) -> Option<Vec<u8>> {
    let hash = |parts: &[&[u8]]| {
        let mut mac = M::new_from_slice(secret).ok()?;
        parts.iter().for_each(|part| mac.update(part));
        Some(mac.finalize().into_bytes().to_vec())
    };
    let mut out = Vec::new();
    let mut round = hash(&[seed])?;
    while out.len() < length {
        out.extend(hash(&[&round, seed])?);
        round = hash(&[&round])?;
    }
    Some(out)
}

/// RFC 8446 §7.1, with an empty context.
fn expand_label(hash: Hash, secret: &Secret, label: &[u8], into: &mut [u8]) -> Option<()> {
    let length = u16::try_from(into.len()).ok()?.to_be_bytes();
    let name = [b"tls13 ", label].concat();
    let info = [&length[..], &[u8::try_from(name.len()).ok()?], &name, &[0]].concat();
    match hash {
        Hash::Sha256 => Hkdf::<Sha256>::from_prk(secret.bytes()).ok()?.expand(&info, into).ok(),
        Hash::Sha384 => Hkdf::<Sha384>::from_prk(secret.bytes()).ok()?.expand(&info, into).ok(),
    }
}

const TAG: usize = 16;
