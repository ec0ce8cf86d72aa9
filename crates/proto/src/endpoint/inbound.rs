//! Requests of the peer inside a dialog.

use bytes::Bytes;
use midcall_wire::sdp::Sdp;
use midcall_wire::{Builder, Method, Name, NameAddr};

use super::call::{Asked, Call, local};
use super::config::Policy;
use super::core::Core;
use super::session_timer::{Negotiated, negotiate};
use super::uas::warning;
use crate::Msg;
use crate::dialog::{Noted, OptionSet, OptionTag, Seen, Way};
use crate::event::{CallEvent, Ended, What};
use crate::flow::Flow;
use crate::rules::methods::MODIFY_SESSION;
use crate::rules::{Reply, RuleId};
use crate::time::Instant;
use crate::transaction::ServerId;

impl Call {
    /// A request in this leg.
    pub(super) fn request(
        &mut self,
        core: &mut Core,
        now: Instant,
        index: usize,
        server: ServerId,
        flow: Flow,
        message: Msg,
    ) {
        let at = core.at(now);
        self.formed_beside(index, &message);
        let seen = Seen::read(Way::Received, at, &message);
        let Some(leg) = self.legs.get(index) else { return };
        let asked = Asked::new(server, leg.id, message.clone(), seen.method, seen.cseq);
        let owed = leg.dialog.owed(&seen).into_iter().next();
        if owed.as_ref().is_some_and(|owed| owed.rule == RuleId::CSeqTooLow) {
            // An old request changes nothing (DLG-12): answered without a trace. It was sent for what was so back then.
            reply(core, now, server, &message, 500, &[]);
            return;
        }
        self.judge_peer(core, index, &seen);
        if seen.headers.cseq_mismatch {
            reply(core, now, server, &message, 400, &[]);
            return;
        }
        self.met = true;
        let Some(leg) = self.legs.get_mut(index) else { return };
        leg.came_by(flow);
        if seen.method == Method::Invite {
            leg.resends.iter_mut().for_each(|resend| resend.overtaken = true);
        }
        let over = leg.dialog.usage.over();
        let applied = leg.dialog.apply(&seen);
        if seen.method == Method::Bye {
            self.bye_came(core, now, index, &asked);
            return;
        }
        let of_usage = matches!(seen.method, Method::Invite | Method::Update | Method::Info | Method::Refer);
        if over && of_usage {
            self.respond(core, now, &asked, 481, &[], None);
            return;
        }
        if let Some(owed) = owed {
            self.refuse_owed(core, now, &asked, owed.reply);
            return;
        }
        if !core.config.identity_changes && self.changes_identity(index, &seen) {
            self.respond(core, now, &asked, 403, &[], None);
            return;
        }
        if self.unsupported(core, now, &asked, &seen) || self.bad_body(core, now, &asked, &seen) {
            return;
        }
        if seen.method != Method::Notify {
            self.follow(core, now, index, &applied);
        }
        match seen.method {
            Method::Invite => self.reinvite_came(core, now, index, asked, &seen),
            Method::Update => self.update_came(core, now, index, asked, &seen),
            Method::Prack => self.prack_came(core, now, index, &asked, &seen),
            Method::Refer => self.refer_came(core, now, index, &asked),
            Method::Notify => self.notify_came(core, now, index, &asked, &seen, &applied),
            Method::Info => {
                let content_type = message.header(Name::ContentType).unwrap_or_default().to_owned();
                self.respond(core, now, &asked, 200, &[], None);
                core.tell(self.id, CallEvent::Info { content_type, body: message.body().to_vec() });
            }
            Method::Options => {
                self.respond(core, now, &asked, 200, &[(Name::Accept, "application/sdp".to_owned())], None);
            }
            Method::Subscribe => self.subscribe_came(core, now, &asked),
            Method::Other => self.respond(core, now, &asked, 501, &[], None),
            _ => self.respond(core, now, &asked, 405, &[], None),
        }
    }

    fn changes_identity(&self, index: usize, seen: &Seen<'_>) -> bool {
        let known = self.legs.get(index).map(|leg| &*leg.dialog.party.theirs.uri);
        MODIFY_SESSION.has(seen.method) && known != seen.from_uri
    }

