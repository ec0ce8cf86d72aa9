//! A message of a scripted party before it is sent: right by default, wrong where the test wants it so.

use std::fmt;
use std::net::SocketAddr;

use midcall_proto::flow::Transport;

use super::Party;
use crate::node::Outgoing;
use crate::raw::Raw;
use crate::sketch::Tweak;

/// A message that can still be changed; [`Draft::send`] puts it on the wire.
#[derive(Debug)]
pub struct Draft<'p> {
    pub(super) party: &'p mut Party,
    pub(super) leg: Option<usize>,
    pub(super) raw: Raw,
    pub(super) to: SocketAddr,
    pub(super) transport: Transport,
    pub(super) connection: Option<u64>,
    pub(super) from: SocketAddr,
}

impl Draft<'_> {
    /// Sets a header, replacing every line of it.
    pub fn header(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.raw.set(name, value);
        self
    }

    /// Adds a header line.
    pub fn add(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.raw.add(name, value);
        self
    }

    /// Leaves a header out.
    pub fn without(mut self, name: &str) -> Self {
        self.raw.remove(name);
        self
    }

    /// Carries this session description.
    pub fn sdp(mut self, sdp: impl Into<String>) -> Self {
        self.raw.set_body("application/sdp", sdp.into());
        self
    }

    /// Carries an offer: the party's own streams, with these tweaks.
    pub fn offer(self, tweaks: &[Tweak]) -> Self {
        let offer = self.party.sketcher(self.leg).offer(tweaks);
        self.sdp(offer)
    }

    /// Carries an answer to the peer's last description, with these tweaks.
    pub fn answer(self, tweaks: &[Tweak]) -> Self {
        let offer = self.leg.and_then(|leg| self.party.legs.get(leg)?.remote_sdp.clone()).unwrap_or_default();
        let answer = self.party.sketcher(self.leg).answer(&offer, tweaks);
        self.sdp(answer)
    }

    /// Carries a body of another type.
    pub fn body(mut self, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        self.raw.set_body(kind, body);
        self
    }

    /// Sets the CSeq number.
    pub fn cseq(mut self, number: u32) -> Self {
        let method = self.raw.method().to_owned();
        self.raw.set("CSeq", format_args!("{number} {method}"));
        self
    }

    /// Sets or removes the tag of From or To.
    pub fn tag(mut self, header: &str, tag: Option<&str>) -> Self {
        let value = self.raw.header(header).unwrap_or_default().to_owned();
        let bare = value.find(";tag=").map_or(value.as_str(), |at| &value[..at]);
        let value = tag.map_or_else(|| bare.to_owned(), |tag| format!("{bare};tag={tag}"));
        self.raw.set(header, value);
        self
    }

    /// Sets the branch of the own Via.
    pub fn branch(mut self, branch: &str) -> Self {
        let via = self.raw.list("Via").first().map(|via| (*via).to_owned()).unwrap_or_default();
        let old = crate::raw::parameter(&via, "branch").unwrap_or_default().to_owned();
        self.raw.set("Via", via.replace(&old, branch));
        self
    }

    /// Sets the Request-URI.
    pub fn uri(mut self, uri: &str) -> Self {
        let method = self.raw.method().to_owned();
        self.raw.set_start(format!("{method} {uri} SIP/2.0"));
        self
    }

    /// Makes a provisional response reliable (RFC 3262 §3): Require: 100rel and the next RSeq.
    pub fn reliable(mut self) -> Self {
        let last = self.leg.and_then(|leg| self.party.legs.get(leg)?.rseq);
        let next = last.map_or(1, |rseq| rseq + 1);
        self.raw.add("Require", "100rel");
        self.raw.add("RSeq", next);
        self
    }

    /// Sends it to this address, whatever its headers say.
    pub fn to(mut self, address: SocketAddr) -> Self {
        (self.to, self.connection) = (address, None);
        self
    }

    /// Carries the party's last description, byte for byte; `None` if there is none.
    pub fn same(self) -> Option<Self> {
        let last = self.party.sketcher(self.leg).last()?.to_owned();
        Some(self.sdp(last))
    }

    /// The RSeq that the party sent last in this dialog.
    pub fn last_rseq(&self) -> Option<u32> {
        self.party.legs.get(self.leg?)?.rseq
    }

    /// The address it is sent from.
    pub fn sender(&self) -> SocketAddr {
        self.from
    }

    /// Sends it from this address, which need not be the party's own.
    pub fn sent_from(mut self, address: SocketAddr) -> Self {
        self.from = address;
        self
    }

    /// The message so far.
    pub fn raw(&self) -> &Raw {
        &self.raw
    }

    /// The message so far, to change it in place.
    pub fn raw_mut(&mut self) -> &mut Raw {
        &mut self.raw
    }

    /// Sends it and returns what was sent.
    pub fn send(self) -> Raw {
        let (transport, from, to) = (self.transport, self.from, self.to);
        let bytes = self.raw.bytes();
        self.party.dispatch(
            self.leg,
            &self.raw,
            Outgoing { transport, from, to, connection: self.connection, bytes },
        );
        self.raw
    }
}
