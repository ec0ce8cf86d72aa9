//! Our own address moves in mid-call, also while a re-INVITE of ours is under way (RFC 6141 §4.4, §5.5).

use midcall_wire::Method;

use super::call::{Call, Refused, Spec};
use super::core::{Core, Purpose};
use super::modify::{Modification, Wanting};
use crate::dialog::{At, OptionTag, Way};
use crate::event::{Ended, Ticket};
use crate::rules::RuleId;
use crate::time::Instant;

impl Call {
    /// Tells the peer our present Contact. While a re-INVITE is under way an UPDATE tells it at once; if the old address is
    /// lost, no response to that re-INVITE can come, so it is cancelled and made anew.
    pub(super) fn moved(&mut self, core: &mut Core, now: Instant, lost: bool) -> Result<Ticket, Refused> {
        let inside = self.wishes.flight.as_ref().is_some_and(|flight| flight.method == Method::Invite);
        let ticket = self.want(core, now, Modification::Target, None, None)?;
        let Some(index) = self.main().filter(|_| inside) else { return Ok(ticket) };
        let at = At { n: u32::MAX, time: now };
        let free =
            self.legs.get(index).is_some_and(|leg| leg.dialog.blocked(Method::Update, false, at).is_none());
        if free {
            let mut spec = Spec::new(Method::Update);
            self.add_timer_headers(core, index, &mut spec);
            if self.send(core, now, index, spec, Purpose::Move { lost }).is_ok() {
                return Ok(ticket);
            }
        }
        if lost {
            self.start_anew(core, now, index);
        }
        Ok(ticket)
    }

    /// A peer that can neither answer reliably nor take UPDATE could not follow our move without a person's word on a new
    /// stream in the same request: the move is told apart, before it (RFC 6141 §4.4; DLG-21). True if it was put in front.
    pub(super) fn move_comes_first(&mut self, core: &Core, index: usize, count: usize) -> bool {
        let Some(leg) = self.legs.get(index).filter(|leg| leg.dialog.usage.confirmed()) else { return false };
        let dialog = &leg.dialog;
        let asks = |asked: &Wanting| matches!(asked.modification, Modification::Add(_));
        let contact = core.contact(&leg.flow, dialog.secure);
        let known = &*dialog.party.ours.target;
        let moved = !known.is_empty() && contact.get(1..contact.len() - 1) != Some(known);
        let can = &dialog.party.theirs.can;
        let follows = can.supported.has(OptionTag::Rel100) || can.takes(Method::Update);
        let refused = dialog.party.ours.refused.is_some();
        if !moved || follows || refused || !self.wishes.queue.iter().take(count).any(asks) {
            return false;
        }
        self.wishes.queue.insert(0, Wanting::quiet(Modification::Target, None));
        true
    }

    /// The UPDATE that told our new Contact was answered, or never will be (408 and 503).
    pub(super) fn move_answered(
        &mut self,
        core: &mut Core,
        now: Instant,
        index: usize,
        status: u16,
        lost: bool,
    ) {
        match status {
            200..=299 => self.fulfil_target(core, (Method::Update, RuleId::TargetMovedByResponse)),
            408 | 481 => {
                self.hang_up(core, now, if status == 408 { Ended::Timeout } else { Ended::Lost { status } });
                return;
            }
            _ => {}
        }
        if lost {
            self.start_anew(core, now, index);
        } else {
            self.kick(core, now);
        }
    }

    /// Gives up the re-INVITE under way, whose responses go to an address that is lost, and makes it anew a little later:
    /// the peer takes it once it has answered the CANCEL (RFC 6141 §5.5).
    fn start_anew(&mut self, core: &mut Core, now: Instant, index: usize) {
        let Some(flight) = self.wishes.flight.take_if(|flight| flight.method == Method::Invite) else {
            return;
        };
        if let Some(client) = flight.client.filter(|_| flight.provisional) {
            super::uac::cancel(core, now, self.id, flight.leg, client, true);
        }
        if let Some(leg) = self.legs.get_mut(index) {
            leg.dialog.timed_out(Way::Sent, Method::Invite, flight.cseq);
        }
        self.wishes.setbacks_mut().by_invite = true;
        self.wishes.setbacks_mut().not_before = Some(now + core.config.t1);
        self.wishes.setbacks_mut().held_by = Some(RuleId::TargetMovedInsideReInvite);
        self.want_quietly(core, now, Modification::Repeat);
    }
}
