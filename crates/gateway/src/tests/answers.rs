//! Hostile and failing providers.

use domain::key::FailureKind;
use vault::ProbeFailure;

use super::client::Answer;
use super::harness::{Harness, KEY};
use super::provider::{Provider, Step};

const JSON: (&str, &str) = ("content-type", "application/json");
const CALL: &str = r#"{"model":"gpt-x"}"#;

fn verdict(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

#[tokio::test]
async fn redirects_are_never_followed() {
    // T42, T43
    let harness = Harness::start().await;
    let record = harness.bring("openai").await;
    let evil = Provider::start().await;
    evil.says("{}");
    let data_key = harness.data_key().await;
    let probe = harness.gateway.probe();
    for status in [300, 301, 302, 303, 304, 305, 306, 307, 308] {
        for target in [
            format!("http://{}/x", evil.address),
            format!("//{}/x", evil.address),
            format!("http://user:pass@{}/", evil.address),
            "/other".to_owned(),
            "https://example.com/".to_owned(),
        ] {
            let refresh = format!("0; url={target}");
            harness.provider.answers(
                status,
                &[("location", &target), ("refresh", &refresh), JSON],
                b"",
            );
            let answer = harness.chat(CALL).await;
            assert_eq!(
                verdict(&answer),
                (502, "upstream_redirect".to_owned()),
                "{status} {target}"
            );
            assert_eq!(answer.header("location"), "");
            assert_eq!(answer.header("x-keybearer-error-source"), "upstream");
        }
        let probed = probe
            .probe(&record.envelope, &record.context, &data_key)
            .await;
        assert_eq!(probed, Err(ProbeFailure::Unreachable), "{status}");
    }
    assert_eq!(evil.seen.lock().expect("no panic").connections, 0);
    assert_eq!(harness.provider.requests().len(), 9 * 6);
}

#[tokio::test]
async fn a_refused_provider_key_is_never_the_clients_fault() {
    // T54
    let harness = Harness::start().await;
    let record = harness.bring("openai").await;
    for (status, body, kind) in [
        (401, r#"{"error":{"code":"x"}}"#, FailureKind::InvalidKey),
        (403, r#"{"error":{"code":"x"}}"#, FailureKind::NoPermission),
        (402, r#"{"error":{"code":"x"}}"#, FailureKind::NoQuota),
        (
            400,
            r#"{"error":{"code":"invalid_api_key"}}"#,
            FailureKind::InvalidKey,
        ),
    ] {
        let body = body.replace('x', KEY);
        harness.provider.answers(
            status,
            &[JSON, ("www-authenticate", "Basic")],
            body.as_bytes(),
        );
        let answer = harness.chat(CALL).await;
        assert_eq!(
            verdict(&answer),
            (502, "upstream_credentials_exhausted".to_owned())
        );
        let hint = answer.json()["error"]["hint"].to_string();
        assert!(hint.contains("`attempts`"), "{hint}");
        let attempt = &answer.json()["error"]["attempts"][0];
        assert_eq!(attempt["status"], status);
        assert_eq!(attempt["kind"], kind.as_str());
        assert_eq!(
            (attempt["provider"].as_str(), attempt["label"].as_str()),
            (Some("openai"), Some("primary"))
        );
        assert_eq!(answer.header("x-keybearer-error-source"), "upstream");
        assert_eq!(answer.header("x-keybearer-key-label"), "primary");
        assert_eq!(answer.header("x-should-retry"), "false");
        assert!(!String::from_utf8_lossy(&answer.body).contains("Zk3"));
        let row = harness.usage().await.pop().expect("a row");
        assert_eq!(
            (row.status, row.upstream_status),
            (502, Some(i64::from(status)))
        );
        let failure = harness.stored(&record).await.last_failure.expect("noted");
        assert_eq!(failure.1, kind);
    }
}

#[tokio::test]
async fn the_clients_own_errors_pass_in_the_providers_words_without_the_key() {
    // T54
    let harness = Harness::start().await;
    harness.bring("openai").await;
    for status in [400, 404, 409, 413, 422, 429] {
        let escaped = KEY.replace('/', "\\/");
        let encoded = KEY.replace('/', "%2F").replace('+', "%2b");
        let hex: String = KEY.bytes().map(|byte| format!("{byte:02x}")).collect();
        let body = format!(
            r#"{{"error":{{"message":"no {KEY} {escaped} {encoded} {hex}!","code":"c"}}}}"#
        );
        let echo = format!("id-{KEY}");
        let headers = [JSON, ("retry-after", "7"), ("x-request-id", echo.as_str())];
        harness.provider.answers(status, &headers, body.as_bytes());
        let answer = harness.chat(CALL).await;
        assert_eq!(answer.status, status);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let redacted = "[redacted] [redacted] [redacted] [redacted]!";
        assert_eq!(
            text,
            format!(r#"{{"error":{{"message":"no {redacted}","code":"c"}}}}"#)
        );
        assert_eq!(answer.header("retry-after"), "7");
        assert_eq!(answer.header("x-request-id"), "id-[redacted]");
        assert_eq!(answer.header("x-keybearer-error-source"), "upstream");
        let row = harness.usage().await.pop().expect("a row");
        assert_eq!(
            (row.status, row.error_code.as_deref()),
            (i64::from(status), Some("upstream_rejected"))
        );
    }
    // An error that is not JSON keeps its status and gets our words.
    harness.provider.answers(
        429,
        &[("content-type", "text/html"), ("retry-after", "7")],
        b"<script>alert(1)</script>",
    );
    let answer = harness.chat(CALL).await;
    assert_eq!(verdict(&answer), (429, "upstream_rejected".to_owned()));
    assert_eq!(answer.header("retry-after"), "7");
    assert_eq!(answer.header("content-type"), "application/json");
}

#[tokio::test]
async fn the_providers_failures_are_told_as_such() {
    let harness = Harness::start().await;
    harness.bring("openai").await;
    for (upstream, status, code) in [
        (500, 502, "upstream_bad_gateway"),
        (502, 502, "upstream_bad_gateway"),
        (407, 502, "upstream_bad_gateway"),
        (503, 503, "upstream_unavailable"),
        (529, 503, "upstream_unavailable"),
        (408, 504, "upstream_timeout"),
        (504, 504, "upstream_timeout"),
    ] {
        harness
            .provider
            .answers(upstream, &[JSON], br#"{"error":{}}"#);
        assert_eq!(
            verdict(&harness.chat(CALL).await),
            (status, code.to_owned()),
            "{upstream}"
        );
    }
    harness.provider.script(vec![Step::Close]);
    assert_eq!(
        verdict(&harness.chat(CALL).await),
        (502, "upstream_unreachable".to_owned())
    );
    harness.provider.script(vec![
        Step::Send(b"not http at all\r\n\r\n".to_vec()),
        Step::Close,
    ]);
    assert_eq!(harness.chat(CALL).await.status, 502);
    let mut flood = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n".to_vec();
    for at in 0..10_000 {
        flood.extend_from_slice(format!("x-{at}: y\r\n").as_bytes());
    }
    harness
        .provider
        .script(vec![Step::Send(flood), Step::Close]);
    // T56
    assert_eq!(harness.chat(CALL).await.status, 502);
    assert_eq!(harness.usage().await.len(), 10);
}

#[tokio::test]
async fn answers_that_are_neither_json_nor_a_stream_do_not_pass() {
    // T57, T58
    let harness = Harness::start().await;
    harness.bring("openai").await;
    // Nothing is ever unpacked here, so no bomb goes off.
    let packed = [
        "gzip",
        "br",
        "zstd",
        "deflate",
        "gzip, gzip",
        "x-unheard-of",
    ];
    let packed = packed.map(|coding| [JSON, ("content-encoding", coding)]);
    for headers in [
        &[("content-type", "text/html")][..],
        &[("content-type", "image/svg+xml")],
        &[],
    ]
    .into_iter()
    .chain(packed.iter().map(|it| &it[..]))
    {
        harness
            .provider
            .answers(200, headers, b"<script>alert(1)</script>");
        let answer = harness.chat(CALL).await;
        assert_eq!(
            verdict(&answer),
            (502, "upstream_invalid_response".to_owned())
        );
        assert_eq!(answer.header("content-type"), "application/json");
        let body = String::from_utf8_lossy(&answer.body);
        assert!(!body.contains("script"));
        let is_packed = headers.iter().any(|(name, _)| *name == "content-encoding");
        assert_eq!(body.contains("is compressed"), is_packed, "{body}");
        assert_eq!(body.contains("no media type"), !is_packed, "{body}");
    }
}

#[tokio::test]
async fn cookies_of_a_provider_reach_nobody() {
    // T64
    let harness = Harness::start().await;
    harness.bring("openai").await;
    harness
        .provider
        .answers(200, &[JSON, ("set-cookie", "session=a")], b"{}");
    for _ in 0..2 {
        assert_eq!(harness.chat(CALL).await.header("set-cookie"), "");
    }
    assert!(
        harness
            .provider
            .requests()
            .iter()
            .all(|(head, _)| !head.contains("cookie"))
    );
}

#[tokio::test]
async fn usage_that_cannot_be_true_is_not_recorded() {
    // T63
    let harness = Harness::start().await;
    harness.bring("openai").await;
    for count in ["-1", "9223372036854775808000", "1e308", "\"7\"", "null"] {
        harness.provider.says(&format!(
            r#"{{"usage":{{"prompt_tokens":{count},"completion_tokens":1}}}}"#
        ));
        assert_eq!(harness.chat(CALL).await.status, 200);
    }
    for row in harness.usage().await {
        let usage = row.usage.unwrap_or_default();
        assert!(
            usage.input_tokens == 0 && usage.output_tokens <= 1,
            "{usage:?}"
        );
    }
}

#[tokio::test]
async fn a_probe_asks_for_one_token_and_tells_why_it_failed() {
    // T35
    let harness = Harness::start().await;
    let record = harness.record("openai", "primary").await;
    let data_key = harness.data_key().await;
    let probe = harness.gateway.probe();
    let ask = || probe.probe(&record.envelope, &record.context, &data_key);
    harness.provider.says("{}");
    assert_eq!(ask().await, Ok(()));
    let (head, body) = harness.provider.requests().remove(0);
    assert!(head.starts_with("POST /base/chat/completions HTTP/1.1"));
    assert!(head.contains(&format!("authorization: Bearer {KEY}\r\n")));
    assert!(String::from_utf8_lossy(&body).contains("\"max_tokens\":1"));
    for (status, body, failure) in [
        (401, "{}", ProbeFailure::Rejected(FailureKind::InvalidKey)),
        (403, "{}", ProbeFailure::Rejected(FailureKind::NoPermission)),
        (
            429,
            r#"{"error":{"code":"insufficient_quota"}}"#,
            ProbeFailure::Rejected(FailureKind::NoQuota),
        ),
        (429, "{}", ProbeFailure::Rejected(FailureKind::RateLimited)),
        (
            500,
            "{}",
            ProbeFailure::Rejected(FailureKind::ProviderError),
        ),
        (404, "{}", ProbeFailure::Unreachable),
        (200, "<html>", ProbeFailure::Unreachable),
    ] {
        harness.provider.answers(status, &[JSON], body.as_bytes());
        assert_eq!(ask().await, Err(failure), "{status} {body}");
    }
    harness
        .provider
        .answers(200, &[("content-type", "text/html")], b"{}");
    assert_eq!(ask().await, Err(ProbeFailure::Unreachable));
    let mut other = record.context.clone();
    other.base_url.push_str("/moved");
    let unreadable = probe.probe(&record.envelope, &other, &data_key).await;
    assert_eq!(unreadable, Err(ProbeFailure::Unreadable));
    // A provider whose probe is a plain GET.
    let anthropic = harness.record("anthropic", "primary").await;
    harness.provider.says("[]");
    assert_eq!(
        probe
            .probe(&anthropic.envelope, &anthropic.context, &data_key)
            .await,
        Ok(())
    );
    let (head, body) = harness.provider.requests().pop().expect("a request");
    assert!(head.starts_with("GET /base/v1/whoami HTTP/1.1") && body.is_empty());
    assert!(head.contains("anthropic-version: 2023-06-01\r\n"));
}

#[tokio::test]
async fn frames_of_http_2_are_no_answer() {
    // T62: HTTP/1.1 is spoken, whatever the other side would like to speak.
    let harness = Harness::start().await;
    harness.bring("openai").await;
    // Settings, a thousand empty pieces of data, a header block without end, the farewell.
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let empty = [0, 0, 0, 0, 0, 0, 0, 0, 1].repeat(1_000);
    let endless = [0, 0, 1, 9, 0, 0, 0, 0, 1, 0x82].repeat(1_000);
    let farewell = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    for frames in [&settings[..], &empty, &endless, &farewell] {
        let frames = [&settings, frames].concat();
        harness
            .provider
            .script(vec![Step::Send(frames), Step::Close]);
        let answer = harness.chat(CALL).await;
        assert_eq!(verdict(&answer), (502, "upstream_unreachable".to_owned()));
    }
    let requests = harness.provider.requests();
    let spoken = requests.iter().all(|(head, _)| {
        head.lines()
            .next()
            .is_some_and(|it| it.ends_with(" HTTP/1.1"))
    });
    assert!(spoken && !requests.is_empty());
}
