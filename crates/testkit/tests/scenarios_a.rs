//! Dialog and transaction base: scenarios A01 to A10.

use midcall_testkit::prelude::*;

/// A01: a call, and BYE by the caller.
#[test]
fn a01_the_caller_hangs_up() {
    let mut pair = Pair::new(Seed(1)).latency(ms(20));
    let call = pair.call();
    pair.a.call(call).hang_up();
    pair.settle();
    assert_ladder!(pair, @"");
}

/// A01 mirrored: BYE by the callee.
#[test]
fn a01_the_callee_hangs_up() {
    let mut pair = Pair::new(Seed(1)).latency(ms(20));
    let call = pair.call();
    pair.b.call(call).hang_up();
    pair.settle();
    assert_ladder!(pair, @"");
}
