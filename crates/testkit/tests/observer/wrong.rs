//! Messages that break a rule, each pinned to message, party and evidence.

use midcall_proto::observer::{Observer, ObserverConfig};
use midcall_proto::time::Instant;

use crate::tap::ladder;

#[test]
fn an_update_that_crosses_our_offer_is_accepted() {
    ladder(
        "start call
A -> B INVITE offer
B >< A UPDATE offer
A -> B 200 UPDATE answer
expect A breaks UP-13 at 3 because 1 2",
    );
}

#[test]
fn a_crossing_answered_as_it_should_be() {
    ladder(
        "start call
A -> B INVITE offer sdp:sendonly
B >< A INVITE offer sdp:sendonly
B -> A 491 of=1
A -> B 491 of=2
A -> B ACK of=3
B -> A ACK of=4
expect nothing",
    );
}

#[test]
fn an_update_while_the_peers_offer_is_known_to_be_open() {
    ladder(
        "start call
A -> B INVITE offer sdp:sendonly
B -> A 180
B -> A UPDATE offer
expect B breaks UP-09 at 3 because 1",
    );
}

#[test]
fn a_second_update_over_our_own() {
    ladder(
        "start call
A -> B UPDATE offer sdp:sendonly
A -> B UPDATE offer
expect A breaks UP-09 at 2 because 1
allow OA-01",
    );
}

#[test]
fn an_answer_with_too_few_lines() {
    ladder(
        "start call
A -> B INVITE offer sdp:+video
B -> A 200 answer sdp:drop=video
A -> B ACK
expect B breaks OA-17 at 2 because 1",
    );
}

#[test]
fn a_direction_that_the_offer_forbids() {
    ladder(
        "start call
A -> B INVITE offer sdp:sendonly
B -> A 200 answer sdp:sendonly
A -> B ACK
expect B breaks OA-23 at 2 because 1",
    );
}

#[test]
fn a_version_that_jumps() {
    ladder(
        "start call
A -> B INVITE offer sdp:sendonly o=+7
B -> A 200 answer
A -> B ACK
expect A breaks OA-29 at 1",
    );
}

#[test]
fn another_body_with_the_same_version() {
    ladder(
        "start call
A -> B INVITE offer sdp:sendonly o=same
B -> A 200 answer
A -> B ACK
expect A breaks OA-30 at 1",
    );
}

#[test]
fn two_invites_from_one_side() {
    ladder(
        "start call
A -> B INVITE offer sdp:sendonly
A -> B INVITE offer
B -> A 500 of=2 [Retry-After: 3]
A -> B ACK of=3
B -> A 200 of=1 answer
A -> B ACK of=5
expect A breaks RI-01 at 2 because 1
allow OA-01
allow OA-23",
    );
}

#[test]
fn a_second_invite_is_accepted() {
    ladder(
        "start call
A -> B INVITE offer sdp:sendonly
A -> B INVITE offer
B -> A 200 of=2 answer
A -> B ACK of=3
B -> A 200 of=1 answer
A -> B ACK of=5
expect A breaks RI-01 at 2 because 1
expect B breaks RI-06 at 3 because 1 2
allow OA-01
allow OA-23",
    );
}

#[test]
fn a_reinvite_while_it_rings() {
    ladder(
        "start early
A -> B INVITE offer sdp:sendonly
expect A breaks RI-03 at 1
allow RI-01
allow OA-01",
    );
}

#[test]
fn both_invites_are_accepted() {
    ladder(
        "start call
A -> B INVITE offer sdp:sendonly
B >< A INVITE offer sdp:sendonly
B -> A 200 of=1 answer
A -> B ACK of=3
expect B breaks RI-07 at 3 because 1 2",
    );
}

#[test]
fn another_refusal_than_the_one_owed() {
    ladder(
        "start call
A -> B INVITE offer sdp:sendonly
B >< A INVITE offer sdp:sendonly
B -> A 500 of=1
A -> B ACK of=3
A -> B 491 of=2
B -> A ACK of=5
expect B breaks RI-07 at 3 because 1 2",
    );
}

#[test]
fn an_answer_before_the_prack() {
    ladder(
        "A -> B INVITE offer
B -> A 183 reliable answer
B -> A 200 INVITE
A -> B ACK
expect B breaks PR-08 at 3 because 1 2",
    );
}

#[test]
fn a_reliable_response_with_an_old_number() {
    ladder(
        "A -> B INVITE offer
B -> A 183 reliable answer rseq=7
A -> B PRACK
B -> A 200 PRACK
B -> A 180 reliable rseq=7
expect B breaks PR-04 at 5 because 2",
    );
}

#[test]
fn a_cseq_number_used_twice() {
    ladder(
        "start call
A -> B INFO
B -> A 200
A -> B UPDATE offer cseq=+0
B -> A 500
expect A breaks DLG-11 at 3 because 1",
    );
}

#[test]
fn an_old_cseq_number_is_accepted() {
    ladder(
        "start call
A -> B INFO cseq=+5
B -> A 200
A -> B INFO cseq=-2
B -> A 200
expect B breaks DLG-12 at 4
allow DLG-11",
    );
}

#[test]
fn an_ack_in_the_invites_transaction() {
    ladder(
        "start call
A -> B INVITE offer sdp:sendonly
B -> A 200 answer
A -> B ACK branch=of:1
expect A breaks TX-09 at 3 because 1 2",
    );
}

#[test]
fn an_ack_to_another_address() {
    ladder(
        "start call
A -> B INVITE offer sdp:sendonly
B -> A 200 answer
A -> B ACK uri=sip:bob@10.0.0.2:5099
expect A breaks TX-09 at 3 because 2",
    );
}

#[test]
fn a_refresher_overridden() {
    ladder(
        "start call
A -> B UPDATE [Supported: timer] [Session-Expires: 90;refresher=uac]
B -> A 200 [Session-Expires: 90;refresher=uas] [Require: timer]
expect B breaks ST-10 at 2 because 1",
    );
}

#[test]
fn a_session_expires_without_refresher() {
    ladder(
        "start call
A -> B UPDATE [Supported: timer] [Session-Expires: 90]
B -> A 200 [Session-Expires: 90]
expect B breaks ST-10 at 2",
    );
}

#[test]
fn a_prack_for_nothing() {
    ladder(
        "A -> B INVITE offer
B -> A 183 reliable answer rseq=7
A -> B PRACK [RAck: 9 1 INVITE]
B -> A 481 PRACK
expect A breaks PR-06 at 3",
    );
}

#[test]
fn an_update_answered_twice() {
    ladder(
        "start call
A -> B UPDATE offer sdp:sendonly
B -> A 488 of=1
B -> A 200 of=1 answer
expect B breaks TX-18 at 3 because 1 2",
    );
}

#[test]
fn an_ack_of_a_failure_with_a_new_branch() {
    ladder(
        "start call
A -> B INVITE offer sdp:sendonly
B -> A 488
A -> B ACK branch=z9hG4bKnew
expect A breaks TX-03 at 3 because 1 2",
    );
}

#[test]
fn a_request_uri_beyond_ascii_forms_a_call() {
    let mut observer = Observer::new(ObserverConfig::default());
    let (alice, bob) = ("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap());
    let invite = "INVITE sip:\u{e9}@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
        From: <sip:alice@192.0.2.1>;tag=a\r\nTo: <sip:bob@192.0.2.2>\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\n\
        Contact: <sip:alice@192.0.2.1>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(observer.observe(Instant::ZERO, alice, bob, invite.as_bytes()), Some(1));
    assert_eq!(observer.calls().count(), 1);
}
