//! From options to a user agent that runs, or to the reason why it cannot.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;

use midcall::capture::Capture;
use midcall::media::{Coding, Source, Wav};
use midcall::session::Codec;
use midcall::tap::Tap;
use midcall::{Error, Listen, MediaSetup, Policy, Prefer, Reliable, Transport, UserAgent};
use midcall_wire::{Scheme, Uri};

use crate::options::{AgentOptions, Decision, Method, NewStreams};
use crate::trouble::Trouble;

/// Starts the user agent. `towards` is who will be called, which decides where to listen if nothing was said.
pub(super) async fn start(
    options: &AgentOptions,
    towards: Option<&str>,
    sound: Source,
) -> Result<UserAgent, Trouble> {
    let listen = places(options, towards).await?;
    let identity = identity(options, &listen);
    let setup = media(options, sound, options.record.as_deref())?;
    if let Some(silent) = silent(&options.codecs.0) {
        silent.show();
    }
    let mut builder = UserAgent::builder().identity(&identity).media(setup).configure(|config| {
        config.session_expires = options.session_expires;
        config.min_se = options.min_se;
        config.timer = !options.no_timer;
        config.update = !options.no_update;
        config.prefer = match options.prefer {
            Method::Reinvite => Prefer::ReInvite,
            Method::Update => Prefer::Update,
        };
        config.reliable = match (options.no_100rel, options.require_100rel) {
            (true, _) => Reliable::Off,
            (_, true) => Reliable::Required,
            _ => Reliable::Supported,
        };
        config.from_change = !options.no_update;
        config.identity_changes = options.identity_change == Decision::Accept;
        config.new_streams = match options.new_streams {
            NewStreams::Accept => Policy::Accept,
            NewStreams::Ask => Policy::Ask,
            NewStreams::Refuse => Policy::Refuse,
        };
        config.follow_last_answer = options.follow_last_answer;
    });
    for listen in &listen {
        builder = builder.listen(&listen.to_string()).map_err(|error| cannot_listen(options, &error))?;
    }
    if let Some(user) = &options.user {
        builder = builder.credentials(user, &password(options)?);
    }
    if let Some(proxy) = &options.outbound_proxy {
        builder = builder.outbound_proxy(proxy);
    }
    if let Some(ports) = &options.rtp_ports {
        builder = builder.rtp_ports(ports.clone());
    }
    if let Some(path) = &options.capture {
        let capture =
            Capture::create(path).map_err(|error| cannot_write(&path.display().to_string(), &error))?;
        builder = builder.tap(Tap::to_capture(capture, false));
    }
    builder.start().await.map_err(|error| match &error {
        Error::Io(io) => listen
            .iter()
            .find_map(|listen| busy(listen, io))
            .unwrap_or_else(|| cannot_listen(options, &error)),
        _ => cannot_listen(options, &error),
    })
}

/// Where to listen: as told, else on the address that leads to whoever is called.
async fn places(options: &AgentOptions, towards: Option<&str>) -> Result<Vec<Listen>, Trouble> {
    if !options.listen.is_empty() {
        let mut listen = Vec::new();
        for text in &options.listen {
            listen.push(place(text).await?);
        }
        return Ok(listen);
    }
    let next = options.outbound_proxy.as_deref().or(towards).or(options.register.as_deref());
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let (address, transport) = match next.map(Uri::parse) {
        Some(Ok(uri)) => {
            supported(&uri)?;
            let tcp = uri.params.value("transport").is_some_and(|name| name.eq_ignore_ascii_case("tcp"));
            (
                route_to(uri.host, uri.port).await.unwrap_or(any),
                if tcp { Transport::Tcp } else { Transport::Udp },
            )
        }
        _ => (any, Transport::Udp),
    };
    // Somebody who waits for calls is looked for where SIP lives.
    let port = if towards.is_some() { 0 } else { SIP_PORT };
    let here = |transport| Listen { transport, address: SocketAddr::new(address, port) };
    // RFC 3261 §18.2.1: both, at the same port. The first is who we are.
    Ok(match transport {
        Transport::Tcp => vec![here(Transport::Tcp), here(Transport::Udp)],
        _ => vec![here(Transport::Udp), here(Transport::Tcp)],
    })
}

