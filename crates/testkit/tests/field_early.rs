//! Early dialogs, forks, PRACK and early UPDATE as they broke in the field: each test is named for the symptom.

use midcall_proto::endpoint::Prefer;
use midcall_proto::event::CallId;
use midcall_proto::rules::RuleId;
use midcall_proto::session::Codec;
use midcall_testkit::prelude::*;

/// Alice calls; bob's address stands for a proxy that forks.
fn calling(seed: u64) -> (Seat, CallId, Received) {
    let mut seat = Seat::new(Seed(seed)).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    (seat, call, invite)
}

/// A ring-back server's 183 came first, the person's 200 from another branch: the first codec stayed in use.
#[test]
fn the_codec_of_the_ringback_server_stays_in_use() {
    covers!("DLG-27", "OA-03", "OA-11");
    for reliable in [true, false] {
        let (mut seat, call, invite) = calling(1);
        seat.expect_findings(&["DLG-05"]);
        assert!(seat.peer.select_tag(invite.call_id(), "ringback"));
        let progress = seat.peer.reply(&invite, 183).answer(&tweaks(&["codecs=0", "port=47000"]));
        if reliable {
            progress.reliable().send();
            let prack = seat.expect("PRACK");
            seat.peer.reply(&prack, 200).send();
        } else {
            progress.send();
        }
        seat.settle_briefly();
        assert_eq!(seat.ua.sends_codec(call), "PCMU");
        assert!(seat.peer.select_tag(invite.call_id(), "person"));
        seat.peer.reply(&invite, 200).answer(&tweaks(&["codecs=8", "port=48000"])).send();
        assert_eq!(seat.expect("ACK").tag("To"), Some("person"));
        seat.settle();
        assert_eq!(seat.ua.sends_codec(call), "PCMA");
        let stream = &seat.ua.agreed(call).unwrap().streams[0];
        assert_eq!(stream.remote, Some(("10.0.0.2".to_owned(), 48_000)));
        assert_eq!(seat.ua.look(call).unwrap().agreed().as_ref(), seat.ua.agreed(call));
    }
}

/// The PRACK of the second branch carried the tag of the first.
#[test]
fn the_prack_of_one_branch_carries_the_tag_of_another() {
    covers!("PR-11");
    let (mut seat, call, invite) = calling(2);
    for (tag, contact) in [("one", "sip:one@10.0.0.2:5060"), ("two", "sip:two@10.0.0.2:5060")] {
        assert!(seat.peer.select_tag(invite.call_id(), tag));
        let progress = seat.peer.reply(&invite, 183).reliable().answer(&[]);
        progress.header("Contact", format!("<{contact}>")).send();
        let prack = seat.expect("PRACK");
        assert_eq!((prack.tag("To"), prack.uri()), (Some(tag), contact));
        seat.peer.reply(&prack, 200).send();
        seat.settle_briefly();
    }
    seat.peer.reply(&invite, 200).header("Contact", "<sip:two@10.0.0.2:5060>").send();
    let ack = seat.expect("ACK");
    assert_eq!((ack.tag("To"), ack.uri(), ack.cseq()), (Some("two"), "sip:two@10.0.0.2:5060", invite.cseq()));
    seat.settle();
    assert!(seat.ua.is_up(call));
}

/// A 200 without a description took the answer of another branch: the last one heard.
#[test]
fn a_200_without_sdp_uses_the_answer_of_another_branch() {
    covers!("OA-11", "DLG-27");
    for winner in ["one", "two"] {
        let (mut seat, call, invite) = calling(3);
        for (tag, port) in [("one", "port=47000"), ("two", "port=48000")] {
            assert!(seat.peer.select_tag(invite.call_id(), tag));
            seat.peer.reply(&invite, 183).reliable().answer(&tweaks(&[port])).send();
            let prack = seat.expect("PRACK");
            seat.peer.reply(&prack, 200).send();
            seat.settle_briefly();
        }
        assert!(seat.peer.select_tag(invite.call_id(), winner));
        seat.peer_accepts(&invite);
        let port = if winner == "one" { 47_000 } else { 48_000 };
        let remote = |agreed: &midcall_proto::session::Agreed| agreed.streams[0].remote.clone();
        assert_eq!(
            remote(&seat.ua.look(call).unwrap().agreed().unwrap()),
            Some(("10.0.0.2".to_owned(), port))
        );
        // What media follows is the last session told.
        assert_eq!(remote(seat.ua.agreed(call).unwrap()), Some(("10.0.0.2".to_owned(), port)));
    }
}

/// An UPDATE with an offer went out after an answer that was not reliable, and got 481 or 500.
#[test]
fn an_early_offer_follows_an_unreliable_answer() {
    covers!("UP-05");
    let (mut seat, call, invite) = calling(4);
    seat.peer.reply(&invite, 183).answer(&[]).send();
    seat.settle_briefly();
    seat.ua.call(call).codecs([Codec::pcmu()]);
    seat.run_for(secs(2));
    assert_eq!(count(&seat.wire, "UPDATE"), 0);
    assert_eq!(seat.ua.waits(call), [RuleId::EarlyUpdateByCallerTooSoon]);
    seat.peer.reply(&invite, 200).answer(&[]).send();
    seat.expect("ACK");
    let change = seat.expect("INVITE");
    seat.peer.reply(&change, 200).answer(&[]).send();
    seat.settle();
    assert_eq!(seat.ua.sends_codec(call), "PCMU");
}

