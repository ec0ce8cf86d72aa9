//! From the events of the library to what is told.

use midcall::media::{MediaEvent, MediaStats};
use midcall::session::AgreedStream;
use midcall::{CallEvent, Ended, RegistrationState, Side, What};
use midcall_proto::event::Failure;

use super::{StreamTold, Told};

impl Told {
    /// A call event. `until` turns a point in time into a distance from now.
    pub(crate) fn of(
        event: &CallEvent,
        until: impl Fn(midcall_proto::time::Instant) -> std::time::Duration,
    ) -> Self {
        match event {
            CallEvent::Incoming(incoming) => Self::Incoming {
                from: incoming.from.clone(),
                display: incoming.display.clone(),
                to: incoming.to.clone(),
                call_id: String::new(),
                offered: incoming.offered,
                media: incoming.media.clone(),
                replaces: incoming.replaces.map(number),
                referred_by: incoming.referred_by.clone(),
            },
            CallEvent::Progress { status, reliable, early_dialogs, branch } => Self::Progress {
                status: *status,
                reliable: *reliable,
                early_dialogs: *early_dialogs,
                branch: branch.to_string(),
            },
            CallEvent::Established => Self::Established,
            CallEvent::Session { agreed, early } => {
                Self::Session { early: *early, streams: agreed.streams.iter().map(stream).collect() }
            }
            CallEvent::Changed(change) => Self::Changed {
                what: words(&change.what),
                method: change.method.map(|method| method.as_str()),
                attempts: change.attempts,
                rule: change.why.rule.map(|rule| rule.code()),
                why: change.why.text.to_owned(),
            },
            CallEvent::ChangeWaiting { rule, until: at, .. } => Self::ChangeWaiting {
                rule: rule.code(),
                why: rule.rule().title,
                at_most: at.map(|at| (until(at).as_secs_f64() * 1_000.0).round() / 1_000.0),
            },
            CallEvent::ChangeFailed { failure, .. } => failed(failure),
            CallEvent::PeerChanged { method, what } => {
                Self::PeerChanged { method: method.as_str(), what: words(what) }
            }
            CallEvent::Offered { what } => Self::Offered { what: words(what) },
            CallEvent::Held { by } => Self::Held { by: side(*by) },
            CallEvent::Resumed { by } => Self::Resumed { by: side(*by) },
            CallEvent::Refreshed { by, interval } => {
                Self::Refreshed { by: side(*by), interval: interval.map(|interval| interval.as_secs()) }
            }
            CallEvent::PeerMoved => Self::PeerMoved,
            CallEvent::PeerIdentity { uri } => Self::PeerIdentity { uri: uri.clone() },
            CallEvent::Referred { to, referred_by, attended, .. } => {
                Self::Referred { to: to.clone(), referred_by: referred_by.clone(), attended: *attended }
            }
            CallEvent::Transfer { status, done } => Self::Transfer { status: *status, done: *done },
            CallEvent::ReplacedBy { call } => Self::ReplacedBy { by_call: number(*call) },
            CallEvent::Info { content_type, body } => Self::Info {
                content_type: content_type.clone(),
                body: String::from_utf8_lossy(body).into_owned(),
            },
            CallEvent::PeerBroke { rule } => Self::PeerBroke {
                rule: rule.code(),
                title: rule.rule().title,
                rfc: rule.rule().cites.iter().map(ToString::to_string).collect(),
            },
            CallEvent::Suspect { status } => Self::Suspect { status: *status },
            CallEvent::Ended { why } => ended(why),
            other => Self::Unknown { text: format!("{other:?}") },
        }
    }

