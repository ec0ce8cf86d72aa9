//! Session descriptions that survive being read and changed. RFC 8866.
//!
//! An analyzer shows what was really sent, and whoever sits between two parties changes one line and leaves
//! the rest alone. So an [`Sdp`] is the bytes themselves: whatever was parsed comes out again, unknown lines,
//! odd order and line endings included, and an edit touches the lines it is about and no others. Everything
//! else here is a view on those bytes.
//!
//! ```
//! use midcall_wire::sdp::{Direction, Sdp};
//!
//! let text = b"v=0\no=- 20 7 IN IP4 192.0.2.9\ns=-\nc=IN IP4 192.0.2.9\nt=0 0\nx=odd\n\
//!              m=audio 4000 RTP/AVP 8 101\na=rtpmap:101 telephone-event/8000\na=sendrecv";
//! let mut sdp = Sdp::parse(text).unwrap();
//! assert_eq!(sdp.as_bytes(), text);
//!
//! sdp.media_mut(0).unwrap().set_direction(Direction::SendOnly);
//! sdp.set_origin_version("8");
//! let changed = String::from_utf8(sdp.to_bytes()).unwrap();
//! assert!(changed.contains("o=- 20 8 IN") && changed.contains("\nx=odd\n") && changed.ends_with("a=sendonly"));
//! ```

mod edit;
mod error;
mod lines;
mod media;
mod types;

use std::fmt;
use std::sync::Arc;

pub use edit::{Format, MediaMut};
pub use error::{SdpError, SdpLimits, SdpProblem};
pub use lines::{Line, Lines};
pub use media::{Media, MediaIter};
pub use types::{Connection, Crypto, Direction, Group, Origin, RtpMap, Version};

/// A session description, kept as it was written.
///
/// Cloning shares the bytes; editing a shared description copies them first.
#[derive(Clone, PartialEq, Eq)]
pub struct Sdp {
    bytes: Arc<[u8]>,
}

impl Sdp {
    /// Reads a description with the default limits.
    ///
    /// Little is demanded: the first line must look like SDP, and `m=` lines must be complete, because
    /// nothing can be answered otherwise. Every other oddity is kept and left to the reader.
    pub fn parse(bytes: &[u8]) -> Result<Self, SdpError> {
        Self::parse_with(bytes, &SdpLimits::default())
    }

    /// Reads a description with limits of one's own.
    pub fn parse_with(bytes: &[u8], limits: &SdpLimits) -> Result<Self, SdpError> {
        if bytes.len() > limits.bytes {
            let read = bytes.get(..limits.bytes).unwrap_or_default();
            let line = memchr::memchr_iter(b'\n', read).count() + 1;
            return Err(SdpError { at: limits.bytes, line, problem: SdpProblem::TooLong });
        }
        let (mut started, mut media) = (false, 0);
        let mut last = (0, 1);
        for (index, line) in Lines::new(bytes, 0, bytes.len()).enumerate() {
            last = (line.at(), index + 1);
            let fail = |problem| Err(SdpError { at: line.at(), line: index + 1, problem });
            let letter = line.letter();
            if !started {
                if line.is_blank() {
                    continue;
                }
                if letter.is_none() {
                    return fail(SdpProblem::NotSdp);
                }
                started = true;
            }
            if letter == Some(b'm') {
                media += 1;
                if media > limits.media {
                    return fail(SdpProblem::TooManyMedia);
                }
                if let Err(problem) = media::check(&line, limits) {
                    return fail(problem);
                }
            }
        }
        if !started {
            return Err(SdpError { at: last.0, line: last.1, problem: SdpProblem::NotSdp });
        }
        Ok(Self { bytes: Arc::from(bytes) })
    }

    /// Takes over a description the caller wrote itself, without looking at it.
    ///
    /// Nothing breaks if it is no good: the views then find nothing, and whoever receives it refuses it.
    pub fn trusted(text: impl AsRef<[u8]>) -> Self {
        Self { bytes: Arc::from(text.as_ref()) }
    }

