//! What is read of a request body is what a plain JSON parser reads, and another model takes the first one's place
//! without a change to any other byte.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use llm::head::{self, Head};
use serde_json::Value;

const OTHER: &str = "another \"model\" \\ \u{e9}";

/// Puts another model in. Returns the body, after a look at all that lies between the places of the model.
fn changed(body: &[u8], head: &Head, model: &str) -> Bytes {
    let changed = head::with_model(&Bytes::copy_from_slice(body), head, model);
    let mut rest: &[u8] = &changed;
    let mut done = 0;
    for span in &head.model_spans {
        rest = rest
            .strip_prefix(&body[done..span.start])
            .expect("the bytes before a model stay");
        let spelled = Value::from(model).to_string();
        let prefixed = Value::from(format!("models/{model}")).to_string();
        let after = rest.strip_prefix(spelled.as_bytes());
        rest = after
            .or_else(|| rest.strip_prefix(prefixed.as_bytes()))
            .expect("the model is there");
        done = span.end;
    }
    assert_eq!(rest, &body[done..], "the bytes behind the model stay");
    changed
}

fuzz_target!(|body: &[u8]| {
    if let Ok(head) = head::read(body) {
        let value: Value = serde_json::from_slice(body).expect("what was read is JSON");
        assert_eq!(value["model"], head.model);
        assert_eq!(value["stream"].as_bool().unwrap_or(false), head.stream);
        assert_eq!(head.model_spans.len(), 1);
        let changed = changed(body, &head, OTHER);
        let again = head::read(&changed).expect("another model breaks no rule");
        assert_eq!(again.model, OTHER);
        assert_eq!(
            (again.stream, again.output_limit, again.choices),
            (head.stream, head.output_limit, head.choices)
        );
    }
    if let Ok(head) = head::read_beside(body, "m", true) {
        assert!(head.model == "m" && head.stream);
        let changed = changed(body, &head, OTHER);
        let again = head::read_beside(&changed, OTHER, true).expect("another model breaks no rule");
        assert_eq!(again.model_spans.len(), head.model_spans.len());
        assert_eq!(
            (again.output_limit, again.choices),
            (head.output_limit, head.choices)
        );
    }
});
