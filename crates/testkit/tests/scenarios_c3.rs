//! re-INVITE and moving targets, challenges, early dialogs: scenarios C15 to C19.

use midcall_proto::auth::Credentials;
use midcall_proto::endpoint::{Config, LocalAddr, Modification};
use midcall_proto::event::{CallEvent, Ended, Failure};
use midcall_proto::flow::Transport;
use midcall_proto::session::{Codec, Stream};
use midcall_testkit::network::{Fate, Packet};
use midcall_testkit::prelude::*;

const AUDIO: &str = "audio <-> 10.0.0.2:41960 8 0 101";

/// Another address of the endpoint, beside the one that it starts with.
const ELSEWHERE: &str = "10.0.0.11:5060";

fn two_addresses(config: &mut Config) {
    config.local.push(LocalAddr { transport: Transport::Udp, addr: ELSEWHERE.parse().unwrap() });
}

/// The endpoint is at its other address from now on.
fn moves(seat: &mut Seat) {
    seat.ua.config().local.retain(|local| local.addr.to_string() == ELSEWHERE);
}

/// C15 as the one who is asked: a refused re-INVITE moves no target.
#[test]
fn c15_a_refused_reinvite_moves_no_target() {
    for placed in SEATS {
        let (mut seat, call) = up(15, placed);
        let moved = seat.peer.request("INVITE").offer(&tweaks(&["codecs=97:AMR/8000"]));
        moved.header("Contact", "<sip:bob@10.0.0.2:5080>").send();
        seat.expect(488);
        seat.settle();
        assert!(!seat.ua.told(call).any(|event| matches!(event, CallEvent::PeerMoved)));
        seat.ua.call(call).hang_up();
        let bye = seat.expect("BYE");
        assert_eq!(bye.uri(), "sip:bob@10.0.0.2:5060");
        seat.peer.reply(&bye, 200).send();
        seat.settle();
    }
}

/// C15 as the one who moves: the refused re-INVITE told nobody, so the old address still counts and is told anew.
#[test]
fn c15_a_refused_move_is_told_again() {
    for placed in SEATS {
        let mut seat = Seat::with(Seed(15), two_addresses).latency(ms(20));
        let call = seat.call(placed);
        moves(&mut seat);
        seat.ua.call(call).codecs([Codec::pcmu()]);
        let invite = seat.expect("INVITE");
        assert_eq!(invite.address("Contact"), Some("sip:alice@10.0.0.11:5060"));
        seat.peer.reply(&invite, 488).send();
        seat.settle();
        seat.ua.call(call).moved(false);
        let update = seat.expect("UPDATE");
        assert_eq!((update.address("Contact"), update.sdp()), (Some("sip:alice@10.0.0.11:5060"), None));
        seat.peer.reply(&update, 200).send();
        seat.settle();
        seat.peer.request("BYE").send();
        assert_eq!(seat.expect(200).method(), "BYE");
        seat.settle();
        assert_eq!(seat.ua.ended(call), Some(&Ended::PeerHungUp { reason: None }));
    }
}

/// C16 as the one who is asked: a person must decide on the video, but the peer learns at once, by a reliable 183, that we
/// follow its new Contact; no later refusal takes that back.
#[test]
fn c16_a_move_counts_from_the_reliable_response() {
    covers!("RI-24");
    for placed in SEATS {
        let (mut seat, call) = up(16, placed);
        let invite = seat.peer.request("INVITE").offer(&tweaks(&["+video"]));
        let invite = invite.header("Contact", "<sip:bob@10.0.0.2:5060;moved>").send();
        let progress = seat.expect(183);
        assert_eq!((progress.header("RSeq").is_some(), progress.sdp()), (true, None));
        seat.peer.prack(&progress).send();
        seat.expect(200);
        assert!(seat.ua.told(call).any(|event| matches!(event, CallEvent::PeerMoved)));
        seat.peer.cancel(&invite).send();
        seat.expect(487);
        seat.settle();
        seat.ua.call(call).hang_up();
        let bye = seat.expect("BYE");
        assert_eq!(bye.uri(), "sip:bob@10.0.0.2:5060;moved");
        seat.peer.reply(&bye, 200).send();
        seat.settle();
        assert_eq!(seat.ua.peers_broke(), []);
    }
}

