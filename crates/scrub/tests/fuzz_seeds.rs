//! The scrubber holds its rule of everything that the fuzzer kept.

#[path = "../../../fuzz/play.rs"]
mod play;
#[path = "../../../fuzz/rules/scrub.rs"]
mod rule;

#[test]
fn scrub_seeds_hold() {
    play::seeds("scrub", rule::holds);
}
