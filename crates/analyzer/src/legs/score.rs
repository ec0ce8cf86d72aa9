//! How sure it is that two calls are legs of one conversation, and why.

use std::time::Duration;

use midcall_proto::observer::Party;
use midcall_proto::time::Instant;
use midcall_wire::Method;

use super::RARE;
use super::known::{Known, MEETING, Named, PLACED, Refer, Trait};
use crate::model::Leg;

/// What ties two calls together.
#[derive(Clone, Debug)]
pub(super) struct Tie {
    /// In percent.
    pub(super) confidence: u8,
    pub(super) because: Vec<&'static str>,
    /// Which party of each is the box that made one of the other.
    pub(super) bridge: Option<Bridge>,
}

/// A box with two legs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bridge {
    /// The party that it is in the first of both calls, and in the second.
    pub(super) at: (Party, Party),
    /// Whether the second call follows from the first, rather than the other way round.
    pub(super) forward: bool,
}

impl Tie {
    /// What it makes the call with this Call-ID to the other one.
    pub(super) fn leg(&self, call_id: &str) -> Leg {
        Leg { call_id: call_id.to_owned(), confidence: self.confidence, because: self.because.clone() }
    }
}

/// Whether what these two have in common tells them from other recent calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Common {
    /// Whether their media addresses do, and their o= lines.
    pub(super) media: bool,
    pub(super) origin: bool,
    /// How many have the same parties at the same place and time.
    pub(super) parties: usize,
}

/// What ties these calls together, if anything does.
pub(super) fn compare(one: &Known, other: &Known, common: &Common) -> Option<Tie> {
    let overlap = one.overlaps(other);
    let together = apart(one, other) <= MEETING;
    let bridge = bridge(one, other).filter(|_| overlap);
    let apart_hosts = one.from != one.to && other.from != other.to;
    let parallel = one.from == other.from && one.to == other.to;
    let mut tie = Evidence::default();
    if one.shares(other, Trait::Session) {
        tie.add(98, "same Session-ID");
    } else if one.shares(other, Trait::HalfSession) {
        tie.add(90, "half of Session-ID in common");
    }
    let names = |by: &Known, other: &Known| by.correlates_with(&other.call_id);
    if names(one, other) || names(other, one) {
        tie.add(97, "a header of one has the Call-ID of the other");
    }
    if one.shares(other, Trait::Correlation) {
        tie.add(92, "same value in a header that correlates calls");
    }
    if one.shares(other, Trait::Secret) {
        tie.add(93, "same ICE or SRTP secret");
    }
    if overlap && (bridge.is_some() || !parallel && together && apart_hosts) {
        let sure = if bridge.is_some() { 88 } else { 75 };
        if common.media && passed(one, other, bridge, Trait::Media) {
            tie.add(sure, "same media address");
        }
        if common.origin && passed(one, other, bridge, Trait::Origin) {
            tie.add(sure, "same o= line");
        }
    }
    let named = one.users.0 != 0 && one.users.1 != 0 && one.users == other.users;
    if named && together && common.parties <= RARE && placed_for(one, other, bridge) {
        tie.add(75, "same parties, one call out of the other");
    }
    let mut bridge = bridge.filter(|_| tie.confidence > 0);
    let alike = tie.because.len();
    for (taken, by) in [(other, one), (one, other)] {
        if by.setup.replaces.as_ref().is_some_and(|named| *named.call_id == *taken.call_id) {
            tie.add(95, "one takes the place of the other");
        }
        if referred(taken, by).is_some() {
            tie.add(85, "one was placed by a REFER in the other");
        }
        if taken_back(taken, by).is_some() {
            tie.add(80, "one was taken back for a REFER in the other");
        }
        if taken
            .refers
            .iter()
            .any(|refer| refer.target_dialog.as_ref().is_some_and(|named| *named.call_id == *by.call_id))
        {
            tie.add(85, "one names the other in Target-Dialog");
        }
    }
    if tie.because.len() > alike {
        bridge = None; // one party makes both calls, no box between
    }
    (tie.confidence >= LEAST).then_some(Tie { confidence: tie.confidence, because: tie.because, bridge })
}

/// The REFER in a call that made this other call.
pub(super) fn referred<'k>(call: &'k Known, placed: &Known) -> Option<&'k Refer> {
    call.refers.iter().find(|refer| {
        let goes =
            placed.from == call.address(refer.by.other()) && placed.users.1 == refer.user && refer.user != 0;
        goes && placed.began >= refer.at && placed.began.since(refer.at) <= PLACED
    })
}