/// C16: a peer without 100rel gets a request at its new address instead: UPDATE, or OPTIONS if it takes no UPDATE.
#[test]
fn c16_a_move_is_confirmed_by_a_request() {
    covers!("RI-27");
    for (allow, method) in [(None, "UPDATE"), (Some(WITHOUT_UPDATE), "OPTIONS")] {
        let mut seat = Seat::new(Seed(16)).latency(ms(20));
        seat.peer.supported = "timer".to_owned();
        if let Some(allow) = allow {
            seat.peer.allow = allow.to_owned();
        }
        let call = seat.call(false);
        let invite = seat.peer.request("INVITE").offer(&tweaks(&["+video"]));
        let invite = invite.header("Contact", "<sip:bob@10.0.0.2:5060;moved>").send();
        let told = seat.expect(method);
        assert_eq!((told.uri(), told.sdp()), ("sip:bob@10.0.0.2:5060;moved", None));
        seat.peer.reply(&told, 200).header("Contact", "<sip:bob@10.0.0.2:5060;moved>").send();
        seat.settle_briefly();
        seat.ua.call(call).answer_offer(None);
        let ok = seat.peer_acknowledges();
        assert_eq!(ok.cseq(), invite.cseq());
        assert_eq!(seat.ua.peers_broke(), []);
    }
}

/// C16 as the one who moves: after the reliable 183 the peer speaks to the new address, refused or not.
#[test]
fn c16_we_are_reached_at_the_new_address() {
    for placed in SEATS {
        let mut seat = Seat::with(Seed(16), two_addresses).latency(ms(20));
        let call = seat.call(placed);
        moves(&mut seat);
        seat.ua.call(call).codecs([Codec::pcmu()]);
        let invite = seat.expect("INVITE");
        seat.peer.reply(&invite, 183).reliable().send();
        let prack = seat.expect("PRACK");
        seat.peer.reply(&prack, 200).send();
        seat.settle_briefly();
        seat.peer.reply(&invite, 488).send();
        seat.settle();
        let bye = seat.peer.request("BYE").uri("sip:alice@10.0.0.11:5060").to(ELSEWHERE.parse().unwrap());
        bye.send();
        assert_eq!(seat.expect(200).method(), "BYE");
        seat.settle();
        assert_eq!(seat.ua.ended(call), Some(&Ended::PeerHungUp { reason: None }));
    }
}

/// C17: a challenge is no refusal: the same offer goes again with credentials and the next CSeq.
#[test]
fn c17_a_challenge_is_answered() {
    covers!("RI-22");
    for placed in SEATS {
        let mut seat = Seat::with(Seed(17), |config| {
            config.credentials = Some(Credentials { user: "alice".into(), password: "secret".into() });
        })
        .latency(ms(20));
        let call = seat.call(placed);
        seat.ua.call(call).hold();
        let invite = seat.expect("INVITE");
        let challenge = "Digest realm=\"p\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"";
        seat.peer.reply(&invite, 407).header("Proxy-Authenticate", challenge).send();
        let again = seat.expect("INVITE");
        assert_eq!((again.cseq(), again.sdp()), (invite.cseq() + 1, invite.sdp()));
        assert!(again.header("Proxy-Authorization").is_some());
        seat.peer.reply(&again, 200).answer(&[]).send();
        seat.expect("ACK");
        seat.settle();
        assert_eq!(seat.ua.state(call), idle("audio --> 10.0.0.2:41960 8 0 101 held", "2/2"));
        let [change] = seat.ua.changes(call)[..] else { panic!("one change") };
        assert_eq!(change.attempts, 2);
        // The next change shows the credentials at once; refused again, it is refused.
        seat.ua.call(call).resume();
        let resume = seat.expect("INVITE");
        assert!(resume.header("Proxy-Authorization").is_some());
        seat.peer.reply(&resume, 407).header("Proxy-Authenticate", challenge).send();
        seat.settle();
        assert_eq!(seat.ua.failures(call), [&Failure::Rejected { status: 407 }]);
        assert!(seat.ua.is_up(call));
    }
}

