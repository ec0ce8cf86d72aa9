//! Puts a message together from the lines of a log.
//!
//! Whether a log keeps the ends of lines shows in the header: CRLF (or a dot where ngrep saw the CR) in every line of it
//! means that the body stands as it was sent. Otherwise every line gets its CRLF back, and only then is Content-Length
//! measured.

use midcall_proto::flow::Transport;

use super::lines::End;

/// What became of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// It is part of the message, which goes on.
    More,
    /// It is the last of the message.
    Done,
    /// It is no part of the message, which ended before it.
    Refused,
}

/// A message as far as its lines have come.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// The lines without their ends.
    text: Vec<u8>,
    /// Where each line ends in the text, and how it ended in the log.
    lines: Vec<(usize, End)>,
    /// How many lines the header has, once it is over.
    header: Option<usize>,
    indent: Vec<u8>,
    length: Option<usize>,
    body: Body,
    /// How long the body is with the ends of lines as they stand, and with all of them as CRLF.
    verbatim: usize,
    restored: usize,
    shape: Shape,
    cut: bool,
    transport: Option<Transport>,
}

/// What the body is, as far as finding its end depends on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Body {
    None,
    Sdp,
    /// It may hold lines that look like the beginning of a message.
    Sip,
    Multipart,
    Other,
}

/// What all lines of the header so far have in common.
#[derive(Clone, Copy, Debug)]
struct Shape {
    crlf: bool,
    dots: bool,
    /// The same of all lines but the last, which may be torn.
    crlf_before: bool,
    dots_before: bool,
    spaces: bool,
    /// More than one space at the end of some line.
    wide: bool,
}

impl Draft {
    /// A message that begins with this line.
    pub(super) fn new(line: &[u8], end: End) -> Self {
        let indent = line.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let indent = line.get(..indent).unwrap_or_default().to_vec();
        let shape =
            Shape { crlf: true, dots: true, crlf_before: true, dots_before: true, spaces: true, wide: false };
        let (text, lines, header) = (Vec::with_capacity(1024), Vec::with_capacity(32), None);
        let mut draft = Self {
            text,
            lines,
            header,
            indent,
            length: None,
            body: Body::None,
            verbatim: 0,
            restored: 0,
            shape,
            cut: false,
            transport: None,
        };
        draft.push(line, end);
        draft
    }

    /// Takes the next line.
    pub(super) fn push(&mut self, line: &[u8], end: End) -> Taken {
        if self.text.len() + 2 * self.lines.len() + line.len() > LONGEST {
            self.cut = true;
            return Taken::Done;
        }
        if self.lines.len() == 1 && self.indent.is_empty() && !line.trim_ascii().is_empty() {
            // The first line was pasted behind something else.
            let indent = line.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            self.indent.extend_from_slice(line.get(..indent).unwrap_or_default());
        }
        let same = line.iter().zip(&self.indent).take_while(|(one, other)| one == other).count();
        let line = line.get(same..).unwrap_or_default();
        if self.header.is_some() { self.push_body(line, end) } else { self.push_header(line, end) }
    }

    fn push_header(&mut self, line: &[u8], end: End) -> Taken {
        let dot = line == b"." && self.shape.dots;
        if !line.trim_ascii().is_empty() && !dot {
            let going_on = line.starts_with(b" ") || line.starts_with(b"\t") || self.lines.is_empty();
            if self.length == Some(0) && !going_on && !is_header(line) {
                // The empty line got lost, and nothing is missing but that.
                return Taken::Refused;
            }
            let space = line.ends_with(b" ");
            (self.shape.crlf_before, self.shape.dots_before) = (self.shape.crlf, self.shape.dots);
            self.shape.crlf &= end == End::CrLf;
            self.shape.dots &= line.ends_with(b".");
            self.shape.spaces &= space;
            self.shape.wide |= line.ends_with(b"  ");
            self.read_header(line);
            self.text.extend_from_slice(line);
            self.lines.push((self.text.len(), end));
            return Taken::More;
        }
        if !dot && end == End::Lf && (self.shape.dots || self.is_torn()) && self.lines.len() > 1 {
            // The logger's own: the one of the message would look like the other lines.
            return Taken::More;
        }
        self.shape.dots &= dot;
        self.header = Some(self.lines.len());
        match (self.length, self.body) {
            (Some(0), _) | (None, Body::None) => Taken::Done,
            _ => Taken::More,
        }
    }

