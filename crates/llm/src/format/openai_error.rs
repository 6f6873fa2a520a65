//! How OpenAI's interfaces write an error.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{ErrorBody, details};

/// The body of a refusal.
#[derive(Serialize)]
pub(super) struct Failed<'a> {
    pub(super) error: Failure<'a>,
}

impl<'a> Failed<'a> {
    pub(super) fn new(error: &'a ErrorBody<'a>) -> Self {
        Self {
            error: Failure(error),
        }
    }
}

/// The error itself.
pub(super) struct Failure<'a>(pub(super) &'a ErrorBody<'a>);

impl Serialize for Failure<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let error = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("message", error.message)?;
        map.serialize_entry("type", error_type(error.status))?;
        map.serialize_entry("param", &None::<&str>)?;
        map.serialize_entry("code", error.code)?;
        for (name, value) in details(error, &["message", "type", "param", "code", "hint"]) {
            map.serialize_entry(name, value)?;
        }
        if let Some(hint) = error.hint {
            map.serialize_entry("hint", hint)?;
        }
        map.end()
    }
}

/// The `type` that stands for a status.
fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "insufficient_quota",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}
