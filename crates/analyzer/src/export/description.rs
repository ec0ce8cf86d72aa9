//! Session descriptions in a ladder: in its words where they say all, else as named bodies.

use midcall_proto::observer::Party;
use midcall_wire::Method;
use midcall_wire::sdp::{Media, Sdp};

use super::names::Names;
use super::read::Line;

/// What the parties said so far.
#[derive(Debug, Default)]
pub(super) struct Descriptions {
    /// Whether some description is more than words can tell: then all of them become bodies.
    whole: bool,
    said: Vec<Said>,
    /// Named bodies with their lines.
    pub(super) bodies: Vec<(String, Vec<String>)>,
}

#[derive(Debug)]
struct Said {
    by: Party,
    /// The tag under which it was said: a fork begins anew.
    tag: String,
    text: String,
    words: Vec<String>,
    read: Option<Read>,
}

/// A description as far as words go.
#[derive(Clone, Debug)]
struct Read {
    /// The value of its o= line.
    origin: String,
    session: String,
    version: u64,
    connection: String,
    audio: Stream,
    video: Option<Stream>,
    /// Everything but its first two lines.
    content: String,
}

#[derive(Clone, Debug)]
struct Stream {
    port: u16,
    codecs: Vec<String>,
    direction: &'static str,
    more: Vec<String>,
}

impl Descriptions {
    /// Looks through all lines whether their descriptions need bodies.
    pub(super) fn of(lines: &[Line<'_>]) -> Self {
        let mut sessions: Vec<(Party, String)> = Vec::new();
        let mut whole = false;
        for line in lines {
            let Some(text) = line.description() else { continue };
            match Read::of(text) {
                // Two parties under one session id: an odd thing, which words would lose.
                Some(read) if sessions.iter().any(|(by, own)| *by != line.by && *own == read.origin) => {
                    whole = true;
                }
                Some(read) => sessions.push((line.by, read.origin)),
                None => whole = true,
            }
        }
        Self { whole, ..Self::default() }
    }

    /// The words for the description that a line carries.
    pub(super) fn words(&mut self, line: &Line<'_>, lines: &[Line<'_>], names: &mut Names) -> Vec<String> {
        let Some(text) = line.description() else { return Vec::new() };
        let role = if answers(line, lines) { "answer" } else { "offer" };
        let last = self.last(line);
        if last.is_some_and(|last| last.text == text) {
            return vec!["same".to_owned()];
        }
        let read = Read::of(text).filter(|_| !self.whole);
        let words = match &read {
            Some(read) => self.bent(line, read, role, names),
            None => {
                let name = self.body(text, names);
                vec![format!("{role}={name}")]
            }
        };
        let tag = own_tag(line).to_owned();
        self.said.push(Said { by: line.by, tag, text: text.to_owned(), words: words.clone(), read });
        words
    }

    /// What the sender of a line said last in its dialog.
    fn last(&self, line: &Line<'_>) -> Option<&Said> {
        self.said.iter().rev().find(|said| said.by == line.by && said.tag == own_tag(line))
    }

    /// A body of these lines, under the name it has or gets.
    pub(super) fn body(&mut self, text: &str, names: &mut Names) -> String {
        let lines: Vec<String> =
            text.lines().map(|line| names.sdp_line(line.trim_end_matches('\r'))).collect();
        if let Some((name, _)) = self.bodies.iter().find(|(_, known)| *known == lines) {
            return name.clone();
        }
        let name = format!("body{}", self.bodies.len() + 1);
        self.bodies.push((name.clone(), lines));
        name
    }

