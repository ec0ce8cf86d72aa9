//! Transfer: REFER, its implicit subscription and its outcome (RFC 3515, RFC 5589, RFC 3891).

use std::time::Duration;

use midcall_wire::{Method, Name, NameAddr, Uri, escape_header};

use super::beside::is_gruu;
use super::call::{Asked, Call, Leg, Refused, Spec};
use super::config::Policy;
use super::core::{Core, Purpose, address};
use super::inbound::uri_of;
use super::modify::Modification;
use super::uas::callable;
use crate::Msg;
use crate::dialog::{Dialog, Open, Seen, Way};
use crate::event::{CallEvent, Ended};
use crate::rules::RuleId;
use crate::time::Instant;

/// How long the subscription of a REFER lives: longer than the referred call may ring (RF-37).
const SUBSCRIPTION: Duration = Duration::from_secs(180);
/// The longest that news of a transfer of ours is waited for, whatever its subscription says.
const LONGEST: Duration = Duration::from_secs(3_600);
/// The least time between two NOTIFYs (RF-10).
const NOTIFY_GAP: Duration = Duration::from_secs(1);
/// How often a NOTIFY that was overtaken is sent once more.
const MOST_OVERTAKEN: u8 = 3;
/// How long a REFER waits for the application before it is answered all the same, undecided (RF-04).
const DECISION: Duration = Duration::from_secs(3);

/// A time in whole seconds that is not over before it: what is told to expire later than it does harms nobody.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// A REFER that we accepted, with the subscription it made.
pub(super) struct Referral {
    pub(super) refer: u32,
    leg: u32,
    /// The Event id: all but the first REFER of a dialog need it (RF-07).
    id: bool,
    target: String,
    replaces: Option<String>,
    required: bool,
    referred_by: Option<String>,
    /// The REFER, while it is not answered.
    asked: Option<Asked>,
    /// Whether the application has yet to decide.
    undecided: bool,
    /// When the REFER is answered though nobody decided.
    answer_by: Instant,
    /// The status to report next.
    news: Option<u16>,
    told: u16,
    last: Option<Instant>,
    expires: Instant,
    pub(super) placed: bool,
    /// Nothing is left to tell.
    done: bool,
    /// The number of the newest NOTIFY, while it has no final response.
    awaited: Option<u32>,
    /// How often a NOTIFY was refused because a later request had overtaken it.
    overtaken: u8,
}

impl Referral {
    /// Whether its subscriber still has to hear something.
    fn open(&self) -> bool {
        !self.done || self.awaited.is_some()
    }
}

/// A transfer that we asked for.
pub(super) struct Transfer {
    /// The number of the REFER; `None` while it waits for the address of a name.
    cseq: Option<u32>,
    status: u16,
    /// When nobody will tell any more how it went; `None` while the REFER has no final response.
    until: Option<Instant>,
}

impl Transfer {
    /// Whether its REFER has this number.
    pub(super) fn is(&self, number: Option<u32>) -> bool {
        self.cseq == number
    }

    pub(super) const fn new(cseq: Option<u32>) -> Self {
        Self { cseq, status: 0, until: None }
    }
}

/// What a REFER asks for, for the application that places the call.
#[derive(Clone, Debug)]
pub struct Referred {
    /// The URI to call.
    pub target: String,
    /// The Replaces header to send, already decoded (RFC 3891).
    pub replaces: Option<String>,
    /// Whether the target must know Replaces: the URI said `Require=replaces` (RFC 5589 §7.5).
    pub required: bool,
    /// The Referred-By header to copy (RFC 3892).
    pub referred_by: Option<String>,
}

