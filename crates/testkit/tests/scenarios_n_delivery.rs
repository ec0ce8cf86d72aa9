//! How requests get there: scenario N04 (what is too long for UDP), and further addresses of a name.

use midcall_proto::endpoint::{Invite, Modification};
use midcall_proto::event::{CallEvent, CallId, Ended, Failure, Side};
use midcall_proto::flow::Transport;
use midcall_proto::rules::RuleId;
use midcall_proto::session::{Codec, Wanted};
use midcall_testkit::network::{Fate, Packet};
use midcall_testkit::prelude::*;

/// So many codecs that an offer of them is too long for a datagram.
fn many_codecs() -> Vec<Codec> {
    let own =
        (0..30).map(|number| Codec::new(format!("x-codec-{number}"), 8_000).with_fmtp("mode=long;frames=20"));
    [Codec::pcma(), Codec::pcmu(), Codec::telephone_event()].into_iter().chain(own).collect()
}

fn long(session: &Wanted) -> Wanted {
    let mut session = session.clone();
    session.codecs(0, many_codecs());
    session
}

/// The transport in the top Via.
fn via(raw: &Received) -> &str {
    let via = raw.header("Via").unwrap_or_default();
    via.strip_prefix("SIP/2.0/").and_then(|rest| rest.split(' ').next()).unwrap_or_default()
}

/// N04: a re-INVITE that grows beyond 1300 bytes goes over TCP; the call stays on UDP.
#[test]
fn n04_a_big_reinvite_goes_over_tcp_and_the_call_stays_on_udp() {
    covers!("TX-26");
    let mut pair = Pair::new(Seed(41)).latency(ms(20));
    let call = pair.call();
    pair.a.call(call).codecs(many_codecs());
    pair.settle();
    assert_eq!(pair.a.changes(call)[0].attempts, 1);
    pair.b.call(call).hold();
    pair.settle();
    pair.a.call(call).hang_up();
    pair.settle();
    assert_ladder!(pair);
    let over_tcp = |packet: &&Packet| packet.transport == Transport::Tcp;
    let over_tcp: Vec<_> = pair.packets().iter().filter(over_tcp).map(|packet| packet.number).collect();
    assert_eq!(over_tcp, [5, 6], "the long request and its response");
    let contacts =
        |packet: &Packet| packet.raw().header("Contact").is_some_and(|own| own.contains("transport"));
    assert!(!pair.packets().iter().any(contacts));
}

/// N04: the peer has no TCP. The same request, in the same transaction, goes over UDP, and later ones at once.
#[test]
fn n04_a_peer_without_tcp_gets_it_over_udp() {
    covers!("TX-26");
    let mut seat = Seat::new(Seed(42)).latency(ms(20));
    seat.expect_findings(&["TX-26"]);
    let call = seat.answered_call();
    seat.wire.refuse(Transport::Tcp, seat.peer.address());
    let mut branches = Vec::new();
    for round in 0..2 {
        let session = long(&seat.ua.session);
        seat.ua
            .call(call)
            .attempt(|call, now| call.modify(now, Modification::Replace(Box::new(session)), None))
            .unwrap();
        if round == 1 {
            seat.ua.call(call).reinvite();
        }
        let asked = seat.expect("INVITE");
        assert!(asked.bytes().len() > 1300);
        assert_eq!(via(&asked), "UDP");
        branches.push(asked.branch().unwrap().to_owned());
        seat.peer.reply(&asked, 200).answer(&[]).send();
        seat.expect("ACK");
        seat.settle();
    }
    assert!(seat.ua.is_up(call));
    assert_eq!(seat.ua.failures(call), [] as [&Failure; 0]);
    let tried: Vec<_> = seat.packets().iter().filter(|packet| packet.fate == Fate::Unreachable).collect();
    assert_eq!(tried.len(), 1, "{}", seat.ladder());
    assert_eq!(tried[0].raw().branch(), Some(&*branches[0]));
    assert!(tried[0].raw().header("Via").unwrap().starts_with("SIP/2.0/TCP"));
}

