//! REFERs beside the call: in a dialog of their own, which Target-Dialog ties to the call (RFC 4538, RFC 7647 §4).
//!
//! Such a dialog is a leg of the call that the call never goes on in: it has no INVITE usage, only the subscription.

use bytes::Bytes;
use midcall_wire::{Builder, Method, Name, Uri};

use super::Endpoint;
use super::call::{Call, Refused, Spec};
use super::config::Policy;
use super::core::{Core, Purpose, address};
use super::inbound;
use super::refer::Transfer;
use crate::Msg;
use crate::dialog::{Dialog, InviteState, Way};
use crate::flow::Flow;
use crate::time::Instant;
use crate::transaction::ServerId;

impl Endpoint {
    /// A REFER outside a dialog is for the call that its Target-Dialog names (RFC 4538 §4). Without one it is nobody's wish that
    /// we could check (SEC-08).
    pub(super) fn refer_outside(&mut self, now: Instant, server: ServerId, message: Msg, flow: Flow) {
        let id = message.header(Name::TargetDialog).and_then(target_dialog).and_then(|named| {
            let call = self.named(named.call_id, named.local)?;
            call.is_target(&named, &flow, self.core.config.refer).then_some(call.id)
        });
        let taken = id.and_then(|id| {
            self.with_call(now, id, |call, core| call.refer_beside(core, now, server, flow, &message))
        });
        if taken != Some(true) {
            inbound::reply(&mut self.core, now, server, &message, 603, &[]);
        }
    }
}

impl Call {
    /// Whether these are the tags of this call, and the policy lets who knows them speak for the peer. Tags that went over the
    /// wire in the open prove little (RFC 4538 §8; SEC-09): then the REFER has to come from where the peer is, or a person
    /// decides.
    fn is_target(&self, named: &Named<'_>, flow: &Flow, policy: Policy) -> bool {
        let Some(leg) = self.main().and_then(|index| self.legs.get(index)).filter(|_| !self.ended) else {
            return false;
        };
        let party = &leg.dialog.party;
        let known = *party.ours.tag == *named.local && *party.theirs.tag == *named.remote;
        let here = leg.flow.remote.ip() == flow.remote.ip();
        known && (here || leg.dialog.secure || policy == Policy::Ask)
    }

    /// Takes a REFER in a new dialog, unless there are too many of them.
    fn refer_beside(
        &mut self,
        core: &mut Core,
        now: Instant,
        server: ServerId,
        flow: Flow,
        message: &Msg,
    ) -> bool {
        let number = message.cseq().map(|cseq| cseq.number).unwrap_or_default();
        if self.legs.iter().filter(|leg| leg.beside()).count() >= MOST_BESIDE || self.refers(number) {
            return false;
        }
        let theirs = message.from().ok().and_then(|from| from.tag().map(str::to_owned)).unwrap_or_default();
        let ours = core.rng.token(64);
        let dialog = Dialog::new(Way::Received, message, &ours, &theirs);
        let index = self.add_leg_beside(core, dialog, flow);
        self.request(core, now, index, server, flow, message.clone());
        self.forget_beside(core, now);
        true
    }

    /// Sends a REFER in a new dialog: the peer's Contact is a GRUU, which reaches it outside ours too (RF-12).
    pub(super) fn refer_gruu(
        &mut self,
        core: &mut Core,
        now: Instant,
        index: usize,
        refer_to: &str,
        by: &str,
    ) -> Result<(), Refused> {
        let Some(leg) = self.legs.get(index) else { return Ok(()) };
        let (flow, party) = (leg.flow, &leg.dialog.party);
        let (call_id, tag) = (core.rng.token(96), core.rng.token(64));
        // Far from the numbers of the call, so that news of a transfer is of one only.
        let cseq = OWN_NUMBERS + u32::try_from(core.rng.below(1 << 16)).unwrap_or_default();
        let first = Builder::request("REFER", &party.theirs.target)
            .header(Name::From, format_args!("<{}>;tag={tag}", party.ours.uri))
            .header(Name::To, format_args!("<{}>", party.theirs.uri))
            .header(Name::CallId, &call_id)
            .header(Name::Contact, core.contact(&flow, leg.dialog.secure))
            .finish();
        let first = Msg::parse(Bytes::from(first)).map_err(|_| Refused::too_long())?;
        let mut dialog = Dialog::new(Way::Sent, &first, &tag, "");
        dialog.party.theirs.target.clone_from(&party.theirs.target);
        dialog.party.theirs.can = party.theirs.can;
        if let Some(proxy) = &core.config.outbound_proxy {
            let route = if proxy.contains(";lr") { proxy.clone() } else { format!("{proxy};lr") };
            dialog.route = [address(&route).into()].into_iter().collect();
        }
        // The tags are the recipient's: its own first (RF-13).
        let target = format!("{};local-tag={};remote-tag={}", self.call_id, party.theirs.tag, party.ours.tag);
        let mut spec = Spec::new(Method::Refer)
            .header(Name::ReferTo, refer_to)
            .header(Name::ReferredBy, by)
            .header(Name::TargetDialog, target)
            .header(Name::Require, "tdialog");
        spec.cseq = Some(cseq);
        let own = self.add_leg_beside(core, dialog, flow);
        if let Err(refused) = self.send(core, now, own, spec, Purpose::Refer) {
            self.forget_beside(core, now);
            return Err(refused);
        }
        self.transfers.push(Transfer::new(Some(cseq)));
        Ok(())
    }

