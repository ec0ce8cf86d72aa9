//! A description as reports and checks look at it: read once, line by line.
//!
//! Every call is looked at for everything, and most calls have nothing: so what is asked of each description is gathered in
//! one go, and what only few of them have is looked up when it is there.

use midcall_wire::sdp::{Connection, Crypto, Direction, Group, Lines, RtpMap, Sdp, SdpLimits};

/// A description.
pub(crate) struct Sheet<'s> {
    bytes: &'s [u8],
    pub(crate) streams: Vec<Stream<'s>>,
    /// Its `o=` line.
    pub(crate) origin: Option<&'s str>,
    /// Whether streams share a port (RFC 9143).
    pub(crate) bundled: bool,
}

/// A stream of a description; what it does not say itself is taken from the session.
#[derive(Default)]
pub(crate) struct Stream<'s> {
    pub(crate) kind: &'s str,
    pub(crate) port: u16,
    /// The transport as written.
    pub(crate) protocol: &'s str,
    /// Whether it is refused or switched off.
    pub(crate) rejected: bool,
    pub(crate) connection: Option<Connection<'s>>,
    pub(crate) direction: Direction,
    pub(crate) formats: Vec<Format<'s>>,
    /// What must not get lost from one description to the next.
    pub(crate) bond: Bond<'s>,
    pub(crate) rtcp_mux: bool,
    /// Its own keys for SRTP, as written.
    pub(crate) crypto: Vec<&'s str>,
    /// Whether it says that it has no port of its own.
    bundle_only: bool,
    /// Whether it asks for preconditions (RFC 3312).
    pub(crate) preconditions: bool,
}

/// The identity of a transport: that of ICE and that of DTLS.
#[derive(Clone, Copy, Default)]
pub(crate) struct Bond<'s> {
    pub(crate) fragment: Option<&'s str>,
    pub(crate) password: Option<&'s str>,
    pub(crate) fingerprint: Option<&'s str>,
    pub(crate) tls_id: Option<&'s str>,
}

/// A format of a stream.
#[derive(Clone, Copy)]
pub(crate) struct Format<'s> {
    pub(crate) number: &'s str,
    /// What its own `a=rtpmap` line says.
    pub(crate) mapped: Option<&'s str>,
    /// Its parameters.
    pub(crate) fmtp: Option<&'s str>,
}

impl<'s> Sheet<'s> {
    /// Reads a description, if that can be taken for one.
    pub(crate) fn read(bytes: &'s [u8]) -> Option<Self> {
        // Most have one stream, and a stream is large.
        let mut sheet = Self { bytes, streams: Vec::with_capacity(1), origin: None, bundled: false };
        let limits = SdpLimits::default();
        let mut session = Stream::default();
        let (mut direction, mut own_direction, mut own_connection) = (None, None, false);
        let lines = Lines::of(bytes);
        let begins = lines.clone().next().is_some_and(|line| line.letter().is_some());
        let mut sound = begins && bytes.len() <= limits.bytes;
        for line in lines {
            let stream = match line.letter() {
                Some(b'm') => {
                    let (mut stream, whole) = Stream::begin(line.value().unwrap_or_default());
                    sound &= whole && stream.formats.len() <= limits.formats;
                    (own_direction, own_connection) = (None, false);
                    stream.connection = session.connection;
                    stream.direction = direction.unwrap_or_default();
                    sheet.streams.push(stream);
                    continue;
                }
                _ => sheet.streams.last_mut(),
            };
            match (line.letter(), stream) {
                (Some(b'c'), Some(stream)) if !own_connection => {
                    if let Some(value) = line.value() {
                        own_connection = true;
                        stream.connection = Connection::parse(value).or(session.connection);
                    }
                }
                (Some(b'c'), None) if !own_connection => {
                    if let Some(value) = line.value() {
                        own_connection = true;
                        session.connection = Connection::parse(value);
                    }
                }
                (Some(b'o'), None) if sheet.origin.is_none() => sheet.origin = line.value(),
                (Some(b'a'), stream) => {
                    let Some((name, value)) = line.attribute() else { continue };
                    let value = value.unwrap_or_default();
                    let in_session = stream.is_none();
                    if in_session && name.eq_ignore_ascii_case("group") {
                        let group = Group::parse(value);
                        sheet.bundled |= group.semantics == "BUNDLE" && group.mids().next().is_some();
                    }
                    let owner = stream.unwrap_or(&mut session);
                    if let (None, Some(found)) = (own_direction, owner.attribute(name, value)) {
                        own_direction = Some(found);
                        owner.direction = found;
                        if in_session {
                            direction = Some(found);
                        }
                    }
                }
                _ => {}
            }
        }
        // What is odd about it is for a closer look to tell.
        let sound = sound && sheet.streams.len() <= limits.media;
        let shared = sheet.streams.iter().any(|stream| stream.port == 0 && stream.bundle_only);
        let sdp = if sound && !shared { None } else { Some(sheet.sdp()?) };
        for (index, stream) in sheet.streams.iter_mut().enumerate() {
            stream.bond = stream.bond.or(session.bond);
            let media = sdp.as_ref().and_then(|sdp| sdp.media_at(index));
            stream.rejected = stream.port == 0 && media.is_none_or(|media| media.rejected());
        }
        Some(sheet)
    }

