//! Whole answers with 200 in their head and an error in their body.

use http::Method;
use serde_json::{Value, json};

use super::harness::{Harness, KEY};
use super::payer::{JSON, REPORT, managed};
use super::provider::{Step, chunk};

const CALL: &str = r#"{"model":"gpt-x","messages":[{"role":"user","content":"hi"}]}"#;
const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","usage":{"input_tokens":12,"output_tokens":9}}"#;

fn pieces(pieces: &[&str]) -> Vec<Step> {
    let mut steps = vec![Step::Send(HEAD.into())];
    steps.extend(pieces.iter().map(|piece| Step::Send(chunk(piece))));
    steps.push(Step::Send(b"0\r\n\r\n".to_vec()));
    steps
}

#[tokio::test]
async fn an_error_in_the_place_of_an_answer_is_what_its_code_says() {
    let harness = Harness::start().await;
    let (one, first) = harness.own("one", |_| {}).await;
    let (_, second) = harness.own("two", |key| key.position = 1).await;
    second.says(REPORT);
    for (error, attempts) in [
        // Another key.
        (r#"{"error":{"message":"slow down","code":429}}"#, "2"),
        // The same once more.
        (
            r#"{"error":{"message":"busy","type":"overloaded_error","code":529}}"#,
            "3",
        ),
        (r#"[{"error":{"code":503,"status":"UNAVAILABLE"}}]"#, "3"),
        (r#"{ "error" : "out of order" }"#, "3"),
        (r#"{"user_id":"u","error":{"code":502}}"#, "3"),
        (r#"{"error":{"code":"invalid_api_key"}}"#, "2"),
    ] {
        first.says(error);
        let answer = harness.chat(CALL).await;
        assert_eq!(
            (answer.status, &answer.body[..]),
            (200, REPORT.as_bytes()),
            "{error}"
        );
        assert_eq!(answer.header("x-keybearer-attempts"), attempts, "{error}");
        // What one try says of a key does not decide the next of these.
        harness.advance(3_600_000);
    }
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.attempts[0].status, Some(401));
    let stored = harness.stored(&one).await;
    assert!(stored.last_failure.is_some(), "the key's health says so");
}

#[tokio::test]
async fn an_error_may_come_in_pieces_and_behind_white_space() {
    let harness = Harness::start().await;
    harness.bring("openai").await;
    let beats = pieces(&[
        "\n",
        " \n",
        "{\"er",
        "ror\":{\"message\":\"mind the gap\",",
        "\"code\":400}}",
    ]);
    harness.provider.script(beats);
    let answer = harness.chat(CALL).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"]["message"], "mind the gap");
    assert_eq!(answer.header("x-keybearer-error-source"), "upstream");
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.error_code.as_deref(), Some("upstream_rejected"));
    // What names the key does not pass.
    let echo = format!(r#"{{"error":{{"message":"no {KEY}","code":400}}}}"#);
    harness.provider.says(&echo);
    let answer = harness.chat(CALL).await;
    assert_eq!(answer.json()["error"]["message"], "no [redacted]");
    // The last that failed is told as such.
    harness.provider.says(r#"{"error":{"code":503}}"#);
    let answer = harness.chat(CALL).await;
    assert_eq!(answer.code(), "upstream_unavailable");
}

#[tokio::test]
async fn what_only_looks_like_an_error_passes_as_it_is() {
    let harness = Harness::start().await;
    harness.bring("openai").await;
    let long = format!(
        r#"{{"text":"{}","error":{{"code":500}}}}"#,
        "x".repeat(90_000)
    );
    for body in [
        r#"{"error":null,"choices":[]}"#,
        r#"{"error":"","choices":[]}"#,
        r#"{"error":false}"#,
        r#"{"choices":[{"message":{"content":"{\"error\":{\"code\":500}}"}}]}"#,
        r#"{"choices":[{"message":{"tool_calls":[{"args":{"error":{"code":500}}}]}}]}"#,
        r#"{"choices":["error",{"error":{}}]}"#,
        r#"{"object":"error","choices":[]}"#,
        r#"{"error""#,
        r#"{"error":{"code":500}"#,
        r#"7"#,
        r#""error""#,
        "",
        // Nobody waits so long for an error.
        long.as_str(),
    ] {
        harness.provider.says(body);
        let answer = harness.chat(CALL).await;
        assert_eq!((answer.status, &answer.body[..]), (200, body.as_bytes()));
    }
    // A provider's own path may show what failed elsewhere.
    let batch = r#"{"error":{"code":500},"id":"batch_1"}"#;
    harness.provider.says(batch);
    let answer = harness.get("/providers/openai/v1/batches/batch_1").await;
    assert_eq!((answer.status, &answer.body[..]), (200, batch.as_bytes()));
}

#[tokio::test]
async fn an_answer_that_is_translated_may_be_an_error_too() {
    let harness = Harness::start().await;
    harness.bring("anthropic").await;
    let chat = CALL.replace("gpt-x", "claude-x");
    let busy = r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#;
    // However late it says so.
    let late = ["{\"request_id\":\"r\",", &busy[1..]];
    for error in [pieces(&[busy]), pieces(&late)] {
        harness.provider.once(error);
        harness.provider.says(MESSAGE);
        let answer = harness.chat(&chat).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-keybearer-attempts"), "2");
        assert_eq!(answer.json()["choices"][0]["message"]["content"], "hello");
    }
    let refusal = r#"{"request_id":"r","type":"error","error":{"type":"invalid_request_error","message":"max_tokens: too large"}}"#;
    harness.provider.says(refusal);
    let answer = harness.chat(&chat).await;
    let error = &answer.json()["error"];
    assert_eq!(answer.status, 400, "{error}");
    assert_eq!(error["message"], "max_tokens: too large");
    assert_eq!(
        answer.header("x-keybearer-translated"),
        "anthropic_messages"
    );
    // One that is neither an answer nor an error has a text of its own.
    harness.provider.says(r#"{"content":7}"#);
    let answer = harness.chat(&chat).await;
    let text = answer.json()["error"]["message"]
        .as_str()
        .map(str::to_owned);
    assert_eq!(answer.code(), "upstream_invalid_response");
    let text = text.expect("a text");
    assert!(
        text.contains("cannot be read") && !text.contains("media type"),
        "{text}"
    );
}

#[tokio::test]
async fn the_next_model_may_serve_where_the_first_says_an_error_for_an_answer() {
    let harness = Harness::start().await;
    harness.bring("anthropic").await;
    let (_, openai) = harness.own("one", |_| {}).await;
    openai.says(REPORT);
    let call = json!({
        "models": ["claude-x", "gpt-x"],
        "messages": [{"role": "user", "content": "hi"}],
    });
    harness
        .provider
        .says(r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#);
    let answer = harness.chat(&call.to_string()).await;
    assert_eq!((answer.status, &answer.body[..]), (200, REPORT.as_bytes()));
    assert_eq!(answer.header("x-keybearer-model"), "gpt-x");
}

#[tokio::test]
async fn credits_pay_for_no_error_and_tell_nothing_of_the_operators_account() {
    let (harness, openai, _) = managed().await;
    let before = harness.credits().await;
    openai.says(
        r#"{"error":{"message":"org-4711 may not","code":400,"type":"invalid_request_error"}}"#,
    );
    let request = harness.request(Method::POST, "/v1/chat/completions", CALL);
    let answer = harness.send(request).await;
    assert_eq!(answer.status, 400);
    let error: &Value = &answer.json()["error"];
    assert!(!error.to_string().contains("4711"), "{error}");
    harness.usage().await;
    assert_eq!(harness.credits().await.available, before.available);
    openai.answers(200, &[JSON], REPORT.as_bytes());
    assert_eq!(harness.chat(CALL).await.status, 200);
}
