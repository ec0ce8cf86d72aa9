//! The verbs of a call, and what can be read of it.

use super::call::{Call, Refused};
use super::config::Prefer;
use super::modify::Modification;
use super::uac::Invite;
use super::{Endpoint, core};
use crate::dialog::{Dialog, Due};
use crate::event::{CallId, Ended, Ticket};
use crate::rules::RuleId;
use crate::session::{Agreed, Wanted};
use crate::time::Instant;

/// A call to act on. Every verb takes the time; what it causes is in the endpoint's next outputs.
pub struct CallMut<'e> {
    endpoint: &'e mut Endpoint,
    id: CallId,
}

impl<'e> CallMut<'e> {
    pub(super) const fn new(endpoint: &'e mut Endpoint, id: CallId) -> Self {
        Self { endpoint, id }
    }

    fn turn<R>(
        &mut self,
        now: Instant,
        turn: impl FnOnce(&mut Call, &mut core::Core) -> R,
    ) -> Result<R, Refused> {
        let gone = Refused { rule: RuleId::SessionOverAtBye, because: Default::default() };
        let result = self.endpoint.with_call(now, self.id, turn).ok_or(gone);
        self.endpoint.settle(now);
        result
    }

    /// Gives the session that answers and offers of an incoming call are made from, before it is accepted.
    ///
    /// # Errors
    /// When the call is gone.
    pub fn prepare(&mut self, now: Instant, session: Wanted) -> Result<(), Refused> {
        self.turn(now, |call, _| call.adopt(session))
    }

    /// Tells the caller that it rings: 180.
    ///
    /// # Errors
    /// When there is no INVITE to answer.
    pub fn ring(&mut self, now: Instant) -> Result<(), Refused> {
        self.turn(now, |call, core| call.progress(core, now, 180, None))?
    }

    /// Opens early media: 183 with the answer (or the offer), reliably if the caller can.
    ///
    /// # Errors
    /// When there is no INVITE to answer.
    pub fn early(&mut self, now: Instant, session: Wanted) -> Result<(), Refused> {
        self.turn(now, |call, core| call.progress(core, now, 183, Some(session)))?
    }

    /// Answers: 200. It is held back while a reliable response with a description lacks its PRACK (PR-08).
    ///
    /// # Errors
    /// When there is no INVITE to answer.
    pub fn accept(&mut self, now: Instant, session: Option<Wanted>) -> Result<(), Refused> {
        self.turn(now, |call, core| call.accept(core, now, session))?
    }

    /// Declines with this status: the call, or in mid-call the re-INVITE whose offer needs a person.
    ///
    /// # Errors
    /// When there is no INVITE to answer, or a reliable response has carried out its changes already.
    pub fn refuse(&mut self, now: Instant, status: u16) -> Result<(), Refused> {
        self.turn(now, |call, core| call.refuse(core, now, status))?
    }

    /// Cancels what is under way: the call while it is not answered, else the re-INVITE in flight. True if there was one.
    ///
    /// # Errors
    /// When the call is gone.
    pub fn cancel(&mut self, now: Instant) -> Result<bool, Refused> {
        self.turn(now, |call, core| {
            if call.setup.is_some() {
                call.hang_up(core, now, Ended::HungUp);
                return true;
            }
            call.cancel_change(core, now)
        })
    }

    /// Cancels the re-INVITE in flight. True if there was one.
    ///
    /// # Errors
    /// When the call is gone.
    pub fn cancel_change(&mut self, now: Instant) -> Result<bool, Refused> {
        self.turn(now, |call, core| call.cancel_change(core, now))
    }

    /// Ends the call: CANCEL, a refusal or BYE, whichever its state asks for.
    ///
    /// # Errors
    /// When the call is gone.
    pub fn hang_up(&mut self, now: Instant) -> Result<(), Refused> {
        self.turn(now, |call, core| call.hang_up(core, now, Ended::HungUp))
    }

    /// Puts the call on hold.
    ///
    /// # Errors
    /// When the call is over.
    pub fn hold(&mut self, now: Instant) -> Result<Ticket, Refused> {
        self.modify(now, Modification::Hold(None), None)
    }

    /// Takes the call off hold.
    ///
    /// # Errors
    /// When the call is over.
    pub fn resume(&mut self, now: Instant) -> Result<Ticket, Refused> {
        self.modify(now, Modification::Resume(None), None)
    }

    /// Changes the session, by the method that rules and preference allow; `prefer` overrides the preference. The outcome is
    /// one event for the ticket.
    ///
    /// # Errors
    /// When the call is over.
    pub fn modify(
        &mut self,
        now: Instant,
        change: Modification,
        prefer: Option<Prefer>,
    ) -> Result<Ticket, Refused> {
        self.turn(now, |call, core| call.want(core, now, change, prefer, None))?
    }

