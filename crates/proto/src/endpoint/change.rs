//! What comes of a re-INVITE or UPDATE of ours: accepted, refused, retried, given up.

use std::time::Duration;

use midcall_wire::{Method, Name};

use super::call::{Call, Cancel};
use super::config::Prefer;
use super::core::Core;
use super::modify::{Modification, Wanting};
use crate::Msg;
use crate::dialog::{OptionSet, SdpRole, Seen, Way};
use crate::event::{CallEvent, Ended, Failure};
use crate::rules::RuleId;
use crate::session::Wanted;
use crate::time::Instant;

impl Call {
    /// A response to the request in flight.
    pub(super) fn change_response(&mut self, core: &mut Core, now: Instant, index: usize, message: &Msg) {
        let status = message.status().unwrap_or_default();
        let cseq = message.cseq().map(|cseq| cseq.number).unwrap_or_default();
        let method = message.method();
        if method == Method::Invite && (200..300).contains(&status) && self.resend_ack(core, now, index, cseq)
        {
            return;
        }
        let at = core.at(now);
        let seen = Seen::read(Way::Received, at, message);
        if status < 200 {
            if self.repeated_reliable(index, &seen) {
                return;
            }
            self.apply_received(core, now, index, at, message);
            if seen.reliable().is_some() {
                self.answer_reliable(core, now, index, &seen);
            }
            if let Some(flight) = self.wishes.flight.as_mut() {
                flight.provisional = true;
                if flight.cancel == Cancel::Wanted {
                    self.cancel_change(core, now);
                }
            }
            return;
        }
        let executed = self
            .legs
            .get(index)
            .and_then(|leg| leg.dialog.request_of(&seen))
            .is_some_and(|open| open.executed);
        let offered = self
            .legs
            .get(index)
            .is_some_and(|leg| matches!(leg.dialog.role_of_sdp(&seen), SdpRole::Offer(_)));
        let asks = |flight: &super::modify::InFlight| {
            flight.offerless || flight.request.as_ref().is_some_and(|request| request.sdp().is_some())
        };
        let asked = self.wishes.flight.as_deref().is_some_and(asks);
        let before = self.exchanges(index);
        self.apply_received(core, now, index, at, message);
        if (200..300).contains(&status) {
            let mut usable = true;
            if method == Method::Invite {
                let mut answer = None;
                if let (true, Some(offer)) = (offered, &seen.sdp) {
                    let (bytes, good) = self.answer_for_response(index, offer);
                    answer = Some(bytes);
                    usable = good;
                }
                self.acknowledge(core, now, index, cseq, answer);
            }
            if self.ended {
                return;
            }
            if asked && !executed && self.exchanges(index) == before {
                self.change_unanswered(core, now);
            } else {
                self.change_accepted(core, now, usable, index);
            }
        } else {
            self.change_refused(core, now, index, status, Some(message), executed);
        }
    }

    fn change_accepted(&mut self, core: &mut Core, now: Instant, usable: bool, index: usize) {
        self.suspect = false;
        let Some(flight) = self.wishes.flight.take() else { return };
        if let Some(setbacks) = &mut self.wishes.setbacks {
            (setbacks.glare, setbacks.by_invite) = (0, false);
        }
        // What asked for nothing of the session says nothing of it: a person may have answered an offer meanwhile.
        let bare =
            flight.request.as_ref().is_some_and(|request| request.sdp().is_none()) && !flight.offerless;
        let wanted = Box::new(flight.wanted);
        // While the call rings, only the branch that was changed has the new session.
        let ringing = self.setup.is_some();
        if let Some(leg) = self.legs.get_mut(index).filter(|_| ringing && !bare) {
            leg.wish = Some(wanted.clone());
        }
        // What asked for nothing of the session says nothing of it: a person may have answered an offer meanwhile.
        let bare =
            flight.request.as_ref().is_some_and(|request| request.sdp().is_none()) && !flight.offerless;
        if !bare && (!flight.branch || self.main() == Some(index)) {
            self.wish = Some(wanted);
        }
        self.note_declined(index);
        let text = why_text(flight.method, flight.because);
        self.fulfilled(core, Some((flight.method, flight.because)), flight.carries, text);
        if !usable {
            // RI-19: the peer's offer was answered validly, but nothing of it can be used.
            self.send_bye(core, now, index, Some("SIP;cause=488;text=\"No usable session\""));
            self.end(core, now, Ended::NoSession);
            return;
        }
        self.kick(core, now);
        self.release_success(core, now);
    }

    /// How many exchanges a leg has completed.
    pub(super) fn exchanges(&self, index: usize) -> u32 {
        self.legs.get(index).map_or(0, |leg| leg.dialog.offers.exchanges)
    }

