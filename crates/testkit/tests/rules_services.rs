//! The services of RFC 5359, RFC 5589 and RFC 7088 that exercise a live call.

use midcall_proto::endpoint::{Config, Endpoint, Input, Invite, LocalAddr, Output};
use midcall_proto::event::{CallEvent, CallId, Ended};
use midcall_proto::flow::{Flow, Transport};
use midcall_proto::rules::RuleId;
use midcall_proto::time::Instant;
use midcall_testkit::prelude::*;
use midcall_testkit::sketch::Tweak;
use midcall_wire::{Builder, Message};

fn seat(seed: u64) -> Seat {
    Seat::new(Seed(seed)).latency(ms(20))
}

fn sdp(word: &str) -> Tweak {
    Tweak::parse(word).expect("a tweak")
}

fn outcome(agent: &Agent, call: impl Handle) -> Option<(u16, bool)> {
    let told = agent.told(call).filter_map(|event| match event {
        CallEvent::Transfer { status, done } => Some((*status, *done)),
        _ => None,
    });
    told.last()
}

#[track_caller]
fn notify(seat: &mut Seat, state: &str, status: &str) {
    let draft = seat.peer.request("NOTIFY").header("Event", "refer").header("Subscription-State", state);
    draft.body("message/sipfrag", format!("SIP/2.0 {status}\r\n")).send();
    seat.expect(Pick::status(200).of("NOTIFY"));
}

/// A call's identifiers as an INVITE to the endpoint names them in Replaces.
fn replaces(seat: &Seat, call: CallId) -> String {
    let dialog = seat.ua.look(call).and_then(|call| call.dialogs().next().cloned()).expect("a dialog");
    let (ours, theirs) = (&dialog.party.ours.tag, &dialog.party.theirs.tag);
    format!("{};to-tag={ours};from-tag={theirs}", dialog.call_id)
}

fn held(agent: &Agent, call: impl Handle) -> bool {
    agent.agreed(call).is_some_and(|session| session.streams.iter().all(|one| one.held_by_us))
}

/// RFC 5359 §2.2: the first call waits on hold while a second one is made and ended, and is then taken back.
#[test]
fn a_consultation_leaves_the_held_call_alone() {
    covers!("SV-02");
    let mut trio = Trio::new(Seed(1)).latency(ms(20));
    let first = trio.call();
    trio.a.call(first).hold();
    trio.settle();
    let second = trio.call_between(0, 2);
    assert!(held(&trio.a, first) && !held(&trio.a, second));
    trio.a.call(second).hang_up();
    trio.settle();
    trio.a.call(first).resume();
    trio.settle();
    assert_eq!(trio.c.ended(second), Some(&Ended::PeerHungUp { reason: None }));
    assert!(trio.a.is_up(first) && trio.b.is_up(first) && !held(&trio.a, first));
}

/// RFC 5359 §2.3, §2.15: a held call is replaced by one with a music or park server, and fetched back by another Replaces.
#[test]
fn a_held_call_is_replaced_twice() {
    covers!("SV-03", "SV-15");
    let mut seat = seat(2);
    let first = seat.answered_call();
    seat.peer.request("INVITE").offer(&[sdp("sendonly")]).send();
    let ok = seat.expect(200);
    seat.peer.ack(&ok).send();
    seat.settle();
    let (to, named) = (seat.ua.uri(), replaces(&seat, first));
    seat.other.invite(&to).offer(&[]).header("Replaces", named).send();
    seat.settle_briefly();
    let second = *incoming(&seat.ua).last().expect("a call");
    seat.ua.call(second).accept();
    let ok = seat.expect_other(Pick::status(200).of("INVITE"));
    seat.other.ack(&ok).send();
    let bye = seat.expect("BYE");
    seat.peer.reply(&bye, 200).send();
    seat.settle();
    assert_eq!(seat.ua.ended(first), Some(&Ended::Replaced));
    let named = replaces(&seat, second);
    seat.peer.invite(&to).offer(&[]).header("Replaces", named).send();
    seat.settle_briefly();
    let third = *incoming(&seat.ua).last().expect("a call");
    seat.ua.call(third).accept();
    let ok = seat.expect(Pick::status(200).of("INVITE"));
    seat.peer.ack(&ok).send();
    let bye = seat.expect_other("BYE");
    seat.other.reply(&bye, 200).send();
    seat.settle();
    assert!(seat.ua.is_up(third) && !held(&seat.ua, third));
}

