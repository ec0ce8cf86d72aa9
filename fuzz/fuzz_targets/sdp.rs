//! Any bytes as a session description.

#![no_main]

#[path = "../../crates/wire/tests/checks/sdp.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
