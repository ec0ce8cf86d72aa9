//! A call as a scenario for SIPp in which one party is played, so that its peer can be tried against anything.
//!
//! What the party sent is sent as it was: its descriptions, headers and numbers, wrong ones too. Addresses, Call-ID, tags and
//! branches are SIPp's own; what belongs to a message that came is taken from that message. Its pauses are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use midcall_proto::observer::Party;
use midcall_wire::{Method, Name};

use super::Unexportable;
use super::names::{self, Names};
use super::read::{Line, lines};
use crate::model::Call;

/// Writes the scenario of a party of a call.
///
/// # Errors
/// Why the party cannot be played.
pub fn sipp(call: &Call, party: Party) -> Result<String, Unexportable> {
    let lines = lines(call)?;
    if lines.first().is_some_and(|first| !first.sip.is_request() || !first.receivers_tag().is_empty()) {
        return Err(Unexportable::Joined);
    }
    if party == Party::Network || !lines.iter().any(|line| line.by == party) {
        return Err(Unexportable::Silent);
    }
    let mut scenario = Scenario {
        party,
        caller: lines.first().is_some_and(|first| first.by == party),
        lines: &lines,
        names: Names::of(call),
        saved: saved(&lines, party),
        out: String::new(),
        variables: BTreeSet::new(),
        target: None,
        tags: Vec::new(),
        media: None,
    };
    for at in 0..lines.len() {
        scenario.line(at);
    }
    Ok(scenario.finish())
}

struct Scenario<'s> {
    party: Party,
    /// Whether the party begins the call.
    caller: bool,
    lines: &'s [Line<'s>],
    names: Names,
    /// Of which requests that come some headers are needed later.
    saved: BTreeMap<usize, bool>,
    out: String,
    variables: BTreeSet<String>,
    /// The line of which the Contact is where requests go.
    target: Option<usize>,
    /// The tags of this party, in the order in which it gave them.
    tags: Vec<String>,
    /// Its first media address and port.
    media: Option<(String, u16)>,
}

/// Requests that come, each with whether something else comes before it is answered: then its headers must be kept.
fn saved(lines: &[Line<'_>], party: Party) -> BTreeMap<usize, bool> {
    let mut saved = BTreeMap::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.by == party && line.again.is_none()) {
        if let Some(of) = line.of.filter(|_| line.sip.is_response()) {
            let between = lines.iter().take(at).skip(of + 1).any(|own| own.by != party);
            *saved.entry(of).or_insert(false) |= between;
        }
    }
    saved
}

