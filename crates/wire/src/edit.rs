//! Changing a message without touching the rest of it.

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::ops::Range;

use smallvec::SmallVec;

use crate::builder::{Text, word};
use crate::scan::is_token;
use crate::{Message, Name, Via};

/// Changes to a message; every byte that is not changed stays as it was, order, folding and case included.
///
/// ```
/// use midcall_wire::{Edit, Message, Name};
///
/// let message = Message::parse("BYE sip:a@x.example SIP/2.0\r\nmax-forwards:   70\r\nX:  kept \r\n\r\n").unwrap();
/// assert_eq!(Edit::new(&message).finish(), message.bytes());
///
/// let mut edit = Edit::new(&message);
/// edit.set(Name::MaxForwards, 69).insert_top(Name::Via, "SIP/2.0/UDP p.example;branch=z9hG4bK1");
/// assert_eq!(
///     String::from_utf8(edit.finish()).unwrap(),
///     "BYE sip:a@x.example SIP/2.0\r\n\
///      Via: SIP/2.0/UDP p.example;branch=z9hG4bK1\r\nmax-forwards: 69\r\nX:  kept \r\n\r\n"
/// );
/// ```
#[must_use]
pub struct Edit<'m, B> {
    message: &'m Message<B>,
    lines: SmallVec<[Piece; 36]>,
    /// What the changed lines are made of.
    text: Vec<u8>,
    uri: Option<Range<usize>>,
    body: Option<Vec<u8>>,
}

/// A header line of the result.
#[derive(Clone, Debug)]
enum Piece {
    /// A line of the message, by its number.
    Kept(usize),
    /// A line of the new text, and where its value begins.
    New { name: Name, line: Range<usize>, value: usize },
}

impl<'m, B: AsRef<[u8]>> Edit<'m, B> {
    /// No changes yet.
    pub fn new(message: &'m Message<B>) -> Self {
        let lines = (0..message.lines().len()).map(Piece::Kept).collect();
        Self { message, lines, text: Vec::new(), uri: None, body: None }
    }

    /// Replaces the Request-URI; a response has none. White space in it is left out.
    pub fn request_uri(&mut self, uri: &str) -> &mut Self {
        let start = self.text.len();
        word(&mut self.text, uri);
        self.uri = Some(start..self.text.len());
        self
    }

    /// Gives a header this one value: the first line of it is replaced in its place, others go. Where there
    /// is none, a line is added behind all others.
    pub fn set(&mut self, name: Name, value: impl fmt::Display) -> &mut Self {
        let Some(first) = self.position(name) else { return self.push(name, value) };
        self.replace(first, value);
        let mut number = 0;
        let message = self.message;
        self.lines.retain(|piece| {
            number += 1;
            number <= first + 1 || piece.name(message) != name
        });
        self
    }

    /// Adds a line before the first of that name; where there is none, before all others.
    pub fn insert_top(&mut self, name: Name, value: impl fmt::Display) -> &mut Self {
        let at = self.position(name).unwrap_or(0);
        self.insert(at, name, name.as_str(), value);
        self
    }

    /// Adds a line behind the last of that name; where there is none, behind all others.
    pub fn push(&mut self, name: Name, value: impl fmt::Display) -> &mut Self {
        let last = self.lines.iter().rposition(|piece| piece.name(self.message) == name);
        let at = last.map_or(self.lines.len(), |last| last + 1);
        self.insert(at, name, name.as_str(), value);
        self
    }

    /// Adds a line of any name behind all others.
    pub fn push_named(&mut self, name: &str, value: impl fmt::Display) -> &mut Self {
        let clean: String = name.chars().filter(|c| c.is_ascii() && is_token(*c as u8)).collect();
        if !clean.is_empty() {
            self.insert(self.lines.len(), Name::parse(&clean), &clean, value);
        }
        self
    }

    /// Takes away every line of that name.
    pub fn remove(&mut self, name: Name) -> &mut Self {
        let message = self.message;
        self.lines.retain(|piece| piece.name(message) != name);
        self
    }

