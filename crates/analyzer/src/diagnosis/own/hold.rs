//! Holds: who asked for them, in which form, and how they ended.

use std::time::Duration;

use midcall_proto::observer::Party;
use midcall_proto::rules::Severity;
use midcall_wire::sdp::Direction;
use midcall_wire::{Method, Name};

use super::Scene;
use super::deal::before;
use crate::diagnosis::read::seconds;
use crate::model::Finding;
use crate::sheet::Sheet;

pub(super) fn look(scene: &Scene<'_, '_>, found: &mut Vec<Finding>) {
    // Who holds, since which message.
    let mut holds: [Option<u32>; 2] = [None, None];
    // Whose wish is not known: what became of its last offer is not in the trace.
    let mut unknown = [false; 2];
    let mut legacy = Vec::new();
    for (index, exchange) in scene.deals.iter().enumerate() {
        let r = scene.reading;
        let (by, peer) = (exchange.by, exchange.by.other());
        if zero_address(&exchange.offered) && !legacy.contains(&by) {
            legacy.push(by);
            found.push(by_zero_address(scene, by, exchange.offer));
        }
        if index > 0 && holds_now(&exchange.offered) {
            found.extend(wrong_form(scene, by, exchange.offer, &exchange.offered));
        }
        if let Some((closed, _)) = before(scene.deals, index, by) {
            found.extend(reopened(scene, index, by, closed));
        }
        let (own, other) = (slot(by), slot(peer));
        let Some((offered, answer, answered)) = exchange.done() else {
            if let Some(unknown) = unknown.get_mut(own) {
                *unknown |= exchange.refusal.is_none();
            }
            continue;
        };
        let was = holds.get(own).copied().flatten();
        let others = holds.get(other).copied().flatten();
        let known = unknown == [false; 2] && was.is_some_and(|held| !scene.lacks_between(held, answer));
        if let (Some(held), true) = (was, known && two_way(offered)) {
            let stays = answered_held(offered, answered);
            if stays && others.is_none() {
                found.push(resume_refused(scene, by, held, (exchange.offer, answer), answered));
            }
            if stays && let Some(since) = others {
                let means = format!(
                    "{} resumed in {}, and the answer (message {answer}) keeps the hold that {} had asked for in {}.",
                    r.name(by),
                    r.the(exchange.offer),
                    r.name(peer),
                    r.the(since)
                );
                found.push(scene.found("F-HLD4", peer, answer, &[since, exchange.offer], means));
            }
        }
        if let (Some(held), true) = (was, known && others.is_none()) {
            found.extend(half_resumed(scene, index, held));
        }
        if index == 0 && two_way(offered) && answered_held(offered, answered) {
            found.push(one_way(scene, peer, exchange.offer, answer, answered));
        }
        if let Some(hold) = holds.get_mut(own) {
            *hold = holds_now(offered).then_some(hold.unwrap_or(exchange.offer));
        }
        if let Some(unknown) = unknown.get_mut(own) {
            *unknown = false;
        }
    }
    // Where a failed transfer left the call on hold, that is told.
    if unknown == [false; 2] && !found.iter().any(|finding| finding.code == "F-XFR5") {
        found.extend(ended_on_hold(scene, holds));
    }
}

const fn slot(party: Party) -> usize {
    match party {
        Party::Caller => 0,
        _ => 1,
    }
}

/// Whether its sender stops sending what the other side would hear, or only lets it listen.
pub(super) fn holds_now(sdp: &Sheet<'_>) -> bool {
    sdp.audio().is_some_and(|stream| {
        !stream.rejected
            && (matches!(stream.direction, Direction::SendOnly | Direction::Inactive)
                || stream.is_black_hole())
    })
}

fn two_way(sdp: &Sheet<'_>) -> bool {
    sdp.audio().is_some_and(|stream| {
        !stream.rejected && stream.direction == Direction::SendRecv && !stream.is_black_hole()
    })
}

/// A two-way offer that was answered with less.
fn answered_held(offered: &Sheet<'_>, answered: &Sheet<'_>) -> bool {
    offered.with(answered).any(|(offer, answer)| {
        offer.kind == "audio"
            && !answer.rejected
            && offer.direction == Direction::SendRecv
            && answer.direction != Direction::SendRecv
    })
}

fn zero_address(sdp: &Sheet<'_>) -> bool {
    sdp.audio().is_some_and(|stream| {
        !stream.rejected
            && stream.port != 9
            && stream.address().is_some_and(|address| matches!(address, "0.0.0.0" | "::"))
    })
}

fn direction(sdp: &Sheet<'_>) -> String {
    sdp.audio().map_or_else(String::new, |stream| stream.direction.to_string())
}

/// F-HLD5.
fn by_zero_address(scene: &Scene<'_, '_>, by: Party, n: u32) -> Finding {
    let r = scene.reading;
    let means = format!("{} held the call in {} with the address 0.0.0.0.", r.name(by), r.the(n));
    scene.found("F-HLD5", by, n, &[], means)
}

/// F-HLD7.
fn wrong_form(scene: &Scene<'_, '_>, by: Party, n: u32, offered: &Sheet<'_>) -> Option<Finding> {
    let r = scene.reading;
    let others = r.glances().filter(|(own, glance)| own.n < n && own.by == by.other() && glance.is_of_hub());
    let named = others.last()?.0.n;
    let agent = r.header(named, Name::UserAgent).or_else(|| r.header(named, Name::Server))?;
    let inactive = offered.audio().is_some_and(|stream| stream.direction == Direction::Inactive);
    if inactive && !zero_address(offered) {
        return None;
    }
    let means = format!(
        "{} held the call in {} with a={}, and {} says it is {agent}, which is documented to take a=inactive only.",
        r.name(by),
        r.the(n),
        direction(offered),
        r.name(by.other())
    );
    Some(scene.found("F-HLD7", by, n, &[], means))
}

