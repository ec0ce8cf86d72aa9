//! A call: its legs, its wishes, and what it owes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use midcall_wire::{Method, Name};
use thin_vec::ThinVec;

use super::core::{Core, Hop, Later, Purpose, User};
use super::modify::Wishes;
use super::refer::{Referral, Transfer};
use super::write::{next_hop, request_in, response_in};
use crate::Msg;
use crate::auth::DigestClient;
use crate::dialog::{Applied, At, Dialog, Evidence, OptionSet, Seen, Way};
use crate::event::{CallEvent, CallId, Ended};
use crate::flow::Flow;
use crate::rules::{RuleId, Severity};
use crate::session::{Agreed, Local, Wanted};
use crate::time::Instant;
use crate::transaction::{ClientId, ServerId};

/// We would break a rule; nothing was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// The rule that forbids it.
    pub rule: RuleId,
    /// The messages that make it so, by the endpoint's count.
    pub because: Evidence,
}

impl Refused {
    /// Longer than any message may be, by what the application put into it.
    pub(super) fn too_long() -> Self {
        Self { rule: RuleId::RequestTooBigForUdp, because: Evidence::default() }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rule = self.rule.rule();
        write!(f, "{} ({}): {} {}", rule.title, rule.code, rule.means, rule.fix)
    }
}

impl std::error::Error for Refused {}

/// A message that is sent again until its acknowledgement comes (RFC 3261 §13.3.1.4, RFC 3262 §3).
#[derive(Clone, Debug)]
pub(super) struct Resend {
    pub(super) server: ServerId,
    pub(super) cseq: u32,
    pub(super) bytes: Bytes,
    pub(super) status: u16,
    /// `Some` for a reliable provisional response.
    pub(super) rseq: Option<u32>,
    /// A newer INVITE of the peer came meanwhile: it may have moved and never get this one (RFC 6141 §5.4).
    pub(super) overtaken: bool,
    pub(super) next: Instant,
    pub(super) interval: Duration,
    pub(super) until: Instant,
}

/// The last ACK for a 2xx, to answer a resent 2xx with.
#[derive(Clone, Debug)]
pub(super) struct SentAck {
    pub(super) cseq: u32,
    pub(super) flow: Flow,
    pub(super) bytes: Bytes,
    /// The same over UDP, if it is only over TCP because it is long.
    pub(super) instead: Option<(Flow, Bytes)>,
    pub(super) until: Instant,
}

/// One dialog of a call, with what the endpoint needs to act in it.
pub(super) struct Leg {
    pub(super) id: u32,
    pub(super) dialog: Dialog,
    /// Where messages last came from.
    pub(super) flow: Flow,
    pub(super) acks: ThinVec<SentAck>,
    pub(super) resends: ThinVec<Resend>,
    /// This leg is not the one the call goes on in: a second 2xx of a fork.
    pub(super) surplus: bool,
    /// When an unconfirmed early dialog is dropped (DLG-25).
    pub(super) drop_at: Option<Instant>,
    /// The session wanted in this early dialog, once it was changed here.
    pub(super) wish: Option<Box<Wanted>>,
}

/// A request of the peer that we have not finally answered.
pub(super) struct Asked {
    pub(super) server: ServerId,
    pub(super) leg: u32,
    pub(super) request: Msg,
    pub(super) method: Method,
    pub(super) cseq: u32,
    /// RSeq of our last reliable provisional response to it.
    pub(super) rseq: Option<u32>,
    /// Whether an exchange was completed in a reliable response.
    pub(super) exchanged: bool,
    /// The application decides; refused at this time if it does not.
    pub(super) patience: Option<Instant>,
    /// The final response waits for a PRACK (PR-08): the description to send with it.
    pub(super) held_success: bool,
    /// It replaces this call when accepted (RFC 3891).
    pub(super) replaces: Option<CallId>,
    /// The last provisional response above 100 and when it went out.
    pub(super) progress: Option<(u16, Instant)>,
    /// Further provisional responses that wait for the PRACK of the one before (PR-07), and whether they describe the session.
    pub(super) queued: Vec<(u16, bool)>,
    /// The session as it was wanted before the application described another one in a provisional response.
    pub(super) before: Option<Box<Wanted>>,
    /// The INVITE itself sets this end to the waiting (RI-28).
    pub(super) expires: Option<Instant>,
    /// Its 2xx waits for a change of ours that takes back what was executed (RI-11).
    pub(super) after_change: bool,
}