/// N04: what was resent and refused is what was tried over TCP: over UDP it is resent as any other request.
#[test]
fn n04_over_udp_it_is_resent_until_it_arrives() {
    let mut seat = Seat::new(Seed(43)).latency(ms(20));
    seat.expect_findings(&["TX-26"]);
    let call = seat.placed_call();
    seat.wire.refuse(Transport::Tcp, seat.peer.address());
    seat.wire.drop_many("INVITE", 1);
    seat.ua.call(call).codecs(many_codecs());
    let asked = seat.expect("INVITE");
    seat.peer.reply(&asked, 200).answer(&[]).send();
    seat.expect("ACK");
    seat.settle();
    assert_eq!(seat.ua.changes(call)[0].attempts, 1);
    assert_eq!(
        seat.packets()
            .iter()
            .filter(|packet| packet.raw().method() == "INVITE"
                && packet.raw().is_request()
                && packet.raw().tag("To").is_some())
            .count(),
        3
    );
}

/// N04: a CANCEL goes where its INVITE went in the end, with the Via that it had there.
#[test]
fn n04_a_cancel_follows_its_invite_over_udp() {
    covers!("TX-21");
    let mut seat = Seat::new(Seed(44)).latency(ms(20));
    seat.expect_findings(&["TX-26"]);
    seat.wire.refuse(Transport::Tcp, seat.peer.address());
    seat.ua.session = long(&seat.ua.session);
    let to = seat.peer.uri();
    let call = seat.ua.invite(&to);
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 180).send();
    seat.settle_briefly();
    seat.ua.call(call).hang_up();
    let cancel = seat.expect("CANCEL");
    assert_eq!(cancel.header("Via"), invite.header("Via"));
    seat.peer.reply(&cancel, 200).send();
    seat.peer.reply(&invite, 487).send();
    let ack = seat.expect("ACK");
    assert_eq!(ack.header("Via"), invite.header("Via"));
    seat.settle();
}

/// N04: an ACK with a long answer is no transaction, and gets there all the same.
#[test]
fn n04_a_long_ack_is_sent_again_over_udp() {
    let mut seat = Seat::new(Seed(45)).latency(ms(20));
    seat.unobserved("the offer of the peer is its usual one");
    seat.ua.session = long(&seat.ua.session);
    let to = seat.peer.uri();
    let mut invite = Invite::new(&to, seat.ua.session.clone());
    invite.late = true;
    seat.ua.config().mtu_limit = 500;
    for header in ["X-One", "X-Two"] {
        invite.headers.push((header.to_owned(), "x".repeat(200)));
    }
    seat.wire.refuse(Transport::Tcp, seat.peer.address());
    let call = seat.ua.invite_with(invite);
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 200).offer(&[]).send();
    let ack = seat.expect("ACK");
    assert!(ack.bytes().len() > 500 && ack.sdp().is_some());
    assert_eq!(via(&ack), "UDP");
    seat.settle();
    assert!(seat.ua.is_up(call));
}

/// N04: where neither TCP nor UDP gets there the change fails, once, and the call stays.
#[test]
fn n04_neither_way_leads_there() {
    let mut seat = Seat::new(Seed(46)).latency(ms(20));
    seat.unobserved("the tap sees nothing of what could not be sent");
    let call = seat.answered_call();
    seat.wire.make_unreachable(seat.peer.address());
    seat.ua.call(call).codecs(many_codecs());
    seat.settle();
    assert_eq!(seat.ua.failures(call), [&Failure::Rejected { status: 503 }]);
    assert!(seat.ua.is_up(call));
}

/// A call whose peer says in its Contact that it is bob.example, which is at bob's address and, if not, at carol's.
fn call_by_name(seat: &mut Seat) -> CallId {
    let hosts = vec![seat.peer.address(), seat.other.address()];
    seat.ua.hosts.insert("bob.example".to_owned(), hosts);
    let to = seat.peer.uri();
    let call = seat.ua.invite(&to);
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 200).answer(&[]).header("Contact", "<sip:bob@bob.example:5060>").send();
    seat.expect("ACK");
    seat.settle();
    call
}