/// F-HLD6: audio of the same side went to port 0 as its only stream and is back in its place.
fn reopened(scene: &Scene<'_, '_>, index: usize, by: Party, closed: u32) -> Option<Finding> {
    let r = scene.reading;
    let exchange = scene.deals.get(index)?;
    let (_, old) = before(scene.deals, index, by)?;
    let back = old
        .with(&exchange.offered)
        .any(|(was, is)| was.kind == "audio" && is.kind == "audio" && was.rejected && !is.rejected);
    if old.lives() || !back {
        return None;
    }
    let gone = scene.deals.iter().find(|exchange| exchange.offer == closed && exchange.by == by)?;
    let means = format!(
        "{} closed its audio with port 0 in {} and opened it again in {}.",
        r.name(by),
        r.the(gone.offer),
        r.the(exchange.offer)
    );
    Some(scene.found("F-HLD6", by, gone.offer, &[exchange.offer], means))
}

/// F-HLD2: the last that a side offers after its hold is another direction, and still not both. Where it goes on sending or
/// hears nothing, it may only hold in another form.
fn half_resumed(scene: &Scene<'_, '_>, index: usize, held: u32) -> Option<Finding> {
    let r = scene.reading;
    let exchange = scene.deals.get(index)?;
    let (offered, answer, _) = exchange.done()?;
    let by = exchange.by;
    let (_, before) = before(scene.deals, index, by)?;
    let (is, was) = (offered.audio()?, before.audio()?);
    let more = scene.deals.iter().skip(index + 1).any(|deal| deal.by == by);
    let over = scene.bye().is_some_and(|(bye, _)| bye > answer);
    let last = r.call.messages.last()?.n;
    let stays = over || r.between(answer, last) > RESUMED_SOON;
    let changed = is.direction != was.direction && was.direction != Direction::RecvOnly;
    if more || !stays || !changed || is.rejected || is.direction == Direction::SendRecv {
        return None;
    }
    let severity = if is.direction == Direction::RecvOnly { Severity::Warning } else { Severity::Info };
    let means = format!(
        "{} held the call in {} and offered {} in {}: that is not both ways, and no other offer of it followed.",
        r.name(by),
        r.the(held),
        is.direction,
        r.the(exchange.offer)
    );
    Some(scene.weighed(severity, "F-HLD2", by, exchange.offer, &[held], means))
}

/// F-HLD3.
fn resume_refused(
    scene: &Scene<'_, '_>,
    by: Party,
    held: u32,
    (offer, answer): (u32, u32),
    answered: &Sheet<'_>,
) -> Finding {
    let r = scene.reading;
    let means = format!(
        "{} had held the call in {} and resumed it in {} (sendrecv), and {} answered {} (message {answer}) although it never \
         asked for a hold itself: the call stays mute.",
        r.name(by),
        r.the(held),
        r.the(offer),
        r.name(by.other()),
        direction(answered)
    );
    scene.found("F-HLD3", by.other(), answer, &[held, offer], means)
}

/// F-MED1.
fn one_way(scene: &Scene<'_, '_>, by: Party, offer: u32, answer: u32, answered: &Sheet<'_>) -> Finding {
    let r = scene.reading;
    let means = format!(
        "{} offered audio both ways in {}, and {} answered {} (message {answer}): one side will hear nothing.",
        r.sender(offer),
        r.the(offer),
        r.name(by),
        direction(answered)
    );
    // Media servers talk and do not listen, and third parties open calls mute. A call that nobody could hear to its end was
    // answered wrongly; one in which the callee never spoke, probably.
    let last = r.call.messages.last().map_or(answer, |message| message.n);
    let bye = r.next_after(answer, |_, message| message.is_request() && message.method() == Method::Bye);
    let stays = scene.deals.iter().all(|deal| deal.offer <= offer)
        && r.between(answer, bye.unwrap_or(last)) >= A_WHILE;
    let severity = match answered.audio().map(|stream| stream.direction) {
        Some(Direction::Inactive) if stays => Severity::Error,
        Some(Direction::RecvOnly) if stays => Severity::Warning,
        _ => Severity::Info,
    };
    scene.weighed(severity, "F-MED1", by, answer, &[offer], means)
}

/// F-HLD8: the held side hangs up a round time after the hold began.
fn ended_on_hold(scene: &Scene<'_, '_>, holds: [Option<u32>; 2]) -> Option<Finding> {
    let r = scene.reading;
    let (bye, by) = scene.bye()?;
    let held = holds.get(slot(by.other())).copied().flatten()?;
    let spent = r.between(held, bye);
    let round = ROUND
        .iter()
        .any(|seconds| spent.abs_diff(Duration::from_secs(*seconds)) < Duration::from_millis(700));
    if !round {
        return None;
    }
    let means = format!(
        "{} held the call in {}, and {} hung up {} later (message {bye}).",
        r.name(by.other()),
        r.the(held),
        r.name(by),
        seconds(spent)
    );
    Some(scene.found("F-HLD8", by, bye, &[held], means))
}

/// How soon the offer that really resumes may follow.
const RESUMED_SOON: Duration = Duration::from_secs(3);
/// How long a call must last for its direction to matter.
const A_WHILE: Duration = Duration::from_secs(5);
/// Usual times after which missing media ends a call.
const ROUND: [u64; 7] = [30, 60, 90, 120, 180, 300, 600];