impl Asked {
    pub(super) const fn new(server: ServerId, leg: u32, request: Msg, method: Method, cseq: u32) -> Self {
        Self {
            server,
            leg,
            request,
            method,
            cseq,
            rseq: None,
            exchanged: false,
            patience: None,
            held_success: false,
            replaces: None,
            progress: None,
            queued: Vec::new(),
            before: None,
            expires: None,
            after_change: false,
        }
    }

    /// Whether it is an INVITE that forms the dialog.
    pub(super) fn forms(&self) -> bool {
        self.method == Method::Invite && self.request.to().is_ok_and(|to| to.tag().is_none())
    }
}

/// The INVITE of ours that forms the dialog.
pub(super) struct Setup {
    pub(super) uri: String,
    pub(super) to: String,
    pub(super) from: String,
    pub(super) tag: String,
    pub(super) cseq: u32,
    pub(super) client: Option<ClientId>,
    pub(super) invite: Option<Msg>,
    pub(super) flow: Option<Flow>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) late: bool,
    pub(super) provisional: bool,
    pub(super) cancel: Cancel,
    pub(super) tries: u8,
    pub(super) min_se: Option<u32>,
    pub(super) session_expires: Option<u32>,
    /// Option tags that a 420 took away.
    pub(super) without: OptionSet,
    pub(super) started: Instant,
    /// An Expires of the application's limits how long it may ring (TX-33).
    pub(super) expires: Option<Instant>,
    /// The session that the INVITE offered.
    pub(super) offered: Option<Box<Wanted>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cancel {
    No,
    /// Wanted, but no provisional response came yet (TX-21).
    Wanted,
    Sent {
        at: Instant,
    },
}

/// A call.
pub(super) struct Call {
    pub(super) id: CallId,
    pub(super) outgoing: bool,
    pub(super) call_id: Arc<str>,
    pub(super) setup: Option<Box<Setup>>,
    pub(super) legs: Vec<Leg>,
    pub(super) next_leg: u32,
    pub(super) asked: ThinVec<Asked>,
    /// The session as the application wants it and the peer has accepted (or as it will be first offered).
    pub(super) wish: Option<Box<Wanted>>,
    pub(super) wishes: Wishes,
    pub(super) digest: Option<Box<DigestClient>>,
    /// The credentials of INVITEs of ours by CSeq number, for their ACKs.
    pub(super) invited: ThinVec<(u32, Vec<(Name, String)>)>,
    pub(super) held: (bool, bool),
    /// Whether the peer holds all streams that are on.
    pub(super) on_hold: bool,
    pub(super) suspect: bool,
    /// We want to end the call, but may not yet (DLG-26); the reason to report.
    pub(super) ending: Option<Box<Ended>>,
    /// Reported as over; only remnants live.
    pub(super) ended: bool,
    /// The earliest wake-up that is booked for it: a later one need not be booked as well.
    pub(super) booked: Option<Instant>,
    /// Drop the remnants then.
    pub(super) linger: Option<Instant>,
    /// A BYE went out.
    pub(super) bye_sent: bool,
    pub(super) referrals: ThinVec<Referral>,
    pub(super) transfers: ThinVec<Transfer>,
    /// This call was placed for a REFER in another call.
    pub(super) placed_for: Option<(CallId, u32)>,
    /// Requests that wait for a host name.
    pub(super) unsent: ThinVec<(u32, Spec, Purpose)>,
    /// Its 2xx was acknowledged.
    pub(super) established: bool,
    /// The peer is known to have the dialog: it made it, or has sent a request in it. A callee's request that comes before that
    /// finds no dialog and gets 481, which would end the call (DLG-04, DLG-24).
    pub(super) met: bool,
}

/// An in-dialog request to send: what varies.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) method: Method,
    pub(super) cseq: Option<u32>,
    pub(super) headers: Vec<(Name, String)>,
    pub(super) body: Option<(&'static str, Vec<u8>)>,
    /// The From URI, if it is to be another one (RFC 4916).
    pub(super) from: Option<String>,
    /// Credentials that answer a challenge.
    pub(super) credentials: Vec<(Name, String)>,
}

