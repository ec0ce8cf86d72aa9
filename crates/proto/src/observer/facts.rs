//! What identifies a message: its sender, its transaction, the hop where it was captured.

use std::net::SocketAddr;

use midcall_wire::{Message, Method, Via};

use super::held::RequestKey;
use crate::dialog::Envelope;
use crate::time::Instant;

/// Where a message is and what identifies it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'m> {
    pub(super) n: u32,
    pub(super) at: Instant,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) from_tag: &'m str,
    pub(super) to_tag: &'m str,
    /// Prints of the tags.
    pub(super) from_print: u64,
    pub(super) to_print: u64,
    pub(super) method: Method,
    pub(super) status: Option<u16>,
    pub(super) cseq: u32,
    /// Whether that number is one that no CSeq may have (RFC 3261 §8.1.1.5).
    pub(super) out_of_range: bool,
    /// The sender's own Via.
    pub(super) key: u64,
    /// The Via of the hop it was captured at.
    pub(super) top: u64,
    pub(super) vias: u8,
    /// What tells one response of a transaction from another.
    pub(super) content: u64,
    /// Whether its transport resends by itself.
    pub(super) reliable: bool,
    /// Whether the sender's own Via has a branch of RFC 3261.
    pub(super) cookie: bool,
    /// By which transport it passed the tap, as the Via of the hop says.
    pub(super) by: Transport,
    /// Whether that Via asks for the response at the port that the request comes from (RFC 3581 §3).
    pub(super) rport: bool,
    /// How long it is.
    pub(super) size: u32,
    /// What they were read from.
    pub(super) envelope: &'m Envelope<'m>,
}

/// A transport, as a Via names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Transport {
    Udp,
    Tcp,
    Tls,
    /// WebSocket, or what a Via may name besides.
    Other,
    /// Secure WebSocket.
    Wss,
}

impl Transport {
    fn of(via: Option<&Via<'_>>) -> Self {
        let named = |name| via.is_some_and(|via| via.transport.eq_ignore_ascii_case(name));
        match () {
            () if named("UDP") => Self::Udp,
            () if named("TCP") => Self::Tcp,
            () if named("TLS") => Self::Tls,
            () if named("WSS") => Self::Wss,
            () => Self::Other,
        }
    }

    /// Whether it keeps what passes secret.
    pub(super) const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }
}

impl<'m> Facts<'m> {
    /// Reads them; `None` if From, To or CSeq are missing.
    pub(super) fn read<B: AsRef<[u8]>>(
        n: u32,
        at: Instant,
        from: SocketAddr,
        to: SocketAddr,
        message: &'m Message<B>,
        envelope: &'m Envelope<'m>,
    ) -> Option<Self> {
        envelope.from.and(envelope.to)?;
        let cseq =
            envelope.cseq.map_or_else(|| beyond(envelope.cseq_text), |cseq| Some((cseq.number, false)));
        let (cseq, out_of_range) = cseq?;
        let vias = &envelope.vias;
        let name = |via: &Option<Via<'m>>, text: &'m str| via.and_then(|via| via.branch()).unwrap_or(text);
        let (top, by) = (name(&vias.hop, vias.top), Transport::of(vias.hop.as_ref()));
        let (mut key, mut own_transport) = (top, by);
        if vias.count > 1 {
            let own = Via::parse(vias.last).ok();
            (key, own_transport) = (name(&own, vias.last), Transport::of(own.as_ref()));
        }
        let from_tag = envelope.from_tag.unwrap_or_default();
        let to_tag = envelope.to_tag.unwrap_or_default();
        let content = if message.is_request() {
            0
        } else {
            let rseq = envelope.rseq_text.unwrap_or_default();
            hash([to_tag.as_bytes(), rseq.as_bytes(), message.body()])
        };
        let top_print = hash([top.as_bytes()]);
        Some(Self {
            n,
            at,
            from,
            to,
            from_tag,
            to_tag,
            from_print: hash([from_tag.as_bytes()]),
            to_print: hash([to_tag.as_bytes()]),
            method: envelope.method,
            status: message.status(),
            cseq,
            out_of_range,
            key: if vias.count > 1 { hash([key.as_bytes()]) } else { top_print },
            top: top_print,
            vias: vias.count.max(1),
            content,
            reliable: own_transport != Transport::Udp,
            cookie: key.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("z9hG4bK")),
            by,
            rport: vias.hop.is_some_and(|via| via.rport().is_some() && via.maddr().is_none()),
            size: u32::try_from(message.bytes().len()).unwrap_or(u32::MAX),
            envelope,
        })
    }

    pub(super) const fn is_request(&self) -> bool {
        self.status.is_none()
    }

    /// The Call-ID, if it is one.
    pub(super) fn call_id(&self) -> Option<&'m str> {
        let blank = |text: &&str| text.bytes().any(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
        self.envelope.call_id.filter(|text| !text.is_empty() && !blank(text))
    }

    /// What names the request that it is or answers.
    pub(super) fn request_key(&self) -> RequestKey {
        (self.from_print, self.method, self.cseq)
    }

    /// What names the INVITE that an ACK is for.
    pub(super) fn invite_key(&self) -> RequestKey {
        (self.from_print, Method::Invite, self.cseq)
    }
}

/// A CSeq number that is too large to be one.
fn beyond(cseq: Option<&str>) -> Option<(u32, bool)> {
    let digits = cseq?.split_ascii_whitespace().next()?;
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>())?;
    let number = u32::try_from(number.unwrap_or(u64::MAX)).unwrap_or(u32::MAX);
    (number >= 1 << 31).then_some((number, true))
}

/// A short fingerprint of these parts (FNV-1a, eight bytes at a time).
pub(super) fn hash<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut mix = |word: u64| hash = (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    for part in parts {
        let (chunks, rest) = part.as_chunks::<8>();
        for chunk in chunks {
            mix(u64::from_le_bytes(*chunk));
        }
        mix(rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        mix(part.len() as u64);
    }
    hash
}
