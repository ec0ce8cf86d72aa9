//! A message without identities.

use midcall_wire::{MediaType, Name, reason_phrase};

use super::Anonymizer;

/// What a body is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sdp,
    /// Part of a message: lines as in one.
    Fragment,
    Multipart,
    Other,
}

impl Anonymizer {
    /// A message of which the identities are replaced; what is no message is taken as text.
    pub(super) fn message(&mut self, raw: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(raw);
        let (head, body) = match text.find("\r\n\r\n") {
            Some(end) => (text.get(..end + 2).unwrap_or_default(), text.get(end + 4..)),
            None => (text.as_ref(), None),
        };
        let mut kind = Kind::Other;
        let new_body = body.map(|body| {
            kind = kind_of(&content_type(head));
            self.body(kind, body)
        });
        // What is no text grows as it is made some.
        let old = raw.windows(4).position(|end| end == b"\r\n\r\n").map(|end| raw.len() - end - 4);
        let grown = match (old, &new_body) {
            (Some(old), Some(new)) => i64::try_from(new.len()).unwrap_or(0) - i64::try_from(old).unwrap_or(0),
            _ => 0,
        };
        let mut out = self.head(head, grown);
        if let Some(body) = new_body {
            out.push_str("\r\n");
            out.push_str(&body);
        }
        out.into_bytes()
    }

    /// Start line and headers, each with its line end.
    fn head(&mut self, head: &str, grown: i64) -> String {
        let mut out = String::with_capacity(head.len());
        let mut name = String::new();
        for (at, line) in head.split_inclusive('\n').enumerate() {
            let content = line.trim_end_matches(['\r', '\n']);
            let end = line.get(content.len()..).unwrap_or_default();
            if at == 0 {
                out.push_str(&self.start_line(content));
            } else if content.starts_with([' ', '\t']) {
                let more = self.header(&name, content, grown);
                out.push_str(&more);
            } else if let Some((own, value)) = content.split_once(':') {
                own.trim().clone_into(&mut name);
                out.push_str(own);
                out.push(':');
                let value = self.header(&name, value, grown);
                out.push_str(&value);
            } else {
                let value = self.value(content);
                out.push_str(&value);
            }
            out.push_str(end);
        }
        out
    }

    fn start_line(&mut self, line: &str) -> String {
        if let Some(rest) = line.strip_prefix("SIP/2.0 ") {
            let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
            let usual = status.parse().is_ok_and(|status| reason_phrase(status) == reason);
            let reason = if usual { reason.to_owned() } else { self.spoken(reason) };
            return if rest.contains(' ') { format!("SIP/2.0 {status} {reason}") } else { line.to_owned() };
        }
        let Some((method, rest)) = line.split_once(' ') else { return self.value(line) };
        match rest.rsplit_once(' ') {
            Some((uri, version)) => format!("{method} {} {version}", self.value(uri)),
            None => format!("{method} {}", self.value(rest)),
        }
    }

    fn header(&mut self, name: &str, value: &str, grown: i64) -> String {
        let known = Name::parse(name).as_str();
        let name = if known.is_empty() { name } else { known };
        let is = |list: &[&str]| list.iter().any(|own| own.eq_ignore_ascii_case(name));
        if name.eq_ignore_ascii_case("Content-Length") {
            return match value.trim().parse::<i64>() {
                Ok(length) if grown != 0 => format!(" {}", length.saturating_add(grown).max(0)),
                _ => value.to_owned(),
            };
        }
        if name.eq_ignore_ascii_case("Via") {
            // The protocol in front of the sender is no name.
            return match value.trim_start().split_once(' ') {
                Some((protocol, rest)) if protocol.contains('/') => {
                    format!(" {protocol} {}", self.value(rest))
                }
                _ => self.value(value),
            };
        }
        if is(&["User-Agent", "Server"]) {
            return self.software(value);
        }
        if is(&PROTOCOL_HEADERS) {
            value.to_owned()
        } else if is(&PROSE_HEADERS) {
            self.prose(value)
        } else {
            self.value(value)
        }
    }

    /// Protocol, and text between quotes or in a comment behind it.
    fn prose(&mut self, value: &str) -> String {
        let mut out = String::with_capacity(value.len());
        let (mut quoted, mut comment) = (false, false);
        for part in value.split_inclusive(['"', '(', ')']) {
            out.push_str(&if quoted || comment { self.spoken(part) } else { self.words(part) });
            match part.chars().next_back() {
                Some('"') if !part.ends_with("\\\"") => quoted = !quoted,
                Some(paren @ ('(' | ')')) if !quoted => comment = paren == '(',
                _ => {}
            }
        }
        out
    }

    fn body(&mut self, kind: Kind, body: &str) -> String {
        match kind {
            Kind::Sdp => lines(body, |line| self.sdp_line(line)),
            Kind::Fragment => self.head(body, 0),
            Kind::Multipart => self.multipart(body),
            Kind::Other => self.value(body),
        }
    }

    /// Parts between boundaries, each as what its own headers say.
    fn multipart(&mut self, body: &str) -> String {
        let (mut kind, mut head) = (Kind::Other, true);
        lines(body, |line| {
            if line.starts_with("--") {
                (kind, head) = (Kind::Other, true);
                return line.to_owned();
            }
            if head && line.is_empty() {
                head = false;
                return String::new();
            }
            if head {
                if let Some((name, value)) = line.split_once(':')
                    && Name::parse(name.trim()) == Name::ContentType
                {
                    kind = kind_of(value);
                }
                return match line.split_once(':') {
                    Some((name, value)) => format!("{name}:{}", self.header(name.trim(), value, 0)),
                    None => self.value(line),
                };
            }
            match kind {
                Kind::Sdp => self.sdp_line(line),
                _ => self.value(line),
            }
        })
    }
}

/// Each line of a text made another, with its own line end.
fn lines(text: &str, mut other: impl FnMut(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\r', '\n']);
        out.push_str(&other(content));
        out.push_str(line.get(content.len()..).unwrap_or_default());
    }
    out
}

fn content_type(head: &str) -> String {
    let values = head.lines().filter_map(|line| line.split_once(':'));
    let mut kinds = values.filter(|(name, _)| Name::parse(name.trim()) == Name::ContentType);
    kinds.next().map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
}

fn kind_of(content_type: &str) -> Kind {
    let Ok(kind) = MediaType::parse(content_type.trim()) else { return Kind::Other };
    if kind.is("application/sdp") {
        Kind::Sdp
    } else if kind.is("message/sipfrag") || kind.is("message/sip") {
        Kind::Fragment
    } else if content_type.trim_start().to_ascii_lowercase().starts_with("multipart/") {
        Kind::Multipart
    } else {
        Kind::Other
    }
}

/// Headers that name nobody.
const PROTOCOL_HEADERS: [&str; 37] = [
    "CSeq",
    "Max-Forwards",
    "Allow",
    "Supported",
    "Require",
    "Proxy-Require",
    "Unsupported",
    "Content-Type",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Session-Expires",
    "Min-SE",
    "RSeq",
    "RAck",
    "Expires",
    "Min-Expires",
    "Event",
    "Subscription-State",
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Allow-Events",
    "Timestamp",
    "Privacy",
    "Date",
    "MIME-Version",
    "Priority",
    "Refer-Sub",
    "Accept-Contact",
    "Reject-Contact",
    "Request-Disposition",
    "Answer-Mode",
    "P-Early-Media",
    "Recv-Info",
    "Info-Package",
    "Feature-Caps",
];

/// Headers that tell something in words.
const PROSE_HEADERS: [&str; 4] = ["Reason", "Warning", "Retry-After", "Content-ID"];
