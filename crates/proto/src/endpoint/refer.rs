//! Transfer: REFER, its implicit subscription and its outcome (RFC 3515, RFC 5589, RFC 3891).

use std::time::Duration;

use midcall_wire::{Method, Name, NameAddr, Uri, escape_header};

use super::call::{Asked, Call, Refused, Spec};
use super::config::Policy;
use super::core::{Core, Purpose, address};
use super::inbound::uri_of;
use super::modify::Modification;
use super::uas::callable;
use crate::Msg;
use crate::dialog::{Dialog, Seen};
use crate::event::{CallEvent, Ended};
use crate::rules::RuleId;
use crate::time::Instant;

/// How long the subscription of a REFER lives: longer than the referred call may ring (RF-37).
const SUBSCRIPTION: Duration = Duration::from_secs(180);
/// The least time between two NOTIFYs (RF-10).
const NOTIFY_GAP: Duration = Duration::from_secs(1);
/// How long a REFER waits for the application before it is answered all the same, undecided (RF-04).
const DECISION: Duration = Duration::from_secs(3);

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
    done: bool,
}

/// A transfer that we asked for.
pub(super) struct Transfer {
    cseq: u32,
    status: u16,
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
        let spec = Spec::new(Method::Refer)
            .header(Name::ReferTo, refer_to)
            .header(Name::ReferredBy, format_args!("<{by}>"));
        self.send(core, now, index, spec, Purpose::Refer)?;
        let cseq = self.legs.get(index).and_then(|leg| leg.dialog.party.ours.cseq).unwrap_or_default();
        self.transfer = Some(Transfer { cseq, status: 0 });
        Ok(())
    }

    /// The final response to our REFER.
    pub(super) fn refer_answered(
        &mut self,
        core: &mut Core,
        now: Instant,
        index: usize,
        status: u16,
        message: Option<&Msg>,
        request: Option<&Msg>,
    ) {
        if matches!(status, 401 | 407)
            && let (Some(credentials), Some(request)) =
                (self.answer_challenge(core, message, request), request)
        {
            let mut spec = Spec::new(Method::Refer);
            for name in [Name::ReferTo, Name::ReferredBy] {
                spec.headers.extend(request.header(name).map(|value| (name, value.to_owned())));
            }
            spec.credentials = credentials;
            if self.send(core, now, index, spec, Purpose::Refer).is_ok() {
                let cseq =
                    self.legs.get(index).and_then(|leg| leg.dialog.party.ours.cseq).unwrap_or_default();
                self.transfer = Some(Transfer { cseq, status: 0 });
                return;
            }
        }
        if (200..300).contains(&status) {
            return; // the outcome comes by NOTIFY (RF-04)
        }
        self.transfer = None;
        core.tell(self.id, CallEvent::Transfer { status, done: true });
        self.resume_after_failure(core, now);
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
        let Some(transfer) = self.transfer.as_mut().filter(|transfer| transfer.cseq == refer) else { return };
        if let Some(status) = status {
            transfer.status = status;
        }
        let status = transfer.status;
        let last = done || status >= 200;
        core.tell(self.id, CallEvent::Transfer { status, done: last });
        if !last {
            return;
        }
        self.transfer = None;
        if (200..300).contains(&status) {
            // RF-24: the transferor hangs up once the transfer is known to have worked.
            if let Some(index) = self.main().filter(|_| !self.ended) {
                self.send_bye(core, now, index, None);
                self.end(core, now, Ended::HungUp);
            }
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
                leg.dialog.subscriptions.iter().filter(|s| s.refer == crate::dialog::Way::Received).count()
                    > 1
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
                    format!("{word};expires={}", referral.expires.since(now).as_secs().max(1))
                }
            };
            let event = if referral.id { format!("refer;id={}", referral.refer) } else { "refer".to_owned() };
            let (leg, refer) = (referral.leg, referral.refer);
            let mut spec =
                Spec::new(Method::Notify).header(Name::Event, event).header(Name::SubscriptionState, state);
            let line = format!("SIP/2.0 {status} {}\r\n", midcall_wire::reason_phrase(status));
            spec.body = Some(("message/sipfrag;version=2.0", line.into_bytes()));
            if let Some(index) = self.leg(leg) {
                let _ = self.send(core, now, index, spec, Purpose::Notify { refer });
            }
        }
        self.referrals.retain(|referral| !referral.done || !referral.placed && referral.told < 200);
    }

    /// A NOTIFY failed in a way that ends its subscription (RF-31); the transfer goes on untold.
    pub(super) fn notify_failed(&mut self, status: u16, refer: u32) {
        let ends = matches!(status, 404 | 405 | 408 | 410 | 416 | 480..=485 | 489 | 501 | 604);
        if ends && let Some(referral) = self.referrals.iter_mut().find(|referral| referral.refer == refer) {
            referral.done = true;
        }
    }

    /// When the next NOTIFY may be due.
    pub(super) fn notify_at(&self) -> Option<Instant> {
        self.referrals
            .iter()
            .filter(|referral| !referral.done)
            .map(|referral| match (referral.news, referral.last) {
                _ if referral.asked.is_some() => referral.answer_by,
                (Some(_), Some(last)) => last + NOTIFY_GAP,
                (Some(_), None) => Instant::ZERO,
                (None, _) => referral.expires,
            })
            .min()
    }
}
