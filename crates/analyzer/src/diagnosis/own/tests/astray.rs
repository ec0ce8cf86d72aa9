//! Twins of what goes astray, is left half done, or only seems so because the trace lacks something.

use midcall_proto::observer::Party;
use midcall_proto::rules::Severity;

use super::{Twins, call, of, twins};

pub(super) const TWINS: &[Twins] = &[
    twins(
        "F-HLD2",
        Party::Caller,
        "start call
A -> B INVITE offer sdp:sendonly
B -> A 200 answer
A -> B ACK
A -> B INVITE offer sdp:recvonly +9s
B -> A 200 answer
A -> B ACK
A -> B BYE +9s
B -> A 200",
        "start call
A -> B INVITE offer sdp:sendonly
B -> A 200 answer
A -> B ACK
A -> B INVITE offer sdp:recvonly +9s
B -> A 200 answer
A -> B ACK
A -> B INVITE offer +1s
B -> A 200 answer
A -> B ACK
A -> B BYE +9s
B -> A 200",
    ),
    twins(
        "F-DLG3",
        Party::Caller,
        "A -> B INVITE offer
B -> A 200 answer
A -> B ACK cseq=+1
A -> B BYE +2s
B -> A 200",
        "A -> B INVITE offer
B -> A 200 answer
A -> B ACK
A -> B BYE +2s
B -> A 200",
    ),
    twins(
        "F-DLG4",
        Party::Caller,
        "start call
B -> A UPDATE [Contact: <sip:bob@10.0.0.2:5099>]
A -> B 200
A -> B INVITE offer sdp:sendonly uri=sip:bob@10.0.0.2:5060 +1s
B -> A 404
A -> B ACK",
        "start call
B -> A UPDATE [Contact: <sip:bob@10.0.0.2:5099>]
A -> B 488
A -> B INVITE offer sdp:sendonly uri=sip:bob@10.0.0.2:5060 +1s
B -> A 404
A -> B ACK",
    ),
    twins(
        "F-DLG9",
        Party::Caller,
        "start call
A -> B BYE to-tag=nobody +2s
B -> A 481
A -> B BYE +2s
B -> A 200",
        "start call
A -> B BYE +2s
B -> A 481",
    ),
    twins(
        "F-XFR3",
        Party::Caller,
        "start call
A -> B REFER
B -> A 202
B -> A NOTIFY sipfrag=100
A -> B 200
A -> B BYE
B -> A 200
B -> A NOTIFY sipfrag=486 +5s
A -> B 200",
        "start call
A -> B REFER
B -> A 202
B -> A NOTIFY sipfrag=100
A -> B 200
B -> A NOTIFY sipfrag=486 +5s
A -> B 200
A -> B BYE
B -> A 200",
    ),
    twins(
        "F-XFR5",
        Party::Caller,
        "start call
A -> B INVITE offer sdp:sendonly
B -> A 200 answer
A -> B ACK
A -> B REFER
B -> A 202
B -> A NOTIFY sipfrag=486
A -> B 200
B -> A BYE +60s
A -> B 200",
        "start call
A -> B INVITE offer sdp:sendonly
B -> A 200 answer
A -> B ACK
A -> B REFER
B -> A 202
B -> A NOTIFY sipfrag=486
A -> B 200
A -> B INVITE offer +5s
B -> A 200 answer
A -> B ACK
B -> A BYE +60s
A -> B 200",
    ),
];

/// A request with a tag that nobody gave is no request of the first INVITE's dialog, which is up.
#[test]
fn a_reinvite_with_an_unknown_tag_meets_no_open_invite() {
    let call = call(
        "start call
A -> B INVITE offer sdp:sendonly to-tag=nobody +2s
B -> A 481
A -> B BYE +2s
B -> A 200",
        |packets| packets,
    );
    assert_eq!(of(&call, "F-DLG9").len(), 1, "{:#?}", call.findings);
    assert!(of(&call, "RI-01").is_empty(), "{:#?}", call.findings);
}

/// An ACK whose number may be that of an INVITE that the trace lacks accuses nobody.
#[test]
fn an_ack_with_a_strange_number_that_nothing_proves() {
    let call = call("A -> B INVITE offer\nB -> A 200 answer\nA -> B ACK cseq=+7", |packets| packets);
    assert!(of(&call, "F-DLG3").is_empty(), "{:#?}", call.findings);
}

/// Who missed its ACK because of its number is not told of twice.
#[test]
fn the_2xx_that_is_sent_again_after_an_ack_with_a_strange_number() {
    let call = call(
        "A -> B INVITE offer
B -> A 200 answer
A -> B ACK cseq=+7
B -> A again 2 +500ms
B -> A again 2 +1s
B -> A again 2 +2s
B -> A again 2 +4s
B -> A BYE @32.1s
A -> B 200",
        |packets| packets,
    );
    assert!(matches!(of(&call, "F-DLG3").as_slice(), [one] if one.severity == Severity::Error));
    assert!(of(&call, "TX-08").is_empty(), "{:#?}", call.findings);
}

/// Music on hold that ends is still a hold, and no wrong way out of it.
#[test]
fn a_hold_that_changes_its_form_is_only_noted() {
    let call = call(
        "start call
A -> B INVITE offer sdp:sendonly
B -> A 200 answer
A -> B ACK
A -> B INVITE offer sdp:inactive +9s
B -> A 200 answer
A -> B ACK
A -> B BYE +9s
B -> A 200",
        |packets| packets,
    );
    assert!(matches!(of(&call, "F-HLD2").as_slice(), [one] if one.severity == Severity::Info));
}

/// The INVITE that was met is not in the trace, but the response to it is.
#[test]
fn a_491_for_a_change_that_the_trace_lacks() {
    let call = call(
        "start call
A -> B INVITE offer sdp:sendonly +9s unseen
B >< A INVITE offer sdp:inactive
A -> B 491 of=2
B -> A 491 of=1
B -> A ACK of=3
A -> B ACK of=4
A -> B BYE +9s
B -> A 200",
        |packets| packets,
    );
    assert!(of(&call, "F-GLR7").is_empty(), "{:#?}", call.findings);
}

/// The other side asked for a hold of its own, though the trace lacks the answer to it, or even the offer.
#[test]
fn a_resume_answered_with_a_hold_that_the_trace_shows_in_part() {
    for lost in ["A -> B 200 INVITE answer unseen", "A -> B 200 INVITE answer"] {
        let offer = if lost.ends_with("unseen") { "" } else { " unseen" };
        let ladder = format!(
            "start call
A -> B INVITE offer sdp:sendonly
B -> A 200 answer
A -> B ACK
B -> A INVITE offer sdp:sendonly +3s{offer}
{lost}
B -> A ACK
A -> B INVITE offer +3s
B -> A 200 answer sdp:sendonly
A -> B ACK"
        );
        let call = call(&ladder, |packets| packets);
        assert!(of(&call, "F-HLD3").is_empty(), "{:#?}", call.findings);
        assert!(of(&call, "F-HLD4").is_empty(), "{:#?}", call.findings);
    }
}
