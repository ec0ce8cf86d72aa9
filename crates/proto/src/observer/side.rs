//! One party's view of a dialog, with the doubt about what had reached it.
//!
//! A tap sees when a message passes, not when it arrives. So what passed towards a party waits in [`Side::flight`] until
//! something that the party sends proves that it had come, or until it must have come long ago. In between, the party may
//! know any beginning of what is in flight; only what is wrong in each of these worlds is certainly wrong.

use std::borrow::Cow;
use std::time::Duration;

use midcall_wire::Method;
use smallvec::SmallVec;

use crate::dialog::{Breach, Dialog, RSeq, Seen, Way};
use crate::time::Instant;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// RFC 3261 T1.
    pub(super) t1: Duration,
    /// How long a message that nobody resends may be on its way.
    pub(super) flight: Duration,
}

impl Patience {
    /// 64*T1: how long a transaction waits.
    pub(super) fn transaction(&self) -> Duration {
        self.t1 * 64
    }
}

/// A message on its way to a party.
#[derive(Clone, Debug)]
pub(super) struct Flying {
    seen: Seen<'static>,
    contact: Option<Box<str>>,
    from_uri: Option<Box<str>>,
    to_tag: Option<Box<str>>,
    /// The route set that it brings, if it forms or confirms the dialog.
    route: Option<Vec<Box<str>>>,
    /// When it, or something that says it has not come, was last seen.
    last: Instant,
    resent: bool,
}

impl Flying {
    fn new(seen: &Seen<'_>, route: Option<Vec<Box<str>>>) -> Self {
        Self {
            contact: seen.contact.map(Into::into),
            from_uri: seen.from_uri.map(Into::into),
            to_tag: seen.to_tag.map(Into::into),
            route,
            last: seen.at.time,
            resent: false,
            seen: detached(seen),
        }
    }

    fn seen(&self) -> Seen<'_> {
        Seen {
            contact: self.contact.as_deref(),
            from_uri: self.from_uri.as_deref(),
            to_tag: self.to_tag.as_deref(),
            ..self.seen.clone()
        }
    }

    fn apply(&self, dialog: &mut Dialog) {
        if let Some(route) = &self.route {
            dialog.route.clone_from(route);
        }
        dialog.apply(&self.seen());
    }

    /// When it must have come: never by time alone for a request, which only a response proves.
    fn arrived_at(&self, patience: &Patience) -> Option<Instant> {
        if self.seen.is_request() && self.seen.method != Method::Ack {
            return None;
        }
        // Once resends began they are up to T2 = 8*T1 apart.
        Some(self.last + if self.resent { patience.t1 * 9 } else { patience.flight })
    }
}

/// One party's view.
#[derive(Clone, Debug)]
pub(super) struct Side {
    /// What it certainly knows.
    pub(super) base: Dialog,
    /// What is on its way to it, in the order it passed.
    flight: Vec<Flying>,
}

impl Side {
    pub(super) const fn new(base: Dialog) -> Self {
        Self { base, flight: Vec::new() }
    }

