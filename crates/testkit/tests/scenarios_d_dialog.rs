//! UPDATE and the dialog it rides in: scenarios D11 to D17.

use midcall_proto::endpoint::{Modification, Prefer};
use midcall_proto::event::{CallEvent, CallId, Ended, Failure};
use midcall_proto::rules::RuleId;
use midcall_testkit::prelude::*;

/// D11: the callee moves while it rings: the ACK goes to the Contact that the UPDATE told.
#[test]
fn d11_the_caller_follows_a_callee_that_moves_while_ringing() {
    covers!("UP-17", "DLG-16");
    let mut seat = Seat::new(Seed(11)).latency(ms(20));
    let (call, invite) = seat.placed_early();
    let moved = "<sip:elsewhere@10.0.0.2:5060>";
    seat.peer.request("UPDATE").header("Contact", moved).send();
    seat.expect(Pick::status(200).of("UPDATE"));
    assert!(seat.ua.told(call).any(|event| matches!(event, CallEvent::PeerMoved)));
    seat.peer.reply(&invite, 200).header("Contact", moved).send();
    assert_eq!(seat.expect("ACK").uri(), "sip:elsewhere@10.0.0.2:5060");
    seat.settle();
    seat.ua.call(call).hang_up();
    let bye = seat.expect("BYE");
    assert_eq!(bye.uri(), "sip:elsewhere@10.0.0.2:5060");
    seat.peer.reply(&bye, 200).send();
    seat.settle();
}

/// D11 at the callee: what its UPDATE told, its 2xx repeats.
#[test]
fn d11_the_callee_moves_while_ringing_and_stays_there() {
    covers!("UP-17");
    let mut seat = Seat::new(Seed(11)).latency(ms(20));
    let (call, progress) = seat.answered_early();
    assert_eq!(progress.address("Contact"), Some("sip:alice@10.0.0.1:5060"));
    "desk".clone_into(&mut seat.ua.config().contact_user);
    seat.ua.call(call).modify(Modification::Target, None);
    let update = seat.expect("UPDATE");
    assert_eq!((update.sdp(), update.address("Contact")), (None, Some("sip:desk@10.0.0.1:5060")));
    seat.peer.reply(&update, 200).send();
    seat.settle_briefly();
    let ok = seat.ua_accepts(call);
    assert_eq!(ok.address("Contact"), Some("sip:desk@10.0.0.1:5060"));
    seat.peer.request("BYE").send();
    let ok = seat.expect(Pick::status(200).of("BYE"));
    assert_eq!(ok.cseq(), seat.peer.leg().unwrap().cseq);
    seat.settle();
}

/// A call that rings at two places, each with its answer in a reliable 183.
fn fork(seat: &mut Seat) -> (CallId, Received) {
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    for tag in ["branch-b", "branch-c"] {
        assert!(seat.peer.select_tag(invite.call_id(), tag));
        seat.peer.reply(&invite, 183).reliable().answer(&[]).send();
        let prack = seat.expect("PRACK");
        assert_eq!((prack.tag("To"), prack.cseq()), (Some(tag), invite.cseq() + 1));
        seat.peer.reply(&prack, 200).send();
        seat.settle_briefly();
    }
    (call, invite)
}

