//! Scripted peers: parties that send what a test tells them, right or wrong, and write down what they get.
//!
//! A [`Party`] keeps the little it needs to write the next message of a dialog (tags, CSeq, route, Contact, RSeq),
//! in [`Leg`]s that share no code with the dialog core, so that a bug there is not cancelled out here. It answers
//! nothing by itself except, while [`Party::acks_failures`] is set, with the ACK that the INVITE client transaction owes
//! for a non-2xx final (RFC 3261 §17.1.1.3).

mod draft;
mod leg;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::ops::Deref;

use midcall_proto::flow::Transport;
use midcall_proto::rng::Rng;
use midcall_proto::time::Instant;

pub use draft::Draft;
pub use leg::Leg;

use crate::network::{Arrival, Pick};
use crate::node::{Node, Outgoing};
use crate::raw::{Raw, bare_uri, parameter, reason};
use crate::sketch::Sketcher;

/// A peer that is driven message by message.
#[derive(Debug)]
pub struct Party {
    name: String,
    addresses: Vec<SocketAddr>,
    transport: Transport,
    rng: Rng,
    now: Instant,
    legs: Vec<Leg>,
    sketchers: Vec<(String, String, Sketcher)>,
    current: Option<usize>,
    inbox: Vec<Received>,
    outbox: Vec<Outgoing>,
    /// The value of Allow in its INVITEs, UPDATEs and their responses.
    pub allow: String,
    /// The value of Supported there.
    pub supported: String,
    /// Whether it ACKs a non-2xx final to its INVITE by itself.
    pub acks_failures: bool,
}

/// A message that came, with where from and when.
#[derive(Clone, Debug)]
pub struct Received {
    /// The message.
    pub raw: Raw,
    /// When it came.
    pub at: Instant,
    /// The number of its packet on the wire.
    pub packet: usize,
    /// Who sent it.
    pub from: SocketAddr,
    /// Whether the same message had come before.
    pub again: bool,
    /// Whether it is a request that got a final response.
    pub answered: bool,
    transport: Transport,
    connection: Option<u64>,
    taken: bool,
}

impl Deref for Received {
    type Target = Raw;

    fn deref(&self) -> &Raw {
        &self.raw
    }
}

impl Party {
    /// A party of this name at this address, over UDP.
    pub fn new(name: &str, address: SocketAddr, seed: u64) -> Self {
        Self {
            name: name.to_owned(),
            addresses: vec![address],
            transport: Transport::Udp,
            rng: Rng::new(
                seed ^ u64::from(address.port()) ^ u64::from(name.as_bytes().first().copied().unwrap_or(0)),
            ),
            now: Instant::ZERO,
            legs: Vec::new(),
            sketchers: Vec::new(),
            current: None,
            inbox: Vec::new(),
            outbox: Vec::new(),
            allow: "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, REFER, NOTIFY, INFO".to_owned(),
            supported: "100rel, timer, replaces".to_owned(),
            acks_failures: true,
        }
    }

