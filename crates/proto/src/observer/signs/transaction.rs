//! What only the transactions show: branches of ACKs, two final responses, a PRACK for nothing.

use midcall_wire::{Method, Uri};
use smallvec::smallvec;

use crate::dialog::{Evidence, Seen, Way};
use crate::observer::dialog::{Claim, ObservedDialog, Passing};
use crate::observer::finding::Party;
use crate::observer::weigh::against;
use crate::rules::{RuleId, Severity};

/// What is wrong with a message as a part of its transaction.
pub(super) fn look(observed: &ObservedDialog, passing: &Passing<'_>, found: &mut Vec<Claim>) {
    match (passing.seen.status, passing.seen.method) {
        (None, Method::Ack) => found.extend(acknowledgement(observed, passing)),
        (None, Method::Bye) => found.extend(expired(observed, passing)),
        (Some(200..), _) => found.extend(second_final(passing)),
        _ => {}
    }
}

/// RFC 3261 §13.2.2.4, §17.1.1.3: the ACK for a 2xx is a request of its own and goes to the remote target; the ACK for
/// another final response belongs to the INVITE's transaction. UPDATE takes none.
fn acknowledgement(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let (seen, facts, trace, by) = (passing.seen, passing.facts, passing.trace, passing.by);
    let Some((invite, same_branch)) = trace.acknowledged(facts) else {
        let update = trace.find(facts.from_tag, Method::Update, facts.cseq)?;
        return Some(against(by, RuleId::UpdateHasNoAck, facts.n, ObservedDialog::on(update.n)));
    };
    let dialog = &observed.side(by).base;
    let accepted = dialog.find_open(Way::Sent, Method::Invite, seen.cseq).and_then(|open| open.accepted);
    if let Some((success, _)) = accepted {
        let misbuilt = |because: Evidence| Some(against(by, RuleId::AckForSuccessMisbuilt, facts.n, because));
        if same_branch {
            return misbuilt(smallvec![invite.n, success]);
        }
        let elsewhere = dialog.route.is_empty()
            && facts.vias == 1
            && seen.uri.is_some_and(|uri| !same_uri(uri, &dialog.party.theirs.target));
        // Where it went instead, that rule tells.
        let old = dialog.party.theirs.stale.as_deref().zip(seen.uri);
        let told = old.is_some_and(|(stale, uri)| same_uri(uri, &stale.uri));
        return if elsewhere && !told { misbuilt(smallvec![success]) } else { None };
    }
    let failure = invite.last_word().filter(|response| response.status >= 300)?;
    let wrong = !same_branch && facts.vias == 1;
    wrong.then(|| against(by, RuleId::AckForFailureHasNewBranch, facts.n, smallvec![invite.n, failure.n]))
}

/// RFC 4028 §10: the side that does not refresh ended the session shortly before it expired.
fn expired(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let running = observed.side(passing.by).base.session_timer()?;
    let late = running.give_up_at() <= passing.facts.at + passing.patience.flight;
    let because = ObservedDialog::on(running.set_by);
    (running.refresher == Way::Received && late)
        .then(|| against(passing.by.other(), RuleId::NonRefresherEndsCall, passing.facts.n, because))
}

/// RFC 3261 §17.2.2, §14.1: one final response to one request of a dialog.
fn second_final(passing: &Passing<'_>) -> Option<Claim> {
    let (facts, seen) = (passing.facts, passing.seen);
    let one = passing.trace.answered_by(facts)?;
    let status = facts.status?;
    let first = one.responses.iter().find(|response| {
        // 408 and 503 of one address send the request on to another (TX-32).
        response.n < facts.n
            && response.status >= 200
            && response.status != status
            && !matches!(response.status, 408 | 503)
    })?;
    let because: Evidence = smallvec![one.n, first.n];
    if seen.method != Method::Invite {
        return Some(against(passing.by, RuleId::NonInviteFinalChanged, facts.n, because));
    }
    if !one.in_dialog() {
        return None; // forks and proxies answer more than once
    }
    let mut claim = against(passing.by, RuleId::TwoFinals, facts.n, because);
    if (first.status < 300) != (status < 300) {
        claim.severity = Severity::Warning; // a proxy may have made the failure
    }
    Some(claim)
}

/// A final response to a PRACK whose RAck names no reliable response that passed: the claim against its sender.
pub(in crate::observer) fn unknown_rack(
    observed: &ObservedDialog,
    answerer: Party,
    response: &Seen<'_>,
) -> Option<Claim> {
    let prack = observed.side(answerer).base.find_open(Way::Received, Method::Prack, response.cseq)?;
    let known = prack
        .rack
        .is_some_and(|(rseq, cseq)| observed.reliable.iter().any(|(c, r, _)| (*c, *r) == (cseq, rseq)));
    (!known).then(|| against(answerer.other(), RuleId::PrackMatchesNothing, prack.on, Evidence::new()))
}

/// RFC 3261 §19.1.4, or letter by letter where one is no URI.
fn same_uri(one: &str, other: &str) -> bool {
    one == other
        || other.is_empty()
        || match (Uri::parse(one), Uri::parse(other)) {
            (Ok(one), Ok(other)) => one.same(&other),
            _ => false,
        }
}