/// D12: an UPDATE in one branch of a fork changes that branch only.
#[test]
fn d12_an_update_in_one_fork_leaves_the_other() {
    covers!("UP-20", "PR-11", "DLG-27", "OA-11");
    let mut seat = Seat::new(Seed(12)).latency(ms(20));
    let (call, invite) = fork(&mut seat);
    assert!(seat.peer.select_tag(invite.call_id(), "branch-b"));
    seat.peer.request("UPDATE").offer(&tweaks(&["sendonly"])).send();
    let ok = seat.expect(Pick::status(200).of("UPDATE"));
    assert_eq!((ok.tag("From"), direction(&ok)), (Some("branch-b"), "recvonly"));
    let sessions: Vec<_> = {
        let look = seat.ua.look(call).unwrap();
        let theirs = look.dialogs().map(|dialog| {
            let agreed = dialog.offers.agreed.as_ref().expect("both have a session");
            (dialog.party.theirs.tag.to_string(), agreed.theirs.media_at(0).unwrap().direction().as_str())
        });
        theirs.collect()
    };
    assert_eq!(sessions, [("branch-b".to_owned(), "sendonly"), ("branch-c".to_owned(), "sendrecv")]);
    assert!(seat.peer.select_tag(invite.call_id(), "branch-c"));
    seat.peer.reply(&invite, 200).send();
    assert_eq!(seat.expect("ACK").tag("To"), Some("branch-c"));
    seat.settle();
    assert!(!seat.ua.look(call).unwrap().agreed().unwrap().streams[0].held_by_peer);
    assert!(seat.ua.is_up(call));
}

/// D12 with a wish of ours while two branches ring: it waits, and says that it is because of the fork.
#[test]
fn d12_a_wish_waits_while_a_fork_rings() {
    covers!("UP-20");
    let mut seat = Seat::new(Seed(12)).latency(ms(20));
    let (call, invite) = fork(&mut seat);
    seat.ua.call(call).hold();
    seat.settle_briefly();
    assert_eq!(seat.ua.waits(call), [RuleId::UpdateInOneFork]);
    assert!(seat.peer.select_tag(invite.call_id(), "branch-c"));
    seat.peer.reply(&invite, 200).send();
    assert_eq!(seat.expect("ACK").tag("To"), Some("branch-c"));
    let hold = seat.expect("INVITE");
    assert_eq!(hold.tag("To"), Some("branch-c"));
    seat.peer.reply(&hold, 200).answer(&[]).send();
    seat.settle();
    assert_eq!((count(&seat.wire, "UPDATE"), seat.ua.held(call)), (0, (true, false)));
}

/// D12 with a word of ours for one branch: only that branch hears it, and only if that branch answers it stays.
#[test]
fn d12_the_caller_changes_one_branch() {
    covers!("UP-20");
    for winner in ["branch-b", "branch-c"] {
        let mut seat = Seat::new(Seed(12)).latency(ms(20));
        let (call, invite) = fork(&mut seat);
        let hold = Modification::Hold(None);
        seat.ua.call(call).attempt(|call, now| call.modify_branch(now, "branch-b", hold)).unwrap();
        let update = seat.expect("UPDATE");
        assert_eq!((update.tag("To"), direction(&update)), (Some("branch-b"), "sendonly"));
        assert_eq!(update.cseq(), invite.cseq() + 2);
        seat.peer.reply(&update, 200).answer(&[]).send();
        seat.settle_briefly();
        assert_eq!(seat.ua.changes(call).len(), 1);
        assert!(seat.peer.select_tag(invite.call_id(), winner));
        seat.peer.reply(&invite, 200).send();
        assert_eq!(seat.expect("ACK").tag("To"), Some(winner));
        seat.settle();
        assert_eq!(count(&seat.wire, "UPDATE"), 1);
        let stream = &seat.ua.look(call).unwrap().agreed().unwrap().streams[0];
        assert_eq!((stream.held_by_us, stream.receives), (winner == "branch-b", winner == "branch-c"));
        let wanted = seat.ua.look(call).unwrap().wanted().unwrap().held();
        assert_eq!(wanted, winner == "branch-b");
    }
}

/// D13: an UPDATE overtakes the 183 that makes its dialog: 481, and everything goes on.
#[test]
fn d13_an_update_that_overtakes_the_183_gets_481() {
    covers!("UP-22");
    let mut seat = Seat::new(Seed(13)).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    seat.wire.hold_back(Pick::status(183));
    seat.peer.reply(&invite, 183).reliable().answer(&[]).send();
    seat.peer.request("UPDATE").send();
    let refusal = seat.expect(481);
    assert_eq!(refusal.method(), "UPDATE");
    seat.wire.release();
    let prack = seat.expect("PRACK");
    seat.peer.reply(&prack, 200).send();
    seat.settle_briefly();
    seat.peer.request("UPDATE").offer(&tweaks(&["sendonly"])).send();
    assert_eq!(direction(&seat.expect(Pick::status(200).of("UPDATE"))), "recvonly");
    seat.peer_accepts(&invite);
    assert!(seat.ua.is_up(call));
    assert_eq!(seat.ua.held(call), (false, true));
}