impl Spec {
    pub(super) fn new(method: Method) -> Self {
        Self { method, cseq: None, headers: Vec::new(), body: None, from: None, credentials: Vec::new() }
    }

    pub(super) fn header(mut self, name: Name, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub(super) fn sdp(mut self, sdp: Option<Vec<u8>>) -> Self {
        self.body = sdp.map(|sdp| ("application/sdp", sdp));
        self
    }
}

impl Call {
    pub(super) fn new(id: CallId, outgoing: bool, call_id: &str, wish: Option<Wanted>, core: &Core) -> Self {
        Self {
            id,
            outgoing,
            call_id: call_id.into(),
            setup: None,
            legs: Vec::new(),
            next_leg: 0,
            asked: ThinVec::new(),
            wish: wish.map(Box::new),
            wishes: Wishes::default(),
            digest: core.digest(),
            invited: ThinVec::new(),
            held: (false, false),
            on_hold: false,
            suspect: false,
            ending: None,
            ended: false,
            booked: None,
            linger: None,
            bye_sent: false,
            referrals: ThinVec::new(),
            transfers: ThinVec::new(),
            placed_for: None,
            unsent: ThinVec::new(),
            established: false,
            met: outgoing,
        }
    }

    /// The leg the call goes on in: the confirmed one, or the only early one.
    pub(super) fn main(&self) -> Option<usize> {
        let confirmed = self
            .legs
            .iter()
            .position(|leg| !leg.surplus && !leg.dialog.usage.early() && leg.drop_at.is_none());
        confirmed.or_else(|| {
            let mut early =
                self.legs.iter().enumerate().filter(|(_, leg)| !leg.surplus && leg.drop_at.is_none());
            let first = early.next()?.0;
            early.next().is_none().then_some(first)
        })
    }

    pub(super) fn leg(&self, id: u32) -> Option<usize> {
        self.legs.iter().position(|leg| leg.id == id)
    }

    pub(super) fn dialog(&self) -> Option<&Dialog> {
        self.main().and_then(|index| self.legs.get(index)).map(|leg| &leg.dialog)
    }

    /// Adds a leg for a dialog.
    pub(super) fn add_leg(&mut self, core: &mut Core, mut dialog: Dialog, flow: Flow) -> usize {
        dialog.call_id = self.call_id.clone();
        let id = self.next_leg;
        self.next_leg += 1;
        core.later.push(Later::Index {
            call_id: self.call_id.clone(),
            tag: dialog.party.ours.tag.clone(),
            call: self.id,
        });
        self.legs.reserve_exact(1);
        self.legs.push(Leg {
            id,
            dialog,
            flow,
            acks: ThinVec::new(),
            resends: ThinVec::new(),
            surplus: false,
            drop_at: None,
            wish: None,
        });
        self.legs.len() - 1
    }

    /// Sends an in-dialog request. Nothing is sent if that would break a rule.
    pub(super) fn send(
        &mut self,
        core: &mut Core,
        now: Instant,
        index: usize,
        spec: Spec,
        purpose: Purpose,
    ) -> Result<Option<ClientId>, Refused> {
        let Some(leg) = self.legs.get_mut(index) else { return Ok(None) };
        let hop_uri = next_hop(&leg.dialog);
        let flow = match core.hop(&hop_uri, Some(&leg.flow)) {
            Hop::Known(flow) => flow,
            Hop::Name { host, port, transport } => {
                let leg = leg.id;
                self.unsent.push((leg, spec, purpose));
                core.resolve(host, port, transport, Some(self.id), None);
                return Ok(None);
            }
            Hop::Unreachable => leg.flow,
        };
        let cseq =
            spec.cseq.unwrap_or_else(|| leg.dialog.party.ours.cseq.map_or(1, |last| last.saturating_add(1)));
        let bytes = request_in(core, &leg.dialog, &flow, cseq, &spec, self.digest.as_deref_mut());
        let message = Msg::parse(Bytes::from(bytes)).map_err(|_| Refused::too_long())?;
        let at = core.at(now);
        let seen = Seen::read(Way::Sent, at, &message);
        let verdict = leg.dialog.judge(&seen);
        if let Some(breach) = verdict.worst() {
            return Err(Refused { rule: breach.rule, because: breach.because.clone() });
        }
        leg.dialog.apply(&seen);
        let leg = leg.id;
        if spec.method == Method::Invite {
            self.keep_credentials(cseq, &message);
        }
        if spec.method == Method::Ack {
            core.transmit(flow, Bytes::copy_from_slice(message.bytes()));
            return Ok(None);
        }
        let client = core.deliver(now, flow, &hop_uri, message);
        core.clients.insert(client, User::Call { call: self.id, leg, purpose, cseq });
        Ok(Some(client))
    }