impl Scenario<'_> {
    fn line(&mut self, at: usize) {
        let lines = self.lines;
        let Some(line) = lines.get(at).filter(|line| line.again.is_none()) else { return };
        self.names.speaks(self.party);
        if line.by != self.party {
            self.receive(at, line);
            return;
        }
        self.pause(at, line);
        let text = if line.sip.is_request() { self.request(at, line) } else { self.response(line) };
        let mut attributes = String::new();
        if line.sip.is_request() {
            let name = if line.is(Method::Ack) { "ack_txn" } else { "start_txn" };
            attributes.push_str(&self.transaction(at, name));
        }
        if self.resends(at, line) {
            attributes.push_str(" retrans=\"500\"");
        }
        let text = text.replace("]]>", "]] >");
        let _ = write!(self.out, "\n  <send{attributes}>\n    <![CDATA[\n\n{text}\n    ]]>\n  </send>\n");
    }

    /// The party waited before it sent this.
    fn pause(&mut self, at: usize, line: &Line<'_>) {
        let before = at.checked_sub(1).and_then(|before| self.lines.get(before));
        let gap = before.map_or(Duration::ZERO, |before| line.message.at.since(before.message.at));
        if gap >= PAUSE {
            let _ = writeln!(self.out, "\n  <pause milliseconds=\"{}\"/>", gap.as_millis());
        }
    }

    /// Whether a message is sent again until it is answered: not where the party did not though it had to wait, nor where it
    /// went on before the answer, since SIPp sends nothing else while something waits to be sent again.
    fn resends(&self, at: usize, line: &Line<'_>) -> bool {
        let accepted = line.is_final_of_invite() && line.status() < Some(300);
        let asks = line.sip.is_request() && !line.is(Method::Ack);
        if line.message.transport.reliable() || !(accepted || asks) {
            return false;
        }
        let again = self.lines.iter().any(|own| own.again == Some(at));
        let later = || self.lines.iter().skip(at + 1).filter(|own| own.again.is_none());
        let answers = |own: &&Line<'_>| own.of == Some(at) && own.by != line.by;
        let next = later().find(|own| own.by == line.by || answers(own));
        if next.is_some_and(|next| next.by == line.by) {
            return false;
        }
        let soon = later().find(answers).is_some_and(|answer| answer.message.at.since(line.message.at) < T1);
        again || soon
    }

    // ---- what comes

    fn receive(&mut self, at: usize, line: &Line<'_>) {
        self.meanwhile(line);
        let provisional = line.status().is_some_and(|status| status < 200) && !line.is_reliable();
        // Something that must come has to follow what may come.
        let more = self.lines.iter().skip(at + 1).find(|own| own.again.is_none());
        let optional = provisional && more.is_some_and(|more| more.by != self.party);
        let mut attributes = match line.status() {
            Some(status) => {
                let of = line.of.map(|of| self.transaction(of, "response_txn")).unwrap_or_default();
                format!("response=\"{status}\"{of}")
            }
            None => format!("request=\"{}\"", line.sip.method_name()),
        };
        if optional {
            attributes.push_str(" optional=\"true\"");
        } else if self.routed() && (line.is(Method::Invite) || line.is_final_of_invite()) {
            attributes.push_str(" rrs=\"true\"");
        }
        if matches!(line.status(), Some(401 | 407)) {
            attributes.push_str(" auth=\"true\"");
        }
        let saves = if optional { String::new() } else { self.saves(at, line) };
        if saves.is_empty() {
            let _ = writeln!(self.out, "\n  <recv {attributes}/>");
        } else {
            let _ =
                writeln!(self.out, "\n  <recv {attributes}>\n    <action>\n{saves}    </action>\n  </recv>");
        }
    }

    /// Another peer may say more before its final response than the one of the trace did.
    fn meanwhile(&mut self, line: &Line<'_>) {
        let Some(of) = line.of.filter(|_| line.is_final_of_invite()) else { return };
        let transaction = self.transaction(of, "response_txn");
        for status in [100, 180, 183] {
            let told = self.lines.iter().any(|own| own.of == Some(of) && own.status() == Some(status));
            if !told {
                let _ =
                    writeln!(self.out, "\n  <recv response=\"{status}\"{transaction} optional=\"true\"/>");
            }
        }
    }

    /// What later messages need of one that comes.
    fn saves(&mut self, at: usize, line: &Line<'_>) -> String {
        let mut wanted: Vec<(String, &str, &str)> = Vec::new();
        let mut want = |name: &str, header, pattern| wanted.push((format!("{name}{at}"), header, pattern));
        if self.saved.get(&at) == Some(&true) {
            want("via", "Via:", ".*");
            want("cseq", "CSeq:", ".*");
            want("from", "From:", ".*");
            want("to", "To:", ".*");
        } else if at == 0 {
            // In each request of the party its peer is whom the first From names.
            want("from", "From:", ".*");
            want("to", "To:", ".*");
        }
        let success = line.status().is_none_or(|status| (200..300).contains(&status)) || line.is_reliable();
        let refreshes = matches!(line.sip.method(), Method::Invite | Method::Update) && success;
        if refreshes && line.sip.header(Name::Contact).is_some() {
            want("target", "Contact:", "sips?:[^>;]*(;transport=[a-z]*)?");
            self.target = Some(at);
        }
        if line.is_reliable() {
            want("rseq", "RSeq:", "[0-9]+");
        }
        let mut text = String::new();
        for (variable, header, pattern) in wanted {
            let _ = writeln!(
                text,
                "      <ereg regexp=\"{pattern}\" search_in=\"hdr\" header=\"{header}\" start_line=\"true\" assign_to=\"{variable}\"/>"
            );
            self.variables.insert(variable);
        }
        text
    }

    // ---- what goes

    fn request(&mut self, at: usize, line: &Line<'_>) -> String {
        let method = line.sip.method();
        let of = line.of.and_then(|of| self.lines.get(of));
        let failed = of.is_some_and(|of| of.status() >= Some(300));
        let fresh = "sip:[service]@[remote_ip]:[remote_port]".to_owned();
        let uri = match self.target {
            Some(target) if !(line.is(Method::Cancel) || line.is(Method::Ack) && failed) => {
                format!("[$target{target}]")
            }
            _ => fresh.clone(),
        };
        let own = format!("<sip:{}@[local_ip]:[local_port]>", names::name(self.party));
        let tag = self.tag(line.senders_tag());
        let (from, to) = if self.caller {
            let peer = if line.receivers_tag().is_empty() { "" } else { "[peer_tag_param]" };
            (format!("{own}{tag}"), format!("<{fresh}>{peer}"))
        } else {
            (format!("[$to0]{tag}"), "[$from0]".to_owned())
        };
        let mut text = format!("{} {uri} SIP/2.0\n", line.sip.method_name());
        let _ = writeln!(
            text,
            "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch={}",
            self.branch(at, line)
        );
        if self.routed() && !line.receivers_tag().is_empty() {
            text.push_str("[routes]\n");
        }
        let _ = writeln!(text, "From: {from}\nTo: {to}\nCall-ID: [call_id]");
        let cseq = line.sip.cseq().map(|cseq| cseq.name.to_owned());
        let _ = writeln!(text, "CSeq: {} {}", line.cseq(), cseq.as_deref().unwrap_or(line.sip.method_name()));
        if method == Method::Prack
            && let Some(response) = line.of
        {
            let invite = self.lines.get(response).map_or(0, Line::cseq);
            let _ = writeln!(text, "RAck: [$rseq{response}] {invite} INVITE");
        }
        self.rest(line, text)
    }

    fn response(&mut self, line: &Line<'_>) -> String {
        let of = line.of.unwrap_or(0);
        let status = line.status().unwrap_or(200);
        let reason = midcall_wire::reason_phrase(status);
        let mut text = format!("SIP/2.0 {status} {reason}\n");
        let asked = self.lines.get(of).map(Line::receivers_tag).unwrap_or_default();
        let tag = if asked.is_empty() && !line.receivers_tag().is_empty() {
            self.tag(line.receivers_tag())
        } else {
            String::new()
        };
        if self.saved.get(&of) == Some(&true) {
            let _ = writeln!(
                text,
                "Via: [$via{of}]\nFrom: [$from{of}]\nTo: [$to{of}]{tag}\nCall-ID: [call_id]\nCSeq: [$cseq{of}]"
            );
        } else {
            let _ =
                writeln!(text, "[last_Via:]\n[last_From:]\n[last_To:]{tag}\n[last_Call-ID:]\n[last_CSeq:]");
        }
        if line.sip.header(Name::RecordRoute).is_some() {
            text.push_str("[last_Record-Route:]\n");
        }
        self.rest(line, text)
    }

    /// The headers that are the party's own, and the body.
    fn rest(&mut self, line: &Line<'_>, mut text: String) -> String {
        for header in line.sip.headers() {
            if STRUCTURE.contains(&header.name) || header.name == Name::Other {
                continue;
            }
            let value = String::from_utf8_lossy(header.value).replace("\r\n", " ");
            let value = match header.name {
                Name::Authorization | Name::ProxyAuthorization => {
                    text.push_str("[authentication]\n");
                    continue;
                }
                name if PROTOCOL.contains(&name) => keywords(&value),
                _ => {
                    let value = keywords(&self.names.value(&value));
                    let own = names::address(self.party);
                    value
                        .replace(&own.to_string(), "[local_ip]:[local_port]")
                        .replace(&own.ip().to_string(), "[local_ip]")
                }
            };
            let _ = writeln!(text, "{}: {value}", header.name.as_str());
        }
        let body = match line.description() {
            Some(description) => self.description(description),
            None => keywords(&String::from_utf8_lossy(line.sip.body())).replace("\r\n", "\n"),
        };
        if body.is_empty() {
            text.push_str("Content-Length: 0\n");
        } else {
            let _ = write!(text, "Content-Length: [len]\n\n{}\n", body.trim_end());
        }
        text
    }

    /// A description at the addresses of this SIPp: ports by their distance from the first.
    fn description(&mut self, text: &str) -> String {
        let address = |line: &str| {
            line.strip_prefix("c=IN ").and_then(|rest| rest.split(' ').nth(1)).map(str::to_owned)
        };
        let port =
            |line: &str| line.strip_prefix("m=").and_then(|rest| rest.split(' ').nth(1)?.parse::<u16>().ok());
        let live = |address: &String| address != "0.0.0.0" && address != "::";
        if self.media.is_none() {
            let address = text.lines().find_map(address).filter(live);
            let port = text.lines().find_map(port).filter(|port| *port != 0);
            self.media = address.zip(port);
        }
        let mut out = String::new();
        for line in text.lines() {
            let line = line.trim_end_matches('\r');
            let fresh = match (line.get(..2), &self.media) {
                (Some("c="), Some((first, _))) if address(line).as_ref() == Some(first) => {
                    "c=IN IP[media_ip_type] [media_ip]".to_owned()
                }
                (Some("m="), Some((_, first))) => match port(line) {
                    Some(own) if own != 0 => {
                        line.replacen(&format!(" {own} "), &format!(" {} ", at(*first, own)), 1)
                    }
                    _ => keywords(line),
                },
                _ => {
                    let own = names::address(self.party).ip().to_string();
                    let line = keywords(&self.names.sdp_line(line));
                    if line.starts_with("o=") {
                        let mut words: Vec<&str> = line.split(' ').collect();
                        if let Some(address) = words.last_mut() {
                            *address = "[local_ip]";
                        }
                        words.join(" ")
                    } else {
                        line.replace(&own, "[media_ip]")
                    }
                }
            };
            let _ = writeln!(out, "{fresh}");
        }
        out
    }

    /// This party's tag in a dialog.
    fn tag(&mut self, tag: &str) -> String {
        if tag.is_empty() {
            return String::new();
        }
        let known = self.tags.iter().position(|own| own == tag);
        let at = known.unwrap_or_else(|| {
            self.tags.push(tag.to_owned());
            self.tags.len() - 1
        });
        format!(";tag=[pid]-[call_number]-{}", at + 1)
    }

    /// A branch of its own for each transaction; whatever shared one in the trace still does.
    fn branch(&self, at: usize, line: &Line<'_>) -> String {
        let same =
            |own: &Line<'_>| own.by == line.by && own.sip.is_request() && own.branch() == line.branch();
        let first = self.lines.iter().position(same).unwrap_or(at);
        let cookie = if line.branch().starts_with("z9hG4bK") { "z9hG4bK" } else { "" };
        format!("{cookie}-[pid]-[call_number]-{}", first + 1)
    }

    /// SIPp tells responses apart by transaction only where the scenario names all of its messages.
    fn transaction(&self, at: usize, attribute: &str) -> String {
        let line = self.lines.get(at);
        let request = match line {
            Some(line) if line.is(Method::Ack) => {
                line.of.and_then(|of| self.lines.get(of)).and_then(|of| of.of)
            }
            _ => Some(at),
        };
        let Some(request) = request else { return String::new() };
        let answers = || {
            self.lines.iter().enumerate().filter(|(_, own)| own.of == Some(request) && own.sip.is_response())
        };
        let acked = self.lines.iter().any(|own| {
            own.is(Method::Ack)
                && own.again.is_none()
                && own.of.is_some_and(|of| answers().any(|(answer, _)| answer == of))
        });
        let invite = self.lines.get(request).is_some_and(|request| request.is(Method::Invite));
        if answers().next().is_some() && acked == invite {
            format!(" {attribute}=\"t{}\"", request + 1)
        } else {
            String::new()
        }
    }

    /// Whether proxies stay on the path.
    fn routed(&self) -> bool {
        self.lines.iter().any(|line| line.sip.header(Name::RecordRoute).is_some())
    }

    fn finish(self) -> String {
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE scenario SYSTEM \"sipp.dtd\">\n\n\
             <scenario name=\"the {} of a traced call\">\n{}\n",
            self.party, self.out
        );
        if !self.variables.is_empty() {
            let names: Vec<String> = self.variables.into_iter().collect();
            let _ = writeln!(text, "  <Reference variables=\"{}\"/>\n", names.join(","));
        }
        text.push_str("  <timewait milliseconds=\"1000\"/>\n</scenario>\n");
        text
    }
}

