//! Where media lives: the address to bind, the address to tell, and the ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::entropy;
use crate::media::PortRange;
use crate::tap::Tap;

/// Where the media sessions of a user agent are opened.
#[derive(Clone, Debug)]
pub(crate) struct MediaPlace {
    /// The address that sockets are bound to.
    pub(crate) bind: IpAddr,
    /// The address that goes into descriptions.
    pub(crate) announced: IpAddr,
    pub(crate) ports: PortRange,
    pub(crate) tap: Tap,
}

impl MediaPlace {
    /// A number for the `o=` line (RFC 8866 §5.2): unique, and short enough for peers that read 63 bits.
    pub(crate) fn session_id(&self) -> u64 {
        entropy::seed() >> 2
    }
}

/// The address that peers on the usual route see if we listen on all of them.
///
/// Nothing is sent: connecting a datagram socket only asks the routing table.
pub(crate) fn reachable(bound: IpAddr) -> IpAddr {
    if !bound.is_unspecified() {
        return bound;
    }
    let (far, here) = match bound {
        IpAddr::V4(_) => (IpAddr::V4(FAR_V4), IpAddr::V4(Ipv4Addr::LOCALHOST)),
        IpAddr::V6(_) => (IpAddr::V6(FAR_V6), IpAddr::V6(Ipv6Addr::LOCALHOST)),
    };
    let asked = UdpSocket::bind((bound, 0)).and_then(|socket| {
        socket.connect(SocketAddr::new(far, 9))?;
        socket.local_addr()
    });
    asked.map_or(here, |local| local.ip())
}

/// Addresses for documentation (RFC 5737, RFC 3849): no host has them, the default route leads there.
const FAR_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const FAR_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certain_address_is_its_own_and_no_address_becomes_one() {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert_eq!(reachable(here), here);
        assert!(!reachable(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).is_unspecified());
        assert!(!reachable(IpAddr::V6(Ipv6Addr::UNSPECIFIED)).is_unspecified());
    }
}
