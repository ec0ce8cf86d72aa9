//! What is remembered of a finished call to compare it with others.

use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::time::Duration;

use foldhash::quality::FixedState;
use midcall_proto::observer::Party;
use midcall_proto::time::Instant;
use midcall_wire::sdp::Origin;
use midcall_wire::{Message as Sip, Method, Name, Uri};

use super::rank::Ranks;
use crate::diagnosis::{Deal, Marked, Reading};
use crate::glance::Glance;
use crate::model::{Call, Message};
use crate::sheet::Sheet;

/// A call boiled down to what others are compared with.
#[derive(Debug)]
pub(crate) struct Known {
    pub(super) number: u32,
    pub(super) call_id: Box<str>,
    pub(super) began: Instant,
    pub(super) last: Instant,
    /// Where its first message went from and to.
    pub(super) from: IpAddr,
    pub(super) to: IpAddr,
    /// The ports of both: all that tells the parties of one host apart.
    pub(super) ports: (u16, u16),
    /// Names of caller and callee for sentences.
    pub(super) names: (Box<str>, Box<str>),
    /// The user parts of both, as far as boxes leave them as they are; 0 for none.
    pub(super) users: (u64, u64),
    /// The tags of each dialog, caller first.
    pub(super) tags: Vec<(Box<str>, Box<str>)>,
    pub(super) setup: Setup,
    pub(super) refers: Vec<Refer>,
    pub(super) events: Vec<Event>,
    pub(super) traits: Vec<(Trait, u64)>,
    /// Who said which media addresses and o= lines are its own.
    described: Vec<(Trait, Party, u64)>,
    /// What was found in it: code, who, message, when.
    pub(super) faults: Vec<(&'static str, Party, u32, Instant)>,
    /// What it was joined with.
    pub(super) ranks: Ranks,
}

/// The INVITE that set it up, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Setup {
    /// Its number, 0 if it was not seen.
    pub(super) n: u32,
    pub(super) max_forwards: Option<u8>,
    pub(super) offered: bool,
    /// Session-Expires in the INVITE, and in its 2xx.
    pub(super) timer: (bool, bool),
    pub(super) replaces: Option<Box<Named>>,
    pub(super) referred_by: Option<Box<str>>,
    pub(super) authorised: bool,
    /// Its final response: status, number, time.
    pub(super) outcome: Option<(u16, u32, Instant)>,
}

/// A dialog that a header names.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) call_id: Box<str>,
    /// The tag of whoever gets the header, and of the other one.
    pub(super) local: Box<str>,
    pub(super) remote: Box<str>,
}

/// A REFER, and what became of it.
#[derive(Debug)]
pub(super) struct Refer {
    pub(super) n: u32,
    pub(super) at: Instant,
    pub(super) by: Party,
    /// The user part of the target, and the whole of it.
    pub(super) user: u64,
    pub(super) replaces: Option<Box<str>>,
    pub(super) referred_by: Option<Box<str>>,
    pub(super) target_dialog: Option<Named>,
    pub(super) accepted: bool,
    /// Whether it came outside any dialog, and with nothing that says by whose leave.
    pub(super) anonymous: bool,
    /// When its sender ended the subscription.
    pub(super) unsubscribed: Option<Instant>,
}

/// A message that others may be compared with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) n: u32,
    pub(super) at: Instant,
    pub(super) by: Party,
    pub(super) method: Method,
    /// 0 for a request.
    pub(super) status: u16,
    pub(super) cseq: u32,
    /// A print of its body's media, 0 without any.
    pub(super) media: u32,
}

impl Event {
    pub(super) const fn is(&self, method: Method) -> bool {
        self.status == 0 && self.method as u8 == method as u8
    }
}

/// What calls may have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Trait {
    /// Both halves of Session-ID (RFC 7989 §5).
    Session,
    /// One half of it.
    HalfSession,
    /// The value of a header that correlates, or the Call-ID that such a header may name.
    Correlation,
    /// An ICE user fragment or an SRTP key.
    Secret,
    /// Where the caller, or the callee, wants media.
    Media,
    /// An o= line but its version.
    Origin,
    /// It came in at this place about this time for these parties.
    Arrived,
    /// It left from this place about this time for these parties.
    Left,
    /// It has this Call-ID.
    Named,
    /// It speaks of the call with this Call-ID.
    Names,
    /// It was placed, or taken back, by somebody there, to somebody, about then.
    Placed,
    /// It asks for such a call.
    Places,
}

