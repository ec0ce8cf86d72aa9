//! The `session` property: whatever two applications wish and whatever the wire does, in the end both sides agree, every
//! wish came true or was reported refused, nothing is owed, and each call ends with one BYE.
//!
//! [`run`] plays the operations that a string of bytes spells; the fuzz target, the committed corpus and the seeds of the
//! test all go through it.

use std::collections::BTreeMap;

use midcall_proto::endpoint::{Modification, Prefer};
use midcall_proto::event::{CallEvent, Event, Ticket};
use midcall_proto::rng::Rng;
use midcall_proto::session::Codec;

use crate::agent::{Agent, Call};
use crate::network::Pick;
use crate::pair::Pair;
use crate::raw::Raw;
use crate::scene::Scene;
use crate::{Seed, ms, secs};

/// The longest string of operations that is played.
const MOST_OPERATIONS: usize = 48;

/// What a run was made of, for reports over many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Operations played.
    pub operations: u32,
    /// Wishes of either application.
    pub wishes: u32,
    /// Wishes reported as refused.
    pub refused: u32,
    /// 491 responses on the wire.
    pub glares: u32,
    /// Datagrams lost.
    pub lost: u32,
    /// Whether the call was still up when it was hung up.
    pub survived: bool,
}

/// The operations of a seed.
#[must_use]
pub fn operations(seed: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    let count = 4 + usize::try_from(rng.below(28)).unwrap_or_default();
    (0..count).map(|_| u8::try_from(rng.below(256)).unwrap_or_default()).collect()
}

/// Plays operations on a pair of endpoints and checks what must hold.
///
/// # Errors
/// What did not hold, with the ladder.
pub fn run(seed: u64, operations: &[u8]) -> Result<Tally, String> {
    let mut weather = Rng::new(seed ^ 0xb1e5_5ed0);
    let latency = ms(1 + weather.below(60));
    let mut pair = Pair::with(Seed(seed), |a, b| {
        for config in [a, b] {
            config.session_expires =
                [None, Some(90), Some(1800)][usize::try_from(weather.below(3)).unwrap_or(0)];
            config.update = weather.below(4) != 0;
            config.prefer = if weather.below(2) == 0 { Prefer::Update } else { Prefer::ReInvite };
        }
    })
    .latency(latency);
    let call = pair.call();
    if weather.below(2) == 0 {
        pair.wire.weather().loss = weather.below(80);
        pair.wire.weather().duplication = weather.below(60);
        pair.wire.weather().reordering = weather.below(100);
    }
    let mut tally = Tally::default();
    let mut asked: [Vec<Ticket>; 2] = Default::default();
    for operation in operations.iter().take(MOST_OPERATIONS) {
        tally.operations += 1;
        play(&mut pair, call, *operation, &mut asked);
    }
    pair.wire.forget_plans();
    let weather = pair.wire.weather();
    (weather.loss, weather.duplication, weather.reordering) = (0, 0, 0);
    quiet(&mut pair, call).map_err(|what| told(&pair, seed, &what))?;
    tally.wishes = u32::try_from(asked[0].len() + asked[1].len()).unwrap_or(u32::MAX);
    check_wishes(&pair, call, &asked, &mut tally).map_err(|what| told(&pair, seed, &what))?;
    let up = pair.a.is_up(call) && pair.b.is_up(call);
    tally.survived = up;
    if up {
        check_agreement(&pair, call).map_err(|what| told(&pair, seed, &what))?;
    }
    if pair.a.is_up(call) {
        pair.a.call(call).hang_up();
    } else if pair.b.is_up(call) {
        pair.b.call(call).hang_up();
    }
    pair.run_for(secs(70));
    check_end(&pair, call, &mut tally).map_err(|what| told(&pair, seed, &what))?;
    Ok(tally)
}

fn told(pair: &Pair, seed: u64, what: &str) -> String {
    format!("seed {seed}: {what}\n{}", pair.ladder())
}

/// Plays one operation: the upper half of the byte chooses the side or the amount, the lower half the verb.
fn play(pair: &mut Pair, call: Call, operation: u8, asked: &mut [Vec<Ticket>; 2]) {
    let (verb, high) = (operation & 0x0f, operation >> 4);
    let side = usize::from(high & 1);
    let more = high >> 1;
    let codecs = [
        vec![Codec::pcmu()],
        vec![Codec::pcma(), Codec::pcmu()],
        vec![Codec::pcma(), Codec::telephone_event()],
    ];
    let change = match verb {
        0 | 1 => (Modification::Hold(None), None),
        2 | 3 => (Modification::Resume(None), None),
        4 => (Modification::Codecs(codecs[usize::from(more) % 3].clone()), None),
        5 => (Modification::Codecs(codecs[usize::from(more) % 3].clone()), Some(Prefer::Update)),
        6 => (Modification::Repeat, Some(Prefer::ReInvite)),
        7 => (Modification::Offerless, None),
        8 => (Modification::Refresh, None),
        9 => {
            pair.wire.drop_next(Pick::any());
            return;
        }
        10 => {
            pair.wire.delay_next(Pick::any(), ms(u64::from(more) * 40));
            return;
        }
        11 => {
            pair.wire.double_next(Pick::any());
            return;
        }
        12 => {
            pair.run_for(ms(u64::from(more) * 7));
            return;
        }
        13 => {
            pair.run_for(ms(200 + u64::from(high) * 300));
            return;
        }
        14 => {
            let agent = if side == 0 { &mut pair.a } else { &mut pair.b };
            // Nothing may be in flight to cancel.
            let _ = agent.call(call).attempt(|call, now| call.cancel_change(now));
            return;
        }
        _ => {
            // A hang-up in the middle of everything, now and then.
            if more == 7 {
                let agent = if side == 0 { &mut pair.a } else { &mut pair.b };
                let _ = agent.call(call).attempt(|call, now| call.hang_up(now));
            }
            return;
        }
    };
    let agent = if side == 0 { &mut pair.a } else { &mut pair.b };
    if let Ok(ticket) = agent.call(call).attempt(|call, now| call.modify(now, change.0, change.1)) {
        asked[side].push(ticket);
    }
}