    fn read_header(&mut self, line: &[u8]) {
        let Some(colon) = memchr::memchr(b':', line) else { return };
        let (Some(name), Some(value)) = (line.get(..colon), line.get(colon + 1..)) else { return };
        let (name, value) = (name.trim_ascii_end(), value.trim_ascii());
        let is =
            |long: &[u8], short: &[u8]| name.eq_ignore_ascii_case(long) || name.eq_ignore_ascii_case(short);
        if is(b"Content-Length", b"l") {
            let value = value.strip_suffix(b".").unwrap_or(value);
            self.length = super::scan::number(value).and_then(|length| usize::try_from(length).ok());
        } else if is(b"Content-Type", b"c") {
            let begins =
                |kind: &[u8]| value.get(..kind.len()).is_some_and(|value| value.eq_ignore_ascii_case(kind));
            self.body = if begins(b"application/sdp") {
                Body::Sdp
            } else if begins(b"message/") {
                Body::Sip
            } else if begins(b"multipart/") {
                Body::Multipart
            } else {
                Body::Other
            };
        } else if self.transport.is_none() && is(b"Via", b"v") {
            let word =
                value.get(..value.len().min(24)).unwrap_or_default().rsplit(|byte| *byte == b'/').next();
            let word = word.unwrap_or_default().split(|byte| *byte == b' ').next().unwrap_or_default();
            self.transport = std::str::from_utf8(word).ok().and_then(Transport::parse);
        }
    }

    fn push_body(&mut self, line: &[u8], end: End) -> Taken {
        let (line, end) = match line.strip_suffix(b".") {
            Some(line) if self.shape.dots => (line, End::CrLf),
            _ => (line, end),
        };
        let line = if self.exact() { line } else { self.unpadded(line) };
        let torn = self.exact() && end != End::CrLf && matches!(line, [b'a'..=b'z']);
        if !self.fits(line) && !torn {
            let own = self.exact() && line.is_empty() && end == End::Lf && self.is_open();
            return if own { Taken::More } else { Taken::Refused };
        }
        self.text.extend_from_slice(line);
        self.lines.push((self.text.len(), end));
        self.verbatim += line.len() + written(end).len();
        self.restored += line.len() + 2;
        let Some(length) = self.length else { return Taken::More };
        let done = if self.exact() {
            self.verbatim >= length
        } else if self.body == Body::Sdp {
            // It may have been sent with LF alone, then more of it follows: what is no line of it shows its end.
            self.verbatim > length
        } else {
            self.restored >= length
        };
        if done { Taken::Done } else { Taken::More }
    }

    /// Whether a line can be part of the body.
    fn fits(&self, line: &[u8]) -> bool {
        let blank = line.trim_ascii().is_empty();
        match self.body {
            Body::Sdp => matches!(line, [b'a'..=b'z' | b'A'..=b'Z', b'=', ..]),
            Body::Other | Body::None if self.length.is_none() => !blank,
            _ => true,
        }
    }

    /// Whether the ends of lines stand as they were sent.
    const fn exact(&self) -> bool {
        self.shape.crlf || self.shape.dots
    }