    fn bent(&self, line: &Line<'_>, read: &Read, role: &str, names: &mut Names) -> Vec<String> {
        let first = self.said.iter().find(|said| said.by == line.by).and_then(|said| said.read.as_ref());
        let last = self.last(line);
        let offer =
            self.said.iter().rev().find(|said| said.by != line.by).and_then(|said| said.read.as_ref());
        let offer = offer.filter(|_| role == "answer");
        let mut words = vec![role.to_owned()];
        let expected = match offer {
            Some(offer) => offer.audio.mirrored(),
            None => Stream::usual(),
        };
        let base = first.map_or(read.audio.port, |first| first.audio.port);
        let video = offer.and_then(|offer| offer.video.as_ref()).map(Stream::mirrored);
        match (&read.video, &video) {
            (Some(own), None) if own.port == 0 => words.push("sdp:-video".to_owned()),
            (Some(_), None) => words.push("sdp:+video".to_owned()),
            (None, Some(_)) => words.push("sdp:drop=video".to_owned()),
            (Some(own), Some(mirrored)) if own.port == 0 && mirrored.port != 0 => {
                words.push("sdp:-video".to_owned());
            }
            (Some(own), Some(mirrored)) if own.port != 0 && mirrored.port == 0 => {
                words.push(format!("sdp:video.port={}", port(line.by) + 2));
            }
            _ => {}
        }
        if read.audio.port == 0 && expected.port != 0 {
            words.push("sdp:port=0".to_owned());
        } else if read.audio.port != 0 && (read.audio.port != base || expected.port == 0) {
            let moved = i32::from(read.audio.port) - i32::from(base);
            let port = u16::try_from(i32::from(port(line.by)) + moved).unwrap_or(9);
            words.push(format!("sdp:port={port}"));
        }
        if read.audio.codecs != expected.codecs {
            words.push(format!("sdp:codecs={}", read.audio.codecs.join(",")));
        }
        if let Some(own) = read.video.as_ref().filter(|own| own.port != 0) {
            let usual = video.as_ref().map_or_else(|| vec![VIDEO.to_owned()], |video| video.codecs.clone());
            if own.codecs != usual {
                words.push(format!("sdp:video.codecs={}", own.codecs.join(",")));
            }
        }
        directions(&mut words, read, &expected, video.as_ref());
        for more in read.audio.more.iter().filter(|more| !expected.more.contains(more)) {
            words.push(quoted(&format!("sdp:a={more}")));
        }
        if read.connection == "0.0.0.0" {
            words.push("sdp:c=0.0.0.0".to_owned());
        } else if first.is_some_and(|first| first.connection != read.connection) {
            let fresh = read.connection.parse().map(|address| names.ip(address).to_string());
            words.push(format!("sdp:c={}", fresh.unwrap_or_else(|_| read.connection.clone())));
        }
        words.extend(version(&words, read, last));
        words
    }
}

/// The tag of a line's sender.
fn own_tag<'l>(line: &'l Line<'_>) -> &'l str {
    if line.sip.is_request() { line.senders_tag() } else { line.receivers_tag() }
}

/// How the o= line moves, where it is not as everybody expects.
fn version(words: &[String], read: &Read, last: Option<&Said>) -> Option<String> {
    if read.version > FAR {
        return Some(format!("o={}", read.version));
    }
    let before = last?;
    let known = before.read.as_ref()?;
    if known.session != read.session {
        return Some("o=new".to_owned());
    }
    let moved = i64::try_from(read.version).ok()?.checked_sub(i64::try_from(known.version).ok()?)?;
    let differs = known.content != read.content;
    let told = before.words.as_slice() != words;
    match moved {
        1 if differs && told => None,
        0 => Some("o=same".to_owned()),
        moved => Some(format!("o={moved:+}")),
    }
}

fn directions(words: &mut Vec<String>, read: &Read, expected: &Stream, video: Option<&Stream>) {
    let live = |stream: &Stream| stream.port != 0;
    let usual = video.map_or("sendrecv", |video| video.direction);
    let audio = live(&read.audio).then_some((read.audio.direction, expected.direction));
    let picture = read.video.as_ref().filter(|own| live(own)).map(|own| (own.direction, usual));
    match (audio, picture) {
        (Some((own, usual)), None) if own != usual => words.push(format!("sdp:{own}")),
        (Some((own, usual)), Some((other, other_usual))) => {
            if own == other && (own != usual || other != other_usual) {
                words.push(format!("sdp:{own}"));
            } else {
                words.extend((own != usual).then(|| format!("sdp:audio.{own}")));
                words.extend((other != other_usual).then(|| format!("sdp:video.{other}")));
            }
        }
        (None, Some((other, usual))) if other != usual => words.push(format!("sdp:video.{other}")),
        _ => {}
    }
}

/// Whether a description answers one.
fn answers(line: &Line<'_>, lines: &[Line<'_>]) -> bool {
    let of = line.of.and_then(|of| lines.get(of));
    let described = |line: Option<&Line<'_>>| line.is_some_and(|line| line.description().is_some());
    match line.sip.method() {
        _ if line.sip.is_response() => described(of),
        Method::Ack => true,
        Method::Prack => {
            let invite = of.and_then(|response| response.of).and_then(|of| lines.get(of));
            described(of) && !described(invite)
        }
        _ => false,
    }
}