    /// A 2xx without the description that it owed: nothing has changed, the call goes on as it was (failure O6).
    fn change_unanswered(&mut self, core: &mut Core, now: Instant) {
        let Some(flight) = self.wishes.flight.take() else { return };
        self.failed(core, flight.carries, &Failure::Unanswered);
        self.kick(core, now);
        self.release_success(core, now);
    }

    /// The session that answers are made from: the one wanted, with a change of ours that is carried out although its
    /// re-INVITE has no final response yet (RFC 6141 §3.3).
    pub(super) fn standing(&self, index: usize) -> Option<&Wanted> {
        let flight = self.wishes.flight.as_deref().filter(|flight| {
            let dialog = self.legs.get(index).map(|leg| &leg.dialog);
            let open = dialog.and_then(|dialog| dialog.find_open(Way::Sent, flight.method, flight.cseq));
            open.is_some_and(|open| open.executed)
        });
        flight.map(|flight| &flight.wanted).or_else(|| self.wish_in(index))
    }

    /// A final response other than 2xx, or none at all (`message` is `None`).
    pub(super) fn change_refused(
        &mut self,
        core: &mut Core,
        now: Instant,
        index: usize,
        status: u16,
        message: Option<&Msg>,
        executed: bool,
    ) {
        let Some(flight) = self.wishes.flight.take() else { return };
        if self.ended {
            return;
        }
        let carries = flight.carries;
        let theirs = self.legs.get(index).map(|leg| &*leg.dialog.party.theirs.target);
        let moved = flight.method == Method::Invite && theirs.is_some_and(|now| *now != *flight.target);
        let own =
            |asked: &Wanting| asked.ticket.is_none() && matches!(asked.modification, Modification::Repeat);
        let follows_up = self.wishes.queue.iter().take(carries).all(own);
        let retry_after = message.and_then(|message| message.retry_after()).and_then(Result::ok);
        let timed = matches!(status, 404 | 413 | 480 | 486 | 500 | 503 | 600 | 603);
        if let Some(wait) = Self::retry_after(retry_after).filter(|_| timed) {
            // ER-03: whatever is asked next waits too.
            self.wishes.setbacks_mut().not_before = Some(now + wait);
            self.wishes.setbacks_mut().held_by = Some(RuleId::RetryAfterIgnored);
        }
        let tries = self.wishes.queue.first().map_or(0, |asked| asked.attempts);
        let owner = self.legs.get(index).is_some_and(|leg| leg.dialog.owns_call_id());
        let may_repeat = tries <= core.config.glare_retries;
        let refresh = |asked: &Wanting| matches!(asked.modification, Modification::Refresh);
        let refreshed = self.wishes.queue.iter().take(carries).any(refresh);
        match status {
            408 | 481 if flight.branch && self.main() != Some(index) => {
                // That branch of the fork is gone; the others may still answer.
                self.failed(core, carries, &Failure::Rejected { status });
                if let Some(leg) = self.legs.get_mut(index) {
                    leg.drop_at = Some(now + core.patience());
                }
            }
            408 | 481 => {
                // RFC 3261 §12.2.1.2: the peer does not know or does not answer; the session ends with a BYE. It may
                // also be that the request overtook the 2xx, and then the callee's BYE waits for the ACK.
                self.fail_wishes(core, &Failure::CallEnded);
                let why = if message.is_none() { Ended::Timeout } else { Ended::Lost { status } };
                self.ending = Some(Box::new(why));
                self.finish_ending(core, now);
                return;
            }
            401 | 407 => {
                if self.awaits_name(core, index) {
                    // The wish is still in the queue.
                    return;
                }
                if let Some(credentials) = self.answer_challenge(core, message, flight.request.as_ref()) {
                    let body = flight.request.as_ref().and_then(|request| request.sdp().map(<[u8]>::to_vec));
                    if self.fire(core, now, index, *flight, body, credentials) {
                        return;
                    }
                }
                self.failed(core, carries, &Failure::Rejected { status });
            }
            491 => {
                // The pause also binds whatever is wished next, should this be given up.
                self.wishes.setbacks_mut().not_before = Some(now + glare_wait(core, owner));
                self.wishes.setbacks_mut().held_by =
                    Some(if owner { RuleId::OwnerRetryTime } else { RuleId::OtherRetryTime });
                for asked in self.wishes.queue.iter_mut().take(carries) {
                    asked.met = true;
                }
                if self.wishes.setbacks().glare < core.config.glare_retries {
                    self.wishes.setbacks_mut().glare += 1;
                } else {
                    self.wishes.setbacks_mut().glare = 0;
                    self.failed(core, carries, &Failure::Glare { attempts: tries });
                }
            }
            500 | 503 if retry_after.is_some() && may_repeat => {
                self.wishes.setbacks_mut().held_by = Some(RuleId::OverlapRetryAfter);
            }
            // The peer lacks UPDATE after all: the next plan knows, and a confirmed dialog falls back (UP-19).
            405 | 501 if flight.method == Method::Update => {}
            504 if flight.method == Method::Update && !flight.offerless => {
                self.wishes.setbacks_mut().by_invite = true;
            }
            422 if may_repeat => {}
            420 if may_repeat && self.learn_unsupported(core, message) => {}
            421 if may_repeat && self.relearn_required(core, message) => {}
            487 if flight.cancel != Cancel::No => {
                self.failed(core, carries, &Failure::Withdrawn);
            }
            404 | 410 | 416 | 480 | 482..=485 | 502 | 604 => {
                self.failed(core, carries, &Failure::Rejected { status });
                self.suspected(core, now, status);
            }
            _ => self.failed(core, carries, &Failure::Rejected { status }),
        }
        if refreshed && !self.wishes.refreshing() {
            self.refresh_refused(now, index);
        }
        if executed && !self.ended {
            // RFC 6141 §3.4: part of the refused change was executed; a new exchange brings both sides back in step.
            self.want_quietly_by(core, now, Modification::Repeat, Some(Prefer::Update));
        } else if moved && !follows_up && !self.ended && self.ending.is_none() && self.wishes.queue.is_empty()
        {
            // RFC 6141 §5.3: the peer moved inside it and may not have our ACK; a new re-INVITE tells where both stand.
            self.want_quietly_by(core, now, Modification::Repeat, Some(Prefer::ReInvite));
        }
        self.kick(core, now);
        self.release_success(core, now);
    }