    /// The same party over another transport.
    pub fn over(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.addresses.first().copied().unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// Its address of record, such as `sip:alice@10.0.0.1:5060`.
    pub fn uri(&self) -> String {
        format!("sip:{}@{}", self.name, self.address())
    }

    /// Everything that came, in order.
    pub fn inbox(&self) -> &[Received] {
        &self.inbox
    }

    /// The oldest message that matches and was not taken before; repeats are passed over.
    pub fn take(&mut self, pick: impl Into<Pick>) -> Option<Received> {
        let pick = pick.into();
        let found = self.inbox.iter_mut().find(|got| !got.taken && !got.again && pick.means(&got.raw))?;
        found.taken = true;
        Some(found.clone())
    }

    /// The newest request that matches and got no final response yet.
    pub fn open_request(&self, from: SocketAddr, method: Option<&str>) -> Option<Received> {
        let open = |got: &&Received| {
            got.is_request()
                && !got.again
                && !got.answered
                && got.method() != "ACK"
                && got.from.ip() == from.ip()
        };
        let fits = |got: &&Received| method.is_none_or(|method| got.method() == method);
        self.inbox.iter().rev().filter(open).find(fits).cloned()
    }

    /// Speaks in the dialog of which one tag is this; on the callee's side it is made as a fork if there is none.
    pub fn select_tag(&mut self, call_id: &str, tag: &str) -> bool {
        let has = |leg: &Leg| leg.local_tag == tag || leg.remote_tag.as_deref() == Some(tag);
        if let Some(at) = self.legs.iter().position(|leg| leg.call_id == call_id && has(leg)) {
            self.current = Some(at);
            return true;
        }
        let Some(first) = self.legs.iter().find(|leg| leg.call_id == call_id && !leg.caller) else {
            return false;
        };
        let keep = (first.call_id.clone(), first.local_tag.clone());
        let fork = Leg { local_tag: tag.to_owned(), rseq: None, ..first.clone() };
        let sketch = self.sketchers.iter().find(|(call, own, _)| (call, own) == (&keep.0, &keep.1));
        if let Some(sketcher) = sketch.map(|(.., sketcher)| sketcher.clone()) {
            self.sketchers.push((fork.call_id.clone(), fork.local_tag.clone(), sketcher));
        }
        self.legs.push(fork);
        self.current = Some(self.legs.len() - 1);
        true
    }

    /// Its dialogs, oldest first.
    pub fn legs(&self) -> &[Leg] {
        &self.legs
    }

    /// The dialog of the latest message either way.
    pub fn leg(&self) -> Option<&Leg> {
        self.legs.get(self.current?)
    }

    /// Its dialogs, oldest first, to make them wrong.
    pub fn legs_mut(&mut self) -> &mut [Leg] {
        &mut self.legs
    }

    /// Continues in this dialog.
    pub fn select(&mut self, leg: usize) {
        self.current = Some(leg);
    }

    /// Forgets every dialog, as a restart does.
    pub fn forget(&mut self) {
        self.legs.clear();
        self.sketchers.clear();
        self.current = None;
    }

    /// An INVITE without SDP to a URI, outside any dialog.
    pub fn invite(&mut self, to: &str) -> Draft<'_> {
        self.outside("INVITE", to)
    }

