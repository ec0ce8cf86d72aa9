//! Changes to a description, one line at a time; every other line keeps its bytes.

use std::fmt::Display;

use super::media::{mapped, named};
use super::{Connection, Direction, Line, Media, Origin, Sdp};

/// One format to be written on an `m=` line, with what explains it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Format {
    /// The payload type, or for transports other than RTP the name of the format.
    pub name: String,
    /// The value of its `a=rtpmap` line, such as `opus/48000/2`.
    pub rtpmap: Option<String>,
    /// The value of its `a=fmtp` line.
    pub fmtp: Option<String>,
}

impl Sdp {
    /// Writes another version into the `o=` line; nothing happens without one.
    pub fn set_origin_version(&mut self, version: &str) {
        let Some(origin) = self.origin() else { return };
        // The version is replaced where it stands, so odd spacing around it survives.
        let offset = self.offset(origin.version);
        let end = offset + origin.version.len();
        self.splice(offset, end, clean(version).as_bytes());
    }

    /// Writes the `o=` line anew.
    pub fn set_origin(&mut self, origin: &Origin<'_>) {
        self.set_session_line(b'o', origin);
    }

    /// Writes the session's `c=` line anew.
    pub fn set_connection(&mut self, connection: &Connection<'_>) {
        self.set_session_line(b'c', connection);
    }

    /// Sets a session-level attribute: the first of this name is replaced, else one is added.
    pub fn set_attribute(&mut self, name: &str, value: Option<&str>) {
        let text = attribute_line(name, value);
        let found = self.session_lines().find(|line| named(line, name).is_some()).map(|line| span(&line));
        match found {
            Some((start, end)) => self.splice(start, end, text.as_bytes()),
            None => self.insert_line(0, self.session_end(), &text),
        }
    }

    /// Removes all session-level attributes of this name.
    pub fn remove_attribute(&mut self, name: &str) {
        let end = self.session_end();
        self.remove_lines(0, end, |line| named(line, name).is_some());
    }

