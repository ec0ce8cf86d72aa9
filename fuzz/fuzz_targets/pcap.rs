//! Any bytes as a capture.

#![no_main]

#[path = "../../crates/analyzer/tests/checks/pcap.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
