//! Key logs: the secrets of TLS sessions as browsers and servers write them for debugging (RFC 9850 §2).

use std::collections::HashMap;
use std::fmt;

/// The secrets of TLS sessions, by the random number of their client.
///
/// ```
/// use midcall_analyzer::source::pcap::Keys;
///
/// let log = format!("# comment\nCLIENT_RANDOM {} {}\n", "01".repeat(32), "ab".repeat(48));
/// assert_eq!(Keys::parse(&log).len(), 1);
/// assert!(Keys::parse("nothing of that kind").is_empty());
/// ```
#[derive(Clone, Default)]
pub struct Keys {
    sessions: HashMap<[u8; 32], Secrets>,
    dropped: u64,
}

/// What is known of one session.
#[derive(Clone, Default)]
pub(super) struct Secrets {
    /// TLS 1.2: the master secret.
    pub(super) master: Option<Secret>,
    /// TLS 1.3: of the client and of the server, until their Finished.
    pub(super) handshake: [Option<Secret>; 2],
    /// TLS 1.3: of the client and of the server, after it.
    pub(super) traffic: [Option<Secret>; 2],
}

/// A secret; its length is that of the hash it is made with, or 48.
#[derive(Clone, Copy)]
pub(super) struct Secret {
    bytes: [u8; 48],
    length: usize,
}

impl Secret {
    pub(super) fn new(from: &[u8]) -> Option<Self> {
        let mut bytes = [0; 48];
        bytes.get_mut(..from.len())?.copy_from_slice(from);
        (from.len() >= 32).then_some(Self { bytes, length: from.len() })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Keys {
    /// Reads a key log. Lines that are none are passed over.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut keys = Self::default();
        keys.add(text);
        keys
    }

    /// Adds what another log knows.
    pub fn add(&mut self, text: &str) {
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            if let (Some(label), Some(random), Some(secret)) = (words.next(), words.next(), words.next()) {
                self.line(label, random, secret);
            }
        }
    }

    /// How many sessions it has secrets of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Secrets that were passed over because there are too many sessions.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) fn of(&self, client_random: &[u8; 32]) -> Option<&Secrets> {
        self.sessions.get(client_random)
    }

    fn line(&mut self, label: &str, random: &str, secret: &str) -> Option<()> {
        let place: fn(&mut Secrets) -> &mut Option<Secret> = match label {
            "CLIENT_RANDOM" => |secrets| &mut secrets.master,
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET" => |secrets| &mut secrets.handshake[0],
            "SERVER_HANDSHAKE_TRAFFIC_SECRET" => |secrets| &mut secrets.handshake[1],
            "CLIENT_TRAFFIC_SECRET_0" => |secrets| &mut secrets.traffic[0],
            "SERVER_TRAFFIC_SECRET_0" => |secrets| &mut secrets.traffic[1],
            _ => return None,
        };
        let mut key = [0; 32];
        (unhex(random, &mut key)? == 32).then_some(())?;
        let mut bytes = [0; 48];
        let length = unhex(secret, &mut bytes)?;
        let secret = Secret::new(bytes.get(..length)?)?;
        if self.sessions.len() >= MAX_SESSIONS && !self.sessions.contains_key(&key) {
            self.dropped += 1;
            return None;
        }
        *place(self.sessions.entry(key).or_default()) = Some(secret);
        Some(())
    }
}

/// Secrets are not for logs.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("sessions", &self.sessions.len()).finish_non_exhaustive()
    }
}

/// Reads hexadecimal digits, and says how many bytes they are.
fn unhex(text: &str, into: &mut [u8]) -> Option<usize> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    for (nth, [high, low]) in pairs.iter().enumerate() {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *into.get_mut(nth)? = digit(high)? << 4 | digit(low)?;
    }
    Some(pairs.len())
}

const MAX_SESSIONS: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_make_no_sense_are_passed_over() {
        let (random, secret) = ("0f".repeat(32), "Ab".repeat(32));
        let text = format!(
            "SERVER_TRAFFIC_SECRET_0 {random} {secret}\r\nSERVER_TRAFFIC_SECRET_0 {random}\nRSA {random} {secret}\n\
             CLIENT_RANDOM {random}00 {secret}\nCLIENT_RANDOM {random} xx\nCLIENT_RANDOM 0\u{e4} {secret}\n\
             CLIENT_RANDOM {} {}",
            "00".repeat(32),
            "11".repeat(49)
        );
        let keys = Keys::parse(&text);
        assert_eq!(keys.len(), 1);
        let secrets = keys.of(&[0x0f; 32]).unwrap();
        assert_eq!(secrets.traffic[1].as_ref().unwrap().bytes(), &[0xab; 32]);
        assert!(secrets.master.is_none() && secrets.traffic[0].is_none());
        assert_eq!(format!("{keys:?}"), "Keys { sessions: 1, .. }");
    }
}