    /// Adds a stream below the others: the value of its `m=` line, then whole lines such as `a=ptime:20`.
    ///
    /// Nothing is added and `None` returned when the value is no complete `m=` line; else the position.
    pub fn push_media<'l>(&mut self, media: &str, lines: impl IntoIterator<Item = &'l str>) -> Option<usize> {
        let mut text = format!("m={}", clean(media));
        let ending = self.ending();
        for line in lines {
            if line.starts_with("m=") {
                return None;
            }
            text.push_str(ending);
            text.push_str(&clean(line));
        }
        let ported = media.split_ascii_whitespace().nth(1)?.split('/').next()?.parse::<u16>().is_ok();
        if !ported || media.split_ascii_whitespace().nth(2).is_none() {
            return None;
        }
        self.insert_line(0, self.as_bytes().len(), &text);
        Some(self.media_count() - 1)
    }

    /// One stream by its position, to be changed.
    pub fn media_mut(&mut self, index: usize) -> Option<MediaMut<'_>> {
        if index < self.media_count() { Some(MediaMut { sdp: self, index }) } else { None }
    }

    fn set_session_line(&mut self, letter: u8, value: &impl Display) {
        let text = format!("{}={}", char::from(letter), clean(&value.to_string()));
        let found = self.session_lines().find(|line| line.letter() == Some(letter)).map(|line| span(&line));
        match found {
            Some((start, end)) => self.splice(start, end, text.as_bytes()),
            None => {
                // The order of RFC 8866 §5: behind the last line whose letter comes earlier.
                let rank = rank(letter);
                let before = self.session_lines().take_while(|line| rank_of(line) < rank).last();
                let at = before.map_or(0, |line| line.end());
                self.insert_line(0, at, &text);
            }
        }
    }

    /// Where the session part ends.
    fn session_end(&self) -> usize {
        self.media().next().map_or(self.as_bytes().len(), |media| media.span().0)
    }

    /// The line ending this description uses.
    fn ending(&self) -> &'static str {
        match self.lines().next().map(|line| line.ending()) {
            Some(b"\n") => "\n",
            _ => "\r\n",
        }
    }

    /// Puts a line at the end of the part between the offsets, before blank lines that close it.
    fn insert_line(&mut self, from: usize, to: usize, text: &str) {
        let ending = self.ending();
        let at =
            self.lines_in(from..to).filter(|line| !line.is_blank()).last().map_or(from, |line| line.end());
        let unfinished = at > 0 && self.as_bytes().get(at - 1) != Some(&b'\n');
        // An unfinished last line stays unfinished, it only is another one now.
        let insertion = if unfinished { [ending, text].concat() } else { [text, ending].concat() };
        self.splice(at, at, insertion.as_bytes());
    }

    /// Goes once over the lines of a part and does with each what `change` says.
    fn rewrite(&mut self, from: usize, to: usize, mut change: impl FnMut(&Line<'_>) -> Change) {
        let mut text = Vec::with_capacity(self.as_bytes().len() + 32);
        text.extend_from_slice(self.as_bytes().get(..from).unwrap_or_default());
        for line in self.lines_in(from..to) {
            match change(&line) {
                Change::Keep => text.extend_from_slice(line.content()),
                Change::Put(new) => text.extend_from_slice(new.as_bytes()),
                Change::Drop => continue,
            }
            text.extend_from_slice(line.ending());
        }
        text.extend_from_slice(self.as_bytes().get(to..).unwrap_or_default());
        *self = Self::trusted(text);
    }

    fn remove_lines(&mut self, from: usize, to: usize, gone: impl Fn(&Line<'_>) -> bool) {
        self.rewrite(from, to, |line| if gone(line) { Change::Drop } else { Change::Keep });
    }

    /// Where a part of the text stands.
    fn offset(&self, part: &str) -> usize {
        part.as_ptr().addr() - self.as_bytes().as_ptr().addr()
    }

    fn splice(&mut self, start: usize, end: usize, text: &[u8]) {
        let (Some(before), Some(after)) = (self.as_bytes().get(..start), self.as_bytes().get(end..)) else {
            return;
        };
        *self = Self::trusted([before, text, after].concat());
    }
}

/// What becomes of a line.
enum Change {
    Keep,
    Put(String),
    Drop,
}

/// One stream of a description, to be changed.
#[derive(Debug)]
pub struct MediaMut<'a> {
    sdp: &'a mut Sdp,
    index: usize,
}

