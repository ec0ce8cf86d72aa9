//! Placing a call: the INVITE that forms dialogs, its forks, its end.

use std::time::Duration;

use bytes::Bytes;
use midcall_wire::{Builder, Method, Name, NameAddr, Uri};

use super::call::{Call, Cancel, Setup, Spec};
use super::config::Reliable;
use super::core::{Core, Hop, Purpose, User, address};
use super::modify::Modification;
use crate::Msg;
use crate::dialog::{At, Dialog, Noted, OptionSet, OptionTag, Outcome, SdpRole, Seen, Way};
use crate::event::{CallEvent, Ended, Side};
use crate::flow::Flow;
use crate::session::{Local, Wanted};
use crate::time::Instant;
use crate::transaction::ClientId;

/// A call to place.
#[derive(Clone, Debug)]
pub struct Invite {
    /// Whom to call: a SIP or SIPS URI, with or without display name.
    pub to: String,
    /// Who calls, if not the endpoint's identity.
    pub from: Option<String>,
    /// The session wanted.
    pub session: Wanted,
    /// Send no offer: the peer makes it (RFC 3261 §13.2.1).
    pub late: bool,
    /// Further headers, by name and value.
    pub headers: Vec<(String, String)>,
}

impl Invite {
    /// A call with an offer and no further headers.
    #[must_use]
    pub fn new(to: &str, session: Wanted) -> Self {
        Self { to: to.to_owned(), from: None, session, late: false, headers: Vec::new() }
    }
}

