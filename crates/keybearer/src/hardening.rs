//! What the process gives up at its start, so that keys in its memory are harder to reach.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// No core dumps, and no reading of our memory or environment by other processes of the same user.
///
/// A failure is logged and survived: some containers forbid it, and then they also forbid what it prevents.
pub(crate) fn apply() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "cannot switch off dumping of this process");
    }
    if let Err(error) = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    ) {
        tracing::warn!(%error, "cannot switch off core files");
    }
}
