//! Events for people.

use std::time::Duration;

use midcall_analyzer::report::text::harmless;
use midcall_wire::reason_phrase;
use owo_colors::OwoColorize;

use super::{StreamTold, Told};

pub(super) fn line(t: Duration, call: Option<u32>, told: &Told) -> String {
    let time = format!("{:8.3}", t.as_secs_f64());
    let call = call.map_or_else(|| "      ".to_owned(), |call| format!("call {call}"));
    let said = harmless(&say(told));
    let said = match told {
        Told::Established | Told::Changed { .. } | Told::Met { .. } | Told::Registered { .. } => {
            said.green().to_string()
        }
        Told::ChangeFailed { .. } | Told::Failed { .. } | Told::RegistrationFailed { .. } => {
            said.red().to_string()
        }
        Told::PeerBroke { .. } | Told::Suspect { .. } | Told::ChangeWaiting { .. } => {
            said.yellow().to_string()
        }
        Told::Step { .. } => said.cyan().to_string(),
        _ => said,
    };
    format!("{}  {call}  {said}", time.dimmed())
}

fn say(told: &Told) -> String {
    let maybe = |text: &Option<String>, before: &str| {
        text.as_ref().map(|text| format!("{before}{text}")).unwrap_or_default()
    };
    match told {
        Told::Listening { on } => format!("listening on {}", on.join(", ")),
        Told::Registered { expires } => format!("registered for {expires} s"),
        Told::Unregistered => "no longer registered".to_owned(),
        Told::RegistrationFailed { status, retry } => {
            let again = retry.map(|retry| format!(", again in {retry} s")).unwrap_or_default();
            format!("not registered: {}{again}", status_text(*status))
        }
        Told::Calling { to, .. } => format!("calling {to}"),
        Told::Incoming { from, display, media, offered, replaces, referred_by, .. } => {
            let offer = if *offered { media.join(", ") } else { "no offer".to_owned() };
            let replaces = replaces.map(|call| format!(", replaces call {call}")).unwrap_or_default();
            format!(
                "incoming from {}{from} ({offer}){}{replaces}",
                maybe(display, "").quoted(),
                maybe(referred_by, ", sent by ")
            )
        }
        Told::Progress { status, reliable, early_dialogs, branch } => {
            let reliable = if *reliable { ", reliable" } else { "" };
            let (place, more) = match early_dialogs {
                0 | 1 => Default::default(),
                more => (format!(" in {branch}"), format!(", {more} early dialogs")),
            };
            format!("{}{place}{reliable}{more}", status_text(*status))
        }
        Told::Established => "established".to_owned(),
        Told::Session { early, streams } => {
            let streams: Vec<String> = streams.iter().map(stream).collect();
            format!("{}session: {}", if *early { "early " } else { "" }, streams.join("; "))
        }
        Told::Changed { what, method, attempts, why, rule } => {
            let tries = if *attempts > 1 { format!(" at attempt {attempts}") } else { String::new() };
            let by = method.map(|method| format!(" by {}", method_text(method))).unwrap_or_default();
            let rule = rule.map(|rule| format!(" [{rule}]")).unwrap_or_default();
            // The library names the method in its reasons, too.
            let why = why.trim_start_matches("re-INVITE: ").trim_start_matches("UPDATE: ");
            format!("{} done{by}{tries}: {why}{rule}", what.join(", "))
        }
        Told::ChangeWaiting { rule, why, at_most } => {
            let until = at_most.map(|seconds| format!(", for {seconds:.2} s")).unwrap_or_default();
            format!("change waits{until}: {why} [{rule}]")
        }
        Told::ChangeFailed { reason, status, attempts, rule } => match (*reason, status, attempts, rule) {
            ("rejected", Some(status), ..) => format!("change refused: {}", status_text(*status)),
            ("glare", _, Some(attempts), _) => format!("change given up after {attempts} collisions"),
            ("call-ended", ..) => "change lost: the call ended".to_owned(),
            ("rule", _, _, Some(rule)) => format!("change not sent: [{rule}] forbids it"),
            (reason, ..) => format!("change {reason}"),
        },
        Told::PeerChanged { method, what } => {
            format!("the other side changed {} by {}", what.join(", "), method_text(method))
        }
        Told::Offered { what } => format!("the other side asks for {}", what.join(", ")),
        Told::Held { by } => format!("{} the call", whom(by, "we hold", "the other side holds")),
        Told::Resumed { by } => format!("{} the call", whom(by, "we resumed", "the other side resumed")),
        Told::Refreshed { by, interval } => {
            let next = interval
                .map(|interval| format!(", {interval} s"))
                .unwrap_or_else(|| ", timer off".to_owned());
            format!("session refreshed by {}{next}", whom(by, "us", "the other side"))
        }
        Told::PeerMoved => "the other side has a new Contact".to_owned(),
        Told::PeerIdentity { uri } => format!("the other side is now {uri}"),
        Told::Referred { to, referred_by, attended } => {
            let attended = if *attended { ", taking over a call" } else { "" };
            format!("asked to call {to}{}{attended}", maybe(referred_by, " by "))
        }
        Told::Transfer { status, done } => {
            format!("transfer{}: {}", if *done { " over" } else { "" }, status_text(*status))
        }
        Told::ReplacedBy { by_call } => format!("replaced by call {by_call}"),
        Told::Info { content_type, body } => format!("INFO {content_type}: {}", body.trim_end()),
        Told::PeerBroke { rule, title, rfc } => {
            let rfc = rfc.first().map(|rfc| format!(", {rfc}")).unwrap_or_default();
            format!("the other side broke {rule}: {title}{rfc}")
        }
        Told::Suspect { status } => format!("{}: the dialog may be broken", status_text(*status)),
        Told::Receiving { from, payload } => format!("audio comes from {from}, payload type {payload}"),
        Told::Digit { digit, .. } => format!("digit {digit}"),
        Told::Played => "the file was played".to_owned(),
        Told::Ended { why, by, status, reason } => ended(why, *by, *status, reason.as_deref()),
        Told::Media { sent, received, lost, jitter_ms, digits } => {
            let digits = if digits.is_empty() { String::new() } else { format!(", digits {digits}") };
            format!(
                "audio: {sent} packets sent, {received} received, {lost} lost, jitter {jitter_ms} ms{digits}"
            )
        }
        Told::Step { text, .. } => format!("> {text}"),
        Told::Met { text, .. } => format!("{text}: yes"),
        Told::Failed { what } => what.clone(),
        Told::Unknown { text } => text.clone(),
    }
}