impl Call {
    /// Begins: notes what to send. The INVITE goes out as soon as the next hop is known.
    pub(super) fn begin(&mut self, core: &mut Core, now: Instant, invite: Invite) {
        let to = address(&invite.to);
        let uri = NameAddr::parse(&to).map_or_else(|_| invite.to.clone(), |to| to.uri.to_owned());
        let tag = core.rng.token(64);
        let cseq = u32::try_from(core.rng.below(1 << 16)).unwrap_or(0) + 1;
        let expires = invite.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("Expires"));
        let expires = expires.and_then(|(_, value)| value.trim().parse().ok());
        let expires = expires.map(|seconds: u32| now + Duration::from_secs(u64::from(seconds)));
        self.setup = Some(Box::new(Setup {
            uri,
            to,
            from: core.identity_value(invite.from.as_deref()),
            tag,
            cseq,
            client: None,
            invite: None,
            flow: None,
            headers: invite.headers,
            late: invite.late,
            provisional: false,
            cancel: Cancel::No,
            tries: 0,
            min_se: None,
            session_expires: core.config.session_expires.filter(|_| core.config.timer),
            without: OptionSet::default(),
            started: now,
            expires,
            offered: self.wish.clone(),
        }));
        self.send_invite(core, now, Vec::new());
    }

    /// Sends the INVITE, or asks for the address of its next hop.
    pub(super) fn send_invite(&mut self, core: &mut Core, now: Instant, credentials: Vec<(Name, String)>) {
        let Some(setup) = self.setup.as_mut() else { return };
        let next = core.config.outbound_proxy.clone().unwrap_or_else(|| setup.uri.clone());
        let flow = match core.hop(&next, setup.flow.as_ref()) {
            Hop::Known(flow) => flow,
            Hop::Name { host, port, transport } => {
                core.resolve(host, port, transport, Some(self.id), None);
                return;
            }
            Hop::Unreachable => {
                let why = if Uri::parse(&next).is_ok_and(|uri| uri.ip().is_none()) {
                    Ended::Unresolvable
                } else {
                    Ended::Unreachable
                };
                self.setup = None;
                self.end(core, now, why);
                return;
            }
        };
        self.send_invite_over(core, now, flow, &next, credentials);
    }

    fn send_invite_over(
        &mut self,
        core: &mut Core,
        now: Instant,
        flow: Flow,
        next: &str,
        credentials: Vec<(Name, String)>,
    ) {
        let (Some(setup), Some(wish)) = (self.setup.as_mut(), self.wish.as_deref()) else { return };
        let body = (!setup.late).then(|| crate::session::offer(wish, Local::default()).to_bytes());
        let digest = self.digest.as_deref_mut();
        let mut preemptive = Vec::new();
        if credentials.is_empty()
            && let Some(digest) = digest
        {
            let cnonce = core.rng.next_u64();
            preemptive = digest.preemptive("INVITE", &setup.uri, body.as_deref().unwrap_or_default(), cnonce);
        }
        let credentials = if credentials.is_empty() { preemptive } else { credentials };
        let bytes = invite(core, setup, &self.call_id, &flow, &credentials, body.as_deref());
        let Ok(message) = Msg::parse(Bytes::from(bytes)) else {
            // Longer than any message may be, by what the application put into it (RFC 3261 §21.5.7).
            return self.end(core, now, Ended::Refused { status: 513, by: Side::Us });
        };
        setup.invite = Some(message.clone());
        setup.flow = Some(flow);
        setup.provisional = false;
        let cseq = setup.cseq;
        self.keep_credentials(cseq, &message);
        let client = core.deliver(now, flow, next, message);
        if let Some(setup) = self.setup.as_mut() {
            setup.client = Some(client);
        }
        core.clients
            .insert(client, User::Call { call: self.id, leg: u32::MAX, purpose: Purpose::Setup, cseq });
    }

    /// A response to the INVITE that forms dialogs.
    pub(super) fn setup_response(
        &mut self,
        core: &mut Core,
        now: Instant,
        client: ClientId,
        flow: Flow,
        message: &Msg,
    ) {
        let status = message.status().unwrap_or_default();
        if status == 100 {
            self.provisional_came(core, now);
            return;
        }
        if status >= 300 {
            self.setup_failed(core, now, status, Some(message));
            return;
        }
        let Ok(to) = message.to() else { return };
        let tag = to.tag().unwrap_or_default().to_owned();
        let at = core.at(now);
        let index = match self.legs.iter().position(|leg| *leg.dialog.party.theirs.tag == *tag) {
            Some(index) => index,
            None => match self.new_fork(core, now, client, flow, message, &tag) {
                Some(index) => index,
                None => return,
            },
        };
        if let Some(leg) = self.legs.get_mut(index) {
            leg.came_by(flow);
        }
        if status < 200 {
            self.setup_provisional(core, now, index, at, message, status);
        } else {
            self.setup_success(core, now, index, at, message);
        }
    }

    fn new_fork(
        &mut self,
        core: &mut Core,
        now: Instant,
        client: ClientId,
        flow: Flow,
        message: &Msg,
        tag: &str,
    ) -> Option<usize> {
        if self.legs.len() >= 16 {
            core.drop_input("early dialogs beyond 16 of one INVITE");
            return None;
        }
        // RFC 6228 §4: an unreliable 199 for a dialog that we do not know is discarded.
        if message.status() == Some(199) {
            return None;
        }
        // The INVITE of this very transaction: a second 2xx may come when the call is long up (DLG-28).
        let invite = core.layer.client(client)?.msg.clone();
        let ours = invite.from().ok()?.tag()?.to_owned();
        let mut dialog = Dialog::new(Way::Sent, &invite, &ours, tag);
        let sent = core.at(now);
        let started = self.setup.as_ref().map_or(now, |setup| setup.started);
        dialog.apply_message(Way::Sent, At { n: sent.n, time: started }, &invite);
        dialog.form(message);
        dialog.offers.follows_last_answer = core.config.follow_last_answer;
        // Where the call is, whatever way its first messages took for their length.
        let home = self.setup.as_ref().and_then(|setup| setup.flow).unwrap_or(flow);
        Some(self.add_leg(core, dialog, home))
    }

    fn provisional_came(&mut self, core: &mut Core, now: Instant) {
        let Some(setup) = self.setup.as_mut() else { return };
        setup.provisional = true;
        if setup.cancel == Cancel::Wanted {
            self.send_cancel(core, now);
        }
    }

    fn setup_provisional(
        &mut self,
        core: &mut Core,
        now: Instant,
        index: usize,
        at: At,
        message: &Msg,
        status: u16,
    ) {
        self.provisional_came(core, now);
        let seen = Seen::read(Way::Received, at, message);
        if self.repeated_reliable(index, &seen) {
            return;
        }
        let applied = self.apply_received(core, now, index, at, message);
        let reliable = seen.reliable().is_some() && core.config.reliable != Reliable::Off;
        let early = self.legs.iter().filter(|leg| leg.dialog.usage.early()).count();
        let branch =
            self.legs.get(index).map(|leg| (*leg.dialog.party.theirs.tag).into()).unwrap_or_default();
        core.tell(
            self.id,
            CallEvent::Progress {
                status,
                reliable,
                early_dialogs: u8::try_from(early).unwrap_or(u8::MAX),
                branch,
            },
        );
        if let Some((referrer, refer)) = self.placed_for {
            core.later.push(super::core::Later::Referred { referrer, refer, status });
        }
        if status == 199
            && let Some(leg) = self.legs.get_mut(index)
        {
            leg.drop_at = Some(now + core.patience());
        }
        if reliable {
            self.answer_reliable(core, now, index, &seen);
        } else if !applied.iter().any(|noted| matches!(noted, Noted::Exchange(_))) {
            self.preview(core, index);
        }
    }

    /// SDP in an unreliable response is acted on as if it were the answer (RFC 3261 §13.2.1), but nothing is agreed.
    fn preview(&mut self, core: &mut Core, index: usize) {
        let Some(leg) = self.legs.get(index) else { return };
        let offers = &leg.dialog.offers;
        if let (Some((_, preview)), Some(offer)) = (&offers.preview, &offers.pending.ours)
            && let Some(ours) = &offer.sdp
        {
            let agreed = crate::session::agreed(ours, preview);
            core.tell(self.id, CallEvent::Session { agreed, early: true });
        }
    }

    /// Whether this reliable response is a repeat or out of order: no PRACK for it (PR-10).
    pub(super) fn repeated_reliable(&self, index: usize, seen: &Seen<'_>) -> bool {
        let Some(rseq) = seen.reliable() else { return false };
        let Some(leg) = self.legs.get(index) else { return false };
        let last = leg.dialog.request_of(seen).and_then(|open| open.rseq);
        last.is_some_and(|last| rseq != last.wrapping_add(1))
    }

    /// Sends the PRACK for a reliable response, with the answer if it carried the offer (RFC 3262 §4, §5).
    pub(super) fn answer_reliable(&mut self, core: &mut Core, now: Instant, index: usize, seen: &Seen<'_>) {
        let Some(rseq) = seen.rseq else { return };
        let Some(leg) = self.legs.get(index) else { return };
        let offered = leg.dialog.offers.pending.theirs.as_ref().filter(|offer| offer.on == seen.at.n);
        let answer =
            offered.and_then(|offer| offer.sdp.clone()).map(|offer| self.answer_for_response(index, &offer));
        let spec = Spec::new(Method::Prack)
            .header(Name::RAck, format_args!("{rseq} {} INVITE", seen.cseq))
            .sdp(answer.map(|(answer, _)| answer));
        // A PRACK cannot be refused by our own rules: it only acknowledges.
        let _ = self.send(core, now, index, spec, Purpose::Prack);
    }

    /// The answer to an offer that came in a response, which cannot be refused: all streams at port 0 at worst (OA-13).
    /// The flag says whether the session is usable.
    pub(super) fn answer_for_response(
        &self,
        index: usize,
        offer: &midcall_wire::sdp::Sdp,
    ) -> (Vec<u8>, bool) {
        let (Some(leg), Some(wish)) = (self.legs.get(index), self.wish_in(index)) else {
            return (Vec::new(), false);
        };
        let local = super::call::local(&leg.dialog);
        match crate::session::answer(wish, offer, local) {
            Ok(answer) => (answer.to_bytes(), true),
            Err(_) => (crate::session::decline(wish, offer, local).to_bytes(), false),
        }
    }

    fn setup_success(&mut self, core: &mut Core, now: Instant, index: usize, at: At, message: &Msg) {
        let cseq = message.cseq().map(|cseq| cseq.number).unwrap_or_default();
        if self.resend_ack(core, now, index, cseq) {
            return;
        }
        let seen = Seen::read(Way::Received, at, message);
        if let Some(leg) = self.legs.get_mut(index) {
            leg.dialog.form(message);
        }
        let offered = self
            .legs
            .get(index)
            .is_some_and(|leg| matches!(leg.dialog.role_of_sdp(&seen), SdpRole::Offer(_)));
        let was_up = self.legs.iter().any(|leg| leg.dialog.usage.confirmed() || leg.dialog.usage.over());
        if was_up && let Some(leg) = self.legs.get_mut(index) {
            leg.surplus = true;
        }
        let applied = self.apply_received(core, now, index, at, message);
        let mut usable = true;
        let mut answer = None;
        if offered && let Some(offer) = &seen.sdp {
            let (bytes, good) = self.answer_for_response(index, offer);
            answer = Some(bytes);
            usable = good;
        }
        self.acknowledge(core, now, index, cseq, answer);
        let cancelled = self.setup.as_ref().is_some_and(|setup| setup.cancel != Cancel::No) || self.ended;
        if was_up || cancelled {
            // A second dialog of a fork, or one that was cancelled too late: acknowledged, then ended (DLG-28, RC-02).
            self.send_bye(core, now, index, None);
            if cancelled && !self.ended {
                self.setup = None;
                self.end(core, now, Ended::Cancelled { by: Side::Us });
            }
            return;
        }
        let setup = self.setup.take();
        // A change that another branch took while it rang is still wanted here.
        let elsewhere = self.legs.get(index).is_some_and(|leg| leg.wish.is_none())
            && setup.is_some_and(|setup| setup.offered != self.wish);
        if let Some(leg) = self.legs.get_mut(index) {
            leg.drop_at = None;
        }
        self.branch_chosen(core, index);
        self.note_declined(index);
        self.confirmed(core, now, index);
        let agreed = self.legs.get(index).is_some_and(|leg| leg.dialog.offers.agreed.is_some());
        if !usable || !agreed {
            self.send_bye(core, now, index, Some("SIP;cause=488;text=\"No usable session\""));
            self.end(core, now, Ended::NoSession);
            return;
        }
        // The session told last may be that of another branch.
        let told = applied.iter().any(|noted| matches!(noted, Noted::Exchange(Outcome::Agreed { .. })));
        if self.legs.len() > 1 && !told {
            self.session_changed(core, index);
        }
        if elsewhere {
            self.want_quietly(core, now, Modification::Repeat);
        }
        self.kick(core, now);
    }

    /// A 2xx came again: its ACK goes again (TX-09). True if there was one.
    pub(super) fn resend_ack(&mut self, core: &mut Core, now: Instant, index: usize, cseq: u32) -> bool {
        let Some(leg) = self.legs.get(index) else { return false };
        match leg.acks.iter().find(|ack| ack.cseq == cseq && ack.until > now) {
            Some(ack) => {
                core.transmit(ack.flow, ack.bytes.clone());
                true
            }
            None => false,
        }
    }

    /// A final response other than 2xx, or none at all (`message` is `None`).
    pub(super) fn setup_failed(&mut self, core: &mut Core, now: Instant, status: u16, message: Option<&Msg>) {
        let Some(setup) = self.setup.as_mut() else { return };
        let cancelled = setup.cancel != Cancel::No;
        setup.tries += 1;
        if let (false, Some(message), true) = (cancelled, message, setup.tries < 6)
            && self.retry_setup(core, now, status, message)
        {
            return;
        }
        self.setup = None;
        let at = core.at(now);
        for leg in &mut self.legs {
            if leg.dialog.usage.early() {
                if let Some(message) = message {
                    leg.dialog.apply_message(Way::Received, at, message);
                }
                leg.drop_at = Some(now);
            }
        }
        if self.legs.iter().any(|leg| leg.dialog.usage.confirmed()) {
            return;
        }
        let why = match (status, cancelled, message.is_some()) {
            (_, true, _) => Ended::Cancelled { by: Side::Us },
            (408, _, false) => Ended::Timeout,
            (503, _, false) => Ended::Unreachable,
            (401 | 407, ..) => Ended::Unauthorized { status },
            _ => Ended::Refused { status, by: Side::Them },
        };
        self.end(core, now, why);
    }

    /// Answers a challenge, a 422 or a 420 with a further INVITE (RFC 3261 §22.2, RFC 4028 §7.3, RFC 3261 §8.1.3.5).
    fn retry_setup(&mut self, core: &mut Core, now: Instant, status: u16, message: &Msg) -> bool {
        let Some(setup) = self.setup.as_mut() else { return false };
        let mut credentials = Vec::new();
        match status {
            401 | 407 => {
                let (Some(digest), Some(rejected)) = (self.digest.as_deref_mut(), setup.invite.as_ref())
                else {
                    return false;
                };
                let body = rejected.body().to_vec();
                let cnonce = core.rng.next_u64();
                match digest.answer(&message.challenges(), rejected, "INVITE", &setup.uri, &body, cnonce) {
                    Ok(values) => credentials = values,
                    Err(_) => return false,
                }
            }
            422 => {
                let Some(Ok(min_se)) = message.min_se() else { return false };
                let least = setup.min_se.unwrap_or(90).max(min_se);
                if setup.min_se == Some(least) {
                    return false;
                }
                setup.min_se = Some(least);
                setup.session_expires = Some(setup.session_expires.unwrap_or(least).max(least));
            }
            420 => {
                let refused = OptionSet::read(message, Name::Unsupported);
                let news = refused.without(setup.without);
                if news.tags().next().is_none() {
                    return false;
                }
                setup.without.add(refused);
            }
            _ => return false,
        }
        setup.cseq += 1;
        setup.client = None;
        // What the failed INVITE had opened is gone; the To tag of the failure is not copied (SF-13).
        let now_gone = std::mem::take(&mut self.legs);
        for leg in now_gone {
            core.later.push(super::core::Later::Forget {
                call_id: leg.dialog.call_id,
                tag: leg.dialog.party.ours.tag,
                call: self.id,
            });
        }
        self.send_invite(core, now, credentials);
        true
    }

    /// Sends CANCEL for the INVITE (RFC 3261 §9.1): its top Via, Request-URI, To, From, Call-ID and CSeq number.
    pub(super) fn send_cancel(&mut self, core: &mut Core, now: Instant) {
        let Some(setup) = self.setup.as_mut() else { return };
        let Some(client) = setup.client else { return };
        setup.cancel = Cancel::Sent { at: now };
        cancel(core, now, self.id, u32::MAX, client, false);
    }
}

