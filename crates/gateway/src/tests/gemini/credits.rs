//! What credits pay for of Gemini's formats.

use super::*;

/// A call of which every field is known.
const PLAIN: &str =
    r#"{"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"maxOutputTokens":40}}"#;

/// A managed workspace with a platform key for Google, whose prices are known.
async fn managed() -> (Harness, Provider) {
    let harness = Harness::start().await;
    let (_, google) = harness.platform("google").await;
    harness
        .settings(|settings| settings.prices = vec![price("google", "*", PRICE)])
        .await;
    harness.mode(Mode::Managed).await;
    (harness, google)
}

#[tokio::test]
async fn credits_pay_for_tokens_and_for_nothing_else() {
    let (harness, google) = managed().await;
    for (path, steps) in [
        (
            "/v1/models/gemini-x:streamGenerateContent?alt=sse",
            stream(&[FIRST, LAST]),
        ),
        ("/v1/models/gemini-x:generateContent", Vec::new()),
    ] {
        google.says(ANSWER);
        if !steps.is_empty() {
            google.script(steps);
        }
        assert_eq!(post(&harness, path, PLAIN).await.status, 200);
        let row = harness.usage().await.pop().expect("a row");
        assert_eq!(
            (row.key_source, row.usage),
            (Some(KeySource::Managed), Some(USED))
        );
        assert_eq!(row.charge, NanoUsd::new(20 * 3_000 + 10 * 300 + 9 * 15_000));
    }
    google.says(r#"{"totalTokens":3}"#);
    assert_eq!(
        post(&harness, "/v1/models/gemini-x:countTokens", PLAIN)
            .await
            .status,
        200
    );
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!((row.usage, row.charge), (None, NanoUsd::ZERO));
    // What a model does not report is estimated by the text of the request.
    for (action, says, body, tokens) in [
        (
            "embedContent",
            r#"{"embedding":{"values":[0.5]}}"#,
            r#"{"content":{"parts":[{"text":"twelve bytes"}]}}"#,
            3,
        ),
        (
            "batchEmbedContents",
            r#"{"embeddings":[{"values":[0.5]},{"values":[1]}]}"#,
            r#"{"requests":[{"model":"models/gemini-x","content":{"parts":[{"text":"twelve bytes"}]}},{"content":{"parts":[{"text":"five5"}]}}]}"#,
            5,
        ),
    ] {
        google.says(says);
        let path = format!("/v1/models/gemini-x:{action}");
        assert_eq!(post(&harness, &path, body).await.status, 200);
        let row = harness.usage().await.pop().expect("a row");
        assert_eq!(row.pricing, Some(domain::price::Pricing::Estimated));
        assert_eq!(row.usage.map(|usage| usage.input_tokens), Some(tokens));
        assert_eq!(row.charge, NanoUsd::new(tokens as i64 * 3_000));
    }
    let hits = google.hits();
    for (field, body) in [
        ("cachedContent", r#"{"cachedContent":"cachedContents/1"}"#),
        ("tools", r#"{"tools":[{"google_search":{}}]}"#),
        (
            "fileData",
            r#"{"contents":[{"parts":[{"fileData":{"fileUri":"files/1"}}]}]}"#,
        ),
        (
            "fileData",
            r#"{"contents":[{"parts":[{"args":{"fileData":{"fileUri":"files/1"}}}]}]}"#,
        ),
        (
            "candidateCount",
            r#"{"contents":[],"generationConfig":{"candidateCount":"many"}}"#,
        ),
    ] {
        let refused = post(&harness, "/v1/models/gemini-x:generateContent", body).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (403, "field_needs_own_key")
        );
        assert_eq!(
            refused.json()["error"]["details"][0]["metadata"]["field"],
            field
        );
    }
    assert_eq!(google.hits(), hits);
    // What the owner of the platform key is told is not for the client.
    let theirs = br#"{"error":{"code":400,"message":"project 4711 is suspended","status":"FAILED_PRECONDITION"}}"#;
    google.answers(400, &[("content-type", "application/json")], theirs);
    let refused = post(&harness, "/v1/models/gemini-x:generateContent", PLAIN).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "upstream_rejected")
    );
    assert!(!String::from_utf8_lossy(&refused.body).contains("4711"));
}

#[tokio::test]
async fn the_end_of_a_stream_that_credits_pay_for_waits_for_its_row() {
    let (harness, google) = managed().await;
    google.streams(&[FIRST, LAST]);
    let path = "/v1/models/gemini-x:streamGenerateContent?alt=sse";
    let response = harness
        .open(request(&harness, Method::POST, path, PLAIN))
        .await;
    let mut body = response.into_body();
    let first = http_body_util::BodyExt::frame(&mut body).await;
    let first = first
        .expect("a piece")
        .expect("whole")
        .into_data()
        .expect("data");
    assert_eq!(first, FIRST);
    google.open(1);
    let more = http_body_util::BodyExt::frame(&mut body);
    let held = tokio::time::timeout(Duration::from_millis(200), more).await;
    assert!(held.is_err(), "the last event is held back");
    google.open(1);
    let rest = http_body_util::BodyExt::collect(body)
        .await
        .expect("a whole body");
    assert_eq!(rest.to_bytes(), LAST);
}

#[tokio::test]
async fn an_answer_that_cannot_be_told_is_an_error_and_what_it_used_is_paid_for() {
    let (harness, google) = managed().await;
    let messages =
        r#"{"model":"gemini-x","max_tokens":40,"messages":[{"role":"user","content":"hi"}]}"#;
    let responses = r#"{"model":"gemini-x","max_output_tokens":40,"input":"hi"}"#;
    for broken in [
        ANSWER.replace("\"STOP\"", "\"MALFORMED_FUNCTION_CALL\""),
        ANSWER.replace("\"STOP\"", "\"UNEXPECTED_TOOL_CALL\""),
        ANSWER.replace(
            r#"{"text":"four"}"#,
            r#"{"inlineData":{"mimeType":"image/png","data":"AAAA"}}"#,
        ),
    ] {
        google.says(&broken);
        for (path, call, kind) in [
            ("/v1/messages", messages, json!("error")),
            ("/v1/responses", responses, Value::Null),
        ] {
            let answer = harness
                .send(harness.request(Method::POST, path, call))
                .await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (502, "upstream_invalid_response"),
                "{path} {broken}"
            );
            assert_eq!(answer.json()["type"], kind, "{path}");
            let row = harness.usage().await.pop().expect("a row");
            assert_eq!(
                (row.status, row.error_code.as_deref(), row.usage),
                (502, Some("upstream_invalid_response"), Some(USED)),
                "{path} {broken}"
            );
            assert_eq!(row.charge, NanoUsd::new(20 * 3_000 + 10 * 300 + 9 * 15_000));
        }
    }
    // An error without an answer costs no output.
    google.says(r#"{"error":{"code":500,"message":"busy","status":"INTERNAL"}}"#);
    let request = harness.request(Method::POST, "/v1/messages", messages);
    assert_eq!(harness.send(request).await.status, 502);
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.usage.map_or(0, |it| it.output_tokens), 0);
}
