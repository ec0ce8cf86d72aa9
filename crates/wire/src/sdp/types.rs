//! Small values found in the lines of a description.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use crate::scan::{cut, find_byte};

/// Which way media flows, seen from the party that wrote it. RFC 3264 §5.1.
///
/// ```
/// use midcall_wire::sdp::Direction;
///
/// assert_eq!(Direction::SendOnly.reversed(), Direction::RecvOnly);
/// assert_eq!(Direction::SendRecv.and(Direction::RecvOnly), Direction::RecvOnly);
/// assert_eq!(Direction::of(false, false), Direction::Inactive);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both ways; what a stream without a direction line means.
    #[default]
    SendRecv,
    /// This party only sends.
    SendOnly,
    /// This party only receives.
    RecvOnly,
    /// Neither way.
    Inactive,
}

impl Direction {
    /// All four, in the order RFC 3264 §5.1 names them.
    pub const ALL: [Self; 4] = [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive];

    /// The direction with these two halves.
    pub fn of(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Reads an attribute name; letter case does not matter, as some peers write `SendOnly`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::of_name(name.as_bytes())
    }

    /// The same of bytes: all four have eight letters, which are compared at once and in any case.
    #[inline]
    pub(super) fn of_name(name: &[u8]) -> Option<Self> {
        let word = |name: &[u8; LETTERS]| u64::from_ne_bytes(*name) | u64::from_ne_bytes([b' '; LETTERS]);
        let name = word(name.try_into().ok()?);
        match () {
            () if name == word(b"sendrecv") => Some(Self::SendRecv),
            () if name == word(b"sendonly") => Some(Self::SendOnly),
            () if name == word(b"recvonly") => Some(Self::RecvOnly),
            () if name == word(b"inactive") => Some(Self::Inactive),
            () => None,
        }
    }

    /// The attribute name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// Whether the party sends.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the party receives.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same flow seen from the other party.
    pub fn reversed(self) -> Self {
        Self::of(self.receives(), self.sends())
    }

    /// What both directions allow.
    pub fn and(self, other: Self) -> Self {
        Self::of(self.sends() && other.sends(), self.receives() && other.receives())
    }

    /// Whether `answer` may answer an offer of this direction. RFC 3264 §6.1.
    pub fn may_be_answered(self, answer: Self) -> bool {
        answer.and(self.reversed()) == answer
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A session version: a decimal number of any length. RFC 8866 §5.2.
///
/// Peers send numbers beyond 64 bits, so it is compared and counted up as digits.
///
/// ```
/// use midcall_wire::sdp::Version;
///
/// let version = Version::parse("99999999999999999999").unwrap();
/// assert_eq!(version.plus_one().as_str(), "100000000000000000000");
/// assert!(version < version.plus_one());
/// assert_eq!(Version::parse("007"), Version::parse("7"));
/// ```
#[derive(Clone, Debug)]
pub struct Version<'a>(Cow<'a, str>);

impl<'a> Version<'a> {
    /// Reads a string of digits.
    pub fn parse(digits: &'a str) -> Option<Self> {
        let valid = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        valid.then_some(Self(Cow::Borrowed(digits)))
    }

    /// The digits as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The next version.
    pub fn plus_one(&self) -> Version<'static> {
        let mut digits = self.0.as_bytes().to_vec();
        for digit in digits.iter_mut().rev() {
            if *digit == b'9' {
                *digit = b'0';
            } else {
                *digit += 1;
                return Version(Cow::Owned(digits.iter().map(|digit| char::from(*digit)).collect()));
            }
        }
        Version(Cow::Owned(
            std::iter::once('1').chain(digits.iter().map(|digit| char::from(*digit))).collect(),
        ))
    }

    /// Whether this is the version after that one.
    pub fn follows(&self, before: &Version<'_>) -> bool {
        match (self.0.parse::<u64>(), before.0.parse::<u64>()) {
            (Ok(now), Ok(before)) => before.checked_add(1) == Some(now),
            _ => *self == before.plus_one(),
        }
    }

    /// Whether the number fits the 63 bits RFC 3264 §5 allows.
    pub fn fits_63_bits(&self) -> bool {
        let digits = self.significant();
        digits.len() < i64::MAX.ilog10() as usize || digits.parse::<i64>().is_ok()
    }

    fn significant(&self) -> &str {
        self.0.trim_start_matches('0')
    }
}