/// Sends a CANCEL for an INVITE of ours where that went (RFC 3263 §4.4), and gives its transaction 64*T1 to end (TX-21,
/// TX-23). `moved`: from where we are now.
pub(super) fn cancel(
    core: &mut Core,
    now: Instant,
    call: crate::event::CallId,
    leg: u32,
    client: ClientId,
    moved: bool,
) {
    let Some((invite, mut flow)) = core.layer.client(client).map(|info| (info.msg.clone(), info.flow)) else {
        return;
    };
    if moved {
        flow = core.flow_to(flow.transport, flow.remote, None).unwrap_or(flow);
    }
    let cseq = invite.cseq().map(|cseq| cseq.number).unwrap_or_default();
    let via = invite.values(Name::Via).next().unwrap_or_default().to_owned();
    let message = Builder::request("CANCEL", invite.request_uri().unwrap_or_default())
        .header(Name::Via, via)
        .header(Name::MaxForwards, 70)
        .lines_of(&invite, Name::Route)
        .lines_of(&invite, Name::From)
        .lines_of(&invite, Name::To)
        .lines_of(&invite, Name::CallId)
        .header(Name::CSeq, format_args!("{cseq} CANCEL"))
        .finish();
    if let Ok(message) = Msg::parse(Bytes::from(message)) {
        let transaction = core.layer.request(now, flow, message);
        core.clients.insert(transaction, User::Call { call, leg, purpose: Purpose::Other, cseq });
        core.layer.cancel_timeout(now, client);
    }
}

