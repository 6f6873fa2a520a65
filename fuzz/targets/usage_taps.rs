#![no_main]

#[path = "../rules/usage_taps.rs"]
mod rule;

libfuzzer_sys::fuzz_target!(|input: &[u8]| rule::holds(input));
