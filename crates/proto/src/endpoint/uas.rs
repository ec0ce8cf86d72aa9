//! Taking a call: the INVITE that forms a dialog, our responses to it, and the reliable ones among them.

use std::time::Duration;

use midcall_wire::{Method, Name, Uri};

use super::call::{Asked, Call, Refused};
use super::config::Reliable;
use super::core::{Core, Later};
use super::session_timer::{Negotiated, negotiate};
use crate::Msg;
use crate::dialog::{Dialog, OptionTag, Way};
use crate::event::{CallEvent, CallId, Ended, Incoming, Side};
use crate::flow::Flow;
use crate::rules::RuleId;
use crate::session::{Unacceptable, Wanted};
use crate::time::Instant;
use crate::transaction::ServerId;

impl Call {
    /// Begins with an INVITE from outside any dialog.
    pub(super) fn incoming(
        &mut self,
        core: &mut Core,
        now: Instant,
        server: ServerId,
        flow: Flow,
        message: &Msg,
        replaces: Option<CallId>,
    ) {
        let tag = core.rng.token(64);
        let remote = message.from().ok().and_then(|from| from.tag().map(str::to_owned)).unwrap_or_default();
        let mut dialog = Dialog::new(Way::Received, message, &tag, &remote);
        let at = core.at(now);
        dialog.apply_message(Way::Received, at, message);
        let index = self.add_leg(core, dialog, flow);
        let Some(leg) = self.legs.get(index) else { return };
        let cseq = message.cseq().map(|cseq| cseq.number).unwrap_or_default();
        self.asked.push(Asked {
            patience: message.expires().and_then(Result::ok).map(|s| now + Duration::from_secs(u64::from(s))),
            replaces,
            ..Asked::new(server, leg.id, message.clone(), Method::Invite, cseq)
        });
        if let Negotiated::TooSmall { min_se } = negotiate(core, None, message) {
            self.finish_setup(core, now, 422, &[(Name::MinSe, min_se.to_string())]);
            self.end(core, now, Ended::Refused { status: 422, by: Side::Us });
            return;
        }
        let from = message.from().ok();
        let sdp = message.sdp().and_then(|bytes| midcall_wire::sdp::Sdp::parse(bytes).ok());
        let incoming = Incoming {
            from: from.as_ref().map(|from| from.uri.to_owned()).unwrap_or_default(),
            display: from.as_ref().and_then(|from| from.display_name().map(|name| name.into_owned())),
            to: message.to().map(|to| to.uri.to_owned()).unwrap_or_default(),
            uri: message.request_uri().unwrap_or_default().to_owned(),
            offered: message.sdp().is_some(),
            media: sdp
                .map(|sdp| sdp.media().map(|media| media.kind().to_owned()).collect())
                .unwrap_or_default(),
            replaces,
            referred_by: message.referred_by().and_then(Result::ok).map(|by| by.uri.to_owned()),
        };
        core.tell(self.id, CallEvent::Incoming(incoming));
    }

    /// The INVITE that we have not answered yet.
    fn unanswered(&self) -> Option<usize> {
        self.asked.iter().position(|asked| asked.method == Method::Invite)
    }

    /// Sends a provisional response, reliably if the peer requires that, or offers it and there is a session to tell.
    pub(super) fn progress(
        &mut self,
        core: &mut Core,
        now: Instant,
        status: u16,
        session: Option<Wanted>,
    ) -> Result<(), Refused> {
        let Some(position) = self.unanswered() else {
            return Err(Refused { rule: RuleId::WhatMakesADialog, because: Default::default() });
        };
        let with_session = session.is_some();
        if let Some(session) = session {
            let before = self.describe(session);
            if let Some(asked) = self.asked.get_mut(position).filter(|asked| !asked.forms()) {
                asked.before = asked.before.take().or(before);
            }
        }
        self.progress_at(core, now, position, status, with_session)
    }

