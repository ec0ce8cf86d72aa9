//! What the transports count: nothing that is dropped goes unnoticed.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of all transports since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct TransportStats {
    /// Messages received.
    pub received: u64,
    /// Messages handed to a socket.
    pub sent: u64,
    /// Messages that a full send buffer or a full queue of a connection lost.
    pub send_queue_full: u64,
    /// Messages that could not be sent: no socket for them, or the system declined.
    pub send_failed: u64,
    /// ICMP errors and refused connections.
    pub unreachable: u64,
    /// Connections opened by us.
    pub connected: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections turned away because there are too many.
    pub turned_away: u64,
    /// Connections closed, for whatever reason.
    pub closed: u64,
    /// Messages on connections that could not be cut out of the stream; most of them cost the connection.
    pub broken_frames: u64,
    /// Keep-alives received (RFC 5626 §4.4.1).
    pub pings: u64,
}

macro_rules! counters {
    ($($name:ident),+ $(,)?) => {
        /// The live counters behind [`TransportStats`].
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64,)+
        }

        impl Counters {
            /// Adds one.
            pub(crate) fn add(counter: &AtomicU64) {
                counter.fetch_add(1, Ordering::Relaxed);
            }

            /// The values now.
            pub(crate) fn snapshot(&self) -> TransportStats {
                TransportStats { $($name: self.$name.load(Ordering::Relaxed),)+ }
            }
        }
    };
}

counters!(
    received,
    sent,
    send_queue_full,
    send_failed,
    unreachable,
    connected,
    accepted,
    turned_away,
    closed,
    broken_frames,
    pings,
);
