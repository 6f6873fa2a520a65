//! Saying that this process lives, and settling the calls of those that died.
//!
//! Clocks of processes differ, so nobody compares them: a process is taken for dead when its lease has not changed
//! for a while by the watch of the one who looks.

use std::collections::HashMap;
use std::sync::Weak;
use std::time::Duration;

use domain::Timestamp;
use tokio::time::Instant;

use crate::Plane;

/// How often the lease is renewed: five times within the time for which it holds.
const EVERY: Duration = Duration::from_secs(3);
/// For how long a lease must not have changed before the calls of its process are settled.
const STILL_FOR: Duration = Duration::from_secs(30);
/// Who could not renew its own lease for so long does not know why others did not.
const RENEWED_WITHIN: Duration = Duration::from_millis(store::LEASE_MS.unsigned_abs());

/// Renews the lease until the gateway is gone.
pub(crate) async fn keep(plane: Weak<Plane>) {
    let mut watch = Watch::default();
    while let Some(plane) = plane.upgrade() {
        if renew(&plane, &mut watch).await {
            reap(&plane, &mut watch).await;
        }
        drop(plane);
        tokio::time::sleep(EVERY).await;
    }
}

/// What was seen of the leases of processes that hold credits, all the time since our own was renewed without a gap.
#[derive(Default)]
struct Watch {
    seen: HashMap<String, Seen>,
    renewed_at: Option<Instant>,
}

struct Seen {
    /// By the clock of its process; `None`: it has none.
    lease: Option<Timestamp>,
    /// When it was first seen to be this.
    since: Instant,
}

impl Watch {
    /// Our own lease was renewed. After a gap the watch begins anew.
    fn renewed(&mut self, at: Instant) {
        let gap = self
            .renewed_at
            .is_some_and(|before| at.duration_since(before) > RENEWED_WITHIN);
        if gap {
            self.seen.clear();
        }
        self.renewed_at = Some(at);
    }

    /// Nothing that was seen counts any more.
    fn lost(&mut self) {
        *self = Self::default();
    }

    /// Takes the leases as they were between two moments, and names the processes whose stood still long enough.
    fn look(
        &mut self,
        leases: Vec<(String, Option<Timestamp>)>,
        (asked_at, answered_at): (Instant, Instant),
    ) -> Vec<String> {
        let mut before = std::mem::take(&mut self.seen);
        for (node, lease) in leases {
            let known = before.remove(&node).filter(|seen| seen.lease == lease);
            let since = known.map_or(answered_at, |seen| seen.since);
            self.seen.insert(node, Seen { lease, since });
        }
        let still = |seen: &Seen| asked_at.saturating_duration_since(seen.since) >= STILL_FOR;
        let dead = self.seen.iter().filter(|(_, seen)| still(seen));
        dead.map(|(node, _)| node.clone()).collect()
    }
}

/// Renews our own lease, and says whether others may be looked at.
async fn renew(plane: &Plane, watch: &mut Watch) -> bool {
    let system = plane.store.system();
    match system.renew_lease(&plane.node, plane.sources.now()).await {
        Ok(true) => {}
        Ok(false) => {
            watch.lost();
            tracing::warn!(
                "this process could not renew its lease in time; others may have settled its calls"
            );
        }
        Err(error) => {
            watch.lost();
            tracing::warn!(%error, "the lease was not renewed");
            return false;
        }
    }
    watch.renewed(Instant::now());
    true
}

/// Settles the calls of processes that died.
async fn reap(plane: &Plane, watch: &mut Watch) {
    let system = plane.store.system();
    let asked_at = Instant::now();
    let leases = match system.leases().await {
        Ok(leases) => leases,
        Err(error) => {
            watch.lost();
            tracing::warn!(%error, "the leases of other processes were not read");
            return;
        }
    };
    let others = leases.into_iter().filter(|(node, _)| *node != plane.node);
    for node in watch.look(others.collect(), (asked_at, Instant::now())) {
        match system.reap_node(&node, plane.sources.now()).await {
            Ok(0) => {}
            Ok(calls) => tracing::warn!(calls, "settled {calls} calls of a process that died"),
            Err(error) => tracing::warn!(%error, "calls of a process that died were not settled"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `look` says of one process after so many seconds.
    struct Clock(Instant, Watch);

    impl Clock {
        fn start() -> Self {
            Self(Instant::now(), Watch::default())
        }

        fn dead(&mut self, seconds: u64, lease: Option<i64>) -> bool {
            let at = self.0 + Duration::from_secs(seconds);
            self.1.renewed(at);
            let lease = lease.map(Timestamp::from_millis);
            let dead = self.1.look(vec![("other".to_owned(), lease)], (at, at));
            !dead.is_empty()
        }
    }

    #[test]
    fn a_lease_that_changes_is_alive_whatever_its_clock_says() {
        let mut clock = Clock::start();
        let day = 86_400_000;
        for round in 0..40 {
            // A day behind, and going backwards.
            let lease = -day - i64::try_from(round).expect("small");
            assert!(!clock.dead(3 * round, Some(lease)));
        }
    }

    #[test]
    fn a_lease_that_stands_still_is_dead_after_thirty_seconds() {
        for lease in [Some(i64::MAX / 2), Some(0), None] {
            let mut clock = Clock::start();
            for (seconds, dead) in [
                (0, false),
                (10, false),
                (20, false),
                (29, false),
                (30, true),
            ] {
                assert_eq!(clock.dead(seconds, lease), dead, "{lease:?} {seconds}");
            }
            assert!(!clock.dead(31, Some(7)), "it came back");
            for (seconds, dead) in [(40, false), (50, false), (60, false), (61, true)] {
                assert_eq!(clock.dead(seconds, Some(7)), dead, "{seconds}");
            }
        }
    }

    #[test]
    fn who_was_away_watches_anew() {
        let mut clock = Clock::start();
        assert!(!clock.dead(0, Some(1)));
        assert!(!clock.dead(12, Some(1)));
        assert!(!clock.dead(40, Some(1)), "after a gap of 28 seconds");
        assert!(!clock.dead(54, Some(1)));
        clock.1.lost();
        for (seconds, dead) in [(57, false), (70, false), (84, false), (87, true)] {
            assert_eq!(clock.dead(seconds, Some(1)), dead, "{seconds}");
        }
    }

    #[test]
    fn a_process_without_holds_is_watched_from_when_it_has_some() {
        let mut clock = Clock::start();
        assert!(!clock.dead(0, Some(1)));
        for seconds in [12, 24, 36] {
            let at = clock.0 + Duration::from_secs(seconds);
            clock.1.renewed(at);
            assert!(clock.1.look(Vec::new(), (at, at)).is_empty());
        }
        assert!(!clock.dead(48, Some(1)));
    }
}
