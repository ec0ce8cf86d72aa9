//! Why a call did not go as asked, and what to do about it.

use midcall::{Ended, Side};

use crate::events::status_text;
use crate::trouble::Trouble;

/// Trouble for a call that ended like this; `None` for an ordinary end. `up` tells whether it had been answered.
pub(super) fn trouble(why: &Ended, up: bool, to: &str, credentials: bool) -> Option<Trouble> {
    Some(match why {
        Ended::HungUp | Ended::PeerHungUp { .. } | Ended::Replaced | Ended::Cancelled { by: Side::Us } => {
            return None;
        }
        Ended::Refused { by: Side::Us, status: 513 } => Trouble::failed(
            "the call cannot be placed",
            "its INVITE would be longer than a message may be: 64 KiB, with 2 KiB for the URI and 16 KiB for a header line",
            "call a shorter URI, or leave headers or codecs out",
        ),
        Ended::Refused { by: Side::Us, status } if *status != 422 => return None,
        Ended::Refused { status, .. } => refused(*status, to),
        Ended::Cancelled { .. } => Trouble::failed(
            "the caller gave up",
            "a CANCEL came before the call was answered (RFC 3261 §9.2)",
            "answer sooner, or ask the caller to wait longer",
        ),
        Ended::Timeout if up => Trouble::failed(
            format!("{to} no longer answers"),
            "a request in the call got no response for 64*T1, 32 seconds; the call is over (RFC 3261 §12.2.1.2)",
            "see whether the other side still runs, and whether a firewall or NAT forgot the way",
        ),
        Ended::Timeout => Trouble::failed(
            format!("{to} does not answer"),
            "the INVITE got no response at all for 64*T1, 32 seconds (RFC 3261 §17.1.1.2, timer B)",
            "check address and port; that the other side listens on this transport; that no firewall drops the packets; \
             --capture shows what went out",
        ),
        Ended::Unreachable => Trouble::failed(
            format!("{to} cannot be reached"),
            "nobody listens there: the port is closed, or there is no way to that address with the addresses listened on",
            "start the other side, check address and port, or add --listen with a matching transport and address family",
        ),
        Ended::Unresolvable => Trouble::failed(
            format!("the host of {to} has no address"),
            "neither DNS nor the hosts file knows the name (RFC 3263 §4)",
            "check the spelling, or call an IP address",
        ),
        Ended::Unauthorized { status } if credentials => Trouble::failed(
            format!("{to} does not take the user name and password"),
            format!("it answered {status} again after our credentials (RFC 3261 §22.2)"),
            "check --user and the password; --user is the name for the challenge, not always that of --from",
        ),
        Ended::Unauthorized { status } => Trouble::failed(
            format!("{to} wants a user name and password"),
            format!("it answered {} (RFC 3261 §22)", status_text(*status)),
            "say --user NAME, with the password in MIDCALL_PASSWORD or --password-file FILE",
        ),
        Ended::Lost { status } => Trouble::failed(
            "the other side no longer knows the call",
            format!("it answered {} within the call (RFC 5057 §5.1)", status_text(*status)),
            "see whether it was restarted, or whether a proxy sent the request elsewhere",
        ),
        Ended::NoAck => Trouble::failed(
            "the call was answered, but that was never acknowledged",
            "no ACK came for our 200 within 64*T1, 32 seconds (RFC 3261 §13.3.1.4)",
            "the caller cannot reach our Contact: listen on an address that it can reach instead of 0.0.0.0 or 127.0.0.1",
        ),
        Ended::NoPrack => Trouble::failed(
            "the early response was never acknowledged",
            "no PRACK came for our reliable provisional response within 64*T1, 32 seconds (RFC 3262 §3)",
            "use --no-100rel if the caller announces what it cannot do",
        ),
        Ended::SessionExpired => Trouble::failed(
            "the session timer ran out",
            "nobody refreshed the session in time (RFC 4028 §10)",
            "the refresher of the call did not do its work; --no-timer goes without",
        ),
        Ended::NoSession => Trouble::failed(
            "no session could be agreed on",
            "offer and answer have no stream and codec in common (RFC 3264 §6)",
            "offer more codecs with --codecs",
        ),
        other => Trouble::failed(midcall::describe(other), "", ""),
    })
}