impl Read {
    fn of(text: &str) -> Option<Self> {
        let sdp = Sdp::parse(text.as_bytes()).ok()?;
        let origin = sdp.origin()?;
        let (version, session) = (origin.version.parse().ok()?, origin.session_id.to_owned());
        let session_lines: Vec<&str> = text.lines().take_while(|line| !line.starts_with("m=")).collect();
        let plain = session_lines
            .iter()
            .all(|line| ["v=", "o=", "s=", "c=", "t="].contains(&line.get(..2).unwrap_or("")));
        let mut media = sdp.media();
        let audio = media.next().filter(|audio| audio.kind() == "audio").and_then(Stream::of)?;
        let video = match media.next() {
            None => None,
            Some(second) if second.kind() == "video" => {
                Some(Stream::of(second).filter(|own| own.more.is_empty())?)
            }
            Some(_) => return None,
        };
        let fits = plain
            && media.next().is_none()
            && audio.more.len() <= 3
            && !audio.more.iter().any(|more| more.starts_with("mid:"));
        fits.then(|| Self {
            origin: format!("{} {session} {}", origin.username, origin.address),
            session,
            version,
            connection: sdp.connection().map(|c| c.address.to_string()).unwrap_or_default(),
            audio,
            video,
            content: text.lines().filter(|line| !line.starts_with("v=") && !line.starts_with("o=")).collect(),
        })
    }
}

impl Stream {
    fn of(media: Media<'_>) -> Option<Self> {
        let placed = media.lines().any(|line| line.letter() == Some(b'c'));
        if media.protocol() != "RTP/AVP" || media.port_count() > 1 || placed {
            return None;
        }
        let codecs = media
            .formats()
            .map(|format| {
                let dynamic = format.parse::<u8>().is_ok_and(|number| number >= 96);
                let map = media.rtpmap(format).filter(|_| dynamic && media.has_rtpmap(format));
                match map {
                    Some(map) => {
                        let channels =
                            if map.channels > 1 { format!("/{}", map.channels) } else { String::new() };
                        format!("{format}:{}/{}{channels}", map.name, map.clock)
                    }
                    None => format.to_owned(),
                }
            })
            .collect();
        let more = media
            .lines()
            .filter_map(|line| line.value_of(b'a'))
            .filter(|line| {
                let events = line.starts_with("fmtp:") && line.ends_with("0-16") || line.ends_with("0-15");
                !line.starts_with("rtpmap:") && !events && !DIRECTIONS.contains(line)
            })
            .map(str::to_owned)
            .collect();
        Some(Self { port: media.port(), codecs, direction: media.direction().as_str(), more })
    }

    /// What a scripted party offers if nothing else is told.
    fn usual() -> Self {
        let codecs = ["8", "0", "101:telephone-event/8000"].map(str::to_owned).to_vec();
        Self { port: 1, codecs, direction: "sendrecv", more: Vec::new() }
    }

    /// What it answers to this.
    fn mirrored(&self) -> Self {
        let known: Vec<String> = self.codecs.iter().filter(|codec| is_known(codec)).cloned().collect();
        let refused = self.port == 0 || known.is_empty();
        Self {
            port: u16::from(!refused),
            codecs: if refused { self.codecs.clone() } else { known },
            direction: match self.direction {
                "sendonly" => "recvonly",
                "recvonly" => "sendonly",
                other => other,
            },
            more: Vec::new(),
        }
    }
}

/// Whether a scripted party answers with this codec.
fn is_known(codec: &str) -> bool {
    let name = codec.split_once(':').map_or("", |(_, map)| map.split('/').next().unwrap_or_default());
    matches!(codec, "0" | "8")
        || ["telephone-event", "pcma", "pcmu", "opus", "h264", "vp8"]
            .contains(&name.to_ascii_lowercase().as_str())
}

/// The first media port of a scripted party.
const fn port(party: Party) -> u16 {
    match party {
        Party::Caller => 41_940,
        _ => 41_960,
    }
}

/// A word that may hold blanks.
fn quoted(word: &str) -> String {
    if word.contains(' ') { format!("\"{word}\"") } else { word.to_owned() }
}

const VIDEO: &str = "97:H264/90000";
const DIRECTIONS: [&str; 4] = ["sendrecv", "sendonly", "recvonly", "inactive"];

/// A version from here on is told as it is: what it would move by says nothing.
const FAR: u64 = 1 << 62;
