//! What was waited for in vain, where the trace ends before the wait does, and tries that were refused before any dialog was.

use crate::tap::ladder;

const CREDENTIALS: &str =
    r#"[Authorization: Digest username="a", realm="b", nonce="1", uri="sip:b", response="0"]"#;
const CHALLENGE: &str = r#"[WWW-Authenticate: Digest realm="b", nonce="1", algorithm=SHA-256, qop="auth"]"#;

/// The end of patience is the end of the trace: the BYE comes at 64*T1, and nothing behind it.
#[test]
fn the_callee_hangs_up_for_want_of_an_ack_and_the_trace_ends() {
    ladder(
        "A -> B INVITE offer
B -> A 200 INVITE answer
B -> A again 2 +0.5s
B -> A again 2 +1s
B -> A again 2 +2s
B -> A again 2 +4s
B -> A again 2 +4s
B -> A BYE +20.5s
expect A breaks TX-08 at 2",
    );
}

#[test]
fn a_2xx_is_sent_again_up_to_the_end_of_the_trace() {
    ladder(
        "start call
A -> B INVITE offer
B -> A 200 INVITE answer
B -> A again 2 +0.5s
B -> A again 2 +1s
B -> A again 2 +2s
B -> A again 2 +4s
B -> A again 2 +4s
expect A breaks TX-08 at 2",
    );
}

#[test]
fn a_2xx_that_was_sent_again_for_a_moment_when_the_trace_ends() {
    ladder(
        "A -> B INVITE offer
B -> A 200 INVITE answer
B -> A again 2 +0.5s
B -> A again 2 +1s
B -> A again 2 +2s
expect nothing",
    );
}

/// RFC 3262 §3: whoever gets no PRACK in 64*T1 refuses the INVITE, and its reliable response is forgotten with it.
#[test]
fn the_invite_is_refused_for_want_of_a_prack() {
    ladder(
        "A -> B INVITE offer
B -> A 183 reliable answer
B -> A again 2 +0.5s
B -> A again 2 +1s
B -> A again 2 +2s
B -> A again 2 +4s
B -> A again 2 +8s
B -> A 504 INVITE +16.5s
A -> B ACK
wait 60s
expect A breaks PR-05 at 2",
    );
}

#[test]
fn a_reinvite_is_sent_again_up_to_the_end_of_the_trace() {
    ladder(
        "start call
A -> B INVITE offer sdp:sendonly
A -> B again 1 +0.5s
A -> B again 1 +1s
A -> B again 1 +2s
A -> B again 1 +4s
A -> B again 1 +8s
expect network breaks TX-01 at 1",
    );
}

/// A wrong password mostly shows while the call is set up.
#[test]
fn the_first_invite_comes_again_with_credentials_that_were_refused() {
    ladder(&format!(
        "A -> B INVITE offer {CREDENTIALS}
B -> A 401 INVITE {CHALLENGE}
A -> B ACK
A -> B INVITE offer {CREDENTIALS} +1s
B -> A 401 INVITE {CHALLENGE}
A -> B ACK
expect A breaks SEC-04 at 4 because 2"
    ));
}

#[test]
fn the_first_invite_comes_again_with_an_interval_that_was_refused() {
    ladder(
        "A -> B INVITE offer [Session-Expires: 100]
B -> A 422 INVITE [Min-SE: 600]
A -> B ACK
A -> B INVITE offer [Session-Expires: 100] +1s
B -> A 422 INVITE [Min-SE: 600]
A -> B ACK
expect A breaks ST-07 at 4 because 2",
    );
}

/// RFC 4028 §7.4: what a 422 asked for before the dialog is forgotten once there is one.
#[test]
fn a_refresh_without_the_minimum_of_a_422_before_the_dialog() {
    ladder(
        "A -> B INVITE offer [Session-Expires: 100]
B -> A 422 INVITE [Min-SE: 600]
A -> B ACK
A -> B INVITE offer [Session-Expires: 600] [Min-SE: 600] +1s
B -> A 200 INVITE answer [Session-Expires: 600;refresher=uac] [Require: timer]
A -> B ACK
A -> B UPDATE [Session-Expires: 600;refresher=uac] +300s
B -> A 200 UPDATE [Session-Expires: 600;refresher=uac] [Require: timer]
expect nothing",
    );
}
