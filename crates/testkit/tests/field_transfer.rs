//! Transfers and answers that went wrong under loss, as the `session` property found them: each test is named for the symptom.

use midcall_proto::event::{CallEvent, Ended};
use midcall_proto::rules::RuleId;
use midcall_proto::session::{Codec, Stream};
use midcall_testkit::prelude::*;

/// The last words on transfers of a call.
fn last_words(agent: &Agent, call: impl Handle) -> Vec<u16> {
    let words = agent.told(call).filter_map(|event| match event {
        CallEvent::Transfer { status, done: true } => Some(*status),
        _ => None,
    });
    words.collect()
}

fn notify(seat: &mut Seat, state: &str, status: &str) {
    notify_of(seat, "refer", state, status);
}

fn notify_of(seat: &mut Seat, event: &str, state: &str, status: &str) {
    let draft = seat.peer.request("NOTIFY").header("Event", event).header("Subscription-State", state);
    draft.body("message/sipfrag", format!("SIP/2.0 {status}\r\n")).send();
    seat.expect(Pick::status(200).of("NOTIFY"));
}

/// Two REFERs crossed a lost packet, and the outcome of one was taken for that of the other.
#[test]
fn nobody_knows_which_of_two_transfers_failed() {
    let mut seat = Seat::new(Seed(1)).latency(ms(20));
    let call = seat.placed_call();
    let carol = seat.other.uri();
    seat.ua.call(call).transfer(&carol);
    let refused = seat.ua.call(call).attempt(|call, now| call.transfer(now, "sip:dave@10.0.0.4"));
    assert_eq!(refused.map_err(|refused| refused.rule), Err(RuleId::ReferIdMissing));
    let first = seat.expect("REFER");
    seat.peer.reply(&first, 200).send();
    notify(&mut seat, "active;expires=60", "180 Ringing");
    // The first target rings and rings: another one may be tried meanwhile.
    seat.ua.call(call).transfer("sip:dave@10.0.0.4");
    let second = seat.expect("REFER");
    seat.peer.reply(&second, 603).send();
    seat.settle_briefly();
    assert_eq!(last_words(&seat.ua, call), [603]);
    notify(&mut seat, "terminated;reason=noresource", "200 OK");
    assert_eq!(last_words(&seat.ua, call), [603, 200]);
    let bye = seat.expect("BYE");
    seat.peer.reply(&bye, 200).send();
}

/// A peer that wants credentials for REFER counts only the second one, and its NOTIFYs have no id.
#[test]
fn the_outcome_of_a_challenged_transfer_is_lost() {
    let mut seat = Seat::with(Seed(1), |config| {
        config.credentials = Some(midcall_proto::auth::Credentials::new("alice", "secret"));
    })
    .latency(ms(20));
    let call = seat.placed_call();
    let carol = seat.other.uri();
    seat.ua.call(call).transfer(&carol);
    let refer = seat.expect("REFER");
    seat.peer.reply(&refer, 401).header("WWW-Authenticate", CHALLENGE).send();
    let again = seat.expect("REFER");
    seat.peer.reply(&again, 200).send();
    notify(&mut seat, "terminated;reason=noresource", "486 Busy Here");
    assert_eq!(last_words(&seat.ua, call), [486]);
    assert!(seat.ua.is_up(call));
}

/// The transferee never says how it went, and the application waits for ever.
#[test]
fn a_transfer_without_a_last_word_hangs() {
    let mut seat = Seat::new(Seed(1)).latency(ms(20));
    seat.unobserved("the peer breaks RF-05 and RF-08");
    let call = seat.placed_call();
    let carol = seat.other.uri();
    for (told, word) in [(None, 408), (Some("active;expires=20"), 180)] {
        let before = last_words(&seat.ua, call).len();
        seat.ua.call(call).transfer(&carol);
        let refer = seat.expect("REFER");
        seat.peer.reply(&refer, 200).send();
        if let Some(state) = told {
            let event = format!("refer;id={}", refer.cseq());
            notify_of(&mut seat, &event, state, "180 Ringing");
        }
        seat.run_for(secs(30));
        assert_eq!(last_words(&seat.ua, call).len(), before);
        seat.run_for(secs(30));
        assert_eq!(last_words(&seat.ua, call).get(before..), Some(&[word][..]));
    }
    assert!(seat.ua.is_up(call));
}

