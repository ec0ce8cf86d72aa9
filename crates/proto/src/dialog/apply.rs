//! Recording what happened, however wrong. Every way of a message, request or response, goes through [`Dialog::apply`].

use std::sync::Arc;

use midcall_wire::{Message, Method};
use smallvec::SmallVec;

use super::capability::{MethodSet, OptionTag};
use super::offers::{Outcome, SdpRole};
use super::open::{Open, Phase, Unacknowledged};
use super::seen::{At, Seen, Way};
use super::subscription::{Subscription, SubscriptionEvent, SubscriptionState};
use super::usage::InviteEvent;
use super::{Dialog, InviteState, MOST_OPEN, MOST_SUBSCRIPTIONS, Party, Refusal, Stale, StaleTarget};
use crate::rules::methods::{MODIFY_SESSION, REFRESHED_BY_SUCCESS};

/// Something that a message changed in a dialog.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Noted {
    /// The INVITE usage moved.
    Usage(InviteState),
    /// Offer/answer moved.
    Exchange(Outcome),
    /// The target of this side is new: messages to it go elsewhere now.
    Target(Way),
    /// The URI of this side is new (RFC 4916).
    Identity(Way),
    /// A 2xx set, moved or ended the session timer.
    Timer {
        /// Whether one runs now.
        running: bool,
        /// The way of the request that refreshed.
        by: Way,
        /// Whether the other side became the refresher while that request was on its way: then each may think that it is.
        crossed: bool,
    },
    /// A reliable provisional response was acknowledged.
    Acknowledged,
    /// The peer of this way refused the method itself with 405 or 501.
    Lacks(Way, Method),
    /// A NOTIFY brought news of a REFER: its CSeq, the status, and whether it is the last.
    Notified {
        /// The CSeq of the REFER.
        refer: u32,
        /// The status of its sipfrag.
        status: Option<u16>,
        /// Whether the subscription ended.
        done: bool,
    },
}

/// What a message changed.
pub type Applied = SmallVec<[Noted; 4]>;

impl Dialog {
    /// Records a message: [`apply`](Self::apply) on its facts.
    pub fn apply_message<B: AsRef<[u8]>>(&mut self, way: Way, at: At, message: &Message<B>) -> Applied {
        let seen = Seen::read(way, at, message);
        self.apply(&seen)
    }

    /// Records what happened. Total: whatever the message is, afterwards the dialog says what this party knows.
    pub fn apply(&mut self, seen: &Seen<'_>) -> Applied {
        let mut noted = Applied::new();
        match (seen.status, seen.method) {
            (None, Method::Ack) => self.apply_ack(seen, &mut noted),
            (None, Method::Cancel) => {
                if let Some(open) = self.find_open_mut(seen.way, Method::Invite, seen.cseq) {
                    open.cancelled = Some(seen.at.n);
                }
            }
            (None, _) => self.apply_request(seen, &mut noted),
            (Some(_), Method::Cancel) => {}
            (Some(100..=199), _) => self.apply_provisional(seen, &mut noted),
            (Some(200..=299), _) => self.apply_success(seen, &mut noted),
            (Some(_), _) => self.apply_failure(seen, &mut noted),
        }
        noted
    }

    /// Follows the peer to the Contact of a request that we have not answered yet, because a request of ours goes there now
    /// (RFC 6141 §4.6).
    pub fn adopt_target(&mut self, method: Method, cseq: u32) {
        let target = self.find_open_mut(Way::Received, method, cseq).and_then(|open| open.target.take());
        if let Some(target) = target {
            self.set_target(Way::Received, &target, &mut Applied::new());
        }
    }

    /// The BYE transaction is over: the dialog lives on only for its subscriptions.
    pub fn bye_ended(&mut self) {
        self.step(InviteEvent::bye_ended, &mut Applied::new());
    }

    /// A request of this side got no response at all: what it had on offer is gone (RFC 3264 §4).
    pub fn timed_out(&mut self, way: Way, method: Method, cseq: u32) -> Applied {
        let mut noted = Applied::new();
        if let Some(open) = self.close(way, method, cseq) {
            moved(&mut noted, self.offers.withdraw(way, method, cseq));
            if open.forms {
                self.step(InviteEvent::failure, &mut noted);
            }
            if method == Method::Bye {
                self.step(InviteEvent::bye_ended, &mut noted);
            }
        }
        noted
    }

