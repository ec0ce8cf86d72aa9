//! Calls between endpoints: nothing is found above a fact, and the observer knows what they know.

use midcall_proto::endpoint::{Modification, Prefer};
use midcall_proto::event::What;
use midcall_proto::observer::ChangeOutcome;
use midcall_testkit::prelude::*;

use crate::tap::{Place, clean, tap};

#[test]
fn hold_and_resume() {
    let mut pair = Pair::new(Seed(1)).latency(ms(40));
    let call = pair.call();
    clean(&pair, &[&pair.a, &pair.b]);
    pair.a.call(call).hold();
    pair.settle();
    clean(&pair, &[&pair.a, &pair.b]);
    pair.a.call(call).resume();
    pair.settle();
    clean(&pair, &[&pair.a, &pair.b]);
    pair.b.call(call).hang_up();
    pair.settle();
    clean(&pair, &[&pair.a, &pair.b]);
    let observer = tap(pair.packets(), Place::Middle);
    let observed = observer.calls().next().unwrap();
    let changes: Vec<_> =
        observed.changes().iter().map(|change| (change.what.clone(), change.outcome)).collect();
    assert_eq!(
        changes,
        [(vec![What::Hold], ChangeOutcome::Accepted), (vec![What::Resume], ChangeOutcome::Accepted)]
    );
}

#[test]
fn changes_that_cross() {
    for seed in 0..20 {
        let mut pair = Pair::new(Seed(seed)).latency(ms(40));
        let call = pair.call();
        pair.a.call(call).hold();
        pair.run_for(ms(seed * 4));
        pair.b.call(call).hold();
        pair.settle();
        clean(&pair, &[&pair.a, &pair.b]);
    }
}

#[test]
fn updates_that_cross() {
    for seed in 0..20 {
        let mut pair = Pair::with(Seed(seed), |a, b| {
            a.prefer = Prefer::Update;
            b.prefer = if seed % 2 == 0 { Prefer::Update } else { Prefer::ReInvite };
        })
        .latency(ms(40));
        let call = pair.call();
        pair.a.call(call).hold();
        pair.run_for(ms(seed * 4));
        pair.b.call(call).hold();
        pair.settle();
        clean(&pair, &[&pair.a, &pair.b]);
    }
}

#[test]
fn early_update_and_answer() {
    let mut pair = Pair::new(Seed(3)).latency(ms(30));
    let to = pair.b.uri();
    let a = pair.a.invite(&to);
    pair.run_until(|pair| !incoming(&pair.b).is_empty());
    let b = incoming(&pair.b)[0];
    let session = pair.b.session.clone();
    pair.b.call(b).early(session);
    pair.settle();
    clean(&pair, &[&pair.a, &pair.b]);
    pair.a.call(a).hold();
    pair.settle();
    clean(&pair, &[&pair.a, &pair.b]);
    pair.b.call(b).accept();
    pair.settle();
    clean(&pair, &[&pair.a, &pair.b]);
}

#[test]
fn offerless_changes() {
    let mut pair = Pair::new(Seed(4)).latency(ms(30));
    let call = pair.call();
    pair.a.call(call).hold();
    pair.settle();
    pair.b.call(call).offerless();
    pair.settle();
    pair.a.call(call).modify(Modification::Repeat, Some(Prefer::ReInvite));
    pair.settle();
    clean(&pair, &[&pair.a, &pair.b]);
}

#[test]
fn session_refreshes() {
    let mut pair = Pair::with(Seed(5), |a, b| {
        a.session_expires = Some(90);
        b.session_expires = Some(90);
    })
    .latency(ms(20));
    let call = pair.call();
    pair.run_for(secs(400));
    assert!(pair.a.is_up(call));
    clean(&pair, &[&pair.a, &pair.b]);
}

#[test]
fn a_blind_transfer() {
    let mut trio = Trio::new(Seed(6)).latency(ms(25));
    trio.c.answers = true;
    let call = trio.call();
    let carol = trio.c.uri();
    trio.a.call(call).transfer(&carol);
    trio.settle();
    clean(&trio, &[&trio.a, &trio.b, &trio.c]);
    trio.run_for(secs(10));
    trio.a.call(call).hang_up();
    trio.settle();
    clean(&trio, &[&trio.a, &trio.b, &trio.c]);
}

#[test]
fn an_attended_transfer() {
    let mut trio = Trio::new(Seed(7)).latency(ms(25));
    trio.c.answers = true;
    let first = trio.call();
    let second = trio.call_between(0, 2);
    let other = second.of(0);
    trio.a.call(first).transfer_to_call(other);
    trio.settle();
    clean(&trio, &[&trio.a, &trio.b, &trio.c]);
}

#[test]
fn cancelled_and_refused_calls() {
    let mut pair = Pair::new(Seed(8)).latency(ms(25));
    let call = pair.ring();
    pair.a.call(call).cancel();
    pair.settle();
    clean(&pair, &[&pair.a, &pair.b]);
    let call = pair.ring();
    pair.b.call(call).refuse(486);
    pair.settle();
    clean(&pair, &[&pair.a, &pair.b]);
}