fn refused(status: u16, to: &str) -> Trouble {
    let (why, cure) = match status {
        300..=399 => (
            "the other side is elsewhere (RFC 3261 §21.3)",
            "call the address in its Contact; --capture shows it",
        ),
        403 | 603 => ("the other side does not want the call", "no retry will help: ask whoever runs it"),
        404 | 410 | 604 => ("the other side knows no such user", "check the user part of the URI"),
        405 | 501 => ("it takes no INVITE", "this is not a phone: check host and port"),
        406 | 415 | 488 | 606 => (
            "it cannot use our session description (RFC 3261 §21.4.26)",
            "offer other codecs with --codecs, or none with --offerless",
        ),
        408 => {
            ("a server on the way got no answer", "see whether the other side is registered and reachable")
        }
        420 => ("it lacks an extension that we require (RFC 3261 §21.4.15)", "leave out --require-100rel"),
        421 => (
            "it requires an extension that we did not announce (RFC 3261 §21.4.16)",
            "leave out --no-100rel and --no-timer",
        ),
        422 => {
            ("the session interval is too small (RFC 4028 §6)", "ask for a longer one with --session-expires")
        }
        480 => ("the other side is not there now", "see whether it is registered; try again later"),
        481..=483 => {
            ("a proxy on the way lost or turned the request around", "check --outbound-proxy and the URI")
        }
        486 | 600 => ("the other side is busy", "try again later"),
        487 => ("the call was cancelled on the way", "try again"),
        500..=599 => (
            "a server failed or is overloaded (RFC 3261 §21.5)",
            "try again later; --capture shows its Retry-After and Warning",
        ),
        _ => ("the other side declined", "--capture shows its Reason and Warning"),
    };
    let what = format!("{to} refused the call: {}", status_text(status));
    Trouble::failed(what.trim_end(), why, cure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_says_what_why_and_what_to_do() {
        let them = Side::Them;
        let ends = [
            Ended::Refused { status: 486, by: them },
            Ended::Refused { status: 488, by: them },
            Ended::Refused { status: 699, by: them },
            Ended::Cancelled { by: them },
            Ended::Timeout,
            Ended::Unreachable,
            Ended::Unresolvable,
            Ended::Unauthorized { status: 407 },
            Ended::Lost { status: 481 },
            Ended::NoAck,
            Ended::NoPrack,
            Ended::SessionExpired,
            Ended::NoSession,
        ];
        let mut told: Vec<String> = ends
            .iter()
            .map(|why| trouble(why, false, "sip:bob@192.0.2.7", false).unwrap().to_string())
            .collect();
        let too_long = Ended::Refused { status: 513, by: Side::Us };
        told.push(trouble(&too_long, false, "sip:bob@192.0.2.7", false).unwrap().to_string());
        told.push(trouble(&Ended::Timeout, true, "sip:bob@192.0.2.7", false).unwrap().to_string());
        told.push(
            trouble(&Ended::Unauthorized { status: 401 }, false, "sip:bob@192.0.2.7", true)
                .unwrap()
                .to_string(),
        );
        insta::assert_snapshot!(told.join("\n\n"));
    }

    #[test]
    fn ordinary_ends_are_no_trouble() {
        let ends = [
            Ended::HungUp,
            Ended::PeerHungUp { reason: None },
            Ended::Replaced,
            Ended::Cancelled { by: Side::Us },
            Ended::Refused { status: 486, by: Side::Us },
        ];
        assert!(ends.iter().all(|why| trouble(why, true, "sip:bob@192.0.2.7", false).is_none()));
    }
}