/// A call whose peer vanished in the middle of a transfer was kept for ever.
#[test]
fn a_call_with_an_open_transfer_is_never_forgotten() {
    let mut seat = Seat::new(Seed(1)).latency(ms(20));
    seat.unobserved("the peer breaks RF-08");
    let call = seat.placed_call();
    let carol = seat.other.uri();
    seat.ua.call(call).transfer(&carol);
    let refer = seat.expect("REFER");
    seat.peer.reply(&refer, 200).send();
    notify(&mut seat, "active;expires=100000", "100 Trying");
    seat.peer.request("BYE").send();
    seat.run_for(secs(4_000));
    assert_eq!(seat.ua.endpoint().calls().count(), 0);
    assert_eq!(last_words(&seat.ua, call), [100]);
}

/// The final NOTIFY was lost, a later request overtook its copy, and the peer refused that: the transferor never heard.
#[test]
fn an_overtaken_notify_loses_the_outcome() {
    let mut trio = Trio::new(Seed(1)).latency(ms(20));
    let call = trio.call();
    let carol = trio.c.uri();
    trio.b.call(call).transfer(&carol);
    trio.run_until(|trio| !incoming(&trio.c).is_empty());
    trio.run_for(secs(2));
    let at_carol = incoming(&trio.c)[0];
    trio.wire.drop_next("NOTIFY");
    trio.c.call(at_carol).accept();
    trio.run_for(ms(60));
    trio.a.call(call).reinvite();
    trio.settle();
    assert_eq!(count(&trio.wire, Pick::status(500).of("NOTIFY")), 1);
    assert_eq!(last_words(&trio.b, call), [200]);
    assert_eq!(trio.b.ended(call), Some(&Ended::HungUp));
}

/// The BYE was lost, the NOTIFY behind it arrived first, and the BYE's copy was refused for its number: one side hung.
#[test]
fn a_notify_overtakes_the_bye() {
    let mut trio = Trio::new(Seed(1)).latency(ms(20));
    let call = trio.call();
    let carol = trio.c.uri();
    trio.b.call(call).transfer(&carol);
    trio.run_until(|trio| !incoming(&trio.c).is_empty());
    trio.run_for(secs(2));
    let at_carol = incoming(&trio.c)[0];
    trio.wire.drop_next("BYE");
    trio.a.call(call).hang_up();
    trio.run_for(ms(1));
    trio.c.call(at_carol).accept();
    trio.settle();
    assert_eq!(trio.b.ended(call), Some(&Ended::PeerHungUp { reason: None }));
    assert_eq!(last_words(&trio.b, call), [200]);
}

/// A callee's request that outran its lost 200 found no dialog, and the 481 ended the call.
#[test]
fn an_early_word_of_the_callee_kills_the_call() {
    for update in [true, false] {
        let mut pair = Pair::with(Seed(1), |_, b| {
            b.prefer = if update {
                midcall_proto::endpoint::Prefer::Update
            } else {
                midcall_proto::endpoint::Prefer::ReInvite
            };
        })
        .latency(ms(20));
        let call = pair.ring();
        pair.wire.drop_next_status(200, "INVITE");
        pair.b.call(call).accept();
        pair.b.call(call).hold();
        let refused = pair.b.call(call).attempt(|call, now| call.transfer(now, "sip:carol@10.0.0.3:5060"));
        assert_eq!(refused.map_err(|refused| refused.rule), Err(RuleId::WhatMakesADialog));
        pair.settle();
        assert!(pair.a.is_up(call) && pair.b.is_up(call));
        assert_eq!((pair.a.held(call), pair.b.held(call)), ((false, true), (true, false)));
    }
}

