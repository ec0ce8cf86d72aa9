//! Changing a live session: wishes, how they are planned, sent, retried and reported.
//!
//! A wish is kept as an intent, never as bytes. Each time something may go out, the offer is derived again from the
//! session in force and all wishes that wait; a change that waited, met 491 or was overtaken is sent only if it still
//! differs. Nothing is silently lost: each ticket ends in one event.

use midcall_wire::{Method, Name};
use std::net::IpAddr;
use std::sync::Arc;
use thin_vec::ThinVec;

use super::call::{Call, Refused, Spec, local};
use super::config::Prefer;
use super::core::{Core, Purpose};
use super::setbacks::Setbacks;
use crate::Msg;
use crate::dialog::{OptionTag, Plan, Way, Wish};
use crate::event::{CallEvent, Failure, Ticket, What};
use crate::rules::RuleId;
use crate::session::{Codec, Stream, Wanted};
use crate::time::Instant;
use crate::transaction::ClientId;

/// A change to a session, as the application words it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Modification {
    /// Put streams on hold: all, or this one.
    Hold(Option<usize>),
    /// Take streams off hold: all, or this one.
    Resume(Option<usize>),
    /// Use these codecs, best first, in the first audio stream.
    Codecs(Vec<Codec>),
    /// Add a stream.
    Add(Stream),
    /// Remove a stream; its slot stays at port 0.
    Drop(usize),
    /// Receive at this address and port from now on (this stream).
    Move {
        /// Which stream.
        stream: usize,
        /// The new address.
        address: IpAddr,
        /// The new port.
        port: u16,
    },
    /// Replace everything that is wanted.
    Replace(Box<Wanted>),
    /// Send the present session once more, changed or not.
    Repeat,
    /// Ask the peer for an offer: an offerless re-INVITE.
    Offerless,
    /// Refresh the session timer (RFC 4028 §7.4).
    Refresh,
    /// Tell the peer our present Contact (RFC 3261 §12.2).
    Target,
    /// Take another From URI (RFC 4916).
    Identity(String),
}

impl Modification {
    fn apply(&self, wanted: &mut Wanted) {
        match self {
            Self::Hold(None) => wanted.hold(),
            Self::Hold(Some(stream)) => {
                wanted.hold_stream(*stream);
            }
            Self::Resume(None) => wanted.resume(),
            Self::Resume(Some(stream)) => {
                wanted.resume_stream(*stream);
            }
            Self::Codecs(codecs) => {
                let audio = wanted
                    .streams
                    .iter()
                    .position(|stream| stream.enabled && stream.kind == crate::session::MediaKind::Audio);
                if let Some(audio) = audio {
                    wanted.codecs(audio, codecs.iter().cloned());
                }
            }
            Self::Add(stream) => {
                wanted.add_stream(stream.clone());
            }
            Self::Drop(stream) => {
                wanted.drop_stream(*stream);
            }
            Self::Move { stream, address, port } => {
                wanted.move_to(*stream, *address, *port);
            }
            Self::Replace(session) => *wanted = (**session).clone(),
            Self::Repeat | Self::Offerless | Self::Refresh | Self::Target | Self::Identity(_) => {}
        }
    }

    /// What it changes.
    #[must_use]
    pub fn what(&self) -> What {
        match self {
            Self::Hold(_) => What::Hold,
            Self::Resume(_) => What::Resume,
            Self::Codecs(_) => What::Codec,
            Self::Add(_) => What::AddStream,
            Self::Drop(_) => What::DropStream,
            Self::Move { .. } => What::Address,
            Self::Replace(_) | Self::Repeat | Self::Offerless => What::Session,
            Self::Refresh => What::Refresh,
            Self::Target => What::Target,
            Self::Identity(_) => What::Identity,
        }
    }

    /// Whether it wants a stream that is not in this session.
    pub(super) fn adds_to(&self, session: Option<&Wanted>) -> bool {
        let streams = session.map_or(&[][..], |session| &session.streams);
        let has = |at: usize| streams.get(at).is_some_and(|stream| stream.enabled);
        match self {
            Self::Add(_) => true,
            Self::Replace(new) => new.streams.iter().enumerate().any(|(at, new)| new.enabled && !has(at)),
            _ => false,
        }
    }

    /// Whether it needs a request even if the session would stay the same.
    const fn forced(&self) -> bool {
        matches!(self, Self::Repeat | Self::Offerless | Self::Refresh | Self::Target | Self::Identity(_))
    }

