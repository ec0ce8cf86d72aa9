//! What a change in a dialog means for the call and the application.

use std::time::Duration;

use super::call::{Call, Leg};
use super::core::{Core, Later};
use super::modify::Modification;
use crate::dialog::{Applied, Noted, OptionTag, Outcome, Way};
use crate::event::{CallEvent, Side};
use crate::session::{Agreed, Offerer};
use crate::time::Instant;

impl Call {
    /// Tells the application what a message changed in a leg, and moves what depends on it.
    pub(super) fn follow(&mut self, core: &mut Core, now: Instant, index: usize, applied: &Applied) {
        let Some(leg) = self.legs.get(index) else { return };
        let main = !leg.surplus && leg.drop_at.is_none();
        for noted in applied {
            // RFC 5407 §3.1.6: what comes late changes no session that is over.
            if self.ended && !matches!(noted, Noted::Notified { .. }) {
                continue;
            }
            match *noted {
                Noted::Exchange(Outcome::Agreed { .. }) if main => self.session_changed(core, index),
                Noted::Target(Way::Received) if main => core.tell(self.id, CallEvent::PeerMoved),
                Noted::Identity(Way::Received) if main => {
                    let uri = self.legs.get(index).map(|leg| leg.dialog.party.theirs.uri.to_string());
                    core.tell(self.id, CallEvent::PeerIdentity { uri: uri.unwrap_or_default() });
                }
                Noted::Timer { by, crossed, .. } => self.timer_moved(core, index, by, crossed),
                Noted::Notified { refer, status, done } => self.transfer_news(core, now, refer, status, done),
                _ => {}
            }
        }
    }

    fn timer_moved(&mut self, core: &mut Core, index: usize, by: Way, crossed: bool) {
        let Some(leg) = self.legs.get(index) else { return };
        let interval = leg.dialog.timer.running.map(|running| running.interval);
        // Where both sides chose themselves at once the owner of the Call-ID refreshes first, and that settles it (ST-25).
        let yields = leg
            .dialog
            .timer
            .running
            .filter(|running| crossed && running.refresher == Way::Sent && !leg.dialog.owns_call_id());
        if let Some(running) = yields {
            self.wishes.setbacks_mut().refresh_after = Some(running.refresh_at() + YIELD);
        } else if let Some(setbacks) = &mut self.wishes.setbacks {
            setbacks.refresh_after = None;
        }
        if self.established {
            let by = if by == Way::Sent { Side::Us } else { Side::Them };
            core.tell(self.id, CallEvent::Refreshed { by, interval });
        }
    }

    /// The session in force is new: media follows, and holds are told.
    pub(super) fn session_changed(&mut self, core: &mut Core, index: usize) {
        let Some(leg) = self.legs.get(index) else { return };
        let early = leg.dialog.usage.early();
        let Some(session) = self.session_in(leg) else { return };
        self.note_declined(index);
        let by_us = session.streams.iter().any(|stream| stream.held_by_us);
        let by_them = session.streams.iter().any(|stream| stream.held_by_peer);
        let on_hold = by_them
            && session.streams.iter().filter(|stream| stream.is_on()).all(|stream| stream.held_by_peer);
        core.tell(self.id, CallEvent::Session { agreed: session, early });
        for (was, is, by) in [(self.held.0, by_us, Side::Us), (self.held.1, by_them, Side::Them)] {
            match (was, is) {
                (false, true) => core.tell(self.id, CallEvent::Held { by }),
                (true, false) => core.tell(self.id, CallEvent::Resumed { by }),
                _ => {}
            }
        }
        self.held = (by_us, by_them);
        let newly = on_hold && !self.on_hold;
        self.on_hold = on_hold;
        if newly {
            self.lost_to_hold(core);
        }
    }

    /// What came of the streams that are wanted.
    pub(super) fn note_declined(&mut self, index: usize) {
        let Some(leg) = self.legs.get_mut(index) else { return };
        // While it rings, one branch of a fork does not speak for the call.
        let common = self.wish.as_deref_mut().filter(|_| self.setup.is_none());
        if let (Some(agreed), Some(wish)) = (&leg.dialog.offers.agreed, leg.wish.as_deref_mut().or(common)) {
            wish.follow(&agreed.ours, &agreed.theirs);
        }
    }

    /// The session in force in a leg. Whether we hold is our own knowledge; whether the peer does, the descriptions tell.
    pub(super) fn session_in(&self, leg: &Leg) -> Option<Agreed> {
        let offers = &leg.dialog.offers;
        let agreed = offers.agreed.as_ref()?;
        let offerer = if offers.offerer == Some(Way::Sent) { Offerer::Us } else { Offerer::Peer };
        let mut session = crate::session::agreed_by(&agreed.ours, &agreed.theirs, offerer);
        // A wish of ours in flight is in force once its answer is here: the event for it comes right after.
        let flight = self.wishes.in_flight_wish(leg.id).filter(|_| offerer == Offerer::Us);
        let wish = flight.or(leg.wish.as_deref()).or(self.wish.as_deref());
        for (stream, wanted) in session.streams.iter_mut().zip(wish.iter().flat_map(|wish| &wish.streams)) {
            stream.held_by_us = stream.is_on() && wanted.held();
        }
        Some(session)
    }

    /// The dialog is confirmed and acknowledged: other early dialogs go, waiting wishes may go out.
    pub(super) fn confirmed(&mut self, core: &mut Core, now: Instant, index: usize) {
        if self.established {
            return;
        }
        self.established = true;
        let keep = self.legs.get(index).map(|leg| leg.id);
        let drop_at = now + core.patience();
        for leg in &mut self.legs {
            if Some(leg.id) != keep && leg.dialog.usage.early() {
                leg.drop_at.get_or_insert(drop_at);
            }
        }
        core.tell(self.id, CallEvent::Established);
        let Some(leg) = self.legs.get(index) else { return };
        let listed = leg.dialog.party.theirs.can.supported.has(OptionTag::FromChange);
        if core.config.from_change && listed && !self.outgoing {
            // RFC 4916 §4.2: the callee tells its identity once, also an unchanged one.
            self.want_quietly(core, now, Modification::Target);
        }
        if let Some((referrer, refer)) = self.placed_for {
            core.later.push(Later::Referred { referrer, refer, status: 200 });
        }
    }

    /// Whether this call is up: confirmed and not ended.
    pub(super) fn is_up(&self) -> bool {
        !self.ended && self.dialog().is_some_and(|dialog| dialog.usage.confirmed())
    }

    /// The least wait that a Retry-After asks for, in whole seconds; 0 counts as at once (CF-21).
    pub(super) fn retry_after(seconds: Option<u32>) -> Option<Duration> {
        seconds.map(|seconds| Duration::from_secs(u64::from(seconds)))
    }
}

/// How much later the side refreshes that yields to the other one.
const YIELD: Duration = Duration::from_secs(2);