trait Quoted {
    fn quoted(&self) -> String;
}

impl Quoted for String {
    /// In quotes with a space behind, or nothing.
    fn quoted(&self) -> String {
        if self.is_empty() { Self::new() } else { format!("{self:?} ") }
    }
}

/// A status code as people say it.
pub(crate) fn status_text(status: u16) -> String {
    let (phrase, class) = (reason_phrase(status), reason_phrase(status / 100 * 100));
    // RFC 3261 §8.1.3.2: a code that nobody knows counts as the first of its class, but does not mean that.
    if phrase == class && !status.is_multiple_of(100) {
        status.to_string()
    } else {
        format!("{status} {phrase}")
    }
}

fn method_text(method: &str) -> &str {
    if method == "INVITE" { "re-INVITE" } else { method }
}

fn whom<'t>(by: &str, us: &'t str, peer: &'t str) -> &'t str {
    if by == "us" { us } else { peer }
}

fn stream(stream: &StreamTold) -> String {
    let (Some(local), Some(remote)) = (&stream.local, &stream.remote) else {
        return format!("{} off", stream.kind);
    };
    let codec = stream.codec.as_deref().unwrap_or("no codec in common");
    let arrow = match (stream.receives, stream.sends) {
        (true, true) => "<->",
        (true, false) => "<--",
        (false, true) => "-->",
        (false, false) => "x",
    };
    let held = match (stream.held_by_us, stream.held_by_peer) {
        (true, true) => ", held by both",
        (true, false) => ", held by us",
        (false, true) => ", held by the other side",
        (false, false) => "",
    };
    format!("{} {codec} {local} {arrow} {remote}{held}", stream.kind)
}

fn ended(why: &str, by: Option<&str>, status: Option<u16>, reason: Option<&str>) -> String {
    let us = by == Some("us");
    let who = if us { "we" } else { "the other side" };
    let status = status.map(status_text).unwrap_or_default();
    match why {
        "hung-up" => {
            format!("ended: {who} hung up{}", reason.map(|reason| format!(" ({reason})")).unwrap_or_default())
        }
        "refused" => format!("ended: {who} refused with {status}"),
        "cancelled" => format!("ended: {who} cancelled"),
        "timeout" => "ended: no answer in time".to_owned(),
        "unreachable" => "ended: no address could be reached".to_owned(),
        "unresolvable" => "ended: the host name has no address".to_owned(),
        "lost" => format!("ended: the other side no longer knows the call ({status})"),
        "no-ack" => "ended: our 200 was never acknowledged".to_owned(),
        "no-prack" => "ended: our reliable response was never acknowledged".to_owned(),
        "session-expired" => "ended: the session timer ran out".to_owned(),
        "no-session" => "ended: no session could be agreed on".to_owned(),
        "unauthorized" => format!("ended: {status}, and no credentials that fit"),
        "replaced" => "ended: another call took its place".to_owned(),
        other => format!("ended: {other}"),
    }
}
