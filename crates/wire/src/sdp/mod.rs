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
mod outline;
mod types;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

pub use edit::{Format, MediaMut};
pub use error::{SdpError, SdpLimits, SdpProblem};
pub use lines::{Line, Lines};
pub use media::{Media, MediaIter};
use outline::{Connected, LONGEST, Outline, Span, Stream};
pub use types::{Connection, Crypto, Direction, Group, Origin, RtpMap, Version};

/// A session description, kept as it was written.
///
/// Cloning shares the bytes; editing a shared description copies them first. Reading it notes where its parts are, so
/// that the views need not look for them; of more than 65,535 bytes, which are never read, only the first are viewed.
#[derive(Clone)]
pub struct Sdp {
    inner: Arc<Inner>,
}

struct Inner {
    body: Body,
    outline: Outline,
}

/// The bytes; nearly always they are text, and then nobody needs to find that out again.
enum Body {
    Text(Box<str>),
    Bytes(Box<[u8]>),
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
        let most = limits.bytes.min(LONGEST);
        if bytes.len() > most {
            let read = bytes.get(..most).unwrap_or_default();
            let line = memchr::memchr_iter(b'\n', read).count() + 1;
            return Err(SdpError { at: most, line, problem: SdpProblem::TooLong });
        }
        let text = std::str::from_utf8(bytes).ok();
        let sdp = Self::of(match text {
            Some(text) => Body::Text(text.into()),
            None => Body::Bytes(bytes.into()),
        });
        if !sdp.is_plainly_sound(limits) {
            look_through(bytes, text, limits)?;
        }
        Ok(sdp)
    }

    /// Whether a look at the parts shows that nothing is wrong; most descriptions need no closer one.
    fn is_plainly_sound(&self, limits: &SdpLimits) -> bool {
        let started = self.lines().next().is_some_and(|line| line.letter().is_some());
        // Each format takes two bytes at least, with the white space before it.
        let complete = |stream: &Stream| stream.is_whole && stream.formats.length() / 2 <= limits.formats;
        let streams = &self.inner.outline.streams;
        started && streams.len() <= limits.media && streams.iter().all(complete)
    }

    /// Takes over a description the caller wrote itself, without looking at it.
    ///
    /// Nothing breaks if it is no good: the views then find nothing, and whoever receives it refuses it.
    pub fn trusted(text: impl AsRef<[u8]>) -> Self {
        Self::of(match std::str::from_utf8(text.as_ref()) {
            Ok(text) => Body::Text(text.into()),
            Err(_) => Body::Bytes(text.as_ref().into()),
        })
    }

    fn of(body: Body) -> Self {
        let outline = match &body {
            Body::Text(text) => Outline::of(text.as_bytes(), Some(text)),
            Body::Bytes(bytes) => Outline::of(bytes, None),
        };
        Self { inner: Arc::new(Inner { body, outline }) }
    }

    /// The description as it goes on the wire.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.inner.body {
            Body::Text(text) => text.as_bytes(),
            Body::Bytes(bytes) => bytes,
        }
    }

    /// It as text: what of it is none is replaced.
    pub fn to_text(&self) -> Cow<'_, str> {
        match &self.inner.body {
            Body::Text(text) => Cow::Borrowed(text),
            Body::Bytes(bytes) => String::from_utf8_lossy(bytes),
        }
    }

    /// A copy of the bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    /// Whether both are one value that was cloned, and so equal without a look at the bytes.
    #[inline]
    pub fn is_clone_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// All lines, from first to last.
    pub fn lines(&self) -> Lines<'_> {
        self.lines_in(0..self.as_bytes().len())
    }

    /// The lines before the first `m=` line.
    pub fn session_lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.lines_in(self.inner.outline.session.range())
    }

    fn lines_in(&self, range: std::ops::Range<usize>) -> Lines<'_> {
        Lines::new(self.as_bytes(), self.text(), range.start, range.end)
    }

    fn text(&self) -> Option<&str> {
        match &self.inner.body {
            Body::Text(text) => Some(text),
            Body::Bytes(_) => None,
        }
    }

    /// A part of it, empty where that is no text.
    fn text_at(&self, span: Span) -> &str {
        match &self.inner.body {
            Body::Text(text) => text.get(span.range()),
            Body::Bytes(bytes) => bytes.get(span.range()).and_then(|bytes| std::str::from_utf8(bytes).ok()),
        }
        .unwrap_or_default()
    }

    /// The fields of the `o=` line, if there is one and it is complete.
    pub fn origin(&self) -> Option<Origin<'_>> {
        Origin::parse(self.text_at(self.inner.outline.origin))
    }

    /// The version in the `o=` line.
    #[inline]
    pub fn version(&self) -> Option<Version<'_>> {
        Version::parse(self.origin_part(self.inner.outline.version)?)
    }

    /// The number of the session in the `o=` line.
    #[inline]
    pub fn session_id(&self) -> Option<&str> {
        self.origin_part(self.inner.outline.session_id)
    }

    /// What stands before and behind the version of a complete `o=` line.
    fn around_version(&self) -> Option<[&[u8]; 2]> {
        let Outline { origin, version, .. } = &self.inner.outline;
        let (line, number) = (origin.range(), version.range());
        let part = |range| self.as_bytes().get(range).unwrap_or_default();
        (!version.is_empty()).then(|| [part(line.start..number.start), part(number.end..line.end)])
    }

    /// What both say behind their `o=` lines, if they are the same up to there but for the version; else all.
    fn behind_origin<'s>(&'s self, other: &'s Self) -> (&'s [u8], &'s [u8]) {
        let parts = |sdp: &'s Self| {
            let Outline { origin, version, .. } = &sdp.inner.outline;
            let (line, number, bytes) = (origin.range(), version.range(), sdp.as_bytes());
            let before = (bytes.get(..number.start)?, bytes.get(number.end..line.end)?);
            Some((before, bytes.get(line.end..)?)).filter(|_| !version.is_empty())
        };
        match (parts(self), parts(other)) {
            (Some((before, ours)), Some((same, theirs))) if before == same => (ours, theirs),
            _ => (self.as_bytes(), other.as_bytes()),
        }
    }

    /// The address in a complete `o=` line.
    fn origin_address(&self) -> &str {
        self.text_at(self.inner.outline.origin_address)
    }

    /// A part of a complete `o=` line.
    fn origin_part(&self, part: Span) -> Option<&str> {
        (!part.is_empty()).then(|| self.text_at(part))
    }

    /// Whether the `o=` lines say the same apart from the version; `None` where one of them is not complete.
    pub fn is_same_session(&self, other: &Self) -> Option<bool> {
        // Mostly not even the white space differs.
        let same = self.around_version()? == other.around_version()?;
        Some(
            same || self.origin_address() == other.origin_address()
                && self.origin()?.same_session(&other.origin()?),
        )
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
        self.connected(&self.inner.outline.connection)
    }

    /// What a `c=` line says.
    fn connected(&self, connected: &Connected) -> Option<Connection<'_>> {
        let Connected { line, address, address_type } = *connected;
        let line = self.text_at(line);
        let net = line.get(..types::word(line.as_bytes(), 0).1)?;
        let (address_type, address) = (self.text_at(address_type), self.text_at(address));
        (!address.is_empty()).then_some(Connection { net, address_type, address })
    }

    /// The address in that.
    fn address(&self) -> Option<&str> {
        let address = self.inner.outline.connection.address;
        (!address.is_empty()).then(|| self.text_at(address))
    }

    /// The values of the `b=` lines for the whole session.
    pub fn bandwidth(&self) -> impl Iterator<Item = &str> {
        self.session_lines().filter_map(|line| line.value_of(b'b'))
    }

    /// The direction of streams that state none of their own, if the session states one.
    #[inline]
    pub fn direction(&self) -> Option<Direction> {
        self.inner.outline.direction
    }

    /// The value of the first session-level attribute of this name; `Some("")` for one without value.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        if !self.inner.outline.initials.may_have(name) {
            return None;
        }
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
    #[inline]
    pub fn media(&self) -> MediaIter<'_> {
        MediaIter::new(self)
    }

    /// The number of `m=` lines.
    #[inline]
    pub fn media_count(&self) -> usize {
        self.inner.outline.streams.len()
    }

    /// One stream by its position.
    #[inline]
    pub fn media_at(&self, index: usize) -> Option<Media<'_>> {
        self.inner.outline.streams.get(index).map(|stream| Media::new(self, index, stream))
    }

    /// Whether both descriptions say the same apart from the version in `o=`.
    ///
    /// Line endings and the amount of white space do not count, the order of lines does.
    pub fn same_but_version(&self, other: &Self) -> bool {
        if self.is_clone_of(other) {
            return true;
        }
        let (mut ours, mut theirs) = self.behind_origin(other);
        loop {
            match skip_common(&mut ours, &mut theirs) {
                None => return true,
                Some(Differ::Plainly) => return false,
                Some(Differ::Perhaps) => {}
            }
            match (next_line(&mut ours), next_line(&mut theirs)) {
                (None, None) => return true,
                (Some(mine), Some(its)) if same_line(&mine, &its) => {}
                _ => return false,
            }
        }
    }

    /// Whether both descriptions say the same apart from the version in `o=` and the directions of streams: hold, resume
    /// and refresh change no more.
    ///
    /// Byte by byte otherwise: a `false` may only mean other white space.
    pub fn same_but_direction(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = self.behind_origin(other);
        loop {
            if skip_common(&mut ours, &mut theirs).is_none() {
                return true;
            }
            let line = |bytes| Lines::new(bytes, None, 0, bytes.len()).next();
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

/// Goes over every line to find what is wrong, and where.
fn look_through(bytes: &[u8], text: Option<&str>, limits: &SdpLimits) -> Result<(), SdpError> {
    let (mut started, mut media) = (false, 0);
    let mut last = (0, 1);
    for (index, line) in Lines::new(bytes, text, 0, bytes.len()).enumerate() {
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
            if let Err(problem) =
                line.value().ok_or(SdpProblem::MediaText).and_then(|value| media::check(value, limits))
            {
                return fail(problem);
            }
        }
    }
    if !started {
        return Err(SdpError { at: last.0, line: last.1, problem: SdpProblem::NotSdp });
    }
    Ok(())
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

/// How lines differ whose beginning is the same.
enum Differ {
    /// In a word, and it is no `o=` line.
    Plainly,
    /// In white space, or maybe in the version.
    Perhaps,
}

/// Steps over the lines that both begin with; says how the lines behind them differ, if they do.
fn skip_common(ours: &mut &[u8], theirs: &mut &[u8]) -> Option<Differ> {
    let same = common_prefix(ours, theirs);
    if same == ours.len() && same == theirs.len() {
        return None;
    }
    let in_word = |bytes: &[u8]| bytes.get(same).is_some_and(|byte| !byte.is_ascii_whitespace());
    let both = in_word(ours) && in_word(theirs);
    // Back to where the line with the difference starts.
    let same = ours.get(..same).and_then(|bytes| memchr::memrchr(b'\n', bytes)).map_or(0, |end| end + 1);
    (*ours, *theirs) = (ours.get(same..).unwrap_or_default(), theirs.get(same..).unwrap_or_default());
    Some(if both && !ours.starts_with(b"o") { Differ::Plainly } else { Differ::Perhaps })
}

/// Takes the first line that is not blank.
fn next_line<'l>(bytes: &mut &'l [u8]) -> Option<Line<'l>> {
    let line = Lines::new(bytes, None, 0, bytes.len()).find(|line| !line.is_blank());
    *bytes = line.as_ref().and_then(|line| bytes.get(line.end()..)).unwrap_or_default();
    line
}

