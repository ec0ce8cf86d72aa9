//! Rules of re-INVITE, UPDATE and PRACK that no ladder can hold.

use midcall_proto::auth::Credentials;
use midcall_proto::endpoint::Prefer;
use midcall_testkit::prelude::*;

/// An answer that needs no person comes at once.
#[test]
fn a_reinvite_is_answered_at_once() {
    covers!("RI-09");
    let mut seat = Seat::new(Seed(1)).latency(ms(20));
    seat.answered_call();
    let before = seat.now();
    seat.peer.request("INVITE").offer(&[]).send();
    let ok = seat.expect(200);
    assert!(seat.now() < before + ms(200));
    seat.peer.ack(&ok).send();
    seat.settle();
}

/// UPDATE has no CANCEL: asked for one, the endpoint says that there is nothing to cancel.
#[test]
fn an_update_is_never_cancelled() {
    covers!("UP-18");
    let mut seat = Seat::new(Seed(2)).latency(ms(20));
    let call = seat.placed_call();
    let hold = midcall_proto::endpoint::Modification::Hold(None);
    seat.ua.call(call).modify(hold, Some(Prefer::Update));
    let update = seat.expect("UPDATE");
    assert_eq!(seat.ua.call(call).attempt(|call, now| call.cancel_change(now)), Ok(false));
    seat.peer.reply(&update, 200).answer(&[]).send();
    seat.settle();
    assert!(!seat.packets().iter().any(|packet| packet.raw().method() == "CANCEL"));
}

/// Preconditions are not supported: a peer that requires them hears so, and nothing is offered with them.
#[test]
fn required_preconditions_get_420() {
    covers!("PR-18", "PR-19", "PR-20", "PR-21");
    let mut seat = Seat::new(Seed(3)).latency(ms(20));
    let to = seat.ua.uri();
    seat.peer.invite(&to).offer(&[]).header("Require", "precondition").send();
    let refused = seat.expect(420);
    assert_eq!(refused.list("Unsupported"), ["precondition"]);
    seat.settle();
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    assert!(!invite.has_token("Supported", "precondition") && !invite.has_token("Require", "precondition"));
    assert!(!invite.sdp().unwrap_or_default().contains("a=des:"));
    seat.peer.reply(&invite, 486).send();
    seat.settle();
    assert!(!seat.ua.is_up(call));
}

/// A PRACK that comes after the INVITE was refused still gets its 2xx; the response is not resent any more.
#[test]
fn a_late_prack_gets_its_success() {
    covers!("PR-09");
    let mut seat = Seat::new(Seed(4)).latency(ms(20));
    let to = seat.ua.uri();
    seat.peer.invite(&to).offer(&[]).header("Supported", "100rel").send();
    seat.settle_briefly();
    let (call, session) = (seat.ua.last_call(), seat.ua.session.clone());
    seat.ua.call(call).early(session);
    let early = seat.expect(183);
    seat.ua.call(call).refuse(486);
    seat.expect(486);
    seat.peer.prack(&early).send();
    assert_eq!(seat.expect(200).header("CSeq").map(|cseq| cseq.ends_with("PRACK")), Some(true));
    seat.run_for(secs(10));
    let again = seat.packets().iter().filter(|packet| packet.raw().status() == Some(183)).count();
    assert_eq!(again, 1);
}

/// A challenge to PRACK is answered with credentials and the same RAck.
#[test]
fn a_challenged_prack_keeps_its_rack() {
    covers!("PR-13");
    let mut seat = Seat::with(Seed(5), |config| {
        config.credentials = Some(Credentials::new("alice", "secret"));
    })
    .latency(ms(20));
    seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 183).answer(&[]).reliable().send();
    let first = seat.expect("PRACK");
    let challenge = "Digest realm=\"example.com\", nonce=\"abc\", algorithm=SHA-256, qop=\"auth\"";
    seat.peer.reply(&first, 407).header("Proxy-Authenticate", challenge).send();
    let second = seat.expect("PRACK");
    assert_eq!(second.header("RAck"), first.header("RAck"));
    assert!(second.cseq() > first.cseq() && second.header("Proxy-Authorization").is_some());
    seat.peer.reply(&second, 200).send();
    seat.settle_briefly();
    seat.peer.reply(&invite, 200).send();
    seat.expect("ACK");
    seat.settle();
}

/// Without media the endpoint knows of no loss, and never re-INVITEs or hangs up for it.
#[test]
fn a_quiet_call_stays_quiet() {
    covers!("RI-25", "RC-19");
    let mut pair = Pair::new(Seed(6)).latency(ms(20));
    let call = pair.call();
    let before = pair.packets().len();
    pair.run_for(secs(3_600));
    assert_eq!(pair.packets().len(), before);
    assert!(pair.a.is_up(call) && pair.b.is_up(call));
}

/// A call over TCP is changed over TCP, never over something weaker than it was set up with.
#[test]
fn a_change_goes_the_way_of_the_call() {
    covers!("RI-26");
    let mut pair = Pair::new(Seed(7)).latency(ms(20));
    let to = format!("{};transport=tcp", pair.b.uri());
    pair.b.answers = true;
    let call = pair.a.invite(&to);
    pair.settle();
    assert!(pair.a.is_up(call));
    pair.a.call(call).hold();
    pair.settle();
    pair.a.call(call).hang_up();
    pair.settle();
    assert!(pair.packets().iter().all(|packet| packet.transport == midcall_proto::flow::Transport::Tcp));
}