impl Known {
    /// What is known of a call by its messages and exchanges.
    pub(crate) fn of(reading: &Reading<'_>, deals: &[Deal<'_>]) -> Self {
        let call = reading.call;
        let first = call.messages.first();
        let unknown = IpAddr::from([0, 0, 0, 0]);
        let mut known = Self {
            number: call.number,
            call_id: call.call_id.as_str().into(),
            began: call.began(),
            last: call.messages.last().map_or(Instant::ZERO, |message| message.at),
            from: first.map_or(unknown, |message| message.from.ip()),
            to: first.map_or(unknown, |message| message.to.ip()),
            ports: first.map_or((0, 0), |message| (message.from.port(), message.to.port())),
            names: (call.caller.name.as_str().into(), call.callee.name.as_str().into()),
            users: (user(&call.caller.uri), user(&call.callee.uri)),
            tags: call
                .dialogs
                .iter()
                .map(|one| (one.caller_tag.as_str().into(), one.callee_tag.as_str().into()))
                .collect(),
            setup: Setup::default(),
            refers: Vec::new(),
            events: Vec::with_capacity(call.messages.len().min(MOST_EVENTS)),
            traits: Vec::with_capacity(MOST_TRAITS / 2),
            described: Vec::new(),
            faults: Vec::new(),
            ranks: Ranks::default(),
        };
        for (message, glance) in reading.glances_of_originals() {
            known.read(reading, deals, message, glance);
        }
        known.place();
        // There are many of them.
        known.traits.shrink_to_fit();
        known.events.shrink_to_fit();
        known.described.shrink_to_fit();
        known
    }

    /// Notes what was found in the call.
    pub(super) fn note_faults(&mut self, call: &Call) {
        let at = |n: u32| call.message(n).map_or(self.began, |message| message.at);
        self.faults = call
            .findings
            .iter()
            .take(MOST_FAULTS)
            .map(|finding| (finding.code, finding.by, finding.at, at(finding.at)))
            .collect();
    }

    /// Prints of what others may find it by.
    pub(super) fn shows(&self) -> impl Iterator<Item = u64> + '_ {
        self.traits.iter().map(|(kind, value)| print(*kind, value))
    }

    /// Prints of what it may find others by.
    pub(super) fn looks_for(&self) -> impl Iterator<Item = u64> + '_ {
        self.traits.iter().flat_map(|(kind, value)| {
            // Most is the same on both sides; some is the other side of a thing.
            let other = match kind {
                Trait::Arrived => Trait::Left,
                Trait::Left => Trait::Arrived,
                Trait::Named => Trait::Names,
                Trait::Names => Trait::Named,
                Trait::Placed => Trait::Places,
                Trait::Places => Trait::Placed,
                same => *same,
            };
            // A header that correlates may have the other's Call-ID.
            let more = match kind {
                Trait::Named => Some(print(Trait::Correlation, value)),
                Trait::Correlation => Some(print(Trait::Named, value)),
                _ => None,
            };
            std::iter::once(print(other, value)).chain(more)
        })
    }

    /// Prints of which parties it is between, where and when.
    pub(super) fn meetings(&self) -> impl Iterator<Item = u64> + '_ {
        let meetings = self.traits.iter().filter(|(kind, _)| matches!(kind, Trait::Arrived | Trait::Left));
        meetings.map(|(kind, value)| print(*kind, value))
    }

    /// Whether this party described such a thing as its own that the party of the other call did too.
    pub(super) fn says_as(&self, party: Party, other: &Self, theirs: Party, kind: Trait) -> bool {
        let mut mine = self.described.iter().filter(|(own, by, _)| *own == kind && *by == party);
        mine.any(|(_, _, value)| other.described.contains(&(kind, theirs, *value)))
    }

    /// Prints of what it has of this kind.
    pub(super) fn said(&self, kind: Trait) -> impl Iterator<Item = u64> + '_ {
        self.traits.iter().filter(move |(own, _)| *own == kind).map(|(kind, value)| print(*kind, value))
    }

    /// Whether both have a trait of this kind in common.
    pub(super) fn shares(&self, other: &Self, kind: Trait) -> bool {
        let mine = self.traits.iter().filter(|(own, _)| *own == kind);
        mine.into_iter().any(|one| other.traits.contains(one))
    }

    /// Whether a header of it that correlates has this value.
    pub(super) fn correlates_with(&self, value: &str) -> bool {
        self.traits.contains(&(Trait::Correlation, hash(value)))
    }

    /// The message of that kind that came first.
    pub(super) fn first(&self, wanted: impl Fn(&Event) -> bool) -> Option<&Event> {
        self.events.iter().find(|event| wanted(event))
    }

    /// Where a party sits.
    pub(super) const fn address(&self, party: Party) -> IpAddr {
        match party {
            Party::Callee => self.to,
            Party::Caller | Party::Network => self.from,
        }
    }

    /// The name of a party.
    pub(super) fn name(&self, party: Party) -> Marked<&str> {
        match party {
            Party::Callee => Marked(&self.names.1),
            Party::Caller | Party::Network => Marked(&self.names.0),
        }
    }

    /// Whether it was answered.
    pub(super) fn confirmed(&self) -> bool {
        self.setup.outcome.is_some_and(|(status, ..)| status < 300)
    }

    fn add(&mut self, kind: Trait, value: u64) {
        if self.traits.len() < MOST_TRAITS && !self.traits.contains(&(kind, value)) {
            self.traits.push((kind, value));
        }
    }

    fn say(&mut self, kind: Trait, by: Party, value: u64) {
        self.add(kind, value);
        if self.described.len() < MOST_TRAITS && !self.described.contains(&(kind, by, value)) {
            self.described.push((kind, by, value));
        }
    }

    /// Where and when it came in and left, what it is called, and what it asks for.
    fn place(&mut self) {
        // A leg begins in the same slot of time, or in the next one.
        self.add(Trait::Arrived, self.meeting(self.to, 0));
        self.add(Trait::Arrived, self.meeting(self.to, 1));
        self.add(Trait::Left, self.meeting(self.from, 0));
        self.add(Trait::Left, self.meeting(self.from, 1));
        self.add(Trait::Named, hash(&*self.call_id));
        self.add(Trait::Placed, placed(self.from, self.users.1, self.began, 0));
        let taken_back = self.first(|event| event.is(Method::Cancel)).map(|event| event.at);
        if let Some(at) = taken_back {
            self.add(Trait::Placed, placed(self.from, self.users.1, at, 0));
        }
        if let Some(named) = &self.setup.replaces {
            self.add(Trait::Names, hash(&*named.call_id));
        }
        for index in 0..self.refers.len() {
            let Some(refer) = self.refers.get(index) else { break };
            let (by, user, at) = (refer.by, refer.user, refer.at);
            if let Some(named) = refer.target_dialog.as_ref().map(|named| hash(&*named.call_id)) {
                self.add(Trait::Names, named);
            }
            for (place, later) in [(by.other(), 0), (by.other(), 1), (by, 0), (by, -1)] {
                self.add(Trait::Places, placed(self.address(place), user, at, later));
            }
        }
    }

    fn meeting(&self, place: IpAddr, later: i64) -> u64 {
        hash(&(place, self.users, self.slot(MEETING, later)))
    }

    fn slot(&self, width: Duration, near: i64) -> u64 {
        (self.began.as_micros() / micros(width)).saturating_add_signed(near)
    }

    fn read(&mut self, reading: &Reading<'_>, deals: &[Deal<'_>], message: &Message, glance: &Glance) {
        let sip = || reading.get(message.n);
        let Some((cseq, method)) = glance.cseq.or_else(|| sip().and_then(beyond)) else { return };
        let status = glance.status.unwrap_or(0);
        // Of INVITEs and their 2xx only those that set the call up.
        let telling = match (method, status) {
            (Method::Invite, 0) => self.setup.n == 0,
            (Method::Invite, 200..=299) => self.setup.outcome.is_none(),
            (Method::Refer | Method::Subscribe, 0) => true,
            (Method::Ack, 0) => !message.raw.ends_with(b"\r\n\r\n"),
            _ => false,
        };
        let mut media = 0;
        if telling {
            // What sets a call up is mostly part of an exchange.
            let sheet = deals.iter().find_map(|deal| deal.description(message.n));
            media = match (sheet, reading.description(message.n)) {
                (Some(sheet), _) => self.describe(sheet, message.by),
                (None, Some(bytes)) => {
                    Sheet::read(bytes).map_or(0, |sheet| self.describe(&sheet, message.by))
                }
                (None, None) => 0,
            };
            match (method, status) {
                (Method::Invite, 0) if message.by == Party::Caller => {
                    self.setup.n = message.n;
                    self.setup.max_forwards = glance.max_forwards;
                    self.setup.offered = glance.description().is_some();
                    self.setup.timer.0 = glance.is_timed();
                }
                (Method::Invite, 200..=299) => self.setup.timer.1 = glance.is_timed(),
                _ => {}
            }
            let may_tell = method != Method::Ack && (method != Method::Invite || glance.is_telling());
            if may_tell && let Some(sip) = sip() {
                match (method, status) {
                    (Method::Invite, 0) if message.by == Party::Caller => self.set_up(sip),
                    (Method::Invite, 200..=299) => self.session_of(sip),
                    (Method::Refer, _) => self.refer(sip, message),
                    (Method::Subscribe, _) => self.unsubscribe(sip, message),
                    _ => {}
                }
            }
        }
        if method == Method::Invite
            && status >= 200
            && self.setup.outcome.is_none()
            && !matches!(status, 401 | 407)
        {
            self.setup.outcome = Some((status, message.n, message.at));
        }
        if method == Method::Refer
            && (200..300).contains(&status)
            && let Some(refer) = self.refers.last_mut()
        {
            refer.accepted = true;
        }
        if self.events.len() < MOST_EVENTS && !(100..200).contains(&status) {
            self.events.push(Event {
                n: message.n,
                at: message.at,
                by: message.by,
                method,
                status,
                cseq,
                media,
            });
        }
    }

    /// What the INVITE says of other calls.
    fn set_up(&mut self, sip: &Sip<&[u8]>) {
        self.setup.replaces = sip.replaces().and_then(Result::ok).map(|one| {
            Box::new(Named {
                call_id: one.call_id.into(),
                local: one.to_tag.into(),
                remote: one.from_tag.into(),
            })
        });
        self.setup.referred_by = sip.header(Name::ReferredBy).map(|value| value.trim().into());
        self.setup.authorised =
            sip.header(Name::Authorization).or(sip.header(Name::ProxyAuthorization)).is_some();
        self.session_of(sip);
        for header in sip.headers() {
            if correlates(header.raw_name) {
                let value = std::str::from_utf8(header.value).unwrap_or_default();
                // Of P-Charging-Vector only the icid is the same along the way (RFC 7315 §4.6).
                let value = value
                    .split(';')
                    .map(str::trim)
                    .find_map(|part| part.strip_prefix("icid-value="))
                    .unwrap_or(value);
                let value = value.trim().trim_matches('"');
                if value.len() > 5 {
                    self.add(Trait::Correlation, hash(value));
                }
            }
        }
    }

    /// RFC 7989 §5: the identifiers of both ends; RFC 7329 knew only one.
    fn session_of(&mut self, sip: &Sip<&[u8]>) {
        let Some(value) = sip.header(Name::SessionId) else { return };
        let mut parts = value.split(';').map(str::trim);
        let local = parts.next().unwrap_or_default();
        let remote = parts.find_map(|part| part.strip_prefix("remote=")).unwrap_or_default();
        let real = |uuid: &str| uuid.len() == 32 && uuid.bytes().any(|byte| byte != b'0');
        let (mut one, mut other) = (local, remote);
        if one > other {
            std::mem::swap(&mut one, &mut other);
        }
        if real(one) && real(other) {
            self.add(Trait::Session, hash(&(one, other)));
        }
        for half in [one, other].into_iter().filter(|half| real(half)) {
            self.add(Trait::HalfSession, hash(half));
        }
    }

    /// The traits of a description, and a print of where it wants media.
    fn describe(&mut self, sheet: &Sheet<'_>, by: Party) -> u32 {
        let mut first = 0;
        for stream in sheet.streams.iter().filter(|stream| !stream.rejected && stream.port > 9) {
            let address = stream.address().filter(|address| !matches!(*address, "0.0.0.0" | "::"));
            let Some(address) = address else { continue };
            let value = hash(&(address, stream.port));
            first = if first == 0 { value } else { first };
            self.say(Trait::Media, by, value);
            for key in stream.crypto.iter().filter_map(|crypto| crypto.split("inline:").nth(1)) {
                self.add(Trait::Secret, hash(key));
            }
            if let Some(fragment) = stream.bond.fragment {
                self.add(Trait::Secret, hash(fragment));
            }
        }
        if let Some(origin) = sheet.origin.and_then(Origin::parse)
            && origin.session_id.len() > 4
        {
            self.say(Trait::Origin, by, hash(&(origin.username, origin.session_id, origin.address)));
        }
        // Half of it tells the few descriptions of two calls apart.
        u32::try_from(first >> 32).unwrap_or_default()
    }

    fn refer(&mut self, sip: &Sip<&[u8]>, message: &Message) {
        let Some(Ok(target)) = sip.refer_to() else { return };
        if self.refers.len() >= MOST_REFERS {
            return;
        }
        let replaces = Uri::parse(target.uri)
            .ok()
            .and_then(|uri| uri.header("Replaces").map(|value| value.into_owned()));
        self.refers.push(Refer {
            n: message.n,
            at: message.at,
            by: message.by,
            user: user(target.uri),
            replaces: replaces.map(|value| value.split(';').next().unwrap_or_default().into()),
            referred_by: sip.header(Name::ReferredBy).map(|value| value.trim().into()),
            target_dialog: sip.header(Name::TargetDialog).and_then(target_dialog),
            accepted: false,
            anonymous: sip.to().is_ok_and(|to| to.tag().is_none())
                && sip.header(Name::Authorization).or(sip.header(Name::ProxyAuthorization)).is_none()
                && sip.header(Name::TargetDialog).is_none(),
            unsubscribed: None,
        });
    }

    fn unsubscribe(&mut self, sip: &Sip<&[u8]>, message: &Message) {
        let ends = sip.expires().is_some_and(|expires| expires == Ok(0));
        let refer = self.refers.iter_mut().rev().find(|refer| refer.by == message.by);
        if let Some(refer) = refer.filter(|_| ends) {
            refer.unsubscribed = Some(message.at);
        }
    }
}

