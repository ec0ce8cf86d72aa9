//! Pairs of UDP ports: RTP on an even one, RTCP on the next (RFC 3550 §11).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::net::UdpSocket;

/// Where media sessions get their ports from; clones share the place in the range.
///
/// ```
/// use midcall::media::PortRange;
///
/// let range: PortRange = "10000-10999".parse()?;
/// assert_eq!(range.pairs(), Some(500));
/// assert!("10999-10000".parse::<PortRange>().is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct PortRange {
    range: Option<Arc<Range>>,
}

#[derive(Debug)]
struct Range {
    first: u16,
    pairs: u32,
    next: AtomicU32,
}

impl PortRange {
    /// Lets the operating system choose.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Uses the ports from `low` to `high`, both included.
    ///
    /// # Errors
    /// The range holds no even port with its odd neighbour.
    pub fn new(low: u16, high: u16) -> io::Result<Self> {
        let first = low.checked_add(low % 2).filter(|first| *first > 0 && *first < high);
        let Some(first) = first else {
            let text = format!("{low}-{high} holds no even port with its odd neighbour");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        };
        let pairs = (u32::from(high) - u32::from(first)).div_ceil(2);
        Ok(Self { range: Some(Arc::new(Range { first, pairs, next: AtomicU32::new(0) })) })
    }

    /// How many pairs the range holds; `None` if the operating system chooses.
    #[must_use]
    pub fn pairs(&self) -> Option<u32> {
        self.range.as_ref().map(|range| range.pairs)
    }

    /// Binds the next free pair on an address.
    ///
    /// # Errors
    /// No pair is free, or the address is not one of this machine.
    pub async fn open(&self, address: IpAddr) -> io::Result<PortPair> {
        let mut last = io::Error::new(io::ErrorKind::AddrInUse, "no pair of media ports is free");
        let tries = self.pairs().unwrap_or(SYSTEM_TRIES);
        for _ in 0..tries {
            let wish = match self.range.as_deref() {
                None => None,
                Some(range) => {
                    let nth = range.next.fetch_add(1, Ordering::Relaxed) % range.pairs;
                    Some(range.first.saturating_add(u16::try_from(nth * 2).unwrap_or(u16::MAX)))
                }
            };
            match PortPair::bind(address, wish).await {
                Ok(pair) => return Ok(pair),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }
}

impl FromStr for PortRange {
    type Err = io::Error;

    fn from_str(text: &str) -> io::Result<Self> {
        let ports =
            text.split_once('-').and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
        let Some((low, high)) = ports else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "expected a range such as 10000-20000"));
        };
        Self::new(low, high)
    }
}

/// Two bound sockets, closed when dropped.
#[derive(Debug)]
pub struct PortPair {
    /// The even port.
    pub rtp: UdpSocket,
    /// The odd port above it.
    pub rtcp: UdpSocket,
}

impl PortPair {
    pub(crate) async fn bind(address: IpAddr, wish: Option<u16>) -> io::Result<Self> {
        let rtp = match wish {
            Some(port) => UdpSocket::bind((address, port)).await?,
            None => even(address).await?,
        };
        let above = rtp.local_addr()?.port().saturating_add(1);
        let rtcp = UdpSocket::bind((address, above)).await?;
        // Until the runtime has seen them ready once, trying to send would find them busy.
        rtp.writable().await?;
        rtcp.writable().await?;
        Ok(Self { rtp, rtcp })
    }

    /// The address that RTP is received on.
    ///
    /// # Errors
    /// The operating system does not tell.
    pub fn local(&self) -> io::Result<SocketAddr> {
        self.rtp.local_addr()
    }
}

/// Holds on to the odd ports it is given until an even one comes, so that they are not offered again.
async fn even(address: IpAddr) -> io::Result<UdpSocket> {
    let mut odd = Vec::new();
    for _ in 0..SYSTEM_TRIES {
        let socket = UdpSocket::bind((address, 0)).await?;
        if socket.local_addr()?.port() % 2 == 0 {
            return Ok(socket);
        }
        odd.push(socket);
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "the system offers no even port"))
}

const SYSTEM_TRIES: u32 = 64;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_range_counts_whole_pairs() {
        assert_eq!(PortRange::new(10_000, 10_001).unwrap().pairs(), Some(1));
        assert_eq!(PortRange::new(9_999, 10_004).unwrap().pairs(), Some(2));
        assert_eq!(PortRange::new(65_534, 65_535).unwrap().pairs(), Some(1));
        assert!(PortRange::new(10_001, 10_002).is_err());
        assert!(PortRange::new(65_535, 65_535).is_err());
        assert!("10000".parse::<PortRange>().is_err());
    }

    #[tokio::test]
    async fn the_pair_is_even_and_odd() {
        let pair = PortRange::any().open(HERE).await.unwrap();
        let port = pair.local().unwrap().port();
        assert_eq!(port % 2, 0);
        assert_eq!(pair.rtcp.local_addr().unwrap().port(), port + 1);
    }

    #[tokio::test]
    async fn taken_ports_are_passed_over() {
        let free = PortRange::any().open(HERE).await.unwrap().local().unwrap().port();
        let _taken = UdpSocket::bind((HERE, free)).await.unwrap();
        let range = PortRange::new(free, free + 21).unwrap();
        let pair = range.open(HERE).await.unwrap();
        assert_ne!(pair.local().unwrap().port(), free);
        let full = PortRange::new(free, free + 1).unwrap();
        assert_eq!(full.open(HERE).await.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