impl fmt::Display for Version<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq for Version<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.significant() == other.significant()
    }
}

impl Eq for Version<'_> {}

impl PartialOrd for Version<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mine, theirs) = (self.significant(), other.significant());
        mine.len().cmp(&theirs.len()).then_with(|| mine.cmp(theirs))
    }
}

/// The fields of an `o=` line. RFC 8866 §5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The user on the originating host, or `-`.
    pub username: &'a str,
    /// The number of the session, any digits.
    pub session_id: &'a str,
    /// The version of the session, any digits.
    pub version: &'a str,
    /// The network type, `IN`.
    pub net: &'a str,
    /// The address type, `IP4` or `IP6`.
    pub address_type: &'a str,
    /// The address of the originating host.
    pub address: &'a str,
}

impl<'a> Origin<'a> {
    /// Reads the value of an `o=` line; a username with spaces in it is tolerated.
    pub fn parse(value: &'a str) -> Option<Self> {
        let value = value.trim_ascii();
        let [username, session_id, version, net, address_type, address] =
            Self::places(value.as_bytes())?.map(|(start, end)| value.get(start..end).unwrap_or_default());
        Some(Self { username, session_id, version, net, address_type, address })
    }

    /// Where its fields are in a value without white space around.
    pub(super) fn places(value: &[u8]) -> Option<[(usize, usize); 6]> {
        let is_blank = |byte: u8| byte <= b' ' && matches!(byte, b' ' | b'\t');
        let mut places = [(0, value.len()); 6];
        let mut end = value.len();
        // From behind: the name may hold white space.
        for place in places.iter_mut().skip(1).rev() {
            let mut start = end;
            while !is_blank(*value.get(start.checked_sub(1)?)?) {
                start -= 1;
            }
            *place = (start, end);
            end = start - 1;
            while end > 0 && value.get(end - 1).is_some_and(u8::is_ascii_whitespace) {
                end -= 1;
            }
        }
        places[0].1 = end;
        Some(places)
    }

    /// Whether everything but the version is the same.
    pub fn same_session(&self, other: &Origin<'_>) -> bool {
        Origin { version: "", ..*self } == Origin { version: "", ..*other }
    }
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { username, session_id, version, net, address_type, address } = self;
        write!(f, "{username} {session_id} {version} {net} {address_type} {address}")
    }
}

/// The fields of a `c=` line. RFC 8866 §5.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection<'a> {
    /// The network type, `IN`.
    pub net: &'a str,
    /// The address type, `IP4` or `IP6`.
    pub address_type: &'a str,
    /// The address or host name, without TTL and count.
    pub address: &'a str,
}

impl<'a> Connection<'a> {
    /// Reads the value of a `c=` line.
    pub fn parse(value: &'a str) -> Option<Self> {
        let [net, address_type, address] =
            Self::places(value.as_bytes())?.map(|(start, end)| value.get(start..end).unwrap_or_default());
        Some(Self { net, address_type, address })
    }

    /// Where its fields are in a value.
    pub(super) fn places(value: &[u8]) -> Option<[(usize, usize); 3]> {
        let mut places = [(0, 0); 3];
        let mut at = 0;
        for place in &mut places {
            *place = word(value, at);
            at = place.1;
        }
        let (start, end) = places[2];
        let address = value.get(start..end).filter(|address| !address.is_empty())?;
        places[2].1 = find_byte(address, b'/').map_or(end, |slash| start + slash);
        Some(places)
    }

    /// Whether nothing can be sent here: the zero address, or a name under `.invalid`.
    ///
    /// Old phones hold with it (RFC 3264 §8.4), controllers use it as a black hole (RFC 6157 §4.1 for IPv6).
    pub fn is_black_hole(&self) -> bool {
        is_black_hole(self.address)
    }
}

/// Whether nothing can be sent to this address.
pub(super) fn is_black_hole(address: &str) -> bool {
    let name = address.trim_end_matches('.').as_bytes();
    let suffix = name.get(name.len().saturating_sub(INVALID.len())..).unwrap_or_default();
    address == "0.0.0.0"
        || address.contains(':')
            && address.parse::<std::net::Ipv6Addr>().is_ok_and(|address| address.is_unspecified())
        || suffix.eq_ignore_ascii_case(INVALID)
}

