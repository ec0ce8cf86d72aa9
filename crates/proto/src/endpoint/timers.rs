//! What time brings in a call: resends, expiries, refreshes, retries.

use std::time::Duration;

use midcall_wire::Method;

use super::call::{Call, Cancel, Spec};
use super::core::{Core, Later, Purpose};
use super::modify::Modification;
use crate::dialog::{Dialog, Open, Running, Way};
use crate::event::{Ended, Side};
use crate::session::Wanted;
use crate::time::Instant;

/// The least time between two refreshes of which the first was refused.
const REFRESH_PAUSE: Duration = Duration::from_secs(10);

impl Call {
    /// When this call next wants to be woken.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let legs = self.legs.iter().flat_map(|leg| {
            let resends = leg.resends.iter().map(|resend| resend.next.min(resend.until));
            resends.chain(leg.drop_at).chain(leg.acks.iter().map(|ack| ack.until))
        });
        let timer =
            self.dialog().filter(|dialog| dialog.usage.confirmed() && !self.ended).and_then(|dialog| {
                let running = dialog.timer.running?;
                match running.refresher {
                    Way::Sent if self.wishes.refreshing() && !self.refreshes_beside(dialog) => {
                        Some(running.expires)
                    }
                    Way::Sent => Some(self.refresh_at(&running).min(running.expires)),
                    Way::Received => Some(running.give_up_at()),
                }
            });
        legs.chain(timer)
            .chain(self.wishes.wake_at())
            .chain(self.asked.iter().filter_map(|asked| asked.patience))
            .chain(self.asked.iter().filter_map(|asked| asked.rings_at()))
            .chain(self.notify_at())
            .chain(self.transfers_until())
            .chain(self.rings_until())
            .chain(self.linger)
            .min()
    }

    /// The time has come.
    pub(super) fn on_time(&mut self, core: &mut Core, now: Instant) {
        for leg in &mut self.legs {
            leg.acks.retain(|ack| ack.until > now);
        }
        self.resend_due(core, now);
        self.drop_early(core, now);
        self.patience_over(core, now);
        if self.rings_until().is_some_and(|until| until <= now) {
            self.hang_up(core, now, Ended::Cancelled { by: Side::Us });
        }
        self.ring_on(core, now);
        self.session_timer_due(core, now);
        self.answer_undecided(core, now);
        self.notify_referrers(core, now);
        self.transfers_over(core, now);
        if self.wishes.wake_at().is_some_and(|at| at <= now) {
            self.kick(core, now);
        }
        if self.linger.is_some_and(|linger| linger <= now) && !self.is_done(now) {
            self.linger = Some(now + core.patience());
        }
    }

    /// How long our INVITE may go without a final response, if its Expires says so (TX-33).
    fn rings_until(&self) -> Option<Instant> {
        self.setup.as_ref().filter(|setup| setup.cancel == Cancel::No)?.expires
    }

    fn resend_due(&mut self, core: &mut Core, now: Instant) {
        for index in 0..self.legs.len() {
            let Some(leg) = self.legs.get_mut(index) else { return };
            let mut gone = None;
            for resend in &mut leg.resends {
                if resend.until <= now {
                    gone = Some((resend.cseq, resend.rseq));
                } else if resend.next <= now {
                    core.layer.respond(now, resend.server, resend.bytes.clone(), resend.status);
                    // RFC 3261 §13.3.1.4: doubling up to T2; RFC 3262 §3: without that cap.
                    resend.interval *= 2;
                    if resend.rseq.is_none() {
                        resend.interval = resend.interval.min(core.config.t2);
                    }
                    resend.next = now + resend.interval;
                }
            }
            match gone {
                Some((cseq, None)) => self.no_ack(core, now, index, cseq),
                Some((cseq, Some(_))) => self.no_prack(core, now, index, cseq),
                None => {}
            }
        }
    }

    /// RFC 3261 §13.3.1.4: no ACK in 64*T1. The dialog is confirmed; its session ends with BYE.
    fn no_ack(&mut self, core: &mut Core, now: Instant, index: usize, cseq: u32) {
        if let Some(leg) = self.legs.get_mut(index) {
            let overtaken = leg.resends.iter().any(|resend| resend.cseq == cseq && resend.overtaken);
            leg.resends.retain(|resend| resend.cseq != cseq);
            leg.dialog.ack_missed(Way::Received, cseq);
            // RFC 6141 §5.4: a peer that moved has sent a newer re-INVITE instead of the ACK.
            if overtaken && self.ending.is_none() {
                return;
            }
        }
        self.send_bye(core, now, index, None);
        let why = self.ending.take().map_or(Ended::NoAck, |why| *why);
        self.end(core, now, why);
    }

    /// RFC 3262 §3: no PRACK in 64*T1. The INVITE is rejected with a 5xx.
    fn no_prack(&mut self, core: &mut Core, now: Instant, index: usize, cseq: u32) {
        let Some(leg) = self.legs.get_mut(index) else { return };
        leg.resends.retain(|resend| resend.cseq != cseq);
        let id = leg.id;
        let Some(position) = self.asked.iter().position(|asked| asked.leg == id && asked.cseq == cseq) else {
            return;
        };
        let asked = self.asked.remove(position);
        self.respond(core, now, &asked, 504, &[], None);
        if asked.forms() {
            self.end(core, now, Ended::NoPrack);
        }
        self.kick(core, now);
    }

    fn drop_early(&mut self, core: &mut Core, now: Instant) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if !self.legs.iter().any(|leg| due(leg.drop_at)) {
            return;
        }
        let gone: Vec<_> = self
            .legs
            .iter()
            .filter(|leg| due(leg.drop_at))
            .map(|leg| (leg.dialog.call_id.clone(), leg.dialog.party.ours.tag.clone()))
            .collect();
        self.legs.retain(|leg| !due(leg.drop_at));
        for (call_id, tag) in gone {
            // Forks share our tag: the name goes with the last of them.
            let forked = self.setup.is_some() && call_id == self.call_id;
            if !forked && !self.legs.iter().any(|leg| leg.dialog.party.ours.tag == tag) {
                core.later.push(Later::Forget { call_id, tag, call: self.id });
            }
        }
    }

    fn session_timer_due(&mut self, core: &mut Core, now: Instant) {
        if self.ended || self.ending.is_some() {
            return;
        }
        let Some(index) = self.main() else { return };
        let Some(running) = self
            .legs
            .get(index)
            .filter(|leg| leg.dialog.usage.confirmed())
            .and_then(|leg| leg.dialog.timer.running)
        else {
            return;
        };
        match running.refresher {
            Way::Sent if now >= running.expires => self.expire(core, now, index),
            Way::Sent if now >= self.refresh_at(&running) && !self.wishes.refreshing() => {
                self.want_quietly(core, now, Modification::Refresh);
            }
            Way::Sent if now >= self.refresh_at(&running) => self.refresh_beside(core, now, index),
            Way::Received if now >= running.give_up_at() => self.expire(core, now, index),
            _ => {}
        }
    }

    /// Whether a refresh can go out as UPDATE while a re-INVITE of ours waits for a person over there.
    fn refreshes_beside(&self, dialog: &Dialog) -> bool {
        let open = |open: &Open| open.way == Way::Sent && open.method == Method::Update;
        self.wishes.flight.as_ref().is_some_and(|flight| flight.method == Method::Invite)
            && dialog.party.theirs.can.takes(Method::Update)
            && !dialog.open.iter().any(open)
    }

    /// A re-INVITE may wait longer than the session lasts; an UPDATE without SDP beside it refreshes (RFC 4028 §10).
    fn refresh_beside(&mut self, core: &mut Core, now: Instant, index: usize) {
        if !self.legs.get(index).is_some_and(|leg| self.refreshes_beside(&leg.dialog)) {
            return;
        }
        let mut spec = Spec::new(Method::Update);
        self.add_timer_headers(core, index, &mut spec);
        self.wishes.setbacks_mut().refresh_after = Some(now + REFRESH_PAUSE);
        // Refused where a rule forbids it now; it is tried again after the pause.
        let _ = self.send(core, now, index, spec, Purpose::Other);
    }

    fn refresh_at(&self, running: &Running) -> Instant {
        let refused = self.wishes.setbacks().refresh_after.unwrap_or(Instant::ZERO);
        running.refresh_at().max(refused)
    }

    /// A refresh was refused for good. It is tried again half-way to the end of the session, while that is far enough
    /// (RFC 4028 §10; ST-17).
    pub(super) fn refresh_refused(&mut self, now: Instant, index: usize) {
        let running = self.legs.get(index).and_then(|leg| leg.dialog.timer.running);
        let Some(running) = running.filter(|running| running.refresher == Way::Sent) else { return };
        let wait = running.expires.since(now) / 2;
        let next = if wait >= REFRESH_PAUSE { now + wait } else { running.expires };
        self.wishes.setbacks_mut().refresh_after = Some(next);
    }

    fn expire(&mut self, core: &mut Core, now: Instant, index: usize) {
        self.send_bye(core, now, index, Some("SIP;cause=408;text=\"Session timer expired\""));
        self.end(core, now, Ended::SessionExpired);
    }
}

/// Our description in force, for a re-INVITE that is to change nothing: byte for byte if it was also the last one sent, else
/// with the version after that one (RFC 3264 §8; OA-31). Each stream states what this side wants, whatever the peer's last offer
/// made us answer (RFC 6337 §5.3; OA-36).
pub(super) fn unchanged(dialog: &Dialog, wish: Option<&Wanted>) -> Option<Vec<u8>> {
    let last = dialog.offers.last.ours.as_ref()?;
    let mut sdp = dialog.offers.agreed.as_ref().map_or(last, |agreed| &agreed.ours).clone();
    for line in 0..sdp.media_count() {
        let said = sdp.media_at(line);
        let wished = said.and_then(|media| Some((media.direction(), wish?.stream_of(&media)?.wish())));
        if let Some((said, wished)) = wished
            && said != wished
            && let Some(mut media) = sdp.media_mut(line)
        {
            media.set_direction(wished);
        }
    }
    if sdp.same_but_version(last) {
        return Some(last.to_bytes());
    }
    let version = last.version().map(|version| version.plus_one().to_string());
    sdp.set_origin_version(&version.unwrap_or_default());
    Some(sdp.to_bytes())
}
