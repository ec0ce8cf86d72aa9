//! Many calls from one place that nobody means (RFC 3261 §26.3.2.4).

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use midcall_proto::observer::Party;
use midcall_proto::rules::{RuleId, Severity};
use midcall_proto::time::Instant;
use midcall_wire::Method;

use super::known::Known;
use crate::diagnosis::Marked;
use crate::model::Finding;

/// Calls that were begun and left, by where they came from.
#[derive(Debug, Default)]
pub(super) struct Flood {
    sources: HashMap<IpAddr, Burst>,
}

#[derive(Clone, Copy, Debug)]
struct Burst {
    since: Instant,
    calls: u32,
    told: bool,
}

impl Flood {
    /// Counts a finished call; the one with which its source has sent too many is told.
    pub(super) fn take(&mut self, known: &Known) -> Option<Finding> {
        // Who means it acknowledges what he gets, or takes it back.
        let meant = |method| known.first(|event| event.by == Party::Caller && event.is(method)).is_some();
        let left = known.setup.n > 0 && ![Method::Ack, Method::Cancel, Method::Bye].into_iter().any(meant);
        if !left
            || known.confirmed()
                && known.first(|event| event.status >= 300).is_none()
                && known.events.len() > 2
        {
            return None;
        }
        if self.sources.len() >= MOST_SOURCES && !self.sources.contains_key(&known.from) {
            self.sources.retain(|_, burst| burst.since + SPAN > known.began);
            if self.sources.len() >= MOST_SOURCES {
                return None;
            }
        }
        let fresh = Burst { since: known.began, calls: 0, told: false };
        let burst = self.sources.entry(known.from).or_insert(fresh);
        if burst.since + SPAN <= known.began {
            *burst = fresh;
        }
        burst.calls += 1;
        if burst.calls < MANY || burst.told {
            return None;
        }
        burst.told = true;
        let means = format!(
            "{} began {} calls within {} s and followed none of them up: no ACK, no CANCEL, no credentials.",
            Marked(known.from),
            burst.calls,
            SPAN.as_secs()
        );
        let mut finding = super::finding(RuleId::StateFlood, &means);
        (finding.by, finding.at, finding.severity) = (Party::Caller, known.setup.n, Severity::Warning);
        Some(finding)
    }
}

/// How many such calls are a flood, within which time.
const MANY: u32 = 50;
const SPAN: Duration = Duration::from_secs(10);
/// The most sources that are counted at once.
const MOST_SOURCES: usize = 4_096;