    /// An INVITE whose 2xx was never acknowledged is over; the dialog counts as confirmed (RFC 3261 §13.3.1.4).
    pub fn ack_missed(&mut self, way: Way, cseq: u32) {
        let mut noted = Applied::new();
        self.close(way, Method::Invite, cseq);
        self.offers.withdraw(way, Method::Invite, cseq);
        self.step(InviteEvent::ack, &mut noted);
    }

    /// Who sends a new INVITE after its CANCEL does not wait for the 487 any more (RFC 6141 §5.5).
    fn give_up_cancelled(&mut self, noted: &mut Applied) {
        let cancelled =
            |open: &&Open| open.way == Way::Sent && open.invite_in_progress() && open.cancelled.is_some();
        if let Some(cseq) = self.open.iter().find(cancelled).map(|open| open.cseq) {
            noted.extend(self.timed_out(Way::Sent, Method::Invite, cseq));
        }
    }

    fn step(&mut self, event: InviteEvent, noted: &mut Applied) {
        if let Some(next) = self.usage.next(event)
            && next != self.usage
        {
            self.usage = next;
            noted.push(Noted::Usage(next));
        }
    }

    fn apply_request(&mut self, seen: &Seen<'_>, noted: &mut Applied) {
        let owed = self.owed(seen);
        let other = |told: Option<&str>, party: &Party| {
            told.is_some_and(|told| !told.is_empty() && told != &*party.tag)
        };
        let misnamed = other(seen.from_tag, self.party.by(seen.way))
            || other(seen.to_tag, self.party.by(seen.way.reversed()));
        self.note_followed(seen);
        let sender = self.party.by_mut(seen.way);
        // A receiver refuses what comes with an old number, also a BYE (RFC 3261 §12.2.2).
        let old = seen.way == Way::Received && sender.cseq.is_some_and(|last| seen.cseq < last);
        sender.cseq = Some(sender.cseq.map_or(seen.cseq, |last| last.max(seen.cseq)));
        sender.can.learn(seen);
        let identity = seen.from_uri.filter(|uri| **uri != *sender.uri).map(Into::into);
        if seen.method == Method::Invite && seen.way == Way::Sent {
            self.give_up_cancelled(noted);
        }
        let proposes = |open: &&mut Open| open.way != seen.way && open.target.as_deref() == seen.uri;
        if seen.uri.is_some()
            && let Some(target) = self.open.iter_mut().find(proposes).and_then(|open| open.target.take())
        {
            // DLG-17: who sends to the new target has adopted it.
            self.set_target(seen.way.reversed(), &target, noted);
        }
        let forms =
            seen.method == Method::Invite && self.usage == InviteState::Preparative && self.open.is_empty();
        if MODIFY_SESSION.has(seen.method) && !forms {
            self.timer.saw_min_se(seen);
        }
        let role = self.role_of_sdp(seen);
        let offered = matches!(role, SdpRole::Offer(_));
        if seen.has_sdp {
            moved(noted, self.offers.record(seen, role, seen.way));
        }
        match seen.method {
            Method::Prack => self.acknowledge(seen, noted),
            Method::Bye if !old => {
                self.party.by_mut(seen.way).bye.get_or_insert(seen.at.n);
                self.step(InviteEvent::bye, noted);
            }
            Method::Refer => self.subscribe(seen),
            Method::Notify => self.notify(seen, noted),
            Method::Subscribe if seen.headers.event_refer => {
                let own = self.subscriptions.iter_mut().filter(|s| s.refer == seen.way);
                own.for_each(|subscription| subscription.renewed = true);
            }
            _ => {}
        }
        if self.open.len() >= MOST_OPEN {
            // Rather one that changes nothing: what offers has to be closed when its answer comes.
            let idle = |open: &Open| !open.offered && open.method != Method::Invite;
            self.open.remove(self.open.iter().position(idle).unwrap_or_default());
            self.forgotten = self.forgotten.saturating_add(1);
        }
        self.open.reserve_exact(1); // there is seldom a second, and each is large
        self.open.push(Open {
            way: seen.way,
            method: seen.method,
            cseq: seen.cseq,
            on: seen.at.n,
            since: seen.at.time,
            phase: Phase::Trying,
            offered,
            exchanged: false,
            accepted: None,
            provisional: None,
            rseq: None,
            rseq_on: 0,
            unacknowledged: None,
            acknowledging: None,
            cancelled: None,
            target: seen.contact.filter(|_| seen.refreshes_target() && !forms).map(Into::into),
            followed: false,
            replaced: None,
            identity,
            executed: false,
            supported: seen.supported,
            require: seen.require,
            session_expires: seen.session_expires,
            min_se: seen.min_se,
            refer_sub: !seen.headers.refer_sub_false,
            owed,
            credentials: seen.headers.credentials,
            misnamed,
            record_routes: seen.headers.record_routes,
            forms,
            rack: seen.rack.map(|(rseq, invite, _)| (rseq, invite)),
        });
    }