/// C18: while it rings no re-INVITE goes out; the wish waits for the 2xx.
#[test]
fn c18_no_reinvite_in_an_early_dialog() {
    covers!("CF-34");
    let mut seat = Seat::new(Seed(18)).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 180).send();
    seat.settle_briefly();
    seat.ua.call(call).hold();
    seat.run_for(secs(2));
    assert_eq!(seat.packets().len(), 2);
    seat.peer.reply(&invite, 200).answer(&[]).send();
    let hold = seat.peer_answers(&[]);
    assert_eq!((hold.cseq(), direction(&hold)), (invite.cseq() + 1, "sendonly"));
    assert_eq!(seat.ua.state(call), idle("audio --> 10.0.0.2:41960 8 0 101 held", "2/2"));
}

/// C18 as callee: an INVITE in the early dialog is sent away and the call goes on; as caller it crosses our own.
#[test]
fn c18_a_reinvite_in_an_early_dialog_is_sent_away() {
    covers!("CF-34");
    let mut seat = Seat::new(Seed(18)).latency(ms(20));
    let to = seat.ua.uri();
    let invite = seat.peer.invite(&to).offer(&[]).send();
    seat.settle_briefly();
    let call = seat.ua.last_call();
    seat.ua.call(call).ring();
    let ringing = seat.expect(180);
    seat.peer.request("INVITE").tag("To", ringing.tag("To")).offer(&tweaks(&["sendonly"])).send();
    let away = seat.expect(500);
    assert!(away.header("Retry-After").is_some());
    seat.ua.call(call).accept();
    let ok = seat.peer_acknowledges();
    assert_eq!(ok.cseq(), invite.cseq());
    assert_eq!(seat.ua.state(call), idle(AUDIO, "1/1"));
    seat.expect_findings(&["RI-01", "RI-03", "OA-01"]);

    let mut seat = Seat::new(Seed(18)).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 180).send();
    seat.settle_briefly();
    seat.peer.request("INVITE").offer(&[]).send();
    assert_eq!(seat.expect(491).method(), "INVITE");
    seat.peer.reply(&invite, 200).answer(&[]).send();
    seat.expect("ACK");
    seat.settle();
    assert_eq!(seat.ua.state(call), idle(AUDIO, "1/2"));
    seat.expect_findings(&["RI-01", "RI-03"]);
}

