//! The messages of a call taken apart: each once, however often it is asked for.

use std::cell::OnceCell;

use midcall_wire::Message;
use midcall_wire::sdp::Sdp;

use crate::model;

/// Messages and their session descriptions, read when they are asked for.
pub(crate) struct Papers<'c> {
    messages: &'c [model::Message],
    read: Vec<OnceCell<Option<Message<&'c [u8]>>>>,
    described: Vec<OnceCell<Option<Sdp>>>,
}

impl<'c> Papers<'c> {
    pub(crate) fn of(messages: &'c [model::Message]) -> Self {
        Self {
            messages,
            read: messages.iter().map(|_| OnceCell::new()).collect(),
            described: messages.iter().map(|_| OnceCell::new()).collect(),
        }
    }

    /// A message by its number in the call.
    pub(crate) fn get(&self, n: u32) -> Option<&Message<&'c [u8]>> {
        let index = index(n)?;
        let raw = &self.messages.get(index)?.raw;
        self.read.get(index)?.get_or_init(|| Message::parse_partial(raw.as_ref()).ok()).as_ref()
    }

    /// The session description of a message.
    pub(crate) fn sdp(&self, n: u32) -> Option<&Sdp> {
        let sdp = self.described.get(index(n)?)?;
        sdp.get_or_init(|| self.get(n)?.sdp().and_then(|sdp| Sdp::parse(sdp).ok())).as_ref()
    }
}

fn index(n: u32) -> Option<usize> {
    usize::try_from(n).ok()?.checked_sub(1)
}
