//! One party's view of a dialog, with the doubt about what had reached it.
//!
//! A tap sees when a message passes, not when it arrives. So what passed towards a party waits in [`Side::flight`] until
//! something that the party sends proves that it had come, or until it must have come long ago. In between, the party may
//! know any beginning of what is in flight; only what is wrong in each of these worlds is certainly wrong.

use std::borrow::Cow;
use std::time::Duration;

use midcall_wire::Method;
use smallvec::SmallVec;

use crate::dialog::{Applied, Breach, Dialog, InviteState, Open, Owed, RSeq, Seen, Way};
use crate::rules::RuleId;
use crate::rules::methods::MODIFY_SESSION;
use crate::time::Instant;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// RFC 3261 T1.
    pub(super) t1: Duration,
    /// How long a message that nobody resends may be on its way.
    pub(super) flight: Duration,
    /// The smallest step of the clock.
    pub(super) resolution: Duration,
}

impl Patience {
    /// 64*T1: how long a transaction waits.
    pub(super) fn transaction(&self) -> Duration {
        self.t1 * 64
    }

    /// How long a call is followed after its end.
    pub(super) fn linger(&self) -> Duration {
        self.transaction() + self.flight + ATTENTION
    }

    /// Whether the clock tells times as short as this one: ten of its steps are in it.
    pub(super) fn tells(&self, time: Duration) -> bool {
        self.resolution * 10 <= time
    }
}

/// How much later than it is due an absence may be noticed.
const ATTENTION: Duration = Duration::from_millis(400);

/// A message on its way to a party.
#[derive(Clone, Debug)]
pub(super) struct Flying {
    seen: Seen<'static>,
    texts: Texts,
    /// The route set that it brings, if it forms or confirms the dialog.
    route: Option<Vec<Box<str>>>,
    /// When it, or something that says it has not come, was last seen.
    last: Instant,
    resent: bool,
    /// Whether it is a 2xx that may set a session timer, and another one may come behind it though it passed before.
    crossed: bool,
}

/// What is asked for of the texts of a message when it arrives: they share one piece of memory.
#[derive(Clone, Debug)]
struct Texts {
    /// Contact, From URI and To tag.
    joined: Box<str>,
    /// How long each of them is, if it is there.
    lengths: [Option<u32>; 3],
}

impl Texts {
    fn of(texts: [Option<&str>; 3]) -> Self {
        let mut joined = String::with_capacity(texts.iter().flatten().map(|text| text.len()).sum());
        texts.iter().flatten().for_each(|text| joined.push_str(text));
        let length = |text: Option<&str>| text.and_then(|text| u32::try_from(text.len()).ok());
        Self { joined: joined.into_boxed_str(), lengths: texts.map(length) }
    }

    fn each(&self) -> [Option<&str>; 3] {
        let mut rest = &*self.joined;
        self.lengths.map(|length| {
            let (text, behind) = rest.split_at_checked(length? as usize)?;
            rest = behind;
            Some(text)
        })
    }

    fn contact(&self) -> Option<&str> {
        let [contact, ..] = self.each();
        contact
    }
}

impl Flying {
    /// `sent` is as the other side sees it.
    fn new(sent: &Seen<'_>, route: Option<Vec<Box<str>>>) -> Self {
        Self {
            texts: Texts::of([sent.contact, sent.from_uri, sent.to_tag]),
            route,
            last: sent.at.time,
            resent: false,
            crossed: false,
            seen: Seen { way: sent.way.reversed(), ..detached(sent) },
        }
    }

    fn seen(&self) -> Seen<'_> {
        let [contact, from_uri, to_tag] = self.texts.each();
        Seen { contact, from_uri, to_tag, ..self.seen.clone() }
    }

    fn apply(&self, dialog: &mut Dialog) {
        if let Some(route) = &self.route {
            dialog.route = route.iter().cloned().collect();
        }
        dialog.apply(&self.seen());
        if self.crossed {
            dialog.timer.crossed();
        }
    }

    /// Whether it may set a session timer, behind the message with this number.
    fn sets_timer(&self, behind: u32) -> bool {
        sets_timer(&self.seen) && self.seen.at.n > behind
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
    /// All that passed, in that order; kept while `base` took things in another order.
    in_order: Option<Box<Dialog>>,
}

impl Side {
    pub(super) const fn new(base: Dialog) -> Self {
        Self { base, flight: Vec::new(), in_order: None }
    }