/// Writes the INVITE.
fn invite(
    core: &mut Core,
    setup: &Setup,
    call_id: &str,
    flow: &Flow,
    credentials: &[(Name, String)],
    body: Option<&[u8]>,
) -> Vec<u8> {
    let via = core.via(flow);
    let mut message =
        Builder::request("INVITE", &setup.uri).header(Name::Via, via).header(Name::MaxForwards, 70);
    if let Some(proxy) = &core.config.outbound_proxy {
        let route = if proxy.contains(";lr") { proxy.clone() } else { format!("{proxy};lr") };
        message = message.header(Name::Route, address(&route));
    }
    let secure = setup.uri.len() > 5 && setup.uri.as_bytes()[..5].eq_ignore_ascii_case(b"sips:");
    message = message
        .header(Name::From, format_args!("{};tag={}", setup.from, setup.tag))
        .header(Name::To, &setup.to)
        .header(Name::CallId, call_id)
        .header(Name::CSeq, format_args!("{} INVITE", setup.cseq))
        .header(Name::Contact, core.contact(flow, secure))
        .header(Name::Allow, core.allow_text());
    let mut supported = core.supported();
    let required = core.config.reliable == Reliable::Required && !setup.without.has(OptionTag::Rel100);
    supported = supported.without(setup.without);
    message = message.header(Name::Supported, supported);
    if required {
        message = message.header(Name::Require, OptionTag::Rel100.as_str());
    }
    if let Some(seconds) = setup.session_expires.filter(|_| supported.has(OptionTag::Timer)) {
        message = message.header(Name::SessionExpires, seconds);
        let least = setup.min_se.or((core.config.min_se > 90).then_some(core.config.min_se));
        if let Some(least) = least {
            message = message.header(Name::MinSe, least);
        }
    }
    for (name, value) in &setup.headers {
        message = message.named(name, value);
    }
    for (name, value) in credentials {
        message = message.header(*name, value);
    }
    if let Some((name, value)) = core.agent_header(true) {
        message = message.header(name, value);
    }
    match body {
        Some(body) => message.body("application/sdp", body).finish(),
        None => message.finish(),
    }
}
