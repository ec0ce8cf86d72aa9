//! Changing a live session: wishes, how they are planned, sent, retried and reported.
//!
//! A wish is kept as an intent, never as bytes. Each time something may go out, the offer is derived again from the
//! session in force and all wishes that wait; a change that waited, met 491 or was overtaken is sent only if it still
//! differs. Nothing is silently lost: each ticket ends in one event.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use midcall_wire::{Method, Name};

use super::call::{Call, Refused, Spec, local};
use super::config::Prefer;
use super::core::{Core, Purpose};
use crate::Msg;
use crate::dialog::{OptionSet, OptionTag, Plan, Way, Wish};
use crate::event::{CallEvent, Change, Ended, Failure, Ticket, What, Why};
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
            Self::Repeat | Self::Offerless | Self::Refresh | Self::Target => {}
        }
    }

    fn what(&self) -> What {
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
        }
    }

    /// Whether it needs a request even if the session would stay the same.
    const fn forced(&self) -> bool {
        matches!(self, Self::Repeat | Self::Offerless | Self::Refresh | Self::Target)
    }

    /// Whether the request needs no offer.
    const fn bare(&self) -> bool {
        matches!(self, Self::Refresh | Self::Target)
    }
}

/// One wish and its history.
#[derive(Clone, Debug)]
struct Asked {
    /// `None` for the endpoint's own: a refresh, a resynchronisation.
    ticket: Option<Ticket>,
    modification: Modification,
    prefer: Option<Prefer>,
    attempts: u8,
    told_waiting: Option<RuleId>,
}

/// The request in flight.
#[derive(Clone, Debug)]
struct InFlight {
    client: Option<ClientId>,
    request: Option<Msg>,
    flow: Option<crate::flow::Flow>,
    method: Method,
    cseq: u32,
    because: RuleId,
    /// How many wishes, from the front, it carries.
    carries: usize,
    /// The session if it is accepted.
    wanted: Wanted,
    offerless: bool,
    provisional: bool,
    cancel: super::call::Cancel,
    leg: u32,
}

/// The wishes of a call.
#[derive(Default, Debug)]
pub(super) struct Wishes {
    queue: VecDeque<Asked>,
    flight: Option<Box<InFlight>>,
    next_ticket: u32,
    /// Nothing is tried before: after a 491, a 500 or 503 with Retry-After.
    not_before: Option<Instant>,
    /// What `not_before` comes from.
    held_by: Option<RuleId>,
    /// 491s in a row.
    glare: u8,
    /// The next try must be a re-INVITE: the peer said 504 to UPDATE (UP-11).
    by_invite: bool,
    /// Option tags that a 420 took away.
    without: OptionSet,
}

