//! The receiving half of a stream: what came, what is missing, and what it sounds like.

use std::time::{Duration, Instant};

use midcall_wire::rtp::Packet;
use midcall_wire::rtp::rtcp::ReportBlock;

use super::dtmf::TelephoneEvent;
use super::g711;
use super::plan::MediaPlan;

/// What a packet brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Samples that belong `gap` samples after the ones before; they are in the receiver's buffer.
    Audio { gap: u32 },
    /// A digit is over.
    Digit(char, Duration),
    /// Nothing to play: more of an event, a late packet, or something not understood.
    Nothing,
    /// A payload type no plan explains.
    UnknownPayload,
}

/// Loss, jitter and the last event of the source that is heard now.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    source: Option<RemoteSource>,
    /// Sources so far.
    pub(crate) sources: u32,
    lost_before: u64,
    /// The decoded samples of the last packet.
    pub(crate) samples: Vec<i16>,
    event: Option<Event>,
}

/// One synchronization source. The names are those of RFC 3550 appendix A.1.
#[derive(Debug)]
struct RemoteSource {
    ssrc: u32,
    base_seq: u32,
    max_seq: u16,
    cycles: u32,
    received: u64,
    expected_prior: u64,
    received_prior: u64,
    epoch: Instant,
    transit: Option<i32>,
    jitter: f64,
    /// The timestamp after the last audio.
    next_audio: Option<u32>,
    last_sr: Option<(u32, Instant)>,
}

#[derive(Debug)]
struct Event {
    timestamp: u32,
    told: bool,
    last: TelephoneEvent,
}

impl Receiver {
    /// Takes one packet.
    pub(crate) fn packet(&mut self, packet: &Packet<'_>, plan: &MediaPlan, now: Instant) -> Heard {
        self.samples.clear();
        if self.source.as_ref().is_none_or(|source| source.ssrc != packet.ssrc) {
            self.lost_before = self.lost();
            self.sources += 1;
            self.source = Some(RemoteSource::new(packet, now));
        }
        let Some(source) = &mut self.source else { return Heard::Nothing };
        source.update(packet.sequence, packet.timestamp, now);
        if plan.receive_events == Some(packet.payload_type) {
            return self.telephone_event(packet);
        }
        let Some(coding) = plan.coding_of(packet.payload_type) else { return Heard::UnknownPayload };
        coding.decode(packet.payload, &mut self.samples);
        let length = u32::try_from(self.samples.len()).unwrap_or(u32::MAX);
        let end = packet.timestamp.wrapping_add(length);
        let gap = source.next_audio.map_or(0, |next| packet.timestamp.wrapping_sub(next));
        if gap > i32::MAX as u32 {
            return Heard::Nothing;
        }
        source.next_audio = Some(end);
        Heard::Audio { gap }
    }

    /// Packets that never came, over all sources.
    pub(crate) fn lost(&self) -> u64 {
        self.lost_before
            + self.source.as_ref().map_or(0, |source| source.expected().saturating_sub(source.received))
    }

    pub(crate) fn jitter(&self) -> Duration {
        let units = self.source.as_ref().map_or(0.0, |source| source.jitter);
        Duration::from_secs_f64(units.clamp(0.0, 1e9) / f64::from(g711::RATE))
    }

    /// Remembers the peer's sender report, for the next report of ours.
    pub(crate) fn sender_report(&mut self, ssrc: u32, ntp: u64, now: Instant) {
        if let Some(source) = self.source.as_mut().filter(|source| source.ssrc == ssrc) {
            source.last_sr = Some(((ntp >> 16) as u32, now));
        }
    }

