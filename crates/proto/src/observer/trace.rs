//! Which messages of a call are new, and which are copies of one seen before.
//!
//! A transaction is known by its sender's own Via, the lowest one: a copy at another hop has more or fewer Via values
//! above it (RFC 3261 §16.6, §18.2.1), a resend has the same. Copies are counted and never reach the dialogs.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use midcall_wire::Method;
use smallvec::SmallVec;
use thin_vec::ThinVec;

use super::facts::{Facts, hash};
use super::held::{Cause, RequestKey};
use crate::time::Instant;

/// What a copy of an earlier message is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Repeat {
    /// Sent again by its sender, at the same place.
    Resent,
    /// The same message at another hop.
    Hop,
    /// The same packet captured twice.
    Duplicate,
    /// The same request sent to another address (RFC 3263 §4.3; TX-32).
    Failover,
}

/// Where on its path a message was captured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    flow: u64,
    top: u64,
    vias: u8,
}

/// A response of a transaction.
#[derive(Clone, Debug)]
pub(super) struct Response {
    pub(super) n: u32,
    pub(super) status: u16,
    pub(super) copies: u16,
    pub(super) first: Instant,
    pub(super) last: Instant,
    content: u64,
    /// Where it was captured, if that is not where its request was first.
    place: Option<Box<Place>>,
}

impl Response {
    /// Whether an ACK must have been sent that the trace lacks: by any transport a 2xx to INVITE without ACK is resent after
    /// T1 (RFC 3261 §13.3.1.4), and this one was not. Copies that go on for longer show that none came.
    pub(super) fn ack_unseen(&self, now: Instant, t1: Duration) -> bool {
        self.copies <= 2 && now.since(self.last) > t1 * (3 << self.copies) / 2
    }
}

/// A transaction, as far as it was seen.
#[derive(Clone, Debug)]
pub(super) struct Transaction {
    pub(super) n: u32,
    pub(super) method: Method,
    pub(super) cseq: u32,
    /// When its request was first and last seen.
    pub(super) first: Instant,
    pub(super) last: Instant,
    pub(super) copies: u16,
    /// How many of its copies came behind a provisional response.
    pub(super) insisted: u16,
    /// How many copies came since a response passed.
    pub(super) ignored: u16,
    /// The number of the copy that went to another address, 0 if none did.
    pub(super) elsewhere: u32,
    pub(super) reliable: bool,
    /// Whether its response belongs to the port that it came from.
    pub(super) rport: bool,
    pub(super) size: u32,
    pub(super) responses: SmallVec<[Response; 1]>,
    from_tag: u64,
    to_tag: u64,
    key: u64,
    /// The branches that hops put on top, but for the first.
    hops: ThinVec<u64>,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    /// The Via of the hop at which it was first seen, and how many there were.
    top: u64,
    vias: u8,
    /// The flows at which its request was seen, but for the first.
    flows: ThinVec<u64>,
}

impl Transaction {
    /// The first response above 99 that is final.
    pub(super) fn last_word(&self) -> Option<&Response> {
        self.responses.iter().find(|response| response.status >= 200)
    }

    /// Whether its request was in the dialog already, not the one that forms it.
    pub(super) const fn in_dialog(&self) -> bool {
        self.to_tag != 0
    }

    /// Whether this is another request of the same sender with the same number, made for the same dialog.
    pub(super) fn is_merged_with(&self, other: &Self) -> bool {
        let one = |it: &Self| (it.from_tag, it.to_tag, it.method, it.cseq, it.to);
        self.n != other.n && self.key != other.key && one(self) == one(other)
    }

    /// Whether this response goes back where a copy of the request came from, and has the branch that it had there.
    pub(super) fn is_answered_back(&self, response: &Facts<'_>) -> bool {
        self.passed(flow(response.to, response.from))
    }

    /// Where its request was first captured.
    fn place(&self) -> Place {
        Place { flow: flow(self.from, self.to), top: self.top, vias: self.vias }
    }

