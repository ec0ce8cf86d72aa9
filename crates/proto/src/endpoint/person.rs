//! Offers of the peer in mid-call that need a person: how they wait, and how the word on them is told (RFC 6141 §3, §4.6).

use std::time::Duration;

use midcall_wire::Method;

use super::call::{Asked, Call, Spec};
use super::config::{Prefer, Reliable};
use super::core::{Core, Purpose};
use super::modify::Modification;
use crate::dialog::{OptionTag, Seen, Way};
use crate::event::CallEvent;
use crate::session::Wanted;
use crate::time::Instant;

impl Call {
    /// A re-INVITE waits for the application's word on its new streams.
    pub(super) fn ask_person(
        &mut self,
        core: &mut Core,
        now: Instant,
        index: usize,
        mut asked: Asked,
        seen: &Seen<'_>,
    ) {
        let what = self.what_changes(index, seen);
        let expires = asked.request.expires().and_then(Result::ok);
        asked.expires = expires.map(|seconds| now + Duration::from_secs(u64::from(seconds)));
        let mut patience = now + core.config.offer_patience;
        if let Some(until) = self.refreshed_by_answer(core, index) {
            patience = patience.min(until);
        }
        asked.patience = Some(asked.expires.map_or(patience, |expires| expires.min(patience)));
        self.answer_move(core, now, index, &mut asked, seen);
        self.asked.push(asked);
        core.tell(self.id, CallEvent::Offered { what });
    }

    /// When the session runs out, if only the answer to this re-INVITE can refresh it: no UPDATE can, and no other re-INVITE
    /// beside it (RFC 4028 §10).
    fn refreshed_by_answer(&self, core: &Core, index: usize) -> Option<Instant> {
        let dialog = &self.legs.get(index)?.dialog;
        let running = dialog.timer.running?;
        let update = match running.refresher {
            Way::Sent => core.config.update && dialog.party.theirs.can.takes(Method::Update),
            Way::Received => core.config.update,
        };
        (!update).then(|| running.give_up_at().checked_sub(MARGIN).unwrap_or_default())
    }

    /// A peer that moved must soon know that we follow, whatever the person says: by a reliable response, else by a request
    /// to its new address (RFC 6141 §4.6; RI-27).
    fn answer_move(
        &mut self,
        core: &mut Core,
        now: Instant,
        index: usize,
        asked: &mut Asked,
        seen: &Seen<'_>,
    ) {
        let Some(leg) = self.legs.get_mut(index) else { return };
        if seen.contact.is_none_or(|contact| *contact == *leg.dialog.party.theirs.target) {
            return;
        }
        let can = seen.supported.has(OptionTag::Rel100) || seen.require.has(OptionTag::Rel100);
        if can && core.config.reliable != Reliable::Off {
            let _ = self.send_progress(core, now, asked, 183, true, false);
            return;
        }
        let method = if leg.dialog.party.theirs.can.takes(Method::Update) && core.config.update {
            Method::Update
        } else {
            Method::Options
        };
        leg.dialog.adopt_target(seen.method, seen.cseq);
        core.tell(self.id, CallEvent::PeerMoved);
        let mut spec = Spec::new(method);
        if method == Method::Update {
            self.add_timer_headers(core, index, &mut spec);
        }
        // Refused only where another UPDATE of ours is open; then that one tells the peer.
        let _ = self.send(core, now, index, spec, Purpose::Other);
    }

    /// The application's word on an offer that needed a person: the session with the new streams, or none. False if no
    /// offer waits.
    pub(super) fn answer_offer(&mut self, core: &mut Core, now: Instant, session: Option<Wanted>) -> bool {
        let waits = |asked: &Asked| asked.patience.is_some() && !asked.forms();
        let Some(position) = self.asked.iter().position(waits) else { return false };
        self.decide(core, now, position, session);
        true
    }

    /// Answers a re-INVITE that waited. What a reliable response has carried out already cannot be refused any more: a
    /// change of ours takes it back first, and the answer is 2xx all the same (RFC 6141 §3.3; RI-11).
    pub(super) fn decide(&mut self, core: &mut Core, now: Instant, position: usize, session: Option<Wanted>) {
        let Some(asked) = self.asked.get_mut(position) else { return };
        (asked.patience, asked.expires) = (None, None);
        let before = asked.before.take();
        let session = match (session, &before, self.wish.as_deref()) {
            (Some(mut session), _, Some(wish)) => {
                session.keep_holds(wish);
                Some(session)
            }
            (None, Some(before), Some(wish)) => Some(wish.without_streams_since(before)),
            (session, ..) => session,
        };
        let Some(asked) = self.asked.get(position) else { return };
        if !asked.exchanged {
            if let Some(session) = session {
                self.adopt(session);
            }
            self.take_offer(core, now, position, Method::Invite);
            return;
        }
        if let Some(asked) = self.asked.get_mut(position) {
            asked.after_change = true;
        }
        if let Some(session) = session {
            let back = Modification::Replace(Box::new(session));
            self.want_quietly_by(core, now, back, Some(Prefer::Update));
        }
        self.release_success(core, now);
    }

    /// The 2xx that waited for a change of ours goes out: the change is through, or has to follow the 2xx.
    pub(super) fn release_success(&mut self, core: &mut Core, now: Instant) {
        let Some(position) = self.asked.iter().position(|asked| asked.after_change) else { return };
        let Some(asked) = self.asked.get(position) else { return };
        if self.awaits_prack(asked) || self.wishes.flight.is_some() {
            return;
        }
        if let Some(asked) = self.asked.get_mut(position) {
            asked.after_change = false;
        }
        self.accept_at(core, now, position);
    }

    /// An INVITE or re-INVITE of the peer waited too long for the application (RI-28, TX-33).
    pub(super) fn patience_over(&mut self, core: &mut Core, now: Instant) {
        let late = |asked: &Asked| asked.patience.is_some_and(|until| until <= now);
        while let Some(position) = self.asked.iter().position(late) {
            let Some(asked) = self.asked.get(position) else { return };
            let expired = asked.forms() || asked.expires.is_some_and(|expires| expires <= now);
            if expired && (asked.forms() || !asked.exchanged) {
                self.give_up(core, now, position);
            } else {
                // Nobody decided: the session stays as it is, new streams are declined.
                self.decide(core, now, position, None);
            }
        }
    }
}

/// So long before the session would be given up its re-INVITE is answered.
const MARGIN: Duration = Duration::from_secs(5);
