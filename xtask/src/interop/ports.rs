//! Ports: one block for each run, below the range the system hands out by itself.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicU16, Ordering};

/// The ports of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    base: u16,
}

impl Ports {
    /// The next free block.
    pub(crate) fn take() -> Self {
        loop {
            let turn = NEXT.fetch_add(1, Ordering::Relaxed) % BLOCKS;
            let base = FIRST + turn * SIZE;
            let free = |port| UdpSocket::bind(("127.0.0.1", port)).is_ok();
            if (base..base + SIZE).all(free) {
                return Self { base };
            }
        }
    }

    pub(crate) fn midcall(self) -> u16 {
        self.base
    }

    /// SIP port of peer 0, 1, 2.
    pub(crate) fn peer(self, nth: u16) -> u16 {
        self.base + 1 + nth
    }

    /// SIP port of proxy 0 or 1.
    pub(crate) fn proxy(self, nth: u16) -> u16 {
        self.base + 4 + nth
    }

    pub(crate) fn control(self) -> u16 {
        self.base + 6
    }

    /// SIPp in midcall's place, towards peer 1 and 2.
    pub(crate) fn mirror(self, nth: u16) -> u16 {
        if nth == 0 { self.base } else { self.base + 6 + nth }
    }

    /// First media port of peer 0, 1, 2; there are eight each.
    pub(crate) fn media(self, nth: u16) -> u16 {
        self.base + 10 + 8 * nth
    }

    /// Last media port of all.
    pub(crate) fn last(self) -> u16 {
        self.base + 33
    }

    /// Where midcall may move its media to.
    pub(crate) fn elsewhere(self) -> u16 {
        self.base + 34
    }
}

const FIRST: u16 = 28_000;
const SIZE: u16 = 36;
const BLOCKS: u16 = 125;
static NEXT: AtomicU16 = AtomicU16::new(0);
