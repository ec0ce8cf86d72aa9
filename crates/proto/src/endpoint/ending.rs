//! Ending a session: exactly one BYE, never before it is allowed.

use midcall_wire::{Method, Name};

use super::call::{Asked, Call, Cancel, Spec};
use super::core::{Core, Purpose};
use crate::Msg;
use crate::dialog::{InviteState, Way};
use crate::event::{CallEvent, CallId, Ended, Side};
use crate::time::Instant;

impl Call {
    /// Hangs up: CANCEL, 603 or BYE, whichever the state of the call asks for.
    pub(super) fn hang_up(&mut self, core: &mut Core, now: Instant, why: Ended) {
        if self.ended {
            return;
        }
        if let Some(setup) = self.setup.as_mut() {
            match setup.cancel {
                Cancel::No if setup.provisional => self.send_cancel(core, now),
                Cancel::No => {
                    setup.cancel = Cancel::Wanted;
                    if setup.client.is_none() {
                        self.setup = None;
                        self.end(core, now, Ended::Cancelled { by: Side::Us });
                    }
                }
                _ => {}
            }
            return;
        }
        if !self.outgoing && !self.established && self.asked.iter().any(Asked::forms) {
            self.finish_setup(core, now, 603, &[]);
            self.end(core, now, Ended::Refused { status: 603, by: Side::Us });
            return;
        }
        self.fail_wishes(core, &crate::event::Failure::CallEnded);
        self.ending = Some(Box::new(why));
        self.finish_ending(core, now);
    }

    /// Sends the BYE that a hang-up waits for, as soon as it may go: the callee's not before the ACK (DLG-26).
    pub(super) fn finish_ending(&mut self, core: &mut Core, now: Instant) {
        let Some(index) = self.main() else {
            if let Some(why) = self.ending.take() {
                self.end(core, now, *why);
            }
            return;
        };
        let waits = self.legs.get(index).is_some_and(|leg| {
            leg.dialog.owner == Way::Received
                && leg.resends.iter().any(|resend| resend.rseq.is_none())
                && leg.dialog.usage == InviteState::Moratorium
        });
        if waits {
            return;
        }
        let reason = self.ending.as_deref().and_then(reason_of);
        self.send_bye(core, now, index, reason.as_deref());
        if let Some(why) = self.ending.take() {
            self.end(core, now, *why);
        }
    }

    /// Sends BYE in a leg, once; what the peer had asked and we not answered ends with 487.
    pub(super) fn send_bye(&mut self, core: &mut Core, now: Instant, index: usize, reason: Option<&str>) {
        let Some(leg) = self.legs.get(index) else { return };
        if leg.dialog.usage.over() {
            return;
        }
        let (id, main) = (leg.id, !leg.surplus);
        let mut spec = Spec::new(Method::Bye);
        if let Some(reason) = reason {
            spec = spec.header(Name::Reason, reason);
        }
        if main {
            self.bye_sent = true;
        }
        // Our own rules can refuse a BYE only when the session is over already.
        let _ = self.send(core, now, index, spec, Purpose::Bye);
        while let Some(position) = self.asked.iter().position(|asked| asked.leg == id) {
            let pending = self.asked.remove(position);
            self.respond(core, now, &pending, 487, &[], None);
        }
        if let Some(leg) = self.legs.get_mut(index) {
            leg.resends.clear();
        }
    }

    /// The BYE got its final response, or none.
    pub(super) fn bye_done(
        &mut self,
        core: &mut Core,
        now: Instant,
        index: usize,
        message: Option<&Msg>,
        request: Option<&Msg>,
    ) {
        let challenged = message.and_then(Msg::status).is_some_and(|status| matches!(status, 401 | 407));
        if challenged && let Some(credentials) = self.answer_challenge(core, message, request) {
            let mut spec = Spec::new(Method::Bye);
            spec.credentials = credentials;
            let _ = self.send(core, now, index, spec, Purpose::Bye);
            return;
        }
        if let Some(leg) = self.legs.get_mut(index) {
            leg.dialog.bye_ended();
        }
        self.notify_referrers(core, now);
    }

    /// This call was replaced by another one (RFC 3891 §3): it ends with BYE, or CANCEL if it is early and ours.
    pub(super) fn replaced(&mut self, core: &mut Core, now: Instant, by: CallId) {
        if self.ended {
            return;
        }
        core.tell(self.id, CallEvent::ReplacedBy { call: by });
        if self.setup.is_some() {
            self.hang_up(core, now, Ended::Replaced);
        } else {
            self.fail_wishes(core, &crate::event::Failure::CallEnded);
            self.ending = Some(Box::new(Ended::Replaced));
            self.finish_ending(core, now);
        }
    }
}

/// The Reason of a BYE that follows from an error (RFC 3326 §2; ER-08).
fn reason_of(why: &Ended) -> Option<String> {
    let status = match why {
        Ended::Lost { status } => *status,
        Ended::Timeout => 408,
        _ => return None,
    };
    Some(format!("SIP;cause={status};text=\"{}\"", midcall_wire::reason_phrase(status)))
}
