//! TLS with known keys: from records to the stream inside.

mod cipher;
mod hello;
mod keys;

use std::net::SocketAddr;

use super::stream::{Path, Stream};
use super::{Reason, Seen};
use cipher::{Cipher, Suite};
use hello::ServerHello;
pub use keys::Keys;

/// What both directions of a connection agreed on.
#[derive(Debug, Default)]
pub(super) struct Session {
    client: Option<SocketAddr>,
    client_random: Option<[u8; 32]>,
    server: Option<ServerHello>,
    news: bool,
    /// That it cannot be read has been counted.
    counted: bool,
}

impl Session {
    /// Whether a hello came since the last time somebody asked.
    pub(super) fn has_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    fn give_up(&mut self, reason: Reason, path: &mut Path<'_>) -> Step {
        if !std::mem::replace(&mut self.counted, true) {
            path.out.counts.add(reason);
        }
        Step::GiveUp
    }
}

/// One direction of a TLS connection.
#[derive(Debug)]
pub(super) struct Half {
    /// The beginning of a record.
    buffer: Vec<u8>,
    /// The beginning of a handshake message.
    handshake: Vec<u8>,
    stage: Stage,
    cipher: Option<Cipher>,
    inner: Stream,
    /// Bytes of a record that is torn.
    skip: usize,
    /// Where a record begins is no longer known.
    lost: bool,
    /// Records that may be missing before the next one.
    missing: u64,
    failures: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Plain,
    /// TLS 1.3, up to Finished.
    Handshake,
    Traffic,
}

enum Step {
    Next,
    /// The other direction must speak first.
    Wait,
    GiveUp,
}

impl Default for Half {
    fn default() -> Self {
        let mut inner = Stream::secure();
        inner.begins();
        Self {
            buffer: Vec::new(),
            handshake: Vec::new(),
            stage: Stage::Plain,
            cipher: None,
            inner,
            skip: 0,
            lost: false,
            missing: 0,
            failures: 0,
        }
    }
}

/// A TLS record.
#[derive(Clone, Copy)]
struct Record<'a> {
    kind: u8,
    version: [u8; 2],
    body: &'a [u8],
}

impl Half {
    pub(super) fn held(&self) -> usize {
        self.buffer.len() + self.handshake.len() + self.inner.held()
    }

    /// Takes bytes in; `false` if no more of them are worth reading.
    pub(super) fn data(&mut self, seen: Seen, bytes: &[u8], path: &mut Path<'_>) -> bool {
        let mut session = path.session.take().unwrap_or_default();
        let goes_on = self.records(seen, bytes, &mut session, path);
        *path.session = Some(session);
        goes_on
    }

    fn records(&mut self, seen: Seen, mut bytes: &[u8], session: &mut Session, path: &mut Path<'_>) -> bool {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        bytes = bytes.get(skipped..).unwrap_or_default();
        if self.lost && !bytes.is_empty() {
            if !begins(bytes) {
                return true;
            }
            self.lost = false;
        }
        self.buffer.extend_from_slice(bytes);
        let buffer = std::mem::take(&mut self.buffer);
        let mut rest = buffer.as_slice();
        while let Some((&[kind, major, minor, high, low], behind)) = rest.split_first_chunk::<5>() {
            let length = usize::from(u16::from_be_bytes([high, low]));
            if major != 3 || !matches!(kind, CHANGE_CIPHER_SPEC..=HEARTBEAT) || length > MAX_RECORD {
                path.out.counts.add(Reason::Hole);
                self.gap(usize::MAX, path);
                return true;
            }
            let Some((body, next)) = behind.split_at_checked(length) else { break };
            match self.record(seen, Record { kind, version: [major, minor], body }, session, path) {
                Step::Next => rest = next,
                Step::Wait if rest.len() > MAX_WAITING => {
                    session.give_up(Reason::NoKeys, path);
                    return false;
                }
                Step::Wait => break,
                Step::GiveUp => return false,
            }
        }
        self.buffer = rest.to_vec();
        true
    }

