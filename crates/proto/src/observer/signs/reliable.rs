//! Signs in how reliable provisional responses are acknowledged.

use midcall_wire::Method;
use smallvec::{SmallVec, smallvec};

use crate::observer::dialog::{Claim, ObservedDialog, Passing};
use crate::observer::weigh::against;
use crate::rules::RuleId;

/// What is remembered.
#[derive(Clone, Default, Debug)]
pub(super) struct Memory {
    pracks: SmallVec<[Acknowledged; 2]>,
}

/// A PRACK that passed.
#[derive(Clone, Copy, Debug)]
struct Acknowledged {
    /// RSeq and CSeq of the response that it names.
    rack: (u32, u32),
    cseq: u32,
    n: u32,
    /// Whether it was refused, so that another one may follow.
    refused: bool,
}

pub(super) fn look(observed: &ObservedDialog, passing: &Passing<'_>, found: &mut Vec<Claim>) {
    let (seen, facts) = (passing.seen, passing.facts);
    let Some((rseq, invite, _)) = seen.rack.filter(|_| seen.is_request() && seen.method == Method::Prack)
    else {
        return;
    };
    let known = &observed.memory.reliable.pracks;
    let before = known.iter().find(|one| one.rack == (rseq, invite) && one.cseq != seen.cseq);
    if let Some(before) = before.filter(|one| !one.refused) {
        found.push(against(passing.by, RuleId::PrackRepeated, facts.n, smallvec![before.n]));
        return;
    }
    // An offer in a reliable response that took long to be answered.
    let open = observed.side(passing.by).ahead();
    let offered = open.offers.pending.theirs.as_ref().filter(|offer| {
        matches!(offer.carrier, crate::dialog::Carrier::Reliable(own) if own == rseq) && offer.cseq == invite
    });
    if let Some(offer) = offered
        && passing.trace.resent(offer.on).is_some_and(|copies| copies >= SLOW)
    {
        found.push(against(passing.by, RuleId::SlowAnswerInPrack, facts.n, smallvec![offer.on]));
    }
}

pub(super) fn note(observed: &mut ObservedDialog, passing: &Passing<'_>) {
    let seen = passing.seen;
    if seen.method != Method::Prack {
        return;
    }
    let pracks = &mut observed.memory.reliable.pracks;
    if let (None, Some((rseq, invite, _))) = (seen.status, seen.rack) {
        if pracks.len() >= MOST {
            pracks.remove(0);
        }
        pracks.push(Acknowledged { rack: (rseq, invite), cseq: seen.cseq, n: seen.at.n, refused: false });
    } else if seen.is_failure()
        && let Some(refused) = pracks.iter_mut().find(|one| one.cseq == seen.cseq)
    {
        refused.refused = true;
    }
}

/// How often a response is sent again when nobody is quick to answer it; losses do not explain that.
const SLOW: u16 = 4;
/// The most PRACKs that are remembered.
const MOST: usize = 8;
