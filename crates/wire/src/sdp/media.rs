//! The view on one stream: an `m=` line and what follows it.

use super::outline::Stream;
use super::types::is_black_hole;
use super::{Connection, Crypto, Direction, Line, Lines, RtpMap, Sdp, SdpLimits, SdpProblem};

/// One stream of a description.
///
/// What a stream does not say itself is taken from the session part, as RFC 8866 §5 lays down.
#[derive(Clone, Copy, Debug)]
pub struct Media<'a> {
    sdp: &'a Sdp,
    index: usize,
    stream: &'a Stream,
}

impl<'a> Media<'a> {
    /// The position of the stream in the description, counted from 0.
    #[inline]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The value of the `m=` line.
    #[inline]
    pub fn line(&self) -> &'a str {
        self.sdp.text_at(self.stream.first)
    }

    /// All lines of the stream, the `m=` line first.
    #[inline]
    pub fn lines(&self) -> Lines<'a> {
        self.sdp.lines_in(self.stream.lines.range())
    }

    /// The media type as written, such as `audio`.
    #[inline]
    pub fn kind(&self) -> &'a str {
        self.sdp.text_at(self.stream.kind)
    }

    /// The port; 0 where the stream is refused or switched off.
    #[inline]
    pub fn port(&self) -> u16 {
        self.stream.port
    }

    /// How many ports in a row are meant; 1 unless the line says otherwise.
    pub fn port_count(&self) -> u16 {
        let port = self.line().split_ascii_whitespace().nth(1).unwrap_or_default();
        port.split_once('/').and_then(|(_, count)| count.parse().ok()).unwrap_or(1)
    }

    /// The transport as written, such as `RTP/AVP` or `udptl`.
    #[inline]
    pub fn protocol(&self) -> &'a str {
        self.sdp.text_at(self.stream.protocol)
    }

    /// Whether the formats are RTP payload types.
    #[inline]
    pub fn is_rtp(&self) -> bool {
        self.stream.is_rtp
    }

    /// The formats in the order of preference of whoever wrote them.
    #[inline]
    pub fn formats(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.sdp.text_at(self.stream.formats).split_ascii_whitespace()
    }

    /// The direction: the stream's own, else that of the session, else both ways. RFC 3264 §5.1.
    #[inline]
    pub fn direction(&self) -> Direction {
        self.own_direction().or_else(|| self.sdp.direction()).unwrap_or_default()
    }

    /// The direction that the stream states itself.
    #[inline]
    pub fn own_direction(&self) -> Option<Direction> {
        self.stream.direction
    }

    /// The address: the stream's own, else that of the session.
    #[inline]
    pub fn connection(&self) -> Option<&'a str> {
        let own = self.stream.connection.address;
        if own.is_empty() { self.sdp.address() } else { Some(self.sdp.text_at(own)) }
    }

    /// The whole `c=` line that counts for the stream.
    pub fn connection_data(&self) -> Option<Connection<'a>> {
        self.own_connection().or_else(|| self.sdp.connection())
    }

    /// The `c=` line of the stream itself.
    pub fn own_connection(&self) -> Option<Connection<'a>> {
        self.sdp.connected(&self.stream.connection)
    }

    /// Whether neither RTP nor RTCP may be sent to the address given. RFC 3264 §8.4, RFC 6337 §5.4.
    pub fn is_black_hole(&self) -> bool {
        self.connection().is_some_and(is_black_hole)
    }

    /// The values of the `b=` lines of the stream.
    pub fn bandwidth(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.lines().filter_map(|line| line.value_of(b'b'))
    }

    /// What a payload type of this stream means: its `a=rtpmap` line, else the static table of RFC 3551 §6.
    pub fn rtpmap(&self, payload: &str) -> Option<RtpMap<'a>> {
        self.mapped("rtpmap", payload).map_or_else(|| RtpMap::fixed(payload.parse().ok()?), RtpMap::parse)
    }

    /// Whether a payload type has an `a=rtpmap` line of its own.
    pub fn has_rtpmap(&self, payload: &str) -> bool {
        self.mapped("rtpmap", payload).is_some()
    }

    /// The parameters of a format, its `a=fmtp` line.
    pub fn fmtp(&self, payload: &str) -> Option<&'a str> {
        self.mapped("fmtp", payload)
    }

    /// The value of the first attribute of this name of the stream itself; `Some("")` for one without value.
    #[inline]
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        if !self.stream.initials.may_have(name) {
            return None;
        }
        self.lines().find_map(|line| named(&line, name))
    }

    /// The values of all attributes of this name of the stream itself.
    pub fn attributes<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let lines = self.stream.initials.may_have(name).then(|| self.lines());
        lines.into_iter().flatten().filter_map(move |line| named(&line, name))
    }

    /// Whether the stream itself has an attribute of this name.
    pub fn has_attribute(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    /// An attribute of the stream, or else of the session: fingerprints, ICE credentials, `setup`.
    pub fn inherited(&self, name: &str) -> Option<&'a str> {
        self.attribute(name).or_else(|| self.sdp.attribute(name))
    }

    /// The identification tag, `a=mid`.
    pub fn mid(&self) -> Option<&'a str> {
        self.attribute("mid")
    }

    /// The packet time in milliseconds, `a=ptime`.
    pub fn ptime(&self) -> Option<u16> {
        self.attribute("ptime")?.parse().ok()
    }

    /// The keys offered for SRTP, `a=crypto`.
    pub fn crypto(&self) -> impl Iterator<Item = Crypto<'a>> + use<'a> {
        self.attributes("crypto").filter_map(Crypto::parse)
    }

    /// Whether the section has no port of its own because it shares that of its `BUNDLE` group. RFC 9143 §6.
    pub fn is_bundle_only(&self) -> bool {
        self.port() == 0 && self.stream.bundle_only && self.mid().is_some_and(|mid| self.sdp.bundles(mid))
    }

    /// Whether the stream is refused or switched off: port 0, unless it lives in a bundle. RFC 3264 §6, §8.2.
    #[inline]
    pub fn rejected(&self) -> bool {
        self.port() == 0 && !self.is_bundle_only()
    }

    pub(super) fn span(&self) -> (usize, usize) {
        let lines = self.stream.lines.range();
        (lines.start, lines.end)
    }

    fn mapped(&self, name: &str, format: &str) -> Option<&'a str> {
        self.lines().find_map(|line| mapped(&line, name, format))
    }
}

