//! Signs in what is sent again.

use midcall_wire::Method;
use smallvec::smallvec;

use crate::observer::dialog::{Claim, ObservedDialog};
use crate::observer::facts::Facts;
use crate::observer::finding::Party;
use crate::observer::trace::{Transaction, Transactions};
use crate::observer::weigh::against;
use crate::rules::{RuleId, Severity};
use std::time::Duration;

/// A copy of a message of this party passed.
pub(super) fn again(
    observed: &ObservedDialog,
    by: Party,
    facts: &Facts<'_>,
    trace: &Transactions,
    found: &mut Vec<Claim>,
) {
    match (facts.status, facts.method) {
        (None, Method::Invite) => found.extend(insists(by, facts, trace)),
        (Some(200..=299), Method::Invite) => found.extend(deaf_to_ack(observed, facts, trace)),
        _ => {}
    }
}

/// RFC 3261 §17.1.1.2, §17.2.1: behind a 1xx an INVITE is not sent again, and one that is gets the 1xx again.
fn insists(by: Party, facts: &Facts<'_>, trace: &Transactions) -> Option<Claim> {
    let one = trace.find(facts.from_tag, Method::Invite, facts.cseq).filter(|one| one.insisted > 0)?;
    let heard = one.responses.iter().find(|response| (101..=199).contains(&response.status))?;
    // Behind a final response it is no 1xx that is missing, and a 2xx is not repeated once the call is over.
    if one.responses.iter().any(|response| response.status >= 200) {
        return None;
    }
    let because = smallvec![one.n, heard.n];
    if one.ignored >= DEAD_SILENT && one.insisted >= STUBBORN && !one.reliable {
        return Some(against(by.other(), RuleId::ResendRepeatsProvisional, facts.n, because));
    }
    // RFC 3581 §3: to keep a NAT open it may, about every 20 s.
    let keeps_open = one.rport && facts.at.since(one.first) >= KEEP_OPEN * u32::from(one.copies);
    if keeps_open {
        return None;
    }
    let proven = trace.all().any(|other| proves(other, one, heard.n, facts));
    if proven {
        return Some(against(by, RuleId::InviteResentAfterProvisional, facts.n, because));
    }
    // The UAS says 1xx each time and is not heard.
    (one.insisted >= STUBBORN && one.ignored < one.insisted)
        .then(|| against(Party::Network, RuleId::InviteResentAfterProvisional, facts.n, because))
}

/// Whether this request could only be sent by one who had got the provisional response to that INVITE.
fn proves(request: &Transaction, invite: &Transaction, heard: u32, copy: &Facts<'_>) -> bool {
    let own = request.sent_by(copy.from_tag) && request.n > heard;
    let asks = match request.method {
        Method::Prack => request.cseq > invite.cseq,
        Method::Cancel => request.cseq == invite.cseq,
        _ => false,
    };
    own && asks && copy.at.since(request.first) > REORDERED
}

/// RFC 3261 §13.3.1.4: an ACK ends the resends of a 2xx.
fn deaf_to_ack(observed: &ObservedDialog, facts: &Facts<'_>, trace: &Transactions) -> Option<Claim> {
    let invite = trace.find(facts.from_tag, Method::Invite, facts.cseq)?;
    let success = invite.responses.iter().find(|response| (200..300).contains(&response.status))?;
    let ack = trace.find(facts.from_tag, Method::Ack, facts.cseq)?;
    let often = success.copies >= STUBBORN && ack.copies + 1 >= STUBBORN;
    if !often || facts.at.since(ack.first) < DEAF || observed.unsure {
        return None;
    }
    let because = smallvec![success.n, ack.n];
    let mut claim = against(Party::Network, RuleId::AckOutsideCSeqOrder, facts.n, because);
    claim.severity = Severity::Warning; // they may be lost behind the tap
    Some(claim)
}

/// How many copies in a row chance does not explain.
const STUBBORN: u16 = 4;
/// How many copies in a row without an answer: lost behind the tap they would look the same, but so many seldom are.
const DEAD_SILENT: u16 = 5;
/// How far apart resends are that keep a NAT open.
const KEEP_OPEN: Duration = Duration::from_secs(15);
/// Up to how far apart a path swaps messages.
const REORDERED: Duration = Duration::from_millis(200);
/// For how long a 2xx must go on behind its ACK.
const DEAF: Duration = Duration::from_secs(6);