async fn place(text: &str) -> Result<Listen, Trouble> {
    let named = match text.parse() {
        Ok(listen) => Some(listen),
        Err(_) => by_name(text).await,
    };
    let listen = named.ok_or_else(|| {
        let host = text.split_once(':').filter(|(name, _)| Transport::parse(name).is_some());
        let why = match host.and_then(|(_, place)| place.rsplit_once(':')) {
            Some((host, port)) if port.parse::<u16>().is_ok() => {
                format!("{host} is no address, nor a name of one")
            }
            _ => "an address to listen on is a transport, an address of this machine and a port".to_owned(),
        };
        Trouble::not_started(
            format!("cannot listen on {text}"),
            why,
            "say something like --listen udp:192.0.2.1:5060 or --listen tcp:[::1]:5060; port 0 takes any",
        )
    })?;
    match listen.transport {
        Transport::Udp | Transport::Tcp => Ok(listen),
        other => Err(not_in_this_build(other.as_str())),
    }
}

fn supported(uri: &Uri<'_>) -> Result<(), Trouble> {
    let transport = uri.params.value("transport").unwrap_or("udp");
    let plain = ["udp", "tcp"].iter().any(|plain| plain.eq_ignore_ascii_case(transport));
    match (uri.scheme, plain) {
        (Scheme::Sips, _) => Err(not_in_this_build("TLS")),
        (_, false) => Err(not_in_this_build(&transport.to_ascii_uppercase())),
        _ => Ok(()),
    }
}

fn not_in_this_build(transport: &str) -> Trouble {
    Trouble::not_started(
        format!("{transport} is not in this build"),
        "this midcall speaks SIP over UDP and TCP",
        "listen on udp: or tcp:, and put a proxy such as Kamailio in between for TLS and WebSocket",
    )
}

/// An address to listen on that is given by a host name.
async fn by_name(text: &str) -> Option<Listen> {
    let (transport, place) = text.split_once(':')?;
    let address = tokio::net::lookup_host(place).await.ok()?.next()?;
    Some(Listen { transport: Transport::parse(transport)?, address })
}

/// The address of ours that packets to this host leave from.
async fn route_to(host: &str, port: Option<u16>) -> Option<IpAddr> {
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    let target = match plain.parse::<IpAddr>() {
        Ok(address) => SocketAddr::new(address, port.unwrap_or(SIP_PORT)),
        Err(_) => tokio::net::lookup_host((plain, port.unwrap_or(SIP_PORT))).await.ok()?.next()?,
    };
    let any: IpAddr =
        if target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    // Nothing is sent: connecting a datagram socket only asks the routing table.
    socket.connect(target).ok()?;
    socket.local_addr().ok().map(|local| local.ip())
}

fn identity(options: &AgentOptions, listen: &[Listen]) -> String {
    if let Some(from) = &options.from {
        return from.clone();
    }
    let user = options.user.as_deref().unwrap_or("midcall");
    let registrar =
        options.register.as_deref().and_then(|uri| Uri::parse(uri).ok()).map(|uri| uri.host.to_owned());
    let own = listen.first().map(|listen| listen.address.ip()).filter(|ip| !ip.is_unspecified());
    let own = own.map(|ip| if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() });
    let host = registrar.or(own).unwrap_or_else(|| "anonymous.invalid".to_owned());
    format!("sip:{user}@{host}")
}