    /// Takes away every line of a name this crate has no word for.
    pub fn remove_named(&mut self, name: &str) -> &mut Self {
        let known = Name::parse(name);
        if known != Name::Other {
            return self.remove(known);
        }
        let keep: SmallVec<[bool; 36]> = self
            .lines
            .iter()
            .map(|piece| !self.raw_name(piece).eq_ignore_ascii_case(name.as_bytes()))
            .collect();
        let mut keep = keep.into_iter();
        self.lines.retain(|_| keep.next().unwrap_or(true));
        self
    }

    /// Replaces the first value of a list, such as the top Via, and leaves those behind it.
    pub fn set_top_value(&mut self, name: Name, value: impl fmt::Display) -> &mut Self {
        let Some(first) = self.position(name) else { return self.push(name, value) };
        let line = self.value(first).to_vec();
        let rest = line.get(crate::values::element(&line)..).unwrap_or_default();
        let rest = String::from_utf8_lossy(rest);
        self.replace(first, format_args!("{value}{rest}"));
        self
    }

    /// Takes away the first value of a list, such as the top Via or Route.
    pub fn remove_top_value(&mut self, name: Name) -> &mut Self {
        let Some(first) = self.position(name) else { return self };
        let line = self.value(first).to_vec();
        match line.get(crate::values::element(&line) + 1..) {
            Some(rest) if !rest.trim_ascii().is_empty() => {
                self.replace(first, String::from_utf8_lossy(rest.trim_ascii()));
            }
            _ => {
                self.lines.remove(first);
            }
        }
        self
    }

    /// Sets a parameter of the top Via, without a value for `None`.
    pub fn set_via_param(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        if let Some(via) = self.top_via().and_then(|via| set_param(&via, name, value)) {
            self.set_top_value(Name::Via, via);
        }
        self
    }

    /// Notes in the top Via where the request really came from. RFC 3261 §18.2.1, RFC 3581 §4.
    pub fn received(&mut self, address: IpAddr, port: u16) -> &mut Self {
        if let Some(via) = self.top_via().and_then(|via| received(&via, address, port)) {
            self.set_top_value(Name::Via, via);
        }
        self
    }

    /// Replaces the body, its type and its length. An empty body has no type.
    pub fn set_body(&mut self, content_type: &str, body: &[u8]) -> &mut Self {
        if body.is_empty() {
            for name in
                [Name::ContentType, Name::ContentDisposition, Name::ContentEncoding, Name::ContentLanguage]
            {
                self.remove(name);
            }
        } else {
            self.set(Name::ContentType, content_type);
        }
        self.set(Name::ContentLength, body.len());
        self.body = Some(body.to_vec());
        self
    }

    /// The message with its changes.
    #[must_use]
    pub fn finish(&self) -> Vec<u8> {
        let bytes = self.message.bytes();
        let head = self.message.header_span();
        let body = self.body.as_deref().unwrap_or(self.message.body());
        let mut out = Vec::with_capacity(head.end + 2 + self.text.len() + body.len());
        // What is kept and adjoins is copied in one go.
        let mut run = 0..head.start;
        if let (Some(new), Some(old)) = (&self.uri, self.message.uri_span()) {
            copy(&mut out, bytes, 0..old.start);
            copy(&mut out, &self.text, new.clone());
            run.start = old.end;
        }
        for piece in &self.lines {
            match piece {
                Piece::Kept(number) => {
                    let line = self.message.line_span(*number);
                    if line.start != run.end {
                        copy(&mut out, bytes, run);
                        run = line.start..line.start;
                    }
                    run.end = line.end;
                }
                Piece::New { line, .. } => {
                    copy(&mut out, bytes, run);
                    copy(&mut out, &self.text, line.clone());
                    run = 0..0;
                }
            }
        }
        if run.end == head.end && self.body.is_none() {
            run.end = bytes.len();
            copy(&mut out, bytes, run);
        } else {
            copy(&mut out, bytes, run);
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(body);
        }
        out
    }

    fn position(&self, name: Name) -> Option<usize> {
        self.lines.iter().position(|piece| piece.name(self.message) == name)
    }

