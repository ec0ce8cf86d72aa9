//! The turns that dialogs took, in words.

use midcall_proto::dialog::{InviteState, Sided, Way};
use midcall_proto::event;
use midcall_proto::observer::Party;
use midcall_wire::Uri;
use midcall_wire::sdp::Sdp;

use super::log::{Said, Turn, What};
use super::streams::{Session, diff};
use super::{Told, reason};
use crate::model::{Diff, Message};

/// What is in force in each dialog.
pub(super) type Sessions = Vec<Session>;

impl Told<'_, '_> {
    /// Tells what has become another with this message.
    pub(super) fn turn(&mut self, sessions: &mut Sessions, turn: Turn, message: &Message) {
        let Turn { dialog, what, .. } = turn;
        let dialog = usize::from(dialog);
        let at =
            |told: &Self, n: u32| told.numbers.of(n).and_then(|n| told.call.message(n)).unwrap_or(message);
        match what {
            What::Usage(before, now) => self.usage(before, now, message),
            What::Offer { by, on, new, last, agreed } => {
                let message = at(self, on);
                let agreed = agreed.and_then(|agreed| self.description(agreed));
                let (Some(new), Some(last)) = (self.description(new), self.description(last)) else { return };
                self.offer(by, message, &new, &last, agreed.as_ref());
            }
            What::Agreed { offerer, on, agreed, last, new } => {
                if sessions.len() <= dialog {
                    sessions.resize_with(dialog + 1, Session::default);
                }
                let answer = at(self, on);
                let read = |said: Option<Said>| said.and_then(|said| self.description(said));
                let (last, new) = (read(last), read(new));
                let (Some(ours), Some(theirs)) = (read(Some(agreed.ours)), read(Some(agreed.theirs))) else {
                    return;
                };
                let agreed = Sided { ours, theirs };
                let lines = match (last, new) {
                    (Some(last), Some(new)) => diff(&last, &new),
                    _ => Diff::default(),
                };
                let Some(session) = sessions.get_mut(dialog) else { return };
                let names = Sided { ours: self.who(Party::Caller), theirs: self.who(Party::Callee) };
                let by = party(offerer);
                let before = std::mem::replace(session, Session::read(&agreed, offerer));
                let what = session.since(&before, by, &names);
                let streams = session.lines(&names);
                if let Some(moment) = self.tell(answer, by, what) {
                    moment.streams = streams;
                    moment.diff = lines;
                }
            }
            What::Target(way, target) => {
                self.tell(
                    message,
                    party(way),
                    format!("{} is now reached at {target}", self.who(party(way))),
                );
            }
            What::Identity(way, uri) => {
                self.tell(message, party(way), format!("{} is now {uri}", self.who(party(way))));
            }
            What::Timer { running, set_by } => {
                let what = match running {
                    Some((interval, refresher)) => {
                        let who = self.who(party(refresher));
                        format!("session timer {} s, {who} refreshes", interval.as_secs())
                    }
                    None => "session timer off".to_owned(),
                };
                let set = set_by.map_or(message, |n| at(self, n));
                self.tell(set, set.by, what);
            }
            What::Refer { by, on } => {
                let (transferor, transferee) = self.transfer(by);
                let refer = at(self, on);
                let target = self.target(refer).unwrap_or_else(|| "someone else".to_owned());
                self.tell(refer, refer.by, format!("{transferor} asks {transferee} to call {target}"));
            }
            What::Report { by, on, status, notified_on } => {
                let (_, transferee) = self.transfer(by);
                let target = self.target(at(self, on)).unwrap_or_else(|| "the target".to_owned());
                let notify = notified_on.map_or(message, |n| at(self, n));
                let what = match status {
                    100 => format!("{transferee} tries {target}"),
                    101..200 => format!("{target} says {status}"),
                    200..300 => format!("{transferee} has reached {target} ({status})"),
                    _ => format!("{transferee} has not reached {target} ({status})"),
                };
                self.tell(notify, notify.by, what);
            }
        }
    }

    /// A description that was noted.
    fn description(&self, said: Said) -> Option<Sdp> {
        match said {
            Said::In(n) => self.papers.sdp(self.numbers.of(n)?).cloned(),
            Said::Alone(index) => self.alone.get(usize::try_from(index).ok()?).cloned(),
        }
    }

    fn usage(&mut self, before: InviteState, now: InviteState, message: &Message) {
        if !matches!(now, InviteState::Early | InviteState::Moratorium | InviteState::Mortal) {
            return;
        }
        let Some(sip) = self.papers.get(message.n) else { return };
        let who = self.who(message.by);
        let what = match (now, sip.status()) {
            (InviteState::Early, Some(_)) => format!("{who}: {}", reason(sip)),
            (InviteState::Moratorium, Some(_)) => format!("{who} answers"),
            (InviteState::Mortal, None) if !before.over() => format!("{who} hangs up"),
            _ => return,
        };
        self.tell(message, message.by, what);
    }

    /// An offer that changes something.
    fn offer(&mut self, by: Way, message: &Message, new: &Sdp, last: &Sdp, agreed: Option<&Sdp>) {
        let what: Vec<&str> =
            event::What::between(agreed.unwrap_or(last), new).into_iter().map(event::What::as_str).collect();
        let lines = diff(last, new);
        if what.is_empty() && lines.is_empty() {
            return;
        }
        let by = party(by);
        let what = if what.is_empty() { "the session as it is".to_owned() } else { what.join(", ") };
        let line = format!("{} offers {what}", self.who(by));
        if let Some(moment) = self.tell(message, by, line) {
            moment.diff = lines;
        }
    }

    /// Who asks for a transfer, and who is to call somebody else.
    fn transfer(&self, by: Way) -> (String, String) {
        (self.who(party(by)), self.who(party(by.reversed())))
    }

    /// Whom a REFER names.
    fn target(&self, refer: &Message) -> Option<String> {
        let to = self.papers.get(refer.n)?.refer_to()?.ok()?;
        let user = Uri::parse(to.uri).ok().and_then(|uri| uri.user).unwrap_or(to.uri);
        Some(user.to_owned())
    }
}

const fn party(way: Way) -> Party {
    match way {
        Way::Sent => Party::Caller,
        Way::Received => Party::Callee,
    }
}
