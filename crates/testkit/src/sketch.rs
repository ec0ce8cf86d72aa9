//! Session descriptions of the scripted peers, made from a few words.
//!
//! A [`Sketcher`] keeps one o= sequence (RFC 3264 §8): content that differs from the last description sent takes the
//! next version, equal content repeats it. [`Tweak`]s bend a description, up to making it wrong.

use std::net::IpAddr;

/// One change to a description, as a ladder writes it behind `sdp:` or as `o=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tweak {
    /// `sendonly`, `video.inactive`: the direction of every live stream, or of one.
    Direction(Option<String>, String),
    /// `+video`: one more stream of this kind.
    Add(String),
    /// `-video`: that stream with port 0; it is added if missing.
    Reject(String),
    /// `drop=video`: the m-line is left out altogether.
    Drop(String),
    /// `port=40010`, `video.port=0`: the port of the first stream, or of one.
    Port(Option<String>, u16),
    /// `codecs=8,0`, `audio.codecs=111:opus/48000/2`: the formats.
    Codecs(Option<String>, Vec<String>),
    /// `c=0.0.0.0`: the connection address.
    Connection(String),
    /// `a=ptime:20`: one more attribute of the first stream.
    Attribute(String),
    /// `none`: no m-line at all.
    NoStreams,
    /// `s/old/new/`: text replaced in the finished description.
    Replace(String, String),
    /// `o=+1`: how the version moves from the last one sent.
    Version(Step),
}

/// How the o= line follows the last one sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The version moves by this much, whatever the content.
    By(i64),
    /// The version is this.
    To(u64),
    /// A new session id, version 1.
    NewSession,
}

impl Tweak {
    /// Reads what stands behind `sdp:` in a ladder.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("s/") {
            let mut parts = rest.split('/');
            return match (parts.next(), parts.next(), parts.next(), parts.next()) {
                (Some(old), Some(new), Some(""), None) if !old.is_empty() => {
                    Ok(Self::Replace(old.to_owned(), new.to_owned()))
                }
                _ => Err(format!("expected sdp:s/old/new/, found sdp:{text}")),
            };
        }
        if let Some(kind) = text.strip_prefix('+') {
            return Ok(Self::Add(kind.to_owned()));
        }
        if let Some(kind) = text.strip_prefix('-') {
            return Ok(Self::Reject(kind.to_owned()));
        }
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        let (stream, key) = match key.split_once('.') {
            Some((stream, key)) => (Some(stream.to_owned()), key),
            None => (None, key),
        };
        match key {
            "sendrecv" | "sendonly" | "recvonly" | "inactive" => Ok(Self::Direction(stream, key.to_owned())),
            "none" => Ok(Self::NoStreams),
            "drop" => Ok(Self::Drop(value.to_owned())),
            "port" => value.parse().map(|port| Self::Port(stream, port)).map_err(|_| bad(text)),
            "codecs" => Ok(Self::Codecs(stream, value.split(',').map(str::to_owned).collect())),
            "c" => Ok(Self::Connection(value.to_owned())),
            "a" => Ok(Self::Attribute(value.to_owned())),
            _ => Err(bad(text)),
        }
    }

    /// Reads what stands behind `o=` in a ladder: `+1`, `same`, `7` or `new`.
    pub fn parse_version(text: &str) -> Result<Self, String> {
        let step = match text {
            "same" => Step::By(0),
            "new" => Step::NewSession,
            _ if text.starts_with(['+', '-']) => {
                Step::By(text.parse().map_err(|_| format!("expected a number in o={text}"))?)
            }
            _ => Step::To(text.parse().map_err(|_| format!("expected +n, -n, n, same or new in o={text}"))?),
        };
        Ok(Self::Version(step))
    }
}

fn bad(text: &str) -> String {
    format!("unknown sdp:{text}")
}

/// One party's descriptions.
#[derive(Clone, Debug)]
pub struct Sketcher {
    user: String,
    address: IpAddr,
    port: u16,
    session: u64,
    version: u64,
    last: Option<String>,
}

impl Sketcher {
    /// A party that describes itself at this address.
    pub fn new(user: &str, address: IpAddr, port: u16, session: u64) -> Self {
        Self { user: user.to_owned(), address, port, session, version: 0, last: None }
    }

