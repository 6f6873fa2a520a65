//! Any path of a provider, with own keys: it passes as it is, and stays below the base URL that the key is bound to.

use bytes::Bytes;
use domain::policy::Mode;
use domain::price::Pricing;
use http::{HeaderValue, Method, Request};
use http_body_util::Full;

use super::client::Answer;
use super::harness::{Harness, KEY};
use super::payer::{STREAM, managed, priced};
use super::provider::{Provider, Step, chunk};

async fn owner() -> (Harness, Provider) {
    let harness = priced().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    provider.says(r#"{"id":"ft-1"}"#);
    (harness, provider)
}

/// A request without a body.
fn bare(harness: &Harness, method: Method, path: &str) -> Request<Full<Bytes>> {
    let mut request = harness.request(method, path, "");
    request.headers_mut().remove("content-type");
    request
}

async fn send(harness: &Harness, method: Method, path: &str) -> Answer {
    harness.send(bare(harness, method, path)).await
}

#[tokio::test]
async fn every_method_and_body_passes_byte_for_byte_with_the_providers_key() {
    let (harness, provider) = owner().await;
    for method in crate::pass::METHODS {
        let mut request = harness.request(
            method.clone(),
            "/providers/openai/fine_tuning/jobs/ft-1?limit=2&after=a%20b&api_key=sk-1",
            "\u{0}not JSON",
        );
        let media_type = HeaderValue::from_static("application/x-ndjson; a=b");
        request.headers_mut().insert("content-type", media_type);
        let answer = harness.send(request).await;
        assert_eq!(
            (answer.status, &answer.body[..]),
            (200, &br#"{"id":"ft-1"}"#[..])
        );
        assert_eq!(answer.header("x-keybearer-provider"), "openai");
        assert_eq!(answer.header("x-keybearer-key-source"), "byok");
        assert!(!answer.headers.contains_key("x-keybearer-model"));
        let (head, body) = provider.requests().pop().expect("a request");
        let line = format!("{method} /base/fine_tuning/jobs/ft-1?limit=2&after=a%20b HTTP/1.1\r\n");
        assert!(head.starts_with(&line), "{head}");
        assert!(
            head.contains(&format!("\r\nauthorization: Bearer {KEY}\r\n")),
            "{head}"
        );
        assert!(
            head.contains("\r\ncontent-type: application/x-ndjson; a=b\r\n"),
            "{head}"
        );
        assert!(!head.contains(&harness.api_key));
        assert_eq!(body, b"\0not JSON");
    }
    let rows = harness.usage().await;
    assert_eq!(rows.len(), crate::pass::METHODS.len());
    for row in rows {
        let written = (row.operation.as_str(), row.wire_format.as_str(), row.status);
        assert_eq!(written, ("passthrough", "openai_chat", 200));
        let money = (row.usage, row.cost, row.pricing);
        assert_eq!(money, (None, None, Some(Pricing::Unpriced)));
        assert_eq!((row.model, row.model_requested), (None, String::new()));
    }
}

#[tokio::test]
async fn a_path_that_leads_elsewhere_is_refused_and_metered_once() {
    let (harness, provider) = owner().await;
    let paths = [
        "/../admin",
        "/a/../../b",
        "/a//b",
        "//evil.test/",
        "/a/%2e%2e/b",
        "/a%2fb",
        "/a%5cb",
        "/a/./b",
        "/a%00b",
        "/a%0d%0ahost:%20evil",
        "/chat/%63ompletions",
        "/chat%5Fcompletions",
        "/",
    ];
    for path in paths {
        let path = format!("/providers/openai{path}");
        let answer = send(&harness, Method::GET, &path).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "invalid_path"),
            "{path}"
        );
    }
    for path in [
        "/realtime/client_secrets",
        "/v1/Realtime/sessions/",
        "/organization/admin_api_keys",
        "/v1/organizations/api_keys",
        "/keys",
        "/v1/auth/keys",
        "/v1/chatkit/sessions",
        "/auth_tokens",
    ] {
        let path = format!("/providers/openai{path}");
        let answer = send(&harness, Method::POST, &path).await;
        let refused = (answer.status, answer.code());
        assert_eq!(refused, (403, "path_closed".to_owned()), "{path}");
    }
    for path in [
        "/providers/nobody/a",
        "/providers/../a",
        "/providers/OpenAI/a",
        "/providers//a",
    ] {
        let answer = send(&harness, Method::GET, path).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "unknown_provider"),
            "{path}"
        );
    }
    let mut upgrade = bare(&harness, Method::GET, "/providers/openai/realtime");
    for (name, value) in [("connection", "upgrade"), ("upgrade", "websocket")] {
        upgrade
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    let answer = harness.send(upgrade).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "upgrade_not_supported")
    );
    let answer = send(&harness, Method::OPTIONS, "/providers/openai/a").await;
    assert_eq!(
        (answer.status, answer.header("allow")),
        (405, crate::pass::ALLOW)
    );
    assert_eq!(provider.hits(), 0);
    assert_eq!(harness.usage().await.len(), paths.len() + 8 + 4 + 1);
}