    /// PRACK: the reliable response that it names is acknowledged (RFC 3262 §3).
    fn acknowledge(&mut self, seen: &Seen<'_>, noted: &mut Applied) {
        let Some((rseq, invite, Method::Invite)) = seen.rack else { return };
        self.unpracked.take_if(|late| *late == (rseq, invite));
        let answered = !self.offers.open();
        if let Some(open) = self.find_open_mut(seen.way, Method::Invite, invite) {
            if let Some(response) = open.unacknowledged.take_if(|response| response.rseq == rseq) {
                let described = response.with_sdp || seen.has_sdp;
                open.acknowledging = described.then_some((seen.cseq, seen.at.n));
                noted.push(Noted::Acknowledged);
            }
            if answered && open.exchanged && !open.forms {
                open.executed = true;
            }
        }
    }

    fn subscribe(&mut self, seen: &Seen<'_>) {
        if self.subscriptions.len() >= MOST_SUBSCRIPTIONS {
            self.subscriptions.remove(0);
            self.forgotten = self.forgotten.saturating_add(1);
        }
        // One that was refused, as by a challenge, may not count for the peer.
        let refused = |s: &Subscription| !s.live() && s.accepted.is_none() && s.notified_on.is_none();
        let first = !self.subscriptions.iter().any(|s| s.refer == seen.way && !refused(s));
        self.subscriptions.push(Subscription {
            refer: seen.way,
            cseq: seen.cseq,
            on: seen.at.n,
            first,
            state: SubscriptionState::default(),
            accepted: None,
            expires: None,
            status: None,
            notified_on: None,
            notified_at: None,
            renewed: false,
        });
    }

    fn notify(&mut self, seen: &Seen<'_>, noted: &mut Applied) {
        if !seen.headers.event_refer {
            return;
        }
        let Some(subscription) = self.notified(seen) else { return };
        let done = seen.headers.subscription_state == 2;
        let live = subscription.live();
        subscription.step(if done { SubscriptionEvent::terminated } else { SubscriptionEvent::notified });
        if live {
            subscription.notified_on = Some(seen.at.n);
            subscription.notified_at = Some(seen.at.time);
        }
        if let Some(seconds) = seen.headers.subscription_expires {
            subscription.expires = Some(seen.at.time + std::time::Duration::from_secs(u64::from(seconds)));
        }
        let status = seen.headers.sipfrag.flatten();
        subscription.status = status.or(subscription.status);
        noted.push(Noted::Notified { refer: subscription.cseq, status, done });
    }

    /// The subscription that a NOTIFY is about: by its id. Without one it is about the first, or, where that is over, about
    /// whichever still waits (RF-07).
    fn notified(&mut self, seen: &Seen<'_>) -> Option<&mut Subscription> {
        let bare = seen.headers.event_id.is_none();
        let about = |s: &Subscription| s.takes(seen) && (s.live() || !bare);
        let waits = |s: &Subscription| bare && s.refer == seen.way.reversed() && s.live();
        let all = &self.subscriptions;
        let at = all.iter().rposition(about).or_else(|| all.iter().position(waits));
        let at = at.or_else(|| all.iter().rposition(|s| s.takes(seen)))?;
        self.subscriptions.get_mut(at)
    }

