//! How an endpoint behaves: identity, addresses, preferences, and the policies where RFCs leave room.

use std::net::SocketAddr;
use std::time::Duration;

use crate::auth::Credentials;
use crate::flow::Transport;

/// An address that the shell listens on and that peers can reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalAddr {
    /// The transport.
    pub transport: Transport,
    /// The address and port, as peers see it: it goes into Via and Contact.
    pub addr: SocketAddr,
}

/// Which method carries a session change in a confirmed dialog (UP-04).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Prefer {
    /// re-INVITE, as RFC 3311 §5.1 recommends; refreshes and target changes still go out as UPDATE where allowed.
    #[default]
    ReInvite,
    /// UPDATE for changes that need no person, where the peer allows it.
    Update,
}

/// Use of reliable provisional responses (RFC 3262).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reliable {
    /// Never offered, never sent.
    Off,
    /// Offered in Supported; sent when the peer offers it and there is an SDP to send.
    #[default]
    Supported,
    /// Required of the peer in our INVITE.
    Required,
}

/// What to do with something that a person might want to decide.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// Do it.
    Accept,
    /// Tell the application and wait for its word.
    Ask,
    /// Decline it.
    Refuse,
}

/// Settings of an endpoint. Start from [`Config::new`] and change fields.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Our address of record with optional display name, as it goes into From.
    pub identity: String,
    /// The user part of our Contact.
    pub contact_user: String,
    /// Where we listen; the first of a transport is used for it. Must not be empty.
    pub local: Vec<LocalAddr>,
    /// The User-Agent and Server header.
    pub user_agent: Option<String>,
    /// For digest challenges.
    pub credentials: Option<Credentials>,
    /// A URI that all requests outside a dialog go through, as a preloaded route.
    pub outbound_proxy: Option<String>,
    /// The session interval to ask for, in seconds (RFC 4028 §4). `None` asks for none.
    pub session_expires: Option<u32>,
    /// The smallest session interval that we take, in seconds (RFC 4028 §5); at least 90.
    pub min_se: u32,
    /// Whether we support session timers at all.
    pub timer: bool,
    /// Which method to prefer for session changes in a confirmed dialog.
    pub prefer: Prefer,
    /// Whether we take and send UPDATE (RFC 3311).
    pub update: bool,
    /// Reliable provisional responses.
    pub reliable: Reliable,
    /// What to do with new streams in a mid-call offer.
    pub new_streams: Policy,
    /// What to do with REFER.
    pub refer: Policy,
    /// Whether this UA announces connected identity (RFC 4916, `from-change`).
    pub from_change: bool,
    /// Whether the peer may change its From URI in mid-call; if not, such a request gets 403 (RFC 4916 §4.4.2).
    pub identity_changes: bool,
    /// Whether a 2xx with another answer than the unreliable 1xx before it is followed; by RFC 3261 §13.2.1 the first one
    /// counts (CF-27).
    pub follow_last_answer: bool,
    /// After how many 491 in a row a change is given up (GL-06).
    pub glare_retries: u8,
    /// End the call on the codes that RFC 5057 lists, not only on 408 and 481 (CF-36).
    pub strict_5057: bool,
    /// How long a re-INVITE that needs a person may wait for the application's word.
    pub offer_patience: Duration,
    /// RFC 3261 T1.
    pub t1: Duration,
    /// RFC 3261 T2.
    pub t2: Duration,
    /// RFC 3261 T4.
    pub t4: Duration,
    /// The most calls held at once; further INVITEs get 503.
    pub max_calls: usize,
    /// Requests longer than this go over TCP where we listen on it, and over UDP again where the peer refuses TCP
    /// (RFC 3261 §18.1.1).
    pub mtu_limit: usize,
}

impl Config {
    /// Settings with the defaults of the documentation for this identity, such as `sip:alice@example.com`.
    #[must_use]
    pub fn new(identity: &str) -> Self {
        let user = midcall_wire::NameAddr::parse(identity)
            .ok()
            .and_then(|address| {
                midcall_wire::Uri::parse(address.uri).ok().and_then(|uri| uri.user.map(str::to_owned))
            })
            .unwrap_or_else(|| "midcall".to_owned());
        Self {
            identity: identity.to_owned(),
            contact_user: user,
            local: Vec::new(),
            user_agent: Some(concat!("midcall/", env!("CARGO_PKG_VERSION")).to_owned()),
            credentials: None,
            outbound_proxy: None,
            session_expires: None,
            min_se: 90,
            timer: true,
            prefer: Prefer::default(),
            update: true,
            reliable: Reliable::default(),
            new_streams: Policy::Ask,
            refer: Policy::Accept,
            from_change: false,
            identity_changes: true,
            follow_last_answer: false,
            glare_retries: 3,
            strict_5057: false,
            offer_patience: Duration::from_secs(60),
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            max_calls: 100_000,
            mtu_limit: 1300,
        }
    }
}