    /// Whether the request needs no offer.
    const fn bare(&self) -> bool {
        matches!(self, Self::Refresh | Self::Target | Self::Identity(_))
    }
}

/// One wish and its history.
#[derive(Clone, Debug)]
pub(super) struct Wanting {
    /// `None` for the endpoint's own: a refresh, a resynchronisation.
    pub(super) ticket: Option<Ticket>,
    pub(super) modification: Modification,
    pub(super) prefer: Option<Prefer>,
    pub(super) attempts: u8,
    pub(super) told_waiting: Option<RuleId>,
    /// Only for this leg: one branch of a fork that rings.
    pub(super) branch: Option<u32>,
    /// Whether it was in a request that met one of the peer (491).
    pub(super) met: bool,
}

impl Wanting {
    /// A wish of the endpoint's own.
    pub(super) const fn quiet(modification: Modification, prefer: Option<Prefer>) -> Self {
        Self { ticket: None, modification, prefer, attempts: 0, told_waiting: None, branch: None, met: false }
    }
}

/// The request in flight.
#[derive(Clone, Debug)]
pub(super) struct InFlight {
    pub(super) client: Option<ClientId>,
    pub(super) request: Option<Msg>,
    pub(super) method: Method,
    pub(super) cseq: u32,
    pub(super) because: RuleId,
    /// How many wishes, from the front, it carries.
    pub(super) carries: usize,
    /// The session if it is accepted.
    pub(super) wanted: Wanted,
    pub(super) offerless: bool,
    pub(super) provisional: bool,
    pub(super) cancel: super::call::Cancel,
    pub(super) leg: u32,
    /// Whether it was wished for this leg alone.
    pub(super) branch: bool,
    /// Where the peer was when it was sent.
    pub(super) target: Arc<str>,
}

/// The wishes of a call.
#[derive(Default, Debug)]
pub(super) struct Wishes {
    pub(super) queue: ThinVec<Wanting>,
    pub(super) flight: Option<Box<InFlight>>,
    pub(super) next_ticket: u32,
    /// `None` while nothing was refused.
    pub(super) setbacks: Option<Box<Setbacks>>,
}

impl Wishes {
    /// When waiting wishes may be tried again.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.setbacks().not_before.filter(|_| !self.queue.is_empty() && self.flight.is_none())
    }

    /// Whether a refresh is already among them or any request is out that refreshes too.
    pub(super) fn refreshing(&self) -> bool {
        self.flight.is_some()
            || self.queue.iter().any(|asked| matches!(asked.modification, Modification::Refresh))
    }

    /// Whether this transaction is the request in flight.
    pub(super) fn flies(&self, cseq: u32) -> bool {
        self.flight.as_ref().is_some_and(|flight| flight.cseq == cseq)
    }

    /// The session that the request in flight in this leg asks for.
    pub(super) fn in_flight_wish(&self, leg: u32) -> Option<&Wanted> {
        self.flight.as_ref().filter(|flight| flight.leg == leg).map(|flight| &flight.wanted)
    }

    pub(super) fn idle(&self) -> bool {
        self.queue.is_empty() && self.flight.is_none()
    }
}

/// The most wishes that wait in one call.
const MOST_WISHES: usize = 64;

impl Call {
    /// Takes a wish of the application and tries to fulfil it at once.
    pub(super) fn want(
        &mut self,
        core: &mut Core,
        now: Instant,
        modification: Modification,
        prefer: Option<Prefer>,
        branch: Option<u32>,
    ) -> Result<Ticket, Refused> {
        if self.ended || self.ending.is_some() || self.wishes.queue.len() >= MOST_WISHES {
            return Err(Refused { rule: RuleId::SessionOverAtBye, because: Default::default() });
        }
        let ticket = Ticket(self.wishes.next_ticket);
        self.wishes.next_ticket += 1;
        self.wishes.queue.push(Wanting {
            ticket: Some(ticket),
            modification,
            prefer,
            attempts: 0,
            told_waiting: None,
            branch,
            met: false,
        });
        self.kick(core, now);
        Ok(ticket)
    }