    /// Where its responses are captured that come back the way of its request.
    fn place_back(&self) -> Place {
        Place { flow: flow(self.to, self.from), ..self.place() }
    }

    /// Whether its request was seen on this flow.
    fn passed(&self, flow: u64) -> bool {
        self.place().flow == flow || self.flows.contains(&flow)
    }

    /// Whether a hop put this branch on top of its request.
    fn has_hop(&self, top: u64) -> bool {
        self.top == top || self.hops.contains(&top)
    }

    /// Whether this response was captured at the hop where the request was first.
    pub(super) const fn is_same_hop(&self, response: &Facts<'_>) -> bool {
        self.top == response.top && self.vias == response.vias
    }

    /// Whether this response has the branch of no request of the same number.
    pub(super) fn is_misnamed(&self, response: &Facts<'_>) -> bool {
        self.key != response.key && !self.has_hop(response.top)
    }

    /// Whether the party with this tag sent its request.
    pub(super) fn sent_by(&self, tag: &str) -> bool {
        self.from_tag == hash([tag.as_bytes()])
    }

    /// Whether an answer must have been sent that the trace lacks: over UDP a request without response is resent after T1
    /// (RFC 3261 §17.1), and this one was not.
    pub(super) fn answer_unseen(&self, now: Instant, t1: Duration) -> bool {
        let patience = t1 * (3 << self.copies.min(4)) / 2;
        !self.reliable
            && self.method != Method::Ack
            && self.responses.is_empty()
            && now.since(self.last) > patience
    }
}

/// What a message turned out to be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Taken {
    /// Something new.
    New,
    /// A copy of the message with this number.
    Copy(u32, Repeat),
    /// A response to a request that was not seen.
    Orphan,
    /// A response that has the branch of no request, though the request that it names is in the trace, with this number.
    Stray(u32),
}

/// The transactions of one call.
#[derive(Clone, Default, Debug)]
pub(super) struct Transactions {
    list: Vec<Transaction>,
    pub(super) forgotten: u32,
    /// Whether messages were seen at several hops, so that none shows for sure what its sender wrote.
    pub(super) relayed: bool,
    /// Whether the clock takes steps that something may be sent again within: then what seems to be one packet captured twice
    /// is more likely two.
    pub(super) coarse: bool,
}

impl Transactions {
    /// The transaction whose request has this number.
    pub(super) fn numbered(&self, n: u32) -> Option<&Transaction> {
        self.list.iter().rev().find(|transaction| transaction.n == n)
    }

    /// Whether any request was sent again: a sign that messages got lost.
    pub(super) fn any_resent(&self) -> bool {
        self.list.iter().any(|transaction| transaction.copies > 0)
    }

    /// When the requests of the party with this tag first met 491, of those that are remembered.
    pub(super) fn first_glare(&self, tag: &str) -> Option<Instant> {
        let asked = self.list.iter().filter(|one| one.sent_by(tag));
        asked.flat_map(|one| &one.responses).filter(|one| one.status == 491).map(|one| one.first).min()
    }

    /// How often the message with this number was sent again.
    pub(super) fn resent(&self, n: u32) -> Option<u16> {
        self.list.iter().find_map(|one| {
            let response = one.responses.iter().find(|response| response.n == n);
            response.map(|response| response.copies).or((one.n == n).then_some(one.copies))
        })
    }

    /// INVITEs whose failure was sent again and again and never acknowledged: request and response (TX-13).
    pub(super) fn unacknowledged_failures(&self) -> impl Iterator<Item = (&Transaction, &Response)> {
        let failed = self.list.iter().filter(|one| one.method == Method::Invite);
        let failed = failed.filter_map(|one| Some((one, one.last_word()?)));
        failed.filter(|(invite, response)| {
            let acknowledged = |one: &Transaction| {
                one.method == Method::Ack && one.cseq == invite.cseq && one.from_tag == invite.from_tag
            };
            response.status >= 300 && response.copies >= 3 && !self.list.iter().any(acknowledged)
        })
    }

