//! The exchanges of a call with their descriptions read.

use midcall_proto::observer::Party;

use crate::diagnosis::exchange::Exchange;
use crate::sheet::Sheet;

/// An exchange of offer and answer with both descriptions read.
pub(super) struct Deal<'e> {
    /// Who offered.
    pub(super) by: Party,
    /// The message with the offer.
    pub(super) offer: u32,
    pub(super) offered: Sheet<'e>,
    /// The message with the answer, and what it says.
    pub(super) answer: Option<(u32, Sheet<'e>)>,
    /// The final response that refused it.
    pub(super) refusal: Option<u32>,
}

impl<'e> Deal<'e> {
    pub(super) fn read(exchange: &'e Exchange) -> Self {
        Self {
            by: exchange.by,
            offer: exchange.offer,
            offered: Sheet::read(&exchange.offered),
            answer: exchange.answer.as_ref().map(|(n, answered)| (*n, Sheet::read(answered))),
            refusal: exchange.refusal,
        }
    }

    /// The offer and its answer.
    pub(super) fn done(&self) -> Option<(&Sheet<'e>, u32, &Sheet<'e>)> {
        self.answer.as_ref().map(|(n, answered)| (&self.offered, *n, answered))
    }
}

/// A party's last description that was agreed on before this exchange: its message and what it says.
pub(super) fn before<'d, 'e>(deals: &'d [Deal<'e>], index: usize, by: Party) -> Option<(u32, &'d Sheet<'e>)> {
    deals.get(..index)?.iter().rev().find_map(|deal| {
        let (offered, answer, answered) = deal.done()?;
        Some(if deal.by == by { (deal.offer, offered) } else { (answer, answered) })
    })
}
