//! Who may call, and what a refusal says.

use domain::access::{Action, ApiScope};
use http::{HeaderValue, Method};
use store::KeyChange;

use super::harness::{Harness, KEY};

const CALL: &str = r#"{"model":"gpt-x"}"#;

#[tokio::test]
async fn wrong_credentials_get_401_in_the_clients_format_without_an_echo() {
    // T79, T85, T88
    let harness = Harness::start().await;
    let stranger = harness.mint(&[ApiScope::InferenceInvoke]).await;
    harness.revoke(stranger.0).await;
    let shouted = harness.api_key.to_uppercase();
    let spaced = format!("{} ", harness.api_key);
    let cut = harness.api_key[..harness.api_key.len() - 1].to_owned();
    for credential in [
        KEY,
        "sk-ant-secret-secret",
        "' OR 1=1 --",
        &shouted,
        &cut,
        &stranger.1,
        "changeme",
    ] {
        for path in ["/v1/chat/completions", "/v1/messages"] {
            let mut request = harness.request(Method::POST, path, CALL);
            let value = HeaderValue::from_str(&format!("Bearer {credential}")).expect("a value");
            request.headers_mut().insert("authorization", value);
            let answer = harness.send(request).await;
            assert_eq!(answer.status, 401, "{credential}");
            let text = format!(
                "{:?}{}",
                answer.headers,
                String::from_utf8_lossy(&answer.body)
            );
            assert!(!text.contains(credential), "{text}");
            assert_eq!(answer.json()["type"] == "error", path == "/v1/messages");
        }
    }
    let mut none = harness.chat_request(CALL);
    none.headers_mut().remove("authorization");
    let answer = harness.send(none).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (401, "api_key_missing")
    );
    // Optional blanks around a header's value are no part of it.
    let mut blank = harness.chat_request(CALL);
    let value = HeaderValue::from_str(&format!("Bearer {spaced}")).expect("a value");
    blank.headers_mut().insert("authorization", value);
    assert_eq!(harness.send(blank).await.status, 402);
    assert_eq!(harness.usage().await.len(), 1);
}

