//! Plays what the fuzzer kept, without a fuzzer. The tests of the crates whose readers are fuzzed have this file.

use std::path::Path;
use std::{fs, panic};

/// Holds every seed of a target to its rule.
pub(crate) fn seeds(target: &str, holds: fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = root.join("fuzz/seeds").join(target);
    let seeds = fs::read_dir(&folder).expect("the target has seeds");
    let seeds: Vec<_> = seeds
        .map(|seed| seed.expect("a seed can be listed").path())
        .collect();
    assert!(!seeds.is_empty(), "{} is empty", folder.display());
    let broken: Vec<_> = seeds
        .iter()
        .filter(|seed| {
            let input = fs::read(seed).expect("a seed can be read");
            panic::catch_unwind(|| holds(&input)).is_err()
        })
        .collect();
    assert!(broken.is_empty(), "a rule does not hold of {broken:?}");
}
