//! The observer on the simulated wire: what it finds, in terms of packets and addresses.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;

use midcall_proto::dialog::Dialog;
use midcall_proto::observer::{self, Certainty, Finding, Observer, ObserverConfig, Party};
use midcall_proto::rules::Severity;
use midcall_proto::time::Instant;

use crate::network::{Fate, Packet};

/// A finding about packets of the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The code of the rule.
    pub code: &'static str,
    /// Who broke it, by address; `None` for the network.
    pub by: Option<SocketAddr>,
    /// The number of the packet that broke it.
    pub at: usize,
    /// The numbers of the packets that make it so.
    pub because: Vec<usize>,
    /// How sure it is.
    pub certainty: Certainty,
    /// How bad it is.
    pub severity: Severity,
}

/// A tap in the middle of the wire: it sees packets when they are sent, lost ones too.
#[derive(Debug)]
pub struct Watch {
    observer: Observer,
    /// The packet of each message of the observer.
    numbers: HashMap<u32, usize>,
    /// The address of the caller and the callee of each call.
    ends: HashMap<String, (SocketAddr, SocketAddr)>,
}

impl Watch {
    /// Watches these packets up to `end`, but for those numbered in `unseen`.
    pub fn over(packets: &[Packet], unseen: &[usize], end: Instant) -> Self {
        let observer = Observer::new(ObserverConfig::default());
        let mut watch = Self { observer, numbers: HashMap::new(), ends: HashMap::new() };
        let seen = |packet: &&Packet| packet.fate != Fate::Unreachable && !unseen.contains(&packet.number);
        for packet in packets.iter().filter(seen) {
            if let Some(number) = watch.observer.observe(packet.sent, packet.from, packet.to, &packet.bytes) {
                watch.numbers.insert(number, packet.number);
            }
            let raw = packet.raw();
            if raw.is_request() {
                watch.ends.entry(raw.call_id().to_owned()).or_insert((packet.from, packet.to));
            }
        }
        watch.observer.finish(end);
        watch
    }

    /// What it found.
    pub fn sightings(&self) -> Vec<Sighting> {
        self.observer.findings().iter().map(|finding| self.sighting(finding)).collect()
    }

    /// Whether it knows of a party's dialog what that party knows; `Err` says what differs. A dialog that it never saw is
    /// none of its business.
    pub fn agrees(&self, own: &Dialog) -> Result<(), String> {
        let (ours, theirs) = (&*own.party.ours.tag, &*own.party.theirs.tag);
        let dialogs = self.observer.call(&own.call_id).map(|call| call.dialogs()).unwrap_or_default();
        for dialog in dialogs {
            let tags = (dialog.caller_tag(), dialog.callee_tag());
            if tags == (ours, theirs) {
                return observer::agrees(&dialog.of_caller(), own);
            }
            if tags == (theirs, ours) {
                return observer::agrees(&dialog.of_callee(), own);
            }
        }
        Ok(())
    }

    fn sighting(&self, finding: &Finding) -> Sighting {
        let packet = |number: &u32| self.numbers.get(number).copied().unwrap_or_default();
        let ends = self.ends.get(&*finding.call_id);
        Sighting {
            code: finding.rule.code(),
            by: match finding.by {
                Party::Caller => ends.map(|ends| ends.0),
                Party::Callee => ends.map(|ends| ends.1),
                Party::Network => None,
            },
            at: packet(&finding.at),
            because: finding.because.iter().map(packet).collect(),
            certainty: finding.certainty,
            severity: finding.severity,
        }
    }
}

impl fmt::Display for Sighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = self.by.map_or_else(|| "the network".to_owned(), |by| by.to_string());
        write!(f, "{} {by} breaks {} in packet {}", self.severity, self.code, self.at)?;
        if !self.because.is_empty() {
            write!(f, " because of {:?}", self.because)?;
        }
        write!(f, " ({})", self.certainty)
    }
}