    /// A request outside any dialog.
    pub fn outside(&mut self, method: &str, to: &str) -> Draft<'_> {
        let leg = Leg {
            call_id: format!("{}@{}", self.rng.token(60), self.name),
            local: self.uri(),
            local_tag: self.rng.token(40),
            remote: bare_uri(to).to_owned(),
            remote_tag: None,
            target: bare_uri(to).to_owned(),
            route: Vec::new(),
            cseq: u32::try_from(self.rng.below(1_000)).unwrap_or_default(),
            remote_cseq: 0,
            invite: None,
            rseq: None,
            reliable: None,
            remote_sdp: None,
            caller: true,
            confirmed: false,
        };
        self.legs.push(leg);
        self.current = Some(self.legs.len() - 1);
        self.request(method)
    }

    /// A request in the current dialog, with the next CSeq.
    ///
    /// # Panics
    /// If no message ever made a dialog: then the test has nothing to speak of.
    pub fn request(&mut self, method: &str) -> Draft<'_> {
        let at = self.current.expect("a scripted request needs a dialog");
        let leg = self.legs[at].clone();
        let mut raw = Raw::with_start(format!("{method} {} SIP/2.0", leg.target));
        let branch = self.branch();
        raw.add("Via", format_args!("SIP/2.0/{} {};branch={branch};rport", self.transport, self.address()));
        raw.add("Max-Forwards", 70);
        for hop in &leg.route {
            raw.add("Route", hop);
        }
        raw.add("From", format_args!("<{}>;tag={}", leg.local, leg.local_tag));
        let tag = leg.remote_tag.as_ref().map(|tag| format!(";tag={tag}")).unwrap_or_default();
        raw.add("To", format_args!("<{}>{tag}", leg.remote));
        raw.add("Call-ID", &leg.call_id);
        raw.add("CSeq", format_args!("{} {method}", leg.cseq + 1));
        self.dress(&mut raw, method);
        let next = leg.route.first().map_or(leg.target.as_str(), |route| bare_uri(route));
        let to = self.resolve(next, &leg);
        let transport = self.transport;
        Draft { leg: Some(at), raw, to, transport, connection: None, from: self.address(), party: self }
    }

    /// The ACK for a final response to our INVITE: for a 2xx a request of its own, else a copy of the INVITE's path.
    pub fn ack(&mut self, response: &Raw) -> Draft<'_> {
        self.current = self.leg_answered(response).or(self.current);
        let failure = response.status().is_some_and(|status| status >= 300);
        let invite = self.leg().and_then(|leg| leg.invite.clone()).filter(|_| failure);
        let number = response.cseq();
        let to = response.header("To").unwrap_or_default().to_owned();
        let mut draft = self.request("ACK");
        draft.raw.set("CSeq", format_args!("{number} ACK"));
        if let Some(invite) = invite {
            draft.raw.set_start(format!("ACK {} SIP/2.0", invite.uri()));
            draft.raw.set("Via", invite.list("Via").first().copied().unwrap_or_default());
            draft.raw.set("To", to);
        }
        draft
    }

    /// The CANCEL of our INVITE (RFC 3261 §9.1).
    pub fn cancel(&mut self, invite: &Raw) -> Draft<'_> {
        let mut raw = Raw::with_start(format!("CANCEL {} SIP/2.0", invite.uri()));
        raw.add("Via", invite.list("Via").first().copied().unwrap_or_default());
        raw.add("Max-Forwards", 70);
        for name in ["Route", "From", "To", "Call-ID"] {
            for value in invite.list(name) {
                raw.add(name, value);
            }
        }
        raw.add("CSeq", format_args!("{} CANCEL", invite.cseq()));
        let at = self.current;
        let to = self.leg().cloned().map_or_else(|| self.address(), |leg| self.resolve(invite.uri(), &leg));
        let transport = self.transport;
        Draft { leg: at, raw, to, transport, connection: None, from: self.address(), party: self }
    }

    /// The PRACK for a reliable provisional response (RFC 3262 §4).
    pub fn prack(&mut self, response: &Raw) -> Draft<'_> {
        self.current = self.leg_answered(response).or(self.current);
        let rseq = response.header("RSeq").unwrap_or("0").to_owned();
        let cseq = response.header("CSeq").unwrap_or_default().to_owned();
        let mut draft = self.request("PRACK");
        draft.raw.add("RAck", format_args!("{rseq} {cseq}"));
        draft
    }

    /// A response to a request that came.
    pub fn reply(&mut self, request: &Received, status: u16) -> Draft<'_> {
        let at = self.legs.iter().position(|leg| {
            leg.receives(&request.raw)
                || (request.tag("To").is_none()
                    && leg.call_id == request.call_id()
                    && leg.remote_tag.as_deref() == request.tag("From"))
        });
        let speaks = |at: &usize| self.legs.get(*at).is_some_and(|leg| leg.call_id == request.call_id());
        let chosen = self.current.filter(speaks).filter(|_| request.tag("To").is_none());
        let at = chosen.or(at);
        self.current = at.or(self.current);
        if status >= 200 {
            self.inbox
                .iter_mut()
                .filter(|got| got.packet == request.packet)
                .for_each(|got| got.answered = true);
        }
        let mut raw = Raw::with_start(format!("SIP/2.0 {status} {}", reason(status)));
        for (n, via) in request.list("Via").into_iter().enumerate() {
            let asked = n == 0 && parameter(via, "rport").is_some_and(str::is_empty);
            let told = format!(";rport={};received={}", request.from.port(), request.from.ip());
            raw.add("Via", if asked { via.replacen(";rport", &told, 1) } else { via.to_owned() });
        }
        raw.add("From", request.header("From").unwrap_or_default());
        let own = at.and_then(|at| self.legs.get(at)).map(|leg| leg.local_tag.clone());
        let to = request.header("To").unwrap_or_default();
        match own.filter(|_| status > 100 && request.tag("To").is_none()) {
            Some(tag) => raw.add("To", format_args!("{to};tag={tag}")),
            None => raw.add("To", to),
        }
        raw.add("Call-ID", request.call_id());
        raw.add("CSeq", request.header("CSeq").unwrap_or_default());
        if (101..300).contains(&status) {
            for hop in request.list("Record-Route") {
                raw.add("Record-Route", hop);
            }
            let method = request.method().to_owned();
            self.dress(&mut raw, &method);
        }
        let (to, transport, connection) = (request.from, request.transport, request.connection);
        Draft { leg: at, raw, to, transport, connection, from: self.address(), party: self }
    }

    /// The last final response to an INVITE of ours, or the last reliable provisional one.
    pub fn newest_response(&self, reliable: bool) -> Option<Received> {
        let fits = |got: &&Received| {
            let status = got.status().unwrap_or(0);
            got.method() == "INVITE" && if reliable { got.header("RSeq").is_some() } else { status >= 200 }
        };
        self.inbox.iter().rev().find(fits).cloned()
    }

    /// Sends these bytes as they are.
    pub fn send_bytes(&mut self, to: SocketAddr, bytes: impl Into<Vec<u8>>) {
        let (transport, from) = (self.transport, self.address());
        self.outbox.push(Outgoing { transport, from, to, connection: None, bytes: bytes.into() });
    }

    /// The keeper of our o= line in a dialog: shared by the forks of one INVITE.
    pub fn sketcher(&mut self, leg: Option<usize>) -> &mut Sketcher {
        let key =
            leg.and_then(|at| self.legs.get(at)).map(|leg| (leg.call_id.clone(), leg.local_tag.clone()));
        let (call, tag) = key.unwrap_or_default();
        let at = self.sketchers.iter().position(|(own, other, _)| *own == call && *other == tag);
        let at = at.unwrap_or_else(|| {
            let session = 1_000 * (self.sketchers.len() as u64 + 1);
            let port = 40_000 + u16::from(self.name.as_bytes().first().copied().unwrap_or(0)) * 20;
            let fresh = Sketcher::new(&self.name, self.address().ip(), port, session);
            self.sketchers.push((call, tag, fresh));
            self.sketchers.len() - 1
        });
        &mut self.sketchers[at].2
    }

    fn dispatch(&mut self, leg: Option<usize>, raw: &Raw, message: Outgoing) {
        if let Some(sdp) = raw.sdp() {
            self.sketcher(leg).sent(sdp);
        }
        if let Some(leg) = leg.and_then(|at| self.legs.get_mut(at)) {
            leg.sent(raw);
        }
        self.outbox.push(message);
    }

    /// Contact, Allow and Supported where a message carries them.
    fn dress(&self, raw: &mut Raw, method: &str) {
        if matches!(method, "INVITE" | "UPDATE" | "REFER" | "SUBSCRIBE" | "NOTIFY") {
            let stream = if self.transport.reliable() { ";transport=tcp" } else { "" };
            raw.add("Contact", format_args!("<{}{stream}>", self.uri()));
        }
        if matches!(method, "INVITE" | "UPDATE") {
            raw.add("Allow", &self.allow);
            raw.add("Supported", &self.supported);
        }
    }

    /// Where a URI leads: its literal address, else where the dialog's messages come from.
    fn resolve(&self, uri: &str, leg: &Leg) -> SocketAddr {
        literal(uri).unwrap_or_else(|| {
            let known = self.inbox.iter().rev().find(|got| got.call_id() == leg.call_id).map(|got| got.from);
            known.unwrap_or_else(|| self.address())
        })
    }

    /// The dialog of a response to us, or the one its INVITE began.
    fn leg_answered(&self, response: &Raw) -> Option<usize> {
        let exact = self.legs.iter().position(|leg| leg.receives(response));
        exact.or_else(|| self.legs.iter().rposition(|leg| began(leg, response)))
    }

    fn branch(&mut self) -> String {
        format!("z9hG4bK{}", self.rng.token(50))
    }

    fn note(&mut self, raw: &Raw) {
        let starts = raw.is_request() && raw.tag("To").is_none() && !matches!(raw.method(), "ACK" | "CANCEL");
        let makes =
            raw.status().is_some_and(|status| (101..300).contains(&status)) && raw.tag("To").is_some();
        let begun = |leg: &Leg| leg.call_id == raw.call_id() && leg.remote_tag.as_deref() == raw.tag("From");
        let known = self.legs.iter().position(|leg| leg.receives(raw));
        let resent = self.legs.iter().position(|leg| starts && begun(leg));
        if let Some(at) = known.or(resent) {
            if known.is_some() {
                self.legs[at].received(raw);
            }
            self.current = Some(at);
            return;
        }
        let fork = self.legs.iter().find(|leg| makes && began(leg, raw)).map(|leg| leg.forked(raw));
        let fresh = if starts { Some(self.leg_of(raw)) } else { fork };
        if let Some(mut leg) = fresh {
            leg.received(raw);
            self.legs.push(leg);
            self.current = Some(self.legs.len() - 1);
        }
    }

    fn leg_of(&mut self, request: &Raw) -> Leg {
        Leg {
            call_id: request.call_id().to_owned(),
            local: request.address("To").unwrap_or_default().to_owned(),
            local_tag: self.rng.token(40),
            remote: request.address("From").unwrap_or_default().to_owned(),
            remote_tag: request.tag("From").map(str::to_owned),
            target: request
                .address("Contact")
                .or_else(|| request.address("From"))
                .unwrap_or_default()
                .to_owned(),
            route: request.list("Record-Route").iter().map(|value| (*value).to_owned()).collect(),
            cseq: u32::try_from(self.rng.below(1_000)).unwrap_or_default(),
            remote_cseq: request.cseq(),
            invite: None,
            rseq: None,
            reliable: None,
            remote_sdp: None,
            caller: false,
            confirmed: false,
        }
    }
}

