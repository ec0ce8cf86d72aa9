//! RTCP: when to report, what to say, and what the peer said. RFC 3550 §6.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use midcall_proto::rng::Rng;
use midcall_wire::rtp::rtcp;
use tokio::time::Instant;

use super::g711;
use super::receiver::Receiver;
use super::sender::Sender;
use super::stats::RemoteReport;

/// Keeps the time of the reports and the name they carry.
#[derive(Debug)]
pub(crate) struct Reporter {
    /// When the next report goes out.
    pub(crate) due: Instant,
    interval: Duration,
    cname: String,
    rng: Rng,
}

impl Reporter {
    pub(crate) fn new(mut rng: Rng, interval: Duration, now: Instant) -> Self {
        // RFC 7022 §4.2: a random name for the session says nothing about the user.
        let cname = format!("{:016x}@midcall.invalid", rng.next_u64());
        Self { due: now + interval, interval, cname, rng }
    }

    /// A new place to report to: RFC 3550 §6.2 lets the first report of a unicast session go at once.
    pub(crate) fn soon(&mut self, now: Instant) {
        self.due = now + FIRST;
    }

    /// RFC 3550 §6.3.1: between half and one and a half times the interval.
    pub(crate) fn later(&mut self, now: Instant) {
        let millis = u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX);
        self.due = now + Duration::from_millis(millis / 2 + self.rng.below(millis.max(1)));
    }

    /// A compound packet: a report, our name, and BYE at the end.
    pub(crate) fn compound(
        &self,
        sender: &mut Sender,
        receiver: &mut Receiver,
        now: Instant,
        bye: bool,
    ) -> Vec<u8> {
        let now = now.into_std();
        let report: Vec<rtcp::ReportBlock> = receiver.report(now).into_iter().collect();
        let mut bytes = Vec::with_capacity(128);
        if std::mem::take(&mut sender.active) {
            let report = rtcp::SenderReport {
                ssrc: sender.ssrc,
                ntp: ntp(SystemTime::now()),
                rtp_timestamp: sender.timestamp_at(now),
                packets: sender.packets,
                octets: sender.octets,
                reports: report,
            };
            report.write(&mut bytes);
        } else {
            rtcp::ReceiverReport { ssrc: sender.ssrc, reports: report }.write(&mut bytes);
        }
        rtcp::Sdes { ssrc: sender.ssrc, cname: self.cname.clone() }.write(&mut bytes);
        if bye {
            rtcp::Bye { sources: vec![sender.ssrc], reason: None }.write(&mut bytes);
        }
        bytes
    }
}

/// What a compound packet of the peer tells.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct News {
    /// Source and NTP time of a sender report.
    pub(crate) sender_report: Option<(u32, u64)>,
    /// The report about our packets.
    pub(crate) about_us: Option<RemoteReport>,
    /// Whether a source left.
    pub(crate) bye: bool,
}

/// Reads a compound packet; `None` if it is none.
pub(crate) fn read_compound(bytes: &[u8], our_ssrc: u32) -> Option<News> {
    let packets: Vec<rtcp::Packet> = rtcp::packets(bytes).collect::<Result<_, _>>().ok()?;
    let mut news = News::default();
    for packet in packets {
        let reports = match packet {
            rtcp::Packet::SenderReport(report) => {
                news.sender_report = Some((report.ssrc, report.ntp));
                report.reports
            }
            rtcp::Packet::ReceiverReport(report) => report.reports,
            rtcp::Packet::Bye(_) => {
                news.bye = true;
                continue;
            }
            _ => continue,
        };
        if let Some(block) = reports.iter().find(|block| block.ssrc == our_ssrc) {
            news.about_us = Some(remote_report(block, (ntp(SystemTime::now()) >> 16) as u32));
        }
    }
    Some(news)
}

/// RFC 3550 §6.4.1: the round trip is now less the time of our report less the time it lay with the peer.
fn remote_report(block: &rtcp::ReportBlock, now: u32) -> RemoteReport {
    let trip = now.wrapping_sub(block.last_sr).wrapping_sub(block.delay_since_last_sr);
    // A peer that counts wrongly gets a round trip "before" our report; that is none.
    let known = block.last_sr != 0 && trip < u32::MAX / 2;
    RemoteReport {
        fraction_lost: block.fraction_lost,
        lost: block.lost,
        jitter: Duration::from_secs_f64(f64::from(block.jitter) / f64::from(g711::RATE)),
        round_trip: known.then(|| Duration::from_secs_f64(f64::from(trip) / 65_536.0)),
    }
}

/// Seconds since 1900 in the upper half, their fraction in the lower (RFC 3550 §4).
fn ntp(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
    since.as_secs().wrapping_add(EPOCH_1900) << 32 | fraction
}

const FIRST: Duration = Duration::from_millis(150);
const EPOCH_1900: u64 = 2_208_988_800;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Source;

    fn halves() -> (Reporter, Sender, Receiver, Instant) {
        let now = Instant::now();
        let mut rng = Rng::new(1);
        let sender = Sender::new(Source::Silence, &mut rng, now.into_std());
        (Reporter::new(rng, Duration::from_secs(5), now), sender, Receiver::default(), now)
    }

    #[test]
    fn who_sends_reports_as_sender_and_who_does_not_as_receiver() {
        let (reporter, mut sender, mut receiver, now) = halves();
        sender.active = true;
        let bytes = reporter.compound(&mut sender, &mut receiver, now, false);
        let news = read_compound(&bytes, 1).unwrap();
        assert_eq!(news.sender_report.map(|(ssrc, _)| ssrc), Some(sender.ssrc));
        assert!(!news.bye);
        let bytes = reporter.compound(&mut sender, &mut receiver, now, true);
        assert_eq!(read_compound(&bytes, 1), Some(News { bye: true, ..News::default() }));
    }

    #[test]
    fn the_interval_is_spread() {
        let (mut reporter, _, _, now) = halves();
        for _ in 0..100 {
            reporter.later(now);
            let wait = reporter.due - now;
            assert!(
                (Duration::from_millis(2_500)..=Duration::from_millis(7_500)).contains(&wait),
                "{wait:?}"
            );
        }
    }

    #[test]
    fn the_round_trip_leaves_out_the_peers_time() {
        let block = rtcp::ReportBlock {
            ssrc: 1,
            fraction_lost: 0,
            lost: 0,
            highest_sequence: 0,
            jitter: 80,
            last_sr: 65_536,
            delay_since_last_sr: 65_536,
        };
        let report = remote_report(&block, 3 * 65_536);
        assert_eq!(report.round_trip, Some(Duration::from_secs(1)));
        assert_eq!(report.jitter, Duration::from_millis(10));
        assert_eq!(remote_report(&block, 65_536).round_trip, None);
    }

    #[test]
    fn rubbish_is_no_report() {
        assert_eq!(read_compound(b"\x80\xc8\x00\x30\x00\x00\x00\x01", 1), None);
    }
}
