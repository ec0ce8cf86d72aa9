//! Any bytes as a log.

#![no_main]

#[path = "../../crates/analyzer/tests/checks/text.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