    fn refuse_owed(&mut self, core: &mut Core, now: Instant, asked: &Asked, reply: Reply) {
        let Some(status) = reply.status() else { return };
        let mut headers = Vec::new();
        if reply == Reply::RetryAfter {
            // CF-21: 1 to 10 s; 0 is legal but some peers choke on it.
            headers.push((Name::RetryAfter, (1 + core.rng.below(10)).to_string()));
        }
        self.respond(core, now, asked, status, &headers, None);
    }

    /// 420 for a required extension that we lack (ER-04).
    fn unsupported(&mut self, core: &mut Core, now: Instant, asked: &Asked, seen: &Seen<'_>) -> bool {
        let lacking: Vec<&str> = lacking(core, &asked.request, seen.require);
        if lacking.is_empty() {
            return false;
        }
        self.respond(core, now, asked, 420, &[(Name::Unsupported, lacking.join(", "))], None);
        true
    }

    /// 415 for a body with a part that must be understood and is no session description (OA-49, ER-07), 400 for a
    /// description that cannot be read (failure O13).
    fn bad_body(&mut self, core: &mut Core, now: Instant, asked: &Asked, seen: &Seen<'_>) -> bool {
        let session = matches!(seen.method, Method::Invite | Method::Update | Method::Prack);
        if !session || !seen.has_body {
            return false;
        }
        if seen.has_sdp && seen.sdp.is_none() {
            self.respond(core, now, asked, 400, &[], None);
            return true;
        }
        if asked.request.has_foreign_part() {
            self.respond(core, now, asked, 415, &[(Name::Accept, BODIES.to_owned())], None);
            return true;
        }
        false
    }

    fn bye_came(&mut self, core: &mut Core, now: Instant, index: usize, asked: &Asked) {
        self.respond(core, now, asked, 200, &[], None);
        let leg = asked.leg;
        // RI-16: what the peer had asked and we not answered yet ends with 487.
        while let Some(position) = self.asked.iter().position(|pending| pending.leg == leg) {
            let pending = self.asked.remove(position);
            self.respond(core, now, &pending, 487, &[], None);
        }
        if let Some(leg) = self.legs.get_mut(index) {
            leg.resends.clear();
            leg.dialog.bye_ended();
            if leg.surplus || leg.drop_at.is_some() {
                return;
            }
        }
        let others = self.legs.iter().any(|leg| leg.dialog.usage.early() && leg.drop_at.is_none());
        if self.setup.is_some() && others {
            return;
        }
        self.setup = None;
        let reason = asked.request.header(Name::Reason).map(str::to_owned);
        self.end(core, now, Ended::PeerHungUp { reason });
    }

    fn reinvite_came(&mut self, core: &mut Core, now: Instant, index: usize, asked: Asked, seen: &Seen<'_>) {
        let Some(leg) = self.legs.get(index) else { return };
        if let Negotiated::TooSmall { min_se } = negotiate(core, Some(&leg.dialog), &asked.request) {
            self.respond(core, now, &asked, 422, &[(Name::MinSe, min_se.to_string())], None);
            return;
        }
        if self.asks_person(core, index, seen) {
            self.ask_person(core, now, index, asked, seen);
            return;
        }
        self.asked.push(asked);
        self.take_offer(core, now, self.asked.len() - 1, seen.method);
    }

    fn update_came(&mut self, core: &mut Core, now: Instant, index: usize, asked: Asked, seen: &Seen<'_>) {
        if !core.config.update {
            self.respond(core, now, &asked, 405, &[], None);
            return;
        }
        let Some(leg) = self.legs.get(index) else { return };
        if let Negotiated::TooSmall { min_se } = negotiate(core, Some(&leg.dialog), &asked.request) {
            self.respond(core, now, &asked, 422, &[(Name::MinSe, min_se.to_string())], None);
            return;
        }
        if self.asks_person(core, index, seen) {
            // UP-11: UPDATE cannot wait for a person; a re-INVITE can.
            self.respond(core, now, &asked, 504, &[], None);
            return;
        }
        self.asked.push(asked);
        self.take_offer(core, now, self.asked.len() - 1, seen.method);
    }