/// A 183 that came again was taken for a new offer and got a PRACK with a description.
#[test]
fn a_resent_183_is_taken_for_a_new_offer() {
    covers!("PR-10");
    let (mut seat, call, invite) = calling(5);
    let progress = seat.peer.reply(&invite, 183).reliable().answer(&[]).send();
    let prack = seat.expect("PRACK");
    assert_eq!(prack.sdp(), None);
    for _ in 0..3 {
        seat.peer.send_bytes(seat.ua.address(), progress.bytes());
        seat.settle_briefly();
    }
    assert_eq!(count(&seat.wire, "PRACK"), 1);
    seat.peer.reply(&prack, 200).send();
    seat.peer.send_bytes(seat.ua.address(), progress.bytes());
    seat.settle_briefly();
    assert_eq!(count(&seat.wire, "PRACK"), 1);
    seat.peer_accepts(&invite);
    assert!(seat.ua.is_up(call));
}

/// An UPDATE between 183 and 200 stopped the machine.
#[test]
fn an_update_between_183_and_200_kills_the_call() {
    covers!("UP-07", "UP-10");
    let mut seat = Seat::new(Seed(6)).latency(ms(20));
    let (call, invite) = seat.placed_early();
    for _ in 0..2 {
        seat.peer.request("UPDATE").send();
        assert_eq!(seat.expect(Pick::status(200).of("UPDATE")).sdp(), None);
        seat.peer.request("UPDATE").offer(&tweaks(&["codecs=0"])).send();
        assert!(seat.expect(Pick::status(200).of("UPDATE")).sdp().is_some());
    }
    let ack = seat.peer_accepts(&invite);
    assert_eq!((ack.cseq(), ack.sdp()), (invite.cseq(), None));
    assert!(seat.ua.is_up(call));
    assert_eq!(seat.ua.sends_codec(call), "PCMU");
}

/// A 200 without a description after a reliable answer was reported as an error. It is as it should be.
#[test]
fn no_sdp_in_the_200_is_reported_as_a_bug() {
    covers!("OA-05", "CF-26");
    let mut seat = Seat::new(Seed(8)).latency(ms(20));
    let (call, invite) = seat.placed_early();
    seat.peer_accepts(&invite);
    assert_eq!(seat.ua.peers_broke(), []);
    assert!(seat.ua.is_up(call) && seat.ua.agreed(call).is_some());
}

/// The ACK carried the CSeq of the last PRACK; the 200 was repeated and the call cut after 32 s.
#[test]
fn the_ack_carries_the_cseq_of_the_prack() {
    covers!("TX-09");
    let mut seat = Seat::with(Seed(9), |config| config.prefer = Prefer::Update).latency(ms(20));
    let (call, invite) = seat.placed_early();
    seat.ua.call(call).hold();
    let update = seat.expect("UPDATE");
    assert_eq!(update.cseq(), invite.cseq() + 2);
    seat.peer.reply(&update, 200).answer(&[]).send();
    seat.settle_briefly();
    let ok = seat.peer.reply(&invite, 200).send();
    assert_eq!(seat.expect("ACK").cseq(), invite.cseq());
    seat.peer.send_bytes(seat.ua.address(), ok.bytes());
    seat.settle();
    let acks = seat.peer.inbox().iter().filter(|got| got.method() == "ACK");
    assert_eq!(acks.map(|got| got.cseq()).collect::<Vec<_>>(), [invite.cseq(); 2]);
    seat.ua.call(call).resume();
    let resume = seat.expect("UPDATE");
    assert_eq!(resume.cseq(), update.cseq() + 1);
    seat.peer.reply(&resume, 200).answer(&[]).send();
    seat.settle();
    assert_eq!(seat.ua.held(call), (false, false));
}

/// A second branch answered with 200 as well, and its early changes leaked into the call.
#[test]
fn a_losing_branch_changes_the_call() {
    covers!("UP-20", "DLG-27");
    let (mut seat, call, invite) = calling(10);
    for tag in ["one", "two"] {
        assert!(seat.peer.select_tag(invite.call_id(), tag));
        seat.peer.reply(&invite, 183).reliable().answer(&[]).send();
        let prack = seat.expect("PRACK");
        seat.peer.reply(&prack, 200).send();
        seat.settle_briefly();
    }
    assert!(seat.peer.select_tag(invite.call_id(), "two"));
    seat.peer_accepts(&invite);
    assert!(seat.peer.select_tag(invite.call_id(), "one"));
    seat.peer.request("UPDATE").offer(&tweaks(&["sendonly"])).send();
    seat.settle_briefly();
    let stream = &seat.ua.look(call).unwrap().agreed().unwrap().streams[0];
    assert!(!stream.held_by_peer);
    assert_eq!(seat.ua.held(call), (false, false));
    assert!(seat.ua.is_up(call));
}

/// We hung up while our re-INVITE was open; its reliable response came twice, and the peer was blamed for its RSeq.
#[test]
fn a_doubled_reliable_response_behind_our_bye_is_held_against_the_peer() {
    let mut seat = Seat::with(Seed(1), |config| config.prefer = Prefer::ReInvite).latency(ms(20));
    let call = seat.placed_call();
    seat.ua.call(call).hold();
    let invite = seat.expect("INVITE");
    seat.ua.call(call).hang_up();
    seat.wire.double_next(Pick::status(183));
    seat.peer.reply(&invite, 183).reliable().answer(&[]).send();
    let bye = seat.expect("BYE");
    seat.peer.reply(&bye, 200).send();
    seat.peer.reply(&invite, 487).send();
    seat.settle();
    assert_eq!(seat.ua.peers_broke(), []);
}
