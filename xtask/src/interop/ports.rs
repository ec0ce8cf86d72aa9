//! Ports: one block for each run, below the range the system hands out by itself.

use std::net::{TcpListener, UdpSocket};
use std::sync::{Mutex, PoisonError};

/// The ports of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    base: u16,
}

/// A block for as long as a run lasts; nobody else gets it, or even tries its ports, meanwhile.
#[derive(Debug)]
pub(crate) struct Block {
    turn: u16,
}

impl Block {
    /// The next free block.
    pub(crate) fn take() -> Self {
        let mut blocks = BLOCKS_TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let turn = blocks.next % BLOCKS;
            blocks.next = blocks.next.wrapping_add(1);
            let base = FIRST + turn * SIZE;
            let free = |port| UdpSocket::bind(("127.0.0.1", port)).is_ok();
            let control = TcpListener::bind(("127.0.0.1", Ports { base }.control())).is_ok();
            if !blocks.taken[usize::from(turn)] && control && (base..base + SIZE).all(free) {
                blocks.taken[usize::from(turn)] = true;
                return Self { turn };
            }
        }
    }

    /// Its ports.
    pub(crate) fn ports(&self) -> Ports {
        Ports { base: FIRST + self.turn * SIZE }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let mut blocks = BLOCKS_TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.taken[usize::from(self.turn)] = false;
    }
}

struct Blocks {
    next: u16,
    taken: [bool; BLOCKS as usize],
}

impl Ports {
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

    /// Where midcall may move its media to; RTCP is one above.
    pub(crate) fn elsewhere(self) -> u16 {
        self.base + 34
    }

    /// Where midcall may move its signalling to.
    pub(crate) fn moved(self) -> u16 {
        self.base + 36
    }
}

const FIRST: u16 = 28_000;
const SIZE: u16 = 37;
const BLOCKS: u16 = 125;
static BLOCKS_TAKEN: Mutex<Blocks> = Mutex::new(Blocks { next: 0, taken: [false; BLOCKS as usize] });