    /// An event of the audio of a call.
    pub(crate) fn of_media(event: &MediaEvent) -> Self {
        match event {
            MediaEvent::Receiving { from, payload } => {
                Self::Receiving { from: from.to_string(), payload: *payload }
            }
            MediaEvent::Digit { digit, duration } => {
                Self::Digit { digit: *digit, ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX) }
            }
            MediaEvent::Played => Self::Played,
            MediaEvent::RecordingFailed { reason } => {
                Self::Failed { what: format!("recording stopped: {reason}") }
            }
            other => Self::Unknown { text: format!("{other:?}") },
        }
    }

    /// What the audio of a call came to.
    pub(crate) fn of_stats(stats: &MediaStats) -> Self {
        Self::Media {
            sent: stats.packets_sent(),
            received: stats.packets_received(),
            lost: stats.lost,
            jitter_ms: (stats.jitter.as_secs_f64() * 10_000.0).round() / 10.0,
            digits: stats.digits_received.clone(),
        }
    }

    pub(crate) fn of_registration(state: &RegistrationState) -> Self {
        match state {
            RegistrationState::Registered { expires } => Self::Registered { expires: expires.as_secs() },
            RegistrationState::Failed { status, retry } => {
                Self::RegistrationFailed { status: *status, retry: retry.map(|retry| retry.as_secs_f64()) }
            }
            _ => Self::Unregistered,
        }
    }
}

/// The number by which a call is told: they count from 1.
pub(crate) fn number(call: midcall::CallId) -> u32 {
    call.0 + 1
}

fn words(what: &[What]) -> Vec<&'static str> {
    what.iter().map(|what| what.as_str()).collect()
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Us => "us",
        Side::Them => "peer",
    }
}

fn failed(failure: &Failure) -> Told {
    let told = |reason, status, attempts, rule| Told::ChangeFailed { reason, status, attempts, rule };
    match failure {
        Failure::Rejected { status } => told("rejected", Some(*status), None, None),
        Failure::Glare { attempts } => told("glare", Some(491), Some(*attempts), None),
        Failure::Unanswered => told("unanswered", None, None, None),
        Failure::CallEnded => told("call-ended", None, None, None),
        Failure::Withdrawn => told("withdrawn", None, None, None),
        Failure::Refused { rule } => told("rule", None, None, Some(rule.code())),
        _ => told("other", None, None, None),
    }
}

fn ended(why: &Ended) -> Told {
    let told = |why, by: Option<Side>, status| Told::Ended { why, by: by.map(side), status, reason: None };
    match why {
        Ended::HungUp => told("hung-up", Some(Side::Us), None),
        Ended::PeerHungUp { reason } => {
            Told::Ended { why: "hung-up", by: Some("peer"), status: None, reason: reason.clone() }
        }
        Ended::Refused { status, by } => told("refused", Some(*by), Some(*status)),
        Ended::Cancelled { by } => told("cancelled", Some(*by), None),
        Ended::Timeout => told("timeout", None, None),
        Ended::Unreachable => told("unreachable", None, None),
        Ended::Unresolvable => told("unresolvable", None, None),
        Ended::Lost { status } => told("lost", None, Some(*status)),
        Ended::NoAck => told("no-ack", None, None),
        Ended::NoPrack => told("no-prack", None, None),
        Ended::SessionExpired => told("session-expired", None, None),
        Ended::NoSession => told("no-session", None, None),
        Ended::Unauthorized { status } => told("unauthorized", None, Some(*status)),
        Ended::Replaced => told("replaced", None, None),
        _ => told("other", None, None),
    }
}

fn stream(stream: &AgreedStream) -> StreamTold {
    let place = |place: &Option<(String, u16)>| place.as_ref().map(|(host, port)| join(host, *port));
    let first = stream.send.iter().find(|(_, codec)| !codec.is_companion());
    StreamTold {
        kind: stream.kind.to_string(),
        codec: first.map(|(_, codec)| codec.name.to_string()),
        payload: first.map(|(payload, _)| *payload),
        local: place(&stream.local),
        remote: place(&stream.remote),
        sends: stream.sends,
        receives: stream.receives,
        held_by_us: stream.held_by_us,
        held_by_peer: stream.held_by_peer,
    }
}

fn join(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
