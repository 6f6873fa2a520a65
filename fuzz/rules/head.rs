//! What is read of a request body is what a plain JSON parser reads, which refuses what is refused as broken; and another
//! model takes the first one's place without a change to any other byte. What a preset adds is added once, and hides nothing of what was there.

use bytes::Bytes;
use domain::preset::Parameters;
use llm::defaults::{Target, with_defaults};
use llm::format::FormatId;
use llm::head::{self, Head, HeadError};
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

/// Stands in the names of fields that serde_json's own values take for a text with JSON in it, and no other parser does.
const OF_SERDE_JSON: &[u8] = b"::private::";

const PARAMETERS: &str = r#"{"temperature":"0.5","top_p":"1","max_tokens":7,"reasoning_effort":"low","system_prompt":"\"]}"}"#;

/// Adds what a preset says. What was there must stand, in the order in which it stood.
fn added(body: &[u8], format: FormatId) -> Bytes {
    let parameters: Parameters = serde_json::from_str(PARAMETERS).expect("parameters");
    let body = Bytes::copy_from_slice(body);
    let added = with_defaults(format, &body, &parameters, Target::default());
    let mut rest = added.iter();
    assert!(
        body.iter().all(|byte| rest.any(|it| it == byte)),
        "every byte stays"
    );
    let again = with_defaults(format, &added, &parameters, Target::default());
    assert_eq!(again, added, "nothing is added twice");
    added
}

/// Holds what was made of a body against what another parser makes of it.
fn judged<T>(body: &[u8], read: &Result<T, HeadError>) {
    use HeadError::{Json, NotAnObject, Number, TooDeep};
    let broken = matches!(read, Err(Json { .. } | TooDeep { .. } | Number { .. }));
    // What is no object is not read on.
    if !matches!(read, Err(NotAnObject)) {
        assert_eq!(broken, serde_json::from_slice::<Value>(body).is_err());
    }
}

pub(crate) fn holds(body: &[u8]) {
    if body
        .windows(OF_SERDE_JSON.len())
        .any(|it| it == OF_SERDE_JSON)
    {
        return;
    }
    judged(body, &head::read(body));
    judged(body, &head::read_beside(body, "m", true));
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
        for format in [
            FormatId::OpenaiChat,
            FormatId::OpenaiResponses,
            FormatId::AnthropicMessages,
        ] {
            let again = head::read(&added(body, format)).expect("a preset breaks no rule");
            assert_eq!((&again.model, again.stream), (&head.model, head.stream));
        }
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
        let added = added(body, FormatId::GeminiGenerateContent);
        let again = head::read_beside(&added, "m", true).expect("a preset breaks no rule");
        assert_eq!(again.model_spans.len(), head.model_spans.len());
    }
}