    /// Bytes are missing: if they are all inside of one record, the next one stands where it must.
    pub(super) fn gap(&mut self, missing: usize, path: &mut Path<'_>) {
        let left = match self.buffer.split_first_chunk::<5>() {
            Some((&[_, _, _, high, low], behind)) => {
                usize::from(u16::from_be_bytes([high, low])).saturating_sub(behind.len())
            }
            None => self.skip,
        };
        self.skip = left.saturating_sub(missing);
        self.lost = left < missing || left == 0;
        self.missing = if self.lost { MAX_MISSING } else { self.missing + 1 };
        (self.buffer, self.handshake) = (Vec::new(), Vec::new());
        self.inner.torn(usize::MAX, path);
    }

    pub(super) fn end(&mut self, path: &mut Path<'_>) {
        self.buffer = Vec::new();
        self.inner.end(path);
    }

    fn record(&mut self, seen: Seen, record: Record<'_>, session: &mut Session, path: &mut Path<'_>) -> Step {
        if self.stage != Stage::Plain {
            return self.protected(seen, record, session, path);
        }
        match (record.kind, session.server) {
            (HANDSHAKE, _) => {
                self.hellos(record.body, session, path);
                Step::Next
            }
            (CHANGE_CIPHER_SPEC | APPLICATION_DATA, None) if session.client_random.is_some() => Step::Wait,
            (CHANGE_CIPHER_SPEC | APPLICATION_DATA, None) => session.give_up(Reason::NoKeys, path),
            (CHANGE_CIPHER_SPEC, Some(server)) => {
                if !server.is_13 {
                    self.stage = Stage::Traffic;
                }
                Step::Next
            }
            (APPLICATION_DATA, Some(server)) => {
                self.stage = if server.is_13 { Stage::Handshake } else { Stage::Traffic };
                self.protected(seen, record, session, path)
            }
            _ => Step::Next,
        }
    }

    /// Looks for the hellos among messages that are not encrypted.
    fn hellos(&mut self, bytes: &[u8], session: &mut Session, path: &Path<'_>) {
        self.handshake.extend_from_slice(bytes);
        let buffer = std::mem::take(&mut self.handshake);
        let (mut rest, mut is_13) = (buffer.as_slice(), false);
        while let Some((kind, body, next)) = handshake_message(rest) {
            match kind {
                CLIENT_HELLO => {
                    session.client_random = hello::client_random(body);
                    session.client = Some(path.ends.0);
                    session.news = true;
                }
                SERVER_HELLO => {
                    if let Some(server) = ServerHello::read(body) {
                        session.server = Some(server);
                        session.client = Some(path.ends.1);
                        session.news = true;
                        is_13 = server.is_13;
                    }
                }
                _ => {}
            }
            rest = next;
        }
        if is_13 {
            self.stage = Stage::Handshake;
        }
        self.keep_handshake(rest);
    }

    fn protected(
        &mut self,
        seen: Seen,
        record: Record<'_>,
        session: &mut Session,
        path: &mut Path<'_>,
    ) -> Step {
        let Some(server) = session.server else { return Step::Wait };
        // RFC 8446 §5: in TLS 1.3 only application data is encrypted; the rest is there for the sake of appearances.
        if server.is_13 && record.kind != APPLICATION_DATA {
            return Step::Next;
        }
        let plain = match self.open(record, session, path) {
            Ok(Some(plain)) => plain,
            Ok(None) => return self.failed(session, path),
            Err(reason) => return session.give_up(reason, path),
        };
        (self.missing, self.failures) = (0, 0);
        let (kind, plain) = if server.is_13 { unpadded(&plain) } else { (record.kind, plain.as_slice()) };
        match kind {
            APPLICATION_DATA => self.inner.data(seen, plain, path),
            HANDSHAKE if server.is_13 => self.messages(plain),
            _ => {}
        }
        if self.inner.is_ignored() { Step::GiveUp } else { Step::Next }
    }

    fn open(
        &mut self,
        record: Record<'_>,
        session: &Session,
        path: &Path<'_>,
    ) -> Result<Option<Vec<u8>>, Reason> {
        let Record { kind, version, body } = record;
        if self.cipher.is_none() {
            self.cipher = Some(derive(self.stage, session, path)?);
        }
        let missing = self.missing;
        let opened = self.cipher.as_mut().and_then(|cipher| cipher.open(kind, version, body, missing));
        if opened.is_none() && self.stage == Stage::Handshake && missing > 0 {
            // Finished may have been in the hole.
            let mut cipher = derive(Stage::Traffic, session, path)?;
            let opened = cipher.open(kind, version, body, missing);
            if opened.is_some() {
                (self.stage, self.cipher) = (Stage::Traffic, Some(cipher));
            }
            return Ok(opened);
        }
        Ok(opened)
    }

