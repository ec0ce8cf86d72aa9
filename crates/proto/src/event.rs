//! What the core tells the application: one enum for calls, one for registrations, and the words they share.
//!
//! Events speak in call verbs. A modification that the application asked for ends in exactly one of
//! [`CallEvent::Changed`] or [`CallEvent::ChangeFailed`]; [`CallEvent::ChangeWaiting`] may come before and says
//! which rule holds it back.

use std::fmt;
use std::time::Duration;

use midcall_wire::Method;
use midcall_wire::sdp::{Media, Sdp};

use crate::rules::RuleId;
use crate::session::Agreed;
use crate::time::Instant;

/// A call of an [`Endpoint`](crate::endpoint::Endpoint): a handle, unique for the endpoint's life. Not the Call-ID header.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct CallId(pub u32);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call-{}", self.0)
    }
}

/// A wish of the application for one call, from asking to its outcome.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Ticket(pub u32);

/// A registration of an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RegistrationId(pub u32);

/// Everything that the core reports.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Something happened in a call.
    Call {
        /// Which call.
        call: CallId,
        /// What happened.
        event: CallEvent,
    },
    /// A registration changed.
    Registration {
        /// Which registration.
        registration: RegistrationId,
        /// Its state now.
        state: RegistrationState,
    },
    /// Input that could not be used was dropped; the count is since the start.
    Dropped {
        /// What it was, for a person.
        what: &'static str,
        /// How many so far.
        count: u64,
    },
}

/// Which of the two parties of a dialog: us or them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// The endpoint itself.
    Us,
    /// The peer.
    Them,
}

/// What a modification changes. The words of the JSON `what` array.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum What {
    /// A stream was put on hold.
    Hold,
    /// A stream was taken off hold.
    Resume,
    /// The formats of a stream changed.
    Codec,
    /// The transport address or port of a stream changed.
    Address,
    /// A stream was added.
    AddStream,
    /// A stream was removed.
    DropStream,
    /// Nothing of the session: a session refresh (RFC 4028).
    Refresh,
    /// The Contact of the sender (RFC 3261 §12.2).
    Target,
    /// The From URI of the sender (RFC 4916).
    Identity,
    /// Another part of the session description.
    Session,
}

impl What {
    /// Its name in JSON and in ladders.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Resume => "resume",
            Self::Codec => "codec",
            Self::Address => "address",
            Self::AddStream => "add-stream",
            Self::DropStream => "drop-stream",
            Self::Refresh => "refresh",
            Self::Target => "target",
            Self::Identity => "identity",
            Self::Session => "session",
        }
    }
}

impl What {
    /// What a new description of one side changes against its last one.
    #[must_use]
    pub fn between(old: &Sdp, new: &Sdp) -> Vec<Self> {
        let mut what = Vec::new();
        for (line, media) in new.media().enumerate() {
            let Some(before) = old.media_at(line).filter(|before| !before.rejected()) else {
                if !media.rejected() {
                    what.push(Self::AddStream);
                }
                continue;
            };
            if media.rejected() {
                what.push(Self::DropStream);
                continue;
            }
            let receives = |media: &Media<'_>| media.direction().receives() && !media.is_black_hole();
            match (receives(&before), receives(&media)) {
                (true, false) => what.push(Self::Hold),
                (false, true) => what.push(Self::Resume),
                _ => {}
            }
            if !media.formats().eq(before.formats()) {
                what.push(Self::Codec);
            }
            if media.port() != before.port() || media.connection() != before.connection() {
                what.push(Self::Address);
            }
        }
        if what.is_empty() && !old.same_but_version(new) {
            what.push(Self::Session);
        }
        what.sort_unstable();
        what.dedup();
        what
    }
}

/// An incoming call, as the INVITE described it.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The From URI.
    pub from: String,
    /// The display name of From, if any.
    pub display: Option<String>,
    /// The To URI.
    pub to: String,
    /// The Request-URI.
    pub uri: String,
    /// Whether the INVITE carried an offer.
    pub offered: bool,
    /// What the offer lists, as the session helpers read it: media kinds in order.
    pub media: Vec<String>,
    /// The call that this INVITE replaces (RFC 3891), which ends once this one is accepted.
    pub replaces: Option<CallId>,
    /// The Referred-By URI (RFC 3892), unverified.
    pub referred_by: Option<String>,
}

/// A modification that is in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The wish that it fulfils.
    pub ticket: Ticket,
    /// The method that carried it; `None` if nothing had to be sent.
    pub method: Option<Method>,
    /// How many requests it took.
    pub attempts: u8,
    /// Why this method, in words, with the rule that decided.
    pub why: Why,
    /// What it changed.
    pub what: Vec<What>,
}

/// A reason in words with the rule behind it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Why {
    /// The rule that decided, if one did.
    pub rule: Option<RuleId>,
    /// The reason for a person.
    pub text: &'static str,
}

/// Why a modification did not come into force. The session is as it was.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The peer declined it with this status.
    Rejected {
        /// The status of the final response.
        status: u16,
    },
    /// Every attempt met a collision; the cap of attempts was reached (GL-06).
    Glare {
        /// How many attempts were made.
        attempts: u8,
    },
    /// The peer said yes without the description that it owed: there is nothing to change to.
    Unanswered,
    /// The call ended first.
    CallEnded,
    /// The application withdrew it (CANCEL of a re-INVITE, or a newer wish).
    Withdrawn,
    /// A rule forbids it, and it is not tried again by itself.
    Refused {
        /// That rule.
        rule: RuleId,
    },
}