    /// Keeps the credentials of an INVITE: its ACK repeats them (RFC 3261 §22.1).
    pub(super) fn keep_credentials(&mut self, cseq: u32, invite: &Msg) {
        let names = [Name::Authorization, Name::ProxyAuthorization];
        let lines = invite.headers().filter(|line| names.contains(&line.name));
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let own: Vec<(Name, String)> = lines.map(|line| (line.name, text(line.value))).collect();
        if self.invited.len() > 1 {
            self.invited.remove(0);
        }
        if !own.is_empty() {
            self.invited.push((cseq, own));
        }
    }

    /// Sends the ACK for a 2xx, with an answer if the 2xx carried the offer, and keeps it for resent 2xx.
    pub(super) fn acknowledge(
        &mut self,
        core: &mut Core,
        now: Instant,
        index: usize,
        cseq: u32,
        answer: Option<Vec<u8>>,
    ) {
        let Some(leg) = self.legs.get_mut(index) else { return };
        let hop_uri = next_hop(&leg.dialog);
        let flow = match core.hop(&hop_uri, Some(&leg.flow)) {
            Hop::Known(flow) => flow,
            _ => leg.flow,
        };
        let mut spec = Spec::new(Method::Ack).sdp(answer);
        spec.cseq = Some(cseq);
        spec.credentials = self
            .invited
            .iter()
            .find(|(number, _)| *number == cseq)
            .map(|(_, own)| own.clone())
            .unwrap_or_default();
        let bytes = Bytes::from(request_in(core, &leg.dialog, &flow, cseq, &spec, None));
        if let Ok(message) = Msg::parse(bytes.clone()) {
            let at = core.at(now);
            let applied = leg.dialog.apply_message(Way::Sent, at, &message);
            leg.acks.retain(|ack| ack.until > now && ack.cseq != cseq);
            let until = now + core.patience();
            let ack = match core.over_tcp(now, &flow, &message) {
                Some((tcp, long)) => {
                    let long = Bytes::copy_from_slice(long.bytes());
                    SentAck { cseq, flow: tcp, bytes: long, instead: Some((flow, bytes)), until }
                }
                None => SentAck { cseq, flow, bytes, instead: None, until },
            };
            core.transmit(ack.flow, ack.bytes.clone());
            leg.acks.push(ack);
            self.follow(core, now, index, &applied);
        }
    }

    /// Answers a request. The final response of an INVITE is also kept for resending until its ACK comes.
    pub(super) fn respond(
        &mut self,
        core: &mut Core,
        now: Instant,
        asked: &Asked,
        status: u16,
        headers: &[(Name, String)],
        body: Option<Vec<u8>>,
    ) {
        let Some(index) = self.leg(asked.leg) else { return };
        let Some(leg) = self.legs.get_mut(index) else { return };
        let response = response_in(core, &leg.dialog, &leg.flow, &asked.request, status, headers, body);
        let bytes = Bytes::from(response);
        let Ok(message) = Msg::parse(bytes.clone()) else { return };
        let at = core.at(now);
        let applied = leg.dialog.apply_message(Way::Sent, at, &message);
        core.layer.respond(now, asked.server, bytes.clone(), status);
        let rseq = message.rseq().and_then(Result::ok).filter(|_| status < 200);
        if asked.method == Method::Invite && ((200..300).contains(&status) || rseq.is_some()) {
            leg.resends.retain(|resend| resend.cseq != asked.cseq);
            leg.resends.push(Resend {
                server: asked.server,
                cseq: asked.cseq,
                bytes,
                status,
                rseq,
                overtaken: false,
                next: now + core.config.t1,
                interval: core.config.t1,
                until: now + core.patience(),
            });
        } else if asked.method == Method::Invite && status >= 300 {
            leg.resends.retain(|resend| resend.cseq != asked.cseq);
        }
        self.follow(core, now, index, &applied);
    }