/// RFC 4538 §3: the tags are those of whoever gets it.
fn target_dialog(value: &str) -> Option<Named> {
    let mut parts = value.split(';').map(str::trim);
    let call_id = parts.next()?.into();
    let (mut local, mut remote) = (None, None);
    for part in parts {
        match part.split_once('=') {
            Some(("local-tag", tag)) => local = Some(tag.into()),
            Some(("remote-tag", tag)) => remote = Some(tag.into()),
            _ => {}
        }
    }
    Some(Named { call_id, local: local?, remote: remote? })
}

/// A call to this user, by whoever sits there, about that time.
fn placed(by: IpAddr, user: u64, at: Instant, later: i64) -> u64 {
    hash(&(by, user, (at.as_micros() / micros(PLACED)).saturating_add_signed(later)))
}

/// Whether a header of this name is known to correlate legs.
fn correlates(name: &str) -> bool {
    CORRELATING.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Number and method of a CSeq whose number is none that it may have.
fn beyond(sip: &Sip<&[u8]>) -> Option<(u32, Method)> {
    let mut words = sip.header(Name::CSeq)?.split_ascii_whitespace();
    let number = words.next()?.parse().ok()?;
    Some((number, Method::parse(words.next()?)))
}

/// The user part of a URI, as far as boxes leave it alone: of a number the last digits, since prefixes change.
pub(super) fn user(uri: &str) -> u64 {
    let Ok(uri) = Uri::parse(uri) else { return 0 };
    let Some(user) = uri.user.filter(|user| !user.is_empty()) else { return 0 };
    if user.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.')) {
        let mut last = [0_u8; 8];
        let digits = user.bytes().rev().filter(u8::is_ascii_digit);
        if last.iter_mut().zip(digits).map(|(place, digit)| *place = digit).count() == last.len() {
            return hash(&last);
        }
    }
    hash(&user.to_ascii_lowercase())
}

