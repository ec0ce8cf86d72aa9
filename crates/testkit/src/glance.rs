//! What scenario tests look at and how they get there: o= versions, outcomes of wishes, early dialogs.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use midcall_proto::event::{CallEvent, CallId, Change, Failure};
use midcall_proto::rules::RuleId;

use crate::agent::{Agent, Handle};
use crate::network::{Network, Pick};
use crate::party::Received;
use crate::raw::Raw;
use crate::scene::Scene;
use crate::seat::Seat;
use crate::sketch::{Tweak, field};
use crate::{Seed, ms};

/// Tweaks as a ladder writes them behind `sdp:`.
///
/// # Panics
/// If one cannot be read.
#[track_caller]
pub fn tweaks(words: &[&str]) -> Vec<Tweak> {
    words.iter().map(|word| Tweak::parse(word).expect("a tweak")).collect()
}

/// The endpoint as caller and as callee: whether it placed the call.
pub const SEATS: [bool; 2] = [true, false];

/// What a scripted peer lists in Allow if it takes no UPDATE.
pub const WITHOUT_UPDATE: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, REFER, NOTIFY, INFO";

/// A confirmed call of an endpoint with default settings, as caller or callee, over a wire with 20 ms latency.
#[track_caller]
pub fn up(seed: u64, placed: bool) -> (Seat, CallId) {
    let mut seat = Seat::new(Seed(seed)).latency(ms(20));
    let call = seat.call(placed);
    (seat, call)
}

/// The o= version of the description in a message.
///
/// # Panics
/// If it has none.
#[track_caller]
pub fn version(message: &Raw) -> u64 {
    let sdp = message.sdp().unwrap_or_else(|| panic!("no description in {}", message.start()));
    let version = field(sdp, "o=").and_then(|origin| origin.split(' ').nth(2)?.parse().ok());
    version.unwrap_or_else(|| panic!("no o= version in {sdp}"))
}

/// The direction of the first stream in a message.
#[track_caller]
pub fn direction(message: &Raw) -> &str {
    crate::sketch::direction(message.sdp().unwrap_or_default()).unwrap_or("none")
}

/// How many messages on the wire match, resends included.
pub fn count(wire: &Network, pick: impl Into<Pick>) -> usize {
    let pick = pick.into();
    wire.packets().iter().filter(|packet| pick.matches(packet.from, &packet.bytes)).count()
}

/// From the arrival of each 491 at an address to the next request of that address: how long it waited.
pub fn retry_delays(wire: &Network, method: &str, from: SocketAddr) -> Vec<Duration> {
    let packets = wire.packets();
    let refusal = Pick::status(491);
    let refused =
        packets.iter().filter(|packet| packet.to == from && refusal.matches(packet.from, &packet.bytes));
    let next = |at| {
        let request = Pick::request(method).sent_by(from);
        packets.iter().find(|packet| packet.sent >= at && request.matches(packet.from, &packet.bytes))
    };
    let delays = refused.filter_map(|packet| {
        let at = packet.delivered()?;
        Some(next(at)?.sent - at)
    });
    delays.collect()
}

/// Whether a delay lies on the 10 ms grid of RFC 3261 §14.1 within these milliseconds.
pub fn in_band(delay: Duration, band: RangeInclusive<u64>) -> bool {
    let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    delay == ms(millis) && millis % 10 == 0 && band.contains(&millis)
}

/// How long the owner of the Call-ID waits after a 491, in milliseconds (RFC 3261 §14.1).
pub const OWNER: RangeInclusive<u64> = 2_100..=4_000;
/// How long the other side waits.
pub const OTHER: RangeInclusive<u64> = 0..=2_000;

impl Agent {
    /// The wishes of a call that came true.
    pub fn changes(&self, call: impl Handle) -> Vec<&Change> {
        let told = self.told(call);
        told.filter_map(|event| match event {
            CallEvent::Changed(change) => Some(change),
            _ => None,
        })
        .collect()
    }

    /// The wishes of a call that did not.
    pub fn failures(&self, call: impl Handle) -> Vec<&Failure> {
        let told = self.told(call);
        told.filter_map(|event| match event {
            CallEvent::ChangeFailed { failure, .. } => Some(failure),
            _ => None,
        })
        .collect()
    }

