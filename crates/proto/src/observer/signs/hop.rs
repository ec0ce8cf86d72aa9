//! Signs in how messages travel: branches, sizes, frames, ways back, protection.

use midcall_wire::{Method, Name};
use smallvec::smallvec;

use crate::dialog::Evidence;
use crate::observer::dialog::{Claim, ObservedDialog, Passing};
use crate::observer::facts::Transport;
use crate::observer::weigh::against;
use crate::rules::{RuleId, Severity};

/// What is remembered.
#[derive(Clone, Default, Debug)]
pub(super) struct Memory {
    /// The INVITE that formed the dialog, if it came over a secure transport straight from its sender.
    secure: Option<u32>,
}

pub(super) fn look(observed: &ObservedDialog, passing: &Passing<'_>, found: &mut Vec<Claim>) {
    let (facts, by) = (passing.facts, passing.by);
    let plain = |rule| against(by, rule, facts.n, Evidence::new());
    if matches!(facts.by, Transport::Tcp | Transport::Tls)
        && passing.message.header(Name::ContentLength).is_none()
    {
        found.push(plain(RuleId::ContentLength));
    }
    if facts.by == Transport::Udp && passing.message.is_partial() {
        let mut claim = plain(RuleId::ContentLength);
        claim.severity = Severity::Warning; // there are peers that take what is there
        found.push(claim);
    }
    if !facts.is_request() {
        found.extend(sent_elsewhere(passing));
        return;
    }
    if !facts.cookie {
        found.push(plain(RuleId::BranchWithoutCookie));
    }
    if facts.by == Transport::Udp && facts.size > MTU_UNKNOWN {
        let mut claim = plain(RuleId::RequestTooBigForUdp);
        if facts.size <= ETHERNET {
            claim.severity = Severity::Info; // it may still have fitted into one packet
        }
        found.push(claim);
    }
    found.extend(less_protected(observed, passing));
}

pub(super) fn note(observed: &mut ObservedDialog, passing: &Passing<'_>) {
    let facts = passing.facts;
    if facts.is_request() && facts.method == Method::Invite && facts.to_tag.is_empty() {
        observed.memory.hop.secure = (facts.by.is_secure() && facts.vias == 1).then_some(facts.n);
    }
}

/// RFC 3261 §18.2.2, RFC 3581 §4: a response goes back the way that its request came.
fn sent_elsewhere(passing: &Passing<'_>) -> Option<Claim> {
    let facts = passing.facts;
    let one = passing.trace.answered_by(facts)?;
    let known = [one.from, one.to, facts.from, facts.to]
        .iter()
        .all(|address| address.port() != 0 && !address.ip().is_unspecified());
    let here = known && facts.by == Transport::Udp && one.is_same_hop(facts);
    if !here || one.is_answered_back(facts) {
        return None;
    }
    let missed = one.rport && facts.to != one.from;
    let stranger = facts.to == one.from && facts.from != one.to;
    (missed || stranger)
        .then(|| against(passing.by, RuleId::ResponseSentElsewhere, facts.n, smallvec![one.n]))
}

/// RFC 6141 §6: what changes a call is protected as well as what began it.
fn less_protected(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let facts = passing.facts;
    let invite = observed.memory.hop.secure?;
    let open = matches!(facts.by, Transport::Udp | Transport::Tcp) && facts.vias == 1;
    let changes = matches!(facts.method, Method::Invite | Method::Update) && !facts.to_tag.is_empty();
    let direct = observed.side(passing.by).base.route.is_empty();
    (open && changes && direct)
        .then(|| against(passing.by, RuleId::ReInviteLessProtected, facts.n, smallvec![invite]))
}

/// RFC 3261 §18.1.1: beyond this a request takes a transport with congestion control while nothing is known of the path.
const MTU_UNKNOWN: u32 = 1300;
/// What fits into one Ethernet packet behind IPv4 and UDP headers.
const ETHERNET: u32 = 1472;
