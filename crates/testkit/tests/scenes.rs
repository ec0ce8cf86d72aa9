//! The scenes themselves: streams, transfers, reachability, captures.

use midcall_proto::event::{CallEvent, Ended};
use midcall_testkit::prelude::*;

/// A call over a stream: one connection each way at most, nothing resent, responses on the request's connection.
#[test]
fn a_call_runs_over_tcp() {
    let mut pair = Pair::new(Seed(1)).latency(ms(20)).loss(500);
    let to = format!("<{};transport=tcp>", pair.b.uri());
    pair.b.answers = true;
    let call = pair.a.invite(&to);
    pair.settle();
    assert!(pair.a.is_up(call), "{}", pair.ladder());
    let theirs = pair.b.last_call();
    pair.b.call(theirs).hold();
    pair.settle();
    assert!(pair.b.told(theirs).any(|event| matches!(event, CallEvent::Changed(_))), "{}", pair.ladder());
    assert!(pair.packets().iter().all(|packet| packet.connection.is_some()));
    pair.wire.reset_connections();
    pair.a.call(call).hang_up();
    pair.settle();
    assert!(pair.b.ended(theirs).is_some(), "{}", pair.ladder());
}

/// A blind transfer: the referee calls carol, tells how it went, and the first call ends.
#[test]
fn a_trio_transfers() {
    let mut trio = Trio::new(Seed(2)).latency(ms(20));
    let call = trio.call();
    trio.c.answers = true;
    let carol = trio.c.uri();
    trio.b.call(call).transfer(&carol);
    trio.settle();
    assert!(trio.b.told(call).any(|event| matches!(event, CallEvent::Transfer { status: 200, done: true })));
    let carols = trio.c.last_call();
    assert!(trio.c.is_up(carols), "{}", trio.ladder());
}

/// Nobody listens: the caller is told at once.
#[test]
fn an_unreachable_peer_ends_the_call() {
    let mut pair = Pair::new(Seed(3));
    pair.wire.make_unreachable(pair.b.address());
    let call = pair.a.invite(&pair.b.uri());
    pair.settle();
    assert!(
        matches!(pair.a.ended(call), Some(Ended::Unreachable)),
        "{:?}\n{}",
        pair.a.ended(call),
        pair.ladder()
    );
}

/// A host name is looked up among the agent's hosts.
#[test]
fn names_are_resolved() {
    let mut pair = Pair::new(Seed(4));
    pair.a.hosts.insert("bob.example.com".to_owned(), vec![pair.b.address()]);
    pair.b.answers = true;
    let call = pair.a.invite("sip:bob@bob.example.com");
    pair.settle();
    assert!(pair.a.is_up(call), "{}", pair.ladder());
    let nowhere = pair.a.invite("sip:bob@nowhere.example.com");
    pair.settle();
    assert!(matches!(pair.a.ended(nowhere), Some(Ended::Unresolvable)));
}

/// The wire is cut for a while: the call outlives it, what was asked for happens in the end.
#[test]
fn a_cut_wire_is_survived() {
    let mut pair = Pair::new(Seed(5)).latency(ms(20));
    let call = pair.call();
    pair.wire.cut();
    pair.a.call(call).hold();
    pair.run_for(secs(3));
    pair.wire.mend();
    pair.run_until(|pair| pair.a.told(call).any(|event| matches!(event, CallEvent::Changed(_))));
    assert!(pair.b.agreed(call).is_some_and(|session| session.streams[0].held_by_peer));
}
