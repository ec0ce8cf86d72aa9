//! A SIP message as plain text, read and written without midcall's own parser.
//!
//! The scripted peers use it so that a bug in `midcall-wire` or in the dialog core cannot cancel itself out.
//! It is as lenient as a test needs and no faster than that.

use std::fmt;

/// A message split into start line, header lines and body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    start: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Whether it must not say how long it is.
    unmeasured: bool,
}

impl Raw {
    /// Splits a message; bytes that are no SIP give an empty start line.
    pub fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = match text.find("\r\n\r\n") {
            Some(at) => (&text[..at], bytes.get(at + 4..).unwrap_or_default()),
            None => (text.as_ref(), &[][..]),
        };
        let mut lines = head.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines {
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = headers.last_mut() {
                    value.push(' ');
                    value.push_str(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':') {
                headers.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
        Self { start, headers, body: body.to_vec(), unmeasured: false }
    }

    /// An empty message with this start line.
    pub fn with_start(start: impl Into<String>) -> Self {
        Self { start: start.into(), headers: Vec::new(), body: Vec::new(), unmeasured: false }
    }

    /// The first line.
    pub fn start(&self) -> &str {
        &self.start
    }

    /// Replaces the first line.
    pub fn set_start(&mut self, start: impl Into<String>) {
        self.start = start.into();
    }

    /// The status of a response, `None` for a request.
    pub fn status(&self) -> Option<u16> {
        self.start.strip_prefix("SIP/2.0 ")?.split(' ').next()?.parse().ok()
    }

    /// Whether this is a request.
    pub fn is_request(&self) -> bool {
        self.status().is_none()
    }

    /// The method: of the start line, or for a response the one in CSeq.
    pub fn method(&self) -> &str {
        if self.is_request() {
            self.start.split(' ').next().unwrap_or_default()
        } else {
            self.header("CSeq").and_then(|value| value.split_whitespace().nth(1)).unwrap_or_default()
        }
    }

    /// The Request-URI; empty for a response.
    pub fn uri(&self) -> &str {
        if self.is_request() { self.start.split(' ').nth(1).unwrap_or_default() } else { "" }
    }

    /// The number in CSeq, 0 if there is none.
    pub fn cseq(&self) -> u32 {
        self.header("CSeq").and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }

    /// The first value line of a header, by its long name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| same_name(own, name)).map(|(_, value)| value.as_str())
    }

    /// Every value of a header, comma lists split.
    pub fn list(&self, name: &str) -> Vec<&str> {
        let lines = self.headers.iter().filter(|(own, _)| same_name(own, name));
        lines.flat_map(|(_, value)| split_list(value)).collect()
    }

    /// Every header line in order: name as written and value.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether a token list such as Supported holds `token`.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.list(name).iter().any(|own| own.eq_ignore_ascii_case(token))
    }

    /// The tag of From or To, if it has one.
    pub fn tag(&self, name: &str) -> Option<&str> {
        parameter(self.header(name)?, "tag")
    }

    /// The branch of the topmost Via.
    pub fn branch(&self) -> Option<&str> {
        parameter(self.list("Via").first()?, "branch")
    }

    /// The URI of a name-addr header such as Contact.
    pub fn address(&self, name: &str) -> Option<&str> {
        self.list(name).first().map(|value| bare_uri(value))
    }