impl Wishes {
    /// When waiting wishes may be tried again.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.not_before.filter(|_| !self.queue.is_empty() && self.flight.is_none())
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
    ) -> Result<Ticket, Refused> {
        if self.ended || self.ending.is_some() || self.wishes.queue.len() >= MOST_WISHES {
            return Err(Refused { rule: RuleId::SessionOverAtBye, because: Default::default() });
        }
        let ticket = Ticket(self.wishes.next_ticket);
        self.wishes.next_ticket += 1;
        self.wishes.queue.push_back(Asked {
            ticket: Some(ticket),
            modification,
            prefer,
            attempts: 0,
            told_waiting: None,
        });
        self.kick(core, now);
        Ok(ticket)
    }

    /// Adds a wish of the endpoint's own.
    pub(super) fn want_quietly(&mut self, core: &mut Core, now: Instant, modification: Modification) {
        if !self.ended && self.wishes.queue.len() < MOST_WISHES {
            self.wishes.queue.push_back(Asked {
                ticket: None,
                modification,
                prefer: None,
                attempts: 0,
                told_waiting: None,
            });
            self.kick(core, now);
        }
    }

    /// The session if all wishes came true.
    fn target(&self) -> Option<Wanted> {
        let mut wanted = self.wish.as_deref()?.clone();
        for asked in &self.wishes.queue {
            asked.modification.apply(&mut wanted);
        }
        Some(wanted)
    }

    /// Tries what waits. Called whenever the dialog or the clock may have opened a gate.
    pub(super) fn kick(&mut self, core: &mut Core, now: Instant) {
        while self.wishes.flight.is_none()
            && !self.wishes.queue.is_empty()
            && !self.ended
            && self.ending.is_none()
        {
            let Some(index) = self.main() else { return };
            if self.setup.is_some() && !self.legs.get(index).is_some_and(|leg| leg.dialog.usage.early()) {
                return;
            }
            let Some(wanted) = self.target() else { return };
            if !self.wishes.queue.iter().any(|asked| asked.modification.forced())
                && self.wish.as_deref() == Some(&wanted)
            {
                self.fulfilled(core, None, 0, "the session is already as wanted");
                continue;
            }
            if self.wishes.not_before.is_some_and(|gate| gate > now) {
                let (rule, until) =
                    (self.wishes.held_by.unwrap_or(RuleId::OverlapRetryAfter), self.wishes.not_before);
                self.tell_waiting(core, rule, until);
                return;
            }
            self.wishes.not_before = None;
            if !self.launch(core, now, index, wanted) {
                return;
            }
        }
    }

    /// Plans and sends one request for all that waits. False if nothing could be sent now.
    fn launch(&mut self, core: &mut Core, now: Instant, index: usize, wanted: Wanted) -> bool {
        let Some(leg) = self.legs.get(index) else { return false };
        let queue = &self.wishes.queue;
        let offerless =
            matches!(queue.front().map(|asked| &asked.modification), Some(Modification::Offerless));
        let bare = queue.iter().all(|asked| asked.modification.bare());
        let person = queue.iter().any(|asked| matches!(asked.modification, Modification::Add(_)));
        let wish = match (offerless, bare) {
            (true, _) => Wish::Offerless,
            (_, true) => Wish::Refresh,
            _ => Wish::Session { person: person || self.wishes.by_invite },
        };
        let carries = if offerless {
            1
        } else {
            queue.iter().take_while(|asked| !matches!(asked.modification, Modification::Offerless)).count()
        };
        let wanted = if carries == queue.len() { wanted } else { self.target_of(carries).unwrap_or(wanted) };
        let prefer = queue.iter().find_map(|asked| asked.prefer);
        let prefer =
            if self.wishes.by_invite { Prefer::ReInvite } else { prefer.unwrap_or(core.config.prefer) };
        let explicit = queue.iter().any(|asked| asked.prefer == Some(Prefer::ReInvite));
        let at = crate::dialog::At { n: u32::MAX, time: now };
        let plan = match leg.dialog.plan(wish, prefer, at) {
            // A refresh that was asked for as re-INVITE goes out as one.
            Plan::Update { .. } if explicit && !leg.dialog.usage.early() => {
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
                self.tell_waiting(core, rule, until);
                return false;
            }
        };
        let body = match (offerless, bare, method) {
            (true, ..) | (_, true, Method::Update) => None,
            // RFC 4028 §7.4: a refreshing re-INVITE repeats the description as it was last sent.
            (_, true, _) => leg.dialog.offers.last.ours.as_ref().map(|sdp| sdp.to_bytes()),
            _ => Some(crate::session::offer(&wanted, local(&leg.dialog)).to_bytes()),
        };
        self.fire(
            core,
            now,
            index,
            InFlight {
                client: None,
                request: None,
                flow: None,
                method,
                cseq: 0,
                because,
                carries,
                wanted,
                offerless,
                provisional: false,
                cancel: super::call::Cancel::No,
                leg: leg.id,
            },
            body,
            Vec::new(),
        )
    }

    fn target_of(&self, carries: usize) -> Option<Wanted> {
        let mut wanted = self.wish.as_deref()?.clone();
        for asked in self.wishes.queue.iter().take(carries) {
            asked.modification.apply(&mut wanted);
        }
        Some(wanted)
    }

    fn fire(
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
        self.add_timer_headers(core, index, &mut spec);
        if !self.wishes.without.is_empty() {
            let kept = core.supported().without(self.wishes.without);
            spec = spec.header(Name::Supported, kept);
        }
        match self.send(core, now, index, spec, Purpose::Change) {
            Ok(client) => {
                let cseq =
                    self.legs.get(index).and_then(|leg| leg.dialog.party.ours.cseq).unwrap_or_default();
                flight.cseq = cseq;
                flight.client = client;
                if let Some(info) = client.and_then(|client| core.layer.client(client)) {
                    flight.request = Some(info.msg.clone());
                    flight.flow = Some(info.flow);
                }
                for asked in self.wishes.queue.iter_mut().take(flight.carries) {
                    asked.attempts = asked.attempts.saturating_add(1);
                    asked.told_waiting = None;
                }
                self.wishes.flight = Some(Box::new(flight));
                true
            }
            Err(refused) => {
                self.tell_waiting(core, refused.rule, None);
                false
            }
        }
    }

    /// Supported: timer and Session-Expires for a re-INVITE or UPDATE (ST-05, ST-18, ST-19).
    fn add_timer_headers(&self, core: &Core, index: usize, spec: &mut Spec) {
        let Some(leg) = self.legs.get(index) else { return };
        if !core.config.timer {
            return;
        }
        let timer = &leg.dialog.timer;
        let running = timer.running;
        let asked = running.map(|running| u32::try_from(running.interval.as_secs()).unwrap_or(u32::MAX));
        let Some(interval) = asked.or(core.config.session_expires) else { return };
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

    fn tell_waiting(&mut self, core: &mut Core, rule: RuleId, until: Option<Instant>) {
        for asked in &mut self.wishes.queue {
            if let Some(ticket) = asked.ticket.filter(|_| asked.told_waiting != Some(rule)) {
                asked.told_waiting = Some(rule);
                core.tell(self.id, CallEvent::ChangeWaiting { ticket, rule, until });
            }
        }
    }

    /// The wishes that a request carried (or that needed none) are in force.
    fn fulfilled(
        &mut self,
        core: &mut Core,
        method: Option<(Method, RuleId)>,
        carries: usize,
        text: &'static str,
    ) {
        let carries = if method.is_some() { carries } else { self.wishes.queue.len() };
        for asked in self.wishes.queue.drain(..carries.min(self.wishes.queue.len())) {
            let Some(ticket) = asked.ticket else { continue };
            let change = Change {
                ticket,
                method: method.map(|(method, _)| method),
                attempts: asked.attempts,
                why: Why { rule: method.map(|(_, rule)| rule), text },
                what: vec![asked.modification.what()],
            };
            core.tell(self.id, CallEvent::Changed(change));
        }
    }

    /// The wishes that a request carried will not come true.
    fn failed(&mut self, core: &mut Core, carries: usize, failure: &Failure) {
        for asked in self.wishes.queue.drain(..carries.min(self.wishes.queue.len())) {
            if let Some(ticket) = asked.ticket {
                core.tell(self.id, CallEvent::ChangeFailed { ticket, failure: failure.clone() });
            }
        }
    }

    /// All wishes end: the call does.
    pub(super) fn fail_wishes(&mut self, core: &mut Core, failure: &Failure) {
        self.wishes.flight = None;
        self.failed(core, usize::MAX, failure);
    }

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
        let seen = crate::dialog::Seen::read(Way::Received, at, message);
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
                if flight.cancel == super::call::Cancel::Wanted {
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
            .is_some_and(|leg| matches!(leg.dialog.role_of_sdp(&seen), crate::dialog::SdpRole::Offer(_)));
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
            self.change_accepted(core, now, usable, index);
        } else {
            self.change_refused(core, now, index, status, Some(message), executed);
        }
    }

    fn change_accepted(&mut self, core: &mut Core, now: Instant, usable: bool, index: usize) {
        self.suspect = false;
        let Some(flight) = self.wishes.flight.take() else { return };
        self.wishes.glare = 0;
        self.wishes.by_invite = false;
        self.wish = Some(Box::new(flight.wanted));
        let text = why_text(flight.method, flight.because);
        self.fulfilled(core, Some((flight.method, flight.because)), flight.carries, text);
        if !usable {
            // RI-19: the peer's offer was answered validly, but nothing of it can be used.
            self.send_bye(core, now, index, Some("SIP;cause=488;text=\"No usable session\""));
            self.end(core, now, Ended::NoSession);
            return;
        }
        self.kick(core, now);
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
        let retry_after = message.and_then(|message| message.retry_after()).and_then(Result::ok);
        let tries = self.wishes.queue.front().map_or(0, |asked| asked.attempts);
        let owner = self.legs.get(index).is_some_and(|leg| leg.dialog.owns_call_id());
        let may_repeat = tries <= core.config.glare_retries;
        match status {
            408 | 481 => {
                // RFC 3261 §12.2.1.2: the peer does not know or does not answer; the session ends with a BYE.
                self.send_bye(core, now, index, None);
                let why = if message.is_none() { Ended::Timeout } else { Ended::Lost { status } };
                self.end(core, now, why);
                return;
            }
            401 | 407 => {
                if let Some(credentials) = self.answer_challenge(core, message, flight.request.as_ref()) {
                    let body = flight.request.as_ref().and_then(|request| request.sdp().map(<[u8]>::to_vec));
                    if self.fire(core, now, index, *flight, body, credentials) {
                        return;
                    }
                }
                self.failed(core, carries, &Failure::Rejected { status });
            }
            491 if self.wishes.glare < core.config.glare_retries => {
                self.wishes.glare += 1;
                self.wishes.not_before = Some(now + glare_wait(core, owner));
                self.wishes.held_by =
                    Some(if owner { RuleId::OwnerRetryTime } else { RuleId::OtherRetryTime });
            }
            491 => {
                let attempts = tries;
                self.wishes.glare = 0;
                self.failed(core, carries, &Failure::Glare { attempts });
            }
            500 | 503 if retry_after.is_some() && may_repeat => {
                self.wishes.not_before = Self::retry_after(retry_after).map(|wait| now + wait);
                self.wishes.held_by = Some(RuleId::OverlapRetryAfter);
            }
            // The peer lacks UPDATE after all: the next plan knows, and a confirmed dialog falls back (UP-19).
            405 | 501 if flight.method == Method::Update => {}
            504 if flight.method == Method::Update && !flight.offerless => self.wishes.by_invite = true,
            422 if may_repeat => {}
            420 if may_repeat && self.learn_unsupported(core, message) => {}
            421 | 415 if tries < 2 => {}
            487 if flight.cancel != super::call::Cancel::No => {
                self.failed(core, carries, &Failure::Withdrawn);
            }
            404 | 410 | 416 | 480 | 482..=485 | 502 | 604 => {
                self.failed(core, carries, &Failure::Rejected { status });
                self.suspected(core, now, index, status);
            }
            _ => self.failed(core, carries, &Failure::Rejected { status }),
        }
        if executed && !self.ended {
            // RFC 6141 §3.4: part of the refused change was executed; a new exchange brings both sides back in step.
            self.want_quietly(core, now, Modification::Repeat);
        }
        self.kick(core, now);
    }

    fn learn_unsupported(&mut self, _core: &Core, message: Option<&Msg>) -> bool {
        let Some(message) = message else { return false };
        let refused = OptionSet::read(message, Name::Unsupported);
        let news = refused.without(self.wishes.without).tags().next().is_some();
        self.wishes.without.add(refused);
        news
    }

    /// A code of RFC 5057's list: the first marks the call, the second ends it (CF-36).
    fn suspected(&mut self, core: &mut Core, now: Instant, index: usize, status: u16) {
        if self.suspect || core.config.strict_5057 {
            self.send_bye(core, now, index, None);
            self.end(core, now, Ended::Lost { status });
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
            flight.cancel = super::call::Cancel::Wanted;
            return true;
        }
        let (Some(request), Some(flow), Some(client)) = (flight.request.clone(), flight.flow, flight.client)
        else {
            return false;
        };
        flight.cancel = super::call::Cancel::Sent { at: now };
        super::uac::cancel(core, now, self.id, flight.leg, &request, flow, client);
        true
    }

    /// The peer offers while wishes wait: what they ask for may already be so.
    pub(super) fn adopt(&mut self, wish: Wanted) {
        self.wish = Some(Box::new(wish));
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
        (Method::Update, _) => "UPDATE: allowed by the peer and preferred here",
        (_, RuleId::UpdateNotAllowed | RuleId::UpdateRefusedAsMethod) => {
            "re-INVITE: the peer does not take UPDATE"
        }
        _ => "re-INVITE: the default for a session change in a confirmed dialog",
    }
}
