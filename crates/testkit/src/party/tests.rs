use super::*;
use crate::network::Network;
use crate::node::{pump, step};
use crate::sketch::Tweak;
use std::time::Duration;

struct Two {
    wire: Network,
    alice: Party,
    bob: Party,
}

impl Two {
    fn new() -> Self {
        Self {
            wire: Network::new(7),
            alice: Party::new("alice", "10.0.0.1:5060".parse().unwrap(), 1),
            bob: Party::new("bob", "10.0.0.2:5060".parse().unwrap(), 2),
        }
    }

    fn run(&mut self) {
        let mut nodes: [&mut dyn Node; 2] = [&mut self.alice, &mut self.bob];
        pump(&mut self.wire, &mut nodes);
        let limit = self.wire.now() + Duration::from_secs(1);
        while step(&mut self.wire, &mut nodes, limit) {}
    }

    /// A confirmed call from alice to bob; returns bob's 200.
    fn call(&mut self) -> Received {
        self.alice.invite("sip:bob@10.0.0.2:5060").offer(&[]).send();
        self.run();
        let invite = self.bob.take("INVITE").unwrap();
        self.bob.reply(&invite, 180).send();
        self.bob.reply(&invite, 200).answer(&[]).send();
        self.run();
        let ok = self.alice.take(200).unwrap();
        self.alice.ack(&ok).send();
        self.run();
        ok
    }
}

#[test]
fn a_call_goes_up_and_both_can_speak_in_it() {
    let mut two = Two::new();
    let ok = two.call();
    let ack = two.bob.take("ACK").unwrap();
    assert_eq!((ack.cseq(), ack.uri(), ack.tag("To")), (ok.cseq(), "sip:bob@10.0.0.2:5060", ok.tag("To")));
    let bye = two.bob.request("BYE").send();
    two.run();
    let got = two.alice.take("BYE").unwrap();
    assert_eq!((got.uri(), got.tag("To")), ("sip:alice@10.0.0.1:5060", ok.tag("From")));
    two.alice.reply(&got, 200).send();
    two.run();
    let ok = two.bob.take(200).unwrap();
    assert_eq!((ok.method(), ok.cseq()), ("BYE", bye.cseq()));
}

#[test]
fn the_route_set_is_reversed_for_the_caller() {
    let mut two = Two::new();
    two.alice.invite("sip:bob@10.0.0.2:5060").header("Record-Route", "<sip:10.0.0.2:5060;lr>").send();
    two.run();
    let invite = two.bob.take("INVITE").unwrap();
    two.bob.reply(&invite, 200).add("Record-Route", "<sip:10.0.0.9;lr>").send();
    two.run();
    let ok = two.alice.take(200).unwrap();
    let ack = two.alice.ack(&ok).to(two.bob.address()).send();
    assert_eq!(ack.list("Route"), ["<sip:10.0.0.9;lr>", "<sip:10.0.0.2:5060;lr>"]);
}

#[test]
fn each_fork_has_its_own_tag_and_numbers() {
    let mut two = Two::new();
    two.alice.invite("sip:bob@10.0.0.2:5060").offer(&[]).send();
    two.run();
    let invite = two.bob.take("INVITE").unwrap();
    two.bob.reply(&invite, 183).reliable().answer(&[]).send();
    two.bob.reply(&invite, 183).tag("To", Some("other")).reliable().answer(&[]).send();
    two.run();
    let (one, other) = (two.alice.take(183).unwrap(), two.alice.take(183).unwrap());
    let (first, second) = (two.alice.prack(&one).send(), two.alice.prack(&other).send());
    assert_eq!(first.cseq(), second.cseq());
    assert_eq!(second.tag("To"), Some("other"));
    assert_eq!(first.header("RAck").unwrap(), format!("1 {} INVITE", invite.cseq()));
}

#[test]
fn a_refusal_is_acked_on_the_path_of_the_invite() {
    let mut two = Two::new();
    let invite = two.alice.invite("sip:bob@10.0.0.2:5060").offer(&[]).send();
    two.run();
    let got = two.bob.take("INVITE").unwrap();
    two.bob.reply(&got, 486).send();
    two.run();
    let ack = two.bob.take("ACK").unwrap();
    assert_eq!((ack.branch(), ack.cseq()), (invite.branch(), invite.cseq()));
}

#[test]
fn any_part_can_be_made_wrong() {
    let mut two = Two::new();
    two.call();
    let update = two.bob.request("UPDATE");
    let right = update.raw().cseq();
    let update = update
        .cseq(right + 5)
        .tag("To", None)
        .branch("z9hG4bKmine")
        .without("Contact")
        .header("Supported", "from-change")
        .offer(&[Tweak::parse("sendonly").unwrap()])
        .send();
    assert_eq!((update.tag("To"), update.branch()), (None, Some("z9hG4bKmine")));
    assert_eq!(
        (update.header("Contact"), update.header("CSeq").unwrap()),
        (None, &*format!("{} UPDATE", right + 5))
    );
    assert!(update.sdp().unwrap().contains("a=sendonly"));
    assert_eq!(two.bob.request("INFO").raw().cseq(), right + 6, "the next one goes on from there");
}