/// The peer took its question back, and the change that had waited for it was never sent.
#[test]
fn a_change_behind_a_cancelled_question_is_forgotten() {
    let mut seat = Seat::new(Seed(1)).latency(ms(20));
    let call = seat.placed_call();
    let video = seat.peer.request("INVITE").offer(&tweaks(&["+video"])).send();
    seat.settle_briefly();
    assert!(seat.ua.told(call).any(|event| matches!(event, CallEvent::Offered { .. })));
    seat.ua.call(call).hold();
    seat.run_for(ms(300));
    seat.peer.cancel(&video).send();
    seat.expect(Pick::status(487).of("INVITE"));
    let hold = seat.expect("INVITE");
    assert_eq!(direction(&hold), "sendonly");
    seat.peer.reply(&hold, 200).answer(&[]).send();
    seat.settle();
    assert_eq!(seat.ua.held(call), (true, false));
}

/// Held while it rang, and answered: the hold was gone, or came and went.
#[test]
fn answering_takes_the_call_off_hold() {
    let mut pair = Pair::new(Seed(1)).latency(ms(20));
    let call = pair.ring();
    let session = pair.b.session.clone();
    pair.b.call(call).early(session);
    pair.settle();
    pair.b.call(call).hold();
    pair.settle();
    assert_eq!(pair.b.held(call), (true, false));
    pair.b.call(call).accept();
    pair.a.call(call).codecs([Codec::pcmu()]);
    pair.settle();
    assert_eq!((pair.a.held(call), pair.b.held(call)), ((false, true), (true, false)));
}

/// The first ACK was lost, that of the next re-INVITE came, and a hang-up right then ended the call without a BYE.
#[test]
fn a_hang_up_before_the_first_ack_is_not_told() {
    let mut pair = Pair::new(Seed(1)).latency(ms(20));
    let call = pair.ring();
    pair.wire.drop_next("ACK");
    pair.b.call(call).accept();
    pair.run_until(|pair| pair.a.is_up(call));
    pair.a.call(call).modify(
        midcall_proto::endpoint::Modification::Add(Stream::video(
            50_000,
            [Codec::new("VP8", 90_000).numbered(96)],
        )),
        None,
    );
    pair.run_for(ms(60));
    pair.b.call(call).hang_up();
    pair.settle();
    assert_eq!(count(&pair.wire, "BYE"), 1);
    assert!(pair.a.ended(call).is_some() && pair.b.ended(call).is_some());
}

/// The ACK of the replaced call was lost: the callee's BYE, too early, was kept back by its own rules and then forgotten.
#[test]
fn a_replaced_call_without_its_ack_stays_up_at_one_end() {
    let mut trio = Trio::new(Seed(1)).latency(ms(20));
    trio.c.answers = true;
    let call = trio.call();
    let (carol, bob) = (trio.c.uri(), call.of(1));
    trio.wire.drop_many("ACK", 1);
    let consultation = trio.b.invite(&carol);
    trio.run_until(|trio| trio.b.is_up(consultation));
    trio.b.call(bob).transfer_to_call(consultation);
    trio.run_for(secs(20));
    assert_eq!(trio.b.ended(consultation), Some(&Ended::PeerHungUp { reason: None }));
    assert_eq!(trio.c.ended(incoming(&trio.c)[0]), Some(&Ended::Replaced));
}

const CHALLENGE: &str = "Digest realm=\"b\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"";

/// The ACK of the call got lost, newer re-INVITEs were acknowledged, and the transferor was gone without BYE when its transfer
/// had worked: the transferee found no call there when it refreshed.
#[test]
fn a_call_whose_ack_got_lost_is_dropped_without_bye_after_a_transfer() {
    let mut trio = Trio::new(Seed(1)).latency(ms(8));
    trio.c.answers = true;
    let to = trio.b.uri();
    let a = trio.a.invite(&to);
    trio.run_until(|trio| !incoming(&trio.b).is_empty());
    let b = incoming(&trio.b)[0];
    trio.wire.drop_next("ACK");
    trio.b.call(b).accept();
    trio.run_for(ms(20));
    trio.a.call(a).hold();
    trio.run_for(ms(40));
    let carol = trio.c.uri();
    trio.b.call(b).transfer(&carol);
    trio.settle();
    assert_eq!(last_words(&trio.b, b), [200]);
    assert_eq!(trio.b.ended(b), Some(&Ended::HungUp));
    assert_eq!(trio.a.ended(a), Some(&Ended::PeerHungUp { reason: None }), "{}", trio.ladder());
}
