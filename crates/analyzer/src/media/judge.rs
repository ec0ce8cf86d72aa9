//! What flowed against what was agreed.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use midcall_proto::observer::{Certainty, Party};
use midcall_proto::rules::{Rule, Severity};
use midcall_proto::time::Instant;
use midcall_wire::Method;

use super::flows::{Flow, Flows, Passed};
use super::places::{Span, Stream, places, spans};
use crate::diagnosis::{self, Exchange, Marked, Reading, Worded, by_id, exchanges, seconds};
use crate::model::{Call, Finding};

/// Everything that the media of a call says about it.
pub(super) fn judge(call: &Call, flows: &Flows) -> Vec<Finding> {
    let reading = Reading::new(call);
    let exchanges = exchanges(&reading, |n| reading.sdp(n));
    let known: HashSet<SocketAddr> = exchanges
        .iter()
        .flat_map(|exchange| {
            let answered = exchange.answer.as_ref().map(|(_, sdp)| sdp);
            places(&exchange.offered).chain(answered.into_iter().flat_map(places)).collect::<Vec<_>>()
        })
        .collect();
    // A flow of this call comes from one of its places or goes to one.
    let mut own: Vec<&Flow> = known.iter().flat_map(|place| flows.at(*place)).collect();
    own.sort_by_key(|flow| (flow.from, flow.to));
    own.dedup_by_key(|flow| (flow.from, flow.to));
    if own.is_empty() {
        return Vec::new();
    }
    let bye = reading
        .originals()
        .find(|(_, message)| message.is_request() && message.method() == Method::Bye)
        .map(|(own, _)| (own.n, own.by, own.at));
    let end = bye.map_or_else(|| last(call, &own), |(_, _, at)| at);
    let scene = Scene { reading, flows: own, spans: spans(call, &exchanges, end), exchanges, known, bye };
    let mut found = Vec::new();
    scene.old_place(&mut found);
    scene.formats(&mut found);
    scene.on_hold(&mut found);
    scene.one_way(&mut found);
    scene.after_the_end(&mut found);
    scene.refused(&mut found);
    scene.elsewhere(&mut found);
    found
}

fn last(call: &Call, flows: &[&Flow]) -> Instant {
    let media = flows.iter().filter_map(|flow| flow.between(Instant::ZERO, FOR_EVER).last).max();
    call.messages.last().map(|message| message.at).max(media).unwrap_or(Instant::ZERO)
}

struct Scene<'c> {
    reading: Reading<'c>,
    exchanges: Vec<Exchange>,
    flows: Vec<&'c Flow>,
    spans: Vec<Span>,
    /// All places that the call names.
    known: HashSet<SocketAddr>,
    bye: Option<(u32, Party, Instant)>,
}

const BOTH: [Party; 2] = [Party::Caller, Party::Callee];

