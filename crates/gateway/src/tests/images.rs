//! OpenAI's images: pictures pass whole, and their usage is read from bodies and streams of any length.

use http::Method;

use super::payer::{STREAM, priced};
use super::provider::{Step, chunk};

const CALL: &str = r#"{"model":"gpt-x","prompt":"a dot","stream":false,"size":"1024x1024"}"#;

#[tokio::test]
async fn a_picture_passes_byte_for_byte_and_its_tokens_are_metered() {
    let harness = priced().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    let picture = "A".repeat(3 << 20);
    let said = format!(
        r#"{{"created":1,"data":[{{"b64_json":"{picture}"}}],"usage":{{"input_tokens":50,"output_tokens":272,"total_tokens":322,"input_tokens_details":{{"text_tokens":10,"image_tokens":40}}}}}}"#
    );
    provider.says(&said);
    let request = harness.request(Method::POST, "/v1/images/generations", CALL);
    let answer = harness.send(request).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body == said.as_bytes(), "the picture was changed");
    let (head, body) = provider.requests().pop().expect("a request");
    let path = "POST /base/images/generations HTTP/1.1\r\n";
    assert!(head.starts_with(path), "{head}");
    assert_eq!(body, CALL.as_bytes());
    let row = harness.usage().await.pop().expect("a row");
    assert_eq!(row.operation, "image_generations");
    let usage = row.usage.expect("metered");
    assert_eq!((usage.input_tokens, usage.output_tokens), (50, 272));
}

#[tokio::test]
async fn a_stream_of_pictures_longer_than_any_event_passes_and_is_metered() {
    let harness = priced().await;
    let (_, provider) = harness.own("one", |_| {}).await;
    let picture = "A".repeat(2 << 20);
    let event = |name: &str, rest: &str| {
        format!("event: {name}\ndata: {{\"type\":\"{name}\",\"b64_json\":\"{picture}\"{rest}}}\n\n")
    };
    let usage = r#","usage":{"input_tokens":50,"output_tokens":272,"total_tokens":322}"#;
    let stream = event(
        "image_generation.partial_image",
        r#","partial_image_index":0"#,
    ) + &event("image_generation.completed", usage);
    let steps = [STREAM.into(), chunk(&stream), b"0\r\n\r\n".to_vec()];
    provider.script(steps.map(Step::Send).into());
    let call = r#"{"model":"gpt-x","prompt":"a dot","stream":true,"partial_images":1}"#;
    let request = harness.request(Method::POST, "/v1/images/generations", call);
    let answer = harness.send(request).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body == stream.as_bytes(), "the stream was changed");
    let row = harness.usage().await.pop().expect("a row");
    assert!(row.streamed);
    let usage = row.usage.expect("metered");
    assert_eq!((usage.input_tokens, usage.output_tokens), (50, 272));
}