/// D14: the peer's identity changes; tags and the dialog stay.
#[test]
fn d14_a_new_identity_keeps_the_dialog() {
    covers!("DLG-23");
    let mut seat = Seat::with(Seed(14), |config| config.from_change = true).latency(ms(20));
    "100rel, timer, from-change".clone_into(&mut seat.peer.supported);
    let call = seat.placed_call();
    let tag = seat.peer.leg().unwrap().local_tag.clone();
    let from = format!("<sip:carol@10.0.0.2:5060>;tag={tag}");
    seat.peer.request("UPDATE").header("From", from).send();
    seat.expect(Pick::status(200).of("UPDATE"));
    let identity = "sip:carol@10.0.0.2:5060";
    let told = |event: &CallEvent| matches!(event, CallEvent::PeerIdentity { uri } if uri == identity);
    assert!(seat.ua.told(call).any(told));
    seat.ua.call(call).hang_up();
    let bye = seat.expect("BYE");
    assert_eq!((bye.address("To"), bye.tag("To")), (Some(identity), Some(tag.as_str())));
    seat.peer.reply(&bye, 200).send();
    seat.settle();
    assert_eq!(seat.ua.ended(call), Some(&Ended::HungUp));
}

/// D15: nobody answers the UPDATE: it is given up after 64*T1, and the call ends with BYE.
#[test]
fn d15_an_unanswered_update_ends_the_call() {
    covers!("UP-15", "RI-14");
    for placed in [true, false] {
        let mut seat = Seat::with(Seed(15), |config| config.prefer = Prefer::Update).latency(ms(20));
        let call = if placed { seat.placed_call() } else { seat.answered_call() };
        seat.ua.call(call).hold();
        let update = seat.expect("UPDATE");
        seat.peer.reply(&update, 100).send();
        let bye = seat.expect("BYE");
        let waited = bye.at - update.at;
        assert!((secs(32)..secs(33)).contains(&waited), "{waited:?}");
        seat.peer.reply(&bye, 200).send();
        seat.settle();
        assert_eq!(seat.ua.ended(call), Some(&Ended::Timeout));
        assert_eq!(seat.ua.failures(call), [&Failure::CallEnded]);
        let byes = seat.peer.inbox().iter().filter(|got| got.method() == "BYE" && got.is_request());
        assert_eq!(byes.count(), 1);
        assert_eq!(count(&seat.wire, 408), 0);
        seat.run_for(secs(70));
    }
}