/// What happened in a call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CallEvent {
    /// A call comes in. Answer with `ring`, `early`, `accept` or `refuse`.
    Incoming(Incoming),
    /// A provisional response above 100 came for our INVITE.
    Progress {
        /// Its status.
        status: u16,
        /// Whether it is a reliable one (RFC 3262).
        reliable: bool,
        /// How many early dialogs are open now.
        early_dialogs: u8,
        /// The To tag: the place where it rings.
        branch: Box<str>,
    },
    /// The dialog is confirmed: the 2xx was acknowledged.
    Established,
    /// The session in force: media follows this.
    Session {
        /// Streams as agreed.
        agreed: Agreed,
        /// Whether the dialog is still early.
        early: bool,
    },
    /// A wish of ours is in force.
    Changed(Change),
    /// A wish of ours waits.
    ChangeWaiting {
        /// Which wish.
        ticket: Ticket,
        /// The rule that holds it back.
        rule: RuleId,
        /// When it is tried again at the latest; `None`: when the dialog changes.
        until: Option<Instant>,
    },
    /// A wish of ours will not come into force.
    ChangeFailed {
        /// Which wish.
        ticket: Ticket,
        /// Why not.
        failure: Failure,
    },
    /// The peer changed the session, its target or its identity.
    PeerChanged {
        /// With which method.
        method: Method,
        /// What it changed.
        what: Vec<What>,
    },
    /// The peer asks for a change that needs a person: answer with `answer_offer`.
    Offered {
        /// What it would change.
        what: Vec<What>,
    },
    /// Somebody put the call on hold.
    Held {
        /// Who holds.
        by: Side,
    },
    /// Somebody took the call off hold.
    Resumed {
        /// Who held.
        by: Side,
    },
    /// The session timer was refreshed (RFC 4028).
    Refreshed {
        /// Who refreshed.
        by: Side,
        /// The interval now; `None` if the timer is off.
        interval: Option<Duration>,
    },
    /// The peer's Contact is new: requests go there now (RFC 3261 §12.2).
    PeerMoved,
    /// The peer's From URI is new (RFC 4916).
    PeerIdentity {
        /// The URI.
        uri: String,
    },
    /// The peer asks us to call somebody else (REFER). Place that call with `Endpoint::place_referred`; where `decide` is set,
    /// it waits for `accept_refer` or `decline_refer` first.
    Referred {
        /// The CSeq number of the REFER: its name in this call.
        refer: u32,
        /// The Refer-To URI without its headers.
        to: String,
        /// The Referred-By URI, unverified.
        referred_by: Option<String>,
        /// Whether the new call replaces one at the target (attended transfer).
        attended: bool,
        /// Whether the application must decide first.
        decide: bool,
    },
    /// News of a transfer that we asked for.
    Transfer {
        /// The status of the referred call as NOTIFY told it; of the REFER itself if that failed.
        status: u16,
        /// Whether this is the last word.
        done: bool,
    },
    /// Another call took this one's place (RFC 3891).
    ReplacedBy {
        /// The new call.
        call: CallId,
    },
    /// A telephone-event or INFO arrived in signalling.
    Info {
        /// Content-Type of the INFO.
        content_type: String,
        /// Its body.
        body: Vec<u8>,
    },
    /// The peer broke a rule; the call goes on where it can.
    PeerBroke {
        /// The rule.
        rule: RuleId,
    },
    /// A response said that the dialog may be broken (RFC 5057); a second one ends the call (CF-36).
    Suspect {
        /// The status.
        status: u16,
    },
    /// The call is over. Nothing follows but news of its subscriptions.
    Ended {
        /// Why.
        why: Ended,
    },
}

/// Why a call ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Ended {
    /// We hung up.
    HungUp,
    /// The peer hung up.
    PeerHungUp {
        /// The Reason header of its BYE, if any.
        reason: Option<String>,
    },
    /// Our INVITE was declined with this status, or we declined theirs.
    Refused {
        /// The status.
        status: u16,
        /// Who refused.
        by: Side,
    },
    /// The INVITE was cancelled.
    Cancelled {
        /// Who cancelled.
        by: Side,
    },
    /// Nobody answered in time (timer B or F, 408).
    Timeout,
    /// No address could be reached.
    Unreachable,
    /// The host name could not be resolved.
    Unresolvable,
    /// The peer no longer knows the dialog (481, RFC 5057).
    Lost {
        /// The status.
        status: u16,
    },
    /// The ACK for our 2xx never came (RFC 3261 §13.3.1.4).
    NoAck,
    /// No PRACK came for our reliable provisional response (RFC 3262 §3).
    NoPrack,
    /// The session timer ran out (RFC 4028 §10).
    SessionExpired,
    /// No session could be agreed on (RFC 3261 §13.2.2.4, §14.2).
    NoSession,
    /// The peer wants credentials that we lack or that it refused.
    Unauthorized {
        /// 401 or 407.
        status: u16,
    },
    /// Another call took its place (RFC 3891).
    Replaced,
}

/// Where a registration stands.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RegistrationState {
    /// Registered until refreshed.
    Registered {
        /// The expiry that the registrar granted.
        expires: Duration,
    },
    /// Removed, as asked.
    Unregistered,
    /// It failed; it is tried again while it is wanted where `retry` says so.
    Failed {
        /// The final status, 408 for a timeout, 503 for a transport error.
        status: u16,
        /// When it is tried again.
        retry: Option<Duration>,
    },
}
