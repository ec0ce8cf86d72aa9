//! Signs of somebody who does not belong, or was not asked who he is.

use std::net::IpAddr;
use std::time::Duration;

use midcall_wire::sdp::Sdp;
use midcall_wire::{Method, Scheme, Uri};
use smallvec::{SmallVec, smallvec};

use super::Each;
use crate::dialog::Way;
use crate::observer::dialog::{Claim, ObservedDialog, Passing};
use crate::observer::facts::hash;
use crate::observer::finding::Party;
use crate::observer::weigh::against;
use crate::rules::RuleId;
use crate::rules::methods::MODIFY_SESSION;
use crate::time::Instant;

/// What is remembered of addresses and challenges in a dialog.
#[derive(Clone, Default, Debug)]
pub(super) struct Memory {
    /// Prints of the networks of all addresses that took part or were named.
    known: SmallVec<[u32; 6]>,
    /// What the last message of each party named: most name the same again.
    named: Each<u64>,
    /// Whether more took part than are remembered.
    full: bool,
    /// Whether a challenge offered nothing better than MD5.
    weak: bool,
    /// The refusal of sips: the response and when.
    sips_refused: Option<(u32, Instant)>,
    /// REFERs from a stranger: its CSeq number and its number.
    referred: Option<(u32, u32)>,
    /// A description that points at a stranger: the request's CSeq number and its number.
    moved: Option<(u32, u32)>,
}

pub(super) fn look(observed: &ObservedDialog, passing: &Passing<'_>, found: &mut Vec<Claim>) {
    let seen = passing.seen;
    match (seen.status, seen.method) {
        (None, Method::Bye | Method::Invite | Method::Update) => {
            found.extend(stranger(observed, passing));
            found.extend(without_sips(observed, passing));
        }
        (None, Method::Ack) => found.extend(credentials_dropped(observed, passing)),
        (Some(401 | 407), _) => found.extend(weak_challenge(observed, passing)),
        (Some(200..=299), Method::Refer) => {
            let referred = observed.memory.security.referred.filter(|(cseq, _)| *cseq == seen.cseq);
            found.extend(referred.map(|(_, refer)| {
                against(passing.by, RuleId::ReferUnauthorised, passing.facts.n, smallvec![refer])
            }));
        }
        (Some(200..=299), Method::Invite | Method::Update) => {
            let moved = observed.memory.security.moved.filter(|(cseq, _)| *cseq == seen.cseq);
            found.extend(moved.map(|(_, request)| {
                against(passing.by.other(), RuleId::MediaAtVictim, request, smallvec![passing.facts.n])
            }));
        }
        _ => {}
    }
}

/// Who took part, and what was refused.
pub(super) fn note(observed: &mut ObservedDialog, passing: &Passing<'_>) {
    let (seen, facts) = (passing.seen, passing.facts);
    let in_dialog = !observed.side(passing.by).base.usage.early();
    let memory = &mut observed.memory.security;
    match (seen.status, seen.method) {
        (None, Method::Refer) => {
            let foreign = in_dialog && seen.headers.credentials == 0 && !memory.knows(facts.from.ip());
            memory.referred = foreign.then_some((facts.cseq, facts.n)).or(memory.referred);
        }
        (None, Method::Invite | Method::Update) if in_dialog => {
            let trusted = seen.headers.credentials != 0 || !memory.knows(facts.from.ip());
            let foreign = seen.sdp.as_ref().filter(|_| !trusted).is_some_and(|sdp| memory.strange(sdp));
            memory.moved = foreign.then_some((facts.cseq, facts.n)).or(memory.moved);
        }
        (Some(401 | 407), _) => memory.weak |= weak(passing),
        (Some(416), Method::Invite) => memory.sips_refused = Some((facts.n, facts.at)),
        (Some(480), Method::Invite) if warns_of_sips(passing) => {
            memory.sips_refused = Some((facts.n, facts.at));
        }
        _ => {}
    }
    memory.meet(passing);
}

/// What the next INVITE of the same caller must know of this one.
pub(in crate::observer) fn carry(before: &ObservedDialog, next: &mut ObservedDialog) {
    next.memory.security.sips_refused = before.memory.security.sips_refused;
}

impl Memory {
    fn meet(&mut self, passing: &Passing<'_>) {
        for address in [passing.facts.from.ip(), passing.facts.to.ip()] {
            self.remember(address);
        }
        if !MODIFY_SESSION.has(passing.seen.method) {
            return;
        }
        let print = named(passing);
        if print.is_some_and(|print| std::mem::replace(self.named.of_mut(passing.by), print) == print) {
            return;
        }
        let contact = passing.seen.contact.and_then(|uri| Uri::parse(uri).ok()).and_then(|uri| uri.ip());
        let vias = &passing.facts.envelope.vias;
        // Of a single one nothing needs to be read again.
        let further = (vias.count > 1).then(|| passing.message.vias().filter_map(Result::ok));
        let all = vias.hop.filter(|_| vias.count == 1).into_iter().chain(further.into_iter().flatten());
        for address in all.flat_map(|via| [via.ip(), via.received_ip()]).flatten().chain(contact) {
            self.remember(address);
        }
        if let Some(sdp) = &passing.seen.sdp {
            for address in addresses(sdp) {
                self.remember(address);
            }
        }
    }

