//! What the process gives up at its start, so that keys in its memory are harder to reach.

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};
use rustix::thread::{CapabilitySet, capabilities};

use crate::failure::{Failure, Sort};

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

/// Keeps all memory of this process out of swap, from now on.
///
/// Pages are locked as they come into use: with all of them at once, what the allocator and the stacks of threads only
/// reserve would take memory.
///
/// # Errors
/// It may not lock as much as it may ever need. A limit would be met later, in the middle of a call.
pub(crate) fn lock_memory() -> Result<(), Failure> {
    let unlimited = getrlimit(Resource::Memlock).current.is_none()
        || capabilities(None).is_ok_and(|it| it.effective.contains(CapabilitySet::IPC_LOCK));
    let refused = |reason: &str| {
        let text =
            format!("`lock_memory` is set, and this process may not lock its memory: {reason}");
        Failure::new(Sort::Failed, text).hint(
            "allow it with LimitMEMLOCK=infinity (systemd), --ulimit memlock=-1 (Docker) or the capability IPC_LOCK",
        )
    };
    if !unlimited {
        return Err(refused("there is a limit on it"));
    }
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    mlockall(flags).map_err(|error| refused(&error.to_string()))
}

/// Says so if the machine may write memory of this process to a disk.
pub(crate) fn warn_of_swap() {
    let swaps = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
    if swaps_to_disk(&swaps) {
        tracing::warn!(
            "this machine swaps to a disk, which keys in memory may reach; set `lock_memory`, or encrypt or switch off the swap"
        );
    }
}

/// Whether a list like `/proc/swaps` has something that outlives the machine's memory.
fn swaps_to_disk(swaps: &str) -> bool {
    let names = swaps
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next());
    names.into_iter().any(|name| !name.starts_with("/dev/zram"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressed_memory_is_no_disk() {
        // T81
        let head = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        for (rest, warns) in [
            ("", false),
            (
                "/dev/zram0                              partition\t8388604\t0\t100\n",
                false,
            ),
            (
                "/swapfile                               file\t\t2097148\t0\t-2\n",
                true,
            ),
            (
                "/dev/zram0 partition 1 0 100\n/dev/dm-1 partition 1 0 -2\n",
                true,
            ),
        ] {
            assert_eq!(swaps_to_disk(&format!("{head}{rest}")), warns, "{rest}");
        }
        assert!(!swaps_to_disk(""));
    }
}
