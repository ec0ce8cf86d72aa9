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

/// The ACK with the branch of the INVITE proves the refusal that is not there, so the next INVITE is not too soon.
#[test]
fn a_reinvite_after_a_refusal_that_only_its_ack_shows() {
    ladder(
        "start call
A -> B INVITE offer sdp:sendonly
B -> A 504 unseen
A -> B ACK
A -> B INVITE offer sdp:sendonly
B -> A 200 answer
A -> B ACK
expect nothing",
    );
}

/// The 2xx of the PRACK proves the reliable 183, which may have brought the answer: later offers are right, and so is a 2xx
/// without a description.
#[test]
fn offers_behind_a_reliable_answer_that_only_its_prack_shows() {
    ladder(
        "A -> B INVITE offer
B -> A 183 reliable answer unseen
A -> B PRACK
B -> A 200 PRACK
B -> A UPDATE offer sdp:codecs=8
A -> B 200 UPDATE answer
A -> B UPDATE offer
B -> A 200 UPDATE answer
B -> A 200 INVITE
A -> B ACK
expect nothing",
    );
}

/// The same where the PRACK itself offers.
#[test]
fn a_2xx_without_answer_behind_a_prack_that_offers() {
    ladder(
        "A -> B INVITE offer
B -> A 183 reliable answer unseen
A -> B PRACK offer sdp:codecs=8
B -> A 200 PRACK answer
B -> A 200 INVITE
A -> B ACK
expect A breaks OA-01 at 3 because 1 capture-gap",
    );
}

/// Nobody sends the UPDATE again, so it was answered before the other side offered.
#[test]
fn offers_that_cross_only_because_an_answer_is_not_there() {
    ladder(
        "start call
B -> A UPDATE offer sdp:codecs=8
A -> B 200 UPDATE answer unseen
A -> B UPDATE offer
B -> A 200 UPDATE answer
A -> B BYE +3s
B -> A 200
expect B breaks UP-13 at 4 because 1 3 capture-gap
allow ST-21
allow OA-29
allow UP-07",
    );
}

/// The refusal of an UPDATE is not there; what comes behind it is right.
#[test]
fn a_reinvite_after_an_update_whose_refusal_is_not_there() {
    ladder(
        "start call
A -> B UPDATE offer sdp:sendonly
B -> A 504 UPDATE unseen
A -> B INVITE offer sdp:sendonly
B -> A 200 answer
A -> B ACK
A -> B BYE +3s
B -> A 200
expect A breaks OA-01 at 3 because 1 capture-gap
expect B breaks OA-01 at 4 because 1 3 capture-gap",
    );
}

/// The 2xx of a refresh is not there; the next refresh is not late for that.
#[test]
fn a_refresh_after_one_whose_answer_is_not_there() {
    ladder(
        "A -> B INVITE offer [Session-Expires: 1800]
B -> A 200 answer [Session-Expires: 1800;refresher=uas] [Require: timer]
A -> B ACK
B -> A UPDATE [Session-Expires: 1800;refresher=uac] @900s
A -> B 200 [Session-Expires: 1800;refresher=uac] [Require: timer] unseen
B -> A UPDATE [Session-Expires: 1800;refresher=uac] @1800s
A -> B 200 [Session-Expires: 1800;refresher=uac] [Require: timer]
A -> B BYE +20s
B -> A 200
expect nothing",
    );
}

/// The 2xx was not sent again, so its ACK came, long before the callee hung up.
#[test]
fn a_callees_bye_long_after_an_ack_that_is_not_there() {
    ladder(
        "A -> B INVITE offer
B -> A 200 answer
A -> B ACK unseen
A -> B INVITE offer sdp:sendonly +2s
B -> A 200 answer
A -> B ACK
B -> A BYE +10s
A -> B 200
expect nothing",
    );
}