    fn apply_ack(&mut self, seen: &Seen<'_>, noted: &mut Applied) {
        let Some(open) = self.find_open(seen.way, Method::Invite, seen.cseq) else { return };
        if open.phase != Phase::Accepted {
            return; // the ACK of a non-2xx belongs to its transaction
        }
        let forms = open.forms;
        let role = self.role_of_sdp(seen);
        if seen.has_sdp {
            moved(noted, self.offers.record(seen, role, seen.way));
        }
        // An offer in the 2xx that the ACK left unanswered is over: nothing can answer it any more.
        moved(noted, self.offers.withdraw(seen.way, Method::Invite, seen.cseq));
        self.close(seen.way, Method::Invite, seen.cseq);
        if forms {
            self.step(InviteEvent::ack, noted);
        }
    }

    fn apply_provisional(&mut self, seen: &Seen<'_>, noted: &mut Applied) {
        let role = self.role_of_sdp(seen);
        let request = seen.way.reversed();
        self.party.by_mut(seen.way).can.learn(seen);
        let reliable = seen.reliable();
        let Some(open) = self.find_open_mut(request, seen.method, seen.cseq) else { return };
        open.phase = if open.phase == Phase::Trying { Phase::Proceeding } else { open.phase };
        open.provisional.get_or_insert(seen.at.n);
        if matches!(role, SdpRole::Offer(_) | SdpRole::Answer) {
            open.exchanged = true;
        }
        if role == SdpRole::Answer && !open.forms {
            open.executed = true;
        }
        let forms = open.forms;
        if let Some(rseq) = reliable
            && open.rseq.is_none_or(|last| rseq > last)
        {
            open.rseq = Some(rseq);
            open.rseq_on = seen.at.n;
            open.unacknowledged =
                Some(Unacknowledged { rseq, on: seen.at.n, with_sdp: seen.has_sdp, since: seen.at.time });
        }
        let adopted = if reliable.is_some() { open.target.take() } else { None };
        if seen.has_sdp {
            moved(noted, self.offers.record(seen, role, request));
        }
        if let Some(target) = adopted {
            let before = self.set_target(request, &target, noted);
            if let Some(open) = self.find_open_mut(request, seen.method, seen.cseq) {
                open.replaced = before;
            }
        }
        let first = forms && self.usage == InviteState::Preparative;
        if let Some(contact) = seen.contact.filter(|_| seen.status != Some(100)) {
            if first || reliable.is_some() {
                self.set_target(seen.way, contact, noted);
            } else {
                self.leave_stale(seen.way, contact, Stale::Unreliable, seen.at.n);
            }
        }
        if forms && seen.status != Some(100) && seen.to_tag.is_some() {
            self.step(InviteEvent::tagged_provisional, noted);
        }
    }

