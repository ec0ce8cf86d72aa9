//! What this side wants of a session, whatever the other side said.

use std::borrow::Cow;
use std::net::IpAddr;

use midcall_wire::sdp::{Direction, Media, Sdp};

use super::Codec;

/// What a stream carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// Voice.
    Audio,
    /// Moving pictures.
    Video,
    /// Anything else, by the name in the `m=` line, such as `image`.
    Other(Box<str>),
}

impl MediaKind {
    /// Reads the media type of an `m=` line.
    pub fn parse(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "audio" => Self::Audio,
            "video" => Self::Video,
            other => Self::Other(other.into()),
        }
    }

    /// The media type as written in an `m=` line.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Other(name) => name,
        }
    }
}

impl std::fmt::Display for MediaKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether and how this side holds a stream. RFC 3264 §8.4, RFC 6337 §5.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Hold {
    /// The stream is not held.
    #[default]
    Off,
    /// Nothing is received, but this side may go on sending, for music on hold.
    Sending,
    /// Nothing flows either way.
    Silent,
}

/// One stream this side wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// What it carries.
    pub kind: MediaKind,
    /// The transport, such as `RTP/AVP`.
    pub protocol: Cow<'static, str>,
    /// The port this side receives on.
    pub port: u16,
    /// The address this side receives on, where it is not that of the session.
    pub address: Option<IpAddr>,
    /// The formats, the best one first.
    pub codecs: Vec<Codec>,
    /// What this side wants while it does not hold.
    pub direction: Direction,
    /// Whether this side holds the stream now.
    pub hold: Hold,
    /// Whether this side wants the stream at all.
    pub enabled: bool,
    /// Whether the peer declined the stream or took it away. Offers then leave it at port 0 until it is added anew, lest a
    /// mere hold asks the peer again; only where the peer asks for an offer it is stated (RFC 6337 §5.2.5).
    pub declined: bool,
    /// Attributes that go with it, without `a=`.
    pub attributes: Vec<String>,
}

impl Stream {
    /// A two-way stream over plain RTP.
    pub fn new(kind: MediaKind, port: u16, codecs: impl IntoIterator<Item = Codec>) -> Self {
        Self {
            kind,
            protocol: "RTP/AVP".into(),
            port,
            address: None,
            codecs: codecs.into_iter().collect(),
            direction: Direction::SendRecv,
            hold: Hold::Off,
            enabled: true,
            declined: false,
            attributes: Vec::new(),
        }
    }

    /// A two-way voice stream over plain RTP.
    pub fn audio(port: u16, codecs: impl IntoIterator<Item = Codec>) -> Self {
        Self::new(MediaKind::Audio, port, codecs)
    }

    /// A two-way video stream over plain RTP.
    pub fn video(port: u16, codecs: impl IntoIterator<Item = Codec>) -> Self {
        Self::new(MediaKind::Video, port, codecs)
    }

    /// The direction this side states now: what it wants, less what it holds. RFC 3264 §8.4.
    ///
    /// ```
    /// use midcall_proto::session::{Codec, Hold, Stream};
    /// use midcall_wire::sdp::Direction;
    ///
    /// let mut stream = Stream::audio(4000, [Codec::pcma()]);
    /// stream.hold = Hold::Sending;
    /// assert_eq!(stream.wish(), Direction::SendOnly);
    /// stream.direction = Direction::RecvOnly;
    /// assert_eq!(stream.wish(), Direction::Inactive);
    /// ```
    pub fn wish(&self) -> Direction {
        match self.hold {
            Hold::Off => self.direction,
            Hold::Sending => self.direction.and(Direction::SendOnly),
            Hold::Silent => Direction::Inactive,
        }
    }

    /// Whether this side holds the stream.
    pub fn held(&self) -> bool {
        self.hold != Hold::Off
    }

    /// Whether the stream can be on an `m=` line with a port.
    pub(super) fn live(&self) -> bool {
        self.enabled && self.port != 0 && !self.codecs.is_empty()
    }
}

