//! Session timers from the answering side: what a 2xx to INVITE or UPDATE says (RFC 4028 §9, table in §8.1 of the catalogue).

use midcall_wire::{Name, Refresher};

use super::core::Core;
use crate::Msg;
use crate::dialog::{Dialog, OptionTag, Way};

/// What comes of a request's Session-Expires.
pub(super) enum Negotiated {
    /// No timer: the 2xx says nothing.
    Off,
    /// Below our minimum: 422 (ST-06).
    TooSmall {
        /// The least that we take.
        min_se: u32,
    },
    /// The 2xx carries these.
    Run {
        /// Session-Expires, and Require where the peer refreshes.
        headers: Vec<(Name, String)>,
    },
}

/// Negotiates the session timer for a request that we are about to accept.
pub(super) fn negotiate(core: &Core, dialog: Option<&Dialog>, request: &Msg) -> Negotiated {
    if !core.config.timer {
        return Negotiated::Off;
    }
    let peer_can = request.has_option(Name::Supported, OptionTag::Timer.as_str())
        || request.has_option(Name::Require, OptionTag::Timer.as_str());
    let asked = request.session_expires().and_then(Result::ok);
    let least = request.min_se().and_then(Result::ok).unwrap_or(90).max(90);
    let (seconds, refresher) = match asked {
        Some(asked) if asked.seconds < core.config.min_se && peer_can => {
            return Negotiated::TooSmall { min_se: core.config.min_se };
        }
        Some(asked) => (asked.seconds, asked.refresher.filter(|_| peer_can)),
        None => match core.config.session_expires {
            Some(ours) => (ours.max(least), None),
            None => return Negotiated::Off,
        },
    };
    let lowered =
        core.config.session_expires.filter(|ours| *ours < seconds && *ours >= least && asked.is_some());
    let seconds = lowered.unwrap_or(seconds);
    let running = dialog.and_then(|dialog| dialog.timer.running).map(|running| running.refresher);
    // A peer without timer support never refreshes; else its choice stands, then the present role, then the requester.
    let refresher = match (peer_can, refresher, running) {
        (false, ..) | (true, None, Some(Way::Sent)) => Refresher::Uas,
        (true, Some(refresher), _) => refresher,
        (true, None, _) => Refresher::Uac,
    };
    let word = if refresher == Refresher::Uac { "uac" } else { "uas" };
    let mut headers = vec![(Name::SessionExpires, format!("{seconds};refresher={word}"))];
    if peer_can {
        headers.insert(0, (Name::Require, OptionTag::Timer.as_str().to_owned()));
    }
    Negotiated::Run { headers }
}