impl Scene<'_> {
    /// Packets to an address between two times, not from that side itself.
    fn to(&self, place: SocketAddr, begin: Instant, end: Instant) -> Passed {
        let flows = self.flows.iter().filter(|flow| flow.to == place);
        flows.fold(Passed::default(), |sum, flow| sum.and(flow.between(begin, end)))
    }

    /// OA-40: a side moved, and the other still sends to its old place.
    fn old_place(&self, found: &mut Vec<Finding>) {
        for (index, span) in self.spans.iter().enumerate().skip(1) {
            let Some(before) = index.checked_sub(1).and_then(|index| self.spans.get(index)) else { continue };
            for party in BOTH {
                let now: HashSet<_> =
                    span.streams.iter().filter_map(|stream| stream.of(party).place).collect();
                for (was, is) in before.streams.iter().zip(&span.streams) {
                    let (Some(old), Some(new)) = (was.of(party).place, is.of(party).place) else { continue };
                    if old == new || now.contains(&old) || !is.sends(party.other()) {
                        continue;
                    }
                    let passed = self.to(old, span.begin + GRACE, span.end);
                    if !passed.is_a_lot() {
                        continue;
                    }
                    let mover = self.message_of(span, party);
                    let means = format!(
                        "{} moved its {} from {} to {} in {}, and {} still sent RTP to {} until {} after the answer \
                         ({} packets).",
                        self.name(party),
                        is.kind,
                        Marked(old),
                        Marked(new),
                        self.reading.the(mover),
                        self.name(party.other()),
                        Marked(old),
                        passed.last.map_or_else(String::new, |last| seconds(last.since(span.begin))),
                        passed.packets
                    );
                    let mut finding = self.finding(
                        "OA-40",
                        party.other(),
                        mover,
                        &[span.offer, span.answer],
                        "RTP still goes to the old address",
                        means,
                    );
                    // What goes to both is a slow change; what goes to the old one alone is lost.
                    if self.to(new, span.begin, span.end).packets == 0 {
                        finding.severity = Severity::Error;
                    }
                    found.push(finding);
                }
            }
        }
    }

    /// OA-41 and OA-26: payload numbers that the receiver did not list.
    fn formats(&self, found: &mut Vec<Finding>) {
        let mut told: Vec<(Party, u8)> = Vec::new();
        for span in &self.spans {
            for (stream, sender) in self.sending(span) {
                let (own, peer) = (stream.of(sender), stream.of(sender.other()));
                let Some(place) = peer.place else { continue };
                for kind in self.flows.iter().filter(|flow| flow.to == place).flat_map(|flow| &flow.kinds) {
                    let number = kind.payload_type;
                    let listed = peer.formats.iter().any(|(own, _)| *own == number);
                    let passed = kind.between(span.begin + GRACE, span.end);
                    if listed
                        || IGNORED.contains(&number)
                        || !passed.is_a_lot()
                        || told.contains(&(sender, number))
                    {
                        continue;
                    }
                    told.push((sender, number));
                    let codec =
                        own.formats.iter().find(|(own, _)| *own == number).map(|(_, codec)| codec.as_str());
                    let meant = codec.and_then(|codec| peer.formats.iter().find(|(_, other)| other == codec));
                    let described = self.message_of(span, sender.other());
                    let (code, title, means) = match (codec, meant) {
                        (Some(codec), Some((right, _))) => (
                            "OA-26",
                            "RTP with the wrong payload number",
                            format!(
                                "{} sends {codec} with its own number {number}; {} asked for {right} in {}.",
                                self.name(sender),
                                self.name(sender.other()),
                                self.reading.the(described)
                            ),
                        ),
                        _ => (
                            "OA-41",
                            "RTP in a format that was not agreed",
                            format!(
                                "{} sent {} packets with payload number {number}{} to {}, which {} does not list in {} ({}).",
                                self.name(sender),
                                passed.packets,
                                codec.map_or_else(String::new, |codec| format!(" ({codec})")),
                                Marked(place),
                                self.name(sender.other()),
                                self.reading.the(described),
                                numbers(stream, sender.other())
                            ),
                        ),
                    };
                    found.push(self.finding(
                        code,
                        sender,
                        described,
                        &[span.offer, span.answer],
                        title,
                        means,
                    ));
                }
            }
        }
    }

    /// F-HLD9: the receiver wants nothing, and it comes all the same.
    fn on_hold(&self, found: &mut Vec<Finding>) {
        let mut told = Vec::new();
        for span in &self.spans {
            for stream in &span.streams {
                for sender in BOTH {
                    let peer = stream.of(sender.other());
                    let (true, Some(place)) = (peer.live && !stream.sends(sender), peer.place) else {
                        continue;
                    };
                    let passed = self.to(place, span.begin + GRACE, span.end);
                    if !passed.is_a_lot() || passed.time < A_WHILE || told.contains(&sender) {
                        continue;
                    }
                    told.push(sender);
                    let means = format!(
                        "{} is on hold since {} ({} said {}, {} said {}), and {} still sent it {} RTP packets, until {} after \
                         the answer.",
                        diagnosis::capital(&stream.kind),
                        self.reading.the(span.answer),
                        self.name(sender.other()),
                        peer.direction,
                        self.name(sender),
                        stream.of(sender).direction,
                        self.name(sender),
                        passed.packets,
                        passed.last.map_or_else(String::new, |last| seconds(last.since(span.begin)))
                    );
                    found.push(self.finding("F-HLD9", sender, span.answer, &[span.offer], "", means));
                }
            }
        }
    }

    /// F-MED7: one direction is there and the other one is not, nowhere and never.
    fn one_way(&self, found: &mut Vec<Finding>) {
        for span in self.spans.iter().filter(|span| span.end.since(span.begin) >= A_WHILE * 2) {
            for stream in &span.streams {
                for silent in BOTH {
                    let (own, peer) = (stream.of(silent), stream.of(silent.other()));
                    let (true, true) = (stream.sends(silent), stream.sends(silent.other())) else { continue };
                    let (Some(here), Some(there)) = (own.place, peer.place) else { continue };
                    let heard = self.to(here, span.begin + GRACE, span.end);
                    let answer = self.to(there, span.begin, span.end);
                    // A tap that sees nothing else of that side may just not be where it sends.
                    let sends_elsewhere = self.flows.iter().any(|flow| {
                        flow.from.ip() == here.ip() && flow.between(span.begin, span.end).packets > 0
                    });
                    let twice = found.iter().any(|known| known.code == "F-MED7");
                    let plenty = heard.is_a_lot() && heard.time >= A_WHILE;
                    if !plenty || answer.packets > 0 || sends_elsewhere || twice {
                        continue;
                    }
                    let means = format!(
                        "{} sent {} RTP packets of {} to {} in {}, and none came from {} to {}, although both agreed on \
                         both ways in {}.",
                        self.name(silent.other()),
                        heard.packets,
                        stream.kind,
                        Marked(here),
                        seconds(heard.time),
                        self.name(silent),
                        Marked(there),
                        self.reading.the(span.answer)
                    );
                    found.push(self.finding("F-MED7", silent, span.answer, &[span.offer], "", means));
                }
            }
        }
    }

    /// DLG-32: who hung up goes on sending.
    fn after_the_end(&self, found: &mut Vec<Finding>) {
        let (Some((bye, by, at)), Some(span)) = (self.bye, self.spans.last()) else { return };
        for stream in &span.streams {
            let (Some(own), Some(peer)) = (stream.of(by).place, stream.of(by.other()).place) else {
                continue;
            };
            let flows = self.flows.iter().filter(|flow| flow.to == peer && flow.from.ip() == own.ip());
            // What begins later belongs to the next call between the same places.
            let passed = flows.fold(Passed::default(), |sum, flow| {
                sum.and(flow.going_on(at, at + GRACE, at + A_CALL_LATER))
            });
            if !passed.is_a_lot() {
                continue;
            }
            let means = format!(
                "{} hung up in {} and still sent {} RTP packets, until {} later.",
                self.name(by),
                self.reading.the(bye),
                passed.packets,
                passed.last.map_or_else(String::new, |last| seconds(last.since(at)))
            );
            found.push(self.finding(
                "DLG-32",
                by,
                bye,
                &[],
                "Media goes on after the sender's own BYE",
                means,
            ));
            return;
        }
    }

    /// RI-10: media at a place that only a refused offer named.
    fn refused(&self, found: &mut Vec<Finding>) {
        let agreed: HashSet<_> = self
            .spans
            .iter()
            .flat_map(|span| &span.streams)
            .flat_map(|stream| BOTH.map(|party| stream.of(party).place))
            .flatten()
            .collect();
        for exchange in &self.exchanges {
            let Some(refusal) = exchange.refusal.filter(|n| !PASSING.contains(&self.reading.status(*n)))
            else {
                continue;
            };
            let at = self.at(refusal);
            // Where there was no session before, what flows later is that of another call.
            if !self.spans.iter().any(|span| span.begin < at) {
                continue;
            }
            let next = self.exchanges.iter().map(|next| self.at(next.offer)).filter(|next| *next > at).min();
            let end = next.or(self.bye.map(|(_, _, at)| at)).unwrap_or(FOR_EVER);
            let end = end.min(at + A_CALL_LATER);
            for place in places(&exchange.offered).filter(|place| !agreed.contains(place)) {
                let there = self.to(place, at + GRACE, end);
                let from = self.flows.iter().filter(|flow| flow.from == place);
                let from = from.fold(Passed::default(), |sum, flow| sum.and(flow.between(at + GRACE, end)));
                let (by, passed, what) = match (there.is_a_lot(), from.is_a_lot()) {
                    (true, _) => (exchange.by.other(), there, "to"),
                    (_, true) => (exchange.by, from, "from"),
                    _ => continue,
                };
                let means = format!(
                    "{} asked for media at {} in {}, {} refused with {} (message {refusal}), and yet {} sends {what} that place \
                     ({} packets more than a second after the refusal).",
                    self.name(exchange.by),
                    Marked(place),
                    self.reading.the(exchange.offer),
                    self.name(exchange.by.other()),
                    self.reading.status(refusal),
                    self.name(by),
                    passed.packets
                );
                found.push(self.finding(
                    "RI-10",
                    by,
                    refusal,
                    &[exchange.offer],
                    "Media follows a refused change",
                    means,
                ));
                break;
            }
        }
    }

    /// SEC-12: media of a party to an address that nobody named and that sends nothing back.
    fn elsewhere(&self, found: &mut Vec<Finding>) {
        let hosts: HashSet<_> = self
            .known
            .iter()
            .map(SocketAddr::ip)
            .chain(self.reading.call.messages.iter().flat_map(|message| [message.from.ip(), message.to.ip()]))
            .collect();
        for span in &self.spans {
            for (stream, sender) in self.sending(span) {
                let Some(own) = stream.of(sender).place else { continue };
                let astray = self.flows.iter().find(|flow| {
                    let stranger = flow.from == own && !hosts.contains(&flow.to.ip());
                    let answered = || self.flows.iter().any(|back| back.from == flow.to && back.to == own);
                    stranger && flow.between(span.begin + GRACE, span.end).is_a_lot() && !answered()
                });
                let Some(flow) = astray.filter(|_| !found.iter().any(|known| known.code == "SEC-12")) else {
                    continue;
                };
                let means = format!(
                    "{} sends RTP from {} to {}, an address that nobody named in this call.",
                    self.name(sender),
                    Marked(own),
                    Marked(flow.to)
                );
                found.push(self.finding(
                    "SEC-12",
                    sender,
                    span.answer,
                    &[span.offer],
                    "Media goes to an address nobody named",
                    means,
                ));
            }
        }
    }

    /// The streams of a span with each side that may send in them.
    fn sending<'s>(&self, span: &'s Span) -> impl Iterator<Item = (&'s Stream, Party)> + use<'s> {
        let both = span.streams.iter().flat_map(|stream| BOTH.map(|party| (stream, party)));
        both.filter(|(stream, party)| stream.sends(*party))
    }

    /// The message in which this side described itself.
    fn message_of(&self, span: &Span, party: Party) -> u32 {
        if self.reading.by(span.offer) == party { span.offer } else { span.answer }
    }

    fn name(&self, party: Party) -> Marked<String> {
        Marked(self.reading.name(party))
    }

    fn at(&self, n: u32) -> Instant {
        self.reading.call.message(n).map_or(Instant::ZERO, |message| message.at)
    }

    fn finding(
        &self,
        code: &'static str,
        by: Party,
        at: u32,
        because: &[u32],
        title: &str,
        means: String,
    ) -> Finding {
        let (rule, row) = (Rule::by_code(code), by_id(code));
        let fix = match code {
            "DLG-32" => "Stop media when BYE goes out.",
            _ => rule.map(|rule| rule.fix).or(row.map(|row| row.fix)).unwrap_or_default(),
        };
        let (means, named) = diagnosis::unmarked(&means);
        let fix = diagnosis::advise_one(self.name(by), fix);
        let (fix, fix_named) = diagnosis::unmarked(&fix);
        let title = match row {
            Some(row) if title.is_empty() => row.title,
            _ => title,
        };
        Finding {
            code,
            severity: rule
                .map(|rule| rule.severity)
                .or(row.map(|row| row.severity))
                .unwrap_or(Severity::Info),
            certainty: Certainty::Certain,
            by,
            at,
            because: because.iter().copied().filter(|n| *n != at).collect(),
            cites: rule.map(|rule| rule.cites).or(row.map(|row| row.cites)).unwrap_or_default().to_vec(),
            title: title.to_owned(),
            means,
            fix,
            consequences: Vec::new(),
            joined: None,
            worded: Worded::Elsewhere { means: named, fix: fix_named },
        }
    }
}

/// The payload numbers that a side asked for.
fn numbers(stream: &Stream, party: Party) -> String {
    let numbers: Vec<_> = stream.of(party).formats.iter().map(|(number, _)| number.to_string()).collect();
    numbers.join(", ")
}

/// What may still come after a change.
const GRACE: Duration = Duration::from_secs(1);
/// Long enough for a direction to be missed.
const A_WHILE: Duration = Duration::from_secs(2);
/// How long after a BYE, or a refusal, media is watched.
const A_CALL_LATER: Duration = Duration::from_secs(30);
/// The end of a call that the trace does not show.
const FOR_EVER: Instant = Instant::from_micros(u64::MAX);
/// Comfort noise, and what RTCP looks like where both share a port.
const IGNORED: [u8; 7] = [13, 19, 72, 73, 74, 75, 76];
/// Refusals after which the same change is tried again.
const PASSING: [u16; 5] = [401, 407, 422, 491, 500];
