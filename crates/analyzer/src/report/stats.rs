//! Numbers over many calls: what was found how often, with whose programs, at which addresses.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use midcall_proto::rules::Severity;

use crate::model::Call;

/// The numbers of a trace.
#[derive(Clone, Default, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// SIP messages, copies included.
    pub messages: u64,
    /// Inputs that are no SIP.
    pub not_sip: u64,
    /// SIP messages that belong to no call: registrations, subscriptions, requests outside a dialog.
    pub outside: u64,
    /// RTP packets.
    pub media: u64,
    /// RTP packets that were not looked at because there were too many flows at a time.
    pub media_dropped: u64,
    /// Calls.
    pub calls: u64,
    /// Calls that were let go before their end because too many were open.
    pub calls_dropped: u64,
    /// Messages that were not kept, or lost their bytes, because they were too much.
    pub messages_dropped: u64,
    /// Calls by the worst that was found in them.
    pub worst: BySeverity,
    /// Findings by severity.
    pub findings: BySeverity,
    /// Findings by rule.
    pub by_rule: Tally<&'static str>,
    /// Findings by the User-Agent of the party that broke the rule.
    pub by_user_agent: Tally<String>,
    /// Findings by the address of the party that broke the rule.
    pub by_peer: Tally<IpAddr>,
}

/// How many of each severity.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct BySeverity {
    /// None.
    pub none: u64,
    /// Facts worth a line.
    pub info: u64,
    /// Warnings.
    pub warning: u64,
    /// Errors.
    pub error: u64,
}

impl BySeverity {
    fn count(&mut self, severity: Severity) {
        match severity {
            Severity::None => self.none += 1,
            Severity::Info => self.info += 1,
            Severity::Warning => self.warning += 1,
            Severity::Error => self.error += 1,
        }
    }

    /// How many are at least this bad.
    #[must_use]
    pub const fn at_least(&self, severity: Severity) -> u64 {
        match severity {
            Severity::None => self.none + self.info + self.warning + self.error,
            Severity::Info => self.info + self.warning + self.error,
            Severity::Warning => self.warning + self.error,
            Severity::Error => self.error,
        }
    }
}

/// Counts by key, bounded in the number of keys.
#[derive(Clone, Debug)]
pub struct Tally<K> {
    counts: HashMap<K, u64>,
    /// What was counted beyond the most keys.
    pub others: u64,
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self { counts: HashMap::new(), others: 0 }
    }
}

impl<K: Hash + Ord + Clone> Tally<K> {
    fn count(&mut self, key: K) {
        if self.counts.len() < MOST_KEYS || self.counts.contains_key(&key) {
            *self.counts.entry(key).or_default() += 1;
        } else {
            self.others += 1;
        }
    }

    /// The counts, the highest first.
    #[must_use]
    pub fn ranked(&self) -> Vec<(K, u64)> {
        let mut ranked: Vec<(K, u64)> =
            self.counts.iter().map(|(key, count)| (key.clone(), *count)).collect();
        ranked.sort_by(|(a, more), (b, less)| less.cmp(more).then_with(|| a.cmp(b)));
        ranked
    }

    /// The same counts under other keys.
    pub(crate) fn renamed(&self, mut other: impl FnMut(&K) -> K) -> Self {
        let mut fresh = Self { others: self.others, ..Self::default() };
        for (key, count) in &self.counts {
            *fresh.counts.entry(other(key)).or_default() += count;
        }
        fresh
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

impl Stats {
    /// Counts a call with what was found in it.
    pub(crate) fn count(&mut self, call: &Call) {
        self.messages_dropped += call.dropped;
        self.worst.count(call.worst());
        for finding in &call.findings {
            self.findings.count(finding.severity);
            if finding.severity < Severity::Warning {
                continue;
            }
            self.by_rule.count(finding.code);
            let Some(person) = call.person(finding.by) else { continue };
            self.by_user_agent.count(person.user_agent.clone().unwrap_or_else(|| UNNAMED.to_owned()));
            self.by_peer.count(person.address.ip());
        }
    }
}

/// Who broke a rule without naming its program.
const UNNAMED: &str = "(no User-Agent)";
/// The most keys that are counted apart.
const MOST_KEYS: usize = 1_000;