    /// What it knows once everything has come.
    pub(super) fn ahead(&self) -> Cow<'_, Dialog> {
        if let Some(dialog) = &self.in_order {
            return Cow::Borrowed(dialog);
        }
        if self.flight.is_empty() {
            return Cow::Borrowed(&self.base);
        }
        let mut dialog = self.base.clone();
        for flying in &self.flight {
            flying.apply(&mut dialog);
        }
        Cow::Owned(dialog)
    }

    /// What its message would break once everything has come, and whether that is so whatever had come by then.
    pub(super) fn judge(&self, seen: &Seen<'_>) -> SmallVec<[(Breach, bool); 2]> {
        let breaches = self.ahead().judge(seen).breaches;
        if breaches.is_empty() {
            return SmallVec::new();
        }
        let ahead: SmallVec<[RuleId; 4]> = breaches.iter().map(|breach| breach.rule).collect();
        let mut found: SmallVec<[(Breach, bool); 2]> =
            breaches.into_iter().map(|breach| (breach, true)).collect();
        if self.flight.is_empty() {
            return found;
        }
        for world in self.worlds() {
            if !found.iter().any(|(_, sure)| *sure) {
                break;
            }
            let verdict = world.judge(seen);
            let broken = |rule| verdict.breaches.iter().any(|other| other.rule == rule);
            // Not to have got the answer yet is no excuse for asking again.
            let too_soon = OVERLAPS.into_iter().any(|rule| broken(rule) && !ahead.contains(&rule));
            for (breach, sure) in &mut found {
                *sure &= too_soon || broken(breach.rule);
            }
        }
        found
    }

    /// What it may know, everything and nothing of what is on its way included: each choice of a few messages; of many, each
    /// alone and each beginning, with requests and without, and without any one of them, because that may be lost.
    fn worlds(&self) -> impl Iterator<Item = Dialog> {
        let count = self.flight.len();
        let bits = |chosen: u32, index: usize| chosen >> index & 1 == 1;
        let all = (1u32 << count.min(MOST_FLYING)) - 1;
        let responses =
            (0..count).filter(|index| self.flight.get(*index).is_some_and(|one| !one.seen.is_request()));
        let responses = responses.fold(0u32, |chosen, index| chosen | 1 << index);
        let choices: Vec<u32> = if count <= FEW {
            (0..=all).collect()
        } else {
            let beginnings = (0..=count).map(|length| (1u32 << length) - 1);
            beginnings
                .flat_map(|beginning| [beginning, beginning & responses])
                .chain((0..count).flat_map(|last| {
                    let beginning = (1u32 << (last + 1)) - 1;
                    (0..=last).map(move |lost| beginning & !(1 << lost))
                }))
                .chain((0..count).map(|i| 1 << i))
                .collect()
        };
        choices.into_iter().map(move |chosen| {
            let mut world = self.base.clone();
            for (_, flying) in self.flight.iter().enumerate().filter(|(index, _)| bits(chosen, *index)) {
                flying.apply(&mut world);
            }
            world
        })
    }

    /// Records a message that it sent.
    pub(super) fn sent(&mut self, seen: &Seen<'_>) -> Applied {
        // A new offer takes the place of one whose answer is still on its way, and a 2xx sets the session timer behind another.
        if !self.flight.is_empty() && (seen.has_sdp || seen.is_request() || sets_timer(seen)) {
            self.keep_order();
        }
        let applied = self.apply(seen);
        if sets_timer(seen) && self.flight.iter().any(|flying| flying.sets_timer(0)) {
            // It may take either for the later one.
            self.change(|dialog| dialog.timer.crossed());
        }
        applied
    }

    /// The 2xx with this number has not come yet, though it passed before: what passed behind it seems to set roles, but it may
    /// come behind that.
    pub(super) fn success_again(&mut self, told: u32) {
        self.change(|dialog| {
            if dialog.timer.running.is_some_and(|running| running.set_by > told) {
                dialog.timer.crossed();
            }
        });
        for flying in self.flight.iter_mut().filter(|flying| flying.sets_timer(told)) {
            flying.crossed = true;
        }
    }

    fn apply(&mut self, seen: &Seen<'_>) -> Applied {
        let applied = self.base.apply(seen);
        self.in_order.as_mut().map(|dialog| dialog.apply(seen)).unwrap_or(applied)
    }

    /// Records something else that happened to it.
    pub(super) fn change(&mut self, mut change: impl FnMut(&mut Dialog)) {
        if let Some(dialog) = &mut self.in_order {
            change(dialog);
        }
        change(&mut self.base);
    }

    /// A message passed towards it. `sent` is as the other side sees it.
    pub(super) fn receive(&mut self, sent: &Seen<'_>, route: Option<Vec<Box<str>>>) {
        let received = || Seen { way: sent.way.reversed(), ..sent.clone() };
        if sent.status == Some(100) {
            self.apply(&received()); // changes nothing that could cross
            return;
        }
        if let Some(dialog) = &mut self.in_order {
            if let Some(route) = &route {
                dialog.route = route.iter().cloned().collect();
            }
            dialog.apply(&received());
        }
        if self.flight.len() >= MOST_FLYING {
            // Rather one that time alone proves than a request that may be lost.
            let proven = |flying: &Flying| !flying.seen.is_request() || flying.seen.method == Method::Ack;
            self.deliver(self.flight.iter().position(proven).unwrap_or_default());
        }
        self.flight.reserve_exact(1); // there is seldom a second, and each is large
        self.flight.push(Flying::new(sent, route));
    }

    /// What it sends proves what it answers or acknowledges.
    pub(super) fn proven_by(&mut self, seen: &Seen<'_>) {
        if self.flight.is_empty() {
            return;
        }
        let cseq = seen.cseq;
        match (seen.status, seen.method) {
            // A 100 comes from the next hop, which need not be the party.
            (Some(100), _) if !self.base.route.is_empty() => {}
            (Some(status), method) => {
                let asked = |came: &Seen<'_>| came.is_request() && came.method == method && came.cseq == cseq;
                if let Some(index) = self.flight.iter().position(|flying| asked(&flying.seen)) {
                    self.answered(index, status);
                }
            }
            (None, Method::Cancel) => {}
            (None, method) => {
                // It knows a Contact that only something on its way names.
                let named = |flying: &Flying| seen.uri.is_some() && flying.texts.contact() == seen.uri;
                if seen.uri != Some(&*self.base.party.theirs.target)
                    && let Some(index) = self.flight.iter().position(named)
                {
                    self.deliver(index);
                }
                if self.base.usage == InviteState::Preparative {
                    // It knows the To tag, so a response that forms the dialog has come.
                    self.prove_first(|came| came.method == Method::Invite && came.status > Some(100));
                }
                match method {
                    // The provisional responses before it first, then the final one.
                    Method::Ack => self.prove(|came| {
                        came.status.is_some() && came.method == Method::Invite && came.cseq == cseq
                    }),
                    Method::Prack => {
                        if let Some((rseq, invite, _)) = seen.rack {
                            self.prove(|came| came.reliable() == Some(rseq) && came.cseq == invite);
                        }
                    }
                    Method::Notify => self.prove(|came| came.is_request() && came.method == Method::Refer),
                    _ => {}
                }
            }
        }
    }

    fn prove(&mut self, came: impl Fn(&Seen<'_>) -> bool) {
        while self.prove_first(&came) {}
    }

    fn prove_first(&mut self, came: impl Fn(&Seen<'_>) -> bool) -> bool {
        let index = self.flight.iter().position(|flying| came(&flying.seen));
        if let Some(index) = index {
            self.deliver(index);
        }
        index.is_some()
    }

    /// It answered the request at this place with this status, while other messages may still be on their way: the request
    /// came after those that passed before its last copy, or overtook them, or was overtaken by all.
    fn answered(&mut self, index: usize, status: u16) {
        let Some(request) = self.flight.get(index) else { return };
        let session = matches!(request.seen.method, Method::Invite | Method::Update) || request.seen.has_sdp;
        if !session || self.flight.len() == 1 {
            self.deliver(index);
            return;
        }
        let (n, last) = (request.seen.at.n, request.last);
        let before = |flying: &Flying| {
            flying.last < last || flying.last == last && flying.seen.at.n < n && !flying.resent
        };
        let seen = request.seen();
        let owed = |came: &dyn Fn(&Flying) -> bool| {
            let mut world = self.base.clone();
            self.flight.iter().filter(|flying| came(flying)).for_each(|flying| flying.apply(&mut world));
            world.owed(&seen)
        };
        let (first, in_order, late) =
            (owed(&|_| false), owed(&before), owed(&|flying| flying.seen.at.n != n));
        let refuses = |owed: &[Owed]| owed.iter().any(|owed| owed.reply.status() == Some(status));
        if !refuses(&first) || refuses(&in_order) {
            while let Some(earlier) = self.flight.iter().position(before) {
                self.deliver(earlier);
            }
        }
        self.prove_first(|came| came.at.n == n);
        // A refusal for a crossing is owed for sure only if it is owed whatever came first.
        if let Some(open) = self.base.open.iter_mut().find(|open| open.on == n) {
            open.owed.retain(|one| {
                let overlap = matches!(
                    one.rule,
                    RuleId::SecondInviteWhileFirstOpen
                        | RuleId::SecondUpdateWhileFirstOpen
                        | RuleId::UpdateBeforeWeAnswered
                        | RuleId::OneExchangeAtATime
                );
                let owes = |owed: &[Owed]| owed.iter().any(|other| other.rule == one.rule);
                owes(&late) && (overlap || owes(&first))
            });
        }
    }

    fn deliver(&mut self, index: usize) {
        if index >= self.flight.len() {
            return;
        }
        if index > 0 {
            self.keep_order();
        }
        self.flight.remove(index).apply(&mut self.base);
        self.settle();
    }

    /// From here on `base` takes things in another order than they passed.
    fn keep_order(&mut self) {
        if self.in_order.is_none() {
            self.in_order = Some(Box::new(self.ahead().into_owned()));
        }
    }

    /// Once nothing is on its way, the order in which things passed stands; what it owes stays as it came to owe it.
    fn settle(&mut self) {
        if !self.flight.is_empty() {
            return;
        }
        if let Some(dialog) = self.in_order.take() {
            let known = std::mem::replace(&mut self.base, *dialog);
            for open in &mut self.base.open {
                if let Some(before) = known.open.iter().find(|before| before.on == open.on) {
                    open.owed.clone_from(&before.owed);
                }
            }
        }
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
        self.settle();
    }

    /// The ACK of this INVITE that is on its way to it.
    pub(super) fn ack_under_way(&self, cseq: u32) -> Option<u32> {
        let acks = self.flight.iter().map(|flying| &flying.seen).filter(|seen| seen.is_request());
        acks.filter(|seen| seen.method == Method::Ack && seen.cseq == cseq).map(|seen| seen.at.n).next()
    }

    /// Gives back the room that a busy time took.
    pub(super) fn rest(&mut self) {
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
        self.change(|dialog| {
            if !dialog.usage.over() {
                dialog.ack_missed(invite, cseq);
                dialog.usage = InviteState::Established;
            }
        });
    }

    /// Its INVITE got a refusal that the capture lacks.
    pub(super) fn missed_failure(&mut self, invite: Way, cseq: u32) {
        self.prove(|came| came.is_request() && came.method == Method::Invite && came.cseq == cseq);
        self.change(|dialog| {
            dialog.timed_out(invite, Method::Invite, cseq);
        });
    }

    /// Its INVITE got a reliable response that the capture lacks, and that may have answered its offer. `described` says
    /// whether the PRACK has a description, which answers the offer of that response if the INVITE made none.
    pub(super) fn missed_reliable(&mut self, invite: Way, (cseq, rseq): (u32, RSeq), described: bool) {
        self.prove(|came| came.is_request() && came.method == Method::Invite && came.cseq == cseq);
        self.change(|dialog| {
            let own =
                |open: &&mut Open| open.way == invite && open.method == Method::Invite && open.cseq == cseq;
            let Some(open) = dialog.open.iter_mut().find(own) else { return };
            open.rseq = open.rseq.max(Some(rseq));
            if open.exchanged || !open.offered && !described {
                return;
            }
            open.exchanged = true;
            dialog.offers.withdraw(invite, Method::Invite, cseq);
        });
    }

    /// A request got no answer at all. One that was sent to it counts as lost.
    pub(super) fn timed_out(&mut self, way: Way, method: Method, cseq: u32) {
        if way == Way::Received {
            let lost = |came: &Seen<'_>| came.is_request() && came.method == method && came.cseq == cseq;
            self.flight.retain(|flying| !lost(&flying.seen));
        }
        self.change(|dialog| {
            dialog.timed_out(way, method, cseq);
        });
        self.settle();
    }
}

/// Whether this is a 2xx that may set a session timer.
fn sets_timer(seen: &Seen<'_>) -> bool {
    seen.is_success() && MODIFY_SESSION.has(seen.method)
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
        route: None,
        headers: seen.headers,
    }
}

/// What a request breaks that comes before the answer to the one before it.
const OVERLAPS: [RuleId; 3] =
    [RuleId::InviteWhileInvitePending, RuleId::UpdateWhileOfferOpen, RuleId::OneExchangeAtATime];
/// Up to how many messages on their way every choice of them is looked at.
const FEW: usize = 4;
/// The most messages that are in doubt at once; the oldest then counts as delivered.
const MOST_FLYING: usize = 16;