impl Call {
    /// Asks the peer to call somebody else. `replaces` names a dialog of that target (attended transfer).
    pub(super) fn refer(
        &mut self,
        core: &mut Core,
        now: Instant,
        target: &str,
        replaces: Option<&Dialog>,
    ) -> Result<(), Refused> {
        let refused = Refused { rule: RuleId::SessionOverAtBye, because: Default::default() };
        let Some(index) = self.main().filter(|_| !self.ended) else { return Err(refused) };
        if let Some(leg) = self.legs.get(index) {
            let asked = leg.dialog.judge(&Seen::planned(Method::Refer, false, core.at(now)));
            let unlisted =
                asked.breaches.into_iter().find(|breach| breach.rule == RuleId::LatestAllowIgnored);
            if let Some(breach) = unlisted {
                return Err(Refused { rule: breach.rule, because: breach.because });
            }
        }
        // An early dialog may be over before the outcome can be told in it.
        if !self.established {
            return Err(Refused { rule: RuleId::WhatMakesADialog, because: Default::default() });
        }
        // A NOTIFY without id is about the first REFER that arrived: with two on the way nobody knows which (RF-07).
        if self.transfers.iter().any(|transfer| transfer.until.is_none()) {
            return Err(Refused { rule: RuleId::ReferIdMissing, because: Default::default() });
        }
        let target = address(target);
        let uri = uri_of(&target).unwrap_or(target);
        let refer_to = match replaces {
            Some(dialog) => {
                // From the target's point of view: to-tag is its own tag, from-tag ours (RF-16).
                let value = format!(
                    "{};to-tag={};from-tag={}",
                    dialog.call_id, dialog.party.theirs.tag, dialog.party.ours.tag
                );
                format!("<{uri}?Replaces={}>", escape_header(&value))
            }
            None => format!("<{uri}>"),
        };
        let by = core.identity_value(None);
        let by = uri_of(&by).unwrap_or(by);
        if self.legs.get(index).is_some_and(|leg| is_gruu(&leg.dialog.party.theirs.target)) {
            return self.refer_gruu(core, now, index, &refer_to, &format!("<{by}>"));
        }
        let spec = Spec::new(Method::Refer)
            .header(Name::ReferTo, refer_to)
            .header(Name::ReferredBy, format_args!("<{by}>"));
        let sent = self.send(core, now, index, spec, Purpose::Refer)?;
        let cseq = self.legs.get(index).and_then(|leg| leg.dialog.party.ours.cseq);
        self.transfers.push(Transfer::new(sent.and(cseq)));
        Ok(())
    }

    /// The REFER that waited for the address of a name went out with this number, or could not.
    pub(super) fn refer_sent(&mut self, core: &mut Core, cseq: Option<u32>) {
        let Some(position) = self.transfers.iter().position(|transfer| transfer.cseq.is_none()) else {
            return;
        };
        if cseq.is_none() {
            self.transfers.remove(position);
            core.tell(self.id, CallEvent::Transfer { status: 503, done: true });
        } else if let Some(transfer) = self.transfers.get_mut(position) {
            transfer.cseq = cseq;
        }
    }

    /// The final response to our REFER.
    pub(super) fn refer_answered(
        &mut self,
        core: &mut Core,
        now: Instant,
        index: usize,
        (cseq, status): (u32, u16),
        message: Option<&Msg>,
        request: Option<&Msg>,
    ) {
        if matches!(status, 401 | 407)
            && let (Some(credentials), Some(request)) =
                (self.answer_challenge(core, message, request), request)
        {
            let mut spec = Spec::new(Method::Refer);
            for name in [Name::ReferTo, Name::ReferredBy, Name::TargetDialog, Name::Require] {
                spec.headers.extend(request.header(name).map(|value| (name, value.to_owned())));
            }
            spec.credentials = credentials;
            if let Ok(sent) = self.send(core, now, index, spec, Purpose::Refer) {
                let again = self.legs.get(index).and_then(|leg| leg.dialog.party.ours.cseq);
                let again = sent.and(again);
                self.transfers.retain(|transfer| transfer.cseq != Some(cseq));
                self.transfers.push(Transfer::new(again));
                return;
            }
        }
        let asked = |transfer: &Transfer| transfer.cseq == Some(cseq);
        let Some(position) = self.transfers.iter().position(asked) else { return };
        if (200..300).contains(&status) {
            // The outcome comes by NOTIFY (RF-04), the first within 64*T1 (RF-32).
            if let Some(transfer) = self.transfers.get_mut(position) {
                transfer.until.get_or_insert(now + core.patience());
            }
            return;
        }
        self.transfers.remove(position);
        core.tell(self.id, CallEvent::Transfer { status, done: true });
        let beside = self.legs.get(index).is_some_and(Leg::beside);
        self.forget_beside(core, now);
        if matches!(status, 408 | 481) && !self.ended && self.is_up() && !beside {
            self.hang_up(core, now, if status == 408 { Ended::Timeout } else { Ended::Lost { status } });
            return;
        }
        self.resume_after_failure(core, now);
    }

