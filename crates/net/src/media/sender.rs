//! The sending half of a stream: one packet every 20 ms, or none.

use std::time::Instant;

use midcall_proto::rng::Rng;
use midcall_wire::rtp::Packet;

use super::dtmf::{Dialler, Step};
use super::plan::MediaPlan;
use super::source::{Player, Source};

/// Samples in a packet: 20 ms at 8 kHz.
pub(crate) const FRAME: usize = 160;

/// A packet to send and what to count it as.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) bytes: Vec<u8>,
    pub(crate) payload_type: u8,
    pub(crate) payload_length: usize,
}

/// Sequence numbers, timestamps and what is played.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) ssrc: u32,
    /// Packets and payload bytes for the sender report, which wrap (RFC 3550 §6.4.1).
    pub(crate) packets: u32,
    pub(crate) octets: u32,
    /// Whether a packet went out since the last two reports.
    pub(crate) active: bool,
    pub(crate) digits_sent: u64,
    sequence: u16,
    timestamp: u32,
    /// The time that `timestamp` stands for.
    stamped: Instant,
    talking: bool,
    player: Player,
    dialler: Dialler,
}

impl Sender {
    pub(crate) fn new(source: Source, rng: &mut Rng, now: Instant) -> Self {
        Self {
            ssrc: rng.next_u64() as u32,
            packets: 0,
            octets: 0,
            active: false,
            digits_sent: 0,
            sequence: rng.next_u64() as u16,
            timestamp: rng.next_u64() as u32,
            stamped: now,
            talking: false,
            player: Player::new(source),
            dialler: Dialler::default(),
        }
    }

    pub(crate) fn play(&mut self, source: Source) {
        self.player = Player::new(source);
    }

    pub(crate) fn player(&mut self) -> &mut Player {
        &mut self.player
    }

    pub(crate) fn dial(&mut self, digits: &str) -> Option<()> {
        self.dialler.dial(digits)
    }

    /// Drops digits that can no longer be sent.
    pub(crate) fn forget_digits(&mut self) {
        self.dialler.clear();
    }

    /// The timestamp of this moment, for a sender report.
    pub(crate) fn timestamp_at(&self, now: Instant) -> u32 {
        let since = now.saturating_duration_since(self.stamped);
        self.timestamp.wrapping_add((since.as_micros() * 8 / 1_000) as u32)
    }

    /// Lets time pass without sending, as after a stall of the machine.
    pub(crate) fn skip(&mut self, frames: u32) {
        self.timestamp = self.timestamp.wrapping_add(frames.wrapping_mul(FRAME as u32));
        self.talking = false;
    }

    /// The packet of this frame. Time passes whether there is one or not: the timestamp goes on while on hold.
    pub(crate) fn next(&mut self, plan: &MediaPlan, now: Instant) -> Option<Outgoing> {
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(FRAME as u32);
        self.stamped = now;
        let allowed = plan.sends && plan.rtp_target().is_some();
        let Some((number, coding)) = plan.send.filter(|_| allowed) else {
            self.talking = false;
            return None;
        };
        let step = plan.send_events.and_then(|events| Some((events, self.dialler.next(FRAME as u16)?)));
        if let Some((events, Step::Event { payload, since, first })) = step {
            self.digits_sent += u64::from(first);
            return Some(self.packet(events, first, timestamp.wrapping_sub(since), &payload.to_bytes()));
        }
        let mut samples = [0; FRAME];
        self.player.fill(&mut samples);
        let mut payload = Vec::with_capacity(FRAME);
        coding.encode(&samples, &mut payload);
        // RFC 3551 §4.1: the marker is the first packet after a silence.
        let marker = !std::mem::replace(&mut self.talking, true);
        Some(self.packet(number, marker, timestamp, &payload))
    }

    fn packet(&mut self, payload_type: u8, marker: bool, timestamp: u32, payload: &[u8]) -> Outgoing {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload.len() as u32);
        self.active = true;
        let bytes = Packet { payload_type, marker, sequence, timestamp, ssrc: self.ssrc, payload }.to_bytes();
        Outgoing { bytes, payload_type, payload_length: payload.len() }
    }
}