    fn apply_success(&mut self, seen: &Seen<'_>, noted: &mut Applied) {
        let role = self.role_of_sdp(seen);
        let request = seen.way.reversed();
        let invite = seen.method == Method::Invite;
        self.party.by_mut(seen.way).can.learn(seen);
        let Some(open) = self.find_open_mut(request, seen.method, seen.cseq) else { return };
        if open.accepted.is_some() {
            return; // a resent 2xx
        }
        let mut unpracked = None;
        open.accepted = Some((seen.at.n, seen.at.time));
        if invite {
            open.phase = Phase::Accepted;
            unpracked = open.unacknowledged.take().map(|response| (response.rseq, seen.cseq));
        }
        if role == SdpRole::Answer || matches!(role, SdpRole::Offer(_)) {
            open.exchanged = true;
        }
        let (forms, target, identity) = (open.forms, open.target.take(), open.identity.take());
        let rack = open.rack;
        let exchanged = open.exchanged;
        let asked = open.on;
        let chosen = open.session_expires.and_then(|(_, refresher)| refresher).map(|_| asked);
        let subscribes_elsewhere =
            open.require.has(OptionTag::NoSub) || open.require.has(OptionTag::ExplicitSub);
        self.unpracked = unpracked.or(self.unpracked);
        self.party.by_mut(request).answered = self
            .party
            .by(request)
            .answered
            .filter(|(cseq, _)| *cseq > seen.cseq)
            .or(Some((seen.cseq, seen.at.n)));
        if seen.has_sdp {
            moved(noted, self.offers.record(seen, role, request));
        }
        if !exchanged {
            // The request made an offer and its 2xx brings no answer: nothing can any more.
            let previewed = self.offers.take_preview(request, seen.method, seen.cseq);
            let gone = || self.offers.withdraw(request, seen.method, seen.cseq);
            moved(noted, previewed.or_else(gone));
        }
        if let Some(target) = target {
            self.set_target(request, &target, noted);
        }
        let refreshes = REFRESHED_BY_SUCCESS.has(seen.method);
        if let Some(contact) = seen.contact.filter(|_| refreshes) {
            let before = self.set_target(seen.way, contact, noted);
            if let Some(before) = before.filter(|_| forms) {
                self.leave_stale(seen.way, &before, Stale::Early, seen.at.n);
            }
        }
        if let Some(identity) = identity.filter(|_| MODIFY_SESSION.has(seen.method) && !forms) {
            self.party.by_mut(request).uri = identity;
            noted.push(Noted::Identity(request));
        }
        if MODIFY_SESSION.has(seen.method) {
            let before = self.timer.running;
            self.timer.success(seen, request, chosen);
            if before.is_some() || self.timer.running.is_some() {
                let crossed = before
                    .zip(self.timer.running)
                    .is_some_and(|(before, now)| before.refresher != now.refresher && asked < before.set_by);
                noted.push(Noted::Timer { running: self.timer.running.is_some(), by: request, crossed });
            }
            self.party.by_mut(request).refused = None;
        }
        if forms {
            self.step(InviteEvent::success, noted);
        }
        match seen.method {
            Method::Prack => {
                if let Some((_, invite_cseq)) = rack
                    && let Some(open) = self.find_open_mut(request, Method::Invite, invite_cseq)
                    && open.acknowledging.is_some_and(|(cseq, _)| cseq == seen.cseq)
                {
                    open.acknowledging = None;
                }
            }
            Method::Refer => {
                // RFC 4488 §4 and RFC 7614 §5: granted, or never to be made.
                let granted = seen.headers.refer_sub_false || subscribes_elsewhere;
                if let Some(s) =
                    self.subscriptions.iter_mut().find(|s| s.refer == request && s.cseq == seen.cseq)
                {
                    s.accepted = Some((seen.at.n, seen.at.time));
                    s.step(if granted { SubscriptionEvent::terminated } else { SubscriptionEvent::accepted });
                }
            }
            Method::Bye => {
                self.party.by_mut(request).bye.get_or_insert(seen.at.n);
                self.step(InviteEvent::bye, noted);
                self.step(InviteEvent::bye_ended, noted);
            }
            _ => {}
        }
        if !invite {
            self.close(request, seen.method, seen.cseq);
        }
    }