#[tokio::test]
async fn answers_of_any_media_type_pass_without_the_key_and_without_power() {
    let (harness, provider) = owner().await;
    let page = format!("<script>{KEY}</script>");
    provider.answers(
        200,
        &[("content-type", "text/html"), ("set-cookie", "a=b")],
        page.as_bytes(),
    );
    let answer = send(&harness, Method::GET, "/providers/openai/page").await;
    assert_eq!(answer.body, "<script>[redacted]</script>");
    assert_eq!(answer.header("content-type"), "text/html");
    assert_eq!(
        answer.header("content-security-policy"),
        "sandbox; default-src 'none'"
    );
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert!(!answer.headers.contains_key("set-cookie"));
    provider.answers(204, &[], b"");
    let answer = send(&harness, Method::DELETE, "/providers/openai/files/a").await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert!(!answer.headers.contains_key("content-type"));
    provider.answers(302, &[("location", "https://evil.test")], b"");
    let answer = send(&harness, Method::GET, "/providers/openai/page").await;
    assert_eq!(answer.code(), "upstream_redirect");
    provider.answers(
        200,
        &[("content-type", "text/plain"), ("content-encoding", "gzip")],
        b"x",
    );
    let answer = send(&harness, Method::GET, "/providers/openai/page").await;
    assert_eq!(answer.code(), "upstream_invalid_response");
    // A stream of whatever kind passes at once.
    let steps = [STREAM.into(), chunk(": hello\n\n"), b"0\r\n\r\n".to_vec()];
    provider.script(steps.map(Step::Send).into());
    let answer = send(&harness, Method::GET, "/providers/openai/events").await;
    assert_eq!(answer.body, ": hello\n\n");
}

