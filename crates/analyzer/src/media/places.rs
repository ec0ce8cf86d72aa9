//! Where the parties of a call wanted media, and from when on.

use std::net::{IpAddr, SocketAddr};

use midcall_proto::observer::Party;
use midcall_proto::time::Instant;
use midcall_wire::sdp::{Direction, Media, Sdp};

use crate::diagnosis::Exchange;
use crate::model::Call;

/// A time in which one agreement was in force.
#[derive(Debug)]
pub(super) struct Span {
    /// Since when both sides knew it.
    pub(super) begin: Instant,
    /// Until the next offer, refusal or the end.
    pub(super) end: Instant,
    /// The offer and the answer.
    pub(super) offer: u32,
    pub(super) answer: u32,
    /// The streams, by place.
    pub(super) streams: Vec<Stream>,
}

/// One stream as agreed.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) kind: String,
    pub(super) caller: End,
    pub(super) callee: End,
}

/// What one side said of a stream.
#[derive(Clone, Debug)]
pub(super) struct End {
    /// Where it wants media; `None` with port 0, a zero address or a name.
    pub(super) place: Option<SocketAddr>,
    pub(super) direction: Direction,
    /// The payload numbers it wants, with the codec of each.
    pub(super) formats: Vec<(u8, String)>,
    /// Whether the stream is there at all.
    pub(super) live: bool,
}

impl Stream {
    pub(super) const fn of(&self, party: Party) -> &End {
        match party {
            Party::Callee => &self.callee,
            _ => &self.caller,
        }
    }

    /// Whether this side may send.
    pub(super) fn sends(&self, party: Party) -> bool {
        let (own, peer) = (self.of(party), self.of(party.other()));
        own.live && peer.live && own.direction.sends() && peer.direction.receives() && peer.place.is_some()
    }
}

impl End {
    fn of(media: &Media<'_>) -> Self {
        let formats = media.formats().filter_map(|format| {
            let number = format.parse().ok()?;
            Some((
                number,
                media.rtpmap(format).map_or_else(String::new, |map| map.to_string().to_ascii_lowercase()),
            ))
        });
        Self {
            place: place(media),
            direction: media.direction(),
            formats: formats.collect(),
            live: !media.rejected() && media.is_rtp(),
        }
    }
}

/// Where a stream wants its RTP.
pub(super) fn place(media: &Media<'_>) -> Option<SocketAddr> {
    let address: IpAddr = media.connection()?.parse().ok()?;
    (!media.rejected() && !address.is_unspecified()).then(|| SocketAddr::new(address, media.port()))
}

/// All places that a description names.
pub(super) fn places(sdp: &Sdp) -> impl Iterator<Item = SocketAddr> {
    sdp.media().filter_map(|media| place(&media))
}

/// The agreements of a call, one after the other.
pub(super) fn spans(call: &Call, exchanges: &[Exchange], end: Instant) -> Vec<Span> {
    let at = |n: u32| call.message(n).map_or(Instant::ZERO, |message| message.at);
    let mut spans: Vec<Span> = Vec::new();
    for exchange in exchanges {
        // What is on offer may be followed or not until it is settled.
        if let Some(last) = spans.last_mut() {
            last.end = last.end.min(at(exchange.offer));
        }
        let Some((offered, answer, answered)) = exchange.done() else {
            // The agreement goes on behind a refusal.
            if let (Some(last), Some(refusal)) = (spans.last(), exchange.refusal) {
                let streams = last.streams.clone();
                let (offer, answer) = (last.offer, last.answer);
                spans.push(Span { begin: at(refusal), end, offer, answer, streams });
            }
            continue;
        };
        let streams = offered
            .media()
            .zip(answered.media())
            .map(|(offer, answer)| {
                let (own, peer) = (End::of(&offer), End::of(&answer));
                let (caller, callee) = if exchange.by == Party::Callee { (peer, own) } else { (own, peer) };
                Stream { kind: offer.kind().to_owned(), caller, callee }
            })
            .collect();
        spans.push(Span { begin: at(answer), end, offer: exchange.offer, answer, streams });
    }
    spans
}
