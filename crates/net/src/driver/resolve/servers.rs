//! Servers of a domain by NAPTR and SRV records. RFC 3263 §4, RFC 2782.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::OnceLock;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{RData, RecordType};
use midcall_proto::flow::Transport;
use midcall_proto::rng::Rng;

use super::Reach;

/// A way to a service, as a NAPTR record names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Naptr {
    order: u16,
    preference: u16,
    service: String,
    replacement: String,
}

/// A host that offers a service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Srv {
    priority: u16,
    weight: u16,
    port: u16,
    target: String,
}

/// Where records come from.
pub(super) trait Records {
    /// The NAPTR records of a name; none if there are none or nobody can be asked.
    fn naptr(&self, name: &str) -> impl Future<Output = Vec<Naptr>> + Send;
    /// Its SRV records, likewise.
    fn srv(&self, name: &str) -> impl Future<Output = Vec<Srv>> + Send;
}

/// Asks the name servers of the system.
pub(super) struct System(&'static TokioResolver);

impl System {
    /// `None` if the system's configuration cannot be read.
    pub(super) fn new() -> Option<Self> {
        static RESOLVER: OnceLock<Option<TokioResolver>> = OnceLock::new();
        let resolver = RESOLVER.get_or_init(|| TokioResolver::builder_tokio().ok()?.build().ok());
        resolver.as_ref().map(Self)
    }

    async fn records(&self, name: &str, kind: RecordType) -> Vec<RData> {
        match self.0.lookup(format!("{name}."), kind).await {
            Ok(lookup) => lookup.answers().iter().map(|record| record.data.clone()).collect(),
            Err(_) => Vec::new(),
        }
    }
}

impl Records for System {
    async fn naptr(&self, name: &str) -> Vec<Naptr> {
        let records = self.records(name, RecordType::NAPTR).await.into_iter();
        let naptr = records.filter_map(|data| match data {
            RData::NAPTR(naptr) if naptr.flags.eq_ignore_ascii_case(b"s") => Some(Naptr {
                order: naptr.order,
                preference: naptr.preference,
                service: String::from_utf8_lossy(&naptr.services).into_owned(),
                replacement: naptr.replacement.to_string().trim_end_matches('.').to_owned(),
            }),
            _ => None,
        });
        naptr.collect()
    }

    async fn srv(&self, name: &str) -> Vec<Srv> {
        let records = self.records(name, RecordType::SRV).await.into_iter();
        let srv = records.filter_map(|data| match data {
            RData::SRV(srv) => Some(Srv {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: srv.target.to_string().trim_end_matches('.').to_owned(),
            }),
            _ => None,
        });
        srv.collect()
    }
}

/// The hosts and ports to try, best first. Empty if the domain says nothing: then its own addresses are what is left.
pub(super) async fn servers(
    records: &impl Records,
    host: &str,
    transport: Option<Transport>,
    reach: &Reach,
    rng: &mut Rng,
) -> Vec<(Transport, String, u16)> {
    let services = match transport {
        Some(transport) => service(transport, host).map(|name| (transport, name)).into_iter().collect(),
        None => match by_naptr(records.naptr(host).await, reach) {
            services if services.is_empty() => {
                let ours = PREFERENCE.into_iter().filter(|transport| reach.has(*transport));
                ours.filter_map(|transport| Some((transport, service(transport, host)?))).collect()
            }
            services => services,
        },
    };
    let mut servers = Vec::new();
    for (transport, name) in services {
        for srv in in_order(records.srv(&name).await, rng) {
            servers.push((transport, srv.target, srv.port));
        }
    }
    servers
}

/// RFC 3263 §4.1: what we cannot do is left out first, then only the lowest order counts.
fn by_naptr(mut records: Vec<Naptr>, reach: &Reach) -> Vec<(Transport, String)> {
    records.sort_by_key(|record| (record.order, record.preference));
    let known = records.into_iter().filter_map(|record| {
        let transport = match record.service.to_ascii_uppercase().as_str() {
            "SIP+D2U" => Transport::Udp,
            "SIP+D2T" => Transport::Tcp,
            "SIPS+D2T" => Transport::Tls,
            _ => return None,
        };
        reach.has(transport).then_some((record.order, transport, record.replacement))
    });
    let known: Vec<_> = known.collect();
    let lowest = known.first().map(|(order, ..)| *order);
    known
        .into_iter()
        .take_while(|(order, ..)| Some(*order) == lowest)
        .map(|(_, transport, name)| (transport, name))
        .collect()
}

/// RFC 2782: by priority; among equals by lot, weighted. A lone target of "." says that there is no such service.
fn in_order(records: Vec<Srv>, rng: &mut Rng) -> Vec<Srv> {
    let mut groups: BTreeMap<u16, Vec<Srv>> = BTreeMap::new();
    for record in records.into_iter().filter(|record| !record.target.is_empty()) {
        groups.entry(record.priority).or_default().push(record);
    }
    let mut ordered = Vec::new();
    for mut group in groups.into_values() {
        // Those without weight come first in the list, so that they are drawn only when the lot is zero.
        group.sort_by_key(|record| record.weight != 0);
        while !group.is_empty() {
            let total: u64 = group.iter().map(|record| u64::from(record.weight)).sum();
            let lot = rng.below(total + 1);
            let mut sum = 0;
            let drawn = group.iter().position(|record| {
                sum += u64::from(record.weight);
                sum >= lot
            });
            ordered.push(group.remove(drawn.unwrap_or_default()));
        }
    }
    ordered
}

/// The name of a service, RFC 3263 §4.1 and §4.2. WebSocket has none.
fn service(transport: Transport, host: &str) -> Option<String> {
    match transport {
        Transport::Udp => Some(format!("_sip._udp.{host}")),
        Transport::Tcp => Some(format!("_sip._tcp.{host}")),
        Transport::Tls => Some(format!("_sips._tcp.{host}")),
        Transport::Ws | Transport::Wss => None,
    }
}

const PREFERENCE: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Zone {
        naptr: Vec<Naptr>,
        srv: Vec<(&'static str, Srv)>,
    }

    impl Records for Zone {
        async fn naptr(&self, _: &str) -> Vec<Naptr> {
            self.naptr.clone()
        }

        async fn srv(&self, name: &str) -> Vec<Srv> {
            self.srv.iter().filter(|(of, _)| *of == name).map(|(_, srv)| srv.clone()).collect()
        }
    }

    fn naptr(order: u16, preference: u16, service: &str, replacement: &str) -> Naptr {
        Naptr { order, preference, service: service.to_owned(), replacement: replacement.to_owned() }
    }

    fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Srv {
        Srv { priority, weight, port, target: target.to_owned() }
    }

    fn reach() -> Reach {
        let mut reach = Reach::default();
        reach.add(Transport::Udp, "127.0.0.1:5060".parse().unwrap());
        reach.add(Transport::Tcp, "127.0.0.1:5060".parse().unwrap());
        reach
    }

    async fn find(zone: &Zone, transport: Option<Transport>) -> Vec<(Transport, String, u16)> {
        servers(zone, "x.example", transport, &reach(), &mut Rng::new(1)).await
    }

    #[tokio::test]
    async fn the_lowest_order_that_we_can_do_decides() {
        let zone = Zone {
            naptr: vec![
                naptr(20, 1, "SIP+D2U", "_sip._udp.x.example"),
                naptr(10, 2, "SIP+D2T", "_sip._tcp.x.example"),
                naptr(5, 1, "SIPS+D2T", "_sips._tcp.x.example"),
                naptr(1, 1, "E2U+email", "x.example"),
            ],
            srv: vec![
                ("_sip._udp.x.example", srv(1, 1, 5060, "udp.x.example")),
                ("_sip._tcp.x.example", srv(2, 1, 5070, "second.x.example")),
                ("_sip._tcp.x.example", srv(1, 1, 5060, "first.x.example")),
            ],
        };
        let found = find(&zone, None).await;
        let first = (Transport::Tcp, "first.x.example".to_owned(), 5060);
        assert_eq!(found, [first, (Transport::Tcp, "second.x.example".to_owned(), 5070)]);
        assert_eq!(
            find(&zone, Some(Transport::Udp)).await,
            [(Transport::Udp, "udp.x.example".to_owned(), 5060)]
        );
    }

    #[tokio::test]
    async fn without_naptr_every_transport_of_ours_is_asked_for() {
        let zone = Zone {
            srv: vec![
                ("_sip._udp.x.example", srv(1, 0, 1, "")),
                ("_sip._tcp.x.example", srv(1, 0, 5060, "tcp.x.example")),
                ("_sips._tcp.x.example", srv(1, 0, 5061, "tls.x.example")),
            ],
            ..Zone::default()
        };
        assert_eq!(find(&zone, None).await, [(Transport::Tcp, "tcp.x.example".to_owned(), 5060)]);
        assert!(find(&Zone::default(), None).await.is_empty());
        assert!(find(&zone, Some(Transport::Wss)).await.is_empty());
    }

    #[test]
    fn equals_are_drawn_by_weight() {
        let mut rng = Rng::new(7);
        let group = vec![
            srv(1, 90, 1, "often"),
            srv(1, 10, 1, "seldom"),
            srv(1, 0, 1, "hardly"),
            srv(0, 0, 1, "first"),
        ];
        let mut firsts: BTreeMap<String, u32> = BTreeMap::new();
        for _ in 0..1_000 {
            let ordered = in_order(group.clone(), &mut rng);
            assert_eq!((ordered.len(), ordered[0].target.as_str()), (4, "first"));
            *firsts.entry(ordered[1].target.clone()).or_default() += 1;
        }
        assert!(firsts["often"] > 800 && firsts["seldom"] > 50, "{firsts:?}");
        assert!(firsts.get("hardly").copied().unwrap_or_default() < 50, "{firsts:?}");
    }
}
