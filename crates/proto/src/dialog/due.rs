//! Who owes what, by which rule, until when.
//!
//! A [`Due`] is the one idea behind an awaited ACK or PRACK, an owed answer, an owed refusal, a session refresh and a
//! final NOTIFY. Dues are read off the dialog's state, so none can be forgotten or outlive what it is about.

use std::time::Duration;

use midcall_wire::Method;

use super::open::Phase;
use super::seen::Way;
use super::timer::Running;
use super::{Carrier, Dialog};
use crate::rules::RuleId;
use crate::time::Instant;

/// What is owed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DueKind {
    /// The ACK for a 2xx.
    Ack,
    /// The PRACK for a reliable provisional response.
    Prack,
    /// The final response to a request.
    Final(Method),
    /// The answer to an offer.
    Answer,
    /// A 491, or 500 with Retry-After.
    Refusal,
    /// A session refresh.
    Refresh,
    /// The BYE that ends an expired session.
    ExpiryBye,
    /// The last NOTIFY of a REFER.
    FinalNotify,
}

/// Something owed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Due {
    /// What.
    pub what: DueKind,
    /// Who owes it: the side whose messages go this way.
    pub who: Way,
    /// The rule that demands it.
    pub rule: RuleId,
    /// Until when.
    pub by: Instant,
    /// The message that made it due.
    pub since: u32,
}

impl Dialog {
    /// Whether nothing can be owed, as most of the life of a call.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_empty() && self.timer.running.is_none() && self.subscriptions.is_empty()
    }

    /// The session timer, if there is a session that it may end. An UPDATE may name one while it rings, which may go on for
    /// longer than that: the 2xx to the INVITE starts it anew (RFC 4028 §7.2), and a call that was refused has none.
    #[must_use]
    pub fn session_timer(&self) -> Option<Running> {
        let refused = self.usage.over() && self.party.ours.bye.or(self.party.theirs.bye).is_none();
        self.timer.running.filter(|_| !self.usage.early() && !refused)
    }

    /// Everything owed in this dialog now, by either side. `t1` is the T1 of RFC 3261.
    pub fn dues(&self, t1: Duration) -> impl Iterator<Item = Due> + '_ {
        let patience = t1 * 64;
        let open = self.open.iter().flat_map(move |open| {
            let ack = (open.method == Method::Invite && open.phase == Phase::Accepted)
                .then_some(open.accepted)
                .flatten();
            let ack = ack.map(|(since, time)| Due {
                what: DueKind::Ack,
                who: open.way,
                rule: RuleId::NoAckThenBye,
                by: time + patience,
                since,
            });
            let prack = open.unacknowledged.map(|response| Due {
                what: DueKind::Prack,
                who: open.way,
                rule: RuleId::ReliableNotAcknowledged,
                by: response.since + patience,
                since: response.on,
            });
            let last = (open.method != Method::Invite).then_some(Due {
                what: DueKind::Final(open.method),
                who: open.way.reversed(),
                rule: RuleId::NonInviteTimers,
                by: open.since + patience,
                since: open.on,
            });
            let refusals = open.owed.iter().map(move |owed| Due {
                what: DueKind::Refusal,
                who: open.way.reversed(),
                rule: owed.rule,
                by: open.since + patience,
                since: open.on,
            });
            ack.into_iter().chain(prack).chain(last).chain(refusals)
        });
        let answers = [Way::Sent, Way::Received].into_iter().filter_map(move |way| {
            let offer = self.offers.pending.by(way).as_ref()?;
            let carried = self.find_open(offer.request, offer.method, offer.cseq)?;
            // An INVITE may wait for a person; its other carriers bind at once.
            let bound = offer.carrier != Carrier::Request || offer.method != Method::Invite;
            bound.then_some(Due {
                what: DueKind::Answer,
                who: way.reversed(),
                rule: if offer.carrier == Carrier::Request {
                    RuleId::AnswerMissingInSuccess
                } else {
                    RuleId::AnswerMissingInPrackOrAck
                },
                by: carried.since.max(carried.accepted.map_or(carried.since, |(_, time)| time)) + patience,
                since: offer.on,
            })
        });
        let session = self.session_timer().filter(|_| !self.usage.over());
        let timer = session.into_iter().flat_map(|running| {
            let refresh = Due {
                what: DueKind::Refresh,
                who: running.refresher,
                rule: RuleId::RefreshLate,
                by: running.expires,
                since: running.set_by,
            };
            let bye = Due {
                what: DueKind::ExpiryBye,
                who: running.refresher.reversed(),
                rule: RuleId::NonRefresherEndsCall,
                by: running.expires,
                since: running.set_by,
            };
            [refresh, bye]
        });
        let notifies = self.subscriptions.iter().filter(|s| s.live()).filter_map(|s| {
            Some(Due {
                what: DueKind::FinalNotify,
                who: s.refer.reversed(),
                rule: RuleId::OutcomeNotReported,
                by: s.expires?,
                since: s.on,
            })
        });
        open.chain(answers).chain(timer).chain(notifies)
    }
}
