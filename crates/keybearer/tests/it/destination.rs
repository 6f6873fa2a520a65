//! Where a key may be sent: vetted at save and at dial, and bound to the key.

use serde_json::json;
use testkit::provider::{Script, ScriptedProvider};
use testkit::sealing::BoxContext;

use crate::{Fixture, chat};

impl Fixture {
    async fn submit_with_base_url(&self, base_url: &str, label: &str) -> testkit::app::Reply {
        let instance = self
            .app
            .anonymous()
            .get("/api/v1/instance")
            .await
            .expect(200)
            .json();
        let node = instance["deployment_id"].as_str().expect("an id");
        let sealing_key = self.app.sealing_key(&self.owner.key).await;
        let context = BoxContext::now(node, &self.owner.workspace, "openai", base_url);
        let body = json!({
            "provider": "openai", "label": label, "base_url": base_url, "kek_id": sealing_key.kek_id,
            "ciphertext_b64": sealing_key.seal_v1(&self.canary.openai_key(), &context),
        });
        self.owner
            .person
            .session
            .post(&self.path("/provider-keys"), &body)
            .await
    }
}

#[tokio::test]
async fn addresses_that_are_not_public_are_refused() {
    // T36, T37, T47, T48: nothing is allowed but the port of our own provider's network.
    let fixture = Fixture::start_with(|builder| {
        builder
            .env("KEYBEARER_CUSTOM_BASE_URLS", "true")
            .env("KEYBEARER_ALLOW_ADDRESSES", "127.0.0.1/32")
    })
    .await;
    let seen = fixture.provider.requests().len();
    let port = fixture.provider.address().port();
    for (index, host) in [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "127.0.0.2",
        "[::1]",
        "[::]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fc00::1]",
        "[fe80::1]",
        "2130706433",
        "0x7f.2",
        "017700000002",
        "127.2",
        "metadata.google.internal",
        "localhost.",
        "x.localhost",
    ]
    .iter()
    .enumerate()
    {
        let reply = fixture
            .submit_with_base_url(&format!("https://{host}/v1"), &format!("a{index}"))
            .await;
        let refused = matches!(
            (reply.status, reply.code().as_deref()),
            (422, Some("invalid_base_url" | "probe_failed")) | (503, Some("probe_unreachable"))
        );
        assert!(refused, "{host}: {} {}", reply.status, reply.text());
    }
    for (index, url) in [
        format!("http://example.com:{port}/v1"),
        "ftp://example.com".to_owned(),
        "file:///etc/passwd".to_owned(),
        "https://user:password@example.com".to_owned(),
        "https://example.com/v1?key=x".to_owned(),
        "https://example.com/v1#x".to_owned(),
        "https:\\\\example.com".to_owned(),
        "https://exa\tmple.com".to_owned(),
        "https://example.com:22".to_owned(),
        "https://example.com:0".to_owned(),
        "https://example.com:65536".to_owned(),
        "https://".to_owned(),
        "env:HOME".to_owned(),
        "${HOME}".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let reply = fixture
            .submit_with_base_url(url, &format!("b{index}"))
            .await;
        assert_eq!(
            (reply.status, reply.code().as_deref()),
            (422, Some("invalid_base_url")),
            "{url}: {}",
            reply.text()
        );
    }
    assert_eq!(fixture.provider.requests().len(), seen);
    fixture.finish().await;
}

#[tokio::test]
async fn an_allowed_base_url_of_ones_own_serves_and_needs_a_bound_box() {
    let fixture =
        Fixture::start_with(|builder| builder.env("KEYBEARER_CUSTOM_BASE_URLS", "true")).await;
    let elsewhere = ScriptedProvider::start_on([127, 0, 0, 2].into());
    let base_url = format!("{}/v1", elsewhere.url());
    let reply = fixture
        .submit_with_base_url(&base_url, "primary")
        .await
        .expect(201)
        .json();
    assert_eq!(reply["base_url"], base_url.as_str());
    let seen = fixture.provider.requests().len();
    fixture.chat("gpt-4o").await.expect(200);
    assert_eq!(elsewhere.requests().len(), 2, "the probe and the call");
    assert_eq!(fixture.provider.requests().len(), seen);
    // T23: a raw box with a base URL is refused before anything is sent.
    let sealing_key = fixture.app.sealing_key(&fixture.owner.key).await;
    let mut raw = sealing_key.submission("openai", &fixture.canary.openai_key());
    raw["api_base"] = json!(base_url);
    fixture
        .owner
        .key
        .post("/v1/byok/keys", &raw)
        .await
        .expect_error(422, "invalid_sealed_box");
    assert_eq!(elsewhere.requests().len(), 2);
    fixture.finish().await;
}

