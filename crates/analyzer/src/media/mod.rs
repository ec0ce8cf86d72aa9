//! RTP beside the signalling: what really flowed, compared with what was agreed.
//!
//! Packets are counted by flow (from, to, payload type) in a bounded table, without asking whose they are; when a call is
//! told, its flows are looked up by the addresses of its descriptions. Traffic of no call costs one look-up a packet.
//!
//! What a tap does not see proves nothing: a direction is only missed where the other one is there.

mod flows;
mod judge;
mod places;
#[cfg(test)]
mod tests;

use crate::model::{Call, Finding};
use crate::source::Rtp;

use self::flows::Flows;

/// What is known of the media of a trace.
#[derive(Debug, Default)]
pub(crate) struct Media {
    flows: Flows,
}

impl Media {
    /// Counts a packet.
    pub(crate) fn observe(&mut self, packet: &Rtp) {
        self.flows.count(packet);
    }

    /// Packets that were not counted because there were too many flows at a time.
    pub(crate) const fn dropped(&self) -> u64 {
        self.flows.dropped
    }

    /// What the media of a call says about it, by the flows between the addresses of its descriptions. They stay: another
    /// leg may have the same.
    pub(crate) fn of(&self, call: &Call) -> Vec<Finding> {
        if self.flows.is_empty() {
            return Vec::new();
        }
        judge::judge(call, &self.flows)
    }
}