    fn progress_at(
        &mut self,
        core: &mut Core,
        now: Instant,
        position: usize,
        status: u16,
        with_session: bool,
    ) -> Result<(), Refused> {
        let Some(mut asked) = (position < self.asked.len()).then(|| self.asked.remove(position)) else {
            return Ok(());
        };
        let supported = asked.request.has_option(Name::Supported, OptionTag::Rel100.as_str());
        let required = asked.request.has_option(Name::Require, OptionTag::Rel100.as_str());
        let reliable = match core.config.reliable {
            Reliable::Off => false,
            Reliable::Supported => required || (supported && with_session),
            Reliable::Required => required || supported,
        };
        let offers = asked.request.sdp().is_none() && !asked.exchanged;
        if reliable && offers && self.wish.is_none() {
            // OA-06: the first reliable response to an offerless INVITE must offer, and there is nothing to offer yet.
            self.asked.insert(position, asked);
            return Err(Refused { rule: RuleId::FirstReliableLacksOffer, because: Default::default() });
        }
        if reliable && self.awaits_prack(&asked) {
            // PR-07: the next one waits for the PRACK of the one before.
            asked.queued.push((status, with_session));
            self.asked.insert(position, asked);
            return Ok(());
        }
        if self.send_progress(core, now, &mut asked, status, reliable, with_session || required) {
            self.asked.insert(position.min(self.asked.len()), asked);
        }
        Ok(())
    }

    pub(super) fn awaits_prack(&self, asked: &Asked) -> bool {
        self.leg(asked.leg).and_then(|index| self.legs.get(index)).is_some_and(|leg| {
            leg.resends.iter().any(|resend| resend.cseq == asked.cseq && resend.rseq.is_some())
        })
    }

    /// Sends it; false if it came to a refusal instead, because there is no session to describe.
    pub(super) fn send_progress(
        &mut self,
        core: &mut Core,
        now: Instant,
        asked: &mut Asked,
        status: u16,
        reliable: bool,
        with_session: bool,
    ) -> bool {
        let mut body = None;
        if with_session && !asked.exchanged {
            match self.description_for(asked, reliable) {
                Ok(sdp) => body = sdp,
                Err(why) => {
                    let headers = [(Name::Warning, warning(core, &why))];
                    self.respond(core, now, asked, 488, &headers, None);
                    self.end_setup(core, now, asked, 488);
                    return false;
                }
            }
        }
        let mut headers = Vec::new();
        if reliable {
            let rseq = match asked.rseq {
                Some(last) => last + 1,
                None => u32::try_from(core.rng.below(1 << 30)).unwrap_or(0) + 1,
            };
            asked.rseq = Some(rseq);
            asked.exchanged |= body.is_some();
            headers.push((Name::Require, OptionTag::Rel100.as_str().to_owned()));
            headers.push((Name::RSeq, rseq.to_string()));
        }
        asked.progress = Some((status, now));
        self.respond(core, now, asked, status, &headers, body);
        true
    }

    /// TX-25: who rings long says so each minute, lest a proxy gives up.
    pub(super) fn ring_on(&mut self, core: &mut Core, now: Instant) {
        let Some(position) = self.asked.iter().position(|asked| asked.rings_at().is_some_and(|at| at <= now))
        else {
            return;
        };
        let mut asked = self.asked.remove(position);
        if let Some((status, _)) = asked.progress {
            let reliable = asked.rseq.is_some();
            let _ = self.send_progress(core, now, &mut asked, status, reliable, false);
        }
        self.asked.insert(position, asked);
    }

    /// The description for a response to an INVITE: the answer to its offer, or the offer it asks for (reliable only).
    fn description_for(&self, asked: &Asked, reliable: bool) -> Result<Option<Vec<u8>>, Unacceptable> {
        let (Some(wish), Some(leg)) =
            (self.wish.as_deref(), self.leg(asked.leg).and_then(|index| self.legs.get(index)))
        else {
            return Ok(None);
        };
        let local = super::call::local(&leg.dialog);
        match leg.dialog.offers.pending.theirs.as_ref() {
            Some(offer) => match &offer.sdp {
                Some(sdp) => Ok(Some(crate::session::answer(wish, sdp, local)?.to_bytes())),
                None => Ok(None),
            },
            None if reliable && asked.request.sdp().is_none() => {
                Ok(Some(crate::session::full_offer(wish, local).to_bytes()))
            }
            None => Ok(None),
        }
    }

