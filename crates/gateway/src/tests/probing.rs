//! Probes of base URLs that somebody chose: what they tell of the network behind us.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::record::KeyContext;
use tokio::net::TcpListener;
use vault::kms::{Kms, KmsError};
use vault::{BoxFuture, KeyProbe, ProbeFailure, Root};
use zeroize::Zeroizing;

use super::harness::{Harness, KEY};
use super::provider::Provider;

/// How long probes take in these tests; in service twenty seconds.
const WITHIN: Duration = Duration::from_millis(600);

/// What a probe at this base URL said, and after how long.
async fn asked(
    harness: &Harness,
    base_url: &str,
    reaches_private: bool,
) -> (Result<(), ProbeFailure>, Duration) {
    let known = harness.record("openai", "probed").await;
    let context = KeyContext {
        base_url: base_url.to_owned(),
        ..known.context.clone()
    };
    let record = domain::record::ProviderKeyRecord { context, ..known };
    let envelope = harness.seal(KEY, &record).await;
    let data_key = harness.data_key().await;
    let prober = crate::probe::Prober {
        reaches_private,
        ..harness.gateway.prober(WITHIN)
    };
    let begun = Instant::now();
    let said = prober.probe(&envelope, &record.context, &data_key).await;
    (said, begun.elapsed())
}

#[tokio::test]
async fn a_probe_does_not_tell_which_ports_of_a_private_network_are_open() {
    // T52
    let harness = Harness::start().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let closed_port = closed.local_addr().expect("an address").port();
    drop(closed);
    // Takes connections and says nothing, as what waits for another protocol does.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let silent_port = silent.local_addr().expect("an address").port();
    let hang_up = Provider::start().await;
    hang_up.script(Vec::new());
    let page = Provider::start().await;
    let mut places = vec![
        format!("http://127.0.0.1:{closed_port}"),
        format!("http://127.0.0.1:{silent_port}"),
        format!("http://{}", hang_up.address),
        // What the operator has not opened.
        "http://10.0.0.1:80".to_owned(),
        "https://localhost.invalid".to_owned(),
    ];
    for place in &places {
        let (said, after) = asked(&harness, place, true).await;
        assert_eq!(said, Err(ProbeFailure::Unreachable), "{place}");
        assert!(after >= WITHIN && after < WITHIN * 3, "{place}: {after:?}");
    }
    // Pages of other servers, whatever their status.
    for status in [200, 302, 401, 403, 404, 429, 500] {
        page.answers(status, &[("content-type", "text/html")], b"<p>internal</p>");
        let (said, after) = asked(&harness, &format!("http://{}", page.address), true).await;
        assert_eq!(said, Err(ProbeFailure::Unreachable), "{status}");
        assert!(after >= WITHIN, "{status}: {after:?}");
    }
    // Where there is nothing to hide, nobody waits: no private range is open, or the place is the provider's own.
    places.truncate(1);
    let (said, after) = asked(&harness, &places[0], false).await;
    assert_eq!(said, Err(ProbeFailure::Unreachable));
    assert!(after < WITHIN, "{after:?}");
    harness
        .provider
        .answers(401, &[("content-type", "text/html")], b"<p>no</p>");
    let own = format!("http://{}/base", harness.provider.address);
    let (said, after) = asked(&harness, &own, true).await;
    assert!(matches!(said, Err(ProbeFailure::Rejected(_))), "{said:?}");
    assert!(after < WITHIN, "{after:?}");
    // A provider that answers as one is told at once, too.
    page.answers(401, &[("content-type", "application/json")], b"{}");
    let (said, after) = asked(&harness, &format!("http://{}", page.address), true).await;
    assert!(matches!(said, Err(ProbeFailure::Rejected(_))), "{said:?}");
    assert!(after < WITHIN, "{after:?}");
    page.says("{}");
    let (said, after) = asked(&harness, &format!("http://{}", page.address), true).await;
    assert!(said.is_ok() && after < WITHIN, "{said:?} {after:?}");
}

/// The KMS with this key, which answers late.
struct SlowKms(String);

impl Kms for SlowKms {
    fn key_id(&self) -> &str {
        &self.0
    }

    fn wrap<'a>(
        &'a self,
        key: &'a [u8; 32],
        _: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, KmsError>> {
        Box::pin(async { Ok(key.to_vec()) })
    }

    fn unwrap<'a>(
        &'a self,
        _: &'a [u8],
        _: &'a [u8],
    ) -> BoxFuture<'a, Result<Zeroizing<[u8; 32]>, KmsError>> {
        Box::pin(async {
            tokio::time::sleep(WITHIN * 4).await;
            Err(KmsError::Integrity)
        })
    }
}

#[tokio::test]
async fn opening_the_key_counts_towards_the_time_of_a_probe() {
    let harness = Harness::start().await;
    let record = harness.record("openai", "probed").await;
    let envelope = harness.seal(KEY, &record).await;
    let data_key = harness.data_key().await;
    let kms = SlowKms(data_key.kms_key.clone());
    let root = Root::create(Arc::new(kms), harness.sources.clone()).await;
    let (root, _) = root.expect("a root");
    let prober = crate::probe::Prober {
        opener: root.opener(),
        ..harness.gateway.prober(WITHIN)
    };
    let begun = Instant::now();
    let said = prober.probe(&envelope, &record.context, &data_key).await;
    assert_eq!(said, Err(ProbeFailure::Unreachable));
    assert!(begun.elapsed() < WITHIN * 2, "{:?}", begun.elapsed());
}