    /// The description sent last, byte for byte.
    pub fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// Remembers a description that was sent without this sketcher.
    pub fn sent(&mut self, sdp: &str) {
        let origin: Vec<&str> = field(sdp, "o=").unwrap_or_default().split(' ').collect();
        if let (Some(session), Some(version)) = (number(&origin, 1), number(&origin, 2)) {
            (self.session, self.version) = (session, version);
        }
        self.last = Some(sdp.to_owned());
    }

    /// An offer: audio with PCMA, PCMU and telephone-event unless tweaked.
    pub fn offer(&self, tweaks: &[Tweak]) -> String {
        let audio = Stream::audio(self.port, &["8", "0", "101:telephone-event/8000"]);
        self.finish(vec![audio], tweaks, self.address)
    }

    /// A right answer to `offer`, then tweaked.
    pub fn answer(&self, offer: &str, tweaks: &[Tweak]) -> String {
        let streams = Stream::read(offer);
        let port = |at: usize| self.port.saturating_add(u16::try_from(at * 2).unwrap_or_default());
        let answers = streams.iter().enumerate().map(|(at, stream)| stream.answer(port(at))).collect();
        self.finish(answers, tweaks, self.address)
    }

    fn finish(&self, mut streams: Vec<Stream>, tweaks: &[Tweak], address: IpAddr) -> String {
        let mut connection = address.to_string();
        let mut step = None;
        for tweak in tweaks {
            match tweak {
                Tweak::Connection(other) => connection.clone_from(other),
                Tweak::Version(how) => step = Some(*how),
                Tweak::Replace(..) => {}
                tweak => self.bend(&mut streams, tweak),
            }
        }
        let family = if connection.contains(':') { "IP6" } else { "IP4" };
        let mut rest = format!("s=-\r\nc=IN {family} {connection}\r\nt=0 0\r\n");
        for stream in &streams {
            rest.push_str(&stream.text());
        }
        let replaced = |text: &str| {
            tweaks.iter().fold(text.to_owned(), |text, tweak| match tweak {
                Tweak::Replace(old, new) => text.replace(old.as_str(), new),
                _ => text,
            })
        };
        let content = replaced(&rest);
        let changed =
            self.last.as_deref().is_none_or(|last| without_origin(last) != without_origin(&content));
        let (session, version) = match step {
            Some(Step::By(n)) => (self.session, self.version.saturating_add_signed(n)),
            Some(Step::To(n)) => (self.session, n),
            Some(Step::NewSession) => (self.session.wrapping_add(1), 1),
            None => (self.session, self.version + u64::from(changed)),
        };
        let own = if address.is_ipv6() { "IP6" } else { "IP4" };
        let origin = format!("v=0\r\no={} {session} {version} IN {own} {address}\r\n", self.user);
        replaced(&(origin + &rest))
    }

    fn bend(&self, streams: &mut Vec<Stream>, tweak: &Tweak) {
        let next = self.port + u16::try_from(streams.len() * 2).unwrap_or_default();
        match tweak {
            Tweak::Direction(which, word) => {
                let live = |stream: &&mut Stream| {
                    which.as_ref().map_or(stream.port != 0, |kind| &stream.kind == kind)
                };
                for stream in streams.iter_mut().filter(live) {
                    stream.direction.clone_from(word);
                }
            }
            Tweak::Add(kind) => streams.push(Stream::of(kind, next)),
            Tweak::Reject(kind) => {
                if !streams.iter().any(|stream| &stream.kind == kind) {
                    streams.push(Stream::of(kind, 0));
                }
                pick(streams, Some(kind), |stream| stream.port = 0);
            }
            Tweak::Drop(kind) => streams.retain(|stream| &stream.kind != kind),
            Tweak::Port(which, port) => pick(streams, which.as_ref(), |stream| stream.port = *port),
            Tweak::Codecs(which, codecs) => pick(streams, which.as_ref(), |stream| stream.set_codecs(codecs)),
            Tweak::Attribute(line) => pick(streams, None, |stream| stream.attributes.push(line.clone())),
            Tweak::NoStreams => streams.clear(),
            Tweak::Connection(_) | Tweak::Version(_) | Tweak::Replace(..) => {}
        }
    }
}