/// The REFER in a call for which this other call was taken back, and when that was.
pub(super) fn taken_back<'k>(call: &'k Known, consulted: &Known) -> Option<(&'k Refer, Instant)> {
    let cancel = consulted.first(|event| event.is(Method::Cancel) && event.by == Party::Caller)?;
    let refer = call.refers.iter().find(|refer| {
        let same =
            consulted.from == call.address(refer.by) && consulted.users.1 == refer.user && refer.user != 0;
        same && cancel.at <= refer.at && refer.at.since(cancel.at) <= RACING && refer.replaces.is_none()
    })?;
    Some((refer, cancel.at))
}

/// How the tags of a named dialog stand to those of this call: as they should for whoever is at this party's place, or
/// swapped.
pub(super) fn named_as(call: &Known, named: &Named) -> Option<Party> {
    call.tags.iter().find_map(|(caller, callee)| {
        if *caller == named.local && *callee == named.remote {
            Some(Party::Caller)
        } else if *callee == named.local && *caller == named.remote {
            Some(Party::Callee)
        } else {
            None
        }
    })
}

#[derive(Default)]
struct Evidence {
    confidence: u8,
    because: Vec<&'static str>,
}

impl Evidence {
    fn add(&mut self, confidence: u8, because: &'static str) {
        // Each further reason makes it a little surer.
        let more = if self.because.is_empty() { 0 } else { 3 };
        self.confidence = (self.confidence.max(confidence) + more).min(99);
        self.because.push(because);
    }
}

/// The box in the middle: where one call arrived and the other left, or from which both left.
pub(super) fn bridge(one: &Known, other: &Known) -> Option<Bridge> {
    let forward = one.began <= other.began;
    let seats = |call: &Known| ((call.from, call.ports.0), (call.to, call.ports.1));
    let ((one_from, one_to), (other_from, other_to)) = (seats(one), seats(other));
    // A host with both ends of a call, or calls both ways between two hosts: only ports tell who is who.
    let crowded =
        one.from == one.to || other.from == other.to || one.to == other.from && other.to == one.from;
    let (out_of_one, out_of_other) = if crowded {
        (one_to == other_from, other_to == one_from)
    } else {
        (one.to == other.from, other.to == one.from)
    };
    let from_one_place = if crowded {
        one_from == other_from && one_to != other_to
    } else {
        one.from == other.from && one.to != other.to
    };
    match (out_of_one, out_of_other) {
        (true, false) => Some(Bridge { at: (Party::Callee, Party::Caller), forward: true }),
        (false, true) => Some(Bridge { at: (Party::Caller, Party::Callee), forward: false }),
        (true, true) if forward => Some(Bridge { at: (Party::Callee, Party::Caller), forward: true }),
        (true, true) => Some(Bridge { at: (Party::Caller, Party::Callee), forward: false }),
        _ if from_one_place => Some(Bridge { at: (Party::Caller, Party::Caller), forward }),
        _ => None,
    }
}

/// Whether what the far end of one call described is what the box showed in the other. What the box shows in both is its
/// own: a phone with two calls, or a generator that always says the same.
fn passed(one: &Known, other: &Known, bridge: Option<Bridge>, kind: Trait) -> bool {
    let same = |at: Party, there: Party| one.says_as(at, other, there, kind);
    match bridge {
        Some(Bridge { at: (here, there), .. }) => same(here.other(), there) || same(here, there.other()),
        // Between boxes that are not seen, each end stays at its end.
        None => same(Party::Caller, Party::Caller) || same(Party::Callee, Party::Callee),
    }
}

/// Whether one call was placed while the other, in which the box is the callee, waited for its final response.
fn placed_for(one: &Known, other: &Known, bridge: Option<Bridge>) -> bool {
    let Some(Bridge { forward, .. }) = bridge.filter(|bridge| bridge.at.0 != bridge.at.1) else {
        return false;
    };
    let (up, down) = if forward { (one, other) } else { (other, one) };
    let waited = up.setup.outcome.is_none_or(|(_, _, at)| down.began <= at);
    up.began <= down.began && waited
}

fn apart(one: &Known, other: &Known) -> Duration {
    one.began.since(other.began).max(other.began.since(one.began))
}

/// How soon a REFER follows a CANCEL in a race.
const RACING: Duration = Duration::from_secs(1);
/// The least confidence that makes two calls legs.
const LEAST: u8 = 70;
