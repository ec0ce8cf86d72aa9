//! What a media session counts.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Packets of one payload type between two addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lane {
    /// Our address.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
    /// The payload type.
    pub payload: u8,
    /// Packets.
    pub packets: u64,
    /// Bytes of payload, without headers.
    pub bytes: u64,
    /// When the first one passed.
    pub first: Instant,
    /// When the last one passed.
    pub last: Instant,
}

/// What the peer told about our packets in its last report (RFC 3550 §6.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RemoteReport {
    /// The part of our packets lost since its report before, in 256ths.
    pub fraction_lost: u8,
    /// Our packets lost since the beginning; negative if some came twice.
    pub lost: i32,
    /// The jitter it sees.
    pub jitter: Duration,
    /// There and back, if it had a report of ours to refer to.
    pub round_trip: Option<Duration>,
}

/// Counters of one media session since its start.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct MediaStats {
    /// RTP sent, by addresses and payload type, in the order of first use.
    pub sent: Vec<Lane>,
    /// RTP received, likewise. It includes what came while we did not want it.
    pub received: Vec<Lane>,
    /// Packets received while the plan said that nothing is received (they are counted above too).
    pub unwanted: u64,
    /// Packets received with a payload type that no plan explains (they are counted above too).
    pub unknown_payload: u64,
    /// Packets that never came, by their sequence numbers.
    pub lost: u64,
    /// Interarrival jitter (RFC 3550 §6.4.1).
    pub jitter: Duration,
    /// Synchronization sources heard one after the other.
    pub sources: u32,
    /// RTCP packets sent.
    pub rtcp_sent: u64,
    /// RTCP packets received.
    pub rtcp_received: u64,
    /// BYE packets received.
    pub byes: u64,
    /// What the peer last told about our packets.
    pub remote_report: Option<RemoteReport>,
    /// Digits sent as telephone events.
    pub digits_sent: u64,
    /// Digits received as telephone events.
    pub digits_received: String,
    /// Datagrams that were neither RTP nor RTCP.
    pub malformed: u64,
    /// Packets that the system did not take.
    pub send_errors: u64,
    /// Packets for which there was no lane left (more than 64 combinations of address and payload type).
    pub beyond_lanes: u64,
}

impl MediaStats {
    /// RTP packets sent, all in all.
    #[must_use]
    pub fn packets_sent(&self) -> u64 {
        self.sent.iter().map(|lane| lane.packets).sum()
    }

    /// RTP packets received, all in all.
    #[must_use]
    pub fn packets_received(&self) -> u64 {
        self.received.iter().map(|lane| lane.packets).sum()
    }

    /// RTP packets sent with this payload type.
    #[must_use]
    pub fn sent_as(&self, payload: u8) -> u64 {
        self.sent.iter().filter(|lane| lane.payload == payload).map(|lane| lane.packets).sum()
    }

    /// RTP packets received with this payload type.
    #[must_use]
    pub fn received_as(&self, payload: u8) -> u64 {
        self.received.iter().filter(|lane| lane.payload == payload).map(|lane| lane.packets).sum()
    }

    /// RTP packets received from this address.
    #[must_use]
    pub fn received_from(&self, remote: SocketAddr) -> u64 {
        self.received.iter().filter(|lane| lane.remote == remote).map(|lane| lane.packets).sum()
    }

    /// RTP packets received on this port of ours.
    #[must_use]
    pub fn received_on(&self, port: u16) -> u64 {
        self.received.iter().filter(|lane| lane.local.port() == port).map(|lane| lane.packets).sum()
    }

    /// When the last RTP packet was sent.
    #[must_use]
    pub fn last_sent(&self) -> Option<Instant> {
        self.sent.iter().map(|lane| lane.last).max()
    }

    /// When the last RTP packet came.
    #[must_use]
    pub fn last_received(&self) -> Option<Instant> {
        self.received.iter().map(|lane| lane.last).max()
    }

    pub(crate) fn count_sent(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        payload: u8,
        bytes: usize,
        now: Instant,
    ) {
        let fits = count(&mut self.sent, local, remote, payload, bytes, now);
        self.beyond_lanes += u64::from(!fits);
    }

    pub(crate) fn count_received(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        payload: u8,
        bytes: usize,
        now: Instant,
    ) {
        let fits = count(&mut self.received, local, remote, payload, bytes, now);
        self.beyond_lanes += u64::from(!fits);
    }
}

fn count(
    lanes: &mut Vec<Lane>,
    local: SocketAddr,
    remote: SocketAddr,
    payload: u8,
    bytes: usize,
    now: Instant,
) -> bool {
    let same = |lane: &Lane| lane.payload == payload && lane.remote == remote && lane.local == local;
    let place = lanes.iter().position(same).unwrap_or(lanes.len());
    if place == LANES {
        return false;
    }
    if place == lanes.len() {
        lanes.push(Lane { local, remote, payload, packets: 0, bytes: 0, first: now, last: now });
    }
    if let Some(lane) = lanes.get_mut(place) {
        lane.packets += 1;
        lane.bytes += bytes as u64;
        lane.last = now;
    }
    true
}

const LANES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_told_apart_and_bounded() {
        let local = "127.0.0.1:4000".parse().unwrap();
        let mut stats = MediaStats::default();
        let now = Instant::now();
        for port in 1..=100 {
            stats.count_received(local, SocketAddr::new([127, 0, 0, 1].into(), port), 0, 160, now);
        }
        stats.count_received(local, "127.0.0.1:1".parse().unwrap(), 0, 160, now);
        assert_eq!(stats.received.len(), LANES);
        assert_eq!(stats.beyond_lanes, 36);
        assert_eq!(stats.received_from("127.0.0.1:1".parse().unwrap()), 2);
        assert_eq!(stats.received_on(4000), 65);
        assert_eq!(stats.received_as(8), 0);
    }
}
