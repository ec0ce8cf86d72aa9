//! Looking back over the exchanges of a call.

use midcall_proto::observer::Party;

pub(super) use crate::diagnosis::exchange::Deal;
use crate::sheet::Sheet;

/// A party's last description that was agreed on before this exchange: its message and what it says.
pub(super) fn before<'d, 'c>(deals: &'d [Deal<'c>], index: usize, by: Party) -> Option<(u32, &'d Sheet<'c>)> {
    deals.get(..index)?.iter().rev().find_map(|deal| {
        let (offered, answer, answered) = deal.done()?;
        Some(if deal.by == by { (deal.offer, offered) } else { (answer, answered) })
    })
}
