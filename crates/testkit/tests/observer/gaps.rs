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

/// Its INVITE never came, and much else did: nobody may say for sure that the other side's offer went over it.
#[test]
fn an_offer_behind_a_lost_reinvite_among_many_messages() {
    ladder(
        "A -> B INVITE
B -> A 200 offer
A -> B ACK answer
A ~> B INVITE offer sdp:sendonly
B -> A UPDATE
B >< A REFER
A -> B 200 UPDATE
A -> B 200 REFER
A -> B NOTIFY
B -> A UPDATE offer
A -> B 491 UPDATE
B -> A 200 NOTIFY
A -> B again 4 +300ms
B -> A 500 INVITE [Retry-After: 2]
expect nothing",
    );
}

/// The first copy of the INVITE was lost, so the other side had to wait for the end of the second one.
#[test]
fn a_retry_that_waited_for_a_resent_reinvite() {
    ladder(
        "start call
A ~> B INVITE offer
B -> A UPDATE offer sdp:sendonly
A -> B 491 UPDATE
A -> B again 1 +400ms
B -> A 180 INVITE
A -> B CANCEL +2500ms
B -> A 200 CANCEL
B -> A 487 INVITE
B -> A UPDATE offer sdp:sendonly
A -> B 200 UPDATE answer
expect nothing",
    );
}

/// The answer was acknowledged long ago; the PRACK that got lost is for a response without a description.
#[test]
fn an_early_offer_beside_a_prack_that_closes_nothing() {
    ladder(
        "start reliable
B -> A 183 reliable
A ~> B PRACK
A -> B UPDATE
B -> A 200 UPDATE
B -> A UPDATE offer sdp:sendonly
A -> B 200 UPDATE answer
A -> B again 2 +400ms
B -> A 200 PRACK
B -> A 200 INVITE
A -> B ACK
expect nothing",
    );
}

/// Both sides change the session again and again, and their requests refresh it by the way.
#[test]
fn changes_that_meet_are_no_refreshes() {
    ladder(
        "A -> B INVITE offer [Session-Expires: 90]
B -> A 200 answer [Session-Expires: 90;refresher=uac] [Require: timer]
A -> B ACK
A -> B UPDATE offer sdp:sendonly [Session-Expires: 90;refresher=uac] @30s
B >< A UPDATE offer sdp:sendonly [Session-Expires: 90;refresher=uas]
B -> A 491 of=4
A -> B 491 of=5
A -> B UPDATE offer sdp:codecs=8 [Session-Expires: 90;refresher=uac] @60s
B >< A UPDATE offer sdp:codecs=0 [Session-Expires: 90;refresher=uas]
B -> A 491 of=8
A -> B 491 of=9
expect nothing",
    );
}

/// The other side had refused a codec, not the port that came with it.
#[test]
fn an_answer_from_the_port_of_an_offer_whose_codec_was_refused() {
    ladder(
        "start call
A -> B UPDATE offer sdp:port=41000 sdp:codecs=8
B -> A 488
B -> A UPDATE offer +3s
A -> B 200 answer sdp:port=41000
expect nothing",
    );
}

/// An UPDATE that holds is no refresh, even when its answer is known and the next one has gone out.
#[test]
fn a_hold_is_no_refresh_that_meets_another() {
    ladder(
        "A -> B INVITE offer [Session-Expires: 90]
B -> A 200 answer [Session-Expires: 90;refresher=uac] [Require: timer]
A -> B ACK
A -> B UPDATE [Session-Expires: 90;refresher=uac] @45s
B >< A UPDATE [Session-Expires: 90;refresher=uas]
B -> A 200 of=4 [Session-Expires: 90;refresher=uac] [Require: timer]
A -> B 200 of=5 [Session-Expires: 90;refresher=uas] [Require: timer]
B -> A UPDATE offer sdp:sendonly [Session-Expires: 90;refresher=uas] @90s
A -> B 200 answer [Session-Expires: 90;refresher=uas] [Require: timer]
B -> A UPDATE offer [Session-Expires: 90;refresher=uas]
A >< B UPDATE [Session-Expires: 90;refresher=uac]
A -> B 200 of=10 answer [Session-Expires: 90;refresher=uas] [Require: timer]
B -> A 200 of=11 [Session-Expires: 90;refresher=uac] [Require: timer]
expect nothing",
    );
}