#[tokio::test]
async fn a_known_path_is_read_and_metered_as_its_format() {
    let (harness, provider) = owner().await;
    provider.says(super::payer::REPORT);
    let path = "/providers/openai/chat/completions";
    let call = r#"{"model":"gpt-x","messages":[]}"#;
    let answer = harness
        .send(harness.request(Method::POST, path, call))
        .await;
    assert_eq!(
        (answer.status, answer.header("x-keybearer-model")),
        (200, "gpt-x")
    );
    let (_, body) = provider.requests().pop().expect("a request");
    assert_eq!(body, call.as_bytes());
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(
        (row.operation.as_str(), row.model.as_deref()),
        ("passthrough", Some("gpt-x"))
    );
    let usage = row.usage.expect("metered");
    assert_eq!((usage.input_tokens, usage.output_tokens), (10, 2));
    assert_eq!(row.pricing, Some(Pricing::Priced));
    // Also where a lenient provider takes another spelling for the same path.
    for path in ["/chat/completions/", "/v1/chat/completions"] {
        let path = format!("/providers/openai{path}");
        let request = harness.request(Method::POST, &path, call);
        assert_eq!(harness.send(request).await.status, 200);
        let row = harness.usage().await.pop().expect("a row");
        assert!(row.usage.is_some(), "{path}");
    }
    // What is not of the format is refused, as at the endpoint itself. There is nobody else to turn to here, and the
    // provider shall not choose by a list.
    let several = r#"{"model":"gpt-x","models":["gpt-y"],"messages":[]}"#;
    let sent = provider.hits();
    for (body, status) in [
        (r#"{"model":"a","model":"b"}"#, 400),
        ("junk", 400),
        (several, 400),
        (r#"{"models":["gpt-x","gpt-y"],"messages":[]}"#, 400),
    ] {
        let answer = harness
            .send(harness.request(Method::POST, path, body))
            .await;
        assert_eq!(answer.status, status);
    }
    let answer = harness
        .send(harness.request(Method::POST, path, several))
        .await;
    assert_eq!(answer.json()["error"]["field"], "models");
    assert_eq!(provider.hits(), sent);
    assert_eq!(send(&harness, Method::POST, path).await.status, 415);
    // The same path by another method is no call of the format.
    provider.says(r#"{"usage":{"prompt_tokens":9,"completion_tokens":9}}"#);
    assert_eq!(send(&harness, Method::GET, path).await.status, 200);
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!((row.usage, row.model), (None, None));
}

#[tokio::test]
async fn credits_never_pay_and_lists_of_models_are_not_passed_by() {
    let (harness, openai, _) = managed().await;
    for (method, path) in [
        (Method::GET, "/providers/openai/a"),
        (Method::GET, "/v1/files"),
    ] {
        let answer = send(&harness, method, path).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (403, "byok_required")
        );
        assert_eq!(answer.json()["error"]["layer"], "endpoint");
    }
    harness.consents().await;
    harness.mode(Mode::Auto).await;
    assert_eq!(
        send(&harness, Method::GET, "/providers/openai/a")
            .await
            .code(),
        "byok_key_missing"
    );
    let (_, own) = harness.own("one", |_| {}).await;
    own.fails(401);
    let answer = send(&harness, Method::GET, "/providers/openai/a").await;
    assert_eq!(answer.code(), "upstream_credentials_exhausted");
    assert_eq!(openai.hits(), 0);
    // Where the instance opens some models only, a request that names none is not served.
    own.says("{}");
    harness
        .settings(|settings| {
            let switch = serde_json::from_str(r#"{"enabled":true,"byok":true,"models":["gpt-x"]}"#);
            let openai = "openai".parse().expect("an id");
            settings.providers.insert(openai, switch.expect("a switch"));
        })
        .await;
    let hits = own.hits();
    assert_eq!(
        send(&harness, Method::GET, "/providers/openai/a")
            .await
            .code(),
        "unknown_provider"
    );
    for (model, status) in [("gpt-x", 200), ("gpt-y", 404)] {
        let body = format!(r#"{{"model":"{model}"}}"#);
        let path = "/providers/openai/chat/completions";
        let answer = harness
            .send(harness.request(Method::POST, path, &body))
            .await;
        assert_eq!(answer.status, status, "{model}");
    }
    assert_eq!(own.hits(), hits + 1);
}

#[tokio::test]
async fn where_unknown_prices_are_refused_no_unknown_call_passes() {
    let (harness, provider) = owner().await;
    harness
        .settings(|settings| {
            settings.unpriced_byok = domain::settings::Unpriced::Block;
            settings.prices = vec![super::payer::price("openai", "*", super::payer::PRICE)];
        })
        .await;
    let answer = send(&harness, Method::GET, "/providers/openai/a").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (402, "price_unknown")
    );
    assert_eq!(provider.hits(), 0);
    let call = r#"{"model":"gpt-x"}"#;
    let path = "/providers/openai/chat/completions";
    let answer = harness
        .send(harness.request(Method::POST, path, call))
        .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn what_may_have_been_done_is_not_done_twice() {
    let (harness, first) = owner().await;
    let (_, second) = harness.own("two", |record| record.position = 1).await;
    let path = "/providers/openai/fine_tuning/jobs";
    for (method, status, first_hits, second_hits) in [
        // The provider may have made the job before it failed.
        (Method::POST, 500, 1, 0),
        (Method::PATCH, 503, 1, 0),
        // It did nothing with a key that it turned away or limits.
        (Method::POST, 429, 1, 1),
        (Method::POST, 401, 1, 1),
        // Asking twice is asking.
        (Method::GET, 500, 2, 1),
        (Method::DELETE, 503, 2, 1),
        // What the request is told is told.
        (Method::GET, 404, 1, 0),
    ] {
        let before = (first.hits(), second.hits());
        first.fails(status);
        second.says("{}");
        send(&harness, method.clone(), path).await;
        let hits = (first.hits() - before.0, second.hits() - before.1);
        assert_eq!(hits, (first_hits, second_hits), "{method} {status}");
        // A key that was limited or failed rests for a while.
        harness.advance(3_600_000);
    }
}

#[tokio::test]
async fn what_never_left_is_sent_with_another_key() {
    let harness = priced().await;
    let (mut gone, second) = (harness.provider.clone(), harness.provider.clone());
    // Nobody listens there.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    gone.address = free.local_addr().expect("an address");
    drop(free);
    let owner = domain::KeyOwner::Workspace(harness.workspace);
    let first = harness.record_of(owner, "openai", "one", &gone).await;
    harness.put(&first).await;
    let mut other = harness.record("openai", "two").await;
    other.position = 1;
    harness.put(&other).await;
    second.says("{}");
    let path = "/providers/openai/batches/b/cancel";
    let answer = send(&harness, Method::POST, path).await;
    assert_eq!(
        (answer.status, answer.header("x-keybearer-key-label")),
        (200, "two")
    );
    assert_eq!(second.hits(), 1);
}

#[tokio::test]
async fn keys_that_share_the_load_take_no_turns() {
    let harness = priced().await;
    let share = |record: &mut domain::record::ProviderKeyRecord| record.level = Some(1);
    let (_, first) = harness.own("one", share).await;
    let (_, second) = harness.own("two", share).await;
    first.says("{}");
    second.says("{}");
    for _ in 0..4 {
        assert_eq!(
            send(&harness, Method::GET, "/v1/files/file-1").await.status,
            200
        );
    }
    assert!((first.hits(), second.hits()) == (4, 0) || (first.hits(), second.hits()) == (0, 4));
}

#[tokio::test]
async fn the_link_to_the_results_of_a_batch_leads_back_here() {
    let harness = Harness::start().await;
    harness.bring("anthropic").await;
    let batch = |base: &str| {
        format!(r#"{{"id": "b", "results_url": "{base}/v1/messages/batches/b/results"}}"#)
    };
    let theirs = format!("http://{}/base", harness.provider.address);
    harness.provider.says(&batch(&theirs));
    for path in [
        "/v1/messages/batches/b",
        "/providers/anthropic/v1/messages/batches/b",
    ] {
        let answer = send(&harness, Method::GET, path).await;
        assert_eq!(String::from_utf8_lossy(&answer.body), batch(""), "{path}");
    }
    // Nothing else is looked through.
    let answer = send(&harness, Method::GET, "/providers/anthropic/v1/files/b").await;
    assert_eq!(String::from_utf8_lossy(&answer.body), batch(&theirs));
    harness.provider.says(&batch("https://elsewhere.example"));
    let answer = send(&harness, Method::GET, "/v1/messages/batches/b").await;
    let elsewhere = batch("https://elsewhere.example");
    assert_eq!(String::from_utf8_lossy(&answer.body), elsewhere);
}

#[tokio::test]
async fn files_and_batches_go_to_the_provider_whose_they_are() {
    let harness = Harness::start().await;
    for provider in ["openai", "anthropic", "brave"] {
        harness.bring(provider).await;
    }
    harness.provider.says("{}");
    let openai = format!("authorization: Bearer {KEY}\r\n");
    let anthropic = format!("x-api-key: {KEY}\r\n");
    let brave = format!("x-subscription-token: {KEY}\r\n");
    for (path, header, key, passed) in [
        (
            "/v1/files?purpose=batch",
            None,
            &openai,
            "/base/v1/files?purpose=batch",
        ),
        (
            "/v1/files/f/content",
            Some(("anthropic-version", "2023-06-01")),
            &anthropic,
            "/base/v1/files/f/content",
        ),
        (
            "/v1/files",
            Some(("x-keybearer-provider", "anthropic")),
            &anthropic,
            "/base/v1/files",
        ),
        ("/v1/batches/b", None, &openai, "/base/v1/batches/b"),
        (
            "/v1/messages/batches",
            None,
            &anthropic,
            "/base/v1/messages/batches",
        ),
        (
            "/v1/messages/batches/b/results",
            None,
            &anthropic,
            "/base/v1/messages/batches/b/results",
        ),
        (
            "/brave/res/v1/web/search?q=a",
            None,
            &brave,
            "/base/res/v1/web/search?q=a",
        ),
    ] {
        let mut request = bare(&harness, Method::GET, path);
        if let Some((name, value)) = header {
            request
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        let answer = harness.send(request).await;
        assert_eq!(answer.status, 200, "{path}");
        let (head, _) = harness.provider.requests().pop().expect("a request");
        assert!(
            head.starts_with(&format!("GET {passed} HTTP/1.1\r\n")),
            "{head}"
        );
        assert!(head.contains(key.as_str()), "{path}: {head}");
    }
    let mut request = bare(&harness, Method::GET, "/v1/files");
    for value in ["openai", "anthropic"] {
        request
            .headers_mut()
            .append("x-keybearer-provider", HeaderValue::from_static(value));
    }
    assert_eq!(harness.send(request).await.code(), "invalid_request");
    // Brave's own clients present a key in Brave's header.
    let mut request = bare(&harness, Method::GET, "/brave/res/v1/web/search?q=a");
    request.headers_mut().remove("authorization");
    let key = HeaderValue::from_str(&harness.api_key).expect("a value");
    request.headers_mut().insert("x-subscription-token", key);
    assert_eq!(harness.send(request).await.status, 200);
}

#[tokio::test]
async fn a_key_of_the_account_serves_no_path_of_which_nothing_is_known() {
    let harness = priced().await;
    let account = domain::KeyOwner::Account(harness.account);
    for provider in ["openai", "brave"] {
        let key = harness.record_of(account, provider, "shared", &harness.provider);
        harness.put(&key.await).await;
    }
    harness.provider.says(super::payer::REPORT);
    for (method, path) in [
        (Method::GET, "/providers/openai/fine_tuning/jobs"),
        (Method::GET, "/providers/openai/models"),
        (Method::GET, "/v1/files"),
        (Method::DELETE, "/v1/files/file-1"),
        (Method::GET, "/v1/responses/resp_1"),
    ] {
        let answer = send(&harness, method, path).await;
        let refused = (answer.status, answer.code());
        assert_eq!(refused, (402, "workspace_key_missing".to_owned()), "{path}");
        let error = &answer.json()["error"];
        assert_eq!(error["providers"][0], "openai");
        let link = format!("/api/v1/workspaces/{}/provider-keys", harness.workspace);
        assert_eq!(error["link"], link);
    }
    assert_eq!(harness.provider.hits(), 0);
    // A format's path is known, and so are those that the provider's file says may be shared.
    let path = "/providers/openai/chat/completions";
    let call = harness.request(Method::POST, path, r#"{"model":"gpt-x"}"#);
    assert_eq!(harness.send(call).await.status, 200);
    let answer = send(&harness, Method::GET, "/brave/res/v1/web/search?q=a").await;
    assert_eq!(answer.status, 200);
    let answer = send(&harness, Method::GET, "/brave/account").await;
    assert_eq!(answer.code(), "workspace_key_missing");
    // With a key of the workspace that one alone is asked.
    let (_, own) = harness.own("own", |_| {}).await;
    own.fails(429);
    let hits = harness.provider.hits();
    let answer = send(&harness, Method::GET, "/v1/files").await;
    assert_ne!(answer.status, 200);
    assert_eq!((own.hits(), harness.provider.hits()), (1, hits));
    own.says("{}");
    harness.advance(3_600_000);
    let answer = send(&harness, Method::GET, "/v1/files").await;
    assert_eq!(
        (answer.status, answer.header("x-keybearer-key-label")),
        (200, "own")
    );
}

#[tokio::test]
async fn what_a_file_is_called_passes_and_no_part_of_it_can_be_asked_for() {
    let (harness, provider) = owner().await;
    let named = format!("attachment; filename=\"{KEY}.txt\"");
    let said = [
        ("content-type", "text/plain"),
        ("content-disposition", named.as_str()),
        ("etag", "\"e1\""),
        ("last-modified", "Sun, 29 Nov 2026 00:00:00 GMT"),
        ("set-cookie", "a=b"),
    ];
    provider.answers(200, &said, b"text");
    let path = "/providers/openai/files/file-1/content";
    let mut request = bare(&harness, Method::GET, path);
    let range = HeaderValue::from_static("bytes=0-3");
    request.headers_mut().insert("range", range);
    let answer = harness.send(request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("etag"), "\"e1\"");
    assert_eq!(
        answer.header("last-modified"),
        "Sun, 29 Nov 2026 00:00:00 GMT"
    );
    let called = answer.header("content-disposition");
    assert!(
        called.starts_with("attachment; filename=") && !called.contains(KEY),
        "{called}"
    );
    assert!(!answer.headers.contains_key("set-cookie"));
    let (head, _) = provider.requests().pop().expect("a request");
    assert!(!head.to_lowercase().contains("\r\nrange:"), "{head}");
}
