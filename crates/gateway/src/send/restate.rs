//! What a provider says when it refuses a call that credits pay for, in our own words.
//!
//! Its sentences are written for the owner of the key, the operator: they name the organization, its limits and its
//! balance. Only structured words pass.

use bytes::Bytes;
use domain::RequestId;
use http::StatusCode;
use llm::format::{ErrorBody, WireFormat};
use serde_json::{Map, Value, json};

/// A refusal without the provider's sentences.
pub(crate) struct Restated {
    status: StatusCode,
    /// `code`, `type`, `param` and `status`, as far as they are words.
    words: Map<String, Value>,
}

const FIELDS: [&str; 4] = ["code", "type", "param", "status"];
/// What Google's interfaces say in `status`.
const STATUSES: [&str; 10] = [
    "ABORTED",
    "ALREADY_EXISTS",
    "CANCELLED",
    "FAILED_PRECONDITION",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "OUT_OF_RANGE",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "UNIMPLEMENTED",
];
const MAX_WORD_BYTES: usize = 64;

impl Restated {
    /// `text`: the body of the refusal.
    pub(super) fn of(status: StatusCode, text: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(text).unwrap_or_default();
        // Google's OpenAI-compatible endpoint wraps its error in an array.
        let root = body.get(0).unwrap_or(&body);
        let error = root.get("error").unwrap_or(root);
        let words = FIELDS.iter().filter_map(|field| {
            let fits = |word: &&str| match *field {
                "status" => STATUSES.contains(word),
                _ => is_word(word),
            };
            let word = error.get(field)?.as_str().filter(fits)?;
            Some(((*field).to_owned(), word.into()))
        });
        let words = words.collect();
        Self { status, words }
    }

    /// The body for the client.
    pub(crate) fn body(&self, format: &dyn WireFormat, request: RequestId) -> Bytes {
        let (status, request) = (self.status.as_u16(), request.to_string());
        let said = FIELDS.iter().find_map(|field| self.words.get(*field));
        let message = match said.and_then(Value::as_str) {
            Some(word) => {
                format!("the provider refused the request with status {status}: {word}")
            }
            None => format!("the provider refused the request with status {status}"),
        };
        let mut details = Map::new();
        details.insert("upstream".to_owned(), json!(self.words));
        format.error(&ErrorBody {
            number: None,
            status,
            code: "upstream_rejected",
            message: &message,
            hint: None,
            request: &request,
            details,
        })
    }
}

/// Whether it is one of a format's own terms: lower case, no digits. The ids of organizations and projects have
/// digits, and their names are left out by how they begin.
fn is_word(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || b"_.[]".contains(&byte);
    // The only digits are places in a list, `messages[0]`: an account's name has others.
    let without_places = text.split('[').map(|part| match part.split_once(']') {
        Some((place, rest)) if place.len() <= 3 && place.bytes().all(|it| it.is_ascii_digit()) => {
            rest
        }
        _ => part,
    });
    (1..=MAX_WORD_BYTES).contains(&text.len())
        && without_places.collect::<String>().bytes().all(allowed)
        && !text.starts_with("org")
        && !text.starts_with("proj")
}

#[cfg(test)]
mod tests {
    use llm::format::{AnthropicMessages, GeminiGenerateContent, OpenaiChat};

    use super::*;

    fn restated(format: &dyn WireFormat, text: &str) -> Value {
        let restated = Restated::of(StatusCode::BAD_REQUEST, text.as_bytes());
        let body = restated.body(format, RequestId::from_bytes([0; 16]));
        serde_json::from_slice(&body).expect("JSON")
    }

    #[test]
    fn words_pass_and_sentences_do_not() {
        let text = r#"{"error":{"message":"org-4711 owes 3 USD","type":"invalid_request_error","param":"messages[0].content","code":"context_length_exceeded"}}"#;
        let error = &restated(&OpenaiChat, text)["error"];
        assert_eq!(error["code"], "upstream_rejected");
        assert_eq!(
            error["upstream"],
            json!({"type": "invalid_request_error", "param": "messages[0].content", "code": "context_length_exceeded"})
        );
        assert_eq!(
            error["message"],
            "the provider refused the request with status 400: context_length_exceeded"
        );
        let error = &restated(
            &AnthropicMessages,
            r#"{"type":"error","error":{"type":"not_found_error","message":"x"}}"#,
        )["error"];
        assert_eq!(error["upstream"], json!({"type": "not_found_error"}));
        assert_eq!(error["type"], "invalid_request_error");
        let text = r#"{"error":{"code":400,"message":"project 4711","status":"OUT_OF_RANGE"}}"#;
        let error = &restated(&GeminiGenerateContent, text)["error"];
        let metadata = &error["details"][0]["metadata"];
        assert_eq!(metadata["upstream"], r#"{"status":"OUT_OF_RANGE"}"#);
        assert_eq!(error["code"], 400);
    }

    #[test]
    fn what_is_no_word_is_left_out() {
        let long = format!(r#"{{"error":{{"code":"{}"}}}}"#, "x".repeat(65));
        for text in [
            r#"{"error":{"code":"org-4711","type":"for account 7","param":7}}"#,
            r#"{"error":"org_4711"}"#,
            r#"{"error":{"code":"OPERATOR_LLC","param":"proj_operator","type":"key_4711","status":"OPERATOR_LLC"}}"#,
            long.as_str(),
            "<html>",
            "",
        ] {
            let error = &restated(&OpenaiChat, text)["error"];
            assert_eq!(error["upstream"], json!({}), "{text}");
            assert_eq!(
                error["message"],
                "the provider refused the request with status 400"
            );
        }
    }
}
