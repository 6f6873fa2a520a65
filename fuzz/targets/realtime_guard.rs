#![no_main]
// The file is the gateway's, which shows it to nobody.
#![allow(dead_code)]

#[path = "../../crates/gateway/src/realtime/guard.rs"]
#[rustfmt::skip]
mod guard;
#[path = "../rules/realtime_guard.rs"]
mod rule;

libfuzzer_sys::fuzz_target!(|input: &[u8]| rule::holds(input));