    /// Answers a re-INVITE or UPDATE from the session wanted, at once.
    pub(super) fn take_offer(&mut self, core: &mut Core, now: Instant, position: usize, method: Method) {
        let Some(asked) = self.asked.get(position) else { return };
        let Some(index) = self.leg(asked.leg) else { return };
        let what = match self.legs.get(index).and_then(|leg| leg.dialog.offers.pending.theirs.as_ref()) {
            Some(offer) => offer.sdp.clone().map(|sdp| self.differences(index, &sdp)).unwrap_or_default(),
            None => Vec::new(),
        };
        let before = self.exchanges(index);
        if method == Method::Invite {
            self.accept_at(core, now, position);
        } else {
            let asked = self.asked.remove(position);
            self.answer_update(core, now, index, &asked);
        }
        if !what.is_empty() && !self.ended && self.exchanges(index) != before {
            core.tell(self.id, CallEvent::PeerChanged { method, what });
        }
        self.kick(core, now);
    }

    fn answer_update(&mut self, core: &mut Core, now: Instant, index: usize, asked: &Asked) {
        let Some(leg) = self.legs.get(index) else { return };
        let mut body = None;
        if let Some(offer) =
            leg.dialog.offers.pending.theirs.as_ref().filter(|offer| offer.cseq == asked.cseq)
        {
            // Before the application gave a session nothing can be answered: the peer may ask again.
            let Some(wish) = self.standing(index) else {
                self.refuse_owed(core, now, asked, Reply::RetryAfter);
                return;
            };
            let answer =
                offer.sdp.as_ref().map(|offer| crate::session::answer(wish, offer, local(&leg.dialog)));
            match answer {
                Some(Ok(answer)) => body = Some(answer.to_bytes()),
                Some(Err(why)) => {
                    let headers = [(Name::Warning, warning(core, &why))];
                    self.respond(core, now, asked, 488, &headers, None);
                    return;
                }
                None => {
                    self.respond(core, now, asked, 400, &[], None);
                    return;
                }
            }
        }
        let mut headers = Vec::new();
        if let Negotiated::Run { headers: timer } = negotiate(core, Some(&leg.dialog), &asked.request) {
            headers = timer;
        }
        self.respond(core, now, asked, 200, &headers, body);
    }

    fn prack_came(&mut self, core: &mut Core, now: Instant, index: usize, asked: &Asked, seen: &Seen<'_>) {
        let mut body = None;
        let (Some(leg), Some(wish)) = (self.legs.get(index), self.standing(index)) else {
            self.respond(core, now, asked, 200, &[], None);
            return;
        };
        if let Some(offer) = leg.dialog.offers.pending.theirs.as_ref().filter(|offer| offer.on == seen.at.n) {
            // A PRACK cannot be refused cleanly (PR-17): an offer we cannot use is answered with all streams at port 0.
            body = offer.sdp.as_ref().map(|offer| {
                match crate::session::answer(wish, offer, local(&leg.dialog)) {
                    Ok(answer) => answer.to_bytes(),
                    Err(_) => crate::session::decline(wish, offer, local(&leg.dialog)).to_bytes(),
                }
            });
        }
        self.respond(core, now, asked, 200, &[], body);
        if let Some((_, invite, _)) = seen.rack {
            self.acknowledged(core, now, index, invite);
        }
        self.kick(core, now);
        self.release_success(core, now);
    }

    fn notify_came(
        &mut self,
        core: &mut Core,
        now: Instant,
        index: usize,
        asked: &Asked,
        seen: &Seen<'_>,
        applied: &crate::dialog::Applied,
    ) {
        if !seen.headers.event_refer {
            self.respond(core, now, asked, 489, &[(Name::AllowEvents, "refer".to_owned())], None);
            return;
        }
        if !applied.iter().any(|noted| matches!(noted, Noted::Notified { .. })) {
            self.respond(core, now, asked, 481, &[], None);
            return;
        }
        self.respond(core, now, asked, 200, &[], None);
        self.follow(core, now, index, applied);
    }

    /// Whether an offer needs a person: it adds a stream and the policy says to ask.
    fn asks_person(&self, core: &Core, index: usize, seen: &Seen<'_>) -> bool {
        let Some(sdp) = seen.sdp.as_ref().filter(|_| core.config.new_streams == Policy::Ask) else {
            return false;
        };
        let Some(wish) = self.wish.as_deref() else { return false };
        let Some(leg) = self.legs.get(index) else { return false };
        let known = leg.dialog.offers.agreed.as_ref();
        sdp.media().enumerate().any(|(line, media)| {
            let was_live =
                known.and_then(|agreed| agreed.theirs.media_at(line)).is_some_and(|media| !media.rejected());
            !media.rejected() && !was_live && !wish.wants(&crate::session::MediaKind::parse(media.kind()))
        })
    }

