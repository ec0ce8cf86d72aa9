//! What really happened, by the packets in the capture.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use midcall_analyzer::source::pcap::Pcap;
use midcall_analyzer::source::{Item, ReadError, Source};
use midcall_proto::time::Instant;
use midcall_wire::sdp::{Direction, Sdp};
use midcall_wire::{Message, Method, Name};

/// A claim about the demo, and whether the packets bear it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) claim: &'static str,
    pub(super) so: bool,
    pub(super) evidence: String,
}

/// Reads the capture and checks every claim. The addresses are those of alice, bob and carol.
pub(super) fn gather(path: &Path, agents: &[SocketAddr; 3]) -> Result<Vec<Fact>, ReadError> {
    let mut pcap = Pcap::open(path)?;
    let record = Record::read(std::iter::from_fn(|| pcap.next()), agents)?;
    Ok([early, hold, resume, codec, collision, retries, refresh, transfer, third, endings]
        .map(|check| check(&record))
        .to_vec())
}

/// Who sent something. The number is the place among the agents.
type Who = usize;
const ALICE: Who = 0;
const BOB: Who = 1;
const CAROL: Who = 2;

/// Everything in the capture, in order.
#[derive(Default)]
struct Record {
    messages: Vec<Line>,
    audio: Vec<Audio>,
}

struct Line {
    at: Instant,
    from: Who,
    to: Who,
    message: Message,
}

struct Audio {
    at: Instant,
    from: Who,
    to: Who,
    payload: u8,
}

impl Record {
    fn read(
        items: impl Iterator<Item = Result<Item, ReadError>>,
        agents: &[SocketAddr; 3],
    ) -> Result<Self, ReadError> {
        let mut record = Self::default();
        let mut media: HashMap<SocketAddr, Who> = HashMap::new();
        let mut loose = Vec::new();
        let whose = |address: SocketAddr| agents.iter().position(|agent| *agent == address);
        for item in items {
            match item? {
                Item::Sip(packet) => {
                    let (Some(from), Some(to)) = (whose(packet.from), whose(packet.to)) else { continue };
                    let Ok(message) = Message::parse(packet.payload) else { continue };
                    media.extend(media_of(&message).map(|address| (address, from)));
                    record.messages.push(Line { at: packet.at, from, to, message });
                }
                Item::Rtp(packet) => loose.push(packet),
                Item::Quiet(_) => {}
            }
        }
        for packet in loose {
            if let (Some(from), Some(to)) = (media.get(&packet.from), media.get(&packet.to)) {
                let (from, to, payload) = (*from, *to, packet.payload_type);
                record.audio.push(Audio { at: packet.at, from, to, payload });
            }
        }
        Ok(record)
    }

    fn requests(&self, from: Who, to: Who, method: Method) -> impl Iterator<Item = &Line> {
        self.messages.iter().filter(move |line| {
            line.from == from && line.to == to && line.message.is_request() && line.message.method() == method
        })
    }

    /// The first final response to a request.
    fn answer<'r>(&'r self, request: &'r Line) -> Option<&'r Line> {
        self.responses(request).find(|line| line.message.status() >= Some(200))
    }

    fn responses<'r>(&'r self, request: &'r Line) -> impl Iterator<Item = &'r Line> {
        let cseq = request.cseq();
        self.messages.iter().filter(move |line| {
            line.from == request.to
                && line.message.status().is_some()
                && line.message.call_id() == request.message.call_id()
                && line.cseq() == cseq
                && line.message.method() == request.message.method()
        })
    }

    /// Audio packets from one to another in a stretch of time, by payload type.
    fn heard(&self, from: Who, to: Who, since: Instant, until: Instant) -> HashMap<u8, usize> {
        let mut heard = HashMap::new();
        let there =
            |audio: &&Audio| audio.from == from && audio.to == to && since <= audio.at && audio.at < until;
        for audio in self.audio.iter().filter(there) {
            *heard.entry(audio.payload).or_default() += 1;
        }
        heard
    }

    /// The request of alice to bob whose offer has this direction, after a point in time.
    fn directed(&self, direction: Direction, after: Instant) -> Option<(&Line, &Line)> {
        let request = self
            .requests(ALICE, BOB, Method::Invite)
            .find(|line| line.at > after && line.direction() == Some(direction))?;
        Some((request, self.answer(request)?))
    }

    /// When the call between alice and bob was answered.
    fn answered(&self) -> Option<(&Line, &Line)> {
        let invite = self.requests(ALICE, BOB, Method::Invite).next()?;
        Some((invite, self.answer(invite)?))
    }
}

