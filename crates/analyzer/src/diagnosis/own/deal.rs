//! The exchanges of a call with their descriptions at hand.

use midcall_proto::observer::Party;

use crate::diagnosis::exchange::Exchange;
use crate::sheet::Sheet;

/// An exchange of offer and answer with both descriptions read.
pub(super) type Deal<'c> = Exchange<Sheet<'c>>;

/// A party's last description that was agreed on before this exchange: its message and what it says.
pub(super) fn before<'d, 'c>(deals: &'d [Deal<'c>], index: usize, by: Party) -> Option<(u32, &'d Sheet<'c>)> {
    deals.get(..index)?.iter().rev().find_map(|deal| {
        let (offered, answer, answered) = deal.done()?;
        Some(if deal.by == by { (deal.offer, offered) } else { (answer, answered) })
    })
}
