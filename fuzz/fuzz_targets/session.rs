//! Any three endpoints changing and transferring calls at will, over a wire that loses, repeats and reorders.

#![no_main]

use midcall_testkit::session::{Play, run};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Err(what) = run(&Play::of_bytes(data)) {
        panic!("{what}");
    }
});