    /// The newest transaction of this sender, method and CSeq number.
    pub(super) fn find(&self, from_tag: &str, method: Method, cseq: u32) -> Option<&Transaction> {
        let tag = hash([from_tag.as_bytes()]);
        self.list.iter().rev().find(|one| one.from_tag == tag && one.method == method && one.cseq == cseq)
    }

    /// The request, not an ACK or CANCEL, that used the CSeq number of this one before.
    pub(super) fn used(&self, request: &Facts<'_>) -> Option<u32> {
        let cseq = request.cseq;
        self.before(request).find(|one| one.cseq == cseq).map(|one| one.n)
    }

    /// The requests, not ACK or CANCEL, that the sender of this one had sent in its dialog before.
    fn before<'t>(&'t self, request: &Facts<'_>) -> impl Iterator<Item = &'t Transaction> + use<'t> {
        let (n, from, to) = (request.n, request.from_print, request.to_print);
        self.list.iter().filter(move |one| {
            one.n < n
                && one.from_tag == from
                && (one.to_tag == to || one.to_tag == 0)
                && !matches!(one.method, Method::Ack | Method::Cancel)
        })
    }

    /// The first request before this one of the same sender that has a higher CSeq number.
    pub(super) fn beyond(&self, request: &Facts<'_>) -> Option<&Transaction> {
        let cseq = request.cseq;
        self.before(request).find(|one| one.cseq > cseq)
    }

    /// The INVITE that an ACK belongs to, and whether it has the branch of it: its sender's, or that of the hop that made
    /// the ACK.
    pub(super) fn acknowledged(&self, ack: &Facts<'_>) -> Option<(&Transaction, bool)> {
        let invite = self.find(ack.from_tag, Method::Invite, ack.cseq)?;
        Some((invite, invite.key == ack.key || invite.has_hop(ack.top)))
    }

    /// Every transaction that is remembered, in the order of their requests.
    pub(super) fn all(&self) -> impl Iterator<Item = &Transaction> {
        self.list.iter()
    }

    /// The transaction that a response belongs to.
    pub(super) fn answered_by(&self, response: &Facts<'_>) -> Option<&Transaction> {
        self.request_of(response).and_then(|index| self.list.get(index))
    }

    /// What a message came before, if it came before its cause.
    pub(super) fn lacking_cause(&self, facts: &Facts<'_>) -> Option<Cause> {
        if !facts.is_request() {
            return self.request_of(facts).is_none().then(|| Cause::Request(facts.request_key()));
        }
        match facts.method {
            Method::Ack => {
                let early = self.acknowledged(facts)?.0.last_word().is_none();
                early.then(|| Cause::Final(facts.invite_key()))
            }
            // Whoever accepted nothing yet of its own INVITE's 2xx would not ask for more: its ACK was overtaken.
            Method::Invite | Method::Update if !facts.reliable => {
                let (invite, success) = self.unacknowledged_success(facts)?;
                let fresh = facts.at.since(success.last) < FRESH;
                fresh.then_some(Cause::Ack((invite.from_tag, Method::Invite, invite.cseq)))
            }
            _ => None,
        }
    }

    /// An earlier INVITE of this request's sender, in the same dialog, with a 2xx but without an ACK in the trace.
    pub(super) fn unacknowledged_success(&self, facts: &Facts<'_>) -> Option<(&Transaction, &Response)> {
        let (tag, ..) = facts.request_key();
        let to_tag = facts.to_print;
        let invites = self.list.iter().rev().filter(|one| {
            one.method == Method::Invite
                && one.from_tag == tag
                && one.cseq < facts.cseq
                && one.to_tag == to_tag
                && !self.has_come(Cause::Ack((tag, Method::Invite, one.cseq)))
        });
        invites.filter_map(|one| Some((one, one.last_word()?))).find(|(_, word)| word.status < 300)
    }

    /// Whether what a message waited for was seen.
    pub(super) fn has_come(&self, cause: Cause) -> bool {
        let seen = |(tag, _, cseq): RequestKey, method: Method| {
            self.list.iter().rfind(|one| one.from_tag == tag && one.method == method && one.cseq == cseq)
        };
        match cause {
            Cause::Request(key) => seen(key, key.1).is_some(),
            Cause::Final(key) => seen(key, Method::Invite).is_some_and(|one| one.last_word().is_some()),
            Cause::Ack(key) => seen(key, Method::Ack).is_some(),
            Cause::Others => false,
        }
    }

    fn request_of(&self, facts: &Facts<'_>) -> Option<usize> {
        let tag = facts.from_print;
        let same =
            |one: &Transaction| one.from_tag == tag && one.method == facts.method && one.cseq == facts.cseq;
        let exact = self.list.iter().rposition(|one| same(one) && one.key == facts.key);
        // Behind a box that writes its own Via the response still names sender and CSeq.
        exact.or_else(|| self.list.iter().rposition(same))
    }

    /// Sorts a message in.
    pub(super) fn take(&mut self, facts: &Facts<'_>, most: usize) -> Taken {
        if facts.is_request() { self.take_request(facts, most) } else { self.take_response(facts) }
    }

    fn take_request(&mut self, facts: &Facts<'_>, most: usize) -> Taken {
        let (from_tag, to_tag) = (facts.from_print, facts.to_print);
        let to_tag = if facts.to_tag.is_empty() { 0 } else { to_tag };
        let known = self.list.iter().enumerate().rev().find_map(|(index, one)| {
            let same = one.from_tag == from_tag
                && one.to_tag == to_tag
                && one.method == facts.method
                && one.cseq == facts.cseq;
            same.then(|| one.repeat(facts, self.coarse).map(|kind| (index, kind))).flatten()
        });
        if let Some((index, kind)) = known
            && let Some(one) = self.list.get_mut(index)
        {
            if kind == Repeat::Resent {
                one.copies = one.copies.saturating_add(1);
                if one.responses.iter().any(|response| (101..=199).contains(&response.status)) {
                    one.insisted = one.insisted.saturating_add(1);
                }
                one.ignored = one.ignored.saturating_add(1);
            }
            if kind == Repeat::Failover {
                one.elsewhere = facts.n;
            }
            let flow = flow(facts.from, facts.to);
            if !one.passed(flow) && one.flows.len() + 1 < MOST_HOPS {
                one.flows.push(flow);
            }
            if matches!(kind, Repeat::Resent | Repeat::Failover) {
                one.last = facts.at;
            }
            if !one.has_hop(facts.top) && one.hops.len() + 1 < MOST_HOPS {
                one.hops.push(facts.top);
            }
            return Taken::Copy(one.n, kind);
        }
        if self.list.len() >= most {
            // The oldest that is over goes first.
            let over = self.list.iter().position(|one| one.last_word().is_some()).unwrap_or_default();
            self.list.remove(over);
            self.forgotten = self.forgotten.saturating_add(1);
        }
        if self.list.len() == self.list.capacity() {
            // There are many calls with few requests: twice the room would be mostly empty.
            self.list.reserve_exact(2 + self.list.len() / 4);
        }
        self.list.push(Transaction {
            n: facts.n,
            method: facts.method,
            cseq: facts.cseq,
            first: facts.at,
            last: facts.at,
            copies: 0,
            insisted: 0,
            ignored: 0,
            elsewhere: 0,
            reliable: facts.reliable,
            rport: facts.rport,
            size: facts.size,
            responses: SmallVec::new(),
            from_tag,
            to_tag,
            key: facts.key,
            hops: ThinVec::new(),
            from: facts.from,
            to: facts.to,
            top: facts.top,
            vias: facts.vias,
            flows: ThinVec::new(),
        });
        Taken::New
    }

    fn take_response(&mut self, facts: &Facts<'_>) -> Taken {
        let Some(index) = self.request_of(facts) else { return Taken::Orphan };
        let direct = !self.relayed && facts.vias == 1;
        let (Some(one), Some(status)) = (self.list.get_mut(index), facts.status) else {
            return Taken::Orphan;
        };
        if direct && one.vias == 1 && one.is_misnamed(facts) && one.is_answered_back(facts) {
            return Taken::Stray(one.n);
        }
        one.ignored = 0;
        let back = one.place_back();
        let same = |known: &&mut Response| known.status == status && known.content == facts.content;
        if let Some(known) = one.responses.iter_mut().find(same) {
            let kind = repeat_at(facts, known.place.as_deref().unwrap_or(&back), known.last, self.coarse);
            if kind == Repeat::Resent {
                known.copies = known.copies.saturating_add(1);
                known.last = facts.at;
            }
            return Taken::Copy(known.n, kind);
        }
        if one.responses.len() >= MOST_RESPONSES {
            one.responses.remove(0);
        }
        one.responses.push(Response {
            n: facts.n,
            status,
            copies: 0,
            first: facts.at,
            last: facts.at,
            content: facts.content,
            place: Some(facts.place()).filter(|place| *place != back).map(Box::new),
        });
        Taken::New
    }

    /// Forgets what is over since `before` and takes no more room than needed.
    pub(super) fn prune(&mut self, before: Instant) {
        self.list.retain(|one| {
            let last = one.last.max(one.responses.last().map_or(one.last, |r| r.last));
            // What rings may ring for minutes.
            let rings =
                one.method == Method::Invite && !one.responses.is_empty() && one.last_word().is_none();
            last > before || rings
        });
        if self.list.capacity() > 2 * self.list.len() + 2 {
            self.list.shrink_to_fit();
        }
    }

    /// Whether nothing is remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl Facts<'_> {
    fn place(&self) -> Place {
        Place { flow: flow(self.from, self.to), top: self.top, vias: self.vias }
    }
}

