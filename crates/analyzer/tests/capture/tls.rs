//! The same call over TLS as rustls speaks it, read with the keys that it logs.

use std::fmt;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use midcall_analyzer::source::pcap::Keys;
use midcall_analyzer::source::{Packet, Summary};
use midcall_proto::flow::Transport;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, KeyLog, RootCertStore, ServerConfig, ServerConnection,
    SupportedCipherSuite, SupportedProtocolVersion,
};

use super::segments::Segments;
use super::websocket::frame;
use super::wire::{Ng, RAW, as_lines, call, lines, read, read_with, v4};

/// Writes the log that `SSLKEYLOGFILE` asks for.
#[derive(Default)]
struct Log(Mutex<String>);

impl KeyLog for Log {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        *self.0.lock().unwrap() += &format!("{label} {} {}\n", hex(client_random), hex(secret));
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}

/// A client and a server, and the segments between them.
struct Pair {
    client: ClientConnection,
    server: ServerConnection,
    segments: Segments,
    log: Arc<Log>,
    /// How long a segment may be.
    piece: usize,
}

impl Pair {
    fn new(suite: SupportedCipherSuite, version: &'static SupportedProtocolVersion, piece: usize) -> Self {
        let log = Arc::new(Log::default());
        let own = rcgen::generate_simple_self_signed(["example.com".to_owned()]).unwrap();
        let certificate = CertificateDer::from(own.cert);
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let mut provider = rustls::crypto::ring::default_provider();
        provider.cipher_suites = vec![suite];
        let provider = Arc::new(provider);
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.key_log = log.clone();
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let name = ServerName::try_from("example.com").unwrap();
        let mut pair = Self {
            client: ClientConnection::new(Arc::new(config), name).unwrap(),
            server: ServerConnection::new(Arc::new(server)).unwrap(),
            segments: Segments::open(v4()),
            log,
            piece,
        };
        pair.settle();
        pair
    }

    /// Carries everything over until nobody has more to send.
    fn settle(&mut self) {
        loop {
            let mut said = [Vec::new(), Vec::new()];
            while self.client.wants_write() {
                self.client.write_tls(&mut said[0]).unwrap();
            }
            while self.server.wants_write() {
                self.server.write_tls(&mut said[1]).unwrap();
            }
            if said.iter().all(Vec::is_empty) {
                return;
            }
            for (side, bytes) in said.iter().enumerate() {
                for piece in bytes.chunks(self.piece) {
                    self.segments.send(side, piece);
                }
            }
            let mut bytes = &said[0][..];
            while !bytes.is_empty() {
                self.server.read_tls(&mut bytes).unwrap();
                self.server.process_new_packets().unwrap();
            }
            let mut bytes = &said[1][..];
            while !bytes.is_empty() {
                self.client.read_tls(&mut bytes).unwrap();
                self.client.process_new_packets().unwrap();
            }
            let mut heard = Vec::new();
            let _ = self.server.reader().read_to_end(&mut heard);
            let _ = self.client.reader().read_to_end(&mut heard);
        }
    }

    fn say(&mut self, side: usize, bytes: &[u8]) {
        let mut writer = if side == 0 { self.client.writer() } else { self.server.writer() };
        writer.write_all(bytes).unwrap();
        self.settle();
    }

    fn call(&mut self) {
        for (forth, bytes) in call() {
            self.say(usize::from(!forth), &bytes);
        }
    }

    fn keys(&self) -> Keys {
        Keys::parse(&self.log.0.lock().unwrap())
    }

    fn read(&self) -> (Vec<Packet>, Summary) {
        read_with(&self.segments.file(), self.keys())
    }
}

fn suites() -> Vec<(SupportedCipherSuite, &'static SupportedProtocolVersion)> {
    let all = rustls::crypto::ring::ALL_CIPHER_SUITES;
    all.iter()
        // The certificate is one of ECDSA.
        .filter(|suite| !format!("{:?}", suite.suite()).contains("RSA_"))
        .map(|suite| (*suite, if suite.tls13().is_some() { &TLS13 } else { &TLS12 }))
        .collect()
}

/// A frame and its time.
type Timed = (u64, Vec<u8>);

/// A key log and frames with their times, of a connection of each suite over which a message goes.
pub(crate) fn connection(message: &[u8]) -> Vec<(String, Vec<Timed>)> {
    let connections = suites().into_iter().map(|(suite, version)| {
        let mut pair = Pair::new(suite, version, 1_400);
        pair.say(0, message);
        pair.say(1, message);
        let log = pair.log.0.lock().unwrap().clone();
        (log, pair.segments.frames)
    });
    connections.collect()
}