/// C19: our address is lost while our re-INVITE is open: an UPDATE tells the new one, the re-INVITE is cancelled, since its
/// responses go nowhere, and made anew.
#[test]
fn c19_we_lose_our_address_during_a_reinvite() {
    covers!("RI-23");
    for placed in SEATS {
        let mut seat = Seat::with(Seed(19), two_addresses).latency(ms(20));
        let call = seat.call(placed);
        seat.ua.call(call).hold();
        let invite = seat.expect("INVITE");
        seat.peer.reply(&invite, 180).send();
        seat.settle_briefly();
        let lost = seat.ua.address();
        moves(&mut seat);
        seat.ua.call(call).moved(true);
        let update = seat.expect("UPDATE");
        assert_eq!((update.address("Contact"), update.sdp()), (Some("sip:alice@10.0.0.11:5060"), None));
        seat.peer.reply(&update, 200).send();
        let cancel = seat.expect("CANCEL");
        assert_eq!(cancel.branch(), invite.branch());
        seat.peer.reply(&cancel, 200).send();
        seat.wire.drop_next_status(487, "INVITE");
        seat.peer.reply(&invite, 487).to(lost).send();
        let again = seat.peer_answers(&[]);
        assert_eq!((again.cseq(), version(&again)), (invite.cseq() + 2, version(&invite)));
        assert_eq!(again.address("Contact"), Some("sip:alice@10.0.0.11:5060"));
        seat.run_for(secs(40));
        assert_eq!(seat.ua.state(call), idle("audio --> 10.0.0.2:41960 8 0 101 held", "2/2"));
        assert_eq!((seat.ua.changes(call).len(), seat.ua.failures(call).len()), (2, 0));
        let lost = |packet: &&Packet| packet.to == lost && packet.number > cancel.packet;
        assert_eq!(seat.packets().iter().filter(lost).count(), 1, "only the 487 goes there");
        assert_eq!(count(&seat.wire, "BYE"), 0);
        if placed {
            assert_ladder!(seat, @r"
                      alice                                 bob
             1   0.000  |------ INVITE 17917 offer --------->|
             2   0.020  |<---- 200 INVITE 17917 answer ------|
             3   0.040  |------ ACK 17917 ------------------>|
             4   0.060  |--- INVITE 17918 offer sendonly --->|
             5   0.080  |<----- 180 INVITE 17918 ------------|
             6   0.100  |------ UPDATE 17919 --------------->|
             7   0.120  |<----- 200 UPDATE 17919 ------------|
             8   0.140  |------ CANCEL 17918 --------------->|
             9   0.160  |<----- 200 CANCEL 17918 ------------|
            10   0.160  |~----- 487 INVITE 17918 ------------|   lost
            11   0.640  |--- INVITE 17920 offer sendonly --->|
            12   0.660  |< 200 INVITE 17920 answer recvonly--|
            13   0.680  |------ ACK 17920 ------------------>|
            ");
        }
    }
}

/// C19 with a peer that takes no UPDATE: the new re-INVITE tells the new address.
#[test]
fn c19_without_update_the_new_reinvite_tells_the_address() {
    covers!("RI-23");
    let mut seat = Seat::with(Seed(19), two_addresses).latency(ms(20));
    seat.peer.allow = WITHOUT_UPDATE.to_owned();
    let call = seat.call(true);
    seat.ua.call(call).hold();
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 180).send();
    seat.settle_briefly();
    let lost = seat.ua.address();
    moves(&mut seat);
    seat.ua.call(call).moved(true);
    let cancel = seat.expect("CANCEL");
    seat.peer.reply(&cancel, 200).send();
    seat.wire.drop_next_status(487, "INVITE");
    seat.peer.reply(&invite, 487).to(lost).send();
    let again = seat.peer_answers(&[]);
    assert_eq!((again.cseq(), direction(&again)), (invite.cseq() + 1, "sendonly"));
    assert_eq!(again.address("Contact"), Some("sip:alice@10.0.0.11:5060"));
    assert_state!(seat.ua, call, @"up | audio --> 10.0.0.2:41960 8 0 101 held | o= 2/2 | to sip:bob@10.0.0.2:5060 | idle");
}

/// C19 as the one who is left waiting: neither a lost 487 nor a 2xx without its ACK ends the call once a newer re-INVITE
/// came from the new address.
#[test]
fn c19_the_peer_loses_its_address_during_its_reinvite() {
    covers!("RI-23");
    for placed in SEATS {
        for success in [true, false] {
            let (mut seat, call) = up(19, placed);
            seat.peer.acks_failures = false;
            let invite = seat.peer_reinvites(&["+video", "sendonly"]);
            seat.expect(100);
            let update = seat.peer.request("UPDATE").header("Contact", "<sip:bob@10.0.0.2:5060;moved>");
            update.send();
            seat.expect(Pick::status(200).of("UPDATE"));
            if success {
                seat.ua.call(call).answer_offer(None);
                assert_eq!(seat.expect(Pick::status(200).of("INVITE")).cseq(), invite.cseq());
            } else {
                seat.peer.cancel(&invite).send();
                assert_eq!(seat.expect(487).cseq(), invite.cseq());
            }
            let again = seat.peer.request("INVITE").header("Contact", "<sip:bob@10.0.0.2:5060;moved>");
            let again = again.offer(&tweaks(&["sendonly", "-video"])).send();
            seat.run_until(|seat| {
                seat.peer.inbox().iter().any(|got| got.status() == Some(200) && got.cseq() == again.cseq())
            });
            let ok = seat.peer.inbox().iter().rfind(|got| got.cseq() == again.cseq()).cloned().unwrap();
            seat.peer.ack(&ok).send();
            seat.run_for(secs(60));
            assert_eq!(
                seat.ua.state(call),
                "up | audio <-- 10.0.0.2:41960 8 0 101 held by peer, video off | o= 2/3 | to sip:bob@10.0.0.2:5060;moved | idle"
            );
            assert_eq!(count(&seat.wire, "BYE"), 0);
            // Nobody acknowledged the first final response.
            seat.expect_findings(&[if success { "TX-08" } else { "TX-13" }]);
        }
    }
}