    /// Takes a wish for one branch of a call that still rings at several places, by the To tag of that branch (UP-20).
    pub(super) fn want_in_branch(
        &mut self,
        core: &mut Core,
        now: Instant,
        tag: &str,
        modification: Modification,
    ) -> Result<Ticket, Refused> {
        let early = |leg: &&super::call::Leg| leg.dialog.usage.early() && leg.drop_at.is_none();
        let leg = self.legs.iter().filter(early).find(|leg| *leg.dialog.party.theirs.tag == *tag);
        let Some(branch) = leg.map(|leg| leg.id) else {
            return Err(Refused { rule: RuleId::UpdateInOneFork, because: Default::default() });
        };
        self.want(core, now, modification, None, Some(branch))
    }

    /// Adds a wish of the endpoint's own.
    pub(super) fn want_quietly(&mut self, core: &mut Core, now: Instant, modification: Modification) {
        self.want_quietly_by(core, now, modification, None);
    }

    /// The same, with a word on the method.
    pub(super) fn want_quietly_by(
        &mut self,
        core: &mut Core,
        now: Instant,
        modification: Modification,
        prefer: Option<Prefer>,
    ) {
        if !self.ended && self.wishes.queue.len() < MOST_WISHES {
            self.wishes.queue.push(Wanting::quiet(modification, prefer));
            self.kick(core, now);
        }
    }

    /// The session wanted in a leg: its own where one branch of a fork was changed, else the call's.
    pub(super) fn wish_in(&self, index: usize) -> Option<&Wanted> {
        let own = self.legs.get(index).and_then(|leg| leg.wish.as_deref());
        own.or(self.wish.as_deref())
    }

    /// The session in a leg if so many wishes came true.
    fn target(&self, index: usize, carries: usize) -> Option<Wanted> {
        let mut wanted = self.wish_in(index)?.clone();
        for asked in self.wishes.queue.iter().take(carries) {
            asked.modification.apply(&mut wanted);
        }
        Some(wanted)
    }

    /// The leg that wishes can be tried in now, and how many of them, brought to the front of the queue. While a fork rings
    /// only wishes for one branch can.
    fn next_wishes(&mut self) -> Option<(usize, usize)> {
        if let Some(main) = self.main() {
            return Some((main, self.wishes.queue.len()));
        }
        let branch = self.wishes.queue.iter().find_map(|asked| asked.branch)?;
        let index = self.leg(branch)?;
        let mut queue = std::mem::take(&mut self.wishes.queue);
        let (mut here, others): (ThinVec<_>, ThinVec<_>) =
            queue.drain(..).partition(|asked| asked.branch == Some(branch));
        let count = here.len();
        here.extend(others);
        self.wishes.queue = here;
        Some((index, count))
    }

    /// One branch was answered: what was wished for others is over, what was in flight there is tried again here.
    pub(super) fn branch_chosen(&mut self, core: &mut Core, index: usize) {
        let Some(chosen) = self.legs.get_mut(index) else { return };
        let id = chosen.id;
        if let Some(own) = chosen.wish.take() {
            self.wish = Some(own);
        }
        for leg in &mut self.legs {
            leg.wish = None;
        }
        self.wishes.flight.take_if(|flight| flight.leg != id);
        let lost = |asked: &Wanting| asked.branch.is_some_and(|branch| branch != id);
        let (over, kept): (ThinVec<_>, ThinVec<_>) = self.wishes.queue.drain(..).partition(lost);
        self.wishes.queue = kept;
        let failure = Failure::Refused { rule: RuleId::UpdateInOneFork };
        for ticket in over.into_iter().filter_map(|asked| asked.ticket) {
            core.tell(self.id, CallEvent::ChangeFailed { ticket, failure: failure.clone() });
        }
    }

    /// Tries what waits. Called whenever the dialog or the clock may have opened a gate.
    pub(super) fn kick(&mut self, core: &mut Core, now: Instant) {
        while self.wishes.flight.is_none()
            && !self.wishes.queue.is_empty()
            && !self.ended
            && self.ending.is_none()
        {
            let Some((index, count)) = self.next_wishes() else {
                // No dialog yet, or a fork: none of its dialogs is the call's.
                let none = self.legs.iter().all(|leg| leg.surplus || leg.drop_at.is_some());
                let rule = if none { RuleId::EarlyUpdateByCallerTooSoon } else { RuleId::UpdateInOneFork };
                self.tell_waiting(core, usize::MAX, rule, None);
                return;
            };
            if self.setup.is_some() && !self.legs.get(index).is_some_and(|leg| leg.dialog.usage.early()) {
                return;
            }
            let Some(wanted) = self.target(index, count).filter(|_| self.met) else {
                // The callee's application gave no session yet, or the caller may not have the dialog.
                self.tell_waiting(core, count, RuleId::EarlyUpdateByCalleeTooSoon, None);
                return;
            };
            if !self.wishes.queue.iter().take(count).any(|asked| asked.modification.forced())
                && self.wish_in(index) == Some(&wanted)
            {
                self.fulfilled(core, None, count, "the session is already as wanted");
                continue;
            }
            if self.wishes.setbacks().not_before.is_some_and(|gate| gate > now) {
                let (rule, until) = (
                    self.wishes.setbacks().held_by.unwrap_or(RuleId::OverlapRetryAfter),
                    self.wishes.setbacks().not_before,
                );
                self.tell_waiting(core, count, rule, until);
                return;
            }
            if let Some(setbacks) = &mut self.wishes.setbacks {
                (setbacks.not_before, setbacks.held_by) = (None, None);
            }
            let first = self.move_comes_first(core, index, count);
            let (count, wanted) =
                if first { (1, self.target(index, 1).unwrap_or(wanted)) } else { (count, wanted) };
            if !self.launch(core, now, index, wanted, count) {
                return;
            }
        }
    }