    fn apply_failure(&mut self, seen: &Seen<'_>, noted: &mut Applied) {
        let request = seen.way.reversed();
        self.party.by_mut(seen.way).can.learn(seen);
        let Some(open) = self.find_open(request, seen.method, seen.cseq) else { return };
        if open.accepted.is_some() {
            return; // a failure after a 2xx is stray
        }
        let (forms, rack) = (open.forms, open.rack);
        self.unpracked = open.unacknowledged.map(|response| (response.rseq, seen.cseq)).or(self.unpracked);
        if let Some(open) = self.close(request, seen.method, seen.cseq) {
            self.note_refused(seen, &open);
        }
        moved(noted, self.offers.withdraw(request, seen.method, seen.cseq));
        if MODIFY_SESSION.has(seen.method) {
            let asker = self.party.by_mut(request);
            let before = asker.refused.as_ref().map_or(0, |refusal| refusal.glare);
            let refusal = seen.status.map(|status| Refusal {
                status,
                on: seen.at.n,
                time: seen.at.time,
                retry_after: seen.retry_after,
                min_se: seen.min_se,
                method: seen.method,
                glare: if status == 491 { before.saturating_add(1) } else { 0 },
            });
            asker.refused = refusal.map(Box::new);
        }
        // An offer of a reliable response, or of a PRACK, dies with its INVITE.
        match (seen.status, seen.method) {
            (Some(405 | 501), method) => {
                self.party.by_mut(seen.way).can.refused.add(MethodSet::of(&[method]));
                noted.push(Noted::Lacks(seen.way, method));
            }
            (Some(422), _) if !forms => self.timer.saw_min_se(seen),
            _ => {}
        }
        match seen.method {
            Method::Invite if forms => self.step(InviteEvent::failure, noted),
            Method::Bye if !matches!(seen.status, Some(401 | 407)) => {
                self.step(InviteEvent::bye_ended, noted);
            }
            Method::Refer => {
                if let Some(s) =
                    self.subscriptions.iter_mut().find(|s| s.refer == request && s.cseq == seen.cseq)
                {
                    s.step(SubscriptionEvent::refused);
                }
            }
            Method::Prack => {
                if let Some((_, invite_cseq)) = rack
                    && let Some(open) = self.find_open_mut(request, Method::Invite, invite_cseq)
                {
                    open.acknowledging = None;
                }
            }
            _ => {}
        }
    }

    /// Sets where requests to this side go; gives the target before, if that was another.
    fn set_target(&mut self, side: Way, target: &str, noted: &mut Applied) -> Option<Arc<str>> {
        let party = self.party.by_mut(side);
        if *party.target == *target {
            return None;
        }
        party.stale = None;
        let before = std::mem::replace(&mut party.target, target.into());
        if before.is_empty() {
            return None;
        }
        noted.push(Noted::Target(side));
        Some(before)
    }

    /// Remembers a Contact of this side that is not its target.
    fn leave_stale(&mut self, side: Way, uri: &str, why: Stale, on: u32) {
        let party = self.party.by_mut(side);
        if *party.target != *uri {
            party.stale = Some(Box::new(StaleTarget { uri: uri.into(), why, on }));
        }
    }

    /// A request to a Contact that is still only proposed takes it (RFC 6141 §4.6).
    fn note_followed(&mut self, seen: &Seen<'_>) {
        let proposing = self.open.iter_mut().filter(|open| open.way != seen.way);
        for open in proposing.filter(|open| open.target.is_some() && open.target.as_deref() == seen.uri) {
            open.followed = true;
        }
    }

    /// What a refusal says of the request's Contact and credentials.
    fn note_refused(&mut self, seen: &Seen<'_>, open: &Open) {
        if let Some(before) = &open.replaced {
            self.leave_stale(open.way, before, Stale::Replaced, seen.at.n);
        } else if let Some(target) = open.target.as_deref().filter(|_| !open.followed) {
            self.leave_stale(open.way, target, Stale::Refused, seen.at.n);
        }
        if matches!(seen.status, Some(401 | 407)) && open.credentials != 0 {
            self.party.by_mut(open.way).challenged = Some(Box::new((open.credentials, seen.at.n)));
        }
    }
}

/// Notes what became of an exchange, if something did.
fn moved(noted: &mut Applied, outcome: Option<Outcome>) {
    if let Some(outcome) = outcome {
        noted.push(Noted::Exchange(outcome));
    }
}

impl super::Capabilities {
    /// Any message adds to what its sender can do; an INVITE or its 2xx says it anew (DLG-31).
    fn learn(&mut self, seen: &Seen<'_>) {
        if seen.method == Method::Invite && (seen.is_request() || seen.is_success()) {
            self.replace(seen);
            return;
        }
        if let Some(allow) = seen.allow {
            self.allow.get_or_insert_default().add(allow);
        }
        // These may come from a proxy, which tells of itself.
        if !matches!(seen.status, Some(407 | 408 | 420..=423 | 483 | 500..)) {
            self.supported.add(seen.supported);
        }
    }

    /// What is left out altogether stays unknown or as it was.
    fn replace(&mut self, seen: &Seen<'_>) {
        if let Some(allow) = seen.allow {
            self.allow = Some(allow);
        }
        if !seen.supported.is_empty() {
            self.supported = seen.supported;
        }
    }
}
