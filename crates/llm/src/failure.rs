//! Why a provider did not accept a request: read from the status and the structured code, never from words.

use domain::key::FailureKind;
use serde_json::Value;
use serde_json::value::RawValue;

mod beginning;

pub use beginning::{Beginning, beginning};

/// Longest error body whose code is looked for; of a longer one only the status counts.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// Codes that mean a key is not one, whatever 4xx status they come with.
///
/// OpenAI and Groq `invalid_api_key`, Anthropic `authentication_error`, Google `API_KEY_INVALID` (status
/// 400), Brave `SUBSCRIPTION_TOKEN_INVALID` (status 422).
const INVALID_KEY: &[&str] = &[
    "invalid_api_key",
    "authentication_error",
    "API_KEY_INVALID",
    "SUBSCRIPTION_TOKEN_INVALID",
];

/// Codes that mean the quota or the balance is used up, whatever 4xx status they come with.
const NO_QUOTA: &[&str] = &[
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "billing_error",
];

/// Codes that mean that a provider does not know the model, with status 404: OpenAI's and Groq's, Together's, Anthropic's,
/// Google's `status`.
const UNKNOWN_MODEL: &[&str] = &[
    "model_not_found",
    "model_not_available",
    "not_found_error",
    "NOT_FOUND",
];

/// Whether an answer with this status and body says that the provider does not know the model.
pub fn is_unknown_model(status: u16, body: &[u8]) -> bool {
    let Some(body) = (status == 404).then(|| parsed(body)).flatten() else {
        return false;
    };
    let error = error_of(&body);
    let codes = ["code", "type", "status"].map(|field| error.get(field));
    codes.iter().any(|code| {
        code.is_some_and(|it| it.as_str().is_some_and(|it| UNKNOWN_MODEL.contains(&it)))
    })
}

/// The kind of failure that an answer with this status and body reports.
///
/// `None`: not an error, or one that says nothing of the key (400, 404, 422 and the like), so that the
/// next key would fare no better.
pub fn classify(status: u16, body: &[u8]) -> Option<FailureKind> {
    match status {
        401 => return Some(FailureKind::InvalidKey),
        402 => return Some(FailureKind::NoQuota),
        500..=599 => return Some(FailureKind::ProviderError),
        400..=499 => {}
        _ => return None,
    }
    kind_of_code(body).or(match status {
        403 => Some(FailureKind::NoPermission),
        429 => Some(FailureKind::RateLimited),
        _ => None,
    })
}

/// What the names of errors in a stream stand for as a status: those of OpenAI, Anthropic and OpenRouter.
const STATUS_OF_NAME: &[(&str, u16)] = &[
    ("invalid_request_error", 400),
    ("invalid_api_key", 401),
    ("authentication_error", 401),
    ("billing_error", 402),
    ("permission_error", 403),
    ("not_found_error", 404),
    ("request_too_large", 413),
    ("rate_limit_error", 429),
    ("rate_limit_exceeded", 429),
    ("insufficient_quota", 429),
    ("invalid_prompt", 400),
    ("timeout_error", 504),
    ("overloaded_error", 529),
];

/// The status that an error stands for which came as an event of a stream, or as a whole answer, behind a head that said
/// 200.
///
/// `None`: it is no error. An error without a number or a name that is known counts as 500.
pub fn status_of_event(data: &[u8]) -> Option<u16> {
    // Inside a JSON string the quotes would be escaped, so this is a field's name or a whole text.
    if data.len() > MAX_BODY_BYTES || memchr::memmem::find(data, b"\"error\"").is_none() {
        return None;
    }
    let event: Value = serde_json::from_slice(data).ok()?;
    // Google's interfaces may wrap it in an array.
    let root = event.get(0).unwrap_or(&event);
    let says = |error: &&Value| match error {
        Value::String(text) => !text.is_empty(),
        error => error.is_object(),
    };
    let error = root.get("error").filter(says)?;
    let named = [error.get("code"), error.get("type")];
    Some(
        named
            .into_iter()
            .flatten()
            .find_map(status_of)
            .unwrap_or(UNNAMED),
    )
}

/// The status that the `code` of an error in a stream stands for.
pub(crate) fn status_of_code(code: Option<&RawValue>) -> u16 {
    let code = code.and_then(|code| serde_json::from_str::<Value>(code.get()).ok());
    code.as_ref().and_then(status_of).unwrap_or(UNNAMED)
}