/// RFC 3263 §4.3 within a dialog: a change goes on to the next address, with its number and another branch.
#[test]
fn a_change_goes_on_to_the_next_address() {
    covers!("TX-32");
    for how in ["503", "refused", "silence"] {
        let mut seat = Seat::new(Seed(47)).latency(ms(20));
        seat.unobserved("two boxes answer as one party");
        let call = call_by_name(&mut seat);
        if how == "refused" {
            seat.wire.make_unreachable(seat.peer.address());
        }
        seat.ua.call(call).hold();
        if how == "503" {
            let hold = seat.expect("INVITE");
            seat.peer.reply(&hold, 100).send();
            seat.peer.reply(&hold, 503).header("Retry-After", "5").send();
        }
        let moved = seat.expect_other("INVITE");
        let sent = |seat: &Seat, to| {
            let to_there = |packet: &&Packet| {
                packet.to == to && packet.raw().method() == "INVITE" && packet.raw().tag("To").is_some()
            };
            seat.packets().iter().rev().find(to_there).unwrap().raw()
        };
        let first = sent(&seat, seat.peer.address());
        assert_eq!(
            (moved.cseq(), moved.sdp(), moved.call_id()),
            (first.cseq(), first.sdp(), first.call_id()),
            "{how}"
        );
        assert_ne!(moved.branch(), first.branch());
        assert_eq!(via(&moved), "UDP");
        let answer = moved.sdp().unwrap().replace("sendonly", "recvonly").replace("o=alice", "o=bob");
        seat.other.reply(&moved, 200).sdp(answer).header("Contact", "<sip:bob@bob.example:5060>").send();
        let ack = seat.expect_other("ACK");
        assert_eq!(ack.cseq(), moved.cseq());
        seat.settle();
        assert_eq!(seat.ua.held(call), (true, false), "{how}");
        assert_eq!(seat.ua.changes(call)[0].attempts, 1);
        // What comes next goes where somebody was.
        seat.ua.call(call).hang_up();
        let bye = seat.expect_other("BYE");
        assert_eq!(bye.cseq(), moved.cseq() + 1);
        seat.other.reply(&bye, 200).send();
        seat.settle();
    }
}

/// RFC 3263 §4.3: an answer of any kind but 503 settles it, and so does the last address.
#[test]
fn other_refusals_and_the_last_address_end_it() {
    covers!("TX-32");
    for status in [500, 503] {
        let mut seat = Seat::new(Seed(48)).latency(ms(20));
        seat.unobserved("two boxes answer as one party");
        let call = call_by_name(&mut seat);
        seat.ua.call(call).hold();
        let hold = seat.expect("INVITE");
        seat.peer.reply(&hold, status).send();
        if status == 503 {
            let moved = seat.expect_other("INVITE");
            seat.other.reply(&moved, status).send();
        }
        seat.settle();
        assert_eq!(seat.ua.failures(call), [&Failure::Rejected { status }]);
        assert!(seat.ua.is_up(call));
        let asked = seat.packets().iter().filter(|packet| packet.to == seat.other.address()).count();
        assert_eq!(asked > 0, status == 503);
    }
}

/// RFC 3263 §4.4: a CANCEL goes where its INVITE is now; and what is cancelled goes nowhere else.
#[test]
fn a_cancelled_invite_goes_nowhere_else() {
    covers!("TX-32");
    for moved in [true, false] {
        let mut seat = Seat::new(Seed(49)).latency(ms(20));
        seat.unobserved("two boxes answer as one party");
        let hosts = vec![seat.peer.address(), seat.other.address()];
        seat.ua.hosts.insert("bob.example".to_owned(), hosts);
        let call = seat.ua.invite("sip:bob@bob.example:5060");
        let first = seat.expect("INVITE");
        if moved {
            seat.peer.reply(&first, 503).send();
            let second = seat.expect_other("INVITE");
            seat.other.reply(&second, 180).send();
            seat.settle_briefly();
            seat.ua.call(call).hang_up();
            let cancel = seat.expect_other("CANCEL");
            assert_eq!(cancel.branch(), second.branch());
            seat.other.reply(&cancel, 200).send();
            seat.other.reply(&second, 487).send();
        } else {
            seat.peer.reply(&first, 180).send();
            seat.settle_briefly();
            seat.ua.call(call).hang_up();
            seat.expect("CANCEL");
            seat.peer.reply(&first, 503).send();
        }
        seat.settle();
        assert!(matches!(seat.ua.ended(call), Some(Ended::Cancelled { .. })));
        let there = seat.packets().iter().filter(|packet| packet.to == seat.other.address()).count();
        assert_eq!(there > 0, moved, "{}", seat.ladder());
    }
}