/// Runs until no wish waits and no transaction is open, or both sides know that the call is over.
fn quiet(pair: &mut Pair, call: Call) -> Result<(), String> {
    for _ in 0..90 {
        pair.run_for(secs(1));
        let rest = |agent: &Agent| {
            agent.look(call).is_none_or(|call| {
                call.ended() || call.settled() && call.dialog().is_none_or(|dialog| dialog.open.is_empty())
            })
        };
        if rest(&pair.a) && rest(&pair.b) && (pair.a.ended(call).is_some() == pair.b.ended(call).is_some()) {
            pair.run_for(secs(1));
            return Ok(());
        }
    }
    Err("it does not come to rest in 90 s".to_owned())
}

/// Every ticket has exactly one outcome.
fn check_wishes(pair: &Pair, call: Call, asked: &[Vec<Ticket>; 2], tally: &mut Tally) -> Result<(), String> {
    for (agent, tickets) in [&pair.a, &pair.b].into_iter().zip(asked) {
        let mut outcomes: BTreeMap<Ticket, u32> = BTreeMap::new();
        for event in agent.told(call) {
            match event {
                CallEvent::Changed(change) => *outcomes.entry(change.ticket).or_default() += 1,
                CallEvent::ChangeFailed { ticket, .. } => {
                    tally.refused += 1;
                    *outcomes.entry(*ticket).or_default() += 1;
                }
                _ => {}
            }
        }
        for ticket in tickets {
            let count = outcomes.get(ticket).copied().unwrap_or_default();
            if count != 1 {
                return Err(format!("{ticket:?} has {count} outcomes"));
            }
        }
    }
    Ok(())
}

/// Both sides have the same two descriptions in force, and what each application wants is so.
fn check_agreement(pair: &Pair, call: Call) -> Result<(), String> {
    let (Some(a), Some(b)) = (pair.a.look(call), pair.b.look(call)) else {
        return Err("a call is gone".to_owned());
    };
    let (Some(da), Some(db)) = (a.dialog(), b.dialog()) else { return Err("a dialog is gone".to_owned()) };
    let (Some(at_a), Some(at_b)) = (&da.offers.agreed, &db.offers.agreed) else {
        return Err("no session".to_owned());
    };
    if at_a.ours.as_bytes() != at_b.theirs.as_bytes() || at_a.theirs.as_bytes() != at_b.ours.as_bytes() {
        return Err("the sides disagree on the session".to_owned());
    }
    for (name, call) in [("alice", a), ("bob", b)] {
        let (Some(wanted), Some(agreed)) = (call.wanted(), call.agreed()) else {
            return Err("no session".to_owned());
        };
        for (wish, stream) in wanted.streams.iter().zip(&agreed.streams) {
            let receives = wish.wish().receives();
            if !receives && stream.receives {
                return Err(format!("{name} wants to receive nothing, but does"));
            }
        }
        if call.dialog().is_some_and(|dialog| dialog.offers.open()) {
            return Err(format!("{name} still has an offer open"));
        }
        let now = pair.wire.now();
        if let Some(due) = call.dues(ms(500)).into_iter().find(|due| due.by < now) {
            return Err(format!("{name}: {due:?} outlived its deadline"));
        }
    }
    let held =
        |agent: &Agent| agent.look(call).and_then(|call| call.wanted()).is_some_and(|wanted| wanted.held());
    let flows = |agent: &Agent| {
        agent.agreed(call).is_some_and(|agreed| agreed.streams.iter().any(|s| s.sends || s.receives))
    };
    if held(&pair.a) && held(&pair.b) && (flows(&pair.a) || flows(&pair.b)) {
        return Err("both hold, yet media flows".to_owned());
    }
    Ok(())
}

/// The call is over on both sides, nobody broke a rule, and each side sent at most one BYE (two only where they crossed).
fn check_end(pair: &Pair, call: Call, tally: &mut Tally) -> Result<(), String> {
    for (name, agent) in [("alice", &pair.a), ("bob", &pair.b)] {
        let ends = agent.told(call).filter(|event| matches!(event, CallEvent::Ended { .. })).count();
        if ends != 1 {
            return Err(format!("{name} heard of the end {ends} times"));
        }
        if let Some(rule) = agent.peers_broke().first() {
            return Err(format!("{name} says that its peer broke {}", rule.rule().code));
        }
    }
    let mut byes: BTreeMap<(String, u32), u32> = BTreeMap::new();
    for packet in pair.packets() {
        let raw: Raw = packet.raw();
        match (raw.is_request(), raw.method()) {
            (true, "BYE") => *byes.entry((packet.from.to_string(), raw.cseq())).or_default() += 1,
            (false, _) if raw.status() == Some(491) => tally.glares += 1,
            _ => {}
        }
        tally.lost += u32::from(packet.delivered().is_none());
    }
    let senders: std::collections::BTreeSet<&String> = byes.keys().map(|(from, _)| from).collect();
    if byes.len() > senders.len() {
        return Err("somebody sent two BYEs".to_owned());
    }
    let lost = pair
        .a
        .events()
        .iter()
        .chain(pair.b.events())
        .any(|(_, event)| matches!(event, Event::Dropped { what, .. } if what.contains("not SIP")));
    if lost {
        return Err("a message could not be read".to_owned());
    }
    Ok(())
}