    /// The call is over: a REFER without a response is waited for no longer than its transaction lasts.
    pub(super) fn bound_transfers(&mut self, core: &Core, now: Instant) {
        for transfer in &mut self.transfers {
            transfer.until.get_or_insert(now + core.patience());
        }
    }

    /// Gives up waiting for news of transfers whose subscriptions have run out.
    pub(super) fn transfers_over(&mut self, core: &mut Core, now: Instant) {
        let over = |transfer: &Transfer| transfer.until.is_some_and(|until| until <= now);
        while let Some(position) = self.transfers.iter().position(over) {
            let status = self.transfers.remove(position).status;
            let status = if status == 0 { 408 } else { status };
            core.tell(self.id, CallEvent::Transfer { status, done: true });
            self.forget_beside(core, now);
            self.resume_after_failure(core, now);
        }
    }

    /// When waiting for news of a transfer ends.
    pub(super) fn transfers_until(&self) -> Option<Instant> {
        self.transfers.iter().filter_map(|transfer| transfer.until).min()
    }

    /// Whether a transfer of either side still wants its last word.
    pub(super) fn transfers_open(&self) -> bool {
        !self.transfers.is_empty() || self.referrals.iter().any(Referral::open)
    }

    /// RF-25: a failed transfer takes the call off hold again.
    fn resume_after_failure(&mut self, core: &mut Core, now: Instant) {
        if self.is_up() && self.wish.as_deref().is_some_and(crate::session::Wanted::held) {
            self.want_quietly(core, now, Modification::Resume(None));
        }
    }

    /// A NOTIFY brought news of our transfer.
    pub(super) fn transfer_news(
        &mut self,
        core: &mut Core,
        now: Instant,
        refer: u32,
        status: Option<u16>,
        done: bool,
    ) {
        let Some(position) = self.transfers.iter().position(|transfer| transfer.cseq == Some(refer)) else {
            return;
        };
        let expires = self.legs.iter().flat_map(|leg| &leg.dialog.subscriptions);
        let expires = expires.filter(|s| s.refer == Way::Sent && s.cseq == refer).find_map(|s| s.expires);
        let Some(transfer) = self.transfers.get_mut(position) else { return };
        if let Some(status) = status {
            transfer.status = status;
        }
        // The NOTIFY that tells of the expiry may be resent for 64*T1.
        let until = expires.unwrap_or(now + SUBSCRIPTION).min(now + LONGEST) + core.patience();
        transfer.until = Some(until);
        let status = transfer.status;
        let last = done || status >= 200;
        core.tell(self.id, CallEvent::Transfer { status, done: last });
        if !last {
            return;
        }
        self.transfers.remove(position);
        self.forget_beside(core, now);
        if (200..300).contains(&status) {
            // RF-24: the transferor hangs up once the transfer is known to have worked.
            self.hang_up(core, now, Ended::HungUp);
        } else {
            self.resume_after_failure(core, now);
        }
    }

