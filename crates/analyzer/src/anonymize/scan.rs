//! Text, word by word: which of its words name somebody.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Anonymizer;

/// What becomes of words that are neither addresses nor protocol.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// They name somebody.
    Name,
    /// They do if they did elsewhere; numbers and words that are too short for that stay.
    Prose,
    /// They do if they did elsewhere, however short.
    Spoken,
    /// The same, and so do addresses: a version may look like one.
    Software,
}

/// Where a scan stands.
#[derive(Clone, Copy)]
struct Spot<'t> {
    text: &'t str,
    at: usize,
    /// The sign before it; an escaped one counts as what it stands for.
    before: Option<char>,
    mode: Mode,
}

impl<'t> Spot<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn front(&self) -> &'t str {
        self.text.get(..self.at).unwrap_or_default()
    }

    /// The longest part from here on of such characters.
    fn span(&self, of: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        rest.get(..rest.find(|letter| !of(letter)).unwrap_or(rest.len())).unwrap_or_default()
    }

    /// The character behind this many bytes.
    fn behind(&self, bytes: usize) -> Option<char> {
        self.rest().get(bytes..)?.chars().next()
    }
}

impl Anonymizer {
    /// The value of a header, a URI, a Call-ID, a tag: all but protocol words and ports names somebody.
    pub(crate) fn value(&mut self, text: &str) -> String {
        self.scan(text, Mode::Name)
    }

    /// What may be text: addresses, and words that named somebody elsewhere.
    pub(super) fn words(&mut self, text: &str) -> String {
        self.scan(text, Mode::Prose)
    }

    /// What somebody said to people: addresses, and words that named somebody elsewhere.
    pub(super) fn spoken(&mut self, text: &str) -> String {
        self.scan(text, Mode::Spoken)
    }

    /// The name of a product, which may have been given the name of somebody.
    pub(super) fn software(&mut self, text: &str) -> String {
        self.scan(text, Mode::Software)
    }

    fn scan(&mut self, text: &str, mode: Mode) -> String {
        let mut out = String::with_capacity(text.len());
        let mut spot = Spot { text, at: 0, before: None, mode };
        while let Some(first) = spot.rest().chars().next() {
            if let Some(sign) = escaped(spot.rest()) {
                out.extend(spot.rest().get(..3));
                spot.before = Some(sign);
                spot.at += 3;
                continue;
            }
            let used = self
                .address(&spot, &mut out)
                .or_else(|| self.hardware(&spot, &mut out))
                .or_else(|| name_of_parameter(&spot, &mut out))
                .or_else(|| self.host(&spot, &mut out))
                .or_else(|| self.run(&spot, &mut out));
            let used = used.unwrap_or_else(|| {
                out.push(first);
                first.len_utf8()
            });
            spot.at += used;
            spot.before = spot.front().chars().next_back();
        }
        out
    }

    /// An IPv4 or IPv6 address.
    fn address(&mut self, spot: &Spot<'_>, out: &mut String) -> Option<usize> {
        if spot.before.is_some_and(|letter| letter.is_alphanumeric() || letter == '.') {
            return None;
        }
        let four = spot.span(|letter| letter.is_ascii_digit() || letter == '.').trim_end_matches('.');
        let six = spot
            .span(|letter| letter.is_ascii_hexdigit() || matches!(letter, ':' | '.'))
            .trim_end_matches('.');
        let (address, length) = match four.parse::<Ipv4Addr>() {
            Ok(address) if !spot.behind(four.len()).is_some_and(char::is_alphanumeric) => {
                (IpAddr::V4(address), four.len())
            }
            _ if six.matches(':').count() < 2 || spot.before == Some(':') => return None,
            _ => (IpAddr::V6(six.parse::<Ipv6Addr>().ok()?), six.len()),
        };
        if spot.mode == Mode::Software && !self.knows(address) {
            return None;
        }
        out.push_str(&self.ip(address).to_string());
        Some(length)
    }