/// Text in which nothing is a keyword of SIPp.
fn keywords(text: &str) -> String {
    text.replace('[', "(").replace(']', ")")
}

/// A port by its distance from the first.
fn at(first: u16, own: u16) -> String {
    match i32::from(own) - i32::from(first) {
        0 => "[media_port]".to_owned(),
        more if more > 0 => format!("[media_port+{more}]"),
        less => format!("[media_port{less}]"),
    }
}

/// Headers that the scenario gives by itself.
const STRUCTURE: [Name; 14] = [
    Name::Via,
    Name::From,
    Name::To,
    Name::CallId,
    Name::CSeq,
    Name::Route,
    Name::RecordRoute,
    Name::RAck,
    Name::ContentLength,
    Name::Date,
    Name::Timestamp,
    Name::Identity,
    Name::IdentityInfo,
    Name::SessionId,
];

/// Headers that name nobody.
const PROTOCOL: [Name; 26] = [
    Name::MaxForwards,
    Name::Allow,
    Name::Supported,
    Name::Require,
    Name::ProxyRequire,
    Name::Unsupported,
    Name::ContentType,
    Name::ContentDisposition,
    Name::ContentEncoding,
    Name::Accept,
    Name::AcceptEncoding,
    Name::AcceptLanguage,
    Name::AllowEvents,
    Name::SessionExpires,
    Name::MinSe,
    Name::RSeq,
    Name::Expires,
    Name::MinExpires,
    Name::RetryAfter,
    Name::ReferSub,
    Name::Event,
    Name::SubscriptionState,
    Name::Privacy,
    Name::PEarlyMedia,
    Name::UserAgent,
    Name::Server,
];

/// A wait from here on is kept.
const PAUSE: Duration = Duration::from_millis(50);

/// RFC 3261 §17.1.1.1: how soon a message is sent again.
const T1: Duration = Duration::from_millis(500);
