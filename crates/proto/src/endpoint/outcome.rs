//! Responses to our requests, and their absence.

use midcall_wire::Method;

use super::call::{Call, Spec};
use super::core::{Core, Purpose};
use crate::Msg;
use crate::dialog::{Seen, Way};
use crate::event::Ended;
use crate::flow::Flow;
use crate::time::Instant;
use crate::transaction::ClientId;

/// A response, and the request that it answers.
pub(super) struct Response<'m> {
    /// The leg of the request.
    pub(super) leg: u32,
    /// What it was sent for.
    pub(super) purpose: Purpose,
    /// Its transaction.
    pub(super) client: ClientId,
    /// Where the response came from.
    pub(super) flow: Flow,
    /// The response.
    pub(super) message: &'m Msg,
}

impl Call {
    /// A response to a request of this call.
    pub(super) fn response(&mut self, core: &mut Core, now: Instant, response: Response<'_>) {
        let Response { leg, purpose, client, flow, message } = response;
        if purpose == Purpose::Setup {
            self.setup_or_late(core, now, client, flow, message);
            return;
        }
        let Some(index) = self.leg(leg) else { return };
        if let Some(leg) = self.legs.get_mut(index) {
            leg.came_by(flow);
        }
        let status = message.status().unwrap_or_default();
        let request = core.layer.client(client).map(|info| info.msg.clone());
        if purpose == Purpose::Change {
            let cseq = message.cseq().map(|cseq| cseq.number).unwrap_or_default();
            if self.wishes.flies(cseq) {
                self.change_response(core, now, index, message);
            } else {
                self.late_change(core, now, index, cseq, message);
            }
            return;
        }
        if (200..300).contains(&status) {
            self.formed_beside(index, message);
        }
        let at = core.at(now);
        self.apply_received(core, now, index, at, message);
        if status < 200 {
            return;
        }
        let cseq = message.cseq().map(|cseq| cseq.number).unwrap_or_default();
        match purpose {
            Purpose::Prack => self.prack_answered(core, now, index, status, message, request.as_ref()),
            Purpose::Bye => self.bye_done(core, now, index, Some(message), request.as_ref()),
            Purpose::Refer => {
                self.refer_answered(core, now, index, (cseq, status), Some(message), request.as_ref());
            }
            Purpose::Notify { refer } => self.notify_answered(core, now, (cseq, status), refer),
            Purpose::Move { lost } => self.move_answered(core, now, index, status, lost),
            Purpose::Other => {
                self.kick(core, now);
                self.release_success(core, now);
            }
            Purpose::Setup | Purpose::Change => {}
        }
    }

    /// A response to the INVITE that formed dialogs, also one that comes after the first 2xx.
    fn setup_or_late(&mut self, core: &mut Core, now: Instant, client: ClientId, flow: Flow, message: &Msg) {
        if self.setup.is_some() || message.status().is_some_and(|status| (200..300).contains(&status)) {
            self.setup_response(core, now, client, flow, message);
        }
    }

    /// A response to a change that is no longer in flight: a 2xx is still acknowledged (RC-09), resent or late.
    fn late_change(&mut self, core: &mut Core, now: Instant, index: usize, cseq: u32, message: &Msg) {
        let success = message.status().is_some_and(|status| (200..300).contains(&status));
        if message.method() != Method::Invite || !success {
            let at = core.at(now);
            if !self.repeated_reliable(index, &Seen::read(Way::Received, at, message)) {
                self.apply_received(core, now, index, at, message);
            }
            return;
        }
        if self.resend_ack(core, now, index, cseq) {
            return;
        }
        let at = core.at(now);
        self.apply_received(core, now, index, at, message);
        let offer =
            self.legs.get(index).and_then(|leg| leg.dialog.offers.pending.theirs.as_ref()?.sdp.clone());
        let answer = offer.map(|offer| self.answer_for_response(index, &offer).0);
        self.acknowledge(core, now, index, cseq, answer);
    }

    fn prack_answered(
        &mut self,
        core: &mut Core,
        now: Instant,
        index: usize,
        status: u16,
        message: &Msg,
        request: Option<&Msg>,
    ) {
        if matches!(status, 401 | 407)
            && let (Some(credentials), Some(request)) =
                (self.answer_challenge(core, Some(message), request), request)
        {
            let mut spec = Spec::new(Method::Prack).sdp(request.sdp().map(<[u8]>::to_vec));
            spec.headers.extend(
                request
                    .header(midcall_wire::Name::RAck)
                    .map(|rack| (midcall_wire::Name::RAck, rack.to_owned())),
            );
            spec.credentials = credentials;
            let _ = self.send(core, now, index, spec, Purpose::Prack);
        }
        self.kick(core, now);
    }

    /// No final response came: 408 for a timeout, 503 for a transport error (TX-24).
    pub(super) fn no_response(
        &mut self,
        core: &mut Core,
        now: Instant,
        leg: u32,
        purpose: Purpose,
        cseq: u32,
        status: u16,
    ) {
        if purpose == Purpose::Setup {
            self.setup_failed(core, now, status, None);
            return;
        }
        let Some(index) = self.leg(leg) else { return };
        let method = match purpose {
            Purpose::Prack => Method::Prack,
            Purpose::Bye => Method::Bye,
            Purpose::Refer => Method::Refer,
            Purpose::Notify { .. } => Method::Notify,
            Purpose::Setup | Purpose::Change | Purpose::Move { .. } | Purpose::Other => Method::Update,
        };
        let mut executed = false;
        if let Some(leg) = self.legs.get_mut(index) {
            if purpose == Purpose::Change {
                executed =
                    leg.dialog.find_open(Way::Sent, Method::Invite, cseq).is_some_and(|open| open.executed);
                leg.dialog.timed_out(Way::Sent, Method::Invite, cseq);
            }
            leg.dialog.timed_out(Way::Sent, method, cseq);
        }
        match purpose {
            Purpose::Change if self.wishes.flies(cseq) => {
                self.change_refused(core, now, index, status, None, executed);
            }
            Purpose::Move { lost } => self.move_answered(core, now, index, status, lost),
            Purpose::Bye => self.bye_done(core, now, index, None, None),
            Purpose::Refer => self.refer_answered(core, now, index, (cseq, status), None, None),
            Purpose::Notify { refer } => self.notify_answered(core, now, (cseq, status), refer),
            Purpose::Prack if status == 408 && !self.ended => {
                // The call attempt goes on; the peer rejects it if it never got the PRACK (PR-05).
            }
            _ => {}
        }
    }

    /// A host name that this call waited for is known now, or known not to exist.
    pub(super) fn name_resolved(&mut self, core: &mut Core, now: Instant) {
        if self.setup.as_ref().is_some_and(|setup| setup.client.is_none()) {
            self.send_invite(core, now, Vec::new());
        }
        for (leg, spec, purpose) in std::mem::take(&mut self.unsent) {
            let Some(index) = self.leg(leg) else { continue };
            let sent = self.send(core, now, index, spec, purpose);
            // `Ok(None)`: it waits for another name now.
            if purpose == Purpose::Refer && !matches!(sent, Ok(None)) {
                let cseq = self.legs.get(index).and_then(|leg| leg.dialog.party.ours.cseq);
                self.refer_sent(core, cseq.filter(|_| sent.is_ok()));
            }
        }
        self.kick(core, now);
        if self.main().is_none() && self.setup.is_none() && !self.ended {
            self.end(core, now, Ended::Unresolvable);
        }
    }
}
