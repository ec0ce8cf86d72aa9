//! The real cast of a ladder: midcall's endpoint and midcall's observer.

use midcall_proto::observer::Certainty as Sure;
use midcall_proto::rules::Severity;
use midcall_proto::time::Instant;

use super::endpoint::Actor;
use super::faces::{Cast, Found};
use super::script::{Certainty, Ladder, Who};
use super::stage::Live;
use crate::network::Packet;
use crate::watch::Watch;

/// midcall in every seat that is not scripted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Midcall;

impl Cast for Midcall {
    fn endpoint(&self, ladder: &Ladder, who: Who) -> Box<dyn Live> {
        Box::new(Actor::new(ladder, who))
    }

    fn observe(&self, packets: &[Packet], unseen: &[usize]) -> Vec<Found> {
        self.observe_until(packets, unseen, packets.last().map_or(Instant::ZERO, |packet| packet.sent))
    }

    fn observe_until(&self, packets: &[Packet], unseen: &[usize], end: Instant) -> Vec<Found> {
        let sightings = Watch::over(packets, unseen, end).sightings();
        sightings
            .into_iter()
            .map(|sighting| Found {
                code: sighting.code.to_owned(),
                by: sighting.by.and_then(who),
                at: sighting.at,
                because: sighting.because,
                certainty: match sighting.certainty {
                    Sure::Certain => Certainty::Certain,
                    Sure::Crossed => Certainty::Crossed,
                    Sure::CaptureGap => Certainty::CaptureGap,
                },
                info: sighting.severity <= Severity::Info,
            })
            .collect()
    }
}

/// The party of an address.
fn who(address: std::net::SocketAddr) -> Option<Who> {
    ('A'..='Z').map(Who).find(|who| who.address().ip() == address.ip())
}
