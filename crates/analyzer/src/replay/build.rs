//! A call as reports show it, from what the observer knows and what was kept.

use std::collections::HashMap;
use std::net::SocketAddr;

use midcall_proto::observer::{self, Kind, ObservedCall, ObservedMessage, ObservedParty, Party, Repeat};
use midcall_wire::{Message as Sip, Method, Name, Uri};

use super::kept::{Kept, Seen};
use crate::diagnosis::Worded;
use crate::model::{Call, Change, DialogInfo, Finding, Message, Person};
use crate::papers::Papers;
use crate::source::Packet;
use crate::story::Numbers;
use crate::summary::Summaries;

/// Everything but the details.
pub(super) fn call(observed: &ObservedCall, kept: &mut Kept) -> Call {
    let (number, dropped) = (kept.number, kept.dropped + u64::from(observed.dropped()));
    let mut known = observed.messages().to_vec();
    let sorted = known.is_sorted_by_key(|message| message.n);
    known.sort_by_key(|message| message.n);
    let known = |n: u32| {
        let index = known.binary_search_by_key(&n, |message| message.n).ok()?;
        known.get(index)
    };
    let mut seen = std::mem::take(&mut kept.seen);
    if !sorted {
        sort(&mut seen, observed.messages(), known);
    }
    let numbers = Numbers::new(seen.iter().map(|seen| seen.n).zip(1..).collect());
    let new = |n: u32| numbers.of(n).unwrap_or_default();
    let all = |list: &[u32]| list.iter().map(|n| new(*n)).filter(|n| *n > 0).collect::<Vec<u32>>();
    let kind = |kind: Kind| match kind {
        Kind::Again { of, how } => Kind::Again { of: new(of), how },
        other => other,
    };
    let mut glances = Vec::with_capacity(seen.len());
    let messages: Vec<Message> = seen
        .into_iter()
        .zip(1..)
        .map(|(Seen { packet, n: seen, glance }, n)| {
            let known = known(seen);
            let Packet { at, from, to, transport, payload, place, cut } = packet;
            glances.push((!payload.is_empty()).then_some(glance));
            Message {
                n,
                at,
                from,
                to,
                transport,
                by: known.map_or(Party::Network, |known| known.by),
                kind: known.map_or(Kind::First, |known| kind(known.kind)),
                summary: String::new(),
                raw: payload.into(),
                place,
                cut,
            }
        })
        .collect();
    // What was noticed in another order than that of the messages is no log of them.
    let log = kept.log.take().filter(|log| sorted && log.is_of(observed));
    let findings = observed.findings().iter().map(|finding| judged(finding, &new, &all)).collect();
    let changes = observed.changes().iter().map(|change| Change {
        messages: all(&change.messages),
        by: change.by,
        method: change.method,
        what: change.what.iter().map(|what| what.as_str()).collect(),
        outcome: change.outcome,
        status: change.status,
    });
    let dialogs = observed.dialogs().iter().map(|dialog| DialogInfo {
        caller_tag: dialog.caller_tag().to_owned(),
        callee_tag: dialog.callee_tag().to_owned(),
        whole: dialog.is_whole(),
    });
    let (mut caller, mut callee) = (person(observed.caller()), person(observed.callee()));
    callee.address = far_end(&messages, callee.address);
    name(&mut caller, &mut callee);
    Call {
        number,
        call_id: observed.call_id().to_owned(),
        caller,
        callee,
        messages,
        dialogs: dialogs.collect(),
        changes: changes.collect(),
        findings,
        found: Vec::new(),
        story: Vec::new(),
        legs: Vec::new(),
        ended: observed.ended(),
        dropped,
        log: log.map(|log| Box::new((*log, numbers))),
        glances,
    }
}

/// What a call says of itself.
pub(super) struct Detail {
    /// A summary of each message that can be read.
    summaries: Vec<Option<String>>,
    /// Who its parties say they are.
    caller: Option<String>,
    callee: Option<String>,
}

impl Detail {
    pub(super) fn of(call: &Call, papers: &Papers<'_>) -> Self {
        let mut summaries = Summaries::default();
        let (mut caller, mut callee) = (None, None);
        let summary = |message: &Message| {
            let sip = papers.get(message.n)?;
            let named = match sip.status() {
                None => sip.header(Name::UserAgent),
                Some(_) => sip.header(Name::Server).or_else(|| sip.header(Name::UserAgent)),
            };
            let party = match message.by {
                Party::Caller => Some(&mut caller),
                Party::Callee => Some(&mut callee),
                Party::Network => None,
            };
            // A hop may write its own name.
            let own = !matches!(message.kind, Kind::Again { how: Repeat::Hop, .. });
            if let (Some(party), Some(named)) = (party, named.filter(|_| own && sip.status() != Some(100))) {
                *party = Some(named);
            }
            Some(summaries.described(sip, papers.sdp(message.n)))
        };
        let summaries = call.messages.iter().map(summary).collect();
        Self { summaries, caller: caller.map(str::to_owned), callee: callee.map(str::to_owned) }
    }

