//! What becomes of the application's wishes: each ticket ends in one event.

use midcall_wire::Method;

use super::call::Call;
use super::core::Core;
use super::modify::{Modification, Wanting};
use crate::event::{CallEvent, CallId, Change, Failure, Why};
use crate::rules::RuleId;
use crate::time::Instant;

impl Call {
    /// What waits is told once for each rule that holds it back.
    pub(super) fn tell_waiting(
        &mut self,
        core: &mut Core,
        count: usize,
        rule: RuleId,
        until: Option<Instant>,
    ) {
        for asked in self.wishes.queue.iter_mut().take(count) {
            if let Some(ticket) = asked.ticket.filter(|_| asked.told_waiting != Some(rule)) {
                asked.told_waiting = Some(rule);
                core.tell(self.id, CallEvent::ChangeWaiting { ticket, rule, until });
            }
        }
    }

    /// The wishes that a request carried (or that needed none) are in force.
    pub(super) fn fulfilled(
        &mut self,
        core: &mut Core,
        method: Option<(Method, RuleId)>,
        carries: usize,
        text: &'static str,
    ) {
        for asked in self.wishes.queue.drain(..carries.min(self.wishes.queue.len())) {
            came_true(core, self.id, &asked, method, text);
        }
    }

    /// The wish to tell our Contact came true apart from the request in flight.
    pub(super) fn fulfil_target(&mut self, core: &mut Core, by: (Method, RuleId)) {
        let carried = self.wishes.flight.as_ref().map_or(0, |flight| flight.carries);
        let waits = |(at, asked): &(usize, &Wanting)| {
            *at >= carried && matches!(asked.modification, Modification::Target)
        };
        let at = self.wishes.queue.iter().enumerate().find(waits).map(|(at, _)| at);
        if let Some(at) = at {
            let mut asked = self.wishes.queue.remove(at);
            asked.attempts = 1;
            came_true(core, self.id, &asked, Some(by), "told inside the re-INVITE that is open");
        }
    }

    /// The wishes that a request carried will not come true.
    pub(super) fn failed(&mut self, core: &mut Core, carries: usize, failure: &Failure) {
        for asked in self.wishes.queue.drain(..carries.min(self.wishes.queue.len())) {
            if let Some(ticket) = asked.ticket {
                core.tell(self.id, CallEvent::ChangeFailed { ticket, failure: failure.clone() });
            }
        }
    }

    /// The peer has put the call on hold. What would add media and waits because changes met is not tried again by itself
    /// (RFC 5407 §3.3.1; GL-05): the application hears of both, and may ask anew.
    pub(super) fn lost_to_hold(&mut self, core: &mut Core) {
        let flying = self.wishes.flight.as_ref().map_or(0, |flight| flight.carries);
        let pauses = self.wishes.setbacks().not_before.is_some()
            && matches!(
                self.wishes.setbacks().held_by,
                Some(RuleId::OwnerRetryTime | RuleId::OtherRetryTime)
            );
        if !pauses && !self.wishes.queue.iter().skip(flying).any(|asked| asked.met) {
            return;
        }
        let waiting = self.wishes.queue.split_off(flying.min(self.wishes.queue.len()));
        let rule = RuleId::IntentCheckedAfterGlare;
        for asked in waiting {
            match asked.ticket {
                Some(ticket) if asked.modification.adds_to(self.wish.as_deref()) => {
                    let failure = Failure::Refused { rule };
                    core.tell(self.id, CallEvent::ChangeFailed { ticket, failure });
                }
                _ => self.wishes.queue.push(asked),
            }
        }
    }

    /// All wishes end: the call does.
    pub(super) fn fail_wishes(&mut self, core: &mut Core, failure: &Failure) {
        self.wishes.flight = None;
        self.failed(core, usize::MAX, failure);
    }
}

/// Tells that a wish of the application is in force.
fn came_true(
    core: &mut Core,
    call: CallId,
    asked: &Wanting,
    method: Option<(Method, RuleId)>,
    text: &'static str,
) {
    let Some(ticket) = asked.ticket else { return };
    let change = Change {
        ticket,
        method: method.map(|(method, _)| method),
        attempts: asked.attempts,
        why: Why { rule: method.map(|(_, rule)| rule), text },
        what: vec![asked.modification.what()],
    };
    core.tell(call, CallEvent::Changed(change));
}