#[tokio::test]
async fn refusals_say_what_is_missing() {
    let harness = Harness::start().await;
    let answer = harness.chat(CALL).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (402, "byok_key_missing")
    );
    let error = answer.json()["error"].clone();
    assert_eq!(error["providers"], serde_json::json!(["openai"]));
    let workspace = harness.workspace.to_string();
    assert_eq!(error["workspace"].as_str(), Some(workspace.as_str()));
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|text| text.contains("openai") && text.contains(&workspace))
    );
    assert_eq!(
        error["link"].as_str(),
        Some(format!("/api/v1/workspaces/{workspace}/provider-keys").as_str())
    );
    let record = harness.bring("openai").await;
    let scope = harness.scope(Action::WriteProviderKeys).await;
    let keys = harness.store.within(&scope).provider_keys();
    keys.update(
        record.context.key,
        &enabled(false),
        &harness.note(),
        harness.sources.now(),
    )
    .await
    .expect("disabled");
    let answer = harness.chat(CALL).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (402, "byok_key_disabled")
    );
    assert_eq!(answer.json()["error"]["label"], "primary");
    keys.update(
        record.context.key,
        &enabled(true),
        &harness.note(),
        harness.sources.now(),
    )
    .await
    .expect("enabled");
    let several = harness.request(
        Method::POST,
        "/v1/messages",
        r#"{"model":"gpt-x","container":"c"}"#,
    );
    let answer = harness.send(several).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "not_translatable")
    );
    assert_eq!(answer.json()["error"]["endpoint"], "/v1/responses");
    let answer = harness.chat(&format!(r#"{{"model":"{KEY}"}}"#)).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (404, "model_not_found")
    );
    assert!(!String::from_utf8_lossy(&answer.body).contains("Zk3"));
    let answer = harness.chat(r#"{"model":"opennai/gpt-x"}"#).await;
    assert_eq!(answer.json()["error"]["suggestion"], "openai");
    let rows = harness.usage().await;
    let statuses: Vec<i64> = rows.iter().map(|row| row.status).collect();
    assert_eq!(statuses, [402, 402, 400, 404, 404]);
    let openai = |row: &store::UsageRow| {
        row.provider.as_ref().map(domain::ProviderId::as_str) == Some("openai")
            && row.model.as_deref() == Some("gpt-x")
            && row.model_requested == "gpt-x"
    };
    assert!(rows[..3].iter().all(openai), "{rows:?}");
    let nothing = |row: &store::UsageRow| {
        row.provider.is_none() && row.model.is_none() && row.model_requested.is_empty()
    };
    assert!(rows[3..].iter().all(nothing), "{rows:?}");
    assert!(rows.iter().all(|row| row.key.is_none()));
    assert!(harness.provider.requests().is_empty());
}

#[tokio::test]
async fn a_refused_call_is_recorded_by_the_registrys_names_only() {
    // T79
    let harness = Harness::start().await;
    let pasted = format!("openai/{KEY}");
    let unlisted = format!("anthropic/{}", "x".repeat(30));
    for (model, provider, known) in [
        ("gpt-tiny", "openai", "gpt-tiny"),
        ("openai/gpt-tiny", "openai", "gpt-tiny"),
        ("claude-new", "anthropic", "claude-new"),
        (pasted.as_str(), "openai", ""),
        (unlisted.as_str(), "anthropic", ""),
        (KEY, "", ""),
    ] {
        let body = format!(r#"{{"model":"{model}"}}"#);
        let answer = harness.chat(&body).await;
        assert_eq!(answer.header("x-keybearer-provider"), provider, "{model}");
        assert_eq!(answer.header("x-keybearer-model"), known, "{model}");
        assert_eq!(answer.header("x-keybearer-key-label"), "");
        let row = harness.usage().await.pop().expect("a row");
        let stored = row.provider.as_ref().map_or("", domain::ProviderId::as_str);
        assert_eq!(stored, provider, "{model}");
        assert_eq!(row.model.as_deref().unwrap_or(""), known, "{model}");
        let requested = if known.is_empty() { "" } else { model };
        assert_eq!(row.model_requested, requested);
    }
    // The key that is there decides who would have served.
    harness.bring("anthropic").await;
    let call = harness.request(Method::POST, "/v1/embeddings", r#"{"model":"claude-tiny"}"#);
    let answer = harness.send(call).await;
    assert_eq!(answer.code(), "format_not_supported");
    assert_eq!(answer.header("x-keybearer-provider"), "anthropic");
    assert_eq!(answer.header("x-keybearer-model"), "claude-tiny");
}

#[tokio::test]
async fn calling_takes_the_scope() {
    // T93
    let mut harness = Harness::start().await;
    harness.bring("openai").await;
    harness.api_key = harness.mint(&[ApiScope::UsageRead]).await.1;
    for answer in [harness.chat(CALL).await, harness.get("/v1/models").await] {
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (403, "permission_denied")
        );
        assert_eq!(answer.json()["error"]["needs"], "inference:invoke");
    }
    assert_eq!(harness.usage().await[0].status, 403);
}

#[tokio::test]
async fn changes_take_effect_on_the_next_request() {
    let harness = Harness::start().await;
    harness.provider.says("{}");
    assert_eq!(harness.chat(CALL).await.status, 402);
    let record = harness.bring("openai").await;
    assert_eq!(harness.chat(CALL).await.status, 200);
    let second = harness.record("openai", "second").await;
    let mut first = second.clone();
    first.position = -1;
    harness.put(&first).await;
    assert_eq!(
        harness.chat(CALL).await.header("x-keybearer-key-label"),
        "second"
    );
    let scope = harness.scope(Action::WriteProviderKeys).await;
    let keys = harness.store.within(&scope).provider_keys();
    for key in [record.context.key, first.context.key] {
        assert!(
            keys.remove(key, &harness.note(), harness.sources.now())
                .await
                .expect("removed")
        );
    }
    assert_eq!(harness.chat(CALL).await.status, 402);
}

#[tokio::test]
async fn a_revoked_api_key_is_refused_at_once_and_its_running_stream_ends_well() {
    // T105
    let mut harness = Harness::start().await;
    harness.bring("openai").await;
    let minted = harness.mint(&[ApiScope::InferenceInvoke]).await;
    harness.api_key = minted.1;
    harness
        .provider
        .streams(&["data: 1\n\n", "data: [DONE]\n\n"]);
    let response = harness.open(harness.chat_request(CALL)).await;
    harness.revoke(minted.0).await;
    assert_eq!(harness.chat(CALL).await.status, 401);
    harness.provider.open(2);
    let body = http_body_util::BodyExt::collect(response.into_body())
        .await
        .expect("whole")
        .to_bytes();
    assert_eq!(body, "data: 1\n\ndata: [DONE]\n\n");
}

#[tokio::test]
async fn other_methods_and_paths_are_not_served() {
    // T98, T130
    let harness = Harness::start().await;
    for method in [
        Method::GET,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::PATCH,
    ] {
        let answer = harness
            .send(harness.request(method, "/v1/messages", ""))
            .await;
        assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
        assert_eq!(answer.json()["type"], "error");
    }
    let mut overridden = harness.request(Method::GET, "/v1/chat/completions", "");
    overridden
        .headers_mut()
        .insert("x-http-method-override", HeaderValue::from_static("POST"));
    assert_eq!(harness.send(overridden).await.status, 405);
    for path in [
        "/v1/chat/completions/",
        "//v1/chat/completions",
        "/v1/%63hat/completions",
        "/v1/byok/nothing",
    ] {
        assert_eq!(
            harness
                .send(harness.request(Method::POST, path, CALL))
                .await
                .status,
            404,
            "{path}"
        );
    }
    let raw = format!(
        "TRACE /v1/messages HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
        harness.api_key
    );
    let answer = harness.raw(raw.as_bytes()).await;
    assert!(
        answer.starts_with("HTTP/1.1 405 ") && !answer.contains(&harness.api_key),
        "{answer}"
    );
}

#[tokio::test]
async fn unknown_endpoints_are_told_in_the_clients_format_without_a_key_or_an_echo() {
    let harness = Harness::start().await;
    for (path, version, anthropic) in [
        ("/v1/fine_tuning/jobs", None, false),
        ("/v1/sk-secret-secret", None, false),
        ("/v1/messages/count?beta=true", None, true),
        ("/v1/complete", Some("2023-06-01"), true),
    ] {
        for method in [Method::GET, Method::POST] {
            let mut request = harness.request(method, path, CALL);
            request.headers_mut().remove("authorization");
            if let Some(version) = version {
                let version = HeaderValue::from_static(version);
                request.headers_mut().insert("anthropic-version", version);
            }
            let answer = harness.send(request).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (404, "endpoint_not_found"),
                "{path}"
            );
            assert_eq!(answer.header("content-type"), "application/json");
            assert!(answer.header("x-keybearer-request-id").starts_with("req_"));
            let body = answer.json();
            assert_eq!(body["type"] == "error", anthropic, "{path}");
            assert_eq!(
                body["error"]["endpoints"],
                serde_json::json!([
                    "POST /v1/chat/completions",
                    "POST /v1/responses",
                    "POST /v1/embeddings",
                    "POST /v1/moderations",
                    "POST /v1/images/generations",
                    "POST /v1/images/edits",
                    "POST /v1/images/variations",
                    "POST /v1/audio/speech",
                    "POST /v1/audio/transcriptions",
                    "POST /v1/audio/translations",
                    "POST /v1/rerank",
                    "POST /v2/rerank",
                    "POST /v1/messages",
                    "POST /v1/messages/count_tokens",
                    "POST /v1beta/models/{model}:generateContent",
                    "POST /v1beta/models/{model}:streamGenerateContent",
                    "POST /v1beta/models/{model}:countTokens",
                    "POST /v1beta/models/{model}:embedContent",
                    "POST /v1beta/models/{model}:batchEmbedContents",
                    "* /v1/files",
                    "* /v1/uploads",
                    "* /v1/batches",
                    "* /v1/responses/",
                    "* /v1/conversations",
                    "* /v1/vector_stores",
                    "* /v1/containers",
                    "* /v1/messages/batches",
                    "* /providers/{provider}/{path}",
                    "* /brave/{path}",
                    "GET /v1/realtime",
                    "GET /v1/models",
                    "GET /v1beta/models"
                ])
            );
            assert!(!body.to_string().contains("secret"));
        }
    }
    assert!(harness.usage().await.is_empty());
}

#[tokio::test]
async fn two_api_keys_in_one_request_are_refused() {
    // T97
    let harness = Harness::start().await;
    let other = harness.mint(&[ApiScope::InferenceInvoke]).await.1;
    let mut request = harness.chat_request(CALL);
    request
        .headers_mut()
        .insert("x-api-key", HeaderValue::from_str(&other).expect("a value"));
    let answer = harness.send(request).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "ambiguous_credentials")
    );
    for place in ["x-api-key", "x-goog-api-key", "api-key"] {
        let mut request = harness.chat_request(CALL);
        request.headers_mut().remove("authorization");
        request.headers_mut().insert(
            place,
            HeaderValue::from_str(&harness.api_key).expect("a value"),
        );
        assert_eq!(harness.send(request).await.status, 402, "{place}");
    }
}

fn enabled(enabled: bool) -> KeyChange {
    KeyChange {
        enabled: Some(enabled),
        ..KeyChange::default()
    }
}