/// The status that an event of OpenAI's responses stands for which says that all is over: `response.failed`, or an
/// error that is written flat.
pub(crate) fn status_of_response(data: &[u8]) -> u16 {
    let event: Value = serde_json::from_slice(data).unwrap_or_default();
    let codes = [event.pointer("/response/error/code"), event.get("code")];
    let mut codes = codes.into_iter().flatten();
    codes.find_map(status_of).unwrap_or(UNNAMED)
}

/// When Google's interfaces want to be asked again, in milliseconds, as `google.rpc.RetryInfo` in the details of an error
/// says: <https://cloud.google.com/apis/design/errors#error_details> (2026-11).
pub fn retry_delay_ms(body: &[u8]) -> Option<i64> {
    const TYPE: &str = "type.googleapis.com/google.rpc.RetryInfo";
    if body.len() > MAX_BODY_BYTES || memchr::memmem::find(body, TYPE.as_bytes()).is_none() {
        return None;
    }
    let body = parsed(body)?;
    let details = error_of(&body).get("details")?.as_array()?;
    let info = details.iter().find(|it| it["@type"] == TYPE)?;
    let seconds: f64 = info
        .get("retryDelay")?
        .as_str()?
        .strip_suffix('s')?
        .parse()
        .ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the cast saturates, and whoever waits so long bounds it"
    )]
    (seconds.is_finite() && seconds >= 0.0).then_some((seconds * 1_000.0) as i64)
}

/// What an error without a number or a name that is known counts as.
const UNNAMED: u16 = 500;

fn status_of(code: &Value) -> Option<u16> {
    match code {
        Value::String(name) => {
            let known = STATUS_OF_NAME.iter().find(|(known, _)| known == name);
            known.map(|(_, status)| *status)
        }
        number => {
            let status = u16::try_from(number.as_u64()?).ok()?;
            (400..600).contains(&status).then_some(status)
        }
    }
}

fn parsed(body: &[u8]) -> Option<Value> {
    if body.len() > MAX_BODY_BYTES {
        return None;
    }
    serde_json::from_slice(body).ok()
}

fn error_of(body: &Value) -> &Value {
    // Google's OpenAI-compatible endpoint wraps its error in an array.
    let root = body.get(0).unwrap_or(body);
    root.get("error").unwrap_or(root)
}

