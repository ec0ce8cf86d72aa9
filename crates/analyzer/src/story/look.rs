//! What a dialog looked like a message ago, and what has become another.

use std::time::Duration;

use midcall_proto::dialog::{Dialog, InviteState, Sided, Way};
use midcall_proto::event::What;
use midcall_proto::observer::Party;
use midcall_wire::sdp::Sdp;
use midcall_wire::{Message as Sip, Uri};

use super::streams::{Session, diff};
use super::{Told, reason};
use crate::model::Message;

/// A dialog as it was last looked at, from the caller's side.
#[derive(Default)]
pub(super) struct Look {
    usage: InviteState,
    exchanges: u32,
    session: Session,
    /// The messages with offers that were told.
    offers: Sided<u32>,
    /// The last description that each side gave.
    last: Sided<Option<Sdp>>,
    timer: Option<(Duration, Way)>,
    targets: Sided<Box<str>>,
    uris: Sided<Box<str>>,
    /// REFERs and the last status that was reported of each.
    transfers: Vec<(u32, Option<u16>)>,
}

impl Look {
    /// Tells what has become another with this message.
    pub(super) fn compare(&mut self, dialog: &Dialog, message: &Message, told: &mut Told<'_>) {
        self.usage(dialog, message, told);
        for way in [Way::Sent, Way::Received] {
            self.offer(dialog, way, message, told);
        }
        self.agreed(dialog, message, told);
        for way in [Way::Sent, Way::Received] {
            self.last.by_mut(way).clone_from(dialog.offers.last.by(way));
            self.party(dialog, way, message, told);
        }
        self.timer(dialog, message, told);
        self.transfers(dialog, message, told);
    }

    fn usage(&mut self, dialog: &Dialog, message: &Message, told: &mut Told<'_>) {
        let before = std::mem::replace(&mut self.usage, dialog.usage);
        let Some(sip) = Sip::parse(message.raw.as_slice()).ok().filter(|_| before != dialog.usage) else {
            return;
        };
        let who = told.who(message.by);
        let what = match (dialog.usage, sip.status()) {
            (InviteState::Early, Some(_)) => format!("{who}: {}", reason(&sip)),
            (InviteState::Moratorium, Some(_)) => format!("{who} answers"),
            (InviteState::Mortal, None) if !before.over() => format!("{who} hangs up"),
            _ => return,
        };
        told.tell(message, message.by, what);
    }

    /// An offer that changes something.
    fn offer(&mut self, dialog: &Dialog, way: Way, message: &Message, told: &mut Told<'_>) {
        let Some(offer) = dialog.offers.pending.by(way) else { return };
        if std::mem::replace(self.offers.by_mut(way), offer.on) == offer.on {
            return;
        }
        let (Some(new), Some(old)) = (&offer.sdp, self.last.by(way)) else { return };
        let agreed = dialog.offers.agreed.as_ref().map(|agreed| agreed.by(way));
        let what: Vec<&str> =
            What::between(agreed.unwrap_or(old), new).into_iter().map(What::as_str).collect();
        let lines = diff(old, new);
        if what.is_empty() && lines.is_empty() {
            return;
        }
        let by = party(way);
        let what = if what.is_empty() { "the session as it is".to_owned() } else { what.join(", ") };
        let line = format!("{} offers {what}", told.who(by));
        let message = told.message(offer.on).unwrap_or(message).clone();
        if let Some(moment) = told.tell(&message, by, line) {
            moment.diff = lines;
        }
    }