/// Where the next word of a text is.
#[inline]
pub(super) fn word(bytes: &[u8], from: usize) -> (usize, usize) {
    let blank = |at: usize| bytes.get(at).is_some_and(|byte| *byte <= b' ' && byte.is_ascii_whitespace());
    let mut start = from;
    while blank(start) {
        start += 1;
    }
    let mut end = start;
    while end < bytes.len() && !blank(end) {
        end += 1;
    }
    (start, end)
}

impl fmt::Display for Connection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.net, self.address_type, self.address)
    }
}

/// An encoding: what an `a=rtpmap` line says about a payload type. RFC 8866 §6.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpMap<'a> {
    /// The name of the encoding, as written.
    pub name: &'a str,
    /// The clock rate in hertz.
    pub clock: u32,
    /// The number of channels, 1 if none is given.
    pub channels: u8,
}

impl<'a> RtpMap<'a> {
    /// Reads `name/clock[/channels]`.
    pub fn parse(value: &'a str) -> Option<Self> {
        let (name, rest) = cut(value, b'/')?;
        let (clock, channels) = match cut(rest, b'/') {
            Some((clock, channels)) => (clock, channels.split('/').next()?.trim_ascii().parse().ok()?),
            None => (rest, 1),
        };
        let name = Some(name.trim_ascii()).filter(|name| !name.is_empty())?;
        Some(Self { name, clock: clock.trim_ascii().parse().ok()?, channels })
    }

    /// What a static payload type means when no `a=rtpmap` line says so. RFC 3551 §6.
    pub fn fixed(payload: u8) -> Option<RtpMap<'static>> {
        let (name, clock, channels) = match payload {
            0 => ("PCMU", 8000, 1),
            3 => ("GSM", 8000, 1),
            4 => ("G723", 8000, 1),
            5 => ("DVI4", 8000, 1),
            6 => ("DVI4", 16000, 1),
            7 => ("LPC", 8000, 1),
            8 => ("PCMA", 8000, 1),
            9 => ("G722", 8000, 1),
            10 => ("L16", 44100, 2),
            11 => ("L16", 44100, 1),
            12 => ("QCELP", 8000, 1),
            13 => ("CN", 8000, 1),
            14 => ("MPA", 90000, 1),
            15 => ("G728", 8000, 1),
            16 => ("DVI4", 11025, 1),
            17 => ("DVI4", 22050, 1),
            18 => ("G729", 8000, 1),
            25 => ("CelB", 90000, 1),
            26 => ("JPEG", 90000, 1),
            28 => ("nv", 90000, 1),
            31 => ("H261", 90000, 1),
            32 => ("MPV", 90000, 1),
            33 => ("MP2T", 90000, 1),
            34 => ("H263", 90000, 1),
            _ => return None,
        };
        Some(RtpMap { name, clock, channels })
    }
}

impl fmt::Display for RtpMap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.clock)?;
        if self.channels > 1 { write!(f, "/{}", self.channels) } else { Ok(()) }
    }
}

/// An `a=group` line: sections that belong together. RFC 5888 §5, RFC 9143 §4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    /// What the group means, such as `BUNDLE` or `LS`.
    pub semantics: &'a str,
    members: &'a str,
}

impl<'a> Group<'a> {
    /// Reads the value of an `a=group` line.
    pub fn parse(value: &'a str) -> Self {
        let value = value.trim_ascii();
        let (semantics, members) = value.split_once([' ', '\t']).unwrap_or((value, ""));
        Self { semantics, members }
    }

    /// The `a=mid` values of its members.
    pub fn mids(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.members.split_ascii_whitespace()
    }
}

/// An `a=crypto` line: keys for SRTP. RFC 4568 §9.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crypto<'a> {
    /// The number that ties an answer to what was offered.
    pub tag: &'a str,
    /// The crypto suite, such as `AES_CM_128_HMAC_SHA1_80`.
    pub suite: &'a str,
    /// Key and session parameters.
    pub parameters: &'a str,
}

impl<'a> Crypto<'a> {
    /// Reads the value of an `a=crypto` line.
    pub fn parse(value: &'a str) -> Option<Self> {
        let (tag, rest) = value.trim_ascii().split_once([' ', '\t'])?;
        let (suite, parameters) = rest.trim_ascii_start().split_once([' ', '\t'])?;
        Some(Self { tag, suite, parameters: parameters.trim_ascii_start() })
    }
}

/// How many letters the name of a direction has.
pub(super) const LETTERS: usize = 8;
/// The top of names that never exist. RFC 2606 §2.
const INVALID: &[u8] = b".invalid";
