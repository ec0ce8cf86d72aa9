//! JSON for programs, call by call: `docs/analyze.schema.json` describes it.

mod text;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::Hash;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::slice::IterMut;

use midcall_proto::observer::{Kind, Repeat};
use midcall_proto::rules::Cite;
use midcall_proto::time::Instant;
use serde::{Serialize, Serializer};

use self::text::{Text, Texts};
use super::stats::{BySeverity, Stats, Tally};
use crate::model;
use crate::source::Summary;

/// Writes a report as it grows: each call as it comes, what was read and the numbers at the end.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    calls: u64,
    /// The call that is written, as a whole.
    text: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Begins a report.
    ///
    /// # Errors
    /// What the writer says.
    pub fn new(mut out: W) -> io::Result<Self> {
        write!(out, "{{\"midcall\":\"{}\",\n\"calls\":[", env!("CARGO_PKG_VERSION"))?;
        Ok(Self { out, calls: 0, text: Vec::new() })
    }

    /// Writes a call.
    ///
    /// # Errors
    /// What the writer says.
    pub fn call(&mut self, call: &model::Call) -> io::Result<()> {
        self.text.clear();
        self.text.extend_from_slice(if self.calls == 0 { b"\n" } else { b",\n" });
        self.calls += 1;
        Call::from(call).serialize(&mut serde_json::Serializer::with_formatter(&mut self.text, Texts))?;
        self.out.write_all(&self.text)
    }

    /// Lets whoever reads have the calls that were written.
    ///
    /// # Errors
    /// What the writer says.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Ends the report.
    ///
    /// # Errors
    /// What the writer says.
    pub fn finish(mut self, sources: &[Summary], stats: &Stats) -> io::Result<W> {
        write!(self.out, "\n],\n\"sources\":")?;
        let sources: Vec<Source> = sources.iter().map(Source::from).collect();
        serde_json::to_writer(&mut self.out, &sources)?;
        write!(self.out, ",\n\"stats\":")?;
        serde_json::to_writer(&mut self.out, &Numbers::from(stats))?;
        writeln!(self.out, "}}")?;
        Ok(self.out)
    }
}

#[derive(Serialize)]
struct Call<'c> {
    number: u32,
    call_id: &'c str,
    parties: Parties<'c>,
    began: f64,
    ended: Option<f64>,
    messages: Each<'c, model::Message, Message<'c>>,
    dialogs: Each<'c, model::DialogInfo, Dialog<'c>>,
    changes: Each<'c, model::Change, Change<'c>>,
    findings: Each<'c, model::Finding, Finding<'c>>,
    story: Each<'c, model::Moment, Moment<'c>>,
    legs: Each<'c, model::Leg, Leg<'c>>,
    dropped: u64,
}

/// A list of which each one is written in another form.
struct Each<'c, T, F>(&'c [T], fn(&'c T) -> F);

impl<T, F: Serialize> Serialize for Each<'_, T, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(self.1))
    }
}

#[derive(Serialize)]
struct Parties<'c> {
    caller: Person<'c>,
    callee: Person<'c>,
}

#[derive(Serialize)]
struct Person<'c> {
    uri: &'c str,
    name: &'c str,
    tag: &'c str,
    address: Address,
    user_agent: Option<&'c str>,
}

#[derive(Serialize)]
struct Message<'c> {
    n: u32,
    at: f64,
    from: Address,
    to: Address,
    transport: &'static str,
    by: &'static str,
    copy: Option<Copy>,
    orphan: bool,
    summary: &'c str,
    raw: Text<'c>,
    source: u16,
    place: u64,
    cut: bool,
}

/// An address and its port as text.
struct Address(SocketAddr);

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let SocketAddr::V4(address) = self.0 else { return serializer.collect_str(&self.0) };
        let mut text = [0; "255.255.255.255:65535".len()];
        let mut rest = text.iter_mut();
        for (octet, behind) in address.ip().octets().into_iter().zip(*b"...:") {
            decimal(&mut rest, u16::from(octet));
            put(&mut rest, behind);
        }
        decimal(&mut rest, address.port());
        let unused = rest.len();
        serializer.serialize_bytes(text.get(..text.len() - unused).unwrap_or_default())
    }
}

