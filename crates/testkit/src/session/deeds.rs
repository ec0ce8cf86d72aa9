//! What the applications did, and when: what an observer of the wire cannot know, as little as what became of a packet.

use std::time::Duration;

use midcall_proto::event::{CallEvent, Event, Ticket, What};
use midcall_proto::time::Instant;

use super::play::Stage;
use crate::agent::Handle;
use crate::network::Packet;
use crate::scene::Scene;
use crate::watch::Sighting;

/// Something that an application did in its call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deed {
    pub(super) at: Instant,
    pub(super) side: usize,
    pub(super) verb: Verb,
}

/// What it was.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verb {
    /// It asked for a change.
    Ask(Ticket, What),
    /// It cancelled the re-INVITE under way.
    Cancel,
    /// It asked the peer to call somebody else.
    Transfer,
    /// It ended the call.
    HangUp,
}

/// The changes that a side asked for.
pub(super) fn asked(stage: &Stage, side: usize) -> impl Iterator<Item = Ticket> {
    stage.deeds.iter().filter(move |deed| deed.side == side).filter_map(|deed| match deed.verb {
        Verb::Ask(ticket, _) => Some(ticket),
        _ => None,
    })
}

/// Whether a finding shows only what the application of the side that it names did itself, by the messages that it names:
/// advice that those who act at random do not follow, and that no endpoint can follow for them; or what the wire did behind the
/// tap. Nothing that the tap sees tells it.
pub(super) fn explain(stage: &Stage, found: &Sighting) -> bool {
    let Some(address) = found.by else {
        // The network is blamed, and rightly: it had swallowed something of the call by then.
        return any_call(stage, found.at).is_some_and(|at| {
            let mut before = stage.trio.packets().iter().filter(|packet| packet.sent <= at.sent);
            before.any(|packet| packet.delivered().is_none() && packet.raw().call_id() == at.raw().call_id())
        });
    };
    let Some(side) = (0..2).find(|side| address == stage.trio.agent(*side).address()) else {
        return false;
    };
    let Some(at) = numbered(stage, found.at) else { return false };
    let because = |place: usize| found.because.get(place).and_then(|number| numbered(stage, *number));
    match found.code {
        // What had met another change was over, undone by the application, when it asked for the same anew.
        "GL-02" => because(0).is_some_and(|refusal| {
            let asked = |deed: &Deed| deed.side == side && matches!(deed.verb, Verb::Ask(..));
            let anew = |deed: &Deed| (refusal.sent..=at.sent).contains(&deed.at);
            undone(stage, side, refusal, at.sent) && stage.deeds.iter().any(|deed| asked(deed) && anew(deed))
        }),
        // Both applications undid the changes that had met each other.
        "RC-11" => because(0).is_some_and(|first| {
            let patience = at.sent + FORGOTTEN;
            undone(stage, side, at, patience) && undone(stage, 1 - side, first, patience)
                || undone(stage, 1 - side, at, patience) && undone(stage, side, first, patience)
        }),
        // So many changes were asked for at once, or between, that their requests kept meeting those of the other side.
        "GL-06" => because(0).is_some_and(|refusal| {
            let between = |deed: &Deed| (refusal.sent..=at.sent).contains(&deed.at);
            let asked = |deed: &Deed| matches!(deed.verb, Verb::Ask(..)) && between(deed);
            stage.deeds.iter().any(asked)
                || (0..2).any(|side| open(stage, side, refusal.sent).count() > IN_A_ROW)
        }),
        // What brought the old descriptions back was asked for.
        "OA-14" => open(stage, side, at.sent).next().is_some(),
        // Whoever was called did nothing at all for minutes.
        "TX-25" => !stage.trio.packets().iter().any(|packet| {
            let raw = packet.raw();
            let rings = raw.method() == "INVITE" && matches!(raw.status(), Some(101..=199));
            rings
                && packet.from == address
                && raw.call_id() == at.raw().call_id()
                && packet.number < at.number
        }),
        // It asked for the stream when it knew of the hold, or anew after the refusal.
        "GL-05" => because(1).and_then(|hold| heard(stage, hold)).is_some_and(|held| {
            let refused = because(0).and_then(|refusal| heard(stage, refusal)).unwrap_or(held);
            let mut adds = open(stage, side, at.sent).filter(|wish| wish.what == What::AddStream).peekable();
            adds.peek().is_some() && adds.all(|wish| wish.asked >= held.min(refused))
        }),
        // One of the two that met was asked for, or what goes out as one.
        "ST-25" => (0..2).any(|side| asked_to_repeat(stage, side, at.sent)),
        // It asked for every one of the re-INVITEs that changed nothing.
        "RI-25" => because(0).is_some_and(|first| {
            let mut burst = stage.trio.packets().iter().filter(|packet| {
                let raw = packet.raw();
                (first.number..=at.number).contains(&packet.number)
                    && packet.from == at.from
                    && raw.is_request()
                    && (raw.method(), raw.call_id()) == ("INVITE", at.raw().call_id())
            });
            burst.all(|one| asked_to_repeat(stage, side, one.sent))
        }),
        // It hung up, for whatever reason.
        "RF-25" | "RI-15" | "ST-17" => {
            stage
                .deeds
                .iter()
                .any(|deed| deed.side == side && deed.at <= at.sent && matches!(deed.verb, Verb::HangUp))
                && at.raw().method() == "BYE"
        }
        _ => false,
    }
}

