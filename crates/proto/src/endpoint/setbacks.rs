//! What refusals of changes demand of the next try.

use super::call::free;
use super::modify::Wishes;
use crate::dialog::OptionSet;
use crate::rules::RuleId;
use crate::time::Instant;

/// What refusals of earlier changes demand of the next.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Setbacks {
    /// Nothing is tried before: after a 491, a 500 or 503 with Retry-After.
    pub(super) not_before: Option<Instant>,
    /// What `not_before` comes from.
    pub(super) held_by: Option<RuleId>,
    /// 491s in a row.
    pub(super) glare: u8,
    /// A refresh was refused for good: the next one is tried then (ST-17).
    pub(super) refresh_after: Option<Instant>,
    /// The next try must be a re-INVITE: the peer said 504 to UPDATE (UP-11).
    pub(super) by_invite: bool,
    /// Option tags that a 420 took away.
    pub(super) without: OptionSet,
}

impl Wishes {
    /// What earlier refusals demand.
    pub(super) fn setbacks(&self) -> Setbacks {
        self.setbacks.as_deref().copied().unwrap_or_default()
    }

    /// The same, to note another one.
    pub(super) fn setbacks_mut(&mut self) -> &mut Setbacks {
        self.setbacks.get_or_insert_default()
    }

    /// Gives back memory that only a change needs.
    pub(super) fn trim(&mut self) {
        free(&mut self.queue);
        self.setbacks.take_if(|setbacks| **setbacks == Setbacks::default());
    }
}