fn print(kind: Trait, value: &u64) -> u64 {
    hash(&(kind, value))
}

fn hash<T: Hash + ?Sized>(value: &T) -> u64 {
    FixedState::default().hash_one(value)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1)
}

/// Headers that boxes use to tell which calls belong together.
const CORRELATING: [&str; 12] = [
    "X-CID",
    "X-Call-ID",
    "X-Correlation-ID",
    "X-Original-Call-ID",
    "X-Parent-Call-ID",
    "X-Orig-Call-ID",
    "X-UCID",
    "X-Genesys-CallUUID",
    "X-Session-ID",
    "User-to-User",
    "P-Charging-Vector",
    "X-Call-UUID",
];
/// How far apart two legs begin.
pub(super) const MEETING: Duration = Duration::from_secs(2);
/// How long after a REFER the call that it asks for begins.
pub(super) const PLACED: Duration = Duration::from_secs(10);
/// How soon one leg follows the end of the other.
pub(super) const FOLLOWS: Duration = Duration::from_secs(5);
/// The most traits of a call.
const MOST_TRAITS: usize = 40;
/// The most messages of a call that others are compared with.
const MOST_EVENTS: usize = 96;
/// The most REFERs of a call.
const MOST_REFERS: usize = 8;
/// The most findings of a call that others are compared with.
const MOST_FAULTS: usize = 16;