    /// Changes the session with one branch of a call that we placed and that rings at several places, by UPDATE (RFC 3311
    /// §5.1). The others stay as they are; if another one answers, the wish is over. `tag` is the To tag of the branch.
    ///
    /// # Errors
    /// When the call is over or has no such early dialog.
    pub fn modify_branch(
        &mut self,
        now: Instant,
        tag: &str,
        change: Modification,
    ) -> Result<Ticket, Refused> {
        self.turn(now, |call, core| call.want_in_branch(core, now, tag, change))?
    }

    /// Refreshes the session timer now.
    ///
    /// # Errors
    /// When the call is over.
    pub fn refresh(&mut self, now: Instant) -> Result<Ticket, Refused> {
        self.modify(now, Modification::Refresh, None)
    }

    /// Tells the peer our present Contact, after `Endpoint::config_mut` gave us another address. `lost` says that nothing
    /// arrives at the old one any more: a re-INVITE under way is then cancelled and made anew (RFC 6141 §5.5).
    ///
    /// # Errors
    /// When the call is over.
    pub fn moved(&mut self, now: Instant, lost: bool) -> Result<Ticket, Refused> {
        self.turn(now, |call, core| call.moved(core, now, lost))?
    }

    /// Asks the peer to call this URI instead (blind transfer).
    ///
    /// # Errors
    /// When a rule forbids REFER now.
    pub fn transfer(&mut self, now: Instant, target: &str) -> Result<(), Refused> {
        self.turn(now, |call, core| call.refer(core, now, target, None))?
    }

    /// Asks the peer to take our place in another call of ours (attended transfer).
    ///
    /// # Errors
    /// When a rule forbids REFER now, or the other call has no confirmed dialog.
    pub fn transfer_to_call(&mut self, now: Instant, other: CallId) -> Result<(), Refused> {
        let dialog = self.endpoint.calls.get(&other).and_then(|call| call.dialog().cloned());
        let missing = Refused { rule: RuleId::ReplacesTags, because: Default::default() };
        let dialog = dialog.filter(|dialog| dialog.usage.confirmed()).ok_or(missing)?;
        let target = dialog.party.theirs.target.to_string();
        self.turn(now, |call, core| call.refer(core, now, &target, Some(&dialog)))?
    }

    /// The word on an offer that needed a person: the session with the new streams, or `None` to leave them out.
    ///
    /// # Errors
    /// When the call is gone.
    pub fn answer_offer(&mut self, now: Instant, session: Option<Wanted>) -> Result<bool, Refused> {
        self.turn(now, |call, core| call.answer_offer(core, now, session))
    }

    /// Accepts a REFER that waits for a decision.
    ///
    /// # Errors
    /// When the call is gone.
    pub fn accept_refer(&mut self, now: Instant, refer: u32) -> Result<(), Refused> {
        self.turn(now, |call, core| call.accept_refer(core, now, refer, None))
    }

    /// Declines a REFER that waits for a decision.
    ///
    /// # Errors
    /// When the call is gone.
    pub fn decline_refer(&mut self, now: Instant, refer: u32) -> Result<(), Refused> {
        self.turn(now, |call, core| call.decline_refer(core, now, refer))
    }

    /// Places the call that an accepted REFER asks for: [`Endpoint::place_referred`].
    pub fn place_referred(&mut self, now: Instant, refer: u32, invite: Invite) -> Option<CallId> {
        self.endpoint.place_referred(now, self.id, refer, invite)
    }
}

/// A call to look at.
#[derive(Clone, Copy)]
pub struct CallRef<'e> {
    call: &'e Call,
}

impl<'e> CallRef<'e> {
    pub(super) const fn new(call: &'e Call) -> Self {
        Self { call }
    }

    /// The Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &'e str {
        &self.call.call_id
    }

    /// Whether we placed it.
    #[must_use]
    pub const fn outgoing(&self) -> bool {
        self.call.outgoing
    }

    /// Whether its dialog is confirmed and it has not ended.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.call.is_up()
    }

    /// Whether it has ended.
    #[must_use]
    pub const fn ended(&self) -> bool {
        self.call.ended
    }

    /// The dialog that it goes on in, as we know it.
    #[must_use]
    pub fn dialog(&self) -> Option<&'e Dialog> {
        self.call.dialog()
    }

    /// Every dialog of it: several while a fork rings.
    pub fn dialogs(&self) -> impl Iterator<Item = &'e Dialog> {
        self.call.legs.iter().map(|leg| &leg.dialog)
    }

    /// The session in force.
    #[must_use]
    pub fn agreed(&self) -> Option<Agreed> {
        self.call.agreed()
    }

    /// The session as the application wants it and the peer has accepted.
    #[must_use]
    pub fn wanted(&self) -> Option<&'e Wanted> {
        self.call.wish.as_deref()
    }

    /// Whether no wish waits and no change is in flight.
    #[must_use]
    pub fn settled(&self) -> bool {
        self.call.wishes.idle()
    }

    /// Everything owed in its dialogs now.
    #[must_use]
    pub fn dues(&self, t1: std::time::Duration) -> Vec<Due> {
        self.dialogs().flat_map(|dialog| dialog.dues(t1).collect::<Vec<_>>()).collect()
    }
}