fn pick(streams: &mut [Stream], which: Option<&String>, change: impl FnOnce(&mut Stream)) {
    if let Some(stream) = streams.iter_mut().find(|stream| which.is_none_or(|kind| &stream.kind == kind)) {
        change(stream);
    }
}

#[derive(Clone, Debug)]
struct Stream {
    kind: String,
    port: u16,
    protocol: String,
    formats: Vec<String>,
    direction: String,
    attributes: Vec<String>,
}

impl Stream {
    fn of(kind: &str, port: u16) -> Self {
        match kind {
            "audio" => Self::audio(port, &["8", "0", "101:telephone-event/8000"]),
            "image" => Self { protocol: "udptl".to_owned(), ..Self::new(kind, port, &["t38"]) },
            _ => Self::new(kind, port, &["97:H264/90000"]),
        }
    }

    fn audio(port: u16, codecs: &[&str]) -> Self {
        Self::new("audio", port, codecs)
    }

    fn new(kind: &str, port: u16, codecs: &[&str]) -> Self {
        let mut stream = Self {
            kind: kind.to_owned(),
            port,
            protocol: "RTP/AVP".to_owned(),
            formats: Vec::new(),
            direction: "sendrecv".to_owned(),
            attributes: Vec::new(),
        };
        stream.set_codecs(&codecs.iter().map(|codec| (*codec).to_owned()).collect::<Vec<_>>());
        stream
    }

    fn set_codecs(&mut self, codecs: &[String]) {
        self.attributes.retain(|line| !line.starts_with("rtpmap:"));
        self.formats.clear();
        for codec in codecs {
            let (number, map) = codec.split_once(':').unwrap_or((codec, ""));
            self.formats.push(number.to_owned());
            if !map.is_empty() {
                self.attributes.push(format!("rtpmap:{number} {map}"));
            }
        }
    }

    fn read(sdp: &str) -> Vec<Self> {
        let session = sdp.split("\r\nm=").next().unwrap_or_default();
        let outer = direction(session).unwrap_or("sendrecv");
        let sections = sdp.split("\r\nm=").skip(1);
        sections
            .map(|section| {
                let line: Vec<&str> = section.lines().next().unwrap_or_default().split(' ').collect();
                let word = |at: usize| line.get(at).copied().unwrap_or_default();
                let attributes = section.lines().filter_map(|line| line.strip_prefix("a="));
                Self {
                    kind: word(0).to_owned(),
                    port: word(1).split('/').next().and_then(|port| port.parse().ok()).unwrap_or(0),
                    protocol: word(2).to_owned(),
                    formats: line.iter().skip(3).map(|format| (*format).to_owned()).collect(),
                    direction: direction(section).unwrap_or(outer).to_owned(),
                    attributes: attributes.map(str::to_owned).collect(),
                }
            })
            .collect()
    }

    fn answer(&self, port: u16) -> Self {
        let known: Vec<String> = self.formats.iter().filter(|format| self.knows(format)).cloned().collect();
        let refused = self.port == 0 || known.is_empty();
        let formats = if refused { self.formats.clone() } else { known };
        let of_kept = |line: &&String| {
            let number = line.strip_prefix("rtpmap:").or_else(|| line.strip_prefix("fmtp:"));
            number.is_some_and(|rest| {
                formats.iter().any(|format| rest.split(' ').next() == Some(format.as_str()))
            }) || line.starts_with("mid:")
        };
        let direction = match self.direction.as_str() {
            "sendonly" => "recvonly",
            "recvonly" => "sendonly",
            other => other,
        };
        Self {
            kind: self.kind.clone(),
            port: if refused { 0 } else { port },
            protocol: self.protocol.clone(),
            attributes: self.attributes.iter().filter(of_kept).cloned().collect(),
            direction: direction.to_owned(),
            formats,
        }
    }