/// RFC 5359 §2.3: whoever declines the replacement stays on hold.
#[test]
fn a_declined_replacement_leaves_the_hold() {
    covers!("SV-03");
    let mut seat = seat(3);
    let first = seat.answered_call();
    let (to, named) = (seat.ua.uri(), replaces(&seat, first));
    seat.other.invite(&to).offer(&[]).header("Replaces", named).send();
    seat.settle_briefly();
    let second = *incoming(&seat.ua).last().expect("a call");
    seat.ua.call(second).refuse(603);
    seat.expect_other(603);
    seat.settle();
    assert!(seat.ua.is_up(first));
}

/// RFC 5589 §6.3: the target is busy, and the call is taken off hold again.
#[test]
fn a_failed_transfer_takes_the_call_back() {
    covers!("SV-07");
    let mut seat = seat(4);
    let call = seat.placed_call();
    seat.ua.call(call).hold();
    let hold = seat.expect("INVITE");
    seat.peer.reply(&hold, 200).answer(&[]).send();
    seat.expect("ACK");
    seat.settle();
    let carol = seat.other.uri();
    seat.ua.call(call).transfer(&carol);
    let refer = seat.expect("REFER");
    seat.peer.reply(&refer, 200).send();
    seat.settle_briefly();
    notify(&mut seat, "active;expires=60", "100 Trying");
    seat.run_for(secs(2));
    notify(&mut seat, "terminated;reason=noresource", "486 Busy Here");
    let resume = seat.expect("INVITE");
    assert!(resume.sdp().is_some_and(|sdp| !sdp.contains("a=sendonly") && !sdp.contains("a=inactive")));
    seat.peer.reply(&resume, 200).answer(&[]).send();
    seat.expect("ACK");
    seat.settle();
    assert_eq!(outcome(&seat.ua, call), Some((486, true)));
    assert!(seat.ua.is_up(call) && !held(&seat.ua, call));
}

/// RFC 5589 §7.1: the consultation ends first, then the transferee is sent on; §7.2: or the target is referred to the
/// transferee, whose call it replaces.
#[test]
fn a_consultation_may_end_either_way() {
    covers!("SV-09");
    let mut trio = Trio::new(Seed(5)).latency(ms(20));
    trio.c.answers = true;
    let first = trio.call();
    trio.a.call(first).hold();
    trio.settle();
    let second = trio.call_between(0, 2);
    trio.a.call(second).hang_up();
    trio.settle();
    let carol = trio.c.uri();
    trio.a.call(first).transfer(&carol);
    trio.settle();
    assert_eq!(outcome(&trio.a, first), Some((200, true)));
    assert!(trio.c.is_up(*incoming(&trio.c).last().expect("a call")));

    let mut trio = Trio::new(Seed(6)).latency(ms(20));
    trio.b.answers = true;
    let first = trio.call();
    trio.a.call(first).hold();
    trio.settle();
    let second = trio.call_between(0, 2);
    trio.a.call(second).hold();
    trio.settle();
    let other = first.of(0);
    trio.a.call(second).transfer_to_call(other);
    trio.settle();
    assert_eq!(outcome(&trio.a, second), Some((200, true)), "{}", trio.ladder());
    assert_eq!(trio.b.ended(first), Some(&Ended::Replaced));
    assert!(trio.b.is_up(*incoming(&trio.b).last().expect("a call")));
}

