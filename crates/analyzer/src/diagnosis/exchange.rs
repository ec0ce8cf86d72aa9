//! The offers of a call and what became of them, read off its transactions.

use midcall_proto::observer::Party;
use midcall_wire::sdp::Sdp;
use midcall_wire::{Message, Method};

use super::read::Reading;
use crate::sheet::Sheet;

/// An offer and its answer or refusal; `D` is what is read of a description.
#[derive(Debug)]
pub(crate) struct Exchange<D = Sdp> {
    /// Who offered.
    pub(crate) by: Party,
    /// The message with the offer.
    pub(crate) offer: u32,
    /// What it says.
    pub(crate) offered: D,
    /// The message with the answer, and what it says.
    pub(crate) answer: Option<(u32, D)>,
    /// The final response that refused it.
    pub(crate) refusal: Option<u32>,
}

impl<D> Exchange<D> {
    /// What the description in this message says, if it is the offer or the answer.
    pub(crate) fn description(&self, n: u32) -> Option<&D> {
        let answer = self.answer.as_ref().filter(|(answer, _)| *answer == n);
        answer.map(|(_, answered)| answered).or((self.offer == n).then_some(&self.offered))
    }

    /// The offer and its answer.
    pub(crate) fn done(&self) -> Option<(&D, u32, &D)> {
        self.answer.as_ref().map(|(n, answer)| (&self.offered, *n, answer))
    }
}

/// An exchange with its descriptions at hand.
pub(crate) type Deal<'c> = Exchange<Sheet<'c>>;

/// The exchanges of a call with their descriptions at hand.
pub(crate) fn deals<'c>(reading: &Reading<'c>) -> Vec<Deal<'c>> {
    read(reading, |n| Sheet::read(reading.description(n)?))
}

/// The exchanges of a call in the order of their offers, with what `describe` reads of the description in a message. Of a
/// fork, the branch that accepted counts.
pub(crate) fn read<D>(reading: &Reading<'_>, describe: impl Fn(u32) -> Option<D>) -> Vec<Exchange<D>> {
    let mut found: Vec<Exchange<D>> = Vec::new();
    // Requests whose transaction may still bring an offer or an answer: their message and the exchange.
    let mut open: Vec<Open> = Vec::new();
    for (own, glance) in reading.glances_of_originals() {
        let has_sdp = glance.description().is_some();
        let Some((number, method)) = glance.cseq else { continue };
        match glance.status {
            None if matches!(method, Method::Invite | Method::Update | Method::Prack) => {
                let waits = method == Method::Prack
                    && answers(&mut found, &mut open, reading, &describe, own.n, own.by);
                if waits {
                    continue;
                }
                let index = has_sdp.then(|| offer(&mut found, &describe, own.n, own.by)).flatten();
                if open.len() >= MOST_OPEN {
                    open.remove(0);
                }
                open.push(Open { by: own.by, method, cseq: number, index, answered: false });
            }
            None if method == Method::Ack => {
                answers(&mut found, &mut open, reading, &describe, own.n, own.by);
            }
            Some(status) if status > 100 => {
                let Some(at) = open
                    .iter()
                    .rposition(|one| one.by == own.by.other() && one.method == method && one.cseq == number)
                else {
                    continue;
                };
                let Some(one) = open.get_mut(at) else { continue };
                let reliable = (200..300).contains(&status) || glance.is_reliable();
                match one.index {
                    Some(index) if status >= 300 => {
                        if let Some(exchange) =
                            found.get_mut(index).filter(|exchange| exchange.answer.is_none())
                        {
                            exchange.refusal = Some(own.n);
                        }
                    }
                    Some(index) if reliable && has_sdp && !one.answered => {
                        one.answered = true;
                        if let Some(exchange) = found.get_mut(index).filter(|exchange| exchange.by != own.by)
                        {
                            exchange.answer = describe(own.n).map(|sdp| (own.n, sdp));
                        }
                    }
                    None if reliable && has_sdp => {
                        // The offer comes back, and PRACK or ACK will answer it.
                        one.index = offer(&mut found, &describe, own.n, own.by);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        if found.len() >= MOST {
            break;
        }
    }
    found
}

/// A request that may bring an offer or an answer.
struct Open {
    by: Party,
    method: Method,
    cseq: u32,
    index: Option<usize>,
    answered: bool,
}

fn offer<D>(
    found: &mut Vec<Exchange<D>>,
    describe: impl Fn(u32) -> Option<D>,
    n: u32,
    by: Party,
) -> Option<usize> {
    let offered = describe(n)?;
    found.push(Exchange { by, offer: n, offered, answer: None, refusal: None });
    Some(found.len() - 1)
}

/// An ACK or PRACK that answers an offer that came in a response; whether it does.
fn answers<D>(
    found: &mut [Exchange<D>],
    open: &mut [Open],
    reading: &Reading<'_>,
    describe: impl Fn(u32) -> Option<D>,
    n: u32,
    by: Party,
) -> bool {
    let Some(sdp) = describe(n) else { return false };
    let invite = match reading.get(n).and_then(Message::rack) {
        Some(rack) => rack.map_or(0, |rack| rack.cseq),
        None => reading.cseq(n),
    };
    let Some(one) =
        open.iter_mut().rfind(|one| one.by == by && one.method == Method::Invite && one.cseq == invite)
    else {
        return false;
    };
    let waiting = one.index.and_then(|index| found.get_mut(index));
    let Some(exchange) = waiting.filter(|exchange| exchange.by == by.other() && exchange.answer.is_none())
    else {
        return false;
    };
    exchange.answer = Some((n, sdp));
    one.answered = true;
    true
}

/// The most exchanges that are looked at in one call.
const MOST: usize = 500;
/// The most requests that may be open at a time.
const MOST_OPEN: usize = 32;