    /// A line without the spaces that fill it up, where every line has them.
    fn unpadded<'l>(&self, line: &'l [u8]) -> &'l [u8] {
        match (self.shape.spaces, self.shape.wide) {
            (true, false) => line.strip_suffix(b" ").unwrap_or(line),
            (true, true) => line.trim_ascii_end(),
            _ => line,
        }
    }

    /// Whether a line that begins like a message may be one, not a part of this one.
    pub(super) fn may_end(&self) -> bool {
        self.header.is_none() || self.body != Body::Sip
    }

    /// Whether the line behind the first one is no header line: then the first began no message.
    pub(super) fn is_none(&self) -> bool {
        match self.lines.get(..2) {
            Some([(begin, _), (end, _)]) => !is_header(self.text.get(*begin..*end).unwrap_or_default()),
            _ => true,
        }
    }

    /// Whether a line of a log came between the lines of the message.
    pub(super) fn is_foreign(&self, line: &[u8], end: End) -> bool {
        let line = line.strip_prefix(self.indent.as_slice()).unwrap_or(line);
        match (self.header, self.body) {
            (None, _) => {
                let known =
                    line.is_empty() || line.starts_with(b" ") || line.starts_with(b"\t") || is_header(line);
                let other_end = self.shape.crlf && self.lines.len() > 2 && end == End::Lf;
                !known && line != b"." && (other_end || super::stamp::Stamp::leads(line))
            }
            (Some(_), Body::Sdp) => !self.fits(line) && super::stamp::Stamp::leads(line),
            // What somebody wrote may begin with a time, too.
            (Some(_), _) => !(self.exact() && end == End::CrLf) && super::stamp::Stamp::leads(line),
        }
    }

    /// Whether the end of the message is missing so far.
    pub(super) fn is_open(&self) -> bool {
        match (self.header, self.length) {
            (None, _) => true,
            // The end of the last line may be the logger's.
            (Some(_), Some(length)) if self.exact() => self.verbatim.saturating_sub(self.last_end()) < length,
            (Some(_), Some(length)) => self.restored < length,
            (Some(_), None) => false,
        }
    }

    fn last_end(&self) -> usize {
        self.lines.last().map_or(0, |(_, end)| if *end == End::Lf { 1 } else { 0 })
    }

    /// Whether the header is over and the body is what comes.
    pub(super) const fn in_body(&self) -> bool {
        self.header.is_some()
    }

    /// Goes on with the text of another segment: a line that had no end of its own goes on, too.
    pub(super) fn go_on(&mut self, line: &[u8], end: End) -> Taken {
        let torn = match (self.header, self.lines.last()) {
            (None, _) => self.is_torn(),
            (Some(header), Some((_, last))) => {
                self.exact() && *last != End::CrLf && self.lines.len() > header
            }
            _ => false,
        };
        if !torn {
            return self.push(line, end);
        }
        let Some((all, last)) = self.lines.pop() else { return self.push(line, end) };
        let begin = self.lines.last().map_or(0, |(end, _)| *end);
        let mut whole = self.text.get(begin..all).unwrap_or_default().to_vec();
        self.text.truncate(begin);
        if self.header.is_some() {
            self.verbatim = self.verbatim.saturating_sub(whole.len() + written(last).len());
            self.restored = self.restored.saturating_sub(whole.len() + 2);
        } else {
            (self.shape.crlf, self.shape.dots) = (self.shape.crlf_before, self.shape.dots_before);
        }
        whole.extend_from_slice(line);
        self.push(&whole, end)
    }

    /// Whether the last line of the header so far lacks what all others end in.
    const fn is_torn(&self) -> bool {
        let Shape { crlf, dots, crlf_before, dots_before, .. } = self.shape;
        self.lines.len() > 1 && (crlf_before && !crlf || dots_before && !dots)
    }

    /// The log says that it left out the rest.
    pub(super) fn cut(&mut self) {
        self.cut = true;
    }

    /// The transport that its first Via names.
    pub(super) const fn transport(&self) -> Option<Transport> {
        self.transport
    }

    /// The bytes of the message, and whether the end of it is missing. The log may say how long it was.
    pub(super) fn finish(self, size: Option<usize>) -> (Vec<u8>, bool) {
        let header = self.header.unwrap_or(self.lines.len());
        let exact = self.exact();
        let mut bytes = Vec::with_capacity(self.text.len() + 2 * self.lines.len() + 2);
        let mut begin = 0;
        for (end, _) in self.lines.iter().take(header) {
            let line = self.text.get(begin..*end).unwrap_or_default();
            let line = match line.strip_suffix(b".") {
                Some(line) if self.shape.dots => line,
                _ if exact => line,
                _ => self.unpadded(line),
            };
            bytes.extend_from_slice(line);
            bytes.extend_from_slice(b"\r\n");
            begin = *end;
        }
        bytes.extend_from_slice(b"\r\n");
        let body = self.lines.get(header..).unwrap_or_default();
        // What was measured decides, where it can.
        let as_it_stands = match self.length {
            Some(length) if exact => self.verbatim >= length || self.restored != length,
            Some(length) => self.restored > length + 2 && (length..length + 2).contains(&self.verbatim),
            None => exact,
        };
        let before = bytes.len();
        let count = body.len();
        for (nth, (end, ended)) in body.iter().enumerate() {
            bytes.extend_from_slice(self.text.get(begin..*end).unwrap_or_default());
            let last = nth + 1 == count;
            match (as_it_stands, self.length) {
                // The log ends its last line, the message need not.
                (true, None) if last && *ended != End::CrLf => {}
                (true, _) => bytes.extend_from_slice(written(*ended)),
                (false, _) => bytes.extend_from_slice(b"\r\n"),
            }
            begin = *end;
        }
        let mut cut = self.cut;
        match self.length {
            Some(length) => {
                let missing = length.saturating_sub(bytes.len() - before);
                if !exact && missing <= 4 && missing % 2 == 0 && self.header.is_some() {
                    // Empty lines at the end are lost in many ways.
                    (0..missing / 2).for_each(|_| bytes.extend_from_slice(b"\r\n"));
                } else if missing > 0 && size != Some(bytes.len()) {
                    cut = true;
                }
                bytes.truncate(before.saturating_add(length));
            }
            None => cut |= self.header.is_none(),
        }
        (bytes, cut)
    }
}

/// Whether a line begins a message.
pub(super) fn is_start(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let line = line.strip_suffix(b".").unwrap_or(line);
    if let Some(status) = line.strip_prefix(b"SIP/2.0 ") {
        let code = status.get(..3).is_some_and(|code| code.iter().all(u8::is_ascii_digit));
        return code && status.get(3).is_none_or(|byte| *byte == b' ');
    }
    let Some(request) = line.strip_suffix(b" SIP/2.0") else { return false };
    let Some(space) = memchr::memchr(b' ', request) else { return false };
    let (method, uri) =
        (request.get(..space).unwrap_or_default(), request.get(space + 1..).unwrap_or_default());
    let named = |byte: &u8| byte.is_ascii_uppercase() || b"-_".contains(byte);
    !method.is_empty() && method.iter().all(named) && memchr::memchr(b':', uri).is_some()
}

/// Whether a line looks like `Name: value`.
pub(super) fn is_header(line: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', line) else { return false };
    let name = line.get(..colon).unwrap_or_default().trim_ascii_end();
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(byte);
    !name.is_empty() && name.iter().all(token) && !name.iter().all(u8::is_ascii_digit)
}

const fn written(end: End) -> &'static [u8] {
    match end {
        End::Lf => b"\n",
        End::CrLf => b"\r\n",
        End::Cr => b"\r",
        End::Missing => b"",
    }
}

/// The longest message that is kept whole: no datagram holds more.
pub(super) const LONGEST: usize = 1 << 16;