    fn insert(&mut self, at: usize, name: Name, spelling: &str, value: impl fmt::Display) {
        if name != Name::Other || !spelling.is_empty() {
            let piece = write_line(&mut self.text, name, spelling.as_bytes(), value);
            self.lines.insert(at.min(self.lines.len()), piece);
        }
    }

    /// Writes a line anew, under the name it had.
    fn replace(&mut self, number: usize, value: impl fmt::Display) {
        let Some(piece) = self.lines.get(number) else { return };
        let name = piece.name(self.message);
        let spelling: SmallVec<[u8; 32]> = self.raw_name(piece).into();
        let piece = write_line(&mut self.text, name, &spelling, value);
        if let Some(slot) = self.lines.get_mut(number) {
            *slot = piece;
        }
    }

    fn raw_name(&self, piece: &Piece) -> &[u8] {
        match piece {
            Piece::Kept(number) => self.message.raw_name(*number),
            Piece::New { line, value, .. } => {
                self.text.get(line.start..value.saturating_sub(2)).unwrap_or_default()
            }
        }
    }

    fn value(&self, number: usize) -> &[u8] {
        match self.lines.get(number) {
            Some(Piece::Kept(number)) => self.message.raw_value(*number),
            Some(Piece::New { line, value, .. }) => {
                self.text.get(*value..line.end.saturating_sub(2)).unwrap_or_default()
            }
            None => &[],
        }
    }

    fn top_via(&self) -> Option<String> {
        let line = self.value(self.position(Name::Via)?);
        let value = line.get(..crate::values::element(line))?;
        std::str::from_utf8(value).ok().map(str::to_owned)
    }
}

impl<B: AsRef<[u8]>> fmt::Debug for Edit<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Edit").field(&String::from_utf8_lossy(&self.finish())).finish()
    }
}

impl Piece {
    fn name<B: AsRef<[u8]>>(&self, message: &Message<B>) -> Name {
        match self {
            Self::Kept(number) => message.lines().get(*number).map_or(Name::Other, |line| line.name),
            Self::New { name, .. } => *name,
        }
    }
}

fn write_line(text: &mut Vec<u8>, name: Name, spelling: &[u8], value: impl fmt::Display) -> Piece {
    let start = text.len();
    text.extend_from_slice(spelling);
    text.extend_from_slice(b": ");
    let value_at = text.len();
    let _ = write!(Text(text), "{value}");
    text.extend_from_slice(b"\r\n");
    Piece::New { name, line: start..text.len(), value: value_at }
}

fn copy(out: &mut Vec<u8>, from: &[u8], range: Range<usize>) {
    out.extend_from_slice(from.get(range).unwrap_or_default());
}

/// The Via value with what the receiver of a request adds; `None` where it is no Via.
pub(crate) fn received(via: &str, address: IpAddr, port: u16) -> Option<String> {
    let parsed = Via::parse(via).ok()?;
    if parsed.rport().is_some() {
        let with_port = set_param(via, "rport", Some(&port.to_string()))?;
        return set_param(&with_port, "received", Some(&address.to_string()));
    }
    if parsed.ip() == Some(address) {
        return Some(via.to_owned());
    }
    set_param(via, "received", Some(&address.to_string()))
}

/// A Via value with a parameter set; `None` where it is no Via.
fn set_param(via: &str, name: &str, value: Option<&str>) -> Option<String> {
    let params = Via::parse(via).ok()?.params;
    let start = via.len() - params.as_str().len();
    let mut new = String::with_capacity(name.len() + value.map_or(1, |value| value.len() + 2));
    let span = params.span(name);
    // A semicolon too many is forgiven at the end, but must not become an empty parameter.
    if span.is_some() || !via.ends_with(';') {
        new.push(';');
    }
    new.extend(name.chars().filter(|c| c.is_ascii() && is_token(*c as u8)));
    if let Some(value) = value {
        new.push('=');
        new.extend(value.chars().filter(|c| !matches!(c, ';' | ',' | '"' | '<' | '>') && *c > ' '));
    }
    let old = span.map_or(via.len()..via.len(), |span| start + span.start..start + span.end);
    let mut out = via.to_owned();
    out.replace_range(old, &new);
    Some(out)
}