/// D16: the callee tells its identity once, after the ACK, though it is unchanged.
#[test]
fn d16_the_callee_tells_its_identity_once() {
    covers!("DLG-35");
    let mut seat = Seat::with(Seed(16), |config| config.from_change = true).latency(ms(20));
    "100rel, from-change".clone_into(&mut seat.peer.supported);
    let (call, _) = seat.answered_early();
    seat.ua.call(call).accept();
    let ok = seat.expect(Pick::status(200).of("INVITE"));
    seat.peer.ack(&ok).send();
    let update = seat.expect("UPDATE");
    assert_eq!((update.sdp(), update.address("From")), (None, Some("sip:alice@10.0.0.1:5060")));
    seat.peer.reply(&update, 200).send();
    seat.settle();
    seat.peer.request("INVITE").offer(&[]).send();
    let ok = seat.expect(Pick::status(200).of("INVITE"));
    seat.peer.ack(&ok).send();
    seat.settle();
    assert_eq!(count(&seat.wire, "UPDATE"), 1);
    seat.peer.request("BYE").send();
    seat.expect(Pick::status(200).of("BYE"));
    assert!(matches!(seat.ua.ended(call), Some(Ended::PeerHungUp { .. })));
    assert_ladder!(seat, @r"
              alice                                 bob
     1   0.000  |<----- INVITE 554 offer ------------|
     2   0.020  |-- 183 INVITE 554 reliable answer ->|
     3   0.040  |<----- PRACK 555 -------------------|
     4   0.060  |------ 200 PRACK 555 -------------->|
     5   0.080  |------ 200 INVITE 554 ------------->|
     6   0.100  |<----- ACK 554 ---------------------|
     7   0.120  |------ UPDATE 1 ------------------->|
     8   0.140  |<----- 200 UPDATE 1 ----------------|
     9   0.520  |<----- INVITE 556 offer ------------|
    10   0.540  |------ 200 INVITE 556 answer ------>|
    11   0.560  |<----- ACK 556 ---------------------|
    12   5.160  |<----- BYE 557 ---------------------|
    13   5.180  |------ 200 BYE 557 ---------------->|
    ");
}

/// D16: without from-change on both sides nothing is told.
#[test]
fn d16_a_caller_without_from_change_is_spared() {
    covers!("DLG-35");
    for ours in [true, false] {
        let mut seat = Seat::with(Seed(16), |config| config.from_change = ours).latency(ms(20));
        if !ours {
            "from-change".clone_into(&mut seat.peer.supported);
        }
        seat.answered_call();
        seat.run_for(secs(10));
        assert_eq!(count(&seat.wire, "UPDATE"), 0);
    }
}

/// D16 at the caller: the UPDATE is answered, not acknowledged; an unchanged URI is no news.
#[test]
fn d16_the_caller_hears_the_identity() {
    covers!("UP-01");
    let mut seat = Seat::with(Seed(16), |config| config.from_change = true).latency(ms(20));
    "100rel, from-change".clone_into(&mut seat.peer.supported);
    let call = seat.placed_call();
    assert!(seat.peer.inbox()[0].has_token("Supported", "from-change"));
    seat.peer.request("UPDATE").send();
    let ok = seat.expect(Pick::status(200).of("UPDATE"));
    assert_eq!(ok.sdp(), None);
    seat.settle();
    assert!(!seat.ua.told(call).any(|event| matches!(event, CallEvent::PeerIdentity { .. })));
    assert_eq!(count(&seat.wire, "ACK"), 1);
    assert!(seat.ua.is_up(call));
}

/// D17: a policy that takes no new identity answers 403; the call stays up under the old one.
#[test]
fn d17_a_refused_identity_changes_nothing() {
    covers!("DLG-23");
    for placed in [true, false] {
        let mut seat = Seat::with(Seed(17), |config| {
            (config.from_change, config.identity_changes) = (true, false);
        })
        .latency(ms(20));
        let call = if placed { seat.placed_call() } else { seat.answered_call() };
        let tag = seat.peer.leg().unwrap().local_tag.clone();
        let from = format!("<sip:carol@10.0.0.2:5060>;tag={tag}");
        seat.peer.request("UPDATE").header("From", from).send();
        assert_eq!(seat.expect(403).method(), "UPDATE");
        assert!(!seat.ua.told(call).any(|event| matches!(event, CallEvent::PeerIdentity { .. })));
        seat.ua.call(call).hang_up();
        let bye = seat.expect("BYE");
        assert_eq!((bye.address("To"), bye.tag("To")), (Some("sip:bob@10.0.0.2:5060"), Some(tag.as_str())));
        seat.peer.reply(&bye, 200).send();
        seat.settle();
    }
}

/// D17 at the side that asks: 403 leaves its identity and its call.
#[test]
fn d17_a_declined_identity_leaves_ours() {
    covers!("DLG-23");
    let mut seat = Seat::with(Seed(17), |config| config.from_change = true).latency(ms(20));
    "100rel, from-change".clone_into(&mut seat.peer.supported);
    let call = seat.placed_call();
    let carol = Modification::Identity("sip:carol@10.0.0.1".to_owned());
    seat.ua.call(call).modify(carol, None);
    let update = seat.expect("UPDATE");
    assert_eq!(update.address("From"), Some("sip:carol@10.0.0.1"));
    seat.peer.reply(&update, 403).send();
    seat.settle();
    assert_eq!(seat.ua.failures(call), [&Failure::Rejected { status: 403 }]);
    assert!(seat.ua.is_up(call));
    seat.ua.call(call).hang_up();
    let bye = seat.expect("BYE");
    assert_eq!(bye.address("From"), Some("sip:alice@10.0.0.1:5060"));
    seat.peer.reply(&bye, 200).send();
    seat.settle();
}

/// D12: a change that one branch took is not lost when another one answers: it is asked for there.
#[test]
fn d12_a_change_taken_by_a_losing_branch_is_made_again() {
    let mut seat = Seat::new(Seed(12)).latency(ms(20));
    seat.expect_findings(&["DLG-05"]);
    let (call, invite) = seat.placed_early();
    let first = seat.peer.leg().unwrap().local_tag.clone();
    seat.ua.call(call).hold();
    let update = seat.expect("UPDATE");
    seat.peer.reply(&update, 200).answer(&[]).send();
    seat.settle_briefly();
    assert_eq!(seat.ua.held(call), (true, false));
    assert!(seat.peer.select_tag(invite.call_id(), "branch-c"));
    seat.peer.reply(&invite, 200).answer(&[]).send();
    assert_eq!(seat.expect("ACK").tag("To"), Some("branch-c"));
    let hold = seat.expect("INVITE");
    assert_eq!((hold.tag("To"), direction(&hold)), (Some("branch-c"), "sendonly"));
    assert_ne!(first, "branch-c");
    seat.peer.reply(&hold, 200).answer(&[]).send();
    seat.settle();
    assert_eq!(seat.ua.held(call), (true, false));
}

/// D12: a branch that is gone takes its own wishes along, not the call.
#[test]
fn d12_a_lost_branch_does_not_end_the_call() {
    covers!("UP-20", "DLG-27");
    let mut seat = Seat::new(Seed(12)).latency(ms(20));
    let (call, invite) = fork(&mut seat);
    let hold = Modification::Hold(None);
    seat.ua.call(call).attempt(|call, now| call.modify_branch(now, "branch-b", hold.clone())).unwrap();
    let update = seat.expect("UPDATE");
    seat.peer.reply(&update, 481).send();
    seat.settle_briefly();
    assert_eq!(seat.ua.failures(call), [&Failure::Rejected { status: 481 }]);
    let gone = seat.ua.call(call).attempt(|call, now| call.modify_branch(now, "branch-b", hold));
    assert_eq!(gone.unwrap_err().rule, RuleId::UpdateInOneFork);
    assert!(seat.peer.select_tag(invite.call_id(), "branch-c"));
    seat.peer_accepts(&invite);
    assert!(seat.ua.is_up(call));
    assert_eq!((count(&seat.wire, "BYE"), count(&seat.wire, "CANCEL")), (0, 0));
}

/// D12: the wish for a branch that loses is over, also while its UPDATE is open.
#[test]
fn d12_a_wish_for_a_losing_branch_is_over() {
    let mut seat = Seat::new(Seed(12)).latency(ms(20));
    let (call, invite) = fork(&mut seat);
    let hold = Modification::Hold(None);
    seat.ua.call(call).attempt(|call, now| call.modify_branch(now, "branch-b", hold)).unwrap();
    seat.expect("UPDATE");
    assert!(seat.peer.select_tag(invite.call_id(), "branch-c"));
    seat.peer.reply(&invite, 200).send();
    seat.expect("ACK");
    assert_eq!(seat.ua.failures(call), [&Failure::Refused { rule: RuleId::UpdateInOneFork }]);
    seat.ua.call(call).resume();
    assert_eq!(seat.ua.changes(call)[0].method, None);
    seat.run_for(secs(40));
    assert!(seat.ua.is_up(call));
    assert_eq!(count(&seat.wire, "BYE"), 0);
}
