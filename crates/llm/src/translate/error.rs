//! A provider's error, whatever the format that it is written in.

use serde_json::Value;

use crate::failure;
use crate::neutral::Mishap;

/// The longest error that is read.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// The error in a body that came with this status.
pub(crate) fn mishap_of(status: u16, body: &[u8]) -> Option<Mishap> {
    if body.len() > MAX_BODY_BYTES {
        return None;
    }
    let body: Value = serde_json::from_slice(body).ok()?;
    // Google's OpenAI-compatible endpoint wraps its error in an array.
    let root = body.get(0).unwrap_or(&body);
    // Errors of responses that failed stand deeper, those of their events flat.
    let nested = [root.get("error"), root.pointer("/response/error")];
    let error = nested.into_iter().flatten().find(|it| !it.is_null());
    let error = error.unwrap_or(root);
    let word = |name: &str| error.get(name).and_then(Value::as_str);
    let message = word("message").or(error.as_str())?.to_owned();
    // Google's code is the status as a number, its name stands beside it.
    let code = word("code").or_else(|| word("type"));
    let code = code.or_else(|| word("status")).map(str::to_owned);
    Some(Mishap {
        status,
        code,
        message,
    })
}

/// The error that an event of a stream brings, if it does.
pub(crate) fn mishap_of_event(data: &[u8]) -> Option<Mishap> {
    let status = failure::status_of_event(data)?;
    let unnamed = || Mishap {
        status,
        code: None,
        message: "the provider failed".to_owned(),
    };
    Some(mishap_of(status, data).unwrap_or_else(unnamed))
}