    /// All that it says.
    pub(crate) fn sdp(&self) -> Option<Sdp> {
        Sdp::parse(self.bytes).ok()
    }

    /// The first stream with voice.
    pub(crate) fn audio(&self) -> Option<&Stream<'s>> {
        self.streams.iter().find(|stream| stream.kind == "audio")
    }

    /// Whether any stream is in use.
    pub(crate) fn lives(&self) -> bool {
        self.streams.iter().any(|stream| !stream.rejected)
    }

    /// The streams of two descriptions, by their place.
    pub(crate) fn with<'o>(
        &'o self,
        other: &'o Self,
    ) -> impl Iterator<Item = (&'o Stream<'s>, &'o Stream<'s>)> {
        self.streams.iter().zip(&other.streams)
    }
}

impl<'s> Stream<'s> {
    /// A stream with this `m=` line, of which nothing else is known, and whether the line is complete.
    fn begin(line: &'s str) -> (Self, bool) {
        let mut fields = line.split_ascii_whitespace();
        let [kind, port, protocol] = [(); 3].map(|()| fields.next().unwrap_or_default());
        let (port, count) = port.split_once('/').map_or((port, None), |(port, count)| (port, Some(count)));
        let port = port.parse().ok();
        let whole = port.is_some() && count.is_none_or(|count| count.parse::<u16>().is_ok());
        let formats = fields.map(|number| Format { number, mapped: None, fmtp: None }).collect();
        let stream = Self { kind, port: port.unwrap_or(0), protocol, formats, ..Self::default() };
        (stream, whole && !protocol.is_empty())
    }

    /// Takes note of an attribute; of one that is a direction, gives it.
    fn attribute(&mut self, name: &str, value: &'s str) -> Option<Direction> {
        let is = |known: &str| name == known || name.eq_ignore_ascii_case(known);
        match name.len() {
            3 if is("des") => self.preconditions = true,
            4 if is("fmtp") => self.format(value, |format| &mut format.fmtp),
            6 if is("rtpmap") => self.format(value, |format| &mut format.mapped),
            6 if is("tls-id") => _ = self.bond.tls_id.get_or_insert(value),
            6 if is("crypto") => self.crypto.push(value),
            7 if is("ice-pwd") => _ = self.bond.password.get_or_insert(value),
            8 if is("rtcp-mux") => self.rtcp_mux = true,
            8 => return Direction::parse(name),
            9 if is("ice-ufrag") => _ = self.bond.fragment.get_or_insert(value),
            11 if is("fingerprint") => _ = self.bond.fingerprint.get_or_insert(value),
            11 if is("bundle-only") => self.bundle_only = true,
            _ => {}
        }
        None
    }

    /// A line about one format: the first one counts.
    fn format(
        &mut self,
        value: &'s str,
        field: impl for<'f> Fn(&'f mut Format<'s>) -> &'f mut Option<&'s str>,
    ) {
        let end = value.bytes().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(value.len());
        let Some((number, rest)) = value.split_at_checked(end) else { return };
        for format in self.formats.iter_mut().filter(|format| format.number == number) {
            field(format).get_or_insert(rest.trim_ascii_start());
        }
    }

    /// A format by its number.
    pub(crate) fn numbered(&self, number: &str) -> Option<&Format<'s>> {
        self.formats.iter().find(|format| format.number == number)
    }

    /// Whether somebody can be sure of whom it encrypts for.
    pub(crate) fn keyed(&self) -> bool {
        self.bond.fingerprint.is_some() || self.crypto.iter().any(|crypto| Crypto::parse(crypto).is_some())
    }

    /// The address for its media.
    pub(crate) fn address(&self) -> Option<&'s str> {
        self.connection.map(|connection| connection.address)
    }

    pub(crate) fn is_black_hole(&self) -> bool {
        self.connection.is_some_and(|connection| connection.is_black_hole())
    }
}

impl Bond<'_> {
    /// What it lacks is that of the session.
    fn or(self, session: Self) -> Self {
        Self {
            fragment: self.fragment.or(session.fragment),
            password: self.password.or(session.password),
            fingerprint: self.fingerprint.or(session.fingerprint),
            tls_id: self.tls_id.or(session.tls_id),
        }
    }
}

impl<'s> Format<'s> {
    /// What it means: its own line, else the static table of RFC 3551 §6.
    pub(crate) fn map(&self) -> Option<RtpMap<'s>> {
        match self.mapped {
            Some(mapped) => RtpMap::parse(mapped),
            None => RtpMap::fixed(self.number.parse().ok()?),
        }
    }
}