/// A packet of whichever call.
fn any_call(stage: &Stage, number: usize) -> Option<&Packet> {
    stage.trio.packets().iter().find(|packet| packet.number == number)
}

/// A packet of the call that the deeds are about.
fn numbered(stage: &Stage, number: usize) -> Option<&Packet> {
    let packet = any_call(stage, number)?;
    let own = stage.trio.packets().first()?.raw().call_id().to_owned();
    (packet.raw().call_id() == own).then_some(packet)
}

/// Whether a side had asked by then for what goes out though nothing changes.
fn asked_to_repeat(stage: &Stage, side: usize, at: Instant) -> bool {
    open(stage, side, at).any(|wish| matches!(wish.what, What::Refresh | What::Session | What::Target))
}

/// When the first copy of a message arrived.
fn heard(stage: &Stage, message: &Packet) -> Option<Instant> {
    let copies = stage.trio.packets().iter().filter(|packet| packet.bytes == message.bytes);
    copies.filter_map(Packet::delivered).min()
}

/// Whether everything that the request of this side had carried which got this refusal was over by then, and the application
/// did something between.
fn undone(stage: &Stage, side: usize, refusal: &Packet, by: Instant) -> bool {
    let (address, word) = (stage.trio.agent(side).address(), refusal.raw());
    let request = stage.trio.packets().iter().find(|packet| {
        let raw = packet.raw();
        packet.from == address
            && raw.is_request()
            && (raw.call_id(), raw.cseq(), raw.method()) == (word.call_id(), word.cseq(), word.method())
    });
    let Some(request) = request else { return false };
    let mut carried = open(stage, side, request.sent).peekable();
    let acted = |deed: &Deed| {
        deed.side == side && (request.sent..=by).contains(&deed.at) && matches!(deed.verb, Verb::Ask(..))
    };
    carried.peek().is_some()
        && carried.all(|wish| wish.over.is_some_and(|over| over <= by))
        && stage.deeds.iter().any(acted)
}

/// A change that an application asked for, from asking to its outcome.
struct Wish {
    what: What,
    asked: Instant,
    over: Option<Instant>,
}

/// The wishes of a side that were open at this time: all that a request sent then can have carried.
fn open(stage: &Stage, side: usize, at: Instant) -> impl Iterator<Item = Wish> {
    let own = stage.call.of(side);
    let outcome = move |ticket: Ticket| {
        stage.trio.agent(side).events().iter().find_map(|(time, event)| match event {
            Event::Call { call, event: CallEvent::Changed(change) } if *call == own => {
                (change.ticket == ticket).then_some(*time)
            }
            Event::Call { call, event: CallEvent::ChangeFailed { ticket: failed, .. } } if *call == own => {
                (*failed == ticket).then_some(*time)
            }
            _ => None,
        })
    };
    let wishes =
        stage.deeds.iter().filter(move |deed| deed.side == side).filter_map(move |deed| match deed.verb {
            Verb::Ask(ticket, what) => Some(Wish { what, asked: deed.at, over: outcome(ticket) }),
            _ => None,
        });
    wishes.filter(move |wish| wish.asked <= at && wish.over.is_none_or(|over| over > at))
}

/// After how many 491 in a row somebody should give up (GL-06).
const IN_A_ROW: usize = 3;

/// How long nobody may come back after two changes met, before it counts as forgotten.
const FORGOTTEN: Duration = Duration::from_secs(10);

/// The deeds and what came of them, in order, for reports.
pub(super) fn told(stage: &Stage) -> String {
    let mut lines: Vec<(Instant, String)> = stage
        .deeds
        .iter()
        .map(|deed| (deed.at, format!("{} does {:?}", NAMES[deed.side], deed.verb)))
        .collect();
    for (side, name) in NAMES.into_iter().enumerate() {
        for (at, event) in stage.trio.agent(side).events() {
            let Event::Call { event, .. } = event else { continue };
            if matches!(
                event,
                CallEvent::Changed(_)
                    | CallEvent::ChangeFailed { .. }
                    | CallEvent::ChangeWaiting { .. }
                    | CallEvent::Transfer { .. }
                    | CallEvent::Held { .. }
                    | CallEvent::Offered { .. }
                    | CallEvent::Ended { .. }
            ) {
                lines.push((*at, format!("{name} hears {event:?}")));
            }
        }
    }
    lines.sort_by_key(|(at, _)| *at);
    lines.iter().map(|(at, line)| format!("{:8.3} {line}\n", at.since(Instant::ZERO).as_secs_f64())).collect()
}

const NAMES: [&str; 2] = ["alice", "bob"];