    /// Accepts the call: 200 with the answer, or the offer if the INVITE had none. Held back while a reliable response
    /// with a description lacks its PRACK (PR-08).
    pub(super) fn accept(
        &mut self,
        core: &mut Core,
        now: Instant,
        session: Option<Wanted>,
    ) -> Result<(), Refused> {
        let Some(position) = self.unanswered() else {
            return Err(Refused { rule: RuleId::WhatMakesADialog, because: Default::default() });
        };
        if self.asked.get(position).is_some_and(|asked| !asked.forms()) {
            self.decide(core, now, position, session);
            return Ok(());
        }
        if let Some(session) = session {
            self.describe(session);
        }
        self.accept_at(core, now, position);
        Ok(())
    }

    /// Takes the session that the application describes in a response, and gives the one before. What it has put on hold stays
    /// so.
    fn describe(&mut self, mut session: Wanted) -> Option<Box<Wanted>> {
        if let Some(wish) = self.wish.as_deref() {
            session.keep_holds(wish);
        }
        self.wish.replace(session.kept())
    }

    pub(super) fn accept_at(&mut self, core: &mut Core, now: Instant, position: usize) {
        if position >= self.asked.len() {
            return;
        }
        let mut asked = self.asked.remove(position);
        if self.awaits_prack(&asked) {
            asked.held_success = true;
            asked.queued.clear();
            self.asked.insert(position, asked);
            return;
        }
        let body = if asked.exchanged {
            Ok(None)
        } else if asked.request.sdp().is_none() {
            Ok(self.success_offer(&asked))
        } else {
            self.description_for(&asked, false)
        };
        let body = match body {
            Ok(body) => body,
            Err(why) => {
                let headers = [(Name::Warning, warning(core, &why))];
                self.respond(core, now, &asked, 488, &headers, None);
                self.end_setup(core, now, &asked, 488);
                return;
            }
        };
        let dialog = self.leg(asked.leg).and_then(|index| self.legs.get(index)).map(|leg| &leg.dialog);
        let mut headers = Vec::new();
        if let Negotiated::Run { headers: timer } = negotiate(core, dialog, &asked.request) {
            headers = timer;
        }
        self.respond(core, now, &asked, 200, &headers, body);
        if let Some(old) = asked.replaces {
            core.later.push(Later::Replace { old, by: self.id });
        }
    }

    /// The offer for a 2xx to an offerless INVITE: what this side wants, not an echo (OA-37).
    fn success_offer(&self, asked: &Asked) -> Option<Vec<u8>> {
        let wish = self.wish.as_deref()?;
        let leg = self.leg(asked.leg).and_then(|index| self.legs.get(index))?;
        Some(crate::session::full_offer(wish, super::call::local(&leg.dialog)).to_bytes())
    }

    /// Declines the call, or the re-INVITE that waits for a person: the session stays as it is then. What a reliable response
    /// to it has carried out already cannot be refused any more (RFC 6141 §3.3; RI-11).
    pub(super) fn refuse(&mut self, core: &mut Core, now: Instant, status: u16) -> Result<(), Refused> {
        let Some(asked) = self.unanswered().and_then(|position| self.asked.get(position)) else {
            return Err(Refused { rule: RuleId::WhatMakesADialog, because: Default::default() });
        };
        let forms = asked.forms();
        if asked.exchanged && !forms {
            return Err(Refused { rule: RuleId::ErrorAfterExecutedChange, because: Default::default() });
        }
        if status == 422 {
            // RFC 4028 §9: only an interval is refused so, and that is not the application's to weigh.
            return Err(Refused { rule: RuleId::IntervalRefusedWrongly, because: Default::default() });
        }
        self.finish_setup(core, now, status, &[]);
        if forms {
            self.end(core, now, Ended::Refused { status, by: Side::Us });
        } else {
            self.kick(core, now);
        }
        Ok(())
    }