    fn failed(&mut self, session: &mut Session, path: &mut Path<'_>) -> Step {
        path.out.counts.add(Reason::Undecipherable);
        self.failures += 1;
        if self.failures > MAX_FAILURES {
            session.counted = true;
            return Step::GiveUp;
        }
        // Early data, which has another key, or a record that the capture has wrong.
        self.missing = (self.missing + 1).min(MAX_MISSING);
        Step::Next
    }

    /// Looks for the messages after which another key is used.
    fn messages(&mut self, plain: &[u8]) {
        self.handshake.extend_from_slice(plain);
        let buffer = std::mem::take(&mut self.handshake);
        let mut rest = buffer.as_slice();
        while let Some((kind, _, next)) = handshake_message(rest) {
            match (kind, self.stage) {
                (FINISHED, Stage::Handshake) => (self.stage, self.cipher) = (Stage::Traffic, None),
                (KEY_UPDATE, Stage::Traffic) => self.cipher = self.cipher.as_ref().and_then(Cipher::updated),
                _ => {}
            }
            rest = next;
        }
        self.keep_handshake(rest);
    }

    fn keep_handshake(&mut self, rest: &[u8]) {
        if rest.len() <= MAX_HANDSHAKE {
            self.handshake = rest.to_vec();
        }
    }
}

/// Whether bytes begin with a TLS record.
pub(super) fn begins(bytes: &[u8]) -> bool {
    match bytes {
        [HANDSHAKE, 3, 0..=4, _, _, kind, ..] if !matches!(*kind, CLIENT_HELLO | SERVER_HELLO) => false,
        [CHANGE_CIPHER_SPEC..=APPLICATION_DATA, 3, 0..=4, high, low, ..] => {
            (1..=MAX_RECORD).contains(&usize::from(u16::from_be_bytes([*high, *low])))
        }
        _ => false,
    }
}

/// The cipher of the direction from the first of these ends to the second.
fn derive(stage: Stage, session: &Session, path: &Path<'_>) -> Result<Cipher, Reason> {
    let (Some(client_random), Some(server)) = (session.client_random, session.server) else {
        return Err(Reason::NoKeys);
    };
    let suite = Suite::of(server.suite).ok_or(Reason::Suite)?;
    let is_client = session.client == Some(path.ends.0);
    let secrets = path.keys.of(&client_random).ok_or(Reason::NoKeys)?;
    let cipher = if server.is_13 {
        let [client, server] = match stage {
            Stage::Traffic => secrets.traffic,
            Stage::Plain | Stage::Handshake => secrets.handshake,
        };
        Cipher::of_secret(suite, if is_client { client } else { server }.ok_or(Reason::NoKeys)?)
    } else {
        let master = secrets.master.as_ref().ok_or(Reason::NoKeys)?;
        Cipher::of_master(suite, master, &client_random, &server.random, is_client)
    };
    cipher.ok_or(Reason::NoKeys)
}

/// A whole handshake message: its type, its body and what follows.
fn handshake_message(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[kind, high, middle, low], rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
    let (body, next) = rest.split_at_checked(length)?;
    Some((kind, body, next))
}

/// RFC 8446 §5.2: the true type stands behind the content, and zeros behind that.
fn unpadded(plain: &[u8]) -> (u8, &[u8]) {
    let end = plain.iter().rposition(|byte| *byte != 0);
    end.map_or((0, &[]), |end| {
        (plain.get(end).copied().unwrap_or_default(), plain.get(..end).unwrap_or_default())
    })
}

const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const HEARTBEAT: u8 = 24;

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const FINISHED: u8 = 20;
const KEY_UPDATE: u8 = 24;

/// RFC 5246 §6.2.3: content, and what protection may add.
const MAX_RECORD: usize = (1 << 14) + 2048;
/// Of records that wait for the other direction.
const MAX_WAITING: usize = 64 << 10;
const MAX_HANDSHAKE: usize = 64 << 10;
/// Records that a hole may have swallowed.
const MAX_MISSING: u64 = 64;
/// Records in a row that cannot be decrypted.
const MAX_FAILURES: u32 = 32;