#[derive(Serialize)]
struct Copy {
    of: u32,
    how: &'static str,
}

#[derive(Serialize)]
struct Dialog<'c> {
    caller_tag: &'c str,
    callee_tag: &'c str,
    whole: bool,
}

#[derive(Serialize)]
struct Change<'c> {
    messages: &'c [u32],
    by: &'static str,
    method: &'static str,
    what: &'c [&'static str],
    outcome: &'static str,
    status: Option<u16>,
}

#[derive(Serialize)]
struct Finding<'c> {
    rule: &'static str,
    severity: &'static str,
    certainty: &'static str,
    by: &'static str,
    at: u32,
    because: &'c [u32],
    rfc: Vec<Section>,
    title: &'c str,
    means: &'c str,
    fix: &'c str,
    consequences: Vec<Consequence<'c>>,
}

#[derive(Serialize)]
struct Section {
    rfc: u16,
    section: &'static str,
}

#[derive(Serialize)]
struct Consequence<'c> {
    at: u32,
    what: &'c str,
    rule: Option<&'static str>,
}

#[derive(Serialize)]
struct Moment<'c> {
    at: u32,
    time: f64,
    by: &'static str,
    what: &'c str,
    streams: &'c [String],
    diff: Lines<'c>,
}

/// The lines of a diff.
struct Lines<'c>(&'c model::Diff);

impl Serialize for Lines<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.signed().map(|line| Text(line.into())))
    }
}

#[derive(Serialize)]
struct Leg<'c> {
    call_id: &'c str,
    confidence: u8,
    because: &'c [&'static str],
}

#[derive(Serialize)]
struct Source<'s> {
    name: &'s str,
    format: &'s str,
    records: u64,
    messages: u64,
    media: u64,
    bytes: u64,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_fast: Option<f64>,
    skipped: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct Numbers {
    messages: u64,
    not_sip: u64,
    outside: u64,
    media: u64,
    media_dropped: u64,
    calls: u64,
    calls_dropped: u64,
    messages_dropped: u64,
    calls_by_worst: BTreeMap<&'static str, u64>,
    findings: BTreeMap<&'static str, u64>,
    by_rule: BTreeMap<String, u64>,
    by_user_agent: BTreeMap<String, u64>,
    by_peer: BTreeMap<String, u64>,
}

impl<'c> From<&'c model::Call> for Call<'c> {
    fn from(call: &'c model::Call) -> Self {
        Self {
            number: call.number,
            call_id: &call.call_id,
            parties: Parties { caller: (&call.caller).into(), callee: (&call.callee).into() },
            began: seconds(call.began()),
            ended: call.ended.map(seconds),
            messages: Each(&call.messages, Message::from),
            dialogs: Each(&call.dialogs, |dialog| Dialog {
                caller_tag: &dialog.caller_tag,
                callee_tag: &dialog.callee_tag,
                whole: dialog.whole,
            }),
            changes: Each(&call.changes, |change| Change {
                messages: &change.messages,
                by: change.by.as_str(),
                method: change.method.as_str(),
                what: &change.what,
                outcome: change.outcome.as_str(),
                status: change.status,
            }),
            findings: Each(&call.findings, Finding::from),
            story: Each(&call.story, Moment::from),
            legs: Each(&call.legs, |leg| Leg {
                call_id: &leg.call_id,
                confidence: leg.confidence,
                because: &leg.because,
            }),
            dropped: call.dropped,
        }
    }
}

impl<'c> From<&'c model::Person> for Person<'c> {
    fn from(person: &'c model::Person) -> Self {
        Self {
            uri: &person.uri,
            name: &person.name,
            tag: &person.tag,
            address: Address(person.address),
            user_agent: person.user_agent.as_deref(),
        }
    }
}

