#![no_main]
// These files are the gateway's, which shows them to nobody: where they look for others stands what they need.
#![allow(dead_code)]

#[path = "../../../crates/gateway/src/upstream/chunks.rs"]
#[rustfmt::skip]
mod chunks;
mod wire;

mod connection {
    pub(super) const MAX_HEADERS: usize = 100;
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| wire::rule::holds(input));