    fn remember(&mut self, address: IpAddr) {
        let print = network(address);
        if self.known.contains(&print) {
            return;
        }
        if self.known.len() < MOST_KNOWN {
            self.known.push(print);
        } else {
            self.full = true;
        }
    }

    fn knows(&self, address: IpAddr) -> bool {
        self.full || self.known.is_empty() || self.known.contains(&network(address))
    }

    /// Whether a description names an address that nothing named before.
    fn strange(&self, sdp: &Sdp) -> bool {
        addresses(sdp).any(|address| !address.is_unspecified() && !self.knows(address))
    }
}

/// A print of all that a message names as addresses; `None` where that is more than a few texts.
fn named(passing: &Passing<'_>) -> Option<u64> {
    let vias = &passing.facts.envelope.vias;
    let via = vias.hop.filter(|_| vias.count == 1)?;
    let streams = passing.seen.sdp.iter().flat_map(Sdp::media).filter(|media| !media.rejected());
    let own = [passing.seen.contact.unwrap_or_default(), via.host, via.received().unwrap_or_default()];
    let places = streams.map(|media| media.connection().unwrap_or_default());
    Some(hash(own.into_iter().chain(places).map(str::as_bytes)).max(1))
}

/// The addresses where a description wants media.
fn addresses(sdp: &Sdp) -> impl Iterator<Item = IpAddr> + '_ {
    sdp.media().filter(|media| !media.rejected()).filter_map(|media| media.connection()?.parse().ok())
}

/// The network that an address is in, as far as hosts of one operator share it: parts of one farm are no strangers.
fn network(address: IpAddr) -> u32 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_bits() >> 8,
        IpAddr::V6(address) => {
            let high = (address.to_bits() >> 64) as u64;
            (high ^ (high >> 32)) as u32 | 1 << 31
        }
    }
}

/// RFC 3261 §26.2: a request in a dialog from where nobody of it ever was.
fn stranger(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let memory = &observed.memory.security;
    let anonymous = passing.seen.headers.credentials == 0 && !passing.facts.to_tag.is_empty();
    let strange = anonymous && !memory.knows(passing.facts.from.ip());
    strange.then(|| against(Party::Network, RuleId::RequestFromStranger, passing.facts.n, smallvec![]))
}

/// RFC 3261 §22.1: the ACK repeats the credentials of its INVITE. Proxies take theirs out, so only the first hop tells.
fn credentials_dropped(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let base = &observed.side(passing.by).base;
    let open = base.find_open(Way::Sent, Method::Invite, passing.seen.cseq)?;
    let dropped = open.credentials != 0
        && open.accepted.is_some()
        && passing.seen.headers.credentials == 0
        && passing.facts.vias == 1
        && !passing.trace.relayed;
    dropped.then(|| {
        against(passing.by, RuleId::AckOrCancelChallenged, passing.facts.n, ObservedDialog::on(open.on))
    })
}

/// RFC 8760 §2.1: a challenge that knows nothing better than MD5, told once.
fn weak_challenge(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let first = !observed.memory.security.weak && weak(passing);
    first.then(|| against(passing.by, RuleId::DigestAlgorithms, passing.facts.n, smallvec![]))
}

fn weak(passing: &Passing<'_>) -> bool {
    let challenges = passing.message.challenges();
    let better = |algorithm: &str| {
        let name = algorithm.get(..4).unwrap_or_default();
        name.eq_ignore_ascii_case("SHA-") || algorithm.eq_ignore_ascii_case("AKAv2-SHA-256")
    };
    !challenges.is_empty() && !challenges.iter().any(|challenge| challenge.algorithm().is_some_and(better))
}

/// RFC 5630 §5.1.1: sips was refused, and the same call is tried without it at once.
fn without_sips(observed: &ObservedDialog, passing: &Passing<'_>) -> Option<Claim> {
    let (refusal, at) = observed.memory.security.sips_refused?;
    let uri = passing.seen.uri.and_then(|uri| Uri::parse(uri).ok())?;
    let soon = passing.facts.at.since(at) < AT_ONCE && passing.patience.tells(AT_ONCE);
    let again = passing.seen.method == Method::Invite && passing.facts.to_tag.is_empty();
    (again && soon && uri.scheme == Scheme::Sip)
        .then(|| against(passing.by, RuleId::SipsRefused, passing.facts.n, smallvec![refusal]))
}

/// Whether a 480 says that sips is what it cannot do (RFC 5630 §5.1.2).
fn warns_of_sips(passing: &Passing<'_>) -> bool {
    passing
        .message
        .values(midcall_wire::Name::Warning)
        .any(|warning| warning.trim_start().starts_with("380 "))
}

/// The most networks that are remembered of one dialog; with more nobody is a stranger.
const MOST_KNOWN: usize = 24;
/// How soon no person decides.
const AT_ONCE: Duration = Duration::from_secs(2);
