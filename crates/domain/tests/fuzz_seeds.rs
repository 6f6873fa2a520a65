//! What is read of words holds its rule of everything that the fuzzer kept.

#[path = "../../../fuzz/play.rs"]
mod play;
#[path = "../../../fuzz/rules/words.rs"]
mod rule;

#[test]
fn words_seeds_hold() {
    play::seeds("words", rule::holds);
}
