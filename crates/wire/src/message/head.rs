//! The header section as text: for those who want many of its values, in one walk.

use super::{Line, Message};
use crate::values::{self, Spans};
use crate::{Name, NameAddr, scan};

/// The header lines of a message, looked over once.
///
/// [`Message`] reads a value when it is asked for, and finds out each time that it is text. Whoever wants most of them walks
/// over the lines instead.
///
/// ```
/// use midcall_wire::{Message, Name};
///
/// let message = Message::parse("SIP/2.0 200 OK\r\nTo: <sip:b@x.example>;tag=1\r\nk: timer, 100rel\r\n\r\n").unwrap();
/// let names: Vec<_> = message.head().fields().map(|field| field.name()).collect();
/// assert_eq!(names, [Name::To, Name::Supported]);
/// let supported = message.head().fields().nth(1).unwrap();
/// assert_eq!((supported.raw_name(), supported.text()), ("k", Some("timer, 100rel")));
/// assert_eq!(supported.values().collect::<Vec<_>>(), ["timer", "100rel"]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    bytes: &'a [u8],
    /// The same as text; `None` where a single byte is none, and then each line is looked at by itself.
    text: Option<&'a str>,
    lines: &'a [Line],
}

impl<'a> Head<'a> {
    /// The header lines, in order.
    #[inline]
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let head = *self;
        self.lines.iter().map(move |line| Field { head, line })
    }
}

/// One header line.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    head: Head<'a>,
    line: &'a Line,
}

impl<'a> Field<'a> {
    /// Which header it is.
    #[inline]
    #[must_use]
    pub const fn name(&self) -> Name {
        self.line.name
    }

    /// The name as written, perhaps in its compact form.
    #[inline]
    #[must_use]
    pub fn raw_name(&self) -> &'a str {
        let start = self.line.at as usize;
        self.slice(start..start + usize::from(self.line.name_length)).unwrap_or_default()
    }

    /// The value without white space around it; `None` where it is not UTF-8.
    #[inline]
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        self.slice(self.line.value())
    }

    /// The same as it came, UTF-8 or not.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.head.bytes.get(self.line.value()).unwrap_or_default()
    }

    /// The value as an address; its display name may be in any encoding.
    #[inline]
    #[must_use]
    pub fn address(&self) -> Option<NameAddr<'a>> {
        match self.text() {
            Some(text) => NameAddr::parse(text).ok(),
            None => NameAddr::parse_bytes(self.bytes()).ok(),
        }
    }

    /// The values of the line: the elements of a list, empty ones left out. Like
    /// [`Message::values`](crate::Message::values), but of this line alone.
    #[inline]
    pub fn values(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.elements().filter(|element| !element.is_empty())
    }

    /// The same with the empty ones.
    #[inline]
    pub fn elements(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let (list, mut rest) = (self.line.name.is_list(), self.text());
        std::iter::from_fn(move || {
            let text = rest.take()?;
            let length = if list { values::element(text.as_bytes()) } else { text.len() };
            rest = text.get(length + 1..);
            text.get(..length).map(scan::trim)
        })
    }

    /// The elements of a list as addresses; `None` for those that are none.
    #[inline]
    pub fn addresses(&self) -> impl Iterator<Item = Option<NameAddr<'a>>> + use<'a> {
        let (field, value) = (*self, self.line.value());
        let (list, mut next) = (self.line.name.is_list(), Some(value.start));
        std::iter::from_fn(move || {
            let start = next.take()?;
            let rest = field.head.bytes.get(start..value.end)?;
            let length = if list { values::element(rest) } else { rest.len() };
            let end = start + length;
            next = (end < value.end).then_some(end + 1);
            let address = match field.slice(start..end) {
                Some(text) => NameAddr::parse(scan::trim(text)),
                None => NameAddr::parse_bytes(rest.get(..length)?.trim_ascii()),
            };
            Some(address.ok())
        })
    }

    #[inline]
    fn slice(&self, range: std::ops::Range<usize>) -> Option<&'a str> {
        match self.head.text {
            Some(text) => text.get(range),
            None => std::str::from_utf8(self.head.bytes.get(range)?).ok(),
        }
    }
}

impl<B: AsRef<[u8]>> Message<B> {
    /// Its header lines, for those who want many of them.
    pub fn head(&self) -> Head<'_> {
        let bytes = self.slice(0, self.index.head_end);
        Head { bytes, text: std::str::from_utf8(bytes).ok(), lines: &self.index.lines }
    }

    pub(crate) fn spans(&self, name: Name) -> Spans<'_> {
        Spans::new(self.bytes(), &self.index.lines, name)
    }
}
