//! From a host name to places to send to (RFC 3263).

#[cfg(feature = "dns")]
mod servers;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use midcall_proto::flow::Transport;
use tokio::time;

/// The answer to a question of the endpoint; no targets if the name does not exist.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) query: u64,
    pub(crate) targets: Vec<(Transport, SocketAddr)>,
}

/// Which ways out there are: for each transport, the address families of our sockets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach {
    ways: HashMap<Transport, Families>,
    /// The transport to use when nothing names one: UDP if we have it (RFC 3263 §4.1).
    plain: Option<Transport>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Families {
    v4: bool,
    v6: bool,
}

impl Reach {
    /// Adds a socket of ours.
    pub(crate) fn add(&mut self, transport: Transport, local: SocketAddr) {
        let families = self.ways.entry(transport).or_default();
        families.v4 |= local.is_ipv4();
        families.v6 |= local.is_ipv6();
        if self.plain.is_none() || transport == Transport::Udp {
            self.plain = Some(transport);
        }
    }

    #[cfg(feature = "dns")]
    fn has(&self, transport: Transport) -> bool {
        self.ways.contains_key(&transport)
    }

    fn reaches(&self, transport: Transport, address: SocketAddr) -> bool {
        let families = self.ways.get(&transport).copied().unwrap_or_default();
        if address.is_ipv4() { families.v4 } else { families.v6 }
    }
}

/// Finds where to send. Without the feature `dns` only addresses are looked up, as the operating system does; with it a name
/// without a port is first asked for its servers.
pub(crate) async fn resolve(
    query: u64,
    host: String,
    port: Option<u16>,
    transport: Option<Transport>,
    reach: Reach,
) -> Resolved {
    let mut targets = Vec::new();
    for (transport, host, port) in hosts(host, port, transport, &reach).await {
        targets.extend(addresses(&host, port, transport, &reach).await);
        if targets.len() >= MOST {
            break;
        }
    }
    targets.truncate(MOST);
    Resolved { query, targets }
}

/// The hosts to look up, best first.
async fn hosts(
    host: String,
    port: Option<u16>,
    transport: Option<Transport>,
    reach: &Reach,
) -> Vec<(Transport, String, u16)> {
    #[cfg(feature = "dns")]
    if let (None, Some(system)) = (port, servers::System::new()) {
        let mut rng = midcall_proto::rng::Rng::new(crate::entropy::seed());
        let asked = time::timeout(PATIENCE, servers::servers(&system, &host, transport, reach, &mut rng));
        if let Ok(servers) = asked.await
            && !servers.is_empty()
        {
            return servers;
        }
    }
    let Some(transport) = transport.or(reach.plain) else { return Vec::new() };
    vec![(transport, host, port.unwrap_or_else(|| transport.default_port()))]
}

/// The addresses of a host that our sockets reach.
async fn addresses(
    host: &str,
    port: u16,
    transport: Transport,
    reach: &Reach,
) -> Vec<(Transport, SocketAddr)> {
    match time::timeout(PATIENCE, tokio::net::lookup_host((host, port))).await {
        Ok(Ok(found)) => {
            let reached = found.filter(|address| reach.reaches(transport, *address));
            reached.map(|address| (transport, address)).collect()
        }
        // No such name, or nobody who knows: for the call it is the same.
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}

/// Less than timer B, so that the call learns of it as what it is.
const PATIENCE: Duration = Duration::from_secs(15);
const MOST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_gives_addresses_that_our_sockets_reach() {
        let mut reach = Reach::default();
        reach.add(Transport::Tcp, "127.0.0.1:5060".parse().unwrap());
        reach.add(Transport::Udp, "127.0.0.1:5060".parse().unwrap());
        let found = resolve(7, "localhost".to_owned(), None, None, reach.clone()).await;
        assert_eq!(
            (found.query, found.targets),
            (7, vec![(Transport::Udp, "127.0.0.1:5060".parse().unwrap())])
        );
        let found = resolve(8, "localhost".to_owned(), Some(7), Some(Transport::Tcp), reach.clone()).await;
        assert_eq!(found.targets, [(Transport::Tcp, "127.0.0.1:7".parse().unwrap())]);
        assert!(
            resolve(9, "localhost".to_owned(), None, Some(Transport::Tls), reach.clone())
                .await
                .targets
                .is_empty()
        );
        assert!(resolve(10, "nobody.invalid".to_owned(), None, None, reach).await.targets.is_empty());
    }
}