#[test]
fn a_call_over_tls_of_every_suite_is_the_same_call() {
    let suites = suites();
    assert_eq!(suites.len(), 6);
    for (suite, version) in suites {
        for piece in [100_000, 1_000, 1] {
            let mut pair = Pair::new(suite, version, piece);
            pair.call();
            let (messages, summary) = pair.read();
            assert_eq!(as_lines(&messages), lines(v4()), "{suite:?} in pieces of {piece}: {summary:?}");
            assert!(messages.iter().all(|packet| packet.transport == Transport::Tls && !packet.cut));
            assert!(summary.skipped.is_empty(), "{suite:?}: {summary:?}");
        }
    }
}

#[test]
fn websocket_over_tls_is_the_same_call() {
    for (suite, version) in suites() {
        let mut pair = Pair::new(suite, version, 500);
        pair.say(0, b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n");
        pair.say(1, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n");
        for (forth, bytes) in call() {
            pair.say(usize::from(!forth), &frame(0x81, forth, &bytes));
        }
        let (messages, summary) = pair.read();
        assert_eq!(as_lines(&messages), lines(v4()), "{suite:?}: {summary:?}");
        assert!(messages.iter().all(|packet| packet.transport == Transport::Wss));
    }
}

#[test]
fn keys_in_the_capture_itself_are_used() {
    let mut pair = Pair::new(suites()[0].0, suites()[0].1, 1_000);
    pair.call();
    let log = pair.log.0.lock().unwrap().clone();
    let start = Ng::new(false).interface(RAW, &[]).secrets(&log);
    let file = pair.segments.frames.iter().fold(start, |ng, (at, frame)| ng.packet(0, *at, frame)).file;
    assert_eq!(as_lines(&read(&file).0), lines(v4()));
}

#[test]
fn a_new_key_on_the_way_is_followed() {
    let (suite, version) = suites().into_iter().find(|(suite, _)| suite.tls13().is_some()).unwrap();
    let mut pair = Pair::new(suite, version, 1_000);
    for (nth, (forth, bytes)) in call().into_iter().enumerate() {
        if nth % 2 == 0 {
            pair.client.refresh_traffic_keys().unwrap();
            pair.settle();
        }
        pair.say(usize::from(!forth), &bytes);
    }
    let (messages, summary) = pair.read();
    assert_eq!(as_lines(&messages), lines(v4()), "{summary:?}");
}

#[test]
fn without_its_keys_a_connection_is_counted_once() {
    for (suite, version) in suites() {
        let mut pair = Pair::new(suite, version, 1_000);
        pair.call();
        let (messages, summary) = read(&pair.segments.file());
        assert!(messages.is_empty());
        assert_eq!(summary.skipped_for("TLS connections without keys"), 1, "{summary:?}");
        assert_eq!(summary.skipped.len(), 1, "{summary:?}");
        // It is the same if the beginning is missing.
        let mut late = pair.segments.clone();
        late.frames.drain(..8);
        let (messages, summary) = read_with(&late.file(), pair.keys());
        assert!(messages.is_empty());
        assert_eq!(summary.skipped_for("TLS connections without keys"), 1, "{summary:?}");
        assert_eq!(summary.skipped.len(), 1, "{summary:?}");
    }
}

#[test]
fn a_missing_record_costs_only_what_was_in_it() {
    for (suite, version) in suites() {
        let mut pair = Pair::new(suite, version, 100_000);
        let handshake = pair.segments.frames.len();
        pair.call();
        for gone in 0..call().len() {
            let mut segments = pair.segments.clone();
            segments.frames.remove(handshake + gone);
            segments.wait(20_000);
            let (messages, summary) = read_with(&segments.file(), pair.keys());
            let mut expected = lines(v4());
            expected.remove(gone);
            let mut found = as_lines(&messages);
            // What waits behind the hole is given late.
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{suite:?} without {gone}: {summary:?}");
            // At the end of a direction, nobody sees that something is missing.
            assert!(summary.skipped_for("TLS records that cannot be decrypted") == 0, "{summary:?}");
        }
    }
}

#[test]
fn hellos_out_of_order_are_waited_for() {
    for (suite, version) in suites() {
        let mut pair = Pair::new(suite, version, 100_000);
        pair.call();
        // The server's hello, behind the client's answer to it.
        let hello = pair.segments.frames.remove(3);
        pair.segments.frames.insert(4, hello);
        let (mut messages, summary) = pair.read();
        messages.sort_by_key(|packet| packet.place.number);
        assert_eq!(as_lines(&messages), lines(v4()), "{suite:?}: {summary:?}");
    }
}