    /// The rules that held wishes of a call back.
    pub fn waits(&self, call: impl Handle) -> Vec<RuleId> {
        let waits = |event: &CallEvent| match event {
            CallEvent::ChangeWaiting { rule, .. } => Some(*rule),
            _ => None,
        };
        self.told(call).filter_map(waits).collect()
    }

    /// Whether the first stream of a call is held by this side, and by the peer.
    ///
    /// # Panics
    /// If the call never had a session.
    #[track_caller]
    pub fn held(&self, call: impl Handle) -> (bool, bool) {
        let stream = self.agreed(call).and_then(|agreed| agreed.streams.first());
        stream.map(|stream| (stream.held_by_us, stream.held_by_peer)).expect("a session with a stream")
    }

    /// The name of the codec that the first stream of a call sends with.
    #[track_caller]
    pub fn sends_codec(&self, call: impl Handle) -> &str {
        let stream = self.agreed(call).and_then(|agreed| agreed.streams.first());
        stream.and_then(|stream| stream.send.first()).map_or("none", |(_, codec)| &codec.name)
    }
}

impl Seat {
    /// A confirmed call that the endpoint placed, or answered.
    #[track_caller]
    pub fn call(&mut self, placed: bool) -> CallId {
        if placed { self.placed_call() } else { self.answered_call() }
    }

    /// The peer's re-INVITE with this offer, sent.
    pub fn peer_reinvites(&mut self, offer: &[&str]) -> Raw {
        self.peer.request("INVITE").offer(&tweaks(offer)).send()
    }

    /// The peer acknowledges the success that the endpoint gives its re-INVITE.
    #[track_caller]
    pub fn peer_acknowledges(&mut self) -> Received {
        let ok = self.expect(Pick::status(200).of("INVITE"));
        self.peer.ack(&ok).send();
        self.settle();
        ok
    }

    /// The peer accepts the re-INVITE that comes, with this answer; returns the re-INVITE.
    #[track_caller]
    pub fn peer_answers(&mut self, answer: &[&str]) -> Received {
        let invite = self.expect("INVITE");
        self.peer.reply(&invite, 200).answer(&tweaks(answer)).send();
        self.expect("ACK");
        self.settle();
        invite
    }

    /// A call that the endpoint placed, in an early dialog with the answer in a reliable 183; and its INVITE.
    #[track_caller]
    pub fn placed_early(&mut self) -> (CallId, Received) {
        let to = self.peer.uri();
        let call = self.ua.invite(&to);
        let invite = self.expect("INVITE");
        self.peer.reply(&invite, 183).reliable().answer(&[]).send();
        let prack = self.expect("PRACK");
        self.peer.reply(&prack, 200).send();
        self.settle_briefly();
        (call, invite)
    }

    /// A call that the endpoint got, in an early dialog with the answer in its reliable 183; and that 183.
    #[track_caller]
    pub fn answered_early(&mut self) -> (CallId, Received) {
        let (call, progress) = self.progressed();
        self.peer.prack(&progress).send();
        self.expect(Pick::status(200).of("PRACK"));
        (call, progress)
    }

    /// The same before the PRACK.
    #[track_caller]
    pub fn progressed(&mut self) -> (CallId, Received) {
        let to = self.ua.uri();
        self.peer.invite(&to).offer(&[]).send();
        self.settle_briefly();
        let (call, session) = (self.ua.last_call(), self.ua.session.clone());
        self.ua.call(call).early(session);
        (call, self.expect(183))
    }

    /// The peer answers the INVITE that formed the dialog, which had its answer earlier.
    #[track_caller]
    pub fn peer_accepts(&mut self, invite: &Received) -> Received {
        self.peer.reply(invite, 200).send();
        let ack = self.expect("ACK");
        self.settle();
        ack
    }

    /// The endpoint answers the INVITE that formed the dialog, which had its answer earlier.
    #[track_caller]
    pub fn ua_accepts(&mut self, call: CallId) -> Received {
        self.ua.call(call).accept();
        let ok = self.expect(Pick::status(200).of("INVITE"));
        self.peer.ack(&ok).send();
        self.settle();
        ok
    }
}
