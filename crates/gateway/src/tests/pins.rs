//! What a run was pinned to is served as long as a call of it would be.

use bytes::Bytes;
use domain::policy::{KeySource, Tier};
use domain::run::{OutputType, Pinned};
use vault::HashPurpose;

use super::harness::Harness;
use super::payer::REPORT;
use crate::{InnerCall, InnerFailure};

async fn made(harness: &Harness, pinned: &Pinned) -> Result<Bytes, InnerFailure> {
    let hasher = harness.hasher();
    let api_key = hasher.hash(HashPurpose::ApiKey, harness.api_key.as_bytes());
    let body = r#"{"model":"openai/gpt-x","messages":[{"role":"user","content":"hi"}]}"#;
    let call = InnerCall {
        request: harness.sources.id().expect("random"),
        api_key: &api_key,
        output: OutputType::Script,
        pinned,
        body: Bytes::from_static(body.as_bytes()),
        max_answer_bytes: 1 << 20,
    };
    harness.gateway.call(call).await
}

#[tokio::test]
async fn a_tier_behind_a_preset_is_gated_at_each_step() {
    let harness = Harness::start().await;
    let key = harness.bring("openai").await;
    harness.provider.says(REPORT);
    let pinned = |requested: &str, tier: Option<Tier>| Pinned {
        requested: requested.to_owned(),
        tier,
        provider: "openai".parse().expect("an id"),
        model: "gpt-x".to_owned(),
        source: KeySource::Byok,
        key: Some(key.context.key),
        label: Some(key.label.clone()),
        owner: None,
    };
    // A default is somebody else's choice, whatever it is called.
    for (requested, tier) in [
        ("level_2", None),
        ("@fast", None),
        ("@fast", Some(Tier::Level1)),
    ] {
        let answer = made(&harness, &pinned(requested, tier)).await;
        assert!(answer.is_ok(), "{requested}: {answer:?}");
    }
    let hits = harness.provider.hits();
    harness.without_byok().await;
    let locked = made(&harness, &pinned("@fast", Some(Tier::Level2))).await;
    assert_eq!(locked.map_err(|it| it.code), Err("plan_required"));
    assert_eq!(harness.provider.hits(), hits);
}
