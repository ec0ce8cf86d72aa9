//! From a trace to what is wrong in it.

use std::path::Path;
use std::time::Duration;

use midcall_proto::observer::{Finding, Observer, ObserverConfig};
use midcall_proto::rules::Severity;
use midcall_proto::time::Instant;

use crate::source::pcap::{Pcap, Skipped};
use crate::source::{Packet, ReadError};

/// What a trace holds.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Analysis {
    /// SIP messages, copies included.
    pub messages: u64,
    /// Calls.
    pub calls: u64,
    /// Datagrams of any kind.
    pub datagrams: u64,
    /// Rules that were broken, and facts worth a line, in the order of finding.
    pub findings: Vec<Finding>,
    /// What could not be read.
    pub skipped: Skipped,
}

impl Analysis {
    /// The findings that are at least this bad.
    pub fn at_least(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.severity >= severity)
    }
}

/// Replays a pcap or pcapng file through the observer.
///
/// # Errors
/// The file cannot be read, is no capture, or breaks off in nonsense.
pub fn analyze_file(path: impl AsRef<Path>) -> Result<Analysis, ReadError> {
    let mut pcap = Pcap::open(path)?;
    let mut analysis = analyze(pcap.by_ref())?;
    analysis.skipped = pcap.skipped();
    Ok(analysis)
}

/// Replays datagrams through the observer.
///
/// # Errors
/// The first error of the source.
pub fn analyze(packets: impl Iterator<Item = Result<Packet, ReadError>>) -> Result<Analysis, ReadError> {
    let mut observer = Observer::new(ObserverConfig::default());
    let (mut datagrams, mut last) = (0, Instant::ZERO);
    for packet in packets {
        let packet = packet?;
        datagrams += 1;
        last = last.max(packet.at);
        observer.observe(packet.at, packet.from, packet.to, &packet.payload);
    }
    observer.finish(last + AFTERWARDS);
    let stats = observer.stats();
    Ok(Analysis {
        messages: stats.messages,
        calls: stats.calls,
        datagrams,
        findings: observer.findings().to_vec(),
        skipped: Skipped::default(),
    })
}

/// Long enough for the last message to have arrived, too short for anything to be owed that the capture ended before.
const AFTERWARDS: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(at: u64, swapped: bool, text: &str) -> Result<Packet, ReadError> {
        let (mut from, mut to) = ("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap());
        if swapped {
            std::mem::swap(&mut from, &mut to);
        }
        let payload = text.replace('\n', "\r\n").into();
        let (transport, place) = (midcall_proto::flow::Transport::Udp, crate::source::Place::default());
        Ok(Packet { at: Instant::from_micros(at), from, to, transport, payload, place, cut: false })
    }

    #[test]
    fn a_broken_rule_is_found_and_other_datagrams_are_counted() {
        let invite = "INVITE sip:bob@192.0.2.2 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\n\
                      From: <sip:alice@192.0.2.1>;tag=a\nTo: <sip:bob@192.0.2.2>\nCall-ID: c1\n\
                      CSeq: 1 INVITE\nMax-Forwards: 70\nContent-Length: 0\n\n";
        let analysis = analyze([packet(1, false, invite), packet(2, true, "\u{80}rtp")].into_iter()).unwrap();
        assert_eq!((analysis.messages, analysis.calls, analysis.datagrams), (1, 1, 2));
        // RFC 3261 §8.1.1.8: an INVITE names a Contact.
        assert_eq!(analysis.at_least(Severity::Warning).next().unwrap().rule.code(), "DLG-22");
    }

    #[test]
    fn an_error_of_the_source_is_passed_on() {
        assert!(analyze_file("/no/such/file").is_err());
    }
}