    pub(super) fn what_changes(&self, index: usize, seen: &Seen<'_>) -> Vec<What> {
        seen.sdp.as_ref().map(|sdp| self.differences(index, sdp)).unwrap_or_default()
    }

    /// What a new description of the peer changes against its last one.
    fn differences(&self, index: usize, new: &Sdp) -> Vec<What> {
        let Some(agreed) = self.legs.get(index).and_then(|leg| leg.dialog.offers.agreed.as_ref()) else {
            return Vec::new();
        };
        What::between(&agreed.theirs, new)
    }

    /// An ACK for a 2xx of ours.
    pub(super) fn ack_came(&mut self, core: &mut Core, now: Instant, index: usize, message: &Msg) {
        let at = core.at(now);
        let cseq = message.cseq().map(|cseq| cseq.number).unwrap_or_default();
        let confirmed = self.legs.get(index).is_some_and(|leg| leg.dialog.usage.confirmed());
        let Some(leg) = self.legs.get_mut(index) else { return };
        let awaited = leg.resends.iter().any(|resend| resend.cseq == cseq && resend.rseq.is_none());
        leg.resends.retain(|resend| !(resend.cseq == cseq && resend.rseq.is_none()));
        let owed = leg
            .dialog
            .offers
            .pending
            .ours
            .as_ref()
            .is_some_and(|offer| offer.cseq == cseq && offer.carrier == crate::dialog::Carrier::Success);
        self.met = true;
        self.apply_received(core, now, index, at, message);
        if !awaited || !confirmed {
            return;
        }
        self.confirmed(core, now, index);
        if owed && message.sdp().is_none() && self.agreed().is_none() {
            // OA-07: the answer never came, so there is no session (failure O6).
            self.send_bye(core, now, index, Some("SIP;cause=488;text=\"No answer in ACK\""));
            self.end(core, now, Ended::NoSession);
            return;
        }
        if self.ending.is_some() {
            self.finish_ending(core, now);
            return;
        }
        self.kick(core, now);
    }
}

/// The bodies that we understand, as Accept lists them.
pub(super) const BODIES: &str = "application/sdp, multipart/mixed, multipart/alternative";

/// The required extensions of a request that we lack, as written.
pub(super) fn lacking<'m>(core: &Core, message: &'m Msg, require: OptionSet) -> Vec<&'m str> {
    if require.is_empty() {
        return Vec::new();
    }
    let ours = core.supported();
    message
        .values(Name::Require)
        .filter(|tag| !ours.tags().any(|known: OptionTag| known.as_str().eq_ignore_ascii_case(tag)))
        .collect()
}

/// Answers a request outside any dialog.
pub(super) fn reply(
    core: &mut Core,
    now: Instant,
    server: ServerId,
    message: &Msg,
    status: u16,
    headers: &[(Name, String)],
) {
    let tag = core.rng.token(64);
    reply_as(core, now, server, message, status, headers, &tag);
}

/// Answers a request with this To tag, if it has none.
pub(super) fn reply_as(
    core: &mut Core,
    now: Instant,
    server: ServerId,
    message: &Msg,
    status: u16,
    headers: &[(Name, String)],
    tag: &str,
) {
    let mut response = Builder::reply(message, status, None);
    if message.to().is_ok_and(|to| to.tag().is_none()) {
        response = response.to_tag(tag);
    }
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    if status == 405 || (status == 200 && message.method() == Method::Options) {
        response = response.header(Name::Allow, core.allow_text()).header(Name::Supported, core.supported());
    }
    if let Some((name, value)) = core.agent_header(false) {
        response = response.header(name, value);
    }
    core.layer.respond(now, server, Bytes::from(response.finish()), status);
}

/// The URI inside a name-addr header value.
pub(super) fn uri_of(value: &str) -> Option<String> {
    NameAddr::parse(value).ok().map(|address| address.uri.to_owned())
}
