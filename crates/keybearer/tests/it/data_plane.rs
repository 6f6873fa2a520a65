//! Calls to models: whose key serves, what goes up, what comes down, what is recorded.

use http::Method;
use serde_json::json;
use testkit::app::Auth;
use testkit::provider::Script;
use testkit::provider::wire::{TEXT, TOKENS, chat_error};

use crate::{Fixture, chat, message};

#[tokio::test]
async fn an_own_key_serves_and_the_answer_says_so() {
    let fixture = Fixture::start().await;
    let key = fixture.with_openai_key().await;
    let probes = fixture.provider.requests().len();
    let reply = fixture
        .owner
        .key
        .post("/v1/chat/completions", &chat("openai/gpt-4o"))
        .await
        .expect(200);
    assert_eq!(reply.json()["choices"][0]["message"]["content"], TEXT);
    for (name, value) in [
        ("x-keybearer-provider", "openai"),
        ("x-keybearer-model", "gpt-4o"),
        ("x-keybearer-key-source", "byok"),
        ("x-keybearer-key-label", "primary"),
        ("x-keybearer-attempts", "1"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
    let request_id = reply
        .header("x-keybearer-request-id")
        .expect("a request id")
        .to_owned();

    let requests = fixture.provider.requests();
    assert_eq!(requests.len(), probes + 1);
    let sent = requests.last().expect("a request");
    assert_eq!(
        (sent.method.as_str(), sent.target.as_str()),
        ("POST", "/v1/chat/completions")
    );
    assert_eq!(sent.key(), Some(key.as_str()));
    assert_eq!(sent.json()["model"], "gpt-4o");

    let row = fixture.app.usage(&fixture.owner, 1).await.remove(0);
    assert_eq!(row["request_id"], request_id.as_str());
    assert_eq!(
        (&row["provider"], &row["model"]),
        (&json!("openai"), &json!("gpt-4o"))
    );
    assert_eq!(
        (&row["key_source"], &row["key_label"]),
        (&json!("byok"), &json!("primary"))
    );
    assert_eq!(row["status"], 200);
    assert_eq!(row["usage"]["input_tokens"], TOKENS.input - TOKENS.cached);
    assert_eq!(row["usage"]["cached_input_tokens"], TOKENS.cached);
    assert_eq!(row["usage"]["output_tokens"], TOKENS.output);
    fixture.finish().await;
}

#[tokio::test]
async fn anthropic_messages_pass_through_with_their_query_and_betas() {
    let fixture = Fixture::start().await;
    let key = fixture.with_anthropic_key().await;
    let caller = fixture
        .app
        .caller("x-api-key", Auth::XApiKey(fixture.owner.api_key.clone()));
    let body = message("claude-haiku-4-5", false).to_string().into_bytes();
    let headers = [
        ("content-type", "application/json"),
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "one-2025-01-01,two-2025-02-02"),
        ("x-stainless-lang", "python"),
        ("cookie", "a=b"),
        ("openai-organization", "org-x"),
        ("x-forwarded-for", "10.0.0.1"),
    ];
    let reply = caller
        .send(
            Method::POST,
            "/v1/messages?beta=true",
            &headers,
            Some(body.clone()),
        )
        .await
        .expect(200);
    assert_eq!(reply.json()["content"][0]["text"], TEXT);
    let sent = fixture.provider.last();
    assert_eq!(sent.target, "/v1/messages?beta=true");
    assert_eq!(
        sent.body, body,
        "a native model name changes no byte of the body"
    );
    assert_eq!(sent.header("x-api-key"), Some(key.as_str()));
    assert_eq!(
        sent.header("anthropic-beta"),
        Some("one-2025-01-01,two-2025-02-02")
    );
    // T129: exactly one credential goes up, and nothing that is not on the list.
    for name in [
        "authorization",
        "cookie",
        "openai-organization",
        "x-forwarded-for",
        "x-stainless-lang",
        "forwarded",
    ] {
        assert_eq!(sent.header(name), None, "{name}");
    }
    let raw = fixture.provider.bytes().concat();
    let ours = fixture.owner.api_key.as_bytes();
    assert!(
        !raw.windows(ours.len()).any(|window| window == ours),
        "our API key went upstream"
    );
    fixture.finish().await;
}

#[tokio::test]
async fn only_the_model_name_of_a_body_changes() {
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    let body = "{ \"messages\":[{\"role\":\"user\",\"content\":\"\\u00e9 \u{1f600}\"}],\n \"x_new\" : 1e2 ,\"model\" :\"openai/gpt-4o\", \"n\":1.0}";
    let headers = [("content-type", "application/json")];
    let send = fixture
        .owner
        .key
        .send(
            Method::POST,
            "/v1/chat/completions",
            &headers,
            Some(body.into()),
        )
        .await;
    send.expect(200);
    let expected = body.replace("openai/gpt-4o", "gpt-4o");
    assert_eq!(
        String::from_utf8(fixture.provider.last().body).expect("UTF-8"),
        expected
    );
    fixture.finish().await;
}

#[tokio::test]
async fn without_a_key_the_answer_is_402_and_names_what_is_missing() {
    let fixture = Fixture::start().await;
    let reply = fixture.chat("gpt-4o").await;
    let reply = reply.expect_error(402, "byok_key_missing");
    assert!(reply.text().contains("openai"), "{}", reply.text());
    let reply = fixture
        .owner
        .key
        .post("/v1/messages", &message("claude-haiku-4-5", false))
        .await
        .expect(402);
    assert_eq!(
        reply.json()["type"],
        "error",
        "an Anthropic client reads its own format"
    );
    assert_eq!(reply.code().as_deref(), Some("byok_key_missing"));
    assert_eq!(fixture.provider.requests().len(), 0);
    // Refused calls are recorded too.
    let rows = fixture.app.usage(&fixture.owner, 2).await;
    assert!(
        rows.iter()
            .all(|row| row["status"] == 402 && row["error_code"] == "byok_key_missing"),
        "{rows:?}"
    );
}

#[tokio::test]
async fn unknown_models_and_wrong_formats_say_so() {
    let fixture = Fixture::start().await;
    fixture.with_anthropic_key().await;
    fixture
        .chat("no-such-model-anywhere")
        .await
        .expect_error(404, "model_not_found");
    let call = serde_json::json!({"model": "claude-haiku-4-5", "input": "hi"});
    let reply = fixture.owner.key.post("/v1/embeddings", &call).await;
    let reply = reply.expect_error(400, "format_not_supported");
    // No other endpoint makes embeddings of it.
    assert!(
        reply.json()["error"]["endpoint"].is_null(),
        "{}",
        reply.text()
    );
    fixture.finish().await;
}

#[tokio::test]
async fn a_workspace_key_comes_before_the_accounts() {
    let fixture = Fixture::start().await;
    let account = fixture.with_openai_key().await;
    let call = || fixture.chat("gpt-4o");
    call().await.expect(200);
    assert_eq!(fixture.provider.last().key(), Some(account.as_str()));
    let workspace = fixture.canary.openai_key();
    let stored = fixture.workspace_key("openai", "team", &workspace).await;
    let reply = call().await.expect(200);
    assert_eq!(fixture.provider.last().key(), Some(workspace.as_str()));
    assert_eq!(reply.header("x-keybearer-key-label"), Some("team"));

    // Disabled, it is passed over; enabled, it serves the very next request; removed, it is gone.
    let path = fixture.path(&format!(
        "/provider-keys/{}",
        stored["id"].as_str().expect("an id")
    ));
    let session = &fixture.owner.person.session;
    session
        .patch(&path, &json!({"enabled": false}))
        .await
        .expect(200);
    call().await.expect(200);
    assert_eq!(fixture.provider.last().key(), Some(account.as_str()));
    session
        .patch(&path, &json!({"enabled": true}))
        .await
        .expect(200);
    call().await.expect(200);
    assert_eq!(fixture.provider.last().key(), Some(workspace.as_str()));
    session.delete(&path).await.expect(200);
    call().await.expect(200);
    assert_eq!(fixture.provider.last().key(), Some(account.as_str()));
    fixture.finish().await;
}

#[tokio::test]
async fn a_workspace_key_serves_no_other_workspace() {
    let fixture = Fixture::start().await;
    let session = &fixture.owner.person.session;
    let other = session
        .post("/api/v1/workspaces", &json!({"name": "Other"}))
        .await
        .expect(201)
        .json();
    let other = other["id"].as_str().expect("an id");
    let caller = fixture
        .app
        .api_key(session, other, &["inference:invoke"])
        .await;
    let key = fixture.canary.openai_key();
    fixture.workspace_key("openai", "primary", &key).await;
    caller
        .post("/v1/chat/completions", &chat("gpt-4o"))
        .await
        .expect_error(402, "byok_key_missing");
    // An account key serves both.
    let account = fixture.with_openai_key().await;
    caller
        .post("/v1/chat/completions", &chat("gpt-4o"))
        .await
        .expect(200);
    assert_eq!(fixture.provider.last().key(), Some(account.as_str()));
    fixture.finish().await;
}

#[tokio::test]
async fn the_model_list_shows_what_the_callers_keys_can_serve() {
    let fixture = Fixture::start().await;
    let list = |reply: testkit::app::Reply| {
        let ids = reply.json()["data"].as_array().expect("a list").clone();
        ids.iter()
            .map(|model| model["id"].as_str().expect("an id").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        list(fixture.owner.key.get("/v1/models").await.expect(200)),
        Vec::<String>::new()
    );
    fixture.with_openai_key().await;
    let models = list(fixture.owner.key.get("/v1/models").await.expect(200));
    assert!(
        !models.is_empty() && models.iter().all(|id| id.starts_with("openai/")),
        "{models:?}"
    );
    fixture
        .owner
        .key
        .get(&format!("/v1/models/{}", models[0]))
        .await
        .expect(200);
    fixture
        .owner
        .key
        .get("/v1/models/anthropic/claude-haiku-4-5")
        .await
        .expect_error(402, "byok_key_missing");
    fixture.finish().await;
}

#[tokio::test]
async fn a_rejected_key_is_reported_on_the_key_and_never_blamed_on_the_caller() {
    let fixture = Fixture::start().await;
    let key = fixture.with_openai_key().await;
    for (status, code) in [(401, "invalid_api_key"), (403, "permission_denied")] {
        // The provider echoes the key, as some do.
        let refusal = chat_error(status, code, &format!("Incorrect API key provided: {key}"));
        fixture.provider.next(refusal);
        let reply = fixture.chat("gpt-4o").await;
        let reply = reply.expect_error(502, "upstream_credentials_exhausted");
        assert_eq!(reply.header("x-keybearer-error-source"), Some("upstream"));
        assert_eq!(reply.json()["error"]["attempts"][0]["label"], "primary");
        assert_eq!(reply.json()["error"]["attempts"][0]["status"], status);
    }
    // Key health is written behind the answer.
    let mut kind = String::new();
    for _ in 0..100 {
        let listed = fixture
            .owner
            .key
            .get("/v1/byok/keys")
            .await
            .expect(200)
            .json();
        kind = listed["data"][0]["last_failure_kind"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if kind == "no_permission" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(kind, "no_permission");
    fixture.finish().await;
}

#[tokio::test]
async fn provider_errors_pass_through_scrubbed_or_become_ours() {
    let fixture = Fixture::start().await;
    let key = fixture.with_openai_key().await;
    let call = || fixture.chat("gpt-4o");
    for status in [400, 404, 422, 429] {
        // T54
        let error =
            chat_error(status, "some_code", &format!("about {key}")).header("retry-after", "7");
        fixture
            .provider
            .next(error.header("x-echo", &key).header("set-cookie", "a=b"));
        let reply = call().await.expect(status);
        assert_eq!(
            reply.code().as_deref(),
            Some("some_code"),
            "{}",
            reply.text()
        );
        assert!(!reply.text().contains(&key[8..24]), "{}", reply.text());
        assert_eq!(reply.header("retry-after"), Some("7"));
        assert_eq!(reply.header("x-keybearer-error-source"), Some("upstream"));
        // T56, T64
        assert_eq!(
            (reply.header("x-echo"), reply.header("set-cookie")),
            (None, None)
        );
    }
    for (status, ours, code) in [
        (500, 502, "upstream_bad_gateway"),
        (503, 503, "upstream_unavailable"),
        (529, 503, "upstream_unavailable"),
    ] {
        let error = chat_error(status, "boom", &format!("about {key}"));
        fixture.provider.always(error);
        call().await.expect_error(ours, code);
    }
    let page = Script::text(200, "text/html", "<script>alert(1)</script>");
    fixture.provider.always(page);
    call().await.expect_error(502, "upstream_invalid_response");
    fixture.provider.always(Script::hang_up());
    let reply = call().await;
    assert!(
        reply.status == 502 || reply.status == 503,
        "{}: {}",
        reply.status,
        reply.text()
    );
    fixture.finish().await;
}

#[tokio::test]
async fn a_key_echoed_in_a_success_is_scrubbed_too() {
    // T55
    let fixture = Fixture::start().await;
    let key = fixture.with_openai_key().await;
    let echo = json!({"choices": [{"message": {"content": format!("your key is {key}, right?")}}]});
    fixture
        .provider
        .next(Script::json(200, &echo).pieces_of(3).chunked());
    let reply = fixture.chat("gpt-4o").await.expect(200);
    let text = reply.json()["choices"][0]["message"]["content"]
        .as_str()
        .expect("a text")
        .to_owned();
    assert!(
        text.starts_with("your key is ") && text.ends_with(", right?"),
        "{text}"
    );
    fixture.finish().await;
}

#[tokio::test]
async fn hostile_usage_is_never_recorded_as_a_number() {
    // T63
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    for usage in [
        r#"{"prompt_tokens":-5,"completion_tokens":1}"#,
        r#"{"prompt_tokens":9223372036854775808,"completion_tokens":1}"#,
        r#"{"prompt_tokens":1e308,"completion_tokens":1}"#,
        r#"{"prompt_tokens":"7","completion_tokens":1}"#,
        r#"null"#,
    ] {
        let body = format!(r#"{{"choices":[],"usage":{usage}}}"#);
        fixture
            .provider
            .next(Script::text(200, "application/json", body.clone()));
        let reply = fixture.chat("gpt-4o").await.expect(200);
        assert_eq!(
            reply.text(),
            body,
            "the bytes pass through whatever they say"
        );
    }
    let rows = fixture.app.usage(&fixture.owner, 5).await;
    // What is recorded instead is our own count, and says so.
    let counted = (chat("gpt-4o").to_string().len() as u64).div_ceil(4);
    for row in &rows {
        assert_eq!(row["pricing"], "estimated", "{row}");
        assert_eq!(row["usage"]["input_tokens"], counted, "{row}");
        assert_eq!(row["usage"]["output_tokens"], 0, "{row}");
    }
    fixture.finish().await;
}