    /// Plans and sends one request for the first `count` wishes. False if nothing could be sent now.
    fn launch(&mut self, core: &mut Core, now: Instant, index: usize, wanted: Wanted, count: usize) -> bool {
        let Some(leg) = self.legs.get(index) else { return false };
        let queue = || self.wishes.queue.iter().take(count);
        let offerless =
            matches!(queue().next().map(|asked| &asked.modification), Some(Modification::Offerless));
        let bare = queue().all(|asked| asked.modification.bare());
        let person = queue().any(|asked| matches!(asked.modification, Modification::Add(_)));
        let wish = match (offerless, bare) {
            (true, _) => Wish::Offerless,
            (_, true) => Wish::Refresh,
            _ => Wish::Session { person: person || self.wishes.setbacks().by_invite },
        };
        let carries = if offerless {
            1
        } else {
            queue().take_while(|asked| !matches!(asked.modification, Modification::Offerless)).count()
        };
        let wanted = if carries == count { wanted } else { self.target(index, carries).unwrap_or(wanted) };
        let prefer = queue().find_map(|asked| asked.prefer);
        let prefer = if self.wishes.setbacks().by_invite {
            Prefer::ReInvite
        } else {
            prefer.unwrap_or(core.config.prefer)
        };
        let explicit = queue().any(|asked| asked.prefer == Some(Prefer::ReInvite));
        if self.wishes.setbacks().by_invite && leg.dialog.usage.early() {
            // UP-11: the peer said that it takes a person, and a re-INVITE can ask one only when the call is up.
            self.tell_waiting(core, count, RuleId::UpdateAnsweredLate, None);
            return false;
        }
        let at = crate::dialog::At { n: u32::MAX, time: now };
        let plan = match leg.dialog.plan(wish, prefer, at) {
            // A refresh that was asked for as re-INVITE goes out as one.
            Plan::Update { .. }
                if explicit && !leg.dialog.usage.early() && !leg.dialog.refuses(Method::Invite) =>
            {
                match leg.dialog.blocked(Method::Invite, true, at) {
                    None => Plan::ReInvite { because: RuleId::UpdateOrReInvite },
                    Some(rule) => Plan::Wait { rule, until: None },
                }
            }
            plan => plan,
        };
        let (method, because) = match plan {
            Plan::Update { because } => (Method::Update, because),
            Plan::ReInvite { because } => (Method::Invite, because),
            Plan::Wait { rule, until } => {
                // A refresh is not held up by changes of the session that have to wait (RFC 4028 §10).
                let bare = self.bare_first(count);
                if let Some(wanted) = self.target(index, bare).filter(|_| 0 < bare && bare < count) {
                    return self.launch(core, now, index, wanted, bare);
                }
                self.tell_waiting(core, count, rule, until);
                return false;
            }
            Plan::Never { rule } => {
                self.failed(core, carries, &Failure::Refused { rule });
                return true;
            }
        };
        if self.awaits_name(core, index) {
            return false;
        }
        let body = match (offerless, bare, method) {
            (true, ..) | (_, true, Method::Update) => None,
            // RFC 4028 §7.4: a refreshing re-INVITE changes nothing of the session.
            (_, true, _) => super::timers::unchanged(&leg.dialog, self.wish_in(index)),
            _ => Some(crate::session::offer(&wanted, local(&leg.dialog)).to_bytes()),
        };
        self.fire(
            core,
            now,
            index,
            InFlight {
                client: None,
                request: None,
                method,
                cseq: 0,
                because,
                carries,
                wanted,
                offerless,
                provisional: false,
                cancel: super::call::Cancel::No,
                leg: leg.id,
                branch: queue().next().is_some_and(|asked| asked.branch.is_some()),
                target: Arc::default(),
            },
            body,
            Vec::new(),
        )
    }

