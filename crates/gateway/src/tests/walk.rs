//! Every endpoint of the data plane, from the table itself: none is open, and none serves without leaving a row.

use std::collections::BTreeSet;

use bytes::Bytes;
use domain::access::ApiScope;
use http::{HeaderValue, Method, Request};
use http_body_util::Full;
use llm::format::FormatId;

use super::harness::{Harness, config};
use super::provider::Step;
use crate::GatewayConfig;
use crate::edge::EdgeConfig;
use crate::endpoint::{self, CALLS, Route, Takes};

/// A request that is served, and what its row says.
struct Case {
    /// As [`endpoint::served`] has it.
    name: String,
    request: Request<Full<Bytes>>,
    format: FormatId,
    /// `None`: no model is called, and no row is left.
    operation: Option<&'static str>,
}

fn cases(harness: &Harness) -> Vec<Case> {
    let mut cases = Vec::new();
    for call in CALLS {
        let model = match call.format {
            FormatId::AnthropicMessages => "claude-x",
            _ => "gpt-x",
        };
        let path = call.path.replace("{model}", "gemini-x");
        for takes in call.takes {
            let mut request = harness.request(Method::POST, &path, "");
            let (media_type, body) = match takes {
                Takes::Json if call.action().is_some() => ("application/json", "{}".to_owned()),
                Takes::Json => ("application/json", format!(r#"{{"model":"{model}"}}"#)),
                Takes::Form => (
                    "multipart/form-data; boundary=b",
                    format!(
                        "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n--b--"
                    ),
                ),
                Takes::Any => ("a/b", String::new()),
            };
            let media_type = HeaderValue::from_static(media_type);
            request.headers_mut().insert("content-type", media_type);
            *request.body_mut() = Full::new(body.into());
            // A path that names its model stands under both versions.
            if call.action().is_some() {
                let mut twin = request.clone();
                let path = path.replacen("/v1beta/", "/v1/", 1);
                *twin.uri_mut() = path.parse().expect("a path");
                cases.push(Case {
                    name: format!("POST {}", call.path),
                    request: twin,
                    format: call.format,
                    operation: Some(call.operation),
                });
            }
            cases.push(Case {
                name: format!("POST {}", call.path),
                request,
                format: call.format,
                operation: Some(call.operation),
            });
        }
    }
    let passed = Some("passthrough");
    for (name, path, format) in [
        ("* /v1/files", "/v1/files/a", FormatId::OpenaiChat),
        ("* /v1/uploads", "/v1/uploads", FormatId::OpenaiChat),
        ("* /v1/batches", "/v1/batches", FormatId::OpenaiChat),
        (
            "* /v1/responses/",
            "/v1/responses/resp_1",
            FormatId::OpenaiChat,
        ),
        (
            "* /v1/conversations",
            "/v1/conversations",
            FormatId::OpenaiChat,
        ),
        (
            "* /v1/vector_stores",
            "/v1/vector_stores/vs_1/search",
            FormatId::OpenaiChat,
        ),
        (
            "* /v1/containers",
            "/v1/containers/c/files",
            FormatId::OpenaiChat,
        ),
        (
            "* /v1/messages/batches",
            "/v1/messages/batches",
            FormatId::AnthropicMessages,
        ),
        (
            "* /providers/{provider}/{path}",
            "/providers/anthropic/a",
            FormatId::AnthropicMessages,
        ),
        (
            "* /brave/{path}",
            "/brave/res/v1/web/search",
            FormatId::OpenaiChat,
        ),
    ] {
        for method in crate::pass::METHODS {
            cases.push(Case {
                name: name.to_owned(),
                request: harness.request(method, path, ""),
                format,
                operation: passed,
            });
        }
    }
    for (name, path, format) in [
        ("GET /v1/models", "/v1/models", FormatId::OpenaiChat),
        ("GET /v1/models", "/v1/models/gpt-x", FormatId::OpenaiChat),
        (
            "GET /v1beta/models",
            "/v1beta/models",
            FormatId::GeminiGenerateContent,
        ),
        (
            "GET /v1beta/models",
            "/v1beta/models/gemini-x",
            FormatId::GeminiGenerateContent,
        ),
    ] {
        cases.push(Case {
            name: name.to_owned(),
            request: harness.request(Method::GET, path, ""),
            format,
            operation: None,
        });
    }
    let mut session = harness.request(Method::GET, "/v1/realtime?model=gpt-x", "");
    for (name, value) in super::realtime::HANDSHAKE {
        session
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    cases.push(Case {
        name: "GET /v1/realtime".to_owned(),
        request: session,
        format: FormatId::OpenaiRealtime,
        operation: Some("realtime"),
    });
    let walked: BTreeSet<String> = cases.iter().map(|case| case.name.clone()).collect();
    let served: BTreeSet<String> = endpoint::served().into_iter().collect();
    assert_eq!(walked, served, "an endpoint without a case");
    for case in &cases {
        let (method, path) = (case.request.method(), case.request.uri().path());
        let found = endpoint::find(method, path).expect(&case.name);
        // A new kind of route does not compile here before it says what row it leaves.
        let operation = match found.0 {
            Route::Call(call) | Route::ModelCall(call, _) => Some(call.operation),
            Route::Pass(_) => passed,
            Route::Realtime => Some("realtime"),
            Route::Models(_) | Route::Model(..) => None,
            Route::WrongMethod(..) | Route::Unknown(_) | Route::Elsewhere(_) => {
                panic!("{} is not served", case.name)
            }
        };
        assert_eq!(operation, case.operation, "{}", case.name);
    }
    cases
}

async fn furnished() -> Harness {
    furnished_with(config()).await
}

async fn furnished_with(config: GatewayConfig) -> Harness {
    let harness = Harness::with(config, EdgeConfig::default()).await;
    for provider in ["openai", "anthropic", "brave", "google"] {
        harness.bring(provider).await;
    }
    harness.provider.says("{}");
    harness
}

#[tokio::test]
async fn without_an_api_key_nothing_is_served_forwarded_or_metered() {
    // T94
    let harness = furnished().await;
    for case in cases(&harness) {
        for credential in [None, Some("Bearer kb_junk"), Some("Basic a")] {
            let mut request = case.request.clone();
            request.headers_mut().remove("authorization");
            if let Some(credential) = credential {
                let value = HeaderValue::from_static(credential);
                request.headers_mut().insert("authorization", value);
            }
            let answer = harness.send(request).await;
            assert_eq!(answer.status, 401, "{}", case.name);
            let anthropic = case.format == FormatId::AnthropicMessages;
            assert_eq!(answer.json()["type"] == "error", anthropic, "{}", case.name);
            assert!(answer.code().starts_with("api_key_"), "{}", case.name);
        }
    }
    assert_eq!(harness.provider.hits(), 0);
    assert!(harness.usage().await.is_empty());
}

#[tokio::test]
async fn an_api_key_without_the_scope_serves_nowhere() {
    let mut harness = furnished().await;
    harness.api_key = harness.mint(&[ApiScope::UsageRead]).await.1;
    let mut rows = 0;
    for case in cases(&harness) {
        let answer = harness.send(case.request).await;
        assert_eq!(answer.status, 403, "{}", case.name);
        assert_eq!(answer.code(), "permission_denied", "{}", case.name);
        rows += usize::from(case.operation.is_some());
    }
    assert_eq!(harness.provider.hits(), 0);
    let written = harness.usage().await;
    assert_eq!(written.len(), rows);
    assert!(written.iter().all(|row| row.status == 403));
}

#[tokio::test]
async fn every_endpoint_serves_and_leaves_exactly_one_row_of_its_own() {
    let harness = furnished().await;
    let (mut rows, mut hits) = (0, 0);
    for case in cases(&harness) {
        let status = match case.format {
            FormatId::OpenaiRealtime => {
                let switches = super::realtime::switching("");
                harness
                    .provider
                    .once(vec![Step::Send(switches), Step::Close]);
                101
            }
            _ => 200,
        };
        let answer = harness.send(case.request).await;
        assert_eq!(answer.status, status, "{}: {:?}", case.name, answer.body);
        let written = match status {
            101 => super::realtime::rows(&harness, rows + 1).await,
            _ => harness.usage().await,
        };
        if let Some(operation) = case.operation {
            (rows, hits) = (rows + 1, hits + 1);
            let row = written.last().expect("a row");
            let said = (row.operation.as_str(), row.wire_format.as_str(), row.status);
            assert_eq!(
                said,
                (operation, case.format.as_str(), i64::from(status)),
                "{}",
                case.name
            );
            let id = answer.header("x-keybearer-request-id");
            assert_eq!(id, row.request.to_string(), "{}", case.name);
        }
        assert_eq!(written.len(), rows, "{}", case.name);
        assert_eq!(harness.provider.hits(), hits, "{}", case.name);
    }
}

/// The request with a longer body of the same sort.
fn swollen(case: &Case, bytes: usize) -> Request<Full<Bytes>> {
    let mut request = case.request.clone();
    let media_type = request.headers().get("content-type");
    let is_form = media_type.is_some_and(|it| it.as_bytes().starts_with(b"multipart/"));
    let filling = "x".repeat(bytes);
    let body = if is_form {
        format!(
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n{filling}\r\n--b--"
        )
    } else {
        format!(r#"{{"model":"gpt-x","filling":"{filling}"}}"#)
    };
    *request.body_mut() = Full::new(body.into());
    request
}

#[tokio::test]
async fn no_endpoint_takes_more_than_the_longest_body() {
    // T119
    let mut config = config();
    config.limits.body_bytes = 1_000;
    let harness = furnished_with(config).await;
    let mut refused = 0;
    for case in cases(&harness) {
        let longer = swollen(&case, 2_000);
        let mut in_chunks = longer.clone();
        let chunked = HeaderValue::from_static("chunked");
        in_chunks.headers_mut().insert("transfer-encoding", chunked);
        for request in [longer, in_chunks] {
            let answer = harness.send(request).await;
            let (status, code) = match case.operation {
                // What takes no body does not read one.
                None => {
                    assert_eq!(answer.status, 200, "{}", case.name);
                    continue;
                }
                Some("realtime") => (400, "invalid_request"),
                Some(_) => (413, "request_too_large"),
            };
            let said = (answer.status, answer.code());
            assert_eq!(said, (status, code.to_owned()), "{}", case.name);
            refused += 1;
        }
    }
    let rows = harness.usage().await;
    // A page of them.
    assert_eq!(rows.len(), refused.min(100));
    assert!(rows.iter().all(|row| [413, 400].contains(&row.status)));
    assert_eq!(harness.provider.hits(), 0);
}

/// Whatever leaves a row is refused so, and the models are listed all the same.
async fn every_call_is_refused(harness: &Harness, refusal: (u16, &str)) {
    for case in cases(harness) {
        let answer = harness.send(case.request).await;
        match case.operation {
            Some(_) => {
                let said = answer.code();
                assert_eq!((answer.status, said.as_str()), refusal, "{}", case.name);
            }
            None => assert_eq!(answer.status, 200, "{}", case.name),
        }
    }
}

#[tokio::test]
async fn no_endpoint_gives_a_key_more_calls_than_it_may_make_at_once() {
    let mut config = config();
    config.limits.calls_per_key = 1;
    let harness = furnished_with(config).await;
    harness.provider.streams(&["data: {}\n\n"]);
    let running = harness.open(harness.chat_request(r#"{"model":"gpt-x","stream":true}"#));
    let running = running.await;
    assert_eq!(running.status(), 200);
    every_call_is_refused(&harness, (429, "too_many_calls")).await;
    assert_eq!(harness.provider.hits(), 1);
}

#[tokio::test]
async fn no_endpoint_serves_what_cannot_be_kept_on_disk() {
    let harness = furnished().await;
    let folder = harness.folder().join("usage-spool/0");
    std::fs::rename(&folder, harness.folder().join("away")).expect("moved");
    // Nobody knows yet.
    assert_eq!(harness.chat(r#"{"model":"gpt-x"}"#).await.status, 200);
    every_call_is_refused(&harness, (503, "usage_unavailable")).await;
    assert_eq!(harness.provider.hits(), 1);
}