    /// The report block about the source heard now (RFC 3550 §6.4.1, appendix A.3).
    pub(crate) fn report(&mut self, now: Instant) -> Option<ReportBlock> {
        let source = self.source.as_mut()?;
        let expected = source.expected();
        let expected_now = expected.saturating_sub(source.expected_prior);
        let received_now = source.received.saturating_sub(source.received_prior);
        source.expected_prior = expected;
        source.received_prior = source.received;
        let lost_now = expected_now.saturating_sub(received_now);
        let fraction = (lost_now * 256).checked_div(expected_now).map_or(0, |fraction| fraction.min(255));
        let lost = (expected as i64 - source.received as i64).clamp(-0x80_0000, 0x7f_ffff);
        let since = source
            .last_sr
            .map_or(0, |(_, at)| now.saturating_duration_since(at).as_micros() * 65_536 / 1_000_000);
        Some(ReportBlock {
            ssrc: source.ssrc,
            fraction_lost: fraction as u8,
            lost: lost as i32,
            highest_sequence: source.extended(),
            jitter: source.jitter as u32,
            last_sr: source.last_sr.map_or(0, |(middle, _)| middle),
            delay_since_last_sr: since as u32,
        })
    }

    /// RFC 4733 §2.5.2: updates of one event share a timestamp. The end bit completes it; if every packet with it is
    /// lost, the next event does.
    fn telephone_event(&mut self, packet: &Packet<'_>) -> Heard {
        let Some(event) = TelephoneEvent::parse(packet.payload) else { return Heard::Nothing };
        let before = self.event.take();
        let (same, other): (Option<Event>, Option<Event>) = match before {
            Some(before) if before.timestamp == packet.timestamp => (Some(before), None),
            before => (None, before),
        };
        let missed = other.filter(|other| !other.told).map(|other| other.last);
        let told = same.is_some_and(|same| same.told);
        let tells = event.end && !told && missed.is_none();
        self.event = Some(Event { timestamp: packet.timestamp, told: told || tells, last: event });
        match missed.or(tells.then_some(event)) {
            Some(over) => match over.digit() {
                Some(digit) => Heard::Digit(digit, units(u32::from(over.duration))),
                None => Heard::Nothing,
            },
            None => Heard::Nothing,
        }
    }
}

impl RemoteSource {
    fn new(packet: &Packet<'_>, now: Instant) -> Self {
        Self {
            ssrc: packet.ssrc,
            base_seq: u32::from(packet.sequence),
            max_seq: packet.sequence,
            cycles: 0,
            received: 0,
            expected_prior: 0,
            received_prior: 0,
            epoch: now,
            transit: None,
            jitter: 0.0,
            next_audio: None,
            last_sr: None,
        }
    }

    /// RFC 3550 appendix A.1 without probation (signalling told us to expect this source) and A.8.
    fn update(&mut self, sequence: u16, timestamp: u32, now: Instant) {
        self.received += 1;
        let ahead = sequence.wrapping_sub(self.max_seq);
        if ahead < MAX_DROPOUT {
            if sequence < self.max_seq {
                self.cycles = self.cycles.wrapping_add(1 << 16);
            }
            self.max_seq = sequence;
        } else if ahead <= u16::MAX - MAX_MISORDER {
            // The sender started its numbers again: count from here.
            self.base_seq = u32::from(sequence);
            self.max_seq = sequence;
            self.cycles = 0;
            self.received = 1;
            self.expected_prior = 0;
            self.received_prior = 0;
            self.transit = None;
        }
        let arrival =
            now.saturating_duration_since(self.epoch).as_micros() * u128::from(g711::RATE) / 1_000_000;
        let transit = (arrival as u32).wrapping_sub(timestamp) as i32;
        if let Some(before) = self.transit.replace(transit) {
            let difference = f64::from(transit.wrapping_sub(before)).abs();
            self.jitter += (difference - self.jitter) / 16.0;
        }
    }

    fn extended(&self) -> u32 {
        self.cycles.wrapping_add(u32::from(self.max_seq))
    }

    fn expected(&self) -> u64 {
        u64::from(self.extended().wrapping_sub(self.base_seq)) + 1
    }
}

fn units(units: u32) -> Duration {
    Duration::from_micros(u64::from(units) * 1_000_000 / u64::from(g711::RATE))
}

const MAX_DROPOUT: u16 = 3_000;
const MAX_MISORDER: u16 = 100;

#[cfg(test)]
mod tests;