#[tokio::test]
async fn a_registry_provider_on_a_private_address_is_not_dialed() {
    let provider = ScriptedProvider::start();
    let builder = crate::builder().provider("openai", &provider);
    let mut app = {
        let mut builder = builder;
        builder.remove_env("KEYBEARER_ALLOW_ADDRESSES");
        builder.start().await
    };
    let owner = app.setup().await;
    let canary = testkit::canary::Canary::new();
    app.submit(&owner.key, "openai", &canary.openai_key())
        .await
        .expect_error(503, "probe_unreachable");
    assert_eq!(provider.connections(), 0);
    app.terminate().await;
    app.assert_no_leak(&canary).await;
}

#[tokio::test]
async fn proxies_of_the_environment_are_ignored() {
    // T41
    let sink = ScriptedProvider::start();
    let url = sink.url();
    let fixture = Fixture::start_with(|mut builder| {
        for name in [
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "http_proxy",
            "https_proxy",
            "all_proxy",
        ] {
            builder.set_env(name, &url);
        }
        builder
    })
    .await;
    fixture.with_openai_key().await;
    fixture.chat("gpt-4o").await.expect(200);
    assert_eq!(sink.connections(), 0);
    fixture.finish().await;
}

#[tokio::test]
async fn redirects_are_never_followed() {
    // T42
    let fixture = Fixture::start().await;
    fixture.with_openai_key().await;
    let elsewhere = ScriptedProvider::start();
    let other = elsewhere.url();
    for status in [300, 301, 302, 303, 304, 305, 307, 308] {
        for location in [
            format!("{other}/v1"),
            "//127.0.0.1/x".to_owned(),
            "/v1/other".to_owned(),
        ] {
            fixture.provider.next(Script::redirect(status, &location));
            let seen = fixture.provider.requests().len();
            let reply = fixture.chat("gpt-4o").await;
            let reply = reply.expect_error(502, "upstream_redirect");
            assert!(!reply.text().contains(&location) && reply.header("location").is_none());
            assert_eq!(fixture.provider.requests().len(), seen + 1);
        }
    }
    assert_eq!(elsewhere.connections(), 0);
    fixture.finish().await;
}

#[tokio::test]
async fn a_call_cannot_say_where_it_goes() {
    // T45, T50, T51
    let fixture = Fixture::start().await;
    let key = fixture.with_openai_key().await;
    let elsewhere = ScriptedProvider::start();
    let mut body = chat("gpt-4o");
    for name in ["base_url", "api_base", "custom_host", "user_config"] {
        body[name] = json!(elsewhere.url());
    }
    body["api_key"] = json!("sk-somebody-elses");
    let headers = [
        ("content-type", "application/json"),
        ("x-base-url", "http://127.0.0.1:1"),
        ("x-custom-host", "http://127.0.0.1:1"),
        ("api-base", "http://127.0.0.1:1"),
    ];
    let path = "/v1/chat/completions?api_base=http://127.0.0.1:1&key=abc";
    let sent = Some(body.to_string().into_bytes());
    fixture
        .owner
        .key
        .send(http::Method::POST, path, &headers, sent)
        .await
        .expect(200);
    assert_eq!(elsewhere.connections(), 0);
    let got = fixture.provider.last();
    assert_eq!(got.target, "/v1/chat/completions");
    assert_eq!(got.key(), Some(key.as_str()));
    for name in ["x-base-url", "x-custom-host", "api-base"] {
        assert_eq!(got.header(name), None);
    }
    assert!(
        fixture
            .provider
            .requests()
            .iter()
            .all(|request| !request.target.contains("key="))
    );
    fixture.finish().await;
}
