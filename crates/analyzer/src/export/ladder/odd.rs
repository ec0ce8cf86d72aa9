//! What no scripted party would write by itself, in places that a ladder otherwise levels out: numbers that cannot be, the own
//! Via and From, the length, where a message comes from.

use std::net::SocketAddr;

use midcall_wire::{Method, Name, Uri, Via};

use super::{Line, Writer};
use crate::export::names::{address, letter};

impl Writer<'_> {
    pub(super) fn odd(&mut self, at: usize, line: &Line<'_>, words: &mut Vec<String>) {
        if line.sip.cseq().is_err()
            && let Some(told) = line.sip.header(Name::CSeq).filter(|value| is_plain(value))
        {
            words.push(format!("[CSeq: {told}]"));
        }
        if line.sip.is_request() {
            self.identity(at, line, words);
            self.protection(at, line, words);
        } else {
            self.source(line, words);
        }
        if line.is(Method::Prack) {
            self.acknowledged(line, words);
        }
        if line.message.transport.reliable() && line.sip.header(Name::ContentLength).is_none() {
            words.push("[-Content-Length]".to_owned());
        }
        if self.is_told("TX-26", line) {
            let length = line.message.raw.len().min(MOST_PADDING);
            words.push(format!("[X-Padding: {}]", "x".repeat(length)));
        }
    }

    /// A From that is not the one with which the sender began.
    fn identity(&mut self, at: usize, line: &Line<'_>, words: &mut Vec<String>) {
        let Some((Ok(from), person)) = self.call.person(line.by).map(|person| (line.sip.from(), person))
        else {
            return;
        };
        let who =
            |uri: &str| Uri::parse(uri).ok().map(|uri| (uri.user.map(str::to_owned), uri.host.to_owned()));
        let first = at == 0 && !self.joined;
        if first || self.tags.len() > 1 || from.tag().is_none() || who(from.uri) == who(&person.uri) {
            return;
        }
        let uri = self.names.value(from.uri);
        if is_plain(&uri) {
            words.push(format!("[From: <{uri}>;tag={{tag {}}}]", letter(line.by)));
        }
    }

    /// The transport that a Via names, where a party does not always go the same secure way.
    fn protection(&self, at: usize, line: &Line<'_>, words: &mut Vec<String>) {
        let asked = self.lines.iter().filter(|own| own.by == line.by && own.sip.is_request());
        let mut safe = asked.map(is_safe);
        let first = safe.next();
        if !is_safe(line) || safe.all(|one| Some(one) == first) {
            return;
        }
        let invite = line.of.and_then(|of| self.lines.get(of).map(|own| own.of.unwrap_or(of)));
        let same = invite.filter(|nth| self.lines.get(*nth).is_some_and(|own| own.branch() == line.branch()));
        let branch = match same {
            Some(nth) => format!("{{branch {}}}", nth + 1),
            None => format!("z9hG4bKsafe{at}"),
        };
        words.push(format!("[Via: SIP/2.0/TLS {};branch={branch};rport]", address(line.by)));
    }

    /// Where a response comes from, if that is what is wrong with it.
    fn source(&mut self, line: &Line<'_>, words: &mut Vec<String>) {
        let own = self.call.person(line.by).map(|person| person.address);
        if own != Some(line.message.from) && self.is_told("TX-30", line) {
            let ip = self.names.ip(line.message.from.ip());
            words.push(format!("by={}", SocketAddr::new(ip, line.message.from.port())));
        }
    }

    /// What a PRACK names, if that is not the response before it.
    fn acknowledged(&self, line: &Line<'_>, words: &mut Vec<String>) {
        let (Some(Ok(told)), Some(of)) = (line.sip.rack(), line.of) else { return };
        let Some(response) = self.lines.get(of) else { return };
        let (Some(Ok(number)), Ok(cseq)) = (response.sip.rseq(), response.sip.cseq()) else { return };
        if told.rseq == number && told.cseq == cseq.number && told.method == cseq.method {
            return;
        }
        // In a ladder the first is 1.
        let first = self.lines.iter().find(|own| own.is_reliable() && own.by == response.by);
        let first = first.and_then(|own| own.sip.rseq()).and_then(Result::ok).unwrap_or(number);
        let rseq = told.rseq.wrapping_sub(first).wrapping_add(1);
        let asked = response.of.filter(|_| told.cseq == cseq.number);
        let cseq = asked.map_or_else(|| told.cseq.to_string(), |asked| format!("{{cseq {}}}", asked + 1));
        words.push(format!("[RAck: {rseq} {cseq} {}]", told.method.as_str()));
    }

    /// Whether this rule is said to be broken by this message.
    fn is_told(&self, code: &str, line: &Line<'_>) -> bool {
        self.call.findings.iter().any(|finding| finding.code == code && finding.at == line.message.n)
    }
}

fn is_safe(line: &Line<'_>) -> bool {
    let own = line.sip.values(Name::Via).last().and_then(|via| Via::parse(via).ok());
    own.is_some_and(|via| ["TLS", "WSS"].iter().any(|safe| via.transport.eq_ignore_ascii_case(safe)))
}

/// Whether a word of a ladder can hold it.
fn is_plain(value: &str) -> bool {
    !value.contains(['{', '}', '[', ']', '"', '#']) && !value.contains(char::is_control)
}

/// So long a message needs several packets on any path.
const MOST_PADDING: usize = 1_600;