impl Line {
    fn cseq(&self) -> u32 {
        self.message.cseq().map(|cseq| cseq.number).unwrap_or_default()
    }

    fn direction(&self) -> Option<Direction> {
        let sdp = Sdp::parse(self.message.sdp()?).ok()?;
        Some(sdp.media_at(0)?.direction())
    }

    fn is_ok(&self) -> bool {
        self.message.status() == Some(200)
    }
}

/// Where the sender of a message wants its audio.
fn media_of(message: &Message) -> Option<SocketAddr> {
    let sdp = Sdp::parse(message.sdp()?).ok()?;
    let media = sdp.media_at(0)?;
    Some(SocketAddr::new(media.connection()?.parse().ok()?, media.port()))
}

fn fact(claim: &'static str, found: Option<(bool, String)>) -> Fact {
    let (so, evidence) = found.unwrap_or_else(|| (false, "the messages for it are missing".to_owned()));
    Fact { claim, so, evidence }
}

fn early(record: &Record) -> Fact {
    let found = (|| {
        let (invite, answer) = record.answered()?;
        let reliable = record.responses(invite).find(|line| line.message.rseq().is_some())?;
        let prack = record.requests(ALICE, BOB, Method::Prack).next()?;
        let update = record.requests(ALICE, BOB, Method::Update).next()?;
        let accepted = record.answer(update)?;
        let so = reliable.at < prack.at
            && record.answer(prack)?.is_ok()
            && prack.at < update.at
            && update.message.sdp().is_some()
            && accepted.is_ok()
            && accepted.at < answer.at;
        Some((so, format!("200 to UPDATE {:.3} s before the answer", seconds(accepted.at, answer.at))))
    })();
    fact("183, PRACK and UPDATE came before the answer", found)
}

fn hold(record: &Record) -> Fact {
    let found = (|| {
        let (held, accepted) = record.directed(Direction::SendOnly, Instant::ZERO)?;
        let (resumed, _) = record.directed(Direction::SendRecv, accepted.at)?;
        let before = total(&record.heard(BOB, ALICE, held.at - Duration::from_millis(500), held.at));
        let during = total(&record.heard(BOB, ALICE, accepted.at + GRACE, resumed.at));
        let music = total(&record.heard(ALICE, BOB, accepted.at + GRACE, resumed.at));
        let so = accepted.is_ok()
            && accepted.direction() == Some(Direction::RecvOnly)
            && before > 0
            && during == 0
            && music > 0;
        let while_held = seconds(accepted.at, resumed.at);
        Some((so, format!("{during} packets of bob in {while_held:.2} s, {music} of alice")))
    })();
    fact("bob's RTP stopped while he was on hold", found)
}

fn resume(record: &Record) -> Fact {
    let found = (|| {
        let (_, held) = record.directed(Direction::SendOnly, Instant::ZERO)?;
        let (_, resumed) = record.directed(Direction::SendRecv, held.at)?;
        let after = total(&record.heard(BOB, ALICE, resumed.at, resumed.at + Duration::from_millis(500)));
        Some((resumed.is_ok() && after > 0, format!("{after} packets in the next half second")))
    })();
    fact("bob's RTP came back with resume", found)
}

fn codec(record: &Record) -> Fact {
    let found = (|| {
        let update =
            record.requests(ALICE, BOB, Method::Update).filter(|line| line.message.sdp().is_some()).nth(1)?;
        let accepted = record.answer(update)?;
        let until = accepted.at + Duration::from_millis(500);
        let (pcmu, pcma) = (0, 8);
        let mut so = accepted.is_ok();
        let mut counts = Vec::new();
        for (from, to) in [(ALICE, BOB), (BOB, ALICE)] {
            let before = record.heard(from, to, update.at - Duration::from_millis(500), update.at);
            let after = record.heard(from, to, accepted.at + GRACE, until);
            so &= before.contains_key(&pcmu) && !before.contains_key(&pcma);
            so &= after.contains_key(&pcma) && !after.contains_key(&pcmu);
            counts.push(after.get(&pcma).copied().unwrap_or_default());
        }
        Some((so, format!("{} packets of type 8, none of type 0", counts.iter().sum::<usize>())))
    })();
    fact("both changed from payload type 0 to 8", found)
}

/// The re-INVITEs that crossed, alice's first, each with its 491.
fn crossing(record: &Record) -> Option<[(&Line, &Line); 2]> {
    let refused = |from, to| {
        record.requests(from, to, Method::Invite).find_map(|line| {
            let answer = record.answer(line)?;
            (answer.message.status() == Some(491)).then_some((line, answer))
        })
    };
    Some([refused(ALICE, BOB)?, refused(BOB, ALICE)?])
}

