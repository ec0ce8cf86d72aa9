//! Signs in who offered what, and when.

use std::time::Duration;

use midcall_wire::multipart::Multipart;
use midcall_wire::sdp::Sdp;
use midcall_wire::{Method, Name};
use smallvec::{SmallVec, smallvec};

use super::{Before, Each};
use crate::dialog::{Carrier, SdpRole, Way};
use crate::observer::dialog::{Claim, ObservedDialog, Passing};
use crate::observer::facts::hash;
use crate::observer::finding::Party;
use crate::observer::weigh::against;
use crate::rules::RuleId;
use crate::time::Instant;

/// What is remembered.
#[derive(Clone, Default, Debug)]
pub(super) struct Memory {
    /// The last exchanges.
    exchanges: SmallVec<[Exchange; PING_PONG]>,
    /// The last description that each party offered of its own accord.
    offered: Each<Option<(u32, Sdp)>>,
    /// The last request whose foreign parts may all be ignored.
    optional: Option<u32>,
}

/// A completed exchange.
#[derive(Clone, Copy, Debug)]
struct Exchange {
    on: u32,
    time: Instant,
    offerer: Party,
    /// A print of what its answer chose.
    chosen: u64,
}

pub(super) fn look(observed: &ObservedDialog, passing: &Passing<'_>, found: &mut Vec<Claim>) {
    found.extend(echo(observed, passing));
    if passing.seen.status == Some(415)
        && let Some(open) = observed.side(passing.by).base.request_of(passing.seen)
        && observed.memory.offer.optional == Some(open.on)
    {
        found.push(against(passing.by, RuleId::MultipartRefused, passing.facts.n, smallvec![open.on]));
    }
}

/// An answer that is wrong because it repeats the last one, while the offer changed under an old version: that is what
/// shows that the change was not seen (RFC 3261 §14.2).
pub(super) fn told_instead(observed: &ObservedDialog, passing: &Passing<'_>, rule: RuleId) -> Option<RuleId> {
    let answers = matches!(
        rule,
        RuleId::AnswerDirection | RuleId::NoCommonFormat | RuleId::AnswerShape | RuleId::DeadStreamRevived
    );
    if !answers {
        return None;
    }
    let (seen, dialog) = (passing.seen, &observed.side(passing.by).base);
    let (agreed, offer) = (dialog.offers.agreed.as_ref()?, dialog.offers.pending.theirs.as_ref()?);
    let (before, offered, answer) = (&agreed.theirs, offer.sdp.as_ref()?, seen.sdp.as_ref()?);
    let unversioned = before.version() == offered.version() && !before.same_but_version(offered);
    (unversioned && agreed.ours.same_but_version(answer)).then_some(RuleId::ChangeDetected)
}

/// RFC 6337 §5.1: who is asked for an offer offers all that it wants, not what was agreed last.
fn echo(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let (seen, dialog) = (passing.seen, &observed.side(passing.by).base);
    let asked = !seen.is_request() && seen.method == Method::Invite && seen.has_sdp;
    if !asked || !matches!(dialog.role_of_sdp(seen), SdpRole::Offer(Carrier::Success | Carrier::Reliable(_)))
    {
        return None;
    }
    let open = dialog.request_of(seen).filter(|open| !open.forms)?;
    let (on, whole) = observed.memory.offer.offered.of(passing.by).as_ref()?;
    let agreed = dialog.offers.agreed.as_ref()?;
    // What was negotiated is what the answer left of the offer.
    let agreed = agreed.by(dialog.offers.offerer?.reversed());
    let new = seen.sdp.as_ref()?;
    let (before, now, last) = (whole.media_at(0)?, new.media_at(0)?, agreed.media_at(0)?);
    let fewer = now.formats().count() < before.formats().count();
    let shrunk = fewer && now.formats().all(|own| before.formats().any(|known| known == own));
    (shrunk && now.formats().eq(last.formats()))
        .then(|| against(passing.by, RuleId::OfferIsAnEcho, seen.at.n, smallvec![*on, open.on]))
}

pub(super) fn note(
    observed: &mut ObservedDialog,
    passing: &Passing<'_>,
    before: &Before,
    found: &mut Vec<Claim>,
) {
    let (seen, by) = (passing.seen, passing.by);
    if seen.is_request() && seen.has_body {
        note_parts(observed, passing);
    }
    if before.on != 0 {
        // What was refused need not be what its sender wants still.
        observed.memory.offer.offered.of_mut(by.other()).take_if(|(on, _)| *on == before.on);
    }
    let Some(sdp) = seen.sdp.as_ref() else { return };
    let offers = &observed.side(by).base.offers;
    if offers.pending.ours.as_ref().is_some_and(|offer| offer.on == seen.at.n) {
        *observed.memory.offer.offered.of_mut(by) = Some((seen.at.n, sdp.clone()));
    }
    let offers = &observed.side(by).base.offers;
    // Who answers in ACK or PRACK had asked for the offer.
    if seen.is_request() {
        return;
    }
    if offers.exchanges <= before.exchanges {
        return;
    }
    let Some(agreed) = &offers.agreed else { return };
    let (offerer, chosen) = (by.other(), choice(agreed.by(Way::Sent)));
    let list = &mut observed.memory.offer.exchanges;
    if list.len() >= PING_PONG {
        list.remove(0);
    }
    list.push(Exchange { on: seen.at.n, time: seen.at.time, offerer, chosen });
    if let [one, two, three, four] = list.as_slice() {
        let alternate = one.chosen == three.chosen && two.chosen == four.chosen;
        let turns = one.offerer == three.offerer && two.offerer == four.offerer && one.offerer != two.offerer;
        if alternate
            && turns
            && one.chosen != two.chosen
            && four.time.since(one.time) < RALLY
            && passing.patience.tells(RALLY / 4)
        {
            let because = smallvec![one.on, two.on, three.on];
            found.push(against(offerer, RuleId::OfferPingPong, four.on, because));
        }
    }
}

/// Remembers a request whose foreign parts its receiver may ignore.
fn note_parts(observed: &mut ObservedDialog, passing: &Passing<'_>) {
    let message = passing.message;
    let Some(kind) = message.header(Name::ContentType) else { return };
    if !kind.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/")) {
        return;
    }
    let parts = Multipart::parse(kind, message.body()).into_iter().flatten();
    let mut foreign = parts
        .filter(|part| !part.content_type().to_ascii_lowercase().starts_with("application/sdp"))
        .peekable();
    let optional = foreign.peek().is_some() && foreign.all(|part| !part.is_required());
    observed.memory.offer.optional = optional.then_some(passing.facts.n);
}

/// A print of what an answer chose: which streams, and the format in front of each. Hold and resume are no rally.
fn choice(answer: &Sdp) -> u64 {
    answer.media().fold(0, |print: u64, media| {
        let chosen = if media.rejected() { "" } else { media.formats().next().unwrap_or_default() };
        print.rotate_left(9) ^ hash([chosen.as_bytes()])
    })
}

/// How many exchanges in a row make a rally.
const PING_PONG: usize = 4;
/// Within what time.
const RALLY: Duration = Duration::from_secs(10);