impl MediaMut<'_> {
    /// Sets the direction; a second direction line, if there is one, goes away.
    pub fn set_direction(&mut self, direction: Direction) {
        let Some((start, end)) = self.view().map(|media| media.span()) else { return };
        let mut found = false;
        self.sdp.rewrite(start, end, |line| match line.direction() {
            None => Change::Keep,
            Some(_) if std::mem::replace(&mut found, true) => Change::Drop,
            Some(same) if same == direction => Change::Keep,
            Some(_) => Change::Put(format!("a={direction}")),
        });
        if !found {
            self.add_attribute(direction.as_str(), None);
        }
    }

    /// Writes another port into the `m=` line; a port count goes away.
    pub fn set_port(&mut self, port: u16) {
        self.set_field(1, &port.to_string());
    }

    /// Writes another transport into the `m=` line.
    pub fn set_protocol(&mut self, protocol: &str) {
        self.set_field(2, protocol);
    }

    /// Replaces the formats and what explains them; other attributes stay.
    pub fn set_formats(&mut self, formats: &[Format]) {
        self.remove(|line| {
            ["rtpmap", "fmtp"].into_iter().any(|name| named(line, name).is_some())
                && line.letter() == Some(b'a')
        });
        let Some(media) = self.view() else { return };
        let head: Vec<_> = media.line().split_ascii_whitespace().take(3).collect();
        let text = head.into_iter().chain(formats.iter().map(|format| format.name.as_str()));
        let text = format!("m={}", clean(&text.collect::<Vec<_>>().join(" ")));
        let Some((start, end)) = media.lines().next().map(|line| span(&line)) else { return };
        self.sdp.splice(start, end, text.as_bytes());
        for format in formats {
            if let Some(rtpmap) = &format.rtpmap {
                self.add_attribute("rtpmap", Some(&format!("{} {rtpmap}", format.name)));
            }
            if let Some(fmtp) = &format.fmtp {
                self.add_attribute("fmtp", Some(&format!("{} {fmtp}", format.name)));
            }
        }
    }

    /// Writes the stream's own `c=` line anew.
    pub fn set_connection(&mut self, connection: &Connection<'_>) {
        let text = format!("c={}", clean(&connection.to_string()));
        match self.find(|line| (line.letter() == Some(b'c')).then(|| span(line))) {
            Some((start, end)) => self.sdp.splice(start, end, text.as_bytes()),
            None => {
                // RFC 8866 §5: right behind the m= and i= lines.
                let Some(media) = self.view() else { return };
                let head = media.lines().take_while(|line| matches!(line.letter(), Some(b'm' | b'i')));
                let Some(at) = head.last().map(|line| line.end()) else { return };
                let from = media.span().0;
                self.sdp.insert_line(from, at, &text);
            }
        }
    }

    /// Sets an attribute: the first of this name is replaced, else one is added.
    pub fn set_attribute(&mut self, name: &str, value: Option<&str>) {
        match self.find(|line| named(line, name).is_some().then(|| span(line))) {
            Some((start, end)) => self.sdp.splice(start, end, attribute_line(name, value).as_bytes()),
            None => self.add_attribute(name, value),
        }
    }

    /// Adds an attribute below the others, whether or not there is one of this name.
    pub fn add_attribute(&mut self, name: &str, value: Option<&str>) {
        let Some((start, end)) = self.view().map(|media| media.span()) else { return };
        self.sdp.insert_line(start, end, &attribute_line(name, value));
    }

    /// Removes all attributes of this name.
    pub fn remove_attribute(&mut self, name: &str) {
        self.remove(|line| named(line, name).is_some());
    }

    /// Removes what belongs to one format: its `a=rtpmap` and `a=fmtp` lines.
    pub fn remove_format_attributes(&mut self, format: &str) {
        self.remove(|line| {
            mapped(line, "rtpmap", format).is_some() || mapped(line, "fmtp", format).is_some()
        });
    }

    /// Refuses the stream or switches it off: port 0, formats kept. RFC 3264 §6, §8.2.
    ///
    /// Lines that would give port 0 another meaning or invite connectivity checks go away.
    /// RFC 9143 §6, RFC 8839 §4.4.
    pub fn reject(&mut self) {
        self.set_port(0);
        for name in ["bundle-only", "candidate", "end-of-candidates", "remote-candidates"] {
            self.remove_attribute(name);
        }
    }

    /// Reads the stream as it stands now.
    pub fn view(&self) -> Option<Media<'_>> {
        self.sdp.media_at(self.index)
    }

    fn find<T>(&self, what: impl Fn(&Line<'_>) -> Option<T>) -> Option<T> {
        self.view()?.lines().find_map(|line| what(&line))
    }

    fn remove(&mut self, gone: impl Fn(&Line<'_>) -> bool) {
        let Some((start, end)) = self.view().map(|media| media.span()) else { return };
        self.sdp.remove_lines(start, end, gone);
    }

    fn set_field(&mut self, index: usize, value: &str) {
        let Some(media) = self.view() else { return };
        let Some(field) = media.line().split_ascii_whitespace().nth(index) else { return };
        let start = self.sdp.offset(field);
        let end = start + field.len();
        self.sdp.splice(start, end, clean(value).as_bytes());
    }
}

fn span(line: &Line<'_>) -> (usize, usize) {
    (line.at(), line.at() + line.content().len())
}

fn attribute_line(name: &str, value: Option<&str>) -> String {
    match value {
        Some(value) => format!("a={}:{}", clean(name), clean(value)),
        None => format!("a={}", clean(name)),
    }
}

/// Line ends never get into a line.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')).collect()
}

/// The place of a session-level line in the order of RFC 8866 §5.
fn rank(letter: u8) -> usize {
    memchr::memchr(letter, b"vosiuepcbtrzka").unwrap_or(usize::MAX)
}

fn rank_of(line: &Line<'_>) -> usize {
    line.letter().map_or(usize::MAX, rank)
}