    fn add_leg_beside(&mut self, core: &mut Core, dialog: Dialog, flow: Flow) -> usize {
        let own = dialog.call_id.clone();
        let index = self.add_leg(core, dialog, flow);
        if let Some(leg) = self.legs.get_mut(index) {
            leg.surplus = true;
            leg.dialog.call_id = own.clone();
            let tag = leg.dialog.party.ours.tag.clone();
            core.later.push(super::core::Later::Index { call_id: own, tag, call: self.id });
        }
        index
    }

    /// The 2xx to a REFER beside the call, or a NOTIFY that overtook it, makes its dialog (RFC 6665 §4.4.1).
    pub(super) fn formed_beside(&mut self, index: usize, message: &Msg) {
        let Some(leg) = self.legs.get_mut(index).filter(|leg| leg.beside()) else { return };
        if !leg.dialog.party.theirs.tag.is_empty() {
            return;
        }
        let tag = if message.is_request() { message.from() } else { message.to() };
        let Some(tag) = tag.ok().and_then(|peer| peer.tag().map(str::to_owned)) else { return };
        leg.dialog.party.theirs.tag = tag.as_str().into();
        leg.dialog.form(message);
        if message.is_request() {
            leg.dialog.route.reverse();
        }
        let contact = message.contact().and_then(Result::ok);
        if let Some(contact) = contact {
            leg.dialog.party.theirs.target = contact.uri.into();
        }
    }

    /// Lets go of dialogs beside the call whose subscription is over, after what may still be resent in them.
    pub(super) fn forget_beside(&mut self, core: &Core, now: Instant) {
        for position in 0..self.legs.len() {
            let Some(leg) = self.legs.get(position).filter(|leg| leg.beside() && leg.drop_at.is_none())
            else {
                continue;
            };
            let number = leg.dialog.party.ours.cseq;
            let ours = self.transfers.iter().any(|transfer| transfer.is(number));
            if ours || self.refers_in(leg.id) {
                continue;
            }
            if let Some(leg) = self.legs.get_mut(position) {
                leg.drop_at = Some(now + core.patience());
            }
        }
    }
}

impl super::call::Leg {
    /// Whether it is the dialog of a REFER beside the call.
    pub(super) fn beside(&self) -> bool {
        self.surplus && self.dialog.usage == InviteState::Preparative
    }
}

/// Whether a URI is a GRUU (RFC 5627 §5).
pub(super) fn is_gruu(uri: &str) -> bool {
    Uri::parse(uri).is_ok_and(|uri| uri.params.has("gr"))
}

/// What a Target-Dialog names; the tags are those of whoever gets it (RFC 4538 §3).
struct Named<'m> {
    call_id: &'m str,
    local: &'m str,
    remote: &'m str,
}

fn target_dialog(value: &str) -> Option<Named<'_>> {
    let (call_id, _) = value.split_once(';')?;
    let tag = |name: &str| {
        let mut params = value.split(';').skip(1).filter_map(|param| param.split_once('='));
        params.find(|(own, _)| own.trim().eq_ignore_ascii_case(name)).map(|(_, tag)| tag.trim())
    };
    Some(Named { call_id: call_id.trim(), local: tag("local-tag")?, remote: tag("remote-tag")? })
}

/// The most dialogs of REFERs beside one call.
const MOST_BESIDE: usize = 8;
/// Where the numbers of our REFERs beside calls begin.
const OWN_NUMBERS: u32 = 1 << 20;
