//! What the answer to a submission says of the key and its provider.

use std::sync::atomic::Ordering;

use domain::key::FailureKind;
use llm::registry::Registry;
use serde_json::{Value, json};
use vault::ProbeFailure;

use super::{KEY, World, path};
use crate::ControlConfig;

/// The bundled providers, with this change of OpenAI's file.
fn registry(from: &str, to: &str) -> Registry {
    let file = include_str!("../../../../providers/openai.toml");
    assert!(file.contains(from), "{from}");
    let file = ("openai.toml".to_owned(), file.replacen(from, to, 1));
    let bundled = Registry::bundled().expect("the bundled registry");
    bundled.with_files(&[file]).expect("a provider file")
}

#[tokio::test]
async fn a_provider_out_of_service_takes_no_keys() {
    for status in ["staging", "suspended", "withdrawn"] {
        let registry = registry("\"active\"", &format!("\"{status}\""));
        let world = World::with_registry(ControlConfig::default(), registry).await;
        let (root, _) = world.set_up().await;
        let body = world.raw("openai", KEY).await;
        let answer = world.post(&root.session, &path(&root), body).await;
        let refused = answer.refused(400, "byok_not_supported");
        let detail = refused["detail"].as_str().expect("a text");
        assert!(detail.contains("not active"), "{detail}");
        assert_eq!(world.probe.asked.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn a_provider_without_a_probe_is_not_asked() {
    let probe = "[probe]\nformat = \"openai_chat\"\nmodel = \"gpt-5.4-nano\"\n\
                 token_limit = \"max_completion_tokens\"\n";
    let world = World::with_registry(ControlConfig::default(), registry(probe, "")).await;
    let (root, _) = world.set_up().await;
    let stored = world
        .post(&root.session, &path(&root), world.raw("openai", KEY).await)
        .await
        .expect(201)
        .json();
    assert_eq!(stored["probed"], false);
    assert_eq!(world.probe.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_key_that_looks_like_anothers_is_stored_with_a_warning() {
    let world = World::start().await;
    let (root, _) = world.set_up().await;
    let strange = "gsk_0123456789abcdefghijklmnop";
    let warning = "keys of openai usually look like sk-*";
    for (key, expected) in [
        (KEY, Value::Null),
        (strange, json!(warning)),
        // Its mask does not show how it begins.
        ("gsk_0123456789", Value::Null),
    ] {
        let body = world.raw("openai", key).await;
        let answer = world.post(&root.session, &path(&root), body).await.json();
        assert_eq!(answer["warning"], expected);
        assert_eq!(answer["probed"], true);
    }
    let rejected = ProbeFailure::Rejected(FailureKind::InvalidKey);
    world
        .probe
        .script
        .lock()
        .expect("no test panics here")
        .push_back(rejected);
    let body = world.raw("openai", strange).await;
    let answer = world.post(&root.session, &path(&root), body).await;
    let refused = answer.refused(422, "probe_failed");
    assert_eq!(refused["details"]["warning"], warning);
}
