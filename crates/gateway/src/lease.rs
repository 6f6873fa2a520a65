//! Saying that this process lives, and settling the calls of those that died.

use std::sync::Weak;
use std::time::Duration;

use crate::Plane;

/// How often the lease is renewed: five times within the time for which it holds.
const EVERY: Duration = Duration::from_secs(3);

/// Renews the lease until the gateway is gone.
pub(crate) async fn keep(plane: Weak<Plane>) {
    while let Some(plane) = plane.upgrade() {
        renew(&plane).await;
        drop(plane);
        tokio::time::sleep(EVERY).await;
    }
}

async fn renew(plane: &Plane) {
    let system = plane.store.system();
    match system.renew_lease(&plane.node, plane.sources.now()).await {
        Ok(true) => {}
        Ok(false) => tracing::warn!(
            "this process could not renew its lease in time; others may have settled its calls"
        ),
        Err(error) => {
            tracing::warn!(%error, "the lease was not renewed");
            return;
        }
    }
    match system
        .reap_holds(&plane.node, false, plane.sources.now())
        .await
    {
        Ok(0) => {}
        Ok(calls) => tracing::warn!(calls, "settled {calls} calls of processes that died"),
        Err(error) => tracing::warn!(%error, "calls of processes that died were not settled"),
    }
}