/// A fingerprint of a pair of addresses.
fn flow(from: SocketAddr, to: SocketAddr) -> u64 {
    [from, to].iter().fold(0, |flow: u64, address| {
        let ip = match address.ip() {
            IpAddr::V4(ip) => hash([ip.octets().as_slice()]),
            IpAddr::V6(ip) => hash([ip.octets().as_slice()]),
        };
        flow.rotate_left(7) ^ ip.wrapping_add(u64::from(address.port()))
    })
}

impl Transaction {
    /// Whether a request of the same sender, method and CSeq is a copy of this one.
    fn repeat(&self, facts: &Facts<'_>, coarse: bool) -> Option<Repeat> {
        if self.key == facts.key {
            return Some(repeat_at(facts, &self.place(), self.last, coarse));
        }
        if self.method == Method::Ack {
            return Some(Repeat::Resent); // each resent 2xx may be acknowledged with a branch of its own
        }
        // A box between the parties that writes its own Via sends on what was sent to it.
        if facts.from.ip() == self.to.ip() && facts.to.ip() != self.from.ip() {
            return Some(Repeat::Hop);
        }
        let failed = self.responses.iter().all(|response| matches!(response.status, 100 | 408 | 503));
        (facts.from == self.from && facts.to != self.to && failed).then_some(Repeat::Failover)
    }
}

fn repeat_at(facts: &Facts<'_>, place: &Place, last: Instant, coarse: bool) -> Repeat {
    let here = facts.place();
    if (here.flow, here.vias) != (place.flow, place.vias) {
        Repeat::Hop
    } else if here.top == place.top && facts.at.since(last) < SAME_PACKET && (facts.reliable || !coarse) {
        Repeat::Duplicate
    } else {
        Repeat::Resent
    }
}

/// Two equal packets closer than this are one packet captured twice: nobody resends so soon.
const SAME_PACKET: Duration = Duration::from_millis(5);
/// How long after a 2xx its ACK may still be missing only because it was overtaken.
const FRESH: Duration = Duration::from_millis(500);
/// The most hops of which a request's branch is remembered.
const MOST_HOPS: usize = 8;
/// The most different responses that are remembered of one request.
const MOST_RESPONSES: usize = 16;
