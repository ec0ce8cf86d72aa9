//! Any bytes as a HEP packet, a file of them, or whatever file.

#![no_main]

#[path = "../../crates/analyzer/tests/checks/hep.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