/// The whole session as this side wants it; offers and answers are derived from it when they are sent.
///
/// ```
/// use midcall_proto::session::{Codec, Local, Stream, Wanted, offer};
///
/// let mut wanted = Wanted::new([192, 0, 2, 1].into(), 7);
/// wanted.add_stream(Stream::audio(4000, [Codec::pcma(), Codec::telephone_event()]));
/// let first = offer(&wanted, Local::default());
/// wanted.hold();
/// let hold = offer(&wanted, Local { last_sent: Some(&first), agreed: None });
/// assert!(hold.to_string().contains("o=- 7 2 IN IP4 192.0.2.1"));
/// assert!(hold.to_string().ends_with("a=sendonly\r\n"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Where this side receives, for streams with no address of their own.
    pub address: IpAddr,
    /// The streams; one keeps its place for as long as it lives.
    pub streams: Vec<Stream>,
    /// The username in the `o=` line.
    pub user: Cow<'static, str>,
    /// The number of the session in the `o=` line.
    pub session_id: u64,
}

impl Wanted {
    /// The same with no room to spare, for as long as a call lasts.
    pub(crate) fn kept(mut self) -> Box<Self> {
        for stream in &mut self.streams {
            stream.codecs.shrink_to_fit();
        }
        self.streams.shrink_to_fit();
        Box::new(self)
    }

    /// A session without streams.
    pub fn new(address: IpAddr, session_id: u64) -> Self {
        Self { address, streams: Vec::new(), user: "-".into(), session_id }
    }

    /// Holds all streams; this side may go on sending. RFC 3264 §8.4.
    pub fn hold(&mut self) {
        self.set_hold(Hold::Sending);
    }

    /// Holds all streams and sends nothing either.
    pub fn hold_silently(&mut self) {
        self.set_hold(Hold::Silent);
    }

    /// Takes this side's hold off all streams; that of the other side stays.
    pub fn resume(&mut self) {
        self.set_hold(Hold::Off);
    }

    /// Holds one stream; `false` if there is none at this place.
    pub fn hold_stream(&mut self, index: usize) -> bool {
        self.change(index, |stream| stream.hold = Hold::Sending)
    }

    /// Takes this side's hold off one stream; `false` if there is none at this place.
    pub fn resume_stream(&mut self, index: usize) -> bool {
        self.change(index, |stream| stream.hold = Hold::Off)
    }

    /// Whether this side holds all streams it wants.
    pub fn held(&self) -> bool {
        let mut live = self.streams.iter().filter(|stream| stream.enabled).peekable();
        live.peek().is_some() && live.all(Stream::held)
    }

    /// Whether this side holds one stream.
    pub fn stream_held(&self, index: usize) -> bool {
        self.streams.get(index).is_some_and(Stream::held)
    }

    /// The stream that a line of our own description is about: a stream keeps its place on the wire, which need not be its place
    /// here once dead lines were taken again (RFC 3264 §8.1, §8.2).
    pub fn stream_of(&self, line: &Media<'_>) -> Option<&Stream> {
        let about =
            |stream: &&Stream| stream.port == line.port() && stream.kind == MediaKind::parse(line.kind());
        let mut enabled = self.streams.iter().filter(|stream| stream.enabled);
        enabled
            .find(about)
            .or_else(|| self.streams.get(line.index()).filter(|stream| stream.enabled))
            .filter(|_| !line.rejected())
    }

    /// Changes the codecs of one stream; DTMF stays if the stream had it. RFC 4733 §2.1.
    ///
    /// ```
    /// use midcall_proto::session::{Codec, Stream, Wanted};
    ///
    /// let mut wanted = Wanted::new([192, 0, 2, 1].into(), 7);
    /// wanted.add_stream(Stream::audio(4000, [Codec::pcma(), Codec::telephone_event()]));
    /// assert!(wanted.codecs(0, [Codec::opus()]));
    /// assert_eq!(wanted.streams[0].codecs, [Codec::opus(), Codec::telephone_event()]);
    /// ```
    pub fn codecs(&mut self, index: usize, codecs: impl IntoIterator<Item = Codec>) -> bool {
        self.change(index, |stream| {
            let mut codecs: Vec<_> = codecs.into_iter().collect();
            if !codecs.iter().any(Codec::is_telephone_event) {
                codecs.extend(stream.codecs.drain(..).filter(Codec::is_telephone_event));
            }
            stream.codecs = codecs;
        })
    }