    /// An exchange was completed.
    fn agreed(&mut self, dialog: &Dialog, message: &Message, told: &mut Told<'_>) {
        let offers = &dialog.offers;
        if std::mem::replace(&mut self.exchanges, offers.exchanges) == offers.exchanges {
            return;
        }
        let (Some(agreed), Some(offerer)) = (&offers.agreed, offers.offerer) else { return };
        let names = Sided { ours: told.who(Party::Caller), theirs: told.who(Party::Callee) };
        let before = std::mem::replace(&mut self.session, Session::read(agreed, offerer));
        let by = party(offerer);
        let what = self.session.since(&before, by, &names);
        let answerer = offerer.reversed();
        let answer = told.message(*offers.last_on.by(answerer)).unwrap_or(message).clone();
        let lines = match (self.last.by(answerer), offers.last.by(answerer)) {
            (Some(old), Some(new)) => diff(old, new),
            _ => Vec::new(),
        };
        let streams = self.session.lines(&names);
        if let Some(moment) = told.tell(&answer, by, what) {
            moment.streams = streams;
            moment.diff = lines;
        }
    }

    /// Target and identity of a side.
    fn party(&mut self, dialog: &Dialog, way: Way, message: &Message, told: &mut Told<'_>) {
        let (party, by) = (dialog.party.by(way), party(way));
        let target = std::mem::replace(self.targets.by_mut(way), party.target.clone());
        if !target.is_empty() && target != party.target && dialog.usage.confirmed() {
            told.tell(message, by, format!("{} is now reached at {}", told.who(by), party.target));
        }
        let uri = std::mem::replace(self.uris.by_mut(way), party.uri.clone());
        if !uri.is_empty() && uri != party.uri {
            told.tell(message, by, format!("{} is now {}", told.who(by), party.uri));
        }
    }

    fn timer(&mut self, dialog: &Dialog, message: &Message, told: &mut Told<'_>) {
        let running = dialog.timer.running.as_ref();
        let now = running.map(|running| (running.interval, running.refresher));
        if std::mem::replace(&mut self.timer, now) == now {
            return;
        }
        let what = match now {
            Some((interval, refresher)) => {
                format!("session timer {} s, {} refreshes", interval.as_secs(), told.who(party(refresher)))
            }
            None => "session timer off".to_owned(),
        };
        let set = running.and_then(|running| told.message(running.set_by)).unwrap_or(message).clone();
        told.tell(&set, set.by, what);
    }

    fn transfers(&mut self, dialog: &Dialog, message: &Message, told: &mut Told<'_>) {
        for subscription in &dialog.subscriptions {
            let transferor = told.who(party(subscription.refer));
            let transferee = told.who(party(subscription.refer.reversed()));
            let refer = told.message(subscription.on).unwrap_or(message).clone();
            let known = self.transfers.iter_mut().find(|(on, _)| *on == subscription.on);
            match known {
                None => {
                    self.transfers.push((subscription.on, subscription.status));
                    let target = target(&refer).unwrap_or_else(|| "someone else".to_owned());
                    told.tell(&refer, refer.by, format!("{transferor} asks {transferee} to call {target}"));
                }
                Some((_, status)) if *status != subscription.status => {
                    *status = subscription.status;
                    let Some(status) = subscription.status else { continue };
                    let notify = subscription.notified_on.and_then(|on| told.message(on));
                    let notify = notify.unwrap_or(message).clone();
                    let target = target(&refer).unwrap_or_else(|| "the target".to_owned());
                    let what = match status {
                        100 => format!("{transferee} tries {target}"),
                        101..200 => format!("{target} says {status}"),
                        200..300 => format!("{transferee} has reached {target} ({status})"),
                        _ => format!("{transferee} has not reached {target} ({status})"),
                    };
                    told.tell(&notify, notify.by, what);
                }
                Some(_) => {}
            }
        }
    }
}

/// Whom a REFER names.
fn target(refer: &Message) -> Option<String> {
    let sip = Sip::parse(refer.raw.as_slice()).ok()?;
    let to = sip.refer_to()?.ok()?;
    let user = Uri::parse(to.uri).ok().and_then(|uri| uri.user).unwrap_or(to.uri);
    Some(user.to_owned())
}

const fn party(way: Way) -> Party {
    match way {
        Way::Sent => Party::Caller,
        Way::Received => Party::Callee,
    }
}
