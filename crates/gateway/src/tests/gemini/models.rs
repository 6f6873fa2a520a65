//! The list of models in Google's shape, and the probe in its format.

use super::*;

#[tokio::test]
async fn models_are_listed_in_googles_shape_for_its_clients() {
    let harness = Harness::start().await;
    own(&harness, "one", |_| {}).await;
    let ours = json!({"key_source": "byok", "provider": "google", "model": "gemini-tiny"});
    let entry = json!({
        "name": "models/google/gemini-tiny",
        "displayName": "google/gemini-tiny",
        "inputTokenLimit": 9000,
        "outputTokenLimit": 500,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents"],
        "keybearer": ours,
    });
    for path in ["/v1beta/models", "/v1/models", "/v1beta/models?pageSize=1"] {
        let list = harness.send(request(&harness, Method::GET, path, "")).await;
        assert_eq!(
            (list.status, list.json()),
            (200, json!({ "models": [entry] })),
            "{path}"
        );
    }
    for path in [
        "/v1beta/models/google/gemini-tiny",
        "/v1/models/google%2Fgemini-tiny",
    ] {
        let one = harness.send(request(&harness, Method::GET, path, "")).await;
        assert_eq!((one.status, one.json()), (200, entry.clone()), "{path}");
    }
    let missing = request(&harness, Method::GET, "/v1beta/models/gpt-x", "");
    let missing = harness.send(missing).await;
    assert_eq!(
        (missing.status, missing.code().as_str()),
        (402, "byok_key_missing")
    );
    // Without Google's header the list is OpenAI's.
    let list = harness.get("/v1/models").await.json();
    assert_eq!(list["data"][0]["id"], "google/gemini-tiny");
    assert_eq!(
        harness.get("/v1beta/models").await.json(),
        json!({ "models": [entry] })
    );
}

#[tokio::test]
async fn what_is_translated_is_listed_as_what_the_model_can_do() {
    let harness = Harness::start().await;
    harness.bring("anthropic").await;
    let path = "/v1beta/models/anthropic/claude-tiny";
    let one = harness.send(request(&harness, Method::GET, path, "")).await;
    assert_eq!(
        one.json()["supportedGenerationMethods"],
        json!(["generateContent", "streamGenerateContent"])
    );
}

#[tokio::test]
async fn a_key_is_tried_out_where_and_how_the_probes_format_is_called() {
    let harness = Harness::start().await;
    let upstream = Provider::start().await;
    let owner = KeyOwner::Workspace(harness.workspace);
    let record = harness.record_of(owner, "google", "one", &upstream).await;
    let data_key = harness.data_key().await;
    let probe = harness.gateway.probe();
    upstream.says(ANSWER);
    let told = probe
        .probe(&record.envelope, &record.context, &data_key)
        .await;
    assert_eq!(told, Ok(()));
    let (head, body) = upstream.requests().pop().expect("a request");
    assert!(
        head.starts_with("POST /base/models/gemini-tiny:generateContent HTTP/1.1\r\n"),
        "{head}"
    );
    assert_eq!(sent(&head, "x-goog-api-key"), Some(KEY));
    assert_eq!(sent(&head, "authorization"), None);
    assert_eq!(
        serde_json::from_slice::<Value>(&body).expect("JSON")["generationConfig"],
        json!({"maxOutputTokens": 1})
    );
    let mut elsewhere = record.context.clone();
    elsewhere.base_url = format!("http://{}/base", upstream.address);
    let told = probe.probe(&record.envelope, &elsewhere, &data_key).await;
    assert_eq!(told, Err(ProbeFailure::Unreachable));
    assert_eq!(upstream.hits(), 1);
}
