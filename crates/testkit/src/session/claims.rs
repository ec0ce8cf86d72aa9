//! What must hold when everything has come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use midcall_proto::endpoint::CallRef;
use midcall_proto::event::{CallEvent, Event, Ticket};
use midcall_proto::rules::Severity;
use midcall_proto::time::Instant;

use super::Tally;
use super::deeds::{self, asked};
use super::play::{Stage, known, last_words};
use crate::agent::Agent;
use crate::network::Packet;
use crate::raw::Raw;
use crate::scene::{Scene, reordered};
use crate::watch::Watch;
use crate::{ms, secs};

/// Runs until no wish waits, no transaction is open and no transfer lacks its last word, or the calls are over.
pub(super) fn quiet(stage: &mut Stage) -> Result<(), String> {
    let (mut restless, mut rested) = (String::new(), 0);
    for second in 0..REST.as_secs() {
        stage.answer_all();
        if second == RINGS.as_secs() {
            stage.give_up_ringing();
        }
        if second >= RINGS.as_secs() {
            stage.decide();
        }
        stage.trio.run_for(secs(1));
        match rest(stage) {
            Ok(()) => rested += 1,
            Err(why) => (restless, rested) = (why, 0),
        }
        if rested == 2 {
            return Ok(());
        }
    }
    Err(format!("it does not come to rest in {} s: {restless}", REST.as_secs()))
}

fn rest(stage: &Stage) -> Result<(), String> {
    let mut up: BTreeMap<&str, u32> = BTreeMap::new();
    for (name, agent) in agents(stage) {
        for id in known(agent) {
            let Some(call) = agent.look(id).filter(|call| !call.ended()) else { continue };
            if !call.settled() {
                return Err(format!("{name} has a wish open in call {id:?}"));
            }
            if call.dialogs().any(|dialog| !dialog.open.is_empty()) {
                return Err(format!("{name} has a transaction open in call {id:?}"));
            }
            if !call.is_up() {
                return Err(format!("call {id:?} of {name} is neither up nor over"));
            }
            *up.entry(call.call_id()).or_default() += 1;
        }
    }
    if let Some((call_id, count)) = up.iter().find(|(_, count)| **count != 2) {
        return Err(format!("call {call_id} is up for {count} of its two parties"));
    }
    for (side, asked) in stage.transfers.iter().enumerate() {
        let (words, _) = last_words(stage.trio.agent(side), stage.call);
        if words != *asked {
            return Err(format!("side {side} asked for {asked} transfers and heard the last of {words}"));
        }
    }
    Ok(())
}

/// How the calls of each agent ended, for reports.
pub(super) fn ends(stage: &Stage) -> String {
    let mut text = String::new();
    for (name, agent) in agents(stage) {
        for id in known(agent) {
            let end = agent.ended(id).map_or_else(|| "not over".to_owned(), |why| format!("{why:?}"));
            text.push_str(&format!("{name} {id:?}: {end}\n"));
        }
    }
    text
}