    pub(super) fn fill(self, call: &mut Call) {
        for (message, summary) in call.messages.iter_mut().zip(self.summaries) {
            if let Some(summary) = summary {
                message.summary = summary;
            }
        }
        for (person, named) in [(&mut call.caller, self.caller), (&mut call.callee, self.callee)] {
            person.user_agent = named.or(person.user_agent.take());
        }
    }
}

/// Puts messages in the order of the trace, but behind what caused them.
fn sort<'k>(
    seen: &mut [Seen],
    taken: &[ObservedMessage],
    known: impl Fn(u32) -> Option<&'k ObservedMessage>,
) {
    // A message that waited for its cause stands where it was taken; one that waited in vain stands where it came.
    let mut places: HashMap<u32, u32> = HashMap::with_capacity(taken.len());
    let mut highest = 0;
    for message in taken.iter().filter(|message| message.kind != Kind::Orphan) {
        highest = highest.max(message.n);
        places.insert(message.n, highest);
    }
    seen.sort_by_key(|Seen { n, .. }| {
        let late = places.get(n).copied();
        let orphan = known(*n).is_some_and(|known| known.kind == Kind::Orphan);
        (late.filter(|_| !orphan).unwrap_or(*n), late.is_some_and(|late| late > *n))
    });
}

fn judged(
    finding: &observer::Finding,
    new: &dyn Fn(u32) -> u32,
    all: &dyn Fn(&[u32]) -> Vec<u32>,
) -> Finding {
    let rule = finding.rule.rule();
    Finding {
        code: rule.code,
        severity: finding.severity,
        certainty: finding.certainty,
        by: finding.by,
        at: new(finding.at),
        because: all(&finding.because),
        cites: rule.cites.to_vec(),
        title: rule.title.to_owned(),
        means: rule.means.to_owned(),
        fix: rule.fix.to_owned(),
        consequences: Vec::new(),
        joined: None,
        worded: Worded::ByRule,
    }
}

fn person(party: &ObservedParty) -> Person {
    Person {
        uri: party.uri.clone().into(),
        name: String::new(),
        tag: party.tag.clone().into(),
        address: party.address,
        user_agent: None,
    }
}

/// Gives both parties short names that tell them apart.
pub(crate) fn name(caller: &mut Person, callee: &mut Person) {
    for person in [&mut *caller, &mut *callee] {
        person.name = user(&person.uri);
    }
    if caller.name == callee.name {
        (caller.name, callee.name) = match (host(&caller.uri), host(&callee.uri)) {
            (caller, callee) if caller != callee && !caller.is_empty() && !callee.is_empty() => {
                (caller, callee)
            }
            _ => (Party::Caller.as_str().to_owned(), Party::Callee.as_str().to_owned()),
        };
    }
}

/// The user of a URI, its host where it has none.
fn user(uri: &str) -> String {
    let user = Uri::parse(uri).ok().and_then(|uri| uri.user).filter(|user| !user.is_empty());
    let name: String = user.map_or_else(|| host(uri), str::to_owned);
    name.chars().filter(|char| !char.is_control()).take(LONGEST_NAME).collect()
}

fn host(uri: &str) -> String {
    match Uri::parse(uri) {
        Ok(parsed) if !parsed.host.is_empty() => parsed.host.to_owned(),
        _ => uri.split_once(':').map_or(uri, |(_, rest)| rest).to_owned(),
    }
}

/// Where the INVITE came to rest: the end of the hops that a trace shows.
fn far_end(messages: &[Message], first: SocketAddr) -> SocketAddr {
    let hops = messages.iter().filter(|message| {
        message.by == Party::Caller && matches!(message.kind, Kind::Again { how: Repeat::Hop, .. })
    });
    let mut end = first;
    for message in hops {
        let forwards = message.from == end || message.from.ip() == end.ip();
        if forwards
            && Sip::parse_partial(message.raw.as_ref())
                .is_ok_and(|sip| sip.status().is_none() && sip.method() == Method::Invite)
        {
            end = message.to;
        }
    }
    end
}

/// The longest name of a party.
const LONGEST_NAME: usize = 24;