/// A name is looked up when something is sent to it, which takes a while: the change waits, and nothing is lost.
#[test]
fn a_change_waits_for_the_address_of_a_name() {
    for placed in [true, false] {
        let mut seat = Seat::new(Seed(50)).latency(ms(20));
        let contact = "<sip:bob@bob.example:5060>";
        seat.ua.hosts.insert("bob.example".to_owned(), vec![seat.peer.address()]);
        let to = if placed { seat.peer.uri() } else { seat.ua.uri() };
        let call = if placed {
            let call = seat.ua.invite(&to);
            let invite = seat.expect("INVITE");
            seat.peer.reply(&invite, 200).answer(&[]).header("Contact", contact).send();
            call
        } else {
            seat.peer.invite(&to).offer(&[]).header("Contact", contact).send();
            seat.settle_briefly();
            let call = seat.ua.last_call();
            seat.ua.call(call).accept();
            let ok = seat.expect(200);
            seat.peer.ack(&ok).send();
            call
        };
        seat.settle();
        // The address is believed for a minute: each of these has to ask for it again.
        for _ in 0..2 {
            seat.run_for(secs(90));
            seat.ua.call(call).reinvite();
            let asked = seat.expect("INVITE");
            seat.peer.reply(&asked, 200).answer(&[]).header("Contact", contact).send();
            seat.expect("ACK");
            seat.settle();
        }
        assert_eq!(seat.ua.changes(call).len(), 2);
        seat.run_for(secs(90));
        seat.ua.call(call).attempt(|call, now| call.transfer(now, "sip:carol@10.0.0.3")).unwrap();
        let refer = seat.expect("REFER");
        seat.peer.reply(&refer, 603).send();
        seat.settle();
        let told = |event: &&CallEvent| matches!(event, CallEvent::Transfer { status: 603, done: true });
        assert_eq!(seat.ua.told(call).filter(told).count(), 1);
    }
}

/// RFC 3261 §18.2.2: the connection of an INVITE is closed before it is answered. The answer goes to where its sender
/// listens.
#[test]
fn a_closed_connection_is_no_end() {
    covers!("TX-30");
    let mut seat = Seat::new(Seed(51)).latency(ms(20));
    seat.unobserved("a connection may be closed with messages in it");
    seat.peer = Party::new("bob", seat.peer.address(), 51).over(Transport::Tcp);
    let to = seat.ua.uri();
    let contact = format!("<sip:bob@{};transport=tcp>", seat.peer.address());
    seat.peer.invite(&to).offer(&[]).header("Contact", &contact).send();
    seat.settle_briefly();
    let call = seat.ua.last_call();
    seat.ua.call(call).ring();
    seat.expect(180);
    seat.wire.reset_connections();
    seat.settle_briefly();
    seat.ua.call(call).accept();
    let ok = seat.expect(Pick::status(200).of("INVITE"));
    let answered = seat.packets().iter().find(|packet| packet.raw().status() == Some(200)).unwrap();
    assert_eq!(answered.to, seat.peer.address());
    seat.peer.ack(&ok).send();
    seat.settle();
    assert!(seat.ua.is_up(call));
}

/// What no message has room for is refused at once; before, the application waited for ever.
#[test]
fn what_is_too_long_for_any_message_is_refused_at_once() {
    let mut pair = Pair::new(Seed(44)).latency(ms(20));
    let call = pair.call();
    let before = pair.packets().len();
    let endless = format!("sip:{}@{}", "c".repeat(20_000), pair.b.address());
    let refused = pair.a.call(call).attempt(|call, now| call.transfer(now, &endless)).unwrap_err();
    assert_eq!(refused.rule, RuleId::RequestTooBigForUdp);
    let ticket = pair.a.call(call).codecs([Codec::pcmu().with_fmtp("x".repeat(70_000))]);
    let invited = pair.a.invite(&endless);
    pair.settle();
    assert_eq!(pair.packets().len(), before, "nothing went out");
    let failed = pair.a.told(call).any(|event| {
        matches!(event, CallEvent::ChangeFailed { ticket: failed, failure: Failure::Refused { rule }, .. }
            if (*failed, *rule) == (ticket, RuleId::RequestTooBigForUdp))
    });
    assert!(failed, "{:?}", pair.a.told(call).last());
    assert!(matches!(pair.a.ended(invited), Some(Ended::Refused { status: 513, by: Side::Us })));
    pair.a.call(call).hang_up();
    pair.settle();
}