    /// Changes what this side wants of one stream while it does not hold it.
    pub fn direction(&mut self, index: usize, direction: Direction) -> bool {
        self.change(index, |stream| stream.direction = direction)
    }

    /// Adds a stream in the place of one that is no longer wanted, else below the others. RFC 3264 §8.1.
    ///
    /// The result is its place.
    pub fn add_stream(&mut self, stream: Stream) -> usize {
        let free = self.streams.iter().position(|stream| !stream.enabled || stream.declined);
        match free.and_then(|index| Some((index, self.streams.get_mut(index)?))) {
            Some((index, slot)) => {
                *slot = stream;
                index
            }
            None => {
                self.streams.push(stream);
                self.streams.len() - 1
            }
        }
    }

    /// Gives up one stream; its place in the description stays, with port 0. RFC 3264 §8.2.
    pub fn drop_stream(&mut self, index: usize) -> bool {
        self.change(index, |stream| stream.enabled = false)
    }

    /// Receives everything at another address, ports unchanged.
    pub fn move_address(&mut self, address: IpAddr) {
        self.address = address;
        for stream in &mut self.streams {
            stream.address = None;
        }
    }

    /// Receives one stream elsewhere. RFC 3264 §8.3.1.
    pub fn move_to(&mut self, index: usize, address: IpAddr, port: u16) -> bool {
        let session = self.address;
        self.change(index, |stream| {
            stream.address = (address != session).then_some(address);
            stream.port = port;
        })
    }

    /// Takes over which streams are held: that is said apart from what they are.
    pub fn keep_holds(&mut self, of: &Self) {
        for (stream, other) in
            self.streams.iter_mut().zip(&of.streams).filter(|(one, two)| one.kind == two.kind)
        {
            stream.hold = other.hold;
        }
    }

    /// The same session less the streams that an earlier one did not want.
    #[must_use]
    pub fn without_streams_since(&self, earlier: &Self) -> Self {
        let mut session = self.clone();
        for (index, stream) in session.streams.iter_mut().enumerate() {
            stream.enabled &=
                earlier.streams.get(index).is_some_and(|before| before.enabled && !before.declined);
        }
        session
    }

    /// Takes note of what came of an exchange: streams that are on in neither description are declined.
    pub fn follow(&mut self, ours: &Sdp, theirs: &Sdp) {
        let on = |(ours, theirs): &(Media<'_>, Media<'_>)| !ours.rejected() && !theirs.rejected();
        let mut lines: Vec<_> = ours.media().zip(theirs.media()).filter(on).map(|(ours, _)| ours).collect();
        if lines.is_empty() {
            return; // nothing is agreed on yet, or nothing any more
        }
        // The port tells streams of one kind apart, but one that moves meanwhile is still on.
        let same_port = |line: &Media<'_>, stream: &Stream| line.port() == stream.port;
        let any_port = |_: &Media<'_>, _: &Stream| true;
        let mut found = vec![false; self.streams.len()];
        for suits in [same_port as fn(&Media<'_>, &Stream) -> bool, any_port] {
            for (stream, found) in self.streams.iter().zip(&mut found).filter(|(_, found)| !**found) {
                let own =
                    |line: &Media<'_>| MediaKind::parse(line.kind()) == stream.kind && suits(line, stream);
                if let Some(at) = lines.iter().position(own).filter(|_| stream.enabled) {
                    lines.remove(at);
                    *found = true;
                }
            }
        }
        for (stream, found) in self.streams.iter_mut().zip(found) {
            stream.declined = !found;
        }
    }

    /// Whether this side wants a stream of this kind.
    pub fn wants(&self, kind: &MediaKind) -> bool {
        self.streams.iter().any(|stream| stream.live() && stream.kind == *kind)
    }

    fn set_hold(&mut self, hold: Hold) {
        for stream in &mut self.streams {
            stream.hold = hold;
        }
    }

    fn change(&mut self, index: usize, change: impl FnOnce(&mut Stream)) -> bool {
        self.streams.get_mut(index).map(change).is_some()
    }
}