fn kind_of_code(body: &[u8]) -> Option<FailureKind> {
    let body = parsed(body)?;
    let error = error_of(&body);
    let reasons = error.get("details").and_then(Value::as_array);
    let reasons = reasons.into_iter().flatten().map(|it| it.get("reason"));
    [error.get("code"), error.get("type")]
        .into_iter()
        .chain(reasons)
        .filter_map(|code| code?.as_str())
        .find_map(|code| {
            if INVALID_KEY.contains(&code) {
                Some(FailureKind::InvalidKey)
            } else if NO_QUOTA.contains(&code) {
                Some(FailureKind::NoQuota)
            } else {
                None
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_decides_where_it_is_clear() {
        for (status, kind) in [
            (200, None),
            (302, None),
            (400, None),
            (401, Some(FailureKind::InvalidKey)),
            (402, Some(FailureKind::NoQuota)),
            (403, Some(FailureKind::NoPermission)),
            (404, None),
            (422, None),
            (429, Some(FailureKind::RateLimited)),
            (500, Some(FailureKind::ProviderError)),
            (503, Some(FailureKind::ProviderError)),
            (529, Some(FailureKind::ProviderError)),
        ] {
            for body in ["", "{}", "<html>insufficient_quota</html>", "[]", "7"] {
                assert_eq!(classify(status, body.as_bytes()), kind, "{status} {body}");
            }
        }
    }

    #[test]
    fn structured_codes_decide_where_the_status_is_not() {
        for (status, body, kind) in [
            // OpenAI
            (
                429,
                r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
                FailureKind::NoQuota,
            ),
            (
                429,
                r#"{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}}"#,
                FailureKind::RateLimited,
            ),
            (
                400,
                r#"{"error":{"code":"billing_hard_limit_reached"}}"#,
                FailureKind::NoQuota,
            ),
            // Anthropic
            (
                403,
                r#"{"type":"error","error":{"type":"billing_error","message":"x"}}"#,
                FailureKind::NoQuota,
            ),
            // Google, through its OpenAI-compatible endpoint
            (
                400,
                r#"[{"error":{"code":400,"status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}]"#,
                FailureKind::InvalidKey,
            ),
            // Brave Search
            (
                422,
                r#"{"error":{"code":"SUBSCRIPTION_TOKEN_INVALID","status":422}}"#,
                FailureKind::InvalidKey,
            ),
        ] {
            assert_eq!(classify(status, body.as_bytes()), Some(kind), "{body}");
        }
    }

    #[test]
    fn an_error_in_a_stream_stands_for_a_status() {
        for (data, status) in [
            (r#"{"error":{"code":429,"message":"x"}}"#, Some(429)),
            (
                r#"{"error":{"code":"rate_limit_exceeded","type":"x"}}"#,
                Some(429),
            ),
            (
                r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#,
                Some(529),
            ),
            (r#"{"error":{"type":"server_error"}}"#, Some(500)),
            (
                r#"{"error":{"code":200,"type":"authentication_error"}}"#,
                Some(401),
            ),
            (r#"{"error":{"code":70000}}"#, Some(500)),
            (r#"{"error":"overloaded_error"}"#, Some(500)),
            (
                r#"[{"error":{"code":503,"status":"UNAVAILABLE"}}]"#,
                Some(503),
            ),
            (r#"{"error":null,"choices":[]}"#, None),
            (r#"{"error":"","choices":[]}"#, None),
            (r#"{"error":false,"choices":[]}"#, None),
            (r#"{"choices":[{"delta":{"content":"\"error\""}}]}"#, None),
            (r#"{"choices":["error"]}"#, None),
            ("[DONE]", None),
            (r#"{"error""#, None),
        ] {
            assert_eq!(status_of_event(data.as_bytes()), status, "{data}");
        }
    }

    #[test]
    fn an_unknown_model_is_told_by_status_and_code() {
        for (status, body, unknown) in [
            (
                404,
                r#"{"error":{"code":"model_not_found","type":"invalid_request_error"}}"#,
                true,
            ),
            (
                404,
                r#"{"type":"error","error":{"type":"not_found_error","message":"model: m"}}"#,
                true,
            ),
            (
                404,
                r#"[{"error":{"code":404,"status":"NOT_FOUND"}}]"#,
                true,
            ),
            (
                404,
                r#"{"error":{"code":"file_not_found","message":"model_not_found"}}"#,
                false,
            ),
            (404, r#"{"error":"model_not_found"}"#, false),
            (404, "<html>", false),
            (404, "", false),
            (400, r#"{"error":{"code":"model_not_found"}}"#, false),
        ] {
            assert_eq!(
                is_unknown_model(status, body.as_bytes()),
                unknown,
                "{status} {body}"
            );
        }
    }

    #[test]
    fn google_says_when_to_ask_again() {
        let body = |delay: &str| {
            format!(
                r#"[{{"error":{{"details":[{{"@type":"x"}},{{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":{delay}}}]}}}}]"#
            )
        };
        for (delay, millis) in [
            (r#""39s""#, Some(39_000)),
            (r#""0.25s""#, Some(250)),
            (r#""0s""#, Some(0)),
            (r#""-1s""#, None),
            (r#""NaNs""#, None),
            (r#""39""#, None),
            ("39", None),
        ] {
            assert_eq!(retry_delay_ms(body(delay).as_bytes()), millis, "{delay}");
        }
        let words = r#"{"error":{"message":"type.googleapis.com/google.rpc.RetryInfo"}}"#;
        assert_eq!(retry_delay_ms(words.as_bytes()), None);
    }

    #[test]
    fn words_decide_nothing() {
        let words = r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low; insufficient_quota; invalid_api_key"}}"#;
        assert_eq!(classify(400, words.as_bytes()), None);
    }

    #[test]
    fn hostile_bodies_fall_back_to_the_status() {
        let deep = "[".repeat(100_000);
        let long = format!(
            r#"{{"error":{{"code":"insufficient_quota","pad":"{}"}}}}"#,
            "x".repeat(MAX_BODY_BYTES)
        );
        for body in [deep.as_bytes(), long.as_bytes(), b"\xff\xfe{"] {
            assert_eq!(classify(429, body), Some(FailureKind::RateLimited));
        }
    }
}