    /// Brings the wishes that need no offer to the front of the first `count`; says how many those are.
    fn bare_first(&mut self, count: usize) -> usize {
        let behind = self.wishes.queue.split_off(count.min(self.wishes.queue.len()));
        let (mut queue, others): (ThinVec<_>, ThinVec<_>) =
            self.wishes.queue.drain(..).partition(|asked| asked.modification.bare());
        let bare = queue.len();
        queue.extend(others);
        queue.extend(behind);
        self.wishes.queue = queue;
        bare
    }

    pub(super) fn fire(
        &mut self,
        core: &mut Core,
        now: Instant,
        index: usize,
        mut flight: InFlight,
        body: Option<Vec<u8>>,
        credentials: Vec<(Name, String)>,
    ) -> bool {
        let mut spec = Spec::new(flight.method).sdp(body);
        spec.credentials = credentials;
        spec.from =
            self.wishes.queue.iter().take(flight.carries).rev().find_map(|asked| match &asked.modification {
                Modification::Identity(uri) => Some(uri.clone()),
                _ => None,
            });
        self.add_timer_headers(core, index, &mut spec);
        if !self.wishes.setbacks().without.is_empty() {
            let kept = core.supported().without(self.wishes.setbacks().without);
            spec = spec.header(Name::Supported, kept);
        }
        match self.send(core, now, index, spec, Purpose::Change) {
            Ok(client) => {
                let cseq =
                    self.legs.get(index).and_then(|leg| leg.dialog.party.ours.cseq).unwrap_or_default();
                flight.cseq = cseq;
                flight.target = self
                    .legs
                    .get(index)
                    .map(|leg| leg.dialog.party.theirs.target.clone())
                    .unwrap_or_default();
                flight.client = client;
                if let Some(info) = client.and_then(|client| core.layer.client(client)) {
                    flight.request = Some(info.msg.clone());
                }
                for asked in self.wishes.queue.iter_mut().take(flight.carries) {
                    asked.attempts = asked.attempts.saturating_add(1);
                    asked.told_waiting = None;
                }
                self.wishes.flight = Some(Box::new(flight));
                true
            }
            // No wait makes it shorter.
            Err(refused) if refused == Refused::too_long() => {
                self.failed(core, flight.carries, &Failure::Refused { rule: refused.rule });
                true
            }
            Err(refused) => {
                self.tell_waiting(core, flight.carries, refused.rule, None);
                false
            }
        }
    }

    /// Supported: timer and Session-Expires for a re-INVITE or UPDATE (ST-05, ST-18, ST-19).
    pub(super) fn add_timer_headers(&self, core: &Core, index: usize, spec: &mut Spec) {
        let Some(leg) = self.legs.get(index) else { return };
        if !core.config.timer {
            return;
        }
        let timer = &leg.dialog.timer;
        let running = timer.running;
        let asked = running.map(|running| u32::try_from(running.interval.as_secs()).unwrap_or(u32::MAX));
        // RFC 4028 §7.3: a 422 asks for an interval also where we had asked for none (failure H9).
        let too_short = leg.dialog.party.ours.refused.as_ref().is_some_and(|refusal| refusal.status == 422);
        let demanded = timer.min_se.filter(|_| too_short);
        let Some(interval) = asked.or(core.config.session_expires).or(demanded) else { return };
        let interval = interval.max(timer.min_se.unwrap_or(0));
        let peer_can = leg.dialog.party.theirs.can.supported.has(OptionTag::Timer);
        let refresher = match running.map(|running| running.refresher) {
            Some(Way::Sent) => ";refresher=uac",
            Some(Way::Received) if peer_can => ";refresher=uas",
            _ => "",
        };
        spec.headers.push((Name::SessionExpires, format!("{interval}{refresher}")));
        if let Some(min_se) = timer.min_se {
            spec.headers.push((Name::MinSe, min_se.to_string()));
        }
    }

    /// The peer offers while wishes wait: what they ask for may already be so.
    pub(super) fn adopt(&mut self, wish: Wanted) {
        self.wish = Some(Box::new(wish));
    }
}