    fn learn_unsupported(&mut self, _core: &Core, message: Option<&Msg>) -> bool {
        let Some(message) = message else { return false };
        let refused = OptionSet::read(message, Name::Unsupported);
        let news = refused.without(self.wishes.setbacks().without).tags().next().is_some();
        self.wishes.setbacks_mut().without.add(refused);
        news
    }

    /// 421 asks for an extension: it is offered again if we had left it out. True if that changes anything.
    fn relearn_required(&mut self, core: &Core, message: Option<&Msg>) -> bool {
        let Some(message) = message else { return false };
        let asked = OptionSet::read(message, Name::Require);
        let known = asked.without(core.supported()).is_empty();
        let left_out = asked.tags().any(|tag| self.wishes.setbacks().without.has(tag));
        self.wishes.setbacks_mut().without = self.wishes.setbacks().without.without(asked);
        known && left_out
    }

    /// A code of RFC 5057's list: the first marks the call, the second ends it (CF-36).
    fn suspected(&mut self, core: &mut Core, now: Instant, status: u16) {
        if self.suspect || core.config.strict_5057 {
            self.ending = Some(Box::new(Ended::Lost { status }));
            self.finish_ending(core, now);
        } else {
            self.suspect = true;
            core.tell(self.id, CallEvent::Suspect { status });
        }
    }

    /// The credentials that answer a challenge, if we have any that were not refused already.
    pub(super) fn answer_challenge(
        &mut self,
        core: &mut Core,
        message: Option<&Msg>,
        request: Option<&Msg>,
    ) -> Option<Vec<(Name, String)>> {
        let (message, request, digest) = (message?, request?, self.digest.as_deref_mut()?);
        let cnonce = core.rng.next_u64();
        let uri = request.request_uri()?;
        digest.answer(&message.challenges(), request, request.method_name(), uri, request.body(), cnonce).ok()
    }

    /// CANCEL for the re-INVITE in flight (RFC 3261 §9.1); waits for a provisional response.
    pub(super) fn cancel_change(&mut self, core: &mut Core, now: Instant) -> bool {
        let Some(flight) = self.wishes.flight.as_mut().filter(|flight| flight.method == Method::Invite)
        else {
            return false;
        };
        if !flight.provisional {
            flight.cancel = Cancel::Wanted;
            return true;
        }
        let Some(client) = flight.client else { return false };
        flight.cancel = Cancel::Sent { at: now };
        super::uac::cancel(core, now, self.id, flight.leg, client, false);
        true
    }
}

/// The wait after a 491: owner of the Call-ID 2.1 to 4.0 s, the other side 0 to 2.0 s, in steps of 10 ms (GL-01, GL-02).
fn glare_wait(core: &mut Core, owner: bool) -> Duration {
    let steps = if owner { 210 + core.rng.below(191) } else { core.rng.below(201) };
    Duration::from_millis(steps * 10)
}

fn why_text(method: Method, because: RuleId) -> &'static str {
    match (method, because) {
        (Method::Update, RuleId::RefreshMethod) => "no offer needed and the peer takes UPDATE",
        (Method::Update, _) => "the peer takes it and it was preferred",
        (_, RuleId::UpdateNotAllowed | RuleId::UpdateRefusedAsMethod) => "the peer does not take UPDATE",
        _ => "the default for a session change in a confirmed dialog",
    }
}
