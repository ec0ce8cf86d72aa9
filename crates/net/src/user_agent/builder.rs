//! Describing a user agent.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex as StdMutex};
use std::time::Duration;

use midcall_proto::auth::Credentials;
use midcall_proto::endpoint::{Config, Endpoint, LocalAddr};
use midcall_proto::flow::Transport;
use tokio::sync::{Mutex, mpsc, watch};

use super::UserAgent;
use crate::call::{MediaSetup, Office};
use crate::driver::{Clock, Driver};
use crate::entropy;
use crate::error::Error;
use crate::media::PortRange;
use crate::place::{MediaPlace, reachable};
use crate::switchboard::{Lost, Switchboard};
use crate::tap::Tap;
use crate::transport::{Listen, Transports};

/// The settings of a user agent to be. Everything has a default but the addresses to listen on.
#[derive(Debug)]
#[must_use = "nothing happens before start"]
pub struct UserAgentBuilder {
    listen: Vec<Listen>,
    advertise: Option<IpAddr>,
    config: Config,
    setup: MediaSetup,
    ports: PortRange,
    tap: Tap,
    ping: Option<Duration>,
    seed: Option<u64>,
}

impl UserAgentBuilder {
    pub(super) fn new() -> Self {
        Self {
            listen: Vec::new(),
            advertise: None,
            config: Config::new("sip:anonymous@anonymous.invalid"),
            setup: MediaSetup::default(),
            ports: PortRange::any(),
            tap: Tap::new(),
            ping: Some(PING),
            seed: None,
        }
    }

    /// Listens here too: `udp:127.0.0.1:5060`, `tcp:[::1]:5060`. Port 0 lets the system choose; for the second of UDP and
    /// TCP at one address it is the port of the first if that is free. The first address decides where media lives.
    ///
    /// RFC 3261 §18.2.1 wants TCP wherever there is UDP: what is too long for a datagram can go over nothing else.
    ///
    /// # Errors
    /// The text is not such an address.
    pub fn listen(mut self, listen: &str) -> Result<Self, Error> {
        self.listen.push(listen.parse()?);
        Ok(self)
    }

    /// Tells peers this address instead of the ones listened on, as behind a NAT with forwarded ports.
    pub fn advertise(mut self, address: IpAddr) -> Self {
        self.advertise = Some(address);
        self
    }

    /// Who we are: `sip:alice@example.com` or `"Alice" <sip:alice@example.com>`.
    pub fn identity(mut self, identity: &str) -> Self {
        let fresh = Config::new(identity);
        self.config.identity = fresh.identity;
        self.config.contact_user = fresh.contact_user;
        self
    }

    /// Answers digest challenges with this name and password.
    pub fn credentials(mut self, user: &str, password: &str) -> Self {
        self.config.credentials = Some(Credentials::new(user, password));
        self
    }

    /// Sends every request outside a dialog through this proxy.
    pub fn outbound_proxy(mut self, uri: &str) -> Self {
        self.config.outbound_proxy = Some(uri.to_owned());
        self
    }

    /// Changes any setting of the core: session timers, preferred method, reliable responses, policies.
    ///
    /// ```
    /// let builder = midcall::UserAgent::builder().configure(|config| {
    ///     config.session_expires = Some(1800);
    ///     config.prefer = midcall::Prefer::Update;
    /// });
    /// # let _ = builder;
    /// ```
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// The media of calls that say nothing else.
    pub fn media(mut self, setup: MediaSetup) -> Self {
        self.setup = setup;
        self
    }

    /// Takes media ports from this range.
    pub fn rtp_ports(mut self, ports: PortRange) -> Self {
        self.ports = ports;
        self
    }

    /// Shows what goes over the wire to this tap.
    pub fn tap(mut self, tap: Tap) -> Self {
        self.tap = tap;
        self
    }

    /// Pings idle connections of ours this often (RFC 5626 §4.4.1), or never.
    pub fn ping(mut self, interval: Option<Duration>) -> Self {
        self.ping = interval;
        self
    }

    /// Uses this seed for every identifier and delay of the core, so that a run can be repeated. Never for real calls: whoever
    /// knows the seed can guess tags.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Binds the sockets and starts.
    ///
    /// # Errors
    /// [`Error::Io`] if there is no address to listen on, or one of them cannot be had.
    pub async fn start(self) -> Result<UserAgent, Error> {
        let Self { listen, advertise, mut config, setup, ports, tap, ping, seed } = self;
        let Some(first) = listen.first().copied() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no address to listen on").into());
        };
        let mut transports = Transports::new(tap.clone(), ping);
        let mut local: Vec<(Transport, SocketAddr)> = Vec::with_capacity(listen.len());
        for listen in &listen {
            let told = advertise.unwrap_or_else(|| reachable(listen.address.ip()));
            let told = Some(SocketAddr::new(told, 0));
            let told = match beside(*listen, &transports) {
                // Another program may have that port for TCP.
                Some(beside) => match transports.listen(beside, told).await {
                    Ok(told) => told,
                    Err(_) => transports.listen(*listen, told).await?,
                },
                None => transports.listen(*listen, told).await?,
            };
            local.push((listen.transport, told));
        }
        config.local =
            local.iter().map(|(transport, addr)| LocalAddr { transport: *transport, addr: *addr }).collect();

        let (incoming, calls) = mpsc::channel(INCOMING);
        let (placed, referred) = mpsc::channel(INCOMING);
        let (tell_lost, lost) = watch::channel(Lost::default());
        let endpoint = Endpoint::new(config, seed.unwrap_or_else(entropy::seed));
        let driver =
            Driver::start(endpoint, transports, Switchboard::new(incoming, tell_lost), Clock::start());
        let announced = advertise.unwrap_or_else(|| reachable(first.address.ip()));
        let place = MediaPlace { bind: first.address.ip(), announced, ports, tap };
        Ok(UserAgent {
            office: Office { driver, place: Arc::new(place), placed },
            setup: Arc::new(setup),
            local: Arc::new(StdMutex::new(local)),
            advertise,
            incoming: Arc::new(Mutex::new(calls)),
            placed: Arc::new(Mutex::new(referred)),
            lost,
        })
    }
}

/// UDP and TCP at one address belong at one port (RFC 3261 §18.2.1): where the second may take any port, the one to try.
fn beside(listen: Listen, transports: &Transports) -> Option<Listen> {
    let free = listen.address.port() == 0;
    let port = transports.port_beside(listen.transport, listen.address.ip()).filter(|_| free)?;
    Some(Listen { address: SocketAddr::new(listen.address.ip(), port), ..listen })
}

const PING: Duration = Duration::from_secs(110);
const INCOMING: usize = 4_096;