/// RFC 5589 §7.4, §7.7: a peer that does not take REFER says so, and the call goes on.
#[test]
fn a_transfer_that_is_not_taken_ends_nothing() {
    covers!("SV-10");
    for status in [405, 420, 501, 603] {
        let mut seat = seat(u64::from(status));
        let call = seat.placed_call();
        let carol = seat.other.uri();
        seat.ua.call(call).transfer(&carol);
        let refer = seat.expect("REFER");
        let reply = seat.peer.reply(&refer, status).header("Allow", "INVITE, ACK, BYE, CANCEL");
        reply.header("Unsupported", "norefersub").send();
        seat.settle();
        assert_eq!(outcome(&seat.ua, call), Some((status, true)));
        assert!(seat.ua.is_up(call));
    }
    let mut seat = seat(7);
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    let ok = seat.peer.reply(&invite, 200).answer(&[]);
    ok.header("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE, PRACK").send();
    seat.expect("ACK");
    seat.settle();
    let carol = seat.other.uri();
    let refused = seat.ua.call(call).attempt(|call, now| call.transfer(now, &carol));
    assert_eq!(refused.map_err(|refused| refused.rule), Err(RuleId::LatestAllowIgnored));
    assert!(seat.ua.is_up(call));
}

/// A REFER of the peer that the endpoint accepts; gives the INVITE that came of it.
#[track_caller]
fn referred(seat: &mut Seat, target: &str) -> Received {
    let draft = seat.peer.request("REFER").header("Refer-To", target);
    draft.header("Referred-By", "<sip:bob@10.0.0.2:5060>").send();
    seat.expect(Pick::status(200).of("REFER"));
    let first = seat.expect("NOTIFY");
    seat.peer.reply(&first, 200).send();
    seat.expect_other("INVITE")
}

#[track_caller]
fn last_news(seat: &mut Seat) -> String {
    let news = seat.expect("NOTIFY");
    let text = String::from_utf8_lossy(news.body()).into_owned();
    seat.peer.reply(&news, 200).send();
    seat.settle();
    text.lines().next().unwrap_or_default().to_owned()
}

/// RFC 5589 §7.5: the target is called under its public address with Require: replaces; who has no such dialog says so.
#[test]
fn a_target_is_found_by_require_replaces() {
    covers!("SV-11");
    let mut seat = seat(8);
    seat.answered_call();
    let refer_to = format!("<{}?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2&Require=replaces>", seat.other.uri());
    let invite = referred(&mut seat, &refer_to);
    assert_eq!(invite.header("Require"), Some("replaces"));
    assert_eq!(invite.header("Replaces"), Some("x;to-tag=1;from-tag=2"));
    seat.other.reply(&invite, 481).send();
    assert!(last_news(&mut seat).starts_with("SIP/2.0 481"));
    let to = seat.ua.uri();
    let stranger = seat.other.invite(&to).offer(&[]).header("Replaces", "x;to-tag=1;from-tag=2");
    stranger.header("Require", "replaces").send();
    seat.expect_other(481);
    seat.settle();
}

/// RFC 5589 §7.6: as long as the target rings there is nothing to replace; once it answered the transfer is made.
#[test]
fn a_semi_attended_transfer_waits_for_the_answer() {
    covers!("SV-12");
    let mut trio = Trio::new(Seed(9)).latency(ms(20));
    let first = trio.call();
    trio.a.call(first).hold();
    trio.settle();
    let carol = trio.c.uri();
    let second = trio.a.invite(&carol);
    trio.run_until(|trio| !incoming(&trio.c).is_empty());
    let at_carol = *incoming(&trio.c).last().expect("a call");
    trio.c.call(at_carol).ring();
    trio.settle();
    assert!(trio.a.call(first).attempt(|call, now| call.transfer_to_call(now, second)).is_err());
    trio.c.call(at_carol).accept();
    trio.settle();
    trio.c.answers = true;
    trio.a.call(first).transfer_to_call(second);
    trio.settle();
    assert_eq!(outcome(&trio.a, first), Some((200, true)), "{}", trio.ladder());
    assert_eq!(trio.c.ended(at_carol), Some(&Ended::Replaced));
}

/// RFC 3892 §2.1: the transferee copies Referred-By; a 429 of the target is the outcome that is told.
#[test]
fn a_referred_by_is_copied_and_a_429_told() {
    covers!("SV-13");
    let mut seat = seat(10);
    seat.answered_call();
    let carol = format!("<{}>", seat.other.uri());
    let invite = referred(&mut seat, &carol);
    assert_eq!(invite.header("Referred-By"), Some("<sip:bob@10.0.0.2:5060>"));
    seat.other.reply(&invite, 429).send();
    assert!(last_news(&mut seat).starts_with("SIP/2.0 429"));
}