    /// The address of a network card: six pairs of hexadecimal digits.
    fn hardware(&mut self, spot: &Spot<'_>, out: &mut String) -> Option<usize> {
        let pairs = spot.rest().get(..17)?;
        let sign = pairs.chars().nth(2).filter(|sign| matches!(sign, ':' | '-'))?;
        let digits: Vec<&str> = pairs.split(sign).collect();
        let right = digits.len() == 6
            && digits.iter().all(|pair| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let joined = right.then(|| digits.concat())?;
        out.push_str(&spread(&self.word(&joined), &sign.to_string()));
        Some(pairs.len())
    }

    /// A name with dots that is a host and not a user: `sip.example.com`. Its last label becomes `example`.
    fn host(&mut self, spot: &Spot<'_>, out: &mut String) -> Option<usize> {
        if spot.before.is_some_and(|letter| letter.is_alphanumeric() || letter == '.') {
            return None;
        }
        let whole = spot.span(|letter| letter.is_alphanumeric() || matches!(letter, '.' | '-' | '_'));
        let whole = whole.trim_end_matches(['.', '-', '_']);
        let labels: Vec<&str> = whole.split('.').collect();
        let (last, front) = labels.split_last()?;
        let named = last.len() >= 2 && last.chars().all(char::is_alphabetic);
        let user = spot.behind(whole.len()) == Some('@');
        if front.is_empty() || !named || user || front.iter().any(|label| label.is_empty()) {
            return None;
        }
        if spot.mode != Mode::Name && !front.iter().any(|label| self.known(label).is_some()) {
            return None;
        }
        for label in front {
            for (at, part) in label.split('-').enumerate() {
                if at > 0 {
                    out.push('-');
                }
                out.push_str(&if is_protocol(part) { part.to_owned() } else { self.word(part) });
            }
            out.push('.');
        }
        out.push_str(if KEPT_DOMAINS.contains(last) { last } else { "example" });
        Some(whole.len())
    }

    /// Letters and digits without a break.
    fn run(&mut self, spot: &Spot<'_>, out: &mut String) -> Option<usize> {
        let run = Some(spot.span(char::is_alphanumeric)).filter(|run| !run.is_empty())?;
        if spot.mode != Mode::Name {
            let number = run.bytes().all(|byte| byte.is_ascii_digit());
            let short = spot.mode != Mode::Spoken && run.len() < if number { 4 } else { 3 };
            let told = short || is_protocol(run) || is_port(run, spot) || spot.front().ends_with("RFC ");
            let known = if told { None } else { self.known(run) };
            out.push_str(known.as_deref().unwrap_or(run));
            return Some(run.len());
        }
        let kept = is_protocol(run)
            || is_port(run, spot)
            || parameter(spot.front()).is_some_and(|name| KEPT_PARAMETERS.contains(&name.as_str()));
        // The cookie of RFC 3261 tells how to match what follows it.
        let cookie = run.get(..COOKIE.len()).filter(|start| start.eq_ignore_ascii_case(COOKIE));
        let (front, own) = run.split_at_checked(cookie.map_or(0, str::len)).unwrap_or(("", run));
        out.push_str(front);
        out.push_str(&if kept { own.to_owned() } else { self.word(own) });
        Some(run.len())
    }
}

/// The sign that `%40` stands for.
fn escaped(rest: &str) -> Option<char> {
    let digits = rest.strip_prefix('%')?.get(..2)?;
    u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+')).map(char::from)
}

/// The name of a parameter, with a value or alone: it names nobody.
fn name_of_parameter(spot: &Spot<'_>, out: &mut String) -> Option<usize> {
    if spot.mode != Mode::Name || spot.front().trim().is_empty() {
        return None;
    }
    let alone = matches!(spot.before?, ';' | '?' | '&');
    if !(alone || matches!(spot.before?, ' ' | '\t' | ',')) {
        return None;
    }
    let name = spot.span(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_' | '+'));
    let valued = spot.behind(name.len()) == Some('=')
        && spot.behind(name.len() + 1).is_some_and(|first| !matches!(first, '=' | '@' | ';' | ' '));
    let ends =
        spot.behind(name.len()).is_none_or(|next| matches!(next, ';' | ',' | '>' | '?' | '&' | ' ' | '"'));
    (!name.is_empty() && (valued || alone && ends)).then(|| {
        out.push_str(name);
        name.len()
    })
}

/// Pairs of digits with a sign between them.
fn spread(digits: &str, sign: &str) -> String {
    let letters: Vec<char> = digits.chars().collect();
    letters.chunks(2).map(|pair| pair.iter().collect::<String>()).collect::<Vec<_>>().join(sign)
}

/// Whether a run is the port behind a host.
fn is_port(run: &str, spot: &Spot<'_>) -> bool {
    let digits = run.len() <= 5 && run.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || spot.before != Some(':') || spot.behind(run.len()) == Some('@') {
        return false;
    }
    let Some(host) = spot.front().strip_suffix(':') else { return false };
    let word = host.rsplit(|letter: char| !(letter.is_alphanumeric() || matches!(letter, '.' | '-'))).next();
    let scheme = ["sip", "sips", "tel"]
        .iter()
        .any(|scheme| word.is_some_and(|word| word.eq_ignore_ascii_case(scheme)));
    !scheme && host.ends_with(|letter: char| letter.is_alphanumeric() || letter == ']')
}

/// The name of the parameter whose value comes behind this.
fn parameter(front: &str) -> Option<String> {
    let start = front.rfind([';', ',', '?', '&', '<', '>', ' ', '"'])?;
    let (name, _) = front.get(start + 1..)?.split_once('=')?;
    Some(name.to_ascii_lowercase())
}

/// Whether a word belongs to the protocol and names nobody.
pub(super) fn is_protocol(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    PROTOCOL.contains(&lower.as_str())
}

/// The cookie of a branch (RFC 3261 §8.1.1.7).
const COOKIE: &str = "z9hG4bK";

/// Domains that name nobody.
const KEPT_DOMAINS: [&str; 4] = ["example", "invalid", "localhost", "test"];

/// Parameters whose values name nobody.
const KEPT_PARAMETERS: [&str; 31] = [
    "transport",
    "ttl",
    "q",
    "expires",
    "rport",
    "user",
    "method",
    "cause",
    "refresher",
    "reason",
    "handling",
    "purpose",
    "privacy",
    "screen",
    "party",
    "counter",
    "index",
    "algorithm",
    "qop",
    "nc",
    "stale",
    "comp",
    "audio",
    "video",
    "methods",
    "events",
    "schemes",
    "reg-id",
    "answer-after",
    "info",
    "state",
];

/// Words of the protocol.
const PROTOCOL: [&str; 62] = [
    "sip",
    "sips",
    "tel",
    "http",
    "https",
    "urn",
    "uuid",
    "gsma",
    "imei",
    "tag",
    "branch",
    "received",
    "maddr",
    "lr",
    "ob",
    "gr",
    "isub",
    "phone",
    "ip",
    "replaces",
    "to",
    "from",
    "early",
    "only",
    "remote",
    "udp",
    "tcp",
    "tls",
    "sctp",
    "ws",
    "wss",
    "invite",
    "ack",
    "bye",
    "cancel",
    "options",
    "register",
    "prack",
    "update",
    "subscribe",
    "notify",
    "publish",
    "info",
    "refer",
    "message",
    "digest",
    "basic",
    "auth",
    "anonymous",
    "unknown",
    "restricted",
    "localhost",
    "invalid",
    "example",
    "id",
    "ni",
    "in",
    "ip4",
    "ip6",
    "yes",
    "no",
    "off",
];
