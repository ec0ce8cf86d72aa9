//! What an endpoint knows of a call, in one line that a test can compare.
//!
//! ```text
//! up | audio <-> 10.0.0.2:41960 8 0 101 | o= 1/1 | to sip:bob@10.0.0.2:5060 | idle
//! ```
//! Stage of the dialog; each stream with who sends, where the peer receives and what may be sent to it; the versions of
//! our and the peer's description in force; the remote target; and what is still open.

use std::fmt::Write as _;

use midcall_proto::dialog::Dialog;
use midcall_proto::session::{Agreed, AgreedStream};

use crate::agent::{Agent, Handle};

impl Agent {
    /// The call in one line; `gone` once the endpoint has forgotten it.
    pub fn state(&self, call: impl Handle) -> String {
        let Some(call) = self.look(call) else { return "gone".to_owned() };
        let stage = match call.dialog() {
            _ if call.ended() => "over",
            Some(dialog) if dialog.usage.confirmed() => "up",
            Some(_) => "early",
            None => "calling",
        };
        let mut parts = vec![stage.to_owned()];
        parts.push(streams(&call.agreed().unwrap_or_default()));
        if let Some(dialog) = call.dialog() {
            parts.push(format!("o= {}", versions(dialog)));
            parts.push(format!("to {}", dialog.party.theirs.target));
            parts.push(open(dialog, call.settled()));
        }
        parts.join(" | ")
    }

    /// The streams of a call as it last told its application, with unreliable previews: what media follows.
    pub fn media(&self, call: impl Handle) -> String {
        self.agreed(call).map(streams).unwrap_or_else(|| "no session".to_owned())
    }
}

/// The state of a call that is up and at rest, in its dialog with bob of a [`Seat`](crate::seat::Seat): its streams and its
/// o= versions.
pub fn idle(streams: &str, versions: &str) -> String {
    format!("up | {streams} | o= {versions} | to sip:bob@10.0.0.2:5060 | idle")
}

fn streams(agreed: &Agreed) -> String {
    if agreed.streams.is_empty() {
        return "no stream".to_owned();
    }
    agreed.streams.iter().map(stream).collect::<Vec<_>>().join(", ")
}

fn stream(stream: &AgreedStream) -> String {
    let Some((host, port)) = &stream.remote else { return format!("{} off", stream.kind) };
    let way = match (stream.sends, stream.receives) {
        (true, true) => "<->",
        (true, false) => "-->",
        (false, true) => "<--",
        (false, false) => "---",
    };
    let mut text = format!("{} {way} {host}:{port}", stream.kind);
    for (number, _) in &stream.send {
        let _ = write!(text, " {number}");
    }
    for (held, who) in [(stream.held_by_us, " held"), (stream.held_by_peer, " held by peer")] {
        text.push_str(if held { who } else { "" });
    }
    text
}

fn versions(dialog: &Dialog) -> String {
    let Some(agreed) = &dialog.offers.agreed else { return "-/-".to_owned() };
    let [ours, theirs] = [&agreed.ours, &agreed.theirs]
        .map(|sdp| sdp.origin().map(|origin| origin.version.to_owned()).unwrap_or_else(|| "?".to_owned()));
    format!("{ours}/{theirs}")
}

fn open(dialog: &Dialog, settled: bool) -> String {
    let mut open: Vec<String> =
        dialog.open.iter().map(|open| format!("{} open", open.method.as_str())).collect();
    for (offer, whose) in [(&dialog.offers.pending.ours, "our"), (&dialog.offers.pending.theirs, "their")] {
        open.extend(offer.as_ref().map(|_| format!("{whose} offer open")));
    }
    if !settled {
        open.push("wishes".to_owned());
    }
    if open.is_empty() { "idle".to_owned() } else { open.join(", ") }
}

/// Compares the state of a call with a snapshot: [`Agent::state`].
#[macro_export]
macro_rules! assert_state {
    ($agent:expr, $call:expr, @$snapshot:literal) => {
        $crate::insta::assert_snapshot!($agent.state($call), @$snapshot)
    };
}