/// Walks the streams of a description.
#[derive(Clone, Debug)]
pub struct MediaIter<'a> {
    sdp: &'a Sdp,
    next: usize,
}

impl<'a> MediaIter<'a> {
    pub(super) fn new(sdp: &'a Sdp) -> Self {
        Self { sdp, next: 0 }
    }
}

impl<'a> Iterator for MediaIter<'a> {
    type Item = Media<'a>;

    #[inline]
    fn next(&mut self) -> Option<Media<'a>> {
        let media = self.sdp.media_at(self.next)?;
        self.next += 1;
        Some(media)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.sdp.media_count().saturating_sub(self.next);
        (left, Some(left))
    }
}

impl ExactSizeIterator for MediaIter<'_> {}

impl<'a> Media<'a> {
    pub(super) const fn new(sdp: &'a Sdp, index: usize, stream: &'a Stream) -> Self {
        Self { sdp, index, stream }
    }
}

/// Whether a transport carries RTP, so that its formats are payload types.
pub(super) fn is_rtp(protocol: &str) -> bool {
    let bytes = protocol.as_bytes();
    bytes.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"RTP/"))
        || bytes.windows(4).any(|part| part.eq_ignore_ascii_case(b"RTP/"))
}

/// The value of an attribute line of this name.
pub(super) fn named<'a>(line: &Line<'a>, name: &str) -> Option<&'a str> {
    line.named(name)
}

/// The value of an `a=name:format value` line.
pub(super) fn mapped<'a>(line: &Line<'a>, name: &str, format: &str) -> Option<&'a str> {
    let value = named(line, name)?;
    let (key, rest) = value.split_once([' ', '\t']).unwrap_or((value, ""));
    (key == format).then(|| rest.trim_ascii_start())
}

/// Looks over the value of an `m=` line.
pub(super) fn check(value: &str, limits: &SdpLimits) -> Result<(), SdpProblem> {
    let mut fields = value.split_ascii_whitespace();
    let (_, port) = (fields.next(), fields.next().ok_or(SdpProblem::MediaIncomplete)?);
    let (port, count) = port.split_once('/').unwrap_or((port, "1"));
    if port.parse::<u16>().is_err() || count.parse::<u16>().is_err() {
        return Err(SdpProblem::MediaPort);
    }
    // A line without formats is wrong, but common on refused streams and harmless there.
    fields.next().ok_or(SdpProblem::MediaIncomplete)?;
    if fields.count() > limits.formats { Err(SdpProblem::TooManyFormats) } else { Ok(()) }
}