    /// The Call-ID.
    pub fn call_id(&self) -> &str {
        self.header("Call-ID").unwrap_or_default()
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The session description: the body, or the first such part of a multipart.
    pub fn sdp(&self) -> Option<&str> {
        let kind = self.header("Content-Type")?.to_ascii_lowercase();
        let body = std::str::from_utf8(&self.body).ok()?;
        if kind.starts_with("application/sdp") {
            return Some(body).filter(|body| !body.is_empty());
        }
        let part = &body[body.to_ascii_lowercase().find("application/sdp")?..];
        let inner = &part[part.find("\r\n\r\n")? + 4..];
        Some(&inner[..inner.find("\r\n--").map_or(inner.len(), |at| at + 2)])
    }

    /// Replaces every line of a header by one with this value, in place of the first, or appends it.
    pub fn set(&mut self, name: &str, value: impl fmt::Display) {
        let at = self.headers.iter().position(|(own, _)| same_name(own, name));
        self.headers.retain(|(own, _)| !same_name(own, name));
        let line = (name.to_owned(), value.to_string());
        self.headers.insert(at.unwrap_or(self.headers.len()).min(self.headers.len()), line);
    }

    /// Appends a header line.
    pub fn add(&mut self, name: &str, value: impl fmt::Display) {
        self.headers.push((name.to_owned(), value.to_string()));
    }

    /// Removes every line of a header.
    pub fn remove(&mut self, name: &str) {
        self.unmeasured |= same_name(name, "Content-Length");
        self.headers.retain(|(own, _)| !same_name(own, name));
    }

    /// Sets the body and its type; Content-Length is written by [`Raw::bytes`].
    pub fn set_body(&mut self, kind: &str, body: impl Into<Vec<u8>>) {
        self.body = body.into();
        if self.body.is_empty() {
            self.remove("Content-Type");
        } else {
            self.set("Content-Type", kind);
        }
    }

    /// The message as sent. Content-Length is added if no line gives it, unless it was taken away.
    pub fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.start);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.header("Content-Length").is_none() && !self.unmeasured {
            text.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// What a person calls this message: `INVITE`, or `200 UPDATE`.
    pub fn summary(&self) -> String {
        match self.status() {
            Some(status) => format!("{status} {}", self.method()),
            None => self.method().to_owned(),
        }
    }
}

/// The value of a parameter behind a header value, `Some("")` if it has none.
pub fn parameter<'v>(value: &'v str, name: &str) -> Option<&'v str> {
    let outside = value.rfind('>').map_or(value, |at| &value[at..]);
    outside.split(';').skip(1).find_map(|pair| {
        let (own, value) = pair.split_once('=').unwrap_or((pair, ""));
        own.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The URI in a name-addr or addr-spec, without display name and header parameters.
pub fn bare_uri(value: &str) -> &str {
    match value.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or_default(),
        None => value.split(';').next().unwrap_or_default().trim(),
    }
}

/// The values of a comma list, quoted strings and `<>` kept whole.
pub fn split_list(value: &str) -> Vec<&str> {
    let (mut parts, mut from, mut quoted, mut angle) = (Vec::new(), 0, false, false);
    for (at, byte) in value.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'<' if !quoted => angle = true,
            b'>' if !quoted => angle = false,
            b',' if !quoted && !angle => {
                parts.push(value[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(value[from..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

/// The usual words for a status.
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        199 => "Early Dialog Terminated",
        200 => "OK",
        202 => "Accepted",
        302 => "Moved Temporarily",
        401 => "Unauthorized",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        415 => "Unsupported Media Type",
        420 => "Bad Extension",
        422 => "Session Interval Too Small",
        481 => "Call/Transaction Does Not Exist",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        603 => "Decline",
        _ => ["Progress", "Success", "Redirection", "Client Error", "Server Error", "Global Failure"]
            .get(usize::from(status / 100).saturating_sub(1))
            .copied()
            .unwrap_or("Unknown"),
    }
}

fn same_name(own: &str, asked: &str) -> bool {
    long_name(own).eq_ignore_ascii_case(long_name(asked))
}

fn long_name(name: &str) -> &str {
    let short = |letter: &str| name.eq_ignore_ascii_case(letter);
    COMPACT.iter().find(|(letter, _)| short(letter)).map_or(name, |(_, long)| long)
}

const COMPACT: [(&str, &str); 17] = [
    ("v", "Via"),
    ("f", "From"),
    ("t", "To"),
    ("i", "Call-ID"),
    ("m", "Contact"),
    ("k", "Supported"),
    ("l", "Content-Length"),
    ("c", "Content-Type"),
    ("e", "Content-Encoding"),
    ("x", "Session-Expires"),
    ("r", "Refer-To"),
    ("b", "Referred-By"),
    ("o", "Event"),
    ("u", "Allow-Events"),
    ("s", "Subject"),
    ("d", "Request-Disposition"),
    ("j", "Reject-Contact"),
];

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "INVITE sip:bob@10.0.0.2 SIP/2.0\r\nv: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1, SIP/2.0/UDP x\r\n\
        From: \"Al, ice\" <sip:alice@10.0.0.1;x=1>;tag=ab\r\nTo: sip:bob@10.0.0.2\r\nCSeq: 7 INVITE\r\n\
        Supported: timer,\r\n 100rel\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n";

    #[test]
    fn reads_what_a_peer_needs() {
        let raw = Raw::read(TEXT.as_bytes());
        assert_eq!((raw.method(), raw.uri(), raw.cseq()), ("INVITE", "sip:bob@10.0.0.2", 7));
        assert_eq!((raw.tag("From"), raw.tag("To")), (Some("ab"), None));
        assert_eq!((raw.branch(), raw.list("Via").len()), (Some("z9hG4bK1"), 2));
        assert_eq!(raw.address("From"), Some("sip:alice@10.0.0.1;x=1"));
        assert!(raw.has_token("Supported", "100REL"));
        assert_eq!(raw.sdp(), Some("v=0\r\n"));
        assert_eq!(raw.list("From").len(), 1);
    }

    #[test]
    fn writes_content_length_unless_told_otherwise() {
        let mut raw = Raw::read(TEXT.as_bytes());
        assert!(String::from_utf8_lossy(&raw.bytes()).contains("Content-Length: 5\r\n"));
        raw.set("Content-Length", 99);
        assert!(String::from_utf8_lossy(&raw.bytes()).contains("Content-Length: 99\r\n"));
        raw.remove("Via");
        assert_eq!(raw.header("Via"), None);
    }

    #[test]
    fn finds_sdp_inside_a_multipart() {
        let mut raw = Raw::with_start("SIP/2.0 200 OK");
        raw.add("CSeq", "3 UPDATE");
        raw.set_body(
            "multipart/mixed;boundary=x",
            "--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--x--\r\n".as_bytes(),
        );
        assert_eq!((raw.sdp(), raw.summary()), (Some("v=0\r\n"), "200 UPDATE".to_owned()));
    }
}