    /// What it knows once everything has come.
    pub(super) fn ahead(&self) -> Cow<'_, Dialog> {
        if self.flight.is_empty() {
            return Cow::Borrowed(&self.base);
        }
        let mut dialog = self.base.clone();
        for flying in &self.flight {
            flying.apply(&mut dialog);
        }
        Cow::Owned(dialog)
    }

    /// What its message would break, and whether that is so whatever had come by then.
    pub(super) fn judge(&self, seen: &Seen<'_>) -> SmallVec<[(Breach, bool); 2]> {
        let mut worlds: SmallVec<[_; 4]> = SmallVec::new();
        worlds.push(self.base.judge(seen).breaches);
        if !self.flight.is_empty() {
            let mut world = self.base.clone();
            for flying in &self.flight {
                flying.apply(&mut world);
                worlds.push(world.judge(seen).breaches);
            }
        }
        let Some(ahead) = worlds.pop() else { return SmallVec::new() };
        let everywhere = |rule| worlds.iter().all(|world| world.iter().any(|breach| breach.rule == rule));
        ahead
            .into_iter()
            .map(|breach| (everywhere(breach.rule), breach))
            .map(|(sure, breach)| (breach, sure))
            .collect()
    }

    /// A message passed towards it. `seen` is as it receives it.
    pub(super) fn receive(&mut self, seen: &Seen<'_>, route: Option<Vec<Box<str>>>) {
        if seen.status == Some(100) {
            self.base.apply(seen); // changes nothing that could cross
            return;
        }
        if self.flight.len() >= MOST_FLYING {
            self.deliver(0);
        }
        self.flight.push(Flying::new(seen, route));
    }

    /// What it sent proves that these had come.
    fn prove(&mut self, came: impl Fn(&Seen<'_>) -> bool) {
        while let Some(index) = self.flight.iter().position(|flying| came(&flying.seen)) {
            self.deliver(index);
        }
    }

    /// Its message of these facts proves what it answers or acknowledges.
    pub(super) fn proven_by(&mut self, seen: &Seen<'_>) {
        let (cseq, method) = (seen.cseq, seen.method);
        match (seen.status, method) {
            // A 100 comes from the next hop, which need not be the party.
            (Some(100), _) if !self.base.route.is_empty() => {}
            (Some(_), _) => {
                self.prove(|came| came.is_request() && came.method == method && came.cseq == cseq);
            }
            (None, Method::Ack) => {
                // The provisional responses before it first, then the final one.
                self.prove(|came| {
                    came.status.is_some() && came.method == Method::Invite && came.cseq == cseq
                });
            }
            (None, Method::Prack) => {
                let named = |came: &Seen<'_>, rseq: RSeq, invite: u32| {
                    came.reliable() == Some(rseq) && came.cseq == invite
                };
                if let Some((rseq, invite, _)) = seen.rack {
                    self.prove(|came| named(came, rseq, invite));
                }
            }
            (None, Method::Notify) => self.prove(|came| came.is_request() && came.method == Method::Refer),
            _ => {}
        }
    }

    fn deliver(&mut self, index: usize) {
        if index >= self.flight.len() {
            return;
        }
        let flying = self.flight.remove(index);
        let overtook = index > 0 && flying.seen.is_request();
        let before = overtook.then(|| self.base.clone());
        flying.apply(&mut self.base);
        if let Some(before) = before {
            self.excuse_if_in_order(&flying, before, index);
        }
        if self.flight.is_empty() {
            self.flight = Vec::new();
        }
    }

    /// A request proved to have come while earlier messages are still on their way: it may have overtaken them or not. A
    /// refusal is owed for sure only if it is owed either way.
    fn excuse_if_in_order(&mut self, request: &Flying, mut world: Dialog, ahead: usize) {
        let n = request.seen.at.n;
        let Some(open) = self.base.open.iter_mut().find(|open| open.on == n && !open.owed.is_empty()) else {
            return;
        };
        for earlier in self.flight.iter().take(ahead) {
            earlier.apply(&mut world);
        }
        let owed = world.owed(&request.seen());
        open.owed.retain(|one| owed.iter().any(|other| other.rule == one.rule));
    }

    /// Something says that this message has not come yet: it, or what it answers, was sent again.
    pub(super) fn not_yet(&mut self, now: Instant, is_it: impl Fn(&Seen<'_>) -> bool) {
        for flying in self.flight.iter_mut().filter(|flying| is_it(&flying.seen)) {
            flying.last = now;
            flying.resent = true;
        }
    }

    /// Takes what must have come by now. Requests that nobody answered count as lost.
    pub(super) fn catch_up(&mut self, now: Instant, patience: &Patience) {
        if self.flight.is_empty() {
            return;
        }
        while let Some(index) =
            self.flight.iter().position(|flying| flying.arrived_at(patience).is_some_and(|at| at <= now))
        {
            self.deliver(index);
        }
        self.flight.retain(|flying| flying.last + patience.transaction() > now);
        if self.flight.is_empty() {
            self.flight = Vec::new();
        }
    }

    /// When [`catch_up`](Self::catch_up) has something to do.
    pub(super) fn next(&self, patience: &Patience) -> Option<Instant> {
        let due =
            |flying: &Flying| flying.arrived_at(patience).unwrap_or(flying.last + patience.transaction());
        self.flight.iter().map(due).min()
    }

    /// Its INVITE got a 2xx that the capture lacks.
    pub(super) fn missed_success(&mut self, invite: Way, cseq: u32) {
        self.prove(|came| came.is_request() && came.method == Method::Invite && came.cseq == cseq);
        if !self.base.usage.over() {
            self.base.ack_missed(invite, cseq);
            self.base.usage = crate::dialog::InviteState::Established;
        }
    }

    /// A request got no answer at all. One that was sent to it counts as lost.
    pub(super) fn timed_out(&mut self, way: Way, method: Method, cseq: u32) {
        if way == Way::Received {
            let lost = |came: &Seen<'_>| came.is_request() && came.method == method && came.cseq == cseq;
            self.flight.retain(|flying| !lost(&flying.seen));
        }
        self.base.timed_out(way, method, cseq);
    }
}

/// The facts without the texts that they borrow.
fn detached(seen: &Seen<'_>) -> Seen<'static> {
    Seen {
        way: seen.way,
        at: seen.at,
        method: seen.method,
        status: seen.status,
        cseq: seen.cseq,
        sdp: seen.sdp.clone(),
        has_sdp: seen.has_sdp,
        has_body: seen.has_body,
        require: seen.require,
        supported: seen.supported,
        allow: seen.allow,
        rseq: seen.rseq,
        rack: seen.rack,
        session_expires: seen.session_expires,
        min_se: seen.min_se,
        retry_after: seen.retry_after,
        contact: None,
        from_uri: None,
        from_tag: None,
        to_uri: None,
        to_tag: None,
        branch: None,
        uri: None,
        headers: seen.headers,
    }
}

/// The most messages that are in doubt at once; the oldest then counts as delivered.
const MOST_FLYING: usize = 16;
