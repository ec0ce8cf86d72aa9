//! What two descriptions allow to flow.

use midcall_wire::sdp::{Direction, Media, Sdp};

use super::formats::{Formats, explained};
use super::{Codec, MediaKind};

/// Who made the offer of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Offerer {
    /// This side.
    Us,
    /// The peer.
    Peer,
}

/// The session two descriptions describe, seen from one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// The streams, one for each `m=` line.
    pub streams: Vec<AgreedStream>,
}

/// One stream of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgreedStream {
    /// What it carries.
    pub kind: MediaKind,
    /// Where this side receives; `None` when the stream is off.
    pub local: Option<(String, u16)>,
    /// Where the peer receives; `None` when the stream is off. Nothing, RTCP included, goes to `0.0.0.0`.
    pub remote: Option<(String, u16)>,
    /// Whether this side may send media.
    pub sends: bool,
    /// Whether this side may get media.
    pub receives: bool,
    /// What this side may send, with the peer's numbers, the one to use first. RFC 3264 §5.1.
    pub send: Vec<(u8, Codec)>,
    /// What may come in, with this side's numbers.
    pub receive: Vec<(u8, Codec)>,
    /// Whether this side holds the stream.
    pub held_by_us: bool,
    /// Whether the peer holds the stream.
    pub held_by_peer: bool,
}

impl AgreedStream {
    /// Whether the stream is on, held or not.
    pub fn is_on(&self) -> bool {
        self.remote.is_some()
    }
}

/// Reads a session from our and the peer's description, without knowing who offered.
///
/// Who holds can then not always be told; see [`agreed_by`], which is the better choice where it is known.
pub fn agreed(ours: &Sdp, theirs: &Sdp) -> Agreed {
    between(ours, theirs, None)
}

/// Reads a session from our and the peer's description.
///
/// The offerer's direction is its own wish, the answerer's is limited by the offer: a stream that is inactive
/// both ways was put on hold by whoever offered that.
///
/// ```
/// use midcall_proto::session::{Offerer, agreed_by};
/// use midcall_wire::sdp::Sdp;
///
/// let sdp = Sdp::parse(
///     b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
///       m=audio 4000 RTP/AVP 0\r\na=inactive\r\n",
/// ).unwrap();
/// let session = agreed_by(&sdp, &sdp, Offerer::Peer);
/// assert!(session.streams[0].held_by_peer && !session.streams[0].held_by_us);
/// ```
pub fn agreed_by(ours: &Sdp, theirs: &Sdp, offerer: Offerer) -> Agreed {
    between(ours, theirs, Some(offerer))
}

fn between(ours: &Sdp, theirs: &Sdp, offerer: Option<Offerer>) -> Agreed {
    let (mut mine, mut peer) = (ours.media(), theirs.media());
    let mut streams = Vec::new();
    loop {
        match (mine.next(), peer.next()) {
            (None, None) => return Agreed { streams },
            (Some(mine), Some(peer)) => streams.push(stream(&mine, &peer, offerer)),
            (Some(only), None) | (None, Some(only)) => streams.push(off(&only)),
        }
    }
}

fn off(media: &Media<'_>) -> AgreedStream {
    AgreedStream {
        kind: MediaKind::parse(media.kind()),
        local: None,
        remote: None,
        sends: false,
        receives: false,
        send: Vec::new(),
        receive: Vec::new(),
        held_by_us: false,
        held_by_peer: false,
    }
}

fn stream(ours: &Media<'_>, theirs: &Media<'_>, offerer: Option<Offerer>) -> AgreedStream {
    if ours.rejected() || theirs.rejected() {
        return off(ours);
    }
    let (mine, peer) = (ours.direction(), theirs.direction());
    let (held_by_us, held_by_peer) = held(mine, peer, offerer);
    let place = |media: &Media<'_>| media.connection().map(|address| (address.to_owned(), media.port()));
    let (receive, send) = (explained(ours), explained(theirs));
    let usable = send.iter().filter(|format| receive.iter().any(|own| own.same(format))).copied();
    let send = codecs(usable.collect());
    AgreedStream {
        kind: MediaKind::parse(ours.kind()),
        local: place(ours),
        remote: place(theirs),
        sends: mine.sends() && peer.receives() && !theirs.is_black_hole(),
        receives: mine.receives() && peer.sends(),
        send,
        receive: codecs(receive),
        held_by_us,
        held_by_peer: held_by_peer || theirs.is_black_hole(),
    }
}

/// Who holds: whoever does not receive although the other side would send.
fn held(ours: Direction, theirs: Direction, offerer: Option<Offerer>) -> (bool, bool) {
    let offered = |offer: Direction| !offer.receives();
    let answered = |offer: Direction, answer: Direction| offer.sends() && !answer.receives();
    match offerer {
        Some(Offerer::Us) => (offered(ours), answered(ours, theirs)),
        Some(Offerer::Peer) => (answered(theirs, ours), offered(theirs)),
        // Of two one-way descriptions that match, the sender is taken for the one who holds.
        None => (!ours.receives(), !theirs.receives()),
    }
}

fn codecs(formats: Formats<'_>) -> Vec<(u8, Codec)> {
    formats.into_iter().filter_map(|format| Some((format.number?, format.to_codec()))).collect()
}