/// How many bytes both begin with.
fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    let (ones, others) = (one.as_chunks::<16>().0, other.as_chunks::<16>().0);
    let same =
        |(one, other): &(&[u8; 16], &[u8; 16])| u128::from_ne_bytes(**one) == u128::from_ne_bytes(**other);
    let whole = 16 * ones.iter().zip(others).take_while(same).count();
    let rest = one.get(whole..).unwrap_or_default().iter().zip(other.get(whole..).unwrap_or_default());
    whole + rest.take_while(|(one, other)| one == other).count()
}

/// `o=` lines of the same session, whatever the version.
fn same_origin(one: &Line<'_>, other: &Line<'_>) -> bool {
    let (one, other) =
        (one.value_of(b'o').and_then(Origin::parse), other.value_of(b'o').and_then(Origin::parse));
    one.zip(other).is_some_and(|(one, other)| one.same_session(&other))
}

impl PartialEq for Sdp {
    fn eq(&self, other: &Self) -> bool {
        self.is_clone_of(other) || self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Sdp {}

impl fmt::Debug for Sdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sdp({:?})", String::from_utf8_lossy(self.as_bytes()))
    }
}

impl fmt::Display for Sdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl AsRef<[u8]> for Sdp {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

#[cfg(test)]
mod tests;
