//! Any bytes as one datagram.

#![no_main]

#[path = "../../crates/wire/tests/checks/message.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