    /// REFER of the peer.
    pub(super) fn refer_came(&mut self, core: &mut Core, now: Instant, index: usize, asked: &Asked) {
        let Some(leg) = self.legs.get(index).map(|leg| leg.id) else { return };
        let refer_to: Vec<&str> = asked.request.values(Name::ReferTo).collect();
        let contacts = asked.request.values(Name::Contact).count();
        let target = match refer_to.as_slice() {
            [one] if contacts == 1 => NameAddr::parse(one).ok(),
            _ => None,
        };
        let Some(uri) = target.and_then(|target| Uri::parse(target.uri).ok().map(|uri| (target.uri, uri)))
        else {
            self.respond(core, now, asked, 400, &[], None);
            return;
        };
        let plain = uri.0.split('?').next().unwrap_or(uri.0).to_owned();
        // RFC 5630 §5.1.1.3: what began as sips does not go on as sip unless a person says so.
        let downgrades = self.legs.get(index).is_some_and(|leg| leg.dialog.secure)
            && !matches!(uri.1.scheme, midcall_wire::Scheme::Sips)
            && core.config.refer != Policy::Ask;
        if !callable(uri.0) || downgrades || core.config.refer == Policy::Refuse {
            self.respond(core, now, asked, 603, &[], None);
            return;
        }
        let referral = Referral {
            refer: asked.cseq,
            leg,
            id: self.legs.get(index).is_some_and(|leg| {
                leg.dialog.subscriptions.iter().filter(|s| s.refer == Way::Received).count() > 1
            }),
            target: plain.clone(),
            replaces: uri.1.header("Replaces").map(|value| value.into_owned()),
            required: uri
                .1
                .header("Require")
                .is_some_and(|value| value.trim().eq_ignore_ascii_case("replaces")),
            referred_by: asked.request.header(Name::ReferredBy).map(str::to_owned),
            asked: None,
            undecided: core.config.refer == Policy::Ask,
            answer_by: now + DECISION,
            news: None,
            told: 0,
            last: None,
            expires: now + SUBSCRIPTION,
            placed: false,
            done: false,
            awaited: None,
            overtaken: 0,
        };
        let event = CallEvent::Referred {
            refer: asked.cseq,
            to: plain,
            referred_by: referral.referred_by.as_deref().and_then(uri_of),
            attended: referral.replaces.is_some(),
            decide: core.config.refer == Policy::Ask,
        };
        self.referrals.push(referral);
        core.tell(self.id, event);
        if core.config.refer == Policy::Accept {
            self.accept_refer(core, now, asked.cseq, Some(asked));
        } else if let Some(referral) = self.referrals.last_mut() {
            let request = asked.request.clone();
            referral.asked = Some(Asked::new(asked.server, leg, request, Method::Refer, asked.cseq));
        }
    }

    /// Accepts a REFER: 200, and the first NOTIFY at once (RF-03, RF-05).
    pub(super) fn accept_refer(&mut self, core: &mut Core, now: Instant, refer: u32, asked: Option<&Asked>) {
        let mut kept = None;
        if let Some(referral) = self.referrals.iter_mut().find(|referral| referral.refer == refer) {
            referral.undecided = false;
            kept = referral.asked.take();
        }
        let Some(asked) = asked.or(kept.as_ref()) else { return };
        // RFC 4488 §4: the referrer wants no subscription, and we grant that.
        let unsubscribed =
            asked.request.header(Name::ReferSub).is_some_and(|value| value.trim_start().starts_with("false"));
        let headers: &[(Name, String)] =
            if unsubscribed { &[(Name::ReferSub, "false".to_owned())] } else { &[] };
        self.respond(core, now, asked, 200, headers, None);
        if let Some(referral) = self.referrals.iter_mut().find(|referral| referral.refer == refer) {
            referral.done = unsubscribed;
            referral.news = (!unsubscribed).then_some(100);
        }
        self.notify_referrers(core, now);
    }

    /// Declines a REFER that waits for the application: by 603, or by NOTIFY once it is answered (RFC 3515 §2.4.2).
    pub(super) fn decline_refer(&mut self, core: &mut Core, now: Instant, refer: u32) {
        let Some(position) = self.referrals.iter().position(|r| r.refer == refer && r.undecided) else {
            return;
        };
        let Some(referral) = self.referrals.get_mut(position) else { return };
        if let Some(asked) = referral.asked.take() {
            self.referrals.remove(position);
            self.respond(core, now, &asked, 603, &[], None);
            return;
        }
        referral.undecided = false;
        referral.news = Some(603);
        self.notify_referrers(core, now);
    }