    /// The description as it goes on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A copy of the bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.bytes.to_vec()
    }

    /// All lines, from first to last.
    pub fn lines(&self) -> Lines<'_> {
        Lines::new(&self.bytes, 0, self.bytes.len())
    }

    /// The lines before the first `m=` line.
    pub fn session_lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.lines().take_while(|line| line.letter() != Some(b'm'))
    }

    /// The fields of the `o=` line, if there is one and it is complete.
    pub fn origin(&self) -> Option<Origin<'_>> {
        self.session_value(b'o').and_then(Origin::parse)
    }

    /// The version in the `o=` line.
    pub fn version(&self) -> Option<Version<'_>> {
        Version::parse(self.origin()?.version)
    }

    /// The name of the session, the `s=` line.
    pub fn session_name(&self) -> Option<&str> {
        self.session_value(b's')
    }

    /// The values of the `t=` lines.
    pub fn times(&self) -> impl Iterator<Item = &str> {
        self.session_lines().filter_map(|line| line.value_of(b't'))
    }

    /// The address for streams that have none of their own.
    pub fn connection(&self) -> Option<Connection<'_>> {
        self.session_value(b'c').and_then(Connection::parse)
    }

    /// The values of the `b=` lines for the whole session.
    pub fn bandwidth(&self) -> impl Iterator<Item = &str> {
        self.session_lines().filter_map(|line| line.value_of(b'b'))
    }

    /// The direction of streams that state none of their own, if the session states one.
    pub fn direction(&self) -> Option<Direction> {
        self.session_lines().find_map(|line| line.direction())
    }

    /// The value of the first session-level attribute of this name; `Some("")` for one without value.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.session_lines().find_map(|line| media::named(&line, name))
    }

    /// The values of all session-level attributes of this name.
    pub fn attributes<'s, 'n>(&'s self, name: &'n str) -> impl Iterator<Item = &'s str> + use<'s, 'n> {
        self.session_lines().filter_map(move |line| media::named(&line, name))
    }

    /// The groups of streams that belong together. RFC 5888 §5.
    pub fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        self.attributes("group").map(Group::parse)
    }

    /// Whether a section with this `a=mid` is in a `BUNDLE` group. RFC 9143 §7.
    pub fn bundles(&self, mid: &str) -> bool {
        self.groups().any(|group| {
            group.semantics.eq_ignore_ascii_case("BUNDLE") && group.mids().any(|member| member == mid)
        })
    }

    /// The streams, in order.
    pub fn media(&self) -> MediaIter<'_> {
        MediaIter::new(self)
    }

    /// The number of `m=` lines.
    pub fn media_count(&self) -> usize {
        self.lines().filter(|line| line.letter() == Some(b'm')).count()
    }

    /// One stream by its position.
    pub fn media_at(&self, index: usize) -> Option<Media<'_>> {
        self.media().nth(index)
    }

    /// Whether both descriptions say the same apart from the version in `o=`.
    ///
    /// Line endings and the amount of white space do not count, the order of lines does.
    pub fn same_but_version(&self, other: &Self) -> bool {
        if Arc::ptr_eq(&self.bytes, &other.bytes) {
            return true;
        }
        let mut mine = self.lines().filter(|line| !line.is_blank());
        let mut theirs = other.lines().filter(|line| !line.is_blank());
        loop {
            match (mine.next(), theirs.next()) {
                (None, None) => return true,
                (Some(mine), Some(theirs)) if same_line(&mine, &theirs) => {}
                _ => return false,
            }
        }
    }

    /// Whether both descriptions say the same apart from the version in `o=` and the directions of streams: hold, resume
    /// and refresh change no more.
    ///
    /// Byte by byte otherwise: a `false` may only mean other white space.
    pub fn same_but_direction(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.as_bytes(), other.as_bytes());
        loop {
            let same = common_prefix(ours, theirs);
            if same == ours.len() && same == theirs.len() {
                return true;
            }
            // Back to where the line with the difference starts.
            let same =
                ours.get(..same).and_then(|bytes| memchr::memrchr(b'\n', bytes)).map_or(0, |end| end + 1);
            (ours, theirs) = (ours.get(same..).unwrap_or_default(), theirs.get(same..).unwrap_or_default());
            let line = |bytes| Lines::new(bytes, 0, bytes.len()).next();
            let (mine, its) = (line(ours), line(theirs));
            let aside = |line: &Option<Line<'_>>| {
                line.as_ref().filter(|line| line.direction().is_some()).map(Line::end)
            };
            let steps = match (&mine, &its) {
                (Some(one), Some(two)) if one.content() == two.content() || same_origin(one, two) => {
                    (one.end(), two.end())
                }
                _ => match (aside(&mine), aside(&its)) {
                    (None, None) => return false,
                    (mine, its) => (mine.unwrap_or(0), its.unwrap_or(0)),
                },
            };
            ours = ours.get(steps.0..).unwrap_or_default();
            theirs = theirs.get(steps.1..).unwrap_or_default();
        }
    }

    fn session_value(&self, letter: u8) -> Option<&str> {
        self.session_lines().find_map(|line| line.value_of(letter))
    }
}

/// Equal apart from white space and, in an `o=` line, the version.
fn same_line(one: &Line<'_>, other: &Line<'_>) -> bool {
    if one.content() == other.content() || same_origin(one, other) {
        return true;
    }
    fn words<'l>(line: &Line<'l>) -> impl Iterator<Item = &'l [u8]> + use<'l> {
        line.content().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
    }
    words(one).eq(words(other))
}

/// How many bytes both begin with.
fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    let (ones, others) = (one.chunks_exact(8), other.chunks_exact(8));
    let whole = 8 * ones.zip(others).take_while(|(one, other)| one == other).count();
    let rest = one.iter().zip(other).skip(whole);
    whole + rest.take_while(|(one, other)| one == other).count()
}

/// `o=` lines of the same session, whatever the version.
fn same_origin(one: &Line<'_>, other: &Line<'_>) -> bool {
    let (one, other) =
        (one.value_of(b'o').and_then(Origin::parse), other.value_of(b'o').and_then(Origin::parse));
    one.zip(other).is_some_and(|(one, other)| one.same_session(&other))
}

impl fmt::Debug for Sdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sdp({:?})", String::from_utf8_lossy(&self.bytes))
    }
}

impl fmt::Display for Sdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.bytes))
    }
}

impl AsRef<[u8]> for Sdp {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests;
