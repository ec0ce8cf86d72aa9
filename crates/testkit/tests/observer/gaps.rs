//! Captures that lack something.

use crate::tap::ladder;

#[test]
fn a_reinvite_after_a_lost_answer() {
    ladder(
        "start call
A -> B INVITE offer sdp:sendonly
B -> A 200 answer unseen
A -> B ACK
A -> B INVITE offer
B -> A 200 answer
A -> B ACK
expect nothing",
    );
}