    /// Answers what waited too long for the application: the outcome comes by NOTIFY. A REFER cannot be left without a
    /// final response until a person has made up their mind (RFC 3515 §2.4.2; RF-04).
    pub(super) fn answer_undecided(&mut self, core: &mut Core, now: Instant) {
        for position in 0..self.referrals.len() {
            let Some(referral) = self.referrals.get_mut(position).filter(|r| r.answer_by <= now) else {
                continue;
            };
            let Some(asked) = referral.asked.take() else { continue };
            referral.news = Some(100);
            // RI-16: the session ended meanwhile.
            let status = if self.ended { 487 } else { 200 };
            referral.done = self.ended;
            self.respond(core, now, &asked, status, &[], None);
        }
    }

    /// What an accepted REFER asks for; once.
    pub(super) fn take_referred(&mut self, refer: u32) -> Option<Referred> {
        let referral = self.referrals.iter_mut().find(|r| r.refer == refer && !r.placed && !r.undecided)?;
        referral.placed = true;
        Some(Referred {
            target: referral.target.clone(),
            replaces: referral.replaces.clone(),
            required: referral.required,
            referred_by: referral.referred_by.clone(),
        })
    }

    /// The call placed for a REFER has news (RFC 3515 §2.4.5).
    pub(super) fn referred_news(&mut self, core: &mut Core, now: Instant, refer: u32, status: u16) {
        if let Some(referral) = self.referrals.iter_mut().find(|r| r.refer == refer && !r.done)
            && status > referral.told
        {
            referral.news = Some(status);
        }
        self.notify_referrers(core, now);
    }

    /// SUBSCRIBE within the dialog renews or ends the subscription of a REFER and makes none; the call to the target goes
    /// on either way (RFC 3515 §2.4.4).
    pub(super) fn subscribe_came(&mut self, core: &mut Core, now: Instant, asked: &Asked) {
        let event = asked.request.event();
        if event.as_ref().is_some_and(|event| !event.package.eq_ignore_ascii_case("refer")) {
            self.respond(core, now, asked, 489, &[(Name::AllowEvents, "refer".to_owned())], None);
            return;
        }
        let id = event.and_then(|event| event.id.map(str::to_owned));
        let named = |referral: &&mut Referral| match &id {
            Some(id) => *id == referral.refer.to_string(),
            None => !referral.id,
        };
        let live = self.referrals.iter_mut().filter(|referral| !referral.done && referral.asked.is_none());
        let Some(referral) = live.filter(|referral| referral.leg == asked.leg).find(named) else {
            self.respond(core, now, asked, 403, &[], None);
            return;
        };
        let most = SUBSCRIPTION.as_secs();
        let seconds =
            asked.request.expires().and_then(Result::ok).map_or(most, |own| u64::from(own).min(most));
        referral.expires = now + Duration::from_secs(seconds);
        referral.news = Some(referral.told.max(100));
        self.respond(core, now, asked, 200, &[(Name::Expires, seconds.to_string())], None);
        self.notify_referrers(core, now);
    }

