//! How Google's interfaces write an error.
//!
//! Source: <https://google.aip.dev/193>. Our stable code is the `reason` of an `ErrorInfo`, whose `metadata` is a table of
//! texts; a fact that is none stands there as JSON.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::ErrorBody;

const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";
const REQUEST_INFO: &str = "type.googleapis.com/google.rpc.RequestInfo";
/// Who gives the reason.
const DOMAIN: &str = "keybearer";
/// What is to be done about it, among the facts.
const HINT: &str = "hint";

/// The body of a refusal.
#[derive(Serialize)]
pub(super) struct Failed<'a> {
    error: Failure<'a>,
}

#[derive(Serialize)]
struct Failure<'a> {
    code: u16,
    message: &'a str,
    status: &'static str,
    details: [Value; 2],
}

impl<'a> Failed<'a> {
    pub(super) fn new(error: &'a ErrorBody<'a>) -> Self {
        let mut metadata: Map<String, Value> = error
            .details
            .iter()
            .filter(|(name, value)| *name != HINT && !value.is_null())
            .map(|(name, value)| (name.clone(), text(value)))
            .collect();
        metadata.extend(error.hint.map(|hint| (HINT.to_owned(), hint.into())));
        Self {
            error: Failure {
                code: error.status,
                message: error.message,
                status: status_name(error.status),
                details: [
                    json!({"@type": ERROR_INFO, "reason": error.code, "domain": DOMAIN, "metadata": metadata}),
                    json!({"@type": REQUEST_INFO, "requestId": error.request}),
                ],
            },
        }
    }
}

fn text(value: &Value) -> Value {
    match value {
        Value::String(_) => value.clone(),
        other => other.to_string().into(),
    }
}

/// The name of the code of RPC that stands for a status.
fn status_name(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        402 => "FAILED_PRECONDITION",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        405 | 501 => "UNIMPLEMENTED",
        408 | 504 => "DEADLINE_EXCEEDED",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        502 | 503 | 529 => "UNAVAILABLE",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}