fn agents(stage: &Stage) -> [(&'static str, &Agent); 3] {
    [("alice", &stage.trio.a), ("bob", &stage.trio.b), ("carol", &stage.trio.c)]
}

/// Every ticket has exactly one outcome.
pub(super) fn wishes(stage: &Stage, tally: &mut Tally) -> Result<(), String> {
    for side in 0..2 {
        let agent = stage.trio.agent(side);
        let mut outcomes: BTreeMap<Ticket, u32> = BTreeMap::new();
        for event in agent.told(stage.call) {
            match event {
                CallEvent::Changed(change) => *outcomes.entry(change.ticket).or_default() += 1,
                CallEvent::ChangeFailed { ticket, .. } => {
                    tally.refused += 1;
                    *outcomes.entry(*ticket).or_default() += 1;
                }
                _ => {}
            }
        }
        for ticket in asked(stage, side) {
            tally.wishes += 1;
            let count = outcomes.get(&ticket).copied().unwrap_or_default();
            if count != 1 {
                return Err(format!("{ticket:?} of side {side} has {count} outcomes"));
            }
        }
        tally.transfers += stage.transfers.get(side).copied().unwrap_or_default();
        tally.transferred += last_words(agent, stage.call).1;
    }
    Ok(())
}

/// Both sides of every call that is up have the same two descriptions in force, and what each application wants is so.
pub(super) fn agreement(stage: &Stage) -> Result<(), String> {
    let mut calls: BTreeMap<String, Vec<(&str, CallRef<'_>)>> = BTreeMap::new();
    for (name, agent) in agents(stage) {
        for call in known(agent).into_iter().filter_map(|id| agent.look(id)).filter(CallRef::is_up) {
            calls.entry(call.call_id().to_owned()).or_default().push((name, call));
        }
    }
    for (call_id, parties) in &calls {
        let [one, other] = parties.as_slice() else { return Err(format!("{call_id} is not a call of two")) };
        agree(*one, *other, stage.trio.now()).map_err(|why| format!("{call_id}: {why}"))?;
    }
    Ok(())
}

fn agree(one: (&str, CallRef<'_>), other: (&str, CallRef<'_>), now: Instant) -> Result<(), String> {
    let (Some(da), Some(db)) = (one.1.dialog(), other.1.dialog()) else {
        return Err("a dialog is gone".to_owned());
    };
    let (Some(at_a), Some(at_b)) = (&da.offers.agreed, &db.offers.agreed) else {
        return Err("no session".to_owned());
    };
    if at_a.ours.as_bytes() != at_b.theirs.as_bytes() || at_a.theirs.as_bytes() != at_b.ours.as_bytes() {
        return Err(format!("{} and {} disagree on the session", one.0, other.0));
    }
    for (name, call) in [one, other] {
        let (Some(wanted), Some(agreed)) = (call.wanted(), call.agreed()) else {
            return Err("no session".to_owned());
        };
        for (place, stream) in agreed.streams.iter().enumerate().filter(|(_, stream)| stream.receives) {
            // A stream keeps its place on the wire, which need not be its place among the wishes.
            let own = |port: &u16| wanted.streams.iter().find(|wish| wish.enabled && wish.port == *port);
            let wish = stream.local.as_ref().and_then(|(_, port)| own(port));
            let wish = wish.or_else(|| wanted.streams.get(place));
            if wish.is_some_and(|wish| !wish.wish().receives()) {
                return Err(format!("{name} wants to receive nothing, but does"));
            }
        }
        if call.dialog().is_some_and(|dialog| dialog.offers.open()) {
            return Err(format!("{name} still has an offer open"));
        }
        if let Some(due) = call.dues(ms(500)).into_iter().find(|due| due.by < now) {
            return Err(format!("{name}: {due:?} outlived its deadline"));
        }
    }
    let held = |call: CallRef<'_>| call.wanted().is_some_and(midcall_proto::session::Wanted::held);
    let flows = |call: CallRef<'_>| {
        call.agreed().is_some_and(|agreed| agreed.streams.iter().any(|s| s.sends || s.receives))
    };
    if held(one.1) && held(other.1) && (flows(one.1) || flows(other.1)) {
        return Err("both hold, yet media flows".to_owned());
    }
    Ok(())
}

/// Every call is over on both sides, nobody broke a rule, and each was ended by one BYE; two only where they crossed.
pub(super) fn end(stage: &Stage, hung_up: &BTreeSet<String>, tally: &mut Tally) -> Result<(), String> {
    for (name, agent) in agents(stage) {
        for id in known(agent) {
            let ends = agent.told(id).filter(|event| matches!(event, CallEvent::Ended { .. })).count();
            if ends != 1 {
                return Err(format!("{name} heard {ends} times of the end of {id:?}"));
            }
        }
        if let Some(rule) = agent.peers_broke().first() {
            return Err(format!("{name} says that its peer broke {}", rule.rule().code));
        }
        let unread = |(_, event): &(Instant, Event)| matches!(event, Event::Dropped { what, .. } if what.contains("not SIP"));
        if agent.events().iter().any(unread) {
            return Err("a message could not be read".to_owned());
        }
    }
    let mut byes: BTreeMap<String, Vec<Bye<'_>>> = BTreeMap::new();
    for packet in stage.trio.packets() {
        let raw: Raw = packet.raw();
        match (raw.is_request(), raw.method()) {
            (true, "BYE") => note_bye(byes.entry(raw.call_id().to_owned()).or_default(), packet, raw.cseq()),
            (false, _) if raw.status() == Some(491) => tally.glares += 1,
            _ => {}
        }
        tally.lost += u32::from(packet.delivered().is_none());
    }
    if let Some(call_id) = hung_up.iter().find(|call_id| !byes.contains_key(*call_id)) {
        return Err(format!("{call_id} ended without a BYE"));
    }
    byes.iter().try_for_each(|(call_id, byes)| match byes.as_slice() {
        [_] => Ok(()),
        [first, second] if first.packet.from != second.packet.from => {
            match first.arrived.filter(|arrived| *arrived < second.packet.sent) {
                None => Ok(()),
                Some(_) => Err(format!("{call_id} was answered BYE with BYE")),
            }
        }
        _ => Err(format!("somebody sent two BYEs in {call_id}")),
    })
}

/// Nothing certain was found by the observer on the wire, but what the applications wished so.
pub(super) fn findings(stage: &mut Stage) -> Result<(), String> {
    if reordered(stage.trio.packets()) {
        return Ok(());
    }
    let found = Watch::over(stage.trio.packets(), &[], stage.trio.now()).sightings();
    let certain = found.into_iter().filter(|found| found.severity > Severity::Info);
    let (wished, faults): (Vec<_>, Vec<_>) = certain.partition(|found| deeds::explain(stage, found));
    for found in wished {
        stage.trio.tolerate(found);
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(faults.iter().map(|fault| format!("undeclared: {fault}\n")).collect())
}

/// A BYE, and when its first copy arrived.
struct Bye<'p> {
    packet: &'p Packet,
    cseq: u32,
    arrived: Option<Instant>,
}

fn note_bye<'p>(byes: &mut Vec<Bye<'p>>, packet: &'p Packet, cseq: u32) {
    let arrived = packet.delivered();
    match byes.iter_mut().find(|bye| bye.packet.from == packet.from && bye.cseq == cseq) {
        Some(bye) => bye.arrived = [bye.arrived, arrived].into_iter().flatten().min(),
        None => byes.push(Bye { packet, cseq, arrived }),
    }
}

/// How long a caller lets it ring.
const RINGS: Duration = Duration::from_secs(120);
/// How long it may take: a transfer has its last word when the subscription of its REFER has run out.
const REST: Duration = Duration::from_secs(240);