    /// Sends the NOTIFYs that are due and not too close to the last one.
    pub(super) fn notify_referrers(&mut self, core: &mut Core, now: Instant) {
        let several = self.referrals.len() > 1;
        for position in 0..self.referrals.len() {
            let Some(referral) = self.referrals.get_mut(position) else { return };
            if !referral.done
                && referral.asked.is_none()
                && now >= referral.expires
                && referral.news.is_none()
            {
                referral.news = Some(referral.told.max(100));
            }
            let (Some(status), false) = (referral.news, referral.done) else { continue };
            if leaves(&self.legs, referral.leg) {
                continue;
            }
            let last = status >= 200 || now >= referral.expires;
            if !last && referral.last.is_some_and(|told| now < told + NOTIFY_GAP) {
                continue;
            }
            referral.news = None;
            referral.told = status;
            referral.last = Some(now);
            referral.done = last;
            let state = match (status >= 200, last) {
                (true, _) => "terminated;reason=noresource".to_owned(),
                (false, true) => "terminated;reason=timeout".to_owned(),
                (false, false) => {
                    let word = if referral.undecided { "pending" } else { "active" };
                    format!("{word};expires={}", whole_seconds(referral.expires.since(now)).max(1))
                }
            };
            // Where another REFER came meanwhile, a NOTIFY without id may be about either (RF-07).
            let named = referral.id || referral.overtaken > 0 || several;
            let event = if named { format!("refer;id={}", referral.refer) } else { "refer".to_owned() };
            let (leg, refer) = (referral.leg, referral.refer);
            let mut spec =
                Spec::new(Method::Notify).header(Name::Event, event).header(Name::SubscriptionState, state);
            let line = format!("SIP/2.0 {status} {}\r\n", midcall_wire::reason_phrase(status));
            spec.body = Some(("message/sipfrag;version=2.0", line.into_bytes()));
            let Some(index) = self.leg(leg) else { continue };
            let sent =
                self.send(core, now, index, spec, Purpose::Notify { refer }).is_ok_and(|sent| sent.is_some());
            let cseq = self.legs.get(index).and_then(|leg| leg.dialog.party.ours.cseq).filter(|_| sent);
            if let Some(referral) = self.referrals.get_mut(position) {
                referral.awaited = cseq;
            }
        }
        self.forget_referrals();
        self.forget_beside(core, now);
    }

    /// Whether a REFER of the peer with this number is known.
    pub(super) fn refers(&self, number: u32) -> bool {
        self.referrals.iter().any(|referral| referral.refer == number)
    }

    /// Whether a REFER of the peer in this leg still has news to come.
    pub(super) fn refers_in(&self, leg: u32) -> bool {
        self.referrals.iter().any(|referral| referral.leg == leg && referral.open())
    }

    fn forget_referrals(&mut self) {
        self.referrals.retain(|referral| referral.open() || !referral.placed && referral.told < 200);
    }

    /// A NOTIFY got its final response. Some end its subscription (RF-31): the transfer goes on untold. One that a later
    /// request of ours overtook was refused for its number, and is sent once more (DLG-12).
    pub(super) fn notify_answered(
        &mut self,
        core: &mut Core,
        now: Instant,
        (cseq, status): (u32, u16),
        refer: u32,
    ) {
        let Some(referral) = self.referrals.iter_mut().find(|referral| referral.refer == refer) else {
            return;
        };
        let newest = referral.awaited == Some(cseq);
        if newest {
            referral.awaited = None;
        }
        match status {
            404 | 405 | 408 | 410 | 416 | 480..=485 | 489 | 501 | 604 => referral.done = true,
            500 if newest && referral.overtaken < MOST_OVERTAKEN => {
                referral.overtaken += 1;
                referral.done = false;
                referral.news.get_or_insert(referral.told);
            }
            _ => {}
        }
        self.notify_referrers(core, now);
    }

    /// When the next NOTIFY may be due.
    pub(super) fn notify_at(&self) -> Option<Instant> {
        self.referrals
            .iter()
            .filter(|referral| !referral.done && !leaves(&self.legs, referral.leg))
            .map(|referral| match (referral.news, referral.last) {
                _ if referral.asked.is_some() => referral.answer_by,
                (Some(_), Some(last)) => last + NOTIFY_GAP,
                (Some(_), None) => Instant::ZERO,
                (None, _) => referral.expires,
            })
            .min()
    }
}

/// Whether a BYE of ours is open in this leg: a request behind it may overtake it, and the BYE is refused then (DLG-12).
fn leaves(legs: &[Leg], leg: u32) -> bool {
    let bye = |open: &Open| open.way == Way::Sent && open.method == Method::Bye;
    legs.iter().any(|one| one.id == leg && one.dialog.open.iter().any(bye))
}
