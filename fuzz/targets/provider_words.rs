#![no_main]

#[path = "../rules/provider_words.rs"]
mod rule;

libfuzzer_sys::fuzz_target!(|input: &[u8]| rule::holds(input));