/// C19 at the side that refuses: the peer moved inside our re-INVITE, so our ACK for its refusal goes to an address that is
/// gone. That ends nothing, and a new re-INVITE tells both sides where they stand.
#[test]
fn c19_the_ack_of_a_refusal_goes_nowhere() {
    covers!("RI-23");
    for placed in SEATS {
        let (mut seat, call) = up(19, placed);
        let (old, new) = (seat.peer.address(), seat.other.address());
        seat.ua.call(call).hold();
        let hold = seat.expect("INVITE");
        seat.peer.reply(&hold, 180).send();
        let moved = seat.peer.request("UPDATE").header("Contact", format_args!("<sip:bob@{new}>"));
        moved.send();
        seat.expect(Pick::status(200).of("UPDATE"));
        seat.peer.reply(&hold, 488).send();
        seat.wire.make_unreachable(old);
        let again = seat.expect_other("INVITE");
        assert_eq!((again.uri(), direction(&again)), (&*format!("sip:bob@{new}"), "sendrecv"));
        assert_eq!(version(&again), version(&hold) + 1);
        let agreed = seat.packets().iter().find_map(|packet| {
            let raw = packet.raw();
            raw.sdp().filter(|_| packet.from == old).map(str::to_owned)
        });
        let contact = format!("<sip:bob@{new}>");
        let ok = seat.other.reply(&again, 200).header("Contact", contact);
        ok.body("application/sdp", agreed.unwrap()).send();
        seat.settle();
        assert!(seat.packets().iter().any(|packet| packet.fate == Fate::Unreachable));
        assert!(seat.ua.is_up(call));
        seat.ua.call(call).hang_up();
        let bye = seat.expect_other("BYE");
        assert_eq!(bye.uri(), format!("sip:bob@{new}"));
        seat.other.reply(&bye, 200).send();
        seat.settle();
    }
}

/// We moved and want to add video to a call with a peer that can neither answer reliably nor take UPDATE: the move is told
/// in a request of its own, so that no person's word stands in its way.
#[test]
fn a_move_and_a_new_stream_go_apart() {
    covers!("DLG-21");
    for placed in SEATS {
        for able in [true, false] {
            let mut seat = Seat::with(Seed(21), two_addresses).latency(ms(20));
            if !able {
                seat.peer.allow = WITHOUT_UPDATE.to_owned();
                seat.peer.supported = "timer".to_owned();
            }
            let call = seat.call(placed);
            moves(&mut seat);
            let video = Stream::video(40_002, [Codec::new("H264", 90_000)]);
            seat.ua.call(call).modify(Modification::Add(video), None);
            if !able {
                let told = seat.peer_answers(&[]);
                assert_eq!(told.sdp().unwrap().matches("m=").count(), 1);
                assert_eq!(told.address("Contact"), Some("sip:alice@10.0.0.11:5060"));
            }
            let added = seat.peer_answers(&[]);
            assert_eq!(added.sdp().unwrap().matches("m=").count(), 2);
            assert_eq!(added.address("Contact"), Some("sip:alice@10.0.0.11:5060"));
            assert_eq!((seat.ua.changes(call).len(), seat.ua.failures(call).len()), (1, 0));
        }
    }
}

/// An INVITE limits the waiting itself: at its Expires it ends with 487 and the session stays as it was.
#[test]
fn a_reinvite_that_expires_ends_with_487() {
    covers!("RI-28");
    for placed in SEATS {
        let (mut seat, call) = up(20, placed);
        let before = seat.ua.state(call);
        seat.peer.request("INVITE").offer(&tweaks(&["+video", "sendonly"])).header("Expires", 5).send();
        let sent = seat.now();
        let ended = seat.expect(487);
        assert!(ended.at >= sent + secs(5) && ended.at < sent + secs(6));
        seat.settle();
        assert_eq!(seat.ua.state(call), before);
    }
}