/// Whether the response answers the request that began this dialog or its forks.
fn began(leg: &Leg, response: &Raw) -> bool {
    leg.call_id == response.call_id() && response.tag("From") == Some(leg.local_tag.as_str())
}

/// The address that a URI names as a literal.
pub fn literal(uri: &str) -> Option<SocketAddr> {
    let rest = uri.split_once(':').map(|(_, rest)| rest)?;
    let rest = rest.rsplit('@').next()?.split([';', '?', '>']).next()?;
    rest.parse().ok().or_else(|| Some(SocketAddr::new(rest.trim_matches(['[', ']']).parse().ok()?, 5060)))
}

impl Node for Party {
    fn name(&self) -> &str {
        &self.name
    }

    fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    fn arrive(&mut self, now: Instant, _: SocketAddr, arrival: Arrival) {
        self.now = now;
        let Arrival::Packet(packet) = arrival else { return };
        let raw = packet.raw();
        let key = |raw: &Raw| {
            (raw.start().to_owned(), raw.branch().map(str::to_owned), raw.header("CSeq").map(str::to_owned))
        };
        let again = self.inbox.iter().any(|got| key(&got.raw) == key(&raw) && got.tag("To") == raw.tag("To"));
        self.note(&raw);
        self.inbox.push(Received {
            at: now,
            packet: packet.number,
            from: packet.from,
            again,
            answered: false,
            transport: packet.transport,
            connection: packet.connection,
            taken: false,
            raw: raw.clone(),
        });
        if self.acks_failures && raw.method() == "INVITE" && raw.status().is_some_and(|status| status >= 300)
        {
            self.ack(&raw).send();
        }
    }

    fn wake(&mut self, now: Instant) {
        self.now = now;
    }

    fn sends(&mut self) -> Vec<Outgoing> {
        std::mem::take(&mut self.outbox)
    }

    fn due(&self) -> Option<Instant> {
        None
    }
}