    /// Sends a final response other than 2xx to the INVITE that waits.
    pub(super) fn finish_setup(
        &mut self,
        core: &mut Core,
        now: Instant,
        status: u16,
        headers: &[(Name, String)],
    ) {
        let Some(position) = self.unanswered() else { return };
        let mut asked = self.asked.remove(position);
        self.respond(core, now, &asked, status, headers, None);
        if let (Some(before), Some(wish)) = (asked.before.take(), self.wish.as_deref_mut()) {
            *wish = wish.without_streams_since(&before);
        }
    }

    fn end_setup(&mut self, core: &mut Core, now: Instant, asked: &Asked, status: u16) {
        if asked.forms() {
            self.end(core, now, Ended::Refused { status, by: Side::Us });
        }
    }

    /// A CANCEL came for an INVITE of the peer (RFC 3261 §9.2): 487, unless changes were executed (RFC 6141 §3.8).
    pub(super) fn cancelled(&mut self, core: &mut Core, now: Instant, server: ServerId) {
        let Some(position) = self.asked.iter().position(|asked| asked.server == server) else { return };
        let Some(asked) = self.asked.get(position) else { return };
        if asked.exchanged && !asked.forms() {
            self.accept_at(core, now, position);
            return;
        }
        self.give_up(core, now, position);
    }

    /// Answers an INVITE that is cancelled or has expired with 487; a call in its beginnings ends with it.
    pub(super) fn give_up(&mut self, core: &mut Core, now: Instant, position: usize) {
        if position >= self.asked.len() {
            return;
        }
        let mut asked = self.asked.remove(position);
        self.respond(core, now, &asked, 487, &[], None);
        if let (Some(before), Some(wish)) = (asked.before.take(), self.wish.as_deref_mut()) {
            *wish = wish.without_streams_since(&before);
        }
        if asked.forms() {
            self.end(core, now, Ended::Cancelled { by: Side::Them });
        }
        self.kick(core, now);
    }

    /// Our reliable response was acknowledged: what waited for that goes out.
    pub(super) fn acknowledged(&mut self, core: &mut Core, now: Instant, index: usize, invite: u32) {
        let Some(leg) = self.legs.get_mut(index) else { return };
        leg.resends.retain(|resend| !(resend.cseq == invite && resend.rseq.is_some()));
        let id = leg.id;
        let Some(position) = self
            .asked
            .iter()
            .position(|asked| asked.leg == id && asked.cseq == invite && asked.method == Method::Invite)
        else {
            return;
        };
        let Some(asked) = self.asked.get_mut(position) else { return };
        if asked.held_success {
            asked.held_success = false;
            self.accept_at(core, now, position);
        } else if !asked.queued.is_empty() {
            let (status, with_session) = asked.queued.remove(0);
            let _ = self.progress_at(core, now, position, status, with_session);
        }
    }
}

impl Asked {
    /// When the next provisional response is due: one minute after the last, 2.5 for a reliable one (RFC 3262 §3).
    pub(super) fn rings_at(&self) -> Option<Instant> {
        let (_, last) = self.progress.filter(|_| self.method == Method::Invite && !self.held_success)?;
        Some(last + Duration::from_secs(if self.rseq.is_some() { 150 } else { 60 }))
    }
}

/// A Warning that says why no session can be agreed on (RFC 3261 §20.43, §21.4.26).
pub(super) fn warning(core: &Core, why: &Unacceptable) -> String {
    let host = core
        .config
        .local
        .first()
        .map_or_else(|| "midcall.invalid".to_owned(), |local| local.addr.to_string());
    format!("{} {host} \"{}\"", why.warning, why.text)
}

/// Whether a Refer-To or Replaces value names a URI that we can call.
pub(super) fn callable(uri: &str) -> bool {
    Uri::parse(uri)
        .is_ok_and(|uri| matches!(uri.scheme, midcall_wire::Scheme::Sip | midcall_wire::Scheme::Sips))
}