/// RFC 5589 §9: the peer becomes a focus: its re-INVITE changes Contact and session at once, and both are followed.
#[test]
fn a_call_becomes_a_conference() {
    covers!("SV-14");
    let mut seat = seat(11);
    let call = seat.placed_call();
    let focus = seat.peer.request("INVITE").offer(&[sdp("codecs=8")]);
    focus.header("Contact", "<sip:room@10.0.0.2:5060>;isfocus").send();
    let ok = seat.expect(200);
    seat.peer.ack(&ok).send();
    seat.settle();
    let sends = seat.ua.agreed(call).map(|session| session.streams[0].send.len());
    assert_eq!(sends, Some(1));
    seat.ua.call(call).hang_up();
    let bye = seat.expect("BYE");
    assert_eq!(bye.uri(), "sip:room@10.0.0.2:5060");
    seat.peer.reply(&bye, 200).send();
    seat.settle();
}

/// RFC 3891 §7.1: a call that rings elsewhere is picked up: 200, and CANCEL to the phone that rings. Once that has
/// answered, a pickup that says early-only gets 486.
#[test]
fn a_ringing_call_is_picked_up() {
    covers!("SV-16");
    for answered in [false, true] {
        let mut seat = seat(12);
        let first = seat.ua.invite(&seat.peer.uri());
        let invite = seat.expect("INVITE");
        seat.peer.reply(&invite, 180).send();
        seat.settle_briefly();
        if answered {
            seat.peer.reply(&invite, 200).answer(&[]).send();
            seat.expect("ACK");
        }
        let (to, named) = (seat.ua.uri(), replaces(&seat, first));
        let pickup = seat.other.invite(&to).offer(&[]);
        pickup.header("Replaces", format_args!("{named};early-only")).send();
        seat.settle_briefly();
        if answered {
            seat.expect_other(486);
            seat.settle();
            assert!(seat.ua.is_up(first));
            continue;
        }
        let second = *incoming(&seat.ua).last().expect("a call");
        seat.ua.call(second).accept();
        let ok = seat.expect_other(Pick::status(200).of("INVITE"));
        seat.other.ack(&ok).send();
        let cancel = seat.expect("CANCEL");
        seat.peer.reply(&cancel, 200).send();
        seat.peer.reply(&invite, 487).send();
        seat.settle();
        assert!(seat.ua.is_up(second) && seat.ua.ended(first).is_some());
    }
}

/// RFC 3725 §10: a controller calls without any stream, and later asks for an offer.
#[test]
fn a_controller_connects_the_call() {
    covers!("SV-18");
    let mut seat = seat(13);
    let to = seat.ua.uri();
    seat.peer.invite(&to).offer(&[Tweak::NoStreams]).send();
    seat.settle_briefly();
    let call = seat.ua.last_call();
    seat.ua.call(call).accept();
    let ok = seat.expect(200);
    seat.peer.ack(&ok).send();
    seat.settle();
    assert!(seat.ua.is_up(call));
    seat.peer.request("INVITE").send();
    let ok = seat.expect(200);
    assert!(ok.sdp().is_some_and(|sdp| sdp.contains("m=audio")), "{ok:?}");
    seat.peer.ack(&ok).answer(&[]).send();
    seat.settle();
    let audio = seat.ua.agreed(call).and_then(|session| session.streams.first().map(|one| one.sends));
    assert_eq!(audio, Some(true));
}

/// RFC 3312 §11: preconditions are not offered, and who requires them learns so.
#[test]
fn required_preconditions_are_refused() {
    covers!("SV-19");
    let mut seat = seat(14);
    let to = seat.ua.uri();
    seat.peer.invite(&to).offer(&[]).header("Require", "precondition").send();
    let refused = seat.expect(420);
    assert_eq!(refused.header("Unsupported"), Some("precondition"));
    seat.settle();
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    assert!(!invite.header("Supported").unwrap_or_default().contains("precondition"));
    seat.peer.reply(&invite, 486).send();
    seat.settle();
    assert!(seat.ua.ended(call).is_some());
}

