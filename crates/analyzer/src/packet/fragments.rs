//! Fragments of IP packets, put together (RFC 791 §3.2, RFC 8200 §4.5).

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use midcall_proto::time::Instant;

use super::aging::Aging;

/// Which packet a fragment is of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Id {
    pub(super) from: IpAddr,
    pub(super) to: IpAddr,
    pub(super) protocol: u8,
    pub(super) number: u32,
}

/// A fragment of a packet.
pub(super) struct Fragment<'a> {
    pub(super) offset: usize,
    /// Whether others follow.
    pub(super) more: bool,
    pub(super) data: &'a [u8],
}

/// A packet whose rest never came: as much of it as there is before the first hole.
pub(super) struct Torn {
    pub(super) id: Id,
    pub(super) at: Instant,
    pub(super) frame: u64,
    pub(super) data: Vec<u8>,
}

/// The packets of which fragments came.
#[derive(Debug)]
pub(super) struct Fragments {
    packets: Aging<Id, Parts>,
    /// When each was begun, the oldest first.
    begun: VecDeque<(Instant, Id)>,
    held: usize,
    /// Packets that had to go before their time.
    pub(super) dropped: u64,
}

#[derive(Debug)]
struct Parts {
    begun: Instant,
    /// The frame of the first part.
    frame: u64,
    /// In the order of their offsets, none inside of another.
    parts: Vec<(usize, Vec<u8>)>,
    length: Option<usize>,
    /// It has been put together.
    done: bool,
}

impl Fragments {
    pub(super) fn new() -> Self {
        Self { packets: Aging::new(MAX_PACKETS / 2), begun: VecDeque::new(), held: 0, dropped: 0 }
    }

    /// Takes a fragment in, and gives the packet if it was the last that was missing.
    pub(super) fn add(
        &mut self,
        id: Id,
        fragment: &Fragment<'_>,
        at: Instant,
        frame: u64,
    ) -> Option<Vec<u8>> {
        if self.packets.is_full() || self.held > MAX_HELD {
            for (_, gone) in self.packets.rotate() {
                self.held -= gone.bytes();
                self.dropped += u64::from(!gone.done);
            }
        }
        match self.packets.touch(&id) {
            // A last fragment that was captured twice begins nothing.
            Some(parts) if parts.done && fragment.offset > 0 => return None,
            Some(parts) if !parts.done => {}
            _ => {
                let parts = Parts { begun: at, frame, parts: Vec::new(), length: None, done: false };
                self.packets.insert(id, parts);
                self.begun.push_back((at, id));
            }
        }
        let parts = self.packets.touch(&id)?;
        self.held -= parts.bytes();
        parts.add(fragment, frame);
        let whole = parts.whole();
        if whole.is_some() {
            (parts.parts, parts.done) = (Vec::new(), true);
        }
        self.held += parts.bytes();
        whole
    }

    /// The next packet that has waited long enough, or any at the end.
    pub(super) fn expired(&mut self, now: Option<Instant>) -> Option<Torn> {
        loop {
            let (begun, id) = *self.begun.front()?;
            let over = now.is_none_or(|now| begun + PATIENCE < now) || self.begun.len() > 2 * MAX_PACKETS;
            if !over {
                return None;
            }
            self.begun.pop_front();
            match self.packets.touch(&id) {
                // Another packet has got the same number since.
                Some(parts) if parts.begun != begun => {}
                Some(_) => {
                    let parts = self.packets.remove(&id)?;
                    self.held -= parts.bytes();
                    if !parts.done {
                        let (at, frame) = (parts.begun, parts.frame);
                        return Some(Torn { id, at, frame, data: parts.joined(MAX_LENGTH) });
                    }
                }
                None => {}
            }
        }
    }
}

impl Parts {
    fn bytes(&self) -> usize {
        self.parts.iter().map(|(_, data)| data.len()).sum()
    }

    fn add(&mut self, fragment: &Fragment<'_>, frame: u64) {
        let end = fragment.offset + fragment.data.len();
        if fragment.data.is_empty()
            || end > MAX_LENGTH
            || self.parts.len() >= MAX_PARTS
            || self.bytes() > MAX_LENGTH
        {
            return;
        }
        if fragment.offset == 0 {
            self.frame = frame;
        }
        if !fragment.more {
            self.length = Some(end);
        }
        let at = self.parts.partition_point(|(offset, _)| *offset < fragment.offset);
        match self.parts.get(at) {
            // The same again, as a capture of two interfaces has it.
            Some((offset, data)) if *offset == fragment.offset && data.len() >= fragment.data.len() => {}
            _ => self.parts.insert(at, (fragment.offset, fragment.data.to_vec())),
        }
    }

    /// The packet, if nothing is missing.
    fn whole(&self) -> Option<Vec<u8>> {
        let length = self.length?;
        let mut reached = 0;
        for (offset, data) in &self.parts {
            if *offset > reached {
                return None;
            }
            reached = reached.max(offset + data.len());
        }
        (reached >= length).then(|| self.joined(length))
    }

    /// What there is from the beginning to the first hole.
    fn joined(&self, length: usize) -> Vec<u8> {
        let mut joined = Vec::with_capacity(length.min(self.bytes()));
        for (offset, data) in &self.parts {
            let Some(new) = joined.len().checked_sub(*offset) else { break };
            joined.extend_from_slice(data.get(new..).unwrap_or_default());
        }
        joined.truncate(length);
        joined
    }
}

/// How long a packet waits for its fragments: they are sent at once, so what is not there after this was lost or not
/// captured.
const PATIENCE: Duration = Duration::from_secs(1);
/// Packets that wait at the same time.
const MAX_PACKETS: usize = 4_096;
/// Fragments of one packet: enough for the least size a link may have.
const MAX_PARTS: usize = 128;
/// Bytes that wait in either half of the table.
const MAX_HELD: usize = 8 << 20;
/// Of an IP packet.
const MAX_LENGTH: usize = 65_535;

#[cfg(test)]
mod tests;
