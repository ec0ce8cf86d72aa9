//! Why something of a capture is passed over.

use crate::source::Summary;

macro_rules! reasons {
    ($($variant:ident = $text:literal,)*) => {
        /// Why something is passed over.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Reason { $($variant,)* }

        const TEXTS: &[&str] = &[$($text,)*];
    };
}

reasons! {
    Link = "frames of links that are not read",
    Other = "packets that are neither UDP nor TCP",
    Nonsense = "packets with headers that make no sense",
    Deep = "packets in too many tunnels",
    Cut = "packets cut off by the capture",
    Torn = "packets with fragments missing",
    Crowded = "packets in fragments, dropped because there were too many",
    KeepAlive = "keep-alives",
    Stun = "STUN messages",
    Rtcp = "RTCP packets",
    Dtls = "DTLS packets",
    Datagram = "datagrams that are neither SIP nor media",
    Hep = "HEP packets that carry no SIP",
    Connection = "halves of TCP connections without SIP",
    Hole = "holes in TCP connections",
    Forgotten = "TCP connections, dropped because there were too many",
    Overlong = "messages longer than 65,535 bytes",
    NoKeys = "TLS connections without keys",
    Suite = "TLS connections with a cipher that is not read",
    Undecipherable = "TLS records that cannot be decrypted",
    Deflated = "WebSocket messages compressed with permessage-deflate",
    WebSocket = "WebSocket messages without SIP",
    Block = "stretches of the file that make no sense",
    Interface = "packets of an interface that is not described",
    Unfinished = "last record cut off by the end of the file",
    Keys = "TLS keys, dropped because there were too many",
}

/// How often something was passed over, by reason.
#[derive(Clone, Debug)]
pub(crate) struct Counts([u64; TEXTS.len()]);

impl Counts {
    pub(crate) fn new() -> Self {
        Self([0; TEXTS.len()])
    }

    pub(crate) fn add(&mut self, reason: Reason) {
        self.add_many(reason, 1);
    }

    pub(crate) fn add_many(&mut self, reason: Reason, more: u64) {
        if let Some(count) = self.0.get_mut(reason as usize) {
            *count += more;
        }
    }

    pub(crate) fn of(&self, reason: Reason) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or_default()
    }

    /// Tells them to a summary.
    pub(crate) fn tell(&self, summary: &mut Summary) {
        for (reason, count) in TEXTS.iter().zip(self.0).filter(|(_, count)| *count > 0) {
            summary.skip_many(reason, count);
        }
    }
}
