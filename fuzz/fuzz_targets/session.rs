//! Any two endpoints changing a call at will, over a wire that loses, repeats and reorders.

#![no_main]

#[path = "../../crates/proto/tests/checks/session.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
