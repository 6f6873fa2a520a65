//! What is refused of Gemini's formats, and how it is told.

use super::*;

#[tokio::test]
async fn a_key_that_is_bound_elsewhere_is_not_sent_to_a_place_that_nobody_named() {
    let harness = Harness::start().await;
    for path in ["/base", "/base/openai/v2", "/openai/base"] {
        let provider = own(
            &harness,
            &format!("key{}", path.replace('/', "-")),
            |record| {
                let origin = record
                    .context
                    .base_url
                    .trim_end_matches("/base/openai")
                    .to_owned();
                record.context.base_url = format!("{origin}{path}");
            },
        )
        .await;
        for action in ["countTokens", "embedContent"] {
            let place = format!("/v1beta/models/gemini-x:{action}");
            let refused = post(&harness, &place, CALL).await;
            assert_eq!(
                (refused.status, refused.code().as_str()),
                (400, "format_not_supported")
            );
            // Whoever counts is not helped by another way to pay, nor by words who wants vectors.
            let metadata = &refused.json()["error"]["details"][0]["metadata"];
            assert_eq!(metadata["endpoint"], Value::Null, "{action}");
            assert_eq!(provider.hits(), 0);
        }
    }
    // A key that is bound to another header must be brought again, whatever the rule's header is.
    let harness = Harness::start().await;
    let provider = own(&harness, "other", |record| {
        record.context.auth_header = "x-goog-api-key".to_owned();
    })
    .await;
    let refused = post(&harness, "/v1beta/models/gemini-x:generateContent", CALL).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (503, "key_unreadable")
    );
    assert_eq!(provider.hits(), 0);
}

#[tokio::test]
async fn a_key_in_the_url_is_refused_and_never_forwarded() {
    // T51
    let harness = Harness::start().await;
    let provider = own(&harness, "one", |_| {}).await;
    let key = harness.api_key.clone();
    for (method, path) in [
        (Method::POST, "/v1beta/models/gemini-x:generateContent"),
        (Method::POST, "/v1/models/gemini-x:streamGenerateContent"),
        (Method::GET, "/v1beta/models"),
        (Method::GET, "/v1beta/models/gemini-tiny"),
    ] {
        for query in [
            format!("key={key}"),
            format!("alt=sse&key={key}"),
            "key".to_owned(),
        ] {
            let call = request(&harness, method.clone(), &format!("{path}?{query}"), CALL);
            let (mut head, body) = call.into_parts();
            let with_header = harness
                .send(Request::from_parts(head.clone(), body.clone()))
                .await;
            head.headers.remove("x-goog-api-key");
            let without = harness.send(Request::from_parts(head, body)).await;
            for answer in [with_header, without] {
                assert_eq!(
                    (answer.status, answer.code().as_str()),
                    (400, "api_key_in_query")
                );
                let hint = &answer.json()["error"]["details"][0]["metadata"]["hint"];
                assert!(
                    hint.as_str()
                        .is_some_and(|it| it.contains("x-goog-api-key")),
                    "{hint}"
                );
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                assert!(!text.contains(&key));
            }
        }
    }
    assert_eq!(provider.hits(), 0);
    assert!(harness.usage().await.is_empty());
}

#[tokio::test]
async fn refusals_are_written_as_google_writes_them() {
    let mut harness = Harness::start().await;
    let path = "/v1/models/gemini-x:generateContent";
    let missing = post(&harness, path, CALL).await;
    let error = &missing.json()["error"];
    assert_eq!(
        (missing.status, &error["code"], &error["status"]),
        (402, &json!(402), &json!("FAILED_PRECONDITION"))
    );
    let info = &error["details"][0];
    assert_eq!(info["@type"], "type.googleapis.com/google.rpc.ErrorInfo");
    assert_eq!(info["reason"], "byok_key_missing");
    assert_eq!(info["metadata"]["providers"], r#"["google"]"#);
    let id = &error["details"][1]["requestId"];
    assert_eq!(id, missing.header("x-keybearer-request-id"));
    let unknown = post(&harness, "/v1beta/models/x:predict", CALL).await;
    assert_eq!(
        (unknown.status, unknown.code().as_str()),
        (404, "endpoint_not_found")
    );
    let wrong = harness.send(request(&harness, Method::PUT, path, "")).await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, "POST"));
    assert_eq!(wrong.json()["error"]["status"], "UNIMPLEMENTED");
    harness.api_key = KEY.to_owned();
    let stranger = post(&harness, path, CALL).await;
    assert_eq!(
        (stranger.status, stranger.code().as_str()),
        (401, "api_key_invalid")
    );
    assert_eq!(stranger.json()["error"]["status"], "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_batch_of_too_many_requests_is_refused() {
    let harness = Harness::start().await;
    let provider = own(&harness, "one", |_| {}).await;
    let requests = vec![r#"{"content":{"parts":[{"text":"a"}]}}"#; 2049].join(",");
    let batch = format!(r#"{{"requests":[{requests}]}}"#);
    let refused = post(
        &harness,
        "/v1beta/models/gemini-x:batchEmbedContents",
        &batch,
    )
    .await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "invalid_request")
    );
    let metadata = &refused.json()["error"]["details"][0]["metadata"];
    assert_eq!(metadata["field"], "requests");
    assert_eq!(provider.hits(), 0);
}