impl<'c> From<&'c model::Message> for Message<'c> {
    fn from(message: &'c model::Message) -> Self {
        let copy = match message.kind {
            Kind::Again { of, how } => Some(Copy {
                of,
                how: match how {
                    Repeat::Resent => "resent",
                    Repeat::Hop => "hop",
                    Repeat::Duplicate => "duplicate",
                    Repeat::Failover => "failover",
                },
            }),
            Kind::First | Kind::Orphan => None,
        };
        Self {
            n: message.n,
            at: seconds(message.at),
            from: Address(message.from),
            to: Address(message.to),
            transport: message.transport.as_str(),
            by: message.by.as_str(),
            copy,
            orphan: message.kind == Kind::Orphan,
            summary: &message.summary,
            raw: Text(text(&message.raw)),
            source: message.place.source,
            place: message.place.number,
            cut: message.cut,
        }
    }
}

impl<'c> From<&'c model::Finding> for Finding<'c> {
    fn from(finding: &'c model::Finding) -> Self {
        let section = |cite: &Cite| Section { rfc: cite.rfc, section: cite.section };
        let consequence = |consequence: &'c model::Consequence| Consequence {
            at: consequence.at,
            what: &consequence.what,
            rule: consequence.code,
        };
        Self {
            rule: finding.code,
            severity: finding.severity.as_str(),
            certainty: finding.certainty.as_str(),
            by: finding.by.as_str(),
            at: finding.at,
            because: &finding.because,
            rfc: finding.cites.iter().map(section).collect(),
            title: &finding.title,
            means: &finding.means,
            fix: &finding.fix,
            consequences: finding.consequences.iter().map(consequence).collect(),
        }
    }
}

impl<'c> From<&'c model::Moment> for Moment<'c> {
    fn from(moment: &'c model::Moment) -> Self {
        Self {
            at: moment.n,
            time: seconds(moment.at),
            by: moment.by.as_str(),
            what: &moment.what,
            streams: &moment.streams,
            diff: Lines(&moment.diff),
        }
    }
}

impl<'s> From<&'s Summary> for Source<'s> {
    fn from(source: &'s Summary) -> Self {
        Self {
            name: &source.name,
            format: &source.format,
            records: source.records,
            messages: source.messages,
            media: source.media,
            bytes: source.bytes,
            clock_fast: (source.clock_fast != 0).then_some(source.clock_fast as f64 / 1e6),
            skipped: source.skipped.iter().map(|skipped| (skipped.reason, skipped.count)).collect(),
        }
    }
}

impl From<&Stats> for Numbers {
    fn from(stats: &Stats) -> Self {
        let severities = |counts: BySeverity| {
            let BySeverity { none, info, warning, error } = counts;
            BTreeMap::from([("none", none), ("info", info), ("warning", warning), ("error", error)])
        };
        let mut findings = severities(stats.findings);
        findings.remove("none");
        Self {
            messages: stats.messages,
            not_sip: stats.not_sip,
            outside: stats.outside,
            media: stats.media,
            media_dropped: stats.media_dropped,
            calls: stats.calls,
            calls_dropped: stats.calls_dropped,
            messages_dropped: stats.messages_dropped,
            calls_by_worst: severities(stats.worst),
            findings,
            by_rule: counts(&stats.by_rule),
            by_user_agent: counts(&stats.by_user_agent),
            by_peer: counts(&stats.by_peer),
        }
    }
}

fn counts<K: Hash + Ord + Clone + ToString>(tally: &Tally<K>) -> BTreeMap<String, u64> {
    tally.ranked().into_iter().map(|(key, count)| (key.to_string(), count)).collect()
}

/// The bytes of a message as text: hardly any has another.
fn text(raw: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(raw).map_or_else(|_| String::from_utf8_lossy(raw), Cow::Borrowed)
}

/// Writes a number in digits.
fn decimal(rest: &mut IterMut<'_, u8>, number: u16) {
    for place in [10_000, 1_000, 100, 10, 1] {
        if number >= place || place == 1 {
            put(rest, b'0' + (number / place % 10) as u8);
        }
    }
}

fn put(rest: &mut IterMut<'_, u8>, byte: u8) {
    if let Some(place) = rest.next() {
        *place = byte;
    }
}

/// Seconds since 1970, exact to the microsecond.
#[allow(clippy::cast_precision_loss, reason = "microseconds of this millennium fit 53 bits")]
fn seconds(at: Instant) -> f64 {
    at.as_micros() as f64 / 1e6
}

#[cfg(test)]
mod tests;
