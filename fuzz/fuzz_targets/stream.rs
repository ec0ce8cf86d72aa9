//! Any bytes as a stream, cut in any way.

#![no_main]

#[path = "../../crates/wire/tests/checks/stream.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