fn collision(record: &Record) -> Fact {
    let found = crossing(record).map(|[(ours, ours_refused), (theirs, theirs_refused)]| {
        let so = ours.at < theirs_refused.at && theirs.at < ours_refused.at;
        let apart = seconds(ours.at.min(theirs.at), ours.at.max(theirs.at)) * 1_000.0;
        (so, format!("sent {apart:.1} ms apart"))
    });
    fact("two re-INVITEs crossed, and each got 491", found)
}

/// RFC 3261 §14.1: the owner of the Call-ID waits 2.1 to 4 s, the other side up to 2 s.
fn retries(record: &Record) -> Fact {
    let found = crossing(record).and_then(|crossed| {
        let mut so = true;
        let mut waits = Vec::new();
        for ((refused, with_491), (from, to, least, most)) in
            crossed.into_iter().zip([(ALICE, BOB, 2.1, 4.0), (BOB, ALICE, 0.0, 2.0)])
        {
            let retry = record
                .requests(from, to, Method::Invite)
                .find(|line| line.at > refused.at && line.cseq() > refused.cseq())?;
            let wait = seconds(with_491.at, retry.at);
            so &= record.answer(retry)?.is_ok() && (least..=most + SLACK).contains(&wait);
            waits.push(wait);
        }
        let [alice, bob] = waits[..] else { return None };
        Some((so, format!("alice {alice:.2} s (2.1-4.0), bob {bob:.2} s (0-2.0)")))
    });
    fact("both came through after their random waits", found)
}

fn refresh(record: &Record) -> Fact {
    let found = (|| {
        let update = record.requests(ALICE, BOB, Method::Update).find(|line| line.message.sdp().is_none())?;
        let timer = update.message.header(Name::SessionExpires)?.to_owned();
        let accepted = record.answer(update)?;
        Some((
            accepted.is_ok() && accepted.message.session_expires().is_some(),
            format!("Session-Expires: {timer}"),
        ))
    })();
    fact("UPDATE without an offer refreshed the session", found)
}

fn transfer(record: &Record) -> Fact {
    let found = (|| {
        let refer = record.requests(ALICE, BOB, Method::Refer).next()?;
        let taken = record.answer(refer)?.message.status()?;
        let news: Vec<String> = record
            .requests(BOB, ALICE, Method::Notify)
            .filter_map(|line| {
                String::from_utf8_lossy(line.message.body()).split_whitespace().nth(1).map(str::to_owned)
            })
            .collect();
        let first = news.first().is_some_and(|status| status == "100");
        let last = news.last().is_some_and(|status| status == "200");
        Some((
            (200..300).contains(&taken) && first && last,
            format!("{taken} to REFER, NOTIFY {}", news.join(", ")),
        ))
    })();
    fact("REFER led to carol, and NOTIFY told alice", found)
}

fn third(record: &Record) -> Fact {
    let found = (|| {
        let invite = record.requests(BOB, CAROL, Method::Invite).next()?;
        let since = record.answer(invite)?.at;
        let until = record.requests(BOB, CAROL, Method::Bye).next()?.at;
        let [there, back] =
            [(BOB, CAROL), (CAROL, BOB)].map(|(from, to)| total(&record.heard(from, to, since, until)));
        Some((there > 0 && back > 0, format!("{there} packets there, {back} back")))
    })();
    fact("bob and carol talked", found)
}

fn endings(record: &Record) -> Fact {
    let byes: Vec<&Line> = record
        .messages
        .iter()
        .filter(|line| line.message.is_request() && line.message.method() == Method::Bye)
        .collect();
    let all = byes.iter().all(|bye| record.answer(bye).is_some_and(Line::is_ok));
    let mut calls: Vec<&str> = byes.iter().filter_map(|bye| bye.message.call_id().ok()).collect();
    calls.dedup();
    let so = byes.len() == 2 && calls.len() == 2 && all;
    fact("each call ended with one BYE", Some((so, format!("{} BYE in {} calls", byes.len(), calls.len()))))
}

fn total(heard: &HashMap<u8, usize>) -> usize {
    heard.values().sum()
}

fn seconds(from: Instant, to: Instant) -> f64 {
    to.since(from).as_secs_f64()
}

/// Packets on their way when a change comes into force.
const GRACE: Duration = Duration::from_millis(60);
/// A busy machine wakes late.
const SLACK: f64 = 0.15;