    /// Judges a received message for the application: rules that both sides can tell.
    pub(super) fn judge_peer(&self, core: &mut Core, index: usize, seen: &Seen<'_>) {
        let Some(leg) = self.legs.get(index) else { return };
        for breach in leg.dialog.judge(seen).breaches {
            if breach.rule.rule().severity != Severity::Info {
                core.tell(self.id, CallEvent::PeerBroke { rule: breach.rule });
            }
        }
    }

    /// The session in force, as the session helpers read it.
    pub(super) fn agreed(&self) -> Option<Agreed> {
        self.session_in(self.legs.get(self.main()?)?)
    }

    /// Marks the call as over and tells why, once.
    pub(super) fn end(&mut self, core: &mut Core, now: Instant, why: Ended) {
        if self.ended {
            return;
        }
        self.ended = true;
        self.linger = Some(now + core.patience());
        self.bound_transfers(core, now);
        self.fail_wishes(core, &crate::event::Failure::CallEnded);
        if let Some((referrer, refer)) = self.placed_for.take_if(|_| !self.established) {
            let status = match &why {
                Ended::Refused { status, .. } | Ended::Unauthorized { status } | Ended::Lost { status } => {
                    *status
                }
                Ended::Timeout => 408,
                Ended::Cancelled { .. } => 487,
                _ => 503,
            };
            core.later.push(Later::Referred { referrer, refer, status });
        }
        core.tell(self.id, CallEvent::Ended { why });
    }

    /// Gives back memory that only a busy call needs: a held call may idle for hours, and there may be many.
    pub(super) fn trim(&mut self, core: &mut Core) {
        free(&mut self.asked);
        free(&mut self.unsent);
        free(&mut self.invited);
        free(&mut self.referrals);
        free(&mut self.transfers);
        self.wishes.trim();
        self.legs.shrink_to_fit();
        for leg in &mut self.legs {
            free(&mut leg.resends);
            free(&mut leg.acks);
            free(&mut leg.dialog.open);
            core.share(&mut leg.dialog.party.ours.uri);
            core.share(&mut leg.dialog.party.ours.target);
        }
    }

    /// Whether nothing of it is left to do.
    pub(super) fn is_done(&self, now: Instant) -> bool {
        self.ended && !self.transfers_open() && self.linger.is_some_and(|linger| now >= linger)
    }
}

/// Frees an empty list's memory.
pub(super) fn free<T>(list: &mut ThinVec<T>) {
    if list.is_empty() && list.capacity() > 0 {
        *list = ThinVec::new();
    }
}

/// What `offer` and `answer` of the session helpers need of a dialog.
pub(super) fn local(dialog: &Dialog) -> Local<'_> {
    Local {
        last_sent: dialog.offers.last.ours.as_ref(),
        agreed: dialog.offers.agreed.as_ref().map(|agreed| (&agreed.ours, &agreed.theirs)),
    }
}

impl Call {
    /// Records in a dialog what was applied elsewhere, and tells the application.
    pub(super) fn apply_received(
        &mut self,
        core: &mut Core,
        now: Instant,
        index: usize,
        at: At,
        message: &Msg,
    ) -> Applied {
        let seen = Seen::read(Way::Received, at, message);
        self.judge_peer(core, index, &seen);
        let Some(leg) = self.legs.get_mut(index) else { return Applied::new() };
        let applied = leg.dialog.apply(&seen);
        self.follow(core, now, index, &applied);
        applied
    }
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    /// What thousands of held calls cost; lists that are empty then are one word, rare parts are boxed.
    #[test]
    fn a_call_and_its_leg_stay_small() {
        assert!(size_of::<Call>() <= 192, "Call: {}", size_of::<Call>());
        assert!(size_of::<Leg>() <= 576, "Leg: {}", size_of::<Leg>());
    }
}
