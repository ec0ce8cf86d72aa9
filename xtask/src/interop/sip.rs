//! A plain reader of SIP and SDP text for the judge.
//!
//! On purpose not `midcall-wire`: the judge must not share a parser with what it judges. It reads what well-behaved
//! test peers write and nothing fancier.

use std::fmt;

/// One message as it stood on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Sip {
    pub(crate) raw: String,
    pub(crate) first: String,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Sip {
    /// Reads a message; `None` when the first line is not SIP.
    pub(crate) fn read(raw: &str) -> Option<Self> {
        let (head, body) = raw.split_once("\r\n\r\n").or_else(|| raw.split_once("\n\n")).unwrap_or((raw, ""));
        let mut lines = head.lines().map(|line| line.trim_end_matches('\r'));
        let first = lines.next()?.to_string();
        if !first.starts_with("SIP/2.0 ") && !first.ends_with(" SIP/2.0") {
            return None;
        }
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines {
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = headers.last_mut() {
                    value.push(' ');
                    value.push_str(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':') {
                headers.push((long_form(name.trim()), value.trim().to_string()));
            }
        }
        Some(Self { raw: raw.to_string(), first, headers, body: body.to_string() })
    }

    /// The method of a request.
    pub(crate) fn request(&self) -> Option<&str> {
        if self.first.starts_with("SIP/2.0 ") { None } else { self.first.split(' ').next() }
    }

    /// The Request-URI.
    pub(crate) fn uri(&self) -> Option<&str> {
        self.request().and_then(|_| self.first.split(' ').nth(1))
    }

    /// The status of a response.
    pub(crate) fn status(&self) -> Option<u16> {
        self.first.strip_prefix("SIP/2.0 ")?.split(' ').next()?.parse().ok()
    }

    /// Every value line of a header, by its long name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The first value line of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn call_id(&self) -> &str {
        self.header("Call-ID").unwrap_or_default()
    }

    /// Number and method of CSeq.
    pub(crate) fn cseq(&self) -> (u32, &str) {
        let mut words = self.header("CSeq").unwrap_or_default().split_ascii_whitespace();
        (words.next().and_then(|n| n.parse().ok()).unwrap_or(0), words.next().unwrap_or_default())
    }

    /// The method a message belongs to: its own, or that of CSeq.
    pub(crate) fn method(&self) -> &str {
        self.request().unwrap_or_else(|| self.cseq().1)
    }

    /// The branch of the topmost Via.
    pub(crate) fn branch(&self) -> &str {
        self.header("Via").and_then(|via| parameter(via, "branch")).unwrap_or_default()
    }

    /// The tag of From or To.
    pub(crate) fn tag(&self, name: &str) -> Option<&str> {
        self.header(name).and_then(|value| parameter(value, "tag"))
    }

    /// The session description, alone or as a part of a multipart body.
    pub(crate) fn sdp(&self) -> Option<Sdp<'_>> {
        let kind = self.header("Content-Type").unwrap_or_default().to_ascii_lowercase();
        if !kind.starts_with("application/sdp") && !kind.starts_with("multipart/") {
            return None;
        }
        let at = self.body.find("v=0")?;
        let text = &self.body[at..];
        Some(Sdp { text: text.find("\r\n--").map_or(text, |end| &text[..end]) })
    }
}

impl fmt::Display for Sip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, method) = self.cseq();
        match self.status() {
            Some(status) => write!(f, "{status} {method} {number}")?,
            None => write!(f, "{} {number}", self.method())?,
        }
        if let Some(sdp) = self.sdp() {
            write!(f, " sdp:{} o={}", sdp.direction(), sdp.version())?;
            for media in sdp.media() {
                write!(f, " {media}")?;
            }
        }
        Ok(())
    }
}

/// A session description, read line by line.
#[derive(Clone, Copy)]
pub(crate) struct Sdp<'a> {
    text: &'a str,
}

impl<'a> Sdp<'a> {
    /// The words of the o= line.
    pub(crate) fn origin(&self) -> Vec<&'a str> {
        self.lines()
            .find_map(|line| line.strip_prefix("o="))
            .map(|o| o.split(' ').collect())
            .unwrap_or_default()
    }

    /// The version of the o= line.
    pub(crate) fn version(&self) -> u128 {
        self.origin().get(2).and_then(|v| v.parse().ok()).unwrap_or(0)
    }

    /// Everything but the version, for "the same but for o=".
    pub(crate) fn rest(&self) -> String {
        self.lines().filter(|line| !line.starts_with("o=")).collect::<Vec<_>>().join("\n")
    }

    /// The media sections in order.
    pub(crate) fn media(&self) -> Vec<Media<'a>> {
        let mut session = (None, None);
        let mut found: Vec<Media<'a>> = Vec::new();
        for line in self.lines() {
            if let Some(rest) = line.strip_prefix("m=") {
                let mut words = rest.split(' ');
                found.push(Media {
                    kind: words.next().unwrap_or_default(),
                    port: words.next().and_then(|p| p.split('/').next()?.parse().ok()).unwrap_or(0),
                    formats: words.skip(1).collect(),
                    direction: session.0.unwrap_or("sendrecv"),
                    connection: session.1.unwrap_or_default(),
                });
            } else if let Some(c) = line.strip_prefix("c=") {
                let address = c.split(' ').nth(2).unwrap_or_default();
                match found.last_mut() {
                    Some(media) => media.connection = address,
                    None => session.1 = Some(address),
                }
            } else if let Some(direction) = line.strip_prefix("a=").filter(|a| DIRECTIONS.contains(a)) {
                match found.last_mut() {
                    Some(media) => media.direction = direction,
                    None => session.0 = Some(direction),
                }
            }
        }
        found
    }

    /// The direction of the first stream that is not refused.
    pub(crate) fn direction(&self) -> &'a str {
        let media = self.media();
        media.iter().find(|m| m.port != 0).or(media.first()).map_or("none", |m| m.direction)
    }

    fn lines(&self) -> impl Iterator<Item = &'a str> {
        self.text.lines().map(|line| line.trim_end_matches('\r')).filter(|line| !line.is_empty())
    }
}

/// One m= section.
pub(crate) struct Media<'a> {
    pub(crate) kind: &'a str,
    pub(crate) port: u16,
    pub(crate) formats: Vec<&'a str>,
    pub(crate) direction: &'a str,
    pub(crate) connection: &'a str,
}

impl fmt::Display for Media<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}:{}", if self.port == 0 { "-" } else { "" }, self.kind, self.formats.join(","))
    }
}

/// A `;name=value` parameter behind the address of a header.
pub(crate) fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let behind = value.rfind('>').map_or(value, |at| &value[at..]);
    behind.split(';').skip(1).find_map(|p| {
        let (n, v) = p.split_once('=').unwrap_or((p, ""));
        n.trim().eq_ignore_ascii_case(name).then(|| v.trim().split([' ', ',']).next().unwrap_or_default())
    })
}

fn long_form(name: &str) -> String {
    let long = match name.to_ascii_lowercase().as_str() {
        "v" => "Via",
        "f" => "From",
        "t" => "To",
        "i" => "Call-ID",
        "m" => "Contact",
        "c" => "Content-Type",
        "l" => "Content-Length",
        "k" => "Supported",
        "x" => "Session-Expires",
        "r" => "Refer-To",
        "b" => "Referred-By",
        "o" => "Event",
        "s" => "Subject",
        "e" => "Content-Encoding",
        _ => name,
    };
    long.to_string()
}

pub(crate) const DIRECTIONS: [&str; 4] = ["sendrecv", "sendonly", "recvonly", "inactive"];
