//! Signs in transfers (RFC 3515, RFC 3891, RFC 3892).

use std::time::Duration;

use midcall_wire::{Method, Name, Scheme, Uri};
use smallvec::smallvec;

use crate::dialog::{OptionTag, Way};
use crate::observer::dialog::{Claim, ObservedDialog, Passing};
use crate::observer::finding::Party;
use crate::observer::weigh::against;
use crate::rules::RuleId;

/// What is remembered of transfers in a dialog.
#[derive(Clone, Default, Debug)]
pub(super) struct Memory {
    /// A REFER out of the security of this dialog: its CSeq number and its number.
    unsafe_target: Option<(u32, u32)>,
}

pub(super) fn look(observed: &ObservedDialog, passing: &Passing<'_>, found: &mut Vec<Claim>) {
    match (passing.seen.status, passing.seen.method) {
        (None, Method::Invite) if passing.seen.headers.replaces > 0 => found.extend(unlisted(passing)),
        (None, Method::Refer) => found.extend(referrers(passing)),
        (None, Method::Bye) => found.extend(gave_up_both(observed, passing)),
        (Some(200..=299), Method::Refer) => found.extend(downgraded(observed, passing)),
        _ => {}
    }
}

/// A REFER whose target lacks what the dialog has.
pub(super) fn note(observed: &mut ObservedDialog, passing: &Passing<'_>) {
    if passing.seen.is_request()
        && passing.seen.method == Method::Refer
        && observed.side(passing.by).base.secure
    {
        let target = passing.message.refer_to().and_then(Result::ok);
        let plain = target
            .and_then(|target| Uri::parse(target.uri).ok())
            .is_some_and(|uri| uri.scheme == Scheme::Sip);
        if plain {
            let memory = observed.memory.refer.get_or_insert_default();
            memory.unsafe_target = Some((passing.facts.cseq, passing.facts.n));
        }
    }
}

/// RFC 3891 §6.2: whoever uses Replaces lists it.
fn unlisted(passing: &Passing<'_>) -> Option<Claim> {
    let seen = passing.seen;
    let listed = seen.supported.has(OptionTag::Replaces) || seen.require.has(OptionTag::Replaces);
    (!listed).then(|| against(passing.by, RuleId::ReplacesNotListed, passing.facts.n, smallvec![]))
}

/// RFC 3892 §2.1: a REFER names one referrer.
fn referrers(passing: &Passing<'_>) -> Option<Claim> {
    let several = passing.message.values(Name::ReferredBy).count() > 1;
    several.then(|| against(passing.by, RuleId::ReferredByChanged, passing.facts.n, smallvec![]))
}

/// RFC 5589 §6.3: if the target refuses, the call between the two that are left goes on.
fn gave_up_both(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let mut asked = observed.side(passing.by).base.subscriptions.iter().rev();
    let failed =
        asked.find(|one| one.refer == Way::Received && one.status.is_some_and(|status| status >= 300))?;
    let soon = passing.facts.at.since(failed.notified_at?) < AFTER && passing.patience.tells(AFTER);
    let because = smallvec![failed.on, failed.notified_on?];
    soon.then(|| against(passing.by, RuleId::FailedTransferEndsCall, passing.facts.n, because))
}

/// Whether a transfer that this party asked for has worked.
pub(super) fn worked(observed: &ObservedDialog, by: Party) -> bool {
    let succeeded = |status: u16| (200..300).contains(&status);
    let mut asked = observed.side(by).base.subscriptions.iter().filter(|one| one.refer == Way::Sent);
    asked.any(|one| one.status.is_some_and(succeeded))
}

/// RFC 5630 §5.1.1.3: what was set up with sips stays so.
fn downgraded(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let (cseq, refer) = observed.memory.refer.as_deref()?.unsafe_target?;
    let because = smallvec![refer];
    (cseq == passing.facts.cseq)
        .then(|| against(passing.by, RuleId::SipsDowngraded, passing.facts.n, because))
}

/// How soon a BYE follows from what came before.
const AFTER: Duration = Duration::from_secs(2);