    fn knows(&self, format: &str) -> bool {
        let map = self.attributes.iter().find_map(|line| line.strip_prefix("rtpmap:")?.strip_prefix(format));
        let name = map.unwrap_or_default().trim().split('/').next().unwrap_or_default().to_ascii_lowercase();
        match self.kind.as_str() {
            "audio" => {
                matches!(format, "0" | "8")
                    || matches!(name.as_str(), "telephone-event" | "pcma" | "pcmu" | "opus")
            }
            "video" => matches!(name.as_str(), "h264" | "vp8"),
            _ => false,
        }
    }

    fn text(&self) -> String {
        let mut text = format!("m={} {} {}", self.kind, self.port, self.protocol);
        for format in &self.formats {
            text.push(' ');
            text.push_str(format);
        }
        text.push_str("\r\n");
        for line in self.attributes.iter().filter(|line| !DIRECTIONS.contains(&line.as_str())) {
            text.push_str(&format!("a={line}\r\n"));
        }
        if self.port != 0 {
            text.push_str(&format!("a={}\r\n", self.direction));
        }
        text
    }
}

const DIRECTIONS: [&str; 4] = ["sendrecv", "sendonly", "recvonly", "inactive"];

/// The direction attribute in a part of a description.
pub fn direction(part: &str) -> Option<&str> {
    part.lines().filter_map(|line| line.strip_prefix("a=")).find(|word| DIRECTIONS.contains(word))
}

/// The rest of the first line that begins with `key`.
pub fn field<'s>(sdp: &'s str, key: &str) -> Option<&'s str> {
    sdp.lines().find_map(|line| line.strip_prefix(key))
}

fn number(words: &[&str], at: usize) -> Option<u64> {
    words.get(at)?.parse().ok()
}

fn without_origin(sdp: &str) -> Vec<&str> {
    sdp.lines().filter(|line| !line.starts_with("o=") && !line.starts_with("v=")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> Sketcher {
        Sketcher::new("alice", "10.0.0.1".parse().unwrap(), 40_000, 1_000)
    }

    fn tweaks(words: &[&str]) -> Vec<Tweak> {
        words.iter().map(|word| Tweak::parse(word).unwrap()).collect()
    }

    #[test]
    fn the_version_moves_with_the_content_only() {
        let mut alice = alice();
        let first = alice.offer(&[]);
        alice.sent(&first);
        assert_eq!(alice.offer(&[]), first);
        let held = alice.offer(&tweaks(&["sendonly"]));
        assert!(held.contains("o=alice 1000 2 ") && held.contains("a=sendonly"), "{held}");
        let wrong = alice.offer(&[Tweak::parse("sendonly").unwrap(), Tweak::parse_version("same").unwrap()]);
        assert!(wrong.contains("o=alice 1000 1 "), "{wrong}");
    }

    #[test]
    fn an_answer_mirrors_the_offer() {
        let offer = alice().offer(&tweaks(&["+video", "audio.sendonly", "-image"]));
        let bob = Sketcher::new("bob", "10.0.0.2".parse().unwrap(), 50_000, 2_000);
        insta::assert_snapshot!(bob.answer(&offer, &[]).replace("\r\n", "\n"), @r"
        v=0
        o=bob 2000 1 IN IP4 10.0.0.2
        s=-
        c=IN IP4 10.0.0.2
        t=0 0
        m=audio 50000 RTP/AVP 8 0 101
        a=rtpmap:101 telephone-event/8000
        a=recvonly
        m=video 50002 RTP/AVP 97
        a=rtpmap:97 H264/90000
        a=sendrecv
        m=image 0 udptl t38
        ");
    }

    #[test]
    fn tweaks_can_make_it_wrong() {
        let wrong = alice().offer(&tweaks(&["codecs=96", "c=0.0.0.0", "a=ptime:20", "s/t=0 0/t=1 1/"]));
        assert!(wrong.contains("c=IN IP4 0.0.0.0") && wrong.contains("RTP/AVP 96\r\na=ptime:20"), "{wrong}");
        assert!(wrong.contains("t=1 1"));
        assert!(alice().offer(&tweaks(&["none"])).ends_with("t=0 0\r\n"));
        assert!(Tweak::parse("sideways").is_err() && Tweak::parse("s/a").is_err());
    }
}
