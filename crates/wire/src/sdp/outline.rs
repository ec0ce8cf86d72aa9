//! Where everything of a description is, found in one walk over its lines when it is read or changed.
//!
//! Rules ask for streams, ports and directions again and again; none of them goes through the text again for it.

use smallvec::SmallVec;

use super::media::{is_rtp, named};
use super::types::word;
use super::{Connection, Direction, Line, Lines, Origin};
use crate::scan::cut;

/// A part of the text.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Span {
    start: u16,
    end: u16,
}

impl Span {
    /// Offsets beyond [`LONGEST`] are not noted.
    fn new(start: usize, end: usize) -> Self {
        let short = |offset| u16::try_from(offset).unwrap_or(u16::MAX);
        Self { start: short(start), end: short(end) }
    }

    /// Where a part of what stands here is.
    fn part(self, (start, end): (usize, usize)) -> Self {
        let at = usize::from(self.start);
        Self::new(at + start, at + end)
    }

    pub(super) const fn length(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    pub(super) const fn is_empty(self) -> bool {
        self.start == self.end
    }

    pub(super) fn range(self) -> std::ops::Range<usize> {
        usize::from(self.start)..usize::from(self.end)
    }
}

/// The parts of a description.
#[derive(Clone, Default, Debug)]
pub(super) struct Outline {
    /// The lines before the first stream.
    pub(super) session: Span,
    /// The values of `o=` and `c=` of the session; empty without one.
    pub(super) origin: Span,
    pub(super) connection: Connected,
    /// Number and version of the session and where it comes from, if the `o=` line is complete.
    pub(super) session_id: Span,
    pub(super) version: Span,
    pub(super) origin_address: Span,
    pub(super) direction: Option<Direction>,
    pub(super) initials: Initials,
    pub(super) streams: SmallVec<[Stream; 1]>,
}

/// One stream.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Stream {
    /// All its lines.
    pub(super) lines: Span,
    /// The value of its `m=` line, and of that the media type, the transport and the formats.
    pub(super) first: Span,
    pub(super) kind: Span,
    pub(super) protocol: Span,
    pub(super) formats: Span,
    /// Its own `c=` line.
    pub(super) connection: Connected,
    pub(super) port: u16,
    /// Its own direction.
    pub(super) direction: Option<Direction>,
    pub(super) initials: Initials,
    pub(super) is_rtp: bool,
    /// Whether its `m=` line is complete.
    pub(super) is_whole: bool,
    /// Whether an attribute says `bundle-only`.
    pub(super) bundle_only: bool,
}

/// A `c=` line.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Connected {
    /// Its value.
    pub(super) line: Span,
    /// The address in it and its type; empty where it is not complete.
    pub(super) address: Span,
    pub(super) address_type: Span,
}

impl Connected {
    fn at(line: Span, text: &str) -> Self {
        match Connection::places(text.as_bytes()) {
            Some([_, address_type, address]) => {
                Self { line, address: line.part(address), address_type: line.part(address_type) }
            }
            None => Self { line, ..Self::default() },
        }
    }
}

/// With which letters the names of attributes begin, as bits: most attributes that are asked for are not there.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Initials(u32);

impl Initials {
    fn add(&mut self, attribute: &[u8]) {
        self.0 |= attribute.get(2).map_or(0, |first| Self::bits(*first));
    }

    /// Whether an attribute of this name may be there.
    pub(super) fn may_have(self, name: &str) -> bool {
        name.as_bytes().first().is_some_and(|first| self.0 & Self::bits(*first) != 0)
    }

    /// Anything but a letter, as white space before the name, may be all of them.
    const fn bits(first: u8) -> u32 {
        if first.is_ascii_alphabetic() { 1 << (first & 0x1f) } else { u32::MAX }
    }
}

impl Outline {
    pub(super) fn of(bytes: &[u8], text: Option<&str>) -> Self {
        let bytes = bytes.get(..LONGEST).unwrap_or(bytes);
        let mut outline = Self { session: Span::new(0, bytes.len()), ..Self::default() };
        for line in Lines::new(bytes, text, 0, bytes.len()) {
            let [letter, b'=', ..] = line.content() else { continue };
            match letter {
                b'm' => outline.begin(&line, bytes.len()),
                b'c' => {
                    let place = match outline.streams.last_mut() {
                        Some(stream) => &mut stream.connection,
                        None => &mut outline.connection,
                    };
                    if place.line.end == 0
                        && let Some((span, text)) = value(&line)
                    {
                        *place = Connected::at(span, text);
                    }
                }
                b'o' if outline.streams.is_empty() && outline.origin.end == 0 => {
                    if let Some((span, text)) = value(&line) {
                        outline.origin = span;
                        outline.count(text);
                    }
                }
                b'a' => outline.attribute(&line),
                _ => {}
            }
        }
        outline
    }

    fn count(&mut self, origin: &str) {
        let Some([_, session_id, version, .., address]) = Origin::places(origin.as_bytes()) else { return };
        let span = |place| self.origin.part(place);
        (self.session_id, self.version, self.origin_address) =
            (span(session_id), span(version), span(address));
    }

    fn begin(&mut self, line: &Line<'_>, end: usize) {
        match self.streams.last_mut() {
            Some(before) => before.lines.end = Span::new(0, line.at()).end,
            None => self.session = Span::new(0, line.at()),
        }
        let (first, text) = value(line).unwrap_or_default();
        let at = usize::from(first.start);
        let mut rest = 0;
        let mut field = || {
            let (start, end) = word(text.as_bytes(), rest);
            rest = end;
            (text.get(start..end).unwrap_or_default(), Span::new(at + start, at + end))
        };
        let (kind, (port, _), (protocol, transport)) = (field(), field(), field());
        let (port, count) = cut(port, b'/').map_or((port, None), |(port, count)| (port, Some(count)));
        let number = port.parse().ok();
        self.streams.push(Stream {
            lines: Span::new(line.at(), end),
            first,
            kind: kind.1,
            protocol: transport,
            formats: Span::new(at + rest, at + text.len()),
            connection: Connected::default(),
            port: number.unwrap_or(0),
            direction: None,
            initials: Initials::default(),
            is_rtp: is_rtp(protocol),
            is_whole: number.is_some()
                && count.is_none_or(|count| count.parse::<u16>().is_ok())
                && !protocol.is_empty(),
            bundle_only: false,
        });
    }

    fn attribute(&mut self, line: &Line<'_>) {
        let Some(stream) = self.streams.last_mut() else {
            self.initials.add(line.content());
            self.direction = self.direction.or_else(|| line.direction());
            return;
        };
        stream.initials.add(line.content());
        stream.direction = stream.direction.or_else(|| line.direction());
        // Only where there is no port does it matter.
        stream.bundle_only |= stream.port == 0 && named(line, "bundle-only").is_some();
    }
}

/// The value of an `x=value` line and where it is; `None` if it is no text.
#[inline]
fn value<'a>(line: &Line<'a>) -> Option<(Span, &'a str)> {
    let text = line.value()?;
    // It is a part of the content.
    let start = line.at() + (text.as_ptr().addr() - line.content().as_ptr().addr());
    Some((Span::new(start, start + text.len()), text))
}

/// How much of a description is looked at.
pub(super) const LONGEST: usize = u16::MAX as usize;