/// Codecs and sound as told, and a file to record.
pub(super) fn media(
    options: &AgentOptions,
    sound: Source,
    record: Option<&Path>,
) -> Result<MediaSetup, Trouble> {
    let mut codecs = options.codecs.0.clone();
    if !codecs.iter().any(Codec::is_telephone_event) {
        codecs.push(Codec::telephone_event());
    }
    let source = match &options.play {
        None => sound,
        Some(path) => {
            let sound = Wav::open(path).map_err(|error| {
                Trouble::not_started(
                    format!("cannot play {}", path.display()),
                    error.to_string(),
                    "give a WAV file with PCM samples, of any rate",
                )
            })?;
            Source::Wav { sound, repeat: false }
        }
    };
    let setup = MediaSetup::default().codecs(codecs).source(source);
    Ok(match record {
        Some(path) => {
            // Found out now, not when the call is up.
            fs::File::create(path).map_err(|error| cannot_write(&path.display().to_string(), &error))?;
            setup.record(path)
        }
        None => setup,
    })
}

/// What to tell about codecs that are for the signalling alone.
fn silent(codecs: &[Codec]) -> Option<Trouble> {
    let none =
        |codec: &&Codec| !codec.is_telephone_event() && Coding::named(&codec.name, codec.clock).is_none();
    let silent: Vec<&str> = codecs.iter().filter(none).map(|codec| &*codec.name).collect();
    (!silent.is_empty()).then(|| {
        Trouble::failed(
            format!("there is no sound in {}", silent.join(" and ")),
            "it is offered and agreed on, but the audio of midcall is G.711",
            "list pcma or pcmu before it, if there is to be something to hear",
        )
    })
}

fn password(options: &AgentOptions) -> Result<String, Trouble> {
    let lacking = |why: String| {
        Trouble::not_started(
            "there is no password for --user",
            why,
            "set MIDCALL_PASSWORD, or put the password in the first line of a file and say --password-file FILE",
        )
    };
    match &options.password_file {
        Some(path) => {
            let text =
                fs::read_to_string(path).map_err(|error| lacking(format!("{}: {error}", path.display())))?;
            Ok(text.lines().next().unwrap_or_default().to_owned())
        }
        None => {
            std::env::var("MIDCALL_PASSWORD").map_err(|_| lacking("MIDCALL_PASSWORD is not set".to_owned()))
        }
    }
}

pub(crate) fn cannot_write(path: &str, error: &io::Error) -> Trouble {
    Trouble::not_started(
        format!("cannot write {path}"),
        error.to_string(),
        "choose a folder that exists and that you may write to",
    )
}

/// Trouble with this very address, if it is the one.
fn busy(listen: &Listen, error: &io::Error) -> Option<Trouble> {
    let bound = match listen.transport {
        Transport::Udp => UdpSocket::bind(listen.address).map(drop),
        _ => TcpListener::bind(listen.address).map(drop),
    };
    if bound.is_ok() {
        return None;
    }
    let what = format!("cannot listen on {listen}");
    let port = listen.address.port();
    Some(match error.kind() {
        io::ErrorKind::AddrInUse => {
            let list = if listen.transport == Transport::Udp { "ss -ulpn" } else { "ss -tlpn" };
            Trouble::not_started(
                what,
                format!("port {port} is in use"),
                format!(
                    "stop the other program (`{list} 'sport = :{port}'` names it), or listen on another port; 0 takes any"
                ),
            )
        }
        io::ErrorKind::AddrNotAvailable => Trouble::not_started(
            what,
            format!("{} is not an address of this machine", listen.address.ip()),
            "`ip address` lists those it has; 0.0.0.0 takes all of them",
        ),
        io::ErrorKind::PermissionDenied => Trouble::not_started(
            what,
            format!("port {port} is reserved for the superuser"),
            "listen on a port above 1023",
        ),
        _ => Trouble::not_started(what, error.to_string(), "listen on another address with --listen"),
    })
}

fn cannot_listen(options: &AgentOptions, error: &Error) -> Trouble {
    let what = match options.listen.as_slice() {
        [] => "cannot listen".to_owned(),
        listen => format!("cannot listen on {}", listen.join(", ")),
    };
    Trouble::not_started(what, error.to_string(), "listen on another address with --listen")
}

const SIP_PORT: u16 = 5060;
