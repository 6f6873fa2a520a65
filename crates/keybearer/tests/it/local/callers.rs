//! Who may call: programs of this machine, with any placeholder; no page of another site.

use testkit::app::Auth;

use super::Local;
use crate::{builder, chat};

async fn with_openai(arguments: &[&str]) -> Local {
    Local::start_with(|builder, canary| {
        builder
            .arguments(arguments)
            .env("OPENAI_API_KEY", &canary.openai_key())
    })
    .await
}

#[tokio::test]
async fn any_placeholder_is_taken_and_what_claims_to_be_ours_must_be_valid() {
    let local = with_openai(&["local"]).await;
    let path = "/v1/chat/completions";
    let bearer = |text: &str| Auth::Bearer(text.to_owned());
    for auth in [
        Auth::None,
        bearer("local"),
        bearer("sk-proj-something-that-a-shell-had"),
        Auth::XApiKey("x".to_owned()),
        bearer(&local.api_key()),
    ] {
        let caller = local.app.caller("somebody", auth);
        caller.post(path, &chat("gpt-4o")).await.expect(200);
    }
    let unknown = "kb_0000000000000000000000000000000000000000000000000000000000";
    for text in ["kb_", "kb_local", unknown] {
        let caller = local.app.caller("somebody", bearer(text));
        let reply = caller.post(path, &chat("gpt-4o")).await;
        reply.expect_error(401, "api_key_invalid");
    }
    // The control plane asks for the owner's key all the same.
    let anonymous = local.app.anonymous();
    let usage = local.path("/usage");
    anonymous.get(&usage).await.expect(401);
    // Calls without a key are the owner's, in the books, too.
    let owner = local.app.caller("owner", bearer(&local.api_key()));
    let mut rows = 0;
    for _ in 0..100 {
        let body = owner.get(&usage).await.expect(200).json();
        rows = body["data"].as_array().map_or(0, Vec::len);
        if rows == 5 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(rows, 5);
    local.finish().await;
}

#[tokio::test]
async fn what_a_page_of_another_site_can_send_is_refused() {
    // T179
    let local = with_openai(&["local"]).await;
    let body = chat("gpt-4o").to_string();
    let own = local.app.url();
    let own = own.strip_prefix("http://").expect("an address");
    let port = own.rsplit(':').next().expect("a port");
    let send = async |host: &str, more: &str| {
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n{more}\r\n{body}",
            body.len()
        );
        let reply = local.app.raw(request.as_bytes()).await;
        String::from_utf8_lossy(&reply).into_owned()
    };
    let served = |reply: &str| reply.starts_with("HTTP/1.1 200");
    let refused =
        |reply: &str| reply.starts_with("HTTP/1.1 403") && reply.contains("cross_site_request");
    for more in ["", "origin: http://localhost:5173\r\n"] {
        let reply = send(own, more).await;
        assert!(served(&reply), "{more}: {reply}");
    }
    for more in [
        "origin: https://evil.test\r\n",
        "origin: null\r\n",
        "sec-fetch-site: cross-site\r\n",
        "origin: https://evil.test\r\nauthorization: Bearer local\r\n",
    ] {
        let reply = send(own, more).await;
        assert!(refused(&reply), "{more}: {reply}");
    }
    let reply = send(&format!("evil.test:{port}"), "").await;
    assert!(refused(&reply), "{reply}");
    // Whoever has the API key is no stranger.
    let key = format!(
        "origin: https://page.test\r\nauthorization: Bearer {}\r\n",
        local.api_key()
    );
    assert!(served(&send(own, &key).await));
    assert_eq!(local.provider.requests().len(), 3);
    local.finish().await;
}

#[tokio::test]
async fn with_require_key_nobody_calls_without_it() {
    let local = with_openai(&["local", "--require-key"]).await;
    local
        .chat("gpt-4o")
        .await
        .expect_error(401, "api_key_missing");
    let caller = local.app.caller("somebody", Auth::Bearer("local".into()));
    let reply = caller.post("/v1/chat/completions", &chat("gpt-4o")).await;
    reply.expect_error(401, "api_key_invalid");
    let owner = local.app.caller("owner", Auth::Bearer(local.api_key()));
    owner
        .post("/v1/chat/completions", &chat("gpt-4o"))
        .await
        .expect(200);
    local.finish().await;
}

#[tokio::test]
async fn it_listens_at_loopback_only() {
    for (name, value) in [
        ("KEYBEARER_LISTEN", "0.0.0.0:0"),
        ("KEYBEARER_LISTEN", "[::]:0"),
        ("KEYBEARER_LISTEN", "192.0.2.1:4356"),
        ("KEYBEARER_PUBLIC_URL", "https://ai.example.com"),
    ] {
        let builder = builder().arguments(&["local"]).env(name, value);
        let exit = builder.try_start().await.err().expect("it does not start");
        assert!(exit.says("local mode"), "{exit}");
    }
}