/// RFC 3264 §8.3.3: the called side turns its audio slot into fax. It is answered, the slot refused or the offer as a
/// whole, and neither that nor a collision ends the call.
#[test]
fn a_switch_to_fax_is_survived() {
    covers!("SV-20");
    for crossed in [false, true] {
        let mut seat = seat(15);
        let call = seat.placed_call();
        let mut offer = seat.peer.request("INVITE").offer(&[]);
        let text = String::from_utf8_lossy(offer.raw().body()).into_owned();
        let lines = text.lines().filter(|line| !line.starts_with("a=rtpmap") && !line.starts_with("a=fmtp"));
        let lines = lines.map(|line| if line.starts_with("m=") { "m=image 41960 udptl t38" } else { line });
        let image: String = lines.map(|line| format!("{line}\r\n")).collect();
        offer = offer.sdp(image);
        offer.send();
        if crossed {
            seat.ua.call(call).hold();
        }
        if crossed {
            seat.expect(491);
        } else {
            seat.settle_briefly();
            if seat.peer.take(488).is_none() {
                let answer = seat.expect(200);
                assert!(answer.sdp().is_some_and(|sdp| sdp.contains("m=image 0 ")), "{answer:?}");
                seat.peer.ack(&answer).send();
            }
        }
        if crossed {
            let hold = seat.expect(Pick::request("INVITE"));
            seat.peer.reply(&hold, 491).send();
            let again = seat.expect(Pick::request("INVITE"));
            seat.peer.reply(&again, 200).answer(&[]).send();
            seat.expect("ACK");
        }
        seat.settle();
        assert!(seat.ua.is_up(call));
    }
}

/// RFC 3263 §4.3: an address that answers 503, or nothing at all, is followed by the next: the same number, another
/// branch.
#[test]
fn the_next_address_gets_the_same_request() {
    covers!("TX-32");
    let (own, dead, good) = ("10.0.0.1:5060", "10.0.0.8:5060", "10.0.0.9:5060");
    let address = |text: &str| text.parse::<std::net::SocketAddr>().expect("an address");
    for answers in [true, false] {
        let mut config = Config::new("sip:alice@10.0.0.1:5060");
        config.local = vec![LocalAddr { transport: Transport::Udp, addr: address(own) }];
        let mut ua = Endpoint::new(config, 3);
        let session = seat(16).ua.session.clone();
        let mut now = Instant::ZERO;
        ua.invite(now, Invite::new("sip:bob@example.com", session)).expect("a call");
        let mut invites: Vec<(Flow, Vec<u8>)> = Vec::new();
        for _ in 0..200 {
            match ua.poll_output() {
                Output::Resolve { query, .. } => {
                    let targets = [dead, good].map(|text| (Transport::Udp, address(text))).to_vec();
                    ua.handle_input(now, Input::Resolved { query, targets });
                }
                Output::Transmit(sent) => {
                    let message = Message::parse(&sent.bytes[..]).expect("SIP");
                    if message.method() != Method::Invite {
                        continue;
                    }
                    let first = invites.iter().all(|(flow, _)| flow.remote != sent.flow.remote);
                    if first {
                        invites.push((sent.flow, sent.bytes.to_vec()));
                    }
                    if answers && sent.flow.remote == address(dead) {
                        let reply = Builder::reply(&message, 503, None).finish();
                        ua.handle_input(now, Input::Message { flow: sent.flow, bytes: &reply });
                    }
                }
                Output::Timeout(Some(at)) if invites.len() < 2 => {
                    now = at;
                    ua.handle_input(now, Input::Timeout);
                }
                Output::Timeout(_) => break,
                Output::Event(_) => {}
            }
        }
        let tried: Vec<_> = invites.iter().map(|(flow, _)| flow.remote).collect();
        assert_eq!(tried, [address(dead), address(good)], "answers: {answers}");
        let read = |bytes: &Vec<u8>| {
            let message = Message::parse(&bytes[..]).expect("SIP");
            let branch = message.top_via().expect("Via").branch().map(str::to_owned);
            (message.cseq().expect("CSeq").number, message.call_id().expect("an id").to_owned(), branch)
        };
        let (one, two) = (read(&invites[0].1), read(&invites[1].1));
        assert_eq!((one.0, &one.1), (two.0, &two.1));
        assert_ne!(one.2, two.2);
    }
}
